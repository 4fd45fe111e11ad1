//! Resolves the REGEX argument of `fail2ban-regex`: a jail, a filter, the file of a filter, or otherwise a
//! regex (facts X3, X4).
#![forbid(unsafe_code)]

use indexmap::IndexMap;

use super::error::{Cause, ConfigMessage};
use super::files::{Files, join, split, stem};
use super::filter::{FilterConfig, FilterOptions};
use super::jail::{self, JailConfig, ReadExtent};
use super::layers::Layers;
use super::options;
use super::settings::{Options, Setting};
use super::shipped;
use crate::control::Value;
use crate::python::text::is_word;

/// The jail filters belong to that are read without one.
const NO_JAIL: &str = "fail2ban-regex-jail";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterOrigin {
    /// A jail, with its filter and the filter options it sets.
    Jail(String),
    /// A filter of a configuration directory, with its layers.
    Filter {
        /// Its name without extension.
        name: String,
        /// The directory above `filter.d`.
        base: String,
    },
    /// A file elsewhere, with its includes; the path as it was given.
    File(String),
}

/// A filter that can be run.
#[derive(Clone, Debug)]
pub struct FoundFilter {
    /// Where it comes from.
    pub place: FilterOrigin,
    /// Its arguments in brackets.
    pub arguments: IndexMap<String, String>,
    /// What it consists of.
    pub options: FilterOptions,
    /// `logtype`, `datepattern` and the options named by arguments or in `[Init]`, with their final
    /// values.
    pub real: Vec<(String, Value)>,
    /// What the operator should hear.
    pub messages: Vec<ConfigMessage>,
}

/// Why it cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Arguments that are none, or a jail file that cannot be read: the text after
    /// `ERROR: Wrong filter name or options: `.
    #[error("{0}")]
    Name(String),
    /// A filter file that cannot be read.
    #[error("{}", .reason.as_deref().unwrap_or_default())]
    File {
        /// Where it is.
        place: FilterOrigin,
        /// The text after `Wrong config file: `, if any.
        reason: Option<String>,
    },
    /// A jail that cannot be used (its mistake).
    #[error("{0}")]
    Jail(String),
    /// Options that cannot be combined.
    #[error("{reason}")]
    Options {
        /// Where it is.
        place: FilterOrigin,
        /// Its arguments in brackets.
        arguments: Box<IndexMap<String, String>>,
        /// What is wrong.
        reason: String,
    },
}

/// Looks `text` up in the configuration below `base`; `None` when it names nothing there.
/// `backend` decides the log type (`systemd…` for a journal).
///
/// # Errors
/// It names something that cannot be used.
pub fn lookup(
    files: &dyn Files,
    base: &str,
    text: &str,
    backend: &str,
) -> Result<Option<FoundFilter>, LookupError> {
    if !looks_like_a_name(text) {
        return Ok(None);
    }
    if base.is_empty() {
        let reason = "Base configuration directory  does not exist ";
        return Err(LookupError::Name(reason.to_owned()));
    }
    let definition = options::parse(text).map_err(LookupError::Name)?;
    let (name, arguments) = (definition.name, definition.arguments);
    if !names_a_file(&name) {
        let found = find_jail(files, base, &name, &arguments, backend)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    find_filter(files, base, &name, arguments, backend)
}

/// One or more letters, digits, `_ - . /`, at the beginning of a line, then nothing or brackets.
fn looks_like_a_name(text: &str) -> bool {
    let mut begin = 0;
    loop {
        let line = &text[begin..];
        let length = line
            .find(|c: char| !(is_word(c) || matches!(c, '-' | '.' | '/')))
            .unwrap_or(line.len());
        let rest = &line[length..];
        let named = length > 0
            && (rest.is_empty()
                || rest.starts_with('\n')
                || rest.starts_with('[') && (rest.ends_with(']') || rest.contains("]\n")));
        if named {
            return true;
        }
        match line.find('\n') {
            Some(end) => begin += end + 1,
            None => return false,
        }
    }
}

fn names_a_file(name: &str) -> bool {
    name.contains('/') || name.ends_with(".conf") || name.ends_with(".local")
}

/// Whether it ends in something like an extension: a dot among the last six characters.
fn has_extension(name: &str) -> bool {
    name.chars().rev().take(6).any(|c| c == '.')
}

fn arguments_of(arguments: &IndexMap<String, String>) -> Options {
    let arguments = arguments.iter();
    arguments
        .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
        .collect()
}

fn find_jail(
    files: &dyn Files,
    base: &str,
    name: &str,
    arguments: &IndexMap<String, String>,
    backend: &str,
) -> Result<Option<FoundFilter>, LookupError> {
    let wrong = |cause: Cause| LookupError::Name(cause.to_string());
    let broken = |cause: Cause| LookupError::Options {
        place: FilterOrigin::Jail(name.to_owned()),
        arguments: Box::new(arguments.clone()),
        reason: cause.to_string(),
    };
    let mut layers = Layers::new(files, base).map_err(wrong)?;
    let Some(settings) = layers.read_jails().map_err(wrong)? else {
        return Ok(None);
    };
    if settings.section(name).is_none() {
        return Ok(None);
    }
    let mut settings = (*settings).clone();
    jail::add_defaults(&mut settings, layers.base());
    let mut more = arguments_of(arguments);
    more.insert("backend".into(), backend.into());
    let extent = ReadExtent {
        force: true,
        arguments: Some(&more),
        ..ReadExtent::default()
    };
    let jail = jail::read(&mut layers, &mut settings, name, extent).map_err(broken)?;
    let mut jail = jail.unwrap_or_default();
    if let Some(error) = &jail.error {
        return Err(LookupError::Jail(error.clone()));
    }
    let real = real_options(&mut jail, &more, &mut layers).map_err(broken)?;
    let commands = jail
        .commands(files, true, &mut layers.messages)
        .map_err(broken)?;
    Ok(Some(FoundFilter {
        place: FilterOrigin::Jail(name.to_owned()),
        arguments: arguments.clone(),
        options: FilterOptions::from_commands(&commands),
        real,
        messages: layers.messages.0,
    }))
}

fn real_options(
    jail: &mut JailConfig,
    arguments: &Options,
    layers: &mut Layers<'_>,
) -> Result<Vec<(String, Value)>, Cause> {
    let mut options = jail.options.clone();
    if let Some(filter) = &mut jail.filter {
        options.extend(filter.combined(&mut layers.messages)?);
    }
    real_of(jail.filter.as_ref(), &options, arguments)
}

/// Values of `logtype`, `datepattern` and the arguments as the filter has them; without a filter, what
/// the jail says of them.
fn real_of(
    filter: Option<&FilterConfig>,
    combined: &Options,
    arguments: &Options,
) -> Result<Vec<(String, Value)>, Cause> {
    let names = ["logtype", "datepattern"].into_iter();
    let mut real: IndexMap<String, Value> = IndexMap::new();
    for name in names.chain(arguments.keys().map(|name| &**name)) {
        let value = match combined.get(name) {
            Some(value) => Some(value.clone()),
            None => match filter {
                Some(filter) => filter.definition_option(name)?,
                None => Some(Setting::Nothing),
            },
        };
        real.extend(value.map(|value| (name.to_owned(), Value::from(&value))));
    }
    Ok(real.into_iter().collect())
}

fn find_filter(
    files: &dyn Files,
    config: &str,
    name: &str,
    arguments: IndexMap<String, String>,
    backend: &str,
) -> Result<Option<FoundFilter>, LookupError> {
    let Some(mut base) = base_of_filter(files, config, name) else {
        return Ok(None);
    };
    let in_filter_d = split(&base).1 == "filter.d";
    let layered = base == config || in_filter_d || (!has_extension(name) && !name.contains('/'));
    if layered && in_filter_d {
        base = split(&base).0.to_owned();
    }
    let short = stem(split(name).1).to_owned();
    let place = match layered {
        true => FilterOrigin::Filter {
            name: short.clone(),
            base: base.clone(),
        },
        false => FilterOrigin::File(name.to_owned()),
    };
    let unusable = |reason| LookupError::File {
        place: place.clone(),
        reason,
    };
    let unreadable = |cause: Cause| unusable(Some(cause.to_string()));
    let options = arguments_of(&arguments);
    let (filter, mut layers);
    if layered {
        layers = Layers::new(files, &base).map_err(unreadable)?;
        filter = FilterConfig::open(&mut layers, &short, NO_JAIL, options.clone());
    } else {
        layers = Layers::new(files, "/").map_err(unreadable)?;
        let path = absolute(name);
        filter = FilterConfig::open_file(&mut layers, &path, NO_JAIL, options.clone());
    }
    let filter = filter.map_err(unreadable)?;
    let mut filter = filter.ok_or_else(|| unusable(None))?;
    let broken = |cause: Cause| LookupError::Options {
        place: place.clone(),
        arguments: Box::new(arguments.clone()),
        reason: cause.to_string(),
    };
    let messages = &mut layers.messages;
    filter.set_backend(backend);
    filter
        .read(&Options::default(), false, messages)
        .map_err(broken)?;
    let combined = filter.combined(messages).map_err(broken)?;
    // arguments, and what stands in [Init]
    let real = real_of(Some(&filter), &combined, filter.arguments()).map_err(broken)?;
    let commands = filter.commands(messages).map_err(broken)?;
    Ok(Some(FoundFilter {
        place,
        arguments,
        options: FilterOptions::from_commands(&commands),
        real,
        messages: layers.messages.0,
    }))
}

/// The directory the filter's file was found under: that of the configuration, `filter.d`
/// itself, or wherever the path leads.
fn base_of_filter(files: &dyn Files, config: &str, name: &str) -> Option<String> {
    let mut names = vec![name.to_owned()];
    if !has_extension(name) {
        names.extend([format!("{name}.conf"), format!("{name}.local")]);
    }
    let mut base = config.to_owned();
    for name in names {
        let file = if split(&name).0 == "filter.d" {
            join(&base, &name)
        } else if !name.contains('/') {
            if split(&base).1 == "filter.d" {
                join(&base, &name)
            } else {
                join(&join(&base, "filter.d"), &name)
            }
        } else {
            split(&name).0.clone_into(&mut base);
            name
        };
        if files.is_file(&file) || shipped::instead_of(files, config, &file).is_some() {
            return Some(base);
        }
    }
    None
}

/// The path from the root; one that cannot be found stays as it is.
fn absolute(path: &str) -> String {
    let absolute = std::path::absolute(path).ok();
    absolute
        .and_then(|path| path.to_str().map(str::to_owned))
        .unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::MemoryFiles;
    use super::*;

    fn files() -> MemoryFiles {
        MemoryFiles::new(&[
            ("/c/jail.conf", "[j]\nfilter=f[p=1]\nbackend=polling\n"),
            (
                "/c/filter.d/f.conf",
                "[Definition]\nfailregex=<p> <logtype>\n[Init]\np=0\n",
            ),
            ("/c/filter.d/f.local", "[Definition]\nmaxlines=3\n"),
            ("/x/g.conf", "[Definition]\nfailregex=g\n"),
        ])
    }

    #[test]
    fn places() {
        for (text, backend, place, failregex, maxlines) in [
            (
                "j",
                "auto",
                FilterOrigin::Jail("j".to_owned()),
                "1 file",
                Some(3),
            ),
            (
                "j[p=2]",
                "systemd",
                FilterOrigin::Jail("j".to_owned()),
                "2 journal",
                Some(3),
            ),
            ("f", "auto", filter("f"), "0 file", Some(3)),
            ("f.conf[p=3]", "auto", filter("f"), "3 file", Some(3)),
            ("filter.d/f.conf", "auto", filter("f"), "0 file", Some(3)),
            ("/c/filter.d/f.conf", "auto", filter("f"), "0 file", Some(3)),
            (
                "/x/g.conf",
                "auto",
                FilterOrigin::File("/x/g.conf".to_owned()),
                "g",
                None,
            ),
        ] {
            let found = lookup(&files(), "/c", text, backend).unwrap().unwrap();
            assert_eq!(found.place, place, "{text}");
            assert_eq!(found.options.failregex, [failregex], "{text}");
            assert_eq!(found.options.maxlines, maxlines, "{text}");
        }
        for text in ["nofilter", "^a <HOST>", "a b", "/x/none.conf", ""] {
            assert!(
                lookup(&files(), "/c", text, "auto").unwrap().is_none(),
                "{text}"
            );
        }
    }

    fn filter(name: &str) -> FilterOrigin {
        FilterOrigin::Filter {
            name: name.to_owned(),
            base: "/c".to_owned(),
        }
    }

    #[test]
    fn shipped_filters_are_found() {
        let mut files = files();
        for (name, regex) in [("f", "ours"), ("s", "shipped")] {
            let text = format!("[Definition]\nfailregex={regex}\n");
            files
                .0
                .insert(format!("(shipped)/filter.d/{name}.conf"), text);
        }
        for (text, expected) in [
            ("f", "0 file"),
            ("s", "shipped"),
            ("s.conf", "shipped"),
            ("filter.d/s.conf", "shipped"),
            ("/c/filter.d/s.conf", "shipped"),
        ] {
            let found = lookup(&files, "/c", text, "auto").unwrap().unwrap();
            assert_eq!(found.options.failregex, [expected], "{text}");
        }
        assert!(lookup(&files, "/c", "/x/s.conf", "auto").unwrap().is_none());
    }

    #[test]
    fn errors() {
        let name = |base: &str, text: &str| lookup(&files(), base, text, "auto").unwrap_err();
        let expected = "expected option, wrong syntax at 0: b";
        assert_eq!(name("/c", "f[b]"), LookupError::Name(expected.to_owned()));
        let expected = "Base configuration directory /none does not exist ";
        assert_eq!(name("/none", "f"), LookupError::Name(expected.to_owned()));
    }
}
