//! Tests a draft: on the lines it was generated from, on the rest of their log, by lint, and on lines that a
//! client could write to have somebody else banned.

use std::collections::BTreeSet;

use super::{Draft, DraftSource, dates};
use crate::config::files::{Files, Overlay, join};
use crate::config::lookup;
use crate::datetime::DateDetector;
use crate::filter::{Clock, ExamineMode, FailureId, Filter, LineOutcome};
use crate::lint::{self, LintFinding, Severity};
use crate::pattern::{FailRegex, UseDns};
use crate::samples::filter_of;
use crate::ticket::Timestamp;

/// What came of a trial. Lines are places in the log, from 0.
#[derive(Debug, Default)]
pub struct DraftTrial {
    /// Attack lines that are not found, or for which somebody else is blamed.
    pub missed: Vec<usize>,
    /// Innocent lines that are found.
    pub accused: Vec<usize>,
    /// Lines that are neither and are found.
    pub others: Vec<usize>,
    /// A line that a client could provoke, and who else is blamed for it.
    pub led: Option<(String, String)>,
    /// How many lines that a client could provoke were tried.
    pub provoked: usize,
    /// What lint says of the two files.
    pub findings: Vec<LintFinding>,
}

impl DraftTrial {
    /// Whether the filter may be used as it is.
    pub fn is_passed(&self) -> bool {
        self.missed.is_empty()
            && self.accused.is_empty()
            && self.led.is_none()
            && self.findings.is_empty()
    }
}

/// The lines of a log, and which of them were marked.
#[derive(Debug)]
pub struct DraftLog<'l> {
    /// All lines.
    pub lines: &'l [String],
    /// Attack lines.
    pub attacks: &'l BTreeSet<usize>,
    /// Innocent lines.
    pub innocent: &'l BTreeSet<usize>,
}

/// Whether an expression matches a text from its beginning to its end.
pub(super) fn matches(source: &str, text: &str) -> bool {
    let regex = FailRegex::new(&format!("^{source}$"), UseDns::No, false);
    regex.is_ok_and(|regex| matches!(regex.regex().search(text), Ok(Some(_))))
}

/// Whose address stands for that of somebody else.
const OTHERS: [&str; 2] = ["192.0.2.66", "198.51.100.66"];

struct DraftJudge {
    filter: Filter,
    clock: Clock,
    /// Finds the dates of lines that stand for entries of the journal.
    journal: Option<DateDetector>,
    outcome: LineOutcome,
}

impl DraftJudge {
    /// Whom the filter blames for a line. The journal gives it without its date.
    fn blamed(&mut self, line: &str) -> Vec<String> {
        let now = self.clock.now;
        let date = self.journal.as_ref().map(|_| ("", now));
        let undated = self
            .journal
            .as_mut()
            .map(|dates| dates::undated(Some(dates), line, now));
        let line = undated.as_deref().map_or(line, str::trim_start);
        let manner = ExamineMode {
            window: false,
            ..ExamineMode::DAEMON
        };
        self.filter
            .examine(line, date, &self.clock, manner, &mut self.outcome);
        let ids = self
            .outcome
            .found
            .iter()
            .filter_map(|found| match &found.id {
                Some(FailureId::Address(address)) => Some(address.to_string()),
                Some(FailureId::Name(name)) => Some(name.clone()),
                None => None,
            });
        ids.collect()
    }
}

impl Draft {
    /// Tries the draft as a part of the configuration below `config`; `now` completes dates without a year.
    ///
    /// # Errors
    /// The filter's file cannot be used at all: what the reader of configurations says.
    pub fn tried(
        &self,
        files: &dyn Files,
        config: &str,
        log: &DraftLog<'_>,
        now: Timestamp,
    ) -> Result<DraftTrial, String> {
        let (filter_path, jail_path) = self.paths(config);
        let files = Overlay::new(
            files,
            vec![
                (filter_path.clone(), self.filter_file()),
                (jail_path.clone(), self.jail_file()),
            ],
        );
        let backend = match self.source {
            DraftSource::Log(_) => "auto",
            DraftSource::Journal(_) => "systemd",
        };
        let found = lookup::lookup(&files, config, &format!("{}.conf", self.name), backend);
        let found = found.map_err(|error| error.to_string())?;
        let options = found.ok_or("the filter is not found")?.options;
        let mut judge = DraftJudge {
            filter: filter_of(&self.name, &options)?,
            clock: Clock {
                now,
                in_operation: true,
                findtime: 600.0,
            },
            journal: matches!(self.source, DraftSource::Journal(_)).then(DateDetector::default),
            outcome: LineOutcome::default(),
        };
        let mut trial = DraftTrial::default();
        let mut accused = self.accused.iter();
        for (number, line) in log.lines.iter().enumerate() {
            let blamed = judge.blamed(line);
            if log.attacks.contains(&number) {
                if accused.next().is_none_or(|id| blamed != [id.as_str()]) {
                    trial.missed.push(number);
                }
            } else if blamed.is_empty() {
                continue;
            } else if log.innocent.contains(&number) {
                trial.accused.push(number);
            } else {
                trial.others.push(number);
            }
        }
        self.lead(&mut judge, log, &mut trial);
        let concerns = |finding: &LintFinding| {
            let file = finding.place.as_ref().map(|place| &*place.origin.file);
            let here = file.is_some_and(|file| file == filter_path || file == jail_path);
            finding.severity > Severity::Note
                && (here || finding.jail.as_ref() == Some(&self.name))
                // the log may be a copy, and the jail may be meant for another machine
                && finding.kind != "missing-log"
        };
        trial.findings = lint::lint(&files, config)
            .into_iter()
            .filter(concerns)
            .collect();
        Ok(trial)
    }

    /// Where the filter and the jail are written below a directory.
    pub fn paths(&self, directory: &str) -> (String, String) {
        let filter = join(directory, &format!("filter.d/{}.conf", self.name));
        (
            filter,
            join(directory, &format!("jail.d/{}.local", self.name)),
        )
    }

    /// Writes into every field that a client may have filled what looks like the rest of a line about
    /// somebody else.
    fn lead(&self, judge: &mut DraftJudge, log: &DraftLog<'_>, trial: &mut DraftTrial) {
        /// What comes before a piece: what may end a field.
        const BEFORE: [&str; 9] = ["", "x", "x ", "x\" ", "x' ", "x> ", "x\\\" ", "x, ", "x] "];
        /// Of more attempts than these, as many are tried, evenly spread.
        const MOST: usize = 10_000;
        let is_new = |other: &&str| !log.lines.iter().any(|line| line.contains(*other));
        let Some(other) = OTHERS.into_iter().find(is_new) else {
            return;
        };
        let mut pieces: BTreeSet<String> = BTreeSet::new();
        let mut fields: Vec<(&str, usize, usize)> = Vec::new();
        for expression in &self.expressions {
            let own = &expression.shape.lines[0];
            pieces.extend(pieces_of(own, expression.shape.accused, other));
            let whole = log.attacks.iter().nth(own.number);
            let whole = whole.map_or("", |&number| &log.lines[number]);
            for place in expression.open() {
                let (start, end) = own.tokens[place].inner();
                let field = own.place_in(whole, start, end);
                fields.extend(field.map(|(start, end)| (whole, start, end)));
            }
        }
        let count = fields.len() * pieces.len() * BEFORE.len();
        let step = count / MOST + 1;
        let attempts = fields.iter().flat_map(|field| {
            let pieces = pieces.iter();
            pieces.flat_map(move |piece| BEFORE.iter().map(move |begin| (field, piece, begin)))
        });
        for ((whole, start, end), piece, begin) in attempts.step_by(step) {
            let line = format!("{}{begin}{piece}{}", &whole[..*start], &whole[*end..]);
            trial.provoked += 1;
            if judge.blamed(&line).iter().any(|id| id == other) {
                trial.led = Some((line, other.to_owned()));
                return;
            }
        }
    }
}

/// Parts of a line around its address, with the address of somebody else.
fn pieces_of(line: &super::shape::ShapedLine, accused: usize, other: &str) -> BTreeSet<String> {
    /// How many tokens before and behind the address begin or end a piece.
    const NEAR: usize = 14;
    let tokens = &line.tokens;
    let address = tokens[accused];
    let behind = &line.text[address.end..];
    let first = accused.saturating_sub(NEAR);
    let mut starts: Vec<usize> = tokens[first..=accused]
        .iter()
        .map(|token| token.start)
        .collect();
    starts.push(0);
    let near = tokens[accused..].iter().take(6).map(|token| token.end);
    let ends: Vec<usize> = near.chain([line.text.len()]).collect();
    let mut pieces = BTreeSet::new();
    for start in starts {
        for end in &ends {
            let rest = &behind[..end - address.end];
            pieces.insert(format!("{}{other}{rest}", &line.text[start..address.start]));
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::shipped::{DIR, Shipped};

    #[test]
    fn an_expression_that_can_be_led_does_not_pass() {
        let lines = ["bob", "eve", "ann", "joe"].map(|user| {
            format!("2026-11-20 10:00:00 refused user={user} from=192.0.2.1 agent={user}x")
        });
        let attacks: Vec<&str> = lines.iter().map(String::as_str).collect();
        let now = 1_795_168_800.0;
        let source = DraftSource::Log("/dev/null".to_owned());
        let mut draft = Draft::new(source, &attacks, &[], now).expect("a draft");
        draft.name = "app".to_owned();
        let log = DraftLog {
            lines: &lines,
            attacks: &(0..4).collect(),
            innocent: &BTreeSet::new(),
        };
        let trial = draft.tried(&Shipped, DIR, &log, now).expect("a filter");
        assert!(trial.is_passed() && trial.provoked > 100, "{trial:?}");
        for expression in &mut draft.expressions {
            expression.open_up();
        }
        let trial = draft.tried(&Shipped, DIR, &log, now).expect("a filter");
        assert!(trial.missed.is_empty() && !trial.is_passed(), "{trial:?}");
        let other = trial.led.as_ref().map(|(_, id)| id.as_str());
        assert_eq!(other, Some(OTHERS[0]), "{trial:?}");
        let kinds: Vec<&str> = trial.findings.iter().map(|f| f.kind).collect();
        assert!(kinds.contains(&"log-injection"), "{kinds:?}");
    }
}
