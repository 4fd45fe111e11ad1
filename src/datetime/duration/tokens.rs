//! Splits a time span into the tokens of an arithmetic expression: units become factors, blanks between
//! terms become plus signs.
#![forbid(unsafe_code)]

use super::syntax;
use crate::python::{Number, PythonException};

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
pub(super) fn expand_units(text: &str) -> String {
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
pub(super) fn add_terms(text: &str) -> String {
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
pub(super) enum SpanToken {
    Number(Number),
    Name(String),
    Operator(&'static str),
    Open,
    Close,
    Other,
}

/// Splits into tokens. Python looks through the whole text for bad ones before it complains
/// about their order.
pub(super) fn tokens(text: &str) -> Result<Vec<SpanToken>, PythonException> {
    let mut tokens = Vec::new();
    let mut open = 0u32;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let operator = |text: &'static str| (SpanToken::Operator(text), text.len());
        let (token, length) = match c {
            _ if c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '#' => break,
            '0'..='9' => number(rest)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest)?,
            '+' => operator("+"),
            '-' => operator("-"),
            '*' if rest.starts_with("**") => operator("**"),
            '*' => operator("*"),
            '/' if rest.starts_with("//") => operator("//"),
            '/' => operator("/"),
            '%' => operator("%"),
            '(' => {
                open += 1;
                (SpanToken::Open, 1)
            }
            ')' => {
                open = open.checked_sub(1).ok_or_else(|| syntax("unmatched ')'"))?;
                (SpanToken::Close, 1)
            }
            _ if c.is_alphabetic() || c == '_' => {
                let length = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                (SpanToken::Name(rest[..length].to_owned()), length)
            }
            _ => (SpanToken::Other, c.len_utf8()),
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
fn number(text: &str) -> Result<(SpanToken, usize), PythonException> {
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
    let value = value.ok_or_else(|| {
        PythonException::new("OverflowError", format!("number too large: {plain}"))
    })?;
    Ok((SpanToken::Number(value), end))
}
