//! Runs one program to its end: arguments and input go in, how it ended and what it printed come
//! out, within limits of time and size.
//!
//! Nothing is asked for time and again: a descriptor tells of the end of a child, its output is read
//! as it comes. Output is read while the program runs, so one that prints more than a pipe holds does
//! not hang; what exceeds the limit is thrown away.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep, sleep_until};

use crate::sys::spawn::{Program, spawn};
use end::End;
use streams::{Capture, Input, leaves_output};

mod end;
mod streams;

/// Bytes kept of each of standard output and error.
pub const OUTPUT_LIMIT: usize = 256 * 1024;

/// Time a program runs before its output is watched. Most have ended by then, and what they have
/// printed fits into the pipes and is read when they have; watching costs more than reading.
const UNWATCHED: Duration = Duration::from_millis(5);

/// Between the polite and the final signal to a program that ran too long.
const GRACE: Duration = Duration::from_millis(200);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returned this number.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It could not be killed, or someone else heard of its end.
    Unknown,
}

/// A program that has run.
#[derive(Debug)]
pub struct Finished {
    /// Its id (process group) while it ran.
    pub pid: i32,
    /// How it ended.
    pub ending: Ending,
    /// It was killed because its time was up.
    pub timed_out: bool,
    /// What it wrote to standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to the limit.
    pub stderr: Vec<u8>,
}

/// What to run and within which limits.
#[derive(Debug)]
pub struct Invocation<'a> {
    /// Program (looked up in `PATH` unless it is a path) and arguments.
    pub arguments: &'a [String],
    /// Sent to standard input; `None` leaves it that of this process.
    pub input: Option<&'a [u8]>,
    /// Time it may run.
    pub timeout: Duration,
    /// Bytes kept of standard output, and of standard error.
    pub output_limit: usize,
}

impl<'a> Invocation<'a> {
    /// A program without input and with the usual limit of output.
    pub fn new(arguments: &'a [String], timeout: Duration) -> Invocation<'a> {
        Invocation {
            arguments,
            input: None,
            timeout,
            output_limit: OUTPUT_LIMIT,
        }
    }

    /// Runs the program in a session of its own and waits for its end, not for the end of what it
    /// left running. When its time is up the whole process group gets `SIGTERM`, then `SIGKILL`
    /// (fact A18).
    ///
    /// # Errors
    /// It could not be started.
    pub async fn run(&self) -> io::Result<Finished> {
        let arguments: Vec<CString> = self
            .arguments
            .iter()
            .map(|argument| CString::new(argument.as_bytes()))
            .collect::<Result<_, _>>()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "embedded null byte"))?;
        let path = arguments
            .first()
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;

        let (stdout, child_stdout) = pipe2(OFlag::O_CLOEXEC)?;
        let (stderr, child_stderr) = pipe2(OFlag::O_CLOEXEC)?;
        let (mut input, child_stdin) = match self.input {
            Some(bytes) => {
                let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
                (
                    Input::new(pipe::Sender::from_owned_fd(write)?, bytes),
                    Some(read),
                )
            }
            None => (Input::none(), None),
        };
        let child = spawn(&Program {
            path,
            arguments: &arguments,
            stdin: child_stdin.as_ref().map(AsFd::as_fd),
            stdout: child_stdout.as_fd(),
            stderr: child_stderr.as_fd(),
        })?;
        let pid = child.pid;
        let running = Running(Some(pid));
        drop((child_stdin, child_stdout, child_stderr));
        let mut ending = End::of(child)?;
        let mut stdout = Capture::new(stdout, self.output_limit);
        let mut stderr = Capture::new(stderr, self.output_limit);

        let end = Instant::now() + self.timeout;
        let alarm = sleep_until(end.min(Instant::now() + UNWATCHED));
        tokio::pin!(alarm);
        let mut timed_out = false;
        let ending = loop {
            tokio::select! {
                biased;
                ending = ending.come() => break ending,
                () = stdout.readable(), if stdout.is_watched() => stdout.take(),
                () = stderr.readable(), if stderr.is_watched() => stderr.take(),
                () = input.push(), if input.pending() => {}
                () = &mut alarm => {
                    if alarm.deadline() == end {
                        timed_out = true;
                        break kill(pid).await;
                    }
                    stdout.watch();
                    stderr.watch();
                    alarm.as_mut().reset(end);
                }
            }
        };
        running.ended();
        if leaves_output(&stdout, &stderr) {
            stdout.take_rest();
            stderr.take_rest();
        }
        Ok(Finished {
            pid: pid.as_raw(),
            ending,
            timed_out,
            stdout: stdout.bytes,
            stderr: stderr.bytes,
        })
    }
}

/// A program that runs. Dropped before its end, because nobody waits for it any more, it is ended
/// with its process group.
struct Running(Option<Pid>);

impl Running {
    /// It has ended.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(pid) = self.0 else { return };
        // at once, since the runtime may be about to end
        let _ = killpg(pid, Signal::SIGTERM);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(kill(pid))),
            Err(_) => drop(killpg(pid, Signal::SIGKILL)),
        }
    }
}

/// How the child ended, or `None` while it runs.
fn ending_of(pid: Pid) -> Option<Ending> {
    loop {
        return match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => None,
            Ok(WaitStatus::Exited(_, code)) => Some(Ending::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(Ending::Signal(signal as i32)),
            Ok(_) => None,
            Err(Errno::EINTR) => continue,
            Err(_) => Some(Ending::Unknown),
        };
    }
}

/// Ends what is left of a process that [`crate::sys::spawn`] has started, and of its group.
pub async fn end(pid: Pid) {
    // one that was asked to end may just be doing so
    for _ in 0..20 {
        if ending_of(pid).is_some() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    kill(pid).await;
}

/// Ends a process group. The leader is reaped last, so that its number cannot have been given to
/// another group when the signals are sent.
async fn kill(pid: Pid) -> Ending {
    // a group that is gone already needs no signal
    let _ = killpg(pid, Signal::SIGTERM);
    let group = Group(pid);
    sleep(GRACE).await;
    drop(group);
    for _ in 0..50 {
        if let Some(ending) = ending_of(pid) {
            return ending;
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ending::Unknown
}

/// Killed when dropped: also where the runtime ends before the grace is over.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn sh(script: &str) -> Vec<String> {
        words(&["/bin/sh", "-c", script])
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn output_and_code_come_back() {
        let arguments = sh("echo out; echo err >&2; exit 3");
        let finished = Invocation::new(&arguments, MINUTE).run().await.unwrap();
        assert_eq!(finished.ending, Ending::Code(3));
        assert_eq!(finished.stdout, b"out\n");
        assert_eq!(finished.stderr, b"err\n");
        assert!(!finished.timed_out);
    }

    #[tokio::test]
    async fn input_goes_in_and_large_output_is_cut() {
        let arguments = words(&["cat"]);
        let input = vec![b'x'; 1 << 20];
        let finished = Invocation {
            input: Some(&input),
            output_limit: 1000,
            ..Invocation::new(&arguments, MINUTE)
        }
        .run()
        .await
        .unwrap();
        assert_eq!(finished.ending, Ending::Code(0));
        assert_eq!(finished.stdout.len(), 1000);
    }

    #[tokio::test]
    async fn a_program_that_reads_nothing_ends_all_the_same() {
        let arguments = words(&["true"]);
        let input = vec![b'x'; 1 << 20];
        let finished = Invocation {
            input: Some(&input),
            ..Invocation::new(&arguments, MINUTE)
        }
        .run()
        .await
        .unwrap();
        assert_eq!(finished.ending, Ending::Code(0));
    }

    #[tokio::test]
    async fn the_whole_group_dies_when_time_is_up() {
        let arguments = sh("echo before; sleep 600 & sleep 600; echo after");
        let started = std::time::Instant::now();
        let finished = Invocation::new(&arguments, Duration::from_millis(300))
            .run()
            .await
            .unwrap();
        assert!(finished.timed_out);
        assert_eq!(finished.ending, Ending::Signal(libc::SIGTERM));
        assert_eq!(finished.stdout, b"before\n");
        assert!(started.elapsed() < Duration::from_secs(30));
        let stubborn = sh("trap '' TERM; while :; do sleep 1; done");
        let finished = Invocation::new(&stubborn, Duration::from_millis(300))
            .run()
            .await
            .unwrap();
        assert_eq!(finished.ending, Ending::Signal(libc::SIGKILL));
    }

    /// Runs a script and drops it once it has begun. The process group comes back.
    async fn dropped(script: &str) -> Pid {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let arguments = sh(&script.replace("FILE", &file.display().to_string()));
        let invocation = Invocation::new(&arguments, MINUTE);
        let begun = async {
            loop {
                let written = std::fs::read_to_string(&file).unwrap_or_default();
                if let Some(pid) = written.strip_suffix('\n') {
                    return pid.parse().unwrap();
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            _ = invocation.run() => panic!("it has ended"),
            pid = begun => Pid::from_raw(pid),
        }
    }

    #[test]
    fn what_ignores_its_end_dies_with_the_runtime() {
        let script = "trap '' TERM; echo $$ >FILE; for n in 1 2 3 4 5; do sleep 1; done";
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let group = runtime.block_on(dropped(script));
        drop(runtime);
        assert_eq!(
            waitpid(group, None),
            Ok(WaitStatus::Signaled(group, Signal::SIGKILL, false))
        );
    }

    #[tokio::test]
    async fn the_whole_group_dies_when_nobody_waits_any_more() {
        let group = dropped("echo $$ >FILE; sleep 600 & sleep 600").await;
        for _ in 0..1000 {
            if killpg(group, None).is_err() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("group {group} goes on");
    }

    #[tokio::test]
    async fn what_it_leaves_running_is_not_waited_for() {
        let arguments = sh("sleep 20 & echo done");
        let started = std::time::Instant::now();
        let finished = Invocation::new(&arguments, MINUTE).run().await.unwrap();
        assert_eq!(finished.stdout, b"done\n");
        assert!(started.elapsed() < Duration::from_secs(10));
        let _ = killpg(Pid::from_raw(finished.pid), Signal::SIGKILL);
    }

    #[tokio::test]
    async fn it_runs_in_a_session_of_its_own_and_minds_broken_pipes() {
        let arguments = sh("ps -o sid= -p $$; yes | head -n 1; echo $$");
        let finished = Invocation::new(&arguments, MINUTE).run().await.unwrap();
        let text = String::from_utf8(finished.stdout).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines[0], lines[2]);
        assert_eq!(lines[1], "y");
    }

    #[tokio::test]
    async fn what_cannot_start_is_an_error() {
        let arguments = words(&["/no/such/program"]);
        let error = Invocation::new(&arguments, MINUTE).run().await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        let arguments = words(&["echo", "a\0b"]);
        let error = Invocation::new(&arguments, MINUTE).run().await.unwrap_err();
        assert_eq!(error.to_string(), "embedded null byte");
    }

    #[tokio::test]
    async fn many_run_side_by_side() {
        let tasks: Vec<_> = (0..40)
            .map(|n| {
                tokio::spawn(async move {
                    let arguments = sh(&format!("exit {n}"));
                    Invocation::new(&arguments, MINUTE)
                        .run()
                        .await
                        .unwrap()
                        .ending
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), Ending::Code(n as i32));
        }
    }
}
