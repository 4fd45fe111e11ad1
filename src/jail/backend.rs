//! How a jail learns of new lines: what `backend = …` says (facts J3, K10).

use std::path::Path;

use crate::config::options;
use crate::control::{CommandError, Value};
use crate::source::Watch;
use crate::source::feed::{FeedSource, SyslogListener};
use crate::source::journal::{JournalOptions, JournalOptionsError};
use crate::sys;
use crate::{error, info};

const TARGET: &str = "fail2ban.jail";

/// Where lines come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Files, by kernel events; the original's name for it is `pyinotify`.
    Inotify,
    /// Files, looked at again and again.
    Polling,
    /// systemd's journal.
    Journal(JournalOptions),
    /// Lines that are sent.
    Feed(FeedSource),
}

impl Backend {
    /// Reads `auto`, `polling`, `pyinotify`, `systemd`, `syslog`, `command`, with or without options in brackets, and
    /// says in the log what was chosen.
    ///
    /// # Errors
    /// Unknown backend; options it does not have; a system without a journal.
    pub fn read(text: &str, jail: &str) -> Result<Backend, CommandError> {
        let wrong = |text| CommandError::builtin("ValueError", text);
        let definition = options::parse(text).map_err(wrong)?;
        let name = definition.name.to_lowercase();
        let known = [
            "auto",
            "pyinotify",
            "polling",
            "systemd",
            "syslog",
            "command",
        ];
        if !known.contains(&name.as_str()) {
            let text = format!(
                "Unknown backend {name}. Must be among ['pyinotify', 'polling', 'systemd'] or 'auto'"
            );
            error!(TARGET, "{}", text);
            return Err(CommandError::builtin("ValueError", text));
        }
        if name == "systemd" && !has_journal() {
            error!(
                TARGET,
                "Backend 'systemd' failed to initialize due to {}",
                "neither libsystemd.so.0 nor journalctl on this system"
            );
            let text = format!(
                "Failed to initialize any backend for Jail {}",
                Value::from(jail).repr()
            );
            error!(TARGET, "{}", text);
            return Err(CommandError::builtin("RuntimeError", text));
        }
        let arguments = definition.arguments;
        let told = arguments
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        info!(
            TARGET,
            "Jail '{}' uses {} {}",
            jail,
            match name.as_str() {
                "polling" => "poller",
                "systemd" => "systemd",
                "syslog" => "syslog",
                "command" => "command",
                _ => "pyinotify",
            },
            Value::Dict(told.collect()).repr()
        );
        let backend = match name.as_str() {
            "systemd" => Backend::Journal(JournalOptions::read(arguments).map_err(refused)?),
            "syslog" => {
                let syslog = SyslogListener::read(arguments).map_err(wrong)?;
                Backend::Feed(FeedSource::Syslog(syslog))
            }
            "command" => {
                let mut arguments = arguments;
                match (arguments.shift_remove("cmd"), arguments.into_iter().next()) {
                    (Some(command), None) => Backend::Feed(FeedSource::Command(command)),
                    (_, Some((name, _))) => {
                        return Err(refused(JournalOptionsError::Unknown(name)));
                    }
                    (None, None) => return Err(wrong("command: cmd is missing".to_owned())),
                }
            }
            _ => {
                if let Some((name, _)) = arguments.into_iter().next() {
                    return Err(refused(JournalOptionsError::Unknown(name)));
                }
                match name.as_str() {
                    "polling" => Backend::Polling,
                    _ => Backend::Inotify,
                }
            }
        };
        info!(TARGET, "Initiated '{}' backend", backend.as_str());
        Ok(backend)
    }

    /// The name users know.
    pub fn as_str(&self) -> &'static str {
        match self {
            Backend::Inotify => "pyinotify",
            Backend::Polling => "polling",
            Backend::Journal(_) => "systemd",
            Backend::Feed(FeedSource::Syslog(_)) => "syslog",
            Backend::Feed(FeedSource::Command(_)) => "command",
        }
    }

    /// Whether `logpath` means anything.
    pub fn reads_files(&self) -> bool {
        matches!(self, Backend::Inotify | Backend::Polling)
    }

    /// How files are watched, if there are any.
    pub fn watch(&self) -> Watch {
        match self {
            Backend::Inotify | Backend::Journal(_) | Backend::Feed(_) => Watch::Inotify,
            Backend::Polling => Watch::Polling,
        }
    }
}

fn refused(error: JournalOptionsError) -> CommandError {
    let class = match error {
        JournalOptionsError::Unknown(_) => "TypeError",
        _ => "ValueError",
    };
    CommandError::builtin(class, error.to_string())
}

fn has_journal() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    sys::journal::is_available()
        || std::env::split_paths(&path).any(|folder| Path::new(&folder).join("journalctl").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends() {
        assert_eq!(Backend::read("auto", "j"), Ok(Backend::Inotify));
        assert_eq!(Backend::read("Polling", "j"), Ok(Backend::Polling));
        let error = |text| Backend::read(text, "j").map_err(|e| e.to_string());
        assert_eq!(
            error("foo"),
            Err(
                "Unknown backend foo. Must be among ['pyinotify', 'polling', 'systemd'] or 'auto'"
                    .to_owned()
            )
        );
        assert_eq!(
            error("polling[a=1]"),
            Err("Filter.__init__() got an unexpected keyword argument 'a'".to_owned())
        );
    }
}
