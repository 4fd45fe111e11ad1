//! Values of settings as Python would convert them, with Python's error texts (facts C44, C51, C55).
#![forbid(unsafe_code)]

use crate::control::{CommandError, Value};
use crate::datetime::duration;
use crate::python::Number;
use crate::ticket::BanTime;

/// A time span: a number or a text like `1d12h`.
///
/// # Errors
/// What cannot be evaluated.
pub(super) fn seconds(value: &Value) -> Result<Number, CommandError> {
    match value {
        Value::Int(number) => Ok(Number::Int(*number)),
        Value::Bool(flag) => Ok(Number::Int(i64::from(*flag))),
        Value::Float(number) => Ok(Number::Float(*number)),
        Value::Str(text) | Value::Ip(text) => Ok(duration::parse(text)?),
        other => Err(CommandError::builtin(
            "TypeError",
            format!(
                "expected string or bytes-like object, got '{}'",
                other.type_name()
            ),
        )),
    }
}

/// A bantime in whole seconds; −1 is permanent (fact J14).
pub(super) fn ban_time(seconds: i64) -> BanTime {
    if seconds == -1 {
        BanTime::Permanent
    } else {
        BanTime::Seconds(seconds as f64)
    }
}

/// The captured field that marks a ban whose length was given by hand, in the database too.
pub(super) const BY_HAND: &str = "by_hand";

/// As [`ban_time`], for a computed length.
pub(super) fn ban_time_of(length: Number) -> BanTime {
    if length.as_f64() == -1.0 {
        BanTime::Permanent
    } else {
        BanTime::Seconds(length.as_f64())
    }
}

/// The bantime in seconds; −1 for a permanent one.
pub(super) fn ban_seconds(length: BanTime) -> f64 {
    match length {
        BanTime::Seconds(seconds) => seconds,
        BanTime::Permanent => -1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_keep_their_kind() {
        assert_eq!(seconds(&Value::Int(5)), Ok(Number::Int(5)));
        assert_eq!(seconds(&"600".into()), Ok(Number::Int(600)));
        assert_eq!(
            seconds(&Value::None).unwrap_err().to_string(),
            "expected string or bytes-like object, got 'NoneType'"
        );
        assert!(seconds(&"abc".into()).is_err());
    }
}
