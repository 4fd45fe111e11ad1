//! The server without root: an unprivileged user with the capabilities that its firewall and its logs
//! need.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use common::stock::Stock;

/// A user who owns nothing (`nobody`).
const USER: u32 = 65534;

/// What `iptables`, `nft` and `ipset` need, and logs that only their group may read.
const CAPABILITIES: &str = "-all,+net_admin,+net_raw,+dac_read_search";

/// A program of that user, with these capabilities and no way to more.
fn unprivileged(program: &Command) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &USER.to_string(), "--regid", &USER.to_string()])
        .args(["--clear-groups", "--no-new-privs"])
        .arg(format!("--inh-caps={CAPABILITIES}"))
        .arg(format!("--ambient-caps={CAPABILITIES}"))
        .arg(format!("--bounding-set={CAPABILITIES}"))
        .arg(program.get_program())
        .args(program.get_args());
    common::like(&mut command, program);
    command
}

fn shell(script: &str) -> String {
    let output = Command::new("/bin/sh").args(["-c", script]).output();
    String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
}

const JAILS: [(&str, &str); 3] = [
    ("ipt", "iptables-multiport[name=ipt, port=ssh]"),
    ("set", "iptables-ipset[name=set, port=ssh]"),
    ("nft", "nftables[name=nft, port=ssh]"),
];

/// Which of the jails hold the address.
fn held() -> [bool; 3] {
    let rules = shell("iptables-save; ipset save; nft list table inet f2b-table");
    [
        rules.contains("-A f2b-ipt -s 192.0.2.1/32"),
        rules.contains("add f2b-set 192.0.2.1") && rules.contains("--match-set f2b-set src"),
        rules.contains("@addr-set-nft ") && rules.contains("elements = { 192.0.2.1 }"),
    ]
}

#[test]
fn an_unprivileged_user_with_three_capabilities_bans() {
    common::in_network_namespace("an_unprivileged_user_with_three_capabilities_bans", || {
        let stock = Stock::new(&JAILS, "ROOT/own/f2b.db");
        // its own is the directory for socket, pid file, log and database alone
        stock.write(
            "etc/fail2ban.local",
            "[DEFAULT]\nsocket = ROOT/own/f2b.sock\npidfile = ROOT/own/f2b.pid\n\
             dbfile = ROOT/own/f2b.db\nlogtarget = ROOT/own/f2b.log\n",
        );
        fs::create_dir(stock.path("own")).unwrap();
        std::os::unix::fs::chown(stock.path("own"), Some(USER), Some(USER)).unwrap();
        fs::set_permissions(stock.path("log"), fs::Permissions::from_mode(0o640)).unwrap();
        let log = || fs::read_to_string(stock.path("own/f2b.log")).unwrap_or_default();

        let server = unprivileged(&common::ours("fail2ban-server"));
        let mut server = common::serve(server, &stock.path("etc"));
        let up = common::eventually(60, || log().contains("Jail 'nft' started"));
        assert!(up, "{}", log());
        let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        assert!(
            status.contains(&format!("Uid:\t{USER}\t{USER}")),
            "{status}"
        );

        let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%S%.3fZ");
        let line =
            format!("{now} srv sshd[7]: Failed password for root from 192.0.2.1 port 1 ssh2\n");
        fs::write(stock.path("log"), line.repeat(5)).unwrap();
        let banned = common::eventually(60, || held() == [true; 3]);
        assert!(banned, "{:?}\n{}", held(), log());
        stock.client(&["stop"]);
        assert!(common::eventually(60, || server
            .try_wait()
            .unwrap()
            .is_some()));
        let left = shell("iptables-save; ipset save; nft list ruleset");
        assert!(!left.contains("f2b-"), "{left}");
        for word in [" ERROR ", " CRITICAL "] {
            assert!(!log().contains(word), "{}", log());
        }
    });
}

/// The sets of capabilities in a status of the kernel's, by their names.
fn capabilities(status: &str) -> Vec<(&str, u64)> {
    let lines = status.lines().filter_map(|line| line.split_once(":\t"));
    let sets = lines.filter(|(name, _)| name.starts_with("Cap"));
    sets.map(|(name, value)| (name, u64::from_str_radix(value, 16).unwrap()))
        .collect()
}

#[test]
fn a_sandbox_leaves_what_bans_need_and_gives_nothing_back() {
    let test = "a_sandbox_leaves_what_bans_need_and_gives_nothing_back";
    common::in_network_namespace(test, || {
        let mut jails = JAILS.to_vec();
        jails.push(("caps", "caps"));
        let stock = Stock::new(&jails, "None");
        stock.write(
            "etc/action.d/caps.conf",
            "[Definition]\nactionban = cat /proc/self/status >ROOT/status\n",
        );
        let global = fs::read_to_string(stock.path("etc/fail2ban.local")).unwrap();
        stock.write("etc/fail2ban.local", &format!("{global}sandbox = auto\n"));
        let mut server = common::serve(common::ours("fail2ban-server"), &stock.path("etc"));
        for (jail, _) in &jails {
            stock.wait_for_jail(jail);
            stock.client(&["set", jail, "banip", "192.0.2.1"]);
        }
        let banned = common::eventually(60, || held() == [true; 3]);
        assert!(banned, "{:?}\n{}", held(), stock.log());
        let status = || fs::read_to_string(stock.path("status")).unwrap_or_default();
        assert!(common::eventually(60, || status().contains("CapAmb:")));
        // chown, dac_override, dac_read_search, fowner, fsetid, kill, setgid, setuid,
        // net_bind_service, net_admin, net_raw, audit_write
        let kept = [0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 13, 29];
        let kept: u64 = kept.into_iter().map(|number| 1 << number).sum();
        let ours = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        for status in [ours, status()] {
            let sets = capabilities(&status);
            assert_eq!(sets.len(), 5, "{status}");
            for (name, set) in sets {
                assert_eq!(set & !kept, 0, "{name}: {status}");
            }
            assert!(status.contains("CapBnd:\t"), "{status}");
        }
        assert!(!stock.log().contains(" ERROR "), "{}", stock.log());
        stock.client(&["stop"]);
        assert!(common::eventually(60, || server
            .try_wait()
            .unwrap()
            .is_some()));

        // another value is a mistake, and no server
        stock.write("etc/fail2ban.local", &format!("{global}sandbox = yes\n"));
        let mut server = common::serve(common::ours("fail2ban-server"), &stock.path("etc"));
        assert_eq!(server.wait().unwrap().code(), Some(255));
        let said = stock.client(&["-t"]);
        assert!(said.contains("ERROR: test configuration failed"), "{said}");
    });
}
