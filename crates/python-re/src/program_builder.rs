//! Compiles a tree to [`Instructions`].
//!
//! Sequences of literals become one comparison, repeats of one character one instruction; what can follow
//! is computed at the end ([`look_ahead`]).

use memchr::memmem::Finder;

use super::ast::{Assertion, Greed, Node};
use super::charset::CharSet;
use super::class::CharClass;
use super::instructions::{
    Bounds, CharRun, Instruction, Instructions, LoopNext, Pc, StopCondition,
};
use super::lookahead::look_ahead;
use super::opening::is_anchored;
use super::width::{Width, width};

/// Copies of a repeat's body that are written out instead of counted.
const MAX_UNROLLED: u32 = 8;
/// Largest body, in nodes, that is written out more than once.
const MAX_UNROLLED_SIZE: usize = 24;
/// Longest program: what is longer has counted repeats nested in written-out ones.
const MAX_INSTRUCTIONS: usize = 1 << 20;

/// Translates a simplified tree of `groups` groups, the whole match counted as one.
///
/// `None`: too long.
pub(crate) fn instructions(root: &Node, groups: usize) -> Option<Instructions> {
    let mut writer = ProgramBuilder {
        list: Vec::new(),
        registers: u32::try_from(groups).ok()?.checked_mul(2)?,
        widths: vec![Width { min: 0, max: 0 }; groups],
        too_long: false,
    };
    closed_groups(root, &mut writer.widths);
    writer.node(root);
    writer.list.push(Instruction::Accept);
    if writer.too_long {
        return None;
    }
    Some(Instructions {
        anchored: is_anchored(root),
        start: look_ahead(&mut writer.list),
        registers: writer.registers as usize,
        list: writer.list,
    })
}

/// Measures the groups in the order of their closing, so that each finds those it refers to.
fn closed_groups(node: &Node, widths: &mut Vec<Width>) {
    for child in node.children() {
        closed_groups(child, widths);
    }
    if let Node::Group { index, node } = node {
        let known = |group: usize| widths[group];
        let measured = width(node, &known);
        widths[*index] = measured;
    }
}

fn literal(node: &Node) -> Option<char> {
    match node {
        Node::Class(class) => class.as_literal(),
        _ => None,
    }
}

/// The bytes of a node that is nothing but literals.
pub(crate) fn whole_literal(node: &Node) -> Option<Box<[u8]>> {
    let text: String = match node {
        Node::Concat(nodes) => nodes.iter().map(literal).collect::<Option<_>>()?,
        node => literal(node)?.into(),
    };
    (!text.is_empty()).then(|| text.into_bytes().into())
}

/// The bytes of a node that is anything and then nothing but literals.
fn somewhere(node: &Node) -> Option<Box<[u8]>> {
    let Node::Concat(nodes) = node else {
        return None;
    };
    let (anything, text) = nodes.split_first()?;
    let anything = matches!(
        anything,
        Node::Repeat { node, min: 0, max: None, .. } if **node == Node::Class(CharClass::dot(true))
    );
    anything
        .then(|| whole_literal(&Node::Concat(text.to_vec())))
        .flatten()
}

/// The class of a repeated node that is one character, and what it must not begin.
fn row_of(node: &Node, bounds: Bounds) -> Option<(&CharClass, Option<Finder<'static>>)> {
    match node {
        Node::Class(class) => Some((class, None)),
        Node::Concat(nodes) if bounds.min <= 1 && bounds.max == u32::MAX => match &nodes[..] {
            [
                Node::Look {
                    behind: false,
                    negative: true,
                    node,
                },
                Node::Class(class),
            ] => {
                let unless = Finder::new(&whole_literal(node)?).into_owned();
                Some((class, Some(unless)))
            }
            _ => None,
        },
        _ => None,
    }
}

fn size(node: &Node) -> usize {
    1 + node.children().into_iter().map(size).sum::<usize>()
}

struct ProgramBuilder {
    list: Vec<Instruction>,
    registers: u32,
    /// Widths of the groups, for look-behinds that refer to them.
    widths: Vec<Width>,
    too_long: bool,
}

impl ProgramBuilder {
    fn width_of(&self, group: usize) -> Width {
        let empty = Width { min: 0, max: 0 };
        self.widths.get(group).copied().unwrap_or(empty)
    }

    fn here(&self) -> Pc {
        // Lists are kept below `MAX_INSTRUCTIONS`.
        self.list.len() as Pc
    }

    fn push(&mut self, instruction: Instruction) -> usize {
        if self.list.len() >= MAX_INSTRUCTIONS {
            self.too_long = true;
        } else {
            self.list.push(instruction);
        }
        self.list.len() - 1
    }

    fn node(&mut self, node: &Node) {
        if self.too_long {
            return;
        }
        match node {
            Node::Empty => {}
            Node::Class(class) => self.class(class),
            Node::Concat(nodes) => self.sequence(nodes),
            Node::Alternation(nodes) => self.alternation(nodes),
            Node::Repeat {
                node,
                min,
                max,
                greed,
            } => self.repeat(node, *min, *max, *greed),
            Node::Group { index, node } => {
                let register = *index as u32 * 2;
                self.push(Instruction::Save(register));
                self.node(node);
                self.push(Instruction::Save(register + 1));
            }
            Node::Atomic(node) => self.atomic(|w| w.node(node)),
            Node::Look {
                behind: false,
                negative: false,
                node,
            } if let Some(literal) = somewhere(node) => {
                let finder = Finder::new(&literal).into_owned();
                self.push(Instruction::Needs(Box::new(finder)));
            }
            Node::Look {
                behind: false,
                negative,
                node,
            } if let Some(literal) = whole_literal(node) => {
                self.push(Instruction::Ahead {
                    literal,
                    negative: *negative,
                });
            }
            Node::Look {
                behind,
                negative,
                node,
            } => {
                let at = self.push(Instruction::Accept);
                self.node(node);
                self.push(Instruction::Accept);
                // The parser has made sure that the width is fixed.
                let behind = behind.then(|| {
                    let width = width(node, &|group| self.width_of(group));
                    u32::try_from(width.min).unwrap_or(u32::MAX)
                });
                let after = self.here();
                self.list[at] = Instruction::Look {
                    behind,
                    negative: *negative,
                    after,
                };
            }
            Node::Backref { index, ignore_case } => {
                self.push(Instruction::Backref {
                    group: *index as u32,
                    ignore_case: *ignore_case,
                });
            }
            Node::Conditional { index, yes, no } => {
                let test = self.push(Instruction::Accept);
                self.node(yes);
                let jump = self.push(Instruction::Accept);
                let otherwise = self.here();
                self.node(no);
                self.list[test] = Instruction::IfGroup {
                    group: *index as u32,
                    otherwise,
                };
                self.list[jump] = Instruction::Jump(self.here());
            }
            Node::Assert(
                test @ (Assertion::WordBoundary { ascii }
                | Assertion::NotWordBoundary { ascii }
                | Assertion::NotInsideWord { ascii }),
            ) => {
                self.push(Instruction::Word {
                    test: *test,
                    word: Box::new(CharSet::word(*ascii)),
                });
            }
            Node::Assert(assertion) => {
                self.push(Instruction::Assert(*assertion));
            }
        }
    }

    /// One after the other; neighbouring literals become one.
    fn sequence(&mut self, nodes: &[Node]) {
        let mut rest = nodes;
        while let Some((node, others)) = rest.split_first() {
            let literal: String = rest.iter().map_while(literal).collect();
            if literal.is_empty() {
                self.node(node);
                rest = others;
            } else {
                rest = &rest[literal.chars().count()..];
                self.push(Instruction::literal(literal.into_bytes()));
            }
        }
    }

    fn class(&mut self, class: &CharClass) {
        let instruction = match class.as_literal() {
            Some(c) => Instruction::literal(c.to_string().into_bytes()),
            None => Instruction::Set(Box::new(CharSet::new(class))),
        };
        self.push(instruction);
    }

    fn alternation(&mut self, nodes: &[Node]) {
        let mut jumps = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            if i + 1 == nodes.len() {
                self.node(node);
                break;
            }
            let split = self.push(Instruction::Accept);
            let first = self.here();
            self.node(node);
            jumps.push(self.push(Instruction::Accept));
            self.list[split] = Instruction::Split {
                first,
                second: self.here(),
                ways: None,
            };
        }
        let end = self.here();
        for jump in jumps {
            self.list[jump] = Instruction::Jump(end);
        }
    }

    fn atomic(&mut self, inside: impl FnOnce(&mut Self)) {
        let at = self.push(Instruction::Accept);
        inside(self);
        self.push(Instruction::Accept);
        let after = self.here();
        self.list[at] = Instruction::Atomic { after };
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>, greed: Greed) {
        let bounds = Bounds {
            min,
            max: max.unwrap_or(u32::MAX),
        };
        if (min, max) != (1, Some(1))
            && let Some((class, unless)) = row_of(node, bounds)
        {
            let row = Box::new(CharRun {
                set: CharSet::new(class),
                bounds,
                unless,
                next: StopCondition::Anything,
            });
            self.push(match greed {
                Greed::Greedy => Instruction::Run(row),
                Greed::Lazy => Instruction::LazyRun(row),
                Greed::Possessive => Instruction::PossessiveRun(row),
            });
            return;
        }
        if greed == Greed::Possessive {
            return self.atomic(|w| w.repeat(node, min, max, Greed::Greedy));
        }
        let lazy = greed == Greed::Lazy;
        let small = size(node) <= MAX_UNROLLED_SIZE;
        // Rounds that must be are written out: there is nothing to decide about them.
        let written = match min {
            0 => 0,
            1 => 1,
            n if small && n <= MAX_UNROLLED => n,
            _ => 0,
        };
        for _ in 0..written {
            self.node(node);
        }
        let (min, max) = (min - written, max.map(|max| max - written));
        let consumes = node.min_width() > 0;
        match (min, max) {
            (0, Some(0)) => {}
            (0, Some(1)) => {
                let (split, body) = self.choice();
                self.node(node);
                self.decide(split, body, lazy);
            }
            // A round that consumes something needs no look at the one before.
            (0, None) if consumes => {
                let (split, body) = self.choice();
                self.node(node);
                self.push(Instruction::Jump(split as Pc));
                self.decide(split, body, lazy);
            }
            (0, Some(max)) if consumes && small && max <= MAX_UNROLLED => {
                let choices: Vec<_> = (0..max)
                    .map(|_| {
                        let choice = self.choice();
                        self.node(node);
                        choice
                    })
                    .collect();
                for (split, body) in choices {
                    self.decide(split, body, lazy);
                }
            }
            _ => self.counted(node, min, max, lazy),
        }
    }

    /// Leaves room for a choice: where it is, and where the way into the body begins.
    fn choice(&mut self) -> (usize, Pc) {
        let split = self.push(Instruction::Accept);
        (split, self.here())
    }

    /// Fills in a choice between `body` and what comes here.
    fn decide(&mut self, split: usize, body: Pc, lazy: bool) {
        let exit = self.here();
        let (first, second) = if lazy { (exit, body) } else { (body, exit) };
        self.list[split] = Instruction::Split {
            first,
            second,
            ways: None,
        };
    }

    fn counted(&mut self, node: &Node, min: u32, max: Option<u32>, lazy: bool) {
        let counter = self.registers;
        self.registers += 2;
        self.push(Instruction::LoopStart { counter });
        let next = self.push(Instruction::Accept);
        if lazy {
            self.push(Instruction::LoopMore { counter });
        }
        self.node(node);
        self.push(Instruction::Jump(next as Pc));
        self.list[next] = Instruction::LoopNext(Box::new(LoopNext {
            counter,
            bounds: Bounds {
                min,
                max: max.unwrap_or(u32::MAX),
            },
            lazy,
            exit: self.here(),
        }));
    }
}
