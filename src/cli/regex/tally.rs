//! What a run counts and keeps for its report. Lines are kept only when they may be printed.

use crate::filter::{Filter, Parts};

/// Hits of one regex.
#[derive(Debug, Default)]
pub(super) struct RegexTally {
    pub(super) source: String,
    pub(super) expanded: String,
    pub(super) hits: u64,
    /// With `-v`: id, time and whether it carries the note on several regexes.
    pub(super) details: Vec<(String, Option<f64>, bool)>,
}

/// Lines of one kind: matched, ignored or missed.
#[derive(Debug)]
pub(super) struct LineGroup {
    pub(super) count: i64,
    /// How many lines are kept at most.
    keep: usize,
    pub(super) lines: Vec<String>,
    /// With `--debuggex`: the lines as the links show them.
    pub(super) plain: Option<Vec<String>>,
}

impl LineGroup {
    pub(super) fn new(keep: usize, debuggex: bool) -> LineGroup {
        LineGroup {
            count: 0,
            keep,
            lines: Vec::new(),
            plain: debuggex.then(Vec::new),
        }
    }

    /// Whether the list is short enough to be printed, or all of it is wanted (fact X13).
    pub(super) fn fits(&self, all: bool, listed: usize) -> bool {
        all || self.count < i64::try_from(listed).unwrap_or(i64::MAX)
    }

    /// Counts a line, and keeps it while there is room.
    #[inline]
    pub(super) fn add(&mut self, line: &str, plain: Option<&str>) {
        self.count += 1;
        if self.count <= i64::try_from(self.keep).unwrap_or(i64::MAX) {
            self.keep(line, plain.unwrap_or(line));
        }
    }

    fn keep(&mut self, line: &str, plain: &str) {
        self.lines.push(line.to_owned());
        if let Some(plains) = &mut self.plain {
            plains.push(plain.to_owned());
        }
    }

    /// Drops the first kept copy of a line.
    fn forget(&mut self, line: &str, plain: &str) {
        if let Some(at) = self.lines.iter().position(|l| l == line) {
            self.lines.remove(at);
            if let Some(plains) = &mut self.plain
                && let Some(at) = plains.iter().position(|l| l == plain)
            {
                plains.remove(at);
            }
        }
    }
}

/// All counts of a run.
#[derive(Debug)]
pub(super) struct RunTally {
    pub(super) tested: i64,
    pub(super) matched: LineGroup,
    pub(super) ignored: LineGroup,
    pub(super) missed: LineGroup,
    pub(super) prefregex: u64,
    /// With `-v`: the fields of the first matches of the prefregex.
    pub(super) prefixes: Vec<String>,
    pub(super) failregexes: Vec<RegexTally>,
    pub(super) ignoreregexes: Vec<RegexTally>,
}

impl RunTally {
    /// Settles what a multi-line match did to lines seen before: buffered lines that are gone from
    /// the buffer were part of the match, not missed. Returns their text without dates.
    pub(super) fn settle(
        &mut self,
        before: &[Parts],
        full: bool,
        filter: &Filter,
        list_matched: bool,
    ) -> Vec<String> {
        let mut context = Vec::new();
        for line in before.iter().skip(usize::from(full)) {
            if filter.buffered().contains(line) {
                continue;
            }
            let whole = line.concat();
            let plain = format!("{}{}", line[0], line[2]);
            self.missed.forget(&whole, &plain);
            if list_matched {
                if self.matched.plain.is_none() {
                    self.matched.lines.push(whole);
                } else {
                    context.push(plain);
                }
            }
            self.matched.count += 1;
            self.missed.count -= 1;
        }
        context
    }
}
