//! The thread that writes the log, so that a slow disk or a stuck terminal never blocks a jail.
//!
//! Lines and orders share one queue, so what was logged before a change of target goes to the old target.
//! The queue is bounded by count and bytes; lines that do not fit are dropped, and their number is logged
//! later.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use crate::log::Level;
use crate::queue::{self, Receiver, Sender};
use crate::sys::allocator;

const QUEUE_LINES: usize = 16_384;
const QUEUE_BYTES: usize = 8 << 20;
/// How long a record may wait for room before it is dropped.
const PATIENCE: Duration = Duration::from_millis(200);
/// Lines written in one go.
const BATCH_BYTES: usize = 64 << 10;
/// How long the first line waits for others: thousands of lines a second are a write and a wake-up
/// each otherwise.
const GATHER: Duration = Duration::from_millis(1);

/// Where lines go.
pub(super) enum Output {
    Stdout,
    Stderr,
    File(PathBuf, File),
    Syslog(SyslogOutput),
    Journal(UnixDatagram),
}

impl Output {
    /// Opens a file for appending, readable by the owner alone. A record of which a full disk took
    /// only the beginning gets its end, so that the next one has a line of its own.
    pub(super) fn file(path: &Path) -> io::Result<Output> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        if is_cut(path, &file) {
            // a disk that is still full takes no record either
            let _ = file.write_all(b"\n");
        }
        Ok(Output::File(path.to_owned(), file))
    }

    /// Has the record of a lack of memory go here as well.
    fn take_last_record(&self) {
        match self {
            Output::Stdout => allocator::tell_log(io::stdout(), None),
            // the journal takes what a service says on standard error
            Output::Stderr | Output::Journal(_) => allocator::tell_log(io::stderr(), None),
            Output::File(_, file) => allocator::tell_log(file, None),
            Output::Syslog(syslog) => syslog.take_last_record(),
        }
    }

    /// Writes as much as is taken at once.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            // without the library's buffer: it would keep, and write later, what is refused now
            Output::Stdout => Ok(nix::unistd::write(io::stdout(), bytes)?),
            Output::Stderr => io::stderr().write(bytes),
            Output::File(_, file) => file.write(bytes),
            Output::Syslog(_) | Output::Journal(_) => Ok(bytes.len()),
        }
    }

    /// Entries for journald. It need not run (yet): a machine without one is no reason not to
    /// start.
    pub(super) fn journal() -> io::Result<Output> {
        Ok(Output::Journal(UnixDatagram::unbound()?))
    }
}

/// Whether a file does not end with the end of a line.
fn is_cut(path: &Path, file: &File) -> bool {
    let about = file.metadata().ok().filter(|about| about.is_file());
    let Some(last) = about.and_then(|about| about.len().checked_sub(1)) else {
        return false;
    };
    let mut byte = [b'\n'];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut byte, last));
    read.is_ok() && byte != *b"\n"
}

const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";

/// A connection to the local syslog daemon.
pub(super) struct SyslogOutput {
    path: PathBuf,
    facility: u8,
    /// None after an error: half a message may have been sent through it.
    connection: Option<SyslogConnection>,
}

enum SyslogConnection {
    Datagrams(UnixDatagram),
    Stream(UnixStream),
}

impl SyslogOutput {
    pub(super) fn connect(path: &Path, facility: u8) -> io::Result<SyslogOutput> {
        Ok(SyslogOutput {
            path: path.to_owned(),
            facility,
            connection: Some(connect(path)?),
        })
    }

    fn take_last_record(&self) {
        let priority = Some(self.facility * 8 + severity(Level::Critical));
        match &self.connection {
            Some(SyslogConnection::Datagrams(socket)) => allocator::tell_log(socket, priority),
            Some(SyslogConnection::Stream(socket)) => allocator::tell_log(socket, priority),
            None => {}
        }
    }

    /// One message; after an error the daemon may have been restarted, so once more.
    fn send(&mut self, level: Level, text: &str) -> io::Result<()> {
        let priority = self.facility * 8 + severity(level);
        let message = format!("<{priority}>{text}\0");
        if let Some(mut connection) = self.connection.take()
            && connection.send(message.as_bytes()).is_ok()
        {
            self.connection = Some(connection);
            return Ok(());
        }
        let mut connection = connect(&self.path)?;
        connection.send(message.as_bytes())?;
        self.connection = Some(connection);
        self.take_last_record();
        Ok(())
    }
}

fn connect(path: &Path) -> io::Result<SyslogConnection> {
    let datagrams = UnixDatagram::unbound()?;
    if datagrams.connect(path).is_ok() {
        datagrams.set_write_timeout(Some(PATIENCE))?;
        return Ok(SyslogConnection::Datagrams(datagrams));
    }
    let stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(SyslogConnection::Stream(stream))
}

impl SyslogConnection {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            SyslogConnection::Datagrams(socket) => socket.send(message).map(drop),
            SyslogConnection::Stream(socket) => socket.write_all(message),
        }
    }
}

/// Syslog's severity; levels it does not know count as warnings, as in the original (fact L9).
fn severity(level: Level) -> u8 {
    match level {
        Level::Critical => 2,
        Level::Error => 3,
        Level::Warning | Level::Msg | Level::LowDebug | Level::TraceDebug | Level::HeavyDebug => 4,
        Level::Notice => 5,
        Level::Info => 6,
        Level::Debug => 7,
    }
}

/// A formatted record.
pub(super) struct LogLine {
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) text: String,
}

enum WriterOrder {
    Line(LogLine),
    Switch(Output, SyncSender<()>),
    /// Open the file again; answers nothing when the output is none.
    Reopen(SyncSender<Option<io::Result<()>>>),
    Flush(SyncSender<()>),
}

/// The sending end of the queue.
pub(super) struct LogWriter {
    orders: Sender<WriterOrder>,
    load: Arc<Load>,
}

#[derive(Default)]
struct Load {
    bytes: AtomicUsize,
    lost: AtomicU64,
}

impl LogWriter {
    /// Starts the thread; until the first [`LogWriter::switch`] lines go to standard error.
    pub(super) fn spawn() -> io::Result<LogWriter> {
        let (orders, inbox) = queue::bounded(QUEUE_LINES);
        let load = Arc::new(Load::default());
        let thread = Thread {
            inbox,
            load: Arc::clone(&load),
            output: Output::Stderr,
            failing: false,
            is_cut: false,
        };
        std::thread::Builder::new()
            .name("f2b/log".to_owned())
            .spawn(move || thread.run())?;
        Ok(LogWriter { orders, load })
    }

    /// Queues a line; waits a moment for room, but not while lines are being lost already.
    pub(super) fn line(&self, line: LogLine) {
        let size = line.text.len();
        let mut order = WriterOrder::Line(line);
        let mut deadline = None;
        loop {
            if self.load.bytes.fetch_add(size, Ordering::Relaxed) + size <= QUEUE_BYTES {
                match self.orders.try_send(order) {
                    Ok(()) => return,
                    Err(TrySendError::Full(back)) => order = back,
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
            self.load.bytes.fetch_sub(size, Ordering::Relaxed);
            let now = Instant::now();
            let deadline = *deadline.get_or_insert(now + PATIENCE);
            if self.load.lost.load(Ordering::Relaxed) > 0 || now >= deadline {
                self.load.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends what follows to another output.
    pub(super) fn switch(&self, output: Output) {
        self.ask(|done| WriterOrder::Switch(output, done));
    }

    /// Opens the file again, as after a rotation; `None` when the output is no file. Should that
    /// fail the old file stays in use, so that nothing is lost.
    pub(super) fn reopen(&self) -> Option<io::Result<()>> {
        self.ask(WriterOrder::Reopen).flatten()
    }

    /// Waits until everything logged so far is written.
    pub(super) fn flush(&self) {
        self.ask(WriterOrder::Flush);
    }

    /// Queues an order and waits for its end; not for ever, should the output be stuck.
    fn ask<T>(&self, order: impl FnOnce(SyncSender<T>) -> WriterOrder) -> Option<T> {
        let (done, answer) = sync_channel(1);
        let mut order = order(done);
        for _ in 0..1000 {
            match self.orders.try_send(order) {
                Ok(()) => return answer.recv_timeout(Duration::from_secs(2)).ok(),
                Err(TrySendError::Full(back)) => order = back,
                Err(TrySendError::Disconnected(_)) => return None,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    }
}

struct Thread {
    inbox: Receiver<WriterOrder>,
    load: Arc<Load>,
    output: Output,
    /// The last write failed.
    failing: bool,
    /// It took the beginning of a record; the rest waits.
    is_cut: bool,
}

impl Thread {
    fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH_BYTES);
        while let Ok(order) = self.inbox.recv() {
            if matches!(order, WriterOrder::Line(_)) {
                std::thread::sleep(GATHER);
            }
            let mut next = Some(order);
            while let Some(order) = next {
                self.carry_out(order, &mut batch);
                next = if batch.len() < BATCH_BYTES {
                    self.inbox.try_recv().ok()
                } else {
                    None
                };
            }
            self.write(&mut batch);
        }
    }

    fn carry_out(&mut self, order: WriterOrder, batch: &mut Vec<u8>) {
        match order {
            WriterOrder::Line(line) => {
                self.load
                    .bytes
                    .fetch_sub(line.text.len(), Ordering::Relaxed);
                self.take(&line, batch);
                let lost = match self.failing {
                    false => self.load.lost.swap(0, Ordering::Relaxed),
                    true => 0,
                };
                if lost > 0 {
                    let text =
                        format!("{lost} log record(s) lost: the log target did not take them");
                    let told = LogLine {
                        level: Level::Warning,
                        target: "fail2ban.server".to_owned(),
                        text,
                    };
                    self.take(&told, batch);
                }
            }
            WriterOrder::Switch(output, done) => {
                self.write(batch);
                self.forget(batch);
                output.take_last_record();
                self.output = output;
                self.failing = false;
                let _ = done.send(());
            }
            WriterOrder::Reopen(done) => {
                self.write(batch);
                let reopened = self.reopen();
                if matches!(reopened, Some(Ok(()))) {
                    self.forget(batch);
                }
                let _ = done.send(reopened);
            }
            WriterOrder::Flush(done) => {
                self.write(batch);
                let _ = done.send(());
            }
        }
    }

    fn take(&mut self, line: &LogLine, batch: &mut Vec<u8>) {
        match &mut self.output {
            Output::Syslog(syslog) => {
                let sent = syslog.send(line.level, &line.text);
                self.note(sent, 1);
            }
            Output::Journal(socket) => {
                let sent = socket
                    .send_to(&journal_entry(line), JOURNAL_SOCKET)
                    .map(drop);
                self.note(sent, 1);
            }
            Output::Stdout | Output::Stderr | Output::File(..) => {
                batch.extend_from_slice(line.text.as_bytes());
                batch.push(b'\n');
            }
        }
    }

    /// Writes what was collected. Of that which is not taken only the rest of a record stays that
    /// was written in part: it comes first when there is room again.
    fn write(&mut self, batch: &mut Vec<u8>) {
        let mut written = 0;
        let mut outcome = Ok(());
        while written < batch.len() && outcome.is_ok() {
            outcome = match self.output.write(&batch[written..]) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => {
                    written += taken;
                    Ok(())
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
                Err(e) => Err(e),
            };
        }
        if written == 0 && outcome.is_ok() {
            return;
        }
        let is_cut = match written.checked_sub(1) {
            Some(last) => batch[last] != b'\n',
            // nothing of what a former call left was taken
            None => self.is_cut,
        };
        batch.drain(..written);
        let rest = match memchr::memchr(b'\n', batch) {
            Some(end) if is_cut => end + 1,
            _ => 0,
        };
        self.is_cut = rest > 0;
        let lost = memchr::memchr_iter(b'\n', &batch[rest..]).count();
        batch.truncate(rest);
        self.note(outcome, lost as u64);
    }

    /// What is left of a record belongs to an output that is used no more.
    fn forget(&mut self, batch: &mut Vec<u8>) {
        if !batch.is_empty() {
            batch.clear();
            self.is_cut = false;
            self.note(Err(io::ErrorKind::StorageFull.into()), 1);
        }
    }

    /// There is no one to tell but the log itself, when it works again.
    fn note(&mut self, written: io::Result<()>, lines: u64) {
        self.failing = written.is_err();
        if self.failing {
            self.load.lost.fetch_add(lines, Ordering::Relaxed);
        }
    }

    fn reopen(&mut self) -> Option<io::Result<()>> {
        let Output::File(path, _) = &self.output else {
            return None;
        };
        Some(Output::file(path).map(|new| {
            new.take_last_record();
            self.output = new;
        }))
    }
}

/// An entry in journald's native form: `KEY=value` lines, values with newlines by length.
fn journal_entry(line: &LogLine) -> Vec<u8> {
    let mut entry = Vec::with_capacity(line.text.len() + 120);
    // the journal's own handler in Python knows no level between these: a notice is a warning
    let priority = match line.level as u8 {
        ..=10 => "7",
        11..=20 => "6",
        21..=30 => "4",
        31..=40 => "3",
        _ => "2",
    };
    let fields = [
        ("MESSAGE", line.text.as_str()),
        ("PRIORITY", priority),
        ("SYSLOG_IDENTIFIER", "fail2ban"),
        ("LOGGER", line.target.as_str()),
    ];
    for (key, value) in fields {
        entry.extend_from_slice(key.as_bytes());
        if value.contains('\n') {
            entry.push(b'\n');
            entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            entry.push(b'=');
        }
        entry.extend_from_slice(value.as_bytes());
        entry.push(b'\n');
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine {
            level: Level::Info,
            target: "fail2ban.server".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn lines_go_to_the_target_of_their_time() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        let writer = LogWriter::spawn().unwrap();
        writer.switch(Output::file(&first).unwrap());
        writer.line(line("one"));
        std::fs::rename(&first, dir.path().join("first.1")).unwrap();
        writer.line(line("two"));
        writer.reopen().unwrap().unwrap();
        writer.line(line("three"));
        writer.switch(Output::file(&second).unwrap());
        writer.line(line("four"));
        writer.flush();
        let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(text("first.1"), "one\ntwo\n");
        assert_eq!(text("first"), "three\n");
        assert_eq!(text("second"), "four\n");
    }

    #[test]
    fn syslog_gets_priority_text_and_nul() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        let writer = LogWriter::spawn().unwrap();
        writer.switch(Output::Syslog(SyslogOutput::connect(&path, 3).unwrap()));
        writer.line(line("fail2ban.server[1]: INFO text"));
        let mut buffer = [0; 200];
        let size = daemon.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..size], b"<30>fail2ban.server[1]: INFO text\0");
        // the daemon is restarted
        drop(daemon);
        std::fs::remove_file(&path).unwrap();
        let daemon = UnixDatagram::bind(&path).unwrap();
        writer.line(line("again"));
        let size = daemon.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..size], b"<30>again\0");
    }

    #[test]
    fn a_full_disk_is_told_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let writer = LogWriter::spawn().unwrap();
        writer.switch(Output::file(Path::new("/dev/full")).unwrap());
        writer.line(line("one"));
        writer.line(line("two"));
        writer.flush();
        writer.line(line("three"));
        writer.switch(Output::file(&path).unwrap());
        writer.line(line("four"));
        writer.flush();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "four\n3 log record(s) lost: the log target did not take them\n"
        );
    }

    #[test]
    fn a_stuck_target_loses_lines_not_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let writer = LogWriter::spawn().unwrap();
        writer.switch(Output::File(path, file));
        let began = Instant::now();
        let text = "x".repeat(1000);
        for _ in 0..20_000 {
            writer.line(line(&text));
        }
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(writer.load.lost.load(Ordering::Relaxed) > 1000);
        assert!(writer.load.bytes.load(Ordering::Relaxed) <= QUEUE_BYTES);
    }
}
