//! The manual pages (`docs/man`) say of options, commands and tags what the program has, no more and no
//! less; and `docs` holds together as a book.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::words;
use ferroban::parts::options::{action, jail, server};

/// What a page or a help text explains, with the explanation.
type Entries = BTreeMap<String, String>;

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/man")
}

fn page(name: &str) -> String {
    let path = pages().join(format!("{name}.md"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Text without what pages and help texts mark words by.
fn plain(text: &str) -> String {
    let bare = text.replace(['*', '<', '>', '[', ']', '`'], "");
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The definition lists of a page: a term, and below it `: ` with its meaning.
fn terms(text: &str) -> Entries {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.windows(2).enumerate();
    let starts = starts.filter(|(_, pair)| pair[1].starts_with(":   "));
    let entries = starts.map(|(at, pair)| {
        let meaning = lines[at + 1..].iter().take_while(|line| !line.is_empty());
        let meaning: Vec<&str> = meaning.map(|line| line.trim_start_matches(':')).collect();
        (pair[0].to_owned(), plain(&meaning.join(" ")))
    });
    entries.collect()
}

/// A section of a page.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let from = text.find(&format!("\n# {heading}\n")).unwrap();
    let section = &text[from + 1..];
    section.split("\n# ").next().unwrap()
}

/// The bold words of all terms: names of options.
fn names(text: &str) -> BTreeSet<String> {
    let terms = terms(text);
    let words = terms
        .keys()
        .flat_map(|term| term.split("**").skip(1).step_by(2));
    words.map(str::to_owned).collect()
}

/// The tags that terms explain.
fn tags(text: &str) -> BTreeSet<String> {
    let terms = terms(text);
    let words = terms
        .keys()
        .flat_map(|term| term.split('`').skip(1).step_by(2));
    let tags = words.map(|word| {
        word.strip_prefix('<')
            .and_then(|word| word.strip_suffix('>'))
    });
    tags.flatten().map(str::to_owned).collect()
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

fn help(words: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_ferroban");
    let output = Command::new(program).args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// What a help text explains in two columns.
fn explained(text: &str) -> Entries {
    let mut entries = Vec::<(String, String)>::new();
    let mut open = false;
    for line in text.lines() {
        let words = line.trim_start();
        match line.len() - words.len() {
            2..=8 if !words.is_empty() => {
                let (form, meaning) = words.split_once("  ").unwrap_or((words, ""));
                entries.push((form.to_owned(), meaning.trim().to_owned()));
                open = true;
            }
            9.. if open => entries.last_mut().unwrap().1.extend([" ", words]),
            _ => open = false,
        }
    }
    let entries = entries.into_iter();
    entries
        .map(|(form, meaning)| (plain(&form), plain(&meaning)))
        .collect()
}

/// Compares the explanations of a page with those of a help text; a page may say more of each.
fn compare(page: &str, described: &Entries, known: &Entries) {
    assert_eq!(
        described.keys().collect::<Vec<_>>(),
        known.keys().collect::<Vec<_>>(),
        "{page}"
    );
    for (form, meaning) in known {
        let said = &described[form];
        assert!(
            said.to_lowercase().starts_with(&meaning.to_lowercase()),
            "{page}: {form}\n  page: {said}\n  help: {meaning}"
        );
    }
}

/// The terms of a page that are options, or those that are none.
fn options(entries: &Entries, wanted: bool) -> Entries {
    let entries = entries
        .iter()
        .map(|(term, said)| (plain(term), said.clone()));
    entries
        .filter(|(term, _)| term.starts_with('-') == wanted)
        .collect()
}

/// The programs of `ferroban`, with what its help says of them.
fn programs() -> Entries {
    options(&explained(&help(&["--help"])), false)
}

/// The page of a program.
fn page_of(program: &str) -> String {
    match program {
        "client" | "server" | "regex" => format!("fail2ban-{program}.1"),
        program => format!("ferroban-{program}.1"),
    }
}

#[test]
fn every_program_has_a_page() {
    for (program, purpose) in programs() {
        let name = page_of(&program);
        let text = page(&name);
        let purpose = purpose.split(" (fail2ban-").next().unwrap();
        let line = format!("\n{} - {purpose}\n", name.trim_end_matches(".1"));
        assert!(text.contains(&line), "{name}: {line}");
    }
}

#[test]
fn the_page_of_ferroban_lists_its_programs() {
    let text = page("ferroban.1");
    let described = options(&terms(section(&text, "PROGRAMS")), false);
    compare("ferroban.1", &described, &programs());
}

#[test]
fn pages_explain_the_options_that_help_does() {
    let mut helps = vec![("ferroban.1".to_owned(), help(&["--help"]))];
    for program in programs().into_keys() {
        helps.push((page_of(&program), help(&[program.as_str(), "--help"])));
    }
    for (name, help) in helps {
        let known = options(&explained(&help), true);
        compare(&name, &options(&terms(&page(&name)), true), &known);
    }
}

#[test]
fn every_command_of_the_client_is_explained() {
    let help = help(&["client", "--help"]);
    let (_, commands) = help.split_once("Command:\n").unwrap();
    let text = page("fail2ban-client.1");
    let described = options(&terms(section(&text, "COMMANDS")), false);
    compare("fail2ban-client.1", &described, &explained(commands));
}

#[test]
fn options_of_jails_filters_and_the_server_are_explained() {
    let rows = jail::all().chain(server::of_all_sections());
    assert_eq!(names(&page("jail.conf.5")), set(rows.map(|row| row.name)));
}

#[test]
fn options_and_tags_of_actions_are_explained() {
    let text = page("ferroban-action.5");
    assert_eq!(names(&text), set(action::all().map(|row| row.name)));
    assert_eq!(tags(&text), set(words::action_tags()));
}

#[test]
fn tags_of_filters_are_explained() {
    assert_eq!(tags(&page("ferroban-filter.5")), set(words::filter_tags()));
}

#[test]
fn the_first_line_of_a_page_is_its_title() {
    for entry in std::fs::read_dir(pages()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (title, section) = name.strip_suffix(".md").unwrap().rsplit_once('.').unwrap();
        let text = std::fs::read_to_string(pages().join(&name)).unwrap();
        assert!(text.starts_with(&format!("% {title} {section} ")), "{name}");
    }
}

/// All pages below `docs`, by their path from there, but for the table of contents.
fn chapters(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(chapters(&path)),
            false if path.extension().is_some_and(|extension| extension == "md") => {
                found.push(path);
            }
            false => {}
        }
    }
    found.retain(|path| !path.ends_with("SUMMARY.md"));
    found
}

/// Where the links of a page lead, but for those into the network.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let links = text.split("](").skip(1);
    let links = links.filter_map(|rest| Some(rest.split_once(')')?.0));
    links.filter(|link| !link.contains("://") && !link.contains(char::is_whitespace))
}

/// What a link to a heading calls it.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let names = headings.map(|line| {
        let name = line.trim_start_matches('#').trim().to_lowercase();
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        name.chars()
            .filter(kept)
            .collect::<String>()
            .replace(' ', "-")
    });
    names.collect()
}

#[test]
fn the_book_has_every_page_of_docs_once() {
    let docs = pages().parent().unwrap().to_owned();
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let mut listed: Vec<PathBuf> = links(&summary).map(|link| docs.join(link)).collect();
    let mut there = chapters(&docs);
    listed.sort();
    there.sort();
    assert_eq!(listed, there);
}

#[test]
fn links_lead_to_pages_and_headings_and_stay_in_the_book() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = root.join("docs").canonicalize().unwrap();
    let outside = [
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    let outside = outside.map(|name| root.join(name));
    for page in chapters(&docs).iter().chain(&outside) {
        let text = std::fs::read_to_string(page).unwrap();
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let place = format!("{}: {link}", page.display());
            let target = target
                .canonicalize()
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(
                target.starts_with(&docs) || !page.starts_with(&docs),
                "{place}"
            );
            if !heading.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                assert!(anchors(&text).contains(heading), "{place}");
            }
        }
    }
}

#[test]
fn files_that_structure_and_howto_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in ["docs/structure.md", "docs/howto.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        let below = [
            "src/",
            "crates/",
            "tests/",
            "docs/",
            "packaging/",
            "samples/",
        ];
        let named = |word: &&str| below.iter().any(|folder| word.starts_with(folder));
        // NAME stands for what is new
        for path in quoted.filter(named).filter(|word| !word.contains("NAME")) {
            assert!(root.join(path).exists(), "{page}: {path}");
        }
    }
}

/// The jobs of a workflow, and the words of its commands.
fn workflow(text: &str) -> (BTreeSet<String>, Vec<String>) {
    let (head, jobs) = text.split_once("\njobs:\n").unwrap();
    assert!(head.contains("\non:\n"), "{head}");
    let names = jobs.lines().filter_map(|line| {
        let name = line.strip_prefix("  ")?.strip_suffix(':')?;
        (!name.starts_with([' ', '#'])).then(|| name.to_owned())
    });
    let run = jobs.lines().filter(|line| !line.contains("uses: "));
    let words = run.flat_map(str::split_whitespace);
    let words = words.map(|word| word.trim_matches('"').to_owned());
    (names.collect(), words.collect())
}

#[test]
fn workflows_name_what_is_there_and_contributing_their_jobs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut jobs = BTreeSet::new();
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(root.join(".github/workflows")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let (names, words) = workflow(&text);
        jobs.extend(names);
        let here =
            |word: &String| word.contains('/') && !word.contains(['$', ':', '=', '}', '\'', '*']);
        files.extend(words.into_iter().filter(here));
    }
    for file in &files {
        assert!(root.join(file).exists(), "{file}");
    }
    assert!(
        files.contains(".ci/run") && files.contains("samples/filters/"),
        "{files:?}"
    );
    let contributing = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let rows = contributing
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let explained: BTreeSet<String> = rows
        .filter_map(|row| Some(row.split_once("` |")?.0.to_owned()))
        .collect();
    assert_eq!(explained, jobs);

    // the job `smoke` takes a dictionary and seeds for each target
    let fuzz = root.join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let targets = manifest.split("[[bin]]\nname = \"").skip(1);
    for target in targets.map(|text| text.split('"').next().unwrap()) {
        let dictionary = format!("dictionaries/{target}.dict");
        assert!(
            fuzz.join(dictionary).is_file() && fuzz.join("seeds").join(target).is_dir(),
            "{target}"
        );
    }
}
