//! What the last server left in the firewall for an action, because it was restarted or killed: taken over if
//! the action is unchanged, otherwise removed by its `actionstop`.

use std::sync::atomic::AtomicU64;

use super::super::common::Common;
use super::super::executor::Executor;
use super::super::info::{BanInfo, History};
use super::super::plan::Plan;
use super::super::properties::Properties;
use super::super::{JailFigures, ticket_batch};
use super::operation::Operation;
use super::{CommandAction, Context, FamilyKey};
use crate::clock::now;
use crate::control::Value;
use crate::exec::shell;
use crate::firewall::place::FirewallPlace;
use crate::firewall::{Change, leftover};
use crate::mail::rate_limit::Pacing;
use crate::notice;
use crate::store::{InstalledStart, Store};
use crate::sys::hosts::HostNames;

const ACTIONS: &str = "fail2ban.actions";

/// What became of what was there.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeftoverFound {
    /// Families whose bans stay in force.
    pub taken_over: usize,
    /// Families that were taken out.
    pub cleared: usize,
}

/// A chain or a set of the action's own.
struct OwnPlaces {
    ban: Change,
    place: FirewallPlace,
    installed: InstalledStart,
    /// Its bans can be told from what the kernel holds, and be lifted one by one.
    readable: bool,
}

impl CommandAction {
    /// Sees to what the last server has left, before the action is started: where it was installed by the
    /// same commands, checks well and can be read, it is taken over as started; else `actionstop` takes
    /// it out.
    pub async fn inherit(&mut self, context: &mut Context<'_>) -> LeftoverFound {
        let timeout = self.definition.properties.timeout();
        let limit = shell::limit(&timeout);
        let mut found = LeftoverFound::default();
        for family in self.definition.properties.families() {
            let Some(own) = self.own(&family, context) else {
                continue;
            };
            let family = Some(family);
            let inherited = context.executor.inherited();
            if !inherited.is_first(&own.place) {
                // the first has seen to it
                if inherited.is_taken(&own.place) && self.take_over(&family, &own, context) {
                    found.taken_over += 1;
                }
                continue;
            }
            if !leftover::is_there(&own.ban, limit).await {
                if leftover::is_gone(&own.ban, limit).await {
                    // somebody else has taken it out
                    for left in inherited.take_left(|left| is_of(left, &own.place)) {
                        context.forget(&left);
                    }
                }
                continue;
            }
            if own.readable
                && inherited.has_left_like(&own.installed)
                && self.passes_check(&family, context).await
                && let Some(bans) = context.executor.all_standing(&own.ban, &timeout).await
            {
                let heir = context.executor.owner(&self.name);
                inherited.take_over(own.place.clone(), heir, bans);
                self.take_over(&family, &own, context);
                found.taken_over += 1;
                continue;
            }
            let others = inherited.take_left(|left| is_of(left, &own.place));
            if others.is_empty() && leftover::is_empty_set(&own.ban) {
                continue;
            }
            for other in &others {
                take_out(other, &timeout, context).await;
            }
            if others.is_empty() || leftover::is_there(&own.ban, limit).await {
                // half of what it takes away may not be there
                let _ = self
                    .operate(Operation::Stop, vec![family.clone()], context)
                    .await;
                self.forget_executed("actionstop", &family);
            }
            found.cleared += 1;
        }
        found
    }

    /// Takes a family over as it was installed; answers whether it was by these commands. Another jail may have
    /// taken over what they made already, and this one's part is not known: the last server was killed in between.
    fn take_over(
        &mut self,
        family: &FamilyKey,
        own: &OwnPlaces,
        context: &mut Context<'_>,
    ) -> bool {
        let inherited = context.executor.inherited();
        let left = inherited.take_like(&own.installed);
        if left.is_none() && !inherited.has_alike(&own.installed) {
            return false;
        }
        self.operated(Operation::Start, family);
        self.taken_over.push(family.clone());
        self.executed
            .entry("actionstart")
            .or_default()
            .insert(family.clone(), own.installed.start.clone());
        self.note_installed(family, context);
        if let Some(left) = left.filter(|left| *left != own.installed) {
            context.forget(&left);
        }
        true
    }

    /// The chain or set that is the action's own for a family.
    fn own(&mut self, family: &str, context: &Context<'_>) -> Option<OwnPlaces> {
        let names = context.names;
        let (ban, text) = ticket_batch::sample(self, "actionban", family, names)?;
        let key = Some(family.to_owned());
        let stop = self.operation_command("actionstop", &key, names).ok()?;
        if !leftover::is_own(&ban, &stop) {
            return None;
        }
        let start = self.operation_command("actionstart", &key, names).ok()?;
        let place = ban.place();
        let readable = ticket_batch::sample(self, "actionunban", family, names)
            .is_some_and(|(unban, _)| unban.lifts(&ban));
        Some(OwnPlaces {
            place,
            readable,
            installed: InstalledStart {
                jail: context.jail.to_owned(),
                action: self.name.clone(),
                family: family.to_owned(),
                start,
                stop,
                ban: text,
            },
            ban,
        })
    }

    /// Remembers, for the server after this one, how a family was installed.
    pub(super) fn note_installed(&mut self, family: &FamilyKey, context: &Context<'_>) {
        if let Some(own) = self.own(family.as_deref().unwrap_or(""), context) {
            context.executor.inherited().add_own(&own.installed);
            if let History::Live(Some(store), _) = context.history {
                store.add_installed(&own.installed);
            }
        }
    }

    /// A family is about to be taken out: half of it is nothing to be taken over.
    pub(super) fn forget_installed(&mut self, family: &FamilyKey, context: &Context<'_>) {
        if let Some(own) = self.own(family.as_deref().unwrap_or(""), context) {
            context.executor.inherited().delete_own(&own.installed);
            context.forget(&own.installed);
        }
    }

    /// Whether all that it has in the firewall can be left for a server to come to take it over.
    pub fn can_be_left(&mut self, context: &Context<'_>) -> bool {
        let families = self.families_in(|state| state != 0);
        matches!(context.history, History::Live(Some(_), _))
            && self.midway.is_none()
            && families.iter().all(|family| {
                // where nothing depends on families, bans of both are in one place
                let own = self.own(family.as_deref().unwrap_or(""), context);
                own.is_some_and(|own| own.readable)
            })
    }
}

/// Whether an action had its bans there.
fn is_of(installed: &InstalledStart, place: &FirewallPlace) -> bool {
    ban_of(installed).is_some_and(|ban| ban.place() == *place)
}

/// What an installed action does about some address.
fn ban_of(installed: &InstalledStart) -> Option<Change> {
    Plan::of(installed.ban.clone().into()).into_change()
}

/// When all actions are started and have restored their bans: takes out what the last server installed for
/// actions that are not there any more, or are configured otherwise.
pub async fn take_out_rest(common: &Common, store: Option<Store>) {
    let inherited = common.refcounts.inherited();
    let history = History::Live(store, common.resolver.clone());
    for left in inherited.take_left(|_| true) {
        let Some(ban) = ban_of(&left) else {
            continue;
        };
        let timeout = Properties::default().timeout();
        let mut executor = Executor::new(&left.jail, common.clone());
        executor.set_quiet(true);
        let context = Context {
            jail: &left.jail,
            names: &HostNames::default(),
            figures: &JailFigures::default(),
            history: &history,
            executor: &executor,
            epoch: &AtomicU64::new(0),
        };
        let _others_wait = executor.clearing().await;
        let limit = shell::limit(&timeout);
        if inherited.has_alike(&left) || leftover::is_gone(&ban, limit).await {
            // others go on with it, or somebody else has taken it out
            if !inherited.has_own(&left) {
                context.forget(&left);
            }
            continue;
        }
        notice!(
            ACTIONS,
            "[{}] action {}: it is not there any more or has been changed, what it left in the firewall is taken out",
            left.jail,
            Value::from(left.action.as_str()).repr()
        );
        take_out(&left, &timeout, &context).await;
        if inherited.is_used(&ban.place()) {
            // what others hold there is gone with it
            common.monitor.trigger_audit();
        }
    }
}

/// Runs the `actionstop` of what the last server installed.
async fn take_out(installed: &InstalledStart, timeout: &Value, context: &Context<'_>) {
    let family = Some(installed.family.as_str()).filter(|family| !family.is_empty());
    let (figures, history) = (context.figures, context.history);
    let mut info = BanInfo::empty(&installed.jail, family, now(), figures, history);
    let stop = Plan::of(info.fill(&installed.stop, context.names).await);
    let pacing = Pacing::default;
    let action = &installed.action;
    // half of what it takes away may not be there
    let executor = context.executor;
    let _ = executor
        .run(action, &stop, timeout, context.names, pacing)
        .await;
    context.forget(installed);
}

impl Context<'_> {
    /// Has the database forget what was installed.
    fn forget(&self, installed: &InstalledStart) {
        if let History::Live(Some(store), _) = self.history {
            store.delete_installed(installed);
        }
    }
}
