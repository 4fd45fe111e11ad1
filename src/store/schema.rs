//! Opens the file: creates the schema, upgrades old ones (facts Q1, Q2, Q8), closes it as the
//! original would leave it.
//!
//! While we hold it the file is in WAL mode with `synchronous = NORMAL`, so that a kill or a power
//! cut never damages it; the original opens such a file too and takes it back to a rollback journal.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::rescue::{self, Table};
use super::{LOG, StoreError, rows};
use crate::{error, info, warning};

/// The schema this program and fail2ban 0.11 to 1.1 use.
pub(super) const VERSION: i64 = 4;

/// The tables in the order their references need, with the statements that make them.
///
/// Names, columns, declared types and defaults are the interface (fact Q1): other programs query
/// them, and Python finds out by the declared type `JSON` what to decode.
pub(super) const TABLES: [(&str, &str); 5] = [
    (
        "fail2banDb",
        "CREATE TABLE IF NOT EXISTS fail2banDb(version INTEGER);",
    ),
    (
        "jails",
        "CREATE TABLE IF NOT EXISTS jails(\
            name TEXT NOT NULL UNIQUE, \
            enabled INTEGER NOT NULL DEFAULT 1);\
         CREATE INDEX IF NOT EXISTS jails_name ON jails(name);",
    ),
    (
        "logs",
        "CREATE TABLE IF NOT EXISTS logs(\
            jail TEXT NOT NULL, \
            path TEXT, \
            firstlinemd5 TEXT, \
            lastfilepos INTEGER DEFAULT 0, \
            FOREIGN KEY(jail) REFERENCES jails(name) ON DELETE CASCADE, \
            UNIQUE(jail, path), \
            UNIQUE(jail, path, firstlinemd5));\
         CREATE INDEX IF NOT EXISTS logs_path ON logs(path);\
         CREATE INDEX IF NOT EXISTS logs_jail_path ON logs(jail, path);",
    ),
    (
        "bans",
        "CREATE TABLE IF NOT EXISTS bans(\
            jail TEXT NOT NULL, \
            ip TEXT, \
            timeofban INTEGER NOT NULL, \
            bantime INTEGER NOT NULL, \
            bancount INTEGER NOT NULL DEFAULT 1, \
            data JSON, \
            FOREIGN KEY(jail) REFERENCES jails(name));\
         CREATE INDEX IF NOT EXISTS bans_jail_timeofban_ip ON bans(jail, timeofban);\
         CREATE INDEX IF NOT EXISTS bans_jail_ip ON bans(jail, ip);\
         CREATE INDEX IF NOT EXISTS bans_ip ON bans(ip);",
    ),
    (
        "bips",
        "CREATE TABLE IF NOT EXISTS bips(\
            ip TEXT NOT NULL, \
            jail TEXT NOT NULL, \
            timeofban INTEGER NOT NULL, \
            bantime INTEGER NOT NULL, \
            bancount INTEGER NOT NULL DEFAULT 1, \
            data JSON, \
            PRIMARY KEY(ip, jail), \
            FOREIGN KEY(jail) REFERENCES jails(name));\
         CREATE INDEX IF NOT EXISTS bips_timeofban ON bips(timeofban);\
         CREATE INDEX IF NOT EXISTS bips_ip ON bips(ip);",
    ),
];

/// Of one to a good file. The pages most writes touch fit into a cache of one megabyte; what does
/// not is read again from the file.
const SETTLED: &str = "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304; \
                       PRAGMA cache_size = -1024;";

/// What must be in the tables, and which rows are told apart by what.
const COLUMNS: [(&str, &str, &str); 4] = [
    ("jails", "name, enabled", "(name)"),
    (
        "logs",
        "jail, path, firstlinemd5, lastfilepos",
        "(jail, path)",
    ),
    ("bans", "jail, ip, timeofban, bantime, bancount, data", ""),
    (
        "bips",
        "ip, jail, timeofban, bantime, bancount, data",
        "(ip, jail)",
    ),
];

/// Files up to this size are looked through for damage at start; it takes up to a tenth of a second.
const CHECKED_SIZE: u64 = 16 << 20;

/// Why an open file is not ready for use.
enum Unready {
    /// A later fail2ban wrote it.
    Future,
    /// What was attempted, and what SQLite says.
    Failed(&'static str, rusqlite::Error),
}

impl From<rusqlite::Error> for Unready {
    fn from(e: rusqlite::Error) -> Unready {
        Unready::Failed("Error opening fail2ban persistent database", e)
    }
}

/// Opens, creates, upgrades or rescues the database, and marks all jails disabled (fact Q10).
pub(super) fn open(path: &str) -> Result<Connection, StoreError> {
    let db = connect(path).inspect_err(|e| {
        error!(
            LOG,
            "Error connecting to fail2ban persistent database '{path}': {e}"
        );
    })?;
    info!(LOG, "Connected to fail2ban persistent database '{path}'");
    let ready = prepare(&db, path);
    if let Err(Unready::Failed(what, e)) = &ready {
        error!(LOG, "{what} '{path}': {}", text(e));
    }
    finish(db, ready, path)
}

/// As [`open`] for a file that could not be used before; says nothing while that is so.
pub(super) fn open_again(path: &str) -> Result<Connection, StoreError> {
    if let Some(directory) = Path::new(path).parent() {
        // that may have been what could not be made
        let _ = std::fs::create_dir_all(directory);
    }
    let db = connect(path)?;
    let ready = prepare(&db, path);
    finish(db, ready, path)
}

/// Says what was made of the file, or repairs it.
fn finish(
    db: Connection,
    ready: Result<Option<String>, Unready>,
    path: &str,
) -> Result<Connection, StoreError> {
    match ready {
        Ok(change) => {
            if let Some(change) = change {
                warning!(LOG, "{change}");
            }
            Ok(db)
        }
        Err(Unready::Future) => Err(StoreError::FutureVersion),
        Err(Unready::Failed(_, e)) if passing(&e) => Err(refused(&e)),
        Err(Unready::Failed(..)) => {
            drop(db);
            let db = repair(path)?;
            rows::disable_all_jails(&db).map_err(|e| refused(&e))?;
            Ok(db)
        }
    }
}

/// Makes an open file ready for use; answers what had to be changed.
fn prepare(db: &Connection, path: &str) -> Result<Option<String>, Unready> {
    let change = match examine(db, path)? {
        Some(version) if version > VERSION => return Err(Unready::Future),
        Some(VERSION) => None,
        Some(version) => {
            upgrade(db, path, version)
                .map_err(|e| Unready::Failed("Failed to upgrade database", e))?;
            Some(format!("Database updated from '{version}' to '{VERSION}'"))
        }
        None => {
            fill(db, path)?;
            Some(format!("New database created. Version '{VERSION}'"))
        }
    };
    rows::disable_all_jails(db)?;
    settle(db)?;
    Ok(change)
}

/// Sets a damaged file aside, which nobody may have open, and goes on with what could be saved of it.
pub(super) fn repair(path: &str) -> Result<Connection, StoreError> {
    let (db, restored) = rescue::replace(path)?;
    info!(LOG, "Connected to fail2ban persistent database '{path}'");
    if !restored {
        warning!(LOG, "New database created. Version '{VERSION}'");
    }
    settle(&db).map_err(|e| refused(&e))?;
    Ok(db)
}

/// A database in memory with what can be read of a file that cannot be used: the last ban of each
/// address and the places in logs.
pub(super) fn in_memory(path: &str) -> Result<Connection, StoreError> {
    let make = || {
        let db = Connection::open_in_memory()?;
        create(&db)?;
        Ok(db)
    };
    let db = make().map_err(|e| refused(&e))?;
    let tables = [Table::Jails, Table::Logs, Table::Bips];
    if let Ok(read) = rescue::salvage(Path::new(path), &db, &tables) {
        info!(LOG, "Read {read} record(s) of database '{path}'");
    }
    rows::disable_all_jails(&db)
        .and_then(|()| configure(&db))
        .map_err(|e| refused(&e))?;
    Ok(db)
}

/// Opens the file without looking inside.
fn connect(path: &str) -> Result<Connection, StoreError> {
    let db = Connection::open(path).and_then(|db| configure(&db).map(|()| db));
    db.map_err(|e| {
        // SQLite's text, without the path that the binding adds
        let why = text(&e);
        let why = why.strip_suffix(&format!(": {path}")).unwrap_or(&why);
        if Path::new(path).is_dir() {
            StoreError::Unusable(why.to_owned())
        } else {
            StoreError::Inaccessible(why.to_owned())
        }
    })
}

/// What every connection needs; nothing here looks into the file, which may be no database.
pub(super) fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(2))?;
    db.execute_batch("PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;")?;
    // else a statement is compiled anew for every time or jail it is asked about
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// The version of the schema, `None` when there is none yet; an error for a damaged file.
fn examine(db: &Connection, path: &str) -> rusqlite::Result<Option<i64>> {
    if is_empty(path) || !has_table(db, "fail2banDb")? {
        return Ok(None);
    }
    let version = db
        .query_row("SELECT version FROM fail2banDb LIMIT 1", [], |row| {
            row.get::<_, Sql>(0)
        })
        .optional()?;
    let version = match version {
        None => return Ok(None),
        Some(Sql::Integer(version @ 1..)) => version,
        Some(_) => return Err(corrupt("no version of the schema")),
    };
    let small = std::fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_SIZE);
    if version == VERSION && small {
        let mut check = db.prepare("PRAGMA integrity_check(100)")?;
        let mut findings = check.query([])?;
        while let Some(finding) = findings.next()? {
            let finding: String = finding.get(0)?;
            // a value that does not belong into its column harms its row alone
            if finding != "ok" && !finding.contains(" value in ") {
                return Err(corrupt(&finding));
            }
        }
        drop(findings);
        drop(check);
        // a lost table or index is no reason to set the rest aside
        create(db)?;
        for (table, columns, key) in COLUMNS {
            let places = vec!["?"; columns.split(',').count()].join(", ");
            db.prepare(&format!(
                "INSERT INTO {table}({columns}) VALUES({places}) ON CONFLICT{key} DO NOTHING"
            ))?;
        }
    }
    Ok(Some(version))
}

/// SQLite's error for a damaged file.
fn corrupt(what: &str) -> rusqlite::Error {
    failure(
        rusqlite::ffi::SQLITE_CORRUPT,
        format!("database disk image is malformed: {what}"),
    )
}

/// An error as SQLite would answer it.
pub(super) fn failure(code: std::ffi::c_int, text: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(text))
}

/// Whether there is nothing in the file yet that could be asked for.
fn is_empty(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() == 0)
}

pub(super) fn has_table(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1",
        [name],
        |row| row.get(0),
    )
}

/// Makes the schema in a file without one.
fn fill(db: &Connection, path: &str) -> rusqlite::Result<()> {
    if !is_empty(path) {
        // somebody's data is in it, or it is no file
        return create(db);
    }
    // what is new cannot be lost: without a journal it goes to the disk once, when the journal mode
    // is changed, and not after every step
    db.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")?;
    create(db)?;
    db.execute_batch("PRAGMA synchronous = NORMAL;")
}

/// Makes whatever is missing of the schema.
pub(super) fn create(db: &Connection) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    for (_, statements) in TABLES {
        transaction.execute_batch(statements)?;
    }
    transaction.execute(
        "INSERT INTO fail2banDb(version) \
         SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM fail2banDb)",
        [VERSION],
    )?;
    transaction.commit()
}

/// Brings versions 1 to 3 to 4, after a copy of the file was made (fact Q8).
fn upgrade(db: &Connection, path: &str, version: i64) -> rusqlite::Result<()> {
    let backup = rescue::backup_name(path);
    info!(LOG, "Upgrade database: {backup} from version '{version}'");
    let is_new = std::fs::metadata(&backup).is_err();
    if is_new {
        // VACUUM INTO would be consistent too, but the bytes as they are serve a rescue better
        match std::fs::copy(path, &backup) {
            Ok(_) => info!(LOG, "  Database backup created: {backup}"),
            Err(e) => {
                let _ = std::fs::remove_file(&backup);
                return Err(failure(
                    rusqlite::ffi::SQLITE_CANTOPEN,
                    format!("unable to create backup {backup}: {e}"),
                ));
            }
        }
    }
    rewrite(db, version).inspect_err(|e| {
        // it will be tried again
        if is_new && passing(e) {
            let _ = std::fs::remove_file(&backup);
        }
    })
}

/// Changes the tables of versions 1 to 3 to those of 4.
fn rewrite(db: &Connection, version: i64) -> rusqlite::Result<()> {
    // tables are made anew under rows that refer to them
    db.execute_batch("PRAGMA foreign_keys = OFF;")?;
    let transaction = db.unchecked_transaction()?;
    if version < 2 && has_table(&transaction, "logs")? {
        transaction.execute_batch("ALTER TABLE logs RENAME TO logs_old;")?;
        drop_indices(&transaction, "logs_old")?;
        transaction.execute_batch(TABLES[2].1)?;
        transaction.execute_batch(
            "INSERT OR REPLACE INTO logs SELECT jail, path, firstlinemd5, lastfilepos FROM logs_old; \
             DROP TABLE logs_old;",
        )?;
    }
    if version < 3 && has_table(&transaction, "bans")? {
        transaction.execute_batch("ALTER TABLE bans RENAME TO bans_old;")?;
        drop_indices(&transaction, "bans_old")?;
        transaction.execute_batch(TABLES[3].1)?;
        transaction.execute_batch(
            "INSERT INTO bans SELECT jail, ip, timeofban, -2, 1, data FROM bans_old; \
             DROP TABLE bans_old;",
        )?;
    }
    let had_bips = has_table(&transaction, "bips")?;
    for (_, statements) in TABLES {
        transaction.execute_batch(statements)?;
    }
    if !had_bips {
        transaction.execute_batch(
            "INSERT OR REPLACE INTO bips(ip, jail, timeofban, bantime, bancount, data) \
             SELECT ip, jail, timeofban, bantime, bancount, data FROM bans \
             WHERE ip IS NOT NULL ORDER BY timeofban;",
        )?;
    }
    transaction.execute("UPDATE fail2banDb SET version = ?1", [VERSION])?;
    transaction.commit()?;
    db.execute_batch("PRAGMA foreign_keys = ON;")
}

/// Index names are global: those of a renamed table stand in the way of the new one's.
fn drop_indices(db: &Connection, table: &str) -> rusqlite::Result<()> {
    let names: Vec<String> = db
        .prepare("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL")?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for name in names {
        db.execute_batch(&format!("DROP INDEX \"{}\";", name.replace('"', "\"\"")))?;
    }
    Ok(())
}

/// Crash-safe from here on; a file system that cannot do WAL keeps its rollback journal.
fn settle(db: &Connection) -> rusqlite::Result<()> {
    let journal = db.query_row("PRAGMA journal_mode = WAL", [], |row| {
        row.get::<_, String>(0)
    });
    match journal {
        Err(e) if passing(&e) => return Err(e),
        Err(e) => warning!(LOG, "Database stays in its journal mode: {}", text(&e)),
        Ok(_) => {}
    }
    db.execute_batch(SETTLED)
}

/// Writes the log back into the file and closes it; another program that has it open just now
/// keeps it in WAL mode, which does no harm.
pub(super) fn close(db: Connection, path: &str) {
    let journal = db.query_row("PRAGMA journal_mode = DELETE", [], |row| {
        row.get::<_, String>(0)
    });
    if let Err(e) = journal {
        warning!(
            LOG,
            "Database '{path}' was not closed in order: {}",
            text(&e)
        );
    }
}

/// Whether the file itself is bad (and not the access to it).
pub(super) fn damaged(e: &rusqlite::Error) -> bool {
    matches!(
        e.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// Whether the access to the file fails and may succeed later.
pub(super) fn passing(e: &rusqlite::Error) -> bool {
    matches!(
        e.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::OutOfMemory
        )
    )
}

/// What this means to who wants to open a store.
pub(super) fn refused(e: &rusqlite::Error) -> StoreError {
    if passing(e) {
        StoreError::Inaccessible(text(e))
    } else {
        StoreError::Unusable(text(e))
    }
}

/// SQLite's own words, without those of the binding.
pub(super) fn text(e: &rusqlite::Error) -> String {
    match e {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text.clone(),
        rusqlite::Error::SqliteFailure(code, None) => {
            rusqlite::ffi::code_to_str(code.extended_code).to_owned()
        }
        other => other.to_string(),
    }
}
