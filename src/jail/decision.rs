//! The decisions of a jail, in order. The task applies them, a replay prints them.
#![forbid(unsafe_code)]

use std::fmt::Write;

use crate::action::JailFigures;
use crate::address::Address;
use crate::datetime::duration;
use crate::datetime::stamp::Stamp;
use crate::log::{self, Level};
use crate::origin::BanOrigin;
use crate::python::Number;
use crate::ticket::{Ticket, Timestamp};

/// One decision. Log texts are facts B1–B13.
#[derive(Clone, Debug)]
pub enum Decision {
    /// A failure was counted.
    Found {
        /// Whose.
        id: Address,
        /// When it happened.
        time: Timestamp,
    },
    /// The failure was counted again because the id was banned before (fact B11).
    RepeatFailure {
        /// Whose.
        id: Address,
        /// When it happened.
        time: Timestamp,
        /// Bans so far.
        bans: u32,
        /// What this failure weighs in all.
        weight: Number,
        /// It weighs enough for a ban of its own.
        enough: bool,
    },
    /// A failure was ignored.
    Ignored {
        /// Whose.
        id: Address,
        /// The rule, as the log names it.
        by: String,
    },
    /// To be written to the database, before the ban that follows is carried out. The ticket has
    /// its final length and count.
    Record(Ticket),
    /// A new or restored ban; the length is the one before any increase (fact B14).
    Ban {
        /// Whom, for how long.
        ticket: Ticket,
        /// The jail's counters at this moment.
        figures: JailFigures,
    },
    /// A ban that would have ended already was not made (fact B7).
    Expired(Address),
    /// The id is banned already (fact B8).
    Already {
        /// The present ban.
        ticket: Ticket,
        /// Seconds from the failure that led to the ban to this one.
        age: f64,
        /// It is time to ask the actions whether they still hold what they should.
        check: bool,
        /// When the ban ends that this failure would have led to.
        until: Timestamp,
    },
    /// How a ban's length was increased.
    KnownOffender {
        /// Whose.
        id: Address,
        /// Bans so far.
        bans: u32,
        /// Time of the last one.
        last: Timestamp,
        /// The jail's bantime.
        from: Number,
        /// The increased one.
        to: Number,
    },
    /// The ban became longer (or, with multipliers, shorter) than the jail's bantime.
    Increase {
        /// Whom.
        id: Address,
        /// Bans, this one included.
        bans: u32,
        /// The new length.
        length: Number,
        /// The new end.
        end: Timestamp,
    },
    /// Actions that want to know of longer bans are told so now (fact B14).
    Prolong(Ticket),
    /// A ban's time is over: the actions are to be asked whether its address is quiet.
    AskQuiet(Ticket),
    /// It is not, and the ban goes on, as long as the ticket says.
    StillActive(Ticket),
    /// A ban is over.
    Unban(Ticket),
    /// So many failing ids had to be forgotten before their time.
    Forgotten(usize),
    /// Nothing happens; it is what a search for a mistake wants to know, and only made when the log
    /// wants it.
    Told {
        /// The logger.
        target: &'static str,
        /// The fact.
        text: String,
    },
}

/// Adds a fact for the log at DEBUG, if that wants it.
pub(super) fn tell(
    decisions: &mut Vec<Decision>,
    target: &'static str,
    text: impl FnOnce() -> String,
) {
    if log::enabled(Level::Debug) {
        let text = text();
        decisions.push(Decision::Told { target, text });
    }
}

impl Decision {
    /// Level, target and text of the log line, if there is one. `simulates`: the jail only says what it
    /// would do. `stamp` serves the lines of one jail.
    pub fn log_line(
        &self,
        jail: &str,
        simulates: bool,
        stamp: &mut Stamp,
    ) -> Option<(Level, &'static str, String)> {
        const FILTER: &str = "fail2ban.filter";
        const ACTIONS: &str = "fail2ban.actions";
        const OBSERVER: &str = "fail2ban.observer";
        Some(match self {
            Decision::Found { id, time } => {
                // of an attack's records nearly all are this one
                let mut text = String::with_capacity(jail.len() + 64);
                // writing to a String cannot fail
                let _ = write!(text, "[{jail}] Found {id} - ");
                text.push_str(shown(*time, stamp));
                (Level::Info, FILTER, text)
            }
            Decision::RepeatFailure {
                id,
                time,
                bans,
                weight,
                enough,
            } => {
                let text = format!(
                    "[{jail}] Found {id}, bad - {}, {bans} # -> {}{}",
                    shown(*time, stamp),
                    number_text(*weight),
                    if *enough { ", Ban" } else { "" }
                );
                (Level::Info, OBSERVER, text)
            }
            Decision::Ignored { id, by } => {
                (Level::Info, FILTER, format!("[{jail}] Ignore {id} by {by}"))
            }
            Decision::Ban { ticket, .. } if simulates => {
                let text = format!("[{jail}] Would ban {}", ticket.id);
                (Level::Notice, ACTIONS, text)
            }
            Decision::Unban(ticket) if simulates => {
                let text = format!("[{jail}] Would unban {}", ticket.id);
                (Level::Notice, ACTIONS, text)
            }
            Decision::Ban { ticket, .. } => {
                let restore = if ticket.restored { "Restore " } else { "" };
                let by = ticket.origin().suffix();
                let text = format!("[{jail}] {restore}Ban {}{by}", ticket.id);
                (level_of(ticket), ACTIONS, text)
            }
            Decision::Expired(id) => {
                let text = format!("[{jail}] Ignore {id}, expired bantime");
                (Level::Info, ACTIONS, text)
            }
            Decision::Already { ticket, age, .. } => {
                let level = match *age {
                    ..3.0 => Level::Debug,
                    ..60.0 => Level::Notice,
                    _ => Level::Warning,
                };
                (
                    level,
                    ACTIONS,
                    format!("[{jail}] {} already banned", ticket.id),
                )
            }
            Decision::KnownOffender {
                id,
                bans,
                last,
                from,
                to,
            } => {
                let text = format!(
                    "[{jail}] IP {id} is bad: {bans} # last {} - incr {} to {}",
                    shown(*last, stamp),
                    duration::format(*from),
                    duration::format(*to)
                );
                (Level::Info, OBSERVER, text)
            }
            Decision::Increase {
                id,
                bans,
                length,
                end,
            } => {
                let (length, end) = if end.is_finite() {
                    (duration::format(*length), shown(*end, stamp).to_owned())
                } else {
                    ("permanent".to_owned(), "infinite".to_owned())
                };
                let text = format!("[{jail}] Increase Ban {id} ({bans} # {length} -> {end})");
                (Level::Notice, OBSERVER, text)
            }
            Decision::Unban(ticket) => (
                level_of(ticket),
                ACTIONS,
                format!("[{jail}] Unban {}", ticket.id),
            ),
            Decision::Forgotten(count) => {
                let text = format!(
                    "[{jail}] too many failing addresses at once: forgot {count} of the oldest"
                );
                (Level::Warning, FILTER, text)
            }
            Decision::StillActive(ticket) => {
                let text = format!("[{jail}] {} keeps trying, its ban goes on", ticket.id);
                (Level::Notice, ACTIONS, text)
            }
            Decision::Told { target, text } => (Level::Debug, *target, text.clone()),
            Decision::Record(_) | Decision::Prolong(_) | Decision::AskQuiet(_) => return None,
        })
    }
}

/// Bans of lists come by the thousand; who gets them says how many.
fn level_of(ticket: &Ticket) -> Level {
    match ticket.origin() {
        BanOrigin::List(_) => Level::Debug,
        _ => Level::Notice,
    }
}

/// A number as Python prints it.
fn number_text(number: Number) -> String {
    match number {
        Number::Int(number) => number.to_string(),
        Number::Float(number) => format!("{number:?}"),
    }
}

/// `2026-11-21 19:00:01` in local time; what lies beyond the year 9999 is its last second (fact
/// B17).
pub fn local_time(time: Timestamp) -> String {
    shown(time, &mut Stamp::default()).to_owned()
}

/// The same by a stamp that serves several.
pub(super) fn shown(time: Timestamp, stamp: &mut Stamp) -> &str {
    const END_OF_TIME: f64 = 253_402_214_400.0;
    let text = match time < END_OF_TIME {
        true => stamp.of(time.floor() as i64),
        false => None,
    };
    text.unwrap_or("9999-12-31 23:59:59")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_originals() {
        let id = Address::parse("192.0.2.1");
        let ticket = Ticket::new(id.clone(), 0.0);
        let restored = Ticket {
            restored: true,
            ..ticket.clone()
        };
        let mut elsewhere = ticket.clone();
        elsewhere.set_origin(&BanOrigin::Fleet("mx2".into()));
        let at = local_time(5.0);
        let already = |age| Decision::Already {
            ticket: ticket.clone(),
            age,
            check: false,
            until: 0.0,
        };
        let ban = |ticket: &Ticket| Decision::Ban {
            ticket: ticket.clone(),
            figures: JailFigures::default(),
        };
        let table = [
            (
                Decision::Found {
                    id: id.clone(),
                    time: 5.7,
                },
                Level::Info,
                "fail2ban.filter",
                format!("[j] Found 192.0.2.1 - {at}"),
            ),
            (
                Decision::RepeatFailure {
                    id: id.clone(),
                    time: 5.0,
                    bans: 2,
                    weight: Number::Float(3.0),
                    enough: true,
                },
                Level::Info,
                "fail2ban.observer",
                format!("[j] Found 192.0.2.1, bad - {at}, 2 # -> 3.0, Ban"),
            ),
            (
                Decision::Ignored {
                    id: id.clone(),
                    by: "ip".into(),
                },
                Level::Info,
                "fail2ban.filter",
                "[j] Ignore 192.0.2.1 by ip".into(),
            ),
            (
                ban(&ticket),
                Level::Notice,
                "fail2ban.actions",
                "[j] Ban 192.0.2.1".into(),
            ),
            (
                ban(&restored),
                Level::Notice,
                "fail2ban.actions",
                "[j] Restore Ban 192.0.2.1".into(),
            ),
            (
                ban(&elsewhere),
                Level::Notice,
                "fail2ban.actions",
                "[j] Ban 192.0.2.1 (by host mx2)".into(),
            ),
            (
                Decision::Expired(id.clone()),
                Level::Info,
                "fail2ban.actions",
                "[j] Ignore 192.0.2.1, expired bantime".into(),
            ),
            (
                already(2.9),
                Level::Debug,
                "fail2ban.actions",
                "[j] 192.0.2.1 already banned".into(),
            ),
            (
                already(3.0),
                Level::Notice,
                "fail2ban.actions",
                "[j] 192.0.2.1 already banned".into(),
            ),
            (
                already(60.0),
                Level::Warning,
                "fail2ban.actions",
                "[j] 192.0.2.1 already banned".into(),
            ),
            (
                Decision::Increase {
                    id: id.clone(),
                    bans: 3,
                    length: Number::Int(8),
                    end: f64::INFINITY,
                },
                Level::Notice,
                "fail2ban.observer",
                "[j] Increase Ban 192.0.2.1 (3 # permanent -> infinite)".into(),
            ),
            (
                Decision::Unban(ticket.clone()),
                Level::Notice,
                "fail2ban.actions",
                "[j] Unban 192.0.2.1".into(),
            ),
        ];
        for (decision, level, target, text) in table {
            assert_eq!(
                decision.log_line("j", false, &mut Stamp::default()),
                Some((level, target, text))
            );
        }
    }

    #[test]
    fn time_ends_with_the_year_9999() {
        assert_eq!(local_time(f64::INFINITY), "9999-12-31 23:59:59");
        assert_eq!(local_time(0.0).len(), 19);
    }
}
