//! Any script: what of it is read as shell, as a call of a firewall program, as a mail.

use ferroban::parts::exec::script::Script;
use ferroban::parts::exec::syntax::{self, List, ShellCommand};
use ferroban::parts::firewall::iptables::{Rule, transactions};
use ferroban::parts::mail::Mail;

pub fn run(data: &[u8]) {
    let texts: Vec<_> = super::texts(data).collect();
    let mut changes = Vec::new();
    for text in &texts {
        if let Some(list) = syntax::parse(text) {
            walk(&list, 0);
        }
        if let Some(words) = syntax::plain_command(text) {
            assert!(!words.is_empty());
        }
        for line in text.lines() {
            changes.extend(Rule::read(line));
        }
        let _ = Mail::recognise(&Script::plain(text.as_ref()));
    }
    let changes: Vec<_> = changes.iter().collect();
    assert!(transactions(&changes).len() <= changes.len());
}

/// Nothing nests deeper than a bound.
fn walk(list: &List, depth: usize) {
    assert!(depth < 32);
    for (pipeline, _) in list {
        for command in pipeline {
            match command {
                ShellCommand::Group(list) => walk(list, depth + 1),
                ShellCommand::Simple { assignments, words } => {
                    assert!(!assignments.is_empty() || !words.is_empty());
                }
            }
        }
    }
}
