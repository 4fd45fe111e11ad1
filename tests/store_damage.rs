//! What the database does when its file is bad, locked or in the way.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use ferroban::parts::address::Address;
use ferroban::parts::evidence::memory::JailEvidence;
use ferroban::parts::fields::MatchLine;
use ferroban::parts::store::{LogPosition, Store, StoreError};
use ferroban::parts::ticket::{BanTime, Ticket};

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn ban(number: u32) -> Ticket {
    let ip = std::net::Ipv4Addr::from(0x0A00_0000 + number).to_string();
    let mut ticket = Ticket::new(Address::parse(&ip), 1_795_000_000.0);
    ticket.bantime = Some(BanTime::Seconds(600.0));
    ticket
}

fn current(store: &Store) -> usize {
    block(store.current_bans(
        "sshd",
        1_795_000_001.0,
        BanTime::Permanent,
        JailEvidence::default(),
    ))
    .len()
}

fn files(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[test]
fn garbage_is_set_aside_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f2b.sqlite3");
    let garbage = b"this is no database, but long enough to be looked at".repeat(40);
    for round in 0..3 {
        std::fs::write(&path, &garbage).unwrap();
        let store = Store::open(&path).unwrap();
        store.add_jail("sshd");
        store.add_ban("sshd", &ban(round));
        assert_eq!(current(&store), 1);
        block(store.close());
        assert_eq!(
            files(dir.path()),
            2,
            "the database and one copy of the garbage"
        );
    }
    // different damage each time: kept, but not without end
    for round in 0..8u8 {
        std::fs::write(&path, [garbage.as_slice(), &[round]].concat()).unwrap();
        block(Store::open(&path).unwrap().close());
        assert!(files(dir.path()) <= 6);
        // names have seconds in them
        std::thread::sleep(Duration::from_millis(if round < 2 { 1100 } else { 0 }));
    }
}

#[test]
fn what_has_been_waited_for_is_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f2b.sqlite3");
    let store = Store::open(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    let rows = |db: &rusqlite::Connection| {
        db.query_row("SELECT count(*) FROM bips", [], |row| row.get::<_, u32>(0))
            .unwrap()
    };
    store.add_jail("sshd");
    for number in 0..100 {
        store.add_ban("sshd", &ban(number));
        block(store.written());
        assert_eq!(rows(&other), number + 1);
    }
    // nobody waits for a database that refuses
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.add_ban("sshd", &ban(100));
    block(store.written());
    assert_eq!(rows(&other), 100);
    other.execute_batch("COMMIT").unwrap();
    block(store.close());
    assert_eq!(rows(&other), 101);
}

#[test]
fn what_can_be_read_is_saved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f2b.sqlite3");
    let store = Store::open(&path).unwrap();
    store.add_jail("sshd");
    (0..2000).for_each(|number| store.add_ban("sshd", &ban(number)));
    assert_eq!(current(&store), 2000);
    block(store.close());
    // a torn page in the middle
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xA5);
    std::fs::write(&path, &bytes).unwrap();
    let store = Store::open(&path).unwrap();
    let saved = current(&store);
    assert!(saved > 1500, "only {saved} of 2000 bans were saved");
    store.add_jail("sshd");
    store.add_ban("sshd", &ban(5000));
    assert_eq!(current(&store), saved + 1);
    block(store.close());
    assert_eq!(files(dir.path()), 2);
}

#[test]
fn a_file_that_goes_bad_while_open_is_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f2b.sqlite3");
    let store = Store::open(&path).unwrap();
    store.add_jail("sshd");
    (0..12_000).for_each(|number| store.add_ban("sshd", &ban(number)));
    block(store.close());
    let store = Store::open(&path).unwrap();
    store.add_jail("sshd");
    assert_eq!(current(&store), 12_000);
    // all but the beginning, in place: the server has the file open
    let size = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let noise = vec![0xA5; usize::try_from(size).unwrap() / 2];
    file.write_all_at(&noise, size / 2).unwrap();
    // more than wait in memory, all over the tables
    let fresh = |number: u32| ban(number * 7919 % 1_000_000 + 100_000);
    (0..2_000).for_each(|number| store.add_ban("sshd", &fresh(number)));
    let end = Instant::now() + Duration::from_secs(60);
    while current(&store) < 2_000 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    block(store.close());
    let store = Store::open(&path).unwrap();
    assert!(current(&store) >= 2_000, "new bans were lost");
    block(store.close());
    assert_eq!(files(dir.path()), 2, "the database and the damaged one");
}

#[test]
fn a_read_that_finds_damage_answers_from_the_repaired_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f2b.sqlite3");
    let store = Store::open(&path).unwrap();
    store.add_jail("sshd");
    (0..12_000).for_each(|number| store.add_ban("sshd", &ban(number)));
    block(store.close());
    let store = Store::open(&path).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let noise = vec![0xA5; usize::try_from(size).unwrap() / 2];
    file.write_all_at(&noise, size / 2).unwrap();
    // as a jail asks that starts
    let saved = current(&store);
    assert!(saved > 4_000, "{saved} bans restored");
    block(store.close());
    assert_eq!(files(dir.path()), 2, "the database and the damaged one");
}

#[test]
fn what_is_no_file_or_from_the_future_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    match Store::open(dir.path()) {
        Err(StoreError::Unusable(why)) => assert_eq!(why, "unable to open database file"),
        other => panic!("{other:?}"),
    }
    let path = dir.path().join("future");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE fail2banDb(version INTEGER); INSERT INTO fail2banDb VALUES(5);")
        .unwrap();
    drop(db);
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::FutureVersion)));
    assert_eq!(std::fs::read(&path).unwrap(), before, "left as it is");
}

#[test]
fn writes_wait_for_a_lock_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f2b.sqlite3");
    let store = Store::open(&path).unwrap();
    store.add_jail("sshd");
    store.add_ban("sshd", &ban(1));
    assert_eq!(current(&store), 1);
    let other = rusqlite::Connection::open(&path).unwrap();
    // the batch with the ban is committed a moment after the answer
    other.busy_timeout(Duration::from_secs(2)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    store.add_ban("sshd", &ban(2));
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "a ban does not wait"
    );
    assert_eq!(current(&store), 1);
    store.add_ban("sshd", &ban(3));
    other.execute_batch("ROLLBACK").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while current(&store) < 3 {
        assert!(Instant::now() < deadline, "the bans never came back");
        std::thread::sleep(Duration::from_millis(100));
    }
    block(store.close());
}

#[test]
fn purge_forgets_what_is_old() {
    let store = Store::open(Path::new(":memory:")).unwrap();
    let now = 1_795_000_000.0;
    store.add_jail("sshd");
    store.add_jail("gone");
    store.disable_jail("gone");
    let aged = |number, age: f64, bantime| {
        let mut ticket = ban(number);
        ticket.time = now - age;
        ticket.bantime = Some(bantime);
        ticket.bancount = 1;
        ticket
    };
    let tickets = [
        aged(1, 90_000.0, BanTime::Seconds(600.0)),
        aged(2, 90_000.0, BanTime::Seconds(80_000.0)), // remembered three times its length
        aged(3, 90_000.0, BanTime::Permanent),
        aged(4, 100.0, BanTime::Seconds(600.0)),
    ];
    tickets
        .iter()
        .for_each(|ticket| store.add_ban("sshd", ticket));
    store.purge(now);
    let known: Vec<bool> = tickets
        .iter()
        .map(|ticket| block(store.history(Some("sshd"), &ticket.id)).is_some())
        .collect();
    assert_eq!(known, [false, true, true, true]);
    let rows: Vec<bool> = tickets
        .iter()
        .map(|ticket| block(store.merged_history(None, &ticket.id)).is_some())
        .collect();
    assert_eq!(rows, [false, false, false, true]);
}

/// A database file and where its bans are.
struct Sample {
    bytes: Vec<u8>,
    /// Page number and the ids on it: the leaves of `bips`.
    leaves: Vec<(usize, Vec<String>)>,
    /// Pages that hold nothing any more, and the ids that they held.
    free: HashSet<usize>,
    deleted: HashSet<String>,
}

const PAGE: usize = 4096;
const JAILS: [&str; 3] = ["sshd", "web", "users"];

/// Addresses and names, short and long evidence, and rows that were deleted.
fn sample() -> Sample {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let store = Store::open(&path).unwrap();
    JAILS.iter().for_each(|jail| store.add_jail(jail));
    for number in 0..1500 {
        let (jail, mut ticket) = match number % 3 {
            0 => ("sshd", ban(number)),
            1 => {
                let id = Address::parse(&format!("2001:db8::{number:x}"));
                ("web", Ticket::new(id, 1_795_000_000.0))
            }
            _ => {
                let id = Address::raw(format!("user{number}"));
                ("users", Ticket::new(id, 1_795_000_000.0))
            }
        };
        ticket.bantime = Some(BanTime::Seconds(600.0));
        let long = if number % 40 == 0 { 9000 } else { 90 };
        ticket.set_matches(&[MatchLine::Text("x".repeat(long))]);
        store.add_ban(jail, &ticket);
    }
    let deleted: HashSet<String> = (600..900)
        .map(|n| ban(n).id)
        .chain((600..900).map(|n| Address::parse(&format!("2001:db8::{n:x}"))))
        .chain((600..900).map(|n| Address::raw(format!("user{n}"))))
        .map(|id| id.to_string())
        .collect();
    for jail in JAILS {
        let ids = deleted.iter().map(|id| Address::parse(id)).collect();
        store.delete_bans(jail, Some(ids));
    }
    block(store.close());
    let db = rusqlite::Connection::open(&path).unwrap();
    let ids: Vec<String> = db
        .prepare("SELECT ip FROM bips ORDER BY rowid")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(ids.len(), 1200);
    let mut pages = db
        .prepare(
            "SELECT pageno, ncell, name = 'bips' AND pagetype = 'leaf' FROM dbstat ORDER BY path",
        )
        .unwrap();
    let pages: Vec<(u32, u32, bool)> = pages
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut rest = ids.into_iter();
    let leaves: Vec<_> = (pages.iter().filter(|page| page.2))
        .map(|page| {
            (
                page.0 as usize,
                rest.by_ref().take(page.1 as usize).collect(),
            )
        })
        .collect();
    assert_eq!(rest.next(), None);
    let used: HashSet<usize> = pages.iter().map(|page| page.0 as usize).collect();
    let bytes = std::fs::read(&path).unwrap();
    let free: HashSet<usize> = (1..=bytes.len() / PAGE)
        .filter(|page| !used.contains(page))
        .collect();
    assert!(free.len() > 5, "rows were deleted");
    Sample {
        bytes,
        leaves,
        free,
        deleted,
    }
}

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// Damages a file in one of many ways; answers the places that changed.
fn damage(bytes: &mut Vec<u8>, kind: usize, chance: &mut Chance) -> Vec<Range<usize>> {
    let size = bytes.len();
    let pages = size / PAGE;
    let mut ranges = Vec::new();
    match kind {
        0 => ranges.extend((0..=chance.below(40)).map(|_| {
            let at = chance.below(size - 40);
            at..at + 1 + chance.below(40)
        })),
        1 | 2 => ranges.extend((0..=chance.below(20)).map(|_| {
            let page = chance.below(pages);
            page * PAGE..(page + 1) * PAGE
        })),
        3 => ranges.push(chance.below(size)..size),
        4 => ranges.push(0..100),
        5 => ranges.push(0..PAGE),
        6 => ranges.push(16..18),
        7 => ranges.push(chance.below(60)..100),
        _ => ranges.extend((0..=chance.below(9)).map(|_| {
            let block = chance.below(size / 512);
            block * 512..(block + 1) * 512
        })),
    }
    match kind {
        3 => bytes.truncate(ranges[0].start),
        6 => {
            let wrong = [512, 1024, 2048, 8192, 16384, 32768, 1, 4095_u16][chance.below(8)];
            bytes[16..18].copy_from_slice(&wrong.to_be_bytes());
        }
        2 | 4 | 5 => ranges.iter().for_each(|range| bytes[range.clone()].fill(0)),
        _ => {
            for at in ranges.iter().cloned().flatten() {
                bytes[at] = chance.below(256) as u8;
            }
        }
    }
    ranges
}

/// `FERROBAN_DAMAGED=2000 cargo test --test store_damage -- --nocapture` tries so many.
#[test]
fn a_damaged_database_keeps_every_ban_of_its_whole_pages() {
    let count = std::env::var("FERROBAN_DAMAGED").ok();
    let count = count.map_or(27, |count| count.parse().unwrap());
    let sample = sample();
    let known: HashSet<&String> = sample.leaves.iter().flat_map(|(_, ids)| ids).collect();
    let (mut whole, mut kept, mut damaged_too) = (0, 0, 0);
    for seed in 0..count {
        let kind = seed % 9;
        let mut chance = Chance(0x9E37_79B9_7F4A_7C15 ^ (seed as u64 + 1));
        let mut bytes = sample.bytes.clone();
        let changed = damage(&mut bytes, kind, &mut chance);
        let is_changed = |page: usize| {
            let place = (page - 1) * PAGE..page * PAGE;
            (changed.iter()).any(|range| range.start < place.end && place.start < range.end)
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        std::fs::write(&path, &bytes).unwrap();
        let store = Store::open(&path).unwrap_or_else(|e| panic!("{seed}: {e}"));
        let mut found = HashSet::new();
        for jail in JAILS {
            store.add_jail(jail);
            let bans = block(store.current_bans(
                jail,
                1_795_000_001.0,
                BanTime::Permanent,
                Default::default(),
            ));
            found.extend(bans.iter().map(|ban| ban.id.to_string()));
        }
        store.add_ban("sshd", &ban(9999));
        assert!(block(store.history(Some("sshd"), &ban(9999).id)).is_some());
        block(store.close());
        for (page, ids) in &sample.leaves {
            let here = ids.iter().filter(|id| found.contains(*id)).count();
            if is_changed(*page) {
                damaged_too += here;
            } else {
                whole += ids.len();
                kept += here;
                assert_eq!(here, ids.len(), "seed {seed}, kind {kind}: page {page}");
            }
        }
        // where the list of free pages is whole nothing is there that was not, but noise in the rows
        // of damaged pages
        if !sample.free.iter().any(|page| is_changed(*page)) {
            let strange: HashSet<&String> = found.iter().filter(|id| !known.contains(id)).collect();
            let noise = (sample.leaves.iter())
                .filter(|leaf| is_changed(leaf.0))
                .map(|leaf| leaf.1.len());
            assert!(
                strange.len() <= noise.sum(),
                "seed {seed}, kind {kind}: {strange:?}"
            );
            let back = strange.iter().find(|id| sample.deleted.contains(**id));
            assert_eq!(back, None, "seed {seed}, kind {kind}: came back");
        }
    }
    println!(
        "{count} damaged databases: {kept} of {whole} bans of whole pages kept, \
         {damaged_too} of damaged pages"
    );
}

#[test]
fn a_bad_cell_costs_its_row_alone() {
    let values = [
        "NULL",
        "'text'",
        "''",
        "x'ff00'",
        "CAST(x'fffe' AS TEXT)",
        "char(0)",
        "9e999",
        "-9e999",
        "1e300",
        "9223372036854775807",
        "-9223372036854775808",
        "-7",
        "0.5",
        "zeroblob(3000000)",
    ];
    let columns = [
        ("bips", "ip"),
        ("bips", "jail"),
        ("bips", "timeofban"),
        ("bips", "bantime"),
        ("bips", "bancount"),
        ("bips", "data"),
        ("bans", "ip"),
        ("bans", "timeofban"),
        ("bans", "bantime"),
        ("bans", "bancount"),
        ("bans", "data"),
        ("jails", "name"),
        ("jails", "enabled"),
        ("logs", "path"),
        ("logs", "firstlinemd5"),
        ("logs", "lastfilepos"),
        ("fail2banDb", "version"),
    ];
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good");
    let store = Store::open(&good).unwrap();
    store.add_jail("sshd");
    (0..9).for_each(|number| store.add_ban("sshd", &ban(number)));
    let place = |offset| LogPosition {
        first_line_hash: "hash".to_owned(),
        offset,
    };
    store.update_log("sshd", "/log/0", place(1.0));
    store.update_log("sshd", "/log/1", place(2.0));
    block(store.close());
    for (table, column) in columns {
        for value in values {
            let path = dir.path().join("db");
            std::fs::copy(&good, &path).unwrap();
            let db = rusqlite::Connection::open(&path).unwrap();
            db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF;")
                .unwrap();
            let set = format!("UPDATE {table} SET {column} = {value} WHERE rowid = 1");
            if db.execute(&set, []).is_err() {
                continue; // the table does not take it
            }
            drop(db);
            let case = format!("{table}.{column} = {value}");
            let version = (table == "fail2banDb")
                .then(|| value.parse().ok())
                .flatten();
            let opened = Store::open(&path);
            if version.is_some_and(|version: i64| version > 4) {
                assert!(matches!(opened, Err(StoreError::FutureVersion)), "{case}");
                continue;
            }
            let store = opened.unwrap_or_else(|e| panic!("{case}: {e}"));
            store.add_jail("sshd");
            let bans = block(store.current_bans(
                "sshd",
                1_795_000_001.0,
                BanTime::Permanent,
                Default::default(),
            ));
            let others = (1..9)
                .filter(|n| bans.iter().any(|found| found.id == ban(*n).id))
                .count();
            assert_eq!(others, 8, "{case}: {bans:?}");
            let _ = block(store.history(None, &ban(0).id));
            let _ = block(store.history(Some("sshd"), &ban(0).id));
            let _ = block(store.merged_history(None, &ban(0).id));
            assert!(block(store.history(None, &ban(8).id)).is_some(), "{case}");
            let logs = ["/log/0", "/log/1"].map(|log| ("sshd".to_owned(), log.to_owned()));
            let positions = block(store.positions(logs.into())).unwrap();
            assert_eq!(positions[1], Some(place(2.0)), "{case}");
            store.purge(1_795_000_001.0);
            store.add_ban("sshd", &ban(20));
            assert!(block(store.history(None, &ban(20).id)).is_some(), "{case}");
            block(store.close());
        }
    }
}
