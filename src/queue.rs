//! A bounded queue into a thread of its own: from the jails to the database and to the log.
//!
//! The standard library's bounded channel sets aside, and under load touches, room for as many
//! messages as it may ever hold: megabytes for a queue that is nearly always empty. This one takes
//! a block for every few messages and gives it back once they are read.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvError, RecvTimeoutError, TryRecvError, TrySendError};
use std::time::Duration;

/// A queue that holds at most `limit` messages.
pub fn bounded<T>(limit: usize) -> (Sender<T>, Receiver<T>) {
    let (messages, queue) = mpsc::channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let sender = Sender {
        messages,
        waiting: Arc::clone(&waiting),
        limit,
    };
    (sender, Receiver { queue, waiting })
}

/// The sending end.
pub struct Sender<T> {
    messages: mpsc::Sender<T>,
    waiting: Arc<AtomicUsize>,
    limit: usize,
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("waiting", &self.waiting)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<T> Sender<T> {
    /// Queues a message at once.
    ///
    /// # Errors
    /// The queue is full, or nobody reads it any more; either gives the message back.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        // counted before it is sent: the reader may be faster than this thread
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(TrySendError::Full(message));
        }
        self.messages
            .send(message)
            .map_err(|mpsc::SendError(message)| TrySendError::Disconnected(message))
    }
}

/// The reading end.
pub struct Receiver<T> {
    queue: mpsc::Receiver<T>,
    waiting: Arc<AtomicUsize>,
}

impl<T> Receiver<T> {
    /// The next message, whenever it comes.
    ///
    /// # Errors
    /// Nobody can send any more, and nothing waits.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.queue.recv().inspect(|_| self.taken())
    }

    /// The next message, if one comes in time.
    ///
    /// # Errors
    /// None came, or none can come any more.
    pub fn recv_timeout(&self, patience: Duration) -> Result<T, RecvTimeoutError> {
        self.queue.recv_timeout(patience).inspect(|_| self.taken())
    }

    /// The next message, if one waits.
    ///
    /// # Errors
    /// None waits, or none can come any more.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.queue.try_recv().inspect(|_| self.taken())
    }

    fn taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back() {
        let (sender, receiver) = bounded(2);
        for round in 0..3 {
            assert_eq!(sender.try_send(round), Ok(()));
            assert_eq!(sender.try_send(round + 10), Ok(()));
            assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
            assert_eq!(receiver.recv(), Ok(round));
            assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(round + 10));
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        }
        drop(receiver);
        assert_eq!(sender.try_send(1), Err(TrySendError::Disconnected(1)));
    }

    #[test]
    fn the_last_messages_arrive() {
        let (sender, receiver) = bounded(8);
        let thread = std::thread::spawn(move || (0..8).all(|n| sender.try_send(n).is_ok()));
        assert_eq!(thread.join().ok(), Some(true));
        let read: Vec<i32> = std::iter::from_fn(|| receiver.recv().ok()).collect();
        assert_eq!(read, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
