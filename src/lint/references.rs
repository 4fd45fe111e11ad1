//! Explains references to missing options and sections.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::names::all_nearest;
use crate::config::settings::MergedSettings;
use crate::python::text::quoted;

/// What is wrong with a value whose `%` cannot be read, and the part of the line it is about; `error` is
/// what the reader says of it.
pub(super) fn plain(
    error: &str,
    line: &str,
    settings: Option<&MergedSettings>,
) -> Option<(String, String)> {
    if error.starts_with("'%' must be followed by") {
        let found = error.split_once("found: ")?.1;
        // as far as it is shown as it was written
        let part = found.trim_start_matches(['\'', '"']);
        let part = part.split(['\\', '\'', '"']).next()?.to_owned();
        let message = "a % by itself begins a reference: write %% for the sign";
        let message = match line.trim_start().starts_with("logpath") {
            true => format!(
                "{message}; a log named by its date is found by a wildcard, {}",
                undated(line)
            ),
            false => message.to_owned(),
        };
        return Some((message, part));
    }
    if error.starts_with("bad interpolation variable reference") {
        let message =
            "%( begins a reference that nothing ends: write %(name)s, or %%( for the signs";
        return Some((message.to_owned(), "%(".to_owned()));
    }
    let name = error.split_once("contains an interpolation key ")?.1;
    let name = name
        .split_once(" which is not a valid")?
        .0
        .trim_matches(['\'', '"']);
    let known: BTreeSet<&str> = settings
        .into_iter()
        .flat_map(|settings| {
            let sections = settings.names().filter_map(|name| settings.section(name));
            sections
                .chain([&settings.defaults])
                .flat_map(|section| section.keys())
        })
        .map(|name| &**name)
        .collect();
    let meant = all_nearest(name, known.iter().copied(), 2);
    let meant: Vec<String> = meant
        .into_iter()
        .map(|name| format!("%({name})s"))
        .collect();
    let cure = match meant.is_empty() {
        true => format!("write {name} = … above it, or %% for the sign"),
        false => format!("did you mean {}?", meant.join(" or ")),
    };
    Some((
        format!(
            "{} is defined nowhere: {cure}",
            quoted(&format!("%({name})s"))
        ),
        format!("%({name}"),
    ))
}

/// The path in a line with wildcards where a date would be.
pub(super) fn undated(line: &str) -> String {
    let path = line.rsplit(['=', ' ', '\t']).next().unwrap_or(line);
    let mut out = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        if !out.ends_with('*') {
            out.push('*');
        }
        rest = rest[at..].trim_start_matches('%');
        let mut letters = rest.chars();
        letters.next();
        rest = letters.as_str();
        // what stands between the parts of a date
        if let Some(next) = rest.find('%').filter(|next| *next <= 1) {
            rest = &rest[next..];
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::undated;

    #[test]
    fn dates_become_wildcards() {
        for (line, expected) in [
            ("logpath = /var/log/x-%Y-%m-%d.log", "/var/log/x-*.log"),
            ("/var/log/%Y/%m/x.log", "/var/log/*/x.log"),
            ("/var/log/x%%Y%%m.log", "/var/log/x*.log"),
        ] {
            assert_eq!(undated(line), expected, "{line}");
        }
    }
}
