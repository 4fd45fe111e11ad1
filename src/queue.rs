//! A bounded queue into a thread of its own: from the jails to the database and to the log.
//!
//! The bounded channel of the standard library allocates room for as many messages as it may ever hold:
//! megabytes for a queue that is nearly always empty. This one grows and shrinks with its messages. Its
//! receiver may also gather: then a message that can wait does not wake it, and waking is most of what a
//! message costs the sender.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError, TrySendError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Room that an empty queue keeps, in messages.
const KEPT: usize = 256;

/// A queue that holds at most `limit` messages.
pub fn bounded<T>(limit: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(QueueShared {
        state: Mutex::new(QueueState {
            messages: VecDeque::new(),
            pressing: false,
            reader: ReceiverState::Busy,
            closed: false,
        }),
        news: Condvar::new(),
    });
    let sender = Sender {
        shared: Arc::clone(&shared),
        limit,
    };
    (sender, Receiver { shared })
}

struct QueueShared<T> {
    state: Mutex<QueueState<T>>,
    news: Condvar,
}

struct QueueState<T> {
    messages: VecDeque<T>,
    /// One of them cannot wait.
    pressing: bool,
    reader: ReceiverState,
    /// The other end is gone.
    closed: bool,
}

/// What the reader does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReceiverState {
    Busy,
    /// Waits for any message.
    Waiting,
    /// Waits for one that cannot wait.
    Gathering,
}

impl<T> QueueShared<T> {
    fn lock(&self) -> MutexGuard<'_, QueueState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }
}

impl<T> QueueState<T> {
    fn take(&mut self) -> Option<T> {
        let message = self.messages.pop_front();
        if self.messages.is_empty() {
            self.pressing = false;
            if self.messages.capacity() > KEPT {
                self.messages = VecDeque::new();
            }
        }
        message
    }
}

/// The sending end.
pub struct Sender<T> {
    shared: Arc<QueueShared<T>>,
    limit: usize,
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("waiting", &self.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl<T> Sender<T> {
    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.shared.lock().messages.len()
    }

    /// Queues a message at once.
    ///
    /// # Errors
    /// The queue is full, or nobody reads it any more; either gives the message back.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.send(message, true)
    }

    /// As [`Sender::try_send`], but a reader that gathers is not woken.
    ///
    /// # Errors
    /// Those of [`Sender::try_send`].
    pub fn try_send_quietly(&self, message: T) -> Result<(), TrySendError<T>> {
        self.send(message, false)
    }

    fn send(&self, message: T, pressing: bool) -> Result<(), TrySendError<T>> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(TrySendError::Disconnected(message));
        }
        if state.messages.len() >= self.limit {
            return Err(TrySendError::Full(message));
        }
        state.messages.push_back(message);
        state.pressing |= pressing;
        let wake = match state.reader {
            ReceiverState::Busy => false,
            ReceiverState::Waiting => true,
            ReceiverState::Gathering => pressing,
        };
        if wake {
            state.reader = ReceiverState::Busy;
            // a reader that is woken finds the lock free
            drop(state);
            self.shared.news.notify_one();
        }
        Ok(())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// The reading end.
pub struct Receiver<T> {
    shared: Arc<QueueShared<T>>,
}

impl<T> Receiver<T> {
    /// The next message, whenever it comes.
    ///
    /// # Errors
    /// Nobody can send any more, and nothing waits.
    pub fn recv(&self) -> Result<T, RecvError> {
        let mut state = self.wait(ReceiverState::Waiting, None, |state| {
            !state.messages.is_empty()
        });
        state.take().ok_or(RecvError)
    }

    /// The next message, if one comes in time.
    ///
    /// # Errors
    /// None came, or none can come any more.
    pub fn recv_timeout(&self, patience: Duration) -> Result<T, RecvTimeoutError> {
        let until = Instant::now() + patience;
        let mut state = self.wait(ReceiverState::Waiting, Some(until), |state| {
            !state.messages.is_empty()
        });
        let closed = state.closed;
        state.take().ok_or(match closed {
            true => RecvTimeoutError::Disconnected,
            false => RecvTimeoutError::Timeout,
        })
    }

    /// The next message, if one waits.
    ///
    /// # Errors
    /// None waits, or none can come any more.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.shared.lock();
        let closed = state.closed;
        state.take().ok_or(match closed {
            true => TryRecvError::Disconnected,
            false => TryRecvError::Empty,
        })
    }

    /// Lets messages gather until one cannot wait, but not longer than this.
    pub fn gather(&self, patience: Duration) {
        let until = Instant::now() + patience;
        drop(self.wait(ReceiverState::Gathering, Some(until), |state| {
            state.pressing
        }));
    }

    /// Waits until there is what is waited for, or no more, or the time is over.
    fn wait(
        &self,
        reader: ReceiverState,
        until: Option<Instant>,
        there: impl Fn(&QueueState<T>) -> bool,
    ) -> MutexGuard<'_, QueueState<T>> {
        let mut state = self.shared.lock();
        while !there(&state) && !state.closed {
            state.reader = reader;
            let waited = match until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => break,
                Some(rest) => {
                    let waited = self.shared.news.wait_timeout(state, rest);
                    waited.map(|(state, _)| state).map_err(|e| e.into_inner().0)
                }
                None => (self.shared.news.wait(state)).map_err(PoisonError::into_inner),
            };
            state = waited.unwrap_or_else(|state| state);
        }
        state.reader = ReceiverState::Busy;
        state
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn room_comes_back() {
        let (sender, receiver) = bounded(2);
        for round in 0..3 {
            assert_eq!(sender.try_send(round), Ok(()));
            assert_eq!(sender.try_send_quietly(round + 10), Ok(()));
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
        assert_eq!(
            receiver.recv_timeout(LONG),
            Err(RecvTimeoutError::Disconnected)
        );
    }

    #[test]
    fn a_reader_that_waits_gets_every_kind_of_message() {
        let (sender, receiver) = bounded(8);
        let thread = std::thread::spawn(move || [receiver.recv(), receiver.recv()]);
        assert_eq!(sender.try_send_quietly(1), Ok(()));
        assert_eq!(sender.try_send(2), Ok(()));
        assert_eq!(thread.join().ok(), Some([Ok(1), Ok(2)]));
    }

    #[test]
    fn what_cannot_wait_ends_the_gathering() {
        let (sender, receiver) = bounded(8);
        let thread = std::thread::spawn(move || {
            receiver.gather(LONG);
            std::iter::from_fn(|| receiver.try_recv().ok()).collect::<Vec<_>>()
        });
        assert_eq!(sender.try_send_quietly(1), Ok(()));
        assert_eq!(sender.try_send(2), Ok(()));
        assert_eq!(thread.join().ok(), Some(vec![1, 2]));

        let (sender, receiver) = bounded(8);
        assert_eq!(sender.try_send_quietly(1), Ok(()));
        receiver.gather(Duration::from_millis(1));
        assert_eq!(receiver.try_recv(), Ok(1));
        // nor does it wait for nobody
        drop(sender);
        receiver.gather(LONG);
    }
}
