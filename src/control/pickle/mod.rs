//! Python's pickle format, as far as the control socket uses it (facts P1–P3).
//!
//! [`reader`] turns bytes into [`Value`]s and accepts what any Python (protocols 0–5) and the Go clients
//! write; [`writer`] turns values into bytes that all of them read. Nothing in a pickle is ever executed or
//! imported: a request that names a class or a call is refused, and in a reply only exceptions and
//! `builtins.str` are accepted.
#![forbid(unsafe_code)]

mod reader;
mod text;
mod tree;
mod writer;

#[cfg(test)]
mod tests;

use super::Reply;
use super::error::CommandError;
use crate::python::Value;

/// Deepest nesting of lists in a message. The configuration stream has four levels.
pub const MAX_DEPTH: usize = 32;
/// Most values in a message.
pub const MAX_VALUES: usize = 1 << 20;
/// Most bytes of text in a message, repeated texts counted each time.
pub const MAX_TEXT: usize = 64 << 20;

/// Why a pickle was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum PickleError {
    #[error("pickle data was truncated")]
    Truncated,
    #[error("unsupported pickle protocol: {0}")]
    Protocol(u8),
    #[error("pickle instruction 0x{0:02x} is not allowed here")]
    Instruction(u8),
    #[error("unexpected {0} in pickle")]
    Unexpected(&'static str),
    #[error("unreadable {0} in pickle")]
    Unreadable(&'static str),
    #[error("pickle nests deeper than {MAX_DEPTH} levels")]
    Depth,
    #[error("pickle has too many values or too much text")]
    Size,
    /// The server answered with a text instead of a reply (fact P2).
    #[error("{0}")]
    NoReply(String),
}

/// Reads a request.
///
/// # Errors
/// Anything but plain data within the bounds above.
pub fn decode(bytes: &[u8]) -> Result<Value, PickleError> {
    reader::read(bytes, reader::Calls::Refused)?.value()
}

/// Reads what the server answered.
///
/// # Errors
/// As [`decode`]; [`PickleError::NoReply`] when it is no pair of status and value.
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, PickleError> {
    reader::read(bytes, reader::Calls::Understood)?.reply()
}

/// Writes a request, or anything else that is just a value.
pub fn encode(value: &Value) -> Vec<u8> {
    let mut writer = writer::PickleWriter::new();
    writer.value(value);
    writer.finish()
}

/// Writes a reply: `(0, value)` or `(1, exception)` (fact P2).
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    let mut writer = writer::PickleWriter::new();
    match reply {
        Ok(value) => {
            writer.value(&Value::Int(0));
            writer.value(value);
        }
        Err(CommandError {
            class: (module, class),
            args,
        }) => {
            writer.value(&Value::Int(1));
            writer.call(module, class, args);
        }
    }
    writer.pair();
    writer.finish()
}
