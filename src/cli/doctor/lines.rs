//! What the enabled jails make of the last lines of their logs: dates that do not fit the clock, lines
//! without a date, failures that are all ignored.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use super::logs::written;
use crate::address::Address;
use crate::cli::replay::jails::{ReplaySource, made_by};
use crate::cli::setup::jails::SetupJail;
use crate::jail::replay::{ReplayJail, ReplayVerdict};
use crate::lint::Severity;
use crate::ticket::Timestamp;

/// So much of the end of a log is read (1 MiB).
pub const TAIL: u64 = 1 << 20;
/// So many lines are enough to say something about all of them.
const ENOUGH: u64 = 100;
/// So many failures likewise.
const ENOUGH_FAILURES: usize = 20;
/// Clocks of two machines may differ by so much.
const SLACK: f64 = 5.0 * 60.0;
/// A line is written so soon after what it tells.
const SOON: f64 = 60.0;
const HOUR: f64 = 3600.0;
/// No two zones are further apart.
const FURTHEST: f64 = 26.0;

/// The last lines of all logs.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let before = findings.list.len();
    let mut dated: Vec<String> = Vec::new();
    for jail in &look.jails {
        let Ok(mut made) = made_by(&jail.commands) else {
            continue;
        };
        let Some(mut replayed) = made.jails.pop() else {
            continue;
        };
        let ReplaySource::Files(paths) = &replayed.source else {
            continue;
        };
        for path in paths {
            // a log that cannot be read has been told
            let Ok(lines) = tail(&look.machine.place(path), TAIL) else {
                continue;
            };
            let told = dated.contains(path);
            if of_log(look, jail, &mut replayed.jail, path, &lines, told, findings) {
                dated.push(path.clone());
            }
        }
    }
    if !dated.is_empty() && findings.list.len() == before {
        findings.sound("the dates of the logs fit the clock");
    }
}

/// The whole lines at the end of a log, of at most so many bytes.
pub fn tail(place: &Path, most: u64) -> io::Result<String> {
    let mut file = File::open(place)?;
    let metadata = file.metadata()?;
    // a pipe would be waited for
    if !metadata.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let start = metadata.len().saturating_sub(most);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = match (start, text.find('\n')) {
        (1.., Some(end)) => &text[end + 1..],
        _ => &text,
    };
    // the last line may still be under way
    let end = text.rfind('\n').map_or(0, |end| end + 1);
    Ok(text[..end].to_owned())
}

/// A log as a jail reads it; whether the date of its last line was compared with the clock.
fn of_log(
    look: &Inspection,
    jail: &SetupJail,
    replayed: &mut ReplayJail,
    path: &str,
    lines: &str,
    told: bool,
    findings: &mut DoctorFindings,
) -> bool {
    let mut events = Vec::new();
    let (mut number, mut dated) = (0, 0);
    let mut last = None;
    let mut failures = 0;
    let mut ignored = Vec::new();
    let undated = replayed.filter().accepts_undated(look.present);
    for line in lines.lines() {
        number += 1;
        last = replayed
            .filter_mut()
            .date_of(line, look.present)
            .filter(|_| !undated);
        dated += u64::from(last.is_some());
        replayed.line(line, look.present, &mut events);
        for judged in replayed.judged() {
            match judged.verdict {
                ReplayVerdict::Ignored(_) => ignored.push(judged.id.clone()),
                _ => failures += 1,
            }
        }
    }
    let finds = failures > 0 || !ignored.is_empty();
    if dated == 0 && number >= ENOUGH && !undated && !finds {
        findings.of_jail(
            &jail.name,
            Severity::Warning,
            "no-date",
            format!(
                "the jail {} finds neither a date nor a failure in the last {number} lines of {path}",
                jail.name
            ),
            "ferroban explain shows what it makes of a line; set datepattern in the jail's filter",
        );
    }
    if failures == 0 && ignored.len() >= ENOUGH_FAILURES {
        of_ignored(jail, path, &ignored, findings);
    }
    if let (Some(date), false) = (last, told) {
        let time = written(&look.machine.place(path)).unwrap_or(date);
        of_date(path, date, time, look.present, findings);
    }
    last.is_some()
}

/// The date of a log's last line, which was written at `written`.
pub fn of_date(
    path: &str,
    date: Timestamp,
    written: Timestamp,
    present: Timestamp,
    findings: &mut DoctorFindings,
) {
    if written > present + SLACK {
        let hours = (written - present) / HOUR;
        findings.add(
            Severity::Warning,
            "clock",
            format!("{path} was written {hours:.1} hours from now, in the future: the clock of this machine was set back"),
            "see timedatectl; jails take such lines as of now until the clock has caught up",
        );
        return;
    }
    let shift = date - written;
    let hours = (shift / HOUR * 4.0).round() / 4.0;
    let is_zone = hours != 0.0 && hours.abs() <= FURTHEST && (shift - hours * HOUR).abs() <= SOON;
    let side = if shift > 0.0 { "after" } else { "before" };
    if is_zone && (hours.fract() == 0.0 || shift > SLACK) {
        findings.add(
            Severity::Warning,
            "clock",
            format!(
                "the last line of {path} is dated {} hours {side} it was written: the service has another time zone than the server",
                hours.abs()
            ),
            "give both the same zone (TZ of the service or container), or set logtimezone in the jail",
        );
    } else if date > present + SLACK {
        findings.add(
            Severity::Warning,
            "clock",
            format!(
                "the last line of {path} is dated {:.1} hours in the future",
                (date - present) / HOUR
            ),
            "see the clock of the machine that writes it, and its time zone",
        );
    }
}

/// Failures that are all ignored, because of a list that has a whole private network: then a proxy's
/// address stands in the log, and not the client's.
fn of_ignored(jail: &SetupJail, path: &str, ids: &[String], findings: &mut DoctorFindings) {
    let words = jail.ignored();
    let wide: Vec<IpNet> = words
        .iter()
        .filter_map(|word| word.parse().ok())
        .filter(|net: &IpNet| net.prefix_len() < net.max_prefix_len())
        .collect();
    let is_private = |id: &String| match Address::parse(id) {
        Address::Ip(IpAddr::V4(ip)) => ip.is_private(),
        Address::Ip(IpAddr::V6(ip)) => ip.is_unique_local(),
        _ => false,
    };
    let by_network = |id: &String| {
        let ip: Option<IpAddr> = id.parse().ok();
        ip.is_some_and(|ip| wide.iter().any(|net| net.contains(&ip)))
    };
    if !ids.iter().all(|id| is_private(id) && by_network(id)) {
        return;
    }
    findings.of_jail(
        &jail.name,
        Severity::Warning,
        "ignores-everyone",
        format!(
            "all {} failures at the end of {path} are of private addresses that ignoreip of the jail {} covers, so it bans nobody",
            ids.len(),
            jail.name
        ),
        "if a proxy stands before the service have it log the client's address, or take the network out of ignoreip",
    );
}
