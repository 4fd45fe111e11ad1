//! Opens the file: creates the schema, upgrades old ones (facts Q1, Q2, Q8), closes it as the
//! original would leave it.
//!
//! While we hold it the file is in WAL mode with `synchronous = NORMAL`, so that a kill or a power
//! cut never damages it; the original opens such a file too and takes it back to a rollback journal.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::{LOG, StoreError, rescue};
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

/// Of every connection; nothing here looks into the file, which may be no database.
pub(super) const CONNECTION: &str = "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;";

/// Of one to a good file. The pages most writes touch fit into a cache of one megabyte; what does
/// not is read again from the file.
const SETTLED: &str = "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304; \
                       PRAGMA cache_size = -1024;";

/// Files up to this size are looked through for damage at start; it takes some milliseconds.
const CHECKED_SIZE: u64 = 16 << 20;

/// Opens, creates, upgrades or rescues the database.
pub(super) fn open(path: &str) -> Result<Connection, StoreError> {
    let db = connect(path)?;
    match examine(&db, path) {
        Ok(Some(version)) if version > VERSION => return Err(StoreError::FutureVersion),
        Ok(Some(VERSION)) => {
            settle(&db)?;
            return Ok(db);
        }
        Ok(Some(version)) => match upgrade(&db, path, version) {
            Ok(()) => {
                warning!(LOG, "Database updated from '{version}' to '{VERSION}'");
                settle(&db)?;
                return Ok(db);
            }
            Err(e) if damaged(&e) => {
                error!(LOG, "Failed to upgrade database '{path}': {}", text(&e))
            }
            Err(e) => {
                error!(LOG, "Failed to upgrade database '{path}': {}", text(&e));
                return Err(StoreError::Unusable(text(&e)));
            }
        },
        Ok(None) => {
            fill(&db, path).map_err(|e| StoreError::Unusable(text(&e)))?;
            settle(&db)?;
            warning!(LOG, "New database created. Version '{VERSION}'");
            return Ok(db);
        }
        Err(e) => {
            error!(
                LOG,
                "Error opening fail2ban persistent database '{path}': {}",
                text(&e)
            );
            if !damaged(&e) {
                return Err(StoreError::Unusable(text(&e)));
            }
        }
    }
    drop(db);
    repair(path)
}

/// Sets a damaged file aside, which nobody may have open, and goes on with what could be saved of it.
pub(super) fn repair(path: &str) -> Result<Connection, StoreError> {
    let (db, restored) = rescue::replace(path)?;
    info!(LOG, "Connected to fail2ban persistent database '{path}'");
    if !restored {
        warning!(LOG, "New database created. Version '{VERSION}'");
    }
    settle(&db)?;
    Ok(db)
}

/// Opens the file without looking inside.
pub(super) fn connect(path: &str) -> Result<Connection, StoreError> {
    let db = Connection::open(path).and_then(|db| {
        db.busy_timeout(Duration::from_secs(2))?;
        db.execute_batch(CONNECTION)?;
        // else a statement is compiled anew for every time or jail it is asked about
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(db)
    });
    match db {
        Ok(db) => {
            info!(LOG, "Connected to fail2ban persistent database '{path}'");
            Ok(db)
        }
        Err(e) => {
            // SQLite's text, without the path that the binding adds
            let why = text(&e);
            let why = why.strip_suffix(&format!(": {path}")).unwrap_or(&why);
            error!(
                LOG,
                "Error connecting to fail2ban persistent database '{path}': {why}"
            );
            Err(StoreError::Unusable(why.to_owned()))
        }
    }
}

/// The version of the schema, `None` when there is none yet; an error for a damaged file.
fn examine(db: &Connection, path: &str) -> rusqlite::Result<Option<i64>> {
    if is_empty(path) || !has_table(db, "fail2banDb")? {
        return Ok(None);
    }
    let version = db
        .query_row("SELECT version FROM fail2banDb LIMIT 1", [], |row| {
            row.get(0)
        })
        .optional()?;
    let small = std::fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_SIZE);
    if version == Some(VERSION) && small {
        let finding: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        let structure = ["***", "Tree ", "Page ", "Freelist", "Main freelist"];
        if structure.iter().any(|start| finding.starts_with(start)) {
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
                None,
            ));
        }
        // a lost table or index is no reason to set the rest aside
        create(db)?;
    }
    Ok(version)
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
    if std::fs::metadata(&backup).is_err() {
        // VACUUM INTO would be consistent too, but the bytes as they are serve a rescue better
        match std::fs::copy(path, &backup) {
            Ok(_) => info!(LOG, "  Database backup created: {backup}"),
            Err(e) => {
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
                    Some(format!("unable to create backup {backup}: {e}")),
                ));
            }
        }
    }
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
fn settle(db: &Connection) -> Result<(), StoreError> {
    let journal = db.query_row("PRAGMA journal_mode = WAL", [], |row| {
        row.get::<_, String>(0)
    });
    if let Err(e) = journal {
        warning!(LOG, "Database stays in its journal mode: {}", text(&e));
    }
    db.execute_batch(SETTLED)
        .map_err(|e| StoreError::Unusable(text(&e)))
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
