//! systemd's journal: entries → lines as the original builds them (facts K10 to K13).
//!
//! [`Options`] is what stands in the brackets of `backend = systemd[…]`, [`Matches`] what
//! `addjournalmatch` has added. [`mod@follow`] starts a thread that reads for one jail and goes on when
//! the journal is rotated; [`Reader`] reads what is there, for programs.
//!
//! A filter that reads a journal is told so by `Filter::disable_dates`. Entries come from
//! libsystemd where the system has it, else from a `journalctl` child ([`child`]).

mod child;
mod entry;
mod follow;
mod library;
mod options;
mod place;

use std::io;

use self::child::Child;
pub use self::entry::Entry;
use self::entry::{Builder, Fields};
pub use self::follow::{Batch, Following, follow};
use self::library::Library;
pub use self::options::{Matches, Options, OptionsError};
pub use self::place::{Place, Start};
use crate::python::encoding::Encoding;
use crate::sys::journal;
use crate::ticket::Timestamp;

/// All entries of a journal that match, from the first to the last.
///
/// Must stay on its thread.
#[derive(Debug)]
pub struct Reader {
    way: Way,
    builder: Builder,
    fields: Fields,
}

#[derive(Debug)]
enum Way {
    Library(Library),
    Child(Child),
}

impl Reader {
    /// Opens a journal before its first entry; bytes that are not UTF-8 are taken for `encoding`.
    ///
    /// # Errors
    /// No such journal, no permission; neither libsystemd nor journalctl on this system.
    pub fn open(options: &Options, matches: &Matches, encoding: Encoding) -> io::Result<Reader> {
        Reader::start(options, matches, encoding, None)
    }

    /// As [`Reader::open`], before the first entry of this time or later.
    ///
    /// # Errors
    /// As there.
    pub fn since(
        options: &Options,
        matches: &Matches,
        encoding: Encoding,
        time: Timestamp,
    ) -> io::Result<Reader> {
        let cursor = None;
        Reader::start(options, matches, encoding, Some(&Start { time, cursor }))
    }

    fn start(
        options: &Options,
        matches: &Matches,
        encoding: Encoding,
        start: Option<&Start>,
    ) -> io::Result<Reader> {
        let way = match journal::is_available() {
            true => Way::Library(Library::open(options, matches, start)?),
            false => Way::Child(Child::start(options, matches, start)?),
        };
        Ok(Reader {
            way,
            builder: Builder::new(encoding),
            fields: Fields::default(),
        })
    }

    /// The next entry, or `None` after the last.
    ///
    /// # Errors
    /// A damaged file; a journalctl that failed.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let found = match &mut self.way {
            Way::Library(library) => library.next_fields(&mut self.fields)?,
            Way::Child(child) => child.next_fields(&mut self.fields)?,
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

    fn all(mut next: impl FnMut(&mut Fields) -> io::Result<bool>) -> Vec<Entry> {
        let mut fields = Fields::default();
        let mut builder = Builder::new(Encoding::utf_8());
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
        let options = Options::read([("journalfiles".to_owned(), name)]).expect("options");
        let mut matches = Matches::default();
        matches
            .add(&["_SYSTEMD_UNIT=ssh.service".to_owned()])
            .expect("a match");

        let mut library = Library::open(&options, &matches, None).expect("opens");
        let entries = all(|fields| library.next_fields(fields));
        assert_eq!(entries.len(), 50);
        assert!(
            entries[0]
                .line
                .starts_with("srv kernel: [ 1700.000000] one\\ntwo")
        );
        let mut child = Child::start(&options, &matches, None).expect("starts");
        assert_eq!(all(|fields| child.next_fields(fields)), entries);

        // from a time, and after an entry
        let mut start = Start {
            time: 1_700_000_049.5,
            cursor: None,
        };
        for expected in [25, 0] {
            let mut library = Library::open(&options, &matches, Some(&start)).expect("opens");
            let read = all(|fields| library.next_fields(fields));
            assert_eq!(read, entries[entries.len() - expected..], "{start:?}");
            let mut child = Child::start(&options, &matches, Some(&start)).expect("starts");
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
        let options = Options::read([("journalpath".to_owned(), path)]).expect("options");
        let start = Start {
            time: 0.0,
            cursor: None,
        };
        let mut child = Child::start(&options, &Matches::default(), Some(&start)).expect("starts");
        assert_eq!(all(|fields| child.next_fields(fields)).len(), 2);
        child.kill();
        assert!(child.next_fields(&mut Fields::default()).is_err());
    }
}
