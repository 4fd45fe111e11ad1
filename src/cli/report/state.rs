//! The present, asked of a server by its control socket; in the commands that every fail2ban knows,
//! so it may be the original.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value as Json;

use crate::control::client::{Client, ClientError};
use crate::control::print::json;
use crate::jail::FULL;
use crate::origin::Origin;

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The jails, in the server's order.
    pub jails: Vec<Jail>,
    /// Jails that the server could not make, and why; the original does not tell.
    pub failed: Vec<(String, String)>,
    /// The file of the database; `None` when it keeps none.
    pub database: Option<PathBuf>,
}

/// A jail and its bans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jail {
    /// Its name.
    pub name: String,
    /// Addresses with failures now, and failures since the start.
    pub failed: [u64; 2],
    /// Addresses banned now, and bans since the start.
    pub banned: [u64; 2],
    /// Those banned now, by end of ban.
    pub bans: Vec<Ban>,
    /// By action whose bans are not effective: the command failed and is tried again. The original
    /// does not tell.
    pub ineffective: Vec<(String, Vec<String>)>,
}

/// A ban in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
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
pub fn ask(socket: &Path) -> Result<State, ClientError> {
    let mut client = Client::connect(socket, Some(PATIENCE))?;
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
    let mut state = State {
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
        state.jails.push(Jail {
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

/// `192.0.2.1 \t2026-11-22 10:00:00 + 600 = 2026-11-22 10:10:00` (fact P47); -1 seconds never end.
fn ban(line: &str) -> Option<Ban> {
    let (id, times) = line.rsplit_once('\t')?;
    let (since, rest) = times.split_once(" + ")?;
    let (rest, by) = Origin::split_suffix(rest);
    let (length, until) = rest.split_once(" = ")?;
    Some(Ban {
        id: id.trim_end().to_owned(),
        since: since.to_owned(),
        until: (length != "-1").then(|| until.to_owned()),
        by: by.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_bans_are_taken_apart() {
        let line = "192.0.2.1 \t2026-11-22 10:00:00 + 600 = 2026-11-22 10:10:00";
        let found = ban(line).unwrap();
        assert_eq!(found.id, "192.0.2.1");
        assert_eq!(found.since, "2026-11-22 10:00:00");
        assert_eq!(found.until.as_deref(), Some("2026-11-22 10:10:00"));
        let forever = "2001:db8::1 \t2026-11-22 10:00:00 + -1 = 9999-12-31 23:59:59";
        assert_eq!(ban(forever).unwrap().until, None);
        assert_eq!(found.by, None);
        let found = ban(&format!("{line} (by host mx2)")).unwrap();
        assert_eq!(found.until.as_deref(), Some("2026-11-22 10:10:00"));
        assert_eq!(found.by.as_deref(), Some("host mx2"));
        assert_eq!(ban("192.0.2.1"), None);
    }
}
