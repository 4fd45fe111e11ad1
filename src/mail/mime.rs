//! Encodes a message as `smtp.py` sends it: MIME headers in front, long headers folded, the body
//! as it is where it is plain ASCII in short lines, else quoted-printable or base64 (RFC 2045, 2047).
//!
//! Which encoding is chosen, and where lines break, follows what the original's messages look like.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest line, without its end.
const WIDTH: usize = 78;

/// Lines that are tried to choose an encoding.
const SAMPLE: usize = 10;

/// Base64 digits of a line.
const BASE64_WIDTH: usize = 76;

/// Encodes a message: header lines, an empty line, text. Lines end in `\n` before and after.
pub fn encode(message: &str) -> String {
    let (head, text) = message.split_once("\n\n").unwrap_or((message, ""));
    let (encoding, body) = body(text);
    let mut out = format!(
        "Content-Type: text/plain; charset=\"utf-8\"\n\
         Content-Transfer-Encoding: {encoding}\nMIME-Version: 1.0\n"
    );
    for line in head.lines() {
        match line.split_once(": ") {
            Some((name, value)) => out.push_str(&header(name, value)),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&body);
    out
}

/// The name of the encoding, and the text in it.
fn body(text: &str) -> (&'static str, String) {
    let lines: Vec<&str> = text.lines().collect();
    let short = lines.iter().all(|line| line.len() <= WIDTH);
    if short {
        let plain = joined(&lines, "\n");
        return match plain.is_ascii() {
            true => ("7bit", plain),
            // sent as eight bits by nobody: the line is kept, the transport not trusted
            false => ("base64", base64_lines(plain.as_bytes())),
        };
    }
    let sample = joined(&lines[..lines.len().min(SAMPLE)], "\r\n");
    if quoted_printable(&sample).len() > STANDARD.encode(&sample).len() + 1 {
        return ("base64", base64_lines(joined(&lines, "\r\n").as_bytes()));
    }
    ("quoted-printable", quoted_printable(&joined(&lines, "\n")))
}

fn joined(lines: &[&str], end: &str) -> String {
    lines.iter().flat_map(|line| [*line, end]).collect()
}

fn base64_lines(bytes: &[u8]) -> String {
    let digits = STANDARD.encode(bytes);
    let mut out = String::with_capacity(digits.len() + digits.len() / BASE64_WIDTH + 1);
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(BASE64_WIDTH));
        out.push_str(line);
        out.push('\n');
        rest = behind;
    }
    out
}

/// Quoted-printable; a line that is too long is broken behind whole characters.
fn quoted_printable(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let tokens: Vec<String> = line.bytes().map(quoted).collect();
        let mut rest = tokens.as_slice();
        let mut left: usize = tokens.iter().map(String::len).sum();
        while left > WIDTH {
            // the last place is for the sign that the line goes on
            let mut width = 0;
            let fitting = rest
                .iter()
                .take_while(|token| {
                    width += token.len();
                    width < WIDTH
                })
                .count();
            let (piece, behind) = rest.split_at(fitting);
            left -= piece.iter().map(String::len).sum::<usize>();
            out.extend(piece.iter().map(String::as_str));
            out.push_str("=\n");
            rest = behind;
        }
        match rest.split_last() {
            // a blank at a line's end may get lost on the way
            Some((blank, before)) if matches!(blank.as_str(), " " | "\t") => {
                out.extend(before.iter().map(String::as_str));
                if left + 2 > WIDTH {
                    out.push_str("=\n");
                }
                out.push_str(if blank == " " { "=20" } else { "=09" });
            }
            _ => out.extend(rest.iter().map(String::as_str)),
        }
        out.push('\n');
    }
    out
}

fn quoted(byte: u8) -> String {
    match byte {
        b'=' => "=3D".to_owned(),
        b'\t' | b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("={byte:02X}"),
    }
}

/// A header line, folded at blanks; words that are not ASCII are encoded.
fn header(name: &str, value: &str) -> String {
    let words: Vec<String> = value.split(' ').map(word).collect();
    let mut out = format!("{name}:");
    let mut column = out.len();
    for (at, word) in words.iter().enumerate() {
        if column + 1 + word.len() > WIDTH && at > 0 {
            out.push('\n');
            column = 0;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + word.len();
    }
    out
}

fn word(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    let encoded: String = word
        .bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("={byte:02X}"),
        })
        .collect();
    format!("=?utf-8?q?{encoded}?=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ascii_stays_as_it_is() {
        assert_eq!(
            encode("Subject: s\nTo: root\n\nHi,\n\nx"),
            "Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: 7bit\n\
             MIME-Version: 1.0\nSubject: s\nTo: root\n\nHi,\n\nx\n"
        );
    }

    #[test]
    fn bodies_are_encoded_as_they_need() {
        assert_eq!(body("Hi,\n\nnö"), ("base64", "SGksCgpuw7YK\n".to_owned()));
        let long = format!("{}\ny =z\nend ", "x".repeat(300));
        let (encoding, text) = body(&long);
        assert_eq!(encoding, "quoted-printable");
        let line = format!("{}=\n", "x".repeat(77));
        assert_eq!(
            text,
            format!("{}{}\ny =3Dz\nend=20\n", line.repeat(3), "x".repeat(69))
        );
        assert_eq!(body(&"ü".repeat(300)).0, "base64");
    }

    #[test]
    fn a_line_is_not_broken_inside_a_character() {
        let text = quoted_printable(&format!("{}=abc", "x".repeat(75)));
        assert_eq!(text, format!("{}=\n=3Dabc\n", "x".repeat(75)));
        for line in quoted_printable(&"=é x".repeat(60)).lines() {
            assert!(line.len() <= WIDTH, "{line}");
        }
        assert_eq!(
            quoted_printable(&"x".repeat(78)),
            format!("{}\n", "x".repeat(78))
        );
    }

    #[test]
    fn long_headers_are_folded() {
        let text = header(
            "Subject",
            "[Fail2Ban] some-long-jail-name-here: banned 2001:0db8:1234:5678:9abc:def0:1234:5678 \
             from a.very.long.host.example.org",
        );
        assert_eq!(
            text,
            "Subject: [Fail2Ban] some-long-jail-name-here: banned\n \
             2001:0db8:1234:5678:9abc:def0:1234:5678 from a.very.long.host.example.org"
        );
        assert_eq!(
            header("From", "Müller <a@b>"),
            "From: =?utf-8?q?M=C3=BCller?= <a@b>"
        );
    }
}
