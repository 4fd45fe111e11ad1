//! A second of local time as log lines and replies show it: `2026-11-21 20:04:08`.
//!
//! Lines of one second come one after the other, and thousands of them in an attack, so the second
//! written last is remembered.
#![forbid(unsafe_code)]

use std::cell::RefCell;

use chrono::{Local, TimeZone};

thread_local! {
    static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Hands the text of a Unix time to `use_it`; `None` beyond the years that have one.
pub fn with<T>(second: i64, use_it: impl FnOnce(&str) -> T) -> Option<T> {
    LAST.with_borrow_mut(|(known, text)| {
        if *known != second || text.is_empty() {
            let time = Local.timestamp_opt(second, 0).earliest()?;
            *text = time.format("%Y-%m-%d %H:%M:%S").to_string();
            *known = second;
        }
        Some(use_it(text))
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
    }
}
