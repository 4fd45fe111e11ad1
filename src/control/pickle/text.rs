//! The text encodings of pickle.

use std::borrow::Cow;

use super::PickleError;

/// Text of all protocols but the first. Byte strings are read as text too: Go clients and Python 2
/// write nothing else.
pub(super) fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, PickleError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => without_surrogates(bytes)
            .map(Cow::Owned)
            .ok_or(PickleError::Unreadable("text")),
    }
}

/// Python writes bytes of its arguments that are no UTF-8 as lone surrogates, which no text here
/// can hold.
fn without_surrogates(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        if let [0xed, 0xa0..=0xbf, 0x80..=0xbf, tail @ ..] = rest {
            out.extend("\u{fffd}".bytes());
            rest = tail;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(out).ok()
}

/// Text of protocol 0 from Python 2: quoted, with the escapes of a Python literal.
pub(super) fn quoted(line: &[u8]) -> Result<Cow<'_, str>, PickleError> {
    let unreadable = PickleError::Unreadable("text");
    let inner = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err(unreadable),
    };
    if memchr::memchr(b'\\', inner).is_none() {
        return utf8(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(&quoted @ (b'\\' | b'\'' | b'"')) => out.push(quoted),
            Some(b'x') => {
                let digits = rest.as_slice().get(..2).ok_or(unreadable.clone())?;
                out.push(hex(digits)? as u8);
                rest = rest.as_slice()[2..].iter();
            }
            _ => return Err(unreadable),
        }
    }
    String::from_utf8(out)
        .map(Cow::Owned)
        .map_err(|_| unreadable)
}

/// Text of protocol 0: Latin-1, all else (and the backslash) as `\uXXXX` or `\UXXXXXXXX`.
pub(super) fn raw_unicode(line: &[u8]) -> Result<Cow<'_, str>, PickleError> {
    if line.is_ascii() && memchr::memchr(b'\\', line).is_none() {
        return utf8(line);
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let [byte, tail @ ..] = rest {
        let length = match (byte, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                out.push(char::from(*byte));
                rest = tail;
                continue;
            }
        };
        let digits = tail
            .get(1..=length)
            .ok_or(PickleError::Unreadable("text"))?;
        out.push(char::from_u32(hex(digits)?).unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = &tail[1 + length..];
    }
    Ok(Cow::Owned(out))
}

fn hex(digits: &[u8]) -> Result<u32, PickleError> {
    let mut number = 0;
    for digit in digits {
        let digit = char::from(*digit)
            .to_digit(16)
            .ok_or(PickleError::Unreadable("text"))?;
        number = number << 4 | digit;
    }
    Ok(number)
}
