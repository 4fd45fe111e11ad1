//! System interfaces that no safe crate offers: one small file each, with safe functions.

pub mod activation;
pub mod allocator;
pub mod daemonize;
pub mod descriptors;
pub mod hosts;
pub mod journal;
pub mod localtime;
pub mod readiness;
pub mod seccomp;
