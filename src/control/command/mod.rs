//! Typed commands: the words of a request, parsed and checked.
#![forbid(unsafe_code)]

mod parse;

#[cfg(test)]
mod tests;

pub use parse::{ACTION_METHODS, WITH_ORIGINS};

use crate::python::Value;

/// What a client asks about the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FleetQuestion {
    /// The state of the fleet.
    Status,
    /// The bans of all hosts that are known here.
    Bans,
}

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
    /// Ids of every jail, and who decided on those that this host did not.
    BannedWithOrigins,
    /// What `ferroban fleet` asks.
    Fleet(FleetQuestion),
    /// `crowdsec status`: how the bridge to CrowdSec does.
    CrowdsecStatus,
    UnbanAll,
    Unban(Vec<String>),
    FlushLogs,
    /// `forget ID…`: failures and earlier bans of these ids, in every jail; bans in force stay.
    Forget(Vec<String>),
    /// `events [JAIL…]`: what happens in these jails, or in all, as it happens.
    Events(Vec<String>),
    Sleep(f64),
    Add {
        jail: String,
        backend: String,
    },
    /// The lines of `logpath` that may lead to more files than are there now follow the name.
    StartJail {
        name: String,
        patterns: Vec<String>,
    },
    StopJail(String),
    /// `stop --all`: every jail, but not the server.
    StopAllJails,
    Stop {
        /// Bans stay in the firewall for the server that follows.
        keep: bool,
    },
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
    /// Something the client read that is hardly meant: logged as WARNING.
    ConfigWarning(String),
    /// `by USER COMMAND…`: a change of bans that somebody wants who is not the client's own user; the
    /// log says who. Its words are for that.
    By {
        user: String,
        words: Vec<Value>,
        command: Box<Command>,
    },
    /// An option of the server itself.
    Set {
        option: &'static str,
        value: Value,
    },
    Get(&'static str),
    Jail {
        name: String,
        command: JailCommand,
    },
}

impl Command {
    /// Whether it only asks, and the answer holds no secrets: properties of actions may be keys.
    pub fn only_asks(&self) -> bool {
        use JailQuery as Q;
        match self {
            Command::Ping
            | Command::Version
            | Command::ServerStatus
            | Command::Status
            | Command::StatusAll { .. }
            | Command::Statistics
            | Command::Banned(_)
            | Command::BannedWithOrigins
            | Command::Fleet(_)
            | Command::CrowdsecStatus
            | Command::Events(_)
            | Command::Get(_) => true,
            Command::Jail { command, .. } => match command {
                JailCommand::Status { .. } => true,
                JailCommand::Get(query) => matches!(
                    query,
                    Q::Option(_) | Q::BanIp { .. } | Q::Origins | Q::Banned(_) | Q::Actions
                ),
                JailCommand::Set(_) => false,
            },
            _ => false,
        }
    }

    /// Whether it changes who is banned or ignored, and nothing else.
    pub fn is_about_addresses(&self) -> bool {
        use JailSetting as S;
        match self {
            Command::Unban(_) => true,
            Command::Jail {
                command: JailCommand::Set(setting),
                ..
            } => matches!(
                setting,
                S::BanIp(_) | S::UnbanIp { .. } | S::AddIgnoreIp(_) | S::DelIgnoreIp(_)
            ),
            _ => false,
        }
    }
}

/// A command to one jail.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum JailCommand {
    Status { flavour: String },
    Set(JailSetting),
    Get(JailQuery),
}

/// `set JAIL …`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum JailSetting {
    /// An option that has one value: a number already where [`crate::options`] says that it is a whole
    /// one; to read others is the jail's business.
    Set {
        option: String,
        value: Value,
    },
    Idle(String),
    AddIgnoreIp(Vec<String>),
    DelIgnoreIp(String),
    AddLogPath {
        path: String,
        tail: bool,
    },
    DelLogPath(String),
    AddJournalMatch(Vec<String>),
    DelJournalMatch(Vec<String>),
    AddFailRegex(Vec<String>),
    DelFailRegex(i64),
    AddIgnoreRegex(Vec<String>),
    DelIgnoreRegex(i64),
    /// An id and what it has done; nobody checks before the jail whether there is an id.
    Attempt(Vec<String>),
    BanIp(ManualBan),
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

impl JailSetting {
    /// `set JAIL OPTION VALUE`
    pub fn set(option: &str, value: Value) -> JailSetting {
        JailSetting::Set {
            option: option.to_owned(),
            value,
        }
    }

    /// Whether it is an option of the jail itself: about no single address, and about no action.
    pub fn is_option(&self) -> bool {
        use JailSetting as S;
        !matches!(
            self,
            S::Attempt { .. }
                | S::BanIp(_)
                | S::UnbanIp { .. }
                | S::AddAction { .. }
                | S::DelAction(_)
                | S::Action { .. }
                | S::CallAction { .. }
        )
    }
}

/// `set JAIL banip ID… [--time TIME] [--reason TEXT]`; the original knows no options here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManualBan {
    /// Whom.
    pub ids: Vec<String>,
    /// For how long, in place of the jail's `bantime`.
    pub time: Option<Value>,
    /// Why; becomes the matched line of the ban.
    pub reason: Option<String>,
}

impl From<Vec<String>> for ManualBan {
    fn from(ids: Vec<String>) -> ManualBan {
        ManualBan {
            ids,
            ..ManualBan::default()
        }
    }
}

/// `get JAIL …`
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum JailQuery {
    /// The value of an option.
    Option(String),
    /// Answered with a list either way, the separator is the client's business; `--with-time` gives
    /// lines with times.
    BanIp {
        separator: Option<String>,
        with_time: bool,
    },
    /// Ids that this host did not decide on, and who did.
    Origins,
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
