//! Values to pickle: protocol 4 with its simplest instructions, which every Python since 3.4 and both Go
//! libraries read. Protocol 5 would add nothing.

use crate::python::Value;

/// Builds one pickle.
pub(super) struct PickleWriter {
    out: Vec<u8>,
    /// Whether `builtins.str` is in the memo, as its first entry: lists of addresses name it often.
    knows_str: bool,
}

impl PickleWriter {
    pub(super) fn new() -> PickleWriter {
        PickleWriter {
            out: vec![0x80, 4],
            knows_str: false,
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'.');
        self.out
    }

    /// Makes a tuple of the last two values.
    pub(super) fn pair(&mut self) {
        self.out.push(0x86);
    }

    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::None => self.out.push(b'N'),
            Value::Bool(flag) => self.out.push(if *flag { 0x88 } else { 0x89 }),
            Value::Int(number) => self.int(*number),
            Value::Float(number) => {
                self.out.push(b'G');
                self.out.extend_from_slice(&number.to_be_bytes());
            }
            Value::Str(text) => self.text(text),
            Value::Ip(text) => {
                if self.knows_str {
                    self.out.extend_from_slice(&[b'h', 0]);
                } else {
                    self.class("builtins", "str");
                    self.out.push(0x94);
                    self.knows_str = true;
                }
                self.text(text);
                self.out.extend_from_slice(&[0x85, b'R']);
            }
            Value::List(items) => {
                self.out.push(b']');
                if !items.is_empty() {
                    self.out.push(b'(');
                    self.values(items);
                    self.out.push(b'e');
                }
            }
            Value::Tuple(items) => self.tuple(items),
            Value::Dict(pairs) => {
                self.out.push(b'}');
                if !pairs.is_empty() {
                    self.out.push(b'(');
                    for (key, value) in pairs {
                        self.value(key);
                        self.value(value);
                    }
                    self.out.push(b'u');
                }
            }
        }
    }

    /// A call of `module.name` with these arguments.
    pub(super) fn call(&mut self, module: &str, name: &str, args: &[Value]) {
        self.class(module, name);
        self.tuple(args);
        self.out.push(b'R');
    }

    fn class(&mut self, module: &str, name: &str) {
        self.text(module);
        self.text(name);
        self.out.push(0x93);
    }

    fn values(&mut self, items: &[Value]) {
        for item in items {
            self.value(item);
        }
    }

    fn tuple(&mut self, items: &[Value]) {
        match items.len() {
            0 => self.out.push(b')'),
            len @ 1..=3 => {
                self.values(items);
                // TUPLE1 to TUPLE3 follow each other
                self.out.push(0x84 + len as u8);
            }
            _ => {
                self.out.push(b'(');
                self.values(items);
                self.out.push(b't');
            }
        }
    }

    fn int(&mut self, number: i64) {
        if let Ok(byte) = u8::try_from(number) {
            self.out.extend_from_slice(&[b'K', byte]);
        } else if let Ok(short) = i32::try_from(number) {
            self.out.push(b'J');
            self.out.extend_from_slice(&short.to_le_bytes());
        } else {
            self.out.extend_from_slice(&[0x8a, 8]);
            self.out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        if let Ok(len) = u8::try_from(text.len()) {
            self.out.extend_from_slice(&[0x8c, len]);
        } else if let Ok(len) = u32::try_from(text.len()) {
            self.out.push(b'X');
            self.out.extend_from_slice(&len.to_le_bytes());
        } else {
            self.out.push(0x8d);
            self.out
                .extend_from_slice(&(text.len() as u64).to_le_bytes());
        }
        self.out.extend_from_slice(text.as_bytes());
    }
}
