//! `ferroban replay`: the configured jails over log files or the journal, with the time of the lines
//! as the clock and no side effects. Prints who would have been banned, when, by which jail, after
//! which lines and until when.

pub(super) mod arguments;
pub(super) mod jails;
pub(super) mod lines;
pub(super) mod logs;
mod report;
mod summary;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use self::arguments::ReplayArguments;
use self::jails::{LeftOut, ReplayJails, ReplaySource, Replayed};
use self::lines::ReplayLines;
use self::logs::ReplayLogs;
use self::report::ReplayReport;
use crate::cli::colours::Colours;
use crate::cli::progress::Progress;
use crate::clock;
use crate::jail::replay::ReplayEvent;
use crate::python::encoding::Encoding;
use crate::source::compressed::ByteMeter;
use crate::source::journal::JournalReader;

/// The exit code when something was left out: the verdict is not whole.
pub(super) const INCOMPLETE: u8 = 1;

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let arguments = match ReplayArguments::parse(args) {
        Ok(arguments) => arguments,
        Err(error) => return super::refused(&error),
    };
    match run(&arguments) {
        Ok(false) => ExitCode::from(INCOMPLETE),
        result => super::ended("replay", result.map(|_| ())),
    }
}

/// Whether nothing was left out.
fn run(arguments: &ReplayArguments) -> anyhow::Result<bool> {
    let ReplayJails {
        mut jails,
        left_out: mut missing,
        ..
    } = jails::read(arguments)?;
    if jails.is_empty() && missing.is_empty() {
        bail!(
            "no jail is enabled in {}; name one with --jail",
            arguments.config
        );
    }
    tell(&missing);
    let present = clock::now();
    let meter = ByteMeter::default();
    let mut logs = ReplayLogs::new(meter.clone());
    if jails.len() > 1 && arguments.logs.iter().any(|log| log == "-") {
        let kept = logs.keep_standard_input();
        kept.context("cannot keep standard input for more than one jail")?;
    }
    let files = jails.iter().flat_map(|jail| match &jail.source {
        ReplaySource::Files(files) => files.as_slice(),
        _ => &[],
    });
    let files: Vec<String> = files.cloned().collect();
    let files = files.iter().map(String::as_str);
    let mut progress = Progress::new(files, &meter, !arguments.json);
    let mut events = Vec::new();
    for (index, jail) in jails.iter_mut().enumerate() {
        let mut own = Vec::new();
        let unread = replay(jail, present, &logs, &mut progress, &mut own);
        events.extend(own.into_iter().map(|event| (event, index)));
        tell(&unread);
        missing.extend(unread);
    }
    progress.finish();
    let is_read = |jail: &Replayed| jail.jail.tally().lines > 0;
    if !missing.is_empty() && !jails.iter().any(is_read) {
        bail!("nothing could be read");
    }
    // jails were run one after the other; their events are told in the order of time
    events.sort_by(|(a, _), (b, _)| a.time().total_cmp(&b.time()));
    let mut report = ReplayReport::new(arguments, io::stdout().lock(), Colours::of_output());
    for (event, jail) in &events {
        report.event(event, &mut jails, *jail)?;
    }
    report.summary(&jails, &missing)?;
    io::stdout().flush()?;
    Ok(missing.is_empty())
}

fn tell(left_out: &[LeftOut]) {
    for left_out in left_out {
        eprintln!("ferroban replay: {left_out}");
    }
}

/// Runs one jail over what it reads; answers what could not be read, or not to its end.
fn replay(
    jail: &mut Replayed,
    present: f64,
    logs: &ReplayLogs,
    progress: &mut Progress,
    events: &mut Vec<ReplayEvent>,
) -> Vec<LeftOut> {
    let encoding = jail.jail.core_mut().encoding().to_owned();
    let mut missing = Vec::new();
    let mut leave_out = |what: Option<String>, why: String| {
        missing.push(LeftOut {
            jail: jail.name.clone(),
            what,
            why,
        });
    };
    match &jail.source {
        ReplaySource::Files(paths) => {
            let inputs = paths.iter().map(|path| logs.input(path, &encoding));
            let mut lines = ReplayLines::new(inputs.collect(), &mut jail.jail, present);
            while let Some(line) = lines.next() {
                jail.jail.line(&line, present, events);
                progress.tick();
            }
            for (path, error) in lines.failed() {
                leave_out(Some(path), error.to_string());
            }
        }
        ReplaySource::Journal(options, matches) => {
            let encoding = Encoding::named(&encoding).unwrap_or_else(Encoding::utf_8);
            let read = || -> io::Result<()> {
                let mut reader = JournalReader::open(options, matches, encoding)?;
                while let Some(entry) = reader.next_entry()? {
                    jail.jail.entry(&entry, present, events);
                }
                Ok(())
            };
            if let Err(error) = read() {
                leave_out(Some("the journal".to_owned()), error.to_string());
            }
        }
        ReplaySource::Feed(name) => {
            let why = "what it was sent cannot be read again; give it a log to read";
            leave_out(Some(name.clone()), why.to_owned());
        }
    }
    missing
}
