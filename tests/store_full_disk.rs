//! A database on a disk that fills up: nothing is lost that fits again later.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ferroban::address::Address;
use ferroban::store::Store;
use ferroban::ticket::{BanTime, MatchLine, Ticket};

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}");
}

#[test]
fn a_full_disk_delays_writes_and_loses_none() {
    common::in_mount_namespace("a_full_disk_delays_writes_and_loses_none", || {
        let directory = tempfile::tempdir().unwrap();
        let disk = directory.path().to_str().unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=512k", "tmpfs", disk]);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let store = Store::open(&Path::new(disk).join("db")).unwrap();
        store.add_jail("sshd");
        let count = || {
            let bans = store.current_bans("sshd", 1_795_000_001.0, BanTime::Permanent);
            runtime.block_on(bans).len()
        };
        let bans = 400;
        for number in 0..bans {
            let id = std::net::Ipv4Addr::from(0x0A00_0000 + number).to_string();
            let mut ticket = Ticket::new(Address::parse(&id), 1_795_000_000.0);
            ticket.bantime = Some(BanTime::Seconds(600.0));
            ticket.matches = vec![MatchLine::Text("x".repeat(1000))];
            store.add_ban("sshd", &ticket);
        }
        // some may be there: those of the batches before the disk was full
        assert!(count() < bans as usize);
        run("mount", &["-o", "remount,size=16m", disk]);
        let end = Instant::now() + Duration::from_secs(60);
        while count() < bans as usize {
            assert!(Instant::now() < end, "only {} of {bans} bans", count());
            std::thread::sleep(Duration::from_millis(200));
        }
        runtime.block_on(store.close());
        run("umount", &[disk]);
    });
}
