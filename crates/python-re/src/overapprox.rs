//! Makes a superset of a tree that the linear engine can run: it matches wherever the original does, and
//! perhaps elsewhere. It runs before the backtracker gets its full number of steps; what it rejects in
//! linear time cannot use them up.

use super::ast::{Assertion, Greed, Node};
use super::class::CharClass;

/// The superset. Groups are dropped, for only "somewhere or nowhere" is asked of it.
pub(crate) fn overapproximated(root: Node, ascii: bool) -> Node {
    root.map(&mut |node| match node {
        Node::Look { .. } => Node::Empty,
        Node::Backref { .. } => Node::Repeat {
            node: Box::new(Node::Class(CharClass::dot(true))),
            min: 0,
            max: None,
            greed: Greed::Greedy,
        },
        Node::Conditional { yes, no, .. } => Node::Alternation(vec![*yes, *no]),
        Node::Atomic(node) | Node::Group { node, .. } => *node,
        Node::Repeat { node, .. } if *node == Node::Empty => Node::Empty,
        Node::Repeat {
            node,
            min,
            max,
            greed: Greed::Possessive,
        } => Node::Repeat {
            node,
            min,
            max,
            greed: Greed::Greedy,
        },
        Node::Assert(
            Assertion::WordBoundary { .. }
            | Assertion::NotWordBoundary { .. }
            | Assertion::NotInsideWord { .. },
        ) if !ascii => Node::Empty,
        node => node,
    })
}
