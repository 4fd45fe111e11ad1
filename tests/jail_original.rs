//! The same failures at the same times to a jail of the original and to ours: the same decisions,
//! log lines, tickets and lists.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use ferroban::parts::address::Address;
use ferroban::parts::control::{JailQuery, JailSetting, Value};
use ferroban::parts::fields::{Fields, MatchLine};
use ferroban::parts::filter::{Failure, FailureId};
use ferroban::parts::jail::core::{JailCore, PriorBans};
use ferroban::parts::jail::decision::Decision;
use ferroban::parts::store::BanHistory;
use ferroban::parts::ticket::Ticket;
use serde_json::{Value as Json, json};

const BEGIN: f64 = 1_600_000_000.0;

/// A jail's core with a memory in place of the database.
struct Ours {
    core: JailCore,
    past: HashMap<Address, BanHistory>,
    log: Vec<String>,
    bans: Vec<Json>,
}

impl Ours {
    fn new(settings: &[(String, Json)]) -> Ours {
        let mut ours = Ours {
            core: JailCore::new("j", true),
            past: HashMap::new(),
            log: Vec::new(),
            bans: Vec::new(),
        };
        ours.core
            .apply(&JailSetting::set("ignoreself", false.into()));
        for (name, value) in settings {
            ours.set(name, value);
        }
        ours
    }

    fn set(&mut self, name: &str, value: &Json) {
        let value = match value {
            Json::String(text) => Value::from(text.as_str()),
            number => Value::Int(number.as_i64().unwrap()),
        };
        let setting = match name {
            "ignoreip" => JailSetting::AddIgnoreIp(vec![value.as_str().unwrap().into()]),
            option => JailSetting::set(option, value),
        };
        self.core.apply(&setting).unwrap().unwrap();
    }

    fn past(&self, id: &Address) -> PriorBans {
        PriorBans {
            here: self.past.get(id).cloned(),
            everywhere: None,
        }
    }

    fn note(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            if let Some((level, target, text)) =
                decision.log_line("j", false, &mut Default::default())
            {
                self.log.push(format!("{target} {} {text}", level.name()));
            }
            match decision {
                Decision::Record(ticket) => {
                    let history = BanHistory {
                        bancount: ticket.bancount,
                        timeofban: ticket.time.round_ties_even(),
                        bantime: ticket.bantime.unwrap(),
                    };
                    self.past.insert(ticket.id, history);
                }
                Decision::Ban { ticket, .. } => {
                    let matches: Vec<_> = ticket.matches().iter().map(MatchLine::text).collect();
                    self.bans
                        .push(json!([ticket.id.to_string(), ticket.failures, matches]));
                }
                _ => {}
            }
        }
    }

    fn step(&mut self, step: &Json) -> Json {
        let now = step["at"].as_f64().unwrap();
        loop {
            let due = self.core.due(now);
            if due.is_empty() {
                break;
            }
            self.note(due);
        }
        let id = Address::parse(step["id"].as_str().unwrap_or(""));
        let texts = |key: &str| -> Vec<String> {
            let list = step[key].as_array().unwrap();
            list.iter()
                .map(|text| text.as_str().unwrap().to_owned())
                .collect()
        };
        let past = self.past(&id);
        let mut reply = Json::Null;
        match step["do"].as_str().unwrap() {
            "fail" => {
                let failure = Failure {
                    id: FailureId::Address(id),
                    time: step["time"].as_f64().unwrap(),
                    matches: vec![MatchLine::Text(step["line"].as_str().unwrap().into())],
                    fields: Fields::new(),
                };
                let decisions = self.core.failure(&failure, &past, now);
                self.note(decisions);
            }
            "attempt" => {
                let at = ferroban::parts::jail::decision::local_time(now);
                let lines = texts("lines");
                let line = format!("fail2ban.filter INFO [j] Attempt {id} - {at}");
                self.log.push(line);
                let decisions = self.core.attempt(&id, &lines, &past, now);
                self.note(decisions);
                reply = json!(1);
            }
            "banip" => {
                let mut count = 0;
                for id in texts("ids") {
                    let id = Address::parse(&id);
                    let past = self.past(&id);
                    let mut decisions = Vec::new();
                    count +=
                        i32::from(
                            self.core
                                .ban(Ticket::new(id, now), &past, now, &mut decisions),
                        );
                    self.note(decisions);
                }
                reply = json!(count);
            }
            "unbanip" => {
                let mut count = 0;
                for id in texts("ids") {
                    let id = Address::parse(&id);
                    self.past.remove(&id);
                    let lifted = self.core.unban(&id);
                    count += i32::from(lifted.is_some());
                    self.note(lifted.map(Decision::Unban).into_iter().collect());
                }
                reply = json!(count);
            }
            "bantime" => self.set("bantime", &step["value"]),
            _ => {}
        }
        let list = JailQuery::BanIp {
            separator: None,
            with_time: true,
        };
        let Some(Value::List(banned)) = self.core.get(&list) else {
            panic!()
        };
        let banned: Vec<_> = banned.iter().filter_map(Value::as_str).collect();
        let counts = self.core.counts(now);
        json!({
            "log": std::mem::take(&mut self.log),
            "bans": std::mem::take(&mut self.bans),
            "banned": banned,
            "counts": counts,
            "reply": reply,
        })
    }
}

fn original(runs: &Json) -> Vec<Vec<Json>> {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers/original_jail.py");
    let mut child = common::python("1.1.1")
        .arg(driver)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(runs.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Order that means nothing: what ends at the same time, and what two threads of the original log.
fn order(result: &mut Json) {
    let log = result["log"].as_array_mut().unwrap();
    log.sort_by_key(|line| {
        let line = line.as_str().unwrap();
        if line.contains("] Unban ") {
            (0, line.to_owned())
        } else if line.starts_with("fail2ban.observer") {
            (2, line.to_owned())
        } else {
            (1, String::new())
        }
    });
}

/// With `bantime.increment` the original keeps lines of known offenders twice.
fn forget_matches(result: &mut Json) {
    for ban in result["bans"].as_array_mut().unwrap() {
        ban[2] = Json::Null;
    }
}

/// Random settings and steps, the same ones every time.
fn run(seed: u64) -> (Vec<(String, Json)>, Vec<Json>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let findtime = random.i64(3..40);
    let mut bantime = if random.u8(..8) == 0 {
        -1
    } else {
        random.i64(2..60)
    };
    let mut settings = vec![
        ("maxretry".to_owned(), json!(random.i64(1..6))),
        ("findtime".to_owned(), json!(findtime)),
        ("bantime".to_owned(), json!(bantime)),
        ("maxmatches".to_owned(), json!(random.i64(0..5))),
        ("ignoreip".to_owned(), json!("198.51.100.0/24")),
    ];
    if seed.is_multiple_of(2) {
        let mut extra = |name: &str, value: &str| {
            settings.push((format!("bantime.{name}"), json!(value)));
        };
        extra("increment", "true");
        match random.u8(..5) {
            0 => extra("factor", ["2", "1.5", "0.3"][random.usize(..3)]),
            1 => extra("multipliers", "1 2 4 8"),
            2 => extra(
                "formula",
                "ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)",
            ),
            3 => extra("maxtime", "1m"),
            _ => {}
        }
    }
    let mut now = BEGIN;
    let ids = [
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8::1",
        "sess0",
        "198.51.100.7",
    ];
    let mut steps = Vec::new();
    for n in 0..60 {
        // mostly close together, sometimes after a long rest
        now += match random.u8(..10) {
            0 => 0.0,
            1 => f64::from(random.u8(20..90)),
            _ => f64::from(random.u8(..16)) / 2.0,
        };
        let id = ids[random.usize(..ids.len())];
        let either = [id, "10.1.2.3/8"][random.usize(..2)];
        steps.push(match random.u8(..20) {
            0 => json!({"at": now, "do": "banip", "ids": [either]}),
            1 => json!({"at": now, "do": "unbanip", "ids": [id]}),
            2 => json!({"at": now, "do": "attempt", "id": "192.0.2.2", "lines": ["a", "b"]}),
            3 => json!({"at": now, "do": "tick"}),
            4 if bantime > 0 => {
                // only longer: the original sees late that bans have become shorter
                bantime += random.i64(0..9);
                json!({"at": now, "do": "bantime", "value": bantime})
            }
            late => {
                // filters drop what is older than findtime
                let back = if late == 5 { random.f64() * (findtime as f64 - 1.0) } else { 0.0 };
                let time = ((now - back) * 2.0).round() / 2.0;
                json!({"at": now, "do": "fail", "id": id, "time": time, "line": format!("line {n}")})
            }
        });
    }
    (settings, steps)
}

#[test]
fn both_decide_alike() {
    let runs: Vec<_> = (0..200).map(run).collect();
    let request = runs
        .iter()
        .map(|(settings, steps)| json!({"settings": settings, "steps": steps}))
        .collect();
    let theirs = original(&request);
    let mut bans = 0;
    for (seed, ((settings, steps), theirs)) in runs.iter().zip(theirs).enumerate() {
        let mut ours = Ours::new(settings);
        for (n, (step, mut theirs)) in steps.iter().zip(theirs).enumerate() {
            let mut mine = ours.step(step);
            for result in [&mut mine, &mut theirs] {
                order(result);
                if seed.is_multiple_of(2) {
                    forget_matches(result);
                }
            }
            bans += mine["bans"].as_array().unwrap().len();
            let so_far: String = steps[..=n].iter().map(|step| format!("{step}\n")).collect();
            assert_eq!(
                mine, theirs,
                "ours left, theirs right; run {seed} {settings:?}\n{so_far}"
            );
        }
    }
    assert!(bans > 500, "only {bans} bans: the steps prove little");
}
