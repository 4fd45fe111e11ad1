//! What the names of fail2ban's programs mean on a machine: Ferroban, the original, or nothing.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::cli::links;
use crate::cli::machine::HostMachine;
use crate::config::files::Files as _;
use crate::lint::Severity;

/// The search path of a login as root, and of systemd.
pub const SEARCH_PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// What a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramKind {
    /// Ferroban.
    Ours,
    /// Python's: the original.
    Original,
    /// A link to nothing.
    Dangling,
    /// Nothing is there.
    Missing,
    /// Something else, or not readable.
    Other,
}

/// What the program at a path is: the original is a script, Ferroban none.
pub fn kind(machine: &HostMachine, path: &str) -> ProgramKind {
    let Ok(mut file) = File::open(machine.place(path)) else {
        // the link itself, in a directory whose links are followed
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let link = machine.place(directory).join(name).read_link();
        return match (machine.exists(path), link) {
            (true, _) => ProgramKind::Other,
            (false, Ok(_)) => ProgramKind::Dangling,
            (false, Err(_)) => ProgramKind::Missing,
        };
    };
    let mut head = [0; 64];
    let length = file.read(&mut head).unwrap_or_default();
    let head = &head[..length];
    if head.starts_with(b"\x7fELF") {
        let place = machine.place(path);
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        // not a program that starts another one, such as env
        return match name.contains("ferroban") || name.contains("fail2ban") {
            true => ProgramKind::Ours,
            false => ProgramKind::Other,
        };
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_python = line.starts_with(b"#!") && line.windows(6).any(|part| part == b"python");
    match is_python {
        true => ProgramKind::Original,
        false => ProgramKind::Other,
    }
}

/// The first program of a name in the search path, as its directory and path.
pub fn first(machine: &HostMachine, name: &str) -> Option<String> {
    let paths = SEARCH_PATH
        .iter()
        .map(|directory| format!("{directory}/{name}"));
    let mut found = paths.filter(|path| machine.is_file(path));
    found.next()
}

/// The names of the programs, and the copies of Ferroban.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let machine = &look.machine;
    let mut dangling = false;
    let mut looked: Vec<PathBuf> = Vec::new();
    for directory in SEARCH_PATH {
        // /bin is often a link to /usr/bin
        let Ok(place) = machine.place(directory).canonicalize() else {
            continue;
        };
        if looked.contains(&place) {
            continue;
        }
        looked.push(place);
        for name in links::NAMES {
            let path = format!("{directory}/{name}");
            if kind(machine, &path) != ProgramKind::Dangling {
                continue;
            }
            dangling = true;
            findings.add(
                Severity::Error,
                "command",
                format!("{path} is a link to a program that is not there"),
                format!("ferroban install-links --force {directory}"),
            );
        }
    }
    let firsts: Vec<(&str, Option<String>)> = links::NAMES
        .iter()
        .map(|name| (*name, first(machine, name)))
        .collect();
    let of = |wanted: ProgramKind| -> Vec<&str> {
        let found = firsts.iter().filter_map(|(_, path)| path.as_deref());
        found.filter(|path| kind(machine, path) == wanted).collect()
    };
    let (ours, originals) = (of(ProgramKind::Ours), of(ProgramKind::Original));
    match (ours.as_slice(), originals.as_slice()) {
        ([], []) | ([], [..]) if dangling => {}
        ([], []) => findings.add(
            Severity::Note,
            "command",
            "fail2ban-client is in no directory where programs are looked for",
            "ferroban install-links /usr/local/bin, or install a package that takes fail2ban's place",
        ),
        ([], [first, ..]) => findings.add(
            Severity::Note,
            "command",
            format!("{first} is still the original, and so are all programs of its kind"),
            "ferroban install-links /usr/local/bin, or install the package ferroban-dropin",
        ),
        (_, []) => findings.sound(format!("{} are Ferroban", ours.join(", "))),
        ([one, ..], [first, ..]) => findings.add(
            Severity::Warning,
            "command",
            format!("{} is still the original, while {one} is Ferroban", originals.join(" and ")),
            format!(
                "ferroban install-links --force {}",
                first.rsplit_once('/').map_or("/usr/local/bin", |(directory, _)| directory)
            ),
        ),
    }
    hidden(machine, &firsts, findings);
    copies(machine, findings);
}

/// Links to Ferroban that stand behind an original.
fn hidden(machine: &HostMachine, firsts: &[(&str, Option<String>)], findings: &mut DoctorFindings) {
    for (name, path) in firsts {
        let Some(path) = path else { continue };
        if kind(machine, path) != ProgramKind::Original {
            continue;
        }
        let paths = SEARCH_PATH
            .iter()
            .map(|directory| format!("{directory}/{name}"));
        let ours = paths
            .into_iter()
            .find(|other| kind(machine, other) == ProgramKind::Ours);
        if let Some(ours) = ours {
            findings.add(
                Severity::Warning,
                "command",
                format!(
                    "{name} means the original, since {path} comes before {ours} in the search path"
                ),
                format!("remove {path}, or make it a link: ferroban install-links --force"),
            );
        }
    }
}

/// Programs called `ferroban` that differ: an update of one leaves the other as it is.
fn copies(machine: &HostMachine, findings: &mut DoctorFindings) {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for directory in SEARCH_PATH {
        let path = format!("{directory}/ferroban");
        let place = machine.place(&path);
        if let Ok(place) = place.canonicalize()
            && !found.iter().any(|(_, known)| *known == place)
        {
            found.push((path, place));
        }
    }
    if let [(first, one), (second, other), ..] = found.as_slice()
        && is_different(one, other)
    {
        findings.add(
            Severity::Warning,
            "command",
            format!("there are two Ferrobans that differ, {first} and {second}"),
            format!("remove the older one ({first} --version, {second} --version) and make its links anew"),
        );
    }
}

fn is_different(one: &PathBuf, other: &PathBuf) -> bool {
    let size = |path: &PathBuf| path.metadata().map(|file| file.len()).ok();
    if size(one) != size(other) {
        return true;
    }
    match (std::fs::read(one), std::fs::read(other)) {
        (Ok(one), Ok(other)) => one != other,
        // who cannot be read is not known to differ
        _ => false,
    }
}
