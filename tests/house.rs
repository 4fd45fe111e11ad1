//! What the code as a whole keeps to: state that belongs to nobody, and `unsafe`, stay few and have
//! their reasons.

use std::fs;
use std::path::{Path, PathBuf};

/// At most so many statics with state, and places that say `unsafe`.
const STATICS: usize = 5;
const UNSAFE: usize = 30;

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("directory") {
        let path = entry.expect("entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && !["tests", "target"].contains(&&*name) {
            sources(&path, found);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The files of `src` and of the crates, by their path, without their tests and comments.
fn code() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for part in ["src", "crates"] {
        sources(&root.join(part), &mut found);
    }
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        let code = text.split("\n#[cfg(test)]\nmod tests {").next();
        let lines = code.unwrap_or_default().lines();
        let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
        let path = path.strip_prefix(root).expect("below the root");
        let path = path.to_string_lossy().into_owned();
        (path, lines.collect::<Vec<_>>().join("\n"))
    };
    found.into_iter().map(read).collect()
}

/// The name of the static that a line defines.
fn name_of_static(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let visible = line
        .strip_prefix("pub(crate) ")
        .or(line.strip_prefix("pub "));
    let rest = visible.unwrap_or(line).strip_prefix("static ")?;
    rest.split(':').next()
}

#[test]
fn statics_are_few_and_have_their_reasons() {
    let mut found = Vec::new();
    for (path, code) in code() {
        for name in code.lines().filter_map(name_of_static) {
            found.push(format!("`{path}` `{name}`"));
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/structure.md");
    let page = fs::read_to_string(page).expect("the page");
    // the allocator's name has no state
    found.retain(|name| name != "`src/main.rs` `ALLOCATOR`");
    assert!(found.len() <= STATICS, "{found:#?}");
    for name in &found {
        assert!(
            page.contains(&format!("| {name} |")),
            "docs/structure.md: {name}"
        );
    }
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `src/") || line.starts_with("| `crates/"));
    let rows = rows.filter(|line| line.contains("` `"));
    assert_eq!(rows.count(), found.len(), "docs/structure.md has others");
}

#[test]
fn unsafe_is_rare_and_stands_in_one_folder() {
    let mut count = 0;
    for (path, code) in code() {
        let is_sys = path.starts_with("src/sys/");
        let allows = code.contains("allow(unsafe_code)");
        assert!(is_sys || !allows, "{path} allows unsafe code");
        if is_sys {
            let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            count += words.filter(|word| *word == "unsafe").count();
        }
    }
    println!("{count} places say unsafe");
    assert!(count <= UNSAFE, "{count} places say unsafe");
}

#[test]
fn the_library_exports_what_the_program_needs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let text = fs::read_to_string(path).expect("readable");
    let exported: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("pub "))
        .collect();
    let expected = [
        "pub mod parts;",
        "pub use cli::main;",
        "pub use sys::allocator::Allocator;",
    ];
    assert_eq!(exported, expected);
    assert!(text.contains("#[doc(hidden)]\npub mod parts;"));
}
