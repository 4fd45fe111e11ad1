//! The language of date patterns: strptime-like tokens inside a Python regular expression.
//!
//! In: the text of a `datepattern`. Out: the same text as a regular expression ([`expand`]) or
//! as reports show it ([`display`]), and the token at a place ([`token_at`]). Facts D1–D5.
#![forbid(unsafe_code)]

use super::DatePatternError;

/// What a captured text means; the letter is the name of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum DateField {
    WeekdayShort,
    WeekdayLong,
    MonthShort,
    MonthLong,
    Day,
    Fraction,
    Hour24,
    Hour12,
    DayOfYear,
    Month,
    Minute,
    HalfDay,
    Second,
    WeekFromSunday,
    WeekFromMonday,
    WeekdayNumber,
    Year2,
    Year4,
    Offset,
    ZoneName,
}

/// Group names and their meaning; other names mean nothing to the clock.
const FIELDS: &[(&str, DateField)] = &[
    ("a", DateField::WeekdayShort),
    ("A", DateField::WeekdayLong),
    ("b", DateField::MonthShort),
    ("B", DateField::MonthLong),
    ("d", DateField::Day),
    ("f", DateField::Fraction),
    ("H", DateField::Hour24),
    ("I", DateField::Hour12),
    ("j", DateField::DayOfYear),
    ("m", DateField::Month),
    ("M", DateField::Minute),
    ("p", DateField::HalfDay),
    ("S", DateField::Second),
    ("U", DateField::WeekFromSunday),
    ("W", DateField::WeekFromMonday),
    ("w", DateField::WeekdayNumber),
    ("y", DateField::Year2),
    ("Y", DateField::Year4),
    ("z", DateField::Offset),
    ("Z", DateField::ZoneName),
];

/// The field a group of this name holds.
pub(super) fn field_of(group: &str) -> Option<DateField> {
    FIELDS.iter().find(|(n, _)| *n == group).map(|(_, f)| *f)
}

/// A token: what stands after the percent sign, how reports show it, what it matches.
#[derive(Debug)]
pub(super) struct DateToken {
    pub name: &'static str,
    pub shown: &'static str,
    regex: &'static str,
}

const DAY: &str = r"(?P<d>[12][0-9]|[0 ]?[1-9]|3[01])";
const TIME: &str = r"(?P<H>2[0-3]|[01]\d|\d):(?P<M>[0-5]\d|\d):(?P<S>6[01]|[0-5]\d|\d)";

/// Python's own `%x` and `%X` of the C locale, with Python's own widths: the tighter ones of
/// this table do not reach into them.
const LOCALE_DATE: &str =
    r"(?P<m>1[0-2]|0[1-9]|[1-9])/(?P<d>3[01]|[12]\d|0[1-9]|[1-9]| [1-9])/(?P<y>\d\d)";
const LOCALE_BOTH: &str = concat!(
    r"(?P<a>mon|tue|wed|thu|fri|sat|sun)\s+",
    r"(?P<b>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\s+",
    r"(?P<d>3[01]|[12]\d|0[1-9]|[1-9]| [1-9])\s+",
    r"(?P<H>2[0-3]|[01]\d|\d):(?P<M>[0-5]\d|\d):(?P<S>6[01]|[0-5]\d|\d)\s+(?P<Y>\d{4})"
);

/// Order matters only in that a longer name comes before its beginning.
const TOKENS: &[DateToken] = &[
    t("ExY", "ExYear", ""),
    t("Exy", "ExYear2", r"(?P<y>\d\d)"),
    t("Exm", "ExMonth", r"(?P<m>0[1-9]|1[0-2])"),
    t("Exd", "ExDay", r"(?P<d>[12]\d|0[1-9]|3[01])"),
    t("ExH", "Ex24hour", r"(?P<H>[01]\d|2[0-3])"),
    t("ExM", "ExMinute", r"(?P<M>[0-5]\d)"),
    t("ExS", "ExSecond", r"(?P<S>[0-5]\d|6[01])"),
    t("Exk", "%Exk", r" ?(?P<H>[01]?\d|2[0-3])"),
    t("Exl", "%Exl", r" ?(?P<I>1[0-2]|\d)"),
    t("ExZ", "ExZone name", r"(?P<Z>[A-Z](?:[A-Z]{2,4})?)"),
    t(
        "Exz",
        "ExZone offset",
        r"(?P<z>(?:[A-Z](?:[A-Z]{2,4})?)?[-+][01]\d(?::?\d\d)?|[A-Z](?:[A-Z]{2,4})?)",
    ),
    t("a", "DAY", r"(?P<a>mon|tue|wed|thu|fri|sat|sun)"),
    t(
        "A",
        "DAYNAME",
        r"(?P<A>monday|tuesday|wednesday|thursday|friday|saturday|sunday)",
    ),
    t(
        "b",
        "MON",
        r"(?P<b>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)",
    ),
    t(
        "B",
        "MONTH",
        r"(?P<B>january|february|march|april|may|june|july|august|september|october|november|december)",
    ),
    t("c", "%c", LOCALE_BOTH),
    t("d", "Day", DAY),
    t("f", "Microseconds", r"(?P<f>[0-9]{1,6})"),
    t("G", "%G", r"(?P<G>\d{4})"),
    t("H", "24hour", r"(?P<H>[01]?\d|2[0-3])"),
    t("I", "12hour", r"(?P<I>1[0-2]|0[1-9]|[1-9])"),
    t(
        "j",
        "Yearday",
        r"(?P<j>36[0-6]|3[0-5]\d|[12]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9])",
    ),
    t("k", "%k", r" ?(?P<H>[0-2]?\d)"),
    t("l", "%l", r" ?(?P<I>1?\d)"),
    t("m", "Month", r"(?P<m>0?[1-9]|1[0-2])"),
    t("M", "Minute", r"(?P<M>[0-5]?\d)"),
    t("p", "AMPM", r"(?P<p>am|pm)"),
    t("S", "Second", r"(?P<S>[0-5]?\d|6[01])"),
    t("u", "%u", r"(?P<u>[1-7])"),
    t("U", "Yearweek", r"(?P<U>5[0-3]|[0-4]\d|\d)"),
    t("V", "%V", r"(?P<V>5[0-3]|0[1-9]|[1-4]\d|\d)"),
    t("w", "Weekday", r"(?P<w>[0-6])"),
    t("W", "Yearweek", r"(?P<W>5[0-3]|[0-4]\d|\d)"),
    t("x", "%x", LOCALE_DATE),
    t("X", "%X", TIME),
    t("y", "Year2", r"(?P<y>\d\d)"),
    t("Y", "Year", r"(?P<Y>\d{4})"),
    t(
        "z",
        "Zone offset",
        r"(?P<z>Z|UTC|GMT|[-+][01]\d(?::?\d\d)?)",
    ),
    t("Z", "Zone name", r"(?P<Z>Z|[A-Z]{3,5})"),
    t("%", "%", "%"),
];

const fn t(name: &'static str, shown: &'static str, regex: &'static str) -> DateToken {
    DateToken { name, shown, regex }
}

/// The token that begins after the percent sign, `rest` being what follows it.
pub(super) fn token_at(rest: &str) -> Option<&'static DateToken> {
    TOKENS.iter().find(|t| rest.starts_with(t.name))
}

/// The years `%ExY` accepts (fact D2): from 2000 to the end of the decade three years ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct YearWindow {
    /// The year divided by ten.
    last_decade: i64,
}

impl YearWindow {
    const FIRST_DECADE: i64 = 200;
    /// No log is read before this year: a clock that says so has not been set yet.
    const FIRST_YEAR: i64 = 2026;

    /// The window as seen from this year.
    pub fn around(year: i64) -> YearWindow {
        YearWindow {
            last_decade: (year.clamp(Self::FIRST_YEAR, 9990) + 3) / 10,
        }
    }

    /// Whether these three digits begin a year of the window.
    pub fn contains(self, decade: i64) -> bool {
        (Self::FIRST_DECADE..=self.last_decade).contains(&decade)
    }

    fn regex(self) -> String {
        let decades = if self.last_decade < 210 {
            let digits: String = (0..=self.last_decade - Self::FIRST_DECADE)
                .map(|d| d.to_string())
                .collect();
            format!("20[{digits}]")
        } else {
            let all: Vec<String> = (Self::FIRST_DECADE..=self.last_decade)
                .map(|d| d.to_string())
                .collect();
            format!("(?:{})", all.join("|"))
        };
        format!(r"(?P<Y>{decades}\d)")
    }
}

/// Replaces every token by what it matches.
pub(super) fn expand(pattern: &str, years: YearWindow) -> Result<String, DatePatternError> {
    rewrite(pattern, |token, out| {
        if token.name == "ExY" {
            out.push_str(&years.regex());
        } else {
            out.push_str(token.regex);
        }
    })
}

/// Replaces every token by its name, as `Date template hits` shows it.
pub(super) fn display(pattern: &str) -> Result<String, DatePatternError> {
    rewrite(pattern, |token, out| out.push_str(token.shown))
}

fn rewrite(
    pattern: &str,
    mut put: impl FnMut(&'static DateToken, &mut String),
) -> Result<String, DatePatternError> {
    let mut out = String::with_capacity(pattern.len() * 2);
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let Some(token) = token_at(after) else {
            return Err(refuse(pattern, &bad_percent(pattern, after)));
        };
        put(token, &mut out);
        rest = &after[token.name.len()..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Wraps a reason as the original words it (fact D4).
pub(super) fn refuse(pattern: &str, reason: &str) -> DatePatternError {
    DatePatternError(format!(
        "Failed to set datepattern '{pattern}' (may be an invalid format or unescaped percent char): {reason}"
    ))
}

/// What Python's `%` formatting says about a stray percent sign. Its index counts in the text
/// in which each token has become `%(token)s`.
fn bad_percent(pattern: &str, after: &str) -> String {
    let mut chars = after
        .char_indices()
        .skip_while(|(_, c)| matches!(c, '#' | '0' | '-' | '+' | ' '))
        .skip_while(|(_, c)| c.is_ascii_digit());
    match chars.next() {
        None => "incomplete format".to_owned(),
        Some((_, '(')) => match after[1..].split_once(')') {
            Some((key, _)) => format!("'{key}'"),
            None => "incomplete format key".to_owned(),
        },
        Some((at, c)) => {
            let here = pattern.len() - after.len();
            let tokens = tokens_before(&pattern[..here - 1]);
            let index = pattern[..here].chars().count() + 3 * tokens + at;
            format!(
                "unsupported format character '{c}' (0x{:x}) at index {index}",
                c as u32
            )
        }
    }
}

fn tokens_before(text: &str) -> usize {
    let mut count = 0;
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        rest = &rest[at + 1..];
        if let Some(token) = token_at(rest) {
            rest = &rest[token.name.len()..];
            count += 1;
        }
    }
    count
}

/// Whether a name token makes the whole pattern blind to letter case (fact D5).
pub(super) fn ignores_case(pattern: &str) -> bool {
    let bytes = pattern.as_bytes();
    bytes.windows(2).enumerate().any(|(i, pair)| {
        pair[0] == b'%'
            && matches!(pair[1], b'a' | b'A' | b'b' | b'B' | b'p' | b'c')
            && (i == 0 || bytes[i - 1] != b'%')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn year_window_follows_the_clock() {
        for (year, regex) in [
            (2026, r"(?P<Y>20[012]\d)"),
            (2027, r"(?P<Y>20[0123]\d)"),
            (2036, r"(?P<Y>20[0123]\d)"),
            (1970, r"(?P<Y>20[012]\d)"),
        ] {
            assert_eq!(YearWindow::around(year).regex(), regex, "{year}");
        }
        assert!(
            YearWindow::around(2098)
                .regex()
                .starts_with("(?P<Y>(?:200|201|")
        );
    }

    #[test]
    fn tokens_become_names() {
        assert_eq!(
            display("^%Y-%Exm %k%%%p").as_deref(),
            Ok("^Year-ExMonth %k%AMPM")
        );
    }

    #[test]
    fn a_stray_percent_is_refused_in_pythons_words() {
        for (pattern, reason) in [
            ("a%qb", "unsupported format character 'q' (0x71) at index 2"),
            ("%Y%q", "unsupported format character 'q' (0x71) at index 6"),
            ("100%", "incomplete format"),
            ("%(no)s", "'no'"),
            ("%(no", "incomplete format key"),
        ] {
            assert_eq!(display(pattern), Err(refuse(pattern, reason)), "{pattern}");
        }
    }
}
