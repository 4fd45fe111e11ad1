//! The configuration of the original, and configurations of our own, read by both programs:
//! what `fail2ban-client -d` prints must be equal line by line.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ferroban::parts::config::{self, ConfigMessage, ReadOptions};
use ferroban::parts::control::Value;
use ferroban::parts::log::Level;

/// What a run of `-d` or `-t` shows.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Lines on stdout.
    lines: Vec<String>,
    /// Logger, level and text of every record from WARNING up.
    records: Vec<String>,
    /// Exit code 0.
    ok: bool,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Dump,
    Test,
}

fn of_original(dir: &Path, mode: Mode) -> Outcome {
    let output = common::original("1.1.1", "fail2ban-client")
        .arg("-c")
        .arg(dir)
        .arg(if mode == Mode::Dump { "-d" } else { "-t" })
        .env("PYTHONUTF8", "1")
        .output()
        .expect("the original runs");
    let mut records: Vec<String> = Vec::new();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        match record(line) {
            Some(record) => records.push(record),
            None => {
                let last = records.last_mut().expect("a record before its second line");
                last.push('\n');
                last.push_str(line);
            }
        }
    }
    // The last word of the client itself, not of the reader.
    records.retain(|record| !record.ends_with("Init of command line failed"));
    say_once(&mut records);
    Outcome {
        lines: lines(&String::from_utf8_lossy(&output.stdout)),
        records,
        ok: output.status.success(),
    }
}

/// `DATE TIME LOGGER   [PID]: LEVEL   TEXT` → `LOGGER LEVEL TEXT`
fn record(line: &str) -> Option<String> {
    let (head, rest) = line.split_once("]: ")?;
    let logger = head.strip_prefix("20")?.split_whitespace().nth(2)?;
    let logger = logger.split('[').next()?;
    let level = rest.split_whitespace().next()?;
    let text = rest.get(level.len().max(7) + 1..)?;
    logger
        .starts_with("fail2ban")
        .then(|| format!("{logger} {level} {text}"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn of_ours(dir: &Path, mode: Mode) -> Outcome {
    let early = match config::read_early(dir) {
        Ok(early) => early,
        Err(error) => {
            return Outcome {
                lines: lines(&format!("ERROR: {}", without_place(&error.to_string()))),
                records: records(&error.messages),
                ok: false,
            };
        }
    };
    let options = ReadOptions {
        allow_no_files: mode == Mode::Dump,
        strict: mode == Mode::Test,
        // the original gives up everything for one bad jail: compared is how it says so
        refuse_faulty: true,
        ..ReadOptions::default()
    };
    let mut records_seen = records(&early.warnings);
    let (commands, ok) = match config::read(dir, &options) {
        Ok(stream) => {
            records_seen.extend(records(&stream.warnings));
            let commands = stream.commands.into_iter();
            let commands = commands.map(|command| Value::List(command).repr());
            (commands.collect(), stream.accepted)
        }
        Err(error) => {
            records_seen.extend(records(&error.messages));
            let text = without_place(&error.to_string()).to_owned();
            records_seen.push(format!(
                "fail2ban ERROR Failed during configuration: {text}"
            ));
            let text = "ERROR: The configuration stream failed because of the invalid syntax.";
            (vec![text.to_owned()], false)
        }
    };
    // a word that no address can be is told by us alone
    records_seen.retain(|record| !record.contains("Nobody is ignored by "));
    let verdict = if ok {
        "OK: configuration test is successful"
    } else {
        "ERROR: test configuration failed"
    };
    say_once(&mut records_seen);
    Outcome {
        lines: match mode {
            Mode::Dump => commands,
            Mode::Test => vec![verdict.to_owned()],
        },
        records: records_seen,
        ok,
    }
}

/// The original says of a file without `[Definition]` that it has none for each option that it looks
/// for, we once.
fn say_once(records: &mut Vec<String>) {
    records.dedup_by(|a, b| a == b && a.contains("No section: 'Definition'"));
}

fn records(messages: &[ConfigMessage]) -> Vec<String> {
    let shown = messages
        .iter()
        .filter(|message| message.level >= Level::Warning);
    shown
        .map(|message| {
            let level = message.level.name();
            format!(
                "{} {level} {}",
                message.target,
                without_place(&message.text)
            )
        })
        .collect()
}

/// Our errors end in ` (FILE:LINE)`, ` (FILE:LINE: TEXT)` or ` (FILE: REASON)` where the original does
/// not say where or why.
fn without_place(text: &str) -> &str {
    let place = text.rsplit_once(" (/").filter(|(_, place)| {
        let place = place
            .strip_suffix(')')
            .and_then(|place| place.split_once(':'));
        place.is_some_and(|(_, rest)| rest.starts_with(|c: char| c == ' ' || c.is_ascii_digit()))
    });
    place.map_or(text, |(text, _)| text)
}

/// Compares both; the first difference is told.
fn compare(name: &str, dir: &Path, mode: Mode) -> Result<(), String> {
    compare_long(name, dir, mode, 0)
}

/// The same, and the original must print so many lines: two equal errors prove nothing.
fn compare_long(name: &str, dir: &Path, mode: Mode, least: usize) -> Result<(), String> {
    let (theirs, mut ours) = (of_original(dir, mode), of_ours(dir, mode));
    // the original gives up at the first mistake of this kind, we tell of all
    let gives_up = |record: &String| record.contains("Failed during configuration");
    if theirs.records.iter().any(gives_up) {
        ours.records
            .retain(|record| theirs.records.contains(record));
    }
    if theirs == ours && theirs.lines.len() >= least {
        return Ok(());
    }
    let mut text = format!(
        "{name} {mode:?}: ok {}, original {}, {} lines\n",
        ours.ok,
        theirs.ok,
        theirs.lines.len()
    );
    for (what, theirs, ours) in [
        ("line", &theirs.lines, &ours.lines),
        ("record", &theirs.records, &ours.records),
    ] {
        for at in 0..theirs.len().max(ours.len()) {
            let (a, b) = (theirs.get(at), ours.get(at));
            if a != b {
                let _ = writeln!(text, "{what} {}\n original {a:?}\n ours     {b:?}", at + 1);
                break;
            }
        }
    }
    Err(text)
}

/// A directory holding a copy of a stock configuration.
fn stock(version: &str) -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let dir = temporary.path().join("fail2ban");
    copy(&common::reference(version).join("etc/fail2ban"), &dir);
    (temporary, dir)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory to copy") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copied file");
        }
    }
}

/// Names of the jails of a stock configuration.
fn jails(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join("jail.conf")).expect("jail.conf");
    let sections = text.lines().filter_map(|line| line.strip_prefix('['));
    sections
        .filter_map(|line| line.split(']').next())
        .filter(|name| !["INCLUDES", "DEFAULT"].contains(name))
        .map(str::to_owned)
        .collect()
}

fn assert_none(differences: &[String]) {
    assert!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

#[test]
fn stock_configurations_read_alike() {
    let mut differences = Vec::new();
    for version in ["1.1.1", "1.0.2"] {
        let (_guard, dir) = stock(version);
        differences.extend(compare_long(version, &dir, Mode::Dump, 7).err());
        let jails = jails(&dir);
        assert!(jails.len() > 80, "{} jails", jails.len());

        let all: String = jails
            .iter()
            .map(|jail| format!("[{jail}]\nenabled = true\n"))
            .collect();
        fs::write(dir.join("jail.local"), &all).expect("jail.local");
        differences
            .extend(compare_long(&format!("{version}, all jails"), &dir, Mode::Dump, 1000).err());
        let polling = format!("[DEFAULT]\nbackend = polling\n{all}");
        fs::write(dir.join("jail.local"), polling).expect("jail.local");
        differences.extend(
            compare_long(
                &format!("{version}, all jails polling"),
                &dir,
                Mode::Dump,
                1000,
            )
            .err(),
        );
    }
    assert_none(&differences);
}

#[test]
fn each_stock_jail_alone_reads_alike() {
    let mut differences = Vec::new();
    for version in ["1.1.1", "1.0.2"] {
        let (_guard, dir) = stock(version);
        for jail in jails(&dir) {
            let local = format!("[sshd]\nenabled = false\n[{jail}]\nenabled = true\n");
            let local = if jail == "sshd" {
                "[sshd]\nenabled = true\n".to_owned()
            } else {
                local
            };
            fs::write(dir.join("jail.local"), local).expect("jail.local");
            differences
                .extend(compare_long(&format!("{version} {jail}"), &dir, Mode::Dump, 12).err());
        }
    }
    assert_none(&differences);
}

/// A case of `config_cases.txt`: its name and its files.
struct Case {
    name: &'static str,
    files: Vec<(&'static str, &'static str)>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("config_cases.txt");
    let blocks = text.split("\n=== ").skip(1);
    blocks
        .map(|block| {
            let (name, rest) = block.split_once('\n').expect("a name");
            let files = rest.strip_prefix("--- ").unwrap_or_default();
            let files = files.split("\n--- ").filter(|file| !file.is_empty());
            let files = files.map(|file| file.split_once('\n').unwrap_or((file, "")));
            Case {
                name,
                files: files.collect(),
            }
        })
        .collect()
}

fn write_case(dir: &Path, case: &Case) {
    for (file, text) in &case.files {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        let text = text
            .replace("{dir}", &dir.to_string_lossy())
            .replace("{cr}", "\r")
            .replace("{nbsp}", "\u{a0}")
            .replace("{bom}", "\u{feff}");
        let mut bytes = Vec::new();
        for (number, part) in text.split("{byte:ff}").enumerate() {
            bytes.extend((number > 0).then_some(0xff));
            bytes.extend(part.as_bytes());
        }
        bytes.push(b'\n');
        fs::write(path, bytes).expect("a written file");
    }
}

#[test]
fn small_configurations_read_alike() {
    let cases = cases();
    let (base, cases) = cases.split_first().expect("the base case");
    assert!(cases.len() > 80, "{} cases", cases.len());
    let only = std::env::var("CONFIG_CASE").unwrap_or_default();
    let mut differences = Vec::new();
    for case in cases.iter().filter(|case| case.name.contains(&only)) {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let dir = temporary.path().join("fail2ban");
        write_case(&dir, base);
        write_case(&dir, case);
        for mode in [Mode::Dump, Mode::Test] {
            differences.extend(compare(case.name, &dir, mode).err());
        }
    }
    assert_none(&differences);
}

#[test]
fn each_stock_action_reads_alike() {
    let mut differences = Vec::new();
    for version in ["1.1.1", "1.0.2"] {
        let (_guard, dir) = stock(version);
        let names = fs::read_dir(dir.join("action.d")).expect("action.d");
        let mut names: Vec<String> = names
            .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
            .collect();
        names.sort();
        let mut local = String::from("[sshd]\nenabled = false\n");
        for (number, name) in names.iter().enumerate() {
            let action = name.trim_end_matches(".conf");
            let _ = writeln!(
                local,
                "[j{number}]\nenabled = true\nbackend = polling\nfilter = sshd\n\
                 action = {action}\n  {action}[actname=x, port=\"1,2\", protocol=udp, blocktype=DROP]\n  \
                 {action}[name=j{number}-y, chain=\"A B\", bantime=5, table=<name>][lockingopt=]"
            );
        }
        fs::write(dir.join("jail.local"), local).expect("jail.local");
        differences
            .extend(compare_long(&format!("{version}, all actions"), &dir, Mode::Dump, 1000).err());
    }
    assert_none(&differences);
}

#[test]
fn each_banaction_with_each_kind_of_action_reads_alike() {
    const KINDS: [&str; 7] = [
        "action_",
        "action_mw",
        "action_mwl",
        "action_xarf",
        "action_cf_mwl",
        "action_blocklist_de",
        "action_abuseipdb",
    ];
    let mut differences = Vec::new();
    for version in ["1.1.1", "1.0.2"] {
        let (_guard, dir) = stock(version);
        let names = fs::read_dir(dir.join("action.d")).expect("action.d");
        let mut names: Vec<String> = names
            .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
            .filter(|name| name.ends_with(".conf"))
            .collect();
        names.sort();
        let mut local = String::from(
            "[DEFAULT]\nbackend = polling\nlogpath = /var/log/x.log\nfilter = sshd\ncfemail = a@b\ncfapikey = k\n\
             blocklist_de_apikey = k\nabuseipdb_apikey = k\nabuseipdb_category = 18\n",
        );
        for name in &names {
            let action = name.trim_end_matches(".conf");
            for kind in KINDS {
                let _ = writeln!(
                    local,
                    "[{action}-{kind}]\nenabled = true\nbanaction = {action}[blocktype=DROP]\n\
                     action = %({kind})s\n"
                );
            }
        }
        fs::write(dir.join("jail.local"), local).expect("jail.local");
        differences
            .extend(compare_long(&format!("{version} banactions"), &dir, Mode::Dump, 5000).err());
    }
    assert_none(&differences);
}

#[test]
fn sections_of_the_oldest_kind_read_alike() {
    let (_guard, dir) = stock("1.1.1");
    let local = "[dovecot-iptables]\nenabled  = true\nfilter   = dovecot\nbackend = polling\n\
        action   = iptables-multiport[name=dovecot, port=\"smtp,smtps,submission,pop3,pop3s,imap,imaps\", protocol=tcp]\n           \
        sendmail-whois[name=dovecot, dest=admin@example.com]\n\
        logpath  = /var/log/maillog\nmaxretry = 5\nfindtime = 1200\nbantime  = 1200\n\
        ignoreip = 127.0.0.1 10.0.0.0/8 192.168.0.0/16 172.16.0.0/16\n\
        [postfix-old]\nenabled = true\nfilter = postfix-old\naction = hostsdeny\nlogpath = /var/log/maillog\n";
    let filter = "[Definition]\nfailregex = (?i)login failed.* rip=(?P<host>\\S*),.*\n            \
        \\#011rip=<HOST>\\#\n            \
        statistics: max recipient rate .*\\/.*s for \\(smtp:<HOST>\\) at .*\nignoreregex =\n";
    fs::write(dir.join("jail.local"), local).expect("jail.local");
    fs::write(dir.join("filter.d/postfix-old.conf"), filter).expect("a filter");
    assert_eq!(compare_long("old sections", &dir, Mode::Dump, 20), Ok(()));
}

/// Both programs' `fail2ban-client` with these options: exit code and standard output.
fn printed(dir: &Path, options: &[&str]) -> [(Option<i32>, String); 2] {
    let programs = [
        common::original("1.1.1", "fail2ban-client"),
        common::ours("fail2ban-client"),
    ];
    programs.map(|mut program| {
        let output = program
            .arg("-c")
            .arg(dir)
            .args(options)
            .env("PYTHONUTF8", "1")
            .output()
            .expect("a program runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        (output.status.code(), text)
    })
}

#[test]
fn pretty_dumps_are_broken_alike() {
    let (_guard, dir) = stock("1.1.1");
    let all: String = jails(&dir)
        .iter()
        .map(|jail| format!("[{jail}]\nenabled = true\nbackend = polling\n"))
        .collect();
    // long texts of one line, of several, with blanks and without, nested and not
    let odd = format!(
        "[odd]\nenabled = true\nfilter =\naction = a[x=\"{}\", y=\"{}\", z=\"{}\"]\nignorecommand = {}\nignoreip = {}\n",
        "word ".repeat(500),
        "x".repeat(1500),
        "ü \u{a0}é".repeat(400),
        "short line of words\n   ".repeat(90),
        "192.0.2.1 ".repeat(200),
    );
    fs::write(dir.join("jail.local"), all + &odd).expect("jail.local");
    fs::write(
        dir.join("action.d/a.conf"),
        "[Definition]\nactionban = <x>\n",
    )
    .expect("an action");
    for options in [
        &["--dp"][..],
        &["--dump-pretty"],
        &["-d", "--dp"],
        &["--dp", "-d"],
    ] {
        let [theirs, ours] = printed(&dir, options);
        assert!(theirs.1.lines().count() > 1000);
        assert_eq!(theirs.0, ours.0);
        let pairs = theirs.1.lines().zip(ours.1.lines());
        for (number, (theirs, ours)) in pairs.enumerate() {
            assert_eq!(theirs, ours, "line {} of {options:?}", number + 1);
        }
        assert_eq!(theirs.1.len(), ours.1.len());
    }
}
