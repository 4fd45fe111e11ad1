//! Changes many routes in one run of `ip -batch`.

use std::time::Duration;

use super::super::{Executor, Nature};
use super::CommandGroup;
use crate::control::Value;
use crate::exec::process::{ExitOutcome, Invocation};
use crate::exec::shell;
use crate::firewall::route::{self, Route};
use crate::firewall::{FirewallChange as _, print_table};

/// Lines of one batch: what the program says of them has to fit into what is kept of its output.
const TOGETHER: usize = 2000;

impl CommandGroup<'_> {
    /// Changes routes, those that others hold only where they must.
    pub(super) async fn routes(&mut self, routes: &[(usize, &Route)]) {
        let Some((first, _)) = routes.first() else {
            return;
        };
        // nobody may begin to hold a route between the look at who does and its removal
        let _turn = self
            .executor
            .turn(self.action, &self.plans[*first], Nature::Change)
            .await;
        let owner = self.executor.owner(self.action);
        let changes: Vec<&Route> = routes.iter().map(|(_, route)| *route).collect();
        let mut refused = Vec::new();
        for round in route::rounds(&changes) {
            let (settled, round): (Vec<usize>, Vec<usize>) = round.into_iter().partition(|&at| {
                self.executor
                    .common
                    .refcounts
                    .is_redundant(owner, changes[at])
            });
            let mut done = settled;
            for round in round.chunks(TOGETHER) {
                let (chosen, input) = route::lines(&changes, round, &refused);
                let failed = self.batch(&changes, &chosen, &input).await;
                done.extend(chosen.iter().filter(|at| !failed.contains(at)));
                refused.extend(failed);
            }
            for at in done {
                self.executor.common.refcounts.note(owner, changes[at]);
                self.succeeded(routes[at].0);
            }
        }
    }

    /// Runs a batch; answers what was refused.
    async fn batch(&self, changes: &[&Route], chosen: &[usize], input: &str) -> Vec<usize> {
        let Some(&first) = chosen.first() else {
            return Vec::new();
        };
        let arguments = changes[first].batch();
        let invocation = Invocation {
            input: Some(input.as_bytes()),
            ..Invocation::new(&arguments, shell::limit(self.timeout))
        };
        let Ok(finished) = invocation.run().await else {
            return chosen.to_vec();
        };
        if finished.ending == ExitOutcome::Code(0) {
            return Vec::new();
        }
        let whole = matches!(finished.ending, ExitOutcome::Code(_));
        let lines = route::refused(&String::from_utf8_lossy(&finished.stderr));
        match lines.filter(|lines| whole && lines.iter().all(|&line| line < chosen.len())) {
            Some(lines) => lines.into_iter().map(|line| chosen[line]).collect(),
            None => chosen.to_vec(),
        }
    }
}

impl Executor {
    /// Whether a route is as it should be since others hold it: it is to stay, or is there already.
    pub(in super::super) async fn stands(
        &self,
        action: &str,
        route: &Route,
        timeout: &Value,
    ) -> bool {
        let owner = self.owner(action);
        if !route.adds() {
            return self.common.refcounts.is_redundant(owner, route);
        }
        self.common.refcounts.is_held_by_others(owner, route)
            && missing(&[(0, route)], shell::limit(timeout))
                .await
                .is_some_and(|missing| missing.is_empty())
    }
}

/// Which of these routes, all of them to come, are not there; `None` when that cannot be told.
pub(super) async fn missing(routes: &[(usize, &Route)], limit: Duration) -> Option<Vec<usize>> {
    let mut printed = String::new();
    let mut shown = Vec::new();
    for (_, route) in routes {
        let show = route.show();
        if !shown.contains(&show) {
            printed.push_str(&print_table(&show, limit).await?);
            shown.push(show);
        }
    }
    let changes: Vec<&Route> = routes.iter().map(|(_, route)| *route).collect();
    let missing = route::absent(&changes, &printed).into_iter();
    Some(missing.map(|at| routes[at].0).collect())
}
