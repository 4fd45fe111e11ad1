//! Parses a file of annotated lines.
#![forbid(unsafe_code)]

use std::path::Path;

use serde_json::Value;

use super::{Facts, SampleError, moment, text_of};

/// The kinds of annotations.
const KINDS: [&str; 4] = ["failJSON", "filterOptions", "fileOptions", "addFILE"];

/// What a file of samples holds.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// In the order of the file.
    pub steps: Vec<SampleStep>,
    /// Files that continue this one.
    pub more: Vec<String>,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum SampleStep {
    /// Try the lines after it with each of these sets of options.
    Options(Vec<(Facts, Option<Condition>)>),
    /// Try a line.
    Line(SampleLine),
}

/// A log line and what is expected of it.
#[derive(Clone, Debug)]
pub struct SampleLine {
    /// Its number in the file.
    pub number: usize,
    /// The line.
    pub text: String,
    /// Whether it leads to a failure.
    pub matches: bool,
    /// Time, host and fields of the failure.
    pub facts: Facts,
    /// When it is tried at all.
    pub condition: Option<Condition>,
}

/// `name == 'sshd'`, `opts.get('mode') != 'aggressive'`: when something is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The option asked for; `None`: the name of the filter.
    option: Option<String>,
    /// What it is compared with.
    value: String,
    /// Whether it is to be this, or anything else.
    equal: bool,
}

impl Condition {
    fn parse(text: &str) -> Option<Condition> {
        let quoted = |text: &str| {
            let text = text.trim();
            let mark = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
            (!inner.contains(mark)).then(|| inner.to_owned())
        };
        let (left, right, equal) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((left, right)), _) => (left, right, true),
            (None, Some((left, right))) => (left, right, false),
            (None, None) => return None,
        };
        let option = match left.trim() {
            "name" => None,
            call => Some(quoted(call.strip_prefix("opts.get(")?.strip_suffix(')')?)?),
        };
        Some(Condition {
            option,
            value: quoted(right)?,
            equal,
        })
    }

    /// Whether it is so for a filter with these options.
    pub fn holds(&self, filter: &str, options: &Facts) -> bool {
        let value = match &self.option {
            None => Some(filter.to_owned()),
            Some(option) => options.get(option).map(text_of),
        };
        (value.as_deref() == Some(&*self.value)) == self.equal
    }
}

impl Samples {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or an annotation means nothing.
    pub fn read(path: &Path) -> Result<Samples, SampleError> {
        let bytes = std::fs::read(path).map_err(|error| SampleError::Unreadable {
            path: path.to_owned(),
            error,
        })?;
        Samples::parse(&String::from_utf8_lossy(&bytes)).map_err(|(line, reason)| {
            SampleError::Annotation {
                path: path.to_owned(),
                line,
                reason,
            }
        })
    }

    /// # Errors
    /// The number of the line that is wrong, and why.
    fn parse(text: &str) -> Result<Samples, (usize, String)> {
        let mut samples = Samples::default();
        let mut common = Facts::new();
        // the line of an annotation, and what it says
        let mut pending: Option<(usize, Facts)> = None;
        for (number, line) in (1..).zip(text.lines()) {
            let wrong = |reason: String| (number, reason);
            if let Some((kind, json)) = annotation(line).map_err(wrong)? {
                if let Some((number, _)) = pending {
                    return Err(no_line_after(number));
                }
                let value = serde_json::from_str(json)
                    .map_err(|error| wrong(format!("no JSON behind '{kind}:': {error}")))?;
                match (kind, value) {
                    ("failJSON", Value::Object(facts)) => pending = Some((number, facts)),
                    ("fileOptions", Value::Object(options)) => common = options,
                    ("addFILE", Value::String(name)) => samples.more.push(name),
                    ("filterOptions", value) => {
                        let sets = alternatives(value, &common).map_err(wrong)?;
                        samples.steps.push(SampleStep::Options(sets));
                    }
                    (kind, value) => return Err(wrong(format!("{kind} cannot be {value}"))),
                }
                continue;
            }
            let mut sample = SampleLine {
                number,
                text: line.to_owned(),
                matches: false,
                facts: Facts::new(),
                condition: None,
            };
            match pending.take() {
                Some((number, _)) if line.trim().is_empty() => return Err(no_line_after(number)),
                Some((number, facts)) => expect(&mut sample, facts).map_err(|why| (number, why))?,
                None if line.starts_with('#') || line.trim().is_empty() => continue,
                None => {}
            }
            samples.steps.push(SampleStep::Line(sample));
        }
        match pending {
            Some((number, _)) => Err(no_line_after(number)),
            None => Ok(samples),
        }
    }
}

fn no_line_after(number: usize) -> (usize, String) {
    (number, "no log line stands behind this failJSON".to_owned())
}

/// Takes over what an annotation says of a line.
fn expect(line: &mut SampleLine, mut facts: Facts) -> Result<(), String> {
    line.matches = match facts.shift_remove("match") {
        Some(Value::Bool(matches)) => matches,
        Some(other) => return Err(format!("'match' is true or false, not {other}")),
        None => return Err("'match' is missing: true or false".to_owned()),
    };
    facts.shift_remove("desc");
    if let Some(condition) = facts.shift_remove("constraint") {
        line.condition = Some(condition_of(&condition)?);
    }
    if let Some(Value::String(time)) = facts.get("time")
        && moment(time).is_none()
    {
        return Err(format!("'time' is no time: '{time}'"));
    }
    // whenever it is
    if facts.get("time").is_some_and(Value::is_null) {
        facts.shift_remove("time");
    }
    line.facts = facts;
    Ok(())
}

fn condition_of(value: &Value) -> Result<Condition, String> {
    let text = text_of(value);
    Condition::parse(&text).ok_or_else(|| {
        format!("condition '{text}' is neither name == '…' nor opts.get('…') == '…' (or !=)")
    })
}

/// The kind and the JSON of an annotation line.
fn annotation(line: &str) -> Result<Option<(&str, &str)>, String> {
    let Some(rest) = line.strip_prefix('#') else {
        return Ok(None);
    };
    let Some((word, json)) = rest.trim_start_matches('#').trim_start().split_once(':') else {
        return Ok(None);
    };
    let alike = |kind: &&str| kind.eq_ignore_ascii_case(word);
    match KINDS.into_iter().find(alike) {
        Some(kind) if kind == word => Ok(Some((kind, json))),
        Some(kind) => Err(format!("'{word}' is written {kind}")),
        None => Ok(None),
    }
}

/// The sets of options of an annotation, each over those of the whole file.
fn alternatives(value: Value, common: &Facts) -> Result<Vec<(Facts, Option<Condition>)>, String> {
    let sets = match value {
        Value::Array(sets) => sets,
        one => vec![one],
    };
    let mut all = Vec::new();
    for set in sets {
        let Value::Object(set) = set else {
            return Err(format!("filterOptions cannot be {set}"));
        };
        let mut options = common.clone();
        options.extend(set);
        let condition = options
            .get("test.condition")
            .map(condition_of)
            .transpose()?;
        all.push((options, condition));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, line, part) in [
            ("# failJSON: { \"match\": true\nx\n", 1, "no JSON"),
            (
                "\n# failJSON: { \"host\": \"x\" }\nx\n",
                2,
                "'match' is missing",
            ),
            (
                "# failJSON: { \"match\": \"yes\" }\nx\n",
                1,
                "true or false",
            ),
            ("x\n# failJSON: { \"match\": true }\n", 2, "no log line"),
            ("# failJSON: { \"match\": true }\n\nx\n", 1, "no log line"),
            (
                "# failJSON: { \"match\": true }\n# failJSON: { \"match\": true }\nx\n",
                1,
                "no log line",
            ),
            (
                "# failJSON: { \"match\": true, \"time\": \"10:00\" }\nx\n",
                1,
                "no time",
            ),
            (
                "# failjson: { \"match\": true }\nx\n",
                1,
                "written failJSON",
            ),
            ("# filterOptions: [1]\n", 1, "cannot be 1"),
            ("# fileOptions: []\n", 1, "cannot be []"),
            ("# addFILE: 3\n", 1, "cannot be 3"),
            (
                "# filterOptions: {\"test.condition\": \"len(name) > 3\"}\n",
                1,
                "condition",
            ),
        ] {
            let (number, reason) = Samples::parse(text).unwrap_err();
            assert_eq!(number, line, "{text}");
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }

    #[test]
    fn conditions() {
        let options = Facts::from_iter([("mode".to_owned(), "ddos".into())]);
        for (text, holds) in [
            ("name == 'sshd'", true),
            ("name=='dovecot'", false),
            ("opts.get('mode') == 'ddos'", true),
            ("opts.get(\"mode\") != 'ddos'", false),
            ("opts.get('logtype') != 'journal'", true),
        ] {
            let condition = Condition::parse(text).unwrap();
            assert_eq!(condition.holds("sshd", &options), holds, "{text}");
        }
        for text in [
            "",
            "name",
            "name == sshd",
            "opts['mode'] == 'x'",
            "name == 'a' or 'b'",
        ] {
            assert_eq!(Condition::parse(text), None, "{text}");
        }
    }

    #[test]
    fn comments_are_no_lines_and_annotated_comments_are() {
        let text = "# a comment: of mine\n\n# failJSON: {\"match\": false}\n#x\ny\n";
        let samples = Samples::parse(text).unwrap();
        let lines = samples.steps.iter().filter_map(|step| match step {
            SampleStep::Line(line) => Some(line.number),
            SampleStep::Options(_) => None,
        });
        assert_eq!(lines.collect::<Vec<_>>(), [4, 5]);
    }
}
