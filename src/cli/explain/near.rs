//! The changes with which the regexes of one filter would match, made once for all lines.

use std::collections::HashMap;

use crate::filter::Filter;
use crate::pattern::{FailRegex, Help, Nearly};

/// Of a filter with more regexes only those that come far are tried.
const MOST: usize = 60;

/// The changes of a filter's regexes.
#[derive(Debug, Default)]
pub struct Near {
    prefregex: Option<Nearly>,
    failregexes: HashMap<usize, Nearly>,
}

impl Near {
    /// What would make the prefregex match.
    pub fn prefregex(&mut self, filter: &Filter, text: &str) -> Option<Help> {
        let regex = filter.prefregex()?;
        let near = self.prefregex.get_or_insert_with(|| made(filter, regex));
        near.help(&format!("{text}\n"))
    }

    /// What would make a failregex match, and which; `first` is tried before the others.
    pub fn failregex(
        &mut self,
        filter: &Filter,
        first: Option<usize>,
        text: &str,
    ) -> Option<(usize, Help)> {
        let text = format!("{text}\n");
        let regexes = filter.failregexes();
        let all = match regexes.len() {
            ..=MOST => 0..regexes.len(),
            _ => 0..0,
        };
        let others = all.filter(|index| Some(*index) != first);
        first.into_iter().chain(others).find_map(|index| {
            let regex = regexes.get(index)?;
            let near = self.failregexes.entry(index);
            let near = near.or_insert_with(|| made(filter, regex));
            Some((index, near.help(&text)?))
        })
    }
}

fn made(filter: &Filter, regex: &FailRegex) -> Nearly {
    Nearly::new(regex.source(), filter.usedns(), filter.maxlines() > 1)
}
