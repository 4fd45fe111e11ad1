//! Commands of `iptables` and `ip6tables`: parsed from the text of an action file, run without a shell, or
//! many at a time in one `iptables-restore --noflush`.
//!
//! A transaction leaves the same rules in the same order as its commands one by one would; it is applied as a
//! whole or not at all.
#![forbid(unsafe_code)]

use super::place::{Expiry, FirewallPlace, StandingBan};
use super::{FirewallChange, Transaction};
use crate::exec::syntax;

pub mod copies;
pub mod sweep;

/// Programs that take these commands, each with the one that restores.
const PROGRAMS: [(&str, &str); 6] = [
    ("iptables", "iptables-restore"),
    ("ip6tables", "ip6tables-restore"),
    ("iptables-nft", "iptables-nft-restore"),
    ("ip6tables-nft", "ip6tables-nft-restore"),
    ("iptables-legacy", "iptables-legacy-restore"),
    ("ip6tables-legacy", "ip6tables-legacy-restore"),
];

/// One rule added or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    restore: String,
    wait: Vec<String>,
    table: String,
    chain: String,
    effect: Effect,
    /// The rule without the chain's name in front.
    rule: String,
    /// As spelled out, from the command on.
    line: String,
}

/// What happens to the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It comes in at this place, counted from 1.
    Insert(u32),
    /// It comes in at the end.
    Append,
    /// The first one like it goes.
    Delete,
}

/// Deletions in one transaction. Each searches its chain from the top: 5 ms for the oldest of
/// 10,000 rules, and nobody else can change the firewall meanwhile.
const DELETIONS: usize = 200;

impl Rule {
    /// Reads a command; `None` when it is anything but one plain call that adds or deletes one rule, or has
    /// words that a transaction might read differently.
    pub fn read(text: &str) -> Option<Rule> {
        let arguments = syntax::plain_command(text)?;
        let (program, rest) = arguments.split_first()?;
        let (directory, name) = split_path(program);
        let (_, restore) = PROGRAMS.iter().find(|(known, _)| *known == name)?;
        let mut change = Rule {
            restore: format!("{directory}{restore}"),
            wait: Vec::new(),
            table: "filter".to_owned(),
            chain: String::new(),
            effect: Effect::Append,
            rule: String::new(),
            line: String::new(),
        };
        let mut words = Vec::new();
        let mut rest = rest.iter().map(String::as_str).peekable();
        while let Some(word) = rest.next() {
            match word {
                "-w" | "--wait" => {
                    change.wait = vec!["-w".to_owned()];
                    if let Some(seconds) = rest.next_if(|word| is_number(word)) {
                        change.wait.push(seconds.to_owned());
                    }
                }
                "-t" | "--table" => change.table = plain(rest.next()?)?.to_owned(),
                word => words.push(plain(word)?),
            }
        }
        let (command, chain) = (words.first()?, words.get(1)?);
        let rule = match *command {
            "-I" | "--insert" | "-A" | "--append" | "-D" | "--delete" => words.get(2..)?,
            _ => return None,
        };
        // `-D CHAIN 3` names a rule by its place, which changes as the transaction goes on
        let by_place =
            matches!(*command, "-D" | "--delete") && rule.first().is_none_or(|w| is_number(w));
        let second_command = rule.iter().any(|word| is_command(word));
        if chain.starts_with('-') || by_place || second_command || rule.is_empty() {
            return None;
        }
        let (effect, rule) = match (*command, rule) {
            ("-I" | "--insert", [place, rule @ ..]) if is_number(place) => {
                (Effect::Insert(place.parse().ok()?), rule)
            }
            ("-I" | "--insert", rule) => (Effect::Insert(1), rule),
            ("-A" | "--append", rule) => (Effect::Append, rule),
            (_, rule) => (Effect::Delete, rule),
        };
        change.chain = (*chain).to_owned();
        change.effect = effect;
        change.rule = rule.join(" ");
        change.line = words.join(" ");
        Some(change)
    }

    /// The name of the chain alone.
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// The table of the chain.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The call that lists the rules of its chain, and fails where there is no such chain.
    pub fn list(&self) -> Vec<String> {
        let program = self.restore.strip_suffix("-restore");
        let program = program.unwrap_or(&self.restore).to_owned();
        let words = ["-t", &self.table, "-S", &self.chain].map(str::to_owned);
        let wait = self.wait.iter().cloned();
        std::iter::once(program).chain(wait).chain(words).collect()
    }

    /// Whether a rule goes.
    pub fn deletes(&self) -> bool {
        self.effect == Effect::Delete
    }

    /// Whether both can be part of one transaction.
    pub fn fits(&self, other: &Rule) -> bool {
        self.restore == other.restore && self.wait == other.wait && self.table == other.table
    }
}

impl FirewallChange for Rule {
    fn place(&self) -> FirewallPlace {
        let place = [&self.restore, &self.table, &self.chain].map(String::as_str);
        FirewallPlace::Chain(place.join(" "))
    }

    fn adds(&self) -> bool {
        !self.deletes()
    }

    fn ban(&self) -> Option<StandingBan> {
        sweep::standing(self)
    }

    fn until(&self) -> Option<Expiry> {
        None
    }
}

/// Puts changes into few transactions that keep their order within each program and table; tables
/// and programs do not see each other.
pub fn transactions(changes: &[&Rule]) -> Vec<Transaction> {
    let mut open: Vec<(&Rule, usize, Transaction)> = Vec::new();
    let mut done = Vec::new();
    for (position, change) in changes.iter().enumerate() {
        let at = open
            .iter()
            .position(|(first, _, _)| first.fits(change))
            .unwrap_or_else(|| {
                open.push((change, 0, begin(change)));
                open.len() - 1
            });
        let (_, deletions, transaction) = &mut open[at];
        if change.deletes() && *deletions == DELETIONS {
            done.push(std::mem::replace(transaction, begin(change)));
            *deletions = 0;
        }
        *deletions += usize::from(change.deletes());
        transaction.input.push_str(&change.line);
        transaction.input.push('\n');
        transaction.members.push(position);
    }
    done.extend(open.into_iter().map(|(_, _, transaction)| transaction));
    for transaction in &mut done {
        transaction.input.push_str("COMMIT\n");
    }
    done
}

fn begin(change: &Rule) -> Transaction {
    let mut arguments = vec![change.restore.clone(), "--noflush".to_owned()];
    arguments.extend(change.wait.iter().cloned());
    Transaction {
        arguments,
        input: format!("*{}\n", change.table),
        members: Vec::new(),
        place: change.table.clone(),
    }
}

fn split_path(program: &str) -> (&str, &str) {
    program.split_at(program.rfind('/').map_or(0, |slash| slash + 1))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// A word that means the same on a command line and in a transaction.
fn plain(word: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:,+@%!=".contains(&byte);
    (!word.is_empty() && word.bytes().all(plain)).then_some(word)
}

/// Options that are commands themselves, or change what others do.
fn is_command(word: &str) -> bool {
    const LONG: [&str; 12] = [
        "--append",
        "--check",
        "--delete",
        "--insert",
        "--replace",
        "--list",
        "--flush",
        "--zero",
        "--new-chain",
        "--delete-chain",
        "--rename-chain",
        "--policy",
    ];
    let short = |word: &str| {
        let mut chars = word.chars();
        chars.next() == Some('-')
            && chars
                .next()
                .is_some_and(|c| "ACDIRLSFZNXEPvnxhVWM46".contains(c))
    };
    LONG.contains(&word) || (!word.starts_with("--") && short(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAN: &str =
        "iptables -w -I f2b-sshd 1 -s 192.0.2.1 -j REJECT --reject-with icmp-port-unreachable";

    #[test]
    fn rules_become_lines() {
        let insert = Rule::read(BAN).unwrap();
        assert_eq!(insert.restore, "iptables-restore");
        assert_eq!(insert.wait, ["-w"]);
        assert_eq!(
            insert.line,
            "-I f2b-sshd 1 -s 192.0.2.1 -j REJECT --reject-with icmp-port-unreachable"
        );
        let delete =
            Rule::read("/sbin/ip6tables -w 5 -t mangle -D c -s 2001:db8::/32 -j DROP").unwrap();
        assert_eq!(delete.restore, "/sbin/ip6tables-restore");
        assert_eq!(delete.wait, ["-w", "5"]);
        assert_eq!(
            (delete.table.as_str(), delete.line.as_str()),
            ("mangle", "-D c -s 2001:db8::/32 -j DROP")
        );
    }

    #[test]
    fn what_a_transaction_cannot_take_is_refused() {
        for text in [
            "iptables -F c",
            "iptables -N c",
            "iptables -C c -s 192.0.2.1 -j DROP",
            "iptables -D c 3",
            "iptables -I c",
            "iptables -A c -s 192.0.2.1 -j LOG --log-prefix 'a b'",
            "iptables -A c -s 192.0.2.1 -j DROP -v",
            "iptables -A c -s 192.0.2.1 -j DROP -F",
            "iptables -v -A c -s 192.0.2.1",
            "iptables -A c -s 192.0.2.1; reboot",
            "iptables -A c -s 192.0.2.1 || true",
            "iptables -A c -s $ip",
            "iptables -A c -s 192.0.2.1 >/dev/null",
            "myiptables -A c -s 192.0.2.1",
            "echo iptables -A c -s 192.0.2.1",
        ] {
            assert_eq!(Rule::read(text), None, "{text}");
        }
    }

    #[test]
    fn many_deletions_are_parted() {
        let changes: Vec<Rule> = (0..450)
            .map(|n| format!("iptables -D c -s 10.0.{}.{} -j DROP", n / 256, n % 256))
            .filter_map(|text| Rule::read(&text))
            .collect();
        let changes: Vec<&Rule> = changes.iter().collect();
        let transactions = transactions(&changes);
        let sizes: Vec<usize> = transactions.iter().map(|t| t.members.len()).collect();
        assert_eq!(sizes, [200, 200, 50]);
        assert!(
            transactions
                .windows(2)
                .all(|pair| pair[1].follows(&pair[0]))
        );
        assert!(
            transactions
                .iter()
                .flat_map(|t| &t.members)
                .copied()
                .eq(0..450)
        );
    }

    #[test]
    fn transactions_keep_order_and_part_programs() {
        let changes: Vec<Rule> = [
            "iptables -w -I c 1 -s 192.0.2.1 -j DROP",
            "ip6tables -w -I c 1 -s 2001:db8::1 -j DROP",
            "iptables -w -D c -s 192.0.2.7 -j DROP",
        ]
        .into_iter()
        .filter_map(Rule::read)
        .collect();
        let changes: Vec<&Rule> = changes.iter().collect();
        let transactions = transactions(&changes);
        assert_eq!(transactions.len(), 2);
        assert_eq!(
            transactions[0].arguments,
            ["iptables-restore", "--noflush", "-w"]
        );
        assert_eq!(
            transactions[0].input,
            "*filter\n-I c 1 -s 192.0.2.1 -j DROP\n-D c -s 192.0.2.7 -j DROP\nCOMMIT\n"
        );
        assert_eq!(transactions[0].members, [0, 2]);
        assert_eq!(
            transactions[1].input,
            "*filter\n-I c 1 -s 2001:db8::1 -j DROP\nCOMMIT\n"
        );
    }
}
