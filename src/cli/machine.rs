//! A machine as its files show it: this one, or one whose root directory lies below a directory.

use std::collections::VecDeque;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::config::files::{Disk, Files};
use crate::config::glob;
use crate::config::shipped::{self, Shipped};

/// More links than this on one path lead nowhere, as the kernel has it.
const MOST_LINKS: usize = 40;

/// A root directory; the shipped configuration is on every machine.
#[derive(Debug)]
pub struct HostMachine {
    root: PathBuf,
}

/// What there is of systemd's journal.
#[derive(Debug, PartialEq, Eq)]
pub enum JournalUse {
    /// Nothing.
    None,
    /// Files that cannot be read: one of them, with the reason.
    Refused(String, String),
    /// Files.
    There,
}

impl HostMachine {
    /// The machine with this root directory.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn at(root: &str) -> io::Result<HostMachine> {
        let root = Path::new(root).canonicalize()?;
        match root.is_dir() {
            true => Ok(HostMachine { root }),
            false => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Whether it is the machine this program runs on.
    pub fn is_this(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Its root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where one of its paths is found here. Links lead where they lead on that machine.
    pub fn place(&self, path: &str) -> PathBuf {
        if self.is_this() {
            return path.into();
        }
        let mut place = self.root.clone();
        let mut depth = 0;
        let mut links = 0;
        let mut rest: VecDeque<PathBuf> = parts(Path::new(path)).collect();
        while let Some(part) = rest.pop_front() {
            if part == Path::new("..") {
                if depth > 0 {
                    depth -= 1;
                    place.pop();
                }
                continue;
            }
            match place.join(&part).read_link() {
                Ok(target) if links < MOST_LINKS => {
                    links += 1;
                    if target.is_absolute() {
                        depth = 0;
                        place.clone_from(&self.root);
                    }
                    for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                        rest.push_front(part);
                    }
                }
                _ => {
                    depth += 1;
                    place.push(part);
                }
            }
        }
        place
    }

    /// The text of a file; empty where there is none.
    pub fn text(&self, path: &str) -> String {
        let bytes = std::fs::read(self.place(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What there is of systemd's journal.
    pub fn journal(&self) -> JournalUse {
        let mut journal = JournalUse::None;
        for folder in ["/run/log/journal", "/var/log/journal"] {
            for path in glob::find(self, &format!("{folder}/*/system.journal")).paths {
                match std::fs::File::open(self.place(&path)) {
                    Ok(_) => return JournalUse::There,
                    Err(error) => journal = JournalUse::Refused(path, error.to_string()),
                }
            }
        }
        journal
    }

    fn here(&self, path: &str) -> String {
        self.place(path).to_string_lossy().into_owned()
    }
}

/// The parts of a path below its root.
fn parts(path: &Path) -> impl Iterator<Item = PathBuf> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.into()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

impl Files for HostMachine {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match shipped::below(path) {
            Some(shipped::SYSTEM) => Ok(shipped::system_text(self).into_bytes()),
            Some(_) => Shipped.read(path),
            None => Disk.read(&self.here(path)),
        }
    }

    fn exists(&self, path: &str) -> bool {
        match shipped::below(path) {
            Some(_) => Shipped.exists(path),
            None => Disk.exists(&self.here(path)),
        }
    }

    /// A link that leads nowhere is as good as none here.
    fn is_present(&self, path: &str) -> bool {
        self.exists(path)
    }

    fn is_file(&self, path: &str) -> bool {
        match shipped::below(path) {
            Some(_) => Shipped.is_file(path),
            None => Disk.is_file(&self.here(path)),
        }
    }

    fn is_dir(&self, path: &str) -> bool {
        match shipped::below(path) {
            Some(_) => Shipped.is_dir(path),
            None => Disk.is_dir(&self.here(path)),
        }
    }

    fn names(&self, directory: &str) -> (Vec<String>, Vec<String>) {
        match shipped::below(directory) {
            Some(_) => Shipped.names(directory),
            None => Disk.names(&self.here(directory)),
        }
    }

    fn refusal(&self, path: &str) -> Option<io::Error> {
        match shipped::below(path) {
            Some(_) => None,
            None => Disk.refusal(&self.here(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_stay_on_their_machine() {
        let directory = tempfile::tempdir().expect("directory");
        let root = directory.path();
        fs::create_dir_all(root.join("run/a")).expect("directory");
        fs::create_dir_all(root.join("var")).expect("directory");
        fs::write(root.join("run/a/log"), "here").expect("file");
        for (link, target) in [
            ("var/run", "/run"),
            ("var/up", "../../../../run/a"),
            ("loop", "loop"),
        ] {
            symlink(target, root.join(link)).expect("link");
        }
        let machine = HostMachine::at(root.to_str().expect("text")).expect("a machine");
        for path in ["/var/run/a/log", "/var/up/log", "/../run/a/log"] {
            assert_eq!(machine.text(path), "here", "{path}");
        }
        assert!(!machine.exists("/loop"));
        assert!(HostMachine::at("/nonexistent").is_err());
    }
}
