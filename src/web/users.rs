//! The file of users: a line each, `NAME:ROLE:SECRET`. The secret is the hash of a password
//! (`$argon2id$…`) or of a token (`sha256:…`), so who reads the file cannot log in by it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use ring::digest;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::role::Role;

/// A longer name is none, and a longer password is not tried.
pub const LONGEST: usize = 256;

/// What a file of users may have wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// It cannot be read or written.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Its name.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
    /// A line is none.
    #[error("{path}:{line}: {why}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// The system gives no random numbers.
    #[error("cannot get random numbers from the system")]
    Random,
    /// A password that cannot be hashed.
    #[error("this password cannot be used: {0}")]
    Password(argon2::password_hash::Error),
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUser {
    /// The name: letters, digits, `.`, `_`, `-` and `@`.
    pub name: String,
    /// What they may do.
    pub role: Role,
    secret: StoredSecret,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum StoredSecret {
    /// As argon2 writes it.
    Password(String),
    /// SHA-256 in hexadecimal: a token is random and long, nobody guesses it.
    Token(String),
}

/// Users by name; one may have a password and tokens, on lines of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users(Vec<WebUser>);

impl Users {
    /// Reads the lines of a file.
    ///
    /// # Errors
    /// A line that is none.
    pub fn parse(path: &Path, text: &str) -> Result<Users, UsersError> {
        let mut users = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            users.push(WebUser::parse(line).map_err(|why| UsersError::Line {
                path: path.to_owned(),
                line: number,
                why,
            })?);
        }
        Ok(Users(users))
    }

    /// Whom a password belongs to. It takes as long for somebody who is not there.
    pub fn by_password(&self, name: &str, password: &str) -> Option<WebUser> {
        /// Of a password that nobody knows.
        const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$\
                              AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let own = self.0.iter().find_map(|user| match &user.secret {
            StoredSecret::Password(hash) if user.name == name => Some((user, hash.as_str())),
            _ => None,
        });
        let hash = PasswordHash::new(own.map_or(NOBODY, |(_, hash)| hash)).ok()?;
        let matches = Argon2::default().verify_password(password.as_bytes(), &hash);
        own.filter(|_| matches.is_ok())
            .map(|(user, _)| user.clone())
    }

    /// Whom a token belongs to.
    pub fn by_token(&self, token: &str) -> Option<WebUser> {
        let hash = token_hash(token);
        // what a stranger can change is hashed first: the time taken tells nothing of use
        let own =
            |user: &&WebUser| matches!(&user.secret, StoredSecret::Token(own) if *own == hash);
        self.0.iter().find(own).cloned()
    }

    /// Whether somebody is an operator, however they show who they are.
    pub fn is_operator(&self, name: &str) -> bool {
        let mut own = self.0.iter().filter(|user| user.name == name);
        own.any(|user| user.role == Role::Operator)
    }

    /// What somebody may do now who has logged in before; nothing, where their password is another by now.
    pub fn role(&self, before: &WebUser) -> Option<Role> {
        let mut own = self.0.iter();
        let own = own.find(|user| user.name == before.name && user.secret == before.secret);
        own.map(|user| user.role)
    }
}

impl WebUser {
    fn parse(line: &str) -> Result<WebUser, &'static str> {
        const FORM: &str = "a line is NAME:ROLE:SECRET; `ferroban web user add` writes one";
        let (name, rest) = line.split_once(':').ok_or(FORM)?;
        let (role, secret) = rest.split_once(':').ok_or(FORM)?;
        if !is_name(name) {
            return Err("a name has letters, digits, `.`, `_`, `-` and `@` only");
        }
        let secret = match secret.strip_prefix("sha256:") {
            Some(hash) if hash.len() == 64 => StoredSecret::Token(hash.to_ascii_lowercase()),
            Some(_) => return Err("a SHA-256 has 64 digits"),
            None => {
                let hash = PasswordHash::new(secret).map_err(|_| FORM)?;
                if hash.algorithm != argon2::ARGON2ID_IDENT {
                    return Err("the hash of a password is $argon2id$…");
                }
                StoredSecret::Password(secret.to_owned())
            }
        };
        Ok(WebUser {
            name: name.to_owned(),
            role: Role::parse(role).ok_or("a role is viewer or operator")?,
            secret,
        })
    }
}

/// Whether a user may be called that.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "._-@".contains(c);
    !name.is_empty() && name.len() <= LONGEST && name.chars().all(plain)
}

/// The line of a user with a password.
///
/// # Errors
/// No random numbers; a password that argon2 does not take.
pub fn password_line(name: &str, role: Role, password: &str) -> Result<String, UsersError> {
    let salt = SaltString::encode_b64(&random::<16>()?).map_err(UsersError::Password)?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    let hash = hash.map_err(UsersError::Password)?;
    Ok(format!("{name}:{}:{hash}", role.word()))
}

/// A new token, and the line of its user.
///
/// # Errors
/// No random numbers.
pub fn token_line(name: &str, role: Role) -> Result<(String, String), UsersError> {
    let token = format!("fbw_{}", hex(&random::<24>()?));
    let line = format!("{name}:{}:sha256:{}", role.word(), token_hash(&token));
    Ok((token, line))
}

/// Bytes that nobody can guess.
///
/// # Errors
/// The system has none.
pub fn random<const N: usize>() -> Result<[u8; N], UsersError> {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map(|()| bytes).map_err(|_| UsersError::Random)
}

fn token_hash(token: &str) -> String {
    hex(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By what a file has changed: when it was written, and its size.
type State = (SystemTime, u64);

/// A file of users that is read again when it has changed.
#[derive(Debug)]
pub struct UsersFile {
    path: PathBuf,
    read: Mutex<Option<(State, Arc<Users>)>>,
}

impl UsersFile {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn open(path: PathBuf) -> Result<UsersFile, UsersError> {
        let file = UsersFile {
            path,
            read: Mutex::default(),
        };
        file.users()?;
        Ok(file)
    }

    /// The users of now.
    ///
    /// # Errors
    /// It cannot be used any more.
    pub fn users(&self) -> Result<Arc<Users>, UsersError> {
        let failed = |error| UsersError::File {
            path: self.path.clone(),
            error,
        };
        let about = fs::metadata(&self.path).map_err(failed)?;
        let state: State = (about.modified().map_err(failed)?, about.len());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, users)) = &*read
            && *known == state
        {
            return Ok(Arc::clone(users));
        }
        let text = fs::read_to_string(&self.path).map_err(failed)?;
        let users = Arc::new(Users::parse(&self.path, &text)?);
        *read = Some((state, Arc::clone(&users)));
        Ok(users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_tokens_lead_to_their_users() {
        let password = password_line("anna", Role::Operator, "corréct horse").unwrap();
        let (token, line) = token_line("prom", Role::Viewer).unwrap();
        assert!(!line.contains(&token));
        let text = format!("# users\n\n{password}\n{line}\n");
        let users = Users::parse(Path::new("u"), &text).unwrap();
        let anna = users.by_password("anna", "corréct horse").unwrap();
        assert_eq!((anna.name.as_str(), anna.role), ("anna", Role::Operator));
        for (name, word) in [
            ("anna", "other"),
            ("anna", ""),
            ("eve", "corréct horse"),
            ("prom", &token),
        ] {
            assert_eq!(users.by_password(name, word), None, "{name}");
        }
        assert_eq!(users.by_token(&token).unwrap().name, "prom");
        assert_eq!(users.by_token("corréct horse"), None);
        assert_eq!(users.role(&anna), Some(Role::Operator));
        // another password, and another salt with the same
        for password in ["other horse", "corréct horse"] {
            let line = password_line("anna", Role::Operator, password).unwrap();
            let users = Users::parse(Path::new("u"), &line).unwrap();
            assert_eq!(users.role(&anna), None, "{password}");
        }
    }

    #[test]
    fn wrong_lines_are_named() {
        for (line, why) in [
            ("anna", "NAME:ROLE:SECRET"),
            ("anna:admin:sha256:00", "64 digits"),
            ("an na:viewer:x", "letters"),
            ("anna:viewer:secret", "NAME:ROLE:SECRET"),
            (
                "anna:viewer:$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                "argon2id",
            ),
        ] {
            let error = Users::parse(Path::new("u"), &format!("\n{line}")).unwrap_err();
            let error = error.to_string();
            assert!(error.starts_with("u:2: ") && error.contains(why), "{error}");
        }
    }
}
