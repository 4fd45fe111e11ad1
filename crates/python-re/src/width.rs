//! How many characters a node can match: Python refuses a look-behind of variable width.

use super::ast::Node;

/// Least and greatest number of characters; `u64::MAX` means unbounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Width {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

/// The width of `node`; `group` tells the width of a group that a back-reference names.
pub(crate) fn width(node: &Node, group: &dyn Fn(usize) -> Width) -> Width {
    let either = |a: Width, b: Width| Width {
        min: a.min.min(b.min),
        max: a.max.max(b.max),
    };
    match node {
        Node::Empty | Node::Look { .. } | Node::Assert(_) => Width { min: 0, max: 0 },
        Node::Class(_) => Width { min: 1, max: 1 },
        Node::Concat(nodes) => {
            nodes
                .iter()
                .map(|n| width(n, group))
                .fold(Width { min: 0, max: 0 }, |sum, w| Width {
                    min: sum.min.saturating_add(w.min),
                    max: sum.max.saturating_add(w.max),
                })
        }
        Node::Alternation(nodes) => nodes
            .iter()
            .map(|n| width(n, group))
            .reduce(either)
            .unwrap_or(Width { min: 0, max: 0 }),
        Node::Repeat { node, min, max, .. } => {
            let once = width(node, group);
            Width {
                min: once.min.saturating_mul(u64::from(*min)),
                max: match max {
                    Some(max) => once.max.saturating_mul(u64::from(*max)),
                    None if once.max == 0 => 0,
                    None => u64::MAX,
                },
            }
        }
        Node::Group { node, .. } | Node::Atomic(node) => width(node, group),
        Node::Backref { index, .. } => group(*index),
        Node::Conditional { yes, no, .. } => either(width(yes, group), width(no, group)),
    }
}
