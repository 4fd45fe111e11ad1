//! Encodings of logs: their names, decoding, and warnings about invalid bytes. The server and the programs use
//! the same rules.

mod codec;
mod names;

use std::env;

pub use self::codec::Encoding;
use crate::warning;

/// The name of the locale's encoding; `None` where the environment names none.
fn of_locale() -> Option<String> {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .find(|value| !value.is_empty())?;
    let (_, codeset) = locale.split_once('.')?;
    codeset.split('@').next().map(str::to_owned)
}

/// Warns of a line with bytes that had to be replaced (fact J7); `line` with its end.
pub fn warn_of_line(path: &str, encoding: &str, line: &[u8]) {
    const TARGET: &str = "fail2ban.filter";
    warning!(
        TARGET,
        "Error decoding line from '{path}' with '{encoding}'."
    );
    warning!(
        TARGET,
        "Consider setting logencoding to appropriate encoding for this jail. \
         Continuing to process line ignoring invalid characters: {}",
        bytes_literal(line)
    );
}

/// Bytes as Python's `repr` shows them.
pub fn bytes_literal(bytes: &[u8]) -> String {
    let quote = match bytes.contains(&b'\'') && !bytes.contains(&b'"') {
        true => '"',
        false => '\'',
    };
    let mut literal = format!("b{quote}");
    for byte in bytes {
        match byte {
            b'\'' | b'"' if char::from(*byte) != quote => literal.push(char::from(*byte)),
            _ => literal.extend(byte.escape_ascii().map(char::from)),
        }
    }
    literal.push(quote);
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_bytes_are_pythons() {
        for (bytes, literal) in [
            (&b""[..], "b''"),
            (b"a\t\r\n\\\0\x7f\xff", r"b'a\t\r\n\\\x00\x7f\xff'"),
            (b"it's", "b\"it's\""),
            (b"say \"it\"", "b'say \"it\"'"),
            (b"'\"", "b'\\'\"'"),
        ] {
            assert_eq!(bytes_literal(bytes), literal);
        }
    }
}
