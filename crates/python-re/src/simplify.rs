//! Removes look-arounds from a tree without changing what it matches, because a tree without them runs on
//! the linear engine.
//!
//! * A look-behind for one character that every path has just consumed is always true, as the one in
//!   `:(?<=:):`.
//! * The look-aheads `(?=\b|\W|$)` and `(?=^|\b|\W)` only ask whether the position is inside a word.

use super::ast::{Assertion, Greed, Node};
use super::class::{AsciiSet, Category, CharClass, ClassItem};

/// Applies all rewrites.
pub(crate) fn simplify(mut root: Node) -> Node {
    root.rewrite(&mut boundary_lookaheads);
    drop_lookbehinds(&mut root, Before::UNKNOWN);
    root.rewrite(&mut merge_repeats);
    root
}

/// The characters that may stand before a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Before {
    ascii: AsciiSet,
    /// Possibly something beyond ASCII, or the start of the text.
    other: bool,
}

impl Before {
    const UNKNOWN: Before = Before {
        ascii: !0,
        other: true,
    };
    const NONE: Before = Before {
        ascii: 0,
        other: false,
    };

    fn or(self, more: Before) -> Before {
        Before {
            ascii: self.ascii | more.ascii,
            other: self.other || more.other,
        }
    }

    fn only(self, class: &CharClass) -> bool {
        !self.other && self.ascii & !class.ascii() == 0
    }
}

/// Rewrites `node`, which follows one of the characters `before`; tells what may stand before the
/// place after it.
fn drop_lookbehinds(node: &mut Node, before: Before) -> Before {
    match node {
        Node::Look {
            behind: true,
            negative: false,
            node: inner,
        } => {
            if matches!(&**inner, Node::Class(class) if before.only(class)) {
                *node = Node::Empty;
            }
            before
        }
        Node::Look {
            behind: false,
            node,
            ..
        } => {
            drop_lookbehinds(node, before);
            before
        }
        Node::Look { .. } | Node::Empty | Node::Assert(_) => before,
        Node::Class(class) => Before {
            ascii: class.ascii(),
            other: class.reaches_beyond_ascii(),
        },
        Node::Concat(nodes) => {
            let after = nodes
                .iter_mut()
                .fold(before, |place, node| drop_lookbehinds(node, place));
            node.flatten();
            after
        }
        Node::Alternation(nodes) => nodes.iter_mut().fold(Before::NONE, |place, node| {
            place.or(drop_lookbehinds(node, before))
        }),
        Node::Repeat { node, min, max, .. } => {
            // A later round follows an earlier one. What follows a round depends on what comes
            // before it only if the round can be empty, so that one step settles it.
            let again = match max {
                Some(0 | 1) => before,
                _ => before.or(after(node, before)),
            };
            let after = drop_lookbehinds(node, again);
            if *min == 0 { after.or(before) } else { after }
        }
        Node::Group { node, .. } | Node::Atomic(node) => drop_lookbehinds(node, before),
        Node::Backref { .. } => Before::UNKNOWN,
        Node::Conditional { yes, no, .. } => {
            drop_lookbehinds(yes, before).or(drop_lookbehinds(no, before))
        }
    }
}

/// What may stand before the place after `node`.
fn after(node: &Node, before: Before) -> Before {
    match node {
        Node::Class(class) => Before {
            ascii: class.ascii(),
            other: class.reaches_beyond_ascii(),
        },
        Node::Empty | Node::Look { .. } | Node::Assert(_) => before,
        Node::Concat(nodes) => nodes.iter().fold(before, |place, n| after(n, place)),
        Node::Alternation(nodes) => nodes
            .iter()
            .fold(Before::NONE, |place, n| place.or(after(n, before))),
        Node::Repeat { node, min: 0, .. } => before.or(after(node, before)),
        Node::Repeat { node, .. } => after(node, before),
        Node::Group { node, .. } | Node::Atomic(node) => after(node, before),
        Node::Backref { .. } => Before::UNKNOWN,
        Node::Conditional { yes, no, .. } => after(yes, before).or(after(no, before)),
    }
}

/// Recognises the look-aheads around dates.
fn boundary_lookaheads(node: &mut Node) {
    let Node::Concat(nodes) = node else {
        if let Some(ascii) = closing_boundary(node) {
            *node = Node::Assert(Assertion::NotInsideWord { ascii });
        }
        return;
    };
    for i in 0..nodes.len() {
        // At the very end of the text the opening form can fail where `NotInsideWord` holds; it
        // makes no difference when at least one character must follow.
        if let Some(ascii) = opening_boundary(&nodes[i])
            && nodes[i + 1..].iter().any(|n| n.min_width() > 0)
        {
            nodes[i] = Node::Assert(Assertion::NotInsideWord { ascii });
        }
    }
}

/// `(?=\b|\W|$)` in any order: whether it is ASCII's idea of words.
fn closing_boundary(node: &Node) -> Option<bool> {
    boundary(node, |assertion| {
        matches!(
            assertion,
            Assertion::TextEndOrFinalNewline | Assertion::LineEnd | Assertion::TextEnd
        )
    })
}

/// `(?=^|\b|\W)` in any order.
fn opening_boundary(node: &Node) -> Option<bool> {
    boundary(node, |assertion| assertion == Assertion::TextStart)
}

fn boundary(node: &Node, edge: impl Fn(Assertion) -> bool) -> Option<bool> {
    let Node::Look {
        behind: false,
        negative: false,
        node,
    } = node
    else {
        return None;
    };
    let Node::Alternation(branches) = &**node else {
        return None;
    };
    let mut word = None;
    let mut nonword = None;
    let mut at_edge = false;
    for branch in branches {
        match branch {
            Node::Assert(Assertion::WordBoundary { ascii }) => word = Some(*ascii),
            Node::Assert(assertion) if edge(*assertion) => at_edge = true,
            Node::Class(class) if is_nonword(class) => nonword = Some(class.ascii),
            _ => return None,
        }
    }
    match (word, nonword) {
        (Some(word), Some(nonword)) if word == nonword && at_edge => Some(word),
        _ => None,
    }
}

fn is_nonword(class: &CharClass) -> bool {
    let nonword = ClassItem::Category {
        category: Category::Word,
        negated: true,
    };
    class.items[..] == [nonword] && !class.negated
}

/// `X*` around nothing but `X*` and the like, left over from tags, is kept; only a repeat that can
/// have no effect goes, since the engines refuse to repeat what is not there.
fn merge_repeats(node: &mut Node) {
    let Node::Repeat {
        node: inner,
        min,
        max,
        greed,
    } = node
    else {
        return;
    };
    let by = match &mut **inner {
        inner if *max == Some(0) && !has_group(inner) => Node::Empty,
        Node::Empty => Node::Empty,
        // Tests of the neighbourhood: once is as good as often, and none is always allowed.
        inner @ (Node::Assert(_) | Node::Look { .. }) if !has_group(inner) => match min {
            0 => Node::Empty,
            _ => std::mem::replace(inner, Node::Empty),
        },
        _ => {
            if Some(*min) == *max && *greed == Greed::Lazy {
                *greed = Greed::Greedy;
            }
            return;
        }
    };
    *node = by;
}

fn has_group(node: &Node) -> bool {
    node.any(&|n| matches!(n, Node::Group { .. }))
}
