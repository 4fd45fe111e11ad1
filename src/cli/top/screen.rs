//! What a look at the server is for people: a table of jails, and below it what has happened.

use std::time::{Duration, Instant};

use chrono::Local;

use super::latest::Happening;
use crate::cli::colours::{Colours, TextStyle};
use crate::cli::printable;
use crate::cli::table::length;
use crate::web::figures::{Figures, JailMetrics};

/// The columns behind the name of the jail.
const HEADS: [&str; 9] = [
    "FAILING", "FAILURES", "/MIN", "BANNED", "BANS", "/MIN", "LINES/S", "WAITING", "LAG",
];
/// What each of them takes, with a blank in front.
const WIDTHS: [usize; 9] = [8, 9, 6, 7, 7, 6, 8, 8, 5];
/// The column that tells bytes of logs that were not read yet.
const LAG: usize = 8;
/// What the name of a jail takes.
const NAME: usize = 16;

/// The server at one time.
pub struct ServerSnapshot {
    /// When it was asked.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
    /// What it said.
    pub figures: Figures,
    /// What has happened, the latest first.
    pub latest: Vec<Happening>,
}

/// Where it is shown.
pub struct TopScreen {
    /// Lines.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Whether there are colours.
    pub colours: Colours,
}

/// A jail's figures in the order of [`HEADS`]; rates are `None` without an earlier look.
#[derive(Clone, Debug, Default, PartialEq)]
struct TopRow {
    name: String,
    cells: [Option<f64>; 9],
}

impl TopRow {
    fn of(jail: &JailMetrics, before: Option<(&JailMetrics, f64)>) -> TopRow {
        let rate = |now: u64, then: fn(&JailMetrics) -> Option<u64>, scale: f64| {
            let (before, seconds) = before?;
            // a server that was started anew counts from zero
            let more = now.checked_sub(then(before)?)?;
            Some(more as f64 / seconds * scale)
        };
        let waiting = jail
            .actions
            .iter()
            .map(|action| action.waiting)
            .sum::<u64>();
        let unread = jail.unread.iter().map(|(_, bytes)| bytes).sum::<u64>();
        let told = jail.lines.is_some();
        let count = |number: u64| Some(number as f64);
        TopRow {
            name: printable(&jail.name),
            cells: [
                count(jail.failed[0]),
                count(jail.failed[1]),
                rate(jail.failed[1], |jail| Some(jail.failed[1]), 60.0),
                count(jail.banned[0]),
                count(jail.banned[1]),
                rate(jail.banned[1], |jail| Some(jail.banned[1]), 60.0),
                jail.lines
                    .and_then(|lines| rate(lines, |jail| jail.lines, 1.0)),
                count(waiting).filter(|_| told),
                (!jail.unread.is_empty()).then_some(unread as f64),
            ],
        }
    }

    /// The sum of all.
    fn total(rows: &[TopRow]) -> TopRow {
        let mut total = TopRow {
            name: "all".to_owned(),
            ..TopRow::default()
        };
        for row in rows {
            for (sum, cell) in total.cells.iter_mut().zip(row.cells) {
                if let Some(number) = cell {
                    *sum = Some(sum.unwrap_or_default() + number);
                }
            }
        }
        total
    }

    fn shown(&self) -> String {
        let mut out = fitted(&self.name, NAME);
        for (at, (cell, width)) in self.cells.iter().zip(WIDTHS).enumerate() {
            let text = match cell {
                None => "-".to_owned(),
                Some(bytes) if at == LAG => short(*bytes),
                Some(rate) if matches!(at, 2 | 5 | 6) => format!("{rate:.1}"),
                Some(count) => format!("{count:.0}"),
            };
            out.push_str(&format!("{text:>width$}"));
        }
        out
    }
}

/// Bytes in four columns: `999`, `1.5k`, `20M`.
fn short(bytes: f64) -> String {
    let units = ["", "k", "M", "G", "T"];
    let mut number = bytes;
    let mut unit = 0;
    while number >= 999.5 && unit + 1 < units.len() {
        number /= 1000.0;
        unit += 1;
    }
    match unit > 0 && number < 9.95 {
        true => format!("{number:.1}{}", units[unit]),
        false => format!("{number:.0}{}", units[unit]),
    }
}

/// What CrowdSec tells, on a line.
fn lists(figures: &Figures) -> Option<String> {
    let crowdsec = figures.crowdsec.as_ref()?;
    let lists = crowdsec.lists.iter();
    let lists = lists.map(|(list, count)| format!("{} {count}", printable(list)));
    let lists = lists.collect::<Vec<_>>().join(", ");
    let age = crowdsec.age;
    let age = age.map_or("not told yet".to_owned(), |age| {
        format!("told {age:.0} s ago")
    });
    Some(format!("lists of CrowdSec, {age}: {lists}"))
}

/// A text in so many columns.
fn fitted(text: &str, width: usize) -> String {
    match length(text) > width {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => format!("{text:<width$}"),
    }
}

impl TopScreen {
    /// One on which there is room for all.
    pub fn endless(colours: Colours) -> TopScreen {
        TopScreen {
            rows: usize::MAX,
            columns: usize::MAX,
            colours,
        }
    }

    /// A message in the place of figures.
    pub fn says(&self, text: &str) -> String {
        let text: String = printable(text).chars().take(self.columns).collect();
        self.colours.paint(&text, TextStyle::Banned)
    }

    /// A look, with rates since an earlier one.
    pub fn show(&self, now: &ServerSnapshot, before: Option<&ServerSnapshot>) -> String {
        let seconds = before.map(|before| (now.at - before.at).as_secs_f64());
        let earlier = |name: &str| {
            let jails = &before?.figures.jails;
            let jail = jails.iter().find(|jail| jail.name == name)?;
            Some((jail, seconds.filter(|seconds| *seconds > 0.0)?))
        };
        let jails = now.figures.jails.iter();
        let mut rows: Vec<TopRow> = jails
            .map(|jail| TopRow::of(jail, earlier(&jail.name)))
            .collect();
        // where most happens first: bans, then failures, then who is about to be banned
        let weight = |row: &TopRow| [5, 2, 0, 3].map(|at| row.cells[at].unwrap_or_default());
        rows.sort_by(|one, other| {
            let order = weight(other).partial_cmp(&weight(one));
            order.unwrap_or(std::cmp::Ordering::Equal)
        });
        let count = rows.len();
        let mut lines = vec![format!(
            "ferroban top, {}: jails {count}, server {}",
            Local::now().format("%Y-%m-%d %H:%M:%S"),
            printable(&now.figures.version)
        )];
        lines.extend(lists(&now.figures));
        lines.extend([
            String::new(),
            self.heading("JAIL"),
            TopRow::total(&rows).shown(),
        ]);
        // half of what is left is for what has happened
        let room = (self.rows.saturating_sub(lines.len()) / 2).max(1);
        let shown = match count > room {
            true => room - 1,
            false => count,
        };
        lines.extend(rows[..shown].iter().map(TopRow::shown));
        if shown < count {
            lines.push(format!("… and {} jails with less", count - shown));
        }
        lines.push(String::new());
        lines.push(self.colours.paint("LATEST", TextStyle::Heading));
        let room = self.rows.saturating_sub(lines.len());
        lines.extend(now.latest.iter().take(room.min(50)).map(|happening| {
            let Happening {
                time,
                what,
                jail,
                id,
            } = happening;
            let (what, jail) = (printable(what), printable(jail));
            format!(
                "{time}  {what:<14}  {}  {}",
                fitted(&jail, NAME),
                printable(id)
            )
        }));
        let cut = |line: String| match line.contains('\x1b') {
            true => line,
            false => line.chars().take(self.columns).collect(),
        };
        let lines: Vec<String> = lines.into_iter().take(self.rows).map(cut).collect();
        lines.join("\n")
    }

    fn heading(&self, name: &str) -> String {
        let mut heads = format!("{name:<NAME$}");
        for (head, width) in HEADS.iter().zip(WIDTHS) {
            heads.push_str(&format!("{head:>width$}"));
        }
        self.colours.paint(&heads, TextStyle::Heading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::figures::CrowdsecFigures;

    fn jail(name: &str, failed: [u64; 2], banned: [u64; 2], lines: Option<u64>) -> JailMetrics {
        JailMetrics {
            name: name.to_owned(),
            failed,
            banned,
            lines,
            ..JailMetrics::default()
        }
    }

    fn look(at: Instant, jails: Vec<JailMetrics>, latest: usize) -> ServerSnapshot {
        let happening = |n: usize| Happening {
            time: format!("2026-11-29 18:00:{n:02}"),
            what: "Ban".to_owned(),
            jail: "sshd".to_owned(),
            id: format!("192.0.2.{n}"),
        };
        ServerSnapshot {
            at,
            took: Duration::ZERO,
            figures: Figures {
                version: "1.1.1".to_owned(),
                jails,
                database_waiting: None,
                fleet: None,
                crowdsec: None,
            },
            latest: (0..latest).map(happening).collect(),
        }
    }

    #[test]
    fn rates_are_reckoned_from_two_looks() {
        let begin = Instant::now();
        let first = look(begin, vec![jail("a", [0, 10], [0, 1], Some(100))], 0);
        let jails = vec![
            jail("b", [1, 1], [0, 0], None),
            JailMetrics {
                unread: vec![("x".to_owned(), 2000), ("y".to_owned(), 500)],
                ..jail("a", [2, 20], [3, 4], Some(150))
            },
        ];
        let second = look(begin + Duration::from_secs(10), jails, 1);
        let text = TopScreen::endless(Colours::NONE).show(&second, Some(&first));
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows[3],
            [
                "all", "3", "21", "60.0", "3", "4", "18.0", "5.0", "0", "2.5k"
            ]
        );
        assert_eq!(
            rows[4],
            ["a", "2", "20", "60.0", "3", "4", "18.0", "5.0", "0", "2.5k"]
        );
        assert_eq!(rows[5], ["b", "1", "1", "-", "0", "0", "-", "-", "-", "-"]);
        assert_eq!(
            rows[8],
            ["2026-11-29", "18:00:00", "Ban", "sshd", "192.0.2.0"]
        );
        // a server that was started anew
        let third = look(
            begin + Duration::from_secs(20),
            vec![jail("a", [0, 1], [0, 0], None)],
            0,
        );
        let text = TopScreen::endless(Colours::NONE).show(&third, Some(&second));
        assert!(
            text.contains("a                      0        1     -"),
            "{text}"
        );
    }

    #[test]
    fn lists_stand_above_the_jails() {
        let mut now = look(Instant::now(), Vec::new(), 0);
        now.figures.crowdsec = Some(CrowdsecFigures {
            lists: vec![("CAPI".to_owned(), 14987), ("a\nb".to_owned(), 1)],
            age: Some(7.4),
            ..CrowdsecFigures::default()
        });
        let text = TopScreen::endless(Colours::NONE).show(&now, None);
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line, "lists of CrowdSec, told 7 s ago: CAPI 14987, a\\nb 1");
    }

    #[test]
    fn bytes_are_short() {
        let bytes = [
            0.0, 999.0, 1000.0, 9949.0, 9951.0, 999_499.0, 999_500.0, 2e13,
        ];
        let shown = bytes.map(short);
        assert_eq!(
            shown,
            ["0", "999", "1.0k", "9.9k", "10k", "999k", "1.0M", "20T"]
        );
    }

    #[test]
    fn a_small_terminal_holds_what_matters_most() {
        let jails =
            (0..40).map(|n| jail(&format!("jail-with-a-long-name-{n}"), [n, n], [0, 0], None));
        let screen = TopScreen {
            rows: 24,
            columns: 80,
            colours: Colours::NONE,
        };
        let text = screen.show(&look(Instant::now(), jails.collect(), 99), None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 24);
        assert!(lines.iter().all(|line| length(line) <= 80), "{text}");
        assert!(lines[4].starts_with("jail-with-a-lon…      39"), "{text}");
        assert!(text.contains("… and 31 jails with less"), "{text}");
        assert!(lines[23].starts_with("2026-11-29 18:00:0"));
    }
}
