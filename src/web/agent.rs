//! The agent API of fail2ban-ui, so that it needs no agent here: `/v1/jails…`, `/v1/filters…`, `/readyz`, with
//! the token in `X-F2B-Token`. It tells of bans by requests of its own to where the interface said
//! (`/v1/callback/config`), as they happen.
//!
//! What changes configuration is refused: whoever holds the token would be root.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::task::JoinHandle;

use super::access::Access;
use super::api::gather::{ChangeError, Sources, texts};
use super::api::shapes::{Change, Order};
use super::ask::AskError;
use super::events::Hub;
use super::reply::{self, Reply};
use crate::address::Address;
use crate::config::shipped;
use crate::http::tls::Tls;
use crate::http::{Client, Limits};
use crate::jail::FULL;

/// What one callback may take.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(15),
    size: 64 << 10,
};
/// Steps of the pulse that are an hour.
const HOUR: usize = 60;

/// Where the interface wants to be told, and the task that tells it.
#[derive(Debug, Default)]
pub struct Callback(Mutex<Option<Teller>>);

#[derive(Debug)]
struct Teller(JoinHandle<()>);

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// As the interface sends it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default)]
    server_id: String,
    #[serde(default)]
    callback_url: String,
    #[serde(default)]
    callback_secret: String,
    #[serde(default)]
    callback_hostname: String,
}

/// What an answer needs.
pub struct Agent<'a> {
    /// Where answers come from.
    pub sources: &'a Sources,
    /// What happens.
    pub hub: &'a Arc<Hub>,
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
            (["filters"], _) if get => {
                let mut names: Vec<&str> = shipped::names("filter.d").collect();
                names.sort_unstable();
                reply::json(&json!({ "filters": names }))
            }
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
            Ok(told) => told.into_iter().next().unwrap_or_default(),
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
        let (Some(change), Some(_)) = (Change::parse(change), Address::parse_ip(&id)) else {
            return reply::failure(StatusCode::BAD_REQUEST, "invalid IP");
        };
        let order = Order {
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
        if !shipped::names("filter.d").any(|known| known == name) {
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
        if !self.access.may_write {
            let why = "Only operators may, and only with write = true below [web].";
            return reply::failure(StatusCode::FORBIDDEN, why);
        }
        let Ok(target) = serde_json::from_slice::<Target>(body) else {
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
        let Ok(client) = Client::new(Tls::default()) else {
            return wrong("no certificates");
        };
        let hub = Arc::clone(self.hub);
        let task = tokio::spawn(async move { tell(&client, &target, &hub).await });
        let mut own = self
            .callback
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // the one before it ends
        *own = Some(Teller(task));
        reply::json(&json!({ "ok": true }))
    }
}

/// Tells of bans and unbans as long as there are any; what cannot be told is left out.
async fn tell(client: &Client, target: &Target, hub: &Hub) {
    let Some(mut stream) = hub.stream() else {
        return;
    };
    let url = target.callback_url.trim().trim_end_matches('/');
    let headers = [
        ("content-type", "application/json"),
        ("x-callback-secret", target.callback_secret.trim()),
    ];
    while let Some(event) = stream.next_event().await {
        let what = match event["event"].as_str() {
            Some("Ban") => "ban",
            Some("Unban") => "unban",
            _ => continue,
        };
        let body = json!({
            "serverId": target.server_id.trim(),
            "ip": event["id"],
            "jail": event["jail"],
            "hostname": target.callback_hostname,
            "failures": event["failures"].to_string(),
            "logs": texts(&event["matches"]).join("\n"),
        });
        let url = format!("{url}/api/{what}");
        let body = body.to_string().into_bytes();
        // it may be down; the next is told again
        let _ = client.request("POST", &url, &headers, body, LIMITS).await;
    }
}

/// `/readyz`, for which nobody has to log in.
pub async fn ready(sources: &Sources) -> Reply {
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
