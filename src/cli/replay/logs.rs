//! What jails read, opened.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::lines::Input;
use crate::source::compressed::{self, ByteMeter};

/// Opens logs, compressed or not, and counts what is read of them.
#[derive(Debug, Default)]
pub struct ReplayLogs {
    meter: ByteMeter,
    /// What standard input said, when more than one jail reads it.
    standard_input: Option<File>,
}

impl ReplayLogs {
    /// For one reader, or for several one after the other.
    pub fn new(meter: ByteMeter) -> ReplayLogs {
        ReplayLogs {
            meter,
            standard_input: None,
        }
    }

    /// Keeps standard input in a file without a name, for more than one reader.
    ///
    /// # Errors
    /// No room for it.
    pub fn keep_standard_input(&mut self) -> io::Result<()> {
        let path = std::env::temp_dir().join(format!(".ferroban-replay.{}", std::process::id()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        std::fs::remove_file(&path)?;
        io::copy(&mut io::stdin().lock(), &mut file)?;
        self.standard_input = Some(file);
        Ok(())
    }

    /// A log to be read in this encoding; `-` is standard input.
    pub fn input(&self, path: &str, encoding: &str) -> Input {
        Input {
            path: path.to_owned(),
            log: self.open(path),
            encoding: encoding.to_owned(),
        }
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        match (path, &self.standard_input) {
            ("-", None) => compressed::decompress(io::stdin(), &self.meter),
            ("-", Some(kept)) => {
                let mut file = kept.try_clone()?;
                file.rewind()?;
                compressed::decompress(file, &self.meter)
            }
            _ => compressed::open(Path::new(path), &self.meter),
        }
    }
}
