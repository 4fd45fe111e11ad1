//! A small matcher for date patterns: the part of Python's `re` that dates need, with tokens as single
//! steps.
//!
//! In: a pattern with tokens. Out: the spans that Python's `search` would give, without an allocation and
//! in well under a tenth of a microsecond where the date is expected. Patterns that use more than this
//! language are left to [`crate::pattern`]. Alternatives are tried in Python's order, so the answer is the
//! same by construction; the one liberty is that digits of a date are ASCII digits.
#![forbid(unsafe_code)]

mod clues;
mod needs;
mod parse;
mod pieces;
mod run;
mod search;

use self::clues::RequiredBytes;
pub(super) use self::clues::{BuiltIn, Clues};
pub(super) use self::run::DecidingBytes;
use super::syntax::{DateField, YearWindow};

/// Groups a pattern may have here; more go to the general engine.
pub(super) const MAX_GROUPS: usize = 20;

/// Steps of one search; only a pattern with several open repeats can come near it.
const MAX_STEPS: u32 = 200_000;

/// Brackets within brackets.
const MAX_DEPTH: u32 = 20;

const UNSET: u32 = u32::MAX;

/// How a match must begin (facts D6, D7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Anywhere, or as the pattern itself says.
    Free,
    /// At the line's start or beside a non-word character.
    Word,
    /// At the line's start, after at most two non-word characters.
    Line,
}

/// What a match captured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spans {
    /// The whole match.
    pub whole: (usize, usize),
    /// What decided about it.
    pub looked: DecidingBytes,
    groups: [(u32, u32); MAX_GROUPS],
}

impl Spans {
    /// No group set yet.
    pub fn new(whole: (usize, usize)) -> Spans {
        Spans {
            whole,
            looked: DecidingBytes {
                lost: true,
                ..DecidingBytes::default()
            },
            groups: [(UNSET, UNSET); MAX_GROUPS],
        }
    }

    /// Span of a group, counted from 1.
    pub fn group(&self, number: usize) -> Option<(usize, usize)> {
        let (start, end) = *self.groups.get(number.checked_sub(1)?)?;
        (start != UNSET && end != UNSET).then_some((start as usize, end as usize))
    }

    /// Sets the span of a group, counted from 1; groups beyond [`MAX_GROUPS`] are dropped.
    pub fn set(&mut self, number: usize, span: (usize, usize)) {
        if let (Some(slot), Ok(start), Ok(end)) = (
            number
                .checked_sub(1)
                .and_then(|index| self.groups.get_mut(index)),
            u32::try_from(span.0),
            u32::try_from(span.1),
        ) {
            *slot = (start, end);
        }
    }
}

/// Texts of a known form; each may have several lengths at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    WeekdayShort,
    WeekdayLong,
    MonthShort,
    MonthLong,
    Day,
    DayExact,
    Month,
    MonthExact,
    Year,
    YearWindow(YearWindow),
    Year2,
    Hour,
    HourExact,
    HourLoose,
    Hour12,
    Hour12Loose,
    Hour12Tight,
    Minute,
    MinuteExact,
    Second,
    SecondExact,
    Fraction,
    HalfDay,
    Offset,
    ZoneName,
    ZoneLetters,
    Epoch,
    LongEpoch,
    Tai64n,
}

/// Characters: of ASCII those in the bits, of the others those of the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ByteSet {
    ascii: u128,
    others: Others,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Others {
    None,
    All,
    Word,
    NonWord,
    Space,
    NonSpace,
}

/// `\d`, `\w` and `\s` as far as they are ASCII.
const ASCII_DIGIT: u128 = bits(b'0', b'9');
const ASCII_WORD: u128 = ASCII_DIGIT | bits(b'A', b'Z') | bits(b'a', b'z') | bits(b'_', b'_');
const ASCII_SPACE: u128 = bits(b'\t', b'\r') | bits(0x1c, b' ');

/// One bit for every character from–to.
const fn bits(from: u8, to: u8) -> u128 {
    (!0 >> (127 - (to - from))) << from
}

impl ByteSet {
    const EMPTY: ByteSet = ByteSet {
        ascii: 0,
        others: Others::None,
    };

    fn add(&mut self, byte: u8) {
        self.ascii |= 1 << byte;
    }

    fn complement(self) -> Option<ByteSet> {
        Some(ByteSet {
            ascii: !self.ascii,
            others: match self.others {
                Others::None => Others::All,
                Others::All => Others::None,
                Others::Word => Others::NonWord,
                Others::NonWord => Others::Word,
                Others::Space => Others::NonSpace,
                Others::NonSpace => Others::Space,
            },
        })
    }

    fn fold(&mut self) {
        for letter in b'a'..=b'z' {
            let both = (1u128 << letter) | (1 << letter.to_ascii_uppercase());
            if self.ascii & both != 0 {
                self.ascii |= both;
            }
        }
    }

    /// Bytes of its longest character.
    fn width(&self) -> usize {
        match self.others {
            Others::None => 1,
            _ => 4,
        }
    }

    /// Length of the character at `at` if it is in the set.
    fn take(&self, text: &str, at: usize) -> Option<usize> {
        let &byte = text.as_bytes().get(at)?;
        if byte < 0x80 {
            return (self.ascii >> byte & 1 == 1).then_some(1);
        }
        let c = text.get(at..)?.chars().next()?;
        let inside = match self.others {
            Others::None => false,
            Others::All => true,
            Others::Word => is_word(c),
            Others::NonWord => !is_word(c),
            Others::Space => c.is_whitespace(),
            Others::NonSpace => !c.is_whitespace(),
        };
        inside.then(|| c.len_utf8())
    }

    /// The byte that alone is no member, if it is one.
    fn stranger(&self) -> Option<u8> {
        let missing = !self.ascii;
        (missing.count_ones() == 1 && self.others == Others::All)
            .then(|| missing.trailing_zeros() as u8)
    }

    fn class(letter: char) -> Option<ByteSet> {
        let word = ByteSet {
            ascii: ASCII_WORD,
            others: Others::Word,
        };
        let space = ByteSet {
            ascii: ASCII_SPACE,
            others: Others::Space,
        };
        let digit = ByteSet {
            ascii: ASCII_DIGIT,
            others: Others::None,
        };
        match letter {
            'w' => Some(word),
            'W' => word.complement(),
            's' => Some(space),
            'S' => space.complement(),
            'd' => Some(digit),
            'D' => digit.complement(),
            _ => None,
        }
    }
}

/// Python's `\w`.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProgramStep {
    Byte(u8),
    /// A letter in either case; given in lower case.
    Letter(u8),
    One(ByteSet),
    Repeat {
        set: ByteSet,
        min: u32,
        max: u32,
    },
    Text {
        text: Text,
        group: u8,
    },
    /// Go on at the first, on failure at the second; groups from `clear` on are unset again.
    Split {
        first: usize,
        second: usize,
        clear: u8,
    },
    Jump(usize),
    Open(u8),
    Close(u8),
    Same(u8),
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    EpochPlace,
    Matched,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct Program {
    steps: Vec<ProgramStep>,
    ignore_case: bool,
    years: YearWindow,
    /// Bytes a match can begin with.
    first: [bool; 256],
    anchored: bool,
    /// A match goes from the start of the text to the first of these, and on.
    lead: Option<u8>,
    needs: RequiredBytes,
    /// Which group holds which field, by group number.
    fields: Vec<(DateField, usize)>,
    names: Vec<Option<String>>,
}
