//! Finds times and counts of a jail that are valid and make no sense together.
#![forbid(unsafe_code)]

use super::{LintFindings, Severity};
use crate::config::ConfigPlace;
use crate::control::Value;
use crate::datetime::duration;
use crate::python::Number;

/// What a jail says of times.
struct Times<'a> {
    commands: &'a [Vec<Value>],
}

/// The option it is about, how bad it is, and what.
type Told = Option<(&'static str, Severity, String)>;

type Rule = fn(&Times<'_>) -> Told;

/// Each with the kind of its findings.
const RULES: [(&str, Rule); 4] = [
    ("times", no_findtime),
    ("times", no_bantime),
    ("seconds", seconds),
    ("times", no_maxretry),
];

/// Looks at the commands of a jail; `place` tells where a value of one stands.
pub(super) fn look(
    commands: &[Vec<Value>],
    place: &dyn Fn(usize, usize) -> Option<ConfigPlace>,
    findings: &mut LintFindings<'_>,
) {
    let times = Times { commands };
    for (kind, rule) in RULES {
        if let Some((option, severity, text)) = rule(&times) {
            let place = times.index(option).and_then(|index| place(index, 0));
            findings.add(severity, kind, place, text);
        }
    }
}

impl Times<'_> {
    fn index(&self, option: &str) -> Option<usize> {
        let is_it = |words: &Vec<Value>| words.get(2).and_then(Value::as_str) == Some(option);
        self.commands.iter().position(is_it)
    }

    fn text(&self, option: &str) -> Option<String> {
        let value = self.commands.get(self.index(option)?)?.get(3)?;
        Some(value.str().into_owned())
    }

    fn seconds(&self, option: &str) -> Option<f64> {
        let number = duration::parse(&self.text(option)?).ok()?;
        Some(match number {
            Number::Int(seconds) => seconds as f64,
            Number::Float(seconds) => seconds,
        })
    }
}

fn no_findtime(times: &Times<'_>) -> Told {
    let findtime = times.seconds("findtime").filter(|time| *time <= 0.0)?;
    let text = format!(
        "findtime = {findtime} leaves out every line that is older than the moment it is read: write 10m or so"
    );
    Some(("findtime", Severity::Warning, text))
}

fn no_bantime(times: &Times<'_>) -> Told {
    times.seconds("bantime").filter(|time| *time == 0.0)?;
    let text = "bantime = 0 lifts each ban at once: write 10m or so, or -1 for good";
    Some(("bantime", Severity::Warning, text.to_owned()))
}

/// A number without a unit that is likely one of minutes.
fn seconds(times: &Times<'_>) -> Told {
    let text = times.text("bantime")?;
    let bantime: u32 = text
        .parse()
        .ok()
        .filter(|seconds| (1..60).contains(seconds))?;
    let grows = times
        .text("bantime.increment")
        .is_some_and(|text| text == "True");
    let findtime = times.seconds("findtime")?;
    (!grows && f64::from(bantime) < findtime).then(|| {
        let text = format!(
            "bantime = {bantime} is {bantime} seconds, and shorter than findtime: write {bantime}m for minutes"
        );
        ("bantime", Severity::Warning, text)
    })
}

fn no_maxretry(times: &Times<'_>) -> Told {
    let maxretry: i64 = times
        .text("maxretry")?
        .parse()
        .ok()
        .filter(|count| *count < 1)?;
    let text = format!("maxretry = {maxretry} bans at the first failure, as 1 does");
    Some(("maxretry", Severity::Note, text))
}
