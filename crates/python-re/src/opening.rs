//! What a match of a regex begins with, from its tree alone, and whether there is a line that it does not
//! match at all.

use super::ast::{Assertion, Greed, Node};
use super::class::CharClass;
use super::first_set::Bytes;

/// Whether every match starts at the start of the text.
pub(crate) fn is_anchored(node: &Node) -> bool {
    match node {
        Node::Assert(Assertion::TextStart) => true,
        Node::Concat(nodes) => {
            // What stands before the anchor must not consume anything.
            let lead = nodes.iter().take_while(|n| !is_anchored(n)).count();
            lead < nodes.len() && nodes[..lead].iter().all(|n| matches!(n, Node::Look { .. }))
        }
        Node::Alternation(nodes) => nodes.iter().all(is_anchored),
        Node::Group { node, .. } | Node::Atomic(node) => is_anchored(node),
        _ => false,
    }
}

/// What every text that `root` matches begins with; `None`: anything.
pub(crate) fn opening(root: &Node) -> Option<Bytes> {
    let (bytes, empty) = first(root);
    (is_anchored(root) && !empty).then_some(bytes)
}

/// What a match can begin with if it is not empty, and whether it may be empty.
fn first(node: &Node) -> (Bytes, bool) {
    match node {
        Node::Empty | Node::Assert(_) | Node::Look { .. } => (Bytes::NONE, true),
        Node::Class(class) => (Bytes::of_class(class), false),
        Node::Concat(nodes) => {
            let mut bytes = Bytes::NONE;
            for node in nodes {
                let (more, empty) = first(node);
                bytes = bytes.or(more);
                if !empty {
                    return (bytes, false);
                }
            }
            (bytes, true)
        }
        Node::Alternation(nodes) => either(nodes.iter()),
        Node::Conditional { yes, no, .. } => either([&**yes, &**no].into_iter()),
        Node::Repeat { max: Some(0), .. } => (Bytes::NONE, true),
        Node::Repeat { node, min, .. } => {
            let (bytes, empty) = first(node);
            (bytes, empty || *min == 0)
        }
        Node::Group { node, .. } | Node::Atomic(node) => first(node),
        Node::Backref { .. } => (Bytes::ALL, true),
    }
}

fn either<'n>(nodes: impl Iterator<Item = &'n Node>) -> (Bytes, bool) {
    nodes
        .map(first)
        .reduce(|(a, b), (c, d)| (a.or(c), b || d))
        .unwrap_or((Bytes::NONE, true))
}

/// Whether `root` matches every text of one line: a row of anything that may be the whole line,
/// and around it only what may be left out. So most prefregexes are.
pub(crate) fn matches_every_line(root: &Node) -> bool {
    let alone = [root];
    let nodes: Vec<&Node> = match root {
        Node::Concat(nodes) => nodes.iter().collect(),
        _ => alone.to_vec(),
    };
    let skipped =
        |node: &&&Node| **node == &Node::Assert(Assertion::TextStart) || may_be_left_out(node);
    let before = nodes.iter().take_while(skipped).count();
    let Some((row, after)) = nodes[before..].split_first() else {
        return false;
    };
    is_whole_line(row) && after.iter().all(|n| n.is_dollar() || may_be_left_out(n))
}

/// Whether going on without it is one of the ways that are tried.
fn may_be_left_out(node: &Node) -> bool {
    match node {
        Node::Empty => true,
        Node::Repeat { min, greed, .. } => *min == 0 && *greed != Greed::Possessive,
        Node::Group { node, .. } => may_be_left_out(node),
        Node::Concat(nodes) => nodes.iter().all(may_be_left_out),
        Node::Alternation(nodes) => nodes.iter().any(may_be_left_out),
        _ => false,
    }
}

/// `.+`, `.*` or the like, captured or not.
pub(crate) fn is_whole_line(node: &Node) -> bool {
    match node {
        Node::Group { node, .. } => is_whole_line(node),
        Node::Repeat {
            node,
            min: 0 | 1,
            max: None,
            ..
        } => {
            matches!(&**node, Node::Class(class) if [false, true].iter().any(|n| *class == CharClass::dot(*n)))
        }
        _ => false,
    }
}
