//! Who asks, and what they may.

use hyper::http::request::Parts;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See everything.
    Viewer,
    /// Ban, unban and ignore too, where the configuration allows that to anybody.
    Operator,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The name; `None` where nobody needs to log in.
    pub user: Option<String>,
    /// What they may.
    pub role: Role,
    /// Whether they may change something: an operator, and the configuration has `write = true`.
    pub may_write: bool,
    /// What a form of this visitor must carry, so that no other site sends it.
    pub form_token: String,
}

/// Decides who asks.
#[derive(Debug)]
pub struct Door {
    /// For tokens of forms; another one after a start.
    secret: hmac::Key,
    write: bool,
}

impl Door {
    /// `write`: operators may change something.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new(write: bool) -> std::io::Result<Door> {
        let mut secret = [0; 32];
        let filled = SystemRandom::new().fill(&mut secret);
        filled.map_err(|_| std::io::Error::other("the system has no random numbers"))?;
        Ok(Door {
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            write,
        })
    }

    /// Who sent a request; `None`: they have to log in first.
    pub fn access(&self, _request: &Parts) -> Option<Access> {
        Some(self.visitor(None, Role::Viewer, ""))
    }

    /// A visitor, told from others by `session`.
    fn visitor(&self, user: Option<String>, role: Role, session: &str) -> Access {
        Access {
            may_write: self.write && role == Role::Operator && user.is_some(),
            user,
            role,
            form_token: hex(hmac::sign(&self.secret, session.as_bytes()).as_ref()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
