//! Rows of a table for a terminal of 80 columns. Nothing is cut: a cell that is too long for its column
//! goes on to the right, and the cells after it stand in the next line.

use super::colours::{Colours, TextStyle};

/// Columns of a terminal.
pub const WIDTH: usize = 80;
/// Blanks between two columns.
const GAP: usize = 2;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Text of this width.
    Left(usize),
    /// Numbers of this width.
    Right(usize),
}

/// One row, without the end of its last line. Cells must be free of control characters.
pub fn row(columns: &[Column], cells: &[(&str, TextStyle)], colours: Colours) -> String {
    let mut out = String::new();
    let (mut at, mut start) = (0, 0);
    for (column, (text, style)) in columns.iter().zip(cells) {
        let (width, to_the_right) = match *column {
            Column::Left(width) => (width, false),
            Column::Right(width) => (width, true),
        };
        if at > 0 && at + GAP > start && !text.is_empty() {
            out.push('\n');
            at = 0;
        }
        for (number, part) in wrapped(text, WIDTH.saturating_sub(start)).enumerate() {
            if number > 0 {
                out.push('\n');
                at = 0;
            }
            let length = length(part);
            let pad = if to_the_right {
                width.saturating_sub(length)
            } else {
                0
            };
            out.push_str(&" ".repeat(start + pad - at));
            out.push_str(&colours.paint(part, *style));
            at = start + pad + length;
        }
        start += width + GAP;
    }
    out
}

/// A text in lines of at most `width` columns, parted between words where that can be; its lines
/// after the first are `indent` blanks in.
pub fn folded(text: &str, indent: usize) -> String {
    let parts: Vec<&str> = wrapped(text, WIDTH - indent).collect();
    parts.join(&format!("\n{}", " ".repeat(indent)))
}

/// How many columns a text takes.
pub fn length(text: &str) -> usize {
    text.chars().count()
}

/// The parts of a text, each of at most `width` characters; none of an empty text.
fn wrapped(text: &str, width: usize) -> impl Iterator<Item = &str> {
    let width = width.max(1);
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = match rest.char_indices().nth(width) {
            None => rest.len(),
            // a blank just behind the last column ends the line as well
            Some((end, c)) => {
                let line = &rest[..end + c.len_utf8()];
                line.rfind(' ').filter(|at| *at > 0).unwrap_or(end)
            }
        };
        let part = &rest[..end];
        rest = rest[end..].trim_start_matches(' ');
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [Column::Left(15), Column::Right(4), Column::Left(10)];

    fn plain(cells: [&str; 3]) -> String {
        row(
            &COLUMNS,
            &cells.map(|cell| (cell, TextStyle::Plain)),
            Colours::NONE,
        )
    }

    #[test]
    fn cells_stand_in_columns() {
        assert_eq!(
            plain(["192.0.2.1", "5", "sshd"]),
            "192.0.2.1           5  sshd"
        );
        assert_eq!(plain(["192.0.2.1", "", ""]), "192.0.2.1");
        assert_eq!(plain(["", "5", ""]), "                    5");
    }

    #[test]
    fn long_cells_are_whole_and_the_rest_follows() {
        let address = "2001:db8:1111:2222:3333:4444:5555:6666";
        let expected = format!("{address}\n{:17}   5  sshd", "");
        assert_eq!(plain([address, "5", "sshd"]), expected);
        let words = "word ".repeat(30);
        let text = plain(["192.0.2.1", "5", words.trim_end()]);
        assert!(text.lines().all(|line| length(line) <= WIDTH), "{text}");
        assert_eq!(plain([address, "", ""]), address);
        assert_eq!(text.matches("word").count(), 30);
        assert!(
            text.lines()
                .skip(1)
                .all(|line| line.starts_with(&" ".repeat(23))),
            "{text}"
        );
        // what has no blanks is parted anywhere, and letters stay whole
        let text = plain([&"ö".repeat(200), "5", "x"]);
        assert_eq!(text.matches('ö').count(), 200);
        assert!(text.lines().all(|line| length(line) <= WIDTH), "{text}");
    }

    #[test]
    fn texts_are_folded_between_words() {
        let text = folded("word ".repeat(20).trim_end(), 2);
        let (first, second) = text.split_once('\n').expect("two lines");
        assert_eq!(length(first), 74);
        assert!(second.starts_with("  word word"), "{text}");
    }
}
