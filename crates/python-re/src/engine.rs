//! The engines of a regex, and which of them answers.
//!
//! The backtracker is first: it is exact, fast on ordinary lines and needs almost no preparation. It gets
//! a small number of steps. If they run out, the text is one that backtracking is slow on, by accident or
//! by an attacker's intent, and the linear engine takes over: with the regex itself if it can run that,
//! otherwise with a superset that rejects most such texts. Only texts that pass it get the backtracker's
//! full number of steps, and a memo of dead ends.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use regex_automata::Input;
use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::primitives::NonMaxUsize;

use super::LimitExceeded;
use super::ast::Node;
use super::automaton::build;
use super::backtracker::{Effort, Exhausted, Scratch, search};
use super::conditional::settle;
use super::emit::{emit, is_linear};
use super::instructions::Instructions;
use super::line_test::LineTest;
use super::overapprox::overapproximated;
use super::program_builder::instructions;
use super::spans::Match;

/// Steps the machine gets at first: some, and some more per byte.
const FIRST_STEPS: u64 = 5_000;
const FIRST_STEPS_PER_BYTE: u64 = 8;
/// Steps after which a search is given up: some 5 ms, and some more per byte.
const LAST_STEPS: u64 = 500_000;
const LAST_STEPS_PER_BYTE: u64 = 32;
/// Searches that used up the first steps before the linear engine is asked first.
const PATIENCE: u32 = 16;
/// Questions for a mere yes or no after which the engine for these is worth its preparation.
const QUESTIONS: u32 = 500;

/// The engines of one regex, built when first needed.
#[derive(Debug, Default)]
pub(crate) struct Engines {
    machine: OnceLock<Option<Instructions>>,
    ascii: OnceLock<Linear>,
    unicode: OnceLock<Linear>,
    /// Searches that used up the machine's first steps.
    exhausted: AtomicU32,
    verdict: OnceLock<Option<LineTest>>,
    /// Questions for a verdict so far.
    questions: AtomicU32,
}

/// What the linear engine can do for a regex.
#[derive(Debug)]
pub(crate) enum Linear {
    /// All of it, provided that newlines are where `$` expects them.
    Exact {
        regex: meta::Regex,
        /// Wrong for texts with newlines before their end.
        newline_at_end_only: bool,
    },
    /// Tell where it cannot match.
    Gate(meta::Regex),
    /// Nothing: it would be too large.
    Nothing,
}

thread_local! {
    /// The machine's memory, taken out while a search runs.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Engines {
    /// The leftmost match from `start` on; `groups` counts the whole match as well. `root` is
    /// asked for the simplified tree when something has to be built.
    pub(crate) fn search(
        &self,
        text: &str,
        start: usize,
        groups: usize,
        root: &dyn Fn() -> Node,
    ) -> Result<Option<Match>, LimitExceeded> {
        let machine = self
            .machine
            .get_or_init(|| instructions(&settle(root()), groups));
        let length = text.len() as u64;
        let run = |effort: Effort| match machine {
            Some(program) => {
                with_scratch(|scratch| search(program, text, start, groups, effort, scratch))
            }
            None => Err(Exhausted),
        };
        if self.exhausted.load(Ordering::Relaxed) < PATIENCE {
            let effort = Effort {
                steps: FIRST_STEPS + FIRST_STEPS_PER_BYTE * length,
                remember: false,
            };
            match run(effort) {
                Ok(found) => return Ok(found),
                Err(Exhausted) => self.exhausted.fetch_add(1, Ordering::Relaxed),
            };
        }
        let linear = match text.is_ascii() {
            true => self.ascii.get_or_init(|| Linear::new(root(), true)),
            false => self.unicode.get_or_init(|| Linear::new(root(), false)),
        };
        if let Some(answer) = linear.search(text, start, groups) {
            return Ok(answer);
        }
        let effort = Effort {
            steps: LAST_STEPS + LAST_STEPS_PER_BYTE * length,
            remember: true,
        };
        run(effort).map_err(|Exhausted| LimitExceeded)
    }
}

impl Engines {
    /// Whether the regex matches `text` somewhere, if that can be told at little cost.
    pub(crate) fn verdict(&self, text: &str, root: &dyn Fn() -> Node) -> Option<bool> {
        if self.questions.load(Ordering::Relaxed) < QUESTIONS {
            self.questions.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let verdict = self.verdict.get_or_init(|| LineTest::new(root()));
        verdict.as_ref()?.of(text)
    }
}

fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let result = work(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}

impl Linear {
    /// Compiles what the linear engine can run of `root`, a simplified tree.
    pub(crate) fn new(root: Node, ascii: bool) -> Linear {
        let exact = is_linear(&root, ascii);
        if exact && let Some(regex) = build(&emit(&root, ascii), WhichCaptures::All) {
            return Linear::Exact {
                regex,
                newline_at_end_only: root.any(&Node::is_dollar),
            };
        }
        let gate = emit(&overapproximated(root, ascii), ascii);
        build(&gate, WhichCaptures::None).map_or(Linear::Nothing, Linear::Gate)
    }

    /// The answer, if it has one.
    pub(crate) fn search(&self, text: &str, start: usize, groups: usize) -> Option<Option<Match>> {
        let input = Input::new(text).range(start..);
        match self {
            Linear::Exact {
                regex,
                newline_at_end_only,
            } => {
                let inner_newline = *newline_at_end_only
                    && memchr::memchr(b'\n', text.as_bytes()).is_some_and(|at| at + 1 < text.len());
                if inner_newline {
                    // What is written for `$` then matches at all line ends: a superset.
                    return (!regex.is_match(input)).then_some(None);
                }
                let mut slots: Vec<Option<NonMaxUsize>> = vec![None; groups * 2];
                if regex.search_slots(&input, &mut slots).is_none() {
                    return Some(None);
                }
                Some(Some(Match::from_spans(slots.chunks_exact(2).map(
                    |pair| match pair {
                        [Some(from), Some(to)] => Some((from.get(), to.get())),
                        _ => None,
                    },
                ))))
            }
            Linear::Gate(gate) => (!gate.is_match(input)).then_some(None),
            Linear::Nothing => None,
        }
    }
}
