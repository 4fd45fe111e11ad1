//! A tree → one that the linear engine can run and that matches wherever the original does, and
//! more. It stands before the machine's full number of steps: what it rejects in linear time never
//! gets a chance to use them up.

use super::ast::{Assertion, Greed, Node};
use super::class::Class;

/// The superset. Groups are dropped, for only "somewhere or nowhere" is asked of it.
pub(crate) fn relaxed(root: Node, ascii: bool) -> Node {
    root.map(&mut |node| match node {
        Node::Look { .. } => Node::Empty,
        Node::Backref { .. } => Node::Repeat {
            node: Box::new(Node::Class(Class::dot(true))),
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
