//! Carries a command out: natively where its shape is known, else in a shell; one at a time where
//! commands could get into each other's way.
//!
//! The original runs all commands of the whole server one after the other (fact A19), and action
//! files rely on it: two jails with the same action edit the same file. Here commands of actions
//! of one name wait for each other, and so do all that change the firewall; the rest runs side by
//! side. Mails go to a queue of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::firewall::Change;
use super::firewall::holders::{Holder, Holders};
use super::firewall::iptables::Call;
use super::firewall::iptables::copies::{self, Lesson};
use super::firewall::member::{self, Member};
use super::firewall::monitor;
use super::mail::pacing::Pacing;
use super::mail::queue::{Job, Queue};
use super::process::{Ending, Invocation};
use super::shell::{self, Report};
use super::tags::{HostNames, Script};
use super::way::Way;
use crate::control::Value;
use crate::log::Level;
use crate::{debug, record};

mod together;

const TARGET: &str = "fail2ban.action";

/// Programs whose calls must not overlap: without `-w` iptables gives up when another runs.
const FIREWALL: [&str; 5] = ["iptables", "ip6tables", "nft", "ipset", "firewall-cmd"];

type Locks = Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>;

/// Carries out commands of one jail. The locks are those of the whole process.
#[derive(Debug)]
pub struct Executor {
    jail: String,
    holders: Holders,
    /// There when the first mail is.
    mails: Mutex<Option<Queue>>,
    /// Commands that fail are expected to, and nothing is logged of them.
    quiet: bool,
}

impl Executor {
    /// For a jail; what its actions hold of sets is noted among what all hold.
    pub fn new(jail: &str, holders: Holders) -> Executor {
        Executor {
            jail: jail.to_owned(),
            holders,
            mails: Mutex::new(None),
            quiet: false,
        }
    }

    /// Whether commands are to be run without a word in the log, whatever comes of them.
    pub fn set_quiet(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// Waits, for a limited time, until the mails that still wait are sent.
    pub async fn close(&self) {
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
    pub async fn ask(&self, action: &str, script: &Script, timeout: &Value) -> Option<i32> {
        let _turn = turn(action, script).await;
        shell::run(script, timeout, &[0, 1]).await.code
    }

    /// Runs a command of the action of this name; answers whether it succeeded. An empty command
    /// always does, and so does a mail: it is queued, to go out at this pace.
    pub async fn run(
        &self,
        action: &str,
        script: &Script,
        timeout: &Value,
        names: &HostNames,
        pacing: impl FnOnce() -> Pacing,
    ) -> bool {
        record!(Level::LowDebug, TARGET, "{}", script.shown());
        let (member, way) = match Way::of(script) {
            Way::Nothing => {
                debug!(TARGET, "Nothing to do");
                return true;
            }
            Way::Mail(mail) => {
                let job = Job {
                    mail: *mail,
                    action: action.to_owned(),
                    script: script.clone(),
                    timeout: timeout.clone(),
                    pacing: pacing(),
                };
                let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
                mails
                    .get_or_insert_with(|| Queue::spawn(&self.jail, names.clone()))
                    .push(job);
                return true;
            }
            Way::Member(member) => (Some(member), None),
            way @ (Way::Program(_) | Way::Shell(_)) => (None, Some(way)),
        };
        let turn = turn(action, script).await;
        if self.quiet {
            return probe(script, timeout).await;
        }
        if let Some(member) = &member
            && self.apply(action, &[member]) == [true]
        {
            Report::new(script).succeeded();
            return true;
        }
        let change = Change::recognise(script);
        if let Some(Change::Route(route)) = &change
            && self.stands(action, route, timeout).await
        {
            self.holders.note_single(self.holder(action), route);
            Report::new(script).succeeded();
            return true;
        }
        let way = way.unwrap_or_else(|| Way::as_program(script));
        let success = spell_out(script, way, timeout).await;
        match change {
            Some(change) if success => self.holders.note(self.holder(action), &change),
            Some(_) => {}
            // others that use its sets and chains may have lost what they hold
            None if turn.deletes && self.shares(action) => monitor::remind(),
            None => {}
        }
        success
    }

    fn holder<'a>(&'a self, action: &'a str) -> Holder<'a> {
        Holder {
            jail: &self.jail,
            action,
        }
    }

    /// Whether an action uses a set in which others hold members.
    pub fn shares(&self, action: &str) -> bool {
        self.holders.shares(self.holder(action))
    }

    /// An action is stopped.
    pub fn leave(&self, action: &str) {
        self.holders.leave(self.holder(action));
    }

    /// Changes sets as far as members are not held by others; answers for each change whether it is
    /// as it should be.
    fn apply(&self, action: &str, members: &[&Member]) -> Vec<bool> {
        let holder = self.holder(action);
        let mut done: Vec<bool> = members
            .iter()
            .map(|member| self.holders.settles(holder, *member))
            .collect();
        let places: Vec<usize> = (0..members.len()).filter(|&at| !done[at]).collect();
        let rest: Vec<&Member> = places.iter().map(|&at| members[at]).collect();
        for (place, result) in places.into_iter().zip(member::apply(&rest)) {
            done[place] = result;
        }
        for (member, done) in members.iter().zip(&mut done) {
            // that it is in already is an error, but not when it was others who put it in
            if !*done && member.kind == member::Kind::Add && self.holders.hold(holder, *member) {
                *done = member::absent(&[member]).is_some_and(|absent| absent.is_empty());
            }
            if *done {
                self.holders.note_single(holder, *member);
            }
        }
        done
    }
}

/// Runs a command as it is spelled out, or makes the rule it makes; answers whether that succeeded.
/// `way` is that of [`Way::as_program`].
async fn spell_out(script: &Script, way: Way, timeout: &Value) -> bool {
    if let Way::Program(arguments) = way {
        let call = Call { arguments };
        let rule = call.change();
        if let Some(rule) = &rule
            && copies::apply(&[rule]) == [true]
        {
            Report::new(script).succeeded();
            return true;
        }
        let lesson = rule.as_ref().and_then(Lesson::begin);
        let invocation = Invocation::new(&call.arguments, shell::limit(timeout));
        // what cannot be started is left to the shell, which says so in the usual words
        if let Ok(finished) = invocation.run().await {
            let outcome = Report::new(script).finished(&finished, timeout, &[0]);
            if let Some(lesson) = lesson.filter(|_| outcome.success) {
                lesson.end();
            }
            return outcome.success;
        }
    }
    shell::run(script, timeout, &[0]).await.success
}

/// Runs a command and logs nothing; answers whether it succeeded.
async fn probe(script: &Script, timeout: &Value) -> bool {
    let arguments = match Way::as_program(script) {
        Way::Program(arguments) => arguments,
        _ => shell::arguments(script),
    };
    let invocation = Invocation::new(&arguments, shell::limit(timeout));
    let finished = invocation.run().await;
    finished.is_ok_and(|finished| finished.ending == Ending::Code(0))
}

/// Held while a command runs that others must not meet.
struct Turn {
    /// It may delete from the firewall, and the kernel tells of that too.
    deletes: bool,
    _lock: tokio::sync::OwnedMutexGuard<()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.deletes {
            monitor::forget();
        }
    }
}

/// Waits until no other command runs that this one must not meet.
async fn turn(action: &str, script: &Script) -> Turn {
    static LOCKS: OnceLock<Locks> = OnceLock::new();
    let firewall = FIREWALL.iter().any(|program| script.text.contains(program));
    let key = if firewall { "firewall" } else { action };
    let lock = {
        let locks = LOCKS.get_or_init(Locks::default);
        let mut locks = locks.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(key.to_owned()).or_default().clone()
    };
    const DELETING: [&str; 9] = [
        " -D", " -F", " -X", "--delete", "--flush", "delete", "flush", "destroy", " del ",
    ];
    Turn {
        deletes: firewall && DELETING.iter().any(|word| script.text.contains(word)),
        _lock: lock.lock_owned().await,
    }
}
