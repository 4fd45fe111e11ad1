//! Where the program begins, in place of the standard library's beginning.
//!
//! The library's has the C library read and parse the map of the whole process, to tell an overflow
//! of the main thread's stack from other faults. That is a tenth of what `fail2ban-client ping` costs,
//! and monitoring calls it every few seconds. Without it an overflow ends the process by the same
//! signal as any other fault. All else that the library's beginning does is done here.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::fs::OpenOptions;
use std::os::fd::{BorrowedFd, IntoRawFd as _};
use std::process::ExitCode;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::descriptors::keep_from_children;

/// What the standard library ends with after a panic.
const PANICKED: c_int = 101;

/// Defines the C function `main`, which calls [`run`] with the path given; for a crate with
/// `#![no_main]`.
#[macro_export]
macro_rules! entry_point {
    ($program:path) => {
        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C" fn main(
            _count: ::std::ffi::c_int,
            _arguments: *const *const ::std::ffi::c_char,
        ) -> ::std::ffi::c_int {
            $crate::sys::entry::run($program)
        }
    };
}

/// Runs the program and ends the process; to be called once, by the C function `main`.
pub fn run(program: fn() -> ExitCode) -> c_int {
    open_standard_streams();
    keep_from_children(libc::STDERR_FILENO);
    // SAFETY: no handler is installed, so none can run what must not run in one; who writes to a
    // closed pipe gets an error instead of a signal.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    let code = match std::panic::catch_unwind(program) {
        Ok(code) => number(code),
        Err(_) => PANICKED,
    };
    // writes out what standard output still holds
    std::process::exit(code)
}

/// A code tells its number to nobody but the process.
fn number(code: ExitCode) -> c_int {
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    number.map_or(PANICKED, c_int::from)
}

/// A stream that is closed becomes `/dev/null`: else a database or a socket that is opened later
/// gets its number, and what is printed.
fn open_standard_streams() {
    // SAFETY: the three are only asked whether they are open.
    let streams = [0, 1, 2].map(|stream| unsafe { BorrowedFd::borrow_raw(stream) });
    let mut streams = streams.map(|stream| PollFd::new(stream, PollFlags::empty()));
    if poll(&mut streams, PollTimeout::ZERO).is_err() {
        return;
    }
    for stream in streams {
        let closed = (stream.revents()).is_some_and(|what| what.contains(PollFlags::POLLNVAL));
        if closed && let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
            // it has the lowest free number, and stays open to the end
            let _ = null.into_raw_fd();
        }
    }
}
