//! What each option of `jail.conf` does, seen from outside: under the original and under ours, where
//! the original knows it. `tests/names.rs` counts on the names.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::LazyLock;

use common::cases::{self, Case, Jail, Outcomes, date, outcome};
use common::home::Site;

/// Jails that both programs run, in one server each.
static BOTH: LazyLock<Outcomes> = LazyLock::new(|| cases::both(CASES));

/// Those that the original does not know.
static OURS: LazyLock<Outcomes> = LazyLock::new(|| cases::ours(BEYOND));

/// An address that another jail has banned before fails: what the log says of its second ban.
fn second_ban(jail: &Jail, address: &str) -> Vec<String> {
    let elsewhere = jail.other(ELSEWHERE.jail);
    elsewhere.fail(address, 1);
    elsewhere.wait(&format!("] Ban {address}"));
    jail.fail(address, 1);
    let said = jail.wait("Increase Ban");
    let before_date = |line: &String| line.split(" -> ").next().unwrap().to_owned();
    said.iter().map(before_date).collect()
}

/// A jail whose bans grow, with an address that fails in no other of these.
macro_rules! grows {
    ($name:ident, $jail:literal, $address:literal, $settings:literal) => {
        const $name: Case = Case {
            jail: $jail,
            settings: concat!(
                "bantime.increment = true\nbantime.overalljails = true\nmaxretry = 1\n",
                $settings
            ),
            run: |jail| second_ban(jail, $address),
        };
    };
}

const ELSEWHERE: Case = Case {
    jail: "elsewhere",
    settings: "maxretry = 1",
    run: |_| Vec::new(),
};

const ENABLED: Case = Case {
    jail: "enabled",
    settings: "enabled = false",
    run: |jail| vec![jail.ask("status JAIL")],
};

#[test]
fn enabled_false_leaves_the_jail_out() {
    let said = outcome(&BOTH, &ENABLED);
    assert!(
        said[0].contains("UnknownJail") || said[0].contains("enabled"),
        "{said:?}"
    );
}

const BACKEND: Case = Case {
    jail: "a-backend",
    settings: "backend = polling",
    run: |jail| jail.wait("uses poller"),
};

#[test]
fn backend_polling_is_what_the_jail_reads_by() {
    assert_eq!(
        outcome(&BOTH, &BACKEND),
        ["fail2ban.jail           INFO    Jail 'a-backend' uses poller {}"]
    );
}

const FILTER: Case = Case {
    jail: "a-filter",
    settings: "filter = words[word=deny]",
    run: |jail| {
        jail.fail("192.0.2.1", 2);
        jail.lines(&["deny from 192.0.2.2"; 2]);
        jail.wait("] Ban ")
    },
};

#[test]
fn filter_with_an_argument_counts_its_own_lines() {
    assert_eq!(outcome(&BOTH, &FILTER), ["Ban 192.0.2.2"]);
}

const MAXRETRY: Case = Case {
    jail: "maxretry",
    settings: "maxretry = 3",
    run: |jail| {
        jail.fail("192.0.2.1", 2);
        jail.fail("192.0.2.2", 3);
        jail.wait("] Ban ")
    },
};

#[test]
fn maxretry_reached_bans() {
    assert_eq!(outcome(&BOTH, &MAXRETRY), ["Ban 192.0.2.2"]);
}

const MAXMATCHES: Case = Case {
    jail: "maxmatches",
    settings: "maxretry = 3\nmaxmatches = 1\naction = note[note=\"<matches>\"]\n\
               failregex = ^ \\w+ from <ADDR>$",
    run: |jail| {
        jail.lines(&["a from 192.0.2.1", "b from 192.0.2.1", "c from 192.0.2.1"]);
        let notes = jail.notes(1);
        notes.iter().map(|line| line[20..].to_owned()).collect()
    },
};

#[test]
fn maxmatches_of_one_keeps_the_last_line() {
    assert_eq!(outcome(&BOTH, &MAXMATCHES), ["c from 192.0.2.1"]);
}

const FINDTIME: Case = Case {
    jail: "findtime",
    settings: "findtime = 1h\nbantime = 1d",
    run: |jail| {
        jail.write_to("old", 4000, &["x from 192.0.2.1"; 5]);
        jail.write_to("old", 3000, &["x from 192.0.2.2"; 2]);
        jail.ask("set JAIL addlogpath HERE/findtime.old");
        jail.wait("] Ban ")
    },
};

#[test]
fn findtime_past_failures_do_not_count() {
    assert_eq!(outcome(&BOTH, &FINDTIME), ["Ban 192.0.2.2"]);
}

const BANTIME: Case = Case {
    jail: "bantime",
    settings: "bantime = 1d 1h\naction = note[note=\"<ip> <bantime>\"]",
    run: |jail| {
        jail.fail("192.0.2.1", 2);
        jail.notes(1)
    },
};

#[test]
fn bantime_in_words_is_how_long_the_ban_lasts() {
    assert_eq!(outcome(&BOTH, &BANTIME), ["192.0.2.1 90000"]);
}

grows!(
    INCREMENT,
    "bantime-increment",
    "198.51.100.11",
    "bantime = 600"
);

#[test]
fn bantime_increment_second_ban_lasts_longer() {
    assert_eq!(
        outcome(&BOTH, &INCREMENT),
        ["Increase Ban 198.51.100.11 (2 # 20m"]
    );
}

grows!(
    FACTOR,
    "bantime-factor",
    "198.51.100.12",
    "bantime.factor = 3"
);

#[test]
fn bantime_factor_multiplies_the_second_ban() {
    assert_eq!(
        outcome(&BOTH, &FACTOR),
        ["Increase Ban 198.51.100.12 (2 # 1h"]
    );
}

grows!(
    FORMULA,
    "bantime-formula",
    "198.51.100.13",
    "bantime.formula = ban.Time + 60 * ban.Count"
);

#[test]
fn bantime_formula_decides_the_second_ban() {
    assert_eq!(
        outcome(&BOTH, &FORMULA),
        ["Increase Ban 198.51.100.13 (2 # 11m"]
    );
}

grows!(
    MULTIPLIERS,
    "bantime-multipliers",
    "198.51.100.14",
    "bantime.multipliers = 1 5 30"
);

#[test]
fn bantime_multipliers_second_one_is_for_the_second_ban() {
    assert_eq!(
        outcome(&BOTH, &MULTIPLIERS),
        ["Increase Ban 198.51.100.14 (2 # 50m"]
    );
}

grows!(
    MAXTIME,
    "bantime-maxtime",
    "198.51.100.15",
    "bantime.factor = 100\nbantime.maxtime = 15m"
);

#[test]
fn bantime_maxtime_bounds_the_second_ban() {
    assert_eq!(
        outcome(&BOTH, &MAXTIME),
        ["Increase Ban 198.51.100.15 (2 # 15m"]
    );
}

const RNDTIME: Case = Case {
    jail: "bantime-rndtime",
    settings: "bantime.increment = true\nbantime.overalljails = true\nmaxretry = 1\nbantime.rndtime = 300",
    run: |jail| {
        let said = second_ban(jail, "198.51.100.30").concat();
        let time = said.split("(2 # ").nth(1).unwrap();
        let minutes = time.split('m').next().unwrap().parse::<f64>();
        let minutes = minutes.unwrap_or_else(|_| panic!("{said}"));
        vec![(20.0..=25.0).contains(&minutes).to_string()]
    },
};

#[test]
fn bantime_rndtime_is_the_most_that_is_added() {
    assert_eq!(outcome(&BOTH, &RNDTIME), ["true"]);
}

grows!(OVERALLJAILS, "bantime-overalljails", "198.51.100.31", "");

#[test]
fn bantime_overalljails_counts_bans_of_other_jails() {
    assert_eq!(
        outcome(&BOTH, &OVERALLJAILS),
        ["Increase Ban 198.51.100.31 (2 # 20m"]
    );
}

const IGNORECOMMAND: Case = Case {
    jail: "ignorecommand",
    settings: "ignorecommand = test <ip> = 192.0.2.1\nmaxretry = 1",
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.fail("192.0.2.2", 1);
        [jail.wait("] Ban "), jail.said("] Ignore ")].concat()
    },
};

#[test]
fn ignorecommand_that_succeeds_bans_nobody() {
    assert_eq!(
        outcome(&BOTH, &IGNORECOMMAND),
        ["Ban 192.0.2.2", "Ignore 192.0.2.1 by command"]
    );
}

const IGNORESELF: Case = Case {
    jail: "ignoreself",
    settings: "ignoreself = true\nmaxretry = 1",
    run: |jail| {
        jail.fail("127.0.0.1", 1);
        jail.fail("198.51.100.2", 1);
        [jail.wait("] Ban "), jail.said("] Ignore ")].concat()
    },
};

#[test]
fn ignoreself_true_bans_no_address_of_this_machine() {
    assert_eq!(
        outcome(&BOTH, &IGNORESELF),
        ["Ban 198.51.100.2", "Ignore 127.0.0.1 by ignoreself rule"]
    );
}

const IGNOREIP: Case = Case {
    jail: "ignoreip",
    settings: "ignoreip = 203.0.113.5 192.0.2.0/24\nmaxretry = 1",
    run: |jail| {
        jail.fail("192.0.2.77", 1);
        jail.fail("203.0.113.5", 1);
        jail.fail("203.0.113.6", 1);
        [jail.wait("] Ban "), jail.said("] Ignore ")].concat()
    },
};

#[test]
fn ignoreip_addresses_and_networks_are_not_banned() {
    assert_eq!(
        outcome(&BOTH, &IGNOREIP),
        [
            "Ban 203.0.113.6",
            "Ignore 192.0.2.77 by ip",
            "Ignore 203.0.113.5 by ip"
        ]
    );
}

const IGNORECACHE: Case = Case {
    jail: "ignorecache",
    settings: "ignorecache = key=\"<ip>\", max-count=10, max-time=5m\n\
               ignorecommand = echo asked <ip> >>HERE/ignorecache.notes; test <ip> = 192.0.2.1\nmaxretry = 1",
    run: |jail| {
        jail.fail("192.0.2.1", 3);
        jail.fail("192.0.2.2", 1);
        jail.wait("] Ban ");
        jail.notes(3)
    },
};

#[test]
fn ignorecache_same_key_asks_the_command_once() {
    assert_eq!(
        outcome(&BOTH, &IGNORECACHE),
        ["asked 192.0.2.1", "asked 192.0.2.2", "192.0.2.2"]
    );
}

const LOGTIMEZONE: Case = Case {
    jail: "logtimezone",
    settings: "logtimezone = UTC-0200\nmaxretry = 1",
    run: |jail| {
        jail.write_to("old", 10_000, &["x from 192.0.2.1"]);
        jail.write_to("old", 7200, &["x from 192.0.2.2"]);
        jail.ask("set JAIL addlogpath HERE/logtimezone.old");
        jail.wait("] Ban ")
    },
};

#[test]
fn logtimezone_dates_without_a_zone_are_in_it() {
    assert_eq!(outcome(&BOTH, &LOGTIMEZONE), ["Ban 192.0.2.2"]);
}

const LOGENCODING: Case = Case {
    jail: "logencoding",
    settings: "logencoding = iso-8859-1\nfailregex = ^ größe from <ADDR>$\nmaxretry = 1",
    run: |jail| {
        jail.lines(&["größe from 192.0.2.1"]);
        jail.write(date("%Y-%m-%d %H:%M:%S", 0).as_bytes());
        jail.write(b" gr\xf6\xdfe from 192.0.2.2\n");
        jail.wait("] Ban ")
    },
};

#[test]
fn logencoding_of_latin_letters_reads_them() {
    assert_eq!(outcome(&BOTH, &LOGENCODING), ["Ban 192.0.2.2"]);
}

const LOGPATH: Case = Case {
    jail: "logpath",
    settings: "logpath = HERE/logpath.l*g\n          HERE/maxretry.log",
    run: |jail| vec![jail.ask("get JAIL logpath")],
};

#[test]
fn logpath_names_and_globs_are_all_read() {
    assert_eq!(
        outcome(&BOTH, &LOGPATH),
        ["['HERE/logpath.log', 'HERE/maxretry.log']"]
    );
}

const SKIP_IF_NOLOGS: Case = Case {
    jail: "skip-if-nologs",
    settings: "skip_if_nologs = true\nlogpath = HERE/none*.log",
    run: |jail| vec![jail.ask("status JAIL")],
};

#[test]
fn skip_if_nologs_leaves_a_jail_without_logs_out() {
    let said = outcome(&BOTH, &SKIP_IF_NOLOGS);
    assert_eq!(
        said,
        outcome(&BOTH, &ENABLED)
            .iter()
            .map(|line| line.replace("enabled", "skip-if-nologs"))
            .collect::<Vec<_>>()
    );
}

const ACTION: Case = Case {
    jail: "an-action",
    settings: "action = note[note=first]\n         note[note=second, actname=again]",
    run: |jail| {
        jail.fail("192.0.2.1", 2);
        let mut notes = jail.notes(2);
        notes.sort();
        [notes, vec![jail.ask("get JAIL actions")]].concat()
    },
};

#[test]
fn action_of_several_lines_does_all_of_them() {
    assert_eq!(
        outcome(&BOTH, &ACTION),
        ["first", "second", "['note', 'again']"]
    );
}

const BANACTION: Case = Case {
    jail: "banaction",
    settings: "banaction = note[note=chosen]\naction = %(banaction)s",
    run: |jail| {
        jail.fail("192.0.2.1", 2);
        jail.notes(1)
    },
};

#[test]
fn banaction_stands_for_the_action_that_bans() {
    assert_eq!(outcome(&BOTH, &BANACTION), ["chosen"]);
}

const BANACTION_ALLPORTS: Case = Case {
    jail: "banaction-allports",
    settings: "banaction_allports = note[note=\"all ports\"]\naction = %(banaction_allports)s",
    run: |jail| {
        jail.fail("192.0.2.1", 2);
        jail.notes(1)
    },
};

#[test]
fn banaction_allports_stands_for_the_action_that_closes_all_ports() {
    assert_eq!(outcome(&BOTH, &BANACTION_ALLPORTS), ["all ports"]);
}

const USEDNS: Case = Case {
    jail: "usedns",
    settings: "usedns = raw\nfilter = words[word=x]\nmaxretry = 1",
    run: |jail| {
        jail.fail("some.example", 1);
        jail.wait("] Ban ")
    },
};

#[test]
fn usedns_raw_bans_the_name_itself() {
    assert_eq!(outcome(&BOTH, &USEDNS), ["Ban some.example"]);
}

const PREFREGEX: Case = Case {
    jail: "prefregex",
    settings: "prefregex = ^ app: <F-CONTENT>.+</F-CONTENT>$\nfailregex = ^x from <ADDR>$\nmaxretry = 1",
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.lines(&["other: x from 192.0.2.2", "app: x from 192.0.2.3"]);
        jail.wait("] Ban ")
    },
};

#[test]
fn prefregex_content_alone_is_searched() {
    assert_eq!(outcome(&BOTH, &PREFREGEX), ["Ban 192.0.2.3"]);
}

const IGNOREREGEX: Case = Case {
    jail: "ignoreregex",
    settings: "ignoreregex = from 192\\.0\\.2\\.1$\nmaxretry = 1",
    run: |jail| {
        jail.fail("192.0.2.1", 3);
        jail.fail("192.0.2.2", 1);
        jail.wait("] Ban ")
    },
};

#[test]
fn ignoreregex_matching_line_does_not_count() {
    assert_eq!(outcome(&BOTH, &IGNOREREGEX), ["Ban 192.0.2.2"]);
}

const FAILREGEX: Case = Case {
    jail: "failregex",
    settings: "failregex = ^ y from <ADDR>$\n            ^ z from <ADDR>$\nmaxretry = 2",
    run: |jail| {
        jail.fail("192.0.2.1", 3);
        jail.lines(&["y from 192.0.2.2", "z from 192.0.2.2"]);
        jail.wait("] Ban ")
    },
};

#[test]
fn failregex_of_several_lines_counts_what_any_matches() {
    assert_eq!(outcome(&BOTH, &FAILREGEX), ["Ban 192.0.2.2"]);
}

const MAXLINES: Case = Case {
    jail: "maxlines",
    settings: "maxlines = 2\nmaxretry = 1\nfailregex = ^ begin of <F-ID>\\S+</F-ID>\\n.* denied$",
    run: |jail| {
        jail.lines(&["begin of a", "nothing", "denied", "begin of b", "denied"]);
        jail.wait("] Ban ")
    },
};

#[test]
fn maxlines_of_two_joins_two_lines() {
    assert_eq!(outcome(&BOTH, &MAXLINES), ["Ban b"]);
}

const DATEPATTERN: Case = Case {
    jail: "datepattern",
    settings: "datepattern = ^at %%d/%%m/%%Y %%H:%%M:%%S\nmaxretry = 1",
    run: |jail| {
        let line = |ago, address| {
            let time = date("%d/%m/%Y %H:%M:%S", ago);
            format!("at {time} x from {address}\n")
        };
        jail.append("old", line(3000, "192.0.2.1").as_bytes());
        jail.append("old", line(100, "192.0.2.2").as_bytes());
        jail.ask("set JAIL addlogpath HERE/datepattern.old");
        jail.wait("] Ban ")
    },
};

#[test]
fn datepattern_is_how_lines_are_dated() {
    assert_eq!(outcome(&BOTH, &DATEPATTERN), ["Ban 192.0.2.2"]);
}

#[test]
fn simulate_says_whom_a_jail_would_ban_and_bans_nobody() {
    let site = Site::new(&["one"]);
    let simulating =
        common::home::jail("one") + "maxretry = 1\nignoreself = false\nsimulate = yes\n";
    site.jails(&simulating);
    let fail = |address: &str| {
        let time = date("%Y-%m-%d %H:%M:%S", 0);
        let line = format!("{time} x from {address}\n");
        site.write("one.log", &(site.read("one.log") + &line));
    };
    let client = |words: &[&str]| site.run(common::ours("fail2ban-client"), words).1;
    let server = site.foreground(common::home::server());
    fail("192.0.2.1");
    site.wait_for("NOTICE  [one] Would ban 192.0.2.1");
    fail("192.0.2.2");
    site.wait_for("[one] Would ban 192.0.2.2");
    let status = client(&["status", "one"]);
    assert!(status.contains("Simulated:\tTrue"), "{status}");
    assert!(status.contains("192.0.2.1 192.0.2.2"), "{status}");
    client(&["set", "one", "unbanip", "192.0.2.1"]);
    site.wait_for("[one] Would unban 192.0.2.1");
    let refused = client(&["set", "one", "simulate", "no"]);
    assert!(refused.contains("reload"), "{refused}");

    // a reload that leaves it as it is
    client(&["reload"]);
    assert!(client(&["status", "one"]).contains("IP list:\t192.0.2.2"));

    // in earnest: those of the trial are not banned
    site.jails(&simulating.replace("simulate = yes\n", ""));
    client(&["reload"]);
    fail("192.0.2.3");
    site.wait_for("[one] Ban 192.0.2.3");
    let notes = || site.read("notes");
    assert!(common::eventually(60, || notes().contains("ban one")));
    assert_eq!(notes(), "start one\nban one 192.0.2.3\n");
    let status = client(&["status", "one"]);
    assert!(status.contains("IP list:\t192.0.2.3"), "{status}");
    assert!(!status.contains("Simulated"), "{status}");

    // and a trial again: who is banned is lifted
    site.jails(&simulating);
    client(&["reload"]);
    let lifted = || notes().ends_with("unban one 192.0.2.3\nstop one\n");
    assert!(common::eventually(60, lifted), "{}", notes());
    fail("192.0.2.4");
    site.wait_for("[one] Would ban 192.0.2.4");
    assert_eq!(server.end(nix::sys::signal::Signal::SIGTERM), Some(0));
    assert!(!notes().contains("192.0.2.4"));
    let database = rusqlite::Connection::open(site.path("db")).unwrap();
    let ask = "select ip from bans";
    let stored: String = database.query_row(ask, [], |row| row.get(0)).unwrap();
    assert_eq!(stored, "192.0.2.3");
}

const BANPREFIX4: Case = Case {
    jail: "banprefix4",
    settings: "banprefix4 = 24",
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.fail("192.0.2.2", 1);
        jail.wait("] Ban ")
    },
};

#[test]
fn banprefix4_addresses_of_a_network_are_banned_together() {
    assert_eq!(outcome(&OURS, &BANPREFIX4), ["Ban 192.0.2.0/24"]);
}

const BANPREFIX6: Case = Case {
    jail: "banprefix6",
    settings: "banprefix6 = 64",
    run: |jail| {
        jail.fail("2001:db8::1", 1);
        jail.fail("2001:db8::2", 1);
        jail.wait("] Ban ")
    },
};

#[test]
fn banprefix6_addresses_of_a_network_are_banned_together() {
    assert_eq!(outcome(&OURS, &BANPREFIX6), ["Ban 2001:db8::/64"]);
}

/// What both programs read of a filter that is read together with another file.
fn failregex_with(includes: &str) -> String {
    let site = Site::new(&["one"]);
    let filter =
        format!("[INCLUDES]\n{includes} = other.conf\n[Definition]\nfailregex = of file <ADDR>\n");
    site.write("filter.d/simple.conf", &filter);
    site.write(
        "filter.d/other.conf",
        "[Definition]\nfailregex = of other <ADDR>\nmaxlines = 7\n",
    );
    let read = |program| site.run(program, &["-d"]).1;
    let ours = read(common::ours("fail2ban-client"));
    assert_eq!(ours, read(common::original("1.1.1", "fail2ban-client")));
    assert!(ours.contains("['set', 'one', 'maxlines', 7]"), "{ours}");
    let mut lines = ours.lines();
    let line = lines.find(|line| line.contains("addfailregex"));
    line.unwrap().to_owned()
}

#[test]
fn before_file_is_overridden_by_the_file() {
    assert!(failregex_with("before").contains("of file"));
}

#[test]
fn after_file_overrides_the_file() {
    assert!(failregex_with("after").contains("of other"));
}

#[test]
fn systemd_if_nologs_false_keeps_the_jail_from_the_journal() {
    let site = Site::new(&[]);
    let made = |value: &str| {
        let jail = format!(
            "[one]\nenabled = true\nbackend = auto\nskip_if_nologs = true\nlogpath = %(here)s/none\n\
             journalmatch = _COMM=a\nsystemd_if_nologs = {value}\n"
        );
        site.jails(&jail);
        site.run(common::ours("fail2ban-client"), &["-d"]).1
    };
    assert!(made("true").contains("['add', 'one', 'systemd']"));
    assert!(!made("false").contains("['add', 'one',"));
}

/// What is run under both programs.
static CASES: &[&Case] = &[
    &ELSEWHERE,
    &ENABLED,
    &BACKEND,
    &FILTER,
    &MAXRETRY,
    &MAXMATCHES,
    &FINDTIME,
    &BANTIME,
    &INCREMENT,
    &FACTOR,
    &FORMULA,
    &MULTIPLIERS,
    &MAXTIME,
    &RNDTIME,
    &OVERALLJAILS,
    &IGNORECOMMAND,
    &IGNORESELF,
    &IGNOREIP,
    &IGNORECACHE,
    &LOGTIMEZONE,
    &LOGENCODING,
    &LOGPATH,
    &SKIP_IF_NOLOGS,
    &ACTION,
    &BANACTION,
    &BANACTION_ALLPORTS,
    &USEDNS,
    &PREFREGEX,
    &IGNOREREGEX,
    &FAILREGEX,
    &MAXLINES,
    &DATEPATTERN,
];

/// What is run under ours alone.
static BEYOND: &[&Case] = &[&BANPREFIX4, &BANPREFIX6];
