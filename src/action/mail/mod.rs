//! Mails as action files spell them out — text printed into `sendmail`, `mail` or an SMTP server —
//! recognised by shape, written natively and sent by a queue of their own.
//!
//! In comes the script of a command; out comes a [`Mail`] that knows where each piece of its text
//! comes from: from the configuration, which may say what it likes, or from log lines and
//! registries, which may not (CVE-2021-32749, CVE-2012-5642).
#![forbid(unsafe_code)]

mod digest;
pub mod letter;
mod mime;
pub mod pacing;
pub mod python;
pub mod queue;
mod server;
mod smtp;

pub use server::{Security, Server};

use super::script::{self, Command, Joint, List, Part, Pipeline, Word};
use super::tags::Script;

/// A mail to be written and sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// What its text is made of, in order.
    sources: Vec<Source>,
    /// How it is sent.
    sink: Sink,
}

/// Something that prints text.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    /// `printf %b "…"`, or `%s` when no escapes are read.
    Printf { pieces: Vec<Piece>, escapes: bool },
    /// `date +FORMAT` in the C locale.
    Date(String),
    /// The registry's entry about an address: program and arguments.
    Whois(Vec<String>),
    /// Lines of files: `grep` with its arguments, and how many of the last lines are kept.
    Grep {
        arguments: Vec<String>,
        last: Option<usize>,
    },
    /// The second when the first fails.
    Else(Box<Source>, Box<Source>),
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// From the configuration.
    Own(String),
    /// A value from elsewhere.
    Foreign(String),
    /// What these print, without line ends behind it.
    Output(Vec<Source>),
}

/// Where a mail goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Sink {
    /// A program with its arguments, as spelled out.
    Program {
        /// The arguments, the program first.
        arguments: Vec<String>,
        /// What it makes of its input.
        reads: Reads,
    },
    /// An SMTP server (`smtp://host:port -f sender recipient …`).
    Smtp {
        /// Which, and how it is talked to.
        server: Server,
        /// Envelope sender.
        sender: String,
        /// Recipients.
        recipients: Vec<String>,
    },
}

/// What a program makes of the text it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Headers and body, as `sendmail` does.
    Message,
    /// The body only; a tilde first on a line may be a command, as to `mail`.
    Body,
}

/// Programs that take a message with headers.
const SENDMAIL: [&str; 4] = ["sendmail", "msmtp", "ssmtp", "esmtp"];

/// Programs that take a body.
const MAIL: [&str; 4] = ["mail", "mailx", "Mail", "s-nail"];

impl Mail {
    /// Reads the script of a command; `None` when it is not a mail, or not only one.
    pub fn recognise(script: &Script) -> Option<Mail> {
        let text = script.body();
        // cheap look before the script is read
        if !text.contains('|') || !(text.contains("mail") || text.contains("smtp")) {
            return None;
        }
        let list = script::parse(text)?;
        let [(pipeline, Joint::Then)] = list.as_slice() else {
            return None;
        };
        let (last, producers) = pipeline.split_last()?;
        let mut reader = Reader {
            variables: script.variables.clone(),
            own: Vec::new(),
        };
        let sink = reader.sink(last)?;
        let sources = match producers {
            [Command::Group(list)] => reader.sources(list)?,
            [_, ..] => vec![reader.source(producers)?],
            [] => return None,
        };
        Some(Mail { sources, sink })
    }
}

/// Reads sources, knowing the values of variables.
struct Reader {
    /// Values from elsewhere.
    variables: Vec<(String, String)>,
    /// Variables that the script itself sets.
    own: Vec<(String, String)>,
}

impl Reader {
    fn sink(&self, command: &Command) -> Option<Sink> {
        let Command::Simple { assignments, words } = command else {
            return None;
        };
        if !assignments.is_empty() {
            return None;
        }
        let arguments = words
            .iter()
            .map(Word::literal)
            .collect::<Option<Vec<_>>>()?;
        let program = arguments.first()?;
        if let Some(server) = Server::parse(program) {
            return smtp_sink(server, &arguments[1..]);
        }
        let name = base_name(program);
        let reads = match name {
            name if SENDMAIL.contains(&name) => Reads::Message,
            name if MAIL.contains(&name) => Reads::Body,
            _ => return None,
        };
        Some(Sink::Program { arguments, reads })
    }

    fn sources(&mut self, list: &List) -> Option<Vec<Source>> {
        let mut sources = Vec::new();
        let mut rest = list.iter();
        while let Some((pipeline, joint)) = rest.next() {
            if let Some(()) = self.assignment(pipeline) {
                if *joint != Joint::Then {
                    return None;
                }
                continue;
            }
            let mut alternatives = vec![self.source(pipeline)?];
            let mut joint = *joint;
            while joint != Joint::Then {
                if joint == Joint::And {
                    return None;
                }
                let (pipeline, next) = rest.next()?;
                alternatives.push(self.source(pipeline)?);
                joint = *next;
            }
            let whole = alternatives
                .into_iter()
                .rev()
                .reduce(|later, earlier| Source::Else(Box::new(earlier), Box::new(later)))?;
            sources.push(whole);
        }
        (!sources.is_empty()).then_some(sources)
    }

    /// `name="text"` alone: remembered.
    fn assignment(&mut self, pipeline: &Pipeline) -> Option<()> {
        let [Command::Simple { assignments, words }] = pipeline.as_slice() else {
            return None;
        };
        if !words.is_empty() {
            return None;
        }
        for (name, value) in assignments {
            self.own.push((name.clone(), value.literal()?));
        }
        Some(())
    }

    fn source(&mut self, pipeline: &[Command]) -> Option<Source> {
        let (first, rest) = pipeline.split_first()?;
        let Command::Simple { assignments, words } = first else {
            return None;
        };
        let program = words.first()?.literal()?;
        let name = base_name(&program);
        if name == "grep" && assignments.is_empty() {
            let last = match rest {
                [] => None,
                [tail] => Some(tail_count(tail)?),
                _ => return None,
            };
            return self.grep(words, last);
        }
        if !rest.is_empty() {
            return None;
        }
        match (name, assignments.as_slice()) {
            ("printf", []) => self.printf(words),
            ("echo", []) => echo(words),
            ("date", [(locale, value)]) if locale == "LC_ALL" => {
                (value.literal()? == "C").then_some(())?;
                let [_, format] = words.as_slice() else {
                    return None;
                };
                let format = format.literal()?.strip_prefix('+')?.to_owned();
                letter::is_date_format(&format).then_some(Source::Date(format))
            }
            (name, []) if name.contains("whois") => {
                let arguments = words
                    .iter()
                    .map(|word| self.single(word))
                    .collect::<Option<Vec<_>>>()?;
                (arguments.len() > 1).then_some(Source::Whois(arguments))
            }
            _ => None,
        }
    }

    fn printf(&mut self, words: &[Word]) -> Option<Source> {
        let [_, format, text] = words else {
            return None;
        };
        let escapes = match format.literal()?.as_str() {
            "%b" => true,
            "%s" => false,
            _ => return None,
        };
        let pieces = text
            .parts
            .iter()
            .map(|part| self.piece(part))
            .collect::<Option<Vec<_>>>()?;
        Some(Source::Printf { pieces, escapes })
    }

    fn piece(&mut self, part: &Part) -> Option<Piece> {
        match part {
            Part::Text(text) => Some(Piece::Own(text.clone())),
            Part::Variable { name, quoted: true } => Some(match self.foreign(name) {
                Some(value) => Piece::Foreign(value.to_owned()),
                None => Piece::Own(self.owned(name)?.to_owned()),
            }),
            Part::Output { list, quoted: true } => self.sources(list).map(Piece::Output),
            // a shell would split it
            Part::Variable { .. } | Part::Output { .. } => None,
        }
    }

    /// `grep` with options that only choose and cut, a fixed text and files.
    fn grep(&self, words: &[Word], last: Option<usize>) -> Option<Source> {
        let mut arguments = Vec::new();
        for word in words {
            match word.parts.as_slice() {
                // unquoted: split at blanks, as `logpath` of several lines wants it
                [
                    Part::Variable {
                        name,
                        quoted: false,
                    },
                ] => {
                    let value = self.owned(name)?;
                    if value.contains(['*', '?', '[', '\\']) {
                        return None;
                    }
                    arguments.extend(value.split_whitespace().map(str::to_owned));
                }
                _ => arguments.push(self.single(word)?),
            }
        }
        let fixed = arguments
            .iter()
            .any(|word| matches!(word.as_str(), "-F" | "-wF" | "-Fw"));
        let mut options = arguments.iter().skip(1).peekable();
        let mut plain = Vec::new();
        while let Some(word) = options.next() {
            match word.as_str() {
                "-h" | "-F" | "-w" | "-wF" | "-Fw" => {}
                "-m" => {
                    options.next()?.parse::<u32>().ok()?;
                }
                option if option.starts_with('-') => return None,
                word => plain.push(word),
            }
        }
        (fixed && plain.len() > 1).then_some(Source::Grep { arguments, last })
    }

    /// A word that stays one word: text, or a quoted value.
    fn single(&self, word: &Word) -> Option<String> {
        word.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Variable { name, quoted: true } => {
                    // a value must not pass for an option
                    self.foreign(name)
                        .filter(|value| !value.starts_with('-'))
                        .or_else(|| self.owned(name))
                }
                _ => None,
            })
            .collect()
    }

    fn foreign(&self, name: &str) -> Option<&str> {
        self.variables
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn owned(&self, name: &str) -> Option<&str> {
        self.own
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// `echo` of plain words; shells differ about everything else.
fn echo(words: &[Word]) -> Option<Source> {
    let words = words[1..]
        .iter()
        .map(Word::literal)
        .collect::<Option<Vec<_>>>()?;
    if words.first().is_some_and(|word| word.starts_with('-'))
        || words.iter().any(|word| word.contains('\\'))
    {
        return None;
    }
    Some(Source::Printf {
        pieces: vec![Piece::Own(words.join(" ") + "\n")],
        escapes: false,
    })
}

/// The number in `tail -n NUMBER`.
fn tail_count(command: &Command) -> Option<usize> {
    let Command::Simple { assignments, words } = command else {
        return None;
    };
    let words = words
        .iter()
        .map(Word::literal)
        .collect::<Option<Vec<_>>>()?;
    match words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["tail", "-n", count] if assignments.is_empty() => count.parse().ok(),
        _ => None,
    }
}

/// A server with the arguments `[-f sender] recipient …`.
fn smtp_sink(server: Server, arguments: &[String]) -> Option<Sink> {
    let (sender, recipients) = match arguments {
        [flag, sender, recipients @ ..] if flag == "-f" => (sender.clone(), recipients),
        recipients => (String::new(), recipients),
    };
    let recipients: Vec<String> = recipients
        .iter()
        .flat_map(|word| word.split([' ', ',']))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    (!recipients.is_empty()).then_some(Sink::Smtp {
        server,
        sender,
        recipients,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognise(text: &str) -> Option<Mail> {
        Mail::recognise(&Script::plain(text))
    }

    #[test]
    fn mails_are_known_by_their_shape() {
        let mail = recognise(
            "printf %b \"Subject: x\nDate: `LC_ALL=C date +\"%a, %d %h %Y %T %z\"`\nTo: a\\n\nHi\\n\n\
             `whois 192.0.2.1 || echo \"missing whois program\"`\\n\" | /usr/sbin/sendmail -f \"f@x\" \"a\"",
        )
        .unwrap();
        let Sink::Program {
            arguments,
            reads: Reads::Message,
        } = &mail.sink
        else {
            panic!("{mail:?}");
        };
        assert_eq!(arguments, &["/usr/sbin/sendmail", "-f", "f@x", "a"]);
        let [
            Source::Printf {
                pieces,
                escapes: true,
            },
        ] = mail.sources.as_slice()
        else {
            panic!("{mail:?}");
        };
        assert_eq!(pieces.len(), 5);
        assert!(
            matches!(&pieces[3], Piece::Output(sources) if matches!(sources[0], Source::Else(..)))
        );
    }

    #[test]
    fn groups_give_their_parts_one_after_the_other() {
        let mail = recognise(
            "( printf %b \"Subject: x\\n\"\nwhois 192.0.2.1 || echo \"none\";\nprintf %b \"\\nLines\\n\";\n\
             logpath=\"/a.log\n/b.log\"; grep -m 1000 -wF \"192.0.2.1\" $logpath | tail -n 20;\nprintf %b \"\\n\" ) \
             | mail -E 'set escape' -s \"[x] y\" root",
        )
        .unwrap();
        assert!(matches!(
            mail.sink,
            Sink::Program {
                reads: Reads::Body,
                ..
            }
        ));
        assert_eq!(mail.sources.len(), 5);
        let Source::Grep {
            arguments,
            last: Some(20),
        } = &mail.sources[3]
        else {
            panic!("{mail:?}");
        };
        assert_eq!(arguments[4..], ["192.0.2.1", "/a.log", "/b.log"]);
    }

    #[test]
    fn values_from_elsewhere_stay_marked() {
        let script = Script {
            text:
                "f2bV_matches=$0 \nprintf %b \"Subject: a\\n\\n$f2bV_matches\\n\" | sendmail root"
                    .into(),
            variables: vec![("f2bV_matches".into(), "x `id`".into())],
        };
        let mail = Mail::recognise(&script).unwrap();
        let [Source::Printf { pieces, .. }] = mail.sources.as_slice() else {
            panic!();
        };
        assert_eq!(pieces[1], Piece::Foreign("x `id`".into()));
    }

    #[test]
    fn servers_can_take_the_place_of_a_program() {
        let mail =
            recognise("printf %b \"Subject: a\" | smtp://127.0.0.1:2525 -f \"f@x\" \"a@x, b@x\"")
                .unwrap();
        let Sink::Smtp {
            server,
            sender,
            recipients,
        } = mail.sink
        else {
            panic!();
        };
        assert_eq!(
            (server.host.as_str(), server.port, sender.as_str()),
            ("127.0.0.1", 2525, "f@x")
        );
        assert_eq!(recipients, ["a@x", "b@x"]);
    }

    #[test]
    fn everything_else_is_left_to_the_shell() {
        for text in [
            "printf %b \"x\" | tee /etc/mail",
            "printf %b \"x\" | sendmail root; reboot",
            "printf %b \"x\" | sendmail root >/dev/null",
            "printf %d \"1\" | sendmail root",
            "printf %b x$(id) | sendmail root",
            "printf %b \"`cat /etc/passwd`\" | sendmail root",
            "printf %b \"`date`\" | sendmail root",
            "printf %b \"`LC_ALL=C date +%Q%!`\" | sendmail root",
            "printf %b \"`grep -r x /etc`\" | sendmail root",
            "printf %b \"`grep -wF -f x /etc/shadow`\" | sendmail root",
            "echo -e x | sendmail root",
            "cat /etc/motd | sendmail root",
            "printf %b \"$undefined\" | sendmail root",
            "LC_ALL=C printf %b x | sendmail root",
        ] {
            assert_eq!(recognise(text), None, "{text}");
        }
    }
}
