//! `ferroban explain`: what a jail or a filter makes of log lines, step by step: the date, what
//! the prefilter, prefregex, failregexes and ignoreregexes say, the session, the count, the ban;
//! and for a line that does not match, which regex came furthest and where it stopped.

mod arguments;
mod json;
mod marks;
mod text;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};

use self::arguments::Arguments;
use super::replay;
use crate::config;
use crate::config::filter::FilterOptions;
use crate::control::{JailSetting, Value};
use crate::filter::{Filter, Trace, Tracer};
use crate::jail::replay::{Judged, ReplayJail};
use crate::source::compressed::Meter;

/// What is known about one line in the end.
struct Explanation<'a> {
    line: &'a str,
    trace: Trace,
    filter: &'a Filter,
    /// What the jail made of it; `None` where there is only a filter.
    judged: Option<&'a [Judged]>,
}

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::parse(args) {
        Ok(arguments) => arguments,
        Err(error) => return super::refused(&error),
    };
    super::ended("explain", run(&arguments))
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut jail = match &arguments.jail {
        Some(name) => jail_of(arguments, name)?,
        None => filter_of(arguments)?,
    };
    let present = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock stands before 1970")?
        .as_secs_f64();
    let mut tracer = Tracer::new(jail.filter_mut());
    let mut out = BufWriter::new(io::stdout().lock());
    let mut first = true;
    let mut explain = |line: &str, jail: &mut ReplayJail| -> anyhow::Result<()> {
        jail.line(line, present, &mut Vec::new());
        let trace = tracer.trace(jail.filter_mut(), line, present);
        if arguments.missed && trace.matched().is_some() {
            return Ok(());
        }
        let explanation = Explanation {
            line,
            trace,
            judged: arguments.jail.is_some().then(|| jail.judged()),
            filter: jail.filter(),
        };
        if arguments.json {
            writeln!(out, "{}", json::object(&explanation))?;
            return Ok(());
        }
        if !std::mem::take(&mut first) {
            writeln!(out)?;
        }
        text::print(&explanation, &mut out)?;
        Ok(())
    };
    for log in &arguments.lines {
        if log == "-" || Path::new(log).is_file() {
            let logs = std::slice::from_ref(log);
            let encoding = jail.core_mut().encoding().to_owned();
            let meter = Meter::default();
            let mut lines = replay::lines::Lines::open(logs, &encoding, present, &meter)?;
            while let Some(line) = lines.next()? {
                explain(&line, &mut jail)?;
            }
        } else {
            for line in log.lines() {
                explain(line, &mut jail)?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

/// A jail of the configuration, enabled or not.
fn jail_of(arguments: &Arguments, name: &str) -> anyhow::Result<ReplayJail> {
    let jails = replay::jails::read(&replay::arguments::Arguments {
        config: arguments.config.clone(),
        jails: vec![name.to_owned()],
        logs: vec!["-".to_owned()],
        commands: false,
        json: false,
        lines: false,
    })?;
    let jail = jails.into_iter().next();
    jail.map(|jail| jail.jail)
        .with_context(|| format!("no jail '{name}'"))
}

/// A filter of the configuration with its options, or a failregex as it stands.
fn filter_of(arguments: &Arguments) -> anyhow::Result<ReplayJail> {
    let Some(name) = &arguments.filter else {
        bail!("name a jail (--jail) or a filter (--filter)");
    };
    let found = config::find_filter(Path::new(&arguments.config), name, "auto")?;
    let options = match found {
        Some(found) => found.options,
        None => FilterOptions {
            failregex: vec![name.clone()],
            ..FilterOptions::default()
        },
    };
    let mut jail = ReplayJail::new("filter");
    let settings = [
        options.prefregex.map(JailSetting::PrefRegex),
        options
            .maxlines
            .map(|n| JailSetting::MaxLines(Value::Int(n))),
        options.datepattern.map(JailSetting::DatePattern),
        Some(JailSetting::AddFailRegex(options.failregex)),
        Some(JailSetting::AddIgnoreRegex(options.ignoreregex)),
    ];
    for setting in settings.into_iter().flatten() {
        jail.apply(&setting)?;
    }
    Ok(jail)
}
