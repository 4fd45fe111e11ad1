//! Firewall commands of known form, applied without a shell and many at a time.

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

use std::ops::Deref;
use std::time::Duration;

use self::iptables::Rule;
use self::member::Member;
use self::place::{Expiry, FirewallPlace, StandingBan};
use self::route::Route;
use crate::exec::process::{ExitOutcome, Invocation};
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

/// Bytes of a printed table beyond which it is not read.
const LARGEST_TABLE: usize = 64 << 20;

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
    Rule(Rule),
    /// A member of a set.
    Member(Member),
    /// A route that leads nowhere.
    Route(Route),
}

/// Reads a command; `None` for anything but one change of its kind.
type ChangeReader = fn(&str) -> Option<Change>;

/// A word that stands in all commands of a kind, for a cheap look, and what reads them.
const READERS: [(&str, ChangeReader); 4] = [
    ("ipset", |text| ipset::read(text).map(Change::Member)),
    ("nft", |text| nftables::read(text).map(Change::Member)),
    ("route", |text| Route::read(text).map(Change::Route)),
    ("tables", |text| Rule::read(text).map(Change::Rule)),
];

/// What is asked of a change, of whichever kind it is. A firewall is a file that reads its commands into a kind of
/// change and answers this for it, and a row in [`READERS`]; what else it needs is in docs/howto.md, and the
/// compiler asks for it.
pub trait FirewallChange {
    /// Where it is made.
    fn place(&self) -> FirewallPlace;

    /// Whether it puts something in, and does not take it out.
    fn adds(&self) -> bool;

    /// How its ban stands in its place; `None` when that is not known.
    fn ban(&self) -> Option<StandingBan>;

    /// How long it stays when it comes now; `None` where each who wants it has a copy of his own. Of all
    /// else there is one, however many want it.
    fn until(&self) -> Option<Expiry>;
}

impl Deref for Change {
    type Target = dyn FirewallChange;

    fn deref(&self) -> &Self::Target {
        match self {
            Change::Rule(rule) => rule,
            Change::Member(member) => member,
            Change::Route(route) => route,
        }
    }
}

impl Change {
    /// Reads a command; `None` for anything but one change.
    pub fn recognise(script: &Script) -> Option<Change> {
        if !script.variables.is_empty() || script.splits_values() {
            return None;
        }
        let text = &script.text;
        let mut readers = READERS.iter().filter(|(word, _)| text.contains(word));
        readers.find_map(|(_, read)| read(text))
    }

    /// Whether it lifts this ban of one address, and nothing else.
    pub fn lifts(&self, ban: &Change) -> bool {
        let whole = |(network, _): &StandingBan| network.prefix_len() == network.max_prefix_len();
        let (lifted, banned) = (self.ban(), ban.ban());
        let turns_back = !self.adds() && ban.adds() && self.place() == ban.place();
        turns_back && banned.as_ref().is_some_and(whole) && lifted == banned
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

/// What a program prints that prints a whole table; `None` when it fails or prints too much.
pub async fn print_table(program: &[String], limit: Duration) -> Option<String> {
    let save = Invocation {
        output_limit: LARGEST_TABLE,
        ..Invocation::new(program, limit)
    };
    let save = save.run().await.ok()?;
    let whole = save.ending == ExitOutcome::Code(0) && save.stdout.len() < LARGEST_TABLE;
    whole.then(|| String::from_utf8_lossy(&save.stdout).into_owned())
}
