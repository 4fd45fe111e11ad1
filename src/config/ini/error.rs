//! Syntax errors of INI files, in Python's words and with the lines.
#![forbid(unsafe_code)]

use std::fmt;

use super::super::section::FileLine;
use crate::python::text::quoted;

/// Why a file is no INI file; `Display` is the text the original prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IniSyntaxError {
    /// An option before the first section.
    NoHeader {
        /// File as it was named.
        file: String,
        /// Line, from 1.
        line: usize,
        /// The line itself.
        text: String,
    },
    /// The same section twice.
    DuplicateSection {
        /// File as it was named.
        file: String,
        /// Line of the second.
        line: usize,
        /// Its name.
        section: String,
    },
    /// The same option twice in a section.
    DuplicateOption {
        /// File as it was named.
        file: String,
        /// Line of the second.
        line: usize,
        /// Its section.
        section: String,
        /// Its name in lower case.
        option: String,
    },
    /// Lines that are neither section nor option, each with its number.
    Unparsable {
        /// File as it was named.
        file: String,
        /// The section they stand in, of the first if in several; `None`: one may have been meant as
        /// the header of another section.
        section: Option<String>,
        /// The lines.
        lines: Vec<(usize, String)>,
    },
    /// A line that is not UTF-8.
    NotUtf8 {
        /// File as it was named.
        file: String,
        /// The line.
        line: usize,
        /// The section it stands in; `None`: it may concern any.
        section: Option<String>,
    },
}

impl IniSyntaxError {
    /// The one section that it concerns; `None`: nobody knows which are.
    pub fn section(&self) -> Option<&str> {
        match self {
            IniSyntaxError::NoHeader { .. } => None,
            IniSyntaxError::DuplicateSection { section, .. }
            | IniSyntaxError::DuplicateOption { section, .. } => Some(section),
            IniSyntaxError::Unparsable { section, .. }
            | IniSyntaxError::NotUtf8 { section, .. } => section.as_deref(),
        }
    }

    /// The first line it is about.
    pub fn origin(&self) -> FileLine {
        let (file, line) = match self {
            IniSyntaxError::NoHeader { file, line, .. }
            | IniSyntaxError::DuplicateSection { file, line, .. }
            | IniSyntaxError::DuplicateOption { file, line, .. }
            | IniSyntaxError::NotUtf8 { file, line, .. } => (file, *line),
            IniSyntaxError::Unparsable { file, lines, .. } => {
                (file, lines.first().map_or(1, |l| l.0))
            }
        };
        FileLine {
            file: file.as_str().into(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for IniSyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IniSyntaxError::NoHeader { file, line, text } => write!(
                f,
                "File contains no section headers.\nfile: {}, line: {line}\n{}",
                quoted(file),
                quoted(text)
            ),
            IniSyntaxError::DuplicateSection {
                file,
                line,
                section,
            } => write!(
                f,
                "While reading from {} [line {line:2}]: section {} already exists",
                quoted(file),
                quoted(section)
            ),
            IniSyntaxError::DuplicateOption {
                file,
                line,
                section,
                option,
            } => write!(
                f,
                "While reading from {} [line {line:2}]: option {} in section {} already exists",
                quoted(file),
                quoted(option),
                quoted(section)
            ),
            IniSyntaxError::Unparsable { file, lines, .. } => {
                write!(f, "Source contains parsing errors: {}", quoted(file))?;
                lines
                    .iter()
                    .try_for_each(|(line, text)| write!(f, "\n\t[line {line:2}]: {}", quoted(text)))
            }
            IniSyntaxError::NotUtf8 { file, line, .. } => write!(
                f,
                "While reading from {} [line {line:2}]: this is not UTF-8",
                quoted(file)
            ),
        }
    }
}

impl std::error::Error for IniSyntaxError {}
