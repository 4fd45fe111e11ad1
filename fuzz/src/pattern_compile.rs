//! Any regex in any text, ours against Python's `re`: the same regexes are refused with the same
//! words, the same texts match, with the same span of every group.
//!
//! Parts of the input: flags (`i`, `m`), regex, texts. Where either side gives up (Python takes
//! long, our steps are used up, a bound of ours on depth or size is met) nothing is compared.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ferroban::parts::pattern::{Flags, Match, Regex};

/// Python's word about global flags that stand anywhere else.
const NOT_AT_START: &str = "global flags not at the start";

/// What marks a possessive repeat.
const POSSESSIVE: [&str; 4] = ["*+", "++", "?+", "}+"];

/// Whether Python may say something else: it nests deeper, and knows the names of characters.
fn is_ours_alone(reason: &str) -> bool {
    reason.contains("nested too deeply") || reason.contains("undefined character name")
}

pub fn run(data: &[u8]) {
    let mut parts = super::parts(data);
    let flags = parts.next().unwrap_or_default();
    let flags = Flags {
        ignore_case: flags.contains(&b'i'),
        multiline: flags.contains(&b'm'),
        late: flags.contains(&b'l'),
    };
    let Some(Ok(source)) = parts.next().map(std::str::from_utf8) else {
        return;
    };
    let texts: Vec<&str> = parts
        .filter_map(|text| std::str::from_utf8(text).ok())
        .collect();
    let ours = Regex::new(source, flags).map_err(|refused| refused.to_string());
    let Some(theirs) = PYTHON.with_borrow_mut(|python| python.compile(source, flags)) else {
        return;
    };
    let regex = match (ours, theirs) {
        (Ok(regex), Ok(())) => regex,
        (Err(reason), Err(theirs)) => {
            // whether it prints a character depends on the Unicode that it knows
            let shows = reason.starts_with("bad character") && !source.is_ascii();
            if !is_ours_alone(&reason) && !shows {
                assert_eq!(reason, theirs, "error of {source:?}");
            }
            return;
        }
        (Err(reason), Ok(())) if is_ours_alone(&reason) => return,
        // as up to Python 3.10
        (Ok(_), Err(reason)) if flags.late && reason.starts_with(NOT_AT_START) => return,
        (ours, theirs) => panic!("{source:?}: ours {ours:?}, Python's {theirs:?}"),
    };
    for text in texts {
        let Ok(ours) = regex.search(text) else {
            continue;
        };
        let Some(theirs) = PYTHON.with_borrow_mut(|python| python.search(text)) else {
            continue;
        };
        let groups = regex.group_names().len();
        let ours = ours.map(|found| shown(&found, groups, text));
        // Python before 3.11.5 goes on at the wrong place behind one that has not matched
        if ours != theirs && POSSESSIVE.iter().any(|mark| source.contains(mark)) {
            continue;
        }
        assert_eq!(ours, theirs, "{source:?} {flags:?} in {text:?}");
    }
}

/// Spans as Python tells them, in characters.
fn shown(found: &Match, groups: usize, text: &str) -> String {
    let characters = |at: usize| text[..at].chars().count();
    let spans = (0..groups).map(|group| match found.group(group) {
        Some((from, to)) => format!("{}..{}", characters(from), characters(to)),
        None => "-".to_owned(),
    });
    spans.collect::<Vec<_>>().join(" ")
}

thread_local! {
    static PYTHON: RefCell<Python> = const { RefCell::new(Python { running: None }) };
}

/// Python in a process of its own, started when first asked and again when it died.
struct Python {
    running: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Python {
    /// What it says to the regex; `None` when it gave up.
    fn compile(&mut self, source: &str, flags: Flags) -> Option<Result<(), String>> {
        let mut letters = String::new();
        letters.extend(flags.ignore_case.then_some('i'));
        letters.extend(flags.multiline.then_some('m'));
        let answer = self.ask(&format!("c{letters}"), source);
        match answer.split_once(' ') {
            None if answer == "ok" => Some(Ok(())),
            Some(("error", text)) => Some(Err(unescaped(text))),
            _ => None,
        }
    }

    /// Where the regex last compiled matches; the outer `None` when it gave up.
    fn search(&mut self, text: &str) -> Option<Option<String>> {
        let answer = self.ask("s", text);
        match answer.split_once(' ') {
            None if answer == "no" => Some(None),
            Some(("match", spans)) => Some(Some(spans.to_owned())),
            _ => None,
        }
    }

    /// Sends a line with what is wanted and how long the text is, then the text; gets a line.
    fn ask(&mut self, what: &str, text: &str) -> String {
        let (_, to, from) = self.running.get_or_insert_with(start);
        let mut answer = String::new();
        let asked = writeln!(to, "{what} {}", text.len())
            .and_then(|()| to.write_all(text.as_bytes()))
            .and_then(|()| to.flush())
            .and_then(|()| from.read_line(&mut answer));
        if asked.is_err() || answer.is_empty() {
            // it ran out of stack or memory: the next question starts another
            if let Some((mut child, ..)) = self.running.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        answer.truncate(answer.trim_end().len());
        answer
    }
}

fn start() -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut child = Command::new("/usr/bin/python3")
        .args(["-I", "-W", "ignore", "-c", include_str!("python_regex.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Python");
    let to = child.stdin.take().expect("a pipe");
    let from = BufReader::new(child.stdout.take().expect("a pipe"));
    (child, to, from)
}

/// Reverses what the script does to keep an answer on one line.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                other => other.unwrap_or('\\'),
            },
            c => c,
        });
    }
    out
}
