//! Lines whose date is not found, or that a regex expects where it is cut out.

use super::{LineAnswer, MATCHED, matches};
use crate::cli::explain::ExplainRun;
use crate::cli::explain::marks::{quoted, shown, tail};
use crate::datetime::DateDetector;
use crate::datetime::guess::{self, Guess};
use crate::filter::Dates;
use crate::ticket::Timestamp;

/// No date is found, and with one the line would match.
pub fn missing(explanation: &ExplainRun<'_>, line: &str, present: Timestamp) -> Option<LineAnswer> {
    let ExplainRun { trace, filter, .. } = explanation;
    let Dates::Detector(detector) = filter.dates() else {
        return None;
    };
    let place = explanation.places.of_filter("datepattern");
    if trace.date.is_some() {
        return None;
    }
    let helps =
        |start: usize, end: usize| matches(filter, &format!("{}{}", &line[..start], &line[end..]));
    let candidates = candidates(detector, line, present);
    let helpful = candidates
        .iter()
        .find(|(_, guess)| helps(guess.start, guess.end));
    let (is_default, guess) = helpful?;
    let what = shown(&line[guess.start..guess.end]);
    let reach = match detector.is_default() {
        true => String::new(),
        false => format!(": {}", pattern_reach(detector, line, present)),
    };
    let why = format!(
        "no date is found in it{reach}; {what} looks like one, and with it cut out the line would match{place}"
    );
    let cure = cure(*is_default, guess);
    Some(LineAnswer::not(why).with(cure).close(MATCHED / 2))
}

/// The regex has the date that is cut out before.
pub fn left_in(explanation: &ExplainRun<'_>, line: &str) -> Option<LineAnswer> {
    let ExplainRun { trace, filter, .. } = explanation;
    let date = trace.date.as_ref()?;
    if date.start == date.end || !matches(filter, line) {
        return None;
    }
    let place = explanation.places.of_filter("failregex");
    let text = shown(line.get(date.start..date.end).unwrap_or_default());
    let left = shown(&trace.text);
    Some(
        LineAnswer::not(format!("the failregex expects the date {text}, which is cut out of the line before it is searched: it sees {left}{place}"))
            .with("write the regex for the line without its date")
            .close(MATCHED / 2),
    )
}

/// What looks like the date of a line; true: the default patterns find it.
pub fn candidates(detector: &DateDetector, line: &str, present: Timestamp) -> Vec<(bool, Guess)> {
    let mut candidates = Vec::new();
    if !detector.is_default()
        && let Some(found) = DateDetector::default().find(line, present)
        && found.start < found.end
    {
        candidates.push((
            true,
            Guess {
                start: found.start,
                end: found.end,
                pattern: String::new(),
            },
        ));
    }
    let guesses = guess::guesses(line, present).into_iter();
    candidates.extend(guesses.map(|guess| (false, guess)));
    candidates
}

/// What makes the jail find a date that looks like one; `is_default`: the default patterns find it.
pub fn cure(is_default: bool, guess: &Guess) -> String {
    match is_default {
        true => {
            "take datepattern out of the filter or jail: the patterns that are always there find it"
                .to_owned()
        }
        false => format!("set datepattern = {} in the filter", guess.pattern),
    }
}

/// How far the date pattern comes that comes furthest.
pub fn pattern_reach(detector: &DateDetector, line: &str, present: Timestamp) -> String {
    let patterns = detector.patterns();
    let is_quoted = |pattern: &&String| pattern.len() > 1 && pattern.starts_with(['"', '\'']);
    if let Some(pattern) = patterns.iter().find(is_quoted) {
        return format!(
            "the datepattern {} stands in quotes, which are part of it",
            quoted(pattern)
        );
    }
    let mut elsewhere = patterns
        .iter()
        .filter_map(|pattern| Some((pattern, guess::elsewhere(pattern, line, present)?)));
    if let Some((pattern, (start, end))) = elsewhere.next() {
        return format!(
            "datepattern {} wants it at the beginning of the line, and {} stands at byte {start}",
            quoted(pattern),
            shown(&line[start..end])
        );
    }
    let reaches = patterns
        .iter()
        .map(|pattern| (pattern, guess::furthest(pattern, line, present)));
    let best = reaches.max_by_key(|(_, reach)| reach.map_or(0, |(cut, _)| cut));
    match best {
        Some((pattern, Some((cut, end)))) => {
            let after = tail(line.get(..end).unwrap_or_default());
            let wanted = quoted(&pattern[cut..]);
            let rest = shown(line.get(end..).unwrap_or_default());
            format!("after {after} datepattern wants {wanted}, and there stands {rest}")
        }
        Some((pattern, None)) => {
            format!("nothing in it is like the datepattern {}", quoted(pattern))
        }
        None => "no datepattern is set".to_owned(),
    }
}
