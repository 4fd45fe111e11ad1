//! The evidence against an id, packed: captured fields and matched lines in one byte string, shared by all
//! tickets of the id and bounded by [`memory`].
//!
//! Under attack a jail stores hundreds of thousands of ids with a line and a few fields each; as maps and
//! strings that costs several times the text itself.
#![forbid(unsafe_code)]

pub mod memory;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::memory::JailEvidence;
use crate::address::Address;
use crate::fields::{FieldValue, Fields, MatchLine};

/// Fields longer than this, in bytes, are forgotten together with the lines.
const SMALL_FIELD: usize = 128;

/// Packed fields and matched lines. Clones share them: when the memory for evidence is used up, the
/// lines are forgotten for all.
#[derive(Clone, Debug, Default)]
pub struct Evidence(Option<Arc<SharedEvidence>>);

/// What clones share.
#[derive(Debug)]
struct SharedEvidence(Mutex<Packed>);

#[derive(Debug)]
struct Packed {
    /// The length of the fields, the fields, the lines.
    bytes: Box<[u8]>,
    /// The jail that keeps it; nobody before it is counted, nor once it was forgotten.
    keeper: Option<JailEvidence>,
}

impl Evidence {
    /// Packs the fields and all lines.
    pub fn new(fields: &Fields, lines: &[MatchLine]) -> Evidence {
        if fields.is_empty() && lines.is_empty() {
            return Evidence::default();
        }
        let fields = pack_fields(fields.iter());
        Evidence::of(packed(|out| {
            pack_number(fields.len(), out);
            out.extend_from_slice(&fields);
            for line in lines {
                pack_line(line, out);
            }
        }))
    }

    fn of(bytes: Box<[u8]>) -> Evidence {
        let packed = Packed {
            bytes,
            keeper: None,
        };
        Evidence(Some(Arc::new(SharedEvidence(Mutex::new(packed)))))
    }

    /// The same fields, and the last `limit` of both lists of lines. The lines of later failures are
    /// whole ones: in the database only those of the first one stand in their parts (fact Q3).
    pub fn with_lines_of(&self, later: &Evidence, limit: usize) -> Evidence {
        // a copy: two addresses of one name have the same evidence, and it is locked but once
        let later: Box<[u8]> = bytes(&later.lock()).into();
        let (_, mut added) = parts(&later);
        let packed_old = self.lock();
        let (fields, mut kept) = parts(bytes(&packed_old));
        let skip = (kept.line_count() + added.line_count()).saturating_sub(limit);
        for _ in 0..skip {
            if kept.skip_line().is_none() {
                added.skip_line();
            }
        }
        Evidence::of(packed(|out| {
            pack_number(fields.0.len(), out);
            out.extend_from_slice(fields.0);
            out.extend_from_slice(kept.0);
            while let Some(texts) = added.line_texts() {
                pack_whole(texts, out);
            }
        }))
    }

    /// The same fields and these lines.
    #[must_use]
    pub fn with_lines(&self, lines: &[MatchLine]) -> Evidence {
        Evidence::new(&self.fields(), lines)
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<MatchLine> {
        let packed = self.lock();
        let (_, mut lines) = parts(bytes(&packed));
        std::iter::from_fn(|| lines.line()).collect()
    }

    /// The fields in their order.
    pub fn fields(&self) -> Fields {
        let packed = self.lock();
        let (mut fields, _) = parts(bytes(&packed));
        std::iter::from_fn(|| fields.field()).collect()
    }

    /// One of the fields.
    pub fn field(&self, name: &str) -> Option<FieldValue> {
        let packed = self.lock();
        let (mut fields, _) = parts(bytes(&packed));
        let mut all = std::iter::from_fn(|| fields.field());
        all.find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    fn lock(&self) -> Option<MutexGuard<'_, Packed>> {
        self.0.as_ref().map(|kept| kept.lock())
    }
}

impl SharedEvidence {
    fn lock(&self) -> MutexGuard<'_, Packed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Packed {
    /// Forgets the lines and what is long among the fields: an attacker has written it.
    fn shrink(&mut self) {
        let (mut fields, _) = parts(&self.bytes);
        let mut small: Vec<(&str, FieldValue)> = Vec::new();
        loop {
            let before = fields.0.len();
            let Some((name, value)) = fields.field() else {
                break;
            };
            let size = before - fields.0.len();
            // whom a ban is about counts, whatever its size
            if size <= SMALL_FIELD || matches!(value, FieldValue::Address(_)) {
                small.push((name, value));
            }
        }
        let fields = pack_fields(small.iter().map(|(name, value)| (*name, value)));
        self.bytes = packed(|out| {
            pack_number(fields.len(), out);
            out.extend_from_slice(&fields);
        });
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.release(self.bytes.len());
        }
    }
}

fn bytes<'a>(packed: &'a Option<MutexGuard<'_, Packed>>) -> &'a [u8] {
    packed.as_ref().map_or(&[], |packed| &packed.bytes)
}

/// Readers of the fields and of the lines.
fn parts(bytes: &[u8]) -> (PackedReader<'_>, PackedReader<'_>) {
    let mut reader = PackedReader(bytes);
    let length = reader.number().unwrap_or(0);
    let (fields, lines) = reader.0.split_at_checked(length).unwrap_or_default();
    (PackedReader(fields), PackedReader(lines))
}

fn packed(pack: impl FnOnce(&mut Vec<u8>)) -> Box<[u8]> {
    // what is kept is made once, of the right size
    let mut draft = Vec::with_capacity(512);
    pack(&mut draft);
    draft.as_slice().into()
}

fn pack_number(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn pack_text(text: &str, out: &mut Vec<u8>) {
    pack_number(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn pack_line(line: &MatchLine, out: &mut Vec<u8>) {
    match line {
        MatchLine::Text(text) => {
            out.push(b't');
            pack_text(text, out);
        }
        MatchLine::Parts(parts) => {
            out.push(b'p');
            for part in parts.iter() {
                pack_text(part, out);
            }
        }
    }
}

/// Packs the texts of one line as a whole line.
fn pack_whole(texts: [&str; 3], out: &mut Vec<u8>) {
    out.push(b't');
    pack_number(texts.iter().map(|text| text.len()).sum(), out);
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

fn pack_fields<'a>(fields: impl Iterator<Item = (&'a str, &'a FieldValue)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    for (name, value) in fields {
        pack_text(name, &mut out);
        match value {
            FieldValue::Text(text) => {
                out.push(b't');
                pack_text(text, &mut out);
            }
            FieldValue::Set(texts) => {
                out.push(b's');
                pack_number(texts.len(), &mut out);
                for text in texts {
                    pack_text(text, &mut out);
                }
            }
            FieldValue::Tuple(parts) => {
                out.push(b'u');
                pack_number(parts.len(), &mut out);
                for part in parts {
                    out.push(u8::from(part.is_some()));
                    pack_text(part.as_deref().unwrap_or(""), &mut out);
                }
            }
            FieldValue::Address(address) => pack_address(address, &mut out),
        }
    }
    out
}

fn pack_address(address: &Address, out: &mut Vec<u8>) {
    // what nearly all are takes the fewest bytes
    if let Address::Ip(ip) = address {
        return match ip {
            IpAddr::V4(ip) => {
                out.push(b'4');
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(b'6');
                out.extend_from_slice(&ip.octets());
            }
        };
    }
    // the prefix of a whole address space does not show in its text
    out.extend_from_slice(match address {
        Address::Raw(_) => b"ar",
        Address::Net(net) if net.prefix_len() == 0 => b"a0",
        _ => b"aa",
    });
    pack_text(&address.to_string(), out);
}

/// Reads what the functions above wrote; `None` at the end.
struct PackedReader<'a>(&'a [u8]);

impl<'a> PackedReader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(number)
    }

    fn slice(&mut self) -> Option<&'a str> {
        let length = self.number()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn text(&mut self) -> Option<String> {
        self.slice().map(str::to_owned)
    }

    fn skip_text(&mut self) -> Option<()> {
        let length = self.number()?;
        self.0 = self.0.get(length..)?;
        Some(())
    }

    fn skip_line(&mut self) -> Option<()> {
        let texts = match self.byte()? {
            b'p' => 3,
            _ => 1,
        };
        (0..texts).try_for_each(|_| self.skip_text())
    }

    fn line_count(&self) -> usize {
        let mut lines = PackedReader(self.0);
        std::iter::from_fn(|| lines.skip_line()).count()
    }

    /// The texts that make the next line.
    fn line_texts(&mut self) -> Option<[&'a str; 3]> {
        Some(match self.byte()? {
            b'p' => [self.slice()?, self.slice()?, self.slice()?],
            _ => [self.slice()?, "", ""],
        })
    }

    fn line(&mut self) -> Option<MatchLine> {
        Some(match self.byte()? {
            b'p' => MatchLine::Parts(Arc::new([self.text()?, self.text()?, self.text()?])),
            _ => MatchLine::Text(self.text()?),
        })
    }

    fn field(&mut self) -> Option<(&'a str, FieldValue)> {
        let name = self.slice()?;
        let value = match self.byte()? {
            b's' => {
                let count = self.number()?;
                FieldValue::Set((0..count).map_while(|_| self.text()).collect())
            }
            b'u' => {
                let count = self.number()?;
                let part = |_| {
                    let set = self.byte()? == 1;
                    let text = self.text()?;
                    Some(set.then_some(text))
                };
                FieldValue::Tuple((0..count).map_while(part).collect())
            }
            b'4' => FieldValue::Address(Address::Ip(self.bytes::<4>()?.into())),
            b'6' => FieldValue::Address(Address::Ip(self.bytes::<16>()?.into())),
            b'a' => {
                let kind = self.byte()?;
                let text = self.text()?;
                FieldValue::Address(match kind {
                    b'r' => Address::raw(text),
                    b'0' => Address::parse(&format!("{text}/0")),
                    _ => Address::parse(&text),
                })
            }
            _ => FieldValue::Text(self.text()?),
        };
        Some((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &str) -> MatchLine {
        MatchLine::Text(line.to_owned())
    }

    #[test]
    fn everything_survives_packing() {
        let mut fields = Fields::new();
        fields.insert("user", FieldValue::Text("bob".into()));
        fields.insert("users", FieldValue::Set(vec!["bob".into(), "".into()]));
        fields.insert(
            "t",
            FieldValue::Tuple(vec![None, Some("x".into()), Some("".into())]),
        );
        for id in [
            "192.0.2.1",
            "2001:db8::1",
            "2001:db8::/32",
            "0.0.0.0/0",
            "sess0",
        ] {
            fields.insert(id, FieldValue::Address(Address::parse(id)));
        }
        fields.insert("raw", FieldValue::Address(Address::raw("192.0.2.1")));
        let lines = vec![
            text(&"x".repeat(300)),
            MatchLine::Parts(Arc::new(["a ".into(), "Nov 21".into(), " ä\n".into()])),
            text(""),
        ];
        let evidence = Evidence::new(&fields, &lines);
        assert_eq!(evidence.fields(), fields);
        assert_eq!(evidence.lines(), lines);
    }

    #[test]
    fn later_lines_are_whole() {
        let line = MatchLine::Parts(Arc::new(["a ".into(), "Nov 21".into(), " b".into()]));
        let lines = [line, text("c")];
        let first = Evidence::new(&Fields::new(), &lines[..1]);
        let both = first.with_lines_of(&Evidence::new(&Fields::new(), &lines), 5);
        let expected = [lines[0].clone(), text("a Nov 21 b"), text("c")];
        assert_eq!(both.lines(), expected);
    }

    #[test]
    fn only_the_last_lines_stay() {
        let new = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| text(line)).collect();
            Evidence::new(&Fields::new(), &lines)
        };
        let evidence = new(&["1", "2"]).with_lines_of(&new(&["3"]), 2);
        assert_eq!(evidence.lines(), [text("2"), text("3")]);
        let evidence = evidence.with_lines_of(&new(&["4", "5", "6"]), 2);
        assert_eq!(evidence.lines(), [text("5"), text("6")]);
        let evidence = evidence.with_lines_of(&new(&["7"]), 0);
        assert_eq!(evidence.lines(), []);
        let evidence = evidence.with_lines_of(&new(&["8"]), 5);
        assert_eq!(evidence.lines(), [text("8")]);
    }
}
