//! Names of encodings: those Python knows, and the one the locale names; and what is said of bytes
//! that are not in the encoding they should be in.
#![forbid(unsafe_code)]

use std::env;

use encoding_rs::Encoding;

use crate::warning;

/// The name of the locale's encoding; `None` where the environment names none.
pub fn of_locale() -> Option<String> {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| env::var(name).ok())
        .find(|value| !value.is_empty())?;
    let (_, codeset) = locale.split_once('.')?;
    codeset.split('@').next().map(str::to_owned)
}

/// The encoding of a name as Python knows it (`latin1`, `utf_8`, `cp1252`).
pub fn named(name: &str) -> Option<&'static Encoding> {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    let web = match name.as_str() {
        "utf8" | "utf-8-sig" | "u8" | "utf" | "cp65001" => "utf-8",
        "ascii" | "us-ascii" | "646" | "latin-1" | "8859" | "latin" | "l1" => "latin1",
        "utf-16-le" => "utf-16le",
        "utf-16-be" => "utf-16be",
        "utf-16" | "utf16" | "u16" => "utf-16le",
        "cp874" => "windows-874",
        "cp932" | "shiftjis" | "shift-jis-2004" | "shift-jisx0213" | "mskanji" => "shift_jis",
        "cp936" | "ms936" | "gb2312-80" => "gbk",
        "gb18030-2000" => "gb18030",
        "cp949" | "ms949" | "uhc" | "euckr" => "euc-kr",
        "cp950" | "ms950" | "big5hkscs" => "big5",
        "eucjp" | "ujis" | "euc-jis-2004" | "euc-jisx0213" => "euc-jp",
        "iso2022-jp" | "iso2022jp" => "iso-2022-jp",
        "mac-roman" | "macroman" => "macintosh",
        "mac-cyrillic" | "maccyrillic" => "x-mac-cyrillic",
        "koi8r" => "koi8-r",
        "koi8u" => "koi8-u",
        other => match other.strip_prefix("cp125") {
            Some(digit) => return Encoding::for_label(format!("windows-125{digit}").as_bytes()),
            None => other,
        },
    };
    Encoding::for_label(web.as_bytes())
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
