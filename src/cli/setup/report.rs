//! A proposal: as a text for people, as an object for programs, as the file to be written.

use serde_json::{Value as Json, json};

use super::fit::{Grounds, JailFit, PERIOD};
use crate::cli::printable;
use crate::jail::decision::local_time;
use crate::ticket::Timestamp;

/// No line for people is longer, unless one word is.
const WIDTH: usize = 80;

/// What was found.
#[derive(Debug)]
pub struct Proposal {
    /// The file that it is or would be written to.
    pub file: String,
    /// Whether it was written.
    pub written: bool,
    /// When the machine was looked at.
    pub present: Timestamp,
    /// Whether there is any log.
    pub any_log: bool,
    /// All jails.
    pub verdicts: Vec<(String, JailFit)>,
    /// What could not be read, with the reason.
    pub unread: Vec<(String, String)>,
}

impl Proposal {
    fn fitting(&self) -> impl Iterator<Item = (&str, &Grounds)> {
        self.verdicts
            .iter()
            .filter_map(|(name, verdict)| match verdict {
                JailFit::Fits(grounds) => Some((name.as_str(), grounds)),
                _ => None,
            })
    }

    fn enabled(&self) -> Vec<&str> {
        let enabled = self.verdicts.iter();
        let enabled = enabled.filter(|(_, verdict)| matches!(verdict, JailFit::Enabled));
        enabled.map(|(name, _)| name.as_str()).collect()
    }

    fn left_out(&self) -> Vec<(&str, &str)> {
        let all = self.verdicts.iter();
        all.filter_map(|(name, verdict)| match verdict {
            JailFit::LeftOut(why) => Some((name.as_str(), why.as_str())),
            _ => None,
        })
        .collect()
    }

    /// The text for people; with the reason of every jail left out when `verbose`.
    pub fn shown(&self, verbose: bool) -> String {
        let mut out = String::new();
        let any = self.fitting().next().is_some();
        if !self.any_log {
            let text = "No logs were found on this machine: none of the files that the jails \
                        read, and no journal. Nothing is proposed.";
            out.push_str(&wrapped(text, "", ""));
        } else if any {
            out.push_str(&format!(
                "{:<28} {:>9} {:>9} {:>9}\n",
                "jails that fit", "lines", "failures", "bans"
            ));
        } else {
            out.push_str("No further jail fits this machine.\n");
        }
        for (name, grounds) in self.fitting() {
            let dry = &grounds.dry;
            out.push_str(&format!(
                "{name:<28} {:>9} {:>9} {:>9}\n",
                dry.lines, dry.failures, dry.bans
            ));
            out.push_str(&wrapped(&sentence(grounds), "    ", "    "));
        }
        if any {
            out.push_str("(lines, failures and bans of the last 24 hours: a dry run)\n");
        }
        if !self.enabled().is_empty() {
            let names = format!("Enabled already: {}.", self.enabled().join(", "));
            out.push('\n');
            out.push_str(&wrapped(&names, "", "    "));
        }
        if !self.unread.is_empty() {
            out.push_str("\nNot readable (root may read it):\n");
            for (path, why) in &self.unread {
                out.push_str(&wrapped(&format!("{path}: {why}"), "    ", "      "));
            }
        }
        let left_out = self.left_out();
        if verbose {
            out.push_str("\nLeft out:\n");
            for (name, why) in &left_out {
                out.push_str(&wrapped(&format!("{name}: {why}"), "    ", "      "));
            }
        } else if !left_out.is_empty() && self.any_log {
            out.push_str(&format!(
                "\n{} jails left out (-v says why).\n",
                left_out.len()
            ));
        }
        if any {
            out.push('\n');
            out.push_str(&wrapped(&self.end(), "", ""));
        }
        out
    }

    fn end(&self) -> String {
        let file = &self.file;
        match self.written {
            true => format!(
                "Written: {file}. It counts after 'fail2ban-client reload', or 'fail2ban-client \
                 start' where no server runs."
            ),
            false => format!("Nothing was written. --write writes {file}."),
        }
    }

    /// One object.
    pub fn json(&self) -> Json {
        let proposed: Vec<Json> = self
            .fitting()
            .map(|(name, grounds)| {
                let dry = &grounds.dry;
                json!({
                    "jail": name,
                    "evidence": sentence(grounds),
                    "units": grounds.units,
                    "package": grounds.package,
                    "listening": grounds.listening,
                    "journal": grounds.logs.is_empty(),
                    "logs": grounds.logs,
                    "lines": dry.lines,
                    "failures": dry.failures,
                    "bans": dry.bans,
                    "cut": dry.cut,
                })
            })
            .collect();
        let reasons = |list: &[(&str, &str)], what: &str| -> Vec<Json> {
            let objects = list.iter();
            objects
                .map(|(name, why)| json!({ what: name, "why": why }))
                .collect()
        };
        let unread: Vec<(&str, &str)> = self
            .unread
            .iter()
            .map(|(path, why)| (path.as_str(), why.as_str()))
            .collect();
        json!({
            "since": self.present - PERIOD.as_secs_f64(),
            "logs": self.any_log,
            "proposed": proposed,
            "enabled": self.enabled(),
            "left_out": reasons(&self.left_out(), "jail"),
            "unreadable": reasons(&unread, "path"),
            "file": self.file,
            "written": self.written,
        })
    }

    /// The file.
    pub fn text(&self) -> String {
        let head = format!(
            "Written by 'ferroban setup' on {}: the jails that fitted this machine, each with what \
             spoke for it. It is yours to change; it is never written anew.",
            local_time(self.present)
        );
        let mut out = wrapped(&head, "# ", "# ");
        for (name, grounds) in self.fitting() {
            out.push_str(&format!("\n[{name}]\n"));
            out.push_str(&wrapped(&sentence(grounds), "# ", "# "));
            out.push_str("enabled = true\n");
        }
        out
    }
}

/// Why a jail fits: `postfix runs; listening: 25; 14 failures in the last day in the journal`.
fn sentence(grounds: &Grounds) -> String {
    let mut parts = grounds.units.clone();
    parts.extend(grounds.package.iter().map(|name| format!("package {name}")));
    if !grounds.listening.is_empty() {
        let ports: Vec<String> = grounds.listening.iter().map(u16::to_string).collect();
        parts.push(format!("listening: {}", ports.join(", ")));
    }
    let place = match grounds.logs.as_slice() {
        [] => "the journal".to_owned(),
        logs => logs.join(", "),
    };
    let dry = &grounds.dry;
    let failures = match dry.failures {
        0 => "no failure".to_owned(),
        1 => "1 failure".to_owned(),
        many => format!("{many} failures"),
    };
    let cut = if dry.cut {
        " (not all of it was read)"
    } else {
        ""
    };
    let part = match dry.unread.is_empty() {
        true => format!("{failures} in the last day in {place}{cut}"),
        false => format!("no dry run: {place} could not be read"),
    };
    parts.push(part);
    // a path may hold anything
    printable(&parts.join("; "))
}

/// Lines of at most [`WIDTH`], with something before the first and the others.
pub fn wrapped(text: &str, first: &str, others: &str) -> String {
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            others.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(&line);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::setup::dry::Dry;

    #[test]
    fn a_path_with_line_ends_adds_nothing_to_the_file() {
        let grounds = Grounds {
            logs: vec!["/var/log/x\n[evil]\nenabled = true".to_owned()],
            dry: Dry {
                failures: 14,
                ..Dry::default()
            },
            ..Grounds::default()
        };
        let proposal = Proposal {
            file: "/etc/fail2ban/x".to_owned(),
            written: false,
            present: 1_795_291_452.0,
            any_log: true,
            verdicts: vec![("sshd".to_owned(), JailFit::Fits(grounds))],
            unread: Vec::new(),
        };
        let text = proposal.text();
        let plain: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .collect();
        assert_eq!(plain, ["[sshd]", "enabled = true"]);
        assert!(text.contains("14 failures in the last day in /var/log/x\\n[evil]"));
        let shown = proposal.shown(true);
        assert!(
            shown.lines().all(|line| line.chars().count() <= WIDTH),
            "{shown}"
        );
    }
}
