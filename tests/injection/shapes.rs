//! The lines that a service writes, as `tests/injection/*.txt` has them, and how the service writes
//! what a client sent.
//!
//! A file begins with its settings, one a line:
//!
//! * `filters NAMES…`: the filters that read these lines.
//! * `head TEXT`: what may precede a message; `head-alone TEXT`: the same, of a log whose lines do
//!   not tell their process, so that nothing tells the lines of two clients apart.
//! * `client NAME WRITING MOST TEXT`: a field that a client writes, how the service writes it down,
//!   where it cuts it off, and a harmless text. `own NAME TEXT`: a field that it does not write.
//! * `accused WORDS…`, `others WORDS…`: who does it, and who must never be taken for it, where these
//!   are no addresses. `piece TEXT`: one more text that a client may send.
//!
//! Then come events, each with the lines that the service writes for it. Their first line is a sign
//! and the filters it holds for, `all` for all: `+` must be counted, `-` may be, `!` is another,
//! honest client's and must not. `session` behind it: only where lines tell their process. In a line
//! `{name}` is a field, `{A}` the address, `{n}` the process; `{100<}…{>}` is cut off at 100
//! characters; a line that begins with `@` brings its own head.
//!
//! `=` begins lines that are not tried: they only tell how else a line of the service can be read. In
//! them `{[}…{]}` may be missing.

/// A part of a line.
#[derive(Clone, Debug)]
pub enum Part {
    Text(String),
    Address,
    Process,
    Field(usize),
    /// What follows, up to its `End`, is cut off there.
    Cut(usize),
    End,
    /// What follows, up to its `OptionalEnd`, may be missing.
    Optional,
    OptionalEnd,
}

pub type Line = Vec<Part>;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counted,
    Other,
    Honest,
}

#[derive(Debug)]
pub struct Event {
    pub kind: Kind,
    /// Whether its lines need a session to be counted.
    pub session: bool,
    filters: Vec<String>,
    /// Each with whether it brings its own head.
    pub lines: Vec<(bool, Line)>,
}

#[derive(Debug)]
pub struct Head {
    pub line: Line,
    pub alone: bool,
}

/// How a service writes a text.
#[derive(Clone, Copy, Debug)]
pub enum Writing {
    /// As it is.
    Raw,
    /// OpenSSH: `\ooo`, and a doubled backslash.
    Vis,
    /// Apache: `\xhh`, and a doubled backslash.
    Hex,
    /// Apache's access log and Go: `\xhh`, and a backslash before quotes and backslashes.
    Quoted,
    /// nginx's access log: `\xHH`, quotes and backslashes as well.
    Coded,
    /// JSON.
    Json,
    /// Question marks.
    Mark,
    /// A method of nginx: capital letters, hyphens and underscores.
    Token,
    /// Letters, digits, dots and hyphens; services write no name that reads as an address.
    Host,
}

impl Writing {
    fn of(word: &str) -> Writing {
        match word {
            "raw" => Writing::Raw,
            "vis" => Writing::Vis,
            "hex" => Writing::Hex,
            "quoted" => Writing::Quoted,
            "coded" => Writing::Coded,
            "json" => Writing::Json,
            "mark" => Writing::Mark,
            "token" => Writing::Token,
            "host" => Writing::Host,
            other => panic!("no writing {other}"),
        }
    }

    pub fn write(self, text: &str) -> String {
        let printable = |c: char| (' '..='~').contains(&c);
        let escaped = |text: &str, quote: &str, escape: fn(u8) -> String| -> String {
            let bytes = text.bytes().map(|b| match b {
                b'"' => quote.to_owned(),
                b'\\' => "\\\\".to_owned(),
                b' '..=b'~' => char::from(b).to_string(),
                other => escape(other),
            });
            bytes.collect()
        };
        match self {
            // no header can hold these
            Writing::Raw => text.replace(['\n', '\r', '\0'], ""),
            Writing::Vis => escaped(text, "\"", |b| format!("\\{b:03o}")),
            Writing::Hex => escaped(text, "\"", |b| format!("\\x{b:02x}")),
            Writing::Quoted => escaped(text, "\\\"", |b| format!("\\x{b:02x}")),
            Writing::Coded => {
                let coded = escaped(text, "\\x22", |b| format!("\\x{b:02X}"));
                coded.replace("\\\\", "\\x5C")
            }
            Writing::Json => {
                let quoted = serde_json::Value::from(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Writing::Mark => text.replace(|c| !printable(c), "?"),
            Writing::Token => {
                let of_token = |c: char| c.is_ascii_uppercase() || matches!(c, '-' | '_');
                let token = text.replace(|c| !of_token(c), "");
                // none at all is refused before
                if token.is_empty() {
                    "GET".to_owned()
                } else {
                    token
                }
            }
            Writing::Host => {
                let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
                let name = text.replace(|c| !of_name(c), "");
                let is_address = name.parse::<std::net::Ipv4Addr>().is_ok();
                if is_address { String::new() } else { name }
            }
        }
    }
}

#[derive(Debug)]
pub struct Field {
    name: String,
    /// `None`: no client has a say in it.
    pub writing: Option<Writing>,
    pub most: usize,
    pub harmless: String,
}

/// All that is known of the lines of a service.
#[derive(Debug, Default)]
pub struct Service {
    pub filters: Vec<String>,
    pub heads: Vec<Head>,
    pub accused: Vec<String>,
    pub others: Vec<String>,
    pub pieces: Vec<String>,
    pub fields: Vec<Field>,
    pub events: Vec<Event>,
    /// Lines that are not tried, each with whether it brings its own head.
    pub readings: Vec<(bool, Line)>,
}

/// Where the lines that follow in a file belong to.
enum Open {
    Nothing,
    Event,
    Readings,
}

impl Service {
    pub fn read(text: &str) -> Service {
        let mut service = Service {
            accused: ["203.0.113.9", "2001:db8::9"].map(str::to_owned).into(),
            others: ["192.0.2.66", "2001:db8:6::66"].map(str::to_owned).into(),
            ..Service::default()
        };
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let (mut heads, mut open) = (Vec::new(), Open::Nothing);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "" => open = Open::Nothing,
                _ if !matches!(open, Open::Nothing) => {
                    let (own, line) = line.strip_prefix('@').map_or((false, line), |l| (true, l));
                    let line = (own, service.line(line));
                    match (&open, service.events.last_mut()) {
                        (Open::Event, Some(event)) => event.lines.push(line),
                        _ => service.readings.push(line),
                    }
                }
                "=" => open = Open::Readings,
                "+" | "-" | "!" => {
                    open = Open::Event;
                    let filters: Vec<String> = words(rest);
                    service.events.push(Event {
                        kind: match word {
                            "+" => Kind::Counted,
                            "-" => Kind::Other,
                            _ => Kind::Honest,
                        },
                        session: filters.iter().any(|word| word == "session"),
                        filters,
                        lines: Vec::new(),
                    });
                }
                "filters" => service.filters = words(rest),
                "accused" => service.accused = words(rest),
                "others" => service.others = words(rest),
                "piece" => service.pieces.push(rest.to_owned()),
                "head" | "head-alone" => heads.push((rest, word == "head-alone")),
                "client" | "own" => service.fields.push(Field::read(word, rest)),
                other => panic!("{other}"),
            }
        }
        for (head, alone) in heads {
            let line = service.line(head);
            service.heads.push(Head { line, alone });
        }
        service
    }

    fn line(&self, text: &str) -> Line {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once('{') {
            let (word, after) = tail.split_once('}').unwrap_or(("", ""));
            let part = match word {
                "A" => Some(Part::Address),
                "n" => Some(Part::Process),
                ">" => Some(Part::End),
                "[" => Some(Part::Optional),
                "]" => Some(Part::OptionalEnd),
                word => match word.strip_suffix('<') {
                    Some(most) => Some(Part::Cut(most.parse().expect("a number"))),
                    None => {
                        let field = self.fields.iter().position(|field| field.name == word);
                        field.map(Part::Field)
                    }
                },
            };
            parts.push(Part::Text(before.to_owned()));
            match part {
                Some(part) => {
                    parts.push(part);
                    rest = after;
                }
                None => {
                    parts.push(Part::Text("{".to_owned()));
                    rest = tail;
                }
            }
        }
        parts.push(Part::Text(rest.to_owned()));
        parts
    }

    /// What clients send when they mean no harm.
    pub fn harmless(&self) -> Vec<String> {
        self.fields.iter().map(|f| f.harmless.clone()).collect()
    }

    /// A line as the service writes it.
    pub fn written(&self, line: &Line, values: &[String], address: &str, process: usize) -> String {
        let (mut text, mut cuts) = (String::new(), Vec::new());
        for part in line {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Address => text.push_str(address),
                Part::Process => text.push_str(&process.to_string()),
                Part::Field(index) => {
                    let field = &self.fields[*index];
                    let value = &values[*index];
                    let short = |text: &str| text.chars().take(field.most).collect::<String>();
                    let sent = field.writing.map(|writing| match writing {
                        // what is too long is cut before it is quoted, so that no escape is cut in two
                        Writing::Quoted => writing.write(&short(value)),
                        _ => short(&writing.write(value)),
                    });
                    let sent = sent.filter(|sent| !sent.is_empty() || value.is_empty());
                    text += &sent.unwrap_or_else(|| short(&field.harmless));
                }
                Part::Cut(most) => cuts.push((text.len(), *most)),
                Part::End => {
                    let (from, most) = cuts.pop().expect("a cut");
                    if let Some((end, _)) = text[from..].char_indices().nth(most) {
                        text.truncate(from + end);
                    }
                }
                Part::Optional | Part::OptionalEnd => {}
            }
        }
        text
    }

    /// The lines of an event.
    pub fn lines(
        &self,
        event: &Event,
        head: &Head,
        values: &[String],
        address: &str,
        process: usize,
    ) -> Vec<String> {
        let head = self.written(&head.line, values, address, process);
        let lines = event.lines.iter().map(|(own, line)| {
            let line = self.written(line, values, address, process);
            if *own { line } else { format!("{head} {line}") }
        });
        lines.collect()
    }

    /// The fields of an event that a client writes.
    pub fn open_fields(&self, event: &Event) -> Vec<usize> {
        let parts = event.lines.iter().flat_map(|(_, line)| line);
        let mut fields: Vec<usize> = parts
            .filter_map(|part| match part {
                Part::Field(index) => Some(*index),
                _ => None,
            })
            .filter(|index| self.fields[*index].writing.is_some())
            .collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }
}

impl Event {
    /// Whether this filter has something to say of it.
    pub fn concerns(&self, filter: &str) -> bool {
        self.filters.iter().any(|f| f == "all" || f == filter)
    }
}

impl Field {
    fn read(word: &str, rest: &str) -> Field {
        let (name, rest) = rest.split_once(' ').expect("a name");
        let (writing, most, harmless) = match word {
            "own" => (None, usize::MAX, rest),
            _ => {
                let mut parts = rest.splitn(3, ' ');
                let mut next = || parts.next().expect("writing, length and text");
                let writing = Writing::of(next());
                (Some(writing), next().parse().expect("a number"), next())
            }
        };
        Field {
            name: name.to_owned(),
            writing,
            most,
            harmless: harmless.to_owned(),
        }
    }
}
