//! The past, read from the server's database beside the server: no table of bans goes over the control
//! socket, and the server does not notice.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::ask::Ask;
use super::page::past::{DAYS, OFFENDERS};
use crate::clock;
use crate::countries::Countries;
use crate::store::statistics::{self, Statistics, StatisticsQuery};

/// What was read is told to all who ask within this time.
const FRESH: Duration = Duration::from_secs(60);

/// `Err`: why the database tells nothing; `None`: the server keeps none.
pub type Told = Result<Option<Statistics>, String>;

/// The past as it was read last.
#[derive(Debug, Default)]
pub struct BanHistoryCache {
    latest: Mutex<Option<(Instant, Arc<Told>)>>,
}

impl BanHistoryCache {
    /// The bans of the last days, a minute old at most. Who asks while another does waits for the same.
    pub async fn told(&self, ask: &Ask) -> Arc<Told> {
        let mut latest = self.latest.lock().await;
        if let Some((since, told)) = &*latest
            && since.elapsed() < FRESH
        {
            return Arc::clone(told);
        }
        let told = Arc::new(read(ask).await);
        // what failed may go well the next time
        if told.is_ok() {
            *latest = Some((Instant::now(), Arc::clone(&told)));
        }
        told
    }
}

async fn read(ask: &Ask) -> Told {
    let file = ask.question(&["get", "dbfile"]).await;
    let file = file.map_err(|error| error.to_string())?;
    let Some(file) = file.as_str().map(str::to_owned) else {
        return Ok(None);
    };
    let since = clock::now() - f64::from(DAYS) * 86_400.0;
    let path = file.clone();
    let read = move || {
        let countries = Countries::installed();
        let country = |id: &str| countries.as_ref()?.of(id);
        let wanted = StatisticsQuery {
            offenders: OFFENDERS,
            reasons: false,
            country: countries.is_some().then_some(&country),
        };
        statistics::read(Path::new(&path), since, &wanted)
    };
    let why = |error: &dyn std::fmt::Display| format!("The database {file} tells nothing: {error}");
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(past)) => Ok(Some(past)),
        Ok(Err(error)) => Err(why(&error)),
        Err(error) => Err(why(&error)),
    }
}
