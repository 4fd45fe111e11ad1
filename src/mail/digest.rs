//! Combines several mails into one: the headers are those of the first, its subject mentions the others. The
//! texts follow each other under their subjects, or only the subjects are listed where mails are too many.

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

/// Bytes of the subjects that one mail lists.
const LISTED: usize = 256 * 1024;

/// A mail, and others of which only their subjects are told in it.
#[derive(Debug)]
pub struct Bundle {
    first: Written,
    others: Vec<String>,
    /// Bytes of the others' subjects.
    listed: usize,
    count: usize,
}

impl Bundle {
    /// One mail, which stands for so many.
    pub fn new(mail: Written, count: usize) -> Bundle {
        Bundle {
            first: mail,
            others: Vec::new(),
            listed: 0,
            count,
        }
    }

    /// For how many mails it stands.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether it tells only the subjects of some.
    pub fn lists(&self) -> bool {
        !self.others.is_empty()
    }

    /// Adds a mail of this subject.
    pub fn add(&mut self, subject: String) {
        self.count += 1;
        self.list(subject);
    }

    /// Adds all of another bundle.
    pub fn absorb(&mut self, other: Bundle) {
        self.count += other.count;
        self.list(subject(&other.first.0, &other.first.1));
        for subject in other.others {
            self.list(subject);
        }
    }

    fn list(&mut self, subject: String) {
        if self.listed + subject.len() <= LISTED {
            self.listed += subject.len();
            self.others.push(subject);
        }
    }

    /// The mail as it is sent.
    pub fn written(&self) -> Written {
        let (sink, text) = &self.first;
        if !self.lists() {
            return (sink.clone(), text.clone());
        }
        let first = subject(sink, text);
        let title = format!("{first} and {} more", self.count - 1);
        let mut out = head(sink, text, &title);
        let count = self.count;
        out.extend_from_slice(format!("{count} mails were too many at once.\n\n").as_bytes());
        for subject in std::iter::once(&first).chain(&self.others) {
            out.extend_from_slice(subject.as_bytes());
            out.push(b'\n');
        }
        let omitted = count - 1 - self.others.len();
        if omitted > 0 {
            out.extend_from_slice(format!("and {omitted} more\n").as_bytes());
        }
        (titled(sink.clone(), title), out)
    }
}

/// The headers of a mail with another subject, and the empty line behind them; nothing for a program
/// that takes a body.
fn head(sink: &Sink, text: &[u8], title: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if let Sink::Program {
        reads: Reads::Body, ..
    } = sink
    {
        return out;
    }
    for line in parts(text).0.split(|byte| *byte == b'\n') {
        match line.starts_with(b"Subject: ") {
            true => out.extend_from_slice(format!("Subject: {title}").as_bytes()),
            false => out.extend_from_slice(line),
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    out
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
    let body = match &sink {
        Sink::Program {
            reads: Reads::Body, ..
        } => text.as_slice(),
        _ => parts(&text).1,
    };
    let mut out = head(&sink, &text, &title);
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
    fn too_many_are_listed() {
        let sink = program(Reads::Message, &["sendmail", "root"]);
        let letter = |n: u32| {
            (
                sink.clone(),
                format!("Subject: {n}\nTo: root\n\nHi {n}\n").into_bytes(),
            )
        };
        let mut bundle = Bundle::new(letter(1), 1);
        assert_eq!((bundle.written(), bundle.lists()), (letter(1), false));
        bundle.add("2".to_owned());
        let mut other = Bundle::new(letter(3), 1);
        other.add("4".to_owned());
        bundle.absorb(other);
        assert_eq!((bundle.count(), bundle.lists()), (4, true));
        let (to, text) = bundle.written();
        assert_eq!(to, sink);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "Subject: 1 and 3 more\nTo: root\n\n4 mails were too many at once.\n\n1\n2\n3\n4\n"
        );
    }

    #[test]
    fn a_list_is_bounded() {
        let sink = program(Reads::Body, &["mail", "-s", "1", "root"]);
        let mut bundle = Bundle::new((sink, b"Hi".to_vec()), 1);
        for n in 0..10_000 {
            bundle.add(format!("{n:0100}"));
        }
        let (to, text) = bundle.written();
        assert_eq!(
            to,
            program(Reads::Body, &["mail", "-s", "1 and 10000 more", "root"])
        );
        let text = String::from_utf8(text).unwrap();
        assert!(text.len() < LISTED + 10_000, "{}", text.len());
        let listed = text.lines().filter(|line| line.len() == 100).count();
        assert!(text.ends_with(&format!("\nand {} more\n", 10_000 - listed)));
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
