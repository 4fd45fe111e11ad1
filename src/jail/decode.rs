//! Decodes the bytes of a log by `logencoding` (fact J7).
//!
//! Invalid bytes become U+FFFD; the caller warns once per file and day.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::filter::LineBlock;
use crate::python::encoding::Encoding;

/// Lines of one file, decoded.
#[derive(Debug)]
pub struct Decoder {
    encoding: Encoding,
    /// Bytes of a line that goes on in the next chunk; only where a character has several of them.
    rest: Vec<u8>,
}

impl Decoder {
    /// That of a name as [`Encoding::named`] knows it, else UTF-8; at the beginning of a line.
    pub fn named(name: &str) -> Decoder {
        Decoder {
            encoding: Encoding::named(name).unwrap_or_else(Encoding::utf_8),
            rest: Vec::new(),
        }
    }

    /// Likewise, for a log that is read from anywhere: a byte order mark at its beginning counts.
    pub fn of_log(name: &str, path: &Path) -> Decoder {
        let mut decoder = Decoder::named(name);
        let mut head = [0; 4];
        if decoder.encoding.unit() > 1
            && let Ok(count) = File::open(path).and_then(|file| file.read_at(&mut head, 0))
        {
            decoder.encoding.settle(&head[..count]);
        }
        decoder
    }

    /// The encoding, as far as it is known.
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// The encoding, where a chunk has whole lines in it.
    pub fn of_whole_lines(&self) -> Option<&Encoding> {
        (self.encoding.unit() == 1).then_some(&self.encoding)
    }

    /// At the end of the log: a last line that has no end.
    pub fn rest(&mut self) -> Option<String> {
        let bytes = std::mem::take(&mut self.rest);
        let (text, _) = self.encoding.decode(&bytes);
        (!text.is_empty()).then(|| text.into_owned())
    }

    /// All lines of a chunk; bytes of lines that had some replaced go to `bad`.
    pub fn decode<'d>(&mut self, data: &'d [u8], mut bad: impl FnMut(&[u8])) -> LineBlock<'d> {
        if let Some(text) = self.encoding.as_text(without_half_feed(data)) {
            return LineBlock::of(text);
        }
        let mut lines = LineBlock::with_capacity(data.len());
        self.lines(data, |line, replaced| {
            lines.push(&line);
            if let Some(bytes) = replaced {
                bad(bytes);
            }
        });
        lines
    }

    /// Calls `each` for every line of a chunk, without its line end; where bytes had to be replaced,
    /// with those of the line and its end.
    pub fn lines(&mut self, data: &[u8], mut each: impl FnMut(Cow<'_, str>, Option<&[u8]>)) {
        if self.of_whole_lines().is_none() {
            return self.wide_lines(data, &mut each);
        }
        let data = without_half_feed(data);
        if let Some(mut text) = self.encoding.as_text(data) {
            while !text.is_empty() {
                let end = memchr::memchr(b'\n', text.as_bytes()).map_or(text.len(), |at| at + 1);
                let (line, after) = text.split_at(end);
                text = after;
                each(Cow::Borrowed(line.trim_end_matches(['\r', '\n'])), None);
            }
            return;
        }
        let mut rest = data;
        while !rest.is_empty() {
            let end = self.encoding.line_end(rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            rest = after;
            let (text, replaced) = self.encoding.decode(trim_end(line));
            each(text, replaced.then_some(line));
        }
    }

    /// A line feed has several bytes here, and a chunk may end between them.
    fn wide_lines(&mut self, data: &[u8], each: &mut impl FnMut(Cow<'_, str>, Option<&[u8]>)) {
        let mark = match self.rest.is_empty() {
            true => self.encoding.settle(data),
            false => 0,
        };
        self.rest.extend_from_slice(&data[mark..]);
        let bytes = std::mem::take(&mut self.rest);
        let mut rest = &bytes[..];
        while let Some(end) = self.encoding.line_end(rest) {
            let (line, after) = rest.split_at(end);
            rest = after;
            let (text, replaced) = self.encoding.decode(line);
            let text = text.trim_end_matches(['\r', '\n']);
            each(Cow::Borrowed(text), replaced.then_some(line));
        }
        self.rest = rest.to_vec();
    }
}

/// The rest of a wide line feed that the reader has left on belongs to no other encoding.
fn without_half_feed(data: &[u8]) -> &[u8] {
    let zeros = data.iter().rev().take_while(|byte| **byte == 0).count();
    let (text, _) = data.split_at(data.len() - zeros);
    match text.ends_with(b"\n") {
        true => text,
        false => data,
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
        let mut decoder = Decoder::named(name);
        let mut lines = Vec::new();
        for chunk in chunks {
            decoder.lines(chunk, |text, bad| {
                lines.push((text.into_owned(), bad.is_some()))
            });
        }
        lines
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
        Decoder::named("utf-8").decode(b"a\xffb\r\n", |bytes| bad.extend_from_slice(bytes));
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

    #[test]
    fn the_mark_of_a_log_counts_in_its_middle() {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), b"\xfe\xff\0a\0\n\0b\0\n").expect("log");
        let mut decoder = Decoder::of_log("utf-16", file.path());
        let mut lines = Vec::new();
        decoder.lines(b"\0b\0\n", |text, _| lines.push(text.into_owned()));
        assert_eq!(lines, ["b"]);
    }

    #[test]
    fn the_mark_of_each_file_decides() {
        let big = b"\xfe\xff\0a\0\n\0b\0\n";
        let little = b"\xff\xfec\0\n\0";
        let line = |text: &str| (text.to_owned(), false);
        assert_eq!(
            decoded("utf-16", &[big, little]),
            [line("a"), line("b"), line("c")]
        );
    }
}
