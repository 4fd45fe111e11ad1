//! Formats a number of seconds for messages (fact D25).
#![forbid(unsafe_code)]

use super::Number;

/// Writes a span in at most three units: `1h`, `59m 54s`, `1y 3w 4d`.
pub fn format(seconds: Number) -> String {
    let span = seconds.as_f64();
    // The longer the span, the coarser: days, hours, minutes, ten seconds.
    for (from, step, units) in [
        (31_536_000.0, 86_400.0, [(365, 'y'), (7, 'w'), (1, 'd')]),
        (604_800.0, 3_600.0, [(168, 'w'), (24, 'd'), (1, 'h')]),
        (86_400.0, 60.0, [(1_440, 'd'), (60, 'h'), (1, 'm')]),
        (3_595.0, 10.0, [(360, 'h'), (6, 'm'), (0, 's')]),
    ] {
        if span >= from {
            return in_units((span / step).round_ties_even() as i64, units);
        }
    }
    let mut parts = Vec::new();
    let rest = if span >= 60.0 {
        let (minutes, rest) = match seconds {
            Number::Int(n) => (Number::Int(n / 60), Number::Int(n % 60)),
            Number::Float(f) => (Number::Float((f / 60.0).floor()), Number::Float(f % 60.0)),
        };
        parts.push(format!("{}m", text(minutes)));
        rest
    } else {
        seconds
    };
    if rest.is_true() {
        parts.push(format!("{}s", text(rest)));
    } else if parts.is_empty() {
        parts.push("0".to_owned());
    }
    parts.join(" ")
}

/// The first unit is always written, the others if there is something of them; a unit of size
/// 0 is below the rounding.
fn in_units(count: i64, units: [(i64, char); 3]) -> String {
    let mut rest = count;
    let mut parts = Vec::new();
    for (index, (size, letter)) in units.into_iter().enumerate() {
        if size > 0 && (index == 0 || rest >= size) {
            parts.push(format!("{}{letter}", rest / size));
            rest %= size;
        }
    }
    parts.join(" ")
}

/// As Python's `str`.
fn text(number: Number) -> String {
    match number {
        Number::Int(n) => n.to_string(),
        Number::Float(f) if f != 0.0 && f.abs() < 1e-4 => {
            let (digits, exponent) = split_exponent(f);
            format!("{digits}e-{exponent:02}")
        }
        Number::Float(f) => format!("{f:?}"),
    }
}

/// Digits and the amount of the negative exponent of a small number.
fn split_exponent(small: f64) -> (String, u32) {
    let text = format!("{small:e}");
    match text.split_once("e-") {
        Some((digits, exponent)) => (digits.to_owned(), exponent.parse().unwrap_or(0)),
        None => (text, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Number::{Float, Int};
    use super::*;

    #[test]
    fn messages() {
        for (seconds, text) in [
            (Int(0), "0"),
            (Int(59), "59s"),
            (Int(60), "1m"),
            (Int(3594), "59m 54s"),
            (Int(3595), "1h"),
            (Int(3600), "1h"),
            (Int(5400), "1h 30m"),
            (Int(86_399), "24h"),
            (Int(86_400), "1d"),
            (Int(604_799), "7d"),
            (Int(604_800), "1w"),
            (Int(33_696_000), "1y 3w 4d"),
            (Int(31_536_000), "1y"),
            (Int(-1), "-1s"),
            (Float(0.0), "0"),
            (Int(3655), "1h 1m"),
            (Int(86_390), "23h 59m"),
            (Int(86_430), "1d"),
            (Int(604_769), "6d 23h 59m"),
            (Int(606_600), "1w"),
            (Int(31_535_999), "52w 1d"),
            (Float(4000.7), "1h 6m"),
            (Float(125.7), "2.0m 5.700000000000003s"),
            (Float(60.0), "1.0m"),
            (Float(0.000_01), "1e-05s"),
            (Float(5400.0), "1h 30m"),
        ] {
            assert_eq!(format(seconds), text, "{seconds:?}");
        }
    }
}
