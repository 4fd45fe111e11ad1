//! `ferroban notify test [-c DIR] [--jail JAIL] NAME`: sends one message as an action would that tells a web
//! service of bans, and says what the server answered. No server of ours is asked.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Arg, ArgMatches, Command};

use super::actions::{self, ListedAction};
use super::{directory, ended, help, printable, refused, say};
use crate::action::JailFigures;
use crate::action::plan::Work;
use crate::action::preview::ActionPreview;
use crate::address::Address;
use crate::clock;
use crate::exec::shell;
use crate::fields::MatchLine;
use crate::notice::Notice;
use crate::notice::message::Message;
use crate::notice::post;
use crate::sys::hosts::HostNames;
use crate::ticket::{BanTime, Ticket};

/// An address that nobody has.
const EXAMPLE: &str = "192.0.2.1";

/// In the place of the lines that led to a ban.
const LINE: &str = "This is a test by ferroban notify. Nobody is banned.";

/// Runs the program; the first word is the name it was called under.
pub fn main(words: Vec<OsString>) -> ExitCode {
    match command().try_get_matches_from(words) {
        Ok(matches) => ended("notify", run(&matches)),
        Err(error) => refused(&error),
    }
}

/// The options, for clap.
pub(super) fn command() -> Command {
    let test = Command::new("test")
        .about("send one message as this action would")
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .required(true)
                .help("the action"),
        );
    let command = Command::new("ferroban notify")
        .about("Sends one message as an action for a web service would, and prints the answer.")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(test)
        .arg(directory::option().global(true))
        .arg(
            Arg::new("jail")
                .long("jail")
                .value_name("JAIL")
                .global(true)
                .help("the jail whose action it is, enabled or not [default: the first enabled one that has it]"),
        );
    help::formed(
        command,
        &[
            (
                "test whether messages arrive",
                "ferroban notify test telegram",
            ),
            (
                "those of one jail",
                "ferroban notify test ntfy --jail recidive",
            ),
        ],
    )
}

fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let directory = directory::chosen(matches);
    let Some(("test", matches)) = matches.subcommand() else {
        bail!("see ferroban notify --help");
    };
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    let jail = matches.get_one::<String>("jail");
    let wanted: Vec<String> = jail.into_iter().cloned().collect();
    let configuration = actions::read("notify", directory, &wanted)?;
    let mut seen = Vec::new();
    for jail in configuration.jails {
        if !wanted.is_empty() && !wanted.contains(&jail.name) {
            continue;
        }
        for action in jail.actions {
            if action.name() == name {
                return test(&jail.name, action);
            }
            if let ListedAction::Commands(mut action) = action
                && let Ok(Work::Notice(_)) = ban(&jail.name, &mut action)
            {
                seen.push(format!("{} of jail {}", action.name, jail.name));
            }
        }
    }
    let where_to = match jail {
        Some(jail) => format!("jail {jail} has"),
        None => "the enabled jails have".to_owned(),
    };
    let others = match seen.is_empty() {
        true => "none that sends messages".to_owned(),
        false => format!("those that send messages are {}", seen.join(", ")),
    };
    bail!("{where_to} no action {name}; {others} (docs/notices.md)")
}

/// What a ban does that nobody has earned.
fn ban(jail: &str, action: &mut ActionPreview) -> anyhow::Result<Work> {
    let mut ticket = Ticket::new(Address::parse(EXAMPLE), clock::now());
    ticket.failures = 1;
    ticket.bancount = 1;
    ticket.bantime = Some(BanTime::Seconds(600.0));
    ticket.set_matches(&[MatchLine::Text(LINE.into())]);
    let figures = JailFigures::default();
    Ok(action.plan("actionban", jail, &ticket, &figures)?.work)
}

fn test(jail: &str, action: ListedAction) -> anyhow::Result<()> {
    let ListedAction::Commands(mut action) = action else {
        bail!(
            "action {} of jail {jail} is written in Python",
            action.name()
        );
    };
    action.set_names(HostNames::of_this_machine());
    let work = ban(jail, &mut action)?;
    let name = format!("action {} of jail {jail}", action.name);
    let notice = match work {
        Work::Notice(notice) => notice.with_context(|| name.clone())?,
        work => bail!("{name} sends no message to a web service; its actionban is: {work}"),
    };
    let answer = send(&notice, &action).with_context(|| format!("{name}: not sent"))?;
    say(&printable(&format!(
        "{name}: sent, the server answers {answer}"
    )));
    Ok(())
}

/// Sends the message, once; answers what the server says.
fn send(notice: &Notice, action: &ActionPreview) -> anyhow::Result<String> {
    let (message, _) = Message::of(&[&notice.event], notice.limit, notice.json);
    let client = notice.request.client()?;
    let time = shell::limit(&action.timeout());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let sent = post::send(&client, &notice.request, &message, time);
    Ok(post::answer(&runtime.block_on(sent)?))
}
