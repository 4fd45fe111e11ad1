//! The characters of a regex as Python's parser sees them: one at a time, an escape counting as
//! one, always knowing where it stands. Errors carry Python's words and position.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

/// One unit of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A character as it stands.
    Char(char),
    /// A backslash and the character after it.
    Escape(char),
}

impl Token {
    /// Number of source characters.
    pub(crate) fn width(self) -> usize {
        match self {
            Token::Char(_) => 1,
            Token::Escape(_) => 2,
        }
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Char(c) => write!(f, "{c}"),
            Token::Escape(c) => write!(f, "\\{c}"),
        }
    }
}

/// Why Python would refuse a regex; `Display` is the text of its `re.error`: message and position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError(pub(crate) String);

impl std::fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SyntaxError {}

/// Reads the source with one token of look-ahead.
#[derive(Debug)]
pub(crate) struct Reader {
    chars: Vec<char>,
    /// Index after the look-ahead token.
    index: usize,
    next: Option<Token>,
}

impl Reader {
    /// Starts at the first character.
    pub(crate) fn new(source: &str) -> Result<Reader, SyntaxError> {
        let mut reader = Reader {
            chars: source.chars().collect(),
            index: 0,
            next: None,
        };
        reader.advance()?;
        Ok(reader)
    }

    fn advance(&mut self) -> Result<(), SyntaxError> {
        self.next = match self.chars.get(self.index) {
            None => None,
            Some('\\') => match self.chars.get(self.index + 1) {
                Some(c) => Some(Token::Escape(*c)),
                None => {
                    let last = self.chars.len() - 1;
                    return Err(self.error_at("bad escape (end of pattern)", last));
                }
            },
            Some(c) => Some(Token::Char(*c)),
        };
        self.index += self.next.map_or(0, Token::width);
        Ok(())
    }

    /// The token to come.
    pub(crate) fn peek(&self) -> Option<Token> {
        self.next
    }

    /// Takes the next token.
    pub(crate) fn take(&mut self) -> Result<Option<Token>, SyntaxError> {
        let token = self.next;
        self.advance()?;
        Ok(token)
    }

    /// Takes the next token if it is this character.
    pub(crate) fn eat(&mut self, c: char) -> Result<bool, SyntaxError> {
        let hit = self.next == Some(Token::Char(c));
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
    ) -> Result<String, SyntaxError> {
        let mut taken = String::new();
        while let Some(Token::Char(c)) = self.next {
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
    pub(crate) fn take_until(&mut self, end: char, what: &str) -> Result<String, SyntaxError> {
        let mut taken = String::new();
        loop {
            let token = self.take()?;
            match token {
                None if taken.is_empty() => return Err(self.error(&format!("missing {what}"), 0)),
                None => {
                    let message = format!("missing {end}, unterminated name");
                    return Err(self.error(&message, taken.chars().count()));
                }
                Some(Token::Char(c)) if c == end => {
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
        self.index - self.next.map_or(0, Token::width)
    }

    /// Goes back to a position taken earlier.
    pub(crate) fn rewind(&mut self, position: usize) -> Result<(), SyntaxError> {
        self.index = position;
        self.advance()
    }

    /// An error `back` characters before the present position.
    pub(crate) fn error(&self, message: &str, back: usize) -> SyntaxError {
        self.error_at(message, self.position().saturating_sub(back))
    }

    /// An error at a position; patterns of several lines get line and column as well.
    pub(crate) fn error_at(&self, message: &str, position: usize) -> SyntaxError {
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
        SyntaxError(text)
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
