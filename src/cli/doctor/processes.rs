//! The servers that run on a machine, Ferroban's and the original's, by its `/proc`.

use std::ffi::OsString;
use std::path::PathBuf;

use nix::unistd::{SysconfVar, sysconf};

use crate::cli::machine::HostMachine;
use crate::cli::options::{self, ClientRequest};
use crate::config::files::Files as _;
use crate::config::{shipped, stream};
use crate::ticket::Timestamp;

/// Where the configuration of a machine is.
pub const SYSTEM: &str = "/etc/fail2ban";

/// The right to write any file, as a bit of `CapEff`.
const CAP_DAC_OVERRIDE: u64 = 1 << 1;
/// The field of `/proc/PID/stat` that has the start, counted from the one behind the name.
const START: usize = 19;

/// A server.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    parent: u32,
    /// Number of the user it runs as, where that is known.
    pub uid: Option<u32>,
    /// The file of its program; not for everybody to see.
    pub program: Option<String>,
    /// Whether it is the original.
    pub original: bool,
    /// When it started, where that is known.
    pub started: Option<Timestamp>,
    /// Whether it may write any file, whoever it runs as.
    pub overrides: bool,
    /// Its socket, as a path of this machine.
    pub socket: Option<PathBuf>,
    /// Its configuration, likewise.
    pub config: PathBuf,
}

impl Process {
    /// What it is called here.
    pub fn described(&self) -> String {
        let name = if self.original {
            "fail2ban"
        } else {
            "Ferroban"
        };
        format!("{name}, process {}", self.pid)
    }
}

/// The configuration of a machine where nobody names one.
pub fn usual(machine: &HostMachine) -> &'static str {
    match machine.is_dir(SYSTEM) {
        true => SYSTEM,
        false => shipped::DIR,
    }
}

/// All servers of a machine, without the processes that they start; `None` where processes cannot be
/// seen.
pub fn servers(machine: &HostMachine) -> Option<Vec<Process>> {
    // where those of others are hidden, the first one is, too
    std::fs::read(machine.place("/proc/1/cmdline")).ok()?;
    let numbers = machine.names("/proc").0;
    let numbers = numbers.iter().filter_map(|name| name.parse().ok());
    let found: Vec<Process> = numbers.filter_map(|pid| server(machine, pid)).collect();
    let pids: Vec<u32> = found.iter().map(|process| process.pid).collect();
    let mut servers: Vec<Process> = found
        .into_iter()
        .filter(|process| !pids.contains(&process.parent))
        .collect();
    servers.sort_by_key(|process| process.pid);
    Some(servers)
}

fn server(machine: &HostMachine, pid: u32) -> Option<Process> {
    let words = std::fs::read(machine.place(&format!("/proc/{pid}/cmdline"))).ok()?;
    let words: Vec<String> = words
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let (original, socket, config) = started_as(&words)?;
    let status = machine.text(&format!("/proc/{pid}/status"));
    let field = |name: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(name))?;
        Some(
            value
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    };
    // a second number: it lives in a container
    if field("NSpid:").is_some_and(|numbers| numbers.len() > 1) {
        return None;
    }
    if is_contained(machine, &pid.to_string()) && !is_contained(machine, "self") {
        return None;
    }
    let number = |name: &str| field(name)?.first()?.parse().ok();
    let program = machine
        .place("/proc")
        .join(format!("{pid}/exe"))
        .read_link();
    let mut config = config.to_string_lossy().into_owned();
    // nobody named one
    if config == shipped::default_dir() {
        config = usual(machine).to_owned();
    }
    let socket = socket.or_else(|| Some(stream::early(machine, &config).ok()?.socket));
    Some(Process {
        pid,
        parent: number("PPid:").unwrap_or_default(),
        uid: number("Uid:"),
        program: program.ok().map(|path| path.to_string_lossy().into_owned()),
        original,
        started: started(machine, pid),
        overrides: field("CapEff:")
            .and_then(|words| u64::from_str_radix(words.first()?, 16).ok())
            .is_some_and(|rights| rights & CAP_DAC_OVERRIDE != 0),
        socket: socket.map(|path| machine.place(&path.to_string_lossy())),
        config: machine.place(&config),
    })
}

/// Whether a process lives in a container that shares the numbers of this machine's processes.
fn is_contained(machine: &HostMachine, pid: &str) -> bool {
    let group = machine.text(&format!("/proc/{pid}/cgroup"));
    let words = ["containerd", "docker", "kubepods", "libpod", "lxc"];
    words.iter().any(|word| group.contains(word))
}

fn started(machine: &HostMachine, pid: u32) -> Option<Timestamp> {
    let stat = machine.text(&format!("/proc/{pid}/stat"));
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: f64 = fields.split(' ').nth(START)?.parse().ok()?;
    let boot = machine.text("/proc/stat");
    let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
    let second = sysconf(SysconfVar::CLK_TCK).ok()??;
    Some(boot.trim().parse::<f64>().ok()? + ticks / second as f64)
}

/// Whether a command line is that of the original, with its socket and configuration; `None` when it is
/// not one of a server.
fn started_as(words: &[String]) -> Option<(bool, Option<PathBuf>, PathBuf)> {
    let name = |word: &String| word.rsplit('/').next().unwrap_or_default().to_owned();
    let (first, mut rest) = words.split_first()?;
    let mut program = name(first);
    let mut original = false;
    if program.starts_with("python") {
        let script = rest.iter().position(|word| !word.starts_with('-'))?;
        program = name(&rest[script]);
        rest = &rest[script + 1..];
        original = true;
    } else if program == "ferroban" {
        let (word, others) = rest.split_first()?;
        program = format!("fail2ban-{word}");
        rest = others;
    }
    let is_client = program.ends_with("fail2ban-client");
    if !is_client && !program.ends_with("fail2ban-server") {
        return None;
    }
    let ClientRequest::Run(options) = options::parse(rest.iter().map(OsString::from)) else {
        return None;
    };
    let starts = options.words == ["start"];
    let serves = match is_client {
        true => starts && !options.background,
        false => starts || options.words.is_empty() && !options.interactive && !options.test,
    };
    serves.then_some((original, options.socket, options.config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_known_by_their_command_line() {
        for (line, expected) in [
            (
                "/usr/bin/python3 /usr/bin/fail2ban-server -xf start",
                Some(true),
            ),
            (
                "/usr/bin/python3 -s /usr/bin/fail2ban-server --async -b -s /s -p /p",
                Some(true),
            ),
            (
                "fail2ban-server --async -b -s /s -p /p --loglevel INFO",
                Some(false),
            ),
            ("/usr/bin/ferroban server -xf start", Some(false)),
            ("ferroban client -f start", Some(false)),
            ("fail2ban-server", Some(false)),
            ("/usr/bin/python3 /usr/bin/fail2ban-client start", None),
            (
                "/usr/bin/python3 /usr/bin/fail2ban-client status sshd",
                None,
            ),
            ("fail2ban-server status", None),
            ("fail2ban-server -t", None),
            ("ferroban doctor", None),
            ("tail -f /var/log/fail2ban.log", None),
            ("vi /usr/bin/fail2ban-server", None),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let found = started_as(&words).map(|(original, _, _)| original);
            assert_eq!(found, expected, "{line}");
        }
    }
}
