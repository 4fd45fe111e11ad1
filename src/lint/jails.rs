//! Checks the enabled jails: their commands, on a jail that does not run, and their values.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::names::{hint, nearest};
use super::values::{KnownServices, covered, is_yes_or_no};
use super::written::WrittenOptions;
use super::{LintFindings, Severity, first_line, injection, notices, references, regexes, times};
use crate::config::error::ConfigMessages;
use crate::config::filter::FilterConfig;
use crate::config::jail::{self, JailConfig, ReadExtent, is_own_file, place_of_part};
use crate::config::layers::Layers;
use crate::config::places::{ValueItem, header_of, line_of};
use crate::config::references::References;
use crate::config::settings::{MergedSettings, Setting, Vars};
use crate::config::{Cause, ConfigPlace, Fault, Sandbox, action, glob, options, shipped};
use crate::control::Value;
use crate::jail::validator;
use crate::log::Level;
use crate::options::ValueKind;
use crate::options::action::DEFINITION;
use crate::options::jail::{FILTER, JAIL};
use crate::pattern::{FailRegex, UseDns};
use crate::python::text::quoted;

/// Names of filters and actions that are used by some jail, enabled or not.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub filters: BTreeSet<String>,
    /// Those of enabled jails, which are looked through already.
    pub looked: BTreeSet<String>,
    pub actions: BTreeSet<String>,
}

/// What the server makes of the logs of a jail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LintedLogs {
    /// It reads those that are there.
    Found,
    /// It reads none, or cannot tell.
    NotRead,
    /// There are none, so it reads the journal.
    Journal,
    /// There are none, and the jail is to be left out then.
    Skipped,
    /// There are none, so it goes without the jail.
    LeftOut,
    /// There are none, so it does not start.
    NoStart,
}

/// What is known of the server they are for.
pub(super) struct About {
    /// Whether it starts, be it without some of its jails.
    pub starts: bool,
    /// What it gives up.
    pub sandbox: Sandbox,
}

/// The jails of a configuration.
pub(super) struct JailLint<'a, 'f> {
    layers: &'a mut Layers<'f>,
    settings: MergedSettings,
    written: &'a WrittenOptions,
    findings: &'a mut LintFindings<'f>,
    services: KnownServices,
    used: Used,
    about: About,
    /// Some jail is enabled.
    any: bool,
}

impl<'a, 'f> JailLint<'a, 'f> {
    pub fn new(
        layers: &'a mut Layers<'f>,
        settings: MergedSettings,
        written: &'a WrittenOptions,
        about: About,
        findings: &'a mut LintFindings<'f>,
    ) -> JailLint<'a, 'f> {
        JailLint {
            services: KnownServices::read(layers.files()),
            layers,
            settings,
            written,
            findings,
            used: Used::default(),
            about,
            any: false,
        }
    }

    /// Looks through all jails.
    pub fn look(&mut self) {
        let names: Vec<String> = self.settings.names().map(|name| name.to_string()).collect();
        for name in names.iter().filter(|name| *name != "INCLUDES") {
            self.uses(name);
            self.flags(name);
            self.is_default(name);
            let before = self.findings.list.len();
            self.jail(name);
            for finding in &mut self.findings.list[before..] {
                finding.jail = Some(name.clone());
            }
        }
        if !self.any {
            self.none();
        }
    }

    /// No jail is enabled: no mistake where the administrator has said nothing so far.
    fn none(&mut self) {
        let sections = self
            .settings
            .names()
            .filter_map(|name| self.settings.section(name));
        let entries = sections
            .chain([&self.settings.defaults])
            .flat_map(|section| section.values());
        let origins: Vec<_> = entries.filter_map(|entry| entry.origin.as_ref()).collect();
        let own = origins.iter().find(|origin| is_own_file(&origin.file));
        let (severity, origin) = match own {
            Some(own) => (Severity::Warning, Some(own)),
            None => (Severity::Note, origins.first()),
        };
        let place = origin.map(|origin| first_line(&origin.file));
        let text = "no jail is enabled, so nothing is watched: write enabled = true into a jail, such as [sshd]";
        self.findings.add(severity, "no-jail", place, text);
    }

    /// A section that is `[DEFAULT]` but for its letters, and so a jail.
    fn is_default(&mut self, name: &str) {
        if name.eq_ignore_ascii_case("DEFAULT") || name.eq_ignore_ascii_case("INCLUDES") {
            let right = name.to_uppercase();
            let text =
                format!("[{name}] is a jail of this name, and no jail reads it: write [{right}]");
            let place = self.place_of_name(name);
            self.findings
                .add(Severity::Warning, "unknown-section", place, text);
        }
    }

    /// What is used.
    pub fn used(self) -> Used {
        self.used
    }

    /// Notes the filter and the actions a jail names, be it enabled or not.
    fn uses(&mut self, name: &str) {
        let text = |option: &str| {
            let text = self.settings.get(name, option, &Vars::default());
            text.ok().flatten().unwrap_or_default()
        };
        let (filter, actions) = (text("filter"), text("action"));
        // What has wrong arguments is meant all the same.
        let bare = |text: &str| text.split('[').next().unwrap_or(text).trim().to_owned();
        self.used.filters.insert(bare(&filter));
        for text in options::split(&actions) {
            self.used.actions.insert(bare(text));
        }
    }

    /// Words that are neither yes nor no.
    fn flags(&mut self, name: &str) {
        for row in JAIL.iter().filter(|row| row.kind == ValueKind::Flag) {
            let option = row.name;
            let Ok(Some(text)) = self.settings.get(name, option, &Vars::default()) else {
                continue;
            };
            if !is_yes_or_no(&text) {
                let text = format!(
                    "{} counts as no for {option}: only 1, on, true and yes mean yes",
                    quoted(&text)
                );
                let place = self.place(name, option, "");
                self.findings.add(Severity::Warning, "flag", place, text);
            }
        }
    }

    fn place(&self, jail: &str, option: &str, text: &str) -> Option<ConfigPlace> {
        let item = ValueItem {
            text,
            ..ValueItem::default()
        };
        place_of_part(&self.settings, jail, option, item, self.layers.files())
    }

    fn jail(&mut self, name: &str) {
        let at_jail = self.place(name, "enabled", "");
        let told = self.layers.messages.0.len();
        let extent = ReadExtent {
            thorough: true,
            ..ReadExtent::default()
        };
        let mut jail = match jail::read(self.layers, &mut self.settings, name, extent) {
            Ok(Some(jail)) => {
                self.any = true;
                jail
            }
            Ok(None) => return,
            Err(cause) => {
                let settings = Some(&self.settings);
                self.findings
                    .cause(Severity::Error, &cause, at_jail, settings);
                self.any = true;
                return;
            }
        };
        // told as messages; the rest of the jail is looked at all the same
        jail.error = None;
        let filter = definition(&jail, "filter");
        self.used.looked.insert(filter.name.clone());
        let files = self.layers.files();
        let logs = self.logs_of(&mut jail);
        let commands = jail.commands(files, true, &mut self.layers.messages);
        self.messages(told, &jail, &at_jail);
        self.arguments(name, "filter", &[filter]);
        let actions = jail.options.get("action").map(Setting::shared_text);
        let actions = actions.unwrap_or_default();
        let actions = options::split(&actions).into_iter();
        let actions: Vec<_> = actions
            .filter_map(|text| options::parse(text).ok())
            .collect();
        self.arguments(name, "action", &actions);
        let commands = match commands {
            Ok(commands) => commands,
            Err(cause) => {
                let settings = Some(&self.settings);
                self.findings
                    .cause(Severity::Error, &cause, at_jail, settings);
                return;
            }
        };
        self.logs(&jail, logs);
        self.journal_and_logs(&jail);
        if jail.error.is_some() {
            return;
        }
        for fault in validator::faults(&commands) {
            let place = jail.place_of(&fault, &commands, &self.settings, files);
            let place = place.or_else(|| at_jail.clone());
            self.findings
                .fault(Severity::Error, place, &fault, &commands);
        }
        let place = |command: usize, item: usize| {
            let fault = Fault {
                command,
                item,
                text: String::new(),
            };
            jail.place_of(&fault, &commands, &self.settings, files)
        };
        unserved(&commands, &place, self.findings);
        confined(&commands, self.about.sandbox, &place, self.findings);
        let options = jail
            .filter
            .as_ref()
            .map(FilterConfig::written)
            .unwrap_or_default();
        let of_word = |word: &str| {
            let item = ValueItem {
                text: word,
                ..ValueItem::default()
            };
            let options = ["filter", "mode"].into_iter();
            let place = |option| place_of_part(&self.settings, name, option, item, files);
            let mut places = options.filter_map(place);
            places.find(|place| place.text.contains(word))
        };
        let places = regexes::RegexPlaces {
            of_value: &place,
            of_word: &of_word,
            files,
        };
        regexes::look(&commands, &places, &options, self.findings);
        risks(&commands, &place, self.findings);
        injection::look(&commands, &place, Severity::Warning, self.findings);
        let of_action = |action: &str| {
            let item = ValueItem {
                text: action,
                ..ValueItem::default()
            };
            place_of_part(&self.settings, name, "action", item, files)
        };
        notices::look(&commands, &of_action, self.findings);
        let has_regex = |words: &Vec<Value>| option_of(words) == "addfailregex";
        // without its filter, which is told, there is nothing more to say
        if jail.filter.is_some() && !commands.iter().any(has_regex) {
            let text = "the jail has no failregex and finds nothing";
            self.findings
                .add(Severity::Warning, "no-regex", at_jail.clone(), text);
        }
        times::look(&commands, &place, self.findings);
        self.ports(&jail, &commands);
        self.ignored(name, &commands);
        if let Some(usedns) = jail.options.get("usedns").map(Setting::text)
            && !["yes", "warn", "no", "raw"].contains(&usedns.to_lowercase().as_str())
        {
            let text = format!(
                "{} counts as no: yes, warn, no and raw are known",
                quoted(&usedns)
            );
            let place = self.place(name, "usedns", "");
            self.findings.add(Severity::Warning, "value", place, text);
        }
    }

    /// What the reader had to say.
    fn messages(&mut self, from: usize, jail: &JailConfig, at_jail: &Option<ConfigPlace>) {
        /// Said better elsewhere.
        const KNOWN: [&str; 4] = [
            "Found no accessible config files",
            "Have not found any log file",
            "No file(s) found",
            "Jail '",
        ];
        for message in self.layers.messages.0.split_off(from) {
            let is_known = KNOWN.iter().any(|known| message.text.starts_with(known));
            let regex = jail.options.get("failregex").map(Setting::text);
            let needs_none = message.text.starts_with("No filter set")
                && regex.is_some_and(|regex| !regex.is_empty());
            if message.level < Level::Warning || is_known || needs_none {
                continue;
            }
            let severity = match message.level >= Level::Error {
                true => Severity::Error,
                false => Severity::Warning,
            };
            let mut text = message.text;
            let mut place = message.place.or_else(|| at_jail.clone());
            if text.starts_with("Unable to read") {
                let is_filter = text.starts_with("Unable to read the filter");
                let missing = match is_filter {
                    true => definition(jail, "filter").name,
                    false => text.split('\'').nth(1).unwrap_or_default().to_owned(),
                };
                let (own, part) = match is_filter {
                    true => (&self.written.filters, "filter.d"),
                    false => (&self.written.actions, "action.d"),
                };
                let mut known: BTreeSet<&str> = own.keys().map(String::as_str).collect();
                for name in shipped::names(part) {
                    known.insert(name);
                }
                text += &meant_file(&missing, known.iter().copied());
                if is_filter && missing == jail.name {
                    place = self.place_of_name(&jail.name).or(place);
                    text += "; a jail has the filter of its own name unless filter = names another";
                }
            }
            if let Some(option) = text.strip_prefix("Wrong value for '") {
                // what another option was set to
                let option = option.split('\'').next().unwrap_or_default();
                let vars = Vars::default();
                let value = self.settings.get(&jail.name, option, &vars).ok().flatten();
                place = self
                    .place(&jail.name, option, &value.unwrap_or_default())
                    .or(place);
            }
            if text.starts_with("No section: 'Definition'") {
                let filter = definition(jail, "filter").name;
                text = format!("the filter {} has no section [Definition]", quoted(&filter));
            }
            let cause = Cause::Setting { text, place };
            let settings = Some(&self.settings);
            self.findings.cause(severity, &cause, None, settings);
        }
    }

    /// The header of a jail, in the administrator's file where it has one.
    fn place_of_name(&self, jail: &str) -> Option<ConfigPlace> {
        let section = self.settings.section(jail)?;
        let origins = || section.values().filter_map(|entry| entry.origin.as_ref());
        let own = origins().find(|origin| is_own_file(&origin.file));
        let header = header_of(self.layers.files(), own.or_else(|| origins().next())?);
        Some(ConfigPlace {
            origin: header,
            text: format!("[{jail}]"),
        })
    }

    /// Arguments that look like one their file reads, and are none; and those of actions that nothing
    /// reads at all. Of an action that bans that is an error: not what was meant is blocked.
    fn arguments(&mut self, jail: &str, option: &'static str, list: &[options::NamedOptions]) {
        let (part, known) = match option {
            "filter" => ("filter.d", FILTER),
            _ => ("action.d", DEFINITION),
        };
        for definition in list {
            let name = format!("{part}/{}", definition.name);
            let Ok(Some(set)) = self.layers.read(&name) else {
                continue;
            };
            let mut references = References::default();
            references.add_all(&set);
            let sections = ["Definition", "Init"].into_iter();
            let own: Vec<&str> = sections
                .filter_map(|section| set.section(section))
                .chain([&set.defaults])
                .flat_map(|section| section.keys())
                .map(|name| &**name)
                .chain(known.iter().map(|known| known.name))
                .chain(["name", "actname", "timeout", "bantime", "logtype", "mode"])
                .collect();
            for argument in definition.arguments.keys() {
                let plain = argument.split('?').next().unwrap_or(argument);
                let small = plain.to_lowercase();
                let other_case = option == "action" && is_other_case(&set, plain, &small);
                let is_read = own.contains(&plain) || references.option(&small);
                if is_read && !other_case {
                    continue;
                }
                let meant = match other_case {
                    true => Some(&*small),
                    false => nearest(plain, own.iter().copied(), 2)
                        .or_else(|| nearest(plain, references.names(), 1)),
                };
                let unread = other_case
                    || option == "action"
                        && !action::unread(&set, [argument.as_str()].into_iter()).is_empty();
                if meant.is_none() && !unread {
                    continue;
                }
                let severity = match unread && action::bans(&set) {
                    true => Severity::Error,
                    false => Severity::Warning,
                };
                let text = format!(
                    "{} reads no argument {}{}",
                    quoted(&definition.name),
                    quoted(plain),
                    hint(meant)
                );
                let place = self.place(jail, option, argument);
                self.findings.add(severity, "unknown-argument", place, text);
            }
        }
    }

    /// What the server makes of the logs of a jail.
    fn logs_of(&self, jail: &mut JailConfig) -> LintedLogs {
        let backend = jail.options.get("backend").map(Setting::shared_text);
        let backend = backend.unwrap_or_default();
        let mut unheard = ConfigMessages::default();
        let commands = jail.commands(self.layers.files(), false, &mut unheard);
        let is_journal = |commands: &[Vec<Value>]| {
            let add = commands.first().and_then(|words| words.get(2)?.as_str());
            add == Some("systemd") && !backend.starts_with("systemd")
        };
        match (&commands, jail.error.take()) {
            (_, Some(_)) => LintedLogs::Skipped,
            (Err(Cause::Setting { text, .. }), _) if text.starts_with(jail::NO_LOGS) => {
                match self.about.starts {
                    true => LintedLogs::LeftOut,
                    false => LintedLogs::NoStart,
                }
            }
            (Ok(commands), _) if is_journal(commands) => LintedLogs::Journal,
            (Ok(commands), _) => match commands
                .iter()
                .any(|words| option_of(words) == "addlogpath")
            {
                true => LintedLogs::Found,
                false => LintedLogs::NotRead,
            },
            (Err(_), _) => LintedLogs::NotRead,
        }
    }

    /// Logs that are not there.
    fn logs(&mut self, jail: &JailConfig, logs: LintedLogs) {
        let list = jail.options.get("logpath").map(Setting::shared_text);
        let Some(list) = list.filter(|_| logs != LintedLogs::NotRead) else {
            return;
        };
        let (severity, consequence) = match logs {
            LintedLogs::Found | LintedLogs::NotRead => (Severity::Warning, ""),
            LintedLogs::Journal => (Severity::Note, ", the jail reads the journal"),
            LintedLogs::Skipped => (Severity::Warning, ", and no other: the jail is left out"),
            LintedLogs::LeftOut => (Severity::Error, ", and no other: the jail is left out"),
            LintedLogs::NoStart => (Severity::Error, ", and no other: the server does not start"),
        };
        let lines: Vec<&str> = list.split('\n').filter(|line| !line.is_empty()).collect();
        for (number, line) in lines.iter().enumerate() {
            let files = self.layers.files();
            let pattern = line.rsplit_once(' ').map_or(*line, |(path, _)| path);
            if !glob::find(files, pattern).paths.is_empty() {
                continue;
            }
            let item = ValueItem {
                number,
                of: lines.len(),
                text: line,
            };
            let place = place_of_part(&self.settings, &jail.name, "logpath", item, files);
            let date = match pattern.contains('%') {
                true => format!(
                    ": no date is filled in, write {}",
                    references::undated(pattern)
                ),
                false => String::new(),
            };
            let text = format!("no log file {}{consequence}{date}", quoted(line));
            self.findings.add(severity, "missing-log", place, text);
        }
        if lines.is_empty() {
            let place = self.place(&jail.name, "logpath", "");
            let text = format!(
                "logpath is empty{}",
                consequence.replace(", and no other", "")
            );
            self.findings.add(severity, "missing-log", place, text);
        }
    }

    /// Logs that are named and not read, because the jail reads the journal.
    fn journal_and_logs(&mut self, jail: &JailConfig) {
        let backend = jail.options.get("backend").map(Setting::shared_text);
        if !backend.is_some_and(|backend| backend.starts_with("systemd")) {
            return;
        }
        let named = self
            .settings
            .section(&jail.name)
            .and_then(|own| own.get("logpath"));
        let Some(named) = named.filter(|entry| {
            let origin = entry.origin.as_ref();
            origin.is_some_and(|origin| is_own_file(&origin.file)) && !entry.text.contains("%(")
        }) else {
            return;
        };
        let files = self.layers.files();
        let is_there = |line: &str| !glob::find(files, line).paths.is_empty();
        let severity = match named.text.lines().any(is_there) {
            true => Severity::Warning,
            false => Severity::Note,
        };
        let chosen = self.place(&jail.name, "backend", "systemd");
        let chosen = chosen
            .map(|place| format!(" ({place})"))
            .unwrap_or_default();
        let text = format!(
            "this log is not read, as the jail reads the journal{chosen}: write backend = auto \
             beside it, or take this line out"
        );
        let place = self.place(&jail.name, "logpath", "");
        self.findings.add(severity, "journal", place, text);
    }

    /// Ports no firewall knows.
    fn ports(&mut self, jail: &JailConfig, commands: &[Vec<Value>]) {
        for (index, words) in commands.iter().enumerate() {
            if option_of(words) != "action" {
                continue;
            }
            let Some(Value::List(pairs)) = words.get(4) else {
                continue;
            };
            for (item, pair) in pairs.iter().enumerate() {
                let Some([Value::Str(name), Value::Str(ports)]) = pair.as_slice() else {
                    continue;
                };
                if name != "port" || ports.contains(['<', '%']) {
                    continue;
                }
                for part in self.services.unknown(ports) {
                    let own = self.place(&jail.name, "port", part);
                    let shown = own.filter(|place| place.text.contains(part));
                    let of_action = Fault {
                        command: index,
                        item,
                        text: String::new(),
                    };
                    let files = self.layers.files();
                    let place = shown
                        .or_else(|| jail.place_of(&of_action, commands, &self.settings, files));
                    let text = format!("{} is no port and no service", quoted(part));
                    self.findings.add(Severity::Warning, "port", place, text);
                }
            }
        }
    }

    /// Lists that leave nobody to ban.
    fn ignored(&mut self, jail: &str, commands: &[Vec<Value>]) {
        let words: Vec<&str> = commands
            .iter()
            .filter(|words| option_of(words) == "addignoreip")
            .flat_map(|words| words.iter().skip(3))
            .filter_map(Value::as_str)
            .collect();
        for family in covered(&words) {
            let wide = words.iter().find(|word| word.ends_with("/0"));
            let place = self.place(jail, "ignoreip", wide.copied().unwrap_or_default());
            let text = format!("ignoreip covers all of {family}: nobody is ever banned");
            self.findings
                .add(Severity::Warning, "ignores-everyone", place, text);
        }
    }
}

/// Whether an argument is one that the values of an action have as a tag, but for its letters: tags go by
/// them, references such as `%(port)s` do not.
fn is_other_case(set: &MergedSettings, name: &str, small: &str) -> bool {
    let sections = set.names().filter_map(|name| set.section(name));
    let entries = sections
        .chain([&set.defaults])
        .flat_map(|section| section.values());
    let texts: Vec<&str> = entries.map(|entry| &*entry.text).collect();
    let has = |part: String| texts.iter().any(|text| text.contains(&part));
    name != small
        && has(format!("<{small}>"))
        && !has(format!("<{name}>"))
        && !has(format!("%({small})s"))
}

/// `; did you mean …` for a file of `filter.d` or `action.d` that is not there.
fn meant_file<'k>(missing: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let plain = missing.rsplit('/').next().unwrap_or(missing);
    let plain = plain
        .strip_suffix(".conf")
        .or_else(|| plain.strip_suffix(".local"))
        .unwrap_or(plain);
    let same = known.clone().find(|name| name.eq_ignore_ascii_case(plain));
    match same {
        Some(name) if name == plain => {
            format!("; write {}, without folder and ending", quoted(name))
        }
        Some(name) => hint(Some(name)),
        None => hint(nearest(plain, known, 2)),
    }
}

/// The first definition of an option of a jail.
fn definition(jail: &JailConfig, option: &str) -> options::NamedOptions {
    let text = jail.options.get(option).map(Setting::shared_text);
    let parsed = options::parse(&text.unwrap_or_default());
    parsed.unwrap_or_default()
}

fn option_of(words: &[Value]) -> &str {
    words.get(2).and_then(Value::as_str).unwrap_or_default()
}

/// Options that the jail's actions cannot serve: more or less is banned than was meant.
fn unserved(
    commands: &[Vec<Value>],
    place: &dyn Fn(usize, usize) -> Option<ConfigPlace>,
    findings: &mut LintFindings<'_>,
) {
    for (fault, _) in validator::unserved(commands) {
        let place = place(fault.command, fault.item);
        findings.add(Severity::Error, "unserved", place, fault.text);
    }
}

/// Actions that do not work in a strict sandbox: one that is set, or would be the better choice.
fn confined(
    commands: &[Vec<Value>],
    sandbox: Sandbox,
    place: &dyn Fn(usize, usize) -> Option<ConfigPlace>,
    findings: &mut LintFindings<'_>,
) {
    let (severity, text) = match sandbox {
        Sandbox::Off => return,
        Sandbox::Auto => (Severity::Note, "in the way of sandbox = strict"),
        Sandbox::Strict => (Severity::Error, "not possible with sandbox = strict"),
    };
    for fault in validator::confined(commands) {
        let place = place(fault.command, fault.item);
        let text = format!("{text}: {}", fault.text);
        findings.add(severity, "sandbox", place, text);
    }
}

/// What is unwise about the regexes among commands; `place` tells where a value of one stands.
pub(super) fn risks(
    commands: &[Vec<Value>],
    place: &dyn Fn(usize, usize) -> Option<ConfigPlace>,
    findings: &mut LintFindings<'_>,
) {
    let is_no = |words: &Vec<Value>| {
        let value = words.get(3).and_then(Value::as_str);
        option_of(words) == "usedns" && value.is_some_and(|v| v.eq_ignore_ascii_case("no"))
    };
    let usedns = match commands.iter().any(is_no) {
        true => UseDns::No,
        false => UseDns::Warn,
    };
    for (index, words) in commands.iter().enumerate() {
        if !matches!(
            option_of(words),
            "addfailregex" | "addignoreregex" | "prefregex"
        ) {
            continue;
        }
        for (item, source) in regexes::values_of(words).iter().enumerate() {
            let source = source.as_str().unwrap_or_default();
            let Ok(regex) = FailRegex::new(source, usedns, false) else {
                continue;
            };
            let risks = regex.risks();
            if risks.late_flags {
                let text = "flags such as `(?i)` behind the beginning hold for the whole regex, and \
                            the original refuses them since Python 3.11: write them first";
                findings.add(Severity::Note, "late-flags", place(index, item), text);
            }
            if risks.backtracks {
                let text =
                    "needs the backtracking engine: a hostile line may use up its step limit";
                findings.add(Severity::Note, "backtracking", place(index, item), text);
            }
        }
    }
}

/// Where a value of a definition's option stands, by its file alone.
pub(super) fn place_in_file(
    layers: &Layers<'_>,
    source: crate::config::definition::ValueSource,
    item: ValueItem<'_>,
) -> Option<ConfigPlace> {
    match source {
        crate::config::definition::ValueSource::File(origin) => {
            Some(line_of(layers.files(), &origin, item))
        }
        _ => None,
    }
}
