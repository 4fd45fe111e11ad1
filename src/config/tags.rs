//! Expands `<tag>` in options of filters and actions (facts C23–C26).
//!
//! Every option is rewritten until nothing in it can be expanded any more; unknown tags stay.
#![forbid(unsafe_code)]

mod once;

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::error::Cause;
use super::section::Hashing;
use super::settings::{Options, Setting};
use crate::control::Value;

/// How often one tag may be replaced in one option.
const REPLACEMENTS: i64 = 25;
/// Longest value in bytes: tags that hold tags twice would otherwise double it without end.
const LENGTH: usize = 4 << 20;
/// Most bytes read and written for all options together: a few lines of tags that hold each other, none of
/// them too long, could otherwise take minutes and any memory.
const WORK: usize = 16 << 20;

/// Names of options and tags that are left alone.
pub type Ignored<'a> = HashSet<&'a str, Hashing>;

/// Replaces tags in all options by other options, else by what `lookup` finds. Options and tags
/// in `ignore` are left alone.
///
/// # Errors
/// An option that comes to contain itself (fact C25); what `lookup` reports.
pub fn substitute(
    options: &mut Options,
    ignore: &Ignored<'_>,
    mut lookup: impl FnMut(&str) -> Result<Option<Arc<str>>, Cause>,
) -> Result<(), Cause> {
    match once::settle(options, ignore, &mut lookup) {
        Ok(changed) => {
            for (index, text) in changed {
                options[index] = Setting::Text(text);
            }
            Ok(())
        }
        Err(once::Unclear) => substitute_in_turn(options, ignore, lookup),
    }
}

/// The long way, tag by tag and round by round: where a circle is noticed and what is said of it
/// depends on the order of all this.
fn substitute_in_turn(
    options: &mut Options,
    ignore: &Ignored<'_>,
    mut lookup: impl FnMut(&str) -> Result<Option<Arc<str>>, Cause>,
) -> Result<(), Cause> {
    let mut counts: Vec<Counts> = vec![Counts::new(); options.len()];
    let mut done = vec![false; options.len()];
    let mut work = 0;
    let mut again = true;
    while again {
        again = false;
        for index in 0..options.len() {
            let Some((name, value)) = options.get_index(index) else {
                continue;
            };
            if done[index] || ignore.contains(&**name) {
                continue;
            }
            let Setting::Text(value) = value else {
                done[index] = true;
                continue;
            };
            work += value.len();
            let new = rewrite(
                name,
                value,
                options,
                ignore,
                &mut counts[index],
                &mut work,
                &mut lookup,
            )?;
            let text = new.as_deref().unwrap_or(value);
            done[index] = !text.contains('<');
            // What was replaced may form a tag with its surroundings.
            if let Some(new) = new
                && new != **value
            {
                again |= next_tag(&new, 0).is_some();
                options[index] = Setting::Text(new.into());
            }
        }
    }
    Ok(())
}

/// Tag → how often it was replaced.
type Counts = IndexMap<String, i64>;

/// One option with all its tags replaced, or `None` when there was nothing to replace.
fn rewrite(
    name: &str,
    value: &str,
    options: &Options,
    ignore: &Ignored<'_>,
    counts: &mut Counts,
    work: &mut usize,
    lookup: &mut impl FnMut(&str) -> Result<Option<Arc<str>>, Cause>,
) -> Result<Option<String>, Cause> {
    let mut new: Option<String> = None;
    let mut from = 0;
    loop {
        let text = new.as_deref().unwrap_or(value);
        let Some((start, end)) = next_tag(text, from) else {
            return Ok(new);
        };
        let tag = &text[start + 1..end - 1];
        if ignore.contains(tag) {
            from = end;
            continue;
        }
        let count = counts.get(tag).copied();
        if tag == name || count.unwrap_or(1) > REPLACEMENTS {
            return Err(self_reference(name, tag, counts, text));
        }
        let replacement = match options.get(tag) {
            Some(Setting::Nothing) | None => lookup(tag)?,
            Some(value) => Some(value.shared_text()),
        };
        let Some(replacement) = replacement else {
            from = end;
            continue;
        };
        let length = replaced_length(text, &text[start..end], &replacement);
        *work = work.saturating_add(length);
        if length > LENGTH || *work > WORK {
            return Err(self_reference(name, tag, counts, &text[start..end]));
        }
        let replaced = replace_all(text, &text[start..end], &replacement, length);
        counts.insert(tag.to_owned(), count.unwrap_or(0) + 1);
        new = Some(replaced);
        from = start;
    }
}

/// Where a tag stands. It begins with the only `<` in it, so nothing need be searched for but that;
/// a searcher for the whole tag costs more to build than most texts are long.
fn places<'t>(text: &'t str, tag: &'t str) -> impl Iterator<Item = usize> + 't {
    memchr::memchr_iter(b'<', text.as_bytes()).filter(move |at| text[*at..].starts_with(tag))
}

/// Length of what [`replace_all`] gives.
fn replaced_length(text: &str, tag: &str, replacement: &str) -> usize {
    let times = places(text, tag).count();
    (text.len() - times * tag.len()).saturating_add(times.saturating_mul(replacement.len()))
}

/// `str::replace` into a text of known length; growing it would take most of the time: one long
/// command with a dozen tags is half the work of reading a jail.
fn replace_all(text: &str, tag: &str, replacement: &str, length: usize) -> String {
    let mut out = String::with_capacity(length);
    let mut from = 0;
    for at in places(text, tag) {
        out.push_str(&text[from..at]);
        out.push_str(replacement);
        from = at + tag.len();
    }
    out.push_str(&text[from..]);
    out
}

fn self_reference(name: &str, tag: &str, counts: &Counts, text: &str) -> Cause {
    let counts = counts
        .iter()
        .map(|(tag, count)| (tag.as_str().into(), Value::Int(*count)));
    Cause::Circle {
        option: name.to_owned(),
        text: format!(
            "properties contain self referencing definitions and cannot be resolved, \
             fail tag: {name}, found: {tag} in {}, value: {text}",
            Value::Dict(counts.collect()).repr()
        ),
    }
}

/// Where the next `<tag>` stands: something between angle brackets without blanks and brackets.
fn next_tag(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let start = at + text.get(at..)?.find('<')?;
        let inner = &text[start + 1..];
        let length = inner.find(['<', '>', ' '])?;
        if length > 0 && inner[length..].starts_with('>') {
            return Some((start, start + 1 + length + 1));
        }
        at = start + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substituted(options: &[(&str, &str)], ignore: &[&str]) -> Result<Vec<String>, String> {
        let mut options: Options = options
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        let ignore = ignore.iter().copied().collect();
        substitute(&mut options, &ignore, |tag| {
            Ok((tag == "outer").then(|| "OUT".into()))
        })
        .map_err(|cause| cause.to_string())?;
        Ok(options
            .values()
            .map(|value| value.text().into_owned())
            .collect())
    }

    /// Options, names to ignore, values afterwards.
    type Case = (
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
        &'static [&'static str],
    );

    #[test]
    fn tags() {
        let table: &[Case] = &[
            (
                &[("a", "<b>-<b>"), ("b", "<c>"), ("c", "1")],
                &[],
                &["1-1", "1", "1"],
            ),
            (
                &[("a", "<b<c>>"), ("c", "d"), ("bd", "x")],
                &[],
                &["x", "d", "x"],
            ),
            (
                &[("a", "<HOST> <b c> <>"), ("b", "1")],
                &[],
                &["<HOST> <b c> <>", "1"],
            ),
            (
                &[("a", "<b>"), ("b", "<c>"), ("c", "1")],
                &["b"],
                &["<b>", "<c>", "1"],
            ),
            (&[("a", "<outer>")], &[], &["OUT"]),
            (&[("a", "<<b>>"), ("b", "outer")], &[], &["OUT", "outer"]),
            (&[("a", "<b"), ("b", "1")], &[], &["<b", "1"]),
        ];
        for (options, ignore, expected) in table {
            assert_eq!(
                substituted(options, ignore).unwrap(),
                *expected,
                "{options:?}"
            );
        }
    }

    #[test]
    fn self_references_are_refused() {
        for (options, expected) in [
            (
                &[("a", "<a>")][..],
                "fail tag: a, found: a in {}, value: <a>",
            ),
            (
                &[("a", "x<b>"), ("b", "y<a>")],
                "fail tag: a, found: a in {'b': 1}, value: xy<a>",
            ),
            (
                &[("a", "<b>"), ("b", "<c>"), ("c", "<b>")],
                "fail tag: a, found: b in {'b': 26, 'c': 26}, value: <b>",
            ),
        ] {
            let error = substituted(options, &[]).unwrap_err();
            assert!(error.ends_with(expected), "{error}");
        }
    }

    proptest::proptest! {
        /// Whatever refers to whatever: it ends, with values or with an error.
        #[test]
        fn any_options_end(values in proptest::collection::vec("(<[abc]>|<|>|[abcü ]){0,4}", 3)) {
            let names = ["a", "b", "c"].into_iter();
            let options: Vec<_> = names.zip(values.iter().map(String::as_str)).collect();
            let _ = substituted(&options, &[]);
        }

        /// Both ways lead to the same values, or the short one is not taken.
        #[test]
        fn both_ways_agree(
            values in proptest::collection::vec("(<[abcd]>|<|>|<a<[bd]>>|[abdx ]|<<b>){0,5}", 5),
        ) {
            let names = ["a", "b", "d", "ab", "ax"].into_iter();
            let options: Options = names
                .zip(&values)
                .map(|(name, value)| (name.into(), value.as_str().into()))
                .collect();
            let ignored = ["ab"].into_iter().collect();
            let lookup = |tag: &str| Ok((tag == "c").then(|| Arc::from("<d>x")));
            let mut in_turn = options.clone();
            let long = substitute_in_turn(&mut in_turn, &ignored, lookup);
            if let Ok(changed) = once::settle(&options, &ignored, lookup) {
                let mut at_once = options.clone();
                for (index, text) in changed {
                    at_once[index] = Setting::Text(text);
                }
                proptest::prop_assert!(long.is_ok(), "{:?}", long);
                proptest::prop_assert_eq!(at_once, in_turn);
            }
        }
    }

    #[test]
    fn growth_is_bounded() {
        let names: Vec<(String, String)> = (0..30)
            .map(|n| (format!("t{n}"), format!("<t{}><t{}>", n + 1, n + 1)))
            .chain([("t30".to_owned(), "0123456789".to_owned())])
            .collect();
        let options: Vec<_> = names
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert!(substituted(&options, &[]).is_err());
    }

    /// Found by fuzzing: one value after the other within its limit, but hundreds of them; and one
    /// step from a short value to gigabytes.
    #[test]
    fn all_options_together_are_bounded() {
        let mut options = vec![("big".to_owned(), "x".repeat(LENGTH / 4))];
        options.extend((0..100).map(|n| (format!("o{n}"), "<big>".to_owned())));
        let borrow = |options: &[(String, String)]| {
            let pairs: Vec<_> = options.iter().map(|(n, v)| (&**n, &**v)).collect();
            substituted(&pairs, &[])
        };
        assert!(borrow(&options).is_err());
        assert!(borrow(&options[..10]).is_ok());
        options[1].1 = "<big>".repeat(100_000);
        assert!(borrow(&options[..2]).is_err());
    }
}
