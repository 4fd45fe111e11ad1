//! Time spans as administrators write them (`1d12h`, facts C44–C45) and as messages show them (D25).
//!
//! A span is a line of arithmetic in Python's syntax after units have become factors: `1d 12h`
//! is read as `1*86400+12*3600`. Errors are worded as Python words them, since `--str2sec` and
//! `set J bantime` pass them on.
#![forbid(unsafe_code)]

mod format;
mod tokens;

pub use self::format::format;
use self::tokens::{SpanToken, add_terms, expand_units, tokens};
use crate::python::{Number, PythonException};

/// Longest text of a span, in bytes.
const MAX_LENGTH: usize = 1000;

/// Brackets and signs within each other.
const MAX_DEPTH: u32 = 50;

/// Reads a time span: number and unit tokens, `+ - * / ( )`, blanks between terms add.
///
/// # Errors
/// Unknown unit, leading zero, anything that is no arithmetic.
pub fn parse(text: &str) -> Result<Number, PythonException> {
    if text.trim().is_empty() {
        return Err(PythonException::new(
            "SyntaxError",
            "invalid syntax (<string>, line 0)",
        ));
    }
    if text.len() > MAX_LENGTH {
        return Err(syntax("too many characters"));
    }
    let tokens = tokens(&add_terms(&expand_units(text)))?;
    let mut reader = SpanParser {
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

fn syntax(what: &str) -> PythonException {
    PythonException::new("SyntaxError", format!("{what} (<string>, line 1)"))
}

struct SpanParser<'t> {
    tokens: &'t [SpanToken],
    at: usize,
    depth: u32,
    /// The first error of the arithmetic; reported only if the syntax holds to the end.
    failed: Option<PythonException>,
}

impl SpanParser<'_> {
    fn peek(&self) -> Option<&SpanToken> {
        self.tokens.get(self.at)
    }

    fn operator(&mut self, wanted: &[&str]) -> Option<&'static str> {
        match self.peek() {
            Some(&SpanToken::Operator(operator)) if wanted.contains(&operator) => {
                self.at += 1;
                Some(operator)
            }
            _ => None,
        }
    }

    fn sum(&mut self) -> Result<Number, PythonException> {
        let mut value = self.product()?;
        while let Some(operator) = self.operator(&["+", "-"]) {
            let right = self.product()?;
            value = self.calculate(operator, value, right);
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Number, PythonException> {
        let mut value = self.signed()?;
        while let Some(operator) = self.operator(&["*", "/", "//", "%"]) {
            let right = self.signed()?;
            value = self.calculate(operator, value, right);
        }
        Ok(value)
    }

    fn signed(&mut self) -> Result<Number, PythonException> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax("too many nested parentheses"));
        }
        let value = match self.operator(&["+", "-"]) {
            Some("-") => {
                let value = self.signed()?;
                self.calculate("-", Number::Int(0), value)
            }
            Some(_) => self.signed()?,
            None => self.power()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn power(&mut self) -> Result<Number, PythonException> {
        let base = self.primary()?;
        if self.operator(&["**"]).is_some() {
            let exponent = self.signed()?;
            return Ok(self.calculate("**", base, exponent));
        }
        Ok(base)
    }

    fn primary(&mut self) -> Result<Number, PythonException> {
        let token = self.peek().cloned();
        self.at += 1;
        let value = match token {
            Some(SpanToken::Number(value)) => value,
            Some(SpanToken::Name(name)) => {
                self.fail("NameError", format!("name '{name}' is not defined"));
                Number::Int(0)
            }
            Some(SpanToken::Open) => {
                let value = self.sum()?;
                if self.peek() != Some(&SpanToken::Close) {
                    return Err(syntax("invalid syntax"));
                }
                self.at += 1;
                value
            }
            _ => return Err(syntax("invalid syntax")),
        };
        if self.peek() == Some(&SpanToken::Open) {
            let text = format!("'{}' object is not callable", value.type_name());
            self.fail("TypeError", text);
            return self.primary();
        }
        Ok(value)
    }

    fn fail(&mut self, class: &'static str, text: String) {
        self.failed.get_or_insert(PythonException::new(class, text));
    }

    /// A result beyond all spans is an error, where Python would go on.
    fn calculate(&mut self, operator: &str, left: Number, right: Number) -> Number {
        let result = left.binary(operator, right).and_then(|value| {
            let whole = (left.type_name(), right.type_name()) == ("int", "int");
            let rounded = whole && operator != "/" && value.as_f64().abs() > 9e18;
            match value {
                Number::Float(float) if rounded || !float.is_finite() => {
                    Err(PythonException::new("OverflowError", "number too large"))
                }
                value => Ok(value),
            }
        });
        result.unwrap_or_else(|error| {
            self.failed.get_or_insert(error);
            Number::Int(0)
        })
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
            assert_eq!(parse(text).unwrap_err().text, error, "{text}");
        }
        assert!(parse(&"(".repeat(900)).is_err());
        assert!(parse(&"-".repeat(900)).is_err());
        assert!(parse(&format!("{}1{}", "(".repeat(400), ")".repeat(400))).is_err());
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
