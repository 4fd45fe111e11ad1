//! Date templates shared by all detectors, among them the list of those used by default (fact D11, 5.3).
//!
//! A form that is not itself bound to the start of the line is tried there first, with a weight that keeps
//! the bound copy in front (31 templates in all). That weight is shared as well: a configured pattern that
//! equals a bound copy has it as soon as any of the detectors uses the defaults.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::DatePatternError;
use super::patterns::{LINE_BEGIN, PATTERNS, is_copied};
use super::syntax::YearWindow;
use super::template::DateTemplate;
use crate::interned::Interned;

/// All of them in their order.
type List = Arc<[Arc<DateTemplate>]>;

/// The templates of the jails of a server. A copy is the same.
#[derive(Clone, Default)]
pub struct Templates(Arc<SharedTemplates>);

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct SharedTemplates {
    in_use: Interned<YearWindow, DateTemplate>,
    defaults: Mutex<Option<(YearWindow, List)>>,
    defaults_used: AtomicBool,
}

impl Templates {
    /// The template of a pattern.
    ///
    /// # Errors
    /// As [`DateTemplate::new`].
    pub(super) fn get(
        &self,
        pattern: &str,
        years: YearWindow,
    ) -> Result<Arc<DateTemplate>, DatePatternError> {
        let make = || DateTemplate::new(pattern, years);
        self.0.in_use.get(years, pattern, make)
    }

    /// The default list for these years.
    pub(super) fn defaults(&self, years: YearWindow) -> List {
        self.0.defaults_used.store(true, Ordering::Relaxed);
        let mut shared = self
            .0
            .defaults
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((known, list)) = shared.as_ref()
            && *known == years
        {
            return list.clone();
        }
        let list = build(years);
        *shared = Some((years, list.clone()));
        list
    }

    /// Whether anyone has asked for the default list so far.
    pub(super) fn defaults_are_used(&self) -> bool {
        self.0.defaults_used.load(Ordering::Relaxed)
    }
}

fn build(years: YearWindow) -> List {
    let compile = |pattern: &str| DateTemplate::new(pattern, years).ok().map(Arc::new);
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
        let list = Templates::default().defaults(YearWindow::around(2026));
        let names: Vec<&str> = list.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, NAMES.trim().lines().collect::<Vec<_>>());
    }

    #[test]
    fn no_default_needs_the_general_engine() {
        let list = Templates::default().defaults(YearWindow::around(2026));
        for template in list.iter() {
            assert!(template.is_program(), "{}", template.name);
        }
    }
}
