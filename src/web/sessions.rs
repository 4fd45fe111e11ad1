//! Who has logged in, and who tries too often.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::users::{UsersError, WebUser, hex, random};

/// Sessions at the same time; the one that rested longest makes room.
const SESSIONS: usize = 256;
/// A session that nobody uses ends after so long.
const REST: Duration = Duration::from_secs(2 * 3600);
/// And every one after so long.
pub const LIFE: Duration = Duration::from_secs(12 * 3600);
/// So many failed logins of one client ([`WebClient`]) are taken …
const FAILURES: u32 = 5;
/// … in this time.
const WINDOW: Duration = Duration::from_secs(300);
/// Clients that are remembered.
const CLIENTS: usize = 4096;

/// Sessions by what their cookie says.
#[derive(Debug, Default)]
pub struct WebSessions(HashMap<String, WebSession>);

#[derive(Debug)]
struct WebSession {
    user: WebUser,
    begun: Instant,
    used: Instant,
}

impl WebSessions {
    /// Begins one; answers what the cookie says.
    ///
    /// # Errors
    /// No random numbers.
    pub fn begin(&mut self, user: &WebUser, now: Instant) -> Result<String, UsersError> {
        self.0.retain(|_, session| session.lives(now));
        if self.0.len() >= SESSIONS {
            let rested = self.0.iter().min_by_key(|(_, session)| session.used);
            if let Some(id) = rested.map(|(id, _)| id.clone()) {
                self.0.remove(&id);
            }
        }
        let id = hex(&random::<32>()?);
        let user = user.clone();
        self.0.insert(
            id.clone(),
            WebSession {
                user,
                begun: now,
                used: now,
            },
        );
        Ok(id)
    }

    /// Whose it is, as they were when they logged in.
    pub fn user(&mut self, id: &str, now: Instant) -> Option<WebUser> {
        let session = self.0.get_mut(id).filter(|session| session.lives(now))?;
        session.used = now;
        Some(session.user.clone())
    }

    /// Ends one.
    pub fn end(&mut self, id: &str) {
        self.0.remove(id);
    }
}

impl WebSession {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.used) < REST && now.duration_since(self.begun) < LIFE
    }
}

/// One who may be the same: an address, of IPv6 a /64, or whoever comes by a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebClient {
    /// IPv4.
    V4([u8; 4]),
    /// The network of an address of IPv6.
    V6([u8; 8]),
    /// Nobody knows.
    Unknown,
}

impl From<Option<IpAddr>> for WebClient {
    fn from(address: Option<IpAddr>) -> WebClient {
        match address.map(|address| address.to_canonical()) {
            None => WebClient::Unknown,
            Some(IpAddr::V4(address)) => WebClient::V4(address.octets()),
            Some(IpAddr::V6(address)) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                WebClient::V6(network)
            }
        }
    }
}

/// Failed logins of late.
#[derive(Debug, Default)]
pub struct Attempts(HashMap<WebClient, (u32, Instant)>);

impl Attempts {
    /// How long a client has to wait; `None`: it may try.
    pub fn wait(&self, client: WebClient, now: Instant) -> Option<Duration> {
        let (count, since) = self.0.get(&client)?;
        let left = WINDOW.checked_sub(now.duration_since(*since))?;
        (*count >= FAILURES).then_some(left)
    }

    /// One more has failed, or is about to: it is counted first, so that many at once count too.
    pub fn count(&mut self, client: WebClient, now: Instant) {
        if self.0.len() >= CLIENTS && !self.0.contains_key(&client) {
            self.0
                .retain(|_, (_, since)| now.duration_since(*since) < WINDOW);
            if self.0.len() >= CLIENTS {
                self.0.clear();
            }
        }
        let (count, since) = self.0.entry(client).or_insert((0, now));
        if now.duration_since(*since) >= WINDOW {
            (*count, *since) = (0, now);
        }
        *count += 1;
    }

    /// What was counted last has not failed. Failures before that stay: somebody with a password of their own
    /// would guess on at another's.
    pub fn take_back(&mut self, client: WebClient) {
        if let Some((count, _)) = self.0.get_mut(&client) {
            *count = count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::role::Role;
    use super::super::users::{Users, password_line};
    use super::*;

    #[test]
    fn sessions_end_and_are_few() {
        let now = Instant::now();
        let mut sessions = WebSessions::default();
        let line = password_line("anna", Role::Viewer, "right").unwrap();
        let users = Users::parse(Path::new("u"), &line).unwrap();
        let anna = users.by_password("anna", "right").unwrap();
        let id = sessions.begin(&anna, now).unwrap();
        assert_eq!(sessions.user(&id, now).as_ref(), Some(&anna));
        assert_eq!(sessions.user("other", now), None);
        assert_eq!(sessions.user(&id, now + REST), None);
        let mut at = now;
        while at < now + LIFE - REST / 2 {
            at += REST / 2;
            let user = sessions.user(&id, at);
            assert_eq!(user.is_some(), at < now + LIFE);
        }
        for _ in 0..2 * SESSIONS {
            sessions.begin(&anna, at).unwrap();
        }
        assert_eq!(sessions.0.len(), SESSIONS);
        let id = sessions.begin(&anna, at).unwrap();
        sessions.end(&id);
        assert_eq!(sessions.user(&id, at), None);
    }

    #[test]
    fn who_fails_often_has_to_wait() {
        let now = Instant::now();
        let mut attempts = Attempts::default();
        let client = |text: &str| WebClient::from(Some(text.parse::<IpAddr>().unwrap()));
        let (one, same) = (client("2001:db8::1"), client("2001:db8::ffff:2"));
        for _ in 0..FAILURES {
            assert_eq!(attempts.wait(one, now), None);
            attempts.count(one, now);
        }
        assert_eq!(attempts.wait(same, now), Some(WINDOW));
        assert_eq!(attempts.wait(client("192.0.2.1"), now), None);
        assert_eq!(attempts.wait(WebClient::Unknown, now), None);
        assert_eq!(attempts.wait(one, now + WINDOW), Some(Duration::ZERO));
        attempts.count(one, now + WINDOW);
        assert_eq!(attempts.wait(one, now + WINDOW), None);
        attempts.take_back(one);
        for _ in 0..FAILURES {
            assert_eq!(attempts.wait(one, now + WINDOW), None);
            attempts.count(one, now + WINDOW);
        }
        assert!(attempts.wait(one, now + WINDOW).is_some());
        for number in 0..2 * CLIENTS as u32 {
            attempts.count(WebClient::V4(number.to_be_bytes()), now);
        }
        assert!(attempts.0.len() <= CLIENTS);
    }
}
