//! Jails that watch one log together find what each would find if it were the only one.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ferroban::parts::control::{JailCommand, JailSetting};
use ferroban::parts::jail::{DnsCache, Jail, JailContext, JailEvents};
use ferroban::parts::log::{self, Level};
use ferroban::parts::source::Sources;

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Collect;

impl log::Sink for Collect {
    fn write(&self, _: Level, _: &str, message: fmt::Arguments<'_>) {
        LOG.lock().unwrap().push(message.to_string());
    }
}

const PASSWORD: &str = r"^ sshd\[(?P<mlfid>\d+)\]: password of \S+ from <HOST>$";
const USER: &str = r"^ sshd\[(?P<mlfid>\d+)\]: user \S+ from <HOST>$";

/// One way to watch the log.
#[derive(Clone, Copy)]
struct Way {
    failregexes: &'static [&'static str],
    ignoreregex: Option<&'static str>,
    encoding: &'static str,
    maxlines: i64,
}

const FIRST: Way = Way {
    failregexes: &[PASSWORD, USER],
    ignoreregex: None,
    encoding: "utf-8",
    maxlines: 1,
};

/// The first way twice, and others that differ from it in one thing each.
const WAYS: [Way; 6] = [
    FIRST,
    FIRST,
    Way {
        encoding: "latin1",
        ..FIRST
    },
    Way {
        ignoreregex: Some("of root"),
        ..FIRST
    },
    Way {
        failregexes: &[USER],
        ..FIRST
    },
    Way {
        maxlines: 3,
        ..FIRST
    },
];

struct Watcher {
    name: String,
    jail: Jail,
}

impl Watcher {
    async fn new(name: &str, way: Way, sources: &Sources, path: &Path) -> Watcher {
        let context = JailContext {
            sources: sources.clone(),
            store: None,
            names: DnsCache::default(),
            events: JailEvents::default(),
            common: Default::default(),
            templates: Default::default(),
            evidence: Default::default(),
            clock: Default::default(),
            fleet: Default::default(),
            crowdsec: Default::default(),
        };
        let jail = Jail::spawn(name, "auto", context).unwrap();
        let watcher = Watcher {
            name: name.to_owned(),
            jail,
        };
        for setting in [
            JailSetting::set("usedns", "no".into()),
            JailSetting::set("maxlines", way.maxlines.into()),
            JailSetting::set("datepattern", "{^LN-BEG}EPOCH".into()),
            JailSetting::set("logencoding", way.encoding.into()),
            JailSetting::set("maxretry", 1_000_000.into()),
            JailSetting::set("ignoreself", false.into()),
        ] {
            watcher.set(setting).await;
        }
        for regex in way.failregexes {
            watcher
                .set(JailSetting::AddFailRegex(vec![(*regex).into()]))
                .await;
        }
        if let Some(regex) = way.ignoreregex {
            watcher
                .set(JailSetting::AddIgnoreRegex(vec![regex.into()]))
                .await;
        }
        let path = path.display().to_string();
        watcher
            .set(JailSetting::AddLogPath { path, tail: false })
            .await;
        watcher.jail.start().await.unwrap();
        watcher
    }

    async fn set(&self, setting: JailSetting) {
        self.jail.call(JailCommand::Set(setting)).await.unwrap();
    }

    /// Whom it has found so far.
    fn found(&self) -> Vec<String> {
        let start = format!("[{}] Found ", self.name);
        let log = LOG.lock().unwrap();
        let found = log.iter().filter_map(|line| line.strip_prefix(&start));
        found
            .filter_map(|rest| Some(rest.split_once(" - ")?.0.to_owned()))
            .collect()
    }
}

/// Lines about addresses that all differ.
fn burst(random: &mut fastrand::Rng, number: &mut u32) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..random.usize(200..3000) {
        *number += 1;
        let [_, a, b, c] = number.to_be_bytes();
        let user = ["root", "bob", "m\u{fc}ller", "al"][random.usize(..4)];
        let what = ["password of", "user", "session of", "nothing of"][random.usize(..4)];
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let line = format!("{now} sshd[{number}]: {what} {user} from 10.{a}.{b}.{c}\n");
        // not all of it is UTF-8
        match random.u8(..50) {
            0 => text.extend(line.chars().map(|c| c as u32 as u8)),
            _ => text.extend(line.into_bytes()),
        }
    }
    text
}

fn append(paths: &[PathBuf], bytes: &[u8]) {
    for path in paths {
        let mut file = File::options().append(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }
}

/// Writes a line that every jail finds and waits until they have.
async fn sync(paths: &[PathBuf], watchers: &[Watcher], last: u8) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let address = format!("198.51.100.{last}");
    append(
        paths,
        format!("{now} sshd[{last}]: user x from {address}\n").as_bytes(),
    );
    for watcher in watchers {
        let begin = Instant::now();
        while watcher.found().last() != Some(&address) {
            assert!(
                begin.elapsed() < Duration::from_secs(60),
                "{}",
                watcher.name
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn together_as_alone() {
    log::set_sink(Box::new(Collect));
    log::set_threshold(Level::Info as u8);
    let dir = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut number = 0;
    // the first log is watched by all, each of the others by one
    let mut paths = vec![dir.path().join("together")];
    fs::write(&paths[0], burst(&mut random, &mut number)).unwrap();
    let sources = Sources::new();
    let mut watchers = Vec::new();
    for round in 1..7 {
        // two more come each round, late ones first read what the others have behind them
        for (index, way) in WAYS.iter().enumerate().skip((round - 1) * 2).take(2) {
            let own = dir.path().join(format!("own{index}"));
            fs::copy(&paths[0], &own).unwrap();
            let alone = format!("alone{index}");
            watchers.push(Watcher::new(&alone, *way, &sources, &own).await);
            let together = format!("together{index}");
            watchers.push(Watcher::new(&together, *way, &sources, &paths[0]).await);
            paths.push(own);
        }
        for _ in 0..random.usize(1..5) {
            append(&paths, &burst(&mut random, &mut number));
        }
        sync(&paths, &watchers, round as u8).await;
        if round == 4 {
            // as a reload does it that changes one filter
            for watcher in &watchers[..2] {
                watcher.set(JailSetting::DelFailRegex(0)).await;
            }
        }
    }
    for pair in watchers.chunks(2) {
        let (alone, together) = (pair[0].found(), pair[1].found());
        assert!(alone.len() > 500, "{}: {}", pair[0].name, alone.len());
        assert_eq!(alone, together, "{}", pair[0].name);
    }
    // they do differ
    let counts: BTreeSet<usize> = watchers.iter().map(|one| one.found().len()).collect();
    assert!(counts.len() >= 3, "{counts:?}");
    for watcher in &watchers {
        watcher.jail.stop().await.unwrap();
    }
}
