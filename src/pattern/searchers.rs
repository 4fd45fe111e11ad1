//! What is looked for in a text before its regexes are tried.
#![forbid(unsafe_code)]

use std::sync::Arc;

use python_re::Bytes;

use super::strings::{NeededStrings, Search};

/// What can come of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrefilterResult {
    /// A failregex may match.
    MayMatch,
    /// No failregex matches; the prefregex may.
    PrefixOnly,
    /// Neither the prefregex matches nor a failregex.
    CannotMatch,
}

/// The strings that regexes need, and the bytes they begin with.
#[derive(Debug)]
pub(super) struct Searchers {
    /// What the prefregex needs.
    pub(super) gate: Search,
    /// What at least one failregex needs; all pass while there are lessons, which tell as well.
    pub(super) any: Search,
    /// Neighbours in the strings of both.
    pub(super) pairs: Pairs,
    /// What each failregex needs.
    pub(super) each: Vec<Arc<NeededStrings>>,
    pub(super) openers: Openers,
    /// The prefregex matches whatever is one line.
    pub(super) prefix_always: bool,
}

impl Searchers {
    /// Whether some text would not pass.
    pub(super) fn can_tell(&self) -> bool {
        ![&self.gate, &self.any]
            .iter()
            .all(|search| matches!(search, Search::Pass))
    }
}

/// Which regexes a text may match, by its first byte.
#[derive(Debug)]
pub(super) struct Openers {
    /// One bit per regex, so many words for each byte.
    bits: Vec<u64>,
    words: usize,
}

impl Openers {
    pub(super) fn new(openings: &[Option<Bytes>]) -> Openers {
        let words = openings.len().div_ceil(64);
        let mut bits = vec![0; words * 256];
        for (index, opening) in openings.iter().enumerate() {
            for byte in 0..=255u8 {
                if opening.is_none_or(|bytes| bytes.has(byte)) {
                    bits[usize::from(byte) * words + index / 64] |= 1 << (index % 64);
                }
            }
        }
        Openers { bits, words }
    }

    /// The first regex from number `from` on that may match a text with this first byte.
    pub(super) fn next(&self, first: u8, from: usize) -> Option<usize> {
        let row = usize::from(first) * self.words;
        let row = self.bits.get(row..row + self.words)?;
        let mut word = from / 64;
        let mut rest = row.get(word)? >> (from % 64) << (from % 64);
        while rest == 0 {
            word += 1;
            rest = *row.get(word)?;
        }
        Some(word * 64 + rest.trailing_zeros() as usize)
    }
}

/// Which ASCII characters follow each other in some string.
#[derive(Debug)]
pub(super) struct Pairs(Box<[u128; 128]>);

impl Default for Pairs {
    fn default() -> Pairs {
        Pairs(Box::new([0; 128]))
    }
}

impl Pairs {
    /// Adds the neighbours within these strings, which are ASCII.
    pub(super) fn add(&mut self, strings: &[Vec<u8>]) {
        for pair in strings.iter().flat_map(|string| string.windows(2)) {
            if let [left, right] = *pair
                && let Some(followers) = self.0.get_mut(usize::from(left))
            {
                *followers |= 1 << (right & 127);
            }
        }
    }

    /// Whether the two are neighbours somewhere; so are any two that are not ASCII.
    pub(super) fn has(&self, left: u8, right: u8) -> bool {
        match self.0.get(usize::from(left)) {
            Some(followers) if right < 128 => followers >> right & 1 == 1,
            _ => true,
        }
    }
}

/// As [`str::is_ascii`], which looks at up to 31 bytes one by one: a third of what such a look at a
/// line costs.
#[inline]
pub fn is_ascii(text: &str) -> bool {
    const PIECE: usize = 32;
    let bytes = text.as_bytes();
    let (pieces, _) = bytes.as_chunks::<PIECE>();
    let Some(last) = bytes.last_chunk::<PIECE>() else {
        return bytes.is_ascii();
    };
    let mut all = *last;
    for piece in pieces {
        for (all, byte) in all.iter_mut().zip(piece) {
            *all |= byte;
        }
    }
    all.iter().fold(0, |all, byte| all | byte) < 0x80
}
