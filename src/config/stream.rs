//! All settings and enabled jails → the commands for the server, in order (fact C57).
#![forbid(unsafe_code)]

use super::error::{Cause, Message, Messages};
use super::files::Files;
use super::globals;
use super::jail::{self, Extent};
use super::layers::Layers;
use super::settings::{Options, Settings};
use super::text::quoted;
use super::{ConfigError, EarlyOptions, ReadOptions, Stream};
use crate::log::Level;

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

/// The whole configuration; see [`super::read`].
///
/// # Errors
/// As there.
pub fn all(files: &dyn Files, base: &str, options: &ReadOptions) -> Result<Stream, ConfigError> {
    with_messages(files, base, |layers| read_all(layers, options)).map(|(mut stream, messages)| {
        stream.warnings = messages;
        stream
    })
}

fn with_messages<T>(
    files: &dyn Files,
    base: &str,
    read: impl FnOnce(&mut Layers<'_>) -> Result<T, Cause>,
) -> Result<(T, Vec<Message>), ConfigError> {
    let mut layers = Layers::new(files, base)?;
    match read(&mut layers) {
        Ok(result) => Ok((result, layers.messages.0)),
        Err(cause) => Err(ConfigError {
            cause,
            messages: layers.messages.0,
        }),
    }
}

fn globals_of(layers: &mut Layers<'_>) -> Result<std::rc::Rc<Settings>, Cause> {
    let settings = layers.read("fail2ban")?;
    settings.ok_or_else(|| Cause::Unreadable("Read fail2ban configuration failed.".to_owned()))
}

fn read_all(layers: &mut Layers<'_>, options: &ReadOptions) -> Result<Stream, Cause> {
    let globals = globals_of(layers)?;
    // The client has read these and told what there was to tell.
    let early = globals::early(&globals, &mut Messages::default())?;
    layers.messages = Messages::default();
    let jails = layers.read("jail")?;
    let jails =
        jails.ok_or_else(|| Cause::Unreadable("Read jails configuration failed.".to_owned()))?;
    let mut jails = (*jails).clone();
    jail::add_defaults(&mut jails, layers.base());

    let mut commands =
        globals::commands(&globals, overrides(early, options), &mut layers.messages)?;
    let (mut read, accepted) = read_jails(layers, &mut jails, options)?;
    for jail in &mut read {
        let files = layers.files();
        commands.extend(jail.commands(files, options.allow_no_files, &mut layers.messages)?);
    }
    let mut skipped = Vec::new();
    for jail in read {
        match jail.error {
            None => commands.push(vec!["start".into(), jail.name.into()]),
            Some(reason) => skipped.push((jail.name, reason)),
        }
    }
    Ok(Stream {
        commands,
        skipped,
        warnings: Vec::new(),
        accepted,
    })
}

/// What the command line says, else what the client took from the file (fact G12).
fn overrides(early: Options, options: &ReadOptions) -> Options {
    let given = options.overrides.iter();
    early
        .into_iter()
        .chain(given.map(|(name, value)| (name.as_str().into(), value.as_str().into())))
        .collect()
}

/// Reads the enabled jails; and whether the result may be used (facts C46, C47).
fn read_jails(
    layers: &mut Layers<'_>,
    settings: &mut Settings,
    options: &ReadOptions,
) -> Result<(Vec<jail::Jail>, bool), Cause> {
    let names: Vec<String> = match &options.jail {
        Some(name) => vec![name.clone()],
        None => settings.names().map(|name| name.to_string()).collect(),
    };
    let (mut good, mut bad) = (false, false);
    let mut jails = Vec::new();
    for name in names.iter().filter(|name| *name != "INCLUDES") {
        let Some(jail) = jail::read(layers, settings, name, Extent::default())? else {
            continue;
        };
        if jail.error.is_none() {
            good = true;
        } else {
            bad = true;
            let consequence = if options.strict { "" } else { " Skipping..." };
            let text = format!("Errors in jail {}.{consequence}", quoted(name));
            layers.messages.add(Level::Error, TARGET, text);
        }
        jails.push(jail);
    }
    Ok((jails, !bad || good && !options.strict))
}
