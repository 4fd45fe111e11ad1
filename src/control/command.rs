//! Commands as the server understands them: the words of the socket, checked and typed.
//!
//! The order in which words are looked at decides which error a wrong command gets, and is the
//! original's: words that are missing or of the wrong kind come before jails that do not exist.
#![forbid(unsafe_code)]

use super::error::CommandError;
use super::value::Value;

/// A command to the server (facts 8.2).
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Command {
    Ping,
    Version,
    Echo(Vec<Value>),
    ServerStatus,
    /// `status [--all [flavour]]`; `status JAIL` is [`JailCommand::Status`].
    Status,
    StatusAll {
        flavour: String,
    },
    /// `stats`, `statistic`, `statistics`: one table row per jail.
    Statistics,
    /// Ids of every jail, or for each id the jails that hold it.
    Banned(Vec<String>),
    UnbanAll,
    Unban(Vec<String>),
    FlushLogs,
    Sleep(f64),
    Add {
        jail: String,
        backend: String,
    },
    StartJail(String),
    StopJail(String),
    /// `stop --all`: every jail, but not the server.
    StopAllJails,
    Stop,
    /// `reload JAIL|--all OPTIONS STREAM`, as the client sends it: the options are `--restart`,
    /// `--unban`, `--if-exists`; each member of the stream is a command ([`Command::from_value`]).
    Reload {
        jail: String,
        options: Vec<String>,
        stream: Vec<Value>,
    },
    /// A config stream to be carried out in order, nothing answered in between; each member is a
    /// command ([`Command::from_value`]).
    ServerStream(Vec<Value>),
    /// A jail or option the client could not read: logged as ERROR.
    ConfigError(String),
    Set(GlobalSetting),
    Get(GlobalOption),
    Jail {
        name: String,
        command: JailCommand,
    },
}

/// Options of the server itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum GlobalOption {
    LogLevel,
    LogTarget,
    SyslogSocket,
    DbFile,
    DbMaxMatches,
    DbPurgeAge,
    Thread,
}

/// `set OPTION VALUE` of the server itself.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum GlobalSetting {
    LogLevel(String),
    LogTarget(String),
    SyslogSocket(String),
    AllowIpv6(Value),
    DbFile(String),
    DbMaxMatches(Value),
    DbPurgeAge(Value),
    Thread(Value),
}

/// A command to one jail.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum JailCommand {
    Status { flavour: String },
    Set(JailSetting),
    Get(JailOption),
}

/// `set JAIL …`. Values whose reading is the jail's business (times, booleans) stay [`Value`]s here;
/// those of `maxretry`, `maxmatches` and `maxlines` are numbers already.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum JailSetting {
    Idle(String),
    IgnoreSelf(Value),
    AddIgnoreIp(Vec<String>),
    DelIgnoreIp(String),
    IgnoreCommand(String),
    IgnoreCache(Value),
    AddLogPath {
        path: String,
        tail: bool,
    },
    DelLogPath(String),
    LogEncoding(String),
    AddJournalMatch(Vec<String>),
    DelJournalMatch(Vec<String>),
    PrefRegex(String),
    AddFailRegex(Vec<String>),
    DelFailRegex(i64),
    AddIgnoreRegex(Vec<String>),
    DelIgnoreRegex(i64),
    UseDns(String),
    FindTime(Value),
    BanTime(Value),
    /// `bantime.increment`, `bantime.factor`, …; the name without the prefix.
    BanTimeExtra {
        name: String,
        value: Value,
    },
    MaxRetry(Value),
    MaxMatches(Value),
    MaxLines(Value),
    LogTimezone(String),
    DatePattern(String),
    Attempt {
        id: String,
        lines: Vec<String>,
    },
    BanIp(Vec<String>),
    UnbanIp {
        ids: Vec<String>,
        report_absent: bool,
    },
    AddAction {
        name: String,
        python: Option<(String, Value)>,
    },
    DelAction(String),
    /// `set JAIL action NAME PROPERTY VALUE`, one or (multi-set) several at once.
    Action {
        name: String,
        properties: Vec<(String, Value)>,
    },
    /// `set JAIL action NAME METHOD [JSON]` of a Python action.
    CallAction {
        name: String,
        method: String,
        arguments: Value,
    },
}

/// `get JAIL …`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum JailOption {
    IgnoreSelf,
    IgnoreIp,
    IgnoreCommand,
    IgnoreCache,
    LogPath,
    LogEncoding,
    JournalMatch,
    PrefRegex,
    FailRegex,
    IgnoreRegex,
    UseDns,
    FindTime,
    BanTime,
    BanTimeExtra(String),
    MaxRetry,
    MaxMatches,
    MaxLines,
    LogTimezone,
    DatePattern,
    /// Answered with a list either way, the separator is the client's business; `--with-time` gives
    /// lines with times.
    BanIp {
        separator: Option<String>,
        with_time: bool,
    },
    /// Ids banned in this jail; with one id 1 or 0, with several a list of them.
    Banned(Vec<String>),
    Actions,
    Action {
        name: String,
        property: String,
    },
    ActionProperties(String),
    ActionMethods(String),
}

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
            "banned" => Command::Banned(words.texts(1)),
            "unban" if words.len() > 1 => match words.texts(1).as_slice() {
                [all] if all == "--all" => Command::UnbanAll,
                ids => Command::Unban(ids.to_vec()),
            },
            "flushlogs" => Command::FlushLogs,
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
            "start" => Command::StartJail(words.text(1)?),
            "stop" if words.len() == 1 => Command::Stop,
            "stop" => match words.text(1)?.as_str() {
                "--all" => Command::StopAllJails,
                jail => Command::StopJail(jail.to_owned()),
            },
            "reload" => Command::Reload {
                jail: words.text(1)?,
                options: words.members(2)?.iter().map(text).collect(),
                stream: words.members(3)?.to_vec(),
            },
            "server-stream" => Command::ServerStream(words.members(1)?.to_vec()),
            "config-error" => Command::ConfigError(words.text(1)?),
            "set" => return words.set(false),
            "multi-set" => return words.set(true),
            "get" => return words.get_option(),
            _ => return Err(invalid()),
        })
    }
}

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

    fn int(&self, at: usize) -> Result<Value, CommandError> {
        Ok(Value::Int(self.get(at)?.to_int()?))
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
        let setting = match name.as_str() {
            "loglevel" => GlobalSetting::LogLevel(self.text(2)?),
            "logtarget" => GlobalSetting::LogTarget(self.text(2)?),
            "syslogsocket" => GlobalSetting::SyslogSocket(self.text(2)?),
            "allowipv6" => GlobalSetting::AllowIpv6(self.value(2)?),
            "thread" => GlobalSetting::Thread(self.value(2)?),
            "dbfile" => GlobalSetting::DbFile(self.text(2)?),
            "dbmaxmatches" => GlobalSetting::DbMaxMatches(self.value(2)?),
            "dbpurgeage" => GlobalSetting::DbPurgeAge(self.value(2)?),
            _ => {
                let setting = self.jail_setting(multiple)?;
                return Ok(Command::Jail {
                    name,
                    command: JailCommand::Set(setting),
                });
            }
        };
        Ok(Command::Set(setting))
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
            "ignoreself" => Set::IgnoreSelf(self.value(3)?),
            "addignoreip" => Set::AddIgnoreIp(self.texts(3)),
            "delignoreip" => Set::DelIgnoreIp(self.text(3)?),
            "ignorecommand" => Set::IgnoreCommand(self.text(3)?),
            "ignorecache" => Set::IgnoreCache(self.value(3)?),
            "addlogpath" => self.add_log_path()?,
            "dellogpath" => Set::DelLogPath(self.text(3)?),
            "logencoding" => Set::LogEncoding(self.text(3)?),
            "addjournalmatch" => Set::AddJournalMatch(self.texts(3)),
            "deljournalmatch" => Set::DelJournalMatch(self.texts(3)),
            "prefregex" => Set::PrefRegex(self.text(3)?),
            "addfailregex" => Set::AddFailRegex(self.regexes(multiple)?),
            "delfailregex" => Set::DelFailRegex(self.get(3)?.to_int()?),
            "addignoreregex" => Set::AddIgnoreRegex(self.regexes(multiple)?),
            "delignoreregex" => Set::DelIgnoreRegex(self.get(3)?.to_int()?),
            "usedns" => Set::UseDns(self.text(3)?),
            "findtime" => Set::FindTime(self.value(3)?),
            "bantime" => Set::BanTime(self.value(3)?),
            "maxretry" => Set::MaxRetry(self.int(3)?),
            "maxmatches" => Set::MaxMatches(self.int(3)?),
            "maxlines" => Set::MaxLines(self.int(3)?),
            "datepattern" => Set::DatePattern(self.text(3)?),
            "logtimezone" => Set::LogTimezone(self.text(3)?),
            "attempt" => Set::Attempt {
                id: self.text(3).map_err(|_| {
                    CommandError::builtin(
                        "TypeError",
                        "Filter.addAttempt() missing 1 required positional argument: 'ip'",
                    )
                })?,
                lines: self.texts(4),
            },
            "banip" => Set::BanIp(self.texts(3)),
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
            extra => match extra.strip_prefix("bantime.") {
                Some(name) => Set::BanTimeExtra {
                    name: name.to_owned(),
                    value: self.value(3)?,
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
        if ACTION_METHODS.contains(&property.as_str()) {
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
        let option = match name.as_str() {
            "loglevel" => GlobalOption::LogLevel,
            "logtarget" => GlobalOption::LogTarget,
            "syslogsocket" => GlobalOption::SyslogSocket,
            "thread" => GlobalOption::Thread,
            "dbfile" => GlobalOption::DbFile,
            "dbmaxmatches" => GlobalOption::DbMaxMatches,
            "dbpurgeage" => GlobalOption::DbPurgeAge,
            _ => {
                let option = self.jail_option()?;
                return Ok(Command::Jail {
                    name,
                    command: JailCommand::Get(option),
                });
            }
        };
        Ok(Command::Get(option))
    }

    fn jail_option(&self) -> Result<JailOption, CommandError> {
        use JailOption as Get;
        Ok(match self.text(2)?.as_str() {
            "banned" => Get::Banned(self.texts(3)),
            "logpath" => Get::LogPath,
            "logencoding" => Get::LogEncoding,
            "journalmatch" => Get::JournalMatch,
            "ignoreself" => Get::IgnoreSelf,
            "ignoreip" => Get::IgnoreIp,
            "ignorecommand" => Get::IgnoreCommand,
            "ignorecache" => Get::IgnoreCache,
            "prefregex" => Get::PrefRegex,
            "failregex" => Get::FailRegex,
            "ignoreregex" => Get::IgnoreRegex,
            "usedns" => Get::UseDns,
            "findtime" => Get::FindTime,
            "bantime" => Get::BanTime,
            "datepattern" => Get::DatePattern,
            "logtimezone" => Get::LogTimezone,
            "maxmatches" => Get::MaxMatches,
            "maxretry" => Get::MaxRetry,
            "maxlines" => Get::MaxLines,
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
            extra => match extra.strip_prefix("bantime.") {
                Some(name) => Get::BanTimeExtra(name.to_owned()),
                None => {
                    return Err(CommandError::new(
                        "Invalid command (no get action or not yet implemented)",
                    ));
                }
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, CommandError> {
        let words: Vec<Value> = line.split_whitespace().map(Value::from).collect();
        Command::parse(&words)
    }

    /// What the original answers to the same line (`fail2ban-client LINE`).
    #[test]
    fn wrong_commands_get_the_originals_errors() {
        let table = [
            ("foo", "Invalid command"),
            ("unban", "Invalid command"),
            (
                "set ok foo",
                "Invalid command 'foo' (no set action or not yet implemented)",
            ),
            (
                "get ok foo",
                "Invalid command (no get action or not yet implemented)",
            ),
            ("set foo", "list index out of range"),
            ("get foo", "list index out of range"),
            ("set", "list index out of range"),
            ("", "list index out of range"),
            ("status a b c", "Invalid command (no status)"),
            (
                "set nojail maxretry abc",
                "invalid literal for int() with base 10: 'abc'",
            ),
            (
                "set ok delfailregex x",
                "invalid literal for int() with base 10: 'x'",
            ),
            (
                "set ok addlogpath /nope foo",
                "File option must be 'head' or 'tail'",
            ),
            (
                "set ok addlogpath /nope a b",
                "Only one file can be added at a time",
            ),
            (
                "set ok idle foo",
                "Invalid idle option, must be 'on' or 'off'",
            ),
            ("set ok unbanip", "list index out of range"),
            (
                "set ok attempt",
                "Filter.addAttempt() missing 1 required positional argument: 'ip'",
            ),
            ("set ok addaction z /x", "list index out of range"),
            ("set ok action a1 foo", "list index out of range"),
            ("sleep x", "could not convert string to float: 'x'"),
            ("add", "list index out of range"),
            ("add --all", "Reserved name '--all'"),
            ("server-stream", "list index out of range"),
            ("config-error", "list index out of range"),
        ];
        for (line, message) in table {
            match parse(line) {
                Err(error) => assert_eq!(error.to_string(), message, "{line}"),
                Ok(command) => panic!("{line}: {command:?}"),
            }
        }
        assert!(parse("set foo").unwrap_err().is("IndexError"));
    }

    #[test]
    fn every_word_of_the_usage_text_is_known() {
        let jail = |command| Command::Jail {
            name: "j".into(),
            command,
        };
        let set = |setting| jail(JailCommand::Set(setting));
        let get = |option| jail(JailCommand::Get(option));
        let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let table = [
            ("ping 100", Command::Ping),
            ("status", Command::Status),
            (
                "status --all",
                Command::StatusAll {
                    flavour: "basic".into(),
                },
            ),
            (
                "status j short",
                jail(JailCommand::Status {
                    flavour: "short".into(),
                }),
            ),
            ("statistic", Command::Statistics),
            ("unban --all", Command::UnbanAll),
            ("unban a b", Command::Unban(strings(&["a", "b"]))),
            ("banned", Command::Banned(vec![])),
            ("sleep 0.5", Command::Sleep(0.5)),
            (
                "add j",
                Command::Add {
                    jail: "j".into(),
                    backend: "auto".into(),
                },
            ),
            ("start j", Command::StartJail("j".into())),
            ("stop", Command::Stop),
            ("stop j", Command::StopJail("j".into())),
            ("stop --all", Command::StopAllJails),
            (
                "set loglevel info",
                Command::Set(GlobalSetting::LogLevel("info".into())),
            ),
            ("get dbfile", Command::Get(GlobalOption::DbFile)),
            (
                "set j maxretry 5",
                set(JailSetting::MaxRetry(Value::Int(5))),
            ),
            ("set j bantime 1h", set(JailSetting::BanTime("1h".into()))),
            (
                "set j bantime.factor 2",
                set(JailSetting::BanTimeExtra {
                    name: "factor".into(),
                    value: "2".into(),
                }),
            ),
            (
                "set j addlogpath /x TAIL",
                set(JailSetting::AddLogPath {
                    path: "/x".into(),
                    tail: true,
                }),
            ),
            ("set j banip", set(JailSetting::BanIp(vec![]))),
            (
                "set j unbanip --report-absent a",
                set(JailSetting::UnbanIp {
                    ids: strings(&["a"]),
                    report_absent: true,
                }),
            ),
            (
                "set j action a timeout 5",
                set(JailSetting::Action {
                    name: "a".into(),
                    properties: vec![("timeout".into(), "5".into())],
                }),
            ),
            (
                "set j action a ban {\"x\":1}",
                set(JailSetting::CallAction {
                    name: "a".into(),
                    method: "ban".into(),
                    arguments: Value::Dict(vec![("x".into(), Value::Int(1))]),
                }),
            ),
            (
                "set j action a flush",
                set(JailSetting::CallAction {
                    name: "a".into(),
                    method: "flush".into(),
                    arguments: Value::Dict(vec![]),
                }),
            ),
            (
                "get j banip",
                get(JailOption::BanIp {
                    separator: None,
                    with_time: false,
                }),
            ),
            (
                "get j banip ,",
                get(JailOption::BanIp {
                    separator: Some(",".into()),
                    with_time: false,
                }),
            ),
            (
                "get j banip --with-time",
                get(JailOption::BanIp {
                    separator: None,
                    with_time: true,
                }),
            ),
            (
                "get j bantime.rndtime",
                get(JailOption::BanTimeExtra("rndtime".into())),
            ),
            (
                "get j action a actionban",
                get(JailOption::Action {
                    name: "a".into(),
                    property: "actionban".into(),
                }),
            ),
        ];
        for (line, command) in table {
            assert_eq!(parse(line), Ok(command), "{line}");
        }
    }

    #[test]
    fn multi_set_becomes_its_setting() {
        let regexes = Value::List(vec!["a".into(), "b".into()]);
        let words = [
            "multi-set".into(),
            "j".into(),
            "addfailregex".into(),
            regexes,
        ];
        let Ok(Command::Jail { command, .. }) = Command::parse(&words) else {
            panic!("refused");
        };
        let expected = JailSetting::AddFailRegex(vec!["a".into(), "b".into()]);
        assert_eq!(command, JailCommand::Set(expected));

        let pairs = Value::List(vec![
            Value::List(vec!["actionban".into(), "x".into()]),
            Value::Tuple(vec!["timeout".into(), Value::Int(3)]),
        ]);
        let words = ["multi-set", "j", "action", "a"].map(Value::from);
        let words = [&words[..], &[pairs]].concat();
        let Ok(Command::Jail { command, .. }) = Command::parse(&words) else {
            panic!("refused");
        };
        let expected = JailSetting::Action {
            name: "a".into(),
            properties: vec![
                ("actionban".into(), "x".into()),
                ("timeout".into(), Value::Int(3)),
            ],
        };
        assert_eq!(command, JailCommand::Set(expected));
    }

    #[test]
    fn requests_that_are_no_list() {
        assert_eq!(
            Command::from_value(&"ping".into()).unwrap_err().to_string(),
            "Invalid command"
        );
        assert_eq!(
            Command::from_value(&Value::Int(1)).unwrap_err().to_string(),
            "'int' object is not subscriptable"
        );
        let tuple = Value::Tuple(vec!["ping".into()]);
        assert_eq!(Command::from_value(&tuple), Ok(Command::Ping));
    }
}
