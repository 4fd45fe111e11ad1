//! Tells whether a regex matches a line, without spans, in one pass of the linear engine.
//!
//! It takes ASCII texts whose only newline is their last character, and is exact there:
//!
//! * `.+` before a `$` that ends the regex matches all that is left of such a text, so one character has
//!   to be seen, and none for `.*`.
//! * A negative look-around for a plain string holds everywhere in a text without that string;
//!   texts with it are left to the backtracker.

use memchr::memmem::Finder;
use regex_automata::Input;
use regex_automata::meta;
use regex_automata::nfa::thompson::WhichCaptures;

use super::ast::Node;
use super::automaton::build;
use super::emit::{emit, is_linear};
use super::opening::is_whole_line;
use super::program_builder::whole_literal;

/// A regex without what it captures.
#[derive(Debug)]
pub(crate) struct LineTest {
    regex: meta::Regex,
    /// It cannot tell about texts with one of these.
    absent: Vec<Finder<'static>>,
}

impl LineTest {
    /// Of a simplified tree, if the linear engine can run what is left of it.
    pub(crate) fn new(mut root: Node) -> Option<LineTest> {
        cut_tail(&mut root);
        let mut absent = Vec::new();
        root.rewrite(&mut |node| {
            if let Node::Look {
                negative: true,
                node: inner,
                ..
            } = node
                && let Some(literal) = whole_literal(inner)
            {
                absent.push(Finder::new(&literal).into_owned());
                *node = Node::Empty;
            }
        });
        if !is_linear(&root, true) {
            return None;
        }
        let regex = build(&emit(&root, true), WhichCaptures::None)?;
        Some(LineTest { regex, absent })
    }

    /// Whether the regex matches anywhere in `text`, if that can be told.
    pub(crate) fn of(&self, text: &str) -> Option<bool> {
        let bytes = text.as_bytes();
        let one_line = memchr::memchr(b'\n', bytes).is_some_and(|at| at + 1 == bytes.len());
        let known = one_line
            && text.is_ascii()
            && !self
                .absent
                .iter()
                .any(|string| string.find(bytes).is_some());
        known.then(|| self.regex.is_match(Input::new(text).earliest(true)))
    }
}

/// Shortens a row of anything at the end to the one character that it needs.
fn cut_tail(root: &mut Node) {
    let Node::Concat(nodes) = root else {
        return;
    };
    if let [.., row, end] = nodes.as_slice()
        && end.is_dollar()
        && is_whole_line(row)
    {
        let needed = first_of_row(row);
        nodes.truncate(nodes.len() - 2);
        nodes.push(needed);
    }
}

/// What a row of [`is_whole_line`] has at least.
fn first_of_row(row: &Node) -> Node {
    match row {
        Node::Group { node, .. } => first_of_row(node),
        Node::Repeat { node, min: 1, .. } => (**node).clone(),
        _ => Node::Empty,
    }
}
