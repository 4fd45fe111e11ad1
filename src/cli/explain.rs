//! `ferroban explain`: why a line counts for a jail or does not, why an address was banned or not
//! ([`offender`]), why a jail does nothing ([`walk`]); in one sentence with a cure. Of a line step by step: the date, what the prefilter, prefregex, failregexes and ignoreregexes say, the session,
//! the count, the ban; and for a line that does not match, which regex came furthest, where it
//! stopped, and which small change would help.

mod answer;
pub(super) mod arguments;
mod feed;
mod json;
mod judge;
mod marks;
mod near;
mod offender;
mod own_log;
mod places;
mod text;
mod walk;
mod words;

use std::ffi::OsString;
use std::io::{self, BufWriter, Cursor, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use self::answer::LineAnswer;
use self::arguments::ExplainArguments;
use self::judge::{LineJudge, LineResult};
use self::offender::ExplainedId;
use self::places::LinePlaces;
use self::walk::ExplainWalk;
use super::replay;
use super::replay::lines::{Input, ReplayLines};
use super::replay::logs::ReplayLogs;
use crate::address::Address;
use crate::clock;
use crate::filter::{Filter, Trace};
use crate::jail::replay::{JudgedFailure, LineKind};
use crate::lint::{hint, nearest};
use crate::source::compressed::ByteMeter;
use crate::ticket::Timestamp;

/// What is known about one line in the end.
struct ExplainRun<'a> {
    line: &'a str,
    seen: LineKind,
    trace: Trace,
    filter: &'a Filter,
    /// What the jail made of it; `None` where there is only a filter.
    judged: Option<&'a [JudgedFailure]>,
    /// The failures in it, also for a filter.
    found: &'a [JudgedFailure],
    /// Rules by which the jail may ignore somebody that were not asked.
    not_asked: &'a [String],
    /// The name of the jail.
    jail: Option<&'a str>,
    /// Where its settings were written.
    places: &'a LinePlaces,
    /// Words of `ignoreip`.
    ignored: &'a [String],
    /// How long failures count, in seconds.
    findtime: f64,
    /// The real time.
    present: Timestamp,
}

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let arguments = match ExplainArguments::parse(args) {
        Ok(arguments) => arguments,
        Err(error) => return super::refused(&error),
    };
    match run(&arguments) {
        Ok(false) => ExitCode::from(replay::INCOMPLETE),
        result => super::ended("explain", result.map(|_| ())),
    }
}

/// What is to be explained.
enum Subject {
    /// Lines, and files of them.
    Lines,
    /// An address, and the logs to look in if not those of the jails.
    Address(Address, Vec<String>),
    /// Jails.
    Jails(Vec<String>),
}

/// Whether everything could be read.
fn run(arguments: &ExplainArguments) -> anyhow::Result<bool> {
    let present = clock::now();
    let mut out = BufWriter::new(io::stdout().lock());
    match subject(arguments)? {
        Subject::Lines => {
            drop(out);
            let judges = match &arguments.filter {
                Some(name) => vec![LineJudge::of_filter(arguments, name)?],
                None => LineJudge::of_jails(arguments)?,
            };
            return lines(arguments, judges, present);
        }
        Subject::Address(id, logs) => {
            let offender = ExplainedId::of(arguments, id, &logs)?;
            match arguments.json {
                true => writeln!(out, "{}", offender.json())?,
                false => offender.print(arguments.verbose, &mut out)?,
            }
        }
        Subject::Jails(names) => {
            for name in names {
                let walk = ExplainWalk::of(arguments, &name)?;
                match arguments.json {
                    true => writeln!(out, "{}", walk.json())?,
                    false => walk.print(arguments.verbose, &mut out)?,
                }
            }
        }
    }
    out.flush()?;
    Ok(true)
}

/// What the arguments are. With `--filter` they are lines; with `--jail` lines or an address.
///
/// # Errors
/// A word that is none of them.
fn subject(arguments: &ExplainArguments) -> anyhow::Result<Subject> {
    let what = arguments.what.as_slice();
    let address = |word: &String| match Address::parse(word) {
        Address::Raw(_) => None,
        id => Some(id),
    };
    if arguments.filter.is_some() {
        return Ok(Subject::Lines);
    }
    if let [first, logs @ ..] = what
        && let Some(id) = address(first)
        && logs.iter().all(|log| is_file(log))
    {
        return Ok(Subject::Address(id, logs.to_vec()));
    }
    let is_word = |text: &&String| !text.contains(' ') && !is_file(text);
    let Some(word) = what
        .iter()
        .find(is_word)
        .filter(|_| arguments.jail.is_none())
    else {
        return Ok(Subject::Lines);
    };
    let config = &arguments.config;
    let jails =
        replay::jails::names_of_jails(config).with_context(|| format!("cannot read {config}"))?;
    if what.iter().all(|word| jails.contains(word)) {
        return Ok(Subject::Jails(what.to_vec()));
    }
    let meant = hint(nearest(word, jails.iter().map(String::as_str), 2));
    bail!(
        "'{word}' is no address, no file and no jail of {config} (a line of one word needs --jail or --filter){meant}"
    )
}

/// Lines, each as every jail takes it; whether all could be read.
fn lines(
    arguments: &ExplainArguments,
    mut judges: Vec<LineJudge>,
    present: Timestamp,
) -> anyhow::Result<bool> {
    let mut logs = ReplayLogs::new(ByteMeter::default());
    if judges.len() > 1 && arguments.what.iter().any(|log| log == "-") {
        let kept = logs.keep_standard_input();
        kept.context("cannot keep standard input for more than one jail")?;
    }
    // all of them before the first line is read: any may have the date that the clock begins with
    let sources: Vec<Vec<ReplayLines>> = arguments
        .what
        .iter()
        .map(|log| {
            let mut of_judges = judges.iter_mut();
            let input = |judge: &mut LineJudge| {
                let encoding = judge.jail.core_mut().encoding().to_owned();
                let input = match is_file(log) {
                    true => logs.input(log, &encoding),
                    false => Input {
                        path: String::new(),
                        log: Ok(Box::new(Cursor::new(log.clone()))),
                        encoding: "utf-8".to_owned(),
                    },
                };
                ReplayLines::new(vec![input], &mut judge.jail, present)
            };
            of_judges.by_ref().map(input).collect()
        })
        .collect();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut first = true;
    let mut whole = true;
    for mut source in sources {
        loop {
            let read: Vec<Option<String>> = source.iter_mut().map(ReplayLines::next).collect();
            if read.iter().all(Option::is_none) {
                break;
            }
            let taken = judges.iter_mut().zip(&read);
            let told: Vec<LineResult<'_>> = taken
                .filter_map(|(judge, line)| Some(judge.tell(line.as_deref()?, present)))
                .collect();
            for told in chosen(told, arguments.json) {
                if arguments.missed && told.explanation.trace.matched().is_some() {
                    continue;
                }
                let (explanation, answer) = (&told.explanation, &told.answer);
                if arguments.json {
                    writeln!(out, "{}", json::object(explanation, answer))?;
                    continue;
                }
                if !std::mem::take(&mut first) {
                    writeln!(out)?;
                }
                text::print(explanation, answer, arguments.verbose, &mut out)?;
            }
        }
        for (path, error) in source.swap_remove(0).failed() {
            whole = false;
            eprintln!("ferroban explain: {path}: {error}");
        }
    }
    out.flush()?;
    Ok(whole)
}

/// Of the jails that took a line, those for which it counts; where it counts for none, the one for
/// which it came closest.
fn chosen(mut told: Vec<LineResult<'_>>, all: bool) -> Vec<LineResult<'_>> {
    if all || told.len() < 2 {
        return told;
    }
    if told.iter().any(|told| told.answer.counts) {
        told.retain(|told| told.answer.counts);
        return told;
    }
    let closest = told
        .iter()
        .enumerate()
        // of equals the first
        .rev()
        .max_by_key(|(_, told)| told.answer.closeness)
        .map_or(0, |(index, _)| index);
    vec![told.swap_remove(closest)]
}

/// Whether an argument names a file rather than being a line: there is one, or the name of one is
/// all it could be.
fn is_file(text: &str) -> bool {
    text == "-" || Path::new(text).exists() || text.starts_with('/') && !text.contains([' ', '\n'])
}
