//! Runs a filter on its samples and compares the results.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{
    Facts, NOW, NOW_TEXT, SampleError, SampleLine, SampleStep, Samples, arguments, of_the_filter,
    text_of, time_text,
};
use crate::address::Address;
use crate::config;
use crate::config::filter::FilterOptions;
use crate::fields::FieldValue;
use crate::filter::{Clock, ExamineMode, FailureId, Filter, LineOutcome, Name, RegexMatch};
use crate::pattern::PatternError;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// All that is annotated, as a jail finds it: the first regex that matches counts.
    Everything,
    /// The same, and no two regexes may match a line.
    Strictly,
    /// Only whether a line counts, for whom and when.
    Ids,
}

/// A line that was tried.
#[derive(Clone, Debug)]
pub struct SampleResult {
    /// The file it stands in.
    pub path: PathBuf,
    /// Its number there.
    pub line: usize,
    /// The line.
    pub text: String,
    /// The options the filter had.
    pub options: Facts,
    /// Where it came out otherwise than expected.
    pub difference: Option<Difference>,
}

/// What was expected and what came, in the words of annotations and as far as they differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// What the annotation says.
    pub expected: Facts,
    /// What the filter says.
    pub got: Facts,
}

/// Runs a filter of the configuration `base` over the file of its name in `directory`, and over the
/// files that this one adds.
///
/// # Errors
/// The samples or the filter cannot be used.
pub fn judge(
    filter: &str,
    base: &Path,
    directory: &Path,
    measure: Measure,
) -> Result<Vec<SampleResult>, SampleError> {
    let mut judged = Vec::new();
    // one with each set of options; they stay from file to file, for later lines rely on what
    // earlier ones taught the filter
    let mut variants: BTreeMap<String, Variant> = BTreeMap::new();
    let mut sets = vec![(Facts::new(), None)];
    let mut files = vec![directory.join(filter)];
    let mut number = 0;
    while let Some(path) = files.get(number).cloned() {
        number += 1;
        let samples = Samples::read(&path)?;
        for name in samples.more {
            let file = directory.join(name);
            if !files.contains(&file) {
                files.push(file);
            }
        }
        for step in samples.steps {
            let line = match step {
                SampleStep::Options(next) => {
                    sets = next;
                    continue;
                }
                SampleStep::Line(line) => line,
            };
            for (options, condition) in &sets {
                let conditions = [condition, &line.condition];
                let mut given = conditions.into_iter().flatten();
                if !given.all(|condition| condition.holds(filter, options)) {
                    continue;
                }
                let key = Value::Object(options.clone()).to_string();
                let variant = match variants.entry(key) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        entry.insert(Variant::new(filter, base, &path, options)?)
                    }
                };
                judged.push(SampleResult {
                    path: path.clone(),
                    line: line.number,
                    text: line.text.clone(),
                    options: of_the_filter(options),
                    difference: variant.difference(&line, measure),
                });
            }
        }
    }
    Ok(judged)
}

/// A filter with one set of options; it keeps its state from line to line.
struct Variant {
    filter: Filter,
    /// Lines come as from a journal, with this before them.
    journal: Option<String>,
}

impl Variant {
    fn new(name: &str, base: &Path, path: &Path, options: &Facts) -> Result<Variant, SampleError> {
        let given = arguments(&of_the_filter(options));
        let wrong = |reason: String| SampleError::Filter {
            filter: match given.is_empty() {
                true => name.to_owned(),
                false => format!("{name}[{given}]"),
            },
            reason: reason.replace('\n', " "),
        };
        // a filter by its file: a jail of this name is not meant
        let find = |end: &str| {
            let wanted = format!("filter.d/{name}.{end}[{given}]");
            config::find_filter(base, &wanted, "auto").map_err(|error| wrong(error.to_string()))
        };
        let found = match find("conf")? {
            Some(found) => Some(found),
            None => find("local")?,
        };
        let found = found.ok_or_else(|| SampleError::NoFilter {
            path: path.to_owned(),
            filter: name.to_owned(),
            config: base.to_owned(),
        })?;
        let text = |key: &str| options.get(key).map(text_of);
        let journal = text("logtype").is_some_and(|logtype| logtype == "journal");
        Ok(Variant {
            filter: filter_of(name, &found.options).map_err(wrong)?,
            journal: journal.then(|| text("test.prefix-line").unwrap_or_default()),
        })
    }

    /// What a line gives beside what its annotation says.
    fn difference(&mut self, line: &SampleLine, measure: Measure) -> Option<Difference> {
        let manner = ExamineMode {
            every_regex: measure == Measure::Strictly,
            raw_hosts: true,
            window: false,
            ..ExamineMode::DAEMON
        };
        let clock = Clock {
            now: NOW,
            in_operation: false,
            findtime: 600.0,
        };
        let mut outcome = LineOutcome::default();
        let filter = &mut self.filter;
        match &self.journal {
            Some(prefix) => {
                let date = Some((NOW_TEXT, NOW));
                let line = format!("{prefix}{}", line.text);
                filter.examine(&line, date, &clock, manner, &mut outcome);
            }
            None => filter.examine(&line.text, None, &clock, manner, &mut outcome),
        }
        let failures = outcome.found.iter();
        let found: Vec<&RegexMatch> = failures.filter(|f| f.id.is_some() && !f.nofail).collect();
        compare(line, &found, measure)
    }
}

/// A filter as its settings make it.
pub fn filter_of(name: &str, options: &FilterOptions) -> Result<Filter, String> {
    let mut filter = Filter::new(name);
    if let Some(lines) = options.maxlines {
        let lines = usize::try_from(lines).map_err(|_| format!("maxlines cannot be {lines}"))?;
        filter.set_maxlines(lines);
    }
    if let Some(pattern) = &options.datepattern {
        filter
            .set_datepattern(pattern)
            .map_err(|error| error.to_string())?;
    }
    if let Some(template) = &options.jsonmatch {
        filter.set_jsonmatch(template)?;
    }
    let mut regexes = || -> Result<(), PatternError> {
        if let Some(prefregex) = &options.prefregex {
            filter.set_prefregex(prefregex)?;
        }
        for regex in &options.failregex {
            filter.add_failregex(regex)?;
        }
        for regex in &options.ignoreregex {
            filter.add_ignoreregex(regex)?;
        }
        Ok(())
    };
    regexes().map_err(|error| error.to_string())?;
    Ok(filter)
}

fn compare(line: &SampleLine, found: &[&RegexMatch], measure: Measure) -> Option<Difference> {
    let matches = |matches: bool| Facts::from_iter([("match".to_owned(), matches.into())]);
    let (failure, whole) = match (found, line.matches) {
        ([], false) => return None,
        ([], true) => {
            let mut expected = matches(true);
            expected.extend(line.facts.clone());
            return Some(Difference {
                expected,
                got: matches(false),
            });
        }
        ([failure, ..], false) => {
            let mut got = matches(true);
            got.extend(all_facts(failure));
            return Some(Difference {
                expected: matches(false),
                got,
            });
        }
        ([failure], true) => (failure, false),
        ([failure, ..], true) => (failure, true),
    };
    let mut difference = Difference {
        expected: matches(true),
        got: matches(true),
    };
    if whole {
        let regexes: Vec<usize> = found.iter().map(|found| found.regex).collect();
        difference.got.insert("regexes".to_owned(), regexes.into());
    }
    let mut differs = whole;
    for (key, wanted) in &line.facts {
        if measure == Measure::Ids && !["time", "host"].contains(&key.as_str()) {
            continue;
        }
        let got = fact(failure, key);
        if !alike(key, wanted, &got) {
            differs = true;
            difference.expected.insert(key.clone(), wanted.clone());
            difference.got.insert(key.clone(), got);
        }
    }
    differs.then_some(difference)
}

/// Whether a fact is the expected one. The same address may be written in several ways, and a set in
/// any order.
fn alike(key: &str, wanted: &Value, got: &Value) -> bool {
    match (key, wanted, got) {
        ("time", Value::String(wanted), Value::String(got)) => {
            super::moment(wanted) == super::moment(got)
        }
        ("host", Value::String(wanted), Value::String(got)) => {
            wanted == got || Address::parse(wanted).to_string() == *got
        }
        (_, Value::Array(wanted), Value::Array(got)) => {
            let sorted = |values: &[Value]| {
                let mut texts: Vec<String> = values.iter().map(text_of).collect();
                texts.sort();
                texts
            };
            sorted(wanted) == sorted(got)
        }
        _ => text_of(wanted) == text_of(got),
    }
}

/// What an annotation would say of a failure.
fn all_facts(failure: &RegexMatch) -> Facts {
    let facts = ["time", "host", "user"].map(|key| (key.to_owned(), fact(failure, key)));
    let known = facts.into_iter().filter(|(_, value)| !value.is_null());
    known.collect()
}

/// A field of a failure, or what stands for it: `host` is the id, `attempts` the number of lines.
fn fact(failure: &RegexMatch, key: &str) -> Value {
    let texts = |texts: &[String]| {
        texts
            .iter()
            .map(|text| Value::from(text.as_str()))
            .collect()
    };
    if key == "time" {
        return failure.time.and_then(time_text).into();
    }
    match failure.record.get(&Name::from(key)) {
        Some(FieldValue::Text(text)) => text.as_str().into(),
        Some(FieldValue::Address(address)) => address.to_string().into(),
        Some(FieldValue::Set(values)) => Value::Array(texts(values)),
        Some(FieldValue::Tuple(parts)) => {
            let parts: Vec<String> = parts
                .iter()
                .map(|p| p.clone().unwrap_or_default())
                .collect();
            Value::Array(texts(&parts))
        }
        None => match (key, &failure.id) {
            ("host", Some(FailureId::Address(address))) => address.to_string().into(),
            ("host", Some(FailureId::Name(name))) => name.as_str().into(),
            ("attempts", _) => failure.matches.len().into(),
            _ => Value::Null,
        },
    }
}
