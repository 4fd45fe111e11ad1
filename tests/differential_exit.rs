//! What becomes of a bad configuration (the facts call them C46–C58): exit codes of `-t`, `-d` and
//! `start` of both programs, which jails run in the end, and what a reload leaves behind.
//!
//! Where the two differ, `docs/differences.md` says why: the row quotes the line.
#![allow(clippy::unwrap_used)]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// What happens: exit code of `-t`, of `-d` and of `start`, and the jails that are started after it
/// (`None`: no server answers).
type Outcome = ([i32; 3], Option<&'static [&'static str]>);

/// A configuration and what both programs make of it.
struct Row {
    name: &'static str,
    /// `jail.local`; `{dir}` is the directory.
    jails: &'static str,
    /// More files; `ü` is written in Latin-1.
    files: &'static [(&'static str, &'static str)],
    original: Outcome,
    /// When it differs: our outcome and the words of `docs/differences.md`.
    ours: Option<(Outcome, &'static str)>,
}

/// Refused at once, whatever is asked.
const REFUSED: Outcome = ([255, 255, 255], None);
/// All is well, `ok` runs.
const WELL: Outcome = ([0, 0, 0], Some(&["ok"]));
/// The wrong jail is left out, `-t` complains.
const LEFT_OUT: Outcome = ([255, 0, 0], Some(&["ok"]));
/// The reader takes it, the server stops in the middle: it stays, and no jail runs.
const LATE: Outcome = ([0, 0, 255], Some(&[]));

const FOUND_BY_TEST: &str = "a bad regex, number, time, zone, name or duplicate action in one jail";

const GIVES_UP: &str = "an unescaped `%`, a loose reference, a stray line";

/// A second jail with a mistake, which the original notices only when it has started a server.
const fn late(name: &'static str, jails: &'static str) -> Row {
    Row {
        name,
        jails,
        files: &[],
        original: LATE,
        ours: Some((LEFT_OUT, FOUND_BY_TEST)),
    }
}

/// A second jail with a mistake for which the original gives up everything.
const fn given_up(
    name: &'static str,
    jails: &'static str,
    files: &'static [(&'static str, &'static str)],
) -> Row {
    Row {
        name,
        jails,
        files,
        original: REFUSED,
        ours: Some((LEFT_OUT, GIVES_UP)),
    }
}

const fn row(name: &'static str, jails: &'static str, original: Outcome) -> Row {
    Row {
        name,
        jails,
        files: &[],
        original,
        ours: None,
    }
}

const ROWS: &[Row] = &[
    row("all is well", "", WELL),
    row(
        "C46 no such filter",
        "[bad]\nenabled = true\nfilter = none\n",
        LEFT_OUT,
    ),
    row(
        "C46 no such action",
        "[bad]\nenabled = true\naction = none\n",
        LEFT_OUT,
    ),
    row(
        "C46 wrong arguments",
        "[bad]\nenabled = true\nfilter = f[a\n",
        LEFT_OUT,
    ),
    row(
        "C47 the only jail is wrong",
        "[ok]\nfilter = none\n",
        REFUSED,
    ),
    Row {
        original: ([255, 0, 255], None),
        ..given_up(
            "C48 no log file",
            "[bad]\nenabled = true\nlogpath = {dir}/none\n",
            &[],
        )
    },
    row(
        "C48 no log file of the only jail",
        "[ok]\nlogpath = {dir}/none\n",
        ([255, 0, 255], None),
    ),
    given_up(
        "C49 a loose reference",
        "[bad]\nenabled = true\nbantime = %(none)s\n",
        &[],
    ),
    given_up(
        "C49 a percent sign",
        "[bad]\nenabled = true\nlogpath = {dir}/x-%Y.log\n",
        &[],
    ),
    row(
        "C49 a loose reference of the only jail",
        "[ok]\nbantime = %(none)s\n",
        REFUSED,
    ),
    row(
        "C49 a loose reference of all jails",
        "[DEFAULT]\nbantime = %(none)s\n[bad]\nenabled = true\n",
        REFUSED,
    ),
    given_up("C49 no INI file", "[bad]\nenabled\n", &[]),
    given_up("C49 a section twice", "[bad]\nenabled = true\n[bad]\n", &[]),
    given_up(
        "C49 an option twice",
        "[bad]\nenabled = true\nenabled = true\n",
        &[],
    ),
    given_up(
        "C49 a file of one jail",
        "",
        &[(
            "jail.d/bad.local",
            "[bad]\nenabled = true\n<<<<<<< HEAD\nmaxretry = 2\n",
        )],
    ),
    given_up(
        "C8 a setting of one jail that is not UTF-8",
        "",
        &[("jail.d/bad.local", "[bad]\nenabled = true\nport = ü\n")],
    ),
    Row {
        files: &[("jail.d/x.local", "# ü\n[ok]\nmaxretry = 7 ; ü\n")],
        ours: Some((WELL, "a comment that is not UTF-8")),
        ..row("C8 a comment that is not UTF-8", "", REFUSED)
    },
    Row {
        files: &[(
            "filter.d/g.conf",
            "# ü\n[Definition]\nfailregex = ^x <HOST>\n",
        )],
        ..row(
            "C8 a filter that is not UTF-8",
            "[bad]\nenabled = true\nfilter = g\n",
            LEFT_OUT,
        )
    },
    // what may concern all jails
    Row {
        files: &[("jail.d/x.local", "[DEFAULT]\nport = ü\n")],
        ..row("C8 a setting of all jails that is not UTF-8", "", REFUSED)
    },
    Row {
        files: &[("jail.d/x.local", "[ü]\nenabled = true\n")],
        ..row("C8 a header that is not UTF-8", "", REFUSED)
    },
    Row {
        files: &[("jail.d/x.local/y", "")],
        ..row("C8 a file that cannot be read", "", REFUSED)
    },
    row(
        "C49 a stray line for all",
        "[DEFAULT]\nstray\n[bad]\nenabled = true\n",
        REFUSED,
    ),
    row(
        "C49 a broken header",
        "[bad]\nenabled = true\n[ok\nmaxretry = 1\n",
        REFUSED,
    ),
    row(
        "C49 no header",
        "maxretry = 1\n[bad]\nenabled = true\n",
        REFUSED,
    ),
    given_up(
        "C49 tags in a circle",
        "[bad]\nenabled = true\nfilter = g\n",
        &[(
            "filter.d/g.conf",
            "[Definition]\nfailregex = <a>\na = <b>\nb = <a>\n",
        )],
    ),
    given_up(
        "C49 a stray line in a filter",
        "[bad]\nenabled = true\nfilter = g\n",
        &[(
            "filter.d/g.conf",
            "[Definition]\nfailregex = ^ x <HOST>\nstray\n",
        )],
    ),
    given_up(
        "C49 a percent sign in a filter",
        "[bad]\nenabled = true\nfilter = g\n",
        &[(
            "filter.d/g.conf",
            "[Definition]\nfailregex = ^ 100% <HOST>\n",
        )],
    ),
    given_up(
        "C49 a stray line in an action",
        "[bad]\nenabled = true\naction = g\n",
        &[("action.d/g.conf", "[Definition]\nactionban = true\nstray\n")],
    ),
    late(
        "C50 a bad regex",
        "[bad]\nenabled = true\nfailregex = ^x (<HOST>\n",
    ),
    late(
        "C50 a regex without an id",
        "[bad]\nenabled = true\nfailregex = ^x$\n",
    ),
    late(
        "C50 a bad ignoreregex",
        "[bad]\nenabled = true\nignoreregex = *\n",
    ),
    late(
        "C50 a bad prefregex",
        "[bad]\nenabled = true\nprefregex = [\n",
    ),
    Row {
        ours: Some((([255, 0, 255], None), FOUND_BY_TEST)),
        ..late("C50 the only jail has a bad regex", "[ok]\nfailregex = (\n")
    },
    late(
        "C51 a bad integer",
        "[bad]\nenabled = true\nmaxretry = abc\n",
    ),
    row(
        "C52 no jail",
        "[ok]\nenabled = false\n",
        ([0, 0, 0], Some(&[])),
    ),
    Row {
        files: &[("fail2ban.local", "[Definition]\nloglevel = FOO\n")],
        ..row("C53 a bad log level", "", REFUSED)
    },
    late(
        "C54 an action twice",
        "[bad]\nenabled = true\naction = a\n  a\n",
    ),
    late(
        "C54 neither head nor tail",
        "[bad]\nenabled = true\nlogpath = {dir}/x.log middle\n",
    ),
    late(
        "C54 a bad zone",
        "[bad]\nenabled = true\nlogtimezone = Europe/Paris\n",
    ),
    late(
        "C54 bad multipliers",
        "[bad]\nenabled = true\nbantime.multipliers = 1  2\n",
    ),
    late("a bad bantime", "[bad]\nenabled = true\nbantime = 1x\n"),
    late("a bad findtime", "[bad]\nenabled = true\nfindtime = 01h\n"),
    late(
        "J3 no such backend",
        "[bad]\nenabled = true\nbackend = foo\n",
    ),
    late(
        "J7 no such encoding",
        "[bad]\nenabled = true\nlogencoding = nonsense\n",
    ),
    late("J12 no lines", "[bad]\nenabled = true\nmaxlines = 0\n"),
    late(
        "J19 a cache without a key",
        "[bad]\nenabled = true\nignorecache = max-count=1\n",
    ),
    Row {
        files: &[(
            "fail2ban.local",
            "[Definition]\ndbfile = :memory:\ndbpurgeage = 1x\n",
        )],
        ours: Some((REFUSED_BUT_SHOWN, "a bad value in `fail2ban.conf`")),
        ..row("G8 a bad purge age", "", ([0, 0, 255], Some(&[])))
    },
    row(
        "J5 missing logs that may be missing",
        "[bad]\nenabled = true\nlogpath = {dir}/none\nskip_if_nologs = true\n",
        WELL,
    ),
    row(
        "J10 a bad usedns means no",
        "[ok]\nusedns = nonsense\n",
        WELL,
    ),
    late("J25 a reserved name", "[--all]\nenabled = true\n"),
    row(
        "C55 a word that is no boolean",
        "[bad]\nenabled = y\nfilter = none\n",
        WELL,
    ),
    Row {
        files: &[("filter.d/g.conf", "[Other]\n")],
        ..row(
            "C56 a filter without Definition",
            "[ok]\nfilter = g\n",
            WELL,
        )
    },
];

const REFUSED_BUT_SHOWN: Outcome = ([255, 0, 255], None);

/// A directory with the configuration of a row; programs are run on it.
struct Site(tempfile::TempDir);

impl Site {
    fn new(row: &Row) -> Site {
        let site = Site(tempfile::tempdir().unwrap());
        let here = site.0.path().display().to_string();
        for part in ["filter.d", "action.d", "jail.d"] {
            fs::create_dir(site.path(part)).unwrap();
        }
        site.write(
            "fail2ban.conf",
            &format!(
                "[Definition]\nloglevel = INFO\nlogtarget = {here}/log\nsocket = {here}/socket\n\
                 pidfile = {here}/pid\ndbfile = None\n"
            ),
        );
        site.write(
            "jail.conf",
            &format!(
                "[DEFAULT]\nbackend = polling\nfilter = f\naction = a\nlogpath = {here}/x.log\n\
                 usedns = no\nignoreself = false\n[ok]\nenabled = true\n"
            ),
        );
        site.write("filter.d/f.conf", "[Definition]\nfailregex = ^ x <HOST>\n");
        site.write("action.d/a.conf", "[Definition]\nactionban = true\n");
        site.write("x.log", "");
        site.write("jail.local", &row.jails.replace("{dir}", &here));
        for (name, text) in row.files {
            site.write(name, &text.replace("{dir}", &here));
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `ü` is written in Latin-1.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = Vec::new();
        for (number, part) in text.split('ü').enumerate() {
            bytes.extend((number > 0).then_some(0xfc));
            bytes.extend_from_slice(part.as_bytes());
        }
        fs::write(path, bytes).unwrap();
    }

    /// Exit code, and what was printed.
    fn run(&self, mut client: Command, words: &[&str]) -> (i32, String) {
        let output = client
            .arg("-c")
            .arg(self.0.path())
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        (output.status.code().unwrap_or(-1), printed)
    }

    fn outcome(&self, client: &dyn Fn() -> Command) -> ([i32; 3], Option<Vec<String>>) {
        let codes = ["-t", "-d", "start"].map(|word| self.run(client(), &[word]).0);
        let (alive, status) = self.run(client(), &["status"]);
        // a start that has failed starts nothing any more
        let patience = if codes[2] == 0 { 60 } else { 3 };
        let running = (alive == 0).then(|| self.started(&status, patience));
        if running.is_some() {
            assert_eq!(self.run(client(), &["stop"]).0, 0);
        }
        let gone = || !self.path("pid").exists() && !self.path("socket").exists();
        assert!(common::eventually(60, gone), "a server stays behind");
        (codes, running)
    }

    /// The jails of a server that were started, as its log tells; the log may be some moments behind
    /// the answer, by so many seconds.
    fn started(&self, status: &str, patience: u64) -> Vec<String> {
        let list = status.split("Jail list:").nth(1).unwrap_or_default();
        let names = list.trim().split(", ").filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(str::to_owned).collect();
        let told = || -> Vec<String> {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            let told = names
                .iter()
                .filter(|name| log.contains(&format!("Jail '{name}' started")));
            told.cloned().collect()
        };
        common::eventually(patience, || told().len() == names.len());
        told()
    }
}

fn differences_page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    fs::read_to_string(page).unwrap()
}

fn ours() -> Command {
    common::ours("fail2ban-client")
}

fn theirs() -> Command {
    // the original looks for its server program in the PATH
    let mut client = common::original("1.1.1", "fail2ban-client");
    client.env("LC_ALL", "C.UTF-8");
    client
}

fn check(row: &Row, page: &str) -> String {
    let mut wrong = String::new();
    let (codes, started) = row.original;
    let mut expect = |who: &str, (codes, started): Outcome, client: &dyn Fn() -> Command| {
        let started = started.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        let found = Site::new(row).outcome(client);
        if found != (codes, started.clone()) {
            let _ = writeln!(
                wrong,
                "{}: {who} {found:?}, expected {codes:?} {started:?}",
                row.name
            );
        }
    };
    expect("original", (codes, started), &theirs);
    match row.ours {
        None => expect("ours", row.original, &ours),
        Some((outcome, why)) => {
            expect("ours", outcome, &ours);
            if !page.contains(why) {
                let _ = writeln!(wrong, "{}: nothing says {why:?}", row.name);
            }
        }
    }
    wrong
}

#[test]
fn bad_configurations_end_alike() {
    let only = std::env::var("EXIT_CASE").unwrap_or_default();
    let page = differences_page();
    let rows: Vec<&Row> = ROWS.iter().filter(|r| r.name.contains(&only)).collect();
    assert!(!rows.is_empty());
    let next = Mutex::new(rows.into_iter());
    let wrong = Mutex::new(String::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(row) = next.lock().unwrap().next() else {
                        break;
                    };
                    let found = check(row, &page);
                    wrong.lock().unwrap().push_str(&found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_reload_with_a_mistake_changes_nothing() {
    let ok = |retries: u32| format!("[ok]\nmaxretry = {retries}\n");
    let start = Row {
        jails: "[ok]\nmaxretry = 3\n[two]\nenabled = true\nmaxretry = 3\n",
        ..row("reload", "", WELL)
    };
    let site = Site::new(&start);
    assert_eq!(site.run(ours(), &["start"]).0, 0);
    for (mistake, told) in [
        (
            "failregex = ^x (<HOST>",
            "jail.local:5: failregex = ^x (<HOST>",
        ),
        ("maxretry = abc", "jail.local:5: maxretry = abc"),
        ("action = a\n  a", "Action a already exists"),
        ("bantime = 1x", "jail.local:5: bantime = 1x"),
        ("bantime = %(none)s", "jail.local:5"),
        ("stray", "[line  5]: 'stray"),
        (
            "logpath = {dir}/none",
            "Have not found any log file for 'two' jail.",
        ),
    ] {
        let text = format!("{}[two]\nenabled = true\n{mistake}\n", ok(7));
        site.write("jail.local", &text);
        let (code, printed) = site.run(ours(), &["reload"]);
        assert_eq!(code, 255, "{printed}");
        assert!(printed.contains(told), "{mistake}: {printed}");
        let (_, status) = site.run(ours(), &["status"]);
        assert!(status.contains("ok, two"), "{status}");
        for jail in ["ok", "two"] {
            let (_, retries) = site.run(ours(), &["get", jail, "maxretry"]);
            assert_eq!(retries.trim(), "3", "{mistake}");
        }
    }
    // what the original leaves out of a reload, and stops for it: the others go on, and so does the
    // jail itself, as it was; whoever sends it
    for (client, retries) in [(ours(), 5), (theirs(), 6)] {
        let text = format!("{}[two]\nenabled = true\nfilter = none\n", ok(retries));
        site.write("jail.local", &text);
        let (code, printed) = site.run(client, &["reload"]);
        assert_eq!(code, 0, "{printed}");
        assert!(
            printed.contains("Unable to read the filter 'none'"),
            "{printed}"
        );
        let (_, status) = site.run(ours(), &["status"]);
        assert!(status.contains("ok, two"), "{status}");
        let (_, found) = site.run(ours(), &["get", "ok", "maxretry"]);
        assert_eq!(found.trim(), retries.to_string());
        assert_eq!(site.run(ours(), &["get", "two", "maxretry"]).1.trim(), "3");
    }
    // another backend, for which a jail is stopped, with a mistake that only the server finds
    let text = format!(
        "{}[two]\nenabled = true\nbackend = auto\nbantime = 1x\n",
        ok(6)
    );
    site.write("jail.local", &text);
    let (code, printed) = site.run(theirs(), &["reload"]);
    assert_eq!(code, 255, "{printed}");
    assert_eq!(site.run(ours(), &["get", "two", "maxretry"]).1.trim(), "3");
    site.write("jail.local", &ok(7));
    let (code, printed) = site.run(ours(), &["reload"]);
    assert_eq!((code, printed.as_str()), (0, "OK\n"));
    assert_eq!(site.run(ours(), &["get", "ok", "maxretry"]).1.trim(), "7");
    assert_eq!(site.run(ours(), &["stop"]).0, 0);
}
