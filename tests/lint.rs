//! `ferroban lint`: mistakes planted in a configuration are found where they stand, and nothing else
//! is; good configurations are left in peace.
//!
//! `tests/lint/` is a configuration full of mistakes; a comment `!KIND SEVERITY` stands in the line of
//! each.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "lint/logs.rs"]
mod logs;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ferroban::parts::config::shipped::{DIR, Shipped};
use ferroban::parts::lint::{LintFinding, Severity, lint};

/// File, line, kind, severity.
type Mark = (String, u32, String, String);

fn marks_in(base: &Path, dir: &Path, marks: &mut BTreeSet<Mark>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            marks_in(base, &path, marks);
            continue;
        }
        let name = path.strip_prefix(base).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            for sign in ["; !", "# !"] {
                let Some((_, mark)) = line.split_once(sign) else {
                    continue;
                };
                let mut words = mark.split_whitespace().map(str::to_owned);
                let (kind, severity) = (words.next().unwrap(), words.next().unwrap());
                marks.insert((name.clone(), number, kind, severity));
            }
        }
    }
}

fn found(findings: &[LintFinding], base: &Path) -> BTreeSet<Mark> {
    let marks = findings.iter().map(|finding| {
        let origin = &finding.place.as_ref().expect("a place").origin;
        let file = Path::new(&*origin.file).strip_prefix(base).unwrap();
        (
            file.display().to_string(),
            origin.line,
            finding.kind.to_owned(),
            finding.severity.word().to_owned(),
        )
    });
    marks.collect()
}

/// A copy of the planted configuration, with the log its good jails read.
fn planted() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("lint");
    common::copy_tree(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint"),
        &base,
    );
    let jails = base.join("jail.conf");
    let text = fs::read_to_string(&jails).unwrap();
    fs::write(&jails, text.replace("{dir}", &base.display().to_string())).unwrap();
    (directory, base)
}

#[test]
fn planted_mistakes_are_found_where_they_stand() {
    let (_guard, base) = planted();
    let mut expected = BTreeSet::new();
    marks_in(&base, &base, &mut expected);
    assert!(expected.len() >= 30, "{} mistakes", expected.len());
    let findings = lint(&Shipped, &base.display().to_string());
    let found = found(&findings, &base);
    let missed: Vec<_> = expected.difference(&found).collect();
    let invented: Vec<_> = found.difference(&expected).collect();
    assert!(
        missed.is_empty() && invented.is_empty(),
        "missed {missed:#?}\ninvented {invented:#?}"
    );
}

/// A configuration of `tests/lint/cases`: its files, and what is to be said of it.
struct Case {
    name: String,
    /// The version of the original whose configuration it stands on; `None`: the shipped one.
    over: Option<String>,
    files: Vec<(String, String)>,
    /// Place, severity, kind, a part of the message.
    told: Vec<[String; 4]>,
}

/// The cases of all texts: `=== NAME`, `+++ VERSION` where they stand on the original's, then `--- FILE` and its text, then of each finding that is a
/// warning or an error `>>> FILE:LINE[:COLUMN] SEVERITY KIND PART OF THE MESSAGE`.
fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lint/cases");
    let mut cases: Vec<Case> = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        for line in fs::read_to_string(entry.unwrap().path()).unwrap().lines() {
            if let Some(name) = line.strip_prefix("=== ") {
                cases.push(Case {
                    name: name.to_owned(),
                    over: None,
                    files: Vec::new(),
                    told: Vec::new(),
                });
                continue;
            }
            let Some(case) = cases.last_mut() else {
                continue;
            };
            if let Some(version) = line.strip_prefix("+++ ") {
                case.over = Some(version.to_owned());
            } else if let Some(file) = line.strip_prefix("--- ") {
                case.files.push((file.to_owned(), String::new()));
            } else if let Some(told) = line.strip_prefix(">>> ") {
                let mut words = told.splitn(4, ' ').map(str::to_owned);
                case.told
                    .push(std::array::from_fn(|_| words.next().unwrap_or_default()));
            } else if let Some((_, text)) = case.files.last_mut() {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    cases
}

/// A jail `mine` for a case that says nothing of jails.
const MINE: &str = "[mine]\nenabled = true\nbackend = polling\nlogpath = {log}\n";

impl Case {
    /// What is wrong with what is said of it.
    fn judge(&self) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("x.log");
        fs::write(&log, "").unwrap();
        let base = directory.path().join("etc");
        if let Some(version) = &self.over {
            common::copy_tree(&common::reference(version).join("etc/fail2ban"), &base);
        }
        let has_jails = self.files.iter().any(|(name, _)| name.starts_with("jail"));
        let own = (!has_jails).then(|| ("jail.local".to_owned(), MINE.to_owned()));
        for (name, text) in self.files.iter().chain(&own) {
            let path = base.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = text
                .replace("{log}", &log.display().to_string())
                .replace("{BOM}", "\u{feff}");
            fs::write(path, text).unwrap();
        }
        let findings = lint(&Shipped, &base.display().to_string());
        let mut left: Vec<&LintFinding> = findings
            .iter()
            .filter(|finding| finding.severity > Severity::Note)
            .collect();
        let mut wrong = String::new();
        for [place, severity, kind, message] in &self.told {
            let fits = |finding: &&LintFinding| {
                let origin = &finding.place.as_ref().unwrap().origin;
                let file = Path::new(&*origin.file).strip_prefix(&base);
                let file = file.map_or(origin.file.to_string(), |file| file.display().to_string());
                let column = finding.column.map(|column| format!(":{column}"));
                *place == format!("{file}:{}{}", origin.line, column.unwrap_or_default())
                    && severity == finding.severity.word()
                    && kind == finding.kind
                    && finding.message.contains(message)
            };
            // a note is looked for only where it is asked for
            let found = left.iter().position(&fits);
            match found {
                Some(at) => drop(left.remove(at)),
                None if severity == "note" && findings.iter().any(|finding| fits(&finding)) => {}
                None => wrong += &format!("missed {place} {severity} {kind} {message}\n"),
            }
        }
        for finding in left {
            wrong += &format!("invented {finding:?}\n");
        }
        (!wrong.is_empty()).then(|| format!("{}:\n{wrong}", self.name))
    }
}

#[test]
fn slips_are_told_where_they_stand_and_what_is_near_is_not() {
    let cases = cases();
    let (silent, told): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.told.is_empty());
    assert!(silent.iter().all(|case| case.name.starts_with("silent: ")));
    assert!(told.len() >= 50 && silent.len() >= 70);
    let wrong: String = cases.iter().filter_map(Case::judge).collect();
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_same_finding_is_shown_once_a_file_and_notes_come_last() {
    let jails = "[DEFAULT]\nbackend = polling\nlogpath = {log}\n\
                 [sshd]\nenabled = true\nlogpath = {log}\nmaxretry = 3 # three\nport = 22 # own\n\
                 [postfix]\nenabled = true\nlogpath = {log}\nport = 25 # own\n";
    let (_guard, base) = with_own_files(&[("jail.local", jails)]);
    let run = |arguments: &[&str]| {
        let output = common::ours("lint")
            .args(arguments)
            .arg(&base)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = run(&["--notes"]);
    let lines: Vec<&str> = printed.lines().collect();
    let comments = lines
        .iter()
        .filter(|line| line.contains("[comment]"))
        .count();
    // an error, and the warnings together
    assert_eq!(comments, 2, "{printed}");
    assert!(lines.contains(&"    also in line 12"), "{printed}");
    let first = lines
        .iter()
        .position(|line| line.contains(" note: "))
        .unwrap();
    let last = lines
        .iter()
        .rposition(|line| line.contains(" warning: "))
        .unwrap();
    assert!(last < first && lines[first - 1].is_empty(), "{printed}");
    let report: serde_json::Value = serde_json::from_str(&run(&["--json"])).unwrap();
    let all = report["findings"].as_array().unwrap().iter();
    let comments: Vec<_> = all.filter(|finding| finding["kind"] == "comment").collect();
    assert_eq!(comments.len(), 3, "{comments:#?}");
    assert!(
        comments
            .iter()
            .all(|finding| finding["column"].as_u64().is_some())
    );
}

#[test]
fn every_stock_jail_has_no_errors() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("fail2ban");
    common::copy_tree(&common::reference("1.1.1").join("etc/fail2ban"), &base);
    let text = fs::read_to_string(base.join("jail.conf")).unwrap();
    let jails: String = text
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.split(']').next())
        .filter(|name| !["INCLUDES", "DEFAULT"].contains(name))
        .map(|name| format!("[{name}]\nenabled = true\nlogpath = /dev/null\n"))
        .collect();
    // what the administrator has to fill in
    let defaults = "[DEFAULT]\nbackend = polling\ncfemail = a@b\ncfapikey = k\n";
    fs::write(base.join("jail.local"), format!("{defaults}{jails}")).unwrap();
    let findings = lint(&Shipped, &base.display().to_string());
    let errors: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// The stock configuration of 1.1.1 with an administrator's files: path → text, `{log}` a file that is
/// there.
fn with_own_files(files: &[(&str, &str)]) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("fail2ban");
    common::copy_tree(&common::reference("1.1.1").join("etc/fail2ban"), &base);
    let log = directory.path().join("x.log");
    fs::write(&log, "").unwrap();
    for (name, text) in files {
        let text = text.replace("{log}", &log.display().to_string());
        fs::write(base.join(name), text).unwrap();
    }
    (directory, base)
}

#[test]
fn what_a_sandbox_takes_away_is_told() {
    let jails = "[j]\nenabled = true\nbackend = polling\nfilter = sshd\nlogpath = {log}\n\
                 action = nftables\n         sendmail[name=x]\n         sendmail[actname=y, mailcmd=smtp://h]\n";
    let of_action = "jail j, action sendmail-x: actionstart hands mail to /usr/sbin/sendmail";
    for (value, notes, severity) in [
        ("off", 0, None),
        ("auto", 1, Some(Severity::Note)),
        ("strict", 2, Some(Severity::Error)),
    ] {
        let text = format!("[Definition]\nsandbox = {value}\n");
        let (_guard, base) = with_own_files(&[("fail2ban.local", &text), ("jail.local", jails)]);
        let findings = lint(&Shipped, &base.display().to_string());
        let kind = |finding: &&LintFinding| finding.kind == "sandbox";
        let file = |finding: &LintFinding| {
            let place = finding.place.as_ref().map(|place| &*place.origin.file);
            place
                .unwrap_or_default()
                .rsplit('/')
                .next()
                .map(str::to_owned)
        };
        let (general, special): (Vec<_>, Vec<_>) = findings
            .iter()
            .filter(kind)
            .partition(|finding| file(finding).as_deref() == Some("fail2ban.local"));
        assert_eq!(general.len(), notes, "{value}: {general:#?}");
        assert!(general.iter().all(|noted| noted.severity == Severity::Note));
        let told: Vec<_> = special.iter().map(|finding| finding.severity).collect();
        assert_eq!(told, Vec::from_iter(severity), "{value}: {special:#?}");
        for finding in special {
            assert!(finding.message.contains(of_action), "{finding:#?}");
            assert_eq!(file(finding).as_deref(), Some("sendmail-common.conf"));
        }
    }
}

#[test]
fn stock_configurations_untouched_are_clean() {
    for version in ["1.1.1", "1.0.2"] {
        let dir = common::reference(version).join("etc/fail2ban");
        let findings = lint(&Shipped, &dir.display().to_string());
        let worse: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity > Severity::Note)
            // a machine without its logs is no mistake of the configuration
            .filter(|finding| finding.kind != "missing-log")
            .collect();
        assert!(worse.is_empty(), "{version}: {worse:#?}");
    }
}

#[test]
fn sound_configurations_of_users_are_clean() {
    let jail = |rest: &str| {
        format!("[sshd]\nenabled = true\nbackend = polling\nlogpath = {{log}}\n{rest}")
    };
    let cases: [(&str, Vec<(&str, String)>); 14] = [
        ("nothing of one's own", vec![]),
        ("one jail", vec![("jail.local", jail(""))]),
        (
            "times and numbers",
            vec![("jail.local", jail("bantime = 1h 30m\nfindtime = 10m\nmaxretry = 3\nbantime.increment = true\n"))],
        ),
        ("a mail action", vec![("jail.local", jail("action = %(action_mwl)s\n"))]),
        (
            "another mail action of one's own",
            vec![("jail.local", "[DEFAULT]\naction_mw = %(action_)s\naction = %(action_mwl)s\n".to_owned() + &jail(""))],
        ),
        (
            "another firewall",
            vec![("jail.local", "[DEFAULT]\nbanaction = nftables-multiport\nbanaction_allports = nftables-allports\n".to_owned() + &jail(""))],
        ),
        ("ufw", vec![("jail.local", "[DEFAULT]\nbanaction = ufw\n".to_owned() + &jail(""))]),
        (
            "ignored addresses",
            vec![("jail.d/own.conf", jail("ignoreip = 127.0.0.1/8 ::1, 192.0.2.0/255.255.255.0\n    host.example file:/etc/hosts.mine\n"))],
        ),
        (
            "a filter and an action of one's own, with a script",
            vec![
                ("filter.d/mine.conf", "[Definition]\nfailregex = ^x from <HOST>$\n".to_owned()),
                (
                    "action.d/mine.conf",
                    "[Definition]\nactionban = /etc/fail2ban/action.d/mine.sh ban <ip> <colour>\n[Init]\ncolour = red\n".to_owned(),
                ),
                ("action.d/mine.sh", "#!/bin/sh\n".to_owned()),
                (
                    "jail.d/mine.local",
                    "[mine]\nenabled = true\nfilter = mine\nbackend = polling\nlogpath = {log}\naction = mine[colour=blue]\n".to_owned(),
                ),
            ],
        ),
        ("recidive", vec![("jail.local", "[recidive]\nenabled = true\nlogpath = {log}\nbanaction = %(banaction_allports)s\nbantime = 1w\n".to_owned())]),
        ("a filter's mode", vec![("jail.local", jail("mode = aggressive\nport = ssh,2222\n"))]),
        (
            "a variable for a log",
            vec![("jail.local", "[DEFAULT]\nsshd_log = {log}\n[sshd]\nenabled = true\nbackend = polling\n".to_owned())],
        ),
        (
            "the journal",
            vec![("jail.local", "[sshd]\nenabled = true\nbackend = systemd\nlogpath = /nonexistent/auth.log\n".to_owned())],
        ),
        (
            "no log but the journal",
            vec![("jail.local", "[sshd]\nenabled = true\nbackend = auto\nsystemd_if_nologs = true\njournalmatch = _COMM=sshd\nlogpath = /nonexistent/auth.log\n".to_owned())],
        ),
    ];
    for (case, files) in &cases {
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let (_guard, base) = with_own_files(&files);
        let findings = lint(&Shipped, &base.display().to_string());
        let worse: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity > Severity::Note)
            .filter(|finding| finding.jail.as_deref() != Some("sshd") || !files.is_empty())
            .collect();
        assert!(worse.is_empty(), "{case}: {worse:#?}");
    }
}

/// A directory with a `jail.local` and nothing else stands on the shipped configuration.
#[test]
fn jail_local_alone_is_clean() {
    for action in ["%(action_)s", "%(action_mwl)s"] {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("x.log");
        fs::write(&log, "").unwrap();
        let jail = format!(
            "[sshd]\nenabled = true\nbackend = polling\nlogpath = {}\naction = {action}\n",
            log.display()
        );
        fs::write(directory.path().join("jail.local"), jail).unwrap();
        let findings = lint(&Shipped, &directory.path().display().to_string());
        let worse: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity > Severity::Note)
            .collect();
        assert!(worse.is_empty(), "{action}: {worse:#?}");
    }
}

/// Bad values of administrators, each with the line it was written in (from 1), and what is said of it.
#[test]
fn bad_values_are_reported_where_they_were_written() {
    const JAIL: &str = "[sshd]\nenabled = true\nbackend = polling\nlogpath = {log}\n";
    let no_time = "is no time: seconds, or numbers with units such as 90s, 10m, 1h 30m, 2d";
    for (text, line, expected) in [
        (
            "bantime = 10 minuts\n",
            5,
            format!("error: '10 minuts' {no_time} [value]"),
        ),
        (
            "findtime = abc\n",
            5,
            format!("error: 'abc' {no_time} [value]"),
        ),
        (
            "bantime = 1x\n",
            5,
            format!("error: '1x' {no_time} [value]"),
        ),
        (
            "maxretry = many\n",
            5,
            "error: this is no whole number [value]".to_owned(),
        ),
        (
            "bantime.multipliers = 1 2 x\n",
            5,
            "error: 'x' is no whole number [value]".to_owned(),
        ),
        (
            "filter = shsd\n",
            5,
            "error: Unable to read the filter 'shsd'; did you mean 'sshd'? [value]".to_owned(),
        ),
        (
            "action = iptbles\n",
            5,
            "error: Unable to read action 'iptbles'; did you mean 'iptables'? [value]".to_owned(),
        ),
        (
            "ignoreip = 127.0.0.1/8\n  300.1.1.1\n",
            6,
            "300.1.1.1".to_owned(),
        ),
        ("ignoreip = 1.2.3.4/99\n", 5, "1.2.3.4/99".to_owned()),
        (
            "[DEFAULT]\nbanaction = ufww\n",
            6,
            "error: Unable to read action 'ufww'; did you mean 'ufw'? [value]".to_owned(),
        ),
        (
            "[DEFAULT]\nlong = 10 minuts\n[sshd]\nbantime = %(long)s\n",
            6,
            format!("error: '10 minuts' {no_time} [value]"),
        ),
        (
            "[DEFAULT]\naction_ = %(banaction)s[port=\"%(port)s\"\n",
            6,
            "error: Invalid action definition".to_owned(),
        ),
        (
            "[DEFAULT]\nbanacton = ufw\n",
            6,
            "warning: unknown option 'banacton'; did you mean 'banaction'? [unknown-option]"
                .to_owned(),
        ),
        (
            "[DEFAULT]\nport = shh\n[sshd]\nport = %(known/port)s,htpp\n",
            8,
            "'htpp' is no port and no service [port]".to_owned(),
        ),
        ("failregex = ^x (<HOST>$\n", 5, "error: ".to_owned()),
        (
            "failregex = ^x .* from <HOST>.*$\n",
            5,
            "[log-injection]".to_owned(),
        ),
    ] {
        // sections are written once in a file
        let (jail, rest) = match text.split_once("[sshd]\n") {
            Some((rest, more)) => (JAIL.to_owned() + more, rest.to_owned()),
            None if text.starts_with('[') => (JAIL.to_owned(), text.to_owned()),
            None => (JAIL.to_owned() + text, String::new()),
        };
        let line = match (rest.is_empty(), text.contains("[sshd]")) {
            (true, _) | (_, false) => line,
            // what was appended to the jail stands before the rest
            (_, true) if expected.contains("port") => 5,
            (_, true) => line + 1,
        };
        let (_guard, base) = with_own_files(&[("jail.local", &(jail + &rest))]);
        let output = common::ours("lint").arg("-c").arg(&base).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let place = format!("{}:{line}: ", base.join("jail.local").display());
        let found = printed
            .lines()
            .any(|line| line.starts_with(&place) && line.contains(&expected));
        assert!(found, "{text}: line {line}: {expected}\n{printed}");
        assert!(!printed.contains("<string>"), "{printed}");
    }
}

#[test]
fn all_mistakes_of_a_jail_are_told() {
    let jail = "[sshd]\nenabled = true\nbackend = polling\nlogpath = {log}\nfilter = nofilter\n\
                action = noaction1\n         noaction2\nmaxretry = many\n";
    let (_guard, base) = with_own_files(&[("jail.local", jail)]);
    let findings = lint(&Shipped, &base.display().to_string());
    let lines: BTreeSet<u32> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.place.as_ref().unwrap().origin.line)
        .collect();
    assert_eq!(lines, BTreeSet::from([5, 6, 7, 8]), "{findings:#?}");
}

/// What is said of missing logs is what the server does.
#[test]
fn missing_logs_end_as_the_server_does() {
    for (jail, word) in [
        ("logpath = /nonexistent/a.log\n", "error"),
        (
            "logpath = /nonexistent/a.log\nskip_if_nologs = true\n",
            "warning",
        ),
        ("logpath = /nonexistent/a.log\n    {log}\n", "warning"),
        ("logpath = {log}\n", "nothing"),
        (
            "logpath = /nonexistent/a.log\nbackend = syslog[port=5514]\n",
            "nothing",
        ),
    ] {
        let jail = match jail.contains("backend") {
            true => format!("[sshd]\nenabled = true\n{jail}"),
            false => format!("[sshd]\nenabled = true\nbackend = polling\n{jail}"),
        };
        let (_guard, base) = with_own_files(&[("jail.local", &jail)]);
        for entry in fs::read_dir(base.join("jail.d")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let findings = lint(&Shipped, &base.display().to_string());
        let mut missing = findings
            .iter()
            .filter(|finding| finding.kind == "missing-log");
        let found = missing.next();
        assert_eq!(
            found.map_or("nothing", |finding| finding.severity.word()),
            word,
            "{jail}"
        );
        let tested = common::ours("fail2ban-client")
            .arg("-c")
            .arg(&base)
            .arg("-t")
            .output()
            .unwrap();
        let goes_wrong = tested.status.code() != Some(0);
        let told = findings
            .iter()
            .any(|finding| finding.severity == Severity::Error);
        assert_eq!(goes_wrong, told, "{jail}: {findings:#?}");
    }
}

#[test]
fn the_shipped_configuration_is_clean() {
    let findings = lint(&Shipped, DIR);
    let worse: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity > Severity::Note)
        .filter(|finding| finding.kind != "missing-log")
        .collect();
    assert!(worse.is_empty(), "{worse:#?}");
}

#[test]
fn exit_codes_and_forms() {
    let (_guard, base) = planted();
    let run = |arguments: &[&str]| {
        let output = common::ours("lint").args(arguments).output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let dir = base.display().to_string();
    let (code, printed) = run(&[&dir]);
    assert_eq!(code, 3);
    assert!(printed.contains("--notes shows them"), "{printed}");
    assert!(!printed.contains(": note:"), "{printed}");
    let (code, printed) = run(&["--json", &dir]);
    assert_eq!(code, 3);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert!(report["errors"].as_u64().unwrap() > 0);
    let first = &report["findings"][0];
    assert_eq!(first["severity"], "error");
    assert!(first["file"].is_string() && first["line"].is_u64());

    let quiet = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("fail2ban.conf", "[Definition]\n"),
        (
            "jail.conf",
            "[ok]\nenabled = true\nfilter = f\naction = a\n",
        ),
        ("filter.d/f.conf", "[Definition]\nfailregex = ^x <HOST>$\n"),
        ("action.d/a.conf", "[Definition]\nactionban = true\n"),
    ] {
        let path = quiet.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let dir = quiet.path().display().to_string();
    let (code, printed) = run(&[&dir]);
    assert_eq!(
        (code, printed.as_str()),
        (0, "0 errors, 0 warnings, 0 notes\n")
    );
    fs::write(quiet.path().join("jail.local"), "[ok]\nmaxrety = 3\n").unwrap();
    let (code, printed) = run(&[&dir]);
    assert_eq!(code, 1, "{printed}");
    assert!(
        printed
            .contains("jail.local:2: warning: unknown option 'maxrety'; did you mean 'maxretry'?"),
        "{printed}"
    );
    assert_eq!(run(&["/nonexistent/fail2ban"]).0, 3);
    // a wrong command line says nothing of the configuration
    assert_eq!(run(&["--nonsense"]).0, 2);
    assert_eq!(run(&["--nonsense", &dir]).0, 2);
}

#[test]
fn config_shows_where_settings_come_from() {
    let (_guard, base) = planted();
    let run = |arguments: &[&str]| {
        let output = common::ours("config")
            .args(["-c", &base.display().to_string()])
            .args(arguments)
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert_eq!(run(&["ports"]).0, 255, "jail.local is no INI file");
    fs::remove_file(base.join("jail.local")).unwrap();
    let (code, printed) = run(&["arguments"]);
    assert_eq!(code, 255, "it has a mistake");
    assert!(printed.contains("; jail arguments, enabled"), "{printed}");
    assert_eq!(run(&["nothing"]).0, 255);
    assert_eq!(run(&[]).0, 2);
    let (code, printed) = run(&["ports"]);
    assert_eq!(code, 0);
    let jails = base.join("jail.conf");
    let text = fs::read_to_string(&jails).unwrap();
    let line = |start: &str| {
        1 + text
            .lines()
            .position(|line| line.starts_with(start))
            .unwrap()
    };
    let expected = format!(
        "port = ssh,htpp                          ; {}:{}\n",
        jails.display(),
        line("port = ")
    );
    assert!(printed.contains(&expected), "{printed}");
    let (code, printed) = run(&["--json", "ports"]);
    assert_eq!(code, 0);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let mut settings = report["settings"].as_array().unwrap().iter();
    let retries = settings.find(|row| row["name"] == "maxretry").unwrap();
    assert_eq!(retries["value"], "3");
    assert_eq!(retries["line"], line("maxretry = 3"));
    assert_eq!(report["actions"][0]["settings"][0]["name"], "actionban");
    assert_eq!(
        report["actions"][0]["settings"][0]["value"],
        "true ssh,htpp"
    );
}
