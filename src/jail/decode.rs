//! Bytes of a log → text: the encodings of `logencoding` (fact J7).
//!
//! Invalid bytes become U+FFFD; the caller warns once per file and day.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::encoding;
use crate::filter::Lines;

/// The encoding of the locale, what `auto` stands for; UTF-8 where the locale names none.
pub(super) fn default_encoding() -> String {
    match encoding::of_locale() {
        Some(name) if encoding::named(&name).is_some_and(|found| found != UTF_8) => name,
        _ => "UTF-8".to_owned(),
    }
}

/// Lines of one file, decoded.
#[derive(Debug)]
pub struct Decoder {
    encoding: &'static Encoding,
    /// Bytes of a UTF-16 line that goes on in the next chunk.
    rest: Vec<u8>,
}

impl Decoder {
    /// That of a name as [`encoding::named`] knows it, else UTF-8.
    pub fn named(name: &str) -> Decoder {
        Decoder::new(encoding::named(name).unwrap_or(UTF_8))
    }

    /// A decoder at the beginning of a line.
    pub fn new(encoding: &'static Encoding) -> Decoder {
        Decoder {
            encoding,
            rest: Vec::new(),
        }
    }

    /// The encoding, where a chunk has whole lines in it.
    pub fn of_whole_lines(&self) -> Option<&'static Encoding> {
        let wide = self.encoding == UTF_16LE || self.encoding == UTF_16BE;
        (!wide).then_some(self.encoding)
    }

    /// At the end of the log: a last line that has no end.
    pub fn rest(&mut self) -> Option<String> {
        let bytes = std::mem::take(&mut self.rest);
        let (text, _) = self.encoding.decode_without_bom_handling(&bytes);
        let text = text.trim_start_matches('\u{feff}');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// All lines of a chunk; bytes of lines that had some replaced go to `bad`.
    pub fn decode<'d>(&mut self, data: &'d [u8], mut bad: impl FnMut(&[u8])) -> Lines<'d> {
        // nearly always: looked at as a whole, it costs a tenth of looking at each line
        if let Some(text) = self.as_text(data) {
            return Lines::of(text);
        }
        let mut lines = Lines::with_capacity(data.len());
        self.lines(data, |line, replaced| {
            lines.push(&line);
            if let Some(bytes) = replaced {
                bad(bytes);
            }
        });
        lines
    }

    /// A chunk that is the text of its lines as it is.
    fn as_text<'d>(&self, data: &'d [u8]) -> Option<&'d str> {
        let utf_8 = self.encoding == UTF_8;
        let text = || std::str::from_utf8(without_half_feed(data)).ok();
        utf_8.then(text).flatten()
    }

    /// Calls `each` for every line of a chunk, without its line end; where bytes had to be replaced,
    /// with those of the line and its end.
    pub fn lines(&mut self, data: &[u8], mut each: impl FnMut(Cow<'_, str>, Option<&[u8]>)) {
        if self.encoding == UTF_16LE || self.encoding == UTF_16BE {
            return self.wide_lines(data, &mut each);
        }
        if let Some(mut text) = self.as_text(data) {
            while !text.is_empty() {
                let end = memchr::memchr(b'\n', text.as_bytes()).map_or(text.len(), |at| at + 1);
                let (line, after) = text.split_at(end);
                text = after;
                each(Cow::Borrowed(line.trim_end_matches(['\r', '\n'])), None);
            }
            return;
        }
        let mut rest = without_half_feed(data);
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            rest = after;
            let (text, replaced) = self.encoding.decode_without_bom_handling(trim_end(line));
            each(text, replaced.then_some(line));
        }
    }

    /// A line feed has two bytes here, and a chunk may end between them.
    fn wide_lines(&mut self, data: &[u8], each: &mut impl FnMut(Cow<'_, str>, Option<&[u8]>)) {
        self.rest.extend_from_slice(data);
        let bytes = std::mem::take(&mut self.rest);
        let feed: &[u8] = if self.encoding == UTF_16LE {
            b"\n\0"
        } else {
            b"\0\n"
        };
        let mut start = 0;
        for (at, pair) in bytes.chunks_exact(2).enumerate() {
            if pair == feed {
                let (line, end) = (&bytes[start..at * 2], at * 2 + 2);
                let whole = &bytes[start..end];
                start = end;
                let (text, replaced) = self.encoding.decode_without_bom_handling(line);
                let text = text
                    .trim_end_matches(['\r', '\n'])
                    .trim_start_matches('\u{feff}');
                each(Cow::Borrowed(text), replaced.then_some(whole));
            }
        }
        self.rest = bytes[start..].to_vec();
    }
}

/// Half a line feed of UTF-16 that the reader has left on belongs to no other encoding.
fn without_half_feed(data: &[u8]) -> &[u8] {
    match data {
        [text @ .., 0] if text.ends_with(b"\n") => text,
        _ => data,
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|b| !matches!(b, b'\r' | b'\n'))
        .map_or(0, |at| at + 1);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(name: &str, chunks: &[&[u8]]) -> Vec<(String, bool)> {
        let mut decoder = Decoder::new(encoding::named(name).unwrap());
        let mut lines = Vec::new();
        for chunk in chunks {
            decoder.lines(chunk, |text, bad| {
                lines.push((text.into_owned(), bad.is_some()))
            });
        }
        lines
    }

    #[test]
    fn names_of_python() {
        for name in [
            "UTF-8",
            "utf8",
            "utf_8",
            "latin1",
            "latin-1",
            "iso-8859-1",
            "iso8859-1",
            "cp1252",
            "koi8-r",
            "UTF-16LE",
            "utf-16-be",
            "ascii",
            "gbk",
            "euc-jp",
            "iso8859_2",
            "iso8859-15",
            "cp866",
            "cp874",
            "cp932",
            "cp936",
            "cp949",
            "cp950",
            "big5hkscs",
            "gb2312",
            "gb18030",
            "shift_jis",
            "iso2022_jp",
            "koi8_u",
            "mac_roman",
            "mac_cyrillic",
            "tis_620",
            "cp1250",
            "cp1258",
            "utf_16",
        ] {
            assert!(encoding::named(name).is_some(), "{name}");
        }
        assert!(encoding::named("nope").is_none());
    }

    #[test]
    fn lines_without_their_ends() {
        let line = |text: &str| (text.to_owned(), false);
        assert_eq!(
            decoded("utf-8", &["a\r\n\nä\n".as_bytes(), b"b\n"]),
            [line("a"), line(""), line("ä"), line("b")]
        );
        assert_eq!(decoded("latin1", &[b"\xe4\n"]), [line("ä")]);
        assert_eq!(
            decoded("utf-8", &[b"a\xffb\n"]),
            [("a\u{fffd}b".to_owned(), true)]
        );
        let mut bad = Vec::new();
        Decoder::new(UTF_8).decode(b"a\xffb\r\n", |bytes| bad.extend_from_slice(bytes));
        assert_eq!(bad, b"a\xffb\r\n");
    }

    #[test]
    fn wide_characters() {
        let bytes: Vec<u8> = "aĊb\r\nc\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let expected = [("aĊb".to_owned(), false), ("c".to_owned(), false)];
        assert_eq!(decoded("utf-16le", &[&bytes]), expected);
        // as a reader hands it over that splits at every byte 0x0a
        let chunks: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
        assert_eq!(decoded("utf-16le", &chunks), expected);
    }
}
