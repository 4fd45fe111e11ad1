//! The filters of the reference, as Python compiled them, against Python's `re`: the same match,
//! the same span of every group, on a sample of regexes and texts. The whole corpus is for the
//! `corpus` example, which reads what was recorded once.

mod common;

use ferroban::parts::pattern::{Flags, Regex};
use serde_json::Value;

/// Texts per regex.
const TEXTS: usize = 400;

/// One of Python's answers: spans of all groups, in bytes.
fn spans(found: &Value) -> Option<Vec<Option<(usize, usize)>>> {
    let place = |value: &Value| usize::try_from(value.as_u64()?).ok();
    let span = |span: &Value| place(&span[0]).zip(place(&span[1]));
    Some(found.as_array()?.iter().map(span).collect())
}

#[test]
fn every_sampled_search_finds_what_python_finds() {
    let root = common::reference("1.1.1");
    let packages = root.join("usr/lib/python3/dist-packages");
    let output = common::python("1.1.1")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/drivers/regexes.py"
        ))
        .arg(root.join("etc/fail2ban"))
        .arg(packages.join("fail2ban/tests/files/logs"))
        .args(["20261122", &TEXTS.to_string()])
        .output()
        .expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let (mut regexes, mut searches, mut matches) = (0, 0, 0);
    let mut wrong = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let answers: Value = serde_json::from_str(line).expect("JSON");
        let pattern = answers["pattern"].as_str().expect("a pattern");
        let flags = Flags {
            multiline: answers["multiline"] == true,
            ..Flags::default()
        };
        let regex = Regex::new(pattern, flags).expect("Python compiles it");
        let texts = answers["texts"].as_array().expect("texts");
        let found = answers["found"].as_array().expect("answers");
        regexes += 1;
        for (text, python) in texts.iter().zip(found) {
            let text = text.as_str().expect("a text");
            let python = spans(python);
            searches += 1;
            matches += usize::from(python.is_some());
            let ours = regex.search(text).expect("within limits");
            let ours = ours.map(|found| {
                let groups = 0..regex.group_names().len();
                groups.map(|group| found.group(group)).collect::<Vec<_>>()
            });
            if ours != python {
                wrong.push(format!(
                    "{pattern}\n  on {text:?}\n  {ours:?} instead of {python:?}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {searches}:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
    // A sample that shrinks to nothing must not pass.
    assert!(regexes > 200 && searches > 50_000 && matches > 3_000);
}
