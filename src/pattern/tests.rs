//! Python's answers, in tables.
#![allow(clippy::unwrap_used)]

use super::*;

fn spans(pattern: &str, text: &str) -> Option<Vec<Option<(usize, usize)>>> {
    let regex = Regex::new(pattern, Flags::default()).unwrap();
    let found = regex.search(text).unwrap()?;
    Some(
        (0..regex.group_names().len())
            .map(|i| found.group(i))
            .collect(),
    )
}

#[test]
fn dollar_matches_before_the_final_newline() {
    assert_eq!(spans("a$", "a\n"), Some(vec![Some((0, 1))]));
    assert_eq!(spans("a$", "a\nb\n"), None);
    assert_eq!(spans(r"a\Z", "a\n"), None);
}
