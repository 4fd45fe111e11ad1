//! Counts the searches of a filter, and those that hit their step limit.
#![forbid(unsafe_code)]

use super::findtime_window::Once;
use crate::pattern::{FailRegex, Match};
use crate::warning;

const TARGET: &str = "fail2ban.filter";

/// Searches that gave up.
#[derive(Debug, Default)]
pub(super) struct StepLimits {
    pub(super) hits: u64,
    notice: Once,
}

impl StepLimits {
    /// Searches; a search that exceeds its step limit counts as no match and is reported once a minute.
    pub(super) fn search(
        &mut self,
        regex: &FailRegex,
        text: &str,
        jail: &str,
        now: f64,
    ) -> Option<Match> {
        match regex.regex().search(text) {
            Ok(found) => found,
            Err(_) => {
                self.exceeded(regex, text, jail, now);
                None
            }
        }
    }

    /// Whether it matches, likewise.
    pub(super) fn is_match(&mut self, regex: &FailRegex, text: &str, jail: &str, now: f64) -> bool {
        regex.regex().is_match(text).unwrap_or_else(|_| {
            self.exceeded(regex, text, jail, now);
            false
        })
    }

    fn exceeded(&mut self, regex: &FailRegex, text: &str, jail: &str, now: f64) {
        self.hits += 1;
        if self.notice.due(now, 60.0) {
            let start: String = text.trim_end().chars().take(120).collect();
            warning!(
                TARGET,
                "[{jail}] Search took too many steps and was given up, regex: {}, line: {start}",
                regex.source()
            );
        }
    }
}
