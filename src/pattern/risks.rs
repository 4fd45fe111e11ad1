//! What is legal in a regex but unwise, read off its tree: for people who check a configuration, not
//! for the daemon.

use super::FailRegex;
use python_re::ast::{Assertion, Greed, Node};

/// What is unwise about a regex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Risks {
    /// Look-around, a back reference or the like: no linear engine can run it, so that a hostile line
    /// may use up the step limit.
    pub backtracks: bool,
    /// A greedy `.*` stands before the id and nothing holds the end: whoever can write into the line
    /// behind the true address chooses whom to ban.
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
        let walk = walk(&root, &ids, Walk::default());
        Risks {
            backtracks: !self.regex().is_linear(),
            injectable: walk.open_id,
            late_flags: self.has_late_flags(),
        }
    }
}

/// What stands between the beginning of a regex and some place in it.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    /// A greedy repeat that runs over anything.
    greedy: bool,
    /// An id after such a repeat, with no end anchor behind it so far.
    open_id: bool,
    /// Behind that id a repeat that runs over (almost) anything: an end anchor holds nothing then.
    swallows: bool,
}

impl Walk {
    /// What holds when one of two ways was taken.
    fn or(self, other: Walk) -> Walk {
        Walk {
            greedy: self.greedy || other.greedy,
            open_id: self.open_id || other.open_id,
            swallows: self.swallows || other.swallows,
        }
    }
}

fn walk(node: &Node, ids: &[Option<usize>], before: Walk) -> Walk {
    match node {
        Node::Concat(nodes) => nodes.iter().fold(before, |at, node| walk(node, ids, at)),
        Node::Alternation(nodes) => nodes
            .iter()
            .map(|node| walk(node, ids, before))
            .reduce(Walk::or)
            .unwrap_or(before),
        Node::Repeat {
            node,
            max: None,
            greed: Greed::Greedy | Greed::Possessive,
            ..
        } if is_anything(node) => Walk {
            greedy: true,
            swallows: before.open_id,
            ..before
        },
        Node::Repeat { node, max, .. }
            if before.open_id && max.is_none_or(|max| max > 15) && is_almost_anything(node) =>
        {
            Walk {
                swallows: true,
                ..before
            }
        }
        Node::Group { index, node } => {
            let within = walk(node, ids, before);
            match before.greedy && ids.contains(&Some(*index)) {
                true => Walk {
                    open_id: true,
                    swallows: false,
                    ..within
                },
                false => within,
            }
        }
        Node::Repeat { node, .. } | Node::Atomic(node) => walk(node, ids, before),
        Node::Conditional { yes, no, .. } => walk(yes, ids, before).or(walk(no, ids, before)),
        Node::Assert(
            Assertion::TextEnd | Assertion::TextEndOrFinalNewline | Assertion::LineEnd,
        ) => Walk {
            open_id: before.open_id && before.swallows,
            ..before
        },
        Node::Look { .. }
        | Node::Assert(_)
        | Node::Backref { .. }
        | Node::Class(_)
        | Node::Empty => before,
    }
}

/// Whether it matches nearly any character, blanks included, as `[^"]` does.
fn is_almost_anything(node: &Node) -> bool {
    match node {
        Node::Class(class) => {
            let set = class.ascii();
            let holes = (b' '..=b'~').filter(|c| set & (1 << c) == 0);
            set & (1 << b' ') != 0 && holes.count() <= 8
        }
        Node::Group { node, .. } => is_almost_anything(node),
        _ => false,
    }
}

/// Whether it matches any character that is printed: a class with a hole is held by what stands there.
fn is_anything(node: &Node) -> bool {
    match node {
        Node::Class(class) => {
            let set = class.ascii();
            (b' '..=b'~').all(|c| set & (1 << c) != 0)
        }
        Node::Group { node, .. } => is_anything(node),
        _ => false,
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
            ("^login .*? from <HOST>", false),
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
