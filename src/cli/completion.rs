//! `ferroban completion bash|zsh|fish`: completion scripts for fail2ban's programs and `ferroban`, made
//! of the usage table and of the options clap knows, so that what is added there is completed too.
//!
//! Each form of the table is a path of words. Where it says `<JAIL>` or `<ACT>` the script asks the
//! running server.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use super::{
    actions, config, doctor, explain, filter, fleet, help, links, lint, notify, programs, refused,
    regex, replay, report, say, setup, test, top, usage, web,
};

/// Runs the program; the first argument is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    let script = match matches.get_one::<String>("shell").map(String::as_str) {
        Some("fish") => fish(),
        Some("zsh") => format!(
            "#compdef {}\nautoload -U +X bashcompinit && bashcompinit\n{}",
            COMPLETED.join(" "),
            bash()
        ),
        _ => bash(),
    };
    say(script.trim_end());
    ExitCode::SUCCESS
}

/// The shells there are scripts for.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The options, for clap.
fn command() -> clap::Command {
    let command = clap::Command::new("ferroban completion")
        .about(
            "Prints a shell completion script for the commands and options of fail2ban's programs and of ferroban.",
        )
        .arg(
            clap::Arg::new("shell")
                .value_name("SHELL")
                .value_parser(SHELLS)
                .required(true)
                .help(SHELLS.join(", ")),
        );
    help::formed(
        command,
        &[
            (
                "bash, for all users",
                "ferroban completion bash > /etc/bash_completion.d/ferroban",
            ),
            (
                "fish, for the current user",
                "ferroban completion fish > ~/.config/fish/completions/ferroban.fish",
            ),
        ],
    )
}

/// The commands that are completed.
const COMPLETED: [&str; 4] = [
    "fail2ban-client",
    "fail2ban-server",
    "fail2ban-regex",
    "ferroban",
];

/// Where `--x` may stand among the words of a command: the words before it.
type Places<'a> = BTreeMap<Vec<&'a str>, Vec<&'a str>>;

/// What may follow which words: after `set <JAIL>` come `banip`, `bantime` and so on.
fn grammar(forms: &[String]) -> Places<'_> {
    let mut next = Places::new();
    for form in forms {
        let mut path = Vec::new();
        for word in form.split_whitespace() {
            let bare = word.trim_matches(['[', ']']);
            let choices: Vec<&str> = match bare {
                "<JAIL>" | "<ACT>" => vec![bare],
                "stat[istic]s" => vec!["stats", "statistics"],
                "FLAVOR" => vec!["basic", "full", "cymru", "short", "stats"],
                _ if bare.starts_with("--") && bare != "--all" => continue,
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

/// The options of commands, by the words these begin with.
fn command_options(forms: &[String]) -> Places<'_> {
    let mut options = Places::new();
    for form in forms {
        let mut path = Vec::new();
        for word in form.split_whitespace() {
            let bare = word.trim_matches(['[', ']']);
            if bare.starts_with("--") && word.starts_with('[') {
                let known = options.entry(path.clone()).or_default();
                if !known.contains(&bare) {
                    known.push(bare);
                }
            } else if bare == "<JAIL>" || !bare.starts_with('<') && bare != "..." {
                path.push(bare);
            }
        }
    }
    options
}

/// Options of client and server, without their arguments.
fn options() -> Vec<&'static str> {
    usage::options()
        .flat_map(|form| form.split(", "))
        .filter_map(|option| option.split([' ', '|']).next())
        .collect()
}

/// The options of a program, as clap knows them, and whether it takes names of jails.
fn options_of(command: &clap::Command) -> (Vec<String>, bool) {
    let mut options = vec!["-h".to_owned(), "--help".to_owned()];
    let mut jails = false;
    for arg in command.get_arguments() {
        options.extend(arg.get_short().map(|short| format!("-{short}")));
        options.extend(arg.get_long().map(|long| format!("--{long}")));
        let names = arg.get_value_names().unwrap_or_default();
        jails |= arg.is_positional() && names.iter().any(|name| name == "JAIL");
    }
    let mut seen = std::collections::HashSet::new();
    options.retain(|option| seen.insert(option.clone()));
    (options, jails)
}

/// The programs that clap reads the command line of.
fn by_clap() -> [(&'static str, clap::Command); 16] {
    [
        ("regex", regex::flags::command()),
        ("replay", replay::arguments::command()),
        ("report", report::arguments::command()),
        ("config", config::command()),
        ("lint", lint::command()),
        ("actions", actions::command()),
        ("notify", notify::command()),
        ("explain", explain::arguments::command()),
        ("filter", filter::command()),
        ("test", test::command()),
        ("setup", setup::command()),
        ("fleet", fleet::command()),
        ("doctor", doctor::command()),
        ("top", top::command()),
        ("web", web::command()),
        ("install-links", links::command()),
    ]
}

fn program_names() -> String {
    let names = programs().map(|(name, _, _)| *name);
    names.chain(["help"]).collect::<Vec<_>>().join(" ")
}

/// What a word of a form looks like in a script: `*` for what the server knows.
fn any(word: &str) -> &str {
    match word {
        "<JAIL>" | "<ACT>" => "*",
        word => word,
    }
}

/// What may follow which words, as a script says it: paths with `*` for what the server knows, and
/// for words of its own the commands that ask it.
fn rows<'a>(
    forms: &'a [String],
    jails: &'static str,
    actions: &'static str,
) -> impl Iterator<Item = (Vec<&'a str>, String)> {
    grammar(forms).into_iter().map(move |(path, words)| {
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
    let forms = usage::forms();
    let mut cases = String::new();
    for (path, words) in rows(
        &forms,
        "$(_fail2ban_jails)",
        "$(_fail2ban_actions \"${given[1]}\")",
    ) {
        // a `*` matches blanks too, so the number of words stands first
        let pattern: String = path.iter().map(|word| format!("\\ {word}")).collect();
        let pattern = match path.len() {
            0 => "0\\ ".to_owned(),
            count => format!("{count}{pattern}"),
        };
        cases.push_str(&format!("        {pattern}) words=\"{words}\" ;;\n"));
    }
    let mut options_of_commands = String::new();
    for (path, options) in command_options(&forms) {
        let words: Vec<&str> = path.iter().map(|word| any(word)).collect();
        let pattern = words.join("\\ ");
        let options = options.join(" ");
        options_of_commands.push_str(&format!(
            "        {pattern}\\ *) words=\"$words {options}\" ;;\n"
        ));
    }
    let mut others = String::new();
    for (name, command) in by_clap() {
        let (options, jails) = options_of(&command);
        let jails = if jails { " $(_fail2ban_jails)" } else { "" };
        let call = match name {
            "regex" => "_fail2ban_regex".to_owned(),
            _ => format!(
                "_fail2ban_reply \"{}\" \"{}\"",
                jails.trim(),
                options.join(" ")
            ),
        };
        others.push_str(&format!("        *\\ {name}) {call} ;;\n"));
    }
    BASH.replace("OPTIONS_OF_COMMANDS\n", &options_of_commands)
        .replace(
            "REGEX_OPTIONS",
            &options_of(&regex::flags::command()).0.join(" "),
        )
        .replace("OTHER_PROGRAMS\n", &others)
        .replace("OPTIONS", &options().join(" "))
        .replace("PROGRAMS", &program_names())
        .replace("CASES\n", &cases)
}

const BASH: &str = r#"_fail2ban_ask="fail2ban-client"
_fail2ban_jails() {
    $_fail2ban_ask status 2>/dev/null | sed -n 's/.*Jail list:[[:space:]]*//p' | tr -d ','
}
_fail2ban_actions() {
    $_fail2ban_ask get "$1" actions 2>/dev/null | sed -n '2p' | tr -d ','
}
# words, and what is offered for a word that begins with -
_fail2ban_reply() {
    local cur="${COMP_WORDS[COMP_CWORD]}" words="$1"
    case "$cur" in
        -*) words="$words $2" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
# commands, from the word of this number on
_fail2ban_commands() {
    local words="" i
    local -a given=() # not path, which is PATH in zsh
    for ((i = $1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
            -c|-s|-p|--conf|--config|--socket|--pidfile|--pname|--loglevel|--logtarget|--syslogsocket|--timeout|--str2sec) ((i++)) ;;
            --all) given+=("--all") ;;
            -*) ;;
            *) given+=("${COMP_WORDS[i]}") ;;
        esac
    done
    case "${#given[@]} ${given[*]}" in
CASES
    esac
    case "${given[*]} " in
OPTIONS_OF_COMMANDS
    esac
    _fail2ban_reply "$words" "OPTIONS"
}
_fail2ban_client() {
    _fail2ban_ask="fail2ban-client"
    _fail2ban_commands 1
}
_fail2ban_regex() {
    _fail2ban_reply "" "REGEX_OPTIONS"
}
_ferroban() {
    _fail2ban_ask="ferroban client"
    case "$COMP_CWORD ${COMP_WORDS[1]}" in
        1\ *) _fail2ban_reply "PROGRAMS" "-h --help -V --version" ;;
        *\ client|*\ server) _fail2ban_commands 2 ;;
OTHER_PROGRAMS
        *\ completion) _fail2ban_reply "bash zsh fish" "--help" ;;
        *\ help) _fail2ban_reply "PROGRAMS" "" ;;
    esac
}
complete -o default -F _fail2ban_client fail2ban-client fail2ban-server
complete -o default -F _fail2ban_regex fail2ban-regex
complete -o default -F _ferroban ferroban
"#;

fn fish() -> String {
    let mut lines = FISH.to_owned();
    let option = |command: &str, option: &str| {
        let (kind, name) = match option.strip_prefix("--") {
            Some(name) => ("-l", name),
            None => ("-s", option.trim_start_matches('-')),
        };
        format!("complete -c {command} {kind} {name}\n")
    };
    let forms = usage::forms();
    for (path, words) in rows(&forms, "(__fail2ban_jails)", "(__fail2ban_actions)") {
        let path: String = path.iter().map(|word| format!(" \"{word}\"")).collect();
        lines.push_str(&format!(
            "complete -c fail2ban-client -f -n '__fail2ban_after{path}' -a '{words}'\n"
        ));
    }
    for (path, options) in command_options(&forms) {
        let path: String = path
            .iter()
            .map(|word| format!(" \"{}\"", any(word)))
            .collect();
        lines.push_str(&format!(
            "complete -c fail2ban-client -n '__fail2ban_within{path}' -a '{}'\n",
            options.join(" ")
        ));
    }
    for name in options() {
        lines.push_str(&option("fail2ban-client", name));
    }
    lines.push_str("complete -c fail2ban-server -w fail2ban-client\n");
    for name in options_of(&regex::flags::command()).0 {
        lines.push_str(&option("fail2ban-regex", &name));
    }
    lines.push_str(&format!(
        "complete -c ferroban -f -n '__fish_is_nth_token 1' -a '{}'\n",
        program_names()
    ));
    for (program, as_command) in [
        ("client server", "fail2ban-client"),
        ("regex", "fail2ban-regex"),
    ] {
        lines.push_str(&format!(
            "complete -c ferroban -n '__fish_seen_subcommand_from {program}' -a '(__fail2ban_as {as_command})'\n"
        ));
    }
    for (name, command) in by_clap().into_iter().filter(|(name, _)| *name != "regex") {
        let (options, jails) = options_of(&command);
        let within = format!("ferroban -n '__fish_seen_subcommand_from {name}'");
        for name in options {
            lines.push_str(&option(&within, &name));
        }
        if jails {
            lines.push_str(&format!("complete -c {within} -a '(__fail2ban_jails)'\n"));
        }
    }
    lines
}

const FISH: &str = r#"function __fail2ban_client
    if type -q fail2ban-client
        fail2ban-client $argv 2>/dev/null
    else
        ferroban client $argv 2>/dev/null
    end
end
function __fail2ban_jails
    __fail2ban_client status | string replace -rf '.*Jail list:\s*' '' | string split ', '
end
function __fail2ban_words
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word -c -s -p --conf --config --socket --pidfile --pname --loglevel --logtarget --syslogsocket --timeout --str2sec
            set skip 1
        else if test $word = --all; or not string match -q -- '-*' $word
            echo $word
        end
    end
end
function __fail2ban_actions
    set -l words (__fail2ban_words)
    __fail2ban_client get $words[2] actions | tail -n +2 | string split ', '
end
function __fail2ban_within
    set -l words (__fail2ban_words)
    test (count $words) -ge (count $argv); or return 1
    for i in (seq (count $argv))
        test $argv[$i] = '*'; or test $argv[$i] = $words[$i]; or return 1
    end
end
function __fail2ban_after
    test (count (__fail2ban_words)) = (count $argv); and __fail2ban_within $argv
end
function __fail2ban_as
    set -l words (commandline -opc)
    complete -C "$argv[1] "(string join ' ' -- $words[3..-1] (commandline -ct))
end
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_the_usage_table() {
        let forms = usage::forms();
        let next = grammar(&forms);
        let after = |path: &[&str]| next.get(path).cloned().unwrap_or_default();
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
        assert!(after(&["status", "<JAIL>"]).contains(&"full"));
        assert!(after(&["get", "<JAIL>", "action", "<ACT>"]).contains(&"actionban"));
        assert!(after(&["reload"]).contains(&"<JAIL>"));
        let within = command_options(&forms);
        for (path, option) in [
            (&["set", "<JAIL>", "banip"][..], "--time"),
            (&["set", "<JAIL>", "banip"], "--reason"),
            (&["set", "<JAIL>", "unbanip"], "--report-absent"),
            (&["reload"], "--unban"),
        ] {
            assert!(
                within
                    .get(path)
                    .is_some_and(|known| known.contains(&option)),
                "{option}"
            );
        }
        assert!(options().contains(&"--json") && options().contains(&"-c"));
        let marks = |word: &str| {
            word.contains(['<', '[', '|', '\'']) && word != "<JAIL>" && word != "<ACT>"
        };
        assert!(!next.values().flatten().any(|word| marks(word)));
    }
}
