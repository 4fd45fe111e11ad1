//! Sets of characters as Python's `re` means them: `[…]`, `\d`, `.` and single literals.
//!
//! A [`Class`] keeps what was written; [`Class::ascii`] evaluates it for ASCII text and
//! [`Class::unicode`] writes it down for the engines that search everything else.

use std::fmt::Write;

use smallvec::{SmallVec, smallvec};

/// What a class escape stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    /// `\d`
    Digit,
    /// `\s`
    Space,
    /// `\w`
    Word,
}

/// A member of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Code points from–to, both included. May hold surrogates, which match nothing.
    Range(u32, u32),
    /// A category or (`negated`) everything outside it.
    Category { category: Category, negated: bool },
}

/// A set of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// The members; mostly one, for most classes are single characters.
    pub(super) items: SmallVec<[Item; 1]>,
    /// The set is everything but the members.
    pub(super) negated: bool,
    /// Case does not matter.
    pub(super) ignore_case: bool,
    /// Categories and case know ASCII only (`(?a)`).
    pub(super) ascii: bool,
}

/// A set of ASCII characters, bit n standing for character n.
pub(super) type AsciiSet = u128;

/// `[0-9A-Za-z_]`
pub(super) const ASCII_WORD: AsciiSet =
    range_bits(b'0', b'9') | range_bits(b'A', b'Z') | range_bits(b'a', b'z') | bit(b'_');

/// Python's `\s` beyond ASCII, as ranges for an engine's class.
const UNICODE_SPACE: &str =
    r"\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}";
/// Everything that is not `\s`.
const UNICODE_NOT_SPACE: &str = r"\x{0}-\x{8}\x{E}-\x{1B}\x{21}-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF}";

/// Members of the case-blind letter i, which Python folds and Unicode's simple folding does not.
pub(super) const LETTERS_I: [u32; 4] = ['i' as u32, 'I' as u32, 0x130, 0x131];

const fn bit(c: u8) -> AsciiSet {
    1 << c
}

/// The set of the ASCII characters from–to.
pub(super) const fn range_bits(from: u8, to: u8) -> AsciiSet {
    // `to` is below 128, so that shifting by one more could only overflow for 127.
    let upto = if to >= 127 { !0 } else { (1 << (to + 1)) - 1 };
    upto & !((1 << from) - 1)
}

impl Class {
    /// The class of one character.
    pub(super) fn literal(c: u32, ignore_case: bool, ascii: bool) -> Class {
        Class {
            items: smallvec![Item::Range(c, c)],
            negated: false,
            ignore_case,
            ascii,
        }
    }

    /// `.`
    pub(super) fn dot(matches_newline: bool) -> Class {
        let newline = Item::Range(u32::from(b'\n'), u32::from(b'\n'));
        Class {
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
    pub(super) fn ascii(&self) -> AsciiSet {
        let mut set = 0;
        for item in &self.items {
            set |= match *item {
                Item::Range(from, to) if self.ignore_case => self.folded(from, to),
                Item::Range(from, to) => clamp(from, to),
                Item::Category { category, negated } => {
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
    pub(super) fn reaches_beyond_ascii(&self) -> bool {
        self.negated
            || self.ignore_case
            || self.items.iter().any(|item| match *item {
                Item::Range(_, to) => to > 0x7F,
                Item::Category { negated, .. } => negated || !self.ascii,
            })
    }

    /// The one character this class consists of, unless case makes it several.
    pub(super) fn as_literal(&self) -> Option<char> {
        match self.items[..] {
            [Item::Range(from, to)] if from == to && !self.negated && !self.has_case() => {
                char::from_u32(from)
            }
            _ => None,
        }
    }

    /// Whether case-blindness makes a difference here.
    fn has_case(&self) -> bool {
        self.ignore_case
            && self.items.iter().any(|item| match *item {
                Item::Range(from, to) => !(clamp(from, to) & LETTERS == 0 && to <= 0x7F),
                Item::Category { .. } => false,
            })
    }

    /// Writes the class for a Unicode engine.
    pub(super) fn unicode(&self, out: &mut String) {
        if let Some(c) = self.as_literal() {
            return push_literal(out, c);
        }
        let ranges = self.unicode_ranges();
        let categories = self.unicode_categories();
        if self.items.is_empty() && self.negated {
            return out.push_str("(?s:.)");
        }
        let not = if self.negated { "^" } else { "" };
        let fold = self.has_case() && !self.ascii;
        match (ranges.is_empty(), categories.is_empty()) {
            // Only surrogates, which no text holds.
            (true, true) => out.push_str(if self.negated { "(?s:.)" } else { NEVER }),
            (true, false) => {
                let _ = write!(out, "[{not}{categories}]");
            }
            (false, true) if !fold => {
                let _ = write!(out, "[{not}{ranges}]");
            }
            (false, true) => {
                let _ = write!(out, "(?i:[{not}{ranges}])");
            }
            (false, false) if !fold => {
                let _ = write!(out, "[{not}{ranges}{categories}]");
            }
            // Folding a category would add members that Python does not count in.
            (false, false) if !self.negated => {
                let _ = write!(out, "(?:(?i:[{ranges}])|[{categories}])");
            }
            (false, false) => {
                let _ = write!(out, "(?i:[^{ranges}{categories}])");
            }
        }
    }

    fn unicode_ranges(&self) -> String {
        let mut out = String::new();
        let mut push = |from: u32, to: u32| {
            if from <= to {
                let _ = write!(out, r"\x{{{from:X}}}");
                if to > from {
                    let _ = write!(out, r"-\x{{{to:X}}}");
                }
            }
        };
        for item in &self.items {
            let Item::Range(from, to) = *item else {
                continue;
            };
            if self.ignore_case && self.ascii {
                for (from, to) in runs(self.folded(from, to)) {
                    push(u32::from(from), u32::from(to));
                }
                push(from.max(0x80), to.min(0xD7FF));
            } else {
                push(from, to.min(0xD7FF));
                if self.ignore_case && LETTERS_I.iter().any(|c| (from..=to).contains(c)) {
                    LETTERS_I.iter().for_each(|c| push(*c, *c));
                }
            }
            push(from.max(0xE000), to);
        }
        out
    }

    fn unicode_categories(&self) -> String {
        let mut out = String::new();
        for item in &self.items {
            let Item::Category { category, negated } = *item else {
                continue;
            };
            if self.ascii {
                let members = Class {
                    items: smallvec![*item],
                    ..self.clone()
                };
                let members = Class {
                    negated: false,
                    ..members
                };
                push_ranges(&mut out, members.ascii());
                if negated {
                    out.push_str(r"\x{80}-\x{10FFFF}");
                }
                continue;
            }
            match (category, negated) {
                (Category::Digit, false) => out.push_str(r"\p{Nd}"),
                (Category::Digit, true) => out.push_str(r"[^\p{Nd}]"),
                (Category::Word, false) => out.push_str(r"\p{L}\p{N}_"),
                (Category::Word, true) => out.push_str(r"[^\p{L}\p{N}_]"),
                (Category::Space, false) => {
                    out.push_str(r"\x{9}-\x{D}\x{1C}-\x{20}");
                    out.push_str(UNICODE_SPACE);
                }
                (Category::Space, true) => out.push_str(UNICODE_NOT_SPACE),
            }
        }
        out
    }
}

/// Matches no character, in both engines.
pub(super) const NEVER: &str = "[a&&b]";

const LETTERS: AsciiSet = range_bits(b'A', b'Z') | range_bits(b'a', b'z');

/// The part of from–to that is ASCII.
fn clamp(from: u32, to: u32) -> AsciiSet {
    match (u8::try_from(from), u8::try_from(to.min(0x7F))) {
        (Ok(from), Ok(to)) if from <= to => range_bits(from, to),
        _ => 0,
    }
}

/// The runs of neighbouring members, from–to.
fn runs(set: AsciiSet) -> Vec<(u8, u8)> {
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for c in (0..128u8).filter(|c| set & bit(*c) != 0) {
        match runs.last_mut() {
            Some((_, to)) if *to + 1 == c => *to = c,
            _ => runs.push((c, c)),
        }
    }
    runs
}

fn push_ranges(out: &mut String, set: AsciiSet) {
    for (from, to) in runs(set) {
        let _ = write!(out, r"\x{from:02X}");
        if to > from {
            let _ = write!(out, r"-\x{to:02X}");
        }
    }
}

/// Writes a set of ASCII characters for an engine.
pub(super) fn push_ascii_set(out: &mut String, set: AsciiSet) {
    if set == 0 {
        out.push_str(NEVER);
    } else if set.count_ones() == 1 {
        push_literal(out, char::from(set.trailing_zeros() as u8));
    } else {
        out.push('[');
        push_ranges(out, set);
        out.push(']');
    }
}

/// Writes one character so that no engine could take it for syntax.
pub(super) fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | ':' | ',' | ';' | '=' | '/' | '"' | '@')
    {
        out.push(c);
    } else {
        let _ = write!(out, r"\x{{{:X}}}", u32::from(c));
    }
}
