//! `ferroban lint`: mistakes planted in a configuration are found where they stand, and nothing else
//! is; good configurations are left in peace.
//!
//! `tests/lint/` is a configuration full of mistakes; a comment `!KIND SEVERITY` stands in the line of
//! each.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ferroban::config::shipped::{DIR, Shipped};
use ferroban::lint::{Finding, Severity, lint};

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

fn found(findings: &[Finding], base: &Path) -> BTreeSet<Mark> {
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

#[test]
fn stock_configurations_have_no_errors() {
    for version in ["1.1.1", "1.0.2"] {
        let dir = common::reference(version).join("etc/fail2ban");
        let findings = lint(&Shipped, &dir.display().to_string());
        // a machine without its logs is no mistake of the configuration
        let errors: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .filter(|finding| finding.kind != "missing-log")
            .collect();
        assert!(errors.is_empty(), "{version}: {errors:#?}");
    }
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
    assert_eq!(code, 2);
    assert!(printed.contains("--notes shows them"), "{printed}");
    assert!(!printed.contains(": note:"), "{printed}");
    let (code, printed) = run(&["--json", &dir]);
    assert_eq!(code, 2);
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
    assert_eq!(run(&["/nonexistent/fail2ban"]).0, 2);
    assert_eq!(run(&["--nonsense"]).0, 2);
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
