//! The characters of every category, and the cases of every character, are those of Python's `re`.

use std::process::Command;

use ferroban::parts::pattern::{Flags, Regex};
use serde::Deserialize;

/// What matches in `text`, put together.
fn found(pattern: &str, text: &str) -> String {
    let regex = Regex::new(pattern, Flags::default()).expect("Python compiles it");
    let mut found = String::new();
    let mut start = 0;
    let search = |start| regex.search_range(text, start, text.len());
    while let Some(next) = search(start).expect("within limits") {
        let (from, to) = next.span();
        found.push_str(&text[from..to]);
        start = to;
    }
    found
}

#[test]
fn every_character_is_what_python_takes_it_for() {
    let output = Command::new("/usr/bin/python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/drivers/characters.py"
        ))
        .output()
        .expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut answers = serde_json::Deserializer::from_slice(&output.stdout);
    let texts = Vec::<String>::deserialize(&mut answers).expect("texts");
    let questions = Vec::<(String, usize, String)>::deserialize(&mut answers).expect("questions");
    assert!(questions.len() > 1_000, "{}", questions.len());
    for (pattern, text, python) in questions {
        let ours = found(&pattern, &texts[text]);
        let differ = |a: &str, b: &str| -> Vec<String> {
            let only = a.chars().filter(|c| !b.contains(*c));
            only.map(|c| format!("{:04X}", u32::from(c))).collect()
        };
        assert!(
            ours == python,
            "{pattern:?}: only ours {:?}, only Python's {:?}",
            differ(&ours, &python),
            differ(&python, &ours)
        );
    }
}
