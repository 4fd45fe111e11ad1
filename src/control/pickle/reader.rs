//! Pickle → values: a small stack machine over a flat table of nodes.
//!
//! Pickles share and fill objects after they were made, so values are nodes that refer to each
//! other by number; only when the pickle has ended they become a [`Value`], where depth and size
//! are counted. A bomb therefore costs no more than the bytes it was sent in, a cycle is just too
//! deep, and nothing deep is ever dropped.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{MAX_DEPTH, MAX_TEXT, MAX_VALUES, PickleError};
use crate::control::Reply;
use crate::control::error::CommandError;
use crate::control::value::Value;

/// Whether classes and calls may occur.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// In requests: no.
    Refused,
    /// In replies: yes, as descriptions.
    Understood,
}

/// Number of a node.
type Id = u32;

enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Class {
        module: Cow<'a, str>,
        name: Cow<'a, str>,
    },
    Call {
        class: Id,
        args: Id,
    },
}

/// What stands on the machine's stack.
#[derive(Clone, Copy)]
enum Slot {
    Mark,
    Node(Id),
}

/// A pickle that was read to its end.
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    top: Id,
}

/// Runs the machine.
pub(super) fn read(bytes: &[u8], calls: Calls) -> Result<Pickle<'_>, PickleError> {
    let mut machine = Machine {
        input: bytes,
        calls,
        nodes: Vec::new(),
        stack: Vec::new(),
        memo: HashMap::new(),
    };
    let top = loop {
        if let Some(top) = machine.step()? {
            break top;
        }
    };
    Ok(Pickle {
        nodes: machine.nodes,
        top,
    })
}

struct Machine<'a> {
    /// What is still unread.
    input: &'a [u8],
    calls: Calls,
    nodes: Vec<Node<'a>>,
    stack: Vec<Slot>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// Carries out one instruction; the result, when it was the last.
    fn step(&mut self) -> Result<Option<Id>, PickleError> {
        let instruction = self.byte()?;
        match instruction {
            b'.' => return self.pop().map(Some),
            // protocol number, frame (the lengths of frames do not matter: all bytes are here)
            0x80 => match self.byte()? {
                ..=5 => {}
                other => return Err(PickleError::Protocol(other)),
            },
            0x95 => {
                self.bytes(8)?;
            }
            b'(' => self.stack_push(Slot::Mark)?,
            b'0' => {
                self.stack.pop().ok_or(PickleError::Unexpected("pop"))?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'2' => {
                let top = self.peek()?;
                self.stack_push(Slot::Node(top))?;
            }
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'I' => {
                let node = match self.line()? {
                    b"00" => Node::Bool(false),
                    b"01" => Node::Bool(true),
                    digits => Node::Int(parse(digits, "number")?),
                };
                self.push(node)?;
            }
            b'L' => {
                let line = self.line()?;
                let digits = line.strip_suffix(b"L").unwrap_or(line);
                self.push(Node::Int(parse(digits, "number")?))?;
            }
            b'F' => {
                let number = parse(self.line()?, "number")?;
                self.push(Node::Float(number))?;
            }
            b'K' => {
                let number = self.byte()?;
                self.push(Node::Int(number.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(number.into()))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(number.into()))?;
            }
            0x8a => {
                let length = self.byte()?;
                self.long(length.into())?;
            }
            0x8b => {
                let length = self.length4()?;
                self.long(length)?;
            }
            b'G' => {
                let number = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(number))?;
            }
            b'S' => {
                let text = quoted(self.line()?)?;
                self.push(Node::Text(text))?;
            }
            b'V' => {
                let text = raw_unicode(self.line()?)?;
                self.push(Node::Text(text))?;
            }
            // byte strings: Go clients and Python 2 write all text as such
            b'U' | b'C' | 0x8c => {
                let length = self.byte()?;
                self.text(length.into())?;
            }
            b'T' | b'B' | b'X' => {
                let length = self.length4()?;
                self.text(length)?;
            }
            0x8d | 0x8e => {
                let length = u64::from_le_bytes(self.array()?);
                let length = usize::try_from(length).map_err(|_| PickleError::Truncated)?;
                self.text(length)?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))?;
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))?;
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Node::Dict(pairs(&items)?))?;
            }
            0x85..=0x87 => {
                let length = usize::from(instruction - 0x84);
                let items = self.pop_many(length)?;
                self.push(Node::Tuple(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.append(items)?;
            }
            b's' => {
                let pair = self.pop_many(2)?;
                self.insert(pairs(&pair)?)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.insert(pairs(&items)?)?;
            }
            b'g' => {
                let key = parse(self.line()?, "memo key")?;
                self.recall(key)?;
            }
            b'h' => {
                let key = self.byte()?;
                self.recall(key.into())?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(key)?;
            }
            b'p' => {
                let key = parse(self.line()?, "memo key")?;
                self.memorize(key)?;
            }
            b'q' => {
                let key = self.byte()?;
                self.memorize(key.into())?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.memorize(key)?;
            }
            0x94 => {
                let key = self.memo.len() as u32;
                self.memorize(key)?;
            }
            _ if self.calls == Calls::Understood => self.step_call(instruction)?,
            other => return Err(PickleError::Instruction(other)),
        }
        Ok(None)
    }

    /// The instructions that describe objects.
    fn step_call(&mut self, instruction: u8) -> Result<(), PickleError> {
        match instruction {
            b'c' => {
                let module = utf8(self.line()?)?;
                let name = utf8(self.line()?)?;
                self.push(Node::Class { module, name })
            }
            0x93 => {
                let name = self.pop_text()?;
                let module = self.pop_text()?;
                self.push(Node::Class { module, name })
            }
            // REDUCE, NEWOBJ
            b'R' | 0x81 => {
                let args = self.pop()?;
                let class = self.pop()?;
                self.push(Node::Call { class, args })
            }
            // BUILD: the attributes of an exception say nothing that is printed
            b'b' => self.pop().map(|_| ()),
            other => Err(PickleError::Instruction(other)),
        }
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        let (first, rest) = self.input.split_first().ok_or(PickleError::Truncated)?;
        self.input = rest;
        Ok(*first)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], PickleError> {
        let (head, rest) = self
            .input
            .split_at_checked(length)
            .ok_or(PickleError::Truncated)?;
        self.input = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let (head, rest) = self
            .input
            .split_first_chunk()
            .ok_or(PickleError::Truncated)?;
        self.input = rest;
        Ok(*head)
    }

    fn length4(&mut self) -> Result<usize, PickleError> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| PickleError::Truncated)
    }

    /// The rest of a line, without its end.
    fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let end = memchr::memchr(b'\n', self.input).ok_or(PickleError::Truncated)?;
        let line = self.bytes(end)?;
        self.byte()?;
        Ok(line)
    }

    fn text(&mut self, length: usize) -> Result<(), PickleError> {
        let text = utf8(self.bytes(length)?)?;
        self.push(Node::Text(text))
    }

    /// A number in little-endian two's complement of any length.
    fn long(&mut self, length: usize) -> Result<(), PickleError> {
        let bytes = self.bytes(length)?;
        let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
        let fill = if negative { 0xff } else { 0 };
        let mut number = [fill; 8];
        let (low, high) = bytes.split_at(bytes.len().min(8));
        number[..low.len()].copy_from_slice(low);
        let number = i64::from_le_bytes(number);
        if high.iter().any(|byte| *byte != fill) || (number < 0) != negative {
            return Err(PickleError::Unreadable("number"));
        }
        self.push(Node::Int(number))
    }

    fn stack_push(&mut self, slot: Slot) -> Result<(), PickleError> {
        if self.stack.len() >= MAX_VALUES {
            return Err(PickleError::Size);
        }
        self.stack.push(slot);
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), PickleError> {
        // classes, keys and replaced values need nodes too
        if self.nodes.len() >= 2 * MAX_VALUES {
            return Err(PickleError::Size);
        }
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        self.stack_push(Slot::Node(id))
    }

    fn peek(&self) -> Result<Id, PickleError> {
        match self.stack.last() {
            Some(Slot::Node(id)) => Ok(*id),
            _ => Err(PickleError::Unexpected("end of stack")),
        }
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        let top = self.peek()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, PickleError> {
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        Ok(items)
    }

    /// Everything above the last mark; the mark goes too.
    fn pop_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let mut items = Vec::new();
        loop {
            match self.stack.pop() {
                Some(Slot::Node(id)) => items.push(id),
                Some(Slot::Mark) => break,
                None => return Err(PickleError::Unexpected("end of stack")),
            }
        }
        items.reverse();
        Ok(items)
    }

    fn pop_text(&mut self) -> Result<Cow<'a, str>, PickleError> {
        let id = self.pop()?;
        match self.nodes.get(id as usize) {
            Some(Node::Text(text)) => Ok(text.clone()),
            _ => Err(PickleError::Unexpected("class name")),
        }
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        let list = self.peek()?;
        match self.nodes.get_mut(list as usize) {
            Some(Node::List(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(PickleError::Unexpected("list item")),
        }
    }

    fn insert(&mut self, pairs: Vec<(Id, Id)>) -> Result<(), PickleError> {
        let dict = self.peek()?;
        match self.nodes.get_mut(dict as usize) {
            Some(Node::Dict(dict)) => {
                dict.extend(pairs);
                Ok(())
            }
            _ => Err(PickleError::Unexpected("dict item")),
        }
    }

    fn recall(&mut self, key: u32) -> Result<(), PickleError> {
        let id = *self
            .memo
            .get(&key)
            .ok_or(PickleError::Unexpected("memo key"))?;
        self.stack_push(Slot::Node(id))
    }

    fn memorize(&mut self, key: u32) -> Result<(), PickleError> {
        let top = self.peek()?;
        if self.memo.len() >= MAX_VALUES {
            return Err(PickleError::Size);
        }
        self.memo.insert(key, top);
        Ok(())
    }
}

impl Pickle<'_> {
    /// The value it stands for.
    pub(super) fn value(&self) -> Result<Value, PickleError> {
        Budget::default().value(self, self.top, 0)
    }

    /// The reply it stands for.
    pub(super) fn reply(&self) -> Result<Reply, PickleError> {
        let (status, content) = match self.node(self.top)? {
            Node::Tuple(items) => match items.as_slice() {
                [status, content] => (self.node(*status)?, *content),
                _ => return Err(PickleError::Unexpected("reply")),
            },
            Node::Text(text) => return Err(PickleError::NoReply(text.clone().into_owned())),
            Node::List(_) => {
                return Err(PickleError::NoReply("the server is shutting down".into()));
            }
            _ => return Err(PickleError::Unexpected("reply")),
        };
        let mut budget = Budget::default();
        if matches!(status, Node::Int(0)) {
            return budget.value(self, content, 1).map(Ok);
        }
        let Node::Call { class, args } = self.node(content)? else {
            return Err(PickleError::Unexpected("reply"));
        };
        let (Node::Class { module, name }, Node::Tuple(args)) =
            (self.node(*class)?, self.node(*args)?)
        else {
            return Err(PickleError::Unexpected("reply"));
        };
        let args = budget.values(self, args, 2)?;
        Ok(Err(CommandError::from_wire(module, name, args)))
    }

    fn node(&self, id: Id) -> Result<&Node<'_>, PickleError> {
        self.nodes
            .get(id as usize)
            .ok_or(PickleError::Unexpected("end of stack"))
    }
}

/// How much of a message has become values.
#[derive(Default)]
struct Budget {
    values: usize,
    text: usize,
}

impl Budget {
    fn value(&mut self, pickle: &Pickle<'_>, id: Id, depth: usize) -> Result<Value, PickleError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(PickleError::Size);
        }
        if depth > MAX_DEPTH {
            return Err(PickleError::Depth);
        }
        Ok(match pickle.node(id)? {
            Node::None => Value::None,
            Node::Bool(flag) => Value::Bool(*flag),
            Node::Int(number) => Value::Int(*number),
            Node::Float(number) => Value::Float(*number),
            Node::Text(text) => Value::Str(self.text(text)?),
            Node::List(items) => Value::List(self.values(pickle, items, depth + 1)?),
            Node::Tuple(items) => Value::Tuple(self.values(pickle, items, depth + 1)?),
            Node::Dict(pairs) => {
                let mut dict = Vec::with_capacity(pairs.len().min(MAX_VALUES));
                for (key, value) in pairs {
                    dict.push((
                        self.value(pickle, *key, depth + 1)?,
                        self.value(pickle, *value, depth + 1)?,
                    ));
                }
                Value::Dict(dict)
            }
            Node::Call { class, args } => match (pickle.node(*class)?, pickle.node(*args)?) {
                (Node::Class { module, name }, Node::Tuple(args))
                    // the latter is what protocols below 3 call it
                    if (module == "builtins" && name == "str")
                        || (module == "__builtin__" && (name == "str" || name == "unicode")) =>
                {
                    let [text] = args.as_slice() else {
                        return Err(PickleError::Unexpected("call"));
                    };
                    match pickle.node(*text)? {
                        Node::Text(text) => Value::Ip(self.text(text)?),
                        _ => return Err(PickleError::Unexpected("call")),
                    }
                }
                _ => return Err(PickleError::Unexpected("call")),
            },
            Node::Class { .. } => return Err(PickleError::Unexpected("class")),
        })
    }

    fn values(
        &mut self,
        pickle: &Pickle<'_>,
        items: &[Id],
        depth: usize,
    ) -> Result<Vec<Value>, PickleError> {
        let mut values = Vec::with_capacity(items.len().min(MAX_VALUES - self.values));
        for item in items {
            values.push(self.value(pickle, *item, depth)?);
        }
        Ok(values)
    }

    fn text(&mut self, text: &str) -> Result<String, PickleError> {
        self.text += text.len();
        if self.text > MAX_TEXT {
            return Err(PickleError::Size);
        }
        Ok(text.to_owned())
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, PickleError> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(PickleError::Unexpected("dict item"));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

fn utf8(bytes: &[u8]) -> Result<Cow<'_, str>, PickleError> {
    std::str::from_utf8(bytes)
        .map(Cow::Borrowed)
        .map_err(|_| PickleError::Unreadable("text"))
}

fn parse<T: std::str::FromStr>(bytes: &[u8], what: &'static str) -> Result<T, PickleError> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(PickleError::Unreadable(what))
}

/// Text of protocol 0 from Python 2: quoted, with the escapes of a Python literal.
fn quoted(line: &[u8]) -> Result<Cow<'_, str>, PickleError> {
    let unreadable = PickleError::Unreadable("text");
    let inner = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err(unreadable),
    };
    if memchr::memchr(b'\\', inner).is_none() {
        return utf8(inner);
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(&quoted @ (b'\\' | b'\'' | b'"')) => out.push(quoted),
            Some(b'x') => {
                let digits = rest.as_slice().get(..2).ok_or(unreadable.clone())?;
                out.push(hex(digits)? as u8);
                rest = rest.as_slice()[2..].iter();
            }
            _ => return Err(unreadable),
        }
    }
    String::from_utf8(out)
        .map(Cow::Owned)
        .map_err(|_| unreadable)
}

/// Text of protocol 0: Latin-1, all else (and the backslash) as `\uXXXX` or `\UXXXXXXXX`.
fn raw_unicode(line: &[u8]) -> Result<Cow<'_, str>, PickleError> {
    if line.is_ascii() && memchr::memchr(b'\\', line).is_none() {
        return utf8(line);
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let [byte, tail @ ..] = rest {
        let length = match (byte, tail.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                out.push(char::from(*byte));
                rest = tail;
                continue;
            }
        };
        let digits = tail
            .get(1..=length)
            .ok_or(PickleError::Unreadable("text"))?;
        out.push(char::from_u32(hex(digits)?).ok_or(PickleError::Unreadable("text"))?);
        rest = &tail[1 + length..];
    }
    Ok(Cow::Owned(out))
}

fn hex(digits: &[u8]) -> Result<u32, PickleError> {
    let mut number = 0;
    for digit in digits {
        let digit = char::from(*digit)
            .to_digit(16)
            .ok_or(PickleError::Unreadable("text"))?;
        number = number << 4 | digit;
    }
    Ok(number)
}
