//! What `ferroban config` tells of a jail, without what is secret in it: settings of actions may be passwords and
//! keys, and whoever may look at the page is not meant to have them.

use serde_json::Value as Json;

use crate::config::secrets::is_secret_name;

/// What stands in the place of a secret.
const HIDDEN: &str = "(not shown)";
/// Shorter values are found everywhere by chance.
const SHORTEST: usize = 4;

/// Takes secrets out of an answer of `ferroban config --json`: the values of settings that are called so, and those
/// values wherever else they stand. A filter has none.
pub fn hide(config: &mut Json) {
    let mut known: Vec<String> = Vec::new();
    each_row(config, &mut |row| {
        let name = row["name"].as_str().unwrap_or_default();
        let value = row["value"].as_str().unwrap_or_default().trim();
        if is_secret_name(name) && !is_place(value) && value.len() >= SHORTEST {
            known.push(value.to_owned());
        }
    });
    known.sort_by_key(|value| std::cmp::Reverse(value.len()));
    let shown = |text: &mut Json| {
        if let Json::String(text) = text {
            for secret in &known {
                *text = text.replace(secret.as_str(), HIDDEN);
            }
            *text = without_login(text);
        }
    };
    each_row(config, &mut |row| shown(&mut row["value"]));
    for action in config["actions"].as_array_mut().into_iter().flatten() {
        shown(&mut action["definition"]);
    }
}

/// Calls for each setting of the jail and of its actions.
fn each_row(config: &mut Json, call: &mut impl FnMut(&mut Json)) {
    if !config.is_object() {
        return;
    }
    for part in ["settings", "variables"] {
        config[part]
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(&mut *call);
    }
    for action in config["actions"].as_array_mut().into_iter().flatten() {
        action["settings"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(&mut *call);
    }
}

/// Whether a value says where a secret is.
fn is_place(value: &str) -> bool {
    value.starts_with('/') || value.starts_with("$(cat ")
}

/// A text in which no URL holds a user and a password.
fn without_login(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '/' || c.is_whitespace() || "\"'".contains(c));
        let (place, rest) = part.split_at(end.unwrap_or(part.len()));
        out.push_str("://");
        match place.rsplit_once('@') {
            Some((_, host)) => out.push_str(&format!("{HIDDEN}@{host}")),
            None => out.push_str(place),
        }
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_told_nowhere() {
        let row = |name: &str, value: &str| json!({ "name": name, "value": value });
        let mut config = json!({
            "settings": [
                row("maxretry", "3"),
                row("action", "tell[password=\"hunter2\", url=https://me:pw@a.example/x]"),
            ],
            "variables": [row("my_token", "tok-1")],
            "filter": { "settings": [row("publickey", "nofail")] },
            "actions": [{
                "definition": "tell[password=\"hunter2\", url=https://me:pw@a.example/x]",
                "settings": [
                    row("password", "hunter2"),
                    row("keyfile", "/etc/key"),
                    row("actionban", "curl -u x:hunter2 -H tok-1"),
                ],
            }],
        });
        hide(&mut config);
        let text = config.to_string();
        for secret in ["hunter2", "tok-1", "me:pw"] {
            assert!(!text.contains(secret), "{text}");
        }
        for shown in [
            "/etc/key",
            "nofail",
            "://(not shown)@a.example/x",
            "curl -u x:(not shown)",
        ] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
        hide(&mut Json::Null);
    }
}
