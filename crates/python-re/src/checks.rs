//! Assertions and back-references: what the backtracker can test at a position without advancing.

use super::ast::Assertion;
use super::backtracker::{Backtracker, UNSET};
use super::charset::CharSet;

impl Backtracker<'_> {
    /// `count` characters before `at`.
    pub(crate) fn step_back(&self, at: u32, count: u32) -> Option<u32> {
        let mut at = at;
        for _ in 0..count {
            if at == 0 {
                return None;
            }
            at = self.before(at);
        }
        Some(at)
    }

    pub(crate) fn assert(&self, assertion: Assertion, at: u32) -> bool {
        let bytes = self.text.as_bytes();
        let at = at as usize;
        let left = bytes.len() - at;
        match assertion {
            Assertion::TextStart => at == 0,
            Assertion::LineStart => at == 0 || bytes[at - 1] == b'\n',
            Assertion::TextEnd => left == 0,
            Assertion::TextEndOrFinalNewline => left == 0 || (left == 1 && bytes[at] == b'\n'),
            Assertion::LineEnd => left == 0 || bytes[at] == b'\n',
            // Never written as plain assertions.
            Assertion::WordBoundary { .. }
            | Assertion::NotWordBoundary { .. }
            | Assertion::NotInsideWord { .. } => false,
        }
    }

    pub(crate) fn word(&self, test: Assertion, word: &CharSet, at: u32) -> bool {
        // Python finds neither a boundary nor the lack of one in an empty text.
        if self.text.is_empty() && !matches!(test, Assertion::NotInsideWord { .. }) {
            return false;
        }
        let before = at > 0
            && word
                .length_at(self.text, self.before(at) as usize)
                .is_some();
        let after = word.length_at(self.text, at as usize).is_some();
        match test {
            Assertion::WordBoundary { .. } => before != after,
            Assertion::NotWordBoundary { .. } => before == after,
            _ => !(before && after),
        }
    }

    /// Where the group's text, found again at `at`, ends.
    pub(crate) fn backref(&mut self, group: u32, ignore_case: bool, at: u32) -> Option<u32> {
        let register = group as usize * 2;
        let (from, to) = (self.registers[register], self.registers[register + 1]);
        if from == UNSET || to == UNSET {
            return None;
        }
        let group = self.text.get(from as usize..to as usize)?;
        let rest = self.text.get(at as usize..)?;
        self.steps = self.steps.saturating_sub(group.len() as u64 / 16);
        if !ignore_case {
            return rest.starts_with(group).then(|| at + group.len() as u32);
        }
        let mut here = rest.chars();
        let same = group
            .chars()
            .all(|c| here.next().is_some_and(|d| lower(c) == lower(d)));
        same.then(|| at + (rest.len() - here.as_str().len()) as u32)
    }
}

/// Python's simple lower case: one character for one.
fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}
