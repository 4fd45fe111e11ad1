//! Splits a typed line into words as a shell does: blanks, quotes, backslashes; nothing expands.
#![forbid(unsafe_code)]

/// A line that ends too early.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A quote is never closed.
    #[error("No closing quotation")]
    Quotation,
    /// Nothing follows a backslash.
    #[error("No escaped character")]
    Escape,
}

/// The words of a line.
///
/// # Errors
/// Open quotes and backslashes at the end.
pub fn split(line: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    // a word may be empty, when it was written as a pair of quotes
    let mut word: Option<String> = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => word
                .get_or_insert_default()
                .push(letters.next().ok_or(SplitError::Escape)?),
            quote @ ('\'' | '"') => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next().ok_or(SplitError::Quotation)? {
                        end if end == quote => break,
                        '\\' if quote == '"' => match letters.next().ok_or(SplitError::Escape)? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        other => word.push(other),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results of Python's `shlex.split`.
    #[test]
    fn as_a_shell() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("  a\tb  ", &["a", "b"]),
            ("'a b'c \"d \\\" e\"", &["a bc", "d \" e"]),
            ("a\\ b \\'", &["a b", "'"]),
            ("'' x \"\"", &["", "x", ""]),
            ("'a\\b' \"a\\b\\\\\"", &["a\\b", "a\\b\\"]),
            (
                "set j addfailregex '^x <HOST>$'",
                &["set", "j", "addfailregex", "^x <HOST>$"],
            ),
        ];
        for (line, expected) in table {
            assert_eq!(split(line).unwrap(), expected, "{line}");
        }
        assert_eq!(split("a 'b"), Err(SplitError::Quotation));
        assert_eq!(split("a\\"), Err(SplitError::Escape));
    }
}
