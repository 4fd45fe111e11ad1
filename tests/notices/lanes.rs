//! Servers that refuse, hang, or are gone.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use ferroban::parts::exec::script::Script;
use ferroban::parts::mail::rate_limit::Pacing;
use ferroban::parts::notice::Notice;
use ferroban::parts::notice::queue::{NoticeJob, NoticeQueue};
use tokio::time::{Instant, sleep};

use crate::recorder::{Answer, Recorder, nobody, silent};
use crate::scenario::recorded;

/// An event for a server at a port, with further options of its command.
fn job(port: u16, options: &str, event: &str) -> NoticeJob {
    let command = format!(
        "ferroban notify\nurl http://127.0.0.1:{port}/\nbody <message>\n{options}\nevent {event}"
    );
    NoticeJob {
        notice: Notice::recognise(&Script::plain(command)).unwrap().unwrap(),
        time: Duration::from_secs(20),
        pacing: Pacing::default(),
    }
}

/// Tells a server of one event, with so many seconds for each try, until it was asked so often: when it was asked, in seconds
/// after the first time, and what was logged.
fn told(recorder: &Recorder, seconds: u64, tries: usize) -> (Vec<f64>, Vec<String>) {
    let (_, log) = recorded(30, async {
        let queue = NoticeQueue::spawn("j", "hook");
        let mut job = job(recorder.port, "", "banned");
        job.time = Duration::from_secs(seconds);
        queue.push(job);
        let begin = Instant::now();
        while recorder.asked().len() < tries && begin.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(10)).await;
        }
        queue.close().await;
    });
    let asked = recorder.asked();
    assert_eq!(asked.len(), tries, "{log:?}");
    assert!(asked.iter().all(|asked| asked.body == "banned"));
    let first = asked[0].at;
    let times = asked.iter().map(|asked| (asked.at - first).as_secs_f64());
    (times.collect(), log)
}

/// A server that says this at first, and then takes what it is told.
fn at_first(count: usize, status: u16, headers: &str) -> Recorder {
    let headers = headers.to_owned();
    Recorder::new(move |number| match number < count {
        true => Answer::Says(status, headers.clone(), "not now"),
        false => Answer::Says(204, String::new(), ""),
    })
}

#[test]
fn an_error_of_the_server_is_tried_again_later_and_later() {
    let (times, log) = told(&at_first(2, 500, ""), 20, 3);
    assert!(times[1] >= 1.0 && times[2] >= times[1] + 2.0, "{times:?}");
    let [line] = log.as_slice() else {
        panic!("{log:?}");
    };
    assert!(line.contains("WARNING"), "{line}");
    let text = "[j] action 'hook': message not sent: the server answers 500: not now; it is tried again in 1 s, \
                up to 8 times";
    assert!(line.ends_with(text), "{line}");
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let (times, _) = told(&at_first(1, 429, "Retry-After: 2\r\n"), 20, 2);
    assert!(times[1] >= 2.0, "{times:?}");
    // whole seconds: up to one of them is over already
    let until = (Utc::now() + TimeDelta::seconds(4)).format("%a, %d %b %Y %H:%M:%S GMT");
    let (times, log) = told(
        &at_first(1, 503, &format!("Retry-After: {until}\r\n")),
        20,
        2,
    );
    assert!(times[1] >= 2.0, "{times:?}: {log:?}");
}

#[test]
fn a_refusal_is_told_once_and_not_tried_again() {
    for status in [400, 401, 404, 301] {
        let (_, log) = told(&at_first(9, status, "Retry-After: 1\r\n"), 20, 1);
        let [line] = log.as_slice() else {
            panic!("{log:?}");
        };
        let text =
            format!("[j] action 'hook': 1 messages lost: the server answers {status}: not now");
        assert!(line.contains("ERROR") && line.ends_with(&text), "{line}");
    }
}

#[test]
fn tries_come_to_an_end() {
    let recorder = at_first(9, 502, "");
    let (_, log) = recorded(30, async {
        let queue = NoticeQueue::spawn("j", "hook");
        queue.push(job(recorder.port, "retries 1", "banned"));
        while recorder.asked().len() < 2 {
            sleep(Duration::from_millis(10)).await;
        }
        sleep(Duration::from_millis(1500)).await;
        queue.close().await;
    });
    assert_eq!(recorder.asked().len(), 2);
    assert!(log[0].contains("up to 1 times"), "{log:?}");
    assert!(
        log[1].contains("ERROR") && log[1].contains("1 messages lost"),
        "{log:?}"
    );
    assert_eq!(log.len(), 2);
}

#[test]
fn a_server_that_hangs_is_left_and_asked_again() {
    let recorder = Recorder::new(|number| match number {
        0 => Answer::Hangs,
        _ => Answer::Says(200, String::new(), ""),
    });
    let (times, log) = told(&recorder, 2, 2);
    assert!((2.5..30.0).contains(&times[1]), "{times:?}");
    assert!(
        log[0].contains("does not answer within 2 seconds"),
        "{log:?}"
    );
}

#[test]
fn what_waits_is_bounded_and_what_is_dropped_is_told() {
    let (gone, log) = recorded(30, async {
        let port = nobody();
        let queue = NoticeQueue::spawn("j", "hook");
        let begin = Instant::now();
        for n in 0..1500 {
            queue.push(job(port, "batch 1000\nretries 0", &format!("banned {n}")));
        }
        let pushed = begin.elapsed();
        queue.close().await;
        pushed
    });
    assert!(gone < Duration::from_secs(5), "{gone:?}");
    let count = |word: &str| log.iter().filter(|line| line.contains(word)).count();
    assert_eq!((count("WARNING"), count("ERROR")), (1, 1), "{log:?}");
    assert!(
        log[0].contains("1000 messages lost: cannot connect to 127.0.0.1:"),
        "{log:?}"
    );
    assert!(
        log[1].ends_with("500 messages dropped, the oldest of more than 1000 that waited"),
        "{log:?}"
    );
}

#[test]
fn a_stop_waits_little_for_a_server_that_hangs() {
    let (took, log) = recorded(30, async {
        let (_listener, port) = silent();
        let queue = NoticeQueue::spawn("j", "hook");
        for n in 0..10 {
            let mut job = job(port, "", &format!("banned {n}"));
            job.time = Duration::from_secs(600);
            queue.push(job);
        }
        let begin = Instant::now();
        queue.close().await;
        begin.elapsed()
    });
    assert!((4.0..30.0).contains(&took.as_secs_f64()), "{took:?}");
    assert!(
        log[0].ends_with("10 messages could not be sent in time and are lost"),
        "{log:?}"
    );
}

#[test]
fn messages_beyond_the_rate_wait_for_each_other() {
    let recorder = Recorder::willing();
    let (asked, log) = recorded(30, async {
        let queue = NoticeQueue::spawn("j", "hook");
        let tell = |n| {
            queue.push(job(
                recorder.port,
                "batch 1000\nrate 1/hour",
                &format!("banned {n}"),
            ))
        };
        tell(0);
        while recorder.asked().is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        (1..9).for_each(tell);
        sleep(Duration::from_millis(1500)).await;
        let asked = recorder.asked().len();
        queue.close().await;
        asked
    });
    assert_eq!((asked, log.len()), (1, 0));
    let bodies: Vec<String> = recorder
        .asked()
        .into_iter()
        .map(|asked| asked.body)
        .collect();
    let rest: Vec<String> = (1..9).map(|n| format!("banned {n}")).collect();
    assert_eq!(bodies, ["banned 0".to_owned(), rest.join("\n\n")]);
}

#[test]
fn a_title_goes_out_once_in_the_time_of_throttle() {
    let recorder = Recorder::willing();
    let (_, log) = recorded(30, async {
        let queue = NoticeQueue::spawn("j", "hook");
        for title in ["a", "a", "b", "a"] {
            let mut job = job(recorder.port, "", title);
            job.pacing = Pacing::new("1h", "");
            queue.push(job);
        }
        queue.close().await;
    });
    assert_eq!(log, [""; 0]);
    let bodies: Vec<String> = recorder
        .asked()
        .into_iter()
        .map(|asked| asked.body)
        .collect();
    assert_eq!(bodies, ["a", "b"]);
}
