//! What each option of `fail2ban.conf` does, seen from outside. `tests/names.rs` counts on the names.
#![allow(clippy::unwrap_used)]

mod common;

use common::home::{self, Server, Site};

/// Our server with options in place of those that a site has; `HERE` is its directory.
fn with_options(options: &str, check: impl FnOnce(&Site, &Server<'_>)) {
    let site = Site::new(&["one"]);
    let here = site.directory.path().display().to_string();
    site.write("fail2ban.local", &options.replace("HERE", &here));
    let server = site.foreground(home::server());
    check(&site, &server);
}

/// What the server answers, as Python prints it.
fn ask(server: &Server<'_>, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    match server.ask(&words).unwrap() {
        Ok(value) => value.repr(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn socket_is_where_the_server_listens() {
    let site = Site::new(&[]);
    let path = site.path("elsewhere.sock").display().to_string();
    site.write(
        "fail2ban.local",
        &format!("[Definition]\nsocket = {path}\n"),
    );
    let client = |words: &[&str]| site.run(common::ours("fail2ban-client"), words).1;
    client(&["start"]);
    let there = site.path("elsewhere.sock").exists();
    let answer = client(&["-s", &path, "ping"]);
    client(&["stop"]);
    assert!(there && answer.contains("pong"), "{answer}");
}

#[test]
fn pidfile_holds_the_number_of_the_process() {
    with_options("[Definition]\npidfile = HERE/mine.pid\n", |site, server| {
        assert_eq!(site.read("mine.pid").trim(), server.child.id().to_string());
    });
}

#[test]
fn loglevel_warning_keeps_notices_out() {
    with_options("[Definition]\nloglevel = WARNING\n", |site, server| {
        ask(server, "set one banip 192.0.2.1");
        assert!(common::eventually(60, || site
            .read("notes")
            .contains("ban one")));
        ask(server, "set loglevel NOTICE");
        ask(server, "set one banip 192.0.2.2");
        site.wait_for("] Ban 192.0.2.2");
        assert!(!site.read("log").contains("] Ban 192.0.2.1"));
    });
}

#[test]
fn logtarget_is_where_the_log_goes() {
    with_options("[Definition]\nlogtarget = HERE/first\n", |site, server| {
        assert!(site.read("first").contains("Jail 'one' started"));
        let second = site.path("second").display().to_string();
        ask(server, &format!("set logtarget {second}"));
        ask(server, "set one banip 192.0.2.1");
        let there = || site.read("second").contains("] Ban 192.0.2.1");
        assert!(common::eventually(60, there));
    });
}

#[test]
fn logformat_json_makes_each_line_an_object() {
    with_options("[Definition]\nlogformat = json\n", |site, server| {
        ask(server, "set one banip 192.0.2.1");
        let lines = || -> Vec<serde_json::Value> {
            let log = site.read("log");
            // the last one may be half written
            let whole = log.rsplit_once('\n').unwrap_or_default().0.lines();
            whole
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        };
        let there = |line: &serde_json::Value| {
            [&line["jail"], &line["event"], &line["ip"]] == ["one", "Ban", "192.0.2.1"]
        };
        // from the first line on
        assert!(common::eventually(60, || lines().iter().any(there)));
        assert_eq!(ask(server, "get logformat"), "'json'");
        ask(server, "set logformat text");
        ask(server, "set one unbanip 192.0.2.1");
        assert!(common::eventually(60, || {
            let log = site.log();
            log.iter()
                .any(|line| line.ends_with("NOTICE  [one] Unban 192.0.2.1"))
        }));
        assert!(ask(server, "set logformat xml").contains("it is text or json"));
    });
}

#[test]
fn syslogsocket_gets_the_log_for_syslog() {
    let site = Site::new(&["one"]);
    let path = site.path("syslog");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let options = format!(
        "[Definition]\nlogtarget = SYSLOG\nsyslogsocket = {}\n",
        path.display()
    );
    site.write("fail2ban.local", &options);
    let server = site.foreground(home::server());
    ask(&server, "set one banip 192.0.2.1");
    let limit = Some(std::time::Duration::from_secs(60));
    socket.set_read_timeout(limit).unwrap();
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).unwrap();
        if String::from_utf8_lossy(&buffer[..length]).contains("[one] Ban 192.0.2.1") {
            break;
        }
    }
}

/// Addresses that are banned when a line names `localhost`.
fn banned_for_localhost(allowipv6: &str, count: usize) -> Vec<String> {
    let site = Site::new(&["one"]);
    site.write(
        "filter.d/simple.conf",
        "[Definition]\nfailregex = ^ x from <HOST>$\n",
    );
    site.jails(&(home::jail("one") + "maxretry = 1\nusedns = yes\nignoreself = false\n"));
    let options = format!("[Definition]\nallowipv6 = {allowipv6}\n");
    site.write("fail2ban.local", &options);
    let time = chrono::Utc::now().format("%Y-%m-%d %H:%M:%S");
    site.write("one.log", &format!("{time} x from localhost\n"));
    let server = site.foreground(home::server());
    let banned = || -> Vec<String> {
        let log = site.log().into_iter();
        let bans = log.filter_map(|line| Some(line.split_once("] Ban ")?.1.to_owned()));
        bans.collect()
    };
    assert!(common::eventually(60, || banned().len() >= count));
    drop(server);
    let mut banned = banned();
    banned.sort();
    banned
}

#[test]
fn allowipv6_no_looks_up_addresses_of_ipv4_alone() {
    let addresses = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 0)).unwrap();
    let mut all: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
    all.sort();
    all.dedup();
    assert_eq!(banned_for_localhost("yes", all.len()), all);
    assert_eq!(banned_for_localhost("no", 1), ["127.0.0.1"]);
}

#[test]
fn dbfile_holds_the_bans() {
    with_options(
        "[Definition]\ndbfile = HERE/mine.sqlite3\n",
        |site, server| {
            ask(server, "set one banip 192.0.2.1");
            let held = || {
                let db = rusqlite::Connection::open(site.path("mine.sqlite3")).unwrap();
                let count = db.query_row(
                    "SELECT count(*) FROM bans WHERE ip = '192.0.2.1'",
                    [],
                    |row| row.get::<_, i64>(0),
                );
                count == Ok(1)
            };
            assert!(common::eventually(60, held));
            assert!(!site.path("db").exists());
        },
    );
}

#[test]
fn dbmaxmatches_is_how_many_lines_a_ban_keeps() {
    with_options("[Definition]\ndbmaxmatches = 1\n", |site, server| {
        ask(server, "set one attempt 198.51.100.1 a b c");
        ask(server, "set one attempt 198.51.100.1 d e f");
        let data = || {
            let db = rusqlite::Connection::open(site.path("db")).unwrap();
            db.query_row("SELECT CAST(data AS TEXT) FROM bans", [], |row| {
                row.get::<_, String>(0)
            })
        };
        assert!(common::eventually(60, || data().is_ok()));
        let data: serde_json::Value = serde_json::from_str(&data().unwrap()).unwrap();
        assert_eq!(data["matches"].as_array().unwrap().len(), 1, "{data}");
    });
}

#[test]
fn dbpurgeage_of_old_bans_is_answered_in_seconds() {
    with_options("[Definition]\ndbpurgeage = 2d\n", |_, server| {
        assert_eq!(ask(server, "get dbpurgeage"), "172800");
        assert_eq!(ask(server, "set dbpurgeage 1h"), "3600");
    });
}

#[test]
fn stacksize_is_answered_as_the_thread_option() {
    with_options("[Thread]\nstacksize = 64\n", |_, server| {
        assert_eq!(ask(server, "get thread"), "{'stacksize': 64}");
    });
}
