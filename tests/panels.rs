//! Programs that write fail2ban's configuration: what they leave behind has to work.
#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::fs::symlink;
use std::process::Command;

use common::home::{Site, server};
use nix::sys::signal::Signal;

/// The commands a configuration becomes.
fn dump(site: &Site) -> String {
    let (code, printed) = site.run(common::ours("fail2ban-client"), &["-d"]);
    assert_eq!(code, 0, "{printed}");
    printed
}

/// The container image edits the shipped `fail2ban.conf` by `sed` and links its folders.
#[test]
fn crazymax_edits_by_sed() {
    let site = Site::new(&["one"]);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/fail2ban.conf");
    std::fs::copy(shipped, site.path("fail2ban.conf")).unwrap();
    std::fs::create_dir(site.path("data")).unwrap();
    symlink(site.path("data"), site.path("jail.d")).unwrap();
    site.write("data/ours.conf", "[one]\nbantime = 77\n");
    let edits = [
        ("logtarget =.*", "logtarget = STDOUT"),
        ("loglevel =.*", "loglevel = NOTICE"),
        ("dbfile =.*", "dbfile = /data/db/fail2ban.sqlite3"),
        ("dbpurgeage =.*", "dbpurgeage = 3d"),
        ("#allowipv6 =.*", "allowipv6 = auto"),
    ];
    for (from, to) in edits {
        let edit = format!("s|{from}|{to}|g");
        let path = site.path("fail2ban.conf");
        let status = Command::new("sed").arg("-i").arg(edit).arg(path).status();
        assert!(status.unwrap().success());
    }
    let dumped = dump(&site);
    for command in [
        "['set', 'logtarget', 'STDOUT']",
        "['set', 'loglevel', 'NOTICE']",
        "['set', 'dbfile', '/data/db/fail2ban.sqlite3']",
        "['set', 'dbpurgeage', '3d']",
        "['set', 'allowipv6', 'auto']",
        "['set', 'one', 'bantime', '77']",
    ] {
        assert!(dumped.contains(command), "no {command} in\n{dumped}");
    }
}

/// Webmin writes several actions as lines that begin with a blank, and leaves blank lines and
/// comments where they were.
#[test]
fn webmin_writes_lines_that_go_on() {
    let site = Site::new(&["one"]);
    site.write(
        "jail.local",
        "[one]\n# of the administrator\nenabled = true\naction = note[name=first]\n \
         note[name=second, actname=other]\nignoreip = 192.0.2.1\n\t192.0.2.2\n\nmaxretry=9\n",
    );
    let dumped = dump(&site);
    for command in [
        "['set', 'one', 'addaction', 'note-first']",
        "['set', 'one', 'addaction', 'other']",
        "['set', 'one', 'addignoreip', '192.0.2.1', '192.0.2.2']",
        "['set', 'one', 'maxretry', 9]",
    ] {
        assert!(dumped.contains(command), "no {command} in\n{dumped}");
    }
}

/// fail2ban-ui's action calls a web hook with the last lines of the log and this host's name; the
/// check of HestiaCP's is a pipe into `grep`.
#[test]
fn actions_of_panels_run() {
    let site = Site::new(&["one"]);
    let here = site.directory.path().display().to_string();
    site.write(
        "action.d/ui-custom-action.conf",
        "[Definition]\nnorestored = 1\n\
         actionban = lines=$(tac <logpath> 2>/dev/null | grep <grepopts> -e <ip>)\n            \
         printf '%%s|%%s|%%s|%%s\\n' '<fq-hostname>' '<name>' '<ip>' \"$lines\" >> <sink>\n\n\
         [Init]\nlogpath = /dev/null\ngrepopts = -m 1\nsink = /dev/null\n",
    );
    site.write(
        "action.d/hestia.conf",
        "[Definition]\n\
         actioncheck = printf 'ACCEPT all\\nfail2ban-<name>  tcp\\n' | grep -q 'fail2ban-<name>[ \\t]'\n\
         actionban = echo <name> <ip> >> <sink>.hestia\n\n[Init]\nsink = /dev/null\n",
    );
    site.jails(&format!(
        "[one]\nenabled = true\nlogpath = {here}/one.log\n\
         action = ui-custom-action[logpath={here}/seen, sink={here}/called]\n         \
         hestia[sink={here}/called]\n"
    ));
    site.write("seen", "x from 192.0.2.9 first\nx from 192.0.2.9 last\n");
    let running = site.foreground(server());
    site.wait_for("Jail 'one' started");
    running
        .ask(&["set", "one", "banip", "192.0.2.9"])
        .unwrap()
        .unwrap();
    let done = || !site.read("called.hestia").is_empty();
    assert!(common::eventually(60, done), "{}", site.read("log"));
    assert_eq!(site.read("called.hestia"), "one 192.0.2.9\n");
    let called = site.read("called");
    let (host, rest) = called.split_once('|').unwrap();
    assert!(!host.is_empty() && !host.contains('<'), "{called}");
    assert_eq!(rest, "one|192.0.2.9|x from 192.0.2.9 last\n");
    // "OK" or nothing after a reload, never the marks of failure
    let (code, printed) = site.run(common::ours("fail2ban-client"), &["reload"]);
    assert_eq!((code, printed.as_str()), (0, "OK\n"));
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
}
