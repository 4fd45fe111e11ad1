//! Parses the small part of the shell's language in which the commands of mail and firewall actions are
//! written, so that they can run without a shell.
//!
//! In: a script. Out: its structure, or `None` for anything beyond the subset, which `/bin/sh` must run.
//! Refusing too much costs a little speed; accepting something wrongly would change its meaning, so whatever
//! is unknown is refused.
#![forbid(unsafe_code)]

mod reader;

use reader::ScriptReader;

/// Commands joined by line ends, semicolons, `&&` and `||`.
pub type List = Vec<(Pipeline, Joint)>;

/// Commands joined by `|`.
pub type Pipeline = Vec<ShellCommand>;

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
pub enum ShellCommand {
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
    /// A value of the ticket, by its number (see [`super::script::Script::shape`]).
    Value(usize),
    /// `*`, `?`, `[` or `]` outside of quotes: part of a pattern of paths.
    Wildcard(char),
    /// What a script prints, without line ends behind it.
    Output {
        /// The script.
        list: List,
        /// Inside double quotes.
        quoted: bool,
    },
}

impl Word {
    /// The text, when the word has no variables, values, patterns and substitutions.
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
    plain_words(script)?.iter().map(Word::literal).collect()
}

/// The same, with values of the ticket in the words.
pub fn plain_words(script: &str) -> Option<Vec<Word>> {
    let mut list = parse(script)?;
    let (mut pipeline, _) = list.pop().filter(|_| list.is_empty())?;
    match pipeline.pop().filter(|_| pipeline.is_empty())? {
        ShellCommand::Simple { assignments, words }
            if assignments.is_empty() && !words.is_empty() =>
        {
            Some(words)
        }
        _ => None,
    }
}

/// Reads a script; `None` when it is beyond the subset.
pub fn parse(script: &str) -> Option<List> {
    ScriptReader::new(script).list(None)
}

impl Word {
    /// The text with its values, each of them made `clean`; `None` when there is more in it.
    pub fn with_values(&self, values: &[String], clean: impl Fn(&str) -> String) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.clone()),
                Part::Value(number) => values.get(*number).map(|value| clean(value)),
                Part::Variable { .. } | Part::Output { .. } | Part::Wildcard(_) => None,
            })
            .collect()
    }

    /// Whether it begins with this character, whatever values are in it.
    pub fn begins_with(&self, c: char) -> bool {
        matches!(self.parts.first(), Some(Part::Text(text)) if text.starts_with(c))
    }

    /// Adds text to the last piece.
    fn push_text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }
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
        let [
            ShellCommand::Group(inner),
            ShellCommand::Simple { words, .. },
        ] = pipeline.as_slice()
        else {
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
        let ShellCommand::Simple { words, .. } = &list[0].0[0] else {
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
        let ShellCommand::Simple { assignments, words } = &date[0].0[0] else {
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
