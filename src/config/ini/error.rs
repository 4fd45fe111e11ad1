//! What makes a file no INI file, in Python's words and with the lines.
#![forbid(unsafe_code)]

use std::fmt;

use super::super::section::Origin;
use crate::python::text::quoted;

/// Why a file is no INI file; `Display` is the text the original prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
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

impl SyntaxError {
    /// The one section that it concerns; `None`: nobody knows which are.
    pub fn section(&self) -> Option<&str> {
        match self {
            SyntaxError::NoHeader { .. } => None,
            SyntaxError::DuplicateSection { section, .. }
            | SyntaxError::DuplicateOption { section, .. } => Some(section),
            SyntaxError::Unparsable { section, .. } | SyntaxError::NotUtf8 { section, .. } => {
                section.as_deref()
            }
        }
    }

    /// The first line it is about.
    pub fn origin(&self) -> Origin {
        let (file, line) = match self {
            SyntaxError::NoHeader { file, line, .. }
            | SyntaxError::DuplicateSection { file, line, .. }
            | SyntaxError::DuplicateOption { file, line, .. }
            | SyntaxError::NotUtf8 { file, line, .. } => (file, *line),
            SyntaxError::Unparsable { file, lines, .. } => (file, lines.first().map_or(1, |l| l.0)),
        };
        Origin {
            file: file.as_str().into(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyntaxError::NoHeader { file, line, text } => write!(
                f,
                "File contains no section headers.\nfile: {}, line: {line}\n{}",
                quoted(file),
                quoted(text)
            ),
            SyntaxError::DuplicateSection {
                file,
                line,
                section,
            } => write!(
                f,
                "While reading from {} [line {line:2}]: section {} already exists",
                quoted(file),
                quoted(section)
            ),
            SyntaxError::DuplicateOption {
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
            SyntaxError::Unparsable { file, lines, .. } => {
                write!(f, "Source contains parsing errors: {}", quoted(file))?;
                lines
                    .iter()
                    .try_for_each(|(line, text)| write!(f, "\n\t[line {line:2}]: {}", quoted(text)))
            }
            SyntaxError::NotUtf8 { file, line, .. } => write!(
                f,
                "While reading from {} [line {line:2}]: this is not UTF-8",
                quoted(file)
            ),
        }
    }
}

impl std::error::Error for SyntaxError {}
