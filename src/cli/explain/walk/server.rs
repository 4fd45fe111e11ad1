//! What a running server says of a jail: whether it has it, whom it has banned, whether its actions work,
//! and whether the firewall has the bans.

use std::ops::ControlFlow;

use super::StepOutcome::{self, Sound, Unseen, Wrong};
use super::Walker;
use crate::cli::actions;
use crate::cli::doctor::findings::{DoctorFinding, DoctorFindings};
use crate::cli::doctor::{bans, docker, running, server, tools};
use crate::cli::explain::feed::Harvest;
use crate::cli::explain::judge::LineJudge;
use crate::cli::explain::own_log;
use crate::cli::report::state;
use crate::jail::decision::local_time;
use crate::lint::Severity;
use crate::store::past_bans;

/// A server's ban and the one of the log may differ by so much in time.
const SAME: f64 = 120.0;

impl Walker<'_> {
    /// Whether a server runs and has the jail.
    pub(super) fn server(&self) -> StepOutcome {
        if self.arguments.offline {
            return Unseen("the server: --offline".to_owned());
        }
        let mut findings = DoctorFindings::default();
        running::look(&self.look, &mut findings);
        server::look(&self.look, &mut findings);
        let own = |finding: &&DoctorFinding| {
            let others = finding.jail.as_ref().is_some_and(|jail| *jail != self.jail);
            finding.severity > Severity::Note && finding.kind != "old-program" && !others
        };
        if let Some(finding) = findings.list.iter().find(own) {
            return Wrong(finding.message.clone(), finding.cure.clone());
        }
        if let Some(text) = findings.not_looked_at().first() {
            return Unseen(text.clone());
        }
        match self.state() {
            Some(_) => Sound(format!("a server runs and has the jail {}", self.jail)),
            None => Unseen("the server".to_owned()),
        }
    }

    /// What a running server says of the jail.
    pub(super) fn state(&self) -> Option<&state::ReportedJailState> {
        if self.arguments.offline || self.look.server().is_none() {
            return None;
        }
        let state = self.look.state().as_ref().ok()?;
        state.jails.iter().find(|jail| jail.name == self.jail)
    }

    /// Whether the jail does anything with a ban.
    pub(super) fn action(&self, judge: &LineJudge) -> StepOutcome {
        let jails = &self.look.jails;
        let actions = actions::of_commands(
            &jails
                .iter()
                .flat_map(|jail| jail.commands.clone())
                .collect::<Vec<_>>(),
        );
        let count: usize = actions
            .map(|made| made.jails.iter().map(|jail| jail.actions.len()).sum())
            .unwrap_or_default();
        if count == 0 && !jails.is_empty() {
            return Wrong(
                format!(
                    "the jail {} has no action: a ban is counted and nothing is done{}",
                    self.jail,
                    judge.places.of("action")
                ),
                "set banaction and action in the jail, such as action = %(action_)s".to_owned(),
            );
        }
        let mut findings = DoctorFindings::default();
        tools::look(&self.look, &mut findings);
        if let Some(finding) = findings.list.iter().find(|f| f.severity > Severity::Note) {
            return Wrong(finding.message.clone(), finding.cure.clone());
        }
        let ineffective = self.state().and_then(|state| state.ineffective.first());
        match ineffective {
            Some((action, ids)) => Wrong(
                format!("{} bans of the jail {} have no effect: its action {action} fails", ids.len(), self.jail),
                "the server's log has what the command said; put it right, and the bans are tried again".to_owned(),
            ),
            None => Sound(format!("it has {count} actions whose programs are there")),
        }
    }

    /// Whether the server has banned whom it should by the log.
    pub(super) fn ban(&self, harvest: &Harvest) -> StepOutcome {
        let last = harvest.bans.last();
        let Some(ban) = last else {
            return Sound("nobody is to be banned".to_owned());
        };
        let id = ban.ticket.id.to_string();
        let until = ban.until.map_or("for ever".to_owned(), |until| {
            format!("until {}", local_time(until))
        });
        let is_over = ban.until.is_some_and(|until| until < self.look.present);
        let by_log = format!(
            "by its log {id} is banned from {} {until}",
            local_time(ban.time)
        );
        let Some(state) = self.state() else {
            return Sound(format!("{by_log}; no server was asked"));
        };
        let now = format!(
            "{by_log}; the server has {} bans now and had {} since its start",
            state.banned[0], state.banned[1]
        );
        let started = self.look.server().and_then(|server| server.started);
        let was_there = started.is_some_and(|started| started < ban.time);
        if is_over || !was_there || state.bans.iter().any(|ban| ban.id == id) {
            return Sound(now);
        }
        let database = self.look.machine.place(&self.look.database);
        let past = past_bans::bans(&database, &id, 1).unwrap_or_default();
        if past
            .iter()
            .any(|past| past.jail == self.jail && (past.time - ban.time).abs() < SAME)
        {
            return Sound(format!("{now}; that one was lifted by hand"));
        }
        Wrong(
            format!("{by_log}, and the server has no such ban"),
            format!(
                "the server's log says what it found in these lines; fail2ban-client reload --restart {}",
                self.jail
            ),
        )
    }

    /// What the server has last complained of, about this jail, since its start.
    pub(super) fn complaint(&self) -> StepOutcome {
        let (path, text) = match own_log::since_start(&self.look) {
            Ok(log) => log,
            Err(why) => return Unseen(why),
        };
        match own_log::complaint(&text, &self.jail) {
            Some(message) => Wrong(
                format!("the server's log {path} has an error about the jail: {message}"),
                "put right what it says; the lines before that one say more".to_owned(),
            ),
            None => Sound(format!("the server's log {path} has no error about it")),
        }
    }

    /// Whether the firewall has the bans, and packets come by.
    pub(super) fn firewall(&mut self) -> ControlFlow<()> {
        if self.state().is_none() {
            return self.step(
                "rule",
                Unseen("the firewall: no server was asked".to_owned()),
            );
        }
        let mut findings = DoctorFindings::default();
        bans::look(&self.look, &mut findings);
        docker::look(&self.look, &mut findings);
        let of = |kind: &str| {
            let mut list = findings.list.iter();
            let own = list.find(|f| f.jail.as_deref() == Some(&self.jail) && f.kind == kind);
            own.map(|finding| Wrong(finding.message.clone(), finding.cure.clone()))
        };
        let unseen = findings.not_looked_at().first().cloned();
        let (missing, unreached) = (of("ban-missing"), of("no-packet"));
        let sound = |text: &str| match &unseen {
            Some(unseen) => Unseen(unseen.clone()),
            None => Sound(text.to_owned()),
        };
        let rule = missing
            .unwrap_or_else(|| sound("the firewall has its bans, as far as its actions are known"));
        self.step("rule", rule)?;
        let packets = unreached.unwrap_or_else(|| sound("rules lead to them"));
        self.step("packets", packets)?;
        let complaint = self.complaint();
        self.step("log", complaint)
    }
}
