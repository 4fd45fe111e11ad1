//! Firewall commands known by their shape, carried out without a shell and many at a time.

pub mod audit_timer;
pub mod drops;
pub mod inherited;
pub mod ipset;
pub mod iptables;
pub mod leftover;
pub mod member;
pub mod netlink;
mod nft_transaction;
pub mod nftables;
pub mod place;
pub mod route;
pub mod set_refcount;
pub mod sets;

use self::inherited::StandingBan;
use self::member::{Kind, Member};
use self::place::Place;
use self::route::Route;
use self::set_refcount::Single;
use crate::exec::script::Script;
use crate::exec::syntax::{self, Word};

/// Programs that change the firewall, whatever stands behind their names.
const PROGRAMS: [&str; 6] = [
    "iptables",
    "ip6tables",
    "nft",
    "ipset",
    "firewall-cmd",
    "ip",
];

/// The words of a plain call of a firewall's program that has values of the ticket in it. Each value
/// stays within its word: a blank in an id adds no argument.
pub fn call(script: &Script) -> Option<Vec<String>> {
    let (text, values) = script.shape();
    if values.is_empty() {
        return None;
    }
    let words = syntax::plain_words(text)?;
    let program = words.first()?.literal()?;
    let name = program.rsplit('/').next()?;
    if !PROGRAMS.contains(&name.trim_end_matches("-nft").trim_end_matches("-legacy")) {
        return None;
    }
    // it joins its arguments and reads them as a language of its own
    let syntax = |c: char| name == "nft" && (c.is_control() || ";{}\"'#\\".contains(c));
    let clean = |value: &str| value.replace(syntax, "_");
    let word = |word: &Word| word.with_values(values, clean);
    words.iter().map(word).collect()
}

/// A change of the firewall whose effect is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A rule of iptables.
    Rule(iptables::Change),
    /// A member of a set.
    Member(Member),
    /// A route that leads nowhere.
    Route(Route),
}

impl Change {
    /// Reads a command; `None` for anything but one such change.
    pub fn recognise(script: &Script) -> Option<Change> {
        if !script.variables.is_empty() || script.splits_values() {
            return None;
        }
        let text = &script.text;
        if let Some(member) = sets::recognise(script) {
            return Some(Change::Member(member));
        }
        if let Some(route) = Route::recognise(text) {
            return Some(Change::Route(route));
        }
        iptables::Call::recognise(text)?.change().map(Change::Rule)
    }

    /// Whether it lifts this ban of one address, and nothing else.
    pub fn lifts(&self, ban: &Change) -> bool {
        let same = match (self, ban) {
            (Change::Rule(this), Change::Rule(ban)) => this.deletes() && !ban.deletes(),
            (Change::Member(this), Change::Member(ban)) => {
                this.kind == Kind::Delete && ban.kind == Kind::Add
            }
            _ => false,
        };
        let whole = |(network, _): &StandingBan| network.prefix_len() == network.max_prefix_len();
        let (lifted, banned) = (inherited::standing(self), inherited::standing(ban));
        same && self.place() == ban.place()
            && banned.as_ref().is_some_and(whole)
            && lifted == banned
    }

    /// Where it is made.
    pub fn place(&self) -> Place {
        match self {
            Change::Rule(rule) => Place::Chain(rule.place()),
            Change::Member(member) => member.place(),
            Change::Route(route) => route.place(),
        }
    }
}

/// Changes for one program, to be applied together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Program and arguments.
    pub arguments: Vec<String>,
    /// What it reads.
    pub input: String,
    /// Which of the changes it makes, by position.
    pub members: Vec<usize>,
    /// What it changes: transactions of the same program and place must keep their order.
    pub place: String,
}

impl Transaction {
    /// Whether both change the same, so that one must not overtake the other.
    pub fn follows(&self, other: &Transaction) -> bool {
        self.arguments == other.arguments && self.place == other.place
    }
}
