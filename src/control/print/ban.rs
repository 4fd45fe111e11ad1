//! Parses a line of `get JAIL banip --with-time`.
#![forbid(unsafe_code)]

use crate::origin::BanOrigin;

/// A ban in force. Times are `2026-11-22 10:00:00`, in the server's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanLine<'a> {
    /// Who is banned.
    pub id: &'a str,
    /// When it began.
    pub since: &'a str,
    /// Its length in seconds; -1: for ever.
    pub bantime: i64,
    /// When it will end; `None`: never.
    pub until: Option<&'a str>,
    /// Who decided on it, `host NAME` or `list NAME`; `None`: this host.
    pub by: Option<&'a str>,
}

impl<'a> BanLine<'a> {
    /// Reads `192.0.2.1 \t2026-11-22 10:00:00 + 600 = 2026-11-22 10:10:00` (fact P47).
    pub fn read(line: &'a str) -> Option<BanLine<'a>> {
        let (id, times) = line.rsplit_once(" \t")?;
        let (since, rest) = times.split_once(" + ")?;
        let (rest, by) = BanOrigin::split_suffix(rest);
        let (bantime, until) = rest.split_once(" = ")?;
        let bantime = bantime.parse().ok()?;
        Some(BanLine {
            id,
            since,
            bantime,
            until: (bantime >= 0).then_some(until),
            by,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_bans_are_taken_apart() {
        let line = "192.0.2.1 \t2026-11-22 10:00:00 + 600 = 2026-11-22 10:10:00";
        let found = BanLine::read(line).unwrap();
        assert_eq!((found.id, found.bantime), ("192.0.2.1", 600));
        assert_eq!(found.since, "2026-11-22 10:00:00");
        assert_eq!(found.until, Some("2026-11-22 10:10:00"));
        assert_eq!(found.by, None);
        let forever = "2001:db8::1 \t2026-11-22 10:00:00 + -1 = 9999-12-31 23:59:59";
        assert_eq!(BanLine::read(forever).unwrap().until, None);
        let line = format!("{line} (by host mx2)");
        let found = BanLine::read(&line).unwrap();
        assert_eq!(found.until, Some("2026-11-22 10:10:00"));
        assert_eq!(found.by, Some("host mx2"));
        // an id may hold anything
        let odd = "a \t= b \t2026-11-22 10:00:00 + 1 = 2026-11-22 10:00:01";
        assert_eq!(BanLine::read(odd).unwrap().id, "a \t= b");
        assert_eq!(BanLine::read("192.0.2.1"), None);
    }
}
