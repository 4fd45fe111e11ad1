//! The date formats recognised without being asked: the list of fact D11 (5.3).
//!
//! Every form that is not bound to the line's start by itself is tried there first, with a
//! weight that keeps the bound copy in front (31 templates in all). The templates are shared
//! by all detectors, and so is that weight: a written pattern that equals a bound copy has it as
//! soon as anyone in the process uses the defaults.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::syntax::YearWindow;
use super::template::{LINE_BEGIN, Template};

/// In the order of the list; the display names of `Date template hits` follow from them.
pub(super) const PATTERNS: [&str; 17] = [
    // 2005-01-23T21:59:59.981+01:00, 2005/01/23 21:59:59, 2005.01.23 21:59:59
    r"%ExY(?P<_sep>[-/.])%m(?P=_sep)%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
    // Sun Jan 23 21:59:59.011 2005, Jan 23 21:59:59
    r"(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    // Sun Jan 23 2005 21:59:59.011
    r"(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?",
    // 23/01/2005 21:59:59, 23-01-05 21:59:59
    r"%d(?P<_sep>[-/])%m(?P=_sep)(?:%ExY|%Exy) %k:%M:%S",
    // 23/Jan/2005:21:59:59 +0100, 23-Jan-2005 21:59:59.011
    r"%d(?P<_sep>[-/])%b(?P=_sep)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?",
    // 01/23/2005:21:59:59
    r"%m/%d/%ExY:%H:%M:%S",
    // 01-23-2005 21:59:59.011
    r"%m-%d-%ExY %k:%M:%S(?:\.%f)?",
    "EPOCH",
    // 21:59:59
    r"{^LN-BEG}%H:%M:%S",
    // <01/23/05@21:59:59>
    r"^<%m/%d/%Exy@%H:%M:%S>",
    // 050123 21:59:59
    r"%Exy%Exm%Exd  ?%H:%M:%S",
    // Jan 23, 2005 9:59:59 PM
    r"%b %d, %ExY %I:%M:%S %p",
    // Jan-23-05 21:59:59
    r"^%b-%d-%Exy %k:%M:%S",
    // 20050123T215959, 20050123-21:59:59
    r"%ExY%Exm%Exd(?:-|T|  ?)%ExH:?%ExM:?%ExS(?:[.,]%f)?(?:\s*%z)?",
    // CET Jan 23 21:59:59
    r"(?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    // +01:00 Jan 23 21:59:59
    r"(?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    "TAI64N",
];

/// Whether anyone has asked for the list so far.
static MADE: AtomicBool = AtomicBool::new(false);

/// Whether anyone in the process uses the defaults.
pub(super) fn are_made() -> bool {
    MADE.load(Ordering::Relaxed)
}

/// Whether this is the pattern of a default's bound copy.
pub(super) fn has_bound(pattern: &str) -> bool {
    let bare = pattern.strip_prefix(LINE_BEGIN);
    bare.is_some_and(|bare| is_copied(bare) && PATTERNS.contains(&bare))
}

fn is_copied(pattern: &str) -> bool {
    !pattern.starts_with(LINE_BEGIN) && !pattern.starts_with('^')
}

/// All of them in their order.
type List = Arc<[Arc<Template>]>;

/// The default list for these years.
pub(super) fn templates(years: YearWindow) -> List {
    static LISTS: Mutex<Option<(YearWindow, List)>> = Mutex::new(None);
    MADE.store(true, Ordering::Relaxed);
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
