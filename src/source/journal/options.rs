//! Options and matches: which journal is read, and which of its entries (facts J3, K10, P38).

use crate::python::text::is_on;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::files::Disk;
use crate::config::glob;
use crate::python::text::words;
use crate::sys::journal::JournalSelection;

/// `SD_JOURNAL_LOCAL_ONLY`, `…_RUNTIME_ONLY`, `…_SYSTEM`, `…_CURRENT_USER`.
const LOCAL_ONLY: i32 = 1;
const RUNTIME_ONLY: i32 = 2;
const SYSTEM: i32 = 4;
const CURRENT_USER: i32 = 8;

/// Where journald keeps its files, one folder per machine below.
const PERSISTENT: &str = "/var/log/journal";
const RUNTIME: &str = "/run/log/journal";

/// Overrides the flags where no option names a place.
const FLAGS_VARIABLE: &str = "F2B_SYSTEMD_DEFAULT_FLAGS";

/// So many files that were rotated away are read for what is left in them.
const MOST_ROTATED: usize = 64;

/// What stands in the brackets of `backend = systemd[…]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalOptions {
    path: Option<PathBuf>,
    files: Option<Vec<String>>,
    flags: Option<i32>,
    namespace: Option<String>,
    rotated: bool,
    /// Another machine's root directory, whose journal is meant.
    root: Option<PathBuf>,
}

/// Why a journal cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalOptionsError {
    /// No such option.
    #[error("Filter.__init__() got an unexpected keyword argument '{0}'")]
    Unknown(String),
    /// `journalflags` has to be a number.
    #[error("invalid literal for int() with base 10: '{0}'")]
    Flags(String),
    /// Not `FIELD=value`.
    #[error("Invalid match")]
    Match,
    /// A match to be removed that is not there; the list as Python shows it.
    #[error("Match {0} not found")]
    NoMatch(String),
}

impl JournalOptions {
    /// Reads names and values.
    ///
    /// # Errors
    /// An unknown name, flags that are no number.
    pub fn read(
        arguments: impl IntoIterator<Item = (String, String)>,
    ) -> Result<JournalOptions, JournalOptionsError> {
        let mut options = JournalOptions::default();
        for (name, value) in arguments {
            match name.as_str() {
                "journalpath" => options.path = Some(value.into()),
                "journalfiles" => {
                    options.files = Some(words(&value).map(str::to_owned).collect());
                }
                "journalflags" => {
                    let flags = value.trim().parse();
                    options.flags = Some(flags.map_err(|_| JournalOptionsError::Flags(value))?);
                }
                "namespace" => options.namespace = Some(value),
                "rotated" => {
                    options.rotated = is_on(&value);
                }
                _ => return Err(JournalOptionsError::Unknown(name)),
            }
        }
        Ok(options)
    }

    /// The journal of the machine whose root directory this is.
    pub fn below(root: &Path) -> JournalOptions {
        JournalOptions {
            root: Some(root.to_owned()),
            ..JournalOptions::default()
        }
    }

    /// Where to read now. Of the machine's own journal and of a folder the present files are meant,
    /// not those rotated away (unless `rotated`), so that hundreds of them do not take up all
    /// descriptors; those that were written to after `since` count as present.
    pub(super) fn place(&self, since: Option<SystemTime>) -> JournalSelection {
        let default_flags = || match std::env::var(FLAGS_VARIABLE) {
            Ok(text) => text.trim().parse().ok(),
            Err(_) => self.rotated.then_some(SYSTEM),
        };
        if let Some(patterns) = &self.files {
            let found = patterns
                .iter()
                .flat_map(|pattern| glob::find(&Disk, pattern).paths);
            let mut files: Vec<PathBuf> = found.map(PathBuf::from).collect();
            files.sort_unstable();
            files.dedup();
            if !files.is_empty() {
                return JournalSelection::Files(files);
            }
        }
        let flags = match (self.flags, &self.path) {
            (Some(flags), _) => Some(flags),
            (None, None) => default_flags(),
            (None, Some(_)) => None,
        };
        if let Some(namespace) = &self.namespace {
            return JournalSelection::Namespace(namespace.clone(), flags.unwrap_or(LOCAL_ONLY));
        }
        if !self.rotated {
            let files = self.present_files(flags.unwrap_or(0), since);
            if !files.is_empty() {
                return JournalSelection::Files(files);
            }
        }
        match &self.path {
            // a folder takes none of the flags for the machine's own journal
            Some(path) => JournalSelection::Directory(path.clone(), 0),
            // never this machine's own instead
            None if self.root.is_some() => JournalSelection::Directory(self.folder(PERSISTENT), 0),
            None => JournalSelection::Machine(flags.unwrap_or(LOCAL_ONLY)),
        }
    }

    fn folder(&self, path: &str) -> PathBuf {
        match &self.root {
            Some(root) => root.join(path.trim_start_matches('/')),
            None => path.into(),
        }
    }

    fn present_files(&self, flags: i32, since: Option<SystemTime>) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        match &self.path {
            Some(path) => folders.push(path.clone()),
            None => {
                if flags & RUNTIME_ONLY == 0 {
                    folders.extend(folders_in(&self.folder(PERSISTENT)));
                }
                folders.extend(folders_in(&self.folder(RUNTIME)));
            }
        }
        let user = nix::unistd::geteuid();
        let is_wanted = |stem: &str| {
            let all = flags & (SYSTEM | CURRENT_USER) == 0;
            all || (flags & SYSTEM != 0 && stem == "system")
                || (flags & CURRENT_USER != 0 && stem == format!("user-{user}"))
        };
        let mut files = Vec::new();
        let mut rotated = Vec::new();
        let entries = folders.iter().filter_map(|folder| folder.read_dir().ok());
        for entry in entries.flatten().flatten() {
            let name = entry.file_name();
            let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".journal")) else {
                continue;
            };
            match stem.split_once('@') {
                None if is_wanted(stem) => files.push(entry.path()),
                Some((stem, _)) if is_wanted(stem) => {
                    let modified = entry.metadata().and_then(|data| data.modified()).ok();
                    if since.is_some() && modified >= since {
                        rotated.push((modified, entry.path()));
                    }
                }
                _ => {}
            }
        }
        rotated.sort_unstable();
        let newest = rotated.into_iter().rev().take(MOST_ROTATED);
        files.extend(newest.map(|(_, path)| path));
        if !user.is_root() {
            let readable = nix::unistd::AccessFlags::R_OK;
            files.retain(|file| nix::unistd::access(file.as_path(), readable).is_ok());
        }
        files.sort_unstable();
        files
    }

    /// The same for a `journalctl` child, which finds new and rotated files by itself.
    pub(super) fn child_arguments(&self) -> Vec<String> {
        if self.files.is_some()
            && let JournalSelection::Files(files) = self.place(None)
        {
            return files
                .iter()
                .map(|file| format!("--file={}", file.display()))
                .collect();
        }
        if let Some(path) = &self.path {
            return vec![format!("--directory={}", path.display())];
        }
        if let Some(namespace) = &self.namespace {
            return vec![format!("--namespace={namespace}")];
        }
        if let Some(root) = &self.root {
            return vec![format!("--root={}", root.display())];
        }
        let flags = self.flags.unwrap_or(LOCAL_ONLY);
        let mut arguments = Vec::new();
        if flags & SYSTEM != 0 {
            arguments.push("--system".to_owned());
        }
        if flags & CURRENT_USER != 0 {
            arguments.push("--user".to_owned());
        }
        if flags & LOCAL_ONLY == 0 {
            arguments.push("--merge".to_owned());
        }
        if flags & RUNTIME_ONLY != 0 && Path::new(RUNTIME).is_dir() {
            arguments.push(format!("--directory={RUNTIME}"));
        }
        arguments
    }
}

fn folders_in(parent: &Path) -> Vec<PathBuf> {
    let entries = parent.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// A Unix time as the file system tells times.
pub(super) fn system_time(time: f64) -> SystemTime {
    UNIX_EPOCH + Duration::try_from_secs_f64(time).unwrap_or_default()
}

/// Which entries are read: any of several matches, each some `FIELD=value` that must all hold
/// (several of one field are alternatives). None: all entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalMatches {
    groups: Vec<Vec<String>>,
}

impl JournalMatches {
    /// Adds matches in the syntax of journalctl, `+` between alternatives.
    ///
    /// # Errors
    /// A word that is no match; nothing is added.
    pub fn add(&mut self, words: &[String]) -> Result<(), JournalOptionsError> {
        if !words.iter().all(|word| word == "+" || is_match(word)) {
            return Err(JournalOptionsError::Match);
        }
        let groups = words.split(|word| word == "+").map(<[String]>::to_vec);
        self.groups.extend(groups);
        Ok(())
    }

    /// Removes one of [`JournalMatches::groups`].
    ///
    /// # Errors
    /// It is not there.
    pub fn remove(&mut self, words: &[String]) -> Result<(), JournalOptionsError> {
        match self.groups.iter().position(|group| group == words) {
            Some(index) => {
                self.groups.remove(index);
                Ok(())
            }
            None => {
                let list: Vec<&str> = words.iter().map(String::as_str).collect();
                let list = crate::control::Value::from(list).repr();
                Err(JournalOptionsError::NoMatch(list))
            }
        }
    }

    /// The alternatives.
    pub fn groups(&self) -> &[Vec<String>] {
        &self.groups
    }

    /// The alternatives as one text.
    pub fn text(&self) -> String {
        let groups: Vec<String> = self.groups.iter().map(|group| group.join(" ")).collect();
        groups.join(" + ")
    }
}

/// What libsystemd takes for a match.
fn is_match(word: &str) -> bool {
    let Some((field, _)) = word.split_once('=') else {
        return false;
    };
    let letter = |b: u8| b == b'_' || b.is_ascii_uppercase() || b.is_ascii_digit();
    !field.is_empty() && !field.starts_with("__") && field.bytes().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn matches_in_groups() {
        let mut matches = JournalMatches::default();
        matches
            .add(&words("_COMM=a _UID=0 + _COMM=b"))
            .expect("valid");
        matches.add(&words("X=")).expect("valid");
        assert_eq!(matches.text(), "_COMM=a _UID=0 + _COMM=b + X=");
        for wrong in ["foo", "_COMM", "=x", "__A=b", "a=b", "_COMM=x y"] {
            assert_eq!(
                matches.add(&words(wrong)),
                Err(JournalOptionsError::Match),
                "{wrong}"
            );
        }
        assert_eq!(matches.remove(&words("_COMM=b")), Ok(()));
        assert_eq!(
            matches.remove(&words("_COMM=b")).map_err(|e| e.to_string()),
            Err("Match ['_COMM=b'] not found".to_owned())
        );
        assert_eq!(matches.groups().len(), 2);
    }

    #[test]
    fn options_lead_to_places() {
        let dir = tempfile::tempdir().expect("directory");
        for name in [
            "system.journal",
            "system@1-2.journal",
            "user-7.journal",
            "x.log",
        ] {
            std::fs::write(dir.path().join(name), "").expect("file");
        }
        let text = dir.path().to_str().expect("text").to_owned();
        let read = |list: &[(&str, &str)]| {
            JournalOptions::read(list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
        };
        let files = |names: &[&str]| {
            JournalSelection::Files(names.iter().map(|name| dir.path().join(name)).collect())
        };
        let path = read(&[("journalpath", &text)]).expect("options");
        assert_eq!(
            path.place(None),
            files(&["system.journal", "user-7.journal"])
        );
        assert_eq!(
            path.place(Some(UNIX_EPOCH)),
            files(&["system.journal", "system@1-2.journal", "user-7.journal"])
        );
        let system = read(&[("journalpath", &text), ("journalflags", "4")]).expect("options");
        assert_eq!(system.place(None), files(&["system.journal"]));
        let rotated = read(&[("journalpath", &text), ("rotated", "on")]).expect("options");
        assert_eq!(
            rotated.place(None),
            JournalSelection::Directory(dir.path().to_owned(), 0)
        );
        let pattern = format!("{text}/system*, {text}/none");
        let named = read(&[("journalfiles", &pattern)]).expect("options");
        assert_eq!(
            named.place(None),
            files(&["system.journal", "system@1-2.journal"])
        );
        assert!(matches!(
            read(&[("a", "b")]),
            Err(JournalOptionsError::Unknown(_))
        ));
        assert!(matches!(
            read(&[("journalflags", "x")]),
            Err(JournalOptionsError::Flags(_))
        ));
    }
}
