//! Log files of a running daemon: those that appear, those that rotation leaves, those that may
//! not be read for a while.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
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

/// A program without the right to read whatever it likes, which root has.
fn without_override(program: &str) -> Command {
    let ours = common::ours(program);
    if !nix::unistd::geteuid().is_root() {
        return ours;
    }
    let mut command = Command::new("setpriv");
    command
        .arg("--bounding-set=-dac_override,-dac_read_search")
        .arg("--inh-caps=-dac_override,-dac_read_search")
        .arg(ours.get_program())
        .args(ours.get_args());
    common::like(&mut command, &ours);
    command
}

#[test]
fn what_may_not_be_read_is_named_with_the_reason() {
    let site = Site::new("logpath = HERE/logs/*.log\n  HERE/secret/*.log\n  HERE/secret/a.log");
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for directory in ["logs", "secret"] {
        fs::create_dir(site.path(directory)).unwrap();
        fs::write(site.path(directory).join("a.log"), "x\n").unwrap();
    }
    std::os::unix::fs::symlink(site.path("secret/a.log"), site.path("logs/link.log")).unwrap();
    let test = || {
        let mut client = without_override("fail2ban-client");
        client.arg("-c").arg(site.directory.path()).arg("-t");
        let output = client.output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let denied = |name: &str| format!("{}: Permission denied", site.path(name).display());

    mode("secret", 0o000);
    let said = test();
    for name in ["secret", "secret/a.log", "logs/link.log"] {
        let wanted = format!("Unable to look for log files: {}", denied(name));
        assert!(said.contains(&wanted), "{wanted}\n{said}");
    }
    assert!(!said.contains("dangling"), "{said}");

    // one that appears later
    let server = site.start(without_override("fail2ban-server"));
    fs::write(site.path("logs/b.log"), "").unwrap();
    mode("logs/b.log", 0o000);
    let path = site.path("logs/b.log");
    let refused = format!(
        "Unable to open {}: [Errno 13] Permission denied",
        path.display()
    );
    site.wait_for("log", &refused);
    server.stop();

    for (part, text) in [
        ("filter.d/simple.conf", "Could not read config files: "),
        ("filter.d", "Found no accessible config files for "),
        ("jail.conf", "Could not read config files: "),
    ] {
        let before = fs::metadata(site.path(part)).unwrap().permissions();
        mode(part, 0o000);
        let said = test();
        let reason = format!(" ({}", site.path(part).display());
        let line = said
            .lines()
            .find(|line| line.contains(text))
            .unwrap_or(&said);
        assert!(line.contains(&reason), "{line}");
        assert!(line.contains(": Permission denied)"), "{line}");
        fs::set_permissions(site.path(part), before).unwrap();
    }
    mode("secret", 0o700);
}
