//! Splits a text into tokens: words, signs, blanks, addresses, and quoted text.

use crate::address::Address;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TokenKind {
    /// Blanks.
    Blank,
    /// One character that joins or parts words.
    Sign(char),
    /// Letters, digits and what holds names and paths together.
    Word,
    /// An IP address.
    Address,
    /// What stands between these two, them included.
    Quoted(char, char),
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineToken {
    pub(super) kind: TokenKind,
    /// Where it begins, in bytes.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
}

impl LineToken {
    /// Its text; of what is quoted the part between the quotes.
    pub(super) fn content<'t>(&self, text: &'t str) -> &'t str {
        let (start, end) = self.inner();
        &text[start..end]
    }

    /// Where the content stands.
    pub(super) fn inner(&self) -> (usize, usize) {
        match self.kind {
            TokenKind::Quoted(open, close) => {
                (self.start + open.len_utf8(), self.end - close.len_utf8())
            }
            _ => (self.start, self.end),
        }
    }
}

const QUOTES: [(char, char); 3] = [('"', '"'), ('\'', '\''), ('<', '>')];

/// Cuts a text into pieces. An address in quotes is one only where none stands outside of them.
pub(super) fn tokens(text: &str) -> Vec<LineToken> {
    let closed = cut(text, true);
    match closed.iter().any(|token| token.kind == TokenKind::Address) {
        true => closed,
        false => cut(text, false),
    }
}

fn cut(text: &str, keep_quotes: bool) -> Vec<LineToken> {
    let mut tokens: Vec<LineToken> = Vec::new();
    // where quotes end that were taken for signs
    let mut ends: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let before = text[..at].chars().next_back();
        let word_before = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let quote = quoted(rest, word_before).filter(|_| !ends.contains(&at));
        let opened = quote.is_some_and(|length| is_opened(&rest[..length], keep_quotes));
        let (kind, length) = if first.is_whitespace() {
            (TokenKind::Blank, length_of(rest, char::is_whitespace))
        } else if let Some(length) = address(rest).filter(|_| !word_before) {
            (TokenKind::Address, length)
        } else if let Some(length) = quote.filter(|_| !opened) {
            let close = rest[..length].chars().next_back().unwrap_or(first);
            (TokenKind::Quoted(first, close), length)
        } else if is_of_word(first) {
            (TokenKind::Word, word(rest))
        } else {
            (TokenKind::Sign(first), first.len_utf8())
        };
        if opened {
            ends.extend(quote.map(|length| at + length - 1));
        }
        tokens.push(LineToken {
            kind,
            start: at,
            end: at + length,
        });
        at += length;
    }
    tokens
}

fn length_of(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "_-./@+\\%?&~$!^".contains(c)
}

/// How long the word is at the beginning; the full stop of a sentence is not part of it.
fn word(text: &str) -> usize {
    let length = length_of(text, is_of_word);
    let trimmed = text[..length].trim_end_matches('.').len();
    let ends_sentence = text[length..]
        .chars()
        .next()
        .is_none_or(char::is_whitespace);
    match ends_sentence && trimmed > 0 {
        true => trimmed,
        false => length,
    }
}

/// How long the address is at the beginning, if there is one.
fn address(text: &str) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
    let run = &text[..length_of(text, is_part)];
    let after = text[run.len()..].chars().next();
    let is_address = |text: &str| {
        text.contains(|c: char| c.is_ascii_digit())
            && matches!(Address::parse_ip(text), Some(Address::Ip(_)))
    };
    if !after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        let whole = run.trim_end_matches(['.', ':']);
        if is_address(whole) {
            return Some(whole.len());
        }
    }
    // an address and a port, or words behind a colon
    let first = run.split_once(':').map(|(host, _)| host);
    let last = run.rsplit_once(':').map(|(host, _)| host);
    let host = first
        .into_iter()
        .chain(last)
        .find(|host| is_address(host))?;
    Some(host.len())
}

/// How long what is quoted is at the beginning, its quotes included.
fn quoted(text: &str, word_before: bool) -> Option<usize> {
    let open = text.chars().next()?;
    let (_, close) = *QUOTES.iter().find(|(begin, _)| *begin == open)?;
    // an apostrophe is no quote
    if open == '\'' && word_before {
        return None;
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        let after = text[at + 1..].chars().next().filter(|_| c == close);
        let is_apostrophe = open == '\'' && after.is_some_and(char::is_alphanumeric);
        if c == close && !escaped && !is_apostrophe {
            return Some(at + 1);
        }
        if c == open && open == '<' {
            return None;
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// Whether quotes are signs like others, as there is an address between them.
fn is_opened(quoted: &str, keep_quotes: bool) -> bool {
    let content = &quoted[1..quoted.len() - 1];
    let begins = address(content);
    let whole =
        begins.is_some_and(|length| length == content.len() || content[length..].starts_with(':'));
    let holds = || {
        cut(content, true)
            .iter()
            .any(|token| token.kind == TokenKind::Address)
    };
    whole || (!keep_quotes || quoted.starts_with('<')) && holds()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let tokens = tokens(text);
        let shown = tokens.iter().filter(|token| token.kind != TokenKind::Blank);
        shown
            .map(|token| {
                let mark = match token.kind {
                    TokenKind::Address => "@",
                    TokenKind::Quoted(..) => "q",
                    TokenKind::Word => "w",
                    TokenKind::Sign(_) | TokenKind::Blank => "",
                };
                format!("{mark}{}", &text[token.start..token.end])
            })
            .collect()
    }

    #[test]
    fn addresses_ports_and_quotes_are_told_apart() {
        for (text, expected) in [
            ("from 192.0.2.1 port 22", "wfrom @192.0.2.1 wport w22"),
            ("from 192.0.2.1:5060.", "wfrom @192.0.2.1 : w5060 w."),
            ("[2001:db8::1]: no.", "[ @2001:db8::1 ] : wno w."),
            ("2001:db8::1:40222 no", "@2001:db8::1 : w40222 wno"),
            ("at 10:00:00 aa:bb", "wat w10 : w00 : w00 waa : wbb"),
            ("client 192.0.2.1#53", "wclient @192.0.2.1 # w53"),
            (
                "user=<bob x>, rip=192.0.2.1",
                "wuser = q<bob x> , wrip = @192.0.2.1",
            ),
            ("\"x 192.0.2.1\" 192.0.2.2", "q\"x 192.0.2.1\" @192.0.2.2"),
            ("\"ip\":\"192.0.2.1\"", "q\"ip\" : \" @192.0.2.1 \""),
            ("\"x 192.0.2.1\"", "\" wx @192.0.2.1 \""),
            (
                "\"ip\":\"192.0.2.1\",\"a\":\"b\"",
                "q\"ip\" : \" @192.0.2.1 \" , q\"a\" : q\"b\"",
            ),
            ("can't 'x y' o'z'", "wcan ' wt q'x y' wo ' wz '"),
            (r#""a \" b" 192.0.2.1"#, r#"q"a \" b" @192.0.2.1"#),
        ] {
            let joined = shown(text).join(" ");
            assert_eq!(joined, expected, "{text}");
        }
    }
}
