//! `ferroban fleet`: the fleet as this host sees it, by way of its server; orders of administrators, straight
//! to the engine; and what is needed to begin.

mod begin;
mod check;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::Value as Json;

use super::{directory, help, printable, say};
use crate::address::Address;
use crate::config;
use crate::control::client::ControlClient;
use crate::control::print::json;
use crate::datetime::duration;
use crate::fleet::engine::{Engine, EngineConnection};
use crate::fleet::entry::{EntryKind, FleetEntry, is_host};
use crate::fleet::failure;
use crate::fleet::settings::{ADMIN, FleetSettings};
use crate::fleet::signing::Signer;
use crate::fleet::{Millis, Ulids};

/// How long to wait for the server.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an address is not banned by others whose ban was lifted.
const RESPITE: &str = "10m";

/// Runs the program; the first word is the name it was called under.
pub fn main(args: Vec<OsString>) -> ExitCode {
    match command().try_get_matches_from(args) {
        Ok(matches) => super::ended("fleet", run(&matches)),
        Err(error) => super::refused(&error),
    }
}

/// The options, for clap.
pub fn command() -> Command {
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .global(true)
            .help(help)
    };
    let file = |name: &'static str, help: &'static str| {
        value(name, "FILE", help).value_parser(value_parser!(PathBuf))
    };
    let sub = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let about = |name: &'static str, what: &'static str, about: &'static str| {
        sub(name, about).arg(Arg::new("what").value_name(what).required(true))
    };
    let command = Command::new("ferroban fleet")
        .about(
            "Shows the hosts that share bans with this one, and controls all of them; commands that change something need administrator rights at the engine.",
        )
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(sub(
            "init",
            "print what engine and host need, with a new password",
        ))
        .subcommand(sub("status", "show the hosts, and how far behind they are"))
        .subcommand(sub("bans", "show bans by host, with their ends"))
        .subcommand(about(
            "unban",
            "ADDRESS",
            "lift every ban of an address or network on all hosts",
        ))
        .subcommand(about(
            "allow",
            "ADDRESS",
            "exempt an address or network from bans by other hosts",
        ))
        .subcommand(about("disallow", "ADDRESS", "end an exemption"))
        .subcommand(
            about(
                "forget",
                "HOST",
                "lift the bans of a host, and ignore it from now on",
            )
            .arg(
                Arg::new("undo")
                    .long("undo")
                    .action(ArgAction::SetTrue)
                    .help("listen to it again"),
            ),
        )
        .subcommand(sub(
            "doctor",
            "check engine, rights, clock and keys",
        ))
        .subcommand(about(
            "keygen",
            "FILE",
            "create a signing key, and print its public part",
        ))
        .arg(directory::option().global(true))
        .arg(
            file(
                "socket",
                "control socket of the server [default: that of the configuration]",
            )
            .short('s'),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .global(true)
                .help("one JSON value, for status and bans"),
        )
        .arg(value(
            "url",
            "URL",
            "engine, with the user to be there [default: that of [fleet]]",
        ))
        .arg(file(
            "passwordfile",
            "file with the password of that user [default: that of [fleet]]",
        ))
        .arg(value("name", "NAME", "fleet [default: that of [fleet]]"))
        .arg(value(
            "host",
            "HOST",
            "host, for init and keygen [default: this one]",
        ))
        .arg(value(
            "time",
            "TIME",
            "how long it is not banned by others, for unban (10m) and allow (for good)",
        ))
        .arg(value("comment", "TEXT", "why, for allow"))
        .arg(file(
            "signkey",
            "key of administrators, where entries are signed",
        ))
        .after_help("Exits with 255 when the server or the engine does not do it.");
    help::formed(
        command,
        &[
            (
                "what a new host needs",
                "ferroban fleet init --url redis://10.0.0.5",
            ),
            ("show the hosts", "ferroban fleet status"),
            (
                "a mistake, on all hosts",
                "ferroban fleet unban 192.0.2.1 --url redis://admin@10.0.0.5",
            ),
        ],
    )
}

fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let (word, matches) = matches.subcommand().context("no command")?;
    let what = || {
        let what = matches.get_one::<String>("what");
        what.map(String::as_str).unwrap_or_default()
    };
    match word {
        "init" => begin::init(matches),
        "keygen" => begin::keygen(matches, Path::new(what())),
        "status" | "bans" => show(matches, word),
        "doctor" => check::doctor(matches),
        "forget" if matches.get_flag("undo") => order(matches, EntryKind::Remember, what()),
        "forget" => order(matches, EntryKind::Forget, what()),
        "allow" => order(matches, EntryKind::Allow, what()),
        "disallow" => order(matches, EntryKind::Disallow, what()),
        _ => order(matches, EntryKind::Unban, what()),
    }
}

fn text<'m>(matches: &'m ArgMatches, name: &str) -> Option<&'m str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// The section of the configuration, with what the command line says otherwise.
fn settings(matches: &ArgMatches) -> anyhow::Result<FleetSettings> {
    let mut options = config::read_fleet(Path::new(directory::chosen(matches)))?;
    let url = text(matches, "url").map(str::to_owned);
    let password = matches.get_one::<PathBuf>("passwordfile");
    let password = password.map(|path| path.display().to_string());
    if url.is_some() {
        // a password of the host is not that of another user
        options.retain(|(name, _)| name.as_str() != Some("passwordfile"));
    }
    for (name, given) in [
        ("url", url),
        ("passwordfile", password),
        ("name", text(matches, "name").map(str::to_owned)),
        ("host", text(matches, "host").map(str::to_owned)),
    ] {
        if let Some(given) = given {
            options.retain(|(known, _)| known.as_str() != Some(name));
            options.push((name.into(), given.into()));
        }
    }
    let settings = FleetSettings::read(&options)?;
    settings.context(
        "there is no fleet: fail2ban.conf has no section [fleet] with a url, and --url is missing",
    )
}

/// Runs what waits for the engine.
fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

async fn connect(settings: &FleetSettings) -> anyhow::Result<EngineConnection> {
    let engine = Engine::new(settings)?;
    let connected = engine.connect(failure::PATIENCE[0]).await;
    connected.with_context(|| format!("cannot connect to {}", shown(settings)))
}

fn shown(settings: &FleetSettings) -> String {
    crate::fleet::without_secret(&settings.url)
}

/// Gives an order to all hosts.
fn order(matches: &ArgMatches, kind: EntryKind, target: &str) -> anyhow::Result<()> {
    let target = match kind {
        EntryKind::Forget | EntryKind::Remember if is_host(target) => target.to_owned(),
        EntryKind::Forget | EntryKind::Remember => bail!("invalid host name {target}"),
        _ => match Address::parse_ip(target) {
            Some(address) => address.to_string(),
            None => bail!("{target} is neither an address nor a network"),
        },
    };
    let time = text(matches, "time").or((kind == EntryKind::Unban).then_some(RESPITE));
    let time = time.map(|text| match duration::parse(text) {
        Ok(time) if time.as_f64() >= 0.0 => Ok((time.as_f64() * 1000.0) as i64),
        _ => Err(anyhow!("--time: invalid time {text}")),
    });
    let time = time.transpose()?;
    let settings = settings(matches)?;
    let signer = matches.get_one::<PathBuf>("signkey").map(|path| {
        let key = std::fs::read_to_string(path);
        let key = key.with_context(|| format!("cannot read {}", path.display()))?;
        Ok::<_, anyhow::Error>(Signer::read(&key)?)
    });
    let signer = signer.transpose()?;
    wait(async {
        let mut engine = connect(&settings).await?;
        let now = engine.time().await?;
        // no time at all: banned again at once
        let until = time
            .filter(|time| *time > 0)
            .map(|time| Millis(now.0 + time));
        let mut entry = FleetEntry::order(kind, &target, now, until);
        entry.id = Ulids::default().next(now);
        if let Some(signer) = signer {
            signer.sign(&mut entry, &settings.fleet, ADMIN);
        }
        let comment = text(matches, "comment").unwrap_or_default();
        match engine.order(&entry, comment).await {
            Err(error) if error.is_refusal() => bail!(
                "the engine refuses: this needs the rights of an administrator (--url with that user, \
                 --passwordfile)"
            ),
            done => Ok(done?),
        }
    })?;
    say(&match kind {
        EntryKind::Unban => format!(
            "{target} is no longer banned on any host of {}",
            settings.fleet
        ),
        EntryKind::Allow => format!("{target} is not banned by the word of another host"),
        EntryKind::Disallow => format!("{target} may be banned again"),
        EntryKind::Forget => {
            format!("{target} is forgotten. At the engine its user goes by: ACL DELUSER {target}")
        }
        EntryKind::Ban | EntryKind::Renewed | EntryKind::Remember => {
            format!("{target} is listened to again")
        }
    });
    Ok(())
}

/// Shows what the server knows.
fn show(matches: &ArgMatches, word: &str) -> anyhow::Result<()> {
    let answer = ask(matches, word)?;
    if matches.get_flag("json") {
        say(&answer.to_string());
        return Ok(());
    }
    match word {
        "bans" => {
            for ban in answer.as_array().into_iter().flatten() {
                let text = |name: &str| ban[name].as_str().unwrap_or_default();
                let until = ban["until"].as_f64().unwrap_or(f64::INFINITY);
                let until = crate::jail::decision::local_time(until);
                let (jail, id, host) = (text("jail"), text("id"), text("host"));
                say(&printable(&format!(
                    "{jail}\t{id}\tby {host}\tuntil {until}"
                )));
            }
        }
        _ => {
            for line in lines(&answer) {
                say(&printable(&line));
            }
        }
    }
    Ok(())
}

fn ask(matches: &ArgMatches, word: &str) -> anyhow::Result<Json> {
    let socket = match matches.get_one::<PathBuf>("socket") {
        Some(socket) => socket.clone(),
        None => config::read_early(Path::new(directory::chosen(matches)))?.socket,
    };
    let client = ControlClient::connect(&socket, Some(PATIENCE));
    let mut client =
        client.map_err(|error| anyhow!("no server answers at {}: {error}", socket.display()))?;
    match client.ask(&["fleet".into(), word.into()]) {
        Ok(Ok(answer)) => Ok(json::value(&answer)),
        Ok(Err(refusal)) => bail!("{refusal}"),
        Err(error) => bail!("{error}"),
    }
}

/// The state in lines.
fn lines(status: &Json) -> Vec<String> {
    let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
    let number = |name: &str| status[name].as_i64().unwrap_or(0);
    let state = match &status["connected"] {
        Json::Null => format!("not connected: {}", text("error")),
        since => {
            let since = crate::jail::decision::local_time(since.as_f64().unwrap_or(0.0));
            format!("connected since {since}")
        }
    };
    let mut lines = vec![
        format!(
            "Fleet {}, host {}, engine {}",
            text("fleet"),
            text("host"),
            text("engine")
        ),
        state,
        format!(
            "Bans of this host: {}; sent: {}; waiting: {}; dropped: {}; allowed targets: {}",
            number("bans"),
            number("sent"),
            number("waiting"),
            number("dropped"),
            number("allowed")
        ),
    ];
    for host in status["hosts"].as_array().into_iter().flatten() {
        let number = |name: &str| host[name].as_f64().unwrap_or(0.0);
        lines.push(format!(
            "{}: {} bans, seen {:.0} s ago, {:.2} s behind, {} refused{}",
            host["host"].as_str().unwrap_or_default(),
            number("bans"),
            number("seen").max(0.0),
            number("lag"),
            number("refused"),
            match host["muted"].as_bool() {
                Some(true) => ", MUTED",
                _ => "",
            }
        ));
    }
    lines
}
