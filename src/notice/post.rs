//! One attempt to send a message, and its result.
#![forbid(unsafe_code)]

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Request;
use super::message::{Message, cut};
use super::template::SecretError;
use crate::http::{HttpClient, HttpError, HttpLimits, Response};
use crate::printable::printable;

/// Bytes of an answer that are read.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Bytes of an answer that are told.
const SHOWN: usize = 200;

/// Letters of a part of a secret that no text has by chance.
const SECRET: usize = 8;

/// The longest that a server may have us wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct PostFailure {
    reason: String,
    /// Whether it may be tried again, and how long not before.
    pub again: Option<Duration>,
}

impl PostFailure {
    fn for_good(reason: impl ToString) -> PostFailure {
        PostFailure {
            reason: reason.to_string(),
            again: None,
        }
    }
}

impl From<HttpError> for PostFailure {
    fn from(error: HttpError) -> PostFailure {
        let again = match error {
            HttpError::Connect { .. } | HttpError::Answer { .. } | HttpError::Late { .. } => {
                Some(Duration::ZERO)
            }
            HttpError::Url(_)
            | HttpError::Unsendable(_)
            | HttpError::Tls(_)
            | HttpError::TooLarge { .. } => None,
        };
        PostFailure {
            reason: error.to_string(),
            again,
        }
    }
}

/// A request with nothing left to fill in.
struct Filled {
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    /// What the server may say again, and nobody is to read.
    secrets: Vec<String>,
}

impl Request {
    fn fill(&self, message: &Message) -> Result<Filled, SecretError> {
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            if let Some(value) = value.header(message)? {
                headers.push((name.clone(), value));
            }
        }
        let texts = self.headers.iter().map(|(_, value)| value);
        let texts = texts.chain([&self.url, &self.body]);
        Ok(Filled {
            url: self.url.url(message)?,
            headers,
            body: self.body.body(self.form, message)?,
            secrets: texts.flat_map(|text| text.secrets()).collect(),
        })
    }

    /// Who sends it.
    ///
    /// # Errors
    /// Certificates that cannot be used.
    pub fn client(&self) -> Result<HttpClient, PostFailure> {
        let client = HttpClient::new(self.tls.clone()).map_err(PostFailure::for_good)?;
        match &self.proxy {
            Some(proxy) => client.through(proxy).map_err(PostFailure::for_good),
            None => Ok(client),
        }
    }

    /// Whether the same client may send another.
    pub fn shares_client(&self, other: &Request) -> bool {
        self.tls == other.tls && self.proxy == other.proxy
    }
}

/// Sends a message within a time; answers what the server has said.
///
/// # Errors
/// The server has not taken it.
pub async fn send(
    client: &HttpClient,
    request: &Request,
    message: &Message,
    time: Duration,
) -> Result<Response, PostFailure> {
    // secrets are in files
    let (filling, message) = (request.clone(), message.clone());
    let filled = tokio::task::spawn_blocking(move || filling.fill(&message));
    let filled = filled.await.map_err(PostFailure::for_good)?;
    let filled = filled.map_err(PostFailure::for_good)?;
    let headers: Vec<(&str, &str)> = filled
        .headers
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let limits = HttpLimits {
        time,
        size: LARGEST_ANSWER,
    };
    let mut response = client
        .request(
            &request.method,
            &filled.url,
            &headers,
            filled.body.into_bytes(),
            limits,
        )
        .await?;
    response.body = without(&filled.secrets, &response.body);
    match response.is_success() {
        true => Ok(response),
        false => Err(refused(&response, Utc::now())),
    }
}

/// An answer without secrets: many servers repeat the path or the token that they do not know. A path may come back
/// without its host, and written otherwise, so each long part of a secret is taken for one.
fn without(secrets: &[String], answer: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&str> = secrets
        .iter()
        .flat_map(|secret| secret_parts(secret))
        .collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut text = String::from_utf8_lossy(answer).into_owned();
    for part in parts {
        text = text.replace(part, "***");
    }
    text.into_bytes()
}

/// A secret, and its parts that are long enough to be none by chance. The host of a URL is not secret.
fn secret_parts(secret: &str) -> Vec<&str> {
    let path = match secret.split_once("://") {
        Some((_, place)) => place.find('/').map_or("", |at| &place[at..]),
        None => secret,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let parts = path
        .split(|c| !plain(c))
        .filter(|part| part.len() >= SECRET);
    let whole = [secret, path].into_iter().filter(|text| text.len() > 3);
    whole.chain(parts).collect()
}

/// What a server means that does not take a message.
fn refused(response: &Response, now: DateTime<Utc>) -> PostFailure {
    let header = |name: &str| response.headers.get(name)?.to_str().ok();
    let again = match response.status {
        408 | 425 | 429 | 500..=599 => {
            let wait = header("retry-after").and_then(|text| wait(text, now));
            Some(wait.unwrap_or_default().min(LONGEST_WAIT))
        }
        _ => None,
    };
    let mut reason = format!("the server answers {}", answer(response));
    if let (300..=399, Some(place)) = (response.status, header("location")) {
        // where to may be as secret as the address itself
        let place = place.split('/').take(3).collect::<Vec<_>>().join("/");
        reason.push_str(&format!("; it wants to be asked at {}", cut(&place, SHOWN)));
    }
    PostFailure { reason, again }
}

/// What a server has said, on one line.
pub fn answer(response: &Response) -> String {
    let status = response.status.to_string();
    let text = String::from_utf8_lossy(&response.body);
    let words: Vec<&str> = text
        .split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    match words.is_empty() {
        true => status,
        false => format!("{status}: {}", cut(&printable(&words.join(" ")), SHOWN)),
    }
}

/// What `Retry-After` says: seconds, or a time of day.
fn wait(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let seconds = match text.trim().parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(text.trim()).ok()?;
            until.signed_duration_since(now).as_seconds_f64()
        }
    };
    let longest = LONGEST_WAIT.as_secs_f64();
    seconds
        .is_finite()
        .then(|| Duration::from_secs_f64(seconds.clamp(0.0, longest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
        let headers = headers.iter().map(|(name, value)| {
            let name: hyper::header::HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        });
        Response {
            status,
            headers: headers.collect(),
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_server_says_when_it_may_be_asked_again() {
        let now = DateTime::parse_from_rfc2822("Sun, 29 Nov 2026 10:00:00 GMT").unwrap();
        let seconds = |text| wait(text, now.into()).map(|wait| wait.as_secs_f64());
        assert_eq!(seconds("30"), Some(30.0));
        assert_eq!(seconds("0.65"), Some(0.65));
        assert_eq!(seconds("Sun, 29 Nov 2026 10:02:00 GMT"), Some(120.0));
        assert_eq!(seconds("Sun, 29 Nov 2026 09:00:00 GMT"), Some(0.0));
        assert_eq!(seconds("1e300"), Some(3600.0));
        assert_eq!(seconds("Sun, 29 Nov 2099 10:00:00 GMT"), Some(3600.0));
        for text in ["", "soon", "NaN", "inf"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(seconds("-5"), Some(0.0));
    }

    #[test]
    fn what_may_be_tried_again() {
        let again =
            |status, headers: &[_]| refused(&response(status, headers, ""), Utc::now()).again;
        for status in [301, 400, 401, 403, 404, 410, 413, 422] {
            assert_eq!(again(status, &[("retry-after", "9")]), None, "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(again(status, &[]), Some(Duration::ZERO), "{status}");
        }
        let wait = again(429, &[("retry-after", "9")]);
        assert_eq!(wait, Some(Duration::from_secs(9)));
    }

    #[test]
    fn secrets_that_a_server_repeats_are_not_told() {
        let secrets = [
            "https://chat.example/hooks/T0SECRET99/b1".to_owned(),
            "tok-1".to_owned(),
        ];
        let hidden =
            |answer: &str| String::from_utf8(without(&secrets, answer.as_bytes())).unwrap();
        for (answer, told) in [
            ("no /hooks/T0SECRET99/b1 here", "no *** here"),
            ("no \\/hooks\\/T0SECRET99 here", "no \\/hooks\\/*** here"),
            ("bad token tok-1", "bad token ***"),
            ("ask chat.example", "ask chat.example"),
        ] {
            assert_eq!(hidden(answer), told);
        }
    }

    #[test]
    fn answers_are_told_on_one_line() {
        let text = refused(&response(400, &[], "{\"a\":\n\u{1b}[1m \"b\"}"), Utc::now());
        assert_eq!(
            text.to_string(),
            "the server answers 400: {\"a\": [1m \"b\"}"
        );
        let long = refused(&response(400, &[], &"x".repeat(999)), Utc::now()).to_string();
        assert!(long.len() < 300);
        let moved = response(301, &[("location", "https://h.org/secret")], "");
        assert_eq!(
            refused(&moved, Utc::now()).to_string(),
            "the server answers 301; it wants to be asked at https://h.org"
        );
    }
}
