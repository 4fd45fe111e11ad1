//! The order of events for one line, and the time it counts for.

use super::*;

const NOW: f64 = 1_795_287_600.0;

fn filter(failregexes: &[&str], ignoreregexes: &[&str]) -> Filter {
    let mut filter = Filter::new("test");
    for regex in failregexes {
        filter.add_failregex(regex).expect("failregex");
    }
    for regex in ignoreregexes {
        filter.add_ignoreregex(regex).expect("ignoreregex");
    }
    filter
}

fn clock(in_operation: bool) -> Clock {
    Clock {
        now: NOW,
        in_operation,
        findtime: 600.0,
    }
}

/// Ids of the failures of a line that came from a journal now.
fn ids(filter: &mut Filter, line: &str) -> Vec<String> {
    let date = Some(("", NOW));
    let failures = filter.process_line(line, date, &clock(true));
    failures
        .iter()
        .map(|f| match &f.id {
            FailureId::Address(address) => address.to_string(),
            FailureId::Name(name) => format!("name {name}"),
        })
        .collect()
}

/// A line dated so many seconds before now, epoch style.
fn dated(age: f64, text: &str) -> String {
    format!("{:.0} {text}", NOW - age)
}

fn times(filter: &mut Filter, line: &str, in_operation: bool) -> Vec<f64> {
    let failures = filter.process_line(line, None, &clock(in_operation));
    failures.iter().map(|f| f.time - NOW).collect()
}

#[test]
fn first_regex_wins() {
    let mut filter = filter(&["^x <ADDR>", "<F-ID>x</F-ID>"], &[]);
    assert_eq!(ids(&mut filter, "x 192.0.2.1"), ["192.0.2.1"]);
    assert_eq!(ids(&mut filter, "ax 192.0.2.1"), ["x"]);
    assert!(ids(&mut filter, "y 192.0.2.1").is_empty());
}

/// Sharp edge 21, facts R29 and R30.
#[test]
fn which_text_ignoreregexes_see() {
    let few = ["^body <ADDR>"];
    let many = ["^body <ADDR>", "^b2 <ADDR>", "^b3 <ADDR>", "^b4 <ADDR>"];
    for (failregexes, ignoreregex, ids_expected) in [
        (&few[..], "^head body", 1),
        (&few[..], "^body", 0),
        (&many[..], "^head body", 0),
        (&many[..], "^body", 0),
        (&many[..3], "^head body", 1),
    ] {
        let mut filter = Filter::new("test");
        filter
            .set_prefregex("^head <F-CONTENT>.+</F-CONTENT>$")
            .expect("prefregex");
        for regex in failregexes {
            filter.add_failregex(regex).expect("failregex");
        }
        filter.add_ignoreregex(ignoreregex).expect("ignoreregex");
        let ids = ids(&mut filter, "head body 192.0.2.1");
        assert_eq!(ids.len(), ids_expected, "{failregexes:?} {ignoreregex}");
    }
}

/// Fact R26.
#[test]
fn fields_of_prefregex_and_failregex_are_merged() {
    let mut filter = Filter::new("test");
    filter
        .set_prefregex("^<ADDR> <F-USER>a</F-USER>(?P<x>q)? <F-CONTENT>.*</F-CONTENT>")
        .expect("prefregex");
    filter
        .add_failregex("^(?P<x>b)?(?P<user>c)? end")
        .expect("an id in the prefregex is enough");
    let failures = filter.process_line("192.0.2.1 a b end", Some(("", NOW)), &clock(true));
    let [failure] = &failures[..] else {
        panic!("{failures:?}");
    };
    let fields: Vec<_> = failure.fields.iter().map(|(name, _)| name).collect();
    assert_eq!(fields, ["ip4", "user", "x"]);
    assert_eq!(
        failure.fields.get("user"),
        Some(&crate::fields::FieldValue::Text("a".into()))
    );
}

/// Fact R31.
#[test]
fn evidence_is_the_whole_line() {
    let mut filter = filter(&["failed from <ADDR>"], &[]);
    let line = dated(5.0, "failed from 192.0.2.1");
    let failures = filter.process_line(&line, None, &clock(true));
    let lines: Vec<_> = failures.iter().flat_map(|f| &f.matches).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].text(), line);
    assert!(matches!(lines[0], MatchLine::Parts(parts) if parts[1] == format!("{:.0}", NOW - 5.0)));
}

#[test]
fn an_id_is_required_somewhere() {
    let mut filter = Filter::new("test");
    let error = filter.add_failregex("^x").expect_err("no id");
    assert_eq!(error.to_string(), "No failure-id group in '^x'");
    assert!(filter.failregexes().is_empty());
    filter.del_failregex(3);
}

/// Facts D20–D24.
#[test]
fn times_at_start_and_in_operation() {
    let failed = "failed from 192.0.2.1";
    for (age, in_operation, expected) in [
        (5.0, true, &[-5.0][..]),
        (60.0, true, &[-60.0]),
        (61.0, true, &[0.0]),
        (-30.0, true, &[0.0]),
        (-7200.0, true, &[0.0]),
        (599.0, false, &[-599.0]),
        (601.0, false, &[]),
        (-30.0, false, &[0.0]),
    ] {
        let mut filter = filter(&["failed from <ADDR>"], &[]);
        let line = dated(age, failed);
        assert_eq!(
            times(&mut filter, &line, in_operation),
            expected,
            "{age} {in_operation}"
        );
    }
}

/// Fact D21, sharp edges 31 and 36.
#[test]
fn undated_lines_borrow_or_wait() {
    let mut filter = filter(&["failed from <ADDR>"], &[]);
    let undated = "failed from 192.0.2.1";
    assert!(
        times(&mut filter, undated, false).is_empty(),
        "no time at start-up"
    );
    assert_eq!(times(&mut filter, undated, true), [0.0]);
    times(&mut filter, &dated(30.0, "noise"), true);
    assert_eq!(
        times(&mut filter, undated, true),
        [-30.0],
        "the last date is fresh"
    );
    times(&mut filter, &dated(60.0, "noise"), true);
    assert_eq!(
        times(&mut filter, undated, true),
        [0.0],
        "the last date is old"
    );
    let invalid = "2026-02-30 10:00:00 failed from 192.0.2.1";
    assert_eq!(times(&mut filter, invalid, true), [0.0]);
    assert!(times(&mut filter, invalid, false).is_empty());
}

/// Fact D20.
#[test]
fn lines_without_dates_by_configuration() {
    let mut filter = filter(&["^failed from <ADDR>"], &[]);
    filter.set_datepattern("{NONE}").expect("pattern");
    assert_eq!(times(&mut filter, "failed from 192.0.2.1", false), [0.0]);
    assert_eq!(
        filter.datepattern().map(|(_, name)| name).as_deref(),
        Some("^")
    );
}

/// Fact R39.
#[test]
fn a_multi_line_match_leaves_skipped_lines() {
    let mut filter = Filter::new("test");
    filter.set_maxlines(5);
    filter
        .add_failregex(r"^ begin (?P<n>\d)<SKIPLINES> end (?P=n) <ADDR>$")
        .expect("failregex");
    let mut found = Vec::new();
    for line in ["begin 1", "begin 2", "end 1 192.0.2.1", "end 2 192.0.2.2"] {
        let failures = filter.process_line(&dated(1.0, line), None, &clock(true));
        found.extend(failures.into_iter().map(|f| f.matches.len()));
    }
    assert_eq!(found, [2, 2], "each match has its two lines only");
    assert!(filter.buffered().is_empty());
}

/// Facts R33, R34, sharp edge 22.
#[test]
fn pending_failures_count_once() {
    let regex = "^<F-MLFID>s1</F-MLFID> (?:fail user <F-USER>\\S+</F-USER>|close from <ADDR>)";
    let mut filter = filter(&[regex], &[]);
    assert!(ids(&mut filter, "s1 fail user bob").is_empty());
    assert!(ids(&mut filter, "s1 fail user bob").is_empty());
    let date = Some(("", NOW));
    let failures = filter.process_line("s1 close from 192.0.2.1", date, &clock(true));
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].matches.len(), 3);
    let failures = filter.process_line("s1 fail user bob", date, &clock(true));
    assert_eq!(failures[0].matches.len(), 1);
}

/// Fact R27: only sessions know lines that are no failures.
#[test]
fn nofail_without_session_is_a_failure() {
    let mut filter = filter(&["^<F-NOFAIL>nf</F-NOFAIL> from <HOST>"], &[]);
    assert_eq!(ids(&mut filter, "nf from 192.0.2.1"), ["192.0.2.1"]);
}

/// A group `host` of old filters is an address or a name.
#[test]
fn legacy_host_group() {
    let mut filter = filter(&["from (?:::f{4,6}:)?(?P<host>\\S+)"], &[]);
    assert_eq!(ids(&mut filter, "from ::ffff:192.0.2.1"), ["192.0.2.1"]);
    assert_eq!(ids(&mut filter, "from a.example"), ["name a.example"]);
}

/// A regex that gives up counts, is told of once a minute, and stands in nobody's way.
#[test]
fn a_search_without_end_is_given_up_counted_and_told() {
    use std::fmt;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);
    impl crate::log::Sink for Told {
        fn write(&self, _: crate::log::Level, _: &str, message: fmt::Arguments<'_>) {
            let message = message.to_string();
            if message.contains("too many steps")
                && let Ok(mut told) = self.0.lock()
            {
                told.push(message);
            }
        }
    }

    let endless = r"^x(?:(a+)(?!b))+c\1?d <ADDR>";
    let mut filter = filter(&[endless, "from <ADDR>"], &[]);
    let told = Told::default();
    crate::log::set_sink(Box::new(told.clone()));
    crate::log::set_threshold(crate::log::Level::Warning as u8);
    let line = format!("x{0}cX{0}cd 192.0.2.7 from 192.0.2.1", "a".repeat(60));
    for _ in 0..3 {
        assert_eq!(ids(&mut filter, &line), ["192.0.2.1"]);
    }
    assert_eq!(filter.limit_hits(), 3);
    let told = told.0.lock().expect("no panic").clone();
    assert_eq!(told.len(), 1, "once a minute");
    assert!(told[0].contains("[test]") && told[0].contains(endless) && told[0].contains("xaaa"));
}
