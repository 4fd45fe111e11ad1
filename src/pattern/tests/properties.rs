//! What must hold for every regex and every text.

use proptest::prelude::*;

use crate::pattern::ast::Tree;
use crate::pattern::conditional::settle;
use crate::pattern::engine::Linear;
use crate::pattern::machine::{Effort, Exhausted, Scratch, search};
use crate::pattern::parser::parse;
use crate::pattern::simplify::simplify;
use crate::pattern::verdict::Verdict;
use crate::pattern::writer::instructions;
use crate::pattern::{FailRegex, Flags, Outlook, Prefilter, Regex, UseDns};

/// Sources built from what filters are built from. Some Python would refuse; those are skipped.
fn source() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        8 => "[abcx:. -]{1,3}".prop_map(|s| s.replace('.', r"\.")),
        2 => prop::sample::select(vec![
            r"\d", r"\w+", r"\s", r"\S*", ".", ".*", r"\b", r"\B", "^", "$", "[^a]", "[a-c]", r"[\s:]",
            "[[]", "(?i:ab)", "(?i:s)", r"\W", r"\n", r"\Z", "(?<=a)", "(?<!:)", r"(?=\b|\W|$)", "é", r"(?<=[:a]):",
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| { format!("(?:{})", parts.join("|")) }),
            inner.clone().prop_map(|s| format!("({s})")),
            (inner.clone(), "[*+?]|\\{2\\}|\\{,2\\}|\\{1,3\\}|[*+?]\\?")
                .prop_map(|(s, times)| format!("(?:{s}){times}")),
            inner.clone().prop_map(|s| format!("(?={s})")),
            inner.clone().prop_map(|s| format!("(?!{s})")),
            inner.clone().prop_map(|s| format!("(?>{s})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})?(?(1){b})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("((?P<g>{a})|{b})?{c}(?(g)a |{b})")),
        ]
    })
}

fn text() -> impl Strategy<Value = String> {
    "[abcxABI:. \n-]{0,12}\n"
}

fn foreign_text() -> impl Strategy<Value = String> {
    "[abcxAB:. éÉſ½\u{301}\u{2003}-]{0,12}\n"
}

fn tree(source: &str) -> Option<Tree> {
    let tree = parse(source, Flags::default()).ok()?;
    Some(Tree {
        root: simplify(tree.root),
        ..tree
    })
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
                    prop_assert_eq!(prefilter.outlook(text), Outlook::Hopeful, "{} in {:?}", source, text);
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
                prefilter.outlook(&format!("{before}{after}\n"));
            }
            let block: String = lines.iter().map(|(a, cut, b)| format!("{a}{cut}{b}\n")).collect();
            if let Some(mut screen) = prefilter.screen(&block) {
                let mut start = 0;
                for (before, cut, after) in &lines {
                    let end = start + before.len() + cut.len() + after.len();
                    if screen.outlook(start, end).is_some() && !prefilter.may_join(before, after) {
                        let found = failregex.regex().is_match(&format!("{before}{after}\n"));
                        prop_assert_ne!(found, Ok(true), "{} in {:?}{:?}{:?}", source, before, cut, after);
                    }
                    start = end + 1;
                }
            }
        }
    }

    #[test]
    fn the_engines_agree(source in source(), texts in prop::collection::vec(prop_oneof![text(), foreign_text()], 8)) {
        if let Some(tree) = tree(&source) {
            let groups = tree.names.len();
            let machine = instructions(&tree.root, groups).unwrap();
            let settled = instructions(&settle(tree.root.clone()), groups).unwrap();
            let ascii = Linear::new(tree.root.clone(), true);
            let unicode = Linear::new(tree.root, false);
            for text in texts {
                let run = |remember| {
                    let effort = Effort { steps: 100_000, remember };
                    search(&machine, &text, 0, groups, effort, &mut Scratch::default())
                };
                let found = run(false);
                let effort = Effort { steps: 200_000, remember: false };
                let again = search(&settled, &text, 0, groups, effort, &mut Scratch::default());
                if found.is_ok() && again.is_ok() {
                    prop_assert_eq!(&again, &found, "settled {} in {:?}", source, text);
                }
                if found.is_ok() {
                    prop_assert_eq!(&run(true), &found, "remembering {} in {:?}", source, text);
                }
                let Ok(found) = found else {
                    prop_assert_eq!(found, Err(Exhausted));
                    continue;
                };
                let engines = [text.is_ascii().then_some(&ascii), Some(&unicode)];
                for linear in engines.into_iter().flatten() {
                    if let Some(answer) = linear.search(&text, 0, groups) {
                        prop_assert_eq!(&answer, &found, "{} in {:?}", source, text);
                    }
                }
            }
        }
    }

    #[test]
    fn a_verdict_is_what_a_search_says(
        source in source(),
        open in prop::sample::select(vec!["", "^", "^(?!ab)", "^(?!x)[abc]+", "(?<!b)"]),
        tail in prop::sample::select(vec!["", "$", ".+$", "(.+)$", "(?s:.+)$", r"\s*(?P<content>.*)$", ".*?$"]),
        texts in prop::collection::vec(text(), 16),
    ) {
        let source = format!("{open}(?:{source}){tail}");
        if let Some(tree) = tree(&source)
            && let Some(verdict) = Verdict::new(tree.root.clone())
        {
            let groups = tree.names.len();
            let machine = instructions(&tree.root, groups).unwrap();
            for text in texts {
                let effort = Effort { steps: 100_000, remember: false };
                let found = search(&machine, &text, 0, groups, effort, &mut Scratch::default());
                if let (Ok(found), Some(answer)) = (found, verdict.of(&text)) {
                    prop_assert_eq!(answer, found.is_some(), "{} in {:?}", source, text);
                }
            }
        }
    }

    #[test]
    fn any_text_as_a_regex_is_refused_or_runs(source in "\\PC{0,24}", text in "\\PC{0,24}") {
        if let Ok(regex) = Regex::new(&source, Flags::default()) {
            // Whatever comes of it, it comes.
            let _ = regex.search(&text);
        }
    }

    #[test]
    fn a_regex_of_syntax_is_refused_or_runs(source in "[\\]\\[(){}?*+|^$\\\\<>=!:PiaAbdsw1,-]{0,24}", text in text()) {
        if let Ok(regex) = Regex::new(&source, Flags::default()) {
            let _ = regex.search(&text);
        }
    }
}
