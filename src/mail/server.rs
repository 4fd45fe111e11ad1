//! The SMTP server that a mail command names in place of a program: `smtp://[user:password@]host[:port]`, with
//! TLS from the first byte (`smtps://`) or after STARTTLS (`smtp+starttls://`).

use percent_encoding::percent_decode_str;

/// How the conversation is kept secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// STARTTLS, and no mail without it.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// A server.
#[derive(Clone, PartialEq)]
pub struct SmtpServer {
    /// Name or address, without brackets.
    pub host: String,
    /// Its port; unless said otherwise 25, 587 with STARTTLS, 465 with TLS.
    pub port: u16,
    /// TLS.
    pub security: Security,
    /// User and password to log in with.
    pub login: Option<(String, String)>,
    /// Whether the message is encoded as `smtp.py` encodes it, instead of sent as written.
    pub mime: bool,
}

/// Schemes: TLS, whether the message is encoded, the port.
const SCHEMES: [(&str, Security, bool, u16); 5] = [
    ("smtp://", Security::None, false, 25),
    ("smtps://", Security::Tls, false, 465),
    ("smtp+starttls://", Security::StartTls, false, 587),
    ("smtp+mime://", Security::None, true, 25),
    ("smtp+mime+starttls://", Security::StartTls, true, 25),
];

impl SmtpServer {
    /// Reads the word in the place of a program; `None` when it names no server.
    pub fn parse(word: &str) -> Option<SmtpServer> {
        let (rest, security, mime, port) =
            SCHEMES
                .into_iter()
                .find_map(|(scheme, security, mime, port)| {
                    Some((word.strip_prefix(scheme)?, security, mime, port))
                })?;
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => {
                let (user, password) = login.split_once(':')?;
                let read = |text| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
                (Some((read(user)?, read(password)?)), place)
            }
            None => (None, rest),
        };
        let (host, port) = match place.rsplit_once(':') {
            // the colons inside of brackets are those of an address
            Some((host, digits)) if !digits.contains(']') => (host, digits.parse().ok()?),
            _ => (place, port),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        (!host.is_empty()).then_some(SmtpServer {
            host,
            port,
            security,
            login,
            mime,
        })
    }
}

impl std::fmt::Debug for SmtpServer {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .field("user", &self.login.as_ref().map(|(user, _)| user))
            .field("mime", &self.mime)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read() {
        let read = |word| {
            let server = SmtpServer::parse(word)?;
            Some((server.host, server.port, server.security, server.login))
        };
        let plain = |host: &str, port| Some((host.to_owned(), port, Security::None, None));
        assert_eq!(read("smtp://localhost"), plain("localhost", 25));
        assert_eq!(read("smtp://127.0.0.1:2525"), plain("127.0.0.1", 2525));
        assert_eq!(read("smtp://[::1]"), plain("::1", 25));
        assert_eq!(read("smtp://[::1]:26"), plain("::1", 26));
        assert_eq!(
            read("smtp+starttls://ops%40x.org:p%3Aw@mail.x.org"),
            Some((
                "mail.x.org".into(),
                587,
                Security::StartTls,
                Some(("ops@x.org".into(), "p:w".into()))
            ))
        );
        assert_eq!(read("smtps://h").unwrap().1, 465);
        for word in [
            "smtp:/h",
            "http://h",
            "smtp://",
            "smtp://:25",
            "smtp://h:x",
            "smtp://user@h",
        ] {
            assert_eq!(read(word), None, "{word}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let server = SmtpServer::parse("smtp://me:secret@h").unwrap();
        assert!(!format!("{server:?}").contains("secret"));
    }
}
