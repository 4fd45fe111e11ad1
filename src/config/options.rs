//! Parses `name[option=value,…][…]`, the reference to a filter or an action, and lists of them (facts
//! C33–C36).
#![forbid(unsafe_code)]

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::python::text::{is_space, is_word, quoted, strip};

/// A definition in its parts: its name, and arguments in order of their first appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedOptions {
    /// Everything before the first bracket, blanks included.
    pub name: String,
    /// Arguments; of several with one name the last.
    pub arguments: IndexMap<String, String>,
}

/// Reads one definition.
///
/// # Errors
/// Fact C34; positions count characters after the first bracket.
pub fn parse(text: &str) -> Result<NamedOptions, String> {
    const UNEXPECTED: &str = "unexpected option syntax";
    let bracket = text.find('[').unwrap_or(text.len());
    let (name, rest) = text.split_at(bracket);
    if name.is_empty() {
        return Err(UNEXPECTED.to_owned());
    }
    let mut definition = NamedOptions {
        name: name.to_owned(),
        arguments: IndexMap::new(),
    };
    if !rest.is_empty() {
        let inner = rest[1..].trim_end_matches(is_space).strip_suffix(']');
        let list = inner.ok_or_else(|| UNEXPECTED.to_owned())?;
        definition.arguments = arguments(list)?;
    }
    Ok(definition)
}

/// The list between the first and the last bracket.
fn arguments(list: &str) -> Result<IndexMap<String, String>, String> {
    let mut found = IndexMap::new();
    let mut at = 0;
    while at < list.len() {
        let rest = &list[at..];
        let Some((name, start)) = option_name(rest) else {
            if strip(rest.strip_prefix(',').unwrap_or(rest)).is_empty() {
                break;
            }
            return Err(format!(
                "expected option, wrong syntax at {}: {}",
                characters(&list[..at]),
                head(rest)
            ));
        };
        let (value, length) = value(&rest[start..]);
        let after = start + length;
        let Some(separator) = separator(&rest[after..]) else {
            return Err(format!(
                "unexpected syntax at {} after option {}: {}",
                characters(&list[..at + after]),
                quoted(name),
                head(&rest[after..])
            ));
        };
        found.insert(name.to_owned(), strip(value).to_owned());
        at += after + separator;
    }
    Ok(found)
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

/// The first 25 characters, which is what messages show.
fn head(text: &str) -> &str {
    text.char_indices()
        .nth(25)
        .map_or(text, |(end, _)| &text[..end])
}

/// `name=` after blanks: the name, and where the value begins. A name may carry a condition:
/// `name?key=word`.
fn option_name(text: &str) -> Option<(&str, usize)> {
    let begin = text.len() - text.trim_start_matches(is_space).len();
    let plain = word(&text[begin..]);
    if plain == 0 {
        return None;
    }
    let mut end = begin + plain;
    if let Some(condition) = text[end..].strip_prefix('?') {
        let key = word(condition);
        let value = word(condition.get(key + 1..).unwrap_or_default());
        if key == 0 || value == 0 || !condition[key..].starts_with('=') {
            return None;
        }
        end += 1 + key + 1 + value;
    }
    text[end..]
        .starts_with('=')
        .then(|| (&text[begin..end], end + 1))
}

/// Length of the leading word of letters, digits, `_`, `-` and `.`.
fn word(text: &str) -> usize {
    text.find(|c: char| !(is_word(c) || c == '-' || c == '.'))
        .unwrap_or(text.len())
}

/// The value and how much of the text it takes: quoted, else up to `,` or `]`.
fn value(text: &str) -> (&str, usize) {
    quoted_value(text).unwrap_or_else(|| {
        let bare = &text[..bare_length(text)];
        (bare, bare.len())
    })
}

fn quoted_value(text: &str) -> Option<(&str, usize)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (inner, _) = text[1..].split_once(quote)?;
    Some((inner, inner.len() + 2))
}

fn bare_length(text: &str) -> usize {
    text.find([',', ']']).unwrap_or(text.len())
}

/// Length of what may follow a value: `,`, the joint `][` of two groups, or the end.
fn separator(text: &str) -> Option<usize> {
    match text.chars().next() {
        None => Some(0),
        Some(',') => Some(1),
        Some('\n') if text.len() == 1 => Some(0),
        Some(']') => joint(text),
        Some(_) => None,
    }
}

/// Length of `]`, blanks, `[`.
fn joint(text: &str) -> Option<usize> {
    let inner = text.strip_prefix(']')?.trim_start_matches(is_space);
    inner.strip_prefix('[').map(|rest| text.len() - rest.len())
}

/// Splits a list of definitions at white space outside of brackets (fact C35).
pub fn split(list: &str) -> Vec<&str> {
    let mut definitions = Vec::new();
    let mut rest = list.trim_start_matches(is_space);
    while !rest.is_empty() {
        let (one, after) = rest.split_at(definition_length(rest));
        definitions.push(one);
        rest = after.trim_start_matches(is_space);
    }
    definitions
}

/// Length of the definition at the beginning: a name with a well-formed bracket list, else
/// everything up to the next blank.
fn definition_length(text: &str) -> usize {
    let name = text
        .find(|c: char| c == '[' || is_space(c))
        .unwrap_or(text.len());
    let blanks = text[name..].len() - text[name..].trim_start_matches(is_space).len();
    let bracket = name + blanks;
    if name > 0 && text[bracket..].starts_with('[') {
        let list = &text[bracket + 1..];
        let mut search = ListSearch {
            list,
            dead_ends: HashSet::new(),
        };
        if let Some(length) = search.items(0) {
            return bracket + 1 + length;
        }
    }
    text.find(is_space).unwrap_or(text.len())
}

/// Looks for the bracket that closes a list so that a blank or the end follows. A value that
/// begins with a quote may be meant as quoted or as bare; both are tried.
struct ListSearch<'a> {
    list: &'a str,
    /// Positions from which no end was found: without them the time could be exponential.
    dead_ends: HashSet<usize>,
}

impl ListSearch<'_> {
    fn skip_blanks(&self, at: usize) -> usize {
        self.list.len() - self.list[at..].trim_start_matches(is_space).len()
    }

    /// The end of the list when items (or the closing bracket) begin at `at`.
    fn items(&mut self, at: usize) -> Option<usize> {
        // Positions still to be tried, the most promising last.
        let mut candidates = vec![at];
        while let Some(at) = candidates.pop() {
            if !self.dead_ends.insert(at) {
                continue;
            }
            let at = self.skip_blanks(at);
            let rest = &self.list[at..];
            if let Some((_, start)) = option_name(rest) {
                let bare = start + bare_length(&rest[start..]);
                self.after_value(at + bare, &mut candidates);
                if let Some((_, length)) = quoted_value(&rest[start..]) {
                    self.after_value(at + start + length, &mut candidates);
                }
            }
            if rest.starts_with(']') && rest[1..].chars().next().is_none_or(is_space) {
                return Some(at + 1);
            }
        }
        None
    }

    /// Where items may go on after a value: behind its separator, or right there.
    fn after_value(&self, at: usize, candidates: &mut Vec<usize>) {
        let at = self.skip_blanks(at);
        let rest = &self.list[at..];
        candidates.push(at);
        if rest.starts_with(',') {
            candidates.push(at + 1);
        } else if let Some(length) = joint(rest) {
            candidates.push(at + length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<(String, Vec<(String, String)>), String> {
        parse(text).map(|found| (found.name, found.arguments.into_iter().collect()))
    }

    /// Text, name, arguments.
    type Parts = (
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
    );

    #[test]
    fn definitions() {
        let table: &[Parts] = &[
            ("f", "f", &[]),
            ("f[]", "f", &[]),
            ("f[a=1]", "f", &[("a", "1")]),
            ("f[ a=1 , b=2 ]", "f", &[("a", "1"), ("b", "2")]),
            (
                "f[a=1][b=2] [c=3]",
                "f",
                &[("a", "1"), ("b", "2"), ("c", "3")],
            ),
            (
                "f[a=\"x,]'y\", b='\"']",
                "f",
                &[("a", "x,]'y"), ("b", "\"")],
            ),
            ("f[a=1,]", "f", &[("a", "1")]),
            ("f[a=1,b=2,a=3]", "f", &[("a", "3"), ("b", "2")]),
            ("f[a=]", "f", &[("a", "")]),
            ("f[a?family=inet6=K6]", "f", &[("a?family=inet6", "K6")]),
            ("f[a-b.c_d=\"1\n 2\"]\n", "f", &[("a-b.c_d", "1\n 2")]),
            ("f[a=\"x]", "f", &[("a", "\"x")]),
            ("f [a=1]", "f ", &[("a", "1")]),
            ("f[A=1,a=2]", "f", &[("A", "1"), ("a", "2")]),
        ];
        for (text, name, arguments) in table {
            let arguments = arguments.iter();
            let arguments = arguments.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            assert_eq!(
                parsed(text),
                Ok(((*name).to_owned(), arguments.collect())),
                "{text}"
            );
        }
    }

    #[test]
    fn errors() {
        for (text, expected) in [
            ("[a=1]", "unexpected option syntax"),
            ("f[a=1", "unexpected option syntax"),
            ("f[a=1]x", "unexpected option syntax"),
            ("", "unexpected option syntax"),
            (
                "f[a=\"1\" , b=2]",
                "unexpected syntax at 5 after option 'a':  , b=2",
            ),
            ("f[a='ü'x]", "unexpected syntax at 5 after option 'a': x"),
            ("f[b]", "expected option, wrong syntax at 0: b"),
            ("f[a=1,,b=2]", "expected option, wrong syntax at 4: ,b=2"),
            ("f[][a=1]", "expected option, wrong syntax at 0: ][a=1"),
            ("f[a=1]b]", "unexpected syntax at 3 after option 'a': ]b"),
            (
                "f[a=1, this is no option but a sentence]",
                "expected option, wrong syntax at 4:  this is no option but a ",
            ),
        ] {
            assert_eq!(parsed(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn lists_split_at_blanks_outside_brackets() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            (" a b\nc ", &["a", "b", "c"]),
            (
                "a[x=1, y=\"2 3\"]\n  b[z='\n]']",
                &["a[x=1, y=\"2 3\"]", "b[z='\n]']"],
            ),
            ("a [x=1] b", &["a [x=1]", "b"]),
            ("a[x=1][y=2] [z=3] b", &["a[x=1][y=2] [z=3]", "b"]),
            ("a[x=1", &["a[x=1"]),
            ("a[x=1 y", &["a[x=1", "y"]),
            ("a[x y] b", &["a[x", "y]", "b"]),
            ("a[x=\"1\" y=\"2\"] b", &["a[x=\"1\" y=\"2\"]", "b"]),
            ("a[x=\"1] b\"] c", &["a[x=\"1] b\"]", "c"]),
            ("a[x=\"1] b", &["a[x=\"1]", "b"]),
            ("a[ ] b", &["a[ ]", "b"]),
            ("a,b", &["a,b"]),
            ("[x=1] b", &["[x=1]", "b"]),
        ];
        for (list, expected) in table {
            assert_eq!(&split(list), expected, "{list}");
        }
    }

    proptest::proptest! {
        /// Splitting drops nothing but white space, and any piece is read or refused.
        #[test]
        fn any_list_is_split(list in "[ab=,'\"ü \n\\[\\]?.-]{0,40}") {
            let pieces = split(&list);
            for piece in &pieces {
                let _ = parse(piece);
            }
            let kept = |text: &str| text.chars().filter(|c| !is_space(*c)).collect::<String>();
            assert_eq!(kept(&pieces.concat()), kept(&list));
        }
    }

    #[test]
    fn ambiguous_quotes_take_no_exponential_time() {
        let list = format!("a[{}", "x=\"1\",".repeat(5_000));
        assert_eq!(split(&list).len(), 1);
    }
}
