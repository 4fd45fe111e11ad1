//! Messages to web services: commands of actions that call `ferroban notify`, parsed here, and sent by a queue
//! of their own.
//!
//! In: the script of a command. Out: a [`Notice`]. Such a command has a line for each of its options, the text
//! of the event last; no shell is involved. It is recognised without the values of the ticket, and these are
//! escaped as their place demands.
#![forbid(unsafe_code)]

pub mod message;
pub mod post;
pub mod queue;
mod rate;
mod template;

use crate::exec::script::{MARK, Script};
use crate::http;
use crate::http::tls::Tls;

use message::cut;
pub use rate::Rate;
use template::{Form, Template};

/// How these commands begin.
const OPENING: &str = "ferroban notify";

/// The option that takes all lines to the end.
const EVENT: &str = "event";

/// Options, each with its value behind it on a line; further lines go on with the value.
const OPTIONS: [&str; 14] = [
    "method", "url", "header", "body", "lines", "limit", "batch", "rate", "retries", "escape",
    "cafile", "certfile", "keyfile", "proxy",
];

/// Tags of lines of a log, of which the last ones are told.
const OF_LINES: [&str; 3] = ["matches", "ipmatches", "ipjailmatches"];

/// Bytes of a value that are told.
const LONGEST_VALUE: usize = 1500;

/// An option that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// Nobody to be told.
    #[error("it has no url; give it one, such as [url=\"https://example.org/bans\"]")]
    NoUrl,
    /// A value.
    #[error("{option} = {value}: it must be {must}")]
    Value {
        /// The option.
        option: &'static str,
        /// As it is written.
        value: String,
        /// What is understood.
        must: &'static str,
    },
    /// A header without a name.
    #[error("header {0:?} has no name and colon, as in \"Authorization: Bearer …\"")]
    Header(String),
}

impl NoticeError {
    /// The option it is about.
    pub fn option(&self) -> &'static str {
        match self {
            NoticeError::NoUrl => "url",
            NoticeError::Value { option, .. } => option,
            NoticeError::Header(_) => "header",
        }
    }
}

/// What a server is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    method: String,
    url: Template,
    headers: Vec<(String, Template)>,
    body: Template,
    form: Form,
    tls: Tls,
    /// As [`http::Client::through`] takes it.
    proxy: Option<String>,
}

/// An event, and how somebody is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Equal for events that may go out in one message.
    pub request: Request,
    /// What has happened: a text with its title on the first line, or JSON.
    pub event: String,
    /// Whether it is JSON.
    pub json: bool,
    /// Events that one message tells of at most.
    pub batch: usize,
    /// Bytes of a message.
    pub limit: usize,
    /// How many messages go out.
    pub rate: Rate,
    /// How often a message is tried again.
    pub retries: u32,
}

/// Characters that mean something to whom a text is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    None,
    /// `&`, `<` and `>` as HTML has them.
    Html,
    /// A backslash before what Markdown formats, and no name behind an `@`.
    Markdown,
}

impl Escape {
    fn text(self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match (self, c) {
                (_, c) if c.is_control() && c != '\n' && c != '\t' => out.push(' '),
                (Escape::Html, '&') => out.push_str("&amp;"),
                (Escape::Html, '<') => out.push_str("&lt;"),
                (Escape::Html, '>') => out.push_str("&gt;"),
                (Escape::Markdown, '@') => out.push_str("@\u{200b}"),
                (
                    Escape::Markdown,
                    '\\' | '`' | '*' | '_' | '~' | '|' | '[' | ']' | '<' | '>' | '#',
                ) => {
                    out.extend(['\\', c]);
                }
                (_, c) => out.push(c),
            }
        }
        out
    }
}

/// Whether a command is a message that says nothing, or no command.
pub fn says_nothing(command: &str) -> bool {
    let command = command.trim();
    command.is_empty() || is_notice(command) && command.lines().last() == Some(EVENT)
}

/// Whether a command is a message, whatever it says.
pub fn is_notice(command: &str) -> bool {
    let first = command.trim_start().lines().next();
    first.is_some_and(|first| first.trim_end() == OPENING)
}

/// The options of a command as they are written, marks in them.
#[derive(Default)]
struct Written<'s> {
    values: Vec<(&'static str, String)>,
    event: &'s str,
}

impl<'s> Written<'s> {
    fn read(command: &'s str) -> Written<'s> {
        let mut written = Written::default();
        let mut rest = command;
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let (word, value) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            if word == EVENT {
                written.event = rest[EVENT.len()..].trim();
                break;
            }
            let option = OPTIONS.iter().find(|option| **option == word);
            match (option, written.values.last_mut()) {
                (Some(option), _) => written.values.push((option, value.trim().to_owned())),
                (None, Some((_, value))) => {
                    value.push('\n');
                    value.push_str(line);
                }
                (None, None) => {}
            }
            rest = after;
        }
        written
    }

    fn all(&self, option: &str) -> impl Iterator<Item = &str> {
        let named = self.values.iter().filter(move |(name, _)| *name == option);
        named.map(|(_, value)| value.trim())
    }

    fn text(&self, option: &str) -> &str {
        self.all(option).last().unwrap_or_default()
    }

    fn number<T>(&self, option: &'static str, most: usize, usual: usize) -> Result<T, NoticeError>
    where
        T: TryFrom<usize>,
    {
        let text = self.text(option);
        let number = match text.is_empty() {
            true => Some(usual),
            false => text.parse().ok().filter(|number| *number <= most),
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| NoticeError::Value {
            option,
            value: shown(text),
            must: "a whole number",
        })
    }
}

/// A value of the configuration for people.
fn shown(text: &str) -> String {
    text.replace(MARK, "")
}

impl Notice {
    /// Reads a command; `None` when it is none of these, or one without an event to tell of.
    ///
    /// # Errors
    /// An option that cannot be understood.
    pub fn recognise(script: &Script) -> Option<Result<Notice, NoticeError>> {
        let (text, values) = script.shape();
        let text = text.trim();
        if !is_notice(text) {
            return None;
        }
        let written = Written::read(text.split_once('\n').map_or("", |(_, rest)| rest));
        if written.event.is_empty() {
            return None;
        }
        Some(Notice::read(&written, values, script.tags()))
    }

    fn read(
        written: &Written<'_>,
        values: &[String],
        tags: &[String],
    ) -> Result<Notice, NoticeError> {
        let lines = written.number("lines", 1000, 5)?;
        let values = tags.iter().zip(values);
        let values: Vec<String> = values
            .map(|(tag, value)| shortened(tag, value, lines))
            .collect();
        let template = |text: &str| Template::read(text, &values, tags, true);
        let url = template(written.text("url"));
        if url.is_empty() {
            return Err(NoticeError::NoUrl);
        }
        let mut headers = Vec::new();
        for line in written.all("header").flat_map(str::lines) {
            if line.trim().is_empty() {
                continue;
            }
            match line.split_once(':') {
                Some((name, value)) if !name.trim().is_empty() && !name.contains(MARK) => {
                    headers.push((name.trim().to_owned(), template(value.trim())));
                }
                _ => return Err(NoticeError::Header(shown(line))),
            }
        }
        let content_type = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let form = Form::of(
            &content_type
                .map(|(_, value)| value.own())
                .unwrap_or_default(),
        );
        let body = template(written.text("body"));
        let json = form == Form::Json && body.takes_json();
        let escape = match written.text("escape") {
            "" | "none" => Escape::None,
            "html" => Escape::Html,
            "markdown" => Escape::Markdown,
            other => {
                return Err(NoticeError::Value {
                    option: "escape",
                    value: shown(other),
                    must: "none, html or markdown",
                });
            }
        };
        let event = Template::read(written.event, &values, tags, false);
        let event = match json {
            true => event.json(),
            false => event.plain(|text| escape.text(text)),
        };
        let method = written.text("method");
        let proxy = Some(written.text("proxy")).filter(|proxy| !proxy.is_empty());
        if let Some(proxy) = proxy
            && !http::is_proxy(proxy)
        {
            return Err(NoticeError::Value {
                option: "proxy",
                value: shown(proxy),
                must: "as http://proxy.example.org:3128",
            });
        }
        let path = |option| Some(written.text(option)).filter(|path| !path.is_empty());
        let certificate = path("certfile").zip(path("keyfile"));
        Ok(Notice {
            request: Request {
                method: if method.is_empty() { "POST" } else { method }.to_owned(),
                url,
                headers,
                body,
                form,
                tls: Tls {
                    ca: path("cafile").map(Into::into),
                    certificate: certificate.map(|(file, key)| (file.into(), key.into())),
                },
                proxy: proxy.map(str::to_owned),
            },
            event: event.trim().to_owned(),
            json,
            batch: written.number::<usize>("batch", usize::MAX, 1)?.max(1),
            limit: written.number::<usize>("limit", usize::MAX, 4000)?.max(100),
            rate: Rate::parse(written.text("rate")).ok_or_else(|| NoticeError::Value {
                option: "rate",
                value: shown(written.text("rate")),
                must: "as 10/minute, with second, minute, hour or day",
            })?,
            retries: written.number("retries", 100, 8)?,
        })
    }

    /// Who is told, without what of the address may be secret.
    pub fn title(&self) -> &str {
        self.event.split('\n').next().unwrap_or_default()
    }
}

/// A value as far as it is told: of a log the last lines.
fn shortened(tag: &str, text: &str, lines: usize) -> String {
    if !OF_LINES.contains(&tag) {
        return cut(text, LONGEST_VALUE);
    }
    let all: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
    cut(
        &all[all.len().saturating_sub(lines)..].join("\n"),
        LONGEST_VALUE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Values;

    /// The notice of a command whose tags have these values.
    fn notice(command: &str, tags: &[(&str, &str)]) -> Option<Result<Notice, NoticeError>> {
        let mut values = Values::default();
        let mut command = command.to_owned();
        for (tag, value) in tags {
            let mark = values.mark(tag, (*value).to_owned());
            command = command.replace(&format!("<{tag}>"), &mark);
        }
        Notice::recognise(&values.script(command))
    }

    const PLAIN: &str = "ferroban notify\nmethod \nurl https://h/\nheader Content-Type: application/json\n\
                         body {\"text\":\n\"<message>\"}\nlines 2\nevent [x] <ip>\nurl no option\n<matches>";

    #[test]
    fn options_stand_on_lines_and_the_event_is_the_rest() {
        let tags = [("ip", "192.0.2.1"), ("matches", "a\nevent b\nc")];
        let notice = notice(PLAIN, &tags).unwrap().unwrap();
        assert_eq!(notice.event, "[x] 192.0.2.1\nurl no option\nevent b\nc");
        assert_eq!(notice.request.method, "POST");
        assert_eq!(notice.request.body.own(), "{\"text\":\n\"\"}");
        assert!(!notice.json);
        assert_eq!(notice.title(), "[x] 192.0.2.1");
    }

    #[test]
    fn values_change_no_option() {
        let evil = "x\nurl http://evil/\nevent y\nferroban notify";
        let command = format!("{PLAIN}\n<F-USER>");
        let read = notice(&command, &[("ip", evil), ("F-USER", evil)]);
        let read = read.unwrap().unwrap();
        let usual = notice(&command, &[]).unwrap().unwrap();
        assert_eq!(read.request, usual.request);
        assert!(read.event.contains("url http://evil/"));
        assert!(notice("<x>", &[("x", PLAIN)]).is_none());
    }

    #[test]
    fn commands_of_other_forms_are_for_the_shell() {
        for command in [
            "curl -d @- https://h/",
            "ferroban notify test x\nurl https://h/\nevent x",
            "/usr/bin/ferroban notify\nurl https://h/\nevent x",
            "ferroban notify\nurl https://h/\nevent",
            "ferroban notify\nurl https://h/",
        ] {
            assert!(notice(command, &[]).is_none(), "{command}");
        }
        assert!(says_nothing("ferroban notify\nurl https://h/\nevent"));
        assert!(says_nothing(" "));
        assert!(!says_nothing("ferroban notify\nurl https://h/\nevent x"));
        assert!(!says_nothing("echo\nevent"));
    }

    #[test]
    fn mistakes_are_named() {
        let with = |line: &str| {
            let command = format!("ferroban notify\nurl https://h/\n{line}\nevent x");
            notice(&command, &[]).unwrap().unwrap_err().to_string()
        };
        assert_eq!(
            with("rate often"),
            "rate = often: it must be as 10/minute, with second, minute, hour or day"
        );
        assert_eq!(with("batch -1"), "batch = -1: it must be a whole number");
        assert_eq!(
            with("retries 1e9"),
            "retries = 1e9: it must be a whole number"
        );
        assert_eq!(
            with("escape all"),
            "escape = all: it must be none, html or markdown"
        );
        assert_eq!(
            with("proxy proxy.example.org"),
            "proxy = proxy.example.org: it must be as http://proxy.example.org:3128"
        );
        assert!(with("header x").starts_with("header \"x\" has no name"));
        let marked = notice(
            "ferroban notify
url u
header <ip>: x
event x",
            &[("ip", "a")],
        );
        assert!(marked.unwrap().is_err());
        assert_eq!(
            notice("ferroban notify\nevent x", &[]).unwrap(),
            Err(NoticeError::NoUrl)
        );
    }

    #[test]
    fn texts_are_escaped_for_whom_they_are_shown_to() {
        let with = |escape: &str| {
            let command =
                format!("ferroban notify\nurl https://h/\nescape {escape}\nevent <*x*> <F-USER>");
            let tags = [("F-USER", "<!all> @all *b* [a](b)\u{7} & \\")];
            notice(&command, &tags).unwrap().unwrap().event
        };
        assert_eq!(with("none"), "<*x*> <!all> @all *b* [a](b)  & \\");
        assert_eq!(with("html"), "<*x*> &lt;!all&gt; @all *b* [a](b)  &amp; \\");
        assert_eq!(
            with("markdown"),
            "<*x*> \\<!all\\> @\u{200b}all \\*b\\* \\[a\\](b)  & \\\\"
        );
    }

    #[test]
    fn lines_are_the_last_ones() {
        assert_eq!(shortened("matches", "a\nb\nc\n", 2), "b\nc");
        assert_eq!(shortened("matches", "a\nb", 0), "");
        assert_eq!(shortened("F-USER", "a\nb", 0), "a\nb");
        assert_eq!(shortened("matches", &"é".repeat(9000), 5).len(), 1499);
    }

    #[test]
    fn an_event_is_json_where_the_body_has_it_so() {
        let command = "ferroban notify\nurl https://h/\nheader Content-Type: application/json\n\
                       body <message>\nevent {\"id\":\"<fid>\",\"n\":<failures>}";
        let tags = [("fid", "a\",\"b\":\"c"), ("failures", "5")];
        let notice = notice(command, &tags).unwrap().unwrap();
        assert!(notice.json);
        assert_eq!(notice.event, r#"{"id":"a\",\"b\":\"c","n":5}"#);
    }
}
