//! What happens when the check of an action fails: repair, or stop and start again (facts A5–A7,
//! A20–A21).

use super::super::plan::Plan;
use super::operation::Operation;
use super::{ActionError, CommandAction, Context, FamilyKey, STARTED, TARGET};
use crate::{critical, error};

/// What a failed check allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Repair, or stop and start again.
    Allowed,
    /// Only with `actionrepair_on_unban`; else the message, which names what is impossible.
    OnUnban(&'static str),
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckVerdict {
    /// All is well, be it after a repair.
    Sane,
    /// It failed and no repair was wanted.
    NotRepaired,
    /// It failed and could not be repaired.
    Broken,
}

impl CommandAction {
    /// Checks every started family and repairs what is broken; answers whether all is well, be it
    /// after a repair.
    ///
    /// # Errors
    /// The restart failed.
    pub async fn check(
        &mut self,
        repair: Repair,
        context: &mut Context<'_>,
    ) -> Result<bool, ActionError> {
        let mut sane = true;
        if !self.definition.properties.is_true("actioncheck") {
            return Ok(sane);
        }
        for family in self.families_in(|state| state != 0) {
            if self.verify(&family, repair, true, context).await? == CheckVerdict::Broken {
                self.started.insert(family.clone(), 0);
                self.forget_executed("actionstart", &family);
                sane = false;
            }
        }
        Ok(sane)
    }

    /// Runs `actioncheck` for a family; when it fails repairs, or stops and starts again, and
    /// checks once more (facts A6, A7, A20). `force` is off for unbans: families never started are
    /// not looked at and nothing is started that waits for a ban.
    pub(super) async fn verify(
        &mut self,
        family: &FamilyKey,
        repair: Repair,
        force: bool,
        context: &mut Context<'_>,
    ) -> Result<CheckVerdict, ActionError> {
        if !force && family.is_some() && !self.started.contains_key(family) {
            return Ok(CheckVerdict::Sane);
        }
        let check = Plan::of(
            self.operation_command("actioncheck", family, context.names)?
                .into(),
        );
        if check.script.text.is_empty() || self.execute(&check, context).await {
            return Ok(CheckVerdict::Sane);
        }
        if let Repair::OnUnban(what) = repair
            && !self.definition.properties.is_true("actionrepair_on_unban")
        {
            error!(TARGET, "Invariant check failed. {what} is impossible.");
            return Ok(CheckVerdict::NotRepaired);
        }
        error!(
            TARGET,
            "Invariant check failed. Trying to restore a sane environment"
        );
        self.epoch = context.next_epoch();
        let mend = Plan::of(
            self.operation_command("actionrepair", family, context.names)?
                .into(),
        );
        if !mend.script.text.is_empty() {
            if !self.execute(&mend, context).await {
                self.started.insert(family.clone(), 0);
                critical!(TARGET, "Unable to restore environment");
                return Ok(CheckVerdict::Broken);
            }
            self.started.insert(family.clone(), STARTED);
        } else {
            // the check after the start tells whether a failed stop matters
            let _ = match (family, self.started.get_mut(family)) {
                (None, _) => self.stop(context).await,
                (Some(_), Some(state)) => {
                    *state = 0;
                    self.operate(Operation::Stop, vec![family.clone()], context)
                        .await
                }
                (Some(_), None) => Ok(()),
            };
            if force || !self.definition.properties.starts_on_demand() {
                self.start_family(family.clone(), context).await?;
            }
        }
        if self.state(family) != 0 && !self.execute(&check, context).await {
            critical!(TARGET, "Unable to restore environment");
            return Ok(CheckVerdict::Broken);
        }
        Ok(CheckVerdict::Sane)
    }

    /// Families that are started by themselves; where nothing depends on them it is the one without
    /// a name, and it stands for all.
    pub fn started_families(&self) -> Vec<FamilyKey> {
        let mut families = self.families_in(|state| state != 0);
        let all = Some(String::new());
        if families.contains(&all) {
            families.retain(|family| *family == all);
        }
        families
    }

    /// Whether `actioncheck` of a family succeeds, or there is none.
    pub async fn passes_check(&mut self, family: &FamilyKey, context: &mut Context<'_>) -> bool {
        match self.operation_command("actioncheck", family, context.names) {
            Ok(check) if !check.is_empty() && self.definition.properties.is_true("actioncheck") => {
                self.execute(&Plan::of(check.into()), context).await
            }
            _ => true,
        }
    }

    /// Repairs a family, or stops and starts it, without asking whether that is needed. What does
    /// not work shows when its bans are put back.
    pub async fn start_anew(&mut self, family: &FamilyKey, context: &mut Context<'_>) {
        let mend = self.operation_command("actionrepair", family, context.names);
        if let Ok(mend) = mend
            && !mend.is_empty()
            && self.definition.properties.is_true("actionrepair")
        {
            self.execute(&Plan::of(mend.into()), context).await;
            return;
        }
        self.started.insert(family.clone(), 0);
        if context.executor.shares(&self.name) {
            // what others hold there is not to be stopped
            self.forget_executed("actionstart", family);
        } else {
            // half of what is to be stopped is not there any more
            let _ = self
                .operate(Operation::Stop, vec![family.clone()], context)
                .await;
        }
        let _ = self.start_family(family.clone(), context).await;
    }
}
