//! What two filters must have in common to share results.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::pattern::Regex;

/// What decides, beside a line and its date, what regexes find in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterSignature {
    pub(super) prefregex: Option<Arc<Regex>>,
    pub(super) failregexes: Vec<Arc<Regex>>,
    pub(super) ignoreregexes: Vec<Arc<Regex>>,
    pub(super) jsonmatch: String,
}
