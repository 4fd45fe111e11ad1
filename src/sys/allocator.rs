//! How the C library's allocator treats this process, and what the log is told when there is no more
//! memory.
//!
//! A program that gets no memory ends. Then nothing can be said in the usual way: that takes memory,
//! and locks that whoever asked for it may hold. So the last record is put together in place and
//! written to a descriptor that is kept for it.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::dup3;

/// The system's allocator; a request that fails is told to the log. What follows is up to who asked:
/// nearly always the process ends.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract.
        told(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract.
        told(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller keeps the contract.
        told(unsafe { System.realloc(memory, layout, size) }, size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn told(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() {
        tell(size);
    }
    memory
}

/// Where the last record goes: always the same descriptor, so that it never is a file of somebody
/// else; -1 before there is a log.
static LOG: AtomicI32 = AtomicI32::new(-1);

/// Syslog's priority, or -1 for a log of lines with a time.
static PRIORITY: AtomicI32 = AtomicI32::new(-1);

/// Has the last record written to a log from now on. `priority`: it is syslog, and takes messages of
/// this priority.
pub fn tell_log(log: impl AsFd, priority: Option<u8>) {
    static KEPT: Mutex<Option<OwnedFd>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    // without a descriptor to spare there is no last record
    match &mut *kept {
        Some(kept) => drop(dup3(log, kept, OFlag::O_CLOEXEC)),
        None => {
            *kept = fcntl(log.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(3))
                .ok()
                .map(owned)
        }
    }
    PRIORITY.store(priority.map_or(-1, i32::from), Ordering::Relaxed);
    LOG.store(
        kept.as_ref().map_or(-1, |kept| kept.as_raw_fd()),
        Ordering::Relaxed,
    );
}

fn owned(descriptor: RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd as _;
    // SAFETY: it was just made, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Writes the last record. Nothing here asks for memory or waits for a lock of this program.
fn tell(size: usize) {
    let log = LOG.load(Ordering::Relaxed);
    if log < 0 {
        return;
    }
    let mut record = [0; 256];
    let mut rest = &mut record[..];
    let priority = PRIORITY.load(Ordering::Relaxed);
    // what does not fit is cut off
    let _ = match priority {
        0.. => write!(rest, "<{priority}>"),
        _ => write_time(&mut rest),
    };
    let _ = writeln!(
        rest,
        "{:24}[{}]: CRITICAL Out of memory: {size} bytes more were refused",
        "fail2ban.server",
        std::process::id()
    );
    let left = rest.len();
    let length = record.len() - left;
    // SAFETY: the buffer has so many bytes; a descriptor that cannot be written to is an error only.
    let _ = unsafe { libc::write(log, record.as_ptr().cast(), length) };
}

fn write_time(out: &mut &mut [u8]) -> std::io::Result<()> {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `tm` is plain integers and a pointer, for all of which zero is a valid value.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid, exclusively borrowed structs for the length of the calls.
    unsafe {
        libc::clock_gettime(libc::CLOCK_REALTIME, &mut now);
        libc::localtime_r(&now.tv_sec, &mut tm);
    }
    write!(
        out,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03} ",
        tm.tm_year + 1900,
        tm.tm_mon + 1,
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        now.tv_nsec / 1_000_000
    )
}

/// Has all threads take their memory from two heaps, not from one each.
///
/// The threads of the server hand most of what they allocate to each other, and a heap of its own
/// costs each of them pages that no other can use, and a system call for every few kilobytes by
/// which it grows. To be called before there are threads.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes two numbers and touches nothing but the allocator's settings, while
    // no other thread allocates.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
