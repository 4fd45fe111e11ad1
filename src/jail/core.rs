//! The pure core of a jail: failures and times in, decisions out. No files, no tasks, no clock, so the
//! daemon and a replay of old logs decide alike.
//!
//! What it needs from outside is passed in as values: addresses of names and of this machine, contents
//! of `file:` lists, and the history of an id in the database ([`PriorBans`]).
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::ban_exchange::ExchangeMode;
use super::ban_list::BanList;
use super::counter::{Counter, Offence, RetryLimits};
use super::decision::{Decision, tell};
use super::host_addresses::HostAddresses;
use super::ignore_cache::IgnoreCache;
use super::ignore_list::IgnoreList;
use super::increment::Increment;
use super::log_seeker::LogSeeker;
use super::prefix::BanPrefix;
use super::settings;
use crate::action::JailFigures;
use crate::address::Address;
use crate::control::Value;
use crate::evidence::Evidence;
use crate::evidence::memory::{EvidenceMemory, JailEvidence};
use crate::fields::{Fields, MatchLine};
use crate::filter::{Clock, Failure, FailureId, Filter, FilterRules};
use crate::pattern::UseDns;
use crate::python::encoding::Encoding;
use crate::store::BanHistory;
use crate::ticket::{BanTime, Timestamp};

const FAIL_MANAGER: &str = "fail2ban.failmanager";
/// Seconds by which the clock goes back when it was set, and not just corrected.
const CLOCK_SET: f64 = 1.0;

pub(super) const OBSERVER: &str = "fail2ban.observer";

/// What is known of an id from earlier bans; matters only with `bantime.increment`.
#[derive(Clone, Debug, Default)]
pub struct PriorBans {
    /// In this jail.
    pub here: Option<BanHistory>,
    /// In all jails together.
    pub everywhere: Option<BanHistory>,
}

/// Whether an id is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IgnoreVerdict {
    /// It is not.
    NotIgnored,
    /// It is, by this rule.
    Ignored(String),
    /// It is, as was found (and logged) before.
    Cached,
    /// This command has to be asked; tags are not yet expanded.
    RunCommand(String),
}

/// All that the options of a jail set beside the rules of its filter.
#[derive(Clone, Debug)]
pub(super) struct JailOptions {
    pub limits: RetryLimits,
    pub ban_time: BanTime,
    pub increment: Increment,
    pub prefix: BanPrefix,
    pub unban_when_quiet: bool,
    /// Bans are only said to be made: nothing learns of them but the log and who asks.
    pub simulate: bool,
    pub fleet: ExchangeMode,
    pub crowdsec: ExchangeMode,
    pub ignore: IgnoreList,
    pub ignore_cache: Option<IgnoreCache>,
    pub ignore_command: Option<String>,
    pub encoding: String,
    pub timezone: Value,
}

impl Default for JailOptions {
    fn default() -> JailOptions {
        JailOptions {
            limits: RetryLimits::default(),
            ban_time: BanTime::Seconds(600.0),
            increment: Increment::default(),
            prefix: BanPrefix::default(),
            unban_when_quiet: false,
            simulate: false,
            fleet: ExchangeMode::default(),
            crowdsec: ExchangeMode::default(),
            ignore: IgnoreList::default(),
            ignore_cache: None,
            ignore_command: None,
            encoding: Encoding::preferred().name,
            timezone: Value::None,
        }
    }
}

/// What the options of a jail were at some time. Counters and bans are not part of it.
#[derive(Clone, Debug)]
pub(super) struct SettingsSnapshot {
    options: JailOptions,
    rules: FilterRules,
}

/// A jail without its task.
#[derive(Debug)]
pub struct JailCore {
    pub(super) name: String,
    pub(super) filter: Filter,
    pub(super) options: JailOptions,
    pub(super) counter: Counter,
    pub(super) bans: BanList,
    pub(super) has_database: bool,
    /// Lines that went through the filter.
    pub(super) lines: u64,
    pub(super) known: HostAddresses,
    /// Counts the evidence of this jail.
    pub(super) evidence: JailEvidence,
    /// When actions are to be told of longer bans.
    pub(super) prolongs: BinaryHeap<Reverse<(u64, Address)>>,
    pub(super) last_check: Timestamp,
    /// The latest time it was told.
    pub(super) latest: Timestamp,
    pub(super) random: fastrand::Rng,
}

impl JailCore {
    /// A jail with the server's defaults. Without a database bans are never increased.
    pub fn new(name: &str, has_database: bool) -> JailCore {
        JailCore {
            name: name.to_owned(),
            filter: Filter::new(name),
            options: JailOptions::default(),
            counter: Counter::default(),
            bans: BanList::default(),
            has_database,
            lines: 0,
            known: HostAddresses::default(),
            evidence: JailEvidence::default(),
            prolongs: BinaryHeap::new(),
            last_check: f64::NEG_INFINITY,
            latest: f64::NEG_INFINITY,
            random: fastrand::Rng::new(),
        }
    }

    /// Counts what is kept as evidence as part of this.
    pub fn keep_evidence_in(&mut self, memory: &EvidenceMemory) {
        self.evidence = memory.jail(&self.name);
        self.counter.keep_in(self.evidence.clone());
        self.bans.keep_in(self.evidence.clone());
    }

    /// What all options are now.
    pub(super) fn snapshot(&self) -> SettingsSnapshot {
        SettingsSnapshot {
            options: self.options.clone(),
            rules: self.filter.rules().clone(),
        }
    }

    /// Makes all options what they were.
    pub(super) fn put_back(&mut self, snapshot: SettingsSnapshot) {
        self.options = snapshot.options;
        self.filter.set_rules(snapshot.rules);
        self.options_changed();
    }

    /// Tells the counter and the bans what they go by.
    pub(super) fn options_changed(&mut self) {
        self.counter.set_limits(self.options.limits);
        self.bans.set_default_length(self.options.ban_time);
    }

    /// The name of the jail.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether bans are only said to be made.
    pub fn simulates(&self) -> bool {
        self.options.simulate
    }

    /// The encoding of its logs.
    pub fn encoding(&self) -> &str {
        &self.options.encoding
    }

    /// What it reads is a journal: the time of a line is known without looking for dates.
    pub fn read_journal(&mut self) {
        self.filter.disable_dates();
    }

    /// How long failures count, in seconds.
    pub fn find_time(&self) -> f64 {
        self.counter.find_time()
    }

    /// How much the failures of an id weigh by now, and at how much it is banned.
    pub fn standing(&self, id: &Address) -> (f64, i64) {
        (self.counter.standing(id), self.options.limits.max_retry)
    }

    /// What becomes of names in logs.
    pub fn usedns(&self) -> UseDns {
        self.filter.usedns()
    }

    /// The jail's bantime.
    pub fn default_ban_time(&self) -> BanTime {
        self.bans.default_length()
    }

    /// Draws `bantime.rndtime` from a known beginning, for a repeatable replay.
    pub fn seed(&mut self, seed: u64) {
        self.random = fastrand::Rng::with_seed(seed);
    }

    /// The dates of lines in its logs.
    pub(super) fn seeker(&mut self, now: Timestamp) -> LogSeeker<'_> {
        let since = now - self.counter.find_time();
        LogSeeker {
            filter: &mut self.filter,
            now,
            since,
            new_file: false,
        }
    }

    /// The time lines are judged against.
    pub(super) fn clock(&self, now: Timestamp, in_operation: bool) -> Clock {
        Clock {
            now,
            in_operation,
            findtime: self.counter.find_time(),
        }
    }

    /// Judges a failure that needs nothing from outside: names that are not resolved and
    /// `ignorecommand` count for nothing.
    pub fn failure(
        &mut self,
        failure: &Failure,
        past: &PriorBans,
        now: Timestamp,
    ) -> Vec<Decision> {
        let FailureId::Address(id) = &failure.id else {
            return Vec::new();
        };
        match self.ignored(id, None, now) {
            IgnoreVerdict::Ignored(by) => vec![Decision::Ignored { id: id.clone(), by }],
            IgnoreVerdict::Cached => Vec::new(),
            IgnoreVerdict::NotIgnored | IgnoreVerdict::RunCommand(_) => self.count(
                id,
                failure.time,
                &Evidence::new(&failure.fields, &failure.matches),
                past,
                now,
            ),
        }
    }

    /// Whom a failure of this id counts against: its network where networks are banned, unless
    /// something inside of that is ignored.
    pub fn ban_id(&self, id: &Address) -> Address {
        match self.options.prefix.network(id) {
            Some(Address::Net(net)) if !self.options.ignore.reaches_into(&net, &self.known) => {
                Address::Net(net)
            }
            _ => id.clone(),
        }
    }

    /// Counts a failure of an id that is not ignored (facts B1, B2, B11).
    pub fn count(
        &mut self,
        id: &Address,
        time: Timestamp,
        evidence: &Evidence,
        past: &PriorBans,
        now: Timestamp,
    ) -> Vec<Decision> {
        let banned = self.ban_id(id);
        let offence = Offence {
            id: &banned,
            time: time.min(now),
            evidence,
            weight: 1.0,
        };
        let mut decisions = vec![Decision::Found {
            id: id.clone(),
            time: offence.time,
        }];
        self.offend(&offence, past, now, &mut decisions);
        decisions
    }

    /// Counts a failure that was reported by command: one try per text, at least one (fact B5).
    pub fn attempt(
        &mut self,
        id: &Address,
        lines: &[String],
        past: &PriorBans,
        now: Timestamp,
    ) -> Vec<Decision> {
        let matches: Vec<_> = lines.iter().cloned().map(MatchLine::Text).collect();
        let offence = Offence {
            id: &self.ban_id(id),
            time: now,
            evidence: &Evidence::new(&Fields::new(), &matches),
            weight: lines.len().max(1) as f64,
        };
        let mut decisions = Vec::new();
        self.offend(&offence, past, now, &mut decisions);
        decisions
    }

    fn offend(
        &mut self,
        offence: &Offence<'_>,
        past: &PriorBans,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        self.notice_clock(now);
        let retry = self.counter.add(offence, now);
        tell(decisions, FAIL_MANAGER, || self.counter.summary());
        if self.counter.is_enough(retry) {
            self.ban_counted(offence.id, past, now, decisions);
        }
        self.weigh(offence, past, now, decisions);
        let forgotten = self.counter.clean_up(now, false);
        if forgotten > 0 {
            decisions.push(Decision::Forgotten(forgotten));
        }
    }

    /// A failure of an id that was banned before counts as 2, 3, 5, 9 … tries (fact B11).
    fn weigh(
        &mut self,
        offence: &Offence<'_>,
        past: &PriorBans,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        if self.wants_past() {
            tell(decisions, OBSERVER, || {
                format!("[{}] Observer: failure found {}", self.name, offence.id)
            });
        }
        let Some(history) = past
            .here
            .as_ref()
            .filter(|_| self.options.increment.enabled())
        else {
            return;
        };
        // a line that was read before, or whose ban was restored
        if history.covers(offence.time, now) {
            tell(decisions, OBSERVER, || {
                format!(
                    "[{}] Ignore failure {} before last ban {:?} < {:?}, restored",
                    self.name, offence.id, offence.time, history.timeofban
                )
            });
            return;
        }
        let weight = Increment::weight(history.bancount, self.options.limits.max_retry);
        if weight.as_f64() <= 1.0 {
            return;
        }
        decisions.push(Decision::RepeatFailure {
            id: offence.id.clone(),
            time: offence.time,
            bans: history.bancount,
            weight,
            enough: self.counter.is_enough(weight.as_f64()),
        });
        let extra = weight.as_f64() - 1.0;
        let retry = self.counter.weigh(offence.id, extra, history.bancount);
        if retry.is_some() {
            tell(decisions, FAIL_MANAGER, || self.counter.summary());
        }
        if retry.is_some_and(|retry| self.counter.is_enough(retry)) {
            self.ban_counted(offence.id, past, now, decisions);
        }
    }

    /// A clock that was set back: failures that are later than now count as of now, and nothing waits
    /// for moments that were near and are far. Bans end when they were to end.
    pub(super) fn notice_clock(&mut self, now: Timestamp) {
        if now < self.latest - CLOCK_SET {
            self.counter.set_back(now);
            self.last_check = f64::NEG_INFINITY;
            let prolongs = std::mem::take(&mut self.prolongs).into_iter();
            let soon = |Reverse((due, id))| Reverse((now.ceil().min(due as f64) as u64, id));
            self.prolongs = prolongs.map(soon).collect();
            self.latest = now;
        }
        self.latest = self.latest.max(now);
    }

    fn ban_counted(
        &mut self,
        id: &Address,
        past: &PriorBans,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        if let Some(ticket) = self.counter.take(id) {
            self.ban(ticket, past, now, decisions);
        }
    }

    /// Whether [`PriorBans`] matters for bans.
    pub fn wants_past(&self) -> bool {
        self.has_database && self.options.increment.enabled()
    }

    /// Whether bans of other jails count too.
    pub fn wants_past_everywhere(&self) -> bool {
        self.wants_past() && self.options.increment.overall()
    }

    /// Counters for tags.
    pub fn figures(&self) -> JailFigures {
        JailFigures {
            bantime: settings::ban_seconds(self.bans.default_length()),
            banned: self.bans.len() as u64,
            banned_total: self.bans.total(),
            found: self.counter.len() as u64,
            found_total: self.counter.total(),
        }
    }
}
