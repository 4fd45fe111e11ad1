//! The process of a Python action: requests are written to it and answers read from it, one JSON text per
//! line; its log records go to our log.
//!
//! A task of its own reads its output, also between requests. It kills the process group on request, when a
//! line is too long, or when the output ends.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{self as programs, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::exec::process;
use crate::log::{self, Level};

/// The program that the interpreter runs.
const PROGRAM: &str = concat!(
    include_str!("channel.py"),
    "\n\n",
    include_str!("offered.py"),
    "\n\n",
    include_str!("host.py")
);

/// Bytes of the longest answer.
const LONGEST_LINE: u64 = 1 << 20;

/// Time a process has to end by itself when it is not needed any more.
const FAREWELL: Duration = Duration::from_secs(5);

/// A running process.
#[derive(Debug)]
pub(super) struct Child {
    requests: ChildStdin,
    answers: mpsc::Receiver<Json>,
    /// Dropped or sent: the process is to end now.
    end: oneshot::Sender<()>,
    reader: JoinHandle<()>,
}

/// The process has ended, or does not speak as it should.
#[derive(Debug)]
pub(super) struct ChildGone;

/// The interpreter: that of the system, else the first in `PATH`.
pub fn interpreter() -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    std::iter::once("/usr/bin".to_owned())
        .chain(
            path.split(':')
                .filter(|part| part.starts_with('/'))
                .map(str::to_owned),
        )
        .map(|directory| format!("{directory}/python3"))
        .find(|path| {
            let found = std::fs::metadata(path);
            found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
}

impl Child {
    /// Starts the interpreter with our program.
    ///
    /// # Errors
    /// It could not be started.
    pub(super) fn start(interpreter: &str) -> io::Result<Child> {
        let mut child = Command::new(interpreter)
            .args(["-c", PROGRAM])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // as in the original, what an action prints is the server's
            .stderr(Stdio::inherit())
            .spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe));
        };
        let (end, ends) = oneshot::channel();
        let (forward, received) = mpsc::channel(4);
        let reader = tokio::spawn(read(child, answers, forward, ends));
        Ok(Child {
            requests,
            answers: received,
            end,
            reader,
        })
    }

    /// Writes a message.
    pub(super) async fn send(&mut self, message: &Json) -> Result<(), ChildGone> {
        let line = format!("{message}\n");
        let sent = self.requests.write_all(line.as_bytes()).await;
        sent.map_err(|_| ChildGone)
    }

    /// The next message that is no log record.
    pub(super) async fn receive(&mut self) -> Result<Json, ChildGone> {
        self.answers.recv().await.ok_or(ChildGone)
    }

    /// Lets it end by itself, for a limited time.
    pub(super) async fn close(self) {
        drop(self.requests);
        // what it still has to say must not hold it up
        drop(self.answers);
        let mut reader = self.reader;
        if timeout(FAREWELL, &mut reader).await.is_err() {
            drop(self.end);
            let _ = reader.await;
        }
    }

    /// Ends it at once.
    pub(super) async fn kill(self) {
        drop(self.end);
        let _ = self.reader.await;
    }
}

/// Reads until the output ends, or nobody needs the process any more; then ends it.
async fn read(
    child: programs::Child,
    output: ChildStdout,
    answers: mpsc::Sender<Json>,
    mut end: oneshot::Receiver<()>,
) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut output).take(LONGEST_LINE);
        let length = tokio::select! {
            length = limited.read_until(b'\n', &mut line) => length,
            _ = &mut end => break,
        };
        if !matches!(length, Ok(1..)) || line.last() != Some(&b'\n') {
            break;
        }
        let Ok(message) = serde_json::from_slice::<Json>(&line) else {
            break;
        };
        if let Some(record) = message.get("log") {
            write_record(record);
        } else {
            // nobody waits for it when the action was given up
            let _ = tokio::select! {
                sent = answers.send(message) => sent,
                _ = &mut end => break,
            };
        }
    }
    drop(answers);
    process::end(child).await;
}

/// Writes a log record, `[level, target, text]`.
fn write_record(record: &Json) {
    let number = record[0].as_u64().unwrap_or(0);
    let level = Level::of(u8::try_from(number).unwrap_or(u8::MAX));
    if let (Some(target), Some(text)) = (record[1].as_str(), record[2].as_str())
        && log::enabled(level)
    {
        log::write(level, target, format_args!("{text}"));
    }
}
