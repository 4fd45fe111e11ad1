//! Python where it shows: what its values look like, how it reads numbers and texts, and what it
//! says when it cannot. Clients, logs and configurations of fail2ban hold all of it.
//!
//! Regular expressions are the crate `python-re`.
#![forbid(unsafe_code)]

pub mod encoding;
mod error;
mod number;
pub mod text;
mod value;

pub use error::PythonException;
pub use number::{Number, finite};
pub use value::Value;
