//! What a single step can take from a line, longest first where Python tries that first.
#![forbid(unsafe_code)]

use super::Text;
use crate::datetime::calendar::{MONTHS, WEEKDAYS};

/// The lengths a text may have at a place, in the order to try them: five bits each, so that
/// they stay in registers. None is 0.
#[derive(Clone, Copy)]
pub(in crate::datetime) struct Lengths {
    pub(in crate::datetime) packed: u64,
    pub(in crate::datetime) bits: u32,
}

impl Lengths {
    pub(in crate::datetime) fn none() -> Lengths {
        Lengths { packed: 0, bits: 0 }
    }

    pub(in crate::datetime) fn push(&mut self, length: usize) {
        if self.bits < 60 && length < 32 {
            self.packed |= (length as u64) << self.bits;
            self.bits += 5;
        }
    }

    pub(in crate::datetime) fn push_if(&mut self, condition: bool, length: usize) {
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
    pub(in crate::datetime) fn is_hour(self) -> bool {
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

    pub(in crate::datetime) fn may_begin(self, byte: u8) -> bool {
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
    pub(in crate::datetime) fn longest(self) -> usize {
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

    /// How many bytes decide which lengths there are at a place, given the first of them.
    pub(in crate::datetime) fn reach(self, first: Option<&u8>) -> usize {
        match (self, first) {
            (_, None) => 1,
            (_, Some(first)) if !self.may_begin(*first) => 1,
            // Up to twelve digits, a dot and six more; seventeen of them, likewise.
            (Text::Epoch, _) => 20,
            (Text::LongEpoch, _) => 25,
            _ => self.longest(),
        }
    }

    /// Bytes it can end with; rather too many than too few.
    pub(in crate::datetime) fn may_end(self) -> [bool; 256] {
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

    pub(in crate::datetime) fn lengths(
        self,
        bytes: &[u8],
        at: usize,
        ignore_case: bool,
    ) -> Lengths {
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

pub(in crate::datetime) fn fold(byte: u8, ignore_case: bool) -> u8 {
    if ignore_case {
        byte.to_ascii_lowercase()
    } else {
        byte
    }
}

pub(in crate::datetime) fn begins_with(rest: &[u8], name: &str, ignore_case: bool) -> bool {
    rest.len() >= name.len()
        && rest
            .iter()
            .zip(name.bytes())
            .all(|(&have, want)| fold(have, ignore_case) == want)
}

pub(in crate::datetime) fn short_name(
    out: &mut Lengths,
    rest: &[u8],
    ignore_case: bool,
    names: &[&str],
) {
    if let [a, b, c, ..] = *rest {
        let have = [a, b, c].map(|byte| fold(byte, ignore_case));
        out.push_if(names.iter().any(|name| name.as_bytes()[..3] == have), 3);
    }
}

pub(in crate::datetime) fn long_name(
    out: &mut Lengths,
    rest: &[u8],
    ignore_case: bool,
    names: &[&str],
) {
    for name in names {
        out.push_if(begins_with(rest, name, ignore_case), name.len());
    }
}

pub(in crate::datetime) fn offset(out: &mut Lengths, rest: &[u8], ignore_case: bool) {
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
