//! Parses a `logtarget` value: the target and its options in brackets (fact L8).
#![forbid(unsafe_code)]

use super::format::LineFormat;
use crate::config::options;
use crate::python::text::is_on;

/// What kind of thing a target is.
#[derive(Debug, PartialEq)]
pub(super) enum TargetKind {
    Stdout,
    Stderr,
    Syslog { facility: u8 },
    Journal,
    File,
}

/// A target, read.
#[derive(Debug)]
pub(super) struct LogTarget {
    /// As given, without options.
    pub(super) name: String,
    pub(super) kind: TargetKind,
    datetime: bool,
    padding: bool,
    template: Option<String>,
}

impl LogTarget {
    /// Reads `NAME[option=value,…]`.
    ///
    /// # Errors
    /// The text of fact C34.
    pub(super) fn parse(text: &str) -> Result<LogTarget, String> {
        let definition = options::parse(text)?;
        let option = |name: &str| definition.arguments.get(name).map(String::as_str);
        let upper = definition.name.to_uppercase();
        let kind = match upper.as_str() {
            "STDOUT" | "SYSOUT" => TargetKind::Stdout,
            "STDERR" => TargetKind::Stderr,
            "SYSTEMD-JOURNAL" => TargetKind::Journal,
            "SYSLOG" => TargetKind::Syslog {
                facility: facility(option("facility").unwrap_or("daemon")),
            },
            _ => TargetKind::File,
        };
        let timeless = matches!(kind, TargetKind::Syslog { .. }) || upper == "SYSOUT";
        Ok(LogTarget {
            datetime: option("datetime").map_or(!timeless, is_on),
            padding: option("padding").map_or(!matches!(kind, TargetKind::Syslog { .. }), is_on),
            template: option("format")
                .filter(|template| !template.is_empty())
                .map(str::to_owned),
            name: definition.name,
            kind,
        })
    }

    /// The format of its lines.
    ///
    /// # Errors
    /// A template that cannot be used.
    pub(super) fn format(&self, verbosity: u8) -> Result<LineFormat, String> {
        match &self.template {
            // journald keeps the other fields itself
            _ if self.kind == TargetKind::Journal => LineFormat::parse("%(message)s"),
            Some(template) => LineFormat::parse(template),
            None => Ok(LineFormat::builtin(verbosity, self.datetime, self.padding)),
        }
    }
}

/// The number of a syslog facility; `daemon` for a name that is none.
fn facility(name: &str) -> u8 {
    match name.to_ascii_lowercase().as_str() {
        "kern" => 0,
        "user" => 1,
        "mail" => 2,
        "auth" => 4,
        "syslog" => 5,
        "lpr" => 6,
        "news" => 7,
        "uucp" => 8,
        "cron" => 9,
        "authpriv" => 10,
        "ftp" => 11,
        "local0" => 16,
        "local1" => 17,
        "local2" => 18,
        "local3" => 19,
        "local4" => 20,
        "local5" => 21,
        "local6" => 22,
        "local7" => 23,
        _ => 3,
    }
}
