//! Generates a filter from lines of a log that are marked as attacks or as innocent: regexes that match the
//! former and not the latter.
//!
//! In: lines. Out: a [`Draft`], the text of a filter and of a jail. The same lines give the same draft: lines
//! are grouped by their tokens ([`shape`], [`tokens`]), each group becomes one failregex ([`expression`]),
//! and the date is detected as a jail would ([`dates`]). [`trial`] tests a draft.
#![forbid(unsafe_code)]

mod dates;
mod expression;
mod shape;
mod tokens;
pub mod trial;

pub use dates::DraftDate;

use self::expression::{DraftRegex, escaped, safe};
use self::shape::ShapedLine;
use crate::address::Address;
use crate::datetime::DateDetector;
use crate::ticket::Timestamp;

/// Where a jail has its lines from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftSource {
    /// A log file.
    Log(String),
    /// The journal, with this match.
    Journal(String),
}

/// A filter that has been drawn up.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its name, and the jail's; to be given.
    pub name: String,
    /// Where the lines come from.
    pub source: DraftSource,
    /// How they are dated.
    pub dating: DraftDate,
    /// The programs that write them, where lines begin as those of syslog do.
    pub daemons: Vec<String>,
    /// The address that is to blame in each attack line.
    accused: Vec<String>,
    /// The expressions, without anchors and prefix.
    expressions: Vec<DraftRegex>,
}

/// Why nothing can be drawn up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// An attack line by its place among the attack lines, from 0.
    #[error(
        "no address in this line, so nobody could be banned for it; take it out of the attack lines by \
         --innocent"
    )]
    NoAddress(usize),
    /// There is no attack line.
    #[error("no attack line")]
    Nothing,
}

impl Draft {
    /// Draws up a filter from attack lines, and narrows it until it finds none of the innocent ones, where
    /// that is possible. `now` completes dates without a year.
    ///
    /// # Errors
    /// There is nothing to go by.
    pub fn new(
        source: DraftSource,
        attacks: &[&str],
        innocent: &[&str],
        now: Timestamp,
    ) -> Result<Draft, DraftError> {
        if attacks.is_empty() {
            return Err(DraftError::Nothing);
        }
        let (dating, detector) = dates::find(attacks, now);
        let cut = |line: &str| {
            let mut detector = detector.as_ref().map(DateDetector::anew);
            dates::undated(detector.as_mut(), line, now)
        };
        let texts: Vec<String> = attacks.iter().map(|line| cut(line)).collect();
        let is_journal = matches!(source, DraftSource::Journal(_));
        let heads: Vec<Option<DraftHead>> = (attacks.iter().zip(&texts))
            .map(|(line, text)| {
                head(text).filter(|head| head.process || is_journal || is_syslog(line))
            })
            .collect();
        let of_syslog = heads.iter().all(Option::is_some);
        let message = |text: &str| match head(text).filter(|_| of_syslog) {
            Some(head) => text[head.length..].to_owned(),
            None => text.to_owned(),
        };
        let mut daemons: Vec<String> = Vec::new();
        if of_syslog {
            daemons.extend(heads.into_iter().flatten().map(|head| head.program));
            daemons.sort();
            daemons.dedup();
        }
        let messages: Vec<String> = texts.iter().map(|text| message(text)).collect();
        let shapes = shape::group(&messages).map_err(DraftError::NoAddress)?;
        let mut accused = vec![String::new(); attacks.len()];
        for shape in &shapes {
            for line in &shape.lines {
                let address = Address::parse(line.content(shape.accused));
                accused[line.number] = address.to_string();
            }
        }
        let mut expressions: Vec<DraftRegex> = shapes.into_iter().map(DraftRegex::new).collect();
        let innocent: Vec<ShapedLine> = innocent
            .iter()
            .map(|line| ShapedLine::new(0, &message(&cut(line))))
            .collect();
        for expression in &mut expressions {
            for line in &innocent {
                while trial::matches(&expression.source(), &line.text) && expression.narrow(line) {}
            }
        }
        drop_covered(&mut expressions);
        Ok(Draft {
            name: String::new(),
            source,
            dating,
            daemons,
            accused,
            expressions,
        })
    }

    /// The failregexes with what stands before each of them in the filter's file.
    fn failregexes(&self) -> Vec<String> {
        let prefix = match (self.daemons.is_empty(), self.has_prefregex()) {
            (false, false) => "%(__prefix_line)s",
            _ => "",
        };
        let sources = self.expressions.iter().map(DraftRegex::source);
        sources
            .map(|source| format!("^{prefix}{}$", safe(&source)))
            .collect()
    }

    /// Whether lines begin alike and several expressions follow: the beginning is then looked for once.
    fn has_prefregex(&self) -> bool {
        !self.daemons.is_empty() && self.expressions.len() > 1
    }

    /// The filter's file.
    pub fn filter_file(&self) -> String {
        let mut text = format!("# Drawn up by ferroban filter new for {}.\n", self.name);
        if !self.daemons.is_empty() {
            let names: Vec<String> = self.daemons.iter().map(|name| escaped(name)).collect();
            let names = match &names[..] {
                [name] => name.clone(),
                names => format!("(?:{})", names.join("|")),
            };
            text.push_str("\n[INCLUDES]\nbefore = common.conf\n");
            text.push_str(&format!("\n[Definition]\n_daemon = {names}\n\n"));
        } else {
            text.push_str("\n[Definition]\n");
        }
        if self.has_prefregex() {
            let prefregex = "^%(__prefix_line)s<F-CONTENT>.+</F-CONTENT>$";
            text.push_str(&format!("prefregex = {prefregex}\n\n"));
        }
        let failregexes = self.failregexes().join("\n            ");
        text.push_str(&format!("failregex = {failregexes}\n"));
        match &self.dating {
            DraftDate::Known => {}
            DraftDate::Pattern(pattern) => {
                let pattern = pattern.replace('%', "%%");
                text.push_str(&format!("\ndatepattern = {pattern}\n"));
            }
            DraftDate::None => text.push_str(
                "\n# lines have no date: they count when they are read\ndatepattern = {NONE}\n",
            ),
        }
        if let DraftSource::Journal(matches) = &self.source {
            text.push_str(&format!(
                "\njournalmatch = {}\n",
                matches.replace('%', "%%")
            ));
        }
        text
    }

    /// The jail's file.
    pub fn jail_file(&self) -> String {
        let name = &self.name;
        let source = match &self.source {
            DraftSource::Log(path) => {
                format!("backend = auto\nlogpath = {}\n", path.replace('%', "%%"))
            }
            DraftSource::Journal(_) => "backend = systemd\n".to_owned(),
        };
        format!(
            "# Drawn up by ferroban filter new.\n\n[{name}]\nenabled = true\nfilter = {name}\n{source}\
             maxretry = 5\nfindtime = 10m\nbantime = 10m\n"
        )
    }
}

/// Leaves out expressions whose lines are found by one that more lines stand for.
fn drop_covered(expressions: &mut Vec<DraftRegex>) {
    let mut order: Vec<usize> = (0..expressions.len()).collect();
    order.sort_by_key(|&place| std::cmp::Reverse(expressions[place].shape.lines.len()));
    let mut kept: Vec<usize> = Vec::new();
    for place in order {
        let lines = &expressions[place].shape.lines;
        let found = |line: &ShapedLine| {
            let mut sources = kept.iter().map(|&at| expressions[at].source());
            sources.any(|source| trial::matches(&source, &line.text))
        };
        if !lines.iter().all(found) {
            kept.push(place);
        }
    }
    let mut place = 0;
    expressions.retain(|_| {
        place += 1;
        kept.contains(&(place - 1))
    });
}

/// The beginning of a line of syslog or of the journal without its date: `HOST PROGRAM[123]: `.
struct DraftHead {
    program: String,
    /// It names its process.
    process: bool,
    /// How long it is, its blanks included.
    length: usize,
}

fn head(text: &str) -> Option<DraftHead> {
    let of_name = |c: char| c.is_alphanumeric() || "_.-/".contains(c);
    let of_host = |c: char| c.is_alphanumeric() || "_.-:".contains(c);
    let (host, rest) = text.trim_start().split_once(' ')?;
    let length = rest.find(|c| !of_name(c))?;
    let (program, rest) = rest.split_at(length);
    // some leave out the colon behind the process
    let (process, rest) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (process, rest) = rest.split_once(']')?;
            (Some(process), rest.strip_prefix(':').unwrap_or(rest))
        }
        None => (None, rest.strip_prefix(':')?),
    };
    let rest = rest.strip_prefix(' ')?;
    let is_head = host.chars().all(of_host)
        && program.starts_with(char::is_alphabetic)
        && process.is_none_or(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    is_head.then(|| DraftHead {
        program: program.to_owned(),
        process: process.is_some(),
        length: text.len() - rest.len(),
    })
}

/// Whether a line begins with the date as syslog writes it: `Nov 20 10:00:00` or `2026-11-20T10:00:00`.
fn is_syslog(line: &str) -> bool {
    line.starts_with(char::is_alphabetic) || line.as_bytes().get(10) == Some(&b'T')
}
