//! Log targets and formats: `loglevel`, `logtarget` and `syslogsocket` (facts G1–G3, L7–L13, L15).
//!
//! [`mod@format`] and [`json`] format records, [`writer`] writes them in a thread of its own.

mod format;
mod json;
mod target;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use self::format::{FormatRecord, LineFormat};
use self::target::{LogTarget, TargetKind};
use self::writer::{LogLine, LogWriter, Output, SyslogOutput};
use crate::control::CommandError;
use crate::datetime::stamp::Stamp;
use crate::log::{self, Level, Sink};
use crate::python::text::quoted;
use crate::{COMPATIBLE_VERSION, error, info};

const LOG: &str = "fail2ban.server";
/// Longest record, in bytes; the rest is cut off.
const MAX_RECORD: usize = 64 << 10;
/// Where syslog listens when the configuration says `auto`.
const SYSLOG_SOCKET: &str = "/dev/log";

/// The daemon's log as commands see it.
pub struct Logging {
    shared: Arc<LogShared>,
    settings: Mutex<LogSettings>,
}

#[derive(Default)]
struct LogSettings {
    /// Name or number, upper case, as it was set.
    level: Option<String>,
    /// As it was set, without options.
    target: Option<String>,
    syslog_socket: Option<String>,
    /// `-v` given so many times.
    verbosity: u8,
}

struct LogShared {
    writer: LogWriter,
    format: RwLock<LineFormat>,
    /// `logformat = json`: the format is not asked.
    json: AtomicBool,
    stamp: Mutex<Stamp>,
    began: Instant,
    /// Asked once: a system call for each record would cost more than the record.
    pid: u32,
}

impl LogShared {
    fn second(&self, time: i64) -> String {
        let mut stamp = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        stamp.of(time).unwrap_or_default().to_owned()
    }
}

struct DaemonSink(Arc<LogShared>);

impl Sink for DaemonSink {
    fn write(&self, level: Level, target: &str, message: fmt::Arguments<'_>) {
        let mut message = message.to_string();
        if message.len() > MAX_RECORD {
            let end = (0..=MAX_RECORD)
                .rev()
                .find(|at| message.is_char_boundary(*at));
            message.truncate(end.unwrap_or(0));
            message.push('…');
        }
        let record = FormatRecord {
            level,
            target,
            message: &message,
            time: chrono::Utc::now(),
            pid: self.0.pid,
            began: self.0.began,
        };
        let text = match self.0.json.load(Ordering::Relaxed) {
            true => json::line(&record),
            false => {
                let second = self.0.second(record.time.timestamp());
                let format = self.0.format.read();
                let format = format.unwrap_or_else(PoisonError::into_inner);
                format.line(&record, &second)
            }
        };
        self.0.writer.line(LogLine {
            level,
            target: target.to_owned(),
            text,
        });
    }
}

impl Logging {
    /// Starts the log's thread; nothing is written before a target is set.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn new(verbosity: u8) -> std::io::Result<Logging> {
        Ok(Logging {
            shared: Arc::new(LogShared {
                writer: LogWriter::spawn()?,
                format: RwLock::new(LineFormat::builtin(0, true, true)),
                json: AtomicBool::new(false),
                stamp: Mutex::default(),
                began: Instant::now(),
                pid: std::process::id(),
            }),
            settings: Mutex::new(LogSettings {
                verbosity,
                ..LogSettings::default()
            }),
        })
    }

    /// What to hand to [`log::set_sink`].
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(DaemonSink(Arc::clone(&self.shared)))
    }

    /// Sets the threshold: a name in any case, or a number.
    ///
    /// # Errors
    /// `Invalid log level 'FOO'` (fact C53).
    pub fn set_level(&self, level: &str) -> Result<(), CommandError> {
        let level = level.to_uppercase();
        let number = level_number(&level).ok_or_else(|| {
            CommandError::builtin(
                "ValueError",
                format!("Invalid log level {}", quoted(&level)),
            )
        })?;
        let mut settings = self.settings();
        settings.level = Some(level);
        log::set_threshold(number);
        Ok(())
    }

    /// The level as it was set, upper case.
    pub fn level(&self) -> Option<String> {
        self.settings().level.clone()
    }

    /// Sends the log elsewhere; the present target given again changes nothing (fact L8).
    ///
    /// # Errors
    /// A target that cannot be opened (said in the log too; the previous one stays), bad options.
    pub fn set_target(&self, text: &str) -> Result<(), CommandError> {
        let target =
            LogTarget::parse(text).map_err(|why| CommandError::builtin("ValueError", why))?;
        let mut settings = self.settings();
        if settings.target.as_deref() == Some(target.name.as_str()) {
            return Ok(());
        }
        self.apply(&mut settings, &target)
            .ok_or_else(|| CommandError::new("Failed to change log target"))?
    }

    /// The target as it was set, without options.
    pub fn target(&self) -> Option<String> {
        self.settings().target.clone()
    }

    /// Sets the socket for SYSLOG; when that is the target the connection changes at once.
    ///
    /// # Errors
    /// SYSLOG is the target and the socket cannot be used.
    pub fn set_syslog_socket(&self, path: &str) -> Result<(), CommandError> {
        let mut settings = self.settings();
        if settings.syslog_socket.as_deref() == Some(path) {
            return Ok(());
        }
        settings.syslog_socket = Some(path.to_owned());
        if settings.target.as_deref() != Some("SYSLOG") {
            return Ok(());
        }
        let target =
            LogTarget::parse("SYSLOG").map_err(|why| CommandError::builtin("ValueError", why))?;
        self.apply(&mut settings, &target)
            .ok_or_else(|| CommandError::new("Failed to change syslog socket"))?
    }

    /// `logformat`: lines of fail2ban, or JSON objects.
    ///
    /// # Errors
    /// Another word.
    pub fn set_format(&self, text: &str) -> Result<(), CommandError> {
        let is_json = match text {
            "json" => true,
            "text" => false,
            other => {
                return Err(CommandError::builtin(
                    "ValueError",
                    format!("Invalid log format {}, it is text or json", quoted(other)),
                ));
            }
        };
        self.shared.json.store(is_json, Ordering::Relaxed);
        Ok(())
    }

    /// `text` or `json`.
    pub fn format(&self) -> &'static str {
        match self.shared.json.load(Ordering::Relaxed) {
            true => "json",
            false => "text",
        }
    }

    /// The socket as it was set; the real one once `auto` has been looked up.
    pub fn syslog_socket(&self) -> Option<String> {
        self.settings().syslog_socket.clone()
    }

    /// `flushlogs` and SIGUSR1: opens a file again (fact L13); answers what the command answers.
    pub fn flush(&self) -> &'static str {
        let target = self.target().unwrap_or_default();
        match self.shared.writer.reopen() {
            Some(Ok(())) => info!(LOG, "rollover performed on {target}"),
            Some(Err(why)) => error!(LOG, "Unable to reopen {}: {why}", quoted(&target)),
            None => info!(LOG, "flush performed on {target}"),
        }
        match target.as_str() {
            "STDERR" | "STDOUT" | "SYSLOG" | "SYSTEMD-JOURNAL" => "flushed",
            _ => "rolled over",
        }
    }

    /// Waits until everything logged so far is written.
    pub fn drain(&self) {
        self.shared.writer.flush();
    }

    fn settings(&self) -> MutexGuard<'_, LogSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches to a target; `None` when it cannot be opened.
    fn apply(
        &self,
        settings: &mut LogSettings,
        target: &LogTarget,
    ) -> Option<Result<(), CommandError>> {
        let format = match target.format(settings.verbosity) {
            Ok(format) => format,
            Err(why) => return Some(Err(CommandError::builtin("ValueError", why))),
        };
        let output = self.open(settings, target)?;
        // nobody may write a line of the old format into the new target
        let mut current = self
            .shared
            .format
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        self.shared.writer.switch(output);
        *current = format;
        drop(current);
        if settings.target.is_some() {
            let place = match (target.name.as_str(), &settings.syslog_socket) {
                ("SYSLOG", Some(socket)) => format!("SYSLOG ({socket})"),
                (name, _) => name.to_owned(),
            };
            info!(LOG, "Start Fail2ban v{COMPATIBLE_VERSION}");
            info!(
                LOG,
                "Changed logging target to {place} for Fail2ban v{COMPATIBLE_VERSION}"
            );
        }
        settings.target = Some(target.name.clone());
        Some(Ok(()))
    }

    fn open(&self, settings: &mut LogSettings, target: &LogTarget) -> Option<Output> {
        match &target.kind {
            TargetKind::Stdout => Some(Output::Stdout),
            TargetKind::Stderr => Some(Output::Stderr),
            TargetKind::Journal => Output::journal()
                .inspect_err(|why| error!(LOG, "Unable to log to the journal: {why}"))
                .ok(),
            TargetKind::Syslog { facility } => {
                let socket = match settings.syslog_socket.as_deref() {
                    None | Some("auto") => SYSLOG_SOCKET.to_owned(),
                    Some(path) => path.to_owned(),
                };
                settings.syslog_socket = Some(socket.clone());
                let syslog = SyslogOutput::connect(Path::new(&socket), *facility);
                if syslog.is_err() {
                    error!(
                        LOG,
                        "Syslog socket file: {socket} does not exists or is not a socket"
                    );
                }
                syslog.map(Output::Syslog).ok()
            }
            TargetKind::File => {
                let output = Output::file(Path::new(&target.name));
                if output.is_err() {
                    let previous = settings.target.as_deref().map_or("None".to_owned(), quoted);
                    error!(LOG, "Unable to log to {}", quoted(&target.name));
                    info!(LOG, "Logging to previous target {previous}");
                }
                output.ok()
            }
        }
    }
}

/// The number behind a name (upper case) or digits.
fn level_number(level: &str) -> Option<u8> {
    Some(match level {
        "CRITICAL" | "FATAL" => 50,
        "ERROR" => 40,
        "WARNING" | "WARN" => 30,
        "NOTICE" => 25,
        "INFO" => 20,
        "MSG" => 18,
        "DEBUG" => 10,
        "TRACEDEBUG" => 7,
        "HEAVYDEBUG" => 5,
        "NOTSET" => 0,
        digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().unwrap_or(u8::MAX)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_by_name_and_number() {
        let cases = [
            ("info", Some("INFO")),
            ("HeavyDebug", Some("HEAVYDEBUG")),
            ("25", Some("25")),
            ("foo", None),
            ("", None),
            ("30.5", None),
            (" 20 ", None),
        ];
        let logging = Logging::new(0).unwrap();
        for (level, stored) in cases {
            let before = logging.level();
            let result = logging.set_level(level);
            match stored {
                Some(stored) => assert_eq!(logging.level().as_deref(), Some(stored)),
                None => {
                    let why = result.unwrap_err().to_string();
                    let name = level.to_uppercase();
                    assert_eq!(why, format!("Invalid log level '{name}'"));
                    assert_eq!(logging.level(), before);
                }
            }
        }
    }

    #[test]
    fn a_target_that_cannot_be_opened_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("log").display().to_string();
        let logging = Logging::new(0).unwrap();
        logging.set_target(&good).unwrap();
        logging.set_syslog_socket("/nowhere").unwrap();
        for bad in [
            "/nowhere/log",
            "SYSLOG",
            "/tmp/x[",
            "STDERR[format=\"%(x)s\"]",
        ] {
            assert!(logging.set_target(bad).is_err(), "{bad}");
            assert_eq!(logging.target().as_ref(), Some(&good), "{bad}");
        }
        let sink = logging.sink();
        sink.write(Level::Info, "fail2ban.server", format_args!("line one"));
        assert_eq!(logging.flush(), "rolled over");
        logging.drain();
        let text = std::fs::read_to_string(&good).unwrap();
        assert!(text.ends_with("]: INFO    line one\n"), "{text}");
    }

    #[test]
    fn options_in_brackets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log").display().to_string();
        let cases = [
            (
                "[datetime=off]",
                "fail2ban.x              [PID]: INFO    text\n",
            ),
            (
                "[datetime=off, padding=off]",
                "fail2ban.x[PID]: INFO text\n",
            ),
            ("[format=\"%(levelname)s|%(message)s\"]", "INFO|text\n"),
        ];
        for (options, line) in cases {
            let logging = Logging::new(0).unwrap();
            let _ = std::fs::remove_file(&path);
            logging.set_target(&format!("{path}{options}")).unwrap();
            assert_eq!(logging.target().as_ref(), Some(&path));
            logging
                .sink()
                .write(Level::Info, "fail2ban.x", format_args!("text"));
            logging.drain();
            let text = std::fs::read_to_string(&path).unwrap();
            let pid = std::process::id().to_string();
            assert_eq!(text.replace(&pid, "PID"), line, "{options}");
        }
    }
}
