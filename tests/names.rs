//! Each word of fail2ban has a test that is found by it. A test about an option or a command begins with
//! it (`maxretry_reached_bans`), one about a tag with `tag_` and the tag (`tag_ip_rev_is_…`).
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use common::words;

/// Adds the names of all tests in a file or below a folder.
fn collect(path: &Path, names: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), names);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        names.extend(tests(&fs::read_to_string(path).unwrap()));
    }
}

/// The names of the tests in a source text.
fn tests(source: &str) -> Vec<String> {
    let marked = source.lines().scan(false, |is_test, line| {
        let line = line.trim_start();
        let signature = line.strip_prefix("async ").unwrap_or(line);
        let name = signature.strip_prefix("fn ");
        let name = name.and_then(|rest| rest.split('(').next());
        match (
            line.starts_with("#[test]") || line.starts_with("#[tokio::test"),
            name,
        ) {
            (true, _) => *is_test = true,
            (_, Some(name)) if std::mem::take(is_test) => return Some(Some(name.to_owned())),
            _ => {}
        }
        Some(None)
    });
    marked.flatten().collect()
}

/// All tests of the program.
fn all_tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["tests", "src"] {
        collect(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut names,
        );
    }
    names
}

/// How a word is written in the name of a test.
fn written(word: &str) -> String {
    word.to_lowercase().replace(['-', '.'], "_")
}

/// A tag as it is written in the name of a test. `<F-ADDR/>` is another form of `<ADDR>`, `<F-*>` is any
/// name.
fn written_tag(tag: &str, tags: &BTreeSet<&str>) -> String {
    let short = tag.strip_prefix("F-").and_then(|tag| tag.strip_suffix('/'));
    let tag = match short {
        Some(short) if tags.contains(short) => short,
        _ => tag.trim_end_matches(['/', '*', '-']),
    };
    format!("tag_{}", written(tag))
}

/// The words that no test begins with.
fn without_test(words: impl IntoIterator<Item = String>, tests: &BTreeSet<String>) -> Vec<String> {
    let has_test = |word: &String| {
        let begin = format!("{word}_");
        tests.iter().any(|name| name.starts_with(&begin))
    };
    words.into_iter().filter(|word| !has_test(word)).collect()
}

#[test]
fn names_of_options_begin_a_test() {
    let words = words::options().into_iter().map(written);
    assert_eq!(without_test(words, &all_tests()), [""; 0]);
}

#[test]
fn names_of_commands_begin_a_test() {
    let words = words::commands();
    let words = words.iter().map(|word| written(word));
    assert_eq!(without_test(words, &all_tests()), [""; 0]);
}

#[test]
fn names_of_tags_begin_a_test() {
    let tags: BTreeSet<&str> = words::action_tags().chain(words::filter_tags()).collect();
    let words: BTreeSet<String> = tags.iter().map(|tag| written_tag(tag, &tags)).collect();
    assert_eq!(without_test(words, &all_tests()), [""; 0]);
}

/// The options and tags that jail.conf(5) of the original explains.
fn words_of_the_original() -> Vec<String> {
    let page = common::reference("1.1.1").join("usr/share/man/man5/jail.conf.5.gz");
    let mut text = String::new();
    let mut page = flate2::read::GzDecoder::new(fs::File::open(page).unwrap());
    page.read_to_string(&mut text).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let terms = lines.windows(2).filter(|pair| pair[0].starts_with(".TP"));
    let words = terms.filter_map(|pair| {
        let bold = pair[1].strip_prefix(".B ");
        bold.or_else(|| pair[1].strip_prefix("\\fB")?.strip_suffix("\\fR"))
    });
    let one = |word: &&str| !word.contains(' ');
    words.filter(one).map(str::to_owned).collect()
}

#[test]
fn words_hold_those_of_the_originals_page() {
    let values_of_backend = ["auto", "pyinotify", "polling", "systemd"];
    let tags: BTreeSet<&str> = words::action_tags().collect();
    let options = words::options();
    let explained = words_of_the_original();
    assert!(explained.len() > 60, "{explained:?}");
    for word in &explained {
        let word = word.as_str();
        assert!(
            options.contains(word) || tags.contains(word) || values_of_backend.contains(&word),
            "{word}"
        );
    }
}

#[test]
fn a_word_without_a_test_is_named() {
    let source = "#[test]\nfn maxretry_reached_bans() {}\n\nfn findtime_helper() {}\n\n\
                  #[tokio::test]\nasync fn tag_ip_rev_of_ipv6() {}\n";
    let found: BTreeSet<String> = tests(source).into_iter().collect();
    let words = ["maxretry", "findtime", "tag_ip_rev", "tag_ip_host"].map(str::to_owned);
    assert_eq!(without_test(words, &found), ["findtime", "tag_ip_host"]);
    assert_eq!(written("bantime.increment"), "bantime_increment");
    let tags = BTreeSet::from(["ADDR", "F-ADDR/", "F-ID/"]);
    assert_eq!(written_tag("F-ADDR/", &tags), "tag_addr");
    assert_eq!(written_tag("F-ID/", &tags), "tag_f_id");
}
