//! `--dump-pretty`: values as Python's `pprint` lays them out, 1000 columns wide with steps of two.
//! Only what is longer than that is broken at all (fact C57).

use crate::control::Value;
use crate::python::text::quoted;

const WIDTH: usize = 1000;
const STEP: usize = 2;

/// A value over as many lines as it needs.
pub fn format(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, 0, 0, 1);
    out
}

/// `indent`: the column it begins in; `allowance`: room for what closes around it.
fn write(out: &mut String, value: &Value, indent: usize, allowance: usize, level: usize) {
    let flat = value.repr();
    if length(&flat) + indent + allowance <= WIDTH {
        out.push_str(&flat);
        return;
    }
    match value {
        Value::List(items) => {
            out.push('[');
            members(out, items, indent, allowance + 1, level);
            out.push(']');
        }
        Value::Str(text) => write_text(out, text, indent, allowance, level),
        _ => out.push_str(&flat),
    }
}

fn members(out: &mut String, items: &[Value], indent: usize, allowance: usize, level: usize) {
    let indent = indent + STEP;
    out.push_str(&" ".repeat(STEP - 1));
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(",\n");
            out.push_str(&" ".repeat(indent));
        }
        let is_last = index + 1 == items.len();
        let allowance = if is_last { allowance } else { 1 };
        write(out, item, indent, allowance, level + 1);
    }
}

/// A text in pieces: one a line of it, and lines that are too long between words.
fn write_text(out: &mut String, text: &str, indent: usize, allowance: usize, level: usize) {
    let (indent, allowance) = match level {
        1 => (indent + 1, allowance + 1),
        _ => (indent, allowance),
    };
    let width = WIDTH.saturating_sub(indent);
    let narrow = width.saturating_sub(allowance);
    let lines = lines(text);
    let mut pieces = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let is_last = number + 1 == lines.len();
        let whole = quoted(line);
        if length(&whole) <= if is_last { narrow } else { width } {
            pieces.push(whole);
            continue;
        }
        let words = words(line);
        let mut current = String::new();
        for (index, word) in words.iter().enumerate() {
            let ends = is_last && index + 1 == words.len();
            let candidate = format!("{current}{word}");
            if length(&quoted(&candidate)) > if ends { narrow } else { width } {
                if !current.is_empty() {
                    pieces.push(quoted(&current));
                }
                (*word).clone_into(&mut current);
            } else {
                current = candidate;
            }
        }
        if !current.is_empty() {
            pieces.push(quoted(&current));
        }
    }
    let brackets = level == 1 && pieces.len() > 1;
    let text = pieces.join(&format!("\n{}", " ".repeat(indent)));
    match brackets {
        true => out.push_str(&format!("({text})")),
        false => out.push_str(&text),
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// `str.splitlines(True)`
fn lines(text: &str) -> Vec<&str> {
    let is_end =
        |c: char| matches!(c, '\n'..='\r' | '\x1c'..='\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_end) {
        let pair = rest[at..].starts_with("\r\n");
        let end = at
            + if pair {
                2
            } else {
                rest[at..].chars().next().map_or(1, char::len_utf8)
            };
        lines.push(&rest[..end]);
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// Words, each with the blanks behind it.
fn words(line: &str) -> Vec<&str> {
    let is_space = crate::python::text::is_space;
    let mut words = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let word = rest.find(is_space).unwrap_or(rest.len());
        let blanks = rest[word..].find(|c| !is_space(c));
        let end = blanks.map_or(rest.len(), |blanks| word + blanks);
        words.push(&rest[..end]);
        rest = &rest[end..];
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_on_one_line() {
        let list = Value::List(vec!["set".into(), "a".into(), Value::Int(1)]);
        assert_eq!(format(&list), "['set', 'a', 1]");
    }

    /// As Python 3.11 prints `pformat(x, width=1000, indent=2)`.
    #[test]
    fn long_lists_and_texts_are_broken() {
        let long = "a ".repeat(600);
        let list = Value::List(vec!["x".into(), long.trim_end().into(), Value::Int(1)]);
        let first = "a ".repeat(498);
        let second = "a ".repeat(101) + "a";
        let expected = format!("[ 'x',\n  '{first}'\n  '{second}',\n  1]");
        assert_eq!(format(&list), expected);
        let two = Value::List(vec!["b\n".repeat(500).as_str().into()]);
        let printed = format(&two);
        assert_eq!(printed.lines().count(), 500);
        assert!(printed.starts_with("[ 'b\\n'\n  'b\\n'\n"), "{printed}");
        assert!(printed.ends_with("  'b\\n']"));
    }
}
