//! What all checks look at: the machine, its configuration, its processes and its server.

use std::cell::OnceCell;
use std::path::PathBuf;

use super::findings::DoctorFindings;
use super::processes::{self, Process, SYSTEM};
use crate::cli::machine::HostMachine;
use crate::cli::report::state::{self, ReportedState};
use crate::cli::setup::jails::{self, SetupJail};
use crate::clock;
use crate::config::{EarlyOptions, shipped, stream};
use crate::control::{Reply, Value};
use crate::lint::{Severity, lint};
use crate::options::server::DBFILE;
use crate::ticket::Timestamp;

/// A look at a machine.
pub struct Inspection {
    /// The machine.
    pub machine: HostMachine,
    /// The directory of its configuration.
    pub base: String,
    /// The present time.
    pub present: Timestamp,
    /// Whether this program may see everything of its own machine.
    pub is_root: bool,
    /// Where the server is; `None` where the configuration cannot be read.
    pub early: Option<EarlyOptions>,
    /// The file of the database.
    pub database: String,
    /// The enabled jails that can be made.
    pub jails: Vec<SetupJail>,
    /// Why the configuration cannot be used.
    pub broken: Option<String>,
    /// All servers of the machine; `None` where processes cannot be seen.
    pub servers: Option<Vec<Process>>,
    state: OnceCell<Result<ReportedState, String>>,
}

impl Inspection {
    /// Looks at the machine with this root directory; `base` is its configuration, if it was named.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn at(root: &str, base: Option<&str>) -> std::io::Result<Inspection> {
        let machine = HostMachine::at(root)?;
        let base = base.unwrap_or(processes::usual(&machine));
        let early = stream::early(&machine, base);
        let mut broken = early.as_ref().err().map(ToString::to_string);
        let jails = match jails::enabled(&machine, base) {
            Ok((jails, true)) => jails,
            Ok((jails, false)) => {
                let why = jails
                    .into_iter()
                    .find_map(|jail| Some((jail.name, jail.fault?)));
                broken.get_or_insert(why.map_or_else(
                    || "no jail can be made".to_owned(),
                    |(jail, why)| format!("jail {jail}: {why}"),
                ));
                Vec::new()
            }
            Err(error) => {
                broken.get_or_insert(format!("{error:#}"));
                Vec::new()
            }
        };
        let servers = processes::servers(&machine);
        Ok(Inspection {
            base: base.to_owned(),
            present: clock::now(),
            is_root: nix::unistd::geteuid().is_root(),
            early: early.ok(),
            database: stream::one(&machine, base, DBFILE).unwrap_or_default(),
            jails: jails
                .into_iter()
                .filter(|jail| jail.fault.is_none())
                .collect(),
            broken,
            servers,
            state: OnceCell::new(),
            machine,
        })
    }

    /// The server's socket as the configuration has it.
    pub fn socket(&self) -> Option<PathBuf> {
        let socket = &self.early.as_ref()?.socket;
        Some(self.machine.place(&socket.to_string_lossy()))
    }

    /// The server of this configuration.
    pub fn server(&self) -> Option<&Process> {
        let socket = self.socket()?;
        let mut servers = self.servers.iter().flatten();
        servers.find(|server| server.socket.as_ref() == Some(&socket))
    }

    /// All servers that ban by this configuration, or would.
    pub fn rivals(&self) -> Vec<&Process> {
        let config = self.machine.place(&self.base);
        let socket = self.socket();
        let same = |server: &&Process| server.config == config || server.socket == socket;
        self.servers.iter().flatten().filter(same).collect()
    }

    /// What the server says of itself.
    pub fn state(&self) -> &Result<ReportedState, String> {
        self.state.get_or_init(|| {
            let socket = self.socket().ok_or("its socket is not known")?;
            state::ask(&socket).map_err(|error| error.to_string())
        })
    }

    /// Asks the server for a setting.
    pub fn ask(&self, words: &[&str]) -> Option<Value> {
        self.answer(words)?.ok()
    }

    /// The server's answer, be it a refusal.
    pub fn answer(&self, words: &[&str]) -> Option<Reply> {
        let patience = Some(std::time::Duration::from_secs(10));
        let mut client =
            crate::control::client::ControlClient::connect(&self.socket()?, patience).ok()?;
        let words: Vec<_> = words.iter().map(|word| (*word).into()).collect();
        client.ask(&words).ok()
    }
}

/// Kinds of lint's findings that doctor tells itself: they are about the machine.
const OF_MACHINE: [&str; 2] = ["missing-log", "ignores-everyone"];

/// The configuration: whether it loads, and what lint says of it.
pub fn configuration(look: &Inspection, findings: &mut DoctorFindings) {
    if let Some(why) = &look.broken {
        findings.add(
            Severity::Error,
            "configuration",
            format!(
                "the configuration in {} does not load, so that no server starts with it: {why}",
                look.base
            ),
            "ferroban lint names file and line; put it right, then fail2ban-client reload",
        );
    }
    let (told, others): (Vec<_>, Vec<_>) = lint(&look.machine, &look.base)
        .into_iter()
        .filter(|finding| finding.severity > Severity::Note)
        .partition(|finding| OF_MACHINE.contains(&finding.kind));
    for finding in told {
        let place = finding.place.map(|place| format!(" ({})", place.origin));
        let cure = match finding.kind {
            "missing-log" => {
                "name the log that the service writes, or use backend = systemd where it writes to \
                 the journal"
            }
            _ => "name only addresses that must never be banned in ignoreip",
        };
        let message = format!("{}{}", finding.message, place.unwrap_or_default());
        findings.add(finding.severity, finding.kind, message, cure);
    }
    let count = |severity| {
        others
            .iter()
            .filter(|other| other.severity == severity)
            .count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let own = match look.base.as_str() {
        SYSTEM | shipped::DIR => String::new(),
        base => format!(" {base}"),
    };
    if look.broken.is_some() && errors > 0 {
        return;
    }
    if let Some(worst) = others.iter().map(|finding| finding.severity).max() {
        let of_warnings = format!("{warnings} warnings");
        let counted = match (errors, warnings) {
            (0, _) => of_warnings,
            (_, 0) => format!("{errors} errors"),
            _ => format!("{errors} errors and {of_warnings}"),
        };
        findings.add(
            worst,
            "lint",
            format!("lint has {counted} for the configuration"),
            format!("run ferroban lint{own}"),
        );
    } else if look.broken.is_none() {
        findings.sound(format!("the configuration in {} loads", look.base));
    }
}
