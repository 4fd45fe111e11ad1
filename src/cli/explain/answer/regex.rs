//! Why regexes do not match, and what would help.

use super::LineAnswer;
use crate::cli::explain::ExplainRun;
use crate::cli::explain::marks::{quoted, shown, tail};
use crate::cli::explain::near::Near;
use crate::filter::{Attempt, Filter};
use crate::pattern::{FailRegex, Help, Reach, RegexChange, UseDns};

/// The failregex of which a part between its line ends matches a text, and the whole would match only with
/// the lines around it.
pub fn of_several_lines(filter: &Filter, text: &str) -> Option<usize> {
    let text = format!("{text}\n");
    filter.failregexes().iter().position(|regex| {
        let source = regex.source().replace("<SKIPLINES>", "\\n");
        let mut parts = source.split("\\n");
        // one that is within brackets does not part the regex into two
        let parts: Vec<FailRegex> = match source.contains("\\n") {
            true => parts
                .by_ref()
                .map_while(|part| FailRegex::new(part, filter.usedns(), false).ok())
                .collect(),
            false => return false,
        };
        parts.len() > 1
            && parts.len() == source.matches("\\n").count() + 1
            && parts
                .iter()
                .any(|part| matches!(part.regex().search(&text), Ok(Some(_))))
    })
}

/// None of the failregexes matches.
pub fn of_all(explanation: &ExplainRun<'_>, near: &mut Near) -> LineAnswer {
    let ExplainRun { trace, filter, .. } = explanation;
    let place = explanation.places.of_filter("failregex");
    let furthest = trace.furthest().filter(|(_, reach)| is_far(*reach));
    let first = furthest.map(|(index, _)| index);
    let seen = trace.seen();
    let (index, help) = match near.failregex(filter, first, seen) {
        Some((index, help)) => (index, Some(help)),
        None => (first.unwrap_or(0), None),
    };
    let regexes = filter.failregexes();
    let Some(regex) = regexes.get(index) else {
        return LineAnswer::not("the filter has no failregex");
    };
    if first.is_none() && help.is_none() && regexes.len() > 1 {
        return LineAnswer::not(format!(
            "none of the {} failregexes begins to match {}{place}",
            regexes.len(),
            shown(seen.trim_end_matches('\n'))
        ));
    }
    let reach = match trace.failregexes.get(index) {
        Some(Attempt::Stopped(reach)) => *reach,
        // not asked, as the prefregex leaves nothing
        _ => None,
    };
    let name = match filter.failregexes().len() {
        1 => "the failregex".to_owned(),
        _ => format!("failregex #{}", index + 1),
    };
    stopped_at(&name, regex, reach, help, seen, &place, filter.usedns())
}

/// Whether a regex came as far as to be worth a word.
pub fn is_far(reach: Reach) -> bool {
    /// Fewer letters are in any text.
    const FEW: u32 = 3;
    reach.text > 0 && reach.literals >= FEW
}

/// Why one regex does not match, and what would help.
pub fn stopped_at(
    name: &str,
    regex: &FailRegex,
    reach: Option<Reach>,
    help: Option<Help>,
    text: &str,
    place: &str,
    usedns: UseDns,
) -> LineAnswer {
    let source = regex.source();
    if let Some(reference) = unfilled(source) {
        return LineAnswer::not(format!(
            "{name} has {} in it as text, and no line has that{place}",
            quoted(reference)
        ))
        .with("such names are filled in within filter files alone, of options in the file and those it includes (before = common.conf): give the name of the filter in place of its regex");
    }
    let text = text.trim_end_matches('\n');
    let closeness = reach.map_or(0, |reach| reach.literals);
    let Some(help) = help else {
        return stopped(name, source, reach, text, place, usedns).close(closeness);
    };
    let before = text.get(..help.start).unwrap_or_default();
    let after = text.get(help.end..).unwrap_or_default();
    let (why, cure) = match &help.change {
        RegexChange::NoBegin => (
            format!(
                "{name} wants the text to begin with {}; it begins with {}; without ^ it would match{place}",
                quoted(beginning(source)),
                shown(before)
            ),
            "write what stands before it behind the ^ (the date is cut out of the text first)"
                .to_owned(),
        ),
        RegexChange::NoEnd => (
            format!(
                "{name} ends with $, and the text goes on with {}; without $ it would match{place}",
                shown(after)
            ),
            "write before the $ what the line goes on with".to_owned(),
        ),
        RegexChange::Neither => (
            format!(
                "{name} wants all of the text, which begins with {} and goes on with {}; without ^ and $ it would match{place}",
                shown(before),
                shown(after)
            ),
            "write what stands before and behind it between ^ and $".to_owned(),
        ),
        RegexChange::NoQuotes => (
            format!(
                "{name} stands in quotes, which are part of it and which no line has; without them it would match{place}"
            ),
            "take the quotes away: the value goes to the end of the line".to_owned(),
        ),
        RegexChange::Without { from, to } => {
            let part = source.get(*from..*to).unwrap_or_default();
            let column = source.get(..*from).unwrap_or_default().chars().count() + 1;
            (
                format!(
                    "{name} wants {} at character {column}, and nothing in the text stands there; without it it would match{place}",
                    quoted(part)
                ),
                format!(
                    "take that {} away, or write {}? if it may stand there",
                    quoted(part),
                    quoted(part).replace('`', "")
                ),
            )
        }
        RegexChange::AnyCase => (
            format!("{name} differs from the text in upper and lower case alone{place}"),
            "write it as the log does, or put (?i) before it".to_owned(),
        ),
        RegexChange::AnyBlanks => (
            format!(
                "{name} differs from the text in blanks alone: {}{place}",
                halted(reach, source, text, usedns)
            ),
            "write \\s+ where the log may have tabs or more than one blank".to_owned(),
        ),
        RegexChange::Plain { at, sign, .. } => {
            let column = source.get(..*at).unwrap_or_default().chars().count() + 1;
            (
                format!(
                    "{name} has a {sign} at character {column} that is special in a regex and stands for no {sign} of the text; as \\{sign} it would match{place}"
                ),
                match sign {
                    '[' => "write \\[ and \\]".to_owned(),
                    '(' => "write \\( and \\)".to_owned(),
                    sign => format!("write \\{sign}"),
                },
            )
        }
        RegexChange::AllPlain { at, sign } => {
            let column = source.get(..*at).unwrap_or_default().chars().count() + 1;
            (
                format!(
                    "{name} has characters, from the {sign} at character {column} on, that are special in a regex and stand for none of the text; with a backslash before each it would match{place}"
                ),
                "write a backslash before each that stands for itself, as in \\[ and \\("
                    .to_owned(),
            )
        }
    };
    LineAnswer::not(why).with(cure).close(closeness.max(1))
}

/// A reference to an option that nobody has filled in.
fn unfilled(source: &str) -> Option<&str> {
    let at = source.find("%(")?;
    let end = source[at..].find(")s")?;
    let name = source.get(at + 2..at + end)?;
    let is_name = |sign: char| sign.is_alphanumeric() || matches!(sign, '_' | '-' | '/');
    let is_one = !name.is_empty() && name.chars().all(is_name);
    is_one.then(|| &source[at..at + end + 2])
}

/// A regex that no small change helps.
fn stopped(
    name: &str,
    source: &str,
    reach: Option<Reach>,
    text: &str,
    place: &str,
    usedns: UseDns,
) -> LineAnswer {
    let begins = source.trim_start_matches("(?i)").starts_with('^');
    let far = reach.filter(|reach| is_far(*reach));
    match (far, begins) {
        (Some(_), _) => LineAnswer::not(format!(
            "{name} does not match: {}{place}",
            halted(reach, source, text, usedns)
        )),
        (None, true) => LineAnswer::not(format!(
            "{name} wants the text to begin with {}; it begins with {}{place}",
            quoted(beginning(source)),
            shown(text)
        )),
        (None, false) => LineAnswer::not(format!(
            "{name} does not match: nothing in the text is like its {}{place}",
            quoted(beginning(source))
        )),
    }
}

/// Where a regex stopped.
fn halted(reach: Option<Reach>, source: &str, text: &str, usedns: UseDns) -> String {
    let Some(reach) = reach else {
        return format!(
            "it begins with {}, the text with {}",
            quoted(beginning(source)),
            shown(text)
        );
    };
    let at = reach.text.min(text.len());
    let after = tail(text.get(..at).unwrap_or_default());
    let wanted = source.get(reach.source..).unwrap_or_default();
    let left = match text.get(at..).unwrap_or_default() {
        "" => "the text ends there".to_owned(),
        rest => format!("there stands {}", shown(rest)),
    };
    let names = match usedns {
        UseDns::No
            if wanted.starts_with("<HOST>") && text[at..].starts_with(char::is_alphabetic) =>
        {
            "; with usedns = no <HOST> takes no names"
        }
        _ => "",
    };
    format!(
        "after {after} it wants {}, and {left}{names}",
        quoted(wanted)
    )
}

/// What a regex wants first: behind `^` and what may be nothing.
fn beginning(source: &str) -> &str {
    let mut rest = source;
    for lead in ["(?i)", "^", "\\s*", " *", "\\s+"] {
        rest = rest.strip_prefix(lead).unwrap_or(rest);
    }
    let special = |sign: char| "\\[(.?*+{|<$^".contains(sign);
    match rest.find(special) {
        Some(at) if at >= 3 => {
            // a repeat belongs to the sign before it
            let repeat = rest[at..].starts_with(['?', '*', '+', '{']);
            let end = rest[..at]
                .char_indices()
                .next_back()
                .map_or(at, |(last, _)| last);
            &rest[..if repeat { end } else { at }]
        }
        Some(_) => rest,
        None => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_regex_wants_first() {
        for (source, first) in [
            (r"^\s*WebAPI: <HOST>", "WebAPI: "),
            ("^logins? of", "login"),
            ("^<HOST> no", "<HOST> no"),
            ("(?i)^deny$", "deny"),
        ] {
            assert_eq!(beginning(source), first);
        }
    }
}
