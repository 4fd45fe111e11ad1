//! Queries a database file about one address or one log, for diagnostics. Read-only, so it can run beside a
//! server that writes.

use std::path::Path;

use rusqlite::{Connection, params};

use super::statistics::text;
use super::{LogPosition, StoreError, data, rows, schema, statistics};
use crate::address::Address;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// A ban of the past, or one in force.
#[derive(Clone, Debug, PartialEq)]
pub struct PastBan {
    /// The jail.
    pub jail: String,
    /// When it began.
    pub time: Timestamp,
    /// Its length.
    pub length: BanTime,
    /// Which ban of the address it was, from 1.
    pub count: u32,
    /// The failures that led to it.
    pub failures: u32,
    /// The lines that led to it, as far as they are kept; or the reason given by hand.
    pub lines: Vec<String>,
}

impl PastBan {
    /// When it ends or ended; `None`: never.
    pub fn until(&self) -> Option<Timestamp> {
        match self.length {
            BanTime::Seconds(seconds) => Some(self.time + seconds),
            BanTime::Permanent => None,
        }
    }
}

/// The bans of an id, the latest first; at most `most`.
///
/// # Errors
/// There is no such file, it may not be read or is no database; SQLite's own text.
pub fn bans(path: &Path, id: &str, most: u32) -> Result<Vec<PastBan>, StoreError> {
    statistics::told(path, bans_of(path, id, most))
}

fn bans_of(path: &Path, id: &str, most: u32) -> rusqlite::Result<Vec<PastBan>> {
    let db = statistics::open(path)?;
    let mut found = Vec::new();
    // a ban that is in force or was the last is in `bips`, too, where lines may have been added
    for table in ["bips", "bans"] {
        if !schema::has_table(&db, table)? {
            continue;
        }
        let mut query = db.prepare(&format!(
            "SELECT jail, timeofban, bantime, bancount, data FROM {table} WHERE ip = ?1 \
             ORDER BY timeofban DESC LIMIT ?2"
        ))?;
        let bans = query.query_map(params![id, most], |row| {
            let mut ticket = Ticket::new(Address::raw(""), 0.0);
            data::decode(text(row, 4)?.as_bytes(), &mut ticket);
            let length: f64 = row.get(2)?;
            Ok(PastBan {
                jail: text(row, 0)?,
                time: row.get(1)?,
                length: match length < 0.0 {
                    true => BanTime::Permanent,
                    false => BanTime::Seconds(length),
                },
                count: row.get(3)?,
                failures: ticket.failures,
                lines: ticket.matches().iter().map(|line| line.text()).collect(),
            })
        })?;
        for ban in bans {
            let ban = ban?;
            let same = |known: &PastBan| known.jail == ban.jail && known.time == ban.time;
            if !found.iter().any(same) {
                found.push(ban);
            }
        }
    }
    found.sort_by(|one: &PastBan, other| other.time.total_cmp(&one.time));
    found.truncate(most as usize);
    Ok(found)
}

/// Where a jail has read a log to, as far as it has been written down.
///
/// # Errors
/// As [`bans`].
pub fn position(path: &Path, jail: &str, log: &str) -> Result<Option<LogPosition>, StoreError> {
    let read = || {
        let db: Connection = statistics::open(path)?;
        match schema::has_table(&db, "logs")? {
            true => rows::position(&db, jail, log),
            false => Ok(None),
        }
    };
    statistics::told(path, read())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open;

    #[test]
    fn bans_of_an_address_are_told_with_their_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = open::open(&path.to_string_lossy()).unwrap();
        db.execute("INSERT INTO jails(name) VALUES('mail')", [])
            .unwrap();
        let data = r#"{"matches": ["a line", ["b ", "09:00", " x"]], "failures": 3}"#;
        for (table, time) in [("bans", 100), ("bans", 900), ("bips", 900)] {
            db.execute(
                &format!(
                    "INSERT INTO {table}(jail, ip, timeofban, bantime, bancount, data) \
                     VALUES('mail', '192.0.2.1', {time}, -1, 2, ?1)"
                ),
                [data],
            )
            .unwrap();
        }
        db.execute(
            "INSERT INTO logs(jail, path, firstlinemd5, lastfilepos) VALUES('mail', '/l', 'x', 77)",
            [],
        )
        .unwrap();
        let found = bans(&path, "192.0.2.1", 9).unwrap();
        let times: Vec<f64> = found.iter().map(|ban| ban.time).collect();
        assert_eq!(times, [900.0, 100.0]);
        assert_eq!(found[0].lines, ["a line", "b 09:00 x"]);
        assert_eq!((found[0].failures, found[0].count), (3, 2));
        assert_eq!(found[0].until(), None);
        assert_eq!(bans(&path, "192.0.2.2", 9).unwrap(), []);
        let position = position(&path, "mail", "/l").unwrap().unwrap();
        assert_eq!(position.offset, 77.0);
        assert!(bans(&dir.path().join("none"), "192.0.2.1", 9).is_err());
    }
}
