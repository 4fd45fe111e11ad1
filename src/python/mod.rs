//! Python's behaviour where it is visible: how values are printed, how numbers and texts are parsed, and the
//! error texts. Clients, logs and configurations of fail2ban contain all of it.
//!
//! Regular expressions are in the crate `python-re`.
#![forbid(unsafe_code)]

pub mod encoding;
mod error;
mod number;
pub mod text;
mod value;

pub use error::PythonException;
pub use number::{Number, finite};
pub use value::Value;
