//! Who asks, and what they may.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, ORIGIN};
use ring::hmac;
use tokio::sync::Semaphore;

use super::role::Role;
use super::sessions::{Attempts, LIFE, WebClient, WebSessions};
use super::users::{LONGEST, UsersError, UsersFile, hex, random};
use crate::config::web::Web;

/// Passwords that are hashed at the same time: each takes 19 MiB and a core for a while.
const HASHES: usize = 1;
/// The name of the cookie.
const NAME: &str = "ferroban";
/// Letters of a name that the log shows.
const SHOWN: usize = 64;

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
    /// They showed a token, which no browser does by itself: their requests need no `form_token`.
    pub by_token: bool,
}

/// How a request came.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebPeer {
    /// From where; `None`: by a Unix socket.
    pub address: Option<IpAddr>,
    /// By TLS.
    pub encrypted: bool,
}

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessRefusal {
    /// They have to log in.
    Unknown,
    /// Name, password or token is wrong.
    Wrong,
    /// Too many were wrong; they may try again after that.
    Later(Duration),
    /// The name of the host is not ours: a page of a stranger may have given its name to our address.
    Host,
}

/// Decides who asks.
#[derive(Debug)]
pub struct AccessControl {
    /// For tokens of forms; another one after a start.
    secret: hmac::Key,
    write: bool,
    /// `None`: nobody has to log in.
    users: Option<UsersFile>,
    hosts: Vec<String>,
    /// What stands before all paths.
    base: String,
    forwarded: bool,
    logfile: Option<PathBuf>,
    state: Mutex<AccessState>,
    hashing: Semaphore,
}

#[derive(Debug, Default)]
struct AccessState {
    sessions: WebSessions,
    attempts: Attempts,
}

impl AccessControl {
    /// As the configuration says.
    ///
    /// # Errors
    /// The file of users cannot be used; cannot get random numbers from the system.
    pub fn new(web: &Web) -> Result<AccessControl, UsersError> {
        let secret = random::<32>()?;
        let users = web.users.clone().map(UsersFile::open);
        Ok(AccessControl {
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            write: web.write,
            users: users.transpose()?,
            hosts: web.hosts.clone(),
            base: web.base.clone(),
            forwarded: web.forwarded,
            logfile: web.logfile.clone(),
            state: Mutex::default(),
            hashing: Semaphore::new(HASHES),
        })
    }

    /// Whether there are users, so that somebody can log in.
    pub fn has_users(&self) -> bool {
        self.users.is_some()
    }

    fn state(&self) -> MutexGuard<'_, AccessState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// Nobody who may.
    pub fn access(&self, headers: &HeaderMap, peer: WebPeer) -> Result<Access, AccessRefusal> {
        let Some(file) = &self.users else {
            return match self.is_own_host(headers) {
                true => Ok(self.visitor(None, Role::Viewer, "")),
                false => Err(AccessRefusal::Host),
            };
        };
        // a file that has become unusable lets nobody in
        let users = file.users().map_err(|error| {
            self.log(&format!("nobody can log in: {error}"));
            AccessRefusal::Unknown
        })?;
        if let Some(token) = token(headers) {
            let client = WebClient::from(self.client(headers, peer));
            if let Some(left) = self.state().attempts.wait(client, Instant::now()) {
                return Err(AccessRefusal::Later(left));
            }
            if let Some(user) = users.by_token(token) {
                let mut access = self.visitor(Some(user.name), user.role, "");
                access.by_token = true;
                return Ok(access);
            }
            self.state().attempts.count(client, Instant::now());
            self.refused(headers, peer, "a token");
            return Err(AccessRefusal::Wrong);
        }
        let session = cookie(headers).ok_or(AccessRefusal::Unknown)?;
        let user = self.state().sessions.user(session, Instant::now());
        let user = user.ok_or(AccessRefusal::Unknown)?;
        // they may have been taken out meanwhile, or been given another role or password
        let role = users.role(&user).ok_or(AccessRefusal::Unknown)?;
        Ok(self.visitor(Some(user.name), role, session))
    }

    /// Whether somebody may still change something: an operator, and the configuration has `write = true`.
    pub fn may_write(&self, user: &str) -> bool {
        let users = self.users.as_ref().and_then(|file| file.users().ok());
        self.write && users.is_some_and(|users| users.is_operator(user))
    }

    /// A visitor, told from others by `session`.
    fn visitor(&self, user: Option<String>, role: Role, session: &str) -> Access {
        Access {
            may_write: self.write && role == Role::Operator && user.is_some(),
            user,
            role,
            form_token: self.form_token(session),
            by_token: false,
        }
    }

    fn form_token(&self, session: &str) -> String {
        hex(hmac::sign(&self.secret, session.as_bytes()).as_ref())
    }

    /// What the form for logging in must carry.
    pub fn login_token(&self) -> String {
        self.form_token("login")
    }

    /// Logs somebody in; answers the cookie to set.
    ///
    /// # Errors
    /// They may not come in.
    pub async fn login(
        &self,
        headers: &HeaderMap,
        peer: WebPeer,
        name: &str,
        password: &str,
    ) -> Result<String, AccessRefusal> {
        let file = self.users.as_ref().ok_or(AccessRefusal::Unknown)?;
        let client = WebClient::from(self.client(headers, peer));
        {
            let mut state = self.state();
            if let Some(left) = state.attempts.wait(client, Instant::now()) {
                return Err(AccessRefusal::Later(left));
            }
            state.attempts.count(client, Instant::now());
        }
        let users = file.users().map_err(|_| AccessRefusal::Unknown)?;
        let tried = (name.to_owned(), password.to_owned());
        let fits = name.len() <= LONGEST && password.len() <= LONGEST;
        let user = {
            // it is never closed
            let _place = self.hashing.acquire().await;
            let found = tokio::task::spawn_blocking(move || {
                let (name, password) = tried;
                fits.then(|| users.by_password(&name, &password)).flatten()
            });
            found.await.unwrap_or_default()
        };
        let Some(user) = user else {
            self.refused(headers, peer, &format!("user {}", shown(name)));
            return Err(AccessRefusal::Wrong);
        };
        let session = {
            let mut state = self.state();
            state.attempts.take_back(client);
            let session = state.sessions.begin(&user, Instant::now());
            session.map_err(|_| AccessRefusal::Unknown)?
        };
        self.log(&format!(
            "login of {} ({}) from {}",
            shown(&user.name),
            user.role.word(),
            self.place(headers, peer)
        ));
        Ok(self.cookie(&session, LIFE, peer, headers))
    }

    /// Logs somebody out; answers the cookie to set.
    pub fn logout(&self, headers: &HeaderMap, peer: WebPeer) -> String {
        if let Some(session) = cookie(headers) {
            self.state().sessions.end(session);
        }
        self.cookie("", Duration::ZERO, peer, headers)
    }

    fn cookie(&self, value: &str, age: Duration, peer: WebPeer, headers: &HeaderMap) -> String {
        let base = &self.base;
        let outside = header(headers, "x-forwarded-proto") == Some("https") && self.forwarded;
        let secure = if peer.encrypted || outside {
            "; Secure"
        } else {
            ""
        };
        let age = age.as_secs();
        format!("{NAME}={value}; Path={base}/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
    }

    /// Whether a request that changes something was sent by our own page: it carries what only that page
    /// knows, and the browser does not say otherwise.
    pub fn is_own_form(&self, headers: &HeaderMap, wanted: &str, token: Option<&str>) -> bool {
        let site = header(headers, "sec-fetch-site");
        let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
        let own_origin = origin.is_none_or(|origin| {
            let (_, host) = origin.split_once("://").unwrap_or_default();
            header(headers, HOST.as_str()) == Some(host)
        });
        let same = token.is_some_and(|token| {
            let digest = |text: &str| hmac::sign(&self.secret, text.as_bytes());
            digest(token).as_ref() == digest(wanted).as_ref()
        });
        same && own_origin && site.is_none_or(|site| site == "same-origin")
    }

    /// Without users all that keeps strangers out is the address we listen at. A page of theirs may have
    /// their own name lead to it, but not an address, nor `localhost`.
    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = header(headers, HOST.as_str()) else {
            return true;
        };
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => host.split(':').next().unwrap_or_default(),
        };
        let name = name.to_ascii_lowercase();
        name == "localhost" || name.parse::<IpAddr>().is_ok() || self.hosts.contains(&name)
    }

    /// Who asks, as far as is known.
    fn client(&self, headers: &HeaderMap, peer: WebPeer) -> Option<IpAddr> {
        if self.forwarded {
            // the web server before us adds the last; what stands before that anybody may have written
            let all = headers.get_all("x-forwarded-for").iter().next_back()?;
            let last = all.to_str().ok()?.rsplit(',').next()?;
            return last.trim().parse().ok();
        }
        peer.address
    }

    fn place(&self, headers: &HeaderMap, peer: WebPeer) -> String {
        let client = self.client(headers, peer);
        client.map_or_else(
            || "unknown".to_owned(),
            |address| address.to_canonical().to_string(),
        )
    }

    /// A line that the jail `ferroban-web` reads. The address stands before all that a stranger writes.
    fn refused(&self, headers: &HeaderMap, peer: WebPeer, what: &str) {
        self.log(&format!(
            "login refused for {}: {what}",
            self.place(headers, peer)
        ));
    }

    fn log(&self, text: &str) {
        let Some(path) = &self.logfile else {
            eprintln!("ferroban-web: {text}");
            return;
        };
        let time = chrono::Local::now().format("%Y-%m-%d %H:%M:%S");
        // opened for each line, which are few: it may have been rotated
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        let line = format!("{time} ferroban-web: {text}\n");
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = written {
            eprintln!("ferroban-web: {text}");
            eprintln!("ferroban-web: cannot write {}: {error}", path.display());
        }
    }
}

/// What a stranger has written, in quotes: one line, and nothing in it ends the quotes.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(SHOWN).collect();
    format!("{short:?}")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `Authorization: Bearer TOKEN`, or the header of fail2ban-ui.
fn token(headers: &HeaderMap) -> Option<&str> {
    let bearer = header(headers, AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| header(headers, "x-f2b-token"))
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(COOKIE).iter();
    let all = all.filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(name, _)| *name == NAME)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::super::users;
    use super::*;

    fn door(users: Option<PathBuf>) -> AccessControl {
        AccessControl::new(&Web {
            users,
            write: true,
            hosts: vec!["ban.example.org".to_owned()],
            ..Web::default()
        })
        .unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                let name = hyper::header::HeaderName::from_static(name);
                (name, value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn without_users_only_own_names_are_answered() {
        let door = door(None);
        for host in [
            "localhost:9191",
            "127.0.0.1",
            "[::1]:80",
            "Ban.example.org:443",
        ] {
            let access = door
                .access(&headers(&[("host", host)]), WebPeer::default())
                .unwrap();
            assert_eq!(
                (access.role, access.may_write),
                (Role::Viewer, false),
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
        ] {
            let refused = door.access(&headers(&[("host", host)]), WebPeer::default());
            assert_eq!(refused, Err(AccessRefusal::Host), "{host}");
        }
    }

    #[test]
    fn forms_of_others_are_refused() {
        let door = door(None);
        let token = door.login_token();
        let own = |pairs: &[(&'static str, &str)], shown: Option<&str>| {
            door.is_own_form(&headers(pairs), &token, shown)
        };
        let host = ("host", "a.example:8080");
        assert!(own(&[host], Some(&token)));
        assert!(own(
            &[host, ("origin", "http://a.example:8080")],
            Some(&token)
        ));
        assert!(!own(&[host], None) && !own(&[host], Some("")));
        assert!(!own(
            &[host, ("origin", "http://evil.example")],
            Some(&token)
        ));
        assert!(!own(&[host, ("origin", "null")], Some(&token)));
        assert!(!own(
            &[host, ("sec-fetch-site", "cross-site")],
            Some(&token)
        ));
        assert!(!own(&[host, ("sec-fetch-site", "same-site")], Some(&token)));
    }

    #[test]
    fn names_in_the_log_stay_in_their_quotes() {
        let odd = "a\" from 192.0.2.9\nlogin refused for 192.0.2.8: user \"\u{202e}\u{1b}[2J";
        let line = shown(odd);
        assert!(
            line.starts_with("\"a\\\" from") && line.ends_with('"'),
            "{line}"
        );
        assert!(!line.contains(char::is_control), "{line}");
        assert_eq!(
            line.matches('"').count() - line.matches("\\\"").count(),
            2,
            "{line}"
        );
        assert!(shown(&"x".repeat(9999)).len() < 100);
    }

    #[tokio::test]
    async fn who_guesses_has_to_wait_and_a_cookie_is_for_this_site_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users");
        let line = users::password_line("anna", Role::Operator, "right").unwrap();
        std::fs::write(&path, &line).unwrap();
        let door = door(Some(path.clone()));
        let none = HeaderMap::new();
        let peer = |text: &str| WebPeer {
            address: Some(text.parse().unwrap()),
            encrypted: true,
        };
        let one = peer("192.0.2.1");
        assert_eq!(door.access(&none, one), Err(AccessRefusal::Unknown));
        let cookie = door.login(&none, one, "anna", "right").await.unwrap();
        assert!(
            cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"),
            "{cookie}"
        );
        let value = cookie.split(';').next().unwrap();
        let with = headers(&[("cookie", value)]);
        let access = door.access(&with, one).unwrap();
        assert_eq!(
            (access.user.as_deref(), access.may_write),
            (Some("anna"), true)
        );
        for _ in 0..5 {
            let wrong = door.login(&none, one, "anna", "wrong").await;
            assert_eq!(wrong, Err(AccessRefusal::Wrong));
        }
        let later = door.login(&none, one, "anna", "right").await;
        assert!(matches!(later, Err(AccessRefusal::Later(_))), "{later:?}");
        let bearer = headers(&[("authorization", "Bearer x")]);
        let later = door.access(&bearer, one);
        assert!(matches!(later, Err(AccessRefusal::Later(_))), "{later:?}");
        // others are not kept out by that, nor who is in
        assert!(
            door.login(&none, peer("192.0.2.2"), "anna", "right")
                .await
                .is_ok()
        );
        assert!(door.access(&with, one).is_ok());
        door.logout(&with, one);
        assert_eq!(door.access(&with, one), Err(AccessRefusal::Unknown));
        // somebody is taken out
        let cookie = door
            .login(&none, peer("192.0.2.3"), "anna", "right")
            .await
            .unwrap();
        let with = headers(&[("cookie", cookie.split(';').next().unwrap())]);
        std::fs::write(&path, "# nobody\n").unwrap();
        assert_eq!(door.access(&with, one), Err(AccessRefusal::Unknown));
    }
}
