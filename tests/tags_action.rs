//! What each tag of actions becomes in a command, under the original and under ours. `tests/names.rs`
//! counts on the names.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::LazyLock;

use common::cases::{self, Case, Outcomes, outcome};

/// Jails that both programs run, in one server each.
static BOTH: LazyLock<Outcomes> = LazyLock::new(|| cases::both(CASES));

/// Cases with tags that the original does not know.
static OURS: LazyLock<Outcomes> = LazyLock::new(|| cases::ours(&[&ORIGIN]));

/// Tags whose value is one word.
const WORDS: Case = Case {
    jail: "words",
    settings: "bantime = 601\nfailregex = ^ x from <ADDR> by <F-USER>\\w+</F-USER>$\n\
               action = note[note=\"ip=<ip> family=<family> ip-rev=<ip-rev> ip-host=<ip-host> fid=<fid> \
               failures=<failures> bantime=<bantime> bancount=<bancount> restored=<restored> \
               jail.name=<jail.name> jail.banned=<jail.banned> jail.banned_total=<jail.banned_total> \
               jail.found=<jail.found> jail.found_total=<jail.found_total> F-USER=<F-USER> \
               fq-hostname=<fq-hostname> sh-hostname=<sh-hostname> sp=a<sp>b\"]",
    run: |jail| {
        jail.lines(&["x from 127.0.0.1 by bob"; 2]);
        jail.notes(1)
    },
};

/// The value of such a tag.
fn word(tag: &str) -> String {
    let note = outcome(&BOTH, &WORDS).join("\n");
    let mark = format!("{tag}=");
    let value = note.split(' ').find_map(|word| word.strip_prefix(&*mark));
    value
        .unwrap_or_else(|| panic!("no {tag}: {note}"))
        .to_owned()
}

#[test]
fn tag_ip_is_the_address() {
    assert_eq!(word("ip"), "127.0.0.1");
}

#[test]
fn tag_family_of_an_ipv4_address_is_inet4() {
    assert_eq!(word("family"), "inet4");
}

#[test]
fn tag_ip_rev_is_the_address_in_reverse() {
    assert_eq!(word("ip-rev"), "1.0.0.127.");
}

#[test]
fn tag_ip_host_is_the_name_of_the_address() {
    assert_eq!(word("ip-host"), "localhost");
}

#[test]
fn tag_fid_of_an_address_is_the_address() {
    assert_eq!(word("fid"), "127.0.0.1");
}

#[test]
fn tag_failures_is_their_number() {
    assert_eq!(word("failures"), "2");
}

#[test]
fn tag_bantime_is_in_seconds() {
    assert_eq!(word("bantime"), "601");
}

#[test]
fn tag_bancount_of_the_first_ban_is_one() {
    assert_eq!(word("bancount"), "1");
}

#[test]
fn tag_restored_of_a_new_ban_is_zero() {
    assert_eq!(word("restored"), "0");
}

#[test]
fn tag_jail_name_is_that_of_the_jail() {
    assert_eq!(word("jail.name"), "words");
}

#[test]
fn tag_jail_banned_counts_this_ban() {
    assert_eq!(word("jail.banned"), "1");
}

#[test]
fn tag_jail_banned_total_counts_this_ban() {
    assert_eq!(word("jail.banned_total"), "1");
}

#[test]
fn tag_jail_found_counts_ids_that_are_not_banned() {
    assert_eq!(word("jail.found"), "0");
}

#[test]
fn tag_jail_found_total_counts_all_failures() {
    assert_eq!(word("jail.found_total"), "2");
}

#[test]
fn tag_f_user_is_what_the_filter_caught() {
    assert_eq!(word("F-USER"), "bob");
}

#[test]
fn tag_fq_hostname_begins_with_the_short_name() {
    let full = word("fq-hostname");
    assert!(!full.is_empty() && !full.contains('<'), "{full}");
}

#[test]
fn tag_sh_hostname_is_that_of_the_kernel() {
    let kernel = nix::sys::utsname::uname().unwrap();
    assert_eq!(word("sh-hostname"), kernel.nodename().to_str().unwrap());
}

#[test]
fn tag_sp_is_a_blank() {
    let note = outcome(&BOTH, &WORDS).join("\n");
    assert!(note.ends_with("sp=a b"), "{note}");
}

/// A ban by failures, one by hand, and one of another host.
const ORIGIN: Case = Case {
    jail: "origin",
    settings: "maxretry = 1\naction = note[note=\"<ip> <origin> <origin-host>.\"]",
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.notes(1);
        jail.ask("set JAIL banip 192.0.2.2");
        jail.notes(2);
        jail.remote("192.0.2.1", "mx2");
        let mut notes = jail.notes(4);
        notes.extend([
            jail.ask("status JAIL full"),
            jail.client("--json get JAIL banip --with-time"),
            jail.client("--json banned"),
        ]);
        notes
    },
};

#[test]
fn tag_origin_says_who_decided() {
    let notes = outcome(&OURS, &ORIGIN);
    let of_here = [
        "192.0.2.1 found .",
        "192.0.2.2 manual .",
        "192.0.2.2 restored .",
    ];
    for note in of_here {
        assert!(notes.iter().any(|said| said == note), "{note}: {notes:?}");
    }
    let [status, list, banned] = &notes[notes.len() - 3..] else {
        panic!("{notes:?}");
    };
    let counts = "('Origins', {'fleet mx2': 1, 'restored': 1})";
    assert!(status.contains(counts), "{status}");
    assert!(list.contains("\"by\":\"host mx2\""), "{list}");
    let origins = "\"origins\":{\"192.0.2.1\":\"fleet mx2\"}";
    assert!(banned.contains(origins), "{banned}");
}

#[test]
fn tag_origin_host_names_the_host() {
    let notes = outcome(&OURS, &ORIGIN);
    let note = "192.0.2.1 fleet mx2.".to_owned();
    assert!(notes.contains(&note), "{notes:?}");
}

const BR: Case = Case {
    jail: "br",
    settings: "maxretry = 1\naction = note[note=\"a<br>b\"]",
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.notes(2)
    },
};

#[test]
fn tag_br_is_a_line_break() {
    assert_eq!(outcome(&BOTH, &BR), ["a", "b"]);
}

const TIME: Case = Case {
    jail: "time",
    settings: "maxretry = 1\naction = note[note=\"<time>\"]",
    run: |jail| {
        let now = chrono::Utc::now().timestamp();
        jail.fail("192.0.2.2", 1);
        let time: f64 = jail.notes(1)[0].parse().unwrap();
        vec![((time as i64 - now).abs() < 120).to_string()]
    },
};

#[test]
fn tag_time_is_the_one_of_the_failure() {
    assert_eq!(outcome(&BOTH, &TIME), ["true"]);
}

const MATCHES: Case = Case {
    jail: "matches",
    settings: "failregex = ^ \\w+ from <ADDR>$\naction = note[note=\"<matches>\"]",
    run: |jail| {
        jail.lines(&["a from 192.0.2.3", "b from 192.0.2.3"]);
        let lines = jail.notes(2);
        lines.iter().map(|line| line[20..].to_owned()).collect()
    },
};

#[test]
fn tag_matches_are_the_lines_of_the_failures() {
    assert_eq!(
        outcome(&BOTH, &MATCHES),
        ["a from 192.0.2.3", "b from 192.0.2.3"]
    );
}

const RAW_TICKET: Case = Case {
    jail: "raw-ticket",
    settings: "action = note[note=\"<raw-ticket>\"]",
    run: |jail| {
        jail.fail("192.0.2.4", 2);
        let note = jail.notes(1).join("\n");
        vec![note.split(" time=").next().unwrap().to_owned()]
    },
};

#[test]
fn tag_raw_ticket_shows_the_ticket() {
    assert_eq!(outcome(&BOTH, &RAW_TICKET), ["BanTicket: ip=192.0.2.4"]);
}

/// An address that another jail has banned before: number of failures of all jails and of this one,
/// then the lines of all, then those of this one, without dates.
const HISTORY: Case = Case {
    jail: "history",
    settings: "failregex = ^ x\\w* from <ADDR>$\n\
               action = note[note=\"<ipfailures>|<ipjailfailures>|<ipmatches>|<ipjailmatches>\"]",
    run: |jail| {
        // the original at times runs the action before its database has the ban: then it is tried
        // with another address, whose lines are taken for those of the first
        let mut seen = 0;
        let note = (5..25).find_map(|last| {
            let address = format!("192.0.2.{last}");
            jail.other("other").fail(&address, 3);
            let ask = format!("get other banned {address}");
            assert!(common::eventually(60, || jail.ask(&ask) == "1"));
            jail.lines(
                &["xa", "xb"]
                    .map(|x| format!("{x} from {address}"))
                    .each_ref()
                    .map(String::as_str),
            );
            let end = format!("xb from {address}");
            let told = || jail.notes(1).iter().any(|line| line.ends_with(&end));
            assert!(common::eventually(60, told));
            let lines = jail.notes(1);
            let note = lines[seen..].join("\n").replace(&address, "192.0.2.5");
            seen = lines.len();
            note.starts_with("5|").then_some(note)
        });
        let note = note.expect("a ban that is in the database");
        let undated = |line: &str| line.split(' ').skip(2).collect::<Vec<_>>().join(" ");
        // bans of one second have no order
        let sorted = |part: &str| {
            let mut lines: Vec<String> = part.lines().map(undated).collect();
            lines.sort();
            lines.join("\n")
        };
        let parts = note.split('|').map(|part| match part.contains(' ') {
            true => sorted(part),
            false => part.to_owned(),
        });
        parts.collect()
    },
};

const OTHER: Case = Case {
    jail: "other",
    settings: "maxretry = 3",
    run: |_| Vec::new(),
};

#[test]
fn tag_ipfailures_are_those_of_all_jails() {
    assert_eq!(outcome(&BOTH, &HISTORY)[0], "5");
}

#[test]
fn tag_ipjailfailures_are_those_of_this_jail() {
    assert_eq!(outcome(&BOTH, &HISTORY)[1], "2");
}

#[test]
fn tag_ipmatches_are_lines_of_all_jails() {
    let lines = outcome(&BOTH, &HISTORY)[2].clone();
    let other = lines.lines().filter(|line| *line == "x from 192.0.2.5");
    assert_eq!((other.count(), lines.lines().count()), (3, 5), "{lines}");
}

#[test]
fn tag_ipjailmatches_are_lines_of_this_jail() {
    assert_eq!(
        outcome(&BOTH, &HISTORY)[3],
        "xa from 192.0.2.5\nxb from 192.0.2.5"
    );
}

/// What is run under both programs.
static CASES: &[&Case] = &[&WORDS, &BR, &TIME, &MATCHES, &RAW_TICKET, &HISTORY, &OTHER];
