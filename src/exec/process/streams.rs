//! A child's standard input and output: pipes that never make this process wait.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

/// Whether there is something to take when the child has ended: one question for both of its pipes,
/// and mostly the answer is no. The descriptors themselves are asked: the runtime may hear of the
/// child's end before it hears of its last words.
pub(super) fn leaves_output(stdout: &Capture, stderr: &Capture) -> bool {
    let mut pipes: Vec<PollFd<'_>> = [stdout, stderr]
        .into_iter()
        .filter_map(Capture::as_fd)
        .map(|pipe| PollFd::new(pipe, PollFlags::POLLIN))
        .collect();
    match poll(&mut pipes, PollTimeout::ZERO) {
        Ok(0) => false,
        Ok(_) => pipes.iter().any(|pipe| {
            pipe.revents()
                .is_none_or(|events| events.contains(PollFlags::POLLIN))
        }),
        Err(_) => true,
    }
}

/// Makes reading from a pipe never wait.
fn never_block(pipe: &OwnedFd) -> nix::Result<()> {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop)
}

/// What a child prints on one descriptor.
pub(super) struct Capture {
    pipe: Output,
    open: bool,
    limit: usize,
    pub(super) bytes: Vec<u8>,
}

/// The end of a pipe that is read.
enum Output {
    Unwatched(OwnedFd),
    Watched(pipe::Receiver),
    /// It cannot be watched, and what is in it is lost.
    Broken,
}

impl Capture {
    pub(super) fn new(pipe: OwnedFd, limit: usize) -> Capture {
        Capture {
            pipe: Output::Unwatched(pipe),
            open: true,
            limit,
            bytes: Vec::new(),
        }
    }

    /// From now on the runtime tells when there is something.
    pub(super) fn watch(&mut self) {
        self.pipe = match std::mem::replace(&mut self.pipe, Output::Broken) {
            // this makes it one that never blocks
            Output::Unwatched(pipe) => {
                pipe::Receiver::from_owned_fd(pipe).map_or(Output::Broken, Output::Watched)
            }
            other => other,
        };
    }

    pub(super) fn is_watched(&self) -> bool {
        self.open && matches!(self.pipe, Output::Watched(_))
    }

    pub(super) async fn readable(&self) {
        if let Output::Watched(pipe) = &self.pipe {
            // an error shows again when reading
            let _ = pipe.readable().await;
        }
    }

    /// Takes what is there, without waiting.
    pub(super) fn take(&mut self) {
        let mut chunk = [0; 8192];
        while let (true, Output::Watched(pipe)) = (self.open, &self.pipe) {
            match pipe.try_read(&mut chunk) {
                Ok(n) => self.keep(&chunk[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.open = false,
            }
        }
    }

    /// Takes what is left when the child has ended.
    pub(super) fn take_rest(&mut self) {
        let blocks = match &self.pipe {
            Output::Unwatched(pipe) => never_block(pipe).is_err(),
            Output::Watched(_) | Output::Broken => false,
        };
        let mut chunk = [0; 8192];
        while let (true, false, Some(pipe)) = (self.open, blocks, self.as_fd()) {
            match nix::unistd::read(pipe, &mut chunk) {
                Ok(n) => self.keep(&chunk[..n]),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.pipe {
            Output::Unwatched(pipe) => Some(pipe.as_fd()),
            Output::Watched(pipe) => Some(pipe.as_fd()),
            Output::Broken => None,
        }
    }

    fn keep(&mut self, chunk: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes
            .extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.open = !chunk.is_empty();
    }
}

/// What a child is given to read.
pub(super) struct Input<'a> {
    pipe: Option<pipe::Sender>,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(pipe: pipe::Sender, bytes: &'a [u8]) -> Input<'a> {
        Input {
            pipe: Some(pipe),
            rest: bytes,
        }
    }

    pub(super) fn none() -> Input<'a> {
        Input {
            pipe: None,
            rest: &[],
        }
    }

    pub(super) fn pending(&self) -> bool {
        self.pipe.is_some()
    }

    /// Writes some and closes the pipe after the last byte, or when the child reads no more.
    pub(super) async fn push(&mut self) {
        let Some(pipe) = self.pipe.as_mut() else {
            return;
        };
        match self.rest.is_empty() {
            true => self.pipe = None,
            false => match pipe.write(self.rest).await {
                Ok(n) => self.rest = &self.rest[n..],
                Err(_) => self.pipe = None,
            },
        }
    }
}
