//! The file and line in which a value of a jail was written.
#![forbid(unsafe_code)]

use super::super::definition::ValueSource;
use super::super::error::{ConfigPlace, Fault};
use super::super::files::{Files, split};
use super::super::places::{ValueItem, line_of};
use super::super::section::RawOption;
use super::super::settings::{KNOWN, MergedSettings};
use super::JailConfig;
use crate::control::Value;

impl JailConfig {
    /// Where the value was written that the server would refuse.
    pub fn place_of(
        &self,
        fault: &Fault,
        commands: &[Vec<Value>],
        settings: &MergedSettings,
        files: &dyn Files,
    ) -> Option<ConfigPlace> {
        let command = commands.get(fault.command)?;
        let option = match command.first()?.as_str()? {
            "add" => "backend",
            _ => command.get(2)?.as_str()?,
        };
        let values = command.get(3..).unwrap_or_default();
        let before = commands.get(..=fault.command)?;
        let is_addition =
            |command: &&Vec<Value>| command.get(2).and_then(Value::as_str) == Some("addaction");
        match option {
            "addaction" | "action" => {
                let number = before.iter().filter(is_addition).count().checked_sub(1)?;
                let (text, action) = self.actions.get(number)?;
                let property = match values.get(1) {
                    Some(Value::List(pairs)) => pairs.get(fault.item)?.as_slice()?.first(),
                    other => other,
                };
                let source = match property.and_then(Value::as_str) {
                    Some(property) if option == "action" => action.source(property),
                    _ => ValueSource::Argument,
                };
                match source {
                    ValueSource::File(origin) => {
                        Some(line_of(files, &origin, ValueItem::default()))
                    }
                    _ => {
                        let item = ValueItem {
                            number,
                            of: self.actions.len(),
                            text,
                        };
                        place_of_part(settings, &self.name, "action", item, files)
                    }
                }
            }
            option => {
                let list = match values.first() {
                    Some(Value::List(list)) => list.as_slice(),
                    _ => values,
                };
                let setting = match option.strip_prefix("add") {
                    Some(setting) => setting,
                    None => option,
                };
                // Patterns become any number of paths; what can be wrong is the word behind.
                let of_log = setting == "logpath";
                let text = list.get(if of_log { 1 } else { fault.item });
                let item = ValueItem {
                    number: fault.item,
                    of: if of_log { 0 } else { list.len() },
                    text: text.and_then(Value::as_str).unwrap_or_default(),
                };
                self.place_of_setting(setting, item, settings, files)
            }
        }
    }

    /// Arguments that its actions do not read, each with the name of the action and its place.
    pub fn unread_arguments(
        &self,
        settings: &MergedSettings,
        files: &dyn Files,
    ) -> Vec<(String, String, Option<ConfigPlace>)> {
        let mut unread = Vec::new();
        for (text, action) in &self.actions {
            let file = text.split('[').next().unwrap_or(text).trim();
            for argument in action.unread() {
                let item = ValueItem {
                    text: argument,
                    ..ValueItem::default()
                };
                let place = place_in(settings, &self.name, "action", item, files);
                unread.push((file.to_owned(), argument.clone(), place));
            }
        }
        unread
    }

    /// Where a setting of the jail or its filter was written.
    fn place_of_setting(
        &self,
        setting: &str,
        item: ValueItem<'_>,
        settings: &MergedSettings,
        files: &dyn Files,
    ) -> Option<ConfigPlace> {
        let own = place_of_part(settings, &self.name, setting, item, files);
        let of_filter = || match self.filter.as_ref()?.source(setting) {
            ValueSource::File(origin) => Some(line_of(files, &origin, item)),
            ValueSource::Argument => place_of_part(settings, &self.name, "filter", item, files),
            ValueSource::Program => None,
        };
        own.or_else(of_filter)
    }
}

/// Where an option of a jail was written.
pub fn place_in(
    settings: &MergedSettings,
    jail: &str,
    option: &str,
    item: ValueItem<'_>,
    files: &dyn Files,
) -> Option<ConfigPlace> {
    let origin = settings.origin(jail, option)?;
    Some(line_of(files, origin, item))
}

/// Where a wrong part of an option of a jail was written: in the option itself, or in one that it
/// refers to. When the part was put together, a file of the administrator beats those that came
/// with the program.
pub fn place_of_part(
    settings: &MergedSettings,
    jail: &str,
    option: &str,
    item: ValueItem<'_>,
    files: &dyn Files,
) -> Option<ConfigPlace> {
    let asked = settings.entry(jail, option)?;
    let mut sources = vec![asked];
    contributors(settings, jail, asked, &mut sources);
    let wanted = item.text.lines().next().unwrap_or_default().trim();
    let has_part = |entry: &&&RawOption| !wanted.is_empty() && entry.text.contains(wanted);
    let is_own = |entry: &&&RawOption| entry.origin.as_ref().is_some_and(|o| is_own_file(&o.file));
    let found = sources.iter().find(has_part);
    let source = match is_own(&&asked) {
        true => found,
        false => found.or_else(|| sources.iter().find(is_own)),
    };
    let source = source.filter(|entry| entry.origin.is_some());
    match source {
        Some(source) if !std::ptr::eq(*source, asked) => {
            let item = ValueItem {
                text: item.text,
                ..ValueItem::default()
            };
            Some(line_of(files, source.origin.as_ref()?, item))
        }
        _ => Some(line_of(files, asked.origin.as_ref()?, item)),
    }
}

/// Adds the options that an option refers to, and those they refer to.
fn contributors<'s>(
    settings: &'s MergedSettings,
    jail: &str,
    entry: &'s RawOption,
    found: &mut Vec<&'s RawOption>,
) {
    for reference in entry.text.split("%(").skip(1) {
        let Some((name, _)) = reference.split_once(')') else {
            continue;
        };
        let name = name.to_lowercase();
        let referred = match name.split_once('/') {
            Some(("default", name)) => settings.defaults.get(name),
            Some(("known", name)) => {
                let known = settings.section(&format!("{KNOWN}{jail}"));
                known.and_then(|known| known.get(name))
            }
            Some(_) => None,
            None => settings.entry(jail, &name),
        };
        if let Some(referred) = referred
            && !found.iter().any(|other| std::ptr::eq(*other, referred))
        {
            found.push(referred);
            contributors(settings, jail, referred, found);
        }
    }
}

/// Whether it is a file that administrators write: a `.local`, or one in `jail.d`.
pub fn is_own_file(path: &str) -> bool {
    path.ends_with(".local") || split(path).0.ends_with(".d")
}
