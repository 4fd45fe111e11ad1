//! `fail2ban.conf` and its layers: options that the client needs itself, and settings of the server (facts
//! G1–G12).
#![forbid(unsafe_code)]

use super::definition::read_options;
use super::error::{Cause, ConfigMessages};
use super::settings::{MergedSettings, Options};
use crate::control::Value;
use crate::options::server::{
    self as rows, CROWDSEC, CROWDSEC_COMMAND, EARLY, FLEET, FLEET_COMMAND, SANDBOX, THREAD,
    THREAD_COMMAND, WEB_COMMAND, WEB_SOCKET,
};
use crate::options::{OptionRow, Sent};
use crate::python::text::quoted;

/// Names and values of options.
type Members = Vec<(Value, Value)>;

/// What the server gives up at its start, for itself and what it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// Nothing.
    #[default]
    Off,
    /// What no action is known to need.
    Auto,
    /// Rights by set-id bits and writing outside of its own directories as well.
    Strict,
}

/// Reads what the client needs before it can talk to a server.
///
/// # Errors
/// A substitution that fails.
pub fn early(settings: &MergedSettings, messages: &mut ConfigMessages) -> Result<Options, Cause> {
    read_options(settings, "Definition", EARLY, None, false, true, messages)
}

/// Reads one option of the server; empty when nobody sets it.
///
/// # Errors
/// A substitution that fails.
pub fn one(
    settings: &MergedSettings,
    row: OptionRow,
    messages: &mut ConfigMessages,
) -> Result<String, Cause> {
    let options = read_options(settings, "Definition", &[row], None, false, true, messages)?;
    let value = options.get(row.name).map(|value| value.text().into_owned());
    Ok(value.unwrap_or_default())
}

/// Reads what the server gives up: nothing without the option.
///
/// # Errors
/// A substitution that fails; another value.
pub fn sandbox(settings: &MergedSettings, messages: &mut ConfigMessages) -> Result<Sandbox, Cause> {
    match one(settings, SANDBOX, messages)?.as_str() {
        "strict" => Ok(Sandbox::Strict),
        "auto" => Ok(Sandbox::Auto),
        "off" | "" => Ok(Sandbox::Off),
        other => Err(invalid(
            settings,
            ("Definition", SANDBOX.name),
            other,
            "off, auto or strict",
        )),
    }
}

/// A value that an option cannot have; `is`: what it can.
pub fn invalid(
    settings: &MergedSettings,
    (section, option): (&str, &str),
    value: &str,
    is: &str,
) -> Cause {
    let place = settings.origin(section, option).cloned();
    Cause::Setting {
        text: format!(
            "Invalid value {} of {}, it is {is}",
            quoted(value),
            quoted(option)
        ),
        place: place.map(Into::into),
    }
}

/// Reads the options of `[fleet]`; `None` without the section.
///
/// # Errors
/// A substitution that fails.
pub fn fleet(
    settings: &MergedSettings,
    messages: &mut ConfigMessages,
) -> Result<Option<Members>, Cause> {
    members(settings, FLEET_COMMAND, FLEET, messages)
}

/// Reads the options of `[crowdsec]`; `None` without the section.
///
/// # Errors
/// As [`fleet`].
pub fn crowdsec(
    settings: &MergedSettings,
    messages: &mut ConfigMessages,
) -> Result<Option<Members>, Cause> {
    members(settings, CROWDSEC_COMMAND, CROWDSEC, messages)
}

/// The options of a section that go to the server as one.
fn members(
    settings: &MergedSettings,
    section: &str,
    known: &[OptionRow],
    messages: &mut ConfigMessages,
) -> Result<Option<Members>, Cause> {
    if settings.section(section).is_none() {
        return Ok(None);
    }
    let options = read_options(settings, section, known, None, false, true, messages)?;
    let members = options
        .iter()
        .map(|(name, value)| (Value::from(&**name), value.into()));
    Ok(Some(members.collect()))
}

/// Reads all settings of the server; `overrides` win.
///
/// # Errors
/// A substitution that fails; a log level that is none (fact C53).
pub fn commands(
    settings: &MergedSettings,
    overrides: Options,
    messages: &mut ConfigMessages,
) -> Result<Vec<Vec<Value>>, Cause> {
    let sent = || rows::all().filter(|row| row.sent != Sent::Never);
    let mut options = read_options(settings, "Definition", sent(), None, false, true, messages)?;
    options.extend(overrides);
    if let Some(level) = options.get("loglevel") {
        check_loglevel(&level.text())?;
    }
    let thread = members(settings, "Thread", THREAD, messages)?;
    let thread = thread.filter(|members| !members.is_empty());
    let thread = thread.map(Value::Dict);
    let fleet = fleet(settings, messages)?.map(Value::Dict);
    let crowdsec = crowdsec(settings, messages)?.map(Value::Dict);
    let set = |name: &str, value: Value| vec!["set".into(), name.into(), value];
    let mut commands: Vec<Vec<Value>> = thread
        .map(|value| set(THREAD_COMMAND, value))
        .into_iter()
        .collect();
    // Logging comes first, so that the rest can be logged, and of it the socket, which the target may
    // need; `thread` comes before all (fact C57).
    let mut names: Vec<&str> = sent().map(|row| row.name).collect();
    names.sort_by_key(|name| *name != "syslogsocket");
    commands.extend(names.into_iter().filter_map(|name| {
        let value = options.get(name)?;
        Some(set(name, value.into()))
    }));
    // without a socket of its own it asks as any client
    let web = members(settings, WEB_COMMAND, WEB_SOCKET, messages)?;
    let web = web.filter(|members| {
        members
            .iter()
            .any(|(name, _)| name.as_str() == Some("socket"))
    });
    commands.extend(web.map(|options| set(WEB_COMMAND, Value::Dict(options))));
    // places in the streams of others are kept in the database
    commands.extend(fleet.map(|options| set(FLEET_COMMAND, options)));
    commands.extend(crowdsec.map(|options| set(CROWDSEC_COMMAND, options)));
    Ok(commands)
}

/// Names of log levels (fact G1).
const LEVELS: [&str; 12] = [
    "CRITICAL",
    "FATAL",
    "ERROR",
    "WARNING",
    "WARN",
    "NOTICE",
    "INFO",
    "MSG",
    "DEBUG",
    "TRACEDEBUG",
    "HEAVYDEBUG",
    "NOTSET",
];

/// Checks the name (in any case) or number of a log level.
///
/// # Errors
/// `Invalid log level '…'`
pub fn check_loglevel(level: &str) -> Result<(), Cause> {
    let number = !level.is_empty() && level.chars().all(|c| c.is_ascii_digit());
    if number || LEVELS.contains(&level.to_uppercase().as_str()) {
        Ok(())
    } else {
        Err(Cause::Value(format!("Invalid log level {}", quoted(level))))
    }
}
