//! Expands `%(name)s` in a raw value (facts C14–C21).
//!
//! This happens when an option is read, in the section that reads it. Depth, length and number of steps are
//! limited.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::error::Cause;
use super::section::Section;
use super::settings::{KNOWN, MergedSettings, Vars};
use crate::python::text::{is_word, lower_case, quoted};

/// Values within values, as deep as the original goes.
const DEPTH: usize = 10;
/// Longest value in bytes. Ten levels of references could otherwise fill any memory.
const LENGTH: usize = 4 << 20;
/// References followed and looked at for one value; values within values within values could otherwise
/// have billions of them.
const STEPS: usize = 1000;

impl MergedSettings {
    /// An option with everything in it replaced: of `vars`, else of the section, else the
    /// default. `None` is Python's.
    ///
    /// # Errors
    /// No such section or option; a reference that cannot be resolved.
    pub fn get(&self, section: &str, option: &str, vars: &Vars) -> Result<Option<Arc<str>>, Cause> {
        self.find(section, option, vars)?
            .ok_or_else(|| Cause::NoOption {
                section: section.to_owned(),
                option: option.to_lowercase(),
            })
    }

    /// As [`MergedSettings::get`]; `None` when there is no such option.
    ///
    /// # Errors
    /// No such section; a reference that cannot be resolved.
    pub fn find(
        &self,
        section: &str,
        option: &str,
        vars: &Vars,
    ) -> Result<Option<Option<Arc<str>>>, Cause> {
        let own = self.section(section);
        if own.is_none() && section != "DEFAULT" {
            return Err(Cause::NoSection(section.to_owned()));
        }
        let option = lower_case(option);
        let mut expansion = Expansion {
            settings: self,
            vars,
            section,
            own,
            option: &option,
            foreign: Vec::new(),
            steps: 0,
            out: String::new(),
        };
        let value = match expansion.find(&option) {
            None => return Ok(None),
            Some(None) => return Ok(Some(None)),
            Some(Some(value)) => value,
        };
        if !value.contains('%') {
            return Ok(Some(Some(value)));
        }
        expansion.expand(&value, 1)?;
        Ok(Some(Some(expansion.out.into())))
    }
}

/// References to other sections that a value made, by the name they were written with.
type Foreign = (String, Arc<str>);

struct Expansion<'a> {
    settings: &'a MergedSettings,
    vars: &'a Vars,
    section: &'a str,
    own: Option<&'a Section>,
    option: &'a str,
    /// Of the value at hand and those it is used by.
    foreign: Vec<Foreign>,
    steps: usize,
    out: String,
}

impl Expansion<'_> {
    /// A name (as it is, not lower-cased) in everything that can be seen from here.
    fn find(&self, name: &str) -> Option<Option<Arc<str>>> {
        if let Some((_, value)) = self.foreign.iter().find(|(known, _)| known == name) {
            return Some(Some(value.clone()));
        }
        if let Some(value) = self.vars.get(name) {
            return Some(value.clone());
        }
        let entry = self.settings.entry_in(self.own, name)?;
        Some(Some(entry.text.clone()))
    }

    fn expand(&mut self, value: &str, depth: usize) -> Result<(), Cause> {
        if depth > DEPTH {
            return Err(self.error(format!(
                "Recursion limit exceeded in value substitution: option {} in section {} contains \
                 an interpolation key which cannot be substituted in {DEPTH} steps. Raw value: {}",
                quoted(self.option),
                quoted(self.section),
                self.raw(value),
            )));
        }
        let known = self.foreign.len();
        self.add_foreign(value)?;
        let mut rest = value;
        while let Some(percent) = rest.find('%') {
            self.push(&rest[..percent])?;
            rest = &rest[percent..];
            if let Some(after) = rest.strip_prefix("%%") {
                self.push("%")?;
                rest = after;
            } else if rest.starts_with("%(") {
                let Some((name, after)) = reference(rest) else {
                    return Err(self.error(format!(
                        "bad interpolation variable reference {}",
                        quoted(rest)
                    )));
                };
                rest = after;
                self.replace(&lower_case(name), value, depth)?;
            } else {
                return Err(self.error(format!(
                    "'%' must be followed by '%' or '(', found: {}",
                    quoted(rest)
                )));
            }
        }
        self.foreign.truncate(known);
        self.push(rest)
    }

    fn replace(&mut self, name: &str, value: &str, depth: usize) -> Result<(), Cause> {
        self.step()?;
        if name == "__name__" {
            let section = self.section;
            return self.push(section);
        }
        match self.find(name) {
            Some(Some(text)) if text.contains('%') => self.expand(&text, depth + 1),
            Some(Some(text)) => self.push(&text),
            Some(None) => Err(self.error("argument of type 'NoneType' is not iterable".to_owned())),
            None => Err(self.error(format!(
                "Bad value substitution: option {} in section {} contains an interpolation key {} \
                 which is not a valid option name. Raw value: {}",
                quoted(self.option),
                quoted(self.section),
                quoted(name),
                self.raw(value),
            ))),
        }
    }

    fn step(&mut self) -> Result<(), Cause> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(self.error(format!(
                "Too many references in value substitution: option {} in section {}",
                quoted(self.option),
                quoted(self.section),
            )));
        }
        Ok(())
    }

    /// Adds the raw values of all `section/option` references of a value (facts C16–C18).
    fn add_foreign(&mut self, value: &str) -> Result<(), Cause> {
        if !value.contains('/') {
            return Ok(());
        }
        let mut rest = value;
        while let Some(at) = rest.find("%(") {
            rest = &rest[at..];
            let Some((name, place, option, after)) = foreign_reference(rest) else {
                // What looks like a reference may still hold the beginning of one.
                rest = &rest[2..];
                continue;
            };
            rest = after;
            self.step()?;
            if self.find(name).is_none()
                && let Some(text) = self.raw_foreign(place, option)
            {
                self.foreign.push((name.to_owned(), text));
            }
        }
        Ok(())
    }

    fn raw_foreign(&self, place: &str, option: &str) -> Option<Arc<str>> {
        let section = match place.to_lowercase().as_str() {
            "default" => None,
            "known" => self.settings.section(&format!("{KNOWN}{}", self.section)),
            _ => Some(self.settings.section(place)?),
        };
        section
            .and_then(|section| section.get(option))
            .or_else(|| self.settings.defaults.get(option))
            .map(|entry| entry.text.clone())
    }

    fn push(&mut self, text: &str) -> Result<(), Cause> {
        if self.out.len() + text.len() > LENGTH {
            return Err(self.error(format!(
                "Value too long after substitution: option {} in section {}",
                quoted(self.option),
                quoted(self.section),
            )));
        }
        self.out.push_str(text);
        Ok(())
    }

    /// What error texts show as the raw value: that of the files, else what is at hand.
    fn raw(&self, value: &str) -> String {
        match self.settings.entry(self.section, self.option) {
            Some(entry) => quoted(&entry.text),
            None => quoted(value),
        }
    }

    fn error(&self, text: String) -> Cause {
        let entry = self.settings.entry(self.section, self.option);
        let origin = entry.and_then(|entry| entry.origin.clone());
        Cause::Interpolation {
            text,
            place: origin.map(Into::into),
        }
    }
}

/// `%(section/option)s` at the beginning: the whole name, its parts, and what comes after it.
fn foreign_reference(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (name, after) = reference(text)?;
    let (place, option) = name.split_once('/')?;
    let valid =
        !place.is_empty() && place.chars().all(|c| is_word(c) || c == '-') && !option.is_empty();
    valid.then_some((name, place, option, after))
}

/// `%(name)s` at the beginning: the name, and what comes after it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("%(")?;
    let (name, after) = inner.split_once(')')?;
    (!name.is_empty()).then_some((name, after.strip_prefix('s')?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ini;

    fn get(files: &[&str], section: &str, option: &str) -> Result<String, String> {
        let mut settings = MergedSettings::default();
        for text in files {
            settings.merge(&ini::parse(text, "/f").unwrap());
        }
        match settings.get(section, option, &Vars::default()) {
            Ok(value) => Ok(value.unwrap().to_string()),
            Err(cause) => Err(cause.to_string()),
        }
    }

    #[test]
    fn references() {
        let text = "[DEFAULT]\nd=def\no=default\n[t]\nt2=%(loc)s\nloc=inT\n\
                    [s]\nloc=inS\no=own\nx=%(t/t2)s\nw=%%(%(t/loc)s\ny=%(O)s %(d)s %(default/o)s %%(o)s\n\
                    z=%(__name__)s\nk=%(known/d)s\n";
        for (option, expected) in [
            ("x", "inS"),
            ("w", "%(inT"),
            ("y", "own def default %(o)s"),
            ("z", "s"),
            ("k", "def"),
            ("O", "own"),
        ] {
            assert_eq!(
                get(&[text], "s", option).as_deref(),
                Ok(expected),
                "{option}"
            );
        }
    }

    #[test]
    fn known_is_one_level() {
        let files = ["[s]\na=1\n", "[s]\na=%(known/a)s 2\n"];
        assert_eq!(get(&files, "s", "a").as_deref(), Ok("1 2"));
        let three = [
            "[s]\na=1\n",
            "[s]\na=%(known/a)s 2\n",
            "[s]\na=%(known/a)s 3\n",
        ];
        let error = get(&three, "s", "a").unwrap_err();
        assert!(error.starts_with("Recursion limit exceeded"), "{error}");
    }

    #[test]
    fn errors() {
        for (line, expected) in [
            (
                "a=%(b)s",
                "Bad value substitution: option 'a' in section 's' contains an interpolation key \
                 'b' which is not a valid option name. Raw value: '%(b)s' (/f:2)",
            ),
            (
                "a=%(T/b)s\n[T]\nb=1",
                "Bad value substitution: option 'a' in section 's' contains an interpolation key \
                 't/b' which is not a valid option name. Raw value: '%(T/b)s' (/f:2)",
            ),
            (
                "a=%x",
                "'%' must be followed by '%' or '(', found: '%x' (/f:2)",
            ),
            (
                "a=b%(a",
                "bad interpolation variable reference '%(a' (/f:2)",
            ),
        ] {
            let text = format!("[s]\n{line}\n");
            assert_eq!(get(&[&text], "s", "a"), Err(expected.to_owned()));
        }
    }

    #[test]
    fn growth_is_bounded() {
        let mut text = String::from("[s]\n");
        for level in 0..9 {
            let reference = format!("%(a{})s", level + 1);
            text.push_str(&format!("a{level} = {}\n", reference.repeat(50)));
        }
        text.push_str("a9 = \n");
        assert!(
            get(&[&text], "s", "a0")
                .unwrap_err()
                .starts_with("Too many references")
        );
    }
}
