//! The server without root: an unprivileged user with the capabilities that its firewall and its logs
//! need.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, ExitStatus};

use common::shell;
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

/// What the kernel says of each thread of a process.
fn threads(server: &Child) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
    tasks
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok())
        .collect()
}

/// Fails unless all of these hold nothing but what a sandbox keeps, in every set of capabilities.
fn assert_confined(statuses: &[String], no_new_privs: bool) {
    // chown, dac_override, dac_read_search, fowner, fsetid, kill, setgid, setuid,
    // net_bind_service, net_admin, net_raw, audit_write
    let kept = [0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 13, 29];
    let kept: u64 = kept.into_iter().map(|number| 1 << number).sum();
    for status in statuses {
        let sets = capabilities(status);
        assert_eq!(sets.len(), 5, "{status}");
        for (name, set) in sets {
            assert_eq!(set & !kept, 0, "{name}: {status}");
        }
        let no_new_privs = format!("NoNewPrivs:\t{}\n", u8::from(no_new_privs));
        assert!(status.contains(&no_new_privs), "{status}");
        assert!(status.contains("Seccomp:\t2\n"), "{status}");
    }
}

fn ended(server: &mut Child) -> Option<ExitStatus> {
    let mut status = None;
    common::eventually(60, || {
        status = server.try_wait().unwrap();
        status.is_some()
    });
    status
}

/// Bans an address in these jails; the firewalls have it then.
fn ban(stock: &Stock, jails: &[(&str, &str)]) {
    for (jail, _) in jails {
        stock.wait_for_jail(jail);
        stock.client(&["set", jail, "banip", "192.0.2.1"]);
    }
    let banned = common::eventually(60, || held() == [true; 3]);
    assert!(banned, "{:?}\n{}", held(), stock.log());
}

#[test]
fn a_sandbox_leaves_what_actions_need_and_gives_nothing_back() {
    let test = "a_sandbox_leaves_what_actions_need_and_gives_nothing_back";
    common::in_network_namespace(test, || {
        let mut jails = JAILS.to_vec();
        jails.push(("caps", "caps"));
        let stock = Stock::new(&jails, "None");
        // a mail program of a group of its own, as those of Postfix, Exim and Sendmail are
        fs::copy("/usr/bin/id", stock.path("sendmail")).unwrap();
        std::os::unix::fs::chown(stock.path("sendmail"), None, Some(USER)).unwrap();
        let group = fs::Permissions::from_mode(0o2755);
        fs::set_permissions(stock.path("sendmail"), group).unwrap();
        stock.write(
            "etc/action.d/caps.conf",
            "[Definition]\nactionban = ROOT/sendmail -g >ROOT/group\n\
             \x20           unshare --user true 2>ROOT/refused\n\
             \x20           cat /proc/self/status >ROOT/status\n",
        );
        let global = fs::read_to_string(stock.path("etc/fail2ban.local")).unwrap();
        stock.write("etc/fail2ban.local", &format!("{global}sandbox = auto\n"));
        let mut server = common::serve(common::ours("fail2ban-server"), &stock.path("etc"));
        ban(&stock, &jails);
        let read = |name: &str| fs::read_to_string(stock.path(name)).unwrap_or_default();
        assert!(common::eventually(60, || read("status").contains("CapAmb:")));
        let mut statuses = threads(&server);
        statuses.push(read("status"));
        assert_confined(&statuses, false);
        assert_eq!(read("group"), format!("{USER}\n"));
        let refused = read("refused");
        assert!(refused.contains("Operation not permitted"), "{refused}");
        for word in [" ERROR ", " WARNING "] {
            assert!(!stock.log().contains(word), "{}", stock.log());
        }
        stock.client(&["stop"]);
        assert!(ended(&mut server).is_some());

        // without the option the server is as who started it
        stock.write("etc/fail2ban.local", &global);
        let mut server = common::serve(common::ours("fail2ban-server"), &stock.path("etc"));
        stock.wait_for_jail("caps");
        let own = fs::read_to_string("/proc/self/status").unwrap();
        let rights = |status: &str| {
            let lines = status.lines().map(str::to_owned);
            let kinds = ["Cap", "NoNewPrivs", "Seccomp"];
            lines
                .filter(|line| kinds.iter().any(|kind| line.starts_with(kind)))
                .collect::<Vec<_>>()
        };
        for status in threads(&server) {
            assert_eq!(rights(&status), rights(&own));
        }
        stock.client(&["stop"]);
        assert!(ended(&mut server).is_some());

        // another value is a mistake, and no server
        stock.write("etc/fail2ban.local", &format!("{global}sandbox = yes\n"));
        let mut server = common::serve(common::ours("fail2ban-server"), &stock.path("etc"));
        assert_eq!(server.wait().unwrap().code(), Some(255));
        let (said, code) = tested(&stock);
        assert!(said.contains("fail2ban.local:6)"), "{said}");
        assert_eq!(code, Some(255));
    });
}

/// What `-t` says of a configuration, and its exit code.
fn tested(stock: &Stock) -> (String, Option<i32>) {
    let mut test = common::ours("fail2ban-server");
    let output = test.arg("-c").arg(stock.path("etc")).arg("-t").output();
    let output = output.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        String::from_utf8_lossy(&said).into_owned(),
        output.status.code(),
    )
}

#[test]
fn sandbox_strict_bans_and_writes_nothing_elsewhere() {
    let test = "sandbox_strict_bans_and_writes_nothing_elsewhere";
    common::in_network_and_mount_namespace(test, || {
        // the usual place is one that all may write
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "none", "/mnt"])
            .status();
        assert!(mounted.unwrap().success());
        let mut jails = JAILS.to_vec();
        jails.push(("own", "own"));
        let place = tempfile::tempdir_in("/mnt").unwrap();
        let stock = Stock::within(place, &jails, "ROOT/own/f2b.db");
        let global = "[DEFAULT]\nsocket = ROOT/own/f2b.sock\npidfile = ROOT/own/f2b.pid\n\
                      dbfile = ROOT/own/f2b.db\nlogtarget = ROOT/own/f2b.log\nsandbox = strict\n";
        stock.write("etc/fail2ban.local", global);
        let action = |more: &str| {
            stock.write(
                "etc/action.d/own.conf",
                &format!(
                    "[Definition]\nactionban = cat /proc/self/status >ROOT/own/status\n\
                     \x20           touch ROOT/elsewhere || touch ROOT/own/refused\n{more}"
                ),
            );
        };
        action("");
        let log = || fs::read_to_string(stock.path("own/f2b.log")).unwrap_or_default();
        let start = || common::serve(common::ours("fail2ban-server"), &stock.path("etc"));

        let mut server = start();
        for (jail, _) in &jails {
            let up = || log().contains(&format!("Jail '{jail}' started"));
            assert!(common::eventually(60, up), "{}", log());
            stock.client(&["set", jail, "banip", "192.0.2.1"]);
        }
        let banned = common::eventually(60, || held() == [true; 3]);
        assert!(banned, "{:?}\n{}", held(), log());
        let status = || fs::read_to_string(stock.path("own/status")).unwrap_or_default();
        assert!(common::eventually(60, || status().contains("CapAmb:")));
        let mut statuses = threads(&server);
        assert!(statuses.len() > 2, "{}", statuses.len());
        statuses.push(status());
        assert_confined(&statuses, true);
        let landlocked = !log().contains("this kernel has no landlock");
        match landlocked {
            true => {
                let refused = || stock.path("own/refused").exists();
                assert!(common::eventually(60, refused), "{}", log());
                assert!(!stock.path("elsewhere").exists());
                let said = stock.client(&["set", "logtarget", &stock.path("no").to_string_lossy()]);
                assert!(said.contains("Failed to change log target"), "{said}");
            }
            false => eprintln!("SKIPPED: this kernel has no landlock"),
        }

        // the log is rotated, the configuration read again
        fs::rename(stock.path("own/f2b.log"), stock.path("own/f2b.log.1")).unwrap();
        stock.client(&["flushlogs"]);
        stock.client(&["reload"]);
        let reloaded = || log().contains("Reload finished");
        assert!(common::eventually(60, reloaded), "{}", log());
        assert_eq!(held(), [true; 3]);
        stock.client(&["stop"]);
        assert!(ended(&mut server).is_some_and(|status| status.success()));
        assert_eq!(held(), [false; 3]);

        // bans are kept in the database and restored, and lifted by hand
        let mut server = start();
        let restored = common::eventually(60, || held() == [true; 3]);
        assert!(restored, "{:?}\n{}", held(), log());
        stock.client(&["unban", "--all"]);
        let lifted = common::eventually(60, || held() == [false; 3]);
        assert!(lifted, "{:?}\n{}", held(), log());
        let expected = |line: &&str| line.contains("own/refused") || line.contains("logtarget");
        let errors = log();
        let errors: Vec<_> = errors
            .lines()
            .filter(|line| line.contains(" ERROR "))
            .collect();
        assert!(errors.iter().all(expected), "{errors:?}");

        // an action that comes while it runs, and needs more
        stock.client(&["set", "nft", "addaction", "more"]);
        let command = "sudo --version || true";
        stock.client(&["set", "nft", "action", "more", "actionban", command]);
        stock.client(&["set", "nft", "banip", "192.0.2.2"]);
        let text = "Not possible with sandbox = strict, under which the server was started: jail \
                    nft, action more runs sudo";
        let told = common::eventually(60, || log().contains(text));
        assert!(told, "{}", log());

        // one of the configuration is refused by a test and by a reload, which changes nothing
        action("            printf %%b \"x\" | /usr/sbin/sendmail root\n");
        let (said, code) = tested(&stock);
        let why = "Not possible with sandbox = strict: jail own, action own: actionban hands mail to \
                   /usr/sbin/sendmail";
        assert!(said.contains(why) && said.contains("own.conf:2"), "{said}");
        assert_eq!(code, Some(255));
        stock.client(&["reload"]);
        assert!(stock.client(&["status"]).contains("own"));
        stock.client(&["stop"]);
        assert!(ended(&mut server).is_some());
        // a start goes without that jail
        let mut server = start();
        stock.wait_for_jail("nft");
        let status = stock.client(&["status"]);
        assert!(!status.contains("own"), "{status}");
        stock.client(&["stop"]);
        assert!(ended(&mut server).is_some());
    });
}

#[test]
fn bans_and_mails_put_nothing_into_tmp() {
    let test = "bans_and_mails_put_nothing_into_tmp";
    common::in_network_and_mount_namespace(test, || {
        let mount = |arguments: &[&str]| {
            let status = Command::new("mount").args(arguments).status();
            assert!(status.unwrap().success(), "{arguments:?}");
        };
        mount(&["-t", "tmpfs", "none", "/mnt"]);
        // nobody can make a name here
        for place in ["/tmp", "/var/tmp"] {
            mount(&["--bind", place, place]);
            mount(&["-o", "remount,bind,ro", place]);
        }
        assert!(
            fs::write("/tmp/ferroban", "").is_err() && fs::write("/var/tmp/ferroban", "").is_err()
        );
        let place = tempfile::tempdir_in("/mnt").unwrap();
        let mailcmd = format!("{}/sendmail -f \"a\" \"b\"", place.path().display());
        let mail =
            format!("sendmail-whois-lines[name=mail, logpath=/dev/null, mailcmd='{mailcmd}']");
        let mut jails = JAILS.to_vec();
        jails.push(("mail", &mail));
        let stock = Stock::within(place, &jails, "ROOT/f2b.db");
        stock.write("sendmail", "#!/bin/sh\ncat >>ROOT/mails\n");
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(stock.path("sendmail"), all).unwrap();
        let mut server = common::serve(common::ours("fail2ban-server"), &stock.path("etc"));
        ban(&stock, &jails);
        let mails = || fs::read_to_string(stock.path("mails")).unwrap_or_default();
        let sent = common::eventually(60, || mails().contains("192.0.2.1"));
        assert!(sent, "{}\n{}", mails(), stock.log());
        stock.client(&["unban", "--all"]);
        let lifted = common::eventually(60, || held() == [false; 3]);
        assert!(lifted, "{:?}\n{}", held(), stock.log());
        stock.client(&["stop"]);
        assert!(ended(&mut server).is_some());
        assert!(!stock.log().contains(" ERROR "), "{}", stock.log());
    });
}

#[test]
fn another_user_does_not_command_the_server() {
    common::in_network_namespace("another_user_does_not_command_the_server", || {
        let stock = Stock::new(&[("nft", "nftables[name=nft, port=ssh]")], "None");
        let socket = stock.path("f2b.sock");
        // all may look at the configuration and reach the socket's place
        fs::set_permissions(stock.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut server = common::serve(common::ours("fail2ban-server"), &stock.path("etc"));
        stock.wait_for_jail("nft");
        let mode = fs::metadata(&socket).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");

        let ask = || {
            let mut client = common::ours("fail2ban-client");
            client.arg("-s").arg(&socket);
            client.args(["set", "nft", "banip", "192.0.2.1"]);
            let output = unprivileged(&client).output().unwrap();
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        let said = ask();
        assert!(said.contains("ermission"), "{said}");
        // a mode that no socket should have
        let open = |mode| fs::set_permissions(&socket, fs::Permissions::from_mode(mode)).unwrap();
        open(0o666);
        ask();
        let refused = format!("Refused connection of user {USER} to the socket");
        let told = common::eventually(60, || stock.log().contains(&refused));
        assert!(told, "{}", stock.log());
        let status = stock.client(&["status", "nft"]);
        assert!(!status.contains("192.0.2.1"), "{status}");
        // but root can give the socket to a group
        open(0o660);
        std::os::unix::fs::chown(&socket, None, Some(USER)).unwrap();
        assert_eq!(ask(), "1\n");
        stock.client(&["stop"]);
        assert!(ended(&mut server).is_some());
    });
}
