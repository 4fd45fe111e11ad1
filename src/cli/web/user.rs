//! `ferroban web user`: writes the file of users.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Arg, ArgAction, ArgMatches, Command};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use nix::unistd::{Gid, Uid};

use crate::cli::{directory, help, say};
use crate::config;
use crate::web::role::Role;
use crate::web::users::{self, Users};

/// A shorter password is not taken.
const SHORTEST: usize = 10;

pub(super) fn command() -> Command {
    let file = || {
        Arg::new("file")
            .long("file")
            .value_name("FILE")
            .help("the file of users [default: users of [web] in fail2ban.conf]")
    };
    let name = || {
        Arg::new("name")
            .value_name("NAME")
            .required(true)
            .help("the user")
    };
    let add = Command::new("add")
        .bin_name("ferroban web user add")
        .about("Adds a user, or gives one another password or role; asks for the password.")
        .arg(directory::option())
        .arg(file())
        .arg(
            Arg::new("role")
                .long("role")
                .value_name("ROLE")
                .value_parser(["viewer", "operator"])
                .default_value("viewer")
                .help("viewer, or operator, who may ban and unban where write = true"),
        )
        .arg(
            Arg::new("token")
                .long("token")
                .action(ArgAction::SetTrue)
                .help("make and print a bearer token for a program, in place of a password"),
        )
        .arg(name());
    let add = help::formed(
        add,
        &[
            (
                "somebody who may ban",
                "ferroban web user add anna --role operator",
            ),
            (
                "a program that looks",
                "ferroban web user add prometheus --token",
            ),
        ],
    );
    let remove = Command::new("remove")
        .bin_name("ferroban web user remove")
        .about("Removes a user, with password and tokens; who is logged in is out at once.")
        .arg(directory::option())
        .arg(file())
        .arg(name());
    let remove = help::formed(
        remove,
        &[("the user anna", "ferroban web user remove anna")],
    );
    let command = Command::new("user")
        .bin_name("ferroban web user")
        .about("Writes the file of users of the page and the API.")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(add)
        .subcommand(remove);
    help::formed(
        command,
        &[
            (
                "somebody who may ban",
                "ferroban web user add anna --role operator",
            ),
            ("and no more", "ferroban web user remove anna"),
        ],
    )
}

pub(super) fn run(matches: &ArgMatches) -> Result<()> {
    let Some((what, matches)) = matches.subcommand() else {
        bail!("add or remove?");
    };
    let path = match matches.get_one::<String>("file") {
        Some(file) => PathBuf::from(file),
        None => {
            let directory = Path::new(directory::chosen(matches));
            config::read_web(directory)?.users.ok_or_else(|| {
                anyhow!(
                    "write users = {0}/web-users below [web] in {0}/fail2ban.local, or give --file",
                    directory.display()
                )
            })?
        }
    };
    let name = matches.get_one::<String>("name").map(String::as_str);
    let name = name.unwrap_or_default();
    if !users::is_name(name) {
        bail!("invalid name {name:?}: use letters, digits, `.`, `_`, `-` and `@` only");
    }
    let old = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && what == "add" => String::new(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    // a file that is wrong is left for its author to repair
    Users::parse(&path, &old)?;
    let of = |line: &str| line.trim().split(':').next() == Some(name);
    let with_password = |line: &str| of(line) && line.contains(":$argon2id$");
    if what == "remove" {
        if !old.lines().any(of) {
            bail!("{} has no user {name}", path.display());
        }
        return write(&path, old.lines().filter(|line| !of(line)), None);
    }
    let role = matches.get_one::<String>("role").map(String::as_str);
    let role = role.and_then(Role::parse).unwrap_or(Role::Viewer);
    if matches.get_flag("token") {
        let (token, line) = users::token_line(name, role)?;
        write(&path, old.lines(), Some(&line))?;
        say(&token);
        eprintln!(
            "ferroban web: this is the only time it is shown; requests carry it as `Authorization: Bearer TOKEN`"
        );
        return Ok(());
    }
    let password = password()?;
    let line = users::password_line(name, role, &password)?;
    write(
        &path,
        old.lines().filter(|line| !with_password(line)),
        Some(&line),
    )
}

/// Asks twice at a terminal; else the first line of standard input.
fn password() -> Result<String> {
    let input = io::stdin();
    let ask = |what: &str| -> Result<String> {
        eprint!("{what}: ");
        io::stderr().flush()?;
        let mut line = String::new();
        let read = Silent::of(&input).map(|silent| {
            let read = input.lock().read_line(&mut line);
            drop(silent);
            read
        });
        eprintln!();
        read??;
        Ok(line)
    };
    let password = match input.is_terminal() {
        false => {
            let mut line = String::new();
            input.lock().read_line(&mut line)?;
            line
        }
        true => {
            let first = ask("Password")?;
            if ask("Once more")? != first {
                bail!("these are two passwords");
            }
            first
        }
    };
    let password = password.trim_end_matches(['\r', '\n']);
    if password.chars().count() < SHORTEST {
        bail!("a password needs at least {SHORTEST} characters");
    }
    if password.len() > users::LONGEST {
        bail!("a password may have at most {} bytes", users::LONGEST);
    }
    Ok(password.to_owned())
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Silent<'a, T: AsFd> {
    terminal: &'a T,
    before: nix::sys::termios::Termios,
}

impl<'a, T: AsFd> Silent<'a, T> {
    fn of(terminal: &'a T) -> nix::Result<Silent<'a, T>> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Silent { terminal, before })
    }
}

impl<T: AsFd> Drop for Silent<'_, T> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

/// Writes the file whole. A new one is for its owner alone; one that is there keeps owner and mode.
fn write<'a>(
    path: &Path,
    lines: impl Iterator<Item = &'a str>,
    added: Option<&'a str>,
) -> Result<()> {
    let text: String = lines.chain(added).map(|line| format!("{line}\n")).collect();
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let write = || -> io::Result<()> {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        if let Ok(about) = fs::metadata(path) {
            use std::os::unix::fs::MetadataExt as _;
            let (uid, gid) = (about.uid(), about.gid());
            if (Uid::effective().as_raw(), Gid::effective().as_raw()) != (uid, gid) {
                chown(&new, Some(uid), Some(gid))?;
            }
            file.set_permissions(fs::Permissions::from_mode(about.mode() & 0o7777))?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
