//! The memory of a detector must not change its results.

use proptest::prelude::*;

use super::*;
use crate::datetime::DateTime;

/// Finds the dates of `lines`, one after the other, with the memory wiped before each or not.
fn found(pattern: Option<&str>, lines: &[(String, f64)], wiped: bool) -> Vec<Option<FoundDate>> {
    let mut detector = match pattern {
        Some(pattern) => DateDetector::from_pattern(pattern, &Templates::default())
            .expect("pattern")
            .expect("templates"),
        None => DateDetector::default(),
    };
    let find = |(line, now): &(String, f64)| {
        if wiped {
            detector.memory = None;
        }
        detector.find(line, *now)
    };
    let mut found: Vec<_> = lines.iter().map(find).collect();
    // What was learnt on the way counts as well.
    found.extend(detector.templates().iter().enumerate().map(|(index, t)| {
        Some(FoundDate {
            start: t.hits as usize,
            end: t.name.len(),
            time: DateTime::Empty,
            template: index,
        })
    }));
    found
}

fn date() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "Nov 22 02:06:14",
        "Nov 22 02:06:15",
        "Nov 22 02:06:15 2026",
        "Nov 22 02:06:15 20",
        "Nov 22 02:06:15.123",
        "Sun Nov 22 02:06:16.925812 2026",
        "Sun Nov 22 02:06:16.925813 2026",
        "Sun Nov 22 02:06:16.92581 2026",
        "Sun Nov 22 02:06:16.9258134 2026",
        "Dec 31 23:59:59",
        "Feb 30 10:00:00",
        "2026-11-22 02:06:14",
        "2026-11-22 02:06:14,123",
        "2026-11-22 02:06:14,124",
        "2026-11-22T02:06:14.5+01:00",
        "2026-11-22T02:06:14.7+01:00",
        "22/Nov/2026:02:06:17 +0000",
        "22/Nov/2026:02:06:17 +000",
        "02:06:17",
        "1795312345",
        "@400000005f0c8b7a00000000",
    ])
    .prop_map(str::to_owned)
}

fn line() -> impl Strategy<Value = (String, f64)> {
    let before = prop::sample::select(vec!["", "", "", "[", "<1>", "1.2.3.4 - - [", "é [", "x "]);
    let after = prop::sample::select(vec!["", " ", "] x", " host app: y", ": é", "é", "0", "a"]);
    let now = prop::sample::select(vec![
        1_795_312_345.0,
        1_795_312_346.5,
        1_795_313_999.0,
        1_795_400_000.0,
        1_798_761_500.0,
        1_798_761_700.0,
    ]);
    (before, date(), after, now)
        .prop_map(|(before, date, after, now)| (format!("{before}{date}{after}"), now))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn remembering_the_last_date_changes_nothing(
        kinds in prop::collection::vec(line(), 1..4),
        order in prop::collection::vec(0usize..4, 4..40),
    ) {
        let lines: Vec<_> = order.iter().map(|&n| kinds[n % kinds.len()].clone()).collect();
        for pattern in [None, Some("^[^\\[]*\\[({DATE})\n{^LN-BEG}"), Some("%Y-%m-%d %H:%M:%S(?:,%f)?$")] {
            prop_assert_eq!(found(pattern, &lines, false), found(pattern, &lines, true));
        }
    }
}

/// What a detector has learnt.
fn learnt(detector: &DateDetector) -> String {
    let templates = detector.templates().into_iter();
    let templates: Vec<_> = templates.map(|t| (t.name, t.hits, t.merit)).collect();
    format!(
        "{templates:?} {:?} {}",
        detector.last, detector.first_unused
    )
}

/// Detectors that follow another's course where they can, against those that look for themselves.
#[test]
fn who_follows_finds_and_learns_the_same() {
    let dates = [
        "Nov 22 02:06:14",
        "Nov 22 02:06:15",
        "22/Nov/2026:02:06:17 +0000",
        "22/Nov/2026:02:06:18 +0000",
        "2026-11-22 02:06:14,123",
        "Feb 30 10:00:00",
        "no date",
    ];
    let before = ["", "", "1.2.3.4 - - [", "1.2.3.44 - - [", "x "];
    let patterns = [
        None,
        Some("^[^\\[]*\\[({DATE})\n{^LN-BEG}"),
        Some("%d/%b/%Y:%H:%M:%S"),
    ];
    let (mut straight, mut winding, mut alone) = (0, 0, 0);
    for seed in 0..120 {
        let mut random = fastrand::Rng::with_seed(seed);
        let pattern = patterns[random.usize(..3)];
        let shared = Templates::default();
        let make = || match pattern {
            Some(pattern) => DateDetector::from_pattern(pattern, &shared)
                .unwrap()
                .unwrap(),
            None => DateDetector::defaults(&shared),
        };
        // the leader, one that comes with it and one that comes later; each with its double
        let mut sharing = [make(), make(), make()];
        let mut doubles = [make(), make(), make()];
        let (first_date, dates_here) = (random.usize(..5), random.usize(1..4));
        let mut now = 1_795_312_345.0;
        for chunk in 0..20 {
            now += random.f64() * 30.0;
            let lines: Vec<String> = (0..random.usize(1..12))
                .map(|_| {
                    let date = dates[(first_date + random.usize(..dates_here)) % dates.len()];
                    format!("{}{date} text", before[random.usize(..before.len())])
                })
                .collect();
            let texts = || lines.iter().map(String::as_str);
            let mut course: Option<Course> = None;
            for (number, (one, double)) in sharing.iter_mut().zip(&mut doubles).enumerate() {
                if number == 2 && chunk < 3 {
                    continue;
                }
                let now = now + number as f64;
                let expected: Vec<_> = texts().map(|line| double.find(line, now)).collect();
                let followed = course.take().filter(|course| one.follow(course, now));
                match followed
                    .as_ref()
                    .map(|course| course.way.as_ref().unwrap().straight)
                {
                    Some(true) => straight += 1,
                    Some(false) => winding += 1,
                    None => alone += 1,
                }
                let got = followed.unwrap_or_else(|| one.find_all(texts(), now));
                let place = |date: &Option<FoundDate>| date.map(|d| (d.start, d.end, d.time));
                assert!(got.dates.iter().map(place).eq(expected.iter().map(place)));
                assert_eq!(learnt(one), learnt(double), "seed {seed}, chunk {chunk}");
                course = Some(got);
            }
        }
    }
    assert!(
        straight > 500 && winding > 100 && alone > 500,
        "{straight} {winding} {alone}"
    );
}
