//! The values of commands and replies: the Python values that fail2ban sends over its socket, with Python's
//! texts (`str`, `repr`) and number conversions, because clients print the former and error texts of the
//! server come from the latter.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::{Number, PythonException, text};

/// A Python value of the control protocol. Clients tell tuple from list and int from float.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float`
    Float(f64),
    /// `str`
    Str(String),
    /// An address: on the wire a call of `builtins.str` on its text (fact P3).
    Ip(String),
    /// `list`
    List(Vec<Value>),
    /// `tuple`
    Tuple(Vec<Value>),
    /// `dict`, in order of insertion
    Dict(Vec<(Value, Value)>),
}

impl Value {
    /// The text, when this is one (`str` or address).
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) | Value::Ip(text) => Some(text),
            _ => None,
        }
    }

    /// The members of a list or tuple.
    pub fn as_slice(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// What Python's `str()` makes of it: text as it is, everything else as [`Value::repr`].
    pub fn str(&self) -> Cow<'_, str> {
        match self.as_str() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.repr()),
        }
    }

    /// What Python's `repr()` makes of it.
    pub fn repr(&self) -> String {
        let mut out = String::new();
        // writing to a String cannot fail
        let _ = self.write_repr(&mut out);
        out
    }

    fn write_repr(&self, out: &mut String) -> fmt::Result {
        match self {
            Value::None => out.write_str("None"),
            Value::Bool(flag) => out.write_str(if *flag { "True" } else { "False" }),
            Value::Int(number) => write!(out, "{number}"),
            Value::Float(number) => write_float(*number, out),
            Value::Str(text) | Value::Ip(text) => write_quoted(text, out),
            Value::List(items) => {
                out.write_char('[')?;
                write_items(items, out)?;
                out.write_char(']')
            }
            Value::Tuple(items) => {
                out.write_char('(')?;
                write_items(items, out)?;
                out.write_str(if items.len() == 1 { ",)" } else { ")" })
            }
            Value::Dict(pairs) => {
                out.write_char('{')?;
                for (n, (key, value)) in pairs.iter().enumerate() {
                    if n > 0 {
                        out.write_str(", ")?;
                    }
                    key.write_repr(out)?;
                    out.write_str(": ")?;
                    value.write_repr(out)?;
                }
                out.write_char('}')
            }
        }
    }

    /// The name of its Python type, for error texts.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) | Value::Ip(_) => "str",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Dict(_) => "dict",
        }
    }

    /// Python's `bool()`: a text is true when it is not empty, even `0`.
    pub fn is_true(&self) -> bool {
        match self {
            Value::None => false,
            Value::Bool(flag) => *flag,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Str(text) | Value::Ip(text) => !text.is_empty(),
            Value::List(items) | Value::Tuple(items) => !items.is_empty(),
            Value::Dict(pairs) => !pairs.is_empty(),
        }
    }

    /// How fail2ban reads a flag: of texts only `1 on true yes` are true (fact C55).
    pub fn is_on(&self) -> bool {
        match self.as_str() {
            Some(text) => text::is_on(text),
            None => self.is_true(),
        }
    }

    /// Python's `int()`: blanks around and underscores between digits are fine, floats lose their
    /// fraction.
    ///
    /// # Errors
    /// `ValueError` or `TypeError` with Python's text (facts C51, P55); a number beyond 64 bits.
    pub fn to_int(&self) -> Result<i64, PythonException> {
        match self {
            Value::Int(number) => Ok(*number),
            Value::Bool(flag) => Ok(i64::from(*flag)),
            Value::Float(number) if number.is_nan() => Err(PythonException::new(
                "ValueError",
                "cannot convert float NaN to integer",
            )),
            Value::Float(number) if number.is_infinite() => Err(PythonException::new(
                "OverflowError",
                "cannot convert float infinity to integer",
            )),
            // saturates beyond 64 bits
            Value::Float(number) => Ok(number.trunc() as i64),
            Value::Str(text) | Value::Ip(text) => digits(text)
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(|| {
                    // Python shows no more of it
                    let shown: String = self.repr().chars().take(200).collect();
                    PythonException::new(
                        "ValueError",
                        format!("invalid literal for int() with base 10: {shown}"),
                    )
                }),
            _ => Err(PythonException::new(
                "TypeError",
                format!(
                    "int() argument must be a string, a bytes-like object or a real number, not '{}'",
                    self.type_name()
                ),
            )),
        }
    }

    /// Python's `float()`.
    ///
    /// # Errors
    /// `ValueError` or `TypeError` with Python's text.
    pub fn to_float(&self) -> Result<f64, PythonException> {
        match self {
            Value::Int(number) => Ok(*number as f64),
            Value::Bool(flag) => Ok(f64::from(u8::from(*flag))),
            Value::Float(number) => Ok(*number),
            Value::Str(text) | Value::Ip(text) => digits(text)
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(|| {
                    PythonException::new(
                        "ValueError",
                        format!("could not convert string to float: {}", self.repr()),
                    )
                }),
            _ => Err(PythonException::new(
                "TypeError",
                format!(
                    "float() argument must be a string or a real number, not '{}'",
                    self.type_name()
                ),
            )),
        }
    }
}

/// The text of a number as Rust's parsers want it: without blanks around it and without
/// underscores, which Python allows between digits only.
fn digits(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let between_digits = |at: usize| {
        at > 0
            && bytes[at - 1].is_ascii_digit()
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
    };
    text.bytes()
        .enumerate()
        .all(|(at, byte)| byte != b'_' || between_digits(at))
        .then(|| Cow::Owned(text.replace('_', "")))
}

fn write_items(items: &[Value], out: &mut String) -> fmt::Result {
    for (n, item) in items.iter().enumerate() {
        if n > 0 {
            out.write_str(", ")?;
        }
        item.write_repr(out)?;
    }
    Ok(())
}

/// Python writes the shortest digits that read back as the same number, with an exponent when the
/// point would stand more than four places before or sixteen behind the first digit.
fn write_float(number: f64, out: &mut String) -> fmt::Result {
    if number.is_nan() {
        return out.write_str("nan");
    }
    if number.is_infinite() {
        return out.write_str(if number > 0.0 { "inf" } else { "-inf" });
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return write!(out, "{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "{mantissa}e{sign}{:02}", exponent.abs())
}

/// Python prefers single quotes unless the text has some and no double ones; what does not print
/// is escaped.
fn write_quoted(text: &str, out: &mut String) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.write_char(quote)?;
    // most of a text stays as it is
    let stays = |b: u8| matches!(b, b' '..=b'~') && b != b'\\' && char::from(b) != quote;
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| !stays(b)) {
        out.push_str(&rest[..at]);
        let mut chars = rest[at..].chars();
        match chars.next() {
            None => {}
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c) if c == quote => write!(out, "\\{c}")?,
            Some(c) if !c.is_ascii() && is_printable(c) => out.push(c),
            Some(c) => match u32::from(c) {
                code @ ..0x100 => write!(out, "\\x{code:02x}")?,
                code @ ..0x1_0000 => write!(out, "\\u{code:04x}")?,
                code => write!(out, "\\U{code:08x}")?,
            },
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.write_char(quote)
}

/// Whether Python prints a character beyond ASCII as it is.
fn is_printable(c: char) -> bool {
    // The standard library's own escaping agrees, but for combining characters at the beginning
    // of a text: hence the letter before.
    let shown: String = ['a', c].iter().collect();
    !shown.escape_debug().any(|shown| shown == '\\')
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(text)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Value {
        match number {
            Number::Int(number) => Value::Int(number),
            Number::Float(number) => Value::Float(number),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Bool(flag)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::None, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected texts were printed by Python 3.11.
    #[test]
    fn repr_is_pythons() {
        let table: &[(Value, &str)] = &[
            (Value::None, "None"),
            (true.into(), "True"),
            (Value::Int(-5), "-5"),
            (Value::Float(1.0), "1.0"),
            (Value::Float(-0.0), "-0.0"),
            (Value::Float(0.1), "0.1"),
            (Value::Float(1e15), "1000000000000000.0"),
            (Value::Float(1e16), "1e+16"),
            (Value::Float(1.5e-5), "1.5e-05"),
            (Value::Float(0.0001), "0.0001"),
            (Value::Float(1.25e300), "1.25e+300"),
            (Value::Float(f64::INFINITY), "inf"),
            (Value::Float(f64::NEG_INFINITY), "-inf"),
            (Value::Float(f64::NAN), "nan"),
            ("it's".into(), "\"it's\""),
            ("say \"x\"".into(), "'say \"x\"'"),
            ("'\"".into(), "'\\'\"'"),
            ("a\\b\n\r\t\0\x7f".into(), "'a\\\\b\\n\\r\\t\\x00\\x7f'"),
            (
                "\u{e9}\u{a0}\u{ad}\u{200b}\u{1f600}\u{e0001}".into(),
                "'\u{e9}\\xa0\\xad\\u200b\u{1f600}\\U000e0001'",
            ),
            ("\u{301}e".into(), "'\u{301}e'"),
            (Value::Ip("192.0.2.1".into()), "'192.0.2.1'"),
            (Value::List(vec![]), "[]"),
            (Value::Tuple(vec![]), "()"),
            (Value::Tuple(vec!["a".into()]), "('a',)"),
            (Value::Tuple(vec![Value::Int(1), Value::None]), "(1, None)"),
            (
                Value::Dict(vec![
                    ("ok".into(), vec!["1.2.3.4"].into()),
                    (Value::Int(1), Value::None),
                ]),
                "{'ok': ['1.2.3.4'], 1: None}",
            ),
        ];
        for (value, expected) in table {
            assert_eq!(value.repr(), *expected);
        }
    }

    #[test]
    fn str_leaves_text_alone() {
        assert_eq!(Value::from("it's").str(), "it's");
        assert_eq!(Value::List(vec!["a".into()]).str(), "['a']");
    }

    #[test]
    fn flags_are_on_for_four_words() {
        for text in ["1", "on", "TRUE", "Yes"] {
            assert!(Value::from(text).is_on(), "{text}");
        }
        for text in ["y", "t", "2", "maybe", "", "off"] {
            assert!(!Value::from(text).is_on(), "{text}");
        }
        assert!(Value::Int(2).is_on());
        assert!(!Value::None.is_on());
        assert!(Value::from("0").is_true());
        assert!(!Value::from("").is_true());
    }

    #[test]
    fn numbers_as_python_reads_them() {
        for (text, number) in [(" 7 ", 7), ("+7", 7), ("-3", -3), ("1_000", 1000)] {
            assert_eq!(Value::from(text).to_int(), Ok(number), "{text}");
        }
        assert_eq!(Value::Float(-1.9).to_int(), Ok(-1));
        assert_eq!(Value::Bool(true).to_int(), Ok(1));
        for text in ["", "abc", "1.5", "1__0", "_1", "1_", "0x10"] {
            let error = Value::from(text).to_int().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("invalid literal for int() with base 10: '{text}'")
            );
        }
        assert_eq!(
            Value::None.to_int().unwrap_err().to_string(),
            "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"
        );
        assert_eq!(Value::from("1e3").to_float(), Ok(1000.0));
        assert_eq!(
            Value::from("x").to_float().unwrap_err().to_string(),
            "could not convert string to float: 'x'"
        );
    }
}
