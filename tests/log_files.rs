//! Log files of a running daemon: those that appear, those that rotation leaves, those that may
//! not be read for a while.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use common::site::Site;

/// Appends failures of an address, as of now.
fn fail(file: &Path, address: &str, count: usize) {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let line = format!(
        "{} srv sshd[1]: Failed password for root from {address}\n",
        time.as_secs()
    );
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(file)
        .unwrap();
    file.write_all(line.repeat(count).as_bytes()).unwrap();
}

fn site(backend: &str) -> Site {
    let site = Site::new(&format!(
        "backend = {backend}\nmaxretry = 1000\nlogpath = HERE/logs/*.log*\n  HERE/logs/later/x.log\n"
    ));
    fs::create_dir(site.path("logs")).unwrap();
    site
}

fn files_appear_and_are_rotated(backend: &str) {
    let site = site(backend);
    let log = |name: &str| site.path("logs").join(name);
    fail(&log("a.log"), "192.0.2.1", 1);
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Found 192.0.2.1");
    // the log of a new day, and one in a folder that is not there yet
    fail(&log("b.log"), "192.0.2.2", 1);
    fs::create_dir(log("later")).unwrap();
    fail(&log("later/x.log"), "192.0.2.3", 1);
    site.wait_for("log", "Found 192.0.2.2");
    site.wait_for("log", "Found 192.0.2.3");
    // rotation: the old file's new name fits the pattern too
    fs::rename(log("a.log"), log("a.log.1")).unwrap();
    fail(&log("a.log"), "192.0.2.4", 1);
    site.wait_for("log", "Found 192.0.2.4");
    fs::copy(log("b.log"), log("b.log.1")).unwrap();
    File::options()
        .write(true)
        .open(log("b.log"))
        .unwrap()
        .set_len(0)
        .unwrap();
    fail(&log("b.log"), "192.0.2.5", 1);
    fs::write(log("b.log.2.gz"), "never read").unwrap();
    site.wait_for("log", "Found 192.0.2.5");
    // by the time this one is seen the leftovers of rotation were looked at
    fail(&log("c.log"), "192.0.2.6", 1);
    site.wait_for("log", "Found 192.0.2.6");
    let files = site.ask(&["get", "j", "logpath"]);
    server.stop();
    assert_eq!(site.count("] Found "), 6, "{}", site.read("log"));
    assert_eq!(files.matches("/logs/").count(), 4, "{files}");
    assert!(
        !site.read("log").contains(" ERROR "),
        "{}",
        site.read("log")
    );
}

#[test]
fn files_appear_and_are_rotated_under_events() {
    files_appear_and_are_rotated("auto");
}

#[test]
fn files_appear_and_are_rotated_under_polling() {
    files_appear_and_are_rotated("polling");
}

#[test]
fn a_link_that_is_switched_leads_to_the_new_file() {
    let site = Site::new("maxretry = 1000\nlogpath = HERE/current\n");
    fail(&site.path("one"), "192.0.2.1", 1);
    std::os::unix::fs::symlink("one", site.path("current")).unwrap();
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Found 192.0.2.1");
    fail(&site.path("two"), "192.0.2.2", 1);
    // what was still written to the first is not lost
    fail(&site.path("one"), "192.0.2.3", 1);
    std::os::unix::fs::symlink("two", site.path("next")).unwrap();
    fs::rename(site.path("next"), site.path("current")).unwrap();
    site.wait_for("log", "Found 192.0.2.3");
    site.wait_for("log", "Found 192.0.2.2");
    fail(&site.path("two"), "192.0.2.4", 1);
    site.wait_for("log", "Found 192.0.2.4");
    server.stop();
    assert_eq!(site.count("] Found "), 4, "{}", site.read("log"));
}

#[test]
fn a_log_that_is_rotated_while_its_jail_is_held_up_loses_no_line() {
    let site = site("polling");
    let log = |name: &str| site.path("logs/later").join(name);
    fs::create_dir(site.path("logs/later")).unwrap();
    let mut written = vec!["192.0.2.1".to_owned()];
    fail(&log("x.log"), &written[0], 1);
    let server = site.start(common::ours("fail2ban-server"));
    site.wait_for("log", "Found 192.0.2.1");
    site.ask(&["set", "j", "idle", "on"]);
    let pause = || std::thread::sleep(std::time::Duration::from_millis(300));
    for rotation in 1..=4 {
        for line in 0..4 {
            let address = format!("192.0.2.{rotation}{line}");
            fail(&log("x.log"), &address, 1);
            written.push(address);
            pause();
        }
        fs::rename(log("x.log"), log(&format!("x.log.{rotation}"))).unwrap();
        File::create(log("x.log")).unwrap();
        pause();
    }
    site.ask(&["set", "j", "idle", "off"]);
    site.wait_for("log", "Found 192.0.2.43");
    let told = site.read("log");
    for address in written {
        let found = format!("Found {address} ");
        assert_eq!(told.matches(&found).count(), 1, "{found}\n{told}");
    }
    server.stop();
}
