//! Fields marked in the text they were found in, regexes parted where they stopped, and pieces of both in
//! sentences.

use crate::cli::printable;
use crate::filter::Mark;

/// Marks the fields in `text`: `from [ip4: 192.0.2.1] port`. A field within another is marked
/// within it; one that is empty is left out.
pub fn marked(text: &str, marks: &[Mark]) -> String {
    let mut marks: Vec<&Mark> = marks.iter().filter(|mark| mark.start < mark.end).collect();
    // the outer before the inner
    marks.sort_by_key(|mark| (mark.start, usize::MAX - mark.end));
    let mut out = String::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    let mut go_to = |to: usize, open: &mut Vec<usize>, out: &mut String| {
        while let Some(&end) = open.last().filter(|end| **end <= to) {
            open.pop();
            out.push_str(&part(text, at, end));
            out.push(']');
            at = at.max(end);
        }
        out.push_str(&part(text, at, to));
        at = at.max(to);
    };
    for mark in marks {
        go_to(mark.start, &mut open, &mut out);
        out.push_str(&format!("[{}: ", mark.name));
        open.push(mark.end);
    }
    go_to(text.len(), &mut open, &mut out);
    out.push_str(&"]".repeat(open.len()));
    out
}

/// A text parted at a place: what is before it, a mark, what is after it.
pub fn parted(text: &str, at: usize) -> String {
    let (before, after) = (part(text, 0, at), part(text, at, text.len()));
    format!("{before} >>> {after}")
}

fn part(text: &str, from: usize, to: usize) -> String {
    let to = to.min(text.len());
    visible(text.get(from.min(to)..to).unwrap_or_default())
}

/// As [`printable`], and with escapes for blanks that are no plain ones and for what nobody sees.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in printable(text).chars() {
        match sign {
            '\t' => out.push_str("\\t"),
            '\u{a0}' => out.push_str("\\xa0"),
            '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{2000}'..='\u{200a}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(sign)));
            }
            sign => out.push(sign),
        }
    }
    out
}

/// So much of a text is shown in a sentence, in characters.
const SHOWN: usize = 48;

/// A regex in a sentence.
pub fn quoted(source: &str) -> String {
    format!("`{}`", visible(&head(source)))
}

/// The beginning of a long text.
fn head(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A piece of the line in a sentence.
pub fn shown(text: &str) -> String {
    format!("\"{}\"", visible(&head(text)))
}

/// The end of a text in a sentence.
pub fn tail(text: &str) -> String {
    let count = text.chars().count();
    match text.char_indices().nth(count.saturating_sub(SHOWN)) {
        Some((at, _)) if at > 0 => format!("\"…{}\"", visible(&text[at..])),
        _ => format!("\"{}\"", visible(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(name: &str, start: usize, end: usize) -> Mark {
        Mark {
            name: name.to_owned(),
            start,
            end,
        }
    }

    #[test]
    fn fields_beside_and_within_each_other() {
        let text = "user bob from ::1\u{1b}[2J";
        for (marks, expected) in [
            (&[][..], "user bob from ::1\\x1b[2J"),
            (
                &[mark("ip6", 14, 17), mark("user", 5, 8)],
                "user [user: bob] from [ip6: ::1]\\x1b[2J",
            ),
            (
                &[mark("inner", 5, 8), mark("content", 0, 17)],
                "[content: user [inner: bob] from ::1]\\x1b[2J",
            ),
            (
                &[mark("a", 5, 8), mark("b", 5, 8), mark("none", 3, 3)],
                "user [a: [b: bob]] from ::1\\x1b[2J",
            ),
            (&[mark("end", 18, 30)], "user bob from ::1\\x1b[end: [2J]"),
        ] {
            assert_eq!(marked(text, marks), expected);
        }
        assert_eq!(visible("a\tb\u{a0}\u{feff}c"), "a\\tb\\xa0\\ufeffc");
        assert_eq!(parted("abc", 1), "a >>> bc");
        assert_eq!(parted("abc", 9), "abc >>> ");
    }
}
