//! Reads an action of a jail: files of `action.d`, arguments and jail options become commands.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use indexmap::IndexMap;

use super::definition::{Definition, ValueSource};
use super::error::{Cause, ConfigMessages};
use super::files::{join, stem};
use super::layers::Layers;
use super::references::References;
use super::settings::{MergedSettings, Options, Setting, Vars};
use crate::control::Value;
use crate::notice;
use crate::options::action::{self as rows, DEFINITION};
use crate::python::text::json_object;

/// Tags only the server can replace (fact C26).
const FOR_THE_SERVER: [&str; 5] = [
    "matches",
    "ipmatches",
    "ipjailmatches",
    "timeout",
    "bantime",
];

/// Arguments that are not told when nothing reads them: `jail.conf` hands them to whichever action is
/// chosen.
const HANDED_ON: [&str; 13] = [
    "port",
    "protocol",
    "chain",
    "blocktype",
    "returntype",
    "logpath",
    "sender",
    "sendername",
    "dest",
    "service",
    "logtype",
    "throttle",
    "digest",
];

/// Which of these arguments nothing in the files of an action reads.
pub fn unread<'a>(
    settings: &MergedSettings,
    arguments: impl Iterator<Item = &'a str>,
) -> Vec<&'a str> {
    let mut references = References::default();
    references.add_all(settings);
    let sections = settings.names().filter_map(|name| settings.section(name));
    let own: Vec<&str> = sections
        .chain([&settings.defaults])
        .flat_map(|section| section.keys())
        .map(|name| &**name)
        .collect();
    let known = rows::all().map(|row| row.name);
    let known: Vec<&str> = known.chain(HANDED_ON).chain(own).collect();
    let is_read = |argument: &str| {
        let name = argument.split('?').next().unwrap_or(argument);
        references.anything()
            || argument.contains('/')
            || known.contains(&name)
            || references.option(&name.to_lowercase())
    };
    arguments.filter(|argument| !is_read(argument)).collect()
}

/// Whether an action of these files bans somebody, and does not only tell of it.
pub fn bans(settings: &MergedSettings) -> bool {
    let unban = settings.find("Definition", "actionunban", &Vars::default());
    let unban = unban.ok().flatten().flatten();
    unban.is_some_and(|text| !text.trim().is_empty() && !notice::is_notice(&text))
}

/// An action of one jail.
#[derive(Debug)]
pub enum ActionConfig {
    /// Commands from `action.d/NAME.conf`.
    Commands {
        /// Its name in the jail.
        name: String,
        /// The jail.
        jail: String,
        /// Its options.
        definition: Box<Definition>,
        /// Its arguments that nothing reads.
        unread: Vec<String>,
    },
    /// A Python file: the command that loads it, complete (fact C38).
    Python(Vec<Value>),
}

impl ActionConfig {
    /// Reads the files of `action.d/FILE` and their options; `None` when there are no files that
    /// can be used.
    ///
    /// # Errors
    /// A file that is no INI file; a substitution that fails.
    pub fn open(
        layers: &mut Layers<'_>,
        file: &str,
        jail: &str,
        mut arguments: IndexMap<String, String>,
        jail_options: &Options,
    ) -> Result<Option<ActionConfig>, Cause> {
        if file.ends_with(".py") {
            return Ok(Some(python(layers.base(), file, jail, arguments)));
        }
        let own = arguments
            .entry("name".to_owned())
            .or_insert_with(|| jail.to_owned())
            .clone();
        let name = arguments
            .entry("actname".to_owned())
            .or_insert_with(|| unique_name(file, jail, &own))
            .clone();
        let Some(settings) = layers.read(&join("action.d", file))? else {
            return Ok(None);
        };
        let unread = unread(&settings, arguments.keys().map(String::as_str));
        let unread = unread.into_iter().map(str::to_owned).collect();
        let arguments = arguments
            .into_iter()
            .map(|(name, value)| (name.into(), Setting::Text(value.into())))
            .collect();
        let mut definition = Definition::new(settings, DEFINITION, arguments);
        definition.read(jail_options, false, &mut layers.messages)?;
        Ok(Some(ActionConfig::Commands {
            name,
            jail: jail.to_owned(),
            definition: Box::new(definition),
            unread,
        }))
    }

    /// Its arguments that nothing reads.
    pub fn unread(&self) -> &[String] {
        match self {
            ActionConfig::Commands { unread, .. } => unread,
            ActionConfig::Python(_) => &[],
        }
    }

    /// Where the value of a property comes from.
    pub fn source(&self, name: &str) -> ValueSource {
        match self {
            ActionConfig::Commands { definition, .. } => definition.source(name),
            ActionConfig::Python(_) => ValueSource::Argument,
        }
    }

    /// Its commands for the server.
    ///
    /// # Errors
    /// Self reference.
    pub fn commands(&mut self, messages: &mut ConfigMessages) -> Result<Vec<Vec<Value>>, Cause> {
        let (name, jail, definition) = match self {
            ActionConfig::Python(command) => return Ok(vec![command.clone()]),
            ActionConfig::Commands {
                name,
                jail,
                definition,
                ..
            } => (
                Value::from(name.as_str()),
                Value::from(jail.as_str()),
                definition,
            ),
        };
        let is_known = |name: &str| DEFINITION.iter().any(|row| row.name == name);
        let combined = definition.combined(&FOR_THE_SERVER, messages)?;
        // Commands with their tags replaced, everything else as it was given: the server
        // replaces tags in it when it knows whom to ban.
        let commands = combined.iter().filter(|(name, _)| is_known(name));
        let parameters = definition
            .arguments
            .iter()
            .filter(|(name, _)| !is_known(name) && !name.starts_with("known/"));
        let mut properties: Vec<Value> = commands
            .chain(parameters)
            .map(|(name, value)| Value::List(vec![Value::from(&**name), value.into()]))
            .collect();

        let add = vec!["set".into(), jail.clone(), "addaction".into(), name.clone()];
        let set = match properties.len() {
            0 => return Ok(vec![add]),
            1 => {
                let mut set = vec!["set".into(), jail, "action".into(), name];
                if let Some(Value::List(property)) = properties.pop() {
                    set.extend(property);
                }
                set
            }
            _ => vec![
                "multi-set".into(),
                jail,
                "action".into(),
                name,
                Value::List(properties),
            ],
        };
        Ok(vec![add, set])
    }
}

/// The file's name, with what tells two actions of one file apart (fact C37).
fn unique_name(file: &str, jail: &str, name: &str) -> String {
    match name.strip_prefix(jail) {
        Some(suffix) => format!("{file}{suffix}"),
        None => format!("{file}-{name}"),
    }
}

fn python(
    base: &str,
    file: &str,
    jail: &str,
    mut arguments: IndexMap<String, String>,
) -> ActionConfig {
    let name = arguments
        .shift_remove("actname")
        .unwrap_or_else(|| stem(file).to_owned());
    let path = join(&join(base, "action.d"), file);
    let members = arguments
        .iter()
        .map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str())));
    ActionConfig::Python(vec![
        "set".into(),
        jail.into(),
        "addaction".into(),
        name.into(),
        path.into(),
        json_object(members).into(),
    ])
}
