//! Reads the small part of the shell's language that the commands of mail and firewall actions
//! are written in, so that they can be carried out without a shell.
//!
//! In comes a script, out comes its structure, or `None` for anything beyond the subset: then
//! `/bin/sh` must run it. Refusing too much costs a little speed, accepting something wrongly would
//! change its meaning; so whatever is not known here is refused.
#![forbid(unsafe_code)]

use std::iter::Peekable;
use std::str::Chars;

/// How deep groups and substitutions may nest.
const MAX_DEPTH: usize = 8;

/// Commands joined by line ends, semicolons, `&&` and `||`.
pub type List = Vec<(Pipeline, Joint)>;

/// Commands joined by `|`.
pub type Pipeline = Vec<Command>;

/// What stands behind a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// `;`, a line end, or the end.
    Then,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `A=b program words`
    Simple {
        /// Variables set in front of the program, or alone.
        assignments: Vec<(String, Word)>,
        /// Program and arguments.
        words: Vec<Word>,
    },
    /// `( … )` or `{ …; }`
    Group(List),
}

/// A word: pieces that follow each other without a blank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Word {
    /// The pieces.
    pub parts: Vec<Part>,
}

/// A piece of a word.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// The value of a variable.
    Variable {
        /// Its name.
        name: String,
        /// Inside double quotes: blanks in the value do not split it.
        quoted: bool,
    },
    /// What a script prints, without line ends behind it.
    Output {
        /// The script.
        list: List,
        /// Inside double quotes.
        quoted: bool,
    },
}

impl Word {
    /// The text, when the word has no variables and no substitutions.
    pub fn literal(&self) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// Program and arguments of a script that is one plain command without any shell syntax.
pub fn plain_command(script: &str) -> Option<Vec<String>> {
    let list = parse(script)?;
    let [(pipeline, _)] = list.as_slice() else {
        return None;
    };
    let [Command::Simple { assignments, words }] = pipeline.as_slice() else {
        return None;
    };
    if !assignments.is_empty() || words.is_empty() {
        return None;
    }
    words.iter().map(Word::literal).collect()
}

/// Reads a script; `None` when it is beyond the subset.
pub fn parse(script: &str) -> Option<List> {
    Reader {
        chars: script.chars().peekable(),
        depth: 0,
    }
    .list(None)
}

/// Words that are no programs but syntax, where a program is expected.
const RESERVED: [&str; 16] = [
    "!", "{", "}", "case", "do", "done", "elif", "else", "esac", "fi", "for", "if", "in", "then",
    "until", "while",
];

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    depth: usize,
}

impl Reader<'_> {
    /// Commands up to the closing bracket of a group, or to the end.
    fn list(&mut self, close: Option<char>) -> Option<List> {
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

    fn command(&mut self) -> Option<Command> {
        self.skip_blanks();
        match self.chars.peek()? {
            '(' => {
                self.chars.next();
                self.nested(|reader| reader.list(Some(')')))
                    .map(Command::Group)
            }
            '{' => {
                self.chars.next();
                // a bracket glued to a word is part of it
                self.chars.peek().filter(|c| c.is_whitespace())?;
                self.nested(|reader| reader.list(Some('}')))
                    .map(Command::Group)
            }
            _ => self.simple(),
        }
    }

    fn simple(&mut self) -> Option<Command> {
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
            false => Some(Command::Simple { assignments, words }),
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
                '<' | '>' | '(' | '*' | '?' | '[' | ']' | '~' | '#' | '{' => return None,
                '\'' => {
                    self.chars.next();
                    let mut text = String::new();
                    loop {
                        match self.chars.next()? {
                            '\'' => break,
                            c => text.push(c),
                        }
                    }
                    word.push_text(&text);
                }
                '"' => {
                    self.chars.next();
                    self.double_quoted(&mut word)?;
                }
                '\\' => {
                    self.chars.next();
                    match self.chars.next()? {
                        '\n' => {}
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
                        c => {
                            word.push_text("\\");
                            word.push_text(c.encode_utf8(&mut [0; 4]));
                        }
                    }
                }
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
            let mut inner = Reader {
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

impl Word {
    fn push_text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Option<Vec<String>> {
        plain_command(script)
    }

    #[test]
    fn plain_commands_are_split_as_a_shell_does() {
        for (script, expected) in [
            (
                "iptables -w -I c 1 -s 192.0.2.1 -j DROP",
                "iptables|-w|-I|c|1|-s|192.0.2.1|-j|DROP",
            ),
            ("  a  'b c'\t\"d e\" ", "a|b c|d e"),
            ("a \"\" ''", "a||"),
            ("a 'it'\\''s' \"\\$x \\n \\\"\"", "a|it's|$x \\n \""),
            ("a b=c ! -x", "a|b=c|!|-x"),
            ("a \\\nb;", "a|b"),
            (
                "nft add element t s { 192.0.2.1 }",
                "nft|add|element|t|s|{|192.0.2.1|}",
            ),
        ] {
            assert_eq!(
                words(script).map(|words| words.join("|")).as_deref(),
                Some(expected)
            );
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for script in [
            "",
            "a $x",
            "a `b`",
            "a $(b)",
            "a | b",
            "a; b",
            "a && b",
            "a || b",
            "a &",
            "a > b",
            "a 2>&1",
            "a < b",
            "a *",
            "a ?",
            "a [x]",
            "a ~",
            "a # c",
            "(a)",
            "{ a; }",
            "! a",
            "if a; then b; fi",
            "for x in y; do z; done",
            "A=b",
            "A=b c",
            "a 'b",
            "a \"b",
            "a \\",
            "a\nb",
            "f() { a; }",
            "a $((1+1))",
            "a ${x:-y}",
            "case x in y) z;; esac",
            "[ -f x ]",
            "a {b,c}",
            "a b{ c }",
            "{ a }",
        ] {
            assert_eq!(words(script), None, "{script}");
        }
    }

    #[test]
    fn structure_is_kept() {
        let list =
            parse("( printf %b \"x $v\"\nwhois y || echo \"none\"; z ) | mail -s 's' d").unwrap();
        let [(pipeline, Joint::Then)] = list.as_slice() else {
            panic!("{list:?}");
        };
        let [Command::Group(inner), Command::Simple { words, .. }] = pipeline.as_slice() else {
            panic!("{pipeline:?}");
        };
        assert_eq!(words.len(), 4);
        let joints: Vec<Joint> = inner.iter().map(|(_, joint)| *joint).collect();
        assert_eq!(joints, [Joint::Then, Joint::Or, Joint::Then, Joint::Then]);
    }

    #[test]
    fn substitutions_nest_in_quotes() {
        let list =
            parse("printf %b \"Date: `LC_ALL=C date +\"%a, %d\"`\n$(a `b \\`c\\``) \\n\"").unwrap();
        let Command::Simple { words, .. } = &list[0].0[0] else {
            panic!();
        };
        let [
            Part::Text(a),
            Part::Output {
                list: date,
                quoted: true,
            },
            Part::Text(b),
            Part::Output { .. },
            Part::Text(c),
        ] = words[2].parts.as_slice()
        else {
            panic!("{:?}", words[2]);
        };
        assert_eq!(
            (a.as_str(), b.as_str(), c.as_str()),
            ("Date: ", "\n", " \\n")
        );
        let Command::Simple { assignments, words } = &date[0].0[0] else {
            panic!();
        };
        assert_eq!(assignments[0].0, "LC_ALL");
        assert_eq!(words[1].literal().as_deref(), Some("+%a, %d"));
    }

    #[test]
    fn depth_is_limited() {
        let deep = format!("{}a{}", "(".repeat(100), ")".repeat(100));
        assert_eq!(parse(&deep), None);
        let deep = format!("{}a{}", "$(x ".repeat(100), ")".repeat(100));
        assert_eq!(parse(&deep), None);
    }
}
