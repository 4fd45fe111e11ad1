//! The tree of a parsed regex: Python's meaning with every flag already resolved to the leaf it
//! governs, so that nothing downstream needs to know where a flag was written.

use super::class::CharClass;

/// A zero-width test that looks at no more than the neighbouring characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// `^`, `\A`: start of the text.
    TextStart,
    /// `^` with MULTILINE: start of the text or after a newline.
    LineStart,
    /// `\Z`: end of the text.
    TextEnd,
    /// `$`: end of the text, or before a newline that ends the text.
    TextEndOrFinalNewline,
    /// `$` with MULTILINE: end of the text or before a newline.
    LineEnd,
    /// `\b`
    WordBoundary {
        /// Only ASCII letters, digits and `_` are word characters.
        ascii: bool,
    },
    /// `\B`
    NotWordBoundary {
        /// As for `WordBoundary`.
        ascii: bool,
    },
    /// Not between two word characters: what `(?=\b|\W|$)` comes down to.
    NotInsideWord {
        /// As for `WordBoundary`.
        ascii: bool,
    },
}

/// How a repeat chooses its count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greed {
    /// As many as possible, fewer if the rest fails.
    Greedy,
    /// As few as possible, more if the rest fails.
    Lazy,
    /// As many as possible, never fewer.
    Possessive,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Matches the empty string.
    Empty,
    /// One character out of a set; a literal is a set of one.
    Class(CharClass),
    /// One after the other.
    Concat(Vec<Node>),
    /// The first that lets the rest match.
    Alternation(Vec<Node>),
    /// `node{min,max}`; no `max` means no upper bound.
    Repeat {
        /// What is repeated.
        node: Box<Node>,
        /// At least so often.
        min: u32,
        /// At most so often.
        max: Option<u32>,
        /// Which count is tried first.
        greed: Greed,
    },
    /// Capturing group, numbered from 1 in order of the opening parentheses.
    Group {
        /// Its number.
        index: usize,
        /// What it captures.
        node: Box<Node>,
    },
    /// `(?>…)`
    Atomic(Box<Node>),
    /// `(?=…)`, `(?!…)`, `(?<=…)`, `(?<!…)`
    Look {
        /// Back from the place, not on from it.
        behind: bool,
        /// The node must not match there.
        negative: bool,
        /// What is looked for.
        node: Box<Node>,
    },
    /// What group `index` captured, once more.
    Backref {
        /// The group's number.
        index: usize,
        /// Case does not matter.
        ignore_case: bool,
    },
    /// `(?(index)yes|no)`
    Conditional {
        /// The group that decides.
        index: usize,
        /// Where it took part.
        yes: Box<Node>,
        /// Where it did not.
        no: Box<Node>,
    },
    /// A test of the neighbourhood.
    Assert(Assertion),
}

/// A parsed regex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The root.
    pub root: Node,
    /// Names by group number; entry 0 stands for the whole match.
    pub names: Vec<Option<String>>,
}

impl Node {
    /// Joins nodes one after the other, without needless nesting.
    pub fn concat(nodes: Vec<Node>) -> Node {
        let nested = |node: &Node| matches!(node, Node::Empty | Node::Concat(_));
        let mut flat = nodes;
        if flat.iter().any(nested) {
            let nodes = std::mem::take(&mut flat);
            flat.reserve(nodes.len());
            for node in nodes {
                match node {
                    Node::Empty => {}
                    Node::Concat(inner) => {
                        flat.extend(inner.into_iter().filter(|n| *n != Node::Empty));
                    }
                    node => flat.push(node),
                }
            }
        }
        match flat.len() {
            0 => Node::Empty,
            1 => flat.remove(0),
            _ => Node::Concat(flat),
        }
    }

    /// Joins alternatives, without needless nesting.
    pub fn alternation(mut nodes: Vec<Node>) -> Node {
        if nodes.len() == 1 {
            nodes.remove(0)
        } else {
            Node::Alternation(nodes)
        }
    }

    /// The nodes directly below this one, in the order of their text.
    pub fn children(&self) -> Vec<&Node> {
        match self {
            Node::Empty | Node::Class(_) | Node::Backref { .. } | Node::Assert(_) => Vec::new(),
            Node::Concat(nodes) | Node::Alternation(nodes) => nodes.iter().collect(),
            Node::Repeat { node, .. }
            | Node::Group { node, .. }
            | Node::Atomic(node)
            | Node::Look { node, .. } => vec![node],
            Node::Conditional { yes, no, .. } => vec![yes, no],
        }
    }

    /// Whether this is a `$` that newlines within the text do not concern.
    pub fn is_dollar(&self) -> bool {
        *self == Node::Assert(Assertion::TextEndOrFinalNewline)
    }

    /// Whether `test` holds for this node or one below it.
    pub fn any(&self, test: &dyn Fn(&Node) -> bool) -> bool {
        test(self)
            || match self {
                Node::Empty | Node::Class(_) | Node::Backref { .. } | Node::Assert(_) => false,
                Node::Concat(nodes) | Node::Alternation(nodes) => nodes.iter().any(|n| n.any(test)),
                Node::Repeat { node, .. }
                | Node::Group { node, .. }
                | Node::Atomic(node)
                | Node::Look { node, .. } => node.any(test),
                Node::Conditional { yes, no, .. } => yes.any(test) || no.any(test),
            }
    }

    /// Applies `change` to every node in its place, children first.
    pub fn rewrite(&mut self, change: &mut dyn FnMut(&mut Node)) {
        match self {
            Node::Empty | Node::Class(_) | Node::Backref { .. } | Node::Assert(_) => {}
            Node::Concat(nodes) => {
                nodes.iter_mut().for_each(|n| n.rewrite(change));
                self.flatten();
            }
            Node::Alternation(nodes) => nodes.iter_mut().for_each(|n| n.rewrite(change)),
            Node::Repeat { node, .. }
            | Node::Group { node, .. }
            | Node::Atomic(node)
            | Node::Look { node, .. } => node.rewrite(change),
            Node::Conditional { yes, no, .. } => {
                yes.rewrite(change);
                no.rewrite(change);
            }
        }
        change(self);
    }

    /// Takes needless nesting out of a row whose members have changed.
    pub fn flatten(&mut self) {
        if let Node::Concat(nodes) = self
            && (nodes.len() < 2
                || nodes
                    .iter()
                    .any(|n| matches!(n, Node::Empty | Node::Concat(_))))
        {
            *self = Node::concat(std::mem::take(nodes));
        }
    }

    /// The same tree with `change` applied to every node, children first.
    pub fn map(self, change: &mut dyn FnMut(Node) -> Node) -> Node {
        let whole = match self {
            Node::Empty | Node::Class(_) | Node::Backref { .. } | Node::Assert(_) => self,
            Node::Concat(nodes) => Node::concat(nodes.into_iter().map(|n| n.map(change)).collect()),
            Node::Alternation(nodes) => {
                Node::Alternation(nodes.into_iter().map(|n| n.map(change)).collect())
            }
            Node::Repeat {
                node,
                min,
                max,
                greed,
            } => Node::Repeat {
                node: Box::new(node.map(change)),
                min,
                max,
                greed,
            },
            Node::Group { index, node } => Node::Group {
                index,
                node: Box::new(node.map(change)),
            },
            Node::Atomic(node) => Node::Atomic(Box::new(node.map(change))),
            Node::Look {
                behind,
                negative,
                node,
            } => Node::Look {
                behind,
                negative,
                node: Box::new(node.map(change)),
            },
            Node::Conditional { index, yes, no } => Node::Conditional {
                index,
                yes: Box::new(yes.map(change)),
                no: Box::new(no.map(change)),
            },
        };
        change(whole)
    }

    /// The least number of characters a match consumes. Back-references count as empty.
    pub fn min_width(&self) -> u64 {
        match self {
            Node::Class(_) => 1,
            Node::Empty | Node::Look { .. } | Node::Backref { .. } | Node::Assert(_) => 0,
            Node::Concat(nodes) => nodes
                .iter()
                .fold(0, |sum, n| sum.saturating_add(n.min_width())),
            Node::Alternation(nodes) => nodes.iter().map(Node::min_width).min().unwrap_or(0),
            Node::Repeat { node, min, .. } => node.min_width().saturating_mul(u64::from(*min)),
            Node::Group { node, .. } | Node::Atomic(node) => node.min_width(),
            Node::Conditional { yes, no, .. } => yes.min_width().min(no.min_width()),
        }
    }
}
