//! The format of log lines: Python's `%(field)s` templates, because administrators write them into
//! `logtarget = …[format="…"]`, and the built-in formats (facts L7, L8, L10).
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::time::Instant;

use chrono::{DateTime, Timelike, Utc};

use crate::log::Level;

/// What a template can show of a record.
pub(super) struct FormatRecord<'a> {
    pub(super) level: Level,
    pub(super) target: &'a str,
    pub(super) message: &'a str,
    pub(super) time: DateTime<Utc>,
    pub(super) pid: u32,
    /// When the log was set up.
    pub(super) began: Instant,
}

/// A template, taken apart once.
#[derive(Debug, PartialEq)]
pub(super) struct LineFormat(Vec<FormatPiece>);

#[derive(Debug, PartialEq)]
enum FormatPiece {
    Text(String),
    Field {
        field: FormatField,
        left: bool,
        zero: bool,
        width: usize,
        precision: Option<usize>,
        hex: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum FormatField {
    Time,
    Name,
    Pid,
    LevelName,
    LevelNumber,
    Message,
    Thread,
    ThreadName,
    Age,
    Module,
    Created,
    Milliseconds,
    ProcessName,
    /// Where in the source: nothing an administrator of this program could use.
    Source,
}

/// Widest field a template may ask for.
const MAX_WIDTH: usize = 1000;

impl LineFormat {
    /// The built-in format; `verbosity`: how many `-v` were given (fact L10).
    pub(super) fn builtin(verbosity: u8, time: bool, padding: bool) -> LineFormat {
        let mut template = String::new();
        if verbosity >= 2 {
            template.push(' ');
        }
        match (verbosity, time) {
            (3.., _) => template.push_str("+%(relativeCreated)5d "),
            (2, true) => template.push_str("%(asctime)-15s "),
            (_, true) => template.push_str("%(asctime)s "),
            (_, false) => {}
        }
        template.push_str(match verbosity {
            0 | 1 => "%(name)-24s[%(process)d]: %(levelname)-7s %(message)s",
            2 => "%(thread)X %(levelname)-5.5s %(message)s",
            3 => "%(thread)X %(name)-25.25s %(levelname)-5.5s %(message)s",
            _ => {
                "%(thread)X %(name)-25.25s %(levelname)-5.5s | \
                 %(module)15.15s-%(levelno)-2d: %(funcName)-20.20s | %(message)s"
            }
        });
        let mut format = LineFormat::parse(&template).unwrap_or(LineFormat(Vec::new()));
        if !padding {
            for piece in &mut format.0 {
                if let FormatPiece::Field {
                    field,
                    width,
                    precision,
                    ..
                } = piece
                    && !matches!(field, FormatField::Age | FormatField::LevelNumber)
                {
                    (*width, *precision) = (0, None);
                }
            }
        }
        format
    }

    /// Reads a template of the administrator.
    ///
    /// # Errors
    /// A field that no record has, or a broken one.
    pub(super) fn parse(template: &str) -> Result<LineFormat, String> {
        let broken = || format!("Invalid format '{template}' for '%' style");
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('%') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let (name, after) = rest
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
                .ok_or_else(broken)?;
            let field = field(name)
                .ok_or_else(|| format!("Formatting field not found in record: '{name}'"))?;
            let digits = |from: &str| from.len() - from.trim_start_matches(is_digit).len();
            let after_flags = after.trim_start_matches(['-', '+', ' ', '#', '0']);
            let flags = &after[..after.len() - after_flags.len()];
            let (width, after) = after_flags.split_at(digits(after_flags));
            let (precision, after) = match after.strip_prefix('.') {
                Some(after) => {
                    let (precision, after) = after.split_at(digits(after));
                    (Some(precision.parse().unwrap_or(0)), after)
                }
                None => (None, after),
            };
            let kind = after.chars().next().ok_or_else(broken)?;
            if !"sdifxXr".contains(kind) {
                return Err(broken());
            }
            rest = &after[1..];
            if !text.is_empty() {
                pieces.push(FormatPiece::Text(std::mem::take(&mut text)));
            }
            pieces.push(FormatPiece::Field {
                field,
                left: flags.contains('-'),
                zero: flags.contains('0') && kind != 's',
                width: width.parse().unwrap_or(0).min(MAX_WIDTH),
                // for numbers Python's precision means digits, which nobody asks for here
                precision: precision.filter(|_| kind == 's'),
                hex: matches!(kind, 'x' | 'X'),
            });
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(FormatPiece::Text(text));
        }
        Ok(LineFormat(pieces))
    }

    /// The line, without its end; `second` is the text of the second of its time.
    pub(super) fn line(&self, record: &FormatRecord<'_>, second: &str) -> String {
        let mut line = String::with_capacity(record.message.len() + 80);
        for piece in &self.0 {
            match piece {
                FormatPiece::Text(text) => line.push_str(text),
                FormatPiece::Field {
                    field,
                    width: 0,
                    precision: None,
                    hex,
                    ..
                } => show(*field, record, second, *hex, &mut line),
                FormatPiece::Field {
                    field,
                    left,
                    zero,
                    width,
                    precision,
                    hex,
                } => {
                    let start = line.len();
                    show(*field, record, second, *hex, &mut line);
                    if let Some(precision) = precision
                        && let Some((end, _)) = line[start..].char_indices().nth(*precision)
                    {
                        line.truncate(start + end);
                    }
                    let length = line[start..].chars().count();
                    let missing = width.saturating_sub(length);
                    match (left, zero) {
                        (true, _) => line.extend(std::iter::repeat_n(' ', missing)),
                        (false, true) => line.insert_str(start, &"0".repeat(missing)),
                        (false, false) => line.insert_str(start, &" ".repeat(missing)),
                    }
                }
            }
        }
        line
    }
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn field(name: &str) -> Option<FormatField> {
    Some(match name {
        "asctime" => FormatField::Time,
        "name" => FormatField::Name,
        "process" => FormatField::Pid,
        "levelname" => FormatField::LevelName,
        "levelno" => FormatField::LevelNumber,
        "message" => FormatField::Message,
        "thread" => FormatField::Thread,
        "threadName" => FormatField::ThreadName,
        "relativeCreated" => FormatField::Age,
        "module" => FormatField::Module,
        "created" => FormatField::Created,
        "msecs" => FormatField::Milliseconds,
        "processName" => FormatField::ProcessName,
        "funcName" | "filename" | "pathname" | "lineno" => FormatField::Source,
        _ => return None,
    })
}

/// Appends what a record has in a field.
fn show(field: FormatField, record: &FormatRecord<'_>, second: &str, hex: bool, line: &mut String) {
    // writing to a String cannot fail
    let _ = match field {
        FormatField::Name => line.write_str(record.target),
        FormatField::LevelName => line.write_str(record.level.name()),
        FormatField::Message => line.write_str(record.message),
        FormatField::Module => {
            let dot = record.target.rfind('.').map_or(0, |dot| dot + 1);
            line.write_str(&record.target[dot..])
        }
        FormatField::Time => {
            // a leap second has its nanoseconds above one second
            let millis = (record.time.nanosecond() / 1_000_000).min(999);
            write!(line, "{second},{millis:03}")
        }
        FormatField::Pid => write!(line, "{}", record.pid),
        FormatField::LevelNumber => write!(line, "{}", record.level as u8),
        FormatField::Thread if hex => write!(line, "{:X}", nix::unistd::gettid().as_raw()),
        FormatField::Thread => write!(line, "{}", nix::unistd::gettid()),
        FormatField::ThreadName => {
            let thread = std::thread::current();
            line.write_str(thread.name().unwrap_or("MainThread"))
        }
        FormatField::Age => write!(line, "{}", record.began.elapsed().as_millis()),
        FormatField::Created => {
            let seconds = record.time.timestamp_micros() as f64 / 1e6;
            write!(line, "{seconds:.6}")
        }
        FormatField::Milliseconds => write!(line, "{}", record.time.timestamp_subsec_millis()),
        FormatField::ProcessName => line.write_str("MainProcess"),
        FormatField::Source => line.write_str("-"),
    };
}

#[cfg(test)]
mod tests {
    use chrono::{Local, TimeZone};

    use super::*;

    const SECOND: &str = "2026-11-21 20:04:08";

    fn record(level: Level) -> FormatRecord<'static> {
        FormatRecord {
            level,
            target: "fail2ban.actions",
            message: "[sshd] Ban 192.0.2.1",
            time: Local
                .with_ymd_and_hms(2026, 11, 21, 20, 4, 8)
                .unwrap()
                .with_nanosecond(54_000_000)
                .unwrap()
                .to_utc(),
            pid: 4242,
            began: Instant::now(),
        }
    }

    #[test]
    fn builtin_lines_are_the_originals() {
        let cases = [
            (
                LineFormat::builtin(0, true, true),
                "2026-11-21 20:04:08,054 fail2ban.actions        [4242]: NOTICE  [sshd] Ban 192.0.2.1",
            ),
            (
                LineFormat::builtin(1, true, false),
                "2026-11-21 20:04:08,054 fail2ban.actions[4242]: NOTICE [sshd] Ban 192.0.2.1",
            ),
            (
                LineFormat::builtin(0, false, true),
                "fail2ban.actions        [4242]: NOTICE  [sshd] Ban 192.0.2.1",
            ),
            (
                LineFormat::builtin(0, false, false),
                "fail2ban.actions[4242]: NOTICE [sshd] Ban 192.0.2.1",
            ),
        ];
        for (format, line) in cases {
            assert_eq!(format.line(&record(Level::Notice), SECOND), line);
        }
        let verbose = LineFormat::builtin(3, true, true).line(&record(Level::Critical), SECOND);
        let age = verbose.strip_prefix(" +").and_then(|rest| rest.get(..5));
        assert!(
            age.is_some_and(|age| age.trim_start().parse::<u32>().is_ok()),
            "{verbose}"
        );
        assert!(
            verbose.ends_with(" fail2ban.actions          CRITI [sshd] Ban 192.0.2.1"),
            "{verbose}"
        );
    }

    #[test]
    fn templates_of_the_administrator() {
        let lines = [
            ("%(message)s", "[sshd] Ban 192.0.2.1"),
            ("100%% %(levelname)10s|", "100%     NOTICE|"),
            ("%(levelno)05d %(module).3s", "00025 act"),
            ("", ""),
        ];
        for (template, line) in lines {
            let format = LineFormat::parse(template).unwrap();
            assert_eq!(
                format.line(&record(Level::Notice), SECOND),
                line,
                "{template}"
            );
        }
        for broken in ["%(message", "%(message)", "%(nothing)s", "% s", "%(name)q"] {
            assert!(LineFormat::parse(broken).is_err(), "{broken}");
        }
    }
}
