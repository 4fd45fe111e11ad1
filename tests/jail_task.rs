//! A jail as a whole: lines of a log in, shell commands out, with database and log lines.
#![allow(clippy::unwrap_used)]

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use ferroban::parts::control::{JailCommand, JailQuery, JailSetting, Reply, Value};
use ferroban::parts::jail::{DnsCache, Jail, JailContext, JailEvents};
use ferroban::parts::log::{self, Level};
use ferroban::parts::source::Sources;
use ferroban::parts::store::Store;

/// Everything is logged here; each test looks for the name of its jail.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Collect;

impl log::Sink for Collect {
    fn write(&self, level: Level, target: &str, message: fmt::Arguments<'_>) {
        let line = format!("{} {target}: {message}", level.name());
        LOG.lock().unwrap().push(line);
    }
}

fn logged(part: &str) -> Vec<String> {
    let log = LOG.lock().unwrap();
    log.iter()
        .filter(|line| line.contains(part))
        .cloned()
        .collect()
}

/// A jail in a folder of its own, with an action that writes what it does to `actions`.
struct Bench {
    jail: Jail,
    name: String,
    dir: tempfile::TempDir,
    context: JailContext,
}

const FAILREGEX: &str = "^ bad user <F-USER>\\S+</F-USER> from <HOST>$";

impl Bench {
    async fn new(name: &str) -> Bench {
        static SINK: OnceLock<()> = OnceLock::new();
        SINK.get_or_init(|| {
            log::set_sink(Box::new(Collect));
            log::set_threshold(Level::Debug as u8);
        });
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db.sqlite3")).unwrap();
        let context = JailContext {
            sources: Sources::new(),
            store: Some(store),
            names: DnsCache::default(),
            events: JailEvents::default(),
            common: Default::default(),
            templates: Default::default(),
            evidence: Default::default(),
            clock: Default::default(),
            fleet: Default::default(),
            crowdsec: Default::default(),
        };
        let jail = Jail::spawn(name, "polling", context.clone()).unwrap();
        let bench = Bench {
            jail,
            name: name.to_owned(),
            dir,
            context,
        };
        bench.configure().await;
        bench
    }

    async fn configure(&self) {
        for setting in [
            JailSetting::set("usedns", "no".into()),
            JailSetting::AddFailRegex(vec![FAILREGEX.into()]),
            JailSetting::set("datepattern", "{NONE}".into()),
            JailSetting::set("maxretry", 2.into()),
            // longer than a day: lines without a date count as of its begin
            JailSetting::set("findtime", 100_000.into()),
            JailSetting::set("bantime", 600.into()),
            JailSetting::set("ignoreself", false.into()),
            JailSetting::AddAction {
                name: "note".into(),
                python: None,
            },
        ] {
            self.set(setting).await.unwrap();
        }
        let log = self.actions_file().display().to_string();
        let note =
            |what: &str| Value::from(format!("echo '{what}' <ip> <F-USER> <failures> >> {log}"));
        self.set(JailSetting::Action {
            name: "note".into(),
            properties: vec![
                ("actionstart".into(), format!("echo start >> {log}").into()),
                ("actionstop".into(), format!("echo stop >> {log}").into()),
                ("actionban".into(), note("ban")),
                ("actionunban".into(), note("unban")),
            ],
        })
        .await
        .unwrap();
    }

    /// The same database and files, as after a restart of the server.
    async fn again(self) -> Bench {
        let jail = Jail::spawn(&self.name, "polling", self.context.clone()).unwrap();
        let bench = Bench { jail, ..self };
        bench.configure().await;
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn actions_file(&self) -> PathBuf {
        self.path("actions")
    }

    async fn set(&self, setting: JailSetting) -> Reply {
        self.jail.call(JailCommand::Set(setting)).await
    }

    async fn get(&self, option: JailQuery) -> Value {
        self.jail.call(JailCommand::Get(option)).await.unwrap()
    }

    async fn watch(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        self.set(JailSetting::AddLogPath {
            path: path.display().to_string(),
            tail: false,
        })
        .await
        .unwrap();
        path
    }

    async fn banned(&self) -> Vec<String> {
        self.jail.banned().await
    }

    async fn currently_failed(&self) -> Value {
        let status = self
            .jail
            .call(JailCommand::Status {
                flavour: "stats".into(),
            })
            .await
            .unwrap();
        let Value::List(parts) = status else {
            panic!("{status:?}")
        };
        parts[1].clone()
    }

    fn done(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.actions_file()).unwrap_or_default();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    async fn done_so_far(&self, expected: &[&str]) {
        let begin = Instant::now();
        while self.done() != expected && begin.elapsed() < Duration::from_secs(60) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.done(), expected);
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !condition().await {
        if begin.elapsed() > Duration::from_secs(60) {
            let log = LOG.lock().unwrap().join("\n");
            panic!("never: {what}; log:\n{log}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn append(path: &Path, lines: &[&str]) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    file.write_all(text.as_bytes()).unwrap();
}

fn count(pair: (i64, i64)) -> Value {
    Value::Tuple(vec![pair.0.into(), pair.1.into()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_lead_to_bans() {
    let bench = Bench::new("lines-ban").await;
    let log = bench.watch("x.log").await;
    bench.jail.start().await.unwrap();
    append(
        &log,
        &[
            " bad user bob from 192.0.2.1",
            " good user",
            " bad user eve from 192.0.2.1",
        ],
    );
    bench.done_so_far(&["start", "ban 192.0.2.1 bob 2"]).await;
    assert_eq!(bench.banned().await, ["192.0.2.1"]);
    assert_eq!(logged("[lines-ban] Found 192.0.2.1 - ").len(), 2);
    assert_eq!(
        logged("[lines-ban] Ban"),
        ["NOTICE fail2ban.actions: [lines-ban] Ban 192.0.2.1"]
    );
    bench.jail.stop().await.unwrap();
    assert_eq!(bench.done()[2..], ["unban 192.0.2.1 bob 2", "stop"]);
    assert_eq!(logged("[lines-ban] Repeal Ban 192.0.2.1").len(), 1);
    let path = Value::from(log.display().to_string()).repr();
    assert_eq!(logged(&format!("Removed logfile: {path}")).len(), 1);
    assert_eq!(
        logged("'lines-ban'"),
        [
            "INFO fail2ban.jail: Creating new jail 'lines-ban'",
            "INFO fail2ban.jail: Jail 'lines-ban' uses poller {}",
            "DEBUG fail2ban.jail: Starting jail 'lines-ban'",
            "INFO fail2ban.jail: Jail 'lines-ban' started",
            "DEBUG fail2ban.actions: Banned 1 / 1, 1 ticket(s) in 'lines-ban'",
            "DEBUG fail2ban.jail: Stopping jail 'lines-ban'",
            "DEBUG fail2ban.actions:   Unbanned 1, 0 ticket(s) in 'lines-ban'",
            "INFO fail2ban.jail: Jail 'lines-ban' stopped",
        ]
    );
    assert!(bench.jail.start().await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_and_positions_survive_a_restart() {
    let bench = Bench::new("restart").await;
    let log = bench.watch("x.log").await;
    bench.jail.start().await.unwrap();
    append(
        &log,
        &[
            " bad user bob from 192.0.2.1",
            " bad user bob from 192.0.2.1",
            " bad user al from 192.0.2.2",
        ],
    );
    until("second failure", async || {
        bench.currently_failed().await == count((1, 3))
    })
    .await;
    bench.jail.stop().await.unwrap();
    append(&log, &[" bad user al from 192.0.2.3"]);

    let bench = bench.again().await;
    bench.watch("x.log").await;
    bench.jail.start().await.unwrap();
    until("line of meanwhile", async || {
        bench.currently_failed().await == count((1, 1))
    })
    .await;
    assert_eq!(bench.banned().await, ["192.0.2.1"]);
    assert_eq!(logged("[restart] Restore Ban 192.0.2.1").len(), 1);
    let hash = "Added logfile: ";
    let size =
        std::fs::metadata(&log).unwrap().len() - " bad user al from 192.0.2.3\n".len() as u64;
    assert_eq!(
        logged(hash)
            .iter()
            .filter(|l| l.contains(&format!("(pos = {size}, hash = ")))
            .count(),
        1
    );
    // by hand it is gone for good
    assert_eq!(bench.jail.unban(Some(vec!["192.0.2.1".into()])).await, 1);
    bench.jail.stop().await.unwrap();
    let bench = bench.again().await;
    bench.jail.start().await.unwrap();
    assert!(bench.banned().await.is_empty());
    bench.jail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_end_by_themselves() {
    let bench = Bench::new("ends").await;
    bench
        .set(JailSetting::set("bantime", 1.into()))
        .await
        .unwrap();
    bench.jail.start().await.unwrap();
    let begin = Instant::now();
    let count = bench
        .set(JailSetting::BanIp(vec!["192.0.2.1".to_owned()].into()))
        .await;
    assert_eq!(count, Ok(Value::Int(1)));
    let again = bench
        .set(JailSetting::BanIp(vec!["192.0.2.1".to_owned()].into()))
        .await;
    assert_eq!(again, Ok(Value::Int(0)));
    until("unban", async || bench.banned().await.is_empty()).await;
    let lasted = begin.elapsed();
    assert!((1.0..1.5).contains(&lasted.as_secs_f64()), "{lasted:?}");
    bench
        .done_so_far(&["start", "ban 192.0.2.1 0", "unban 192.0.2.1 0"])
        .await;
    assert_eq!(logged("[ends] Unban 192.0.2.1").len(), 1);
    bench.jail.stop().await.unwrap();
}

/// Facts P46, sharp edges 47 and 48.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unbanning_by_hand() {
    let bench = Bench::new("by-hand").await;
    bench.jail.start().await.unwrap();
    let ids = [
        "10.1.2.3/8",
        "10.9.9.9",
        "2001:db8::1",
        "foo",
        "a b",
        "",
        "1.2.3.4/0",
    ];
    let ids = ids.map(str::to_owned).to_vec();
    assert_eq!(
        bench.set(JailSetting::BanIp(ids.into())).await,
        Ok(Value::Int(7))
    );
    assert_eq!(
        bench.banned().await,
        [
            "10.0.0.0/8",
            "10.9.9.9",
            "2001:db8::1",
            "foo",
            "a b",
            "",
            "0.0.0.0"
        ]
    );
    let unban = async |id: &str, report_absent| {
        let ids = vec![id.to_owned()];
        bench.set(JailSetting::UnbanIp { ids, report_absent }).await
    };
    assert_eq!(unban("2001:db8:0::1", false).await, Ok(Value::Int(0)));
    assert_eq!(unban("2001:db8::1", false).await, Ok(Value::Int(1)));
    assert_eq!(unban("foo", true).await, Ok(Value::Int(1)));
    assert_eq!(unban("10.0.0.0/8", false).await, Ok(Value::Int(1)));
    assert_eq!(unban("10.0.0.0/8", false).await, Ok(Value::Int(1)));
    let error = unban("9.9.9.9", true).await.unwrap_err();
    assert_eq!(error.to_string(), "not banned: ['9.9.9.9']");
    assert_eq!(bench.banned().await, ["a b", "", "0.0.0.0"]);
    assert_eq!(bench.jail.unban(None).await, 3);
    assert!(bench.banned().await.is_empty());
    bench.jail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jail_goes_on_while_a_command_hangs() {
    let bench = Bench::new("hangs").await;
    bench
        .set(JailSetting::set("maxretry", 1.into()))
        .await
        .unwrap();
    let go = bench.path("go");
    let command = format!(
        "test <ip> = 192.0.2.9 || {{ until [ -e {} ]; do sleep 0.1; done; exit 1; }}",
        go.display()
    );
    bench
        .set(JailSetting::set("ignorecommand", command.into()))
        .await
        .unwrap();
    let properties = vec![("actionban".into(), "sleep 30".into())];
    let name = "note".to_owned();
    bench
        .set(JailSetting::Action { name, properties })
        .await
        .unwrap();
    bench.jail.start().await.unwrap();

    let attempt = |id: &str| JailSetting::Attempt(vec![id.into()]);
    assert_eq!(bench.set(attempt("192.0.2.9")).await, Ok(Value::Int(0)));
    assert_eq!(logged("[hangs] Ignore 192.0.2.9 by command").len(), 1);
    let slow = bench.set(attempt("192.0.2.1"));
    let others = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        bench
            .set(JailSetting::BanIp(vec!["192.0.2.2".to_owned()].into()))
            .await
            .unwrap();
        assert_eq!(bench.banned().await, ["192.0.2.2"]);
        // only now the command of the other one may end
        std::fs::write(&go, "").unwrap();
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert_eq!(slow, Ok(Value::Int(1)));
    // the action hangs by now, the jail decides
    assert_eq!(bench.set(attempt("192.0.2.9")).await, Ok(Value::Int(0)));
    assert_eq!(bench.banned().await, ["192.0.2.2", "192.0.2.1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_resolved_beside_the_jail() {
    let bench = Bench::new("dns").await;
    for setting in [
        JailSetting::DelFailRegex(0),
        JailSetting::set("usedns", "warn".into()),
        JailSetting::AddFailRegex(vec![FAILREGEX.into()]),
        JailSetting::set("maxretry", 1.into()),
    ] {
        bench.set(setting).await.unwrap();
    }
    bench.context.names.allow_ipv6(Some(false));
    let log = bench.watch("x.log").await;
    bench.jail.start().await.unwrap();
    append(
        &log,
        &[
            " bad user bob from localhost",
            " bad user bob from no-such-host.invalid",
        ],
    );
    until("ban", async || bench.banned().await == ["127.0.0.1"]).await;
    assert_eq!(
        logged("Determined IP using DNS Lookup"),
        ["WARNING fail2ban.ipdns: Determined IP using DNS Lookup: localhost = {'127.0.0.1'}"]
    );
    until("warning", async || {
        !logged("no-such-host.invalid").is_empty()
    })
    .await;
    bench.jail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_keeps_bans_and_counters() {
    let bench = Bench::new("reloaded").await;
    let kept = bench.watch("kept.log").await;
    bench.watch("gone.log").await;
    bench.jail.start().await.unwrap();
    append(&kept, &[" bad user bob from 192.0.2.1"]);
    until("failure", async || {
        bench.currently_failed().await == count((1, 1))
    })
    .await;
    bench
        .set(JailSetting::BanIp(vec!["192.0.2.2".to_owned()].into()))
        .await
        .unwrap();

    bench.jail.reload_begin().await;
    bench.configure().await;
    bench.watch("kept.log").await;
    append(&kept, &[" bad user bob from 192.0.2.1"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.banned().await, ["192.0.2.2"], "paused");
    bench.jail.start().await.unwrap();
    bench.jail.reload_end().await;

    assert_eq!(
        bench.get(JailQuery::Option("logpath".into())).await,
        Value::from(vec![kept.display().to_string()])
    );
    until("ban", async || {
        bench.banned().await == ["192.0.2.2", "192.0.2.1"]
    })
    .await;
    bench
        .done_so_far(&["start", "ban 192.0.2.2 0", "ban 192.0.2.1 bob 2"])
        .await;
    bench.jail.stop().await.unwrap();
}

/// A Python action that writes down what it is told; `reload` takes arguments after `clearAllParams`.
const RELOADABLE: &str = r"
from fail2ban.server.action import ActionBase

class Action(ActionBase):
    def __init__(self, jail, name, where, text):
        super().__init__(jail, name)
        self.where, self.text = where, text

    def note(self, what):
        with open(self.where, 'a') as file:
            file.write('python %s %s\n' % (what, self.text))

    def start(self):
        self.note('start')

    def stop(self):
        self.note('stop')

    def clearAllParams(self):
        self.text = None

    def reload(self, where, text):
        self.text = text
        self.note('reload')
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_reload_changes_nothing() {
    let bench = Bench::new("aborted").await;
    let log = bench.watch("x.log").await;
    let file = bench.path("told.py").display().to_string();
    std::fs::write(&file, RELOADABLE).unwrap();
    let python = |name: &str, text: &str| JailSetting::AddAction {
        name: name.to_owned(),
        python: Some((
            file.clone(),
            Value::Dict(vec![
                (
                    "where".into(),
                    bench.actions_file().display().to_string().into(),
                ),
                ("text".into(), text.into()),
            ]),
        )),
    };
    bench.set(python("told", "former")).await.unwrap();
    bench.set(python("swapped", "former")).await.unwrap();
    bench.jail.start().await.unwrap();
    let state = async || {
        [
            bench.get(JailQuery::Option("failregex".into())).await,
            bench.get(JailQuery::Option("logpath".into())).await,
            bench.get(JailQuery::Actions).await,
            bench
                .get(JailQuery::Action {
                    name: "note".into(),
                    property: "actionban".into(),
                })
                .await,
        ]
    };
    let before = state().await;
    bench.jail.reload_begin().await;
    bench.watch("new.log").await;
    let added = |name: &str| JailSetting::AddAction {
        name: name.to_owned(),
        python: None,
    };
    // one that is added, one that changes, and both kinds in place of each other
    for setting in [
        added("new"),
        python("told", "new"),
        python("note", "new"),
        added("swapped"),
        JailSetting::Idle("off".into()),
    ] {
        bench.set(setting).await.unwrap();
    }
    let broken = bench
        .set(JailSetting::AddFailRegex(vec!["^x (<HOST>".into()]))
        .await;
    assert!(broken.is_err());
    bench.jail.reload_abort().await;
    assert_eq!(state().await, before);
    append(
        &log,
        &[
            " bad user bob from 192.0.2.1",
            " bad user bob from 192.0.2.1",
        ],
    );
    until("ban", async || bench.banned().await == ["192.0.2.1"]).await;
    let mut expected = vec![
        "start",
        // the reload has not come to its end: no action was told of it
        "python start former",
        "python start former",
        "ban 192.0.2.1 bob 2",
    ];
    bench.done_so_far(&expected).await;

    // one that was idle stays so
    bench.set(JailSetting::Idle("on".into())).await.unwrap();
    bench.jail.reload_begin().await;
    bench.jail.reload_abort().await;
    append(
        &log,
        &[
            " bad user bob from 192.0.2.2",
            " bad user bob from 192.0.2.2",
        ],
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.banned().await, ["192.0.2.1"]);
    bench.set(JailSetting::Idle("off".into())).await.unwrap();
    until("ban", async || bench.banned().await.len() == 2).await;
    expected.push("ban 192.0.2.2 bob 2");
    bench.done_so_far(&expected).await;

    // a reload that ends well stops what it has replaced
    bench.jail.reload_begin().await;
    bench.configure().await;
    bench.set(python("told", "former")).await.unwrap();
    bench.set(added("swapped")).await.unwrap();
    bench.watch("x.log").await;
    bench.jail.start().await.unwrap();
    bench.jail.reload_end().await;
    // of two actions, which do not wait for each other
    until("reload and stop", async || {
        let done = bench.done();
        let mut new = done[expected.len().min(done.len())..].to_vec();
        new.sort_unstable();
        new == ["python reload former", "python stop former"]
    })
    .await;
    bench.jail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_jail_rests() {
    let bench = Bench::new("idle").await;
    let log = bench.watch("x.log").await;
    bench.jail.start().await.unwrap();
    assert_eq!(
        bench.set(JailSetting::Idle("on".into())).await,
        Ok(true.into())
    );
    append(
        &log,
        &[
            " bad user bob from 192.0.2.1",
            " bad user bob from 192.0.2.1",
        ],
    );
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(bench.banned().await.is_empty());
    assert_eq!(
        bench.set(JailSetting::Idle("off".into())).await,
        Ok(false.into())
    );
    until("ban", async || bench.banned().await == ["192.0.2.1"]).await;
    let error = bench
        .set(JailSetting::Idle("maybe".into()))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Invalid idle option, must be 'on' or 'off'"
    );
    bench.jail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_addresses_are_read_again() {
    let bench = Bench::new("files").await;
    let list = bench.path("trusted");
    std::fs::write(&list, "192.0.2.1 # one\n").unwrap();
    let word = format!("file://{}", list.display());
    bench
        .set(JailSetting::AddIgnoreIp(vec![word.clone()]))
        .await
        .unwrap();
    bench.jail.start().await.unwrap();
    let attempt = async |id: &str| {
        bench
            .set(JailSetting::Attempt(vec![id.into()]))
            .await
            .unwrap()
    };
    assert_eq!(attempt("192.0.2.1").await, Value::Int(0));
    assert_eq!(attempt("192.0.2.2").await, Value::Int(1));
    assert_eq!(logged("[files] Ignore 192.0.2.1 by file:/").len(), 1);
    std::fs::write(&list, "192.0.2.2 192.0.2.3\n").unwrap();
    until("list read again", async || {
        attempt("192.0.2.2").await == Value::Int(0)
    })
    .await;
    assert_eq!(attempt("192.0.2.1").await, Value::Int(1));
    bench.jail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_stays_longer() {
    let bench = Bench::new("longer").await;
    for setting in [
        JailSetting::set("bantime", 1.into()),
        JailSetting::set("bantime.increment", "true".into()),
    ] {
        bench.set(setting).await.unwrap();
    }
    let log = bench.dir.path().join("actions").display().to_string();
    let prolong = format!("echo prolong <ip> <bantime> >> {log}");
    let properties = vec![
        ("actionprolong".into(), prolong.into()),
        (
            "actionban".into(),
            format!("echo ban <bantime> <bancount> >> {log}").into(),
        ),
        ("actionunban".into(), format!("echo unban >> {log}").into()),
    ];
    bench
        .set(JailSetting::Action {
            name: "note".into(),
            properties,
        })
        .await
        .unwrap();
    bench.jail.start().await.unwrap();
    let ban = async || {
        bench
            .set(JailSetting::BanIp(vec!["192.0.2.1".to_owned()].into()))
            .await
            .unwrap()
    };
    ban().await;
    until("first unban", async || bench.banned().await.is_empty()).await;
    let begin = SystemTime::now();
    ban().await;
    until("second unban", async || bench.banned().await.is_empty()).await;
    let lasted = begin.elapsed().unwrap().as_secs_f64();
    assert!((2.0..2.5).contains(&lasted), "{lasted}");
    bench
        .done_so_far(&[
            "start",
            "ban 1 1",
            "unban",
            "ban 1 2",
            "prolong 192.0.2.1 2",
            "unban",
        ])
        .await;
    assert_eq!(logged("[longer] IP 192.0.2.1 is bad: 1 # last ").len(), 1);
    assert_eq!(
        logged("[longer] Increase Ban 192.0.2.1 (2 # 2s -> ").len(),
        1
    );
    bench.jail.stop().await.unwrap();
}
