//! Commands as the server understands them: the words of the socket, checked and typed.
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
    Stop,
    /// `reload JAIL|--all [options] [stream]`
    Reload {
        jail: String,
        options: Vec<String>,
        stream: Vec<Value>,
    },
    /// A config stream to be carried out in order, nothing answered in between.
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

/// `set JAIL …`. Values that Python converts late (`int('abc')`) stay [`Value`]s here; the jail
/// converts them and answers with the error.
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
    /// Separator, or `None` for a list; `--with-time` gives lines with times.
    BanIp {
        separator: Option<String>,
        with_time: bool,
    },
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
    /// Reads the words of a request. `multi-set` becomes the setting it stands for.
    ///
    /// # Errors
    /// The exceptions of facts P55: unknown command, option or too few words.
    pub fn parse(_words: &[Value]) -> Result<Command, CommandError> {
        Err(CommandError::new("Invalid command"))
    }
}
