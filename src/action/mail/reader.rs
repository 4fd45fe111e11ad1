//! Reads the parts of a script that is a mail: what prints its text, and where the text goes.
#![forbid(unsafe_code)]

use super::super::script::{Command, Joint, List, Part, Pipeline, Word};
use super::{Piece, Reads, Server, Sink, Source, letter};

/// Programs that take a message with headers.
const SENDMAIL: [&str; 4] = ["sendmail", "msmtp", "ssmtp", "esmtp"];

/// Programs that take a body.
const MAIL: [&str; 4] = ["mail", "mailx", "Mail", "s-nail"];

/// Reads sources, knowing the values of variables.
pub(super) struct Reader {
    /// Values from elsewhere.
    pub(super) variables: Vec<(String, String)>,
    /// Variables that the script itself sets.
    pub(super) own: Vec<(String, String)>,
}

impl Reader {
    pub(super) fn sink(&self, command: &Command) -> Option<Sink> {
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

    pub(super) fn sources(&mut self, list: &List) -> Option<Vec<Source>> {
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

    pub(super) fn source(&mut self, pipeline: &[Command]) -> Option<Source> {
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
