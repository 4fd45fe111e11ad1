//! The systemd journal: entries become lines as the original formats them (facts K10 to K13).
//!
//! [`JournalOptions`] are the options in `backend = systemd[…]`, [`JournalMatches`] the matches of
//! `addjournalmatch`. [`mod@follow`] starts a thread that reads for one jail and resumes after a rotation;
//! [`JournalReader`] reads what exists, for programs.
//!
//! A filter that reads a journal is told by `Filter::disable_dates`. Entries come from libsystemd where
//! the system has it, otherwise from a `journalctl` child ([`child`]).

mod child;
mod entry;
mod follow;
mod library;
mod options;
mod position;

use std::io;

use self::child::JournalctlChild;
pub use self::entry::JournalEntry;
use self::entry::{EntryFields, LineBuilder};
pub use self::follow::{EntryBatch, Following, follow};
use self::library::LibraryReader;
pub use self::options::{JournalMatches, JournalOptions, JournalOptionsError};
pub use self::position::{JournalPosition, JournalStart};
use crate::python::encoding::Encoding;
use crate::sys::journal;
use crate::ticket::Timestamp;

/// All entries of a journal that match, from the first to the last.
///
/// Must stay on its thread.
#[derive(Debug)]
pub struct JournalReader {
    way: JournalSource,
    builder: LineBuilder,
    fields: EntryFields,
}

#[derive(Debug)]
enum JournalSource {
    Library(LibraryReader),
    Child(JournalctlChild),
}

impl JournalReader {
    /// Opens a journal before its first entry; bytes that are not UTF-8 are taken for `encoding`.
    ///
    /// # Errors
    /// No such journal, no permission; neither libsystemd nor journalctl on this system.
    pub fn open(
        options: &JournalOptions,
        matches: &JournalMatches,
        encoding: Encoding,
    ) -> io::Result<JournalReader> {
        JournalReader::start(options, matches, encoding, None)
    }

    /// As [`JournalReader::open`], before the first entry of this time or later.
    ///
    /// # Errors
    /// As there.
    pub fn since(
        options: &JournalOptions,
        matches: &JournalMatches,
        encoding: Encoding,
        time: Timestamp,
    ) -> io::Result<JournalReader> {
        let cursor = None;
        JournalReader::start(
            options,
            matches,
            encoding,
            Some(&JournalStart { time, cursor }),
        )
    }

    fn start(
        options: &JournalOptions,
        matches: &JournalMatches,
        encoding: Encoding,
        start: Option<&JournalStart>,
    ) -> io::Result<JournalReader> {
        let way = match journal::is_available() {
            true => JournalSource::Library(LibraryReader::open(options, matches, start)?),
            false => JournalSource::Child(JournalctlChild::start(options, matches, start)?),
        };
        Ok(JournalReader {
            way,
            builder: LineBuilder::new(encoding),
            fields: EntryFields::default(),
        })
    }

    /// The next entry, or `None` after the last.
    ///
    /// # Errors
    /// A damaged file; a journalctl that failed.
    pub fn next_entry(&mut self) -> io::Result<Option<JournalEntry>> {
        let found = match &mut self.way {
            JournalSource::Library(library) => library.next_fields(&mut self.fields)?,
            JournalSource::Child(child) => child.next_fields(&mut self.fields)?,
        };
        Ok(found.then(|| self.builder.entry(&self.fields)))
    }
}

#[cfg(test)]
#[path = "../../../tests/common/journal_file.rs"]
mod journal_file;

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries at these seconds, with newlines and bytes in their messages.
    fn journal(file: &std::path::Path, times: impl Iterator<Item = u64>) {
        let mut entries = Vec::new();
        for time in times {
            let unit = ["ssh", "cron"][time as usize % 2];
            let text = format!(
                "__REALTIME_TIMESTAMP={time}000000\n__MONOTONIC_TIMESTAMP={time}\n\
                 _BOOT_ID=0123456789abcdef0123456789abcdef\n_HOSTNAME=srv\n\
                 SYSLOG_IDENTIFIER=kernel\n_SYSTEMD_UNIT={unit}.service\n"
            );
            entries.extend(text.as_bytes());
            let message = [b"one\ntwo \xff ", time.to_string().as_bytes()].concat();
            entries.extend(b"MESSAGE\n");
            let length = (message.len() as u64).to_le_bytes();
            for part in [&length[..], &message, b"\n\n"] {
                entries.extend(part);
            }
        }
        journal_file::write(file, &entries);
    }

    fn all(mut next: impl FnMut(&mut EntryFields) -> io::Result<bool>) -> Vec<JournalEntry> {
        let mut fields = EntryFields::default();
        let mut builder = LineBuilder::new(Encoding::utf_8());
        let mut entries = Vec::new();
        while next(&mut fields).expect("readable") {
            entries.push(builder.entry(&fields));
        }
        entries
    }

    #[test]
    fn library_and_child_read_the_same() {
        let directory = tempfile::tempdir().expect("directory");
        let file = directory.path().join("a.journal");
        journal(&file, 1_700_000_000..1_700_000_100);
        let name = file.to_str().expect("text").to_owned();
        let options = JournalOptions::read([("journalfiles".to_owned(), name)]).expect("options");
        let mut matches = JournalMatches::default();
        matches
            .add(&["_SYSTEMD_UNIT=ssh.service".to_owned()])
            .expect("a match");

        let mut library = LibraryReader::open(&options, &matches, None).expect("opens");
        let entries = all(|fields| library.next_fields(fields));
        assert_eq!(entries.len(), 50);
        assert!(
            entries[0]
                .line
                .starts_with("srv kernel: [ 1700.000000] one\\ntwo")
        );
        let mut child = JournalctlChild::start(&options, &matches, None).expect("starts");
        assert_eq!(all(|fields| child.next_fields(fields)), entries);

        // from a time, and after an entry
        let mut start = JournalStart {
            time: 1_700_000_049.5,
            cursor: None,
        };
        for expected in [25, 0] {
            let mut library = LibraryReader::open(&options, &matches, Some(&start)).expect("opens");
            let read = all(|fields| library.next_fields(fields));
            assert_eq!(read, entries[entries.len() - expected..], "{start:?}");
            let mut child =
                JournalctlChild::start(&options, &matches, Some(&start)).expect("starts");
            let read = all(|fields| child.next_fields(fields));
            assert_eq!(read, entries[entries.len() - expected..], "{start:?}");
            start.cursor = start.cursor.or_else(|| library.cursor().ok());
        }
    }

    #[test]
    fn a_child_that_dies_is_noticed() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().to_str().expect("text").to_owned();
        journal(
            &directory.path().join("a.journal"),
            1_700_000_000..1_700_000_002,
        );
        let options = JournalOptions::read([("journalpath".to_owned(), path)]).expect("options");
        let start = JournalStart {
            time: 0.0,
            cursor: None,
        };
        let mut child = JournalctlChild::start(&options, &JournalMatches::default(), Some(&start))
            .expect("starts");
        assert_eq!(all(|fields| child.next_fields(fields)).len(), 2);
        child.kill();
        assert!(child.next_fields(&mut EntryFields::default()).is_err());
    }
}
