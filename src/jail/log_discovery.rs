//! Finds log files that appear while the jail runs, by expanding the patterns of `logpath` again (demand:
//! a log with a new name every day is read without a restart).
//!
//! A rotated log must not be read a second time under its new name: neither the renamed file (the same
//! inode and first line) nor a copy (the same first line, and a name that extends the old one).
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
pub(super) type FileIdentity = (u64, u64);

/// The patterns of a jail, and what is known of the files it has read.
#[derive(Debug, Default)]
pub(super) struct LogDiscovery {
    patterns: Vec<String>,
    /// Files read so far, with their first lines.
    known: HashSet<(FileIdentity, String)>,
    known_hashes: HashSet<String>,
    order: VecDeque<(FileIdentity, String)>,
    /// Taken away by command: they stay away.
    removed: HashSet<String>,
    /// Files that could not be opened, which was told.
    refused: HashSet<String>,
    next_scan: Option<Instant>,
    before: Option<Vec<String>>,
}

impl LogDiscovery {
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
        self.next_scan = (!self.patterns.is_empty()).then_some(now + INTERVAL);
    }

    /// When to look the patterns up.
    pub fn next_scan(&self) -> Option<Instant> {
        self.next_scan
    }

    /// The patterns to look up now; the next look is due when [`LogDiscovery::scan_done`] is called.
    pub fn begin_scan(&mut self) -> Vec<String> {
        self.next_scan = None;
        self.patterns.clone()
    }

    /// A look has ended.
    pub fn scan_done(&mut self, now: Instant) {
        self.next_scan = (!self.patterns.is_empty()).then_some(now + INTERVAL);
    }

    /// A file that is read, with its first line's hash; files without a line are not known yet.
    pub fn remember(&mut self, file: FileIdentity, first_line: &str) {
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
        file: FileIdentity,
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
        self.next_scan = None;
    }

    /// The patterns are complete, or (`keep`) those before shall hold.
    pub fn end_reload(&mut self, keep: bool, now: Instant) {
        if let Some(before) = self.before.take()
            && keep
        {
            self.patterns = before;
            self.scan_done(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rotation_leaves_is_not_new() {
        let mut discovery = LogDiscovery::default();
        discovery.remember((1, 10), "first");
        discovery.remember((1, 11), "");
        let known = |path: &str, inode, line| {
            discovery.is_known(path, (1, inode), line, ["/l/a.log"].into_iter())
        };
        assert!(known("/l/a.log.1", 10, "first"), "renamed");
        assert!(known("/l/a.log.1", 12, "first"), "copied");
        assert!(
            !known("/l/b.log", 12, "first"),
            "another with the same header"
        );
        assert!(!known("/l/a.log.2", 12, "other"));
        assert!(!known("/l/b.log", 11, ""), "empty");
        assert!(!discovery.is_candidate("/l/a.log.2.gz", 0));
        discovery.set_patterns(&["/l/*.log tail".to_owned()], Instant::now());
        discovery.remove("/l/b.log");
        assert!(!discovery.is_candidate("/l/b.log", 0));
        discovery.add("/l/b.log");
        assert!(discovery.is_candidate("/l/b.log", 0));
        assert_eq!(discovery.begin_scan(), ["/l/*.log"]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut discovery = LogDiscovery::default();
        for inode in 0..10_000 {
            discovery.remember((1, inode), &inode.to_string());
        }
        assert_eq!(discovery.known.len(), MOST_KNOWN);
        assert_eq!(discovery.known_hashes.len(), MOST_KNOWN);
    }
}
