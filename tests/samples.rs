//! All filters of the reference in every mode their sample logs name: each annotated line must
//! give the failure its annotation tells, or none.
//!
//! `ferroban::samples` reads and tries them; expected times are local times of Zurich, as seen in
//! August 2005.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ferroban::parts::samples::{self, Facts, Measure, SampleStep, Samples, ZONE};

/// A line of a sample file: its name and the number of the line.
type Place = (String, usize);

/// What came out for one filter.
#[derive(Default)]
struct Score {
    lines: usize,
    right: usize,
    /// Lines that are judged otherwise than annotated, as was to be expected.
    exceptions: BTreeSet<Place>,
    /// How many of them accuse a name in place of an address.
    named: usize,
    wrong: Vec<String>,
}

impl Score {
    fn add(&mut self, other: Score) {
        self.lines += other.lines;
        self.right += other.right;
        self.exceptions.extend(other.exceptions);
        self.named += other.named;
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
        let score = judge(
            &name,
            &base,
            &tests.join("files/logs"),
            Measure::Strictly,
            &BTreeSet::new(),
        );
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
            let score = judge(&name, repository, &logs, Measure::Ids, &known);
            let _ = writeln!(table, "{}", row(&name, &score));
            total.add(score);
        }
    }
    let _ = writeln!(table, "{}", row("all", &total));
    let addresses = total.lines - total.named;
    let share = 100.0 * total.right as f64 / addresses as f64;
    let _ = writeln!(table, "{share:.1}% of {addresses} without a name for an id");
    println!("{table}");
    assert!(total.wrong.is_empty(), "{}", total.wrong.join("\n"));
    assert!(share >= 99.0, "{share}%");
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

/// Filters of whose expressions a later one is meant for what the earlier ones leave.
const IN_ORDER: [&str; 3] = ["dovecot", "saslauthd", "sshd"];

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
        let measure = match IN_ORDER.contains(&&*name) {
            true => Measure::Everything,
            false => Measure::Strictly,
        };
        let score = judge(&name, repository, &logs, measure, &BTreeSet::new());
        assert!(score.lines > 3, "{name}: {} lines", score.lines);
        wrong.extend(score.wrong);
        let filter = repository.join("filter.d").join(format!("{name}.conf"));
        for (log, options) in combinations(&name, &logs) {
            let log = logs.join(log).to_string_lossy().into_owned();
            let filter = format!("{}[{}]", filter.display(), samples::arguments(&options));
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

/// A connection to sshd comes to as many failures as with the original's filter, in every mode.
#[test]
fn connections_to_sshd_count_as_with_the_original() {
    let connections = include_str!("sshd_connections.txt");
    // the first block says what the file is
    let connections: Vec<_> = connections.split("\n\n").skip(1).collect();
    let address = |number: usize| format!("192.0.2.{}", number + 1);
    let mut log = tempfile::NamedTempFile::new().expect("temporary file");
    for (number, connection) in connections.iter().enumerate() {
        for (second, message) in connection.lines().skip(1).enumerate() {
            let message = message.replace("{A}", &address(number));
            let time = format!("Aug 14 11:{number:02}:{second:02}");
            writeln!(log, "{time} srv sshd[{}]: {message}", 1000 + number).expect("write");
        }
    }
    let log = log.path().to_string_lossy();
    let original = common::reference("1.1.1").join("etc/fail2ban/filter.d/sshd.conf");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("filter.d/sshd.conf");
    let options = ["mode=normal", "mode=ddos", "mode=extra", "mode=aggressive"];
    let keys = ["publickey=any", "publickey=invalid", "publickey=ignore"];
    let asked = |filter: &Path| -> Vec<[String; 5]> {
        let all = options.iter().chain(&keys);
        let filters = all.map(|options| format!("{}[{options}]", filter.display()));
        let words = |filter: String| ["--raw", "-o", "row", &*log, &filter].map(str::to_owned);
        filters.map(words).collect()
    };
    let mut wrong = Vec::new();
    for (words, theirs) in asked(&shipped)
        .iter()
        .zip(answers_of_the_original(&asked(&original)))
    {
        let mut program = common::ours("fail2ban-regex");
        let ours = program.args(words).env("TZ", ZONE).output().expect("runs");
        let ours = String::from_utf8_lossy(&ours.stdout).into_owned();
        for (number, connection) in connections.iter().enumerate() {
            let begin = format!("['{}'", address(number));
            let count = |rows: &str| rows.lines().filter(|row| row.starts_with(&begin)).count();
            let (ours, theirs) = (count(&ours), count(&theirs));
            if ours != theirs {
                wrong.push(format!(
                    "{}: {ours} instead of {theirs}\n{connection}",
                    words[4]
                ));
            }
        }
    }
    assert!(connections.len() > 30);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
                    filter += &format!("[{}]", samples::arguments(&options));
                }
                // many are the same in both versions
                if seen.insert((definition.clone(), lines, samples::arguments(&options))) {
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
fn combinations(name: &str, logs: &Path) -> Vec<(String, Facts)> {
    let mut all = Vec::new();
    let mut named = vec![Facts::new()];
    let mut files = vec![name.to_owned()];
    let mut number = 0;
    while let Some(file) = files.get(number).cloned() {
        number += 1;
        let samples = Samples::read(&logs.join(&file)).unwrap_or_else(|e| panic!("{e}"));
        files.extend(samples.more);
        for step in samples.steps {
            let SampleStep::Options(sets) = step else {
                continue;
            };
            for (options, _) in sets {
                let options = samples::of_the_filter(&options);
                if !named.contains(&options) {
                    named.push(options);
                }
            }
        }
    }
    for file in files {
        all.extend(named.iter().map(|options| (file.clone(), options.clone())));
    }
    all
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

/// Runs a filter over its sample files. `known`: lines that it judges otherwise.
fn judge(name: &str, base: &Path, logs: &Path, measure: Measure, known: &BTreeSet<Place>) -> Score {
    let mut score = Score::default();
    for judged in samples::judge(name, base, logs, measure).unwrap_or_else(|e| panic!("{e}")) {
        score.lines += 1;
        let file = judged.path.file_name().unwrap_or_default();
        let place = (file.to_string_lossy().into_owned(), judged.line);
        match judged.difference {
            None => score.right += 1,
            Some(difference) if known.contains(&place) => {
                let host = difference.expected.get("host").and_then(|h| h.as_str());
                score.named += usize::from(host.is_some_and(|h| h.parse::<IpAddr>().is_err()));
                score.exceptions.insert(place);
            }
            Some(difference) => score.wrong.push(format!(
                "{name}[{}] {place:?}: {difference:?}\n  {}",
                samples::arguments(&judged.options),
                judged.text
            )),
        }
    }
    score
}
