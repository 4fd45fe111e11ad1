//! Rejects ids that are unsafe in a command. An id may be any text, and a client could write one that the
//! command takes for an argument: `1:65535` for `--dport`, say.
#![forbid(unsafe_code)]

use crate::config::Fault;
use crate::control::Value;
use crate::pattern::{FailRegex, UseDns};

/// The tags that stand for the id.
const TAGS: [&str; 3] = ["<ip>", "<fid>", "<F-ID>"];

/// The regexes among the commands of a jail whose id may hold any character while an action of the
/// jail puts the id into a command.
pub fn open_ids(commands: &[Vec<Value>]) -> Vec<Fault> {
    let Some(action) = commands.iter().find_map(|words| action_with_id(words)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (command, words) in commands.iter().enumerate() {
        if !matches!(option_of(words), "addfailregex" | "prefregex") {
            continue;
        }
        let values = match words.get(3) {
            Some(Value::List(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        for (item, source) in values.iter().enumerate() {
            let source = source.as_str().unwrap_or_default();
            let regex = FailRegex::new(source, UseDns::Warn, false);
            if regex.is_ok_and(|regex| regex.has_open_id()) {
                let text = format!(
                    "the id of this regex may hold any character, and action {action} puts it into a \
                     command: name its characters, as in <F-ID>[a-z0-9]+</F-ID>"
                );
                found.push(Fault {
                    command,
                    item,
                    text,
                });
            }
        }
    }
    found
}

fn option_of(words: &[Value]) -> &str {
    words.get(2).and_then(Value::as_str).unwrap_or_default()
}

/// The action whose commands show the id, if these words set its properties.
fn action_with_id(words: &[Value]) -> Option<&str> {
    if option_of(words) != "action" {
        return None;
    }
    let name = words.get(3)?.as_str()?;
    let Some(Value::List(pairs)) = words.get(4) else {
        return None;
    };
    let shows = |pair: &Value| {
        let text = match pair.as_slice() {
            Some([_, Value::Str(text)]) => text,
            _ => return false,
        };
        TAGS.iter().any(|tag| text.contains(tag))
    };
    pairs.iter().any(shows).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_id_that_reaches_a_command() {
        let words = |words: &[&str]| -> Vec<Value> { words.iter().map(|w| (*w).into()).collect() };
        let list = |words: &[&str]| Value::List(words.iter().map(|w| Value::from(*w)).collect());
        let regexes = |regexes: &[&str]| {
            let command = ["multi-set", "j", "addfailregex"].map(Value::from);
            [command.to_vec(), vec![list(regexes)]].concat()
        };
        let action = |ban: &str| {
            let command = ["multi-set", "j", "action", "a"].map(Value::from);
            let pairs = Value::List(vec![list(&["actionban", ban])]);
            [command.to_vec(), vec![pairs]].concat()
        };
        let open = ["^x <HOST>$", "^x <F-ID>\\S+</F-ID>$"];
        let faults = |regex: &[&str], ban: &str| -> Vec<(usize, usize)> {
            let commands = [words(&["add", "j", "auto"]), regexes(regex), action(ban)];
            let found = open_ids(&commands);
            found.iter().map(|f| (f.command, f.item)).collect()
        };
        assert_eq!(faults(&open, "iptables --dport <fid>"), [(1, 1)]);
        assert_eq!(faults(&open, "echo <ip>"), [(1, 1)]);
        assert_eq!(faults(&open, "echo <name>"), []);
        assert_eq!(faults(&["^x <F-ID>[a-z]+</F-ID>$"], "echo <ip>"), []);
    }
}
