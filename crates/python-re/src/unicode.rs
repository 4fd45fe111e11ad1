//! Unicode properties as Python's `re` uses them: categories and case pairs in, sets of characters out.
//!
//! From the standard library and the tables of `icu_properties`, which are rows of numbers. The tables of
//! `regex-syntax` are rows of references: a hundred kilobytes that the dynamic loader would relocate, page
//! by page, at every start of a client that never uses a regex.

use std::sync::OnceLock;

use icu_properties::props::{ChangesWhenCasemapped, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::class::{Category, CharClass, ClassItem};

/// The members of a class.
pub(crate) fn characters(class: &CharClass) -> ClassUnicode {
    let beyond_ascii = ClassUnicode::new([ClassUnicodeRange::new('\u{80}', char::MAX)]);
    let mut set = ClassUnicode::empty();
    for item in &class.items {
        match *item {
            ClassItem::Range(from, to) => {
                push(&mut set, from, to, class.ignore_case && !class.ascii)
            }
            ClassItem::Category { category, negated } => {
                let mut more = match class.ascii {
                    true => ClassUnicode::empty(),
                    false => members(category),
                };
                if negated {
                    more.negate();
                }
                set.union(&more);
            }
        }
    }
    if class.negated {
        set.negate();
    }
    // ASCII has rules of its own.
    set.intersect(&beyond_ascii);
    let ascii = class.ascii_ranges();
    let ascii = ascii.map(|(from, to)| ClassUnicodeRange::new(from.into(), to.into()));
    set.union(&ClassUnicode::new(ascii));
    set
}

/// Adds the characters from–to. Surrogates, which only a pattern can name, are left out.
fn push(set: &mut ClassUnicode, from: u32, to: u32, ignore_case: bool) {
    for (from, to) in [(from, to.min(0xD7FF)), (from.max(0xE000), to)] {
        if let (true, Some(from), Some(to)) = (from <= to, char::from_u32(from), char::from_u32(to))
        {
            set.push(ClassUnicodeRange::new(from, to));
        }
    }
    if ignore_case {
        let others = other_cases(from, to).map(|c| ClassUnicodeRange::new(c, c));
        set.union(&ClassUnicode::new(others));
    }
}

/// What Python's `\s` takes for a blank.
const BLANKS: [(char, char); 10] = [
    ('\t', '\r'),
    ('\x1C', ' '),
    ('\u{85}', '\u{85}'),
    ('\u{A0}', '\u{A0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200A}'),
    ('\u{2028}', '\u{2029}'),
    ('\u{202F}', '\u{202F}'),
    ('\u{205F}', '\u{205F}'),
    ('\u{3000}', '\u{3000}'),
];

/// What is gathered from the tables for all regexes of the process, once it is asked for.
struct UnicodeTables {
    digit_and_word: OnceLock<[ClassUnicode; 2]>,
    /// Each character with each other one that is equal to it, sorted.
    other_cases: OnceLock<Box<[(char, char)]>>,
}

static GATHERED: UnicodeTables = UnicodeTables {
    digit_and_word: OnceLock::new(),
    other_cases: OnceLock::new(),
};

/// What Python counts to a category.
fn members(category: Category) -> ClassUnicode {
    let digit_and_word = || GATHERED.digit_and_word.get_or_init(digit_and_word);
    match category {
        Category::Digit => digit_and_word()[0].clone(),
        Category::Space => {
            ClassUnicode::new(BLANKS.map(|(from, to)| ClassUnicodeRange::new(from, to)))
        }
        Category::Word => digit_and_word()[1].clone(),
    }
}

/// `\d` and `\w`, in one pass over all characters.
fn digit_and_word() -> [ClassUnicode; 2] {
    let in_word = GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Number);
    let (mut digit, mut word) = (Vec::new(), vec![ClassUnicodeRange::new('_', '_')]);
    for part in CodePointMapData::<GeneralCategory>::new().iter_ranges() {
        let (from, to) = part.range.into_inner();
        if in_word.contains(part.value)
            && let (Some(from), Some(to)) = (char::from_u32(from), char::from_u32(to))
        {
            word.push(ClassUnicodeRange::new(from, to));
            if part.value == GeneralCategory::DecimalNumber {
                digit.push(ClassUnicodeRange::new(from, to));
            }
        }
    }
    [ClassUnicode::new(digit), ClassUnicode::new(word)]
}

/// The other cases of the characters from–to.
fn other_cases(from: u32, to: u32) -> impl Iterator<Item = char> {
    let pairs = GATHERED.other_cases.get_or_init(pairs);
    let start = pairs.partition_point(|(c, _)| u32::from(*c) < from);
    pairs[start..]
        .iter()
        .take_while(move |(c, _)| u32::from(*c) <= to)
        .map(|(_, other)| *other)
}

fn pairs() -> Box<[(char, char)]> {
    let cased = CodePointSetData::new::<ChangesWhenCasemapped>();
    let cased = cased.iter_ranges().flatten().filter_map(char::from_u32);
    let mut cased: Vec<(u64, char)> = cased.map(|c| (caseless(c), c)).collect();
    cased.sort_unstable();
    let mut pairs = Vec::with_capacity(cased.len());
    for equal in cased.chunk_by(|(a, _), (b, _)| a == b) {
        for (_, c) in equal {
            let others = equal.iter().filter(|(_, other)| other != c);
            pairs.extend(others.map(|(_, other)| (*c, *other)));
        }
    }
    pairs.sort_unstable();
    pairs.into()
}

/// The same for all characters that Python holds equal when case does not matter: those of one
/// lower case, and of lower cases with one upper case between them (s and ſ, ΐ and ΐ).
fn caseless(c: char) -> u64 {
    // The lower case is one character but for İ, of which Python takes the i without the dot.
    let lower = c.to_lowercase().next().unwrap_or(c);
    // Three characters at most, of 21 bits each.
    let upper = lower.to_uppercase();
    upper.fold(0, |key, c| key << 21 | u64::from(c))
}
