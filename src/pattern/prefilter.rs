//! [`Prefilter`]: proves in a fraction of a microsecond that none of a jail's regexes can match a
//! line, which is true of most lines.
//!
//! Every regex that can match must find one of its `literals` in the text. One pass looks for
//! those of all regexes together; a look for those of a single regex then picks the regexes worth
//! trying. Texts beyond ASCII are let through: case folding there reaches further than the
//! literals do.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem::Finder;

use super::FailRegex;
use super::literals::{Literals, required};

/// Lines after which the first pass must have proved its worth.
const TRIAL: u32 = 1_000;

/// Looks for the literals of regexes before the regexes themselves are tried. Cheap to clone; a
/// clone starts its own count of usefulness from where the original stands.
#[derive(Clone, Debug, Default)]
pub struct Prefilter {
    searchers: Arc<Searchers>,
    /// Texts looked at and texts let through since the start of the trial.
    seen: u32,
    passed: u32,
    /// The first pass let through too much to be worth its time.
    off: bool,
}

#[derive(Debug, Default)]
struct Searchers {
    /// What the prefregex needs.
    gate: Search,
    /// What at least one failregex needs.
    any: Search,
    /// What each failregex needs.
    each: Vec<Search>,
}

/// A look for one of several strings.
#[derive(Debug, Default)]
enum Search {
    /// Nothing to look for: every text passes.
    #[default]
    Pass,
    /// Nothing could be found: no ASCII text passes.
    Never,
    /// One string.
    One(Box<Finder<'static>>),
    /// Several.
    Several(AhoCorasick),
}

impl Search {
    fn new(literals: Option<Literals>) -> Search {
        let Some(literals) = literals else {
            return Search::Pass;
        };
        match &literals[..] {
            [] => Search::Never,
            [one] => Search::One(Box::new(Finder::new(one).into_owned())),
            // Leftmost semantics let the vectorised searcher be used.
            several => AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .build(several)
                .map_or(Search::Pass, Search::Several),
        }
    }

    fn passes(&self, text: &[u8]) -> bool {
        match self {
            Search::Pass => true,
            Search::Never => false,
            Search::One(finder) => finder.find(text).is_some(),
            Search::Several(searcher) => searcher.is_match(text),
        }
    }
}

impl Prefilter {
    /// Builds the filter for a jail's failregexes (all single-line).
    pub fn new(regexes: &[FailRegex]) -> Prefilter {
        Prefilter::with_prefregex(None, regexes)
    }

    /// As [`Prefilter::new`], for regexes that are tried only where `prefregex` matches.
    pub fn with_prefregex(prefregex: Option<&FailRegex>, regexes: &[FailRegex]) -> Prefilter {
        let literals = |regex: &FailRegex| required(&regex.regex().root());
        let each: Vec<Option<Literals>> = regexes.iter().map(literals).collect();
        // One regex without literals, and nothing can be said of all.
        let any = each.iter().cloned().collect::<Option<Vec<Literals>>>();
        let any = any.map(|sets| {
            let mut all = sets.concat();
            all.sort_unstable();
            all.dedup();
            // A string within which another occurs adds nothing.
            let shorter = all.clone();
            all.retain(|long| {
                !shorter
                    .iter()
                    .any(|s| s != long && Finder::new(s).find(long).is_some())
            });
            all
        });
        Prefilter {
            searchers: Arc::new(Searchers {
                gate: Search::new(prefregex.and_then(literals)),
                any: Search::new(any),
                each: each.into_iter().map(Search::new).collect(),
            }),
            seen: 0,
            passed: 0,
            off: false,
        }
    }

    /// False: no regex matches `text`. True: look closer. `text` is the line with its date cut
    /// out, before a prefregex takes its part of it. Sound for every text; keeps count of its own
    /// usefulness and answers true at once when it seldom helps (hence `&mut`).
    pub fn may_match(&mut self, text: &str) -> bool {
        if self.off {
            return true;
        }
        let passes = !text.is_ascii()
            || (self.searchers.gate.passes(text.as_bytes())
                && self.searchers.any.passes(text.as_bytes()));
        self.seen += 1;
        self.passed += u32::from(passes);
        if self.seen == TRIAL {
            self.off = self.passed > TRIAL / 2;
            (self.seen, self.passed) = (0, 0);
        }
        passes
    }

    /// False: regex number `index` cannot match `text`, which may be a part of the line.
    pub fn may_match_one(&self, index: usize, text: &str) -> bool {
        match self.searchers.each.get(index) {
            None | Some(Search::Pass) => true,
            Some(search) => !text.is_ascii() || search.passes(text.as_bytes()),
        }
    }
}
