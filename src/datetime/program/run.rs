//! Runs a [`Program`] over a line.
#![forbid(unsafe_code)]

use super::{ByteSet, MAX_GROUPS, MAX_STEPS, Program, ProgramStep, Spans, Text, UNSET, is_word};

/// Which bytes of a text decided an attempt: it comes to the same in every text that has the same
/// there.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::datetime) struct DecidingBytes {
    /// Where the first of them stands.
    pub(in crate::datetime) origin: usize,
    /// One bit per byte from there on.
    pub(in crate::datetime) exact: u64,
    /// Bytes that matter only in that they are digits.
    pub(in crate::datetime) digits: u64,
    /// There were more than can be told.
    pub(in crate::datetime) lost: bool,
}

impl DecidingBytes {
    fn mask(&mut self, at: usize, count: usize) -> u64 {
        // What stands before the origin is decided by where the origin is.
        let Some(from) = at.checked_sub(self.origin) else {
            return 0;
        };
        if count == 0 {
            return 0;
        }
        if from + count > 64 || count > 32 {
            self.lost = true;
            return 0;
        }
        ((1 << count) - 1) << from
    }

    fn at(&mut self, at: usize, count: usize) {
        self.exact |= self.mask(at, count);
    }

    fn digits(&mut self, at: usize, count: usize) {
        self.digits |= self.mask(at, count);
    }
}

/// One search in one text.
pub(in crate::datetime) struct ProgramRun<'a> {
    pub(in crate::datetime) program: &'a Program,
    pub(in crate::datetime) text: &'a str,
    pub(in crate::datetime) steps_left: u32,
    pub(in crate::datetime) spans: Spans,
    looked: DecidingBytes,
}

impl<'a> ProgramRun<'a> {
    pub(in crate::datetime) fn new(program: &'a Program, text: &'a str) -> ProgramRun<'a> {
        ProgramRun {
            program,
            text,
            steps_left: MAX_STEPS,
            spans: Spans::new((0, 0)),
            looked: DecidingBytes::default(),
        }
    }

    pub(in crate::datetime) fn attempt(&mut self, at: usize) -> Option<Spans> {
        self.spans.groups = [(UNSET, UNSET); MAX_GROUPS];
        self.looked = DecidingBytes {
            origin: match self.program.lead {
                // Without it there is no match.
                Some(lead) => at + memchr::memchr(lead, self.text.as_bytes().get(at..)?)?,
                None => at,
            },
            ..DecidingBytes::default()
        };
        let end = self.go(0, at)?;
        self.spans.whole = (at, end);
        self.spans.looked = self.looked;
        Some(self.spans)
    }

    /// Depth is bounded by the length of the program: no step leads backwards.
    pub(in crate::datetime) fn go(&mut self, mut pc: usize, mut at: usize) -> Option<usize> {
        let program = self.program;
        let bytes = self.text.as_bytes();
        loop {
            self.steps_left = self.steps_left.checked_sub(1)?;
            match program.steps[pc] {
                ProgramStep::Byte(byte) => {
                    self.looked.at(at, 1);
                    if bytes.get(at) != Some(&byte) {
                        return None;
                    }
                    at += 1;
                }
                ProgramStep::Letter(letter) => {
                    self.looked.at(at, 1);
                    if bytes.get(at)?.to_ascii_lowercase() != letter {
                        return None;
                    }
                    at += 1;
                }
                ProgramStep::One(ref set) => {
                    self.looked.at(at, self.width_at(at));
                    at += set.take(self.text, at)?;
                }
                ProgramStep::Repeat { ref set, min, max } => {
                    return self.repeat(pc + 1, at, set, min, max);
                }
                ProgramStep::Text { text, group } => {
                    if text == Text::Fraction {
                        // Some digits, up to six.
                        let some = bytes[at.min(bytes.len())..].iter().take(6);
                        let some = some.take_while(|b| b.is_ascii_digit()).count();
                        self.looked.digits(at, some);
                        self.looked.at(at + some, usize::from(some < 6));
                    } else {
                        self.looked.at(at, text.reach(bytes.get(at)));
                    }
                    let lengths = text.lengths(bytes, at, program.ignore_case);
                    let next = match program.steps[pc + 1] {
                        ProgramStep::Byte(byte) => Some(byte),
                        _ => None,
                    };
                    let mut last = None;
                    for length in lengths {
                        let end = at + length;
                        if next.is_some() {
                            self.looked.at(end, 1);
                        }
                        if next.is_some() && bytes.get(end) != next.as_ref() {
                            continue;
                        }
                        if let Some(earlier) = last.replace(end) {
                            self.spans.groups[usize::from(group)] = (at as u32, earlier as u32);
                            if let Some(found) = self.go(pc + 1, earlier) {
                                return Some(found);
                            }
                        }
                    }
                    let end = last?;
                    self.spans.groups[usize::from(group)] = (at as u32, end as u32);
                    at = end;
                }
                ProgramStep::Split {
                    first,
                    second,
                    clear,
                } => {
                    if let Some(found) = self.go(first, at) {
                        return Some(found);
                    }
                    self.spans.groups[usize::from(clear)..].fill((UNSET, UNSET));
                    pc = second;
                    continue;
                }
                ProgramStep::Jump(to) => {
                    pc = to;
                    continue;
                }
                ProgramStep::Open(group) => {
                    self.spans.groups[usize::from(group)] = (at as u32, UNSET)
                }
                ProgramStep::Close(group) => self.spans.groups[usize::from(group)].1 = at as u32,
                ProgramStep::Same(group) => {
                    let (start, end) = self.spans.group(usize::from(group) + 1)?;
                    let length = end - start;
                    self.looked.at(at, length);
                    if bytes.get(at..at + length)? != &bytes[start..end] {
                        return None;
                    }
                    at += length;
                }
                ProgramStep::LineStart => {
                    if at != 0 {
                        return None;
                    }
                }
                ProgramStep::LineEnd => {
                    self.looked.at(at, 2);
                    if at != bytes.len() && bytes.get(at..) != Some(b"\n") {
                        return None;
                    }
                }
                ProgramStep::WordStart => {
                    self.looked.lost = true;
                    if at != 0 && self.word_before(at) && self.word_at(at) {
                        return None;
                    }
                    // Between two non-word characters `\W` still needs one to follow.
                    if at != 0 && at == bytes.len() && !self.word_before(at) {
                        return None;
                    }
                }
                ProgramStep::WordEnd => {
                    self.looked.at(at, self.width_at(at));
                    match at.checked_sub(1).and_then(|before| bytes.get(before)) {
                        Some(b'0'..=b'9') => self.looked.digits(at - 1, 1),
                        Some(0..0x80) => self.looked.at(at - 1, 1),
                        _ => self.looked.lost = true,
                    }
                    if at < bytes.len() && self.word_at(at) && at > 0 && self.word_before(at) {
                        return None;
                    }
                }
                ProgramStep::EpochPlace => {
                    self.looked.lost = true;
                    let place = at == 0
                        || (at == 1 && bytes[0] == b'[')
                        || self.text[..at]
                            .strip_suffix("audit(")
                            .is_some_and(|head| !head.chars().next_back().is_some_and(is_word));
                    if !place {
                        return None;
                    }
                }
                ProgramStep::Matched => return Some(at),
            }
            pc += 1;
        }
    }

    pub(in crate::datetime) fn repeat(
        &mut self,
        next: usize,
        at: usize,
        set: &ByteSet,
        min: u32,
        max: u32,
    ) -> Option<usize> {
        let program = self.program;
        if let (0, UNSET, ProgramStep::Byte(byte)) = (min, max, program.steps[next])
            && set.stranger() == Some(byte)
        {
            // It stops where the one byte stands that it cannot take and that must follow.
            let rest = self.text.as_bytes().get(at..)?;
            let end = at + memchr::memchr(byte, rest)?;
            match end - at {
                0..=31 => self.looked.at(at, end - at),
                _ => self.looked.lost |= at >= self.looked.origin,
            }
            return self.go(next, end);
        }
        let mut end = at;
        let mut count = 0;
        while count < max
            && let Some(length) = set.take(self.text, end)
        {
            self.looked.at(end, length);
            end += length;
            count += 1;
        }
        if count < max {
            self.looked.at(end, self.width_at(end));
        }
        loop {
            if count < min {
                return None;
            }
            if let Some(found) = self.go(next, end) {
                return Some(found);
            }
            if count == 0 {
                return None;
            }
            count -= 1;
            end -= 1;
            while !self.text.is_char_boundary(end) {
                end -= 1;
            }
        }
    }

    /// Bytes of the character at `at`; one where the text ends.
    fn width_at(&self, at: usize) -> usize {
        match self.text.as_bytes().get(at) {
            Some(0..0x80) | None => 1,
            Some(_) => 4,
        }
    }

    pub(in crate::datetime) fn word_at(&self, at: usize) -> bool {
        match self.text.as_bytes().get(at) {
            Some(&byte) if byte < 0x80 => byte.is_ascii_alphanumeric() || byte == b'_',
            Some(_) => self.text[at..].chars().next().is_some_and(is_word),
            None => false,
        }
    }

    pub(in crate::datetime) fn word_before(&self, at: usize) -> bool {
        match at.checked_sub(1).and_then(|i| self.text.as_bytes().get(i)) {
            Some(&byte) if byte < 0x80 => byte.is_ascii_alphanumeric() || byte == b'_',
            Some(_) => self.text[..at].chars().next_back().is_some_and(is_word),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DecidingBytes;

    #[test]
    fn nothing_behind_the_last_byte_that_can_be_told_is_nothing() {
        let mut looked = DecidingBytes::default();
        looked.at(64, 0);
        looked.digits(80, 0);
        assert_eq!((looked.exact, looked.digits, looked.lost), (0, 0, false));
        looked.at(64, 1);
        assert!(looked.lost);
    }
}
