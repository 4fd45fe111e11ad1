//! Checks the lines of one file for valid syntax that is likely a mistake, such as a list that continues
//! without indent.
#![forbid(unsafe_code)]

use super::{LintFindings, Severity};
use crate::address::Address;
use crate::config::ConfigPlace;
use crate::config::ini::comment_start;
use crate::config::section::FileLine;
use crate::python::text::quoted;

/// Options whose values are regexes.
const REGEXES: [&str; 4] = ["failregex", "ignoreregex", "prefregex", "datepattern"];

/// A line that belongs to an option.
struct OptionLine<'a> {
    number: usize,
    /// As it stands in the file.
    text: &'a str,
    /// Where a comment begins that cuts it.
    comment: Option<usize>,
    /// The option it belongs to or, of a line that begins one, its name as written.
    option: &'a str,
    /// The option that was written before the one that begins here.
    begins_after: Option<&'a str>,
}

/// What a rule has to say: the byte of the line, and the message.
type Told = Option<(usize, String)>;

type Rule = fn(&OptionLine<'_>) -> Told;

/// Each with the kind of its findings.
const RULES: [(&str, Rule); 2] = [("unindented", unindented), ("cut", cut)];

/// Looks through the text of a file.
pub(super) fn look(text: &str, path: &str, findings: &mut LintFindings<'_>) {
    for line in lines(text) {
        for (kind, rule) in RULES {
            let Some((byte, message)) = rule(&line) else {
                continue;
            };
            let place = at(path, u32::try_from(line.number).unwrap_or(u32::MAX));
            let place = place.map(|place| crate::config::ConfigPlace {
                text: line.text.trim().to_owned(),
                ..place
            });
            let column = u32::try_from(line.text[..byte].chars().count() + 1).ok();
            findings.add_at_column(Severity::Warning, kind, place, column, message);
        }
    }
}

/// The option of the nearest line above that belongs to one.
pub(super) fn option_above(text: &str, number: usize) -> Option<&str> {
    let lines = lines(text).into_iter();
    let line = lines.take_while(|line| line.number < number).last()?;
    // nothing but comments stands between them
    let between = text.lines().take(number - 1).skip(line.number);
    let is_nothing = |line: &str| comment_start(line) == Some(0) || line.trim().is_empty();
    between.into_iter().all(is_nothing).then_some(line.option)
}

/// A line of a file, as findings name it.
pub(super) fn at(path: &str, line: u32) -> Option<ConfigPlace> {
    let origin = FileLine {
        file: path.into(),
        line,
    };
    Some(origin.into())
}

/// The lines with something of an option.
fn lines(text: &str) -> Vec<OptionLine<'_>> {
    let mut found = Vec::new();
    // name and indent of the option that goes on
    let mut open: Option<(&str, usize)> = None;
    for (number, text) in (1..).zip(text.lines()) {
        let comment = comment_start(text);
        let value = text[..comment.unwrap_or(text.len())].trim();
        if value.is_empty() {
            continue;
        }
        let indent = text.chars().take_while(|c| c.is_whitespace()).count();
        let goes_on = open.filter(|(_, own)| indent > *own);
        let begins_after = open.map(|(option, _)| option).filter(|_| goes_on.is_none());
        if goes_on.is_none() {
            let end = value.find(['=', ':']).filter(|_| !value.starts_with('['));
            open = end.map(|end| (value[..end].trim_end(), indent));
        }
        if let Some((option, _)) = open {
            found.push(OptionLine {
                number,
                text,
                comment: comment.filter(|at| *at > 0),
                option,
                begins_after,
            });
        }
    }
    found
}

/// A line that counts as an option of its own, though it looks like more of the one above.
fn unindented(line: &OptionLine<'_>) -> Told {
    let above = line.begins_after?;
    let name = line.option;
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let is_odd = name.starts_with('/')
        || name.contains(['^', '$', '\\', '(', ')', '<', '>', '[', ']', '*', '"', '|'])
        || (above.eq_ignore_ascii_case("ignoreip") && is_digits(name));
    is_odd.then(|| {
        let byte = line.text.find(name).unwrap_or_default();
        (
            byte,
            format!(
                "this counts as an option named {}: indent it if it belongs to {above} above",
                quoted(name)
            ),
        )
    })
}

/// A value that ends at a `;` in the midst of it.
fn cut(line: &OptionLine<'_>) -> Told {
    let at = line.comment?;
    let off = &line.text[at + 1..];
    let kept = line.text[..at].trim();
    let option = line.option.to_lowercase();
    let is_regex = REGEXES.contains(&option.as_str())
        && !kept.ends_with('$')
        && off.contains(['<', '\\', '$', '^', '*', '(', '[']);
    let is_address = |word: &str| Address::parse_ip(word.trim_end_matches([',', ';'])).is_some();
    let is_list = option == "ignoreip" && off.split_whitespace().any(is_address);
    match (is_regex, is_list) {
        (true, _) => Some((
            at,
            "a ; behind a blank begins a comment, so the regex ends before it: write [;] for it".to_owned(),
        )),
        (_, true) => Some((
            at,
            "a ; behind a blank begins a comment, so the list ends before it: put blanks between addresses"
                .to_owned(),
        )),
        _ => None,
    }
}
