//! Makes the linear automaton of a program.

use regex_automata::MatchKind;
use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::Hir;

/// Largest linear program; usual regexes need a hundredth of it.
const NFA_SIZE_LIMIT: usize = 64 << 20;
/// Memory of the lazily built automaton of a linear program.
const LAZY_DFA_CAPACITY: usize = 2 << 20;

/// The automaton; `None` where it would become too large.
pub(crate) fn build(program: &Hir, captures: WhichCaptures) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .match_kind(MatchKind::LeftmostFirst)
        .which_captures(captures)
        .nfa_size_limit(Some(NFA_SIZE_LIMIT))
        .hybrid_cache_capacity(LAZY_DFA_CAPACITY);
    meta::Builder::new()
        .configure(config)
        .build_from_hir(program)
        .ok()
}
