//! Looks for the strings that regexes need: in a text, or from one to the next through a block of
//! lines.

use std::sync::{Arc, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind, packed};
use memchr::memmem::Finder;
use smallvec::{SmallVec, smallvec};

use python_re::Literals;

/// Strings of which a regex needs one, and the look for them, prepared when first asked for.
#[derive(Debug, Default)]
pub(super) struct NeededStrings {
    /// `None`: nothing is known.
    pub(super) literals: Option<Literals>,
    search: OnceLock<Search>,
}

impl NeededStrings {
    pub(super) fn new(literals: Option<Literals>) -> Arc<NeededStrings> {
        Arc::new(NeededStrings {
            literals,
            search: OnceLock::new(),
        })
    }

    /// Whether one of the strings occurs in an ASCII text.
    #[inline]
    pub(super) fn is_met(&self, text: &[u8]) -> bool {
        let search = || Search::new(self.literals.clone());
        self.search.get_or_init(search).passes(text)
    }
}

/// A look for one of several strings.
#[derive(Debug, Default)]
pub(super) enum Search {
    /// Nothing to look for: every text passes.
    #[default]
    Pass,
    /// Nothing could be found: no ASCII text passes.
    Never,
    /// A few strings.
    Few(Box<[Finder<'static>]>),
    /// Several, by the processor's vector instructions.
    Several(packed::Searcher),
    /// Very many, or on another processor.
    Many(AhoCorasick),
}

/// Strings that are looked for one after the other rather than at once.
const FEW: usize = 3;

impl Search {
    /// Of these; `None`: every text passes.
    pub(super) fn new(literals: Option<Literals>) -> Search {
        let Some(literals) = literals else {
            return Search::Pass;
        };
        match literals.as_slice() {
            [] => Search::Never,
            few if few.len() <= FEW => {
                let finders = few.iter().map(|one| Finder::new(one).into_owned());
                Search::Few(finders.collect())
            }
            several => {
                if let Some(searcher) = packed::Searcher::new(several) {
                    return Search::Several(searcher);
                }
                AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostFirst)
                    // Few texts get past its own search for rare bytes: not worth a large table.
                    .kind(Some(AhoCorasickKind::ContiguousNFA))
                    .build(several)
                    .map_or(Search::Pass, Search::Many)
            }
        }
    }

    /// Whether one of the strings occurs.
    #[inline]
    pub(super) fn passes(&self, text: &[u8]) -> bool {
        match self {
            Search::Pass => true,
            Search::Never => false,
            Search::Few(finders) => finders.iter().any(|finder| finder.find(text).is_some()),
            Search::Several(searcher) => searcher.find(text).is_some(),
            Search::Many(searcher) => searcher.is_match(text),
        }
    }

    /// Where the next string begins, or of a few strings that with this number.
    fn find_from(&self, number: usize, text: &[u8], from: usize) -> Option<usize> {
        let rest = text.get(from..)?;
        let found = match self {
            Search::Pass => Some(0),
            Search::Never => None,
            Search::Few(finders) => finders.get(number)?.find(rest),
            Search::Several(searcher) => searcher.find(rest).map(|found| found.start()),
            Search::Many(searcher) => searcher.find(rest).map(|found| found.start()),
        };
        found.map(|at| from + at)
    }
}

/// Walks through a text from one of a search's strings to the next.
#[derive(Debug)]
pub(super) struct Seeker {
    /// For each of a few strings, or for all together: where the next one begins, once it has been
    /// looked for. A place at the end of the text is none.
    next: SmallVec<[Option<usize>; FEW]>,
}

impl Seeker {
    /// At the start of a text.
    pub(super) fn new(search: &Search) -> Seeker {
        let searches = match search {
            Search::Pass | Search::Never => 0,
            Search::Few(finders) => finders.len(),
            Search::Several(_) | Search::Many(_) => 1,
        };
        Seeker {
            next: smallvec![None; searches],
        }
    }

    /// Whether a string of the same search begins in `text` between the two places. Places of later questions do not
    /// lie before those of earlier ones.
    #[inline]
    pub(super) fn meets(&mut self, search: &Search, text: &[u8], from: usize, to: usize) -> bool {
        if let Search::Pass = search {
            return true;
        }
        let mut next = self.next.iter_mut().enumerate();
        next.any(|(number, next)| match *next {
            Some(at) if at >= from => at < to,
            _ => {
                let at = search.find_from(number, text, from).unwrap_or(text.len());
                *next = Some(at);
                at < to
            }
        })
    }
}

/// The strings of all sets; `None` if a regex has none, for then nothing can be said of all.
pub(super) fn union(each: &[Arc<NeededStrings>]) -> Option<Literals> {
    let sets: Vec<&[Vec<u8>]> = each
        .iter()
        .map(|need| need.literals.as_deref())
        .collect::<Option<_>>()?;
    let mut all = sets.concat();
    all.sort_unstable();
    all.dedup();
    // A string within which another occurs adds nothing. Few have all of another's bytes.
    let bytes = |s: &[u8]| s.iter().fold(0u128, |set, byte| set | 1 << (byte & 127));
    let known: Vec<(u128, Vec<u8>)> = all.iter().map(|s| (bytes(s), s.clone())).collect();
    all.retain(|long| {
        let set = bytes(long);
        !known.iter().any(|(part, short)| {
            part & !set == 0
                && short.len() < long.len()
                && long.windows(short.len()).any(|part| part == short)
        })
    });
    Some(all)
}
