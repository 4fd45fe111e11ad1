//! Pickle to nodes: a small stack machine.
//!
//! An instruction allocates no more than its own size, so a pickle bomb is no larger than what was sent.

use std::borrow::Cow;
use std::collections::HashMap;

use super::text::{quoted, raw_unicode, utf8};
use super::tree::{Id, Pickle, PickleNode};
use super::{MAX_VALUES, PickleError};

/// Whether classes and calls may occur.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Calls {
    /// In requests: no.
    Refused,
    /// In replies: yes, as descriptions.
    Understood,
}

/// What stands on the machine's stack.
#[derive(Clone, Copy)]
enum Slot {
    Mark,
    Node(Id),
}

/// Runs the machine.
pub(super) fn read(bytes: &[u8], calls: Calls) -> Result<Pickle<'_>, PickleError> {
    let mut machine = StackMachine {
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

struct StackMachine<'a> {
    /// What is still unread.
    input: &'a [u8],
    calls: Calls,
    nodes: Vec<PickleNode<'a>>,
    stack: Vec<Slot>,
    memo: HashMap<u32, Id>,
}

impl<'a> StackMachine<'a> {
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
            b'N' => self.push(PickleNode::None)?,
            0x88 => self.push(PickleNode::Bool(true))?,
            0x89 => self.push(PickleNode::Bool(false))?,
            b'I' => {
                let node = match self.line()? {
                    b"00" => PickleNode::Bool(false),
                    b"01" => PickleNode::Bool(true),
                    digits => PickleNode::Int(parse(digits, "number")?),
                };
                self.push(node)?;
            }
            b'L' => {
                let line = self.line()?;
                let digits = line.strip_suffix(b"L").unwrap_or(line);
                self.push(PickleNode::Int(parse(digits, "number")?))?;
            }
            b'F' => {
                let number = parse(self.line()?, "number")?;
                self.push(PickleNode::Float(number))?;
            }
            b'K' => {
                let number = self.byte()?;
                self.push(PickleNode::Int(number.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(PickleNode::Int(number.into()))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(PickleNode::Int(number.into()))?;
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
                self.push(PickleNode::Float(number))?;
            }
            b'S' => {
                let text = quoted(self.line()?)?;
                self.push(PickleNode::Text(text))?;
            }
            b'V' => {
                let text = raw_unicode(self.line()?)?;
                self.push(PickleNode::Text(text))?;
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
            b']' => self.push(PickleNode::List(Vec::new()))?,
            b'}' => self.push(PickleNode::Dict(Vec::new()))?,
            b')' => self.push(PickleNode::Tuple(Vec::new()))?,
            b'l' => {
                let items = self.pop_mark()?;
                self.push(PickleNode::List(items))?;
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(PickleNode::Tuple(items))?;
            }
            b'd' => {
                let items = self.pop_mark()?;
                self.push(PickleNode::Dict(pairs(&items)?))?;
            }
            0x85..=0x87 => {
                let length = usize::from(instruction - 0x84);
                let items = self.pop_many(length)?;
                self.push(PickleNode::Tuple(items))?;
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
                self.push(PickleNode::Class { module, name })
            }
            0x93 => {
                let name = self.pop_text()?;
                let module = self.pop_text()?;
                self.push(PickleNode::Class { module, name })
            }
            // REDUCE, NEWOBJ
            b'R' | 0x81 => {
                let args = self.pop()?;
                let class = self.pop()?;
                self.push(PickleNode::Call { class, args })
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
        self.push(PickleNode::Text(text))
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
        self.push(PickleNode::Int(number))
    }

    fn stack_push(&mut self, slot: Slot) -> Result<(), PickleError> {
        if self.stack.len() >= MAX_VALUES {
            return Err(PickleError::Size);
        }
        self.stack.push(slot);
        Ok(())
    }

    fn push(&mut self, node: PickleNode<'a>) -> Result<(), PickleError> {
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
            Some(PickleNode::Text(text)) => Ok(text.clone()),
            _ => Err(PickleError::Unexpected("class name")),
        }
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        let list = self.peek()?;
        match self.nodes.get_mut(list as usize) {
            Some(PickleNode::List(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(PickleError::Unexpected("list item")),
        }
    }

    fn insert(&mut self, pairs: Vec<(Id, Id)>) -> Result<(), PickleError> {
        let dict = self.peek()?;
        match self.nodes.get_mut(dict as usize) {
            Some(PickleNode::Dict(dict)) => {
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

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, PickleError> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(PickleError::Unexpected("dict item"));
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

fn parse<T: std::str::FromStr>(bytes: &[u8], what: &'static str) -> Result<T, PickleError> {
    std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(PickleError::Unreadable(what))
}
