//! Makes untrusted text safe to print.
#![forbid(unsafe_code)]

/// A log line on a terminal or a page: what an attacker wrote must neither steer it nor turn its text around.
/// Control characters and marks of direction are written as escapes: `\x1b`, `\n`, `\u202e`.
pub fn printable(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            '\t' => text.push(c),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c if c.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => text.push(c),
        }
    }
    text
}

/// The same for several lines, whose ends stay.
pub fn printable_lines(lines: &str) -> String {
    let lines: Vec<String> = lines.split('\n').map(printable).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_or_hides_is_an_escape() {
        let line = "a\tb\x1b[2J\r\n\u{85}\u{202e}c\u{2066}\u{61c} \u{e4}";
        assert_eq!(
            printable(line),
            "a\tb\\x1b[2J\\r\\n\\x85\\u202ec\\u2066\\u061c \u{e4}"
        );
    }

    #[test]
    fn ends_of_lines_stay_between_lines() {
        assert_eq!(printable_lines("a\x1bc\n\tb\n"), "a\\x1bc\n\tb\n");
    }
}
