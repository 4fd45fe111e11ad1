//! Checks each file: lines that are no INI syntax, duplicate sections and options, missing includes, files that
//! nothing reads.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use super::lines::{self, at};
use super::{LintFindings, Severity};
use crate::config::files::{Files, join, split, stem};
use crate::config::ini::{self, IniFile, IniSyntaxError};
use crate::config::places::{ValueItem, line_of};
use crate::config::shipped;
use crate::python::text::quoted;

const NOT_UTF8: &str = "this is not UTF-8";

/// What there is to be used.
#[derive(Debug, Default)]
pub(super) struct WrittenOptions {
    /// Filters by name, each with its first file.
    pub filters: BTreeMap<String, String>,
    /// Actions by name, each with its first file.
    pub actions: BTreeMap<String, String>,
    /// Files that others include.
    pub included: BTreeSet<String>,
    /// The text of every file.
    texts: Vec<String>,
    /// The names of the options of every file.
    options: Vec<BTreeSet<String>>,
    /// Files that are not read as configuration.
    others: Vec<String>,
    /// The names of the options of all shipped files.
    shipped: BTreeSet<String>,
}

impl WrittenOptions {
    /// Whether some file has both options: whoever wrote them means both.
    pub fn side_by_side(&self, one: &str, other: &str) -> bool {
        let has_both = |names: &BTreeSet<String>| names.contains(one) && names.contains(other);
        self.options.iter().any(has_both)
    }

    /// Whether an option of this name is in a shipped file.
    pub fn is_shipped_name(&self, name: &str) -> bool {
        self.shipped.contains(name)
    }

    /// Files nobody reads. What some option names, such as a script, is of use.
    fn unread(&self, findings: &mut LintFindings<'_>) {
        for path in &self.others {
            let name = split(path).1;
            if !self.texts.iter().any(|text| text.contains(name)) {
                let text = format!("{} is not read: only .conf and .local are", quoted(name));
                findings.add(Severity::Warning, "unread-file", at(path, 1), text);
            }
        }
    }
}

/// Reads all files of the configuration below `base`.
pub(super) fn look(
    files: &dyn Files,
    base: &str,
    findings: &mut LintFindings<'_>,
) -> WrittenOptions {
    let mut written = WrittenOptions::default();
    for name in sorted(files, base) {
        let path = join(base, &name);
        if is_misnamed(&name) {
            misnamed(&path, findings);
        } else if is_config(&name) {
            file(files, base, &path, &mut written, findings);
        }
    }
    for part in ["fail2ban.d", "jail.d", "filter.d", "action.d"] {
        directory(files, base, &join(base, part), &mut written, findings, 0);
    }
    for (part, found) in [
        ("filter.d", &mut written.filters),
        ("action.d", &mut written.actions),
    ] {
        let directory = join(base, part);
        for name in sorted(files, &directory) {
            let path = join(&directory, &name);
            if is_misnamed(&name) {
                misnamed(&path, findings);
            } else if is_config(&name) && files.is_file(&path) {
                found.entry(stem(&name).to_owned()).or_insert(path);
            }
        }
    }
    written.unread(findings);
    // what is missing in the directory is read from these
    for (path, text) in shipped::all().filter(|(path, _)| is_config(path)) {
        let (read, _) = ini::parse_tolerantly(&text, path);
        let names = option_names(&read);
        written.shipped.extend(names.iter().cloned());
        written.options.push(names);
    }
    written
}

/// The names of all options of a file.
fn option_names(file: &IniFile) -> BTreeSet<String> {
    let sections = file.sections.values().chain([&file.defaults]);
    let names = sections.flat_map(|section| section.keys());
    names.map(|name| name.to_string()).collect()
}

fn sorted(files: &dyn Files, directory: &str) -> Vec<String> {
    let mut names = files.names(directory).0;
    names.sort();
    names
}

fn is_config(name: &str) -> bool {
    !name.starts_with('.') && (name.ends_with(".conf") || name.ends_with(".local"))
}

/// `jail.conf.local`: it is not what goes over `jail.conf`.
fn is_misnamed(name: &str) -> bool {
    name.ends_with(".conf.local")
}

fn misnamed(path: &str, findings: &mut LintFindings<'_>) {
    let name = split(path).1;
    let right = name.replace(".conf.local", ".local");
    let text = format!("{} is not read: call it {}", quoted(name), quoted(&right));
    findings.add(Severity::Warning, "unread-file", at(path, 1), text);
}

/// What lies in configuration directories without being meant as configuration.
fn is_something_else(name: &str) -> bool {
    const ENDS: [&str; 9] = [
        ".py", ".md", ".txt", "~", ".bak", ".orig", ".rpmnew", ".rpmsave", ".pyc",
    ];
    name.starts_with(['.', '_'])
        || name.contains(".dpkg-")
        || name.to_ascii_uppercase().starts_with("README")
        || ENDS.iter().any(|end| name.ends_with(end))
}

fn directory(
    files: &dyn Files,
    base: &str,
    path: &str,
    written: &mut WrittenOptions,
    findings: &mut LintFindings<'_>,
    depth: usize,
) {
    for name in sorted(files, path) {
        let inner = join(path, &name);
        if files.is_dir(&inner) {
            // Directories of drop-ins and of scripts; deeper nothing is looked for.
            if depth < 2 {
                directory(files, base, &inner, written, findings, depth + 1);
            }
        } else if is_config(&name) {
            file(files, base, &inner, written, findings);
        } else if !is_something_else(&name) && !path.ends_with("ignorecommands") {
            written.others.push(inner);
        }
    }
}

fn file(
    files: &dyn Files,
    base: &str,
    path: &str,
    written: &mut WrittenOptions,
    findings: &mut LintFindings<'_>,
) {
    let bytes = match files.read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let text = format!("cannot be read: {error}");
            findings.add(Severity::Error, "unreadable", at(path, 1), text);
            return;
        }
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let before = &error.as_bytes()[..valid];
            let line = 1 + before.iter().filter(|b| **b == b'\n').count();
            let place = at(path, u32::try_from(line).unwrap_or(u32::MAX));
            findings.add(Severity::Error, "encoding", place, NOT_UTF8);
            return;
        }
    };
    let plain = text.strip_prefix('\u{feff}');
    if plain.is_some() {
        let text = "the file begins with a byte order mark, so its first line is no section: save it as UTF-8 \
                    without BOM";
        findings.add(Severity::Error, "bom", at(path, 1), text);
    }
    let text = plain.unwrap_or(&text);
    let (read, errors) = ini::parse_tolerantly(text, path);
    for error in &errors {
        syntax(error, text, path, findings);
    }
    lines::look(text, path, findings);
    includes(files, base, path, &read, written, findings);
    written.options.push(option_names(&read));
    written.texts.push(text.to_owned());
}

fn syntax(error: &IniSyntaxError, whole: &str, path: &str, findings: &mut LintFindings<'_>) {
    let mut tell = |kind, line: usize, text: String| {
        let place = at(path, u32::try_from(line).unwrap_or(u32::MAX));
        findings.add(Severity::Error, kind, place, text);
    };
    match error {
        IniSyntaxError::NotUtf8 { line, .. } => tell("encoding", *line, NOT_UTF8.to_owned()),
        IniSyntaxError::NoHeader { line, text, .. } => {
            let text = format!("{} stands before the first section", quoted(text.trim()));
            tell("stray-line", *line, text);
        }
        IniSyntaxError::DuplicateSection { line, section, .. } => {
            let text = format!("section [{section}] stands in this file twice");
            tell("duplicate-section", *line, text);
        }
        IniSyntaxError::DuplicateOption {
            line,
            section,
            option,
            ..
        } => {
            let text = format!("option {} stands in [{section}] twice", quoted(option));
            tell("duplicate-option", *line, text);
        }
        IniSyntaxError::Unparsable { lines, .. } => {
            for (line, text) in lines {
                let above = lines::option_above(whole, *line);
                let above =
                    above.map(|option| format!(": indent it if it belongs to {option} above"));
                let text = format!(
                    "{} is neither section nor option{}",
                    quoted(text.trim()),
                    above.unwrap_or_default()
                );
                tell("stray-line", *line, text);
            }
        }
    }
}

/// Includes that are not there; those of `.local` files are meant to be optional.
fn includes(
    files: &dyn Files,
    base: &str,
    path: &str,
    read: &IniFile,
    written: &mut WrittenOptions,
    findings: &mut LintFindings<'_>,
) {
    let Some(section) = read.sections.get("INCLUDES") else {
        return;
    };
    for option in ["before", "after"] {
        let Some(entry) = section.get(option) else {
            continue;
        };
        for name in entry.text.lines().filter(|name| !name.is_empty()) {
            let included = join(split(path).0, name);
            let place = entry.origin.as_ref().map(|origin| {
                let item = ValueItem {
                    text: name,
                    ..ValueItem::default()
                };
                line_of(files, origin, item)
            });
            let there =
                files.is_file(&included) || shipped::instead_of(files, base, &included).is_some();
            if !there && !name.ends_with(".local") && !name.contains('%') {
                let text = format!("the included file {} is not there", quoted(&included));
                findings.add(Severity::Warning, "missing-include", place, text);
            }
            written.included.insert(included);
        }
    }
}
