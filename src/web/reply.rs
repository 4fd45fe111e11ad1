//! What a request is answered with.

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::events::EventStream;

/// An answer: whole, or events as they happen.
pub type Reply = Response<Either<Full<Bytes>, EventStream>>;

/// Text without form.
pub const PLAIN: &str = "text/plain; charset=utf-8";

/// What every answer carries: a browser loads, embeds, tells and keeps nothing that is not meant.
const GUARDS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // without any a browser hides from ourselves, too, where a form comes from
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    ),
    ("cache-control", "no-store"),
];

/// An answer with these bytes.
pub fn bytes(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    of(status, kind, Either::Left(Full::new(body.into())))
}

/// Events.
pub fn events(stream: EventStream) -> Reply {
    of(StatusCode::OK, "text/event-stream", Either::Right(stream))
}

fn of(status: StatusCode, kind: &'static str, body: Either<Full<Bytes>, EventStream>) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    for (name, value) in GUARDS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

/// A text.
pub fn text(status: StatusCode, text: impl Into<String>) -> Reply {
    bytes(status, PLAIN, text.into())
}

/// A page.
pub fn html(status: StatusCode, page: String) -> Reply {
    bytes(status, "text/html; charset=utf-8", page)
}

/// A value as JSON.
pub fn json(value: &impl Serialize) -> Reply {
    with_status(StatusCode::OK, value)
}

/// Why there is no answer, for programs: `{"error": "…"}`.
pub fn failure(status: StatusCode, why: &str) -> Reply {
    with_status(status, &json!({ "error": why }))
}

fn with_status(status: StatusCode, value: &impl Serialize) -> Reply {
    // maps have texts for keys here, and nothing else fails
    let text = serde_json::to_string(value).unwrap_or_default();
    bytes(status, "application/json", text)
}

/// Sends a browser to another page, which it asks for by GET.
pub fn see(place: &str) -> Reply {
    let mut reply = text(StatusCode::SEE_OTHER, "");
    if let Ok(place) = HeaderValue::from_str(place) {
        reply.headers_mut().insert(LOCATION, place);
    }
    reply
}

/// Another method is wanted.
pub fn method(allowed: &'static str) -> Reply {
    let mut reply = text(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("Only {allowed} will do here.\n"),
    );
    let headers = reply.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// A part of the page that does not change with this version.
pub fn asset(kind: &'static str, body: &'static [u8]) -> Reply {
    let mut reply = bytes(StatusCode::OK, kind, body);
    let kept = HeaderValue::from_static("private, max-age=3600");
    reply.headers_mut().insert(CACHE_CONTROL, kept);
    reply
}
