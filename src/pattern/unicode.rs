//! What Unicode says of characters, as Python's `re` takes it: categories and cases in, sets of
//! characters out.
//!
//! From the standard library and the tables of `icu_properties`, which are rows of numbers.
//! `regex-syntax` could answer as well, but its tables are rows of references: a hundred kilobytes
//! that the dynamic loader would relocate, page by page, at every start of a client that never
//! sees a regex.

use std::sync::LazyLock;

use icu_properties::props::{ChangesWhenCasemapped, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::class::{Category, Class, Item};

/// The members of a class.
pub(super) fn characters(class: &Class) -> ClassUnicode {
    let beyond_ascii = ClassUnicode::new([ClassUnicodeRange::new('\u{80}', char::MAX)]);
    let mut set = ClassUnicode::empty();
    for item in &class.items {
        match *item {
            Item::Range(from, to) => push(&mut set, from, to, class.ignore_case && !class.ascii),
            Item::Category { category, negated } => {
                let mut more = match class.ascii {
                    true => ClassUnicode::empty(),
                    false => members(category).clone(),
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

/// What Python counts to a category, also of ASCII.
fn members(category: Category) -> &'static ClassUnicode {
    static DIGIT: LazyLock<ClassUnicode> =
        LazyLock::new(|| group(GeneralCategoryGroup::DecimalNumber, &[]));
    static SPACE: LazyLock<ClassUnicode> = LazyLock::new(|| {
        let controls = [('\t', '\r'), ('\x1C', '\x1F'), ('\u{85}', '\u{85}')];
        group(GeneralCategoryGroup::Separator, &controls)
    });
    static WORD: LazyLock<ClassUnicode> = LazyLock::new(|| {
        let letters_and_numbers = GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Number);
        group(letters_and_numbers, &[('_', '_')])
    });
    match category {
        Category::Digit => &DIGIT,
        Category::Space => &SPACE,
        Category::Word => &WORD,
    }
}

/// The characters of some general categories and `more`, from–to.
fn group(group: GeneralCategoryGroup, more: &[(char, char)]) -> ClassUnicode {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let ranges = categories
        .iter_ranges_for_group(group)
        .filter_map(|range| char::from_u32(*range.start()).zip(char::from_u32(*range.end())));
    let ranges = ranges.chain(more.iter().copied());
    ClassUnicode::new(ranges.map(|(from, to)| ClassUnicodeRange::new(from, to)))
}

/// The other cases of the characters from–to.
fn other_cases(from: u32, to: u32) -> impl Iterator<Item = char> {
    // Each character with each other one that is equal to it, sorted.
    static PAIRS: LazyLock<Box<[(char, char)]>> = LazyLock::new(pairs);
    let start = PAIRS.partition_point(|(c, _)| u32::from(*c) < from);
    let pairs = PAIRS[start..].iter();
    pairs
        .take_while(move |(c, _)| u32::from(*c) <= to)
        .map(|(_, other)| *other)
}

fn pairs() -> Box<[(char, char)]> {
    let cased = CodePointSetData::new::<ChangesWhenCasemapped>();
    let cased = cased.iter_ranges().flatten().filter_map(char::from_u32);
    let mut cased: Vec<([char; 3], char)> = cased.map(|c| (caseless(c), c)).collect();
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
fn caseless(c: char) -> [char; 3] {
    // The lower case is one character but for İ, of which Python takes the i without the dot.
    let lower = c.to_lowercase().next().unwrap_or(c);
    let mut upper = ['\0'; 3];
    for (place, c) in upper.iter_mut().zip(lower.to_uppercase()) {
        *place = c;
    }
    upper
}
