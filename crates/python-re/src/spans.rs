//! Where a regex matched: the spans of the whole match and of its groups.

use smallvec::SmallVec;

/// Groups kept without allocating; most regexes have fewer.
const INLINE_GROUPS: usize = 12;

/// From–to, or `UNSET` for a group that did not take part.
type Span = (u32, u32);
const UNSET: Span = (u32::MAX, u32::MAX);

/// The spans of one match: byte offsets into the searched text, group 0 first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    spans: SmallVec<[Span; INLINE_GROUPS]>,
}

impl Match {
    /// Wraps the spans of an engine; group 0 must be set.
    pub fn new(spans: Vec<Option<(usize, usize)>>) -> Match {
        Match::from_spans(spans.into_iter())
    }

    /// As [`Match::new`], without a list. Offsets past 4 GiB are beyond any line's limit and
    /// count as unset.
    pub(crate) fn from_spans(spans: impl Iterator<Item = Option<(usize, usize)>>) -> Match {
        let narrow = |n: usize| u32::try_from(n).ok();
        Match {
            spans: spans
                .map(|span| match span {
                    Some((from, to)) => narrow(from).zip(narrow(to)).unwrap_or(UNSET),
                    None => UNSET,
                })
                .collect(),
        }
    }

    /// As [`Match::from_spans`], for offsets that are narrow already; `u32::MAX` is unset.
    pub(crate) fn from_pairs(pairs: impl Iterator<Item = (u32, u32)>) -> Match {
        Match {
            spans: pairs.collect(),
        }
    }

    /// Span of the whole match.
    pub fn span(&self) -> (usize, usize) {
        self.group(0).unwrap_or((0, 0))
    }

    /// Span of a group, `None` when it did not take part.
    pub fn group(&self, index: usize) -> Option<(usize, usize)> {
        match self.spans.get(index) {
            None | Some(&UNSET) => None,
            Some(&(from, to)) => Some((from as usize, to as usize)),
        }
    }
}
