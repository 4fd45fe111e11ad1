//! Commands to the server, as words or as the pickles they travel in: read, carried out by a jail
//! without a task and by a whole server, and their answers printed.
//!
//! An input that begins like a pickle is what a connection brings. Any other is text: a line per
//! command, words between TABs. A word `#…` is no text: `#12`, `#1.5`, `#None`, `#True`, `#False`,
//! or `#[a,b` for a list of texts. The command `line` is none: it gives the jail a line of a log.
//!
//! The server gets only what stays inside this process: no programs, files, names to look up.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ferroban::parts::address::Address;
use ferroban::parts::control::listener::HandlerResponse;
use ferroban::parts::control::print::{self, Charset};
use ferroban::parts::control::wire::{CLOSE, FrameBuffer};
use ferroban::parts::control::{
    Command, CommandError, JailCommand, JailSetting, Reply, Value, pickle,
};
use ferroban::parts::jail::core::PriorBans;
use ferroban::parts::jail::replay::ReplayJail;
use ferroban::parts::server::Server;
use ferroban::parts::server::logging::Logging;
use ferroban::parts::store::BanHistory;
use ferroban::parts::ticket::{BanTime, Ticket};

/// No command may take longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Commands of one input that are carried out.
const MOST: usize = 64;

type Words = Vec<Value>;

pub fn run(data: &[u8]) {
    let commands: Vec<Words> = match data.first() {
        Some(0x80) => received(data),
        _ => String::from_utf8_lossy(data).lines().map(written).collect(),
    };
    let commands = &commands[..commands.len().min(MOST)];
    in_jail(commands);
    in_server(commands);
}

/// The requests among the messages of a connection.
fn received(data: &[u8]) -> Vec<Words> {
    let mut frames = FrameBuffer::default();
    frames.push(data);
    let mut requests = Vec::new();
    while let Ok(Some(message)) = frames.next_message() {
        if message == CLOSE {
            break;
        }
        if let Ok(Value::List(words) | Value::Tuple(words)) = pickle::decode(message) {
            requests.push(words);
        }
    }
    requests
}

fn written(line: &str) -> Words {
    line.split('\t').map(word).collect()
}

fn word(text: &str) -> Value {
    let Some(special) = text.strip_prefix('#') else {
        return text.into();
    };
    match special {
        "None" => Value::None,
        "True" => true.into(),
        "False" => false.into(),
        _ => {
            if let Some(list) = special.strip_prefix('[') {
                return Value::List(list.split(',').map(word).collect());
            }
            let number = special.parse().map(Value::Int);
            number.unwrap_or_else(|_| special.parse().map_or(text.into(), Value::Float))
        }
    }
}

/// Settings, bans and lines of a jail that is only values.
fn in_jail(commands: &[Words]) {
    let mut jail = ReplayJail::new("jail");
    let past = PriorBans {
        here: Some(BanHistory {
            bancount: 3,
            timeofban: super::NOW - 1000.0,
            bantime: BanTime::Seconds(600.0),
        }),
        everywhere: None,
    };
    for words in commands {
        if let [Value::Str(name), Value::Str(line)] = words.as_slice()
            && name == "line"
        {
            jail.line(line, super::NOW, &mut Vec::new());
            continue;
        }
        let reply = match Command::parse(words) {
            Err(error) => Err(error),
            Ok(Command::Jail { command, .. }) => jail_command(&mut jail, command, &past),
            Ok(_) => continue,
        };
        show(words, &reply);
    }
}

fn jail_command(jail: &mut ReplayJail, command: JailCommand, past: &PriorBans) -> Reply {
    let core = jail.core_mut();
    let mut decisions = Vec::new();
    let reply = match command {
        JailCommand::Status { flavour } => {
            Ok(core.status(&flavour, ("File list", Value::List(Vec::new())), super::NOW))
        }
        JailCommand::Get(option) => Ok(core.get(&option).unwrap_or(Value::None)),
        JailCommand::Set(JailSetting::Attempt(words)) => {
            if let Some((id, lines)) = words.split_first() {
                decisions = core.attempt(&Address::parse(id), lines, past, super::NOW);
            }
            Ok(Value::None)
        }
        JailCommand::Set(JailSetting::BanIp(ban)) => {
            for id in ban.ids {
                let ticket = Ticket::new(Address::parse(&id), super::NOW);
                core.ban(ticket, past, super::NOW, &mut decisions);
            }
            Ok(Value::None)
        }
        JailCommand::Set(setting) => jail.apply(&setting).map(|()| Value::None),
    };
    for decision in &decisions {
        let _ = decision.log_line("jail", false, &mut Default::default());
    }
    reply
}

/// A server of its own for the commands that stay inside.
fn in_server(commands: &[Words]) {
    static LOGGING: OnceLock<Arc<Logging>> = OnceLock::new();
    let inside = |words: &&Words| Command::parse(words).is_ok_and(|command| stays_inside(&command));
    let mut commands: VecDeque<Words> = commands.iter().filter(inside).cloned().collect();
    if commands.is_empty() {
        return;
    }
    commands.push_back(vec!["status".into(), "--all".into()]);
    commands.push_back(vec!["stop".into(), "--all".into()]);
    commands.push_back(vec!["status".into()]);
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let logging = LOGGING.get_or_init(|| Arc::new(Logging::new(0).expect("a thread")));
        let server = Server::new(Arc::clone(logging), false);
        let mut last = Ok(Value::None);
        for words in commands {
            let answer = tokio::time::timeout(PATIENCE, Arc::clone(&server).request(words.clone()));
            let answer = answer
                .await
                .unwrap_or_else(|_| panic!("{words:?} takes too long"));
            if let HandlerResponse::Reply(reply) = answer {
                last = reply;
            }
            show(&words, &last);
        }
        let text = last.expect("a status").repr();
        assert!(text.contains("('Number of jail', 0)"), "{text}");
    });
}

/// Whether a command touches nothing outside of this process.
fn stays_inside(command: &Command) -> bool {
    let all_inside = |stream: &[Value]| {
        stream.len() <= MOST
            && stream
                .iter()
                .all(|command| match Command::from_value(command) {
                    // a stream in a stream is not needed
                    Ok(Command::Reload { .. } | Command::ServerStream(_)) => false,
                    Ok(command) => stays_inside(&command),
                    Err(_) => true,
                })
    };
    let known = |id: &String| !matches!(Address::parse(id), Address::Raw(_));
    match command {
        Command::Stop { keep: _ } => false,
        Command::Sleep(seconds) => *seconds <= 0.0,
        Command::Reload { stream, .. } | Command::ServerStream(stream) => all_inside(stream),
        Command::Unban(ids) => ids.iter().all(known),
        Command::Set {
            option: "logtarget" | "syslogsocket" | "dbfile",
            ..
        } => false,
        Command::Jail {
            command: JailCommand::Set(setting),
            ..
        } => match setting {
            JailSetting::Set { option, .. } if option == "ignorecommand" => false,
            JailSetting::AddLogPath { .. }
            | JailSetting::Attempt(_)
            | JailSetting::CallAction { .. } => false,
            JailSetting::AddAction { python, .. } => python.is_none(),
            JailSetting::Action { properties, .. } => properties
                .iter()
                .all(|(name, _)| !name.starts_with("action")),
            JailSetting::AddIgnoreIp(words) => words.iter().all(known),
            JailSetting::UnbanIp { ids, .. } => ids.iter().all(known),
            _ => true,
        },
        _ => true,
    }
}

/// Prints an answer, after it went over the wire.
fn show(words: &[Value], reply: &Reply) {
    let reply: Result<Value, CommandError> =
        pickle::decode_reply(&pickle::encode_reply(reply)).expect("our own reply");
    match &reply {
        Ok(value) => drop(print::reply(words, value, Charset::Unicode)),
        Err(error) => drop((print::failure(error), error.repr())),
    }
}
