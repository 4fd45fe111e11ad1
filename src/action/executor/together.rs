//! Applies many changes of the firewall at once.

use std::collections::HashMap;

use super::super::plan::Plan;
use super::{Executor, Nature, TARGET};
use crate::control::Value;
use crate::exec::process::{ExitOutcome, Invocation};
use crate::exec::shell::{self, CommandLog};
use crate::firewall::iptables::copies::Standing;
use crate::firewall::iptables::sweep::{self, Sweep};
use crate::firewall::iptables::{self, Rule};
use crate::firewall::member::Member;
use crate::firewall::place::StandingBan;
use crate::firewall::route::Route;
use crate::firewall::sets;
use crate::firewall::{Change, Transaction, print_table};
use crate::log::Level;
use crate::{debug, record};

mod routes;

impl Executor {
    /// Carries out commands of an action that change the firewall in as few steps as keep their
    /// order; answers for each whether that was done. What was not is as if never tried, and shall
    /// be run by itself.
    pub async fn run_together(&self, action: &str, plans: &[Plan], timeout: &Value) -> Vec<bool> {
        let mut done = vec![false; plans.len()];
        let Some(changes) = changes(plans) else {
            return done;
        };
        let stands = |change: &&Change| self.stands_already(action, change);
        let standing: Vec<bool> = changes.iter().map(stands).collect();
        let mut parted = Parted::new(&changes);
        parted.leave_out(&standing);
        let Parted {
            rules,
            members,
            routes,
        } = parted;
        let mut batch = CommandGroup {
            executor: self,
            action,
            plans,
            timeout,
            done: &mut done,
        };
        for (place, _) in standing.iter().enumerate().filter(|(_, stands)| **stands) {
            batch.succeeded(place);
        }
        batch.rules(&rules).await;
        batch.members(&members).await;
        batch.routes(&routes).await;
        let made = |place: &usize| done[*place];
        for (place, _) in rules.iter().filter(|(place, _)| made(place)) {
            self.common
                .refcounts
                .note(self.owner(action), &**changes[*place]);
        }
        done
    }

    /// The bans that stand in the place of a ban like these, and how many times each; `None` when that
    /// cannot be told.
    pub async fn all_standing(
        &self,
        sample: &Change,
        timeout: &Value,
    ) -> Option<HashMap<StandingBan, usize>> {
        match sample {
            Change::Rule(rule) => {
                let printed = print_table(&sweep::save(rule), shell::limit(timeout)).await?;
                sweep::all_standing(rule, &printed)
            }
            Change::Member(member) => {
                let held = sets::held(&member.set)?.into_iter();
                Some(held.map(|network| ((network, String::new()), 1)).collect())
            }
            Change::Route(_) => None,
        }
    }

    /// Which of these commands, all of them bans, have no effect in the firewall now; `None` when
    /// that cannot be told.
    pub async fn missing(&self, plans: &[Plan], timeout: &Value) -> Option<Vec<usize>> {
        let changes = changes(plans)?;
        let Parted {
            rules,
            members,
            routes,
        } = Parted::new(&changes);
        let of_sets: Vec<&Member> = members.iter().map(|(_, member)| *member).collect();
        let mut missing: Vec<usize> = sets::absent(&of_sets)?
            .into_iter()
            .map(|at| members[at].0)
            .collect();
        if let Some((_, first)) = rules.first() {
            let of_chains: Vec<&Rule> = rules.iter().map(|(_, rule)| *rule).collect();
            let printed = print_table(&sweep::save(first), shell::limit(timeout)).await?;
            missing.extend(
                sweep::absent(&of_chains, &printed)?
                    .into_iter()
                    .map(|at| rules[at].0),
            );
        }
        missing.extend(routes::missing(&routes, shell::limit(timeout)).await?);
        missing.sort_unstable();
        Some(missing)
    }
}

/// The changes that commands are; `None` when one of them is none.
fn changes(plans: &[Plan]) -> Option<Vec<&Change>> {
    plans.iter().map(Plan::change).collect()
}

/// Changes by their kind, each with its position.
struct Parted<'a> {
    rules: Vec<(usize, &'a Rule)>,
    members: Vec<(usize, &'a Member)>,
    routes: Vec<(usize, &'a Route)>,
}

impl<'a> Parted<'a> {
    fn new(changes: &[&'a Change]) -> Parted<'a> {
        let mut parted = Parted {
            rules: Vec::new(),
            members: Vec::new(),
            routes: Vec::new(),
        };
        for (place, change) in changes.iter().enumerate() {
            match change {
                Change::Rule(rule) => parted.rules.push((place, rule)),
                Change::Member(member) => parted.members.push((place, member)),
                Change::Route(route) => parted.routes.push((place, route)),
            }
        }
        parted
    }

    /// Leaves out what is done already.
    fn leave_out(&mut self, done: &[bool]) {
        self.rules.retain(|(place, _)| !done[*place]);
        self.members.retain(|(place, _)| !done[*place]);
        self.routes.retain(|(place, _)| !done[*place]);
    }
}

/// Commands that are carried out together, and which of them are done.
struct CommandGroup<'a> {
    executor: &'a Executor,
    action: &'a str,
    plans: &'a [Plan],
    timeout: &'a Value,
    done: &'a mut [bool],
}

impl CommandGroup<'_> {
    async fn rules(&mut self, rules: &[(usize, &Rule)]) {
        let rules = &self.copies(rules).await;
        let changes: Vec<&Rule> = rules.iter().map(|(_, rule)| *rule).collect();
        let (sweeps, mut others) = sweep::part(&changes);
        for sweep in sweeps {
            if !self.sweep(&sweep, rules).await {
                others.extend(sweep.positions());
            }
        }
        others.sort_unstable();
        let changes: Vec<&Rule> = others.iter().map(|&at| rules[at].1).collect();
        let places: Vec<usize> = others.iter().map(|&at| rules[at].0).collect();
        self.transactions(iptables::transactions(&changes), &places)
            .await;
    }

    /// Carries out by netlink what can be, of each program and table up to the first that cannot,
    /// so that all keep their order; answers what is left.
    async fn copies<'r>(&mut self, rules: &[(usize, &'r Rule)]) -> Vec<(usize, &'r Rule)> {
        let mut left: Vec<(usize, &Rule)> = Vec::new();
        let mut ready: Vec<(usize, &Rule)> = Vec::new();
        for &(place, rule) in rules {
            if left.iter().any(|(_, earlier)| earlier.fits(rule)) {
                left.push((place, rule));
                continue;
            }
            match self.executor.common.models.standing(rule) {
                Standing::Known => ready.push((place, rule)),
                Standing::Foreign => left.push((place, rule)),
                Standing::Learnable => {
                    left.extend(self.copy(&std::mem::take(&mut ready)).await);
                    let held_back = left.iter().any(|(_, earlier)| earlier.fits(rule));
                    if held_back || !self.learn(place, rule).await {
                        left.push((place, rule));
                    }
                }
            }
        }
        left.extend(self.copy(&ready).await);
        left.sort_unstable_by_key(|(place, _)| *place);
        left
    }

    /// Carries out by netlink what can be; answers what is left.
    async fn copy<'r>(&mut self, rules: &[(usize, &'r Rule)]) -> Vec<(usize, &'r Rule)> {
        let Some((first, _)) = rules
            .iter()
            .find(|(_, rule)| rule.deletes())
            .or(rules.first())
        else {
            return Vec::new();
        };
        let changes: Vec<&Rule> = rules.iter().map(|(_, rule)| *rule).collect();
        let results = {
            let _turn = self
                .executor
                .turn("", &self.plans[*first], Nature::Change)
                .await;
            self.executor.common.models.apply(&changes)
        };
        let mut left = Vec::new();
        for (&(place, rule), done) in rules.iter().zip(results) {
            match done {
                true => self.succeeded(place),
                false => left.push((place, rule)),
            }
        }
        left
    }

    /// Has the program make one rule, where there is something to be learned from it; answers
    /// whether it was made.
    async fn learn(&mut self, place: usize, rule: &Rule) -> bool {
        let executor = self.executor;
        let Some(lesson) = executor.common.models.lesson(rule) else {
            return false;
        };
        self.transactions(iptables::transactions(&[rule]), &[place])
            .await;
        if self.done[place] {
            lesson.end();
        }
        self.done[place]
    }

    /// Writes a chain anew; answers whether that was possible. Nobody of this process changes the
    /// firewall between reading and writing it.
    async fn sweep(&mut self, sweep: &Sweep<'_>, rules: &[(usize, &Rule)]) -> bool {
        let Some(first) = sweep.positions().next() else {
            return true;
        };
        let _turn = self
            .executor
            .turn("", &self.plans[rules[first].0], Nature::Change)
            .await;
        let limit = shell::limit(self.timeout);
        let Some(printed) = print_table(&sweep.save(), limit).await else {
            return false;
        };
        let Some(transaction) = sweep.transaction(&printed) else {
            return false;
        };
        let restore = Invocation {
            input: Some(transaction.input.as_bytes()),
            ..Invocation::new(&transaction.arguments, limit)
        };
        match restore.run().await {
            Ok(finished) if finished.ending == ExitOutcome::Code(0) => {
                for &member in &transaction.members {
                    self.succeeded(rules[member].0);
                }
                true
            }
            _ => false,
        }
    }

    async fn members(&mut self, members: &[(usize, &Member)]) {
        let Some((first, _)) = members.first() else {
            return;
        };
        let changes: Vec<&Member> = members.iter().map(|(_, member)| *member).collect();
        let results = {
            let _turn = self
                .executor
                .turn("", &self.plans[*first], Nature::Change)
                .await;
            self.executor.apply(self.action, &changes)
        };
        let mut rest = Vec::new();
        for ((place, member), done) in members.iter().zip(results) {
            match done {
                true => self.succeeded(*place),
                false => rest.push((*place, *member)),
            }
        }
        // where one is left over, the program can say what is wrong with it
        if rest.len() < 2 {
            return;
        }
        let changes: Vec<&Member> = rest.iter().map(|(_, member)| *member).collect();
        let places: Vec<usize> = rest.iter().map(|(place, _)| *place).collect();
        self.transactions(sets::transactions(&changes), &places)
            .await;
        let refcounts = &self.executor.common.refcounts;
        for (_, member) in rest.iter().filter(|(place, _)| self.done[*place]) {
            refcounts.note(self.executor.owner(self.action), *member);
        }
    }

    /// Runs transactions one after the other; one that fails holds back those that follow it.
    /// `places` tells which commands their members are.
    async fn transactions(&mut self, transactions: Vec<Transaction>, places: &[usize]) {
        let mut failed: Vec<Transaction> = Vec::new();
        for transaction in transactions {
            let Some(first) = transaction.members.first() else {
                continue;
            };
            if failed.iter().any(|earlier| transaction.follows(earlier)) {
                continue;
            }
            let _turn = self
                .executor
                .turn("", &self.plans[places[*first]], Nature::Change)
                .await;
            let invocation = Invocation {
                input: Some(transaction.input.as_bytes()),
                ..Invocation::new(&transaction.arguments, shell::limit(self.timeout))
            };
            match invocation.run().await {
                Ok(finished) if finished.ending == ExitOutcome::Code(0) => {
                    for &member in &transaction.members {
                        self.succeeded(places[member]);
                    }
                }
                Ok(finished) => {
                    let count = transaction.members.len();
                    let why = String::from_utf8_lossy(&finished.stderr).into_owned();
                    debug!(
                        TARGET,
                        "{count} changes are tried one by one: {}",
                        why.trim_end()
                    );
                    failed.push(transaction);
                }
                Err(error) => {
                    debug!(TARGET, "{}: {error}", transaction.arguments.join(" "));
                    failed.push(transaction);
                }
            }
        }
    }

    fn succeeded(&mut self, place: usize) {
        self.executor.patience.progress();
        let script = &self.plans[place].script;
        record!(Level::LowDebug, TARGET, "{}", script.shown());
        CommandLog::new(script).succeeded();
        self.done[place] = true;
    }
}
