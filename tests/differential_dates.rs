//! The original and we see the same date in the same line: made-up lines in every known form,
//! bent and broken ones among them, and all sample logs; in two zones, at several times.

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use ferroban::parts::datetime::{DateDetector, DateTime, Templates};

/// In the middle of a year; in an hour that is left out in Berlin; just after a new year; on a
/// leap day.
const TIMES: [f64; 4] = [
    1_795_302_000.25,
    1_774_746_000.0,
    1_767_225_700.0,
    1_709_208_000.0,
];

const PATTERNS: [&[&str]; 24] = [
    &[],
    &["{^LN-BEG}"],
    &["EPOCH"],
    &["{^LN-BEG}EPOCH"],
    &["LEPOCH"],
    &["^TAI64N"],
    &[r"^\[{EPOCH}\]"],
    &[r"audit\({LEPOCH}(:\d+)?\)"],
    &["{^LN-BEG}{DATE}"],
    &[r"^[^\[]*\[({DATE})"],
    &[r"(?:{DATE})\s"],
    &["%Y-%m-%d %H:%M"],
    &["^%Y-%m-%d %H:%M:%S"],
    &["%H:%M:%S$"],
    &["**%H:%M:%S**"],
    &["{UNB}%H:%M"],
    &["%a %H:%M", "%d %b"],
    &["%I:%M:%S %p"],
    &["%l:%M:%S %p", "%Exy%Exm%Exd"],
    &["%d[-/]%m"],
    &["%Z %b %d"],
    &["%Exz %b %d"],
    &["%m%d", "{DEFAULT}"],
    &[r"(?P<Y>20\d\d).(?P<m>\d+)"],
];

/// Forms that luck does not bring forth.
const RARE: [&str; 12] = [
    "[1234567890] x",
    "[1234567890.123] x",
    "[123456789012] x",
    "1234567890123 x",
    "1234567890123456 x",
    "type=LOGIN msg=audit(1234567890.123:45): x",
    "type=LOGIN msg=audit(1234567890): x",
    "@400000003b4a39c23294b13c x",
    "@400000003b4a39c23294b13cff x",
    "ab [21/Nov/2026:10:42:17 +0000] x",
    "x 10:42:17",
    "2026-11 x",
];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Makes lines with dates, good and bad.
struct Maker(fastrand::Rng);

impl Maker {
    fn pick(&mut self, from: &[&str]) -> String {
        from[self.0.usize(..from.len())].to_owned()
    }

    fn two(&mut self, number: u32) -> String {
        match self.0.u8(..6) {
            0 => format!("{number}"),
            1 => format!("{number:2}"),
            _ => format!("{number:02}"),
        }
    }

    fn date(&mut self) -> String {
        let years = [2026, 2026, 2025, 2005, 2029, 1999, 2030, 2024];
        let year = years[self.0.usize(..years.len())];
        let odd = self.0.u8(..5) == 0;
        let (month, day) = match odd {
            true => (self.0.u32(..14), self.0.u32(..33)),
            false => (self.0.u32(1..13), self.0.u32(1..30)),
        };
        let (hour, minute, second) = match odd {
            true => (self.0.u32(..25), self.0.u32(..61), self.0.u32(..62)),
            false => (self.0.u32(..24), self.0.u32(..60), self.0.u32(..60)),
        };
        let name = MONTHS[(month as usize + 11) % 12];
        let name = match self.0.u8(..10) {
            0 => name.to_uppercase(),
            1 => name.to_lowercase(),
            _ => name.to_owned(),
        };
        let weekday = self.pick(&["", "", "Sat ", "Mon ", "Wed, "]);
        let fraction = self.pick(&["", "", ".1", ".123456", ".1234567", ",123", "."]);
        let zone = self.pick(&[
            "", "", "Z", " Z", "+01:00", "+0100", " -07", " UTC", "GMT", " CEST", "z", " utc",
            "-1900", "+2000", "  +01:0",
        ]);
        let sep = self.pick(&["-", "/", "."]);
        let gap = self.pick(&["T", " ", "  ", "t", ""]);
        let time = match odd {
            true => format!(
                "{}:{}:{}",
                self.two(hour),
                self.two(minute),
                self.two(second)
            ),
            false => format!("{hour:02}:{minute:02}:{second:02}"),
        };
        let (m, d, y) = (self.two(month), self.two(day), year % 100);
        match self.0.u8(..18) {
            0..=2 => format!("{year}{sep}{m}{sep}{d}{gap}{time}{fraction}{zone}"),
            3 | 4 => format!("{weekday}{name} {d} {time}{fraction}"),
            5 => format!("{weekday}{name} {d} {time}{fraction} {year}"),
            6 => format!("{weekday}{name} {d} {year} {time}{fraction}"),
            7 => format!("{d}{sep}{m}{sep}{year} {time}"),
            8 => format!("{d}{sep}{name}{sep}{year}:{time}{fraction}{zone}"),
            9 => format!("{m}/{d}/{year}:{time}"),
            10 => {
                let before = self.pick(&["", "[", "audit(", "xaudit(", "(("]);
                let number = self.0.u64(100_000_000..1_000_000_000_000);
                let after = self.pick(&["", ".123", ".12", "]", ":12)", ".1234567", "a", "é"]);
                format!("{before}{number}{after}")
            }
            11 => time,
            12 => format!("<{month:02}/{day:02}/{y:02}@{time}>"),
            13 => format!("{y:02}{month:02}{day:02} {time}"),
            14 => {
                let half = self.pick(&["AM", "PM", "am", "xm"]);
                format!(
                    "{name} {d}, {year} {}:{minute:02}:{second:02} {half}",
                    hour % 13
                )
            }
            15 => format!("{year}{month:02}{day:02}{gap}{hour:02}{minute:02}{second:02}{zone}"),
            16 => {
                let zone = self.pick(&["CEST", "PDT", "Z", "ERROR", "error", "+0100", "Jan"]);
                format!("{zone} {weekday}{name} {d} {time}")
            }
            _ => self.pick(&[
                "@400000003b4a39c23294b13c",
                "@4000000066aabbccff00ee11",
                "no date 12:3 x",
                "",
            ]),
        }
    }

    fn line(&mut self) -> String {
        let before = self.pick(&[
            "",
            "",
            "",
            "",
            "[",
            "<13>",
            "x ",
            "host app[12]: ",
            "((",
            "  ",
            "   ",
            "é ",
            "[é] «",
            "foo_",
            "a-",
            "1",
            "\t",
            "日本 ",
        ]);
        let after = match self.0.u8(..6) {
            0 => format!(" {}", self.date()),
            1 => self.pick(&["", "x", "é", "_", ":", ".5", "7"]),
            _ => " host sshd[1]: foo from 192.0.2.4".to_owned(),
        };
        let mut line: Vec<char> = format!("{before}{}{after}", self.date()).chars().collect();
        if self.0.u8(..6) == 0 && !line.is_empty() {
            let at = self.0.usize(..line.len());
            let odd: Vec<char> = "0129 :-/.,TZ[](+é\u{a0}".chars().collect();
            line[at] = odd[self.0.usize(..odd.len())];
        }
        line.into_iter().collect()
    }

    /// Lines as they follow each other in a log: often the same form again.
    fn log(&mut self, count: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for _ in 0..count {
            let line = match lines.last() {
                Some(last) if self.0.u8(..3) == 0 => last.clone(),
                _ => self.line(),
            };
            lines.push(line);
        }
        lines
    }
}

fn sample_lines() -> Vec<String> {
    let folder =
        common::reference("1.1.1").join("usr/lib/python3/dist-packages/fail2ban/tests/files/logs");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the sample logs")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let text = std::fs::read(file).expect("a sample log");
        let text = String::from_utf8_lossy(&text).into_owned();
        lines.extend(text.split('\n').map(|line| line.trim_end().to_owned()));
    }
    // What Python's text reader would take for line ends of its own.
    lines.retain(|line| !line.contains(['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}']));
    assert!(lines.len() > 1000);
    lines
}

fn original(lines: &[String], now: f64, patterns: &[&str]) -> Vec<String> {
    let mut child = common::python("1.1.1")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/drivers/dates.py"
        ))
        .arg(format!("{now}"))
        .args(patterns)
        // that of this process, see `in_zone`
        .env("TZ", std::env::var_os("TZ").unwrap_or_else(|| "UTC".into()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut input = child.stdin.take().expect("piped");
    let text = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("python3 ends");
    assert!(writer.join().expect("no panic").is_ok() && output.status.success());
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(str::to_owned).collect()
}

fn ours(lines: &[String], now: f64, patterns: &[&str]) -> Vec<String> {
    let mut detector = match patterns {
        [] => DateDetector::default(),
        _ => DateDetector::from_pattern(&patterns.join("\n"), &Templates::default())
            .expect("a good pattern")
            .expect("not none"),
    };
    let mut found = Vec::new();
    for line in lines {
        found.push(match detector.find(line, now) {
            None => "-".to_owned(),
            Some(date) => {
                let time = match date.time {
                    DateTime::At(time) => format!("{time:.6}"),
                    DateTime::Empty => "empty".to_owned(),
                    DateTime::Invalid => "invalid".to_owned(),
                };
                let characters = |at: usize| line[..at].chars().count();
                let name = &detector.templates()[date.template].name;
                format!(
                    "{} {} {time} {name}",
                    characters(date.start),
                    characters(date.end)
                )
            }
        });
    }
    found
}

fn compare(lines: &[String], now: f64, patterns: &[&str]) {
    let theirs = original(lines, now, patterns);
    let ours = ours(lines, now, patterns);
    assert_eq!(theirs.len(), lines.len());
    let seen = theirs.iter().filter(|answer| *answer != "-").count();
    let enough = if patterns.is_empty() {
        lines.len() / 5
    } else {
        0
    };
    assert!(seen > enough, "{seen} dates in all with {patterns:?}");
    for ((line, theirs), ours) in lines.iter().zip(&theirs).zip(&ours) {
        assert_eq!(ours, theirs, "{line:?} at {now} with {patterns:?}");
    }
}

/// The zone is the process's: the test starts itself again with another.
fn in_zone(test: &str, zone: &str, body: impl FnOnce()) {
    if std::env::var("TZ").is_ok_and(|present| present == zone) {
        return body();
    }
    let status = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--nocapture"])
        .env("TZ", zone)
        .status()
        .expect("this test starts");
    assert!(status.success(), "{test} in {zone}");
}

fn everything() {
    for (seed, now) in TIMES.into_iter().enumerate() {
        let lines = Maker(fastrand::Rng::with_seed(seed as u64)).log(2000);
        compare(&lines, now, &[]);
        compare(&sample_lines(), now, &[]);
    }
    let lines = Maker(fastrand::Rng::with_seed(99)).log(1500);
    // An empty line with an empty date is an IndexError there.
    let rare = RARE.map(str::to_owned);
    let lines = lines.into_iter().filter(|line| !line.is_empty());
    let lines: Vec<String> = lines.chain(rare).collect();
    for patterns in PATTERNS {
        compare(&lines, TIMES[0], patterns);
    }
}

#[test]
fn dates_in_utc() {
    in_zone("dates_in_utc", "UTC", everything);
}

#[test]
fn dates_in_berlin() {
    in_zone("dates_in_berlin", "Europe/Berlin", everything);
}

#[test]
fn no_line_is_too_odd() {
    let mut random = fastrand::Rng::with_seed(5);
    let alphabet: Vec<char> = "0123456789:./-T Z+@[](),éJanFeb\0\u{a0}日"
        .chars()
        .collect();
    let mut detectors: Vec<DateDetector> = PATTERNS
        .iter()
        .filter(|patterns| !patterns.is_empty())
        .filter_map(|patterns| {
            DateDetector::from_pattern(&patterns.join("\n"), &Templates::default()).ok()?
        })
        .collect();
    detectors.push(DateDetector::default());
    for _ in 0..20_000 {
        let length = random.usize(..40);
        let line: String = (0..length)
            .map(|_| alphabet[random.usize(..alphabet.len())])
            .collect();
        for detector in &mut detectors {
            if let Some(date) = detector.find(&line, 1_795_302_000.0) {
                assert!(line.get(date.start..date.end).is_some(), "{line:?}");
            }
        }
    }
    // Patterns at random never panic either.
    let signs: Vec<char> = r"%YmdHMSabz(){}[]?*+|^$\.-: é".chars().collect();
    for _ in 0..5_000 {
        let length = random.usize(1..16);
        let pattern: String = (0..length)
            .map(|_| signs[random.usize(..signs.len())])
            .collect();
        if let Ok(Some(mut detector)) = DateDetector::from_pattern(&pattern, &Templates::default())
        {
            detector.find("2026-11-21 10:42:17 Jan (é) [x]", 1_795_302_000.0);
        }
    }
}
