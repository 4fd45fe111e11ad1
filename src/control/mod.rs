//! The control protocol: commands, replies, and how they are transferred.
//!
//! Requests and replies are [`Value`]s, pickled by [`pickle`], framed by [`wire`]. [`command`] types the
//! requests; [`listener`] serves the socket; [`client`] connects to it; [`mod@print`] formats replies for
//! people and scripts.

pub mod client;
pub mod command;
pub mod error;
pub mod listener;
pub mod pickle;
pub mod print;
pub mod wire;

pub use crate::python::Value;
pub use command::{ACTION_METHODS, Command, JailCommand, JailQuery, JailSetting};
pub use error::CommandError;

/// What the server answers.
pub type Reply = Result<Value, CommandError>;
