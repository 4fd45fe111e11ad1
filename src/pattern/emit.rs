//! A tree → the text of a program for one of the two engines.
//!
//! Nothing of the user's source reaches an engine: literals are escaped, classes are written out,
//! flags are gone, groups have numbers only. What is written means the same to both engines,
//! apart from the look-arounds, atomic groups, back-references and conditionals, which only the
//! backtracking engine has.

use std::fmt::Write;

use super::ast::{Assertion, Greed, Node};
use super::class::{NEVER, push_ascii_set};

/// What a program may assume and what its engine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// The text is ASCII.
    pub(super) ascii: bool,
    /// The engine has look-arounds.
    pub(super) backtracking: bool,
    /// The text may hold newlines before its last character.
    pub(super) inner_newlines: bool,
}

/// Whether the linear engine can run `node` exactly.
pub(super) fn is_linear(node: &Node, dialect: Dialect) -> bool {
    !node.any(&|n| match n {
        Node::Atomic(_)
        | Node::Look { .. }
        | Node::Backref { .. }
        | Node::Conditional { .. }
        | Node::Repeat {
            greed: Greed::Possessive,
            ..
        } => true,
        Node::Assert(Assertion::TextEndOrFinalNewline) => dialect.inner_newlines,
        // The engine's word characters beyond ASCII are not Python's.
        Node::Assert(
            Assertion::WordBoundary { .. }
            | Assertion::NotWordBoundary { .. }
            | Assertion::NotInsideWord { .. },
        ) => !dialect.ascii,
        // What a group holds after an empty round differs between the engines.
        Node::Repeat { node, max, .. } => {
            *max != Some(1)
                && node.min_width() == 0
                && node.any(&|n| matches!(n, Node::Group { .. }))
        }
        _ => false,
    })
}

/// Writes the program.
pub(super) fn emit(node: &Node, dialect: Dialect) -> String {
    let mut out = String::new();
    Emitter {
        dialect,
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
    dialect: Dialect,
    out: &'a mut String,
}

impl Emitter<'_> {
    fn node(&mut self, node: &Node, place: Place) {
        match node {
            Node::Empty => self.grouped(place > Place::Sequence, |_| {}),
            Node::Class(class) if self.dialect.ascii => {
                push_ascii_set(self.out, class.ascii());
            }
            Node::Class(class) => class.unicode(self.out),
            Node::Concat(nodes) => self.grouped(place > Place::Sequence, |e| {
                for node in nodes {
                    e.node(node, Place::Sequence);
                }
            }),
            Node::Alternation(nodes) => self.grouped(place > Place::Alternation, |e| {
                e.separated(nodes.iter());
            }),
            Node::Repeat {
                node,
                min,
                max,
                greed,
            } => {
                let possessive = *greed == Greed::Possessive;
                let open = if possessive { "(?>" } else { "(?:" };
                let wrap = possessive || place > Place::Sequence;
                self.wrapped(open, wrap, |e| {
                    e.repeatable(node);
                    e.count(*min, *max);
                    if *greed == Greed::Lazy {
                        e.out.push('?');
                    }
                });
            }
            Node::Group { node, .. } => {
                self.wrapped("(", true, |e| e.node(node, Place::Alternation));
            }
            Node::Atomic(node) => {
                self.wrapped("(?>", true, |e| e.node(node, Place::Alternation));
            }
            Node::Look {
                behind,
                negative,
                node,
            } => {
                let open = match (behind, negative) {
                    (false, false) => "(?=",
                    (false, true) => "(?!",
                    (true, false) => "(?<=",
                    (true, true) => "(?<!",
                };
                self.wrapped(open, true, |e| e.node(node, Place::Alternation));
            }
            Node::Backref { index, ignore_case } => {
                let open = if *ignore_case { "(?i:" } else { "(?:" };
                self.wrapped(open, true, |e| {
                    let _ = write!(e.out, "\\{index}");
                });
            }
            Node::Conditional { index, yes, no } => {
                if (&**yes, &**no) == (&Node::Empty, &Node::Empty) {
                    return self.node(&Node::Empty, place);
                }
                self.grouped(place > Place::Sequence, |e| {
                    let _ = write!(e.out, "(?({index})");
                    e.separated([&**yes, &**no].into_iter());
                    e.out.push(')');
                });
            }
            Node::Assert(assertion) => self.assertion(*assertion),
        }
    }

    fn grouped(&mut self, wrap: bool, inside: impl FnOnce(&mut Self)) {
        self.wrapped("(?:", wrap, inside);
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

    fn separated<'n>(&mut self, nodes: impl Iterator<Item = &'n Node>) {
        for (i, node) in nodes.enumerate() {
            if i > 0 {
                self.out.push('|');
            }
            self.node(node, Place::Sequence);
        }
    }

    /// Something to repeat. The backtracking engine will not repeat a bare test or conditional;
    /// beside a branch that never matches it will.
    fn repeatable(&mut self, node: &Node) {
        if matches!(
            node,
            Node::Look { .. } | Node::Conditional { .. } | Node::Assert(_) | Node::Empty
        ) {
            self.grouped(true, |e| {
                e.node(node, Place::Sequence);
                e.out.push('|');
                e.out.push_str(NEVER);
            });
        } else {
            self.node(node, Place::Atom);
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
        let text = match assertion {
            Assertion::TextStart => r"\A",
            Assertion::LineStart => "(?m:^)",
            Assertion::TextEnd => r"\z",
            Assertion::LineEnd => "(?m:$)",
            // Without inner newlines the two mean the same.
            Assertion::TextEndOrFinalNewline if !self.dialect.inner_newlines => "(?m:$)",
            Assertion::TextEndOrFinalNewline => r"(?=\x{A}?\z)",
            Assertion::WordBoundary { .. } if self.linear_ascii() => r"\b",
            Assertion::NotWordBoundary { .. } if self.linear_ascii() => r"\B",
            Assertion::NotInsideWord { .. } if self.linear_ascii() => {
                r"(?:\b{start-half}|\b{end-half})"
            }
            Assertion::WordBoundary { ascii }
            | Assertion::NotWordBoundary { ascii }
            | Assertion::NotInsideWord { ascii } => return self.word_test(assertion, ascii),
        };
        self.out.push_str(text);
    }

    fn linear_ascii(&self) -> bool {
        self.dialect.ascii && !self.dialect.backtracking
    }

    /// Word tests by look-around, with Python's word characters.
    fn word_test(&mut self, assertion: Assertion, ascii: bool) {
        let w = if ascii || self.dialect.ascii {
            "[0-9A-Za-z_]"
        } else {
            r"[\p{L}\p{N}_]"
        };
        let _ = match assertion {
            Assertion::WordBoundary { .. } => {
                write!(self.out, "(?:(?<={w})(?!{w})|(?<!{w})(?={w}))")
            }
            Assertion::NotWordBoundary { .. } => {
                write!(self.out, "(?:(?<={w})(?={w})|(?<!{w})(?!{w}))")
            }
            _ => write!(self.out, "(?:(?<!{w})|(?!{w}))"),
        };
    }
}
