//! The schema of the database (facts Q1, Q2), and its upgrades from older versions (Q8).

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

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

/// What must be in the tables, and which rows are told apart by what.
pub(super) const COLUMNS: [(&str, &str, &str); 4] = [
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

/// What every connection needs; nothing here looks into the file, which may be no database.
pub(super) fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(2))?;
    db.execute_batch("PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;")?;
    // else a statement is compiled anew for every time or jail it is asked about
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

pub(super) fn has_table(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?1",
        [name],
        |row| row.get(0),
    )
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

/// Changes the tables of versions 1 to 3 to those of 4.
pub(super) fn rewrite(db: &Connection, version: i64) -> rusqlite::Result<()> {
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
