//! A request → who answers it.
//!
//! Paths stand below `base` of `[web]`. `api/v1/…` answers in JSON, `static/…` are files of the page, `metrics`
//! and `healthz` are for Prometheus and for who watches this process; all else is a page.

use std::collections::HashMap;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::ACCEPT;
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;

use super::access::{Access, Door};
use super::api::gather::Sources;
use super::api::shapes::{Change, Order};
use super::ask::AskError;
use super::events::Hub;
use super::metrics::Format;
use super::page::views::{self, Frame};
use super::reply::{self, Reply};
use super::serve::Service;
use crate::clock;

/// Bytes of a body: a pasted log.
const BODY: usize = 4 << 20;

/// Pages, API and who may see them.
#[derive(Debug)]
pub struct Site {
    /// What stands before all paths.
    pub base: String,
    /// Who asks.
    pub door: Door,
    /// Whether somebody can log in.
    pub has_users: bool,
    /// Where answers come from.
    pub sources: Sources,
    /// What happens.
    pub hub: Arc<Hub>,
}

/// A request whose sender is known.
struct Asked<'a> {
    site: &'a Site,
    access: &'a Access,
    /// Fields of the address.
    query: Fields,
    method: &'a Method,
}

/// Fields of a form or of an address; of a name that stands there twice the last.
type Fields = HashMap<String, String>;

/// Answers what everybody may ask who can connect: metrics and health. `None`: it is something else.
pub async fn open(service: &Service, request: &Parts, path: &str) -> Option<Reply> {
    let reply = match path {
        "/metrics" => {
            let accept = request.headers.get_all(ACCEPT).iter();
            let accept: Vec<_> = accept.filter_map(|value| value.to_str().ok()).collect();
            let format = Format::accepted(&accept.join(","));
            let page = service.metrics(format).await;
            reply::bytes(StatusCode::OK, format.content_type(), page)
        }
        "/healthz" => reply::text(StatusCode::OK, "ok\n"),
        _ => return None,
    };
    match reads(&request.method) {
        true => Some(reply),
        false => Some(reply::method("GET, HEAD")),
    }
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Answers a request to the page or the API.
pub async fn answer(service: &Service, site: &Site, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let nothing = || reply::text(StatusCode::NOT_FOUND, "There is nothing here.\n");
    let Some(path) = head.uri.path().strip_prefix(&site.base) else {
        return nothing();
    };
    let path = if path.is_empty() { "/" } else { path };
    let Some(segments) = segments(path) else {
        return nothing();
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let ["static", name] = segments.as_slice() {
        return match views::asset(name) {
            Some(_) if !reads(&head.method) => reply::method("GET, HEAD"),
            Some((kind, bytes)) => reply::asset(kind, bytes),
            None => nothing(),
        };
    }
    let Some(access) = site.door.access(&head) else {
        return reply::see(&format!("{}/login", site.base));
    };
    if let Some(reply) = open(service, &head, path).await {
        return reply;
    }
    let asked = Asked {
        site,
        access: &access,
        query: fields(head.uri.query().unwrap_or_default().as_bytes()),
        method: &head.method,
    };
    let body = match Limited::new(body, BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return reply::text(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("More than {} MiB are not read.\n", BODY >> 20),
            );
        }
    };
    match segments.as_slice() {
        ["api", "v1", rest @ ..] => asked.api(rest).await,
        segments => asked.page(segments, &body).await,
    }
}

impl Asked<'_> {
    fn frame(&self) -> Frame<'_> {
        Frame {
            base: &self.site.base,
            access: Some(self.access),
            has_users: self.site.has_users,
            done: self.query.get("done").map(String::as_str),
        }
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
    async fn page(&self, path: &[&str], body: &Bytes) -> Reply {
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
                let story = sources.story(id, self.field("whois").is_some()).await;
                let names = self.jail_names().await;
                story.map(|story| views::address(&frame, &names, &story))
            }
            (&Method::GET | &Method::HEAD, ["jail", name]) => {
                let jail = sources.jail(name).await;
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
                Some(order) => Ok(views::confirm(&frame, &order)),
                None => return self.failed(StatusCode::BAD_REQUEST, "That is no change."),
            },
            (&Method::POST, ["explain" | "replay"]) => {
                let form = fields(body);
                if form.get("form_token") != Some(&self.access.form_token) {
                    return self.failed(StatusCode::FORBIDDEN, "Load the page again.");
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

    /// `/api/v1/…`
    async fn api(&self, path: &[&str]) -> Reply {
        let sources = &self.site.sources;
        if !reads(self.method) {
            return reply::method("GET, HEAD");
        }
        let failed = |error: AskError| reply::failure(status_of(&error), &error.to_string());
        match path {
            ["status"] => reply::json(&sources.status().await),
            ["pulse"] => reply::json(&self.site.hub.pulse()),
            ["jails", name] => match sources.jail(name).await {
                Ok(jail) => reply::json(&jail),
                Err(error) => failed(error),
            },
            ["banned"] => {
                let query = self.field("q").unwrap_or_default();
                let page = sources.banned(self.field("jail"), query, self.number());
                match page.await {
                    Ok(page) => reply::json(&page),
                    Err(error) => failed(error),
                }
            }
            ["addresses", id] => match sources.story(id, self.field("whois").is_some()).await {
                Ok(story) => reply::json(&story),
                Err(error) => failed(error),
            },
            ["events"] => match self.site.hub.stream() {
                Some(stream) => reply::events(stream),
                None => reply::failure(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Too many listen to events.",
                ),
            },
            _ => reply::failure(StatusCode::NOT_FOUND, "There is no such path."),
        }
    }
}

fn status_of(error: &AskError) -> StatusCode {
    match error {
        AskError::Silent { .. } => StatusCode::BAD_GATEWAY,
        AskError::Refused(_) => StatusCode::NOT_FOUND,
    }
}

/// What is to be changed, by `change`, `jail` and `id`.
fn order(fields: &Fields) -> Option<Order> {
    let field = |name: &str| fields.get(name).filter(|value| !value.is_empty()).cloned();
    let change = match field("change")?.as_str() {
        "ban" => Change::Ban,
        "unban" => Change::Unban,
        "ignore" => Change::Ignore,
        _ => return None,
    };
    let jail = field("jail");
    if jail.is_none() && change != Change::Unban {
        return None;
    }
    Some(Order {
        change,
        jail,
        id: field("id")?,
    })
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
