//! Translates a tree for the linear engine.
//!
//! It builds the engine's tree directly instead of printing a regex and parsing it again, so the engine's
//! own syntax, case folding and Unicode tables play no part.

use regex_syntax::hir::{self, Hir, Look};

use super::ast::{Assertion, Greed, Node};
use super::unicode::characters;

/// Whether the linear engine can run `node` exactly, for ASCII texts or for all.
///
/// `$` counts as linear: what is written for it is exact where newlines end the text only.
pub(crate) fn is_linear(node: &Node, ascii: bool) -> bool {
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

/// What a tree comes to that `is_linear` for texts of that kind.
pub(crate) fn emit(node: &Node, ascii: bool) -> Hir {
    let emit_all = |nodes: &[Node]| nodes.iter().map(|node| emit(node, ascii)).collect();
    match node {
        Node::Class(class) if ascii => {
            let bytes = class.ascii_ranges();
            let bytes = bytes.map(|(from, to)| hir::ClassBytesRange::new(from, to));
            Hir::class(hir::Class::Bytes(hir::ClassBytes::new(bytes)))
        }
        Node::Class(class) => Hir::class(hir::Class::Unicode(characters(class))),
        Node::Concat(nodes) => Hir::concat(emit_all(nodes)),
        Node::Alternation(nodes) => Hir::alternation(emit_all(nodes)),
        Node::Repeat {
            node,
            min,
            max,
            greed,
        } => Hir::repetition(hir::Repetition {
            min: *min,
            max: *max,
            greedy: *greed == Greed::Greedy,
            sub: Box::new(emit(node, ascii)),
        }),
        Node::Group { index, node } => Hir::capture(hir::Capture {
            // The parser's limit of groups is far below.
            index: u32::try_from(*index).unwrap_or(u32::MAX),
            name: None,
            sub: Box::new(emit(node, ascii)),
        }),
        Node::Assert(assertion) => emit_assertion(*assertion),
        // The others are not linear: `is_linear` refuses them, `overapproximated` removes them.
        Node::Empty
        | Node::Atomic(_)
        | Node::Look { .. }
        | Node::Backref { .. }
        | Node::Conditional { .. } => Hir::empty(),
    }
}

fn emit_assertion(assertion: Assertion) -> Hir {
    Hir::look(match assertion {
        Assertion::TextStart => Look::Start,
        Assertion::LineStart => Look::StartLF,
        Assertion::TextEnd => Look::End,
        Assertion::LineEnd | Assertion::TextEndOrFinalNewline => Look::EndLF,
        // Only programs for ASCII texts have words.
        Assertion::WordBoundary { .. } => Look::WordAscii,
        Assertion::NotWordBoundary { .. } => Look::WordAsciiNegate,
        Assertion::NotInsideWord { .. } => {
            return Hir::alternation(vec![
                Hir::look(Look::WordStartHalfAscii),
                Hir::look(Look::WordEndHalfAscii),
            ]);
        }
    })
}
