//! Reads a jail from its section: its options, filter and actions, and the commands that create it (facts
//! C35–C37, C46–C58, J1–J25).
#![forbid(unsafe_code)]

mod origins;
pub mod report;

pub use origins::{is_own_file, place_in, place_of_part};

use super::action::ActionConfig;
use super::definition::{merged, read_options};
use super::error::{Cause, ConfigMessages, ConfigPlace};
use super::files::Files;
use super::filter::{self, FilterConfig};
use super::glob;
use super::layers::Layers;
use super::options;
use super::places::ValueItem;
use super::section::RawOption;
use super::settings::{MergedSettings, Options, Setting};
use super::shipped;
use crate::address::ignorable;
use crate::control::Value;
use crate::log::Level;
use crate::options::Sent;
use crate::options::jail::{self as rows, FIRST, SIMULATE};
use crate::python::text::{quoted, words};

/// Logger of the messages about single jails.
pub const TARGET: &str = "fail2ban.jailreader";

/// A jail as it was read.
#[derive(Debug, Default)]
pub struct JailConfig {
    /// Its name.
    pub name: String,
    /// Its options.
    pub options: Options,
    /// Its filter.
    pub filter: Option<FilterConfig>,
    /// Its actions, each with the text that names it.
    actions: Vec<(String, ActionConfig)>,
    /// Why it cannot be used, in words for the operator.
    pub error: Option<String>,
    /// The mistake, where the original gives up the whole configuration for it (fact C49).
    pub refusal: Option<Cause>,
    /// Where its log files are named, and how, for messages.
    place_of_logs: Option<ConfigPlace>,
    /// Lines of `logpath` that may lead to more files than are there now.
    pub patterns: Vec<String>,
}

/// How much of a jail is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadExtent<'a> {
    /// Read it even when it is not enabled.
    pub force: bool,
    /// Arguments for the filter that beat those of the jail.
    pub arguments: Option<&'a Options>,
    /// Go on after a mistake, to tell all of them.
    pub thorough: bool,
}

/// How the sentence about a jail without logs begins.
pub const NO_LOGS: &str = "Have not found any log file";

/// What keeps a jail from being read: its own mistake, or one that concerns all.
enum JailReadError {
    Jail {
        /// What is wrong.
        text: String,
        /// The option.
        option: &'static str,
        /// The part of it.
        part: String,
    },
    All(Cause),
}

impl From<Cause> for JailReadError {
    fn from(cause: Cause) -> JailReadError {
        JailReadError::All(cause)
    }
}

/// Adds what every jail may refer to (fact C20).
pub fn add_defaults(settings: &mut MergedSettings, base: &str) {
    settings.spare = shipped::spare();
    for (name, value) in [
        ("fail2ban_version", crate::COMPATIBLE_VERSION),
        ("fail2ban_confpath", base),
    ] {
        settings
            .defaults
            .insert(name.into(), RawOption::computed(value));
    }
}

/// Reads a jail; `None` when it is not enabled.
///
/// # Errors
/// Mistakes for which the original gives up the whole configuration (fact C49).
pub fn read(
    layers: &mut Layers<'_>,
    settings: &mut MergedSettings,
    name: &str,
    extent: ReadExtent<'_>,
) -> Result<Option<JailConfig>, Cause> {
    if let Some(fault) = settings.fault(name) {
        return Err(fault.clone().into());
    }
    read_the_log_that_is_named(settings, name);
    let mut jail = JailConfig {
        name: name.to_owned(),
        ..JailConfig::default()
    };
    let first = read_options(
        settings,
        name,
        &FIRST,
        None,
        true,
        true,
        &mut layers.messages,
    )?;
    jail.options = match extent.arguments {
        Some(arguments) => merged(&first, arguments),
        None => first,
    };
    if !extent.force && jail.options.get("enabled") != Some(&Setting::Flag(true)) {
        return Ok(None);
    }
    if let Err(failure) = jail.read_rest(layers, settings, extent) {
        jail.fail(failure, layers, settings)?;
    }
    Ok(Some(jail))
}

/// The journal that the machine chose is for logs that shipped files name. Who names a log of a jail, and
/// says nothing about backends, means that log.
fn read_the_log_that_is_named(settings: &mut MergedSettings, jail: &str) {
    let shipped = |entry: &RawOption| {
        let origin = entry.origin.as_ref();
        origin.is_none_or(|origin| shipped::below(&origin.file).is_some())
    };
    let Some(section) = settings.section(jail) else {
        return;
    };
    let backend = section.get("backend");
    let mut backends = settings
        .defaults
        .iter()
        .filter(|(name, _)| name.ends_with("_backend"));
    let named = section.get("logpath").is_some_and(|entry| !shipped(entry));
    if named && backend.is_some_and(shipped) && backends.all(|(_, entry)| shipped(entry)) {
        let entry = RawOption {
            text: "%(default_backend)s".into(),
            origin: backend.and_then(|entry| entry.origin.clone()),
        };
        settings.add(jail, std::iter::once(("backend".into(), entry)));
    }
}

impl JailConfig {
    fn read_rest(
        &mut self,
        layers: &mut Layers<'_>,
        settings: &mut MergedSettings,
        extent: ReadExtent<'_>,
    ) -> Result<(), JailReadError> {
        if let Err(failure) = self.read_filter(layers, settings, extent) {
            self.tolerate(failure, layers, settings, extent)?;
        }
        let messages = &mut layers.messages;
        let name = &self.name;
        self.options = read_options(settings, name, rows::all(), None, false, true, messages)?;
        if let Some(filter) = &mut self.filter {
            filter.read(&self.options, false, messages)?;
        }
        if let Some(origin) = settings.origin(&self.name, "logpath") {
            let list = self.text("logpath");
            let patterns: Vec<&str> = list.split('\n').filter(|line| !line.is_empty()).collect();
            self.place_of_logs = Some(ConfigPlace {
                origin: origin.clone(),
                text: patterns.join(", "),
            });
        }
        self.doubt_ignoreip(layers, settings);
        self.read_actions(layers, settings, extent)
    }

    /// Leaves the jail out for its own mistake, and tells it.
    fn fail(
        &mut self,
        failure: JailReadError,
        layers: &mut Layers<'_>,
        settings: &MergedSettings,
    ) -> Result<(), Cause> {
        let (text, option, part) = match failure {
            JailReadError::Jail { text, option, part } => (text, option, part),
            JailReadError::All(cause) => return Err(cause),
        };
        let item = ValueItem {
            text: &part,
            ..ValueItem::default()
        };
        let place = place_of_part(settings, &self.name, option, item, layers.files());
        let messages = &mut layers.messages;
        messages.add_at(Level::Error, TARGET, text.clone(), place);
        self.error.get_or_insert(text);
        Ok(())
    }

    /// Goes on after a failure if all are wanted.
    fn tolerate(
        &mut self,
        failure: JailReadError,
        layers: &mut Layers<'_>,
        settings: &MergedSettings,
        extent: ReadExtent<'_>,
    ) -> Result<(), JailReadError> {
        if !extent.thorough {
            return Err(failure);
        }
        if let Err(cause) = self.fail(failure, layers, settings) {
            let (text, place) = (cause.text(), cause.place());
            let messages = &mut layers.messages;
            messages.add_at(Level::Error, TARGET, text.clone(), place);
            self.error.get_or_insert(text);
        }
        Ok(())
    }

    /// Warns of words of `ignoreip` that mean nobody. The server takes them for host names.
    fn doubt_ignoreip(&self, layers: &mut Layers<'_>, settings: &MergedSettings) {
        for word in words(&self.text("ignoreip")) {
            let Err(why) = ignorable(word) else {
                continue;
            };
            let item = ValueItem {
                text: word,
                ..ValueItem::default()
            };
            let place = place_of_part(settings, &self.name, "ignoreip", item, layers.files());
            let text = format!("Nobody is ignored by {} in ignoreip: {why}", quoted(word));
            let messages = &mut layers.messages;
            messages.add_at(Level::Warning, TARGET, text, place);
        }
    }

    fn text(&self, option: &str) -> String {
        match self.options.get(option) {
            Some(Setting::Text(text)) => text.to_string(),
            _ => String::new(),
        }
    }

    /// Reads the filter and offers its options to the jail as `known/…` (fact C19).
    fn read_filter(
        &mut self,
        layers: &mut Layers<'_>,
        settings: &mut MergedSettings,
        extent: ReadExtent<'_>,
    ) -> Result<(), JailReadError> {
        let text = self.text("filter");
        if text.is_empty() {
            let section = settings.section(&self.name);
            let receives = |road| {
                let entry = section.and_then(|section| section.get(road));
                entry.is_some_and(|entry| entry.text.contains("receive"))
            };
            // a jail that is there for bans of others needs none
            if !["fleet", "crowdsec"].into_iter().any(receives) {
                let warning = format!("No filter set for jail {}", self.name);
                layers.messages.add(Level::Warning, TARGET, warning);
            }
            return Ok(());
        }
        let definition = options::parse(&text).map_err(|error| JailReadError::Jail {
            text: format!("Invalid filter definition {}: {error}", quoted(&text)),
            option: "filter",
            part: text.clone(),
        })?;
        let arguments = definition.arguments.into_iter();
        let mut arguments: Options = arguments
            .map(|(name, value)| (name.into(), Setting::Text(value.into())))
            .collect();
        if let Some(more) = extent.arguments {
            arguments = merged(&arguments, more);
        }
        let filter = FilterConfig::open(layers, &definition.name, &self.name, arguments)?;
        let mut filter = filter.ok_or_else(|| JailReadError::Jail {
            text: format!("Unable to read the filter {}", quoted(&definition.name)),
            option: "filter",
            part: definition.name.clone(),
        })?;
        filter.set_backend(&self.text("backend"));
        filter.read(&self.options, true, &mut layers.messages)?;
        let known = filter.combined(&mut layers.messages)?;
        let known = known
            .into_iter()
            .filter(|(name, value)| !name.starts_with("known/") && *value != Setting::Nothing)
            .map(|(name, value)| {
                let entry = RawOption::computed(value.shared_text());
                (format!("known/{name}").into(), entry)
            });
        settings.add(&self.name, known);
        self.filter = Some(filter);
        Ok(())
    }

    fn read_actions(
        &mut self,
        layers: &mut Layers<'_>,
        settings: &MergedSettings,
        extent: ReadExtent<'_>,
    ) -> Result<(), JailReadError> {
        let list = self.text("action");
        let mut any = false;
        for text in options::split(&list) {
            any = true;
            match self.read_action(layers, text) {
                Ok(action) => self.actions.push((text.to_owned(), action)),
                Err(failure) => self.tolerate(failure, layers, settings, extent)?,
            }
        }
        if !any {
            let warning = format!("No actions were defined for {}", self.name);
            layers.messages.add(Level::Warning, TARGET, warning);
        }
        Ok(())
    }

    fn read_action(
        &self,
        layers: &mut Layers<'_>,
        text: &str,
    ) -> Result<ActionConfig, JailReadError> {
        let definition = options::parse(text).map_err(|error| JailReadError::Jail {
            text: format!("Invalid action definition {}: {error}", quoted(text)),
            option: "action",
            part: text.to_owned(),
        })?;
        let (file, arguments) = (definition.name, definition.arguments);
        let action = ActionConfig::open(layers, &file, &self.name, arguments, &self.options)
            .map_err(|cause| {
                Cause::Value(format!(
                    "Error in action definition {}: {}",
                    quoted(text),
                    cause.repr()
                ))
            })?;
        action.ok_or_else(|| JailReadError::Jail {
            text: format!("Unable to read action {}", quoted(&file)),
            option: "action",
            part: file,
        })
    }

    /// The commands that make this jail (fact C57), without its `start`.
    ///
    /// # Errors
    /// No log files (fact C48), self references, a journal match with an open quote.
    pub fn commands(
        &mut self,
        files: &dyn Files,
        allow_no_files: bool,
        messages: &mut ConfigMessages,
    ) -> Result<Vec<Vec<Value>>, Cause> {
        if let Some(error) = &self.error {
            return Ok(vec![self.skipped(error)]);
        }
        let mut commands = match &mut self.filter {
            Some(filter) => filter.commands(messages)?,
            None => Vec::new(),
        };
        filter::add_commands(&mut commands, &self.options, &self.name)?;
        let mut backend = self.text("backend");
        let (mut logs, mut patterns) = (Vec::new(), Vec::new());
        for row in rows::JAIL {
            let Some(value) = self.options.get(row.name) else {
                continue;
            };
            match row.sent {
                Sent::Files if NO_FILES.iter().any(|name| backend.starts_with(name)) => {}
                Sent::Files => {
                    (logs, patterns) = self.log_files(&value.text(), files, messages);
                    if logs.is_empty() {
                        let text = format!("{NO_LOGS} for '{}' jail.", self.name);
                        let place = self.place_of_logs.clone();
                        match self.without_logs(&backend, allow_no_files, files, &commands) {
                            NoLogs::Journal => {
                                "systemd".clone_into(&mut backend);
                                let text = format!("{text} Jail will monitor systemd journal.");
                                messages.add_at(Level::Warning, TARGET, text, place);
                            }
                            NoLogs::Refuse => return Err(Cause::Setting { text, place }),
                            NoLogs::Accept => {
                                messages.add_at(Level::Warning, TARGET, text, place);
                            }
                            NoLogs::Skip => {
                                messages.add_at(Level::Warning, TARGET, text, place);
                                return Ok(vec![self.skip(messages)]);
                            }
                        }
                    }
                }
                Sent::Words => {
                    let mut command = self.set(&format!("add{}", row.name), None);
                    command.extend(words(&value.text()).map(Value::from));
                    commands.push(command);
                }
                _ if row.has_value() => commands.push(self.set(row.name, Some(value.into()))),
                _ => {}
            }
        }
        commands.append(&mut logs);
        self.patterns = patterns;
        let simulates = self.options.get(SIMULATE) == Some(&Setting::Flag(true));
        // read all the same: their mistakes shall be known before it is serious
        for (_, action) in self.actions.iter_mut().filter(|_| !simulates) {
            commands.extend(action.commands(messages)?);
        }
        let add = vec!["add".into(), self.name.as_str().into(), backend.into()];
        commands.insert(0, add);
        Ok(commands)
    }

    /// The command that tells the server why the jail is missing.
    fn skipped(&self, error: &str) -> Vec<Value> {
        config_error(format!(
            "Jail '{}' skipped, because of wrong configuration: {error}",
            self.name
        ))
    }

    /// A jail that cannot be read, or whose commands cannot be made.
    pub fn refused(name: &str, cause: Cause) -> JailConfig {
        JailConfig {
            name: name.to_owned(),
            error: Some(cause.to_string()),
            refusal: Some(cause),
            ..JailConfig::default()
        }
    }

    /// Leaves the jail out because of what the server would refuse of its commands.
    pub fn drop_faulty(&mut self, error: String) -> Vec<Vec<Value>> {
        let command = self.skipped(&error);
        self.error = Some(error);
        vec![command]
    }

    fn set(&self, option: &str, value: Option<Value>) -> Vec<Value> {
        let mut command = vec!["set".into(), self.name.as_str().into(), option.into()];
        command.extend(value);
        command
    }

    /// An `addlogpath` for every file that the lines of `logpath` name (fact J4), and the lines that
    /// may lead to more.
    fn log_files(
        &self,
        logpath: &str,
        files: &dyn Files,
        messages: &mut ConfigMessages,
    ) -> (Vec<Vec<Value>>, Vec<String>) {
        let (mut commands, mut patterns) = (Vec::new(), Vec::new());
        for line in logpath.split('\n') {
            let (pattern, mode) = line.rsplit_once(' ').unwrap_or((line, "head"));
            let found = glob::find(files, pattern);
            for path in &found.dangling {
                let text = format!("File {path} is a dangling link, thus cannot be monitored");
                messages.add(Level::Warning, TARGET, text);
            }
            for path in &found.odd {
                let text =
                    format!("File {path} has a name that is not UTF-8, thus cannot be monitored");
                messages.add(Level::Warning, TARGET, text);
            }
            for refused in &found.refused {
                let text = format!("Unable to look for log files: {refused}");
                messages.add(Level::Warning, TARGET, text);
            }
            if found.paths.is_empty() || glob::has_wildcard(pattern) {
                patterns.push(line.to_owned());
            }
            if found.paths.is_empty() {
                let text = format!("No file(s) found for glob {pattern}");
                messages.add(Level::Notice, TARGET, text);
            }
            commands.extend(found.paths.into_iter().map(|path| {
                let mut command = self.set("addlogpath", Some(path.into()));
                command.push(mode.into());
                command
            }));
        }
        (commands, patterns)
    }

    /// What to do without any log file (facts C48, J5, J6). A match of the filter alone counts too,
    /// as the manual has always said, where this machine keeps a journal.
    fn without_logs(
        &self,
        backend: &str,
        allow_no_files: bool,
        files: &dyn Files,
        commands: &[Vec<Value>],
    ) -> NoLogs {
        let flag = |option: &str| self.options.get(option) == Some(&Setting::Flag(true));
        let own = self.options.get("journalmatch").is_some();
        let of_filter = || {
            let mut options = commands.iter().filter_map(|command| command.get(2));
            options.any(|option| option.as_str() == Some("addjournalmatch"))
        };
        let has_match = || own || (of_filter() && keeps_journal(files));
        if backend.starts_with("auto") && flag("systemd_if_nologs") && has_match() {
            NoLogs::Journal
        } else if flag("skip_if_nologs") {
            NoLogs::Skip
        } else if allow_no_files {
            NoLogs::Accept
        } else {
            NoLogs::Refuse
        }
    }

    /// Leaves the jail out; the error is for this run only, files may be there at the next.
    fn skip(&mut self, messages: &mut ConfigMessages) -> Vec<Value> {
        let text = format!(
            "Jail '{}' skipped, because of missing log files.",
            self.name
        );
        messages.add(Level::Warning, TARGET, &text);
        self.error = Some(text.clone());
        config_error(text)
    }
}

/// Whether journald writes on this machine.
fn keeps_journal(files: &dyn Files) -> bool {
    ["/run/log/journal", "/var/log/journal"]
        .iter()
        .any(|folder| {
            let pattern = format!("{folder}/*/system.journal");
            !glob::find(files, &pattern).paths.is_empty()
        })
}

/// Backends that read no files.
const NO_FILES: [&str; 3] = ["systemd", "syslog", "command"];

enum NoLogs {
    Journal,
    Skip,
    Accept,
    Refuse,
}

fn config_error(text: String) -> Vec<Value> {
    vec!["config-error".into(), text.into()]
}
