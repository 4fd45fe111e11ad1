//! `ferroban test`: annotated lines of one's own filters are tried, and what differs is told where it
//! stands.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

const FILTER: &str = "[Definition]\n\
    failregex = ^\\s*<mode>: user <F-USER>\\S+</F-USER> failed from <ADDR>$\n\
    [Init]\n\
    mode = login\n";

const RIGHT: &str = r#"# filterOptions: [{}, {"mode": "login"}]
# failJSON: { "time": "2005-08-14T11:00:00", "match": true, "host": "192.0.2.1", "user": "anna" }
Aug 14 11:00:00 login: user anna failed from 192.0.2.1
# failJSON: { "time": "2024-03-01T09:00:00Z", "match": true, "host": "2001:db8::1" }
2024-03-01T10:00:00+01:00 login: user bert failed from 2001:0db8::1
Aug 14 11:00:00 login: user anna came from 192.0.2.1
# filterOptions: {"mode": "shop"}
# failJSON: { "match": true, "host": "192.0.2.2" }
Aug 14 11:00:00 shop: user carl failed from 192.0.2.2
"#;

const WRONG: &str = r#"# failJSON: { "match": true, "host": "192.0.2.9", "user": "anna" }
Aug 14 11:00:00 login: user anna failed from 192.0.2.1

Aug 14 11:00:01 login: user bert failed from 192.0.2.1
# filterOptions: {"mode": "shop"}
# failJSON: { "match": true, "host": "192.0.2.1" }
Aug 14 11:00:02 login: user \u001b[31m failed from 192.0.2.1
"#;

/// A configuration whose only filters are these, with the same samples for each.
fn configuration(filters: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let tests = directory.path().join("filter.d/tests");
    fs::create_dir_all(&tests).unwrap();
    for (name, samples) in filters {
        let filter = directory.path().join(format!("filter.d/{name}.conf"));
        fs::write(filter, FILTER).unwrap();
        fs::write(tests.join(name), samples.replace("\\u001b", "\u{1b}")).unwrap();
    }
    directory
}

fn run(config: &Path, words: &[&str]) -> Output {
    let mut program = common::ours("test");
    program.arg("-c").arg(config).args(words);
    program.output().unwrap()
}

/// Exit code, standard output, standard error.
fn told(config: &Path, words: &[&str]) -> (i32, String, String) {
    let output = run(config, words);
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn lines_as_expected_are_counted() {
    let config = configuration(&[("shop", RIGHT)]);
    for words in [&[][..], &["shop"]] {
        let (code, out, err) = told(config.path(), words);
        // three lines with two sets of options, and one
        assert_eq!(
            (code, &*out, &*err),
            (0, "shop: 7 lines, all as expected\n", "")
        );
    }
}

#[test]
fn a_difference_is_told_with_its_place_and_both_sides() {
    let config = configuration(&[("bad", WRONG), ("good", RIGHT)]);
    let (code, out, err) = told(config.path(), &[]);
    assert_eq!((code, &*err), (1, ""));
    let file = config.path().join("filter.d/tests/bad");
    let file = file.display();
    let expected = format!(
        r#"bad: 3 lines, 3 differ
  {file}:2:
    Aug 14 11:00:00 login: user anna failed from 192.0.2.1
    expected {{"match":true,"host":"192.0.2.9"}}
    got      {{"match":true,"host":"192.0.2.1"}}
  {file}:4:
    Aug 14 11:00:01 login: user bert failed from 192.0.2.1
    expected {{"match":false}}
    got      {{"match":true,"time":"2005-08-14T11:00:01","host":"192.0.2.1","user":"bert"}}
  {file}:7: [mode="shop"]
    Aug 14 11:00:02 login: user \x1b[31m failed from 192.0.2.1
    expected {{"match":true,"host":"192.0.2.1"}}
    got      {{"match":false}}
good: 7 lines, all as expected
2 filters, 10 lines, 3 differ
"#
    );
    assert_eq!(out, expected);
    // only what was asked for
    assert_eq!(told(config.path(), &["good"]).0, 0);

    let (code, out, _) = told(config.path(), &["--json"]);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &out["lines"], &out["differ"]),
        (1, &10.into(), &3.into())
    );
    let third = &out["filters"][0]["differences"][2];
    assert_eq!(third["line"], 7);
    assert_eq!(third["options"]["mode"], "shop");
    assert_eq!(third["got"]["match"], false);
    assert_eq!(out["filters"][1]["differ"], 0);
}

#[test]
fn what_cannot_be_tried_is_told_and_the_others_are_tried() {
    let broken = "Aug 14 11:00:00 x\n# failJSON: { \"host\": \"192.0.2.1\" }\nx\n";
    let config = configuration(&[("bad", broken), ("good", RIGHT)]);
    let tests = config.path().join("filter.d/tests");
    fs::write(tests.join("ghost"), "x\n").unwrap();
    fs::write(tests.join("odd"), "x\n").unwrap();
    fs::write(
        config.path().join("filter.d/odd.conf"),
        "[Definition]\nfailregex = (<HOST>\n",
    )
    .unwrap();
    let (code, out, err) = told(config.path(), &[]);
    assert_eq!((code, &*out), (3, "good: 7 lines, all as expected\n"));
    let told: Vec<&str> = err.lines().collect();
    let tests = tests.display();
    assert_eq!(told.len(), 3, "{err}");
    let start = format!("ferroban test: {tests}/bad:2: 'match' is missing");
    assert!(told[0].starts_with(&start), "{err}");
    assert!(told[1].contains("there is no filter 'ghost'"), "{err}");
    assert!(told[2].contains("filter odd: "), "{err}");
}

#[test]
fn where_there_are_no_samples_it_says_so() {
    let config = configuration(&[]);
    let tests = config.path().join("filter.d/tests");
    let there = format!("there are no samples in {}", tests.display());
    assert_eq!(
        told(config.path(), &[]),
        (3, String::new(), format!("ferroban test: {there}\n"))
    );
    let (code, _, err) = told(config.path(), &["shop"]);
    assert!(code == 3 && err.contains("filter.d/tests/shop"), "{err}");
    fs::remove_dir(&tests).unwrap();
    let (code, _, err) = told(config.path(), &[]);
    assert!(code == 3 && err.contains("there are no samples"), "{err}");
}

#[test]
fn a_directory_of_samples_and_the_shipped_filters() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let samples = repository.join("samples/filters/");
    let (code, out, err) = told(repository, &[samples.to_str().unwrap()]);
    assert_eq!((code, &*err), (0, ""), "{out}");
    let last = out.lines().last().unwrap();
    assert!(last.ends_with(" 0 differ"), "{last}");
    assert!(out.lines().count() > 100);
}

#[test]
fn a_file_may_add_another() {
    let config = configuration(&[("shop", RIGHT)]);
    let tests = config.path().join("filter.d/tests");
    fs::write(
        tests.join("shop"),
        format!("# addFILE: \"shop-more\"\n{RIGHT}"),
    )
    .unwrap();
    fs::write(tests.join("shop-more"), RIGHT).unwrap();
    let (code, out, err) = told(config.path(), &[]);
    assert_eq!(
        (code, &*out, &*err),
        (0, "shop: 14 lines, all as expected\n", "")
    );
}
