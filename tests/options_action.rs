//! What each option of action files does, seen from outside: under the original and under ours, where
//! the original knows it. `tests/names.rs` counts on the names.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::LazyLock;

use common::cases::{self, Case, Jail, Outcomes, outcome};

/// Jails that both programs run, in one server each.
static BOTH: LazyLock<Outcomes> = LazyLock::new(|| cases::both(CASES));

/// Those that the original does not know.
static OURS: LazyLock<Outcomes> = LazyLock::new(|| cases::ours(&[&ACTIONQUIET, &NOREMOTE]));

/// Settings of a jail whose action has these options; `%(notes)s` is the file of its notes.
macro_rules! does {
    ($jail:literal, $($line:literal),*) => {
        concat!("maxretry = 1\nnotes = HERE/", $jail, ".notes\naction = does[", $($line, ", ",)* "actname=does]")
    };
}

/// Bans an address and lifts the ban.
fn ban_and_unban(jail: &Jail) {
    jail.ask("set JAIL banip 192.0.2.1");
    jail.wait("] Ban ");
    jail.ask("set JAIL unbanip 192.0.2.1");
}

const ACTIONSTART: Case = Case {
    jail: "actionstart",
    settings: does!(
        "actionstart",
        "actionstart=\"echo start >>%(notes)s\"",
        "actionban=\"echo ban >>%(notes)s\""
    ),
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.notes(2)
    },
};

#[test]
fn actionstart_runs_before_the_first_ban() {
    assert_eq!(outcome(&BOTH, &ACTIONSTART), ["start", "ban"]);
}

const ACTIONSTART_ON_DEMAND: Case = Case {
    jail: "actionstart-on-demand",
    settings: does!(
        "actionstart-on-demand",
        "actionstart=\"echo start <family> >>%(notes)s\"",
        "actionstart_on_demand=true",
        "actionban=\"echo ban >>%(notes)s\""
    ),
    run: |jail| {
        jail.fail("2001:db8::1", 1);
        jail.notes(2)
    },
};

#[test]
fn actionstart_on_demand_starts_for_the_family_of_the_first_ban() {
    assert_eq!(
        outcome(&BOTH, &ACTIONSTART_ON_DEMAND),
        ["start inet6", "ban"]
    );
}

const ACTIONSTOP: Case = Case {
    jail: "actionstop",
    settings: does!("actionstop", "actionstop=\"echo stop >>%(notes)s\""),
    run: |jail| {
        jail.ask("stop JAIL");
        jail.notes(1)
    },
};

#[test]
fn actionstop_runs_when_the_jail_stops() {
    assert_eq!(outcome(&BOTH, &ACTIONSTOP), ["stop"]);
}

const ACTIONBAN: Case = Case {
    jail: "actionban",
    settings: does!("actionban", "actionban=\"echo ban <ip> >>%(notes)s\""),
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.notes(1)
    },
};

#[test]
fn actionban_runs_for_a_ban() {
    assert_eq!(outcome(&BOTH, &ACTIONBAN), ["ban 192.0.2.1"]);
}

const ACTIONUNBAN: Case = Case {
    jail: "actionunban",
    settings: does!("actionunban", "actionunban=\"echo unban <ip> >>%(notes)s\""),
    run: |jail| {
        ban_and_unban(jail);
        jail.notes(1)
    },
};

#[test]
fn actionunban_runs_for_an_unban() {
    assert_eq!(outcome(&BOTH, &ACTIONUNBAN), ["unban 192.0.2.1"]);
}

const ACTIONFLUSH: Case = Case {
    jail: "actionflush",
    settings: does!(
        "actionflush",
        "actionban=\"echo ban >>%(notes)s\"",
        "actionunban=\"echo unban >>%(notes)s\"",
        "actionflush=\"echo flush >>%(notes)s\"",
        "actionstop=\"echo stop >>%(notes)s\""
    ),
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.fail("192.0.2.2", 1);
        jail.notes(2);
        jail.ask("stop JAIL");
        jail.notes(4)
    },
};

#[test]
fn actionflush_stands_for_all_unbans_at_the_end() {
    assert_eq!(
        outcome(&BOTH, &ACTIONFLUSH),
        ["ban", "ban", "flush", "stop"]
    );
}

const ACTIONRELOAD: Case = Case {
    jail: "actionreload",
    settings: does!(
        "actionreload",
        "actionstart=\"echo start >>%(notes)s\"",
        "actionreload=\"echo reload >>%(notes)s\""
    ),
    run: |jail| {
        jail.notes(1);
        jail.client("reload JAIL");
        jail.notes(2)
    },
};

#[test]
fn actionreload_runs_after_a_reload() {
    assert_eq!(outcome(&BOTH, &ACTIONRELOAD), ["start", "reload"]);
}

const ACTIONCHECK: Case = Case {
    jail: "actioncheck",
    settings: does!(
        "actioncheck",
        "actionstart=\"touch %(notes)s.there; echo start >>%(notes)s\"",
        "actionban=\"test -e %(notes)s.there && echo ban >>%(notes)s\"",
        "actioncheck=\"test -e %(notes)s.there\"",
        "actionstart_on_demand=true",
        "actionstop=\"echo stop >>%(notes)s\""
    ),
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.notes(2);
        jail.remove("notes.there");
        jail.fail("192.0.2.2", 1);
        jail.notes(5)
    },
};

#[test]
fn actioncheck_that_fails_has_the_action_stopped_and_started() {
    assert_eq!(
        outcome(&BOTH, &ACTIONCHECK),
        ["start", "ban", "stop", "start", "ban"]
    );
}

const ACTIONREPAIR: Case = Case {
    jail: "actionrepair",
    settings: does!(
        "actionrepair",
        "actionstart=\"touch %(notes)s.there; echo start >>%(notes)s\"",
        "actionban=\"test -e %(notes)s.there && echo ban >>%(notes)s\"",
        "actioncheck=\"test -e %(notes)s.there\"",
        "actionrepair=\"touch %(notes)s.there; echo repair >>%(notes)s\""
    ),
    run: |jail| {
        jail.notes(1);
        jail.remove("notes.there");
        jail.fail("192.0.2.1", 1);
        jail.notes(3)
    },
};

#[test]
fn actionrepair_runs_in_place_of_stop_and_start() {
    assert_eq!(outcome(&BOTH, &ACTIONREPAIR), ["start", "repair", "ban"]);
}

const ACTIONREPAIR_ON_UNBAN: Case = Case {
    jail: "actionrepair-on-unban",
    settings: does!(
        "actionrepair-on-unban",
        "actionstart=\"touch %(notes)s.there; echo start >>%(notes)s\"",
        "actionban=\"echo ban >>%(notes)s\"",
        "actionunban=\"test -e %(notes)s.there && echo unban >>%(notes)s\"",
        "actioncheck=\"test -e %(notes)s.there\"",
        "actionrepair=\"touch %(notes)s.there; echo repair >>%(notes)s\"",
        "actionrepair_on_unban=true"
    ),
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.notes(2);
        jail.remove("notes.there");
        jail.ask("set JAIL unbanip 192.0.2.1");
        jail.notes(4)
    },
};

#[test]
fn actionrepair_on_unban_repairs_for_an_unban_too() {
    assert_eq!(
        outcome(&BOTH, &ACTIONREPAIR_ON_UNBAN),
        ["start", "ban", "repair", "unban"]
    );
}

const ACTIONPROLONG: Case = Case {
    jail: "actionprolong",
    settings: concat!(
        // nobody waits to prolong a ban by so little
        "bantime.increment = true\nbantime.overalljails = true\nbantime.formula = ban.Time + 5\n",
        does!(
            "actionprolong",
            "actionban=\"echo ban >>%(notes)s\"",
            "actionprolong=\"echo prolong <bantime> >>%(notes)s\""
        )
    ),
    run: |jail| {
        // another jail has banned it before
        let other = jail.other(NAME.jail);
        other.fail("192.0.2.10", 1);
        other.wait("] Ban ");
        other.wait_stored("192.0.2.10");
        jail.fail("192.0.2.10", 1);
        // the original at times prolongs before it has banned
        let mut notes = jail.notes(2);
        notes.sort();
        notes
    },
};

#[test]
fn actionprolong_runs_when_a_ban_gets_longer() {
    assert_eq!(outcome(&BOTH, &ACTIONPROLONG), ["ban", "prolong 605"]);
}

const ACTIONREBAN: Case = Case {
    jail: "actionreban",
    settings: does!(
        "actionreban",
        "actionstart=\"touch %(notes)s.there\"",
        "actionstart_on_demand=true",
        "actionban=\"echo ban <ip> >>%(notes)s\"",
        "actioncheck=\"test -e %(notes)s.there\"",
        "actionreban=\"echo reban <ip> >>%(notes)s\""
    ),
    run: |jail| {
        // checks follow failures that come some seconds after the ban
        jail.lines_ago(10, &["x from 192.0.2.1"]);
        jail.notes(1);
        jail.remove("notes.there");
        jail.fail("192.0.2.1", 1);
        jail.notes(2)
    },
};

#[test]
fn actionreban_runs_where_the_rule_of_a_ban_was_lost() {
    assert_eq!(
        outcome(&BOTH, &ACTIONREBAN),
        ["ban 192.0.2.1", "reban 192.0.2.1"]
    );
}

const ACTIONQUIET: Case = Case {
    jail: "actionquiet",
    settings: concat!(
        "unbanwhenquiet = true\nbantime = 1\n",
        does!("actionquiet", "actionquiet=\"echo quiet <ip> >>%(notes)s\"")
    ),
    run: |jail| {
        jail.ask("set JAIL banip 192.0.2.1");
        jail.wait("] Unban 192.0.2.1");
        jail.notes(1)
    },
};

#[test]
fn actionquiet_that_succeeds_lets_the_ban_end() {
    assert_eq!(outcome(&OURS, &ACTIONQUIET), ["quiet 192.0.2.1"]);
}

const NORESTORED: Case = Case {
    jail: "norestored",
    settings: "maxretry = 1\naction = note\n         note[actname=mail, note=mailed, norestored=1]",
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.notes(2);
        jail.client("reload --restart JAIL");
        jail.wait("] Restore Ban 192.0.2.1");
        jail.fail("192.0.2.2", 1);
        // the actions of a jail wait for none of each other
        let mut notes = jail.notes(5);
        notes.sort();
        notes
    },
};

#[test]
fn norestored_action_leaves_restored_bans_alone() {
    assert_eq!(
        outcome(&BOTH, &NORESTORED),
        ["192.0.2.1", "192.0.2.1", "192.0.2.2", "mailed", "mailed"]
    );
}

/// The restored ban is another host's: a mail is for its host to send, unless an action says that it
/// wants to hear of bans from elsewhere.
const NOREMOTE: Case = Case {
    jail: "noremote",
    settings: "maxretry = 1\naction = note\n         \
               note[actname=told, note=told, noremote=1]\n         \
               note[actname=mail, note=mailed, norestored=1, noremote=0]",
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.notes(3);
        jail.remote("192.0.2.1", "mx2");
        jail.fail("192.0.2.2", 1);
        let mut notes = jail.notes(7);
        notes.sort();
        notes
    },
};

#[test]
fn noremote_action_leaves_bans_of_other_hosts_alone() {
    assert_eq!(
        outcome(&OURS, &NOREMOTE),
        [
            "192.0.2.1",
            "192.0.2.1",
            "192.0.2.2",
            "mailed",
            "mailed",
            "told",
            "told"
        ]
    );
}

const TIMEOUT: Case = Case {
    jail: "timeout",
    settings: does!("timeout", "actionban=\"exec sleep 600\"", "timeout=1"),
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        let said = jail.wait("Failed to execute ban");
        vec![said.len().to_string()]
    },
};

#[test]
fn timeout_ends_a_command_that_takes_longer() {
    assert_eq!(outcome(&BOTH, &TIMEOUT), ["1"]);
}

const NAME: Case = Case {
    jail: "name",
    settings: "maxretry = 1\naction = note[note=\"<name> of <jail.name>\"]",
    run: |jail| {
        jail.fail("192.0.2.1", 1);
        jail.notes(1)[..1].to_vec()
    },
};

#[test]
fn name_not_set_is_that_of_the_jail() {
    assert_eq!(outcome(&BOTH, &NAME), ["name of name"]);
}

const ACTNAME: Case = Case {
    jail: "actname",
    settings: "action = note[actname=one]\n         note[actname=two]",
    run: |jail| {
        vec![
            jail.ask("get JAIL actions"),
            jail.ask("get JAIL action two actname"),
        ]
    },
};

#[test]
fn actname_tells_two_actions_of_one_file_apart() {
    assert_eq!(outcome(&BOTH, &ACTNAME), ["['one', 'two']", "'two'"]);
}

const FAMILIES: Case = Case {
    jail: "families",
    settings: does!(
        "families",
        "families=inet6",
        "actionstart=\"echo start <family> >>%(notes)s\"",
        "actionban=\"echo ban <family> >>%(notes)s\""
    ),
    run: |jail| {
        jail.notes(1);
        jail.fail("2001:db8::1", 1);
        jail.notes(2)
    },
};

#[test]
fn families_named_are_those_that_start() {
    assert_eq!(outcome(&BOTH, &FAMILIES), ["start inet6", "ban inet6"]);
}

/// What is run under both programs.
static CASES: &[&Case] = &[
    &ACTIONSTART,
    &ACTIONSTART_ON_DEMAND,
    &ACTIONSTOP,
    &ACTIONBAN,
    &ACTIONUNBAN,
    &ACTIONFLUSH,
    &ACTIONRELOAD,
    &ACTIONCHECK,
    &ACTIONREPAIR,
    &ACTIONREPAIR_ON_UNBAN,
    &ACTIONPROLONG,
    &ACTIONREBAN,
    &NORESTORED,
    &TIMEOUT,
    &NAME,
    &ACTNAME,
    &FAMILIES,
];
