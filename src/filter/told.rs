//! The search of a line, told to the log at the levels at which the original tells it (7 and 5), for
//! an administrator who asks why nothing matches.
//!
//! In: a filter that has just examined a line. The steps are taken a second time, so that a jail's
//! way through a line costs nothing when nobody wants to hear of it.
#![forbid(unsafe_code)]

use super::settings::Filter;
use crate::control::Value;
use crate::log::{Level, enabled};
use crate::pattern::{FailRegex, Match};
use crate::python::text::quoted;
use crate::record;

const TARGET: &str = "fail2ban.filter";

/// Whether the log wants to hear of every line.
pub fn is_told() -> bool {
    enabled(Level::TraceDebug)
}

impl Filter {
    /// A line is about to be examined.
    pub fn tell_line(&mut self, line: &str) {
        record!(
            Level::TraceDebug,
            TARGET,
            "Working on line {}",
            quoted(line)
        );
        self.text.clear();
    }

    /// What the regexes make of the line that was examined since [`Filter::tell_line`]; `every`: those
    /// behind the first that matches were asked as well.
    pub fn tell_search(&self, every: bool) {
        // at least a line end, where the line was not too old to be searched
        if self.text.is_empty() {
            record!(Level::TraceDebug, TARGET, "  The line is too old to count");
            return;
        }
        let text = self.text.as_str();
        record!(
            Level::HeavyDebug,
            TARGET,
            "Looking for match of {}",
            quoted(text)
        );
        if self.asks_ignoreregexes_first() && self.tell_ignored(text) {
            return;
        }
        let mut content = None;
        if let Some(prefregex) = &self.rules.prefregex {
            let source = quoted(prefregex.expanded());
            record!(
                Level::HeavyDebug,
                TARGET,
                "  Looking for prefregex {source}"
            );
            let Ok(Some(found)) = prefregex.regex().search(text) else {
                record!(Level::HeavyDebug, TARGET, "  Prefregex not matched");
                return;
            };
            let groups = groups(prefregex, &found, text);
            record!(Level::TraceDebug, TARGET, "  Pre-filter matched {groups}");
            let span = prefregex
                .groups()
                .content
                .and_then(|group| found.group(group));
            content = span
                .filter(|(start, end)| start < end)
                .and_then(|(start, end)| text.get(start..end))
                .map(|content| format!("{content}\n"));
        }
        let seen = content.as_deref().unwrap_or(text);
        for (index, failregex) in self.rules.failregexes.iter().enumerate() {
            let source = quoted(failregex.expanded());
            record!(
                Level::HeavyDebug,
                TARGET,
                "  Looking for failregex {index} - {source}"
            );
            if let Ok(Some(found)) = failregex.regex().search(seen) {
                let groups = groups(failregex, &found, seen);
                record!(
                    Level::TraceDebug,
                    TARGET,
                    "  Matched failregex {index}: {groups}"
                );
                if self.tell_ignored(seen) || !every {
                    return;
                }
            }
        }
    }

    /// Whether an ignoreregex matches.
    fn tell_ignored(&self, text: &str) -> bool {
        let mut regexes = self.rules.ignoreregexes.iter();
        let hit = regexes.position(|regex| matches!(regex.regex().search(text), Ok(Some(_))));
        if let Some(index) = hit {
            record!(
                Level::TraceDebug,
                TARGET,
                "  Matched ignoreregex {index} and was ignored"
            );
        }
        hit.is_some()
    }
}

/// The named groups of a match, as a dictionary; for one that is unset stands its `alt_`.
fn groups(regex: &FailRegex, found: &Match, text: &str) -> String {
    let names = regex.regex().group_names();
    let value = |wanted: &str| {
        let group = names
            .iter()
            .position(|name| name.as_deref() == Some(wanted))?;
        let (start, end) = found.group(group)?;
        text.get(start..end)
    };
    let named = names.iter().filter_map(|name| name.as_deref());
    let groups = named.map(|name| {
        let value = value(name).or_else(|| value(&format!("alt_{name}")));
        (name.into(), value.map_or(Value::None, Value::from))
    });
    Value::Dict(groups.collect()).repr()
}
