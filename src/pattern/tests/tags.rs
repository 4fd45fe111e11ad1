//! Tags: what they become is what `get JAIL failregex` shows.

use crate::pattern::{FailRegex, FieldGroup, PatternError, UseDns};

fn expanded(source: &str, usedns: UseDns) -> String {
    FailRegex::new(source, usedns, false)
        .unwrap()
        .expanded()
        .to_owned()
}

const IP4: &str = r"(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})";
const IP6: &str = r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):))";
const DNS: &str = r"(?P<dns>[\w\-.^_]*\w)";

#[test]
fn short_forms() {
    let addr = format!(r"\[?(?:{IP4}|{IP6})\]?");
    let host = format!("(?:{addr}|{DNS})");
    let subnet = format!(r"\[?(?:{IP4}|{IP6})(?:/(?P<cidr>\d+))?\]?");
    for (tag, text) in [
        ("<IP4>", IP4),
        ("<F-IP4/>", IP4),
        ("<IP6>", IP6),
        ("<F-IP6/>", IP6),
        ("<DNS>", DNS),
        ("<F-DNS/>", DNS),
        ("<ADDR>", addr.as_str()),
        ("<F-ADDR/>", addr.as_str()),
        ("<HOST>", host.as_str()),
        ("<SUBNET>", subnet.as_str()),
        ("<F-SUBNET/>", subnet.as_str()),
        ("<CIDR>", r"(?P<cidr>\d+)"),
        ("<F-CIDR/>", r"(?P<cidr>\d+)"),
        ("<F-ID/>", r"(?P<fid>\S+)"),
        ("<F-PORT/>", r"(?P<fport>\w+)"),
    ] {
        assert_eq!(
            expanded(&format!("a {tag} b"), UseDns::Warn),
            format!("a {text} b")
        );
    }
    assert_eq!(expanded("<HOST>", UseDns::No), addr);
    for usedns in [UseDns::Yes, UseDns::Raw] {
        assert_eq!(expanded("<HOST>", usedns), host);
    }
}

#[test]
fn named_groups_and_what_stays_literal() {
    for (source, text) in [
        ("<F-USER>x</F-USER>", "(?P<user>x)"),
        ("<F-ID>x</F-ID>", "(?P<fid>x)"),
        ("<F-PORT>x</F-PORT>", "(?P<fport>x)"),
        ("<F-IP4>x</F-IP4>", "(?P<ip4>x)"),
        ("<F-ALT_USER_1>x</F-ALT_USER_1>", "(?P<alt_user_1>x)"),
        ("</F-USER>", "</F-USER>"),
        ("<F-lower>x</F-lower>", "<F-lower>x</F-lower>"),
        ("<F-HOST/>", "<F-HOST/>"),
        (
            "<host> <HOSTS> </HOST> <HOST/>",
            "<host> <HOSTS> </HOST> <HOST/>",
        ),
        ("a < b <> <<F-A>x</F-A>> <é>", "a < b <> <(?P<a>x)> <é>"),
        (
            "<SKIPLINES>x<SKIPLINES>",
            r"\n(?P<skiplines0>(?:(?:.*\n)*?))x\n(?P<skiplines1>(?:(?:.*\n)*?))",
        ),
    ] {
        assert_eq!(expanded(source, UseDns::Warn), text, "{source}");
    }
}

#[test]
fn flags_of_a_group_are_scoped() {
    for (source, text) in [
        ("((?i)x)", "(?i:x)"),
        ("(?:(?im)x)", "(?im:x)"),
        ("((?i)x|((?s)y))", "(?i:x|(?s:y))"),
        ("(?i)x", "(?i)x"),
        ("[((?i)x)]", "[(?i:x)]"),
    ] {
        assert_eq!(expanded(source, UseDns::Warn), text);
    }
    // they hold for the whole
    for source in ["(?P<a>(?i)x)y", "y(?i)x", "x|(?:y)(?i)"] {
        assert_eq!(expanded(source, UseDns::Warn), source);
        let regex = FailRegex::new(source, UseDns::Warn, false).unwrap();
        assert_eq!(regex.regex().is_match("XYX"), Ok(true), "{source}");
    }
    let unbalanced = FailRegex::new(r"\((?i)x)", UseDns::Warn, false);
    assert!(unbalanced.is_err());
}

#[test]
fn errors_show_the_expanded_regex() {
    let error = |source: &str| {
        FailRegex::new(source, UseDns::Warn, false)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("<F-A-B>x</F-A-B>"),
        "Unable to compile regular expression '(?P<a-b>x)':\n\
         bad character in group name 'a-b' at position 4"
    );
    assert!(
        error("<HOST> <HOST>")
            .ends_with("redefinition of group name 'ip4' as group 4; was group 1 at position 178")
    );
    assert_eq!(error(" \t"), "Cannot add empty regex");
    assert_eq!(
        FailRegex::new("", UseDns::Warn, false).unwrap_err(),
        PatternError::Empty
    );
}

#[test]
fn groups_are_sorted_out() {
    let regex = FailRegex::new(
        "<F-MLFID>m</F-MLFID><F-NOFAIL>n</F-NOFAIL><F-ALT_USER_1>a</F-ALT_USER_1>\
         <F-ALT_USER>b</F-ALT_USER><F-ALT_USER1>c</F-ALT_USER1><F-TUPLE_ID_12>t</F-TUPLE_ID_12>\
         <F-USER>u</F-USER><F-ALT_>z</F-ALT_>",
        UseDns::Warn,
        false,
    )
    .unwrap();
    let groups = regex.groups();
    assert_eq!(
        (groups.mlfid, groups.nofail, groups.fid),
        (Some(1), Some(2), None)
    );
    let part = |group, field: &str| FieldGroup {
        group,
        field: field.into(),
    };
    assert_eq!(
        groups.alternatives,
        [part(4, "user"), part(5, "user1"), part(3, "user")]
    );
    assert_eq!(groups.tuples, [part(6, "fid")]);
    assert!(regex.has_id());
}

#[test]
fn any_of_six_groups_names_an_offender() {
    for source in [
        "<F-ID/>",
        "<IP4>",
        "<IP6>",
        "<DNS>",
        "<F-MLFID>x</F-MLFID>",
        "(?P<host>x)",
    ] {
        assert!(
            FailRegex::new(source, UseDns::Warn, false)
                .unwrap()
                .has_id()
        );
    }
    for source in ["x", "<CIDR>", "<F-USER>x</F-USER>"] {
        assert!(
            !FailRegex::new(source, UseDns::Warn, false)
                .unwrap()
                .has_id()
        );
    }
}
