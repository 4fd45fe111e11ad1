//! Questions to the server by its control socket: few at a time, and answers told to all who ask soon after.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tokio::sync::{Mutex, Semaphore};

use crate::control::Value;
use crate::control::client::{ClientError, ControlClient};
use crate::control::print::json;

/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions asked at the same time; further ones wait.
const AT_ONCE: usize = 4;
/// An answer is told to others for so long at least.
const FRESH: Duration = Duration::from_secs(1);
/// And so many times as long as the server took for it, so that it spends little of its time on us.
const SHARE: u32 = 20;
/// Questions whose answers are kept.
const KEPT: usize = 64;

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AskError {
    /// Nobody answers.
    #[error("No server answers at {socket}: {why}")]
    Silent {
        /// The control socket.
        socket: String,
        /// The system's words.
        why: String,
    },
    /// The server refuses, as for a jail that is not there.
    #[error("{0}")]
    Refused(String),
}

type Slot = Arc<Mutex<Option<(Instant, Duration, Arc<Json>)>>>;

/// A server to ask.
#[derive(Debug)]
pub struct Ask {
    socket: PathBuf,
    places: Semaphore,
    /// Latest answers by question. Who asks while another does waits for the same answer.
    latest: Mutex<HashMap<Vec<String>, Slot>>,
}

impl Ask {
    /// Asks at a control socket.
    pub fn at(socket: PathBuf) -> Ask {
        Ask {
            socket,
            places: Semaphore::new(AT_ONCE),
            latest: Mutex::default(),
        }
    }

    /// The answer to a question that changes nothing, as JSON; it may be a second old, or older where the
    /// server takes long for it.
    ///
    /// # Errors
    /// There is none.
    pub async fn question(&self, words: &[&str]) -> Result<Arc<Json>, AskError> {
        let key: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let slot = {
            let mut latest = self.latest.lock().await;
            if latest.len() >= KEPT && !latest.contains_key(&key) {
                latest.clear();
            }
            Slot::clone(latest.entry(key.clone()).or_default())
        };
        let mut slot = slot.lock().await;
        if let Some((since, fresh, answer)) = &*slot
            && since.elapsed() < *fresh
        {
            return Ok(Arc::clone(answer));
        }
        let begun = Instant::now();
        let answer = Arc::new(self.command(key).await?);
        let fresh = FRESH.max(begun.elapsed() * SHARE);
        *slot = Some((Instant::now(), fresh, Arc::clone(&answer)));
        Ok(answer)
    }

    /// Has a command carried out; what was asked before is asked anew.
    ///
    /// # Errors
    /// It was not, as far as is known.
    pub async fn order(&self, words: Vec<String>) -> Result<Json, AskError> {
        let answer = self.command(words).await;
        self.latest.lock().await.clear();
        answer
    }

    async fn command(&self, words: Vec<String>) -> Result<Json, AskError> {
        // it is never closed
        let _place = self.places.acquire().await;
        let socket = self.socket.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let words: Vec<Value> = words.into_iter().map(Value::from).collect();
            let mut client = ControlClient::connect(&socket, Some(PATIENCE))?;
            let reply = client.ask(&words)?;
            Ok::<_, ClientError>(reply.map(|reply| json::value(&reply)))
        });
        let silent = |why: String| AskError::Silent {
            socket: self.socket.display().to_string(),
            why,
        };
        match asked.await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(AskError::Refused(error.to_string())),
            Ok(Err(error)) => Err(silent(error.to_string())),
            Err(error) => Err(silent(error.to_string())),
        }
    }
}
