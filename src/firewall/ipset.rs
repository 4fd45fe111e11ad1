//! Sets of `ipset`: parses the commands of action files, and builds the netlink messages.
//!
//! Numbers are those of the kernel's `uapi/linux/netfilter/ipset/ip_set.h`.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_ACK, NLM_F_EXCL};

use super::member::{Contents, Member, MemberChange, Redundant};
use super::netlink::{self, Body, Channel, Messages};
use super::place::Set;
use crate::exec::syntax::{self, Joint, ShellCommand, Word};

const SUBSYSTEM: u16 = 6 << 8;
const CMD_LIST: u16 = SUBSYSTEM | 7;
const CMD_ADD: u16 = SUBSYSTEM | 9;
const CMD_DEL: u16 = SUBSYSTEM | 10;
const CMD_HEADER: u16 = SUBSYSTEM | 12;

const PROTOCOL: (u16, u8) = (1, 6);
const SETNAME: u16 = 2;
const TYPENAME: u16 = 3;
const DATA: u16 = 7;
const ADT: u16 = 8;
const LINENO: u16 = 9;
const IP: u16 = 1;
const IP_TO: u16 = 2;
const CIDR: u16 = 3;
const TIMEOUT: u16 = 6;
/// Numbers in the order of the network; the kernel insists.
const NET_ORDER: u16 = 1 << 14;

/// The kernel's answer when there is nothing to do.
const ALREADY: i32 = 4096 + 7;

/// Longest name of a set, without the zero.
const MAX_NAME: usize = 31;

/// Longest time a member can be kept, in seconds; the program refuses more.
const MAX_TIMEOUT: u32 = 2_147_483;

/// Messages sent at once. Each is answered, and answers have to find room.
const TOGETHER: usize = 128;

/// Reads `ipset [-exist] add SET ADDRESS [timeout N]` and `del`, in all spellings the program
/// knows; and `test … || add …`, `test … && del …`.
pub fn read(text: &str) -> Option<Member> {
    let list = syntax::parse(&fold_timeout(text))?;
    match list.as_slice() {
        [(only, Joint::Then)] => match call(only)? {
            (Some(kind), words) => member(kind, words),
            (None, _) => None,
        },
        [(first, joint), (second, Joint::Then)] => {
            let ((None, tested), (Some(kind), changed)) = (call(first)?, call(second)?) else {
                return None;
            };
            let mut change = member(kind, changed)?;
            let same = member(kind, tested)
                .is_some_and(|tested| tested.set == change.set && tested.network == change.network);
            let redundant = match (kind, joint) {
                (MemberChange::Add, Joint::Or) => Redundant::Skipped,
                // when there is no such member the test fails, and with it the whole
                (MemberChange::Delete, Joint::And) => Redundant::Refused,
                _ => return None,
            };
            change.redundant = redundant;
            change.line = None;
            (same && change.timeout.is_none()).then_some(change)
        }
        _ => None,
    }
}

/// A call's command (`None`: test) and all its words.
fn call(pipeline: &[ShellCommand]) -> Option<(Option<MemberChange>, Vec<String>)> {
    let [ShellCommand::Simple { assignments, words }] = pipeline else {
        return None;
    };
    let words: Vec<String> = words.iter().map(Word::literal).collect::<Option<_>>()?;
    let program = words.first()?;
    if !assignments.is_empty() || program.rsplit('/').next() != Some("ipset") {
        return None;
    }
    let kind = words.iter().skip(1).find_map(|word| match word.as_str() {
        "add" | "--add" | "-A" => Some(Some(MemberChange::Add)),
        "del" | "--del" | "-D" => Some(Some(MemberChange::Delete)),
        "test" | "--test" | "-T" => Some(None),
        _ => None,
    })?;
    Some((kind, words))
}

fn member(kind: MemberChange, words: Vec<String>) -> Option<Member> {
    let mut redundant = Redundant::Refused;
    let mut plain = Vec::new();
    for word in &words[1..] {
        match word.as_str() {
            "-exist" | "--exist" | "-!" => redundant = Redundant::Accepted,
            word => plain.push(word),
        }
    }
    let [_, set, entry, options @ ..] = plain.as_slice() else {
        return None;
    };
    let known = |c: char| c.is_ascii_alphanumeric() || "_-.:/,%".contains(c);
    if set.starts_with('-') || set.len() > MAX_NAME || !entry.chars().all(known) {
        return None;
    }
    let timeout = match (options, kind) {
        ([], _) => None,
        (["timeout", seconds], MemberChange::Add) => {
            Some(seconds.parse().ok().filter(|n| *n <= MAX_TIMEOUT)?)
        }
        _ => return None,
    };
    let verb = match kind {
        MemberChange::Add => "add",
        MemberChange::Delete => "del",
    };
    // a line that fails stops the program in the middle; so only where none is done twice
    let line = (redundant == Redundant::Accepted).then(|| {
        let rest: String = options.iter().map(|word| format!(" {word}")).collect();
        let arguments = [words[0].as_str(), "-exist", "restore"].map(str::to_owned);
        (arguments.to_vec(), format!("{verb} {set} {entry}{rest}"))
    });
    Some(Member {
        kind,
        set: Set::Ipset((*set).to_owned()),
        network: network(entry),
        timeout,
        redundant,
        line,
    })
}

/// An address or a network, as written; a name is neither.
pub(super) fn network(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().ok().map(|net| net.trunc()),
    }
}

/// Works out what `ipsettime = <timeout-bantime>` makes of a ban's length: the one piece of shell
/// that the actions offer for their time limit, the original's and the shipped ones.
fn fold_timeout(text: &str) -> String {
    let shipped = || {
        let (before, rest) = text.split_once("$((")?;
        let (condition, rest) = rest.split_once(" ? ")?;
        let (length, after) = rest.split_once(" : 0))")?;
        let within = format!("{length} > 0 && {length} <= {MAX_TIMEOUT}");
        let seconds = length.parse::<i64>().ok().filter(|_| condition == within)?;
        let value = if (1..=i64::from(MAX_TIMEOUT)).contains(&seconds) {
            seconds
        } else {
            0
        };
        Some(format!("{before}{value}{after}"))
    };
    let original = || {
        let (before, rest) = text.split_once("$([ \"")?;
        let (length, rest) = rest.split_once("\" -le ")?;
        let (limit, rest) = rest.split_once(" ] && echo \"")?;
        let (same, rest) = rest.split_once("\" || echo ")?;
        let (otherwise, after) = rest.split_once(')')?;
        let numbers = [length, limit, otherwise].map(|text| text.parse::<i64>().ok());
        let [Some(length), Some(limit), Some(otherwise)] = numbers else {
            return None;
        };
        if same.parse() != Ok(length) {
            return None;
        }
        let value = if length <= limit { length } else { otherwise };
        Some(format!("{before}{value}{after}"))
    };
    shipped()
        .or_else(original)
        .unwrap_or_else(|| text.to_owned())
}

/// Carries changes of one set out; each is done or not by itself.
pub(super) fn apply(channel: &Channel, name: &str, members: &[&Member]) -> Vec<bool> {
    let mut done = vec![false; members.len()];
    if !knows_addresses(channel, name) {
        return done;
    }
    for (part, results) in members.chunks(TOGETHER).zip(done.chunks_mut(TOGETHER)) {
        let mut messages = Messages::default();
        let mut sent = Vec::new();
        for (place, member) in part.iter().enumerate() {
            if let Some(network) = member.network {
                sent.push((change(&mut messages, name, member, network), place));
            }
        }
        let outcome = channel.exchange(&messages, |answer| {
            let Body::Result(code) = answer.body else {
                return;
            };
            if let Some((_, place)) = sent.iter().find(|(number, _)| *number == answer.sequence) {
                let skipped = code == ALREADY && part[*place].redundant == Redundant::Skipped;
                results[*place] = code == 0 || skipped;
            }
        });
        if outcome.is_err() {
            break;
        }
    }
    done
}

fn change(messages: &mut Messages, name: &str, member: &Member, network: IpNet) -> u32 {
    let command = match member.kind {
        MemberChange::Add => CMD_ADD,
        MemberChange::Delete => CMD_DEL,
    };
    let strict = match member.redundant {
        Redundant::Accepted => 0,
        Redundant::Refused | Redundant::Skipped => NLM_F_EXCL,
    };
    let number = messages.begin(command, NLM_F_ACK | strict, 0, 0);
    messages.attribute(PROTOCOL.0, &[PROTOCOL.1]);
    messages.text(SETNAME, name);
    messages.nested(DATA, |data| {
        let whole = network.prefix_len() == network.max_prefix_len();
        data.nested(IP, |ip| match network {
            IpNet::V4(net) => ip.attribute(1 | NET_ORDER, &net.addr().octets()),
            IpNet::V6(net) => ip.attribute(2 | NET_ORDER, &net.addr().octets()),
        });
        if !whole {
            data.attribute(CIDR, &[network.prefix_len()]);
        }
        if let Some(seconds) = member.timeout {
            data.attribute(TIMEOUT | NET_ORDER, &seconds.to_be_bytes());
        }
    });
    messages.attribute(LINENO, &0u32.to_ne_bytes());
    messages.end();
    number
}

fn about(command: u16, flags: u16, name: &str) -> Messages {
    let mut messages = Messages::default();
    messages.begin(command, flags, 0, 0);
    messages.attribute(PROTOCOL.0, &[PROTOCOL.1]);
    messages.text(SETNAME, name);
    messages.end();
    messages
}

/// Whether there is such a set, of whatever kind; `None` when that cannot be told.
pub(super) fn exists(channel: &Channel, name: &str) -> Option<bool> {
    channel.finds(&about(CMD_HEADER, 0, name))
}

/// Whether the set is one of addresses or networks alone.
fn knows_addresses(channel: &Channel, name: &str) -> bool {
    let mut known = false;
    let asked = channel.exchange(&about(CMD_HEADER, 0, name), |answer| {
        if let Body::Message(_, bytes) = answer.body {
            known = netlink::attributes(bytes)
                .any(|(kind, value)| kind == TYPENAME && is_simple(value));
        }
    });
    asked.is_ok() && known
}

fn is_simple(type_name: &[u8]) -> bool {
    matches!(type_name, b"hash:ip\0" | b"hash:net\0")
}

/// What the set holds; nothing when there is no such set.
pub(super) fn members(channel: &Channel, name: &str) -> Option<Contents> {
    const DUMP: u16 = netlink_packet_core::NLM_F_DUMP;
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    let mut simple = true;
    channel
        .exchange(&about(CMD_LIST, DUMP, name), |answer| {
            let bytes = match answer.body {
                Body::Message(_, bytes) => bytes,
                Body::Result(0 | libc::ENOENT) => return,
                Body::Result(_) => return simple = false,
            };
            for (kind, value) in netlink::attributes(bytes) {
                match kind {
                    TYPENAME => simple = is_simple(value),
                    ADT => {
                        for (_, entry) in netlink::attributes(value) {
                            match range(entry) {
                                Some((range, true)) => v4.push(range),
                                Some((range, false)) => v6.push(range),
                                None => {}
                            }
                        }
                    }
                    _ => {}
                }
            }
        })
        .ok()?;
    simple.then(|| Contents::new(v4, v6))
}

/// The addresses of an entry, and whether they are of IPv4.
fn range(entry: &[u8]) -> Option<((u128, u128), bool)> {
    let (mut from, mut to, mut prefix) = (None, None, None);
    for (kind, value) in netlink::attributes(entry) {
        match kind {
            IP => from = address(value),
            IP_TO => to = address(value),
            CIDR => prefix = value.first().copied(),
            _ => {}
        }
    }
    let from = from?;
    let net = IpNet::new(
        from,
        prefix.unwrap_or(if from.is_ipv4() { 32 } else { 128 }),
    )
    .ok()?;
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let last = to.unwrap_or(net.broadcast());
    Some(((number(net.network()), number(last)), from.is_ipv4()))
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let (kind, bytes) = netlink::attributes(value).next()?;
    match kind {
        1 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        2 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_in_all_spellings() {
        for text in [
            "ipset -exist add f2b-x 192.0.2.1 timeout 0",
            "/usr/sbin/ipset add f2b-x 192.0.2.1 timeout 0 -exist",
            "ipset -! -A f2b-x 192.0.2.1/32 timeout 0",
            "ipset -exist add f2b-x 192.0.2.1 timeout \
             $([ \"600000000\" -le 2147483 ] && echo \"600000000\" || echo 0)",
            "ipset -exist add f2b-x 192.0.2.1 timeout $((2147484 > 0 && 2147484 <= 2147483 ? 2147484 : 0))",
            "ipset -exist add f2b-x 192.0.2.1 timeout $((-1 > 0 && -1 <= 2147483 ? -1 : 0))",
        ] {
            let member = read(text).unwrap();
            assert_eq!(member.kind, MemberChange::Add, "{text}");
            assert_eq!(member.set, Set::Ipset("f2b-x".into()));
            assert_eq!(member.network, network("192.0.2.1"));
            assert_eq!(member.timeout, Some(0));
            assert_eq!(member.redundant, Redundant::Accepted);
            assert_eq!(member.line.unwrap().0[1..], ["-exist", "restore"]);
        }
        let member = read("ipset --del x 2001:db8::/32").unwrap();
        assert_eq!(
            (member.kind, member.redundant),
            (MemberChange::Delete, Redundant::Refused)
        );
        assert_eq!(member.line, None);
        // what only the program understands
        let member = read("ipset -exist add x 192.0.2.1,tcp:22").unwrap();
        assert_eq!(member.network, None);
        assert_eq!(member.line.unwrap().1, "add x 192.0.2.1,tcp:22");
    }

    #[test]
    fn a_test_before_decides_what_is_an_error() {
        let add = read("ipset --test f2b-x 192.0.2.1 ||  ipset --add f2b-x 192.0.2.1").unwrap();
        assert_eq!(
            (add.kind, add.redundant),
            (MemberChange::Add, Redundant::Skipped)
        );
        let del = read("ipset --test f2b-x 192.0.2.1 && ipset --del f2b-x 192.0.2.1").unwrap();
        assert_eq!(
            (del.kind, del.redundant),
            (MemberChange::Delete, Redundant::Refused)
        );
    }

    #[test]
    fn anything_else_is_left_to_the_program() {
        for text in [
            "ipset create x hash:ip",
            "ipset flush x",
            "ipset test x 192.0.2.1",
            "ipset add x",
            "ipset add x 192.0.2.1 comment y",
            "ipset add x 192.0.2.1 timeout 99999999",
            "ipset add x $ip",
            "ipset add x 192.0.2.1; reboot",
            "ipset test x 192.0.2.1 && ipset add x 192.0.2.1",
            "ipset test x 192.0.2.1 || ipset add y 192.0.2.1",
            "ipset test x 192.0.2.1 || ipset add x 192.0.2.2",
            "ipset add x 192.0.2.1 timeout $([ \"1\" -le 2 ] && echo \"9\" || echo 0)",
            "ipset add x 192.0.2.1 timeout $((1 > 0 && 2 <= 2147483 ? 1 : 0))",
            "echo ipset add x 192.0.2.1",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
