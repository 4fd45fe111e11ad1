//! `[metrics]` of `fail2ban.conf`: which metrics `ferroban web` serves, and where.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::PathBuf;

use super::definition::read_options;
use super::error::{Cause, ConfigMessages};
use super::globals::invalid;
use super::settings::{MergedSettings, Setting};
use crate::options::server::METRICS;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// What [`Listen::parse`] takes.
    pub const FORM: &str =
        "an address with a port, such as 127.0.0.1:9191, or the path of a socket";

    /// Reads `127.0.0.1:9191`, `[::1]:9191` or `/run/metrics.sock`; `None`: it is neither.
    pub fn parse(text: &str) -> Option<Listen> {
        match text.starts_with('/') {
            true => Some(Listen::Unix(text.into())),
            false => text.parse().ok().map(Listen::Tcp),
        }
    }
}

/// Which of the older names are told beside `ferroban_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OldMetricNames {
    /// `f2b_*`
    #[default]
    F2b,
    /// `fail2ban_*`
    Fail2ban,
    /// Both.
    Both,
}

/// The section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Where it listens.
    pub listen: Option<Listen>,
    /// The file it writes for node-exporter.
    pub textfile: Option<PathBuf>,
    /// Which names it tells.
    pub names: OldMetricNames,
    /// Whether it tells who is banned.
    pub addresses: bool,
}

/// Reads `[metrics]`.
///
/// # Errors
/// A substitution that fails; a value that is none.
pub fn read(settings: &MergedSettings, messages: &mut ConfigMessages) -> Result<Metrics, Cause> {
    const SECTION: &str = "metrics";
    if settings.section(SECTION).is_none() {
        return Ok(Metrics::default());
    }
    let options = read_options(settings, SECTION, METRICS, None, false, true, messages)?;
    let text = |name: &str| {
        let value = options.get(name).map(|value| value.text().into_owned());
        value.filter(|value| !value.is_empty())
    };
    let invalid = |name, value: &str, is| invalid(settings, (SECTION, name), value, is);
    let listen = text("listen")
        .map(|value| Listen::parse(&value).ok_or_else(|| invalid("listen", &value, Listen::FORM)));
    Ok(Metrics {
        listen: listen.transpose()?,
        textfile: text("textfile").map(PathBuf::from),
        names: match text("names").as_deref() {
            None | Some("f2b") => OldMetricNames::F2b,
            Some("fail2ban") => OldMetricNames::Fail2ban,
            Some("both") => OldMetricNames::Both,
            Some(other) => return Err(invalid("names", other, "f2b, fail2ban or both")),
        },
        addresses: options.get("addresses") == Some(&Setting::Flag(true)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths_are_places_to_listen() {
        for (text, listen) in [
            (
                "127.0.0.1:9191",
                Some(Listen::Tcp(([127, 0, 0, 1], 9191).into())),
            ),
            ("/run/x.sock", Some(Listen::Unix("/run/x.sock".into()))),
            ("localhost:9191", None),
            ("9191", None),
            ("", None),
        ] {
            assert_eq!(Listen::parse(text), listen, "{text}");
        }
    }
}
