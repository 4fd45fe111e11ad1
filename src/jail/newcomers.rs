//! Log files that appear while the jail runs: patterns of `logpath` are looked up again and again
//! (demand: a log with a new name every day is read without a restart).
//!
//! What rotation makes of a file that is read must not be read a second time under its new name:
//! neither the renamed file (the same inode with the same first line) nor a copy of it (the same
//! first line under a name that goes on from the old one).
#![forbid(unsafe_code)]

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// How often patterns are looked up.
const INTERVAL: Duration = Duration::from_secs(2);

/// First lines remembered.
const MOST_KNOWN: usize = 4096;

/// Files of one jail that patterns may add.
const MOST_FILES: usize = 4096;

/// Packed logs are no news.
const PACKED: [&str; 5] = [".gz", ".bz2", ".xz", ".zst", ".Z"];

/// Device and inode.
pub(super) type Identity = (u64, u64);

/// The patterns of a jail, and what is known of the files it has read.
#[derive(Debug, Default)]
pub(super) struct Newcomers {
    patterns: Vec<String>,
    /// Files read so far, with their first lines.
    known: HashSet<(Identity, String)>,
    known_hashes: HashSet<String>,
    order: VecDeque<(Identity, String)>,
    /// Taken away by command: they stay away.
    removed: HashSet<String>,
    /// Files that could not be opened, which was told.
    refused: HashSet<String>,
    look_at: Option<Instant>,
    before: Option<Vec<String>>,
}

impl Newcomers {
    /// Patterns, each perhaps with `head` or `tail` behind a blank, which concern the files that were
    /// there at the start.
    pub fn set_patterns(&mut self, lines: &[String], now: Instant) {
        let pattern = |line: &String| {
            let pattern = line
                .rsplit_once(' ')
                .map_or(line.as_str(), |(path, _)| path);
            pattern.to_owned()
        };
        self.patterns = lines.iter().map(pattern).collect();
        self.look_at = (!self.patterns.is_empty()).then_some(now + INTERVAL);
    }

    /// When to look the patterns up.
    pub fn look_at(&self) -> Option<Instant> {
        self.look_at
    }

    /// The patterns to look up now; the next look is due when [`Newcomers::looked`] is called.
    pub fn begin_look(&mut self) -> Vec<String> {
        self.look_at = None;
        self.patterns.clone()
    }

    /// A look has ended.
    pub fn looked(&mut self, now: Instant) {
        self.look_at = (!self.patterns.is_empty()).then_some(now + INTERVAL);
    }

    /// A file that is read, with its first line's hash; files without a line are not known yet.
    pub fn know(&mut self, file: Identity, first_line: &str) {
        if first_line.is_empty() {
            return;
        }
        let key = (file, first_line.to_owned());
        if self.known.insert(key.clone()) {
            self.known_hashes.insert(first_line.to_owned());
            self.order.push_back(key);
            if self.order.len() > MOST_KNOWN
                && let Some(oldest) = self.order.pop_front()
            {
                self.known_hashes.remove(&oldest.1);
                self.known.remove(&oldest);
            }
        }
    }

    /// Taken away by command.
    pub fn remove(&mut self, path: &str) {
        if !self.patterns.is_empty() && self.removed.len() < MOST_FILES {
            self.removed.insert(path.to_owned());
        }
    }

    /// Added by command: no longer to stay away.
    pub fn add(&mut self, path: &str) {
        self.removed.remove(path);
    }

    /// A file cannot be opened; answers whether that is news.
    pub fn refuse(&mut self, path: &str) -> bool {
        self.refused.len() < MOST_FILES && self.refused.insert(path.to_owned())
    }

    /// Whether a path may be worth a look; `count` files are read already.
    pub fn is_candidate(&self, path: &str, count: usize) -> bool {
        count < MOST_FILES
            && !self.removed.contains(path)
            && !PACKED.iter().any(|ending| path.ends_with(ending))
    }

    /// Whether a file is one that was read before, or a copy of one of `paths`.
    pub fn is_known<'p>(
        &self,
        path: &str,
        file: Identity,
        first_line: &str,
        mut paths: impl Iterator<Item = &'p str>,
    ) -> bool {
        if first_line.is_empty() {
            return false;
        }
        self.known.contains(&(file, first_line.to_owned()))
            || self.known_hashes.contains(first_line) && paths.any(|known| path.starts_with(known))
    }

    /// A reload will name the patterns again.
    pub fn begin_reload(&mut self) {
        self.before = Some(std::mem::take(&mut self.patterns));
        self.look_at = None;
    }

    /// The patterns are complete, or (`keep`) those before shall hold.
    pub fn end_reload(&mut self, keep: bool, now: Instant) {
        if let Some(before) = self.before.take()
            && keep
        {
            self.patterns = before;
            self.looked(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rotation_leaves_is_not_new() {
        let mut newcomers = Newcomers::default();
        newcomers.know((1, 10), "first");
        newcomers.know((1, 11), "");
        let known = |path: &str, inode, line| {
            newcomers.is_known(path, (1, inode), line, ["/l/a.log"].into_iter())
        };
        assert!(known("/l/a.log.1", 10, "first"), "renamed");
        assert!(known("/l/a.log.1", 12, "first"), "copied");
        assert!(
            !known("/l/b.log", 12, "first"),
            "another with the same header"
        );
        assert!(!known("/l/a.log.2", 12, "other"));
        assert!(!known("/l/b.log", 11, ""), "empty");
        assert!(!newcomers.is_candidate("/l/a.log.2.gz", 0));
        newcomers.set_patterns(&["/l/*.log tail".to_owned()], Instant::now());
        newcomers.remove("/l/b.log");
        assert!(!newcomers.is_candidate("/l/b.log", 0));
        newcomers.add("/l/b.log");
        assert!(newcomers.is_candidate("/l/b.log", 0));
        assert_eq!(newcomers.begin_look(), ["/l/*.log"]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut newcomers = Newcomers::default();
        for inode in 0..10_000 {
            newcomers.know((1, inode), &inode.to_string());
        }
        assert_eq!(newcomers.known.len(), MOST_KNOWN);
        assert_eq!(newcomers.known_hashes.len(), MOST_KNOWN);
    }
}
