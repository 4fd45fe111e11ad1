//! fail2ban's tags → Python `re` source (facts R5–R20).
//!
//! The result is what users see with `get JAIL failregex`, so it is spelled exactly like the
//! original's.

use std::collections::HashSet;

use super::UseDns;

/// A short form that stands for an expression of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Short {
    Ip4,
    Ip6,
    Dns,
    Addr,
    Host,
    Cidr,
    Subnet,
    Id,
    Port,
}

/// What stands between the angle brackets of a short form.
const SHORT: [(&str, Short); 15] = [
    ("IP4", Short::Ip4),
    ("F-IP4/", Short::Ip4),
    ("IP6", Short::Ip6),
    ("F-IP6/", Short::Ip6),
    ("DNS", Short::Dns),
    ("F-DNS/", Short::Dns),
    ("ADDR", Short::Addr),
    ("F-ADDR/", Short::Addr),
    ("CIDR", Short::Cidr),
    ("F-CIDR/", Short::Cidr),
    ("SUBNET", Short::Subnet),
    ("F-SUBNET/", Short::Subnet),
    ("HOST", Short::Host),
    ("F-ID/", Short::Id),
    ("F-PORT/", Short::Port),
];

/// The tags that stand for an expression, without their angle brackets.
pub fn short_tags() -> impl Iterator<Item = &'static str> {
    SHORT.iter().map(|(tag, _)| *tag)
}

impl Short {
    /// The tag's text between the angle brackets.
    fn of(tag: &str) -> Option<Short> {
        let row = SHORT.iter().find(|(name, _)| *name == tag);
        row.map(|(_, short)| *short)
    }

    fn write(self, out: &mut String, usedns: UseDns) {
        match self {
            // Dotted quad without range check, IPv4-mapped IPv6 in front allowed.
            Short::Ip4 => out.push_str(r"(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})"),
            Short::Ip6 => out.push_str(concat!(
                r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}",
                r"(?:[0-9a-fA-F]{1,4}|(?<=:):))"
            )),
            Short::Dns => out.push_str(r"(?P<dns>[\w\-.^_]*\w)"),
            Short::Cidr => out.push_str(r"(?P<cidr>\d+)"),
            Short::Id => out.push_str(r"(?P<fid>\S+)"),
            Short::Port => out.push_str(r"(?P<fport>\w+)"),
            Short::Addr => {
                out.push_str(r"\[?(?:");
                Short::Ip4.write(out, usedns);
                out.push('|');
                Short::Ip6.write(out, usedns);
                out.push_str(r")\]?");
            }
            Short::Subnet => {
                out.push_str(r"\[?(?:");
                Short::Ip4.write(out, usedns);
                out.push('|');
                Short::Ip6.write(out, usedns);
                out.push_str(")(?:/");
                Short::Cidr.write(out, usedns);
                out.push_str(r")?\]?");
            }
            Short::Host if usedns == UseDns::No => Short::Addr.write(out, usedns),
            Short::Host => {
                out.push_str("(?:");
                Short::Addr.write(out, usedns);
                out.push('|');
                Short::Dns.write(out, usedns);
                out.push(')');
            }
        }
    }
}

/// Replaces the tags of a regex as configured.
pub(super) fn expand(source: &str, usedns: UseDns) -> String {
    expand_marking(source, usedns, |_, _| {})
}

/// Where in a regex as configured that stands which is at a character of the expanded one: a byte, that
/// of a tag for all that the tag stands for.
pub fn place_in_source(source: &str, usedns: UseDns, character: usize) -> usize {
    let expanded = expand(source, usedns);
    let places = expanded.char_indices().map(|(byte, _)| byte);
    let wanted = places.chain([expanded.len()]).nth(character);
    let wanted = wanted.unwrap_or(expanded.len());
    let mut place = 0;
    expand_marking(source, usedns, |from, to| {
        if to <= wanted {
            let is_text = !source[from..].starts_with('<');
            place = from + if is_text { wanted - to } else { 0 };
        }
    });
    place.min(source.len())
}

/// As [`expand`]; `mark` is told of each piece, a text or a tag, where it begins in `source` and in what
/// comes of it.
fn expand_marking(source: &str, usedns: UseDns, mut mark: impl FnMut(usize, usize)) -> String {
    let mut out = String::with_capacity(source.len() + 256);
    let mut opened = HashSet::new();
    let mut skiplines = 0;
    let mut rest = source;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        mark(source.len() - rest.len(), out.len());
        out.push_str(before);
        mark(source.len() - from.len(), out.len());
        let Some(tag) = leading_tag(from) else {
            out.push('<');
            rest = &from[1..];
            continue;
        };
        rest = &from[tag.len()..];
        let inside = &tag[1..tag.len() - 1];
        if let Some(short) = Short::of(inside) {
            short.write(&mut out, usedns);
        } else if inside == "SKIPLINES" {
            out.push_str(&format!(r"\n(?P<skiplines{skiplines}>(?:(?:.*\n)*?))"));
            skiplines += 1;
        } else {
            match group_tag(inside) {
                Some((true, name)) if opened.contains(name) => out.push(')'),
                Some((false, name)) => {
                    opened.insert(name);
                    out.push_str(&format!("(?P<{}>", group_name(name)));
                }
                _ => out.push_str(tag),
            }
        }
    }
    mark(source.len() - rest.len(), out.len());
    out.push_str(rest);
    out
}

/// `<word>`, `</word>` or `<word/>` at the start of `text`.
pub fn leading_tag(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('<')?;
    let word = inside.strip_prefix('/').unwrap_or(inside);
    let end = word
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
        .filter(|end| *end > 0)?;
    let after = &word[end..];
    let after = after.strip_prefix('/').unwrap_or(after);
    let after = after.strip_prefix('>')?;
    Some(&text[..text.len() - after.len()])
}

/// `F-NAME` or (true) `/F-NAME`: the name.
fn group_tag(inside: &str) -> Option<(bool, &str)> {
    let (closing, tag) = match inside.strip_prefix('/') {
        Some(tag) => (true, tag),
        None => (false, inside),
    };
    let name = tag.strip_prefix("F-")?;
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (!name.is_empty() && name.bytes().all(allowed)).then_some((closing, name))
}

/// The group a name stands for: lower case, two of them spelled differently.
pub(super) fn group_name(name: &str) -> String {
    match name.to_lowercase().as_str() {
        "id" => "fid".to_owned(),
        "port" => "fport".to_owned(),
        name => name.to_owned(),
    }
}

/// `((?i)x)` and `(?:(?i)x)` → `(?i:x)`: flags in front of a group's content become the group's
/// own (fact R1). A parenthesis after a backslash opens no group.
pub(super) fn scope_flags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('(') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        // What was written last is what stands before the parenthesis, unless a rewrite did it,
        // which never ends in a backslash.
        let flags = if out.ends_with('\\') {
            None
        } else {
            leading_flags(from)
        };
        match flags {
            Some((flags, after)) => {
                out.push_str("(?");
                out.push_str(flags);
                out.push(':');
                rest = after;
            }
            None => {
                out.push('(');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The flag letters of `((?letters)` or `(?:(?letters)` at the start of `text`, and what follows.
fn leading_flags(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('(')?;
    let inside = inside.strip_prefix("?:").unwrap_or(inside);
    let letters = inside.strip_prefix("(?")?;
    let end = letters.find(|c: char| !c.is_ascii_lowercase())?;
    let after = letters[end..].strip_prefix(')')?;
    (end > 0).then_some((&letters[..end], after))
}
