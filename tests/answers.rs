//! Situations in the manner of public reports: a configuration, a log, and the question. The answer of
//! `explain` or `lint` names the cause in its first three lines.
//!
//! Each file of `tests/answers/` is one: in the first line its kind, then its files, each behind a line
//! `--- NAME`. The file `ask` has the words of the command, and `says` what is to be said, a text a line.
//! `@{dir}` stands for the directory, `@{N}` for the time N seconds ago and `@{N FORMAT}` for it in
//! another form.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::written::{self, Written};

/// The lines in which the cause must be named.
const LINES: usize = 3;

/// A text with its times and the directory filled in.
fn filled(text: &str, directory: &str) -> String {
    let mut parts = text.split("@{");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (inside, after) = part.split_once('}').unwrap();
        let (ago, format) = inside
            .split_once(' ')
            .unwrap_or((inside, "%Y-%m-%d %H:%M:%S"));
        match ago.parse() {
            Ok(ago) => out.push_str(&common::cases::date(format, ago)),
            Err(_) => out.push_str(directory),
        }
        out.push_str(after);
    }
    out
}

/// Signs that a text file would not show.
fn unescaped(text: &str) -> String {
    let signs = [
        ("␛", "\u{1b}"),
        ("␍", "\r"),
        ("␉", "\t"),
        ("␀", "\0"),
        ("␣", "\u{a0}"),
        ("␂", "\u{feff}"),
        ("␠", " "),
    ];
    let mut text = text.to_owned();
    for (shown, sign) in signs {
        text = text.replace(shown, sign);
    }
    text
}

/// What is wrong with the answer to a situation.
fn fault(mut situation: Written) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_string_lossy().into_owned();
    let ask = situation.take("ask").unwrap();
    let says = situation.take("says").unwrap();
    for (_, text) in &mut situation.files {
        *text = unescaped(&filled(text, &path));
    }
    situation.write(directory.path());
    if !directory.path().join("fail2ban.conf").exists() {
        fs::write(
            directory.path().join("fail2ban.local"),
            format!(
                "[Definition]\nsocket = {path}/socket\npidfile = {path}/pid\ndbfile = {path}/db\n"
            ),
        )
        .unwrap();
    }
    let mut words = ask.trim_end().lines();
    let mut command = common::ours(words.next().unwrap());
    command
        .args(["-c", &path])
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8");
    let words: Vec<String> = words.map(|word| unescaped(&filled(word, &path))).collect();
    let output = command.args(&words).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    let head: Vec<&str> = printed.lines().take(LINES).collect();
    let head = head.join("\n");
    let missing: Vec<&str> = says.lines().filter(|text| !head.contains(text)).collect();
    assert!(!says.trim().is_empty(), "{}: says nothing", situation.name);
    (!missing.is_empty()).then(|| format!("== {}: {missing:?}\n{printed}", situation.name))
}

#[test]
fn the_cause_is_named_in_the_first_lines() {
    let situations = written::all("answers");
    assert!(situations.len() >= 60, "{} situations", situations.len());
    let threads: Vec<_> = situations
        .into_iter()
        .map(|situation| std::thread::spawn(|| fault(situation)))
        .collect();
    let faults: Vec<String> = threads
        .into_iter()
        .filter_map(|thread| thread.join().unwrap())
        .collect();
    assert!(
        faults.is_empty(),
        "{}\n{} fail",
        faults.join("\n"),
        faults.len()
    );
}

/// Every kind is there twice, so that no answer is made for one situation.
#[test]
fn every_kind_has_a_variation() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers");
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let kind = text.lines().next().unwrap_or_default().to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    let single: Vec<_> = kinds.iter().filter(|(_, count)| **count < 2).collect();
    assert!(single.is_empty(), "{single:?}");
}
