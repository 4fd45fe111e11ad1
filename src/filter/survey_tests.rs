//! Filters that take many lines at once and follow each other against filters that take each line by
//! itself: random logs, in chunks, read by filters that are alike and unlike, that come later, or that change in between.
#![allow(clippy::unwrap_used)]

use super::super::settings::Dates;
use super::*;
use crate::datetime::{Stand, Templates};
use crate::pattern::UseDns;

const NOW: f64 = 1_795_287_600.0;

/// A filter twice: one always looks for itself, one takes part in surveys.
struct Pair {
    alone: Filter,
    sharing: Filter,
    findtime: f64,
    /// What each has found.
    found: [String; 2],
}

/// Regexes in the way of sshd: sessions, lines that are no failures, ends of sessions.
fn sshd(filter: &mut Filter) {
    filter
        .set_prefregex(r"^<F-MLFID>\S* ?sshd\[\d+\]</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$")
        .unwrap();
    for regex in [
        "^Failed password for <F-USER>.*?</F-USER> from <HOST>$",
        "^<F-NOFAIL>Connection from</F-NOFAIL> <HOST>$",
        "^auth failure for <F-USER>.*</F-USER>$",
        "^<F-NOFAIL><F-MLFFORGET>Connection closed</F-MLFFORGET></F-NOFAIL>(?: by <HOST>)?$",
        "^<F-MLFFORGET><F-MLFGAINED>Accepted</F-MLFGAINED></F-MLFFORGET> for \\S+ from <HOST>$",
        "^<F-MLFFORGET>Disconnect</F-MLFFORGET> from <HOST>$",
    ] {
        filter.add_failregex(regex).unwrap();
    }
}

/// Regexes without a prefregex, some of which need an id of the session or ignore lines.
fn plain(filter: &mut Filter) {
    filter
        .add_failregex(r"password for .* from <HOST>$")
        .unwrap();
    filter
        .add_failregex(r"^ ?sshd\[(?P<mlfid>\d+)\]: auth failure")
        .unwrap();
    filter.add_failregex(r"from <HOST>").unwrap();
    filter.add_ignoreregex("for root").unwrap();
}

fn two_lines(filter: &mut Filter) {
    filter.set_maxlines(3);
    filter
        .add_failregex(r"Connection from \S+\n<SKIPLINES>.*Failed password .* from <HOST>$")
        .unwrap();
}

fn json(filter: &mut Filter) {
    filter.set_jsonmatch("{ts} {msg}").unwrap();
    filter
        .add_failregex("(?:for|failed) .*from <HOST>")
        .unwrap();
}

/// Never an id at first: the second regex has to be asked as well.
fn vague(filter: &mut Filter) {
    filter.add_failregex(r"(?P<mlfid>)Failed").unwrap();
    filter
        .add_failregex(r"password for .* from <HOST>$")
        .unwrap();
}

/// What the templates for dates have learnt.
fn templates(filter: &Filter) -> Vec<(String, u64)> {
    let Dates::Detector(detector) = filter.dates() else {
        return Vec::new();
    };
    let known = detector.templates().into_iter();
    known.map(|one| (one.name, one.hits)).collect()
}

type Make = fn(&mut Filter);

impl Pair {
    fn new(
        templates: &Templates,
        make: Make,
        datepattern: Option<&str>,
        usedns: UseDns,
        findtime: f64,
    ) -> Pair {
        let one = || {
            let mut filter = Filter::new("j");
            filter.share_templates(templates);
            filter.set_usedns(usedns);
            make(&mut filter);
            if let Some(pattern) = datepattern {
                filter.set_datepattern(pattern).unwrap();
            }
            filter
        };
        Pair {
            alone: one(),
            sharing: one(),
            findtime,
            found: Default::default(),
        }
    }

    fn clock(&self, now: f64, in_operation: bool) -> Clock {
        Clock {
            now,
            in_operation,
            findtime: self.findtime,
        }
    }

    fn change(&mut self, make: Make) {
        for filter in [&mut self.alone, &mut self.sharing] {
            filter.clear_failregexes();
            filter.clear_ignoreregexes();
            filter.set_prefregex("").unwrap();
            make(filter);
        }
    }
}

fn note(to: &mut String, failure: Failure) {
    let lines = failure.matches;
    let (id, fields) = (failure.id, failure.fields);
    *to += &format!("{id:?} {} {lines:?} {fields:?}\n", failure.time);
}

/// What filters leave to each other about a chunk.
#[derive(Default)]
struct Left {
    datings: Vec<(String, Stand, Arc<LineDates>)>,
    surveys: Vec<(Arc<FilterSignature>, Arc<LineDates>, Survey)>,
    followed: [usize; 2],
}

impl Left {
    fn date(&mut self, filter: &mut Filter, lines: &LineBlock<'_>, now: f64) -> Arc<LineDates> {
        let stand = filter.stand(now);
        let form = filter.jsonmatch().to_owned();
        for (theirs, from, dates) in &self.datings {
            let like = |stand: &Stand| *theirs == form && from.is_like(stand);
            if stand.as_ref().is_some_and(like) && filter.follow_dates(dates, now) {
                self.followed[0] += lines.len();
                return dates.clone();
            }
        }
        let dates = Arc::new(filter.date_lines(lines, now));
        let left = stand.map(|stand| (form, stand, dates.clone()));
        self.datings.extend(left);
        dates
    }

    fn find(
        &mut self,
        filter: &mut Filter,
        lines: &LineBlock<'_>,
        clock: &Clock,
        each: impl FnMut(Failure),
    ) {
        let dates = self.date(filter, lines, clock.now);
        let Some(signature) = filter.signature() else {
            return filter.examine_lines(lines, &dates, clock, each);
        };
        let like = |(theirs, cached, _): &&(Arc<FilterSignature>, Arc<LineDates>, Survey)| {
            *theirs == signature && cached.cuts_like(&dates)
        };
        if let Some((.., survey)) = self.surveys.iter().find(like) {
            self.followed[1] += lines.len();
            return filter.follow(lines, &dates, survey, clock, each);
        }
        let survey = filter.survey(lines, &dates, clock, each);
        self.surveys.push((signature, dates, survey));
    }
}

/// How dates stand in the lines of a log.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Wild,
    /// All at the same place.
    Calm,
    /// Now a bit further left, now right.
    Moving,
}

/// A line of a log whose clock stands at `time`.
fn line(random: &mut fastrand::Rng, time: f64, style: Style) -> String {
    let one_of =
        |random: &mut fastrand::Rng, list: &[&'static str]| list[random.usize(..list.len())];
    let ip = format!("192.0.2.{}", random.u8(1..4));
    let host = match random.u8(..8) {
        0 => "host.example",
        _ => ip.as_str(),
    };
    let user = one_of(random, &["root", "bob", "admin"]);
    let text = match random.u8(..9) {
        0 => format!("Failed password for {user} from {host}"),
        1 => format!("Connection from {ip}"),
        2 => format!("auth failure for {user}"),
        3 => "Connection closed".to_owned(),
        4 => format!("Connection closed by {ip}"),
        5 => format!("Accepted for {user} from {ip}"),
        6 => format!("Disconnect from {ip}"),
        7 => format!("Failed paſsword für {user} from {host}"),
        _ => "session opened".to_owned(),
    };
    let pid = random.u8(1..130);
    let time = time
        + one_of(random, &["0", "0", "0", "-30", "-90", "-700", "90"])
            .parse::<f64>()
            .unwrap();
    if style != Style::Wild {
        let second = time as i64 % 86_400;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        return match random.u8(..20) {
            0 => format!("sshd[{pid}]: {text}"),
            _ if style == Style::Moving => {
                let at = format!("[21/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000]");
                format!("192.0.2.{} {at} {text}", random.u8(..))
            }
            _ => format!("Nov 21 {hour:02}:{minute:02}:{second:02} sshd[{pid}]: {text}"),
        };
    }
    let date = match random.u8(..12) {
        0 => String::new(),
        1 => "2026-13-41 25:61:61 ".to_owned(),
        2 => "[2026-11-21 19:00:05] ".to_owned(),
        _ => format!("{time:.0} "),
    };
    match random.u8(..6) {
        0 => format!(r#"{{"ts":"{}","msg":"sshd[{pid}]: {text}"}}"#, date.trim()),
        1 => format!("sshd[{pid}]: {text} {date}"),
        _ => format!("{date}sshd[{pid}]: {text}"),
    }
}

#[test]
fn followers_find_what_they_would_find_alone() {
    let makes: [Make; 5] = [sshd, plain, two_lines, json, vague];
    let patterns = [
        None,
        Some("{^LN-BEG}Epoch"),
        Some("{NONE}"),
        Some(r"^\[?EPOCH"),
    ];
    let (mut failures, mut followed) = (0, [0, 0]);
    for seed in 0..18 {
        let mut random = fastrand::Rng::with_seed(seed);
        let style = [Style::Calm, Style::Wild, Style::Moving][seed as usize % 3];
        let shared = Templates::default();
        let pair = |random: &mut fastrand::Rng| {
            let usedns = [UseDns::Warn, UseDns::No, UseDns::Raw][random.usize(..3)];
            // two of three are alike
            let kind = if random.u8(..3) > 0 {
                0
            } else {
                random.usize(..makes.len())
            };
            let dates = patterns[random.usize(..patterns.len()) * random.usize(..2)];
            let findtime = [600.0, 60.0][random.usize(..2)];
            Pair::new(&shared, makes[kind], dates, usedns, findtime)
        };
        let mut pairs: Vec<Pair> = (0..4).map(|_| pair(&mut random)).collect();
        let mut now = NOW;
        for chunk in 0..30 {
            let style = if chunk % 7 == 0 { Style::Wild } else { style };
            let lines: Vec<String> = (0..random.usize(..80))
                .map(|_| line(&mut random, now, style))
                .collect();
            let in_operation = chunk > 3;
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let mut left = Left::default();
            random.shuffle(&mut pairs);
            for pair in &mut pairs {
                // jails do not come to it at the same time
                now += random.f64();
                let clock = pair.clock(now, in_operation);
                let [alone, found] = &mut pair.found;
                for line in &lines {
                    let failures = pair.alone.process_line(line, None, &clock);
                    failures
                        .into_iter()
                        .for_each(|failure| note(alone, failure));
                }
                let filter = &mut pair.sharing;
                let lines = filter.form(LineBlock::of(&text));
                let each = |failure| note(found, failure);
                match random.u8(..8) {
                    0 => {
                        let dates = filter.date_lines(&lines, now);
                        filter.examine_lines(&lines, &dates, &clock, each);
                    }
                    _ => left.find(filter, &lines, &clock, each),
                }
            }
            for (sum, more) in followed.iter_mut().zip(left.followed) {
                *sum += more;
            }
            for pair in &mut pairs {
                let [alone, sharing] = &pair.found;
                assert_eq!(alone, sharing, "seed {seed}, chunk {chunk}");
                assert_eq!(pair.alone.last_date(), pair.sharing.last_date());
                assert_eq!(templates(&pair.alone), templates(&pair.sharing));
                failures += alone.lines().count();
                pair.found = Default::default();
            }
            now += random.f64() * 60.0;
            match random.u8(..10) {
                0 if pairs.len() < 8 => pairs.push(pair(&mut random)),
                1 => {
                    let which = random.usize(..pairs.len());
                    pairs[which].change([sshd as Make, plain, vague][random.usize(..3)]);
                }
                _ => {}
            }
        }
    }
    assert!(
        failures > 4_000 && followed.iter().all(|lines| *lines > 8_000),
        "{failures} {followed:?}"
    );
}
