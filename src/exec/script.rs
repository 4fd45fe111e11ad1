//! A script for `/bin/sh -c` and the ticket values that it uses: a value that a shell could misread is passed as
//! a positional argument, and the command can be parsed without its values.
#![forbid(unsafe_code)]

use indexmap::IndexMap;

use crate::control::Value;

/// Stands before and behind the number of a value. No command can contain it otherwise: it ends the
/// arguments of programs.
pub const MARK: char = '\0';

/// What `/bin/sh -c` runs: a script and its positional arguments `$0`, `$1`, ….
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Script {
    /// The script; with arguments, its first line assigns them to variables.
    pub text: String,
    /// Names of the variables and their values, in the order of the positional arguments.
    pub variables: Vec<(String, String)>,
    /// What it is without its values; `None` when there is none in it.
    shape: Option<Box<MarkedCommand>>,
}

impl Script {
    /// A script without arguments.
    pub fn plain(text: impl Into<String>) -> Script {
        Script {
            text: text.into(),
            ..Script::default()
        }
    }

    /// The script with marks in the place of its values, and the values. What a command is must be
    /// read from this: no value, whatever it holds, changes it.
    pub fn shape(&self) -> (&str, &[String]) {
        match &self.shape {
            Some(shape) => (&shape.text, &shape.values),
            None => (&self.text, &[]),
        }
    }

    /// The names of the tags that the values of [`Script::shape`] are of.
    pub fn tags(&self) -> &[String] {
        self.shape.as_ref().map_or(&[], |shape| &shape.tags)
    }

    /// The script without the line that assigns its variables.
    pub fn body(&self) -> &str {
        match self.variables.is_empty() {
            true => &self.text,
            false => self.text.split_once('\n').map_or("", |(_, body)| body),
        }
    }

    /// Whether a value in it is more than one word, or none: in the text it stands as its words.
    pub fn splits_values(&self) -> bool {
        let (_, values) = self.shape();
        let word = |value: &String| !value.is_empty() && !value.contains(char::is_whitespace);
        !values.iter().all(word)
    }

    /// As it stands in the log: the script, or with arguments a Python list of it and them.
    pub fn shown(&self) -> String {
        if self.variables.is_empty() {
            return self.text.clone();
        }
        self.as_value().repr()
    }

    /// As Python's `%r` shows it.
    pub fn repr(&self) -> String {
        self.as_value().repr()
    }

    fn as_value(&self) -> Value {
        if self.variables.is_empty() {
            return Value::from(self.text.as_str());
        }
        let words =
            std::iter::once(&self.text).chain(self.variables.iter().map(|(_, value)| value));
        Value::List(words.map(|word| Value::from(word.as_str())).collect())
    }

    /// The same script for a person to read or paste: values quoted in place of `$0`, `$1`, ….
    pub fn spelled_out(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.variables {
            out.push_str(&format!("{name}='{}'\n", value.replace('\'', r"'\''")));
        }
        out + self.body()
    }
}

impl From<String> for Script {
    fn from(text: String) -> Script {
        Script::plain(text)
    }
}

/// A command with marks, and the values they stand for, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct MarkedCommand {
    text: String,
    values: Vec<String>,
    tags: Vec<String>,
}

/// The values of a command in the making.
#[derive(Debug, Default)]
pub struct Values {
    values: Vec<String>,
    tags: Vec<String>,
    /// What stands in the script for each.
    shown: Vec<String>,
    variables: IndexMap<String, String>,
}

impl Values {
    /// Keeps the value of a tag; answers its mark, which takes its place in the command.
    pub fn mark(&mut self, tag: &str, value: String) -> String {
        let shown = self.guarded(tag, &value);
        self.shown.push(shown);
        self.values.push(value);
        self.tags.push(tag.to_owned());
        format!("{MARK}{}{MARK}", self.values.len() - 1)
    }

    /// The value itself, or where a shell would misread it a variable that holds it.
    fn guarded(&mut self, tag: &str, value: &str) -> String {
        if !value.contains(is_special) {
            return value.to_owned();
        }
        let word = |c: char| match c.is_alphanumeric() {
            true => c,
            false => '_',
        };
        let name: String = "f2bV_".chars().chain(tag.chars().map(word)).collect();
        let shown = format!("${name}");
        self.variables.insert(name, value.to_owned());
        shown
    }

    /// The script of a command with marks; a line that assigns the variables is put in front of it
    /// (fact A29).
    pub fn script(self, command: String) -> Script {
        let mut text = String::with_capacity(command.len());
        for (position, name) in self.variables.keys().enumerate() {
            text.push_str(&format!("{name}=${position} "));
        }
        if !self.variables.is_empty() {
            text.push('\n');
        }
        // every second piece is the number of a value
        for (at, piece) in command.split(MARK).enumerate() {
            match (at % 2, piece.parse::<usize>()) {
                (1, Ok(number)) => text.extend(self.shown.get(number).map(String::as_str)),
                _ => text.push_str(piece),
            }
        }
        Script {
            text,
            variables: self.variables.into_iter().collect(),
            shape: (!self.values.is_empty()).then(|| {
                Box::new(MarkedCommand {
                    text: command,
                    values: self.values,
                    tags: self.tags,
                })
            }),
        }
    }
}

/// Characters that mean something to a shell.
pub fn is_special(c: char) -> bool {
    matches!(
        c,
        '\\' | '#'
            | '&'
            | ';'
            | '`'
            | '|'
            | '*'
            | '?'
            | '~'
            | '<'
            | '>'
            | '^'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '$'
            | '\''
            | '"'
            | '\n'
            | '\r'
    )
}
