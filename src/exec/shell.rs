//! Runs a script by `/bin/sh -c` and logs it in the original's words.
//!
//! In: a [`Script`] with its time limit. Out: whether it succeeded. Log targets and texts are facts A17–A18.

use std::time::Duration;

use super::process::{ExitOutcome, Invocation, ProcessOutput};
use super::script::Script;
use crate::control::Value;
use crate::log::{self, Level};
use crate::{debug, error, info, record};

const TARGET: &str = "fail2ban.utils";

/// How a command went, as callers that care for more than success want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutcome {
    /// It ended with a code that counts as success.
    pub success: bool,
    /// Its code; minus the signal's number when one ended it; `None` when it never ran.
    pub code: Option<i32>,
}

/// Runs a script; `accepted` are the codes of success (an `ignorecommand` answers by 0 and 1).
/// Logs as the original does.
pub async fn run(script: &Script, timeout: &Value, accepted: &[i32]) -> CommandOutcome {
    let arguments = arguments(script);
    let report = CommandLog::new(script);
    match Invocation::new(&arguments, limit(timeout)).run().await {
        Ok(finished) => report.finished(&finished, timeout, accepted),
        Err(error) => {
            report.command(Level::Error);
            let reason = match error.raw_os_error() {
                Some(number) => format!(
                    "[Errno {number}] {}: '/bin/sh'",
                    nix::errno::Errno::from_raw(number).desc()
                ),
                None => error.to_string(),
            };
            error!(TARGET, "{} -- failed with {}", script.shown(), reason);
            CommandOutcome {
                success: false,
                code: None,
            }
        }
    }
}

/// The command line that runs a script.
pub fn arguments(script: &Script) -> Vec<String> {
    ["/bin/sh", "-c", &script.text]
        .into_iter()
        .chain(script.variables.iter().map(|(_, value)| value.as_str()))
        .map(str::to_owned)
        .collect()
}

/// A time limit as a duration; what is no number of seconds counts as none at all.
pub fn limit(timeout: &Value) -> Duration {
    let seconds = timeout.to_float().unwrap_or(0.0);
    Duration::try_from_secs_f64(seconds.clamp(0.0, 1e9)).unwrap_or_default()
}

/// Writes what is logged of one command. Every line carries the same number, so that lines of
/// commands that run side by side can be told apart.
#[derive(Debug)]
pub struct CommandLog<'a> {
    id: usize,
    script: &'a Script,
}

impl<'a> CommandLog<'a> {
    /// For one run of a command.
    pub fn new(script: &'a Script) -> CommandLog<'a> {
        // commands that run at the same time are different ones, each at a place of its own
        let id = std::ptr::from_ref(script).addr();
        CommandLog { id, script }
    }

    fn command(&self, level: Level) {
        record!(
            level,
            TARGET,
            "{:x} -- exec: {}",
            self.id,
            self.script.shown()
        );
    }

    /// A command that was carried out along with others and succeeded.
    pub fn succeeded(&self) {
        self.command(Level::LowDebug);
        debug!(TARGET, "{:x} -- returned successfully 0", self.id);
    }

    /// Everything about a command that ran.
    pub fn finished(
        &self,
        finished: &ProcessOutput,
        timeout: &Value,
        accepted: &[i32],
    ) -> CommandOutcome {
        let id = self.id;
        let code = match finished.ending {
            ExitOutcome::Code(code) => Some(code),
            ExitOutcome::Signal(number) => Some(-number),
            ExitOutcome::Unknown => None,
        };
        let success = code.is_some_and(|code| accepted.contains(&code));
        let level = if success { Level::Debug } else { Level::Error };
        if finished.timed_out {
            self.command(Level::Error);
            error!(
                TARGET,
                "{id:x} -- timed out after {} seconds.",
                timeout.str()
            );
        } else if log::enabled(level) {
            self.command(if success {
                Level::LowDebug
            } else {
                Level::Error
            });
        }
        if log::enabled(level) {
            for (name, bytes) in [("stdout", &finished.stdout), ("stderr", &finished.stderr)] {
                for line in lines(bytes) {
                    let line = Value::from(String::from_utf8_lossy(line).into_owned());
                    record!(level, TARGET, "{id:x} -- {name}: {}", line.repr());
                }
            }
        }
        match code {
            Some(code) if success => debug!(TARGET, "{id:x} -- returned successfully {code}"),
            None => error!(TARGET, "{id:x} -- unable to kill PID {}", finished.pid),
            // a shell answers 128 + n for a child that a signal ended
            Some(code) if code < 0 => self.killed(-code, code),
            Some(code) if code > 128 => self.killed(code - 128, code),
            Some(code) => {
                error!(TARGET, "{id:x} -- returned {code}");
                if code == 127 {
                    info!(TARGET, "HINT on 127: {}", hint(&self.script.repr()));
                }
            }
        }
        CommandOutcome { success, code }
    }

    fn killed(&self, signal: i32, code: i32) {
        let name = match signal_name(signal) {
            Some(name) => name.to_owned(),
            None => format!("signal {signal}"),
        };
        error!(
            TARGET,
            "{:x} -- killed with {name} (return code: {code})", self.id
        );
    }
}

/// Lines as Python splits bytes: at `\n`, `\r` and `\r\n`.
fn lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let end = bytes
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'))
            .unwrap_or(bytes.len());
        lines.push(&bytes[..end]);
        let skip = match bytes[end..] {
            [b'\r', b'\n', ..] => 2,
            [_, ..] => 1,
            [] => 0,
        };
        bytes = &bytes[end + skip..];
    }
    lines
}

/// What the operator is told when a program was not found; the text is the original's.
fn hint(command: &str) -> String {
    format!(
        "\"Command not found\".  Make sure that all commands in {command} are in the PATH of \
         fail2ban-server process (grep -a PATH= /proc/`pidof -x fail2ban-server`/environ). You may \
         want to start \"fail2ban-server -f\" separately, initiate it with \"fail2ban-client \
         reload\" in another shell session and observe if additional informative error messages \
         appear in the terminals."
    )
}

/// The name of a signal as the original's log has it.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        libc::SIGIO => "SIGPOLL",
        34 => "SIGRTMIN",
        64 => "SIGRTMAX",
        number => nix::sys::signal::Signal::try_from(number).ok()?.as_str(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Values;

    #[test]
    fn lines_end_as_in_python() {
        let split = |text: &'static str| -> Vec<&'static str> {
            lines(text.as_bytes())
                .into_iter()
                .map(|line| std::str::from_utf8(line).unwrap())
                .collect()
        };
        assert_eq!(split("a\nb\r\nc\rd"), ["a", "b", "c", "d"]);
        assert_eq!(split("\n\na\n"), ["", "", "a"]);
        assert!(split("").is_empty());
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(15), Some("SIGTERM"));
        assert_eq!(signal_name(29), Some("SIGPOLL"));
        assert_eq!(signal_name(6), Some("SIGABRT"));
        assert_eq!(signal_name(40), None);
    }

    #[test]
    fn limits_are_seconds() {
        assert_eq!(limit(&Value::Int(60)), Duration::from_secs(60));
        assert_eq!(limit(&Value::Float(1.5)), Duration::from_millis(1500));
        assert_eq!(limit(&Value::Int(-1)), Duration::ZERO);
        assert_eq!(limit(&Value::from("x")), Duration::ZERO);
    }

    #[tokio::test]
    async fn arguments_reach_the_script() {
        let mut values = Values::default();
        let [a, b] = ["x\ny", "$(exit 9)"].map(|value| values.mark(value, value.into()));
        let script = format!("[ \"{a}\" = 'x\ny' ] && [ \"{b}\" = '$(exit 9)' ]");
        let script = values.script(script);
        let outcome = run(&script, &Value::Int(60), &[0]).await;
        assert_eq!(
            outcome,
            CommandOutcome {
                success: true,
                code: Some(0)
            }
        );
        let outcome = run(&Script::plain("exit 1"), &Value::Int(60), &[0, 1]).await;
        assert_eq!(
            outcome,
            CommandOutcome {
                success: true,
                code: Some(1)
            }
        );
    }
}
