//! Runs commands: scripts for a shell, a parser for a part of its language, programs with limits of time and
//! size, and their log lines.

pub mod outline;
pub mod process;
pub mod script;
pub mod shell;
pub mod syntax;
