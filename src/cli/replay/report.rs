//! What a replay prints: a table for people, JSON lines for programs.

use std::io::{self, Write};

use serde_json::{Value as Json, json};

use super::arguments::ReplayArguments;
use super::jails::{LeftOut, Replayed};
use super::summary::{Summary, counted, span};
use crate::action::JailFigures;
use crate::action::plan::{Plan, Work};
use crate::action::tags::TagError;
use crate::cli::colours::{Colours, TextStyle};
use crate::cli::printable;
use crate::cli::table::{self, Column};
use crate::fields::MatchLine;
use crate::jail::decision::local_time;
use crate::jail::replay::{ReplayBan, ReplayEvent};
use crate::ticket::Ticket;

/// When, who, by which jail, after how many failures, for how long.
const BANS: [Column; 5] = [
    Column::Left(19),
    Column::Left(18),
    Column::Left(17),
    Column::Right(8),
    Column::Right(10),
];

/// A command that would have run.
struct SimulatedCommand {
    /// The action it is of.
    action: String,
    /// What would have run, or why it cannot be told.
    plan: Result<Plan, TagError>,
}

impl SimulatedCommand {
    fn text(&self) -> String {
        match &self.plan {
            Ok(plan) => plan.script.spelled_out(),
            Err(error) => format!(": {error}"),
        }
    }

    fn is_mail(&self) -> bool {
        self.plan
            .as_ref()
            .is_ok_and(|plan| matches!(plan.work, Work::Mail(_)))
    }
}

/// Writes events as they are told, then a summary.
pub struct ReplayReport<'a, W> {
    arguments: &'a ReplayArguments,
    out: W,
    colours: Colours,
    summary: Summary,
}

impl<'a, W: Write> ReplayReport<'a, W> {
    /// A report to `out`.
    pub fn new(arguments: &'a ReplayArguments, out: W, colours: Colours) -> ReplayReport<'a, W> {
        ReplayReport {
            arguments,
            out,
            colours,
            summary: Summary::default(),
        }
    }

    /// Tells of one event of the jail at this place.
    pub fn event(
        &mut self,
        event: &ReplayEvent,
        jails: &mut [Replayed],
        place: usize,
    ) -> io::Result<()> {
        let jail = &mut jails[place];
        if self.arguments.json {
            let commands = match self.arguments.commands {
                true => commands(event, jail),
                false => Vec::new(),
            };
            let line = as_json(event, &jail.name, &commands);
            return writeln!(self.out, "{line}");
        }
        let commands = commands(event, jail);
        for command in &commands {
            self.summary.command(command.is_mail(), place);
        }
        let name = printable(&jail.name);
        match event {
            ReplayEvent::Ban(ban) => self.ban(ban, &name, place)?,
            // for how long is told with the ban; the command that lifts it is worth a line of its own
            ReplayEvent::Unban { time, ticket }
                if self.arguments.commands && !commands.is_empty() =>
            {
                let id = printable(&ticket.id.to_string());
                self.row([
                    (&local_time(*time), TextStyle::Plain),
                    (&id, TextStyle::Plain),
                    (&name, TextStyle::Plain),
                    ("", TextStyle::Plain),
                    ("lifted", TextStyle::Plain),
                ])?;
            }
            ReplayEvent::Unban { .. } => {}
        }
        if self.arguments.commands {
            for command in &commands {
                let text = command.text();
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    writeln!(self.out, "      {}# {line}", command.action)?;
                }
            }
        }
        Ok(())
    }

    fn ban(&mut self, ban: &ReplayBan, jail: &str, place: usize) -> io::Result<()> {
        if self.summary.is_empty() {
            let heading = ["time", "banned", "jail", "failures", "ban time"];
            self.row(heading.map(|cell| (cell, TextStyle::Heading)))?;
        }
        let id = printable(&ban.ticket.id.to_string());
        self.summary.ban(&id, ban, place);
        self.row([
            (&local_time(ban.time), TextStyle::Plain),
            (&id, TextStyle::Banned),
            (jail, TextStyle::Plain),
            (&ban.ticket.failures.to_string(), TextStyle::Plain),
            (
                &span(ban.until.map(|until| until - ban.ticket.time)),
                TextStyle::Plain,
            ),
        ])?;
        if self.arguments.verbose {
            if let Some(until) = ban.until {
                self.aside(&format!("until {}", local_time(until)))?;
            }
            for line in ban.ticket.matches() {
                self.aside(&printable(&line.text()))?;
            }
        }
        Ok(())
    }

    fn row(&mut self, cells: [(&str, TextStyle); 5]) -> io::Result<()> {
        writeln!(self.out, "{}", table::row(&BANS, &cells, self.colours))
    }

    fn aside(&mut self, line: &str) -> io::Result<()> {
        let line = self.colours.paint(line, TextStyle::Aside);
        writeln!(self.out, "      {line}")
    }

    /// Tells what all of it comes to, and what was left out.
    pub fn summary(&mut self, jails: &[Replayed], left_out: &[LeftOut]) -> io::Result<()> {
        if self.arguments.json {
            return self.objects(jails, left_out);
        }
        let names: Vec<String> = jails.iter().map(|jail| printable(&jail.name)).collect();
        match (self.summary.is_empty(), left_out.len()) {
            (true, 0) => writeln!(self.out, "Nobody would have been banned.")?,
            (true, _) => writeln!(
                self.out,
                "Nobody would have been banned for what could be read."
            )?,
            (false, _) => {
                let all = self.arguments.verbose;
                let offenders = self.summary.offenders(&names, all, self.colours);
                writeln!(self.out, "\n{}\n\n{offenders}", self.summary.sentence())?;
            }
        }
        let bill = self.summary.bill(jails, &names, self.colours);
        writeln!(self.out, "\n{bill}")?;
        let remarks = jails.iter().zip(&names);
        let remarks = remarks.filter_map(|(jail, name)| Some(format!("{name}: {}", remark(jail)?)));
        for (number, remark) in remarks.enumerate() {
            let gap = if number == 0 { "\n" } else { "" };
            writeln!(self.out, "{gap}{}", table::folded(&remark, 2))?;
        }
        let odd = |jail: &Replayed| jail.jail.tally().undated + jail.jail.tally().odd > 0;
        if jails.iter().any(odd) {
            let why = "A running server counts such lines when it reads them.";
            writeln!(self.out, "{why}")?;
        }
        if !left_out.is_empty() {
            let count = left_out.len();
            writeln!(self.out, "\n{count} left out, as told on standard error.")?;
        }
        Ok(())
    }

    /// The same as objects: one for each jail.
    fn objects(&mut self, jails: &[Replayed], left_out: &[LeftOut]) -> io::Result<()> {
        let mut names: Vec<&String> = jails.iter().map(|jail| &jail.name).collect();
        for LeftOut { jail, .. } in left_out {
            if !names.contains(&jail) {
                names.push(jail);
            }
        }
        for name in names {
            let jail = jails.iter().find(|jail| jail.name == *name);
            let tally = jail.map(|jail| jail.jail.tally()).unwrap_or_default();
            let missing: Vec<Json> = (left_out.iter().filter(|missing| missing.jail == *name))
                .map(|missing| json!({ "what": missing.what, "why": missing.why }))
                .collect();
            let object = json!({
                "event": "end",
                "jail": name,
                "lines": tally.lines,
                "failures": tally.failures,
                "undated": tally.undated,
                "odd": tally.odd,
                "ignored": tally.ignored,
                "names": tally.names,
                "foreign": tally.foreign,
                "not_asked": jail.map(|jail| jail.jail.not_asked()).unwrap_or_default(),
                "left_out": missing,
            });
            writeln!(self.out, "{object}")?;
        }
        Ok(())
    }
}

/// What makes the verdict about a jail less than certain.
fn remark(jail: &Replayed) -> Option<String> {
    let tally = jail.jail.tally();
    let undated = match jail.jail.counts_at_present() {
        true => "without a date, counted as of now",
        false => "without a date, counted as of the line before",
    };
    let odd = "with an odd date, counted as of the line before";
    let mut remarks: Vec<String> = [
        (tally.undated, "failure", undated),
        (tally.odd, "failure", odd),
        (tally.ignored, "failure", "ignored"),
        (tally.names, "failure", "by name, not looked up"),
        (tally.foreign, "line", "that the journal would not give"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, of, what)| format!("{} {what}", counted(count, of)))
    .collect();
    let not_asked = jail.jail.not_asked();
    if tally.failures > 0 && !not_asked.is_empty() {
        remarks.push(format!("not asked: {}", not_asked.join(", ")));
    }
    (!remarks.is_empty()).then(|| printable(&remarks.join("; ")))
}

fn as_json(event: &ReplayEvent, jail: &str, commands: &[SimulatedCommand]) -> Json {
    let mut object = match event {
        ReplayEvent::Ban(ban) => json!({
            "event": "ban",
            "time": ban.time,
            "jail": jail,
            "id": ban.ticket.id.to_string(),
            "failures": ban.ticket.failures,
            "bancount": ban.ticket.bancount,
            "until": ban.until,
            "lines": lines(&ban.ticket),
        }),
        ReplayEvent::Unban { time, ticket } => json!({
            "event": "unban",
            "time": time,
            "jail": jail,
            "id": ticket.id.to_string(),
        }),
    };
    if !commands.is_empty() {
        object["commands"] = commands
            .iter()
            .map(|told| json!({ "action": told.action, "command": told.text() }))
            .collect();
    }
    object
}

fn lines(ticket: &Ticket) -> Vec<String> {
    ticket.matches().iter().map(MatchLine::text).collect()
}

/// The commands an event would have run. Before the first ban of a family that includes `actionstart`,
/// as with actions that start on demand.
fn commands(event: &ReplayEvent, jail: &mut Replayed) -> Vec<SimulatedCommand> {
    let (ticket, operation) = match event {
        ReplayEvent::Ban(ban) => (&ban.ticket, "actionban"),
        ReplayEvent::Unban { ticket, .. } => (ticket, "actionunban"),
    };
    let figures = match event {
        ReplayEvent::Ban(ban) => ban.figures.clone(),
        ReplayEvent::Unban { .. } => JailFigures::default(),
    };
    let family = ticket.ip().family();
    let starts = matches!(event, ReplayEvent::Ban(_)) && !jail.started.contains(&family);
    if starts {
        jail.started.push(family);
    }
    let mut commands = Vec::new();
    for action in &mut jail.actions {
        let start = starts.then(|| {
            let family = family.map_or("", |family| family.as_str());
            action.operation_plan("actionstart", family, &jail.name, event.time(), &figures)
        });
        let command = action.plan(operation, &jail.name, ticket, &figures);
        for plan in start.into_iter().chain([command]) {
            let empty = plan
                .as_ref()
                .is_ok_and(|plan| plan.script.text.trim().is_empty());
            if !empty {
                commands.push(SimulatedCommand {
                    action: action.name.clone(),
                    plan,
                });
            }
        }
    }
    commands
}
