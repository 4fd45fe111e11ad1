//! The running server: whether it answers, under whose socket, and whether it does what the
//! configuration on disk says.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use super::units;
use crate::cli::setup::jails::SetupJail;
use crate::cli::setup::services::UnitState;
use crate::control::print::json;
use crate::lint::Severity;

/// Options whose values are compared, as they stand in the configuration's commands.
const COMPARED: [&str; 3] = ["maxretry", "findtime", "bantime"];

/// The socket, and what the server says.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    if look.servers.is_none() {
        return;
    }
    let Some(socket) = look.socket() else { return };
    let shown = look
        .early
        .as_ref()
        .map(|early| early.socket.display().to_string());
    let shown = shown.unwrap_or_default();
    let Some(server) = look.server() else {
        // another one answers for this configuration, which has been told
        if look.rivals().is_empty() {
            not_running(look, findings);
        }
        return;
    };
    let metadata = match socket.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.add(
                Severity::Error,
                "socket",
                format!("the server runs (process {}), but its socket {shown} is gone: no client reaches it", server.pid),
                "restart it by its unit: systemctl restart fail2ban (or ferroban)",
            );
            return;
        }
        Err(error) => {
            findings.unseen(format!("the socket {shown}: {error}"));
            return;
        }
    };
    if !metadata.file_type().is_socket() {
        findings.add(
            Severity::Error,
            "socket",
            format!("{shown} is no socket: something else has its name"),
            "remove it and restart the server",
        );
        return;
    }
    if server.uid.is_some_and(|uid| uid != metadata.uid()) && metadata.uid() != 0 {
        findings.add(
            Severity::Error,
            "socket",
            format!(
                "the socket {shown} belongs to user {}, and the server runs as user {}: somebody else may answer in its place",
                metadata.uid(),
                server.uid.unwrap_or_default()
            ),
            "see who made it, remove it and restart the server",
        );
    }
    if metadata.permissions().mode() & 0o002 != 0 {
        findings.add(
            Severity::Error,
            "socket",
            format!("everybody may write to the socket {shown}, and so command the server"),
            format!("chmod o-w {shown}, and see what opened it"),
        );
    }
    if !look.machine.is_this() {
        findings
            .unseen("what the server says of itself: it belongs to another machine or container");
        return;
    }
    match look.state() {
        Ok(_) => running(look, findings),
        Err(_) if !look.is_root && server.uid != Some(nix::unistd::geteuid().as_raw()) => {
            findings.unseen("what the server says of itself: only root may ask it");
        }
        Err(error) => findings.add(
            Severity::Error,
            "socket",
            format!(
                "the server (process {}) does not answer: {error}",
                server.pid
            ),
            "restart it by its unit, and see the last lines of its log",
        ),
    }
}

fn not_running(look: &Inspection, findings: &mut DoctorFindings) {
    let units = units::of(&look.machine);
    match units.iter().find(|unit| unit.state > UnitState::There) {
        Some(unit) => findings.add(
            Severity::Error,
            "not-running",
            format!("no server runs, though {}.service is enabled", unit.name),
            format!(
                "systemctl status {0}, and journalctl -u {0} for the reason",
                unit.name
            ),
        ),
        None => findings.add(
            Severity::Warning,
            "not-running",
            "no server runs, so nobody is banned",
            "systemctl enable --now fail2ban (or ferroban), or fail2ban-client start",
        ),
    }
}

/// What the server has against what the configuration says.
fn running(look: &Inspection, findings: &mut DoctorFindings) {
    let Ok(state) = look.state() else { return };
    for (jail, why) in &state.failed {
        findings.of_jail(
            jail,
            Severity::Error,
            "jail-failed",
            format!("the server could not start the jail {jail}: {why}"),
            "put it right and fail2ban-client reload",
        );
    }
    if look.broken.is_some() {
        return;
    }
    let before = findings.list.len();
    let runs = |name: &str| state.jails.iter().any(|jail| jail.name == name);
    let failed = |name: &str| state.failed.iter().any(|(jail, _)| jail == name);
    for SetupJail { name, .. } in &look.jails {
        if !runs(name) && !failed(name) {
            findings.of_jail(
                name,
                Severity::Warning,
                "differs",
                format!(
                    "the jail {name} is enabled in {}, and the server does not have it",
                    look.base
                ),
                "fail2ban-client reload",
            );
        }
    }
    for jail in &state.jails {
        let name = &jail.name;
        match look.jails.iter().find(|on_disk| on_disk.name == *name) {
            None => findings.of_jail(
                name,
                Severity::Warning,
                "differs",
                format!(
                    "the server has the jail {name}, which is not enabled in {}",
                    look.base
                ),
                "fail2ban-client reload",
            ),
            Some(on_disk) => compare(look, on_disk, findings),
        }
    }
    if findings.list.len() == before {
        findings.sound("the server has the jails of the configuration");
    }
}

/// Options of a jail that are others on disk. Somebody may have set them by command.
fn compare(look: &Inspection, jail: &SetupJail, findings: &mut DoctorFindings) {
    for option in COMPARED {
        let Some(on_disk) = jail.value(option) else {
            continue;
        };
        let Some(held) = look.ask(&["get", &jail.name, option]) else {
            continue;
        };
        let held = json::value(&held);
        let held = held
            .as_str()
            .map_or_else(|| held.to_string(), str::to_owned);
        if seconds(&on_disk) != seconds(&held) {
            findings.of_jail(
                &jail.name,
                Severity::Note,
                "differs",
                format!(
                    "the jail {} has {option} {held}, and {} says {on_disk}",
                    jail.name, look.base
                ),
                "fail2ban-client reload, unless somebody has set it by command on purpose",
            );
        }
    }
}

/// A number or a time span as a number.
fn seconds(text: &str) -> Option<i64> {
    use crate::python::Number;
    let number = match crate::datetime::duration::parse(text).ok()? {
        Number::Int(number) => number,
        Number::Float(number) => number as i64,
    };
    Some(number)
}
