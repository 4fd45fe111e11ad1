//! What a line must contain before a program is tried on it.
#![forbid(unsafe_code)]

use super::{ByteSet, Others};

/// What a line must hold, besides all else, for a program to match.
#[derive(Clone, Debug)]
pub(in crate::datetime) enum RequiredBytes {
    Nothing,
    /// `H:M:S`, see [`Clues::clocks`].
    Clock(Box<ClockNeed>),
    /// Eight digits in a row.
    Digits,
    /// An `@`.
    At,
}

#[derive(Clone, Debug)]
pub(in crate::datetime) struct ClockNeed {
    /// Bytes from the start of a match to the colon behind the hour, at most.
    pub(in crate::datetime) reach: usize,
    /// What may stand right before the hour; the line's start always may.
    pub(in crate::datetime) before: [bool; 256],
}

impl ClockNeed {
    /// The hour may have one digit or two.
    pub(in crate::datetime) fn allows(&self, bytes: &[u8], colon: usize) -> bool {
        let fits = |hour: usize| {
            colon == hour
                || bytes
                    .get(colon.wrapping_sub(hour + 1))
                    .is_some_and(|&byte| self.before[byte as usize])
        };
        fits(1) || fits(2)
    }
}

/// What is worth knowing of a line before 31 templates are tried on it.
#[derive(Clone, Copy, Debug)]
pub(in crate::datetime) struct Clues {
    /// Where the colon behind the hour stands in something like `1:23:4`.
    pub(in crate::datetime) clocks: [usize; 4],
    pub(in crate::datetime) count: usize,
    pub(in crate::datetime) too_many: bool,
    pub(in crate::datetime) digits: bool,
    pub(in crate::datetime) at: bool,
}

impl Clues {
    /// Looks through a line.
    pub fn of(line: &str) -> Clues {
        let bytes = line.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let mut clues = Clues {
            clocks: [0; 4],
            count: 0,
            too_many: false,
            digits: false,
            at: memchr::memchr(b'@', bytes).is_some(),
        };
        for at in memchr::memchr_iter(b':', bytes) {
            let clock = at > 0
                && digit(at - 1)
                && digit(at + 1)
                && (bytes.get(at + 2) == Some(&b':') && digit(at + 3)
                    || digit(at + 2) && bytes.get(at + 3) == Some(&b':') && digit(at + 4));
            if clock {
                match clues.clocks.get_mut(clues.count) {
                    Some(slot) => {
                        *slot = at;
                        clues.count += 1;
                    }
                    None => clues.too_many = true,
                }
            }
        }
        // Eight digits in a row cover one of every eighth place.
        clues.digits = (7..bytes.len()).step_by(8).any(|at| {
            digit(at) && {
                let before = (1..8).take_while(|&n| digit(at - n)).count();
                let after = (1..8).take_while(|&n| digit(at + n)).count();
                before + after >= 7
            }
        });
        clues
    }
}

/// A template that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::datetime) enum BuiltIn {
    Epoch,
    LongEpoch,
    Tai64n,
}

pub(in crate::datetime) fn not_repeated(after: &str) -> Option<&str> {
    (!after.starts_with(['?', '*', '+', '{'])).then_some(after)
}

pub(in crate::datetime) fn mark(first: &mut [bool; 256], set: ByteSet) {
    for byte in 0..128u8 {
        first[byte as usize] |= set.ascii >> byte & 1 == 1;
    }
    if set.others != Others::None {
        first[128..].fill(true);
    }
}
