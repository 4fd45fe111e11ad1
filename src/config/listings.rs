//! Caches directory listings of the configuration. Most of the files that are looked for do not exist; a
//! lookup in the listing saves a system call for each.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::files::{Files, split};
use super::section::Hashing;

/// A directory is not listed before so many of its files were looked for: to ask for a few costs less.
const FEW: u32 = 8;

/// The directories looked at so far.
#[derive(Default)]
pub struct Listings {
    directories: HashMap<String, Directory, Hashing>,
}

enum Directory {
    /// So many of its files were looked for.
    Asked(u32),
    Listed(HashSet<String, Hashing>),
}

impl Listings {
    /// Whether something may be at the path. False is certain; true has still to be asked for.
    pub fn may_have(&mut self, files: &dyn Files, path: &str) -> bool {
        let (directory, name) = split(path);
        match self.directories.get_mut(directory) {
            None => {
                let first = Directory::Asked(1);
                self.directories.insert(directory.to_owned(), first);
                true
            }
            Some(Directory::Asked(times)) if *times < FEW => {
                *times += 1;
                true
            }
            Some(known) => {
                if matches!(known, Directory::Asked(_)) {
                    let (names, _) = files.names(directory);
                    *known = Directory::Listed(names.into_iter().collect());
                }
                // one that cannot be listed may still be searched
                match known {
                    Directory::Asked(_) => true,
                    Directory::Listed(names) => names.is_empty() || names.contains(name),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::MemoryFiles;
    use super::*;

    #[test]
    fn only_what_is_listed_may_be_there() {
        let files = MemoryFiles::new(&[("/c/a.conf", "")]);
        let mut listings = Listings::default();
        let mut may_have = |path: &str| listings.may_have(&files, path);
        for _ in 0..FEW {
            assert!(may_have("/c/a.local") && may_have("/none/a.conf"));
        }
        assert!(may_have("/c/a.conf"));
        assert!(!may_have("/c/a.local"));
        assert!(may_have("/none/a.conf"));
    }
}
