//! Parses a pattern into the steps of a [`Program`].
#![forbid(unsafe_code)]

use super::clues::{BuiltIn, RequiredBytes, not_repeated};
use super::{Begin, ByteSet, MAX_DEPTH, MAX_GROUPS, Others, Program, ProgramStep, Text, UNSET};
use crate::datetime::syntax::{YearWindow, field_of, token_at};

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
            lead: None,
            needs: RequiredBytes::Nothing,
            fields: Vec::new(),
            names: Vec::new(),
        };
        match begin {
            Begin::Free => {}
            Begin::Word => program.steps.push(ProgramStep::WordStart),
            Begin::Line => {
                program.steps.push(ProgramStep::LineStart);
                program.steps.push(ProgramStep::Repeat {
                    set: ByteSet::class('W')?,
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
            program.steps.push(ProgramStep::WordEnd);
        }
        program.steps.push(ProgramStep::Matched);
        program.anchored = program
            .steps
            .iter()
            .find(|step| !matches!(step, ProgramStep::Open(_)))
            == Some(&ProgramStep::LineStart);
        program.lead = match program.steps[..] {
            [
                ProgramStep::LineStart,
                ProgramStep::Repeat {
                    ref set,
                    min: 0,
                    max: UNSET,
                },
                ProgramStep::Byte(byte),
                ..,
            ] => set.stranger().filter(|stranger| *stranger == byte),
            _ => None,
        };
        program.first = program.first_bytes();
        program.needs = program.need();
        Some(program)
    }

    /// Adds the steps of a built-in form instead of a pattern.
    pub fn builtin(begin: Begin, form: BuiltIn) -> Program {
        let mut steps = match begin {
            Begin::Line => vec![
                ProgramStep::LineStart,
                ProgramStep::Repeat {
                    set: ByteSet::class('W').unwrap_or(ByteSet::EMPTY),
                    min: 0,
                    max: 2,
                },
            ],
            Begin::Word => vec![ProgramStep::WordStart],
            Begin::Free if form != BuiltIn::Tai64n => vec![ProgramStep::EpochPlace],
            Begin::Free => Vec::new(),
        };
        steps.push(ProgramStep::Text {
            text: match form {
                BuiltIn::Epoch => Text::Epoch,
                BuiltIn::LongEpoch => Text::LongEpoch,
                BuiltIn::Tai64n => Text::Tai64n,
            },
            group: 0,
        });
        steps.push(ProgramStep::WordEnd);
        steps.push(ProgramStep::Matched);
        let mut program = Program {
            anchored: begin == Begin::Line,
            lead: None,
            steps,
            ignore_case: false,
            years: YearWindow::around(0),
            first: [true; 256],
            needs: RequiredBytes::Nothing,
            fields: Vec::new(),
            names: vec![None],
        };
        program.first = program.first_bytes();
        program.needs = match form {
            BuiltIn::Tai64n => RequiredBytes::At,
            _ => RequiredBytes::Digits,
        };
        program
    }

    pub(in crate::datetime) fn group(&mut self, name: Option<&str>) -> Option<u8> {
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
    pub(in crate::datetime) fn alternatives<'p>(
        &mut self,
        pattern: &'p str,
        depth: u32,
    ) -> Option<&'p str> {
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
            self.steps.push(ProgramStep::Matched);
            self.steps[begins] = ProgramStep::Split {
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
            self.steps[end] = ProgramStep::Jump(after);
        }
        Some(rest)
    }

    /// Makes room for one step at `at`; steps behind it keep their aims.
    pub(in crate::datetime) fn insert(&mut self, at: usize) {
        for step in &mut self.steps[at..] {
            match step {
                ProgramStep::Split { first, second, .. } => {
                    *first += 1;
                    *second += 1;
                }
                ProgramStep::Jump(to) => *to += 1,
                _ => {}
            }
        }
        self.steps.insert(at, ProgramStep::Matched);
    }

    pub(in crate::datetime) fn group_count(&self) -> Option<u8> {
        u8::try_from(self.names.len()).ok()
    }

    pub(in crate::datetime) fn sequence<'p>(
        &mut self,
        pattern: &'p str,
        depth: u32,
    ) -> Option<&'p str> {
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
    pub(in crate::datetime) fn quantifier<'p>(
        &mut self,
        rest: &'p str,
        begins: usize,
        clear: u8,
    ) -> Option<&'p str> {
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
            Some([ProgramStep::One(set)]) => Some(*set),
            Some([ProgramStep::Byte(byte)]) if byte.is_ascii() => {
                let mut set = ByteSet::EMPTY;
                set.add(*byte);
                Some(set)
            }
            _ => None,
        };
        if let Some(set) = single {
            self.steps[begins] = ProgramStep::Repeat { set, min, max };
        } else if (min, max) == (0, 1) {
            self.insert(begins);
            self.steps[begins] = ProgramStep::Split {
                first: begins + 1,
                second: self.steps.len(),
                clear,
            };
        } else {
            return None;
        }
        Some(after)
    }

    pub(in crate::datetime) fn atom<'p>(&mut self, rest: &'p str, depth: u32) -> Option<&'p str> {
        let c = rest.chars().next()?;
        let after = &rest[c.len_utf8()..];
        match c {
            '%' => self.token(after),
            '(' => self.bracket(after, depth),
            '[' => self.class(after),
            '\\' => self.escape(after),
            '^' => {
                self.steps.push(ProgramStep::LineStart);
                not_repeated(after)
            }
            '$' => {
                self.steps.push(ProgramStep::LineEnd);
                not_repeated(after)
            }
            '.' => {
                let mut newline = ByteSet::EMPTY;
                newline.add(b'\n');
                self.steps.push(ProgramStep::One(newline.complement()?));
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
                self.steps.push(ProgramStep::Text { text, group });
                not_repeated(after)
            }
            '?' | '*' | '+' | '{' | '}' | ']' => None,
            _ => {
                self.literal(c)?;
                Some(after)
            }
        }
    }

    pub(in crate::datetime) fn literal(&mut self, c: char) -> Option<()> {
        if !c.is_ascii() {
            return None;
        }
        let byte = c as u8;
        self.steps
            .push(if self.ignore_case && byte.is_ascii_alphabetic() {
                ProgramStep::Letter(byte.to_ascii_lowercase())
            } else {
                ProgramStep::Byte(byte)
            });
        Some(())
    }

    pub(in crate::datetime) fn escape<'p>(&mut self, rest: &'p str) -> Option<&'p str> {
        let c = rest.chars().next()?;
        let after = &rest[c.len_utf8()..];
        if let Some(set) = ByteSet::class(c) {
            self.steps.push(ProgramStep::One(set));
        } else if c.is_ascii_punctuation() || c == ' ' {
            self.literal(c)?;
        } else {
            return None;
        }
        Some(after)
    }

    pub(in crate::datetime) fn class<'p>(&mut self, rest: &'p str) -> Option<&'p str> {
        let (negated, mut rest) = match rest.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let mut set = ByteSet::EMPTY;
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
                    if let Some(class) = ByteSet::class(escaped) {
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
        self.steps.push(ProgramStep::One(set));
        Some(rest)
    }

    pub(in crate::datetime) fn bracket<'p>(
        &mut self,
        rest: &'p str,
        depth: u32,
    ) -> Option<&'p str> {
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
            self.steps
                .push(ProgramStep::Same(u8::try_from(number).ok()?));
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
        self.steps.push(ProgramStep::Open(group));
        let after = self.alternatives(inside, depth + 1)?.strip_prefix(')')?;
        self.steps.push(ProgramStep::Close(group));
        Some(after)
    }

    /// Whether a group can only hold characters without case, so that a back reference needs
    /// no folding.
    pub(in crate::datetime) fn caseless_group(&self, number: usize) -> bool {
        let number = number as u8;
        let open = self
            .steps
            .iter()
            .position(|s| *s == ProgramStep::Open(number));
        let close = self
            .steps
            .iter()
            .position(|s| *s == ProgramStep::Close(number));
        let letters = (b'a'..=b'z').fold(0u128, |bits, b| bits | 1 << b);
        match (open, close) {
            (Some(open), Some(close)) => self.steps[open..close].iter().all(|step| match step {
                ProgramStep::One(set) => set.ascii & letters == 0 && set.others == Others::None,
                ProgramStep::Open(_) | ProgramStep::Byte(_) | ProgramStep::Jump(_) => true,
                _ => false,
            }),
            _ => false,
        }
    }

    pub(in crate::datetime) fn token<'p>(&mut self, rest: &'p str) -> Option<&'p str> {
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
                self.steps.push(ProgramStep::Byte(b'%'));
                return Some(after);
            }
            _ => return None,
        };
        if matches!(token.name, "k" | "l" | "Exk" | "Exl") {
            let mut blank = ByteSet::EMPTY;
            blank.add(b' ');
            self.steps.push(ProgramStep::Repeat {
                set: blank,
                min: 0,
                max: 1,
            });
            // A quantifier would bind to the group alone.
            not_repeated(after)?;
        }
        let group = self.group(Some(name))?;
        self.steps.push(ProgramStep::Text { text, group });
        Some(after)
    }
}
