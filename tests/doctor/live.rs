//! Servers that run, in network namespaces of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value as Json;

use crate::common::stock::{Stock, StockServer};
use crate::common::{self, eventually, in_mount_namespace, in_network_namespace, shell};
use crate::machine::{Machine, findings};

/// What may be wrong with the machine of the test is not of interest here.
const OF_MACHINE: [&str; 5] = ["command", "unit", "denied", "tool", "lint"];

fn doctor(stock: &Stock) -> Json {
    let mut command = common::ours("doctor");
    let output = command
        .arg("-c")
        .arg(stock.path("etc"))
        .arg("--json")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{output:?}"))
}

/// Kind and message of what is wrong with the server.
fn wrong(stock: &Stock) -> Vec<(String, String)> {
    let found = findings(&doctor(stock)).into_iter();
    let found = found.map(|(_, kind, message)| (kind, message));
    found
        .filter(|(kind, _)| !OF_MACHINE.contains(&kind.as_str()))
        .collect()
}

fn has(found: &[(String, String)], kind: &str, part: &str) -> bool {
    found
        .iter()
        .any(|(known, message)| known == kind && message.contains(part))
}

/// An action whose rule nothing checks.
const OWN_CHAIN: &str = "[Definition]\nactionstart = iptables -N f2b-own && iptables -I INPUT -j f2b-own\n\
                         actionstop = iptables -D INPUT -j f2b-own; iptables -F f2b-own; iptables -X f2b-own\n\
                         actionban = iptables -I f2b-own 1 -s <ip> -j DROP\n\
                         actionunban = iptables -D f2b-own -s <ip> -j DROP\n";
/// A set that a rule asks, likewise.
const OWN_SET: &str = "[Definition]\nactionstart = nft add table inet own\n \
                       nft add set inet own bad \\{ type ipv4_addr\\; \\}\n \
                       nft add chain inet own in \\{ type filter hook input priority 0\\; \\}\n \
                       nft add rule inet own in ip saddr @bad drop\n\
                       actionstop = nft delete table inet own\n\
                       actionban = nft add element inet own bad \\{ <ip> \\}\n\
                       actionunban = nft delete element inet own bad \\{ <ip> \\}\n";

#[test]
fn bans_that_the_firewall_lacks_are_found() {
    in_network_namespace("live::bans_that_the_firewall_lacks_are_found", || {
        let server = StockServer::start(
            &[
                ("ipt", "iptables-multiport[name=ipt, port=ssh]"),
                ("set", "iptables-ipset[name=set, port=ssh]"),
                ("nft", "nftables[name=nft, port=ssh]"),
                ("own", "own-chain"),
                ("asked", "own-set"),
            ],
            &[
                ("action.d/own-chain.conf", OWN_CHAIN),
                ("action.d/own-set.conf", OWN_SET),
            ],
        );
        for jail in ["ipt", "set", "nft", "own", "asked"] {
            server.client(&["set", jail, "banip", "192.0.2.7", "192.0.2.8"]);
        }
        let banned = || {
            let ipt = shell("iptables -S f2b-ipt; iptables -S f2b-own");
            let sets = shell("ipset save; nft list table inet own; nft list table inet f2b-table");
            ipt.matches("192.0.2.").count() == 4 && sets.matches("192.0.2.").count() == 6
        };
        assert!(eventually(60, banned), "{}", server.log());
        let json = doctor(&server);
        assert_eq!(wrong(&server), [], "{json:#}");
        let sound = json["in_order"].to_string();
        assert!(
            sound.contains("the firewall has the bans of the server"),
            "{sound}"
        );
        assert!(
            sound.contains("the server has the jails of the configuration"),
            "{sound}"
        );

        // of a set of ipset nobody tells the server
        shell("ipset del f2b-set 192.0.2.8");
        let found = wrong(&server);
        assert!(
            has(&found, "ban-missing", "1 of 2 bans of the jail set"),
            "{found:#?}"
        );
        assert_eq!(found.len(), 1, "{found:#?}");

        // and these two rules nothing checks
        shell("iptables -D INPUT -j f2b-own");
        shell("nft flush chain inet own in");
        let found = wrong(&server);
        for place in [
            "the chain f2b-own of the jail own",
            "no rule leads to the set bad of",
        ] {
            assert!(has(&found, "no-packet", place), "{found:#?}");
        }
    });
}

#[test]
fn ports_of_docker_that_bans_do_not_reach_are_found() {
    let test = "live::ports_of_docker_that_bans_do_not_reach_are_found";
    in_network_namespace(test, || {
        let server = StockServer::start(
            &[
                (
                    "web",
                    "iptables-multiport[name=web, port=8080]\nport = http,8080",
                ),
                ("set", "nftables[name=set, port=8080]\nport = 8080"),
                (
                    "hooked",
                    "iptables-multiport[name=hooked, port=8080, chain=FORWARD]\nport = 8080",
                ),
                ("ssh", "iptables-multiport[name=ssh, port=22]\nport = ssh"),
            ],
            &[],
        );
        for jail in ["web", "set", "hooked", "ssh"] {
            server.client(&["set", jail, "banip", "192.0.2.7"]);
        }
        let banned = || {
            let rules = shell("iptables-save; nft list table inet f2b-table");
            rules.matches("192.0.2.7").count() == 4
        };
        assert!(eventually(60, banned), "{}", server.log());
        assert_eq!(wrong(&server), []);
        shell(
            "iptables -t nat -N DOCKER && iptables -t nat -A DOCKER ! -i docker0 -p tcp --dport 8080 \
             -j DNAT --to-destination 172.17.0.2:80",
        );
        let found = wrong(&server);
        for part in ["where the jail web bans", "where the jail set bans"] {
            assert!(has(&found, "no-packet", part), "{found:#?}");
        }
        assert_eq!(found.len(), 2, "{found:#?}");
    });
}

#[test]
fn a_server_that_differs_from_its_files_is_found() {
    let stock = Stock::new(&[("one", ""), ("two", "")], "ROOT/db.sqlite3");
    let mut process = common::serve(common::ours("fail2ban-server"), &stock.path("etc"));
    stock.wait_for_jail("two");
    assert_eq!(wrong(&stock), []);

    let jails = fs::read_to_string(stock.path("etc/jail.local")).unwrap();
    let jails = jails.replace("[two]\nenabled = true", "[three]\nenabled = true");
    stock.write(
        "etc/jail.local",
        &jails.replace("bantime = 1h", "bantime = 2h"),
    );
    let found = wrong(&stock);
    assert!(has(&found, "differs", "three is enabled"), "{found:#?}");
    assert!(
        has(&found, "differs", "the jail two, which is not enabled"),
        "{found:#?}"
    );
    assert!(has(&found, "differs", "one has bantime 3600"), "{found:#?}");
    assert_eq!(found.len(), 3, "{found:#?}");
    stock.client(&["reload"]);
    assert_eq!(wrong(&stock), []);

    // its log goes elsewhere
    fs::rename(stock.path("f2b.log"), stock.path("f2b.log.1")).unwrap();
    let found = wrong(&stock);
    assert!(has(&found, "own-log", "f2b.log.1"), "{found:#?}");
    stock.client(&["flushlogs"]);
    assert_eq!(wrong(&stock), []);

    // everybody may command it
    let socket = stock.path("f2b.sock");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(has(&wrong(&stock), "socket", "everybody"));
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o700)).unwrap();

    // nobody reaches it
    let aside = stock.path("aside");
    fs::rename(&socket, &aside).unwrap();
    assert!(has(&wrong(&stock), "socket", "is gone"));
    fs::rename(&aside, &socket).unwrap();
    assert_eq!(wrong(&stock), []);

    stock.client(&["stop"]);
    process.wait().unwrap();
    assert!(has(&wrong(&stock), "not-running", "no server"));
}

#[test]
fn without_root_it_says_what_it_could_not_look_at() {
    let stock = Stock::new(&[("one", "")], "None");
    let mut process = common::serve(common::ours("fail2ban-server"), &stock.path("etc"));
    stock.wait_for_jail("one");
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(stock.path(""), open).unwrap();
    // where everybody may run it
    let program = stock.path("ferroban");
    fs::copy(env!("CARGO_BIN_EXE_ferroban"), &program).unwrap();
    let output = common::pinned(Command::new("setpriv"))
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .args(["doctor", "--json", "-c"])
        .arg(stock.path("etc"))
        .output()
        .unwrap();
    let json: Json = serde_json::from_slice(&output.stdout).unwrap();
    let found = findings(&json).into_iter();
    let found: Vec<_> = found
        .filter(|(_, kind, _)| !OF_MACHINE.contains(&kind.as_str()))
        .collect();
    assert_eq!(found, []);
    let unseen = json["not_looked_at"].to_string();
    for part in ["only root may ask it", "only root may see"] {
        assert!(unseen.contains(part), "{unseen}");
    }
    let _ = process.kill();
    let _ = process.wait();
}

#[test]
fn a_second_server_and_an_old_program_are_found() {
    let stock = Stock::new(&[("one", "")], "None");
    let copy = stock.path("ferroban");
    fs::copy(env!("CARGO_BIN_EXE_ferroban"), &copy).unwrap();
    let mut old = common::pinned(Command::new(&copy));
    old.arg("server");
    let mut old = common::serve(old, &stock.path("etc"));
    stock.wait_for_jail("one");
    assert_eq!(wrong(&stock), []);
    fs::remove_file(&copy).unwrap();
    let found = wrong(&stock);
    assert!(
        has(&found, "old-program", "replaced or removed"),
        "{found:#?}"
    );

    let mut other = common::ours("fail2ban-server");
    other.arg("-s").arg(stock.path("other.sock"));
    other.arg("-p").arg(stock.path("other.pid"));
    let mut other = common::serve(other, &stock.path("etc"));
    let found = || has(&wrong(&stock), "two-servers", "2 servers");
    assert!(eventually(60, found), "{:#?}", wrong(&stock));
    for process in [&mut other, &mut old] {
        let _ = process.kill();
        let _ = process.wait();
    }
}

#[test]
fn a_full_disk_is_found() {
    in_mount_namespace("live::a_full_disk_is_found", || {
        let machine = Machine::healthy();
        let place = machine.path("/var/lib/fail2ban");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=20M", "none"])
            .arg(&place)
            .status();
        assert!(mounted.unwrap().success());
        machine.file("/var/lib/fail2ban/fail2ban.sqlite3", "SQLite format 3\0");
        let kinds = || {
            let found = findings(&machine.doctor().1).into_iter();
            found
                .map(|(severity, kind, _)| format!("{severity} {kind}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(), Vec::<String>::new());
        fs::write(place.join("filler"), vec![0; 8 << 20]).unwrap();
        assert_eq!(kinds(), ["warning disk"]);
        let _ = fs::write(place.join("more"), vec![0; 20 << 20]);
        assert_eq!(kinds(), ["error disk"]);
        fs::remove_file(place.join("more")).unwrap();
        fs::remove_file(place.join("filler")).unwrap();
        let status = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(&place)
            .status();
        assert!(status.unwrap().success());
        assert_eq!(kinds(), ["error database"]);
        let freed = Command::new("umount").arg(&place).status();
        assert!(freed.unwrap().success());
    });
}
