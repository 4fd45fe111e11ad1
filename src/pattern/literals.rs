//! Strings of which at least one occurs in every ASCII text that a regex matches.
//!
//! A text without any of them need not be searched. Newlines never count: the one at the end of
//! a text belongs to the search, not to the log line (facts/regex.md §6, soundness rule i).

use super::ast::Node;
use super::class::AsciiSet;

/// Most strings in a set, and most strings kept while following a sequence.
const MAX_STRINGS: usize = 24;
/// Longest string kept; longer ones are cut into pieces.
const MAX_LENGTH: usize = 32;
/// Most sets told of one regex.
const MAX_SETS: usize = 4;
/// A set whose weakest string says less is not worth looking for.
const MIN_SCORE: u32 = 10;

/// Strings of which one must occur. An empty set: the regex matches no ASCII text.
pub(super) type Literals = Vec<Vec<u8>>;

/// Sets of which a text must satisfy each, the most telling first: of its strings, one must
/// occur. None if there is none worth looking for.
pub(super) fn required(root: &Node) -> Vec<Literals> {
    let mut sets = Vec::new();
    gather(root, &mut sets);
    sets.retain(|set| usable(set) && weakest(set) >= MIN_SCORE);
    sets.sort_by_key(|set| std::cmp::Reverse(score(set)));
    sets.dedup();
    sets.truncate(MAX_SETS);
    sets
}

/// All sets on the way that every match takes.
fn gather(node: &Node, sets: &mut Vec<Literals>) {
    match node {
        Node::Group { node, .. } => gather(node, sets),
        Node::Concat(nodes) => {
            let mut run: Literals = vec![Vec::new()];
            for node in nodes {
                let part = facts(node);
                let longer = part.exact.as_ref().and_then(|set| product(&run, set));
                if let Some(longer) = longer {
                    run = longer;
                    continue;
                }
                let anew = part.exact.unwrap_or_else(|| vec![Vec::new()]);
                sets.push(std::mem::replace(&mut run, anew));
                gather(node, sets);
            }
            sets.push(run);
        }
        node => sets.extend(facts(node).required),
    }
}

/// What is known about the texts a node matches.
#[derive(Debug)]
struct Facts {
    /// All strings it can match, if they are few.
    exact: Option<Literals>,
    /// The best set of which one must occur somewhere in the text.
    required: Option<Literals>,
}

impl Facts {
    /// Matches without consuming; nothing more is known.
    fn empty() -> Facts {
        Facts {
            exact: Some(vec![Vec::new()]),
            required: None,
        }
    }

    fn unknown() -> Facts {
        Facts {
            exact: None,
            required: None,
        }
    }

    fn exactly(set: Literals) -> Facts {
        Facts {
            required: usable(&set).then(|| set.clone()),
            exact: Some(set),
        }
    }
}

fn usable(set: &Literals) -> bool {
    set.iter().all(|s| !s.is_empty())
}

fn facts(node: &Node) -> Facts {
    match node {
        Node::Empty | Node::Assert(_) => Facts::empty(),
        Node::Class(class) => match members(class.ascii()) {
            Some(set) => Facts::exactly(set),
            None => Facts::unknown(),
        },
        Node::Concat(nodes) => sequence(nodes),
        Node::Alternation(nodes) => either(nodes.iter()),
        Node::Conditional { yes, no, .. } => either([&**yes, &**no].into_iter()),
        Node::Group { node, .. } | Node::Atomic(node) => facts(node),
        Node::Backref { .. } => Facts::unknown(),
        // What it looks for is part of the text as well.
        Node::Look {
            negative: false,
            node,
            ..
        } => Facts {
            required: facts(node).required,
            ..Facts::empty()
        },
        Node::Look { negative: true, .. } => Facts::empty(),
        Node::Repeat { node, min, max, .. } => repeat(node, *min, *max),
    }
}

/// The strings of a class, if it is small and knows no newline.
fn members(set: AsciiSet) -> Option<Literals> {
    let small = set.count_ones() as usize <= MAX_STRINGS / 2 && set & (1 << b'\n') == 0;
    small.then(|| {
        (0..128u8)
            .filter(|c| set & (1 << c) != 0)
            .map(|c| vec![c])
            .collect()
    })
}

fn either<'n>(nodes: impl Iterator<Item = &'n Node>) -> Facts {
    let mut exact = Some(Vec::new());
    let mut required = Some(Vec::new());
    for node in nodes {
        let branch = facts(node);
        exact = union(exact, branch.exact);
        required = union(required, branch.required);
    }
    Facts { exact, required }
}

fn union(a: Option<Literals>, b: Option<Literals>) -> Option<Literals> {
    let mut set = a?;
    for string in b? {
        if !set.contains(&string) {
            set.push(string);
        }
    }
    (set.len() <= MAX_STRINGS).then_some(set)
}

fn repeat(node: &Node, min: u32, max: Option<u32>) -> Facts {
    let once = facts(node);
    match (min, max) {
        (0, Some(0)) => Facts::empty(),
        (0, Some(1)) => Facts {
            exact: union(Some(vec![Vec::new()]), once.exact),
            required: None,
        },
        (0, _) => Facts::unknown(),
        (1, Some(1)) => once,
        (min, Some(max)) if min == max && min <= 4 => {
            let copies = vec![node.clone(); min as usize];
            sequence(&copies)
        }
        _ => Facts {
            exact: None,
            required: once.required,
        },
    }
}

/// One after the other: neighbouring exact parts grow together.
fn sequence(nodes: &[Node]) -> Facts {
    let mut whole_is_exact = true;
    let mut best = None;
    let mut run: Literals = vec![Vec::new()];
    for node in nodes {
        let part = facts(node);
        consider(&mut best, part.required);
        let longer = part.exact.as_ref().and_then(|set| product(&run, set));
        if let Some(longer) = longer {
            run = longer;
            continue;
        }
        // What was gathered is a candidate; the part starts anew, if it is known at all.
        whole_is_exact = false;
        let anew = part.exact.unwrap_or_else(|| vec![Vec::new()]);
        consider(&mut best, Some(std::mem::replace(&mut run, anew)));
    }
    let exact = whole_is_exact.then(|| run.clone());
    consider(&mut best, Some(run));
    Facts {
        exact,
        required: best,
    }
}

/// Every string of `a` followed by every string of `b`, unless that becomes too much.
fn product(a: &Literals, b: &Literals) -> Option<Literals> {
    let longest = |set: &Literals| set.iter().map(Vec::len).max().unwrap_or(0);
    if a.len() * b.len() > MAX_STRINGS || longest(a) + longest(b) > MAX_LENGTH {
        return None;
    }
    let mut set = Vec::with_capacity(a.len() * b.len());
    for head in a {
        for tail in b {
            let string = [head.as_slice(), tail.as_slice()].concat();
            if !set.contains(&string) {
                set.push(string);
            }
        }
    }
    Some(set)
}

fn consider(best: &mut Option<Literals>, candidate: Option<Literals>) {
    let Some(candidate) = candidate.filter(usable) else {
        return;
    };
    if best.as_ref().is_none_or(|b| score(&candidate) > score(b)) {
        *best = Some(candidate);
    }
}

/// How telling a set is: what its weakest string says, less for many strings.
fn score(set: &Literals) -> u32 {
    weakest(set).saturating_sub(set.len().checked_ilog2().unwrap_or(0))
}

/// Roughly the bits by which the weakest string of a set narrows a log line down.
fn weakest(set: &Literals) -> u32 {
    set.iter()
        .map(|s| s.iter().map(|b| rarity(*b)).sum())
        .min()
        .unwrap_or(u32::MAX / 2)
}

/// Bits of surprise at a byte of a log line, coarsely.
fn rarity(byte: u8) -> u32 {
    match byte {
        b' ' | b'e' | b'a' | b'i' | b'o' | b't' | b'n' | b'r' | b's' | b'0'..=b'2' | b':' => 3,
        b'.' | b'-' | b'/' | b'[' | b']' | b'd' | b'l' | b'c' | b'm' | b'u' | b'p' => 4,
        b'h' | b'f' | b'g' | b'3'..=b'9' | b'=' | b'(' | b')' | b'"' => 5,
        b'a'..=b'z' | b',' | b'_' | b'<' | b'>' | b'\'' => 6,
        _ => 7,
    }
}
