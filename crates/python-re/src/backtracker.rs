//! Runs [`Instructions`] over a text the way Python's `re` does: by backtracking, in Python's order of
//! preference, and with a limit of steps.
//!
//! It needs no preparation per text, knows the spans of all groups when it is done and makes Python's
//! choices in Python's order, so it is exact. It is also the fastest engine for a line that matches. Its
//! worst case is exponential, hence the limit; on request it remembers dead ends (`memo`), which makes
//! most programs polynomial.

use super::first_set::BranchTable;
use super::instructions::{Instruction, Instructions, MatchStart, Pc, StopCondition};
use super::memo::Memo;
use super::spans::Match;

/// A register that holds nothing.
pub(crate) const UNSET: u32 = u32::MAX;
/// Most choices open at a time.
const MAX_STACK: usize = 1 << 20;
/// Room for choices that is kept between searches.
const KEPT_STACK: usize = 1 << 12;

/// The steps allowed were not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// What to do when a way fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BacktrackFrame {
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
pub(crate) struct Scratch {
    registers: Vec<u32>,
    stack: Vec<BacktrackFrame>,
}

/// One search.
pub(crate) struct Backtracker<'a> {
    instructions: &'a [Instruction],
    pub(crate) text: &'a str,
    pub(crate) registers: &'a mut Vec<u32>,
    stack: &'a mut Vec<BacktrackFrame>,
    pub(crate) steps: u64,
    /// Registers were set without noting how to put them back.
    dirty: bool,
    /// Dead ends of the program proper; look-arounds and atomic parts have none.
    pub(crate) tried: Option<Memo>,
}

/// How much a search may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Instructions and choices; long runs count by the byte as well.
    pub(crate) steps: u64,
    /// Whether to spend memory on remembering dead ends.
    pub(crate) remember: bool,
}

/// Looks for the leftmost match that starts at `start` or later, with limited effort.
/// Texts of 4 GiB and more exhaust it at once.
pub(crate) fn search(
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
    let mut machine = Backtracker {
        instructions: &program.list,
        text,
        registers: &mut scratch.registers,
        stack: &mut scratch.stack,
        steps: effort.steps,
        dirty: false,
        tried: match effort.remember {
            true => Memo::new(&program.list, text),
            false => None,
        },
    };
    let bytes = text.as_bytes();
    let mut from = start;
    loop {
        let rest = &bytes[from..];
        let skipped = match &program.start {
            MatchStart::Anywhere => Some(0),
            MatchStart::Byte(byte) if program.anchored => (rest.first() == Some(byte)).then_some(0),
            MatchStart::Byte(byte) => memchr::memchr(*byte, rest),
            MatchStart::Possible(start) if program.anchored => {
                start.allows(rest.first().copied()).then_some(0)
            }
            MatchStart::Possible(start) => rest.iter().position(|b| start.bytes.has(*b)),
        };
        match skipped {
            Some(skipped) => from += skipped,
            None => return Ok(None),
        }
        if program.anchored && from > 0 {
            return Ok(None);
        }
        if std::mem::take(&mut machine.dirty) {
            machine.registers.fill(UNSET);
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

/// Whether `rest` begins with the lowest `length` bytes of `word`.
#[inline]
fn starts_with(rest: &[u8], word: u64, length: u8) -> bool {
    let length = usize::from(length);
    if let Some(eight) = rest.first_chunk::<8>() {
        let differ = u64::from_le_bytes(*eight) ^ word;
        return differ << (64 - 8 * length) == 0;
    }
    rest.starts_with(&word.to_le_bytes()[..length])
}

impl Backtracker<'_> {
    /// Runs from `pc` at `at` to an `Accept`: where that is in the text. On success the ways not
    /// tried stay on the stack above where it stood, on failure the stack is as before. `top`: it
    /// is the program proper that runs, not a part of it.
    fn run(&mut self, mut pc: Pc, mut at: u32, top: bool) -> Result<Option<u32>, Exhausted> {
        let instructions = self.instructions;
        let bytes = self.text.as_bytes();
        let base = self.stack.len();
        loop {
            self.steps = self.steps.checked_sub(1).ok_or(Exhausted)?;
            let next = match &instructions[pc as usize] {
                Instruction::Byte(byte) => (bytes.get(at as usize) == Some(byte)).then(|| {
                    at += 1;
                    pc + 1
                }),
                Instruction::Short {
                    bytes: word,
                    length,
                } => starts_with(&bytes[at as usize..], *word, *length).then(|| {
                    at += u32::from(*length);
                    pc + 1
                }),
                Instruction::Literal(literal) => {
                    bytes[at as usize..].starts_with(literal).then(|| {
                        at += literal.len() as u32;
                        pc + 1
                    })
                }
                Instruction::Set(set) => match self.has(set, at) {
                    Some(after) => {
                        at = after;
                        Some(pc + 1)
                    }
                    None => None,
                },
                Instruction::Run(row) => match self.greedy(row, at, top.then_some(pc)) {
                    Some((min, max)) => match self.retreat(min, max, &row.next) {
                        Some(stop) => {
                            if stop > min && !matches!(row.next, StopCondition::Beyond(_)) {
                                self.push(BacktrackFrame::Run { pc, min, at: stop })?;
                            }
                            at = stop;
                            Some(pc + 1)
                        }
                        None => None,
                    },
                    None => None,
                },
                Instruction::PossessiveRun(row) => match self.greedy(row, at, None) {
                    Some((_, max)) => {
                        at = max;
                        Some(pc + 1)
                    }
                    None => None,
                },
                Instruction::LazyRun(row) => match self.least(row, at) {
                    Some(stop) => {
                        let left = row.bounds.max.saturating_sub(row.bounds.min);
                        match self.advance(row, pc, stop, left, top)? {
                            Some(stop) => {
                                at = stop;
                                Some(pc + 1)
                            }
                            None => None,
                        }
                    }
                    None => None,
                },
                Instruction::Split {
                    first,
                    second,
                    ways,
                } => {
                    let ways = match ways {
                        Some(ways) => ways.at(bytes.get(at as usize)),
                        None => BranchTable::FIRST | BranchTable::SECOND,
                    };
                    if !self.is_new(pc, at, top) {
                        None
                    } else if ways == BranchTable::FIRST {
                        Some(*first)
                    } else if ways == BranchTable::SECOND {
                        Some(*second)
                    } else if ways == 0 {
                        None
                    } else {
                        self.push(BacktrackFrame::Choice { pc: *second, at })?;
                        Some(*first)
                    }
                }
                Instruction::Jump(to) => Some(*to),
                Instruction::Save(register) => {
                    if top && self.stack.is_empty() {
                        // There is nothing to go back to.
                        self.registers[*register as usize] = at;
                        self.dirty = true;
                    } else {
                        self.set(*register, at)?;
                    }
                    Some(pc + 1)
                }
                Instruction::LoopStart { counter } => {
                    self.set(*counter, 0)?;
                    self.set(*counter + 1, UNSET)?;
                    Some(pc + 1)
                }
                Instruction::LoopNext(next) => {
                    let rounds = self.registers[next.counter as usize];
                    // A round that consumed nothing is the last, unless more are required.
                    let before = self.registers[next.counter as usize + 1];
                    if rounds < next.bounds.min {
                        self.set(next.counter, rounds + 1)?;
                        Some(if next.lazy { pc + 2 } else { pc + 1 })
                    } else if rounds >= next.bounds.max || before == at {
                        Some(next.exit)
                    } else if next.lazy {
                        self.push(BacktrackFrame::Choice { pc: pc + 1, at })?;
                        Some(next.exit)
                    } else {
                        self.push(BacktrackFrame::Choice { pc: next.exit, at })?;
                        self.another_round(next.counter, at)?;
                        Some(pc + 1)
                    }
                }
                Instruction::LoopMore { counter } => {
                    self.another_round(*counter, at)?;
                    Some(pc + 1)
                }
                Instruction::Assert(assertion) => self.assert(*assertion, at).then_some(pc + 1),
                Instruction::Word { test, word } => self.word(*test, word, at).then_some(pc + 1),
                Instruction::Ahead { literal, negative } => {
                    (bytes[at as usize..].starts_with(literal) != *negative).then_some(pc + 1)
                }
                Instruction::Needs(literal) => literal.find(&bytes[at as usize..]).map(|_| pc + 1),
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
                BacktrackFrame::Choice { pc, at } => return Ok(Some((pc, at))),
                BacktrackFrame::Restore { register, value } => {
                    self.registers[register as usize] = value;
                }
                BacktrackFrame::Run { pc, min, at } => {
                    if let Instruction::Run(row) = &self.instructions[pc as usize]
                        && let Some(stop) = self.retreat(min, self.before(at), &row.next)
                    {
                        if stop > min {
                            self.stack.push(BacktrackFrame::Run { pc, min, at: stop });
                        }
                        return Ok(Some((pc + 1, stop)));
                    }
                }
                BacktrackFrame::LazyRun { pc, at, left } => {
                    if let Instruction::LazyRun(row) = &self.instructions[pc as usize]
                        && let Some(stop) = self.advance_again(row, pc, at, left, top)?
                    {
                        return Ok(Some((pc + 1, stop)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether the search has not been here before; to be asked once per visit.
    #[inline]
    pub(crate) fn is_new(&mut self, pc: Pc, at: u32, top: bool) -> bool {
        match &mut self.tried {
            Some(tried) if top => tried.note(pc, at as usize),
            _ => true,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, frame: BacktrackFrame) -> Result<(), Exhausted> {
        if self.stack.len() >= MAX_STACK {
            return Err(Exhausted);
        }
        self.stack.push(frame);
        Ok(())
    }

    fn set(&mut self, register: u32, value: u32) -> Result<(), Exhausted> {
        let before = std::mem::replace(&mut self.registers[register as usize], value);
        self.push(BacktrackFrame::Restore {
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
            if matches!(self.stack[i], BacktrackFrame::Restore { .. }) {
                self.stack.swap(kept, i);
                kept += 1;
            }
        }
        self.stack.truncate(kept);
    }

    /// Drops the ways not tried above `height`, restoring what they changed.
    fn undo(&mut self, height: usize) {
        while self.stack.len() > height {
            if let Some(BacktrackFrame::Restore { register, value }) = self.stack.pop() {
                self.registers[register as usize] = value;
            }
        }
    }
}
