//! `ferroban explain`: what a jail or a filter makes of log lines, step by step: the date, what
//! the prefilter, prefregex, failregexes and ignoreregexes say, the session, the count, the ban;
//! and for a line that does not match, which regex came furthest and where it stopped.

pub(super) mod arguments;
mod json;
mod marks;
mod text;

use std::ffi::OsString;
use std::io::{self, BufWriter, Cursor, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};

use self::arguments::Arguments;
use super::replay;
use super::replay::jails::{Jails, LeftOut};
use super::replay::lines::{Input, Lines};
use super::replay::logs::Logs;
use crate::config;
use crate::config::files::Files as _;
use crate::config::filter::FilterOptions;
use crate::config::lookup::Place;
use crate::config::shipped::Shipped;
use crate::control::{JailSetting, Value};
use crate::filter::{Filter, Trace, Tracer};
use crate::jail::replay::{Judged, ReplayJail, Seen};
use crate::lint;
use crate::source::compressed::Meter;

/// What is known about one line in the end.
struct Explanation<'a> {
    line: &'a str,
    seen: &'a Seen,
    trace: Trace,
    filter: &'a Filter,
    /// What the jail made of it; `None` where there is only a filter.
    judged: Option<&'a [Judged]>,
    /// Rules by which the jail may ignore somebody that were not asked.
    not_asked: &'a [String],
}

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::parse(args) {
        Ok(arguments) => arguments,
        Err(error) => return super::refused(&error),
    };
    match run(&arguments) {
        Ok(false) => ExitCode::from(replay::INCOMPLETE),
        result => super::ended("explain", result.map(|_| ())),
    }
}

/// Whether everything could be read.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut jail = match &arguments.jail {
        Some(name) => jail_of(arguments, name)?,
        None => filter_of(arguments)?,
    };
    let present = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock stands before 1970")?
        .as_secs_f64();
    let not_asked = jail.not_asked();
    let encoding = jail.core_mut().encoding().to_owned();
    let logs = Logs::new(Meter::default());
    let inputs = arguments.lines.iter().map(|log| match is_file(log) {
        true => logs.input(log, &encoding),
        false => Input {
            path: String::new(),
            log: Ok(Box::new(Cursor::new(log.clone()))),
            encoding: "utf-8".to_owned(),
        },
    });
    // all of them before the first line is read: any may have the date that the clock begins with
    let sources: Vec<Lines> = inputs
        .map(|input| Lines::new(vec![input], &mut jail, present))
        .collect();
    let mut tracer = Tracer::new(jail.filter_mut());
    let mut out = BufWriter::new(io::stdout().lock());
    let mut first = true;
    let mut whole = true;
    for mut lines in sources {
        while let Some(line) = lines.next() {
            let seen = jail.line(&line, present, &mut Vec::new());
            let mut trace = tracer.trace(jail.filter_mut(), &line, present);
            if seen == Seen::Foreign {
                trace = Trace::default();
            }
            if arguments.missed && trace.matched().is_some() {
                continue;
            }
            let explanation = Explanation {
                line: &line,
                seen: &seen,
                trace,
                judged: arguments.jail.is_some().then(|| jail.judged()),
                filter: jail.filter(),
                not_asked: &not_asked,
            };
            if arguments.json {
                writeln!(out, "{}", json::object(&explanation))?;
                continue;
            }
            if !std::mem::take(&mut first) {
                writeln!(out)?;
            }
            text::print(&explanation, &mut out)?;
        }
        for (path, error) in lines.failed() {
            whole = false;
            eprintln!("ferroban explain: {path}: {error}");
        }
    }
    out.flush()?;
    Ok(whole)
}

/// Whether an argument names a file rather than being a line: there is one, or the name of one is
/// all it could be.
fn is_file(text: &str) -> bool {
    text == "-" || Path::new(text).exists() || text.starts_with('/') && !text.contains([' ', '\n'])
}

/// A jail of the configuration, enabled or not.
fn jail_of(arguments: &Arguments, name: &str) -> anyhow::Result<ReplayJail> {
    let Jails { jails, left_out } = replay::jails::read(&replay::arguments::Arguments {
        config: arguments.config.clone(),
        jails: vec![name.to_owned()],
        logs: vec!["-".to_owned()],
        commands: false,
        json: false,
        verbose: false,
    })?;
    match jails.into_iter().next() {
        Some(jail) => {
            for missing in left_out {
                eprintln!("ferroban explain: {missing}");
            }
            Ok(jail.jail)
        }
        None => match left_out.first() {
            Some(LeftOut { why, .. }) => bail!("jail '{name}' cannot be used: {why}"),
            None => bail!("no jail '{name}'"),
        },
    }
}

/// A filter of the configuration with its options, or a failregex as it stands.
fn filter_of(arguments: &Arguments) -> anyhow::Result<ReplayJail> {
    let Some(name) = &arguments.filter else {
        bail!("name a jail (--jail) or a filter (--filter)");
    };
    let config = Path::new(&arguments.config);
    let found = match config::find_filter(config, name, "auto") {
        Ok(found) => found,
        Err(error) => match error.to_string() {
            why if why.is_empty() => bail!("filter '{name}' cannot be read"),
            why => bail!("filter '{name}': {why}"),
        },
    };
    let (options, place) = match found {
        Some(found) => {
            for message in &found.messages {
                eprintln!("ferroban explain: {message}");
            }
            (found.options, shown_place(&found.place))
        }
        // whom it is about is named by a tag or a group
        None if !name.contains('<') => {
            let directory = format!("{}/filter.d", arguments.config);
            let (files, _) = Shipped.names(&directory);
            let filters = files.iter().filter_map(|file| file.strip_suffix(".conf"));
            let plain = name.split('[').next().unwrap_or(name);
            let meant = lint::hint(lint::nearest(plain, filters, 2));
            bail!(
                "there is no filter '{name}' in {directory}, and no <HOST> in it as in a failregex{meant}"
            );
        }
        None => {
            let options = FilterOptions {
                failregex: vec![name.clone()],
                ..FilterOptions::default()
            };
            (options, "the failregex".to_owned())
        }
    };
    if options.failregex.is_empty() {
        bail!("{place} has no failregex");
    }
    let mut jail = ReplayJail::new("filter");
    let set =
        |option: &str, value: Option<Value>| value.map(|value| JailSetting::set(option, value));
    let settings = [
        set("prefregex", options.prefregex.map(Value::from)),
        set("maxlines", options.maxlines.map(Value::from)),
        set("datepattern", options.datepattern.map(Value::from)),
        set("jsonmatch", options.jsonmatch.map(Value::from)),
        Some(JailSetting::AddFailRegex(options.failregex)),
        Some(JailSetting::AddIgnoreRegex(options.ignoreregex)),
    ];
    for setting in settings.into_iter().flatten() {
        let done = jail.apply(&setting);
        done.with_context(|| place.clone())?;
    }
    Ok(jail)
}

/// Where a filter was found, for messages.
fn shown_place(place: &Place) -> String {
    match place {
        Place::Jail(name) => format!("the filter of jail '{name}'"),
        Place::Filter { name, base } => format!("{base}/filter.d/{name}.conf"),
        Place::File(path) => path.clone(),
    }
}
