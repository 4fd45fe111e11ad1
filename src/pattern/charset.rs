//! A [`Class`] made ready for testing characters one at a time.

use std::sync::{LazyLock, OnceLock};

use regex_syntax::hir::{Class as HirClass, ClassUnicode, ClassUnicodeRange, HirKind};
use smallvec::smallvec;

use super::class::{Category, Class, Item, LETTERS_I};

/// A set of characters. What it holds beyond ASCII is worked out when first asked for, since most
/// logs never ask.
#[derive(Debug)]
pub(super) struct CharSet {
    /// The ASCII members, a bit each.
    bytes: [u64; 4],
    /// The one character that is no member, if it is an ASCII one.
    all_but: Option<u8>,
    class: Class,
    beyond: OnceLock<Beyond>,
}

/// Members beyond ASCII.
#[derive(Debug)]
enum Beyond {
    None,
    All,
    /// Sorted, disjoint.
    Ranges(Box<[(char, char)]>),
}

impl CharSet {
    /// The characters of `class`.
    pub(super) fn new(class: &Class) -> CharSet {
        let ascii = class.ascii();
        let all_but = match class.items[..] {
            [Item::Range(from, to)] if from == to && class.negated && !class.ignore_case => {
                u8::try_from(from).ok().filter(u8::is_ascii)
            }
            _ => None,
        };
        CharSet {
            bytes: [ascii as u64, (ascii >> 64) as u64, 0, 0],
            all_but,
            class: class.clone(),
            beyond: OnceLock::new(),
        }
    }

    /// Python's `\w`.
    pub(super) fn word(ascii: bool) -> CharSet {
        CharSet::new(&Class {
            items: smallvec![Item::Category {
                category: Category::Word,
                negated: false,
            }],
            negated: false,
            ignore_case: false,
            ascii,
        })
    }

    /// The ASCII members, a bit each.
    pub(super) fn ascii(&self) -> [u64; 2] {
        [self.bytes[0], self.bytes[1]]
    }

    /// Whether some member lies beyond ASCII; true when in doubt.
    pub(super) fn reaches_beyond_ascii(&self) -> bool {
        self.class.reaches_beyond_ascii()
    }

    /// Whether the byte is an ASCII character and a member.
    #[inline]
    pub(super) fn has_ascii(&self, byte: u8) -> bool {
        (self.bytes[usize::from(byte >> 6)] >> (byte & 63)) & 1 != 0
    }

    /// Where the members that stand from `at` on, one after the other, end.
    #[inline]
    pub(super) fn end_of_row(&self, text: &str, mut at: usize) -> usize {
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
    pub(super) fn length_at(&self, text: &str, at: usize) -> Option<usize> {
        let byte = *text.as_bytes().get(at)?;
        if byte < 0x80 {
            return self.has_ascii(byte).then_some(1);
        }
        let c = text.get(at..)?.chars().next()?;
        self.has_beyond(c).then(|| c.len_utf8())
    }

    #[cold]
    fn has_beyond(&self, c: char) -> bool {
        match self.beyond.get_or_init(|| Beyond::of(&self.class)) {
            Beyond::None => false,
            Beyond::All => true,
            Beyond::Ranges(ranges) => {
                let after = ranges.partition_point(|(from, _)| *from <= c);
                after > 0 && c <= ranges[after - 1].1
            }
        }
    }
}

impl Beyond {
    fn of(class: &Class) -> Beyond {
        let mut set = ClassUnicode::empty();
        for item in &class.items {
            match *item {
                Item::Range(from, to) => set.union(&folded(class, from, to)),
                Item::Category { category, negated } => {
                    let mut members = if class.ascii {
                        // Beyond ASCII there are none.
                        ClassUnicode::empty()
                    } else {
                        members(category).clone()
                    };
                    if negated {
                        members.negate();
                    }
                    set.union(&members);
                }
            }
        }
        if class.negated {
            set.negate();
        }
        set.intersect(&ClassUnicode::new([ClassUnicodeRange::new(
            '\u{80}',
            char::MAX,
        )]));
        let ranges: Box<[(char, char)]> = set.iter().map(|r| (r.start(), r.end())).collect();
        match *ranges {
            [] => Beyond::None,
            [('\u{80}', char::MAX)] => Beyond::All,
            _ => Beyond::Ranges(ranges),
        }
    }
}

/// The characters from–to, with their other cases if case does not matter. Surrogates, which
/// only a pattern can name, are left out.
fn folded(class: &Class, from: u32, to: u32) -> ClassUnicode {
    let mut set = ClassUnicode::empty();
    for (from, to) in [(from, to.min(0xD7FF)), (from.max(0xE000), to)] {
        if let (true, Some(from), Some(to)) = (from <= to, char::from_u32(from), char::from_u32(to))
        {
            set.push(ClassUnicodeRange::new(from, to));
        }
    }
    if class.ignore_case && !class.ascii {
        // Without Unicode tables there is nothing to fold, but the crate has them.
        let _ = set.try_case_fold_simple();
        if LETTERS_I.iter().any(|c| (from..=to).contains(c)) {
            for c in LETTERS_I.into_iter().filter_map(char::from_u32) {
                set.push(ClassUnicodeRange::new(c, c));
            }
        }
    }
    set
}

/// What Python counts to a category.
fn members(category: Category) -> &'static ClassUnicode {
    static DIGIT: LazyLock<ClassUnicode> = LazyLock::new(|| table(r"\p{Nd}"));
    static SPACE: LazyLock<ClassUnicode> =
        LazyLock::new(|| table(r"[\x09-\x0D\x1C-\x20\x{85}\p{Z}]"));
    static WORD: LazyLock<ClassUnicode> = LazyLock::new(|| table(r"[\p{L}\p{N}_]"));
    match category {
        Category::Digit => &DIGIT,
        Category::Space => &SPACE,
        Category::Word => &WORD,
    }
}

fn table(source: &str) -> ClassUnicode {
    match regex_syntax::parse(source).map(|hir| hir.into_kind()) {
        Ok(HirKind::Class(HirClass::Unicode(class))) => class,
        // The three sources above are classes.
        _ => ClassUnicode::empty(),
    }
}
