//! Why a line counts, or does not, in one sentence; and what to do about it.
//!
//! What is told is tried: a change is only named when the regex matches with it. [`date`] is about lines
//! whose date is not found, [`regex`] about where regexes stop.

mod date;
mod regex;

pub use self::date::{candidates, cure, pattern_reach};
pub use self::regex::is_far;
use super::ExplainRun;
use super::marks::{quoted, shown, visible};
use super::near::Near;
use super::places::LinePlaces;
use crate::address::Address;
use crate::datetime::{DateDetector, DateTime, duration};
use crate::filter::{Attempt, Dates, Filter};
use crate::jail::decision::local_time;
use crate::jail::replay::{JudgedFailure, LineKind, ReplayVerdict};
use crate::pattern::FailRegex;
use crate::python::Number;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LineAnswer {
    /// Whether it is a failure of somebody that counts.
    pub counts: bool,
    /// How close it came to counting; to choose among jails.
    pub closeness: u32,
    /// Why, in one sentence.
    pub why: String,
    /// What to do, where that is known.
    pub cure: Option<String>,
}

impl LineAnswer {
    fn not(why: impl Into<String>) -> LineAnswer {
        LineAnswer {
            why: why.into(),
            ..LineAnswer::default()
        }
    }

    fn with(mut self, cure: impl Into<String>) -> LineAnswer {
        self.cure = Some(cure.into());
        self
    }

    fn close(mut self, closeness: u32) -> LineAnswer {
        self.closeness = closeness;
        self
    }
}

/// More close than any regex that does not match.
const MATCHED: u32 = 1_000_000;

/// Answers.
pub fn of(explanation: &ExplainRun<'_>, near: &mut Near) -> LineAnswer {
    let ExplainRun { seen, trace, .. } = explanation;
    if *seen == LineKind::Foreign {
        return LineAnswer::not(
            "the jail reads the journal, which gives no such line: an entry reads HOST NAME[PID]: MESSAGE",
        )
        .with("copy a line of journalctl -o short-iso; where the service writes a file, set backend = auto and logpath in the jail");
    }
    if let Some(judged) = explanation.judged.filter(|judged| !judged.is_empty()) {
        return of_judged(explanation, judged);
    }
    if let Some((index, _)) = trace.ignored_by() {
        return taken_back(explanation, index);
    }
    if let Some((index, _)) = trace.matched() {
        return of_match(explanation, index);
    }
    of_miss(explanation, near)
}

/// A failure, or several.
fn of_judged(explanation: &ExplainRun<'_>, judged: &[JudgedFailure]) -> LineAnswer {
    let told: Vec<String> = judged.iter().map(|one| verdict(explanation, one)).collect();
    let counts = judged.iter().any(|one| {
        !matches!(
            one.verdict,
            ReplayVerdict::Ignored(_) | ReplayVerdict::Unresolved
        )
    });
    let mut why = told.join("; ");
    if explanation.undated() && counts {
        why.push_str("; it has no date that there is, so that a server takes it as of now");
    }
    let answer = LineAnswer {
        counts,
        closeness: MATCHED + u32::from(counts),
        why,
        cure: None,
    };
    let first = judged.first().map(|one| &one.verdict);
    if first == Some(&ReplayVerdict::Unresolved)
        && let Some(answer) = cut_address(explanation)
    {
        return answer;
    }
    match first {
        Some(ReplayVerdict::Ignored(_)) => answer.with("take the address out of what is named there if it is to be banned"),
        Some(ReplayVerdict::Unresolved) => answer.with("write <ADDR> in the failregex where the log has addresses; names are looked up by the server alone"),
        _ => answer,
    }
}

/// A host name that is a piece of a word: what stands before it in the regex has taken its beginning.
fn cut_address(explanation: &ExplainRun<'_>) -> Option<LineAnswer> {
    let trace = &explanation.trace;
    let (_, marks) = trace.matched()?;
    let mark = marks.iter().find(|mark| mark.name == "dns")?;
    let text = trace.seen();
    let is_part = |sign: char| sign.is_alphanumeric() || matches!(sign, '.' | '-' | '_' | ':');
    let before = text.get(..mark.start)?;
    let word = before.trim_end_matches(is_part).len();
    let whole = text.get(word..mark.end).filter(|_| word < mark.start)?;
    let id = shown(text.get(mark.start..mark.end)?);
    let place = explanation.places.of_filter("failregex");
    let why = format!(
        "<HOST> takes only {id} of {}, as what stands before it in the failregex takes the rest{place}",
        shown(whole)
    );
    let cure =
        "write before <HOST> what ends where the address begins, such as a blank, and no .* or .+";
    Some(LineAnswer::not(why).close(MATCHED).with(cure))
}

/// What came of one failure.
pub fn verdict(
    explanation: &ExplainRun<'_>,
    JudgedFailure { id, verdict }: &JudgedFailure,
) -> String {
    let id = visible(id);
    match verdict {
        ReplayVerdict::Unresolved => {
            format!("{id} is a host name; the jail would count each of its addresses")
        }
        ReplayVerdict::Ignored(by) => format!(
            "{id} is ignored by {}",
            rule(explanation.places, explanation.ignored, by, &id)
        ),
        ReplayVerdict::Counted { standing, enough } => {
            let within = duration::format(Number::Int(explanation.findtime as i64));
            format!("{id} fails, {standing} of {enough} within {within}")
        }
        ReplayVerdict::Banned { failures, until } => {
            let until = until.map_or("for ever".to_owned(), |until| {
                format!("until {}", local_time(until))
            });
            format!("{id} is banned {until}, after {failures} failures")
        }
        ReplayVerdict::Already => format!("{id} is banned already"),
        ReplayVerdict::Expired => format!("{id} would be banned, but the ban would be over"),
    }
}

fn taken_back(explanation: &ExplainRun<'_>, index: usize) -> LineAnswer {
    let regex = explanation.filter.ignoreregexes().get(index);
    let source = regex.map(FailRegex::source).unwrap_or_default();
    let place = explanation.places.of_filter("ignoreregex");
    LineAnswer::not(format!(
        "ignoreregex #{} takes it back: {}{place}",
        index + 1,
        quoted(source)
    ))
    .close(MATCHED)
    .with("make the ignoreregex match less if the line is an attack")
}

/// A failregex matches, and there is no failure.
fn of_match(explanation: &ExplainRun<'_>, index: usize) -> LineAnswer {
    let number = index + 1;
    let trace = &explanation.trace;
    if explanation.judged.is_none()
        && let Some(answer) = cut_address(explanation)
    {
        return answer;
    }
    if explanation.judged.is_none()
        && let Some(JudgedFailure { id, .. }) = explanation.found.first()
    {
        return LineAnswer {
            counts: true,
            closeness: MATCHED,
            why: format!("failregex #{number} matches, a failure of {}", visible(id)),
            cure: None,
        };
    }
    let why = match &trace.session {
        Some(session) if session.pending => format!(
            "failregex #{number} matches, and the failure waits until a line of its session names an address"
        ),
        Some(_) => format!(
            "failregex #{number} matches, no failure in itself: the line is kept for its session"
        ),
        None => format!(
            "failregex #{number} matches, and what it takes for the address is none that counts (usedns = no leaves names out)"
        ),
    };
    LineAnswer::not(why).close(MATCHED)
}

fn of_miss(explanation: &ExplainRun<'_>, near: &mut Near) -> LineAnswer {
    let ExplainRun {
        line,
        trace,
        filter,
        ..
    } = explanation;
    let line_ends = line.trim_end_matches('\n');
    let text = trace.text.as_str();
    if line.contains('\0') {
        return LineAnswer::not("the line has NUL bytes in it: the log is written in UTF-16, or was cut off while it was written")
            .with("set logencoding = utf-16 in the jail, or have the service write UTF-8");
    }
    if let Some(answer) = odd_signs(filter, text) {
        return answer;
    }
    if let Some(answer) = date::missing(explanation, line_ends, explanation.present) {
        return answer;
    }
    if let Some(answer) = date::left_in(explanation, line_ends) {
        return answer;
    }
    if filter.maxlines() == 1
        && let Some(index) = regex::of_several_lines(filter, text)
    {
        let number = index + 1;
        let place = explanation.places.of_filter("failregex");
        return LineAnswer::not(format!("failregex #{number} wants several lines (\\n or <SKIPLINES>), and the jail looks at one at a time: maxlines is 1{place}"))
            .with("set maxlines in the filter to as many lines as it spans");
    }
    if let (Some(Attempt::Stopped(reach)), Some(prefregex)) = (&trace.prefregex, filter.prefregex())
    {
        let help = near.prefregex(filter, text);
        let place = explanation.places.of_filter("prefregex");
        return regex::stopped_at(
            "prefregex",
            prefregex,
            *reach,
            help,
            text,
            &place,
            filter.usedns(),
        );
    }
    if trace.failregexes.contains(&Attempt::GaveUp) {
        return LineAnswer::not("a failregex takes too many steps on this line, which counts as no match")
            .with("ferroban lint --notes names regexes that backtrack; anchor them, and write classes in place of .*");
    }
    regex::of_all(explanation, near)
}

/// Signs that nobody sees.
fn odd_signs(filter: &Filter, text: &str) -> Option<LineAnswer> {
    let text = text.trim_end_matches('\n');
    let uncoloured = uncoloured(text);
    let bare: String = text
        .chars()
        .filter(|sign| !matches!(sign, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}'))
        .collect();
    let trimmed = text.trim_end();
    let (why, cure) = if trimmed != text && text.ends_with('\r') && matches(filter, trimmed) {
        (
            "the line ends with \\r, which the regex does not expect: the log has line ends of Windows",
            "have the service write plain line ends, or end the regex with \\s*$",
        )
    } else if trimmed != text && matches(filter, trimmed) {
        (
            "the line ends with blanks, which the regex does not expect",
            "end the regex with \\s*$",
        )
    } else if uncoloured != text && matches(filter, &uncoloured) {
        (
            "the line has colour codes (\\x1b[…m) in it, which the regex does not expect",
            "switch colours off in the service, as with NO_COLOR=1 or an option of its log",
        )
    } else if bare != text && matches(filter, &bare) {
        (
            "the line has invisible characters in it, such as a BOM at the beginning of the log, which the regex does not expect",
            "have the service write UTF-8 without a BOM",
        )
    } else {
        return None;
    };
    Some(LineAnswer::not(why).with(cure).close(MATCHED / 2))
}

/// A text without the sequences by which terminals change colours.
fn uncoloured(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|sign: char| sign.is_ascii_digit() || sign == ';');
        out.push_str(rest.strip_prefix(['m', 'K']).unwrap_or(part));
    }
    out
}

/// Whether a text has a failure for the filter, with its prefregex; ignoreregexes are not asked.
fn matches(filter: &Filter, text: &str) -> bool {
    let mut text = format!("{text}\n");
    if let Some(prefregex) = filter.prefregex() {
        let Ok(Some(found)) = prefregex.regex().search(&text) else {
            return false;
        };
        let content = prefregex
            .groups()
            .content
            .and_then(|group| found.group(group));
        if let Some((start, end)) = content.filter(|(start, end)| start < end) {
            text = format!("{}\n", &text[start..end]);
        }
    }
    let mut regexes = filter.failregexes().iter();
    regexes.any(|regex| matches!(regex.regex().search(&text), Ok(Some(_))))
}

/// A line that the journal never gives, taken as the message of an entry of a program that the jail looks
/// for.
pub fn of_message(explanation: &ExplainRun<'_>, answer: LineAnswer) -> LineAnswer {
    let filter = explanation.filter;
    let line = explanation.line.trim_end_matches('\n');
    let date = DateDetector::default().find(line, explanation.present);
    let undated = date
        .filter(|date| date.start == 0)
        .map(|date| &line[date.end..]);
    let messages = [Some(line), undated.map(str::trim_start)];
    for program in explanation.places.programs() {
        for message in messages.iter().flatten() {
            let entry = format!("HOST {program}[1]: {message}");
            if matches(filter, &entry) {
                let why = format!(
                    "{}; as the message of {program}, {}, it would match",
                    answer.why,
                    shown(&entry)
                );
                return LineAnswer { why, ..answer }.close(MATCHED / 2);
            }
        }
    }
    answer
}

/// Another mode of the filter takes the line.
pub fn of_mode(explanation: &ExplainRun<'_>, mode: &str) -> LineAnswer {
    let place = explanation.places.of_filter("mode");
    LineAnswer::not(format!(
        "the mode of the filter leaves it out, and with mode = {mode} it would count{place}"
    ))
    .with(format!(
        "set mode = {mode} in the jail if such lines are to count"
    ))
    .close(MATCHED / 2)
}

/// Which word of `ignoreip` covers an id.
fn covering(words: &[String], id: &Address) -> Option<String> {
    let Address::Ip(ip) = id else {
        return None;
    };
    let covers = |word: &&String| match Address::parse(word) {
        Address::Ip(other) => other == *ip,
        Address::Net(net) => net.contains(ip),
        Address::Raw(_) => false,
    };
    words.iter().find(covers).cloned()
}

impl ExplainRun<'_> {
    /// Whether no date is found in the line, though the jail looks for one.
    pub fn undated(&self) -> bool {
        matches!(self.filter.dates(), Dates::Detector(_))
            && matches!(self.seen, LineKind::Line)
            && !matches!(&self.trace.date, Some(date) if date.time != DateTime::Invalid)
    }
}

/// The rule that ignores an id, with the place where it was written.
pub fn rule(places: &LinePlaces, ignored: &[String], by: &str, id: &str) -> String {
    let (option, text) = match by {
        "ip" => {
            let word = covering(ignored, &Address::parse(id));
            ("ignoreip", format!("ignoreip {}", word.unwrap_or_default()))
        }
        "dns" => ("ignoreip", "a name in ignoreip".to_owned()),
        "ignoreself rule" => (
            "ignoreself",
            "ignoreself, as an address of this machine".to_owned(),
        ),
        other => ("ignoreip", other.to_owned()),
    };
    format!("{}{}", text.trim_end(), places.at(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(uncoloured("\u{1b}[1;31mno\u{1b}[0m x\u{1b}[K"), "no x");
        assert_eq!(uncoloured("a [0m b"), "a [0m b");
    }
}
