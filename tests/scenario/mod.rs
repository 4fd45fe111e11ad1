//! One scenario for both: the same commands, bans and unbans carried out by the original's actions
//! (through `tests/drivers/original_actions.py`) and by ours; what each step logged and what could
//! be observed after it come back.
#![allow(dead_code)] // each test binary uses its own part

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;

use ferroban::parts::action::{Actions, JailFigures, Order, Query};
use ferroban::parts::address::Address;
use ferroban::parts::control::{Reply, Value};
use ferroban::parts::evidence::Evidence;
use ferroban::parts::fields::{FieldValue, MatchLine};
use ferroban::parts::log::{self, Level, Sink};
use ferroban::parts::ticket::{BanTime, Ticket};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value as Json, json};

use crate::common;

/// The jail of every scenario.
pub const JAIL: &str = "j";

/// What one step left behind.
#[derive(Debug, PartialEq)]
pub struct Trace {
    /// Log lines: target, level, message.
    pub log: Vec<String>,
    /// Output of the step's `observe` command.
    pub observed: String,
}

/// A step that sets up an action.
pub fn action(name: &str, properties: &[(&str, &str)]) -> Vec<Json> {
    let pairs: Vec<Json> = properties.iter().map(|(k, v)| json!([k, v])).collect();
    vec![
        json!({"do": "command", "words": ["set", JAIL, "addaction", name]}),
        json!({"do": "command", "words": ["multi-set", JAIL, "action", name, pairs]}),
    ]
}

/// A step that bans an id, with the time of a log line and a length.
pub fn ban(id: &str) -> Json {
    json!({"do": "ban", "ticket": ticket(id)})
}

/// A ticket for steps.
pub fn ticket(id: &str) -> Json {
    json!({"id": id, "time": now() - 1.0, "failures": 5, "bantime": 600, "bancount": 1,
           "matches": ["a line"], "fields": {}})
}

fn now() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
        .trunc()
}

/// The action commands of the config stream that the original makes of a directory: the stock
/// configuration with this `jail.local`, and these further files.
pub fn stock_actions(jail_local: &str, files: &[(&str, &str)]) -> Vec<Json> {
    let directory = tempfile::tempdir().unwrap();
    let stock = common::reference("1.1.1").join("etc/fail2ban");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(format!("{}/.", stock.display()))
        .arg(directory.path())
        .status()
        .unwrap();
    assert!(copied.success());
    for enabled in std::fs::read_dir(directory.path().join("jail.d"))
        .into_iter()
        .flatten()
    {
        std::fs::remove_file(enabled.unwrap().path()).unwrap();
    }
    std::fs::write(directory.path().join("jail.local"), jail_local).unwrap();
    for (name, content) in files {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    let root = common::reference("1.1.1");
    let output = Command::new("/usr/bin/python3")
        .arg(driver("original_stream.py"))
        .arg(root.join("usr/bin/fail2ban-client"))
        .arg(directory.path())
        .env("PYTHONPATH", root.join("usr/lib/python3/dist-packages"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    let commands: Vec<Json> = serde_json::from_slice(&output.stdout).unwrap();
    let steps: Vec<Json> = commands
        .into_iter()
        .filter(|words| words[2] == "addaction" || words[2] == "action")
        .map(|words| json!({"do": "command", "words": words}))
        .collect();
    assert!(!steps.is_empty(), "the configuration has no actions");
    steps
}

/// The action commands that the shipped configuration gives with this `jail.local`.
pub fn shipped_actions(jail_local: &str) -> Vec<Json> {
    shipped_actions_with(jail_local, &[])
}

/// The same, with these further files.
pub fn shipped_actions_with(jail_local: &str, files: &[(&str, &str)]) -> Vec<Json> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("action.d")).unwrap();
    for (name, content) in files.iter().chain(&[("jail.local", jail_local)]) {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    let stream = ferroban::parts::config::read(directory.path(), &Default::default()).unwrap();
    let steps: Vec<Json> = stream
        .commands
        .iter()
        .filter(|words| ["addaction", "action"].map(|name| Some(Value::from(name))).contains(&words.get(2).cloned()))
        .map(|words| json!({"do": "command", "words": words.iter().map(to_json).collect::<Vec<_>>()}))
        .collect();
    assert!(!steps.is_empty(), "the configuration has no actions");
    steps
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(flag) => json!(flag),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::List(items) | Value::Tuple(items) => items.iter().map(to_json).collect(),
        value => json!(value.str()),
    }
}

fn driver(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/drivers")
        .join(name)
}

/// Has the original carry out a scenario; `wrap` is put in front of its command line.
pub fn by_original(steps: &[Json], level: u8, wrap: &[&str]) -> Vec<Trace> {
    let root = common::reference("1.1.1");
    let mut words: Vec<String> = wrap.iter().map(|word| (*word).to_owned()).collect();
    words.push("/usr/bin/python3".to_owned());
    words.push(driver("original_actions.py").display().to_string());
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .env("PYTHONPATH", root.join("usr/lib/python3/dist-packages"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let request = json!({"jail": JAIL, "level": level, "steps": steps});
    child
        .stdin
        .take()
        .unwrap()
        .write_all(request.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the original's driver failed");
    let answers: Vec<Json> = serde_json::from_slice(&output.stdout).unwrap();
    answers
        .iter()
        .map(|answer| Trace {
            log: answer["log"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_str().unwrap().to_owned())
                .collect(),
            observed: answer["observed"].as_str().unwrap().to_owned(),
        })
        .collect()
}

/// From now on what this thread logs is recorded.
fn record_here(level: u8) {
    static SINK: Once = Once::new();
    SINK.call_once(|| log::set_sink(Box::new(ThreadSink)));
    // tests of other levels may run beside this one, so records are chosen by thread
    log::set_threshold(1);
    THRESHOLD.set(level);
}

/// What comes of something on this thread alone, and what it logs.
pub fn recorded<T>(level: u8, run: impl Future<Output = T>) -> (T, Vec<String>) {
    record_here(level);
    RECORDED.with_borrow_mut(Vec::clear);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(run);
    (result, RECORDED.with_borrow_mut(std::mem::take))
}

/// Has our actions carry out a scenario, on this thread alone.
pub fn by_ours(steps: &[Json], level: u8) -> Vec<Trace> {
    record_here(level);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let actions = Actions::spawn(JAIL, None, Default::default());
        actions.send(Order::Figures(figures()));
        let mut traces = Vec::new();
        for step in steps {
            if let Some(command) = step["before"].as_str() {
                shell(command).await;
            }
            RECORDED.with_borrow_mut(Vec::clear);
            carry_out(&actions, step).await;
            let observed = match step["observe"].as_str() {
                Some(command) => shell(command).await,
                None => String::new(),
            };
            traces.push(Trace {
                log: RECORDED.with_borrow_mut(std::mem::take),
                observed,
            });
        }
        traces
    })
}

/// Runs on a thread with a network namespace of its own.
///
/// # Panics
/// When this process may not have one.
pub fn in_own_network<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("this test must run as root");
            run()
        });
        thread.join().unwrap()
    })
}

/// What a command prints. It runs beside the runtime, which may have mails to send meanwhile.
async fn shell(command: &str) -> String {
    let script = format!("{{ {command}\n}} 2>&1");
    let run = move || {
        Command::new("/bin/sh")
            .arg("-c")
            .arg(script)
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn figures() -> JailFigures {
    JailFigures {
        bantime: 600.0,
        ..JailFigures::default()
    }
}

async fn carry_out(actions: &Actions, step: &Json) {
    match step["do"].as_str().unwrap() {
        "command" => command(actions, step["words"].as_array().unwrap()).await,
        "start" => actions.send(Order::Start),
        "ban" => actions.send(Order::Ban {
            ticket: read_ticket(&step["ticket"]),
            figures: figures(),
            again: false,
            by_hand: false,
        }),
        "bans" => {
            for ticket in step["tickets"].as_array().unwrap() {
                actions.send(Order::Ban {
                    ticket: read_ticket(ticket),
                    figures: figures(),
                    again: ticket["again"].as_bool() == Some(true),
                    by_hand: false,
                });
            }
        }
        "again" => actions.send(Order::Ban {
            ticket: read_ticket(&step["ticket"]),
            figures: figures(),
            again: true,
            by_hand: false,
        }),
        "check" => {
            let (reply, answer) = tokio::sync::oneshot::channel();
            actions.send(Order::Check(reply));
            answer.await.unwrap();
        }
        "prolong" => actions.send(Order::Prolong(read_ticket(&step["ticket"]))),
        "unban" => actions.send(Order::Unban {
            ticket: read_ticket(&step["ticket"]),
            figures: None,
        }),
        "unbans" => {
            for ticket in step["tickets"].as_array().unwrap() {
                actions.send(Order::Unban {
                    ticket: read_ticket(ticket),
                    figures: None,
                });
            }
        }
        "flush" => actions.send(Order::Flush(read_tickets(&step["tickets"]))),
        "reload" => actions.send(Order::Reloading(
            step["begin"].as_bool().unwrap(),
            read_tickets(&step["tickets"]),
        )),
        "get" => {
            let property = step["property"].as_str().unwrap().to_owned();
            ask(actions, step, Query::Property(property)).await;
        }
        "names" => {
            ask(actions, step, Query::Properties).await;
            ask(actions, step, Query::Methods).await;
        }
        "call" => {
            let (reply, answer) = tokio::sync::oneshot::channel();
            let arguments = step["arguments"].as_object().unwrap().iter();
            let arguments =
                arguments.map(|(name, value)| (name.as_str().into(), read_value(value)));
            actions.send(Order::Call {
                name: step["action"].as_str().unwrap().to_owned(),
                method: step["method"].as_str().unwrap().to_owned(),
                arguments: Value::Dict(arguments.collect()),
                reply,
            });
            note_reply(answer.await.unwrap());
        }
        "stop" => {
            let (reply, answer) = tokio::sync::oneshot::channel();
            actions.send(Order::Stop(read_tickets(&step["tickets"]), reply));
            answer.await.unwrap();
            return;
        }
        other => panic!("unknown step {other}"),
    }
    actions.settled().await;
}

async fn ask(actions: &Actions, step: &Json, what: Query) {
    let (reply, answer) = tokio::sync::oneshot::channel();
    actions.send(Order::Get {
        name: step["action"].as_str().unwrap().to_owned(),
        what,
        reply,
    });
    note_reply(answer.await.unwrap());
}

fn note_reply(reply: Reply) {
    let shown = match reply {
        Ok(value) => value.repr(),
        Err(error) => error.repr(),
    };
    log::write(Level::Error, "fail2ban.reply", format_args!("{shown}"));
}

async fn command(actions: &Actions, words: &[Json]) {
    let name = words[3].as_str().unwrap().to_owned();
    let (reply, answer) = tokio::sync::oneshot::channel();
    match words[2].as_str().unwrap() {
        "addaction" => actions.send(Order::Add {
            name,
            python: words.get(4).map(|path| {
                let arguments: Json = serde_json::from_str(words[5].as_str().unwrap()).unwrap();
                let pairs = arguments.as_object().unwrap().iter();
                let pairs = pairs.map(|(name, value)| (name.as_str().into(), read_value(value)));
                (
                    path.as_str().unwrap().to_owned(),
                    Value::Dict(pairs.collect()),
                )
            }),
            reply,
        }),
        _ => {
            let properties = words[4]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (pair[0].as_str().unwrap().to_owned(), read_value(&pair[1])))
                .collect();
            actions.send(Order::Set {
                name,
                properties,
                reply,
            });
        }
    }
    // an action that cannot be made shows by what does not happen
    if let Err(error) = answer.await.unwrap() {
        log::write(
            Level::Error,
            "fail2ban.reply",
            format_args!("{}", error.repr()),
        );
    }
}

/// A value of the config stream.
pub fn read_value(json: &Json) -> Value {
    match json {
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) if number.is_i64() => Value::Int(number.as_i64().unwrap()),
        Json::Number(number) => Value::Float(number.as_f64().unwrap()),
        Json::String(text) => Value::Str(text.clone()),
        _ => Value::None,
    }
}

fn read_tickets(json: &Json) -> Vec<Ticket> {
    json.as_array()
        .into_iter()
        .flatten()
        .map(read_ticket)
        .collect()
}

fn read_ticket(json: &Json) -> Ticket {
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let matches = json["matches"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|line| match line {
            Json::Array(parts) => MatchLine::Parts(std::sync::Arc::new([
                text(&parts[0]),
                text(&parts[1]),
                text(&parts[2]),
            ])),
            line => MatchLine::Text(text(line)),
        });
    let fields = json["fields"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), FieldValue::Text(text(value))));
    Ticket {
        failures: json["failures"].as_u64().unwrap_or(0) as u32,
        evidence: Evidence::new(&fields.collect(), &matches.collect::<Vec<_>>()),
        bantime: json["bantime"].as_f64().map(BanTime::Seconds),
        bancount: json["bancount"].as_u64().unwrap_or(0) as u32,
        restored: json["restored"].as_bool().unwrap_or(false),
        ..Ticket::new(
            Address::parse(json["id"].as_str().unwrap()),
            json["time"].as_f64().unwrap(),
        )
    }
}

thread_local! {
    static RECORDED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static THRESHOLD: Cell<u8> = const { Cell::new(0) };
}

/// Keeps records per thread: a scenario runs on one, and tests run side by side.
struct ThreadSink;

impl Sink for ThreadSink {
    fn write(&self, level: Level, target: &str, message: std::fmt::Arguments<'_>) {
        if level as u8 >= THRESHOLD.get() {
            let line = format!("{target} {} {message}", level.name());
            RECORDED.with_borrow_mut(|lines| lines.push(line));
        }
    }
}
