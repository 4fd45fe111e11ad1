//! systemd's journal: entries → lines as the original builds them (facts K10 to K13).
//!
//! [`Options`] is what stands in the brackets of `backend = systemd[…]`, [`Matches`] what
//! `addjournalmatch` has added. [`follow`] starts a thread that reads for one jail and goes on when
//! the journal is rotated; [`Reader`] reads what is there, for programs:
//!
//! ```no_run
//! use ferroban::source::journal::{Matches, Options, Reader};
//!
//! # fn main() -> std::io::Result<()> {
//! // from `systemd-journal[journalfiles=/tmp/x.journal]`
//! let arguments = [("journalfiles".to_owned(), "/tmp/x.journal".to_owned())];
//! let options = Options::read(arguments).map_err(std::io::Error::other)?;
//! let mut matches = Matches::default();
//! let words = ["_SYSTEMD_UNIT=ssh.service", "+", "_COMM=sshd"].map(str::to_owned);
//! matches.add(&words).map_err(std::io::Error::other)?;
//! let mut reader = Reader::open(&options, &matches, encoding_rs::UTF_8)?;
//! while let Some(entry) = reader.next_entry()? {
//!     // `filter.examine(&entry.line, Some((&entry.date, entry.time)), …)`
//!     println!("{}{}", entry.date, entry.line);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A filter that reads a journal is told so by `Filter::disable_dates`. Entries come from
//! libsystemd where the system has it, else from a `journalctl` child ([`child`]).

mod child;
mod entry;
mod follow;
mod library;
mod options;

use std::io;

use encoding_rs::Encoding;

use self::child::Child;
pub use self::entry::Entry;
use self::entry::{Builder, Fields};
pub use self::follow::{Batch, Following, Place, Start, follow};
use self::library::Library;
pub use self::options::{Matches, Options, OptionsError};
use crate::sys::journal;

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
    pub fn open(
        options: &Options,
        matches: &Matches,
        encoding: &'static Encoding,
    ) -> io::Result<Reader> {
        let way = match journal::is_available() {
            true => Way::Library(Library::open(options, matches, None)?),
            false => Way::Child(Child::start(options, matches, None)?),
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
