//! Any bytes on the control socket, however they arrive: the same messages come out.

use ferroban::parts::control::wire::{END, FrameBuffer, frame};

pub fn run(data: &[u8]) {
    let Some((&size, stream)) = data.split_first() else {
        return;
    };
    let whole = messages(stream.chunks(stream.len().max(1)));
    let pieces = messages(stream.chunks(usize::from(size).max(1)));
    assert_eq!(whole, pieces);
    let (messages, is_partial) = whole;
    let length: usize = messages.iter().map(|m| m.len() + END.len()).sum();
    assert_eq!(is_partial, length < stream.len());
    for message in messages {
        assert_eq!(
            self::messages([&*frame(message.clone())].into_iter()).0,
            [message]
        );
    }
}

/// The messages, and whether something is left over.
fn messages<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let mut frames = FrameBuffer::default();
    let mut found = Vec::new();
    for chunk in chunks {
        frames.push(chunk);
        while let Some(message) = frames.next_message().expect("shorter than the limit") {
            found.push(message.to_vec());
        }
    }
    (found, frames.is_partial())
}
