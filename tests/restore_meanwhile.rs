//! While the bans of a database are carried out anew the server answers, reads its logs and bans.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::home::{Site, server};
use nix::sys::signal::Signal;

const BANS: usize = 300;

#[test]
fn a_restore_holds_nobody_up() {
    let site = Site::new(&["one"]);
    let here = site.directory.path().display().to_string();
    // its bans wait until they are let through
    site.write(
        "action.d/note.conf",
        &format!(
            "[Definition]\nactionban = while ! test -e {here}/open; do sleep 0.05; done; \
             echo <ip> >>{here}/notes\n"
        ),
    );
    let done = || site.read("notes").lines().count();
    let all_done = |count| common::eventually(60, || done() == count);

    site.write("open", "");
    let ids: Vec<String> = (0..BANS)
        .map(|n| format!("10.0.{}.{}", n / 250, n % 250))
        .collect();
    let running = site.foreground(server());
    let mut words = vec!["set", "one", "banip"];
    words.extend(ids.iter().map(String::as_str));
    assert_eq!(
        running.ask(&words).unwrap().unwrap().repr(),
        BANS.to_string()
    );
    assert!(all_done(BANS), "{}", done());
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
    for name in ["open", "notes"] {
        fs::remove_file(site.path(name)).unwrap();
    }

    let told = site.read("log").len();
    let running = site.foreground(server());
    site.wait_for_after(told, &format!("[one] Restore Ban {}", ids[BANS - 1]));
    let banned = running.ask(&["get", "one", "banned"]).unwrap().unwrap();
    assert_eq!(banned.repr().matches("10.0.").count(), BANS);
    let now = chrono::Utc::now().format("%b %d %H:%M:%S");
    let line = format!("{now} x from 192.0.2.1\n");
    site.write("one.log", &line.repeat(2));
    site.wait_for_after(told, "[one] Found 192.0.2.1");
    site.wait_for_after(told, "[one] Ban 192.0.2.1");
    assert_eq!(
        done(),
        0,
        "the restore was over before anything else happened"
    );

    site.write("open", "");
    assert!(all_done(BANS + 1), "{}", done());
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
}
