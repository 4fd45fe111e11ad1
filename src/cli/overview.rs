//! What `ferroban` prints that is asked for nothing, or for help: what people come for, and all programs.
//! Each fits a terminal of 24 lines by 80 columns.

use super::{PROGRAMS, VERSION, help};

/// Column at which meanings begin.
const COLUMN: usize = 42;

/// Tasks by the headings of the programs that do them, each with a call and what comes of it.
pub(super) const TASKS: [(&str, &[(&str, &str)]); 3] = [
    (
        "Run",
        &[
            ("ferroban setup", "the jails that fit this machine"),
            (
                "ferroban client start",
                "start the server in the background",
            ),
            ("ferroban client reload", "apply a changed configuration"),
        ],
    ),
    (
        "Inspect",
        &[
            (
                "ferroban client status sshd",
                "what a jail has seen and banned",
            ),
            (
                "ferroban explain JAIL|ADDRESS|'LINE'",
                "why it bans, or not; with a cure",
            ),
            ("ferroban report", "who is banned, and why"),
            (
                "ferroban config sshd",
                "every setting, and where it is from",
            ),
            ("ferroban doctor", "check this machine, with a cure"),
        ],
    ),
    (
        "Test and write filters",
        &[
            (
                "ferroban replay /var/log/auth.log",
                "whom the jails would have banned",
            ),
            ("ferroban lint", "mistakes in the configuration"),
            (
                "ferroban filter new --log LOG …",
                "a filter from lines that you mark",
            ),
            ("ferroban regex LOG FILTER", "what a filter finds in a log"),
            ("ferroban test", "your filters on lines you know"),
        ],
    ),
];

/// What people come for.
pub(super) fn tasks() -> String {
    let mut lines = vec![format!(
        "Ferroban {VERSION}, fail2ban rebuilt: bans addresses whose log lines show failures."
    )];
    for (heading, tasks) in TASKS {
        lines.push(format!("\n{heading}:"));
        for (call, purpose) in tasks {
            help::explain(call, purpose, COLUMN, &mut lines);
        }
    }
    lines.push("All programs: ferroban --help   One of them: ferroban help PROGRAM".to_owned());
    lines.join("\n")
}

/// All programs, by what they are for.
pub(super) fn programs() -> String {
    const COLUMN: usize = 19;
    let usage = "Usage: ferroban <PROGRAM> [ARGUMENTS]  (each program has its own --help), or";
    let mut lines = vec![usage.to_owned()];
    let version = "print the version; -h, --help prints this";
    help::explain("-V, --version", version, COLUMN, &mut lines);
    for (heading, programs) in PROGRAMS {
        lines.push(format!("{heading}:"));
        for (name, purpose, _) in *programs {
            help::explain(name, purpose, COLUMN, &mut lines);
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::length;

    #[test]
    fn both_screens_fit_a_terminal() {
        for text in [tasks(), programs()] {
            assert!(text.lines().count() <= 24, "{text}");
            assert!(text.lines().all(|line| length(line) <= 80), "{text}");
        }
    }

    /// A task stands below the heading of its program.
    #[test]
    fn tasks_are_done_by_programs_there_are() {
        for (heading, tasks) in TASKS {
            for (call, _) in tasks {
                let words: Vec<&str> = call.split(' ').collect();
                let is_own = |name: &str| words[0] == "ferroban" && words[1] == name;
                // the client asks, and steers
                let found = words[1] == "client" && crate::cli::usage::meant(words[2]).is_empty()
                    || PROGRAMS.iter().any(|(group, programs)| {
                        *group == heading && programs.iter().any(|(name, _, _)| is_own(name))
                    });
                assert!(found, "{heading}: {call}");
            }
        }
    }
}
