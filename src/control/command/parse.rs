//! Parses the words of a request.
//!
//! The order of the checks decides which error a wrong command gets, and is the original's: missing words
//! and words of the wrong kind are reported before jails that do not exist.

use super::{Command, FleetQuestion, JailCommand, JailQuery, JailSetting, ManualBan};
use crate::control::error::CommandError;
use crate::options::{ValueKind, jail, server};
use crate::python::Value;

impl Command {
    /// Reads a request as it came over the socket.
    ///
    /// # Errors
    /// As [`Command::parse`]; the request may also be no list at all.
    pub fn from_value(request: &Value) -> Result<Command, CommandError> {
        match request {
            Value::List(words) | Value::Tuple(words) => Command::parse(words),
            // Python takes the first letter of a text for the command
            Value::Str(_) | Value::Ip(_) => Err(invalid()),
            other => Err(CommandError::builtin(
                "TypeError",
                format!("'{}' object is not subscriptable", other.type_name()),
            )),
        }
    }

    /// Reads the words of a request. `multi-set` becomes the setting it stands for.
    ///
    /// # Errors
    /// The exceptions of facts P55: unknown command, option or too few words.
    pub fn parse(words: &[Value]) -> Result<Command, CommandError> {
        let words = Words(words);
        Ok(match words.text(0)?.as_str() {
            "ping" => Command::Ping,
            "version" => Command::Version,
            "echo" => Command::Echo(words.rest(1).to_vec()),
            "server-status" => Command::ServerStatus,
            "status" => return words.status(),
            "stats" | "statistic" | "statistics" => Command::Statistics,
            "banned" => match words.texts(1).as_slice() {
                [option] if option == WITH_ORIGINS => Command::BannedWithOrigins,
                ids => Command::Banned(ids.to_vec()),
            },
            "fleet" if words.len() == 2 => Command::Fleet(match words.text(1)?.as_str() {
                "status" => FleetQuestion::Status,
                "bans" => FleetQuestion::Bans,
                _ => return Err(invalid()),
            }),
            "crowdsec" if words.len() == 2 => match words.text(1)?.as_str() {
                "status" => Command::CrowdsecStatus,
                _ => return Err(invalid()),
            },
            "unban" if words.len() > 1 => match words.texts(1).as_slice() {
                [all] if all == "--all" => Command::UnbanAll,
                ids => Command::Unban(ids.to_vec()),
            },
            "flushlogs" => Command::FlushLogs,
            "events" => Command::Events(words.texts(1)),
            "forget" if words.len() > 1 => Command::Forget(words.texts(1)),
            "sleep" => Command::Sleep(words.get(1)?.to_float()?),
            "add" => {
                let jail = words.text(1)?;
                if jail == "--all" {
                    return Err(CommandError::new("Reserved name '--all'"));
                }
                Command::Add {
                    jail,
                    backend: words.text(2).unwrap_or_else(|_| "auto".to_owned()),
                }
            }
            "start" => Command::StartJail {
                name: words.text(1)?,
                patterns: words.texts(2),
            },
            "stop" if words.len() == 1 => Command::Stop { keep: false },
            "stop" => match words.text(1)?.as_str() {
                "--all" => Command::StopAllJails,
                "--keep" => Command::Stop { keep: true },
                jail => Command::StopJail(jail.to_owned()),
            },
            "reload" => Command::Reload {
                jail: words.reloaded()?,
                options: words.members(2)?.iter().map(text).collect(),
                stream: words.members(3)?.to_vec(),
            },
            // a text is a row of commands of one letter to the original
            "server-stream" => match words.get(1)? {
                Value::Str(_) => return Err(invalid()),
                _ => Command::ServerStream(words.members(1)?.to_vec()),
            },
            "config-error" => Command::ConfigError(words.text(1)?),
            "config-warning" => Command::ConfigWarning(words.text(1)?),
            "by" => {
                let user = words.text(1)?;
                let words = words.rest(2).to_vec();
                // a row of these would be read as deep as it is long
                if words.first().is_some_and(|word| text(word) == "by") {
                    return Err(invalid());
                }
                let command = Command::parse(&words)?;
                match command.is_about_addresses() {
                    true => Command::By {
                        user,
                        words,
                        command: Box::new(command),
                    },
                    false => return Err(invalid()),
                }
            }
            "set" => return words.set(false),
            "multi-set" => return words.set(true),
            "get" => return words.get_option(),
            _ => return Err(invalid()),
        })
    }
}

/// What the client adds to `banned` to print it as JSON.
pub const WITH_ORIGINS: &str = "--with-origins";

fn invalid() -> CommandError {
    CommandError::new("Invalid command")
}

fn text(value: &Value) -> String {
    value.str().into_owned()
}

/// The public methods of a command action in the original (`get JAIL actionmethods NAME`, fact P52).
/// `set JAIL action NAME WORD` calls what is named here and sets what is not.
pub const ACTION_METHODS: [&str; 15] = [
    "ban",
    "clearAllParams",
    "consistencyCheck",
    "escapeTag",
    "executeCmd",
    "flush",
    "invalidateBanEpoch",
    "prolong",
    "reban",
    "reload",
    "replaceDynamicTags",
    "replaceTag",
    "start",
    "stop",
    "unban",
];

/// A request being read.
struct Words<'a>(&'a [Value]);

impl<'a> Words<'a> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, at: usize) -> Result<&'a Value, CommandError> {
        self.0.get(at).ok_or_else(CommandError::too_few_words)
    }

    fn text(&self, at: usize) -> Result<String, CommandError> {
        self.get(at).map(text)
    }

    fn value(&self, at: usize) -> Result<Value, CommandError> {
        self.get(at).cloned()
    }

    /// The words from `at` on.
    fn rest(&self, at: usize) -> &'a [Value] {
        self.0.get(at..).unwrap_or_default()
    }

    fn texts(&self, at: usize) -> Vec<String> {
        self.rest(at).iter().map(text).collect()
    }

    /// The members of the list at `at`.
    fn members(&self, at: usize) -> Result<&'a [Value], CommandError> {
        let value = self.get(at)?;
        value.as_slice().ok_or_else(|| {
            CommandError::builtin(
                "TypeError",
                format!("'{}' object is not a list", value.type_name()),
            )
        })
    }

    /// The jail or `--all` of a `reload`, which needs options too.
    fn reloaded(&self) -> Result<String, CommandError> {
        let missing = match self.len() {
            1 => "2 required positional arguments: 'name' and 'opts'",
            2 => "1 required positional argument: 'opts'",
            _ => return self.text(1),
        };
        let why = format!("Server.reloadJails() missing {missing}");
        Err(CommandError::builtin("TypeError", why))
    }

    fn status(&self) -> Result<Command, CommandError> {
        if self.len() > 3 {
            return Err(CommandError::new("Invalid command (no status)"));
        }
        let Ok(name) = self.text(1) else {
            return Ok(Command::Status);
        };
        let flavour = self.text(2).unwrap_or_else(|_| "basic".to_owned());
        Ok(if name == "--all" {
            Command::StatusAll { flavour }
        } else {
            Command::Jail {
                name,
                command: JailCommand::Status { flavour },
            }
        })
    }

    fn set(&self, multiple: bool) -> Result<Command, CommandError> {
        let name = self.text(1)?;
        if let Some(option) = server::settable(&name, self.len() == 3) {
            let value = self.value(2)?;
            return Ok(Command::Set { option, value });
        }
        Ok(Command::Jail {
            command: JailCommand::Set(self.jail_setting(multiple)?),
            name,
        })
    }

    fn jail_setting(&self, multiple: bool) -> Result<JailSetting, CommandError> {
        use JailSetting as Set;
        let option = self.text(2)?;
        Ok(match option.as_str() {
            "idle" => match self.text(3)?.as_str() {
                state @ ("on" | "off") => Set::Idle(state.to_owned()),
                _ => {
                    return Err(CommandError::new(
                        "Invalid idle option, must be 'on' or 'off'",
                    ));
                }
            },
            "addignoreip" => Set::AddIgnoreIp(self.texts(3)),
            "delignoreip" => Set::DelIgnoreIp(self.text(3)?),
            "addlogpath" => self.add_log_path()?,
            "dellogpath" => Set::DelLogPath(self.text(3)?),
            "addjournalmatch" => Set::AddJournalMatch(self.texts(3)),
            "deljournalmatch" => Set::DelJournalMatch(self.texts(3)),
            "addfailregex" => Set::AddFailRegex(self.regexes(multiple)?),
            "delfailregex" => Set::DelFailRegex(self.get(3)?.to_int()?),
            "addignoreregex" => Set::AddIgnoreRegex(self.regexes(multiple)?),
            "delignoreregex" => Set::DelIgnoreRegex(self.get(3)?.to_int()?),
            "attempt" => Set::Attempt(self.texts(3)),
            "banip" => Set::BanIp(self.manual_ban()?),
            "unbanip" => {
                let report_absent = self.text(3)? == "--report-absent";
                Set::UnbanIp {
                    ids: self.texts(if report_absent { 4 } else { 3 }),
                    report_absent,
                }
            }
            "addaction" => Set::AddAction {
                name: self.text(3)?,
                python: match self.len() {
                    ..=4 => None,
                    _ => Some((self.text(4)?, json(&self.text(5)?)?)),
                },
            },
            "delaction" => Set::DelAction(self.text(3)?),
            "action" => self.action(multiple)?,
            _ => match jail::settable(&option) {
                Some(kind) => Set::Set {
                    value: match kind {
                        ValueKind::Integer => Value::Int(self.get(3)?.to_int()?),
                        ValueKind::Text | ValueKind::Flag => self.value(3)?,
                    },
                    option,
                },
                None => {
                    return Err(CommandError::new(format!(
                        "Invalid command {} (no set action or not yet implemented)",
                        self.get(2)?.repr()
                    )));
                }
            },
        })
    }

    fn manual_ban(&self) -> Result<ManualBan, CommandError> {
        let mut ban = ManualBan::default();
        let mut at = 3;
        while let Ok(word) = self.text(at) {
            match word.as_str() {
                "--time" => {
                    at += 1;
                    ban.time = Some(self.value(at)?);
                }
                "--reason" => {
                    at += 1;
                    ban.reason = Some(self.text(at)?);
                }
                _ => ban.ids.push(word),
            }
            at += 1;
        }
        Ok(ban)
    }

    fn add_log_path(&self) -> Result<JailSetting, CommandError> {
        let path = self.text(3)?;
        let wrong = |message| Err(CommandError::builtin("ValueError", message));
        let tail = match self.texts(4).as_slice() {
            [] => false,
            [place] if place.eq_ignore_ascii_case("tail") => true,
            [place] if place.eq_ignore_ascii_case("head") => false,
            [_] => return wrong("File option must be 'head' or 'tail'"),
            _ => return wrong("Only one file can be added at a time"),
        };
        Ok(JailSetting::AddLogPath { path, tail })
    }

    fn regexes(&self, multiple: bool) -> Result<Vec<String>, CommandError> {
        let value = self.get(3)?;
        Ok(match value.as_slice() {
            Some(regexes) if multiple => regexes.iter().map(text).collect(),
            _ => vec![text(value)],
        })
    }

    /// `set JAIL action NAME …`
    fn action(&self, multiple: bool) -> Result<JailSetting, CommandError> {
        let name = self.text(3)?;
        if multiple {
            if let Value::Str(_) = self.get(4)? {
                // a row of pairs of one letter to the original
                let why = "string index out of range";
                return Err(CommandError::builtin("IndexError", why));
            }
            let properties = self
                .members(4)?
                .iter()
                .map(|pair| {
                    let pair = Words(pair.as_slice().unwrap_or_default());
                    Ok((pair.text(0)?, pair.value(1)?))
                })
                .collect::<Result<_, CommandError>>()?;
            return Ok(JailSetting::Action { name, properties });
        }
        let property = self.text(4)?;
        // without a value it can only be a method: one of a Python action
        if ACTION_METHODS.contains(&property.as_str()) || self.get(5).is_err() {
            return Ok(JailSetting::CallAction {
                name,
                method: property,
                arguments: match self.text(5) {
                    Ok(arguments) => json(&arguments)?,
                    Err(_) => Value::Dict(Vec::new()),
                },
            });
        }
        Ok(JailSetting::Action {
            name,
            properties: vec![(property, self.value(5)?)],
        })
    }

    fn get_option(&self) -> Result<Command, CommandError> {
        let name = self.text(1)?;
        if let Some(option) = server::answered(&name, self.len() == 2) {
            return Ok(Command::Get(option));
        }
        Ok(Command::Jail {
            command: JailCommand::Get(self.jail_query()?),
            name,
        })
    }

    fn jail_query(&self) -> Result<JailQuery, CommandError> {
        use JailQuery as Get;
        let name = self.text(2)?;
        Ok(match name.as_str() {
            "banned" => Get::Banned(self.texts(3)),
            "banip" => {
                let with_time = self.text(3).is_ok_and(|word| word == "--with-time");
                Get::BanIp {
                    separator: self.text(3).ok().filter(|_| !with_time),
                    with_time,
                }
            }
            "actions" => Get::Actions,
            "action" => Get::Action {
                name: self.text(3)?,
                property: self.text(4)?,
            },
            "actionproperties" => Get::ActionProperties(self.text(3)?),
            "actionmethods" => Get::ActionMethods(self.text(3)?),
            _ if jail::has_answer(&name) => Get::Option(name),
            _ => {
                return Err(CommandError::new(
                    "Invalid command (no get action or not yet implemented)",
                ));
            }
        })
    }
}

/// Arguments of Python actions and of method calls.
fn json(text: &str) -> Result<Value, CommandError> {
    serde_json::from_str(text)
        .map(from_json)
        .map_err(|error| CommandError::builtin("ValueError", error.to_string()))
}

/// serde_json bounds the depth.
fn from_json(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::None,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Str(text),
        Json::Array(items) => Value::List(items.into_iter().map(from_json).collect()),
        Json::Object(pairs) => Value::Dict(
            pairs
                .into_iter()
                .map(|(key, value)| (Value::Str(key), from_json(value)))
                .collect(),
        ),
    }
}
