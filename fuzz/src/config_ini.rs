//! Configuration files with any bytes in them, in layers, read into the command stream.
//!
//! Parts of the input are the files of [`PATHS`], in this order.

use std::collections::BTreeMap;
use std::io;

use ferroban::parts::config::files::{Files, join};
use ferroban::parts::config::ini;
use ferroban::parts::config::section::Section;
use ferroban::parts::config::{ReadOptions, stream};

/// Where the parts stand in the directory `/c`.
const PATHS: [&str; 8] = [
    "/c/jail.conf",
    "/c/filter.d/f.conf",
    "/c/action.d/a.conf",
    "/c/jail.local",
    "/c/fail2ban.conf",
    "/c/jail.d/x.conf",
    "/c/filter.d/b.conf",
    "/c/filter.d/f.local",
];

/// Files that exist only here; there is one log file beside them.
struct Memory<'a>(BTreeMap<&'static str, &'a [u8]>);

impl Files for Memory<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let bytes = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(bytes.to_vec())
    }

    fn exists(&self, path: &str) -> bool {
        self.is_file(path) || self.is_dir(path)
    }

    fn is_present(&self, path: &str) -> bool {
        self.exists(path)
    }

    fn is_file(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn is_dir(&self, path: &str) -> bool {
        let prefix = join(path, "");
        self.0.keys().any(|file| file.starts_with(&prefix))
    }

    fn names(&self, directory: &str) -> (Vec<String>, Vec<String>) {
        let prefix = join(directory, "");
        let files = self.0.keys().filter_map(|file| file.strip_prefix(&prefix));
        let mut names: Vec<String> = files
            .map(|rest| rest.split('/').next().unwrap_or(rest).to_owned())
            .collect();
        names.dedup();
        (names, Vec::new())
    }
}

pub fn run(data: &[u8]) {
    let mut files: BTreeMap<_, _> = PATHS.into_iter().zip(super::parts(data)).collect();
    for (path, bytes) in &files {
        if let Ok(text) = std::str::from_utf8(bytes) {
            read_alone(text, path);
        }
    }
    files.insert("/log", b"");
    // without it nothing else is read
    files.entry("/c/fail2ban.conf").or_insert(b"[Definition]\n");
    let files = Memory(files);
    let _ = stream::early(&files, "/c");
    for strict in [false, true] {
        let options = ReadOptions {
            allow_no_files: !strict,
            strict,
            ..ReadOptions::default()
        };
        if let Ok(stream) = stream::all(&files, "/c", &options) {
            assert!(!strict || stream.accepted || !stream.skipped.is_empty());
        }
    }
}

/// One file: whatever is in it stands on one of its lines.
fn read_alone(text: &str, path: &str) {
    let lines = text.split(['\n', '\r']).count();
    match ini::parse(text, path) {
        Ok(file) => {
            let check = |section: &Section| {
                for (name, entry) in section {
                    let origin = entry.origin.as_ref().expect("what is written has a place");
                    let line = origin.line as usize;
                    assert!(
                        (1..=lines).contains(&line),
                        "{name} on line {line} of {lines}"
                    );
                }
            };
            check(&file.defaults);
            file.sections.values().for_each(check);
        }
        Err(error) => assert!(error.to_string().contains(path), "{error}"),
    }
}
