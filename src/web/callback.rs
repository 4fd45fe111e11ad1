//! Whom bans and unbans are told by requests of ours, as they happen: the interface that speaks to [`super::agent`].

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinHandle;

use super::access::AccessControl;
use super::api::gather::texts;
use super::events::EventHub;
use crate::http::tls::Tls;
use crate::http::{HttpClient, HttpLimits};

/// What one callback may take.
const LIMITS: HttpLimits = HttpLimits {
    time: Duration::from_secs(15),
    size: 64 << 10,
};
/// Where it is kept to whom bans are told, below the directory for what outlives this process.
const KEPT: &str = "callback.json";

/// Whom bans are told, and the task that tells them.
#[derive(Debug)]
pub struct Callback {
    door: Arc<AccessControl>,
    hub: Arc<EventHub>,
    /// Where it is kept for the next start, if anywhere.
    file: Option<PathBuf>,
    teller: Mutex<Option<Teller>>,
}

#[derive(Debug)]
struct Teller(JoinHandle<()>);

impl Drop for Teller {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Callback {
    /// Nobody is told, unless a directory says what was wanted before the last end. It needs a runtime.
    pub fn begin(door: &Arc<AccessControl>, hub: &Arc<EventHub>, state: Option<&Path>) -> Callback {
        let file = state.map(|directory| directory.join(KEPT));
        let kept = file.as_deref().and_then(|file| fs::read(file).ok());
        let callback = Callback {
            door: Arc::clone(door),
            hub: Arc::clone(hub),
            file,
            teller: Mutex::default(),
        };
        // what is damaged is as none: the interface says it again
        if let Some(kept) = kept.and_then(|kept| serde_json::from_slice(&kept).ok()) {
            callback.tell(kept);
        }
        callback
    }

    /// From now on this one is told, and nobody else.
    pub fn tell(&self, wanted: Subscriber) {
        // without certificates nothing can be told, by HTTP neither
        let Ok(client) = HttpClient::new(Tls::default()) else {
            return;
        };
        let (door, hub) = (Arc::clone(&self.door), Arc::clone(&self.hub));
        let task = tokio::spawn(async move { tell(&client, &wanted, &door, &hub).await });
        let mut teller = self.teller.lock().unwrap_or_else(PoisonError::into_inner);
        // the one before it ends
        *teller = Some(Teller(task));
    }

    /// Keeps it for the next start.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, wanted: &Subscriber) -> std::io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let new = file.with_extension("new");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let text = serde_json::to_vec(wanted)?;
        options.open(&new)?.write_all(&text)?;
        fs::rename(&new, file)
    }
}

/// Who wants to be told, in whose name.
#[derive(Debug, Deserialize, Serialize)]
pub struct Subscriber {
    /// The user; told as long as they may change something.
    pub user: String,
    /// Where to.
    pub target: CallbackTarget,
}

/// As the interface sends it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallbackTarget {
    /// What the interface calls this host.
    #[serde(default)]
    pub server_id: String,
    /// Where it is told.
    #[serde(default)]
    pub callback_url: String,
    /// What shows that it is us.
    #[serde(default)]
    pub callback_secret: String,
    /// The name of this host, as it wants it told.
    #[serde(default)]
    pub callback_hostname: String,
}

/// Tells of bans and unbans as long as there are any, and who wanted it may; what cannot be told is left out.
async fn tell(client: &HttpClient, wanted: &Subscriber, door: &AccessControl, hub: &EventHub) {
    let Some(mut stream) = hub.stream() else {
        return;
    };
    let target = &wanted.target;
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
        // they may have been taken out meanwhile
        if !door.may_write(&wanted.user) {
            return;
        }
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
