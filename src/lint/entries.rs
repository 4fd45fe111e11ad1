//! Checks the values of jails as written, whether or not the jail is enabled: comments and quotes that became
//! part of them.
//!
//! Such a value may be meant, so it is a note; where it leads to an error, that error is reported instead.
#![forbid(unsafe_code)]

use super::{LintFindings, Severity};
use crate::config::ConfigPlace;
use crate::config::files::Files;
use crate::config::ini::value_lines;
use crate::config::section::{FileLine, RawOption};
use crate::config::settings::MergedSettings;

/// Options whose values are looked at elsewhere: `#` and quotes mean something in a regex.
const REGEXES: [&str; 5] = [
    "failregex",
    "ignoreregex",
    "prefregex",
    "datepattern",
    "jsonmatch",
];

type Rule = fn(&str) -> Option<(usize, &'static str)>;

/// Each with the kind of its findings: a line of a value → the byte, and the message.
const RULES: [(&str, Rule); 2] = [("comment", comment), ("quotes", quotes)];

/// Looks at all values of all jails.
pub(super) fn look(files: &dyn Files, settings: &MergedSettings, findings: &mut LintFindings<'_>) {
    let sections = settings.names().filter_map(|name| settings.section(name));
    for section in sections.chain([&settings.defaults]) {
        for (name, entry) in section {
            if !REGEXES.contains(&&**name) {
                value(files, entry, findings);
            }
        }
    }
}

fn value(files: &dyn Files, entry: &RawOption, findings: &mut LintFindings<'_>) {
    let Some(origin) = &entry.origin else { return };
    if !entry
        .text
        .lines()
        .any(|line| RULES.iter().any(|(_, rule)| rule(line).is_some()))
    {
        return;
    }
    let bytes = files.read(&origin.file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    for (number, line) in value_lines(&text, origin.line) {
        for (kind, rule) in RULES {
            let Some((byte, message)) = rule(&line) else {
                continue;
            };
            let whole = text.lines().nth(number as usize - 1).unwrap_or_default();
            let before = whole.find(&line).unwrap_or_default() + byte;
            let column = whole.get(..before).map(|before| before.chars().count() + 1);
            let place = ConfigPlace {
                origin: FileLine {
                    file: origin.file.clone(),
                    line: number,
                },
                text: whole.trim().to_owned(),
            };
            let column = column.and_then(|column| u32::try_from(column).ok());
            findings.add_at_column(Severity::Note, kind, Some(place), column, message);
        }
    }
}

fn comment(line: &str) -> Option<(usize, &'static str)> {
    let mut signs = line.match_indices('#').map(|(at, _)| at);
    let at = signs.find(|at| line[..*at].ends_with([' ', '\t']))?;
    Some((
        at,
        "a # behind a value begins no comment, so this is part of it: write the comment on a line of its own",
    ))
}

fn quotes(line: &str) -> Option<(usize, &'static str)> {
    let quote = line.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let inner = line.strip_prefix(quote)?.strip_suffix(quote)?;
    let message = "the quotes around the value are part of it: leave them out";
    (!inner.is_empty() && !inner.contains(quote)).then_some((0, message))
}
