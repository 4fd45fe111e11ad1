//! A damaged database: set aside, then copied row by row as far as it can be read (fact Q9).
//!
//! A file is set aside once: bytes that lie beside the database already are not stored again, and
//! never more than [`MAX_BACKUPS`] files are kept, so that a restart loop cannot fill the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::{LOG, StoreError, schema};
use crate::{error, info};

/// Files kept beside the database; a further one takes the place of the newest.
const MAX_BACKUPS: usize = 5;

/// Where the file of that name would be kept: `FILE.YYYYMMDD-HHMMSS`, UTC.
pub(super) fn backup_name(path: &str) -> String {
    format!("{path}.{}", chrono::Utc::now().format("%Y%m%d-%H%M%S"))
}

/// Sets the file aside and puts a good one in its place; `true` when rows could be saved.
pub(super) fn replace(path: &str) -> Result<(Connection, bool), StoreError> {
    info!(LOG, "Trying to repair database {path}");
    let backup = set_aside(path).map_err(|e| StoreError::Unusable(e.to_string()))?;
    let failed = |e: rusqlite::Error| StoreError::Unusable(schema::text(&e));
    let db = Connection::open(path).map_err(failed)?;
    // rows may have lost the jail they refer to
    db.execute_batch("PRAGMA foreign_keys = OFF;")
        .and_then(|()| schema::create(&db))
        .map_err(failed)?;
    let saved = salvage(&backup, &db).unwrap_or_else(|e| {
        info!(
            LOG,
            "  Unable to read {}: {}",
            backup.display(),
            schema::text(&e)
        );
        0
    });
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
    db.busy_timeout(std::time::Duration::from_secs(2))
        .and_then(|()| db.execute_batch(schema::CONNECTION))
        .map_err(failed)?;
    Ok((db, saved > 0))
}

/// Moves the database and its journals to the backup name; answers where its bytes are now.
fn set_aside(path: &str) -> io::Result<PathBuf> {
    let mut kept = backups(path);
    if let Some(same) = kept.iter().find(|kept| same_bytes(Path::new(path), kept)) {
        let same = same.clone();
        fs::remove_file(path)?;
        drop_journals(path);
        info!(LOG, "  Database backup exists: {}", same.display());
        return Ok(same);
    }
    let mut name = PathBuf::from(backup_name(path));
    if kept.len() >= MAX_BACKUPS
        && let Some(newest) = kept.pop()
    {
        name = newest;
    }
    fs::rename(path, &name)?;
    for journal in ["-wal", "-journal"] {
        let to = format!("{}{journal}", name.display());
        // a rollback journal or log left by a crash belongs to the bytes that were moved
        if fs::rename(format!("{path}{journal}"), &to).is_err() {
            let _ = fs::remove_file(to);
        }
    }
    drop_journals(path);
    info!(LOG, "  Database backup created: {}", name.display());
    Ok(name)
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

/// Copies every row that can be read, from the front and, where that stops, from the back.
fn salvage(from: &Path, db: &Connection) -> rusqlite::Result<usize> {
    let old = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let transaction = db.unchecked_transaction()?;
    let mut saved = 0;
    for (table, _) in schema::TABLES.into_iter().skip(1) {
        saved += copy_table(&old, &transaction, table);
    }
    transaction.execute_batch(
        "INSERT OR IGNORE INTO jails(name, enabled) SELECT jail, 0 FROM bans \
         UNION SELECT jail, 0 FROM bips UNION SELECT jail, 0 FROM logs;",
    )?;
    transaction.commit()?;
    Ok(saved)
}

fn copy_table(old: &Connection, new: &Connection, table: &str) -> usize {
    let Ok(columns) = columns_of_both(old, new, table) else {
        return 0;
    };
    let list = columns.join(", ");
    let places = vec!["?"; columns.len() + 1].join(", ");
    let insert = format!("INSERT OR IGNORE INTO {table}(rowid, {list}) VALUES({places})");
    let Ok(mut insert) = new.prepare(&insert) else {
        return 0;
    };
    let mut saved = 0;
    for order in ["ASC", "DESC"] {
        let select = format!("SELECT rowid, {list} FROM {table} ORDER BY rowid {order}");
        let Ok(mut select) = old.prepare(&select) else {
            continue;
        };
        let Ok(mut rows) = select.query([]) else {
            continue;
        };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let values: rusqlite::Result<Vec<Sql>> =
                        (0..=columns.len()).map(|i| row.get(i)).collect();
                    if let Ok(values) = values {
                        saved += insert.execute(params_from_iter(values)).unwrap_or(0);
                    }
                }
                Ok(None) => return saved,
                Err(_) => break,
            }
        }
    }
    saved
}

/// The new table's columns that the old one has.
fn columns_of_both(
    old: &Connection,
    new: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<String>> {
    let columns = |db: &Connection| -> rusqlite::Result<Vec<String>> {
        db.prepare("SELECT name FROM pragma_table_info(?1)")?
            .query_map([table], |row| row.get(0))?
            .collect()
    };
    let old = columns(old)?;
    let both: Vec<String> = columns(new)?
        .into_iter()
        .filter(|column| old.contains(column))
        .collect();
    if both.is_empty() {
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    Ok(both)
}
