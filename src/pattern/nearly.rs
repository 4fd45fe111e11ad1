//! [`Nearly`]: which one change would make a regex match a text that it does not match, for people
//! who want to know why.
//!
//! In: the source of a regex as configured, and a text. Out: the first [`RegexChange`] of a short list with
//! which it matches. Every change is tried, not guessed: what is told is true.

use super::probe::{class_length, is_flags, repeat_length};
use super::{FailRegex, Match, UseDns};

/// A change of a regex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegexChange {
    /// Without the `^` at its beginning.
    NoBegin,
    /// Without the `$` at its end.
    NoEnd,
    /// Without both.
    Neither,
    /// Without the quotes around it.
    NoQuotes,
    /// Without a part that stands for any sign, such as `.` or `\\S+`: the bytes of the source.
    Without {
        /// Where it begins.
        from: usize,
        /// Where it ends.
        to: usize,
    },
    /// Without regard to upper and lower case.
    AnyCase,
    /// With blanks of any number and kind where it has some.
    AnyBlanks,
    /// With a special character taken for itself: where it stands in the source, in bytes, and what
    /// it is; and where its partner stands that closes it.
    Plain {
        /// Where.
        at: usize,
        /// Which.
        sign: char,
        /// `]` or `)`.
        partner: Option<usize>,
    },
    /// With all special characters of a kind, or all there are, taken for themselves.
    AllPlain {
        /// Where the first stands.
        at: usize,
        /// Which it is.
        sign: char,
    },
}

/// A change that helps, and where the regex matches then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// The change.
    pub change: RegexChange,
    /// Where the match begins in the text, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// So many special characters are tried; a regex with more is no slip.
const MOST: usize = 40;

/// A regex with its changes.
#[derive(Debug)]
pub struct Nearly {
    usedns: UseDns,
    multiline: bool,
    /// Each change with the changed source; compiled when it is asked for the first time.
    changes: Vec<(RegexChange, String, Option<Option<FailRegex>>)>,
}

impl Nearly {
    /// For a regex that compiles with these settings, see [`FailRegex::new`].
    pub fn new(source: &str, usedns: UseDns, multiline: bool) -> Nearly {
        let changes = changes(source).into_iter();
        Nearly {
            usedns,
            multiline,
            changes: changes.map(|(change, text)| (change, text, None)).collect(),
        }
    }

    /// The first change with which it matches `text`.
    pub fn help(&mut self, text: &str) -> Option<Help> {
        let (usedns, multiline) = (self.usedns, self.multiline);
        self.changes.iter_mut().find_map(|(change, source, regex)| {
            let regex = regex.get_or_insert_with(|| FailRegex::new(source, usedns, multiline).ok());
            let found = regex.as_ref()?.regex().search(text).ok().flatten()?;
            let (start, end) = found.group(0)?;
            if cuts_address(regex.as_ref()?, &found, text) {
                return None;
            }
            // a sign that is in no part of the text was none that was meant for itself
            if let RegexChange::Plain { sign, .. } | RegexChange::AllPlain { sign, .. } = change
                && !text.get(start..end)?.contains(*sign)
            {
                return None;
            }
            Some(Help {
                change: change.clone(),
                start,
                end,
            })
        })
    }
}

/// Whether a match begins an address within a word: then it is not the one that the text has.
fn cuts_address(regex: &FailRegex, found: &Match, text: &str) -> bool {
    let groups = regex.groups();
    let ids = [groups.ip4, groups.ip6, groups.dns].into_iter().flatten();
    let mut starts = ids.filter_map(|group| found.group(group));
    starts.any(|(start, _)| {
        let before = text.get(..start).and_then(|text| text.chars().next_back());
        before.is_some_and(|sign| sign.is_alphanumeric() || sign == '.')
    })
}

/// For a source that is no regex: the special character that makes it none, as taken for itself it is
/// one.
pub fn repair(source: &str) -> Option<RegexChange> {
    let changes = changes(source).into_iter();
    let mut plain = changes.filter(|(change, _)| {
        matches!(
            change,
            RegexChange::Plain { .. } | RegexChange::AllPlain { .. }
        )
    });
    let found = plain.find(|(_, text)| FailRegex::new(text, UseDns::Warn, false).is_ok());
    found.map(|(change, _)| change)
}

/// All changes, those first that change least.
fn changes(source: &str) -> Vec<(RegexChange, String)> {
    let body = flags_length(source);
    let (flags, rest) = source.split_at(body);
    let no_begin = rest.strip_prefix('^').or_else(|| rest.strip_prefix("\\A"));
    let no_end = without_end(source);
    let mut changes = Vec::new();
    for quote in ['"', '\''] {
        let inner = source
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        changes.extend(inner.map(|inner| (RegexChange::NoQuotes, inner.to_owned())));
    }
    if let Some(end) = no_end {
        changes.push((RegexChange::NoEnd, source[..end].to_owned()));
    }
    if let Some(rest) = no_begin {
        changes.push((RegexChange::NoBegin, format!("{flags}{rest}")));
    }
    changes.push((RegexChange::AnyCase, format!("(?i){source}")));
    if let Some(blanks) = any_blanks(source) {
        changes.push((RegexChange::AnyBlanks, blanks));
    }
    let signs = signs(source);
    for &(at, sign, partner) in signs.iter().take(MOST) {
        let places: Vec<usize> = std::iter::once(at).chain(partner).collect();
        let change = RegexChange::Plain { at, sign, partner };
        changes.push((change, escaped(source, &places)));
    }
    for kind in ["[", "(", "[(?+*{|$^"] {
        let alike: Vec<_> = signs
            .iter()
            .filter(|(_, sign, _)| kind.contains(*sign))
            .collect();
        let [(at, sign, _), _, ..] = alike.as_slice() else {
            continue;
        };
        let (at, sign) = (*at, *sign);
        let places = alike
            .iter()
            .flat_map(|(at, _, partner)| std::iter::once(*at).chain(*partner));
        let places: Vec<usize> = places.collect();
        changes.push((RegexChange::AllPlain { at, sign }, escaped(source, &places)));
    }
    for (from, to) in wildcards(source).into_iter().take(MOST) {
        let without = format!("{}{}", &source[..from], &source[to..]);
        changes.push((RegexChange::Without { from, to }, without));
    }
    if let (Some(rest), Some(end)) = (no_begin, no_end) {
        let from = source.len() - rest.len();
        if let Some(rest) = source.get(from..end) {
            changes.push((RegexChange::Neither, format!("{flags}{rest}")));
        }
    }
    changes
}

/// `(?i)` at the beginning.
fn flags_length(source: &str) -> usize {
    match is_flags(source) {
        true => source.find(')').map_or(0, |at| at + 1),
        false => 0,
    }
}

/// Where the `$` at the end stands, if one does.
fn without_end(source: &str) -> Option<usize> {
    let body = source
        .strip_suffix('$')
        .or_else(|| source.strip_suffix("\\Z"))?;
    let slashes = body.bytes().rev().take_while(|byte| *byte == b'\\').count();
    (slashes % 2 == 0).then_some(body.len())
}

/// What a source consists of, as far as it matters here: each part with its place.
enum SourcePart {
    /// `\x`
    Escape,
    /// A class, with the place of its end.
    Class(usize),
    /// A character that stands for itself or is special.
    Sign(char),
}

/// Goes through a source.
fn walk(source: &str, mut each: impl FnMut(usize, &SourcePart, &str)) {
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        let rest = &source[at..];
        let (part, length) = match first {
            '\\' => {
                let next = rest[1..].chars().next().map_or(0, char::len_utf8);
                (SourcePart::Escape, 1 + next)
            }
            '[' => {
                let length = class_length(rest);
                (SourcePart::Class(at + length - 1), length)
            }
            first => (SourcePart::Sign(first), first.len_utf8()),
        };
        each(at, &part, &rest[..length]);
        at += length;
    }
}

/// Every run of blanks outside of classes made one for any blanks; `None`: it has none.
fn any_blanks(source: &str) -> Option<String> {
    let mut out = String::new();
    let mut any = false;
    let mut in_run = false;
    walk(source, |_, part, text| {
        let blank = matches!(part, SourcePart::Sign(' ' | '\t')) || text == "\\ ";
        match (blank, in_run) {
            (true, false) => out.push_str("\\s+"),
            (true, true) => {}
            (false, _) => out.push_str(text),
        }
        any |= blank;
        in_run = blank;
    });
    any.then_some(out)
}

/// The special characters that may be meant for themselves.
fn signs(source: &str) -> Vec<(usize, char, Option<usize>)> {
    let bytes = source.as_bytes();
    let last = source.len().saturating_sub(1);
    let mut found: Vec<(usize, char, Option<usize>)> = Vec::new();
    let mut open: Vec<(usize, bool)> = Vec::new();
    walk(source, |at, part, _| match part {
        SourcePart::Class(end) => {
            found.push((at, '[', (bytes.get(*end) == Some(&b']')).then_some(*end)))
        }
        SourcePart::Sign('(') => open.push((at, bytes.get(at + 1) != Some(&b'?'))),
        SourcePart::Sign(')') => {
            if let Some((from, true)) = open.pop() {
                found.push((from, '(', Some(at)));
            }
        }
        SourcePart::Sign(sign @ ('?' | '+' | '*' | '{' | '|')) => {
            // a mark behind `(` belongs to the group
            let of_group = *sign == '?' && at > 0 && bytes[at - 1] == b'(';
            if !of_group {
                found.push((at, *sign, None));
            }
        }
        SourcePart::Sign(sign @ ('$' | '^')) if at > 0 && at < last => {
            found.push((at, *sign, None))
        }
        _ => {}
    });
    found.sort_unstable();
    found
}

/// The parts of a source that stand for any sign or for a sign of a kind, with their repeats.
fn wildcards(source: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    walk(source, |at, part, text| {
        let kinds = ["\\d", "\\s", "\\S", "\\w", "\\W", "\\D"];
        let any = match part {
            SourcePart::Sign('.') | SourcePart::Class(_) => true,
            SourcePart::Escape => kinds.contains(&text),
            SourcePart::Sign(_) => false,
        };
        if any {
            let end = at + text.len();
            found.push((at, end + repeat_length(&source[end..])));
        }
    });
    found
}

/// The source with a backslash before each of these places.
fn escaped(source: &str, places: &[usize]) -> String {
    let mut out = String::with_capacity(source.len() + places.len());
    for (at, sign) in source.char_indices() {
        if places.contains(&at) {
            out.push('\\');
        }
        out.push(sign);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(source: &str, text: &str) -> Option<Help> {
        Nearly::new(source, UseDns::Warn, false).help(text)
    }

    #[track_caller]
    fn check(source: &str, text: &str, change: RegexChange) {
        let found = help(source, text).map(|help| help.change);
        assert_eq!(found, Some(change), "{source} in {text}");
    }

    #[test]
    fn one_change_that_helps_is_found() {
        check(
            "^denied <HOST>",
            "app: denied 192.0.2.1",
            RegexChange::NoBegin,
        );
        check(
            "(?i)^DENIED <HOST>",
            "a: denied 192.0.2.1",
            RegexChange::NoBegin,
        );
        check(
            "denied <HOST>$",
            "denied 192.0.2.1 port 7",
            RegexChange::NoEnd,
        );
        check("^b <HOST>$", "a b 192.0.2.1 c", RegexChange::Neither);
        check("\"^no <HOST>$\"", "no 192.0.2.1", RegexChange::NoQuotes);
        check("^Denied <HOST>$", "denied 192.0.2.1", RegexChange::AnyCase);
        check(
            "^a b <HOST>$",
            "a  b\u{a0}192.0.2.1",
            RegexChange::AnyBlanks,
        );
        let plain = |at, sign, partner| RegexChange::Plain { at, sign, partner };
        check("^[<HOST>] no$", "[192.0.2.1] no", plain(1, '[', Some(8)));
        check("^(x) <HOST>$", "(x) 192.0.2.1", plain(1, '(', Some(3)));
        check("^a.php?x <HOST>$", "a.php?x 192.0.2.1", plain(6, '?', None));
        check(
            "^[app] [<HOST>] no$",
            "[app] [192.0.2.1] no",
            RegexChange::AllPlain { at: 1, sign: '[' },
        );
        check(
            "^p[7]: no <HOST> (x)$",
            "p[7]: no 192.0.2.1 (x)",
            RegexChange::AllPlain { at: 2, sign: '[' },
        );
        check(
            "^.*to \\(<HOST>.\\).*$",
            "no to (192.0.2.1) x",
            RegexChange::Without { from: 14, to: 15 },
        );
        let found = help("^no <HOST>", "so no 192.0.2.1 x").unwrap();
        assert_eq!((found.start, found.end), (3, 15));
    }

    #[test]
    fn what_makes_it_no_regex_is_found() {
        let plain = |at, sign, partner| Some(RegexChange::Plain { at, sign, partner });
        assert_eq!(repair("^a [<HOST>] no$"), plain(3, '[', Some(10)));
        assert_eq!(repair("^*a <HOST>$"), plain(1, '*', None));
        assert_eq!(repair("^a <HOST>)$"), None);
    }

    #[test]
    fn what_needs_more_than_one_is_left() {
        assert_eq!(help("^denied <HOST>$", "accepted 192.0.2.1"), None);
        assert_eq!(help("^no (?!a|b)\\w+ <HOST>$", "no a 192.0.2.1"), None);
        // an escaped sign stands for itself already
        assert_eq!(without_end("a\\$"), None);
        assert_eq!(without_end("a\\\\$"), Some(3));
        assert!(
            signs("a\\?(?:b)[?]")
                .iter()
                .all(|(_, sign, _)| *sign == '[')
        );
    }
}
