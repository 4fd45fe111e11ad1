//! Spans of time and counts in sentences.

use crate::datetime::duration;
use crate::jail::decision::local_time;
use crate::python::Number;
use crate::ticket::Timestamp;

/// A time span in words.
pub fn span(seconds: f64) -> String {
    match seconds.max(0.0) as i64 {
        0 => "a moment".to_owned(),
        seconds => duration::format(Number::Int(seconds)),
    }
}

/// `1 line`, `2 lines`
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// When something happened and until when it lasts.
pub fn lasts(time: Timestamp, until: Option<Timestamp>) -> String {
    let until = until.map_or("for ever".to_owned(), |until| {
        format!("until {}", local_time(until))
    });
    format!("from {} {until}", local_time(time))
}
