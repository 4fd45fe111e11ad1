//! A jail over what its logs hold of the last day, with the engine of `ferroban replay`.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use crate::cli::machine::HostMachine;
use crate::cli::replay::jails::{ReplaySource, Replayed};
use crate::cli::replay::lines::{Input, ReplayLines};
use crate::jail::replay::{ReplayEvent, ReplayTally};
use crate::python::encoding::Encoding;
use crate::source::compressed::{self, ByteMeter};
use crate::source::journal::{JournalOptions, JournalReader};
use crate::ticket::Timestamp;

/// So much of the end of a log is read at most (16 MiB).
const MOST_BYTES: u64 = 16 << 20;
/// So many entries of the journal are read at most.
const MOST_ENTRIES: u64 = 200_000;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Dry {
    /// Lines of the last day.
    pub lines: u64,
    /// Failures among them.
    pub failures: u64,
    /// Bans that there would have been.
    pub bans: u64,
    /// A bound was met before the day was read.
    pub cut: bool,
    /// Whether there is any entry, be it older, where the journal is read.
    pub has_entries: bool,
    /// What could not be read, with the reason.
    pub unread: Vec<(String, String)>,
}

/// Runs a jail from `since` to `present`.
pub fn run(
    jail: &mut Replayed,
    machine: &HostMachine,
    since: Timestamp,
    present: Timestamp,
) -> Dry {
    let mut dry = Dry::default();
    let mut events = Vec::new();
    let encoding = jail.jail.core_mut().encoding().to_owned();
    match &jail.source {
        ReplaySource::Files(paths) => {
            let mut shortened = false;
            let inputs = paths.iter().map(|path| {
                let end = end_of(&machine.place(path));
                Input {
                    path: path.clone(),
                    log: end.map(|(end, short)| {
                        shortened |= short;
                        end
                    }),
                    encoding: encoding.clone(),
                }
            });
            let mut lines = ReplayLines::new(inputs.collect(), &mut jail.jail, present);
            let is_before = |clock: Option<Timestamp>| clock.is_none_or(|clock| clock < since);
            dry.cut = shortened && !is_before(jail.jail.clock());
            let mut before = ReplayTally::default();
            while let Some(line) = lines.next() {
                jail.jail.line(&line, present, &mut events);
                if is_before(jail.jail.clock()) {
                    before = jail.jail.tally();
                }
            }
            let tally = jail.jail.tally();
            dry.lines = tally.lines - before.lines;
            dry.failures = tally.failures - before.failures;
            let failed = lines.failed().into_iter();
            dry.unread
                .extend(failed.map(|(path, error)| (path, error.to_string())));
        }
        ReplaySource::Journal(options, matches) => {
            let elsewhere = JournalOptions::below(machine.root());
            let options = if machine.is_this() {
                options
            } else {
                &elsewhere
            };
            let encoding = || Encoding::named(&encoding).unwrap_or_else(Encoding::utf_8);
            let mut read = || -> io::Result<()> {
                let mut reader = JournalReader::since(options, matches, encoding(), since)?;
                while let Some(entry) = reader.next_entry()? {
                    if dry.lines == MOST_ENTRIES {
                        dry.cut = true;
                        break;
                    }
                    dry.lines += 1;
                    jail.jail.entry(&entry, present, &mut events);
                }
                dry.has_entries = dry.lines > 0
                    || JournalReader::open(options, matches, encoding())?
                        .next_entry()?
                        .is_some();
                Ok(())
            };
            if let Err(error) = read() {
                dry.unread
                    .push(("the journal".to_owned(), error.to_string()));
            }
            dry.failures = jail.jail.tally().failures;
        }
        // nobody proposes such a jail
        ReplaySource::Feed(_) => {}
    }
    let bans = events
        .iter()
        .filter(|event| matches!(event, ReplayEvent::Ban(_)));
    dry.bans = bans.filter(|ban| ban.time() >= since).count() as u64;
    dry
}

/// The end of a log from the beginning of a line, and whether that is not all.
fn end_of(path: &Path) -> io::Result<(Box<dyn Read + Send>, bool)> {
    // a pipe would be waited for
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size <= MOST_BYTES {
        return Ok((compressed::decompress(file, &ByteMeter::default())?, false));
    }
    file.seek(SeekFrom::Start(size - MOST_BYTES))?;
    let mut end = BufReader::new(file);
    end.skip_until(b'\n')?;
    Ok((Box::new(end), true))
}
