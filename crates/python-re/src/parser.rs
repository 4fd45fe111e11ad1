//! Parses Python 3.11 `re` source into a [`Tree`], and refuses what Python refuses, in Python's words.
//!
//! Flags are resolved here: each leaf says whether case counts, and `$` becomes the assertion that it
//! means under the flags in force.

mod escapes;
mod groups;

use std::collections::HashMap;

use icu_properties::CodePointSetData;
use icu_properties::props::{XidContinue, XidStart};

use super::Flags;
use super::ast::{Assertion, Greed, Node, Tree};
use super::class::{Category, CharClass, ClassItem};
use super::pattern_reader::{PatternReader, PatternToken, RegexSyntaxError, quoted};
use super::width::{Width, width};

/// Deepest nesting of groups; Python's own limit is its stack.
const MAX_DEPTH: usize = 200;
/// Repeat counts from here on are refused.
const MAX_REPEAT: u64 = 4_294_967_295;
/// Group numbers from here on are refused.
const MAX_GROUPS: u64 = 1_073_741_823;

/// The flags in force at a place in the source.
#[derive(Clone, Copy, Debug, Default)]
struct Scope {
    ignore_case: bool,
    multiline: bool,
    dot_all: bool,
    ascii: bool,
    verbose: bool,
}

/// The letters of one flag group, `(?aimsux-imsx…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Letters {
    i: bool,
    m: bool,
    s: bool,
    x: bool,
    a: bool,
    u: bool,
    t: bool,
}

impl Letters {
    fn set(&mut self, letter: char) {
        match letter {
            'i' => self.i = true,
            'm' => self.m = true,
            's' => self.s = true,
            'x' => self.x = true,
            'a' => self.a = true,
            'u' => self.u = true,
            _ => self.t = true,
        }
    }

    fn overlaps(self, other: Letters) -> bool {
        (self.i && other.i) || (self.m && other.m) || (self.s && other.s) || (self.x && other.x)
    }
}

/// Parses `source` under `flags`.
///
/// # Errors
/// The text of Python's `re.error`.
pub(crate) fn parse(source: &str, flags: Flags) -> Result<Tree, RegexSyntaxError> {
    let scope = Scope {
        ignore_case: flags.ignore_case,
        multiline: flags.multiline,
        ..Scope::default()
    };
    let (tree, late) = parse_in(source, scope, flags.late)?;
    // what stands before them was read without them
    match late.seen {
        true => parse_in(source, late.scope, true).map(|(tree, _)| tree),
        false => Ok(tree),
    }
}

fn parse_in(source: &str, scope: Scope, late: bool) -> Result<(Tree, Late), RegexSyntaxError> {
    let mut parser = Parser {
        reader: PatternReader::new(source)?,
        scope,
        late: Late {
            allowed: late,
            seen: false,
            scope,
        },
        unicode_asked: false,
        names: HashMap::default(),
        groups: vec![GroupState {
            name: None,
            width: None,
        }],
        lookbehind_groups: None,
        forward_references: Vec::new(),
        variable_lookbehind: false,
        depth: 0,
    };
    let root = parser.alternation(true)?;
    if parser.scope.ascii && parser.unicode_asked {
        return Err(RegexSyntaxError(
            "ASCII and UNICODE flags are incompatible".to_owned(),
        ));
    }
    if parser.reader.peek().is_some() {
        return Err(parser.reader.error("unbalanced parenthesis", 0));
    }
    for (number, position) in &parser.forward_references {
        if *number >= parser.groups.len() {
            let message = format!("invalid group reference {number}");
            return Err(parser.reader.error_at(&message, *position));
        }
    }
    if parser.variable_lookbehind {
        return Err(RegexSyntaxError(
            "look-behind requires fixed-width pattern".to_owned(),
        ));
    }
    let tree = Tree {
        root,
        names: parser.groups.into_iter().map(|g| g.name).collect(),
    };
    Ok((tree, parser.late))
}

/// Global flags behind the beginning of the pattern.
#[derive(Clone, Copy, Debug)]
struct Late {
    allowed: bool,
    seen: bool,
    /// What holds for the whole pattern, by all global flags so far.
    scope: Scope,
}

#[derive(Debug)]
struct GroupState {
    name: Option<String>,
    /// Known once the group is closed.
    width: Option<Width>,
}

#[derive(Debug)]
struct Parser {
    reader: PatternReader,
    scope: Scope,
    late: Late,
    /// A global `(?u)` was seen.
    unicode_asked: bool,
    /// The regex is the administrator's own: a hash that nobody attacks will do.
    names: HashMap<String, usize>,
    groups: Vec<GroupState>,
    /// Inside a look-behind: the groups before it, the only ones it may refer to.
    lookbehind_groups: Option<usize>,
    /// Conditionals by number, which may name a group that follows: checked at the end.
    forward_references: Vec<(usize, usize)>,
    /// Python reports this one only after the whole pattern has been read.
    variable_lookbehind: bool,
    depth: usize,
}

/// What an opening parenthesis turned out to be.
enum Opened {
    /// A whole node, already closed.
    Node(Node),
    /// Nothing: a comment or global flags.
    Nothing,
}

impl Parser {
    fn alternation(&mut self, top: bool) -> Result<Node, RegexSyntaxError> {
        let first = self.sequence(top)?;
        if self.reader.peek() != Some(PatternToken::Char('|')) {
            return Ok(first);
        }
        let mut branches = vec![first];
        while self.reader.eat('|')? {
            branches.push(self.sequence(false)?);
        }
        Ok(Node::alternation(branches))
    }

    /// One branch. `first`: it starts the whole pattern, so global flags are allowed.
    fn sequence(&mut self, first: bool) -> Result<Node, RegexSyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.reader.error("pattern is nested too deeply", 0));
        }
        let mut nodes: Vec<Node> = Vec::with_capacity(8);
        while let Some(token) = self.reader.peek() {
            if matches!(token, PatternToken::Char('|' | ')')) {
                break;
            }
            self.reader.take()?;
            let c = match token {
                PatternToken::Escape(c) => {
                    nodes.push(self.escape(c)?);
                    continue;
                }
                PatternToken::Char(c) => c,
            };
            if self.scope.verbose {
                if matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c') {
                    continue;
                }
                if c == '#' {
                    while !matches!(self.reader.take()?, None | Some(PatternToken::Char('\n'))) {}
                    continue;
                }
            }
            match c {
                '[' => nodes.push(self.class()?),
                '*' | '+' | '?' | '{' => self.repeat(c, &mut nodes)?,
                '.' => nodes.push(Node::Class(CharClass::dot(self.scope.dot_all))),
                '^' if self.scope.multiline => nodes.push(Node::Assert(Assertion::LineStart)),
                '^' => nodes.push(Node::Assert(Assertion::TextStart)),
                '$' if self.scope.multiline => nodes.push(Node::Assert(Assertion::LineEnd)),
                '$' => nodes.push(Node::Assert(Assertion::TextEndOrFinalNewline)),
                '(' => match self.group(first && nodes.is_empty())? {
                    Opened::Node(node) => nodes.push(node),
                    Opened::Nothing => {}
                },
                c => nodes.push(self.literal(u32::from(c))),
            }
        }
        self.depth -= 1;
        Ok(Node::concat(nodes))
    }

    fn literal(&self, c: u32) -> Node {
        Node::Class(CharClass::literal(
            c,
            self.scope.ignore_case,
            self.scope.ascii,
        ))
    }

    /// A quantifier, applied to the last of `nodes`; its first character is taken already.
    fn repeat(&mut self, c: char, nodes: &mut Vec<Node>) -> Result<(), RegexSyntaxError> {
        let here = self.reader.position();
        let (min, max) = match c {
            '?' => (0, Some(1)),
            '*' => (0, None),
            '+' => (1, None),
            _ => {
                let bounds = self.bounds(here)?;
                let Some(bounds) = bounds else {
                    self.reader.rewind(here)?;
                    nodes.push(self.literal(u32::from('{')));
                    return Ok(());
                };
                bounds
            }
        };
        let node = match nodes.last() {
            None | Some(Node::Assert(_)) => {
                return Err(self.reader.error_at("nothing to repeat", here - 1));
            }
            Some(Node::Repeat { .. }) => {
                return Err(self.reader.error_at("multiple repeat", here - 1));
            }
            Some(_) => nodes.pop().unwrap_or(Node::Empty),
        };
        let greed = if self.reader.eat('?')? {
            Greed::Lazy
        } else if self.reader.eat('+')? {
            Greed::Possessive
        } else {
            Greed::Greedy
        };
        nodes.push(Node::Repeat {
            node: Box::new(node),
            min,
            max,
            greed,
        });
        Ok(())
    }

    /// The inside of `{…}`; `None`: it is no quantifier, the brace is a literal.
    fn bounds(&mut self, here: usize) -> Result<Option<(u32, Option<u32>)>, RegexSyntaxError> {
        if self.reader.peek() == Some(PatternToken::Char('}')) {
            return Ok(None);
        }
        let low = self.reader.take_while(usize::MAX, |c| c.is_ascii_digit())?;
        let high = if self.reader.eat(',')? {
            self.reader.take_while(usize::MAX, |c| c.is_ascii_digit())?
        } else {
            low.clone()
        };
        if !self.reader.eat('}')? {
            return Ok(None);
        }
        let number = |digits: &str| match digits.parse::<u64>() {
            Ok(n) if n < MAX_REPEAT => u32::try_from(n).ok(),
            _ => None,
        };
        let too_large = || RegexSyntaxError("the repetition number is too large".to_owned());
        let min = match low.as_str() {
            "" => 0,
            digits => number(digits).ok_or_else(too_large)?,
        };
        let max = match high.as_str() {
            "" => None,
            digits => Some(number(digits).ok_or_else(too_large)?),
        };
        if max.is_some_and(|max| max < min) {
            return Err(self
                .reader
                .error_at("min repeat greater than max repeat", here));
        }
        Ok(Some((min, max)))
    }
}

fn category(c: char) -> Option<(Category, bool)> {
    let category = match c.to_ascii_lowercase() {
        'd' => Category::Digit,
        's' => Category::Space,
        'w' => Category::Word,
        _ => return None,
    };
    Some((category, c.is_ascii_uppercase()))
}

fn is_octal(c: char) -> bool {
    matches!(c, '0'..='7')
}

fn is_flag(c: char) -> bool {
    matches!(c, 'i' | 'L' | 'm' | 's' | 'x' | 'a' | 't' | 'u')
}

/// Python's `str.isidentifier`.
fn is_identifier(name: &str) -> bool {
    let begins = CodePointSetData::new::<XidStart>();
    let goes_on = CodePointSetData::new::<XidContinue>();
    let mut chars = name.chars();
    (chars.next()).is_some_and(|c| c == '_' || begins.contains(c))
        && chars.all(|c| goes_on.contains(c))
}

/// What Python's `int` makes of a text, if it is a natural number. Too large ones saturate.
fn python_int(text: &str) -> Option<u64> {
    let digits = text.trim();
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let well_formed = digits
        .split('_')
        .all(|run| !run.is_empty() && run.bytes().all(|b| b.is_ascii_digit()));
    well_formed.then(|| digits.replace('_', "").parse().unwrap_or(u64::MAX))
}
