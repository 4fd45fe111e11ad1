//! The figures of a server, asked for by the commands that every fail2ban knows; what the original does
//! not tell is missing then.

use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;

use crate::clock;
use crate::control::client::{ClientError, ControlClient};
use crate::control::print::json;
use crate::jail::{FIGURES, FULL};

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server says of itself.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Its version, as a fail2ban.
    pub version: String,
    /// The jails, in the server's order.
    pub jails: Vec<JailMetrics>,
    /// Requests that wait for the database.
    pub database_waiting: Option<u64>,
    /// The fleet, where the host is in one.
    pub fleet: Option<FleetFigures>,
    /// CrowdSec, where the server speaks to it.
    pub crowdsec: Option<CrowdsecFigures>,
}

/// What CrowdSec tells this host.
#[derive(Clone, Debug, Default)]
pub struct CrowdsecFigures {
    /// Whether it takes bans, and whether it tells decisions; `None`: it is not meant to.
    pub connected: [Option<bool>; 2],
    /// Bans and their ends that it has not been told yet.
    pub waiting: f64,
    /// Decisions by list.
    pub lists: Vec<(String, u64)>,
    /// Seconds since it told the lists last.
    pub age: Option<f64>,
}

/// The part of a host in its fleet.
#[derive(Clone, Debug, Default)]
pub struct FleetFigures {
    /// There is a connection to the engine.
    pub connected: bool,
    /// Bans and their ends on their way to the engine or to jails.
    pub waiting: f64,
    /// What this host has told the others.
    pub sent: f64,
    /// What it could not tell at once.
    pub dropped: f64,
    /// The other hosts: their names, and a value for each of [`HOST_FIGURES`].
    pub hosts: Vec<(String, Vec<f64>)>,
}

/// What the server tells of each host of a fleet.
pub const HOST_FIGURES: [&str; 5] = ["seen", "lag", "bans", "refused", "muted"];

/// A jail. `None`: the server does not tell.
#[derive(Clone, Debug, Default)]
pub struct JailMetrics {
    /// Its name.
    pub name: String,
    /// Addresses with failures now, and failures since the start.
    pub failed: [u64; 2],
    /// Addresses banned now, and bans since the start.
    pub banned: [u64; 2],
    /// Who is banned, where that was asked for.
    pub ids: Vec<String>,
    /// Ban time and find time in seconds, and how many failures make a ban.
    pub settings: [Option<f64>; 3],
    /// It only says whom it would ban.
    pub simulated: bool,
    /// Lines that went through its filter.
    pub lines: Option<u64>,
    /// Hits by failregex, in their order.
    pub regex_hits: Vec<u64>,
    /// Searches that took too many steps.
    pub given_up: Option<u64>,
    /// Bytes of each log file that were not read yet.
    pub unread: Vec<(String, u64)>,
    /// Packets and bytes that the kernel has dropped for the bans, where it counts.
    pub dropped: Option<[u64; 2]>,
    /// Bans in force by who decided on them.
    pub origins: Vec<(String, u64)>,
    /// By action.
    pub actions: Vec<ActionFigures>,
}

/// An action of a jail.
#[derive(Clone, Debug, Default)]
pub struct ActionFigures {
    /// Its name.
    pub name: String,
    /// Bans whose command failed; it is tried again.
    pub not_effective: u64,
    /// Orders that wait.
    pub waiting: u64,
    /// Bans by how long they took ([`crate::action::ban_times::BOUNDS`]), and the seconds of all.
    pub ban_times: (Vec<u64>, f64),
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum FiguresError {
    /// Nobody listens.
    #[error("{0}")]
    Connect(ClientError),
    /// The server does not answer as it should.
    #[error("{0}")]
    Request(ClientError),
}

/// Asks a server. `with_ids`: also who is banned.
///
/// # Errors
/// It does not answer.
pub fn ask(socket: &Path, with_ids: bool) -> Result<Figures, FiguresError> {
    let mut client =
        ControlClient::connect(socket, Some(PATIENCE)).map_err(FiguresError::Connect)?;
    // a refusal, as for a jail that has gone meanwhile, is no answer and no error
    let mut ask = |words: &[&str]| -> Result<Json, FiguresError> {
        let words: Vec<_> = words.iter().map(|word| (*word).into()).collect();
        let reply = client.ask(&words).map_err(FiguresError::Request)?;
        Ok(reply.map_or(Json::Null, |reply| json::value(&reply)))
    };
    let version = ask(&["version"])?;
    let flavour = if with_ids { FULL } else { FIGURES };
    let mut all = ask(&["status", "--all", flavour])?;
    if all["jails"].is_null() {
        all = ask(&["status"])?;
    }
    let mut figures = Figures {
        version: version.as_str().unwrap_or_default().to_owned(),
        jails: Vec::new(),
        database_waiting: all["database_requests_waiting"].as_u64(),
        fleet: None,
        crowdsec: None,
    };
    // a question that is refused is an error in the log of the server
    if all["fleet"] == true {
        figures.fleet = of_fleet(&ask(&["fleet", "status"])?);
    }
    if all["crowdsec"] == true {
        figures.crowdsec = of_crowdsec(&ask(&["crowdsec", "status"])?, clock::now());
    }
    for name in all["jail_list"].as_array().into_iter().flatten() {
        let Some(name) = name.as_str() else { continue };
        let status = match &all["jails"][name] {
            Json::Null => ask(&["status", name])?,
            status => status.clone(),
        };
        if status.is_null() {
            continue;
        }
        let mut settings = [None; 3];
        for (value, option) in settings.iter_mut().zip(["bantime", "findtime", "maxretry"]) {
            *value = ask(&["get", name, option])?.as_f64();
        }
        figures
            .jails
            .push(of_jail(name, &status, settings, with_ids));
    }
    Ok(figures)
}

fn of_fleet(status: &Json) -> Option<FleetFigures> {
    let number = |value: &Json| match value.as_bool() {
        Some(flag) => f64::from(u8::from(flag)),
        None => value.as_f64().unwrap_or_default(),
    };
    let host = |host: &Json| {
        let name = host["host"].as_str()?.to_owned();
        Some((name, HOST_FIGURES.map(|of| number(&host[of])).to_vec()))
    };
    Some(FleetFigures {
        connected: !status["connected"].is_null(),
        waiting: number(&status["waiting"]),
        sent: number(&status["sent"]),
        dropped: number(&status["dropped"]),
        hosts: status["hosts"]
            .as_array()?
            .iter()
            .filter_map(host)
            .collect(),
    })
}

fn of_crowdsec(status: &Json, now: f64) -> Option<CrowdsecFigures> {
    let ways = ["telling", "hearing"];
    let connected = ways.map(|way| {
        let way = status[way].as_object()?;
        Some(!way["since"].is_null() && way["error"].is_null())
    });
    let last = status["hearing"]["last"].as_f64();
    Some(CrowdsecFigures {
        connected,
        waiting: status["waiting"].as_f64()?,
        lists: counts(&status["lists"]),
        age: last.map(|last| (now - last).max(0.0)),
    })
}

/// Numbers by name.
fn counts(part: &Json) -> Vec<(String, u64)> {
    let pairs = part.as_object().into_iter().flatten();
    pairs
        .filter_map(|(name, count)| Some((name.clone(), count.as_u64()?)))
        .collect()
}

fn of_jail(name: &str, status: &Json, settings: [Option<f64>; 3], with_ids: bool) -> JailMetrics {
    let (filter, actions) = (&status["filter"], &status["actions"]);
    let count = |part: &Json, name: &str| part[name].as_u64().unwrap_or_default();
    let numbers = |list: &Json| -> Vec<u64> {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(Json::as_u64).collect()
    };
    let ids = actions["banned_ip_list"].as_array().filter(|_| with_ids);
    let ids = ids.into_iter().flatten().filter_map(Json::as_str);
    let waiting = actions["waiting_orders"].as_object().into_iter().flatten();
    let of_action = |(action, waiting): (&String, &Json)| {
        let times = &actions["ban_times"][action];
        let failing = actions["not_effective"][action].as_array();
        ActionFigures {
            name: action.clone(),
            not_effective: failing.map_or(0, |ids| ids.len() as u64),
            waiting: waiting.as_u64().unwrap_or_default(),
            ban_times: (numbers(&times[0]), times[1].as_f64().unwrap_or_default()),
        }
    };
    JailMetrics {
        name: name.to_owned(),
        failed: ["currently_failed", "total_failed"].map(|name| count(filter, name)),
        banned: ["currently_banned", "total_banned"].map(|name| count(actions, name)),
        ids: ids.map(str::to_owned).collect(),
        settings,
        simulated: actions["simulated"].as_bool().unwrap_or_default(),
        lines: filter["lines_read"].as_u64(),
        regex_hits: numbers(&filter["regex_hits"]),
        given_up: filter["searches_given_up"].as_u64(),
        unread: counts(&filter["unread_bytes"]),
        dropped: actions["dropped_packets"]
            .as_u64()
            .map(|packets| [packets, count(actions, "dropped_bytes")]),
        origins: counts(&actions["origins"]),
        actions: waiting.map(of_action).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_status_of_the_original_lacks_what_it_does_not_know() {
        let status = json!({
            "filter": {"currently_failed": 1, "total_failed": 9, "file_list": ["/l"]},
            "actions": {"currently_banned": 2, "total_banned": 3, "banned_ip_list": ["192.0.2.1"]},
        });
        let jail = of_jail("a", &status, [Some(600.0), None, Some(5.0)], true);
        assert_eq!((jail.failed, jail.banned), ([1, 9], [2, 3]));
        assert_eq!(jail.ids, ["192.0.2.1"]);
        assert!(jail.lines.is_none() && jail.regex_hits.is_empty() && jail.actions.is_empty());
    }

    #[test]
    fn a_fleet_is_told_where_there_is_one() {
        assert!(of_fleet(&Json::Null).is_none());
        let status = json!({
            "connected": null, "waiting": 2, "sent": 3, "dropped": 4,
            "hosts": [{"host": "mx2", "seen": 1.5, "lag": 0.25, "bans": 7, "refused": 1, "muted": true}],
        });
        let fleet = of_fleet(&status).unwrap();
        assert!(!fleet.connected);
        assert_eq!((fleet.waiting, fleet.sent, fleet.dropped), (2.0, 3.0, 4.0));
        let values = vec![1.5, 0.25, 7.0, 1.0, 1.0];
        assert_eq!(fleet.hosts, [("mx2".to_owned(), values)]);
    }

    #[test]
    fn lists_are_told_where_there_is_crowdsec() {
        assert!(of_crowdsec(&Json::Null, 0.0).is_none());
        let status = json!({
            "telling": null, "waiting": 2, "lists": {"CAPI": 7, "cscli": 1},
            "hearing": {"since": 5.0, "last": 90.0, "error": null},
        });
        let crowdsec = of_crowdsec(&status, 100.0).unwrap();
        assert_eq!(crowdsec.connected, [None, Some(true)]);
        let lists = [("CAPI".to_owned(), 7), ("cscli".to_owned(), 1)];
        assert_eq!((crowdsec.lists, crowdsec.age), (lists.to_vec(), Some(10.0)));
        let mut silent = status;
        silent["hearing"]["error"] = "refused".into();
        let crowdsec = of_crowdsec(&silent, 100.0).unwrap();
        assert_eq!(crowdsec.connected[1], Some(false));
    }

    #[test]
    fn the_status_of_ours_has_actions() {
        let status = json!({
            "filter": {"lines_read": 7, "regex_hits": [3, 0], "searches_given_up": 1},
            "actions": {
                "waiting_orders": {"nft": 4},
                "ban_times": {"nft": [[1, 2], 0.5]},
                "not_effective": {"nft": ["192.0.2.1"]},
                "simulated": true,
                "dropped_packets": 12,
                "dropped_bytes": 720,
            },
        });
        let jail = of_jail("a", &status, [None; 3], false);
        assert_eq!((jail.lines, jail.given_up), (Some(7), Some(1)));
        assert_eq!(jail.regex_hits, [3, 0]);
        assert!(jail.simulated);
        assert_eq!(jail.dropped, Some([12, 720]));
        let [action] = jail.actions.as_slice() else {
            panic!("{:?}", jail.actions);
        };
        assert_eq!((action.waiting, action.not_effective), (4, 1));
        assert_eq!(action.ban_times, (vec![1, 2], 0.5));
    }
}
