//! A [`CharClass`] made ready for testing characters one at a time.

use std::sync::OnceLock;

use regex_syntax::hir::ClassUnicodeRange;
use smallvec::smallvec;

use super::class::{Category, CharClass, ClassItem};
use super::unicode::characters;

/// A set of characters. What it holds beyond ASCII is worked out when first asked for, since most
/// logs never ask.
#[derive(Debug)]
pub(crate) struct CharSet {
    /// The ASCII members, a bit each.
    bytes: [u64; 4],
    /// The one character that is no member, if it is an ASCII one.
    all_but: Option<u8>,
    class: CharClass,
    /// All members, in ranges: sorted, disjoint.
    ranges: OnceLock<Box<[ClassUnicodeRange]>>,
}

impl CharSet {
    /// The characters of `class`.
    pub(crate) fn new(class: &CharClass) -> CharSet {
        let ascii = class.ascii();
        let all_but = match class.items[..] {
            [ClassItem::Range(from, to)] if from == to && class.negated && !class.ignore_case => {
                u8::try_from(from).ok().filter(u8::is_ascii)
            }
            _ => None,
        };
        CharSet {
            bytes: [ascii as u64, (ascii >> 64) as u64, 0, 0],
            all_but,
            class: class.clone(),
            ranges: OnceLock::new(),
        }
    }

    /// Python's `\w`.
    pub(crate) fn word(ascii: bool) -> CharSet {
        CharSet::new(&CharClass {
            items: smallvec![ClassItem::Category {
                category: Category::Word,
                negated: false,
            }],
            negated: false,
            ignore_case: false,
            ascii,
        })
    }

    /// The ASCII members, a bit each.
    pub(crate) fn ascii(&self) -> [u64; 2] {
        [self.bytes[0], self.bytes[1]]
    }

    /// Whether some member lies beyond ASCII; true when in doubt.
    pub(crate) fn reaches_beyond_ascii(&self) -> bool {
        self.class.reaches_beyond_ascii()
    }

    /// Whether the byte is an ASCII character and a member.
    #[inline]
    pub(crate) fn has_ascii(&self, byte: u8) -> bool {
        (self.bytes[usize::from(byte >> 6)] >> (byte & 63)) & 1 != 0
    }

    /// Where the members that stand from `at` on, one after the other, end.
    #[inline]
    pub(crate) fn end_of_row(&self, text: &str, mut at: usize) -> usize {
        let bytes = text.as_bytes();
        if let Some(stranger) = self.all_but {
            let rest = bytes.get(at..).unwrap_or_default();
            return at + memchr::memchr(stranger, rest).unwrap_or(rest.len());
        }
        loop {
            match bytes.get(at) {
                Some(byte) if self.has_ascii(*byte) => at += 1,
                Some(byte) if *byte >= 0x80 => match self.length_at(text, at) {
                    Some(length) => at += length,
                    None => return at,
                },
                _ => return at,
            }
        }
    }

    /// Length of the character at `at` if it is a member; `None` too at the end of the text.
    #[inline]
    pub(crate) fn length_at(&self, text: &str, at: usize) -> Option<usize> {
        let byte = *text.as_bytes().get(at)?;
        if byte < 0x80 {
            return self.has_ascii(byte).then_some(1);
        }
        let c = text.get(at..)?.chars().next()?;
        self.has_beyond(c).then(|| c.len_utf8())
    }

    #[cold]
    fn has_beyond(&self, c: char) -> bool {
        let ranges = self
            .ranges
            .get_or_init(|| characters(&self.class).ranges().into());
        let after = ranges.partition_point(|range| range.start() <= c);
        after > 0 && c <= ranges[after - 1].end()
    }
}
