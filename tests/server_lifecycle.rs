//! The server from its first log line to its last, beside the original where the original's ways
//! are kept, alone where they are not.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::home::{Site, ask, jail, server};
use ferroban::parts::control::{Reply, Value};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};

fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err()
}

/// Puts our server and the original's through the same, at the same time.
fn side_by_side<T: Send>(life: fn(&Site, Command) -> T, ours: &Site, theirs: &Site) -> (T, T) {
    std::thread::scope(|scope| {
        let original = common::original("1.1.1", "fail2ban-server");
        let expected = scope.spawn(move || life(theirs, original));
        (life(ours, common::home::server()), expected.join().unwrap())
    })
}

/// What a server is told and shown between start and end.
fn live(site: &Site, program: Command) -> (Option<i32>, Vec<String>) {
    let server = site.foreground(program);
    site.wait_for("Jail 'two' started");
    let now = chrono::Utc::now().format("%b %d %H:%M:%S");
    site.write(
        "one.log",
        &format!("{now} x from 192.0.2.1\n{now} x from 192.0.2.1\n"),
    );
    site.wait_for("[one] Ban 192.0.2.1");
    // the original writes the ban to the database a moment later
    std::thread::sleep(Duration::from_millis(300));
    for words in [
        &["set", "one", "banip", "192.0.2.2"][..],
        &["flushlogs"],
        &["set", "nojail", "maxretry", "3"],
        &["set", "loglevel", "foo"],
        &["unban", "192.0.2.2"],
        &["stop", "two"],
    ] {
        let _ = server.ask(words).unwrap();
        std::thread::sleep(Duration::from_millis(1500));
    }
    assert!(
        fs::metadata(site.path("run/socket"))
            .unwrap()
            .file_type()
            .is_socket()
    );
    for private in ["run/socket", "run/pid", "log", "db"] {
        let mode = fs::metadata(site.path(private))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{private}");
    }
    let code = server.end(Signal::SIGTERM);
    assert!(is_gone(&site.path("run/socket")) && is_gone(&site.path("run/pid")));
    (code, site.log())
}

#[test]
fn a_life_is_told_as_the_original_tells_it() {
    let (ours, theirs) = (Site::new(&["one", "two"]), Site::new(&["one", "two"]));
    let (found, expected) = side_by_side(live, &ours, &theirs);
    assert!(expected.1.len() > 25, "{expected:#?}");
    assert_eq!(found.0, Some(0));
    assert_eq!(expected.0, Some(0));
    assert_eq!(found.1, expected.1);
    assert_eq!(noted(&ours), noted(&theirs));
    // what one has left the other goes on with
    let server = theirs.foreground(common::home::server());
    theirs.wait_for("[one] Restore Ban 192.0.2.1");
    assert_eq!(server.end(Signal::SIGINT), Some(0));
    let original = ours.foreground(common::original("1.1.1", "fail2ban-server"));
    ours.wait_for("[one] Restore Ban 192.0.2.1");
    assert_eq!(original.end(Signal::SIGTERM), Some(0));
}

/// What the actions noted, with the starts of jails, which happen side by side, in a fixed order.
fn noted(site: &Site) -> Vec<String> {
    let mut notes: Vec<String> = site.read("notes").lines().map(str::to_owned).collect();
    let is_start = |line: &String| line.starts_with("start ");
    for run in notes.chunk_by_mut(|a, b| is_start(a) && is_start(b)) {
        run.sort();
    }
    notes
}

/// The log with what happens side by side in a fixed order: jails that stop together, and bans that
/// are restored while the next command is carried out.
fn ordered(mut log: Vec<String>) -> String {
    let is_stop = |line: &String| line.contains("Removed logfile") || line.contains("' stopped");
    for run in log.chunk_by_mut(|a, b| is_stop(a) && is_stop(b)) {
        run.sort();
    }
    let (restored, mut log): (Vec<String>, Vec<String>) = log
        .into_iter()
        .partition(|line| line.contains("Restore Ban"));
    log.extend(restored);
    log.join("\n")
}

/// Reloads of every kind, driven by the original's client; what they printed and the log.
fn reloads(site: &Site, program: Command) -> (Vec<(i32, String)>, Vec<String>) {
    let server = site.foreground(program);
    site.wait_for("Jail 'two' started");
    assert_eq!(
        server.ask(&["set", "one", "banip", "192.0.2.7"]).unwrap(),
        Ok(Value::Int(1))
    );
    site.wait_for("[one] Ban 192.0.2.7");
    site.write("three.log", "");
    let mut printed = Vec::new();
    let mut step = |sections: &[&str], words: &[&str]| {
        site.jails(&sections.concat());
        printed.push(site.run(common::original("1.1.1", "fail2ban-client"), words));
        // the original carries bans and unbans out a moment after the reply
        std::thread::sleep(Duration::from_millis(1500));
    };
    let (one, two, three) = (&jail("one"), &jail("two"), &jail("three"));
    // nothing new; an option and a second log; a jail gone, another come
    step(&[one, two], &["reload"]);
    let more = "[one]\nenabled = true\nlogpath = %(here)s/one.log\n  %(here)s/three.log\n\
                findtime = 5m\nignoreip = 192.0.2.200\n\n";
    step(&[more, two], &["reload"]);
    step(&[one, three], &["reload"]);
    step(&[one, three], &["reload", "one"]);
    step(&[one, three], &["reload", "--restart", "one"]);
    step(&[one, three], &["reload", "--unban", "one"]);
    step(&[one, three], &["reload", "--restart", "--unban", "--all"]);
    step(&[one, three], &["reload", "nojail"]);
    step(&[one, three, two], &["reload", "--if-exists", "two"]);
    step(
        &[one, "[four]\nenabled = true\nfilter = missing\n\n"],
        &["reload"],
    );
    step(&[one], &["stop", "one"]);
    step(&[one], &["reload"]);
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    for (_, text) in &mut printed {
        // times and process ids of the client's own log lines
        let root = site.directory.path().display().to_string();
        let lines: Vec<&str> = text
            .lines()
            .map(|line| line.split_once("]: ").map_or(line, |(_, message)| message))
            .collect();
        *text = lines.join("\n").replace(&root, "/SITE");
    }
    (printed, site.log())
}

#[test]
fn reloads_are_told_as_the_original_tells_them() {
    let (ours, theirs) = (Site::new(&["one", "two"]), Site::new(&["one", "two"]));
    let (found, expected) = side_by_side(reloads, &ours, &theirs);
    assert_eq!(found.0, expected.0);
    let (found, expected) = (ordered(found.1), ordered(expected.1));
    assert_eq!(found, expected, "ours:\n{found}\n\ntheirs:\n{expected}");
    // jails that stop together run their commands in any order
    let notes = |site: &Site| {
        let notes = site.read("notes");
        let mut notes: Vec<String> = notes.lines().map(str::to_owned).collect();
        notes.sort();
        notes
    };
    assert_eq!(notes(&ours), notes(&theirs));
}

#[test]
fn a_slow_command_holds_nobody_up() {
    let site = Site::new(&["one"]);
    let server = site.foreground(common::home::server());
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| server.ask(&["sleep", "10"]));
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(server.ask(&["ping"]).unwrap(), Ok("pong".into()));
        assert!(server.ask(&["status", "--all"]).unwrap().is_ok());
        assert!(!slow.is_finished());
        assert_eq!(slow.join().unwrap().unwrap(), Ok(Value::None));
    });
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}

#[test]
fn a_killed_server_starts_again_and_restores_its_bans() {
    let site = Site::new(&["one"]);
    let server = site.foreground(common::home::server());
    assert_eq!(
        server.ask(&["set", "one", "banip", "192.0.2.7"]).unwrap(),
        Ok(Value::Int(1))
    );
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(server.end(Signal::SIGKILL), None);
    assert!(!is_gone(&site.path("run/socket")));
    // without -x: nobody answers on the socket
    let server = site.foreground(common::home::server());
    site.wait_for("[one] Restore Ban 192.0.2.7");
    let banned = server.ask(&["get", "one", "banned"]).unwrap().unwrap();
    assert_eq!(banned.repr(), "['192.0.2.7']");
    // a second one does not touch the first
    let (code, printed) = site.run(common::home::server(), &["-f", "start"]);
    assert_eq!(code, 255);
    assert!(printed.contains("Server already running"), "{printed}");
    assert_eq!(server.ask(&["ping"]).unwrap(), Ok("pong".into()));
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}

#[test]
fn a_daemon_is_ready_when_its_starter_ends() {
    let site = Site::new(&["one", "two"]);
    let (code, printed) = site.run(common::home::server(), &["start"]);
    assert_eq!((code, printed.as_str()), (0, "Server ready\n"));
    let pid = site.pid();
    let about = |what: &str| fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap();
    assert_eq!(about("comm"), "fail2ban-server\n");
    let stat = about("stat");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let (session, terminal) = (fields[3], fields[4]);
    assert_ne!(
        session,
        pid.to_string(),
        "a session leader could get a terminal"
    );
    assert_eq!(terminal, "0");
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
        Path::new("/")
    );
    let status = ask(&site, &["status"]).unwrap().unwrap();
    assert_eq!(
        status.repr(),
        "[('Number of jail', 2), ('Jail list', 'one, two')]"
    );
    assert!(site.read("log").contains("Daemon started"));
    // logrotate
    fs::rename(site.path("log"), site.path("log.1")).unwrap();
    kill(pid, Signal::SIGUSR1).unwrap();
    site.wait_for(&format!(
        "rollover performed on {}",
        site.path("log").display()
    ));
    // a closed terminal does not matter to a daemon
    kill(pid, Signal::SIGHUP).unwrap();
    let (code, printed) = site.run(common::original("1.1.1", "fail2ban-client"), &["stop"]);
    assert_eq!((code, printed.as_str()), (0, "Shutdown successful\n"));
    assert!(
        is_gone(&site.path("run/socket")),
        "the reply comes after the end"
    );
    let ended = || kill(pid, None).is_err();
    assert!(common::eventually(60, ended));
    assert!(is_gone(&site.path("run/pid")));
    assert_eq!(
        site.read("notes")
            .lines()
            .filter(|line| line.starts_with("stop"))
            .count(),
        2
    );
}

#[test]
fn a_broken_jail_leaves_the_others_alone() {
    let site = Site::new(&["one", "two"]);
    site.write(
        "filter.d/broken.conf",
        "[Definition]\nfailregex = ^x (<HOST>\n",
    );
    let broken = "[bad]\nenabled = true\nfilter = broken\nlogpath = %(here)s/one.log\n\n";
    site.jails(&[&jail("one"), broken, &jail("two")].concat());
    let server = site.foreground(common::home::server());
    site.wait_for("Jail 'two' started");
    site.wait_for("Jail 'bad' skipped, because of wrong configuration: Unable to compile");
    let names = |reply: Result<Reply, String>| reply.unwrap().unwrap().repr();
    let two = "[('Number of jail', 2), ('Jail list', 'one, two')]";
    assert_eq!(names(server.ask(&["status"])), two);

    // a reload that breaks a running jail: it keeps what it had, the rest is reloaded
    assert_eq!(
        server.ask(&["set", "one", "banip", "192.0.2.7"]).unwrap(),
        Ok(Value::Int(1))
    );
    let bad_one = "[one]\nenabled = true\nfilter = broken\nlogpath = %(here)s/one.log\n\n";
    let two_changed = format!("{}maxretry = 7\n", jail("two").trim_end().to_owned() + "\n");
    site.jails(&[bad_one, &two_changed].concat());
    let (code, _) = site.run(common::original("1.1.1", "fail2ban-client"), &["reload"]);
    assert_eq!(code, 255);
    assert_eq!(names(server.ask(&["status"])), two);
    assert_eq!(names(server.ask(&["get", "two", "maxretry"])), "7");
    assert_eq!(
        names(server.ask(&["get", "one", "banned"])),
        "['192.0.2.7']"
    );
    let regexes = names(server.ask(&["get", "one", "failregex"]));
    assert!(regexes.contains("x from"), "{regexes}");
    let now = chrono::Utc::now().format("%b %d %H:%M:%S");
    site.write(
        "one.log",
        &format!("{now} x from 192.0.2.8\n{now} x from 192.0.2.8\n"),
    );
    site.wait_for("[one] Ban 192.0.2.8");

    // put right again
    site.jails(&jail("one"));
    let (code, printed) = site.run(common::original("1.1.1", "fail2ban-client"), &["reload"]);
    assert_eq!(
        (code, printed.as_str()),
        (0, "OK\n"),
        "{}",
        site.read("log")
    );
    let one = "[('Number of jail', 1), ('Jail list', 'one')]";
    assert_eq!(names(server.ask(&["status"])), one);
    assert_eq!(
        names(server.ask(&["get", "one", "banned"]))
            .matches("192")
            .count(),
        2
    );
    assert_eq!(server.end(Signal::SIGTERM), Some(0));

    // the starter of a daemon is told of what was dropped
    site.jails(&[&jail("one"), broken].concat());
    let (code, printed) = site.run(common::home::server(), &["start"]);
    assert_eq!(code, 0, "{printed}");
    assert!(
        printed.contains("Errors in jail 'bad'. Skipping..."),
        "{printed}"
    );
    assert!(
        printed.contains("broken.conf:2: failregex = ^x (<HOST>)"),
        "{printed}"
    );
    assert!(printed.starts_with("Server ready\n"), "{printed}");
    assert_eq!(names(ask(&site, &["status"])), one);
    assert_eq!(ask(&site, &["stop"]).unwrap(), Ok(Value::None));
    let gone = || is_gone(&site.path("run/pid"));
    assert!(common::eventually(60, gone));

    // nothing but broken: no server
    site.jails(broken);
    for words in [&["-f", "start"][..], &["start"]] {
        let (code, printed) = site.run(common::home::server(), words);
        assert_eq!(code, 255, "{printed}");
        assert!(
            printed.contains("Unable to compile regular expression"),
            "{printed}"
        );
        let gone = || is_gone(&site.path("run/socket")) && is_gone(&site.path("run/pid"));
        assert!(common::eventually(60, gone));
    }
}

#[test]
fn a_refused_reload_keeps_no_setting_of_it() {
    let site = Site::new(&["one"]);
    site.write("action.d/raises.py", "raise ValueError('not today')\n");
    let former = "ignorecache = key=\"<ip>\", max-count=10\n";
    let refused = "ignorecache = key=\"<ip>\", max-count=99\nbanprefix4 = 24\nunbanwhenquiet = yes\n\
                   maxretry = 7\naction = raises.py\n";
    site.jails(&format!("{}\n{former}", jail("one").trim_end()));
    let server = site.foreground(common::home::server());
    site.wait_for("Jail 'one' started");
    let ask = |option: &str| server.ask(&["get", "one", option]).unwrap().unwrap().repr();
    // for another backend the jail would have to be stopped first
    for (times, backend) in [(1, ""), (2, "backend = pyinotify\n")] {
        site.jails(&format!("{}\n{backend}{refused}", jail("one").trim_end()));
        let (code, printed) = site.run(common::ours("fail2ban-client"), &["reload"]);
        assert_eq!(code, 255, "{printed}");
        let kept =
            "Jail 'one' keeps its former settings, because of wrong configuration: not today";
        let said = || site.log().iter().filter(|l| l.contains(kept)).count() == times;
        assert!(common::eventually(60, said), "{:?}", site.log());
        assert_eq!(ask("ignorecache"), "['<ip>', 10, 300]");
        assert_eq!(ask("banprefix4"), "None");
        assert_eq!(ask("unbanwhenquiet"), "False");
    }
    let now = chrono::Local::now().format("%b %d %H:%M:%S");
    let line = format!("{now} x from 192.0.2.5\n");
    site.write("one.log", &line.repeat(2));
    site.wait_for("[one] Ban 192.0.2.5\n");
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}

/// Who is found and banned in logs some of whose lines have no date: at the first start, in
/// operation, and at a start with a database and lines that were written in between.
fn undated(site: &Site, program: Command) -> Vec<String> {
    let mut again = Command::new(program.get_program());
    common::like(&mut again, &program).args(program.get_args());
    let dated = || chrono::Local::now().format("%b %d %H:%M:%S").to_string();
    let failures = |address: &str, date: &str| format!("{date} x from {address}\n").repeat(2);
    let none = "datepattern = {NONE}\nfindtime = 1\n";
    let wide = "datepattern = {NONE}\nfindtime = 1\nlogencoding = utf-16-le\n";
    let table = [
        ("none", none, failures("192.0.2.1", "")),
        ("many", none, failures("192.0.2.2", "").repeat(3000)),
        ("tail", none, failures("192.0.2.3", "")),
        ("wide", wide, failures("192.0.2.10", "").repeat(50)),
        (
            "long",
            "datepattern = {NONE}\nfindtime = 2d\n",
            failures("192.0.2.4", ""),
        ),
        (
            "optional",
            "datepattern = {^LN-BEG}(?:EPOCH)?\nfindtime = 1\n",
            failures("192.0.2.5", ""),
        ),
        // not one line with a date, and lines without one among others
        ("default", "", failures("192.0.2.6", "")),
        (
            "among",
            "",
            failures("192.0.2.7", "")
                + &failures("192.0.2.8", &dated())
                + &failures("192.0.2.9", ""),
        ),
    ];
    let bytes = |name: &str, text: &str| match name {
        "wide" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        _ => text.as_bytes().to_vec(),
    };
    let mut jails = String::new();
    for (name, settings, lines) in &table {
        jails += jail(name).trim_end();
        jails += if *name == "tail" { " tail\n" } else { "\n" };
        jails += &format!("{settings}\n");
        fs::write(site.path(&format!("{name}.log")), bytes(name, lines)).unwrap();
    }
    site.jails(&jails);
    // a file that is written anew is short for a moment, as after a rotation
    let append = |name: &str, text: &str| {
        let path = site.path(&format!("{name}.log"));
        let file = fs::OpenOptions::new().append(true).open(path);
        file.unwrap().write_all(&bytes(name, text)).unwrap();
    };
    let server = site.foreground(program);
    site.wait_for("Jail 'among' started");
    site.wait_for("[long] Ban 192.0.2.4");
    site.wait_for("[among] Ban 192.0.2.9");
    std::thread::sleep(Duration::from_secs(3));
    for (name, _, _) in &table {
        append(name, &failures("198.51.100.1", ""));
        site.wait_for(&format!("[{name}] Ban 198.51.100.1"));
    }
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    append("none", &failures("198.51.100.2", ""));
    append("default", &failures("198.51.100.3", ""));
    // rotated meanwhile
    site.write(
        "many.log",
        &(" new\n".to_owned() + &failures("198.51.100.4", "")),
    );
    let server = site.foreground(again);
    std::thread::sleep(Duration::from_secs(3));
    append("many", &failures("198.51.100.5", ""));
    site.wait_for("[many] Ban 198.51.100.5");
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    let told = |line: &&String| line.contains("] Found ") || line.contains("] Ban ");
    let mut log: Vec<String> = site.log().iter().filter(told).cloned().collect();
    log.sort();
    log
}

#[test]
fn lines_without_a_date_count_as_in_the_original() {
    let (ours, theirs) = (Site::new(&[]), Site::new(&[]));
    let (found, expected) = side_by_side(undated, &ours, &theirs);
    assert!(expected.len() > 15, "{expected:#?}");
    assert_eq!(found, expected);
}

/// What several jails of one server find in lines with two dates, and what the database keeps of bans
/// with captures that took no part. `base` holds a time.
fn several(site: &Site, program: Command) -> Vec<String> {
    site.write(
        "filter.d/simple.conf",
        "[Definition]\nfailregex = ^.*x from <ADDR>\\b\n",
    );
    site.write(
        "filter.d/captures.conf",
        "[Definition]\nprefregex = ^ app: <F-CONTENT>.+</F-CONTENT>$\n\
         failregex = ^fail(?: user (?P<foo>\\S+))?(?: by <F-USER>\\S+</F-USER>)? from <ADDR>$\n",
    );
    let date = "%%Y-%%m-%%d %%H:%%M:%%S";
    let mut jails = String::new();
    for (name, settings) in [
        (
            "before",
            format!("datepattern = {{^LN-BEG}}Epoch\n  {date}\n"),
        ),
        ("usual", String::new()),
        (
            "after",
            format!("datepattern = {date}\n  {{^LN-BEG}}Epoch\n"),
        ),
        (
            "other",
            format!("datepattern = {date}\n  {{^LN-BEG}}TAI64N\n  {{^LN-BEG}}EPOCH\n"),
        ),
        ("captures", "filter = captures\n".to_owned()),
    ] {
        jails += &format!("{}\n{settings}", jail(name).trim_end());
    }
    site.jails(&jails);
    let base: i64 = site.read("base").parse().unwrap();
    let date = |time| {
        let time = chrono::DateTime::from_timestamp(time, 0).unwrap();
        time.format("%Y-%m-%d %H:%M:%S").to_string()
    };
    let lines: String = (0..60i64)
        .map(|n| {
            let (time, failure) = (base + n, format!("x from 198.51.100.{n}"));
            match (n * n + n / 7) % 3 {
                0 => format!("{time} {failure}\n"),
                1 => format!("{} {failure}\n", date(time)),
                _ => format!("{time} {failure} at {}\n", date(time - 30)),
            }
        })
        .collect();
    let captures: String = ["", " user me", " by you", " user me by you"]
        .iter()
        .enumerate()
        .map(|(n, who)| format!("{} app: fail{who} from 192.0.2.{n}\n", date(base)).repeat(2))
        .collect();
    let server = site.foreground(program);
    site.wait_for("Jail 'captures' started");
    for name in ["before", "usual", "after", "other"] {
        site.write(&format!("{name}.log"), &lines);
        site.wait_for(&format!("[{name}] Found 198.51.100.59"));
    }
    site.write("captures.log", &captures);
    site.wait_for("[captures] Ban 192.0.2.3");
    // the original writes the ban to the database a moment later
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    let told = |line: &&String| line.contains("] Found ") || line.contains("] Ban ");
    let mut seen: Vec<String> = site.log().iter().filter(told).cloned().collect();
    seen.sort();
    let db = rusqlite::Connection::open(site.path("db")).unwrap();
    let here = site.path("").display().to_string();
    for query in [
        "SELECT jail || ip || bantime || bancount || CAST(data AS TEXT) FROM bans ORDER BY ip",
        "SELECT jail || ip || bantime || bancount || CAST(data AS TEXT) FROM bips ORDER BY ip",
        "SELECT jail || path || firstlinemd5 || lastfilepos FROM logs ORDER BY jail",
    ] {
        let mut query = db.prepare(query).unwrap();
        let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        seen.extend(rows.map(|row| row.unwrap().replace(&here, "")));
    }
    seen
}

#[test]
fn dates_and_rows_of_several_jails_are_those_of_the_original() {
    let names = ["before", "usual", "after", "other", "captures"];
    let (ours, theirs) = (Site::new(&names), Site::new(&names));
    for site in [&ours, &theirs] {
        site.write("base", &(chrono::Utc::now().timestamp() - 120).to_string());
    }
    ours.write("base", &theirs.read("base"));
    let (found, expected) = side_by_side(several, &ours, &theirs);
    assert!(expected.len() > 4 * 60 + 12, "{expected:#?}");
    assert_eq!(found, expected);
}

#[test]
fn an_open_id_that_reaches_a_command_is_told() {
    let site = Site::new(&["one"]);
    let open = "[Definition]\nfailregex = ^ x from <ADDR>$\n  ^ x as <F-ID>.+</F-ID>$\n";
    site.write("filter.d/open.conf", open);
    site.jails(&format!("{}\nfilter = open\n", jail("one").trim_end()));
    let told =
        "the id of this regex may hold any character, and action note puts it into a command";
    let place = "filter.d/open.conf:3: ^ x as <F-ID>.+</F-ID>$)";
    let client = || common::ours("fail2ban-client");
    for (program, command) in [
        (client(), "-t"),
        (common::home::server(), "start"),
        (client(), "reload"),
    ] {
        let (code, printed) = site.run(program, &[command]);
        assert_eq!(code, 0, "{printed}");
        assert!(
            printed.contains(told) && printed.contains(place),
            "{command}: {printed}"
        );
    }
    assert_eq!(ask(&site, &["stop"]).unwrap(), Ok(Value::None));
    let gone = || is_gone(&site.path("run/pid"));
    assert!(common::eventually(60, gone));
}

/// The log at `loglevel` of a server that has found, ignored, banned and lifted.
fn searched(site: &Site, program: Command, loglevel: &str) -> String {
    let conf = site.read("fail2ban.conf").replace("INFO", loglevel);
    site.write("fail2ban.conf", &conf);
    site.write(
        "filter.d/simple.conf",
        "[Definition]\nprefregex = ^ app: <F-CONTENT>.+</F-CONTENT>$\nfailregex = ^x from <ADDR>$\n  ^y from <ADDR>$\n\
         ignoreregex = 192\\.0\\.2\\.66\n",
    );
    site.jails(&format!(
        "{}bantime.increment = true\nignoreip = 192.0.2.9\n",
        jail("one").trim_end().to_owned() + "\n"
    ));
    let server = site.foreground(program);
    site.wait_for("Jail 'one' started");
    let now = chrono::Local::now().format("%b %d %H:%M:%S");
    let lines = [
        "y from 192.0.2.1",
        "y from 192.0.2.1",
        "x from 192.0.2.9",
        "x from 192.0.2.66",
        "nothing",
    ];
    let lines: String = lines
        .iter()
        .map(|line| format!("{now} app: {line}\n"))
        .collect();
    site.write(
        "one.log",
        &format!("{lines}{now} other: x from 192.0.2.1\n"),
    );
    site.wait_for("[one] Ban 192.0.2.1");
    site.wait_for("[one] Ignore 192.0.2.9 by ip");
    server
        .ask(&["set", "one", "delignoreip", "192.0.2.9"])
        .unwrap()
        .unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    site.log().join("\n")
}

#[test]
fn what_a_search_for_a_mistake_needs_is_in_the_log_at_debug() {
    let (ours, theirs) = (Site::new(&["one"]), Site::new(&["one"]));
    let heavy: fn(&Site, Command) -> String = |site, program| searched(site, program, "HEAVYDEBUG");
    let (found, expected) = side_by_side(heavy, &ours, &theirs);
    // logger, level and the beginning of what is told
    let facts = [
        "fail2ban.jail           DEBUG   Starting jail 'one'",
        "fail2ban.jail           DEBUG   Stopping jail 'one'",
        "fail2ban.filter         DEBUG     Add '192.0.2.9' to ignore list ('192.0.2.9')",
        "fail2ban.filter         DEBUG     Remove '192.0.2.9' from ignore list",
        "fail2ban.filter         DEBUG   Processing line with time:",
        "fail2ban.failmanager    DEBUG   Total # of detected failures: 2. Current failures from 1 IPs (IP:count): 192.0.2.1:2",
        "fail2ban.actions        DEBUG   Banned 1 / 1, 1 ticket(s) in 'one'",
        "fail2ban.observer       DEBUG   [one] Observer: failure found 192.0.2.1",
        "fail2ban.observer       DEBUG   [one] Observer: ban found 192.0.2.1, 600",
        "fail2ban.actions        DEBUG     Unbanned 1, 0 ticket(s) in 'one'",
        "fail2ban.filter         TRACE   Working on line '",
        "fail2ban.filter         HEAVY   Looking for match of ",
        "fail2ban.filter         HEAVY     Looking for prefregex '",
        "fail2ban.filter         HEAVY     Prefregex not matched",
        "fail2ban.filter         TRACE     Pre-filter matched {",
        "fail2ban.filter         HEAVY     Looking for failregex 0 - '^x from ",
        "fail2ban.filter         HEAVY     Looking for failregex 1 - '^y from ",
        "fail2ban.filter         TRACE     Matched failregex 1: {",
        "fail2ban.filter         TRACE     Matched ignoreregex 0 and was ignored",
    ];
    for fact in facts {
        assert!(
            expected.contains(fact),
            "the original does not tell {fact:?}\n{expected}"
        );
        assert!(found.contains(fact), "{fact:?} is missing\n{found}");
    }
    // and nothing of it at the usual level
    let quiet = searched(&Site::new(&["one"]), common::home::server(), "INFO");
    assert!(
        !["DEBUG", "TRACE", "HEAVY"]
            .iter()
            .any(|level| quiet.contains(level)),
        "{quiet}"
    );
}

#[test]
fn bad_places_are_told_and_nothing_is_left() {
    let cases = [
        ("logtarget = /nowhere/log\n", "Failed to change log target"),
        ("dbfile = /proc/nowhere/db\n", "No such file or directory"),
    ];
    for (line, text) in cases {
        let site = Site::new(&["one"]);
        let key = line.split(' ').next().unwrap();
        let conf = site.read("fail2ban.conf");
        let conf: Vec<&str> = conf.lines().filter(|old| !old.starts_with(key)).collect();
        site.write("fail2ban.conf", &format!("{}\n{line}", conf.join("\n")));
        let (code, printed) = site.run(common::home::server(), &["-f", "start"]);
        assert_eq!(code, 255, "{printed}");
        let told = printed + &site.read("log");
        assert!(told.contains(text), "{told}");
        assert!(is_gone(&site.path("run/socket")) && is_gone(&site.path("run/pid")));
    }
    // a file that is no socket is not ours to remove
    let site = Site::new(&["one"]);
    fs::create_dir(site.path("run")).unwrap();
    site.write("run/socket", "precious");
    let (code, _) = site.run(common::home::server(), &["-f", "start"]);
    assert_eq!((code, site.read("run/socket").as_str()), (255, "precious"));
}

#[test]
fn a_closed_terminal_ends_the_foreground_cleanly() {
    let site = Site::new(&["one"]);
    let server = site.foreground(common::home::server());
    site.wait_for("Jail 'one' started");
    assert_eq!(server.end(Signal::SIGHUP), Some(129));
    assert!(is_gone(&site.path("run/socket")) && is_gone(&site.path("run/pid")));
    assert!(site.read("notes").contains("stop one"));
}

#[test]
fn programs_get_nothing_that_the_starter_had_open() {
    let theirs = Site::new(&["one"]);
    let lock = fs::File::create(theirs.path("lock-of-the-starter")).unwrap();
    fcntl(&lock, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let open = |name: &str| format!("ls -l /proc/self/fd >>%(here)s/{name}");
    let action = |site: &Site, here: &str| {
        let ban = open("action").replace("%(here)s", here);
        site.write(
            "action.d/note.conf",
            &format!("[Definition]\nactionban = {ban}\n"),
        );
    };
    let ours = Site::new(&["one"]);
    let feed = format!(
        "[two]\nenabled = true\nbackend = command[cmd=\"{}; exec sleep 60\"]\n",
        open("feed")
    );
    ours.jails(&(jail("one") + &feed));
    for (site, program) in [
        (&theirs, common::original("1.1.1", "fail2ban-server")),
        (&ours, server()),
    ] {
        action(site, site.directory.path().to_str().unwrap());
        let running = site.foreground(program);
        running
            .ask(&["set", "one", "banip", "192.0.2.1"])
            .unwrap()
            .unwrap();
        assert!(common::eventually(60, || site
            .read("action")
            .contains(" 2 -> ")));
        let held = fs::read_dir(format!("/proc/{}/fd", running.child.id())).unwrap();
        let mut held = held.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        assert!(
            held.any(|path| path.ends_with("lock-of-the-starter")),
            "the server keeps it"
        );
        assert_eq!(running.end(Signal::SIGTERM), Some(0));
    }
    for seen in [
        theirs.read("action"),
        ours.read("action"),
        ours.read("feed"),
    ] {
        assert!(seen.contains(" 0 -> "), "{seen}");
        assert!(!seen.contains("lock-of-the-starter"), "{seen}");
    }
}

#[test]
fn bans_in_force_outlive_damage_to_the_open_database() {
    let site = Site::new(&["one"]);
    site.jails(&(jail("one") + "action =\n"));
    let first = running_with_bans(&site, 0..5000);
    assert_eq!(first.end(Signal::SIGTERM), Some(0));
    let running = running_with_bans(&site, 0..0);
    wait_for_bans(&site, 5000);
    // nothing is left of the file but its first page
    let file = fs::File::options()
        .write(true)
        .open(site.path("db"))
        .unwrap();
    let size = file.metadata().unwrap().len();
    let noise = vec![0xA5; usize::try_from(size).unwrap() - 4096];
    file.write_all_at(&noise, 4096).unwrap();
    ban(
        &running,
        (0..5000).map(|number| number * 7 % 5000 + 10_000).take(300),
    );
    site.wait_for("Trying to repair database");
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
    let running = running_with_bans(&site, 0..0);
    wait_for_bans(&site, 5300);
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
}

fn running_with_bans(site: &Site, numbers: std::ops::Range<u32>) -> common::home::Server<'_> {
    let running = site.foreground(server());
    ban(&running, numbers);
    running
}

fn ban(running: &common::home::Server<'_>, numbers: impl Iterator<Item = u32>) {
    let address = |number| std::net::Ipv4Addr::from(0x0A00_0000 + number).to_string();
    let addresses: Vec<String> = numbers.map(address).collect();
    let words = ["set", "one", "banip", "--time", "1d"].into_iter();
    let words: Vec<&str> = words.chain(addresses.iter().map(String::as_str)).collect();
    if !addresses.is_empty() {
        running.ask(&words).unwrap().unwrap();
    }
}

/// Waits until the jail has so many bans.
fn wait_for_bans(site: &Site, count: usize) {
    let count = format!("'Currently banned', {count})");
    let there = || {
        let status = ask(site, &["status", "one"]).unwrap().unwrap();
        status.repr().contains(&count)
    };
    assert!(
        common::eventually(60, there),
        "{count}\n{}",
        site.read("log")
    );
}

#[test]
fn systemd_may_hold_the_socket() {
    let site = Site::new(&["one"]);
    fs::create_dir(site.path("run")).unwrap();
    let notify = std::os::unix::net::UnixDatagram::bind(site.path("run/notify")).unwrap();
    // what systemd does: a listening socket as descriptor 3, offered to the process it starts
    let script = "import os, socket, sys\n\
                  s = socket.socket(socket.AF_UNIX)\n\
                  s.bind(sys.argv[1]); s.listen(5)\n\
                  os.dup2(s.fileno(), 3); os.set_inheritable(3, True)\n\
                  os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='fail2ban')\n\
                  os.execv(sys.argv[2], sys.argv[2:])\n";
    let mut program = common::pinned(Command::new("/usr/bin/python3"));
    program.args(["-c", script]).arg(site.path("run/socket"));
    program.arg(server().get_program()).args(["server", "-x"]);
    program.env("NOTIFY_SOCKET", site.path("run/notify"));
    let server = site.foreground(program);
    site.wait_for("Using socket activation, inherited socket '");
    site.wait_for("Jail 'one' started");
    let mut buffer = [0; 200];
    let size = notify.recv(&mut buffer).unwrap();
    let said = String::from_utf8_lossy(&buffer[..size]);
    assert_eq!(said, format!("READY=1\nMAINPID={}\n", site.pid()));
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    let size = notify.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..size], b"STOPPING=1\n");
    assert!(!is_gone(&site.path("run/socket")), "it is systemd's");
}

#[test]
fn watchdog_signs_of_life_stop_while_nothing_answers() {
    let site = Site::new(&["one", "two"]);
    fs::create_dir(site.path("run")).unwrap();
    let notify = std::os::unix::net::UnixDatagram::bind(site.path("run/notify")).unwrap();
    let mut program = server();
    program
        .env("NOTIFY_SOCKET", site.path("run/notify"))
        .env("WATCHDOG_USEC", "1000000");
    let server = site.foreground(program);
    let heard = |wanted: &str| {
        let end = Instant::now() + Duration::from_secs(60);
        let mut buffer = [0; 200];
        while Instant::now() < end {
            let size = notify.recv(&mut buffer).unwrap();
            if String::from_utf8_lossy(&buffer[..size]) == wanted {
                return;
            }
        }
        panic!("never heard {wanted:?}\n{}", site.read("log"));
    };
    heard("WATCHDOG=1\nSTATUS=2 jail(s), 0 ban(s)\n");
    let banned = server.ask(&["set", "one", "banip", "192.0.2.1"]).unwrap();
    assert_eq!(banned, Ok(1.into()));
    heard("WATCHDOG=1\nSTATUS=2 jail(s), 1 ban(s)\n");
    let reloaded = site.run(common::ours("fail2ban-client"), &["reload"]);
    assert_eq!(reloaded, (0, "OK\n".to_owned()));
    heard("RELOADING=1\n");
    heard(&format!("READY=1\nMAINPID={}\n", site.pid()));
    // nobody can ask it any more
    fs::rename(site.path("run/socket"), site.path("run/away")).unwrap();
    site.wait_for("No sign of life for systemd: [Errno 2] No such file or directory");
    fs::rename(site.path("run/away"), site.path("run/socket")).unwrap();
    heard("WATCHDOG=1\nSTATUS=2 jail(s), 1 ban(s)\n");
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}

#[test]
fn closed_streams_stay_free_of_what_is_opened_later() {
    let site = Site::new(&["one"]);
    let mut shell = Command::new("sh");
    let program = common::home::server();
    shell
        .args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"])
        .arg(program.get_program())
        .args(program.get_args());
    let server = site.foreground(shell);
    let process = format!("/proc/{}", server.child.id());
    for stream in 0..3 {
        let stream = std::fs::read_link(format!("{process}/fd/{stream}")).unwrap();
        assert_eq!(stream, Path::new("/dev/null"));
    }
    // bit 12: a client that leaves in the middle of a reply ends nothing
    let status = std::fs::read_to_string(format!("{process}/status")).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.unwrap().trim(), 16).unwrap();
    assert_ne!(ignored & 1 << 12, 0, "{status}");
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}
