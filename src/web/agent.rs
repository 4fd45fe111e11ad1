//! The agent API of fail2ban-ui, so that it needs no agent here: `/v1/jails…`, `/v1/filters…`, `/readyz`, with
//! the token in `X-F2B-Token`. It tells of bans by requests of its own to where the interface said
//! (`/v1/callback/config`), as they happen.
//!
//! What changes configuration is refused: whoever holds the token would be root.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::access::Access;
use super::api::gather::{ApiSources, ChangeError, texts};
use super::api::secrets;
use super::api::shapes::{ApiChange, ApiOrder};
use super::ask::AskError;
use super::callback::{Callback, CallbackTarget, Subscriber};
use super::events::EventHub;
use super::reply::{self, Reply};
use crate::address::Address;
use crate::config::shipped;
use crate::jail::FULL;

/// Steps of the pulse that are an hour.
const HOUR: usize = 60;
/// Bytes of a filter that are told.
const LONGEST_FILTER: u64 = 1 << 20;

/// What an answer needs.
pub struct Agent<'a> {
    /// Where answers come from.
    pub sources: &'a ApiSources,
    /// What happens.
    pub hub: &'a Arc<EventHub>,
    /// Whom it is told.
    pub callback: &'a Callback,
    /// Who asks.
    pub access: &'a Access,
}

impl Agent<'_> {
    /// `/v1/…`
    pub async fn answer(&self, method: &Method, path: &[&str], body: &[u8]) -> Reply {
        let get = *method == Method::GET;
        match (path, method) {
            (["jails"] | ["jails", "all"], _) if get => self.jails().await,
            (["jails", "check-integrity"], _) if get => {
                reply::json(&json!({ "exists": true, "hasUIAction": false, "managed": false }))
            }
            // there is nothing to be made: bans are told without an action of the interface
            (["jails", "ensure-structure"], &Method::POST) => reply::json(&json!({ "ok": true })),
            (["jails", name], _) if get => self.jail(name).await,
            (["jails", name, "config"], _) if get => self.config(name).await,
            (["jails", name, change @ ("ban" | "unban")], &Method::POST) => {
                self.change(name, change, body).await
            }
            (["filters"], _) if get => reply::json(&json!({ "filters": self.filters() })),
            (["filters", name], _) if get => self.filter(name).await,
            (["filters", "test"], &Method::POST) => self.test(body).await,
            (["callback", "config"], &Method::PUT) => self.callback(body),
            (["jails" | "filters" | "actions", ..], _) => {
                let why = "Ferroban lets nobody change its configuration by HTTP; edit the files on the host.";
                reply::failure(StatusCode::FORBIDDEN, why)
            }
            _ => reply::failure(StatusCode::NOT_FOUND, "not found"),
        }
    }

    async fn jails(&self) -> Reply {
        let all = match self.sources.ask.question(&["status", "--all", FULL]).await {
            Ok(all) => all,
            Err(error) => return failed(&error),
        };
        let pulse = self.hub.pulse();
        let latest = |name: &str| -> u32 {
            let jail = pulse.jails.iter().find(|jail| jail.jail == name);
            jail.map_or(0, |jail| jail.bans.iter().rev().take(HOUR).sum())
        };
        let jails = all["jails"].as_object().into_iter().flatten();
        let jails = jails.map(|(name, status)| {
            let banned = &status["actions"]["banned_ip_list"];
            json!({
                "jailName": name,
                "totalBanned": banned.as_array().map_or(0, Vec::len),
                "newInLastHour": latest(name),
                "bannedIPs": banned,
                "enabled": true,
            })
        });
        reply::json(&json!({ "jails": jails.collect::<Vec<_>>() }))
    }

    async fn jail(&self, name: &str) -> Reply {
        match self.sources.ask.question(&["get", name, "banned"]).await {
            Ok(banned) => {
                let banned = texts(&banned);
                let total = banned.len();
                reply::json(&json!({ "jail": name, "bannedIPs": banned, "totalBanned": total }))
            }
            Err(error) => failed(&error),
        }
    }

    /// Its settings as a section of a jail file.
    async fn config(&self, name: &str) -> Reply {
        let words = [name];
        let told = self
            .sources
            .programs
            .objects(&["config", "--json"], &words, Vec::new());
        let told = match told.await {
            Ok(told) => {
                let mut told = told.into_iter().next().unwrap_or_default();
                secrets::hide(&mut told);
                told
            }
            Err(error) => {
                return reply::failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string());
            }
        };
        let rows = told["settings"].as_array().into_iter().flatten();
        let lines = rows.filter_map(|row| {
            let value = row["value"].as_str()?.replace('\n', "\n    ");
            Some(format!("{} = {value}\n", row["name"].as_str()?))
        });
        let text: String = std::iter::once(format!("[{name}]\n"))
            .chain(lines)
            .collect();
        reply::json(&json!({ "config": text, "filePath": "" }))
    }

    async fn change(&self, jail: &str, change: &str, body: &[u8]) -> Reply {
        #[derive(Deserialize)]
        struct Wanted {
            ip: String,
        }
        let Ok(wanted) = serde_json::from_slice::<Wanted>(body) else {
            return reply::failure(StatusCode::BAD_REQUEST, "invalid JSON");
        };
        let id = wanted.ip.trim().to_owned();
        let (Some(change), Some(_)) = (ApiChange::parse(change), Address::parse_ip(&id)) else {
            return reply::failure(StatusCode::BAD_REQUEST, "invalid IP");
        };
        let order = ApiOrder {
            change,
            jail: Some(jail.to_owned()),
            id,
        };
        match self.sources.change(self.access, &order).await {
            Ok(_) => reply::json(&json!({ "ok": true })),
            Err(ChangeError::Forbidden(why)) => reply::failure(StatusCode::FORBIDDEN, why),
            Err(ChangeError::Ask(error)) => failed(&error),
        }
    }

    /// The names of filters, the shipped and those of the configuration.
    fn filters(&self) -> BTreeSet<String> {
        let own = fs::read_dir(self.sources.programs.config().join("filter.d"));
        let own = own.into_iter().flatten().filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let ending = [".conf", ".local"]
                .iter()
                .find_map(|ending| name.strip_suffix(ending));
            ending.map(str::to_owned)
        });
        let shipped = shipped::names("filter.d").map(str::to_owned);
        shipped.chain(own).collect()
    }

    /// A filter as it is written.
    async fn filter(&self, name: &str) -> Reply {
        if !self.filters().contains(name) {
            return reply::failure(StatusCode::NOT_FOUND, "no such filter");
        }
        let directory = self.sources.programs.config().join("filter.d");
        let files = ["local", "conf"].map(|ending| directory.join(format!("{name}.{ending}")));
        let read = move || {
            files.into_iter().find_map(|file| {
                let (mut text, opened) = (Vec::new(), fs::File::open(&file).ok()?);
                opened.take(LONGEST_FILTER).read_to_end(&mut text).ok()?;
                Some((String::from_utf8_lossy(&text).into_owned(), file))
            })
        };
        let own = tokio::task::spawn_blocking(read).await.ok().flatten();
        let path = format!("filter.d/{name}.conf");
        let shipped = || shipped::all().find(|(known, _)| *known == path);
        match own {
            Some((text, file)) => {
                let path = file.display().to_string();
                reply::json(&json!({ "config": text, "filePath": path }))
            }
            None => {
                let text = shipped().map(|(_, text)| text).unwrap_or_default();
                reply::json(&json!({ "config": text, "filePath": path }))
            }
        }
    }

    /// What a filter makes of lines.
    async fn test(&self, body: &[u8]) -> Reply {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wanted {
            filter_name: String,
            log_lines: Vec<String>,
        }
        let Ok(wanted) = serde_json::from_slice::<Wanted>(body) else {
            return reply::failure(StatusCode::BAD_REQUEST, "invalid JSON");
        };
        let name = wanted.filter_name;
        // a name, neither a file nor an expression
        if !self.filters().contains(&name) {
            return reply::failure(StatusCode::NOT_FOUND, "no such filter");
        }
        let options = ["explain", "--json", "--filter", &name];
        let input = wanted.log_lines.join("\n") + "\n";
        let told = self
            .sources
            .programs
            .objects(&options, &["-"], input.into());
        match told.await {
            Ok(lines) => {
                let text =
                    |line: &Json, part: &str| line[part].as_str().unwrap_or_default().to_owned();
                let lines = lines.iter().map(|line| {
                    format!(
                        "{}\n    {}\n",
                        text(line, "line"),
                        text(&line["answer"], "why")
                    )
                });
                let path = format!("filter.d/{name}.conf");
                reply::json(&json!({ "output": lines.collect::<String>(), "filterPath": path }))
            }
            Err(error) => reply::failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// From now on the interface is told of bans.
    fn callback(&self, body: &[u8]) -> Reply {
        let wrong = |why: &str| reply::failure(StatusCode::BAD_REQUEST, why);
        let user = self.access.user.clone().filter(|_| self.access.may_write);
        let Some(user) = user else {
            let why = "Only operators may, and only with write = true below [web].";
            return reply::failure(StatusCode::FORBIDDEN, why);
        };
        let Ok(target) = serde_json::from_slice::<CallbackTarget>(body) else {
            return wrong("invalid JSON");
        };
        let parts = [
            &target.server_id,
            &target.callback_url,
            &target.callback_secret,
        ];
        if parts.iter().any(|part| part.trim().is_empty()) {
            return wrong("serverId, callbackUrl and callbackSecret are required");
        }
        let wanted = Subscriber { user, target };
        let kept = self.callback.keep(&wanted);
        self.callback.tell(wanted);
        match kept {
            Ok(()) => reply::json(&json!({ "ok": true })),
            Err(error) => {
                let why = format!("It is told of bans, but only until the next start: {error}");
                reply::failure(StatusCode::INTERNAL_SERVER_ERROR, &why)
            }
        }
    }
}

/// `/readyz`, for which nobody has to log in.
pub async fn ready(sources: &ApiSources) -> Reply {
    let answers = sources.ask.question(&["ping"]).await;
    let ready = answers.is_ok();
    let body = json!({ "ready": ready, "state": { "healthy": ready } });
    match ready {
        true => reply::json(&body),
        false => reply::bytes(
            StatusCode::SERVICE_UNAVAILABLE,
            "application/json",
            body.to_string(),
        ),
    }
}

fn failed(error: &AskError) -> Reply {
    let status = match error {
        AskError::Silent { .. } => StatusCode::BAD_GATEWAY,
        AskError::Refused(_) => StatusCode::NOT_FOUND,
    };
    reply::failure(status, &error.to_string())
}
