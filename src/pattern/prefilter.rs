//! [`Prefilter`]: proves in a fraction of a microsecond that none of a jail's regexes can match a
//! line, which is true of most lines.
//!
//! Every regex that can match must find one of its `literals` in the text. One pass looks for
//! those of all regexes together; what a text begins with and a look for the literals of a single
//! regex then pick the regexes worth trying. Which of a regex's literals are rare in this log is
//! learnt from its first lines. Texts beyond ASCII are let through: case folding there reaches
//! further than the literals do.

use std::sync::Arc;

use super::FailRegex;
use python_re::Literals;

use super::block_scan::BlockScan;
use super::searchers::{Openers, Pairs, PrefilterResult, Searchers, is_ascii};
use super::strings::{NeededStrings, Search, union};

/// Lines that literals are learnt from.
const LESSONS: u32 = 64;
/// Lines after which the first pass must have proved its worth.
const TRIAL: u32 = 1_000;
/// Lines let through before it is tried again.
const REST: u32 = 16_000;

/// Looks for the literals of regexes before the regexes themselves are tried.
#[derive(Clone, Debug)]
pub struct Prefilter {
    searchers: Arc<Searchers>,
    lessons: Option<Box<Lessons>>,
    /// Texts looked at and texts let through since the start of the trial.
    seen: u32,
    passed: u32,
    /// Texts to be let through, since the first pass let through too many to be worth its time.
    resting: u32,
}

/// Finds out which of several sets of literals occur in the fewest lines.
#[derive(Clone, Debug)]
struct Lessons {
    left: u32,
    /// For each regex its sets, and how many lines each let through.
    regexes: Vec<Vec<(Arc<NeededStrings>, u32)>>,
}

impl Lessons {
    fn new(sets: &[Vec<Arc<NeededStrings>>]) -> Option<Box<Lessons>> {
        // A regex without literals lets every line through, and one with one set has no choice.
        let open = sets.iter().any(Vec::is_empty);
        let choice = sets.iter().any(|sets| sets.len() > 1);
        let pupils =
            |sets: &Vec<Arc<NeededStrings>>| sets.iter().map(|set| (set.clone(), 0)).collect();
        (choice && !open).then(|| {
            Box::new(Lessons {
                left: LESSONS,
                regexes: sets.iter().map(pupils).collect(),
            })
        })
    }

    /// Learns from a line, and tells whether some regex has all it needs there.
    fn learn(&mut self, text: &[u8]) -> bool {
        let mut hopeful = false;
        for sets in &mut self.regexes {
            let mut all = true;
            for (need, met) in sets {
                let here = need.is_met(text);
                *met += u32::from(here);
                all &= here;
            }
            hopeful |= all;
        }
        self.left -= 1;
        hopeful
    }

    /// The best set of each regex.
    fn best(self) -> Vec<Arc<NeededStrings>> {
        let best = |sets: Vec<(Arc<NeededStrings>, u32)>| {
            let least = sets.into_iter().min_by_key(|(_, met)| *met);
            least.map(|(need, _)| need).unwrap_or_default()
        };
        self.regexes.into_iter().map(best).collect()
    }
}

impl Prefilter {
    /// Builds the filter for a jail's failregexes (all single-line).
    pub fn new(regexes: &[FailRegex]) -> Prefilter {
        Prefilter::with_prefregex(None, regexes)
    }

    /// As [`Prefilter::new`], for regexes that are tried only where `prefregex` matches.
    pub fn with_prefregex(prefregex: Option<&FailRegex>, regexes: &[FailRegex]) -> Prefilter {
        let known = |regex: &FailRegex| {
            let regex = regex.regex();
            (regex.required_literals(), regex.first_bytes())
        };
        let (sets, openings): (Vec<Vec<Literals>>, Vec<_>) = regexes.iter().map(known).unzip();
        let needs = |sets: Vec<Literals>| sets.into_iter().map(|set| NeededStrings::new(Some(set)));
        let sets: Vec<Vec<Arc<NeededStrings>>> =
            sets.into_iter().map(|s| needs(s).collect()).collect();
        let prefix = prefregex.map(FailRegex::regex);
        let first = |sets: &Vec<Arc<NeededStrings>>| sets.first().cloned().unwrap_or_default();
        let each: Vec<Arc<NeededStrings>> = sets.iter().map(first).collect();
        let lessons = Lessons::new(&sets);
        let gate = prefix.and_then(|regex| regex.required_literals().into_iter().next());
        let any = match lessons {
            Some(_) => None,
            None => union(&each),
        };
        let mut pairs = Pairs::default();
        [&gate, &any]
            .into_iter()
            .flatten()
            .for_each(|set| pairs.add(set));
        Prefilter {
            searchers: Arc::new(Searchers {
                gate: Search::new(gate),
                any: Search::new(any),
                pairs,
                each,
                openers: Openers::new(&openings),
                prefix_always: prefix.is_some_and(|regex| regex.matches_every_line()),
            }),
            lessons,
            seen: 0,
            passed: 0,
            resting: 0,
        }
    }

    /// What can come of `text`, a line with its date cut out, before a prefregex takes its part
    /// of it. Sound for every text; learns from the first ones, keeps count of its own usefulness
    /// and is hopeful at once for a time when it seldom helps (hence `&mut`).
    pub fn check(&mut self, text: &str) -> PrefilterResult {
        if self.resting > 0 {
            self.resting -= 1;
            return PrefilterResult::MayMatch;
        }
        if !is_ascii(text) {
            return PrefilterResult::MayMatch;
        }
        let bytes = text.as_bytes();
        let mut hopeful = true;
        if let Some(lessons) = &mut self.lessons {
            hopeful = lessons.learn(bytes);
            if lessons.left == 0
                && let Some(lessons) = self.lessons.take()
            {
                self.use_literals(lessons.best());
            }
        }
        let screened = if !self.searchers.gate.passes(bytes) {
            PrefilterResult::CannotMatch
        } else if !hopeful || !self.searchers.any.passes(bytes) {
            PrefilterResult::PrefixOnly
        } else {
            PrefilterResult::MayMatch
        };
        self.count(screened);
        screened
    }

    /// Counts a result, also one from a [`BlockScan`].
    pub fn count(&mut self, screened: PrefilterResult) {
        self.seen += 1;
        self.passed += u32::from(screened == PrefilterResult::MayMatch);
        if self.seen == TRIAL {
            if self.passed > TRIAL / 16 * 15 {
                self.resting = REST;
            }
            (self.seen, self.passed) = (0, 0);
        }
    }

    fn use_literals(&mut self, each: Vec<Arc<NeededStrings>>) {
        let all = union(&each);
        if let Some(searchers) = Arc::get_mut(&mut self.searchers) {
            all.iter().for_each(|set| searchers.pairs.add(set));
            searchers.any = Search::new(all);
            searchers.each = each;
        }
    }

    /// Looks a block of lines over at once, unless it would be of no use just now.
    pub fn scan<'t>(&self, block: &'t str) -> Option<BlockScan<'t>> {
        let useful = self.lessons.is_none() && self.resting == 0 && self.searchers.can_tell();
        useful.then(|| BlockScan::new(self.searchers.clone(), block))
    }

    /// Whether cutting out what stood between the two may have made one of the strings.
    pub fn may_join(&self, before: &str, after: &str) -> bool {
        match (before.as_bytes(), after.as_bytes()) {
            ([.., left], [right, ..]) => self.searchers.pairs.has(*left, *right),
            _ => false,
        }
    }

    /// Whether the prefregex matches whatever is one line with something in it.
    pub fn prefix_always(&self) -> bool {
        self.searchers.prefix_always
    }

    /// The first regex from number `from` on that may match `text`, which may be a part of the
    /// line; `ascii`: it is ASCII, as far as known.
    #[inline]
    pub fn next(&self, mut from: usize, text: &str, ascii: bool) -> Option<usize> {
        let first = text.as_bytes().first().copied().unwrap_or_default();
        loop {
            let index = match text.is_empty() {
                true => (from < self.searchers.each.len()).then_some(from)?,
                false => self.searchers.openers.next(first, from)?,
            };
            match self.searchers.each.get(index) {
                Some(need) if ascii && !need.is_met(text.as_bytes()) => from = index + 1,
                _ => return Some(index),
            }
        }
    }

    /// Whether the prefregex surely matches `text`.
    pub fn prefix_matches(&self, text: &str) -> bool {
        self.searchers.prefix_always
            && memchr::memchr(b'\n', text.as_bytes())
                .is_some_and(|at| at > 0 && at + 1 == text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::is_ascii;

    #[test]
    fn ascii_or_not_wherever_it_stands() {
        for length in 0..=100 {
            let text = "a".repeat(length);
            assert!(is_ascii(&text));
            for at in 0..=length {
                let mut text = text.clone();
                text.insert(at, 'é');
                assert!(!is_ascii(&text), "{text}");
            }
        }
    }
}
