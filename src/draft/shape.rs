//! Groups similar lines, and finds what they have in common and what varies.
//!
//! Lines are similar when they have the same sequence of tokens and most words are equal.

use std::collections::BTreeMap;

use super::tokens::{LineToken, TokenKind, tokens};

/// A line in pieces.
#[derive(Clone, Debug)]
pub(super) struct ShapedLine {
    /// Which of the attack lines it is, from 0.
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) tokens: Vec<LineToken>,
}

impl ShapedLine {
    pub(super) fn new(number: usize, text: &str) -> ShapedLine {
        ShapedLine {
            number,
            text: text.to_owned(),
            tokens: tokens(text),
        }
    }

    pub(super) fn content(&self, place: usize) -> &str {
        self.tokens[place].content(&self.text)
    }

    /// Where a part of the text stands in the line of the log that it was cut from.
    pub(super) fn place_in(&self, whole: &str, start: usize, end: usize) -> Option<(usize, usize)> {
        // the date was cut out somewhere: what is before it stands as far from the beginning, what is
        // behind it as far from the end
        let (from_start, from_end) = (self.text.get(..end)?, self.text.get(start..)?);
        if whole.ends_with(from_end) {
            let at = whole.len() - from_end.len();
            return Some((at, at + end - start));
        }
        let is_before = whole.starts_with(from_start);
        is_before.then_some((start, end))
    }

    fn kinds(&self) -> Vec<TokenKind> {
        self.tokens.iter().map(|token| token.kind).collect()
    }

    /// The word that names what stands at a place, as `user` does in `user bob`, `user=bob` and
    /// `"user":"bob"`; in small letters.
    pub(super) fn key(&self, place: usize) -> Option<String> {
        let mut before = self.tokens[..place].iter().enumerate().rev();
        let (at, _) = before.find(|(_, token)| match token.kind {
            TokenKind::Blank => false,
            // an opening quote may stand between
            TokenKind::Sign(sign) => !matches!(sign, '=' | ':' | '"' | '\'' | '<' | '[' | '('),
            TokenKind::Word | TokenKind::Address | TokenKind::Quoted(..) => true,
        })?;
        let is_key = match self.tokens[at].kind {
            TokenKind::Word => true,
            TokenKind::Quoted(..) => self.is_sign(at + 1, ':'),
            _ => false,
        };
        is_key.then(|| self.content(at).to_lowercase())
    }

    fn is_sign(&self, place: usize, sign: char) -> bool {
        let token = self.tokens.get(place);
        token.is_some_and(|token| token.kind == TokenKind::Sign(sign))
    }

    /// Whether a quoted piece is the key of a JSON object.
    pub(super) fn is_json_key(&self, place: usize) -> bool {
        let before = self.tokens[..place].iter().rev();
        let before = before
            .map(|token| token.kind)
            .find(|kind| *kind != TokenKind::Blank);
        matches!(before, Some(TokenKind::Sign('{' | ',')))
            && self.is_sign(place + 1, ':')
            && matches!(self.tokens[place].kind, TokenKind::Quoted('"', _))
    }

    /// Whether a quoted piece is the value of a key: `"key":"value"`, `key="value"`.
    pub(super) fn is_value(&self, place: usize) -> bool {
        place > 1 && (self.is_sign(place - 1, ':') || self.is_sign(place - 1, '='))
    }
}

/// Lines of one kind.
#[derive(Clone, Debug)]
pub(super) struct LineShape {
    pub(super) lines: Vec<ShapedLine>,
    /// Which address is to blame: the place of a piece.
    pub(super) accused: usize,
}

impl LineShape {
    /// The texts at a place, each once, sorted.
    pub(super) fn values(&self, place: usize) -> Vec<&str> {
        let mut values: Vec<&str> = self.lines.iter().map(|line| line.content(place)).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// A shape of these, where they are of one kind; nobody is to blame in it.
    pub(super) fn of_one_kind(lines: Vec<ShapedLine>) -> Option<LineShape> {
        let first = lines.first()?;
        let same = |line: &ShapedLine| line.kinds() == first.kinds() && alike(first, line);
        let is_one = lines.iter().all(same);
        is_one.then_some(LineShape {
            lines,
            accused: usize::MAX,
        })
    }

    /// Whether the service writes a backslash before quotes within quotes: it does in JSON, and where a
    /// line shows it.
    pub(super) fn escapes_quotes(&self) -> bool {
        let is_escaped = |line: &ShapedLine| {
            let mut places = 0..line.tokens.len();
            places.any(|at| line.is_json_key(at) || line.content(at).contains("\\\""))
        };
        self.lines.iter().any(is_escaped)
    }

    /// Whether a line is the same pieces.
    pub(super) fn fits(&self, line: &ShapedLine) -> bool {
        self.lines[0].kinds() == line.kinds()
    }
}

/// How many of the words of two lines of the same pieces must be equal.
const ALIKE: f64 = 0.6;

/// Puts lines together that are of one kind, in the order in which the kinds appear.
///
/// # Errors
/// The number of a line without an address.
pub(super) fn group(lines: &[String]) -> Result<Vec<LineShape>, usize> {
    let mut groups: Vec<Vec<ShapedLine>> = Vec::new();
    let mut by_kinds: BTreeMap<Vec<TokenKind>, Vec<usize>> = BTreeMap::new();
    for (number, text) in lines.iter().enumerate() {
        let line = ShapedLine::new(number, text);
        if !line.tokens.iter().any(|t| t.kind == TokenKind::Address) {
            return Err(number);
        }
        let known = by_kinds.entry(line.kinds()).or_default();
        match known.iter().find(|&&group| alike(&groups[group][0], &line)) {
            Some(&group) => groups[group].push(line),
            None => {
                known.push(groups.len());
                groups.push(vec![line]);
            }
        }
    }
    let shapes = groups.into_iter().map(|lines| LineShape {
        accused: accused(&lines),
        lines,
    });
    Ok(shapes.collect())
}

/// Whether most words of letters are equal.
fn alike(one: &ShapedLine, other: &ShapedLine) -> bool {
    let (mut equal, mut all) = (0.0, 0.0);
    for (place, token) in one.tokens.iter().enumerate() {
        let (a, b) = (one.content(place), other.content(place));
        let letters = |text: &str| text.chars().any(char::is_alphabetic);
        if token.kind == TokenKind::Word && letters(a) && letters(b) {
            all += 1.0;
            equal += f64::from(u8::from(a == b));
        }
    }
    all == 0.0 || equal / all >= ALIKE
}

/// Words before the address of a client, and before one of the server's.
const OF_CLIENT: &[&str] = &[
    "rip",
    "from",
    "client",
    "client_ip",
    "clientip",
    "rhost",
    "src",
    "source",
    "remote",
    "peer",
    "remote_addr",
    "remote_ip",
    "raddr",
    "ip",
    "ipaddress",
    "host",
    "by",
    "addr",
    "address",
];
const OF_SERVER: &[&str] = &[
    "lip",
    "to",
    "dst",
    "destination",
    "server",
    "local",
    "listen",
    "listener",
    "upstream",
    "on",
    "laddr",
    "bind",
];

/// The place of the address to blame: what its word says comes first, then that it varies, then the
/// order.
fn accused(lines: &[ShapedLine]) -> usize {
    let first = &lines[0];
    let places = (0..first.tokens.len()).filter(|&at| first.tokens[at].kind == TokenKind::Address);
    let score = |place: &usize| {
        let key = first.key(*place).unwrap_or_default();
        let named = match key.as_str() {
            key if OF_CLIENT.contains(&key) => 2,
            key if OF_SERVER.contains(&key) => -4,
            _ => 0,
        };
        let varies = lines
            .iter()
            .any(|line| line.content(*place) != first.content(*place));
        named + i32::from(varies)
    };
    let best = places.max_by_key(|place| (score(place), std::cmp::Reverse(*place)));
    best.unwrap_or_default()
}
