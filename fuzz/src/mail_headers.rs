//! Values from log lines in the headers and the body of a mail: no value adds a header, none adds
//! a line of its own where a mail program would read a command.
//!
//! Parts of the input are the values of two tags.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ferroban::parts::action::tags::replace_dynamic;
use ferroban::parts::mail::Mail;
use ferroban::parts::sys::hosts::HostNames;

/// A mail as action files spell it.
const COMMAND: &str = "printf %b \"Subject: [Fail2Ban] <ip> banned\nFrom: f2b <f2b@host.example>\nTo: root\\n\nBanned <ip>.\n<matches>\n\" | /usr/sbin/sendmail -f \"f2b@host.example\" \"root\"";
/// Names of the headers that mail has.
const HEADERS: [&str; 3] = ["subject:", "from:", "to:"];

pub fn run(data: &[u8]) {
    let mut texts = super::texts(data);
    let ip = texts.next().unwrap_or_default();
    let matches = texts.next().unwrap_or_default();
    let value = |tag: &str| match tag {
        "ip" => Some(ip.to_string()),
        "matches" => Some(matches.to_string()),
        _ => None,
    };
    let script = replace_dynamic(COMMAND, &HostNames::default(), value, |_| None);
    let mail = Mail::recognise(&script).expect("a mail");
    let letter = written(&mail);
    let letter = String::from_utf8_lossy(&letter).replace("\r\n", "\n");
    let (head, _) = letter.split_once("\n\n").unwrap_or((&letter, ""));
    for line in head.split(['\n', '\r']) {
        let line = line.to_lowercase();
        let known = HEADERS.iter().any(|name| line.starts_with(name));
        assert!(
            known || !line.starts_with(|c: char| !c.is_whitespace()) || is_added(&line),
            "{line:?} in {head:?}"
        );
    }
}

/// Headers the writer adds itself.
fn is_added(line: &str) -> bool {
    [
        "date:",
        "message-id:",
        "mime-version:",
        "content-type:",
        "content-transfer-encoding:",
        "auto-submitted:",
    ]
    .iter()
    .any(|name| line.starts_with(name))
}

/// The letter; it waits for nothing, since nobody is asked.
fn written(mail: &Mail) -> Vec<u8> {
    let whois = Default::default();
    let letter = pin!(mail.write(&whois));
    match letter.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(letter) => letter,
        Poll::Pending => panic!("a mail without questions waits for something"),
    }
}
