//! Reads the characters of a regex as Python's parser does: one at a time, an escape counting as one,
//! with the position. Errors carry Python's words and position.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

/// One unit of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatternToken {
    /// A character as it stands.
    Char(char),
    /// A backslash and the character after it.
    Escape(char),
}

impl PatternToken {
    /// Number of source characters.
    pub(crate) fn width(self) -> usize {
        match self {
            PatternToken::Char(_) => 1,
            PatternToken::Escape(_) => 2,
        }
    }
}

impl std::fmt::Display for PatternToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PatternToken::Char(c) => write!(f, "{c}"),
            PatternToken::Escape(c) => write!(f, "\\{c}"),
        }
    }
}

/// Why Python would refuse a regex; `Display` is the text of its `re.error`: message and position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegexSyntaxError(pub(crate) String);

impl std::fmt::Display for RegexSyntaxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RegexSyntaxError {}

/// Reads the source with one token of look-ahead.
#[derive(Debug)]
pub(crate) struct PatternReader {
    chars: Vec<char>,
    /// Index after the look-ahead token.
    index: usize,
    next: Option<PatternToken>,
}

impl PatternReader {
    /// Starts at the first character.
    pub(crate) fn new(source: &str) -> Result<PatternReader, RegexSyntaxError> {
        let mut reader = PatternReader {
            chars: source.chars().collect(),
            index: 0,
            next: None,
        };
        reader.advance()?;
        Ok(reader)
    }

    fn advance(&mut self) -> Result<(), RegexSyntaxError> {
        self.next = match self.chars.get(self.index) {
            None => None,
            Some('\\') => match self.chars.get(self.index + 1) {
                Some(c) => Some(PatternToken::Escape(*c)),
                None => {
                    let last = self.chars.len() - 1;
                    return Err(self.error_at("bad escape (end of pattern)", last));
                }
            },
            Some(c) => Some(PatternToken::Char(*c)),
        };
        self.index += self.next.map_or(0, PatternToken::width);
        Ok(())
    }

    /// The token to come.
    pub(crate) fn peek(&self) -> Option<PatternToken> {
        self.next
    }

    /// Takes the next token.
    pub(crate) fn take(&mut self) -> Result<Option<PatternToken>, RegexSyntaxError> {
        let token = self.next;
        self.advance()?;
        Ok(token)
    }

    /// Takes the next token if it is this character.
    pub(crate) fn eat(&mut self, c: char) -> Result<bool, RegexSyntaxError> {
        let hit = self.next == Some(PatternToken::Char(c));
        if hit {
            self.advance()?;
        }
        Ok(hit)
    }

    /// Takes up to `limit` characters that pass `test`.
    pub(crate) fn take_while(
        &mut self,
        limit: usize,
        test: impl Fn(char) -> bool,
    ) -> Result<String, RegexSyntaxError> {
        let mut taken = String::new();
        while let Some(PatternToken::Char(c)) = self.next {
            if taken.len() == limit || !test(c) {
                break;
            }
            taken.push(c);
            self.advance()?;
        }
        Ok(taken)
    }

    /// Takes everything up to `end`, and `end` itself; `what` names it in errors. At least one
    /// character must be there.
    pub(crate) fn take_until(&mut self, end: char, what: &str) -> Result<String, RegexSyntaxError> {
        let mut taken = String::new();
        loop {
            let token = self.take()?;
            match token {
                None if taken.is_empty() => return Err(self.error(&format!("missing {what}"), 0)),
                None => {
                    let message = format!("missing {end}, unterminated name");
                    return Err(self.error(&message, taken.chars().count()));
                }
                Some(PatternToken::Char(c)) if c == end => {
                    if taken.is_empty() {
                        return Err(self.error(&format!("missing {what}"), 1));
                    }
                    return Ok(taken);
                }
                Some(token) => taken.push_str(&token.to_string()),
            }
        }
    }

    /// Index of the token to come.
    pub(crate) fn position(&self) -> usize {
        self.index - self.next.map_or(0, PatternToken::width)
    }

    /// Goes back to a position taken earlier.
    pub(crate) fn rewind(&mut self, position: usize) -> Result<(), RegexSyntaxError> {
        self.index = position;
        self.advance()
    }

    /// An error `back` characters before the present position.
    pub(crate) fn error(&self, message: &str, back: usize) -> RegexSyntaxError {
        self.error_at(message, self.position().saturating_sub(back))
    }

    /// An error at a position; patterns of several lines get line and column as well.
    pub(crate) fn error_at(&self, message: &str, position: usize) -> RegexSyntaxError {
        let mut text = format!("{message} at position {position}");
        if self.chars.contains(&'\n') {
            let before = &self.chars[..position.min(self.chars.len())];
            let line = before.iter().filter(|c| **c == '\n').count() + 1;
            let column = match before.iter().rposition(|c| *c == '\n') {
                Some(newline) => position - newline,
                None => position + 1,
            };
            text.push_str(&format!(" (line {line}, column {column})"));
        }
        RegexSyntaxError(text)
    }
}

/// A name as Python's `repr` shows it.
pub(crate) fn quoted(name: &str) -> String {
    let quote = if name.contains('\'') && !name.contains('"') {
        '"'
    } else {
        '\''
    };
    let hidden = GeneralCategoryGroup::Other.union(GeneralCategoryGroup::Separator);
    let mut out = String::from(quote);
    for c in name.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            ' ' => out.push(' '),
            c if hidden.contains(CodePointMapData::<GeneralCategory>::new().get(c)) => {
                out.push_str(&match u32::from(c) {
                    code @ ..0x100 => format!("\\x{code:02x}"),
                    code @ ..0x1_0000 => format!("\\u{code:04x}"),
                    code => format!("\\U{code:08x}"),
                });
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}
