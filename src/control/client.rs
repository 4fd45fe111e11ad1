//! The client side of the control socket: one connection, one request at a time, blocking.
//!
//! No async runtime and no threads, so that a status query of a monitoring system stays cheap.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::pickle::{self, PickleError};
use super::wire::{self, FrameBuffer, TooLong};
use super::{Reply, Value};

/// Bytes read at first: most replies are short, and memory that is not touched costs nothing.
const FIRST_READ: usize = 2 << 10;
/// Bytes read at once of a long reply.
const LONG_READ: usize = 32 << 10;

/// Why there is no reply; `Display` is the text for the operator, as Python words it (fact P59).
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket or the connection failed.
    #[error("{}", system_text(.0))]
    Socket(#[source] io::Error),
    /// The answer cannot be read.
    #[error(transparent)]
    Answer(#[from] PickleError),
    /// The answer does not end.
    #[error(transparent)]
    Length(#[from] TooLong),
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> ClientError {
        ClientError::Socket(error)
    }
}

/// `[Errno 111] Connection refused`
fn system_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        // a time-out of the socket shows as this error
        Some(libc::EAGAIN) => "timed out".to_owned(),
        Some(number) => format!(
            "[Errno {number}] {}",
            nix::errno::Errno::from_raw(number).desc()
        ),
        None => error.to_string(),
    }
}

/// A connection to the server. Says good-bye when dropped.
#[derive(Debug)]
pub struct ControlClient {
    stream: UnixStream,
    frames: FrameBuffer,
    /// Bytes read at once.
    room: usize,
}

impl ControlClient {
    /// Connects; every later send and receive must go on within `timeout` (`None`: for ever).
    ///
    /// # Errors
    /// Those of the socket.
    pub fn connect(socket: &Path, timeout: Option<Duration>) -> Result<ControlClient, ClientError> {
        let stream = UnixStream::connect(socket)?;
        // zero would mean "for ever"
        let timeout = timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
        stream.set_read_timeout(timeout)?;
        stream.set_write_timeout(timeout)?;
        Ok(ControlClient {
            stream,
            frames: FrameBuffer::default(),
            room: FIRST_READ,
        })
    }

    /// Sends a request, waits for its reply.
    ///
    /// # Errors
    /// Those of the socket; an answer that is no reply.
    pub fn ask(&mut self, words: &[Value]) -> Result<Reply, ClientError> {
        let request = pickle::encode(&Value::List(words.to_vec()));
        self.stream.write_all(&wire::frame(request))?;
        self.receive()
    }

    /// Waits for a reply: the next one, where a request has many.
    ///
    /// # Errors
    /// Those of the socket; an answer that is no reply.
    pub fn receive(&mut self) -> Result<Reply, ClientError> {
        let mut block = Vec::new();
        loop {
            if let Some(reply) = self.received()? {
                return Ok(reply);
            }
            block.resize(self.room, 0);
            match self.stream.read(&mut block) {
                Ok(0) => return Err(io::Error::from_raw_os_error(libc::ECONNRESET).into()),
                Ok(length) => {
                    self.frames.push(&block[..length]);
                    if length == self.room {
                        self.room = LONG_READ;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl ControlClient {
    /// A reply that has come already, where a request has many.
    ///
    /// # Errors
    /// It is no reply.
    pub fn received(&mut self) -> Result<Option<Reply>, ClientError> {
        let message = self.frames.next_message()?;
        Ok(message.map(pickle::decode_reply).transpose()?)
    }
}

impl Drop for ControlClient {
    fn drop(&mut self) {
        // the server may be gone already, which is as good
        let _ = self.stream.write_all(&wire::frame(wire::CLOSE.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::control::CommandError;

    /// A server that answers each connection's first request with these bytes.
    fn answering(bytes: Vec<u8>) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1000]);
                // in two pieces
                let (head, tail) = bytes.split_at(bytes.len() / 2);
                let _ = stream.write_all(head);
                std::thread::sleep(Duration::from_millis(10));
                let _ = stream.write_all(tail);
            }
        });
        (dir, path)
    }

    fn ask(path: &Path) -> Result<Reply, ClientError> {
        ControlClient::connect(path, Some(Duration::from_millis(300)))?.ask(&["ping".into()])
    }

    #[test]
    fn gets_replies_and_errors() {
        let pong: Reply = Ok("pong".into());
        let (_dir, path) = answering(wire::frame(pickle::encode_reply(&pong)));
        assert_eq!(ask(&path).unwrap(), pong);
        let failed: Reply = Err(CommandError::unknown_jail("x"));
        let (_dir, path) = answering(wire::frame(pickle::encode_reply(&failed)));
        assert_eq!(ask(&path).unwrap(), failed);
    }

    #[test]
    fn says_what_went_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let text = |path: &Path| ask(path).unwrap_err().to_string();
        assert_eq!(text(&path), "[Errno 2] No such file or directory");
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(text(&path), "[Errno 111] Connection refused");
        let (_dir, path) = answering(Vec::new());
        assert_eq!(text(&path), "[Errno 104] Connection reset by peer");
        let silent = dir.path().join("silent");
        let _listener = UnixListener::bind(&silent).unwrap();
        assert_eq!(text(&silent), "timed out");
    }
}
