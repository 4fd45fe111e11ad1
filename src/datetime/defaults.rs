//! The date formats recognised without being asked: the list of fact D11 (5.3).
//!
//! Every form that is not bound to the line's start by itself is tried there first, with a
//! weight that keeps the bound copy in front (31 templates in all). The templates are shared
//! by all detectors, and so is that weight: a written pattern that equals a bound copy has it as
//! soon as anyone in the process uses the defaults.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use super::patterns::{self, LINE_BEGIN, PATTERNS, is_copied};
use super::syntax::YearWindow;
use super::template::Template;

/// All of them in their order.
type List = Arc<[Arc<Template>]>;

/// The default list for these years.
pub(super) fn templates(years: YearWindow) -> List {
    static LISTS: Mutex<Option<(YearWindow, List)>> = Mutex::new(None);
    patterns::were_asked_for();
    let mut shared = match LISTS.lock() {
        Ok(guard) => guard,
        Err(poisoned) => poisoned.into_inner(),
    };
    if let Some((known, list)) = shared.as_ref()
        && *known == years
    {
        return list.clone();
    }
    let list = build(years);
    *shared = Some((years, list.clone()));
    list
}

fn build(years: YearWindow) -> List {
    let compile = |pattern: &str| Template::new(pattern, years).ok().map(Arc::new);
    let bound = PATTERNS
        .iter()
        .filter(|pattern| is_copied(pattern))
        .filter_map(|pattern| compile(&format!("{LINE_BEGIN}{pattern}")));
    let plain = PATTERNS.iter().filter_map(|pattern| compile(pattern));
    bound.chain(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Date template hits` of `fail2ban-regex -v` with an empty log.
    const NAMES: &str = r"
{^LN-BEG}ExYear(?P<_sep>[-/.])Month(?P=_sep)Day(?:T|  ?)24hour:Minute:Second(?:[.,]Microseconds)?(?:\s*Zone offset)?
{^LN-BEG}(?:DAY )?MON Day %k:Minute:Second(?:\.Microseconds)?(?: ExYear)?
{^LN-BEG}(?:DAY )?MON Day ExYear %k:Minute:Second(?:\.Microseconds)?
{^LN-BEG}Day(?P<_sep>[-/])Month(?P=_sep)(?:ExYear|ExYear2) %k:Minute:Second
{^LN-BEG}Day(?P<_sep>[-/])MON(?P=_sep)ExYear[ :]?24hour:Minute:Second(?:\.Microseconds)?(?: Zone offset)?
{^LN-BEG}Month/Day/ExYear:24hour:Minute:Second
{^LN-BEG}Month-Day-ExYear %k:Minute:Second(?:\.Microseconds)?
{^LN-BEG}Epoch
{^LN-BEG}ExYear2ExMonthExDay  ?24hour:Minute:Second
{^LN-BEG}MON Day, ExYear 12hour:Minute:Second AMPM
{^LN-BEG}ExYearExMonthExDay(?:-|T|  ?)Ex24hour:?ExMinute:?ExSecond(?:[.,]Microseconds)?(?:\s*Zone offset)?
{^LN-BEG}(?:Zone name )?(?:DAY )?MON Day %k:Minute:Second(?:\.Microseconds)?(?: ExYear)?
{^LN-BEG}(?:Zone offset )?(?:DAY )?MON Day %k:Minute:Second(?:\.Microseconds)?(?: ExYear)?
{^LN-BEG}TAI64N
ExYear(?P<_sep>[-/.])Month(?P=_sep)Day(?:T|  ?)24hour:Minute:Second(?:[.,]Microseconds)?(?:\s*Zone offset)?
(?:DAY )?MON Day %k:Minute:Second(?:\.Microseconds)?(?: ExYear)?
(?:DAY )?MON Day ExYear %k:Minute:Second(?:\.Microseconds)?
Day(?P<_sep>[-/])Month(?P=_sep)(?:ExYear|ExYear2) %k:Minute:Second
Day(?P<_sep>[-/])MON(?P=_sep)ExYear[ :]?24hour:Minute:Second(?:\.Microseconds)?(?: Zone offset)?
Month/Day/ExYear:24hour:Minute:Second
Month-Day-ExYear %k:Minute:Second(?:\.Microseconds)?
Epoch
{^LN-BEG}24hour:Minute:Second
^<Month/Day/ExYear2@24hour:Minute:Second>
ExYear2ExMonthExDay  ?24hour:Minute:Second
MON Day, ExYear 12hour:Minute:Second AMPM
^MON-Day-ExYear2 %k:Minute:Second
ExYearExMonthExDay(?:-|T|  ?)Ex24hour:?ExMinute:?ExSecond(?:[.,]Microseconds)?(?:\s*Zone offset)?
(?:Zone name )?(?:DAY )?MON Day %k:Minute:Second(?:\.Microseconds)?(?: ExYear)?
(?:Zone offset )?(?:DAY )?MON Day %k:Minute:Second(?:\.Microseconds)?(?: ExYear)?
TAI64N
";

    #[test]
    fn names_and_their_order_are_the_originals() {
        let list = templates(YearWindow::around(2026));
        let names: Vec<&str> = list.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, NAMES.trim().lines().collect::<Vec<_>>());
    }

    #[test]
    fn no_default_needs_the_general_engine() {
        for template in templates(YearWindow::around(2026)).iter() {
            assert!(template.is_program(), "{}", template.name);
        }
    }
}
