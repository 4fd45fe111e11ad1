//! A tree → instructions for the [`Machine`](super::machine::Machine).
//!
//! Straight runs of literals become one comparison, repeats of one character become one
//! instruction, and every choice knows which bytes its first way can begin with, so that most
//! choices need no going back.

use super::ast::{Assertion, Greed, Node};
use super::charset::CharSet;
use super::class::Class;
use super::follow::Next;
use super::width::{Width, width};

/// Copies of a repeat's body that are written out instead of counted.
const MAX_UNROLLED: u32 = 8;
/// Largest body, in nodes, that is written out more than once.
const MAX_UNROLLED_SIZE: usize = 24;
/// Longest program: what is longer has counted repeats nested in written-out ones.
const MAX_INSTRUCTIONS: usize = 1 << 20;

/// Index of an instruction.
pub(super) type Pc = u32;

/// The bytes a way can begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FirstBytes([u64; 4]);

impl FirstBytes {
    pub(super) const NONE: FirstBytes = FirstBytes([0; 4]);
    pub(super) const ALL: FirstBytes = FirstBytes([!0; 4]);

    /// Whether the byte is among them.
    #[inline]
    pub(super) fn has(&self, byte: u8) -> bool {
        (self.0[usize::from(byte >> 6)] >> (byte & 63)) & 1 != 0
    }

    pub(super) fn or(self, more: FirstBytes) -> FirstBytes {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, more.0);
        FirstBytes([a | e, b | f, c | g, d | h])
    }

    fn of_class(class: &Class) -> FirstBytes {
        let ascii = class.ascii();
        let beyond = if class.reaches_beyond_ascii() { !0 } else { 0 };
        FirstBytes([ascii as u64, (ascii >> 64) as u64, beyond, beyond])
    }

    pub(super) fn of_byte(byte: u8) -> FirstBytes {
        let mut bytes = FirstBytes::NONE;
        bytes.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        bytes
    }

    /// First bytes of the members; beyond ASCII, to be quick, of all characters.
    pub(super) fn of_set(set: &CharSet) -> FirstBytes {
        let [low, high] = set.ascii();
        FirstBytes([low, high, !0, !0])
    }

    /// The one byte, if it is one.
    pub(super) fn single(&self) -> Option<u8> {
        let mut members = (0..=255u8).filter(|b| self.has(*b));
        match (members.next(), members.next()) {
            (Some(byte), None) => Some(byte),
            _ => None,
        }
    }
}

/// How far a repeat of one character goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) min: u32,
    /// `u32::MAX`: no bound.
    pub(super) max: u32,
}

/// One instruction; unless it says otherwise, the next one follows.
#[derive(Debug)]
pub(super) enum Instruction {
    /// These bytes.
    Literal(Box<[u8]>),
    /// One character of the set.
    Set(CharSet),
    /// Characters of the set, as many as possible. `next`: what must follow.
    Run {
        set: CharSet,
        bounds: Bounds,
        next: Option<Next>,
    },
    /// Characters of the set, as few as possible.
    LazyRun {
        set: CharSet,
        bounds: Bounds,
        next: Option<Next>,
    },
    /// Characters of the set, as many as possible, never fewer.
    PossessiveRun { set: CharSet, bounds: Bounds },
    /// Go to `first`, later to `second`. If the text goes on with none of `bytes`, `first` is
    /// hopeless.
    Split {
        first: Pc,
        second: Pc,
        bytes: Option<FirstBytes>,
    },
    /// Go on there; later, here.
    SplitLater { now: Pc, bytes: Option<FirstBytes> },
    /// Go there.
    Jump(Pc),
    /// Note the position in a register.
    Save(u32),
    /// A counted repeat begins: no rounds yet.
    LoopStart { counter: u32 },
    /// Between the rounds of a counted repeat.
    LoopNext {
        counter: u32,
        bounds: Bounds,
        lazy: bool,
        exit: Pc,
    },
    /// A lazy counted repeat goes for one more round after all.
    LoopMore { counter: u32 },
    /// A test of the neighbourhood.
    Assert(Assertion),
    /// `\b` and the like, with their word characters.
    Word { test: Assertion, word: CharSet },
    /// A look-around; its program follows up to an `Accept`, `after` comes next. `behind`: how
    /// many characters to step back first.
    Look {
        behind: Option<u32>,
        negative: bool,
        after: Pc,
    },
    /// An atomic part: its program follows up to an `Accept`.
    Atomic { after: Pc },
    /// The text of the group, again.
    Backref { group: u32, ignore_case: bool },
    /// Go to `otherwise` unless the group took part.
    IfGroup { group: u32, otherwise: Pc },
    /// The end of the program, or of a part of it.
    Accept,
}

/// The instructions of a regex.
#[derive(Debug)]
pub(super) struct Instructions {
    pub(super) list: Vec<Instruction>,
    /// Number of registers: two per group, then two per counted repeat.
    pub(super) registers: usize,
    /// A match can start at the start of the text only.
    pub(super) anchored: bool,
    /// What a match can begin with.
    pub(super) start: Start,
}

/// What a match can begin with.
#[derive(Debug)]
pub(super) enum Start {
    /// Anything, or nothing at all.
    Anywhere,
    /// This byte.
    Byte(u8),
    /// One of these bytes.
    Bytes(FirstBytes),
}

/// Translates a simplified tree of `groups` groups, the whole match counted as one.
///
/// `None`: too long.
pub(super) fn instructions(root: &Node, groups: usize) -> Option<Instructions> {
    let mut writer = Writer {
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
    writer.look_ahead();
    Some(Instructions {
        anchored: is_anchored(root),
        start: match first_bytes(root) {
            None => Start::Anywhere,
            Some(bytes) => bytes.single().map_or(Start::Bytes(bytes), Start::Byte),
        },
        registers: writer.registers as usize,
        list: writer.list,
    })
}

/// Whether every match starts at the start of the text.
pub(super) fn is_anchored(node: &Node) -> bool {
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

/// What a match of `node` can begin with; `None`: it may be empty.
fn first_bytes(node: &Node) -> Option<FirstBytes> {
    let (bytes, empty) = first(node);
    (!empty).then_some(bytes)
}

/// What a match can begin with if it is not empty, and whether it may be empty.
fn first(node: &Node) -> (FirstBytes, bool) {
    match node {
        Node::Empty | Node::Assert(_) | Node::Look { .. } => (FirstBytes::NONE, true),
        Node::Class(class) => (FirstBytes::of_class(class), false),
        Node::Concat(nodes) => {
            let mut bytes = FirstBytes::NONE;
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
        Node::Repeat { max: Some(0), .. } => (FirstBytes::NONE, true),
        Node::Repeat { node, min, .. } => {
            let (bytes, empty) = first(node);
            (bytes, empty || *min == 0)
        }
        Node::Group { node, .. } | Node::Atomic(node) => first(node),
        Node::Backref { .. } => (FirstBytes::ALL, true),
    }
}

fn either<'n>(nodes: impl Iterator<Item = &'n Node>) -> (FirstBytes, bool) {
    nodes
        .map(first)
        .reduce(|(a, b), (c, d)| (a.or(c), b || d))
        .unwrap_or((FirstBytes::NONE, true))
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

fn size(node: &Node) -> usize {
    1 + node.children().into_iter().map(size).sum::<usize>()
}

struct Writer {
    list: Vec<Instruction>,
    registers: u32,
    /// Widths of the groups, for look-behinds that refer to them.
    widths: Vec<Width>,
    too_long: bool,
}

impl Writer {
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
                    word: CharSet::word(*ascii),
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
                self.push(Instruction::Literal(literal.into_bytes().into()));
            }
        }
    }

    fn class(&mut self, class: &Class) {
        let instruction = match class.as_literal() {
            Some(c) => Instruction::Literal(c.to_string().into_bytes().into()),
            None => Instruction::Set(CharSet::new(class)),
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
                bytes: first_bytes(node),
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
        if let Node::Class(class) = node
            && (min, max) != (1, Some(1))
        {
            let set = CharSet::new(class);
            let next = None;
            self.push(match greed {
                Greed::Greedy => Instruction::Run { set, bounds, next },
                Greed::Lazy => Instruction::LazyRun { set, bounds, next },
                Greed::Possessive => Instruction::PossessiveRun { set, bounds },
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
                self.decide(split, body, node, lazy);
            }
            // A round that consumes something needs no look at the one before.
            (0, None) if consumes => {
                let (split, body) = self.choice();
                self.node(node);
                self.push(Instruction::Jump(split as Pc));
                self.decide(split, body, node, lazy);
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
                    self.decide(split, body, node, lazy);
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
    fn decide(&mut self, split: usize, body: Pc, node: &Node, lazy: bool) {
        let exit = self.here();
        let bytes = first_bytes(node);
        self.list[split] = if lazy {
            Instruction::SplitLater { now: exit, bytes }
        } else {
            Instruction::Split {
                first: body,
                second: exit,
                bytes,
            }
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
        self.list[next] = Instruction::LoopNext {
            counter,
            bounds: Bounds {
                min,
                max: max.unwrap_or(u32::MAX),
            },
            lazy,
            exit: self.here(),
        };
    }

    /// Tells runs what must follow them.
    fn look_ahead(&mut self) {
        for at in 0..self.list.len() {
            let run = matches!(
                self.list[at],
                Instruction::Run { .. } | Instruction::LazyRun { .. }
            );
            if !run {
                continue;
            }
            let found = Next::of(&self.list, at + 1);
            if let Instruction::Run { next, .. } | Instruction::LazyRun { next, .. } =
                &mut self.list[at]
            {
                *next = found;
            }
        }
    }
}
