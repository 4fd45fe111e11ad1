//! `ferroban report`: the present state, as the server tells it, and the past, as the database does;
//! for a terminal, or as a page that a web server may hand out.
//!
//! What cannot be asked is told in its place: without a server there is the past alone.

pub(super) mod arguments;
mod html;
mod json;
mod page;
pub(super) mod state;
mod text;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use self::arguments::ReportArguments;
use self::state::ReportedState;
use crate::clock;
use crate::config;
use crate::countries::Countries;
use crate::store::statistics::{self, Statistics, StatisticsQuery};
use crate::ticket::Timestamp;
use crate::web::page::past::{DAYS, OFFENDERS};

/// All there is to show.
struct BanReport {
    /// The name of the machine.
    host: String,
    now: Timestamp,
    /// `Err`: why the server tells nothing.
    state: Result<ReportedState, String>,
    /// `Err`: why the database tells nothing; `None`: there is none, by order.
    past: Result<Option<Statistics>, String>,
}

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let arguments = match ReportArguments::parse(args) {
        Ok(arguments) => arguments,
        Err(error) => return super::refused(&error),
    };
    super::ended("report", run(&arguments))
}

/// Shows what there is; a database that cannot be read is an error after that, a server that does
/// not run is none.
fn run(arguments: &ReportArguments) -> anyhow::Result<()> {
    let report = gather(arguments)?;
    let shown = match (arguments.json, arguments.html) {
        (true, _) => format!("{}\n", json::object(&report)),
        (_, true) => html::render(&page::of(&report)),
        _ => text::render(&page::of(&report)),
    };
    match &arguments.output {
        Some(file) => replace(file, shown.as_bytes())
            .with_context(|| format!("cannot write {}", file.display()))?,
        None => io::stdout().lock().write_all(shown.as_bytes())?,
    }
    match report.past {
        Err(why) => bail!("{why}"),
        Ok(_) => Ok(()),
    }
}

fn gather(arguments: &ReportArguments) -> anyhow::Result<BanReport> {
    let directory = Path::new(&arguments.config);
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        None => config::read_early(directory)?.socket,
    };
    let now = clock::now();
    let state = state::ask(&socket)
        .map_err(|error| format!("No server answers at {}: {error}", socket.display()));
    // a server may keep its bans elsewhere than the configuration says by now
    let database = match &state {
        Ok(state) => state.database.clone(),
        Err(_) => Some(config::read_database(directory)?.into())
            .filter(|file: &PathBuf| !file.as_os_str().eq_ignore_ascii_case("none")),
    };
    let read = |file: PathBuf| {
        let since = now - f64::from(DAYS) * 86_400.0;
        let countries = Countries::installed();
        let country = |id: &str| countries.as_ref()?.of(id);
        let wanted = StatisticsQuery {
            offenders: OFFENDERS,
            reasons: true,
            country: countries.is_some().then_some(&country),
        };
        statistics::read(&file, since, &wanted)
            .map_err(|error| format!("The database {} tells nothing: {error}", file.display()))
    };
    let host = nix::unistd::gethostname().unwrap_or_default();
    Ok(BanReport {
        host: host.to_string_lossy().into_owned(),
        now,
        state,
        past: database.map(read).transpose(),
    })
}

/// Writes a file beside its place and moves it there: whoever opens it finds all of the old one or
/// all of the new one.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = file.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let mut aside = OsString::from(".");
    aside.push(name);
    aside.push(format!(".{}", std::process::id()));
    let aside = file.with_file_name(aside);
    // what an earlier try has left, or a link that somebody has put there
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = File::create_new(&aside)?;
    let written = out.write_all(bytes).and_then(|()| fs::rename(&aside, file));
    written.inspect_err(|_| {
        let _ = fs::remove_file(&aside);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_page_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let page = dir.path().join("index.html");
        for text in ["a long old page", "a new one"] {
            replace(&page, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&page).unwrap(), text);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // a directory of that name stays, and nothing is left beside it
        fs::create_dir(dir.path().join("taken")).unwrap();
        assert!(replace(&dir.path().join("taken"), b"x").is_err());
        assert!(replace(Path::new("/"), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        fs::write(&kept, "kept").unwrap();
        let page = dir.path().join("page");
        symlink(&kept, &page).unwrap();
        replace(&page, b"new").unwrap();
        let aside = dir.path().join(format!(".page.{}", std::process::id()));
        symlink(&kept, &aside).unwrap();
        replace(&page, b"newer").unwrap();
        assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
        assert_eq!(fs::read_to_string(&page).unwrap(), "newer");
    }
}
