//! `ferroban actions`: the way of each command, for stock actions and for one of a user's own.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

#[test]
fn every_command_has_its_way() {
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
    let ask = |jails: &[&str]| {
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
    assert!(
        error.contains("there is no enabled jail 'nosuch'"),
        "{error}"
    );
}
