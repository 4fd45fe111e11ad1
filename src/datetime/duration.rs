//! Time spans as administrators write them (`1d12h`, facts C44–C45) and as messages show them (D25).
//!
//! The original lets Python evaluate the text after units became factors; here a small evaluator
//! with Python's arithmetic does it: `+ - * / // % **`, brackets, and a plus wherever a number
//! follows a finished term.
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

/// No sensible text is longer, and brackets nest no deeper than this.
const LONGEST: usize = 1024;
const DEEPEST: u32 = 32;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// The original's year has 365.25 days, its month is a twelfth of that; both are floats.
const YEAR: f64 = 31_557_600.0;

/// Reads a time span: number and unit tokens, `+ - * / ( )`, blanks between terms add.
///
/// # Errors
/// Unknown unit, leading zero, anything that is no arithmetic; texts as Python's where it has one.
pub fn parse(text: &str) -> Result<Number, DurationError> {
    if text.len() > LONGEST {
        return Err(DurationError("time expression too long".to_owned()));
    }
    let mut reader = Reader {
        tokens: tokens(text)?,
        at: 0,
        depth: 0,
    };
    if reader.tokens.is_empty() {
        return Err(syntax(0));
    }
    let value = reader.sum()?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(syntax(1)),
    }
}

fn syntax(line: u8) -> DurationError {
    DurationError(format!("invalid syntax (<string>, line {line})"))
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(Number),
    /// Seconds of the unit.
    Unit(Number),
    Operator(&'static str),
}

/// Seconds of a unit by its name in any case.
fn unit(word: &str) -> Option<Number> {
    Some(match word.to_ascii_lowercase().as_str() {
        "s" | "ss" | "sec" | "second" | "seconds" => Number::Int(1),
        "m" | "mm" | "min" | "minute" | "minutes" => Number::Int(MINUTE),
        "h" | "hh" | "hou" | "hour" | "hours" => Number::Int(HOUR),
        "d" | "dd" | "da" | "day" | "days" => Number::Int(DAY),
        "w" | "ww" | "wee" | "week" | "weeks" => Number::Int(WEEK),
        "mo" | "mon" | "month" | "months" => Number::Float(YEAR / 12.0),
        "y" | "yy" | "yea" | "year" | "years" => Number::Float(YEAR),
        _ => return None,
    })
}

fn tokens(text: &str) -> Result<Vec<Token>, DurationError> {
    const OPERATORS: [&str; 9] = ["**", "//", "+", "-", "*", "/", "%", "(", ")"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_digit() || first == '.' {
            let length = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
                .unwrap_or(rest.len());
            tokens.push(Token::Number(number(&rest[..length])?));
            length
        } else if first.is_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !c.is_alphabetic() && c != '_')
                .unwrap_or(rest.len());
            let word = &rest[..length];
            match (unit(word), tokens.last()) {
                (Some(seconds), Some(Token::Number(_))) => tokens.push(Token::Unit(seconds)),
                (_, Some(Token::Number(_))) if !rest_begins_spaced(text, rest) => {
                    return Err(DurationError(
                        "invalid decimal literal (<string>, line 1)".to_owned(),
                    ));
                }
                (_, None | Some(Token::Operator(_))) => {
                    return Err(DurationError(format!("name '{word}' is not defined")));
                }
                _ => return Err(syntax(1)),
            }
            length
        } else {
            let operator = OPERATORS
                .iter()
                .find(|operator| rest.starts_with(**operator));
            let Some(operator) = operator else {
                return Err(syntax(1));
            };
            tokens.push(Token::Operator(operator));
            operator.len()
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Whether white space stands before `rest`, which is a tail of `text`.
fn rest_begins_spaced(text: &str, rest: &str) -> bool {
    let before = &text[..text.len() - rest.len()];
    before.ends_with(char::is_whitespace)
}

fn number(text: &str) -> Result<Number, DurationError> {
    let bad = || DurationError("invalid decimal literal (<string>, line 1)".to_owned());
    if text.ends_with('_') || text.contains("__") || text.contains("._") || text.contains("_.") {
        return Err(bad());
    }
    let digits = text.replace('_', "");
    if digits.contains('.') {
        return match digits.ends_with('.') || digits == "." {
            // `1.h`: Python reads the unit as part of the number
            true if digits.len() > 1 && !digits[..digits.len() - 1].contains('.') => {
                digits.parse().map(Number::Float).map_err(|_| bad())
            }
            true => Err(syntax(1)),
            false => digits.parse().map(Number::Float).map_err(|_| syntax(1)),
        };
    }
    if digits.starts_with('0') && digits.bytes().any(|digit| digit != b'0') {
        return Err(DurationError(
            "leading zeros in decimal integer literals are not permitted; use an 0o prefix for \
             octal integers (<string>, line 1)"
                .to_owned(),
        ));
    }
    digits
        .parse()
        .map(Number::Int)
        .map_err(|_| DurationError(format!("number too large: {text}")))
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn accept(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        match self.peek() {
            Some(Token::Operator(operator)) if operators.contains(operator) => {
                let operator = *operator;
                self.at += 1;
                Some(operator)
            }
            _ => None,
        }
    }

    fn sum(&mut self) -> Result<Number, DurationError> {
        let mut value = self.product()?;
        loop {
            if let Some(operator) = self.accept(&["+", "-"]) {
                let right = self.product()?;
                value = calculate(operator, value, right)?;
            } else if let Some(Token::Number(_)) = self.peek() {
                let right = self.product()?;
                value = calculate("+", value, right)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<Number, DurationError> {
        let mut value = self.signed()?;
        loop {
            if let Some(operator) = self.accept(&["*", "//", "/", "%"]) {
                let right = self.signed()?;
                value = calculate(operator, value, right)?;
            } else if let Some(Token::Unit(seconds)) = self.peek() {
                let seconds = *seconds;
                self.at += 1;
                value = calculate("*", value, seconds)?;
            } else {
                return Ok(value);
            }
        }
    }

    fn signed(&mut self) -> Result<Number, DurationError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(DurationError(
                "time expression nested too deeply".to_owned(),
            ));
        }
        let value = match self.accept(&["-", "+"]) {
            Some("-") => calculate("-", Number::Int(0), self.signed()?),
            Some(_) => self.signed(),
            None => self.power(),
        };
        self.depth -= 1;
        value
    }

    fn power(&mut self) -> Result<Number, DurationError> {
        let base = self.atom()?;
        match self.accept(&["**"]) {
            Some(_) => {
                let exponent = self.signed()?;
                calculate("**", base, exponent)
            }
            None => Ok(base),
        }
    }

    fn atom(&mut self) -> Result<Number, DurationError> {
        if self.accept(&["("]).is_some() {
            let value = self.sum()?;
            return match self.accept(&[")"]) {
                Some(_) => Ok(value),
                None => Err(syntax(1)),
            };
        }
        match self.peek() {
            Some(Token::Number(number)) => {
                let number = *number;
                self.at += 1;
                Ok(number)
            }
            _ => Err(syntax(1)),
        }
    }
}

/// Python's arithmetic on ints and floats; a result that fits no `i64` is refused.
fn calculate(operator: &str, left: Number, right: Number) -> Result<Number, DurationError> {
    use Number::{Float, Int};
    let by_zero = |what: &str| DurationError(what.to_owned());
    let value = match (operator, left, right) {
        ("/", _, _) if right.as_f64() == 0.0 => return Err(by_zero("division by zero")),
        ("/", _, _) => Float(left.as_f64() / right.as_f64()),
        ("//" | "%", _, Int(0)) => return Err(by_zero("integer division or modulo by zero")),
        ("//" | "%", _, _) if right.as_f64() == 0.0 => {
            return Err(by_zero("float floor division by zero"));
        }
        (_, Int(a), Int(b)) => {
            let whole = match operator {
                "+" => a.checked_add(b),
                "-" => a.checked_sub(b),
                "*" => a.checked_mul(b),
                // Python rounds down, the sign of the remainder is the divisor's
                "//" => a.checked_div(b).map(|q| {
                    if (a % b != 0) && ((a < 0) != (b < 0)) {
                        q - 1
                    } else {
                        q
                    }
                }),
                "%" => a.checked_rem(b).map(|r| {
                    if r != 0 && ((r < 0) != (b < 0)) {
                        r + b
                    } else {
                        r
                    }
                }),
                _ if b < 0 => return Ok(Float((a as f64).powf(b as f64))),
                _ => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            };
            Int(whole.ok_or_else(|| DurationError("time value too large".to_owned()))?)
        }
        _ => {
            let (a, b) = (left.as_f64(), right.as_f64());
            Float(match operator {
                "+" => a + b,
                "-" => a - b,
                "*" => a * b,
                "//" => (a / b).floor(),
                "%" => a - b * (a / b).floor(),
                _ => a.powf(b),
            })
        }
    };
    match value {
        Float(number) if !number.is_finite() => {
            Err(DurationError("time value too large".to_owned()))
        }
        value => Ok(value),
    }
}

/// Writes a span in at most three units: `1h`, `59m 54s`, `1y 3w 4d`.
///
/// The larger the span, the coarser it is rounded: to days, hours, minutes, ten seconds.
pub fn format(seconds: Number) -> String {
    const YEAR_OF_DAYS: i64 = 365 * DAY;
    let span = seconds.as_f64();
    let rounded = |step: i64| (span / step as f64).round_ties_even() as i64 * step;
    if span >= YEAR_OF_DAYS as f64 {
        units(
            rounded(DAY),
            &[(YEAR_OF_DAYS, "y"), (WEEK, "w"), (DAY, "d")],
        )
    } else if span >= WEEK as f64 {
        units(rounded(HOUR), &[(WEEK, "w"), (DAY, "d"), (HOUR, "h")])
    } else if span >= DAY as f64 {
        units(rounded(MINUTE), &[(DAY, "d"), (HOUR, "h"), (MINUTE, "m")])
    } else if rounded(10) >= HOUR {
        units(rounded(10), &[(HOUR, "h"), (MINUTE, "m")])
    } else {
        short(seconds)
    }
}

fn units(mut rest: i64, units: &[(i64, &str)]) -> String {
    let mut parts = Vec::new();
    for (seconds, name) in units {
        let count = rest / seconds;
        rest %= seconds;
        if count > 0 {
            parts.push(format!("{count}{name}"));
        }
    }
    parts.join(" ")
}

/// Less than an hour: nothing is rounded, so that floats show all their digits.
fn short(seconds: Number) -> String {
    match seconds {
        Number::Int(span) if span >= MINUTE => units(span, &[(MINUTE, "m"), (1, "s")]),
        Number::Float(span) if span >= MINUTE as f64 => {
            let minutes = (span / 60.0).floor();
            match span % 60.0 {
                0.0 => format!("{minutes:?}m"),
                rest => format!("{minutes:?}m {rest:?}s"),
            }
        }
        Number::Int(0) => "0".to_owned(),
        Number::Float(0.0) => "0".to_owned(),
        Number::Int(span) => format!("{span}s"),
        Number::Float(span) => format!("{span:?}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Number::{Float, Int};

    #[test]
    fn spans_are_evaluated_as_by_python() {
        for (text, value) in [
            ("600", Int(600)),
            ("1d12h", Int(129_600)),
            ("1h1", Int(3601)),
            ("1 2", Int(3)),
            ("1\n2", Int(3)),
            ("1 h2", Int(3602)),
            ("1h-30m", Int(1800)),
            ("1 -2", Int(-1)),
            ("1- 2h", Int(-7199)),
            ("-1", Int(-1)),
            ("--5", Int(5)),
            ("2*3", Int(6)),
            ("6/2h", Float(10_800.0)),
            ("2h*3", Int(21_600)),
            ("1h30m*2", Int(7200)),
            ("(1h+2)*3", Int(10_806)),
            ("7%4", Int(3)),
            ("-7//2", Int(-4)),
            ("2**3", Int(8)),
            ("-2**2", Int(-4)),
            (".5h", Float(1800.0)),
            ("1.5h", Float(5400.0)),
            ("1y 6mo", Float(47_336_400.0)),
            ("2MIN", Int(120)),
            ("2 weeks", Int(1_209_600)),
            ("1_000", Int(1000)),
            ("00", Int(0)),
            ("0.0", Float(0.0)),
        ] {
            assert_eq!(parse(text), Ok(value), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for (text, message) in [
            ("", "invalid syntax (<string>, line 0)"),
            ("abc", "name 'abc' is not defined"),
            ("h", "name 'h' is not defined"),
            ("5x", "invalid decimal literal (<string>, line 1)"),
            ("2secs", "invalid decimal literal (<string>, line 1)"),
            ("1e3", "invalid decimal literal (<string>, line 1)"),
            ("5 apples", "invalid syntax (<string>, line 1)"),
            ("1h!", "invalid syntax (<string>, line 1)"),
            ("1/0", "division by zero"),
            ("(1", "invalid syntax (<string>, line 1)"),
        ] {
            assert_eq!(
                parse(text),
                Err(DurationError(message.to_owned())),
                "{text:?}"
            );
        }
        let error = parse("01h").expect_err("leading zero").0;
        assert!(error.starts_with("leading zeros in decimal integer literals"));
        assert!(parse(&"(".repeat(900)).is_err());
        assert!(parse(&"-".repeat(900)).is_err());
        assert!(parse("9**99").is_err());
    }

    #[test]
    fn spans_are_written_in_three_units_at_most() {
        for (span, text) in [
            (Int(0), "0"),
            (Int(59), "59s"),
            (Int(60), "1m"),
            (Int(125), "2m 5s"),
            (Float(125.7), "2.0m 5.700000000000003s"),
            (Int(3594), "59m 54s"),
            (Int(3595), "1h"),
            (Int(3655), "1h 1m"),
            (Int(86_390), "23h 59m"),
            (Int(86_399), "24h"),
            (Int(86_430), "1d"),
            (Int(604_769), "6d 23h 59m"),
            (Int(604_799), "7d"),
            (Int(606_600), "1w"),
            (Int(31_535_999), "52w 1d"),
            (Int(31_536_000), "1y"),
            (Int(33_696_000), "1y 3w 4d"),
            (Float(4000.7), "1h 6m"),
            (Int(-5), "-5s"),
        ] {
            assert_eq!(format(span), text, "{span:?}");
        }
    }

    #[test]
    fn no_text_is_too_odd() {
        let mut random = fastrand::Rng::with_seed(7);
        let alphabet: Vec<char> = "0123456789.smhdwyoun +-*/%()_\u{e9}".chars().collect();
        for _ in 0..20_000 {
            let length = random.usize(..12);
            let text: String = (0..length)
                .map(|_| alphabet[random.usize(..alphabet.len())])
                .collect();
            if let Ok(value) = parse(&text) {
                format(value);
            }
        }
    }
}
