//! The merged sections of a set of files: raw options, and the value that an option had before a later file
//! changed it.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::error::Cause;
use super::ini::{IniFile, IniSyntaxError};
use super::section::{FileLine, Hashing, RawOption, Section};
use crate::control::Value;
use crate::python::text::{is_space, is_word, lower_case};

/// Values of options as the views handle them, in order.
pub type Options = IndexMap<Arc<str>, Setting, Hashing>;

/// The value of an option: a text of the files, which many jails share, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Setting {
    /// Python's `None`.
    Nothing,
    Flag(bool),
    Number(i64),
    Text(Arc<str>),
}

impl Setting {
    /// The text, or what Python's `str` would make of the value.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Setting::Nothing => Cow::Borrowed("None"),
            Setting::Flag(true) => Cow::Borrowed("True"),
            Setting::Flag(false) => Cow::Borrowed("False"),
            Setting::Number(number) => Cow::Owned(number.to_string()),
            Setting::Text(text) => Cow::Borrowed(text),
        }
    }

    /// The same, to be kept.
    pub fn shared_text(&self) -> Arc<str> {
        match self {
            Setting::Text(text) => text.clone(),
            other => other.text().into(),
        }
    }

    /// What Python's `repr` would make of the value.
    pub fn repr(&self) -> String {
        Value::from(self).repr()
    }
}

impl From<&str> for Setting {
    fn from(text: &str) -> Setting {
        Setting::Text(text.into())
    }
}

impl From<Option<Arc<str>>> for Setting {
    fn from(text: Option<Arc<str>>) -> Setting {
        text.map_or(Setting::Nothing, Setting::Text)
    }
}

impl From<&Setting> for Value {
    fn from(setting: &Setting) -> Value {
        match setting {
            Setting::Nothing => Value::None,
            Setting::Flag(flag) => (*flag).into(),
            Setting::Number(number) => (*number).into(),
            Setting::Text(text) => Value::from(&**text),
        }
    }
}

/// What is decided before a filter or action is read: options of the jail, and arguments, which beat
/// them.
#[derive(Clone, Copy, Debug)]
pub struct Supplied<'a> {
    /// Of the jail.
    pub jail: &'a Options,
    /// Of the filter or action.
    pub arguments: &'a Options,
}

impl<'a> Supplied<'a> {
    /// The value of an option.
    pub fn get(&self, name: &str) -> Option<&'a Setting> {
        self.arguments.get(name).or_else(|| self.jail.get(name))
    }

    /// All options; arguments stand where the options stand that they beat.
    fn iter(self) -> impl Iterator<Item = (&'a Arc<str>, &'a Setting)> {
        let beaten = move |(name, value): (&'a Arc<str>, &'a Setting)| {
            (name, self.arguments.get(name).unwrap_or(value))
        };
        let further = self.arguments.iter();
        let further = further.filter(move |(name, _)| !self.jail.contains_key(*name));
        self.jail.iter().map(beaten).chain(further)
    }
}

/// Values that beat those of the files while an option is read: options of the jail and
/// arguments of its filter or action. Names count in lower case.
#[derive(Clone, Debug, Default)]
pub struct Vars(HashMap<Arc<str>, Option<Arc<str>>, Hashing>);

impl Vars {
    /// Later options win over earlier ones that differ only in case.
    pub fn new(supplied: Supplied<'_>) -> Vars {
        let entries = supplied.iter().map(|(name, value)| {
            let text = match value {
                Setting::Nothing => None,
                value => Some(value.shared_text()),
            };
            let name = match lower_case(name) {
                Cow::Borrowed(_) => name.clone(),
                Cow::Owned(lower) => lower.into(),
            };
            (name, text)
        });
        let most = supplied.jail.len() + supplied.arguments.len();
        let mut vars = HashMap::with_capacity_and_hasher(most, Hashing::default());
        vars.extend(entries);
        Vars(vars)
    }

    /// The value: `None` when there is none, `Some(None)` when it is Python's `None`.
    pub fn get(&self, name: &str) -> Option<&Option<Arc<str>>> {
        self.0.get(name)
    }
}

/// Sections of all files of a set, merged: later files win (facts C1, C13).
#[derive(Clone, Debug, Default)]
pub struct MergedSettings {
    /// Options that every section has.
    pub defaults: Section,
    /// What a name stands for that nobody defines.
    pub spare: Section,
    sections: IndexMap<Arc<str>, Section, Hashing>,
    /// Section → the options it had before the last file that redefined them (fact C18).
    known: IndexMap<Arc<str>, Section, Hashing>,
    /// What is wrong with the text of single sections.
    faults: IndexMap<Arc<str>, IniSyntaxError, Hashing>,
    /// The file that was read last.
    pub file: Option<Arc<str>>,
}

/// Prefix under which [`MergedSettings::section`] finds what a section had before.
pub const KNOWN: &str = "KNOWN/";

impl MergedSettings {
    /// Lays the options of one more file over those that are there.
    pub fn merge(&mut self, file: &IniFile) {
        self.defaults
            .extend(file.defaults.iter().map(|(k, v)| (k.clone(), v.clone())));
        for (name, fault) in &file.faults {
            let fault = || fault.clone();
            self.faults.entry(name.clone()).or_insert_with(fault);
        }
        for (name, options) in &file.sections {
            let (name, condition) = match split_condition(name) {
                Some((name, condition)) => (Arc::from(name), condition),
                None => (name.clone(), ""),
            };
            // Even when nothing of it is redefined, what it had is known from now on: nothing.
            if self.sections.contains_key(&name) {
                self.known.entry(name.clone()).or_default();
            }
            let mut known = self.known.get_mut(&name);
            let section = self.sections.entry(name).or_default();
            for (key, entry) in options {
                let key = if condition.is_empty() {
                    key.clone()
                } else {
                    format!("{key}{condition}").into()
                };
                let before = section.insert(key.clone(), entry.clone());
                if let (Some(before), Some(known)) = (before, &mut known) {
                    known.insert(key, before);
                }
            }
        }
    }

    /// What is wrong with the text of a section.
    pub fn fault(&self, section: &str) -> Option<&IniSyntaxError> {
        self.faults.get(section)
    }

    /// Names of all sections in order; `DEFAULT` is none.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sections.keys()
    }

    /// A section, or with the prefix [`KNOWN`] what it had before.
    pub fn section(&self, name: &str) -> Option<&Section> {
        match name.strip_prefix(KNOWN) {
            Some(name) => self.known.get(name),
            None => self.sections.get(name),
        }
    }

    /// Adds options the program computes to a section (fact C19).
    pub fn add(&mut self, section: &str, options: impl Iterator<Item = (Arc<str>, RawOption)>) {
        let section = self.sections.entry(section.into()).or_default();
        section.extend(options);
    }

    /// The raw entry of an option (in lower case): the section's own, else the default.
    pub fn entry(&self, section: &str, option: &str) -> Option<&RawOption> {
        self.entry_in(self.section(section), option)
    }

    /// As [`MergedSettings::entry`], of a section that was looked up.
    pub fn entry_in<'s>(&'s self, own: Option<&'s Section>, option: &str) -> Option<&'s RawOption> {
        own.and_then(|own| own.get(option))
            .or_else(|| self.defaults.get(option))
            .or_else(|| self.spare.get(option))
    }

    /// Where an option (in lower case) was written.
    pub fn origin(&self, section: &str, option: &str) -> Option<&FileLine> {
        self.entry(section, option)?.origin.as_ref()
    }

    /// Whether the section itself has the option.
    pub fn has_own(&self, section: &str, option: &str) -> bool {
        self.section(section)
            .is_some_and(|own| own.contains_key(option))
    }

    /// An option by a name that may say its section: `known/x`, `default/x`, `Section/x`
    /// (fact C24). `None` when it is not there, `Some(None)` when it is Python's.
    ///
    /// # Errors
    /// Its interpolation fails.
    pub fn find_anywhere(
        &self,
        section: &str,
        option: &str,
        vars: &Vars,
    ) -> Result<Option<Option<Arc<str>>>, Cause> {
        if let Some((place, name)) = split_place(option) {
            let places: [Option<String>; 2] = match place.to_lowercase().as_str() {
                "known" => [Some(format!("{KNOWN}{section}")), Some(section.to_owned())],
                "default" => [Some("DEFAULT".to_owned()), None],
                _ => [Some(place.to_owned()), None],
            };
            for place in places.into_iter().flatten() {
                match self.find(&place, name, &Vars::default()) {
                    Ok(None) => {}
                    Err(cause) if cause.is_absence() => {}
                    result => return result,
                }
            }
        }
        match self.find(section, option, vars) {
            Err(cause) if cause.is_absence() => Ok(None),
            result => result,
        }
    }
}

/// `name?condition` in its parts (fact C30).
pub fn split_condition(name: &str) -> Option<(&str, &str)> {
    let at = name.find('?')?;
    let (plain, condition) = name.split_at(at);
    let valid = !plain.is_empty()
        && plain.chars().all(is_word)
        && condition.len() > 1
        && !condition.contains('\n');
    valid.then_some((plain, condition))
}

/// `section/option` in its parts.
fn split_place(option: &str) -> Option<(&str, &str)> {
    let (place, name) = option.split_once('/')?;
    let valid = !place.is_empty()
        && place.chars().all(|c| is_word(c) || c == '-')
        && !name.is_empty()
        && !name.contains(|c: char| c == '>' || is_space(c));
    valid.then_some((place, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ini;

    fn settings(files: &[&str]) -> MergedSettings {
        let mut settings = MergedSettings::default();
        for text in files {
            settings.merge(&ini::parse(text, "/f").unwrap());
        }
        settings
    }

    fn get(settings: &MergedSettings, option: &str) -> Option<String> {
        let value = settings.find_anywhere("Definition", option, &Vars::default());
        Some(value.ok()???.to_string())
    }

    #[test]
    fn later_files_win_and_the_older_value_stays_known() {
        let settings = settings(&[
            "[DEFAULT]\nd=1\n[Definition]\na=1\nb=1\n",
            "[Definition]\na=2\nc=2\n[Init]\nx=3\n",
            "[DEFAULT]\nd=2\n[Definition]\na=3\n",
        ]);
        for (option, expected) in [
            ("a", Some("3")),
            ("known/a", Some("2")),
            ("KNOWN/b", Some("1")),
            ("c", Some("2")),
            ("d", Some("2")),
            ("default/d", Some("2")),
            ("DEFAULT/d", Some("2")),
            ("Init/x", Some("3")),
            ("init/x", None),
            ("x", None),
        ] {
            assert_eq!(get(&settings, option).as_deref(), expected, "{option}");
        }
    }

    #[test]
    fn conditions_go_to_the_options() {
        let settings = settings(&["[Init]\nw=1\n[Init?family=inet6]\nw=6\n"]);
        let keys: Vec<_> = settings.section("Init").unwrap().keys().cloned().collect();
        assert_eq!(keys, [Arc::from("w"), Arc::from("w?family=inet6")]);
        assert_eq!(settings.names().count(), 1);
        let origin = settings.origin("Init", "w?family=inet6").unwrap();
        assert_eq!(origin.to_string(), "/f:4");
        assert_eq!(settings.origin("Init", "x"), None);
    }
}
