//! Opens the file: creates the schema, upgrades old versions (facts Q1, Q2, Q8), and closes the file as the
//! original would leave it.
//!
//! While it is open the file is in WAL mode with `synchronous = NORMAL`, so that a kill or a power cut
//! never damages it. The original opens such a file too and converts it back to a rollback journal.

use std::path::Path;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension};

use super::rescue::{self, RescuedTable};
use super::schema::{COLUMNS, VERSION, configure, create, has_table, rewrite};
use super::{LOG, StoreError, failure, rows};
use crate::{error, info, warning};

/// Of one to a good file. The pages most writes touch fit into a cache of one megabyte; what does
/// not is read again from the file.
const SETTLED: &str = "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304; \
                       PRAGMA cache_size = -1024;";

/// Files up to this size are looked through for damage at start; it takes up to a tenth of a second.
const CHECKED_SIZE: u64 = 16 << 20;

/// Why an open file is not ready for use.
enum OpenError {
    /// A later fail2ban wrote it.
    Future,
    /// What was attempted, and what SQLite says.
    Failed(&'static str, rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(e: rusqlite::Error) -> OpenError {
        OpenError::Failed("Error opening fail2ban persistent database", e)
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
    if let Err(OpenError::Failed(what, e)) = &ready {
        error!(LOG, "{what} '{path}': {}", failure::text(e));
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
    ready: Result<Option<String>, OpenError>,
    path: &str,
) -> Result<Connection, StoreError> {
    match ready {
        Ok(change) => {
            if let Some(change) = change {
                warning!(LOG, "{change}");
            }
            Ok(db)
        }
        Err(OpenError::Future) => Err(StoreError::FutureVersion),
        Err(OpenError::Failed(_, e)) if failure::passing(&e) => Err(failure::refused(&e)),
        Err(OpenError::Failed(..)) => {
            drop(db);
            let db = repair(path)?;
            rows::disable_all_jails(&db).map_err(|e| failure::refused(&e))?;
            Ok(db)
        }
    }
}

/// Makes an open file ready for use; answers what had to be changed.
fn prepare(db: &Connection, path: &str) -> Result<Option<String>, OpenError> {
    let change = match examine(db, path)? {
        Some(version) if version > VERSION => return Err(OpenError::Future),
        Some(VERSION) => None,
        Some(version) => {
            upgrade(db, path, version)
                .map_err(|e| OpenError::Failed("Failed to upgrade database", e))?;
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
    settle(&db).map_err(|e| failure::refused(&e))?;
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
    let db = make().map_err(|e| failure::refused(&e))?;
    let tables = [RescuedTable::Jails, RescuedTable::Logs, RescuedTable::Bips];
    if let Ok(read) = rescue::salvage(Path::new(path), &db, &tables) {
        info!(LOG, "Read {read} record(s) of database '{path}'");
    }
    rows::disable_all_jails(&db)
        .and_then(|()| configure(&db))
        .map_err(|e| failure::refused(&e))?;
    Ok(db)
}

/// Opens the file without looking inside.
fn connect(path: &str) -> Result<Connection, StoreError> {
    let db = Connection::open(path).and_then(|db| configure(&db).map(|()| db));
    db.map_err(|e| {
        // SQLite's text, without the path that the binding adds
        let why = failure::text(&e);
        let why = why.strip_suffix(&format!(": {path}")).unwrap_or(&why);
        if Path::new(path).is_dir() {
            StoreError::Unusable(why.to_owned())
        } else {
            StoreError::Inaccessible(why.to_owned())
        }
    })
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
        Some(_) => return Err(failure::corrupt("no version of the schema")),
    };
    let small = std::fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_SIZE);
    if version == VERSION && small {
        let mut check = db.prepare("PRAGMA integrity_check(100)")?;
        let mut findings = check.query([])?;
        while let Some(finding) = findings.next()? {
            let finding: String = finding.get(0)?;
            // a value that does not belong into its column harms its row alone
            if finding != "ok" && !finding.contains(" value in ") {
                return Err(failure::corrupt(&finding));
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

/// Whether there is nothing in the file yet that could be asked for.
fn is_empty(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() == 0)
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
                return Err(failure::failure(
                    rusqlite::ffi::SQLITE_CANTOPEN,
                    format!("unable to create backup {backup}: {e}"),
                ));
            }
        }
    }
    rewrite(db, version).inspect_err(|e| {
        // it will be tried again
        if is_new && failure::passing(e) {
            let _ = std::fs::remove_file(&backup);
        }
    })
}

/// Crash-safe from here on; a file system that cannot do WAL keeps its rollback journal.
fn settle(db: &Connection) -> rusqlite::Result<()> {
    let journal = db.query_row("PRAGMA journal_mode = WAL", [], |row| {
        row.get::<_, String>(0)
    });
    match journal {
        Err(e) if failure::passing(&e) => return Err(e),
        Err(e) => warning!(
            LOG,
            "Database stays in its journal mode: {}",
            failure::text(&e)
        ),
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
            failure::text(&e)
        );
    }
}
