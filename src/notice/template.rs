//! Templates of requests with placeholders: values of a ban, secrets, and the message itself.
//!
//! A value is escaped as its place demands: no log line ends a JSON string, begins a header or leads to another
//! address.
#![forbid(unsafe_code)]

use std::io::Read as _;
use std::path::PathBuf;
use std::{fs, io};

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::message::Message;
use crate::exec::script::MARK;

/// Bytes of a file with a secret.
const LONGEST_SECRET: u64 = 64 * 1024;

/// What a URL may not hold; the rest of the configuration's own text stays as it is.
const NOT_IN_URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What means something in a URL or a form, or may.
const NOT_IN_COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Json,
    /// `name=value&…`
    UrlEncoded,
    /// Anything else, in which nothing is special.
    Plain,
}

impl Form {
    /// That of a content type.
    pub fn of(content_type: &str) -> Form {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let kind = kind.to_ascii_lowercase();
        if kind.ends_with("/json") || kind.ends_with("+json") {
            Form::Json
        } else if kind == "application/x-www-form-urlencoded" {
            Form::UrlEncoded
        } else {
            Form::Plain
        }
    }
}

/// Something in a text that is filled in.
#[derive(Clone, Debug, PartialEq)]
enum TemplatePiece {
    /// From the configuration.
    Own(String),
    /// The value of a tag.
    Value { tag: String, text: String },
    /// What a file holds; nothing if there is none and it need not be there.
    Secret { path: PathBuf, optional: bool },
    /// A part of the message.
    Blank(Blank),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blank {
    Message,
    Title,
    Text,
    Id,
}

const BLANKS: [(&str, Blank); 4] = [
    ("<message>", Blank::Message),
    ("<title>", Blank::Title),
    ("<text>", Blank::Text),
    ("<message-id>", Blank::Id),
];

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", .path.display())]
pub struct SecretError {
    /// The file.
    path: PathBuf,
    /// What the system says.
    error: io::Error,
}

/// A text with gaps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template(Vec<TemplatePiece>);

impl Template {
    /// Reads a text with marks; `gaps` says whether secrets and parts of the message may be named in it.
    pub fn read(text: &str, values: &[String], tags: &[String], gaps: bool) -> Template {
        let mut pieces = Vec::new();
        for (at, part) in text.split(MARK).enumerate() {
            let number = part.parse::<usize>().ok().filter(|_| at % 2 == 1);
            match number.and_then(|number| Some((tags.get(number)?, values.get(number)?))) {
                Some((tag, value)) => pieces.push(TemplatePiece::Value {
                    tag: tag.clone(),
                    text: value.clone(),
                }),
                None if gaps => read_own(part, &mut pieces),
                None => pieces.push(TemplatePiece::Own(part.to_owned())),
            }
        }
        pieces.retain(|piece| *piece != TemplatePiece::Own(String::new()));
        Template(pieces)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its text without what is filled in.
    pub fn own(&self) -> String {
        let own = self.0.iter().filter_map(|piece| match piece {
            TemplatePiece::Own(text) => Some(&**text),
            _ => None,
        });
        own.collect()
    }

    /// Whether the message stands in it as a value of its own, outside of all strings of JSON.
    pub fn takes_json(&self) -> bool {
        let mut json = Json::default();
        let mut unused = String::new();
        self.0.iter().any(|piece| match piece {
            TemplatePiece::Own(text) => {
                json.own(text, &mut unused);
                false
            }
            TemplatePiece::Blank(Blank::Message) => !json.in_string,
            _ => false,
        })
    }

    /// What happened, for people: values as `value` writes them.
    pub fn plain(&self, value: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                TemplatePiece::Own(text) => out.push_str(text),
                TemplatePiece::Value { text, .. } => out.push_str(&value(text)),
                TemplatePiece::Secret { .. } | TemplatePiece::Blank(_) => {}
            }
        }
        out
    }

    /// What happened, as JSON.
    pub fn json(&self) -> String {
        let mut out = String::new();
        let mut json = Json::default();
        for piece in &self.0 {
            match piece {
                TemplatePiece::Own(text) => json.own(text, &mut out),
                TemplatePiece::Value { tag, text } => json.value(tag, text, &mut out),
                TemplatePiece::Secret { .. } | TemplatePiece::Blank(_) => {}
            }
        }
        out
    }

    /// The address that the request goes to.
    ///
    /// # Errors
    /// A secret that cannot be read.
    pub fn url(&self, message: &Message) -> Result<String, SecretError> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                TemplatePiece::Own(text) => out.extend(utf8_percent_encode(text, NOT_IN_URL)),
                TemplatePiece::Secret { path, optional } => {
                    let secret = secret(path, *optional)?;
                    out.extend(utf8_percent_encode(&secret, NOT_IN_URL));
                }
                TemplatePiece::Value { text, .. } => {
                    out.extend(utf8_percent_encode(text, NOT_IN_COMPONENT));
                }
                TemplatePiece::Blank(blank) => {
                    let text = message.part(*blank);
                    out.extend(utf8_percent_encode(text, NOT_IN_COMPONENT));
                }
            }
        }
        Ok(out)
    }

    /// The value of a header, on one line; `None` when a secret in it need not be there and is not.
    ///
    /// # Errors
    /// A secret that cannot be read.
    pub fn header(&self, message: &Message) -> Result<Option<String>, SecretError> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                TemplatePiece::Own(text) | TemplatePiece::Value { text, .. } => out.push_str(text),
                TemplatePiece::Blank(blank) => out.push_str(message.part(*blank)),
                TemplatePiece::Secret { path, optional } => match secret(path, *optional)? {
                    secret if secret.is_empty() => return Ok(None),
                    secret => out.push_str(&secret),
                },
            }
        }
        // HTTP has no line ends in headers, and no letters beyond ASCII that all would read alike
        let visible = |c: char| match c {
            c if c.is_control() => ' ',
            c if c.is_ascii() => c,
            _ => '?',
        };
        Ok(Some(out.trim().chars().map(visible).collect()))
    }

    /// The secrets in it, of those that can be read.
    pub fn secrets(&self) -> impl Iterator<Item = String> {
        self.0.iter().filter_map(|piece| match piece {
            TemplatePiece::Secret { path, optional } => secret(path, *optional).ok(),
            _ => None,
        })
    }

    /// The body.
    ///
    /// # Errors
    /// A secret that cannot be read.
    pub fn body(&self, form: Form, message: &Message) -> Result<String, SecretError> {
        let mut out = String::new();
        let mut json = Json::default();
        for piece in &self.0 {
            let secret_text;
            let (tag, text) = match piece {
                TemplatePiece::Own(text) => {
                    match form {
                        Form::Json => json.own(text, &mut out),
                        Form::UrlEncoded | Form::Plain => out.push_str(text),
                    }
                    continue;
                }
                TemplatePiece::Blank(Blank::Message) if form == Form::Json && !json.in_string => {
                    out.push_str(message.part(Blank::Message));
                    continue;
                }
                TemplatePiece::Value { tag, text } => (&**tag, &**text),
                TemplatePiece::Blank(blank) => ("", message.part(*blank)),
                TemplatePiece::Secret { path, optional } => {
                    secret_text = secret(path, *optional)?;
                    ("", &*secret_text)
                }
            };
            match form {
                Form::Json => json.value(tag, text, &mut out),
                Form::UrlEncoded => out.extend(utf8_percent_encode(text, NOT_IN_COMPONENT)),
                Form::Plain => out.push_str(text),
            }
        }
        Ok(out)
    }
}

impl Message {
    fn part(&self, blank: Blank) -> &str {
        match blank {
            Blank::Message => &self.whole,
            Blank::Title => &self.title,
            Blank::Text => &self.text,
            Blank::Id => &self.id,
        }
    }
}

/// Reads the configuration's own text.
fn read_own(mut text: &str, pieces: &mut Vec<TemplatePiece>) {
    let next = |text: &str| {
        let secrets = text.match_indices("$(cat ").find_map(|(at, _)| {
            let (length, piece) = read_secret(&text[at..])?;
            Some((at, length, piece))
        });
        let blanks = BLANKS.iter().filter_map(|(name, blank)| {
            let at = text.find(name)?;
            Some((at, name.len(), TemplatePiece::Blank(*blank)))
        });
        blanks.chain(secrets).min_by_key(|(at, ..)| *at)
    };
    while let Some((at, length, piece)) = next(text) {
        pieces.push(TemplatePiece::Own(text[..at].to_owned()));
        pieces.push(piece);
        text = &text[at + length..];
    }
    pieces.push(TemplatePiece::Own(text.to_owned()));
}

/// `$(cat FILE)` or `$(cat "FILE")`, which need not be there with `2>/dev/null` behind it: how long it is,
/// and what it stands for.
fn read_secret(text: &str) -> Option<(usize, TemplatePiece)> {
    let end = text.find(')')?;
    let inside = text[..end].strip_prefix("$(cat ")?.trim();
    let (file, optional) = match inside.strip_suffix("2>/dev/null") {
        Some(file) => (file.trim_end(), true),
        None => (inside, false),
    };
    let quoted = file
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let file = quoted.unwrap_or(file);
    if file.is_empty() || file.contains(['"', '\'', '\n', '`', ';', '|', '&']) {
        return None;
    }
    let path = match file.strip_prefix("$CREDENTIALS_DIRECTORY/") {
        // systemd makes the directory for the server alone
        Some(name) => {
            PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY").unwrap_or_default()).join(name)
        }
        None => PathBuf::from(file),
    };
    Some((end + 1, TemplatePiece::Secret { path, optional }))
}

/// What a file holds, without line ends behind it.
fn secret(path: &PathBuf, optional: bool) -> Result<String, SecretError> {
    let read = || {
        let file = fs::File::open(path)?;
        // whoever opens a pipe waits for its writer
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let mut text = String::new();
        file.take(LONGEST_SECRET).read_to_string(&mut text)?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    match read() {
        Err(error) if optional && error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(SecretError {
            path: path.clone(),
            error,
        }),
        Ok(text) => Ok(text),
    }
}

/// Where in a text of JSON a gap is.
#[derive(Default)]
struct Json {
    in_string: bool,
    /// Behind a backslash.
    escaped: bool,
}

impl Json {
    fn own(&mut self, text: &str, out: &mut String) {
        for c in text.chars() {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' if self.in_string => self.escaped = true,
                '"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
        out.push_str(text);
    }

    /// In a string: the inside of one. Elsewhere a number or a word of JSON as it is, else a string.
    fn value(&mut self, tag: &str, text: &str, out: &mut String) {
        let quoted = serde_json::Value::from(text).to_string();
        if self.in_string {
            // a backslash in front of the gap stands for itself
            if std::mem::take(&mut self.escaped) {
                out.push('\\');
            }
            out.push_str(&quoted[1..quoted.len() - 1]);
        } else if tag == "restored" {
            out.push_str(if text == "1" { "true" } else { "false" });
        } else if is_bare(text) {
            out.push_str(text);
        } else {
            out.push_str(&quoted);
        }
    }
}

/// Whether a text is a number, `true`, `false` or `null` of JSON, and no more.
fn is_bare(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let parsed = serde_json::from_str::<serde_json::Value>(text);
    text.chars().all(plain) && parsed.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tags `a`, `b`, …
    fn template(text: &str, values: &[&str]) -> Template {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let names = ["a", "b", "restored"];
        let tags: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let marked = names
            .iter()
            .enumerate()
            .fold(text.to_owned(), |text, (n, name)| {
                text.replace(&format!("<{name}>"), &format!("{MARK}{n}{MARK}"))
            });
        Template::read(&marked, &values, &tags, true)
    }

    fn message() -> Message {
        Message {
            title: "T \"1\"".to_owned(),
            text: "x\ny".to_owned(),
            whole: "T \"1\"\nx\ny".to_owned(),
            id: "id-1".to_owned(),
        }
    }

    const EVIL: &str = "\"}\\\r\nX: y\u{0}é%22,\"a\":1";

    #[test]
    fn nothing_leaves_a_string_of_json() {
        for text in [
            r#"{"x":"<a>"}"#,
            r#"{"x":<a>}"#,
            r#"{"x":"\"\\<a>"}"#,
            r#"{"x":"a\<a>"}"#,
            r#"["<a>","<message>",<b>,{"t":"<title>","u":"<text>"}]"#,
        ] {
            let body = template(text, &[EVIL, EVIL]).body(Form::Json, &message());
            let body = body.unwrap();
            let read: serde_json::Value = serde_json::from_str(&body)
                .unwrap_or_else(|error| panic!("{text}: {error}: {body}"));
            assert!(read.to_string().contains("X: y"), "{text}");
            let members = read.as_object().map(|members| members.len());
            assert!(members.is_none_or(|members| members == 1), "{text}");
        }
    }

    #[test]
    fn numbers_stay_numbers() {
        let body = |value| {
            let template = template(r#"{"x":<a>,"r":<restored>}"#, &[value, "", "1"]);
            template.body(Form::Json, &message()).unwrap()
        };
        for (value, written) in [
            ("5", "5"),
            ("-1", "-1"),
            ("1795291452.5", "1795291452.5"),
            ("true", "true"),
            ("", "\"\""),
            ("None", "\"None\""),
            (" 5", "\" 5\""),
            ("1,2", "\"1,2\""),
            ("[]", "\"[]\""),
            ("1e999", "\"1e999\""),
        ] {
            assert_eq!(body(value), format!("{{\"x\":{written},\"r\":true}}"));
        }
    }

    #[test]
    fn forms_and_plain_texts() {
        let text = "a=<a>&b=<title>";
        let filled = |form| {
            template(text, &["x&y=\n", ""])
                .body(form, &message())
                .unwrap()
        };
        assert_eq!(filled(Form::UrlEncoded), "a=x%26y%3D%0A&b=T%20%221%22");
        assert_eq!(filled(Form::Plain), "a=x&y=\n&b=T \"1\"");
        for (kind, form) in [
            ("application/json", Form::Json),
            ("Application/Problem+JSON; charset=utf-8", Form::Json),
            ("application/x-www-form-urlencoded", Form::UrlEncoded),
            ("text/plain", Form::Plain),
            ("", Form::Plain),
        ] {
            assert_eq!(Form::of(kind), form, "{kind}");
        }
    }

    #[test]
    fn a_value_is_one_component_of_a_url() {
        let url = template(
            "https://h.org/é/<a>?q=<b>&id=<message-id>",
            &["a/../?b#c@d", "1 2"],
        );
        assert_eq!(
            url.url(&message()).unwrap(),
            "https://h.org/%C3%A9/a%2F..%2F%3Fb%23c%40d?q=1%202&id=id-1"
        );
    }

    #[test]
    fn a_header_is_one_line() {
        let header = template("x <a> <text>", &[EVIL])
            .header(&message())
            .unwrap();
        let header = header.unwrap();
        assert!(header.starts_with("x \"}\\  X: y "), "{header}");
        assert!(header.bytes().all(|byte| (32..127).contains(&byte)));
    }

    #[test]
    fn secrets_are_read_when_they_are_needed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let path = file.display();
        let must = template(&format!("Bearer $(cat \"{path}\")!"), &[]);
        let may = template(&format!("Bearer $(cat {path} 2>/dev/null)"), &[]);
        let error = must.header(&message()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot read {path}: No such file")));
        assert_eq!(may.header(&message()).unwrap(), None);
        fs::write(&file, "s<a>\n").unwrap();
        assert_eq!(must.header(&message()).unwrap().unwrap(), "Bearer s<a>!");
        assert_eq!(may.header(&message()).unwrap().unwrap(), "Bearer s<a>");
        // a value is no command, and neither is anything but this form
        let value = template("<a>", &[&format!("$(cat {path})")]);
        assert_eq!(
            value.header(&message()).unwrap().unwrap(),
            format!("$(cat {path})")
        );
        let other = template("$(cat a; id)", &[]);
        assert_eq!(other.header(&message()).unwrap().unwrap(), "$(cat a; id)");
        let directory = template(&format!("$(cat {})", directory.path().display()), &[]);
        assert!(directory.url(&message()).is_err());
    }

    #[test]
    fn a_message_is_json_where_it_stands_alone() {
        assert!(template("<message>", &[]).takes_json());
        assert!(template(r#"{"a":"b","events":[<message>]}"#, &[]).takes_json());
        assert!(!template(r#"{"a":"<message>"}"#, &[]).takes_json());
        assert!(!template(r#"{"a":<a>}"#, &["1"]).takes_json());
        let body = template("[<message>]", &[]).body(Form::Json, &message());
        assert_eq!(body.unwrap(), "[T \"1\"\nx\ny]");
    }
}
