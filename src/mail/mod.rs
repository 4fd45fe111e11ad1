//! Mails as action files spell them out — text printed into `sendmail`, `mail` or an SMTP server —
//! recognised by shape, written natively and sent by a queue of their own.
//!
//! In comes the script of a command; out comes a [`Mail`] that knows where each piece of its text
//! comes from: from the configuration, which may say what it likes, or from log lines and
//! registries, which may not (CVE-2021-32749, CVE-2012-5642). What is a mail is decided without the
//! values of the ticket, so that none of them leads to a shell.
#![forbid(unsafe_code)]

mod body;
mod digest;
mod headers;
mod mime;
pub mod queue;
pub mod rate_limit;
mod reader;
pub(crate) mod server;
mod smtp;
pub mod whois;

pub use server::SmtpServer;

use reader::MailReader;

use crate::exec::script::Script;
use crate::exec::syntax::{self, Joint, ShellCommand};

/// A mail to be written and sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// What its text is made of, in order.
    sources: Vec<TextSource>,
    /// How it is sent.
    sink: Sink,
}

/// Something that prints text.
#[derive(Clone, Debug, PartialEq)]
enum TextSource {
    /// `printf %b "…"`, or `%s` when no escapes are read.
    Printf {
        pieces: Vec<MailPiece>,
        escapes: bool,
    },
    /// `date +FORMAT` in the C locale.
    Date(String),
    /// The registry's entry about an address: program and arguments.
    Whois(Vec<String>),
    /// Lines of files: `grep` with its arguments, patterns of files, and how many of the last lines
    /// are kept.
    Grep {
        arguments: Vec<String>,
        files: Vec<String>,
        last: Option<usize>,
    },
    /// The second when the first fails.
    Else(Box<TextSource>, Box<TextSource>),
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq)]
enum MailPiece {
    /// From the configuration.
    Own(String),
    /// A value from elsewhere.
    Foreign(String),
    /// What these print, without line ends behind it.
    Output(Vec<TextSource>),
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
        server: SmtpServer,
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

impl Mail {
    /// Reads the shape of a command; `None` when it is not a mail, or not only one.
    pub fn recognise(script: &Script) -> Option<Mail> {
        let (text, values) = script.shape();
        // cheap look before the script is read
        if !text.contains('|') || !(text.contains("mail") || text.contains("smtp")) {
            return None;
        }
        let list = syntax::parse(text)?;
        let [(pipeline, Joint::Then)] = list.as_slice() else {
            return None;
        };
        let (last, producers) = pipeline.split_last()?;
        let mut reader = MailReader {
            values,
            own: Vec::new(),
        };
        let sink = reader.sink(last)?;
        let sources = match producers {
            [ShellCommand::Group(list)] => reader.sources(list)?,
            [_, ..] => vec![reader.source(producers)?],
            [] => return None,
        };
        Some(Mail { sources, sink })
    }

    /// The program it is handed to; `None` when a server gets it.
    pub fn program(&self) -> Option<&str> {
        match &self.sink {
            Sink::Program { arguments, .. } => arguments.first().map(String::as_str),
            Sink::Smtp { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::script::Values;

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
            TextSource::Printf {
                pieces,
                escapes: true,
            },
        ] = mail.sources.as_slice()
        else {
            panic!("{mail:?}");
        };
        assert_eq!(pieces.len(), 5);
        assert!(
            matches!(&pieces[3], MailPiece::Output(sources) if matches!(sources[0], TextSource::Else(..)))
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
        let TextSource::Grep {
            arguments,
            files,
            last: Some(20),
        } = &mail.sources[3]
        else {
            panic!("{mail:?}");
        };
        assert_eq!(arguments[1..], ["-m", "1000", "-wF", "192.0.2.1"]);
        assert_eq!(files, &["/a.log", "/b.log"]);
    }

    #[test]
    fn values_from_elsewhere_stay_marked() {
        let mut values = Values::default();
        let mark = values.mark("matches", "x `id`".into());
        let command = format!("printf %b \"Subject: a\\n\\n{mark}\\n\" | sendmail root");
        let mail = Mail::recognise(&values.script(command)).unwrap();
        let [TextSource::Printf { pieces, .. }] = mail.sources.as_slice() else {
            panic!();
        };
        assert_eq!(pieces[1], MailPiece::Foreign("x `id`".into()));
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
