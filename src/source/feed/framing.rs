//! Turns syslog messages into the lines that a log file would hold (RFC 3164, 5424, 6587).
//!
//! Newlines inside a message are shown as `\n`, so that nobody can forge a line.
#![forbid(unsafe_code)]

/// Longer messages are cut here.
pub(super) const LONGEST_MESSAGE: usize = 64 << 10;

/// Appends the line of a message, with its end; nothing for an empty one.
pub(super) fn write_line(message: &[u8], lines: &mut Vec<u8>) {
    let message = &message[..message.len().min(LONGEST_MESSAGE)];
    let end = message
        .iter()
        .rposition(|b| !matches!(b, b'\n' | b'\r' | 0))
        .map_or(0, |at| at + 1);
    let message = without_priority(&message[..end]);
    if message.is_empty() {
        return;
    }
    match modern(message) {
        Some(Modern {
            time,
            host,
            app,
            process,
            text,
        }) => {
            for part in [time, host] {
                lines.extend_from_slice(part);
                lines.push(b' ');
            }
            if app != b"-" {
                write_escaped(app, lines);
                if process != b"-" {
                    lines.push(b'[');
                    write_escaped(process, lines);
                    lines.push(b']');
                }
                lines.extend_from_slice(b": ");
            }
            write_escaped(text, lines);
        }
        None => write_escaped(message, lines),
    }
    lines.push(b'\n');
}

/// Takes the first message off a stream that counts octets or ends messages by newlines; `None`:
/// there is no whole one yet. The rest begins behind it.
pub(super) fn split(stream: &[u8]) -> Option<(&[u8], &[u8])> {
    let digits = stream.iter().take_while(|b| b.is_ascii_digit()).count();
    if (1..=7).contains(&digits) && stream.get(digits) == Some(&b' ') {
        // seven digits fit
        let length = stream[..digits]
            .iter()
            .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
        let body = &stream[digits + 1..];
        return (body.len() >= length).then(|| body.split_at(length));
    }
    let end = memchr::memchr(b'\n', stream)?;
    Some((&stream[..end], &stream[end + 1..]))
}

fn write_escaped(text: &[u8], lines: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'\n' => lines.extend_from_slice(b"\\n"),
            b'\r' => lines.extend_from_slice(b"\\r"),
            byte => lines.push(*byte),
        }
    }
}

/// Without `<13>` before it.
fn without_priority(message: &[u8]) -> &[u8] {
    let Some(rest) = message.strip_prefix(b"<") else {
        return message;
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    match rest.get(digits) {
        Some(b'>') if (1..=3).contains(&digits) => &rest[digits + 1..],
        _ => message,
    }
}

/// The parts of a message of RFC 5424.
struct Modern<'a> {
    time: &'a [u8],
    host: &'a [u8],
    app: &'a [u8],
    process: &'a [u8],
    text: &'a [u8],
}

/// `1 TIME HOST APP PROCESS ID [DATA] TEXT`
fn modern(message: &[u8]) -> Option<Modern<'_>> {
    let mut rest = message.strip_prefix(b"1 ")?;
    let mut word = || {
        let end = memchr::memchr(b' ', rest)?;
        let (word, after) = rest.split_at(end);
        rest = &after[1..];
        Some(word)
    };
    let (time, host, app, process, _) = (word()?, word()?, word()?, word()?, word()?);
    if time.len() < 19 || time.contains(&b'\n') || host.contains(&b'\n') {
        return None;
    }
    let text = match rest.strip_prefix(b"-") {
        Some(text) => text,
        None => after_data(rest)?,
    };
    let text = text.strip_prefix(b" ").unwrap_or(text);
    Some(Modern {
        time,
        host,
        app,
        process,
        text: text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text),
    })
}

/// Behind `[id name="value" …][…]`, in which `\` escapes.
fn after_data(text: &[u8]) -> Option<&[u8]> {
    let (mut quoted, mut at) = (false, 0);
    if text.first() != Some(&b'[') {
        return None;
    }
    while at < text.len() {
        match text[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b']' if !quoted && text.get(at + 1) != Some(&b'[') => return Some(&text[at + 1..]),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> String {
        let mut lines = Vec::new();
        write_line(message.as_bytes(), &mut lines);
        String::from_utf8(lines).expect("text")
    }

    #[test]
    fn lines_as_in_a_file() {
        assert_eq!(
            line("<38>Nov 22 03:00:00 srv sshd[7]: Failed password for root\n"),
            "Nov 22 03:00:00 srv sshd[7]: Failed password for root\n"
        );
        assert_eq!(
            line("<34>1 2026-11-22T03:00:00.003Z srv su 77 ID47 - \u{feff}'su root' failed"),
            "2026-11-22T03:00:00.003Z srv su[77]: 'su root' failed\n"
        );
        assert_eq!(
            line(r#"<34>1 2026-11-22T03:00:00Z srv app - - [a x="]\" "][b y="1"] text"#),
            "2026-11-22T03:00:00Z srv app: text\n"
        );
        assert_eq!(
            line("<34>1 2026-11-22T03:00:00Z srv - - - -"),
            "2026-11-22T03:00:00Z srv \n"
        );
        assert_eq!(line("no priority"), "no priority\n");
        assert_eq!(line("<1234>x"), "<1234>x\n");
        assert_eq!(line("<13>\r\n\0"), "");
    }

    #[test]
    fn nobody_forges_a_line() {
        assert_eq!(
            line("<38>Nov 22 03:00:00 srv app: x\nNov 22 03:00:00 srv sshd[7]: y"),
            "Nov 22 03:00:00 srv app: x\\nNov 22 03:00:00 srv sshd[7]: y\n"
        );
        let forged = line("<38>1 2026-11-22T03:00:00Z srv a\nb 1 - - x\r\ny");
        assert_eq!(forged.matches('\n').count(), 1, "{forged}");
    }

    #[test]
    fn streams_are_split_both_ways() {
        assert_eq!(
            split(b"5 a\nbcd6 rest"),
            Some((&b"a\nbcd"[..], &b"6 rest"[..]))
        );
        assert_eq!(split(b"<1>a\n<1>b\n"), Some((&b"<1>a"[..], &b"<1>b\n"[..])));
        assert_eq!(split(b"50 a\n"), None);
        assert_eq!(split(b"<1>a"), None);
    }
}
