//! Sets of nftables: parses the `nft` commands of action files, and builds the netlink messages.
//!
//! Numbers are those of the kernel's `uapi/linux/netfilter/nf_tables.h`.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP};

use super::ipset;
use super::member::{Contents, Member, MemberChange, Redundant};
use super::netlink::{self, Body, Channel, Messages};
use super::nft_transaction::{self, SUBSYSTEM};
use super::place::Set;
use crate::exec::syntax;

const GET_RULE: u16 = SUBSYSTEM | 7;
const GET_SET: u16 = SUBSYSTEM | 10;
const NEW_ELEMENT: u16 = SUBSYSTEM | 12;
const GET_ELEMENT: u16 = SUBSYSTEM | 13;
const DELETE_ELEMENT: u16 = SUBSYSTEM | 14;

const TABLE: u16 = 1;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_USERDATA: u16 = 13;
const ELEMENTS: u16 = 3;
const LIST_ITEM: u16 = 1;
const KEY: u16 = 1;
const KEY_VALUE: u16 = 1;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_TIMEOUT: u16 = 4;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const LOOKUP_SET: u16 = 1;
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;

const INTERVAL: u32 = 4;
const WITH_TIMEOUT: u32 = 0x10;
const DYNAMIC: u32 = 0x20;
/// The element is the end of the one before it: the first address behind a range.
const INTERVAL_END: u32 = 1;
/// Numbers of the program's types for addresses.
const KEY_TYPES: [(u32, bool); 2] = [(7, true), (8, false)];
/// Where the program notes that it merges ranges that touch.
const UDATA_MERGE: u8 = 2;

/// Bytes of the elements of one message: the length of an attribute is a number of 16 bits.
const MESSAGE: usize = 60 << 10;
/// Bytes of a message beside its elements and the names of table and set.
const HEADERS: usize = 64;
/// How often a transaction is tried: a message that the kernel refuses is tried again element by element, and what
/// it refuses then is left out.
const ROUNDS: usize = 4;

/// Families of tables with the kernel's numbers.
const FAMILIES: [(&str, u8); 6] = [
    ("ip", 2),
    ("ip6", 10),
    ("inet", 1),
    ("arp", 3),
    ("bridge", 7),
    ("netdev", 5),
];

/// Reads `nft add element [FAMILY] TABLE SET { ADDRESS [timeout Ns] }` and `delete`.
pub fn read(text: &str) -> Option<Member> {
    let arguments = syntax::plain_command(text)?;
    let (program, words) = arguments.split_first()?;
    if program.rsplit('/').next() != Some("nft") {
        return None;
    }
    // the program joins its arguments and reads them as one text
    let joined = words.join(" ").replace('{', " { ").replace('}', " } ");
    let known = |c: char| c.is_ascii_alphanumeric() || "_-.:/{} ".contains(c);
    if !joined.chars().all(known) {
        return None;
    }
    let words: Vec<&str> = joined.split_whitespace().collect();
    let (kind, rest) = match words.as_slice() {
        ["add", "element", rest @ ..] => (MemberChange::Add, rest),
        ["delete", "element", rest @ ..] => (MemberChange::Delete, rest),
        _ => return None,
    };
    let family = rest
        .first()
        .and_then(|word| FAMILIES.iter().find(|(name, _)| name == word));
    let (family, rest) = match family {
        Some((_, number)) => (*number, &rest[1..]),
        None => (2, rest),
    };
    let [table, name, "{", element @ .., "}"] = rest else {
        return None;
    };
    let names = [table, name].iter().all(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.contains([':', '{', '}'])
    });
    if !names || element.is_empty() || element.iter().any(|word| "{}".contains(word)) {
        return None;
    }
    let (network, timeout) = match element {
        [address] => (ipset::network(address), None),
        [address, "timeout", span] if kind == MemberChange::Add => {
            let seconds = span.strip_suffix('s').and_then(|n| n.parse().ok());
            (seconds.and_then(|_: u32| ipset::network(address)), seconds)
        }
        _ => (None, None),
    };
    let arguments = [program.as_str(), "-f", "-"].map(str::to_owned).to_vec();
    Some(Member {
        kind,
        set: Set::Nft {
            family,
            table: (*table).to_owned(),
            name: (*name).to_owned(),
        },
        network,
        timeout,
        redundant: match kind {
            MemberChange::Add => Redundant::Accepted,
            MemberChange::Delete => Redundant::Refused,
        },
        line: Some((arguments, words.join(" "))),
    })
}

/// What has to be known of a set before its members can be named.
#[derive(Clone, Copy, Debug)]
struct SetShape {
    v4: bool,
    interval: bool,
    with_timeout: bool,
}

/// A set's place.
#[derive(Clone, Copy)]
struct SetPath<'a> {
    family: u8,
    table: &'a str,
    name: &'a str,
}

/// A member that can be named to the kernel.
struct Element<'a> {
    /// Its place among the changes.
    at: usize,
    member: &'a Member,
    set: SetPath<'a>,
    shape: SetShape,
    keys: Keys,
}

impl Element<'_> {
    /// Whether it can be in the same message: the kernel does what one says in its order.
    fn goes_with(&self, other: &Element<'_>) -> bool {
        self.member.kind == other.member.kind && self.member.set == other.member.set
    }

    /// Its bytes in a message.
    fn size(&self) -> usize {
        let (first, end) = &self.keys;
        let item = 12 + first.len();
        let timeout = 12 * usize::from(self.member.timeout.is_some());
        item + timeout + end.as_ref().map_or(0, |_| item + 8)
    }
}

/// Elements that are one message.
type Message<'e, 'a> = &'e [Element<'a>];

/// Carries changes of sets out in their order. They are one transaction, which holds as a whole or not at all, as
/// far as the socket takes it in one go, and without what the kernel refuses.
pub(super) fn apply(channel: &Channel, members: &[&Member]) -> Vec<bool> {
    let mut done = vec![false; members.len()];
    let elements = elements(channel, members);
    let mut rest = messages(&elements, MESSAGE);
    while !rest.is_empty() {
        let mut room = channel.room();
        let fit = rest.iter().take_while(|message| {
            let size = size(message);
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        });
        let count = fit.count().max(1);
        let later = rest.split_off(count);
        for element in transaction(channel, rest).into_iter().flatten() {
            done[element.at] = true;
        }
        rest = later;
    }
    done
}

fn elements<'a>(channel: &Channel, members: &[&'a Member]) -> Vec<Element<'a>> {
    let mut shapes: HashMap<&Set, Option<SetShape>> = HashMap::new();
    let element = |(at, member): (usize, &&'a Member)| {
        let Set::Nft {
            family,
            table,
            name,
        } = &member.set
        else {
            return None;
        };
        let set = SetPath {
            family: *family,
            table,
            name,
        };
        let known = shapes.entry(&member.set);
        let shape = known.or_insert_with(|| shape(channel, set).and_then(Result::ok));
        let shape = (*shape)?;
        let keys = keys(member, shape)?;
        Some(Element {
            at,
            member,
            set,
            shape,
            keys,
        })
    };
    members.iter().enumerate().filter_map(element).collect()
}

/// Parts elements into messages of so many bytes.
fn messages<'e, 'a>(elements: &'e [Element<'a>], most: usize) -> Vec<Message<'e, 'a>> {
    let mut messages = Vec::new();
    let mut size = 0;
    let mut begin = 0;
    for (at, element) in elements.iter().enumerate() {
        size += element.size();
        if at > begin && (size > most || !element.goes_with(&elements[begin])) {
            messages.push(&elements[begin..at]);
            (begin, size) = (at, element.size());
        }
    }
    if begin < elements.len() {
        messages.push(&elements[begin..]);
    }
    messages
}

fn size(message: Message<'_, '_>) -> usize {
    let names = |element: &Element<'_>| element.set.table.len() + element.set.name.len();
    let elements = message.iter().map(Element::size).sum::<usize>();
    HEADERS + message.first().map_or(0, names) + elements
}

/// Carries messages out; answers those that are done.
fn transaction<'e, 'a>(
    channel: &Channel,
    mut wanted: Vec<Message<'e, 'a>>,
) -> Vec<Message<'e, 'a>> {
    for _ in 0..ROUNDS {
        let numbers: Vec<usize> = (0..wanted.len()).collect();
        let write = |messages: &mut Messages, at: usize| change(messages, wanted[at]);
        match nft_transaction::transaction(channel, &numbers, None, write) {
            None => break,
            Some(refused) if refused.is_empty() => return wanted,
            Some(refused) => {
                let refused: HashSet<usize> = refused.into_iter().collect();
                let again = wanted.into_iter().enumerate().flat_map(|(at, message)| {
                    match (refused.contains(&at), message.len()) {
                        (false, _) => vec![message],
                        (true, 1) => Vec::new(),
                        (true, _) => message.chunks(1).collect(),
                    }
                });
                wanted = again.collect();
            }
        }
        if wanted.is_empty() {
            break;
        }
    }
    Vec::new()
}

/// Writes the message that puts elements in or takes them out; answers its number.
fn change(messages: &mut Messages, elements: Message<'_, '_>) -> u32 {
    let Some(Element { member, set, .. }) = elements.first() else {
        return 0;
    };
    let (kind, flags) = match member.kind {
        MemberChange::Add => (NEW_ELEMENT, NLM_F_CREATE),
        MemberChange::Delete => (DELETE_ELEMENT, 0),
    };
    let number = messages.begin(kind, flags, set.family, 0);
    messages.text(TABLE, set.table);
    messages.text(SET_NAME, set.name);
    messages.nested(ELEMENTS, |list| {
        for element in elements {
            add_element(list, element);
        }
    });
    messages.end();
    number
}

fn add_element(list: &mut Messages, element: &Element<'_>) {
    let (first, end) = &element.keys;
    list.nested(LIST_ITEM, |item| {
        item.nested(KEY, |key| key.attribute(KEY_VALUE, first));
        if let (Some(seconds), true) = (element.member.timeout, element.shape.with_timeout) {
            let milliseconds = u64::from(seconds) * 1000;
            item.attribute(ELEMENT_TIMEOUT, &milliseconds.to_be_bytes());
        }
    });
    if let Some(end) = end {
        list.nested(LIST_ITEM, |item| {
            item.nested(KEY, |key| key.attribute(KEY_VALUE, end));
            item.attribute(ELEMENT_FLAGS, &INTERVAL_END.to_be_bytes());
        });
    }
}

/// A member's key, and for a set of ranges the key behind its end.
type Keys = (Vec<u8>, Option<Vec<u8>>);

/// A member's key, and for a set of ranges the key behind its end; `None` when it needs more than
/// that.
fn keys(member: &Member, shape: SetShape) -> Option<Keys> {
    let network = member.network?;
    if matches!(network, IpNet::V4(_)) != shape.v4 {
        return None;
    }
    if member.timeout.is_some() && (shape.interval || !shape.with_timeout) {
        return None;
    }
    let bytes = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let first = bytes(network.network());
    if !shape.interval {
        return (network.prefix_len() == network.max_prefix_len()).then_some((first, None));
    }
    // nothing is behind the very last address
    let mut end = bytes(network.broadcast());
    let carried = end.iter_mut().rev().any(|byte| {
        *byte = byte.wrapping_add(1);
        *byte != 0
    });
    carried.then_some((first, Some(end)))
}

/// Whether there is such a set, of whatever kind.
pub(super) fn exists(channel: &Channel, family: u8, table: &str, name: &str) -> Option<bool> {
    let mut messages = Messages::default();
    messages.begin(GET_SET, 0, family, 0);
    messages.text(TABLE, table);
    messages.text(SET_NAME, name);
    messages.end();
    channel.finds(&messages)
}

/// The name of a family of tables.
pub fn family_name(number: u8) -> &'static str {
    let known = FAMILIES.iter().find(|(_, known)| *known == number);
    known.map_or("", |(name, _)| name)
}

/// What the set is; `Err` when it cannot be filled here, `None` when there is no such set.
fn shape(channel: &Channel, place: SetPath<'_>) -> Option<Result<SetShape, ()>> {
    let mut messages = Messages::default();
    messages.begin(GET_SET, 0, place.family, 0);
    messages.text(TABLE, place.table);
    messages.text(SET_NAME, place.name);
    messages.end();
    let mut shape = Some(Err(()));
    let asked = channel.exchange(&messages, |answer| match answer.body {
        Body::Message(_, bytes) => shape = Some(read_shape(bytes)),
        Body::Result(libc::ENOENT) => shape = None,
        Body::Result(_) => {}
    });
    match asked {
        Ok(()) => shape,
        Err(_) => Some(Err(())),
    }
}

fn read_shape(bytes: &[u8]) -> Result<SetShape, ()> {
    let number = |value: &[u8]| value.first_chunk().map_or(0, |n| u32::from_be_bytes(*n));
    let (mut flags, mut key_type, mut merges) = (0, 0, false);
    for (kind, value) in netlink::attributes(bytes) {
        match kind {
            SET_FLAGS => flags = number(value),
            SET_KEY_TYPE => key_type = number(value),
            SET_USERDATA => merges = merges_ranges(value),
            _ => {}
        }
    }
    let (_, v4) = KEY_TYPES
        .into_iter()
        .find(|(number, _)| *number == key_type)
        .ok_or(())?;
    let unknown = flags & !(INTERVAL | WITH_TIMEOUT | DYNAMIC) != 0;
    if merges || unknown {
        return Err(());
    }
    Ok(SetShape {
        v4,
        interval: flags & INTERVAL != 0,
        with_timeout: flags & WITH_TIMEOUT != 0,
    })
}

/// Looks through the program's own notes: type, length, value, a byte each for the first two.
fn merges_ranges(mut notes: &[u8]) -> bool {
    while let [kind, length, rest @ ..] = notes {
        let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else {
            return false;
        };
        if *kind == UDATA_MERGE && value.iter().any(|byte| *byte != 0) {
            return true;
        }
        notes = rest;
    }
    false
}

/// What the rules of a table have counted of packets from addresses in sets: the set, the rule's number, packets
/// and bytes. A rule without a counter is not told; `None`: nothing can be.
pub(super) fn counted(
    channel: &Channel,
    family: u8,
    table: &str,
) -> Option<Vec<(String, u64, u64, u64)>> {
    let mut messages = Messages::default();
    messages.begin(GET_RULE, NLM_F_DUMP, family, 0);
    messages.text(TABLE, table);
    messages.end();
    let mut rules = Vec::new();
    channel
        .exchange(&messages, |answer| {
            if let Body::Message(_, bytes) = answer.body {
                rules.extend(read_counter(bytes, table));
            }
        })
        .ok()?;
    Some(rules)
}

/// A rule that asks a set first and counts then.
fn read_counter(bytes: &[u8], table: &str) -> Option<(String, u64, u64, u64)> {
    let number = |value: &[u8]| value.first_chunk().map_or(0, |n| u64::from_be_bytes(*n));
    let text = |value: &[u8]| {
        String::from_utf8_lossy(value)
            .trim_end_matches('\0')
            .to_owned()
    };
    let (mut handle, mut set, mut counter) = (0, None, None);
    for (kind, value) in netlink::attributes(bytes) {
        match kind {
            // an older kernel tells the rules of all tables
            TABLE if text(value) != table => return None,
            RULE_HANDLE => handle = number(value),
            RULE_EXPRESSIONS => {
                for (_, expression) in netlink::attributes(value) {
                    let part = |wanted| {
                        let mut parts = netlink::attributes(expression);
                        parts
                            .find(|(kind, _)| *kind == wanted)
                            .map(|(_, value)| value)
                    };
                    let data = part(EXPRESSION_DATA).unwrap_or_default();
                    let of_data = |wanted| {
                        let mut found = netlink::attributes(data);
                        found
                            .find(|(kind, _)| *kind == wanted)
                            .map(|(_, value)| value)
                    };
                    match part(EXPRESSION_NAME).map(text).as_deref() {
                        // sets without a name of their own are lists of ports
                        Some("lookup") => {
                            let named = of_data(LOOKUP_SET).map(text);
                            set = named.filter(|name| !name.starts_with("__")).or(set);
                        }
                        Some("counter") if set.is_some() => {
                            let count = |kind| of_data(kind).map_or(0, number);
                            counter = Some((count(COUNTER_PACKETS), count(COUNTER_BYTES)));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let (packets, bytes) = counter?;
    Some((set?, handle, packets, bytes))
}

/// What the set holds; nothing when there is no such set, `None` when it cannot be told.
pub(super) fn members(channel: &Channel, family: u8, table: &str, name: &str) -> Option<Contents> {
    let place = SetPath {
        family,
        table,
        name,
    };
    let shape = match shape(channel, place) {
        None => return Some(Contents::default()),
        Some(shape) => shape.ok()?,
    };
    let mut messages = Messages::default();
    messages.begin(GET_ELEMENT, NLM_F_DUMP, family, 0);
    messages.text(TABLE, table);
    messages.text(SET_NAME, name);
    messages.end();
    // keys; ends of ranges sort in front of a range that begins there
    let mut keys: Vec<(u128, bool)> = Vec::new();
    channel
        .exchange(&messages, |answer| {
            let Body::Message(_, bytes) = answer.body else {
                return;
            };
            for (_, list) in netlink::attributes(bytes).filter(|(kind, _)| *kind == ELEMENTS) {
                keys.extend(netlink::attributes(list).filter_map(|(_, item)| element(item)));
            }
        })
        .ok()?;
    keys.sort_unstable();
    let mut ranges = Vec::new();
    for (at, (key, begins)) in keys.iter().enumerate() {
        if !begins {
            continue;
        }
        let last = match (shape.interval, keys.get(at + 1)) {
            (false, _) => *key,
            (true, Some((next, _))) => next.saturating_sub(1),
            (true, None) => u128::MAX,
        };
        ranges.push((*key, last));
    }
    Some(match shape.v4 {
        true => Contents::new(ranges, Vec::new()),
        false => Contents::new(Vec::new(), ranges),
    })
}

/// The key of an element and whether a range begins there.
fn element(item: &[u8]) -> Option<(u128, bool)> {
    let (mut key, mut begins) = (None, true);
    for (kind, value) in netlink::attributes(item) {
        match kind {
            KEY => {
                let (_, bytes) = netlink::attributes(value).find(|(kind, _)| *kind == KEY_VALUE)?;
                key = match bytes.len() {
                    4 | 16 => Some(
                        bytes
                            .iter()
                            .fold(0, |key, byte| key << 8 | u128::from(*byte)),
                    ),
                    _ => None,
                };
            }
            ELEMENT_FLAGS => {
                let flags = value.first_chunk().map_or(0, |n| u32::from_be_bytes(*n));
                begins = flags & INTERVAL_END == 0;
            }
            _ => {}
        }
    }
    key.map(|key| (key, begins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_however_brackets_are_quoted() {
        for text in [
            "nft add element inet f2b-table addr-set-x \\{ 192.0.2.1 \\}",
            "nft add element inet f2b-table addr-set-x { 192.0.2.1 }",
            "/usr/sbin/nft 'add element inet f2b-table addr-set-x {192.0.2.1}'",
        ] {
            let member = read(text).unwrap();
            assert_eq!(member.kind, MemberChange::Add, "{text}");
            assert_eq!(
                member.set,
                Set::Nft {
                    family: 1,
                    table: "f2b-table".into(),
                    name: "addr-set-x".into()
                }
            );
            assert_eq!(member.network, ipset::network("192.0.2.1"));
            assert_eq!(
                member.line.unwrap().1,
                "add element inet f2b-table addr-set-x { 192.0.2.1 }"
            );
        }
        let member = read("nft delete element t s { 2001:db8::/32 }").unwrap();
        assert_eq!(member.kind, MemberChange::Delete);
        assert!(matches!(member.set, Set::Nft { family: 2, .. }));
        let member = read("nft add element ip t s { 192.0.2.1 timeout 600s }").unwrap();
        assert_eq!(member.timeout, Some(600));
        // what only the program understands
        let member = read("nft add element ip t s { 192.0.2.1 . 22 }").unwrap();
        assert_eq!(member.network, None);
        assert!(member.line.is_some());
    }

    #[test]
    fn anything_else_is_left_to_the_program() {
        for text in [
            "nft add rule inet t c drop",
            "nft flush set inet t s",
            "nft add element inet t s { 192.0.2.1, 192.0.2.2 }",
            "nft add element inet t s { }",
            "nft add element inet t s 192.0.2.1",
            "nft -a add element inet t s { 192.0.2.1 }",
            "nft add element inet t s { 192.0.2.1 }; reboot",
            "nft add element inet t s { 192.0.2.1 } { 192.0.2.2 }",
            "nft add element inet t s \"{ 192.0.2.1 } ; flush ruleset\"",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn elements_of_a_set_share_messages_in_their_order() {
        let read = |text: &str| super::read(text).unwrap();
        let members = [
            read("nft add element t s { 192.0.2.1 }"),
            read("nft add element t s { 192.0.2.2 }"),
            read("nft add element t s { 192.0.2.3 }"),
            read("nft delete element t s { 192.0.2.1 }"),
            read("nft add element t s { 192.0.2.1 }"),
            read("nft add element t other { 192.0.2.1 }"),
        ];
        let shape = SetShape {
            v4: true,
            interval: false,
            with_timeout: false,
        };
        let element = |(at, member)| Element {
            at,
            member,
            set: SetPath {
                family: 2,
                table: "t",
                name: "s",
            },
            shape,
            keys: super::keys(member, shape).unwrap(),
        };
        let elements: Vec<_> = members.iter().enumerate().map(element).collect();
        let lengths = |most| -> Vec<usize> {
            let messages = messages(&elements, most);
            messages.iter().map(|message| message.len()).collect()
        };
        assert_eq!(lengths(MESSAGE), [3, 1, 1, 1]);
        assert_eq!(lengths(32), [2, 1, 1, 1, 1]);
        // as long as it is written
        let mut written = Messages::default();
        change(&mut written, &elements[..3]);
        assert!(written.bytes.len() <= size(&elements[..3]));
        assert!(messages(&[], MESSAGE).is_empty());
    }

    #[test]
    fn ranges_end_behind_their_last_address() {
        let shape = SetShape {
            v4: true,
            interval: true,
            with_timeout: false,
        };
        let keys = |text: &str| {
            let mut member = read("nft add element t s { 192.0.2.1 }").unwrap();
            member.network = ipset::network(text);
            super::keys(&member, shape)
        };
        assert_eq!(
            keys("192.0.2.255"),
            Some((vec![192, 0, 2, 255], Some(vec![192, 0, 3, 0])))
        );
        assert_eq!(
            keys("198.51.100.0/24"),
            Some((vec![198, 51, 100, 0], Some(vec![198, 51, 101, 0])))
        );
        assert_eq!(keys("255.255.255.255"), None);
        assert_eq!(keys("2001:db8::1"), None);
    }
}
