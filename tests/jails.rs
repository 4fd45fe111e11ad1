//! The shipped jails: every name of the original is there, both programs read them alike, and the table in
//! docs/jails.md is true.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ferroban::parts::config::ini::{self, IniFile};
use ferroban::parts::config::jail::report::report;
use ferroban::parts::config::section::Section;
use ferroban::parts::config::shipped::Shipped;
use ferroban::parts::config::{self, ReadOptions};
use ferroban::parts::control::Value;
use ferroban::parts::log::Level;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn stock(version: &str) -> PathBuf {
    common::reference(version).join("etc/fail2ban")
}

fn file(path: &Path) -> IniFile {
    let text = fs::read_to_string(path).unwrap();
    ini::parse(&text, &path.to_string_lossy()).unwrap()
}

fn jails(read: &IniFile) -> BTreeSet<String> {
    let names = read.sections.keys().map(|name| name.to_string());
    names.filter(|name| name != "INCLUDES").collect()
}

fn options(section: &Section) -> BTreeSet<String> {
    section.keys().map(|name| name.to_string()).collect()
}

/// The names of a folder's files, without what they end in.
fn stems(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.filter(|path| path.is_file());
    files
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_name_of_the_original_exists() {
    let own = repository();
    let mut missing = Vec::new();
    let mut compare = |what: &str, theirs: BTreeSet<String>, ours: &BTreeSet<String>| {
        assert!(!theirs.is_empty(), "{what}");
        let names = theirs.difference(ours);
        missing.extend(names.map(|name| format!("{what} {name}")));
    };
    for version in ["1.1.1", "1.0.2"] {
        let stock = stock(version);
        for folder in ["filter.d", "filter.d/ignorecommands", "action.d"] {
            let mut ours = stems(&own.join(folder));
            // smtp.py is understood without a file
            ours.insert("smtp".to_owned());
            compare(folder, stems(&stock.join(folder)), &ours);
        }
        let (theirs, ours) = (file(&stock.join("jail.conf")), file(&own.join("jail.conf")));
        compare("jail", jails(&theirs), &jails(&ours));
        let mut names = options(&ours.defaults);
        let paths = file(&own.join("paths-common.conf"));
        names.extend(options(&paths.defaults));
        compare("[DEFAULT]", options(&theirs.defaults), &names);
        for entry in fs::read_dir(&stock).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("paths-") {
                compare(&name, options(&file(&path).defaults), &names);
                assert!(own.join(&name).exists(), "{name}");
            }
        }
        let common = |root: &Path| options(&file(&root.join("filter.d/common.conf")).defaults);
        compare("common.conf", common(&stock), &common(own));
        let server = |root: &Path| options(&file(&root.join("fail2ban.conf")).defaults);
        compare("fail2ban.conf", server(&stock), &server(own));
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// A jail is on the ports of the original's, and as patient.
#[test]
fn jails_of_the_original_guard_the_same() {
    let (theirs, ours) = (
        file(&stock("1.1.1").join("jail.conf")),
        file(&repository().join("jail.conf")),
    );
    let mut different = Vec::new();
    for jail in jails(&theirs) {
        for option in [
            "port", "protocol", "maxretry", "bantime", "findtime", "filter", "mode", "tcpport",
        ] {
            let value = |read: &IniFile| {
                let entry = read.sections.get(jail.as_str())?.get(option)?;
                Some(entry.text.to_string())
            };
            let (a, b) = (value(&theirs), value(&ours));
            if a != b {
                different.push(format!("{jail} {option}"));
            }
        }
    }
    // OpenVPN's own port, a range in place of a list, and what the name says already
    assert_eq!(
        different,
        [
            "counter-strike tcpport",
            "mssql-auth filter",
            "openvpn port"
        ]
    );
}

/// Whether the text only says that this machine lacks a log.
fn of_a_log(text: &str) -> bool {
    text.contains("No file(s) found for glob") || text.contains("Have not found any log file")
}

/// A command as `-d` prints it, without what the original does not know.
fn printed(mut command: Vec<Value>) -> String {
    if let Some(Value::List(pairs)) = command.last_mut() {
        let own = Value::from("actionquiet");
        pairs.retain(|pair| !matches!(pair, Value::List(words) if words.first() == Some(&own)));
    }
    Value::List(command).repr()
}

#[test]
fn both_programs_read_all_shipped_jails_alike() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path();
    let machine = "[INCLUDES]\nbefore = paths-debian.conf\n[DEFAULT]\nsyslog_backend = systemd\n";
    fs::write(base.join("paths-system.conf"), machine).unwrap();
    let mut local =
        String::from("[DEFAULT]\ncfemail = a@b\ncfapikey = k\nblocklist_de_apikey = k\n");
    let mut names = jails(&file(&repository().join("jail.conf")));
    // without a filter, which the original warns of
    assert!(names.remove("fleet") && names.remove("crowdsec"));
    for jail in &names {
        let _ = writeln!(local, "[{jail}]\nenabled = true");
    }
    fs::write(base.join("jail.local"), local).unwrap();
    let exported = common::ours("config")
        .args(["export".as_ref(), base])
        .output()
        .unwrap();
    assert!(exported.status.success(), "{exported:?}");

    let mut original = common::original("1.1.1", "fail2ban-client");
    let theirs = original.arg("-c").arg(base).arg("-d").output().unwrap();
    let said = String::from_utf8_lossy(&theirs.stderr);
    let complaints: Vec<_> = said.lines().filter(|line| !of_a_log(line)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let options = ReadOptions {
        allow_no_files: true,
        ..ReadOptions::default()
    };
    let stream = config::read(base, &options).unwrap();
    let warnings = stream
        .warnings
        .iter()
        .filter(|message| message.level >= Level::Warning);
    let complaints: Vec<_> = warnings
        .filter(|message| !of_a_log(&message.text))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");

    let ours: Vec<String> = stream.commands.into_iter().map(printed).collect();
    let started = ours.iter().filter(|line| line.starts_with("['start'"));
    assert_eq!(started.count(), names.len());
    let theirs = String::from_utf8_lossy(&theirs.stdout);
    let theirs: Vec<_> = theirs.lines().collect();
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(theirs, ours);
    }
    assert_eq!(theirs.len(), ours.len());
}

/// Expressions and options together: with the modes that jail.conf gives, for one.
#[test]
fn every_shipped_jail_can_start() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path();
    fs::write(base.join("log"), "").unwrap();
    let log = base.join("log").display().to_string();
    let mut local =
        String::from("[DEFAULT]\ncfemail = a@b\ncfapikey = k\nblocklist_de_apikey = k\n");
    for jail in jails(&file(&repository().join("jail.conf"))) {
        let _ = writeln!(
            local,
            "[{jail}]\nenabled = true\nbackend = auto\nlogpath = {log}"
        );
    }
    fs::write(base.join("jail.local"), local).unwrap();
    let tested = common::ours("fail2ban-client")
        .arg("-c")
        .arg(base)
        .arg("-t")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&tested.stderr);
    let complaints: Vec<_> = said
        .lines()
        .filter(|line| line.contains("ERROR") || line.contains("WARNING"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(tested.status.success());
}

/// Filters that are parts of others.
const PARTS: [&str; 6] = [
    "apache-common",
    "botsearch-common",
    "common",
    "exim-common",
    "nginx-error-common",
    "selinux-common",
];

#[test]
fn every_filter_has_a_jail() {
    let ours = file(&repository().join("jail.conf"));
    let used: BTreeSet<String> = ours
        .sections
        .iter()
        .map(|(name, section)| {
            let filter = section.get("filter").map_or(&**name, |entry| &*entry.text);
            filter.split('[').next().unwrap().to_owned()
        })
        .collect();
    let mut filters = stems(&repository().join("filter.d"));
    filters.retain(|name| !PARTS.contains(&name.as_str()) && !old_name(name));
    let unused: Vec<_> = filters.difference(&used).collect();
    assert_eq!(unused, Vec::<&String>::new());
}

/// A filter that only says which other one it was the name of.
fn old_name(filter: &str) -> bool {
    let text = fs::read_to_string(repository().join(format!("filter.d/{filter}.conf"))).unwrap();
    !text.contains("failregex")
}

/// The rows of the table in the order of jail.conf: jail, filter, ports that its actions ban, logs on Debian.
fn table() -> String {
    let directory = tempfile::tempdir().unwrap();
    let machine = "[INCLUDES]\nbefore = paths-debian.conf\n";
    fs::write(directory.path().join("paths-system.conf"), machine).unwrap();
    let base = directory.path().to_string_lossy().into_owned();
    let mut table = String::from("| jail | filter | ports | logs |\n|---|---|---|---|\n");
    let ours = file(&repository().join("jail.conf"));
    for jail in ours.sections.keys().filter(|name| &***name != "INCLUDES") {
        let report = report(&Shipped, &base, jail).unwrap();
        let value = |name: &str| {
            let mut rows = report.rows.iter().chain(&report.variables);
            let row = rows.find(|row| row.name == name);
            row.map_or("", |row| &row.value).to_owned()
        };
        let ports: BTreeSet<String> = report
            .actions
            .iter()
            .map(|action| {
                let port = action.rows.iter().find(|row| row.name == "port");
                let port = port.map_or("", |row| &row.value);
                if port == "0:65535" || action.definition.starts_with("iptables-allports") {
                    "all".to_owned()
                } else {
                    port.replace(',', ", ")
                }
            })
            .collect();
        let ports = Vec::from_iter(ports).join("; ");
        let filter = match value("filter").replace("[mode=normal]", "") {
            none if none.is_empty() => "none".to_owned(),
            filter => format!("`{filter}`"),
        };
        let logs: Vec<_> = value("logpath")
            .lines()
            .map(|log| format!("`{log}`"))
            .collect();
        let _ = writeln!(
            table,
            "| `{jail}` | {filter} | {ports} | {} |",
            logs.join("<br>")
        );
    }
    table
}

#[test]
fn the_table_of_jails_is_true() {
    let page = fs::read_to_string(repository().join("docs/jails.md")).unwrap();
    let expected = table();
    assert!(page.contains(&expected), "it should be:\n{expected}");
}
