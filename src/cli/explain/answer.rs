//! Why a line counts, or does not, in one sentence; and what to do about it.
//!
//! What is told is tried: a change is only named when the regex matches with it.

use super::Explanation;
use super::marks::visible;
use super::near::Near;
use super::places::Places;
use crate::address::Address;
use crate::datetime::guess::{self, Guess};
use crate::datetime::{DateDetector, DateTime, duration};
use crate::filter::{Attempt, Dates, Filter};
use crate::jail::decision::local_time;
use crate::jail::replay::{Judged, Seen, Verdict};
use crate::pattern::{Change, FailRegex, Help, Reach, UseDns};
use crate::python::Number;
use crate::ticket::Timestamp;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Whether it is a failure of somebody that counts.
    pub counts: bool,
    /// How close it came to counting; to choose among jails.
    pub closeness: u32,
    /// Why, in one sentence.
    pub why: String,
    /// What to do, where that is known.
    pub cure: Option<String>,
}

impl Answer {
    fn not(why: impl Into<String>) -> Answer {
        Answer {
            why: why.into(),
            ..Answer::default()
        }
    }

    fn with(mut self, cure: impl Into<String>) -> Answer {
        self.cure = Some(cure.into());
        self
    }

    fn close(mut self, closeness: u32) -> Answer {
        self.closeness = closeness;
        self
    }
}

/// So much of a text is shown in a sentence, in characters.
const SHOWN: usize = 48;

/// More close than any regex that does not match.
const MATCHED: u32 = 1_000_000;

/// Answers.
pub fn of(explanation: &Explanation<'_>, near: &mut Near) -> Answer {
    let Explanation { seen, trace, .. } = explanation;
    if *seen == Seen::Foreign {
        return Answer::not(
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
fn of_judged(explanation: &Explanation<'_>, judged: &[Judged]) -> Answer {
    let told: Vec<String> = judged.iter().map(|one| verdict(explanation, one)).collect();
    let counts = judged
        .iter()
        .any(|one| !matches!(one.verdict, Verdict::Ignored(_) | Verdict::Unresolved));
    let mut why = told.join("; ");
    if explanation.undated() && counts {
        why.push_str("; no date is found in it, so that a server takes it as of now");
    }
    let answer = Answer {
        counts,
        closeness: MATCHED + u32::from(counts),
        why,
        cure: None,
    };
    let first = judged.first().map(|one| &one.verdict);
    match first {
        Some(Verdict::Ignored(_)) => answer.with("take the address out of what is named there if it is to be banned"),
        Some(Verdict::Unresolved) if swallowed(explanation).is_some() => {
            let (before, id) = swallowed(explanation).unwrap_or_default();
            let place = explanation.places.of_filter("failregex");
            Answer::not(format!("<HOST> takes only {} of {}, as what stands before it in the failregex takes the rest{place}", shown(&id), shown(&format!("{before}{id}"))))
                .close(MATCHED)
                .with("write before <HOST> what ends where the address begins, such as a blank, and no .* or .+")
        }
        Some(Verdict::Unresolved) => answer.with("write <ADDR> in the failregex where the log has addresses; names are looked up by the server alone"),
        _ => answer,
    }
}

/// What stands directly before a host name that was found, and the name: where that is a piece of a word
/// the regex has swallowed its beginning.
fn swallowed(explanation: &Explanation<'_>) -> Option<(String, String)> {
    let trace = &explanation.trace;
    let (_, marks) = trace.matched()?;
    let mark = marks.iter().find(|mark| mark.name == "dns")?;
    let text = trace.seen();
    let is_part = |sign: char| sign.is_alphanumeric() || matches!(sign, '.' | '-' | '_' | ':');
    let before = text.get(..mark.start)?;
    let word = before.trim_end_matches(is_part).len();
    let before = before.get(word..).filter(|before| !before.is_empty())?;
    Some((
        before.to_owned(),
        text.get(mark.start..mark.end)?.to_owned(),
    ))
}

/// What came of one failure.
pub fn verdict(explanation: &Explanation<'_>, Judged { id, verdict }: &Judged) -> String {
    let id = visible(id);
    match verdict {
        Verdict::Unresolved => {
            format!("{id} is a host name; the jail would count each of its addresses")
        }
        Verdict::Ignored(by) => format!(
            "{id} is ignored by {}",
            rule(explanation.places, explanation.ignored, by, &id)
        ),
        Verdict::Counted { standing, enough } => {
            let within = duration::format(Number::Int(explanation.findtime as i64));
            format!("{id} fails, {standing} of {enough} within {within}")
        }
        Verdict::Banned { failures, until } => {
            let until = until.map_or("for ever".to_owned(), |until| {
                format!("until {}", local_time(until))
            });
            format!("{id} is banned {until}, after {failures} failures")
        }
        Verdict::Already => format!("{id} is banned already"),
        Verdict::Expired => format!("{id} would be banned, but the ban would be over"),
    }
}

fn taken_back(explanation: &Explanation<'_>, index: usize) -> Answer {
    let regex = explanation.filter.ignoreregexes().get(index);
    let source = regex.map(FailRegex::source).unwrap_or_default();
    let place = explanation.places.of_filter("ignoreregex");
    Answer::not(format!(
        "ignoreregex #{} takes it back: {}{place}",
        index + 1,
        quoted(source)
    ))
    .close(MATCHED)
    .with("make the ignoreregex match less if the line is an attack")
}

/// A failregex matches, and there is no failure.
fn of_match(explanation: &Explanation<'_>, index: usize) -> Answer {
    let number = index + 1;
    let trace = &explanation.trace;
    if explanation.judged.is_none() {
        let (_, marks) = trace.matched().unwrap_or_default();
        let ids = ["ip4", "ip6", "dns", "fid", "host"];
        let id = marks.iter().find(|mark| ids.contains(&mark.name.as_str()));
        let whose = id.and_then(|mark| trace.seen().get(mark.start..mark.end));
        let why = match whose {
            Some(id) => format!("failregex #{number} matches, a failure of {}", visible(id)),
            None => format!("failregex #{number} matches"),
        };
        return Answer {
            counts: whose.is_some(),
            closeness: MATCHED,
            why,
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
    Answer::not(why).close(MATCHED)
}

fn of_miss(explanation: &Explanation<'_>, near: &mut Near) -> Answer {
    let Explanation {
        line,
        trace,
        filter,
        ..
    } = explanation;
    let line_ends = line.trim_end_matches('\n');
    let text = trace.text.as_str();
    if line.contains('\0') {
        return Answer::not("the line has NUL bytes in it: the log is written in UTF-16, or was cut off while it was written")
            .with("set logencoding = utf-16 in the jail, or have the service write UTF-8");
    }
    if let Some(answer) = odd_signs(filter, text) {
        return answer;
    }
    if let Some(answer) = date(explanation, line_ends, explanation.present) {
        return answer;
    }
    if let Some(answer) = date_left_in(explanation, line_ends) {
        return answer;
    }
    if filter.maxlines() == 1
        && let Some(regex) = filter.failregexes().iter().position(wants_lines)
    {
        let number = regex + 1;
        let place = explanation.places.of_filter("failregex");
        return Answer::not(format!("failregex #{number} wants several lines (\\n or <SKIPLINES>), and the jail looks at one at a time: maxlines is 1{place}"))
            .with("set maxlines in the filter to as many lines as it spans");
    }
    if let (Some(Attempt::Stopped(reach)), Some(prefregex)) = (&trace.prefregex, filter.prefregex())
    {
        let help = near.prefregex(filter, text);
        let place = explanation.places.of_filter("prefregex");
        return of_regex(
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
        return Answer::not("a failregex takes too many steps on this line, which counts as no match")
            .with("ferroban lint --notes names regexes that backtrack; anchor them, and write classes in place of .*");
    }
    of_failregexes(explanation, near)
}

/// None of the failregexes matches.
fn of_failregexes(explanation: &Explanation<'_>, near: &mut Near) -> Answer {
    let Explanation { trace, filter, .. } = explanation;
    let place = explanation.places.of_filter("failregex");
    let furthest = trace.furthest().filter(|(_, reach)| reach.literals > 0);
    let first = furthest.map(|(index, _)| index);
    let seen = trace.seen();
    let (index, help) = match near.failregex(filter, first, seen) {
        Some((index, help)) => (index, Some(help)),
        None => (first.unwrap_or(0), None),
    };
    let Some(regex) = filter.failregexes().get(index) else {
        return Answer::not("the filter has no failregex");
    };
    let reach = match trace.failregexes.get(index) {
        Some(Attempt::Stopped(reach)) => *reach,
        // not asked, as the prefregex leaves nothing
        _ => None,
    };
    let name = match filter.failregexes().len() {
        1 => "the failregex".to_owned(),
        _ => format!("failregex #{}", index + 1),
    };
    of_regex(&name, regex, reach, help, seen, &place, filter.usedns())
}

/// Why one regex does not match, and what would help.
fn of_regex(
    name: &str,
    regex: &FailRegex,
    reach: Option<Reach>,
    help: Option<Help>,
    text: &str,
    place: &str,
    usedns: UseDns,
) -> Answer {
    let source = regex.source();
    let text = text.trim_end_matches('\n');
    let closeness = reach.map_or(0, |reach| reach.literals);
    let Some(help) = help else {
        return stopped(name, source, reach, text, place, usedns).close(closeness);
    };
    let before = text.get(..help.start).unwrap_or_default();
    let after = text.get(help.end..).unwrap_or_default();
    let (why, cure) = match &help.change {
        Change::NoBegin => (
            format!(
                "{name} wants the text to begin with {}; it begins with {}; without ^ it would match{place}",
                quoted(beginning(source)),
                shown(before)
            ),
            "write what stands before it behind the ^ (the date is cut out of the text first)"
                .to_owned(),
        ),
        Change::NoEnd => (
            format!(
                "{name} ends with $, and the text goes on with {}; without $ it would match{place}",
                shown(after)
            ),
            "write before the $ what the line goes on with".to_owned(),
        ),
        Change::Neither => (
            format!(
                "{name} wants all of the text, which begins with {} and goes on with {}; without ^ and $ it would match{place}",
                shown(before),
                shown(after)
            ),
            "write what stands before and behind it between ^ and $".to_owned(),
        ),
        Change::NoQuotes => (
            format!(
                "{name} stands in quotes, which are part of it and which no line has; without them it would match{place}"
            ),
            "take the quotes away: the value goes to the end of the line".to_owned(),
        ),
        Change::AnyCase => (
            format!("{name} differs from the text in upper and lower case alone{place}"),
            "write it as the log does, or put (?i) before it".to_owned(),
        ),
        Change::AnyBlanks => (
            format!(
                "{name} differs from the text in blanks alone: {}{place}",
                halted(reach, source, text, usedns)
            ),
            "write \\s+ where the log may have tabs or more than one blank".to_owned(),
        ),
        Change::Plain { at, sign, .. } => {
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
        Change::AllPlain { at, sign } => {
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
    Answer::not(why).with(cure).close(closeness.max(1))
}

/// A regex that no small change helps.
fn stopped(
    name: &str,
    source: &str,
    reach: Option<Reach>,
    text: &str,
    place: &str,
    usedns: UseDns,
) -> Answer {
    let begins = source.trim_start_matches("(?i)").starts_with('^');
    let far = reach.filter(|reach| reach.text > 0 && reach.literals > 0);
    match (far, begins) {
        (Some(_), _) => Answer::not(format!(
            "{name} does not match: {}{place}",
            halted(reach, source, text, usedns)
        )),
        (None, true) => Answer::not(format!(
            "{name} wants the text to begin with {}; it begins with {}{place}",
            quoted(beginning(source)),
            shown(text)
        )),
        (None, false) => Answer::not(format!(
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

/// Signs that nobody sees.
fn odd_signs(filter: &Filter, text: &str) -> Option<Answer> {
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
    Some(Answer::not(why).with(cure).close(MATCHED / 2))
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

/// No date is found, and with one the line would match; or the date is none.
fn date(explanation: &Explanation<'_>, line: &str, present: Timestamp) -> Option<Answer> {
    let Explanation { trace, filter, .. } = explanation;
    let Dates::Detector(detector) = filter.dates() else {
        return None;
    };
    let place = explanation.places.of_filter("datepattern");
    if let Some(date) = &trace.date {
        let text = line.get(date.start..date.end).unwrap_or_default();
        return (date.time == DateTime::Invalid && !text.is_empty()).then(|| {
            Answer::not(format!(
                "{} is taken for its date and is none that there is{place}",
                shown(text)
            ))
            .with("set datepattern in the filter to the form of the log")
        });
    }
    let helps =
        |start: usize, end: usize| matches(filter, &format!("{}{}", &line[..start], &line[end..]));
    let candidates = candidates(detector, line, present);
    let helpful = candidates
        .iter()
        .find(|(_, guess)| helps(guess.start, guess.end));
    let (is_default, guess) = helpful?;
    let what = shown(&line[guess.start..guess.end]);
    let reach = match detector.is_default() {
        true => String::new(),
        false => format!(": {}", pattern_reach(detector, line, present)),
    };
    let why = format!(
        "no date is found in it{reach}; {what} looks like one, and with it cut out the line would match{place}"
    );
    let cure = match is_default {
        true => {
            "take datepattern out of the filter or jail: the patterns that are always there find it"
                .to_owned()
        }
        false => format!("set datepattern = {} in the filter", guess.pattern),
    };
    Some(Answer::not(why).with(cure).close(MATCHED / 2))
}

/// What looks like the date of a line; true: the default patterns find it.
pub fn candidates(detector: &DateDetector, line: &str, present: Timestamp) -> Vec<(bool, Guess)> {
    let mut candidates = Vec::new();
    if !detector.is_default()
        && let Some(found) = DateDetector::defaults().find(line, present)
        && found.start < found.end
    {
        candidates.push((
            true,
            Guess {
                start: found.start,
                end: found.end,
                pattern: String::new(),
            },
        ));
    }
    let guesses = guess::guesses(line, present).into_iter();
    candidates.extend(guesses.map(|guess| (false, guess)));
    candidates
}

/// How far the date pattern comes that comes furthest.
pub fn pattern_reach(detector: &DateDetector, line: &str, present: Timestamp) -> String {
    let patterns = detector.patterns();
    let is_quoted = |pattern: &&String| pattern.len() > 1 && pattern.starts_with(['"', '\'']);
    if let Some(pattern) = patterns.iter().find(is_quoted) {
        return format!(
            "the datepattern {} stands in quotes, which are part of it",
            quoted(pattern)
        );
    }
    let mut elsewhere = patterns
        .iter()
        .filter_map(|pattern| Some((pattern, guess::elsewhere(pattern, line, present)?)));
    if let Some((pattern, (start, end))) = elsewhere.next() {
        return format!(
            "datepattern {} wants it at the beginning of the line, and {} stands at byte {start}",
            quoted(pattern),
            shown(&line[start..end])
        );
    }
    let reaches = patterns
        .iter()
        .map(|pattern| (pattern, guess::furthest(pattern, line, present)));
    let best = reaches.max_by_key(|(_, reach)| reach.map_or(0, |(cut, _)| cut));
    match best {
        Some((pattern, Some((cut, end)))) => {
            let after = tail(line.get(..end).unwrap_or_default());
            let wanted = quoted(&pattern[cut..]);
            let rest = shown(line.get(end..).unwrap_or_default());
            format!("after {after} datepattern wants {wanted}, and there stands {rest}")
        }
        Some((pattern, None)) => {
            format!("nothing in it is like the datepattern {}", quoted(pattern))
        }
        None => "no datepattern is set".to_owned(),
    }
}

/// The regex has the date that is cut out before.
fn date_left_in(explanation: &Explanation<'_>, line: &str) -> Option<Answer> {
    let Explanation { trace, filter, .. } = explanation;
    let date = trace.date.as_ref()?;
    if date.start == date.end || !matches(filter, line) {
        return None;
    }
    let place = explanation.places.of_filter("failregex");
    let text = shown(line.get(date.start..date.end).unwrap_or_default());
    let left = shown(&trace.text);
    Some(
        Answer::not(format!("the failregex expects the date {text}, which is cut out of the line before it is searched: it sees {left}{place}"))
            .with("write the regex for the line without its date")
            .close(MATCHED / 2),
    )
}

/// Whether a regex can only match more than one line.
fn wants_lines(regex: &FailRegex) -> bool {
    let source = regex.source();
    source.contains("<SKIPLINES>") || source.contains("\\n")
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

/// A regex in a sentence.
fn quoted(source: &str) -> String {
    format!("`{}`", visible(&head(source)))
}

/// The beginning of a long text.
fn head(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Another mode of the filter takes the line.
pub fn of_mode(explanation: &Explanation<'_>, mode: &str) -> Answer {
    let place = explanation.places.of_filter("mode");
    Answer::not(format!(
        "the mode of the filter leaves it out, and with mode = {mode} it would count{place}"
    ))
    .with(format!(
        "set mode = {mode} in the jail if such lines are to count"
    ))
    .close(MATCHED / 2)
}

/// A piece of the line in a sentence.
pub fn shown(text: &str) -> String {
    format!("\"{}\"", visible(&head(text)))
}

/// The end of a text in a sentence.
fn tail(text: &str) -> String {
    let count = text.chars().count();
    match text.char_indices().nth(count.saturating_sub(SHOWN)) {
        Some((at, _)) if at > 0 => format!("\"…{}\"", visible(&text[at..])),
        _ => format!("\"{}\"", visible(text)),
    }
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

impl Explanation<'_> {
    /// Whether no date is found in the line, though the jail looks for one.
    pub fn undated(&self) -> bool {
        matches!(self.filter.dates(), Dates::Detector(_))
            && matches!(self.seen, Seen::Line)
            && self.trace.date.is_none()
    }
}

/// The rule that ignores an id, with the place where it was written.
pub fn rule(places: &Places, ignored: &[String], by: &str, id: &str) -> String {
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

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(uncoloured("\u{1b}[1;31mno\u{1b}[0m x\u{1b}[K"), "no x");
        assert_eq!(uncoloured("a [0m b"), "a [0m b");
    }
}
