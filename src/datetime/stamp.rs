//! A second of local time as log lines and replies show it: `2026-11-21 20:04:08`.
//!
//! Lines of one second come one after the other, and thousands of them in an attack: those read and
//! those written each have a second of their own, so the last few are remembered.
#![forbid(unsafe_code)]

use std::cell::RefCell;

use chrono::{FixedOffset, TimeZone};

use crate::sys::localtime::offset_at;

/// Seconds that are remembered.
const REMEMBERED: usize = 4;

thread_local! {
    /// The one used last comes first.
    static LAST: RefCell<[(i64, String); REMEMBERED]> =
        const { RefCell::new([const { (i64::MIN, String::new()) }; REMEMBERED]) };
}

/// Hands the text of a Unix time to `use_it`; `None` beyond the years that have one.
pub fn with<T>(second: i64, use_it: impl FnOnce(&str) -> T) -> Option<T> {
    LAST.with_borrow_mut(|last| {
        let known = |(known, text): &(i64, String)| *known == second && !text.is_empty();
        match last.iter().position(known) {
            Some(at) => last[..=at].rotate_right(1),
            None => {
                // chrono's own idea of local time is one for each thread, read from the disk
                let zone = FixedOffset::east_opt(offset_at(second))?;
                let time = zone.timestamp_opt(second, 0).earliest()?;
                last.rotate_right(1);
                last[0] = (second, time.format("%Y-%m-%d %H:%M:%S").to_string());
            }
        }
        Some(use_it(&last[0].1))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_remembered_second_is_the_asked_one() {
        let text = |second| super::with(second, str::to_owned);
        let (first, second) = (text(1_000_000_000).unwrap(), text(1_000_000_001).unwrap());
        assert_eq!(first.len(), 19);
        assert!(first.ends_with(":46:40") && second.ends_with(":46:41"));
        assert_eq!(text(1_000_000_000).unwrap(), first);
        assert_eq!(text(i64::MAX), None);
        assert_eq!(text(1_000_000_000).unwrap(), first);
        for round in 0..2 {
            for number in 0..super::REMEMBERED as i64 + 2 {
                let ending = format!(":46:{}", 40 + number);
                assert!(
                    text(1_000_000_000 + number).unwrap().ends_with(&ending),
                    "{round}"
                );
            }
        }
    }
}
