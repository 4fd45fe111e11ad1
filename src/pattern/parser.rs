//! Python 3.11 `re` source → [`Tree`], refusing what Python refuses, in Python's words.
//!
//! Flags are resolved here: a leaf says itself whether case counts, and `$` has become the
//! assertion it means under the flags in force.

use std::collections::HashMap;

use super::Flags;
use super::ast::{Assertion, Greed, Node, Tree};
use super::class::{Category, Class, Item};
use super::reader::{Reader, SyntaxError, Token, quoted};
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
pub(super) fn parse(source: &str, flags: Flags) -> Result<Tree, SyntaxError> {
    let mut parser = Parser {
        reader: Reader::new(source)?,
        scope: Scope {
            ignore_case: flags.ignore_case,
            multiline: flags.multiline,
            ..Scope::default()
        },
        unicode_asked: false,
        names: HashMap::new(),
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
        return Err(SyntaxError(
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
        return Err(SyntaxError(
            "look-behind requires fixed-width pattern".to_owned(),
        ));
    }
    Ok(Tree {
        root,
        names: parser.groups.into_iter().map(|g| g.name).collect(),
    })
}

#[derive(Debug)]
struct GroupState {
    name: Option<String>,
    /// Known once the group is closed.
    width: Option<Width>,
}

#[derive(Debug)]
struct Parser {
    reader: Reader,
    scope: Scope,
    /// A global `(?u)` was seen.
    unicode_asked: bool,
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
    fn alternation(&mut self, top: bool) -> Result<Node, SyntaxError> {
        let mut branches = vec![self.sequence(top)?];
        while self.reader.eat('|')? {
            branches.push(self.sequence(false)?);
        }
        Ok(Node::alternation(branches))
    }

    /// One branch. `first`: it starts the whole pattern, so global flags are allowed.
    fn sequence(&mut self, first: bool) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.reader.error("pattern is nested too deeply", 0));
        }
        let mut nodes: Vec<Node> = Vec::new();
        while let Some(token) = self.reader.peek() {
            if matches!(token, Token::Char('|' | ')')) {
                break;
            }
            self.reader.take()?;
            let c = match token {
                Token::Escape(c) => {
                    nodes.push(self.escape(c)?);
                    continue;
                }
                Token::Char(c) => c,
            };
            if self.scope.verbose {
                if matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c') {
                    continue;
                }
                if c == '#' {
                    while !matches!(self.reader.take()?, None | Some(Token::Char('\n'))) {}
                    continue;
                }
            }
            match c {
                '[' => nodes.push(self.class()?),
                '*' | '+' | '?' | '{' => self.repeat(c, &mut nodes)?,
                '.' => nodes.push(Node::Class(Class::dot(self.scope.dot_all))),
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
        Node::Class(Class::literal(c, self.scope.ignore_case, self.scope.ascii))
    }

    fn one_category(&self, category: Category, negated: bool) -> Node {
        Node::Class(Class {
            items: vec![Item::Category { category, negated }],
            negated: false,
            ignore_case: false,
            ascii: self.scope.ascii,
        })
    }

    /// An escape outside a class; the token is taken already.
    fn escape(&mut self, c: char) -> Result<Node, SyntaxError> {
        let ascii = self.scope.ascii;
        if let Some((category, negated)) = category(c) {
            return Ok(self.one_category(category, negated));
        }
        match c {
            'A' => return Ok(Node::Assert(Assertion::TextStart)),
            'Z' => return Ok(Node::Assert(Assertion::TextEnd)),
            'b' => return Ok(Node::Assert(Assertion::WordBoundary { ascii })),
            'B' => return Ok(Node::Assert(Assertion::NotWordBoundary { ascii })),
            '0' => {
                let digits = self.reader.take_while(2, is_octal)?;
                // At most two octal digits: always a number.
                return Ok(self.literal(u32::from_str_radix(&digits, 8).unwrap_or(0)));
            }
            '1'..='9' => return self.backref_or_octal(c),
            _ => {}
        }
        let code = self.character_escape(c)?;
        Ok(self.literal(code))
    }

    /// `\1`…: a group's number, or three octal digits.
    fn backref_or_octal(&mut self, c: char) -> Result<Node, SyntaxError> {
        let mut digits = String::from(c);
        if let Some(Token::Char(second @ '0'..='9')) = self.reader.peek() {
            digits.push(second);
            self.reader.take()?;
            if let (true, Some(Token::Char(third @ '0'..='7'))) =
                (is_octal(c) && is_octal(second), self.reader.peek())
            {
                digits.push(third);
                self.reader.take()?;
                let code = u32::from_str_radix(&digits, 8).unwrap_or(u32::MAX);
                return self.octal(&digits, code).map(|code| self.literal(code));
            }
        }
        let number: usize = digits.parse().unwrap_or(usize::MAX);
        if number >= self.groups.len() {
            let message = format!("invalid group reference {number}");
            return Err(self.reader.error(&message, digits.len()));
        }
        if self.groups[number].width.is_none() {
            return Err(self
                .reader
                .error("cannot refer to an open group", digits.len() + 1));
        }
        self.check_lookbehind_reference(number)?;
        Ok(self.backref(number))
    }

    fn backref(&self, index: usize) -> Node {
        Node::Backref {
            index,
            ignore_case: self.scope.ignore_case,
        }
    }

    fn octal(&self, digits: &str, code: u32) -> Result<u32, SyntaxError> {
        if code > 0o377 {
            let message = format!("octal escape value \\{digits} outside of range 0-0o377");
            return Err(self.reader.error(&message, digits.len() + 1));
        }
        Ok(code)
    }

    /// The escapes that mean one character both inside and outside a class.
    fn character_escape(&mut self, c: char) -> Result<u32, SyntaxError> {
        let simple = match c {
            'a' => Some('\x07'),
            'f' => Some('\x0c'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\x0b'),
            _ => None,
        };
        if let Some(simple) = simple {
            return Ok(u32::from(simple));
        }
        let digits = match c {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            'N' => {
                if !self.reader.eat('{')? {
                    return Err(self.reader.error("missing {", 0));
                }
                let name = self.reader.take_until('}', "character name")?;
                let message = format!("undefined character name {}", quoted(&name));
                return Err(self.reader.error(&message, name.chars().count() + 4));
            }
            c if c.is_ascii_alphanumeric() => {
                return Err(self.reader.error(&format!("bad escape \\{c}"), 2));
            }
            c => return Ok(u32::from(c)),
        };
        let hex = self.reader.take_while(digits, |c| c.is_ascii_hexdigit())?;
        if hex.len() != digits {
            let message = format!("incomplete escape \\{c}{hex}");
            return Err(self.reader.error(&message, hex.len() + 2));
        }
        match u32::from_str_radix(&hex, 16) {
            Ok(code) if code <= 0x10_FFFF => Ok(code),
            _ => {
                let message = format!("bad escape \\{c}{hex}");
                Err(self.reader.error(&message, hex.len() + 2))
            }
        }
    }

    /// `[…]`; the bracket is taken already.
    fn class(&mut self) -> Result<Node, SyntaxError> {
        let start = self.reader.position() - 1;
        let negated = self.reader.eat('^')?;
        let unterminated = |p: &Parser| p.reader.error_at("unterminated character set", start);
        let mut items = Vec::new();
        loop {
            let Some(token) = self.reader.take()? else {
                return Err(unterminated(self));
            };
            if token == Token::Char(']') && !items.is_empty() {
                break;
            }
            let low = self.class_member(token)?;
            if !self.reader.eat('-')? {
                items.push(low);
                continue;
            }
            let Some(to) = self.reader.take()? else {
                return Err(unterminated(self));
            };
            if to == Token::Char(']') {
                items.push(low);
                items.push(Item::Range(u32::from('-'), u32::from('-')));
                break;
            }
            let high = self.class_member(to)?;
            match (low, high) {
                (Item::Range(from, _), Item::Range(to, _)) if from <= to => {
                    items.push(Item::Range(from, to));
                }
                _ => {
                    let message = format!("bad character range {token}-{to}");
                    let back = token.width() + 1 + to.width();
                    return Err(self.reader.error(&message, back));
                }
            }
        }
        Ok(Node::Class(Class {
            items,
            negated,
            ignore_case: self.scope.ignore_case,
            ascii: self.scope.ascii,
        }))
    }

    fn class_member(&mut self, token: Token) -> Result<Item, SyntaxError> {
        let code = match token {
            Token::Char(c) => u32::from(c),
            Token::Escape('b') => 8,
            Token::Escape(c) => {
                if let Some((category, negated)) = category(c) {
                    return Ok(Item::Category { category, negated });
                }
                if is_octal(c) {
                    let digits = format!("{c}{}", self.reader.take_while(2, is_octal)?);
                    let code = u32::from_str_radix(&digits, 8).unwrap_or(u32::MAX);
                    self.octal(&digits, code)?
                } else {
                    self.character_escape(c)?
                }
            }
        };
        Ok(Item::Range(code, code))
    }

    /// A quantifier, applied to the last of `nodes`; its first character is taken already.
    fn repeat(&mut self, c: char, nodes: &mut Vec<Node>) -> Result<(), SyntaxError> {
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
    fn bounds(&mut self, here: usize) -> Result<Option<(u32, Option<u32>)>, SyntaxError> {
        if self.reader.peek() == Some(Token::Char('}')) {
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
        let too_large = || SyntaxError("the repetition number is too large".to_owned());
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

    /// Everything that starts with a parenthesis, which is taken already.
    fn group(&mut self, first: bool) -> Result<Opened, SyntaxError> {
        let start = self.reader.position() - 1;
        if !self.reader.eat('?')? {
            return self.capture(start, None).map(Opened::Node);
        }
        let kind = self.take_or_end()?;
        let node = match kind {
            Token::Char('P') => return self.python_extension(start).map(Opened::Node),
            Token::Char(':') => self.alternation(false)?,
            Token::Char('>') => Node::Atomic(Box::new(self.alternation(false)?)),
            Token::Char('#') => loop {
                match self.reader.peek() {
                    None => {
                        let message = "missing ), unterminated comment";
                        return Err(self.reader.error_at(message, start));
                    }
                    Some(token) => {
                        self.reader.take()?;
                        if token == Token::Char(')') {
                            return Ok(Opened::Nothing);
                        }
                    }
                }
            },
            Token::Char('=' | '!') => self.look(false, kind == Token::Char('!'))?,
            Token::Char('<') => match self.take_or_end()? {
                Token::Char(c @ ('=' | '!')) => self.look(true, c == '!')?,
                token => {
                    let message = format!("unknown extension ?<{token}");
                    return Err(self.reader.error(&message, token.width() + 2));
                }
            },
            Token::Char('(') => self.conditional()?,
            Token::Char(c) if c == '-' || is_flag(c) => match self.flags(c)? {
                None => {
                    if !first {
                        let message = "global flags not at the start of the expression";
                        return Err(self.reader.error_at(message, start));
                    }
                    return Ok(Opened::Nothing);
                }
                Some(scope) => {
                    let outside = std::mem::replace(&mut self.scope, scope);
                    let node = self.alternation(false);
                    self.scope = outside;
                    node?
                }
            },
            token => {
                let message = format!("unknown extension ?{token}");
                return Err(self.reader.error(&message, token.width() + 1));
            }
        };
        self.close(start)?;
        // A group, even an empty one, is something to repeat, and a repeat in it may be repeated.
        Ok(Opened::Node(match node {
            node @ (Node::Repeat { .. } | Node::Assert(_) | Node::Empty) => {
                Node::Concat(vec![node])
            }
            node => node,
        }))
    }

    fn take_or_end(&mut self) -> Result<Token, SyntaxError> {
        match self.reader.take()? {
            Some(token) => Ok(token),
            None => Err(self.reader.error("unexpected end of pattern", 0)),
        }
    }

    fn close(&mut self, start: usize) -> Result<(), SyntaxError> {
        if self.reader.eat(')')? {
            Ok(())
        } else {
            Err(self
                .reader
                .error_at("missing ), unterminated subpattern", start))
        }
    }

    fn capture(&mut self, start: usize, name: Option<String>) -> Result<Node, SyntaxError> {
        let index = self.groups.len();
        if let Some(name) = &name {
            if let Some(earlier) = self.names.get(name) {
                let message = format!(
                    "redefinition of group name {} as group {index}; was group {earlier}",
                    quoted(name)
                );
                return Err(self.reader.error(&message, name.chars().count() + 1));
            }
            self.names.insert(name.clone(), index);
        }
        self.groups.push(GroupState { name, width: None });
        let node = self.alternation(false)?;
        self.close(start)?;
        self.groups[index].width = Some(self.width(&node));
        Ok(Node::Group {
            index,
            node: Box::new(node),
        })
    }

    fn width(&self, node: &Node) -> Width {
        width(node, &|index| {
            self.groups
                .get(index)
                .and_then(|g| g.width)
                .unwrap_or(Width { min: 0, max: 0 })
        })
    }

    /// `(?P<name>…)` and `(?P=name)`, from the P on.
    fn python_extension(&mut self, start: usize) -> Result<Node, SyntaxError> {
        if self.reader.eat('<')? {
            let name = self.reader.take_until('>', "group name")?;
            self.check_name(&name)?;
            return self.capture(start, Some(name));
        }
        if self.reader.eat('=')? {
            let name = self.reader.take_until(')', "group name")?;
            self.check_name(&name)?;
            let index = self.named_group(&name)?;
            if self.groups[index].width.is_none() {
                let back = name.chars().count() + 1;
                return Err(self.reader.error("cannot refer to an open group", back));
            }
            self.check_lookbehind_reference(index)?;
            return Ok(self.backref(index));
        }
        let token = self.take_or_end()?;
        let message = format!("unknown extension ?P{token}");
        Err(self.reader.error(&message, token.width() + 2))
    }

    fn check_name(&self, name: &str) -> Result<(), SyntaxError> {
        if is_identifier(name) {
            return Ok(());
        }
        let message = format!("bad character in group name {}", quoted(name));
        Err(self.reader.error(&message, name.chars().count() + 1))
    }

    fn named_group(&self, name: &str) -> Result<usize, SyntaxError> {
        self.names.get(name).copied().ok_or_else(|| {
            let message = format!("unknown group name {}", quoted(name));
            self.reader.error(&message, name.chars().count() + 1)
        })
    }

    fn check_lookbehind_reference(&self, index: usize) -> Result<(), SyntaxError> {
        let Some(outside) = self.lookbehind_groups else {
            return Ok(());
        };
        if self.groups.get(index).is_none_or(|g| g.width.is_none()) {
            return Err(self.reader.error("cannot refer to an open group", 0));
        }
        if index >= outside {
            let message = "cannot refer to group defined in the same lookbehind subpattern";
            return Err(self.reader.error(message, 0));
        }
        Ok(())
    }

    fn look(&mut self, behind: bool, negative: bool) -> Result<Node, SyntaxError> {
        let outer = self.lookbehind_groups;
        if behind && outer.is_none() {
            self.lookbehind_groups = Some(self.groups.len());
        }
        let node = self.alternation(false)?;
        self.lookbehind_groups = outer;
        if behind {
            let width = self.width(&node);
            self.variable_lookbehind |= width.min != width.max;
        }
        Ok(Node::Look {
            behind,
            negative,
            node: Box::new(node),
        })
    }

    /// `(?(group)yes|no)`, after the second parenthesis.
    fn conditional(&mut self) -> Result<Node, SyntaxError> {
        let name = self.reader.take_until(')', "group name")?;
        let back = name.chars().count() + 1;
        let index = if is_identifier(&name) {
            self.named_group(&name)?
        } else {
            let Some(number) = python_int(&name) else {
                let message = format!("bad character in group name {}", quoted(&name));
                return Err(self.reader.error(&message, back));
            };
            if number == 0 {
                return Err(self.reader.error("bad group number", back));
            }
            let index = match usize::try_from(number) {
                Ok(index) if number < MAX_GROUPS => index,
                _ => {
                    let message = format!("invalid group reference {number}");
                    return Err(self.reader.error(&message, back));
                }
            };
            let position = self.reader.position() - back;
            self.forward_references.push((index, position));
            index
        };
        self.check_lookbehind_reference(index)?;
        let yes = self.sequence(false)?;
        let mut no = Node::Empty;
        if self.reader.eat('|')? {
            no = self.sequence(false)?;
            if self.reader.peek() == Some(Token::Char('|')) {
                let message = "conditional backref with more than two branches";
                return Err(self.reader.error(message, 0));
            }
        }
        Ok(Node::Conditional {
            index,
            yes: Box::new(yes),
            no: Box::new(no),
        })
    }

    /// Flag letters from the first on, which is taken already. `None`: they were global and are
    /// in force now; else the flags of the group they open.
    fn flags(&mut self, first: char) -> Result<Option<Scope>, SyntaxError> {
        let mut on = Letters::default();
        let mut off = Letters::default();
        let mut c = first;
        if c != '-' {
            loop {
                if c == 'L' {
                    let message = "bad inline flags: cannot use 'L' flag with a str pattern";
                    return Err(self.reader.error(message, 0));
                }
                on.set(c);
                if on.a && on.u {
                    let message = "bad inline flags: flags 'a', 'u' and 'L' are incompatible";
                    return Err(self.reader.error(message, 0));
                }
                c = self.flag_letter("missing -, : or )", &[')', '-', ':'])?;
                if matches!(c, ')' | '-' | ':') {
                    break;
                }
            }
        }
        if c == ')' {
            self.scope.ignore_case |= on.i;
            self.scope.multiline |= on.m;
            self.scope.dot_all |= on.s;
            self.scope.verbose |= on.x;
            self.scope.ascii |= on.a;
            self.unicode_asked |= on.u;
            return Ok(None);
        }
        if on.t {
            let message = "bad inline flags: cannot turn on global flag";
            return Err(self.reader.error(message, 1));
        }
        if c == '-' {
            c = self.flag_letter("missing flag", &[])?;
            loop {
                if matches!(c, 'a' | 'u' | 'L') {
                    let message = "bad inline flags: cannot turn off flags 'a', 'u' and 'L'";
                    return Err(self.reader.error(message, 0));
                }
                off.set(c);
                c = self.flag_letter("missing :", &[':'])?;
                if c == ':' {
                    break;
                }
            }
        }
        if off.t {
            let message = "bad inline flags: cannot turn off global flag";
            return Err(self.reader.error(message, 1));
        }
        if on.overlaps(off) {
            let message = "bad inline flags: flag turned on and off";
            return Err(self.reader.error(message, 1));
        }
        let outside = self.scope;
        Ok(Some(Scope {
            ignore_case: (outside.ignore_case || on.i) && !off.i,
            multiline: (outside.multiline || on.m) && !off.m,
            dot_all: (outside.dot_all || on.s) && !off.s,
            verbose: (outside.verbose || on.x) && !off.x,
            ascii: (outside.ascii || on.a) && !on.u,
        }))
    }

    /// The next letter of a flag group, or one of `ends`.
    fn flag_letter(&mut self, missing: &str, ends: &[char]) -> Result<char, SyntaxError> {
        let Some(token) = self.reader.take()? else {
            return Err(self.reader.error(missing, 0));
        };
        match token {
            Token::Char(c) if ends.contains(&c) || is_flag(c) => Ok(c),
            Token::Char(c) if c.is_alphabetic() => Err(self.reader.error("unknown flag", 1)),
            token => Err(self.reader.error(missing, token.width())),
        }
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

/// Python's `str.isidentifier`, near enough: letters, digits and `_`, no digit in front.
fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && chars.all(|c| c == '_' || c.is_alphanumeric())
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
