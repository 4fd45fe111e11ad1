//! Reads the filter of a jail: files of `filter.d`, arguments and jail options become commands, or the
//! options of a filter for programs that run one without a jail.
#![forbid(unsafe_code)]

use std::rc::Rc;

use super::definition::{Definition, ValueSource};
use super::error::{Cause, ConfigMessages};
use super::files::join;
use super::layers::Layers;
use super::settings::{MergedSettings, Options, Setting, Vars};
use crate::control::Value;
use crate::options::Sent;
use crate::options::jail::FILTER;
use crate::python::text::shell_words;

/// A filter whose files were read.
#[derive(Debug)]
pub struct FilterConfig {
    jail: String,
    definition: Definition,
}

impl FilterConfig {
    /// Reads the files of `filter.d/NAME`; `None` when there are none that can be used.
    ///
    /// # Errors
    /// A file that is no INI file.
    pub fn open(
        layers: &mut Layers<'_>,
        name: &str,
        jail: &str,
        arguments: Options,
    ) -> Result<Option<FilterConfig>, Cause> {
        let settings = layers.read(&join("filter.d", name))?;
        Ok(settings.map(|settings| FilterConfig::new(settings, jail, arguments)))
    }

    /// Reads one file and what it includes, wherever it is, without its layers.
    ///
    /// # Errors
    /// A file that is no INI file.
    pub fn open_file(
        layers: &mut Layers<'_>,
        path: &str,
        jail: &str,
        arguments: Options,
    ) -> Result<Option<FilterConfig>, Cause> {
        let settings = layers.read_file(path)?;
        Ok(settings.map(|settings| FilterConfig::new(settings, jail, arguments)))
    }

    fn new(settings: Rc<MergedSettings>, jail: &str, arguments: Options) -> FilterConfig {
        FilterConfig {
            jail: jail.to_owned(),
            definition: Definition::new(settings, FILTER, arguments),
        }
    }

    /// Tells the filter what kind of log it will see, unless it knows (fact C29).
    pub fn set_backend(&mut self, backend: &str) {
        let given = self.definition.arguments.get("logtype");
        let defined = self.definition.settings().has_own("Definition", "logtype");
        if given.is_some_and(|given| !given.text().is_empty()) || defined {
            return;
        }
        let logtype = if backend.starts_with("systemd") {
            "journal"
        } else {
            "file"
        };
        self.definition
            .arguments
            .insert("logtype".into(), logtype.into());
    }

    /// Reads the options; those of the jail win.
    ///
    /// # Errors
    /// A substitution that fails.
    pub fn read(
        &mut self,
        jail: &Options,
        all: bool,
        messages: &mut ConfigMessages,
    ) -> Result<(), Cause> {
        self.definition.read(jail, all, messages)
    }

    /// Where the value of an option comes from that no option of the jail has decided.
    pub fn source(&self, name: &str) -> ValueSource {
        self.definition.source(name)
    }

    /// All its options as they were written, with their names.
    pub fn written(&self) -> Vec<(String, String)> {
        let settings = self.definition.settings();
        let sections = ["Definition", "Init"].into_iter();
        let sections = sections.filter_map(|section| settings.section(section));
        let entries = sections.chain([&settings.defaults]).flatten();
        entries
            .map(|(name, entry)| (name.to_string(), entry.text.to_string()))
            .collect()
    }

    /// All options, combined.
    ///
    /// # Errors
    /// Self reference.
    pub fn combined(&mut self, messages: &mut ConfigMessages) -> Result<Options, Cause> {
        self.definition.combined(&[], messages)
    }

    /// Its arguments, and with them what stands in `[Init]` once the options are read.
    pub fn arguments(&self) -> &Options {
        &self.definition.arguments
    }

    /// An option as it is without arguments; `None` when there is none.
    ///
    /// # Errors
    /// A substitution that fails.
    pub fn definition_option(&self, name: &str) -> Result<Option<Setting>, Cause> {
        let value = self
            .definition
            .settings()
            .get("Definition", name, &Vars::default());
        match value {
            Ok(value) => Ok(Some(value.into())),
            Err(cause) if cause.is_absence() => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// Its commands for the server.
    ///
    /// # Errors
    /// Self reference; a journal match with an open quote.
    pub fn commands(&mut self, messages: &mut ConfigMessages) -> Result<Vec<Vec<Value>>, Cause> {
        let options = self.combined(messages)?;
        let mut commands = Vec::new();
        add_commands(&mut commands, &options, &self.jail)?;
        Ok(commands)
    }
}

/// Adds the commands of filter options: those that are sent first or early, then the rest in order
/// (fact C57).
///
/// # Errors
/// A journal match with an open quote.
pub fn add_commands(
    commands: &mut Vec<Vec<Value>>,
    options: &Options,
    jail: &str,
) -> Result<(), Cause> {
    let set = |option: &str, value: Value| vec!["set".into(), jail.into(), option.into(), value];
    let mut early = 0;
    for (name, value) in options {
        if *value == Setting::Nothing {
            continue;
        }
        let row = FILTER.iter().find(|row| *row.name == **name);
        match row.map_or(Sent::Never, |row| row.sent) {
            Sent::Lines => {
                let text = value.text();
                let mut regexes: Vec<Value> = text
                    .split('\n')
                    .filter(|regex| !regex.is_empty())
                    .map(Value::from)
                    .collect();
                let add = format!("add{name}");
                match regexes.len() {
                    0 => {}
                    1 => commands.push(set(&add, regexes.remove(0))),
                    _ => commands.push(vec![
                        "multi-set".into(),
                        jail.into(),
                        add.into(),
                        Value::List(regexes),
                    ]),
                }
            }
            Sent::First => {
                commands.insert(0, set(name, value.into()));
                early += 1;
            }
            Sent::Early => {
                commands.insert(early, set(name, value.into()));
                early += 1;
            }
            Sent::Value => commands.push(set(name, value.into())),
            Sent::Matches => {
                for line in value.text().split('\n').filter(|line| !line.is_empty()) {
                    let words = shell_words(line).map_err(|text| Cause::Value(text.to_owned()))?;
                    let mut command = vec!["set".into(), jail.into(), format!("add{name}").into()];
                    command.extend(words.into_iter().map(Value::from));
                    commands.push(command);
                }
            }
            Sent::Never | Sent::Words | Sent::Files => {}
        }
    }
    Ok(())
}

/// What a filter consists of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilterOptions {
    /// `usedns`
    pub usedns: Option<String>,
    /// `prefregex`
    pub prefregex: Option<String>,
    /// Failregexes in order.
    pub failregex: Vec<String>,
    /// Ignoreregexes in order.
    pub ignoreregex: Vec<String>,
    /// `maxlines`
    pub maxlines: Option<i64>,
    /// `datepattern`
    pub datepattern: Option<String>,
    /// `jsonmatch`
    pub jsonmatch: Option<String>,
    /// Journal matches in order, each in words.
    pub journalmatch: Vec<Vec<String>>,
}

impl FilterOptions {
    /// Collects them from the commands of a filter or a jail.
    pub fn from_commands(commands: &[Vec<Value>]) -> FilterOptions {
        let mut options = FilterOptions::default();
        for command in commands {
            let [_, _, option, values @ ..] = command.as_slice() else {
                continue;
            };
            let text = || values.first().map(|value| value.str().into_owned());
            let texts = || match values {
                [Value::List(list)] => list.iter().map(|v| v.str().into_owned()).collect(),
                values => values.iter().map(|v| v.str().into_owned()).collect(),
            };
            match option.as_str() {
                Some("usedns") => options.usedns = text(),
                Some("prefregex") => options.prefregex = text(),
                Some("addfailregex") => options.failregex.extend::<Vec<String>>(texts()),
                Some("addignoreregex") => options.ignoreregex.extend::<Vec<String>>(texts()),
                // the first one counts, as `fail2ban-regex` has it; the server goes by the last
                Some("maxlines") => {
                    let lines = values.first().and_then(|value| value.to_int().ok());
                    options.maxlines = options.maxlines.or(lines);
                }
                Some("datepattern") => options.datepattern = options.datepattern.or_else(text),
                Some("jsonmatch") => options.jsonmatch = text(),
                Some("addjournalmatch") => options.journalmatch.push(texts()),
                _ => {}
            }
        }
        options
    }
}
