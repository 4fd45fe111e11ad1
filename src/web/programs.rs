//! Answers of the other programs of this binary: `ferroban config`, `explain`, `replay` and `report`, each
//! in a process of its own, for a limited time. What somebody pastes here can take long to be judged, and
//! an end can be put to a process.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Programs at the same time; further ones wait.
const AT_ONCE: usize = 2;
/// Large texts at the same time, those that are still coming among them.
const LARGE: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that one may print.
const MOST: u64 = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It took too long, or printed too much.
    #[error("limit of {} seconds or {} MiB exceeded; give it less input", PATIENCE.as_secs(), MOST >> 20)]
    Limit,
    /// It failed; its own words.
    #[error("{0}")]
    Failed(String),
    /// It could not be run.
    #[error("cannot run ferroban: {0}")]
    System(#[from] std::io::Error),
}

/// Runs programs.
#[derive(Debug)]
pub struct Programs {
    /// Configuration directory.
    config: String,
    places: Semaphore,
    /// For what somebody pastes, which takes long: it leaves a place for all else.
    pasted: Semaphore,
    /// For those of some MiB, so that they do not fill the memory.
    large: Semaphore,
}

impl Programs {
    /// Those that read this configuration directory.
    pub fn of(config: String) -> Programs {
        Programs {
            config,
            places: Semaphore::new(AT_ONCE),
            pasted: Semaphore::new(AT_ONCE - 1),
            large: Semaphore::new(LARGE),
        }
    }

    /// The directory whose configuration they read.
    pub fn config(&self) -> &Path {
        Path::new(&self.config)
    }

    /// Room for a large text, until it is dropped.
    pub async fn room(&self) -> Option<SemaphorePermit<'_>> {
        self.large.acquire().await.ok()
    }

    /// The JSON objects that a program prints, one a line. What somebody else wrote must stand in `words`,
    /// behind which no options are read, or in `input`.
    ///
    /// # Errors
    /// There are none.
    pub async fn objects(
        &self,
        options: &[&str],
        words: &[&str],
        input: Vec<u8>,
    ) -> Result<Vec<Json>, ProgramError> {
        // none of them is ever closed
        let _pasted = match input.is_empty() {
            true => None,
            false => self.pasted.acquire().await.ok(),
        };
        let _place = self.places.acquire().await;
        timeout(PATIENCE, self.run(options, words, input))
            .await
            .unwrap_or(Err(ProgramError::Limit))
    }

    async fn run(
        &self,
        options: &[&str],
        words: &[&str],
        input: Vec<u8>,
    ) -> Result<Vec<Json>, ProgramError> {
        let (program, options) = options.split_first().unwrap_or((&"help", &[]));
        // also where an upgrade has put another in its place
        let mut child = Command::new("/proc/self/exe")
            .args([*program, "-c", &self.config])
            .args(options)
            .arg("--")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(std::io::Error::other("no pipes").into());
        };
        let (mut printed, mut said) = (Vec::new(), Vec::new());
        let (mut stdout, mut stderr) = (stdout.take(MOST + 1), stderr.take(MOST));
        let write = async move {
            // it may end before it has read all
            let _ = stdin.write_all(&input).await;
        };
        let ((), printed_size, _) = tokio::join!(
            write,
            stdout.read_to_end(&mut printed),
            stderr.read_to_end(&mut said)
        );
        if printed_size? as u64 > MOST {
            return Err(ProgramError::Limit);
        }
        let status = child.wait().await?;
        let lines = String::from_utf8_lossy(&printed);
        let objects: Vec<Json> = lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        match objects.is_empty() && !status.success() {
            true => {
                let said = String::from_utf8_lossy(&said);
                let said = said.trim().trim_start_matches("ferroban ");
                Err(ProgramError::Failed(said.to_owned()))
            }
            false => Ok(objects),
        }
    }
}
