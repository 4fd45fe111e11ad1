//! The section `[fleet]` of `fail2ban.conf`, as sent to the server.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use super::entry::is_host;
use super::limits::HostLimits;
use crate::control::Value;
use crate::datetime::duration;

/// The credentials of systemd that hold the passwords, unless files are named.
const PASSWORD: &str = "fleet-password";
const SENTINEL_PASSWORD: &str = "fleet-sentinel-password";
/// The name in keys and streams that is the administrators'.
pub const ADMIN: &str = "admin";

/// What the fleet goes by.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetSettings {
    /// Where the engine is.
    pub url: String,
    /// The name of the fleet.
    pub fleet: String,
    /// The name of this host in it.
    pub host: String,
    /// The file with the password.
    pub password: Option<PathBuf>,
    /// The file with that of the sentinels, who have none otherwise.
    pub sentinel_password: Option<PathBuf>,
    /// Certificates that the engine's is checked by; those of the system otherwise.
    pub ca: Option<PathBuf>,
    /// The certificate of this host and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The longest ban by the word of another host, in seconds.
    pub longest: f64,
    /// The shortest prefixes of networks, of IPv4 and IPv6.
    pub prefixes: [u8; 2],
    /// What each host may say.
    pub limits: HostLimits,
    /// The file with the key of this host.
    pub key: Option<PathBuf>,
    /// The file with the public keys of hosts; no entry is believed without then.
    pub trusted: Option<PathBuf>,
}

/// An option that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[fleet] {option}: {why}")]
pub struct FleetSettingsError {
    option: &'static str,
    why: String,
}

impl FleetSettings {
    /// Reads the options of the section; `None` without a `url`: there is no fleet.
    ///
    /// # Errors
    /// The first option that makes no sense.
    pub fn read(options: &[(Value, Value)]) -> Result<Option<FleetSettings>, FleetSettingsError> {
        let text = |name: &str| {
            let found = options.iter().find(|(key, _)| key.as_str() == Some(name));
            let text = found.map(|(_, value)| value.str().trim().to_owned());
            text.filter(|text| !text.is_empty())
        };
        let Some(url) = text("url") else {
            return Ok(None);
        };
        let wrong = |option, why: &str| FleetSettingsError {
            option,
            why: why.to_owned(),
        };
        let number = |option: &'static str, least: f64, most: f64, default: f64| match text(option)
        {
            None => Ok(default),
            Some(text) => match text.parse::<f64>() {
                Ok(number) if (least..=most).contains(&number) && number.fract() == 0.0 => {
                    Ok(number)
                }
                _ => {
                    let why = format!("{text} is no whole number from {least} to {most}");
                    Err(wrong(option, &why))
                }
            },
        };
        let name = |option, text: String| match is_host(&text) && text != ADMIN {
            true => Ok(text),
            false => {
                let why = format!(
                    "invalid name {text}: letters, digits, dots, dashes and underscores, at most 64, and \
                     not `{ADMIN}`"
                );
                Err(wrong(option, &why))
            }
        };
        let path = |option| text(option).map(PathBuf::from);
        let certificate = match (path("certfile"), path("keyfile")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                let why = "it goes together with keyfile: a certificate and its key";
                return Err(wrong("certfile", why));
            }
        };
        let longest = match text("maxtime") {
            None => 4.0 * 7.0 * 86_400.0,
            Some(text) => match duration::parse(&text) {
                Ok(time) if time.as_f64() > 0.0 => time.as_f64(),
                _ => return Err(wrong("maxtime", &format!("invalid time {text}"))),
            },
        };
        let limits = HostLimits::default();
        let prefix = |option, full: f64, default| number(option, 8.0, full, default);
        Ok(Some(FleetSettings {
            fleet: name("name", text("name").unwrap_or_else(|| "fleet".to_owned()))?,
            host: name("host", text("host").unwrap_or_else(short_host_name))?,
            password: path("passwordfile").or_else(|| credential(PASSWORD)),
            sentinel_password: path("sentinelpasswordfile")
                .or_else(|| credential(SENTINEL_PASSWORD)),
            ca: path("cafile"),
            certificate,
            longest,
            prefixes: [
                prefix("minprefix4", 32.0, 24.0)? as u8,
                prefix("minprefix6", 128.0, 48.0)? as u8,
            ],
            limits: HostLimits {
                rate: number("maxrate", 1.0, 1e6, limits.rate)?,
                burst: number("maxburst", 1.0, 1e6, limits.burst)?,
                most: number("maxbans", 1.0, 1e7, limits.most as f64)? as usize,
            },
            key: path("signkey"),
            trusted: path("trustedkeys"),
            url,
        }))
    }
}

fn short_host_name() -> String {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let host = host.to_string_lossy();
    host.split('.').next().unwrap_or_default().to_owned()
}

fn credential(name: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let file = Path::new(&directory).join(name);
    file.exists().then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<Option<FleetSettings>, FleetSettingsError> {
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        FleetSettings::read(&options)
    }

    #[test]
    fn options_have_defaults() {
        assert_eq!(read(&[("name", "f"), ("url", "")]), Ok(None));
        let settings = read(&[("url", "redis://h"), ("host", "mx1")]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(
            (settings.fleet.as_str(), settings.longest),
            ("fleet", 2_419_200.0)
        );
        assert_eq!(settings.prefixes, [24, 48]);
        assert_eq!(settings.limits, HostLimits::default());
        let settings = read(&[
            ("url", "redis://h"),
            ("host", "mx1"),
            ("maxtime", "1d"),
            ("minprefix4", "32"),
            ("maxbans", "5"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!((settings.longest, settings.limits.most), (86_400.0, 5));
        assert_eq!(settings.prefixes, [32, 48]);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (option, value) in [
            ("host", "a b"),
            ("host", "admin"),
            ("name", "a:b"),
            ("maxtime", "soon"),
            ("minprefix4", "33"),
            ("minprefix6", "x"),
            ("maxrate", "0"),
            ("maxburst", "1.5"),
            ("maxbans", "-1"),
            ("certfile", "/x"),
        ] {
            let error = read(&[("url", "redis://h"), (option, value)]);
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(&format!("[fleet] {option}: ")), "{error}");
        }
    }
}
