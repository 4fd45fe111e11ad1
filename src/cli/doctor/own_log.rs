//! The server's own log: whether its rotation tells the server, and whether it writes where it should.

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::cli::machine::HostMachine;
use crate::config::files::Files as _;
use crate::lint::Severity;

/// Words of a rule for logrotate by which the server gets to know.
const TELLS: [&str; 6] = [
    "copytruncate",
    "flushlogs",
    "logtarget",
    "USR1",
    "systemctl",
    "service ",
];

/// The log.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let Some(early) = &look.early else { return };
    let target = early.logtarget.as_str();
    if !target.starts_with('/') {
        return;
    }
    rotation(&look.machine, target, findings);
    let Some(server) = look.server() else { return };
    let folder = format!("/proc/{}/fd", server.pid);
    let place = look.machine.place(&folder);
    let Ok(entries) = place.read_dir() else {
        findings.unseen("which log file the server has open: only root may see");
        return;
    };
    let links = entries
        .flatten()
        .filter_map(|entry| entry.path().read_link().ok());
    let open: Vec<String> = links
        .map(|link| link.to_string_lossy().into_owned())
        .collect();
    let real = look.machine.place(target);
    let real = real.canonicalize().unwrap_or(real);
    let real = real.to_string_lossy().into_owned();
    if open.iter().any(|path| path == target || *path == real) {
        findings.sound(format!("the server writes to {target}"));
        return;
    }
    let is_old = |path: &&String| {
        let rest = path
            .strip_prefix(target)
            .or_else(|| path.strip_prefix(&real));
        rest.is_some_and(|rest| rest.starts_with(['.', '-', ' ']))
    };
    if let Some(old) = open.iter().find(is_old) {
        findings.add(
            Severity::Warning,
            "own-log",
            format!("the server writes its log to {old}, and not to {target}"),
            "fail2ban-client flushlogs now, and in postrotate of its rule in /etc/logrotate.d",
        );
    }
}

/// A rule of logrotate that moves the log and tells nobody.
fn rotation(machine: &HostMachine, target: &str, findings: &mut DoctorFindings) {
    for name in machine.names("/etc/logrotate.d").0 {
        let file = format!("/etc/logrotate.d/{name}");
        let text = machine.text(&file);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .collect();
        let text = lines.join("\n");
        let heads = text.split('}').filter_map(|rule| rule.split_once('{'));
        for (paths, rule) in heads {
            let paths = paths.split(|c: char| c.is_whitespace() || c == '"');
            if !paths.clone().any(|path| path == target) {
                continue;
            }
            match TELLS.iter().any(|word| rule.contains(word)) {
                true => findings.sound(format!("{file} tells the server of the rotation")),
                false => findings.add(
                    Severity::Warning,
                    "own-log",
                    format!("{file} moves {target} away, and does not tell the server, which goes on writing to the old file"),
                    "add postrotate, fail2ban-client flushlogs >/dev/null and endscript to that rule",
                ),
            }
        }
    }
}
