//! The database, written by us and read by the original's own class, and the other way round.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use ferroban::parts::address::Address;
use ferroban::parts::fields::{FieldValue, MatchLine};
use ferroban::parts::origin::BanOrigin;
use ferroban::parts::store::{LogPosition, Store};
use ferroban::parts::ticket::{BanTime, Ticket};
use serde_json::{Value, json};

const NOW: f64 = 1_795_000_000.0;

/// Runs Python with the original's modules; `script` sees `path` and prints one JSON value.
fn python(version: &str, path: &Path, script: &str) -> Value {
    let prelude = r#"
import json, sys, logging
from fail2ban.server.database import Fail2BanDb
from fail2ban.server.ticket import FailTicket, BanTicket
from fail2ban.server.mytime import MyTime
path = sys.argv[1]
MyTime.setTime(1795000000)
MyTime.myTime = 1795000000
class Actions:
    def getBanTime(self): return 600
class Jail:
    def __init__(self, name): self.name = name; self.actions = Actions()
    def getMaxBanTime(self): return None
class Log:
    def __init__(self, name, pos, md5): self.name, self.pos, self.md5 = name, pos, md5
    def getFileName(self): return self.name
    def getPos(self): return self.pos
    def getHash(self): return self.md5
"#;
    let output = common::python(version)
        .args(["-c", &format!("{prelude}{script}")])
        .arg(path)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(stdout.trim()).unwrap_or_else(|e| panic!("{e}: {stdout}\n{stderr}"))
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn ban(ip: &str, time: f64, bantime: BanTime) -> Ticket {
    let mut ticket = Ticket::new(Address::parse(ip), time);
    ticket.failures = 3;
    ticket.bantime = Some(bantime);
    ticket.bancount = 1;
    ticket.set_matches(&[
        MatchLine::Text("first ü line".to_owned()),
        MatchLine::Parts(std::sync::Arc::new([
            String::new(),
            "Nov 21 20:00:00".to_owned(),
            " second".to_owned(),
        ])),
        MatchLine::Text("third".to_owned()),
    ]);
    let user = FieldValue::Text("root".to_owned());
    ticket.set_field("user", user);
    let users = FieldValue::Set(vec!["root".to_owned(), "al".to_owned()]);
    ticket.set_field("users", users);
    ticket
}

/// What the original sees of the file [`write_ours`] wrote.
const READ_IN_PYTHON: &str = r#"
db = Fail2BanDb(path)
j = Jail('sshd')
tickets = db.getCurrentBans(jail=j, fromtime=1795000000)
merged = db.getBansMerged(ip='192.0.2.1')
cur = db._db.cursor()
print(json.dumps({
  'jails': cur.execute("SELECT name, enabled FROM jails ORDER BY name").fetchall(),
  'log': db.addLog(j, Log('/var/log/auth.log', 0, 'abc')),
  'other': db.addLog(j, Log('/var/log/auth.log', 0, 'xyz')),
  'bans': [[str(t.getID()), t.getTime(), t.getBanTime(), t.getBanCount(), t.getAttempt(), t.getMatches(),
            t.getData('user'), t.getData('users'), t.getData('ferroban.origin')] for t in tickets],
  'history': db.getBan('192.0.2.1', j), 'overall': db.getBan('192.0.2.1', overalljails=True),
  'merged': [merged.getAttempt(), merged.getMatches()],
  'types': cur.execute("SELECT typeof(timeofban), typeof(bantime), typeof(data) FROM bans ORDER BY ip").fetchall(),
  'mode': cur.execute("PRAGMA journal_mode").fetchone()[0],
  'version': cur.execute("SELECT version FROM fail2banDb").fetchone()[0],
}))
"#;

fn write_ours(store: &Store) {
    store.set_max_matches(2);
    store.add_jail("sshd");
    store.add_jail("postfix");
    store.add_jail("old");
    store.disable_jail("old");
    let position = LogPosition {
        first_line_hash: "abc".to_owned(),
        offset: 41.0,
    };
    block(store.add_log("sshd", "/var/log/auth.log", "abc"));
    store.update_log("sshd", "/var/log/auth.log", position);
    let first = ban("192.0.2.1", NOW - 100.5, BanTime::Seconds(600.0));
    store.add_ban("sshd", &first);
    store.add_ban("postfix", &first);
    store.add_ban("sshd", &ban("2001:db8::/32", NOW, BanTime::Permanent));
    let mut remote = ban("192.0.2.3", NOW, BanTime::Seconds(8.75));
    remote.set_origin(&BanOrigin::Fleet("mx2".to_owned()));
    store.add_ban("sshd", &remote);
    store.add_ban(
        "sshd",
        &ban("192.0.2.4", NOW - 700.0, BanTime::Seconds(600.0)),
    );
    store.add_ban("sshd", &ban("192.0.2.5", NOW, BanTime::Seconds(600.0)));
    store.delete_bans("sshd", Some(vec![Address::parse("192.0.2.5")]));
}

fn expect_python(seen: &Value) {
    let matches = json!(["Nov 21 20:00:00 second", "third"]);
    let row = |ip: &str, time: i64, bantime: Value, origin: Option<&str>| {
        let users = "['root', 'al']";
        json!([ip, time, bantime, 1, 3, matches, "root", users, origin])
    };
    let expected = json!({
        "jails": [["old", 0], ["postfix", 1], ["sshd", 1]],
        "log": 41, "other": null,
        "bans": [
            row("192.0.2.1", 1_794_999_900, json!(600), None),
            row("192.0.2.3", 1_795_000_000, json!(8.75), Some("fleet mx2")),
            row("2001:db8::/32", 1_795_000_000, json!(-1), None),
        ],
        "history": [[1, 1_794_999_900, 600]], "overall": [[2, 1_794_999_900, 1200]],
        "merged": [6, ["Nov 21 20:00:00 second", "third", "Nov 21 20:00:00 second", "third"]],
        "types": [
            ["integer", "integer", "blob"], ["integer", "integer", "blob"],
            ["integer", "real", "blob"], ["integer", "integer", "blob"], ["integer", "integer", "blob"],
        ],
        "mode": "memory", "version": 4,
    });
    assert_eq!(seen, &expected);
}

#[test]
fn original_reads_what_we_wrote_and_closed() {
    for version in ["1.1.1", "1.0.2"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f2b.sqlite3");
        let store = Store::open(&path).unwrap();
        write_ours(&store);
        block(store.close());
        let files: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        assert_eq!(files, ["f2b.sqlite3"], "a journal was left behind");
        expect_python(&python(version, &path, READ_IN_PYTHON));
    }
}

/// A copy of the files while the thread holds them open is what a `kill -9` leaves.
#[test]
fn original_reads_what_we_left_when_killed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f2b.sqlite3");
    let store = Store::open(&path).unwrap();
    write_ours(&store);
    // a read waits for the writes before it; the batch is committed right after it
    assert_eq!(
        block(store.current_bans("sshd", NOW, BanTime::Permanent, Default::default())).len(),
        3
    );
    std::thread::sleep(std::time::Duration::from_millis(100));
    let killed = dir.path().join("killed.sqlite3");
    for suffix in ["", "-wal"] {
        let name = |base: &Path| format!("{}{suffix}", base.display());
        std::fs::copy(name(&path), name(&killed)).unwrap();
    }
    expect_python(&python("1.1.1", &killed, READ_IN_PYTHON));
    block(store.close());
}

#[test]
fn we_read_what_the_original_wrote() {
    for version in ["1.1.1", "1.0.2"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f2b.sqlite3");
        let written = python(
            version,
            &path,
            r#"
db = Fail2BanDb(path)
for name in ('sshd', 'postfix'): db.addJail(Jail(name))
j = Jail('sshd')
db.addLog(j, Log('/var/log/auth.log', 0, 'abc'))
db.updateLog(j, Log('/var/log/auth.log', 41, 'abc'))
def ban(jail, ip, time, bantime):
    t = FailTicket(ip, time, ['first ü "line"', ('', 'Nov 21 20:00:00', ' second')])
    t.setAttempt(2); t.setBanTime(bantime); t.setBanCount(2)
    t.setData('user', 'root'); t.setData('users', {'root'}); t.setData('pair', ('a', None))
    db.addBan(Jail(jail), t)
ban('sshd', '192.0.2.1', 1794999900, 600)
ban('postfix', '192.0.2.1', 1794999910, 600)
ban('sshd', '2001:db8::1', 1794000000, -1)
ban('sshd', '192.0.2.9', 1794999000, 600)
db.close()
print(json.dumps([]))
"#,
        );
        assert_eq!(written, json!([]));
        let before = std::fs::read(&path).unwrap();
        let store = Store::open(&path).unwrap();
        let position = block(store.add_log("sshd", "/var/log/auth.log", "abc"));
        assert_eq!(position.map(|position| position.offset), Some(41.0));
        assert_eq!(
            block(store.add_log("sshd", "/var/log/auth.log", "xyz")),
            None
        );
        let bans =
            block(store.current_bans("sshd", NOW, BanTime::Seconds(600.0), Default::default()));
        let ids: Vec<String> = bans.iter().map(|ban| ban.id.to_string()).collect();
        assert_eq!(ids, ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(bans[0].bantime, Some(BanTime::Seconds(600.0)));
        assert_eq!(bans[1].bantime, Some(BanTime::Permanent));
        let texts: Vec<String> = bans[0].matches().iter().map(MatchLine::text).collect();
        assert_eq!(texts, ["first ü \"line\"", "Nov 21 20:00:00 second"]);
        assert_eq!(
            (bans[0].failures, bans[0].bancount, bans[0].restored),
            (2, 2, true)
        );
        let fields = bans[0].fields();
        assert_eq!(
            fields.get("user"),
            Some(&FieldValue::Text("root".to_owned()))
        );
        // Python's JSON knows no sets: the original stores what `str()` makes of them
        assert_eq!(
            fields.get("users"),
            Some(&FieldValue::Text("['root']".to_owned()))
        );
        let pair = FieldValue::Tuple(vec![Some("a".to_owned()), None]);
        assert_eq!(fields.get("pair"), Some(&pair));
        let history = block(store.history(None, &bans[0].id)).unwrap();
        assert_eq!((history.bancount, history.timeofban), (4, 1_794_999_910.0));
        let (failures, matches) = block(store.merged_history(None, &bans[0].id)).unwrap();
        assert_eq!((failures, matches.len()), (4, 4));

        // the same ban written by us has the same bytes in its row
        let mut same = bans[0].clone();
        same.id = Address::parse("192.0.2.77");
        store.add_ban("sshd", &same);
        block(store.close());
        let rows = python(
            version,
            &path,
            r#"
import sqlite3
db = sqlite3.connect(path)
print(json.dumps([list(map(repr, row)) for row in db.execute(
  "SELECT jail, timeofban, bantime, bancount, data FROM bans WHERE ip IN ('192.0.2.1', '192.0.2.77') AND jail = 'sshd'")]))
"#,
        );
        assert_eq!(rows[0], rows[1], "{}", before.len());
    }
}

#[test]
fn schema_is_the_originals() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
    block(Store::open(&ours).unwrap().close());
    python("1.1.1", &theirs, "Fail2BanDb(path).close(); print('[]')");
    let describe = r#"
import sqlite3
db = sqlite3.connect(path)
out = {}
for kind, name in db.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall():
    q = {'table': ('table_info', 'foreign_key_list', 'index_list'), 'index': ('index_info',)}[kind]
    # default texts are compared without regard to case
    out[name] = [[[str(v).lower() for v in row] for row in db.execute("PRAGMA %s(%s)" % (p, name))] for p in q]
print(json.dumps(out))
"#;
    let (ours, theirs) = (
        python("1.1.1", &ours, describe),
        python("1.1.1", &theirs, describe),
    );
    assert!(theirs.as_object().unwrap().len() >= 12, "{theirs}");
    assert_eq!(ours, theirs);
}

#[test]
fn older_schemas_are_upgraded() {
    for version in 1..=3 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f2b.sqlite3");
        let lengths = if version < 3 {
            ""
        } else {
            ", bantime INTEGER NOT NULL, bancount INTEGER NOT NULL default 1"
        };
        let values = if version < 3 { "" } else { ", 300, 2" };
        let unique = if version < 2 {
            "UNIQUE(path, firstlinemd5)"
        } else {
            "UNIQUE(jail, path)"
        };
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(&format!(
            "CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES({version});
             CREATE TABLE jails(name TEXT NOT NULL UNIQUE, enabled INTEGER NOT NULL DEFAULT 1);
             INSERT INTO jails VALUES('sshd', 1);
             CREATE TABLE logs(jail TEXT NOT NULL, path TEXT, firstlinemd5 TEXT, lastfilepos INTEGER DEFAULT 0,
               FOREIGN KEY(jail) REFERENCES jails(name) ON DELETE CASCADE, {unique});
             CREATE INDEX logs_path ON logs(path);
             INSERT INTO logs VALUES('sshd', '/l', 'abc', 41);
             CREATE TABLE bans(jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL{lengths}, data JSON,
               FOREIGN KEY(jail) REFERENCES jails(name));
             CREATE INDEX bans_ip ON bans(ip);
             INSERT INTO bans VALUES('sshd', '192.0.2.1', 1794999900{values}, '{{\"failures\": 7}}');"
        ))
        .unwrap();
        drop(db);
        let store = Store::open(&path).unwrap();
        let bans =
            block(store.current_bans("sshd", NOW, BanTime::Seconds(450.0), Default::default()));
        assert_eq!(bans.len(), 1, "version {version}");
        let length = if version < 3 { 450.0 } else { 300.0 };
        assert_eq!(bans[0].bantime, Some(BanTime::Seconds(length)));
        assert_eq!(bans[0].failures, 7);
        let position = block(store.add_log("sshd", "/l", "abc"));
        assert_eq!(position.map(|position| position.offset), Some(41.0));
        block(store.close());
        let seen = python(
            "1.1.1",
            &path,
            r#"
db = Fail2BanDb(path)
print(json.dumps([db._db.execute("SELECT version FROM fail2banDb").fetchall(), len(db.getBans(jail=Jail('sshd')))]))
"#,
        );
        assert_eq!(seen, json!([[[4]], 1]));
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            2,
            "one backup"
        );
    }
}
