//! `ferroban install-links [--force] DIR`: links with the names of fail2ban's programs.
//!
//! What is in the way stays there unless `--force` is given, and then its loss is told.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, value_parser};

use super::{exit_code, help, refused, say};

/// The names fail2ban's programs have.
pub const NAMES: [&str; 3] = ["fail2ban-client", "fail2ban-server", "fail2ban-regex"];

/// Runs the program; the first argument is its name.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return refused(&error),
    };
    let directory = matches.get_one::<PathBuf>("directory");
    let directory = directory.map(PathBuf::as_path).unwrap_or(Path::new("."));
    let force = matches.get_flag("force");
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            say(&format!(
                "ERROR: cannot tell where this program is: {error}"
            ));
            return exit_code(false);
        }
    };
    let mut complete = true;
    for name in NAMES {
        let link = directory.join(name);
        let result = install(&link, &program, force);
        complete &= !matches!(result, Err(_) | Ok(LinkOutcome::InTheWay));
        say(&report(&link, &program, result));
    }
    exit_code(complete)
}

/// The options, for clap.
pub(super) fn command() -> Command {
    let command = Command::new("ferroban install-links")
        .about(
            "Creates the links fail2ban-client, fail2ban-server and fail2ban-regex to this program in a directory.",
        )
        .arg(
            Arg::new("force")
                .short('f')
                .long("force")
                .action(ArgAction::SetTrue)
                .help("replace what has one of these names"),
        )
        .arg(
            Arg::new("directory")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .required(true)
                .help("where the links are created"),
        );
    help::formed(
        command,
        &[(
            "before the original in the search path",
            "ferroban install-links /usr/local/bin",
        )],
    )
}

/// What happened to one link.
#[derive(Debug, PartialEq, Eq)]
enum LinkOutcome {
    Made,
    AlreadyThere,
    /// Something else was replaced, by order.
    Replaced,
    /// Something else is there and stays.
    InTheWay,
}

/// Makes one link.
fn install(link: &Path, program: &Path, force: bool) -> io::Result<LinkOutcome> {
    let outcome = match fs::symlink_metadata(link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => LinkOutcome::Made,
        Err(error) => return Err(error),
        Ok(found) if found.is_symlink() && fs::read_link(link)? == program => {
            return Ok(LinkOutcome::AlreadyThere);
        }
        Ok(_) if !force => return Ok(LinkOutcome::InTheWay),
        Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => LinkOutcome::Replaced,
    };
    // made aside and moved into place: at no moment is the name without a program
    let mut aside = link.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    symlink(program, &aside)?;
    fs::rename(&aside, link).inspect_err(|_| {
        let _ = fs::remove_file(&aside);
    })?;
    Ok(outcome)
}

fn report(link: &Path, program: &Path, result: io::Result<LinkOutcome>) -> String {
    let (link, program) = (link.display(), program.display());
    match result {
        Ok(LinkOutcome::Made) => format!("{link} -> {program}"),
        Ok(LinkOutcome::AlreadyThere) => format!("{link} -> {program} (was there)"),
        Ok(LinkOutcome::Replaced) => format!("{link} -> {program} (replaced what was there)"),
        Ok(LinkOutcome::InTheWay) => {
            format!("{link}: something else has this name; --force replaces it")
        }
        Err(error) => format!("{link}: ERROR: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_nothing_unasked() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("fail2ban-client");
        let program = dir.path().join("ferroban");
        assert_eq!(install(&link, &program, false).unwrap(), LinkOutcome::Made);
        assert_eq!(fs::read_link(&link).unwrap(), program);
        let again = install(&link, &program, false).unwrap();
        assert_eq!(again, LinkOutcome::AlreadyThere);

        fs::remove_file(&link).unwrap();
        fs::write(&link, "the original").unwrap();
        let refused = install(&link, &program, false).unwrap();
        assert_eq!(refused, LinkOutcome::InTheWay);
        assert_eq!(fs::read(&link).unwrap(), b"the original");
        assert_eq!(
            install(&link, &program, true).unwrap(),
            LinkOutcome::Replaced
        );
        assert_eq!(fs::read_link(&link).unwrap(), program);
        // nothing is left aside
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn says_what_failed() {
        let nowhere = Path::new("/nonexistent/fail2ban-client");
        let program = Path::new("/x");
        let text = report(nowhere, program, install(nowhere, program, false));
        assert!(text.contains("ERROR: No such file"), "{text}");
    }
}
