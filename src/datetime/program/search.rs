//! Searches a line with a [`Program`]: which positions are worth an attempt.
#![forbid(unsafe_code)]

use super::clues::{ClockNeed, Clues, RequiredBytes};
use super::run::ProgramRun;
use super::{Program, Spans};
use crate::datetime::syntax::DateField;

impl Program {
    /// Whether a match can begin at the start of the text only.
    pub fn is_anchored(&self) -> bool {
        self.anchored
    }

    /// The byte up to whose first place a match goes from the start of the text, before anything
    /// else is asked for.
    pub fn lead(&self) -> Option<u8> {
        self.lead
    }

    /// Groups with a meaning for the clock, in the order of the pattern.
    pub fn fields(&self) -> &[(DateField, usize)] {
        &self.fields
    }

    /// Leftmost match within `text[start..end]`; what stands before `start` is still seen by
    /// assertions, what stands after `end` is not (as with Python's `pos` and `endpos`).
    pub fn search(&self, text: &str, start: usize, end: usize) -> Option<Spans> {
        let text = text.get(..end)?;
        let bytes = text.as_bytes();
        let mut run = ProgramRun::new(self, text);
        if self.anchored {
            return (start == 0).then(|| run.attempt(0)).flatten();
        }
        for at in start..=end {
            let promising = match bytes.get(at) {
                Some(&byte) => self.first[byte as usize] && (byte & 0xc0) != 0x80,
                None => true,
            };
            if promising && let Some(spans) = run.attempt(at) {
                return Some(spans);
            }
        }
        None
    }

    /// As [`Program::search`] in the whole of a line whose clues are known.
    pub fn search_with(&self, text: &str, clues: &Clues) -> Option<Spans> {
        match &self.needs {
            RequiredBytes::Digits if !clues.digits => None,
            RequiredBytes::At if !clues.at => None,
            RequiredBytes::Clock(need) if !clues.too_many => {
                self.search_at_clocks(text, clues, need)
            }
            _ => self.search(text, 0, text.len()),
        }
    }

    /// Tries only the places from which a match could reach a clock.
    pub(in crate::datetime) fn search_at_clocks(
        &self,
        text: &str,
        clues: &Clues,
        need: &ClockNeed,
    ) -> Option<Spans> {
        let bytes = text.as_bytes();
        let mut run = ProgramRun::new(self, text);
        let mut next = 0;
        for &colon in &clues.clocks[..clues.count] {
            if !need.allows(bytes, colon) {
                continue;
            }
            let from = colon.saturating_sub(need.reach);
            if self.anchored {
                // The other clocks are further away.
                return (from == 0).then(|| run.attempt(0)).flatten();
            }
            let places = bytes.iter().enumerate().take(colon);
            for (at, &byte) in places.skip(from.max(next)) {
                if self.first[byte as usize]
                    && (byte & 0xc0) != 0x80
                    && let Some(spans) = run.attempt(at)
                {
                    return Some(spans);
                }
            }
            next = colon;
        }
        None
    }
}
