//! The bans of the core: a ban begins (for longer if its id was banned before, fact B12), is restored
//! (fact B16), expires, or is lifted.
//!
//! Pure, as the rest of the core: tickets and times in, decisions out.
#![forbid(unsafe_code)]

use std::cmp::Reverse;

use super::ban_list::{Added, end_of};
use super::core::{JailCore, OBSERVER, PriorBans};
use super::decision::{Decision, tell};
use super::settings;
use crate::address::Address;
use crate::control::Value;
use crate::debug;
use crate::python::Number;
use crate::ticket::{BanTime, Ticket, Timestamp};

/// Bans lifted in one go, so that new bans need not wait behind thousands of old ones (fact B9).
const UNBAN_BATCH: usize = 20;

/// Seconds between two checks of the actions (fact B8).
const CHECK_INTERVAL: f64 = 3.0;

impl JailCore {
    /// Bans a ticket: counted, restored or made by hand. True when that is a new ban.
    pub fn ban(
        &mut self,
        mut ticket: Ticket,
        past: &PriorBans,
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
                let length = ticket.bantime.unwrap_or(self.bans.default_length());
                let until = end_of(ticket.time, length);
                if let Some(ticket) = self.bans.get(&ticket.id) {
                    decisions.push(Decision::Already {
                        ticket,
                        age,
                        check,
                        until,
                    });
                }
                false
            }
        }
    }

    fn begin_ban(
        &mut self,
        mut ticket: Ticket,
        past: &PriorBans,
        now: Timestamp,
        decisions: &mut Vec<Decision>,
    ) {
        let base = self.bans.default_length();
        if !ticket.restored {
            tell(decisions, OBSERVER, || {
                let length = settings::ban_seconds(ticket.bantime.unwrap_or(base));
                let id = &ticket.id;
                format!("[{}] Observer: ban found {id}, {length:.0}", self.name)
            });
        }
        // a ticket with a length of its own is a restored one: nothing about it is new
        let increase = match (ticket.bantime, base) {
            (None, BanTime::Seconds(seconds)) => self.increased(&ticket, seconds as i64, past, now),
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
            decisions.push(Decision::KnownOffender {
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
    fn increased(
        &mut self,
        ticket: &Ticket,
        base: i64,
        past: &PriorBans,
        now: Timestamp,
    ) -> Option<Increased> {
        if !self.options.increment.enabled() || base <= 0 {
            return None;
        }
        let history = if self.options.increment.overall() {
            past.everywhere.as_ref()
        } else {
            past.here.as_ref()
        }?;
        let from = Number::Int(base);
        let length = if history.bancount > 0 {
            self.options
                .increment
                .time(base, history.bancount, self.random.f64())
        } else {
            from
        };
        debug!(
            OBSERVER,
            "IP {} was already banned: {} #, {:?}", ticket.id, history.bancount, history.timeofban
        );
        Some(Increased {
            bans: history.bancount,
            last: history.timeofban,
            from,
            length,
            read_again: history.covers(ticket.time, now),
        })
    }

    /// Makes a stored ban fit for being restored: its length limited to what the jail allows now,
    /// its matches cut (fact B16). `None` when it is over.
    pub fn restorable(&self, mut ticket: Ticket, now: Timestamp) -> Option<Ticket> {
        let base = self.bans.default_length();
        let own_length = ticket.evidence.field(settings::BY_HAND).is_some();
        let limit = if own_length || ticket.origin().is_elsewhere() {
            None
        } else if self.options.increment.enabled() {
            self.options.increment.maxtime().map(settings::ban_time_of)
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
            debug!(
                "fail2ban.database",
                "ignore ticket (with new max ban-time {:?}): too old {:?} <= {now:?}, ticket: {}",
                settings::ban_seconds(length),
                end_of(ticket.time, length),
                ticket.id
            );
            return None;
        }
        let keep = usize::try_from(self.options.limits.max_matches).unwrap_or(0);
        let matches = ticket.matches();
        if matches.len() > keep {
            ticket.set_matches(&matches[matches.len() - keep..]);
            self.evidence.keep(&ticket.evidence);
        }
        ticket.bantime = Some(length);
        ticket.restored = true;
        Some(ticket)
    }

    /// What is due by now: bans that are over, actions to be told of longer bans; forgets failures
    /// that are out of date. Some bans may remain: ask [`JailCore::next_due`].
    pub fn due(&mut self, now: Timestamp) -> Vec<Decision> {
        self.notice_clock(now);
        let mut decisions = Vec::new();
        while let Some(Reverse((due, _))) = self.prolongs.peek()
            && *due as f64 <= now
        {
            if let Some(Reverse((_, id))) = self.prolongs.pop()
                && let Some(ticket) = self.bans.get(&id)
            {
                tell(&mut decisions, OBSERVER, || {
                    let length = ticket.bantime.map_or(0.0, settings::ban_seconds);
                    let id = &ticket.id;
                    format!("[{}] Observer: prolong {id}, {length:.0}", self.name)
                });
                decisions.push(Decision::Prolong(ticket));
            }
        }
        match self.options.unban_when_quiet {
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

    /// Whether anything is banned.
    pub fn bans_any(&self) -> bool {
        self.bans.len() > 0
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
        let bans = self.bans.take_all();
        debug!(
            "fail2ban.actions",
            "  Unbanned {}, {} ticket(s) in {}",
            bans.len(),
            self.bans.len(),
            Value::from(self.name.as_str()).repr()
        );
        bans
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
