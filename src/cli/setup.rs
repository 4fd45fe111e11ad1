//! `ferroban setup`: looks at the machine and proposes the jails that fit it as a file for `jail.d`,
//! each with the evidence, after a dry run over its logs. Only `--write` changes anything, and never
//! a file that is there.
//!
//! What a jail asks of a machine is said by the configuration: its logs, its ports, and by its filter
//! the units of the journal and the name of the service.

mod dry;
mod fit;
pub(super) mod jails;
mod packages;
pub(super) mod report;
pub(super) mod services;

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};

use self::fit::{FitCheck, JailFit};
use self::report::Proposal;
use super::machine::HostMachine;
use super::{directory, ended, help, refused, replay, say};
use crate::clock;
use crate::config::files::Files as _;
use crate::config::shipped;

/// The exit code on a machine without logs.
const NO_LOGS: u8 = 3;
/// Where the configuration is written, be it the first file of it.
const SYSTEM: &str = "/etc/fail2ban";
/// The file, below the directory of the configuration.
const FILE: &str = "jail.d/ferroban-setup.local";

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    match run(&matches) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(code) => ExitCode::from(code),
        Err(error) => ended("setup", Err(error)),
    }
}

/// The options, for clap.
pub(super) fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        let flag = Arg::new(name).long(name);
        flag.action(ArgAction::SetTrue).help(help)
    };
    let command = Command::new("ferroban setup")
        .about(
            "Looks at the services and logs of this machine and proposes the jails that fit, each \
             with the evidence; changes nothing without --write.",
        )
        .after_help(
            "Exit code: 0 all was looked at, 1 something could not be read, 2 a wrong command line, \
             3 there are no logs.",
        )
        .arg(directory::option())
        .arg(flag(
            "write",
            "write the proposal to jail.d/ferroban-setup.local, unless that is there",
        ))
        .arg(flag("json", "print one JSON object"))
        .arg(flag("verbose", "also say why each other jail was left out").short('v'))
        .arg(
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .default_value("/")
                .help("look at the machine whose root directory this is"),
        );
    help::formed(
        command,
        &[
            ("look, and change nothing", "ferroban setup"),
            (
                "write the jails that fit to jail.d",
                "ferroban setup --write",
            ),
        ],
    )
}

fn run(matches: &ArgMatches) -> anyhow::Result<u8> {
    let root = matches.get_one::<String>("root");
    let root = root.map(String::as_str).unwrap_or_default();
    let machine = HostMachine::at(root).with_context(|| format!("cannot look at {root}"))?;
    let base = match directory::given(matches) {
        Some(base) => base,
        None if machine.is_dir(SYSTEM) => SYSTEM,
        None => shipped::DIR,
    };
    let present = clock::now();
    let jails = jails::read(&machine, base)?;
    let mut look = FitCheck::at(&machine, present);
    let verdicts = look.judge(&jails)?;
    let home = if base == shipped::DIR { SYSTEM } else { base };
    let mut proposal = Proposal {
        file: format!("{home}/{FILE}"),
        written: false,
        present,
        any_log: look.any_log,
        verdicts,
        unread: look.unread,
    };
    let fits = |(_, verdict): &(_, JailFit)| matches!(verdict, JailFit::Fits(_));
    let fitting = proposal.verdicts.iter().any(fits);
    let written = match matches.get_flag("write") && fitting {
        true => write(&machine.place(&proposal.file), &proposal.text()),
        false => Ok(()),
    };
    proposal.written = matches.get_flag("write") && fitting && written.is_ok();
    match matches.get_flag("json") {
        true => say(&proposal.json().to_string()),
        false => say(proposal.shown(matches.get_flag("verbose")).trim_end()),
    }
    written.with_context(|| format!("cannot write {}", proposal.file))?;
    Ok(match (proposal.any_log, proposal.unread.is_empty()) {
        (false, _) => NO_LOGS,
        (true, false) => replay::INCOMPLETE,
        (true, true) => 0,
    })
}

/// Writes a file that must not be there yet.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = OpenOptions::new();
    let mut file = match options.write(true).create_new(true).mode(0o644).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("it is there already, and stays as it is")
        }
        opened => opened?,
    };
    let written = file
        .set_permissions(Permissions::from_mode(0o644))
        .and_then(|()| file.write_all(text.as_bytes()));
    if let Err(error) = written {
        // half a file would be half a configuration
        let _ = fs::remove_file(path);
        return Err(error.into());
    }
    Ok(())
}
