//! Time spans as administrators write them (`1d12h`, facts C44–C45) and as messages show them (D25).
//!
//! A span is a line of arithmetic in Python's syntax after units have become factors: `1d 12h`
//! is read as `1*86400+12*3600`. Errors are worded as Python words them, since `--str2sec` and
//! `set J bantime` pass them on.
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

    fn is_zero(self) -> bool {
        self.as_f64() == 0.0
    }

    fn kind(self) -> &'static str {
        match self {
            Number::Int(_) => "int",
            Number::Float(_) => "float",
        }
    }
}

/// Why a time span was refused; `Display` is the text for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DurationError(pub String);

/// Longest text of a span, in bytes.
const MAX_LENGTH: usize = 1000;

/// Brackets and signs within each other.
const MAX_DEPTH: u32 = 50;

/// Reads a time span: number and unit tokens, `+ - * / ( )`, blanks between terms add.
///
/// # Errors
/// Unknown unit, leading zero, anything that is no arithmetic.
pub fn parse(text: &str) -> Result<Number, DurationError> {
    if text.trim().is_empty() {
        return Err(DurationError(
            "invalid syntax (<string>, line 0)".to_owned(),
        ));
    }
    if text.len() > MAX_LENGTH {
        return Err(syntax("too many characters"));
    }
    let tokens = tokens(&add_terms(&expand_units(text)))?;
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        depth: 0,
        failed: None,
    };
    let value = reader.sum()?;
    let failed = reader.failed.take();
    match (reader.peek(), failed) {
        (Some(_), _) => Err(syntax("invalid syntax")),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(value),
    }
}

fn syntax(what: &str) -> DurationError {
    DurationError(format!("{what} (<string>, line 1)"))
}

/// A unit in any of its spellings, as the factor it stands for.
fn factor(word: &str) -> Option<&'static str> {
    const UNITS: &[(&[&str], &str)] = &[
        (&["d", "dd", "da", "day", "days"], "*86400"),
        (&["w", "ww", "we", "wee", "week", "weeks"], "*604800"),
        (&["mo", "mon", "month", "months"], "*2629800.0"),
        (&["y", "yy", "ye", "yea", "year", "years"], "*31557600.0"),
        (&["s", "ss", "se", "sec", "second", "seconds"], "*1"),
        (&["m", "mm", "mi", "min", "minute", "minutes"], "*60"),
        (&["h", "hh", "ho", "hou", "hour", "hours"], "*3600"),
    ];
    UNITS
        .iter()
        .find(|(names, _)| names.iter().any(|name| name.eq_ignore_ascii_case(word)))
        .map(|(_, factor)| *factor)
}

/// `1d12h` → `1*86400 12*3600`. A word counts as a unit behind a digit or a blank only.
fn expand_units(text: &str) -> String {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    let mut unit_may_follow = false;
    while let Some(c) = rest.chars().next() {
        if !c.is_ascii_alphabetic() {
            out.push(c);
            unit_may_follow = c.is_ascii_digit() || c.is_whitespace();
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, after) = rest.split_at(length);
        let next = after.chars().next();
        let digit_follows = next.is_some_and(|c| c.is_ascii_digit());
        let ends = digit_follows || !next.is_some_and(in_word);
        match factor(word) {
            Some(factor) if unit_may_follow && ends => out.push_str(factor),
            _ => out.push_str(word),
        }
        if digit_follows {
            out.push(' ');
        }
        unit_may_follow = false;
        rest = after;
    }
    out
}

/// Puts a plus between a digit and a digit with only blanks between them; each digit serves
/// one plus only, so `1 2 3` stays wrong.
fn add_terms(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        let term = rest.trim_start();
        if term.len() < rest.len() && term.starts_with(|c: char| c.is_ascii_digit()) {
            out.push('+');
            out.push_str(&term[..1]);
            rest = &term[1..];
        }
    }
    out.push_str(rest);
    out
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(Number),
    Name(String),
    Operator(Operator),
    Open,
    Close,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Divide,
    DivideWhole,
    Modulo,
    Power,
}

/// Splits into tokens. Python looks through the whole text for bad ones before it complains
/// about their order.
fn tokens(text: &str) -> Result<Vec<Token>, DurationError> {
    let mut tokens = Vec::new();
    let mut open = 0u32;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let operator = |operator, length| (Token::Operator(operator), length);
        let (token, length) = match c {
            _ if c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '#' => break,
            '0'..='9' => number(rest)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest)?,
            '+' => operator(Operator::Plus, 1),
            '-' => operator(Operator::Minus, 1),
            '*' if rest.starts_with("**") => operator(Operator::Power, 2),
            '*' => operator(Operator::Times, 1),
            '/' if rest.starts_with("//") => operator(Operator::DivideWhole, 2),
            '/' => operator(Operator::Divide, 1),
            '%' => operator(Operator::Modulo, 1),
            '(' => {
                open += 1;
                (Token::Open, 1)
            }
            ')' => {
                open = open.checked_sub(1).ok_or_else(|| syntax("unmatched ')'"))?;
                (Token::Close, 1)
            }
            _ if c.is_alphabetic() || c == '_' => {
                let length = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                (Token::Name(rest[..length].to_owned()), length)
            }
            _ => (Token::Other, c.len_utf8()),
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    if open > 0 {
        return Err(syntax("'(' was never closed"));
    }
    Ok(tokens)
}

/// A number at the start of a text, and its length.
fn number(text: &str) -> Result<(Token, usize), DurationError> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let mut at = from;
        while bytes.get(at).is_some_and(u8::is_ascii_digit)
            || at > from
                && bytes.get(at) == Some(&b'_')
                && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
        {
            at += 1;
        }
        at
    };
    let mut end = digits(0);
    let mut whole = true;
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
        whole = false;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let last = digits(end + 1 + sign);
        if last > end + 1 + sign {
            end = last;
            whole = false;
        }
    }
    if text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return Err(syntax("invalid decimal literal"));
    }
    let plain = text[..end].replace('_', "");
    let value = if !whole {
        plain.parse().map(Number::Float).ok()
    } else if plain.starts_with('0') && plain.bytes().any(|b| b != b'0') {
        return Err(syntax(
            "leading zeros in decimal integer literals are not permitted; use an 0o prefix for octal integers",
        ));
    } else {
        plain.parse().map(Number::Int).ok()
    };
    let value = value.ok_or_else(|| DurationError(format!("number too large: {plain}")))?;
    Ok((Token::Number(value), end))
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: u32,
    /// The first error of the arithmetic; reported only if the syntax holds to the end.
    failed: Option<DurationError>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn operator(&mut self, wanted: &[Operator]) -> Option<Operator> {
        match self.peek() {
            Some(Token::Operator(operator)) if wanted.contains(operator) => {
                let operator = *operator;
                self.at += 1;
                Some(operator)
            }
            _ => None,
        }
    }

    fn sum(&mut self) -> Result<Number, DurationError> {
        let mut value = self.product()?;
        while let Some(operator) = self.operator(&[Operator::Plus, Operator::Minus]) {
            let right = self.product()?;
            value = self.calculate(operator, value, right);
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Number, DurationError> {
        let mut value = self.signed()?;
        while let Some(operator) = self.operator(&[
            Operator::Times,
            Operator::Divide,
            Operator::DivideWhole,
            Operator::Modulo,
        ]) {
            let right = self.signed()?;
            value = self.calculate(operator, value, right);
        }
        Ok(value)
    }

    fn signed(&mut self) -> Result<Number, DurationError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax("too many nested parentheses"));
        }
        let value = match self.operator(&[Operator::Plus, Operator::Minus]) {
            Some(Operator::Minus) => {
                let value = self.signed()?;
                self.calculate(Operator::Minus, Number::Int(0), value)
            }
            Some(_) => self.signed()?,
            None => self.power()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn power(&mut self) -> Result<Number, DurationError> {
        let base = self.primary()?;
        if self.operator(&[Operator::Power]).is_some() {
            let exponent = self.signed()?;
            return Ok(self.calculate(Operator::Power, base, exponent));
        }
        Ok(base)
    }

    fn primary(&mut self) -> Result<Number, DurationError> {
        let token = self.peek().cloned();
        self.at += 1;
        let value = match token {
            Some(Token::Number(value)) => value,
            Some(Token::Name(name)) => {
                self.fail(format!("name '{name}' is not defined"));
                Number::Int(0)
            }
            Some(Token::Open) => {
                let value = self.sum()?;
                if self.peek() != Some(&Token::Close) {
                    return Err(syntax("invalid syntax"));
                }
                self.at += 1;
                value
            }
            _ => return Err(syntax("invalid syntax")),
        };
        if self.peek() == Some(&Token::Open) {
            self.fail(format!("'{}' object is not callable", value.kind()));
            return self.primary();
        }
        Ok(value)
    }

    fn fail(&mut self, message: String) {
        self.failed.get_or_insert(DurationError(message));
    }

    fn calculate(&mut self, operator: Operator, left: Number, right: Number) -> Number {
        match calculate(operator, left, right) {
            Ok(value) => value,
            Err(message) => {
                self.fail(message.to_owned());
                Number::Int(0)
            }
        }
    }
}

const TOO_LARGE: &str = "number too large";

fn calculate(operator: Operator, left: Number, right: Number) -> Result<Number, &'static str> {
    use Operator::{Divide, DivideWhole, Minus, Modulo, Plus, Power, Times};
    let floats = (left.as_f64(), right.as_f64());
    if matches!(operator, Divide | DivideWhole | Modulo) && right.is_zero() {
        return Err(match (operator, left, right) {
            (DivideWhole, Number::Int(_), Number::Int(_)) => "integer division or modulo by zero",
            (Modulo, Number::Int(_), Number::Int(_)) => "integer modulo by zero",
            (Divide, Number::Int(_), Number::Int(_)) => "division by zero",
            (Divide, ..) => "float division by zero",
            (Modulo, ..) => "float modulo",
            _ => "float floor division by zero",
        });
    }
    if let (Number::Int(a), Number::Int(b)) = (left, right)
        && operator != Divide
        && !(operator == Power && b < 0)
    {
        return match operator {
            Plus => a.checked_add(b),
            Minus => a.checked_sub(b),
            Times => a.checked_mul(b),
            DivideWhole => a.checked_div_euclid(b).map(|q| {
                if b < 0 && a.rem_euclid(b) != 0 {
                    q - 1
                } else {
                    q
                }
            }),
            Modulo => a.checked_rem(b).map(|r| {
                if r != 0 && (r < 0) != (b < 0) {
                    r + b
                } else {
                    r
                }
            }),
            _ => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        }
        .map(Number::Int)
        .ok_or(TOO_LARGE);
    }
    let (a, b) = floats;
    let value = match operator {
        Plus => a + b,
        Minus => a - b,
        Times => a * b,
        Divide => a / b,
        DivideWhole => (a / b).floor(),
        Modulo => {
            let r = a % b;
            if r != 0.0 && (r < 0.0) != (b < 0.0) {
                r + b
            } else {
                r
            }
        }
        Power => a.powf(b),
    };
    if value.is_finite() {
        Ok(Number::Float(value))
    } else {
        Err(TOO_LARGE)
    }
}

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
    if !rest.is_zero() {
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
    use super::*;
    use Number::{Float, Int};

    #[test]
    fn spans() {
        for (text, value) in [
            ("600", Int(600)),
            ("1d12h", Int(129_600)),
            ("1h1", Int(3601)),
            ("1 2", Int(3)),
            ("1h-30m", Int(1800)),
            ("-1", Int(-1)),
            ("1.5h", Float(5400.0)),
            ("1y 6mo", Float(47_336_400.0)),
            ("1mon", Float(2_629_800.0)),
            ("1h 2m 3s", Int(3723)),
            ("2*(1h+3)", Int(7206)),
            ("(1d 12h) * 2", Int(259_200)),
            ("1h 2*3", Int(3606)),
            ("1h h", Int(12_960_000)),
            ("1 h", Int(3600)),
            ("1MIN", Int(60)),
            ("1WeEks", Int(604_800)),
            ("1se 1mi 1ho", Int(3661)),
            ("1sec2min", Int(121)),
            ("1_000", Int(1000)),
            ("00", Int(0)),
            ("--5", Int(5)),
            ("1h--5", Int(3605)),
            ("10/2", Float(5.0)),
            ("7//2", Int(3)),
            ("-7//2", Int(-4)),
            ("7//-2", Int(-4)),
            ("-8//-2", Int(4)),
            ("-7//-2", Int(3)),
            ("-7%3", Int(2)),
            ("7%-3", Int(-2)),
            ("7.0//2", Float(3.0)),
            ("2**3", Int(8)),
            ("-2**2", Int(-4)),
            ("2**-1", Float(0.5)),
            ("1e-3", Float(0.001)),
            ("1h.5", Float(3600.5)),
            (".5h", Float(1800.0)),
            ("1 000", Int(1)),
            (" 5 ", Int(5)),
            ("1d\t2h", Int(93_600)),
            ("1#2", Int(1)),
            ("1\n2", Int(3)),
            ("1 h2", Int(3602)),
            ("1 -2", Int(-1)),
            ("6/2h", Float(10_800.0)),
            ("1h30m*2", Int(7200)),
            ("7%4", Int(3)),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn refusals_are_worded_as_python_words_them() {
        const ZEROS: &str = "leading zeros in decimal integer literals are not permitted; use an 0o prefix for octal integers (<string>, line 1)";
        for (text, error) in [
            ("01h", ZEROS),
            ("007", ZEROS),
            ("1e3", "invalid decimal literal (<string>, line 1)"),
            ("1x", "invalid decimal literal (<string>, line 1)"),
            ("1.h", "invalid decimal literal (<string>, line 1)"),
            ("1_", "invalid decimal literal (<string>, line 1)"),
            ("1é", "invalid decimal literal (<string>, line 1)"),
            ("1d 2foo", "invalid decimal literal (<string>, line 1)"),
            ("", "invalid syntax (<string>, line 0)"),
            (" ", "invalid syntax (<string>, line 0)"),
            ("abc", "name 'abc' is not defined"),
            ("h", "name 'h' is not defined"),
            ("h1", "invalid syntax (<string>, line 1)"),
            ("1 2 3", "invalid syntax (<string>, line 1)"),
            ("5 min ago", "invalid syntax (<string>, line 1)"),
            ("1.2.3", "invalid syntax (<string>, line 1)"),
            ("1+", "invalid syntax (<string>, line 1)"),
            ("*5", "invalid syntax (<string>, line 1)"),
            ("1*/2", "invalid syntax (<string>, line 1)"),
            ("(1h", "'(' was never closed (<string>, line 1)"),
            ("1h)", "unmatched ')' (<string>, line 1)"),
            ("1/0", "division by zero"),
            ("1//0", "integer division or modulo by zero"),
            ("1%0", "integer modulo by zero"),
            ("(1)(2)", "'int' object is not callable"),
            ("1 $", "invalid syntax (<string>, line 1)"),
            ("9**9**9", "number too large"),
            (
                "99999999999999999999",
                "number too large: 99999999999999999999",
            ),
        ] {
            assert_eq!(parse(text), Err(DurationError(error.to_owned())), "{text}");
        }
        assert!(parse(&"(".repeat(900)).is_err());
        assert!(parse(&"-".repeat(900)).is_err());
        assert!(parse(&format!("{}1{}", "(".repeat(400), ")".repeat(400))).is_err());
    }

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

    #[test]
    fn no_text_is_too_odd() {
        let mut random = fastrand::Rng::with_seed(7);
        let alphabet: Vec<char> = "0123456789.smhdwyouen +-*/%()_#\u{e9}".chars().collect();
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
