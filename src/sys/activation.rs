//! The control socket when systemd holds it: passed on as a descriptor (sd_listen_fds(3), fact L6).
#![allow(unsafe_code)]

use std::env;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixListener;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::{SFlag, fstat};

/// The first descriptor that is passed.
const FIRST: RawFd = 3;
/// The name our socket unit gives it.
const NAME: &str = "fail2ban";

/// Whether a socket was passed to this process.
pub fn is_offered() -> bool {
    count() > 0
}

/// Takes the socket named `fail2ban`, or the first one. Must be called before threads are started;
/// children will not see the offer.
pub fn take() -> Option<UnixListener> {
    let count = count();
    if count == 0 {
        return None;
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let index = names.split(':').position(|name| name == NAME).unwrap_or(0);
    let number = FIRST + RawFd::try_from(index.min(count - 1)).ok()?;
    for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
        // SAFETY: the caller has not started threads, so nobody reads the environment meanwhile.
        unsafe { env::remove_var(variable) };
    }
    // SAFETY: systemd opened it for this process alone, and the variable that offers it is gone, so
    // nobody takes it twice.
    let listener = unsafe { UnixListener::from_raw_fd(number) };
    let is_socket = fstat(&listener)
        .is_ok_and(|about| about.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits());
    if !is_socket {
        // not open at all, or something else: not ours to close
        std::mem::forget(listener);
        return None;
    }
    fcntl(&listener, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
    Some(listener)
}

/// How many descriptors are meant for this process.
fn count() -> usize {
    let number = |name| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u32>().ok())
    };
    match number("LISTEN_PID") {
        Some(pid) if pid == std::process::id() => number("LISTEN_FDS").unwrap_or(0) as usize,
        _ => 0,
    }
}
