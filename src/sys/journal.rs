//! The systemd journal through the system's libsystemd, which is loaded on first use: a machine without it
//! still runs everything else.
//!
//! A journal belongs to the thread that opened it (sd-journal(3)); its type is not `Send`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};
use std::time::Duration;

/// `sd_journal`, known to the library only.
type Raw = *mut c_void;

macro_rules! library {
    ($($(#[$doc:meta])* $name:ident: $symbol:literal fn($($argument:ty),*) -> $result:ty;)*) => {
        /// The library's functions.
        struct Library {
            $($(#[$doc])* $name: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Library {
            fn load() -> Option<Box<Library>> {
                // SAFETY: the names are NUL-terminated. libsystemd's constructors do nothing that
                // concerns the rest of the process, and it is never closed. The symbols have these
                // types in every libsystemd.so.0 (sd-journal.h); pointers to functions and to data
                // have one size on this system.
                unsafe {
                    let library = libc::dlopen(c"libsystemd.so.0".as_ptr(), libc::RTLD_NOW);
                    let library = NonNull::new(library)?.as_ptr();
                    Some(Box::new(Library {
                        $($name: {
                            let address = NonNull::new(libc::dlsym(library, $symbol.as_ptr()))?;
                            std::mem::transmute_copy(&address)
                        },)*
                    }))
                }
            }
        }
    };
}

library! {
    open: c"sd_journal_open" fn(*mut Raw, c_int) -> c_int;
    open_namespace: c"sd_journal_open_namespace" fn(*mut Raw, *const c_char, c_int) -> c_int;
    open_directory: c"sd_journal_open_directory" fn(*mut Raw, *const c_char, c_int) -> c_int;
    open_files: c"sd_journal_open_files" fn(*mut Raw, *const *const c_char, c_int) -> c_int;
    close: c"sd_journal_close" fn(Raw) -> ();
    next: c"sd_journal_next" fn(Raw) -> c_int;
    previous: c"sd_journal_previous" fn(Raw) -> c_int;
    realtime: c"sd_journal_get_realtime_usec" fn(Raw, *mut u64) -> c_int;
    monotonic: c"sd_journal_get_monotonic_usec" fn(Raw, *mut u64, *mut [u8; 16]) -> c_int;
    data: c"sd_journal_enumerate_data" fn(Raw, *mut *const c_void, *mut usize) -> c_int;
    restart_data: c"sd_journal_restart_data" fn(Raw) -> ();
    add_match: c"sd_journal_add_match" fn(Raw, *const c_void, usize) -> c_int;
    add_disjunction: c"sd_journal_add_disjunction" fn(Raw) -> c_int;
    seek_head: c"sd_journal_seek_head" fn(Raw) -> c_int;
    seek_realtime: c"sd_journal_seek_realtime_usec" fn(Raw, u64) -> c_int;
    seek_cursor: c"sd_journal_seek_cursor" fn(Raw, *const c_char) -> c_int;
    cursor: c"sd_journal_get_cursor" fn(Raw, *mut *mut c_char) -> c_int;
    test_cursor: c"sd_journal_test_cursor" fn(Raw, *const c_char) -> c_int;
    descriptor: c"sd_journal_get_fd" fn(Raw) -> c_int;
    timeout: c"sd_journal_get_timeout" fn(Raw, *mut u64) -> c_int;
    process: c"sd_journal_process" fn(Raw) -> c_int;
}

/// Whether this system has the library.
pub fn is_available() -> bool {
    Library::load().is_some()
}

/// Calls a function of the library.
macro_rules! call_library {
    ($library:expr, $function:ident $(, $argument:expr)*) => {
        // SAFETY: a journal is open while its value lives. What else is handed over has the types that
        // sd-journal(3) names: references to live locals that take results, texts and lists that end
        // in NUL or come with their length, and are copied.
        unsafe { ($library.$function)($($argument),*) }
    };
}

/// Calls one about a journal.
macro_rules! call {
    ($journal:expr, $function:ident $(, $argument:expr)*) => {
        call_library!($journal.library, $function, $journal.raw.as_ptr() $(, $argument)*)
    };
}

/// Which journal is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalSelection {
    /// The machine's own, with `SD_JOURNAL_…` flags.
    Machine(i32),
    /// A namespace's, with flags.
    Namespace(String, i32),
    /// All files in a folder, with flags.
    Directory(PathBuf, i32),
    /// These files and no others.
    Files(Vec<PathBuf>),
}

/// What has happened to the files of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalChange {
    /// Nothing that concerns this journal.
    Nothing,
    /// There may be more entries.
    Appended,
    /// Files have come or gone.
    Invalidated,
}

/// An open journal, at one of its entries or between two.
pub struct Journal {
    raw: NonNull<c_void>,
    library: Box<Library>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Journal")
    }
}

impl Journal {
    /// Opens a journal before its first entry.
    ///
    /// # Errors
    /// The system's own, [`io::ErrorKind::Unsupported`] without the library; a name with NUL.
    pub fn open(place: &JournalSelection) -> io::Result<Journal> {
        let library = Library::load().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
        let mut raw: Raw = ptr::null_mut();
        let code = match place {
            JournalSelection::Machine(flags) => call_library!(library, open, &mut raw, *flags),
            JournalSelection::Namespace(name, flags) => {
                let name = CString::new(name.as_str())?;
                call_library!(library, open_namespace, &mut raw, name.as_ptr(), *flags)
            }
            JournalSelection::Directory(path, flags) => {
                let path = c_path(path)?;
                call_library!(library, open_directory, &mut raw, path.as_ptr(), *flags)
            }
            JournalSelection::Files(paths) => {
                let paths: Vec<CString> =
                    paths.iter().map(|p| c_path(p)).collect::<Result<_, _>>()?;
                let mut list: Vec<*const c_char> = paths.iter().map(|path| path.as_ptr()).collect();
                list.push(ptr::null());
                call_library!(library, open_files, &mut raw, list.as_ptr(), 0)
            }
        };
        check(code)?;
        match NonNull::new(raw) {
            Some(raw) => Ok(Journal { raw, library }),
            None => Err(io::Error::from(io::ErrorKind::Other)),
        }
    }

    /// Only entries that match `FIELD=value`; several of one field are alternatives.
    ///
    /// # Errors
    /// `EINVAL` for what is no match.
    pub fn add_match(&mut self, text: &str) -> io::Result<()> {
        check(call!(self, add_match, text.as_ptr().cast(), text.len()))?;
        Ok(())
    }

    /// What is matched from here on is an alternative to everything before.
    ///
    /// # Errors
    /// Out of memory.
    pub fn add_disjunction(&mut self) -> io::Result<()> {
        check(call!(self, add_disjunction))?;
        Ok(())
    }

    /// Before the first entry.
    ///
    /// # Errors
    /// The library's.
    pub fn seek_head(&mut self) -> io::Result<()> {
        check(call!(self, seek_head))?;
        Ok(())
    }

    /// Near this time, in microseconds since 1970.
    ///
    /// # Errors
    /// The library's.
    pub fn seek_realtime(&mut self, time: u64) -> io::Result<()> {
        check(call!(self, seek_realtime, time))?;
        Ok(())
    }

    /// At the entry of a cursor, or near where it was.
    ///
    /// # Errors
    /// `EINVAL` for what is no cursor.
    pub fn seek_cursor(&mut self, cursor: &str) -> io::Result<()> {
        let cursor = CString::new(cursor)?;
        check(call!(self, seek_cursor, cursor.as_ptr()))?;
        Ok(())
    }

    /// Whether the present entry is the one of a cursor.
    ///
    /// # Errors
    /// There is no present entry; the cursor is none.
    pub fn is_at(&self, cursor: &str) -> io::Result<bool> {
        let cursor = CString::new(cursor)?;
        let code = call!(self, test_cursor, cursor.as_ptr());
        Ok(check(code)? > 0)
    }

    /// Goes to the next entry; false when there is none (yet).
    ///
    /// # Errors
    /// A damaged file.
    pub fn next_entry(&mut self) -> io::Result<bool> {
        Ok(check(call!(self, next))? > 0)
    }

    /// Goes to the entry before; false when there is none.
    ///
    /// # Errors
    /// A damaged file.
    pub fn previous_entry(&mut self) -> io::Result<bool> {
        Ok(check(call!(self, previous))? > 0)
    }

    /// When the present entry was received, in microseconds since 1970.
    ///
    /// # Errors
    /// There is no present entry.
    pub fn realtime(&self) -> io::Result<u64> {
        let mut time = 0;
        check(call!(self, realtime, &mut time))?;
        Ok(time)
    }

    /// The same in microseconds since its boot.
    ///
    /// # Errors
    /// There is no present entry.
    pub fn monotonic(&self) -> io::Result<u64> {
        let (mut time, mut boot) = (0, [0; 16]);
        check(call!(self, monotonic, &mut time, &mut boot))?;
        Ok(time)
    }

    /// The name of the present entry.
    ///
    /// # Errors
    /// There is no present entry (any more).
    pub fn cursor(&self) -> io::Result<String> {
        let mut text: *mut c_char = ptr::null_mut();
        check(call!(self, cursor, &mut text))?;
        // SAFETY: on success `text` is a NUL-terminated string from `malloc` that is ours.
        unsafe {
            let cursor = CStr::from_ptr(text).to_string_lossy().into_owned();
            libc::free(text.cast());
            Ok(cursor)
        }
    }

    /// The present entry's fields from the first on.
    pub fn restart_fields(&mut self) {
        call!(self, restart_data)
    }

    /// The next field of the present entry as `NAME=value`; long values are cut (64 kB).
    ///
    /// # Errors
    /// A damaged file.
    pub fn field(&mut self) -> io::Result<Option<&[u8]>> {
        let (mut data, mut length) = (ptr::null(), 0);
        let code = call!(self, data, &mut data, &mut length);
        if check(code)? == 0 || data.is_null() {
            return Ok(None);
        }
        // SAFETY: on success there are `length` bytes that stay valid until the next call on this
        // journal, which the borrow of `self` rules out while the slice lives.
        Ok(Some(unsafe {
            std::slice::from_raw_parts(data.cast(), length)
        }))
    }

    /// Becomes readable when [`Journal::process`] has something to do.
    ///
    /// # Errors
    /// Out of inotify instances; files that cannot be watched.
    pub fn descriptor(&mut self) -> io::Result<BorrowedFd<'_>> {
        let number = check(call!(self, descriptor))?;
        // SAFETY: the journal keeps it open while it lives, which the borrow makes sure of.
        Ok(unsafe { BorrowedFd::borrow_raw(number) })
    }

    /// How long to wait for the descriptor; `None`: for ever. Bounded on file systems that tell of
    /// no changes.
    ///
    /// # Errors
    /// The library's.
    pub fn timeout(&self) -> io::Result<Option<Duration>> {
        let mut until = 0;
        check(call!(self, timeout, &mut until))?;
        if until == u64::MAX {
            return Ok(None);
        }
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
        Ok(Some(
            Duration::from_micros(until).saturating_sub(Duration::from(now)),
        ))
    }

    /// Takes notice of what has happened to the files.
    ///
    /// # Errors
    /// The library's.
    pub fn process(&mut self) -> io::Result<JournalChange> {
        Ok(match check(call!(self, process))? {
            0 => JournalChange::Nothing,
            1 => JournalChange::Appended,
            _ => JournalChange::Invalidated,
        })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        call!(self, close)
    }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// The library's codes: an error's number, negative, or a result.
fn check(code: c_int) -> io::Result<c_int> {
    match code {
        ..0 => Err(io::Error::from_raw_os_error(-code)),
        code => Ok(code),
    }
}
