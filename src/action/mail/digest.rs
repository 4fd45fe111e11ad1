//! Several written mails put together into one: the headers are those of the first, its subject
//! tells of the others, the texts follow each other under their subjects.

use super::{Reads, Sink};

/// A mail as it is sent: where to, and its text.
pub type Written = (Sink, Vec<u8>);

/// What a mail is about: its `Subject` header, or the `-s` of a program that takes a body.
pub fn subject(sink: &Sink, text: &[u8]) -> String {
    if let Sink::Program {
        arguments,
        reads: Reads::Body,
    } = sink
    {
        let option = subject_option(arguments);
        return option.map_or_else(String::new, |at| arguments[at].clone());
    }
    let (head, _) = parts(text);
    let line = head
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Subject: "));
    String::from_utf8_lossy(line.unwrap_or_default()).into_owned()
}

/// One mail out of many; `None` of none.
pub fn combine(mails: Vec<Written>) -> Option<Written> {
    let count = mails.len();
    let mut mails = mails.into_iter();
    let (sink, text) = mails.next()?;
    if count == 1 {
        return Some((sink, text));
    }
    let first = subject(&sink, &text);
    let title = format!("{first} and {} more", count - 1);
    let (head, body) = match &sink {
        Sink::Program {
            reads: Reads::Body, ..
        } => (None, text.as_slice()),
        _ => {
            let (head, body) = parts(&text);
            (Some(head), body)
        }
    };
    let mut out = Vec::new();
    if let Some(head) = head {
        for line in head.split(|byte| *byte == b'\n') {
            match line.starts_with(b"Subject: ") {
                true => out.extend_from_slice(format!("Subject: {title}").as_bytes()),
                false => out.extend_from_slice(line),
            }
            out.push(b'\n');
        }
        out.push(b'\n');
    }
    let mut section = |subject: &str, body: &[u8]| {
        out.extend_from_slice(format!("---- {subject}\n\n").as_bytes());
        out.extend_from_slice(body);
        if body.last() != Some(&b'\n') {
            out.push(b'\n');
        }
        out.push(b'\n');
    };
    section(&first, body);
    for (sink, text) in mails {
        let body = match &sink {
            Sink::Program {
                reads: Reads::Body, ..
            } => text.as_slice(),
            _ => parts(&text).1,
        };
        section(&subject(&sink, &text), body);
    }
    Some((titled(sink, title), out))
}

/// Headers and body.
fn parts(text: &[u8]) -> (&[u8], &[u8]) {
    match text.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&text[..at], &text[at + 2..]),
        None => (text, b""),
    }
}

fn subject_option(arguments: &[String]) -> Option<usize> {
    let at = arguments.iter().position(|word| word == "-s")? + 1;
    (at < arguments.len()).then_some(at)
}

/// The sink with another subject, where it has one.
fn titled(mut sink: Sink, title: String) -> Sink {
    if let Sink::Program {
        arguments,
        reads: Reads::Body,
    } = &mut sink
        && let Some(at) = subject_option(arguments)
    {
        arguments[at] = title;
    }
    sink
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(reads: Reads, words: &[&str]) -> Sink {
        Sink::Program {
            arguments: words.iter().map(|word| (*word).to_owned()).collect(),
            reads,
        }
    }

    #[test]
    fn messages_are_put_together() {
        let sink = program(Reads::Message, &["sendmail", "root"]);
        let letter = |n: u8| {
            let text = format!("Subject: banned 192.0.2.{n}\nTo: root\n\nHi {n}\n\nend");
            (sink.clone(), text.into_bytes())
        };
        assert_eq!(combine(vec![letter(1)]), Some(letter(1)));
        let (to, text) = combine(vec![letter(1), letter(2), letter(3)]).unwrap();
        assert_eq!(to, sink);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "Subject: banned 192.0.2.1 and 2 more\nTo: root\n\n\
             ---- banned 192.0.2.1\n\nHi 1\n\nend\n\n\
             ---- banned 192.0.2.2\n\nHi 2\n\nend\n\n\
             ---- banned 192.0.2.3\n\nHi 3\n\nend\n\n"
        );
        assert_eq!(combine(Vec::new()), None);
    }

    #[test]
    fn bodies_are_put_together() {
        let letter = |n: u8| {
            let subject = format!("banned {n}");
            let sink = program(Reads::Body, &["mail", "-s", &subject, "root"]);
            (sink, format!("Hi {n}\n").into_bytes())
        };
        let (sink, text) = combine(vec![letter(1), letter(2)]).unwrap();
        assert_eq!(
            sink,
            program(Reads::Body, &["mail", "-s", "banned 1 and 1 more", "root"])
        );
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "---- banned 1\n\nHi 1\n\n---- banned 2\n\nHi 2\n\n"
        );
    }
}
