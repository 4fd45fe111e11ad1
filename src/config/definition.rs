//! What filters and actions have in common: a file with `[Definition]` and `[Init]`, arguments from the
//! jail, options of the jail, and how they are combined (facts C23–C32).
#![forbid(unsafe_code)]

use crate::python::text::is_on;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::error::{Cause, ConfigMessages, ConfigPlace};
use super::section::{FileLine, Hashing};
use super::settings::{MergedSettings, Options, Setting, Supplied, Vars, split_condition};
use super::tags;
use crate::control::Value;
use crate::log::Level;
use crate::options::{Literal, OptionRow, ValueKind};
use crate::python::text::quoted;

const TARGET: &str = "fail2ban.configreader";

/// Longest options of a filter or action together, in bytes.
const LENGTH: usize = 64 << 20;

impl From<Literal> for Setting {
    fn from(literal: Literal) -> Setting {
        match literal {
            Literal::Flag(flag) => Setting::Flag(flag),
            Literal::Text(text) => text.into(),
        }
    }
}

/// The value of a text; `None` when it has none of this kind.
pub fn convert(kind: ValueKind, value: &Setting) -> Option<Setting> {
    match kind {
        ValueKind::Text => Some(value.clone()),
        ValueKind::Flag => Some(Setting::Flag(match value {
            Setting::Text(text) => is_on(text),
            Setting::Flag(flag) => *flag,
            Setting::Number(number) => *number != 0,
            Setting::Nothing => false,
        })),
        ValueKind::Integer => Value::from(value).to_int().ok().map(Setting::Number),
    }
}

/// Reads the known options of a section, those in `supplied` excepted: they are decided already.
///
/// # Errors
/// A substitution that fails; with `must_exist` a section that is not there.
pub fn read_options<'k>(
    settings: &MergedSettings,
    section: &str,
    known: impl IntoIterator<Item = &'k OptionRow>,
    supplied: Option<(Supplied<'_>, &Vars)>,
    must_exist: bool,
    converts: bool,
    messages: &mut ConfigMessages,
) -> Result<Options, Cause> {
    let none = Vars::default();
    let vars = supplied.map_or(&none, |(_, vars)| vars);
    let mut values = Options::default();
    for option in known {
        let name = option.name;
        if supplied.is_some_and(|(options, _)| options.get(name).is_some()) {
            continue;
        }
        let default = || option.default.map_or(Setting::Nothing, Setting::from);
        match settings.find(section, name, vars) {
            Ok(Some(text)) => {
                let text = Setting::from(text);
                let kind = if converts {
                    option.kind
                } else {
                    ValueKind::Text
                };
                let value = convert(kind, &text).unwrap_or_else(|| {
                    let text = format!(
                        "Wrong value for '{name}' in '{section}'. Using default one: '{}'",
                        default().repr(),
                    );
                    let place = settings.origin(section, name).cloned().map(Into::into);
                    messages.add_at(Level::Warning, TARGET, text, place);
                    default()
                });
                values.insert(name.into(), value);
            }
            Err(Cause::NoSection(_)) if option.beyond => {}
            Err(cause @ Cause::NoSection(_)) if !must_exist => {
                let file = settings.file.clone();
                let place = file.map(|file| ConfigPlace::from(FileLine { file, line: 1 }));
                messages.add_once_at(Level::Error, TARGET, cause.to_string(), place);
                values.insert(name.into(), default());
            }
            Ok(None) => {
                if let Some(default) = option.default {
                    values.insert(name.into(), default.into());
                }
            }
            Err(cause) => return Err(cause),
        }
    }
    Ok(values)
}

/// `{**first, **second}`
pub fn merged(first: &Options, second: &Options) -> Options {
    let mut all = Options::with_capacity_and_hasher(first.len() + second.len(), Hashing::default());
    for options in [first, second] {
        all.extend(options.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    all
}

/// Where the value of an option comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueSource {
    /// The brackets behind the name of the filter or action.
    Argument,
    /// A file.
    File(FileLine),
    /// Nobody wrote it.
    Program,
}

/// A filter or action of a jail.
#[derive(Debug)]
pub struct Definition {
    settings: Rc<MergedSettings>,
    known: &'static [OptionRow],
    /// How many of `arguments` the jail gave.
    given: usize,
    /// Arguments of the jail, then the options of `[Init]`.
    pub arguments: Options,
    /// Options of `[Definition]`.
    own: Options,
    /// Options of the jail and arguments, as they were when options were read last.
    vars: Vars,
    looked_up: HashMap<Box<str>, Option<Arc<str>>, Hashing>,
}

impl Definition {
    /// A definition whose files were read.
    pub fn new(
        settings: Rc<MergedSettings>,
        known: &'static [OptionRow],
        arguments: Options,
    ) -> Definition {
        Definition {
            settings,
            known,
            given: arguments.len(),
            arguments,
            own: Options::default(),
            vars: Vars::default(),
            looked_up: HashMap::default(),
        }
    }

    /// Its files.
    pub fn settings(&self) -> &MergedSettings {
        &self.settings
    }

    /// Where the value of an option comes from that no option of the jail has decided.
    pub fn source(&self, name: &str) -> ValueSource {
        let given = self.arguments.get_index_of(name);
        if given.is_some_and(|index| index < self.given) {
            return ValueSource::Argument;
        }
        let own = ["Init", "Definition"].map(|section| {
            let own = self.settings.section(section)?.get(name)?;
            own.origin.clone()
        });
        let of_all = || self.settings.defaults.get(name)?.origin.clone();
        let origin = own.into_iter().flatten().next().or_else(of_all);
        origin.map_or(ValueSource::Program, ValueSource::File)
    }

    /// Reads the options; those of the jail win. With `all` the unknown ones of `[Definition]`,
    /// too.
    ///
    /// # Errors
    /// A substitution that fails.
    pub fn read(
        &mut self,
        jail: &Options,
        all: bool,
        messages: &mut ConfigMessages,
    ) -> Result<(), Cause> {
        // options of `[Init]` join the arguments, but are none
        let arguments = self.arguments.clone();
        let supplied = Supplied {
            jail,
            arguments: &arguments,
        };
        self.vars = Vars::new(supplied);
        self.own = read_options(
            &self.settings,
            "Definition",
            self.known,
            Some((supplied, &self.vars)),
            false,
            false,
            messages,
        )?;
        self.read_init(supplied)?;
        if !all {
            return Ok(());
        }
        let mut length = 0;
        for name in self.settings.section("Definition").into_iter().flatten() {
            let name = name.0;
            if !self.own.contains_key(name) {
                let value = self.settings.get("Definition", name, &Vars::default())?;
                length += value.as_ref().map_or(0, |value| value.len());
                if length > LENGTH {
                    let origin = self.settings.origin("Definition", name);
                    return Err(Cause::Setting {
                        text: "Options are too long".to_owned(),
                        place: origin.cloned().map(Into::into),
                    });
                }
                self.own.insert(name.clone(), value.into());
            }
        }
        Ok(())
    }

    /// Options of `[Init]`: kept under `known/…`, and where no argument was given, used.
    fn read_init(&mut self, supplied: Supplied<'_>) -> Result<(), Cause> {
        for name in self.settings.section("Init").into_iter().flatten() {
            let name = name.0;
            let value = self.settings.get("Init", name, &Vars::default())?;
            let mut value = Setting::from(value);
            if !name.starts_with("known/") {
                self.arguments
                    .insert(format!("known/{name}").into(), value.clone());
            }
            if self.arguments.contains_key(name) {
                continue;
            }
            // An argument beats the conditional variants of its option (fact C31).
            if let Some((plain, _)) = split_condition(name)
                && let Some(given) = supplied.get(plain)
                && *given != Setting::Nothing
            {
                value = given.clone();
            }
            self.arguments.insert(name.clone(), value);
        }
        Ok(())
    }

    /// All options with their tags replaced, in the kinds they have. Tags of `ignore` and of
    /// options with conditional variants stay for the server (fact C26).
    ///
    /// # Errors
    /// Self reference.
    pub fn combined(
        &mut self,
        ignore: &[&str],
        messages: &mut ConfigMessages,
    ) -> Result<Options, Cause> {
        let mut options = merged(&self.own, &self.arguments);
        let names = self.own.keys().chain(self.arguments.keys());
        let ignore: tags::Ignored<'_> = names
            .filter_map(|name| split_condition(name))
            .map(|(plain, _)| plain)
            .chain(ignore.iter().copied())
            .collect();
        let (settings, vars, looked_up) = (&self.settings, &self.vars, &mut self.looked_up);
        let replaced = tags::substitute(&mut options, &ignore, |tag| {
            if let Some(value) = looked_up.get(tag) {
                return Ok(value.clone());
            }
            let value = settings.find_anywhere("Definition", tag, vars)?.flatten();
            looked_up.insert(tag.into(), value.clone());
            Ok(value)
        });
        replaced.map_err(|cause| self.placed(cause))?;
        self.convert(&mut options, messages);
        Ok(options)
    }

    /// Says where the option stands whose tags lead back to themselves.
    fn placed(&self, cause: Cause) -> Cause {
        match cause {
            Cause::Circle { option, text } => Cause::Setting {
                place: match self.source(&option) {
                    ValueSource::File(origin) => Some(origin.into()),
                    ValueSource::Argument | ValueSource::Program => None,
                },
                text,
            },
            other => other,
        }
    }

    fn convert(&self, options: &mut Options, messages: &mut ConfigMessages) {
        for known in self
            .known
            .iter()
            .filter(|known| known.kind != ValueKind::Text)
        {
            let Some(value) = options.get_mut(known.name) else {
                continue;
            };
            if *value == Setting::Nothing {
                continue;
            }
            let kind = if known.kind == ValueKind::Flag {
                "bool"
            } else {
                "int"
            };
            *value = convert(known.kind, value).unwrap_or_else(|| {
                let text = format!(
                    "Wrong {kind} value {} for {}. Using default one: None",
                    value.repr(),
                    quoted(known.name),
                );
                let origin = self.settings.origin("Definition", known.name);
                let place = origin.cloned().map(Into::into);
                messages.add_at(Level::Warning, TARGET, text, place);
                Setting::Nothing
            });
        }
    }
}
