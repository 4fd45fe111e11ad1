//! A tree → the source of a linear program.
//!
//! Nothing of the user's source reaches the engine: literals are escaped, classes are written
//! out, flags are gone, groups have numbers only.

use std::fmt::Write;

use super::ast::{Assertion, Greed, Node};
use super::class::push_ascii_set;

/// Whether the linear engine can run `node` exactly, for ASCII texts or for all.
///
/// `$` counts as linear: what is written for it is exact where newlines end the text only.
pub(super) fn is_linear(node: &Node, ascii: bool) -> bool {
    !node.any(&|n| match n {
        Node::Atomic(_)
        | Node::Look { .. }
        | Node::Backref { .. }
        | Node::Conditional { .. }
        | Node::Repeat {
            greed: Greed::Possessive,
            ..
        } => true,
        // The engine's word characters beyond ASCII are not Python's.
        Node::Assert(
            Assertion::WordBoundary { .. }
            | Assertion::NotWordBoundary { .. }
            | Assertion::NotInsideWord { .. },
        ) => !ascii,
        // Which rounds may be empty, and what a group holds after one, differs.
        Node::Repeat { node, max, .. } => *max != Some(1) && node.min_width() == 0,
        _ => false,
    })
}

/// Writes the program of a tree that `is_linear` for texts of that kind.
pub(super) fn emit(node: &Node, ascii: bool) -> String {
    let mut out = String::new();
    Emitter {
        ascii,
        out: &mut out,
    }
    .node(node, Place::Alternation);
    out
}

/// How tightly the surroundings bind: whether a node needs a group of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Alternation,
    Sequence,
    Atom,
}

struct Emitter<'a> {
    ascii: bool,
    out: &'a mut String,
}

impl Emitter<'_> {
    fn node(&mut self, node: &Node, place: Place) {
        match node {
            Node::Class(class) if self.ascii => push_ascii_set(self.out, class.ascii()),
            Node::Class(class) => class.unicode(self.out),
            Node::Concat(nodes) => self.wrapped("(?:", place > Place::Sequence, |e| {
                nodes.iter().for_each(|n| e.node(n, Place::Sequence));
            }),
            Node::Alternation(nodes) => {
                self.wrapped("(?:", place > Place::Alternation, |e| {
                    for (i, node) in nodes.iter().enumerate() {
                        if i > 0 {
                            e.out.push('|');
                        }
                        e.node(node, Place::Sequence);
                    }
                });
            }
            Node::Repeat {
                node,
                min,
                max,
                greed,
            } => self.wrapped("(?:", place > Place::Sequence, |e| {
                e.node(node, Place::Atom);
                e.count(*min, *max);
                if *greed == Greed::Lazy {
                    e.out.push('?');
                }
            }),
            Node::Group { node, .. } => {
                self.wrapped("(", true, |e| e.node(node, Place::Alternation));
            }
            Node::Assert(assertion) => self.assertion(*assertion),
            // The others are not linear: `is_linear` refuses them, `relaxed` removes them.
            Node::Empty
            | Node::Atomic(_)
            | Node::Look { .. }
            | Node::Backref { .. }
            | Node::Conditional { .. } => self.out.push_str("(?:)"),
        }
    }

    fn wrapped(&mut self, open: &str, wrap: bool, inside: impl FnOnce(&mut Self)) {
        if wrap {
            self.out.push_str(open);
        }
        inside(self);
        if wrap {
            self.out.push(')');
        }
    }

    fn count(&mut self, min: u32, max: Option<u32>) {
        let _ = match (min, max) {
            (0, None) => write!(self.out, "*"),
            (1, None) => write!(self.out, "+"),
            (0, Some(1)) => write!(self.out, "?"),
            (min, None) => write!(self.out, "{{{min},}}"),
            (min, Some(max)) if min == max => write!(self.out, "{{{min}}}"),
            (min, Some(max)) => write!(self.out, "{{{min},{max}}}"),
        };
    }

    fn assertion(&mut self, assertion: Assertion) {
        self.out.push_str(match assertion {
            Assertion::TextStart => r"\A",
            Assertion::LineStart => "(?m:^)",
            Assertion::TextEnd => r"\z",
            Assertion::LineEnd | Assertion::TextEndOrFinalNewline => "(?m:$)",
            Assertion::WordBoundary { .. } => r"\b",
            Assertion::NotWordBoundary { .. } => r"\B",
            Assertion::NotInsideWord { .. } => r"(?:\b{start-half}|\b{end-half})",
        });
    }
}
