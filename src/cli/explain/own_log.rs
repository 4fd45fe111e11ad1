//! What the server has written into its own log since its start.

use crate::cli::doctor::inspection::Inspection;
use crate::cli::doctor::lines::{TAIL, tail};

/// With these words a server begins its log at each start, Ferroban and the original.
const START: &str = " Starting Fail2ban v";

/// The log since the last start, as far as its last MiB goes; and its path.
///
/// # Errors
/// Why it cannot be read.
pub fn since_start(look: &Inspection) -> Result<(String, String), String> {
    let target = look.early.as_ref().map(|early| early.logtarget.as_str());
    let Some(path) = target.filter(|target| target.starts_with('/')) else {
        return Err("the server's log: it is no file".to_owned());
    };
    let text = tail(&look.machine.place(path), TAIL)
        .map_err(|error| format!("the server's log {path}: {error}"))?;
    let since = text.rfind(START).unwrap_or_default();
    Ok((path.to_owned(), text[since..].to_owned()))
}

/// The last error that is about a jail.
pub fn complaint<'t>(text: &'t str, jail: &str) -> Option<&'t str> {
    let names = [format!("'{jail}'"), format!("[{jail}]")];
    messages(text)
        .filter(|(level, _)| *level == "ERROR")
        .map(|(_, message)| message)
        .filter(|message| names.iter().any(|name| message.contains(name.as_str())))
        .last()
}

/// What was said last of an address: that it was banned, or that the ban was lifted; with its date.
pub fn last_of(look: &Inspection, jail: &str, id: &str) -> Option<String> {
    let (_, text) = since_start(look).ok()?;
    let said = ["Ban", "Restore Ban", "Unban"].map(|word| format!("[{jail}] {word} {id}"));
    let is_about =
        |line: &&str| messages(line).any(|(_, message)| said.iter().any(|said| message == said));
    let line = text.lines().rev().find(is_about)?;
    let date = line.get(..19)?;
    let (_, message) = messages(line).next()?;
    Some(format!("{date} {message}"))
}

/// Levels and messages of lines.
fn messages(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("]: ")?;
        let (level, message) = rest.split_once(' ')?;
        Some((level, message.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_the_jail_are_complaints() {
        let head = "2026-11-20 10:00:00,000 fail2ban.actions";
        let text = format!(
            "{head} [7]: ERROR   Failed to execute ban jail 'one' action 'a'\n\
             {head} [7]: ERROR   Failed to execute ban jail 'two' action 'a'\n\
             {head} [7]: NOTICE  [one] Ban 192.0.2.1\n\
             {head} [7]: INFO    [one] Found ]: ERROR [one] - of a client\n"
        );
        let found = complaint(&text, "one");
        assert_eq!(found, Some("Failed to execute ban jail 'one' action 'a'"));
        assert_eq!(complaint(&text, "three"), None);
    }
}
