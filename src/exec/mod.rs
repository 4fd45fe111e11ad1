//! Running commands: what a shell is given, the part of its language that is read here, programs within
//! limits of time and size, and what is logged of them.

pub mod outline;
pub mod process;
pub mod script;
pub mod shell;
pub mod syntax;
