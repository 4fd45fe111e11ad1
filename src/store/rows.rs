//! The SQL statements: writes and queries (facts Q5–Q7, B11–B19, K5).

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::{BanHistory, InstalledStart, LOG, LogPosition, data, schema};
use crate::address::Address;
use crate::error;
use crate::evidence::memory::JailEvidence;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// "Length unknown, use the jail's": what the upgrade from versions without lengths left (fact Q8).
const UNKNOWN_LENGTH: f64 = -2.0;
/// A ban that never ends (fact B17).
const PERMANENT: f64 = -1.0;
/// No ban is later than this (the year 5138): it would be in force for ever.
const LAST_TIME: f64 = 1e11;
/// `bips` rows outlive the purge age by so many of their own lengths (fact B19).
const OUTDATED_FACTOR: f64 = 3.0;

/// Marks all jails disabled (fact Q10).
pub(super) fn disable_all_jails(db: &Connection) -> rusqlite::Result<()> {
    db.execute("UPDATE jails SET enabled = 0", [])?;
    Ok(())
}

pub(super) fn add_jail(db: &Connection, jail: &str) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO jails(name, enabled) VALUES(?1, 1) \
         ON CONFLICT(name) DO UPDATE SET enabled = 1",
    )?
    .execute([jail])?;
    Ok(())
}

pub(super) fn disable_jail(db: &Connection, jail: &str) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE jails SET enabled = 0 WHERE name = ?1")?
        .execute([jail])?;
    Ok(())
}

/// Not among the tables of the original: it is made when it is needed.
const INSTALLED: &str = "CREATE TABLE IF NOT EXISTS ferroban_installed(\
        jail TEXT NOT NULL, \
        action TEXT NOT NULL, \
        family TEXT NOT NULL, \
        start TEXT NOT NULL, \
        stop TEXT NOT NULL, \
        ban TEXT NOT NULL, \
        PRIMARY KEY(jail, action, family, start, stop, ban));";

pub(super) fn add_installed(db: &Connection, installed: &InstalledStart) -> rusqlite::Result<()> {
    db.execute_batch(INSTALLED)?;
    db.prepare_cached("INSERT OR IGNORE INTO ferroban_installed VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(columns(installed))?;
    Ok(())
}

pub(super) fn delete_installed(
    db: &Connection,
    installed: &InstalledStart,
) -> rusqlite::Result<()> {
    db.execute_batch(INSTALLED)?;
    db.prepare_cached(
        "DELETE FROM ferroban_installed WHERE jail = ?1 AND action = ?2 AND family = ?3 \
         AND start = ?4 AND stop = ?5 AND ban = ?6",
    )?
    .execute(columns(installed))?;
    Ok(())
}

fn columns(installed: &InstalledStart) -> [&String; 6] {
    let InstalledStart {
        jail,
        action,
        family,
        start,
        stop,
        ban,
    } = installed;
    [jail, action, family, start, stop, ban]
}

pub(super) fn installed(db: &Connection) -> rusqlite::Result<Vec<InstalledStart>> {
    if !schema::has_table(db, "ferroban_installed")? {
        return Ok(Vec::new());
    }
    let mut list = db.prepare(
        "SELECT jail, action, family, start, stop, ban FROM ferroban_installed ORDER BY rowid",
    )?;
    let read = |row: &Row<'_>| {
        Ok(InstalledStart {
            jail: row.get(0)?,
            action: row.get(1)?,
            family: row.get(2)?,
            start: row.get(3)?,
            stop: row.get(4)?,
            ban: row.get(5)?,
        })
    };
    list.query_map([], read)?.collect()
}

/// The stored position of a log.
pub(super) fn position(
    db: &Connection,
    jail: &str,
    path: &str,
) -> rusqlite::Result<Option<LogPosition>> {
    db.prepare_cached("SELECT firstlinemd5, lastfilepos FROM logs WHERE jail = ?1 AND path = ?2")?
        .query_row([jail, path], |row| {
            Ok(LogPosition {
                first_line_hash: text(row, 0)?.unwrap_or_default(),
                offset: number(row, 1)?.unwrap_or(0.0),
            })
        })
        .optional()
}

/// The stored positions of all logs of a jail.
pub(super) fn positions_of(
    db: &Connection,
    jail: &str,
) -> rusqlite::Result<Vec<(String, LogPosition)>> {
    let mut statement =
        db.prepare_cached("SELECT path, firstlinemd5, lastfilepos FROM logs WHERE jail = ?1")?;
    let rows = statement.query_map([jail], |row| {
        let position = LogPosition {
            first_line_hash: text(row, 1)?.unwrap_or_default(),
            offset: number(row, 2)?.unwrap_or(0.0),
        };
        Ok((text(row, 0)?.unwrap_or_default(), position))
    })?;
    rows.collect()
}

/// Remembers a log; answers its stored position when its first line is still the same.
pub(super) fn add_log(
    db: &Connection,
    jail: &str,
    path: &str,
    hash: &str,
) -> rusqlite::Result<Option<LogPosition>> {
    match position(db, jail, path)? {
        Some(stored) => Ok(Some(stored).filter(|stored| stored.first_line_hash == hash)),
        None => {
            update_log(db, jail, path, &LogPosition::start(hash))?;
            Ok(None)
        }
    }
}

pub(super) fn update_log(
    db: &Connection,
    jail: &str,
    path: &str,
    position: &LogPosition,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO logs(jail, path, firstlinemd5, lastfilepos) VALUES(?1, ?2, ?3, ?4) \
         ON CONFLICT(jail, path) DO UPDATE SET \
         firstlinemd5 = excluded.firstlinemd5, lastfilepos = excluded.lastfilepos",
    )?
    .execute(params![
        jail,
        path,
        position.first_line_hash,
        position.offset
    ])?;
    Ok(())
}

/// A ban as it stands in `bans` and `bips`.
#[derive(Debug)]
pub(super) struct BanRow {
    jail: String,
    /// Its evidence is shared with the jail, and becomes text only when the row is written.
    ticket: Ticket,
    max_matches: i64,
}

impl BanRow {
    pub(super) fn new(jail: &str, ticket: &Ticket, max_matches: i64) -> BanRow {
        BanRow {
            jail: jail.to_owned(),
            ticket: ticket.clone(),
            max_matches,
        }
    }

    /// The same without matched lines, for a database that takes up memory.
    pub(super) fn without_lines(&self) -> BanRow {
        BanRow::new(&self.jail, &self.ticket, 0)
    }

    /// The row, in the order of the columns.
    fn values(&self) -> [Value; 6] {
        let ticket = &self.ticket;
        let bantime = match ticket.bantime {
            Some(BanTime::Seconds(seconds)) => seconds,
            Some(BanTime::Permanent) => PERMANENT,
            None => UNKNOWN_LENGTH,
        };
        // the columns are declared INTEGER: SQLite stores 600.0 as 600, and 8.76 as it is
        [
            self.jail.clone().into(),
            ticket.id.to_string().into(),
            (ticket.time.round_ties_even() as i64).into(),
            bantime.into(),
            ticket.bancount.into(),
            data::encode(ticket, self.max_matches).into(),
        ]
    }

    pub(super) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        let values = self.values();
        db.prepare_cached(
            "INSERT INTO bans(jail, ip, timeofban, bantime, bancount, data) \
             VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params_from_iter(&values))?;
        db.prepare_cached(
            "INSERT INTO bips(jail, ip, timeofban, bantime, bancount, data) \
             VALUES(?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT DO UPDATE SET timeofban = excluded.timeofban, \
             bantime = excluded.bantime, bancount = excluded.bancount, data = excluded.data",
        )?
        .execute(params_from_iter(&values))?;
        Ok(())
    }

    /// As [`BanRow::insert`] for a ban that was stored before: only where it has been lost since.
    pub(super) fn keep(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO bips(jail, ip, timeofban, bantime, bancount, data) \
             VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params_from_iter(self.values()))?;
        Ok(())
    }
}

/// Writes many bans of different ids. In the order of the ids: three of the indices are by id, and most pages
/// that one row needs serve the next.
pub(super) fn insert_all(rows: &[BanRow], db: &Connection) -> rusqlite::Result<()> {
    let mut rows: Vec<(String, &BanRow)> = rows
        .iter()
        .map(|row| (row.ticket.id.to_string(), row))
        .collect();
    // an id that comes twice keeps its order
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    rows.into_iter().try_for_each(|(_, row)| row.insert(db))
}

/// Forgets ids of a jail, or (`None`) the whole jail.
pub(super) fn delete_bans(
    db: &Connection,
    jail: &str,
    ids: Option<&[String]>,
) -> rusqlite::Result<()> {
    match ids {
        None => {
            db.execute("DELETE FROM bips WHERE jail = ?1", [jail])?;
            db.execute("DELETE FROM bans WHERE jail = ?1", [jail])?;
        }
        Some(ids) => {
            let mut bips = db.prepare_cached("DELETE FROM bips WHERE jail = ?1 AND ip = ?2")?;
            let mut bans = db.prepare_cached("DELETE FROM bans WHERE jail = ?1 AND ip = ?2")?;
            for ip in ids {
                bips.execute([jail, ip])?;
                bans.execute([jail, ip])?;
            }
        }
    }
    Ok(())
}

/// Bans of a jail that last beyond `now`, ordered by id.
pub(super) fn current_bans(
    db: &Connection,
    jail: &str,
    now: Timestamp,
    default: BanTime,
    keeper: &JailEvidence,
) -> rusqlite::Result<Vec<Ticket>> {
    // a length that is no number is one that is not known
    let mut statement = db.prepare_cached(
        "SELECT ip, timeofban, bantime, bancount, data FROM bips \
         WHERE jail = ?1 AND (timeofban + bantime > ?2 OR bantime <= -1 \
         OR typeof(bantime) NOT IN ('integer', 'real') OR typeof(timeofban) NOT IN ('integer', 'real')) \
         ORDER BY ip",
    )?;
    let mut rows = statement.query(params![jail, now])?;
    let mut tickets = Vec::new();
    let mut bad = 0;
    while let Some(row) = rows.next()? {
        let ip = text(row, 0)?.filter(|ip| !ip.is_empty());
        let time = number(row, 1)?.filter(|time| (0.0..=LAST_TIME).contains(time));
        let (Some(ip), Some(time)) = (ip, time) else {
            bad += 1;
            continue;
        };
        let bantime = match number(row, 2)? {
            None | Some(UNKNOWN_LENGTH) => default,
            Some(seconds) => length(seconds),
        };
        if let BanTime::Seconds(seconds) = bantime
            && time + seconds <= now
        {
            continue;
        }
        let mut ticket = Ticket::new(Address::parse(&ip), time);
        data::decode(&bytes(row, 4)?, &mut ticket);
        ticket.bantime = Some(bantime);
        ticket.bancount = count(number(row, 3)?).unwrap_or(1);
        ticket.restored = true;
        keeper.keep(&ticket.evidence);
        tickets.push(ticket);
    }
    if bad > 0 {
        error!(
            LOG,
            "Ignore {bad} bad record(s) of jail '{jail}' in the database"
        );
    }
    Ok(tickets)
}

/// Earlier bans of an id in a jail, or summed over all jails.
pub(super) fn history(
    db: &Connection,
    jail: Option<&str>,
    ip: &str,
) -> rusqlite::Result<Option<BanHistory>> {
    let read = |row: &Row<'_>| {
        Ok(BanHistory {
            bancount: count(number(row, 0)?).unwrap_or(0),
            timeofban: number(row, 1)?.unwrap_or(0.0),
            bantime: length(number(row, 2)?.unwrap_or(0.0)),
        })
    };
    match jail {
        Some(jail) => db
            .prepare_cached(
                "SELECT bancount, timeofban, bantime FROM bips WHERE ip = ?1 AND jail = ?2",
            )?
            .query_row([ip, jail], read)
            .optional(),
        None => db
            .prepare_cached(
                "SELECT total(bancount), max(timeofban), total(bantime) FROM bips \
                 WHERE ip = ?1 GROUP BY ip",
            )?
            .query_row([ip], read)
            .optional(),
    }
}

/// Failures and the newest `limit` matches of all bans of an id.
pub(super) fn merged_history(
    db: &Connection,
    jail: Option<&str>,
    ip: &str,
    limit: usize,
) -> rusqlite::Result<Option<(u32, Vec<String>)>> {
    let mut statement = db.prepare_cached(
        "SELECT data FROM bans WHERE ip = ?1 AND (?2 IS NULL OR jail = ?2) \
         ORDER BY timeofban DESC, rowid DESC",
    )?;
    let mut rows = statement.query(params![ip, jail])?;
    let mut merged: Option<(u32, Vec<String>)> = None;
    while let Some(row) = rows.next()? {
        let (total, newest_first) = merged.get_or_insert_default();
        let mut ticket = Ticket::new(Address::raw(ip), 0.0);
        ticket.failures = 1; // a row that does not say counts as one
        data::decode(&bytes(row, 0)?, &mut ticket);
        *total = total.saturating_add(ticket.failures);
        for line in ticket.matches().iter().rev() {
            if newest_first.len() < limit {
                newest_first.push(line.text());
            }
        }
    }
    if let Some((_, matches)) = &mut merged {
        matches.reverse();
    }
    Ok(merged)
}

/// Removes bans older than `before`, ids long forgotten and jails without either (fact B19).
pub(super) fn purge(db: &Connection, before: Timestamp) -> rusqlite::Result<()> {
    db.execute("DELETE FROM bans WHERE timeofban < ?1", [before])?;
    db.execute(
        "DELETE FROM bips WHERE timeofban < ?1 AND bantime <> ?2 \
         AND timeofban + bantime * ?3 < ?1",
        params![before.trunc(), PERMANENT, OUTDATED_FACTOR],
    )?;
    db.execute(
        "DELETE FROM jails WHERE enabled = 0 \
         AND name NOT IN (SELECT jail FROM bans) AND name NOT IN (SELECT jail FROM bips)",
        [],
    )?;
    Ok(())
}

fn length(seconds: f64) -> BanTime {
    if seconds == PERMANENT {
        BanTime::Permanent
    } else {
        BanTime::Seconds(seconds)
    }
}

/// A count of bans, which is at least 0.
fn count(number: Option<f64>) -> Option<u32> {
    number.map(|number| number as u32)
}

/// A number of whatever storage class; `None` for what is none.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<f64>> {
    let number = match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        ValueRef::Text(text) => str::from_utf8(text)
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        ValueRef::Null | ValueRef::Blob(_) => None,
    };
    Ok(number.filter(|number: &f64| number.is_finite()))
}

/// A text; `None` for what is none.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(text) => str::from_utf8(text).ok().map(str::to_owned),
        _ => None,
    })
}

/// JSON stored as BLOB (the original) or TEXT (hand-made rows).
fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.to_vec(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Vec::new(),
    })
}
