//! The command line of `fail2ban-regex`, read as Python's optparse reads it: options anywhere,
//! unambiguous prefixes, exit code 2 for what is no option (facts X8, X20).

use std::ffi::OsString;

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::flags::{command, help};
use crate::config::shipped;
use crate::{COMPATIBLE_VERSION, VERSION};

/// Everything that was asked for.
#[derive(Clone, Debug)]
pub(super) struct RegexOptions {
    pub(super) log: String,
    /// More logs to read, after `log`.
    pub(super) also: Vec<String>,
    pub(super) regex: String,
    pub(super) ignoreregex: Option<String>,
    pub(super) config: String,
    pub(super) datepattern: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) raw: bool,
    pub(super) usedns: Option<String>,
    pub(super) maxlines: Option<i64>,
    pub(super) journalmatch: Option<String>,
    pub(super) log_level: String,
    pub(super) verbose: u32,
    pub(super) verbose_date: bool,
    pub(super) debuggex: bool,
    pub(super) check_all: bool,
    pub(super) out: Option<String>,
    pub(super) invert: bool,
    pub(super) no_missed: bool,
    pub(super) no_ignored: bool,
    pub(super) all_matched: bool,
    pub(super) all_missed: bool,
    pub(super) all_ignored: bool,
    pub(super) json: bool,
}

impl RegexOptions {
    /// Whether the report is text that grows while the run goes on.
    pub(super) fn tells(&self) -> bool {
        self.out.is_none() && !self.json
    }
}

/// What came of the command line.
pub(super) enum Parsed {
    /// Do this.
    Options(Box<RegexOptions>),
    /// Only say this: help, version or what is wrong.
    Answer {
        /// For standard output.
        out: String,
        /// For standard error.
        err: String,
        /// Exit code.
        code: u8,
    },
}

/// Reads the command line.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Parsed {
    let mut args = args.into_iter();
    let program = args.next().map_or("fail2ban-regex".to_owned(), |p| {
        p.to_string_lossy().into_owned()
    });
    let usage = format!("Usage: {program} [OPTIONS] <LOG> <REGEX> [IGNOREREGEX]\n");
    let wrong = |message: String| Parsed::Answer {
        out: String::new(),
        err: format!("{usage}\nfail2ban-regex: error: {message}\n"),
        code: 2,
    };
    let words: Vec<String> = args.map(|a| a.to_string_lossy().into_owned()).collect();
    let named = std::iter::once(&program).chain(&words);
    let matches = match command().try_get_matches_from(named) {
        Ok(matches) => matches,
        Err(error) => return wrong(complaint(&error, words.last().map_or("", String::as_str))),
    };
    let say = |out: String| Parsed::Answer {
        out,
        err: String::new(),
        code: 0,
    };
    if matches.get_count("help") > 0 {
        return say(format!("{usage}{}", help(&program)));
    }
    let version = |text: String| Parsed::Answer {
        out: text,
        err: format!("Ferroban {VERSION}\n"),
        code: 0,
    };
    if matches.get_count("short_version") > 0 {
        return version(format!("{COMPATIBLE_VERSION}\n"));
    }
    if matches.get_count("version") > 0 {
        return version(format!("fail2ban-regex {COMPATIBLE_VERSION}\n"));
    }
    let options = match collect(&matches) {
        Ok(options) => options,
        Err(message) => return wrong(message),
    };
    let mut errors = Vec::new();
    for (all, none, word) in [
        (options.all_missed, options.no_missed, "missed"),
        (options.all_ignored, options.no_ignored, "ignored"),
    ] {
        if all && none {
            errors.push(format!(
                "ERROR: --print-no-{word} and --print-all-{word} are mutually exclusive."
            ));
        }
    }
    if !(2..=3).contains(&operands(&matches).len()) {
        errors.push("ERROR: provide both <LOG> and <REGEX>.".to_owned());
    }
    if errors.is_empty() {
        return Parsed::Options(Box::new(options));
    }
    Parsed::Answer {
        out: format!("{usage}{}", help(&program)),
        err: format!("\n{}\n", errors.join("\n")),
        code: super::WRONG,
    }
}

fn operands(matches: &ArgMatches) -> Vec<String> {
    let operands = matches.get_many::<String>("operands");
    operands.map_or(Vec::new(), |o| o.cloned().collect())
}

fn collect(matches: &ArgMatches) -> Result<RegexOptions, String> {
    let text = |id: &str| {
        matches
            .get_many::<String>(id)
            .and_then(|mut v| v.next_back())
            .cloned()
    };
    let flag = |id: &str| matches.get_count(id) > 0;
    let integer = |id: &str, shown: &str| match text(id) {
        None => Ok(None),
        Some(value) => match value.trim().parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!(
                "option {shown}: invalid integer value: {}",
                crate::filter::quote(&value)
            )),
        },
    };
    let verbosity = integer("verbosity", "--verbosity")?;
    // each -v counts up from the last --verbosity before it
    let last = matches
        .indices_of("verbosity")
        .and_then(|mut i| i.next_back());
    let counted = matches
        .indices_of("verbose")
        .map_or(0, |all| all.filter(|i| Some(*i) > last).count() as i64);
    let mut operands = operands(matches).into_iter();
    Ok(RegexOptions {
        log: operands.next().unwrap_or_default(),
        also: matches
            .get_many::<String>("also")
            .map_or(Vec::new(), |logs| logs.cloned().collect()),
        regex: operands.next().unwrap_or_default(),
        ignoreregex: operands.next(),
        config: text("config").unwrap_or_else(|| shipped::default_dir().to_owned()),
        datepattern: text("datepattern").filter(|p| !p.is_empty()),
        timezone: text("timezone"),
        encoding: text("encoding"),
        raw: flag("raw"),
        usedns: text("usedns"),
        maxlines: integer("maxlines", "-L")?,
        journalmatch: text("journalmatch"),
        log_level: text("log_level").unwrap_or_else(|| "critical".to_owned()),
        verbose: u32::try_from(verbosity.unwrap_or(0) + counted).unwrap_or(0),
        verbose_date: flag("verbose_date"),
        debuggex: flag("debuggex"),
        check_all: !flag("no_check_all"),
        out: text("out").filter(|o| !o.is_empty()),
        invert: flag("invert"),
        no_missed: flag("no_missed"),
        no_ignored: flag("no_ignored"),
        all_matched: flag("all_matched"),
        all_missed: flag("all_missed"),
        all_ignored: flag("all_ignored"),
        json: flag("json"),
    })
}

/// What optparse would say; `last` is the last word, the only one that can lack its argument.
fn complaint(error: &clap::Error, last: &str) -> String {
    let arg = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(arg)) => arg.clone(),
        Some(ContextValue::Strings(args)) => args.first().cloned().unwrap_or_default(),
        _ => String::new(),
    };
    // clap shows options with their values: `--config <config>`
    let name = arg.split([' ', '=']).next().unwrap_or_default();
    let name = name.trim_end_matches('.');
    match error.kind() {
        ErrorKind::UnknownArgument => format!("no such option: {name}"),
        ErrorKind::InvalidValue => match last.chars().next_back() {
            Some(short) if !last.starts_with("--") => {
                format!("-{short} option requires 1 argument")
            }
            _ => format!("{name} option requires 1 argument"),
        },
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues => {
            format!("{name} option does not take a value")
        }
        _ => format!("no such option: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Parsed {
        parse(
            std::iter::once("fail2ban-regex")
                .chain(line.split(' '))
                .map(OsString::from),
        )
    }

    fn options(line: &str) -> RegexOptions {
        match read(line) {
            Parsed::Options(options) => *options,
            Parsed::Answer { err, .. } => panic!("{line}: {err}"),
        }
    }

    #[test]
    fn options_may_stand_anywhere() {
        let o = options("-vc /x LOG --print-all-mat RE -L -5 --TZ UTC -v IGN --verbose-d");
        assert_eq!(
            (o.log.as_str(), o.regex.as_str(), o.ignoreregex.as_deref()),
            ("LOG", "RE", Some("IGN"))
        );
        assert_eq!(
            (o.verbose, o.config.as_str(), o.maxlines),
            (2, "/x", Some(-5))
        );
        assert!(o.all_matched && o.verbose_date && !o.all_missed);
        assert_eq!(o.timezone.as_deref(), Some("UTC"));
    }

    #[test]
    fn verbosity_counts_on_from_the_last_level() {
        for (line, level) in [
            ("-v a b", 1),
            ("-v --verbosity 0 a b", 0),
            ("--verbosity=2 -vv a b", 4),
            ("a b", 0),
        ] {
            assert_eq!(options(line).verbose, level, "{line}");
        }
    }

    #[test]
    fn complaints() {
        for (line, exit, text) in [
            ("--nope a b", 2, "no such option: --nope"),
            ("-q a b", 2, "no such option: -q"),
            ("a b -c", 2, "-c option requires 1 argument"),
            ("-L x a b", 2, "option -L: invalid integer value: 'x'"),
            ("--raw=1 a b", 2, "--raw option does not take a value"),
            ("a", 255, "ERROR: provide both <LOG> and <REGEX>."),
            ("a b c d", 255, "ERROR: provide both <LOG> and <REGEX>."),
            (
                "--print-no-missed --print-all-missed a b",
                255,
                "mutually exclusive.",
            ),
        ] {
            match read(line) {
                Parsed::Answer { err, code, .. } => {
                    assert_eq!(code, exit, "{line}: {err}");
                    assert!(err.trim_end().ends_with(text), "{line}: {err}");
                }
                Parsed::Options(_) => panic!("{line} was accepted"),
            }
        }
    }
}
