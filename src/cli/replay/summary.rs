//! What a replay comes to: who would have been banned how often by which jails, and what that would
//! have cost.

use std::collections::HashMap;

use super::jails::Replayed;
use crate::cli::colours::{Colours, TextStyle};
use crate::cli::table::{self, Column};
use crate::datetime::duration;
use crate::jail::replay::ReplayBan;
use crate::python::Number;

/// How many of those banned most often are named, unless all are asked for.
const NAMED: usize = 10;

const OFFENDERS: [Column; 5] = [
    Column::Left(24),
    Column::Right(5),
    Column::Right(8),
    Column::Right(10),
    Column::Left(25),
];
const JAILS: [Column; 7] = [
    Column::Left(20),
    Column::Right(9),
    Column::Right(8),
    Column::Right(6),
    Column::Right(10),
    Column::Right(8),
    Column::Right(6),
];

/// What bans would have cost.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    bans: u64,
    failures: u64,
    /// Seconds of all bans together, but for those without an end.
    seconds: f64,
    /// Bans without an end.
    endless: u64,
}

impl Cost {
    fn add(&mut self, ban: &ReplayBan) {
        self.bans += 1;
        self.failures += u64::from(ban.ticket.failures);
        match ban.until {
            Some(until) => self.seconds += until - ban.ticket.time,
            None => self.endless += 1,
        }
    }

    fn time(&self) -> String {
        span(match self.endless {
            0 => Some(self.seconds),
            _ => None,
        })
    }
}

/// A time of so many seconds in words; `None` has no end.
pub(super) fn span(seconds: Option<f64>) -> String {
    match seconds {
        Some(seconds) => duration::format(Number::Int(seconds.round() as i64)),
        None => "for ever".to_owned(),
    }
}

/// The jails by their place in the list of a replay.
type Places = Vec<usize>;

/// Counts what is told of a replay.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    offenders: HashMap<String, (Cost, Places)>,
    jails: HashMap<usize, Bill>,
}

/// What one jail would have done.
#[derive(Clone, Copy, Debug, Default)]
struct Bill {
    cost: Cost,
    commands: u64,
    mails: u64,
}

impl Summary {
    /// A ban of `id`, as it is printed, by the jail at this place.
    pub(super) fn ban(&mut self, id: &str, ban: &ReplayBan, jail: usize) {
        self.jails.entry(jail).or_default().cost.add(ban);
        let (cost, jails) = self.offenders.entry(id.to_owned()).or_default();
        cost.add(ban);
        if !jails.contains(&jail) {
            jails.push(jail);
        }
    }

    /// A command, or a mail, of the jail at this place.
    pub(super) fn command(&mut self, is_mail: bool, jail: usize) {
        let bill = self.jails.entry(jail).or_default();
        match is_mail {
            true => bill.mails += 1,
            false => bill.commands += 1,
        }
    }

    /// Whether nobody would have been banned.
    pub(super) fn is_empty(&self) -> bool {
        self.offenders.is_empty()
    }

    /// Those who would have been banned, most often first: all of them, or the first few.
    pub(super) fn offenders(&self, names: &[String], all: bool, colours: Colours) -> String {
        let mut offenders: Vec<_> = self.offenders.iter().collect();
        offenders.sort_by(|(one, (a, _)), (other, (b, _))| {
            (b.bans, b.failures, one).cmp(&(a.bans, a.failures, other))
        });
        let heading = ["who", "bans", "failures", "ban time", "jails"];
        let heading = heading.map(|cell| (cell, TextStyle::Heading));
        let mut lines = vec![table::row(&OFFENDERS, &heading, colours)];
        let shown = if all { offenders.len() } else { NAMED };
        for (id, (cost, jails)) in offenders.iter().take(shown) {
            let jails: Vec<&str> = jails.iter().map(|jail| names[*jail].as_str()).collect();
            let cells = [
                (id.as_str(), TextStyle::Banned),
                (&cost.bans.to_string(), TextStyle::Plain),
                (&cost.failures.to_string(), TextStyle::Plain),
                (&cost.time(), TextStyle::Plain),
                (&jails.join(", "), TextStyle::Plain),
            ];
            lines.push(table::row(&OFFENDERS, &cells, colours));
        }
        if let Some(more @ 1..) = offenders.len().checked_sub(shown) {
            lines.push(format!("and {more} more, which -v shows"));
        }
        lines.join("\n")
    }

    /// What each jail would have cost, and all together.
    pub(super) fn bill(&self, jails: &[Replayed], names: &[String], colours: Colours) -> String {
        let heading = [
            "jail", "lines", "failures", "bans", "ban time", "commands", "mails",
        ];
        let heading = heading.map(|cell| (cell, TextStyle::Heading));
        let mut rows = vec![table::row(&JAILS, &heading, colours)];
        let mut all = Bill::default();
        let mut row = |name: &str, lines: String, failures: String, bill: &Bill| {
            let figures = [
                lines,
                failures,
                bill.cost.bans.to_string(),
                bill.cost.time(),
                bill.commands.to_string(),
                bill.mails.to_string(),
            ];
            let figures = figures
                .iter()
                .map(|figure| (figure.as_str(), TextStyle::Plain));
            let cells: Vec<_> = std::iter::once((name, TextStyle::Plain))
                .chain(figures)
                .collect();
            rows.push(table::row(&JAILS, &cells, colours));
        };
        for (place, (jail, name)) in jails.iter().zip(names).enumerate() {
            let tally = jail.jail.tally();
            let bill = self.jails.get(&place).copied().unwrap_or_default();
            row(
                name,
                tally.lines.to_string(),
                tally.failures.to_string(),
                &bill,
            );
            all.cost.bans += bill.cost.bans;
            all.cost.seconds += bill.cost.seconds;
            all.cost.endless += bill.cost.endless;
            all.commands += bill.commands;
            all.mails += bill.mails;
        }
        if jails.len() > 1 {
            // jails may share their lines and failures
            row("together", String::new(), String::new(), &all);
        }
        rows.join("\n")
    }

    /// In one sentence.
    pub(super) fn sentence(&self) -> String {
        let bans: u64 = self.jails.values().map(|bill| bill.cost.bans).sum();
        let jails = self
            .jails
            .values()
            .filter(|bill| bill.cost.bans > 0)
            .count();
        let offenders = counted(self.offenders.len() as u64, "offender");
        let (bans, jails) = (counted(bans, "ban"), counted(jails as u64, "jail"));
        format!("{bans} of {offenders} by {jails}.")
    }
}

/// `1 ban`, `2 bans`
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
