//! Runs a [`Program`] over a line.
#![forbid(unsafe_code)]

use super::{MAX_GROUPS, MAX_STEPS, Program, Set, Spans, Step, UNSET, is_word};

/// One search in one text.
pub(in crate::datetime) struct Run<'a> {
    pub(in crate::datetime) program: &'a Program,
    pub(in crate::datetime) text: &'a str,
    pub(in crate::datetime) steps_left: u32,
    pub(in crate::datetime) spans: Spans,
}

impl<'a> Run<'a> {
    pub(in crate::datetime) fn new(program: &'a Program, text: &'a str) -> Run<'a> {
        Run {
            program,
            text,
            steps_left: MAX_STEPS,
            spans: Spans::new((0, 0)),
        }
    }

    pub(in crate::datetime) fn attempt(&mut self, at: usize) -> Option<Spans> {
        self.spans.groups = [(UNSET, UNSET); MAX_GROUPS];
        let end = self.go(0, at)?;
        self.spans.whole = (at, end);
        Some(self.spans)
    }

    /// Depth is bounded by the length of the program: no step leads backwards.
    pub(in crate::datetime) fn go(&mut self, mut pc: usize, mut at: usize) -> Option<usize> {
        let program = self.program;
        let bytes = self.text.as_bytes();
        loop {
            self.steps_left = self.steps_left.checked_sub(1)?;
            match program.steps[pc] {
                Step::Byte(byte) => {
                    if bytes.get(at) != Some(&byte) {
                        return None;
                    }
                    at += 1;
                }
                Step::Letter(letter) => {
                    if bytes.get(at)?.to_ascii_lowercase() != letter {
                        return None;
                    }
                    at += 1;
                }
                Step::One(ref set) => at += set.take(self.text, at)?,
                Step::Repeat { ref set, min, max } => {
                    return self.repeat(pc + 1, at, set, min, max);
                }
                Step::Text { text, group } => {
                    let lengths = text.lengths(bytes, at, program.ignore_case);
                    let next = match program.steps[pc + 1] {
                        Step::Byte(byte) => Some(byte),
                        _ => None,
                    };
                    let mut last = None;
                    for length in lengths {
                        let end = at + length;
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
                Step::Split {
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
                Step::Jump(to) => {
                    pc = to;
                    continue;
                }
                Step::Open(group) => self.spans.groups[usize::from(group)] = (at as u32, UNSET),
                Step::Close(group) => self.spans.groups[usize::from(group)].1 = at as u32,
                Step::Same(group) => {
                    let (start, end) = self.spans.group(usize::from(group) + 1)?;
                    let length = end - start;
                    if bytes.get(at..at + length)? != &bytes[start..end] {
                        return None;
                    }
                    at += length;
                }
                Step::LineStart => {
                    if at != 0 {
                        return None;
                    }
                }
                Step::LineEnd => {
                    if at != bytes.len() && bytes.get(at..) != Some(b"\n") {
                        return None;
                    }
                }
                Step::WordStart => {
                    if at != 0 && self.word_before(at) && self.word_at(at) {
                        return None;
                    }
                    // Between two non-word characters `\W` still needs one to follow.
                    if at != 0 && at == bytes.len() && !self.word_before(at) {
                        return None;
                    }
                }
                Step::WordEnd => {
                    if at < bytes.len() && self.word_at(at) && at > 0 && self.word_before(at) {
                        return None;
                    }
                }
                Step::EpochPlace => {
                    let place = at == 0
                        || (at == 1 && bytes[0] == b'[')
                        || self.text[..at]
                            .strip_suffix("audit(")
                            .is_some_and(|head| !head.chars().next_back().is_some_and(is_word));
                    if !place {
                        return None;
                    }
                }
                Step::Matched => return Some(at),
            }
            pc += 1;
        }
    }

    pub(in crate::datetime) fn repeat(
        &mut self,
        next: usize,
        at: usize,
        set: &Set,
        min: u32,
        max: u32,
    ) -> Option<usize> {
        let mut end = at;
        let mut count = 0;
        while count < max
            && let Some(length) = set.take(self.text, end)
        {
            end += length;
            count += 1;
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
