//! What must follow a repeat of one character for the rest of a program to have a chance: places
//! where it cannot match are passed over without trying.

use super::ast::Assertion;
use super::charset::CharSet;
use super::instructions::{FirstBytes, Instruction, Pc};

/// Instructions looked at for one repeat; whoever has more ways on may go on with anything.
const MAX_LOOKED_AT: usize = 96;

/// A condition on the place where a repeat stops: necessary, not sufficient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This byte follows.
    Byte(u8),
    /// One of these bytes follows or, if so said, the text ends.
    Set(Box<(FirstBytes, bool)>),
}

impl Next {
    /// What the program that continues at `pc` requires; `None`: nothing.
    pub(super) fn of(list: &[Instruction], pc: usize) -> Option<Next> {
        let mut follow = Follow {
            list,
            seen: Vec::new(),
            bytes: FirstBytes::NONE,
            end: false,
        };
        if !follow.collect(pc) || follow.bytes == FirstBytes::ALL {
            return None;
        }
        Some(match (follow.bytes.single(), follow.end) {
            (Some(byte), false) => Next::Byte(byte),
            _ => Next::Set(Box::new((follow.bytes, follow.end))),
        })
    }

    /// Whether a repeat may stop at `at`.
    #[inline]
    pub(super) fn allows(&self, text: &[u8], at: usize) -> bool {
        match (self, text.get(at)) {
            (Next::Byte(byte), found) => found == Some(byte),
            (Next::Set(set), Some(found)) => set.0.has(*found),
            (Next::Set(set), None) => set.1,
        }
    }
}

struct Follow<'a> {
    list: &'a [Instruction],
    seen: Vec<usize>,
    bytes: FirstBytes,
    end: bool,
}

impl Follow<'_> {
    /// Adds what the ways from `pc` on begin with; false: anything.
    fn collect(&mut self, pc: usize) -> bool {
        if self.seen.contains(&pc) {
            return true;
        }
        if self.seen.len() >= MAX_LOOKED_AT {
            return false;
        }
        self.seen.push(pc);
        let to = |pc: Pc| pc as usize;
        match &self.list[pc] {
            Instruction::Literal(bytes) => match bytes.first() {
                Some(byte) => {
                    self.bytes = self.bytes.or(FirstBytes::of_byte(*byte));
                    true
                }
                None => self.collect(pc + 1),
            },
            Instruction::Set(set) => self.set(set),
            Instruction::Run { set, bounds, .. }
            | Instruction::LazyRun { set, bounds, .. }
            | Instruction::PossessiveRun { set, bounds } => {
                self.set(set) && (bounds.min > 0 || self.collect(pc + 1))
            }
            Instruction::Split { first, second, .. } => {
                self.collect(to(*first)) && self.collect(to(*second))
            }
            Instruction::SplitLater { now, .. } => self.collect(to(*now)) && self.collect(pc + 1),
            Instruction::Jump(next) => self.collect(to(*next)),
            Instruction::Save(_) | Instruction::LoopStart { .. } | Instruction::LoopMore { .. } => {
                self.collect(pc + 1)
            }
            Instruction::LoopNext { exit, .. } => self.collect(pc + 1) && self.collect(to(*exit)),
            // at the end of the text, or right before a newline
            Instruction::Assert(Assertion::TextEndOrFinalNewline | Assertion::LineEnd) => {
                self.bytes = self.bytes.or(FirstBytes::of_byte(b'\n'));
                self.end = true;
                true
            }
            Instruction::Assert(Assertion::TextEnd) => {
                self.end = true;
                true
            }
            // these take nothing away from what comes after them
            Instruction::Assert(_) | Instruction::Word { .. } => self.collect(pc + 1),
            Instruction::Look { after, .. } => self.collect(to(*after)),
            Instruction::IfGroup { otherwise, .. } => {
                self.collect(pc + 1) && self.collect(to(*otherwise))
            }
            Instruction::Atomic { .. } | Instruction::Backref { .. } | Instruction::Accept => false,
        }
    }

    fn set(&mut self, set: &CharSet) -> bool {
        self.bytes = self.bytes.or(FirstBytes::of_set(set));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Flags, Regex};

    /// Places passed over must not change what is found, nor where.
    #[test]
    fn passing_over_changes_nothing() {
        for (pattern, text, group) in [
            (
                r"^(.+?)(?:, user=(\S+))?\s*$",
                "a, b c, user=x \n",
                Some((0, 6)),
            ),
            (
                r"^(.+?)(?:, user=(\S+))?\s*$",
                "a, b c, user=x y\n",
                Some((0, 16)),
            ),
            (r"^(.*)(?:;|$)", "a;b;c\n", Some((0, 5))),
            (r"^(\w*)\b", "word rest", Some((0, 4))),
            (r"(a*)(?=b|\Z)", "aab", Some((0, 2))),
            (r"^([^x]*)(?:y|\Z)", "aé y", Some((0, 5))),
            (r"^(.*?)é", "aüé", Some((0, 3))),
            (r"^(.*)[éü]", "aüé", Some((0, 3))),
            (r"^(.*)(?:é|\Z)", "aüé", Some((0, 5))),
            (r"^(.+)(?:b|)$", "aab", Some((0, 3))),
            (r"^(a+?)(?>b?)c", "aabc", Some((0, 2))),
            (r"^(a+)(\1|$)", "aaaa", Some((0, 4))),
        ] {
            let regex = Regex::new(pattern, Flags::default()).expect(pattern);
            let found = regex.search(text).expect("within limits");
            assert_eq!(
                found.and_then(|found| found.group(1)),
                group,
                "{pattern} on {text:?}"
            );
        }
    }
}
