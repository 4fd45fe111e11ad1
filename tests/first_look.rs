//! What somebody sees who tries the program for the first time: `ferroban` alone, `--help` of each
//! program, what is said of words it does not know, and whether that fits a terminal.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Command, Output};

use common::home::{Site, server};

fn ferroban(words: &[&str]) -> Output {
    let mut command = common::pinned(Command::new(env!("CARGO_BIN_EXE_ferroban")));
    let output = command.args(words).output();
    output.unwrap()
}

fn printed(words: &[&str]) -> String {
    let output = ferroban(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a refused command line is told.
fn told(words: &[&str]) -> String {
    let output = ferroban(words);
    assert!(!output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn fits(text: &str, lines: usize) {
    assert!(text.lines().count() <= lines, "{text}");
    let wide = text.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{text}");
}

/// The programs that `ferroban --help` names.
fn programs() -> Vec<String> {
    let text = printed(&["--help"]);
    let rows = text.lines().filter_map(|line| line.strip_prefix("    "));
    let names = rows.filter_map(|row| row.split_whitespace().next());
    let programs = names.filter(|name| !name.starts_with('-'));
    programs.map(str::to_owned).collect()
}

#[test]
fn ferroban_alone_shows_the_tasks_on_one_screen() {
    let text = printed(&[]);
    fits(&text, 24);
    let programs = programs();
    for heading in ["Run:", "Inspect:", "Test and write filters:"] {
        assert!(text.lines().any(|line| line == heading), "{text}");
    }
    let calls = text
        .lines()
        .filter_map(|line| line.strip_prefix("    ferroban "));
    let called: Vec<&str> = calls.filter_map(|call| call.split(' ').next()).collect();
    assert!(called.len() > 8, "{text}");
    for program in called {
        assert!(programs.iter().any(|known| known == program), "{program}");
    }
}

#[test]
fn ferroban_help_names_every_program_on_one_screen() {
    let text = printed(&["--help"]);
    fits(&text, 24);
    assert_eq!(text, printed(&["help"]));
    assert!(programs().len() > 12, "{text}");
    for heading in ["Run:", "Inspect:", "Test and write filters:"] {
        assert!(text.lines().any(|line| line == heading), "{text}");
    }
}

/// How it is called; one sentence; arguments and options in two columns; examples.
#[test]
fn help_of_every_program_has_one_form() {
    for program in programs() {
        let text = printed(&[&program, "--help"]);
        // the commands of the client are as long as they are
        let own = text.split("\nCommand:\n").next().unwrap();
        fits(own, usize::MAX);
        let (usage, rest) = own.split_once("\n\n").unwrap();
        assert!(
            usage.starts_with(&format!("Usage: ferroban {program}")),
            "{text}"
        );
        let (sentence, rest) = rest.split_once("\n\n").unwrap();
        assert!(sentence.ends_with('.'), "{program}: {sentence}");
        assert_eq!(sentence.matches(". ").count(), 0, "{program}: {sentence}");
        let (_, options) = rest.split_once("Options:\n").unwrap();
        let (options, examples) = options.split_once("\n\nExamples:\n").unwrap();
        assert!(options.contains("-h, --help"), "{text}");
        for row in options.lines().filter(|row| !row.starts_with("     ")) {
            let row = row.strip_prefix("    -").expect(row);
            // a long form stands alone, its meaning below
            assert!(row.contains("  ") || row.len() > 17, "{program}: {row}");
        }
        let examples = examples.split("\n\n").next().unwrap();
        let lines: Vec<&str> = examples.lines().collect();
        assert!(lines.len() >= 2, "{text}");
        for pair in lines.chunks(2) {
            assert!(
                pair[0].starts_with("    ") && pair[0].ends_with(':'),
                "{text}"
            );
            let call = pair[1].strip_prefix("        ferroban ").expect(pair[1]);
            assert!(call.starts_with(&program), "{text}");
        }
        assert_eq!(printed(&["help", &program]), text);
    }
}

#[test]
fn words_that_are_nearly_right_get_a_suggestion() {
    for (words, meant) in [
        (&["repaly"][..], "did you mean 'replay'?"),
        (&["help", "lnit"], "did you mean 'lint'?"),
        (&["replay", "--comands"], "'--commands'"),
        (&["lint", "--note"], "'--notes'"),
        (&["install-links", "--forc", "."], "'--force'"),
        (&["completion", "bsah"], "'bash'"),
        (
            &["replay", "-c", ".", "--jail", "sshdd"],
            "did you mean 'sshd'?",
        ),
        (
            &["explain", "-c", ".", "--jail", "shsd", "x"],
            "did you mean 'sshd'?",
        ),
        (
            &["config", "-c", ".", "dovecott"],
            "did you mean 'dovecot'?",
        ),
        (&["actions", "-c", ".", "dovcot"], "did you mean 'dovecot'?"),
    ] {
        let text = told(words);
        assert!(text.contains(meant), "{words:?}: {text}");
    }
}

#[test]
fn words_that_are_like_nothing_get_none() {
    for words in [
        &["xyzzy"][..],
        &["help", "frobnicate"],
        &["replay", "--xyzzy"],
        &["install-links", "--quux", "."],
        &["completion", "powershell"],
        &["replay", "-c", ".", "--jail", "nonsense"],
        &["config", "-c", ".", "nonsense"],
        &["actions", "-c", ".", "nonsense"],
    ] {
        let text = told(words);
        assert!(!text.contains("did you mean"), "{words:?}: {text}");
        assert!(!text.contains("similar"), "{words:?}: {text}");
        assert!(
            words.iter().any(|word| text.contains(word)),
            "{words:?}: {text}"
        );
    }
}

/// A running server knows its jails. Under fail2ban's own name the client says what fail2ban's does.
#[test]
fn jails_of_a_server_are_suggested_under_our_own_name() {
    let site = Site::new(&["sshd"]);
    site.write("sshd.log", "");
    site.jails("[sshd]\nenabled = true\nfilter = sshd\nlogpath = %(here)s/sshd.log\n");
    let server = site.foreground(server());
    site.wait_for("Jail 'sshd' started");
    let refused = |mut program: Command, word: &str| {
        let output = site.args(&mut program, &["status", word]).output().unwrap();
        assert_eq!(output.status.code(), Some(255), "{output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            said,
            format!("Sorry but the jail '{word}' does not exist\n")
        );
        told
    };
    let meant = "did you mean 'sshd'?";
    assert!(refused(common::ours("client"), "shsd").contains(meant));
    assert!(!refused(common::ours("client"), "nonsense").contains("did you mean"));
    let link = site.path("fail2ban-client");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_ferroban"), &link).unwrap();
    let named = common::pinned(Command::new(link));
    assert!(!refused(named, "shsd").contains("did you mean"));
    drop(server);
}
