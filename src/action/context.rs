//! The jail of an action, as its operations see it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::JailFigures;
use super::executor::Executor;
use super::info::History;
use crate::sys::hosts::HostNames;

/// What every operation needs to know of the jail around it.
#[derive(Debug)]
pub struct Context<'a> {
    /// The jail's name.
    pub jail: &'a str,
    /// Names of this machine.
    pub names: &'a HostNames,
    /// Counters for tags.
    pub figures: &'a JailFigures,
    /// Database and resolver.
    pub history: &'a History,
    /// Carries commands out.
    pub executor: &'a Executor,
    /// The jail's ban epoch (fact A21): grows with every repair.
    pub epoch: &'a AtomicU64,
}

impl Context<'_> {
    /// The epoch after one more repair.
    pub fn next_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::Relaxed) + 1
    }
}
