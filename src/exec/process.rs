//! Runs one program to its end, with limits of time and size. In: arguments and input. Out: exit status and
//! output.
//!
//! The exit is awaited through the runtime; no polling. Output is read while the program runs, so a full
//! pipe does not block it; output beyond the limit is discarded.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// Bytes kept of each of standard output and error.
pub const OUTPUT_LIMIT: usize = 256 * 1024;

/// Bytes read at once.
const CHUNK: usize = 8192;

/// Between the polite and the final signal to a program that ran too long.
const GRACE: Duration = Duration::from_millis(200);

/// For the kernel to end what the final signal was sent to.
const KILLED: Duration = Duration::from_millis(500);

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitOutcome {
    /// It returned this number.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It could not be killed, or someone else heard of its end.
    Unknown,
}

/// A program that has run.
#[derive(Debug)]
pub struct ProcessOutput {
    /// Its id (process group) while it ran.
    pub pid: i32,
    /// How it ended.
    pub ending: ExitOutcome,
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

    /// Runs the program in a process group of its own and waits for its end, not for the end of what
    /// it left running. When its time is up the whole group gets `SIGTERM`, then `SIGKILL` (fact A18).
    ///
    /// # Errors
    /// It could not be started.
    pub async fn run(&self) -> io::Result<ProcessOutput> {
        if self.arguments.iter().any(|word| word.contains('\0')) {
            let text = "embedded null byte";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let (program, arguments) = self
            .arguments
            .split_first()
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut child = Command::new(program)
            .args(arguments)
            .process_group(0)
            .stdin(self.input.map_or_else(Stdio::inherit, |_| Stdio::piped()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdout = Capture::new(child.stdout.take(), self.output_limit);
        let mut stderr = Capture::new(child.stderr.take(), self.output_limit);
        let input = feed(child.stdin.take(), self.input.unwrap_or_default());
        let mut running = Running::new(child);
        let pid = running.group;
        let talk = async {
            tokio::join!(input, stdout.fill(), stderr.fill());
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            biased;
            status = running.wait() => Some(status),
            () = talk => None,
            () = sleep(self.timeout) => None,
        };
        let timed_out = ended.is_none();
        let ending = match (ended, running.take()) {
            (Some(ending), _) => ending,
            (None, Some(child)) => kill(child, pid).await,
            (None, None) => ExitOutcome::Unknown,
        };
        Ok(ProcessOutput {
            pid: pid.as_raw(),
            ending,
            timed_out,
            stdout: stdout.rest(),
            stderr: stderr.rest(),
        })
    }
}

/// Writes all of a program's input, or as much as it reads, and closes the pipe.
async fn feed(pipe: Option<ChildStdin>, bytes: &[u8]) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(bytes).await;
    }
}

/// What a program prints on one pipe.
struct Capture<P> {
    pipe: Option<P>,
    limit: usize,
    bytes: Vec<u8>,
}

impl<P: AsyncRead + Unpin + IntoFd> Capture<P> {
    fn new(pipe: Option<P>, limit: usize) -> Capture<P> {
        Capture {
            pipe,
            limit,
            bytes: Vec::new(),
        }
    }

    /// Takes what comes, until nobody can print any more.
    async fn fill(&mut self) {
        // on the heap: it would be in every future that waits for this one
        let mut chunk = vec![0; CHUNK];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut chunk).await {
                Ok(n @ 1..) => self.keep(&chunk[..n]),
                _ => self.pipe = None,
            }
        }
    }

    /// Everything, with what is left in the pipe: the runtime may hear of the program's end before it
    /// hears of its last words. Nothing is waited for.
    fn rest(mut self) -> Vec<u8> {
        let mut pipe = self.pipe.take().and_then(|pipe| {
            let pipe = pipe.into_fd().ok()?;
            fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).ok()?;
            Some(File::from(pipe))
        });
        let mut chunk = [0; CHUNK];
        while let Some(file) = &mut pipe {
            match file.read(&mut chunk) {
                Ok(n @ 1..) => self.keep(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => pipe = None,
            }
        }
        self.bytes
    }

    fn keep(&mut self, chunk: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes
            .extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
}

/// The descriptor of a pipe that the runtime has watched.
trait IntoFd {
    fn into_fd(self) -> io::Result<OwnedFd>;
}

impl IntoFd for ChildStdout {
    fn into_fd(self) -> io::Result<OwnedFd> {
        self.into_owned_fd()
    }
}

impl IntoFd for tokio::process::ChildStderr {
    fn into_fd(self) -> io::Result<OwnedFd> {
        self.into_owned_fd()
    }
}

/// A program that runs. Dropped before its end, because nobody waits for it any more, it is ended
/// with its process group.
struct Running {
    child: Option<Child>,
    group: Pid,
}

impl Running {
    fn new(child: Child) -> Running {
        Running {
            group: group_of(&child),
            child: Some(child),
        }
    }

    async fn wait(&mut self) -> ExitOutcome {
        let ending = match &mut self.child {
            Some(child) => ending_of(child.wait().await),
            None => ExitOutcome::Unknown,
        };
        self.child = None;
        ending
    }

    fn take(&mut self) -> Option<Child> {
        self.child.take()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else {
            return;
        };
        // dropped without a runtime, or with it, it kills
        let end = kill(child, self.group);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(end);
        }
    }
}

/// The process group of a child that leads it, and has not been waited for.
fn group_of(child: &Child) -> Pid {
    // no group has this number, should it have ended
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    Pid::from_raw(id.unwrap_or(i32::MAX))
}

fn ending_of(status: io::Result<ExitStatus>) -> ExitOutcome {
    let Ok(status) = status else {
        return ExitOutcome::Unknown;
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitOutcome::Code(code),
        (None, Some(signal)) => ExitOutcome::Signal(signal),
        (None, None) => ExitOutcome::Unknown,
    }
}

/// Ends a child that leads a group, and what is left of the group; one that was asked to end may just
/// be doing so.
pub async fn end(mut child: Child) {
    let group = group_of(&child);
    if timeout(GRACE, child.wait()).await.is_err() {
        kill(child, group).await;
    }
}

/// Ends a process group. The leader is reaped last, so that its number cannot have been given to
/// another group when the signals are sent.
fn kill(mut child: Child, group: Pid) -> impl Future<Output = ExitOutcome> {
    // at once, since the runtime may be about to end; a group that is gone needs no signal
    let _ = killpg(group, Signal::SIGTERM);
    let killed = Killed(group);
    async move {
        sleep(GRACE).await;
        drop(killed);
        match timeout(KILLED, child.wait()).await {
            Ok(status) => ending_of(status),
            Err(_) => ExitOutcome::Unknown,
        }
    }
}

/// A group that is killed when this is dropped: also where the runtime ends before the grace is over.
struct Killed(Pid);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::wait::{WaitStatus, waitpid};

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
        assert_eq!(finished.ending, ExitOutcome::Code(3));
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
        assert_eq!(finished.ending, ExitOutcome::Code(0));
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
        assert_eq!(finished.ending, ExitOutcome::Code(0));
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
        assert_eq!(finished.ending, ExitOutcome::Signal(libc::SIGTERM));
        assert_eq!(finished.stdout, b"before\n");
        assert!(started.elapsed() < Duration::from_secs(30));
        let stubborn = sh("trap '' TERM; while :; do sleep 1; done");
        let finished = Invocation::new(&stubborn, Duration::from_millis(300))
            .run()
            .await
            .unwrap();
        assert_eq!(finished.ending, ExitOutcome::Signal(libc::SIGKILL));
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
        // whoever waits for it, it is a signal that ends it
        let ended = waitpid(group, None);
        assert!(
            matches!(
                ended,
                Err(_) | Ok(WaitStatus::Signaled(_, Signal::SIGKILL, false))
            ),
            "{ended:?}"
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
    async fn it_runs_in_a_group_of_its_own_and_minds_broken_pipes() {
        let arguments = sh("ps -o pgid= -p $$; yes | head -n 1; echo $$");
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
            assert_eq!(task.await.unwrap(), ExitOutcome::Code(n as i32));
        }
    }
}
