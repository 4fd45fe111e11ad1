//! Handles inherited descriptors above the standard streams.
#![allow(unsafe_code)]

use std::fs;
use std::os::fd::{BorrowedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::unistd::close;

/// The programs this process starts do not get those above `last`: files and locks of whoever
/// started it are none of their business. What is opened here is kept from them anyway.
pub fn keep_from_children(last: RawFd) {
    let each = |number| {
        // SAFETY: it lives for the call, which sets a flag; one that is not open is not changed.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    };
    range(last, libc::CLOSE_RANGE_CLOEXEC, each);
}

/// Closes those above `last`. Nothing in this process may use one of them any more.
pub(super) fn close_above(last: RawFd) {
    let each = |number| {
        // closing what is not open does no harm
        let _ = close(number);
    };
    range(last, 0, each);
}

/// One call for all above `last`, or `each` on kernels before 5.9 (5.11 for the flag).
fn range(last: RawFd, flags: libc::c_uint, each: impl Fn(RawFd)) {
    let first = last as libc::c_uint + 1;
    // SAFETY: it takes numbers only; what may be done to them is up to the callers.
    if unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) } == 0 {
        return;
    }
    let open: Vec<RawFd> = match fs::read_dir("/proc/self/fd") {
        Ok(names) => names
            .flatten()
            .filter_map(|name| name.file_name().to_str()?.parse().ok())
            .collect(),
        Err(_) => (0..1024).collect(),
    };
    open.into_iter()
        .filter(|number| *number > last)
        .for_each(each);
}
