//! Resolves conditionals `(?(group)yes|no)` before a search: where it is decided whether the group takes
//! part, the tree branches, and each branch gets its own copy of the rest.
//!
//! `(?:(a)|b)c(?(1)d|e)` becomes `(a)cd|bce`: the same alternatives in the same order. A copy also knows
//! better what must follow and which literals it needs: `(a)cd` is not tried on a text without a `d`.

use super::ast::{Greed, Node};
use super::class::CharClass;

/// Conditionals settled one within the other; each doubles the rest.
const MAX_DEPTH: u32 = 3;

/// `root` with the conditionals settled that stand on the way every match takes.
pub(crate) fn settle(root: Node) -> Node {
    settle_to(root, MAX_DEPTH)
}

fn settle_to(root: Node, depth: u32) -> Node {
    let Node::Concat(nodes) = root else {
        return root;
    };
    let parting = match depth {
        0 => None,
        _ => (0..nodes.len()).find_map(|at| {
            let group = tested(&nodes[at + 1..])
                .into_iter()
                .find(|group| holds(&nodes[at], *group))?;
            Some((at, group, part(&nodes[at], group)?))
        }),
    };
    let Some((at, group, ways)) = parting else {
        return Node::Concat(nodes);
    };
    let rest = &nodes[at + 1..];
    let ways = ways.into_iter().map(|(way, set)| {
        let mut whole = needs(rest, group, set);
        whole.push(way);
        whole.extend(rest.iter().map(|node| decided(node.clone(), group, set)));
        settle_to(Node::concat(whole), depth - 1)
    });
    let ways = Node::Alternation(ways.collect());
    let before = nodes[..at].iter().cloned();
    Node::concat(before.chain([ways]).collect())
}

/// The groups that conditionals in `nodes` test.
fn tested(nodes: &[Node]) -> Vec<usize> {
    let mut groups = Vec::new();
    let mut pending: Vec<&Node> = nodes.iter().collect();
    while let Some(node) = pending.pop() {
        if let Node::Conditional { index, .. } = node {
            groups.push(*index);
        }
        pending.extend(node.children());
    }
    groups
}

fn holds(node: &Node, group: usize) -> bool {
    node.any(&|node| matches!(node, Node::Group { index, .. } if *index == group))
}

/// The ways through `node` in the order they are tried, each with whether it sets the group;
/// `None` where that cannot be told.
fn part(node: &Node, group: usize) -> Option<Vec<(Node, bool)>> {
    if !holds(node, group) {
        return Some(vec![(node.clone(), false)]);
    }
    Some(match node {
        Node::Group { index, .. } if *index == group => vec![(node.clone(), true)],
        Node::Group { index, node } => {
            let around = |(way, set)| {
                let node = Box::new(way);
                (
                    Node::Group {
                        index: *index,
                        node,
                    },
                    set,
                )
            };
            part(node, group)?.into_iter().map(around).collect()
        }
        Node::Alternation(nodes) => {
            let ways: Option<Vec<_>> = nodes.iter().map(|node| part(node, group)).collect();
            ways?.concat()
        }
        Node::Concat(nodes) => {
            let at = nodes.iter().position(|node| holds(node, group))?;
            let around = |(way, set)| {
                let mut all = nodes.clone();
                all[at] = way;
                (Node::concat(all), set)
            };
            part(&nodes[at], group)?.into_iter().map(around).collect()
        }
        Node::Repeat {
            node,
            min: 0,
            max: Some(1),
            greed: greed @ (Greed::Greedy | Greed::Lazy),
        } => {
            let mut ways = part(node, group)?;
            match greed {
                Greed::Lazy => ways.insert(0, (Node::Empty, false)),
                _ => ways.push((Node::Empty, false)),
            }
            ways
        }
        _ => return None,
    })
}

/// `node` when it is known whether the group is set.
fn decided(node: Node, group: usize, set: bool) -> Node {
    node.map(&mut |node| match node {
        Node::Conditional { index, yes, no } if index == group => match set {
            true => *yes,
            false => *no,
        },
        node => node,
    })
}

/// A look ahead for what the rest needs somewhere because the group is set or not, if that is a
/// text.
fn needs(rest: &[Node], group: usize, set: bool) -> Vec<Node> {
    let chosen = rest.iter().find_map(|node| match node {
        Node::Conditional { index, yes, no } if *index == group => Some(if set { yes } else { no }),
        _ => None,
    });
    let text = match chosen.map(|node| &**node) {
        Some(Node::Concat(nodes)) => nodes.clone(),
        Some(node) => vec![node.clone()],
        None => Vec::new(),
    };
    let literal = |node: &Node| matches!(node, Node::Class(class) if class.as_literal().is_some());
    if text.is_empty() || !text.iter().all(literal) {
        return Vec::new();
    }
    let anything = Node::Repeat {
        node: Box::new(Node::Class(CharClass::dot(true))),
        min: 0,
        max: None,
        greed: Greed::Greedy,
    };
    let node = Node::Concat([vec![anything], text].concat());
    vec![Node::Look {
        behind: false,
        negative: false,
        node: Box::new(node),
    }]
}
