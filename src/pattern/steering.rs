//! Whether a client can choose whom a regex accuses, or what an id consists of: read off the tree, for
//! people who check a configuration and for the reading of it.

use super::FailRegex;
use super::risks::is_json;
use python_re::ast::Node;
use python_re::class::CharClass;

/// Why a client can choose whom a regex accuses, though its end is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steering {
    /// Any text may stand before the id and behind it: a client that writes into the line on one side
    /// only may write what is read as another id, and the true one falls to the text on the other.
    BothSides,
    /// Any text may stand before the `rhost=` of PAM, which writes the user behind it.
    BehindRhost,
    /// A port may follow an IPv6 address with nothing but a colon between them: where it does, it can be
    /// read as the end of the address, and the client chooses its port.
    Port,
}

impl FailRegex {
    /// How a client may choose whom this regex accuses.
    pub fn steering(&self) -> Option<Steering> {
        let groups = self.groups();
        let ids = [groups.ip6, groups.fid, groups.ip4, groups.dns, groups.host];
        let root = self.regex().root();
        let start = SteeringWalk {
            json: is_json(&root),
            ..SteeringWalk::default()
        };
        walk(&root, &ids, start).steering
    }

    /// Whether the id can hold more than the characters of names and addresses: letters and digits of
    /// ASCII and `. : - _ / @ + =`. Written out, such an id cannot change a command it gets into.
    pub fn has_open_id(&self) -> bool {
        let Some(index) = self.groups().fid else {
            return false;
        };
        let is_open = |node: &Node| match node {
            Node::Class(class) => !is_plain(class),
            Node::Backref { .. } => true,
            _ => false,
        };
        let is_id = |node: &Node| matches!(node, Node::Group { index: i, node } if *i == index && node.any(&is_open));
        self.regex().root().any(&is_id)
    }
}

/// Whether all members are characters of names and addresses.
fn is_plain(class: &CharClass) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b".:-_/@+=".contains(&c);
    let set = class.ascii();
    // the digits and letters beyond ASCII that `\d` and `\w` have mean nothing to a shell
    !class.negated && (0..128u8).all(|c| plain(c) || set & (1 << c) == 0)
}

/// What stands between the beginning of a regex and some place in it.
#[derive(Clone, Debug, Default)]
struct SteeringWalk {
    /// It is the text of a JSON object, in which quotes of a client are escaped.
    json: bool,
    /// Any text may stand there.
    text: bool,
    /// So it may, and an id behind it.
    id: bool,
    /// An IPv6 address ends there.
    ip6: bool,
    /// The literal that ends there.
    literal: String,
    steering: Option<Steering>,
}

impl SteeringWalk {
    fn or(self, other: SteeringWalk) -> SteeringWalk {
        SteeringWalk {
            json: self.json,
            text: self.text || other.text,
            id: self.id || other.id,
            ip6: self.ip6 || other.ip6,
            literal: match self.literal == other.literal {
                true => self.literal,
                false => String::new(),
            },
            steering: self.steering.or(other.steering),
        }
    }
}

fn walk(node: &Node, ids: &[Option<usize>], mut before: SteeringWalk) -> SteeringWalk {
    match node {
        Node::Concat(nodes) => nodes.iter().fold(before, |at, node| walk(node, ids, at)),
        Node::Alternation(nodes) => nodes
            .iter()
            .map(|node| walk(node, ids, before.clone()))
            .reduce(SteeringWalk::or)
            .unwrap_or_default(),
        Node::Conditional { yes, no, .. } => {
            walk(yes, ids, before.clone()).or(walk(no, ids, before))
        }
        Node::Repeat { node, min, max, .. } => {
            let long = max.is_none_or(|max| max > 15);
            let missing = printable_missing(node).filter(|_| long);
            if missing.is_some_and(|missing| missing <= 1) && before.id {
                before.steering.get_or_insert(Steering::BothSides);
            }
            if *min == 0 && before.ip6 && is_port(node) {
                before.steering.get_or_insert(Steering::Port);
            }
            before.text |= missing == Some(0);
            let within = walk(node, ids, before.clone());
            match min {
                // what may be missing is not what ends there
                0 => SteeringWalk {
                    literal: before.literal.clone(),
                    ..before.or(within)
                },
                _ => within,
            }
        }
        Node::Group { index, node } => {
            let is_value = before.json && before.literal.contains("\":");
            if ids.contains(&Some(*index)) && before.text && !is_value {
                before.id = true;
                if before.literal.ends_with("rhost=") {
                    before.steering.get_or_insert(Steering::BehindRhost);
                }
            }
            let mut within = walk(node, ids, before);
            within.ip6 |= ids[0] == Some(*index);
            within
        }
        Node::Atomic(node) => walk(node, ids, before),
        Node::Class(class) => {
            before.ip6 = false;
            match class.as_literal() {
                Some(c) => before.literal.push(c),
                None => before.literal.clear(),
            }
            before
        }
        Node::Look { .. } | Node::Assert(_) | Node::Backref { .. } | Node::Empty => before,
    }
}

/// Whether it begins with a colon and may go on with a digit.
fn is_port(node: &Node) -> bool {
    let may_be_digit = |node: &Node| {
        node.any(&|node| matches!(node, Node::Class(class) if class.ascii() & (1 << b'0') != 0))
    };
    match node {
        Node::Concat(nodes) => match &nodes[..] {
            [Node::Class(colon), digits, ..] => {
                colon.as_literal() == Some(':') && may_be_digit(digits)
            }
            _ => false,
        },
        Node::Group { node, .. } => is_port(node),
        _ => false,
    }
}

/// How many printable characters it does not match, if it matches one at a time, blanks among them.
fn printable_missing(node: &Node) -> Option<u32> {
    match node {
        Node::Class(class) => {
            let set = class.ascii();
            if set & (1 << b' ') == 0 {
                return None;
            }
            let missing = (b' '..=b'~').filter(|c| set & (1 << c) == 0).count();
            u32::try_from(missing).ok()
        }
        Node::Group { node, .. } => printable_missing(node),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::UseDns;

    fn regex(source: &str) -> FailRegex {
        FailRegex::new(source, UseDns::Warn, false).unwrap()
    }

    #[test]
    fn text_on_both_sides_of_an_id_steers() {
        use Steering::{BehindRhost, BothSides, Port};
        for (source, expected) in [
            ("^failed for .* from <HOST>$", None),
            ("^failed for .* from <HOST>(?: port \\d+)?$", None),
            ("^failed for .* from <HOST>: .*$", Some(BothSides)),
            ("^failed for .*? from <HOST>(?:: .*)?$", Some(BothSides)),
            ("^a \"(?:[^\"]+|.*)\", <ADDR>, \"[^\"]*\"$", Some(BothSides)),
            ("^failed for \\S+ from <HOST>: .*$", None),
            ("^failed <ADDR>: .*$", None),
            (
                "^from (?:x|.*y) <F-ID>\\w+</F-ID> .{1,200}$",
                Some(BothSides),
            ),
            (
                "^pam: .* rhost=<HOST>(?:\\s+user=\\S*)?\\s*$",
                Some(BehindRhost),
            ),
            ("^pam: ruser=\\S* rhost=<HOST>$", None),
            ("^pam: .* from <HOST>$", None),
            ("^x .* from <HOST>(?: via \\S+)?$", None),
            ("^\\[client <HOST>(:\\d{1,5})?\\] x", Some(Port)),
            ("^\\[client <HOST>\\](:\\d{1,5})? x", None),
            ("^from <HOST>(?:: [a-z]+)?$", None),
            (r#"^\{.*"ip":"<HOST>".*$"#, None),
            (r#"^\{.*ip=<HOST>.*$"#, Some(BothSides)),
            ("^\\[client <IP4>(:\\d{1,5})?\\] x", None),
        ] {
            assert_eq!(regex(source).steering(), expected, "{source}");
        }
    }

    #[test]
    fn ids_of_any_characters_are_open() {
        for (source, open) in [
            ("^x <F-ID>\\S+</F-ID>$", true),
            ("^x <F-ID/>$", true),
            ("^x <F-ID>[^\\]\\s]+</F-ID>$", true),
            ("^x <F-ID>.+</F-ID>$", true),
            ("^x <F-ID>(?:[a-z]+|\\d+ \\d+)</F-ID>$", true),
            ("^x <F-ID>[a-z]+</F-ID> .*$", false),
            ("^x <F-ID><ADDR>/\\d+</F-ID>$", true),
            ("^x <F-ID><IP4>/\\d+</F-ID>$", false),
            ("^x <F-ID>\\w+(?:-\\w+)*</F-ID>$", false),
            ("^x <HOST> .*$", false),
        ] {
            assert_eq!(regex(source).has_open_id(), open, "{source}");
        }
    }
}
