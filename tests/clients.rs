//! The programs that people run beside fail2ban, each with the rules it reads our answers by: shell
//! pipelines as they stand in those programs, expressions where they are written in something else.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use common::home::{Server, Site, server};
use ferroban::parts::control::wire::END;
use nix::sys::signal::Signal;
use regex_automata::meta::Regex;

/// A server with the jails `recidive` and `sshd`, the latter with two bans and one more failure, and
/// a directory whose `fail2ban-client` talks to it.
struct Stage<'s> {
    site: &'s Site,
    server: Server<'s>,
}

impl<'s> Stage<'s> {
    fn new(site: &'s Site) -> Stage<'s> {
        std::fs::create_dir(site.path("bin")).unwrap();
        for program in ["fail2ban-client", "fail2ban-server"] {
            let path = site.path("bin").join(program);
            let script = format!(
                "#!/bin/sh\nexec {} {} -c {} \"$@\"\n",
                env!("CARGO_BIN_EXE_ferroban"),
                program.trim_start_matches("fail2ban-"),
                site.directory.path().display()
            );
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let server = site.foreground(server());
        site.wait_for("Jail 'sshd' started");
        let now = chrono::Utc::now().format("%b %d %H:%M:%S");
        let mut log = OpenOptions::new();
        let mut log = log.append(true).open(site.path("sshd.log")).unwrap();
        let failure = |id: &str| format!("{now} x from {id}\n");
        let text = [failure("192.0.2.1").repeat(2), failure("192.0.2.9")].concat();
        log.write_all(text.as_bytes()).unwrap();
        site.wait_for("[sshd] Found 192.0.2.9");
        let ban = server
            .ask(&["set", "sshd", "banip", "2001:db8::2"])
            .unwrap();
        assert_eq!(ban, Ok(1.into()));
        site.wait_for("[sshd] Ban 2001:db8::2");
        Stage { site, server }
    }

    /// Adds a `ferroban` whose client talks to the server.
    fn add_ferroban(&self) {
        let path = self.site.path("bin/ferroban");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = client ] && {{ shift; exec fail2ban-client \"$@\"; }}\nexec {} \"$@\"\n",
            env!("CARGO_BIN_EXE_ferroban"),
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// What a shell makes of a script that calls our client.
    fn sh(&self, script: &str) -> (i32, String) {
        let path = std::env::var("PATH").unwrap();
        let output = common::pinned(Command::new("bash"))
            .args(["-c", script])
            .env(
                "PATH",
                format!("{}:{path}", self.site.path("bin").display()),
            )
            .output()
            .unwrap();
        (
            output.status.code().unwrap_or(-1),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    }

    fn expect(&self, client: &str, script: &str, expected: &str) {
        let (_, printed) = self.sh(script);
        assert_eq!(printed, expected, "{client}: {script}");
    }
}

fn captures(pattern: &str, text: &str) -> Vec<String> {
    let regex = Regex::new(pattern).unwrap();
    let mut captures = regex.create_captures();
    regex.captures(text, &mut captures);
    let group = |n| {
        captures
            .get_group(n)
            .map(|span| text[span.range()].to_owned())
    };
    (1..captures.group_len()).filter_map(group).collect()
}

#[test]
fn monitoring_reads_the_printed_status() {
    let site = Site::new(&["sshd", "recidive"]);
    let stage = Stage::new(&site);
    let status = "fail2ban-client status";
    let jail = "fail2ban-client status sshd";
    let table = [
        (
            "cacti",
            format!("{jail} | grep 'Total failed:' | awk '{{print $5}}'"),
            "3\n",
        ),
        (
            "cacti",
            format!("{jail} | grep 'Total banned:' | awk '{{print $4}}'"),
            "2\n",
        ),
        (
            "munin",
            format!(
                "{status} | while read line; do case $line in *'Jail list:'*) line=\"${{line##*Jail list*:}}\"; echo \"${{line//[ $'\\t']/}}\";; esac; done"
            ),
            "recidive,sshd\n",
        ),
        (
            "munin",
            format!(
                "{jail} | while read line; do case $line in *'Currently banned'*) line=\"${{line##*Currently banned*:}}\"; echo \"${{line//[ $'\\t']/}}\";; esac; done"
            ),
            "2\n",
        ),
        (
            "NethServer",
            format!("{status} | sed -n 's/`- Jail list:\\t//gp'"),
            "recidive, sshd\n",
        ),
        (
            "docker-mailserver",
            format!("{status} | grep 'Jail list' | cut -f2-"),
            "recidive, sshd\n",
        ),
        (
            "docker-mailserver",
            format!("{jail} | grep -oP '(?<=Banned IP list:\\s).+'"),
            "192.0.2.1 2001:db8::2\n",
        ),
        (
            "scripts",
            format!("{status} | grep 'Jail list' | sed -E 's/^[^:]+:[ \\t]+//' | sed 's/,//g'"),
            "recidive sshd\n",
        ),
        (
            "scripts",
            format!("{status} | grep 'Jail list' | cut -d: -f2"),
            "\trecidive, sshd\n",
        ),
        (
            "nagios",
            "fail2ban-client ping >/dev/null; echo $?".to_owned(),
            "0\n",
        ),
        (
            "crazymax health check",
            "fail2ban-client ping || exit 1".to_owned(),
            "Server replied: pong\n",
        ),
        (
            "mail-in-a-box",
            "fail2ban-client status >/dev/null; echo $?".to_owned(),
            "0\n",
        ),
        (
            "logrotate",
            "fail2ban-client flushlogs >/dev/null; echo $?".to_owned(),
            "0\n",
        ),
    ];
    for (client, script, expected) in table {
        stage.expect(client, &script, expected);
    }
    let (_, status) = stage.sh(status);
    let (_, jail) = stage.sh(jail);
    // Telegraf: the last "Jail list:", numbers by what follows the name
    let (_, list) = status.rsplit_once("Jail list:").unwrap();
    assert_eq!(
        list.trim().split(", ").collect::<Vec<_>>(),
        ["recidive", "sshd"]
    );
    for (name, number) in [("Currently failed:", 1), ("Currently banned:", 2)] {
        let (_, rest) = jail.split_once(name).unwrap();
        let value = rest.lines().next().unwrap().trim();
        assert_eq!(value.parse(), Ok(number), "Telegraf {name}");
    }
    // Netdata: commas away, split by blanks; a jail that is gone
    let line = status
        .lines()
        .find(|line| line.contains("Jail list:"))
        .unwrap();
    let (_, names) = line.split_once("Jail list:").unwrap();
    let names = names.replace(',', "");
    assert_eq!(
        names.split_whitespace().collect::<Vec<_>>(),
        ["recidive", "sshd"]
    );
    let (code, gone) = stage.sh("fail2ban-client status nojail 2>/dev/null");
    assert!(
        gone.starts_with("Sorry but the jail") && code == 255,
        "Netdata: {gone}"
    );
    // jangrewe's exporter
    assert_eq!(
        captures(r".+Jail list:\s+(.+)\n?$", &status),
        ["recidive, sshd"]
    );
    for (name, number) in [
        ("Currently failed", "1"),
        ("Total failed", "3"),
        ("Currently banned", "2"),
        ("Total banned", "2"),
    ] {
        assert_eq!(captures(&format!(r"{name}:\s*(\d*)"), &jail), [number]);
    }
    // Linuxfabrik: a tab
    assert!(jail.contains("Currently banned:\t2\n"));
}

#[test]
fn panels_command_and_read() {
    let site = Site::new(&["sshd", "recidive"]);
    let stage = Stage::new(&site);
    // Webmin
    let (_, version) = stage.sh("fail2ban-client -V");
    assert_eq!(captures(r"v?([0-9.]+)", &version), ["1.1.1"]);
    // scripts compare it; whoever looks sees more
    let own = concat!("Ferroban ", env!("CARGO_PKG_VERSION"), "\n");
    for (command, answer) in [
        ("client -V", "1.1.1"),
        ("server -V", "1.1.1"),
        ("regex -V", "1.1.1"),
        ("client --version", "Fail2Ban v1.1.1"),
        ("server --version", "Fail2Ban v1.1.1"),
        ("regex --version", "fail2ban-regex 1.1.1"),
    ] {
        let command = format!("{} {command}", env!("CARGO_BIN_EXE_ferroban"));
        stage.expect("a script", &command, &format!("{answer}\n"));
        stage.expect("a person", &format!("{command} 2>&1 >/dev/null"), own);
    }
    assert!(site.read("log").contains(&format!(
        "INFO    Starting Fail2ban v1.1.1 ({})\n",
        own.trim_end()
    )));
    let (_, status) = stage.sh("fail2ban-client status");
    let list = captures(r"(?im)jail\s+list:\s*(.*)", &status);
    assert_eq!(list, ["recidive, sshd"]);
    let (_, bans) = stage.sh("fail2ban-client get sshd banip --with-time");
    assert_eq!(bans.lines().count(), 2, "{bans}");
    let webmin = r"^(?<ip>.*?)\s+(?<start>.*?\s+.*?)\s+.*?\s+.*?\s+=\s+(?<end>.*)$";
    let dashboard = r"^(\S+)[ \t]+(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}) \+ (-?\d+) = (\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})$";
    for line in bans.lines() {
        let fields = captures(webmin, line);
        assert_eq!(fields.len(), 3, "{line}");
        assert!(
            fields[0].parse::<std::net::IpAddr>().is_ok() && fields[1].len() == 19,
            "{line}"
        );
        assert_eq!(captures(dashboard, line).len(), 4, "webishdev: {line}");
    }
    // docker-mailserver: a number above 0; who is not banned
    stage.expect(
        "docker-mailserver",
        "fail2ban-client set sshd banip 198.51.100.1 198.51.100.2",
        "2\n",
    );
    stage.expect(
        "docker-mailserver",
        "fail2ban-client set sshd unbanip 198.51.100.1 198.51.100.2",
        "2\n",
    );
    let (_, absent) =
        stage.sh("fail2ban-client set sshd unbanip --report-absent 198.51.100.1 2>&1");
    assert!(
        absent.contains("NOK") && absent.contains("not banned"),
        "{absent}"
    );
    // 1Panel
    stage.expect("1Panel", "fail2ban-client version", "1.1.1\n");
    stage.expect("1Panel", "fail2ban-client reload", "OK\n");
    stage
        .server
        .ask(&["set", "sshd", "addignoreip", "127.0.0.0/8"])
        .unwrap()
        .unwrap();
    let (_, tree) = stage.sh("fail2ban-client get sshd ignoreip");
    let flat = tree.replace(['|', '`', '\n'], "");
    assert_eq!(flat.split('-').nth(1).map(str::trim), Some("127.0.0.0/8"));
    let (_, jail) = stage.sh("fail2ban-client status sshd");
    let (_, ids) = jail.split_once("Banned IP list:").unwrap();
    assert_eq!(
        ids.split_whitespace().collect::<Vec<_>>(),
        ["192.0.2.1", "2001:db8::2"]
    );
    // fail2ban-ui: "OK" or nothing after a reload, never the marks of failure; the list by its name
    let (code, reload) = stage.sh("fail2ban-client reload 2>&1");
    assert!(code == 0 && matches!(reload.trim(), "" | "OK"), "{reload}");
    assert!(!reload.contains("Errors in jail") && !reload.contains("Unable to read the filter"));
    let line = jail.lines().find(|line| line.contains("IP list:")).unwrap();
    assert_eq!(
        line.split_once(':').unwrap().1.split_whitespace().count(),
        2
    );
    // HestiaCP, YunoHost: exit codes
    assert_eq!(stage.sh("fail2ban-server --test").0, 0);
    // AbuseIPDB scripts
    let database = site.path("db");
    let expected = format!("Current database file is:\n`- {}\n", database.display());
    stage.expect("AbuseIPDB", "fail2ban-client get dbfile", &expected);
    stage.expect("1Panel", "fail2ban-client unban --all", "2\n");
}

#[test]
fn the_log_is_an_interface() {
    let site = Site::new(&["sshd", "recidive"]);
    let stage = Stage::new(&site);
    stage.server.ask(&["unban", "192.0.2.1"]).unwrap().unwrap();
    site.wait_for("[sshd] Unban 192.0.2.1");
    let log = site.read("log");
    let line = log
        .lines()
        .find(|line| line.ends_with("] Ban 192.0.2.1"))
        .unwrap();
    // Home Assistant
    let home = captures(r"\[sshd\]\s*(Ban|Unban) (.*)", line);
    assert_eq!(home, ["Ban", "192.0.2.1"]);
    // logwatch
    let logwatch = captures(
        r"(WARNING|NOTICE):?\s+\[?(.*?)[]:]?\s(Ban|Unban)[^\.]* (\S+)",
        line,
    );
    assert_eq!(logwatch, ["NOTICE", "sshd", "Ban", "192.0.2.1"]);
    for text in [
        "Connected to fail2ban persistent database",
        "Creating new jail 'sshd'",
        "Jail 'sshd' uses poller",
        "Initiated 'polling' backend",
        "[sshd] Found 192.0.2.9 - ",
    ] {
        assert!(log.contains(text), "logwatch: {text}");
    }
    // recidive, Fail2Ban-Report: date and time first, the jail in the first bracket that is no number
    let recidive = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} fail2ban\.actions\s+\[\d+\]: NOTICE\s+\[([^\]]+)\]\s+Ban\s+(\S+)$";
    assert_eq!(captures(recidive, line), ["sshd", "192.0.2.1"]);
    // monit: a quiet life shows neither word
    assert!(!log.contains("ERROR"), "{log}");
    let pid: u32 = site.read("run/pid").trim().parse().unwrap();
    assert_eq!(pid, stage.server.child.id());
    assert!(UnixStream::connect(site.path("run/socket")).is_ok());
}

#[test]
fn readers_of_the_database() {
    let site = Site::new(&["sshd", "recidive"]);
    let stage = Stage::new(&site);
    let db = rusqlite::Connection::open(site.path("db")).unwrap();
    let column = |query: &str| -> Vec<String> {
        let mut query = db.prepare(query).unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let banned = || {
        column(
            "SELECT ip FROM bans WHERE DATETIME(timeofban + 600, 'unixepoch') > DATETIME('now') AND jail = 'sshd' ORDER BY ip",
        )
    };
    assert!(
        common::eventually(60, || banned().len() == 2),
        "geo exporter"
    );
    let jails = column("SELECT name FROM jails WHERE enabled = 1 ORDER BY name");
    assert_eq!(jails, ["recidive", "sshd"]);
    let today = column(
        "SELECT jail || count(*) FROM bans WHERE date(datetime(timeofban, 'unixepoch')) = date('now') GROUP BY jail",
    );
    assert_eq!(today, ["sshd2"], "NethServer");
    let time = column("SELECT CAST(timeofban AS TEXT) FROM bips WHERE ip = '192.0.2.1'");
    assert!(time[0].parse::<i64>().is_ok(), "AbuseIPDB");
    drop(stage);
}

/// Bytes that are asked, and the reply's bytes, in one read.
fn exchange(stream: &mut UnixStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(&[request, END].concat()).unwrap();
    let mut block = vec![0; 1 << 16];
    let length = stream.read(&mut block).unwrap();
    let reply = block[..length].strip_suffix(END);
    reply.expect("a whole reply in one read").to_vec()
}

#[test]
fn exporters_speak_pickle() {
    let site = Site::new(&["sshd", "recidive"]);
    let stage = Stage::new(&site);
    let mut stream = UnixStream::connect(site.path("run/socket")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let reply = |bytes: &[u8]| ferroban::parts::control::pickle::decode_reply(bytes).unwrap();
    let mut ask = |request: &[u8]| exchange(&mut stream, request);
    // hctrdev and webishdev: protocol 2, a mark and a list, short byte strings
    assert_eq!(
        reply(&ask(b"\x80\x02(U\x04pingU\x03100l.")),
        Ok("pong".into())
    );
    assert_eq!(reply(&ask(b"\x80\x02(U\x07versionl.")), Ok("1.1.1".into()));
    let status = reply(&ask(b"\x80\x02(U\x06statusl.")).unwrap();
    assert_eq!(
        status.repr(),
        "[('Number of jail', 2), ('Jail list', 'recidive, sshd')]"
    );
    for (option, value) in [(&b"bantime"[..], 600), (b"findtime", 600), (b"maxretry", 2)] {
        let head = b"\x80\x02(U\x03getU\x04sshdU";
        let request = [&head[..], &[option.len() as u8], option, b"l."].concat();
        assert_eq!(reply(&ask(&request)), Ok(value.into()));
    }
    let jail = ask(b"\x80\x02(U\x06statusU\x04sshdl.");
    let text = reply(&jail).unwrap().repr();
    let expected = format!(
        "[('Filter', [('Currently failed', 1), ('Total failed', 3), ('File list', ['{}'])]), \
         ('Actions', [('Currently banned', 2), ('Total banned', 2), ('Banned IP list', ['192.0.2.1', '2001:db8::2'])])]",
        site.path("sshd.log").display()
    );
    assert_eq!(text, expected);
    // they know no class but str
    let classes = String::from_utf8_lossy(&jail).into_owned();
    assert!(!classes.contains("fail2ban") && !classes.contains("IPAddr"));
    // fail2go decodes an exception as a call: its module and class by name
    let error = ask(b"\x80\x02(U\x06statusU\x02nol.");
    let text = String::from_utf8_lossy(&error).into_owned();
    assert!(text.contains("fail2ban.exceptions") && text.contains("UnknownJailException"));
    let error = reply(&error).unwrap_err();
    assert_eq!(
        (error.class.1, error.args.len()),
        ("UnknownJailException", 1)
    );
    for request in [
        &b"\x80\x02(U\x03getU\x06dbfilel."[..],
        b"\x80\x02(U\x03getU\x04sshdU\x09failregexl.",
        b"\x80\x02(U\x03getU\x04sshdU\x06usednsl.",
        b"\x80\x02(U\x03getU\x04sshdU\x07actionsl.",
        b"\x80\x02(U\x03getU\x04sshdU\x06actionU\x04noteU\x09actionbanl.",
        b"\x80\x02(U\x03setU\x04sshdU\x05banipU\x09192.0.2.8l.",
        b"\x80\x02(U\x03setU\x04sshdU\x07unbanipU\x09192.0.2.8l.",
    ] {
        assert!(reply(&ask(request)).is_ok(), "fail2go {request:?}");
    }
    drop(stage);
}

#[test]
fn programs_may_ask_for_json() {
    let site = Site::new(&["sshd", "recidive"]);
    site.jails(
        &[
            common::home::jail("sshd"),
            common::home::jail("recidive"),
            "[bad]\nenabled = true\nfilter = nofilter\n".to_owned(),
        ]
        .concat(),
    );
    let stage = Stage::new(&site);
    let json = |command: &str| -> serde_json::Value {
        let (_, line) = stage.sh(&format!("fail2ban-client --json {command} 2>/dev/null"));
        assert_eq!(line.lines().count(), 1, "{command}: {line}");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{command}: {e}: {line}"))
    };
    let status = json("status");
    assert_eq!(status["jail_list"], serde_json::json!(["recidive", "sshd"]));
    let why = status["failed_jails"]["bad"].as_str().unwrap();
    assert!(
        why.contains("Unable to read the filter 'nofilter'"),
        "{why}"
    );
    assert_eq!(
        status["jails"]["sshd"]["actions"]["banned_ip_list"],
        serde_json::json!(["192.0.2.1", "2001:db8::2"])
    );
    let sshd = json("status sshd");
    assert_eq!(sshd["filter"]["total_failed"], 3);
    assert_eq!(sshd["filter"]["searches_given_up"], 0);
    assert_eq!(sshd["actions"]["not_effective"], serde_json::json!({}));
    assert_eq!(status["fail2ban_version"], "1.1.1");
    assert_eq!(status["ferroban_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json("stats")["sshd"]["total_failed"], 3);
    assert_eq!(json("status sshd stats")["backend"], "polling");
    let bans = json("get sshd banip --with-time");
    assert_eq!(bans[0]["bantime"], 600);
    assert_eq!(bans[1]["id"], "2001:db8::2");
    assert_eq!(json("ping"), "pong");
    assert_eq!(json("get sshd bantime"), 600);
    assert_eq!(
        json("status nojail")["error"]["class"],
        "UnknownJailException"
    );
    for command in [
        "stats",
        "banned",
        "get sshd banip --with-time",
        "get sshd failregex",
        "get sshd datepattern",
        "get sshd actions",
        "get dbfile",
        "flushlogs",
        "set sshd maxretry 2",
        "get thread",
        "version",
        "echo a",
    ] {
        json(command);
    }
}

#[test]
fn bans_with_a_term_and_a_reason() {
    let site = Site::new(&["sshd"]);
    site.write("block", "# list\n198.51.100.1, 198.51.100.2\n");
    let stage = Stage::new(&site);
    let here = site.path("block");
    let command = format!(
        "fail2ban-client set sshd banip @{} --time 2d --reason 'seen elsewhere'",
        here.display()
    );
    stage.expect("a person", &command, "2\n");
    let with_time = || stage.sh("fail2ban-client get sshd banip --with-time").1;
    assert_eq!(
        with_time().matches(" + 172800 = ").count(),
        2,
        "{}",
        with_time()
    );
    // whoever was banned already is banned for longer
    stage.expect(
        "a person",
        "fail2ban-client set sshd banip 192.0.2.1 --time 1d",
        "0\n",
    );
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(stage.server.end(Signal::SIGKILL), None);
    let server = site.foreground(server());
    site.wait_for("Restore Ban 198.51.100.2");
    let restored = server
        .ask(&["get", "sshd", "banip", "--with-time"])
        .unwrap()
        .unwrap()
        .repr();
    assert_eq!(restored.matches(" + 172800 = ").count(), 2, "{restored}");
    let db = rusqlite::Connection::open(site.path("db")).unwrap();
    let reason = "SELECT count(*) FROM bans WHERE data LIKE '%seen elsewhere%'";
    let count = db.query_row(reason, [], |row| row.get::<_, i64>(0));
    assert_eq!(count, Ok(2));
    // forgotten: the ban stays, its past does not
    let known = server
        .ask(&["forget", "192.0.2.9", "198.51.100.1"])
        .unwrap();
    assert_eq!(known, Ok(1.into()));
    let banned = server
        .ask(&["get", "sshd", "banned", "198.51.100.1"])
        .unwrap();
    assert_eq!(banned, Ok(1.into()));
}

#[test]
fn addresses_and_options_refused_before_sending() {
    let site = Site::new(&["sshd"]);
    site.write("block", "2026-01-01 198.51.100.1\nbad 198.51.100.2/31\n");
    let stage = Stage::new(&site);
    let list = site.path("block");
    let list = list.display();
    let banned = || stage.sh("fail2ban-client get sshd banip").1;
    let before = banned();
    for (command, error) in [
        (
            "set sshd banip 198.51.100.9 --tiem 1h",
            "Unknown option --tiem of banip; known are --time, --reason, --column, --ids",
        ),
        (
            "set sshd addignoreip 300.1.1.1",
            "300.1.1.1: this is no address, no network and no host name",
        ),
        (
            "unban --al",
            "Unknown option --al of unban; known are --all, --column, --ids",
        ),
        (
            "events sshd nosuch",
            "NOK: ('nosuch',)\nSorry but the jail 'nosuch' does not exist",
        ),
    ] {
        let (code, printed) = stage.sh(&format!("timeout 20 fail2ban-client {command} 2>&1"));
        let printed: Vec<&str> = printed
            .lines()
            .map(|line| match line.split_once("ERROR") {
                Some((_, message)) => message.trim(),
                None => line,
            })
            .collect();
        assert_eq!(
            (code, printed.join("\n").as_str()),
            (255, error),
            "{command}"
        );
    }
    assert_eq!(banned(), before);
    stage.expect(
        "a person",
        "fail2ban-client get sshd ignoreip",
        "No IP address/network is ignored\n",
    );
    // what is wrong in a list is told with its line, the rest is banned
    let (code, printed) = stage.sh(&format!("fail2ban-client set sshd banip @{list} 2>&1"));
    assert_eq!(code, 255, "{printed}");
    for line in [
        format!("{list}:1: '2026-01-01' is no address and no network, left out\n"),
        format!("{list}:2: 'bad' is no address and no network, left out\n"),
        "\n2\n".to_owned(),
    ] {
        assert!(printed.contains(&line), "{line}: {printed}");
    }
    let command = format!("fail2ban-client set sshd unbanip @{list} --column 2");
    stage.expect("a person", &command, "2\n");
    assert_eq!(banned(), before);
}

#[test]
fn events_are_told_as_they_happen() {
    let site = Site::new(&["sshd", "recidive"]);
    let stage = Stage::new(&site);
    let mut client = common::ours("fail2ban-client");
    let mut listener = client
        .arg("-c")
        .arg(site.directory.path())
        .args(["events", "sshd"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = std::io::BufReader::new(listener.stdout.take().unwrap());
    let mut event = || -> serde_json::Value {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    };
    // until it listens
    std::thread::sleep(Duration::from_millis(1000));
    let do_it = |words: &[&str]| stage.server.ask(words).unwrap().unwrap();
    do_it(&["set", "recidive", "banip", "192.0.2.66"]);
    do_it(&["set", "sshd", "banip", "192.0.2.77", "--time", "60"]);
    do_it(&["set", "sshd", "unbanip", "192.0.2.77"]);
    let ban = event();
    assert_eq!(
        (&ban["event"], &ban["id"]),
        (&"Ban".into(), &"192.0.2.77".into())
    );
    assert_eq!(
        (&ban["jail"], &ban["bantime"]),
        (&"sshd".into(), &60.0.into())
    );
    assert_eq!(event()["event"], "Unban");
    assert_eq!(stage.server.end(Signal::SIGTERM), Some(0));
    assert!(listener.wait().unwrap().success());
}

#[test]
fn shells_complete_commands() {
    let site = Site::new(&["sshd"]);
    let stage = Stage::new(&site);
    stage.add_ferroban();
    let complete = |words: &str| {
        let script = format!(
            "eval \"$(ferroban completion bash)\"; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); $(complete -p ${{COMP_WORDS[0]}} | sed 's/.* -F \\([^ ]*\\).*/\\1/'); printf '%s ' \"${{COMPREPLY[@]}}\""
        );
        stage.sh(&script).1
    };
    assert_eq!(complete("fail2ban-client stat"), "status stats statistics ");
    assert_eq!(complete("fail2ban-client -s /x set ss"), "sshd ");
    assert_eq!(complete("fail2ban-client set sshd bani"), "banip ");
    assert_eq!(complete("fail2ban-client set sshd action ''"), "note ");
    assert_eq!(complete("fail2ban-client status sshd s"), "short stats ");
    assert_eq!(complete("fail2ban-client --js"), "--json ");
    assert_eq!(complete("fail2ban-client set sshd banip 192.0.2.1 x"), " ");
    assert_eq!(
        complete("fail2ban-client set sshd banip 192.0.2.1 --ti"),
        "--time --timeout "
    );
    assert_eq!(
        complete("fail2ban-client set sshd banip --time 1h --rea"),
        "--reason "
    );
    assert_eq!(
        complete("fail2ban-client set sshd unbanip --re"),
        "--report-absent "
    );
    assert_eq!(complete("fail2ban-client status sshd f"), "full ");
    assert_eq!(complete("fail2ban-client status --all f"), "full ");
    assert_eq!(
        complete("fail2ban-server sta"),
        "start status stats statistics "
    );
    assert_eq!(complete("fail2ban-regex --datep"), "--datepattern ");
    assert_eq!(complete("ferroban re"), "report replay regex ");
    assert_eq!(complete("ferroban lint --not"), "--notes ");
    assert_eq!(complete("ferroban config ss"), "sshd ");
    assert_eq!(complete("ferroban client set sshd bani"), "banip ");
    assert_eq!(complete("ferroban client set ss"), "sshd ");
    assert_eq!(complete("ferroban regex --datep"), "--datepattern ");
    assert_eq!(complete("ferroban completion z"), "zsh ");
}

#[test]
fn fish_completes_commands() {
    let site = Site::new(&["sshd"]);
    let stage = Stage::new(&site);
    stage.add_ferroban();
    let complete = |line: &str| {
        let script = format!(
            "HOME=$(mktemp -d) fish -c \"ferroban completion fish | source; complete -C '{line}'\""
        );
        stage.sh(&script).1
    };
    assert_eq!(
        complete("fail2ban-client stat"),
        "statistics\nstats\nstatus\n"
    );
    assert_eq!(complete("fail2ban-client -s /x set ss"), "sshd\n");
    assert_eq!(complete("fail2ban-client set sshd bani"), "banip\n");
    assert_eq!(complete("fail2ban-client set sshd action "), "note\n");
    assert_eq!(complete("fail2ban-client status sshd s"), "short\nstats\n");
    assert_eq!(complete("fail2ban-client --js"), "--json\n");
    assert_eq!(complete("fail2ban-client status sshd f"), "full\n");
    let banip = complete("fail2ban-client set sshd banip 192.0.2.1 --");
    assert!(
        banip.contains("--time\n") && banip.contains("--reason\n"),
        "{banip}"
    );
    assert_eq!(complete("fail2ban-server set ss"), "sshd\n");
    assert_eq!(complete("fail2ban-regex --datep"), "--datepattern\n");
    assert_eq!(complete("ferroban re"), "regex\nreplay\nreport\n");
    assert_eq!(complete("ferroban lint --not"), "--notes\n");
    assert_eq!(complete("ferroban config ss"), "sshd\n");
    assert_eq!(complete("ferroban client set sshd bani"), "banip\n");
}

/// A zsh on a terminal, into which somebody types a line and presses the tabulator key.
#[test]
fn zsh_completes_commands() {
    let site = Site::new(&["sshd"]);
    let stage = Stage::new(&site);
    let complete = |line: (&str, &str)| {
        let script = format!(
            r#"
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=; unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -D'
zpty -w shell 'eval "$({ferroban} completion zsh)"; echo REA""DY'
zpty -m -r shell out '*READY*'
zpty -w -n shell '{line}'$'\t'
# what it prints after the line: the completed line, or a list of what it may be
for ((i = 0; i < 100; i++)); do
    zpty -r -t shell more && out+=$more
    [[ $out == *'{last}'* ]] && break
    sleep 0.1
done
print -r -- "$out"
zpty -d shell
"#,
            ferroban = env!("CARGO_BIN_EXE_ferroban"),
            line = line.0,
            last = line.1,
        );
        std::fs::write(site.path("type.zsh"), script).unwrap();
        let (_, typed) = stage.sh(&format!("zsh -f {}", site.path("type.zsh").display()));
        assert!(typed.contains(line.1), "{}: {typed:?}", line.0);
    };
    for line in [
        ("fail2ban-client set sshd bani", "sshd banip"),
        ("fail2ban-client -s /x set ss", "set sshd"),
        ("fail2ban-client set sshd action n", "action note"),
        ("fail2ban-client stat", "statistics"),
        ("fail2ban-client --js", "--json"),
        ("fail2ban-regex --datep", "--datepattern"),
    ] {
        complete(line);
    }
}

/// What a client of a service sends is an id with `<F-ID>`, and stands in lines that are missed.
#[test]
fn strangers_steer_no_terminal() {
    let site = Site::new(&["one"]);
    let server = server();
    let server = site.foreground(server);
    let odd = "x\u{1b}]52;c;QUFB\u{7}\u{202e}";
    assert!(server.ask(&["set", "one", "banip", odd]).unwrap().is_ok());
    site.write("odd.log", &format!("2026-11-29 10:00:00 {odd}\n"));
    let (ours, here) = (
        env!("CARGO_BIN_EXE_ferroban"),
        site.directory.path().display(),
    );
    for words in [
        format!("{ours} client -c {here} get one banip"),
        format!("{ours} client -c {here} status one"),
        format!("{ours} regex {here}/odd.log '^ nobody from <HOST>$'"),
    ] {
        let output = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        // programs have it as it is
        let piped = output("sh", &["-c", &words]);
        assert!(piped.contains(odd), "{words}: {piped:?}");
        let shown = output("script", &["-qec", &words, "/dev/null"]);
        assert!(
            shown.contains("x\\x1b]52;c;QUFB\\x07\\u202e") && !shown.contains(['\u{1b}', '\u{7}']),
            "{words}: {shown:?}"
        );
    }
}
