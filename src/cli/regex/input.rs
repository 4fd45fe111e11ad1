//! Bytes of a log → text lines, in blocks, as the original decodes them (facts X2, J7).

use std::io::{self, Read};
use std::path::Path;

use crate::python::encoding::{Encoding, warn_of_line};
use crate::source::compressed::{self, ByteMeter};
use crate::warning;

/// Bytes read at a time: few enough to be in the cache still when they are searched.
const BLOCK: usize = compressed::PIECE;
/// What reads are aligned to: copying from the system's pages to such places is several times faster.
const PAGE: usize = 4096;
/// A line longer than this is given up, so that a file without newlines cannot eat the memory.
const LONGEST: usize = 1 << 28;

/// What was read.
pub(super) enum Block<'a> {
    /// Lines, each with its end.
    Lines(&'a str),
    /// A line that had to be decoded on its own, without its end.
    Line(&'a str),
}

/// Reads complete lines in blocks; a last line without newline is left (fact X2).
pub(super) struct InputLines {
    file: Box<dyn Read + Send>,
    path: String,
    encoding: Encoding,
    /// What was read, and room for more.
    buffer: Vec<u8>,
    /// Where in `buffer` the bytes stand that were read and not yet handed out.
    from: usize,
    to: usize,
    told: bool,
}

impl InputLines {
    /// Opens a file, compressed or not; `meter` counts what is read of it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(
        path: &Path,
        mut encoding: Encoding,
        meter: &ByteMeter,
    ) -> io::Result<InputLines> {
        let mut file = compressed::open(path, meter)?;
        let mut buffer = Vec::with_capacity(2 * BLOCK);
        let to = file.by_ref().take(4).read_to_end(&mut buffer)?;
        let from = encoding.settle(&buffer);
        Ok(InputLines {
            file,
            path: path.to_string_lossy().into_owned(),
            encoding,
            buffer,
            from,
            to,
            told: false,
        })
    }

    /// Calls `each` with the lines of the next block; false at the end.
    ///
    /// # Errors
    /// Of reading, or of `each`.
    pub(super) fn block<E: From<io::Error>>(
        &mut self,
        mut each: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.align();
        // how far the rest in the buffer has been searched for line ends
        let mut searched = 0;
        let end = loop {
            let read = self.read()?;
            let known = &self.buffer[self.from..self.to];
            let mut end = searched;
            while let Some(next) = self.encoding.line_end(&known[end..]) {
                end += next;
                if self.encoding.unit() == 1 {
                    end += memchr::memrchr(b'\n', &known[end..]).map_or(0, |at| at + 1);
                }
            }
            if end > searched {
                break end;
            }
            if read == 0 {
                return Ok(false);
            }
            // a character may go on in the next block
            let length = self.to - self.from;
            searched = length - length % 4;
            if length > LONGEST {
                warning!(
                    "fail2ban.filter",
                    "Line of more than {LONGEST} bytes in {} is skipped",
                    self.path
                );
                self.from += searched;
                self.align();
                searched = 0;
            }
        };
        let block = &self.buffer[self.from..self.from + end];
        self.from += end;
        if let Some(text) = self.encoding.as_text(block) {
            each(Block::Lines(text))?;
            return Ok(true);
        }
        let mut start = 0;
        while let Some(length) = self.encoding.line_end(&block[start..]) {
            let bytes = &block[start..start + length];
            start += length;
            let (line, wrong) = self.encoding.decode(bytes);
            if wrong && !self.told {
                self.told = true;
                warn_of_line(&self.path, &self.encoding.name, bytes);
            }
            each(Block::Line(trim(&line)))?;
        }
        Ok(true)
    }

    /// Moves what is left to the beginning of the buffer, so that what is read next is aligned.
    fn align(&mut self) {
        let rest = self.from..self.to;
        let pages = rest.len().next_multiple_of(PAGE);
        self.make_room(PAGE + pages + BLOCK);
        let first_page = self.buffer.as_ptr().align_offset(PAGE).min(PAGE);
        self.to = first_page + pages;
        self.from = self.to - rest.len();
        self.buffer.copy_within(rest, self.from);
    }

    fn make_room(&mut self, length: usize) {
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
    }

    /// Reads up to a block behind what is there; how much it was, 0 at the end.
    fn read(&mut self) -> io::Result<usize> {
        let room = self.to + BLOCK;
        self.make_room(room);
        loop {
            match self.file.read(&mut self.buffer[self.to..room]) {
                Ok(read) => {
                    self.to += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The line without its end. Lines end in one byte mostly, hence no search for a pattern.
pub(super) fn trim(line: &str) -> &str {
    let bytes = line.as_bytes();
    let end = bytes.iter().rposition(|b| !matches!(b, b'\r' | b'\n'));
    &line[..end.map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8], encoding: &str) -> Vec<String> {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        file.write_all(bytes).expect("write");
        let encoding = Encoding::named(encoding).expect("known encoding");
        let mut lines =
            InputLines::open(file.path(), encoding, &ByteMeter::default()).expect("open");
        let mut all = Vec::new();
        while lines
            .block(|block| {
                match block {
                    Block::Lines(text) => all.extend(text.lines().map(|l| trim(l).to_owned())),
                    Block::Line(line) => all.push(line.to_owned()),
                }
                Ok::<(), io::Error>(())
            })
            .expect("read")
        {}
        all
    }

    #[test]
    fn only_complete_lines_decoded() {
        for (bytes, encoding, lines) in [
            (&b"a\nb\r\n\nlast"[..], "utf-8", &["a", "b", ""][..]),
            (b"x \xff y\n\xc3\xa4\n", "UTF-8", &["x \u{fffd} y", "ä"]),
            (b"\xe4\n", "latin1", &["ä"]),
            (b"\xe4\n", "ascii", &["\u{fffd}"]),
            (b"\xa4\n", "iso-8859-15", &["€"]),
            (b"", "utf8", &[]),
            (b"a", "utf8", &[]),
            (
                b"a\0\n\0\n\0\r\0\n\0\x0a\x01\n\0x\0",
                "utf-16le",
                &["a", "", "", "Ċ"],
            ),
            (b"\xfe\xff\0a\0\n\0b\0\n", "utf-16", &["a", "b"]),
        ] {
            assert_eq!(read(bytes, encoding), lines, "{encoding}");
        }
    }

    #[test]
    fn lines_longer_than_a_block() {
        let long = "y".repeat(3 * BLOCK);
        let text = format!("a\n{long}\nb\n");
        assert_eq!(read(text.as_bytes(), "utf-8"), ["a", &long, "b"]);
    }
}
