//! [`BlockScan`]: the prefilter's look at a whole block of lines, from one string to the next, which
//! is half the work of a look at each line.
//!
//! It sees the lines with their dates. A line without any of the strings has none without its date
//! either, unless cutting the date out has put one together: its last character before the cut and
//! its first one after it are then neighbours in a string ([`super::searchers::Pairs`]). Of lines beyond ASCII nothing is
//! said. Strings never hold a newline, so that what begins in a line ends there.

use std::sync::Arc;

use super::searchers::{PrefilterResult, Searchers, is_ascii};
use super::strings::Seeker;

/// A block of lines, looked over from its start to its end.
#[derive(Debug)]
pub struct BlockScan<'t> {
    searchers: Arc<Searchers>,
    text: &'t str,
    /// All of it is.
    ascii: bool,
    gate: Seeker,
    any: Seeker,
}

impl<'t> BlockScan<'t> {
    pub(super) fn new(searchers: Arc<Searchers>, text: &'t str) -> BlockScan<'t> {
        BlockScan {
            text,
            ascii: is_ascii(text),
            gate: Seeker::new(&searchers.gate),
            any: Seeker::new(&searchers.any),
            searchers,
        }
    }

    /// What can come of the line between the two places, provided that its cut makes none of the
    /// strings; `None`: it may match. Lines come in their order.
    #[inline]
    pub fn check(&mut self, from: usize, to: usize) -> Option<PrefilterResult> {
        if !self.ascii && !self.text.get(from..to).is_some_and(is_ascii) {
            return None;
        }
        let (searchers, text) = (&self.searchers, self.text.as_bytes());
        if !self.gate.meets(&searchers.gate, text, from, to) {
            Some(PrefilterResult::CannotMatch)
        } else if !self.any.meets(&searchers.any, text, from, to) {
            Some(PrefilterResult::PrefixOnly)
        } else {
            None
        }
    }
}
