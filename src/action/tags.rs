//! Expands tags in commands: `<name>` is replaced by properties of the action, recursively, then by values of
//! the ticket, once (facts A26–A31).
//!
//! In: a command, the properties and the values. Out: a [`Script`] for `/bin/sh -c`. A value that a shell could
//! misread never becomes part of the script: it is passed as a positional argument and the script has a
//! variable for it, so that no log line can run a command.
#![forbid(unsafe_code)]

use crate::control::Value;
use crate::exec::script::{Script, Values, is_special};
use crate::sys::hosts::HostNames;

mod properties;

pub use properties::{PropertyTexts, replace_static, resolve_properties};

/// Why a command could not be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TagError {
    /// A property that contains itself, directly or through others.
    #[error(
        "properties contain self referencing definitions and cannot be resolved, fail tag: {tag}, found: {found} in {counts}, value: {value}"
    )]
    SelfReference {
        /// The property.
        tag: String,
        /// The tag found in it.
        found: String,
        /// Replacements so far, as Python prints a dict.
        counts: String,
        /// What it had become.
        value: String,
    },
    /// The command goes on changing.
    #[error(
        "unexpected too long replacement interpolation, possible self referencing definitions in query: {0}"
    )]
    Endless(String),
    /// A value grew beyond one MiB.
    #[error("replacement of tags grows without limit, fail tag: {0}")]
    TooLong(String),
}

impl TagError {
    /// As Python prints the exception.
    pub fn repr(&self) -> String {
        format!("ValueError({})", Value::from(self.to_string()).repr())
    }
}

/// Tags that need no property and no ticket (fact A27).
fn host_tag<'a>(names: &'a HostNames, tag: &str) -> Option<&'a str> {
    match tag {
        "br" => Some("\n"),
        "sp" => Some(" "),
        "fq-hostname" => Some(&names.full),
        "sh-hostname" => Some(&names.short),
        _ => None,
    }
}

/// The next `<tag>` at or after `from`: its byte range, brackets included, and its name.
pub fn next_tag(text: &str, from: usize) -> Option<(std::ops::Range<usize>, &str)> {
    let mut start = from + text.get(from..)?.find('<')?;
    loop {
        let inner = start + 1;
        let stop = inner + text[inner..].find(['<', '>', ' '])?;
        if text.as_bytes()[stop] == b'>' && stop > inner {
            return Some((start..stop + 1, &text[inner..stop]));
        }
        start = match text.as_bytes()[stop] {
            b'<' => stop,
            _ => stop + text[stop..].find('<')?,
        };
    }
}

/// Replaces every tag that `value` knows, once; others stay.
fn replace_once(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut from = 0;
    while let Some((range, tag)) = next_tag(text, from) {
        if let Some(replacement) = value(tag) {
            out.push_str(&text[done..range.start]);
            out.push_str(&replacement);
            done = range.end;
        }
        from = range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// Backslashes before special characters; line ends become `\n` and `\r`.
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if is_special(c) {
            out.push('\\');
        }
        out.push(match c {
            '\n' => 'n',
            '\r' => 'r',
            c => c,
        });
    }
    out
}

/// The name of the captured field that `<F-NAME>` shows, or `None` when the tag is none of those.
pub fn field_of_tag(tag: &str) -> Option<String> {
    let name = tag.strip_prefix("F-")?;
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    Some(match name {
        "ID" => "fid".to_owned(),
        "PORT" => "fport".to_owned(),
        name => name.to_ascii_lowercase(),
    })
}

/// Replaces the tags of a command by what is known of a ticket, once and never recursively (fact
/// A29). `value` answers tags, `field` captured fields; a field that is not there is empty text.
pub fn replace_dynamic(
    command: &str,
    names: &HostNames,
    mut value: impl FnMut(&str) -> Option<String>,
    mut field: impl FnMut(&str) -> Option<String>,
) -> Script {
    let mut values = Values::default();
    let text = replace_once(command, |tag| match value(tag) {
        Some(value) => Some(values.mark(tag, value)),
        None => host_tag(names, tag).map(str::to_owned),
    });
    let text = match text.contains('<') {
        true => replace_once(&text, |tag| {
            let name = field_of_tag(tag)?;
            Some(values.mark(&format!("F_{name}"), field(&name).unwrap_or_default()))
        }),
        false => text,
    };
    values.script(text)
}

#[cfg(test)]
mod tests {
    use super::properties::MAX_LENGTH;
    use super::*;

    fn names() -> HostNames {
        HostNames {
            full: "vm.example.org".into(),
            short: "vm".into(),
        }
    }

    fn texts(pairs: &[(&str, &str)]) -> PropertyTexts {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn expand(pairs: &[(&str, &str)], query: &str, condition: &str) -> Result<String, TagError> {
        let resolved = resolve_properties(&texts(pairs), condition)?;
        replace_static(query, &resolved, condition, &names())
    }

    #[test]
    fn tags_are_found_where_brackets_hold_no_blank() {
        let found = |text| {
            let mut out = Vec::new();
            let mut from = 0;
            while let Some((range, tag)) = next_tag(text, from) {
                out.push(tag.to_owned());
                from = range.end;
            }
            out
        };
        assert_eq!(found("a<b>c<d e><<f>> <> <g<h>"), ["b", "f", "h"]);
        assert_eq!(found("2>&1 </dev/null >x <y\nz>"), ["y\nz"]);
        assert!(found("<").is_empty());
    }

    #[test]
    fn properties_resolve_recursively_and_by_family() {
        let pairs = [
            ("iptables", "iptables <lockingopt>"),
            ("iptables?family=inet6", "ip6tables <lockingopt>"),
            ("lockingopt", "-w"),
            ("actionban", "<iptables> -I f2b-<name> 1 -s <ip> <nothing>"),
            ("name", "ssh<x<y>>"),
            ("y", "z"),
            ("xz", "d"),
        ];
        assert_eq!(
            expand(&pairs, "<actionban>", "family=inet4").as_deref(),
            Ok("iptables -w -I f2b-sshd 1 -s <ip> <nothing>")
        );
        assert_eq!(
            expand(&pairs, "<actionban>", "family=inet6").as_deref(),
            Ok("ip6tables -w -I f2b-sshd 1 -s <ip> <nothing>")
        );
        assert_eq!(
            expand(&pairs, "<br><sp><sh-hostname> <fq-hostname>", "").as_deref(),
            Ok("\n vm vm.example.org")
        );
    }

    #[test]
    fn self_references_are_errors() {
        for pairs in [
            vec![("a", "<a>")],
            vec![("a", "<b>"), ("b", "<a>")],
            vec![("a", "x<b>"), ("b", "<c>"), ("c", "y<a>")],
        ] {
            let error = expand(&pairs, "<a>", "").unwrap_err();
            assert!(
                error.to_string().starts_with(
                    "properties contain self referencing definitions and cannot be resolved, fail tag: "
                ),
                "{error}"
            );
        }
        let doubling: Vec<(String, String)> = (0..64)
            .map(|n| {
                (
                    format!("t{n:02}"),
                    format!("<t{:02}><t{:02}>", n + 1, n + 1),
                )
            })
            .chain([("t64".to_owned(), "laugh".to_owned())])
            .collect();
        let pairs: Vec<(&str, &str)> = doubling.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert!(expand(&pairs, "<t00>", "").is_err());
    }

    /// Found by fuzzing: from a short value to gigabytes in one step, or in many properties.
    #[test]
    fn growth_is_bounded_before_it_happens() {
        let big = "x".repeat(MAX_LENGTH / 2);
        let many = "<big>".repeat(100_000);
        let lines = "<matches>".repeat(100_000);
        for pairs in [
            vec![("big", &*big), ("many", &*many)],
            vec![("matches", &*big), ("many", &*lines)],
        ] {
            assert!(expand(&pairs, "<many>", "").is_err());
        }
        let names: Vec<String> = (0..100).map(|n| format!("o{n}")).collect();
        let mut pairs: Vec<_> = names.iter().map(|name| (&**name, "<big>")).collect();
        pairs.push(("big", &*big));
        assert!(expand(&pairs, "<o1>", "").is_err());
    }

    #[test]
    fn matches_are_escaped_when_a_property_has_that_name() {
        assert_eq!(
            expand(&[("matches", "a\n$(b)"), ("x", "<matches>")], "<x>", "").as_deref(),
            Ok("a\\n\\$\\(b\\)")
        );
    }

    #[test]
    fn dangerous_values_become_variables() {
        let script = replace_dynamic(
            "echo <ip> '<F-USER>' \"<matches>\" <F-NONE>|<F-ID> <time> <x>",
            &names(),
            |tag| match tag {
                "ip" => Some("192.0.2.1".into()),
                "matches" => Some("a\n`id`".into()),
                "time" => Some("two words".into()),
                _ => None,
            },
            |field| match field {
                "user" => Some("$(id)".into()),
                "fid" => Some("<ip>".into()),
                _ => None,
            },
        );
        assert_eq!(
            script.text,
            "f2bV_matches=$0 f2bV_F_user=$1 f2bV_F_fid=$2 \n\
             echo 192.0.2.1 '$f2bV_F_user' \"$f2bV_matches\" |$f2bV_F_fid two words <x>"
        );
        let values: Vec<&str> = script.variables.iter().map(|(_, v)| v.as_str()).collect();
        assert_eq!(values, ["a\n`id`", "$(id)", "<ip>"]);
        assert_eq!(script.body().lines().count(), 1);
        assert!(script.shown().starts_with("['f2bV_matches=$0 "));
        assert!(script.spelled_out().starts_with("f2bV_matches='a\n`id`'\n"));
    }

    #[test]
    fn fields_are_named_as_filters_capture_them() {
        assert_eq!(field_of_tag("F-USER").as_deref(), Some("user"));
        assert_eq!(field_of_tag("F-ID").as_deref(), Some("fid"));
        assert_eq!(field_of_tag("F-PORT").as_deref(), Some("fport"));
        assert_eq!(field_of_tag("F-user"), None);
        assert_eq!(field_of_tag("USER"), None);
    }
}
