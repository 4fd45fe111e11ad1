//! The section `[crowdsec]` of `fail2ban.conf`, as sent to the server.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::control::Value;
use crate::datetime::duration;

/// The credentials of systemd that hold secrets, unless files are named.
const PASSWORD: &str = "crowdsec-password";
const BOUNCER_KEY: &str = "crowdsec-bouncer-key";

/// A secret: as it was written, or the file it stands in.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Itself.
    Text(String),
    /// A file.
    File(PathBuf),
}

impl std::fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SecretSource::Text(_) => f.write_str("…"),
            SecretSource::File(path) => path.fmt(f),
        }
    }
}

/// What the bridge goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct CrowdsecSettings {
    /// Where the LAPI is: `http://…`, `https://…`, or the path of a Unix socket.
    pub url: String,
    /// The name of this host as a machine, and its password.
    pub machine: Option<(String, SecretSource)>,
    /// The key of this host as a bouncer.
    pub bouncer: Option<SecretSource>,
    /// Certificates that the LAPI's is checked by; those of the system otherwise.
    pub ca: Option<PathBuf>,
    /// The certificate of this host and its key, which stand for password and bouncer key where there are none.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Between two looks for decisions.
    pub interval: Duration,
    /// The origins whose decisions count, in lower case; all but ours when there are none.
    pub origins: Vec<String>,
    /// Parts of names of scenarios, one of which must be in a decision's; none: any.
    pub scenarios: Vec<String>,
    /// Those that must not.
    pub no_scenarios: Vec<String>,
    /// The shortest prefixes of networks, of IPv4 and IPv6.
    pub prefixes: [u8; 2],
    /// Decisions that are kept.
    pub most: usize,
}

/// An option that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[crowdsec] {option}: {why}")]
pub struct CrowdsecSettingsError {
    option: &'static str,
    why: String,
}

impl CrowdsecSettings {
    /// Reads the options of the section; `None` without a `url`.
    ///
    /// # Errors
    /// The first option that makes no sense.
    pub fn read(
        options: &[(Value, Value)],
    ) -> Result<Option<CrowdsecSettings>, CrowdsecSettingsError> {
        let text = |name: &str| {
            let found = options.iter().find(|(key, _)| key.as_str() == Some(name));
            let text = found.map(|(_, value)| value.str().trim().to_owned());
            text.filter(|text| !text.is_empty())
        };
        let Some(url) = text("url") else {
            return Ok(None);
        };
        let wrong = |option, why: &str| CrowdsecSettingsError {
            option,
            why: why.to_owned(),
        };
        if !["http://", "https://", "/"]
            .iter()
            .any(|begin| url.starts_with(begin))
        {
            let why = "it begins with http:// or https://, or is the path of a socket";
            return Err(wrong("url", why));
        }
        let number = |option: &'static str, least: usize, most: usize, default: usize| {
            let Some(text) = text(option) else {
                return Ok(default);
            };
            let number = text.parse().ok();
            number
                .filter(|number| (least..=most).contains(number))
                .ok_or_else(|| {
                    let why = format!("{text} is no whole number from {least} to {most}");
                    wrong(option, &why)
                })
        };
        let secret = |option, file: &str, name| {
            let file = text(file).map(PathBuf::from).or_else(|| credential(name));
            let file = file.map(SecretSource::File);
            text(option).map(SecretSource::Text).or(file)
        };
        let pair = |first: &'static str, second: &str| {
            let path = |option| text(option).map(PathBuf::from);
            match (path(first), path(second)) {
                (Some(one), Some(other)) => Ok(Some((one, other))),
                (None, None) => Ok(None),
                _ => {
                    let why = format!("it goes together with {second}: a certificate and its key");
                    Err(wrong(first, &why))
                }
            }
        };
        let certificate = pair("certfile", "keyfile")?;
        if certificate.is_some() && !url.starts_with("https://") {
            return Err(wrong("certfile", "certificates need a url with https://"));
        }
        let password = secret("password", "passwordfile", PASSWORD);
        let machine = match (text("machine"), password) {
            (None, _) => None,
            (Some(name), Some(password)) => Some((name, password)),
            (Some(_), None) => {
                let why = "it needs a password, as `cscli machines add` has made it: password, \
                           passwordfile or the credential crowdsec-password";
                return Err(wrong("machine", why));
            }
        };
        let bouncer = secret("bouncerkey", "bouncerkeyfile", BOUNCER_KEY);
        if machine.is_none() && bouncer.is_none() && certificate.is_none() {
            let why = "nobody may speak to it without a machine and its password, a bouncerkey, or \
                       certfile and keyfile";
            return Err(wrong("url", why));
        }
        let interval = match text("interval") {
            None => 10.0,
            Some(text) => match duration::parse(&text) {
                Ok(time) if (1.0..=86_400.0).contains(&time.as_f64()) => time.as_f64(),
                _ => {
                    let why = format!("{text} is no time from 1s to 1d");
                    return Err(wrong("interval", &why));
                }
            },
        };
        let list = |option| -> Vec<String> {
            let text = text(option).unwrap_or_default().to_lowercase();
            let words = text.split([',', ' ', '\n']).map(str::trim);
            words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let (no_scenarios, scenarios): (Vec<_>, Vec<_>) = list("scenarios")
            .into_iter()
            .partition(|word| word.starts_with('!'));
        let no_scenarios = no_scenarios.iter().map(|word| word[1..].to_owned());
        Ok(Some(CrowdsecSettings {
            url: url.trim_end_matches('/').to_owned(),
            machine,
            bouncer,
            ca: text("cafile").map(PathBuf::from),
            certificate,
            interval: Duration::from_secs_f64(interval),
            origins: list("origins"),
            scenarios,
            no_scenarios: no_scenarios.filter(|word| !word.is_empty()).collect(),
            prefixes: [
                number("minprefix4", 1, 32, 8)? as u8,
                number("minprefix6", 1, 128, 16)? as u8,
            ],
            most: number("maxbans", 1, 10_000_000, 200_000)?,
        }))
    }

    /// Host and port of the LAPI, unless it is a socket.
    pub fn place(&self) -> Option<(String, u16)> {
        let (scheme, rest) = self.url.split_once("://")?;
        let authority = rest.split('/').next()?;
        let usual = if scheme == "https" { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, usual),
        };
        Some((host.trim_matches(['[', ']']).to_owned(), port))
    }

    /// Whether this host tells of its bans.
    pub fn tells(&self) -> bool {
        self.machine.is_some() || self.certificate.is_some()
    }

    /// Whether it hears of decisions.
    pub fn hears(&self) -> bool {
        self.bouncer.is_some() || self.certificate.is_some()
    }

    /// Whether the decisions of an origin, for this scenario, are to be banned here.
    pub fn wants(&self, origin: &str, scenario: &str) -> bool {
        let (origin, scenario) = (origin.to_lowercase(), scenario.to_lowercase());
        let of_origin = match self.origins.is_empty() {
            true => origin != super::ORIGIN,
            false => self.origins.contains(&origin),
        };
        let named = |parts: &[String]| parts.iter().any(|part| scenario.contains(&**part));
        of_origin
            && (self.scenarios.is_empty() || named(&self.scenarios))
            && !named(&self.no_scenarios)
    }
}

fn credential(name: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let file = Path::new(&directory).join(name);
    file.exists().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<Option<CrowdsecSettings>, CrowdsecSettingsError> {
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        CrowdsecSettings::read(&options)
    }

    #[test]
    fn options_have_defaults() {
        assert_eq!(read(&[("machine", "m"), ("url", "")]), Ok(None));
        let settings = read(&[("url", "http://127.0.0.1:8080/"), ("bouncerkey", "k")]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.url, "http://127.0.0.1:8080");
        assert_eq!(settings.interval, Duration::from_secs(10));
        assert_eq!((settings.prefixes, settings.most), ([8, 16], 200_000));
        assert_eq!((settings.tells(), settings.hears()), (false, true));
        assert!(settings.wants("CAPI", "any") && !settings.wants("ferroban", "ferroban/sshd"));
        let settings = read(&[
            ("url", "/run/lapi.sock"),
            ("machine", "m"),
            ("passwordfile", "/p"),
            ("interval", "1m"),
            ("origins", "CAPI, ferroban"),
            ("scenarios", "ssh, !ssh-slow"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!((settings.tells(), settings.hears()), (true, false));
        assert_eq!(settings.interval, Duration::from_secs(60));
        for (origin, scenario, wanted) in [
            ("capi", "x/SSH-bf", true),
            ("ferroban", "ferroban/sshd", true),
            ("cscli", "ssh", false),
            ("CAPI", "x/http", false),
            ("CAPI", "x/ssh-slow-bf", false),
        ] {
            assert_eq!(
                settings.wants(origin, scenario),
                wanted,
                "{origin} {scenario}"
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("url", &[("url", "tcp://h"), ("bouncerkey", "k")]),
            ("url", &[("url", "http://h")]),
            ("machine", &[("url", "http://h"), ("machine", "m")]),
            ("certfile", &[("url", "https://h"), ("certfile", "/c")]),
            (
                "certfile",
                &[("url", "http://h"), ("certfile", "/c"), ("keyfile", "/k")],
            ),
            (
                "interval",
                &[("url", "http://h"), ("bouncerkey", "k"), ("interval", "0")],
            ),
            (
                "minprefix4",
                &[
                    ("url", "http://h"),
                    ("bouncerkey", "k"),
                    ("minprefix4", "33"),
                ],
            ),
            (
                "minprefix6",
                &[
                    ("url", "http://h"),
                    ("bouncerkey", "k"),
                    ("minprefix6", "x"),
                ],
            ),
            (
                "maxbans",
                &[("url", "http://h"), ("bouncerkey", "k"), ("maxbans", "0")],
            ),
        ];
        for (option, options) in cases {
            let error = read(options).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("[crowdsec] {option}: ")),
                "{error}"
            );
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = read(&[("url", "http://h"), ("bouncerkey", "hidden")]).unwrap();
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
