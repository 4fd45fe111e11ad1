//! Finds mistakes that are visible in the text of regexes: one function per rule, all in [`RULES`].
//!
//! A rule gets a regex as the server does, with all references expanded, and reports which part of it is
//! wrong; [`look`] finds that part in the administrator's own text.
#![forbid(unsafe_code)]

use std::ops::Range;

use python_re::ast::Node;

use super::names::nearest;
use super::{LintFindings, Severity};
use crate::config::ConfigPlace;
use crate::config::files::Files;
use crate::config::filter::FilterOptions;
use crate::config::section::FileLine;
use crate::control::Value;
use crate::pattern::{
    FailRegex, PatternError, UseDns, class_length, leading_tag, place_in_source, short_tags,
};
use crate::python::text::quoted;

/// What is known of the filter of a jail.
pub(super) struct Around<'a> {
    /// All options of the filter as written.
    pub options: &'a [(String, String)],
    /// Its commands say so.
    pub filter: FilterOptions,
    /// Where the prefregex was written.
    pub prefregex_at: Option<ConfigPlace>,
}

impl Around<'_> {
    fn usedns(&self) -> UseDns {
        match self.filter.usedns.as_deref() {
            Some(value) if value.eq_ignore_ascii_case("no") => UseDns::No,
            _ => UseDns::Warn,
        }
    }

    fn maxlines(&self) -> i64 {
        self.filter.maxlines.unwrap_or(1)
    }
}

/// One regex.
struct CheckedRegex<'a> {
    source: &'a str,
    is_failregex: bool,
    around: &'a Around<'a>,
    /// Where it was written.
    at: Option<&'a ConfigPlace>,
}

impl CheckedRegex<'_> {
    fn regex(&self) -> Option<FailRegex> {
        let multiline = self.around.maxlines() > 1;
        FailRegex::new(self.source, self.around.usedns(), multiline).ok()
    }

    /// Its tags: `<word>`, `</word>` and `<word/>`, each with its place. Groups `(?P<name>…)` are none.
    fn tags(&self) -> impl Iterator<Item = (usize, &str)> {
        let tags = self.source.match_indices('<').filter_map(|(at, _)| {
            let is_group = self.source[..at].ends_with("(?P") || self.source[..at].ends_with("(?");
            Some((at, leading_tag(&self.source[at..]).filter(|_| !is_group)?))
        });
        tags.collect::<Vec<_>>().into_iter()
    }
}

/// What a rule has to say.
struct RuleMessage {
    severity: Severity,
    /// The part of the regex it is about.
    part: Range<usize>,
    /// A word that the jail may have brought into it.
    word: Option<String>,
    message: String,
}

impl RuleMessage {
    fn new(severity: Severity, part: Range<usize>, message: impl Into<String>) -> RuleMessage {
        RuleMessage {
            severity,
            part,
            word: None,
            message: message.into(),
        }
    }
}

type Rule = fn(&CheckedRegex<'_>) -> Option<RuleMessage>;

/// Each with the kind of its findings.
const RULES: [(&str, Rule); 8] = [
    ("left-tag", left_tag),
    ("quotes", quotes),
    ("comment", comment),
    ("two-hosts", two_hosts),
    ("bracket", bracket),
    ("cut-address", cut_address),
    ("one-line", one_line),
    ("prefregex", under_prefregex),
];

/// Where things of a jail stand.
pub(super) struct RegexPlaces<'a> {
    /// A value of a command.
    pub of_value: &'a dyn Fn(usize, usize) -> Option<ConfigPlace>,
    /// A word in what the jail says of its filter.
    pub of_word: &'a dyn Fn(&str) -> Option<ConfigPlace>,
    /// What is written there.
    pub files: &'a dyn Files,
}

/// Looks at the regexes among the commands of a jail, `options` being those of its filter.
pub(super) fn look(
    commands: &[Vec<Value>],
    places: &RegexPlaces<'_>,
    options: &[(String, String)],
    findings: &mut LintFindings<'_>,
) {
    let place = places.of_value;
    let option_of = |words: &[Value]| words.get(2).and_then(Value::as_str).map(str::to_owned);
    let is_prefregex = |words: &Vec<Value>| option_of(words).as_deref() == Some("prefregex");
    let around = Around {
        options,
        filter: FilterOptions::from_commands(commands),
        prefregex_at: commands
            .iter()
            .position(is_prefregex)
            .and_then(|index| place(index, 0)),
    };
    for (index, words) in commands.iter().enumerate() {
        let option = option_of(words).unwrap_or_default();
        let rules = match &*option {
            "addfailregex" | "addignoreregex" | "prefregex" => &RULES[..],
            "datepattern" => &[("quotes", quotes as Rule)],
            _ => continue,
        };
        for (item, source) in values_of(words).iter().enumerate() {
            let at = place(index, item);
            let look = CheckedRegex {
                source: source.as_str().unwrap_or_default(),
                is_failregex: option == "addfailregex",
                around: &around,
                at: at.as_ref(),
            };
            for (kind, rule) in rules {
                let Some(told) = rule(&look) else {
                    continue;
                };
                let word = told.word.as_deref();
                let of_word = word.and_then(|word| Some(((places.of_word)(word)?, word)));
                let (place, column) = match of_word {
                    Some((place, word)) => {
                        let led = at
                            .iter()
                            .map(|at| (at.origin.clone(), place.origin.clone()));
                        findings.led.extend(led);
                        shown(places.files, Some(place), word, 0..word.len())
                    }
                    None => shown(places.files, at.clone(), look.source, told.part),
                };
                findings.add_at_column(told.severity, kind, place, column, told.message);
            }
        }
    }
}

/// The values of a command that sets or adds regexes.
pub(super) fn values_of(words: &[Value]) -> &[Value] {
    match words.get(3) {
        Some(Value::List(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    }
}

/// What is wrong with a regex that cannot be compiled, and where in its text.
pub(super) fn syntax(source: &str) -> Option<(String, Range<usize>)> {
    let Err(PatternError::Syntax { reason, .. }) = FailRegex::new(source, UseDns::Warn, false)
    else {
        return None;
    };
    let (what, at) = reason.split_once(" at position ")?;
    let digits = at.bytes().take_while(u8::is_ascii_digit).count();
    let character = at[..digits].parse().ok()?;
    let start = place_in_source(source, UseDns::Warn, character);
    let end = source[start..].chars().next().map_or(0, char::len_utf8) + start;
    let part = match leading_tag(&source[start..]) {
        Some(tag) => start..start + tag.len(),
        None => start..end,
    };
    let shown = &source[part.clone()];
    let cure = match what {
        _ if shown.starts_with('<') => format!("close {shown} by </{}", &shown[1..]),
        "missing ), unterminated subpattern" => {
            "write \\( for one of the log, or close it".to_owned()
        }
        "unbalanced parenthesis" => "write \\) for one of the log, or open it before".to_owned(),
        "nothing to repeat" | "multiple repeat" => format!("write \\{shown} for one of the log"),
        _ => return Some((format!("no regular expression: {what}"), part)),
    };
    Some((
        format!("no regular expression, {what} at `{shown}`: {cure}"),
        part,
    ))
}

/// The line of the administrator's file in which a part of a regex stands, and the column: that of the
/// line at `place`, or of the only one in its file.
pub(super) fn shown(
    files: &dyn Files,
    place: Option<ConfigPlace>,
    source: &str,
    part: Range<usize>,
) -> (Option<ConfigPlace>, Option<u32>) {
    let Some(mut place) = place else {
        return (None, None);
    };
    let wanted = source.get(part.clone()).unwrap_or_default();
    if wanted.is_empty() {
        return (Some(place), None);
    }
    let before = source.get(..part.start).unwrap_or_default();
    let number = before.matches(wanted).count();
    let bytes = files.read(&place.origin.file).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let line = |number: u32| text.lines().nth(number.saturating_sub(1) as usize);
    let column = |line: &str, byte: usize| u32::try_from(line[..byte].chars().count() + 1).ok();
    if let Some(own) = line(place.origin.line) {
        if place.text.is_empty() {
            own.trim().clone_into(&mut place.text);
        }
        let found = own.match_indices(wanted).nth(number);
        // a line that shows less of the regex than all has it where it can
        if let Some((byte, _)) = found.or_else(|| own.match_indices(wanted).next()) {
            return (Some(place), column(own, byte));
        }
    }
    let mut others = (1..).zip(text.lines()).filter_map(|(number, line)| {
        let byte = line.find(wanted)?;
        let is_comment = line.trim_start().starts_with(['#', ';']);
        (!is_comment).then_some((number, line, byte))
    });
    match (others.next(), others.next()) {
        (Some((number, line, byte)), None) if wanted.len() > 2 => {
            let origin = FileLine {
                file: place.origin.file,
                line: number,
            };
            let text = line.trim().to_owned();
            (Some(ConfigPlace { origin, text }), column(line, byte))
        }
        _ => (Some(place), None),
    }
}

/// Words that people write in angle brackets, and the tag that they mean.
const MEANT: [(&str, &str); 15] = [
    ("USERNAME", "<F-USER>…</F-USER>"),
    ("USER", "<F-USER>…</F-USER>"),
    ("LOGIN", "<F-USER>…</F-USER>"),
    ("IP", "<ADDR>"),
    ("IPADDR", "<ADDR>"),
    ("IPV4", "<IP4>"),
    ("IPV6", "<IP6>"),
    ("ADDRESS", "<ADDR>"),
    ("CLIENT", "<ADDR>"),
    ("HOSTNAME", "<HOST>"),
    ("HOSTIP", "<ADDR>"),
    ("REMOTE", "<ADDR>"),
    ("PORT", "<F-PORT/>"),
    ("ID", "<F-ID/>"),
    ("CONTENT", "<F-CONTENT>…</F-CONTENT>"),
];

/// A tag that nothing replaces, so that lines would have to hold it as it stands.
fn left_tag(look: &CheckedRegex<'_>) -> Option<RuleMessage> {
    for (at, tag) in look.tags() {
        let name = tag.trim_matches(['<', '>', '/']);
        let inside = &tag[1..tag.len() - 1];
        let is_field = name.strip_prefix("F-").is_some_and(|field| {
            field
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"_-".contains(&b))
        });
        if is_field || name == "SKIPLINES" || short_tags().any(|tag| tag == inside) {
            continue;
        }
        let told = |message| RuleMessage::new(Severity::Warning, at..at + tag.len(), message);
        if let Some((word, modes)) = modes_beside(name, look.around.options) {
            let message = format!(
                "no mode {} in this filter, so its regexes are left out: the modes are {}",
                quoted(word),
                modes.join(", ")
            );
            return Some(RuleMessage {
                word: Some(word.to_owned()),
                ..told(message)
            });
        }
        if let Some(meant) = meant_by(name, look.around.options) {
            return Some(told(format!(
                "{tag} is no tag, so lines must hold it as it stands: {meant}"
            )));
        }
    }
    None
}

/// For `mdre-agressive`, which came of `<mdre-<mode>>`, the mode, and those that there are.
fn modes_beside<'a>(
    name: &'a str,
    options: &'a [(String, String)],
) -> Option<(&'a str, Vec<&'a str>)> {
    let end = name.rfind(['-', '_', '/']).filter(|end| *end > 0)?;
    let (begin, word) = name.split_at(end + 1);
    // a part of a regex is no mode
    let is_whole =
        |line: &str| line.starts_with('^') || (line.starts_with("%(") && line.ends_with(")s"));
    let mode = |(option, text): &'a (String, String)| {
        let mode = option.strip_prefix(begin).filter(|mode| !mode.is_empty())?;
        text.lines().all(is_whole).then_some(mode)
    };
    let modes: Vec<&str> = options.iter().filter_map(mode).collect();
    (modes.len() > 1).then_some((word, modes))
}

/// What is to be written for a tag; `None`: it may be meant as it stands.
fn meant_by(name: &str, options: &[(String, String)]) -> Option<String> {
    let upper = name.to_uppercase();
    if upper.starts_with("F-") || short_tags().any(|tag| tag == upper) || upper == "SKIPLINES" {
        return Some(format!("write <{upper}>, tags are in capitals"));
    }
    let names = options.iter().map(|(option, _)| option.as_str());
    if let Some(option) = nearest(name, names, 2) {
        return Some(format!("did you mean <{option}>?"));
    }
    if name != upper {
        return None;
    }
    if let Some((_, tag)) = MEANT.iter().find(|(word, _)| *word == name) {
        return Some(format!("write {tag}"));
    }
    let close = nearest(name, short_tags(), 1).filter(|_| name.len() > 3)?;
    Some(format!("did you mean <{close}>?"))
}

/// Quotes around all of it: they are looked for in the lines.
fn quotes(look: &CheckedRegex<'_>) -> Option<RuleMessage> {
    let source = look.source;
    let quote = source.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let inner = source.strip_prefix(quote)?.strip_suffix(quote)?;
    if inner.contains(quote) {
        return None;
    }
    // behind a quote no line begins, and before one none ends
    let severity = match inner.starts_with('^') || inner.ends_with('$') {
        true => Severity::Warning,
        false => Severity::Note,
    };
    Some(RuleMessage::new(
        severity,
        0..1,
        format!("the {quote} around it are part of it, so lines must hold them: leave them out"),
    ))
}

/// A comment at the end of the line, which there is none.
fn comment(look: &CheckedRegex<'_>) -> Option<RuleMessage> {
    let source = look.source;
    let at = source.match_indices('#').map(|(at, _)| at).find(|at| {
        let words = source[at + 1..].trim_start_matches('#');
        let is_plain = |c: char| c.is_alphanumeric() || " ,.:;!'-_/".contains(c);
        source[..*at].ends_with([' ', '\t'])
            && words.starts_with([' ', '\t'])
            && words.chars().all(is_plain)
            && words.contains(char::is_alphabetic)
    })?;
    let ends = source[..at].trim_end().ends_with('$');
    Some(RuleMessage::new(
        if ends {
            Severity::Warning
        } else {
            Severity::Note
        },
        at..source.len(),
        "a # behind a value begins no comment, so this is part of the regex: write the comment on a line of \
         its own",
    ))
}

/// `<HOST>` twice: a regex has one id.
fn two_hosts(look: &CheckedRegex<'_>) -> Option<RuleMessage> {
    let is_id =
        |tag: &str| ["<HOST>", "<ADDR>", "<SUBNET>", "<IP4>", "<IP6>", "<DNS>"].contains(&tag);
    let mut ids = look.tags().filter(|(_, tag)| is_id(tag));
    let (first, (at, tag)) = (ids.next()?, ids.next()?);
    if look.regex().is_some() {
        return None;
    }
    Some(RuleMessage::new(
        Severity::Error,
        at..at + tag.len(),
        format!(
            "{} and {tag} in one regex, which has one address: keep the one to ban, and write \\S+ for the other",
            first.1
        ),
    ))
}

/// Words that logs have in brackets.
const IN_BRACKETS: [&str; 16] = [
    "client", "error", "warn", "warning", "notice", "info", "debug", "fatal", "crit", "critical",
    "alert", "emerg", "preauth", "auth", "authpriv", "security",
];

/// A `[` that is meant as the bracket in the log.
fn bracket(look: &CheckedRegex<'_>) -> Option<RuleMessage> {
    let source = look.source;
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let length = match rest.as_bytes()[0] {
            b'\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            b'[' => {
                let length = class_length(rest);
                if let Some(message) = meant_as_bracket(rest, length) {
                    return Some(RuleMessage::new(
                        Severity::Warning,
                        at..at + length,
                        message,
                    ));
                }
                length
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        at += length;
    }
    None
}

/// Why the class of this length at the beginning of `rest` is none.
fn meant_as_bracket(rest: &str, length: usize) -> Option<String> {
    let class = &rest[..length];
    let Some(inner) = class[1..].strip_suffix(']') else {
        return Some("this [ is closed nowhere: write \\[ for a bracket of the log".to_owned());
    };
    let is_tag = |(at, _): (usize, &str)| leading_tag(&inner[at..]).is_some();
    if inner.match_indices('<').any(is_tag) {
        return Some(format!(
            "{class} is one of these characters, and no address is found in it: write \\[{inner}\\]"
        ));
    }
    let repeated = rest[length..].starts_with(['*', '+', '?', '{']);
    let is_repeat = ["\\d", "\\w", "\\S", "."].iter().any(|one| {
        inner
            .strip_prefix(one)
            .is_some_and(|rest| rest == "+" || rest == "*")
    });
    let is_word = IN_BRACKETS.contains(&inner.to_lowercase().as_str());
    (!repeated && (is_repeat || is_word)).then(|| {
        format!("{class} is one character of these: write \\[{inner}\\] for brackets of the log")
    })
}

/// Something that takes all it can, right before the address: it leaves one letter of it.
fn cut_address(look: &CheckedRegex<'_>) -> Option<RuleMessage> {
    let source = look.source;
    let is_id =
        |tag: &str| ["<HOST>", "<ADDR>", "<IP4>", "<IP6>", "<SUBNET>", "<DNS>"].contains(&tag);
    for (at, tag) in look.tags().filter(|(_, tag)| is_id(tag)) {
        let before = &source[..at];
        let Some(atom) = before.strip_suffix(['*', '+']) else {
            continue;
        };
        let start = if atom.ends_with(']') {
            let Some(open) = atom.rfind('[') else {
                continue;
            };
            let inner = &atom[open + 1..atom.len() - 1];
            let takes_digits = inner.starts_with('^')
                && !["\\d", "0-9", "\\w", "\\S"]
                    .iter()
                    .any(|part| inner.contains(part));
            if !takes_digits || atom[..open].ends_with('\\') {
                continue;
            }
            open
        } else if atom.ends_with("\\S") || atom.ends_with("\\w") {
            atom.len() - 2
        } else if atom.ends_with('.') && !atom.ends_with("\\.") {
            atom.len() - 1
        } else {
            continue;
        };
        let taken = &source[start..at];
        let left = match tag {
            "<HOST>" | "<DNS>" if look.around.usedns() != UseDns::No => "the last letter",
            _ => "the end",
        };
        return Some(RuleMessage::new(
            Severity::Warning,
            start..at + tag.len(),
            format!(
                "{taken} right before {tag} takes all but {left} of the address: write what stands between \
                 them, as in `from {tag}`"
            ),
        ));
    }
    None
}

/// A regex of several lines in a filter that looks at one.
fn one_line(look: &CheckedRegex<'_>) -> Option<RuleMessage> {
    if look.around.maxlines() > 1 || !look.is_failregex {
        return None;
    }
    let root = look.regex()?.regex().root();
    if !goes_on(&root, &mut false) {
        return None;
    }
    let wanted = ["<SKIPLINES>", "\\n"].into_iter();
    let (at, what) = wanted
        .filter_map(|what| Some((look.source.find(what)?, what)))
        .min()?;
    Some(RuleMessage::new(
        Severity::Warning,
        at..at + what.len(),
        format!(
            "{what} needs several lines, and the filter looks at one: set maxlines = 5 or so in its \
             [Definition]"
        ),
    ))
}

/// Whether something must stand behind a line end that must be there; `ended`: there was one.
fn goes_on(node: &Node, ended: &mut bool) -> bool {
    match node {
        Node::Class(class) if class.as_literal() == Some('\n') => std::mem::replace(ended, true),
        Node::Concat(nodes) => nodes.iter().any(|node| goes_on(node, ended)),
        Node::Group { node, .. } | Node::Atomic(node) => goes_on(node, ended),
        Node::Repeat { node, min: 1.., .. } => goes_on(node, ended),
        node => *ended && node.min_width() > 0,
    }
}

/// A failregex for the whole line, where an inherited prefregex leaves it a part.
fn under_prefregex(look: &CheckedRegex<'_>) -> Option<RuleMessage> {
    if !look.is_failregex {
        return None;
    }
    let usedns = look.around.usedns();
    let source = look
        .around
        .filter
        .prefregex
        .as_deref()
        .filter(|source| !source.is_empty())?;
    let (own, inherited) = (look.at?, look.around.prefregex_at.as_ref()?);
    // what is taken over from the filter fits it
    if own.origin.file == inherited.origin.file || own.text.contains("%(known/") {
        return None;
    }
    let prefregex = FailRegex::new(source, usedns, false).ok()?;
    let content = prefregex.groups().content?;
    let regex = look.regex()?;
    let example = regex.example(None)?;
    let lines = [Some(example.clone()), prefregex.example(Some(&example))];
    let left_over = lines.into_iter().flatten().find_map(|line| {
        let found = prefregex.regex().search(&line).ok().flatten()?;
        let (start, end) = found.group(content)?;
        let left = line.get(start..end)?.to_owned();
        let misses = regex.regex().is_match(&left).is_ok_and(|matches| !matches);
        misses.then_some((line, left))
    });
    let (line, left) = left_over?;
    Some(RuleMessage::new(
        Severity::Warning,
        0..0,
        format!(
            "of a line such as `{line}` the prefregex of {} leaves this regex only `{left}`: begin the \
             regex there, or write prefregex = beside it",
            inherited.origin
        ),
    ))
}
