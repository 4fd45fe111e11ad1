//! Statistics of a database file: bans by day and jail and by hour, addresses banned more than once, and
//! the reason of the last ban of an address. Read-only, in a few short queries, so it can run beside a
//! server that writes.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, params};

use super::{StoreError, data, failure, schema};
use crate::address::Address;
use crate::ticket::{Ticket, Timestamp};

/// Bans of a jail on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// `2026-11-22`, in local time.
    pub date: String,
    /// The jail.
    pub jail: String,
    /// How many.
    pub bans: u32,
}

/// An address (or what else a jail bans) and its bans.
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatOffender {
    /// The address.
    pub id: String,
    /// How often it was banned, in whatever jail.
    pub bans: u32,
    /// When last.
    pub last: Timestamp,
    /// The jails that banned it, by name.
    pub jails: BTreeSet<String>,
}

/// The past.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Days with bans, the latest first; of a day the jail with most bans first.
    pub days: Vec<Day>,
    /// Bans by the hour of the day, in local time.
    pub hours: [u32; 24],
    /// Who was banned more than once, most often first.
    pub offenders: Vec<RepeatOffender>,
    /// Bans by country, those with most of them first; empty where nobody knows countries.
    pub countries: Vec<(String, u32)>,
    /// The last line that led to the last ban, or the reason given by hand; by jail and address.
    pub reasons: HashMap<(String, String), String>,
}

/// Tells the country of an address.
pub type CountryOf<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is to be read beside days and hours.
#[derive(Clone, Copy, Default)]
pub struct StatisticsQuery<'a> {
    /// So many of those who were banned most often.
    pub offenders: u32,
    /// The reasons, of which there is one for each ban in force.
    pub reasons: bool,
    /// The country of an address, if that is known.
    pub country: Option<CountryOf<'a>>,
}

/// Reads the bans since a moment. A file without a table of bans, as it is before the first server has filled
/// it, tells of none.
///
/// # Errors
/// There is no such file, it may not be read or is no database; SQLite's own text.
pub fn read(
    path: &Path,
    since: Timestamp,
    wanted: &StatisticsQuery<'_>,
) -> Result<Statistics, StoreError> {
    told(path, query(path, since, wanted))
}

/// A result with SQLite's own text, for a database at this path.
pub(super) fn told<T>(path: &Path, result: rusqlite::Result<T>) -> Result<T, StoreError> {
    result.map_err(|error| {
        let why = failure::text(&error);
        // the binding names the path once more
        let why = why.strip_suffix(&format!(": {}", path.display()));
        StoreError::Unusable(why.map_or_else(|| failure::text(&error), str::to_owned))
    })
}

/// Opens a database that a server may be writing.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_secs(2))?;
    Ok(db)
}

fn query(
    path: &Path,
    since: Timestamp,
    wanted: &StatisticsQuery<'_>,
) -> rusqlite::Result<Statistics> {
    let mut db = open(path)?;
    // all queries see the same moment
    let db = db.transaction()?;
    if !schema::has_table(&db, "bans")? {
        return Ok(Statistics::default());
    }
    let days = db
        .prepare(
            "SELECT date(timeofban, 'unixepoch', 'localtime') AS day, jail, count(*) AS number \
             FROM bans WHERE timeofban >= ?1 GROUP BY day, jail HAVING day NOT NULL \
             ORDER BY day DESC, number DESC, jail",
        )?
        .query_map([since], |row| {
            Ok(Day {
                date: text(row, 0)?,
                jail: text(row, 1)?,
                bans: row.get(2)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut hours = [0; 24];
    let mut by_hour = db.prepare(
        "SELECT CAST(strftime('%H', timeofban, 'unixepoch', 'localtime') AS INTEGER) AS hour, count(*) \
         FROM bans WHERE timeofban >= ?1 GROUP BY hour HAVING hour NOT NULL",
    )?;
    let mut rows = by_hour.query([since])?;
    while let Some(row) = rows.next()? {
        if let Some(hour) = hours.get_mut(usize::from(row.get::<_, u8>(0)?)) {
            *hour = row.get(1)?;
        }
    }
    drop(rows);
    drop(by_hour);
    let offenders = db
        .prepare(
            "SELECT ip, count(*) AS number, CAST(max(timeofban) AS REAL) AS last, group_concat(DISTINCT jail) \
             FROM bans WHERE timeofban >= ?1 AND ip NOT NULL GROUP BY ip \
             HAVING number > 1 ORDER BY number DESC, last DESC LIMIT ?2",
        )?
        .query_map(params![since, wanted.offenders], |row| {
            let jails = text(row, 3)?;
            Ok(RepeatOffender {
                id: text(row, 0)?,
                bans: row.get(1)?,
                last: row.get(2)?,
                jails: jails.split(',').map(str::to_owned).collect(),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Statistics {
        days,
        hours,
        offenders,
        countries: match wanted.country {
            Some(country) => countries(&db, since, country)?,
            None => Vec::new(),
        },
        reasons: match wanted.reasons {
            true => reasons(&db)?,
            false => HashMap::new(),
        },
    })
}

fn countries(
    db: &Connection,
    since: Timestamp,
    country: CountryOf<'_>,
) -> rusqlite::Result<Vec<(String, u32)>> {
    let mut query = db.prepare(
        "SELECT ip, count(*) FROM bans WHERE timeofban >= ?1 AND ip NOT NULL GROUP BY ip",
    )?;
    let mut bans: HashMap<String, u32> = HashMap::new();
    let mut rows = query.query([since])?;
    while let Some(row) = rows.next()? {
        let country = country(&text(row, 0)?);
        let country = country.unwrap_or_else(|| "not known".to_owned());
        *bans.entry(country).or_default() += row.get::<_, u32>(1)?;
    }
    let mut bans: Vec<_> = bans.into_iter().collect();
    bans.sort_by_key(|(country, bans)| (u32::MAX - bans, country.clone()));
    Ok(bans)
}

fn reasons(db: &Connection) -> rusqlite::Result<HashMap<(String, String), String>> {
    // the original's before 0.11 has no such table
    if !schema::has_table(db, "bips")? {
        return Ok(HashMap::new());
    }
    let mut query = db.prepare("SELECT jail, ip, data FROM bips")?;
    let rows = query.query_map([], |row| {
        let mut ticket = Ticket::new(Address::raw(""), 0.0);
        data::decode(text(row, 2)?.as_bytes(), &mut ticket);
        let reason = ticket.matches().last().map(|line| line.text());
        Ok(((text(row, 0)?, text(row, 1)?), reason))
    })?;
    let known = rows.filter_map(|row| match row {
        Ok((key, reason)) => reason.map(|reason| Ok((key, reason))),
        Err(error) => Some(Err(error)),
    });
    known.collect()
}

/// A text, whatever other programs have written in its place.
pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => String::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::open;

    const ALL: StatisticsQuery<'_> = StatisticsQuery {
        offenders: 9,
        reasons: true,
        country: None,
    };

    fn filled(bans: &[(&str, &str, i64)]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = open::open(&path.to_string_lossy()).unwrap();
        for jail in ["mail", "web"] {
            db.execute("INSERT INTO jails(name) VALUES(?1)", [jail])
                .unwrap();
        }
        for (jail, ip, time) in bans {
            db.execute(
                "INSERT INTO bans(jail, ip, timeofban, bantime) VALUES(?1, ?2, ?3, 600)",
                params![jail, ip, time],
            )
            .unwrap();
        }
        (dir, path)
    }

    #[test]
    fn bans_are_counted_by_day_and_by_address() {
        const DAY: i64 = 86_400;
        const NOON: i64 = 1_795_348_800;
        let (_dir, path) = filled(&[
            ("mail", "192.0.2.1", NOON),
            ("mail", "192.0.2.2", NOON + 60),
            ("web", "192.0.2.1", NOON + 120),
            ("web", "192.0.2.1", NOON - DAY),
            ("web", "192.0.2.9", NOON - 40 * DAY),
        ]);
        let country = |ip: &str| (ip == "192.0.2.1").then(|| "AT".to_owned());
        let wanted = StatisticsQuery {
            offenders: 9,
            country: Some(&country),
            ..StatisticsQuery::default()
        };
        let found = read(&path, (NOON - 30 * DAY) as f64, &wanted).unwrap();
        let days: Vec<_> = found
            .days
            .iter()
            .map(|day| (day.jail.as_str(), day.bans))
            .collect();
        assert_eq!(days, [("mail", 2), ("web", 1), ("web", 1)]);
        assert_eq!(found.days[0].date, found.days[1].date);
        assert!(found.days[1].date > found.days[2].date);
        let expected = RepeatOffender {
            id: "192.0.2.1".to_owned(),
            bans: 3,
            last: (NOON + 120) as f64,
            jails: ["mail", "web"].map(str::to_owned).into(),
        };
        let countries = [("AT".to_owned(), 3), ("not known".to_owned(), 1)];
        assert_eq!(found.countries, countries);
        // once is not often
        assert_eq!(found.offenders, [expected]);
        assert_eq!(found.hours.iter().sum::<u32>(), 4);
        assert_eq!(found.hours.iter().max(), Some(&4), "{:?}", found.hours);
    }

    #[test]
    fn the_reason_is_the_last_line() {
        let (_dir, path) = filled(&[]);
        let db = open::open(&path.to_string_lossy()).unwrap();
        for (ip, data) in [
            (
                "192.0.2.1",
                r#"{"matches": ["a", ["Nov 20 ", "10:00", " b"]], "failures": 2}"#,
            ),
            ("192.0.2.2", r#"{"matches": ["spam"]}"#),
            ("192.0.2.3", r#"{"failures": 1}"#),
            ("192.0.2.4", "{"),
        ] {
            db.execute(
                "INSERT INTO bips(jail, ip, timeofban, bantime, data) VALUES('web', ?1, 1, 1, ?2)",
                [ip, data],
            )
            .unwrap();
        }
        let reasons = read(&path, 0.0, &ALL).unwrap().reasons;
        let of = |ip: &str| {
            let key = ("web".to_owned(), ip.to_owned());
            reasons.get(&key).map(String::as_str)
        };
        assert_eq!(of("192.0.2.1"), Some("Nov 20 10:00 b"));
        assert_eq!(of("192.0.2.2"), Some("spam"));
        assert_eq!((of("192.0.2.3"), of("192.0.2.4")), (None, None));
    }

    #[test]
    fn a_writer_and_a_reader_do_not_meet() {
        let (_dir, path) = filled(&[("mail", "192.0.2.1", 1_795_348_800); 2]);
        let writer = open::open(&path.to_string_lossy()).unwrap();
        writer
            .execute_batch("BEGIN IMMEDIATE; DELETE FROM bans;")
            .unwrap();
        assert_eq!(read(&path, 0.0, &ALL).unwrap().offenders.len(), 1);
        writer.execute_batch("COMMIT").unwrap();
        assert_eq!(read(&path, 0.0, &ALL).unwrap(), Statistics::default());
    }

    #[test]
    fn what_is_no_database_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let why = |path: &Path| read(path, 0.0, &ALL).unwrap_err().to_string();
        assert_eq!(why(&path), "unable to open database file");
        assert!(!path.exists(), "reading makes no file");
        fs::write(&path, "").unwrap();
        assert_eq!(read(&path, 0.0, &ALL).unwrap(), Statistics::default());
        fs::write(&path, "a text that is long enough for a header ".repeat(9)).unwrap();
        assert_eq!(why(&path), "file is not a database");
    }
}
