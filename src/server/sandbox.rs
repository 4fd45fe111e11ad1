//! `sandbox = auto` and `strict`: drops rights that no ban needs, for good, before the first thread starts,
//! and so for every program that the server starts.
//!
//! Actions may run anything, and a reload may add actions, so nothing is derived from the configuration:
//! `auto` drops what no action is known to need, and `strict`, which drops more, is for configurations
//! whose actions do without it.

use std::path::{Path, PathBuf};

use super::ServerOptions;
use super::loggers::LOG;
use super::settings::make_directory_of;
use crate::config::Sandbox;
use crate::{info, warning};

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod calls;
/// For other machines there is no list.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod calls {
    pub(super) fn limit() -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}
mod capabilities;
mod files;

/// What came of it, for the log.
#[derive(Default)]
pub(super) struct Entered {
    level: &'static str,
    given_up: Vec<String>,
    failed: Vec<String>,
}

impl Entered {
    fn note<E: std::fmt::Display>(&mut self, what: &str, done: Result<(), E>) {
        match done {
            Ok(()) => self.given_up.push(what.to_owned()),
            Err(why) => self.failed.push(format!("{what}: {why}")),
        }
    }

    /// Says what the server does without from now on, and what it could not give up.
    pub(super) fn tell(&self) {
        if !self.given_up.is_empty() {
            let given_up = self.given_up.join(", ");
            info!(LOG, "Sandbox {}: given up: {}", self.level, given_up);
        }
        for failed in &self.failed {
            warning!(LOG, "Sandbox {}: not given up: {}", self.level, failed);
        }
    }
}

/// Gives up what the level says. What a kernel does not know how to take stays.
pub(super) fn enter(options: &ServerOptions) -> Entered {
    let mut entered = Entered::default();
    match options.sandbox {
        Sandbox::Off => return entered,
        Sandbox::Auto => entered.level = "auto",
        Sandbox::Strict => {
            entered.level = "strict";
            let rights = nix::sys::prctl::set_no_new_privs();
            entered.note("rights that programs have by set-id bits", rights);
            let places = own_directories(options);
            let names: Vec<_> = places.iter().map(|place| place.to_string_lossy()).collect();
            let what = format!("writing anywhere but in {}", names.join(", "));
            let done = match files::confine(&places) {
                Ok(true) => Ok(()),
                Ok(false) => Err("this kernel has no landlock".to_owned()),
                Err(why) => Err(why.to_string()),
            };
            entered.note(&what, done);
        }
    }
    // takes a capability that goes right after
    entered.note("system calls that no ban needs", calls::limit());
    let capabilities = capabilities::give_up();
    entered.note("capabilities that no ban needs", capabilities);
    entered
}

/// The directories of what the server writes, which are made where they are missing: files in them
/// come and go, as the log does when it is rotated.
fn own_directories(options: &ServerOptions) -> Vec<PathBuf> {
    // what stands behind a path of a log are its options
    let log = options.logtarget.split('[').next().unwrap_or_default();
    let files: [&Path; 4] = [
        &options.socket,
        &options.pidfile,
        Path::new(log),
        Path::new(&options.dbfile),
    ];
    let mut directories = Vec::new();
    for file in files.into_iter().filter(|file| file.is_absolute()) {
        // told when it is used
        let _ = make_directory_of(file);
        directories.extend(file.parent().map(Path::to_owned));
    }
    directories.sort();
    directories.dedup();
    directories
}
