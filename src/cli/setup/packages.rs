//! The packages of a machine, by the databases of dpkg, rpm, apk and pacman.

use std::collections::BTreeSet;

use rusqlite::{Connection, OpenFlags};

use crate::cli::machine::HostMachine;
use crate::config::files::Files as _;

/// Names of all that is installed, as far as it can be read.
pub fn installed(machine: &HostMachine) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    names.extend(of_dpkg(&machine.text("/var/lib/dpkg/status")).map(str::to_owned));
    let apk = machine.text("/lib/apk/db/installed");
    names.extend(
        apk.lines()
            .filter_map(|line| line.strip_prefix("P:"))
            .map(str::to_owned),
    );
    // NAME-VERSION-RELEASE
    let pacman = machine.names("/var/lib/pacman/local").0.into_iter();
    names.extend(pacman.filter_map(|entry| {
        let (name, _) = entry.rsplit_once('-')?;
        let (name, _) = name.rsplit_once('-')?;
        Some(name.to_owned())
    }));
    for path in [
        "/usr/lib/sysimage/rpm/rpmdb.sqlite",
        "/var/lib/rpm/rpmdb.sqlite",
    ] {
        // a database of another form, or one that cannot be read, is no evidence
        names.extend(of_rpm(machine, path).unwrap_or_default());
    }
    names
}

fn of_dpkg(status: &str) -> impl Iterator<Item = &str> {
    status.split("\n\n").filter_map(|paragraph| {
        let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name));
        let installed = field("Status:")?.trim_end().ends_with(" installed");
        field("Package:").map(str::trim).filter(|_| installed)
    })
}

/// The index that rpm keeps of names.
fn of_rpm(machine: &HostMachine, path: &str) -> rusqlite::Result<Vec<String>> {
    if !machine.is_file(path) {
        return Ok(Vec::new());
    }
    let place = machine.place(path).to_string_lossy().into_owned();
    let place = place
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    // SQLite would write beside a file that may change
    let address = format!("file:{place}?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let database = Connection::open_with_flags(address, flags)?;
    let mut names = database.prepare("SELECT DISTINCT CAST(key AS TEXT) FROM Name")?;
    let rows = names.query_map([], |row| row.get(0))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_not_installed() {
        let status = "Package: nginx\nStatus: install ok installed\nVersion: 1\n\n\
                      Package: postfix\nStatus: deinstall ok config-files\n\n\
                      Package: dovecot-core\nStatus: hold ok installed\n";
        let found: Vec<&str> = of_dpkg(status).collect();
        assert_eq!(found, ["nginx", "dovecot-core"]);
    }
}
