//! A request → who answers it.
//!
//! Paths stand below `base` of `[web]`. `api/v1/…` answers in JSON, `static/…` are files of the page, `metrics`
//! and `healthz` are for Prometheus and for who watches this process; all else is a page.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{
    CONNECTION, HeaderMap, HeaderValue, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use super::access::{Access, AccessControl, AccessRefusal, WebPeer};
use super::agent::{self, Agent};
use super::api::gather::{ApiSources, ChangeError};
use super::api::shapes::{ApiChange, ApiOrder};
use super::ask::AskError;
use super::callback::Callback;
use super::events::EventHub;
use super::exporter::Exporter;
use super::page::views::{self, PageFrame};
use super::reply::{self, Reply};
use crate::address::Address;
use crate::clock;

/// Bytes of a body: a pasted log.
const BODY: usize = 4 << 20;
/// One that is longer needs room.
const SMALL: u64 = 64 << 10;
/// And of one by somebody who has not logged in yet.
const LOGIN_BODY: usize = 4 << 10;
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Pages, API and who may see them.
#[derive(Debug)]
pub struct Site {
    /// What stands before all paths.
    pub base: String,
    /// Who asks.
    pub door: Arc<AccessControl>,
    /// Where answers come from.
    pub sources: ApiSources,
    /// What happens.
    pub hub: Arc<EventHub>,
    /// Another interface that is told of it.
    pub callback: Callback,
}

/// A request whose sender is known.
struct Asked<'a> {
    site: &'a Site,
    access: &'a Access,
    headers: &'a HeaderMap,
    /// Fields of the address.
    query: Fields,
    method: &'a Method,
    body: Bytes,
}

/// Fields of a form or of an address; of a name that stands there twice the last.
type Fields = HashMap<String, String>;

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Answers a request to the page or the API.
pub async fn answer(
    exporter: &Exporter,
    site: &Site,
    peer: WebPeer,
    request: Request<Incoming>,
) -> Reply {
    let (head, body) = request.into_parts();
    let nothing = || reply::text(StatusCode::NOT_FOUND, "There is nothing here.\n");
    let path = head.uri.path().strip_prefix(&site.base);
    if path == Some("") {
        // the cookie of a session is for what stands below
        return reply::see(&format!("{}/", site.base));
    }
    let Some(path) = path.filter(|path| path.starts_with('/')) else {
        return nothing();
    };
    let Some(segments) = segments(path) else {
        return nothing();
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["static", name] => {
            return match views::asset(name) {
                Some(_) if !reads(&head.method) => reply::method("GET, HEAD"),
                Some((kind, bytes)) => reply::asset(kind, bytes),
                None => nothing(),
            };
        }
        ["readyz"] if reads(&head.method) => return agent::ready(&site.sources).await,
        ["healthz"] => return exporter.open(&head, path).await.unwrap_or_else(nothing),
        ["login"] => return login(site, peer, &head, body).await,
        _ => {}
    }
    let for_programs = matches!(segments.first(), Some(&"api" | &"metrics" | &"v1"));
    let access = match site.door.access(&head.headers, peer) {
        Ok(access) => access,
        Err(refusal) => return refused(site, refusal, for_programs),
    };
    if let Some(reply) = exporter.open(&head, path).await {
        return reply;
    }
    let is_large = body.size_hint().upper().is_none_or(|size| size > SMALL);
    let _room = match is_large {
        true => site.sources.programs.room().await,
        false => None,
    };
    let body = match read(body, BODY).await {
        Ok(body) => body,
        Err(reply) => return reply,
    };
    let asked = Asked {
        site,
        access: &access,
        headers: &head.headers,
        query: fields(head.uri.query().unwrap_or_default().as_bytes()),
        method: &head.method,
        body,
    };
    match segments.as_slice() {
        ["api", "v1", rest @ ..] => asked.api(rest).await,
        ["v1", rest @ ..] => {
            // a browser may be logged in, and is not meant
            if !access.by_token {
                return refused(site, AccessRefusal::Unknown, true);
            }
            let agent = Agent {
                sources: &site.sources,
                hub: &site.hub,
                callback: &site.callback,
                access: &access,
            };
            agent.answer(&head.method, rest, &asked.body).await
        }
        ["logout"] if head.method == Method::POST => {
            let form = fields(&asked.body);
            match asked.is_own_form(form.get("form_token")) {
                true => {
                    let cookie = site.door.logout(&head.headers, peer);
                    with_cookie(reply::see(&format!("{}/login", site.base)), &cookie)
                }
                false => asked.foreign_form(),
            }
        }
        segments => asked.page(segments).await,
    }
}

/// Why somebody may not come in.
fn refused(site: &Site, refusal: AccessRefusal, for_programs: bool) -> Reply {
    let (status, why) = match refusal {
        AccessRefusal::Unknown if !for_programs => {
            return reply::see(&format!("{}/login", site.base));
        }
        AccessRefusal::Unknown => (StatusCode::UNAUTHORIZED, "Log in, or show a token."),
        AccessRefusal::Wrong => (StatusCode::UNAUTHORIZED, "The token is not known."),
        AccessRefusal::Later(_) => (StatusCode::TOO_MANY_REQUESTS, TOO_OFTEN),
        AccessRefusal::Host => (
            StatusCode::MISDIRECTED_REQUEST,
            "Ask by the address, or name this host in hosts of [web] in fail2ban.conf.",
        ),
    };
    let mut reply = reply::failure(status, why);
    let headers = reply.headers_mut();
    match refusal {
        AccessRefusal::Unknown | AccessRefusal::Wrong => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        AccessRefusal::Later(left) => {
            headers.insert(RETRY_AFTER, HeaderValue::from(left.as_secs() + 1));
        }
        AccessRefusal::Host => {}
    }
    reply
}

const TOO_OFTEN: &str = "Too many logins have failed; try again later.";

/// `/login`
async fn login(site: &Site, peer: WebPeer, head: &Parts, body: Incoming) -> Reply {
    let door = &site.door;
    let frame = PageFrame {
        base: &site.base,
        access: None,
        done: None,
    };
    let token = door.login_token();
    let show = |status, why| reply::html(status, views::login(&frame, &token, why));
    if !door.has_users() {
        return reply::see(&format!("{}/", site.base));
    }
    match head.method {
        Method::GET | Method::HEAD => return show(StatusCode::OK, None),
        Method::POST => {}
        _ => return reply::method("GET, HEAD, POST"),
    }
    let form = match read(body, LOGIN_BODY).await {
        Ok(body) => fields(&body),
        Err(reply) => return reply,
    };
    let field = |name: &str| form.get(name).map(String::as_str);
    if !door.is_own_form(&head.headers, &token, field("form_token")) {
        return show(StatusCode::FORBIDDEN, Some("Please try again."));
    }
    let (name, password) = (field("name"), field("password"));
    let (name, password) = (name.unwrap_or_default(), password.unwrap_or_default());
    match door.login(&head.headers, peer, name, password).await {
        Ok(cookie) => with_cookie(reply::see(&format!("{}/", site.base)), &cookie),
        Err(AccessRefusal::Later(left)) => {
            let mut reply = show(StatusCode::TOO_MANY_REQUESTS, Some(TOO_OFTEN));
            let headers = reply.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(left.as_secs() + 1));
            reply
        }
        Err(_) => show(StatusCode::FORBIDDEN, Some("Name or password is wrong.")),
    }
}

fn with_cookie(mut reply: Reply, cookie: &str) -> Reply {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        reply.headers_mut().insert(SET_COOKIE, cookie);
    }
    reply
}

/// Reads a body within limits of size and time.
async fn read(body: Incoming, most: usize) -> Result<Bytes, Reply> {
    let (status, why) = match timeout(BODY_TIME, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => return Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            (StatusCode::PAYLOAD_TOO_LARGE, "That is too large.\n")
        }
        Ok(Err(_)) => (StatusCode::BAD_REQUEST, "The body ends too early.\n"),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "The body takes too long.\n"),
    };
    let mut reply = reply::text(status, why);
    // what is left of it is not read
    let close = HeaderValue::from_static("close");
    reply.headers_mut().insert(CONNECTION, close);
    Err(reply)
}

impl Asked<'_> {
    fn frame(&self) -> PageFrame<'_> {
        PageFrame {
            base: &self.site.base,
            access: Some(self.access),
            // only texts of ours: anybody may have made up the link
            done: match self.query.get("done").map(String::as_str) {
                Some("ban") => Some("The address is banned."),
                Some("unban") => Some("The ban is lifted."),
                Some("ignore") => Some("The jail ignores the address until its next reload."),
                _ => None,
            },
        }
    }

    /// Whether our own page sent this; programs that show a token need no more.
    fn is_own_form(&self, token: Option<&String>) -> bool {
        let (door, wanted) = (&self.site.door, &self.access.form_token);
        self.access.by_token || door.is_own_form(self.headers, wanted, token.map(String::as_str))
    }

    fn foreign_form(&self) -> Reply {
        let why =
            "The form is not from this page, or too old. Go back, load the page again, and retry.";
        self.failed(StatusCode::FORBIDDEN, why)
    }

    fn field(&self, name: &str) -> Option<&str> {
        let field = self.query.get(name).map(String::as_str);
        field.filter(|value| !value.is_empty())
    }

    fn number(&self) -> usize {
        let page = self.field("page").and_then(|page| page.parse().ok());
        page.unwrap_or(1)
    }

    async fn jail_names(&self) -> Vec<String> {
        let status = self.site.sources.status().await;
        status.jails.into_iter().map(|jail| jail.name).collect()
    }

    /// A page.
    async fn page(&self, path: &[&str]) -> Reply {
        let (frame, sources) = (self.frame(), &self.site.sources);
        let shown = match (self.method, path) {
            (&Method::GET | &Method::HEAD, []) => {
                let status = sources.status().await;
                Ok(views::overview(&frame, &status, &self.site.hub.pulse()))
            }
            (&Method::GET | &Method::HEAD, ["banned"]) => {
                let query = self.field("q").unwrap_or_default();
                let page = sources.banned(self.field("jail"), query, self.number());
                let names = self.jail_names().await;
                page.await.map(|page| views::banned(&frame, &names, &page))
            }
            (&Method::GET | &Method::HEAD, ["address", id]) => {
                let id = views::unmarked(id);
                let story = sources.story(id, self.field("whois").is_some()).await;
                let names = self.jail_names().await;
                story.map(|story| views::address(&frame, &names, &story))
            }
            (&Method::GET | &Method::HEAD, ["jail", name]) => {
                let jail = sources.jail(views::unmarked(name)).await;
                jail.map(|jail| views::jail(&frame, &jail))
            }
            (&Method::GET | &Method::HEAD, ["past"]) => {
                let past = sources.past.told(&sources.ask).await;
                Ok(views::past(&frame, &past, clock::now()))
            }
            (&Method::GET | &Method::HEAD, ["live"]) => {
                Ok(views::live(&frame, &self.site.hub.recent()))
            }
            (&Method::GET | &Method::HEAD, ["explain"]) => {
                Ok(views::explain(&frame, &self.jail_names().await, None))
            }
            (&Method::GET | &Method::HEAD, ["replay"]) => {
                Ok(views::replay(&frame, &self.jail_names().await, None))
            }
            (&Method::GET | &Method::HEAD, ["change"]) => match order(&self.query) {
                Ok(order) => Ok(views::confirm(&frame, &order)),
                Err(why) => return self.failed(StatusCode::BAD_REQUEST, why),
            },
            (&Method::POST, ["change"]) => {
                let form = fields(&self.body);
                if !self.is_own_form(form.get("form_token")) {
                    return self.foreign_form();
                }
                let order = match order(&form) {
                    Ok(order) => order,
                    Err(why) => return self.failed(StatusCode::BAD_REQUEST, why),
                };
                match sources.change(self.access, &order).await {
                    Ok(_) => {
                        let fields = [("done", order.change.word())];
                        return reply::see(&frame.query(&["address", &order.id], &fields));
                    }
                    Err(ChangeError::Forbidden(why)) => {
                        return self.failed(StatusCode::FORBIDDEN, why);
                    }
                    Err(ChangeError::Ask(error)) => Err(error),
                }
            }
            (&Method::POST, ["explain" | "replay"]) => {
                let form = fields(&self.body);
                if !self.is_own_form(form.get("form_token")) {
                    return self.foreign_form();
                }
                let names = self.jail_names().await;
                let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
                let jail = Some(field("jail")).filter(|jail| !jail.is_empty());
                if path == ["explain"] {
                    let answer = sources.explain(jail, field("line")).await;
                    Ok(views::explain(&frame, &names, Some(&answer)))
                } else {
                    let log = field("log").as_bytes().to_vec();
                    let answer = sources.replay(jail.unwrap_or_default(), log).await;
                    Ok(views::replay(&frame, &names, Some(&answer)))
                }
            }
            _ => return self.failed(StatusCode::NOT_FOUND, "There is no such page."),
        };
        match shown {
            Ok(page) => reply::html(StatusCode::OK, page),
            Err(error) => self.failed(status_of(&error), &error.to_string()),
        }
    }

    fn failed(&self, status: StatusCode, why: &str) -> Reply {
        let title = status.canonical_reason().unwrap_or("Error");
        reply::html(status, views::failure(&self.frame(), title, why))
    }

    /// `/api/v1/…`: `openapi.json` beside it says what there is.
    async fn api(&self, path: &[&str]) -> Reply {
        match (self.method, path) {
            (&Method::GET | &Method::HEAD, path) => self.look(path).await,
            (&Method::POST, ["explain" | "replay" | "ban" | "unban" | "ignore"]) => {
                self.post(path[0]).await
            }
            _ => reply::method("GET, HEAD"),
        }
    }

    async fn look(&self, path: &[&str]) -> Reply {
        let sources = &self.site.sources;
        match path {
            ["openapi.json"] => {
                let text: &'static str = include_str!("api/openapi.json");
                reply::bytes(StatusCode::OK, "application/json", text)
            }
            ["status"] => reply::json(&sources.status().await),
            ["pulse"] => reply::json(&self.site.hub.pulse()),
            ["jails"] => {
                let status = sources.status().await;
                match status.error {
                    None => reply::json(&status.jails),
                    Some(why) => reply::failure(StatusCode::BAD_GATEWAY, &why),
                }
            }
            ["jails", name] => told(sources.jail(name).await),
            ["banned"] => {
                let query = self.field("q").unwrap_or_default();
                told(
                    sources
                        .banned(self.field("jail"), query, self.number())
                        .await,
                )
            }
            ["addresses", id] => told(sources.story(id, self.field("whois").is_some()).await),
            ["events"] => match self.site.hub.stream() {
                Some(stream) => reply::events(stream),
                None => reply::failure(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Too many listen to events.",
                ),
            },
            ["explain" | "replay" | "ban" | "unban" | "ignore"] => reply::method("POST"),
            _ => reply::failure(StatusCode::NOT_FOUND, "There is no such path."),
        }
    }

    async fn post(&self, what: &str) -> Reply {
        let sources = &self.site.sources;
        let token = self.headers.get("x-csrf-token");
        let token = token.and_then(|token| Some(token.to_str().ok()?.to_owned()));
        if !self.is_own_form(token.as_ref()) {
            let why = "Show a bearer token, or as X-CSRF-Token the form_token of the page.";
            return reply::failure(StatusCode::FORBIDDEN, why);
        }
        let wrong = |why: &str| reply::failure(StatusCode::BAD_REQUEST, why);
        if what == "replay" {
            return match self.field("jail") {
                Some(jail) => reply::json(&sources.replay(jail, self.body.to_vec()).await),
                None => wrong("Which jail? Add ?jail=NAME."),
            };
        }
        let Ok(serde_json::Value::Object(object)) = serde_json::from_slice(&self.body) else {
            return wrong("The body is no JSON object.");
        };
        let texts = object.into_iter();
        let texts = texts.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
        let mut given: Fields = texts.collect();
        if what == "explain" {
            let jail = given.get("jail").map(String::as_str);
            let jail = jail.filter(|jail| !jail.is_empty());
            return match given.get("line") {
                Some(line) => reply::json(&sources.explain(jail, line).await),
                None => wrong("Which line? Say \"line\"."),
            };
        }
        given.insert("change".to_owned(), what.to_owned());
        let order = match order(&given) {
            Ok(order) => order,
            Err(why) => return wrong(why),
        };
        match sources.change(self.access, &order).await {
            Ok(answer) => reply::json(&serde_json::json!({ "order": order, "answer": answer })),
            Err(ChangeError::Forbidden(why)) => reply::failure(StatusCode::FORBIDDEN, why),
            Err(ChangeError::Ask(error)) => told::<()>(Err(error)),
        }
    }
}

fn told<T: serde::Serialize>(answer: Result<T, AskError>) -> Reply {
    match answer {
        Ok(answer) => reply::json(&answer),
        Err(error) => reply::failure(status_of(&error), &error.to_string()),
    }
}

fn status_of(error: &AskError) -> StatusCode {
    match error {
        AskError::Silent { .. } => StatusCode::BAD_GATEWAY,
        AskError::Refused(_) => StatusCode::NOT_FOUND,
    }
}

/// What is to be changed, by `change`, `jail` and `id`.
fn order(fields: &Fields) -> Result<ApiOrder, &'static str> {
    let field = |name: &str| fields.get(name).filter(|value| !value.is_empty()).cloned();
    let change = field("change").and_then(|word| ApiChange::parse(&word));
    let change = change.ok_or("A change is ban, unban or ignore.")?;
    let jail = field("jail");
    if jail.is_none() && change != ApiChange::Unban {
        return Err("Which jail?");
    }
    let id = field("id").ok_or("Which address?")?;
    let id = id.trim();
    // a jail may have banned what is no address; nothing else may look like an option
    let good = match change {
        ApiChange::Unban => !id.starts_with('-'),
        ApiChange::Ban | ApiChange::Ignore => Address::parse_ip(id).is_some(),
    };
    match good {
        true => Ok(ApiOrder {
            change,
            jail,
            id: id.to_owned(),
        }),
        false => Err("That is no address and no network."),
    }
}

/// The parts of a path, decoded. `None`: one is no text, or none that names anything here.
fn segments(path: &str) -> Option<Vec<String>> {
    let path = path.trim_matches('/');
    let parts = path.split('/').filter(|_| !path.is_empty());
    let decoded = parts.map(|part| {
        let text = percent_decode_str(part).decode_utf8().ok()?;
        let plain = !text.is_empty() && !text.contains(char::is_control);
        plain.then(|| text.into_owned())
    });
    decoded.collect()
}

/// The fields of a form, as browsers send it.
fn fields(text: &[u8]) -> Fields {
    let decode = |part: &[u8]| {
        let blanks: Vec<u8> = part
            .iter()
            .map(|byte| if *byte == b'+' { b' ' } else { *byte })
            .collect();
        percent_encoding::percent_decode(&blanks)
            .decode_utf8_lossy()
            .into_owned()
    };
    let pairs = text.split(|byte| *byte == b'&');
    pairs
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let middle = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            let value = pair.get(middle + 1..).unwrap_or_default();
            (decode(&pair[..middle]), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_part_by_part() {
        assert_eq!(segments("/").unwrap(), Vec::<String>::new());
        assert_eq!(
            segments("/address/2001:db8::%2F32").unwrap(),
            ["address", "2001:db8::/32"]
        );
        for path in ["/a//b", "/a/%ff", "/a/%0d%0a"] {
            assert_eq!(segments(path), None, "{path}");
        }
    }

    #[test]
    fn forms_are_decoded() {
        let form = fields(b"a=1+2&b=%26%3d&c&a=3&&=x");
        let value = |name: &str| form.get(name).map(String::as_str);
        assert_eq!((value("a"), value("b")), (Some("3"), Some("&=")));
        assert_eq!((value("c"), value("")), (Some(""), Some("x")));
    }
}
