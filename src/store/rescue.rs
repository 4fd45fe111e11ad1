//! Rescues a damaged database: the file is set aside, and its readable rows are copied (fact Q9).
//!
//! A file is set aside once: identical bytes are not stored again, and at most [`MAX_BACKUPS`] files are
//! kept, so that a restart loop cannot fill the disk.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use super::pages::{self, PageRecord};
use super::{LOG, StoreError, failure, schema};
use crate::{error, info};

/// Files kept beside the database; a further one takes the place of the newest.
const MAX_BACKUPS: usize = 5;

/// Where the file of that name would be kept: `FILE.YYYYMMDD-HHMMSS`, UTC.
pub(super) fn backup_name(path: &str) -> String {
    format!("{path}.{}", chrono::Utc::now().format("%Y%m%d-%H%M%S"))
}

/// Sets the file aside and puts a good one in its place; `true` when rows could be saved.
pub(super) fn replace(path: &str) -> Result<(Connection, bool), StoreError> {
    let (backup, is_new) = set_aside(path).map_err(|e| StoreError::Inaccessible(e.to_string()))?;
    info!(LOG, "Trying to repair database {path}");
    let what = if is_new { "created" } else { "exists" };
    info!(LOG, "  Database backup {what}: {}", backup.display());
    let (db, saved) = refill(path, &backup).map_err(|e| {
        // a full disk: what there is shall be found where it was
        if let Err(e) = move_all(&backup, Path::new(path)) {
            error!(LOG, "  Unable to move {}: {e}", backup.display());
        }
        failure::refused(&e)
    })?;
    if saved > 0 {
        let size = fs::metadata(path).map_or(0, |file| file.len());
        info!(
            LOG,
            "  Repair seems to be successful, restored {size} byte(s)."
        );
    } else {
        info!(LOG, "  Repair seems to be failed, restored 0 byte(s).");
        error!(
            LOG,
            "  Error repairing of fail2ban database '{path}': Recreate ..."
        );
    }
    Ok((db, saved > 0))
}

/// A new database with what can be read of an old one; answers how many rows.
fn refill(path: &str, backup: &Path) -> rusqlite::Result<(Connection, usize)> {
    let db = Connection::open(path)?;
    // rows may have lost the jail they refer to
    db.execute_batch("PRAGMA foreign_keys = OFF;")?;
    schema::create(&db)?;
    let saved = salvage(backup, &db, &RescuedTable::ALL)?;
    schema::configure(&db)?;
    Ok((db, saved))
}

/// Moves the database and its journals to the backup name; answers where its bytes are now, and
/// whether they were not there before.
fn set_aside(path: &str) -> io::Result<(PathBuf, bool)> {
    let mut kept = backups(path);
    if let Some(same) = kept.iter().find(|kept| same_bytes(Path::new(path), kept)) {
        let same = same.clone();
        fs::remove_file(path)?;
        drop_journals(path);
        return Ok((same, false));
    }
    let mut name = PathBuf::from(backup_name(path));
    if kept.len() >= MAX_BACKUPS
        && let Some(newest) = kept.pop()
    {
        name = newest;
    }
    move_all(Path::new(path), &name)?;
    drop_journals(path);
    Ok((name, true))
}

/// Moves a database with the rollback journal or log that a crash left beside it.
fn move_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    for journal in ["-wal", "-journal"] {
        let to = format!("{}{journal}", to.display());
        if fs::rename(format!("{}{journal}", from.display()), &to).is_err() {
            let _ = fs::remove_file(to);
        }
    }
    Ok(())
}

fn drop_journals(path: &str) {
    for journal in ["-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(format!("{path}{journal}"));
    }
}

/// Files beside the database that carry a backup name, oldest first.
fn backups(path: &str) -> Vec<PathBuf> {
    let path = Path::new(path);
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let prefix = format!("{}.", name.to_string_lossy());
    let is_stamp = |text: &str| {
        text.len() == 15
            && text.bytes().enumerate().all(|(i, b)| match i {
                8 => b == b'-',
                _ => b.is_ascii_digit(),
            })
    };
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.to_str()
                .and_then(|name| name.strip_prefix(&prefix))
                .is_some_and(is_stamp)
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn same_bytes(a: &Path, b: &Path) -> bool {
    let size = |path| fs::metadata(path).map(|file| file.len()).ok();
    if size(a) != size(b) {
        return false;
    }
    let (Ok(a), Ok(b)) = (fs::File::open(a), fs::File::open(b)) else {
        return false;
    };
    let (mut a, mut b) = (io::BufReader::new(a), io::BufReader::new(b));
    let (mut left, mut right) = ([0; 16384], [0; 16384]);
    loop {
        let (Ok(n), Ok(m)) = (fill(&mut a, &mut left), fill(&mut b, &mut right)) else {
            return false;
        };
        if left[..n] != right[..m] {
            return false;
        }
        if n == 0 {
            return true;
        }
    }
}

fn fill(from: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Copies every row that can still be read into a database with the schema; answers how many.
pub(super) fn salvage(
    from: &Path,
    db: &Connection,
    tables: &[RescuedTable],
) -> rusqlite::Result<usize> {
    let transaction = db.unchecked_transaction()?;
    let mut saved = 0;
    let mut failed = None;
    let mut save = |table, records: &[PageRecord]| {
        if failed.is_none() && tables.contains(&table) {
            match insert(&transaction, table, records) {
                Ok(rows) => saved += rows,
                Err(e) => failed = Some(e),
            }
        }
    };
    let mut jails = HashSet::new();
    // bans of what is no address: to be told from their history only when all jails are known
    let mut undecided = Vec::new();
    let read = pages::read(from, |records| match table_of(&records, &jails) {
        Some(table) => {
            let jail = usize::from(table == RescuedTable::Bips);
            let named = records.iter().filter_map(|row| text(row, jail));
            jails.extend(named.map(str::to_owned));
            save(table, &records);
        }
        None if is_bans(&records) => undecided.push(records),
        None => {}
    });
    read.map_err(|e| failure::failure(rusqlite::ffi::SQLITE_CANTOPEN, e.to_string()))?;
    for records in undecided {
        if let Some(table) = table_of(&records, &jails) {
            save(table, &records);
        }
    }
    if let Some(e) = failed {
        return Err(e);
    }
    transaction.execute_batch(
        "INSERT OR IGNORE INTO jails(name, enabled) SELECT jail, 0 FROM bans \
         UNION SELECT jail, 0 FROM bips UNION SELECT jail, 0 FROM logs;",
    )?;
    transaction.commit()?;
    Ok(saved)
}

/// The tables whose rows are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RescuedTable {
    Jails,
    Logs,
    Bans,
    Bips,
}

impl RescuedTable {
    pub(super) const ALL: [RescuedTable; 4] = [
        RescuedTable::Jails,
        RescuedTable::Logs,
        RescuedTable::Bans,
        RescuedTable::Bips,
    ];
}

/// The table a page belongs to, by the form of its rows; its name is elsewhere in the file, and may
/// be lost. `bans` and `bips` differ in their order only: which of two columns holds addresses, or
/// jails that are known.
fn table_of(records: &[PageRecord], jails: &HashSet<String>) -> Option<RescuedTable> {
    if is_bans(records) {
        let looks_right =
            |ip: &str, jail: &str| i32::from(is_address(ip)) + i32::from(jails.contains(jail));
        let votes: i32 = records
            .iter()
            .filter_map(|row| Some((text(row, 0)?, text(row, 1)?)))
            .map(|(first, second)| looks_right(first, second) - looks_right(second, first))
            .sum();
        return match votes {
            1.. => Some(RescuedTable::Bips),
            0 => None,
            _ => Some(RescuedTable::Bans),
        };
    }
    match records.first()?.values.as_slice() {
        [Sql::Text(_), Sql::Integer(_)] => Some(RescuedTable::Jails),
        [Sql::Text(_), Sql::Text(_), _, _] => Some(RescuedTable::Logs),
        _ => None,
    }
}

/// Whether rows are of `bans` or `bips`.
fn is_bans(records: &[PageRecord]) -> bool {
    records.iter().any(|row| row.values.len() == 6)
}

fn is_address(text: &str) -> bool {
    let ip = text.split('/').next().unwrap_or_default();
    ip.parse::<IpAddr>().is_ok()
}

/// A name or an id. What holds control characters is noise.
fn text(row: &PageRecord, column: usize) -> Option<&str> {
    match row.values.get(column)? {
        Sql::Text(text) => Some(text.as_str()),
        _ => None,
    }
    .filter(|text| !text.is_empty() && !text.chars().any(char::is_control))
}

/// Inserts rows of one table; answers how many.
fn insert(db: &Connection, table: RescuedTable, records: &[PageRecord]) -> rusqlite::Result<usize> {
    let statement = match table {
        RescuedTable::Jails => "INSERT OR IGNORE INTO jails(rowid, name, enabled) VALUES(?, ?, ?)",
        RescuedTable::Logs => {
            "INSERT OR IGNORE INTO logs(rowid, jail, path, firstlinemd5, lastfilepos) \
             VALUES(?, ?, ?, ?, ?)"
        }
        RescuedTable::Bans => {
            "INSERT OR IGNORE INTO bans(rowid, jail, ip, timeofban, bantime, bancount, data) \
             VALUES(?, ?, ?, ?, ?, ?, ?)"
        }
        // a page that was freed may hold an older one
        RescuedTable::Bips => {
            "INSERT INTO bips(ip, jail, timeofban, bantime, bancount, data) \
             VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(ip, jail) DO UPDATE SET \
             timeofban = excluded.timeofban, bantime = excluded.bantime, \
             bancount = excluded.bancount, data = excluded.data \
             WHERE excluded.timeofban > timeofban"
        }
    };
    let mut statement = db.prepare_cached(statement)?;
    let mut saved = 0;
    for record in records {
        let named = match table {
            RescuedTable::Jails => text(record, 0).is_some(),
            RescuedTable::Logs | RescuedTable::Bans | RescuedTable::Bips => {
                text(record, 0).is_some() && text(record, 1).is_some()
            }
        };
        if !named {
            continue;
        }
        let values = [Sql::Integer(record.rowid)].into_iter();
        let values = values.chain(record.values.iter().cloned());
        let values = values.skip(usize::from(table == RescuedTable::Bips));
        match statement.execute(params_from_iter(values)) {
            Ok(rows) => saved += rows,
            Err(e) if failure::passing(&e) => return Err(e),
            // one that breaks a rule of its table is noise
            Err(_) => {}
        }
    }
    Ok(saved)
}
