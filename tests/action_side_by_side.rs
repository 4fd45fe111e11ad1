//! Every action of every jail does its work by itself, those of one name one after the other: one
//! that is slow or hangs delays no other, no reload and no stop, and a file that two jails edit by the
//! same action stays whole.
#![allow(clippy::unwrap_used)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use common::home::Site;
use common::stock::StockServer;
use ferroban::parts::action::{Actions, Common, JailFigures, Order, Query};
use ferroban::parts::address::Address;
use ferroban::parts::control::{Reply, Value};
use ferroban::parts::ticket::Ticket;
use nix::sys::signal::{Signal, kill};
use tokio::sync::oneshot;

/// The actions of a jail, one of this name with this command.
async fn jail(name: &str, action: &str, ban: &str) -> Actions {
    jail_of(Default::default(), name, action, ban).await
}

/// The same on a server that has others.
async fn jail_of(server: Common, name: &str, action: &str, ban: &str) -> Actions {
    let actions = Actions::spawn(name, None, server);
    add(&actions, action, &[("actionban", ban)]).await;
    actions
}

/// Adds an action.
async fn add(actions: &Actions, name: &str, properties: &[(&str, &str)]) {
    let (reply, added) = oneshot::channel();
    actions.send(Order::Add {
        name: name.to_owned(),
        python: None,
        reply,
    });
    added.await.unwrap().unwrap();
    set(actions, name, properties).await.unwrap();
}

async fn set(actions: &Actions, name: &str, properties: &[(&str, &str)]) -> Reply {
    let (reply, set) = oneshot::channel();
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::from(*value));
    actions.send(Order::Set {
        name: name.to_owned(),
        properties: properties.iter().map(pair).collect(),
        reply,
    });
    set.await.unwrap()
}

fn ban(actions: &Actions, id: &str) {
    order(actions, id, false);
}

fn order(actions: &Actions, id: &str, by_hand: bool) {
    actions.send(Order::Ban {
        ticket: ticket(id),
        figures: JailFigures::default(),
        again: false,
        by_hand,
    });
}

fn unban(actions: &Actions, id: &str) {
    actions.send(Order::Unban {
        ticket: ticket(id),
        figures: None,
    });
}

fn ticket(id: &str) -> Ticket {
    Ticket::new(Address::parse(id), 0.0)
}

/// A place where commands note what they do, and wait for a file `go`.
struct Notes(tempfile::TempDir);

impl Notes {
    fn new() -> Notes {
        Notes(tempfile::tempdir().unwrap())
    }

    /// A command that notes a word and the address.
    fn note(&self, word: &str) -> String {
        format!("echo {word} <ip> >>{}/notes", self.0.path().display())
    }

    /// The same, and then it waits.
    fn waits(&self, word: &str) -> String {
        let here = self.0.path().display();
        format!(
            "{}; until test -e {here}/go; do sleep 0.02; done",
            self.note(word)
        )
    }

    fn go(&self) {
        std::fs::write(self.0.path().join("go"), "").unwrap();
    }

    async fn lines(&self, count: usize) -> Vec<String> {
        lines(&self.0.path().join("notes"), count).await
    }
}

async fn lines(path: &Path, count: usize) -> Vec<String> {
    for _ in 0..600 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} never had {count} lines", path.display());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_jail_delays_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bans");
    let shown = path.display();
    // the slow one ends when the quick one is done, so it cannot have been waited for
    let slow = format!("until grep -q quick {shown}; do sleep 0.05; done; echo slow >> {shown}");
    let server = Common::default();
    let slow = jail_of(server.clone(), "slow", "a", &slow).await;
    let quick = jail_of(server, "quick", "b", &format!("echo quick >> {shown}")).await;
    ban(&slow, "192.0.2.1");
    ban(&quick, "192.0.2.2");
    assert_eq!(lines(&path, 2).await, ["quick", "slow"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_firewall_that_waits_for_a_lock_delays_no_other_firewall() {
    let notes = Notes::new();
    let here = notes.0.path().display();
    // as iptables does while somebody else has the lock of xtables, and programs that do not know it
    for (program, command) in [
        ("iptables", notes.waits("iptables")),
        ("ipset", notes.note("ipset")),
        ("nft", notes.note("nft")),
    ] {
        let path = notes.0.path().join(program);
        let text = format!("#!/bin/sh\n{}\n", command.replace("<ip>", "$*"));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let waiting = jail(
        "ipt",
        "a",
        &format!("{here}/iptables -w -I c 1 -s <ip> -j DROP"),
    )
    .await;
    ban(&waiting, "192.0.2.1");
    notes.lines(1).await;
    let mut others = Vec::new();
    for (name, command) in [
        ("nft", "nft add rule t c ip saddr <ip> drop"),
        (
            "nft-script",
            "nft add table t; nft add rule t c ip saddr <ip> drop",
        ),
        ("ipset", "ipset save set-<ip>"),
    ] {
        let command = command.replace("nft add", &format!("{here}/nft add"));
        let command = command.replace("ipset save", &format!("{here}/ipset save"));
        let actions = jail(name, name, &command).await;
        ban(&actions, "192.0.2.1");
        others.push(actions);
    }
    let lines = notes.lines(5).await;
    let of = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!(
        (of("iptables "), of("nft "), of("ipset ")),
        (1, 3, 1),
        "{lines:?}"
    );
    notes.go();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_of_one_name_wait_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bans");
    let shown = path.display();
    // reads the whole file, thinks, and writes it anew
    let edit = format!(
        "old=$(cat {shown} 2>/dev/null); sleep 0.02; printf '%s\\n' $old <ip> > {shown}.new; mv {shown}.new {shown}"
    );
    let server = Common::default();
    let jails = [
        jail_of(server.clone(), "one", "same", &edit).await,
        jail_of(server, "two", "same", &edit).await,
    ];
    for n in 1..=10 {
        ban(&jails[n % 2], &format!("192.0.2.{n}"));
    }
    let mut seen = lines(&path, 10).await;
    // each jail's own order is kept
    for parity in [0, 1] {
        let own: Vec<u32> = seen
            .iter()
            .map(|line| line.rsplit('.').next().unwrap().parse().unwrap())
            .filter(|n| n % 2 == parity)
            .collect();
        assert!(own.is_sorted(), "{seen:?}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_action_delays_no_other_of_its_jail() {
    let notes = Notes::new();
    let actions = jail("j", "slow", &notes.waits("slow")).await;
    add(&actions, "quick", &[("actionban", &notes.note("quick"))]).await;
    ban(&actions, "192.0.2.1");
    ban(&actions, "192.0.2.2");
    // the slow one ends after these
    let seen = ["slow 192.0.2.1", "quick 192.0.2.1", "quick 192.0.2.2"];
    assert_eq!(notes.lines(3).await, seen);
    notes.go();
    assert_eq!(notes.lines(4).await[3], "slow 192.0.2.2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_that_waits_and_its_unban_cancel_each_other() {
    let notes = Notes::new();
    let (bans, unbans) = (notes.waits("ban"), notes.note("unban"));
    let actions = jail("j", "a", &bans).await;
    set(&actions, "a", &[("actionunban", &unbans)])
        .await
        .unwrap();
    // what only reports bans reports them all
    add(&actions, "report", &[("actionban", &notes.waits("report"))]).await;
    for n in 1..=3 {
        ban(&actions, &format!("192.0.2.{n}"));
    }
    notes.lines(2).await;
    unban(&actions, "192.0.2.2");
    unban(&actions, "192.0.2.1");
    notes.go();
    actions.settled().await;
    let lines = notes.lines(5).await;
    let of = |word: &str| {
        let lines = lines.iter().filter(|line| line.starts_with(word));
        lines
            .map(|line| line.rsplit('.').next().unwrap())
            .collect::<String>()
    };
    assert_eq!(
        (of("ban"), of("unban"), of("report")),
        ("13".into(), "1".into(), "123".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_ask_for_and_unbans_go_first() {
    let notes = Notes::new();
    let (bans, unbans) = (notes.waits("ban"), notes.note("unban"));
    let actions = jail("j", "a", &bans).await;
    set(&actions, "a", &[("actionunban", &unbans)])
        .await
        .unwrap();
    ban(&actions, "192.0.2.1");
    notes.lines(1).await;
    ban(&actions, "192.0.2.2");
    order(&actions, "192.0.2.3", true);
    unban(&actions, "192.0.2.1");
    notes.go();
    let order = [
        "ban 192.0.2.1",
        "ban 192.0.2.3",
        "unban 192.0.2.1",
        "ban 192.0.2.2",
    ];
    assert_eq!(notes.lines(4).await, order);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sets_and_reads_a_property_waits_for_no_command() {
    let notes = Notes::new();
    let actions = jail("j", "a", &notes.waits("old")).await;
    ban(&actions, "192.0.2.1");
    ban(&actions, "192.0.2.2");
    notes.lines(1).await;
    let new = notes.note("new");
    let said = set(&actions, "a", &[("actionban", &new)]).await;
    assert_eq!(said, Ok(Value::from(new.as_str())));
    // a reload changes everything at its end, one that fails nothing
    for fails in [true, false] {
        actions.send(Order::Reloading(true, Vec::new()));
        add(&actions, "a", &[("actionban", &notes.note("newest"))]).await;
        match fails {
            true => actions.send(Order::ReloadFailed),
            false => actions.send(Order::Reloading(false, Vec::new())),
        }
        let (reply, text) = oneshot::channel();
        actions.send(Order::Get {
            name: "a".to_owned(),
            what: Query::Property("actionban".to_owned()),
            reply,
        });
        let text = text.await.unwrap().unwrap().str().into_owned();
        assert_eq!(text.contains("newest"), !fails);
    }
    notes.go();
    assert_eq!(notes.lines(2).await[1], "newest 192.0.2.2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_that_stops_ends_what_hangs() {
    for stubborn in ["", "trap '' TERM; "] {
        let notes = Notes::new();
        let hang = format!("{stubborn}{}", notes.waits("ban"));
        let actions = jail("j", "a", &hang).await;
        let rest = [
            ("actionunban", &*notes.waits("unban")),
            ("actionstop", &*notes.note("stop")),
        ];
        set(&actions, "a", &rest).await.unwrap();
        actions.send(Order::Start);
        let ids = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
        for id in ids {
            ban(&actions, id);
        }
        notes.lines(1).await;
        let (reply, stopped) = oneshot::channel();
        actions.send(Order::Stop(ids.map(ticket).to_vec(), reply));
        // each command might take a minute
        let stopped = tokio::time::timeout(Duration::from_secs(30), stopped);
        stopped.await.unwrap().unwrap();
        notes.go();
        let lines = notes.lines(2).await;
        assert_eq!(
            lines,
            ["ban 192.0.2.1", "stop"],
            "a ban that was ended was not made"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_whose_start_is_ended_in_the_middle_is_stopped() {
    let notes = Notes::new();
    let actions = jail("j", "a", &notes.note("ban")).await;
    let rest = [
        ("actionstart", &*notes.waits("start")),
        ("actionstop", &*notes.note("stop")),
    ];
    set(&actions, "a", &rest).await.unwrap();
    actions.send(Order::Start);
    ban(&actions, "192.0.2.1");
    assert!(notes.lines(1).await[0].starts_with("start"));
    let (reply, stopped) = oneshot::channel();
    actions.send(Order::Stop(vec![ticket("192.0.2.1")], reply));
    let stopped = tokio::time::timeout(Duration::from_secs(30), stopped);
    stopped.await.unwrap().unwrap();
    let lines = notes.lines(2).await;
    assert!(
        lines[1].starts_with("stop") && lines.len() == 2,
        "{lines:?}"
    );
}

/// Two jails, the first with an action whose bans hang.
fn hanging() -> Site {
    let site = Site::new(&["one", "two"]);
    let here = site.directory.path().display().to_string();
    let bans = format!("actionban = echo ban <name> <ip> >>{here}/notes; sleep 1000\n");
    site.write(
        "action.d/hang.conf",
        &format!("[Definition]\n{bans}[Init]\nname = x\n"),
    );
    site.jails(&format!(
        "{}action = hang[name=one]\nmaxretry = 1\n{}maxretry = 1\n",
        common::home::jail("one").trim_end().to_owned() + "\n",
        common::home::jail("two").trim_end().to_owned() + "\n",
    ));
    site
}

/// Appends a failure of each of these addresses.
fn fail(site: &Site, jail: &str, ids: impl Iterator<Item = String>) {
    use std::io::Write;
    let now = chrono::Local::now().format("%b %d %H:%M:%S");
    let lines: String = ids.map(|id| format!("{now} x from {id}\n")).collect();
    let log = std::fs::OpenOptions::new()
        .append(true)
        .open(site.path(&format!("{jail}.log")));
    log.unwrap().write_all(lines.as_bytes()).unwrap();
}

#[test]
fn a_reload_waits_for_no_action_and_loses_no_line() {
    let site = hanging();
    let server = site.foreground(common::home::server());
    let id = |n: usize| format!("10.0.{}.{}", n / 200, n % 200 + 1);
    let mut written = 0;
    for _ in 0..5 {
        for part in 0..4 {
            fail(&site, "one", (written..written + 50).map(id));
            written += 50;
            if part == 1 {
                let (code, printed) = site.run(common::ours("fail2ban-client"), &["reload"]);
                assert_eq!((code, printed.as_str()), (0, "OK\n"));
            }
        }
        site.wait_for(&format!("[one] Ban {}", id(written - 1)));
        std::fs::rename(site.path("one.log"), site.path("one.log.1")).unwrap();
        site.write("one.log", "");
    }
    fail(&site, "two", std::iter::once("192.0.2.1".to_owned()));
    site.wait_for("[two] Ban 192.0.2.1");
    let log = site.read("log");
    for n in 0..written {
        let found = format!("[one] Found {} ", id(n));
        assert_eq!(log.matches(&found).count(), 1, "{found}\n{log}");
    }
    assert!(common::eventually(20, || site
        .read("notes")
        .contains("ban two 192.0.2.1")));
    assert_eq!(
        site.read("notes").matches("ban one").count(),
        1,
        "the first hangs"
    );
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let site = hanging();
    // longer than the test waits
    let here = site.directory.path().display().to_string();
    let commands = format!("actionban = echo <ip> >>{here}/notes\nactionunban = sleep 0.5\n");
    site.write("action.d/hang.conf", &format!("[Definition]\n{commands}"));
    let server = site.foreground(common::home::server());
    let ids: Vec<String> = (1..=100).map(|n| format!("192.0.2.{n}")).collect();
    let mut words = vec!["set", "one", "banip"];
    words.extend(ids.iter().map(String::as_str));
    assert_eq!(server.ask(&words).unwrap(), Ok(Value::Int(100)));
    // the other jail's action notes its start
    let noted = || site.read("notes").lines().count();
    assert!(common::eventually(60, || noted() == 101), "{}", noted());
    kill(site.pid(), Signal::SIGTERM).unwrap();
    site.wait_for("[one] Repeal Ban 192.0.2.2");
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    assert!(
        site.read("log")
            .contains("Caught a second signal. Exiting at once")
    );
    assert!(!site.path("run/socket").exists() && !site.path("run/pid").exists());
}

#[test]
fn rules_come_and_go_while_other_actions_hang() {
    common::in_network_namespace("rules_come_and_go_while_other_actions_hang", || {
        let server = StockServer::start(
            &[("j", "iptables-multiport[name=j, port=ssh]\n  hang")],
            &[(
                "action.d/hang.conf",
                "[Definition]\nactionban = sleep 1000\nactionunban = sleep 1000\n[Init]\ntimeout = 1000\n",
            )],
        );
        let rules = || {
            let saved = std::process::Command::new("iptables-save").output();
            String::from_utf8(saved.unwrap().stdout).unwrap()
        };
        for n in 1..=3 {
            let id = format!("192.0.2.{n}");
            server.client(&["set", "j", "banip", &id]);
            assert!(
                common::eventually(20, || rules().contains(&id)),
                "{}",
                rules()
            );
            server.client(&["set", "j", "unbanip", &id]);
            assert!(
                common::eventually(20, || !rules().contains(&id)),
                "{}",
                rules()
            );
        }
        assert_eq!(server.lines("ERROR"), Vec::<String>::new());
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_at_the_end_for_others_that_get_on_is_not_given_up() {
    let notes = Notes::new();
    let mut ends = Vec::new();
    let mut jails = Vec::new();
    // together longer than one command may take then
    for n in 1..=15 {
        let actions = jail(&format!("j{n}"), "same", "true").await;
        let unban = format!("sleep 0.2; {}", notes.note("unban"));
        set(&actions, "same", &[("actionunban", &unban)])
            .await
            .unwrap();
        for id in ["192.0.2.1", "192.0.2.2"] {
            ban(&actions, id);
        }
        actions.settled().await;
        jails.push(actions);
    }
    for actions in &jails {
        let (reply, stopped) = oneshot::channel();
        let bans = ["192.0.2.1", "192.0.2.2"].map(ticket).to_vec();
        actions.send(Order::Stop(bans, reply));
        ends.push(stopped);
    }
    for stopped in ends {
        stopped.await.unwrap();
    }
    assert_eq!(notes.lines(30).await.len(), 30);
}
