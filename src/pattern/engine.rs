//! The compiled programs of a regex: built when a text first needs them, shared, and asked for
//! the spans of a match.
//!
//! There are up to three: one for ASCII texts, one for the rest, and one for texts that hold
//! newlines before their end, where `$` needs the backtracking engine to mean what it means to
//! Python. Each is linear if it can be, else backtracking behind a linear gate.

use std::sync::OnceLock;

use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind};

use super::LimitExceeded;
use super::ast::{Assertion, Node};
use super::emit::{Dialect, emit, is_linear};
use super::relaxed::relaxed;
use super::spans::Match;

/// Steps after which the backtracking engine gives up: 20-60 ms at worst.
const BACKTRACK_LIMIT: usize = 1_000_000;
/// Largest linear program; the stock regexes need a hundredth of it.
const NFA_SIZE_LIMIT: usize = 64 << 20;
/// Memory of the lazily built automaton of a program.
const LAZY_DFA_CAPACITY: usize = 2 << 20;

/// The programs of one regex.
#[derive(Debug)]
pub(super) struct Programs {
    ascii: OnceLock<Program>,
    unicode: OnceLock<Program>,
    inner_newlines: OnceLock<Program>,
    /// `$` without MULTILINE occurs, so that newlines within a text matter.
    newline_sensitive: bool,
}

impl Programs {
    /// None built yet.
    pub(super) fn new(root: &Node) -> Programs {
        Programs {
            ascii: OnceLock::new(),
            unicode: OnceLock::new(),
            inner_newlines: OnceLock::new(),
            newline_sensitive: root
                .any(&|n| matches!(n, Node::Assert(Assertion::TextEndOrFinalNewline))),
        }
    }

    /// The program for `text`; `root` is asked for the tree if it has to be built.
    pub(super) fn for_text(&self, text: &str, root: impl Fn() -> Node) -> &Program {
        let bytes = text.as_bytes();
        let inner_newlines = self.newline_sensitive
            && memchr::memchr(b'\n', bytes).is_some_and(|at| at + 1 < bytes.len());
        let ascii = !inner_newlines && text.is_ascii();
        let (slot, dialect) = match (inner_newlines, ascii) {
            (true, _) => (&self.inner_newlines, (false, true)),
            (false, true) => (&self.ascii, (true, false)),
            (false, false) => (&self.unicode, (false, false)),
        };
        slot.get_or_init(|| {
            let (ascii, inner_newlines) = dialect;
            Program::build(root(), ascii, inner_newlines)
        })
    }
}

/// One compiled program.
#[derive(Debug)]
pub(super) enum Program {
    /// Linear time, no limits.
    Linear(meta::Regex),
    /// Backtracking with a step limit, entered only where `gate` matches.
    Backtracking {
        gate: meta::Regex,
        regex: Box<fancy_regex::Regex>,
    },
    /// Too large for either engine.
    Unbuildable,
}

impl Program {
    /// Compiles `root`, a simplified tree.
    pub(super) fn build(root: Node, ascii: bool, inner_newlines: bool) -> Program {
        let linear = Dialect {
            ascii,
            backtracking: false,
            inner_newlines,
        };
        if is_linear(&root, linear)
            && let Some(regex) = build_linear(&emit(&root, linear), ascii, WhichCaptures::All)
        {
            return Program::Linear(regex);
        }
        let backtracking = Dialect {
            backtracking: true,
            ..linear
        };
        let regex = fancy_regex::RegexBuilder::new(&emit(&root, backtracking))
            .backtrack_limit(BACKTRACK_LIMIT)
            .delegate_size_limit(NFA_SIZE_LIMIT)
            .build();
        let gate = Dialect {
            inner_newlines: false,
            ..linear
        };
        let gate = emit(&relaxed(root, ascii), gate);
        let gate = build_linear(&gate, ascii, WhichCaptures::None);
        match (regex, gate) {
            (Ok(regex), Some(gate)) => Program::Backtracking {
                gate,
                regex: Box::new(regex),
            },
            _ => Program::Unbuildable,
        }
    }

    /// Whether `text` matches from `start` on.
    pub(super) fn is_match(&self, text: &str, start: usize) -> Result<bool, LimitExceeded> {
        match self {
            Program::Linear(regex) => {
                Ok(regex.is_match(Input::new(text).range(start..).earliest(true)))
            }
            Program::Backtracking { gate, regex } => {
                if !gate.is_match(Input::new(text).range(start..).earliest(true)) {
                    return Ok(false);
                }
                let found = regex.find_from_pos(text, start);
                found.map(|m| m.is_some()).map_err(|_| LimitExceeded)
            }
            Program::Unbuildable => Err(LimitExceeded),
        }
    }

    /// The leftmost match from `start` on; `groups` counts the whole match as well.
    pub(super) fn search(
        &self,
        text: &str,
        start: usize,
        groups: usize,
    ) -> Result<Option<Match>, LimitExceeded> {
        match self {
            Program::Linear(regex) => {
                let input = Input::new(text).range(start..);
                let mut few: [Option<NonMaxUsize>; 32] = [None; 32];
                let mut many = Vec::new();
                let slots = match few.get_mut(..groups * 2) {
                    Some(slots) => slots,
                    None => {
                        many.resize(groups * 2, None);
                        &mut many[..]
                    }
                };
                if regex.search_slots(&input, slots).is_none() {
                    return Ok(None);
                }
                Ok(Some(Match::from_spans(slots.chunks_exact(2).map(
                    |pair| match pair {
                        [Some(from), Some(to)] => Some((from.get(), to.get())),
                        _ => None,
                    },
                ))))
            }
            Program::Backtracking { gate, regex } => {
                if !gate.is_match(Input::new(text).range(start..).earliest(true)) {
                    return Ok(None);
                }
                let found = regex
                    .captures_from_pos(text, start)
                    .map_err(|_| LimitExceeded)?;
                Ok(found.map(|captures| {
                    Match::from_spans(
                        (0..groups).map(|i| captures.get(i).map(|m| (m.start(), m.end()))),
                    )
                }))
            }
            Program::Unbuildable => Err(LimitExceeded),
        }
    }
}

fn build_linear(source: &str, ascii: bool, captures: WhichCaptures) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .match_kind(MatchKind::LeftmostFirst)
        .utf8_empty(true)
        .which_captures(captures)
        .nfa_size_limit(Some(NFA_SIZE_LIMIT))
        .hybrid_cache_capacity(LAZY_DFA_CAPACITY);
    let syntax = syntax::Config::new()
        .unicode(!ascii)
        .utf8(!ascii)
        .nest_limit(2_000);
    meta::Builder::new()
        .configure(config)
        .syntax(syntax)
        .build(source)
        .ok()
}
