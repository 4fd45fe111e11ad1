//! Lookups that a failure may need before it is judged: data for `ignoreip`, an `ignorecommand`, the
//! history of an id. Each lookup is a future of its own, so the jail still answers commands and does not
//! delay other jails.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use super::core::PriorBans;
use super::dns_cache::DnsCache;
use crate::action::info::{BanInfo, History};
use crate::action::{Common, JailFigures};
use crate::address::Address;
use crate::control::Value;
use crate::exec::shell;
use crate::store::Store;
use crate::sys::hosts::HostNames;
use crate::ticket::Ticket;
use crate::{debug, warning};

/// Seconds an `ignorecommand` may run.
const COMMAND_TIMEOUT: Value = Value::Int(60);

/// A larger file of addresses is not read.
const MAX_FILE: u64 = 64 << 20;

/// What a lookup brought.
#[derive(Debug)]
pub(super) enum LookupResult {
    /// The addresses of this machine are known now.
    Own,
    /// What `ignoreip` needs from outside.
    IgnoreData(IgnoreData),
    /// The key of `ignorecache`.
    Key(String),
    /// What `ignorecommand` says.
    Ignored(bool),
    /// The history of the id.
    Past(PriorBans),
}

/// What `ignoreip` needs from outside.
#[derive(Debug, Default)]
pub(super) struct IgnoreData {
    /// Addresses of names in the list that were not known.
    pub names: HashMap<String, Arc<[IpAddr]>>,
    /// Files that are new or have changed: path, text, and what tells the next change.
    pub files: Vec<(String, String, FileStamp)>,
}

/// Modification time, inode and size.
pub(super) type FileStamp = (i64, i64, u64, u64);

/// A lookup under way.
pub(super) type Lookup = Pin<Box<dyn Future<Output = LookupResult> + Send>>;

/// Looks up names that are not known yet and reads files that changed since `known`.
pub(super) fn outside(
    names: DnsCache,
    wanted: Vec<String>,
    files: Vec<String>,
    known: HashMap<String, FileStamp>,
) -> Lookup {
    Box::pin(async move {
        let mut outside = IgnoreData::default();
        if !files.is_empty() {
            let read = tokio::task::spawn_blocking(move || {
                files
                    .into_iter()
                    .filter_map(|path| changed_file(path, &known))
                    .collect()
            });
            outside.files = read.await.unwrap_or_default();
        }
        outside.names = names.all_addresses(wanted).await;
        LookupResult::IgnoreData(outside)
    })
}

/// The text of a file unless it is known already; what cannot be read is warned of and counts as
/// empty until it changes.
fn changed_file(
    path: String,
    known: &HashMap<String, FileStamp>,
) -> Option<(String, String, FileStamp)> {
    let stamp = stamp(&path);
    if stamp.is_ok() && stamp.as_ref().ok() == known.get(&path) {
        return None;
    }
    let read = stamp.and_then(|stamp| {
        if stamp.3 > MAX_FILE {
            return Err(std::io::Error::other("file too large"));
        }
        Ok((std::fs::read(&path)?, stamp))
    });
    match read {
        Ok((bytes, stamp)) => Some((path, String::from_utf8_lossy(&bytes).into_owned(), stamp)),
        Err(error) => {
            warning!(
                "fail2ban.ipdns",
                "Retrieving IPs set from {} failed: {}",
                Value::from(path.as_str()).repr(),
                crate::control::CommandError::file(&error, &path)
            );
            None
        }
    }
}

fn stamp(path: &str) -> std::io::Result<FileStamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)?;
    Ok((
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ino(),
        metadata.size(),
    ))
}

/// The jail's side of tags.
#[derive(Clone, Debug)]
pub(super) struct TagContext {
    /// The jail's name.
    pub jail: String,
    /// The database, for tags that look into it.
    pub store: Option<Store>,
    /// The jail's counters.
    pub figures: JailFigures,
    /// What it shares with other jails.
    pub common: Common,
}

/// The key of `ignorecache` with its tags replaced.
pub(super) fn key(context: TagContext, ticket: Ticket, key: String) -> Lookup {
    Box::pin(async move {
        let history = History::Live(context.store, context.common.resolver.clone());
        let mut info = BanInfo::new(&context.jail, &ticket, &context.figures, &history);
        let names = host_names(&context.common, &key).await;
        LookupResult::Key(info.fill(&key, &names).await.spelled_out())
    })
}

/// Runs an `ignorecommand`: 0 ignores, 1 does not, anything else is an error and does not (fact
/// J18).
pub(super) fn command(context: TagContext, ticket: Ticket, command: String) -> Lookup {
    Box::pin(async move {
        let history = History::Live(context.store, context.common.resolver.clone());
        let mut info = BanInfo::new(&context.jail, &ticket, &context.figures, &history);
        let names = host_names(&context.common, &command).await;
        let script = info.fill(&command, &names).await;
        debug!("fail2ban.filter", "ignore command: {}", script.shown());
        let outcome = shell::run(&script, &COMMAND_TIMEOUT, &[0, 1]).await;
        LookupResult::Ignored(outcome.success && outcome.code == Some(0))
    })
}

/// The names of this machine when the text mentions them.
async fn host_names(common: &Common, text: &str) -> HostNames {
    match text.contains("-hostname>") {
        true => common.host_names().await,
        false => HostNames::default(),
    }
}

/// What the database knows of an id.
pub(super) async fn history(
    store: &Store,
    jail: &str,
    id: &Address,
    everywhere: bool,
) -> PriorBans {
    PriorBans {
        here: store.history(Some(jail), id).await,
        everywhere: match everywhere {
            true => store.history(None, id).await,
            false => None,
        },
    }
}

/// As [`history`], as a lookup.
pub(super) fn past(store: Store, jail: String, id: Address, everywhere: bool) -> Lookup {
    Box::pin(async move { LookupResult::Past(history(&store, &jail, &id, everywhere).await) })
}
