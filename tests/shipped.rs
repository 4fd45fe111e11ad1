//! The shipped configuration lies under the directory: three lines of `jail.local` are enough, an
//! original's tree stays as it is, and where nothing is guarded everybody says so.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::home::{Site, jail};
use common::root::Root;
use ferroban::parts::config::{self, ReadOptions};

const NO_JAIL: &str = "No jail is running: nothing is guarded";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(mut program: Command, words: &[&str]) -> Output {
    program.args(words).output().unwrap()
}

/// A directory with this `jail.local` and what the machine is, and nothing else; `HERE` in it is the
/// directory.
fn with_jails(jails: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().display().to_string();
    fs::write(directory.path().join("auth.log"), "").unwrap();
    let jails = jails.replace("HERE", &here);
    fs::write(directory.path().join("jail.local"), jails).unwrap();
    let machine = "[INCLUDES]\nbefore = paths-debian.conf\n";
    fs::write(directory.path().join("paths-system.conf"), machine).unwrap();
    (directory, here)
}

#[test]
fn a_jail_local_alone_is_a_configuration() {
    let (_guard, here) = with_jails("[sshd]\nenabled = true\nlogpath = HERE/auth.log\n");
    let original = run(
        common::original("1.1.1", "fail2ban-client"),
        &["-c", &here, "-t"],
    );
    assert_eq!(original.status.code(), Some(255));
    let tested = run(common::ours("fail2ban-client"), &["-c", &here, "-t"]);
    assert_eq!(
        text(&tested.stdout),
        "OK: configuration test is successful\n"
    );
    assert_eq!(
        text(&tested.stderr),
        format!(
            "Not in {here}, so taken from the shipped configuration: action.d/iptables-multiport.conf, \
             action.d/iptables.conf, fail2ban.conf, filter.d/common.conf, filter.d/sshd.conf, jail.conf, \
             paths-common.conf, paths-debian.conf\n"
        )
    );
    let dumped = text(&run(common::ours("fail2ban-client"), &["-c", &here, "-d"]).stdout);
    assert!(dumped.contains("['start', 'sshd']"), "{dumped}");
    assert!(
        dumped.contains("'addaction', 'iptables-multiport'"),
        "{dumped}"
    );
    let shown = text(&run(common::ours("config"), &["-c", &here, "sshd"]).stdout);
    assert!(shown.contains("; (shipped)/filter.d/sshd.conf:"), "{shown}");
    let linted = run(common::ours("lint"), &["--notes", &here]);
    let note = format!(
        "(shipped)/jail.conf:1: note: the shipped file is read: '{here}/jail.conf' is not there [shipped]"
    );
    let linted = text(&linted.stdout);
    assert!(linted.contains(&note), "{linted}");
    let found = run(
        common::ours("fail2ban-regex"),
        &[
            "-c",
            &here,
            "Nov 28 10:00:00 h sshd[1]: Invalid user x from 192.0.2.1",
            "sshd",
        ],
    );
    assert!(
        text(&found.stdout).contains("1 matched"),
        "{}",
        text(&found.stdout)
    );
}

#[test]
fn a_directory_with_its_own_jail_conf_gets_no_jail_and_no_setting() {
    let (_guard, here) =
        with_jails("[own]\nenabled = true\nfilter = sshd\nlogpath = HERE/auth.log\n");
    fs::write(format!("{here}/jail.conf"), "").unwrap();
    let stream = config::read(Path::new(&here), &ReadOptions::default()).unwrap();
    let expected = [
        "fail2ban.conf",
        "filter.d/common.conf",
        "filter.d/sshd.conf",
    ];
    assert_eq!(stream.shipped, expected);
    let words = |name: &str| {
        let words = stream.commands.iter();
        words
            .filter(|words| words.iter().any(|word| word.as_str() == Some(name)))
            .count()
    };
    assert_eq!([words("maxretry"), words("addaction")], [0, 0]);
}

#[test]
fn nothing_shipped_is_read_under_the_original_configuration() {
    for version in ["1.1.1", "1.0.2"] {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("fail2ban");
        common::copy_tree(&common::reference(version).join("etc/fail2ban"), &base);
        let stock = fs::read_to_string(base.join("jail.conf")).unwrap();
        let names = stock
            .lines()
            .filter_map(|line| line.strip_prefix('[')?.split(']').next());
        let names = names.filter(|name| !["INCLUDES", "DEFAULT"].contains(name));
        let jails: String = names
            .map(|name| format!("[{name}]\nenabled = true\nlogpath = /dev/null\n"))
            .collect();
        let defaults = "[DEFAULT]\nbackend = polling\ncfemail = a@b\ncfapikey = k\n";
        fs::write(base.join("jail.local"), format!("{defaults}{jails}")).unwrap();
        let stream = config::read(&base, &ReadOptions::default()).unwrap();
        assert!(stream.commands.len() > 1000);
        assert_eq!(stream.shipped, Vec::<String>::new(), "{version}");
    }
}

#[test]
fn export_writes_what_is_missing() {
    let (_guard, here) = with_jails("[sshd]\nenabled = true\nlogpath = HERE/auth.log\n");
    fs::create_dir(format!("{here}/filter.d")).unwrap();
    fs::write(format!("{here}/filter.d/dovecot.conf"), "mine").unwrap();
    let before = run(common::ours("fail2ban-client"), &["-c", &here, "-d"]);
    let exported = run(common::ours("config"), &["export", &here]);
    assert!(exported.status.success());
    assert_eq!(
        text(&exported.stderr),
        format!(
            "ferroban config: {here}/filter.d/dovecot.conf is there and stays\n\
             ferroban config: {here}/paths-system.conf is there and stays\n"
        )
    );
    assert_eq!(
        fs::read_to_string(format!("{here}/filter.d/dovecot.conf")).unwrap(),
        "mine"
    );
    for (name, contents) in config::shipped::all() {
        if !["filter.d/dovecot.conf", "paths-system.conf"].contains(&name) {
            assert_eq!(
                fs::read_to_string(format!("{here}/{name}")).unwrap(),
                contents
            );
            assert!(
                text(&exported.stdout).contains(&format!("{here}/{name}\n")),
                "{name}"
            );
        }
    }
    // now it stands for itself, and means the same: to the original, too
    let after = run(common::ours("fail2ban-client"), &["-c", &here, "-d"]);
    assert_eq!(text(&after.stdout), text(&before.stdout));
    let original = run(
        common::original("1.1.1", "fail2ban-client"),
        &["-c", &here, "-d"],
    );
    // but for the one action command it does not know
    let known = |output: &Output| {
        let text = text(&output.stdout);
        let lines = text.lines().filter(|line| !line.contains("'actionban'"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(known(&original), known(&before));
    let tested = run(common::ours("fail2ban-client"), &["-c", &here, "-t"]);
    assert_eq!(text(&tested.stderr), "");
}

#[test]
fn the_helper_that_knows_googlebot_asks_the_dns_both_ways() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_guard, here) = with_jails("");
    assert!(
        run(common::ours("config"), &["export", &here])
            .status
            .success()
    );
    let helper = format!("{here}/filter.d/ignorecommands/apache-fakegooglebot");
    let getent = "#!/bin/sh\ncase \"$*\" in\n\
        'hosts 192.0.2.1' | 'hosts 192.0.2.2') echo \"$2 crawl-1.googlebot.com\" ;;\n\
        'hosts 2001:db8::1') echo \"$2 a.google.com\" ;;\n\
        'hosts 192.0.2.3') echo \"$2 a.google.com.example.net\" ;;\n\
        'ahosts crawl-1.googlebot.com') echo '192.0.2.9 STREAM x'; echo '192.0.2.1 STREAM x' ;;\n\
        'ahosts a.google.com') echo '2001:db8::1 STREAM x' ;;\n\
        *) exit 2 ;;\nesac\n";
    let stand_in = format!("{here}/getent");
    fs::write(&stand_in, getent).unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{here}:{}", std::env::var("PATH").unwrap());
    for (words, expected) in [
        (&["192.0.2.1"][..], 0),
        (&["2001:db8::1", "0"], 0),
        (&["192.0.2.2"], 1),
        (&["192.0.2.3"], 1),
        (&["192.0.2.4", "5"], 1),
        (&["crawl-1.googlebot.com"], 2),
        (&[], 2),
    ] {
        let mut program = Command::new(&helper);
        let ended = program.args(words).env("PATH", &path).output().unwrap();
        assert_eq!(ended.status.code(), Some(expected), "{words:?}: {ended:?}");
    }
}

/// The stock configuration with a jail that uses what former versions had.
fn old_names() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("fail2ban");
    common::copy_tree(&common::reference("1.1.1").join("etc/fail2ban"), &base);
    let jails = "[sshd]\nenabled = false\n[old]\nenabled = true\nbackend = polling\nfilter = sshd\n\
         logpath = /dev/null\nignorecommand = %(ignorecommands_dir)s/mine <ip>\n\
         action = old08\n         old09[port=22]\n         old-nft[port=\"22,80:90\"]\n         %(action_badips)s\n";
    fs::write(base.join("jail.d/old.conf"), jails).unwrap();
    for (name, include, ban) in [
        (
            "old08",
            "iptables-blocktype",
            "actionban = iptables -I INPUT -s <ip> -j <blocktype>\n",
        ),
        (
            "old09",
            "iptables-common",
            "actionban = <iptables> -I f2b-<name> 1 -s <ip> -p <protocol> -j <blocktype>\n",
        ),
        (
            "old-nft",
            "nftables-common",
            "nftables_mode = <protocol> dport { <port> }\n",
        ),
    ] {
        let text = format!("[INCLUDES]\nbefore = {include}.conf\n\n[Definition]\n{ban}");
        fs::write(base.join(format!("action.d/{name}.conf")), text).unwrap();
    }
    let base = base.display().to_string();
    (directory, base)
}

#[test]
fn names_of_former_versions_are_accepted() {
    let (_guard, base) = old_names();
    let original = run(
        common::original("1.1.1", "fail2ban-client"),
        &["-c", &base, "-t"],
    );
    assert_eq!(original.status.code(), Some(255));
    assert!(text(&original.stderr).contains("'ignorecommands_dir'"));

    let stream = config::read(Path::new(&base), &ReadOptions::default()).unwrap();
    assert!(stream.accepted);
    let expected = ["iptables-blocktype", "iptables-common", "nftables-common"];
    assert_eq!(
        stream.shipped,
        expected.map(|name| format!("action.d/{name}.conf"))
    );
    let commands: String = stream
        .commands
        .into_iter()
        .map(|words| format!("{}\n", ferroban::parts::control::Value::List(words).repr()))
        .collect();
    for part in [
        format!("['set', 'old', 'ignorecommand', '{base}/filter.d/ignorecommands/mine <ip>']"),
        "['blocktype', 'REJECT --reject-with icmp-port-unreachable']".to_owned(),
        "['blocktype?family=inet6', 'REJECT --reject-with icmp6-port-unreachable']".to_owned(),
        "['iptables?family=inet6', 'ip6tables <lockingopt>']".to_owned(),
    ] {
        assert!(commands.contains(&part), "{part}\n{commands}");
    }

    let linted = text(&run(common::ours("lint"), &["--notes", &base]).stdout);
    let places = "defined nowhere here and counts as '%(fail2ban_confpath)s/filter.d/ignorecommands' (\
                  (shipped)/paths-common.conf:";
    let note = format!("{base}/jail.d/old.conf:8: note: 'ignorecommands_dir' is {places}");
    assert!(linted.contains(&note), "{linted}");
    let note =
        format!("the shipped file is read: '{base}/action.d/iptables-common.conf' is not there");
    assert!(linted.contains(&note), "{linted}");
    assert!(!linted.contains("missing-include"), "{linted}");

    // what the administrator defines wins
    let own = "[DEFAULT]\nignorecommands_dir = /mine\n";
    fs::write(format!("{base}/jail.local"), own).unwrap();
    let dumped = text(&run(common::ours("fail2ban-client"), &["-c", &base, "-d"]).stdout);
    assert!(
        dumped.contains("'ignorecommand', '/mine/mine <ip>'"),
        "{dumped}"
    );
}

#[test]
fn a_server_without_jails_says_so() {
    let site = Site::new(&["j"]);
    let off = jail("j").replace("true", "false");
    site.jails(&off);
    let stop = |code: i32| {
        let stopped = site.run(common::ours("fail2ban-client"), &["stop"]);
        assert_eq!(stopped.0, code, "{}", stopped.1);
    };
    let mut program = common::ours("fail2ban-client");
    let started = site.args(&mut program, &["start"]).output().unwrap();
    assert_eq!(text(&started.stdout), "Server ready\n");
    assert!(
        text(&started.stderr).contains(NO_JAIL),
        "{}",
        text(&started.stderr)
    );
    let warning = format!("WARNING {NO_JAIL}");
    site.wait_for(&warning);

    let status = |words: &[&str]| {
        let mut program = common::ours("fail2ban-client");
        site.args(&mut program, words).output().unwrap()
    };
    let overview = status(&["status"]);
    assert_eq!(
        text(&overview.stdout),
        "Status\n|- Number of jail:\t0\n`- Jail list:\t\n"
    );
    for words in [&["status"][..], &["--json", "status"], &["status", "--all"]] {
        let said = text(&status(words).stderr);
        assert!(said.contains(NO_JAIL), "{words:?}: {said}");
    }

    site.jails(&jail("j"));
    let reload = || site.run(common::ours("fail2ban-client"), &["reload"]);
    assert_eq!(reload(), (0, "OK\n".to_owned()));
    assert_eq!(text(&status(&["status"]).stderr), "");
    site.jails(&off);
    let (code, said) = reload();
    assert!(code == 0 && said.contains(NO_JAIL), "{said}");
    let count = |lines: Vec<String>| lines.iter().filter(|line| line.contains(NO_JAIL)).count();
    let twice = || count(site.log()) == 2;
    assert!(common::eventually(20, twice), "{:#?}", site.log());
    stop(0);
    assert_eq!(count(site.log()), 2, "a stop is no surprise");
}

#[test]
fn on_an_empty_machine_three_lines_guard_sshd() {
    let test = "on_an_empty_machine_three_lines_guard_sshd";
    common::in_network_and_mount_namespace(test, || {
        let root = Root::bare();
        let inside = |line: &str| {
            let output = root.shell(&format!("/usr/local/sbin/ferroban client {line}"), "");
            (
                output.status.code(),
                text(&output.stdout),
                text(&output.stderr),
            )
        };
        let jails = "[sshd]\nenabled = true\nbackend = polling\n";
        root.write("etc/fail2ban/jail.local", jails);

        // there is nothing to read, and that is said
        let (code, said, complaint) = inside("start");
        assert_eq!(code, Some(255), "{said}{complaint}");
        let missing = "Have not found any log file for 'sshd' jail.";
        assert!(complaint.contains(missing), "{complaint}");

        root.write("var/log/auth.log", "");
        let started = inside("start");
        assert_eq!(
            started,
            (Some(0), "Server ready\n".to_owned(), String::new())
        );
        let now = chrono::Utc::now().format("%b %e %H:%M:%S");
        let line =
            format!("{now} h sshd[7]: Failed password for root from 192.0.2.7 port 9 ssh2\n");
        root.write("var/log/auth.log", &line.repeat(5));
        let banned = || {
            inside("status sshd")
                .1
                .contains("Banned IP list:\t192.0.2.7")
        };
        let log = || fs::read_to_string(root.path("var/log/fail2ban.log")).unwrap_or_default();
        assert!(common::eventually(20, banned), "{}", log());
        assert_eq!(inside("stop").0, Some(0));

        fs::remove_file(root.path("etc/fail2ban/jail.local")).unwrap();
        let started = inside("start");
        assert_eq!((started.0, &*started.1), (Some(0), "Server ready\n"));
        assert!(started.2.contains(NO_JAIL), "{}", started.2);
        let told = || log().contains(NO_JAIL);
        assert!(common::eventually(20, told), "{}", log());
        let (_, status, complaint) = inside("status");
        assert!(status.contains("Number of jail:\t0"), "{status}");
        assert!(complaint.contains(NO_JAIL), "{complaint}");
        assert_eq!(inside("stop").0, Some(0));
    });
}

#[test]
fn the_machine_says_where_logs_are_and_how_bans_are_made() {
    let test = "the_machine_says_where_logs_are_and_how_bans_are_made";
    common::in_network_and_mount_namespace(test, || {
        let root = Root::bare();
        let shown = |jail: &str| {
            let line = format!("/usr/local/sbin/ferroban config -c '(shipped)' {jail}");
            text(&root.shell(&line, "").stdout)
        };
        let has = |jail: &str, start: &str, place: &str| {
            let shown = shown(jail);
            let line = shown.lines().find(|line| line.starts_with(start));
            assert!(
                line.is_some_and(|line| line.contains(place)),
                "{start} {place}\n{shown}"
            );
        };
        has("sshd", "backend = auto ", "jail.conf");
        has("sshd", "action = iptables-multiport[", "jail.conf");
        has(
            "recidive",
            "banaction_allports = iptables-allports",
            "paths-common.conf",
        );

        root.write(
            "etc/os-release",
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
        );
        fs::create_dir_all(root.path("run/systemd/system")).unwrap();
        root.write("usr/sbin/nft", "");
        has(
            "apache-auth",
            "logpath = /var/log/httpd/*error_log",
            "jail.conf",
        );
        has("sshd", "backend = systemd ", "jail.conf");
        has("sshd", "action = nftables[", "jail.conf");
        has("apache-auth", "backend = auto ", "jail.conf");

        // who names a log means it, unless he says how it is read
        let named = |more: &str| {
            let jails = format!("[sshd]\nlogpath = /srv/auth.log\n{more}");
            root.write("etc/fail2ban/jail.local", &jails);
            text(
                &root
                    .shell("/usr/local/sbin/ferroban config sshd", "")
                    .stdout,
            )
        };
        let (by_file, by_journal) = (named(""), named("[DEFAULT]\nsshd_backend = systemd\n"));
        assert!(by_file.contains("\nbackend = auto "), "{by_file}");
        assert!(by_journal.contains("\nbackend = systemd "), "{by_journal}");
        fs::remove_file(root.path("etc/fail2ban/jail.local")).unwrap();

        // a file of one's own wins
        let own = "[INCLUDES]\nbefore = paths-arch.conf\n";
        root.write("etc/fail2ban/paths-system.conf", own);
        let line = "/usr/local/sbin/ferroban config sshd";
        let shown = text(&root.shell(line, "").stdout);
        assert!(shown.contains("action = iptables-multiport["), "{shown}");
        let exported = "/usr/local/sbin/ferroban config export /tmp/out";
        assert!(root.shell(exported, "").status.success());
        let system = fs::read_to_string(root.path("tmp/out/paths-system.conf")).unwrap();
        assert!(
            system.contains("\nbefore = paths-fedora.conf\n"),
            "{system}"
        );
    });
}
