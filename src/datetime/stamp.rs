//! Formats seconds of local time as log lines and replies show them: `2026-11-21 20:04:08`.
//!
//! Consecutive lines often share a second, thousands of them in an attack. Lines read, lines written and
//! ends of bans each have a second of their own, so the last few are cached.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use chrono::{FixedOffset, TimeZone};

use crate::sys::localtime::{last_offset_at, offset_at};

/// Seconds that are remembered.
const REMEMBERED: usize = 4;

/// How long the zone is taken to be the same. In a list of many thousand bans each may have a second of its own.
const SAME_ZONE: Duration = Duration::from_secs(1);

/// The seconds that were shown last, and their texts.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    /// The one used last comes first.
    shown: [(i64, String); REMEMBERED],
    zone_read: Option<Instant>,
}

impl Stamp {
    /// The text of a Unix time; `None` beyond the years that have one.
    pub fn of(&mut self, second: i64) -> Option<&str> {
        let known = |(known, text): &(i64, String)| *known == second && !text.is_empty();
        match self.shown.iter().position(known) {
            Some(at) => self.shown[..=at].rotate_right(1),
            None => {
                // chrono's own idea of local time is one for each thread, read from the disk
                let zone = FixedOffset::east_opt(self.offset_at(second))?;
                let time = zone.timestamp_opt(second, 0).earliest()?;
                self.shown.rotate_right(1);
                self.shown[0] = (second, time.naive_local().to_string());
            }
        }
        Some(&self.shown[0].1)
    }

    fn offset_at(&mut self, second: i64) -> i32 {
        if self.zone_read.is_some_and(|at| at.elapsed() < SAME_ZONE) {
            return last_offset_at(second);
        }
        self.zone_read = Some(Instant::now());
        offset_at(second)
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
        for number in (0..super::REMEMBERED as i64 + 2).cycle().take(12) {
            let ending = format!(":46:{}", 40 + number);
            assert!(text(1_000_000_000 + number).unwrap().ends_with(&ending));
        }
    }
}
