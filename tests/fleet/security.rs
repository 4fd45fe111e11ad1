//! Passwords, certificates, rights and signatures; and what is never banned by the word of others.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use crate::authority::Authority;
use crate::common::{self, home::Server};
use crate::engine::{Engine, Sentinel, free_port};
use crate::host::{Host, meet};

#[test]
fn passwordfile_holds_the_password_of_the_user() {
    let users = "user default off\nuser mx1 on >pass1 ~* +@all\nuser root on >root ~* &* +@all\n";
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("users.acl");
    fs::write(&list, users).unwrap();
    let list = list.display().to_string();
    let engine = Engine::with(free_port(), &["--aclfile", &list]);
    let secret = directory.path().join("password");
    fs::write(&secret, "wrong\n").unwrap();
    let url = format!("redis://mx1@{}", engine.address);
    let setting = format!("passwordfile = {}", secret.display());
    let host = Host::new("mx1", &url, &setting);
    {
        let _server = host.start();
        host.site.wait_for("The fleet's engine is away");
    }
    fs::write(&secret, "pass1\n").unwrap();
    let _server = host.start();
    host.wait_connected(0);
}

/// An engine by TLS, and its URL; `clients`: whether they must show a certificate.
fn engine_with(authority: &Authority, clients: &str) -> (Engine, String) {
    let path = |name: &str| authority.path(name).display().to_string();
    let port = free_port().port();
    let engine = Engine::with(
        free_port(),
        &[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &path("server.pem"),
            "--tls-key-file",
            &path("server.key"),
            "--tls-ca-cert-file",
            &path("ca.pem"),
            "--tls-auth-clients",
            clients,
        ],
    );
    (engine, format!("rediss://127.0.0.1:{port}"))
}

fn option(name: &str, path: &Path) -> String {
    format!("{name} = {}\n", path.display())
}

#[test]
fn url_by_sentinels_with_tls_finds_a_master_with_tls() {
    let authority = Authority::new();
    let (_engine, url) = engine_with(&authority, "no");
    let (_, master) = url.rsplit_once(':').unwrap();
    let port = free_port().port();
    let file = |name: &str| authority.path(name).display().to_string();
    let options = format!(
        "port 0\ntls-port {port}\ntls-replication yes\ntls-auth-clients no\ntls-cert-file {}\ntls-key-file {}\n\
         tls-ca-cert-file {}\n",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    );
    let _sentinel = Sentinel::new(&options, master.parse().unwrap());
    let url = format!("rediss+sentinel://127.0.0.1:{port}/m");
    let trusting = Host::new("mx1", &url, &option("cafile", &authority.path("ca.pem")));
    let _server = trusting.start();
    trusting.wait_connected(0);
    let other = Authority::new();
    let doubting = Host::new("mx2", &url, &option("cafile", &other.path("ca.pem")));
    let _server = doubting.start();
    doubting.site.wait_for("The fleet's engine is away");
}

#[test]
fn sentinelpasswordfile_is_for_sentinels_that_ask_for_a_password() {
    let engine = Engine::new();
    let port = free_port().port();
    let options = format!("port {port}\nrequirepass opens\n");
    let _sentinel = Sentinel::new(&options, engine.address.port());
    let url = format!("redis+sentinel://127.0.0.1:{port}/m");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "opens\n").unwrap();
    let with = Host::new("mx1", &url, &option("sentinelpasswordfile", &file));
    let without = Host::new("mx2", &url, "");
    let _servers = [with.start(), without.start()];
    with.wait_connected(0);
    without.site.wait_for("NOAUTH");
    // under systemd it is a credential
    let credential = Host::new("mx3", &url, "");
    fs::create_dir(credential.site.path("credentials")).unwrap();
    let name = "credentials/fleet-sentinel-password";
    credential.site.write(name, "opens\n");
    let mut program = common::home::server();
    program.env("CREDENTIALS_DIRECTORY", credential.site.path("credentials"));
    let _server = credential.site.foreground(program);
    credential.wait_connected(1);
}

#[test]
fn cafile_says_whose_certificates_are_believed() {
    let authority = Authority::new();
    let (_engine, url) = engine_with(&authority, "no");
    let trusting = Host::new("mx1", &url, &option("cafile", &authority.path("ca.pem")));
    let _server = trusting.start();
    trusting.wait_connected(0);
    let other = Authority::new();
    let doubting = Host::new("mx2", &url, &option("cafile", &other.path("ca.pem")));
    let _server = doubting.start();
    doubting.site.wait_for("The fleet's engine is away");
    assert!(doubting.status()["connected"].is_null());
}

/// With and without a certificate of its own.
fn certificate_of_client(options: &[(&str, &str)], connects: bool) {
    let authority = Authority::new();
    let (_engine, url) = engine_with(&authority, "yes");
    let options = options
        .iter()
        .map(|(name, file)| option(name, &authority.path(file)));
    let host = Host::new("mx1", &url, &options.collect::<String>());
    let _server = host.start();
    match connects {
        true => host.wait_connected(0),
        false => host.site.wait_for("The fleet's engine is away"),
    }
}

#[test]
fn certfile_proves_who_the_host_is() {
    let files = [
        ("cafile", "ca.pem"),
        ("certfile", "client.pem"),
        ("keyfile", "client.key"),
    ];
    certificate_of_client(&files, true);
    certificate_of_client(&files[..1], false);
}

#[test]
fn keyfile_goes_with_its_certificate() {
    let host = Host::new("mx1", "rediss://127.0.0.1", "keyfile = /x");
    let _server = host.start();
    host.site
        .wait_for("[fleet] certfile: it goes together with keyfile");
}

/// Both hosts sign, one is not known to the other.
#[test]
fn signkey_proves_whose_an_entry_is() {
    let engine = Engine::new();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let maker = Host::new("x", "redis://127.0.0.1", "");
    let key = |name: &str| {
        let file = path(name).display().to_string();
        let (code, line) = maker.fleet(&["keygen", &file, "--host", name]);
        assert_eq!(code, 0, "{line}");
        line
    };
    let (one, two, three) = (key("mx1"), key("mx2"), key("mx3"));
    assert!(one.starts_with("mx1 "), "{one}");
    fs::write(path("trusted"), [one, two].concat()).unwrap();
    let hosts = ["mx1", "mx2", "mx3"].map(|name| {
        let options = [
            option("signkey", &path(name)),
            option("trustedkeys", &path("trusted")),
        ];
        Host::new(name, &engine.url(), &options.concat())
    });
    let _ = three;
    let _servers: Vec<_> = hosts.iter().map(Host::start).collect();
    for host in &hosts {
        host.wait_connected(2);
    }
    hosts[2].ask("set sshd banip 198.51.100.3");
    hosts[0].ask("set sshd banip 198.51.100.1");
    hosts[1].wait_banned("sshd", "198.51.100.1", true);
    let refused = || hosts[1].of_host("mx3", "refused") == 1;
    assert!(common::eventually(60, refused), "{}", hosts[1].status());
    assert!(!hosts[1].bans("sshd", "198.51.100.3"));
}

/// A broken engine makes an entry of its own, and repeats one that was true.
#[test]
fn trustedkeys_believe_neither_forged_nor_repeated_entries() {
    let engine = Engine::new();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let one = Host::new("mx1", &engine.url(), &option("signkey", &path("key")));
    let (_, line) = one.fleet(&["keygen", &path("key").display().to_string()]);
    fs::write(path("trusted"), line).unwrap();
    let two = Host::new(
        "mx2",
        &engine.url(),
        &option("trustedkeys", &path("trusted")),
    );
    let (_one, _two) = (one.start(), two.start());
    one.wait_connected(1);
    two.wait_connected(1);
    one.ask("set sshd banip 198.51.100.1");
    two.wait_banned("sshd", "198.51.100.1", true);
    one.ask("set sshd unbanip 198.51.100.1");
    two.wait_banned("sshd", "198.51.100.1", false);
    type Entries = Vec<(String, Vec<String>)>;
    let entries: Entries = engine.ask(&["XRANGE", "f2b:fleet:mx1:log", "-", "+"]);
    let mut again = vec!["XADD", "f2b:fleet:mx1:log", "*"];
    again.extend(entries[0].1.iter().map(String::as_str));
    let _: String = engine.ask(&again);
    let forged: Vec<String> = again
        .iter()
        .map(|word| word.replace("198.51.100.1", "198.51.100.2"))
        .collect();
    let forged: Vec<&str> = forged.iter().map(String::as_str).collect();
    let _: String = engine.ask(&forged);
    let _: i64 = engine.ask(&["ZADD", "f2b:fleet:mx1:live", "9e12", "sshd|198.51.100.4"]);
    let refused = || two.of_host("mx1", "refused") == 2;
    assert!(common::eventually(60, refused), "{}", two.status());
    for address in ["198.51.100.1", "198.51.100.2", "198.51.100.4"] {
        assert!(!two.bans("sshd", address), "{address}");
    }
    // a fresh start reads what is signed, and that alone
    drop(_two);
    one.ask("set sshd banip 198.51.100.5");
    let _two = two.start();
    two.wait_banned("sshd", "198.51.100.5", true);
    for address in ["198.51.100.1", "198.51.100.2", "198.51.100.4"] {
        assert!(!two.bans("sshd", address), "{address}");
    }
}

/// The lines that `init` prints are rights at a real engine: a host writes its own stream and reads those of
/// others.
#[test]
fn init_rights_suffice_and_are_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("users.acl");
    let plain = Host::new("x", "redis://127.0.0.1", "");
    let mut users = "user default off\nuser root on >root ~* &* +@all\n".to_owned();
    let mut passwords = Vec::new();
    for name in ["mx1", "mx2"] {
        let (code, text) = plain.fleet(&["init", "--host", name, "--url", "redis://127.0.0.1"]);
        assert_eq!(code, 0, "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let user = lines
            .iter()
            .find(|line| line.starts_with("user mx"))
            .unwrap();
        users.push_str(&format!("{user}\n"));
        let at = lines
            .iter()
            .position(|line| line.contains("root alone"))
            .unwrap();
        passwords.push(lines[at + 1].to_owned());
        if name == "mx2" {
            let admin = lines.iter().find(|line| line.starts_with("user admin"));
            users.push_str(&format!("{}\n", admin.unwrap()));
            let at = lines.iter().position(|line| line.contains("user admin:"));
            let at = at.unwrap_or_else(|| {
                let of_admin = |line: &&str| line.starts_with("# For administrators");
                lines.iter().position(of_admin).unwrap()
            });
            passwords.push(lines[at + 1].to_owned());
        }
    }
    fs::write(&list, users).unwrap();
    let engine = Engine::with(free_port(), &["--aclfile", &list.display().to_string()]);
    let hosts: Vec<Host> = ["mx1", "mx2"]
        .iter()
        .zip(&passwords)
        .map(|(name, password)| {
            let url = format!("redis://{name}:{password}@{}", engine.address);
            Host::new(name, &url, "")
        })
        .collect();
    let _servers: Vec<_> = hosts.iter().map(Host::start).collect();
    hosts[0].wait_connected(1);
    hosts[1].wait_connected(1);
    let url = format!("redis://mx1:{}@{}", passwords[0], engine.address);
    let mut stranger = redis::Client::open(url).unwrap().get_connection().unwrap();
    for words in [
        // one of another kind would end what all others read with it
        "SET f2b:fleet:mx1:log x",
        "SET f2b:fleet:mx1:live x",
        "SET f2b:fleet:hosts x",
        "XADD f2b:fleet:mx1:live * a b",
        "ZADD f2b:fleet:mx1:log 1 a",
        "ZREM f2b:fleet:hosts mx2",
        "XADD f2b:fleet:mx2:log * a b",
        "SET f2b:fleet:mx2:addresses x",
        "HSET f2b:fleet:allow 198.51.100.1 -1",
        "SADD f2b:fleet:forgotten mx2",
        // and so would connections that are cut off or held up
        "CLIENT PAUSE 1 ALL",
        "CLIENT KILL TYPE normal SKIPME yes",
        "CLIENT LIST",
        "KEYS f2b:*",
        "FLUSHALL",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let answer = redis::cmd(words[0])
            .arg(&words[1..])
            .query::<redis::Value>(&mut stranger);
        let refused = answer
            .as_ref()
            .is_err_and(|error| error.code() == Some("NOPERM"));
        assert!(refused, "{words:?}: {answer:?}");
    }
    hosts[0].ask("set sshd banip 198.51.100.1");
    hosts[1].wait_banned("sshd", "198.51.100.1", true);
    let (code, text) = hosts[0].fleet(&["doctor"]);
    assert!(!text.contains("may write"), "{code} {text}");
    // a host is no administrator
    let (code, text) = hosts[1].fleet(&["unban", "198.51.100.1"]);
    assert_eq!(code, 255, "{text}");
    assert!(text.contains("rights of an administrator"), "{text}");
    let admin = format!("redis://admin:{}@{}", passwords[2], engine.address);
    let (code, text) = hosts[1].fleet(&["unban", "198.51.100.1", "--url", &admin]);
    assert_eq!(code, 0, "{text}");
    for host in &hosts {
        host.wait_banned("sshd", "198.51.100.1", false);
    }
    // a place after which there is none
    let last = "18446744073709551615-18446744073709551615";
    redis::cmd("XADD")
        .arg(&["f2b:fleet:mx1:log", last, "v", "1"])
        .exec(&mut stranger)
        .unwrap();
    hosts[1].ask("set sshd banip 198.51.100.7");
    hosts[0].wait_banned("sshd", "198.51.100.7", true);
    let refused = || hosts[1].of_host("mx1", "refused") == 1;
    assert!(common::eventually(60, refused), "{}", hosts[1].status());
    let (code, text) = hosts[0].fleet(&["forget", "mx2", "--url", &admin]);
    assert_eq!(code, 0, "{text}");
}

/// Local rules, this host's addresses, other hosts and what is no address of anybody.
#[test]
fn ignored_and_needed_addresses_are_never_banned_by_others() {
    let engine = Engine::new();
    let one = Host::new("mx1", &engine.url(), "");
    let two = Host::with_jails(
        "mx2",
        &engine.url(),
        "",
        &[(
            "sshd",
            "ignoreip = 198.51.100.1 203.0.113.7\nignorecommand = test <ip> = 198.51.100.2",
        )],
    );
    let (_one, _two) = (one.start(), two.start());
    one.wait_connected(1);
    two.wait_connected(1);
    let _: String = engine.ask(&["SET", "f2b:fleet:mx9:addresses", "198.51.100.3"]);
    let _: i64 = engine.ask(&["ZADD", "f2b:fleet:hosts", "1", "mx9"]);
    two.wait_connected(2);
    let spared = [
        "198.51.100.1",
        "198.51.100.2",
        "198.51.100.3",
        "127.0.0.1",
        "203.0.113.0/24",
        "198.51.0.0/16",
        "224.0.0.1",
        "fe80::1",
    ];
    one.ask(&format!("set sshd banip {} 198.51.100.9", spared.join(" ")));
    two.wait_banned("sshd", "198.51.100.9", true);
    for address in spared {
        assert!(!two.bans("sshd", address), "{address}");
    }
    let log = two.site.read("log");
    assert!(log.contains("[sshd] Ignore 198.51.100.1 by ip"), "{log}");
    assert!(
        log.contains("[sshd] Ignore 198.51.100.2 by command"),
        "{log}"
    );
}

/// The most memory that a server has had, in KiB.
fn peak(server: &Server<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let size = line.unwrap().split_whitespace().nth(1).unwrap();
    size.parse().unwrap()
}

/// Memory that an answer may take, in KiB.
const ANSWER: u64 = 64 << 10;

/// One entry of 100 MB, one of a million values, a ban of 10 MB in the set of those in force, and addresses as long.
#[test]
fn what_no_host_writes_shuts_it_out_and_fills_no_memory_of_others() {
    let engine = Engine::new();
    let (one, two) = (
        Host::new("mx1", &engine.url(), ""),
        Host::new("mx2", &engine.url(), ""),
    );
    let servers = meet(&[&one, &two]);
    one.ask("set sshd banip 198.51.100.1");
    two.wait_banned("sshd", "198.51.100.1", true);
    let before = servers.iter().map(peak).max().unwrap();
    let mut connection = engine.connect();
    let log = |host: &str| {
        let mut add = redis::cmd("XADD");
        add.arg(format!("f2b:fleet:{host}:log")).arg("*");
        add
    };
    let mut long = log("long");
    long.arg("reason").arg(vec![b'x'; 100 << 20]);
    let mut many = log("many");
    for _ in 0..500_000 {
        many.arg("").arg("");
    }
    let mut live = redis::cmd("ZADD");
    live.arg("f2b:fleet:live:live").arg(9e12);
    live.arg([b"sshd|".as_slice(), &[b'x'; 10 << 20]].concat());
    let mut addresses = redis::cmd("SET");
    addresses.arg("f2b:fleet:addresses:addresses");
    addresses.arg(vec![b'1'; 10 << 20]);
    let hosts = [
        ("long", long),
        ("many", many),
        ("live", live),
        ("addresses", addresses),
    ];
    for (host, mischief) in &hosts {
        mischief.exec(&mut connection).unwrap();
        let _: i64 = engine.ask(&["ZADD", "f2b:fleet:hosts", "1", host]);
        for two in [&one, &two] {
            two.site
                .wait_for(&format!("Host {host} of the fleet is shut out"));
        }
    }
    one.ask("set sshd banip 198.51.100.2");
    two.wait_banned("sshd", "198.51.100.2", true);
    two.ask("set sshd unbanip 198.51.100.1");
    let status = two.status();
    for (host, _) in &hosts {
        assert_eq!(two.of_host(host, "muted"), true, "{status}");
        assert_eq!(two.of_host(host, "bans"), 0, "{status}");
        let log = two.site.read("log");
        let said = format!("Host {host} of the fleet is shut out");
        assert_eq!(log.matches(&said).count(), 1, "{log}");
    }
    for server in &servers {
        let more = peak(server) - before;
        assert!(more < ANSWER, "{more} KiB more");
    }
}

/// An engine that was broken into answers with half a gigabyte, or with as many values as there are.
#[test]
fn an_engine_that_never_ends_its_answer_fills_no_memory() {
    for (begin, part) in [
        ("$500000000\r\n", "x".repeat(1 << 16)),
        ("*2000000000\r\n", ":1\r\n".repeat(1 << 14)),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            use std::io::Write as _;
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut sent = stream.write_all(begin.as_bytes());
                while sent.is_ok() {
                    sent = stream.write_all(part.as_bytes());
                }
            }
        });
        let host = Host::new("mx1", &url, "");
        let server = host.start();
        host.site
            .wait_for("the reply of the engine exceeds the size limit");
        host.fail("sshd", "198.51.100.1");
        host.wait_banned("sshd", "198.51.100.1", true);
        let peak = peak(&server);
        assert!(peak < ANSWER, "{peak} KiB");
    }
}

/// To point to bans instead of telling them gets a host past no limit.
#[test]
fn bans_that_are_pointed_to_are_held_against_their_host() {
    let engine = Engine::new();
    let host = Host::new("mx1", &engine.url(), "maxburst = 50");
    let _server = host.start();
    let _: i64 = engine.ask(&["ZADD", "f2b:fleet:hosts", "1", "liar"]);
    host.wait_connected(1);
    let mut add = redis::cmd("ZADD");
    add.arg("f2b:fleet:liar:live");
    for n in 0..200 {
        add.arg(9_000_000_000_000_i64)
            .arg(format!("sshd|198.51.100.{n}"));
    }
    add.exec(&mut engine.connect()).unwrap();
    let renewed = |target: &str| {
        let id = "01J00000000000000000000000";
        let _: String = engine.ask(&[
            "XADD",
            "f2b:fleet:liar:log",
            "*",
            "v",
            "1",
            "kind",
            "renewed",
            "target",
            target,
            "since",
            "1",
            "until",
            "-1",
            "bancount",
            "0",
            "id",
            id,
        ]);
    };
    renewed("mx1");
    renewed("liar");
    host.site.wait_for("Host liar of the fleet is muted");
    let bans = host.of_host("liar", "bans").as_u64().unwrap();
    assert!((40..=50).contains(&bans), "{bans}");
}

/// A broken engine repeats an order that an administrator signed.
#[test]
fn trustedkeys_obey_no_order_twice() {
    let engine = Engine::new();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let host = Host::new(
        "mx1",
        &engine.url(),
        &option("trustedkeys", &path("trusted")),
    );
    let key = path("key").display().to_string();
    let (_, line) = host.fleet(&["keygen", &key, "--host", "admin"]);
    fs::write(path("trusted"), line).unwrap();
    let server = host.start();
    host.wait_connected(0);
    host.ask("set sshd banip 198.51.100.1");
    host.wait_banned("sshd", "198.51.100.1", true);
    let unban = ["unban", "198.51.100.1", "--time", "0", "--signkey", &key];
    let (code, text) = host.fleet(&unban);
    assert_eq!(code, 0, "{text}");
    host.wait_banned("sshd", "198.51.100.1", false);
    type Entries = Vec<(String, Vec<String>)>;
    let entries: Entries = engine.ask(&["XRANGE", "f2b:fleet:admin:log", "-", "+"]);
    let mut again = vec!["XADD", "f2b:fleet:admin:log", "*"];
    again.extend(entries[0].1.iter().map(String::as_str));
    let repeat = || {
        host.ask("set sshd banip 198.51.100.1");
        let _: String = engine.ask(&again);
        // an order that is one comes after it
        host.ask("set sshd banip 198.51.100.2");
        let (code, text) = host.fleet(&["unban", "198.51.100.2", "--time", "0", "--signkey", &key]);
        assert_eq!(code, 0, "{text}");
        host.wait_banned("sshd", "198.51.100.2", false);
        assert!(host.bans("sshd", "198.51.100.1"));
    };
    repeat();
    // the places are in the database
    let saved = || {
        let database = fs::read(host.site.path("db")).unwrap();
        let wal = fs::read(host.site.path("db-wal")).unwrap_or_default();
        [database, wal]
            .concat()
            .windows(8)
            .any(|part| part == b"admin|id")
    };
    assert!(common::eventually(60, saved));
    drop(server);
    let _server = host.start();
    host.wait_connected(0);
    repeat();
}
