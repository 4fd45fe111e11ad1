//! What has happened lately: the events of our server, and before them the bans that stand.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Local};
use serde_json::Value as Json;

use crate::control::client::{ClientError, ControlClient};
use crate::control::print::ban::BanLine;
use crate::control::print::json;
use crate::web::events::EventHub;
use crate::web::figures::{Figures, JailMetrics};

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bans of a jail that are shown.
const SHOWN: usize = 50;

/// A jail with more bans than this is not asked for the list of them.
const LONGEST_LIST: u64 = 10_000;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// `2026-11-29 18:00:00`
    pub time: String,
    /// `Ban`, `Found`, …
    pub what: String,
    /// Where.
    pub jail: String,
    /// Who.
    pub id: String,
}

/// Gathers it.
pub struct Latest {
    socket: PathBuf,
    hub: Option<Arc<EventHub>>,
    /// By jail the bans it has made, and the latest that stand.
    bans: HashMap<String, (u64, Vec<Happening>)>,
}

impl Latest {
    /// Of the server at a control socket.
    pub fn of(socket: PathBuf) -> Latest {
        Latest {
            // without threads to listen with, the lists have to do
            hub: EventHub::begin(socket.clone()).ok(),
            socket,
            bans: HashMap::new(),
        }
    }

    /// All of it, the latest first.
    pub fn look(&mut self, figures: &Figures) -> Vec<Happening> {
        let events = self.hub.as_ref().map(|hub| hub.recent());
        let is_told = self.hub.as_ref().is_some_and(|hub| hub.health().connected);
        let mut all: Vec<Happening> = events.iter().flatten().filter_map(of_event).collect();
        for jail in &figures.jails {
            let known = self.bans.get(&jail.name);
            // what came since is among the events
            let is_old = known.is_none_or(|(total, _)| *total != jail.banned[1] && !is_told);
            if is_old && let Ok(bans) = self.bans_of(jail) {
                self.bans.insert(jail.name.clone(), (jail.banned[1], bans));
            }
        }
        let bans = self.bans.values().flat_map(|(_, bans)| bans);
        let of_list: Vec<Happening> = bans
            .filter(|ban| !all.iter().any(|event| event.is_ban_of(ban)))
            .cloned()
            .collect();
        all.extend(of_list);
        all.sort_by(|one, other| other.time.cmp(&one.time));
        all
    }

    fn bans_of(&self, jail: &JailMetrics) -> Result<Vec<Happening>, ClientError> {
        if jail.banned[0] == 0 || jail.banned[0] > LONGEST_LIST {
            return Ok(Vec::new());
        }
        let mut client = ControlClient::connect(&self.socket, Some(PATIENCE))?;
        let words = ["get", &jail.name, "banip", "--with-time"];
        let reply = client.ask(&words.map(Into::into))?;
        let list = reply.map_or(Json::Null, |reply| json::value(&reply));
        let lines = list
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        let mut bans: Vec<Happening> = lines
            .filter_map(BanLine::read)
            .map(|line| Happening {
                time: line.since.to_owned(),
                what: "Ban".to_owned(),
                jail: jail.name.clone(),
                id: line.id.to_owned(),
            })
            .collect();
        bans.sort_by(|one, other| other.time.cmp(&one.time));
        bans.truncate(SHOWN);
        Ok(bans)
    }
}

impl Happening {
    /// Whether it is the event of a ban that stands.
    fn is_ban_of(&self, ban: &Happening) -> bool {
        self.what.ends_with("Ban") && self.jail == ban.jail && self.id == ban.id
    }
}

fn of_event(event: &Json) -> Option<Happening> {
    let text = |name: &str| Some(event[name].as_str()?.to_owned());
    let seconds = event["time"].as_f64()?;
    let time = DateTime::from_timestamp(seconds as i64, 0)?;
    Some(Happening {
        time: time
            .with_timezone(&Local)
            .format("%Y-%m-%d %H:%M:%S")
            .to_string(),
        what: text("event")?,
        jail: text("jail")?,
        id: text("id")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_tell_when_where_and_who() {
        let event = json!({"event": "Ban", "jail": "a", "time": 1795291452.7, "id": "192.0.2.1"});
        let happening = of_event(&event).unwrap();
        assert_eq!((&*happening.what, &*happening.jail), ("Ban", "a"));
        assert_eq!(happening.time.len(), "2026-11-29 18:00:00".len());
        assert_eq!(of_event(&json!({"event": "Lost", "count": 3})), None);
    }
}
