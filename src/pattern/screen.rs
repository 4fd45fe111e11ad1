//! [`Screen`]: the prefilter's look at a whole block of lines, from one string to the next, which
//! is half the work of a look at each line.
//!
//! It sees the lines with their dates. A line without any of the strings has none without its date
//! either, unless cutting the date out has put one together: its last character before the cut and
//! its first one after it are then neighbours in a string ([`Pairs`]). Of lines beyond ASCII nothing is
//! said. Strings never hold a newline, so that what begins in a line ends there.

use std::sync::Arc;

use super::prefilter::{Outlook, Searchers, is_ascii};
use super::strings::Seeker;

/// A block of lines, looked over from its start to its end.
#[derive(Debug)]
pub struct Screen<'t> {
    searchers: Arc<Searchers>,
    text: &'t str,
    /// All of it is.
    ascii: bool,
    gate: Seeker,
    any: Seeker,
}

impl<'t> Screen<'t> {
    pub(super) fn new(searchers: Arc<Searchers>, text: &'t str) -> Screen<'t> {
        Screen {
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
    pub fn outlook(&mut self, from: usize, to: usize) -> Option<Outlook> {
        if !self.ascii && !self.text.get(from..to).is_some_and(is_ascii) {
            return None;
        }
        let (searchers, text) = (&self.searchers, self.text.as_bytes());
        if !self.gate.meets(&searchers.gate, text, from, to) {
            Some(Outlook::Hopeless)
        } else if !self.any.meets(&searchers.any, text, from, to) {
            Some(Outlook::PrefixOnly)
        } else {
            None
        }
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
