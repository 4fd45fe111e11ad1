//! The fuzz targets of `fuzz/` run over their seeds and over all inputs that once made one fail, so
//! that neither the targets nor what they found is forgotten.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// The files of a directory in order; none when it is not there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    files
}

#[test]
fn seeds_and_former_crashers_pass() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (name, run) in targets::TARGETS {
        let seeds = files(&fuzz.join("seeds").join(name));
        assert!(seeds.len() >= 3, "{name} has seeds");
        for path in seeds
            .into_iter()
            .chain(files(&fuzz.join("crashers").join(name)))
        {
            let begin = Instant::now();
            run(&fs::read(&path).expect("readable"));
            eprintln!("{} {:?}", path.display(), begin.elapsed());
        }
    }
}

/// A line as libFuzzer reads dictionaries: `name="bytes"`, escaped by `\\`, `\"` and `\xAB` alone. It
/// refuses the whole file for one line that is different.
fn is_entry(line: &str) -> bool {
    let line = line.trim_matches([' ', '\t']);
    let inner = line
        .split_once('"')
        .and_then(|(_, rest)| rest.strip_suffix('"'));
    let Some(mut rest) = inner.filter(|inner| !inner.is_empty()) else {
        return false;
    };
    while let Some(c) = rest.chars().next() {
        let length = match rest.as_bytes() {
            [b'\\', b'\\' | b'"', ..] => 2,
            [b'\\', b'x', a, b, ..] if [a, b].iter().all(|h| h.is_ascii_hexdigit()) => 4,
            _ if c == '\\' || !(c == ' ' || c.is_ascii_graphic()) => return false,
            _ => 1,
        };
        rest = &rest[length..];
    }
    true
}

#[test]
fn dictionaries_are_read_to_the_last_line() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let dictionaries = files(&fuzz.join("dictionaries"));
    assert_eq!(dictionaries.len(), targets::TARGETS.len());
    for path in dictionaries {
        let text = fs::read_to_string(&path).expect("readable");
        for (number, line) in text.lines().enumerate() {
            let entry = line.is_empty() || line.starts_with('#') || is_entry(line);
            assert!(entry, "{}:{}: {line}", path.display(), number + 1);
        }
    }
    for wrong in ["\"\\n\"", "x", "\"", "\"\"", "\"\\xg0\"", "\"é\""] {
        assert!(!is_entry(wrong), "{wrong}");
    }
}
