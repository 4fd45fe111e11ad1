//! The deciding half of a jail: failures and times in, decisions out. No files, no tasks, no
//! clock, so that the daemon and a replay of old logs decide alike.
//!
//! The outside world comes in as values: addresses of names and of this machine, contents of
//! `file:` lists, and what the database knows of an id ([`Past`]).
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::bans::{Added, BanList, end_of};
use super::counter::{Counter, Offence};
use super::decision::Decision;
use super::ignore::{IgnoreCache, IgnoreList, Known};
use super::increment::Increment;
use super::prefix::BanPrefix;
use super::settings;
use crate::action::JailFigures;
use crate::address::Address;
use crate::control::Value;
use crate::datetime::duration::Number;
use crate::filter::{Clock, Failure, FailureId, Filter};
use crate::pattern::UseDns;
use crate::store::BanHistory;
use crate::ticket::{BanTime, Fields, MatchLine, Ticket, Timestamp};

/// Bans lifted in one go, so that new bans need not wait behind thousands of old ones (fact B9).
const UNBAN_BATCH: usize = 20;

/// Seconds between two checks of the actions (fact B8).
const CHECK_INTERVAL: f64 = 3.0;

/// What is known of an id from earlier bans; matters only with `bantime.increment`.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// In this jail.
    pub here: Option<BanHistory>,
    /// In all jails together.
    pub everywhere: Option<BanHistory>,
}

/// Whether an id is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignorance {
    /// It is not.
    No,
    /// It is, by this rule.
    By(String),
    /// It is, as was found (and logged) before.
    Known,
    /// This command has to be asked; tags are not yet expanded.
    Ask(String),
}

/// A jail without its task.
#[derive(Debug)]
pub struct JailCore {
    pub(super) name: String,
    pub(super) filter: Filter,
    pub(super) counter: Counter,
    pub(super) bans: BanList,
    pub(super) increment: Increment,
    pub(super) ignore: IgnoreList,
    pub(super) ignore_cache: Option<IgnoreCache>,
    pub(super) ignore_command: Option<String>,
    pub(super) find_time: Number,
    pub(super) prefix: BanPrefix,
    pub(super) unban_when_quiet: bool,
    pub(super) encoding: String,
    pub(super) timezone: Value,
    /// As it was set, if it was.
    pub(super) datepattern: Option<String>,
    pub(super) has_database: bool,
    pub(super) known: Known,
    /// When actions are to be told of longer bans.
    prolongs: BinaryHeap<Reverse<(u64, Address)>>,
    last_check: Timestamp,
    random: fastrand::Rng,
}

impl JailCore {
    /// A jail with the server's defaults. Without a database bans are never increased.
    pub fn new(name: &str, has_database: bool) -> JailCore {
        JailCore {
            name: name.to_owned(),
            filter: Filter::new(name),
            counter: Counter::default(),
            bans: BanList::default(),
            increment: Increment::default(),
            ignore: IgnoreList::default(),
            ignore_cache: None,
            ignore_command: None,
            find_time: Number::Int(600),
            prefix: BanPrefix::default(),
            unban_when_quiet: false,
            encoding: super::decode::default_encoding(),
            timezone: Value::None,
            datepattern: None,
            has_database,
            known: Known::default(),
            prolongs: BinaryHeap::new(),
            last_check: f64::NEG_INFINITY,
            random: fastrand::Rng::new(),
        }
    }

    /// The name of the jail.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The encoding of its logs.
    pub fn encoding(&self) -> &str {
        &self.encoding
    }

    /// What it reads is a journal: the time of a line is known without looking for dates.
    pub fn read_journal(&mut self) {
        self.filter.disable_dates();
    }

    /// How long failures count, in seconds.
    pub fn find_time(&self) -> f64 {
        self.counter.find_time
    }

    /// How much the failures of an id weigh by now, and at how much it is banned.
    pub fn standing(&self, id: &Address) -> (f64, i64) {
        (self.counter.standing(id), self.counter.max_retry)
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

    /// Failures in a line (without its line end), names not yet resolved. `date` as in
    /// [`Filter::process_line`].
    pub fn line(
        &mut self,
        line: &str,
        date: Option<(&str, Timestamp)>,
        now: Timestamp,
        in_operation: bool,
    ) -> Vec<Failure> {
        let clock = Clock {
            now,
            in_operation,
            findtime: self.counter.find_time,
        };
        self.filter.process_line(line, date, &clock)
    }

    /// Judges a failure that needs nothing from outside: names that are not resolved and
    /// `ignorecommand` count for nothing.
    pub fn failure(&mut self, failure: &Failure, past: &Past, now: Timestamp) -> Vec<Decision> {
        let FailureId::Address(id) = &failure.id else {
            return Vec::new();
        };
        match self.ignored(id, None, now) {
            Ignorance::By(by) => vec![Decision::Ignored { id: id.clone(), by }],
            Ignorance::Known => Vec::new(),
            Ignorance::No | Ignorance::Ask(_) => self.count(
                id,
                failure.time,
                &failure.matches,
                &failure.fields,
                past,
                now,
            ),
        }
    }

    /// Whom a failure of this id counts against: its network where networks are banned, unless
    /// something inside of that is ignored.
    pub fn ban_id(&self, id: &Address) -> Address {
        match self.prefix.network(id) {
            Some(Address::Net(net)) if !self.ignore.reaches_into(&net, &self.known) => {
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
        matches: &[MatchLine],
        fields: &Fields,
        past: &Past,
        now: Timestamp,
    ) -> Vec<Decision> {
        let banned = self.ban_id(id);
        let offence = Offence {
            id: &banned,
            time: time.min(now),
            matches,
            fields,
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
        past: &Past,
        now: Timestamp,
    ) -> Vec<Decision> {
        let matches: Vec<_> = lines.iter().cloned().map(MatchLine::Text).collect();
        let offence = Offence {
            id: &self.ban_id(id),
            time: now,
            matches: &matches,
            fields: &Fields::new(),
            weight: lines.len().max(1) as f64,
        };
        let mut decisions = Vec::new();
        self.offend(&offence, past, now, &mut decisions);
        decisions
    }

    fn offend(
        &mut self,
        offence: &Offence<'_>,
        past: &Past,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        let retry = self.counter.add(offence, now);
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
        past: &Past,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        let Some(history) = past.here.as_ref().filter(|_| self.increment.enabled()) else {
            return;
        };
        // a line that was read before, or whose ban was restored
        if offence.time <= history.timeofban {
            return;
        }
        let weight = Increment::weight(history.bancount, self.counter.max_retry);
        if weight.as_f64() <= 1.0 {
            return;
        }
        decisions.push(Decision::FoundBad {
            id: offence.id.clone(),
            time: offence.time,
            bans: history.bancount,
            weight,
            enough: self.counter.is_enough(weight.as_f64()),
        });
        let extra = weight.as_f64() - 1.0;
        let retry = self.counter.weigh(offence.id, extra, history.bancount);
        if retry.is_some_and(|retry| self.counter.is_enough(retry)) {
            self.ban_counted(offence.id, past, now, decisions);
        }
    }

    fn ban_counted(
        &mut self,
        id: &Address,
        past: &Past,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        if let Some(ticket) = self.counter.take(id) {
            self.ban(ticket, past, now, decisions);
        }
    }

    /// Bans a ticket: counted, restored or made by hand. True when that is a new ban.
    pub fn ban(
        &mut self,
        mut ticket: Ticket,
        past: &Past,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) -> bool {
        match self.bans.add(&mut ticket, now) {
            Added::New => {
                self.begin_ban(ticket, past, now, decisions);
                true
            }
            Added::Expired => {
                decisions.push(Decision::Expired(ticket.id));
                false
            }
            Added::Already { age } => {
                let check = age > CHECK_INTERVAL && now > self.last_check + CHECK_INTERVAL;
                if check {
                    self.last_check = now;
                }
                if let Some(ticket) = self.bans.get(&ticket.id) {
                    decisions.push(Decision::Already { ticket, age, check });
                }
                false
            }
        }
    }

    fn begin_ban(
        &mut self,
        mut ticket: Ticket,
        past: &Past,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        let base = self.bans.default_length();
        // a ticket with a length of its own is a restored one: nothing about it is new
        let increase = match (ticket.bantime, base) {
            (None, BanTime::Seconds(seconds)) => self.increased(&ticket, seconds as i64, past),
            _ => None,
        };
        ticket.bantime = Some(ticket.bantime.unwrap_or(base));
        let figures = self.figures();
        let Some(increase) = increase else {
            if !ticket.restored {
                decisions.push(Decision::Record(ticket.clone()));
            }
            decisions.push(Decision::Ban { ticket, figures });
            return;
        };
        let length = settings::ban_time_of(increase.length);
        let end = end_of(ticket.time, length);
        // actions see the count that goes to the database
        ticket.bancount = increase.bans + 1;
        self.bans.lengthen(&ticket.id, length, ticket.bancount);
        let mut record = ticket.clone();
        record.bantime = Some(length);
        if !increase.read_again && end >= now {
            decisions.push(Decision::Record(record));
        }
        let id = ticket.id.clone();
        decisions.push(Decision::Ban { ticket, figures });
        if !increase.read_again {
            decisions.push(Decision::Bad {
                id: id.clone(),
                bans: increase.bans,
                last: increase.last,
                from: increase.from,
                to: increase.length,
            });
        }
        if increase.changed() && end >= now {
            let by = increase.length.as_f64() - increase.from.as_f64();
            let due = now + (by - 5.0).clamp(0.0, 10.0);
            self.prolongs.push(Reverse((due.ceil() as u64, id.clone())));
            decisions.push(Decision::Increase {
                id,
                bans: increase.bans + 1,
                length: increase.length,
                end,
            });
        }
    }

    /// How much longer an id is banned that was banned before (fact B12).
    fn increased(&mut self, ticket: &Ticket, base: i64, past: &Past) -> Option<Increased> {
        if !self.increment.enabled() || base <= 0 {
            return None;
        }
        let history = if self.increment.overall() {
            past.everywhere.as_ref()
        } else {
            past.here.as_ref()
        }?;
        let from = Number::Int(base);
        let length = if history.bancount > 0 {
            self.increment
                .time(base, history.bancount, self.random.f64())
        } else {
            from
        };
        Some(Increased {
            bans: history.bancount,
            last: history.timeofban,
            from,
            length,
            read_again: ticket.time <= history.timeofban,
        })
    }

    /// Makes a stored ban fit for being restored: its length limited to what the jail allows now,
    /// its matches cut (fact B16). `None` when it is over.
    pub fn restorable(&self, mut ticket: Ticket, now: Timestamp) -> Option<Ticket> {
        let base = self.bans.default_length();
        let limit = if ticket.fields.contains_key(settings::BY_HAND) {
            None
        } else if self.increment.enabled() {
            self.increment.maxtime().map(settings::ban_time_of)
        } else {
            Some(base)
        };
        let stored = ticket.bantime.unwrap_or(base);
        let length = match (stored, limit) {
            (BanTime::Seconds(seconds), Some(BanTime::Seconds(limit))) => {
                BanTime::Seconds(seconds.min(limit))
            }
            (BanTime::Permanent, Some(BanTime::Seconds(limit))) => BanTime::Seconds(limit),
            (stored, _) => stored,
        };
        if end_of(ticket.time, length) <= now {
            return None;
        }
        let keep = usize::try_from(self.counter.max_matches).unwrap_or(0);
        let surplus = ticket.matches.len().saturating_sub(keep);
        ticket.matches.drain(..surplus);
        ticket.bantime = Some(length);
        ticket.restored = true;
        Some(ticket)
    }

    /// Whether [`Past`] matters for bans.
    pub fn wants_past(&self) -> bool {
        self.has_database && self.increment.enabled()
    }

    /// Whether bans of other jails count too.
    pub fn wants_past_everywhere(&self) -> bool {
        self.wants_past() && self.increment.overall()
    }

    /// What is due by now: bans that are over, actions to be told of longer bans; forgets failures
    /// that are out of date. Some bans may remain: ask [`JailCore::next_due`].
    pub fn due(&mut self, now: Timestamp) -> Vec<Decision> {
        let mut decisions = Vec::new();
        while let Some(Reverse((due, _))) = self.prolongs.peek()
            && *due as f64 <= now
        {
            if let Some(Reverse((_, id))) = self.prolongs.pop()
                && let Some(ticket) = self.bans.get(&id)
            {
                decisions.push(Decision::Prolong(ticket));
            }
        }
        match self.unban_when_quiet {
            true => decisions.extend(self.ask_about_ended(now)),
            false => {
                let over = self.bans.take_due(now, UNBAN_BATCH);
                decisions.extend(over.into_iter().map(Decision::Unban));
            }
        }
        if self.counter.stale_at().is_some_and(|stale| stale <= now) {
            self.counter.clean_up(now, true);
        }
        decisions
    }

    /// When [`JailCore::due`] has to be asked next: a ban is over just after its last moment.
    pub fn next_due(&mut self) -> Option<Timestamp> {
        let prolong = self.prolongs.peek().map(|Reverse((due, _))| *due as f64);
        let over = self.bans.next_end().map(f64::next_up);
        [over, prolong, self.counter.stale_at()]
            .into_iter()
            .flatten()
            .reduce(f64::min)
    }

    /// Whether an id is banned.
    pub fn is_banned(&self, id: &Address) -> bool {
        self.bans.contains(id)
    }

    /// Banned ids in order of arrival.
    pub fn banned_ids(&self) -> Vec<&Address> {
        self.bans.ids()
    }

    /// Tickets of all bans in order of arrival.
    pub fn banned_tickets(&self) -> Vec<Ticket> {
        self.bans.tickets()
    }

    /// The ticket of one ban.
    pub fn banned_ticket(&self, id: &Address) -> Option<Ticket> {
        self.bans.get(id)
    }

    /// Lifts one ban.
    pub fn unban(&mut self, id: &Address) -> Option<Ticket> {
        self.bans.remove(id)
    }

    /// Forgets the failures of an id; whether there were any.
    pub fn forget_failures(&mut self, id: &Address) -> bool {
        self.counter.take(id).is_some()
    }

    /// Makes the present ban of an id its first; the ban, for the database.
    pub fn forget_earlier_bans(&mut self, id: &Address) -> Option<Ticket> {
        let ticket = self.bans.get(id)?;
        if let Some(length) = ticket.bantime {
            self.bans.lengthen(id, length, 1);
        }
        self.bans.get(id)
    }

    /// Lifts all bans.
    pub fn unban_all(&mut self) -> Vec<Ticket> {
        self.prolongs.clear();
        self.bans.take_all()
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

/// The outcome of `bantime.increment` for one ban.
struct Increased {
    bans: u32,
    last: Timestamp,
    from: Number,
    length: Number,
    /// The failure is not newer than the last ban: its line was read a second time.
    read_again: bool,
}

impl Increased {
    fn changed(&self) -> bool {
        self.length.as_f64() != self.from.as_f64()
    }
}
