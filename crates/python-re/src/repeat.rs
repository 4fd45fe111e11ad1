//! Repeats of one character: where the run of a [`Run`](super::instructions::Instruction::Run) and of its
//! lazy variant may stop.

use super::backtracker::{BacktrackFrame, Backtracker, Exhausted};
use super::charset::CharSet;
use super::instructions::{CharRun, Pc, StopCondition};

/// Whether a row may stop at `at`.
#[inline]
fn allows(next: &StopCondition, bytes: &[u8], at: usize) -> bool {
    match next {
        StopCondition::Anything => true,
        StopCondition::Byte(byte) => bytes.get(at) == Some(byte),
        StopCondition::Possible(next) | StopCondition::Beyond(next) => {
            next.allows(bytes.get(at).copied())
        }
    }
}

impl CharRun {
    /// Whether one more character can be taken at `at`: its length.
    #[inline]
    fn one_more(&self, text: &str, at: usize) -> Option<usize> {
        if let Some(unless) = &self.unless
            && text.as_bytes()[at..].starts_with(unless.needle())
        {
            return None;
        }
        self.set.length_at(text, at)
    }

    /// Where an unbounded row that has reached `from` ends.
    #[inline]
    fn end(&self, text: &str, from: usize) -> usize {
        let end = self.set.end_of_row(text, from);
        let Some(unless) = &self.unless else {
            return end;
        };
        // What begins before the end of the row may reach beyond it.
        let window = text.len().min(end + unless.needle().len() - 1);
        let row = text.as_bytes().get(from..window).unwrap_or_default();
        match unless.find(row) {
            Some(at) => end.min(from + at),
            None => end,
        }
    }

    /// The row from `from` on as long as can be: where it may stop at the earliest and where it
    /// ends.
    #[inline]
    fn longest(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        if self.bounds.max == u32::MAX && self.bounds.min <= 1 {
            let end = self.end(text, from);
            return match self.bounds.min {
                0 => Some((from, end)),
                _ if end == from => None,
                _ => Some((from + first_width(text, from), end)),
            };
        }
        let mut at = from;
        let mut count = 0;
        let mut earliest = None;
        loop {
            if count == self.bounds.min {
                earliest = Some(at);
            }
            if count == self.bounds.max {
                break;
            }
            match self.one_more(text, at) {
                Some(length) => at += length,
                None => break,
            }
            count += 1;
        }
        earliest.map(|earliest| (earliest, at))
    }
}

/// Length of the character at `at`.
#[inline]
fn first_width(text: &str, at: usize) -> usize {
    match text.as_bytes().get(at) {
        Some(0..0x80) | None => 1,
        Some(0x80..0xE0) => 2,
        Some(0xE0..0xF0) => 3,
        Some(_) => 4,
    }
}

impl Backtracker<'_> {
    /// Where a row from `from` on may stop at the earliest and at the latest. `pc`: the
    /// instruction, if stops that it has tried are to be left out.
    #[inline]
    pub(crate) fn greedy(
        &mut self,
        row: &CharRun,
        from: u32,
        pc: Option<Pc>,
    ) -> Option<(u32, u32)> {
        let stops = match pc {
            // An unbounded run that comes to a stop tried before has tried all further ones too.
            Some(pc) if self.tried.is_some() && row.bounds.max == u32::MAX => {
                self.untried(row, from as usize, pc)
            }
            _ => row.longest(self.text, from as usize),
        };
        let (min, max) = stops?;
        // Long runs cost steps too.
        self.steps = self
            .steps
            .saturating_sub((max as u64 - u64::from(from)) / 16);
        Some((min as u32, max as u32))
    }

    /// As [`CharRun::longest`], up to the first stop that was tried before.
    #[cold]
    fn untried(&mut self, row: &CharRun, from: usize, pc: Pc) -> Option<(usize, usize)> {
        let tried = self.tried.as_mut()?;
        let mut at = from;
        let mut count = 0;
        let mut stops: Option<(usize, usize)> = None;
        loop {
            if count >= row.bounds.min {
                if !tried.note(pc, at) {
                    break;
                }
                stops = Some((stops.map_or(at, |(min, _)| min), at));
            }
            match row.one_more(self.text, at) {
                Some(length) => at += length,
                None => break,
            }
            count += 1;
        }
        stops
    }

    /// The last stop from `max` down to `min` where the rest can go on.
    #[inline]
    pub(crate) fn retreat(&self, min: u32, max: u32, next: &StopCondition) -> Option<u32> {
        if max < min {
            return None;
        }
        let bytes = self.text.as_bytes();
        match next {
            StopCondition::Anything => Some(max),
            StopCondition::Beyond(_) => allows(next, bytes, max as usize).then_some(max),
            StopCondition::Byte(next) => {
                let end = bytes.len().min(max as usize + 1);
                let found = memchr::memrchr(*next, bytes.get(min as usize..end)?)?;
                Some(min + found as u32)
            }
            StopCondition::Possible(_) => (min..=max).rev().find(|stop| {
                let stop = *stop as usize;
                allows(next, bytes, stop) && self.text.is_char_boundary(stop)
            }),
        }
    }

    /// Where a row that has as few characters as it must stops.
    #[inline]
    pub(crate) fn least(&self, row: &CharRun, from: u32) -> Option<u32> {
        let mut at = from as usize;
        for _ in 0..row.bounds.min {
            at += row.one_more(self.text, at)?;
        }
        Some(at as u32)
    }

    /// The first stop of a lazy row from `at` on where the rest can go on, after up to `left`
    /// more characters; leaves behind how to go on from there.
    pub(crate) fn advance(
        &mut self,
        row: &CharRun,
        pc: Pc,
        mut at: u32,
        mut left: u32,
        top: bool,
    ) -> Result<Option<u32>, Exhausted> {
        // As in `greedy`: from a stop tried before, all further ones have been tried.
        let unbounded = top && left > u32::MAX / 2;
        if !self.is_new(pc, at, unbounded) {
            return Ok(None);
        }
        let bytes = self.text.as_bytes();
        let from = at;
        if let StopCondition::Beyond(_) = row.next
            && unbounded
            && self.tried.is_none()
        {
            // No character of the row is what must follow: it stops at its end, if at all.
            let end = row.end(self.text, at as usize) as u32;
            self.steps = self.steps.saturating_sub(u64::from(end - from) / 16);
            return Ok(allows(&row.next, bytes, end as usize).then_some(end));
        }
        let plain = row.unless.is_none() && self.tried.is_none();
        while !allows(&row.next, bytes, at as usize) {
            if plain
                && left > 0
                && let Some(byte) = bytes.get(at as usize)
                && row.set.has_ascii(*byte)
            {
                at += 1;
                left -= 1;
                continue;
            }
            match row.one_more(self.text, at as usize) {
                Some(length) if left > 0 => {
                    at += length as u32;
                    left -= 1;
                    if !self.is_new(pc, at, unbounded) {
                        return Ok(None);
                    }
                }
                _ => return Ok(None),
            }
        }
        self.steps = self.steps.saturating_sub(u64::from(at - from) / 16);
        if left > 0 {
            self.push(BacktrackFrame::LazyRun { pc, at, left })?;
        }
        Ok(Some(at))
    }

    /// Takes a lazy row up again: one more character, then on to the next stop.
    pub(crate) fn advance_again(
        &mut self,
        row: &CharRun,
        pc: Pc,
        at: u32,
        left: u32,
        top: bool,
    ) -> Result<Option<u32>, Exhausted> {
        match row.one_more(self.text, at as usize) {
            Some(length) => self.advance(row, pc, at + length as u32, left - 1, top),
            None => Ok(None),
        }
    }

    /// Where the character before `at` begins.
    #[inline]
    pub(crate) fn before(&self, at: u32) -> u32 {
        let bytes = self.text.as_bytes();
        let mut before = at as usize;
        loop {
            before = match before.checked_sub(1) {
                Some(before) => before,
                // Below any stop a run could have.
                None => return 0,
            };
            if (bytes[before] as i8) >= -0x40 {
                return before as u32;
            }
        }
    }

    /// Whether a character of `set` stands at `at`.
    #[inline]
    pub(crate) fn has(&self, set: &CharSet, at: u32) -> Option<u32> {
        set.length_at(self.text, at as usize)
            .map(|length| at + length as u32)
    }
}
