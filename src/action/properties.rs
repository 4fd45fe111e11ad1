//! The properties of one action: its commands, its parameters, and their defaults.
//!
//! Set one by one or from a config stream, read by name. Expanded, they give the commands of an operation for a
//! family (facts A1–A15, P51–P52).
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::HashMap;

use indexmap::IndexMap;

use super::tags::{self, PropertyTexts, TagError};
use crate::sys::hosts::HostNames;

use crate::control::{CommandError, Value};
use crate::datetime::duration;
use crate::mail::rate_limit::Pacing;
use crate::options::action;
use crate::python::Number;
use crate::ticket::Ticket;

/// Listed as properties although they are no settings: clients of the original see them.
const LISTED: [&str; 3] = ["ESCAPE_CRE", "ESCAPE_VN_CRE", "banEpoch"];

/// Seconds a command may run unless `timeout` says otherwise (fact A13).
const DEFAULT_TIMEOUT: i64 = 60;

/// Properties of an action.
#[derive(Clone, Debug)]
pub struct Properties {
    values: IndexMap<String, Value>,
    /// Resolved texts per condition; forgotten when a property changes.
    resolved: HashMap<String, PropertyTexts>,
    commands: HashMap<(String, String), String>,
}

impl Default for Properties {
    fn default() -> Properties {
        let mut properties = Properties {
            values: IndexMap::new(),
            resolved: HashMap::new(),
            commands: HashMap::new(),
        };
        properties.clear_commands();
        properties
    }
}

impl Properties {
    /// Commands and time limit as they are by default; parameters stay (begin of a reload).
    pub fn clear_commands(&mut self) {
        self.forget();
        self.values
            .insert("timeout".to_owned(), Value::Int(DEFAULT_TIMEOUT));
        for command in action::commands() {
            self.values.insert(command.to_owned(), Value::from(""));
        }
    }

    fn forget(&mut self) {
        self.resolved.clear();
        self.commands.clear();
    }

    /// Sets a property. `timeout` is read as a time span; `bantime` is ignored since it belongs to
    /// the ticket (fact A15). Answers the value as kept, `None` when ignored.
    ///
    /// # Errors
    /// A `timeout` that is no time span.
    pub fn set(&mut self, name: &str, value: &Value) -> Result<Option<&Value>, CommandError> {
        let Some(value) = Properties::kept(name, value)? else {
            return Ok(None);
        };
        self.forget();
        self.values.insert(name.to_owned(), value.into_owned());
        Ok(self.values.get(name))
    }

    /// The value as [`Properties::set`] keeps it, `None` when it ignores it.
    ///
    /// # Errors
    /// As there.
    pub fn kept<'v>(name: &str, value: &'v Value) -> Result<Option<Cow<'v, Value>>, CommandError> {
        Ok(Some(match (name, value) {
            ("bantime", _) => return Ok(None),
            ("timeout", Value::Str(text)) => match duration::parse(text) {
                Ok(Number::Int(seconds)) => Cow::Owned(Value::Int(seconds)),
                Ok(Number::Float(seconds)) => Cow::Owned(Value::Float(seconds)),
                Err(error) => return Err(error.into()),
            },
            (_, value) => Cow::Borrowed(value),
        }))
    }

    /// A property's value.
    ///
    /// # Errors
    /// The original's `AttributeError`.
    pub fn get(&self, name: &str) -> Result<Value, CommandError> {
        self.values.get(name).cloned().ok_or_else(|| {
            CommandError::builtin(
                "AttributeError",
                format!("'CommandAction' object has no attribute '{name}'"),
            )
        })
    }

    /// The names, sorted, as `get JAIL actionproperties` lists them.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = LISTED.into_iter().map(str::to_owned).collect();
        names.extend(
            self.values
                .keys()
                .filter(|name| !name.starts_with('_'))
                .cloned(),
        );
        names.sort();
        names
    }

    /// The text of a property; empty when it is not there.
    pub fn text(&self, name: &str) -> String {
        self.values
            .get(name)
            .map_or_else(String::new, |value| value.str().into_owned())
    }

    /// Whether a property is there and what Python calls true.
    pub fn is_true(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(Value::is_true)
    }

    /// Whether a ticket is none of its business: a restored one with `norestored`, one from elsewhere
    /// with `noremote`. Who tells others of a ban (a mail, a report) needs the one as the other, so
    /// `noremote` is as `norestored` where it is not set.
    pub fn skips(&self, ticket: &Ticket) -> bool {
        let own = match self.values.contains_key("noremote") {
            true => "noremote",
            false => "norestored",
        };
        ticket.restored && self.is_true("norestored")
            || self.is_true(own) && ticket.origin().is_elsewhere()
    }

    /// Whether it leaves some tickets alone.
    pub fn skips_any(&self) -> bool {
        self.is_true("norestored") || self.is_true("noremote")
    }

    /// Whether any value contains this text.
    pub fn mentions(&self, text: &str) -> bool {
        self.values
            .values()
            .any(|value| value.as_str().is_some_and(|value| value.contains(text)))
    }

    /// How long a command may run.
    pub fn timeout(&self) -> Value {
        self.values
            .get("timeout")
            .cloned()
            .unwrap_or(Value::Int(DEFAULT_TIMEOUT))
    }

    /// How often its mails go out.
    pub fn pacing(&self) -> Pacing {
        Pacing::new(&self.text("throttle"), &self.text("digest"))
    }

    /// Whether any property differs between families (facts A12, A16).
    pub fn has_conditions(&self) -> bool {
        self.values.keys().any(|name| {
            name.split_once("?family=").is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
            })
        })
    }

    /// Whether `actionstart` waits for the first ban of a family.
    pub fn starts_on_demand(&self) -> bool {
        match self.values.get("actionstart_on_demand") {
            Some(value) => value.is_true(),
            None => self.has_conditions(),
        }
    }

    /// The families the action is started for: as `families` lists them, both when anything
    /// depends on the family, else the one without a name (facts A14, A16).
    pub fn families(&self) -> Vec<String> {
        let listed = match self.values.get("families") {
            Some(Value::List(words) | Value::Tuple(words)) if !words.is_empty() => {
                words.iter().map(|word| word.str().into_owned()).collect()
            }
            Some(value) if value.is_true() => value
                .str()
                .split(|c: char| c.is_whitespace() || c == ',')
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        };
        match listed.is_empty() {
            false => listed,
            true if self.has_conditions() => vec!["inet4".to_owned(), "inet6".to_owned()],
            true => vec![String::new()],
        }
    }

    /// The command of an operation (`actionban`, …) for a family (empty: none), tags of
    /// properties replaced.
    ///
    /// # Errors
    /// Properties that refer to themselves.
    pub fn command(
        &mut self,
        operation: &str,
        family: &str,
        names: &HostNames,
    ) -> Result<String, TagError> {
        let key = (operation.to_owned(), family.to_owned());
        if let Some(command) = self.commands.get(&key) {
            return Ok(command.clone());
        }
        let condition = match family.is_empty() {
            true => String::new(),
            false => format!("family={family}"),
        };
        let resolved = match self.resolved.get(&condition) {
            Some(resolved) => resolved,
            None => {
                let texts: PropertyTexts = self
                    .values
                    .iter()
                    .filter(|(name, _)| !name.starts_with('_'))
                    .map(|(name, value)| (name.clone(), value.str().into_owned()))
                    .collect();
                let resolved = tags::resolve_properties(&texts, &condition)?;
                self.resolved.entry(condition.clone()).or_insert(resolved)
            }
        };
        let command = tags::replace_static(&format!("<{operation}>"), resolved, &condition, names)?;
        self.commands.insert(key, command.clone());
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(properties: &mut Properties, name: &str, value: &str) {
        properties.set(name, &value.into()).unwrap();
    }

    #[test]
    fn conditions_make_families_and_start_on_demand() {
        let mut properties = Properties::default();
        assert_eq!(properties.families(), [""]);
        assert!(!properties.starts_on_demand());
        set(&mut properties, "blocktype?family=inet6", "REJECT6");
        assert_eq!(properties.families(), ["inet4", "inet6"]);
        assert!(properties.starts_on_demand());
        properties
            .set("actionstart_on_demand", &false.into())
            .unwrap();
        assert!(!properties.starts_on_demand());
        set(&mut properties, "families", "inet6, inet4");
        assert_eq!(properties.families(), ["inet6", "inet4"]);
    }

    #[test]
    fn a_command_changes_with_its_parameters() {
        let mut properties = Properties::default();
        let names = HostNames::default();
        set(&mut properties, "actionban", "echo <w> <ip>");
        set(&mut properties, "w", "a");
        set(&mut properties, "w?family=inet6", "b");
        assert_eq!(
            properties.command("actionban", "inet4", &names).unwrap(),
            "echo a <ip>"
        );
        assert_eq!(
            properties.command("actionban", "inet6", &names).unwrap(),
            "echo b <ip>"
        );
        set(&mut properties, "w", "c");
        assert_eq!(
            properties.command("actionban", "", &names).unwrap(),
            "echo c <ip>"
        );
        assert_eq!(properties.command("actionstart", "", &names).unwrap(), "");
        // never set: the tag stays, as in the original
        assert_eq!(
            properties.command("actionprolong", "", &names).unwrap(),
            "<actionprolong>"
        );
    }

    #[test]
    fn defaults_and_special_properties() {
        let mut properties = Properties::default();
        assert_eq!(properties.get("timeout").unwrap(), Value::Int(60));
        assert_eq!(properties.get("actionban").unwrap(), Value::from(""));
        assert_eq!(properties.set("bantime", &"1h".into()).unwrap(), None);
        let error = properties.get("bantime").unwrap_err();
        assert_eq!(error.class.1, "AttributeError");
        assert_eq!(
            error.to_string(),
            "'CommandAction' object has no attribute 'bantime'"
        );
        set(&mut properties, "name", "x");
        assert_eq!(
            properties.names(),
            [
                "ESCAPE_CRE",
                "ESCAPE_VN_CRE",
                "actionban",
                "actioncheck",
                "actionflush",
                "actionreban",
                "actionreload",
                "actionrepair",
                "actionstart",
                "actionstop",
                "actionunban",
                "banEpoch",
                "name",
                "timeout"
            ]
        );
        properties.clear_commands();
        assert_eq!(properties.get("name").unwrap(), Value::from("x"));
    }
}
