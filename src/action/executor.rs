//! Executes a command as its plan says: natively where its form is known, otherwise in a shell; one at a time
//! where commands could interfere.
//!
//! The original runs all commands of the whole server one after the other (fact A19), and action files rely on
//! it: two jails with the same action edit the same file. Here commands of actions with the same name wait for
//! each other, and so do all that change the same firewall; the rest runs concurrently. But no change of the
//! firewall waits long for a script that does other things as well. Mails and messages have queues of their
//! own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::common::Common;
use super::confined;
use super::locks::Held;
use super::patience::Patience;
use crate::exec::process::{ExitOutcome, Invocation};
use crate::exec::shell::{self, CommandLog};
use crate::firewall::Change;
use crate::firewall::audit_timer::OwnDeletion;
use crate::firewall::inherited::Inherited;
use crate::firewall::member::{self, Member};
use crate::firewall::place::Owner;
use crate::firewall::sets;
use crate::mail::Mail;
use crate::mail::queue::{MailJob, MailQueue};
use crate::mail::rate_limit::Pacing;
use crate::notice::queue as notices;
use crate::sys::hosts::HostNames;

use super::plan::{Plan, Work};
use crate::control::Value;
use crate::log::Level;
use crate::{debug, error, record};

mod together;

const TARGET: &str = "fail2ban.action";

/// How long a change of the firewall waits for a script that may change it too.
const SCRIPT_PATIENCE: Duration = Duration::from_millis(300);

/// Carries out commands of one action of a jail.
#[derive(Debug)]
pub struct Executor {
    jail: String,
    common: Common,
    /// There when the first mail is.
    mails: Mutex<Option<MailQueue>>,
    /// There when the first message is.
    notices: Mutex<Option<notices::NoticeQueue>>,
    /// Commands that fail are expected to, and nothing is logged of them.
    quiet: bool,
    /// With the action, once it stops.
    patience: Arc<Patience>,
    /// It was said that a command needs what the server has given up.
    hindered: AtomicBool,
}

impl Executor {
    /// For an action of a jail.
    pub fn new(jail: &str, common: Common) -> Executor {
        Executor {
            jail: jail.to_owned(),
            common,
            mails: Mutex::new(None),
            notices: Mutex::new(None),
            quiet: false,
            patience: Arc::default(),
            hindered: AtomicBool::new(false),
        }
    }

    /// What the actions of the server share.
    pub fn common(&self) -> &Common {
        &self.common
    }

    /// The patience with the action.
    pub fn patience(&self) -> Arc<Patience> {
        self.patience.clone()
    }

    /// Whether commands are to be run without a word in the log, whatever comes of them.
    pub fn set_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// Waits, for a limited time, until the mails and messages that still wait are sent.
    pub async fn close(&self) {
        let queue = self
            .notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(queue) = queue {
            queue.close().await;
        }
        let queue = self
            .mails
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(queue) = queue {
            queue.close().await;
        }
    }

    /// Runs a command that answers by its exit code, 0 or 1.
    pub async fn ask(&self, action: &str, plan: &Plan, timeout: &Value) -> Option<i32> {
        let _turn = self.turn(action, plan, Nature::Script).await;
        shell::run(&plan.script, timeout, &[0, 1]).await.code
    }

    /// Runs a command of the action of this name; answers whether it succeeded. An empty command
    /// always does, and so does a mail or a message: it is queued, to go out at this pace.
    pub async fn run(
        &self,
        action: &str,
        plan: &Plan,
        timeout: &Value,
        names: &HostNames,
        pacing: impl FnOnce() -> Pacing,
    ) -> bool {
        record!(Level::LowDebug, TARGET, "{}", plan.script.shown());
        // the configuration's were refused; this one came, or the option went, while the server ran
        if self.common.confined
            && let Some(why) = confined::hindrance(plan)
            && !self.hindered.swap(true, Ordering::Relaxed)
        {
            error!(
                TARGET,
                "Not possible with sandbox = strict, under which the server was started: jail {}, \
                 action {action} {why}. To go without, restart the server with another value",
                self.jail
            );
        }
        match &plan.work {
            Work::Nothing => debug!(TARGET, "Nothing to do"),
            Work::Mail(mail) => {
                let job = MailJob {
                    mail: Mail::clone(mail),
                    action: action.to_owned(),
                    script: plan.script.clone(),
                    timeout: timeout.clone(),
                    pacing: pacing(),
                };
                let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
                mails
                    .get_or_insert_with(|| {
                        MailQueue::spawn(&self.jail, names.clone(), self.common.whois.clone())
                    })
                    .push(job);
            }
            Work::Notice(notice) => match &**notice {
                Ok(notice) => {
                    let job = notices::NoticeJob {
                        notice: notice.clone(),
                        time: shell::limit(timeout),
                        pacing: pacing(),
                    };
                    let mut queue = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
                    queue
                        .get_or_insert_with(|| notices::NoticeQueue::spawn(&self.jail, action))
                        .push(job);
                }
                Err(error) => error!(
                    TARGET,
                    "[{}] action {}: a message cannot be sent: {error}",
                    self.jail,
                    Value::from(action).repr()
                ),
            },
            Work::Change(change) => return self.make(action, plan, change, timeout).await,
            Work::Program(_) => return self.spell_out(action, plan, timeout, Nature::Change).await,
            Work::Shell(_) => return self.spell_out(action, plan, timeout, Nature::Script).await,
        }
        true
    }

    /// Makes a change of the firewall, by the command that it is read from where nothing else serves.
    async fn make(&self, action: &str, plan: &Plan, change: &Change, timeout: &Value) -> bool {
        let report = CommandLog::new(&plan.script);
        if self.stands_already(action, change) {
            report.succeeded();
            return true;
        }
        let _turn = self.turn(action, plan, Nature::Change).await;
        if self.quiet {
            return probe(plan, timeout).await;
        }
        let models = &self.common.models;
        let (made, lesson) = match change {
            Change::Member(member) => (self.apply(action, &[member]) == [true], None),
            Change::Route(route) => (self.stands(action, route, timeout).await, None),
            Change::Rule(rule) => (models.apply(&[rule]) == [true], models.lesson(rule)),
        };
        if made {
            report.succeeded();
        } else if !execute(plan, timeout).await {
            self.patience.progress();
            return false;
        } else if let Some(lesson) = lesson {
            lesson.end();
        }
        self.patience.progress();
        self.common.refcounts.note(self.owner(action), &**change);
        true
    }

    /// Runs a command that is no change of the firewall that is known.
    async fn spell_out(&self, action: &str, plan: &Plan, timeout: &Value, nature: Nature) -> bool {
        let turn = self.turn(action, plan, nature).await;
        if self.quiet {
            return probe(plan, timeout).await;
        }
        let success = execute(plan, timeout).await;
        self.patience.progress();
        // others that use its sets and chains may have lost what they hold
        if turn.deletes.is_some() && self.shares(action) {
            self.common.monitor.trigger_audit();
        }
        success
    }

    pub(super) fn owner<'a>(&'a self, action: &'a str) -> Owner<'a> {
        Owner {
            jail: &self.jail,
            action,
        }
    }

    /// Whether an action uses a set in which others hold members.
    pub fn shares(&self, action: &str) -> bool {
        self.common.refcounts.shares(self.owner(action))
    }

    /// Held while an action looks for what the last server has left, and sees to it: others that
    /// share its chain or set do not use it meanwhile.
    pub(super) async fn clearing(&self) -> Held {
        // no action has such a name
        self.common
            .locks
            .hold("firewall: leftovers", &self.patience)
            .await
    }

    /// What the last server has left.
    pub fn inherited(&self) -> &Inherited {
        self.common.refcounts.inherited()
    }

    /// Whether a ban stands already from the last server; from now on it is the action's.
    fn stands_already(&self, action: &str, change: &Change) -> bool {
        let stands = self.inherited().stands(change);
        if stands {
            self.common.refcounts.note(self.owner(action), &**change);
        }
        stands
    }

    /// An action is stopped.
    pub fn leave(&self, action: &str) {
        self.common.refcounts.leave(self.owner(action));
    }

    /// Changes sets as far as members are not held by others; answers for each change whether it is
    /// as it should be.
    fn apply(&self, action: &str, members: &[&Member]) -> Vec<bool> {
        let owner = self.owner(action);
        let mut done: Vec<bool> = members
            .iter()
            .map(|member| self.common.refcounts.is_redundant(owner, *member))
            .collect();
        let places: Vec<usize> = (0..members.len()).filter(|&at| !done[at]).collect();
        let rest: Vec<&Member> = places.iter().map(|&at| members[at]).collect();
        for (place, result) in places.into_iter().zip(sets::apply(&rest)) {
            done[place] = result;
        }
        for (member, done) in members.iter().zip(&mut done) {
            // that it is in already is an error, but not when it was others who put it in
            if !*done
                && member.kind == member::MemberChange::Add
                && self.common.refcounts.is_held_by_others(owner, *member)
            {
                *done = sets::absent(&[member]).is_some_and(|absent| absent.is_empty());
            }
            if *done {
                self.common.refcounts.note(owner, *member);
            }
        }
        done
    }
}

/// Runs a command as it is spelled out; answers whether it succeeded.
async fn execute(plan: &Plan, timeout: &Value) -> bool {
    if let Some(arguments) = plan.program() {
        let invocation = Invocation::new(&arguments, shell::limit(timeout));
        // what cannot be started is left to the shell, which says so in the usual words
        if let Ok(finished) = invocation.run().await {
            let report = CommandLog::new(&plan.script);
            return report.finished(&finished, timeout, &[0]).success;
        }
    }
    shell::run(&plan.script, timeout, &[0]).await.success
}

/// Runs a command and logs nothing; answers whether it succeeded.
async fn probe(plan: &Plan, timeout: &Value) -> bool {
    let arguments = plan.program();
    let arguments = arguments.unwrap_or_else(|| shell::arguments(&plan.script));
    let invocation = Invocation::new(&arguments, shell::limit(timeout));
    let finished = invocation.run().await;
    finished.is_ok_and(|finished| finished.ending == ExitOutcome::Code(0))
}

/// What a command is that may be about the firewall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    /// A change, or one program: it is done at once.
    Change,
    /// A script: it may do other things as well, and take its time.
    Script,
}

/// Held while a command runs that others must not meet.
struct Turn {
    /// It may delete from the firewall, and the kernel tells of that too.
    deletes: Option<OwnDeletion>,
    _locks: Vec<Held>,
}

impl Executor {
    /// Waits until no other command runs that this one must not meet. A change of the firewall waits
    /// for other changes of the same, for a script only [`SCRIPT_PATIENCE`].
    async fn turn(&self, action: &str, plan: &Plan, nature: Nature) -> Turn {
        let mut locks = Vec::new();
        // calls of one firewall must not overlap: without `-w` iptables gives up when another runs. One that
        // waits for somebody else's lock holds up no other. Always in this order, so that no two wait for
        // each other
        for firewall in plan.firewalls() {
            // no action has such names
            let scripts = format!("firewall: scripts of {firewall}");
            if nature == Nature::Script {
                locks.push(self.common.locks.hold(&scripts, &self.patience).await);
                continue;
            }
            locks.extend(
                timeout(
                    SCRIPT_PATIENCE,
                    self.common.locks.hold(&scripts, &self.patience),
                )
                .await,
            );
            let changes = format!("firewall: changes of {firewall}");
            locks.push(self.common.locks.hold(&changes, &self.patience).await);
        }
        let firewall = !locks.is_empty();
        if !firewall {
            locks.push(self.common.locks.hold(action, &self.patience).await);
        }
        Turn {
            deletes: (firewall && plan.may_delete()).then(|| self.common.monitor.own_deletion()),
            _locks: locks,
        }
    }
}
