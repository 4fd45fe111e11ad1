//! Daemonizes: double fork, new session, `/` as working directory, nothing open (fact L2).
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::fcntl::OFlag;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{
    ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, dup3_raw, fork, pipe2, setsid,
};

use super::descriptors::close_above;

/// Who returns from [`daemonize`].
#[derive(Debug)]
pub enum Side {
    /// The process the user started; the bytes are what the daemon had to say before it closed its
    /// end (nothing, when it died).
    Starter(Vec<u8>),
    /// The daemon; what it writes here the starter reads.
    Daemon(File),
}

/// The number the pipe to the starter has in the daemon; everything above is closed.
const PIPE: RawFd = 3;

/// Splits the process in two. Must be called before any thread is started and before anything
/// is opened that the daemon shall keep: all descriptors but the pipe are closed in it.
///
/// # Errors
/// No more processes or descriptors.
pub fn daemonize() -> io::Result<Side> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: ignoring a signal installs no handler that could run.
    unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) }?;
    match split()? {
        ForkResult::Parent { child } => {
            drop(writer);
            waitpid(child, None)?;
            let mut said = Vec::new();
            File::from(reader).read_to_end(&mut said)?;
            Ok(Side::Starter(said))
        }
        ForkResult::Child => {
            drop(reader);
            match detach(writer) {
                Ok(file) => Ok(Side::Daemon(file)),
                // the starter sees the pipe close without a word
                Err(_) => leave(1),
            }
        }
    }
}

fn split() -> nix::Result<ForkResult> {
    // SAFETY: no threads have been started (the contract of `daemonize`), so the child is a whole process.
    unsafe { fork() }
}

/// Ends a forked process without running what the starter has registered for its own end.
fn leave(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// The rest of the way, in the first child; only the second returns.
fn detach(writer: OwnedFd) -> io::Result<File> {
    setsid()?;
    // a session leader could get a terminal again by opening one: go on as another process
    if let ForkResult::Parent { .. } = split()? {
        leave(0);
    }
    chdir("/")?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    drop(null);
    let pipe = match writer.as_raw_fd() {
        PIPE => writer,
        // SAFETY: nobody uses what the number stood for any more (the contract of `daemonize`).
        _ => unsafe { dup3_raw(writer, PIPE, OFlag::O_CLOEXEC) }?,
    };
    close_above(PIPE);
    Ok(File::from(pipe))
}
