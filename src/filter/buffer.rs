//! The multi-line buffer of a filter with `maxlines` (facts R39, R40), and which lines a match covers.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::pattern::{Match, Regex};

/// A line as (text before the date, the date, text after it).
pub type Parts = Arc<[String; 3]>;

/// Bytes of buffered lines; the oldest go first, but the newest one stays.
const MOST_BYTES: usize = 1 << 20;

/// How many lines are too many where `most` may be kept.
pub(super) fn surplus(lines: &[Parts], most: usize) -> usize {
    let mut bytes = 0;
    let newest = lines.iter().rev().take(most).take_while(|line| {
        let size: usize = line.iter().map(String::len).sum();
        bytes += size;
        bytes <= MOST_BYTES || bytes == size
    });
    lines.len() - newest.count()
}

/// A line without its date.
pub(super) fn dateless(parts: &Parts) -> String {
    format!("{}{}", parts[0], parts[2])
}

/// What regexes search: the lines without their dates, each ended by a newline.
pub(super) fn text_of(lines: &[Parts]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&line[0]);
        text.push_str(&line[2]);
        text.push('\n');
    }
    text
}

/// The lines divided by a match: those it covers, and all others in order of time except that
/// skipped lines follow those before the match.
#[derive(Debug, Default)]
pub(super) struct Division {
    pub(super) matched: Vec<Parts>,
    pub(super) others: Vec<Parts>,
}

impl Division {
    /// Divides `lines` by a match found in `text`.
    ///
    /// `text` normally is [`text_of`] these lines, but not when a prefregex gave its content
    /// (fact R40): line numbers are then those of `text` all the same.
    pub(super) fn of(text: &str, regex: &Regex, found: &Match, lines: &[Parts]) -> Division {
        if lines.len() <= 1 {
            return Division {
                matched: lines.to_vec(),
                others: Vec::new(),
            };
        }
        let bytes = text.as_bytes();
        let (start, end) = found.span();
        let reach = (start + 1).min(bytes.len());
        let begin = memchr::memrchr(b'\n', &bytes[..reach]).map_or(0, |i| i + 1);
        let last = end.saturating_sub(1);
        let finish = memchr::memchr(b'\n', &bytes[last..]).map_or(bytes.len(), |i| last + i + 1);
        let newlines = |to: usize| memchr::memchr_iter(b'\n', &bytes[..to]).count();
        let first = newlines(begin).min(lines.len());
        let after = newlines(finish).clamp(first, lines.len());

        let mut division = Division {
            matched: lines[first..after].to_vec(),
            others: lines[..first].to_vec(),
        };
        let mut from = 0;
        for skipped in skipped_lines(text, regex, found) {
            let rest = division.matched.get(from..).unwrap_or_default();
            if let Some(offset) = rest.iter().position(|line| dateless(line) == skipped) {
                let line = division.matched.remove(from + offset);
                division.others.push(line);
                from += offset;
            }
        }
        division.others.extend_from_slice(&lines[after..]);
        division
    }
}

/// The lines that `<SKIPLINES>` tags passed over.
fn skipped_lines(text: &str, regex: &Regex, found: &Match) -> Vec<String> {
    let mut all = String::new();
    for number in 0.. {
        let Some(group) = regex.group_index(&format!("skiplines{number}")) else {
            break;
        };
        if let Some((start, end)) = found.group(group) {
            all.push_str(text.get(start..end).unwrap_or_default());
        }
    }
    split_lines(&all)
}

/// Splits where Python's `str.splitlines` does, which knows more line ends than `\n`.
fn split_lines(text: &str) -> Vec<String> {
    let ends = |c| {
        matches!(
            c,
            '\n' | '\r' | '\x0b' | '\x0c' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let text = text.replace("\r\n", "\n");
    text.split_terminator(ends).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Flags;

    #[test]
    fn buffered_lines_are_bounded_in_number_and_bytes() {
        let lines = |count: usize, size: usize| -> Vec<Parts> {
            let line = || Arc::new([String::new(), String::new(), "x".repeat(size)]);
            (0..count).map(|_| line()).collect()
        };
        assert_eq!(surplus(&lines(3, 10), 5), 0);
        assert_eq!(surplus(&lines(8, 10), 5), 3);
        assert_eq!(surplus(&lines(500, 8 << 10), 500), 500 - 128);
        assert_eq!(surplus(&lines(3, 2 * MOST_BYTES), 500), 2);
    }

    #[test]
    fn a_match_takes_its_lines_and_leaves_the_skipped_ones()
    -> Result<(), Box<dyn std::error::Error>> {
        let lines: Vec<Parts> = ["w", "a 1", "x", "y", "b 1", "z"]
            .iter()
            .map(|t| Arc::new([String::new(), "date".to_owned(), (*t).to_owned()]))
            .collect();
        let multiline = Flags {
            multiline: true,
            ..Flags::default()
        };
        let regex = Regex::new(r"^a (\d)\n(?P<skiplines0>(?:(?:.*\n)*?))b \1$", multiline)?;
        let text = text_of(&lines);
        let found = regex
            .search(&text)
            .map_err(|e| format!("{e:?}"))?
            .ok_or("no match")?;
        let division = Division::of(&text, &regex, &found, &lines);
        let show = |lines: &[Parts]| lines.iter().map(dateless).collect::<Vec<_>>().join("|");
        assert_eq!(show(&division.matched), "a 1|b 1");
        assert_eq!(show(&division.others), "w|x|y|z");
        Ok(())
    }
}
