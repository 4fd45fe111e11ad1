//! What a filter catches in lines: fields by their names, and the lines themselves.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::address::Address;

/// The value of a captured field (`<F-USER>` is the field `user`).
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// Captured text.
    Text(String),
    /// Distinct values collected over a session (`users`), in order of appearance.
    Set(Vec<String>),
    /// Parts joined by `<F-TUPLE_…>` tags; a part may be unset.
    Tuple(Vec<Option<String>>),
    /// An address kept beside a different id (`ip` when `fid` is the id, fact R21).
    Address(Address),
}

/// The lower-case name of a captured field; to have one more of it costs nothing.
#[derive(Clone, Debug)]
pub enum FieldName {
    /// One of those that filters know by themselves.
    Known(&'static str),
    /// Any other.
    Other(Arc<str>),
}

impl FieldValue {
    /// Bytes of its texts.
    pub fn size(&self) -> usize {
        match self {
            FieldValue::Text(text) => text.len(),
            FieldValue::Set(texts) => texts.iter().map(String::len).sum(),
            FieldValue::Tuple(parts) => parts.iter().flatten().map(String::len).sum(),
            FieldValue::Address(_) => size_of::<Address>(),
        }
    }
}

impl FieldName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        match self {
            FieldName::Known(text) => text,
            FieldName::Other(text) => text,
        }
    }
}

impl From<&str> for FieldName {
    fn from(text: &str) -> FieldName {
        FieldName::Other(text.into())
    }
}

impl From<String> for FieldName {
    fn from(text: String) -> FieldName {
        FieldName::Other(text.into())
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &FieldName) -> bool {
        self.as_str() == other.as_str()
    }
}

/// Captured fields in capture order, by name. A failure has a few: to look through them is faster
/// than to hash their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(FieldName, FieldValue)>);

impl Fields {
    /// No fields.
    pub fn new() -> Fields {
        Fields::default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        let found = self.0.iter().find(|(known, _)| known.as_str() == name);
        found.map(|(_, value)| value)
    }

    /// Sets a field; a new one goes to the end.
    pub fn insert(&mut self, name: impl Into<FieldName>, value: FieldValue) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((name, value)),
        }
    }

    /// All of them in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &FieldValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl<N: Into<FieldName>> FromIterator<(N, FieldValue)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, FieldValue)>>(fields: I) -> Fields {
        let fields = fields.into_iter();
        let mut all = Fields(Vec::with_capacity(
            fields.size_hint().1.unwrap_or(0).min(16),
        ));
        for (name, value) in fields {
            all.insert(name, value);
        }
        all
    }
}

/// A matched log line as the database stores it (fact Q3).
#[derive(Clone, Debug, PartialEq)]
pub enum MatchLine {
    /// The whole line.
    Text(String),
    /// Text before the date, the date, text after it; joined they are the line.
    Parts(Arc<[String; 3]>),
}

impl MatchLine {
    /// Bytes of the whole line.
    pub fn size(&self) -> usize {
        match self {
            MatchLine::Text(line) => line.len(),
            MatchLine::Parts(parts) => parts.iter().map(String::len).sum(),
        }
    }

    /// The whole line.
    pub fn text(&self) -> String {
        match self {
            MatchLine::Text(line) => line.clone(),
            MatchLine::Parts(parts) => parts.concat(),
        }
    }
}
