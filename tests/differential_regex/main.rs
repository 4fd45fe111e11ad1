//! `fail2ban-regex` of the original and ours, asked the same: standard output equal apart from the
//! time it took, exit codes equal.

mod beyond;
#[path = "../common/mod.rs"]
mod common;
mod encodings;
mod journal;
mod options;
mod stock;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A log with hits, misses, comments, an empty line, an undated line, bytes that are no UTF-8, and
/// a last line that is not complete.
const LOG: &[u8] = b"2026-11-20 10:00:00 srv app[1]: login failed for bob from 192.0.2.1\n\
# a comment\n\
\n\
2026-11-20 10:00:01 srv app[1]: login failed for al'ice from 2001:DB8::1\n\
2026-11-20 10:00:02 srv app[2]: login ok for carol from 192.0.2.7\r\n\
undated login failed for dave from 192.0.2.9\n\
2026-11-20 10:00:03 srv app[3]: login failed for \xe4\xff from 192.0.2.2 \n\
2026-11-20 10:00:04 srv app[3]: health check from 198.51.100.1\n\
2026-11-20 10:00:05 srv app[3]: login failed for x from 300.1.2.3\n\
2026-02-30 10:00:05 srv app[3]: login failed for y from 192.0.2.77\n\
2026-11-20 10:00:06 srv app[3]: login failed for last from 192.0.2.3";

/// Control characters, and lines that look empty.
const ODD: &[u8] = b"2026-11-20 10:00:00 login failed for a from 192.0.2.1 \x1c\x1f\n\x1d\n\
2026-11-20 10:00:00 login failed for a\0b from 192.0.2.1\n\0\0\n\
2026-11-20 10:00:00 login failed for \x0b\x1c\x85 from 192.0.2.1\n ; x\n  # y\n   \n\t\n";

/// Lines beyond ASCII.
const WIDE: &str = "\
2026-11-20 10:00:00 srv app[1]: login failed for bob from 192.0.2.1
2026-11-20 10:00:01 srv app[1]: login failed for jäą€ from 192.0.2.2
noise ā from 1
login failed for x from 192.0.2.5
2026-11-20 10:00:06 srv app[3]: login failed for last from 192.0.2.3";

/// Lines of sessions and of multi-line failures.
const SESSIONS: &str = "\
2026-11-20 10:00:00 srv: s1 fail user bob
2026-11-20 10:00:01 srv: s1 fail user bob
2026-11-20 10:00:02 srv: s2 info from 192.0.2.8
2026-11-20 10:00:03 srv: s1 close from 192.0.2.1
2026-11-20 10:00:04 srv: s2 fail user eve
2026-11-20 10:00:05 srv: s2 fail user eve
2026-11-20 10:00:06 srv: s3 fail user amy
2026-11-20 10:00:07 srv: s3 ok user amy from 192.0.2.4
2026-11-20 10:00:08 srv: s4 fail user amy
2026-11-20 10:00:09 srv: s4 ok user tom from 192.0.2.5
2026-11-20 10:00:10 srv: begin 7
2026-11-20 10:00:11 srv: noise
2026-11-20 10:00:12 srv: end 7 from 192.0.2.6
2026-11-20 10:00:13 srv: begin 8
2026-11-20 10:00:14 srv: end 9 from 192.0.2.6
";

const FAILED: &str = "login failed for <F-USER>.*?</F-USER> from <HOST>";
const SESSION: &str = r"srv: <F-MLFID>s\d</F-MLFID> (?:fail user <F-USER>\S+</F-USER>|<F-NOFAIL>info</F-NOFAIL> from <ADDR>|<F-MLFFORGET>close</F-MLFFORGET> from <ADDR>|<F-MLFGAINED>ok</F-MLFGAINED> user <F-ALT_USER>\S+</F-ALT_USER> from <ADDR>)";
const PAIR: &str = r"srv: begin (?P<n>\d)<SKIPLINES>.*srv: end (?P=n) from <ADDR>";

struct Place {
    dir: tempfile::TempDir,
    config: std::path::PathBuf,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("app.log"), LOG).expect("write");
        fs::write(dir.path().join("sessions.log"), SESSIONS).expect("write");
        let many: String = (0..30)
            .map(|i| {
                format!(
                    "2026-11-20 10:00:{i:02} srv: login failed for u from 192.0.2.{i}\nnoise {i}\n"
                )
            })
            .collect();
        fs::write(dir.path().join("many.log"), many).expect("write");
        fs::write(dir.path().join("empty.log"), "").expect("write");
        for (name, lines) in [("nineteen.log", 19), ("twenty.log", 20)] {
            let noise: String = (0..lines).map(|i| format!("noise {i}\n")).collect();
            fs::write(dir.path().join(name), noise).expect("write");
        }
        fs::write(dir.path().join("nul.log"), ODD).expect("write");
        fs::write(dir.path().join("signed.log"), format!("\u{feff}{WIDE}")).expect("write");
        let wide = |name: &str, bytes: Vec<u8>| {
            fs::write(dir.path().join(name), bytes).expect("write");
        };
        let units = || WIDE.encode_utf16();
        wide("utf-16le.log", units().flat_map(u16::to_le_bytes).collect());
        wide("utf-16be.log", units().flat_map(u16::to_be_bytes).collect());
        let numbers = WIDE.chars().map(u32::from);
        wide("utf-32le.log", numbers.flat_map(u32::to_le_bytes).collect());
        fs::create_dir(dir.path().join("directory")).expect("directory");
        let dates = [
            "1163000000",
            "Nov 20, 2026 10:00:00 AM",
            "Nov 20 10:00:01",
            "1763000003",
        ];
        let dates = dates.map(|date| format!("{date} from 192.0.2.1\n"));
        fs::write(dir.path().join("epoch.log"), dates.concat().repeat(3)).expect("write");
        fs::write(dir.path().join("own.conf"), OWN).expect("write");
        fs::write(dir.path().join("content.conf"), CONTENT).expect("write");
        let marked = CONTENT.replace("^ srv", "^ <F-MARK>srv</F-MARK>");
        fs::write(dir.path().join("marked.conf"), marked).expect("write");
        let broken = dir.path().join("broken");
        for folder in ["filter.d", "action.d"] {
            fs::create_dir_all(broken.join(folder)).expect("directory");
        }
        for (name, text) in BROKEN {
            fs::write(broken.join(name), text).expect("write");
        }
        Place {
            dir,
            config: common::reference("1.1.1").join("etc/fail2ban"),
        }
    }

    fn run(&self, mut command: Command, words: &[&str]) -> Output {
        let samples = "usr/lib/python3/dist-packages/fail2ban/tests/files/logs";
        let samples = common::reference("1.1.1").join(samples);
        let logs = samples.to_string_lossy();
        let config = self.config.to_string_lossy();
        let words = words
            .iter()
            .map(|w| w.replace("{logs}", &logs).replace("{config}", &config));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env("TZ", "Europe/Berlin")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .expect("run")
    }
}

/// A filter outside any configuration directory.
const OWN: &str = "\
[INCLUDES]
[Definition]
failregex = ^ srv app\\[\\d+\\]: login failed for <F-USER>.*</F-USER> from <ADDR>
            health check from <ADDR>
ignoreregex = failed for <what>
datepattern = ^%%Y-%%m-%%d %%H:%%M:%%S
[Init]
what = bob
";

/// A filter whose prefregex has no field of its own.
const CONTENT: &str = "\
[Definition]
prefregex = ^ srv app\\[\\d+\\]: <F-CONTENT>.+</F-CONTENT>$
failregex = ^login failed(?: for (?P<user>b\\S+))? .*from <ADDR>
";

/// A configuration with mistakes, and with options in `[Init]`.
const BROKEN: &[(&str, &str)] = &[
    ("fail2ban.conf", "[Definition]\n"),
    (
        "jail.conf",
        "[one]\nfilter = unknown\nlogpath = /dev/null\n[two]\nfilter = %(nosuch)s\n\
         [dated]\nfilter = init[maxlines=3, datepattern=TAI64N]\nlogpath = /dev/null\n\
         datepattern = Epoch\n\
         [known]\nfilter = init\nlogpath = /dev/null\ndatepattern = ^x\n  %(known/datepattern)s\n\
         [bare]\nlogpath = /dev/null\n[twice]\nfilter = init\nmaxlines = 0\nlogpath = /dev/null\n",
    ),
    (
        "filter.d/twice.conf",
        "[Definition]\nfailregex = from <HOST>\ndatepattern = Epoch\n  Epoch\n",
    ),
    (
        "filter.d/percent.conf",
        "[Definition]\nfailregex = from <HOST>\ndatepattern = %%Q\n",
    ),
    (
        "filter.d/unset.conf",
        "[Definition]\nprefregex = ^ srv(?: <F-X>x</F-X>)? <F-V>app\\[\\d+\\]</F-V>: <F-CONTENT>.+</F-CONTENT>$\n\
         failregex = ^login failed for (?:al<F-USER>\\S+</F-USER>|<F-ALT_USER>\\S+</F-ALT_USER>) from <HOST>(?: <F-Y>y</F-Y>)?\n\
         \x20 ^<F-NOFAIL>health(?: <F-Z>z</F-Z>)?</F-NOFAIL> check from <ADDR>\n",
    ),
    (
        "filter.d/local.conf",
        "[Definition]\nfailregex = from <HOST>\ndatepattern = Epoch\n",
    ),
    (
        "filter.d/local.local",
        "[Definition]\ndatepattern = ^x\n  %(known/datepattern)s\n  <more>\n[Init]\nmore = ^w\n",
    ),
    (
        "filter.d/unknown.conf",
        "[Definition]\nfailregex = ^x %(nosuch)s <HOST>\n",
    ),
    (
        "filter.d/unescaped.conf",
        "[Definition]\nfailregex = ^x % y <HOST>\n",
    ),
    ("filter.d/none.conf", "[Init]\nx = y\n"),
    (
        "filter.d/init.conf",
        "[Definition]\nfailregex = ^x <HOST>\n[Init]\ndatepattern = {^LN-BEG}TAI64N\nmaxlines = 2\n",
    ),
    (
        "filter.d/dates.conf",
        "[Definition]\nfailregex = from <HOST>\n\
         datepattern = {^LN-BEG}Epoch\n    ^TAI64N\n    {^LN-BEG}%%b %%d, %%ExY %%I:%%M:%%S %%p\n",
    ),
    (
        "filter.d/defaults.conf",
        "[Definition]\nfailregex = from <HOST>\ndatepattern = {^LN-BEG}epoch\n    {^LN-BEG}\n",
    ),
];

/// What the program prints, without the line that tells how long it took, and with one word for
/// times of the present.
fn text(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("[processed in "));
    lines.map(without_present).collect::<Vec<_>>().join("\n")
}

/// A line with words for the time, the process and the thread of a log record.
fn without_present(line: &str) -> String {
    if let Some(record) = line.strip_prefix(' ').or(Some(line))
        && let Some((time, rest)) = record.split_at_checked(24)
        && chrono::NaiveDateTime::parse_from_str(time.trim_end(), "%Y-%m-%d %H:%M:%S,%3f").is_ok()
    {
        return match rest.split_once("]: ") {
            Some((target, rest)) if line == record => {
                let target = target.trim_end_matches(|c: char| c.is_ascii_digit());
                format!("TIME {target}]: {rest}")
            }
            _ => format!(
                "TIME {}",
                rest.split_once(' ').map_or(rest, |(_, rest)| rest)
            ),
        };
    }
    let now = chrono::Utc::now().timestamp();
    let near = |time: i64| (time - now).abs() < 300;
    if let Some(at) = line.len().checked_sub(24)
        && let Some(tail) = line.get(at..)
        && let Ok(time) = chrono::NaiveDateTime::parse_from_str(tail, "%a %b %d %H:%M:%S %Y")
    {
        // the zone of these tests is one or two hours ahead
        let time = time.and_utc().timestamp();
        if near(time - 3600) || near(time - 7200) {
            return format!("{}NOW", &line[..at]);
        }
    }
    let words = line.split(' ').map(|word| match word.parse::<f64>() {
        Ok(time) if near(time as i64) => "NOW",
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

fn compare(invocations: &[&[&str]]) {
    let place = Place::new();
    let mut wrong = Vec::new();
    for words in invocations {
        let theirs = place.run(common::original("1.1.1", "fail2ban-regex"), words);
        let ours = place.run(common::ours("fail2ban-regex"), words);
        let (a, b) = (text(&theirs), text(&ours));
        if a != b || theirs.status.code() != ours.status.code() {
            let first = a
                .lines()
                .zip(b.lines())
                .find(|(a, b)| a != b)
                .map_or(("(more or fewer lines)", ""), |pair| pair);
            wrong.push(format!(
                "{words:?}\n  original ({:?}): {}\n  ours     ({:?}): {}\n{}",
                theirs.status.code(),
                first.0,
                ours.status.code(),
                first.1,
                String::from_utf8_lossy(&ours.stderr)
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        invocations.len(),
        wrong.join("\n")
    );
}

#[test]
fn regexes_on_a_file() {
    compare(&[
        &["app.log", FAILED],
        &["-v", "app.log", FAILED],
        &["app.log", FAILED, "bob"],
        &["-v", "app.log", FAILED, "bob|alice"],
        &["--print-all-matched", "app.log", FAILED, "bob"],
        &[
            "--print-no-missed",
            "--print-no-ignored",
            "app.log",
            FAILED,
            "bob",
        ],
        &[
            "--print-all-missed",
            "--print-all-ignored",
            "app.log",
            FAILED,
            "bob",
        ],
        &[
            "--debuggex",
            "--print-all-matched",
            "app.log",
            FAILED,
            "bob",
        ],
        &["-d", "{NONE}", "app.log", FAILED],
        &["-d", "^%Y-%m-%d %H:%M:%S", "app.log", FAILED],
        &["-d", "{^LN-BEG}", "app.log", FAILED],
        &["-d", "EPOCH", "app.log", FAILED],
        &["--timezone", "UTC", "-v", "app.log", FAILED],
        &["--TZ", "+0530", "-v", "app.log", FAILED],
        &["-e", "latin1", "app.log", FAILED],
        &["-e", "ascii", "app.log", FAILED],
        &["--raw", "-v", "app.log", FAILED],
        &["--usedns", "no", "app.log", FAILED],
        &["--usedns=raw", "-v", "app.log", "from <HOST>"],
        &["--no-check-all", "app.log", FAILED],
        &["many.log", FAILED],
        &["many.log", "from <ADDR>", "failed"],
        &["-L", "40", "many.log", FAILED],
        &["-L", "5", "-v", "many.log", FAILED],
        &["empty.log", FAILED],
    ]);
}

#[test]
fn lines_and_errors() {
    compare(&[
        &["2026-11-20 10:00:00 x from 192.0.2.1", "from <HOST>"],
        &[
            "2026-11-20 10:00:00 x from 192.0.2.1\nand another one\n\n# comment\n",
            "from <HOST>",
        ],
        &["a\nb\nc\nd\ne\nf\ng", "^<F-ID>[ab]</F-ID>"],
        &["-L", "2", "one 192.0.2.1", "<ADDR>"],
        &["x 192.0.2.1", "no id group"],
        &["x 192.0.2.1", ""],
        &["x 192.0.2.1", "(<HOST>"],
        &["x 192.0.2.1", "<HOST> <HOST>"],
        &["x 192.0.2.1", "<HOST>", "("],
        &["-d", "%Q", "x 192.0.2.1", "<HOST>"],
        &["--timezone", "Europe/Paris", "x 192.0.2.1", "<HOST>"],
        &["-L", "-1", "x 192.0.2.1", "<HOST>"],
        &["-L", "0", "x 192.0.2.1", "<ADDR>"],
        &["-c", "/nonexistent", "x 192.0.2.1", "sshd"],
        &["-c", "{config}", "x 192.0.2.1", "nosuchfilter"],
        &["-c", "{config}", "x 192.0.2.1", "sshd[mode"],
        &["-l", "nosuchlevel", "x", "<HOST>"],
        &["-e", "nosuchencoding", "app.log", "<HOST>"],
        &["--version"],
        &["-V"],
        &["192.0.2.1/8", "<SUBNET>"],
        &["--usedns", "nonsense", "x 192.0.2.1", "<HOST>$"],
    ]);
}

#[test]
fn forms_of_output() {
    compare(&[
        &["-o", "id", "app.log", FAILED],
        &["-o", "fid", "app.log", FAILED],
        &["-o", "ip", "app.log", FAILED],
        &["-o", "msg", "app.log", FAILED],
        &["-o", "row", "app.log", FAILED],
        &["-o", "user", "app.log", FAILED],
        &["-o", "none", "app.log", FAILED],
        &["-o", "matches", "app.log", FAILED],
        &[
            "-o",
            "<ip> <F-USER> <time> <msg> <unknown>",
            "app.log",
            FAILED,
        ],
        &["-o", "<fid>,<family>,<matches>", "app.log", FAILED],
        &[
            "-o",
            "<ip-rev> <F-NONE>|<name> <failures> <bancount>",
            "app.log",
            FAILED,
        ],
        &["-i", "-o", "msg", "app.log", FAILED],
        &["-i", "-o", "row", "app.log", FAILED],
        &["-i", "-o", "id", "app.log", FAILED],
        &["-o", "row", "app.log", FAILED, "bob"],
        &[
            "-o",
            "row",
            "a b c 192.0.2.1",
            "<F-ID>a</F-ID> <F-TUPLE_ID>b</F-TUPLE_ID> <F-TUPLE_ID_2>c</F-TUPLE_ID_2> <HOST>",
        ],
        &["-o", "row", "sessions.log", SESSION],
        &["-o", "msg", "sessions.log", SESSION],
        &["-o", "users", "sessions.log", SESSION],
        &["-o", "[<ip>] <msg>", "sessions.log", SESSION],
        &["-o", "row", "app.log", "content.conf"],
        &["-o", "row", "app.log", "marked.conf"],
        &["-o", "row", "-L", "4", "sessions.log", PAIR],
        &["-o", "msg", "-L", "4", "sessions.log", PAIR],
    ]);
}

#[test]
fn sessions_and_buffers() {
    compare(&[
        &["sessions.log", SESSION],
        &["-v", "sessions.log", SESSION],
        &["--no-check-all", "-v", "sessions.log", SESSION],
        &["-L", "4", "sessions.log", PAIR],
        &["-L", "4", "-v", "--print-all-matched", "sessions.log", PAIR],
        &[
            "-L",
            "4",
            "--debuggex",
            "--print-all-matched",
            "sessions.log",
            PAIR,
        ],
        &["-L", "4", "sessions.log", PAIR, "noise"],
    ]);
}

#[test]
fn filters_and_jails() {
    compare(&[
        &["-c", "{config}", "{logs}/sshd", "sshd"],
        &[
            "-c",
            "{config}",
            "-v",
            "{logs}/sshd",
            "sshd[mode=aggressive]",
        ],
        &[
            "-c",
            "{config}",
            "-vv",
            "{logs}/sshd",
            "sshd[mode=aggressive, publickey=any]",
        ],
        &[
            "-c",
            "{config}",
            "{logs}/postfix",
            "filter.d/postfix.conf[mode=aggressive]",
        ],
        &["{logs}/dovecot", "{config}/filter.d/dovecot.conf"],
        &["{logs}/sshd", "{config}/filter.d/sshd.conf", "from 192"],
        &["-c", "{config}", "{logs}/mongodb-auth", "mongodb-auth"],
        &[
            "-c",
            "{config}",
            "-v",
            "{logs}/ejabberd-auth",
            "ejabberd-auth",
        ],
        &[
            "-c",
            "{config}",
            "-o",
            "row",
            "{logs}/apache-auth",
            "apache-auth",
        ],
        &[
            "-c",
            "{config}",
            "-o",
            "id",
            "{logs}/exim",
            "exim[mode=aggressive]",
        ],
        &[
            "-c",
            "{config}",
            "--debuggex",
            "{logs}/selinux-ssh",
            "selinux-ssh",
        ],
        &[
            "-c",
            "{config}",
            "{logs}/nginx-http-auth",
            "nginx-http-auth",
        ],
        &["app.log", "own.conf"],
        &["app.log", "./own.conf[what=alice]"],
        &["-v", "app.log", "own.conf[what=x]", "nothing"],
        &["-c", "{config}", "app.log", "nosuchfilter[a=1]"],
    ]);
}

#[test]
fn usage_errors_have_the_same_exit_codes() {
    let place = Place::new();
    for words in [
        &["--nope", "a", "b"][..],
        &["-L", "x", "a", "b"],
        &["a"],
        &[],
        &["a", "b", "c", "d"],
        &["--print-no-missed", "--print-all-missed", "a", "b"],
        &["a", "b", "-c"],
        &["-h"],
    ] {
        let theirs = place.run(common::original("1.1.1", "fail2ban-regex"), words);
        let ours = place.run(common::ours("fail2ban-regex"), words);
        assert_eq!(theirs.status.code(), ours.status.code(), "{words:?}");
        let last = |o: &Output| {
            let text = String::from_utf8_lossy(&o.stderr).into_owned();
            text.lines().last().map(str::to_owned)
        };
        assert_eq!(last(&theirs), last(&ours), "{words:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let path = place.dir.path().join("long.log");
    fs::write(
        &path,
        "2026-11-20 10:00:00 login failed for a from 192.0.2.1\n".repeat(50_000),
    )
    .expect("write");
    let mut child = common::ours("fail2ban-regex")
        .args([Path::new("-o"), Path::new("msg"), &path, Path::new(FAILED)])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("run");
    drop(child.stdout.take());
    let status = child.wait().expect("wait");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn mistakes_in_a_configuration() {
    compare(&[
        &["-c", "broken", "x", "unknown"],
        &["-c", "broken", "-vv", "x", "unknown[a=b, mode=c]"],
        &["-c", "broken", "x", "unescaped"],
        &["x", "broken/filter.d/unescaped.conf"],
        &["-c", "broken", "x", "one"],
        &["-c", "broken", "x", "one[a=b]"],
        &["-c", "broken", "x", "two"],
        &["-c", "broken", "-vv", "x", "none"],
        &["-c", "broken", "-vv", "x 192.0.2.1", "init"],
        &[
            "-c",
            "broken",
            "-vv",
            "x 192.0.2.1",
            "init[maxlines=3, z=1]",
        ],
        &["-c", "broken", "x", "twice.conf"],
        &["-c", "broken", "x", "twice"],
        &["-c", "broken", "x", "twice[maxlines=2]"],
        &["-c", "broken", "x", "percent"],
        &["-c", "broken", "-v", "x", "init[x=y]]"],
    ]);
}

#[test]
fn options_of_a_jail_and_its_filter_come_in_the_order_of_the_original() {
    compare(&[
        &["-c", "broken", "-vv", "x 192.0.2.1", "dated"],
        &["-c", "broken", "-vv", "x 192.0.2.1", "dated[maxlines=4]"],
        &[
            "-c",
            "broken",
            "-vv",
            "x 192.0.2.1",
            "dated[datepattern=^x]",
        ],
        &["-c", "broken", "-vv", "x 192.0.2.1", "known"],
        &[
            "-c",
            "broken",
            "-vv",
            "x 192.0.2.1",
            "known[datepattern=^y]",
        ],
        &["-c", "broken", "-vv", "x 192.0.2.1", "bare"],
        &["-c", "broken", "-vv", "x 192.0.2.1", "local"],
        &["-c", "broken", "-vv", "x 192.0.2.1", "local[more=Epoch]"],
        &["-c", "broken", "-vv", "x 192.0.2.1", "local[more=^z]"],
    ]);
}

#[test]
fn unset_groups_are_none_in_a_row() {
    for form in ["row", "user", "x", "<F-USER>|<F-Y>|<ip>"] {
        compare(&[
            &["-c", "broken", "-o", form, "app.log", "unset"],
            &["-c", "broken", "-i", "-o", form, "app.log", "unset"],
        ]);
    }
    compare(&[
        &["-o", "row", "x for y", "for (?:x<F-ID>\\S+</F-ID>)?"],
        &[
            "-o",
            "row",
            "x 192.0.2.1",
            "(?:<F-MLFID>z</F-MLFID>)?x <ADDR>",
        ],
        &[
            "-o",
            "row",
            "x 192.0.2.1",
            "x <ADDR>(?:<F-NOFAIL>z</F-NOFAIL>)?",
        ],
        &[
            "-o",
            "row",
            "x 192.0.2.1",
            "(?:<F-TUPLE_ID>z</F-TUPLE_ID>)?x <F-TUPLE_ID_2>\\S+</F-TUPLE_ID_2>",
        ],
    ]);
}

/// What is told of each line and the regexes that are tried on it.
#[test]
fn log_level_heavydebug_tells_each_line() {
    const TOLD: [&str; 6] = [
        "Working on line ",
        "  Looking for prefregex ",
        "  Pre-filter matched ",
        "  Looking for failregex ",
        "  Matched failregex ",
        "  Matched ignoreregex ",
    ];
    let place = Place::new();
    for words in [
        &["app.log", FAILED][..],
        &["app.log", FAILED, "bob"],
        &["--no-check-all", "app.log", FAILED, "bob"],
        &["-L", "2", "app.log", FAILED],
        &["-c", "broken", "app.log", "unset"],
        &["-o", "id", "app.log", FAILED],
    ] {
        for level in ["heavydebug", "tracedebug"] {
            let words = [&["-l", level][..], words].concat();
            let told = |program| {
                let output = text(&place.run(program, &words));
                let lines = output.lines().filter_map(|line| {
                    let (_, message) = line.split_once(": ")?;
                    let (level, message) = message.split_once(": ")?;
                    let is_told = TOLD.iter().any(|told| message.starts_with(told));
                    // how the regex of an address is spelt is another matter
                    let (message, _) = message.split_once(" - ").unwrap_or((message, ""));
                    is_told.then(|| format!("{level}: {message}"))
                });
                lines.collect::<Vec<_>>()
            };
            let theirs = told(common::original("1.1.1", "fail2ban-regex"));
            let ours = told(common::ours("fail2ban-regex"));
            assert!(theirs.len() >= 10, "{words:?}: {theirs:#?}");
            assert_eq!(ours, theirs, "{words:?}");
        }
    }
}

#[test]
fn weights_of_date_templates() {
    compare(&[
        &["-c", "broken", "-vv", "epoch.log", "dates"],
        &["-c", "broken", "-vv", "epoch.log", "defaults"],
        &["-vv", "-d", "{^LN-BEG}Epoch", "epoch.log", "from <HOST>"],
        &["-vv", "-d", "^Epoch", "epoch.log", "from <HOST>"],
        &["-c", "{config}", "-vv", "{logs}/squid", "squid"],
        &["-c", "{config}", "-vv", "{logs}/nsd", "nsd"],
        &["-c", "{config}", "-vv", "{logs}/portsentry", "portsentry"],
        &["-c", "{config}", "-vv", "{logs}/dovecot", "dovecot"],
    ]);
}

#[test]
fn verbose_date_shows_weights_and_patterns() {
    let place = Place::new();
    for words in [
        &[
            "-c",
            "broken",
            "-vv",
            "--verbose-date",
            "epoch.log",
            "dates",
        ][..],
        &["--VD", "-v", "epoch.log", "from <HOST>"],
        &["--VD", "-d", "{^LN-BEG}Epoch", "epoch.log", "from <HOST>"],
        &["--VD", "-v", "-d", "^TAI64N", "epoch.log", "from <HOST>"],
    ] {
        let weights = |program| {
            let output = text(&place.run(program, words));
            let lines = output.lines().filter(|line| line.contains("# weight: "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let theirs = weights(common::original("1.1.1", "fail2ban-regex"));
        let ours = weights(common::ours("fail2ban-regex"));
        assert!(!theirs.is_empty(), "{words:?}");
        assert_eq!(ours, theirs, "{words:?}");
    }
}
