//! Which options and sections the values of a file refer to.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::settings::MergedSettings;

/// Names that values refer to, as `%(name)s`, `<name>` or `<a-<name>>`; all in lower case.
#[derive(Debug, Default)]
pub struct References {
    exact: HashSet<String>,
    /// Beginning and end of names whose middle is a tag itself.
    composed: Vec<(String, String)>,
    sections: HashSet<String>,
    composed_sections: Vec<(String, String)>,
    /// There is `<<name>>`, which may be anything.
    anything: bool,
}

impl References {
    /// Notes everything the values of these sections refer to.
    pub fn add_all(&mut self, settings: &MergedSettings) {
        let sections = settings.names().filter_map(|name| settings.section(name));
        for section in sections.chain([&settings.defaults]) {
            for entry in section.values() {
                self.add(&entry.text);
            }
        }
    }

    /// Notes what a value refers to.
    pub fn add(&mut self, value: &str) {
        let mut rest = value;
        while let Some(at) = rest.find("%(") {
            rest = &rest[at + 2..];
            if let Some((name, _)) = rest.split_once(')') {
                self.name(name);
            }
        }
        for (at, _) in value.match_indices('<') {
            if let Some(tag) = tag(&value[at + 1..]) {
                self.tag(tag);
            }
        }
    }

    fn tag(&mut self, tag: &str) {
        if !tag.contains('<') {
            return self.name(tag);
        }
        let (section, option) = match tag.rsplit_once('/') {
            Some((section, option)) if !option.contains('>') => (Some(section), option),
            _ => (None, tag),
        };
        match ends(option) {
            Some((begin, end)) if begin.is_empty() && end.is_empty() => self.anything = true,
            Some(ends) => self.composed.push(ends),
            None => self.name(option),
        }
        self.composed_sections.extend(section.and_then(ends));
    }

    fn name(&mut self, name: &str) {
        let name = name.to_lowercase();
        match name.split_once('/') {
            Some((section, option)) => {
                self.sections.insert(section.to_owned());
                self.exact.insert(option.to_owned());
            }
            None => {
                self.exact.insert(name);
            }
        }
    }

    /// Whether anything refers to the option.
    pub fn option(&self, name: &str) -> bool {
        let name = name.split('?').next().unwrap_or(name);
        self.exact.contains(name) || fits(name, &self.composed)
    }

    /// Whether any option may be referred to, by a tag that is nothing but another tag.
    pub fn anything(&self) -> bool {
        self.anything
    }

    /// Whether anything refers to the section.
    pub fn section(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.sections.contains(&name) || fits(&name, &self.composed_sections)
    }

    /// All names that are referred to as they are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().map(String::as_str)
    }
}

/// What stands before and after the tags in a name.
fn ends(name: &str) -> Option<(String, String)> {
    let (open, close) = (name.find('<')?, name.rfind('>')?);
    Some((
        name[..open].to_lowercase(),
        name[close + 1..].to_lowercase(),
    ))
}

fn fits(name: &str, composed: &[(String, String)]) -> bool {
    composed.iter().any(|(begin, end)| {
        let rest = name.strip_prefix(begin.as_str());
        rest.is_some_and(|rest| rest.ends_with(end.as_str()))
    })
}

/// The inside of a tag that begins here: up to the `>` that closes it, tags within included.
fn tag(text: &str) -> Option<&str> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if depth == 0 => return (at > 0).then(|| &text[..at]),
            '>' => depth -= 1,
            c if c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '?' | '=') => {}
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let mut references = References::default();
        references.add(
            "<lt_<kind>/deep> %(Name)s <tag> <a-<mode>-z> <Sec/opt> %(known/k)s (?P<x>.) < not >",
        );
        for (name, expected) in [
            ("name", true),
            ("tag", true),
            ("tag?family=inet6", true),
            ("a-b-z", true),
            ("a-b-c", false),
            ("mode", true),
            ("opt", true),
            ("k", true),
            ("not", false),
        ] {
            assert_eq!(references.option(name), expected, "{name}");
        }
        for (name, expected) in [("Sec", true), ("lt_x", true), ("Other", false)] {
            assert_eq!(references.section(name), expected, "{name}");
        }
        assert!(references.option("deep") && !references.anything());
        references.add("<<type>>");
        assert!(references.anything());
    }
}
