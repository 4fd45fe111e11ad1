//! One date template: how its pattern is compiled, and what a match of it means.
//!
//! In: a line of a `datepattern`. Out: the span to cut and the instant. Facts D4–D11.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::calendar::LocalTime;
use super::civil::{self, DateContext, Lifetime};
use super::patterns::{self, LINE_BEGIN};
use super::program::{Begin, BuiltIn, Clues, Program, Spans};
use super::syntax::{self, DateField, YearWindow, field_of, refuse};
use super::{DatePatternError, DateTime};
use crate::pattern::{Flags, Regex};
use crate::python::text::strip;

const UNBOUND: &str = "{UNB}";

/// What a pattern is known by: the names of built-in forms may be written in any case.
fn key(pattern: &str) -> Cow<'_, str> {
    match pattern.contains('%') {
        true => Cow::Borrowed(pattern),
        false => Cow::Owned(pattern.to_uppercase()),
    }
}

/// What the text of a match is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TemplateMeaning {
    /// Calendar fields.
    Fields,
    /// Seconds since 1970 in this group; `long`: or thousandths or millionths.
    Epoch { group: usize, long: bool },
    /// A TAI64N label.
    Tai64n,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct DateTemplate {
    /// The display name.
    pub name: String,
    /// The pattern as written, for those that have one.
    pub pattern: Option<String>,
    /// The regular expression searched with.
    pub regex: String,
    /// Bound to the line's start or end: a match ends every search (fact D13).
    pub anchored: bool,
    /// It is a default's copy that is bound to the line's start.
    bound_default: bool,
    meaning: TemplateMeaning,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Program(Box<Program>),
    Regex {
        regex: Box<Regex>,
        fields: Vec<(DateField, usize)>,
    },
}

impl DateTemplate {
    /// How much a hit of it counts where the defaults are used, or are not.
    pub fn weight(&self, defaults_are_used: bool) -> f64 {
        match self.bound_default && defaults_are_used {
            true => 100.0,
            false => 1.0,
        }
    }

    /// Compiles one line of a `datepattern`.
    ///
    /// # Errors
    /// Fact D4, or what Python's `re` says of the regular expression.
    pub fn new(pattern: &str, years: YearWindow) -> Result<DateTemplate, DatePatternError> {
        let mut template = DateTemplate::read(pattern, years)?;
        template.bound_default = patterns::has_bound(&key(pattern));
        Ok(template)
    }

    fn read(pattern: &str, years: YearWindow) -> Result<DateTemplate, DatePatternError> {
        let folded = key(pattern);
        if folded.contains("EPOCH") && has_markup(pattern, "EPOCH") {
            return DateTemplate::around_epoch(pattern, folded.contains("LEPOCH"));
        }
        let (bare, at_line) = match folded
            .strip_prefix(LINE_BEGIN)
            .or_else(|| folded.strip_prefix('^'))
        {
            Some(bare) => (bare, true),
            None => (&*folded, false),
        };
        match bare {
            "EPOCH" => Ok(DateTemplate::builtin(BuiltIn::Epoch, at_line)),
            "LEPOCH" => Ok(DateTemplate::builtin(BuiltIn::LongEpoch, at_line)),
            "TAI64N" => Ok(DateTemplate::builtin(BuiltIn::Tai64n, at_line)),
            _ => DateTemplate::from_fields(pattern, years),
        }
    }

    fn builtin(form: BuiltIn, at_line: bool) -> DateTemplate {
        let (name, digits) = match form {
            BuiltIn::Epoch => ("Epoch", EPOCH),
            BuiltIn::LongEpoch => ("LongEpoch", LONG_EPOCH),
            BuiltIn::Tai64n => ("TAI64N", "@[0-9a-f]{24}"),
        };
        let prefix = match (at_line, form) {
            (true, _) => r"^(?:\W{0,2})?",
            (false, BuiltIn::Tai64n) => "",
            (false, _) => r"(?:^|(?<=^\[)|(?<=\baudit\())",
        };
        DateTemplate {
            name: format!("{}{name}", if at_line { LINE_BEGIN } else { "" }),
            pattern: None,
            regex: format!(r"{prefix}({digits})(?=\b|\W|$)"),
            anchored: at_line,
            bound_default: false,
            meaning: match form {
                BuiltIn::Tai64n => TemplateMeaning::Tai64n,
                _ => TemplateMeaning::Epoch {
                    group: 1,
                    long: form == BuiltIn::LongEpoch,
                },
            },
            matcher: Matcher::Program(Box::new(Program::builtin(
                if at_line { Begin::Line } else { Begin::Free },
                form,
            ))),
        }
    }

    /// `{EPOCH}` inside a regular expression. The number is looked for in group 2: the first
    /// is the pattern's own or the whole of it.
    fn around_epoch(pattern: &str, long: bool) -> Result<DateTemplate, DatePatternError> {
        let body = if has_group(pattern) {
            pattern.to_owned()
        } else {
            format!("({pattern})")
        };
        let shape = TemplateShape::new(&body, Begin::Word, true);
        let number = if long { LONG_EPOCH } else { EPOCH };
        let text = replace_markup(&shape.body, "LEPOCH", &format!("({number})"));
        let text = replace_markup(&text, "EPOCH", &format!("({number})"));
        let source = shape.regex(&text);
        // One name for both numbers: which is meant was decided by the whole pattern.
        let body = if long {
            replace_markup(&shape.body, "EPOCH", "{LEPOCH}")
        } else {
            shape.body.clone()
        };
        // A percent sign is no token here.
        let program = (!body.contains('%'))
            .then(|| shape.program(&body, YearWindow::around(0)))
            .flatten();
        Ok(DateTemplate {
            name: pattern.to_owned(),
            pattern: None,
            anchored: shape.anchored,
            bound_default: false,
            meaning: TemplateMeaning::Epoch { group: 2, long },
            matcher: match program {
                Some(program) => Matcher::Program(Box::new(program)),
                None => general(pattern, &source)?,
            },
            regex: source,
        })
    }

    fn from_fields(pattern: &str, years: YearWindow) -> Result<DateTemplate, DatePatternError> {
        let (rest, begin, word_end) = match pattern.strip_prefix(UNBOUND) {
            Some(rest) => (rest, Begin::Free, false),
            None => match pattern.strip_prefix(LINE_BEGIN) {
                Some(rest) => (rest, Begin::Line, true),
                None => (pattern, Begin::Word, true),
            },
        };
        let name = syntax::display(rest)?;
        let flags = if syntax::ignores_case(pattern) {
            "(?iu)"
        } else {
            ""
        };
        let shape = TemplateShape::new(&format!("{flags}{rest}"), begin, word_end);
        let source = shape.regex(&syntax::expand(&shape.body, years)?);
        let prefix = if shape.begin == Begin::Line && !name.starts_with(LINE_BEGIN) {
            LINE_BEGIN
        } else {
            ""
        };
        let matcher = match shape.program(&shape.body, years) {
            Some(program) => Matcher::Program(Box::new(program)),
            None => general(rest, &source)?,
        };
        Ok(DateTemplate {
            name: format!("{prefix}{name}"),
            pattern: Some(pattern.to_owned()),
            regex: source,
            anchored: shape.anchored,
            bound_default: false,
            meaning: TemplateMeaning::Fields,
            matcher,
        })
    }

    /// Leftmost match in a line whose clues are known.
    pub fn search_with(&self, line: &str, clues: &Clues) -> Option<Spans> {
        match &self.matcher {
            Matcher::Program(program) => program.search_with(line, clues),
            Matcher::Regex { .. } => self.search(line, 0, line.len()),
        }
    }

    #[cfg(test)]
    pub fn is_program(&self) -> bool {
        matches!(self.matcher, Matcher::Program(_))
    }

    /// Leftmost match in `line[start..end]`.
    pub fn search(&self, line: &str, start: usize, end: usize) -> Option<Spans> {
        match &self.matcher {
            Matcher::Program(program) => program.search(line, start, end),
            Matcher::Regex { regex, .. } => {
                // A search that gave up has not found a date.
                let found = regex.search_range(line, start, end).ok()??;
                let mut spans = Spans::new(found.span());
                for group in 1..regex.group_names().len() {
                    if let Some(span) = found.group(group) {
                        spans.set(group, span);
                    }
                }
                Some(spans)
            }
        }
    }

    /// Whether a match says all about why it is one ([`Spans::looked`]).
    pub fn is_explained(&self) -> bool {
        matches!(&self.matcher, Matcher::Program(program) if program.is_anchored())
    }

    /// The byte that alone decides where in a line an explained match has its date; `None`: its
    /// start.
    pub fn lead(&self) -> Option<u8> {
        match &self.matcher {
            Matcher::Program(program) => program.lead(),
            Matcher::Regex { .. } => None,
        }
    }

    /// The instant a match names, and how long that is so.
    pub fn time(
        &self,
        line: &str,
        spans: &Spans,
        context: &DateContext,
        local: &mut LocalTime,
    ) -> (DateTime, Lifetime) {
        let text = |group| {
            spans
                .group(group)
                .and_then(|(start, end)| line.get(start..end))
        };
        let mut lifetime = Lifetime::ALWAYS;
        let time = match self.meaning {
            TemplateMeaning::Epoch { group, long } => text(group).and_then(|t| epoch(t, long)),
            TemplateMeaning::Tai64n => text(1)
                .and_then(|t| t.get(2..17))
                .and_then(|hex| i64::from_str_radix(hex, 16).ok())
                .map(|seconds| seconds as f64),
            TemplateMeaning::Fields => {
                if text(1).is_some_and(str::is_empty) {
                    return (DateTime::Empty, lifetime);
                }
                let fields = match &self.matcher {
                    Matcher::Program(program) => program.fields(),
                    Matcher::Regex { fields, .. } => fields,
                };
                let fields = fields.iter();
                let fields = fields.filter_map(|&(field, group)| Some((field, text(group)?)));
                let time;
                (time, lifetime) = civil::resolve(fields, context, local);
                time
            }
        };
        (time.map_or(DateTime::Invalid, DateTime::At), lifetime)
    }
}

const EPOCH: &str = r"\d{10,11}\b(?:\.\d{3,6})?";
const LONG_EPOCH: &str = r"\d{10,11}(?:\d{3}(?:\.\d{1,6}|\d{3})?)?";

fn epoch(text: &str, long: bool) -> Option<f64> {
    let number: f64 = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'.')
        .then(|| text.parse().ok())
        .flatten()?;
    Some(if !long || text.len() < 13 {
        number
    } else if text.len() >= 16 && !text.contains('.') {
        number / 1e6
    } else {
        number / 1e3
    })
}

fn general(pattern: &str, source: &str) -> Result<Matcher, DatePatternError> {
    let regex = Regex::new(source, Flags::default())
        .map_err(|reason| refuse(pattern, &reason.to_string()))?;
    let fields = regex
        .group_names()
        .iter()
        .enumerate()
        .filter_map(|(group, name)| Some((field_of(name.as_deref()?)?, group)))
        .collect();
    Ok(Matcher::Regex {
        regex: Box::new(regex),
        fields,
    })
}

/// A pattern without its directives, and what these ask for.
#[derive(Debug)]
struct TemplateShape {
    begin: Begin,
    word_end: bool,
    anchored: bool,
    /// Inline flags as written, `(?iu)`, or nothing.
    flags: String,
    /// The pattern with a group 1, without `**` at its ends; tokens still in it.
    body: String,
}

impl TemplateShape {
    /// Sorts out where a pattern wants boundaries (fact D6). Tokens need not be expanded for
    /// that: none begins or ends with a sign that matters here.
    fn new(pattern: &str, begin: Begin, word_end: bool) -> TemplateShape {
        let (flags, mut body) = take_flags(strip(pattern));
        let begin = if begin != Begin::Free && begins_unbound(&body) {
            Begin::Free
        } else {
            begin
        };
        let word_end = word_end && !ends_unbound(&body);
        if !has_group(&body) {
            let head = usize::from(body.starts_with('^'));
            let tail = body.len() - usize::from(body.len() > head && body.ends_with('$'));
            body = format!("{}({}){}", &body[..head], &body[head..tail], &body[tail..]);
        }
        let anchored = begin == Begin::Line
            || begin == Begin::Free && begins_at_line(&body)
            || !word_end && ends_at_line(&body);
        if begin == Begin::Free {
            let open = body.len() - body.trim_start_matches('(').len();
            if body[open..].starts_with("**") {
                body.replace_range(open..open + 2, "");
            }
        }
        if !word_end {
            let closed = body.trim_end_matches(')').len();
            if body[..closed].ends_with("**") && !body[..closed - 2].ends_with('\\') {
                body.replace_range(closed - 2..closed, "");
            }
        }
        TemplateShape {
            begin,
            word_end,
            anchored,
            flags,
            body,
        }
    }

    /// The regular expression around an expanded body.
    fn regex(&self, body: &str) -> String {
        let begin = match self.begin {
            Begin::Free => "",
            Begin::Word => r"(?=^|\b|\W)",
            Begin::Line => r"^(?:\W{0,2})?",
        };
        let end = if self.word_end { r"(?=\b|\W|$)" } else { "" };
        format!("{}{begin}{body}{end}", self.flags)
    }

    fn program(&self, body: &str, years: YearWindow) -> Option<Program> {
        let letters = self
            .flags
            .strip_prefix("(?")
            .map_or("", |f| f.trim_end_matches(')'));
        letters.bytes().all(|b| matches!(b, b'i' | b'u')).then(|| {
            Program::compile(
                self.begin,
                body,
                self.word_end,
                letters.contains('i'),
                years,
            )
        })?
    }
}

/// Cuts the first `(?flags)` out of a pattern.
fn take_flags(pattern: &str) -> (String, String) {
    for (at, _) in pattern.match_indices("(?") {
        if at > 0 && pattern[..at].ends_with('\\') {
            continue;
        }
        let letters = &pattern[at + 2..];
        let length = letters.bytes().take_while(u8::is_ascii_lowercase).count();
        if length > 0 && letters[length..].starts_with(')') {
            let end = at + 2 + length + 1;
            return (
                pattern[at..end].to_owned(),
                format!("{}{}", &pattern[..at], &pattern[end..]),
            );
        }
    }
    (String::new(), pattern.to_owned())
}

/// Whether there is a group `(…)`; `(?…)` of any kind does not count (fact D8).
fn has_group(pattern: &str) -> bool {
    pattern.match_indices('(').any(|(at, _)| {
        let before = &pattern[..at];
        !pattern[at + 1..].starts_with('?') && !before.ends_with('\\') && !before.ends_with("(?")
    })
}

fn begins_unbound(body: &str) -> bool {
    let inner = body.trim_start_matches('(');
    inner.starts_with('^')
        || inner.starts_with("**")
        || inner.len() < body.len() && inner.starts_with("?:^")
}

fn ends_unbound(body: &str) -> bool {
    let free = |end: &str| {
        body.strip_suffix(end)
            .is_some_and(|head| !head.ends_with('\\'))
    };
    let stars = body.trim_end_matches(')');
    free("$")
        || free("$)")
        || free(r"\b")
        || free(r"\s")
        || stars
            .strip_suffix("**")
            .is_some_and(|head| !head.ends_with('\\'))
}

fn begins_at_line(body: &str) -> bool {
    let group = body
        .strip_prefix("(?:^")
        .or_else(|| body.strip_prefix("(^"))
        .is_some_and(|rest| !rest.starts_with('|'));
    body.starts_with('^') || group
}

fn ends_at_line(body: &str) -> bool {
    ["$", "$)"].iter().any(|end| {
        body.strip_suffix(end)
            .is_some_and(|head| !head.ends_with(['\\', '|']))
    })
}

/// Whether `{NAME}` or, for the epoch, `{LNAME}` stands in a pattern, in any letter case.
pub(super) fn has_markup(pattern: &str, name: &str) -> bool {
    markup(pattern, name).next().is_some()
        || name == "EPOCH" && markup(pattern, "LEPOCH").next().is_some()
}

/// Replaces every `{NAME}`.
pub(super) fn replace_markup(pattern: &str, name: &str, by: &str) -> String {
    let mut out = String::new();
    let mut done = 0;
    for (start, end) in markup(pattern, name) {
        out.push_str(&pattern[done..start]);
        out.push_str(by);
        done = end;
    }
    out.push_str(&pattern[done..]);
    out
}

fn markup(pattern: &str, name: &str) -> impl Iterator<Item = (usize, usize)> {
    pattern.match_indices('{').filter_map(move |(at, _)| {
        let end = at + 1 + name.len() + 1;
        let inside = pattern.get(at + 1..end)?;
        (!pattern[..at].ends_with('\\')
            && inside.ends_with('}')
            && inside[..name.len()].eq_ignore_ascii_case(name))
        .then_some((at, end))
    })
}

/// A default template's text as it goes into `{DATE}`: without directives of its own.
pub(super) fn unbound(text: &str) -> &str {
    let text = text.strip_prefix(UNBOUND).unwrap_or(text);
    text.strip_prefix(LINE_BEGIN).unwrap_or(text)
}
