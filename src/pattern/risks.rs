//! What is legal in a regex but unwise, read off its tree: for people who check a configuration, not
//! for the daemon.

use super::FailRegex;
use python_re::ast::{Assertion, Node};
use python_re::class::range_bits;

/// What is unwise about a regex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Risks {
    /// Look-around, a back reference or the like: no linear engine can run it, so that a hostile line
    /// may use up the step limit.
    pub backtracks: bool,
    /// A `.*` or the like stands before the id, and nothing holds the end: whoever can write into the
    /// line behind the true address chooses whom to ban.
    pub injectable: bool,
    /// Global flags such as `(?i)` stand behind its beginning: the original refuses that where its
    /// Python is 3.11 or later.
    pub late_flags: bool,
}

impl FailRegex {
    /// What is unwise about it.
    pub fn risks(&self) -> Risks {
        let root = self.regex().root();
        let groups = self.groups();
        let ids = [groups.fid, groups.ip4, groups.ip6, groups.dns, groups.host];
        let start = RiskWalk {
            json: is_json(&root),
            ..RiskWalk::default()
        };
        let walk = walk(&root, &ids, start);
        Risks {
            backtracks: !self.regex().is_linear(),
            injectable: walk.open.iter().any(|open| open.swallows || open.is_led()),
            late_flags: self.has_late_flags(),
        }
    }
}

/// Members of a class among the ASCII characters.
type Set = u128;

/// What addresses consist of, and a blank.
const ADDRESS: Set = range_bits(b'0', b'9') | (1 << b'.') | (1 << b' ');

/// What ends the key of a JSON object: no client can write that into a value.
const KEY: Set = (1 << b'"') | (1 << b':');

/// Whether a regex is for the text of a JSON object: `{` is the first that must be there, but for blanks.
pub(super) fn is_json(root: &Node) -> bool {
    let Node::Concat(nodes) = root else {
        return false;
    };
    let mut nodes = nodes.iter();
    let is_blank = |node: &&Node| match node {
        Node::Repeat { node, .. } => {
            matches!(&**node, Node::Class(class) if class.ascii() & ADDRESS == 1 << b' ')
        }
        _ => false,
    };
    let is_start = |node: &Node| {
        matches!(
            node,
            Node::Assert(Assertion::TextStart | Assertion::LineStart)
        )
    };
    nodes.next().is_some_and(is_start)
        && nodes.find(|node| !is_blank(node)).is_some_and(
            |node| matches!(node, Node::Class(class) if class.as_literal() == Some('{')),
        )
}

/// A repeat that may hold text of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Free {
    /// What it matches.
    set: Set,
    /// What must stand between it and here.
    between: Set,
}

/// An id behind such a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OpenRisk {
    /// What the repeat matches.
    set: Set,
    /// What must stand between the two.
    before: Set,
    /// What must stand behind the id, so far.
    behind: Set,
    /// Behind it a repeat that may hold all of that, and so another id: an end anchor holds nothing
    /// then.
    swallows: bool,
}

impl OpenRisk {
    /// Whether the repeat may hold the id and what must stand behind it, so that another can be taken.
    fn is_led(&self) -> bool {
        self.set & self.behind == self.behind
    }
}

/// What stands between the beginning of a regex and some place in it.
#[derive(Clone, Debug, Default)]
struct RiskWalk {
    /// It is the text of a JSON object, in which quotes of a client are escaped.
    json: bool,
    free: Vec<Free>,
    /// Those that no end anchor holds so far.
    open: Vec<OpenRisk>,
}

impl RiskWalk {
    /// What holds when one of two ways was taken.
    fn or(mut self, other: RiskWalk) -> RiskWalk {
        merge(&mut self.free, other.free);
        merge(&mut self.open, other.open);
        self
    }

    /// One of these characters must stand here.
    fn pass(&mut self, set: Set) {
        // only what is certain counts
        if set.count_ones() == 1 {
            self.free.iter_mut().for_each(|free| free.between |= set);
            self.open.iter_mut().for_each(|open| open.behind |= set);
        }
    }

    /// A long repeat stands here.
    fn repeat(&mut self, set: Set) {
        for open in &mut self.open {
            let needed = ADDRESS & !(1 << b' ') | open.before | open.behind;
            open.swallows |= set & needed == needed && open.is_led();
        }
        if set & ADDRESS == ADDRESS {
            merge(&mut self.free, vec![Free { set, between: 0 }]);
        }
    }

    /// The id stands here.
    fn id(&mut self) {
        let json = self.json;
        let holds = |free: &&Free| {
            let is_key = json && free.between & KEY == KEY;
            free.set & free.between == free.between && !is_key
        };
        self.open = self
            .free
            .iter()
            .filter(holds)
            .map(|free| OpenRisk {
                set: free.set,
                before: free.between,
                behind: 0,
                swallows: false,
            })
            .collect();
    }
}

/// More ways through a regex are not kept apart.
const MOST: usize = 64;

/// Adds what is not there yet.
fn merge<T: PartialEq>(list: &mut Vec<T>, more: Vec<T>) {
    for one in more {
        if list.len() < MOST && !list.contains(&one) {
            list.push(one);
        }
    }
}

fn walk(node: &Node, ids: &[Option<usize>], mut before: RiskWalk) -> RiskWalk {
    match node {
        Node::Concat(nodes) => nodes.iter().fold(before, |at, node| walk(node, ids, at)),
        Node::Alternation(nodes) => nodes
            .iter()
            .map(|node| walk(node, ids, before.clone()))
            .reduce(RiskWalk::or)
            .unwrap_or_default(),
        Node::Conditional { yes, no, .. } => {
            walk(yes, ids, before.clone()).or(walk(no, ids, before))
        }
        Node::Repeat { node, min, max, .. } => {
            let set = free(node);
            if set != 0 && max.is_none_or(|max| max > 15) {
                before.repeat(set);
                return before;
            }
            let within = walk(node, ids, before.clone());
            match min {
                0 => before.or(within),
                _ => within,
            }
        }
        Node::Group { index, node } => {
            let mut within = walk(node, ids, before);
            if ids.contains(&Some(*index)) {
                within.id();
            }
            within
        }
        Node::Atomic(node) => walk(node, ids, before),
        Node::Class(class) => {
            before.pass(class.ascii());
            before
        }
        Node::Assert(
            Assertion::TextEnd | Assertion::TextEndOrFinalNewline | Assertion::LineEnd,
        ) => {
            before.open.retain(|open| open.swallows);
            before
        }
        Node::Look { .. } | Node::Assert(_) | Node::Backref { .. } | Node::Empty => before,
    }
}

/// The characters of which a repeat of this node may consist in any order, nearly; none where something
/// certain must stand among them that is no blank.
fn free(node: &Node) -> Set {
    let is_certain = |node: &Node| match node {
        Node::Class(class) => class.ascii().count_ones() == 1 && class.ascii() != 1 << b' ',
        // what is looked for holds the repeat where its class does not
        Node::Look { .. } => true,
        _ => false,
    };
    match node {
        Node::Class(class) => class.ascii(),
        Node::Concat(nodes) if nodes.iter().any(is_certain) => 0,
        Node::Concat(nodes) | Node::Alternation(nodes) => {
            nodes.iter().fold(0, |set, node| set | free(node))
        }
        Node::Repeat { node, .. } | Node::Group { node, .. } | Node::Atomic(node) => free(node),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::UseDns;

    fn risks(source: &str) -> Risks {
        let regex = FailRegex::new(source, UseDns::Warn, false).unwrap();
        regex.risks()
    }

    #[test]
    fn ids_behind_a_greedy_dot_need_an_end() {
        for (source, injectable) in [
            ("^login .* from <HOST>", true),
            ("^login .+ from <ADDR> port", true),
            ("^login (.*) from (?P<host>\\S+)", true),
            ("^(?:a|b .*) from <F-ID>\\S+</F-ID>", true),
            ("^login .* from <HOST>$", false),
            ("^login .* from <HOST>(?: port \\d+)?\\s*$", false),
            ("^login .*? from <HOST>", true),
            ("^login \\S* from <HOST>", false),
            ("^login \"[^\"]*\" from <HOST> .*", false),
            ("^login from <HOST> .*", false),
            ("^a .* from <HOST>(?:$| x)", true),
            ("^a .* from <HOST>.*$", true),
            ("^a .* from <HOST> .+$", true),
            ("^a .* from <HOST>.*?$", true),
            ("^a .* from <HOST>[^\"]*$", true),
            ("^a .* from <HOST>(?: .*)?$", true),
            ("^a .* from <HOST>(?:$|: .*$)", true),
            ("^a .* from <HOST> rejected: .{0,256}$", true),
            ("^a .* from <HOST>(?:\\s+\\S+)*$", true),
            ("^a .* from <HOST>(?:.|\\n)*$", true),
            ("^a \\S+(?: \\S+)* from <HOST> .+$", true),
            ("^a (?:[^\"]|\\\\\")* from <HOST>[^,]*$", true),
            ("^a [^\"]* from <HOST>.*$", true),
            ("^a [\\w .]+ from <HOST>", true),
            ("^a user=(.*),ip=<HOST>\\S*$", true),
            ("^a user=<(.*)>, rip=<HOST>(?:, \\w+=[^<>,=]*)*$", false),
            ("^a .* rip=<HOST>(?:, \\w+=<[^<>]*>)*$", false),
            ("^a \"[^\"]*\" from <HOST>: .*$", false),
            ("^a .* from <HOST>: \"[^\"]*\"$", false),
            (
                "^a \"b user=(?:[^\"\\\\]|\\\\.)* ip=<ADDR>\"(?:,.*)?\\}$",
                false,
            ),
            ("^a [^\"]*\" from <HOST>[^\"]*$", false),
            ("^a (?:(?! from ).)* from <HOST>.*$", false),
            (r#"^\s*\{.*"ip":"<HOST>".*$"#, false),
            (r#"^\{.* "ip": "<HOST>""#, false),
            (r#"^\{.* from <HOST>.*\}$"#, true),
            (r#"^x \{.*"ip":"<HOST>".*$"#, true),
            ("^a .* from <HOST>\\S*$", false),
            ("^a .* from <HOST>(?: port \\d+)? \\[\\w+\\]$", false),
        ] {
            assert_eq!(risks(source).injectable, injectable, "{source}");
        }
    }

    #[test]
    fn the_linear_engine_runs_most() {
        for (source, backtracks) in [
            ("^login from <HOST>$", false),
            ("^(?!x)login from <HOST>$", true),
            ("^(a|b)\\1 from <HOST>$", true),
        ] {
            assert_eq!(risks(source).backtracks, backtracks, "{source}");
        }
    }

    #[test]
    fn flags_behind_the_beginning() {
        assert!(risks("^x (?i)y <HOST>$").late_flags);
        assert!(!risks("(?i)^x y <HOST>$").late_flags);
        assert!(!risks("^x ((?i)y) (?i:z) <HOST>$").late_flags);
    }
}
