//! One run: set up, walk the lines, report.

use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::time::Instant;

use super::Stop;
use super::input::{Block, InputLines, trim};
use super::names::AddressNames;
use super::options::RegexOptions;
use super::output::{OutputForm, PrintedHit};
use super::records::{self, Records};
use super::regexes::{RegexSetup, shorten, tallies};
use super::tally::{LineGroup, RunTally};
use super::{json, report};
use crate::address::Address;
use crate::cli::progress::Progress;
use crate::clock::now;
use crate::config;
use crate::datetime::FixedOffset;
use crate::error;
use crate::filter::{Clock, ExamineMode, FailureId, Filter, LineHint, LineOutcome, is_told};
use crate::pattern::UseDns;
use crate::python::encoding::Encoding;
use crate::source::compressed::ByteMeter;
use crate::source::journal::{
    self, JournalEntry, JournalMatches, JournalOptionsError, JournalReader,
};

/// Lists longer than this are not printed unless asked for (fact X13).
const LISTED: usize = 20;

/// Does what `options` say.
pub(super) fn run(options: &RegexOptions, out: &mut impl Write) -> Result<(), Stop> {
    if options.tells() {
        writeln!(out, "\nRunning tests\n=============\n")?;
    }
    let records = records::install(&options.log_level, options.verbose)?;
    let result = walk(options, out, records.clone());
    // what was logged before an error often says more than the error
    records.drain(out)?;
    result
}

fn walk(options: &RegexOptions, out: &mut impl Write, records: Records) -> Result<(), Stop> {
    let filter = Filter::new("~jailless~");
    let mut setup = RegexSetup::new(options, out, records.clone(), filter)?;
    if options.log.starts_with("systemd-journal") && !Path::new(&options.log).is_file() {
        // a journal knows when its entries were written
        setup.filter.disable_dates();
    }
    if let Some(lines) = options.maxlines.filter(|n| *n != 0) {
        setup.maxlines(lines)?;
    }
    if let Some(zone) = &options.timezone {
        let zone = FixedOffset::parse(zone).map_err(|e| Stop::Wrong(format!("ERROR: {e}")))?;
        setup.filter.set_timezone(Some(zone));
    }
    if let Some(pattern) = &options.datepattern {
        setup.datepattern(pattern)?;
    }
    if let Some(usedns) = &options.usedns {
        setup.filter.set_usedns(read_usedns(usedns));
    }
    setup.failregex()?;
    if let Some(value) = &options.ignoreregex {
        setup.ignoreregex(value)?;
    }

    let encoding = match &options.encoding {
        None => Encoding::preferred(),
        Some(name) => Encoding::named(name)
            .ok_or_else(|| Stop::Fatal(format!("LookupError: unknown encoding: {name}")))?,
    };
    let meter = ByteMeter::default();
    let log = options.log.as_str();
    let mut sources = Vec::new();
    if Path::new(log).is_file() {
        sources.push(open(&mut setup, log, &encoding, &meter)?);
    } else if log.starts_with("systemd-journal") {
        sources.push(open_journal(&mut setup, log, &encoding)?);
    } else {
        sources.push(RegexInput::Text(text_lines(&mut setup, log)?));
    }
    for log in &options.also {
        sources.push(open(&mut setup, log, &encoding, &meter)?);
    }
    setup.tell(format_args!(""))?;

    let filter = setup.filter;
    let mut run = RegexRun::new(options, filter, out, encoding, records);
    let started = Instant::now();
    let logs: Vec<String> = std::iter::once(&options.log)
        .chain(&options.also)
        .cloned()
        .collect();
    // what is printed on the way would get between the bar
    let quiet = options.out.is_none() || !std::io::stdout().is_terminal();
    let mut progress = Progress::new(logs.iter().map(String::as_str), &meter, quiet);
    for source in sources {
        match source {
            RegexInput::File(mut lines) => loop {
                run.clock.now = now();
                if !lines.block(|block| run.block(block))? {
                    break;
                }
                progress.tick();
            },
            RegexInput::Journal(mut reader) => {
                let read = |e: &std::io::Error| Stop::Fatal(format!("OSError: {}", errno(e)));
                while let Some(JournalEntry { date, line, time }) =
                    reader.next_entry().map_err(|e| read(&e))?
                {
                    run.clock.now = now();
                    let whole = format!("{date}{line}");
                    run.entry(&line, LineHint::Date(&date, time), &whole)?;
                }
            }
            RegexInput::Text(lines) => {
                for line in lines {
                    run.line(line.trim_end_matches(['\r', '\n']), LineHint::Nothing)?;
                }
            }
        }
    }
    progress.finish();
    let elapsed = started.elapsed();
    run.show_records()?;
    if options.out.is_none() {
        let report = report::RegexReport {
            options,
            filter: &run.filter,
            tally: &run.tally,
            listed: run.listed,
            encoding: &run.encoding,
            elapsed,
        };
        match options.json {
            true => json::print(&report, &logs, run.out)?,
            false => report::print(&report, run.out)?,
        }
    }
    Ok(())
}

/// Opens a log file and tells so.
fn open<W: Write>(
    setup: &mut RegexSetup<'_, W>,
    log: &str,
    encoding: &Encoding,
    meter: &ByteMeter,
) -> Result<RegexInput, Stop> {
    let lines = InputLines::open(Path::new(log), encoding.clone(), meter)
        .map_err(|e| Stop::Wrong(format!("{}: '{log}'", errno(&e))))?;
    setup.tell(format_args!("Use         log file : {log}"))?;
    setup.tell(format_args!("Use         encoding : {}", encoding.name))?;
    Ok(RegexInput::File(Box::new(lines)))
}

/// Opens the journal that LOG describes and tells so.
fn open_journal<W: Write>(
    setup: &mut RegexSetup<'_, W>,
    log: &str,
    encoding: &Encoding,
) -> Result<RegexInput, Stop> {
    let fatal = |kind: &str, reason: String| Stop::Fatal(format!("{kind}: {reason}"));
    setup.tell(format_args!("Use         systemd journal"))?;
    setup.tell(format_args!("Use         encoding : {}", encoding.name))?;
    let definition = config::options::parse(log).map_err(|reason| fatal("ValueError", reason))?;
    let place =
        journal::JournalOptions::read(definition.arguments).map_err(|error| match error {
            JournalOptionsError::Unknown(_) => fatal("TypeError", error.to_string()),
            _ => fatal("ValueError", error.to_string()),
        })?;
    let mut matches = JournalMatches::default();
    if !setup.journalmatch.is_empty() {
        matches
            .add(&setup.journalmatch)
            .map_err(|error| fatal("ValueError", error.to_string()))?;
        let words = setup.journalmatch.join(" ");
        setup.tell(format_args!("Use    journal match : {words}"))?;
    }
    let reader = JournalReader::open(&place, &matches, encoding.clone())
        .map_err(|error| fatal("OSError", errno(&error)))?;
    Ok(RegexInput::Journal(Box::new(reader)))
}

enum RegexInput {
    File(Box<InputLines>),
    Journal(Box<JournalReader>),
    Text(Vec<String>),
}

/// The lines of LOG when it is no file (fact X1).
fn text_lines<W: Write>(setup: &mut RegexSetup<'_, W>, log: &str) -> Result<Vec<String>, Stop> {
    if setup.filter.maxlines() <= 1 && !log.contains('\n') {
        setup.tell(format_args!("Use      single line : {}", shorten(log)))?;
        return Ok(vec![log.to_owned()]);
    }
    let lines: Vec<String> = log.split('\n').map(str::to_owned).collect();
    setup.tell(format_args!(
        "Use      multi line : {} line(s)",
        lines.len()
    ))?;
    for (number, line) in lines.iter().enumerate() {
        if number >= 5 {
            setup.tell(format_args!("| ..."))?;
            break;
        }
        setup.tell(format_args!("| {:>2}: {}", number + 1, shorten(line)))?;
    }
    setup.tell(format_args!("`-"))?;
    Ok(lines)
}

fn read_usedns(text: &str) -> UseDns {
    match text.to_lowercase().as_str() {
        "yes" => UseDns::Yes,
        "warn" => UseDns::Warn,
        "no" => UseDns::No,
        "raw" => UseDns::Raw,
        other => {
            let value = crate::filter::quote(other);
            error!(
                "fail2ban.filter",
                "Incorrect value {value} specified for usedns. Using safe 'no'"
            );
            UseDns::No
        }
    }
}

/// An error of the system as Python shows it.
fn errno(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("[Errno {}] {text}", error.raw_os_error().unwrap_or(0))
}

/// A walk over lines.
struct RegexRun<'a, W> {
    options: &'a RegexOptions,
    filter: Filter,
    out: &'a mut W,
    encoding: Encoding,
    clock: Clock,
    manner: ExamineMode,
    outcome: LineOutcome,
    names: AddressNames,
    tally: RunTally,
    form: Option<OutputForm>,
    /// Most lines a list shows.
    listed: usize,
    /// Fields of the last match of the prefregex, shown.
    prefix: String,
    records: Records,
    /// The log wants to hear of every line (`-l tracedebug`, `-l heavydebug`).
    told: bool,
}

impl<'a, W: Write> RegexRun<'a, W> {
    fn new(
        options: &'a RegexOptions,
        filter: Filter,
        out: &'a mut W,
        encoding: Encoding,
        records: Records,
    ) -> RegexRun<'a, W> {
        let form = options
            .out
            .as_deref()
            .map(|form| OutputForm::read(form, options.json));
        let report = form.is_none();
        let listed = options
            .maxlines
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > 0)
            .unwrap_or(LISTED);
        let kind = |none: bool, all: bool| {
            let keep = match (none, all) {
                (true, _) => 0,
                (_, true) => usize::MAX,
                _ => listed + 1,
            };
            LineGroup::new(keep, options.debuggex)
        };
        RegexRun {
            manner: ExamineMode {
                every_regex: options.check_all && report,
                report_all: report,
                skip_pending: !report,
                raw_hosts: options.raw,
                window: false,
                evidence: form.as_ref().is_some_and(OutputForm::needs_matches),
                fields: !report,
                prefix_fields: report && options.verbose > 0,
            },
            tally: RunTally {
                tested: 0,
                matched: kind(!options.all_matched, options.all_matched),
                ignored: kind(options.no_ignored, options.all_ignored),
                missed: kind(options.no_missed, options.all_missed),
                prefregex: 0,
                prefixes: Vec::new(),
                failregexes: tallies(filter.failregexes()),
                ignoreregexes: tallies(filter.ignoreregexes()),
            },
            options,
            filter,
            out,
            encoding,
            clock: Clock {
                now: now(),
                in_operation: false,
                findtime: 0.0,
            },
            outcome: LineOutcome::default(),
            names: AddressNames::default(),
            form,
            listed,
            prefix: String::new(),
            records,
            told: is_told(),
        }
    }

    /// Tries the lines of a block.
    fn block(&mut self, block: Block<'_>) -> Result<(), Stop> {
        let text = match block {
            Block::Lines(text) => text,
            Block::Line(line) => return self.line(line, LineHint::Nothing),
        };
        let mut scan = self.filter.scan(text).filter(|_| !self.told);
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', text.as_bytes()) {
            let screened = scan.as_mut().and_then(|s| s.check(start, newline));
            let known = screened.map_or(LineHint::Nothing, LineHint::Prefiltered);
            self.line(trim(&text[start..newline]), known)?;
            start = newline + 1;
        }
        Ok(())
    }

    /// Tries one line (without its end).
    fn line(&mut self, line: &str, known: LineHint<'_>) -> Result<(), Stop> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        self.entry(line, known, line)
    }

    /// Tries a line of which something may be known; `whole` is how it is shown.
    fn entry(&mut self, line: &str, known: LineHint<'_>, whole: &str) -> Result<(), Stop> {
        let multi = self.filter.maxlines() > 1 && self.form.is_none();
        let before = multi.then(|| self.filter.buffered().to_vec());
        if self.told {
            self.filter.tell_line(line);
        }
        self.filter
            .examine_known(line, known, &self.clock, self.manner, &mut self.outcome);
        if self.told {
            self.filter.tell_search(self.manner.every_regex);
            self.show_records()?;
        }
        if self.form.is_some() {
            return self.print(whole);
        }

        let mut real = 0;
        let mut nofail = false;
        for found in &self.outcome.found {
            let resolved;
            let ids: &[Address] = match &found.id {
                None => &[],
                Some(FailureId::Address(address)) => std::slice::from_ref(address),
                Some(FailureId::Name(name)) => {
                    resolved = self.names.resolve(name, self.filter.usedns());
                    &resolved
                }
            };
            let count = if found.id.is_some() { ids.len() } else { 1 };
            let Some(tally) = self.tally.failregexes.get_mut(found.regex) else {
                continue;
            };
            for n in 0..count {
                tally.hits += 1;
                if self.options.verbose > 0 {
                    let id = ids.get(n).map_or("None".to_owned(), Address::to_string);
                    tally.details.push((id, found.time, real > 1));
                }
                if found.nofail {
                    nofail = true;
                } else {
                    real += 1;
                }
            }
        }
        for &index in &self.outcome.ignored_by {
            if let Some(tally) = self.tally.ignoreregexes.get_mut(index) {
                tally.hits += 1;
            }
        }
        self.count_prefix();

        let mut plain = None;
        if let Some(before) = before {
            let full = before.len() >= self.filter.maxlines();
            let mut lines =
                self.tally
                    .settle(&before, full, &self.filter, self.options.all_matched);
            if !lines.is_empty() {
                lines.push(self.filter.dateless_line().to_owned());
                plain = Some(lines.join("\n"));
            }
        }
        let kind = if nofail || !self.outcome.ignored_by.is_empty() {
            &mut self.tally.ignored
        } else if real > 0 {
            &mut self.tally.matched
        } else {
            &mut self.tally.missed
        };
        kind.add(whole, plain.as_deref());
        self.tally.tested += 1;
        Ok(())
    }

    fn count_prefix(&mut self) {
        if let Some(record) = &self.outcome.prefix {
            self.prefix = super::output::dict(record, None);
        }
        if self.filter.prefregex().is_none() || !self.filter.prefregex_matched() {
            return;
        }
        self.tally.prefregex += 1;
        if self.options.verbose > 0 {
            match self.tally.prefixes.len() {
                n if n < self.listed => self.tally.prefixes.push(self.prefix.clone()),
                n if n == self.listed => self.tally.prefixes.push("...".to_owned()),
                _ => {}
            }
        }
    }

    /// Prints the failures of a line in the form of `-o`, or with `-i` the line without any.
    fn print(&mut self, line: &str) -> Result<(), Stop> {
        self.show_records()?;
        let Some(form) = &self.form else {
            return Ok(());
        };
        let mut hits = Vec::new();
        for found in self.outcome.found.drain(..) {
            if found.nofail {
                continue;
            }
            match &found.id {
                Some(FailureId::Name(name)) => {
                    for address in self.names.resolve(name, self.filter.usedns()) {
                        hits.push(PrintedHit::new(Some(address), found.clone()));
                    }
                }
                Some(FailureId::Address(address)) => {
                    hits.push(PrintedHit::new(Some(address.clone()), found))
                }
                None => {}
            }
        }
        if self.options.invert == hits.is_empty() {
            if hits.is_empty() {
                hits.push(PrintedHit::missed(line, self.filter.last_date()));
            }
            form.print(&hits, self.out)?;
        }
        Ok(())
    }

    /// Prints log records that have gathered.
    fn show_records(&mut self) -> Result<(), Stop> {
        Ok(self.records.drain(self.out)?)
    }
}
