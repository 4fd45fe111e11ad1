//! The present, asked of a server by its control socket; in the commands that every fail2ban knows,
//! so it may be the original.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value as Json;

use crate::control::client::{ClientError, ControlClient};
use crate::control::print::ban::BanLine;
use crate::control::print::json;
use crate::jail::FULL;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportedState {
    /// The jails, in the server's order.
    pub jails: Vec<ReportedJailState>,
    /// Jails that the server could not make, and why; the original does not tell.
    pub failed: Vec<(String, String)>,
    /// The file of the database; `None` when it keeps none.
    pub database: Option<PathBuf>,
}

/// A jail and its bans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportedJailState {
    /// Its name.
    pub name: String,
    /// Addresses with failures now, and failures since the start.
    pub failed: [u64; 2],
    /// Addresses banned now, and bans since the start.
    pub banned: [u64; 2],
    /// Those banned now, by end of ban.
    pub bans: Vec<ReportedBan>,
    /// By action whose bans are not effective: the command failed and is tried again. The original
    /// does not tell.
    pub ineffective: Vec<(String, Vec<String>)>,
}

/// A ban in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedBan {
    /// The address.
    pub id: String,
    /// When it began, in local time.
    pub since: String,
    /// When it will end; `None`: never.
    pub until: Option<String>,
    /// Who decided on it, `host NAME` or `list NAME`; `None`: this host.
    pub by: Option<String>,
}

/// Asks a server for its state.
///
/// # Errors
/// It does not answer.
pub fn ask(socket: &Path) -> Result<ReportedState, ClientError> {
    let mut client = ControlClient::connect(socket, Some(PATIENCE))?;
    // a refusal, as for a jail that has gone meanwhile, is no answer and no error
    let mut ask = |words: &[&str]| -> Result<Json, ClientError> {
        let words: Vec<_> = words.iter().map(|word| (*word).into()).collect();
        Ok(client
            .ask(&words)?
            .map_or(Json::Null, |reply| json::value(&reply)))
    };
    let database = ask(&["get", "dbfile"])?;
    // all at once; some originals do not know it
    let mut all = ask(&["status", "--all", FULL])?;
    if all["jails"].is_null() {
        all = ask(&["status"])?;
    }
    let why =
        |(jail, why): (&String, &Json)| (jail.clone(), why.as_str().unwrap_or_default().to_owned());
    let mut state = ReportedState {
        jails: Vec::new(),
        failed: pairs(&all["failed_jails"]).map(why).collect(),
        database: database.as_str().map(PathBuf::from),
    };
    for name in texts(&all["jail_list"]) {
        let status = match &all["jails"][name] {
            Json::Null => ask(&["status", name])?,
            status => status.clone(),
        };
        if status.is_null() {
            continue;
        }
        let ineffective = pairs(&status["actions"]["not_effective"]);
        let ineffective = ineffective
            .map(|(action, ids)| (action.clone(), texts(ids).map(str::to_owned).collect()))
            .filter(|(_, ids): &(String, Vec<String>)| !ids.is_empty());
        let count = |part: &str, name: &str| status[part][name].as_u64().unwrap_or_default();
        state.jails.push(ReportedJailState {
            name: name.to_owned(),
            failed: ["currently_failed", "total_failed"].map(|name| count("filter", name)),
            banned: ["currently_banned", "total_banned"].map(|name| count("actions", name)),
            bans: texts(&ask(&["get", name, "banip", "--with-time"])?)
                .filter_map(ban)
                .collect(),
            ineffective: ineffective.collect(),
        });
    }
    Ok(state)
}

fn pairs(object: &Json) -> impl Iterator<Item = (&String, &Json)> {
    object.as_object().into_iter().flatten()
}

fn texts(list: &Json) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
}

fn ban(line: &str) -> Option<ReportedBan> {
    let line = BanLine::read(line)?;
    Some(ReportedBan {
        id: line.id.to_owned(),
        since: line.since.to_owned(),
        until: line.until.map(str::to_owned),
        by: line.by.map(str::to_owned),
    })
}
