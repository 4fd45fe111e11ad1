//! The file of the database: whether it can be written, and whether there is room.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::findings::DoctorFindings;
use super::inspection::Inspection;
use crate::lint::Severity;

const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// Less room is none: a transaction of the database needs more (1 MiB).
const NONE: f64 = MEBIBYTE;
/// With less room a few bans fill the disk (16 MiB).
const LITTLE: f64 = 16.0 * MEBIBYTE;

/// The database.
pub fn look(look: &Inspection, findings: &mut DoctorFindings) {
    let path = look.database.as_str();
    if path.is_empty() || path == "None" || path.starts_with(":memory:") {
        return;
    }
    let before = findings.list.len();
    let place = look.machine.place(path);
    of_file(look, path, &place, findings);
    let directory = place
        .ancestors()
        .skip(1)
        .find(|directory| directory.is_dir());
    if let Some(directory) = directory {
        room(path, directory, findings);
    }
    if findings.list.len() == before {
        findings.sound(format!("the database {path} can be written"));
    }
}

fn of_file(look: &Inspection, path: &str, place: &Path, findings: &mut DoctorFindings) {
    let mut add = |what: String, cure: String| {
        findings.add(
            Severity::Error,
            "database",
            format!("the database {path} {what}"),
            cure,
        );
    };
    if place.is_dir() {
        return add(
            "is a directory".to_owned(),
            "remove the directory, or name a file in dbfile of fail2ban.local".to_owned(),
        );
    }
    // who writes it; a server with all rights writes anything
    let uid = look
        .server()
        .and_then(|server| server.uid)
        .unwrap_or_default();
    let parent = place
        .parent()
        .and_then(|parent| Some((parent, parent.metadata().ok()?)));
    if uid != 0 && !look.server().is_some_and(|server| server.overrides) {
        let directory = parent.filter(|(_, metadata)| !may_write(metadata, uid));
        let file = place
            .metadata()
            .ok()
            .filter(|metadata| !may_write(metadata, uid));
        if directory.is_some() || file.is_some() {
            let whose = file.map_or("its directory belongs", |_| "it belongs");
            return add(
                format!("cannot be written: {whose} to another user than the server's ({uid})"),
                format!("chown the directory of {path} and the files in it to user {uid}"),
            );
        }
    }
    let Ok(mut file) = File::open(place) else {
        return;
    };
    let mut head = [0; 16];
    let is_database = file.read_exact(&mut head).is_ok() && &head == b"SQLite format 3\0";
    if !is_database && file.metadata().is_ok_and(|file| file.len() > 0) {
        add(
            "is no database of SQLite: what it was is lost or something else has its name"
                .to_owned(),
            "stop the server, move the file away and start it: a new one is made".to_owned(),
        );
    }
}

/// Whether a user may write, by the bits for everybody, his group being unknown.
fn may_write(metadata: &std::fs::Metadata, uid: u32) -> bool {
    let mode = metadata.permissions().mode();
    match metadata.uid() == uid {
        true => mode & 0o200 != 0,
        false => mode & 0o022 != 0,
    }
}

fn room(path: &str, directory: &Path, findings: &mut DoctorFindings) {
    let Ok(system) = statvfs(directory) else {
        return;
    };
    let free = system.blocks_available() as f64 * system.fragment_size() as f64;
    let no_files = system.files() > 0 && system.files_available() == 0;
    let shown = format!("{:.1} MiB", free / MEBIBYTE);
    if system.flags().contains(FsFlags::ST_RDONLY) {
        findings.add(
            Severity::Error,
            "database",
            format!("the database {path} lies on a file system that is mounted read-only"),
            "mount it anew for writing, or move the database: dbfile in fail2ban.local",
        );
    } else if system.blocks() > 0 && (free < NONE || no_files) {
        let what = if no_files {
            "no file can be made".to_owned()
        } else {
            format!("{shown} are free")
        };
        findings.add(
            Severity::Error,
            "disk",
            format!(
                "the disk of the database {path} is full ({what}): bans are kept in memory alone"
            ),
            "make room; the server writes them down by itself then",
        );
    } else if system.blocks() > 0 && free < LITTLE {
        findings.add(
            Severity::Warning,
            "disk",
            format!("the disk of the database {path} is almost full: {shown} are free"),
            "make room before bans are lost at a restart",
        );
    }
}
