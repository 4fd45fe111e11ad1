//! Formats replies for people and scripts (facts P6–P55).
//!
//! In: the words of a command and the server's answer. Out: the text that `fail2ban-client` prints. Scripts
//! parse these texts by tabs, word counts and prefixes, so every character counts.
#![forbid(unsafe_code)]

pub mod ban;
pub mod json;
mod table;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::error::CommandError;
use crate::python::Value;
pub use table::Charset;

use crate::{error, warning};

const TARGET: &str = "fail2ban.beautifier";

/// The text for a reply. A reply that does not have the shape its command calls for (as with `status JAIL
/// stats`, fact P11) is logged and shown as it is.
pub fn reply(words: &[Value], response: &Value, charset: Charset) -> String {
    let mut printer = Printer {
        words,
        response,
        charset,
        begun: None,
    };
    if let Some(text) = printer.print() {
        return text;
    }
    let words = Value::List(words.to_vec()).repr();
    let shown = response.repr();
    warning!(TARGET, "Beautifier error. Please report the error");
    error!(TARGET, "Beautify {} with {} failed", shown, words);
    let begun = match printer.begun {
        Some(lines) => Value::from(lines).repr(),
        None => shown.clone(),
    };
    format!("{begun}{shown}")
}

/// The text for a failed command.
pub fn failure(error: &CommandError) -> String {
    match error.args.first() {
        Some(jail) if error.is("UnknownJailException") => {
            format!("Sorry but the jail '{}' does not exist", jail.str())
        }
        Some(jail) if error.is("DuplicateJailException") => {
            format!("The jail '{}' already exists", jail.str())
        }
        _ if error.is("IndexError") => "Sorry but the command is invalid".to_owned(),
        _ => error.to_string(),
    }
}

struct Printer<'a> {
    words: &'a [Value],
    response: &'a Value,
    charset: Charset,
    /// Lines of a tree that were ready when its reply turned out to have another shape.
    begun: Option<Vec<String>>,
}

/// The mark before a line of a tree: there are more to come, or it is the last.
fn branch(last: bool) -> &'static str {
    if last { "`-" } else { "|-" }
}

impl Printer<'_> {
    fn word(&self, at: usize) -> &str {
        self.words
            .get(at)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// `None`: the reply does not have the shape the command calls for.
    fn print(&mut self) -> Option<String> {
        let response = self.response;
        let as_is = || Some(response.str().into_owned());
        match self.word(0) {
            "ping" => return Some(format!("Server replied: {}", response.as_str()?)),
            "version" => return as_is(),
            "start" => return Some("Jail started".to_owned()),
            "stop" if *response != Value::None => return as_is(),
            "stop"
                if self.words[1..]
                    .iter()
                    .all(|word| word.as_str() == Some("--keep")) =>
            {
                return Some("Shutdown successful".to_owned());
            }
            "stop" => return Some("Jail stopped".to_owned()),
            "add" => return Some(format!("Added jail {}", response.as_str()?)),
            "flushlogs" => return Some(format!("logs: {}", response.as_str()?)),
            "echo" => return join(response, " "),
            "status" => return self.status(),
            "stats" | "statistics" => return self.statistics(),
            _ => {}
        }
        match (self.words.len(), self.word(1)) {
            (..2, _) => return as_is(),
            (_, "syslogsocket") => return headed("Current syslog socket is:", response),
            (_, "logtarget") => return headed("Current logging target is:", response),
            (_, "loglevel") => {
                let level = match response {
                    Value::Int(number) => Value::Str(level_name(*number)),
                    other => other.clone(),
                };
                return Some(format!("Current logging level is {}", level.repr()));
            }
            (_, "dbfile" | "dbpurgeage") if *response == Value::None => {
                return Some("Database currently disabled".to_owned());
            }
            (_, "dbfile") => return headed("Current database file is:", response),
            (_, "dbpurgeage") => {
                let seconds = match response {
                    Value::Int(seconds) => *seconds,
                    Value::Float(seconds) => seconds.trunc() as i64,
                    _ => return None,
                };
                return Some(format!(
                    "Current database purge age is:\n`- {seconds}seconds"
                ));
            }
            (2, _) => return as_is(),
            _ => {}
        }
        match self.word(2) {
            "logpath" | "addlogpath" | "dellogpath" => listed(
                response,
                "No file is currently monitored",
                "Current monitored log file(s):",
                |_, path| path.as_str().map(str::to_owned),
            ),
            "logencoding" => Some(format!(
                "Current log encoding is set to:\n{}",
                response.as_str()?
            )),
            "journalmatch" | "addjournalmatch" | "deljournalmatch" => {
                let groups = response.as_slice()?;
                if groups.is_empty() {
                    return Some("No journal match filter set".to_owned());
                }
                let groups: Option<Vec<_>> = groups.iter().map(|group| join(group, " ")).collect();
                Some(format!("Current match filter:\n{}", groups?.join(" + ")))
            }
            "datepattern" => {
                let shown = match response {
                    Value::None => Cow::Borrowed("Not set/required"),
                    other => match other.as_slice()? {
                        [Value::None, name] => name.str(),
                        [pattern, name] => format!("{} ({})", pattern.str(), name.str()).into(),
                        _ => return None,
                    },
                };
                Some(format!("Current date pattern set to: {shown}"))
            }
            "ignoreip" | "addignoreip" | "delignoreip" => listed(
                response,
                "No IP address/network is ignored",
                "These IP addresses/networks are ignored:",
                |_, id| Some(id.str().into_owned()),
            ),
            "failregex" | "addfailregex" | "delfailregex" | "ignoreregex" | "addignoreregex"
            | "delignoreregex" => listed(
                response,
                "No regular expression is defined",
                "The following regular expression are defined:",
                |n, regex| Some(format!("[{n}]: {}", regex.as_str()?)),
            ),
            what @ ("actions" | "actionproperties" | "actionmethods") => {
                let owner = match what {
                    "actions" => format!("jail {}", self.word(1)),
                    _ => format!("jail {} action {}", self.word(1), self.word(3)),
                };
                let what = what.strip_prefix("action").filter(|rest| *rest != "s");
                let what = what.unwrap_or("actions");
                Some(if response.as_slice()?.is_empty() {
                    format!("No {what} for {owner}")
                } else {
                    let names = join(response, ", ")?;
                    format!("The {owner} has the following {what}:\n{names}")
                })
            }
            "banip" if self.word(0) == "get" && response.as_slice().is_some() => join(
                response,
                match self.words.get(3).and_then(Value::as_str) {
                    None => " ",
                    Some("--with-time") => "\n",
                    Some(separator) => separator,
                },
            ),
            _ => as_is(),
        }
    }

    /// `status`, `status JAIL`, `status --all` (facts P10–P12).
    fn status(&mut self) -> Option<String> {
        let of_one = self.words.len() > 1 && self.word(1) != "--all";
        if of_one {
            let mut lines = vec![format!("Status for the jail: {}", self.word(1))];
            if jail_status(self.response, "", &mut lines).is_none() {
                self.begun = Some(lines);
                return None;
            }
            return Some(lines.join("\n"));
        }
        let response = self.response.as_slice()?;
        let (rows, jails) = match (self.words.len(), response) {
            (1, rows) => (rows, [].as_slice()),
            (_, [rows @ .., Value::Dict(jails)]) => (rows, jails.as_slice()),
            _ => return None,
        };
        let mut lines = vec!["Status".to_owned()];
        for (n, row) in rows.iter().enumerate() {
            let last = jails.is_empty() && n + 1 == rows.len();
            lines.push(leaf(branch(last), row)?);
        }
        if !jails.is_empty() {
            lines.push("`- Status for the jails:".to_owned());
        }
        for (n, (name, status)) in jails.iter().enumerate() {
            let last = n + 1 == jails.len();
            lines.push(format!("   {} Jail: {}", branch(last), name.str()));
            let prefix = if last { "      " } else { "   |  " };
            if jail_status(status, prefix, &mut lines).is_none() {
                self.begun = Some(lines);
                return None;
            }
        }
        Some(lines.join("\n"))
    }

    /// One row per jail (fact P13).
    fn statistics(&self) -> Option<String> {
        let Value::Dict(jails) = self.response else {
            return None;
        };
        if jails.is_empty() {
            return Some("No jails found.".to_owned());
        }
        let mut rows = Vec::with_capacity(jails.len());
        for (name, numbers) in jails {
            let [backend, failures, bans] = numbers.as_slice()? else {
                return None;
            };
            let ([failed, found], [banned, bans]) = (failures.as_slice()?, bans.as_slice()?) else {
                return None;
            };
            rows.push([name, backend, failed, found, banned, bans].map(Value::str));
        }
        Some(table::draw(&rows, self.charset))
    }
}

/// The tree of one jail, below `prefix`.
fn jail_status(status: &Value, prefix: &str, lines: &mut Vec<String>) -> Option<()> {
    let parts = members(status)?;
    for (n, part) in parts.iter().enumerate() {
        let last = n + 1 == parts.len();
        let part = members(part)?;
        lines.push(format!("{prefix}{} {}", branch(last), part.first()?.str()));
        let prefix = format!("{prefix}{}", if last { "   " } else { "|  " });
        let rows = members(part.get(1)?)?;
        for (m, row) in rows.iter().enumerate() {
            let mark = format!("{prefix}{}", branch(m + 1 == rows.len()));
            lines.push(leaf(&mark, row)?);
        }
    }
    Some(())
}

/// `|- NAME:<TAB>VALUE`; the members of a list are separated by blanks.
fn leaf(mark: &str, row: &Value) -> Option<String> {
    let [name, value, ..] = row.as_slice()? else {
        return None;
    };
    let value = match value {
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(Value::str).collect();
            Cow::Owned(items.join(" "))
        }
        other => other.str(),
    };
    Some(format!("{mark} {}:\t{value}", name.str()))
}

/// What Python finds when it walks through a value: the members of a list, the letters of a text.
fn members(value: &Value) -> Option<Vec<Cow<'_, Value>>> {
    match value {
        Value::List(items) | Value::Tuple(items) => Some(items.iter().map(Cow::Borrowed).collect()),
        Value::Str(text) => Some(
            text.chars()
                .map(|letter| Cow::Owned(Value::Str(letter.into())))
                .collect(),
        ),
        _ => None,
    }
}

/// The texts of a list, joined.
fn join(list: &Value, separator: &str) -> Option<String> {
    let texts: Option<Vec<&str>> = list.as_slice()?.iter().map(Value::as_str).collect();
    Some(texts?.join(separator))
}

fn headed(head: &str, response: &Value) -> Option<String> {
    Some(format!("{head}\n`- {}", response.as_str()?))
}

/// A heading and a branch per member, or what is said when there are none.
fn listed(
    response: &Value,
    none: &str,
    head: &str,
    show: impl Fn(usize, &Value) -> Option<String>,
) -> Option<String> {
    let items = response.as_slice()?;
    if items.is_empty() {
        return Some(none.to_owned());
    }
    let mut text = head.to_owned();
    for (n, item) in items.iter().enumerate() {
        text.push('\n');
        text.push_str(branch(n + 1 == items.len()));
        text.push(' ');
        text.push_str(&show(n, item)?);
    }
    Some(text)
}

/// The name of a log level given as a number (fact G1).
fn level_name(number: i64) -> String {
    let name = match number {
        50 => "CRITICAL",
        40 => "ERROR",
        30 => "WARNING",
        25 => "NOTICE",
        20 => "INFO",
        18 => "MSG",
        10 => "DEBUG",
        7 => "TRACEDEBUG",
        5 => "HEAVYDEBUG",
        0 => "NOTSET",
        other => return format!("Level {other}"),
    };
    name.to_owned()
}
