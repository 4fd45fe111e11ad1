//! The fast way to expand tags: each value is expanded once and reused by those that refer to it.
//!
//! No two tags overlap, so the order of expansion does not change the result. It does change where a cycle
//! is noticed and how it is reported, so whatever is unclear here is left to the slow way
//! ([`super::substitute`]).
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;

use super::{Ignored, LENGTH, REPLACEMENTS, WORK};
use crate::config::error::Cause;
use crate::config::section::Hashing;
use crate::config::settings::{Options, Setting};

/// Values within values.
const DEPTH: usize = 100;

/// The long way has to be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unclear;

/// A text with all its tags replaced.
#[derive(Clone, Debug)]
struct Settled {
    text: Arc<str>,
    /// It holds a `<` that may become a tag with what is put behind it.
    open: bool,
    /// No tag took the long way more rounds than this.
    rounds: i64,
}

impl Settled {
    fn plain(text: Arc<str>) -> Settled {
        Settled {
            text,
            open: false,
            rounds: 0,
        }
    }
}

/// How far a value is.
#[derive(Clone, Debug, Default)]
enum ValueState {
    #[default]
    Untouched,
    /// Being settled: a reference to it is a circle.
    Busy,
    /// `None`: there is no such value.
    Settled(Option<Settled>),
}

struct Settling<'a, L> {
    options: &'a Options,
    ignored: &'a Ignored<'a>,
    lookup: L,
    /// Of the options, by their index.
    own: Vec<ValueState>,
    /// Of what was looked up.
    others: HashMap<Box<str>, ValueState, Hashing>,
    depth: usize,
    work: usize,
}

/// The options that change, by index, and what they become.
pub(super) fn settle(
    options: &Options,
    ignored: &Ignored<'_>,
    lookup: impl FnMut(&str) -> Result<Option<Arc<str>>, Cause>,
) -> Result<Vec<(usize, Arc<str>)>, Unclear> {
    let mut settling = Settling {
        options,
        ignored,
        lookup,
        own: vec![ValueState::Untouched; options.len()],
        others: HashMap::default(),
        depth: 0,
        work: 0,
    };
    let mut changed = Vec::new();
    for (index, (name, value)) in options.iter().enumerate() {
        if let Setting::Text(text) = value
            && !ignored.contains(&**name)
        {
            let settled = settling.option(index, text)?;
            if !Arc::ptr_eq(&settled.text, text) {
                changed.push((index, settled.text));
            }
        }
    }
    Ok(changed)
}

impl<L: FnMut(&str) -> Result<Option<Arc<str>>, Cause>> Settling<'_, L> {
    fn option(&mut self, index: usize, text: &Arc<str>) -> Result<Settled, Unclear> {
        match &self.own[index] {
            ValueState::Busy => return Err(Unclear),
            ValueState::Settled(Some(settled)) => return Ok(settled.clone()),
            ValueState::Settled(None) | ValueState::Untouched => {}
        }
        self.own[index] = ValueState::Busy;
        let settled = self.text(text)?;
        self.own[index] = ValueState::Settled(Some(settled.clone()));
        Ok(settled)
    }

    /// What a tag stands for, settled.
    fn tag(&mut self, tag: &str) -> Result<Option<Settled>, Unclear> {
        if self.ignored.contains(tag) {
            return Ok(None);
        }
        let options = self.options;
        match options.get_full(tag) {
            Some((index, _, Setting::Text(text))) => return self.option(index, text).map(Some),
            Some((_, _, Setting::Nothing)) | None => {}
            Some((_, _, value)) => return Ok(Some(Settled::plain(value.shared_text()))),
        }
        match self.others.get(tag) {
            Some(ValueState::Settled(known)) => return Ok(known.clone()),
            Some(ValueState::Busy) => return Err(Unclear),
            Some(ValueState::Untouched) | None => {}
        }
        let found = (self.lookup)(tag).map_err(|_| Unclear)?;
        let settled = match found {
            Some(text) => {
                self.others.insert(tag.into(), ValueState::Busy);
                Some(self.text(&text)?)
            }
            None => None,
        };
        let state = ValueState::Settled(settled.clone());
        self.others.insert(tag.into(), state);
        Ok(settled)
    }

    fn text(&mut self, text: &Arc<str>) -> Result<Settled, Unclear> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Unclear);
        }
        let mut settled = Settled::plain(text.clone());
        // What was replaced may form a tag with its surroundings.
        while self.pass(&mut settled)? && settled.open {}
        self.depth -= 1;
        Ok(settled)
    }

    /// Replaces the tags that are in the text now; whether there were any.
    fn pass(&mut self, settled: &mut Settled) -> Result<bool, Unclear> {
        let text = settled.text.clone();
        let bytes = text.as_bytes();
        let mut out = String::new();
        let mut replaced: Vec<&str> = Vec::new();
        let (mut copied, mut at) = (0, 0);
        settled.open = false;
        while let Some(begin) = memchr::memchr(b'<', &bytes[at..]).map(|found| at + found + 1) {
            let ends = |byte: &u8| matches!(byte, b'<' | b'>' | b' ');
            let Some(end) = bytes[begin..].iter().position(ends).map(|n| begin + n) else {
                settled.open = true;
                break;
            };
            if bytes[end] == b'<' {
                settled.open = true;
                at = end;
                continue;
            }
            at = end + 1;
            if bytes[end] != b'>' || begin == end {
                continue;
            }
            let tag = &text[begin..end];
            let Some(value) = self.tag(tag)? else {
                continue;
            };
            if !replaced.contains(&tag) {
                replaced.push(tag);
                settled.rounds += 1 + value.rounds;
            }
            settled.open |= value.open;
            if out.is_empty() {
                out.reserve(text.len() + value.text.len());
            }
            out.push_str(&text[copied..begin - 1]);
            out.push_str(&value.text);
            copied = at;
            if out.len() > LENGTH {
                return Err(Unclear);
            }
        }
        if replaced.is_empty() {
            return Ok(false);
        }
        out.push_str(&text[copied..]);
        self.work += out.len();
        if settled.rounds > REPLACEMENTS || self.work > WORK || out.len() > LENGTH {
            return Err(Unclear);
        }
        settled.text = out.into();
        Ok(true)
    }
}
