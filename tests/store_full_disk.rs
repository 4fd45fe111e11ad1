//! A database on a disk that fills up, or that is full or read-only from the beginning: nothing is
//! lost that fits again later.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::home::{Site, server};
use ferroban::parts::address::Address;
use ferroban::parts::fields::MatchLine;
use ferroban::parts::store::Store;
use ferroban::parts::ticket::{BanTime, Ticket};
use nix::sys::signal::Signal;

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
            let bans = store.current_bans(
                "sshd",
                1_795_000_001.0,
                BanTime::Permanent,
                Default::default(),
            );
            runtime.block_on(bans).len()
        };
        // more than fit without their lines, too
        let bans = 6000;
        for number in 0..bans {
            let id = std::net::Ipv4Addr::from(0x0A00_0000 + number).to_string();
            let mut ticket = Ticket::new(Address::parse(&id), 1_795_000_000.0);
            ticket.bantime = Some(BanTime::Seconds(600.0));
            ticket.set_matches(&[MatchLine::Text("x".repeat(1000))]);
            store.add_ban("sshd", &ticket);
        }
        // some may be there: those of the batches before the disk was full
        assert!(count() < bans as usize);
        run("mount", &["-o", "remount,size=64m", disk]);
        let end = Instant::now() + Duration::from_secs(60);
        while count() < bans as usize {
            assert!(Instant::now() < end, "only {} of {bans} bans", count());
            std::thread::sleep(Duration::from_millis(200));
        }
        runtime.block_on(store.close());
        run("umount", &[disk]);
    });
}

/// What is wrong with the disk when the server starts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Full,
    ReadOnly,
    /// Neither the file is there nor its directory.
    ReadOnlyAndEmpty,
    FullAndEmpty,
    /// The file cannot be repaired in its place.
    ReadOnlyAndDamaged,
}

#[test]
fn a_disk_that_takes_nothing_at_start_keeps_bans_in_memory() {
    common::in_mount_namespace(
        "a_disk_that_takes_nothing_at_start_keeps_bans_in_memory",
        || {
            for trouble in [
                Trouble::Full,
                Trouble::ReadOnly,
                Trouble::ReadOnlyAndEmpty,
                Trouble::FullAndEmpty,
                Trouble::ReadOnlyAndDamaged,
            ] {
                bans_are_kept_in_memory(trouble);
            }
        },
    );
}

fn bans_are_kept_in_memory(trouble: Trouble) {
    let site = Site::new(&["one"]);
    let conf = site.read("fail2ban.conf");
    let (old, new) = (site.path("db"), site.path("disk/lib/db"));
    site.write(
        "fail2ban.conf",
        &conf.replace(old.to_str().unwrap(), new.to_str().unwrap()),
    );
    fs::create_dir(site.path("disk")).unwrap();
    let disk = site.path("disk");
    let disk = disk.to_str().unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]);
    let is_empty = matches!(trouble, Trouble::ReadOnlyAndEmpty | Trouble::FullAndEmpty);
    if !is_empty {
        let running = site.foreground(server());
        running
            .ask(&["set", "one", "banip", "198.51.100.1"])
            .unwrap()
            .unwrap();
        site.wait_for("[one] Ban 198.51.100.1");
        assert_eq!(running.end(Signal::SIGTERM), Some(0));
    }
    if trouble == Trouble::ReadOnlyAndDamaged {
        let mut bytes = fs::read(&new).unwrap();
        bytes[..100].fill(0);
        fs::write(&new, bytes).unwrap();
    }
    match trouble {
        Trouble::Full | Trouble::FullAndEmpty => {
            assert!(fs::write(site.path("disk/filler"), vec![0; 2 << 20]).is_err());
        }
        _ => run("mount", &["-o", "remount,ro", disk]),
    }
    site.write("log", "");
    let running = site.foreground(server());
    site.wait_for("bans are kept in memory");
    running
        .ask(&["set", "one", "banip", "198.51.100.2"])
        .unwrap()
        .unwrap();
    site.wait_for("[one] Ban 198.51.100.2");
    if !is_empty {
        site.wait_for("[one] Restore Ban 198.51.100.1");
    }
    let _ = fs::remove_file(site.path("disk/filler"));
    run("mount", &["-o", "remount,rw", disk]);
    site.wait_for("is writable again");
    assert_eq!(running.end(Signal::SIGTERM), Some(0), "{trouble:?}");
    site.write("log", "");
    let running = site.foreground(server());
    site.wait_for("[one] Restore Ban 198.51.100.2");
    if !is_empty {
        site.wait_for("[one] Restore Ban 198.51.100.1");
    }
    let log = site.read("log");
    assert!(!log.contains("ERROR"), "{trouble:?}:\n{log}");
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
    run("umount", &[disk]);
}
