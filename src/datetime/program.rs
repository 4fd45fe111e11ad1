//! A small matcher for date patterns: the part of Python's `re` that dates need, with the
//! tokens as single steps.
//!
//! In: a pattern with tokens. Out: the spans Python's `search` would give, without an
//! allocation and in well under a tenth of a microsecond where the date is expected. A pattern
//! that uses more than this language is left to [`crate::pattern`]. Choices are tried in the
//! order Python tries them, so the answer is the same by construction; the one liberty is that
//! digits of a date are ASCII digits.
#![forbid(unsafe_code)]

use super::calendar::{MONTHS, WEEKDAYS};
use super::syntax::{Field, YearWindow, field_of, token_at};

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
    groups: [(u32, u32); MAX_GROUPS],
}

impl Spans {
    /// No group set yet.
    pub fn new(whole: (usize, usize)) -> Spans {
        Spans {
            whole,
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
struct Set {
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

impl Set {
    const EMPTY: Set = Set {
        ascii: 0,
        others: Others::None,
    };

    fn add(&mut self, byte: u8) {
        self.ascii |= 1 << byte;
    }

    fn complement(self) -> Option<Set> {
        Some(Set {
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

    fn class(letter: char) -> Option<Set> {
        let ascii = |test: fn(u8) -> bool| {
            (0..128u8)
                .filter(|&b| test(b))
                .fold(0u128, |bits, b| bits | 1 << b)
        };
        let word = Set {
            ascii: ascii(|b| b.is_ascii_alphanumeric() || b == b'_'),
            others: Others::Word,
        };
        let space = Set {
            ascii: ascii(|b| matches!(b, b'\t'..=b'\r' | 0x1c..=b' ')),
            others: Others::Space,
        };
        let digit = Set {
            ascii: ascii(|b| b.is_ascii_digit()),
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
enum Step {
    Byte(u8),
    /// A letter in either case; given in lower case.
    Letter(u8),
    One(Set),
    Repeat {
        set: Set,
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
    steps: Vec<Step>,
    ignore_case: bool,
    years: YearWindow,
    /// Bytes a match can begin with.
    first: [bool; 256],
    anchored: bool,
    needs: Need,
    /// Which group holds which field, by group number.
    fields: Vec<(Field, usize)>,
    names: Vec<Option<String>>,
}

impl Program {
    /// Compiles a pattern; `None` when it needs the general engine.
    pub fn compile(
        begin: Begin,
        pattern: &str,
        word_end: bool,
        ignore_case: bool,
        years: YearWindow,
    ) -> Option<Program> {
        let mut program = Program {
            steps: Vec::new(),
            ignore_case,
            years,
            first: [true; 256],
            anchored: false,
            needs: Need::Nothing,
            fields: Vec::new(),
            names: Vec::new(),
        };
        match begin {
            Begin::Free => {}
            Begin::Word => program.steps.push(Step::WordStart),
            Begin::Line => {
                program.steps.push(Step::LineStart);
                program.steps.push(Step::Repeat {
                    set: Set::class('W')?,
                    min: 0,
                    max: 2,
                });
            }
        }
        let rest = program.alternatives(pattern, 0)?;
        if !rest.is_empty() {
            return None;
        }
        if word_end {
            program.steps.push(Step::WordEnd);
        }
        program.steps.push(Step::Matched);
        program.anchored = program
            .steps
            .iter()
            .find(|step| !matches!(step, Step::Open(_)))
            == Some(&Step::LineStart);
        program.first = program.first_bytes();
        program.needs = program.need();
        Some(program)
    }

    /// Adds the steps of a built-in form instead of a pattern.
    pub fn builtin(begin: Begin, form: BuiltIn) -> Program {
        let mut steps = match begin {
            Begin::Line => vec![
                Step::LineStart,
                Step::Repeat {
                    set: Set::class('W').unwrap_or(Set::EMPTY),
                    min: 0,
                    max: 2,
                },
            ],
            Begin::Word => vec![Step::WordStart],
            Begin::Free if form != BuiltIn::Tai64n => vec![Step::EpochPlace],
            Begin::Free => Vec::new(),
        };
        steps.push(Step::Text {
            text: match form {
                BuiltIn::Epoch => Text::Epoch,
                BuiltIn::LongEpoch => Text::LongEpoch,
                BuiltIn::Tai64n => Text::Tai64n,
            },
            group: 0,
        });
        steps.push(Step::WordEnd);
        steps.push(Step::Matched);
        let mut program = Program {
            anchored: begin == Begin::Line,
            steps,
            ignore_case: false,
            years: YearWindow::around(0),
            first: [true; 256],
            needs: Need::Nothing,
            fields: Vec::new(),
            names: vec![None],
        };
        program.first = program.first_bytes();
        program.needs = match form {
            BuiltIn::Tai64n => Need::At,
            _ => Need::Digits,
        };
        program
    }

    /// Groups with a meaning for the clock, in the order of the pattern.
    pub fn fields(&self) -> &[(Field, usize)] {
        &self.fields
    }

    /// Leftmost match within `text[start..end]`; what stands before `start` is still seen by
    /// assertions, what stands after `end` is not (as with Python's `pos` and `endpos`).
    pub fn search(&self, text: &str, start: usize, end: usize) -> Option<Spans> {
        let text = text.get(..end)?;
        let bytes = text.as_bytes();
        let mut run = Run::new(self, text);
        if self.anchored {
            return (start == 0).then(|| run.attempt(0)).flatten();
        }
        for at in start..=end {
            let promising = match bytes.get(at) {
                Some(&byte) => self.first[byte as usize] && (byte & 0xc0) != 0x80,
                None => true,
            };
            if promising && let Some(spans) = run.attempt(at) {
                return Some(spans);
            }
        }
        None
    }

    /// As [`Program::search`] in the whole of a line whose clues are known.
    pub fn search_with(&self, text: &str, clues: &Clues) -> Option<Spans> {
        match &self.needs {
            Need::Digits if !clues.digits => None,
            Need::At if !clues.at => None,
            Need::Clock(need) if !clues.too_many => self.search_at_clocks(text, clues, need),
            _ => self.search(text, 0, text.len()),
        }
    }

    /// Tries only the places from which a match could reach a clock.
    fn search_at_clocks(&self, text: &str, clues: &Clues, need: &ClockNeed) -> Option<Spans> {
        let bytes = text.as_bytes();
        let mut run = Run::new(self, text);
        let mut next = 0;
        for &colon in &clues.clocks[..clues.count] {
            if !need.allows(bytes, colon) {
                continue;
            }
            let from = colon.saturating_sub(need.reach);
            if self.anchored {
                // The other clocks are further away.
                return (from == 0).then(|| run.attempt(0)).flatten();
            }
            let places = bytes.iter().enumerate().take(colon);
            for (at, &byte) in places.skip(from.max(next)) {
                if self.first[byte as usize]
                    && (byte & 0xc0) != 0x80
                    && let Some(spans) = run.attempt(at)
                {
                    return Some(spans);
                }
            }
            next = colon;
        }
        None
    }

    fn group(&mut self, name: Option<&str>) -> Option<u8> {
        if self.names.len() >= MAX_GROUPS {
            return None;
        }
        if let Some(name) = name {
            if self.names.iter().flatten().any(|known| known == name) {
                return None;
            }
            if let Some(field) = field_of(name) {
                self.fields.push((field, self.names.len() + 1));
            }
        }
        self.names.push(name.map(str::to_owned));
        Some(self.group_count()? - 1)
    }

    /// `a|b|c` up to the end of the text or the closing bracket, which is left.
    fn alternatives<'p>(&mut self, pattern: &'p str, depth: u32) -> Option<&'p str> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut begins = self.steps.len();
        let mut clear = self.group_count()?;
        let mut rest = self.sequence(pattern, depth)?;
        let mut ends = Vec::new();
        while let Some(after) = rest.strip_prefix('|') {
            self.insert(begins);
            ends.push(self.steps.len());
            self.steps.push(Step::Matched);
            self.steps[begins] = Step::Split {
                first: begins + 1,
                second: self.steps.len(),
                clear,
            };
            begins = self.steps.len();
            clear = self.group_count()?;
            rest = self.sequence(after, depth)?;
        }
        let after = self.steps.len();
        for end in ends {
            self.steps[end] = Step::Jump(after);
        }
        Some(rest)
    }

    /// Makes room for one step at `at`; steps behind it keep their aims.
    fn insert(&mut self, at: usize) {
        for step in &mut self.steps[at..] {
            match step {
                Step::Split { first, second, .. } => {
                    *first += 1;
                    *second += 1;
                }
                Step::Jump(to) => *to += 1,
                _ => {}
            }
        }
        self.steps.insert(at, Step::Matched);
    }

    fn group_count(&self) -> Option<u8> {
        u8::try_from(self.names.len()).ok()
    }

    fn sequence<'p>(&mut self, pattern: &'p str, depth: u32) -> Option<&'p str> {
        let mut rest = pattern;
        while let Some(c) = rest.chars().next() {
            if c == '|' || c == ')' {
                break;
            }
            let begins = self.steps.len();
            let clear = self.group_count()?;
            rest = self.atom(rest, depth)?;
            rest = self.quantifier(rest, begins, clear)?;
        }
        Some(rest)
    }

    /// Applies `?`, `*`, `+` or `{m,n}` to the steps from `begins` on.
    fn quantifier<'p>(&mut self, rest: &'p str, begins: usize, clear: u8) -> Option<&'p str> {
        let (min, max, after) = match rest.chars().next() {
            Some('?') => (0, 1, &rest[1..]),
            Some('*') => (0, UNSET, &rest[1..]),
            Some('+') => (1, UNSET, &rest[1..]),
            Some('{') => {
                let (inside, after) = rest[1..].split_once('}')?;
                let (min, max) = match inside.split_once(',') {
                    Some((min, "")) => (min.parse().ok()?, UNSET),
                    Some(("", max)) => (0, max.parse().ok()?),
                    Some((min, max)) => (min.parse().ok()?, max.parse().ok()?),
                    None => (inside.parse().ok()?, inside.parse().ok()?),
                };
                if min > max {
                    return None;
                }
                (min, max, after)
            }
            _ => return Some(rest),
        };
        if after.starts_with(['?', '*', '+', '{']) {
            return None;
        }
        let single = match self.steps.get(begins..) {
            Some([Step::One(set)]) => Some(*set),
            Some([Step::Byte(byte)]) if byte.is_ascii() => {
                let mut set = Set::EMPTY;
                set.add(*byte);
                Some(set)
            }
            _ => None,
        };
        if let Some(set) = single {
            self.steps[begins] = Step::Repeat { set, min, max };
        } else if (min, max) == (0, 1) {
            self.insert(begins);
            self.steps[begins] = Step::Split {
                first: begins + 1,
                second: self.steps.len(),
                clear,
            };
        } else {
            return None;
        }
        Some(after)
    }

    fn atom<'p>(&mut self, rest: &'p str, depth: u32) -> Option<&'p str> {
        let c = rest.chars().next()?;
        let after = &rest[c.len_utf8()..];
        match c {
            '%' => self.token(after),
            '(' => self.bracket(after, depth),
            '[' => self.class(after),
            '\\' => self.escape(after),
            '^' => {
                self.steps.push(Step::LineStart);
                not_repeated(after)
            }
            '$' => {
                self.steps.push(Step::LineEnd);
                not_repeated(after)
            }
            '.' => {
                let mut newline = Set::EMPTY;
                newline.add(b'\n');
                self.steps.push(Step::One(newline.complement()?));
                Some(after)
            }
            '{' if rest.len() >= 7 && rest.is_char_boundary(7) => {
                let (text, after) = if rest[..7].eq_ignore_ascii_case("{EPOCH}") {
                    (Text::Epoch, &rest[7..])
                } else if rest.len() >= 8
                    && rest.is_char_boundary(8)
                    && rest[..8].eq_ignore_ascii_case("{LEPOCH}")
                {
                    (Text::LongEpoch, &rest[8..])
                } else {
                    return None;
                };
                let group = self.group(None)?;
                self.steps.push(Step::Text { text, group });
                not_repeated(after)
            }
            '?' | '*' | '+' | '{' | '}' | ']' => None,
            _ => {
                self.literal(c)?;
                Some(after)
            }
        }
    }

    fn literal(&mut self, c: char) -> Option<()> {
        if !c.is_ascii() {
            return None;
        }
        let byte = c as u8;
        self.steps
            .push(if self.ignore_case && byte.is_ascii_alphabetic() {
                Step::Letter(byte.to_ascii_lowercase())
            } else {
                Step::Byte(byte)
            });
        Some(())
    }

    fn escape<'p>(&mut self, rest: &'p str) -> Option<&'p str> {
        let c = rest.chars().next()?;
        let after = &rest[c.len_utf8()..];
        if let Some(set) = Set::class(c) {
            self.steps.push(Step::One(set));
        } else if c.is_ascii_punctuation() || c == ' ' {
            self.literal(c)?;
        } else {
            return None;
        }
        Some(after)
    }

    fn class<'p>(&mut self, rest: &'p str) -> Option<&'p str> {
        let (negated, mut rest) = match rest.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let mut set = Set::EMPTY;
        let mut previous: Option<u8> = None;
        let mut begun = false;
        loop {
            let c = rest.chars().next()?;
            rest = &rest[c.len_utf8()..];
            match c {
                ']' if begun => break,
                '[' | '&' | '~' | '|' => return None,
                '\\' => {
                    let escaped = rest.chars().next()?;
                    rest = &rest[escaped.len_utf8()..];
                    if let Some(class) = Set::class(escaped) {
                        if class.others != Others::None {
                            return None;
                        }
                        set.ascii |= class.ascii;
                        previous = None;
                    } else if escaped.is_ascii_punctuation() || escaped == ' ' {
                        set.add(escaped as u8);
                        previous = Some(escaped as u8);
                    } else {
                        return None;
                    }
                }
                '-' if begun && !rest.starts_with(']') => {
                    let from = previous?;
                    let to = rest.chars().next()?;
                    if !to.is_ascii() || to == '\\' || (to as u8) < from {
                        return None;
                    }
                    rest = &rest[1..];
                    (from..=to as u8).for_each(|b| set.add(b));
                    previous = None;
                }
                _ if c.is_ascii() => {
                    set.add(c as u8);
                    previous = Some(c as u8);
                }
                _ => return None,
            }
            begun = true;
        }
        if self.ignore_case {
            set.fold();
        }
        let set = if negated { set.complement()? } else { set };
        self.steps.push(Step::One(set));
        Some(rest)
    }

    fn bracket<'p>(&mut self, rest: &'p str, depth: u32) -> Option<&'p str> {
        if let Some(rest) = rest.strip_prefix("?:") {
            return self.alternatives(rest, depth + 1)?.strip_prefix(')');
        }
        if let Some(rest) = rest.strip_prefix("?P=") {
            let (name, after) = rest.split_once(')')?;
            let number = self
                .names
                .iter()
                .position(|known| known.as_deref() == Some(name))?;
            if self.ignore_case && !self.caseless_group(number) {
                return None;
            }
            self.steps.push(Step::Same(u8::try_from(number).ok()?));
            return Some(after);
        }
        let (name, inside) = match rest.strip_prefix("?P<") {
            Some(named) => {
                let (name, inside) = named.split_once('>')?;
                let identifier = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    && !name.starts_with(|c: char| c.is_ascii_digit());
                if name.is_empty() || !identifier {
                    return None;
                }
                (Some(name), inside)
            }
            None if rest.starts_with('?') => return None,
            None => (None, rest),
        };
        let group = self.group(name)?;
        self.steps.push(Step::Open(group));
        let after = self.alternatives(inside, depth + 1)?.strip_prefix(')')?;
        self.steps.push(Step::Close(group));
        Some(after)
    }

    /// Whether a group can only hold characters without case, so that a back reference needs
    /// no folding.
    fn caseless_group(&self, number: usize) -> bool {
        let number = number as u8;
        let open = self.steps.iter().position(|s| *s == Step::Open(number));
        let close = self.steps.iter().position(|s| *s == Step::Close(number));
        let letters = (b'a'..=b'z').fold(0u128, |bits, b| bits | 1 << b);
        match (open, close) {
            (Some(open), Some(close)) => self.steps[open..close].iter().all(|step| match step {
                Step::One(set) => set.ascii & letters == 0 && set.others == Others::None,
                Step::Open(_) | Step::Byte(_) | Step::Jump(_) => true,
                _ => false,
            }),
            _ => false,
        }
    }

    fn token<'p>(&mut self, rest: &'p str) -> Option<&'p str> {
        let token = token_at(rest)?;
        let after = &rest[token.name.len()..];
        let (name, text) = match token.name {
            "a" => ("a", Text::WeekdayShort),
            "A" => ("A", Text::WeekdayLong),
            "b" => ("b", Text::MonthShort),
            "B" => ("B", Text::MonthLong),
            "d" => ("d", Text::Day),
            "Exd" => ("d", Text::DayExact),
            "m" => ("m", Text::Month),
            "Exm" => ("m", Text::MonthExact),
            "Y" => ("Y", Text::Year),
            "ExY" => ("Y", Text::YearWindow(self.years)),
            "y" | "Exy" => ("y", Text::Year2),
            "H" | "Exk" => ("H", Text::Hour),
            "ExH" => ("H", Text::HourExact),
            "k" => ("H", Text::HourLoose),
            "I" => ("I", Text::Hour12),
            "l" => ("I", Text::Hour12Loose),
            "Exl" => ("I", Text::Hour12Tight),
            "M" => ("M", Text::Minute),
            "ExM" => ("M", Text::MinuteExact),
            "S" => ("S", Text::Second),
            "ExS" => ("S", Text::SecondExact),
            "f" => ("f", Text::Fraction),
            "p" => ("p", Text::HalfDay),
            "z" => ("z", Text::Offset),
            "Z" => ("Z", Text::ZoneName),
            "ExZ" => ("Z", Text::ZoneLetters),
            "%" => {
                self.steps.push(Step::Byte(b'%'));
                return Some(after);
            }
            _ => return None,
        };
        if matches!(token.name, "k" | "l" | "Exk" | "Exl") {
            let mut blank = Set::EMPTY;
            blank.add(b' ');
            self.steps.push(Step::Repeat {
                set: blank,
                min: 0,
                max: 1,
            });
            // A quantifier would bind to the group alone.
            not_repeated(after)?;
        }
        let group = self.group(Some(name))?;
        self.steps.push(Step::Text { text, group });
        Some(after)
    }

    fn first_bytes(&self) -> [bool; 256] {
        let mut first = [false; 256];
        let mut pending = vec![0];
        let mut seen = vec![false; self.steps.len()];
        let all = [true; 256];
        while let Some(at) = pending.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match self.steps[at] {
                Step::Byte(byte) => first[byte as usize] = true,
                Step::Letter(byte) => {
                    first[byte as usize] = true;
                    first[byte.to_ascii_uppercase() as usize] = true;
                }
                Step::One(set) => mark(&mut first, set),
                Step::Repeat { set, min, .. } => {
                    mark(&mut first, set);
                    if min == 0 {
                        pending.push(at + 1);
                    }
                }
                Step::Text { text, .. } => {
                    (0..=127u8)
                        .filter(|&byte| text.may_begin(byte))
                        .for_each(|byte| first[byte as usize] = true);
                }
                Step::Split { first, second, .. } => pending.extend([first, second]),
                Step::Jump(to) => pending.push(to),
                Step::Open(_) | Step::Close(_) | Step::WordStart | Step::EpochPlace => {
                    pending.push(at + 1);
                }
                Step::Same(_) | Step::LineStart | Step::LineEnd | Step::WordEnd | Step::Matched => {
                    return all;
                }
            }
        }
        first
    }

    /// What a line must hold for a match.
    fn need(&self) -> Need {
        let required = |from: usize, count: usize| {
            !(from..from + count).any(|at| {
                self.steps.iter().enumerate().any(|(pc, step)| match *step {
                    Step::Split { second, .. } => pc < at && second > at,
                    Step::Jump(to) => pc < at && to > at,
                    _ => false,
                })
            })
        };
        for (at, five) in self.steps.windows(5).enumerate() {
            if let [
                Step::Text { text: hour, .. },
                Step::Byte(b':'),
                Step::Text {
                    text: Text::Minute | Text::MinuteExact,
                    ..
                },
                Step::Byte(b':'),
                Step::Text {
                    text: Text::Second | Text::SecondExact,
                    ..
                },
            ] = five
                && hour.is_hour()
                && required(at, 5)
                && let Some(need) = self.before(at)
            {
                return Need::Clock(Box::new(need));
            }
        }
        for (at, three) in self.steps.windows(3).enumerate() {
            if let [
                Step::Text {
                    text: Text::Year | Text::YearWindow(_),
                    ..
                },
                Step::Text {
                    text: Text::MonthExact,
                    ..
                },
                Step::Text {
                    text: Text::DayExact,
                    ..
                },
            ] = three
                && required(at, 3)
            {
                return Need::Digits;
            }
        }
        Need::Nothing
    }

    /// How far before the hour at step `hour` a match can begin, and with which bytes right
    /// before it. `None` when that has no bound.
    fn before(&self, hour: usize) -> Option<ClockNeed> {
        let mut reach: Vec<Option<usize>> = vec![None; self.steps.len() + 1];
        let mut last: Vec<[bool; 256]> = vec![[false; 256]; self.steps.len() + 1];
        reach[0] = Some(0);
        // Where nothing was consumed yet, anything may stand before.
        last[0] = [true; 256];
        for pc in 0..hour {
            let Some(length) = reach[pc] else {
                continue;
            };
            let earlier = last[pc];
            let mut flow = |to: usize, length: usize, bytes: &[bool; 256]| {
                reach[to] = Some(reach[to].map_or(length, |known| known.max(length)));
                for (known, new) in last[to].iter_mut().zip(bytes) {
                    *known |= *new;
                }
            };
            let mut own = [false; 256];
            match self.steps[pc] {
                Step::Byte(byte) => {
                    own[byte as usize] = true;
                    flow(pc + 1, length + 1, &own);
                }
                Step::Letter(letter) => {
                    own[letter as usize] = true;
                    own[letter.to_ascii_uppercase() as usize] = true;
                    flow(pc + 1, length + 1, &own);
                }
                Step::One(set) => {
                    mark(&mut own, set);
                    flow(pc + 1, length + set.width(), &own);
                }
                Step::Repeat { set, min, max } => {
                    if max == UNSET {
                        return None;
                    }
                    mark(&mut own, set);
                    flow(pc + 1, length + set.width() * max as usize, &own);
                    if min == 0 {
                        flow(pc + 1, length, &earlier);
                    }
                }
                Step::Text { text, .. } => {
                    own = text.may_end();
                    flow(pc + 1, length + text.longest(), &own);
                }
                Step::Split { first, second, .. } => {
                    flow(first, length, &earlier);
                    flow(second, length, &earlier);
                }
                Step::Jump(to) => flow(to, length, &earlier),
                Step::Same(group) => {
                    let open = self.steps.iter().position(|s| *s == Step::Open(group))?;
                    let Step::One(set) = *self.steps.get(open + 1)? else {
                        return None;
                    };
                    if self.steps.get(open + 2) != Some(&Step::Close(group)) {
                        return None;
                    }
                    mark(&mut own, set);
                    flow(pc + 1, length + set.width(), &own);
                }
                Step::Matched => {}
                _ => flow(pc + 1, length, &earlier),
            }
        }
        Some(ClockNeed {
            reach: reach[hour]? + 2,
            before: last[hour],
        })
    }
}

/// What a line must hold, besides all else, for a program to match.
#[derive(Clone, Debug)]
enum Need {
    Nothing,
    /// `H:M:S`, see [`Clues::clocks`].
    Clock(Box<ClockNeed>),
    /// Eight digits in a row.
    Digits,
    /// An `@`.
    At,
}

#[derive(Clone, Debug)]
struct ClockNeed {
    /// Bytes from the start of a match to the colon behind the hour, at most.
    reach: usize,
    /// What may stand right before the hour; the line's start always may.
    before: [bool; 256],
}

impl ClockNeed {
    /// The hour may have one digit or two.
    fn allows(&self, bytes: &[u8], colon: usize) -> bool {
        let fits = |hour: usize| {
            colon == hour
                || bytes
                    .get(colon.wrapping_sub(hour + 1))
                    .is_some_and(|&byte| self.before[byte as usize])
        };
        fits(1) || fits(2)
    }
}

/// What is worth knowing of a line before 31 templates are tried on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clues {
    /// Where the colon behind the hour stands in something like `1:23:4`.
    clocks: [usize; 4],
    count: usize,
    too_many: bool,
    digits: bool,
    at: bool,
}

impl Clues {
    /// Looks through a line.
    pub fn of(line: &str) -> Clues {
        let bytes = line.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let mut clues = Clues {
            clocks: [0; 4],
            count: 0,
            too_many: false,
            digits: false,
            at: memchr::memchr(b'@', bytes).is_some(),
        };
        for at in memchr::memchr_iter(b':', bytes) {
            let clock = at > 0
                && digit(at - 1)
                && digit(at + 1)
                && (bytes.get(at + 2) == Some(&b':') && digit(at + 3)
                    || digit(at + 2) && bytes.get(at + 3) == Some(&b':') && digit(at + 4));
            if clock {
                match clues.clocks.get_mut(clues.count) {
                    Some(slot) => {
                        *slot = at;
                        clues.count += 1;
                    }
                    None => clues.too_many = true,
                }
            }
        }
        // Eight digits in a row cover one of every eighth place.
        clues.digits = (7..bytes.len()).step_by(8).any(|at| {
            digit(at) && {
                let before = (1..8).take_while(|&n| digit(at - n)).count();
                let after = (1..8).take_while(|&n| digit(at + n)).count();
                before + after >= 7
            }
        });
        clues
    }
}

/// A template that is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuiltIn {
    Epoch,
    LongEpoch,
    Tai64n,
}

fn not_repeated(after: &str) -> Option<&str> {
    (!after.starts_with(['?', '*', '+', '{'])).then_some(after)
}

fn mark(first: &mut [bool; 256], set: Set) {
    for byte in 0..128u8 {
        first[byte as usize] |= set.ascii >> byte & 1 == 1;
    }
    if set.others != Others::None {
        first[128..].fill(true);
    }
}

/// One search in one text.
struct Run<'a> {
    program: &'a Program,
    text: &'a str,
    steps_left: u32,
    spans: Spans,
}

impl<'a> Run<'a> {
    fn new(program: &'a Program, text: &'a str) -> Run<'a> {
        Run {
            program,
            text,
            steps_left: MAX_STEPS,
            spans: Spans::new((0, 0)),
        }
    }

    fn attempt(&mut self, at: usize) -> Option<Spans> {
        self.spans.groups = [(UNSET, UNSET); MAX_GROUPS];
        let end = self.go(0, at)?;
        self.spans.whole = (at, end);
        Some(self.spans)
    }

    /// Depth is bounded by the length of the program: no step leads backwards.
    fn go(&mut self, mut pc: usize, mut at: usize) -> Option<usize> {
        let program = self.program;
        let bytes = self.text.as_bytes();
        loop {
            self.steps_left = self.steps_left.checked_sub(1)?;
            match program.steps[pc] {
                Step::Byte(byte) => {
                    if bytes.get(at) != Some(&byte) {
                        return None;
                    }
                    at += 1;
                }
                Step::Letter(letter) => {
                    if bytes.get(at)?.to_ascii_lowercase() != letter {
                        return None;
                    }
                    at += 1;
                }
                Step::One(ref set) => at += set.take(self.text, at)?,
                Step::Repeat { ref set, min, max } => {
                    return self.repeat(pc + 1, at, set, min, max);
                }
                Step::Text { text, group } => {
                    let lengths = text.lengths(bytes, at, program.ignore_case);
                    let next = match program.steps[pc + 1] {
                        Step::Byte(byte) => Some(byte),
                        _ => None,
                    };
                    let mut last = None;
                    for length in lengths {
                        let end = at + length;
                        if next.is_some() && bytes.get(end) != next.as_ref() {
                            continue;
                        }
                        if let Some(earlier) = last.replace(end) {
                            self.spans.groups[usize::from(group)] = (at as u32, earlier as u32);
                            if let Some(found) = self.go(pc + 1, earlier) {
                                return Some(found);
                            }
                        }
                    }
                    let end = last?;
                    self.spans.groups[usize::from(group)] = (at as u32, end as u32);
                    at = end;
                }
                Step::Split {
                    first,
                    second,
                    clear,
                } => {
                    if let Some(found) = self.go(first, at) {
                        return Some(found);
                    }
                    self.spans.groups[usize::from(clear)..].fill((UNSET, UNSET));
                    pc = second;
                    continue;
                }
                Step::Jump(to) => {
                    pc = to;
                    continue;
                }
                Step::Open(group) => self.spans.groups[usize::from(group)] = (at as u32, UNSET),
                Step::Close(group) => self.spans.groups[usize::from(group)].1 = at as u32,
                Step::Same(group) => {
                    let (start, end) = self.spans.group(usize::from(group) + 1)?;
                    let length = end - start;
                    if bytes.get(at..at + length)? != &bytes[start..end] {
                        return None;
                    }
                    at += length;
                }
                Step::LineStart => {
                    if at != 0 {
                        return None;
                    }
                }
                Step::LineEnd => {
                    if at != bytes.len() && bytes.get(at..) != Some(b"\n") {
                        return None;
                    }
                }
                Step::WordStart => {
                    if at != 0 && self.word_before(at) && self.word_at(at) {
                        return None;
                    }
                    // Between two non-word characters `\W` still needs one to follow.
                    if at != 0 && at == bytes.len() && !self.word_before(at) {
                        return None;
                    }
                }
                Step::WordEnd => {
                    if at < bytes.len() && self.word_at(at) && at > 0 && self.word_before(at) {
                        return None;
                    }
                }
                Step::EpochPlace => {
                    let place = at == 0
                        || (at == 1 && bytes[0] == b'[')
                        || self.text[..at]
                            .strip_suffix("audit(")
                            .is_some_and(|head| !head.chars().next_back().is_some_and(is_word));
                    if !place {
                        return None;
                    }
                }
                Step::Matched => return Some(at),
            }
            pc += 1;
        }
    }

    fn repeat(&mut self, next: usize, at: usize, set: &Set, min: u32, max: u32) -> Option<usize> {
        let mut end = at;
        let mut count = 0;
        while count < max
            && let Some(length) = set.take(self.text, end)
        {
            end += length;
            count += 1;
        }
        loop {
            if count < min {
                return None;
            }
            if let Some(found) = self.go(next, end) {
                return Some(found);
            }
            if count == 0 {
                return None;
            }
            count -= 1;
            end -= 1;
            while !self.text.is_char_boundary(end) {
                end -= 1;
            }
        }
    }

    fn word_at(&self, at: usize) -> bool {
        match self.text.as_bytes().get(at) {
            Some(&byte) if byte < 0x80 => byte.is_ascii_alphanumeric() || byte == b'_',
            Some(_) => self.text[at..].chars().next().is_some_and(is_word),
            None => false,
        }
    }

    fn word_before(&self, at: usize) -> bool {
        match at.checked_sub(1).and_then(|i| self.text.as_bytes().get(i)) {
            Some(&byte) if byte < 0x80 => byte.is_ascii_alphanumeric() || byte == b'_',
            Some(_) => self.text[..at].chars().next_back().is_some_and(is_word),
            None => false,
        }
    }
}

/// The lengths a text may have at a place, in the order to try them: five bits each, so that
/// they stay in registers. None is 0.
#[derive(Clone, Copy)]
struct Lengths {
    packed: u64,
    bits: u32,
}

impl Lengths {
    fn none() -> Lengths {
        Lengths { packed: 0, bits: 0 }
    }

    fn push(&mut self, length: usize) {
        if self.bits < 60 && length < 32 {
            self.packed |= (length as u64) << self.bits;
            self.bits += 5;
        }
    }

    fn push_if(&mut self, condition: bool, length: usize) {
        if condition {
            self.push(length);
        }
    }
}

impl Iterator for Lengths {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let length = (self.packed & 31) as usize;
        self.packed >>= 5;
        (length > 0).then_some(length)
    }
}

impl Text {
    fn is_hour(self) -> bool {
        matches!(
            self,
            Text::Hour
                | Text::HourExact
                | Text::HourLoose
                | Text::Hour12
                | Text::Hour12Loose
                | Text::Hour12Tight
        )
    }

    fn may_begin(self, byte: u8) -> bool {
        match self {
            Text::WeekdayShort
            | Text::WeekdayLong
            | Text::MonthShort
            | Text::MonthLong
            | Text::HalfDay
            | Text::ZoneName
            | Text::ZoneLetters => byte.is_ascii_alphabetic(),
            Text::Offset => byte.is_ascii_alphabetic() || matches!(byte, b'+' | b'-'),
            Text::Day => byte.is_ascii_digit() || byte == b' ',
            Text::Tai64n => byte == b'@',
            _ => byte.is_ascii_digit(),
        }
    }

    /// Its longest form, in bytes.
    fn longest(self) -> usize {
        match self {
            Text::WeekdayShort | Text::MonthShort => 3,
            Text::WeekdayLong | Text::MonthLong => 9,
            Text::Year | Text::YearWindow(_) => 4,
            Text::Fraction | Text::Offset => 6,
            Text::ZoneName | Text::ZoneLetters => 5,
            Text::Epoch => 18,
            Text::LongEpoch => 21,
            Text::Tai64n => 25,
            _ => 2,
        }
    }

    /// Bytes it can end with; rather too many than too few.
    fn may_end(self) -> [bool; 256] {
        let names = matches!(
            self,
            Text::WeekdayShort
                | Text::WeekdayLong
                | Text::MonthShort
                | Text::MonthLong
                | Text::HalfDay
                | Text::ZoneName
                | Text::ZoneLetters
        );
        let mixed = matches!(self, Text::Offset | Text::Tai64n);
        std::array::from_fn(|byte| {
            let byte = byte as u8;
            (mixed || names) && byte.is_ascii_alphabetic() || !names && byte.is_ascii_digit()
        })
    }

    fn lengths(self, bytes: &[u8], at: usize, ignore_case: bool) -> Lengths {
        let mut out = Lengths::none();
        let rest = bytes.get(at..).unwrap_or(&[]);
        let b = |i: usize| rest.get(i).copied().unwrap_or(0);
        let digit = |i: usize| b(i).is_ascii_digit();
        let two = digit(0) && digit(1);
        match self {
            Text::WeekdayShort => short_name(&mut out, rest, ignore_case, &WEEKDAYS),
            Text::MonthShort => short_name(&mut out, rest, ignore_case, &MONTHS),
            Text::WeekdayLong => long_name(&mut out, rest, ignore_case, &WEEKDAYS),
            Text::MonthLong => long_name(&mut out, rest, ignore_case, &MONTHS),
            Text::Day => {
                out.push_if(matches!(b(0), b'1' | b'2') && digit(1), 2);
                out.push_if(
                    matches!(b(0), b'0' | b' ') && matches!(b(1), b'1'..=b'9'),
                    2,
                );
                out.push_if(matches!(b(0), b'1'..=b'9'), 1);
                out.push_if(b(0) == b'3' && matches!(b(1), b'0' | b'1'), 2);
            }
            Text::DayExact => {
                let ok = match b(0) {
                    b'0' => matches!(b(1), b'1'..=b'9'),
                    b'1' | b'2' => digit(1),
                    b'3' => matches!(b(1), b'0' | b'1'),
                    _ => false,
                };
                out.push_if(ok, 2);
            }
            Text::Month => {
                out.push_if(b(0) == b'0' && matches!(b(1), b'1'..=b'9'), 2);
                out.push_if(matches!(b(0), b'1'..=b'9'), 1);
                out.push_if(b(0) == b'1' && matches!(b(1), b'0'..=b'2'), 2);
            }
            Text::MonthExact => out.push_if(
                b(0) == b'0' && matches!(b(1), b'1'..=b'9')
                    || b(0) == b'1' && matches!(b(1), b'0'..=b'2'),
                2,
            ),
            Text::Year => out.push_if(two && digit(2) && digit(3), 4),
            Text::YearWindow(years) => out.push_if(
                two && digit(2)
                    && digit(3)
                    && years.contains(
                        i64::from(b(0) - b'0') * 100
                            + i64::from(b(1) - b'0') * 10
                            + i64::from(b(2) - b'0'),
                    ),
                4,
            ),
            Text::Year2 => out.push_if(two, 2),
            Text::Hour => {
                out.push_if(matches!(b(0), b'0' | b'1') && digit(1), 2);
                out.push_if(digit(0), 1);
                out.push_if(b(0) == b'2' && matches!(b(1), b'0'..=b'3'), 2);
            }
            Text::HourExact => out.push_if(
                matches!(b(0), b'0' | b'1') && digit(1)
                    || b(0) == b'2' && matches!(b(1), b'0'..=b'3'),
                2,
            ),
            Text::HourLoose => {
                out.push_if(matches!(b(0), b'0'..=b'2') && digit(1), 2);
                out.push_if(digit(0), 1);
            }
            Text::Hour12 => {
                out.push_if(b(0) == b'1' && matches!(b(1), b'0'..=b'2'), 2);
                out.push_if(b(0) == b'0' && matches!(b(1), b'1'..=b'9'), 2);
                out.push_if(matches!(b(0), b'1'..=b'9'), 1);
            }
            Text::Hour12Loose => {
                out.push_if(b(0) == b'1' && digit(1), 2);
                out.push_if(digit(0), 1);
            }
            Text::Hour12Tight => {
                out.push_if(b(0) == b'1' && matches!(b(1), b'0'..=b'2'), 2);
                out.push_if(digit(0), 1);
            }
            Text::Minute => {
                out.push_if(matches!(b(0), b'0'..=b'5') && digit(1), 2);
                out.push_if(digit(0), 1);
            }
            Text::MinuteExact => out.push_if(matches!(b(0), b'0'..=b'5') && digit(1), 2),
            Text::Second => {
                out.push_if(matches!(b(0), b'0'..=b'5') && digit(1), 2);
                out.push_if(digit(0), 1);
                out.push_if(b(0) == b'6' && matches!(b(1), b'0' | b'1'), 2);
            }
            Text::SecondExact => out.push_if(
                matches!(b(0), b'0'..=b'5') && digit(1)
                    || b(0) == b'6' && matches!(b(1), b'0' | b'1'),
                2,
            ),
            Text::Fraction => {
                let digits = rest.iter().take(6).take_while(|b| b.is_ascii_digit());
                (1..=digits.count()).rev().for_each(|n| out.push(n));
            }
            Text::HalfDay => {
                let upper_ok = |byte: u8, low: u8| fold(byte, ignore_case) == low;
                out.push_if(
                    (upper_ok(b(0), b'a') || upper_ok(b(0), b'p')) && upper_ok(b(1), b'm'),
                    2,
                );
            }
            Text::Offset => offset(&mut out, rest, ignore_case),
            Text::ZoneName | Text::ZoneLetters => {
                let letters = rest
                    .iter()
                    .take(5)
                    .take_while(|b| b.is_ascii_uppercase() || ignore_case && b.is_ascii_lowercase())
                    .count();
                let z = letters > 0 && (b(0) == b'Z' || ignore_case && b(0) == b'z');
                out.push_if(self == Text::ZoneName && z, 1);
                (3..=letters).rev().for_each(|n| out.push(n));
                out.push_if(self == Text::ZoneLetters && letters > 0, 1);
            }
            Text::Epoch => {
                let digits = rest.iter().take(12).take_while(|b| b.is_ascii_digit());
                let digits = digits.count();
                let word_follows = match b(digits) {
                    byte if byte < 0x80 => byte.is_ascii_alphabetic() || byte == b'_',
                    // Not worth decoding: what follows a date is hardly ever a letter of
                    // another script, and then the number is no date.
                    _ => true,
                };
                if matches!(digits, 10 | 11) && !word_follows {
                    if b(digits) == b'.' {
                        let fraction = rest[digits + 1..]
                            .iter()
                            .take(6)
                            .take_while(|b| b.is_ascii_digit());
                        (3..=fraction.count())
                            .rev()
                            .for_each(|n| out.push(digits + 1 + n));
                    }
                    out.push(digits);
                }
            }
            Text::LongEpoch => {
                let digits = rest.iter().take(17).take_while(|b| b.is_ascii_digit());
                let digits = digits.count();
                for seconds in [11, 10] {
                    if digits < seconds {
                        continue;
                    }
                    let millis = seconds + 3;
                    if digits >= millis {
                        if b(millis) == b'.' {
                            let fraction = rest[millis + 1..]
                                .iter()
                                .take(6)
                                .take_while(|b| b.is_ascii_digit())
                                .count();
                            (1..=fraction).rev().for_each(|n| out.push(millis + 1 + n));
                        }
                        out.push_if(digits >= millis + 3, millis + 3);
                        out.push(millis);
                    }
                    out.push(seconds);
                }
            }
            Text::Tai64n => out.push_if(
                b(0) == b'@'
                    && rest.len() >= 25
                    && rest[1..25]
                        .iter()
                        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
                25,
            ),
        }
        out
    }
}

fn fold(byte: u8, ignore_case: bool) -> u8 {
    if ignore_case {
        byte.to_ascii_lowercase()
    } else {
        byte
    }
}

fn begins_with(rest: &[u8], name: &str, ignore_case: bool) -> bool {
    rest.len() >= name.len()
        && rest
            .iter()
            .zip(name.bytes())
            .all(|(&have, want)| fold(have, ignore_case) == want)
}

fn short_name(out: &mut Lengths, rest: &[u8], ignore_case: bool, names: &[&str]) {
    if let [a, b, c, ..] = *rest {
        let have = [a, b, c].map(|byte| fold(byte, ignore_case));
        out.push_if(names.iter().any(|name| name.as_bytes()[..3] == have), 3);
    }
}

fn long_name(out: &mut Lengths, rest: &[u8], ignore_case: bool, names: &[&str]) {
    for name in names {
        out.push_if(begins_with(rest, name, ignore_case), name.len());
    }
}

fn offset(out: &mut Lengths, rest: &[u8], ignore_case: bool) {
    let b = |i: usize| rest.get(i).copied().unwrap_or(0);
    let digit = |i: usize| b(i).is_ascii_digit();
    match b(0) {
        b'+' | b'-' if matches!(b(1), b'0' | b'1') && digit(2) => {
            out.push_if(b(3) == b':' && digit(4) && digit(5), 6);
            out.push_if(digit(3) && digit(4), 5);
            out.push(3);
        }
        b'Z' => out.push(1),
        b'z' if ignore_case => out.push(1),
        _ => out.push_if(
            rest.len() >= 3
                && [*b"UTC", *b"GMT"].iter().any(|name| {
                    &rest[..3] == name || ignore_case && rest[..3].eq_ignore_ascii_case(name)
                }),
            3,
        ),
    }
}
