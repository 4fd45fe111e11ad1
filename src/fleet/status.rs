//! The status of the fleet for clients.

use tokio::sync::oneshot;

use super::Millis;
use super::task::FleetTask;
use crate::control::Value;
use crate::control::command::FleetQuestion;

impl FleetTask {
    /// Answers a client.
    pub(super) fn answer(&self, question: FleetQuestion, reply: oneshot::Sender<Value>) {
        let answer = match question {
            FleetQuestion::Status => self.status(),
            FleetQuestion::Bans => self.bans(),
        };
        // whoever asked may have given up
        let _ = reply.send(answer);
    }

    fn status(&self) -> Value {
        let now = self.now();
        let hosts = self.hosts.iter().map(|(name, host)| {
            dictionary(vec![
                ("host", name.as_str().into()),
                ("seen", seconds(now.0 - host.seen.0)),
                ("bans", count(self.claims.count(name))),
                ("lag", seconds(host.lag.max(0))),
                ("heard", count(host.heard)),
                ("refused", count(host.refused)),
                ("muted", host.is_muted().into()),
            ])
        });
        let (connected, error) = match &self.connected {
            Ok(since) => (Value::Float(*since), Value::None),
            Err(why) => (Value::None, why.as_str().into()),
        };
        dictionary(vec![
            ("fleet", self.settings.fleet.as_str().into()),
            ("host", self.settings.host.as_str().into()),
            ("engine", without_secret(&self.settings.url).into()),
            ("connected", connected),
            ("error", error),
            ("clock", seconds(self.ahead)),
            ("bans", count(self.claims.count(&self.settings.host))),
            ("sent", count(self.sent)),
            ("waiting", count(self.told.len() + self.forward.waiting())),
            ("dropped", count(self.around.link.dropped())),
            ("allowed", count(self.guard.allowed.len())),
            ("signed", self.trusted.is_some().into()),
            ("hosts", Value::List(hosts.collect())),
        ])
    }

    fn bans(&self) -> Value {
        let mut bans: Vec<_> = self.claims.all().collect();
        bans.sort_by(|a, b| (&a.jail, &a.target, &a.host).cmp(&(&b.jail, &b.target, &b.host)));
        let bans = bans.into_iter().map(|claim| {
            let until = match claim.until {
                Millis::NEVER => Value::None,
                until => Value::Float(self.local(until)),
            };
            dictionary(vec![
                ("jail", claim.jail.into()),
                ("id", claim.target.to_string().into()),
                ("host", (&*claim.host).into()),
                ("origin_jail", (&*claim.origin).into()),
                ("until", until),
            ])
        });
        Value::List(bans.collect())
    }
}

/// A URL without user and password.
pub fn without_secret(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return String::new();
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    format!("{scheme}://{rest}")
}

fn dictionary(pairs: Vec<(&str, Value)>) -> Value {
    let pairs = pairs.into_iter();
    Value::Dict(pairs.map(|(key, value)| (key.into(), value)).collect())
}

fn count(number: impl TryInto<i64>) -> Value {
    Value::Int(number.try_into().unwrap_or(i64::MAX))
}

fn seconds(millis: i64) -> Value {
    Value::Float(millis as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_told() {
        for (url, told) in [
            ("redis://h:6379/0", "redis://h:6379/0"),
            ("rediss://mx1:p@ss@h", "rediss://h"),
            ("redis+sentinel://u:p@a,b/m", "redis+sentinel://a,b/m"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock"),
            ("nonsense", ""),
        ] {
            assert_eq!(without_secret(url), told);
        }
    }
}
