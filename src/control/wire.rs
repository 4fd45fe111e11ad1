//! Framing of the control socket: a pickle, then an end marker (fact P1).
//!
//! In: bytes as they arrive. Out: complete messages.
#![forbid(unsafe_code)]

use memchr::memmem;

/// Ends every message.
pub const END: &[u8] = b"<F2B_END_COMMAND>";
/// The message by which a client says good-bye.
pub const CLOSE: &[u8] = b"<F2B_CLOSE_COMMAND>";
/// Longest message either side accepts, in bytes: several times the configuration stream of all
/// stock jails, and the list of a million bans.
pub const MAX_MESSAGE: usize = 32 << 20;

/// Memory that is kept between messages, in bytes.
const KEPT: usize = 1 << 16;

/// The peer sent more than [`MAX_MESSAGE`] bytes without an end marker.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("message of more than {MAX_MESSAGE} bytes")]
pub struct TooLong;

/// Collects what arrives and cuts it into messages.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    buffer: Vec<u8>,
    /// The message being received begins here.
    start: usize,
    /// No end marker begins before this place.
    searched: usize,
}

impl FrameBuffer {
    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
            // one long message is no reason to hold its memory for ever
            self.buffer.shrink_to(self.buffer.len().max(KEPT));
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message without its end marker, if it is there.
    ///
    /// # Errors
    /// [`TooLong`]; the connection is of no use then.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let Some(found) = memmem::find(&self.buffer[self.searched..], END) else {
            self.searched = self
                .buffer
                .len()
                .saturating_sub(END.len() - 1)
                .max(self.start);
            if self.pending() == 0 {
                // one long message is no reason to hold its memory while the peer rests
                *self = FrameBuffer::default();
            }
            return if self.pending() > MAX_MESSAGE {
                Err(TooLong)
            } else {
                Ok(None)
            };
        };
        let begin = self.start;
        let end = self.searched + found;
        self.start = end + END.len();
        self.searched = self.start;
        Ok(Some(&self.buffer[begin..end]))
    }

    /// Whether part of a message is there.
    pub fn is_partial(&self) -> bool {
        self.pending() > 0
    }

    /// Bytes of the message that is being received.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }
}

/// A message with its end marker, to be sent in one write: the Prometheus exporter reads replies
/// in blocks and corrupts those that arrive in pieces.
pub fn frame(mut pickle: Vec<u8>) -> Vec<u8> {
    pickle.extend_from_slice(END);
    pickle
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut frames = FrameBuffer::default();
        let mut found = Vec::new();
        for chunk in chunks {
            frames.push(chunk);
            while let Some(message) = frames.next_message().unwrap() {
                found.push(message.to_vec());
            }
        }
        assert!(!frames.is_partial());
        found
    }

    #[test]
    fn cuts_at_every_place() {
        let stream = [&b"one"[..], END, b"", END, b"<F2B_", END, CLOSE, END].concat();
        let expected: Vec<&[u8]> = vec![b"one", b"", b"<F2B_", CLOSE];
        assert_eq!(messages(&[&stream]), expected);
        for cut in 0..stream.len() {
            assert_eq!(
                messages(&[&stream[..cut], &stream[cut..]]),
                expected,
                "{cut}"
            );
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(messages(&bytes), expected);
    }

    #[test]
    fn refuses_what_never_ends() {
        let mut frames = FrameBuffer::default();
        let block = vec![b'x'; 1 << 20];
        for _ in 0..32 {
            frames.push(&block);
            assert_eq!(frames.next_message(), Ok(None));
        }
        frames.push(b"x");
        assert_eq!(frames.next_message(), Err(TooLong));
    }

    #[test]
    fn long_message_taken_leaves_no_memory() {
        let mut frames = FrameBuffer::default();
        frames.push(&vec![b'x'; 8 << 20]);
        frames.push(END);
        assert!(frames.next_message().unwrap().is_some());
        assert_eq!(frames.next_message(), Ok(None));
        assert_eq!(frames.buffer.capacity(), 0);
    }
}
