//! File system access as a trait, so that the rules above it do no I/O and are tested with files that exist
//! only in memory.
#![forbid(unsafe_code)]

use std::io;
use std::path::Path;

/// Where configuration files, and the names of log files, come from.
pub trait Files {
    /// The bytes of a file.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
    /// Whether the path leads to anything, links followed.
    fn exists(&self, path: &str) -> bool;
    /// Whether the path is there itself, be it a dangling link.
    fn is_present(&self, path: &str) -> bool;
    /// Whether it is a regular file, links followed.
    fn is_file(&self, path: &str) -> bool;
    /// Whether it is a directory, links followed.
    fn is_dir(&self, path: &str) -> bool;
    /// Names in a directory, in the order the system gives them; none when it cannot be read.
    /// The second list holds those that are not UTF-8, made printable.
    fn names(&self, directory: &str) -> (Vec<String>, Vec<String>);
    /// What the system says of a path that cannot be looked at, or of a directory whose names cannot
    /// be read; nothing where it is just not there.
    fn refusal(&self, _path: &str) -> Option<io::Error> {
        None
    }
}

/// A path that the system refuses, with its reason: `/var/log/x: Permission denied`.
pub fn refused(path: &str, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("{path}: {}", nix::errno::Errno::from_raw(number).desc()),
        None => format!("{path}: {error}"),
    }
}

/// A file system with some more files, which are in memory.
pub struct Overlay<'f> {
    inner: &'f dyn Files,
    more: Vec<(String, String)>,
}

impl<'f> Overlay<'f> {
    /// `more`: paths and texts; they hide files of these paths.
    pub fn new(inner: &'f dyn Files, more: Vec<(String, String)>) -> Overlay<'f> {
        Overlay { inner, more }
    }

    fn has(&self, path: &str) -> bool {
        self.more.iter().any(|(own, _)| own == path)
    }
}

impl Files for Overlay<'_> {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.more.iter().find(|(own, _)| own == path) {
            Some((_, text)) => Ok(text.clone().into_bytes()),
            None => self.inner.read(path),
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.has(path) || self.inner.exists(path)
    }

    fn is_present(&self, path: &str) -> bool {
        self.has(path) || self.inner.is_present(path)
    }

    fn is_file(&self, path: &str) -> bool {
        self.has(path) || self.inner.is_file(path)
    }

    fn is_dir(&self, path: &str) -> bool {
        let above = |own: &str| own.rsplit_once('/').is_some_and(|(dir, _)| dir == path);
        self.inner.is_dir(path) || self.more.iter().any(|(own, _)| above(own))
    }

    fn names(&self, directory: &str) -> (Vec<String>, Vec<String>) {
        let (mut names, odd) = self.inner.names(directory);
        for (path, _) in &self.more {
            // the file, and its directory, which need not be there otherwise
            let (dir, file) = split(path);
            for (place, name) in [(dir, file), split(dir)] {
                if place == directory.trim_end_matches('/') && !names.iter().any(|one| one == name)
                {
                    names.push(name.to_owned());
                }
            }
        }
        (names, odd)
    }

    fn refusal(&self, path: &str) -> Option<io::Error> {
        match self.has(path) {
            true => None,
            false => self.inner.refusal(path),
        }
    }
}

/// No configuration file is longer than this (16 MiB).
const LONGEST: u64 = 16 << 20;

/// The real thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        use std::io::Read as _;
        let file = std::fs::File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // the end is found with one byte to spare, without growing
        let length = metadata.len().min(LONGEST) as usize;
        let mut bytes = Vec::with_capacity(length + 1);
        file.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn is_present(&self, path: &str) -> bool {
        Path::new(path).symlink_metadata().is_ok()
    }

    fn is_file(&self, path: &str) -> bool {
        Path::new(path).is_file()
    }

    fn is_dir(&self, path: &str) -> bool {
        Path::new(path).is_dir()
    }

    fn names(&self, directory: &str) -> (Vec<String>, Vec<String>) {
        let directory = if directory.is_empty() { "." } else { directory };
        let (mut names, mut odd) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_name().into_string() {
                Ok(name) => names.push(name),
                Err(name) => odd.push(name.to_string_lossy().into_owned()),
            }
        }
        (names, odd)
    }

    fn refusal(&self, path: &str) -> Option<io::Error> {
        let path = Path::new(if path.is_empty() { "." } else { path });
        let error = match path.metadata() {
            Ok(metadata) if metadata.is_dir() => path.read_dir().err(),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        let absent = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
        error.filter(|error| !absent.contains(&error.kind()))
    }
}

/// `os.path.join` of two: an absolute second part replaces the first.
pub fn join(directory: &str, name: &str) -> String {
    if name.starts_with('/') || directory.is_empty() {
        name.to_owned()
    } else if directory.ends_with('/') {
        format!("{directory}{name}")
    } else {
        format!("{directory}/{name}")
    }
}

/// `os.path.split`: what is before the last slash (without trailing slashes unless it is nothing
/// but slashes), and what is after.
pub fn split(path: &str) -> (&str, &str) {
    let at = path.rfind('/').map_or(0, |slash| slash + 1);
    let (head, tail) = path.split_at(at);
    let trimmed = head.trim_end_matches('/');
    (if trimmed.is_empty() { head } else { trimmed }, tail)
}

/// `os.path.splitext(path)[0]`: without the last extension; a name of leading dots has none.
pub fn stem(path: &str) -> &str {
    let base = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[base..].rfind('.') {
        Some(dot) if path[base..base + dot].bytes().any(|b| b != b'.') => &path[..base + dot],
        _ => path,
    }
}

#[cfg(test)]
pub(super) mod memory {
    //! Files that exist only in a test.
    use super::*;
    use std::collections::BTreeMap;

    /// Path → contents; directories are implied.
    #[derive(Clone, Debug, Default)]
    pub struct MemoryFiles(pub BTreeMap<String, String>);

    impl MemoryFiles {
        /// A file system with these files.
        pub fn new(files: &[(&str, &str)]) -> MemoryFiles {
            MemoryFiles(
                files
                    .iter()
                    .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
                    .collect(),
            )
        }
    }

    impl Files for MemoryFiles {
        fn read(&self, path: &str) -> io::Result<Vec<u8>> {
            self.0
                .get(path)
                .map(|text| text.clone().into_bytes())
                .ok_or_else(|| io::ErrorKind::NotFound.into())
        }

        fn exists(&self, path: &str) -> bool {
            self.is_file(path) || self.is_dir(path)
        }

        fn is_present(&self, path: &str) -> bool {
            self.exists(path)
        }

        fn is_file(&self, path: &str) -> bool {
            self.0.contains_key(path)
        }

        fn is_dir(&self, path: &str) -> bool {
            let prefix = join(path, "");
            self.0.keys().any(|file| file.starts_with(&prefix))
        }

        fn names(&self, directory: &str) -> (Vec<String>, Vec<String>) {
            let prefix = join(directory, "");
            let mut names: Vec<String> = self
                .0
                .keys()
                .filter_map(|file| file.strip_prefix(&prefix))
                .map(|rest| rest.split('/').next().unwrap_or(rest).to_owned())
                .collect();
            names.dedup();
            (names, Vec::new())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cut_as_python_cuts_them() {
        for (path, head, tail) in [
            ("/a/b", "/a", "b"),
            ("/a//b", "/a", "b"),
            ("/b", "/", "b"),
            ("b", "", "b"),
            ("a/", "a", ""),
        ] {
            assert_eq!(split(path), (head, tail), "{path}");
        }
        for (path, expected) in [
            ("/a.d/x.conf", "/a.d/x"),
            ("/a.d/x", "/a.d/x"),
            ("/a/.local", "/a/.local"),
            ("a.b.c", "a.b"),
        ] {
            assert_eq!(stem(path), expected);
        }
        assert_eq!(join("/a", "b"), "/a/b");
        assert_eq!(join("/a/", "b"), "/a/b");
        assert_eq!(join("/a", "/b"), "/b");
    }
}
