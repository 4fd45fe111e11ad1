//! What is told, by the API as JSON and by the page as HTML. Names are those of the JSON.

use serde::Serialize;
use serde_json::Value as Json;

/// The server and its jails at a glance.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Status {
    /// Seconds since 1970.
    pub time: f64,
    /// Name of this host.
    pub host: String,
    /// Why the server does not answer; the rest is empty then.
    pub error: Option<String>,
    /// Version as a fail2ban.
    pub version: String,
    /// Ferroban's own version; `None`: the server is the original.
    pub ferroban: Option<String>,
    /// In the server's order.
    pub jails: Vec<JailSummary>,
    /// Jails that the configuration wants and that do not run.
    pub failed: Vec<FailedJail>,
    /// Reads and writes that wait for the database.
    pub database_waiting: Option<u64>,
    /// What `ferroban fleet status --json` tells of the hosts that share bans; `None`: there is no fleet.
    pub fleet: Option<Json>,
    /// What the server tells of CrowdSec and its lists; `None`: it does not speak to it.
    pub crowdsec: Option<Json>,
}

/// A jail that does not run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FailedJail {
    /// Its name.
    pub name: String,
    /// Why.
    pub error: String,
}

/// A jail in a few numbers. `None`: the server does not tell.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JailSummary {
    /// Its name.
    pub name: String,
    /// Addresses with failures now.
    pub failed_now: u64,
    /// Failures since the start.
    pub failed_total: u64,
    /// Addresses banned now.
    pub banned_now: u64,
    /// Bans since the start.
    pub banned_total: u64,
    /// It only says whom it would ban.
    pub simulated: bool,
    /// Lines that went through its filter.
    pub lines: Option<u64>,
    /// Searches that took too many steps.
    pub given_up: Option<u64>,
    /// Log files, or what else it reads.
    pub sources: Vec<String>,
    /// Bytes of the log files that it has not read yet.
    pub unread: Option<u64>,
    /// Packets that the kernel has dropped for its bans, where it counts.
    pub dropped_packets: Option<u64>,
    /// Their bytes.
    pub dropped_bytes: Option<u64>,
    /// Hits by failregex, in their order.
    pub regex_hits: Vec<u64>,
    /// Its actions.
    pub actions: Vec<ActionSummary>,
}

/// An action of a jail.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ActionSummary {
    /// Its name.
    pub name: String,
    /// Bans and unbans that wait for it.
    pub waiting: u64,
    /// Bans whose command failed; it is tried again.
    pub not_effective: u64,
}

/// All of a jail.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ApiJail {
    /// Its numbers.
    pub summary: JailSummary,
    /// Failregexes, in the order of `regex_hits`.
    pub regexes: Vec<String>,
    /// Who is ignored.
    pub ignored: Vec<String>,
    /// What `ferroban config JAIL --json` tells: every setting with file and line; `null` where it fails.
    pub config: Json,
    /// Why there is no `config`.
    pub config_error: Option<String>,
}

/// A ban in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ApiBan {
    /// The address, or what else the jail bans.
    pub id: String,
    /// The jail.
    pub jail: String,
    /// When it began, `2026-11-22 10:00:00` in the server's time.
    pub since: String,
    /// When it will end; `None`: never.
    pub until: Option<String>,
    /// Who decided on it, `host NAME` or `list NAME`; `None`: this host.
    pub by: Option<String>,
}

/// A page of the bans in force.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BannedPage {
    /// The jail that was asked for; `None`: all.
    pub jail: Option<String>,
    /// What was searched for, as a part of the address; or a network.
    pub query: String,
    /// Bans in all.
    pub total: usize,
    /// Bans that were found.
    pub found: usize,
    /// This page, from 1.
    pub page: usize,
    /// Pages there are, 1 at least.
    pub pages: usize,
    /// Bans of a page.
    pub size: usize,
    /// These, the latest first.
    pub bans: Vec<ApiBan>,
}

/// All that is known of an address.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ApiStory {
    /// The address.
    pub id: String,
    /// Bans in force.
    pub bans: Vec<ApiBan>,
    /// What `ferroban explain ADDRESS --json` tells: why it is banned or not, the lines that name it,
    /// earlier bans; `null` where it fails.
    pub explained: Json,
    /// Why there is no `explained`.
    pub error: Option<String>,
    /// The two letters of its country, where this machine has a database of them and it is in it.
    pub country: Option<String>,
    /// What the registry of the address says of it, where it was asked.
    pub whois: Option<String>,
    /// Why there is no `whois`, where it was asked.
    pub whois_error: Option<String>,
}

/// What a line comes to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ApiExplanation {
    /// The line.
    pub line: String,
    /// The jail that was asked for; `None`: all.
    pub jail: Option<String>,
    /// What `ferroban explain --json` tells, an object for each jail.
    pub answers: Vec<Json>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// Whom a jail would ban for a log.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replay {
    /// The jail.
    pub jail: String,
    /// What `ferroban replay --json` tells, an object for each ban and unban.
    pub events: Vec<Json>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// What is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiChange {
    /// Ban an address in a jail.
    Ban,
    /// Lift its bans: of one jail, or of all.
    Unban,
    /// Ignore it from now on, in one jail, until the next reload.
    Ignore,
}

impl ApiChange {
    /// Reads its word.
    pub fn parse(word: &str) -> Option<ApiChange> {
        let all = [ApiChange::Ban, ApiChange::Unban, ApiChange::Ignore];
        all.into_iter().find(|change| change.word() == word)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            ApiChange::Ban => "ban",
            ApiChange::Unban => "unban",
            ApiChange::Ignore => "ignore",
        }
    }
}

/// Something that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiOrder {
    /// What.
    pub change: ApiChange,
    /// The jail; of an unban `None` is all.
    pub jail: Option<String>,
    /// The address.
    pub id: String,
}
