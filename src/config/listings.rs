//! What stands in the directories of the configuration. Most of the files that are looked for are
//! not there: a look at the list of names saves asking for each of them.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::files::{Files, split};
use super::settings::Hashing;

/// The directories looked at so far.
#[derive(Default)]
pub struct Listings {
    directories: HashMap<String, HashSet<String, Hashing>, Hashing>,
}

impl Listings {
    /// Whether something may be at the path. False is certain; true has still to be asked for.
    pub fn may_have(&mut self, files: &dyn Files, path: &str) -> bool {
        let (directory, name) = split(path);
        if !self.directories.contains_key(directory) {
            let (names, _) = files.names(directory);
            let names = names.into_iter().collect();
            self.directories.insert(directory.to_owned(), names);
        }
        // one that cannot be listed may still be searched
        let names = self.directories.get(directory);
        names.is_none_or(|names| names.is_empty() || names.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::Memory;
    use super::*;

    #[test]
    fn only_what_is_listed_may_be_there() {
        let files = Memory::new(&[("/c/a.conf", "")]);
        let mut listings = Listings::default();
        let mut may_have = |path: &str| listings.may_have(&files, path);
        assert!(may_have("/c/a.conf"));
        assert!(!may_have("/c/a.local"));
        assert!(may_have("/none/a.conf"));
    }
}
