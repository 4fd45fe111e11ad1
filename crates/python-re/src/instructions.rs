//! The instructions of the [`Backtracker`](super::backtracker::Backtracker), and tables about a program.

use memchr::memmem::Finder;

use super::ast::Assertion;
use super::charset::CharSet;
use super::first_set::{BranchTable, FirstSet};

/// Index of an instruction.
pub(crate) type Pc = u32;

/// How far a repeat of one character goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) min: u32,
    /// `u32::MAX`: no bound.
    pub(crate) max: u32,
}

/// Characters of a set, one after the other.
#[derive(Debug)]
pub(crate) struct CharRun {
    pub(crate) set: CharSet,
    pub(crate) bounds: Bounds,
    /// None of the characters begins this: `(?:(?!unless)x)*`.
    pub(crate) unless: Option<Finder<'static>>,
    /// What must follow.
    pub(crate) next: StopCondition,
}

/// A condition on the place where a row stops: necessary, not sufficient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopCondition {
    /// It may stop anywhere.
    Anything,
    /// This byte follows.
    Byte(u8),
    /// The text goes on as said.
    Possible(FirstSet),
    /// As `FirstSet`, which no character of the row is: only the last stop has a chance.
    Beyond(FirstSet),
}

/// One instruction; unless it says otherwise, the next one follows.
#[derive(Debug)]
pub(crate) enum Instruction {
    /// This byte.
    Byte(u8),
    /// Up to eight bytes, the first of them lowest.
    Short { bytes: u64, length: u8 },
    /// These bytes.
    Literal(Box<[u8]>),
    /// One character of the set.
    Set(Box<CharSet>),
    /// A row as long as possible.
    Run(Box<CharRun>),
    /// A row as short as possible.
    LazyRun(Box<CharRun>),
    /// A row as long as possible, never shorter.
    PossessiveRun(Box<CharRun>),
    /// Go to `first`, later to `second`.
    Split {
        first: Pc,
        second: Pc,
        ways: Option<Box<BranchTable>>,
    },
    /// Go there.
    Jump(Pc),
    /// Note the position in a register.
    Save(u32),
    /// A counted repeat begins: no rounds yet.
    LoopStart { counter: u32 },
    /// Between the rounds of a counted repeat.
    LoopNext(Box<LoopNext>),
    /// A lazy counted repeat goes for one more round after all.
    LoopMore { counter: u32 },
    /// A test of the neighbourhood.
    Assert(Assertion),
    /// `\b` and the like, with their word characters.
    Word { test: Assertion, word: Box<CharSet> },
    /// These bytes follow, or (`negative`) do not.
    Ahead { literal: Box<[u8]>, negative: bool },
    /// These bytes follow somewhere.
    Needs(Box<Finder<'static>>),
    /// A look-around; its program follows up to an `Accept`, `after` comes next. `behind`: how
    /// many characters to step back first.
    Look {
        behind: Option<u32>,
        negative: bool,
        after: Pc,
    },
    /// An atomic part: its program follows up to an `Accept`.
    Atomic { after: Pc },
    /// The text of the group, again.
    Backref { group: u32, ignore_case: bool },
    /// Go to `otherwise` unless the group took part.
    IfGroup { group: u32, otherwise: Pc },
    /// The end of the program, or of a part of it.
    Accept,
}

/// How a counted repeat goes on between its rounds.
#[derive(Debug)]
pub(crate) struct LoopNext {
    pub(crate) counter: u32,
    pub(crate) bounds: Bounds,
    pub(crate) lazy: bool,
    pub(crate) exit: Pc,
}

impl Instruction {
    /// The comparison with these bytes.
    pub(crate) fn literal(bytes: Vec<u8>) -> Instruction {
        match bytes.as_slice() {
            [byte] => Instruction::Byte(*byte),
            few if few.len() <= 8 => {
                let mut word = [0; 8];
                word[..few.len()].copy_from_slice(few);
                Instruction::Short {
                    bytes: u64::from_le_bytes(word),
                    length: few.len() as u8,
                }
            }
            _ => Instruction::Literal(bytes.into()),
        }
    }
}

/// The instructions of a regex.
#[derive(Debug)]
pub(crate) struct Instructions {
    pub(crate) list: Vec<Instruction>,
    /// Number of registers: two per group, then two per counted repeat.
    pub(crate) registers: usize,
    /// A match can start at the start of the text only.
    pub(crate) anchored: bool,
    /// What a match can begin with.
    pub(crate) start: MatchStart,
}

/// What a match can begin with.
#[derive(Debug)]
pub(crate) enum MatchStart {
    /// Anything, or nothing at all.
    Anywhere,
    /// This byte.
    Byte(u8),
    /// As said.
    Possible(FirstSet),
}
