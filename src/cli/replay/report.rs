//! What a replay prints: a table for people, JSON lines for programs.

use std::io::{self, Write};

use serde_json::{Value as Json, json};

use super::arguments::Arguments;
use super::jails::{LeftOut, Replayed};
use crate::action::JailFigures;
use crate::cli::printable;
use crate::datetime::duration;
use crate::jail::decision::local_time;
use crate::jail::replay::{Ban, Event};
use crate::python::Number;
use crate::ticket::{MatchLine, Ticket};

/// Writes events as they are told, then a summary.
pub struct Report<'a, W> {
    arguments: &'a Arguments,
    out: W,
    begun: bool,
}

impl<'a, W: Write> Report<'a, W> {
    /// A report to `out`.
    pub fn new(arguments: &'a Arguments, out: W) -> Report<'a, W> {
        Report {
            arguments,
            out,
            begun: false,
        }
    }

    /// Tells of one event.
    pub fn event(&mut self, event: &Event, jail: &mut Replayed) -> io::Result<()> {
        let commands = match self.arguments.commands {
            true => commands(event, jail),
            false => Vec::new(),
        };
        if self.arguments.json {
            let line = as_json(event, &jail.name, &commands);
            return writeln!(self.out, "{line}");
        }
        match event {
            Event::Ban(ban) => self.ban(ban, &jail.name)?,
            // until when is told with the ban; the command that lifts it is worth a line of its own
            Event::Unban { time, ticket } if !commands.is_empty() => writeln!(
                self.out,
                "{}  {:<14} {:<28} unban",
                local_time(*time),
                jail.name,
                ticket.id
            )?,
            Event::Unban { .. } => {}
        }
        for (action, command) in &commands {
            for line in command.lines().filter(|line| !line.trim().is_empty()) {
                writeln!(self.out, "      {action}# {line}")?;
            }
        }
        Ok(())
    }

    fn ban(&mut self, ban: &Ban, jail: &str) -> io::Result<()> {
        if !self.begun {
            self.begun = true;
            writeln!(
                self.out,
                "{:<19}  {:<14} {:<28} {:>8}  until",
                "time", "jail", "banned", "failures"
            )?;
        }
        let until = match ban.until {
            Some(until) => format!(
                "{} ({})",
                local_time(until),
                duration::format(whole(until - ban.ticket.time))
            ),
            None => "for ever".to_owned(),
        };
        writeln!(
            self.out,
            "{}  {:<14} {:<28} {:>8}  {until}",
            local_time(ban.time),
            jail,
            ban.ticket.id.to_string(),
            ban.ticket.failures
        )?;
        if self.arguments.lines {
            for line in ban.ticket.matches() {
                writeln!(self.out, "      {}", printable(&line.text()))?;
            }
        }
        Ok(())
    }

    /// Tells what each jail has seen, and what was left out.
    pub fn summary(&mut self, jails: &[Replayed], left_out: &[LeftOut]) -> io::Result<()> {
        if self.arguments.json {
            return self.objects(jails, left_out);
        }
        match (self.begun, left_out.len()) {
            (false, 0) => writeln!(self.out, "Nobody would have been banned.")?,
            (false, _) => writeln!(
                self.out,
                "Nobody would have been banned for what could be read."
            )?,
            (true, _) => {}
        }
        writeln!(self.out)?;
        for jail in jails {
            let tally = jail.jail.tally();
            write!(
                self.out,
                "{:<14} {} lines, {} failures",
                jail.name, tally.lines, tally.failures
            )?;
            for (count, what) in [
                (tally.undated, "of them without a date"),
                (tally.odd, "of them with an odd date"),
                (tally.ignored, "ignored"),
                (tally.names, "by name, not looked up"),
                (tally.foreign, "lines that the journal would not give"),
            ] {
                if count > 0 {
                    write!(self.out, ", {count} {what}")?;
                }
            }
            let not_asked = jail.jail.not_asked();
            if tally.failures > 0 && !not_asked.is_empty() {
                write!(self.out, "; not asked: {}", not_asked.join(", "))?;
            }
            writeln!(self.out)?;
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

fn whole(seconds: f64) -> Number {
    Number::Int(seconds.round() as i64)
}

fn as_json(event: &Event, jail: &str, commands: &[(String, String)]) -> Json {
    let mut object = match event {
        Event::Ban(ban) => json!({
            "event": "ban",
            "time": ban.time,
            "jail": jail,
            "id": ban.ticket.id.to_string(),
            "failures": ban.ticket.failures,
            "bancount": ban.ticket.bancount,
            "until": ban.until,
            "lines": lines(&ban.ticket),
        }),
        Event::Unban { time, ticket } => json!({
            "event": "unban",
            "time": time,
            "jail": jail,
            "id": ticket.id.to_string(),
        }),
    };
    if !commands.is_empty() {
        object["commands"] = commands
            .iter()
            .map(|(action, command)| json!({ "action": action, "command": command }))
            .collect();
    }
    object
}

fn lines(ticket: &Ticket) -> Vec<String> {
    ticket.matches().iter().map(MatchLine::text).collect()
}

/// The commands an event would have run: action and script. Before the first ban of a family that
/// includes `actionstart`, as with actions that start on demand.
fn commands(event: &Event, jail: &mut Replayed) -> Vec<(String, String)> {
    let (ticket, operation) = match event {
        Event::Ban(ban) => (&ban.ticket, "actionban"),
        Event::Unban { ticket, .. } => (ticket, "actionunban"),
    };
    let figures = match event {
        Event::Ban(ban) => ban.figures.clone(),
        Event::Unban { .. } => JailFigures::default(),
    };
    let family = ticket.ip().family();
    let starts = matches!(event, Event::Ban(_)) && !jail.started.contains(&family);
    if starts {
        jail.started.push(family);
    }
    let mut commands = Vec::new();
    for action in &mut jail.actions {
        let start = starts.then(|| {
            let family = family.map_or("", |family| family.as_str());
            action.operation("actionstart", family, &jail.name, event.time(), &figures)
        });
        let command = action.command(operation, &jail.name, ticket, &figures);
        for text in start.into_iter().chain([command]) {
            let text = text.unwrap_or_else(|error| format!(": {error}"));
            if !text.trim().is_empty() {
                commands.push((action.name.clone(), text));
            }
        }
    }
    commands
}
