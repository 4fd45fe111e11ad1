//! Parses a script that is a mail: what prints its text, and where the text goes.
#![forbid(unsafe_code)]

use super::{MailPiece, Reads, Sink, SmtpServer, TextSource, body};
use crate::exec::syntax::{Joint, List, Part, Pipeline, ShellCommand, Word};

/// Programs that take a message with headers.
const SENDMAIL: [&str; 4] = ["sendmail", "msmtp", "ssmtp", "esmtp"];

/// Programs that take a body.
const MAIL: [&str; 4] = ["mail", "mailx", "Mail", "s-nail"];

/// Reads sources, knowing the values of variables.
pub(super) struct MailReader<'a> {
    /// Values of the ticket, by number.
    pub(super) values: &'a [String],
    /// Variables that the script itself sets.
    pub(super) own: Vec<(String, String)>,
}

impl MailReader<'_> {
    pub(super) fn sink(&self, command: &ShellCommand) -> Option<Sink> {
        let ShellCommand::Simple { assignments, words } = command else {
            return None;
        };
        if !assignments.is_empty() {
            return None;
        }
        let program = words.first()?.literal()?;
        let server = SmtpServer::parse(&program);
        // a value stays within its argument, its header, its recipient
        let replaced = |c: char| c.is_control() || server.is_some() && matches!(c, ' ' | ',');
        let argument = |word| self.single(word, |value| value.replace(replaced, "_"));
        let arguments = words.iter().map(argument).collect::<Option<Vec<_>>>()?;
        if let Some(server) = server {
            return smtp_sink(server, &arguments[1..]);
        }
        let name = base_name(&program);
        let reads = match name {
            name if SENDMAIL.contains(&name) => Reads::Message,
            name if MAIL.contains(&name) => Reads::Body,
            _ => return None,
        };
        Some(Sink::Program { arguments, reads })
    }

    pub(super) fn sources(&mut self, list: &List) -> Option<Vec<TextSource>> {
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
                .reduce(|later, earlier| TextSource::Else(Box::new(earlier), Box::new(later)))?;
            sources.push(whole);
        }
        (!sources.is_empty()).then_some(sources)
    }

    /// `name="text"` alone: remembered.
    fn assignment(&mut self, pipeline: &Pipeline) -> Option<()> {
        let [ShellCommand::Simple { assignments, words }] = pipeline.as_slice() else {
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

    pub(super) fn source(&mut self, pipeline: &[ShellCommand]) -> Option<TextSource> {
        let (first, rest) = pipeline.split_first()?;
        let ShellCommand::Simple { assignments, words } = first else {
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
                body::is_date_format(&format).then_some(TextSource::Date(format))
            }
            (name, []) if name.contains("whois") => {
                let arguments = words
                    .iter()
                    .map(|word| self.single(word, str::to_owned))
                    .collect::<Option<Vec<_>>>()?;
                (arguments.len() > 1).then_some(TextSource::Whois(arguments))
            }
            _ => None,
        }
    }

    fn printf(&mut self, words: &[Word]) -> Option<TextSource> {
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
        Some(TextSource::Printf { pieces, escapes })
    }

    fn piece(&mut self, part: &Part) -> Option<MailPiece> {
        match part {
            Part::Text(text) => Some(MailPiece::Own(text.clone())),
            Part::Value(number) => self.values.get(*number).cloned().map(MailPiece::Foreign),
            Part::Variable { name, quoted: true } => {
                Some(MailPiece::Own(self.owned(name)?.to_owned()))
            }
            Part::Output { list, quoted: true } => self.sources(list).map(MailPiece::Output),
            // a shell would split it
            Part::Variable { .. } | Part::Output { .. } | Part::Wildcard(_) => None,
        }
    }

    /// `grep` with options that only choose and cut, a fixed text and files.
    fn grep(&self, words: &[Word], last: Option<usize>) -> Option<TextSource> {
        let mut arguments = vec![words.first()?.literal()?];
        let mut fixed = false;
        let mut options = words[1..].iter().peekable();
        while let Some(word) = options.next_if(|word| word.begins_with('-')) {
            let option = word.literal()?;
            match option.as_str() {
                "-h" | "-w" => {}
                "-F" | "-wF" | "-Fw" => fixed = true,
                "-m" => {
                    let count = options.next()?.literal()?;
                    count.parse::<u32>().ok()?;
                    arguments.extend([option, count]);
                    continue;
                }
                _ => return None,
            }
            arguments.push(option);
        }
        arguments.push(self.single(options.next()?, str::to_owned)?);
        let mut files = Vec::new();
        for word in options {
            files.extend(self.paths(word)?);
        }
        (fixed && !files.is_empty()).then_some(TextSource::Grep {
            arguments,
            files,
            last,
        })
    }

    /// Paths and patterns of paths, all of them from the configuration.
    fn paths(&self, word: &Word) -> Option<Vec<String>> {
        // unquoted: split at blanks, as `logpath` of several lines wants it
        if let [
            Part::Variable {
                name,
                quoted: false,
            },
        ] = word.parts.as_slice()
        {
            let paths = self.owned(name)?.split_whitespace();
            return Some(paths.map(str::to_owned).collect());
        }
        let piece = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Wildcard(c) => Some(c.to_string()),
            Part::Value(_) | Part::Variable { .. } | Part::Output { .. } => None,
        };
        let path: String = word.parts.iter().map(piece).collect::<Option<_>>()?;
        Some(vec![path])
    }

    /// A word that stays one word: text and values, the latter made `clean`.
    fn single(&self, word: &Word, clean: impl Fn(&str) -> String) -> Option<String> {
        let mut out = String::new();
        for part in &word.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(number) => {
                    let value = clean(self.values.get(*number)?);
                    // a value must not pass for an option
                    if out.is_empty() && value.starts_with('-') {
                        out.push(' ');
                    }
                    out.push_str(&value);
                }
                Part::Variable { name, quoted: true } => out.push_str(self.owned(name)?),
                Part::Variable { .. } | Part::Output { .. } | Part::Wildcard(_) => return None,
            }
        }
        Some(out)
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
fn echo(words: &[Word]) -> Option<TextSource> {
    let words = words[1..]
        .iter()
        .map(Word::literal)
        .collect::<Option<Vec<_>>>()?;
    if words.first().is_some_and(|word| word.starts_with('-'))
        || words.iter().any(|word| word.contains('\\'))
    {
        return None;
    }
    Some(TextSource::Printf {
        pieces: vec![MailPiece::Own(words.join(" ") + "\n")],
        escapes: false,
    })
}

/// The number in `tail -n NUMBER`.
fn tail_count(command: &ShellCommand) -> Option<usize> {
    let ShellCommand::Simple { assignments, words } = command else {
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
fn smtp_sink(server: SmtpServer, arguments: &[String]) -> Option<Sink> {
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
