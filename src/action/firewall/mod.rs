//! Firewall commands known by their shape, carried out without a shell and many at a time.

mod batch;
pub mod holders;
pub mod ipset;
pub mod iptables;
pub mod member;
pub mod monitor;
pub mod netlink;
pub mod nftables;
pub mod route;

use self::member::Member;
use self::route::Route;
use super::tags::Script;

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
        if !script.variables.is_empty() {
            return None;
        }
        let text = &script.text;
        if let Some(member) = Member::recognise(script) {
            return Some(Change::Member(member));
        }
        if let Some(route) = Route::recognise(text) {
            return Some(Change::Route(route));
        }
        iptables::Call::recognise(text)?.change().map(Change::Rule)
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
