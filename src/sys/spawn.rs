//! Starts a program in a session of its own, without copying this process first.
//!
//! `posix_spawn` shares memory with the child until it runs the program, so a start costs the same
//! however large the daemon is; and it can do what the standard library offers only together with
//! the slow way: a new session.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::unistd::Pid;

unsafe extern "C" {
    static environ: *const *mut libc::c_char;
}

/// What to run.
#[derive(Debug)]
pub struct Program<'a> {
    /// A path, or a name to be looked up in `PATH`.
    pub path: &'a CString,
    /// All arguments, the name itself included.
    pub arguments: &'a [CString],
    /// What becomes standard input; that of this process when `None`.
    pub stdin: Option<BorrowedFd<'a>>,
    /// What becomes standard output.
    pub stdout: BorrowedFd<'a>,
    /// What becomes standard error.
    pub stderr: BorrowedFd<'a>,
}

/// Starts a program: own session and process group, no signal blocked, `SIGPIPE` and its like as
/// by default, environment, directory and umask of this process. The caller must wait for it.
///
/// # Errors
/// What `posix_spawnp` reports: no such program, not permitted, arguments too long.
pub fn spawn(program: &Program<'_>) -> io::Result<Pid> {
    let mut arguments: Vec<*mut libc::c_char> = program
        .arguments
        .iter()
        .map(|argument| argument.as_ptr().cast_mut())
        .collect();
    arguments.push(ptr::null_mut());

    let mut actions = FileActions::new()?;
    if let Some(stdin) = program.stdin {
        actions.duplicate(stdin, libc::STDIN_FILENO)?;
    }
    actions.duplicate(program.stdout, libc::STDOUT_FILENO)?;
    actions.duplicate(program.stderr, libc::STDERR_FILENO)?;
    let attributes = Attributes::new_session()?;

    let mut pid: libc::pid_t = 0;
    // SAFETY: path and arguments are NUL-terminated and outlive the call, the list of arguments
    // ends in a null pointer, actions and attributes were initialised, and `environ` is the
    // process's own environment, which nothing in this program changes after its start.
    let code = unsafe {
        libc::posix_spawnp(
            &mut pid,
            program.path.as_ptr(),
            actions.0.as_ptr(),
            attributes.0.as_ptr(),
            arguments.as_ptr(),
            environ,
        )
    };
    check(code).map(|()| Pid::from_raw(pid))
}

fn check(code: libc::c_int) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

struct FileActions(MaybeUninit<libc::posix_spawn_file_actions_t>);

impl FileActions {
    fn new() -> io::Result<FileActions> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: initialises the memory it is given; used only when it succeeded.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        Ok(FileActions(actions))
    }

    fn duplicate(&mut self, from: BorrowedFd<'_>, to: libc::c_int) -> io::Result<()> {
        // SAFETY: `self.0` was initialised by `new`.
        check(unsafe {
            libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), from.as_raw_fd(), to)
        })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

struct Attributes(MaybeUninit<libc::posix_spawnattr_t>);

impl Attributes {
    fn new_session() -> io::Result<Attributes> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: initialises the memory it is given; used only when it succeeded.
        check(unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) })?;
        let mut attributes = Attributes(attributes);
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        let mut default = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets are initialised by `sigemptyset` before they are used, and the
        // attributes by `posix_spawnattr_init` above.
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigemptyset(default.as_mut_ptr());
            // Rust ignores SIGPIPE in this process; a child of it would do so too
            for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
                libc::sigaddset(default.as_mut_ptr(), signal);
            }
            check(libc::posix_spawnattr_setsigmask(
                attributes.0.as_mut_ptr(),
                none.as_ptr(),
            ))?;
            check(libc::posix_spawnattr_setsigdefault(
                attributes.0.as_mut_ptr(),
                default.as_ptr(),
            ))?;
            let signals = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
            check(libc::posix_spawnattr_setflags(
                attributes.0.as_mut_ptr(),
                signals as libc::c_short | libc::POSIX_SPAWN_SETSID,
            ))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new_session`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}
