//! Compares every regex of a corpus with what Python's `re` found: matches and all group spans.
//!
//! `cargo run --profile fast --example corpus -- PREFIX…` reads `PREFIX-regex.jsonl` (objects
//! with `pattern`, `multiline`, `groups`, `ngroups`), `PREFIX-texts.jsonl` (a string per line),
//! `PREFIX-expect.jsonl` (`[regex, text, spans]` per match, offsets in bytes) and
//! `PREFIX-timeouts.jsonl` (`[regex, text]` that Python itself gave up on). If there is a
//! `PREFIX-bad.jsonl` (objects with `pattern` and Python's `error`), those must be refused with
//! the same words. Exit code 1 when
//! anything differs. The prefilter of each regex must let through what matches (`unsound`); how
//! much of the rest it rejects is shown (`rejected`), and the regexes it knows nothing about.

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use ferroban::parts::pattern::{FailRegex, Flags, Match, Prefilter, Regex, UseDns};
use serde_json::Value;

/// Differences shown in full.
const SHOWN: usize = 20;

type Spans = Vec<Option<(usize, usize)>>;

#[derive(Debug, Default)]
struct Tally {
    pairs: usize,
    matches: usize,
    missed: usize,
    extra: usize,
    spans: usize,
    limit: usize,
    refused: usize,
    names: usize,
    /// Patterns that Python refuses, and those refused in other words or not at all.
    bad: usize,
    words: usize,
    unsound: usize,
    rejected: usize,
    without_literals: usize,
}

impl Tally {
    fn differences(&self) -> usize {
        self.missed
            + self.extra
            + self.spans
            + self.limit
            + self.refused
            + self.names
            + self.unsound
            + self.words
    }
}

fn main() -> Result<ExitCode> {
    let mut differences = 0;
    for prefix in std::env::args().skip(1) {
        let start = Instant::now();
        let tally = compare(&prefix)?;
        differences += tally.differences();
        println!("{prefix}: {tally:?} in {:.1?}", start.elapsed());
    }
    Ok(ExitCode::from(u8::from(differences > 0)))
}

fn lines(path: &str) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{path}: {line}")))
        .collect()
}

fn number(value: &Value) -> Result<usize> {
    let number = value.as_u64().context("not a number")?;
    Ok(usize::try_from(number)?)
}

fn pair(value: &Value) -> Result<(usize, usize)> {
    Ok((number(&value[0])?, number(&value[1])?))
}

fn compare(prefix: &str) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut shown = 0;
    let mut show = |what: &str, regex: &str, text: &str, details: String| {
        shown += 1;
        if shown <= SHOWN {
            println!("{what}\n  regex {regex:?}\n  text  {text:?}\n  {details}");
        }
    };
    let texts: Vec<String> = lines(&format!("{prefix}-texts.jsonl"))?
        .iter()
        .map(|text| text.as_str().unwrap_or_default().to_owned())
        .collect();
    let skip: HashSet<(usize, usize)> = lines(&format!("{prefix}-timeouts.jsonl"))?
        .iter()
        .map(pair)
        .collect::<Result<_>>()?;
    let mut expected: HashMap<(usize, usize), Spans> = HashMap::new();
    for line in lines(&format!("{prefix}-expect.jsonl"))? {
        let spans = line[2].as_array().context("no spans")?;
        // Python says -1 for a group that took no part.
        let spans = spans.iter().map(|span| pair(span).ok()).collect();
        expected.insert(pair(&line)?, spans);
    }
    for (id, rule) in lines(&format!("{prefix}-regex.jsonl"))?.iter().enumerate() {
        let source = rule["pattern"].as_str().context("no pattern")?;
        let flags = Flags {
            multiline: rule["multiline"].as_bool().unwrap_or(false),
            ignore_case: rule["ignore_case"].as_bool().unwrap_or(false),
            ..Flags::default()
        };
        let regex = match Regex::new(source, flags) {
            Ok(regex) => regex,
            Err(error) => {
                tally.refused += 1;
                show("refused", source, "", error.to_string());
                continue;
            }
        };
        let names: Vec<&str> = regex
            .group_names()
            .iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let python: Vec<&str> = rule["groups"]
            .as_array()
            .context("no groups")?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let groups = number(&rule["ngroups"])?;
        if names != python || regex.group_names().len() != groups + 1 {
            tally.names += 1;
            show("names", source, "", format!("{names:?} for {python:?}"));
        }
        // Expanded already: expanding once more changes nothing.
        let failregex = FailRegex::new(source, UseDns::Warn, flags.multiline);
        let failregex: Vec<FailRegex> = failregex.into_iter().collect();
        let prefilter = Prefilter::new(&failregex);
        tally.without_literals += usize::from(prefilter.next(0, "", true).is_some());
        for (number, text) in texts.iter().enumerate() {
            if skip.contains(&(id, number)) {
                continue;
            }
            tally.pairs += 1;
            let python = expected.get(&(id, number));
            let Ok(found) = regex.search(text) else {
                tally.limit += 1;
                show("limit", source, text, format!("{python:?}"));
                continue;
            };
            let ours = found.map(|found: Match| -> Spans {
                (0..=groups).map(|group| found.group(group)).collect()
            });
            tally.matches += usize::from(ours.is_some());
            if prefilter.next(0, text, text.is_ascii()).is_none() {
                tally.rejected += 1;
                if python.is_some() {
                    tally.unsound += 1;
                    show("unsound", source, text, format!("{python:?}"));
                }
            }
            let (count, what) = match (&ours, python) {
                (None, Some(_)) => (&mut tally.missed, "missed"),
                (Some(_), None) => (&mut tally.extra, "extra"),
                (Some(ours), Some(python)) if ours != python => (&mut tally.spans, "spans"),
                _ => continue,
            };
            *count += 1;
            show(
                what,
                source,
                text,
                format!("ours {ours:?}\n  python {python:?}"),
            );
        }
    }
    let bad = format!("{prefix}-bad.jsonl");
    if std::fs::exists(&bad)? {
        for rule in lines(&bad)? {
            tally.bad += 1;
            let source = rule["pattern"].as_str().context("no pattern")?;
            let error = rule["error"].as_str().context("no error")?;
            match Regex::new(source, Flags::default()) {
                Err(refused) if refused.to_string() == error => {}
                other => {
                    tally.words += 1;
                    show(
                        "words",
                        source,
                        "",
                        format!("ours {other:?}\n  python {error}"),
                    );
                }
            }
        }
    }
    Ok(tally)
}
