//! Starts a program in a session of its own, without copying this process first.
//!
//! The child shares the memory of this process and runs on a stack of its own until it has become
//! the program, and so long the thread that started it stands still. A start costs the same however
//! large the daemon is. That is what `posix_spawn` does too; done here it takes half as many system
//! calls, and the kernel hands out a descriptor that tells of the child's end.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::unistd::Pid;

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Bytes the child has for its few calls.
const STACK: usize = 16 * 1024;

thread_local! {
    /// Kept for the next child: memory of this size costs more than the rest of a start.
    static SPARE: Cell<Vec<MaybeUninit<u128>>> = const { Cell::new(Vec::new()) };
}

/// Where programs are without `PATH`.
const PLACES: &str = "/bin:/usr/bin";

/// What to run.
#[derive(Debug)]
pub struct Program<'a> {
    /// A path, or a name to be looked up in `PATH`.
    pub path: &'a CStr,
    /// All arguments, the name itself included.
    pub arguments: &'a [CString],
    /// What becomes standard input; that of this process when `None`.
    pub stdin: Option<BorrowedFd<'a>>,
    /// What becomes standard output.
    pub stdout: BorrowedFd<'a>,
    /// What becomes standard error.
    pub stderr: BorrowedFd<'a>,
}

/// A program that was started. The caller must wait for its end.
#[derive(Debug)]
pub struct Child {
    /// Its id, and that of its group and session.
    pub pid: Pid,
    /// Readable when it has ended; not there on kernels before 5.2.
    pub end: Option<OwnedFd>,
}

/// Starts a program: own session and process group, no signal blocked, `SIGPIPE` and its like as
/// by default, environment, directory and umask of this process.
///
/// # Errors
/// No such program, not permitted, arguments too long, no more processes.
pub fn spawn(program: &Program<'_>) -> io::Result<Child> {
    let places = places(program.path);
    let places = pointers(&places);
    let arguments = pointers(program.arguments);
    let number = |fd: BorrowedFd<'_>| fd.as_raw_fd();
    let mut launch = Launch {
        places: places.as_ptr(),
        arguments: arguments.as_ptr(),
        streams: [
            program.stdin.map_or(-1, number),
            number(program.stdout),
            number(program.stderr),
        ],
        error: 0,
    };
    // a handler that ran in the child would run in the memory of this process
    let mut before = SigSet::empty();
    let all = SigSet::all();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut before))?;
    let started = start(&mut launch);
    let restored = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    let child = started?;
    if launch.error != 0 {
        // it never became the program, and ends at once; there is no other way to fail
        let _ = nix::sys::wait::waitpid(child.pid, None);
        return Err(io::Error::from_raw_os_error(launch.error));
    }
    restored?;
    Ok(child)
}

/// Where a program may be, in the order in which it is tried.
fn places(path: &CStr) -> Vec<CString> {
    let name = path.to_bytes();
    if name.contains(&b'/') {
        return vec![path.to_owned()];
    }
    let list = std::env::var_os("PATH");
    let list = list.as_deref().unwrap_or(OsStr::new(PLACES)).as_bytes();
    list.split(|&byte| byte == b':')
        .filter_map(|folder| {
            let gap: &[u8] = if folder.is_empty() { b"" } else { b"/" };
            CString::new([folder, gap, name].concat()).ok()
        })
        .collect()
}

/// A list as C wants it: a null pointer is its end.
fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    let pointers = texts.iter().map(|text| text.as_ptr());
    pointers.chain([ptr::null()]).collect()
}

/// What the child finds in the memory it shares.
struct Launch {
    places: *const *const c_char,
    arguments: *const *const c_char,
    /// What becomes its first three descriptors; -1: stays.
    streams: [RawFd; 3],
    /// Why it has not become the program.
    error: c_int,
}

fn start(launch: &mut Launch) -> io::Result<Child> {
    let mut stack = SPARE.take();
    stack.resize(STACK / size_of::<u128>(), MaybeUninit::uninit());
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let mut end: RawFd = -1;
    let mut clone = |flags| {
        // SAFETY: the stack is aligned, grows down from its end and outlives the child's use of
        // it, as do `launch` and all it points to: with CLONE_VFORK this thread goes on only when
        // the child has become the program or has ended. `run` does nothing that memory shared
        // with a thread in the middle of this call could not bear. The last argument is where the
        // kernel puts the descriptor.
        unsafe {
            libc::clone(
                run,
                top.cast::<c_void>(),
                flags,
                ptr::from_mut(launch).cast::<c_void>(),
                ptr::from_mut(&mut end),
            )
        }
    };
    let pid = match Errno::result(clone(flags | libc::CLONE_PIDFD)) {
        // some that are almost Linux know no such descriptors; Linux of old ignores the flag
        Err(Errno::EINVAL) => Errno::result(clone(flags))?,
        pid => pid?,
    };
    SPARE.set(stack);
    Ok(Child {
        pid: Pid::from_raw(pid),
        // SAFETY: the kernel has just opened it for us, and nobody else knows of it.
        end: (end >= 0).then(|| unsafe { OwnedFd::from_raw_fd(end) }),
    })
}

/// The child's life in this memory: it allocates nothing, takes no lock and cannot panic.
extern "C" fn run(launch: *mut c_void) -> c_int {
    let launch = launch.cast::<Launch>();
    // SAFETY: `start` hands over a valid `Launch` that nobody else uses meanwhile.
    unsafe { (*launch).error = become_program(&*launch) as c_int };
    127
}

/// Returns only when that is not possible.
fn become_program(launch: &Launch) -> Errno {
    // SAFETY: plain system calls on numbers and on memory of this function; the lists end in null
    // pointers, their texts in NUL, and `environ` is the process's own environment, which nothing
    // in this program changes after its start. Signals, descriptors and session are the child's own.
    unsafe {
        if libc::setsid() < 0 {
            return Errno::last();
        }
        for signal in 1..=libc::SIGSYS {
            reset(signal);
        }
        for (to, &from) in (0..).zip(&launch.streams) {
            let done = match from {
                -1 => 0,
                // it only has to stay open
                from if from == to => libc::fcntl(from, libc::F_SETFD, 0),
                from => libc::dup2(from, to),
            };
            if done < 0 {
                return Errno::last();
            }
        }
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());

        let mut error = Errno::ENOENT;
        let mut place = launch.places;
        while !(*place).is_null() {
            libc::execve(*place, launch.arguments, environ);
            match Errno::last() {
                // there may be another one of that name
                Errno::EACCES => error = Errno::EACCES,
                Errno::ENOENT | Errno::ENOTDIR | Errno::ENODEV | Errno::ESTALE => {}
                other => return other,
            }
            place = place.add(1);
        }
        error
    }
}

/// A signal for which this process has a handler is as by default again, and so are those that Rust
/// ignores: a child of it would ignore them too. What else is ignored stays so.
///
/// # Safety
/// Only for the child: it changes how the calling process takes signals.
unsafe fn reset(signal: c_int) {
    // SAFETY: all zeroes is a valid `sigaction`, and both pointers are to one.
    unsafe {
        let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
        if libc::sigaction(signal, ptr::null(), &mut action) < 0 {
            return;
        }
        let stays = match action.sa_sigaction {
            libc::SIG_DFL => true,
            libc::SIG_IGN => !matches!(signal, libc::SIGPIPE | libc::SIGXFSZ),
            _ => false,
        };
        if !stays {
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &action, ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_and_a_path_is_not() {
        assert_eq!(places(c"/bin/sh"), [c"/bin/sh".to_owned()]);
        assert_eq!(places(c"./sh"), [c"./sh".to_owned()]);
        let places = places(c"sh");
        assert!(places.len() > 1 || std::env::var_os("PATH").is_none());
        assert!(places.iter().all(|place| place.as_bytes().ends_with(b"sh")));
    }
}
