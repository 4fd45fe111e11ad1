//! Parses the text of one file into sections and options.
//!
//! The `configparser` crate keeps the map, but its grammar is not that of the files fail2ban reads: it cuts
//! values at every `;` or at none, takes an indented `[` for a section and accepts repeated options. So a
//! small normaliser runs first. It applies the rules of facts C10–C13, refuses what must be refused with
//! its line number, and gives the crate a text in which every key, continuation and section name begins
//! with a guard, so that nothing in it can be mistaken for anything else.
#![forbid(unsafe_code)]

mod error;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use configparser::ini::{Ini, IniDefault};
use indexmap::IndexMap;
use indexmap::map;

pub use error::IniSyntaxError;

use super::section::{FileLine, Hashing, RawOption, Section};
use crate::python::text::{is_space, lower_case, strip, strip_end, universal_newlines};

/// A private-use character: stands where the crate must not look for syntax.
const GUARD: char = '\u{E000}';

/// Begins the names of options that stand in their section already; no name begins with a blank.
const REPEATED: &str = "\u{E000} ";

/// The section whose options every other section has, too.
const DEFAULT: &str = "DEFAULT";

/// One file as it was written.
#[derive(Clone, Debug, Default)]
pub struct IniFile {
    /// Options of `[DEFAULT]`.
    pub defaults: Section,
    /// All other sections, in order.
    pub sections: IndexMap<Arc<str>, Section, Hashing>,
    /// What is wrong with single sections.
    pub faults: IndexMap<Arc<str>, IniSyntaxError, Hashing>,
}

/// Reads the text of `file`.
///
/// # Errors
/// Fact C13.
pub fn parse(text: &str, file: &str) -> Result<IniFile, IniSyntaxError> {
    read(text, file, LineErrors::Together, false, Err)
}

/// Reads what can be read of the text of `file`, and tells everything that is wrong with it. Of
/// options that stand there twice the first counts.
pub fn parse_tolerantly(text: &str, file: &str) -> (IniFile, Vec<IniSyntaxError>) {
    let mut errors = Vec::new();
    let read = read(text, file, LineErrors::Together, false, |error| {
        errors.push(error);
        Ok(())
    });
    (read.unwrap_or_default(), errors)
}

/// As [`parse`], but a mistake within a section that is none of `whole` concerns only that section:
/// it is told in [`IniFile::faults`]. So does a line that is not UTF-8; in a comment it is no matter.
///
/// # Errors
/// Fact C13; a line that is not UTF-8 where all may be concerned.
pub fn parse_by_section(
    bytes: &[u8],
    file: &str,
    whole: &[&str],
) -> Result<IniFile, IniSyntaxError> {
    let text = String::from_utf8_lossy(bytes);
    let damaged = matches!(text, Cow::Owned(_));
    let mut faults = IndexMap::default();
    let read = read(
        &text,
        file,
        LineErrors::BySection,
        damaged,
        |error| match error.section() {
            Some(section) if !whole.contains(&section) => {
                faults.entry(section.into()).or_insert(error);
                Ok(())
            }
            _ => Err(error),
        },
    );
    // what concerns all is told as without this: with every line that is wrong
    let mut read = match read {
        Err(_) if !damaged => parse(&text, file)?,
        read => read?,
    };
    read.faults = faults;
    Ok(read)
}

/// How lines are told that are neither section nor option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LineErrors {
    /// All in one mistake, as the original does.
    Together,
    /// One mistake a section.
    BySection,
}

/// `damaged`: U+FFFD stands for what is not UTF-8. `refuse` decides whether a mistake ends the reading.
fn read(
    text: &str,
    file: &str,
    bad: LineErrors,
    damaged: bool,
    mut refuse: impl FnMut(IniSyntaxError) -> Result<(), IniSyntaxError>,
) -> Result<IniFile, IniSyntaxError> {
    let text = universal_newlines(text);
    let mut normaliser = Normaliser::new(file, text.len(), damaged);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        normaliser.line(number, line).or_else(&mut refuse)?;
    }
    for error in normaliser.bad_lines(bad) {
        refuse(error)?;
    }
    let (guarded, written) = (normaliser.out, normaliser.sections);

    let mut crate_reader = Ini::new_from_defaults(settings_of_crate());
    if let Err(reason) = crate_reader.read(guarded) {
        // The guards leave the crate nothing to object to; should it, its words are shown.
        return Err(IniSyntaxError::Unparsable {
            file: file.to_owned(),
            section: None,
            lines: vec![(0, reason)],
        });
    }
    Ok(collect(
        std::mem::take(crate_reader.get_mut_map()),
        &written,
        file,
    ))
}

fn settings_of_crate() -> IniDefault {
    let mut settings = IniDefault::default();
    settings.default_section = DEFAULT.to_owned();
    settings.comment_symbols = vec!['#', ';'];
    settings.inline_comment_symbols = None;
    settings.enable_inline_comments = false;
    settings.delimiters = vec!['=', ':'];
    settings.case_sensitive = true;
    settings.multiline = true;
    settings
}

/// Removes the guards and adds where each option stands.
fn collect(
    map: indexmap::IndexMap<String, IndexMap<String, Option<String>>>,
    written: &IndexMap<String, SectionState, Hashing>,
    file: &str,
) -> IniFile {
    let path: Arc<str> = file.into();
    let mut result = IniFile::default();
    for (name, options) in map {
        let name = name.strip_prefix(GUARD).unwrap_or(&name);
        let name = name.strip_suffix(GUARD).unwrap_or(name);
        let numbers = written.get(name).map(|written| &*written.lines);
        let section: Section = options
            .into_iter()
            .zip(numbers.unwrap_or_default())
            .filter(|((key, _), _)| !key.starts_with(REPEATED))
            .map(|((key, value), line)| {
                let key: Arc<str> = key.strip_prefix(GUARD).unwrap_or(&key).into();
                let origin = FileLine {
                    file: path.clone(),
                    line: *line,
                };
                let text = unguard(value.unwrap_or_default());
                (key, RawOption::written(text, origin))
            })
            .collect();
        if name == DEFAULT {
            result.defaults = section;
        } else {
            result.sections.insert(name.into(), section);
        }
    }
    result
}

fn unguard(value: String) -> Arc<str> {
    if !value.contains(GUARD) {
        return value.into();
    }
    let mut text = String::with_capacity(value.len());
    for (number, line) in value.split('\n').enumerate() {
        if number > 0 {
            text.push('\n');
        }
        // Only continuations carry a guard: one in the first line is the administrator's own.
        let own = if number > 0 {
            line.strip_prefix(GUARD)
        } else {
            None
        };
        text.push_str(own.unwrap_or(line));
    }
    text.into()
}

/// What was seen of a section.
#[derive(Default)]
struct SectionState {
    /// Where each of its options stands, in order.
    lines: Vec<u32>,
    names: HashSet<Box<str>, Hashing>,
}

/// State between two lines.
struct Normaliser<'a> {
    file: &'a str,
    /// U+FFFD stands for what is not UTF-8.
    damaged: bool,
    out: String,
    sections: IndexMap<String, SectionState, Hashing>,
    /// The section whose options follow.
    section: Option<usize>,
    in_option: bool,
    indent: usize,
    /// Lines that are neither section nor option: section, number, text.
    bad: Vec<(usize, usize, String)>,
}

impl<'a> Normaliser<'a> {
    fn new(file: &'a str, length: usize, damaged: bool) -> Normaliser<'a> {
        Normaliser {
            file,
            damaged,
            out: String::with_capacity(length + length / 16),
            sections: IndexMap::default(),
            section: None,
            in_option: false,
            indent: 0,
            bad: Vec::new(),
        }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), IniSyntaxError> {
        let comment = comment_start(line);
        let value = strip(&line[..comment.unwrap_or(line.len())]);
        if value.is_empty() {
            // A blank line belongs to the value around it, a comment line does not.
            if comment.is_none() && self.in_option {
                self.out.push('\n');
            }
            return Ok(());
        }
        if self.damaged && value.contains(char::REPLACEMENT_CHARACTER) {
            return Err(self.not_utf8(number, value));
        }
        let indent = line.chars().take_while(|c| is_space(*c)).count();
        if self.in_option && indent > self.indent {
            self.out.extend([' ', GUARD]);
            self.out.push_str(value);
            self.out.push('\n');
            return Ok(());
        }
        self.indent = indent;
        if let Some(name) = header(value) {
            return self.header(number, name);
        }
        match self.section {
            Some(section) => self.option(number, line, value, section),
            None => Err(IniSyntaxError::NoHeader {
                file: self.file.to_owned(),
                line: number,
                text: line.to_owned(),
            }),
        }
    }

    fn not_utf8(&self, number: usize, value: &str) -> IniSyntaxError {
        // a header may have been that of any section
        let section = self.section.filter(|_| !value.starts_with('['));
        let section = section.and_then(|section| self.sections.get_index(section));
        IniSyntaxError::NotUtf8 {
            file: self.file.to_owned(),
            line: number,
            section: section.map(|(name, _)| name.clone()),
        }
    }

    fn header(&mut self, number: usize, name: &str) -> Result<(), IniSyntaxError> {
        let entry = self.sections.entry(name.to_owned());
        let is_new = matches!(entry, map::Entry::Vacant(_));
        self.section = Some(entry.index());
        entry.or_default();
        self.in_option = false;
        self.enter(name);
        if is_new || name == DEFAULT {
            return Ok(());
        }
        Err(IniSyntaxError::DuplicateSection {
            file: self.file.to_owned(),
            line: number,
            section: name.to_owned(),
        })
    }

    fn enter(&mut self, name: &str) {
        self.out.extend(['[', GUARD]);
        self.out.push_str(name);
        self.out.extend([GUARD, ']', '\n']);
    }

    fn option(
        &mut self,
        number: usize,
        line: &str,
        value: &str,
        section: usize,
    ) -> Result<(), IniSyntaxError> {
        let Some(delimiter) = value.find(['=', ':']) else {
            self.bad.push((section, number, line.to_owned()));
            return Ok(());
        };
        let key = lower_case(strip_end(&value[..delimiter]));
        if key.is_empty() {
            self.bad.push((section, number, line.to_owned()));
        }
        self.in_option = !key.is_empty();
        let Some((section, written)) = self.sections.get_index_mut(section) else {
            return Ok(());
        };
        written
            .lines
            .push(u32::try_from(number).unwrap_or(u32::MAX));
        let is_new = !written.names.contains(&*key) && written.names.insert((*key).into());
        self.out.push(GUARD);
        if !is_new {
            // A name of its own, so that it takes nothing from the first.
            self.out.push_str(&format!(" {number}"));
        }
        self.out.push_str(&key);
        self.out.push('=');
        self.out.push_str(strip(&value[delimiter + 1..]));
        self.out.push('\n');
        if is_new {
            Ok(())
        } else {
            Err(IniSyntaxError::DuplicateOption {
                file: self.file.to_owned(),
                line: number,
                section: section.clone(),
                option: key.into_owned(),
            })
        }
    }

    /// Complains about the lines that were neither section nor option. One that looks like the header
    /// of a section may be what keeps those after it from their own section.
    fn bad_lines(&mut self, how: LineErrors) -> Vec<IniSyntaxError> {
        let bad = std::mem::take(&mut self.bad);
        let is_header = |text: &str| strip(text).starts_with('[');
        let unclear = how == LineErrors::Together || bad.iter().any(|(_, _, text)| is_header(text));
        let mut errors: IndexMap<Option<usize>, Vec<(usize, String)>> = IndexMap::new();
        for (section, number, text) in bad {
            let section = (!unclear).then_some(section);
            errors.entry(section).or_default().push((number, text));
        }
        let names: Vec<&String> = self.sections.keys().collect();
        let errors = errors
            .into_iter()
            .map(|(section, lines)| IniSyntaxError::Unparsable {
                file: self.file.to_owned(),
                section: section
                    .and_then(|section| names.get(section))
                    .map(|name| (*name).clone()),
                lines,
            });
        errors.collect()
    }
}

/// The lines of the value of the option that begins at `line` of `text`, comments and empty lines
/// left out: the number of each and what is in it.
pub fn value_lines(text: &str, line: u32) -> Vec<(u32, String)> {
    let text = universal_newlines(text);
    let mut found = Vec::new();
    let mut indent = None;
    for (number, line) in (1..).zip(text.split('\n')).skip_while(|(n, _)| *n < line) {
        let comment = comment_start(line);
        let mut value = strip(&line[..comment.unwrap_or(line.len())]);
        if value.is_empty() {
            continue;
        }
        let own = line.chars().take_while(|c| is_space(*c)).count();
        match indent {
            None => {
                indent = Some(own);
                let begin = value.find(['=', ':']).map_or(0, |at| at + 1);
                value = strip(&value[begin..]);
            }
            Some(indent) if own > indent => {}
            Some(_) => break,
        }
        if !value.is_empty() {
            found.push((number, value.to_owned()));
        }
    }
    found
}

/// Where the comment begins: the whole line for `#` and `;`, else a `;` after white space.
pub fn comment_start(line: &str) -> Option<usize> {
    if strip(line).starts_with(['#', ';']) {
        return Some(0);
    }
    line.match_indices(';')
        .map(|(at, _)| at)
        .find(|at| line[..*at].chars().next_back().is_none_or(is_space))
}

/// The name in `[name]`; what follows the last bracket is not looked at.
fn header(value: &str) -> Option<&str> {
    let rest = value.strip_prefix('[')?;
    // As far as the last bracket of the first physical line: values hold no line ends here.
    let name = &rest[..rest.rfind(']')?];
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, section: &str, option: &str) -> String {
        let file = parse(text, "/f").unwrap();
        file.sections[section][option].text.to_string()
    }

    fn error(text: &str) -> String {
        parse(text, "/f").unwrap_err().to_string()
    }

    #[test]
    fn comments() {
        for (line, expected) in [
            ("a = 1 ; c", "1"),
            ("a = 1;c", "1;c"),
            ("a = 1 # c", "1 # c"),
            ("a = \"x ; y\"", "\"x"),
            ("a : 1", "1"),
            ("A=b=c:d", "b=c:d"),
            ("a =", ""),
        ] {
            assert_eq!(
                value(&format!("[s]\n{line}\n"), "s", "a"),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn continuations() {
        let text = "[s]\na = 1\n   2\n# c\n   # c\n\n\t[3]\n  x = 4\n\n\nb = 5\n";
        assert_eq!(value(text, "s", "a"), "1\n2\n\n[3]\nx = 4");
        assert_eq!(value(text, "s", "b"), "5");
        assert_eq!(value("[s]\na =\n  1\n  2\n", "s", "a"), "\n1\n2");
        assert_eq!(value("[s]\n  a = 1\n  b = 2\n", "s", "b"), "2");
        assert_eq!(value("[s]\r\na = 1\r\n 2\r\n", "s", "a"), "1\n2");
    }

    #[test]
    fn lines_of_a_value() {
        let text = "[s]\na = 1\n   2\n# c\n\n\t[3] ; c\nb =\n  4\n c = 5\nd = 6\n";
        let lines = |line: u32| -> Vec<(u32, String)> { value_lines(text, line) };
        let own = |n: u32, text: &str| (n, text.to_owned());
        assert_eq!(lines(2), [own(2, "1"), own(3, "2"), own(6, "[3]")]);
        assert_eq!(lines(7), [own(8, "4"), own(9, "c = 5")]);
        assert_eq!(lines(10), [own(10, "6")]);
        assert_eq!(lines(99), []);
    }

    #[test]
    fn a_tolerant_reader_tells_everything() {
        let text = "x = 1\n[s]\na = 1\na = 2\n  3\nbare\nb = 4\n[t]\nc = 5\n[s]\nd = 6\na = 7\n";
        let (file, errors) = parse_tolerantly(text, "/f");
        let lines: Vec<u32> = errors.iter().map(|error| error.origin().line).collect();
        assert_eq!(lines, [1, 4, 10, 12, 6]);
        let options = |section: &str| -> Vec<(String, String, u32)> {
            let options = file.sections[section].iter();
            options
                .map(|(name, entry)| {
                    let line = entry.origin.as_ref().unwrap().line;
                    (name.to_string(), entry.text.to_string(), line)
                })
                .collect()
        };
        let own = |name: &str, text: &str, line| (name.to_owned(), text.to_owned(), line);
        assert_eq!(
            options("s"),
            [own("a", "1", 3), own("b", "4", 7), own("d", "6", 11)]
        );
        assert_eq!(options("t"), [own("c", "5", 9)]);
    }

    #[test]
    fn guards_leave_no_trace() {
        let text = "[s]\na = \u{E000}x\n \u{E000}y\n";
        assert_eq!(value(text, "s", "a"), "\u{E000}x\n\u{E000}y");
        let file = parse("[\u{E000}s]\n\u{E000}k = 1\n", "/f").unwrap();
        assert_eq!(&*file.sections["\u{E000}s"]["\u{E000}k"].text, "1");
    }

    #[test]
    fn sections() {
        let file = parse(
            "[DEFAULT]\na=1\n[ S ] x\nb=2\n[DEFAULT]\nc=3\n[s?f=6]\n",
            "/f",
        )
        .unwrap();
        let names: Vec<_> = file.sections.keys().map(|name| &**name).collect();
        assert_eq!(names, [" S ", "s?f=6"]);
        let defaults: Vec<_> = file.defaults.keys().map(|name| &**name).collect();
        assert_eq!(defaults, ["a", "c"]);
        assert_eq!(file.defaults["c"].origin.as_ref().unwrap().line, 6);
    }

    proptest::proptest! {
        /// Whatever the text is: no panic, and no guard that was not in it.
        #[test]
        fn any_text_is_read_or_refused(text in "(\\[s\\]\n)?([a-c=:;# \t\n\r\\[\\]%ü\u{85}]{0,40})") {
            if let Ok(file) = parse(&text, "/f") {
                for (name, entry) in file.sections.values().flatten() {
                    assert!(!name.contains(GUARD) && !entry.text.contains(GUARD));
                }
            }
        }
    }

    #[test]
    fn errors_name_file_and_line() {
        for (text, expected) in [
            (
                "a = 1\n",
                "File contains no section headers.\nfile: '/f', line: 1\n'a = 1\\n'",
            ),
            (
                "[s]\na=1\nA=2\n",
                "While reading from '/f' [line  3]: option 'a' in section 's' already exists",
            ),
            (
                "[s]\n[s]\n",
                "While reading from '/f' [line  2]: section 's' already exists",
            ),
            (
                "[s]\nbare\n=x\na=1\n[ \n",
                "Source contains parsing errors: '/f'\n\t[line  2]: 'bare\\n'\n\t[line  3]: '=x\\n'\n\t[line  5]: '[ \\n'",
            ),
            (
                "\u{feff}[s]\n",
                "File contains no section headers.\nfile: '/f', line: 1\n'\\ufeff[s]\\n'",
            ),
        ] {
            assert_eq!(error(text), expected);
        }
    }
}
