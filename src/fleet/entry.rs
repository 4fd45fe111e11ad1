//! Entries of a stream: what hosts send to each other, as pairs of a name and a value.
//!
//! Whoever may write a stream may write anything into it, so parsing is strict: known names, once each, of
//! bounded length, in plain text. An invalid entry is refused as a whole.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::Millis;
use crate::address::Address;

/// The form of entries; what has another is for later programs.
const VERSION: &str = "1";
/// Bytes of a value.
const LONGEST_VALUE: usize = 512;
/// Bytes of a name of a host, a fleet or a jail.
const LONGEST_NAME: usize = 64;
/// Characters of a reason that are sent.
const LONGEST_REASON: usize = 200;
/// The end of a ban that has none.
const NEVER: i64 = -1;

/// What an entry asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// The target is banned until then.
    Ban,
    /// Its ban is lifted: that of the origin, or every ban where an administrator says so.
    Unban,
    /// The origin, which the target names, has put its bans in force there anew: they are to be looked at.
    Renewed,
    /// By an administrator: nobody bans it by the word of another host until then.
    Allow,
    /// By an administrator: the end of that.
    Disallow,
    /// By an administrator: the host that the target names is not listened to any more.
    Forget,
    /// By an administrator: it is again.
    Remember,
}

const KINDS: [(EntryKind, &str); 7] = [
    (EntryKind::Ban, "ban"),
    (EntryKind::Unban, "unban"),
    (EntryKind::Renewed, "renewed"),
    (EntryKind::Allow, "allow"),
    (EntryKind::Disallow, "disallow"),
    (EntryKind::Forget, "forget"),
    (EntryKind::Remember, "remember"),
];

impl EntryKind {
    /// Its word.
    pub fn word(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, word)| word)
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetEntry {
    /// What it asks for.
    pub kind: EntryKind,
    /// The jail of the origin; empty where it is about none.
    pub jail: String,
    /// Whom it is about: an address, a network, or the name of a host.
    pub target: String,
    /// When the ban began.
    pub since: Millis,
    /// When it ends; `None`: never.
    pub until: Option<Millis>,
    /// How often the target was banned, this ban included.
    pub bancount: u32,
    /// The last line that led to it, cut, or what somebody wrote; may be empty.
    pub reason: String,
    /// An ULID: later entries of one origin have greater ones.
    pub id: String,
    /// The signature in base64; empty without.
    pub signature: String,
}

/// Why an entry is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Of a version of the form that is not known here.
    #[error("of an unknown version")]
    Version,
    /// A name or value that nobody knows, is too long, is no text or stands twice, or one is missing.
    #[error("malformed")]
    Malformed,
}

impl FleetEntry {
    /// An entry that is not about a ban.
    pub fn order(
        kind: EntryKind,
        target: &str,
        since: Millis,
        until: Option<Millis>,
    ) -> FleetEntry {
        FleetEntry {
            kind,
            jail: String::new(),
            target: target.to_owned(),
            since,
            until,
            bancount: 0,
            reason: String::new(),
            id: String::new(),
            signature: String::new(),
        }
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// It is of another version, or not an entry at all.
    pub fn read<'f>(
        fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Result<FleetEntry, EntryError> {
        const NAMES: [&str; 10] = [
            "v", "kind", "jail", "target", "since", "until", "bancount", "reason", "id", "sig",
        ];
        let mut values: [Option<&str>; NAMES.len()] = [None; NAMES.len()];
        for (name, value) in fields {
            let at = NAMES.iter().position(|known| known.as_bytes() == name);
            let slot = &mut values[at.ok_or(EntryError::Malformed)?];
            let text = std::str::from_utf8(value).map_err(|_| EntryError::Malformed)?;
            let plain = value.len() <= LONGEST_VALUE && !text.chars().any(char::is_control);
            if !plain || slot.replace(text).is_some() {
                return Err(EntryError::Malformed);
            }
        }
        let [version, kind, rest @ ..] = values;
        if version != Some(VERSION) {
            return Err(EntryError::Version);
        }
        let [jail, target, since, until, bancount, reason, id, signature] =
            rest.map(Option::unwrap_or_default);
        let kind = KINDS.iter().find(|(_, word)| Some(*word) == kind);
        let (kind, _) = kind.ok_or(EntryError::Malformed)?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| EntryError::Malformed);
        let until = number(until)?;
        let entry = FleetEntry {
            kind: *kind,
            jail: jail.to_owned(),
            target: target.to_owned(),
            since: Millis(number(since)?),
            until: (until != NEVER).then_some(Millis(until)),
            bancount: bancount.parse().map_err(|_| EntryError::Malformed)?,
            reason: reason.to_owned(),
            id: id.to_owned(),
            signature: signature.to_owned(),
        };
        let times = [Some(entry.since), entry.until];
        let timely = times.iter().flatten().all(|time| time.is_sound());
        let about = match entry.kind {
            EntryKind::Ban => is_name(&entry.jail) && entry.address().is_some(),
            EntryKind::Unban => {
                (entry.jail.is_empty() || is_name(&entry.jail)) && entry.address().is_some()
            }
            EntryKind::Allow | EntryKind::Disallow => entry.address().is_some(),
            EntryKind::Renewed | EntryKind::Forget | EntryKind::Remember => is_host(&entry.target),
        };
        match timely && about && entry.id.len() == super::ulid::LENGTH {
            true => Ok(entry),
            false => Err(EntryError::Malformed),
        }
    }

    /// The pairs of the entry.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let until = self.until.map_or(NEVER, |until| until.0);
        let mut fields = vec![
            ("v", VERSION.to_owned()),
            ("kind", self.kind.word().to_owned()),
            ("jail", self.jail.clone()),
            ("target", self.target.clone()),
            ("since", self.since.0.to_string()),
            ("until", until.to_string()),
            ("bancount", self.bancount.to_string()),
            ("reason", self.reason.clone()),
            ("id", self.id.clone()),
        ];
        if !self.signature.is_empty() {
            fields.push(("sig", self.signature.clone()));
        }
        fields
    }

    /// The bytes that are signed: everything but the signature, bound to a fleet and an origin so that
    /// the entry is worth nothing elsewhere.
    pub fn signed(&self, fleet: &str, origin: &str) -> Vec<u8> {
        let mut text = String::new();
        let unsigned = self.fields().into_iter().filter(|(name, _)| *name != "sig");
        let mut add = |value: &str| {
            // writing to a String cannot fail; lengths keep one value from running into the next
            let _ = write!(text, "{}:{value},", value.len());
        };
        add(fleet);
        add(origin);
        for (name, value) in unsigned {
            add(name);
            add(&value);
        }
        text.into_bytes()
    }

    /// The target, where it is an address or a network in its canonical form.
    pub fn address(&self) -> Option<Address> {
        let address = Address::parse_ip(&self.target)?;
        (address.to_string() == self.target).then_some(address)
    }
}

/// Whether a text may be the name of a jail.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.contains('|')
}

/// Whether a text may be the name of a host or a fleet.
pub fn is_host(text: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(fit)
}

/// A text as a reason: one line, not too long.
pub fn reason(text: &str) -> String {
    let plain = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_REASON);
    let mut size = 0;
    plain
        .take_while(|c| {
            size += c.len_utf8();
            size <= LONGEST_VALUE
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban() -> FleetEntry {
        FleetEntry {
            jail: "sshd".into(),
            bancount: 2,
            reason: "Failed password for root".into(),
            id: "01J00000000000000000000000".into(),
            ..FleetEntry::order(
                EntryKind::Ban,
                "192.0.2.1",
                Millis(1_795_000_000_000),
                Some(Millis(1_795_000_600_000)),
            )
        }
    }

    fn read(fields: &[(&str, &str)]) -> Result<FleetEntry, EntryError> {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect();
        FleetEntry::read(fields)
    }

    fn written(entry: &FleetEntry) -> Vec<(&'static str, String)> {
        entry.fields()
    }

    fn again(entry: &FleetEntry) -> Result<FleetEntry, EntryError> {
        let fields = written(entry);
        let fields: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        read(&fields)
    }

    #[test]
    fn what_is_written_reads_as_the_same() {
        let forever = FleetEntry {
            until: None,
            ..ban()
        };
        let host = FleetEntry {
            id: ban().id,
            ..FleetEntry::order(EntryKind::Forget, "mx2", Millis(5), None)
        };
        for entry in [ban(), forever, host] {
            assert_eq!(again(&entry), Ok(entry));
        }
    }

    #[test]
    fn what_strangers_write_is_refused() {
        type Change = (&'static str, fn(&mut FleetEntry));
        let changes: [Change; 9] = [
            ("no address", |entry| entry.target = "root".into()),
            ("host bits", |entry| entry.target = "192.0.2.1/24".into()),
            ("all of it", |entry| entry.target = "0.0.0.0/0".into()),
            ("no jail", |entry| entry.jail = String::new()),
            ("bar", |entry| entry.jail = "a|b".into()),
            ("control", |entry| entry.reason = "a\nb".into()),
            ("long", |entry| entry.reason = "x".repeat(513)),
            ("no id", |entry| entry.id = String::new()),
            ("late", |entry| entry.until = Some(Millis(i64::MAX))),
        ];
        for (what, change) in changes {
            let mut entry = ban();
            change(&mut entry);
            assert_eq!(again(&entry), Err(EntryError::Malformed), "{what}");
        }
        let mut fields = written(&ban());
        fields[0].1 = "2".into();
        let other: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        assert_eq!(read(&other), Err(EntryError::Version));
        fields[0].1 = "1".into();
        fields.push(("jail", "again".into()));
        let twice: Vec<_> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
        assert_eq!(read(&twice), Err(EntryError::Malformed));
        let bad: [(&[u8], &[u8]); 1] = [(b"v", b"\xff")];
        assert_eq!(FleetEntry::read(bad), Err(EntryError::Malformed));
    }

    #[test]
    fn a_signature_is_bound_to_all_of_it() {
        let entry = ban();
        let mut other = entry.clone();
        other.jail = "sshd2".into();
        let bytes = entry.signed("f", "mx1");
        assert_ne!(bytes, other.signed("f", "mx1"));
        assert_ne!(bytes, entry.signed("f", "mx2"));
        assert_ne!(bytes, entry.signed("g", "mx1"));
        let signed = FleetEntry {
            signature: "x".into(),
            ..entry
        };
        assert_eq!(bytes, signed.signed("f", "mx1"));
    }

    #[test]
    fn reasons_are_one_short_line() {
        assert_eq!(reason("a\nb"), "a b");
        assert_eq!(reason(&"x".repeat(900)).len(), 200);
        assert!(reason(&"€".repeat(900)).len() <= LONGEST_VALUE);
    }
}
