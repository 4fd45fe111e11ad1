//! Writes the text of a mail. Untrusted text stays text: it adds no header, ends no message and gives no
//! command.

use std::time::Duration;

use chrono::Local;
use chrono::format::{Item, StrftimeItems};

use super::whois::Whois;
use super::{Mail, MailPiece, Reads, Sink, TextSource, digest};
use crate::config::files::Disk;
use crate::config::glob;
use crate::exec::process::{ExitOutcome, Invocation};

/// Bytes of a whole mail.
const LIMIT: usize = 1 << 20;

/// Bytes of log lines in a mail.
const GREP_LIMIT: usize = 512 * 1024;

/// Time to search log files.
const GREP_TIME: Duration = Duration::from_secs(30);

/// Text of a mail in the making: runs of bytes, each from the configuration or from elsewhere.
#[derive(Debug, Default)]
struct MessageBody {
    runs: Vec<(Trust, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Config,
    Untrusted,
}

impl MessageBody {
    fn push(&mut self, origin: Trust, bytes: &[u8]) {
        let held: usize = self.runs.iter().map(|(_, run)| run.len()).sum();
        let bytes = &bytes[..bytes.len().min(LIMIT.saturating_sub(held))];
        if !bytes.is_empty() {
            self.runs.push((origin, bytes.to_vec()));
        }
    }

    /// A piece of text; answers whether it ends all of it (`\c`).
    fn print(&mut self, piece: &MailPiece, escapes: bool) -> bool {
        match piece {
            MailPiece::Own(text) if escapes => {
                let (bytes, stop) = unescape(text);
                self.push(Trust::Config, &bytes);
                return stop;
            }
            MailPiece::Own(text) => self.push(Trust::Config, text.as_bytes()),
            MailPiece::Foreign(text) => self.push(Trust::Untrusted, text.as_bytes()),
            MailPiece::Output(_) => {}
        }
        false
    }

    /// Without line ends behind it, as a shell takes what a command printed.
    fn trim(&mut self) {
        while let Some((_, run)) = self.runs.last_mut() {
            while run.last() == Some(&b'\n') {
                run.pop();
            }
            if !run.is_empty() {
                return;
            }
            self.runs.pop();
        }
    }

    /// The text as the sink shall read it.
    fn finish(self, sink: &Sink) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        let mut in_header = !matches!(
            sink,
            Sink::Program {
                reads: Reads::Body,
                ..
            }
        );
        for (origin, run) in self.runs {
            match origin {
                Trust::Config => {
                    let from = out.len().saturating_sub(1);
                    out.extend_from_slice(&run);
                    if in_header && out[from..].windows(2).any(|pair| pair == b"\n\n") {
                        in_header = false;
                    }
                }
                // one line of a header, whatever it holds
                Trust::Untrusted if in_header => {
                    out.extend(
                        run.iter()
                            .map(|&byte| if byte.is_ascii_control() { b' ' } else { byte }),
                    );
                }
                Trust::Untrusted => {
                    for line in run.split_inclusive(|byte| *byte == b'\n') {
                        let begins = matches!(out.last(), None | Some(b'\n'));
                        if begins && is_command(line, sink) {
                            out.push(b' ');
                        }
                        out.extend(line.iter().filter(|byte| **byte != 0));
                    }
                }
            }
        }
        out
    }
}

/// A line that a program might take for an order: a lone dot ends a message, a tilde gives `mail` a
/// command.
fn is_command(line: &[u8], sink: &Sink) -> bool {
    let Sink::Program { reads, .. } = sink else {
        // the protocol has its own way with dots
        return false;
    };
    let bare = line.strip_suffix(b"\n").unwrap_or(line);
    let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
    bare == b"." || (*reads == Reads::Body && bare.starts_with(b"~"))
}

impl Mail {
    /// Writes the text: asks registries, searches log files, tells the date.
    pub async fn write(&self, whois: &Whois) -> Vec<u8> {
        let mut letter = MessageBody::default();
        for source in &self.sources {
            print(source, &mut letter, whois).await;
        }
        letter.finish(&self.sink)
    }

    /// Its subject, as far as nobody has to be asked for it.
    pub fn subject(&self) -> String {
        digest::subject(&self.sink, &self.opening())
    }

    /// The beginning of its text without what somebody has to be asked for: all of its headers, as
    /// action files write them.
    pub fn opening(&self) -> Vec<u8> {
        let mut letter = MessageBody::default();
        if let Some(TextSource::Printf { pieces, escapes }) = self.sources.first() {
            for piece in pieces {
                match piece {
                    MailPiece::Output(sources) => {
                        if let [TextSource::Date(format)] = sources.as_slice() {
                            letter.push(Trust::Config, date(format).as_bytes());
                        }
                    }
                    piece => {
                        if letter.print(piece, *escapes) {
                            break;
                        }
                    }
                }
            }
        }
        letter.finish(&self.sink)
    }

    /// Where it goes.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }
}

/// Prints a source; answers whether it succeeded.
async fn print(source: &TextSource, letter: &mut MessageBody, whois: &Whois) -> bool {
    match source {
        TextSource::Printf { pieces, escapes } => {
            for piece in pieces {
                match piece {
                    MailPiece::Output(sources) => {
                        let mut inner = MessageBody::default();
                        for source in sources {
                            Box::pin(print(source, &mut inner, whois)).await;
                        }
                        inner.trim();
                        for (origin, run) in inner.runs {
                            letter.push(origin, &run);
                        }
                    }
                    piece => {
                        if letter.print(piece, *escapes) {
                            return true;
                        }
                    }
                }
            }
            true
        }
        TextSource::Date(format) => {
            letter.push(Trust::Config, date(format).as_bytes());
            letter.push(Trust::Config, b"\n");
            true
        }
        TextSource::Whois(arguments) => match whois.ask(arguments).await {
            Some(entry) => {
                letter.push(Trust::Untrusted, &entry);
                true
            }
            None => false,
        },
        TextSource::Grep {
            arguments,
            files,
            last,
        } => {
            let mut arguments = arguments.clone();
            arguments.extend(files.iter().flat_map(|pattern| paths(pattern)));
            let invocation = Invocation {
                output_limit: GREP_LIMIT,
                ..Invocation::new(&arguments, GREP_TIME)
            };
            let Ok(found) = invocation.run().await else {
                return false;
            };
            letter.push(Trust::Untrusted, last_lines(&found.stdout, *last));
            found.ending == ExitOutcome::Code(0)
        }
        TextSource::Else(first, second) => {
            Box::pin(print(first, letter, whois)).await
                || Box::pin(print(second, letter, whois)).await
        }
    }
}

fn date(format: &str) -> String {
    Local::now().format(format).to_string()
}

/// The files a pattern leads to, sorted; the pattern itself when there are none, as a shell leaves it.
fn paths(pattern: &str) -> Vec<String> {
    let mut paths = match glob::has_wildcard(pattern) {
        true => glob::find(&Disk, pattern).paths,
        false => Vec::new(),
    };
    paths.sort_unstable();
    if paths.is_empty() {
        paths.push(pattern.to_owned());
    }
    paths
}

fn last_lines(text: &[u8], count: Option<usize>) -> &[u8] {
    let Some(count) = count else {
        return text;
    };
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let skipped: usize = lines[..lines.len().saturating_sub(count)]
        .iter()
        .map(|line| line.len())
        .sum();
    &text[skipped..]
}

/// Escapes as `printf %b` reads them; `true` when `\c` ends all output.
fn unescape(text: &str) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'\\') => out.push(b'\\'),
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'v') => out.push(11),
            Some(b'c') => return (out, true),
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                let room = if digit == b'0' { 3 } else { 2 };
                for _ in 0..room {
                    let Some(next) = bytes.next_if(|next| (b'0'..=b'7').contains(next)) else {
                        break;
                    };
                    value = value * 8 + u32::from(next - b'0');
                }
                out.push((value & 0xff) as u8);
            }
            Some(other) => out.extend([b'\\', other]),
            None => out.push(b'\\'),
        }
    }
    (out, false)
}

/// Whether a date can be written by this format, and comes out as `date` in the C locale writes it.
pub fn is_date_format(format: &str) -> bool {
    let known = |letter: char| "aAbBdeFHhIjMmnSsTtYyZz%".contains(letter);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c == '%' && !chars.next().is_some_and(known) {
            return false;
        }
    }
    StrftimeItems::new(format).all(|item| item != Item::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sendmail() -> Sink {
        Sink::Program {
            arguments: vec!["sendmail".into()],
            reads: Reads::Message,
        }
    }

    fn finished(runs: &[(Trust, &str)], sink: &Sink) -> String {
        let mut letter = MessageBody::default();
        for (origin, text) in runs {
            letter.push(*origin, text.as_bytes());
        }
        String::from_utf8(letter.finish(sink)).unwrap()
    }

    #[test]
    fn foreign_text_adds_no_header() {
        let text = finished(
            &[
                (Trust::Config, "Subject: user "),
                (Trust::Untrusted, "x\r\nBcc: victim@example.org\n\nhello"),
                (Trust::Config, "\nTo: a\n"),
                (Trust::Untrusted, "y\n"),
                (Trust::Config, "\n\nbody "),
                (Trust::Untrusted, "line\nline\n"),
            ],
            &sendmail(),
        );
        assert_eq!(
            text,
            "Subject: user x  Bcc: victim@example.org  hello\nTo: a\ny \n\nbody line\nline\n"
        );
    }

    #[test]
    fn foreign_text_gives_no_command() {
        let runs = [
            (Trust::Config, "a\n\n"),
            (Trust::Untrusted, ".\n~!id\n.\r\n..\n ~x\n\0."),
            (Trust::Config, "\n.\n"),
        ];
        assert_eq!(
            finished(&runs, &sendmail()),
            "a\n\n .\n~!id\n .\r\n..\n ~x\n.\n.\n"
        );
        let mail = Sink::Program {
            arguments: vec!["mail".into()],
            reads: Reads::Body,
        };
        assert_eq!(
            finished(&runs, &mail),
            "a\n\n .\n ~!id\n .\r\n..\n ~x\n.\n.\n"
        );
    }

    #[test]
    fn escapes_are_those_of_printf() {
        assert_eq!(
            unescape("a\\n\\tb\\\\n \\x \\0101\\101 \\"),
            (b"a\n\tb\\n \\x AA \\".to_vec(), false)
        );
        assert_eq!(unescape("a\\cb"), (b"a".to_vec(), true));
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        assert_eq!(last_lines(b"a\nb\nc\n", Some(2)), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb\nc", Some(1)), b"c");
        assert_eq!(last_lines(b"a\n", Some(5)), b"a\n");
        assert_eq!(last_lines(b"a\n", None), b"a\n");
    }

    #[test]
    fn formats_of_dates_are_checked() {
        assert!(is_date_format("%a, %d %h %Y %T %z"));
        assert!(!is_date_format("%Q"));
        assert!(!is_date_format("100%"));
        assert!(!is_date_format("%-d"));
    }

    #[test]
    fn a_mail_is_limited() {
        let mut letter = MessageBody::default();
        for _ in 0..20 {
            letter.push(Trust::Untrusted, &vec![b'x'; 100_000]);
        }
        assert_eq!(letter.finish(&sendmail()).len(), LIMIT);
    }
}
