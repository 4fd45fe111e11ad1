//! Finds the line of a refused value, which the administrator has to change.
//!
//! Options keep the line they begin on; the exact line of a long value is found on demand, by reading the
//! file again.
#![forbid(unsafe_code)]

use super::error::ConfigPlace;
use super::files::Files;
use super::ini;
use super::section::FileLine;

/// More of a line is not shown.
const LONGEST: usize = 200;

/// One value of an option.
#[derive(Clone, Copy, Debug, Default)]
pub struct ValueItem<'a> {
    /// Which of its values, from 0.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// What it became, or a part of it.
    pub text: &'a str,
}

/// The line an item of the option at `origin` stands on: by number when the option has as many lines
/// as items, else the line with this text in it, else the first.
pub fn line_of(files: &dyn Files, origin: &FileLine, item: ValueItem<'_>) -> ConfigPlace {
    let bytes = files.read(&origin.file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = ini::value_lines(&text, origin.line);
    let wanted = item.text.lines().next().unwrap_or_default().trim();
    let with_text = || {
        let whole = lines.iter().position(|(_, value)| value == wanted);
        let part = || lines.iter().position(|(_, value)| value.contains(wanted));
        whole.or_else(part).filter(|_| !wanted.is_empty())
    };
    let at = match item.of == lines.len() {
        true => Some(item.number),
        false => with_text(),
    };
    let line = at
        .and_then(|at| lines.get(at))
        .map_or(origin.line, |line| line.0);
    ConfigPlace {
        origin: FileLine {
            file: origin.file.clone(),
            line,
        },
        text: shown(&text, line),
    }
}

/// The header of the section in which the option at `origin` stands.
pub fn header_of(files: &dyn Files, origin: &FileLine) -> FileLine {
    let bytes = files.read(&origin.file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let before = text.lines().take(origin.line as usize).collect::<Vec<_>>();
    let header = before.iter().rposition(|line| line.starts_with('['));
    FileLine {
        file: origin.file.clone(),
        line: header
            .and_then(|index| u32::try_from(index + 1).ok())
            .unwrap_or(origin.line),
    }
}

/// The line as it stands in the file.
fn shown(text: &str, line: u32) -> String {
    let index = (line as usize).saturating_sub(1);
    let line = text.lines().nth(index).unwrap_or_default().trim();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::MemoryFiles;
    use super::*;

    #[test]
    fn items_are_found_by_number_then_by_text() {
        let text = "[s]\nfailregex = ^a\n    # no\n    ^b <c>\n    %(more)s\n";
        let files = MemoryFiles::new(&[("/f", text)]);
        let origin = FileLine {
            file: "/f".into(),
            line: 2,
        };
        let place = |number, of, text| {
            let item = ValueItem { number, of, text };
            line_of(&files, &origin, item).to_string()
        };
        assert_eq!(place(2, 3, ""), "/f:5: %(more)s");
        assert_eq!(place(1, 3, ""), "/f:4: ^b <c>");
        assert_eq!(place(3, 9, "^b <c>"), "/f:4: ^b <c>");
        assert_eq!(place(3, 9, "^x"), "/f:2: failregex = ^a");
        assert_eq!(place(0, 1, "b <"), "/f:4: ^b <c>");
    }
}
