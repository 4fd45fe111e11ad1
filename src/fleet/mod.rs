//! Shares bans between hosts: the decisions of a jail go to the other hosts of the fleet, and theirs come to
//! the jails of this one, over an engine (Redis or Valkey).
//!
//! [`entry`] is the format, [`engine`] has the keys and commands, [`connector`] connects.
//! [`link`](crate::jail::link) receives from the jails, [`forward`] passes changes to them. Between them are
//! [`claims`] (the bans of all hosts), [`guard`] (addresses nobody can have banned here), [`limits`] (rate
//! limits of a host) and [`signing`] (whether an entry is from its host). [`task`] runs it: connects, catches
//! up, sends and receives; no jail ever waits for it.

mod claims;
mod connector;
pub mod engine;
pub mod entry;
pub mod failure;
pub mod forward;
pub mod guard;
mod limits;
mod receive;
mod send;
mod session;
pub mod settings;
pub mod signing;
mod status;
mod task;
mod ulid;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use self::settings::FleetSettings;
pub use self::status::without_secret;
use self::task::FleetTask;
pub use self::ulid::Ulids;
use crate::control::Value;
use crate::control::command::FleetQuestion;
use crate::jail::link::Link;
use crate::jail::{DnsCache, Jail};
use crate::store::Store;

/// What is said before the first try to connect.
pub const NOT_TRIED: &str = "not tried yet";

/// The logger of the fleet.
const LOG: &str = "fail2ban.fleet";

/// A moment by the engine's clock, which is the same for all hosts: milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

impl Millis {
    /// No end.
    const NEVER: Millis = Millis(i64::MAX);
    /// The year 5138: nothing is later but what has no end.
    const LAST: i64 = 100_000_000_000_000;

    /// Whether it is a time that can be reckoned with.
    fn is_sound(self) -> bool {
        (0..=Millis::LAST).contains(&self.0)
    }
}

/// What the server knows of it all, for the fleet to ask.
#[derive(Clone)]
pub struct FleetContext {
    /// The jails that run.
    pub jails: Arc<dyn Fn() -> Vec<Jail> + Send + Sync>,
    /// The database, when there is one.
    pub store: Arc<dyn Fn() -> Option<Store> + Send + Sync>,
    /// Looks names up.
    pub names: DnsCache,
    /// The way from the jails.
    pub link: Link,
}

impl std::fmt::Debug for FleetContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// The part of this host in a fleet, while it lives.
#[derive(Debug)]
pub struct Fleet {
    questions: mpsc::Sender<(FleetQuestion, oneshot::Sender<Value>)>,
    task: tokio::task::JoinHandle<()>,
    link: Link,
}

impl Fleet {
    /// Begins to take part, inside a tokio runtime.
    ///
    /// # Errors
    /// Settings that name no engine, or files that cannot be read.
    pub fn start(settings: FleetSettings, around: FleetContext) -> Result<Fleet, String> {
        let (questions, asked) = mpsc::channel(16);
        let link = around.link.clone();
        let task = FleetTask::new(settings, around, asked)?;
        Ok(Fleet {
            questions,
            task: tokio::spawn(task.run()),
            link,
        })
    }

    /// Asks; `None` of Python when nobody answers any more.
    pub fn ask(&self, question: FleetQuestion) -> impl Future<Output = Value> + use<> {
        let questions = self.questions.clone();
        async move {
            let (reply, answer) = oneshot::channel();
            match questions.send((question, reply)).await {
                Ok(()) => answer.await.unwrap_or(Value::None),
                Err(_) => Value::None,
            }
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.task.abort();
        self.link.close();
    }
}
