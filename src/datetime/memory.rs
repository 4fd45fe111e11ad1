//! The date last found, for lines that have the same one: most lines of a busy log do.
//!
//! In: a line with its date, and which of its bytes decided about that. Out: the date of another
//! line that has the same bytes there, without asking a template. What comes to the same only
//! because digits are digits (a fraction of a second) may differ.
#![forbid(unsafe_code)]

use super::civil::Lifetime;
use super::program::Looked;
use super::{DateTime, FoundDate};
use crate::ticket::Timestamp;

/// Bytes remembered of a line.
const BYTES: usize = 64;
/// Pieces of them: what must be the same, and what must be digits.
const PIECES: usize = 6;

/// The date of a line, found by an anchored template.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// The template.
    pub(super) index: usize,
    /// The bytes that matter begin at the first place of this byte, else with the line.
    lead: Option<u8>,
    bytes: [u8; BYTES],
    pieces: [Piece; PIECES],
    count: usize,
    /// The line must end this many bytes after the first that matters.
    ends: Option<usize>,
    /// Where the date stands, from the first byte that matters on.
    start: usize,
    end: usize,
    time: DateTime,
    lifetime: Lifetime,
}

#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    from: u8,
    to: u8,
    /// Any digits will do.
    digits: bool,
}

impl Memory {
    /// Remembers the date of `line`, unless too many bytes decided about it.
    pub(super) fn of(
        line: &str,
        looked: &Looked,
        lead: Option<u8>,
        found: &FoundDate,
        lifetime: Lifetime,
    ) -> Option<Memory> {
        if looked.lost {
            return None;
        }
        let rest = line.as_bytes().get(looked.origin..)?;
        let all = looked.exact | looked.digits;
        let reach = 64 - all.leading_zeros() as usize;
        let mut memory = Memory {
            index: found.template,
            lead,
            bytes: [0; BYTES],
            pieces: [Piece::default(); PIECES],
            count: 0,
            // It was seen that there is nothing more.
            ends: (reach > rest.len()).then_some(rest.len()),
            start: found.start.checked_sub(looked.origin)?,
            end: found.end.checked_sub(looked.origin)?,
            time: found.time,
            lifetime,
        };
        let known = reach.min(rest.len());
        memory.bytes[..known].copy_from_slice(&rest[..known]);
        let mut at = 0;
        while at < known {
            let kind = |at: usize| (looked.exact >> at & 1, looked.digits >> at & 1);
            let from = at;
            while at < known && kind(at) == kind(from) {
                at += 1;
            }
            let digits = match kind(from) {
                (0, 0) => continue,
                (exact, _) => exact == 0,
            };
            *memory.pieces.get_mut(memory.count)? = Piece {
                from: from as u8,
                to: at as u8,
                digits,
            };
            memory.count += 1;
        }
        Some(memory)
    }

    /// The date of `line`, if it must be the remembered one.
    #[inline]
    pub(super) fn find(&self, line: &str, now: Timestamp) -> Option<FoundDate> {
        if !self.lifetime.includes(now) {
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
        for piece in &self.pieces[..self.count] {
            let range = usize::from(piece.from)..usize::from(piece.to);
            let here = rest.get(range.clone())?;
            let same = match piece.digits {
                true => here.iter().all(u8::is_ascii_digit),
                false => here == &self.bytes[range],
            };
            if !same {
                return None;
            }
        }
        Some(FoundDate {
            start: origin + self.start,
            end: origin + self.end,
            time: self.time,
            template: self.index,
        })
    }
}
