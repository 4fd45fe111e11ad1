//! Text functions as in Python: white space, `repr`, `shlex.split`, `json.dumps`, universal line ends.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Value;

/// `str.isspace`: Unicode's white space and the four information separators.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `\w`
pub fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// `str.strip`
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.rstrip`
pub fn strip_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `str.lower`; most names are in lower case as they stand.
pub fn lower_case(text: &str) -> Cow<'_, str> {
    let is_lower = |b: u8| b.is_ascii() && !b.is_ascii_uppercase();
    if text.bytes().all(is_lower) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// Whether a flag is on, as fail2ban reads it (fact C55).
pub fn is_on(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "1" | "on" | "true" | "yes")
}

/// `repr` of a text, for messages.
pub fn quoted(text: &str) -> String {
    Value::Str(text.to_owned()).repr()
}

/// Line ends as a Python text file shows them: `\r\n` and a lone `\r` become `\n`.
pub fn universal_newlines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Words between blanks and commas (facts J17, V6).
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| is_space(c) || c == ',')
        .filter(|word| !word.is_empty())
}

/// Splits as a shell would, quotes removed, no comments (fact J22).
///
/// # Errors
/// `No closing quotation`, `No escaped character`.
pub fn shell_words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let next = chars.next().ok_or("No escaped character")?;
                word.get_or_insert_default().push(next);
            }
            '\'' | '"' => quoted_part(c, &mut chars, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads up to the closing quote; a backslash escapes only `"` and itself, inside `"`.
fn quoted_part(
    quote: char,
    chars: &mut std::str::Chars<'_>,
    word: &mut String,
) -> Result<(), &'static str> {
    loop {
        match chars.next().ok_or("No closing quotation")? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => {
                let next = chars.next().ok_or("No escaped character")?;
                if next != '"' && next != '\\' {
                    word.push('\\');
                }
                word.push(next);
            }
            c => word.push(c),
        }
    }
}

/// A JSON object of texts in pure ASCII, spaced as `json.dumps` spaces it (fact C38).
pub fn json_object<'a>(members: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> String {
    let mut out = String::from("{");
    for (number, (name, text)) in members.enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        json_text(name, &mut out);
        out.push_str(": ");
        json_text(&text, &mut out);
    }
    out.push('}');
    out
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_words_are_those_of_a_shell() {
        let table: [(&str, Result<&[&str], &str>); 11] = [
            ("_A=b + _C=d", Ok(&["_A=b", "+", "_C=d"])),
            ("  a\t b ", Ok(&["a", "b"])),
            (r#""a b" 'c d'e"#, Ok(&["a b", "c de"])),
            (r#"a\ b "c\"d\e" 'f\g'"#, Ok(&["a b", "c\"d\\e", "f\\g"])),
            ("''", Ok(&[""])),
            ("a #b", Ok(&["a", "#b"])),
            ("", Ok(&[])),
            ("'a", Err("No closing quotation")),
            ("a\\", Err("No escaped character")),
            ("a\\ b \\'", Ok(&["a b", "'"])),
            ("'' x \"\"", Ok(&["", "x", ""])),
        ];
        for (text, expected) in table {
            let expected = expected.map(|words| words.iter().map(|w| (*w).to_owned()).collect());
            assert_eq!(shell_words(text), expected, "{text}");
        }
    }

    #[test]
    fn json_is_ascii() {
        let members = [("a", Cow::from("\"ü\u{1f600}\x7f\n"))];
        assert_eq!(
            json_object(members.into_iter()),
            r#"{"a": "\"\u00fc\ud83d\ude00\u007f\n"}"#
        );
        assert_eq!(json_object([].into_iter()), "{}");
    }

    #[test]
    fn words_split_at_blanks_and_commas() {
        let split: Vec<_> = words("127.0.0.1/8, ::1\n\t10.0.0.0/8,,").collect();
        assert_eq!(split, ["127.0.0.1/8", "::1", "10.0.0.0/8"]);
    }

    #[test]
    fn separators_are_space() {
        assert_eq!(strip("\x1c a\u{85}\u{a0}"), "a");
        assert_eq!(strip_end(" a \n"), " a");
        assert_eq!(universal_newlines("a\r\nb\rc\n"), "a\nb\nc\n");
    }
}
