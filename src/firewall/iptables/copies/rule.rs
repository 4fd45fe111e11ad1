//! A rule as the kernel keeps it: read from a chain, and written as a copy with another address.
//!
//! Numbers are those of the kernel's `uapi/linux/netfilter/nf_tables.h`.
#![forbid(unsafe_code)]

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP};

use super::super::super::netlink::{self, Body, Channel, Messages};
use super::super::super::nft_transaction::SUBSYSTEM;

const GET_CHAIN: u16 = SUBSYSTEM | 4;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const GET_RULE: u16 = SUBSYSTEM | 7;
const DELETE_RULE: u16 = SUBSYSTEM | 8;

const TABLE: u16 = 1;
/// The name of a chain that is asked for.
const CHAIN_NAME: u16 = 3;
const CHAIN: u16 = 2;
const HANDLE: u16 = 3;
const EXPRESSIONS: u16 = 4;
const COMPATIBLE: u16 = 5;
const NOTES: u16 = 7;
const LIST_ITEM: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;

/// Of an expression that loads a piece of the packet: counted from which header, and where.
const LOAD_BASE: u16 = 2;
const LOAD_OFFSET: u16 = 3;
const NETWORK_HEADER: u32 = 1;
/// Of one that compares: what, by which operation, with what.
const COMPARE_REGISTER: u16 = 1;
const COMPARE_OPERATION: u16 = 2;
const COMPARE_DATA: u16 = 3;
const EQUAL: u32 = 0;
const VALUE: u16 = 1;

/// A rule without its address and its counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Model {
    /// Expressions in front of the comparison with the address, encoded.
    load: Vec<u8>,
    register: Vec<u8>,
    /// Bytes of the address that are compared: a prefix of whole bytes needs no mask.
    pub length: usize,
    /// Expressions behind the comparison.
    verdict: Vec<u8>,
    /// What the program notes for itself.
    notes: Option<Vec<u8>>,
}

/// A rule that is there.
#[derive(Debug)]
pub struct KernelRule {
    /// Its number in its table.
    pub handle: [u8; 8],
    /// How it is written, and its address, when it is one that can be copied.
    pub read: Option<(Model, Vec<u8>)>,
}

/// A chain of a table.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// The kernel's number of the family.
    pub family: u8,
    /// The table.
    pub table: &'a str,
    /// The chain.
    pub name: &'a str,
}

impl Chain<'_> {
    /// Whether there is such a chain.
    pub fn exists(&self, channel: &Channel) -> Option<bool> {
        let mut messages = Messages::default();
        messages.begin(GET_CHAIN, 0, self.family, 0);
        messages.text(TABLE, self.table);
        messages.text(CHAIN_NAME, self.name);
        messages.end();
        channel.finds(&messages)
    }

    /// Its rules in their order; `None` when they could not be read.
    pub fn rules(&self, channel: &Channel) -> Option<Vec<KernelRule>> {
        let mut messages = Messages::default();
        self.begin(&mut messages, GET_RULE, NLM_F_DUMP);
        messages.end();
        let mut rules = Vec::new();
        let mut whole = true;
        channel
            .exchange(&messages, |answer| match answer.body {
                Body::Result(code) => whole &= code == 0,
                Body::Message(_, bytes) => match self.rule(bytes) {
                    Some(rule) => rules.push(rule),
                    None => whole = false,
                },
            })
            .ok()?;
        whole.then_some(rules)
    }

    /// Reads a message of a list of rules; `None` when it is not of this chain.
    fn rule(&self, bytes: &[u8]) -> Option<KernelRule> {
        let is = |value: &[u8], name: &str| value.strip_suffix(b"\0") == Some(name.as_bytes());
        let (mut handle, mut expressions, mut notes) = (None, None, None);
        for (kind, value) in netlink::attributes(bytes) {
            match kind {
                TABLE if !is(value, self.table) => return None,
                CHAIN if !is(value, self.name) => return None,
                HANDLE => handle = value.first_chunk().copied(),
                EXPRESSIONS => expressions = Some(value),
                NOTES => notes = Some(value.to_vec()),
                _ => {}
            }
        }
        Some(KernelRule {
            handle: handle?,
            read: expressions.and_then(|list| read(list, self.family, notes)),
        })
    }

    /// Writes the message that puts a rule in, at the end or at the top; answers its number.
    pub fn add(&self, messages: &mut Messages, model: &Model, address: &[u8], end: bool) -> u32 {
        let place = if end { NLM_F_APPEND } else { 0 };
        let number = self.begin(messages, NEW_RULE, NLM_F_CREATE | place);
        messages.nested(EXPRESSIONS, |list| {
            list.encoded(&model.load);
            list.nested(LIST_ITEM, |item| {
                item.attribute(NAME, b"cmp\0");
                item.nested(DATA, |data| {
                    data.attribute(COMPARE_REGISTER, &model.register);
                    data.attribute(COMPARE_OPERATION, &EQUAL.to_be_bytes());
                    data.nested(COMPARE_DATA, |with| with.attribute(VALUE, address));
                });
            });
            list.encoded(&model.verdict);
        });
        // for targets of iptables, as its program writes it: of any protocol, and nothing inverted
        messages.nested(COMPATIBLE, |any| {
            for kind in [1, 2] {
                any.attribute(kind, &[0; 4]);
            }
        });
        if let Some(notes) = &model.notes {
            messages.attribute(NOTES, notes);
        }
        messages.end();
        number
    }

    /// Writes the message that takes a rule out; answers its number.
    pub fn delete(&self, messages: &mut Messages, handle: [u8; 8]) -> u32 {
        let number = self.begin(messages, DELETE_RULE, 0);
        messages.attribute(HANDLE, &handle);
        messages.end();
        number
    }

    fn begin(&self, messages: &mut Messages, kind: u16, flags: u16) -> u32 {
        let number = messages.begin(kind, flags, self.family, 0);
        messages.text(TABLE, self.table);
        messages.text(CHAIN, self.name);
        number
    }
}

/// Where the source address stands in a packet of a family.
fn source(family: u8) -> u32 {
    match family {
        2 => 12,
        _ => 8,
    }
}

/// Reads expressions: the source address is loaded, perhaps masked, and compared; packets are
/// counted; then it is decided. `None` for anything else.
fn read(list: &[u8], family: u8, notes: Option<Vec<u8>>) -> Option<(Model, Vec<u8>)> {
    let mut model = Model {
        notes,
        ..Model::default()
    };
    let mut address = None;
    let (mut counted, mut decided) = (false, false);
    for (_, item) in netlink::attributes(list) {
        let (name, data) = expression(item)?;
        let (loaded, compared) = (!model.load.is_empty(), address.is_some());
        match name {
            _ if decided => return None,
            b"payload" if !loaded && loads_source(data, family) => {
                copy(&mut model.load, name, data);
            }
            b"bitwise" if loaded && !compared => copy(&mut model.load, name, data),
            b"cmp" if loaded && !compared => {
                let (register, value) = comparison(data)?;
                model.register = register.to_vec();
                model.length = value.len();
                address = Some(value.to_vec());
            }
            // as new: what was counted is no part of the rule
            b"counter" if compared && !counted => {
                counted = true;
                count(&mut model.verdict);
            }
            b"immediate" if counted => {
                decided = true;
                copy(&mut model.verdict, name, data);
            }
            b"target" if counted && rejects(data) => {
                decided = true;
                copy(&mut model.verdict, name, data);
            }
            _ => return None,
        }
    }
    decided.then_some((model, address?))
}

/// Name and attributes of an expression.
fn expression(item: &[u8]) -> Option<(&[u8], &[u8])> {
    Some((get(item, NAME)?.strip_suffix(b"\0")?, get(item, DATA)?))
}

fn get(list: &[u8], wanted: u16) -> Option<&[u8]> {
    netlink::attributes(list)
        .find(|(kind, _)| *kind == wanted)
        .map(|(_, value)| value)
}

fn number(list: &[u8], wanted: u16) -> Option<u32> {
    get(list, wanted)?
        .first_chunk()
        .map(|number| u32::from_be_bytes(*number))
}

fn copy(list: &mut Vec<u8>, name: &[u8], data: &[u8]) {
    let mut item = Messages::default();
    item.nested(LIST_ITEM, |item| {
        item.attribute(NAME, &[name, b"\0"].concat());
        item.nested(DATA, |inner| inner.encoded(data));
    });
    list.extend(item.bytes);
}

/// A counter that has counted nothing.
fn count(list: &mut Vec<u8>) {
    let mut zero = Messages::default();
    for kind in [1, 2] {
        zero.attribute(kind, &[0; 8]);
    }
    copy(list, b"counter", &zero.bytes);
}

fn loads_source(data: &[u8], family: u8) -> bool {
    number(data, LOAD_BASE) == Some(NETWORK_HEADER)
        && number(data, LOAD_OFFSET) == Some(source(family))
}

/// Register and value of a comparison for equality.
fn comparison(data: &[u8]) -> Option<(&[u8], &[u8])> {
    if number(data, COMPARE_OPERATION) != Some(EQUAL) {
        return None;
    }
    let value = get(get(data, COMPARE_DATA)?, VALUE)?;
    Some((get(data, COMPARE_REGISTER)?, value))
}

/// Whether a target is the one that rejects: it keeps nothing in its rule but how.
fn rejects(data: &[u8]) -> bool {
    get(data, NAME) == Some(b"REJECT\0")
}
