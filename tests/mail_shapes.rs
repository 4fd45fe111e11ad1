//! Which commands of the stock and of the shipped mail actions are carried out natively. A change
//! of a shape, theirs or ours, shows here and not as a slow ban.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::path::Path;

use ferroban::parts::action::JailFigures;
use ferroban::parts::action::plan::Plan;
use ferroban::parts::action::preview::ActionPreview;
use ferroban::parts::action::tags::replace_dynamic;
use ferroban::parts::address::Address;
use ferroban::parts::control::Value;
use ferroban::parts::exec::script::Script;
use ferroban::parts::fields::MatchLine;
use ferroban::parts::mail::{Mail, Reads, Sink};
use ferroban::parts::sys::hosts::HostNames;
use ferroban::parts::ticket::Ticket;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// The stock and the shipped mail actions that are carried out natively, with arguments.
const NATIVE: [(&str, &str); 10] = [
    ("sendmail", ""),
    ("sendmail-whois", ""),
    ("sendmail-whois-lines", ""),
    (
        "sendmail-whois-lines",
        "logpath=\"/var/log/apache2/*error.log\n /var/log/[a-c]?.log\"",
    ),
    ("sendmail-whois-matches", ""),
    ("sendmail-whois-ipmatches", ""),
    ("sendmail-whois-ipjailmatches", ""),
    ("mail", ""),
    ("mail-whois", ""),
    ("mail-whois-lines", "logpath=\"/var/log/*.log\""),
];

/// The script of `actionban` for a ticket with this id and line, as it would be run.
fn script(properties: &[(String, Value)], id: &str, line: &str) -> Script {
    script_of(properties, "actionban", id, line)
}

/// The script of a command likewise.
fn script_of(properties: &[(String, Value)], command: &str, id: &str, line: &str) -> Script {
    let mut action = ActionPreview::new("a1", HostNames::default());
    for (name, value) in properties {
        action.set(name, value).unwrap();
    }
    let mut ticket = Ticket::new(Address::parse(id), 1.0);
    ticket.set_matches(&[MatchLine::Text(line.into())]);
    action
        .plan(command, "j", &ticket, &JailFigures::default())
        .unwrap()
        .script
}

/// The properties of a stock action with these arguments, as the original reads them.
fn stock(name: &str, arguments: &str) -> Vec<(String, Value)> {
    let jail = format!(
        "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {name}[name=j, {arguments}]\n"
    );
    let steps = scenario::stock_actions(&jail, &[]);
    let pairs = steps[1]["words"][4].as_array().unwrap();
    let pair = |pair: &serde_json::Value| {
        let name = pair[0].as_str().unwrap().to_owned();
        (name, scenario::read_value(&pair[1]))
    };
    pairs.iter().map(pair).collect()
}

#[test]
fn stock_actions() {
    let left = [
        "sendmail-geoip-lines",
        "sendmail-buffered",
        "mail-buffered",
        "complain",
    ];
    let left = left.map(|name| (name, "", false));
    let native = NATIVE.map(|(name, arguments)| (name, arguments, true));
    for (name, arguments, native) in native.into_iter().chain(left) {
        let script = script(&stock(name, arguments), "192.0.2.1", "it's $(id)");
        assert_eq!(
            Mail::recognise(&script).is_some(),
            native,
            "{name}: {}",
            script.text
        );
    }
}

/// Pieces of values as somebody would choose who wants more than a line of a mail.
const PIECES: [&str; 20] = [
    "b\\nBcc: evil@example.net\\n\\n.\\n",
    "\nBcc: evil@example.net\n",
    "\r\n.\r\n",
    "\n\n",
    "\n~!id\n",
    "\\c",
    "$(id)",
    "`id`",
    "\"",
    "'",
    "\\",
    " -oQ/tmp ",
    "-h",
    "*",
    "\0",
    "<ip>",
    "<F-USER>",
    "$f2bV_ip",
    "|;&",
    " ",
];

fn evil() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(&PIECES[..]).prop_map(str::to_owned),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// What no value may change: the names of the headers, the arguments in number, and that no line
/// ends the message.
fn frame(script: &Script) -> (Vec<String>, usize) {
    let mail = Mail::recognise(script).unwrap_or_else(|| panic!("{}", script.text));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let text = runtime.block_on(mail.write(&Default::default()));
    let text = String::from_utf8_lossy(&text).replace('\r', "\n");
    assert!(text.lines().all(|line| line != "."), "{text}");
    let Sink::Program { arguments, reads } = mail.sink() else {
        panic!("{mail:?}");
    };
    assert!(
        arguments
            .iter()
            .all(|word| !word.contains(char::is_control)),
        "{arguments:?}"
    );
    let names = match reads {
        Reads::Message => {
            let head = text.split("\n\n").next().unwrap();
            let name = |line: &str| line.split(':').next().unwrap().to_owned();
            head.lines().map(name).collect()
        }
        Reads::Body => {
            assert!(text.lines().all(|line| !line.starts_with('~')), "{text}");
            Vec::new()
        }
    };
    (names, arguments.len())
}

/// A value decides neither the way of a mail nor its headers.
#[test]
fn values_change_neither_way_nor_headers() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = NATIVE.map(|(name, arguments)| (name, shipped(directory, name, arguments)));
    let stock = NATIVE.map(|(name, arguments)| (name, stock(name, arguments)));
    for (name, properties) in own.into_iter().chain(stock) {
        let usual = frame(&script(&properties, "x", "a line"));
        let mut runner = TestRunner::new(Config::with_cases(40));
        let tried = runner.run(&(evil(), evil()), |(id, line)| {
            // no address, so no registry is asked
            let script = script(&properties, &format!("x{id}"), &line);
            prop_assert_eq!(&frame(&script), &usual);
            Ok(())
        });
        tried.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Nor do they in what users write: values of all kinds in all places.
#[test]
fn values_change_nothing_of_what_users_write() {
    for command in [
        "printf %b \"Subject: <ip>: <F-USER>\nTo: root\\n\n<matches>\n`whois <ip> || echo none`\\n\" | sendmail -f <F-USER> root",
        "printf %b 'Subject: <F-USER>\nTo: root\n\n<ip>' | /usr/sbin/sendmail \"<ip>\"",
        "( printf %s \"<matches>\"; logpath=\"/var/log/*.log\"; grep -wF \"<ip>\" $logpath | tail -n 2 ) | mail -s \"<ip> <F-USER>\" root",
        "printf %b <ip> | mail -s <ip> <F-USER>",
    ] {
        let fill = |id: &str, user: &str| {
            let value = |tag: &str| matches!(tag, "ip" | "matches").then(|| id.to_owned());
            replace_dynamic(command, &HostNames::default(), value, |_| {
                Some(user.to_owned())
            })
        };
        let usual = frame(&fill("x", "y"));
        let mut runner = TestRunner::new(Config::with_cases(60));
        let tried = runner.run(&(evil(), evil()), |(id, user)| {
            prop_assert_eq!(&frame(&fill(&format!("x{id}"), &user)), &usual);
            Ok(())
        });
        tried.unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

/// The calls of the firewall's programs have the same words, whatever an id is.
#[test]
fn values_add_no_words_to_calls_of_the_firewall() {
    for command in [
        "iptables -w -I f2b-j 1 -s <fid> -j DROP",
        "ipset -exist add f2b-j <fid> timeout 0",
        "nft add element inet f2b-table addr-set-j { <fid> }",
        "/sbin/ip route add unreachable <fid>",
        "firewall-cmd --zone=drop --add-source=<fid>",
    ] {
        let fill = |id: &str| {
            let value = |tag: &str| (tag == "fid").then(|| id.to_owned());
            replace_dynamic(command, &HostNames::default(), value, |_| None)
        };
        let words = |plan: &Plan| plan.program().unwrap_or_else(|| panic!("{plan:?}"));
        let usual = words(&Plan::of(fill("192.0.2.1")));
        assert_eq!(usual.join(" "), command.replace("<fid>", "192.0.2.1"));
        let mut runner = TestRunner::new(Config::with_cases(200));
        let tried = runner.run(&evil(), |id| {
            let plan = Plan::of(fill(&id));
            let words = words(&plan);
            prop_assert_eq!(words.len(), usual.len());
            let differ = words.iter().zip(&usual).filter(|(a, b)| a != b).count();
            prop_assert!(differ <= 1, "{words:?}");
            if words[0] == "nft" {
                prop_assert!(
                    !words.join(" ").contains([';', '\n', '#', '"']),
                    "{words:?}"
                );
                prop_assert!(
                    words.join(" ").matches(['{', '}']).count() == 2,
                    "{words:?}"
                );
            }
            // what is changed in one go is what one of these words says
            if id.contains(char::is_whitespace) {
                prop_assert_eq!(plan.change(), None);
            }
            Ok(())
        });
        tried.unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

/// What is native of the original's is native of ours.
#[test]
fn shipped_actions() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, arguments) in NATIVE {
        let properties = shipped(directory, name, arguments);
        for command in ["actionstart", "actionban", "actionstop"] {
            let script = script_of(&properties, command, "192.0.2.1", "it's $(id)");
            let native = Mail::recognise(&script).is_some();
            assert!(native, "{name}: {}", script.text);
        }
    }
}

/// The properties of a shipped action, read by our own configuration reader.
fn shipped(directory: &Path, name: &str, arguments: &str) -> Vec<(String, Value)> {
    let base = tempfile::tempdir().unwrap();
    for part in ["action.d", "filter.d", "fail2ban.conf"] {
        std::os::unix::fs::symlink(directory.join(part), base.path().join(part)).unwrap();
    }
    let jail = format!(
        "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {name}[name=j, {arguments}]\n"
    );
    std::fs::write(base.path().join("jail.conf"), jail).unwrap();
    let stream = ferroban::parts::config::read(base.path(), &Default::default()).unwrap();
    let words = stream
        .commands
        .iter()
        .find(|words| {
            words.first() == Some(&Value::from("multi-set"))
                && words.get(2) == Some(&Value::from("action"))
        })
        .unwrap();
    words[4]
        .as_slice()
        .unwrap()
        .iter()
        .map(|pair| {
            let pair = pair.as_slice().unwrap();
            (pair[0].as_str().unwrap().to_owned(), pair[1].clone())
        })
        .collect()
}
