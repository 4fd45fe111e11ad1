//! The server that runs: one, and the program that is installed.

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::lint::Severity;

/// What the kernel puts behind the path of a program that is there no more.
const DELETED: &str = " (deleted)";

/// Whether more than one server bans by this configuration, and whether the one that runs is what is
/// installed.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    if look.servers.is_none() {
        findings.unseen("the processes: there is no /proc, or it hides those of others");
        return;
    }
    let ours = look.rivals();
    if ours.len() > 1 {
        let names: Vec<String> = ours.iter().map(|server| server.described()).collect();
        findings.add(
            Severity::Error,
            "two-servers",
            format!("{} servers ban by the same configuration: {}", ours.len(), names.join("; ")),
            "stop the one that is not meant to run: systemctl stop of its unit, or kill with its number",
        );
    } else if let Some(server) = ours.first() {
        findings.sound(format!("one server runs: {}", server.described()));
    }
    for server in ours {
        let program = server.program.as_deref();
        if let Some(path) = program.and_then(|path| path.strip_suffix(DELETED)) {
            findings.add(
                Severity::Warning,
                "old-program",
                format!(
                    "the server (process {}) runs a {path} that has been replaced or removed since it started",
                    server.pid
                ),
                "restart it: systemctl restart fail2ban (or ferroban), or fail2ban-client restart",
            );
        }
    }
}
