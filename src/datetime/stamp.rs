//! A second of local time as log lines and replies show it: `2026-11-21 20:04:08`.
//!
//! Lines of one second come one after the other, and thousands of them in an attack, so the last one is
//! remembered.
#![forbid(unsafe_code)]

use chrono::{FixedOffset, TimeZone};

use crate::sys::localtime::offset_at;

/// The second that was shown last, and its text.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    second: i64,
    /// Empty when nothing was shown yet.
    text: String,
}

impl Stamp {
    /// The text of a Unix time; `None` beyond the years that have one.
    pub fn of(&mut self, second: i64) -> Option<&str> {
        if self.text.is_empty() || self.second != second {
            // chrono's own idea of local time is one for each thread, read from the disk
            let zone = FixedOffset::east_opt(offset_at(second))?;
            let time = zone.timestamp_opt(second, 0).earliest()?;
            self.text = time.format("%Y-%m-%d %H:%M:%S").to_string();
            self.second = second;
        }
        Some(&self.text)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_remembered_second_is_the_asked_one() {
        let mut stamp = super::Stamp::default();
        let mut text = |second| stamp.of(second).map(str::to_owned);
        let (first, second) = (text(1_000_000_000).unwrap(), text(1_000_000_001).unwrap());
        assert_eq!(first.len(), 19);
        assert!(first.ends_with(":46:40") && second.ends_with(":46:41"));
        assert_eq!(text(1_000_000_000).unwrap(), first);
        assert_eq!(text(i64::MAX), None);
        assert_eq!(text(1_000_000_000).unwrap(), first);
    }
}
