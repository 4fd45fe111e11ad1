//! A command without the values of a ticket: marks stand in their places.
#![forbid(unsafe_code)]

/// Stands before and behind the number of a value. No command can contain it otherwise: it ends the
/// arguments of programs.
pub const MARK: char = '\0';

/// A command with marks, and the values they stand for, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    /// The command.
    pub(super) text: String,
    /// The values.
    pub(super) values: Vec<String>,
}

impl Shape {
    /// Keeps a value; answers its mark.
    pub(super) fn mark(&mut self, value: String) -> String {
        self.values.push(value);
        format!("{MARK}{}{MARK}", self.values.len() - 1)
    }

    /// The command with these texts in the place of its values.
    pub(super) fn fill(&self, texts: &[String]) -> String {
        let mut out = String::with_capacity(self.text.len());
        // every second piece is the number of a value
        for (at, piece) in self.text.split(MARK).enumerate() {
            match (at % 2, piece.parse::<usize>()) {
                (1, Ok(number)) => out.extend(texts.get(number).map(String::as_str)),
                _ => out.push_str(piece),
            }
        }
        out
    }
}
