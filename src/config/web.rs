//! `[web]` of `fail2ban.conf`: the page and the API that `ferroban web` serves, and who may use them.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use super::definition::read_options;
use super::error::{Cause, ConfigMessages};
use super::globals::invalid;
use super::metrics::Listen;
use super::settings::{MergedSettings, Setting};
use crate::options::server::{WEB, WEB_SOCKET};

/// The section.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Web {
    /// Where it listens.
    pub listen: Option<Listen>,
    /// What stands before all paths: empty, or `/fail2ban` without a slash at the end.
    pub base: String,
    /// Host names it is asked by, beside addresses and `localhost`; only they count where nobody logs in.
    pub hosts: Vec<String>,
    /// Users with their roles, passwords and tokens.
    pub users: Option<PathBuf>,
    /// Certificate and key: TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Whose certificates clients must have.
    pub cafile: Option<PathBuf>,
    /// Whether a web server before it says in `X-Forwarded-For` who asks.
    pub forwarded: bool,
    /// Where it tells of logins; on standard error otherwise.
    pub logfile: Option<PathBuf>,
    /// The server's socket for it; the control socket otherwise.
    pub socket: Option<PathBuf>,
    /// Whether operators may ban, unban and ignore.
    pub write: bool,
}

/// Reads `[web]`.
///
/// # Errors
/// A substitution that fails; a value that is none.
pub fn read(settings: &MergedSettings, messages: &mut ConfigMessages) -> Result<Web, Cause> {
    const SECTION: &str = "web";
    if settings.section(SECTION).is_none() {
        return Ok(Web::default());
    }
    let rows = WEB.iter().chain(WEB_SOCKET);
    let options = read_options(settings, SECTION, rows, None, false, true, messages)?;
    let text = |name: &str| {
        let value = options.get(name).map(|value| value.text().into_owned());
        value.filter(|value| !value.is_empty())
    };
    let flag = |name: &str| options.get(name) == Some(&Setting::Flag(true));
    let path = |name: &str| text(name).map(PathBuf::from);
    let invalid = |name, value: &str, is| invalid(settings, (SECTION, name), value, is);
    let listen = text("listen")
        .map(|value| Listen::parse(&value).ok_or_else(|| invalid("listen", &value, Listen::FORM)));
    let base = text("base").unwrap_or_default();
    let base = match base.trim_end_matches('/') {
        "" => String::new(),
        base if is_base(base) => base.to_owned(),
        base => return Err(invalid("base", base, "a path such as /fail2ban")),
    };
    let tls = match (path("certfile"), path("keyfile")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(certificate), None) => {
            let value = certificate.display().to_string();
            return Err(invalid("certfile", &value, "of use with keyfile only"));
        }
        (None, Some(key)) => {
            let value = key.display().to_string();
            return Err(invalid("keyfile", &value, "of use with certfile only"));
        }
    };
    let cafile = path("cafile");
    if let (Some(file), None) = (&cafile, &tls) {
        let value = file.display().to_string();
        return Err(invalid(
            "cafile",
            &value,
            "of use with certfile and keyfile only",
        ));
    }
    let hosts = text("hosts").unwrap_or_default();
    let hosts = hosts.split([',', ' ', '\n', '\t']);
    let hosts = hosts.filter(|host| !host.is_empty());
    Ok(Web {
        listen: listen.transpose()?,
        base,
        hosts: hosts.map(str::to_ascii_lowercase).collect(),
        users: path("users"),
        tls,
        cafile,
        forwarded: flag("forwarded"),
        logfile: path("logfile"),
        socket: path("socket"),
        write: flag("write"),
    })
}

/// Segments of letters, digits, `-`, `_` and `.`, each after a slash.
fn is_base(base: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let segment = |part: &str| !part.trim_matches('.').is_empty() && part.chars().all(plain);
    let rest = base.strip_prefix('/');
    rest.is_some_and(|rest| rest.split('/').all(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_are_plain_paths() {
        for base in ["/x", "/fail2ban/web", "/a-b_c.d"] {
            assert!(is_base(base), "{base}");
        }
        for base in ["x", "/a//b", "/..", "/a/../b", "/a b", "/<x>", "//host"] {
            assert!(!is_base(base), "{base}");
        }
    }
}
