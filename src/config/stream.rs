//! Converts all settings and enabled jails to the commands for the server, in order (fact C57).
#![forbid(unsafe_code)]

use super::error::{Appended, Cause, ConfigMessage, ConfigMessages};
use super::files::Files;
use super::globals;
use super::jail::{self, JailConfig, ReadExtent};
use super::layers::Layers;
use super::metrics::{self, Metrics};
use super::settings::{MergedSettings, Options};
use super::shipped;
use super::web::{self, Web};
use super::{Check, CommandStream, ConfigError, EarlyOptions, ReadOptions, Sandbox};
use crate::control::Value;
use crate::log::Level;
use crate::options::OptionRow;
use crate::python::text::quoted;

const TARGET: &str = "fail2ban.jailsreader";

/// `fail2ban.conf` alone; see [`super::read_early`].
///
/// # Errors
/// As there.
pub fn early(files: &dyn Files, base: &str) -> Result<EarlyOptions, ConfigError> {
    with_messages(files, base, |layers| {
        let settings = globals_of(layers)?;
        let options = globals::early(&settings, &mut layers.messages)?;
        let text = |name: &str| {
            let value = options.get(name);
            value
                .map(|value| value.text().into_owned())
                .unwrap_or_default()
        };
        Ok(EarlyOptions {
            socket: text("socket").into(),
            pidfile: text("pidfile").into(),
            loglevel: text("loglevel"),
            logtarget: text("logtarget"),
            syslogsocket: text("syslogsocket"),
            warnings: Vec::new(),
        })
    })
    .map(|(mut early, messages)| {
        early.warnings = messages;
        early
    })
}

/// Of `fail2ban.conf` one option; see [`super::read_database`] and [`super::read_logformat`].
///
/// # Errors
/// As there.
pub fn one(files: &dyn Files, base: &str, row: OptionRow) -> Result<String, ConfigError> {
    let read = |layers: &mut Layers<'_>| {
        let settings = globals_of(layers)?;
        globals::one(&settings, row, &mut layers.messages)
    };
    with_messages(files, base, read).map(|(value, _)| value)
}

/// Of `fail2ban.conf` what the server gives up; see [`super::read_sandbox`].
///
/// # Errors
/// As there.
pub fn sandbox(files: &dyn Files, base: &str) -> Result<Sandbox, ConfigError> {
    let read = |layers: &mut Layers<'_>| {
        let settings = globals_of(layers)?;
        globals::sandbox(&settings, &mut layers.messages)
    };
    with_messages(files, base, read).map(|(sandbox, _)| sandbox)
}

/// Of `fail2ban.conf` what `ferroban web` serves; see [`super::read_metrics`].
///
/// # Errors
/// As there.
pub fn metrics(files: &dyn Files, base: &str) -> Result<Metrics, ConfigError> {
    let read = |layers: &mut Layers<'_>| {
        let settings = globals_of(layers)?;
        metrics::read(&settings, &mut layers.messages)
    };
    with_messages(files, base, read).map(|(metrics, _)| metrics)
}

/// Of `fail2ban.conf` the page and the API of `ferroban web`; see [`super::read_web`].
///
/// # Errors
/// As there.
pub fn web(files: &dyn Files, base: &str) -> Result<Web, ConfigError> {
    let read = |layers: &mut Layers<'_>| {
        let settings = globals_of(layers)?;
        web::read(&settings, &mut layers.messages)
    };
    with_messages(files, base, read).map(|(web, _)| web)
}

/// Of `fail2ban.conf` the fleet; see [`super::read_fleet`].
///
/// # Errors
/// As there.
pub fn fleet(files: &dyn Files, base: &str) -> Result<Vec<(Value, Value)>, ConfigError> {
    members(files, base, globals::fleet)
}

/// Of `fail2ban.conf` the options of `[crowdsec]`; none without the section.
///
/// # Errors
/// As [`fleet`].
pub fn crowdsec(files: &dyn Files, base: &str) -> Result<Vec<(Value, Value)>, ConfigError> {
    members(files, base, globals::crowdsec)
}

fn members(
    files: &dyn Files,
    base: &str,
    of: impl FnOnce(&MergedSettings, &mut ConfigMessages) -> Result<Option<Vec<(Value, Value)>>, Cause>,
) -> Result<Vec<(Value, Value)>, ConfigError> {
    let read = |layers: &mut Layers<'_>| {
        let settings = globals_of(layers)?;
        Ok(of(&settings, &mut layers.messages)?.unwrap_or_default())
    };
    with_messages(files, base, read).map(|(members, _)| members)
}

/// The whole configuration; see [`super::read`].
///
/// # Errors
/// As there.
pub fn all(
    files: &dyn Files,
    base: &str,
    options: &ReadOptions<'_>,
) -> Result<CommandStream, ConfigError> {
    with_messages(files, base, |layers| read_all(layers, options)).map(|(mut stream, messages)| {
        stream.warnings = messages;
        stream
    })
}

fn with_messages<T>(
    files: &dyn Files,
    base: &str,
    read: impl FnOnce(&mut Layers<'_>) -> Result<T, Cause>,
) -> Result<(T, Vec<ConfigMessage>), ConfigError> {
    let mut layers = Layers::new(files, base)?;
    match read(&mut layers) {
        Ok(result) => Ok((result, layers.messages.0)),
        Err(cause) => Err(ConfigError {
            cause,
            messages: layers.messages.0,
        }),
    }
}

fn globals_of(layers: &mut Layers<'_>) -> Result<std::rc::Rc<MergedSettings>, Cause> {
    let settings = layers.read("fail2ban")?;
    settings.ok_or_else(|| Cause::Unreadable("Read fail2ban configuration failed.".to_owned()))
}

fn read_all(layers: &mut Layers<'_>, options: &ReadOptions<'_>) -> Result<CommandStream, Cause> {
    let globals = globals_of(layers)?;
    // The client has read these and told what there was to tell.
    let early = globals::early(&globals, &mut ConfigMessages::default())?;
    let sandbox = globals::sandbox(&globals, &mut ConfigMessages::default())?;
    layers.messages = ConfigMessages::default();
    let jails = layers.read_jails()?;
    let jails =
        jails.ok_or_else(|| Cause::Unreadable("Read jails configuration failed.".to_owned()))?;
    let mut jails = (*jails).clone();
    jail::add_defaults(&mut jails, layers.base());

    let mut commands =
        globals::commands(&globals, overrides(early, options), &mut layers.messages)?;
    check_globals(&commands, &globals, options)?;
    let (mut read, mut accepted) = read_jails(layers, &mut jails, options);
    let mut sound = true;
    for jail in &mut read {
        let files = layers.files();
        let of_jail = jail.commands(files, options.allow_no_files, &mut layers.messages);
        let of_jail = match of_jail {
            Ok(commands) => commands,
            Err(cause) => {
                *jail = JailConfig::refused(&jail.name, cause);
                jail.commands(files, options.allow_no_files, &mut layers.messages)?
            }
        };
        let checked = check_jail(jail, of_jail, &jails, layers, options, sandbox);
        sound &= checked.1;
        commands.extend(checked.0);
    }
    let any_left = || read.iter().any(|jail| jail.error.is_none());
    let spoils = options.strict || options.refuse_faulty || !any_left();
    tell_refusals(&read, spoils, &mut layers.messages)?;
    accepted &= sound || !options.refuse_faulty && any_left();
    let mut skipped = Vec::new();
    for jail in read {
        match jail.error {
            None => {
                let mut start = vec!["start".into(), jail.name.into()];
                if options.patterns {
                    start.extend(jail.patterns.into_iter().map(Value::from));
                }
                commands.push(start);
            }
            Some(reason) => skipped.push((jail.name, reason)),
        }
    }
    let shipped = layers.shipped().into_iter();
    Ok(CommandStream {
        commands,
        skipped,
        shipped: shipped
            .filter_map(|path| shipped::below(&path).map(str::to_owned))
            .collect(),
        warnings: Vec::new(),
        accepted,
    })
}

/// Refuses settings of the server itself that it would refuse: nothing could run then.
fn check_globals(
    commands: &[Vec<Value>],
    settings: &MergedSettings,
    options: &ReadOptions<'_>,
) -> Result<(), Cause> {
    let faults = options.check.map(|check| check.faults(commands));
    let Some(fault) = faults.and_then(|faults| faults.into_iter().next()) else {
        return Ok(());
    };
    let name = commands.get(fault.command).and_then(|words| words.get(1));
    let name = name.and_then(Value::as_str).unwrap_or_default();
    let origin = settings.origin("Definition", name);
    Err(Cause::Setting {
        text: format!("{name}: {}", fault.text),
        place: origin.cloned().map(Into::into),
    })
}

/// The commands of a jail, or why it is left out; and whether the server would take all of them.
fn check_jail(
    jail: &mut JailConfig,
    commands: Vec<Vec<Value>>,
    settings: &MergedSettings,
    layers: &mut Layers<'_>,
    options: &ReadOptions<'_>,
    sandbox: Sandbox,
) -> (Vec<Vec<Value>>, bool) {
    let Some(check) = options.check.filter(|_| jail.error.is_none()) else {
        return (commands, true);
    };
    let mut faults = check.faults(&commands);
    if sandbox == Sandbox::Strict {
        for mut fault in check.confined(&commands) {
            fault.text = format!("Not possible with sandbox = strict: {}", fault.text);
            faults.push(fault);
        }
    }
    let mut error = None;
    for fault in faults {
        let place = jail.place_of(&fault, &commands, settings, layers.files());
        error.get_or_insert_with(|| format!("{}{}", fault.text, Appended(place.as_ref())));
        layers
            .messages
            .add_at(Level::Error, jail::TARGET, fault.text, place);
    }
    let Some(error) = error else {
        for warning in check.warnings(&commands) {
            let place = jail.place_of(&warning, &commands, settings, layers.files());
            layers
                .messages
                .add_at(Level::Warning, jail::TARGET, warning.text, place);
        }
        return (serve(jail, commands, settings, layers, check), true);
    };
    tell_errors(&jail.name, options.refuse_faulty, &mut layers.messages);
    match options.refuse_faulty {
        true => (commands, false),
        false => (jail.drop_faulty(error), false),
    }
}

/// Tells of the jails for which the original gives up everything. Here the others run, unless that
/// `spoils` the result.
///
/// # Errors
/// The first mistake, when it does.
fn tell_refusals(
    jails: &[JailConfig],
    spoils: bool,
    messages: &mut ConfigMessages,
) -> Result<(), Cause> {
    let refused = jails
        .iter()
        .filter_map(|jail| Some((jail, jail.refusal.as_ref()?)));
    // the first is told by who gives up
    for (jail, cause) in refused.clone().skip(usize::from(spoils)) {
        messages.add(Level::Error, jail::TARGET, cause.to_string());
        tell_errors(&jail.name, spoils, messages);
    }
    match refused.map(|(_, cause)| cause).next() {
        Some(cause) if spoils => Err(cause.clone()),
        _ => Ok(()),
    }
}

/// The commands without the options that the jail's actions cannot serve. It is said here, and by the
/// server in its log. Arguments that they do not read are said here.
fn serve(
    jail: &JailConfig,
    mut commands: Vec<Vec<Value>>,
    settings: &MergedSettings,
    layers: &mut Layers<'_>,
    check: &dyn Check,
) -> Vec<Vec<Value>> {
    for (action, argument, place) in jail.unread_arguments(settings, layers.files()) {
        let text = format!(
            "Jail {}: the action {} reads no argument {}, it has no effect",
            quoted(&jail.name),
            quoted(&action),
            quoted(&argument)
        );
        layers
            .messages
            .add_at(Level::Warning, jail::TARGET, text, place);
    }
    let unserved = check.unserved(&commands);
    let mut warnings = Vec::new();
    for (fault, instead) in unserved {
        let place = jail.place_of(&fault, &commands, settings, layers.files());
        let text = format!("Jail {}: {}", quoted(&jail.name), fault.text);
        warnings.push(vec!["config-warning".into(), text.as_str().into()]);
        layers
            .messages
            .add_at(Level::Warning, jail::TARGET, text, place);
        if let Some(command) = commands.get_mut(fault.command) {
            *command = instead;
        }
    }
    commands.extend(warnings);
    commands
}

/// Says that a jail is wrong, and what follows from it.
fn tell_errors(jail: &str, spoils: bool, messages: &mut ConfigMessages) {
    let consequence = if spoils { "" } else { " Skipping..." };
    let text = format!("Errors in jail {}.{consequence}", quoted(jail));
    messages.add(Level::Error, TARGET, text);
}

/// What the command line says, else what the client took from the file (fact G12).
fn overrides(early: Options, options: &ReadOptions<'_>) -> Options {
    let given = options.overrides.iter();
    early
        .into_iter()
        .chain(given.map(|(name, value)| (name.as_str().into(), value.as_str().into())))
        .collect()
}

/// Reads the enabled jails; and whether the result may be used (facts C46, C47).
fn read_jails(
    layers: &mut Layers<'_>,
    settings: &mut MergedSettings,
    options: &ReadOptions<'_>,
) -> (Vec<JailConfig>, bool) {
    let names: Vec<String> = match &options.jail {
        Some(name) => vec![name.clone()],
        None => settings.names().map(|name| name.to_string()).collect(),
    };
    let (mut good, mut bad) = (false, false);
    let mut jails = Vec::new();
    for name in names.iter().filter(|name| *name != "INCLUDES") {
        let extent = ReadExtent {
            force: options.also.contains(name),
            ..ReadExtent::default()
        };
        let jail = match jail::read(layers, settings, name, extent) {
            Ok(Some(jail)) => jail,
            Ok(None) => continue,
            Err(cause) => {
                jails.push(JailConfig::refused(name, cause));
                continue;
            }
        };
        if jail.error.is_none() {
            good = true;
        } else {
            bad = true;
            tell_errors(name, options.strict, &mut layers.messages);
        }
        jails.push(jail);
    }
    (jails, !bad || good && !options.strict)
}

#[cfg(test)]
mod tests {
    use super::super::files::memory::MemoryFiles;
    use super::*;

    /// The files every test has.
    const BASE: [(&str, &str); 5] = [
        (
            "/c/fail2ban.conf",
            "[Definition]\nloglevel=INFO\nlogtarget=/l\ndbmaxmatches=3\n",
        ),
        (
            "/c/jail.conf",
            "[DEFAULT]\nbackend=polling\nfilter=f\naction=a[port=1]\nlogpath=/log\n[ok]\nenabled=1\n",
        ),
        (
            "/c/filter.d/f.conf",
            "[Definition]\nfailregex=^a <HOST>\n  ^b <w>\nmaxlines=2\nusedns=no\n[Init]\nw=W\n",
        ),
        (
            "/c/action.d/a.conf",
            "[Definition]\nactionban=ban <port> <ip> <t>\n[Init]\nt=4\n[Init?family=inet6]\nt=6\n",
        ),
        ("/log", ""),
    ];

    fn read(
        files: &[(&str, &str)],
        options: &ReadOptions<'_>,
    ) -> Result<CommandStream, ConfigError> {
        let files = [&BASE, files].concat();
        all(&MemoryFiles::new(&files), "/c", options)
    }

    fn printed(stream: &CommandStream) -> Vec<String> {
        let commands = stream.commands.iter();
        commands
            .map(|command| crate::control::Value::List(command.clone()).repr())
            .collect()
    }

    fn warnings(stream: &CommandStream) -> Vec<String> {
        let messages = stream.warnings.iter();
        let shown = messages.filter(|message| message.level >= Level::Warning);
        shown.map(ToString::to_string).collect()
    }

    #[test]
    fn memory_set_is_told_last_of_the_server() {
        let files = [("/c/fail2ban.local", "[Definition]\nmemory = 64m\n")];
        let stream = read(&files, &ReadOptions::default()).unwrap();
        let commands = printed(&stream);
        let told = commands
            .iter()
            .position(|line| line == "['set', 'memory', '64m']");
        assert_eq!(commands[told.unwrap() + 1], "['add', 'ok', 'polling']");
    }

    #[test]
    fn commands_in_order() {
        let options = ReadOptions {
            overrides: vec![("loglevel".to_owned(), "DEBUG".to_owned())],
            ..ReadOptions::default()
        };
        let stream = read(
            &[("/c/jail.local", "[ok]\nmaxretry=2\nignoreip=::1, a\n")],
            &options,
        );
        let stream = stream.unwrap();
        assert_eq!(
            printed(&stream),
            [
                "['set', 'syslogsocket', 'auto']",
                "['set', 'loglevel', 'DEBUG']",
                "['set', 'logtarget', '/l']",
                "['set', 'allowipv6', 'auto']",
                "['set', 'dbfile', '/var/lib/fail2ban/fail2ban.sqlite3']",
                "['set', 'dbmaxmatches', 3]",
                "['set', 'dbpurgeage', '1d']",
                "['add', 'ok', 'polling']",
                "['set', 'ok', 'usedns', 'no']",
                "['set', 'ok', 'maxlines', 2]",
                "['multi-set', 'ok', 'addfailregex', ['^a <HOST>', '^b W']]",
                "['set', 'ok', 'maxretry', 2]",
                "['set', 'ok', 'addignoreip', '::1', 'a']",
                "['set', 'ok', 'addlogpath', '/log', 'head']",
                "['set', 'ok', 'addaction', 'a']",
                "['multi-set', 'ok', 'action', 'a', [['actionban', 'ban 1 <ip> <t>'], \
                 ['port', '1'], ['name', 'ok'], ['actname', 'a'], ['t', '4'], \
                 ['t?family=inet6', '6']]]",
                "['start', 'ok']",
            ]
        );
        assert!(stream.accepted);
        assert_eq!(warnings(&stream), Vec::<String>::new());
    }

    #[test]
    fn a_wrong_jail_is_left_out() {
        let files = [("/c/jail.local", "[bad]\nenabled=1\nfilter=none\n")];
        let stream = read(&files, &ReadOptions::default()).unwrap();
        let reason = "Unable to read the filter 'none'";
        assert_eq!(stream.skipped, [("bad".to_owned(), reason.to_owned())]);
        assert!(stream.accepted);
        let printed = printed(&stream);
        assert!(printed.contains(&format!(
            "['config-error', \"Jail 'bad' skipped, because of wrong configuration: {reason}\"]"
        )));
        assert_eq!(printed.last().unwrap(), "['start', 'ok']");
        assert_eq!(
            warnings(&stream),
            [
                "Found no accessible config files for 'filter.d/none' under /c",
                "Unable to read the filter 'none' (/c/jail.local:3: filter=none)",
                "Errors in jail 'bad'. Skipping...",
            ]
        );

        let strict = ReadOptions {
            strict: true,
            ..ReadOptions::default()
        };
        assert!(!read(&files, &strict).unwrap().accepted);
        let only = [("/c/jail.local", "[ok]\nfilter=none\n")];
        assert!(!read(&only, &ReadOptions::default()).unwrap().accepted);
    }

    #[test]
    fn missing_logs() {
        let files = [("/c/jail.local", "[ok]\nlogpath=/none\n")];
        let error = read(&files, &ReadOptions::default()).unwrap_err();
        let text = "Have not found any log file for 'ok' jail. (/c/jail.local:2: /none)";
        assert_eq!(error.to_string(), text);
        let tolerant = ReadOptions {
            allow_no_files: true,
            ..ReadOptions::default()
        };
        assert_eq!(warnings(&read(&files, &tolerant).unwrap()), [text]);
        let skip = [("/c/jail.local", "[ok]\nlogpath=/none\nskip_if_nologs=1\n")];
        let stream = read(&skip, &ReadOptions::default()).unwrap();
        assert_eq!(
            printed(&stream).last().unwrap(),
            "['config-error', \"Jail 'ok' skipped, because of missing log files.\"]"
        );
    }

    #[test]
    fn one_jail() {
        let one = |jail: &str| ReadOptions {
            jail: Some(jail.to_owned()),
            ..ReadOptions::default()
        };
        let files = [("/c/jail.local", "[other]\nenabled=1\n[off]\n")];
        let stream = read(&files, &one("other")).unwrap();
        assert_eq!(printed(&stream).last().unwrap(), "['start', 'other']");
        assert!(!printed(&stream).contains(&"['start', 'ok']".to_owned()));
        assert!(read(&files, &one("off")).unwrap().accepted);
        let error = read(&files, &one("none")).unwrap_err();
        assert_eq!(error.to_string(), "No section: 'none'");
    }

    #[test]
    fn a_filter_without_definition_is_told_once() {
        let files = [
            ("/c/filter.d/n.conf", "[Other]\nx=1\n"),
            (
                "/c/jail.local",
                "[ok]\nfilter=n\n[two]\nenabled=1\nfilter=n\n",
            ),
        ];
        let stream = read(&files, &ReadOptions::default()).unwrap();
        let told = "No section: 'Definition' (/c/filter.d/n.conf:1)";
        assert_eq!(warnings(&stream), [told]);
    }

    #[test]
    fn early_options_need_no_jail() {
        let files = MemoryFiles::new(&[("/c/fail2ban.conf", "[Definition]\nsocket=/s\n")]);
        let early = early(&files, "/c").unwrap();
        assert_eq!(early.socket.to_str(), Some("/s"));
        assert_eq!(early.logtarget, "/var/log/fail2ban.log");
        let error = all(&files, "/c", &ReadOptions::default()).unwrap_err();
        assert_eq!(error.to_string(), "Read jails configuration failed.");
    }
}
