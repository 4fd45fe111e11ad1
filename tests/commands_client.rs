//! What each command of the client does, seen from outside: those about a jail under the original and
//! under ours, those about the server under ours (`differential_client` compares their replies).
//! `tests/names.rs` counts on the names.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::LazyLock;

use common::cases::{self, Case, Outcomes, outcome};
use common::home::{self, Server, Site};

/// Jails that both programs run, in one server each.
static BOTH: LazyLock<Outcomes> = LazyLock::new(|| cases::both(CASES));

/// What the original cannot be asked without systemd's module for Python.
static OURS: LazyLock<Outcomes> = LazyLock::new(|| cases::ours(&[&JOURNALMATCH]));

/// Our server with a jail of each name.
fn with_server(jails: &[&str], check: impl FnOnce(&Site, &Server<'_>)) {
    let site = Site::new(jails);
    let server = site.foreground(home::server());
    check(&site, &server);
}

/// What our client prints.
fn client(site: &Site, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let (code, printed) = site.run(common::ours("fail2ban-client"), &words);
    assert_eq!(code, 0, "{words:?}: {printed}");
    printed.trim_end().to_owned()
}

const IDLE: Case = Case {
    jail: "idle",
    settings: "maxretry = 1",
    run: |jail| {
        let on = jail.ask("set JAIL idle on");
        jail.fail("192.0.2.1", 1);
        jail.ask("set JAIL delfailregex 0");
        jail.ask_words(&["set", "JAIL", "addfailregex", "^ z from <ADDR>$"]);
        let off = jail.ask("set JAIL idle off");
        jail.lines(&["z from 192.0.2.2"]);
        [vec![on, off], jail.wait("] Ban ")].concat()
    },
};

#[test]
fn idle_jail_reads_nothing_until_it_is_off() {
    assert_eq!(outcome(&BOTH, &IDLE)[2..], ["Ban 192.0.2.2"]);
}

const ATTEMPT: Case = Case {
    jail: "attempt",
    settings: "maxretry = 2",
    run: |jail| {
        jail.ask("set JAIL attempt 192.0.2.1 one");
        jail.ask("set JAIL attempt 192.0.2.1 two");
        jail.wait("] Ban ")
    },
};

#[test]
fn attempt_counts_as_a_failure() {
    assert_eq!(outcome(&BOTH, &ATTEMPT), ["Ban 192.0.2.1"]);
}

const BANIP: Case = Case {
    jail: "banip",
    settings: "",
    run: |jail| {
        let reply = jail.ask("set JAIL banip 192.0.2.1 192.0.2.2");
        let bans = jail.wait_many("] Ban ", 2);
        jail.notes(2);
        [vec![reply, jail.ask("get JAIL banip")], bans].concat()
    },
};

#[test]
fn banip_bans_and_says_how_many() {
    assert_eq!(
        outcome(&BOTH, &BANIP),
        [
            "2",
            "['192.0.2.1', '192.0.2.2']",
            "Ban 192.0.2.1",
            "Ban 192.0.2.2"
        ]
    );
}

const UNBANIP: Case = Case {
    jail: "unbanip",
    settings: "",
    run: |jail| {
        jail.ask("set JAIL banip 192.0.2.1");
        jail.notes(1);
        let replies = [
            jail.ask("set JAIL unbanip 192.0.2.1"),
            jail.ask("set JAIL unbanip 192.0.2.1"),
            jail.ask("set JAIL unbanip --report-absent 192.0.2.1"),
        ];
        [replies.to_vec(), jail.wait("] Unban ")].concat()
    },
};

#[test]
fn unbanip_lifts_a_ban_once() {
    let said = outcome(&BOTH, &UNBANIP);
    assert_eq!(said[..2], ["1", "0"]);
    assert!(said[2].contains("not banned"), "{said:?}");
    assert_eq!(said[3..], ["Unban 192.0.2.1"]);
}

const BANNED: Case = Case {
    jail: "banned",
    settings: "",
    run: |jail| {
        jail.ask("set JAIL banip 192.0.2.1");
        jail.notes(1);
        vec![
            jail.ask("get JAIL banned"),
            jail.ask("get JAIL banned 192.0.2.1"),
            jail.ask("get JAIL banned 192.0.2.1 192.0.2.2"),
        ]
    },
};

#[test]
fn banned_lists_ips_or_tells_of_each() {
    assert_eq!(outcome(&BOTH, &BANNED), ["['192.0.2.1']", "1", "[1, 0]"]);
}

const STATUS: Case = Case {
    jail: "status",
    settings: "maxretry = 2",
    run: |jail| {
        jail.fail("192.0.2.1", 2);
        jail.notes(1);
        jail.fail("192.0.2.2", 1);
        jail.wait("] Found 192.0.2.2");
        vec![jail.ask("status JAIL")]
    },
};

#[test]
fn status_of_a_jail_counts_failures_and_bans() {
    let said = outcome(&BOTH, &STATUS);
    for part in [
        "('Currently failed', 1), ('Total failed', 3)",
        "('Currently banned', 1), ('Total banned', 1), ('Banned IP list', ['192.0.2.1'])",
    ] {
        assert!(said[0].contains(part), "{said:?}");
    }
}

const ADDACTION: Case = Case {
    jail: "addaction",
    settings: "",
    run: |jail| {
        let reply = jail.ask("set JAIL addaction more");
        let command = "echo more <ip> >>HERE/addaction.notes";
        jail.ask_words(&["set", "JAIL", "action", "more", "actionban", command]);
        jail.ask("set JAIL banip 192.0.2.1");
        let mut notes = jail.notes(2);
        notes.sort();
        [vec![reply], notes].concat()
    },
};

#[test]
fn addaction_adds_one_that_bans_too() {
    assert_eq!(
        outcome(&BOTH, &ADDACTION),
        ["'more'", "192.0.2.1", "more 192.0.2.1"]
    );
}

const DELACTION: Case = Case {
    jail: "delaction",
    settings: "action = note\n         note[actname=other, note=other]",
    run: |jail| {
        jail.ask("set JAIL delaction note");
        jail.ask("set JAIL banip 192.0.2.1");
        [vec![jail.ask("get JAIL actions")], jail.notes(1)].concat()
    },
};

#[test]
fn delaction_removed_action_bans_no_more() {
    assert_eq!(outcome(&BOTH, &DELACTION), ["['other']", "other"]);
}

const ACTIONS: Case = Case {
    jail: "actions",
    settings: "action = note\n         note[actname=other]",
    run: |jail| vec![jail.ask("get JAIL actions")],
};

#[test]
fn actions_are_listed_in_their_order() {
    assert_eq!(outcome(&BOTH, &ACTIONS), ["['note', 'other']"]);
}

const ACTIONPROPERTIES: Case = Case {
    jail: "actionproperties",
    settings: "action = note[mine=1]",
    run: |jail| vec![jail.ask("get JAIL actionproperties note")],
};

#[test]
fn actionproperties_name_those_of_the_file_and_the_jail() {
    let said = outcome(&BOTH, &ACTIONPROPERTIES);
    for name in ["'actionban'", "'timeout'", "'mine'", "'note'"] {
        assert!(said[0].contains(name), "{name}: {said:?}");
    }
}

const ACTIONMETHODS: Case = Case {
    jail: "actionmethods",
    settings: "",
    run: |jail| vec![jail.ask("get JAIL actionmethods note")],
};

#[test]
fn actionmethods_name_what_can_be_called() {
    let said = outcome(&BOTH, &ACTIONMETHODS);
    for name in ["'ban'", "'unban'", "'start'", "'stop'"] {
        assert!(said[0].contains(name), "{name}: {said:?}");
    }
}

const PROPERTY: Case = Case {
    jail: "property",
    settings: "",
    run: |jail| {
        let command = "echo <mine> >>HERE/property.notes";
        jail.ask_words(&["set", "JAIL", "action", "note", "actionban", command]);
        let reply = jail.ask("set JAIL action note mine hello");
        jail.ask("set JAIL banip 192.0.2.1");
        [vec![reply], jail.notes(1)].concat()
    },
};

#[test]
fn action_property_that_is_set_is_in_the_commands() {
    assert_eq!(outcome(&BOTH, &PROPERTY), ["'hello'", "hello"]);
}

const ADDIGNOREIP: Case = Case {
    jail: "addignoreip",
    settings: "maxretry = 1",
    run: |jail| {
        let reply = jail.ask("set JAIL addignoreip 192.0.2.1");
        jail.fail("192.0.2.1", 1);
        jail.fail("192.0.2.2", 1);
        [vec![reply], jail.wait("] Ban ")].concat()
    },
};

#[test]
fn addignoreip_address_is_not_banned() {
    assert_eq!(
        outcome(&BOTH, &ADDIGNOREIP),
        ["['192.0.2.1']", "Ban 192.0.2.2"]
    );
}

const DELIGNOREIP: Case = Case {
    jail: "delignoreip",
    settings: "maxretry = 1\nignoreip = 192.0.2.1 192.0.2.2",
    run: |jail| {
        let reply = jail.ask("set JAIL delignoreip 192.0.2.1");
        jail.fail("192.0.2.1", 1);
        [vec![reply], jail.wait("] Ban ")].concat()
    },
};

#[test]
fn delignoreip_address_is_banned_again() {
    assert_eq!(
        outcome(&BOTH, &DELIGNOREIP),
        ["['192.0.2.2']", "Ban 192.0.2.1"]
    );
}

const ADDLOGPATH: Case = Case {
    jail: "addlogpath",
    settings: "maxretry = 1",
    run: |jail| {
        jail.write_to("more", 0, &["x from 192.0.2.1"]);
        let reply = jail.ask("set JAIL addlogpath HERE/addlogpath.more");
        [vec![reply], jail.wait("] Ban ")].concat()
    },
};

#[test]
fn addlogpath_file_is_read_from_its_head() {
    assert_eq!(
        outcome(&BOTH, &ADDLOGPATH),
        [
            "['HERE/addlogpath.log', 'HERE/addlogpath.more']",
            "Ban 192.0.2.1"
        ]
    );
}

const DELLOGPATH: Case = Case {
    jail: "dellogpath",
    settings: "maxretry = 1",
    run: |jail| {
        jail.write_to("more", 0, &[]);
        jail.ask("set JAIL addlogpath HERE/dellogpath.more");
        let reply = jail.ask("set JAIL dellogpath HERE/dellogpath.log");
        jail.fail("192.0.2.1", 1);
        jail.write_to("more", 0, &["x from 192.0.2.2"]);
        [vec![reply], jail.wait("] Ban ")].concat()
    },
};

#[test]
fn dellogpath_file_is_read_no_more() {
    assert_eq!(
        outcome(&BOTH, &DELLOGPATH),
        ["['HERE/dellogpath.more']", "Ban 192.0.2.2"]
    );
}

const ADDFAILREGEX: Case = Case {
    jail: "addfailregex",
    settings: "maxretry = 1",
    run: |jail| {
        let words = ["set", "JAIL", "addfailregex", "^ z from <ADDR>$"];
        let reply = jail.ask_words(&words);
        jail.lines(&["z from 192.0.2.1"]);
        [vec![reply], jail.wait("] Ban ")].concat()
    },
};

#[test]
fn addfailregex_lines_it_matches_count() {
    let said = outcome(&BOTH, &ADDFAILREGEX);
    assert!(said[0].contains("z from"), "{said:?}");
    assert_eq!(said[1..], ["Ban 192.0.2.1"]);
}

const DELFAILREGEX: Case = Case {
    jail: "delfailregex",
    settings: "maxretry = 1\nfailregex = ^ x from <ADDR>$\n            ^ z from <ADDR>$",
    run: |jail| {
        jail.ask("set JAIL delfailregex 0");
        jail.fail("192.0.2.1", 1);
        jail.lines(&["z from 192.0.2.2"]);
        jail.wait("] Ban ")
    },
};

#[test]
fn delfailregex_lines_of_that_number_count_no_more() {
    assert_eq!(outcome(&BOTH, &DELFAILREGEX), ["Ban 192.0.2.2"]);
}

const ADDIGNOREREGEX: Case = Case {
    jail: "addignoreregex",
    settings: "maxretry = 1",
    run: |jail| {
        let reply = jail.ask_words(&["set", "JAIL", "addignoreregex", "0\\.2\\.1$"]);
        jail.fail("192.0.2.1", 1);
        jail.fail("192.0.2.2", 1);
        [vec![reply], jail.wait("] Ban ")].concat()
    },
};

#[test]
fn addignoreregex_lines_it_matches_do_not_count() {
    assert_eq!(outcome(&BOTH, &ADDIGNOREREGEX)[1..], ["Ban 192.0.2.2"]);
}

const DELIGNOREREGEX: Case = Case {
    jail: "delignoreregex",
    settings: "maxretry = 1\nignoreregex = 0\\.2\\.1$",
    run: |jail| {
        let reply = jail.ask("set JAIL delignoreregex 0");
        jail.fail("192.0.2.1", 1);
        [vec![reply], jail.wait("] Ban ")].concat()
    },
};

#[test]
fn delignoreregex_lines_it_matched_count_again() {
    assert_eq!(outcome(&BOTH, &DELIGNOREREGEX)[1..], ["Ban 192.0.2.1"]);
}

const ADD: Case = Case {
    jail: "add",
    settings: "",
    run: |jail| {
        vec![
            jail.ask("add added polling"),
            jail.ask("get added logpath"),
            jail.ask("add added polling"),
        ]
    },
};

#[test]
fn add_makes_a_jail_once() {
    let said = outcome(&BOTH, &ADD);
    assert_eq!(said[..2], ["'added'", "[]"]);
    assert!(said[2].contains("added"), "{said:?}");
}

const START: Case = Case {
    jail: "start",
    settings: "",
    run: |jail| {
        jail.ask("add started polling");
        let before = jail.ask("set started banip 192.0.2.1");
        let reply = jail.ask("start started");
        let banned = || jail.ask("get started banned 192.0.2.1") == "1";
        assert!(common::eventually(60, banned));
        vec![before, reply]
    },
};

#[test]
fn start_of_a_jail_lets_it_ban() {
    assert_eq!(outcome(&BOTH, &START), ["1", "None"]);
}

const STOP: Case = Case {
    jail: "stop",
    settings: "",
    run: |jail| vec![jail.ask("stop JAIL"), jail.ask("status JAIL")],
};

#[test]
fn stop_of_a_jail_removes_it() {
    let said = outcome(&BOTH, &STOP);
    assert_eq!(said[0], "None");
    assert!(said[1].contains("stop"), "{said:?}");
}

const JOURNALMATCH: Case = Case {
    jail: "journal",
    settings: "backend = systemd[journalfiles=HERE/none.journal]\njournalmatch = _COMM=a",
    run: |jail| {
        let replies = [
            jail.ask("set JAIL addjournalmatch _COMM=b"),
            jail.ask("set JAIL deljournalmatch _COMM=a"),
            jail.ask("get JAIL journalmatch"),
        ];
        replies.to_vec()
    },
};

#[test]
fn addjournalmatch_is_one_more() {
    assert_eq!(
        outcome(&OURS, &JOURNALMATCH)[0],
        "[['_COMM=a'], ['_COMM=b']]"
    );
}

#[test]
fn deljournalmatch_leaves_the_others() {
    assert_eq!(outcome(&OURS, &JOURNALMATCH)[1..], ["[['_COMM=b']]"; 2]);
}

#[test]
fn start_in_the_background_ends_when_the_server_answers() {
    let site = Site::new(&["one"]);
    assert_eq!(client(&site, "start"), "Server ready");
    let answer = home::ask(&site, &["status"]).unwrap().unwrap().repr();
    client(&site, "stop");
    assert!(answer.contains("'one'"), "{answer}");
}

#[test]
fn stop_ends_the_server() {
    with_server(&["one"], |site, _| {
        assert_eq!(client(site, "stop"), "Shutdown successful");
        assert!(home::ask(site, &["ping"]).is_err());
        assert!(site.read("notes").contains("stop one"));
    });
}

#[test]
fn restart_is_another_process_with_the_same_bans() {
    let site = Site::new(&["one"]);
    client(&site, "start");
    client(&site, "set one banip 192.0.2.1");
    let before = site.pid();
    client(&site, "restart");
    let after = site.pid();
    let banned = common::eventually(60, || client(&site, "get one banned 192.0.2.1") == "1");
    client(&site, "stop");
    assert!(before != after && banned);
}

#[test]
fn reload_reads_the_configuration_again() {
    with_server(&["one"], |site, _| {
        let more = home::jail("one") + "maxretry = 77\n" + &home::jail("two");
        site.write("two.log", "");
        site.jails(&more);
        assert_eq!(client(site, "reload"), "OK");
        assert_eq!(client(site, "get one maxretry"), "77");
        assert!(client(site, "status").contains("one, two"));
    });
}

#[test]
fn unban_lifts_bans_of_all_jails() {
    with_server(&["one", "two"], |site, _| {
        for jail in ["one", "two"] {
            client(site, &format!("set {jail} banip 192.0.2.1 192.0.2.2"));
        }
        assert_eq!(client(site, "unban 192.0.2.1"), "2");
        assert_eq!(client(site, "get one banip"), "192.0.2.2");
        assert_eq!(client(site, "unban --all"), "2");
        assert_eq!(client(site, "banned"), "[{'one': []}, {'two': []}]");
    });
}

#[test]
fn forget_keeps_the_ban_and_drops_the_failures() {
    with_server(&["one"], |site, _| {
        client(site, "set one attempt 198.51.100.2 line");
        client(site, "set one banip 192.0.2.1");
        let failed = || client(site, "status one").contains("Currently failed:\t1");
        assert!(common::eventually(60, failed));
        client(site, "forget 192.0.2.1 198.51.100.2");
        let status = client(site, "status one");
        assert!(status.contains("Currently failed:\t0"), "{status}");
        assert_eq!(client(site, "get one banned 192.0.2.1"), "1");
    });
}

#[test]
fn banned_says_which_jails_hold_an_address() {
    with_server(&["one", "two"], |site, _| {
        client(site, "set two banip 192.0.2.1");
        assert_eq!(client(site, "banned 192.0.2.1 192.0.2.9"), "[['two'], []]");
    });
}

#[test]
fn status_names_all_jails() {
    with_server(&["one", "two"], |site, _| {
        let said = client(site, "status");
        assert!(said.contains("Number of jail:\t2"), "{said}");
        assert!(said.contains("Jail list:\tone, two"), "{said}");
    });
}

#[test]
fn stats_and_statistics_are_the_same_table() {
    with_server(&["one"], |site, _| {
        client(site, "set one banip 192.0.2.1 192.0.2.2");
        let table = client(site, "stats");
        let row = table.lines().find(|line| line.contains("one")).unwrap();
        assert!(row.contains("polling") && row.contains('2'), "{table}");
        assert_eq!(client(site, "statistics"), table);
    });
}

#[test]
fn ping_answers_pong() {
    with_server(&["one"], |site, _| {
        assert_eq!(client(site, "ping"), "Server replied: pong");
    });
}

#[test]
fn echo_comes_back() {
    with_server(&["one"], |site, _| {
        assert_eq!(client(site, "echo a b"), "a b");
    });
}

#[test]
fn version_is_that_of_the_fail2ban_it_stands_for() {
    with_server(&["one"], |site, _| {
        assert_eq!(client(site, "version"), "1.1.1");
    });
}

#[test]
fn flushlogs_opens_a_log_that_was_moved_away() {
    with_server(&["one"], |site, _| {
        std::fs::rename(site.path("log"), site.path("log.1")).unwrap();
        assert_eq!(client(site, "flushlogs"), "logs: rolled over");
        client(site, "set one banip 192.0.2.1");
        site.wait_for("] Ban 192.0.2.1");
    });
}

/// What is run under both programs.
static CASES: &[&Case] = &[
    &IDLE,
    &ATTEMPT,
    &BANIP,
    &UNBANIP,
    &BANNED,
    &STATUS,
    &ADDACTION,
    &DELACTION,
    &ACTIONS,
    &ACTIONPROPERTIES,
    &ACTIONMETHODS,
    &PROPERTY,
    &ADDIGNOREIP,
    &DELIGNOREIP,
    &ADDLOGPATH,
    &DELLOGPATH,
    &ADDFAILREGEX,
    &DELFAILREGEX,
    &ADDIGNOREREGEX,
    &DELIGNOREREGEX,
    &ADD,
    &START,
    &STOP,
];
