//! A rate limit for messages.
#![forbid(unsafe_code)]

use std::time::Duration;

use tokio::time::Instant;

/// So many messages in a time; all, if nothing is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(Option<(f64, f64)>);

impl Rate {
    /// `10/minute`; nothing is no limit. `None` of anything else.
    pub fn parse(text: &str) -> Option<Rate> {
        if text.is_empty() {
            return Some(Rate(None));
        }
        let (count, unit) = text.split_once('/')?;
        let count: u32 = count.trim().parse().ok().filter(|count| *count > 0)?;
        let seconds = match unit.trim() {
            "second" => 1.0,
            "minute" => 60.0,
            "hour" => 3600.0,
            "day" => 86_400.0,
            _ => return None,
        };
        Some(Rate(Some((f64::from(count), seconds))))
    }
}

/// Counts messages: at first as many as the rate allows in its time at once, then one after the other.
#[derive(Debug)]
pub struct Meter {
    rate: Rate,
    left: f64,
    at: Instant,
}

impl Meter {
    /// Nothing has been sent.
    pub fn new(rate: Rate, now: Instant) -> Meter {
        Meter {
            rate,
            left: rate.0.map_or(0.0, |(count, _)| count),
            at: now,
        }
    }

    /// When the next message may go out at this rate.
    pub fn next(&mut self, rate: Rate, now: Instant) -> Instant {
        if rate != self.rate {
            *self = Meter::new(rate, now);
        }
        let Some((count, seconds)) = rate.0 else {
            return now;
        };
        let gained = (now - self.at).as_secs_f64() * count / seconds;
        self.left = (self.left + gained).min(count);
        self.at = now;
        match self.left >= 1.0 {
            true => now,
            false => now + Duration::from_secs_f64((1.0 - self.left) * seconds / count),
        }
    }

    /// A message goes out.
    pub fn count(&mut self) {
        self.left -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_numbers_in_a_time() {
        assert_eq!(Rate::parse(""), Some(Rate(None)));
        assert_eq!(Rate::parse("10/minute"), Some(Rate(Some((10.0, 60.0)))));
        for text in [
            "10",
            "0/minute",
            "-1/day",
            "10/fortnight",
            "x/second",
            "/second",
        ] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn messages_beyond_the_rate_wait() {
        let begin = Instant::now();
        let rate = Rate::parse("2/minute").unwrap();
        let mut meter = Meter::new(rate, begin);
        let mut send = |seconds: u64| {
            let now = begin + Duration::from_secs(seconds);
            let next = meter.next(rate, now);
            if next == now {
                meter.count();
            }
            (next - begin).as_secs_f64().round() as u64
        };
        assert_eq!([0, 0, 0, 29].map(&mut send), [0, 0, 30, 30]);
        assert_eq!(
            [30, 31, 1000, 1000, 1000].map(&mut send),
            [30, 60, 1000, 1000, 1030]
        );
        let all = Rate::parse("").unwrap();
        let mut meter = Meter::new(all, begin);
        assert_eq!(meter.next(all, begin), begin);
    }
}
