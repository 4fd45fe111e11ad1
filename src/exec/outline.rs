//! A rough outline of a shell script: the programs that it runs with their arguments, and the files that it
//! writes.
//!
//! [`super::syntax`] parses a part of the shell's language exactly and refuses the rest; this reads any script
//! and reports only the words in command position and after `>`.
#![forbid(unsafe_code)]

use std::iter::Peekable;
use std::mem::take;
use std::str::Chars;

/// Words behind which a command begins.
const LEADING: [&str; 13] = [
    "if", "then", "elif", "else", "while", "until", "do", "!", "time", "exec", "command", "{", "}",
];

/// What a script names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptOutline {
    /// Programs and words of the shell with what follows them, without quotes; values that are not
    /// known before it runs begin with `$`.
    pub commands: Vec<Vec<String>>,
    /// What output is written to.
    pub written: Vec<String>,
    /// A text for the input of a command stands in it (`<<`), and was read as commands.
    pub has_document: bool,
}

impl ScriptOutline {
    /// Reads a script.
    pub fn of(script: &str) -> ScriptOutline {
        let mut reader = OutlineReader {
            chars: script.chars().peekable(),
            outline: ScriptOutline::default(),
            command: Open::default(),
            around: Vec::new(),
        };
        reader.read();
        reader.outline
    }
}

/// A command that is being read.
#[derive(Default)]
struct Open {
    words: Vec<String>,
    word: Option<String>,
    /// The next word is a file: written, or read.
    file: Option<bool>,
    in_double_quotes: bool,
}

struct OutlineReader<'a> {
    chars: Peekable<Chars<'a>>,
    outline: ScriptOutline,
    command: Open,
    /// Commands that go on behind what is put into them, and what ends that.
    around: Vec<(Open, char)>,
}

impl OutlineReader<'_> {
    fn read(&mut self) {
        while let Some(c) = self.chars.next() {
            let quoted = self.command.in_double_quotes;
            match c {
                '\\' => {
                    if let Some(c) = self.chars.next().filter(|c| *c != '\n') {
                        self.push(c);
                    }
                }
                '$' if self.chars.next_if_eq(&'(').is_some() => {
                    self.push('$');
                    self.enter(')');
                }
                '`' if self.around.last().is_some_and(|(_, end)| *end == '`') => self.leave(),
                '`' => {
                    self.push('$');
                    self.enter('`');
                }
                '"' => {
                    self.command.in_double_quotes = !quoted;
                    self.command.word.get_or_insert_default();
                }
                c if quoted => self.push(c),
                '\'' => {
                    let word = self.command.word.get_or_insert_default();
                    word.extend(self.chars.by_ref().take_while(|c| *c != '\''));
                }
                '#' if self.command.word.is_none() => {
                    while self.chars.next_if(|c| *c != '\n').is_some() {}
                }
                ')' if self.around.last().is_some_and(|(_, end)| *end == ')') => self.leave(),
                ';' | '|' | '&' | '(' | ')' | '\n' => self.end_command(),
                '<' | '>' => self.redirect(c == '>'),
                c if c.is_whitespace() => self.end_word(),
                c => self.push(c),
            }
        }
        while !self.around.is_empty() {
            self.leave();
        }
        self.end_command();
    }

    fn push(&mut self, c: char) {
        self.command.word.get_or_insert_default().push(c);
    }

    /// A command begins whose output is put into this one.
    fn enter(&mut self, end: char) {
        let command = take(&mut self.command);
        self.around.push((command, end));
    }

    fn leave(&mut self) {
        self.end_command();
        if let Some((command, _)) = self.around.pop() {
            self.command = command;
        }
    }

    fn redirect(&mut self, written: bool) {
        // the number of a descriptor
        let number = |word: &String| word.chars().all(|c| c.is_ascii_digit());
        self.command.word.take_if(|word| number(word));
        self.end_word();
        let same = if written { '>' } else { '<' };
        if self.chars.next_if_eq(&same).is_some() && !written {
            self.outline.has_document = true;
        }
        self.chars.next_if(|c| matches!(c, '|' | '&'));
        self.command.file = Some(written);
    }

    fn end_word(&mut self) {
        let Some(word) = self.command.word.take() else {
            return;
        };
        match self.command.file.take() {
            None => self.command.words.push(word),
            // of a descriptor
            Some(true) if word == "-" || word.chars().all(|c| c.is_ascii_digit()) => {}
            Some(true) => self.outline.written.push(word),
            Some(false) => {}
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        let command = take(&mut self.command);
        let mut words = command.words.into_iter().peekable();
        while words
            .next_if(|word| LEADING.contains(&word.as_str()) || word.contains('='))
            .is_some()
        {}
        let words: Vec<String> = words.collect();
        if !words.is_empty() {
            self.outline.commands.push(words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands in the order of their ends, with blanks between words and slashes between commands.
    fn commands(script: &str) -> String {
        let outline = ScriptOutline::of(script);
        let commands: Vec<_> = outline
            .commands
            .iter()
            .map(|words| words.join(" "))
            .collect();
        commands.join(" / ")
    }

    #[test]
    fn a_script_names_programs_wherever_they_stand() {
        for (script, expected) in [
            ("", ""),
            (
                "iptables -w -N x >/dev/null 2>&1 || true",
                "iptables -w -N x / true",
            ),
            ("A=b c=d if ! e f; then g; fi", "e f / g / fi"),
            (
                "for p in $(echo 'a;b' | tr , ' '); do nft -- $p; done",
                "echo a;b / tr ,   / for p in $ / nft -- $p / done",
            ),
            (
                r"nft add set t s \{ type a\; \}",
                "nft add set t s { type a; }",
            ),
            (
                "x=$(grep -F \"a > $y\" f; echo .); y",
                "grep -F a > $y f / echo . / y",
            ),
            ("a \"`b c` d\" e", "b c / a $ d e"),
            ("a \"x $(b \"c d\") y\" z", "b c d / a x $ y z"),
            ("(a; b) & { c; }", "a / b / c"),
            ("a # b; c\nd", "a / d"),
            ("a b\\\nc", "a bc"),
            ("cat < in | wc", "cat / wc"),
        ] {
            assert_eq!(commands(script), expected, "{script}");
        }
    }

    #[test]
    fn a_script_names_files_that_it_writes() {
        for (script, expected) in [
            ("a >/b 2>>'/c d' </e", vec!["/b", "/c d"]),
            ("a >&2 2>&1 3>&- >| /b; c 2 > \"$x\"", vec!["/b", "$x"]),
            ("echo '> /a'; echo \\> /b", vec![]),
        ] {
            assert_eq!(ScriptOutline::of(script).written, expected, "{script}");
        }
        assert!(ScriptOutline::of("a <<E\nb\nE").has_document);
        assert!(!ScriptOutline::of("a < b << c".split("<<").next().unwrap()).has_document);
    }
}
