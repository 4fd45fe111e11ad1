//! Parses escapes and character classes: everything that stands for one character of a set, and
//! back-references, which have the same syntax.

use smallvec::{SmallVec, smallvec};

use super::*;

impl Parser {
    pub(crate) fn one_category(&self, category: Category, negated: bool) -> Node {
        Node::Class(CharClass {
            items: smallvec![ClassItem::Category { category, negated }],
            negated: false,
            ignore_case: false,
            ascii: self.scope.ascii,
        })
    }

    /// An escape outside a class; the token is taken already.
    pub(crate) fn escape(&mut self, c: char) -> Result<Node, RegexSyntaxError> {
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
    pub(crate) fn backref_or_octal(&mut self, c: char) -> Result<Node, RegexSyntaxError> {
        let mut digits = String::from(c);
        if let Some(PatternToken::Char(second @ '0'..='9')) = self.reader.peek() {
            digits.push(second);
            self.reader.take()?;
            if let (true, Some(PatternToken::Char(third @ '0'..='7'))) =
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

    pub(crate) fn backref(&self, index: usize) -> Node {
        Node::Backref {
            index,
            ignore_case: self.scope.ignore_case,
        }
    }

    pub(crate) fn octal(&self, digits: &str, code: u32) -> Result<u32, RegexSyntaxError> {
        if code > 0o377 {
            let message = format!("octal escape value \\{digits} outside of range 0-0o377");
            return Err(self.reader.error(&message, digits.len() + 1));
        }
        Ok(code)
    }

    /// The escapes that mean one character both inside and outside a class.
    pub(crate) fn character_escape(&mut self, c: char) -> Result<u32, RegexSyntaxError> {
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
    pub(crate) fn class(&mut self) -> Result<Node, RegexSyntaxError> {
        let start = self.reader.position() - 1;
        let negated = self.reader.eat('^')?;
        let unterminated = |p: &Parser| p.reader.error_at("unterminated character set", start);
        let mut items = SmallVec::new();
        loop {
            let Some(token) = self.reader.take()? else {
                return Err(unterminated(self));
            };
            if token == PatternToken::Char(']') && !items.is_empty() {
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
            if to == PatternToken::Char(']') {
                items.push(low);
                items.push(ClassItem::Range(u32::from('-'), u32::from('-')));
                break;
            }
            let high = self.class_member(to)?;
            match (low, high) {
                (ClassItem::Range(from, _), ClassItem::Range(to, _)) if from <= to => {
                    items.push(ClassItem::Range(from, to));
                }
                _ => {
                    let message = format!("bad character range {token}-{to}");
                    let back = token.width() + 1 + to.width();
                    return Err(self.reader.error(&message, back));
                }
            }
        }
        Ok(Node::Class(CharClass {
            items,
            negated,
            ignore_case: self.scope.ignore_case,
            ascii: self.scope.ascii,
        }))
    }

    pub(crate) fn class_member(
        &mut self,
        token: PatternToken,
    ) -> Result<ClassItem, RegexSyntaxError> {
        let code = match token {
            PatternToken::Char(c) => u32::from(c),
            PatternToken::Escape('b') => 8,
            PatternToken::Escape(c) => {
                if let Some((category, negated)) = category(c) {
                    return Ok(ClassItem::Category { category, negated });
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
        Ok(ClassItem::Range(code, code))
    }
}
