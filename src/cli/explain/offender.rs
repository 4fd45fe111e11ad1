//! Why an address was banned, or was not: the lines that name it with the fate of each, what the
//! database knows of it, and where it stands now.

use std::collections::VecDeque;
use std::io::{self, Write};

use serde_json::{Value as Json, json};

use super::arguments::ExplainArguments;
use super::feed::{ExplainInput, Harvest, InputItem, Tries, names};
use super::judge::{JailInput, LineJudge};
use super::marks::visible;
use super::own_log;
use super::walk::too_few;
use super::words::{counted, lasts};
use crate::address::Address;
use crate::cli::doctor::bans;
use crate::cli::doctor::findings::DoctorFindings;
use crate::cli::doctor::inspection::Inspection;
use crate::datetime::duration;
use crate::jail::replay::ReplayVerdict;
use crate::python::Number;
use crate::store::past_bans::{self, PastBan};

/// So much of the end of each log is read (16 MiB).
const MOST: u64 = 16 << 20;
/// So many of the last lines of a jail are shown.
const LINES: usize = 10;
/// So many bans of the past are shown.
const BANS: u32 = 10;

/// What is known of an address.
pub struct ExplainedId {
    id: Address,
    /// It is banned now.
    banned: bool,
    why: String,
    cure: Option<String>,
    jails: Vec<JailSightings>,
    history: Vec<PastBan>,
    unseen: Vec<String>,
}

/// What a jail saw of it.
struct JailSightings {
    jail: String,
    /// How many lines name it.
    named: usize,
    /// The last of them, with the fate of each.
    lines: VecDeque<(String, String)>,
    tries: Option<Tries>,
    /// Why it does not ban it, and what to do; the higher the closer to a ban.
    reason: (u32, String, Option<String>),
}

impl ExplainedId {
    /// Looks for all that is known of an address; in the logs of all enabled jails or of the one that
    /// was named, or in the logs that were named.
    ///
    /// # Errors
    /// There is no jail that can be asked.
    pub fn of(
        arguments: &ExplainArguments,
        id: Address,
        logs: &[String],
    ) -> anyhow::Result<ExplainedId> {
        let look = Inspection::at("/", Some(&arguments.config))?;
        let mut offender = ExplainedId {
            id,
            banned: false,
            why: String::new(),
            cure: None,
            jails: Vec::new(),
            history: Vec::new(),
            unseen: Vec::new(),
        };
        for JailInput { mut judge, missing } in LineJudge::all_own(arguments)? {
            for (path, why) in missing {
                let jail = judge.name.as_deref().unwrap_or_default();
                offender
                    .unseen
                    .push(format!("{path} of the jail {jail}: {why}"));
            }
            offender.ask(&mut judge, &look, logs);
        }
        offender.recall(&look);
        offender.finish(arguments, &look);
        Ok(offender)
    }

    /// What a jail makes of the lines that name it.
    fn ask(&mut self, judge: &mut LineJudge, look: &Inspection, logs: &[String]) {
        let feed = match logs {
            [] => ExplainInput::of_jail(judge, look, MOST),
            logs => Ok(ExplainInput::of_logs(judge, logs, look.present)),
        };
        let jail = judge.name.clone().unwrap_or_default();
        let mut feed = match feed {
            Ok(feed) => feed,
            Err(error) => {
                self.unseen
                    .push(format!("what the jail {jail} reads: {error}"));
                return;
            }
        };
        let id = self.id.clone();
        let text = id.to_string();
        let mut named: VecDeque<(String, Option<ReplayVerdict>)> = VecDeque::new();
        let mut count = 0;
        let harvest = Harvest::of(
            judge,
            &mut feed,
            look.present,
            |item: &InputItem, judged| {
                let own = judged.iter().find(|judged| judged.id == text);
                if own.is_none() && !names(item.text(), &id) {
                    return;
                }
                count += 1;
                if named.len() == LINES {
                    named.pop_front();
                }
                let verdict = own.map(|judged| judged.verdict.clone());
                named.push_back((item.text().to_owned(), verdict));
            },
        );
        for (path, error) in feed.failed() {
            self.unseen
                .push(format!("{path} of the jail {jail}: {error}"));
        }
        let mut missed: Option<(u32, String, Option<String>)> = None;
        let lines = named.into_iter().map(|(line, verdict)| {
            let fate = match verdict {
                Some(verdict) => fate(judge, &text, &verdict),
                None => {
                    let answer = judge.tell(&line, look.present).answer;
                    // a look at a line for itself knows nothing of those before it
                    let why = match answer.counts {
                        true => "counts for nothing of its own".to_owned(),
                        false => answer.why.clone(),
                    };
                    let is_closer = missed
                        .as_ref()
                        .is_none_or(|(closeness, ..)| answer.closeness >= *closeness);
                    if is_closer {
                        missed = Some((answer.closeness, answer.why, answer.cure));
                    }
                    why
                }
            };
            (line, fate)
        });
        let lines: VecDeque<(String, String)> = lines.collect();
        let tries = harvest.tries.get(&text).copied();
        let ignored = harvest.ignored.iter().rev().find(|(id, _)| *id == text);
        let within = duration::format(Number::Int(judge.jail.core_mut().find_time() as i64));
        let reason = match (tries, ignored, missed) {
            (Some(tries), ..) if tries.banned => {
                let bans = harvest.bans.iter().rev();
                let mut own = bans.filter(|ban| ban.ticket.id == id);
                let when = own.next().map(|ban| lasts(ban.time, ban.until));
                let when = when.unwrap_or_default();
                (
                    5,
                    format!("by its log {jail} bans it {when}, after {} failures", tries.failures),
                    Some("a server that was not running then bans nobody afterwards for lines older than findtime; ferroban explain JAIL shows whether it works now".to_owned()),
                )
            }
            (_, Some((_, by)), _) => (
                4,
                format!("{jail} ignores it by {}", judge.rule(by, &text)),
                Some("take it out of what is named there if it is to be banned".to_owned()),
            ),
            (Some(tries), ..) => {
                let (why, cure) = too_few(judge, &text, tries, &within);
                (3, format!("{jail}: {why}"), Some(cure))
            }
            (None, None, Some((_, why, cure))) => (
                2,
                format!(
                    "{jail}: no failure in {} that names it: {why}",
                    counted(count, "line")
                ),
                cure,
            ),
            (None, None, None) => (
                1,
                format!("no line of what the jail {jail} reads names it"),
                None,
            ),
        };
        self.jails.push(JailSightings {
            jail,
            named: count,
            lines,
            tries,
            reason,
        });
    }

    /// What the database knows.
    fn recall(&mut self, look: &Inspection) {
        let path = look.database.as_str();
        if path.is_empty() || path == "None" || path.starts_with(":memory:") {
            return;
        }
        let place = look.machine.place(path);
        // a server that has never run has none
        if !place.exists() {
            return;
        }
        match past_bans::bans(&place, &self.id.to_string(), BANS) {
            Ok(bans) => self.history = bans,
            Err(error) => self.unseen.push(format!("the database {path}: {error}")),
        }
    }

    /// The answer.
    fn finish(&mut self, arguments: &ExplainArguments, look: &Inspection) {
        let id = self.id.to_string();
        let running = !arguments.offline && look.server().is_some();
        let state = match running {
            true => look.state().as_ref().ok(),
            false => None,
        };
        let wanted = |jail: &str| arguments.jail.as_deref().is_none_or(|name| name == jail);
        let jails = state.into_iter().flat_map(|state| &state.jails);
        let holding = jails.filter(|jail| wanted(&jail.name));
        let bans: Vec<_> = holding
            .flat_map(|jail| jail.bans.iter().map(move |ban| (jail, ban)))
            .filter(|(_, ban)| ban.id == id)
            .collect();
        if let Some((jail, ban)) = bans.first() {
            self.banned = true;
            let until = ban
                .until
                .clone()
                .map_or("for ever".to_owned(), |until| format!("until {until}"));
            let names: Vec<&str> = bans.iter().map(|(jail, _)| jail.name.as_str()).collect();
            self.why = format!(
                "{} has banned it from {} {until}{}",
                names.join(" and "),
                ban.since,
                self.reason(&jail.name)
            );
            let mut findings = DoctorFindings::default();
            bans::look(look, &mut findings);
            let wrong = findings.list.iter().find(|finding| {
                finding
                    .jail
                    .as_deref()
                    .is_some_and(|jail| names.contains(&jail))
            });
            match wrong {
                Some(finding) => {
                    self.why.push_str(&format!("; {}", finding.message));
                    self.cure = Some(finding.cure.clone());
                }
                None => {
                    self.cure = Some(format!(
                        "fail2ban-client set {} unbanip {id} lifts it",
                        jail.name
                    ))
                }
            }
            return;
        }
        let last = self.history.iter().find(|ban| wanted(&ban.jail)).cloned();
        let in_force = |ban: &PastBan| ban.until().is_none_or(|until| until > look.present);
        match last {
            Some(ban) if in_force(&ban) && state.is_none() => {
                self.banned = true;
                self.why = format!(
                    "by the database {} has banned it {}{}; no server was asked",
                    ban.jail,
                    lasts(ban.time, ban.until()),
                    self.reason(&ban.jail)
                );
                return;
            }
            Some(ban) if in_force(&ban) => {
                self.why = format!(
                    "{} had banned it {}, and the ban has been lifted by hand{}",
                    ban.jail,
                    lasts(ban.time, ban.until()),
                    self.reason(&ban.jail)
                );
                return;
            }
            _ => {}
        }
        let best = self.jails.iter().max_by_key(|seen| seen.reason.0);
        let (rank, mut why, cure) = match best {
            Some(seen) => seen.reason.clone(),
            None => (0, "no enabled jail can be asked".to_owned(), None),
        };
        if rank == 1 && self.jails.len() > 1 {
            why = "no line of what the enabled jails read names it".to_owned();
        }
        if let Some(ban) = last_of(&self.history, arguments) {
            why.push_str(&format!(
                "; {} banned it last, {}",
                ban.jail,
                lasts(ban.time, ban.until())
            ));
        }
        let jail = best.map_or("", |seen| seen.jail.as_str());
        match state {
            _ if rank < 5 || arguments.offline => {}
            None => why.push_str(", and no server runs"),
            Some(_) => match own_log::last_of(look, jail, &id) {
                Some(said) => why.push_str(&format!("; the server's log says: {said}")),
                None => why.push_str(", and the server has no such ban"),
            },
        }
        self.why = why;
        self.cure = cure.or_else(|| (rank == 1).then(|| "see in which log the service writes it, and whether a jail reads that; a log that was rotated can be named: ferroban explain ADDRESS LOG".to_owned()));
    }

    /// For what a jail banned it last, by the database.
    fn reason(&self, jail: &str) -> String {
        let ban = self.history.iter().find(|ban| ban.jail == jail);
        let Some(ban) = ban else {
            return String::new();
        };
        match ban.lines.last() {
            Some(line) => format!(", after {} failures, the last: {line}", ban.failures),
            None => format!(", after {} failures", ban.failures),
        }
    }

    /// Prints it.
    ///
    /// # Errors
    /// Of the writer.
    pub fn print(&self, verbose: bool, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.id)?;
        let word = match self.banned {
            true => "banned",
            false => "not banned",
        };
        writeln!(out, "  {word:<12}{}", visible(&self.why))?;
        if let Some(cure) = &self.cure {
            writeln!(out, "  {:<12}{}", "cure", visible(cure))?;
        }
        for seen in self.jails.iter().filter(|seen| verbose || seen.named > 0) {
            writeln!(
                out,
                "  {:<12}{} has {} with it",
                "jail",
                seen.jail,
                counted(seen.named, "line")
            )?;
            if verbose && seen.named > 0 {
                writeln!(out, "  {:<12}{}", "", visible(&seen.reason.1))?;
            }
            for (line, fate) in &seen.lines {
                writeln!(out, "    {}\n      {}", visible(line), visible(fate))?;
            }
        }
        for ban in &self.history {
            let lasts = lasts(ban.time, ban.until());
            writeln!(
                out,
                "  {:<12}{} {lasts}, ban {}, after {} failures",
                "history", ban.jail, ban.count, ban.failures
            )?;
            let lines = ban.lines.len();
            let kept = if verbose { lines } else { 1 };
            for line in ban.lines.iter().skip(lines.saturating_sub(kept)) {
                writeln!(out, "    {}", visible(line))?;
            }
        }
        for text in &self.unseen {
            writeln!(out, "  {:<12}{}", "not seen", visible(text))?;
        }
        Ok(())
    }

    /// The object for programs.
    pub fn json(&self) -> Json {
        let lines = |seen: &JailSightings| -> Vec<Json> {
            let lines = seen.lines.iter();
            lines
                .map(|(line, fate)| json!({ "line": line, "fate": fate }))
                .collect()
        };
        let jail = |seen: &JailSightings| {
            json!({
                "jail": seen.jail,
                "named": seen.named,
                "lines": lines(seen),
                "failures": seen.tries.map_or(0, |tries| tries.failures),
                "most": seen.tries.map_or(0.0, |tries| tries.most),
                "why": seen.reason.1,
            })
        };
        let ban = |ban: &PastBan| {
            json!({
                "jail": ban.jail,
                "from": ban.time,
                "until": ban.until(),
                "count": ban.count,
                "failures": ban.failures,
                "lines": ban.lines,
            })
        };
        json!({
            "address": self.id.to_string(),
            "answer": { "banned": self.banned, "why": self.why, "cure": self.cure },
            "jails": self.jails.iter().map(jail).collect::<Vec<_>>(),
            "history": self.history.iter().map(ban).collect::<Vec<_>>(),
            "not_seen": self.unseen,
        })
    }
}

fn last_of<'a>(history: &'a [PastBan], arguments: &ExplainArguments) -> Option<&'a PastBan> {
    let wanted = |ban: &&PastBan| {
        let jail = arguments.jail.as_deref();
        jail.is_none_or(|name| name == ban.jail)
    };
    history.iter().find(wanted)
}

/// What became of a failure.
fn fate(judge: &LineJudge, id: &str, verdict: &ReplayVerdict) -> String {
    match verdict {
        ReplayVerdict::Ignored(by) => format!("is ignored by {}", judge.rule(by, id)),
        ReplayVerdict::Counted { standing, enough } => format!("counts, {standing} of {enough}"),
        ReplayVerdict::Banned { failures, until } => {
            let until = until.map_or("for ever".to_owned(), |until| {
                format!("until {}", crate::jail::decision::local_time(until))
            });
            format!("is one too many: a ban {until}, after {failures} failures")
        }
        ReplayVerdict::Already => "is banned already".to_owned(),
        ReplayVerdict::Expired => "would be banned, but the ban would be over".to_owned(),
        ReplayVerdict::Unresolved => "is a host name, which a server would look up".to_owned(),
    }
}
