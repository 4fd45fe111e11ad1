//! From the date found in a line to the time its failure counts for: what is borrowed, clamped or
//! dropped (facts D20–D24).
#![forbid(unsafe_code)]

use super::Clock;
use crate::datetime::duration;
use crate::python::Number;
use crate::ticket::Timestamp;
use crate::warning;

const TARGET: &str = "fail2ban.filter";
const DAY: f64 = 86_400.0;

/// Seconds by which the date of a new line may differ from the present.
const ODD: f64 = 60.0;

/// Lets a message through once per span of time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Once {
    next: Timestamp,
}

impl Once {
    /// Whether a message would go through.
    fn is_due(&self, now: Timestamp) -> bool {
        // a day is the longest span: the clock was set back
        now >= self.next || self.next > now + DAY
    }

    /// True when the last time it was true is at least `span` seconds ago.
    pub(super) fn due(&mut self, now: Timestamp, span: f64) -> bool {
        let due = self.is_due(now);
        if due {
            self.next = now + span;
        }
        due
    }
}

/// The date last seen, and what has been said about odd ones today.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Its text as it stood in the line.
    pub(super) text: String,
    /// Its time.
    pub(super) last: Option<Timestamp>,
    odd: Once,
    old: Once,
    undated: Once,
}

impl Window {
    /// Remembers the date of a line.
    pub(super) fn saw(&mut self, text: &str, time: Timestamp) {
        if self.text != text {
            self.text.clear();
            self.text.push_str(text);
        }
        self.last = Some(time);
    }

    /// The date last seen, while it is fresh enough to be that of an undated line.
    pub(super) fn fresh(&self, now: Timestamp) -> Option<Timestamp> {
        self.last.filter(|last| *last > now - 60.0)
    }

    /// Whether nothing is to be said of lines of these times, the earliest and the latest: then a
    /// line that means nothing leaves nothing behind when another one follows.
    pub(super) fn passes(&self, (first, last): (Timestamp, Timestamp), clock: &Clock) -> bool {
        let is_present = |time: Timestamp| (time - clock.now).trunc().abs() <= ODD;
        match clock.in_operation {
            true => !self.odd.is_due(clock.now) || is_present(first) && is_present(last),
            false => !self.old.is_due(clock.now) || first >= clock.now - clock.findtime,
        }
    }

    /// The time the line counts for; `None`: it is too old (facts D22, D23).
    pub(super) fn judge(
        &mut self,
        jail: &str,
        line: &str,
        time: Timestamp,
        clock: &Clock,
    ) -> Option<Timestamp> {
        let look = || {
            warning!(
                TARGET,
                "[{jail}] Please check a jail for a timing issue. Line with odd timestamp: {line}"
            );
        };
        if clock.in_operation {
            let delta = (time - clock.now).trunc();
            if delta.abs() <= ODD {
                return Some(time);
            }
            if self.odd.due(clock.now, DAY) {
                let span = duration::format(Number::Int(delta.abs() as i64));
                let side = if delta < 0.0 { "before" } else { "after" };
                let kind = if (-3300.0..0.0).contains(&delta) {
                    "latency"
                } else {
                    "timezone"
                };
                warning!(
                    TARGET,
                    "[{jail}] Detected a log entry {span} {side} the current time in operation mode. \
                     This looks like a {kind} problem. Treating such entries as if they just happened."
                );
                look();
            }
            self.last = Some(clock.now);
            return Some(clock.now);
        }
        if time < clock.now - clock.findtime {
            if self.old.due(clock.now, DAY) {
                warning!(
                    TARGET,
                    "[{jail}] Ignoring all log entries older than {}s; these are probably messages \
                     generated while fail2ban was not running.",
                    clock.findtime
                );
                look();
            }
            return None;
        }
        Some(time)
    }

    /// Says once a day that a match had no usable date (fact D21).
    pub(super) fn undated(&mut self, jail: &str, date: &str, line: &str, now: Timestamp) {
        if self.undated.due(now, DAY) {
            let date = super::quote(date);
            warning!(
                TARGET,
                "[{jail}] Found a match but no valid date/time found for {date}."
            );
            warning!(TARGET, "[{jail}] Match without a timestamp: {line}");
            warning!(
                TARGET,
                "[{jail}] Please try setting a custom date pattern (see man page jail.conf(5))."
            );
        }
    }
}
