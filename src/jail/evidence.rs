//! The evidence against an id, packed: captured fields and matched lines in two byte strings.
//!
//! Under attack a jail remembers hundreds of thousands of ids with a line and a few fields each;
//! as maps and strings that costs several times the text itself.
#![forbid(unsafe_code)]

use crate::address::Address;
use crate::ticket::{FieldValue, Fields, MatchLine};

/// Packed fields and matched lines. Packing and unpacking keeps everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    fields: Box<[u8]>,
    lines: Box<[u8]>,
}

impl Evidence {
    /// Packs the fields and all lines.
    pub fn new(fields: &Fields, lines: &[MatchLine]) -> Evidence {
        let mut evidence = Evidence {
            fields: pack_fields(fields),
            lines: Box::default(),
        };
        evidence.set_lines(lines);
        evidence
    }

    /// Replaces the lines.
    pub fn set_lines(&mut self, lines: &[MatchLine]) {
        let mut out = Vec::new();
        for line in lines {
            pack_line(line, &mut out);
        }
        self.lines = out.into_boxed_slice();
    }

    /// Adds lines and keeps only the last `limit`.
    pub fn append(&mut self, lines: &[MatchLine], limit: usize) {
        let skip = (self.line_count() + lines.len()).saturating_sub(limit);
        let mut reader = Reader(&self.lines);
        let mut skipped = 0;
        while skipped < skip && reader.line().is_some() {
            skipped += 1;
        }
        let kept = reader.0;
        let mut out = Vec::with_capacity(kept.len() + 128);
        out.extend_from_slice(kept);
        for line in &lines[(skip - skipped).min(lines.len())..] {
            pack_line(line, &mut out);
        }
        self.lines = out.into_boxed_slice();
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<MatchLine> {
        let mut reader = Reader(&self.lines);
        std::iter::from_fn(|| reader.line()).collect()
    }

    /// The fields in their order.
    pub fn fields(&self) -> Fields {
        let mut reader = Reader(&self.fields);
        std::iter::from_fn(|| reader.field()).collect()
    }

    fn line_count(&self) -> usize {
        let mut reader = Reader(&self.lines);
        std::iter::from_fn(|| reader.line()).count()
    }
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

fn pack_fields(fields: &Fields) -> Box<[u8]> {
    let mut out = Vec::new();
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
            FieldValue::Address(address) => {
                out.push(b'a');
                // the prefix of a whole address space does not show in its text
                out.push(match address {
                    Address::Raw(_) => b'r',
                    Address::Net(net) if net.prefix_len() == 0 => b'0',
                    _ => b'a',
                });
                pack_text(&address.to_string(), &mut out);
            }
        }
    }
    out.into_boxed_slice()
}

/// Reads what the functions above wrote; `None` at the end.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
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

    fn text(&mut self) -> Option<String> {
        let length = self.number()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn line(&mut self) -> Option<MatchLine> {
        Some(match self.byte()? {
            b'p' => MatchLine::Parts(Box::new([self.text()?, self.text()?, self.text()?])),
            _ => MatchLine::Text(self.text()?),
        })
    }

    fn field(&mut self) -> Option<(String, FieldValue)> {
        let name = self.text()?;
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
        fields.insert("user".into(), FieldValue::Text("bob".into()));
        fields.insert(
            "users".into(),
            FieldValue::Set(vec!["bob".into(), "".into()]),
        );
        fields.insert(
            "t".into(),
            FieldValue::Tuple(vec![None, Some("x".into()), Some("".into())]),
        );
        for id in ["192.0.2.1", "2001:db8::/32", "0.0.0.0/0", "sess0"] {
            fields.insert(id.into(), FieldValue::Address(Address::parse(id)));
        }
        fields.insert("raw".into(), FieldValue::Address(Address::raw("192.0.2.1")));
        let lines = vec![
            text(&"x".repeat(300)),
            MatchLine::Parts(Box::new(["a ".into(), "Nov 21".into(), " ä\n".into()])),
            text(""),
        ];
        let evidence = Evidence::new(&fields, &lines);
        assert_eq!(evidence.fields(), fields);
        assert_eq!(evidence.lines(), lines);
    }

    #[test]
    fn only_the_last_lines_stay() {
        let mut evidence = Evidence::new(&Fields::new(), &[text("1"), text("2")]);
        evidence.append(&[text("3")], 2);
        assert_eq!(evidence.lines(), [text("2"), text("3")]);
        evidence.append(&[text("4"), text("5"), text("6")], 2);
        assert_eq!(evidence.lines(), [text("5"), text("6")]);
        evidence.append(&[text("7")], 0);
        assert_eq!(evidence.lines(), []);
        evidence.append(&[text("8")], 5);
        assert_eq!(evidence.lines(), [text("8")]);
    }
}
