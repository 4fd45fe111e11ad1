//! What one log line costs a jail's filter: the date, the prefilter and, where it may match, the
//! regexes. `cargo bench --bench line`

use std::hint::black_box;
use std::sync::LazyLock;

use ferroban::parts::filter::{Clock, Filter};

const NOW: f64 = 1_795_291_452.0;

/// Lines of the sample log: those that lead to a failure, and all others.
static LINES: LazyLock<[Vec<&str>; 2]> = LazyLock::new(|| {
    let log = include_str!("../samples/mail-server.log");
    let (matching, other) = log
        .lines()
        .partition(|line| line.contains(": Invalid user "));
    [matching, other]
});

fn main() {
    divan::main();
}

/// Failregexes of the kind the stock filters have, behind a prefregex with a session key.
fn filter() -> Filter {
    let mut filter = Filter::new("sshd");
    filter
        .set_prefregex(
            r"^<F-MLFID>\s*(?:\S+ )?sshd(?:\[\d+\])?: </F-MLFID><F-CONTENT>.+</F-CONTENT>$",
        )
        .expect("prefregex");
    for regex in [
        r"^Invalid user <F-USER>.*</F-USER> from <HOST>(?: port \d+)?$",
        r"^Failed password for <F-USER>.*</F-USER> from <HOST>(?: port \d+)?(?: ssh\d*)?$",
        r"^Connection (?:closed|reset) by <HOST>(?: port \d+)? \[preauth\]$",
    ] {
        filter.add_failregex(regex).expect("failregex");
    }
    filter
}

#[divan::bench(args = ["matching", "other"])]
fn line(bencher: divan::Bencher, kind: &str) {
    let lines = &LINES[usize::from(kind != "matching")];
    let clock = Clock {
        now: NOW,
        in_operation: true,
        findtime: 600.0,
    };
    let mut filter = filter();
    bencher
        .counter(divan::counter::ItemsCount::new(lines.len()))
        .bench_local(|| {
            for line in lines {
                black_box(filter.process_line(line, None, &clock));
            }
        });
}
