//! A jail or a filter that takes lines, with all that is asked about them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};

use super::ExplainRun;
use super::answer::{self, LineAnswer};
use super::arguments::ExplainArguments;
use super::near::Near;
use super::places::LinePlaces;
use crate::cli::replay;
use crate::cli::replay::jails::{LeftOut, ReplayJails, ReplaySource, Replayed};
use crate::config::files::Files as _;
use crate::config::filter::FilterOptions;
use crate::config::lookup::FilterOrigin;
use crate::config::shipped::Shipped;
use crate::config::{self, ConfigMessage};
use crate::control::{JailSetting, Value};
use crate::filter::{Filter, Trace, Tracer};
use crate::jail::interface_addresses;
use crate::jail::replay::{LineKind, ReplayJail};
use crate::lint;
use crate::log::Level;
use crate::pattern::{FailRegex, RegexChange, UseDns, repair};
use crate::ticket::Timestamp;

/// Who takes lines.
pub struct LineJudge {
    /// The name of the jail; `None`: a filter.
    pub name: Option<String>,
    /// The jail, or one around the filter.
    pub jail: ReplayJail,
    /// What it reads.
    pub source: ReplaySource,
    /// Where its settings were written.
    pub places: LinePlaces,
    tracer: Tracer,
    near: Near,
    not_asked: Vec<String>,
    ignored: Vec<String>,
    config: String,
    /// The filter by its name, if it has modes.
    moody: Option<String>,
    modes: Option<Vec<(&'static str, ReplayJail)>>,
}

/// Modes that filters have, those first that count least.
const MODES: [&str; 8] = [
    "normal",
    "more",
    "auth",
    "rbl",
    "ddos",
    "extra",
    "errors",
    "aggressive",
];

/// A jail with what it reads itself.
pub struct JailInput {
    /// The jail.
    pub judge: LineJudge,
    /// Logs that are missing, and why.
    pub missing: Vec<(String, String)>,
}

/// What came of a line.
pub struct LineResult<'a> {
    /// Its way.
    pub explanation: ExplainRun<'a>,
    /// Why it counts, or does not.
    pub answer: LineAnswer,
}

impl LineJudge {
    /// The jails that are asked for lines that are given: the one that was named, or else all that are
    /// enabled.
    ///
    /// # Errors
    /// There is none that can be used.
    pub fn of_jails(arguments: &ExplainArguments) -> anyhow::Result<Vec<LineJudge>> {
        // it does not matter whether they have logs of their own
        let logs = vec!["-".to_owned()];
        let jails = read(arguments, arguments.jail.as_deref(), logs)?;
        let mut judges = Vec::new();
        for replayed in jails.jails {
            judges.push(LineJudge::of_replayed(arguments, replayed)?);
        }
        if judges.is_empty() {
            return Err(none(arguments, jails.left_out.first()));
        }
        for missing in jails.left_out {
            eprintln!("ferroban explain: {missing}");
        }
        Ok(judges)
    }

    /// A jail with what it reads itself.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn own(arguments: &ExplainArguments, name: &str) -> anyhow::Result<JailInput> {
        let mut jails = read(arguments, Some(name), Vec::new())?;
        let Some(replayed) = jails.jails.pop() else {
            match jails.left_out.first() {
                Some(left_out) => bail!("{}", left_out.why),
                None => bail!("it is not made"),
            }
        };
        Ok(JailInput {
            judge: LineJudge::of_replayed(arguments, replayed)?,
            missing: missing(&jails.left_out, name),
        })
    }

    /// The jail that was named, or all that are enabled, with what they read themselves.
    ///
    /// # Errors
    /// There is none that can be used.
    pub fn all_own(arguments: &ExplainArguments) -> anyhow::Result<Vec<JailInput>> {
        let jails = read(arguments, arguments.jail.as_deref(), Vec::new())?;
        if jails.jails.is_empty() {
            return Err(none(arguments, jails.left_out.first()));
        }
        let mut own = Vec::new();
        for replayed in jails.jails {
            let missing = missing(&jails.left_out, &replayed.name);
            let judge = LineJudge::of_replayed(arguments, replayed)?;
            own.push(JailInput { judge, missing });
        }
        Ok(own)
    }

    fn of_replayed(arguments: &ExplainArguments, replayed: Replayed) -> anyhow::Result<LineJudge> {
        let Replayed {
            name, jail, source, ..
        } = replayed;
        let places = LinePlaces::of_jail(&arguments.config, &name);
        LineJudge::new(arguments, Some(name), jail, source, places)
    }

    /// A filter of the configuration with its options, or a failregex as it stands.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn of_filter(arguments: &ExplainArguments, name: &str) -> anyhow::Result<LineJudge> {
        let jail = filter_of(&arguments.config, name)?;
        let source = ReplaySource::Files(Vec::new());
        LineJudge::new(arguments, None, jail, source, LinePlaces::default())
    }

    fn new(
        arguments: &ExplainArguments,
        name: Option<String>,
        mut jail: ReplayJail,
        source: ReplaySource,
        places: LinePlaces,
    ) -> anyhow::Result<LineJudge> {
        let settings = [
            ("datepattern", &arguments.datepattern),
            ("logencoding", &arguments.encoding),
        ];
        for (option, value) in settings {
            if let Some(value) = value {
                let setting = JailSetting::set(option, Value::from(value.as_str()));
                let done = jail.apply(&setting);
                done.with_context(|| format!("{option} {value}"))?;
            }
        }
        if jail.core_mut().ignores_self() {
            let own = interface_addresses();
            jail.core_mut().know_own_addresses(Arc::new(own));
        }
        let ignored = match jail.core_mut().option("ignoreip") {
            Some(Value::List(words)) => words.iter().map(|word| word.str().into_owned()).collect(),
            _ => Vec::new(),
        };
        let named = arguments.filter.as_deref().or(places.filter());
        let plain = named.and_then(|filter| filter.split('[').next());
        let moody = plain.filter(|_| name.is_none() || places.has_modes());
        Ok(LineJudge {
            config: arguments.config.clone(),
            moody: moody.filter(|name| !name.contains('<')).map(str::to_owned),
            modes: None,
            tracer: Tracer::new(jail.filter_mut()),
            near: Near::default(),
            not_asked: jail.not_asked(),
            name,
            jail,
            source,
            places,
            ignored,
        })
    }

    /// The rule that ignores an id, with the place where it was written.
    pub fn rule(&self, by: &str, id: &str) -> String {
        answer::rule(&self.places, &self.ignored, by, id)
    }

    /// Takes a line.
    pub fn tell<'a>(&'a mut self, line: &'a str, present: Timestamp) -> LineResult<'a> {
        let seen = self.jail.line(line, present, &mut Vec::new());
        let mut trace = self.tracer.trace(self.jail.filter_mut(), line, present);
        if seen == LineKind::Foreign {
            trace = Trace::default();
        }
        let findtime = self.jail.core_mut().find_time();
        let explanation = ExplainRun {
            line,
            seen,
            trace,
            judged: self.name.is_some().then(|| self.jail.judged()),
            found: self.jail.judged(),
            filter: self.jail.filter(),
            not_asked: &self.not_asked,
            jail: self.name.as_deref(),
            places: &self.places,
            ignored: &self.ignored,
            findtime,
            present,
        };
        let mut answer = answer::of(&explanation, &mut self.near);
        if explanation.seen == LineKind::Foreign {
            answer = answer::of_message(&explanation, answer);
        }
        let is_failure = !explanation.found.is_empty() || explanation.trace.ignored_by().is_some();
        if !answer.counts
            && !is_failure
            && explanation.seen != LineKind::Foreign
            && let Some(filter) = &self.moody
        {
            let modes = self
                .modes
                .get_or_insert_with(|| modes(&self.config, filter, explanation.filter));
            let text = explanation.trace.text.as_str();
            let mode = modes.iter_mut().find_map(|(mode, jail)| {
                jail.line(text, present, &mut Vec::new());
                (!jail.judged().is_empty()).then_some(mode)
            });
            if let Some(mode) = mode {
                answer = answer::of_mode(&explanation, mode);
            }
        }
        LineResult {
            explanation,
            answer,
        }
    }
}

/// Reads jails; with logs that are named it does not matter that their own are missing.
fn read(
    arguments: &ExplainArguments,
    jail: Option<&str>,
    logs: Vec<String>,
) -> anyhow::Result<ReplayJails> {
    replay::jails::read(&replay::arguments::ReplayArguments {
        config: arguments.config.clone(),
        jails: jail.into_iter().map(str::to_owned).collect(),
        logs,
        commands: false,
        json: false,
        verbose: false,
    })
}

/// Why no jail can be used.
fn none(arguments: &ExplainArguments, left_out: Option<&LeftOut>) -> anyhow::Error {
    match (left_out, &arguments.jail) {
        (Some(left_out), _) => {
            anyhow!("jail '{}' cannot be used: {}", left_out.jail, left_out.why)
        }
        (None, Some(name)) => anyhow!("no jail '{name}'"),
        (None, None) => anyhow!(
            "no jail is enabled in {}; name one with --jail",
            arguments.config
        ),
    }
}

fn missing(left_out: &[LeftOut], jail: &str) -> Vec<(String, String)> {
    let own = left_out.iter().filter(|left_out| left_out.jail == jail);
    own.filter_map(|left_out| Some((left_out.what.clone()?, left_out.why.clone())))
        .collect()
}

fn filter_of(config: &str, name: &str) -> anyhow::Result<ReplayJail> {
    let found = match config::find_filter(Path::new(config), name, "auto") {
        Ok(found) => found,
        Err(error) => match error.to_string() {
            why if why.is_empty() => bail!("filter '{name}' cannot be read"),
            why => bail!("filter '{name}': {why}"),
        },
    };
    let (options, place) = match found {
        Some(found) => {
            // of a jail they are about its logs and actions, which nobody asks for
            let told = |message: &&ConfigMessage| {
                message.level >= Level::Warning && !matches!(found.place, FilterOrigin::Jail(_))
            };
            for message in found.messages.iter().filter(told) {
                eprintln!("ferroban explain: {message}");
            }
            (found.options, shown_place(&found.place))
        }
        // whom it is about is named by a tag or a group
        None if !name.contains('<') => {
            let directory = format!("{config}/filter.d");
            let (files, _) = Shipped.names(&directory);
            let filters = files.iter().filter_map(|file| file.strip_suffix(".conf"));
            let plain = name.split('[').next().unwrap_or(name);
            let meant = lint::hint(lint::nearest(plain, filters, 2));
            bail!(
                "there is no filter '{name}' in {directory}, and no <HOST> in it as in a failregex{meant}"
            );
        }
        None => {
            let options = FilterOptions {
                failregex: vec![name.to_owned()],
                ..FilterOptions::default()
            };
            (options, "the failregex".to_owned())
        }
    };
    if options.failregex.is_empty() {
        bail!("{place} has no failregex");
    }
    for source in &options.failregex {
        if FailRegex::new(source, UseDns::Warn, false).is_err()
            && let Some(RegexChange::Plain { at, sign, .. } | RegexChange::AllPlain { at, sign }) =
                repair(source)
        {
            let column = source.get(..at).unwrap_or_default().chars().count() + 1;
            bail!(
                "{place}: the {sign} at character {column} of the failregex is special in a regex, and makes it none; write \\{sign} for the character: {source}"
            );
        }
    }
    let mut jail = ReplayJail::new("filter");
    let set =
        |option: &str, value: Option<Value>| value.map(|value| JailSetting::set(option, value));
    let settings = [
        set("prefregex", options.prefregex.map(Value::from)),
        set("maxlines", options.maxlines.map(Value::from)),
        set("datepattern", options.datepattern.map(Value::from)),
        set("jsonmatch", options.jsonmatch.map(Value::from)),
        Some(JailSetting::AddFailRegex(options.failregex)),
        Some(JailSetting::AddIgnoreRegex(options.ignoreregex)),
    ];
    for setting in settings.into_iter().flatten() {
        let done = jail.apply(&setting);
        done.with_context(|| place.clone())?;
    }
    Ok(jail)
}

/// The modes that a filter has, without the one that is `present`.
fn modes(config: &str, filter: &str, present: &Filter) -> Vec<(&'static str, ReplayJail)> {
    let sources = |filter: &Filter| -> Vec<String> {
        let regexes = filter.prefregex().into_iter().chain(filter.failregexes());
        regexes.map(|regex| regex.source().to_owned()).collect()
    };
    let own = sources(present);
    let made = MODES.iter().filter_map(|mode| {
        let jail = filter_of(config, &format!("{filter}[mode={mode}]")).ok()?;
        (sources(jail.filter()) != own).then_some((*mode, jail))
    });
    made.collect()
}

/// Where a filter was found, for messages.
fn shown_place(place: &FilterOrigin) -> String {
    match place {
        FilterOrigin::Jail(name) => format!("the filter of jail '{name}'"),
        FilterOrigin::Filter { name, base } => format!("{base}/filter.d/{name}.conf"),
        FilterOrigin::File(path) => path.clone(),
    }
}
