//! Turns a shape into a failregex: constant parts are written out, variable parts become a class that cannot
//! match beyond its own end.

use super::shape::{LineShape, ShapedLine};
use super::tokens::TokenKind;

/// What stands at one place of an expression.
#[derive(Clone, Debug)]
enum DraftPart {
    /// One of these texts.
    Texts(Vec<String>),
    /// A text of this beginning, then anything that the class takes.
    Begun(String, String),
    /// A text of this beginning, then digits.
    Numbered(String),
    /// Anything that the class takes.
    Class(String),
    /// Likewise, and it is a user's name.
    User(String),
    /// A quoted text that has parts of its own.
    Inner(Box<DraftRegex>),
    /// The address to blame.
    Accused,
    /// Blanks.
    Blank,
}

/// A failregex in the making.
#[derive(Clone, Debug)]
pub(super) struct DraftRegex {
    pub(super) shape: LineShape,
    parts: Vec<DraftPart>,
}

/// Words before the name of a user, and words behind such a word that are no name.
const USER: &[&str] = &[
    "user",
    "username",
    "user.name",
    "user_name",
    "usr",
    "login",
    "account",
    "acct",
    "ruser",
    "email",
    "for",
    "principal",
    "loginname",
    "sasl_username",
    "authuser",
    "subject",
];
const NO_USER: &[&str] = &[
    "unknown",
    "not",
    "is",
    "was",
    "has",
    "had",
    "in",
    "from",
    "on",
    "with",
    "name",
    "does",
    "or",
    "and",
    "the",
    "a",
    "an",
    "denied",
    "failed",
    "failure",
    "authentication",
    "login",
    "password",
    "account",
    "invalid",
    "illegal",
    "user",
    "attempt",
    "attempts",
    "of",
    "to",
    "at",
    "by",
    "for",
    "error",
    "client",
    "rejected",
    "found",
    "request",
];

/// Keys whose values say what happened, rather than who did it.
const TELLING: &[&str] = &[
    "msg",
    "message",
    "event",
    "event_type",
    "level",
    "lvl",
    "severity",
    "type",
    "action",
    "error",
    "err",
    "reason",
    "logger",
    "module",
    "component",
    "status",
    "result",
    "outcome",
    "service",
    "app",
    "caller",
    "source",
    "category",
    "program",
    "op",
    "operation",
    "kind",
    "t",
    "facility",
    "eventid",
];

/// Words before a number that says what happened.
const CODES: &[&str] = &["status", "code", "error", "reply", "response", "eventid"];

impl DraftRegex {
    pub(super) fn new(shape: LineShape) -> DraftRegex {
        DraftRegex::within(shape, None)
    }

    /// What stands in quotes that end with `quote`, which it cannot hold.
    fn within(shape: LineShape, quote: Option<char>) -> DraftRegex {
        let mut parts: Vec<DraftPart> = Vec::new();
        let mut named = false;
        for place in 0..shape.lines[0].tokens.len() {
            let mut part = part(&shape, place, quote);
            // one user is enough: the others are something else
            if named {
                part.take_name();
            }
            named |= part.has_name();
            parts.push(part);
        }
        DraftRegex { shape, parts }
    }

    /// Where a client may have had its say: the places of names, words and quoted texts.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> + '_ {
        let open = |place: &usize| match &self.parts[*place] {
            DraftPart::User(_) | DraftPart::Begun(..) | DraftPart::Inner(_) => true,
            DraftPart::Class(class) => !class.starts_with("\\d"),
            _ => false,
        };
        (0..self.parts.len()).filter(open)
    }

    /// Writes one place out, with the texts it has in the attack lines, so that an innocent line no longer
    /// matches. False: there is no such place.
    pub(super) fn narrow(&mut self, innocent: &ShapedLine) -> bool {
        /// More texts than these are no list any more.
        const MOST: usize = 6;
        if !self.shape.fits(innocent) {
            return false;
        }
        let worth = |place: usize| -> Option<(u8, usize)> {
            let values = self.shape.values(place);
            let value = innocent.content(place);
            let rank = match &self.parts[place] {
                DraftPart::Class(_) if values.iter().all(|value| is_status(value)) => 0,
                DraftPart::Class(_)
                    if self.shape.lines[0].tokens[place].kind == TokenKind::Word =>
                {
                    1
                }
                DraftPart::Class(_) | DraftPart::Begun(..) => 2,
                _ => return None,
            };
            let differs = !values.contains(&value) && values.len() <= MOST;
            differs.then_some((rank, values.len()))
        };
        let places = (0..self.parts.len()).filter_map(|place| Some((worth(place)?, place)));
        let Some((_, place)) = places.min() else {
            return false;
        };
        let values = self.shape.values(place);
        let texts = values.iter().map(|value| (*value).to_owned()).collect();
        self.parts[place] = DraftPart::Texts(texts);
        true
    }

    /// Lets what varies be anything: the mistake that a trial is there to find.
    #[cfg(test)]
    pub(super) fn open_up(&mut self) {
        for part in &mut self.parts {
            if matches!(part, DraftPart::Class(_) | DraftPart::User(_)) {
                *part = DraftPart::Class(".*".to_owned());
            }
        }
    }

    /// The failregex, without its anchors, as it is before a file is written: see [`safe`].
    pub(super) fn source(&self) -> String {
        let mut source = String::new();
        let tokens = &self.shape.lines[0].tokens;
        for (place, part) in self.parts.iter().enumerate() {
            let body = match part {
                DraftPart::Texts(texts) => match &texts[..] {
                    [text] => escaped(text),
                    texts => {
                        let texts: Vec<String> = texts.iter().map(|text| escaped(text)).collect();
                        format!("(?:{})", texts.join("|"))
                    }
                },
                DraftPart::Numbered(begin) => format!("{}\\d+", escaped(begin)),
                DraftPart::Begun(begin, class) => format!("{}{class}*", escaped(begin)),
                DraftPart::Class(class) => class.clone(),
                DraftPart::Inner(inner) => inner.source(),
                DraftPart::User(class) => format!("<F-USER>{class}</F-USER>"),
                DraftPart::Accused => "<ADDR>".to_owned(),
                DraftPart::Blank if place == 0 || place + 1 == tokens.len() => "\\s*".to_owned(),
                DraftPart::Blank
                    if self
                        .shape
                        .lines
                        .iter()
                        .all(|line| line.content(place) == " ") =>
                {
                    " ".to_owned()
                }
                DraftPart::Blank => "\\s+".to_owned(),
            };
            match tokens[place].kind {
                TokenKind::Quoted(open, close) => source.push_str(&format!("{open}{body}{close}")),
                _ => source.push_str(&body),
            }
        }
        source
    }
}

impl DraftPart {
    /// Whether a user's name is caught in it.
    fn has_name(&self) -> bool {
        match self {
            DraftPart::User(_) => true,
            DraftPart::Inner(inner) => inner.parts.iter().any(DraftPart::has_name),
            _ => false,
        }
    }

    /// Takes a user's name for any other text.
    fn take_name(&mut self) {
        match self {
            DraftPart::User(class) => *self = DraftPart::Class(std::mem::take(class)),
            DraftPart::Inner(inner) => inner.parts.iter_mut().for_each(DraftPart::take_name),
            _ => {}
        }
    }
}

/// What stands at a place of a shape; `quote` ends what is around it.
fn part(shape: &LineShape, place: usize, quote: Option<char>) -> DraftPart {
    let first = &shape.lines[0];
    let values = shape.values(place);
    let texts = || DraftPart::Texts(values.iter().map(|value| (*value).to_owned()).collect());
    match first.tokens[place].kind {
        TokenKind::Blank => DraftPart::Blank,
        TokenKind::Sign(_) => texts(),
        TokenKind::Address if place == shape.accused => DraftPart::Accused,
        TokenKind::Address => DraftPart::Class("[\\da-fA-F.:]+".to_owned()),
        TokenKind::Quoted(open, close) => {
            let outer = quote.map_or(String::new(), String::from);
            let class = match open {
                '<' => format!("[^<>{outer}]"),
                '"' if outer.is_empty() && shape.escapes_quotes() => {
                    "(?:[^\"\\\\]|\\\\.)".to_owned()
                }
                _ => format!("[^{close}{outer}]"),
            };
            let key = first.key(place);
            let is = |list: &[&str]| key.as_deref().is_some_and(|key| list.contains(&key));
            let part_of_key = key.as_deref().and_then(|key| key.rsplit('.').next());
            let is_telling = part_of_key.is_some_and(|key| TELLING.contains(&key));
            if first.is_json_key(place) {
                texts()
            } else if is(USER) && !is(&["for"]) {
                DraftPart::User(format!("{class}*"))
            } else if first.is_value(place) && is_telling {
                match values.len() > 1 || first.content(place).contains(' ') {
                    true => inner(shape, place, close).unwrap_or_else(texts),
                    false => texts(),
                }
            } else {
                // where a request is but one of the facts, it may be any
                match common_request(&values).filter(|_| !is(&["request"])) {
                    Some(begin) => DraftPart::Begun(begin, class),
                    None => DraftPart::Class(format!("{class}*")),
                }
            }
        }
        TokenKind::Word => word(shape, place, &values, quote),
    }
}

/// Quoted texts as parts of their own; `None`: they are not of one kind.
fn inner(shape: &LineShape, place: usize, quote: char) -> Option<DraftPart> {
    let line = |line: &ShapedLine| ShapedLine::new(line.number, line.content(place));
    let lines: Vec<ShapedLine> = shape.lines.iter().map(line).collect();
    let shape = LineShape::of_one_kind(lines)?;
    Some(DraftPart::Inner(Box::new(DraftRegex::within(
        shape,
        Some(quote),
    ))))
}

fn word(shape: &LineShape, place: usize, values: &[&str], quote: Option<char>) -> DraftPart {
    /// More words than these are no list any more.
    const MOST: usize = 3;
    let first = &shape.lines[0];
    let texts = || DraftPart::Texts(values.iter().map(|value| (*value).to_owned()).collect());
    let kind_at = |place: usize| first.tokens.get(place).map(|token| token.kind);
    let ends = match kind_at(place + 1) {
        Some(TokenKind::Sign(sign)) => Some(sign),
        Some(TokenKind::Quoted(open, _)) => Some(open),
        _ => None,
    };
    let ends = ends
        .into_iter()
        .chain(quote.filter(|quote| ends != Some(*quote)));
    let ends: String = ends
        .map(|end| match end {
            ']' | '^' | '\\' | '-' => format!("\\{end}"),
            end => end.to_string(),
        })
        .collect();
    let beyond = match ends.is_empty() {
        true => "\\S+".to_owned(),
        false => format!("[^\\s{ends}]+"),
    };
    let key = first.key(place);
    let key = key.as_deref().unwrap_or_default();
    let varies = values.len() > 1;
    if USER.contains(&key) && !NO_USER.contains(&first.content(place).to_lowercase().as_str()) {
        // a word that stays is a name only where a sign says so, or where the address follows soon
        let joined =
            place > 0 && matches!(first.tokens[place - 1].kind, TokenKind::Sign('=' | ':'));
        let soon = shape.accused > place && shape.accused < place + 5;
        if varies || joined || soon {
            return DraftPart::User(beyond);
        }
    }
    let all = |is: fn(char) -> bool| values.iter().all(|value| value.chars().all(is));
    let digits = |value: &&str| value.chars().any(|c| c.is_ascii_digit());
    if all(|c| c.is_ascii_digit()) {
        let behind_quote =
            place > 1 && matches!(first.tokens[place - 2].kind, TokenKind::Quoted('"', _));
        let is_code = behind_quote || CODES.contains(&key) || TELLING.contains(&key);
        let is_known = TELLING.contains(&key) || values.iter().all(|value| is_status(value));
        return match is_code && is_known && values.len() <= MOST {
            true => texts(),
            false => DraftPart::Class("\\d+".to_owned()),
        };
    }
    if all(|c| c.is_ascii_digit() || c == '.') && values.iter().all(digits) {
        return DraftPart::Class("[\\d.]+".to_owned());
    }
    let long = values.iter().all(|value| value.len() >= 8) && values.iter().all(digits);
    if long && all(|c| c.is_ascii_hexdigit() || c == '-') {
        return match all(|c| c.is_ascii_hexdigit()) {
            true => DraftPart::Class("[\\da-fA-F]+".to_owned()),
            false => DraftPart::Class("[\\da-fA-F-]+".to_owned()),
        };
    }
    if let Some(begin) = numbered(values) {
        return DraftPart::Numbered(begin);
    }
    let opens = |place: usize| matches!(kind_at(place), Some(TokenKind::Sign('[' | '(')));
    if opens(place + 1) && shape.accused == place + 2 {
        // the name of the host whose address follows
        return DraftPart::Class("[\\w.-]+".to_owned());
    }
    // words that come again are a choice, those that never do are names
    let is_choice = values.len() < shape.lines.len() || values.len() < MOST;
    if !varies || values.len() <= MOST && is_choice && all(char::is_alphabetic) {
        return texts();
    }
    DraftPart::Class(beyond)
}

/// What words begin with that end in a number: `thread-` of `thread-1` and `thread-12`. A single word does
/// so where something parts it from the number.
fn numbered(values: &[&str]) -> Option<String> {
    let begin = |value: &str| {
        value
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .to_owned()
    };
    let first = begin(values.first()?);
    let is_parted = first.ends_with(['-', '_', '/']);
    let same = |value: &&str| begin(value) == first && value.len() > first.len();
    let all = values.iter().all(same);
    (all && !first.is_empty() && (is_parted || values.len() > 1)).then_some(first)
}

/// Whether it is a number such as HTTP and SMTP answer with.
fn is_status(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 3 && (b'1'..=b'5').contains(&bytes[0]) && bytes.iter().all(u8::is_ascii_digit)
}

/// What requests of HTTP begin with alike: method and path, as far as they are the same.
fn common_request(values: &[&str]) -> Option<String> {
    const METHODS: [&str; 5] = ["GET ", "POST ", "HEAD ", "PUT ", "OPTIONS "];
    let first = values.first()?;
    let method = METHODS.iter().find(|method| first.starts_with(**method))?;
    let end = first[method.len()..]
        .find([' ', '?'])
        .map_or(first.len(), |end| end + method.len());
    let mut begin = &first[..end];
    while !values.iter().all(|value| value.starts_with(begin)) {
        // back to the last border
        let shorter = begin.trim_end_matches(['/', ' ']).rfind(['/', ' '])? + 1;
        begin = &begin[..shorter];
    }
    Some(begin.to_owned())
}

/// A text as a regex for itself.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if "\\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A regex that the reader of configurations leaves as it is: no tag, no comment, no `%`.
pub(super) fn safe(source: &str) -> String {
    let source = source.replace('%', "%%");
    let mut out = String::new();
    for (at, c) in source.char_indices() {
        let behind_blank = out.ends_with(' ');
        match c {
            '#' | ';' if behind_blank => out.push_str(&format!("[{c}]")),
            '<' if is_tag(&source[at..]) => out.push_str("[<]"),
            c => out.push(c),
        }
    }
    out
}

/// Whether something that begins with `<` would be taken for a tag, and is none of ours.
fn is_tag(text: &str) -> bool {
    let Some((name, _)) = text[1..].split_once('>') else {
        return false;
    };
    let ours = matches!(name, "ADDR" | "F-USER" | "/F-USER");
    let of_name = |c: char| c.is_alphanumeric() || "_/-".contains(c);
    !ours && !name.is_empty() && name.chars().all(of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_share_what_they_begin_with() {
        for (values, expected) in [
            (&["POST /login HTTP/1.1"][..], Some("POST /login")),
            (
                &["POST /login?a HTTP/1.1", "POST /login"],
                Some("POST /login"),
            ),
            (&["GET /a/b HTTP/1.1", "GET /a/c HTTP/1.1"], Some("GET /a/")),
            (&["GET / HTTP/1.1", "GET /x"], Some("GET /")),
            (&["GET / HTTP/1.1", "POST / HTTP/1.1"], None),
            (&["GET /", "x"], None),
            (&["-"], None),
        ] {
            assert_eq!(common_request(values).as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn what_the_reader_of_configurations_knows_is_written_otherwise() {
        for (source, expected) in [
            ("a 5% <b> <ADDR>", "a 5%% [<]b> <ADDR>"),
            ("<F-USER>[^<>]*</F-USER>", "<F-USER>[^<>]*</F-USER>"),
            ("a #b ;c d;", "a [#]b [;]c d;"),
        ] {
            assert_eq!(safe(source), expected);
        }
    }
}
