//! Reads a whole log file, compressed or not, for the programs that do so (`fail2ban-regex`, `replay`,
//! `explain`). Bytes come out decompressed.
//!
//! The compression is detected by the first bytes, not by the name: a rotated log may have any name, and
//! no text begins with these bytes. Files of several members, as `cat a.gz b.gz` makes them, are read to
//! their end. Decoders stream, with a limit on the memory they may use.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

/// Bytes read from a file at a time. Reads of as many go around the buffer.
pub const PIECE: usize = 1 << 16;
/// The most a decoder may keep of what it has written: `xz -9` needs 64 MiB, `zstd -19 --long` 128.
const LARGEST_WINDOW: u64 = 128 << 20;
const KIB: u64 = 1 << 10;

/// Counts the bytes taken from files, as they are on the disk; clones count together.
#[derive(Clone, Debug, Default)]
pub struct ByteMeter(Arc<AtomicU64>);

impl ByteMeter {
    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A reader that counts.
struct Metered<R> {
    inner: R,
    meter: ByteMeter,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.meter.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Opens a file; `meter` counts what is read of it.
///
/// # Errors
/// What the system says. What is wrong inside shows when it is read.
pub fn open(path: &Path, meter: &ByteMeter) -> io::Result<Box<dyn Read + Send>> {
    decompress(File::open(path)?, meter)
}

/// As [`open`], for bytes from anywhere.
///
/// # Errors
/// Of reading the first bytes.
pub fn decompress(
    source: impl Read + Send + 'static,
    meter: &ByteMeter,
) -> io::Result<Box<dyn Read + Send>> {
    let source = Metered {
        inner: source,
        meter: meter.clone(),
    };
    let mut source = BufReader::with_capacity(PIECE, source);
    // a pipe may give less than six bytes at first; then it is text
    let head = source.fill_buf()?;
    Ok(match head {
        [0x1f, 0x8b, 8, ..] => Box::new(MultiGzDecoder::new(source)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let limit = u32::try_from(LARGEST_WINDOW / KIB).unwrap_or(u32::MAX);
            Box::new(XzReader::new_mem_limit(source, true, limit))
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(DecodedFrames::new(source)),
        _ => Box::new(source),
    })
}

/// The frames of a zstd file, one after the other.
struct DecodedFrames<R> {
    source: R,
    decoder: FrameDecoder,
    /// A frame is being decoded.
    inside: bool,
}

impl<R: BufRead> DecodedFrames<R> {
    fn new(source: R) -> DecodedFrames<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(LARGEST_WINDOW);
        DecodedFrames {
            source,
            decoder,
            inside: false,
        }
    }

    /// Goes to the next frame with content; false at the end.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let skipped = self.source.by_ref().take(length.into());
                    io::copy(&mut { skipped }, &mut io::sink())?;
                }
                Err(error) => return Err(damaged(&error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for DecodedFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::BlockDecodingStrategy::UptoBlocks;
        loop {
            if !self.inside {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.inside = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, UptoBlocks(1))
                    .map_err(|error| damaged(&error))?;
            }
            let read = Read::read(&mut self.decoder, buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.inside = !self.decoder.is_finished();
        }
    }
}

fn damaged(error: &FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// Some text that compresses, longer than the buffers.
    fn text() -> Vec<u8> {
        (0..60_000_u64)
            .flat_map(|n| format!("line {n} of {}\n", n * n % 997).into_bytes())
            .collect()
    }

    fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        decompress(io::Cursor::new(bytes), &ByteMeter::default())?.read_to_end(&mut all)?;
        Ok(all)
    }

    /// What the program makes of the text.
    fn packed(program: &[&str], text: &[u8]) -> Vec<u8> {
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", program[0]));
        let mut stdin = child.stdin.take().expect("stdin");
        let text = text.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&text));
        let output = child.wait_with_output().expect("wait");
        writer.join().expect("thread").expect("write");
        assert!(output.status.success());
        output.stdout
    }

    #[test]
    fn every_compression_gives_the_text_back() {
        let text = text();
        assert_eq!(read(text.clone()).expect("plain"), text);
        for program in [
            &["gzip", "-c"][..],
            &["gzip", "-1"],
            &["xz", "-c"],
            &["xz", "-0", "-C", "crc32"],
            &["zstd", "-c"],
            &["zstd", "-19", "--no-check"],
        ] {
            let mut file = packed(program, &text);
            assert!(file.len() < text.len() / 2, "{program:?}");
            assert_eq!(read(file.clone()).expect("whole"), text, "{program:?}");
            // members one after the other
            file.extend(packed(program, b"more\n"));
            let both = read(file.clone()).expect("two members");
            assert_eq!(both.len(), text.len() + 5, "{program:?}");
            assert!(both.ends_with(b"\nmore\n"));
            // a file that is still being written, or was cut
            file.truncate(file.len() / 3);
            assert!(read(file).is_err(), "{program:?}");
        }
    }

    #[test]
    fn skippable_frames_are_skipped() {
        let mut file = packed(&["zstd", "-c"], b"a\n");
        file.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        file.extend(packed(&["zstd", "-c"], b"b\n"));
        assert_eq!(read(file).expect("frames"), b"a\nb\n");
    }

    #[test]
    fn short_and_empty_texts() {
        for text in [&b""[..], b"x", b"\x1f\x8b", b"(\xb5/"] {
            assert_eq!(read(text.to_vec()).expect("text"), text);
        }
    }

    #[test]
    fn the_meter_counts_what_the_disk_gave() {
        let file = packed(&["gzip", "-c"], &text());
        let (size, meter) = (file.len() as u64, ByteMeter::default());
        let mut reader = decompress(io::Cursor::new(file), &meter).expect("gzip");
        io::copy(&mut reader, &mut io::sink()).expect("read");
        assert_eq!(meter.bytes(), size);
    }
}
