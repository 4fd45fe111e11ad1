//! Time limits and errors of the engine.

use std::io;
use std::time::Duration;

use redis::RedisError;

/// The longest wait for a connection, and for an answer.
pub const PATIENCE: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(5)];

/// What can go wrong with the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The URL or what belongs to it.
    #[error("{0}")]
    Settings(String),
    /// The engine refuses, or the connection broke.
    #[error("{0}")]
    Engine(#[from] RedisError),
    /// Nobody is there.
    #[error("{place} does not answer: {error}")]
    Away {
        /// Host and port, or the socket.
        place: String,
        /// What the system says.
        error: io::Error,
    },
    /// It answers with more than was asked for.
    #[error("the reply of the engine exceeds the size limit")]
    TooLong,
    /// It answers what it should not.
    #[error("unexpected reply of the engine")]
    Answer,
}

impl EngineError {
    /// Whether the engine says that this user may not do it.
    pub fn is_refusal(&self) -> bool {
        let EngineError::Engine(error) = self else {
            return false;
        };
        // of several commands each has an error of its own
        let several = error.clone().into_server_errors();
        let several = several.as_deref().unwrap_or_default().iter();
        let codes = several.map(|(_, error)| error.code());
        error
            .code()
            .into_iter()
            .chain(codes)
            .any(|code| code == "NOPERM")
    }
}

/// What an engine answers.
pub(super) type Result<T> = std::result::Result<T, EngineError>;
