//! The end of a child: a descriptor of the kernel tells of it, or on old kernels a signal that tells
//! of the end of any child.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::signal::{Signal as Number, killpg};
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Ending, ending_of};
use crate::sys::readiness;
use crate::sys::spawn::Child;

/// Waits for the end of one child.
pub(super) struct End {
    pid: Pid,
    teller: Teller,
}

enum Teller {
    Descriptor(AsyncFd<OwnedFd>),
    /// `new`: the child may have ended before anybody listened.
    Signal {
        signal: Signal,
        new: bool,
    },
}

impl End {
    /// Of a child that has just been started.
    ///
    /// # Errors
    /// Nobody could tell of it; the child is killed.
    pub(super) fn of(child: Child) -> io::Result<End> {
        let pid = child.pid;
        let descriptor = child.end.map(readiness::readable);
        let teller = match descriptor {
            Some(Ok(descriptor)) => Teller::Descriptor(descriptor),
            Some(Err(_)) | None => {
                let signal = signal(SignalKind::child()).inspect_err(|_| {
                    let _ = killpg(pid, Number::SIGKILL);
                })?;
                Teller::Signal { signal, new: true }
            }
        };
        Ok(End { pid, teller })
    }

    /// Waits for it; nothing is lost when the future is dropped before.
    pub(super) async fn come(&mut self) -> Ending {
        loop {
            match &mut self.teller {
                Teller::Descriptor(descriptor) => match descriptor.readable().await {
                    Ok(mut ready) => ready.clear_ready(),
                    // the runtime ends
                    Err(_) => return Ending::Unknown,
                },
                Teller::Signal { new, .. } if *new => *new = false,
                Teller::Signal { signal, .. } => drop(signal.recv().await),
            }
            if let Some(ending) = ending_of(self.pid) {
                return ending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::spawn::{Program, spawn};

    /// As on a kernel that has no descriptors of processes.
    #[tokio::test]
    async fn a_signal_tells_where_no_descriptor_does() {
        for script in [c"exit 3", c"sleep 0.2; exit 3"] {
            let arguments = [c"sh", c"-c", script].map(|word| word.to_owned());
            let streams = io::stderr();
            let mut child = spawn(&Program {
                path: c"sh",
                arguments: &arguments,
                stdin: None,
                stdout: streams.as_fd(),
                stderr: streams.as_fd(),
            })
            .unwrap();
            child.end = None;
            let ending = End::of(child).unwrap().come().await;
            assert_eq!(ending, Ending::Code(3));
        }
    }
}
