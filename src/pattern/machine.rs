//! Runs [`Instructions`] over a text the way Python's `re` does: in order of preference, going
//! back where a way fails, counting its steps.
//!
//! It needs no preparation per text, knows the spans of the groups when it is done and takes
//! Python's decisions in Python's order, which makes it exact; it is also the fastest way through
//! a line that matches. What it lacks is a bound better than exponential, hence the steps; asked
//! to, it remembers what it has `tried`, which most programs are bounded by.

use super::ast::Assertion;
use super::charset::CharSet;
use super::follow::Next;
use super::instructions::{Bounds, FirstBytes, Instruction, Instructions, Pc, Start};
use super::spans::Match;
use super::tried::Tried;

/// A register that holds nothing.
const UNSET: u32 = u32::MAX;
/// Most choices open at a time.
const MAX_STACK: usize = 1 << 20;
/// Room for choices that is kept between searches.
const KEPT_STACK: usize = 1 << 12;

/// The steps allowed were not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// What to do when a way fails.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// Go on there.
    Choice { pc: Pc, at: u32 },
    /// Put this back first.
    Restore { register: u32, value: u32 },
    /// Let the run at `pc` give back a character, down to `min`.
    Run { pc: Pc, min: u32, at: u32 },
    /// Let the run at `pc` take one more character, up to `left` of them.
    LazyRun { pc: Pc, at: u32, left: u32 },
}

/// Memory for running, reused from search to search.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    registers: Vec<u32>,
    stack: Vec<Frame>,
}

/// One search.
struct Machine<'a> {
    instructions: &'a [Instruction],
    text: &'a str,
    registers: &'a mut Vec<u32>,
    stack: &'a mut Vec<Frame>,
    steps: u64,
    /// Dead ends of the program proper; look-arounds and atomic parts have none.
    tried: Option<Tried>,
}

/// How much a search may cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// Instructions and choices; long runs count by the byte as well.
    pub(super) steps: u64,
    /// Whether to spend memory on remembering dead ends.
    pub(super) remember: bool,
}

/// Looks for the leftmost match that starts at `start` or later, with limited effort.
/// Texts of 4 GiB and more exhaust it at once.
pub(super) fn search(
    program: &Instructions,
    text: &str,
    start: usize,
    groups: usize,
    effort: Effort,
    scratch: &mut Scratch,
) -> Result<Option<Match>, Exhausted> {
    if u32::try_from(text.len()).is_err() || text.len() >= UNSET as usize {
        return Err(Exhausted);
    }
    scratch.registers.clear();
    scratch.registers.resize(program.registers, UNSET);
    scratch.stack.clear();
    if scratch.stack.capacity() > KEPT_STACK {
        scratch.stack.shrink_to(KEPT_STACK);
    }
    let mut machine = Machine {
        instructions: &program.list,
        text,
        registers: &mut scratch.registers,
        stack: &mut scratch.stack,
        steps: effort.steps,
        tried: match effort.remember {
            true => Tried::new(&program.list, text),
            false => None,
        },
    };
    let bytes = text.as_bytes();
    let mut from = start;
    loop {
        if program.anchored && from > 0 {
            return Ok(None);
        }
        let rest = &bytes[from..];
        let skipped = match &program.start {
            Start::Anywhere => Some(0),
            Start::Byte(byte) => memchr::memchr(*byte, rest),
            Start::Bytes(set) => rest.iter().position(|b| set.has(*b)),
        };
        match skipped {
            Some(skipped) => from += skipped,
            None => return Ok(None),
        }
        if let Some(to) = machine.run(0, from as u32, true)? {
            machine.registers[0] = from as u32;
            machine.registers[1] = to;
            let spans = machine.registers[..groups * 2].chunks_exact(2);
            return Ok(Some(Match::from_pairs(spans.map(|pair| {
                // A group that was entered but not left has no span.
                match pair {
                    [from, to] if *from != UNSET && *to != UNSET => (*from, *to),
                    _ => (UNSET, UNSET),
                }
            }))));
        }
        match bytes.get(from) {
            None => return Ok(None),
            Some(lead) => from += width_of_lead(*lead),
        }
    }
}

/// Length of the character that begins with this byte.
fn width_of_lead(lead: u8) -> usize {
    match lead {
        0..0x80 => 1,
        0x80..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

impl Machine<'_> {
    /// Runs from `pc` at `at` to an `Accept`: where that is in the text. On success the ways not
    /// tried stay on the stack above where it stood, on failure the stack is as before. `top`: it
    /// is the program proper that runs, not a part of it.
    fn run(&mut self, mut pc: Pc, mut at: u32, top: bool) -> Result<Option<u32>, Exhausted> {
        let instructions = self.instructions;
        let base = self.stack.len();
        loop {
            self.steps = self.steps.checked_sub(1).ok_or(Exhausted)?;
            let next = match &instructions[pc as usize] {
                Instruction::Literal(literal) => {
                    let rest = &self.text.as_bytes()[at as usize..];
                    rest.starts_with(literal).then(|| {
                        at += literal.len() as u32;
                        pc + 1
                    })
                }
                Instruction::Set(set) => match set.length_at(self.text, at as usize) {
                    Some(length) => {
                        at += length as u32;
                        Some(pc + 1)
                    }
                    None => None,
                },
                Instruction::Run { set, bounds, next } => {
                    match self.greedy(set, *bounds, at, top.then_some(pc)) {
                        Some((min, max)) => match self.retreat(min, max, next.as_ref()) {
                            Some(stop) => {
                                if stop > min {
                                    self.push(Frame::Run { pc, min, at: stop })?;
                                }
                                at = stop;
                                Some(pc + 1)
                            }
                            None => None,
                        },
                        None => None,
                    }
                }
                Instruction::PossessiveRun { set, bounds } => {
                    match self.greedy(set, *bounds, at, None) {
                        Some((_, max)) => {
                            at = max;
                            Some(pc + 1)
                        }
                        None => None,
                    }
                }
                Instruction::LazyRun { set, bounds, next } => {
                    let least = Bounds {
                        min: bounds.min,
                        max: bounds.min,
                    };
                    match self.greedy(set, least, at, None) {
                        Some((_, stop)) => {
                            let left = bounds.max.saturating_sub(bounds.min);
                            match self.advance(set, next.as_ref(), pc, stop, left, top)? {
                                Some(stop) => {
                                    at = stop;
                                    Some(pc + 1)
                                }
                                None => None,
                            }
                        }
                        None => None,
                    }
                }
                Instruction::Split {
                    first,
                    second,
                    bytes,
                } => {
                    if !self.is_new(pc, at, top) {
                        None
                    } else if self.hopeless(bytes, at) {
                        Some(*second)
                    } else {
                        self.push(Frame::Choice { pc: *second, at })?;
                        Some(*first)
                    }
                }
                Instruction::SplitLater { now, bytes } => {
                    if !self.is_new(pc, at, top) {
                        None
                    } else {
                        if !self.hopeless(bytes, at) {
                            self.push(Frame::Choice { pc: pc + 1, at })?;
                        }
                        Some(*now)
                    }
                }
                Instruction::Jump(to) => Some(*to),
                Instruction::Save(register) => {
                    self.set(*register, at)?;
                    Some(pc + 1)
                }
                Instruction::LoopStart { counter } => {
                    self.set(*counter, 0)?;
                    self.set(*counter + 1, UNSET)?;
                    Some(pc + 1)
                }
                Instruction::LoopNext {
                    counter,
                    bounds,
                    lazy,
                    exit,
                } => {
                    let rounds = self.registers[*counter as usize];
                    // A round that consumed nothing is the last, unless more are required.
                    let before = self.registers[*counter as usize + 1];
                    if rounds < bounds.min {
                        self.set(*counter, rounds + 1)?;
                        Some(if *lazy { pc + 2 } else { pc + 1 })
                    } else if rounds >= bounds.max || before == at {
                        Some(*exit)
                    } else if *lazy {
                        self.push(Frame::Choice { pc: pc + 1, at })?;
                        Some(*exit)
                    } else {
                        self.push(Frame::Choice { pc: *exit, at })?;
                        self.another_round(*counter, at)?;
                        Some(pc + 1)
                    }
                }
                Instruction::LoopMore { counter } => {
                    self.another_round(*counter, at)?;
                    Some(pc + 1)
                }
                Instruction::Assert(assertion) => self.assert(*assertion, at).then_some(pc + 1),
                Instruction::Word { test, word } => self.word(*test, word, at).then_some(pc + 1),
                Instruction::Look {
                    behind,
                    negative,
                    after,
                } => {
                    let height = self.stack.len();
                    let found = match self.step_back(at, behind.unwrap_or(0)) {
                        Some(from) => self.run(pc + 1, from, false)?.is_some(),
                        None => false,
                    };
                    if found && !negative {
                        self.commit(height);
                    } else {
                        self.undo(height);
                    }
                    (found != *negative).then_some(*after)
                }
                Instruction::Atomic { after } => {
                    let height = self.stack.len();
                    match self.run(pc + 1, at, false)? {
                        Some(to) => {
                            self.commit(height);
                            at = to;
                            Some(*after)
                        }
                        None => None,
                    }
                }
                Instruction::Backref { group, ignore_case } => {
                    match self.backref(*group, *ignore_case, at) {
                        Some(to) => {
                            at = to;
                            Some(pc + 1)
                        }
                        None => None,
                    }
                }
                Instruction::IfGroup { group, otherwise } => {
                    Some(match self.registers[*group as usize * 2 + 1] {
                        UNSET => *otherwise,
                        _ => pc + 1,
                    })
                }
                Instruction::Accept => return Ok(Some(at)),
            };
            match next {
                Some(next) => pc = next,
                None => match self.go_back(base, top)? {
                    Some(way) => (pc, at) = way,
                    None => return Ok(None),
                },
            }
        }
    }

    /// Takes up the last way not tried yet.
    fn go_back(&mut self, base: usize, top: bool) -> Result<Option<(Pc, u32)>, Exhausted> {
        while self.stack.len() > base {
            let Some(frame) = self.stack.pop() else {
                break;
            };
            match frame {
                Frame::Choice { pc, at } => return Ok(Some((pc, at))),
                Frame::Restore { register, value } => {
                    self.registers[register as usize] = value;
                }
                Frame::Run { pc, min, at } => {
                    let next = match &self.instructions[pc as usize] {
                        Instruction::Run { next, .. } => next.as_ref(),
                        _ => None,
                    };
                    let shorter = self.before(at);
                    if let Some(stop) = self.retreat(min, shorter, next) {
                        if stop > min {
                            self.stack.push(Frame::Run { pc, min, at: stop });
                        }
                        return Ok(Some((pc + 1, stop)));
                    }
                }
                Frame::LazyRun { pc, at, left } => {
                    if let Instruction::LazyRun { set, next, .. } = &self.instructions[pc as usize]
                        && let Some(length) = set.length_at(self.text, at as usize)
                        && let Some(stop) =
                            self.advance(set, next.as_ref(), pc, at + length as u32, left - 1, top)?
                    {
                        return Ok(Some((pc + 1, stop)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether the search has not been here before; to be asked once per visit.
    fn is_new(&mut self, pc: Pc, at: u32, top: bool) -> bool {
        match &mut self.tried {
            Some(tried) if top => tried.note(pc, at as usize),
            _ => true,
        }
    }

    fn push(&mut self, frame: Frame) -> Result<(), Exhausted> {
        if self.stack.len() >= MAX_STACK {
            return Err(Exhausted);
        }
        self.stack.push(frame);
        Ok(())
    }

    fn set(&mut self, register: u32, value: u32) -> Result<(), Exhausted> {
        let before = std::mem::replace(&mut self.registers[register as usize], value);
        self.push(Frame::Restore {
            register,
            value: before,
        })
    }

    fn another_round(&mut self, counter: u32, at: u32) -> Result<(), Exhausted> {
        self.set(counter, self.registers[counter as usize] + 1)?;
        self.set(counter + 1, at)
    }

    /// Drops the ways not tried above `height`, keeping what is to be restored.
    fn commit(&mut self, height: usize) {
        let mut kept = height;
        for i in height..self.stack.len() {
            if matches!(self.stack[i], Frame::Restore { .. }) {
                self.stack.swap(kept, i);
                kept += 1;
            }
        }
        self.stack.truncate(kept);
    }

    /// Drops the ways not tried above `height`, restoring what they changed.
    fn undo(&mut self, height: usize) {
        while self.stack.len() > height {
            if let Some(Frame::Restore { register, value }) = self.stack.pop() {
                self.registers[register as usize] = value;
            }
        }
    }

    /// Whether the text goes on with none of `bytes`.
    fn hopeless(&self, bytes: &Option<FirstBytes>, at: u32) -> bool {
        let Some(bytes) = bytes else {
            return false;
        };
        match self.text.as_bytes().get(at as usize) {
            Some(byte) => !bytes.has(*byte),
            None => true,
        }
    }

    /// Where a run of characters of `set` may stop at the earliest and at the latest. `run`: the
    /// instruction, if stops that it has tried are to be left out.
    fn greedy(
        &mut self,
        set: &CharSet,
        bounds: Bounds,
        from: u32,
        run: Option<Pc>,
    ) -> Option<(u32, u32)> {
        let bytes = self.text.as_bytes();
        // An unbounded run that comes to a stop tried before has tried all further ones as well.
        let mut tried = match run {
            Some(pc) if bounds.max == u32::MAX => self.tried.as_mut().map(|tried| (tried, pc)),
            _ => None,
        };
        let mut at = from as usize;
        let mut count = 0;
        // Earliest and latest stop.
        let mut stops: Option<(usize, usize)> = None;
        loop {
            if count >= bounds.min {
                if let Some((tried, pc)) = &mut tried
                    && !tried.note(*pc, at)
                {
                    break;
                }
                stops = Some((stops.map_or(at, |(min, _)| min), at));
            }
            if count == bounds.max {
                break;
            }
            let Some(byte) = bytes.get(at) else {
                break;
            };
            let length = if *byte < 0x80 {
                usize::from(set.has_ascii(*byte))
            } else {
                set.length_at(self.text, at).unwrap_or(0)
            };
            if length == 0 {
                break;
            }
            at += length;
            count += 1;
        }
        // Long runs cost steps too.
        self.steps = self
            .steps
            .saturating_sub((at as u64 - u64::from(from)) / 16);
        stops.map(|(min, max)| (min as u32, max as u32))
    }

    /// The last stop from `max` down to `min` where `next`, if any, follows.
    fn retreat(&self, min: u32, max: u32, next: Option<&Next>) -> Option<u32> {
        if max < min {
            return None;
        }
        let bytes = self.text.as_bytes();
        match next {
            None => Some(max),
            Some(Next::Byte(next)) => {
                let end = bytes.len().min(max as usize + 1);
                let found = memchr::memrchr(*next, bytes.get(min as usize..end)?)?;
                Some(min + found as u32)
            }
            Some(next) => (min..=max).rev().find(|stop| {
                let stop = *stop as usize;
                self.text.is_char_boundary(stop) && next.allows(bytes, stop)
            }),
        }
    }

    /// Where the character before `at` begins.
    fn before(&self, at: u32) -> u32 {
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

    /// The first stop from `at` on where `next`, if any, follows, after up to `left` more
    /// characters of `set`; leaves behind how to go on from there.
    fn advance(
        &mut self,
        set: &CharSet,
        next: Option<&Next>,
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
        if let Some(next) = next {
            let from = at;
            while !next.allows(self.text.as_bytes(), at as usize) {
                match set.length_at(self.text, at as usize) {
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
        }
        if left > 0 {
            self.push(Frame::LazyRun { pc, at, left })?;
        }
        Ok(Some(at))
    }

    /// `count` characters before `at`.
    fn step_back(&self, at: u32, count: u32) -> Option<u32> {
        let mut at = at;
        for _ in 0..count {
            if at == 0 {
                return None;
            }
            at = self.before(at);
        }
        Some(at)
    }

    fn assert(&self, assertion: Assertion, at: u32) -> bool {
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

    fn word(&self, test: Assertion, word: &CharSet, at: u32) -> bool {
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
    fn backref(&mut self, group: u32, ignore_case: bool, at: u32) -> Option<u32> {
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
