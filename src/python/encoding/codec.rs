//! Decodes the bytes of a log: Python's names of encodings, its replacement of invalid bytes, and line ends in
//! multi-byte encodings.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::sync::Arc;

use encoding_rs::{Encoding as Standard, UTF_16BE, UTF_16LE};

use super::names::{self, CodecMeaning, CodecTable};

/// How bytes become text.
#[derive(Clone, Debug, PartialEq)]
enum Codec {
    /// `signed`: a byte order mark at the beginning of a line is left out.
    Utf8 {
        signed: bool,
    },
    Ascii,
    Latin1,
    /// One byte, one character.
    Table(Arc<CodecTable>),
    /// Units of two or four bytes.
    Wide {
        unit: usize,
        /// Most significant byte first.
        big: bool,
        /// The byte order mark of the file decides about `big`.
        marked: bool,
    },
    /// Of the Far East: as the WHATWG encoding standard reads it.
    Standard(&'static Standard),
}

/// A named encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// As the user or the locale names it.
    pub name: String,
    codec: Codec,
}

const MARK: char = '\u{feff}';

impl Encoding {
    /// UTF-8.
    pub fn utf_8() -> Encoding {
        Encoding {
            name: "UTF-8".to_owned(),
            codec: Codec::Utf8 { signed: false },
        }
    }

    /// The encoding of a name as Python knows it (`latin1`, `utf_8`, `cp1252`).
    pub fn named(name: &str) -> Option<Encoding> {
        let wide = |unit, big, marked| Codec::Wide { unit, big, marked };
        let codec = match names::meaning(name)? {
            CodecMeaning::Table(table) => Codec::Table(Arc::new(CodecTable::read(table))),
            CodecMeaning::Other(other) => match other {
                "utf-8" => Codec::Utf8 { signed: false },
                "utf-8-sig" => Codec::Utf8 { signed: true },
                "ascii" => Codec::Ascii,
                "latin-1" => Codec::Latin1,
                "utf-16" => wide(2, false, true),
                "utf-16-le" => wide(2, false, false),
                "utf-16-be" => wide(2, true, false),
                "utf-32" => wide(4, false, true),
                "utf-32-le" => wide(4, false, false),
                "utf-32-be" => wide(4, true, false),
                label => Codec::Standard(Standard::for_label(label.as_bytes())?),
            },
        };
        Some(Encoding {
            name: name.to_owned(),
            codec,
        })
    }

    /// That of the locale, what `auto` stands for; UTF-8 where the locale names none.
    pub fn preferred() -> Encoding {
        let named = super::of_locale();
        let named = named.as_deref().and_then(Encoding::named);
        let other = named.filter(|found| !found.is_utf8());
        other.unwrap_or_else(Encoding::utf_8)
    }

    /// Where this text begins a file: settles what its byte order mark says, and tells how many
    /// bytes that mark has.
    pub fn settle(&mut self, head: &[u8]) -> usize {
        let Codec::Wide {
            unit,
            big,
            marked: true,
        } = &mut self.codec
        else {
            return 0;
        };
        let mut mark = [0; 4];
        let mark = &mut mark[..*unit];
        mark[..2].copy_from_slice(&[0xff, 0xfe]);
        if head.starts_with(mark) {
            *big = false;
            return *unit;
        }
        mark.reverse();
        if head.starts_with(mark) {
            *big = true;
            return *unit;
        }
        0
    }

    /// The end of the first line in `bytes`, which begin with a character: past its line feed.
    pub fn line_end(&self, bytes: &[u8]) -> Option<usize> {
        let Codec::Wide { unit, big, .. } = self.codec else {
            return memchr::memchr(b'\n', bytes).map(|at| at + 1);
        };
        let within = if big { unit - 1 } else { 0 };
        let feed = memchr::memchr_iter(b'\n', bytes).find(|at| {
            let start = at - at % unit;
            let rest = bytes.get(start..start + unit);
            at % unit == within && rest.is_some_and(|r| r.iter().filter(|b| **b != 0).count() == 1)
        })?;
        Some(feed - feed % unit + unit)
    }

    /// Characters begin at every multiple of so many bytes.
    pub fn unit(&self) -> usize {
        match self.codec {
            Codec::Wide { unit, .. } => unit,
            _ => 1,
        }
    }

    fn is_utf8(&self) -> bool {
        self.codec == Codec::Utf8 { signed: false }
    }

    /// A block of lines that is the text of them as it is. Looked at as a whole, it costs a tenth of
    /// looking at each line.
    pub fn as_text<'a>(&self, block: &'a [u8]) -> Option<&'a str> {
        let plain = match self.codec {
            Codec::Utf8 { signed: false } => true,
            // beyond ASCII these say something else; others have escape sequences within ASCII
            Codec::Utf8 { .. } | Codec::Ascii | Codec::Latin1 | Codec::Table(_) => block.is_ascii(),
            Codec::Wide { .. } | Codec::Standard(_) => false,
        };
        let text = || std::str::from_utf8(block).ok();
        plain.then(text).flatten()
    }

    /// Decodes; what is no text becomes U+FFFD, and the second value is true then.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> (Cow<'a, str>, bool) {
        match self.codec {
            Codec::Utf8 { signed } => {
                let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
                    Some(rest) if signed => rest,
                    _ => bytes,
                };
                let text = String::from_utf8_lossy(bytes);
                let wrong = matches!(text, Cow::Owned(_));
                (text, wrong)
            }
            Codec::Ascii if bytes.is_ascii() => (String::from_utf8_lossy(bytes), false),
            Codec::Ascii => {
                let replaced = bytes.iter().map(|b| match b.is_ascii() {
                    true => char::from(*b),
                    false => char::REPLACEMENT_CHARACTER,
                });
                (replaced.collect::<String>().into(), true)
            }
            Codec::Latin1 => {
                let text: String = bytes.iter().map(|b| char::from(*b)).collect();
                (text.into(), false)
            }
            Codec::Wide { unit: 2, big, .. } => {
                let table = if big { UTF_16BE } else { UTF_16LE };
                table.decode_without_bom_handling(bytes)
            }
            Codec::Wide { big, .. } => {
                let mut wrong = !bytes.len().is_multiple_of(4);
                let text: String = bytes
                    .chunks_exact(4)
                    .map(|unit| {
                        let unit = [unit[0], unit[1], unit[2], unit[3]];
                        let number = match big {
                            true => u32::from_be_bytes(unit),
                            false => u32::from_le_bytes(unit),
                        };
                        char::from_u32(number).unwrap_or_else(|| {
                            wrong = true;
                            char::REPLACEMENT_CHARACTER
                        })
                    })
                    .chain((!bytes.len().is_multiple_of(4)).then_some(char::REPLACEMENT_CHARACTER))
                    .collect();
                (text.into(), wrong)
            }
            Codec::Table(_) if bytes.is_ascii() => (String::from_utf8_lossy(bytes), false),
            Codec::Table(ref table) => {
                let mut wrong = false;
                let text = bytes.iter().map(|byte| {
                    let found = table.character(*byte);
                    wrong |= found.is_none();
                    found.unwrap_or(char::REPLACEMENT_CHARACTER)
                });
                (text.collect::<String>().into(), wrong)
            }
            Codec::Standard(standard) => standard.decode_without_bom_handling(bytes),
        }
    }

    /// Encodes for a link; what the encoding lacks is left out.
    pub fn encode(&self, text: &str) -> Vec<u8> {
        let order = |big: bool, mut unit: Vec<u8>| {
            if big {
                unit.reverse();
            }
            unit
        };
        match self.codec {
            Codec::Utf8 { signed: false } => text.as_bytes().to_vec(),
            Codec::Utf8 { signed: true } => format!("{MARK}{text}").into_bytes(),
            Codec::Ascii => text.bytes().filter(u8::is_ascii).collect(),
            Codec::Latin1 => text
                .chars()
                .filter_map(|c| u8::try_from(u32::from(c)).ok())
                .collect(),
            Codec::Wide { unit, big, marked } => {
                let mark = marked.then_some(MARK);
                let text: String = mark.into_iter().chain(text.chars()).collect();
                match unit {
                    2 => text
                        .encode_utf16()
                        .flat_map(|u| order(big, u.to_le_bytes().to_vec()))
                        .collect(),
                    _ => text
                        .chars()
                        .flat_map(|c| order(big, u32::from(c).to_le_bytes().to_vec()))
                        .collect(),
                }
            }
            Codec::Table(ref table) => text.chars().filter_map(|c| table.byte(c)).collect(),
            Codec::Standard(standard) => {
                let within = |c: &char| {
                    let mut one = [0; 4];
                    !standard.encode(c.encode_utf8(&mut one)).2
                };
                let text: String = text.chars().filter(within).collect();
                standard.encode(&text).0.into_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_whole_characters() {
        // U+0A0D U+000A and U+0100 U+0A00 hold bytes that look like line feeds
        let text = "x\u{a0d}\u{10a}y\nz";
        for name in ["utf-16le", "utf-16be", "utf-32le", "utf-32-be", "utf_8"] {
            let encoding = Encoding::named(name).expect("known");
            let bytes = encoding.encode(text);
            let end = encoding.line_end(&bytes).expect("a line");
            let (line, wrong) = encoding.decode(&bytes[..end]);
            assert_eq!((&*line, wrong), ("x\u{a0d}\u{10a}y\n", false), "{name}");
            assert_eq!(encoding.line_end(&bytes[end..]), None, "{name}");
        }
    }

    #[test]
    fn the_mark_of_a_file_decides() {
        for (name, head, mark, text) in [
            ("utf-16", &b"\xff\xfea\0"[..], 2, "a"),
            ("utf-16", b"\xfe\xff\0a", 2, "a"),
            ("UTF_16", b"a\0", 0, "a"),
            ("utf-32", b"\xff\xfe\0\0a\0\0\0", 4, "a"),
            ("utf-32", b"\0\0\xfe\xff\0\0\0a", 4, "a"),
            ("utf-16le", b"\xff\xfea\0", 0, "\u{feff}a"),
        ] {
            let mut encoding = Encoding::named(name).expect("known");
            assert_eq!(encoding.settle(head), mark, "{name} {head:?}");
            assert_eq!(encoding.decode(&head[mark..]).0, text, "{name} {head:?}");
        }
    }

    #[test]
    fn names_as_python_knows_them() {
        for (name, bytes, text) in [
            ("utf-8-sig", &b"\xef\xbb\xbfa"[..], "a"),
            ("cp1252", b"\x80", "€"),
            ("mac_roman", b"\x8a", "ä"),
            ("koi8-r", b"\xc2", "б"),
            ("u16", b"a\0", "a"),
        ] {
            let encoding = Encoding::named(name).expect("known");
            assert_eq!(encoding.decode(bytes).0, text, "{name}");
        }
        assert!(Encoding::named("nope").is_none());
    }
}
