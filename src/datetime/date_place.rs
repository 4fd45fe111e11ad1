//! The position of a date in its line: in the next line the same template is tried there first, if the
//! text around it is the same.
#![forbid(unsafe_code)]

/// Where the last date was and what stood around it. Positions count characters, so that
/// other scripts before the date do not matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DatePlace {
    /// The template.
    pub(super) index: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    before_start: Option<char>,
    at_start: Option<char>,
    before_end: Option<char>,
    at_end: Option<char>,
}

impl DatePlace {
    /// Of the bytes `whole`, which the template with this index matched.
    pub(super) fn new(line: &str, whole: (usize, usize), index: usize) -> DatePlace {
        let (start, end) = whole;
        DatePlace {
            index,
            start: chars_before(line, start),
            end: chars_before(line, end),
            before_start: char_before(line, start),
            at_start: char_at(line, start),
            before_end: char_before(line, end),
            at_end: char_at(line, end),
        }
    }

    /// Whether both are the same, whatever number the template has.
    pub(super) fn is_like(&self, other: &DatePlace) -> bool {
        let index = self.index;
        *self == DatePlace { index, ..*other }
    }

    /// The bytes of the same place in another line, if its neighbourhood is the same: either
    /// the neighbour outside, or the character inside when that is no letter or digit.
    pub(super) fn same_place(&self, line: &str) -> Option<(usize, usize)> {
        let start = byte_of(line, self.start);
        let end = byte_of(line, self.end);
        let mark = |c: Option<char>| c.is_some_and(|c| !c.is_alphanumeric());
        let left = char_before_index(line, self.start, start) == self.before_start
            || char_at(line, start) == self.at_start && mark(self.at_start);
        let right = char_at(line, end) == self.at_end
            || char_before_index(line, self.end, end) == self.before_end && mark(self.before_end);
        (left && right && start <= end).then_some((start, end))
    }
}

/// How many characters stand before a byte.
pub(super) fn chars_before(line: &str, at: usize) -> usize {
    let head = &line.as_bytes()[..at.min(line.len())];
    if head.is_ascii() {
        head.len()
    } else {
        line.get(..at).map_or(at, |head| head.chars().count())
    }
}

/// Byte offset of a character, the line's length if there are fewer.
fn byte_of(line: &str, character: usize) -> usize {
    match line.as_bytes().get(..character) {
        Some(head) if head.is_ascii() => character,
        _ => line
            .char_indices()
            .nth(character)
            .map_or(line.len(), |(at, _)| at),
    }
}

fn char_at(line: &str, at: usize) -> Option<char> {
    match line.as_bytes().get(at) {
        Some(&byte) if byte < 0x80 => Some(char::from(byte)),
        _ => line.get(at..)?.chars().next(),
    }
}

fn char_before(line: &str, at: usize) -> Option<char> {
    match line.as_bytes().get(at.checked_sub(1)?) {
        Some(&byte) if byte < 0x80 => Some(char::from(byte)),
        _ => line.get(..at)?.chars().next_back(),
    }
}

/// The character before number `character`, which begins at `at`; none when the line is shorter.
fn char_before_index(line: &str, character: usize, at: usize) -> Option<char> {
    let shorter = at == line.len() && chars_before(line, at) < character;
    if shorter { None } else { char_before(line, at) }
}
