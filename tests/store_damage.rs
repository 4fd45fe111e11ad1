//! What the database does when its file is bad, locked or in the way.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use ferroban::address::Address;
use ferroban::store::{Store, StoreError};
use ferroban::ticket::{BanTime, Ticket};

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
    block(store.current_bans("sshd", 1_795_000_001.0, BanTime::Permanent)).len()
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
