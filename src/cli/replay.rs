//! `ferroban replay`: the configured jails over log files, with the time of the lines as the clock
//! and no side effects. Prints who would have been banned, when, by which jail, after which lines
//! and until when.

pub(super) mod arguments;
pub(super) mod jails;
pub(super) mod lines;
mod report;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};

use self::arguments::Arguments;
use self::jails::Replayed;
use self::lines::Lines;
use self::report::Report;
use crate::cli::progress::Progress;
use crate::jail::replay::Event;
use crate::source::compressed::Meter;

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    match Arguments::parse(args) {
        Ok(arguments) => super::ended("replay", run(&arguments)),
        Err(error) => super::refused(&error),
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut jails = jails::read(arguments)?;
    if jails.is_empty() {
        bail!(
            "no jail is enabled in {}; name one with --jail",
            arguments.config
        );
    }
    let present = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock stands before 1970")?
        .as_secs_f64();
    let meter = Meter::default();
    let logs = jails.iter().flat_map(|jail| &jail.logs);
    let mut progress = Progress::new(logs.map(String::as_str), &meter, !arguments.json);
    let mut events = Vec::new();
    for jail in &mut jails {
        replay(jail, present, &meter, &mut progress, &mut events)?;
    }
    progress.finish();
    // jails were run one after the other; their events are told in the order of time
    events.sort_by(|(a, _), (b, _)| a.time().total_cmp(&b.time()));
    let mut report = Report::new(arguments, io::stdout().lock());
    for (event, jail) in &events {
        report.event(event, &mut jails[*jail])?;
    }
    report.summary(&jails)?;
    io::stdout().flush()?;
    Ok(())
}

/// Runs one jail over its logs.
fn replay(
    jail: &mut Replayed,
    present: f64,
    meter: &Meter,
    progress: &mut Progress,
    all: &mut Vec<(Event, usize)>,
) -> anyhow::Result<()> {
    let mut events = Vec::new();
    let encoding = jail.jail.core_mut().encoding().to_owned();
    let mut lines = Lines::open(&jail.logs, &encoding, present, meter)?;
    while let Some(line) = lines.next()? {
        jail.jail.line(&line, present, &mut events);
        progress.tick();
    }
    all.extend(events.into_iter().map(|event| (event, jail.index)));
    Ok(())
}
