//! What must hold for every regex and every text.

use proptest::prelude::*;

use crate::ast::Tree;
use crate::backtracker::{Effort, Exhausted, Scratch, search};
use crate::conditional::settle;
use crate::engine::Linear;
use crate::line_test::LineTest;
use crate::parser::parse;
use crate::program_builder::instructions;
use crate::simplify::simplify;
use crate::{Flags, Regex};

/// Sources built from what regexes for log lines are built from. Some Python would refuse; those are skipped.
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
            && let Some(verdict) = LineTest::new(tree.root.clone())
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
