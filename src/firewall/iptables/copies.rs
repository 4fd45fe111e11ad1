//! Rules of `iptables` over nftables put in and taken out by netlink: copies of a rule that the
//! program itself has made.
//!
//! The first rule of each shape is made by the program and read back from the kernel; from then on
//! rules that differ from it by the address alone are written as it was, so they are byte for byte
//! what the program would have written, whichever version it is. Only rules that look at the source
//! address and then decide are copied; everything else, and the old iptables, whose rules the kernel
//! does not show here, is left to the program.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use super::super::ipset::network;
use super::super::netlink::{Channel, Messages};
use super::super::nft_transaction;
use super::{Effect, Rule};
use rule::{Chain, Model};

mod rule;

/// Changes in one transaction.
const TOGETHER: usize = 1000;

/// Shapes kept.
const SHAPES: usize = 256;

/// How often a shape is tried to be learned: somebody else may change the firewall in the same
/// moment.
const TRIES: u8 = 5;

/// What rules have in common that differ by the address alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RuleShape {
    program: String,
    table: String,
    prefix: u8,
    /// What stands behind the address.
    rest: String,
}

/// What is known of a shape.
#[derive(Clone, Debug)]
enum Knowledge {
    /// How its rules are written.
    Known(Arc<Model>),
    /// Tried so many times.
    Unknown(u8),
}

/// How a change can be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// By netlink.
    Known,
    /// By the program, and then others like it by netlink.
    Learnable,
    /// By the program.
    Foreign,
}

/// What is known of the shapes of rules. A copy is the same.
#[derive(Clone, Debug, Default)]
pub struct Models(Arc<Mutex<HashMap<RuleShape, Knowledge>>>);

impl Models {
    /// How a change can be carried out now.
    pub fn standing(&self, change: &Rule) -> Standing {
        let Some((shape, _)) = shape(change) else {
            return Standing::Foreign;
        };
        match self.knowledge(&shape) {
            Knowledge::Known(_) => Standing::Known,
            Knowledge::Unknown(tries) if tries < TRIES && !change.deletes() => Standing::Learnable,
            Knowledge::Unknown(_) => Standing::Foreign,
        }
    }

    fn shapes(&self) -> MutexGuard<'_, HashMap<RuleShape, Knowledge>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knowledge(&self, shape: &RuleShape) -> Knowledge {
        let shapes = self.shapes();
        match shapes.get(shape) {
            Some(knowledge) => knowledge.clone(),
            None if shapes.len() < SHAPES => Knowledge::Unknown(0),
            None => Knowledge::Unknown(TRIES),
        }
    }

    /// Before the program makes a rule; `None` when there is nothing to be learned.
    pub fn lesson<'a>(&'a self, change: &'a Rule) -> Option<Lesson<'a>> {
        if self.standing(change) != Standing::Learnable {
            return None;
        }
        let channel = Channel::open().ok()?;
        // the chains of the old iptables are not among those of the kernel's tables
        if chain(change).exists(&channel) != Some(true) {
            return None;
        }
        let generation = nft_transaction::generation(&channel)?;
        Some(Lesson {
            models: self,
            channel,
            generation,
            change,
        })
    }

    fn known<'a>(&self, change: &'a Rule) -> Option<KnownModel<'a>> {
        let (shape, network) = shape(change)?;
        let Knowledge::Known(model) = self.knowledge(&shape) else {
            return None;
        };
        let mut address = octets(&network);
        address.truncate(model.length);
        Some(KnownModel {
            change,
            model,
            address,
        })
    }

    /// Carries changes out in their order; answers for each whether that was done. What is not
    /// [`Standing::Known`] is not.
    pub fn apply(&self, changes: &[&Rule]) -> Vec<bool> {
        let mut done = vec![false; changes.len()];
        let known: Vec<(usize, KnownModel<'_>)> = changes
            .iter()
            .enumerate()
            .filter_map(|(at, change)| Some((at, self.known(change)?)))
            .collect();
        if known.is_empty() {
            return done;
        }
        // without netlink everything is left to programs
        let Ok(channel) = Channel::open() else {
            return done;
        };
        for run in known.chunk_by(|(_, one), (_, other)| one.goes_with(other)) {
            let rules: Vec<&KnownModel<'_>> = run.iter().map(|(_, known)| known).collect();
            let results = match rules.first() {
                Some(first) if first.change.deletes() => delete(&channel, first.change, &rules),
                _ => add(&channel, &rules),
            };
            for at in results {
                done[run[at].0] = true;
            }
        }
        done
    }
}

/// The shape of the rule that a change concerns, and its address; `None` when it has none or is
/// not at an end of its chain.
fn shape(change: &Rule) -> Option<(RuleShape, IpNet)> {
    let (source, rest) = change.rule.strip_prefix("-s ")?.split_once(' ')?;
    let network = network(source)?;
    let at_end = !matches!(change.effect, Effect::Insert(place) if place != 1);
    let of_family = (family(change) == V6) == matches!(network, IpNet::V6(_));
    (at_end && of_family).then(|| {
        let shape = RuleShape {
            program: change.restore.clone(),
            table: change.table.clone(),
            prefix: network.prefix_len(),
            rest: rest.to_owned(),
        };
        (shape, network)
    })
}

/// The kernel's numbers of families.
const V4: u8 = 2;
const V6: u8 = 10;

/// Whether a change is one of IPv6.
pub fn is_v6(change: &Rule) -> bool {
    change.restore.contains("ip6tables")
}

/// Whether the kernel's tables have the chain of a change.
pub fn chain_exists(channel: &Channel, change: &Rule) -> Option<bool> {
    chain(change).exists(channel)
}

fn family(change: &Rule) -> u8 {
    match is_v6(change) {
        true => V6,
        false => V4,
    }
}

fn chain(change: &Rule) -> Chain<'_> {
    Chain {
        family: family(change),
        table: &change.table,
        name: &change.chain,
    }
}

fn octets(network: &IpNet) -> Vec<u8> {
    match network {
        IpNet::V4(net) => net.network().octets().to_vec(),
        IpNet::V6(net) => net.network().octets().to_vec(),
    }
}

/// Watches the program make a rule, to learn how it is written.
#[derive(Debug)]
pub struct Lesson<'a> {
    models: &'a Models,
    channel: Channel,
    generation: u32,
    change: &'a Rule,
}

impl Lesson<'_> {
    /// After it has made the rule.
    pub fn end(self) {
        let Some((shape, network)) = shape(self.change) else {
            return;
        };
        let model = self.model(&network);
        let mut shapes = self.models.shapes();
        let knowledge = shapes.entry(shape).or_insert(Knowledge::Unknown(0));
        match (model, &knowledge) {
            (Some(model), _) => *knowledge = Knowledge::Known(Arc::new(model)),
            (None, Knowledge::Unknown(before)) => {
                *knowledge = Knowledge::Unknown(before.saturating_add(1));
            }
            (None, Knowledge::Known(_)) => {}
        }
    }

    /// How the rule is written. The tables must have changed this one time only, and not while they
    /// were read, so that the rule where the program was to put it is its own.
    fn model(&self, network: &IpNet) -> Option<Model> {
        let mut rules = chain(self.change).rules(&self.channel)?;
        let once = self.generation.wrapping_add(1);
        if nft_transaction::generation(&self.channel) != Some(once) || rules.is_empty() {
            return None;
        }
        let made = match self.change.effect {
            Effect::Append => rules.pop()?,
            _ => rules.swap_remove(0),
        };
        let (model, address) = made.read?;
        let whole = octets(network).starts_with(&address)
            && address.len() * 8 >= usize::from(network.prefix_len());
        whole.then_some(model)
    }
}

/// A change whose rule can be copied.
struct KnownModel<'a> {
    change: &'a Rule,
    model: Arc<Model>,
    address: Vec<u8>,
}

impl KnownModel<'_> {
    /// Whether both are put in, or taken out of the same chain.
    fn goes_with(&self, other: &KnownModel<'_>) -> bool {
        let (one, other) = (self.change, other.change);
        one.deletes() == other.deletes()
            && (!one.deletes() || (one.fits(other) && one.chain == other.chain))
    }
}

/// Puts rules in; answers which.
fn add(channel: &Channel, rules: &[&KnownModel<'_>]) -> Vec<usize> {
    let write = |messages: &mut Messages, at: usize| {
        let rule = rules[at];
        let end = rule.change.effect == Effect::Append;
        chain(rule.change).add(messages, &rule.model, &rule.address, end)
    };
    let every: Vec<usize> = (0..rules.len()).collect();
    every
        .chunks(TOGETHER)
        .flat_map(|part| nft_transaction::carry_out(channel, part.to_vec(), None, write))
        .collect()
}

/// Takes rules out of the chain of `sample`, for each the first one like it; answers which.
fn delete(channel: &Channel, sample: &Rule, rules: &[&KnownModel<'_>]) -> Vec<usize> {
    let chain = chain(sample);
    let (Some(before), Some(there)) = (nft_transaction::generation(channel), chain.rules(channel))
    else {
        return Vec::new();
    };
    let mut handles: HashMap<(Model, Vec<u8>), VecDeque<[u8; 8]>> = HashMap::new();
    for rule in there {
        if let Some(key) = rule.read {
            handles.entry(key).or_default().push_back(rule.handle);
        }
    }
    let found: Vec<(usize, [u8; 8])> = rules
        .iter()
        .enumerate()
        .filter_map(|(at, rule)| {
            let key = (Model::clone(&rule.model), rule.address.clone());
            Some((at, handles.get_mut(&key)?.pop_front()?))
        })
        .collect();
    let write = |messages: &mut Messages, at: usize| chain.delete(messages, found[at].1);
    let every: Vec<usize> = (0..found.len()).collect();
    let mut done = Vec::new();
    for (count, part) in (0..).zip(every.chunks(TOGETHER)) {
        // handles mean these rules as long as nobody else has changed the tables
        let generation = Some(before.wrapping_add(count));
        let gone = nft_transaction::carry_out(channel, part.to_vec(), generation, write);
        let whole = gone.len() == part.len();
        done.extend(gone.into_iter().map(|at| found[at].0));
        if !whole {
            break;
        }
    }
    done
}
