//! `ferroban actions`: the way of each command, for stock actions and for one of a user's own.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What `ferroban actions` says: exit code, output, errors.
type Said = (Option<i32>, String, String);

/// A configuration, and what is said of jails of it.
fn asked() -> (tempfile::TempDir, impl Fn(&[&str]) -> Said) {
    let directory = tempfile::tempdir().unwrap();
    let etc = directory.path().join("etc");
    common::copy_tree(&common::reference("1.1.1").join("etc/fail2ban"), &etc);
    for entry in fs::read_dir(etc.join("jail.d")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::write(
        etc.join("jail.local"),
        "[DEFAULT]\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\n\
         [a]\nenabled = true\naction = iptables-multiport[port=ssh]\n         route\n\
         [b]\nenabled = true\naction = nftables[port=ssh]\n         iptables-ipset[port=ssh]\n         hostsdeny\n         own\n\
         [c]\nenabled = true\naction = sendmail[dest=root]\n",
    )
    .unwrap();
    fs::write(
        etc.join("action.d/own.conf"),
        "[Definition]\nactionban = logger \"<matches>\"\nactionunban = echo <ip>\n",
    )
    .unwrap();
    let ask = move |jails: &[&str]| {
        let output = common::ours("fail2ban-actions")
            .arg("-c")
            .arg(&etc)
            .args(jails)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    (directory, ask)
}

#[test]
fn every_command_has_its_way() {
    let (_guard, ask) = asked();
    let (code, text, _) = ask(&["a", "b"]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = text.lines().collect();
    let at = |action: &str, command: &str| {
        let begin = lines.iter().position(|line| line.contains(action)).unwrap();
        let line = lines[begin + 1..]
            .iter()
            .find(|line| line.trim_start().starts_with(command));
        line.unwrap()
            .trim_start()
            .split_once(' ')
            .unwrap()
            .1
            .trim()
            .to_owned()
    };
    assert_eq!(
        lines[0],
        "a: iptables-multiport (started before the first ban of a family)"
    );
    for (action, command, way) in [
        (
            "a: iptables-multiport",
            "actionstart",
            "/bin/sh: more than one plain command",
        ),
        (
            "a: iptables-multiport",
            "actionflush",
            "program without a shell: one",
        ),
        (
            "a: iptables-multiport",
            "actionban",
            "program without a shell, many in one iptables-restore",
        ),
        (
            "a: route",
            "actionban",
            "program without a shell, many in one ip -batch",
        ),
        (
            "b: nftables",
            "actionban",
            "netlink, many in one transaction",
        ),
        (
            "b: iptables-ipset",
            "actionunban",
            "netlink, many in one transaction",
        ),
        (
            "b: hostsdeny",
            "actionban",
            "/bin/sh: more than one plain command",
        ),
        ("b: own", "actionunban", "/bin/sh: echo is built into it"),
    ] {
        assert!(
            at(action, command).starts_with(way),
            "{action} {command}:\n{text}"
        );
    }
    assert!(!text.contains("c: sendmail"));
    assert!(
        ask(&["c"])
            .1
            .contains("actionban     mail, built and sent without a shell")
    );
    let (code, text, error) = ask(&["nosuch"]);
    assert_eq!((code, text.as_str()), (Some(255), ""));
    assert!(error.contains("there is no jail 'nosuch' in"), "{error}");
}

#[test]
fn disabled_jail_named_is_told() {
    let (_guard, ask) = asked();
    let (code, text, error) = ask(&["sshd"]);
    assert_eq!(code, Some(0), "{error}");
    assert!(
        text.starts_with("sshd: ") && text.contains("  actionban     "),
        "{text}"
    );
    let (_, all, _) = ask(&[]);
    assert!(!all.contains("sshd:"), "{all}");
}

#[test]
fn actions_as_json() {
    let (_guard, ask) = asked();
    let (code, text, _) = ask(&["--json", "b"]);
    assert_eq!(code, Some(0));
    let actions: serde_json::Value = serde_json::from_str(&text).unwrap();
    let own = actions.as_array().unwrap().iter();
    let own = own
        .clone()
        .find(|action| action["action"] == "own")
        .unwrap();
    assert_eq!(own["jail"], "b");
    let commands = own["commands"].as_array().unwrap();
    let unban = commands
        .iter()
        .find(|command| command["command"] == "actionunban");
    let unban = unban.unwrap();
    assert!(unban["way"].as_str().unwrap().starts_with("/bin/sh: "));
    assert_eq!(unban["script"], "echo 192.0.2.1");
    assert_eq!(unban["families"], serde_json::json!([]));
}

#[test]
fn shipped_actions_go_the_ways_of_the_original() {
    let (stock, ask) = asked();
    let directory = tempfile::tempdir().unwrap();
    let jail = "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = iptables\n \
         iptables-multiport\n iptables-allports\n iptables-new\n iptables-multiport-log\n iptables-ipset\n \
         iptables-ipset[actname=timed, ipsettime=\"<timeout-bantime>\"]\n iptables-ipset-proto6\n \
         iptables-ipset-proto6-allports\n iptables-xt_recent-echo\n nftables\n nftables-multiport\n \
         nftables-allports\n route\n shorewall-ipset-proto6\n firewallcmd-new\n firewallcmd-ipset\n pf\n ufw\n";
    fs::write(stock.path().join("etc/jail.local"), jail).unwrap();
    fs::write(directory.path().join("jail.local"), jail).unwrap();
    let output = common::ours("fail2ban-actions")
        .arg("-c")
        .arg(directory.path())
        .output()
        .unwrap();
    let (code, original, _) = ask(&[]);
    assert_eq!(code, Some(0));
    assert_eq!(original.matches("\n  actionban ").count(), 19, "{original}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), original);
}

/// Options of units with their words. An empty value empties a list; words behind `~` are a list of
/// their own. Of what is shipped only `options` count.
fn settings(texts: &[&str], options: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    const LISTS: [&str; 4] = [
        "CapabilityBoundingSet",
        "ReadWritePaths",
        "RestrictAddressFamilies",
        "SystemCallFilter",
    ];
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let lines = texts.iter().flat_map(|text| text.lines());
    for (option, value) in lines.filter_map(|line| line.split_once('=')) {
        if option.starts_with('#') || !options.is_empty() && !options.contains(&option) {
            continue;
        }
        let words = found.entry(option.to_owned()).or_default();
        if value.is_empty() || !LISTS.contains(&option) {
            words.clear();
        }
        words.extend(value.split_whitespace().map(str::to_owned));
    }
    found
}

/// What a shipped unit takes away.
fn shipped(own: &str) -> BTreeMap<String, BTreeSet<String>> {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let common = fs::read_to_string(packaging.join("sandbox.conf")).unwrap();
    let own = fs::read_to_string(packaging.join(own)).unwrap();
    let mut options: Vec<&str> = common
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0))
        .collect();
    options.extend(["CapabilityBoundingSet", "ProtectProc"]);
    settings(&[&own, &common], &options)
}

/// What `--sandbox` prints for these jails over the original's configuration, as text and as settings.
fn drop_in(jails: &str, more: &[&str]) -> (String, BTreeMap<String, BTreeSet<String>>) {
    let (directory, ask) = asked();
    let etc = directory.path().join("etc");
    let root = directory.path().display().to_string();
    fs::write(
        etc.join("jail.local"),
        format!(
            "[DEFAULT]\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\n{}",
            jails.replace("ROOT", &root)
        ),
    )
    .unwrap();
    let (code, text, errors) = ask(&[&["--sandbox"], more].concat());
    assert_eq!(code, Some(0), "{errors}");
    let settings = settings(&[&text], &[]);
    (text, settings)
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_drop_in_for_what_the_default_is_meant_for_is_the_default() {
    let jails = "[a]\nenabled = true\naction = iptables-ipset[port=ssh]\n         nftables[port=ssh]\n\
                 \x20        hostsdeny\n         sendmail[mailcmd='ROOT/sendmail -f \"a\" \"b\"']\n";
    let (text, settings) = drop_in(jails, &[]);
    assert!(!text.contains("not known"), "{text}");
    assert_eq!(settings, shipped("ferroban/ferroban.service"), "{text}");
}

#[test]
fn a_drop_in_leaves_what_is_not_known_the_shipped_lists() {
    let jails = "[a]\nenabled = true\naction = own\n";
    for (unit, file) in [
        ("ferroban", "ferroban/ferroban.service"),
        ("fail2ban", "ferroban-dropin/dropin.conf"),
    ] {
        let jails = format!("{jails}ignorecommand = /usr/local/bin/known <ip>\n");
        let (text, settings) = drop_in(&jails, &["--unit", unit]);
        assert!(
            text.contains("not known what /usr/local/bin/known needs: a/ignorecommand"),
            "{text}"
        );
        assert_eq!(settings, shipped(file), "{text}");
    }
    // what is known is added
    let jails = format!(
        "{jails}         iptables\nignorecommand = /usr/local/bin/known\nbackend = syslog[port=514]\n\
         [b]\nenabled = true\nlogpath = /tmp/*.log\n"
    );
    let (text, settings) = drop_in(&jails, &[]);
    let mut expected = shipped("ferroban/ferroban.service");
    expected
        .get_mut("CapabilityBoundingSet")
        .unwrap()
        .insert("CAP_NET_BIND_SERVICE".to_owned());
    expected.insert("PrivateTmp".to_owned(), words("no"));
    assert_eq!(settings, expected, "{text}");
}

#[test]
fn a_drop_in_leaves_the_firewall_alone_where_nothing_else_is_done() {
    let jails = "[a]\nenabled = true\naction = nftables[port=ssh]\n";
    let (text, settings) = drop_in(jails, &[]);
    let is = |option: &str, value: &str| assert_eq!(settings[option], words(value), "{text}");
    is("CapabilityBoundingSet", "CAP_NET_ADMIN CAP_DAC_READ_SEARCH");
    is("ReadWritePaths", "/run/fail2ban /var/lib/fail2ban /var/log");
    is(
        "RestrictAddressFamilies",
        "AF_UNIX AF_NETLINK AF_INET AF_INET6",
    );
    is(
        "SystemCallFilter",
        "@system-service ~@resources ~@privileged",
    );
    is("NoNewPrivileges", "yes");
    is("ProtectHome", "yes");
    assert!(!settings.contains_key("IPAddressDeny"), "{text}");
    assert!(text.contains("# the firewall: a/nftables\nCapabilityBoundingSet=CAP_NET_ADMIN\n"));
    // each line says what for, but for those that take away what nothing needs
    let (granted, taken) = text.split_once("# nothing here needs").unwrap();
    let granted: Vec<&str> = granted.lines().collect();
    for pair in granted.windows(2) {
        assert!(
            !pair[1].contains('=') || pair[0].starts_with('#'),
            "{pair:?}"
        );
    }
    assert!(taken.contains("\nProtectSystem=strict\n"), "{text}");

    // nobody is asked for names, and a log lies in a home
    let jails = format!("{jails}usedns = no\nignoreself = false\nlogpath = /home/a/log\n");
    let (text, settings) = drop_in(&jails, &[]);
    let is = |option: &str, value: &str| assert_eq!(settings[option], words(value), "{text}");
    is("RestrictAddressFamilies", "AF_UNIX AF_NETLINK");
    is("IPAddressDeny", "any");
    is("ProtectHome", "read-only");
}
