//! Remembers the date found last, for lines that have the same one: most lines of a busy log do.
//!
//! In: a line with its date, and which of its bytes decided the result. Out: the date of another line with
//! the same bytes there, without trying a template. Bytes that only need to be digits (a fraction of a
//! second) may differ.
#![forbid(unsafe_code)]

use super::civil::Lifetime;
use super::program::DecidingBytes;
use super::{DateTime, FoundDate};
use crate::ticket::Timestamp;

/// Bytes remembered of a line, compared by the word.
const BYTES: usize = 64;
const WORD: usize = size_of::<u64>();
const WORDS: usize = BYTES / WORD;

/// The date of a line, found by an anchored template.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DateMemo {
    /// The template.
    pub(super) index: usize,
    /// The bytes that matter begin at the first place of this byte, else with the line.
    lead: Option<u8>,
    words: [u64; WORDS],
    /// Which bytes of them must be the same.
    exact: [u64; WORDS],
    /// How many bytes are known, and how many words they are.
    known: usize,
    count: usize,
    /// Which bytes may be any digits, a bit each.
    digits: u64,
    /// The line must end this many bytes after the first that matters.
    ends: Option<usize>,
    /// Where the date stands, from the first byte that matters on.
    start: usize,
    end: usize,
    time: DateTime,
    lifetime: Lifetime,
}

impl DateMemo {
    /// Remembers the date of `line`, unless too many bytes decided about it.
    pub(super) fn of(
        line: &str,
        looked: &DecidingBytes,
        lead: Option<u8>,
        found: &FoundDate,
        lifetime: Lifetime,
    ) -> Option<DateMemo> {
        if looked.lost {
            return None;
        }
        let rest = line.as_bytes().get(looked.origin..)?;
        let reach = BYTES - (looked.exact | looked.digits).leading_zeros() as usize;
        let known = reach.min(rest.len());
        let mut memory = DateMemo {
            index: found.template,
            lead,
            words: [0; WORDS],
            exact: [0; WORDS],
            known,
            count: known.div_ceil(WORD),
            digits: looked.digits & !looked.exact,
            // It was seen that there is nothing more.
            ends: (reach > rest.len()).then_some(rest.len()),
            start: found.start.checked_sub(looked.origin)?,
            end: found.end.checked_sub(looked.origin)?,
            time: found.time,
            lifetime,
        };
        for (at, &byte) in rest[..known].iter().enumerate() {
            let shift = at % WORD * 8;
            memory.words[at / WORD] |= u64::from(byte) << shift;
            if looked.exact >> at & 1 == 1 {
                memory.exact[at / WORD] |= 0xff << shift;
            }
        }
        if known < BYTES {
            memory.digits &= (1 << known) - 1;
        }
        Some(memory)
    }

    /// Whether the date is still the same at this present time.
    pub(super) fn is_of(&self, now: Timestamp) -> bool {
        self.lifetime.includes(now)
    }

    /// Whether both find the same dates, whatever number their template has and since when they
    /// do.
    pub(super) fn is_like(&self, other: &DateMemo) -> bool {
        let here = DateMemo {
            index: self.index,
            lifetime: self.lifetime.since(&other.lifetime),
            ..*other
        };
        *self == here
    }

    /// The date of `line`, if it must be the remembered one.
    #[inline]
    pub(super) fn find(&self, line: &str, now: Timestamp) -> Option<FoundDate> {
        if !self.is_of(now) {
            return None;
        }
        let bytes = line.as_bytes();
        let origin = match self.lead {
            Some(lead) => memchr::memchr(lead, bytes)?,
            None => 0,
        };
        let rest = &bytes[origin..];
        if self.ends.is_some_and(|length| length != rest.len()) {
            return None;
        }
        let mut short = [0; BYTES];
        let begin = match rest.get(..self.count * WORD) {
            Some(begin) => begin,
            None => {
                let begin = rest.get(..self.known)?;
                short[..self.known].copy_from_slice(begin);
                &short[..]
            }
        };
        let (words, _) = begin.as_chunks::<WORD>();
        let known = self.words.iter().zip(&self.exact).take(self.count);
        for (word, (known, exact)) in words.iter().zip(known) {
            if (u64::from_le_bytes(*word) ^ known) & exact != 0 {
                return None;
            }
        }
        let mut digits = self.digits;
        while digits != 0 {
            let at = digits.trailing_zeros() as usize;
            if !begin.get(at)?.is_ascii_digit() {
                return None;
            }
            digits &= digits - 1;
        }
        Some(FoundDate {
            start: origin + self.start,
            end: origin + self.end,
            time: self.time,
            template: self.index,
        })
    }
}
