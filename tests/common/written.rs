//! Configurations that are written down in one text each: what it is, then its files, each behind a line
//! `--- NAME`.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

/// One configuration.
pub struct Written {
    /// The name of its text.
    pub name: String,
    /// Names and contents of its files.
    pub files: Vec<(String, String)>,
}

/// All texts of a folder of `tests/`, by name.
pub fn all(folder: &str) -> Vec<Written> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let mut parts = text.split("--- ");
        let about = parts.next().unwrap();
        assert!(about.starts_with("# "), "{}", path.display());
        let files = parts.map(|part| part.split_once('\n').unwrap());
        Written {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            files: files.map(|(n, t)| (n.to_owned(), t.to_owned())).collect(),
        }
    };
    paths.iter().map(read).collect()
}

impl Written {
    /// Takes a file out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self.files.iter().position(|(known, _)| known == name)?;
        Some(self.files.remove(at).1)
    }

    /// Writes its files into a directory, over a machine that is Debian with a journal and iptables if it
    /// does not say what the machine is.
    pub fn write(&self, directory: &Path) {
        let machine =
            "[INCLUDES]\nbefore = paths-debian.conf\n[DEFAULT]\nsyslog_backend = systemd\n";
        fs::write(directory.join("paths-system.conf"), machine).unwrap();
        for (name, text) in &self.files {
            let path = directory.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
}
