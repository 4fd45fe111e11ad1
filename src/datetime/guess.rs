//! Guesses what looks like a date in a line in which none was found, and how far a date pattern matches
//! in it, for diagnostics.
//!
//! A guess is a pattern that was tried on the line, so whoever uses it gets a date.

use super::patterns::LINE_BEGIN;
use super::{DateDetector, DateTime, Templates};
use crate::log;
use crate::ticket::Timestamp;

/// Forms that logs have and the defaults do not know, the whole before its parts.
const FORMS: [&str; 21] = [
    r"%d\.%m\.%ExY[, T-]+%H:%M:%S",
    r"%d\.%m\.%Exy[, T-]+%H:%M:%S",
    r"%ExY\.%m\.%d[, T-]+%H:%M:%S",
    r"%ExY[-/]%m[-/]%d[, T_-]+%H:%M:%S",
    r"%ExY-%m-%d[ T_-]%H[-.]%M[-.]%S",
    r"%ExY%m%d[_ T-]%H%M%S",
    r"%m/%d/%ExY,? %I:%M:%S %p",
    r"%d[-/]%m[-/]%ExY[, T-]+%H:%M:%S",
    r"%H:%M:%S[, ]+%d[-./]%m[-./]%ExY",
    r"%d\.? %b\.? %ExY[, ]+%H:%M:%S",
    r"%d\.? %B %ExY[, ]+%H:%M:%S",
    r"%B %d,? %ExY,? %H:%M:%S",
    r"%b %d,? %ExY,? %H:%M:%S",
    r"%ExY-%m-%d[ T]%H:%M",
    r"%d\.%m\.%ExY[, ]+%H:%M",
    r"%d[-/]%m[-/]%ExY[, ]+%H:%M",
    r"%H:%M:%S",
    r"%ExY-%m-%d",
    r"%d\.%m\.%ExY",
    r"%d/%m/%ExY",
    "LEPOCH",
];

/// Something that looks like a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// Where it begins in the line, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// A `datepattern` that finds it; as a configuration file has it, with `%%`.
    pub pattern: String,
}

/// What looks like a date in a line, the leftmost first, of those the longest. `now` completes what
/// the text leaves out.
pub fn guesses(line: &str, now: Timestamp) -> Vec<Guess> {
    let mut found: Vec<Guess> = Vec::new();
    for form in FORMS {
        let Some((start, end)) = find(form, line, now) else {
            continue;
        };
        // a part of what another form has as a whole
        if found.iter().any(|one| one.start <= start && end <= one.end) {
            continue;
        }
        let lead = if start == 0 { "^" } else { "" };
        let pattern = format!("{lead}{form}").replace('%', "%%");
        found.push(Guess {
            start,
            end,
            pattern,
        });
    }
    found.sort_by_key(|one| (one.start, usize::MAX - one.end));
    found
}

/// Where a pattern finds a date that there is.
fn find(pattern: &str, line: &str, now: Timestamp) -> Option<(usize, usize)> {
    let found = log::quietly(|| {
        let mut detector = DateDetector::from_pattern(pattern, &Templates::default()).ok()??;
        detector.find(line, now)
    })?;
    let valid = matches!(found.time, DateTime::At(_)) && found.start < found.end;
    valid.then_some((found.start, found.end))
}

/// How far a line of a `datepattern` comes: the bytes of it that still match, and where in the text
/// they end. `None`: not even its first part matches.
pub fn furthest(pattern: &str, line: &str, now: Timestamp) -> Option<(usize, usize)> {
    let cuts = cuts(pattern);
    cuts.into_iter().rev().find_map(|cut| {
        let found = log::quietly(|| {
            let part = &pattern[..cut];
            let part = match part.strip_prefix(LINE_BEGIN) {
                Some(rest) => format!("^{rest}"),
                None => part.to_owned(),
            };
            // a date ends where a word does, and a cut may be within one
            let part = format!("{{UNB}}{part}");
            let mut detector = DateDetector::from_pattern(&part, &Templates::default()).ok()??;
            detector.find(line, now)
        })?;
        (found.start < found.end).then_some((cut, found.end))
    })
}

/// Where the date of a pattern that begins with `^` stands, if it stands elsewhere.
pub fn elsewhere(pattern: &str, line: &str, now: Timestamp) -> Option<(usize, usize)> {
    let rest = pattern
        .strip_prefix('^')
        .or_else(|| pattern.strip_prefix(LINE_BEGIN))?;
    find(rest, line, now)
}

/// Where a pattern can be cut: between the parts that are in no group.
fn cuts(pattern: &str) -> Vec<usize> {
    let bytes = pattern.as_bytes();
    let (mut at, mut depth) = (0, 0);
    let mut cuts = Vec::new();
    while at < bytes.len() {
        at += match bytes[at] {
            b'\\' => 2,
            b'%' if pattern[at + 1..].starts_with("Ex") => 4,
            b'%' => 2,
            b'[' => pattern[at..].find(']').map_or(1, |end| end + 1),
            b'{' => pattern[at..].find('}').map_or(1, |end| end + 1),
            b'(' => {
                depth += 1;
                1
            }
            b')' => {
                depth -= 1;
                1
            }
            _ => 1,
        };
        while at < bytes.len()
            && (matches!(bytes[at], b'?' | b'*' | b'+') || !pattern.is_char_boundary(at))
        {
            at += 1;
        }
        // a blank at the end of a pattern is taken away
        if depth == 0 && at < bytes.len() && !pattern[..at].ends_with(' ') {
            cuts.push(at);
        }
    }
    cuts
}

/// What a date leaves out and the program assumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assumed {
    /// It names no zone.
    pub zone: bool,
    /// It names no year.
    pub year: bool,
    /// It names no day.
    pub day: bool,
}

/// What the date of a line leaves out, seen by giving the detector another zone and another present.
pub fn assumed(detector: &DateDetector, line: &str, now: Timestamp) -> Assumed {
    const DAY: f64 = 86_400.0;
    let time = |now: Timestamp, zone: Option<i32>| {
        let mut detector = detector.anew();
        if let Some(seconds) = zone {
            detector.set_default_zone(Some(super::FixedOffset { seconds }));
        }
        log::quietly(|| detector.find(line, now)).and_then(|found| found.own_time())
    };
    let differ = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => (one - other).abs(),
        _ => 0.0,
    };
    let here = time(now, None);
    let day = differ(here, time(now - 2.0 * DAY, None)) >= DAY
        && differ(here, time(now - 2.0 * DAY, None)) < 30.0 * DAY;
    Assumed {
        zone: differ(time(now, Some(0)), time(now, Some(3600))) > 0.0,
        year: !day && differ(here, time(now - 1000.0 * DAY, None)) > 300.0 * DAY,
        day,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = 1_795_168_800.0;

    #[test]
    fn what_looks_like_a_date_is_found_with_a_pattern_that_finds_it() {
        for (line, date) in [
            ("20.11.2026 10:00:00 app: no", "20.11.2026 10:00:00"),
            ("[20.11.26, 10:00:00] app: no", "20.11.26, 10:00:00"),
            ("app 2026-11-20T10-00-00 no", "2026-11-20T10-00-00"),
            ("20261120_100000 no", "20261120_100000"),
            ("at 10:00:00, 20/11/2026 no", "10:00:00, 20/11/2026"),
            ("20. Nov 2026 10:00:00 x", "20. Nov 2026 10:00:00"),
        ] {
            let guess = guesses(line, NOW).into_iter().next();
            let guess = guess.unwrap_or_else(|| panic!("{line}"));
            assert_eq!(&line[guess.start..guess.end], date);
            let pattern = guess.pattern.replace("%%", "%");
            let found = find(&pattern, line, NOW);
            assert_eq!(found, Some((guess.start, guess.end)), "{pattern}");
        }
        assert_eq!(guesses("no date at 192.0.2.1 port 22", NOW), []);
    }

    #[test]
    fn a_pattern_comes_so_far() {
        let reach = |pattern: &'static str, line: &'static str| {
            let (cut, end) = furthest(pattern, line, NOW)?;
            Some((&pattern[..cut], &line[..end]))
        };
        assert_eq!(
            reach("^%Y-%m-%d %H:%M:%S", "2026-11-20T10:00:00 x"),
            Some(("^%Y-%m-%d", "2026-11-20"))
        );
        assert_eq!(reach("^%Y-%m-%d", "x 2026-11-20"), None);
        assert_eq!(elsewhere("^%Y-%m-%d", "x 2026-11-20", NOW), Some((2, 12)));
        assert_eq!(
            reach("%d/%b/%Y:%H", "on 20/11/2026:10"),
            Some(("%d/", "on 20/"))
        );
    }

    #[test]
    fn what_is_left_out_is_assumed() {
        let of = |line| assumed(&DateDetector::default(), line, NOW);
        let (zone, year, day) = (true, true, true);
        assert_eq!(of("2026-11-20T10:00:00Z x"), Assumed::default());
        let none = Assumed::default();
        assert_eq!(of("2026-11-20 10:00:00 x"), Assumed { zone, ..none });
        assert_eq!(of("Nov 20 09:00:00 x"), Assumed { zone, year, ..none });
        assert_eq!(of("09:00:00 x"), Assumed { zone, day, ..none });
    }
}
