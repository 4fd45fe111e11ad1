//! Ed25519 signatures of entries: a host signs with its key, and a host that has public keys configured accepts
//! no unsigned entry. A compromised engine can then withhold entries, but not forge any.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::entry::FleetEntry;

/// Signs the entries of this host.
#[derive(Debug)]
pub struct Signer(Ed25519KeyPair);

/// A key, or a list of keys, that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

impl Signer {
    /// Reads what [`Signer::new_key`] made.
    ///
    /// # Errors
    /// It is no such key.
    pub fn read(text: &str) -> Result<Signer, KeyError> {
        let wrong = || KeyError("this is no key of `ferroban fleet keygen`".to_owned());
        let key = BASE64_STANDARD.decode(text.trim()).map_err(|_| wrong())?;
        let key = Ed25519KeyPair::from_pkcs8(&key).map_err(|_| wrong())?;
        Ok(Signer(key))
    }

    /// The text of a new key.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn new_key() -> Result<String, KeyError> {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let key =
            key.map_err(|_| KeyError("cannot get random numbers from the system".to_owned()))?;
        Ok(BASE64_STANDARD.encode(key.as_ref()))
    }

    /// The public key, as it stands in a list of trusted ones.
    pub fn public(&self) -> String {
        BASE64_STANDARD.encode(self.0.public_key().as_ref())
    }

    /// Signs an entry of this origin.
    pub fn sign(&self, entry: &mut FleetEntry, fleet: &str, origin: &str) {
        let signature = self.0.sign(&entry.signed(fleet, origin));
        entry.signature = BASE64_STANDARD.encode(signature.as_ref());
    }
}

/// The public keys of hosts.
#[derive(Clone, Debug, Default)]
pub struct Trusted(HashMap<String, Vec<u8>>);

impl Trusted {
    /// Reads a list: the name of a host and its key a line; `#` begins a comment.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn read(text: &str) -> Result<Trusted, KeyError> {
        let mut keys = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let pair = line.split_once(char::is_whitespace);
            let pair = pair.and_then(|(host, key)| {
                let key = BASE64_STANDARD.decode(key.trim()).ok()?;
                (key.len() == 32).then(|| (host.to_owned(), key))
            });
            let Some((host, key)) = pair else {
                let wrong = format!("line {} is not HOST KEY", at + 1);
                return Err(KeyError(wrong));
            };
            keys.insert(host, key);
        }
        Ok(Trusted(keys))
    }

    /// Whether an entry is signed by its origin.
    pub fn believes(&self, entry: &FleetEntry, fleet: &str, origin: &str) -> bool {
        let Some(key) = self.0.get(origin) else {
            return false;
        };
        let Ok(signature) = BASE64_STANDARD.decode(&entry.signature) else {
            return false;
        };
        UnparsedPublicKey::new(&ED25519, key)
            .verify(&entry.signed(fleet, origin), &signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Millis;
    use super::super::entry::EntryKind;
    use super::*;

    #[test]
    fn only_the_origin_signs_for_itself() {
        let signer = Signer::read(&Signer::new_key().unwrap()).unwrap();
        let other = Signer::read(&Signer::new_key().unwrap()).unwrap();
        let list = format!(
            "mx1 {} # here\n\nmx2\t{}\n",
            signer.public(),
            other.public()
        );
        let trusted = Trusted::read(&list).unwrap();
        let mut entry = FleetEntry::order(EntryKind::Unban, "192.0.2.1", Millis(5), None);
        assert!(!trusted.believes(&entry, "f", "mx1"));
        signer.sign(&mut entry, "f", "mx1");
        assert!(trusted.believes(&entry, "f", "mx1"));
        assert!(!trusted.believes(&entry, "f", "mx2"));
        assert!(!trusted.believes(&entry, "g", "mx1"));
        assert!(!trusted.believes(&entry, "f", "mx3"));
        entry.target = "192.0.2.2".into();
        assert!(!trusted.believes(&entry, "f", "mx1"));
    }

    #[test]
    fn wrong_keys_are_refused() {
        assert!(Signer::read("nonsense").is_err());
        let error = Trusted::read("# keys\nmx1 short").unwrap_err();
        assert_eq!(error.to_string(), "line 2 is not HOST KEY");
    }
}
