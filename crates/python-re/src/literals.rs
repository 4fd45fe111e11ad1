//! Literals of which at least one occurs in every ASCII text that a regex matches.
//!
//! A text without any of them need not be searched. Newlines are left out: the one at the end of a text
//! may come from how the text is read.

use super::ast::Node;
use super::class::AsciiSet;

/// Most strings in a set, and most strings kept while following a sequence.
const MAX_STRINGS: usize = 24;
/// Most members of a class whose members are told apart.
const MAX_MEMBERS: u32 = 4;
/// Longest string kept; longer ones are cut into pieces.
const MAX_LENGTH: usize = 32;
/// Most sets told of one regex.
const MAX_SETS: usize = 4;
/// A set whose weakest string says less is not worth looking for.
const MIN_SCORE: u32 = 10;

/// Strings of which one must occur. An empty set: the regex matches no ASCII text.
pub type Literals = Vec<Vec<u8>>;

/// Sets of which a text must satisfy each, the most telling first: of its strings, one must
/// occur. None if there is none worth looking for.
pub(crate) fn required(root: &Node) -> Vec<Literals> {
    let mut sets = Vec::new();
    let whole = gather(root, &mut sets);
    sets.extend(whole);
    sets.retain(|set| usable(set) && weakest(set) >= MIN_SCORE);
    sets.sort_by_cached_key(|set| std::cmp::Reverse(score(set)));
    sets.dedup();
    sets.truncate(MAX_SETS);
    sets
}

/// Collects the sets on the way that every match takes. When the node can match a few strings
/// only, these are given back instead: they may become part of longer ones.
fn gather(node: &Node, sets: &mut Vec<Literals>) -> Option<Literals> {
    match node {
        Node::Group { node, .. } => gather(node, sets),
        Node::Concat(nodes) => {
            let mut run = nothing();
            let mut whole = true;
            for node in nodes {
                if grow(&mut run, node) {
                    continue;
                }
                let known = sets.len();
                let exact = gather(node, sets);
                if exact.as_ref().is_some_and(|set| multiply(&mut run, set)) {
                    // The parts say nothing beside the whole.
                    sets.truncate(known);
                    continue;
                }
                whole = false;
                sets.push(std::mem::replace(&mut run, exact.unwrap_or_else(nothing)));
            }
            if whole {
                return Some(run);
            }
            sets.push(run);
            None
        }
        node => {
            let Facts { exact, required } = facts(node);
            if exact.is_none() {
                sets.extend(required);
            }
            exact
        }
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
            exact: Some(nothing()),
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
        Node::Concat(nodes) => sequence(nodes.iter()),
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
    let small = set.count_ones() <= MAX_MEMBERS && set & (1 << b'\n') == 0;
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
            exact: union(Some(nothing()), once.exact),
            required: None,
        },
        (0, _) => Facts::unknown(),
        (1, Some(1)) => once,
        (min, Some(max)) if min == max && min <= 4 => {
            sequence(std::iter::repeat_n(node, min as usize))
        }
        _ => Facts {
            exact: None,
            required: once.required,
        },
    }
}

/// One after the other: neighbouring exact parts grow together.
fn sequence<'n>(nodes: impl Iterator<Item = &'n Node>) -> Facts {
    let mut whole_is_exact = true;
    let mut best = None;
    let mut run = nothing();
    for node in nodes {
        if grow(&mut run, node) {
            continue;
        }
        let part = facts(node);
        consider(&mut best, part.required);
        if part
            .exact
            .as_ref()
            .is_some_and(|set| multiply(&mut run, set))
        {
            continue;
        }
        // What was gathered is a candidate; the part starts anew, if it is known at all.
        whole_is_exact = false;
        let anew = part.exact.unwrap_or_else(nothing);
        consider(&mut best, Some(std::mem::replace(&mut run, anew)));
    }
    let exact = whole_is_exact.then(|| run.clone());
    consider(&mut best, Some(run));
    Facts {
        exact,
        required: best,
    }
}

/// The set of the empty string.
fn nothing() -> Literals {
    vec![Vec::new()]
}

/// Lengthens every string by the one character that `node` is, if it is one. Most nodes are.
fn grow(run: &mut Literals, node: &Node) -> bool {
    let Node::Class(class) = node else {
        return false;
    };
    let set = class.ascii();
    let newline = 1 << b'\n';
    if set.count_ones() != 1 || set == newline || longest(run) == MAX_LENGTH {
        return false;
    }
    let byte = set.trailing_zeros() as u8;
    run.iter_mut().for_each(|string| string.push(byte));
    true
}

fn longest(set: &Literals) -> usize {
    set.iter().map(Vec::len).max().unwrap_or(0)
}

/// Makes of `run` every string of it followed by every string of `set`, unless that becomes too
/// much.
fn multiply(run: &mut Literals, set: &Literals) -> bool {
    if run.len() * set.len() > MAX_STRINGS || longest(run) + longest(set) > MAX_LENGTH {
        return false;
    }
    if let [one] = set.as_slice() {
        run.iter_mut().for_each(|string| string.extend(one));
        return true;
    }
    let mut product = Vec::with_capacity(run.len() * set.len());
    for head in &*run {
        for tail in set {
            let string = [head.as_slice(), tail.as_slice()].concat();
            if !product.contains(&string) {
                product.push(string);
            }
        }
    }
    *run = product;
    true
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

/// Roughly the bits by which the weakest string of a set narrows a line of text down.
fn weakest(set: &Literals) -> u32 {
    set.iter()
        .map(|s| s.iter().map(|b| rarity(*b)).sum())
        .min()
        .unwrap_or(u32::MAX / 2)
}

/// Bits of surprise at a byte of a line of text, coarsely.
fn rarity(byte: u8) -> u32 {
    match byte {
        b' ' | b'e' | b'a' | b'i' | b'o' | b't' | b'n' | b'r' | b's' | b'0'..=b'2' | b':' => 3,
        b'.' | b'-' | b'/' | b'[' | b']' | b'd' | b'l' | b'c' | b'm' | b'u' | b'p' => 4,
        b'h' | b'f' | b'g' | b'3'..=b'9' | b'=' | b'(' | b')' | b'"' => 5,
        b'a'..=b'z' | b',' | b'_' | b'<' | b'>' | b'\'' => 6,
        _ => 7,
    }
}
