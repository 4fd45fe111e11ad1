//! `ferroban completion bash|zsh|fish`: completion scripts for `fail2ban-client`, made of the usage
//! table, so that a command that is added there is completed too.
//!
//! Each form of the table is a path of words. Where it says `<JAIL>` or `<ACT>` the script asks the
//! running server.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use super::{exit_code, say, usage};

/// Runs the program; the first argument is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let shell = args.get(1).map(|shell| shell.to_string_lossy());
    let script = match shell.as_deref() {
        Some("bash") => bash(),
        Some("zsh") => format!(
            "#compdef fail2ban-client\nautoload -U +X bashcompinit && bashcompinit\n{}",
            bash()
        ),
        Some("fish") => fish(),
        other => {
            say("Usage: ferroban completion bash|zsh|fish");
            return exit_code(matches!(other, Some("-h" | "--help")));
        }
    };
    say(script.trim_end());
    exit_code(true)
}

/// What may follow which words: after `set <JAIL>` come `banip`, `bantime` and so on.
fn grammar() -> BTreeMap<Vec<&'static str>, Vec<&'static str>> {
    let mut next: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for form in usage::forms() {
        let mut path = Vec::new();
        for word in form.split_whitespace() {
            let bare = word.trim_matches(['[', ']']);
            let choices: Vec<&str> = match bare {
                "<JAIL>" | "<ACT>" => vec![bare],
                "stat[istic]s" => vec!["stats", "statistics"],
                "FLAVOR" => vec!["basic", "cymru", "short", "stats"],
                _ if bare.starts_with(['<', '\'']) || bare == "..." => break,
                _ => bare.split('|').filter(|word| !word.contains('<')).collect(),
            };
            let words = next.entry(path.clone()).or_default();
            for choice in &choices {
                if !words.contains(choice) {
                    words.push(choice);
                }
            }
            // what is optional may be left out: the words after it follow the same path
            match choices.as_slice() {
                _ if word.starts_with('[') => {}
                [choice] => path.push(choice),
                _ => break,
            }
        }
    }
    next
}

/// Options, without their arguments.
fn options() -> Vec<&'static str> {
    usage::options()
        .flat_map(|form| form.split(", "))
        .filter_map(|option| option.split([' ', '|']).next())
        .collect()
}

/// What may follow which words, as a script says it: paths with `*` for what the server knows, and
/// for words of its own the commands that ask it.
fn rows(
    jails: &'static str,
    actions: &'static str,
) -> impl Iterator<Item = (Vec<&'static str>, String)> {
    grammar().into_iter().map(move |(path, words)| {
        let any = |word| match word {
            "<JAIL>" | "<ACT>" => "*",
            word => word,
        };
        let ask = |word| match word {
            "<JAIL>" => jails,
            "<ACT>" => actions,
            word => word,
        };
        let words: Vec<&str> = words.into_iter().map(ask).collect();
        (path.into_iter().map(any).collect(), words.join(" "))
    })
}

fn bash() -> String {
    let mut cases = String::new();
    for (path, words) in rows("$(_fail2ban_jails)", "$(_fail2ban_actions \"${given[1]}\")") {
        // a `*` matches blanks too, so the number of words stands first
        let pattern: String = path.iter().map(|word| format!("\\ {word}")).collect();
        let pattern = match path.len() {
            0 => "0\\ ".to_owned(),
            count => format!("{count}{pattern}"),
        };
        cases.push_str(&format!("        {pattern}) words=\"{words}\" ;;\n"));
    }
    BASH.replace("OPTIONS", &options().join(" "))
        .replace("CASES\n", &cases)
}

const BASH: &str = r#"_fail2ban_jails() {
    fail2ban-client status 2>/dev/null | sed -n 's/.*Jail list:[[:space:]]*//p' | tr -d ','
}
_fail2ban_actions() {
    fail2ban-client get "$1" actions 2>/dev/null | sed -n '2p' | tr -d ','
}
_fail2ban_client() {
    local cur="${COMP_WORDS[COMP_CWORD]}" words="" i
    local -a given=() # not path, which is PATH in zsh
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
            -c|-s|-p|--conf|--socket|--pidfile|--pname|--loglevel|--logtarget|--syslogsocket|--timeout|--str2sec) ((i++)) ;;
            -*) ;;
            *) given+=("${COMP_WORDS[i]}") ;;
        esac
    done
    case "${#given[@]} ${given[*]}" in
CASES
    esac
    case "$cur" in
        -*) words="$words OPTIONS" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _fail2ban_client fail2ban-client
"#;

fn fish() -> String {
    let mut lines = FISH.to_owned();
    for (path, words) in rows("(__fail2ban_jails)", "(__fail2ban_actions)") {
        let path: String = path.iter().map(|word| format!(" \"{word}\"")).collect();
        lines.push_str(&format!(
            "complete -c fail2ban-client -f -n '__fail2ban_after{path}' -a '{words}'\n"
        ));
    }
    for option in options() {
        let (kind, name) = match option.strip_prefix("--") {
            Some(name) => ("-l", name),
            None => ("-s", option.trim_start_matches('-')),
        };
        lines.push_str(&format!("complete -c fail2ban-client {kind} {name}\n"));
    }
    lines
}

const FISH: &str = r#"function __fail2ban_jails
    fail2ban-client status 2>/dev/null | string replace -rf '.*Jail list:\s*' '' | string split ', '
end
function __fail2ban_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word -c -s -p --conf --socket --pidfile --pname --loglevel --logtarget --syslogsocket --timeout --str2sec
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end
function __fail2ban_actions
    set -l words (__fail2ban_words)
    fail2ban-client get $words[2] actions 2>/dev/null | tail -n +2 | string split ', '
end
function __fail2ban_after
    set -l words (__fail2ban_words)
    test (count $words) = (count $argv); or return 1
    for i in (seq (count $argv))
        test $argv[$i] = '*'; or test $argv[$i] = $words[$i]; or return 1
    end
end
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_the_usage_table() {
        let next = grammar();
        let after = |path: &[&'static str]| next.get(path).cloned().unwrap_or_default();
        for word in [
            "status",
            "set",
            "get",
            "stats",
            "statistics",
            "forget",
            "events",
        ] {
            assert!(after(&[]).contains(&word), "{word}");
        }
        assert!(after(&["set"]).contains(&"<JAIL>") && after(&["set"]).contains(&"loglevel"));
        assert_eq!(after(&["set", "<JAIL>", "idle"]), ["on", "off"]);
        assert_eq!(after(&["set", "<JAIL>", "unbanip"]), ["--report-absent"]);
        assert!(after(&["get", "<JAIL>", "action", "<ACT>"]).contains(&"actionban"));
        assert!(after(&["reload"]).contains(&"--unban") && after(&["reload"]).contains(&"<JAIL>"));
        assert!(options().contains(&"--json") && options().contains(&"-c"));
        let marks = |word: &str| {
            word.contains(['<', '[', '|', '\'']) && word != "<JAIL>" && word != "<ACT>"
        };
        assert!(!next.values().flatten().any(|word| marks(word)));
    }
}
