//! The files of one name, in order: `NAME.conf`, `NAME.d/*.conf`, `NAME.local`, `NAME.d/*.local`, each with
//! its includes (facts C1–C9). Every file is read and parsed once.
//!
//! The shipped files lie under the directory. A directory without `jail.conf` is completed with them file
//! by file. One with its own `jail.conf` is complete: there a shipped file is read only where the original
//! would find nothing, for a name without any file and for an include that does not exist.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::rc::Rc;

use super::error::{Cause, ConfigMessages};
use super::files::{Files, join, refused, split, stem};
use super::ini::{self, IniFile};
use super::listings::Listings;
use super::section::Hashing;
use super::settings::{MergedSettings, Vars};
use super::shipped;
use crate::control::Value;
use crate::log::Level;
use crate::python::text::quoted;

/// Logger of the messages about sets of files.
const READER: &str = "fail2ban.configreader";
/// Logger of the messages about single files.
const PARSER: &str = "fail2ban.configparserinc";
/// Sections of the jail files that concern all jails.
const FOR_ALL: [&str; 2] = ["DEFAULT", "INCLUDES"];
/// Includes within includes; more is a mistake, not a configuration.
const DEPTH: usize = 50;
/// Files of one set with all their includes.
const FILES: usize = 10_000;

/// Reads sets of files and remembers them.
pub struct Layers<'f> {
    files: &'f dyn Files,
    listings: Listings,
    base: String,
    /// The directory has its own `jail.conf`.
    whole: bool,
    parsed: HashMap<String, Option<Rc<IniFile>>, Hashing>,
    includes: HashMap<Vec<String>, Vec<String>, Hashing>,
    sets: HashMap<String, Option<Rc<MergedSettings>>, Hashing>,
    tolerant: bool,
    /// Files are read of which a mistake concerns a section only: those of jails.
    by_section: bool,
    /// What the operator should hear.
    pub messages: ConfigMessages,
}

impl<'f> Layers<'f> {
    /// Reads below `base` (fact C8).
    ///
    /// # Errors
    /// The directory is not there.
    pub fn new(files: &'f dyn Files, base: &str) -> Result<Layers<'f>, Cause> {
        let base = base.trim_end_matches('/');
        if !files.exists(if base.is_empty() { "/" } else { base }) {
            return Err(Cause::Value(format!(
                "Base configuration directory {base} does not exist "
            )));
        }
        Ok(Layers {
            files,
            listings: Listings::default(),
            base: base.to_owned(),
            whole: files.exists(&join(base, "jail.conf")),
            parsed: HashMap::default(),
            includes: HashMap::default(),
            sets: HashMap::default(),
            tolerant: false,
            by_section: false,
            messages: ConfigMessages::default(),
        })
    }

    /// From now on what is no INI file counts as far as it can be read.
    pub fn tolerate(&mut self) {
        self.tolerant = true;
    }

    /// The directory of the configuration.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The shipped files that were read because the directory lacks them, as paths, sorted.
    pub fn shipped(&self) -> Vec<String> {
        let read = self.parsed.iter().filter(|(_, file)| file.is_some());
        let read = read.map(|(path, _)| path);
        let mut shipped: Vec<String> = match self.base == shipped::DIR {
            true => Vec::new(),
            false => read
                .filter(|path| shipped::below(path).is_some())
                .cloned()
                .collect(),
        };
        shipped.sort();
        shipped
    }

    /// Where files and names come from.
    pub fn files(&self) -> &'f dyn Files {
        self.files
    }

    /// The set of files of this name (`filter.d/sshd`); `None` when it cannot be used, which is
    /// told once.
    ///
    /// # Errors
    /// A file that is no INI file.
    pub fn read(&mut self, name: &str) -> Result<Option<Rc<MergedSettings>>, Cause> {
        if let Some(set) = self.sets.get(name) {
            return Ok(set.clone());
        }
        let set = self.read_set(name)?.map(Rc::new);
        self.sets.insert(name.to_owned(), set.clone());
        Ok(set)
    }

    /// The files of the jails: what is wrong within the section of a jail is the jail's own fault
    /// ([`MergedSettings::fault`]).
    ///
    /// # Errors
    /// A mistake in a file that may concern all jails.
    pub fn read_jails(&mut self) -> Result<Option<Rc<MergedSettings>>, Cause> {
        self.by_section = true;
        let jails = self.read("jail");
        self.by_section = false;
        jails
    }

    /// One file with its includes, without layers.
    ///
    /// # Errors
    /// A file that is no INI file.
    pub fn read_file(&mut self, path: &str) -> Result<Option<Rc<MergedSettings>>, Cause> {
        let (settings, read) = self.merge(vec![path.to_owned()])?;
        Ok((!read.is_empty()).then(|| Rc::new(settings)))
    }

    fn read_set(&mut self, name: &str) -> Result<Option<MergedSettings>, Cause> {
        let base = &self.base;
        self.messages.add(
            Level::Info,
            READER,
            format!("Loading configs for {name} under {base} "),
        );
        let stem = join(base, name);
        let directory = format!("{stem}.d");
        let mut paths = vec![format!("{stem}.conf")];
        let mut names = match self.listings.may_have(self.files, &directory) {
            true => self.files.names(&directory).0,
            false => Vec::new(),
        };
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        let drop_ins = |extension: &str| {
            let names = names.iter().filter(|name| name.ends_with(extension));
            names.map(|name| join(&directory, name)).collect::<Vec<_>>()
        };
        paths.extend(drop_ins(".conf"));
        paths.push(format!("{stem}.local"));
        paths.extend(drop_ins(".local"));
        let (files, listings) = (self.files, &mut self.listings);
        paths.retain(|path| listings.may_have(files, path) && files.exists(path));
        let main = format!("{stem}.conf");
        if paths.is_empty() || !self.whole && paths[0] != main {
            paths.splice(0..0, shipped::instead_of(files, base, &main));
        }
        if paths.is_empty() {
            let text = format!(
                "Found no accessible config files for {} under {}{}",
                quoted(name),
                self.base,
                self.refusals(&[main])
            );
            self.messages.add(Level::Error, READER, text);
            return Ok(None);
        }
        let (settings, read) = self.merge(paths.clone())?;
        paths.retain(|path| !read.contains(path));
        if paths.is_empty() {
            return Ok(Some(settings));
        }
        self.messages.add(
            Level::Error,
            READER,
            format!(
                "Could not read config files: {}{}",
                paths.join(", "),
                self.refusals(&paths)
            ),
        );
        Ok(None)
    }

    /// ` (PATH: REASON)` for each of these files that the system does not let read.
    fn refusals(&self, paths: &[String]) -> String {
        let refusal = |path: &String| {
            let error = self.files.refusal(path).or(self.files.read(path).err());
            let error = error.filter(|error| error.kind() != std::io::ErrorKind::NotFound)?;
            Some(format!(" ({})", refused(path, &error)))
        };
        paths.iter().filter_map(refusal).collect()
    }

    /// All files and what they include, merged; and which of them could be read.
    fn merge(&mut self, paths: Vec<String>) -> Result<(MergedSettings, Vec<String>), Cause> {
        let all = self.with_includes(paths, &[])?;
        self.tell_loading(&all);
        let mut settings = MergedSettings::default();
        let mut read = Vec::new();
        for path in all {
            if let Some(file) = self.parse(&path)? {
                settings.merge(&file);
                settings.file = Some(path.as_str().into());
                read.push(path);
            }
        }
        Ok((settings, read))
    }

    /// Each file surrounded by its `before` and `after`, with its `.local` after it (fact C5).
    fn with_includes(
        &mut self,
        paths: Vec<String>,
        chain: &[String],
    ) -> Result<Vec<String>, Cause> {
        if let Some(found) = self.includes.get(&paths) {
            return Ok(found.clone());
        }
        let mut files = Vec::with_capacity(paths.len());
        for path in &paths {
            files.push(path.clone());
            let local = shipped::at_home(&self.base, format!("{}.local", stem(path)));
            if !paths.contains(&local)
                && self.listings.may_have(self.files, &local)
                && self.files.is_file(&local)
            {
                files.push(local);
            }
        }
        let mut all = Vec::new();
        for path in &files {
            all.extend(self.includes_of(path, chain)?);
            if all.len() > FILES {
                return Err(Cause::Value(format!("Too many files included by {path}")));
            }
        }
        self.includes.insert(paths, all.clone());
        Ok(all)
    }

    fn includes_of(&mut self, path: &str, chain: &[String]) -> Result<Vec<String>, Cause> {
        let Some(file) = self.parse(path)? else {
            return Ok(Vec::new());
        };
        let mut parts = [Vec::new(), vec![path.to_owned()], Vec::new()];
        if chain.len() >= DEPTH || !file.sections.contains_key("INCLUDES") {
            return Ok(parts.concat());
        }
        let mut own = MergedSettings::default();
        own.merge(&file);
        let chain: Vec<String> = chain.iter().cloned().chain([path.to_owned()]).collect();
        for (part, option) in [(0, "before"), (2, "after")] {
            if own.entry("INCLUDES", option).is_none() {
                continue;
            }
            let Some(list) = own.get("INCLUDES", option, &Vars::default())? else {
                continue;
            };
            for name in list.split('\n') {
                let included = self.included(path, name);
                // The file itself is looked for among those that led to it, not in itself.
                if !chain[..chain.len() - 1].contains(&included) {
                    parts[part].extend(self.with_includes(vec![included], &chain)?);
                }
            }
        }
        Ok(parts.concat())
    }

    /// The file that `path` includes by a name: the directory's own, else the shipped one.
    fn included(&mut self, path: &str, name: &str) -> String {
        let included = shipped::at_home(&self.base, join(split(path).0, name));
        match self.listings.may_have(self.files, &included) && self.files.exists(&included) {
            true => included,
            false => {
                let instead = shipped::instead_of(self.files, &self.base, &included);
                instead.unwrap_or(included)
            }
        }
    }

    /// One file; `None` when it cannot be opened or decoded.
    fn parse(&mut self, path: &str) -> Result<Option<Rc<IniFile>>, Cause> {
        if let Some(file) = self.parsed.get(path) {
            return Ok(file.clone());
        }
        self.tell_loading(&[path.to_owned()]);
        let file = match self.files.read(path) {
            Err(_) => None,
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) if self.tolerant => Some(Rc::new(ini::parse_tolerantly(&text, path).0)),
                Ok(text) if self.by_section => {
                    let read = ini::parse_by_section(text.as_bytes(), path, &FOR_ALL)?;
                    Some(Rc::new(read))
                }
                Ok(text) => Some(Rc::new(ini::parse(&text, path)?)),
                Err(error) => {
                    let text = format!(
                        "Error decoding config file '{path}': {}",
                        decoding_error(error.as_bytes(), error.utf8_error())
                    );
                    // jails on whose lines everything is UTF-8 go on
                    let by_section = self.by_section;
                    let read = || ini::parse_by_section(error.as_bytes(), path, &FOR_ALL).ok();
                    let read = by_section.then(read).flatten();
                    let level = match read {
                        Some(_) => Level::Warning,
                        None => Level::Error,
                    };
                    self.messages.add(level, PARSER, text);
                    read.map(Rc::new)
                }
            },
        };
        self.parsed.insert(path.to_owned(), file.clone());
        Ok(file)
    }

    fn tell_loading(&mut self, paths: &[String]) {
        let list = Value::List(paths.iter().map(|path| path.as_str().into()).collect());
        self.messages.add(
            Level::Info,
            PARSER,
            format!("  Loading files: {}", list.repr()),
        );
    }
}

/// Python's words for bytes that are not UTF-8.
fn decoding_error(bytes: &[u8], error: std::str::Utf8Error) -> String {
    let at = error.valid_up_to();
    let length = error.error_len().unwrap_or(bytes.len() - at);
    let reason = match (error.error_len(), bytes.get(at)) {
        (None, _) => "unexpected end of data",
        (Some(_), Some(0xC2..=0xF4)) => "invalid continuation byte",
        (Some(_), _) => "invalid start byte",
    };
    if length == 1 {
        let byte = bytes.get(at).copied().unwrap_or_default();
        format!("'utf-8' codec can't decode byte 0x{byte:02x} in position {at}: {reason}")
    } else {
        let end = at + length - 1;
        format!("'utf-8' codec can't decode bytes in position {at}-{end}: {reason}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::MemoryFiles;
    use super::*;

    fn read(files: &[(&str, &str)], name: &str) -> (Result<Option<String>, String>, Vec<String>) {
        let files = MemoryFiles::new(files);
        let mut layers = Layers::new(&files, "/c").unwrap();
        let value = match layers.read(name) {
            Ok(set) => Ok(set.map(|set| {
                let value = set.get("s", "a", &Vars::default()).unwrap();
                value.unwrap().to_string()
            })),
            Err(cause) => Err(cause.to_string()),
        };
        let messages = layers.messages.0.into_iter();
        let warnings = messages.filter(|message| message.level > Level::Info);
        (value, warnings.map(|message| message.text).collect())
    }

    #[test]
    fn layers_in_order() {
        let all = [
            ("/c/x.conf", "[s]\na=1\n"),
            ("/c/x.d/b.conf", "[s]\na=3\n"),
            ("/c/x.d/a.conf", "[s]\na=2\n"),
            ("/c/x.local", "[s]\na=4\n"),
            ("/c/x.d/z.local", "[s]\na=5\n"),
        ];
        for (count, expected) in [(1, "1"), (2, "3"), (3, "3"), (4, "4"), (5, "5")] {
            let (value, warnings) = read(&all[..count], "x");
            assert_eq!(value, Ok(Some(expected.to_owned())));
            assert_eq!(warnings, Vec::<String>::new());
        }
        assert_eq!(read(&all[3..4], "x").0, Ok(Some("4".to_owned())));
        let (value, warnings) = read(&all, "d/none");
        assert_eq!(value, Ok(None));
        assert_eq!(
            warnings,
            ["Found no accessible config files for 'd/none' under /c"]
        );
    }

    #[test]
    fn includes_surround_their_file() {
        let files = [
            (
                "/c/x.conf",
                "[INCLUDES]\nbefore=b.conf\n  nowhere.conf\nafter=/d/a.conf\n[s]\na=%(b)s %(o)s\no=own\n",
            ),
            (
                "/c/b.conf",
                "[INCLUDES]\nbefore=x.conf\n[s]\nb=before\no=before\n",
            ),
            ("/c/b.local", "[s]\nb=local\n"),
            ("/d/a.conf", "[s]\no=after\n"),
        ];
        assert_eq!(read(&files, "x").0, Ok(Some("local after".to_owned())));
    }

    #[test]
    fn shipped_files_lie_under_a_directory_without_jail_conf() {
        let shipped = [
            ("(shipped)/jail.conf", "[s]\na=%(b)s shipped\nb=-\n"),
            (
                "(shipped)/filter.d/f.conf",
                "[INCLUDES]\nbefore=common.conf\n[s]\na=%(b)s%(c)s\nc=-\n",
            ),
            ("(shipped)/filter.d/common.conf", "[s]\nb=shipped \n"),
        ];
        /// Files of the directory, the set that is read, its option `a`.
        type Case<'c> = (&'c [(&'c str, &'c str)], &'c str, &'c str);
        let cases: [Case<'_>; 8] = [
            (&[("/c/x", "")], "jail", "- shipped"),
            (&[("/c/jail.local", "[s]\nb=own\n")], "jail", "own shipped"),
            (&[("/c/jail.conf", "[s]\na=own\n")], "jail", "own"),
            (&[("/c/jail.conf", "")], "filter.d/f", "shipped-"),
            // of a whole configuration a set with any file is complete
            (
                &[
                    ("/c/jail.conf", ""),
                    ("/c/filter.d/f.local", "[s]\na=own\n"),
                ],
                "filter.d/f",
                "own",
            ),
            (
                &[("/c/filter.d/f.local", "[s]\nc=own\n")],
                "filter.d/f",
                "shippedown",
            ),
            // includes: the directory's own file first, whoever includes it, and its local one
            (
                &[("/c/filter.d/common.conf", "[s]\nb=own \n")],
                "filter.d/f",
                "own-",
            ),
            (
                &[("/c/filter.d/common.local", "[s]\nb=own \n")],
                "filter.d/f",
                "own-",
            ),
        ];
        for (own, name, expected) in cases {
            let (value, warnings) = read(&[&shipped, own].concat(), name);
            assert_eq!(value, Ok(Some(expected.to_owned())), "{own:?} {name}");
            assert_eq!(warnings, Vec::<String>::new());
        }
        let own = ("/c/jail.conf", "");
        let files = MemoryFiles::new(&[&shipped[..], &[own]].concat());
        let mut layers = Layers::new(&files, "/c").unwrap();
        layers.read("jail").unwrap();
        assert_eq!(layers.shipped(), Vec::<String>::new());
        layers.read("filter.d/f").unwrap();
        let expected = [
            "(shipped)/filter.d/common.conf",
            "(shipped)/filter.d/f.conf",
        ];
        assert_eq!(layers.shipped(), expected);
    }

    #[test]
    fn includes_are_bounded() {
        let files: Vec<(String, String)> = (0..40)
            .map(|n| {
                let next = n + 1;
                let text = format!("[INCLUDES]\nbefore=x{next}.conf\n  x{next}.conf\n[s]\na={n}\n");
                (format!("/c/x{n}.conf"), text)
            })
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(p, t)| (p.as_str(), t.as_str()))
            .collect();
        let error = read(&files, "x0").0.unwrap_err();
        assert!(error.starts_with("Too many files included by"), "{error}");
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let files = MemoryFiles::new(&[]);
        let error = Layers::new(&files, "/none/")
            .err()
            .map(|cause| cause.to_string());
        let expected = "Base configuration directory /none does not exist ";
        assert_eq!(error.as_deref(), Some(expected));
    }

    #[test]
    fn decoding_errors_are_pythons() {
        for (bytes, expected) in [
            (&b"a\xff"[..], "byte 0xff in position 1: invalid start byte"),
            (
                b"a\xc3(",
                "byte 0xc3 in position 1: invalid continuation byte",
            ),
            (b"a\xc3", "byte 0xc3 in position 1: unexpected end of data"),
            (b"\xe2\x82", "bytes in position 0-1: unexpected end of data"),
        ] {
            let error = std::str::from_utf8(bytes).unwrap_err();
            let text = decoding_error(bytes, error);
            assert_eq!(text, format!("'utf-8' codec can't decode {expected}"));
        }
    }
}
