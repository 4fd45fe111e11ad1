//! The parser of scripts, character by character; `None` means: beyond the subset.
#![forbid(unsafe_code)]

use std::iter::Peekable;
use std::str::Chars;

use super::super::script::MARK;
use super::{Joint, List, Part, Pipeline, ShellCommand, Word};

/// How deep groups and substitutions may nest.
const MAX_DEPTH: usize = 8;

/// Words that are no programs but syntax, where a program is expected.
const RESERVED: [&str; 16] = [
    "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then",
    "until", "while",
];

pub(super) struct ScriptReader<'a> {
    chars: Peekable<Chars<'a>>,
    depth: usize,
}

impl<'a> ScriptReader<'a> {
    /// Of a whole script.
    pub(super) fn new(script: &'a str) -> ScriptReader<'a> {
        ScriptReader {
            chars: script.chars().peekable(),
            depth: 0,
        }
    }

    /// Commands up to the closing bracket of a group, or to the end.
    pub(super) fn list(&mut self, close: Option<char>) -> Option<List> {
        let mut list = List::new();
        loop {
            self.skip_separators();
            match (self.chars.peek(), close) {
                (None, None) => return Some(list),
                (Some(c), Some(close)) if *c == close => {
                    self.chars.next();
                    return Some(list);
                }
                (None, Some(_)) => return None,
                _ => {}
            }
            let pipeline = self.pipeline()?;
            let joint = self.joint()?;
            list.push((pipeline, joint));
            if joint != Joint::Then {
                self.skip_lines();
                if self.chars.peek().is_none_or(|c| Some(*c) == close) {
                    return None;
                }
            }
        }
    }

    fn joint(&mut self) -> Option<Joint> {
        self.skip_blanks();
        match self.chars.peek() {
            Some('|') => {
                self.chars.next();
                (self.chars.next()? == '|').then_some(Joint::Or)
            }
            Some('&') => {
                self.chars.next();
                (self.chars.next()? == '&').then_some(Joint::And)
            }
            None | Some(';' | '\n' | ')' | '}') => Some(Joint::Then),
            Some(_) => None,
        }
    }

    fn pipeline(&mut self) -> Option<Pipeline> {
        let mut pipeline = vec![self.command()?];
        loop {
            self.skip_blanks();
            let mut ahead = self.chars.clone();
            if ahead.next() != Some('|') || ahead.next() == Some('|') {
                return Some(pipeline);
            }
            self.chars.next();
            self.skip_lines();
            pipeline.push(self.command()?);
        }
    }

    fn command(&mut self) -> Option<ShellCommand> {
        self.skip_blanks();
        match self.chars.peek()? {
            '(' => {
                self.chars.next();
                self.nested(|reader| reader.list(Some(')')))
                    .map(ShellCommand::Group)
            }
            '{' => {
                self.chars.next();
                // a bracket glued to a word is part of it
                self.chars.peek().filter(|c| c.is_whitespace())?;
                self.nested(|reader| reader.list(Some('}')))
                    .map(ShellCommand::Group)
            }
            _ => self.simple(),
        }
    }

    fn simple(&mut self) -> Option<ShellCommand> {
        let mut assignments = Vec::new();
        let mut words: Vec<Word> = Vec::new();
        loop {
            self.skip_blanks();
            match self.chars.peek() {
                None | Some(';' | '\n' | '|' | '&' | ')') => break,
                Some('<' | '>' | '(' | '#') => return None,
                Some(_) => {}
            }
            let word = self.word()?;
            if words.is_empty() {
                if let Some((name, value)) = assignment(&word) {
                    assignments.push((name, value));
                    continue;
                }
                if word
                    .literal()
                    .is_some_and(|text| RESERVED.contains(&text.as_str()))
                {
                    return None;
                }
            }
            words.push(word);
        }
        match assignments.is_empty() && words.is_empty() {
            true => None,
            false => Some(ShellCommand::Simple { assignments, words }),
        }
    }

    fn word(&mut self) -> Option<Word> {
        let mut word = Word::default();
        while let Some(&c) = self.chars.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '|' | '&' | ')' => break,
                // a bracket alone among the arguments means nothing to a shell
                '{' if word.parts.is_empty() && self.stands_alone() => {
                    self.chars.next();
                    word.push_text("{");
                }
                // what a shell would expand, and what it reads as syntax inside a word
                '<' | '>' | '(' | '~' | '#' | '{' => return None,
                '*' | '?' | '[' | ']' => {
                    self.chars.next();
                    word.parts.push(Part::Wildcard(c));
                }
                MARK => word.parts.push(self.value()?),
                '\'' => {
                    self.chars.next();
                    self.single_quoted(&mut word)?;
                }
                '"' => {
                    self.chars.next();
                    self.double_quoted(&mut word)?;
                }
                '\\' => {
                    self.chars.next();
                    match self.chars.next()? {
                        '\n' => {}
                        // a backslash in front of whatever the value begins with
                        MARK => return None,
                        c => word.push_text(c.encode_utf8(&mut [0; 4])),
                    }
                }
                '$' | '`' => {
                    let part = self.expansion(false)?;
                    word.parts.push(part);
                }
                c => {
                    self.chars.next();
                    word.push_text(c.encode_utf8(&mut [0; 4]));
                }
            }
        }
        Some(word)
    }

    /// Whether the next character is a word of its own.
    fn stands_alone(&self) -> bool {
        let mut ahead = self.chars.clone();
        ahead.next();
        ahead.next().is_none_or(|c| matches!(c, ' ' | '\t'))
    }

    /// The number of a value between its marks.
    fn value(&mut self) -> Option<Part> {
        self.chars.next_if_eq(&MARK)?;
        let mut number = String::new();
        loop {
            match self.chars.next()? {
                MARK => return number.parse().ok().map(Part::Value),
                c => number.push(c),
            }
        }
    }

    fn single_quoted(&mut self, word: &mut Word) -> Option<()> {
        // an empty pair of quotes is a word all the same
        word.push_text("");
        loop {
            match self.chars.peek()? {
                '\'' => {
                    self.chars.next();
                    return Some(());
                }
                &MARK => word.parts.push(self.value()?),
                _ => {
                    let c = self.chars.next()?;
                    word.push_text(c.encode_utf8(&mut [0; 4]));
                }
            }
        }
    }

    fn double_quoted(&mut self, word: &mut Word) -> Option<()> {
        // an empty pair of quotes is a word all the same
        word.push_text("");
        loop {
            match self.chars.peek()? {
                '"' => {
                    self.chars.next();
                    return Some(());
                }
                '\\' => {
                    self.chars.next();
                    match self.chars.next()? {
                        '\n' => {}
                        c @ ('$' | '`' | '"' | '\\') => {
                            word.push_text(c.encode_utf8(&mut [0; 4]));
                        }
                        MARK => return None,
                        c => {
                            word.push_text("\\");
                            word.push_text(c.encode_utf8(&mut [0; 4]));
                        }
                    }
                }
                &MARK => word.parts.push(self.value()?),
                '$' | '`' => {
                    let part = self.expansion(true)?;
                    word.parts.push(part);
                }
                _ => {
                    let c = self.chars.next()?;
                    word.push_text(c.encode_utf8(&mut [0; 4]));
                }
            }
        }
    }

    /// `$name`, `${name}`, `$( … )` or a pair of back-ticks.
    fn expansion(&mut self, quoted: bool) -> Option<Part> {
        if self.chars.next()? == '`' {
            let mut script = String::new();
            loop {
                match self.chars.next()? {
                    '`' => break,
                    '\\' => match self.chars.next()? {
                        c @ ('$' | '`' | '\\') => script.push(c),
                        '"' if quoted => script.push('"'),
                        c => script.extend(['\\', c]),
                    },
                    c => script.push(c),
                }
            }
            let mut inner = ScriptReader {
                chars: script.chars().peekable(),
                depth: self.depth,
            };
            let list = inner.nested(|reader| reader.list(None))?;
            return Some(Part::Output { list, quoted });
        }
        match self.chars.peek()? {
            '(' => {
                self.chars.next();
                // arithmetic
                if self.chars.peek() == Some(&'(') {
                    return None;
                }
                let list = self.nested(|reader| reader.list(Some(')')))?;
                Some(Part::Output { list, quoted })
            }
            '{' => {
                self.chars.next();
                let name = self.name()?;
                (self.chars.next()? == '}').then_some(Part::Variable { name, quoted })
            }
            _ => {
                let name = self.name()?;
                Some(Part::Variable { name, quoted })
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        while let Some(&c) = self.chars.peek()
            && (c == '_' || c.is_ascii_alphabetic() || (!name.is_empty() && c.is_ascii_digit()))
        {
            name.push(c);
            self.chars.next();
        }
        (!name.is_empty()).then_some(name)
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth >= MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn skip_blanks(&mut self) {
        while self.chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
    }

    fn skip_lines(&mut self) {
        while self
            .chars
            .next_if(|c| matches!(c, ' ' | '\t' | '\n'))
            .is_some()
        {}
    }

    fn skip_separators(&mut self) {
        while self
            .chars
            .next_if(|c| matches!(c, ' ' | '\t' | '\n' | ';'))
            .is_some()
        {}
    }
}

/// `name=value`. A quoted name is no assignment to a shell but counts as one here; callers refuse
/// the variables they do not know, so such a command ends up in a shell.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Text(text)) = word.parts.first() else {
        return None;
    };
    let (name, rest) = text.split_once('=')?;
    let plain = |(at, c): (usize, char)| {
        c == '_' || c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit())
    };
    if name.is_empty() || !name.char_indices().all(plain) {
        return None;
    }
    let mut value = Word::default();
    value.push_text(rest);
    value.parts.extend(word.parts[1..].iter().cloned());
    Some((name.to_owned(), value))
}
