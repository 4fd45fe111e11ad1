//! A Python exception, by class and text.

/// Why something has no value; `Display` is the text for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct PythonException {
    /// The class of the exception: `SyntaxError`, `ValueError`, …
    pub class: &'static str,
    /// Its text.
    pub text: String,
}

impl PythonException {
    /// An exception with a text.
    pub fn new(class: &'static str, text: impl Into<String>) -> PythonException {
        PythonException {
            class,
            text: text.into(),
        }
    }
}
