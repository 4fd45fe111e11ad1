//! What Python 3.11 answered to these patterns, once and for all.

use super::{Flags, Regex, RegexSyntaxError, regex, spans};

/// Pattern, text, spans of all groups.
const SEARCHES: &[(&str, &str, Option<&str>)] = &[
    ("a$", "a\n", Some("0..1")),
    ("a$", "a\nb\n", None),
    ("a$", "a", Some("0..1")),
    ("$", "a\n", Some("1..1")),
    (r"a\Z", "a\n", None),
    (r"a\Z", "a", Some("0..1")),
    ("^b", "a\nb\n", None),
    ("(?m)^b$", "a\nb\nc\n", Some("2..3")),
    ("(?m:a$)", "a\nb\n", Some("0..1")),
    (r"a\s*$", "a \n", Some("0..3")),
    (r"x\n", "x\n", Some("0..2")),
    (r"\s", "\u{1c}", Some("0..1")),
    (r"\s", "\u{1f}", Some("0..1")),
    (r"\s", "\u{85}", Some("0..2")),
    (r"\s", "\u{180e}", None),
    (r"(?a)\s", "\u{1c}", None),
    (r"\S+", "é\u{2003}x", Some("0..2")),
    (r"\d+", "٣4", Some("0..3")),
    (r"(?a)\d+", "٣4", Some("2..3")),
    (r"\w+", "a½Ⅷ_é-", Some("0..9")),
    (r"\w+", "e\u{301}x", Some("0..1")),
    (r"\bURI\b", "URI½", None),
    (r"\bURI\b", "a URI.", Some("2..5")),
    (r"a\Bb", "ab", Some("0..2")),
    ("(?i)İ", "i", Some("0..1")),
    ("(?i)i", "İ", Some("0..2")),
    ("(?i)ı", "I", Some("0..1")),
    ("(?i)k", "K", Some("0..3")),
    ("(?i)[^k]", "K", None),
    ("(?i)ſ", "S", Some("0..1")),
    ("(?ia)k", "K", None),
    ("(?i)[a-z]+", "Kİſ!", Some("0..5")),
    ("(?i:A)b", "aB", None),
    ("(?i:A)b", "ab", Some("0..2")),
    ("(?i)ß", "ẞ", Some("0..3")),
    ("(?i:a(?-i:b))", "AB", None),
    ("(?i:a(?-i:b))", "Ab", Some("0..2")),
    ("(?:(a)|b)(?(1)c|d)", "ac bd", Some("0..2 0..1")),
    ("(?:(a)|b)(?(1)c|d)", "bd", Some("0..2 -")),
    (r#"(?P<q>")?x(?(q)"|z)"#, "\"x\" xz", Some("0..3 0..1")),
    (r#"(?P<q>")?x(?(q)"|z)"#, "xz", Some("0..2 -")),
    (r#"(?P<q>")?x(?(q)")"#, "\"x", Some("1..2 -")),
    ("(?(1)a|b)(c)?", "bc", Some("0..2 1..2")),
    (r"(?P<d>[-/])\d(?P=d)\d", "1-2/3/4", Some("3..7 3..4")),
    (r"(a|b)\1", "abb", Some("1..3 1..2")),
    (r"(?i)(a)\1", "aA", Some("0..2 0..1")),
    (r"(x)?\1y", "y", None),
    (
        r"(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\10",
        "abcdefghijj",
        Some("0..11 0..1 1..2 2..3 3..4 4..5 5..6 6..7 7..8 8..9 9..10"),
    ),
    ("a{,2}b", "aaab", Some("1..4")),
    ("a{2}", "aaa", Some("0..2")),
    ("a{1,}?", "aaa", Some("0..1")),
    ("x{", "x{", Some("0..2")),
    ("x{}", "x{}", Some("0..3")),
    ("x{a}", "x{a}", Some("0..4")),
    ("x{,a}", "x{,a}", Some("0..5")),
    ("{{", "{{", Some("0..2")),
    ("[[]", "[", Some("0..1")),
    ("[]]+", "]]", Some("0..2")),
    ("[^]]+", "a]", Some("0..1")),
    (r"[a\]]+", "a]", Some("0..2")),
    ("[[:alpha:]]+", ":]al", Some("0..2")),
    ("[a&&b]+", "&ab", Some("0..3")),
    ("[b~~a]+", "~b", Some("0..2")),
    ("[a||b]+", "|", Some("0..1")),
    ("[-a]+", "-a", Some("0..2")),
    ("[a-]+", "-a", Some("0..2")),
    (r"[\d-]+", "1-", Some("0..2")),
    (r"[\b]", "\u{8}", Some("0..1")),
    (r"[\101\x42\u0043]+", "ABC", Some("0..3")),
    (r"\<a\>", "<a>", Some("0..3")),
    (r#"\-\/\"\'\ \@"#, "-/\"' @", Some("0..6")),
    (r"\v\f\a", "\u{b}\u{c}\u{7}", Some("0..3")),
    (r"\0\01\012", "\u{0}\u{1}\n", Some("0..3")),
    (r"\101", "A", Some("0..1")),
    (r"\x41\u00e9\U0001F600", "Aé😀", Some("0..7")),
    ("(?<=a)b", "ab", Some("1..2")),
    ("(?<!a)b", "ab bb", Some("3..4")),
    ("(?<=[a-c]:)x", "b:x", Some("2..3")),
    ("(?<=ab|cd)x", "cdx", Some("2..3")),
    ("(?<=é)x", "éx", Some("2..3")),
    ("a(?=b)", "ab", Some("0..1")),
    ("a(?!b).", "abac", Some("2..4")),
    ("(?=(a+))a", "aaa", Some("0..1 0..3")),
    ("(?!(a)b)a", "ac", Some("0..1 -")),
    ("a+?b*?c", "aabbc", Some("0..5")),
    ("(a+)(a*?)$", "aaa\n", Some("0..3 0..3 3..3")),
    ("(?:a|ab)(?:c|bcd)(d*)", "abcd", Some("0..4 4..4")),
    ("(a*?)b|c", "aab", Some("0..3 0..2")),
    ("a++b", "aab", Some("0..3")),
    ("a*+a", "aa", None),
    ("a?+a", "a", None),
    ("(?>a|ab)c", "abc", None),
    ("(?>a+)b", "aab", Some("0..3")),
    ("a{1,2}+a", "aa", None),
    ("(a)|b", "b", Some("0..1 -")),
    ("((a)|(b))+", "ab", Some("0..2 1..2 0..1 1..2")),
    ("(|a)b", "ab", Some("0..2 0..1")),
    ("()", "x", Some("0..0 0..0")),
    ("(a)?(b)?", "b", Some("0..1 - 0..1")),
    ("(?x) a b # c", "ab", Some("0..2")),
    (r"(?x)a\ [ ]b", "a  b", Some("0..4")),
    ("a(?#comment)b", "ab", Some("0..2")),
    ("(?s).", "\n", Some("0..1")),
    (".", "\n", None),
    ("(?s:.)b.", "\nb\n", None),
    ("[^a]", "\n", Some("0..1")),
    ("(?:)*a", "a", Some("0..1")),
    ("(?:^)*a", "ba", Some("1..2")),
    ("(?=a)*b", "b", Some("0..1")),
    ("(?:a{2}){2}", "aaaaa", Some("0..4")),
    (r"(?:\ba)+", "a", Some("0..1")),
    ("a{0}b", "ab", Some("1..2")),
    ("(?:(?<=:)b)?c", "bc", Some("1..2")),
    (
        r"(?:\[?(?:(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})|(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):)))\]?|(?P<dns>[\w\-.^_]*\w))",
        "rhost=::ffff:192.0.2.1",
        Some("0..5 - - 0..5"),
    ),
    (
        "from (?P<ip6>(?:[0-9a-f]{1,4}::?|:){1,7}(?:[0-9a-f]{1,4}|(?<=:):))",
        "from 2001:db8:: port",
        Some("0..15 5..15"),
    ),
    (r"12(?=\b|\W|$)", "12", Some("0..2")),
    (r"12(?=\b|\W|$)", "12a", None),
    (r"12(?=\b|\W|$)", "123 12\n", Some("4..6")),
    (r"(?=^|\b|\W)12", "a12", None),
    (r"(?=^|\b|\W)12", "12", Some("0..2")),
    (r"(?=^|\b|\W):1", "é:1", Some("2..4")),
    (r"é(?=\b|\W|$)", "éé é", Some("2..4")),
];

/// Pattern, text of the `re.error`.
const ERRORS: &[(&str, &str)] = &[
    ("a)", "unbalanced parenthesis at position 1"),
    ("(a", "missing ), unterminated subpattern at position 0"),
    ("(?:a", "missing ), unterminated subpattern at position 0"),
    (
        "a\n(b",
        "missing ), unterminated subpattern at position 2 (line 2, column 1)",
    ),
    ("*", "nothing to repeat at position 0"),
    ("a|+", "nothing to repeat at position 2"),
    ("a**", "multiple repeat at position 2"),
    ("a{2}{3}", "multiple repeat at position 4"),
    ("^*", "nothing to repeat at position 1"),
    (r"\b?", "nothing to repeat at position 2"),
    ("a{2,1}", "min repeat greater than max repeat at position 2"),
    ("a{4294967295}", "the repetition number is too large"),
    ("[a", "unterminated character set at position 0"),
    ("[]", "unterminated character set at position 0"),
    ("[^]", "unterminated character set at position 0"),
    ("[a-", "unterminated character set at position 0"),
    ("[b-a]", "bad character range b-a at position 1"),
    (r"[\d-z]", "bad character range \\d-z at position 1"),
    (r"[a-\w]", "bad character range a-\\w at position 1"),
    (r"\", "bad escape (end of pattern) at position 0"),
    (r"a\", "bad escape (end of pattern) at position 1"),
    (r"\q", "bad escape \\q at position 0"),
    (r"\e", "bad escape \\e at position 0"),
    (r"\z", "bad escape \\z at position 0"),
    (r"\K", "bad escape \\K at position 0"),
    (r"[\q]", "bad escape \\q at position 1"),
    (r"[\Z]", "bad escape \\Z at position 1"),
    (r"\x1", "incomplete escape \\x1 at position 0"),
    (r"\u12g", "incomplete escape \\u12 at position 0"),
    (r"\U0011", "incomplete escape \\U0011 at position 0"),
    (r"\U00110000", "bad escape \\U00110000 at position 0"),
    (
        r"\400",
        "octal escape value \\400 outside of range 0-0o377 at position 0",
    ),
    (r"\8", "invalid group reference 8 at position 1"),
    (r"(a)\2", "invalid group reference 2 at position 4"),
    (r"(a\1)", "cannot refer to an open group at position 2"),
    (r"\N{NOPE}", "undefined character name 'NOPE' at position 0"),
    (r"\N", "missing { at position 2"),
    (
        "(?P<a>x)(?P<a>y)",
        "redefinition of group name 'a' as group 2; was group 1 at position 12",
    ),
    (
        "(?P<a-b>x)",
        "bad character in group name 'a-b' at position 4",
    ),
    ("(?P<1>x)", "bad character in group name '1' at position 4"),
    (
        "(?P<a\u{5cc}>x)",
        "bad character in group name 'a\\u05cc' at position 4",
    ),
    (
        "(?(\u{e0001})x)",
        "bad character in group name '\\U000e0001' at position 3",
    ),
    ("(?P<", "missing group name at position 4"),
    ("(?P<a", "missing >, unterminated name at position 4"),
    ("(?P<>x)", "missing group name at position 4"),
    ("(?P=a)", "unknown group name 'a' at position 4"),
    ("(?P=", "missing group name at position 4"),
    ("(?Px)", "unknown extension ?Px at position 1"),
    ("(?P", "unexpected end of pattern at position 3"),
    ("(?", "unexpected end of pattern at position 2"),
    ("(?z)", "unknown extension ?z at position 1"),
    ("(?<x", "unknown extension ?<x at position 1"),
    ("(?#", "missing ), unterminated comment at position 0"),
    ("(?(a)b)", "unknown group name 'a' at position 3"),
    ("(?(2)a|b)(c)", "invalid group reference 2 at position 3"),
    ("(?(0)a)", "bad group number at position 3"),
    (
        "(?(1)a|b|c)(x)",
        "conditional backref with more than two branches at position 8",
    ),
    ("(?(-1)a)", "bad character in group name '-1' at position 3"),
    (
        "(?P<it's>x)",
        "bad character in group name \"it's\" at position 4",
    ),
    (
        "a(?i)b",
        "global flags not at the start of the expression at position 1",
    ),
    ("(?-i)", "missing : at position 4"),
    ("(?i", "missing -, : or ) at position 3"),
    ("(?i-", "missing flag at position 4"),
    ("(?i-m", "missing : at position 5"),
    ("(?iz)", "unknown flag at position 3"),
    ("(?i1)", "missing -, : or ) at position 3"),
    (
        "(?i-i:a)",
        "bad inline flags: flag turned on and off at position 5",
    ),
    (
        "(?-u:a)",
        "bad inline flags: cannot turn off flags 'a', 'u' and 'L' at position 4",
    ),
    (
        "(?au)",
        "bad inline flags: flags 'a', 'u' and 'L' are incompatible at position 4",
    ),
    (
        "(?L)",
        "bad inline flags: cannot use 'L' flag with a str pattern at position 3",
    ),
    ("(?a)(?u)", "ASCII and UNICODE flags are incompatible"),
    ("(?<=a+)b", "look-behind requires fixed-width pattern"),
    ("(?<!a|bc)x", "look-behind requires fixed-width pattern"),
    (
        r"(?<=(a)\1)x",
        "cannot refer to group defined in the same lookbehind subpattern at position 9",
    ),
    (
        "(?P<ip4>a)(?:b|(?P<ip4>c))",
        "redefinition of group name 'ip4' as group 2; was group 1 at position 19",
    ),
];

#[test]
fn searches() {
    for (pattern, text, expected) in SEARCHES {
        let found = spans(&regex(pattern), text);
        assert_eq!(found.as_deref(), *expected, "{pattern:?} in {text:?}");
    }
}

#[test]
fn errors() {
    for (pattern, expected) in ERRORS {
        match Regex::new(pattern, Flags::default()) {
            Err(RegexSyntaxError(reason)) => {
                assert_eq!(reason, *expected, "{pattern:?}");
            }
            other => panic!("{pattern:?} gave {other:?}"),
        }
    }
}

#[test]
fn group_names_and_numbers() {
    let regex = regex("(a)(?P<b>(?:c)(?P<d_1>d))(?P<é>e)");
    let names: Vec<Option<&str>> = regex.group_names().iter().map(Option::as_deref).collect();
    assert_eq!(names, [None, None, Some("b"), Some("d_1"), Some("é")]);
    assert_eq!(regex.group_index("d_1"), Some(3));
    assert_eq!(regex.group_index("a"), None);
}

#[test]
fn deep_nesting_is_refused_or_run() {
    let nested = |depth| format!("{}a{}", "(?:".repeat(depth), ")".repeat(depth));
    assert!(regex(&nested(150)).is_match("a").unwrap());
    assert!(Regex::new(&nested(5_000), Flags::default()).is_err());
}
