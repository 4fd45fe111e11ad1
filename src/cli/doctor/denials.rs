//! What SELinux and AppArmor have refused the server.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use super::lines::tail;
use crate::config::files::Files as _;
use crate::lint::Severity;
use crate::ticket::Timestamp;

/// Where refusals are written.
const LOGS: [&str; 4] = [
    "/var/log/audit/audit.log",
    "/var/log/kern.log",
    "/var/log/messages",
    "/var/log/syslog",
];
/// So much of the end of each is read (2 MiB).
const TAIL: u64 = 2 << 20;
/// So many messages of the kernel are read at most.
const MOST: usize = 50_000;
/// Older refusals are history.
const RECENT: f64 = 24.0 * 3600.0;

/// The refusals since the server started, of the last day.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let mut since = look.present - RECENT;
    if let Some(started) = look.server().and_then(|server| server.started) {
        since = since.max(started);
    }
    let mut found = BTreeSet::new();
    for path in LOGS {
        if !look.machine.exists(path) {
            continue;
        }
        match tail(&look.machine.place(path), TAIL) {
            Ok(text) => found.extend(text.lines().filter_map(|line| refusal(line, since))),
            Err(error) => findings.unseen(format!(
                "refusals by SELinux or AppArmor in {path}: {error}"
            )),
        }
    }
    if look.machine.is_this() && look.is_root {
        found.extend(
            kernel_messages()
                .iter()
                .filter_map(|line| refusal(line, since)),
        );
    }
    let mut by_guard: [Vec<&Denial>; 2] = [Vec::new(), Vec::new()];
    for refusal in &found {
        by_guard[usize::from(refusal.selinux)].push(refusal);
    }
    for refusals in by_guard {
        let Some(last) = refusals.last() else {
            continue;
        };
        let (guard, cure) = match last.selinux {
            true => (
                "SELinux",
                "restorecon the file; if that is not enough, ausearch -m avc -c fail2ban-server | audit2allow -M local makes a module",
            ),
            false => (
                "AppArmor",
                "aa-logprof adds what is missing to the profile, or aa-complain lets it through",
            ),
        };
        findings.add(
            Severity::Error,
            "denied",
            format!(
                "{guard} has refused the server {} times, at last: {}",
                refusals.len(),
                last.what
            ),
            cure,
        );
    }
}

/// One refusal.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Denial {
    /// Time and number of the record: the same in every log.
    stamp: String,
    selinux: bool,
    what: String,
}

/// Reads a line; `None` for anything but a refusal of the server since this time.
fn refusal(line: &str, since: Timestamp) -> Option<Denial> {
    let apparmor = line.contains("apparmor=\"DENIED\"");
    let selinux =
        line.contains("avc:") && line.contains("denied") && !line.contains("permissive=1");
    if !apparmor && !selinux {
        return None;
    }
    let field = |name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}="))?;
        let value = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => rest.split_whitespace().next(),
        };
        value.map(str::to_owned)
    };
    let named = |text: Option<String>| {
        text.is_some_and(|text| {
            ["fail2ban", "ferroban", "f2b/"]
                .iter()
                .any(|name| text.contains(name))
        })
    };
    let is_server = ["comm", "exe", "profile", "scontext"]
        .iter()
        .any(|name| named(field(name)));
    let (_, stamp) = line.split_once("audit(")?;
    let (stamp, _) = stamp.split_once(')')?;
    let time: Timestamp = stamp.split(':').next()?.parse().ok()?;
    if !is_server || time < since {
        return None;
    }
    let what = match apparmor {
        true => field("operation"),
        false => line
            .split_once('{')
            .and_then(|(_, rest)| Some(rest.split_once('}')?.0.trim().to_owned())),
    };
    let on = field("name").or_else(|| field("path")).unwrap_or_default();
    Some(Denial {
        stamp: stamp.to_owned(),
        selinux,
        what: format!("{} {on}", what.unwrap_or_default())
            .trim()
            .to_owned(),
    })
}

/// What the kernel has said and still knows; nothing where that may not be read.
fn kernel_messages() -> Vec<String> {
    let mut options = File::options();
    let Ok(mut file) = options
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open("/dev/kmsg")
    else {
        return Vec::new();
    };
    let mut messages = Vec::new();
    let mut record = vec![0; 8 << 10];
    while messages.len() < MOST {
        match file.read(&mut record) {
            Ok(length @ 1..) => {
                messages.push(String::from_utf8_lossy(&record[..length]).into_owned())
            }
            // overwritten while it was read
            Err(error) if error.raw_os_error() == Some(nix::libc::EPIPE) => {}
            _ => break,
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_of_the_server_count() {
        let at = "audit(1700000000.123:45)";
        for (line, what) in [
            (
                format!(
                    "audit: type=1400 {at}: apparmor=\"DENIED\" operation=\"open\" profile=\"f2b\" name=\"/var/log/x\" pid=7 comm=\"fail2ban-server\""
                ),
                Some("open /var/log/x"),
            ),
            (
                format!(
                    "type=AVC msg={at}: avc:  denied  {{ read }} for  pid=7 comm=\"f2b/worker\" name=\"auth.log\" permissive=0"
                ),
                Some("read auth.log"),
            ),
            (
                format!(
                    "type=AVC msg={at}: avc:  denied  {{ read }} for  pid=7 comm=\"f2b/worker\" name=\"auth.log\" permissive=1"
                ),
                None,
            ),
            (
                format!(
                    "type=AVC msg={at}: avc:  denied  {{ read }} for  pid=7 comm=\"nginx\" name=\"fail2ban.log\" permissive=0"
                ),
                None,
            ),
            (
                format!(
                    "audit: type=1400 {at}: apparmor=\"ALLOWED\" operation=\"open\" comm=\"fail2ban-server\""
                ),
                None,
            ),
        ] {
            let found = refusal(&line, 1.0).map(|refusal| refusal.what);
            assert_eq!(found.as_deref(), what, "{line}");
            assert_eq!(refusal(&line, 1_800_000_000.0), None);
        }
    }
}
