//! Bytes of a log → text lines, in blocks, as the original decodes them (facts X2, J7).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use encoding_rs::Encoding as Table;

use crate::warning;

const BLOCK: usize = 1 << 18;
/// A line longer than this is given up, so that a file without newlines cannot eat the memory.
const LONGEST: usize = 1 << 28;

/// How bytes become text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Codec {
    Utf8,
    Ascii,
    Latin1,
    Table(&'static Table),
}

/// A named encoding.
#[derive(Clone, Debug)]
pub(super) struct Encoding {
    /// As the user or the locale names it.
    pub(super) name: String,
    codec: Codec,
}

impl Encoding {
    /// Knows Python's common names and what the WHATWG table knows.
    pub(super) fn named(name: &str) -> Option<Encoding> {
        let plain: String = name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let codec = match plain.as_str() {
            "utf8" | "u8" | "utf" | "cp65001" => Codec::Utf8,
            "ascii" | "usascii" | "646" | "ansix341968" => Codec::Ascii,
            // the WHATWG table takes these for windows-1252
            "latin1" | "latin" | "l1" | "iso88591" | "88591" | "cp819" => Codec::Latin1,
            _ => Codec::Table(Table::for_label(name.replace('_', "-").as_bytes())?),
        };
        Some(Encoding {
            name: name.to_owned(),
            codec,
        })
    }

    /// That of the locale; UTF-8 when the environment names none.
    pub(super) fn preferred() -> Encoding {
        let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|n| set(n));
        let named = locale.as_deref().and_then(|l| l.split('.').nth(1));
        let named = named.map(|n| n.split('@').next().unwrap_or(n));
        named.and_then(Encoding::named).unwrap_or(Encoding {
            name: "UTF-8".to_owned(),
            codec: Codec::Utf8,
        })
    }

    /// Decodes; what is no text becomes U+FFFD, and the second value is true then.
    fn decode<'a>(&self, bytes: &'a [u8]) -> (std::borrow::Cow<'a, str>, bool) {
        match self.codec {
            Codec::Utf8 => {
                let text = String::from_utf8_lossy(bytes);
                let wrong = matches!(text, std::borrow::Cow::Owned(_));
                (text, wrong)
            }
            Codec::Ascii if bytes.is_ascii() => (String::from_utf8_lossy(bytes), false),
            Codec::Ascii => {
                let replaced = |b: &u8| {
                    if b.is_ascii() {
                        char::from(*b)
                    } else {
                        '\u{fffd}'
                    }
                };
                (bytes.iter().map(replaced).collect::<String>().into(), true)
            }
            Codec::Latin1 => (
                bytes
                    .iter()
                    .map(|b| char::from(*b))
                    .collect::<String>()
                    .into(),
                false,
            ),
            Codec::Table(table) => table.decode_without_bom_handling(bytes),
        }
    }

    /// Encodes for a link; what the encoding lacks is left out.
    pub(super) fn encode(&self, text: &str) -> Vec<u8> {
        match self.codec {
            Codec::Utf8 => text.as_bytes().to_vec(),
            Codec::Ascii => text.bytes().filter(u8::is_ascii).collect(),
            Codec::Latin1 => text
                .chars()
                .filter_map(|c| u8::try_from(u32::from(c)).ok())
                .collect(),
            Codec::Table(table) => table.encode(text).0.into_owned(),
        }
    }
}

/// Reads complete lines in blocks; a last line without newline is left (fact X2).
pub(super) struct Lines {
    file: File,
    path: String,
    encoding: Encoding,
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were handed out by the last call.
    used: usize,
    told: bool,
}

impl Lines {
    /// Opens a file.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(path: &Path, encoding: Encoding) -> io::Result<Lines> {
        Ok(Lines {
            file: File::open(path)?,
            path: path.to_string_lossy().into_owned(),
            encoding,
            buffer: Vec::with_capacity(2 * BLOCK),
            used: 0,
            told: false,
        })
    }

    /// Calls `each` for every line of the next block, without line ends; false at the end.
    ///
    /// # Errors
    /// Of reading, or of `each`.
    pub(super) fn block<E: From<io::Error>>(
        &mut self,
        mut each: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let end = loop {
            let old = self.buffer.len();
            let room = BLOCK as u64;
            let read = self
                .file
                .by_ref()
                .take(room)
                .read_to_end(&mut self.buffer)?;
            if read == 0 {
                return Ok(false);
            }
            if let Some(last) = memchr::memrchr(b'\n', &self.buffer[old..]) {
                break old + last + 1;
            }
            if self.buffer.len() > LONGEST {
                warning!(
                    "fail2ban.filter",
                    "Line of more than {LONGEST} bytes in {} is skipped",
                    self.path
                );
                self.buffer.clear();
            }
        };
        self.used = end;
        let block = &self.buffer[..end];
        // validating a whole block at once is several times faster than line by line
        let text = match self.encoding.codec {
            Codec::Utf8 => std::str::from_utf8(block).ok(),
            _ if block.is_ascii() && !matches!(self.encoding.codec, Codec::Table(_)) => {
                std::str::from_utf8(block).ok()
            }
            _ => None,
        };
        if let Some(text) = text {
            let mut start = 0;
            for newline in memchr::memchr_iter(b'\n', block) {
                each(trim(&text[start..newline]))?;
                start = newline + 1;
            }
            return Ok(true);
        }
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', block) {
            let bytes = &block[start..=newline];
            start = newline + 1;
            let (line, wrong) = self.encoding.decode(bytes);
            if wrong && !self.told {
                self.told = true;
                tell(&self.path, &self.encoding.name, bytes);
            }
            each(trim(line.trim_end_matches('\n')))?;
        }
        Ok(true)
    }
}

fn trim(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

fn tell(path: &str, encoding: &str, line: &[u8]) {
    warning!(
        "fail2ban.filter",
        "Error decoding line from '{path}' with '{encoding}'."
    );
    let shown: String = line
        .iter()
        .map(|b| match b {
            b'\n' => "\\n".to_owned(),
            b'\r' => "\\r".to_owned(),
            b'\t' => "\\t".to_owned(),
            b'\\' => "\\\\".to_owned(),
            b' '..=b'~' => char::from(*b).to_string(),
            b => format!("\\x{b:02x}"),
        })
        .collect();
    warning!(
        "fail2ban.filter",
        "Consider setting logencoding to appropriate encoding for this jail. \
         Continuing to process line ignoring invalid characters: b'{shown}'"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8], encoding: &str) -> Vec<String> {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        file.write_all(bytes).expect("write");
        let encoding = Encoding::named(encoding).expect("known encoding");
        let mut lines = Lines::open(file.path(), encoding).expect("open");
        let mut all = Vec::new();
        while lines
            .block(|line| {
                all.push(line.to_owned());
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
        ] {
            assert_eq!(read(bytes, encoding), lines, "{encoding}");
        }
        assert!(Encoding::named("nope").is_none());
    }

    #[test]
    fn lines_longer_than_a_block() {
        let long = "y".repeat(3 * BLOCK);
        let text = format!("a\n{long}\nb\n");
        assert_eq!(read(text.as_bytes(), "utf-8"), ["a", &long, "b"]);
    }
}
