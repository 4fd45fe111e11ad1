//! Parses what an opening parenthesis begins: groups of all kinds, look-arounds, conditionals, comments
//! and flags.

use super::*;

impl Parser {
    /// Everything that starts with a parenthesis, which is taken already.
    pub(crate) fn group(&mut self, first: bool) -> Result<Opened, RegexSyntaxError> {
        let start = self.reader.position() - 1;
        if !self.reader.eat('?')? {
            return self.capture(start, None).map(Opened::Node);
        }
        let kind = self.take_or_end()?;
        let node = match kind {
            PatternToken::Char('P') => return self.python_extension(start).map(Opened::Node),
            PatternToken::Char(':') => self.alternation(false)?,
            PatternToken::Char('>') => Node::Atomic(Box::new(self.alternation(false)?)),
            PatternToken::Char('#') => loop {
                match self.reader.peek() {
                    None => {
                        let message = "missing ), unterminated comment";
                        return Err(self.reader.error_at(message, start));
                    }
                    Some(token) => {
                        self.reader.take()?;
                        if token == PatternToken::Char(')') {
                            return Ok(Opened::Nothing);
                        }
                    }
                }
            },
            PatternToken::Char('=' | '!') => self.look(false, kind == PatternToken::Char('!'))?,
            PatternToken::Char('<') => match self.take_or_end()? {
                PatternToken::Char(c @ ('=' | '!')) => self.look(true, c == '!')?,
                token => {
                    let message = format!("unknown extension ?<{token}");
                    return Err(self.reader.error(&message, token.width() + 2));
                }
            },
            PatternToken::Char('(') => self.conditional()?,
            PatternToken::Char(c) if c == '-' || is_flag(c) => match self.flags(c)? {
                None => {
                    if !first && !self.late.allowed {
                        let message = "global flags not at the start of the expression";
                        return Err(self.reader.error_at(message, start));
                    }
                    self.late.seen |= !first;
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

    pub(crate) fn take_or_end(&mut self) -> Result<PatternToken, RegexSyntaxError> {
        match self.reader.take()? {
            Some(token) => Ok(token),
            None => Err(self.reader.error("unexpected end of pattern", 0)),
        }
    }

    pub(crate) fn close(&mut self, start: usize) -> Result<(), RegexSyntaxError> {
        if self.reader.eat(')')? {
            Ok(())
        } else {
            Err(self
                .reader
                .error_at("missing ), unterminated subpattern", start))
        }
    }

    pub(crate) fn capture(
        &mut self,
        start: usize,
        name: Option<String>,
    ) -> Result<Node, RegexSyntaxError> {
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

    pub(crate) fn width(&self, node: &Node) -> Width {
        width(node, &|index| {
            self.groups
                .get(index)
                .and_then(|g| g.width)
                .unwrap_or(Width { min: 0, max: 0 })
        })
    }

    /// `(?P<name>…)` and `(?P=name)`, from the P on.
    pub(crate) fn python_extension(&mut self, start: usize) -> Result<Node, RegexSyntaxError> {
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

    pub(crate) fn check_name(&self, name: &str) -> Result<(), RegexSyntaxError> {
        if is_identifier(name) {
            return Ok(());
        }
        let message = format!("bad character in group name {}", quoted(name));
        Err(self.reader.error(&message, name.chars().count() + 1))
    }

    pub(crate) fn named_group(&self, name: &str) -> Result<usize, RegexSyntaxError> {
        self.names.get(name).copied().ok_or_else(|| {
            let message = format!("unknown group name {}", quoted(name));
            self.reader.error(&message, name.chars().count() + 1)
        })
    }

    pub(crate) fn check_lookbehind_reference(&self, index: usize) -> Result<(), RegexSyntaxError> {
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

    pub(crate) fn look(&mut self, behind: bool, negative: bool) -> Result<Node, RegexSyntaxError> {
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
    pub(crate) fn conditional(&mut self) -> Result<Node, RegexSyntaxError> {
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
            if self.reader.peek() == Some(PatternToken::Char('|')) {
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
    pub(crate) fn flags(&mut self, first: char) -> Result<Option<Scope>, RegexSyntaxError> {
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
            for scope in [&mut self.scope, &mut self.late.scope] {
                scope.ignore_case |= on.i;
                scope.multiline |= on.m;
                scope.dot_all |= on.s;
                scope.verbose |= on.x;
                scope.ascii |= on.a;
            }
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
    pub(crate) fn flag_letter(
        &mut self,
        missing: &str,
        ends: &[char],
    ) -> Result<char, RegexSyntaxError> {
        let Some(token) = self.reader.take()? else {
            return Err(self.reader.error(missing, 0));
        };
        match token {
            PatternToken::Char(c) if ends.contains(&c) || is_flag(c) => Ok(c),
            PatternToken::Char(c) if c.is_alphabetic() => Err(self.reader.error("unknown flag", 1)),
            token => Err(self.reader.error(missing, token.width())),
        }
    }
}
