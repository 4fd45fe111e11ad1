//! A screen over a block of lines must not show in what is found in them.

use super::*;
use crate::pattern::PrefilterResult;

const NOW: f64 = 1_795_287_600.0;

const MANNERS: [ExamineMode; 3] = [
    ExamineMode::DAEMON,
    // as the report of fail2ban-regex
    ExamineMode {
        every_regex: true,
        report_all: true,
        skip_pending: false,
        window: false,
        evidence: false,
        fields: false,
        ..ExamineMode::DAEMON
    },
    ExamineMode {
        report_all: true,
        window: false,
        prefix_fields: true,
        ..ExamineMode::DAEMON
    },
];

/// prefregex, failregexes, ignoreregexes
type Regexes = (
    Option<&'static str>,
    &'static [&'static str],
    &'static [&'static str],
);

const FILTERS: [Regexes; 7] = [
    (
        None,
        &["refused from <ADDR>$", "no such user .* <ADDR>"],
        &[],
    ),
    // cutting out the date of `re1795287600fused` makes the word
    (None, &["refused"], &[]),
    (
        None,
        &["(?:refused|denied|rejected|dismissed) from <ADDR>"],
        &["denied"],
    ),
    (
        Some("^(?:\\[\\d+\\] )?<F-CONTENT>.+</F-CONTENT>$"),
        &[
            "^refused from <ADDR>",
            "^no such user <F-USER>\\S+</F-USER> <ADDR>",
        ],
        &["u2 from"],
    ),
    (
        Some("^\\S+ daemon\\[<F-MLFID>\\d+</F-MLFID>\\]: (?!ok)<F-CONTENT>.+</F-CONTENT>$"),
        &["^refused from <ADDR>", "^<F-NOFAIL>hello</F-NOFAIL> <ADDR>"],
        &[],
    ),
    // more failregexes than ignoreregexes by far: these are asked first
    (
        Some("daemon"),
        &["refused from <ADDR>", "a1 <ADDR>", "b2 <ADDR>", "c3 <ADDR>"],
        &["hello"],
    ),
    (None, &["<ADDR>"], &[]),
];

fn filter((prefregex, failregexes, ignoreregexes): Regexes) -> Filter {
    let mut filter = Filter::new("test");
    if let Some(prefregex) = prefregex {
        filter.set_prefregex(prefregex).expect("prefregex");
    }
    for regex in failregexes {
        // without an id group there is still something to match
        let regex = match regex.contains('<') {
            true => (*regex).to_owned(),
            false => format!("{regex}<F-ID>.*</F-ID>"),
        };
        filter.add_failregex(&regex).expect("failregex");
    }
    for regex in ignoreregexes {
        filter.add_ignoreregex(regex).expect("ignoreregex");
    }
    filter
        .set_datepattern("EPOCH")
        .expect("a pattern for dates anywhere");
    filter
}

/// Lines of all kinds, in an order that repeats itself late.
fn lines(beyond_ascii: bool) -> Vec<String> {
    let parts = [
        "host daemon[7]: refused from 192.0.2.1",
        "[12] refused from 192.0.2.2",
        "host daemon[7]: hello 192.0.2.3",
        "host daemon[8]: ok refused from 192.0.2.4",
        "no such user u2 from 192.0.2.5",
        "no such user u1 192.0.2.6",
        "denied from 192.0.2.7",
        "rejected from 2001:db8::1",
        "nothing of note",
        "host daemon[9]: nothing of note",
        "",
        "b2 192.0.2.8 daemon",
    ];
    let mut lines = Vec::new();
    for round in 0..60 {
        for (number, part) in parts.iter().enumerate() {
            let at = NOW - 100.0 + f64::from(round);
            lines.push(match (round + number as i32) % 5 {
                0 => format!("{at} {part}"),
                1 => format!("host re{at}fused {part}"),
                2 => part.to_string(),
                3 if beyond_ascii => format!("{at} é {part}"),
                3 => format!("{part} {at}"),
                _ => format!("[{at}] {part}\r"),
            });
            if round > 8 {
                lines.push(format!("{at} quiet line number {round}"));
            }
        }
    }
    lines
}

#[test]
fn a_screen_does_not_show() {
    let clock = Clock {
        now: NOW,
        in_operation: false,
        findtime: 600.0,
    };
    let mut known = 0;
    for (regexes, mode) in FILTERS.into_iter().flat_map(|f| MANNERS.map(|m| (f, m))) {
        for beyond_ascii in [false, true] {
            let (mut plain, mut screened) = (filter(regexes), filter(regexes));
            let (mut expected, mut got) = (LineOutcome::default(), LineOutcome::default());
            for block in lines(beyond_ascii).chunks(90) {
                let block: String = block.iter().map(|line| format!("{line}\n")).collect();
                let mut scan = screened.scan(&block);
                let mut start = 0;
                for line in block.split_terminator('\n') {
                    let end = start + line.len();
                    let result = scan.as_mut().and_then(|s| s.check(start, end));
                    assert_ne!(result, Some(PrefilterResult::MayMatch));
                    known += usize::from(result.is_some());
                    start = end + 1;
                    let line = line.trim_end_matches('\r');
                    plain.examine(line, None, &clock, mode, &mut expected);
                    let hint = result.map_or(LineHint::Nothing, LineHint::Prefiltered);
                    screened.examine_known(line, hint, &clock, mode, &mut got);
                    assert_eq!(
                        (format!("{got:?}"), screened.prefregex_matched()),
                        (format!("{expected:?}"), plain.prefregex_matched()),
                        "{regexes:?} {mode:?} {line}"
                    );
                }
            }
        }
    }
    assert!(known > 5_000, "only {known} lines were screened");
}

#[test]
fn lines_at_once_give_what_they_give_one_by_one() {
    let mut failures = 0;
    for (regexes, in_operation) in FILTERS.into_iter().flat_map(|f| [(f, false), (f, true)]) {
        for beyond_ascii in [false, true] {
            let clock = Clock {
                now: NOW,
                in_operation,
                findtime: 70.0,
            };
            let (mut single, mut at_once) = (filter(regexes), filter(regexes));
            let screens = |filter: &Filter| filter.scan("nothing\n").is_some();
            let mut screened = false;
            for block in lines(beyond_ascii).chunks(90) {
                let mut expected = Vec::new();
                for line in block {
                    let line = line.trim_end_matches('\r');
                    expected.extend(single.process_line(line, None, &clock));
                }
                let text: String = block.iter().map(|line| format!("{line}\n")).collect();
                screened |= screens(&at_once);
                let text = LineBlock::of(&text);
                let dates = at_once.date_lines(&text, NOW);
                let mut got = Vec::new();
                at_once.examine_lines(&text, &dates, &clock, |failure| got.push(failure));
                assert_eq!(format!("{got:?}"), format!("{expected:?}"), "{regexes:?}");
                assert_eq!(at_once.last_date(), single.last_date());
                failures += got.len();
            }
            assert!(screened || regexes.1 == ["<ADDR>"], "{regexes:?}");
        }
    }
    assert!(failures > 3_500, "only {failures} failures");
}
