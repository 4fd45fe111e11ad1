//! What systemd starts: `fail2ban.service` and `ferroban.service` with their drop-ins.

use std::collections::BTreeMap;

use super::commands::{self, ProgramKind};
use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::cli::machine::HostMachine;
use crate::cli::setup::services::{HostServices, UNITS, UnitState};
use crate::config::files::Files as _;
use crate::lint::Severity;

/// A unit.
#[derive(Debug)]
pub struct SystemdUnit {
    /// Its name without `.service`.
    pub name: &'static str,
    /// Its file, and those of its drop-ins.
    pub files: Vec<String>,
    /// The program that it starts.
    program: String,
    /// Whether it is started with the machine, or runs.
    pub state: UnitState,
}

/// The units that start a server. A unit that is another name of one is not told again.
pub fn of(machine: &HostMachine) -> Vec<SystemdUnit> {
    let services = HostServices::of(machine);
    let names = ["fail2ban", "ferroban"];
    names
        .iter()
        .filter_map(|name| read(machine, name, &services))
        .collect()
}

fn read(machine: &HostMachine, name: &'static str, services: &HostServices) -> Option<SystemdUnit> {
    let paths = UNITS
        .iter()
        .map(|folder| format!("{folder}/{name}.service"));
    let file = paths.into_iter().find(|path| machine.is_file(path))?;
    let place = machine.place(&file);
    // an alias of the other one, or a link to /dev/null, is no unit of its own
    if place.file_name()?.to_string_lossy() != format!("{name}.service") {
        return None;
    }
    let mut texts = BTreeMap::new();
    // of drop-ins of one name the first folder counts
    for folder in UNITS.iter().rev() {
        let folder = format!("{folder}/{name}.service.d");
        for part in machine.names(&folder).0 {
            if part.ends_with(".conf") {
                texts.insert(part.clone(), format!("{folder}/{part}"));
            }
        }
    }
    let mut files = vec![file];
    files.extend(texts.into_values());
    let mut programs: Vec<String> = Vec::new();
    for file in &files {
        for line in machine.text(file).lines() {
            let Some(value) = line.trim().strip_prefix("ExecStart=") else {
                continue;
            };
            let value = value
                .trim()
                .trim_start_matches(['@', '-', ':', '+', '!', '|']);
            match value.split_whitespace().next() {
                Some(program) => programs.push(program.to_owned()),
                // an empty line takes back what was said before
                None => programs.clear(),
            }
        }
    }
    let state = services
        .unit(name)
        .map_or(UnitState::There, |(_, state)| state);
    Some(SystemdUnit {
        name,
        files,
        program: programs.into_iter().next()?,
        state,
    })
}

/// What the units start, and whether two of them do.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let machine = &look.machine;
    let units = of(machine);
    let started: Vec<&SystemdUnit> = units
        .iter()
        .filter(|unit| unit.state > UnitState::There)
        .collect();
    if let [one, other] = started.as_slice() {
        findings.add(
            Severity::Error,
            "unit",
            format!(
                "{0}.service and {1}.service are both started, over the same configuration",
                one.name, other.name
            ),
            format!("keep one: systemctl disable --now {}", one.name),
        );
    }
    let swapped = commands::first(machine, "fail2ban-client")
        .is_some_and(|path| commands::kind(machine, &path) == ProgramKind::Ours);
    for unit in started {
        let SystemdUnit { name, program, .. } = unit;
        let path = match program.starts_with('/') {
            true => Some(program.clone()),
            false => commands::first(machine, program),
        };
        let kind = path.map_or(ProgramKind::Missing, |path| commands::kind(machine, &path));
        let drop_ins = unit.files.len() - 1;
        match kind {
            ProgramKind::Original if swapped => findings.add(
                Severity::Error,
                "unit",
                format!(
                    "{name}.service starts the original ({program}), while fail2ban-client is Ferroban; \
                     {drop_ins} drop-ins were read"
                ),
                format!(
                    "systemctl edit {name}, with ExecStart= and ExecStart=/usr/local/bin/fail2ban-server -xf start \
                     below [Service], or install the package ferroban-dropin"
                ),
            ),
            ProgramKind::Missing | ProgramKind::Dangling => findings.add(
                Severity::Error,
                "unit",
                format!("{name}.service starts {program}, which is not there"),
                format!("systemctl edit {name}, and name the program that is installed in ExecStart="),
            ),
            ProgramKind::Ours => findings.sound(format!("{name}.service starts Ferroban ({program})")),
            ProgramKind::Original | ProgramKind::Other => {}
        }
    }
}
