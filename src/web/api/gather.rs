//! Questions to server and programs → values.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use super::secrets;
use super::shapes::{
    ActionSummary, ApiBan, ApiChange, ApiExplanation, ApiJail, ApiOrder, ApiStory, BannedPage,
    FailedJail, JailSummary, Replay, Status,
};
use crate::address::Address;
use crate::control::print::ban::BanLine;
use crate::countries::Countries;
use crate::jail::FIGURES;
use crate::mail::whois::Whois;
use crate::web::access::Access;
use crate::web::ask::{Ask, AskError};
use crate::web::past::BanHistoryCache;
use crate::web::programs::Programs;
use crate::web::role::Role;

/// Bans of a page.
const PAGE: usize = 100;

/// Why something is not changed.
#[derive(Debug)]
pub enum ChangeError {
    /// They may not.
    Forbidden(&'static str),
    /// The server has not done it.
    Ask(AskError),
}

/// Where answers come from.
#[derive(Debug)]
pub struct ApiSources {
    /// The server.
    pub ask: Ask,
    /// The other programs.
    pub programs: Programs,
    /// The database.
    pub past: BanHistoryCache,
    /// The registries.
    pub whois: Whois,
}

impl ApiSources {
    /// The server and its jails. That it does not answer is an answer.
    pub async fn status(&self) -> Status {
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let host = nix::unistd::gethostname().unwrap_or_default();
        let mut status = Status {
            time: time.map_or(0.0, |time| time.as_secs_f64()),
            host: host.to_string_lossy().into_owned(),
            ..Status::default()
        };
        match self.all().await {
            Ok(all) => {
                status.version = text(&all["fail2ban_version"]);
                status.ferroban = all["ferroban_version"].as_str().map(str::to_owned);
                status.database_waiting = all["database_requests_waiting"].as_u64();
                let jails = pairs(&all["jails"]);
                status.jails = jails.map(|(name, jail)| summary(name, jail)).collect();
                let failed = pairs(&all["failed_jails"]);
                let failed = failed.map(|(name, why)| FailedJail {
                    name: name.clone(),
                    error: text(why),
                });
                status.failed = failed.collect();
                // a question that is refused is an error in the server's log
                if all["fleet"] == true {
                    let fleet = self.ask.question(&["fleet", "status"]).await;
                    status.fleet = fleet.ok().map(|fleet| Json::clone(&fleet));
                }
                if all["crowdsec"] == true {
                    let crowdsec = self.ask.question(&["crowdsec", "status"]).await;
                    status.crowdsec = crowdsec.ok().map(|told| Json::clone(&told));
                }
            }
            Err(error) => status.error = Some(error.to_string()),
        }
        status
    }

    async fn all(&self) -> Result<Arc<Json>, AskError> {
        self.ask.question(&["status", "--all", FIGURES]).await
    }

    /// All of a jail.
    ///
    /// # Errors
    /// There is no such jail, or no server.
    pub async fn jail(&self, name: &str) -> Result<ApiJail, AskError> {
        let status = self.ask.question(&["status", name, FIGURES]).await?;
        let regexes = self.ask.question(&["get", name, "failregex"]).await?;
        let ignored = self.ask.question(&["get", name, "ignoreip"]).await?;
        let config = self
            .programs
            .objects(&["config", "--json"], &[name], Vec::new())
            .await;
        let (mut config, config_error) = first(config);
        secrets::hide(&mut config);
        Ok(ApiJail {
            summary: summary(name, &status),
            regexes: texts(&regexes),
            ignored: texts(&ignored),
            config,
            config_error,
        })
    }

    /// A page of the bans in force, of one jail or of all. `query` is a part of an address, or a network.
    ///
    /// # Errors
    /// There is no such jail, or no server.
    pub async fn banned(
        &self,
        jail: Option<&str>,
        query: &str,
        page: usize,
    ) -> Result<BannedPage, AskError> {
        let names = match jail {
            Some(name) => vec![name.to_owned()],
            None => pairs(&self.all().await?["jails"])
                .map(|(name, _)| name.clone())
                .collect(),
        };
        let network = Address::parse_ip(query).filter(|network| !network.is_single());
        let query = query.trim().to_ascii_lowercase();
        let wanted = |id: &str| match &network {
            Some(network) => network.contains(&Address::parse(id)),
            None => query.is_empty() || id.to_ascii_lowercase().contains(&query),
        };
        let mut answers = Vec::new();
        for name in names {
            match self
                .ask
                .question(&["get", &name, "banip", "--with-time"])
                .await
            {
                Ok(answer) => answers.push((name, answer)),
                // a jail may have gone meanwhile
                Err(AskError::Refused(_)) if jail.is_none() => {}
                Err(error) => return Err(error),
            }
        }
        let of_jail = |(name, answer)| lines(answer).map(move |line| (name, line));
        let all = answers
            .iter()
            .map(|(name, answer)| (name.as_str(), &**answer));
        let total = all
            .clone()
            .map(|(_, answer)| answer.as_array().map_or(0, Vec::len))
            .sum();
        let all = all.flat_map(of_jail);
        let mut bans: Vec<_> = all.filter(|(_, line)| wanted(line.id)).collect();
        bans.sort_by_key(|(jail, line)| (Reverse(line.since), line.id, *jail));
        let found = bans.len();
        let pages = found.div_ceil(PAGE).max(1);
        let page = page.clamp(1, pages);
        let bans = bans.iter().skip((page - 1) * PAGE).take(PAGE);
        Ok(BannedPage {
            jail: jail.map(str::to_owned),
            bans: bans.map(|(jail, line)| ban_of(jail, line)).collect(),
            query,
            total,
            found,
            page,
            pages,
            size: PAGE,
        })
    }

    /// All that is known of an address; what its registry says only `with_whois`.
    ///
    /// # Errors
    /// No server answers.
    pub async fn story(&self, id: &str, with_whois: bool) -> Result<ApiStory, AskError> {
        let mut bans = Vec::new();
        let jails = self.ask.question(&["banned", id]).await?;
        for name in jails.as_array().into_iter().flatten().flat_map(texts) {
            let told = self
                .ask
                .question(&["get", &name, "banip", "--with-time"])
                .await?;
            let own = lines(&told).filter(|line| line.id == id);
            bans.extend(own.map(|line| ban_of(&name, &line)));
        }
        // to the program any other word is the name of a file or of a jail
        let (explained, error) = match Address::parse_ip(id) {
            Some(_) => {
                let options = ["explain", "--json"];
                first(self.programs.objects(&options, &[id], Vec::new()).await)
            }
            None => (Json::Null, Some("it is no address".to_owned())),
        };
        let (whois, whois_error) = match with_whois {
            true => self.whois(id).await,
            false => (None, None),
        };
        Ok(ApiStory {
            id: id.to_owned(),
            bans,
            explained,
            error,
            country: country_of(id).await,
            whois,
            whois_error,
        })
    }

    /// What a registry says of an address, or why it says nothing.
    async fn whois(&self, id: &str) -> (Option<String>, Option<String>) {
        if Address::parse_ip(id).is_none() {
            return (None, Some("That is no address.".to_owned()));
        }
        let question = ["whois".to_owned(), id.to_owned()];
        match self.whois.ask(&question).await {
            Some(answer) => (Some(String::from_utf8_lossy(&answer).into_owned()), None),
            None => (
                None,
                Some(
                    "No registry has answered: port 43 may be closed for this process.".to_owned(),
                ),
            ),
        }
    }

    /// Has something changed, in the name of who asks; answers what the server says.
    ///
    /// # Errors
    /// They may not; the server does not.
    pub async fn change(&self, access: &Access, order: &ApiOrder) -> Result<Json, ChangeError> {
        let user = access.user.clone().filter(|_| access.may_write);
        let Some(user) = user else {
            return Err(ChangeError::Forbidden(match access.role {
                Role::Viewer => "Only operators may change something.",
                Role::Operator => {
                    "Nothing may be changed: fail2ban.conf has no write = true below [web]."
                }
            }));
        };
        let id = order.id.as_str();
        let words = match (order.change, order.jail.as_deref()) {
            (ApiChange::Ban, Some(jail)) => vec!["set", jail, "banip", id],
            (ApiChange::Ignore, Some(jail)) => vec!["set", jail, "addignoreip", id],
            (ApiChange::Unban, Some(jail)) => vec!["set", jail, "unbanip", id],
            (_, None) => vec!["unban", id],
        };
        let words = ["by", &user].into_iter().chain(words).map(str::to_owned);
        let answer = self.ask.order(words.collect()).await;
        answer.map_err(ChangeError::Ask)
    }

    /// What a line comes to, in a jail or in all that are enabled.
    pub async fn explain(&self, jail: Option<&str>, line: &str) -> ApiExplanation {
        let mut options = vec!["explain", "--json", "--offline"];
        options.extend(jail.map(|jail| ["--jail", jail]).into_iter().flatten());
        // as input, or a line that names a file would be one
        let answers = self
            .programs
            .objects(&options, &["-"], format!("{line}\n").into());
        let (answers, error) = match answers.await {
            Ok(answers) => (answers, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        ApiExplanation {
            line: line.to_owned(),
            jail: jail.map(str::to_owned),
            answers,
            error,
        }
    }

    /// Whom a jail would ban for a log.
    pub async fn replay(&self, jail: &str, log: Vec<u8>) -> Replay {
        let options = ["replay", "--json", "--jail", jail];
        let (events, error) = match self.programs.objects(&options, &["-"], log).await {
            Ok(events) => (events, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        Replay {
            jail: jail.to_owned(),
            events,
            error,
        }
    }
}

fn first(objects: Result<Vec<Json>, crate::web::programs::ProgramError>) -> (Json, Option<String>) {
    match objects {
        Ok(objects) => (objects.into_iter().next().unwrap_or_default(), None),
        Err(error) => (Json::Null, Some(error.to_string())),
    }
}

async fn country_of(id: &str) -> Option<String> {
    let id = id.to_owned();
    let look = move || Countries::installed()?.of(&id);
    tokio::task::spawn_blocking(look).await.ok().flatten()
}

fn summary(name: &str, status: &Json) -> JailSummary {
    let (filter, actions) = (&status["filter"], &status["actions"]);
    let count = |part: &Json, name: &str| part[name].as_u64().unwrap_or_default();
    let hits = filter["regex_hits"].as_array().into_iter().flatten();
    let of_action = |(action, waiting): (&String, &Json)| ActionSummary {
        name: action.clone(),
        waiting: waiting.as_u64().unwrap_or_default(),
        not_effective: actions["not_effective"][action]
            .as_array()
            .map_or(0, |ids| ids.len() as u64),
    };
    JailSummary {
        name: name.to_owned(),
        failed_now: count(filter, "currently_failed"),
        failed_total: count(filter, "total_failed"),
        banned_now: count(actions, "currently_banned"),
        banned_total: count(actions, "total_banned"),
        simulated: actions["simulated"].as_bool().unwrap_or_default(),
        lines: filter["lines_read"].as_u64(),
        given_up: filter["searches_given_up"].as_u64(),
        sources: ["file_list", "journal_matches"]
            .iter()
            .flat_map(|name| texts(&filter[*name]))
            .collect(),
        unread: filter["unread_bytes"]
            .as_object()
            .map(|files| files.values().filter_map(Json::as_u64).sum()),
        dropped_packets: actions["dropped_packets"].as_u64(),
        dropped_bytes: actions["dropped_bytes"].as_u64(),
        regex_hits: hits.filter_map(Json::as_u64).collect(),
        actions: pairs(&actions["waiting_orders"]).map(of_action).collect(),
    }
}

fn ban_of(jail: &str, line: &BanLine<'_>) -> ApiBan {
    ApiBan {
        id: line.id.to_owned(),
        jail: jail.to_owned(),
        since: line.since.to_owned(),
        until: line.until.map(str::to_owned),
        by: line.by.map(str::to_owned),
    }
}

/// The lines of an answer to `get JAIL banip --with-time`.
fn lines(answer: &Json) -> impl Iterator<Item = BanLine<'_>> {
    let lines = answer.as_array().into_iter().flatten();
    lines.filter_map(|line| BanLine::read(line.as_str()?))
}

fn pairs(object: &Json) -> impl Iterator<Item = (&String, &Json)> {
    object.as_object().into_iter().flatten()
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The texts of a list.
pub fn texts(list: &Json) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Json::as_str).map(str::to_owned).collect()
}
