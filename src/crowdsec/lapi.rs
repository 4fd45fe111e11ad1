//! The client of a LAPI: as a machine, which sends decisions, and as a bouncer, which receives them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::DateTime;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value as Json, json};

use super::decisions::DecisionStream;
use super::settings::{CrowdsecSettings, SecretSource};
use crate::http::tls::Tls;
use crate::http::{HttpClient, HttpError, HttpLimits, Response};
use crate::ticket::Timestamp;

/// What an answer may take that is not long.
const SHORT: HttpLimits = HttpLimits {
    time: Duration::from_secs(15),
    size: 4 << 20,
};
/// What an answer with alerts to send or all decisions may take.
const LONG: HttpLimits = HttpLimits {
    time: Duration::from_secs(120),
    size: 64 << 20,
};
/// A token is asked for anew so long before it ends.
const MARGIN: Duration = Duration::from_secs(60);
/// A token holds at least so long, whatever the LAPI's clock says.
const TOKEN: Duration = Duration::from_secs(600);
/// Seconds by which clocks may differ, and which are not worth a correction.
const SKEW: i64 = 2;

/// Why the LAPI has not done what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LapiError {
    /// There is no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It refuses.
    #[error("{what} failed with status {status}: {why}")]
    Refused {
        /// The request.
        what: &'static str,
        /// Its status.
        status: u16,
        /// What it says, or what to look at.
        why: String,
    },
    /// Its answer is not what it should be.
    #[error("{what} failed, unexpected response: {error}")]
    Answer {
        /// The request.
        what: &'static str,
        /// What is wrong.
        error: serde_json::Error,
    },
}

impl LapiError {
    /// Whether the same request will never be taken.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            LapiError::Refused {
                status: 400 | 413 | 422,
                ..
            }
        )
    }
}

type Result<T> = std::result::Result<T, LapiError>;

/// The LAPI and how to speak to it.
#[derive(Debug)]
pub struct Lapi {
    client: HttpClient,
    /// Before `/v1/…`.
    base: String,
    machine: Option<(String, String)>,
    bouncer: Option<String>,
    session: Mutex<Option<LapiSession>>,
    /// The LAPI's clock less ours, in seconds.
    ahead: AtomicI64,
}

#[derive(Clone, Debug)]
struct LapiSession {
    token: String,
    /// The name of this host as a machine.
    machine: String,
    until: Instant,
}

impl Lapi {
    /// Reads what it needs; speaks to nobody yet.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(settings: &CrowdsecSettings) -> std::result::Result<Lapi, String> {
        let machine = match &settings.machine {
            Some((name, password)) => Some((name.clone(), read(password)?)),
            None => None,
        };
        let bouncer = settings.bouncer.as_ref().map(read).transpose()?;
        let (client, base) = match settings.url.starts_with('/') {
            // the name stands in the header only
            true => {
                let client = HttpClient::over_socket(Path::new(&settings.url));
                (client, "http://crowdsec".to_owned())
            }
            false => {
                let tls = Tls {
                    ca: settings.ca.clone(),
                    certificate: settings.certificate.clone(),
                };
                let client = HttpClient::new(tls).map_err(|error| error.to_string())?;
                (client, settings.url.clone())
            }
        };
        Ok(Lapi {
            client,
            base,
            machine,
            bouncer,
            session: Mutex::default(),
            ahead: AtomicI64::new(0),
        })
    }

    /// The present by the LAPI's clock, from that of ours.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        now + self.ahead.load(Ordering::Relaxed) as f64
    }

    /// Has decisions made.
    ///
    /// # Errors
    /// They are not.
    pub async fn push(&self, alerts: &Json) -> Result<()> {
        let what = "POST /v1/alerts";
        let answer = self
            .as_machine(what, "/v1/alerts", Some(alerts), LONG)
            .await?;
        accepted(what, &answer)
    }

    /// Which of these the administrators of CrowdSec allow; `None` where the LAPI has no such lists (before
    /// 1.6.6).
    ///
    /// # Errors
    /// It does not say.
    pub async fn allowed(&self, targets: &[String]) -> Result<Option<HashSet<String>>> {
        let what = "POST /v1/allowlists/check";
        let body = json!({ "targets": targets });
        let answer = self
            .as_machine(what, "/v1/allowlists/check", Some(&body), SHORT)
            .await?;
        if matches!(answer.status, 404 | 405) {
            return Ok(None);
        }
        accepted(what, &answer)?;
        let answer = parsed(what, &answer)?;
        let results = answer["results"].as_array().into_iter().flatten();
        let allowed = results.filter(|result| {
            let lists = result["allowlists"].as_array();
            lists.is_some_and(|lists| !lists.is_empty())
        });
        let allowed = allowed.filter_map(|result| result["target"].as_str());
        Ok(Some(allowed.map(str::to_owned).collect()))
    }

    /// Deletes the decisions that this host has had made about one target.
    ///
    /// # Errors
    /// They may still be there.
    pub async fn delete_own(&self, scenario: &str, target: &str) -> Result<()> {
        let query = format!("limit=100&value={}", quoted(target));
        let own = self.own_decisions(scenario, &query).await?;
        for decision in own.iter().filter(|decision| decision["value"] == target) {
            let Some(id) = decision["id"].as_i64() else {
                continue;
            };
            let what = "DELETE /v1/decisions";
            let path = format!("/v1/decisions/{id}");
            let answer = self.as_machine(what, &path, None, SHORT).await?;
            // somebody else may have deleted it
            if answer.status != 404 {
                accepted(what, &answer)?;
            }
        }
        Ok(())
    }

    /// What this host has had decided for a scenario within this time: on whom, and how many seconds it still
    /// lasts.
    ///
    /// # Errors
    /// It does not say.
    pub async fn told_since(&self, scenario: &str, within: Duration) -> Result<Vec<(String, f64)>> {
        let query = format!("limit=1000&since={}s", within.as_secs().max(1));
        let own = self.own_decisions(scenario, &query).await?;
        let told = own.iter().filter_map(|decision| {
            let lasts = super::decisions::seconds(decision["duration"].as_str()?)?;
            Some((decision["value"].as_str()?.to_owned(), lasts))
        });
        Ok(told.collect())
    }

    /// Decisions in force of this host.
    async fn own_decisions(&self, scenario: &str, query: &str) -> Result<Vec<Json>> {
        let what = "GET /v1/alerts";
        let scenario = quoted(scenario);
        let path = format!("/v1/alerts?has_active_decision=true&scenario={scenario}&{query}");
        let answer = self.as_machine(what, &path, None, LONG).await?;
        accepted(what, &answer)?;
        let alerts = parsed(what, &answer)?;
        let own = self.session().map(|session| session.machine);
        let alerts = alerts.as_array().into_iter().flatten();
        let ours = alerts.filter(|alert| alert["machine_id"].as_str() == own.as_deref());
        let decisions = ours.filter_map(|alert| alert["decisions"].as_array());
        Ok(decisions.flatten().cloned().collect())
    }

    /// Says that this machine is there.
    ///
    /// # Errors
    /// The LAPI is not.
    pub async fn beat(&self) -> Result<()> {
        let what = "GET /v1/heartbeat";
        let answer = self.as_machine(what, "/v1/heartbeat", None, SHORT).await?;
        accepted(what, &answer)
    }

    /// The decisions of these origins (none: of all): all there are, or what has changed since the last look.
    ///
    /// # Errors
    /// It does not say; what has changed may be lost then.
    pub async fn decisions(&self, all: bool, origins: &[String]) -> Result<DecisionStream> {
        let what = "GET /v1/decisions/stream";
        // each decision by itself: what the LAPI leaves out as a duplicate may last longer than the other
        let mut path = format!("/v1/decisions/stream?startup={all}&dedup=false");
        if !origins.is_empty() {
            path = format!("{path}&origins={}", origins.join(","));
        }
        let answer = self.as_bouncer(what, &path, None, LONG).await?;
        accepted(what, &answer)?;
        // millions of bytes take their time
        let read = tokio::task::spawn_blocking(move || DecisionStream::read(&answer.body));
        match read.await {
            Ok(stream) => stream.map_err(|error| LapiError::Answer { what, error }),
            Err(_) => Err(LapiError::Refused {
                what,
                status: 200,
                why: "this host cannot read it".to_owned(),
            }),
        }
    }

    /// Tells what this bouncer does; whether the LAPI wants to know (since 1.6.3).
    ///
    /// # Errors
    /// It does not answer, or does not take it.
    pub async fn tell_usage(&self, usage: &Json) -> Result<bool> {
        let what = "POST /v1/usage-metrics";
        let answer = self
            .as_bouncer(what, "/v1/usage-metrics", Some(usage), SHORT)
            .await?;
        if answer.status == 404 {
            return Ok(false);
        }
        accepted(what, &answer).map(|()| true)
    }

    async fn as_bouncer(
        &self,
        what: &'static str,
        path: &str,
        body: Option<&Json>,
        limits: HttpLimits,
    ) -> Result<Response> {
        let key = self.bouncer.as_deref().map(|key| ("X-Api-Key", key));
        self.ask(what, path, key, body, limits).await
    }

    /// Asks with the token of this machine, which is asked for first where there is none.
    async fn as_machine(
        &self,
        what: &'static str,
        path: &str,
        body: Option<&Json>,
        limits: HttpLimits,
    ) -> Result<Response> {
        let known = self.session();
        let is_new = known.is_none();
        let session = match known {
            Some(session) => session,
            None => self.log_in().await?,
        };
        let answer = self.with_token(&session, what, path, body, limits).await?;
        if answer.status != 401 || is_new {
            return Ok(answer);
        }
        // the LAPI may have been made anew
        let session = self.log_in().await?;
        self.with_token(&session, what, path, body, limits).await
    }

    async fn with_token(
        &self,
        session: &LapiSession,
        what: &'static str,
        path: &str,
        body: Option<&Json>,
        limits: HttpLimits,
    ) -> Result<Response> {
        let token = format!("Bearer {}", session.token);
        let header = Some(("Authorization", token.as_str()));
        self.ask(what, path, header, body, limits).await
    }

    fn session(&self) -> Option<LapiSession> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session
            .clone()
            .filter(|session| session.until > Instant::now())
    }

    async fn log_in(&self) -> Result<LapiSession> {
        let what = "POST /v1/watchers/login";
        let body = match &self.machine {
            Some((name, password)) => {
                json!({ "machine_id": name, "password": password, "scenarios": [] })
            }
            // the certificate says who it is
            None => json!({ "scenarios": [] }),
        };
        let answer = self
            .ask(what, "/v1/watchers/login", None, Some(&body), SHORT)
            .await?;
        accepted(what, &answer)?;
        let answer = parsed(what, &answer)?;
        let Some(token) = answer["token"].as_str() else {
            return Err(LapiError::Refused {
                what,
                status: 200,
                why: "no token".to_owned(),
            });
        };
        let expires = answer["expire"].as_str().unwrap_or_default();
        let expires = DateTime::parse_from_rfc3339(expires).ok();
        let holds = expires.and_then(|at| {
            let ahead = chrono::TimeDelta::try_seconds(self.ahead.load(Ordering::Relaxed))?;
            (at.to_utc() - chrono::Utc::now() - ahead).to_std().ok()
        });
        let holds = holds
            .unwrap_or(TOKEN)
            .clamp(TOKEN, Duration::from_secs(86_400));
        let named = self.machine.as_ref().map(|(name, _)| name.clone());
        let session = LapiSession {
            token: token.to_owned(),
            machine: machine_of(token).or(named).unwrap_or_default(),
            until: Instant::now() + holds.saturating_sub(MARGIN),
        };
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        Ok(session)
    }

    /// `what` begins with the method.
    async fn ask(
        &self,
        what: &'static str,
        path: &str,
        header: Option<(&str, &str)>,
        body: Option<&Json>,
        limits: HttpLimits,
    ) -> Result<Response> {
        let method = what.split(' ').next().unwrap_or_default();
        let mut headers = vec![("Accept", "application/json")];
        headers.extend(header);
        let body = match body {
            Some(body) => {
                headers.push(("Content-Type", "application/json"));
                body.to_string().into_bytes()
            }
            None => Vec::new(),
        };
        let url = format!("{}{path}", self.base);
        let answer = self
            .client
            .request(method, &url, &headers, body, limits)
            .await?;
        self.learn_clock(&answer);
        Ok(answer)
    }

    /// Compares the clocks: decisions end by the LAPI's.
    fn learn_clock(&self, answer: &Response) {
        let date = answer
            .headers
            .get("date")
            .and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        if let Some(date) = date {
            let ahead = date.timestamp() - chrono::Utc::now().timestamp();
            let ahead = if ahead.abs() > SKEW { ahead } else { 0 };
            self.ahead.store(ahead, Ordering::Relaxed);
        }
    }
}

/// An answer that says that it was done.
fn accepted(what: &'static str, answer: &Response) -> Result<()> {
    if answer.is_success() {
        return Ok(());
    }
    let why = match answer.status {
        401 | 403 => "this host may not: see machine, password and bouncerkey of [crowdsec], and \
                      cscli machines list, cscli bouncers list"
            .to_owned(),
        300..=399 => "a redirect, which is not followed: name the place itself in url".to_owned(),
        _ => super::decisions::clean(&String::from_utf8_lossy(&answer.body)),
    };
    Err(LapiError::Refused {
        what,
        status: answer.status,
        why,
    })
}

fn quoted(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn parsed(what: &'static str, answer: &Response) -> Result<Json> {
    serde_json::from_slice(&answer.body).map_err(|error| LapiError::Answer { what, error })
}

/// The name of a machine in its token.
fn machine_of(token: &str) -> Option<String> {
    use base64::Engine as _;
    let claims = token.split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(claims)
        .ok()?;
    let claims: Json = serde_json::from_slice(&claims).ok()?;
    Some(claims["id"].as_str()?.to_owned())
}

fn read(secret: &SecretSource) -> std::result::Result<String, String> {
    match secret {
        SecretSource::Text(text) => Ok(text.clone()),
        SecretSource::File(path) => match fs::read_to_string(path) {
            Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => Err(format!(
                "[crowdsec] cannot read {}: {error}",
                path.display()
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_their_machine() {
        // {"exp":1795977612,"id":"host1","orig_iat":1795974012}
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3OTU5Nzc2MTIsImlkIjoiaG9zdDEiLCJvcmlnX2lhdCI6MTc5NTk3NDAxMn0.x";
        assert_eq!(machine_of(token).as_deref(), Some("host1"));
        assert_eq!(machine_of("opaque"), None);
    }
}
