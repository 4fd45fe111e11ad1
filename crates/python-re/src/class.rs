//! Sets of characters as Python's `re` means them: `[…]`, `\d`, `.` and single literals.
//!
//! A [`CharClass`] keeps what was written; [`CharClass::ascii`] evaluates it for ASCII text.

use smallvec::{SmallVec, smallvec};

/// What a class escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// `\d`
    Digit,
    /// `\s`
    Space,
    /// `\w`
    Word,
}

/// A member of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassItem {
    /// Code points from–to, both included. May hold surrogates, which match nothing.
    Range(u32, u32),
    /// A category or (`negated`) everything outside it.
    Category {
        /// Which one.
        category: Category,
        /// Everything outside it.
        negated: bool,
    },
}

/// A set of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CharClass {
    /// The members; mostly one, for most classes are single characters.
    pub items: SmallVec<[ClassItem; 1]>,
    /// The set is everything but the members.
    pub negated: bool,
    /// Case does not matter.
    pub ignore_case: bool,
    /// Categories and case know ASCII only (`(?a)`).
    pub ascii: bool,
}

/// A set of ASCII characters, bit n standing for character n.
pub type AsciiSet = u128;

/// `[0-9A-Za-z_]`
pub const ASCII_WORD: AsciiSet =
    range_bits(b'0', b'9') | range_bits(b'A', b'Z') | range_bits(b'a', b'z') | bit(b'_');

const fn bit(c: u8) -> AsciiSet {
    1 << c
}

/// The set of the ASCII characters from–to.
pub const fn range_bits(from: u8, to: u8) -> AsciiSet {
    // `to` is below 128, so that shifting by one more could only overflow for 127.
    let upto = if to >= 127 { !0 } else { (1 << (to + 1)) - 1 };
    upto & !((1 << from) - 1)
}

impl CharClass {
    /// The class of one character.
    pub fn literal(c: u32, ignore_case: bool, ascii: bool) -> CharClass {
        CharClass {
            items: smallvec![ClassItem::Range(c, c)],
            negated: false,
            ignore_case,
            ascii,
        }
    }

    /// `.`
    pub fn dot(matches_newline: bool) -> CharClass {
        let newline = ClassItem::Range(u32::from(b'\n'), u32::from(b'\n'));
        CharClass {
            items: if matches_newline {
                smallvec![]
            } else {
                smallvec![newline]
            },
            negated: true,
            ignore_case: false,
            ascii: false,
        }
    }

    /// The members that are ASCII characters.
    pub fn ascii(&self) -> AsciiSet {
        let mut set = 0;
        for item in &self.items {
            set |= match *item {
                ClassItem::Range(from, to) if self.ignore_case => self.folded(from, to),
                ClassItem::Range(from, to) => clamp(from, to),
                ClassItem::Category { category, negated } => {
                    let members = match category {
                        Category::Digit => range_bits(b'0', b'9'),
                        Category::Word => ASCII_WORD,
                        // Without `(?a)` the four separators \x1c-\x1f are blanks as well.
                        Category::Space if self.ascii => range_bits(9, 13) | bit(b' '),
                        Category::Space => range_bits(9, 13) | range_bits(0x1C, 0x20),
                    };
                    if negated { !members } else { members }
                }
            };
        }
        if self.negated { !set } else { set }
    }

    /// The runs of neighbouring ASCII members, from–to.
    pub fn ascii_ranges(&self) -> impl Iterator<Item = (u8, u8)> {
        let set = self.ascii();
        let has = move |c: u8| c < 128 && set & bit(c) != 0;
        let starts = (0..128).filter(move |c| has(*c) && (*c == 0 || !has(*c - 1)));
        starts.map(move |from| (from, (from..128).find(|c| !has(*c + 1)).unwrap_or(from)))
    }

    /// The ASCII characters equal to one of from–to when case does not matter.
    fn folded(&self, from: u32, to: u32) -> AsciiSet {
        let mut set = clamp(from, to);
        for lower in b'a'..=b'z' {
            let pair = bit(lower) | bit(lower.to_ascii_uppercase());
            if set & pair != 0 {
                set |= pair;
            }
        }
        if !self.ascii {
            // The characters beyond ASCII that fold to an ASCII letter: İ ı ſ K (Kelvin).
            for (c, letter) in [(0x130, b'i'), (0x131, b'i'), (0x17F, b's'), (0x212A, b'k')] {
                if (from..=to).contains(&c) {
                    set |= bit(letter) | bit(letter.to_ascii_uppercase());
                }
            }
        }
        set
    }

    /// Whether some member lies beyond ASCII; true when in doubt.
    pub fn reaches_beyond_ascii(&self) -> bool {
        self.negated
            || self.ignore_case
            || self.items.iter().any(|item| match *item {
                ClassItem::Range(_, to) => to > 0x7F,
                ClassItem::Category { negated, .. } => negated || !self.ascii,
            })
    }

    /// The one character this class consists of, unless case makes it several.
    pub fn as_literal(&self) -> Option<char> {
        match self.items[..] {
            [ClassItem::Range(from, to)] if from == to && !self.negated && !self.has_case() => {
                char::from_u32(from)
            }
            _ => None,
        }
    }

    /// Whether case-blindness makes a difference here.
    fn has_case(&self) -> bool {
        self.ignore_case
            && self.items.iter().any(|item| match *item {
                ClassItem::Range(from, to) => !(clamp(from, to) & LETTERS == 0 && to <= 0x7F),
                ClassItem::Category { .. } => false,
            })
    }
}

const LETTERS: AsciiSet = range_bits(b'A', b'Z') | range_bits(b'a', b'z');

/// The part of from–to that is ASCII.
fn clamp(from: u32, to: u32) -> AsciiSet {
    match (u8::try_from(from), u8::try_from(to.min(0x7F))) {
        (Ok(from), Ok(to)) if from <= to => range_bits(from, to),
        _ => 0,
    }
}
