//! [`Regex`]: Python source in, matches with Python's spans out.

use super::ast::{Node, Tree};
use super::emit::is_linear;
use super::engine::Engines;
use super::first_set::Bytes;
use super::literals::{Literals, required};
use super::opening::{matches_every_line, opening};
use super::parser::parse;
use super::pattern_reader::RegexSyntaxError;
use super::simplify::simplify;
use super::spans::Match;
use super::{Flags, LimitExceeded};

/// A compiled Python regular expression.
#[derive(Debug)]
pub struct Regex {
    source: Box<str>,
    flags: Flags,
    names: Box<[Option<String>]>,
    engines: Engines,
}

/// Equal where source and flags are.
impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        self.flags == other.flags && self.source == other.source
    }
}

impl Eq for Regex {}

impl Regex {
    /// Compiles Python `re` source. The engines are built when first needed.
    ///
    /// # Errors
    /// Where Python's `re.compile` raises.
    pub fn new(source: &str, flags: Flags) -> Result<Regex, RegexSyntaxError> {
        let tree = parse(source, flags)?;
        Ok(Regex {
            source: source.into(),
            flags,
            names: tree.names.into(),
            engines: Engines::default(),
        })
    }

    /// The Python source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The flags it was compiled with.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Names by group number; index 0 is the whole match and has none.
    pub fn group_names(&self) -> &[Option<String>] {
        &self.names
    }

    /// Number of the group with this name.
    pub fn group_index(&self, name: &str) -> Option<usize> {
        let names = self.group_names();
        names.iter().position(|n| n.as_deref() == Some(name))
    }

    /// Leftmost match with Python's `search` semantics.
    ///
    /// # Errors
    /// [`LimitExceeded`] when the search gave up at its step limit.
    pub fn search(&self, text: &str) -> Result<Option<Match>, LimitExceeded> {
        self.search_range(text, 0, text.len())
    }

    /// As Python's `search(text, pos, endpos)`: the text ends at `end` for `$` and look-ahead, but
    /// `^` and look-behind still see what stands before `start`. Offsets are byte offsets on
    /// character boundaries.
    ///
    /// # Errors
    /// [`LimitExceeded`] when the search gave up at its step limit.
    pub fn search_range(
        &self,
        text: &str,
        start: usize,
        end: usize,
    ) -> Result<Option<Match>, LimitExceeded> {
        let (text, start) = cut(text, start, end);
        let groups = self.group_names().len();
        let engines = &self.engines;
        engines.search(text, start, groups, &|| self.root())
    }

    /// Whether the regex matches anywhere.
    ///
    /// # Errors
    /// [`LimitExceeded`] when the search gave up at its step limit.
    pub fn is_match(&self, text: &str) -> Result<bool, LimitExceeded> {
        match self.engines.verdict(text, &|| self.root()) {
            Some(answer) => Ok(answer),
            None => Ok(self.search(text)?.is_some()),
        }
    }

    /// The simplified tree. Parsed anew each time: it is wanted once or twice, and would weigh
    /// more than the source and the names together.
    pub fn root(&self) -> Node {
        match parse(&self.source, self.flags) {
            Ok(Tree { root, .. }) => simplify(root),
            // It parsed in `new`.
            Err(_) => Node::Empty,
        }
    }

    /// Whether it needs no backtracking on ASCII texts: time is linear in the length of the text.
    pub fn is_linear(&self) -> bool {
        is_linear(&self.root(), true)
    }

    /// Sets of strings of which an ASCII text must satisfy each to match, the most telling first: of
    /// its strings, one must occur. Without any set nothing can be said.
    pub fn required_literals(&self) -> Vec<Literals> {
        required(&self.root())
    }

    /// What every text that matches begins with; `None`: anything.
    pub fn first_bytes(&self) -> Option<Bytes> {
        opening(&self.root())
    }

    /// Whether it matches every text of one line.
    pub fn matches_every_line(&self) -> bool {
        matches_every_line(&self.root())
    }
}

/// The text up to `end` and the place to start at, moved back onto character boundaries if need be.
fn cut(text: &str, start: usize, end: usize) -> (&str, usize) {
    let boundary = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let end = boundary(end);
    (&text[..end], boundary(start).min(end))
}
