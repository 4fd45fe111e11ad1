//! Shipped actions that fail2ban has no like of: bans on one interface, a limited rate of
//! connections instead of none, connections that are cut. Real connections over loopback show what
//! the rules do, each test in a network namespace of its own.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use common::stock::StockServer;
use scenario::{ban, by_ours, shipped_actions, ticket};
use serde_json::{Value as Json, json};

/// Steps of a jail with this action, and its start.
fn jail(action: &str) -> Vec<Json> {
    let text = format!(
        "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {action}\n"
    );
    let mut steps = shipped_actions(&text);
    steps.push(json!({"do": "start"}));
    steps
}

/// Tries connections from each of these addresses; prints `ADDRESS SUCCESSES`.
fn connects(port: u16, count: usize, sources: &[&str]) -> String {
    format!(
        "/usr/bin/python3 -c '\nimport socket, sys\nfor source in sys.argv[3:]:\n  good = 0\n  \
         for _ in range(int(sys.argv[2])):\n    try:\n      socket.create_connection((\"127.0.0.1\", int(sys.argv[1])), 2, (source, 0)).close()\n      good += 1\n    \
         except OSError: pass\n  print(source, good)' {port} {count} {}",
        sources.join(" ")
    )
}

/// Listens in this namespace until the test ends.
fn listen(port: u16) -> TcpListener {
    TcpListener::bind(("127.0.0.1", port)).unwrap()
}

fn last(steps: &[Json]) -> String {
    let traces = by_ours(steps, 30);
    let log: String = traces.iter().flat_map(|trace| trace.log.clone()).collect();
    assert!(!log.contains("ERROR"), "{log}");
    traces.last().unwrap().observed.clone()
}

#[test]
fn a_ban_holds_on_its_interface_only() {
    common::in_network_namespace("a_ban_holds_on_its_interface_only", || {
        let _server = listen(2222);
        for (interface, connections) in [("lo", 0), ("eth9", 3)] {
            let mut steps = jail(&format!(
                "iptables-multiport[name=j, port=2222, interface={interface}]"
            ));
            let mut step = ban("127.0.0.2");
            step["observe"] = connects(2222, 3, &["127.0.0.2", "127.0.0.3"]).into();
            steps.push(step);
            steps.push(
                json!({"do": "stop", "tickets": [], "observe": "iptables-save | grep -c f2b"}),
            );
            let traces = by_ours(&steps, 30);
            let [.., banned, stopped] = traces.as_slice() else {
                panic!();
            };
            assert_eq!(
                banned.observed,
                format!("127.0.0.2 {connections}\n127.0.0.3 3\n")
            );
            assert_eq!(stopped.observed, "0\n");
        }
    });
}

#[test]
fn an_address_keeps_a_rate_of_connections() {
    common::in_network_namespace("an_address_keeps_a_rate_of_connections", || {
        let _server = listen(2222);
        for name in ["iptables-ratelimit", "nftables-ratelimit"] {
            let action = format!("{name}[name=j, port=\"2221:2222,2225\", rate=1/hour, burst=4]");
            let mut steps = jail(&action);
            let mut step = ban("127.0.0.2");
            step["observe"] = connects(2222, 8, &["127.0.0.2", "127.0.0.3"]).into();
            steps.push(step);
            steps.push(
                json!({"do": "unban", "id": "127.0.0.2", "ticket": ticket("127.0.0.2"),
                              "observe": connects(2222, 8, &["127.0.0.2"])}),
            );
            steps.push(json!({"do": "stop", "tickets": [],
                              "observe": "nft list ruleset | grep -cE 'f2b-j|rate-j|rate6-j'"}));
            let traces = by_ours(&steps, 30);
            let [.., banned, lifted, stopped] = traces.as_slice() else {
                panic!();
            };
            // one more where the bucket counts from zero
            let few = |good: &str| {
                ["127.0.0.2 4\n127.0.0.3 8\n", "127.0.0.2 5\n127.0.0.3 8\n"].contains(&good)
            };
            assert!(few(&banned.observed), "{name}: {traces:?}");
            assert_eq!(lifted.observed, "127.0.0.2 8\n", "{name}");
            assert_eq!(stopped.observed, "0\n", "{name}");
        }
    });
}

#[test]
fn a_service_is_limited_for_everybody() {
    common::in_network_namespace("a_service_is_limited_for_everybody", || {
        let (_smtp, _imap) = (listen(25), listen(143));
        let mut steps = jail("iptables-ratelimit-service[name=j, rate=1/hour, burst=4]");
        let mut step = ban("smtp");
        step["observe"] = format!(
            "{}; {}",
            connects(25, 4, &["127.0.0.2", "127.0.0.3"]),
            connects(143, 8, &["127.0.0.2"])
        )
        .into();
        steps.push(step);
        assert_eq!(last(&steps), "127.0.0.2 4\n127.0.0.3 0\n127.0.0.2 8\n");
    });
}

#[test]
fn connections_of_a_banned_address_are_cut() {
    common::in_network_namespace("connections_of_a_banned_address_are_cut", || {
        let server = listen(2222);
        // the kernel follows connections only when a rule asks for them
        let mut steps = jail("conntrack-cut[name=j]");
        steps.last_mut().unwrap()["observe"] =
            "iptables -A INPUT -m conntrack --ctstate NEW -j ACCEPT".into();
        let held = "conntrack -L -s 127.0.0.2 2>/dev/null | grep -c ESTABLISHED";
        let mut first = ban("192.0.2.1");
        first["before"] = "/usr/bin/python3 -c 'import socket, time; s = socket.create_connection((\"127.0.0.1\", 2222), 2, (\"127.0.0.2\", 0)); time.sleep(20)' >/dev/null 2>&1 & sleep 1".into();
        first["observe"] = held.into();
        let mut second = ban("127.0.0.2");
        second["observe"] = held.into();
        steps.extend([first, second]);
        let traces = by_ours(&steps, 30);
        let [.., first, second] = traces.as_slice() else {
            panic!();
        };
        assert_eq!(
            (first.observed.as_str(), second.observed.as_str()),
            ("1\n", "0\n"),
            "{traces:?}"
        );
        drop(server);
    });
}

/// A program that ends with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A machine with a container behind it: the namespace of this process forwards its port 8080 to
/// port 80 of `s`; `c` is a client with the addresses 10.0.1.2 and 10.0.1.3.
const MACHINE: &str = "\
    mount -t tmpfs none /run
    for name in c s; do
        ip netns add $name
        ip link add $name type veth peer name eth0 netns $name
        ip link set $name up
        ip -n $name link set lo up
        ip -n $name link set eth0 up
    done
    ip address add 10.0.1.1/24 dev c
    ip address add 10.0.2.1/24 dev s
    ip -n c address add 10.0.1.2/24 dev eth0
    ip -n c address add 10.0.1.3/24 dev eth0
    ip -n s address add 10.0.2.2/24 dev eth0
    ip -n c route add default via 10.0.1.1
    ip -n s route add default via 10.0.2.1
    echo 1 > /proc/sys/net/ipv4/ip_forward
    iptables -t nat -A PREROUTING -d 10.0.1.1 -p tcp --dport 8080 -j DNAT --to-destination 10.0.2.2:80
    iptables -N DOCKER-USER
    iptables -A FORWARD -j DOCKER-USER";

#[test]
fn published_ports_of_containers_are_closed() {
    let test = "published_ports_of_containers_are_closed";
    common::in_network_and_mount_namespace(test, || {
        let run = |script: &str| Command::new("/bin/sh").args(["-ec", script]).status();
        assert!(run(MACHINE).unwrap().success());
        let serve = |namespace: &str, port: &str| {
            let script = "import socket, sys\nserver = socket.create_server((\"\", int(sys.argv[1])))\n\
                          while True: server.accept()[0].close()";
            let child = Command::new("ip")
                .args([
                    "netns",
                    "exec",
                    namespace,
                    "/usr/bin/python3",
                    "-c",
                    script,
                    port,
                ])
                .stdout(Stdio::null())
                .spawn();
            Ended(child.unwrap())
        };
        let _servers = [serve("s", "80"), serve("c", "8080")];
        // from, to and whether it answers
        let reach = |namespace: &str, source: &str, target: &str, port: u16| {
            format!(
                "ip netns exec {namespace} /usr/bin/python3 -c 'import socket\ntry:\n  \
                 socket.create_connection((\"{target}\", {port}), 1.5, (\"{source}\", 0)).close()\n  \
                 print(\"{source} reaches {target}\")\nexcept OSError: print(\"{source} fails\")'"
            )
        };
        let banned = reach("c", "10.0.1.2", "10.0.1.1", 8080);
        let out = reach("s", "10.0.2.2", "10.0.1.2", 8080);
        for probe in [&banned, &out] {
            let answers = || {
                let output = Command::new("/bin/sh")
                    .args(["-c", probe])
                    .output()
                    .unwrap();
                String::from_utf8_lossy(&output.stdout).contains("reaches")
            };
            assert!(common::eventually(20, answers), "{probe}");
        }
        let probes = format!(
            "{banned}; {}; {out}",
            reach("c", "10.0.1.3", "10.0.1.1", 8080)
        );
        for action in [
            "docker-user",
            "docker-user-nftables",
            "iptables-raw",
            "nftables-raw",
        ] {
            let mut steps = jail(&format!(
                "{action}[name=j, port=\"443,8000:8080\", protocol=\"tcp\"]"
            ));
            steps.push(ban("2001:db8::1"));
            let mut step = ban("10.0.1.2");
            step["observe"] = probes.as_str().into();
            steps.push(step);
            let tickets = ["2001:db8::1", "10.0.1.2"].map(ticket);
            let left =
                "{ iptables-save; ip6tables-save; nft list ruleset; } 2>/dev/null | grep f2b";
            steps.push(
                json!({"do": "stop", "tickets": tickets, "observe": format!("{banned}; {left}")}),
            );
            let traces = by_ours(&steps, 30);
            let log: String = traces.iter().flat_map(|trace| trace.log.clone()).collect();
            assert_eq!(log, "", "{action}");
            let [.., banned, stopped] = traces.as_slice() else {
                panic!();
            };
            let expected = "10.0.1.2 fails\n10.0.1.3 reaches 10.0.1.1\n10.0.2.2 reaches 10.0.1.2\n";
            assert_eq!(banned.observed, expected, "{action}");
            assert_eq!(stopped.observed, "10.0.1.2 reaches 10.0.1.1\n", "{action}");
        }
    });
}

/// A server over the shipped actions with one jail `j`, whose failures are lines `TIME x from ID`.
struct Server {
    directory: tempfile::TempDir,
    child: Child,
}

impl Server {
    /// With these further options.
    fn new(options: &str) -> Server {
        let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("action.d");
        Server::over(&shipped, options)
    }

    /// Over these actions.
    fn over(actions: &std::path::Path, options: &str) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let here = directory.path().display();
        std::fs::create_dir(path("filter.d")).unwrap();
        let filter = "[Definition]\nfailregex = ^ x from <ADDR>$\n";
        std::fs::write(path("filter.d/simple.conf"), filter).unwrap();
        std::os::unix::fs::symlink(actions, path("action.d")).unwrap();
        let settings = format!(
            "[Definition]\nlogtarget = {here}/log\nsocket = {here}/socket\npidfile = {here}/pid\ndbfile = None\n"
        );
        std::fs::write(path("fail2ban.conf"), settings).unwrap();
        let jail = format!(
            "[j]\nenabled = true\nbackend = polling\nfilter = simple\nlogpath = {here}/j.log\n{options}\n"
        );
        std::fs::write(path("jail.conf"), jail).unwrap();
        std::fs::write(path("j.log"), "").unwrap();
        let child = common::ours("fail2ban-server")
            .args(["-c", &here.to_string(), "-f", "start"])
            .spawn()
            .unwrap();
        let server = Server { directory, child };
        assert!(common::eventually(60, || server
            .client(&["ping"])
            .contains("pong")));
        server
    }

    fn client(&self, words: &[&str]) -> String {
        let mut client = common::ours("fail2ban-client");
        let client = client.arg("-c").arg(self.directory.path()).args(words);
        String::from_utf8(client.output().unwrap().stdout).unwrap()
    }

    /// Each of these fails now.
    fn failures(&self, ids: &[&str]) {
        let now = output("date", &["+%F %T"]);
        let lines: String = ids
            .iter()
            .map(|id| format!("{} x from {id}\n", now.trim()))
            .collect();
        let mut log = std::fs::OpenOptions::new()
            .append(true)
            .open(self.directory.path().join("j.log"))
            .unwrap();
        log.write_all(lines.as_bytes()).unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.client(&["stop"]);
        let _ = self.child.wait();
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_network_is_banned_for_its_addresses() {
    common::in_network_namespace("a_network_is_banned_for_its_addresses", || {
        let server = Server::new(
            "maxretry = 3\nignoreip = 192.0.2.200\nbanprefix4 = 24\nbanprefix6 = 64\naction = iptables-allports[name=j]",
        );
        server.failures(&[
            "2001:db8::1",
            "2001:db8::a:1",
            "2001:db8::2",
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "198.51.100.1",
            "198.51.100.9",
            "198.51.100.2",
        ]);
        let rules = || output("ip6tables-save", &[]) + &output("iptables-save", &[]);
        let banned = common::eventually(60, || {
            let rules = rules();
            rules.contains("-A f2b-j -s 2001:db8::/64 -j")
                && rules.contains("-A f2b-j -s 198.51.100.0/24 -j")
        });
        let (rules, log) = (rules(), server.log());
        assert!(banned, "{rules}\n{log}");
        assert!(
            !rules.contains("192.0.2."),
            "an address there is ignored: {rules}"
        );
        assert!(
            log.contains("[j] Found 2001:db8::a:1 - ") && log.contains("[j] Ban 2001:db8::/64"),
            "{log}"
        );
        assert_eq!(server.client(&["get", "j", "banprefix6"]), "64\n");

        // set while the jail runs
        assert_eq!(server.client(&["set", "j", "banprefix4", "28"]), "28\n");
        assert_eq!(server.client(&["get", "j", "banprefix4"]), "28\n");
        server.failures(&["203.0.113.33", "203.0.113.46", "203.0.113.40"]);
        server.failures(&["203.0.113.50"; 2]);
        let banned = || output("iptables-save", &[]).contains("-s 203.0.113.32/28 -j");
        assert!(common::eventually(60, banned), "{}", server.log());
        assert!(!output("iptables-save", &[]).contains("203.0.113.48"));
        assert_eq!(server.client(&["set", "j", "banprefix4", "32"]), "None\n");
        server.failures(&["203.0.113.50"; 3]);
        let banned = || output("iptables-save", &[]).contains("-s 203.0.113.50/32 -j");
        assert!(common::eventually(60, banned), "{}", server.log());
    });
}

/// The set of nftables of Debian 12 holds single addresses.
#[test]
fn a_set_without_ranges_gets_addresses_in_the_place_of_networks() {
    let test = "a_set_without_ranges_gets_addresses_in_the_place_of_networks";
    common::in_network_namespace(test, || {
        let actions = common::reference("1.0.2").join("etc/fail2ban/action.d");
        let server = Server::over(
            &actions,
            "maxretry = 2\nignoreself = false\nbanprefix4 = 24\nbanprefix6 = 64\nunbanwhenquiet = true\naction = nftables-allports[name=j]",
        );
        server.failures(&[
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.1",
            "2001:db8::1",
            "2001:db8::1",
        ]);
        let sets = || output("nft", &["list", "ruleset"]);
        let banned = common::eventually(60, || {
            sets().contains("elements = { 192.0.2.1 }") && sets().contains("{ 2001:db8::1 }")
        });
        let log = server.log();
        assert!(banned, "{}\n{log}", sets());
        let why = |option: &str, set: &str| {
            format!(
                "WARNING Jail 'j': {option} has no effect, addresses are banned one by one: the action \
                 nftables-allports bans no such networks, its set {set} is made without `flags interval`"
            )
        };
        for text in [
            why("banprefix4 = 24", "addr-set-j"),
            why("banprefix6 = 64", "addr6-set-j"),
            "WARNING Jail 'j': unbanwhenquiet = True has no effect, bans end at their time: no action \
             of the jail has the command actionquiet"
                .to_owned(),
        ] {
            assert_eq!(log.matches(&text).count(), 1, "{text}\n{log}");
        }
        for (option, value) in [("banprefix4", "24"), ("unbanwhenquiet", "true")] {
            let before = server.client(&["get", "j", option]);
            let said = server.client(&["set", "j", option, value]);
            let refused = format!("{option} = {value} has no effect");
            assert!(said.contains(&refused), "{said}");
            assert_eq!(server.client(&["get", "j", option]), before);
        }
        assert_eq!(server.client(&["get", "j", "banprefix4"]), "None\n");
        // the test of the configuration says it, with the line
        let mut test = common::ours("fail2ban-client");
        let test = test.arg("-c").arg(server.directory.path()).arg("-t");
        let test = test.output().unwrap();
        let said = String::from_utf8_lossy(&test.stdout) + String::from_utf8_lossy(&test.stderr);
        assert!(test.status.success(), "{said}");
        let line = format!("{}/jail.conf:8", server.directory.path().display());
        assert!(
            said.contains("banprefix4 = 24 has no effect") && said.contains(&line),
            "{said}"
        );
    });
}

#[test]
fn arguments_that_nothing_reads_are_told() {
    common::in_network_namespace("arguments_that_nothing_reads_are_told", || {
        let actions = common::reference("1.0.2").join("etc/fail2ban/action.d");
        let server = Server::over(
            &actions,
            "action = iptables-multiport[name=j, port=\"1,2\", protocol=tcp, chain=INPUT, blocktype=DROP, interface=eth1]\n  hostsdeny[port=1, protocol=tcp, chain=x]",
        );
        let mut test = common::ours("fail2ban-client");
        let test = test.arg("-c").arg(server.directory.path()).arg("-t");
        let test = test.output().unwrap();
        let said = String::from_utf8_lossy(&test.stdout) + String::from_utf8_lossy(&test.stderr);
        assert!(test.status.success(), "{said}");
        let told: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("argument"))
            .collect();
        let [one] = told.as_slice() else {
            panic!("{said}");
        };
        assert!(
            one.contains("Jail 'j': the action 'iptables-multiport' reads no argument 'interface', it has no effect"),
            "{one}"
        );
    });
}

#[test]
fn unbanwhenquiet_ban_ends_when_its_address_is_quiet() {
    common::in_network_namespace("unbanwhenquiet_ban_ends_when_its_address_is_quiet", || {
        let _listening = listen(2222);
        let server = Server::new(
            "maxretry = 1\nignoreself = false\nbantime = 2\nunbanwhenquiet = true\naction = iptables-allports[name=j]",
        );
        server.failures(&["127.0.0.2", "2001:db8::2", "127.0.0.3"]);
        let seen = |text: &str| server.log().contains(text);
        assert!(common::eventually(60, || seen("[j] Ban 127.0.0.3")));
        // one goes on trying, the others are quiet
        let knock = connects(2222, 1, &["127.0.0.2"]);
        let went_on = common::eventually(60, || {
            output("sh", &["-c", &knock]);
            seen("[j] 127.0.0.2 keeps trying, its ban goes on")
        });
        assert!(went_on, "{}", server.log());
        let lifted = common::eventually(60, || {
            seen("[j] Unban 127.0.0.3")
                && seen("[j] Unban 2001:db8::2")
                && seen("[j] Unban 127.0.0.2")
        });
        let log = server.log();
        assert!(lifted, "{log}");
        assert!(
            !log.contains("127.0.0.3 keeps") && !log.contains("ERROR"),
            "{log}"
        );
        assert!(!output("iptables-save", &[]).contains("-s 127.0.0."));
    });
}

/// What the kernel holds of two addresses: in the set of ipset, in that of nft, as rules.
fn held() -> [(usize, usize); 3] {
    let sets = [
        output("ipset", &["save"]),
        output("nft", &["list", "table", "inet", "f2b-table"]),
        output("iptables-save", &[]),
    ];
    sets.map(|text| {
        (
            text.matches("192.0.2.1").count(),
            text.matches("192.0.2.2").count(),
        )
    })
}

#[test]
fn an_address_that_two_jails_ban_is_lifted_with_the_last() {
    common::in_network_namespace(
        "an_address_that_two_jails_ban_is_lifted_with_the_last",
        || {
            let actions = "iptables-ipset[name=shared, port=ssh]\n  nftables[name=shared, port=ssh]\n  iptables-multiport[name=shared, port=ssh]";
            let server = StockServer::start(&[("a", actions), ("b", actions), ("c", actions)], &[]);
            let tell = |words: &[&str]| assert!(!server.client(words).is_empty(), "{words:?}");
            let reached = |expected: [(usize, usize); 3]| {
                let reached = common::eventually(60, || held() == expected);
                assert!(
                    reached,
                    "{:?} is not {expected:?}\n{}",
                    held(),
                    server.log()
                );
            };
            tell(&["set", "a", "banip", "192.0.2.1", "192.0.2.2"]);
            tell(&["set", "b", "banip", "192.0.2.1"]);
            // a rule stands once for each
            reached([(1, 1), (1, 1), (2, 1)]);
            tell(&["set", "a", "unbanip", "192.0.2.1"]);
            reached([(1, 1), (1, 1), (1, 1)]);
            tell(&["set", "b", "unbanip", "192.0.2.1"]);
            reached([(0, 1), (0, 1), (0, 1)]);
            // all of a jail at once, whose command would empty the set
            tell(&["set", "b", "banip", "192.0.2.1", "192.0.2.2"]);
            reached([(1, 1), (1, 1), (1, 2)]);
            tell(&["unban", "--all"]);
            reached([(0, 0), (0, 0), (0, 0)]);
            for jail in ["a", "b", "c"] {
                tell(&["set", jail, "banip", "192.0.2.1"]);
            }
            tell(&["set", "a", "banip", "192.0.2.2"]);
            reached([(1, 1), (1, 1), (3, 1)]);
            assert_eq!(server.lines("WARNING"), Vec::<String>::new());
            assert_eq!(server.lines("ERROR"), Vec::<String>::new());
            // a jail that stops takes its rules and sets with it; they come back for the others
            tell(&["stop", "a"]);
            reached([(1, 0), (1, 0), (2, 0)]);
            tell(&["stop", "b"]);
            reached([(1, 0), (1, 0), (1, 0)]);
            // and then it is quiet
            std::thread::sleep(std::time::Duration::from_secs(2));
            let told = server.lines("WARNING").len();
            std::thread::sleep(std::time::Duration::from_secs(2));
            assert_eq!(server.lines("WARNING").len(), told, "{}", server.log());
            let jumps = output("iptables-save", &[]);
            assert!(
                jumps.contains("--match-set f2b-shared src") && jumps.contains("-j f2b-shared"),
                "{jumps}"
            );
        },
    );
}

#[test]
fn routes_go_in_and_out_together() {
    common::in_network_namespace("routes_go_in_and_out_together", || {
        let server = StockServer::start(
            &[
                ("a", "route"),
                ("b", "route"),
                ("c", "route[blocktype=blackhole]"),
            ],
            &[],
        );
        let routes =
            || output("ip", &["-4", "route", "show"]) + &output("ip", &["-6", "route", "show"]);
        let count = |kind: &str| {
            routes()
                .lines()
                .filter(|line| line.starts_with(kind))
                .count()
        };
        // one that is there already is refused, and only that one
        output("ip", &["route", "add", "unreachable", "192.0.2.7"]);
        let ids: Vec<String> = (1..=200)
            .flat_map(|n| {
                [
                    format!("192.0.2.{n}"),
                    format!("2001:db8::{n:x}"),
                    format!("10.{n}.0.0/16"),
                ]
            })
            .collect();
        let all = |jail: &str, verb: &str| {
            let mut words = vec!["set", jail, verb];
            words.extend(ids.iter().map(String::as_str));
            server.client(&words);
        };
        all("a", "banip");
        assert!(
            common::eventually(60, || count("unreachable") == 600),
            "{}",
            routes()
        );
        let failed = || server.lines("Failed to execute ban");
        assert!(common::eventually(60, || !failed().is_empty()));
        assert!(
            failed().iter().all(|line| line.contains("192.0.2.7")),
            "{:?}",
            failed()
        );
        assert_eq!(failed().len(), 1);
        let tried = server.lines("-- exec: ");
        assert!(
            tried
                .iter()
                .all(|line| line.ends_with("unreachable 192.0.2.7")),
            "{tried:?}"
        );
        // the same routes for another jail: they stay until both have lifted them
        server.client(&["set", "b", "banip", "192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        server.client(&["set", "b", "banip", "192.0.2.3"]);
        assert!(common::eventually(60, || server.lines("[b] Ban ").len() == 4));
        all("a", "unbanip");
        let left = common::eventually(60, || count("unreachable") == 4);
        assert!(left, "{}", routes());
        server.client(&[
            "set",
            "b",
            "unbanip",
            "192.0.2.1",
            "2001:db8::1",
            "192.0.2.2",
        ]);
        server.client(&["set", "b", "unbanip", "192.0.2.3"]);
        assert!(
            common::eventually(60, || count("unreachable") == 0),
            "{}",
            routes()
        );
        server.client(&["set", "c", "banip", "192.0.2.1", "192.0.2.2"]);
        assert!(
            common::eventually(60, || count("blackhole") == 2),
            "{}",
            routes()
        );
        server.client(&["unban", "--all"]);
        assert!(
            common::eventually(60, || count("blackhole") == 0),
            "{}",
            routes()
        );
        assert_eq!(failed().len(), 1, "{}", server.log());
    });
}

/// An action of 0.10 that includes the shipped `nftables-common.conf`: its rule turns connections of
/// banned addresses away, and is gone when the jail stops.
#[test]
fn an_old_nftables_action_bans() {
    common::in_network_namespace("an_old_nftables_action_bans", || {
        let _server = listen(2222);
        for action in [
            "nftables-common",
            "nftables-common[chain=input, nftables_table=filter]",
        ] {
            let mut steps = jail(&format!("{action}[port=\"2200:2230,80\"]"));
            let mut step = ban("127.0.0.2");
            step["observe"] = connects(2222, 2, &["127.0.0.2", "127.0.0.3"]).into();
            steps.push(step);
            steps.push(ban("2001:db8::7"));
            let mut unban = json!({"do": "unban", "ticket": ticket("127.0.0.2")});
            unban["observe"] = connects(2222, 1, &["127.0.0.2"]).into();
            steps.push(unban);
            steps.push(
                json!({"do": "stop", "tickets": [], "observe": "nft list ruleset | grep -c f2b-j"}),
            );
            let traces = by_ours(&steps, 30);
            let log: String = traces.iter().flat_map(|trace| trace.log.clone()).collect();
            assert!(!log.contains("ERROR"), "{log}");
            let [.., banned, _, unbanned, stopped] = traces.as_slice() else {
                panic!();
            };
            assert_eq!(banned.observed, "127.0.0.2 0\n127.0.0.3 2\n", "{action}");
            assert_eq!(unbanned.observed, "127.0.0.2 1\n");
            assert_eq!(stopped.observed, "0\n");
        }
    });
}
