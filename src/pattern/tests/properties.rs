//! The prefilter against the regexes it stands before.

use proptest::prelude::*;

use crate::pattern::{FailRegex, Prefilter, PrefilterResult, UseDns};

/// Sources built from what filters are built from. Some Python would refuse; those are skipped.
fn source() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => "[abcx:. -]{1,3}".prop_map(|s| s.replace('.', r"\.")),
        1 => prop::sample::select(vec![
            r"\d", r"\w+", r"\S*", ".", ".*", r"\b", "^", "$", "[^a]", "[a-c]", "(?i:ab)", r"\n",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| { format!("(?:{})", parts.join("|")) }),
            inner.clone().prop_map(|s| format!("({s})")),
            (inner.clone(), "[*+?]|\\{2\\}|\\{,2\\}|[*+?]\\?")
                .prop_map(|(s, times)| format!("(?:{s}){times}")),
            inner.clone().prop_map(|s| format!("(?={s})")),
            inner.prop_map(|s| format!("(?!{s})")),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    "[abcxABI:. \n-]{0,12}\n"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_prefilter_rejects_nothing_that_matches(source in source(), texts in prop::collection::vec(text(), 8)) {
        if let Ok(failregex) = FailRegex::new(&source, UseDns::Warn, false) {
            let mut prefilter = Prefilter::new(std::slice::from_ref(&failregex));
            for text in texts.iter().cycle().take(100) {
                if failregex.regex().is_match(text) == Ok(true) {
                    prop_assert_eq!(prefilter.next(0, text, text.is_ascii()), Some(0), "{} in {:?}", source, text);
                    prop_assert_eq!(prefilter.check(text), PrefilterResult::MayMatch, "{} in {:?}", source, text);
                }
            }
        }
    }

    #[test]
    fn a_screen_rejects_nothing_that_matches(
        source in source(),
        lines in prop::collection::vec(("[abcxABI:. -]{0,8}", "[0-9]{0,3}", "[abcxABI:. -]{0,8}"), 8),
    ) {
        if let Ok(failregex) = FailRegex::new(&source, UseDns::Warn, false) {
            let mut prefilter = Prefilter::new(std::slice::from_ref(&failregex));
            for (before, _, after) in lines.iter().cycle().take(100) {
                prefilter.check(&format!("{before}{after}\n"));
            }
            let block: String = lines.iter().map(|(a, cut, b)| format!("{a}{cut}{b}\n")).collect();
            if let Some(mut scan) = prefilter.scan(&block) {
                let mut start = 0;
                for (before, cut, after) in &lines {
                    let end = start + before.len() + cut.len() + after.len();
                    if scan.check(start, end).is_some() && !prefilter.may_join(before, after) {
                        let found = failregex.regex().is_match(&format!("{before}{after}\n"));
                        prop_assert_ne!(found, Ok(true), "{} in {:?}{:?}{:?}", source, before, cut, after);
                    }
                    start = end + 1;
                }
            }
        }
    }
}
