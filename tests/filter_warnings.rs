//! What is said about odd dates, and what a line then counts for (facts D20 to D24): the same
//! lines at the same times through the original's filter and ours.

mod common;

use std::fmt;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use ferroban::parts::filter::{Clock, FailureId, Filter};
use ferroban::parts::log::{self, Level, Sink};
use serde_json::{Value, json};

/// Drives the original's filter: cases in, records and failures out, one line of JSON a case.
const DRIVER: &str = r#"
import sys, json, logging
from fail2ban.server.filter import Filter
from fail2ban.server.mytime import MyTime
from fail2ban.tests.dummyjail import DummyJail
class Records(logging.Handler):
    def emit(self, record): told.append([record.levelname, record.getMessage()])
told = []
log = logging.getLogger("fail2ban")
log.addHandler(Records())
log.setLevel(logging.WARNING)
log.propagate = False
for case in json.load(sys.stdin):
    told = []
    f = Filter(DummyJail("j"))
    f.addFailRegex(case["regex"])
    f.setFindTime(600)
    if case["datepattern"]: f.setDatePattern(case["datepattern"])
    f.inOperation = case["in_operation"]
    for now, line in case["lines"]:
        MyTime.setTime(now)
        # a ticket is never later than now
        told.append(["found", [[str(x[1]), min(float(x[2]), float(now))] for x in f.processLine(line)]])
    print(json.dumps(told))
"#;

const NOW: i64 = 1_795_168_800;

struct Records(Arc<Mutex<Vec<Value>>>);

impl Sink for Records {
    fn write(&self, level: Level, _: &str, message: fmt::Arguments<'_>) {
        let record = json!([level.name(), message.to_string()]);
        self.0.lock().expect("lock").push(record);
    }
}

fn cases() -> Vec<Value> {
    // seconds from now of the clock, seconds from now in the line (none: no date)
    let line = |(clock, date): &(i64, Option<i64>)| {
        let date = date.map(|date| {
            let time = chrono::DateTime::from_timestamp(NOW + date, 0).expect("time");
            time.format("%Y-%m-%d %H:%M:%S+00:00 ").to_string()
        });
        json!([
            NOW + clock,
            format!("{}x from 192.0.2.1", date.unwrap_or_default())
        ])
    };
    let table: &[(bool, &[Step])] = &[
        // in operation: now, late, later, early, without a date soon after and much later
        (
            true,
            &[
                (0, Some(0)),
                (1, Some(-59)),
                (2, Some(-70)),
                (3, Some(-700)),
            ],
        ),
        (
            true,
            &[(0, Some(-600)), (1, None), (2, Some(-600)), (200, None)],
        ),
        (
            true,
            &[(0, Some(-4000)), (90_000, Some(89_000)), (90_001, Some(0))],
        ),
        (true, &[(0, Some(100)), (1, Some(60)), (2, Some(90_000))]),
        (true, &[(0, None), (1, None)]),
        (true, &[(0, Some(0)), (30, None), (61, None)]),
        // at start-up: within the findtime, beyond it, in the future, without a date
        (
            false,
            &[
                (0, Some(-599)),
                (1, Some(-700)),
                (2, Some(-800)),
                (90_000, Some(0)),
            ],
        ),
        (false, &[(0, Some(500)), (1, Some(-10))]),
        (false, &[(0, None), (1, Some(0)), (2, None), (100, None)]),
    ];
    let mut all: Vec<Value> = table
        .iter()
        .map(|(in_operation, lines)| {
            json!({
                "regex": r"^\s*x from <ADDR>",
                "datepattern": null,
                "in_operation": in_operation,
                "lines": lines.iter().map(line).collect::<Vec<_>>(),
            })
        })
        .collect();
    for (in_operation, datepattern, line) in [
        (true, None, "2026-02-30 10:00:00 x from 192.0.2.1"),
        (false, None, "2026-02-30 10:00:00 x from 192.0.2.1"),
        (true, Some("{NONE}"), "x from 192.0.2.1"),
        (false, Some("{NONE}"), "x from 192.0.2.1"),
        (true, Some("()"), "x from 192.0.2.1"),
    ] {
        all.push(json!({
            "regex": "x from <ADDR>",
            "datepattern": datepattern,
            "in_operation": in_operation,
            "lines": [[NOW, line], [NOW + 1, line]],
        }));
    }
    all
}

fn original(cases: &[Value]) -> Vec<Value> {
    let mut child = common::python("1.1.1")
        .args(["-c", DRIVER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run");
    let mut input = child.stdin.take().expect("a pipe");
    write!(input, "{}", Value::from(cases.to_vec())).expect("write");
    drop(input);
    let output = child.wait_with_output().expect("wait");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn ours(case: &Value, records: &Mutex<Vec<Value>>) -> Value {
    let mut filter = Filter::new("j");
    if let Some(pattern) = case["datepattern"].as_str() {
        filter.set_datepattern(pattern).expect("pattern");
    }
    let regex = case["regex"].as_str().expect("a regex");
    filter.add_failregex(regex).expect("regex");
    for line in case["lines"].as_array().expect("lines") {
        let clock = Clock {
            now: line[0].as_f64().expect("a time"),
            in_operation: case["in_operation"] == true,
            findtime: 600.0,
        };
        let failures = filter.process_line(line[1].as_str().expect("a line"), None, &clock);
        let found: Vec<Value> = failures
            .iter()
            .map(|failure| match &failure.id {
                FailureId::Address(id) => json!([id.to_string(), failure.time]),
                FailureId::Name(name) => json!([name, failure.time]),
            })
            .collect();
        records.lock().expect("lock").push(json!(["found", found]));
    }
    Value::from(std::mem::take(&mut *records.lock().expect("lock")))
}

#[test]
fn odd_dates_are_told_and_judged_as_by_the_original() {
    let records = Arc::new(Mutex::new(Vec::new()));
    log::set_threshold(Level::Warning as u8);
    log::set_sink(Box::new(Records(records.clone())));
    let cases = cases();
    let mut wrong = Vec::new();
    for (case, theirs) in cases.iter().zip(original(&cases)) {
        let ours = ours(case, &records);
        if ours != theirs {
            wrong.push(format!("{case}\n  original {theirs}\n  ours     {ours}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
/// Seconds after the beginning when a line is read, and its date in such seconds, if it has one.
type Step = (i64, Option<i64>);
