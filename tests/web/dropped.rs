//! What the kernel has dropped for bans of each firewall, as metrics, status and page tell it.

use std::net::UdpSocket;

use super::common::{self, home, shell};
use super::*;

/// Jail, its action, and whom it bans here.
const JAILS: [(&str, &str, &str); 5] = [
    (
        "ipt",
        "iptables-allports[protocol=all, blocktype=DROP]",
        "127.0.0.2",
    ),
    (
        "six",
        "iptables-allports[protocol=all, blocktype?family=inet6=DROP]",
        "2001:db8::5",
    ),
    (
        "old",
        "iptables-allports[protocol=all, blocktype=DROP, iptables=\"iptables-legacy -w\"]",
        "127.0.0.3",
    ),
    (
        "set",
        "iptables-ipset[type=allports, protocol=all, blocktype=DROP]",
        "127.0.0.4",
    ),
    (
        "nft",
        "nftables-allports[protocol=all, blocktype=drop]",
        "127.0.0.5",
    ),
];

/// Whether the kernel knows an address.
fn holds(address: &str) -> bool {
    let all = "iptables-save; ip6tables-save; iptables-legacy-save; ipset save; nft list ruleset";
    // as an address of its own, not as the beginning of another
    let text = shell(all).replace(['/', ','], " ");
    text.split_whitespace().any(|word| word == address)
}

/// Sends datagrams from an address to this host.
fn send(from: &str, count: usize) {
    let to = match from.contains(':') {
        true => from,
        false => "127.0.0.1",
    };
    let socket = UdpSocket::bind((from, 0)).unwrap();
    for _ in 0..count {
        socket.send_to(b"x", (to, 9)).unwrap();
    }
}

#[test]
fn packets_that_each_firewall_drops_are_told_also_after_the_ban() {
    let name = "dropped::packets_that_each_firewall_drops_are_told_also_after_the_ban";
    common::in_network_namespace(name, || {
        shell("ip addr add 2001:db8::5/128 dev lo nodad");
        let site = Site::new(&JAILS.map(|(jail, ..)| jail));
        let jail = |(name, action, _): (&str, &str, &str)| {
            home::jail(name) + &format!("action = {action}\nignoreself = false\n\n")
        };
        let none = home::jail("none") + "action = note\n";
        site.jails(&(JAILS.map(jail).concat() + &none));
        site.write("none.log", "");
        let here = site.directory.path().display().to_string();
        site.write("fail2ban.local", &format!("[web]\nlisten = {here}/web\n"));
        let server = site.foreground(home::server());
        let _web = web(&site);
        let change = |what: &str, (jail, _, address): (&str, &str, &str)| {
            assert!(server.ask(&["set", jail, what, address]).unwrap().is_ok());
            let done = || holds(address) == (what == "banip");
            assert!(common::eventually(60, done), "{jail}: {}", site.read("log"));
        };
        JAILS.into_iter().for_each(|jail| change("banip", jail));
        JAILS.into_iter().for_each(|(_, _, from)| send(from, 3));
        let told = |jail: &str, packets: usize, size: usize| {
            let bytes = packets * size;
            let line = format!("ferroban_dropped_packets_total{{jail=\"{jail}\"}} {packets}");
            let page = wait_for(&site, &line);
            let line = format!("ferroban_dropped_bytes_total{{jail=\"{jail}\"}} {bytes}");
            assert!(page.lines().any(|one| one == line), "no {line} in\n{page}");
        };
        // the heads of IP and UDP, and a byte
        let size = |address: &str| if address.contains(':') { 49 } else { 29 };
        for (jail, _, address) in JAILS {
            told(jail, 3, size(address));
        }
        let (_, metrics) = get(&site, "/metrics", "");
        assert!(!metrics.contains("dropped_packets_total{jail=\"none\"}"));

        // what rules have counted that are gone
        let again = [JAILS[0], JAILS[4]];
        again.into_iter().for_each(|jail| change("unbanip", jail));
        again.into_iter().for_each(|jail| change("banip", jail));
        again.into_iter().for_each(|(_, _, from)| send(from, 2));
        told("ipt", 5, 29);
        told("nft", 5, 29);
        let status = server.ask(&["status", "ipt", "full"]).unwrap().unwrap();
        let status = status.repr();
        assert!(
            status.contains("('Dropped packets', 5), ('Dropped bytes', 145)"),
            "{status}"
        );
        let short = server.ask(&["status", "ipt"]).unwrap().unwrap();
        assert!(!short.repr().contains("Dropped"));
        let (_, page) = get(&site, "/jail/ipt", "");
        let said = "Dropped by the firewall: 5 packets, 145 B";
        assert!(page.contains(said), "{page}");
    });
}
