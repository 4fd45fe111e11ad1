//! All filters of the reference in every mode their sample logs name: each annotated line must
//! give the failure its annotation tells, or none.
//!
//! A sample file holds log lines; `# failJSON: {…}` before a line says whether it matches and with
//! what time, host and fields; `# filterOptions:` sets the filter's options for the lines after
//! it, several alternatives meaning that all of them are tried; `# fileOptions:` sets options for
//! the whole file; `# addFILE:` names one more file. Options beginning with `test.` are about the
//! test itself. Expected times are local times of Zurich, as seen in August 2005.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chrono::{Local, NaiveDateTime, TimeZone};
use ferroban::address::Address;
use ferroban::config;
use ferroban::filter::{Clock, FailureId, Filter, Found, LineOutcome, Manner, Name};
use ferroban::ticket::FieldValue;
use serde_json::{Map, Value};

const ZONE: &str = "Europe/Zurich";
/// 2005-08-14 12:00:00 there.
const NOW: f64 = 1_124_013_600.0;
const NOW_TEXT: &str = "2005-08-14T10:00:00";

/// A line of a sample file: its name and the number of the line.
type Place = (String, usize);

/// Every regex is tried, so that a line two of them claim is found out.
const MANNER: Manner = Manner {
    every_regex: true,
    census: false,
    skip_pending: true,
    raw_hosts: true,
    window: false,
    evidence: true,
    fields: true,
    prefix_fields: false,
};

/// As a jail does it: the first regex that matches counts.
const FIRST: Manner = Manner {
    every_regex: false,
    ..MANNER
};

/// What a filter is held to.
#[derive(Clone, Copy)]
enum Measure<'k> {
    /// All that is annotated, by one regex only.
    Everything,
    /// The same ids and times, but for the lines known to be judged otherwise.
    Ids(&'k BTreeSet<Place>),
}

type Options = Map<String, Value>;

/// A filter with one set of options; it keeps its state from line to line.
struct Variant {
    filter: Filter,
    options: Options,
}

/// What came out for one filter.
#[derive(Default)]
struct Score {
    lines: usize,
    right: usize,
    /// Lines that are judged otherwise than annotated, as was to be expected.
    exceptions: BTreeSet<Place>,
    wrong: Vec<String>,
}

impl Score {
    fn add(&mut self, other: Score) {
        self.lines += other.lines;
        self.right += other.right;
        self.exceptions.extend(other.exceptions);
        self.wrong.extend(other.wrong);
    }
}

#[test]
fn every_annotated_line_gives_the_expected_result() {
    if std::env::var("TZ").as_deref() != Ok(ZONE) {
        return again_in_zone("every_annotated_line_gives_the_expected_result");
    }
    for version in ["1.1.1", "1.0.2"] {
        every_line_of(version);
    }
}

/// The filters of a version of the original over the samples it came with.
fn every_line_of(version: &str) {
    let root = common::reference(version);
    let tests = root.join("usr/lib/python3/dist-packages/fail2ban/tests");
    let mut table = format!("{version:<30}  lines  right  share\n");
    let mut total = Score::default();
    let extra = tempfile::tempdir().expect("temporary directory");
    let extra = source_tree(&root, &tests, extra.path());
    for (name, base) in filters(&root.join("etc/fail2ban"), &extra) {
        let score = judge(&name, &base, &tests.join("files/logs"), Measure::Everything);
        let _ = writeln!(table, "{}", row(&name, &score));
        total.add(score);
    }
    let _ = writeln!(table, "{}", row("all", &total));
    println!("{table}");
    assert!(total.lines > 1000, "the sample logs were not found");
    assert!(total.wrong.is_empty(), "{}", total.wrong.join("\n"));
}

/// The filters shipped here over the samples of the original's filters of the same names. Where they
/// judge otherwise, docs/filters.md says so and why.
#[test]
fn shipped_filters_judge_the_samples_of_the_original_alike_or_say_why() {
    if std::env::var("TZ").as_deref() != Ok(ZONE) {
        return again_in_zone("shipped_filters_judge_the_samples_of_the_original_alike_or_say_why");
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = common::reference("1.1.1");
    let logs = root.join("usr/lib/python3/dist-packages/fail2ban/tests/files/logs");
    let known = judged_otherwise(&repository.join("docs/filters.md"));
    let mut table = format!("{:<30}  lines  right  share\n", "shipped");
    let mut total = Score::default();
    for entry in fs::read_dir(repository.join("filter.d")).expect("filter.d") {
        let path = entry.expect("entry").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if logs.join(&*name).exists() {
            let score = judge(&name, repository, &logs, Measure::Ids(&known));
            let _ = writeln!(table, "{}", row(&name, &score));
            total.add(score);
        }
    }
    let _ = writeln!(table, "{}", row("all", &total));
    println!("{table}");
    assert!(total.wrong.is_empty(), "{}", total.wrong.join("\n"));
    let outdated: Vec<_> = known.difference(&total.exceptions).collect();
    assert!(outdated.is_empty(), "judged alike after all: {outdated:?}");
    assert!(total.lines > 1_500, "{} lines", total.lines);
}

/// The lines that a table of a page names: `| file | 3, 5-8 | reason |`.
fn judged_otherwise(page: &Path) -> BTreeSet<Place> {
    let text = fs::read_to_string(page).expect("the page");
    let rows = text
        .lines()
        .skip_while(|line| *line != "| sample log | lines | why |")
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut places = BTreeSet::new();
    for row in rows {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let mut next = || cells.next().unwrap_or_default();
        let (file, lines, reason) = (next().trim_matches('`'), next(), next());
        assert!(!reason.is_empty(), "{row}");
        for part in lines.split(", ") {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.parse::<usize>().expect("a line number");
            places.extend((number(first)..=number(last)).map(|line| (file.to_owned(), line)));
        }
    }
    places
}

/// The filters shipped here on samples of their own; the original understands them alike.
#[test]
fn our_own_samples_give_the_expected_result() {
    if std::env::var("TZ").as_deref() != Ok(ZONE) {
        return again_in_zone("our_own_samples_give_the_expected_result");
    }
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let logs = repository.join("samples/filters");
    let mut wrong = Vec::new();
    let mut asked = Vec::new();
    for entry in fs::read_dir(&logs).expect("samples") {
        let log = entry.expect("entry").path();
        let name = log.file_name().unwrap_or_default().to_string_lossy();
        let score = judge(&name, repository, &logs, Measure::Everything);
        assert!(score.lines > 3, "{name}: {} lines", score.lines);
        wrong.extend(score.wrong);
        let filter = repository.join("filter.d").join(format!("{name}.conf"));
        for (log, options) in combinations(&name, &logs) {
            let log = logs.join(log).to_string_lossy().into_owned();
            let filter = format!("{}[{}]", filter.display(), arguments(&options));
            asked.push(["--raw", "-o", "row", &log, &filter].map(str::to_owned));
        }
    }
    for (words, theirs) in asked.iter().zip(answers_of_the_original(&asked)) {
        let mut program = common::ours("fail2ban-regex");
        program.args(words).env("TZ", ZONE).env("LC_ALL", "C.UTF-8");
        let ours = program.output().expect("runs").stdout;
        let ours = normal_rows(&String::from_utf8_lossy(&ours));
        let theirs = normal_rows(&theirs);
        if ours != theirs || ours.is_empty() {
            wrong.push(format!("{words:?}: {ours:?} instead of {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `fail2ban-regex` of the original writes for each of these arguments.
fn answers_of_the_original<W: serde::Serialize>(asked: &[W]) -> Vec<String> {
    let mut questions = tempfile::NamedTempFile::new().expect("temporary file");
    serde_json::to_writer(&mut questions, asked).expect("JSON");
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers/rows.py");
    let output = common::python("1.1.1")
        .arg(driver)
        .arg(questions.path())
        .env("TZ", ZONE)
        .output()
        .expect("python3 runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers: Vec<String> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answers.len(), asked.len());
    answers
}

/// `fail2ban-regex -o row` of the original and ours, over all samples, with all options that the
/// samples name: every row equal in every field.
#[test]
fn rows_are_those_of_the_original() {
    let mut asked = Vec::new();
    let mut places = Vec::new();
    let mut seen = BTreeSet::new();
    for version in ["1.1.1", "1.0.2"] {
        let root = common::reference(version);
        let tests = root.join("usr/lib/python3/dist-packages/fail2ban/tests");
        let extra = tempfile::tempdir().expect("temporary directory");
        let base = source_tree(&root, &tests, extra.path());
        let logs = tests.join("files/logs");
        for (name, base) in filters(&root.join("etc/fail2ban"), &base) {
            let filter = base.join("filter.d").join(format!("{name}.conf"));
            let definition = fs::read(&filter).expect("filter");
            for (log, options) in combinations(&name, &logs) {
                let log = logs.join(log);
                let lines = fs::read(&log).expect("sample log");
                let mut filter = filter.to_string_lossy().into_owned();
                if !options.is_empty() {
                    filter += &format!("[{}]", arguments(&options));
                }
                // many are the same in both versions
                if seen.insert((definition.clone(), lines, arguments(&options))) {
                    let log = log.to_string_lossy().into_owned();
                    asked.push(["--raw", "-o", "row", &log, &filter].map(str::to_owned));
                }
            }
        }
        places.push(extra);
    }
    let answers = answers_of_the_original(&asked);
    let mut rows = 0;
    let mut wrong = Vec::new();
    for (words, theirs) in asked.iter().zip(&answers) {
        let mut program = common::ours("fail2ban-regex");
        program.args(words).env("TZ", ZONE).env("LC_ALL", "C.UTF-8");
        let ours = program.output().expect("runs").stdout;
        let ours = String::from_utf8_lossy(&ours);
        let (ours, theirs) = (normal_rows(&ours), normal_rows(theirs));
        rows += ours.len();
        let differ = ours.iter().zip(&theirs).filter(|(a, b)| a != b);
        let differ: Vec<_> = differ.take(2).collect();
        if !differ.is_empty() || ours.len() != theirs.len() {
            let counts = (ours.len(), theirs.len());
            wrong.push(format!("{words:?}: {counts:?} rows, {differ:#?}"));
        }
    }
    println!("{rows} rows of {} runs", asked.len());
    assert!(rows > 5_000, "{rows} rows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The logs of a filter, each with every set of options that it names.
fn combinations(name: &str, logs: &Path) -> Vec<(String, Options)> {
    let mut all = Vec::new();
    let mut named = vec![Options::new()];
    let mut files = vec![name.to_owned()];
    let mut number = 0;
    while let Some(file) = files.get(number).cloned() {
        number += 1;
        let text = fs::read_to_string(logs.join(&file)).expect("sample log");
        let mut common_options = Options::new();
        for (kind, json) in text.lines().filter_map(annotation) {
            let value: Value = serde_json::from_str(json).expect("JSON");
            match kind {
                "fileOptions" => common_options = value.as_object().cloned().unwrap_or_default(),
                "addFILE" => files.extend(value.as_str().map(str::to_owned)),
                "filterOptions" => {
                    for options in alternatives(&value) {
                        let mut merged = common_options.clone();
                        merged.extend(options);
                        merged.retain(|key, _| !key.starts_with("test."));
                        if !named.contains(&merged) {
                            named.push(merged);
                        }
                    }
                }
                _ => {}
            }
        }
    }
    for file in files {
        all.extend(named.iter().map(|options| (file.clone(), options.clone())));
    }
    all
}

/// Options as they stand behind a filter's name.
fn arguments(options: &Options) -> String {
    let one = |(key, value): (&String, &Value)| format!("{key}=\"{}\"", text_of(value));
    options.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The rows of an output. Python writes sets in any order, and a time as a whole number when the
/// zone of its date is known; lines without a date have the present time.
fn normal_rows(output: &str) -> Vec<String> {
    let now = chrono::Utc::now().timestamp() as f64;
    let normal = |row: &str| {
        let mut columns: Vec<String> = row.splitn(3, '\t').map(str::to_owned).collect();
        if let [_, time, fields] = &mut columns[..] {
            if let Ok(number) = time.trim_end_matches(',').parse::<f64>() {
                let present = (now - number).abs() < 600.0;
                *time = if present {
                    "NOW".to_owned()
                } else {
                    number.to_string()
                };
            }
            *fields = with_sorted_sets(fields);
        }
        columns.join("\t")
    };
    output.lines().map(normal).collect()
}

fn with_sorted_sets(fields: &str) -> String {
    let mut parts = fields.split("{'");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (set, after) = part.split_once("'}").unwrap_or((part, ""));
        let mut members: Vec<&str> = set.split("', '").collect();
        // a dict is in order
        if !set.contains("': ") {
            members.sort_unstable();
        }
        text += &format!("{{'{}'}}{after}", members.join("', '"));
    }
    text
}

/// Local time is that of the process; a process of its own gets the zone of the samples.
fn again_in_zone(test: &str) {
    let this = std::env::current_exe().expect("own path");
    let status = Command::new(this)
        .args(["--exact", test, "--nocapture"])
        .env("TZ", ZONE)
        .status()
        .expect("run again");
    assert!(status.success(), "see above");
}

fn row(name: &str, score: &Score) -> String {
    let share = match score.lines {
        0 => 100.0,
        lines => 100.0 * score.right as f64 / lines as f64,
    };
    format!(
        "{name:<30} {:>6} {:>6} {share:>5.1}%",
        score.lines, score.right
    )
}

/// Puts the original's test filters where the paths in them lead to the stock configuration, as in
/// its source tree (1.1.1) or three folders below it, where Debian builds (1.0.2); returns their
/// directory.
fn source_tree(root: &Path, tests: &Path, top: &Path) -> PathBuf {
    let build = top.join("build/of/debian");
    let base = build.join("fail2ban/tests/config");
    let link = |from: PathBuf, to: PathBuf| {
        std::os::unix::fs::symlink(fs::canonicalize(from).expect("path"), to).expect("link");
    };
    fs::create_dir_all(&base).expect("directory");
    fs::create_dir(base.join("filter.d")).expect("directory");
    for name in [
        "zzz-generic-example.conf",
        "zzz-sshd-obsolete-multiline.conf",
    ] {
        let file = Path::new("filter.d").join(name);
        fs::copy(tests.join("config").join(&file), base.join(&file)).expect("copy");
    }
    link(root.join("etc/fail2ban"), top.join("config"));
    link(root.join("etc/fail2ban"), build.join("config"));
    base
}

/// All filters with the directory they are in.
fn filters(stock: &Path, extra: &Path) -> BTreeMap<String, PathBuf> {
    let mut all = BTreeMap::new();
    for (base, wanted) in [(stock, ""), (extra, "zzz-")] {
        for entry in fs::read_dir(base.join("filter.d")).expect("filter.d") {
            let name = entry
                .expect("entry")
                .file_name()
                .to_string_lossy()
                .into_owned();
            let Some(name) = name.strip_suffix(".conf") else {
                continue;
            };
            if name.starts_with(wanted) && !name.ends_with("common") {
                all.insert(name.to_owned(), base.to_owned());
            }
        }
    }
    all
}

/// Runs a filter over its sample files.
fn judge(name: &str, base: &Path, logs: &Path, measure: Measure) -> Score {
    let mut score = Score::default();
    // variants stay from file to file: later files rely on what earlier ones taught the filter
    let mut variants: BTreeMap<String, Variant> = BTreeMap::new();
    let mut active: Vec<String> = Vec::new();
    let mut files = vec![name.to_owned()];
    let mut number = 0;
    while let Some(file) = files.get(number).cloned() {
        number += 1;
        let text = fs::read_to_string(logs.join(&file)).expect("sample log");
        let mut common_options = Options::new();
        let mut skipping = false;
        let mut expected = None;
        for (line_number, line) in (1..).zip(text.lines()) {
            let place = format!("{file}:{line_number}");
            if expected.is_none()
                && let Some((kind, json)) = annotation(line)
            {
                let value: Value =
                    serde_json::from_str(json).unwrap_or_else(|e| panic!("{place}: {e}"));
                match kind {
                    "failJSON" => expected = value.as_object().cloned(),
                    "fileOptions" => {
                        common_options = value.as_object().cloned().unwrap_or_default()
                    }
                    "addFILE" => files.extend(value.as_str().map(str::to_owned)),
                    _ => {
                        active.clear();
                        skipping = false;
                        for options in alternatives(&value) {
                            let mut options_all = common_options.clone();
                            options_all.extend(options);
                            if let Some(condition) = options_all.get("test.condition") {
                                skipping = !holds(text_of(condition), name, &options_all);
                            }
                            if skipping {
                                continue;
                            }
                            let key = Value::Object(options_all.clone()).to_string();
                            variants
                                .entry(key.clone())
                                .or_insert_with(|| variant(name, base, options_all));
                            active.push(key);
                        }
                    }
                }
                continue;
            }
            let facts = match expected.take() {
                Some(mut facts) => {
                    if let Measure::Ids(_) = measure {
                        facts.retain(|key, _| {
                            ["match", "time", "host", "constraint"].contains(&key.as_str())
                        });
                    }
                    facts
                }
                None if skipping || line.starts_with('#') || line.trim().is_empty() => continue,
                None => Map::new(),
            };
            if skipping {
                continue;
            }
            if active.is_empty() {
                variants
                    .entry("{}".to_owned())
                    .or_insert_with(|| variant(name, base, Options::new()));
                active.push("{}".to_owned());
            }
            for key in &active {
                let Some(variant) = variants.get_mut(key) else {
                    continue;
                };
                if let Some(constraint) = facts.get("constraint")
                    && !holds(text_of(constraint), name, &variant.options)
                {
                    continue;
                }
                score.lines += 1;
                let (manner, known) = match measure {
                    Measure::Everything => (MANNER, false),
                    Measure::Ids(known) => (FIRST, known.contains(&(file.clone(), line_number))),
                };
                match try_line(variant, line, &facts, manner) {
                    Ok(()) => score.right += 1,
                    Err(_) if known => {
                        score.exceptions.insert((file.clone(), line_number));
                    }
                    Err(reason) => score
                        .wrong
                        .push(format!("{name} {key} {place}: {reason}\n  {line}")),
                }
            }
        }
    }
    score
}

/// The kind and the JSON of an annotation line.
fn annotation(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix('#')?.trim_start_matches('#');
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    ["failJSON", "fileOptions", "filterOptions", "addFILE"]
        .into_iter()
        .find_map(|kind| Some((kind, rest.strip_prefix(kind)?.strip_prefix(':')?)))
}

fn alternatives(value: &Value) -> Vec<Options> {
    match value {
        Value::Array(all) => all.iter().filter_map(|v| v.as_object().cloned()).collect(),
        Value::Object(one) => vec![one.clone()],
        other => panic!("options are no object: {other}"),
    }
}

/// The few conditions that samples use.
fn holds(condition: &str, name: &str, options: &Options) -> bool {
    let plain: String = condition.chars().filter(|c| !c.is_whitespace()).collect();
    let aggressive = options.get("mode").is_some_and(|m| m == "aggressive");
    match plain.as_str() {
        "name=='sshd'" => name == "sshd",
        "opts.get('mode')=='aggressive'" => aggressive,
        "opts.get('mode')!='aggressive'" => !aggressive,
        _ => panic!("unknown condition {condition}"),
    }
}

/// A filter as its file and these options make it.
fn variant(name: &str, base: &Path, options: Options) -> Variant {
    let mut given = options.clone();
    given.retain(|key, _| !key.starts_with("test."));
    let wanted = format!("filter.d/{name}.conf[{}]", arguments(&given));
    let found =
        config::find_filter(base, &wanted, "auto").unwrap_or_else(|e| panic!("{wanted}: {e}"));
    let found = found
        .unwrap_or_else(|| panic!("{wanted} was not found"))
        .options;
    let mut filter = Filter::new(name);
    if let Some(lines) = found.maxlines {
        filter.set_maxlines(usize::try_from(lines).expect("maxlines"));
    }
    if let Some(prefregex) = &found.prefregex {
        filter
            .set_prefregex(prefregex)
            .unwrap_or_else(|e| panic!("{wanted}: {e}"));
    }
    if let Some(pattern) = &found.datepattern {
        filter
            .set_datepattern(pattern)
            .unwrap_or_else(|e| panic!("{wanted}: {e}"));
    }
    for regex in &found.failregex {
        filter
            .add_failregex(regex)
            .unwrap_or_else(|e| panic!("{wanted}: {e}"));
    }
    for regex in &found.ignoreregex {
        filter
            .add_ignoreregex(regex)
            .unwrap_or_else(|e| panic!("{wanted}: {e}"));
    }
    Variant { filter, options }
}

/// Compares what a line gives with what its annotation says.
fn try_line(
    variant: &mut Variant,
    line: &str,
    facts: &Options,
    manner: Manner,
) -> Result<(), String> {
    let journal = variant
        .options
        .get("logtype")
        .is_some_and(|l| l == "journal");
    let prefix = variant.options.get("test.prefix-line").map_or("", text_of);
    let clock = Clock {
        now: NOW,
        in_operation: false,
        findtime: 600.0,
    };
    let mut outcome = LineOutcome::default();
    match journal {
        true => {
            let line = format!("{prefix}{line}");
            let date = Some((NOW_TEXT, NOW));
            variant
                .filter
                .examine(&line, date, &clock, manner, &mut outcome);
        }
        false => variant
            .filter
            .examine(line, None, &clock, manner, &mut outcome),
    }
    let found: Vec<&Found> = outcome
        .found
        .iter()
        .filter(|found| found.id.is_some() && !found.nofail)
        .collect();
    let expected = facts.get("match") == Some(&Value::Bool(true));
    let found = match (&found[..], expected) {
        ([], false) => return Ok(()),
        ([], true) => return Err("no match".to_owned()),
        ([one], true) => one,
        (some, false) => return Err(format!("matched by regex {}", some[0].regex)),
        (several, true) => {
            let all: Vec<_> = several.iter().map(|f| f.regex).collect();
            return Err(format!("matched by several regexes: {all:?}"));
        }
    };
    for (key, value) in facts {
        match key.as_str() {
            "match" | "desc" | "constraint" => {}
            "time" if value.is_null() => {}
            "time" => {
                let wanted = moment(text_of(value));
                if found.time != Some(wanted) {
                    return Err(format!(
                        "time {:?} instead of {wanted} ({value})",
                        found.time
                    ));
                }
            }
            key => {
                let given = shown(found, key);
                let wanted = match (key, found.record.get(&Name::from(key))) {
                    // the same address may be written in several ways
                    ("host", None) => vec![Address::parse(text_of(value)).to_string()],
                    _ => normal(value),
                };
                if given != wanted {
                    return Err(format!("{key} is {given:?} instead of {wanted:?}"));
                }
            }
        }
    }
    Ok(())
}

/// A field, or what stands for it: `host` is the id, `attempts` the number of lines.
fn shown(found: &Found, key: &str) -> Vec<String> {
    match found.record.get(&Name::from(key)) {
        Some(FieldValue::Text(text)) => vec![text.clone()],
        Some(FieldValue::Address(address)) => vec![address.to_string()],
        Some(FieldValue::Set(values)) => {
            let mut values = values.clone();
            values.sort();
            values
        }
        Some(FieldValue::Tuple(parts)) => parts
            .iter()
            .map(|p| p.clone().unwrap_or_default())
            .collect(),
        None => match (key, &found.id) {
            ("host", Some(FailureId::Address(address))) => vec![address.to_string()],
            ("host", Some(FailureId::Name(name))) => vec![name.clone()],
            ("attempts", _) => vec![found.matches.len().to_string()],
            _ => vec!["null".to_owned()],
        },
    }
}

fn normal(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => {
            let mut values: Vec<String> = values.iter().flat_map(normal).collect();
            values.sort();
            values
        }
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

fn moment(text: &str) -> f64 {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").expect("time");
    let local = Local
        .from_local_datetime(&time)
        .earliest()
        .expect("local time");
    local.timestamp_micros() as f64 / 1e6
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
