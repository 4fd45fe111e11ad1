//! Transactions of nf_tables: many changes that the kernel applies as a whole or not at all.
//!
//! In: numbered changes. Out: which of them were applied. Those that the kernel refuses are left out and the
//! others are tried again, so that one never fails the rest.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use netlink_packet_core::NLM_F_ACK;

use super::netlink::{self, Body, Channel, Messages};

/// The subsystem's number in front of a message's own.
pub(super) const SUBSYSTEM: u16 = 10 << 8;
/// The subsystem by its own number, where a transaction says whose it is.
const RESOURCE: u16 = 10;
const BEGIN: u16 = 16;
const END: u16 = 17;
const GET_GENERATION: u16 = SUBSYSTEM | 16;
const GENERATION: u16 = 1;

/// How often a transaction is tried again without what the kernel refused in it.
const ROUNDS: usize = 3;

/// Carries changes out and answers which of them are done. `write` appends the message of a change
/// and answers its number. With a `generation` nothing is done unless it is still that of the
/// tables.
pub(super) fn carry_out(
    channel: &Channel,
    mut wanted: Vec<usize>,
    generation: Option<u32>,
    write: impl Fn(&mut Messages, usize) -> u32,
) -> Vec<usize> {
    for _ in 0..ROUNDS {
        if wanted.is_empty() {
            break;
        }
        match transaction(channel, &wanted, generation, &write) {
            None => break,
            Some(refused) if refused.is_empty() => return wanted,
            Some(refused) => wanted.retain(|at| !refused.contains(at)),
        }
    }
    Vec::new()
}

/// Tries a transaction; answers which of its changes the kernel refused, and then none was done, or
/// `None` when nobody knows.
pub(super) fn transaction(
    channel: &Channel,
    wanted: &[usize],
    generation: Option<u32>,
    write: impl Fn(&mut Messages, usize) -> u32,
) -> Option<Vec<usize>> {
    let mut messages = Messages::default();
    messages.begin(BEGIN, 0, 0, RESOURCE);
    if let Some(generation) = generation {
        messages.attribute(GENERATION, &generation.to_be_bytes());
    }
    messages.end();
    let numbers: HashMap<u32, usize> = wanted
        .iter()
        .map(|&at| (write(&mut messages, at), at))
        .collect();
    // the answer to the last one tells that all were tried
    let last = messages.add_flags(NLM_F_ACK);
    messages.begin(END, 0, 0, RESOURCE);
    messages.end();

    let mut refused = Vec::new();
    let (mut heard_last, mut failed) = (false, false);
    channel
        .exchange(&messages, |answer| {
            let Body::Result(code) = answer.body else {
                return;
            };
            heard_last |= answer.sequence == last;
            if code != 0 {
                match numbers.get(&answer.sequence) {
                    Some(&at) => refused.push(at),
                    None => failed = true,
                }
            }
        })
        .ok()?;
    (heard_last && !failed).then_some(refused)
}

/// The number that grows by one with every transaction.
pub(super) fn generation(channel: &Channel) -> Option<u32> {
    let mut messages = Messages::default();
    messages.begin(GET_GENERATION, 0, 0, 0);
    messages.end();
    let mut generation = None;
    let asked = channel.exchange(&messages, |answer| {
        if let Body::Message(_, bytes) = answer.body {
            generation = netlink::attributes(bytes)
                .find(|(kind, _)| *kind == GENERATION)
                .and_then(|(_, value)| value.first_chunk())
                .map(|number| u32::from_be_bytes(*number));
        }
    });
    asked.ok().and(generation)
}
