//! [`Regex`]: Python source in, matches with Python's spans out. Equal sources share their
//! programs, since many jails use the same filter.

use std::sync::{Arc, LazyLock};

use super::ast::{Node, Tree};
use super::engine::Engines;
use super::parser::parse;
use super::reader::SyntaxError;
use super::simplify::simplify;
use super::spans::Match;
use super::{Flags, LimitExceeded, PatternError};
use crate::interned::Interned;

/// A compiled Python regular expression. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Regex {
    shared: Arc<Shared>,
}

/// Equal regexes are one as long as they are in use.
impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Regex {}

/// What equal regexes have in common.
#[derive(Debug)]
struct Shared {
    source: Box<str>,
    flags: Flags,
    names: Box<[Option<String>]>,
    engines: Engines,
}

/// The regexes in use anywhere in the process.
static IN_USE: LazyLock<Interned<Flags, Shared>> = LazyLock::new(Interned::default);

impl Regex {
    /// Compiles Python `re` source. The engines are built when first needed.
    ///
    /// # Errors
    /// [`PatternError::Syntax`] where Python's `re.compile` raises.
    pub fn new(source: &str, flags: Flags) -> Result<Regex, PatternError> {
        let shared = IN_USE.get(flags, source, || {
            let tree =
                parse(source, flags).map_err(|SyntaxError(reason)| PatternError::Syntax {
                    pattern: source.to_owned(),
                    reason,
                })?;
            Ok(Shared {
                source: source.into(),
                flags,
                engines: Engines::default(),
                names: tree.names.into(),
            })
        })?;
        Ok(Regex { shared })
    }

    /// The Python source.
    pub fn source(&self) -> &str {
        &self.shared.source
    }

    /// The flags it was compiled with.
    pub(super) fn flags(&self) -> Flags {
        self.shared.flags
    }

    /// Names by group number; index 0 is the whole match and has none.
    pub fn group_names(&self) -> &[Option<String>] {
        &self.shared.names
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
        let engines = &self.shared.engines;
        engines.search(text, start, groups, &|| self.root())
    }

    /// Whether the regex matches anywhere.
    ///
    /// # Errors
    /// [`LimitExceeded`] when the search gave up at its step limit.
    pub fn is_match(&self, text: &str) -> Result<bool, LimitExceeded> {
        match self.shared.engines.verdict(text, &|| self.root()) {
            Some(answer) => Ok(answer),
            None => Ok(self.search(text)?.is_some()),
        }
    }

    /// Whether the two are one regex under the hood.
    #[cfg(test)]
    pub(super) fn shares_programs_with(&self, other: &Regex) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The simplified tree. Parsed anew each time: it is wanted once or twice, and would weigh
    /// more than the source and the names together.
    pub(super) fn root(&self) -> Node {
        match parse(self.source(), self.shared.flags) {
            Ok(Tree { root, .. }) => simplify(root),
            // It parsed in `new`.
            Err(_) => Node::Empty,
        }
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
