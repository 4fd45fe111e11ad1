//! Python's answers, in tables; and what must hold for every regex.
#![allow(clippy::unwrap_used)]

mod properties;
mod python;

use super::*;

/// Compiles without flags.
fn regex(source: &str) -> Regex {
    Regex::new(source, Flags::default()).unwrap()
}

/// Spans of all groups of the first match, `-` for one that took no part.
fn spans(regex: &Regex, text: &str) -> Option<String> {
    let found = regex.search(text).unwrap()?;
    let spans: Vec<String> = (0..regex.group_names().len())
        .map(|group| match found.group(group) {
            Some((from, to)) => format!("{from}..{to}"),
            None => "-".to_owned(),
        })
        .collect();
    Some(spans.join(" "))
}

#[test]
fn a_range_cuts_the_text_at_its_end_only() {
    let range = |source: &str, text: &str, start, end| {
        let found = regex(source).search_range(text, start, end).unwrap();
        found.map(|found| found.span())
    };
    // As Python's `re.compile(source).search(text, start, end)`.
    assert_eq!(range("b$", "abc", 0, 2), Some((1, 2)));
    assert_eq!(range("b(?!c)", "abc", 0, 2), Some((1, 2)));
    assert_eq!(range("^b", "abc", 1, 3), None);
    assert_eq!(range("(?<=a)b", "abc", 1, 3), Some((1, 2)));
    assert_eq!(range(r"\bb", "abc", 1, 3), None);
    assert_eq!(range("a$", "a\nb", 0, 2), Some((0, 1)));
    assert_eq!(range("c", "abc", 0, 2), None);
    assert_eq!(range("", "abc", 2, 2), Some((2, 2)));
    // Off a character's boundary: moved onto it instead of failing.
    assert_eq!(range("é", "aéb", 2, 9), Some((1, 3)));
    assert_eq!(range("b", "ab", 5, 1), None);
}

#[test]
fn a_search_that_explodes_gives_up() {
    let regex = regex(r"^(?:(a+)(?!b))+c\1?d");
    // The gate rejects what has no `cd` at all, at any length.
    let text = format!("{}X\n", "a".repeat(60));
    assert_eq!(regex.search(&text), Ok(None));
    // Past the gate there are 2^60 ways to cut the row of a's into pieces.
    let text = format!("{}cX{0}cd\n", "a".repeat(60));
    assert_eq!(regex.search(&text), Err(LimitExceeded));
}

#[test]
fn flags_beside_the_pattern() {
    let flags = Flags {
        multiline: true,
        ignore_case: true,
        ..Flags::default()
    };
    let regex = Regex::new("^b$", flags).unwrap();
    assert_eq!(spans(&regex, "a\nB\nc\n"), Some("2..3".to_owned()));
}

#[test]
fn remembered_dead_ends_keep_a_search_linear() {
    // At each character, `.+?` asks whether blanks reach to the end.
    let regex = regex(r"^(?!x)(?P<content>.+?)(?:, user=(?P<user>\S+))?\s*$");
    let text = format!("a{}b\n", " ".repeat(50_000));
    assert_eq!(spans(&regex, &text), Some("0..50003 0..50002 -".to_owned()));
    // A conditional is settled before.
    let regex = Regex::new(r"^(x)?(?!x).+?(?:, user=\S+)?\s*$(?(1)x)", Flags::default()).unwrap();
    assert_eq!(spans(&regex, &text), Some("0..50003 -".to_owned()));
    // With a counter or a back-reference there is no telling a dead end: it gives up.
    let regex = Regex::new(r"^(x?)(?!x).+?(?:, user=\S+)?\s*$\1", Flags::default()).unwrap();
    assert_eq!(regex.search(&text), Err(LimitExceeded));
}

#[test]
fn late_flags_hold_for_the_whole() {
    let late = |source: &str| {
        let flags = Flags {
            late: true,
            ..Flags::default()
        };
        Regex::new(source, flags).unwrap()
    };
    for (source, text, span) in [
        ("^x (?i)y", "X Y", Some("0..3")),
        ("a|(?i)b", "A", Some("0..1")),
        ("(a(?i)b)c", "ABC", Some("0..3 0..2")),
        ("a(?i)+", "aA", Some("0..2")),
        ("x y # c(?x)", "xy", Some("0..2")),
        ("^b$(?ms).", "a\nb\nc", Some("2..4")),
        ("(?-i:a)(?i)b", "AB", None),
        ("(?-i:a)(?i)b", "aB", Some("0..2")),
        (r"\w(?a)$", "ä", None),
    ] {
        assert_eq!(spans(&late(source), text).as_deref(), span, "{source}");
        assert!(Regex::new(source, Flags::default()).is_err(), "{source}");
    }
    let both = Flags {
        late: true,
        ..Flags::default()
    };
    assert!(Regex::new("(?u)a(?a)", both).is_err());
}
