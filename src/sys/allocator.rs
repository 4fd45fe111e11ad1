//! Tunes the C library's allocator, and logs a last record when memory runs out.
//!
//! A program that gets no memory aborts. It cannot log in the usual way then: that takes memory, and locks that
//! the caller may hold. So the last record is formatted in place and written to a reserved descriptor.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::localtime::reading_at;

/// The system's allocator; a request that fails is told to the log. What follows is up to who asked:
/// nearly always the process ends.
#[derive(Debug)]
pub struct Allocator;

// SAFETY: everything is left to the system's allocator; what its contract asks is asked of the caller.
#[allow(unsafe_op_in_unsafe_fn)]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        told(System.alloc(layout), layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        told(System.alloc_zeroed(layout), layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        told(System.realloc(memory, layout, size), size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        System.dealloc(memory, layout);
    }
}

fn told(memory: *mut u8, size: usize) -> *mut u8 {
    if memory.is_null() {
        tell(size);
    }
    memory
}

/// Where the last record goes.
struct LastRecord {
    log: OwnedFd,
    /// Syslog's, where that is the log; else it is one of lines with a time.
    priority: Option<u8>,
}

/// `None` before there is a log.
static LAST_RECORD: Mutex<Option<LastRecord>> = Mutex::new(None);

/// Has the last record written to a log from now on. `priority`: it is syslog, and takes messages of
/// this priority.
pub fn tell_log(log: impl AsFd, priority: Option<u8>) {
    // without a descriptor to spare there is no last record
    let log = log.as_fd().try_clone_to_owned().ok();
    let last = log.map(|log| LastRecord { log, priority });
    *LAST_RECORD.lock().unwrap_or_else(PoisonError::into_inner) = last;
}

/// Writes the last record. Nothing here asks for memory or waits for a lock of this program.
fn tell(size: usize) {
    let Ok(last) = LAST_RECORD.try_lock() else {
        return;
    };
    let Some(last) = &*last else {
        return;
    };
    let mut record = [0; 256];
    let mut rest = &mut record[..];
    // what does not fit is cut off
    let _ = match last.priority {
        Some(priority) => write!(rest, "<{priority}>"),
        None => write_time(&mut rest),
    };
    let _ = writeln!(
        rest,
        "{:24}[{}]: CRITICAL Out of memory: {size} bytes more were refused",
        "fail2ban.server",
        std::process::id()
    );
    let left = rest.len();
    let length = record.len() - left;
    let _ = nix::unistd::write(&last.log, &record[..length]);
}

fn write_time(out: &mut &mut [u8]) -> std::io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let Some(tm) = reading_at(now.as_secs().cast_signed()) else {
        return Ok(());
    };
    write!(
        out,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03} ",
        tm.tm_year + 1900,
        tm.tm_mon + 1,
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        now.subsec_millis()
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
