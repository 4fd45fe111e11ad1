//! [`FailRegex`]: a prefregex, failregex or ignoreregex with its tags expanded and its groups
//! sorted by what they mean to a filter.

use std::sync::Arc;

use super::tags::{expand, group_name, scope_flags};
use super::{Flags, PatternError, Regex, UseDns, compile};
use crate::python::text::strip;

/// The groups that mean something to a filter: numbers into a
/// [`Match`](super::Match). A regex has each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// `fid`: any id (fact R12).
    pub fid: Option<usize>,
    /// `ip4` (fact R5).
    pub ip4: Option<usize>,
    /// `ip6` (fact R6).
    pub ip6: Option<usize>,
    /// `dns`: a host name (fact R8).
    pub dns: Option<usize>,
    /// `cidr`: prefix length of the address (fact R10).
    pub cidr: Option<usize>,
    /// `host`: fail2ban 0.8's form of `<HOST>`; holds an address if it looks like one, else a
    /// host name.
    pub host: Option<usize>,
    /// `mlfid`: session key (fact R18).
    pub mlfid: Option<usize>,
    /// `content`: what the failregexes get to see (fact R17).
    pub content: Option<usize>,
    /// `nofail` (fact R19).
    pub nofail: Option<usize>,
    /// `mlfforget` (fact R19).
    pub mlfforget: Option<usize>,
    /// `mlfgained` (fact R19).
    pub mlfgained: Option<usize>,
    /// `alt_NAME`, `alt_NAME_n`, sorted by group name (fact R14).
    pub alternatives: Vec<FieldGroup>,
    /// `tuple_NAME`, `tuple_NAME_n`, sorted by group name (fact R15).
    pub tuples: Vec<FieldGroup>,
}

/// A group that feeds a field of another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldGroup {
    /// Number of the group.
    pub group: usize,
    /// The field it feeds.
    pub field: Arc<str>,
}

impl Groups {
    fn of(names: &[Option<String>]) -> Groups {
        let mut groups = Groups::default();
        let mut named: Vec<(&str, usize)> = names
            .iter()
            .enumerate()
            .filter_map(|(i, name)| name.as_deref().map(|name| (name, i)))
            .collect();
        named.sort_unstable();
        for (name, group) in named {
            let slot = match name {
                "fid" => &mut groups.fid,
                "ip4" => &mut groups.ip4,
                "ip6" => &mut groups.ip6,
                "dns" => &mut groups.dns,
                "cidr" => &mut groups.cidr,
                "host" => &mut groups.host,
                "mlfid" => &mut groups.mlfid,
                "content" => &mut groups.content,
                "nofail" => &mut groups.nofail,
                "mlfforget" => &mut groups.mlfforget,
                "mlfgained" => &mut groups.mlfgained,
                name => {
                    if let Some(field) = part_field(name, "alt_") {
                        groups.alternatives.push(FieldGroup { group, field });
                    } else if let Some(field) = part_field(name, "tuple_") {
                        groups.tuples.push(FieldGroup { group, field });
                    }
                    continue;
                }
            };
            *slot = Some(group);
        }
        groups
    }

    /// Whether one of the groups can name an offender, or a session that may.
    pub fn has_id(&self) -> bool {
        [
            self.fid, self.ip4, self.ip6, self.dns, self.host, self.mlfid,
        ]
        .iter()
        .any(Option::is_some)
    }
}

/// The field that the group `name` feeds, if the name starts with `prefix`: without the prefix
/// and without a number at the end.
fn part_field(name: &str, prefix: &str) -> Option<Arc<str>> {
    let field = name.strip_prefix(prefix)?;
    if name.len() <= "alt_".len() {
        return None;
    }
    let field = match field.rsplit_once('_') {
        Some((stem, number))
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            stem
        }
        _ => field,
    };
    Some(group_name(field).into())
}

/// A prefregex, failregex or ignoreregex: tags expanded, compiled, its groups sorted out.
#[derive(Clone, Debug)]
pub struct FailRegex {
    source: Arc<str>,
    regex: Arc<Regex>,
    groups: Arc<Groups>,
}

impl FailRegex {
    /// Expands the tags of `source` (facts R5–R20) and compiles it. Does not require an id group:
    /// see [`FailRegex::has_id`].
    ///
    /// # Errors
    /// Empty source or what Python's `re` refuses.
    pub fn new(source: &str, usedns: UseDns, multiline: bool) -> Result<FailRegex, PatternError> {
        let expanded = expand(source, usedns);
        if strip(&expanded).is_empty() {
            return Err(PatternError::Empty);
        }
        let flags = Flags {
            multiline,
            ignore_case: false,
            late: true,
        };
        let regex = compile(&scope_flags(&expanded), flags)?;
        Ok(FailRegex {
            source: source.into(),
            groups: Arc::new(Groups::of(regex.group_names())),
            regex,
        })
    }

    /// The text as configured.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text after tag expansion, what `get JAIL failregex` shows.
    pub fn expanded(&self) -> &str {
        self.regex.source()
    }

    /// The compiled regex.
    pub fn regex(&self) -> &Arc<Regex> {
        &self.regex
    }

    /// Whether global flags stand behind its beginning, which Python refuses since 3.11.
    pub(super) fn has_late_flags(&self) -> bool {
        let strict = Flags {
            late: false,
            ..self.regex.flags()
        };
        Regex::new(self.expanded(), strict).is_err()
    }

    /// What its groups mean.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Whether one of the groups fid, ip4, ip6, dns, host (legacy) or mlfid is there.
    pub fn has_id(&self) -> bool {
        self.groups.has_id()
    }
}
