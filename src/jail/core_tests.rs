//! What the core decides, as sequences of failures and times.

use super::core::*;
use super::decision::Decision;
use crate::address::Address;
use crate::control::JailSetting;
use crate::evidence::Evidence;
use crate::fields::{Fields, MatchLine};
use crate::filter::{Failure, FailureId};
use crate::store::BanHistory;
use crate::ticket::{BanTime, Ticket};

pub(super) fn core(settings: &[JailSetting]) -> JailCore {
    let mut core = JailCore::new("j", true);
    core.apply(&JailSetting::set("ignoreself", false.into()));
    for setting in settings {
        core.apply(setting).unwrap().unwrap();
    }
    core
}

pub(super) fn limits(maxretry: i64, findtime: i64, bantime: i64) -> Vec<JailSetting> {
    vec![
        JailSetting::set("maxretry", maxretry.into()),
        JailSetting::set("findtime", findtime.into()),
        JailSetting::set("bantime", bantime.into()),
    ]
}

pub(super) fn extra(name: &str, value: &str) -> JailSetting {
    JailSetting::set(&format!("bantime.{name}"), value.into())
}

pub(super) fn failure(id: &str, time: f64) -> Failure {
    Failure {
        id: FailureId::Address(Address::parse(id)),
        time,
        matches: vec![MatchLine::Text(format!("line at {time}"))],
        fields: Fields::new(),
    }
}

fn banned_before(bancount: u32, timeofban: f64) -> PriorBans {
    let history = BanHistory {
        bancount,
        timeofban,
        bantime: BanTime::Seconds(4.0),
    };
    PriorBans {
        here: Some(history),
        everywhere: None,
    }
}

/// Log lines without times, and what goes to the database and the actions.
fn shown(decisions: &[Decision]) -> Vec<String> {
    let show = |decision: &Decision| match decision {
        Decision::Record(ticket) => {
            format!(
                "record {} {:?} {}",
                ticket.id,
                ticket.bantime.unwrap(),
                ticket.bancount
            )
        }
        Decision::Prolong(ticket) => format!("prolong {} {:?}", ticket.id, ticket.bantime.unwrap()),
        Decision::Ban { ticket, figures } => format!(
            "ban {} {:?} {} {}/{}",
            ticket.id,
            ticket.bantime.unwrap(),
            ticket.bancount,
            figures.banned,
            figures.banned_total
        ),
        Decision::Found { id, time } => format!("found {id} {time}"),
        Decision::RepeatFailure {
            bans,
            weight,
            enough,
            ..
        } => {
            format!("bad {bans} {weight:?} {enough}")
        }
        Decision::Ignored { id, by } => format!("ignored {id} {by}"),
        Decision::Expired(id) => format!("expired {id}"),
        Decision::Already {
            ticket, age, check, ..
        } => {
            format!("already {} {age} {check}", ticket.id)
        }
        Decision::KnownOffender { bans, from, to, .. } => format!("incr {bans} {from:?} {to:?}"),
        Decision::Increase {
            bans, length, end, ..
        } => format!("increase {bans} {length:?} {end}"),
        Decision::AskQuiet(ticket) => format!("ask about {}", ticket.id),
        Decision::StillActive(ticket) => format!("{} keeps trying", ticket.id),
        Decision::Unban(ticket) => format!("unban {}", ticket.id),
        Decision::Forgotten(count) => format!("forgotten {count}"),
        Decision::Told { text, .. } => text.clone(),
    };
    decisions.iter().map(show).collect()
}

#[test]
fn the_third_failure_bans_and_counting_begins_anew() {
    let mut core = core(&limits(3, 600, 60));
    let past = PriorBans::default();
    for time in [10.0, 11.0] {
        let found = core.failure(&failure("192.0.2.1", time), &past, time);
        assert_eq!(shown(&found), [format!("found 192.0.2.1 {time}")]);
    }
    let third = core.failure(&failure("192.0.2.1", 12.0), &past, 12.5);
    assert_eq!(
        shown(&third),
        [
            "found 192.0.2.1 12",
            "record 192.0.2.1 Seconds(60.0) 1",
            "ban 192.0.2.1 Seconds(60.0) 1 1/1"
        ]
    );
    let Decision::Ban { ticket, .. } = &third[2] else {
        panic!()
    };
    assert_eq!(
        (ticket.failures, ticket.matches().len(), ticket.time),
        (3, 3, 12.0)
    );
    // while banned failures count, and three more of them meet the ban
    for time in [13.0, 14.0] {
        core.failure(&failure("192.0.2.1", time), &past, time);
    }
    let again = core.failure(&failure("192.0.2.1", 15.5), &past, 15.5);
    assert_eq!(
        shown(&again),
        ["found 192.0.2.1 15.5", "already 192.0.2.1 3.5 true"]
    );
    // asking too early does nothing, asking in time always something
    assert!(core.due(75.5).is_empty());
    let due = core.next_due().unwrap();
    assert!(due > 75.5 && due < 75.501);
    assert_eq!(shown(&core.due(due)), ["unban 192.0.2.1"]);
    assert_eq!(core.next_due(), None);
}

#[test]
fn times_in_the_future_are_now() {
    let mut core = core(&limits(1, 600, 60));
    let found = core.failure(&failure("192.0.2.1", 500.0), &PriorBans::default(), 100.0);
    assert_eq!(shown(&found)[0], "found 192.0.2.1 100");
    assert_eq!(core.next_due(), Some(160.0_f64.next_up()));
}

/// Sharp edge 41.
#[test]
fn old_failures_make_no_ban() {
    let mut core = core(&limits(1, 600, 60));
    let found = core.failure(&failure("203.0.113.1", 100.0), &PriorBans::default(), 400.0);
    assert_eq!(
        shown(&found),
        ["found 203.0.113.1 100", "expired 203.0.113.1"]
    );
}

#[test]
fn ignored_failures_are_not_counted() {
    let mut core = core(&[
        JailSetting::set("maxretry", 1.into()),
        JailSetting::AddIgnoreIp(vec!["192.0.2.0/24".into()]),
        JailSetting::set(
            "ignorecache",
            r#"key="<ip>", max-count=2, max-time=10"#.into(),
        ),
    ]);
    let past = PriorBans::default();
    let found = core.failure(&failure("192.0.2.1", 1.0), &past, 1.0);
    assert_eq!(shown(&found), ["ignored 192.0.2.1 ip"]);
    // nor by hand: whatever the list says
    let mut decisions = Vec::new();
    let ticket = Ticket::new(Address::parse("192.0.2.1"), 2.0);
    assert!(core.ban(ticket, &past, 2.0, &mut decisions));
    // remembered answers are silent
    let id = Address::parse("192.0.2.7");
    assert_eq!(
        core.ignored(&id, Some("k"), 3.0),
        IgnoreVerdict::Ignored("ip".into())
    );
    assert_eq!(core.ignored(&id, Some("k"), 4.0), IgnoreVerdict::Cached);
    assert_eq!(
        core.ignored(&id, Some("k"), 20.0),
        IgnoreVerdict::Ignored("ip".into())
    );
    let other = Address::parse("198.51.100.1");
    core.apply(&JailSetting::set("ignorecommand", "test <ip>".into()));
    assert_eq!(
        core.ignored(&other, Some("o"), 20.0),
        IgnoreVerdict::RunCommand("test <ip>".into())
    );
    core.remember_ignored(Some("o"), false, 20.0);
    assert_eq!(
        core.ignored(&other, Some("o"), 21.0),
        IgnoreVerdict::NotIgnored
    );
}

/// Sharp edges 42 and 43: bantime 4, maxretry 3.
#[test]
fn known_offenders_are_banned_sooner_and_longer() {
    let mut settings = limits(3, 600, 4);
    settings.push(extra("increment", "true"));
    let mut core = core(&settings);
    let past = banned_before(1, 50.0);
    let first = core.failure(&failure("192.0.2.1", 100.0), &past, 100.0);
    assert_eq!(
        shown(&first),
        ["found 192.0.2.1 100", "bad 1 Float(2.0) false"]
    );
    let second = core.failure(&failure("192.0.2.1", 101.0), &past, 101.0);
    assert_eq!(
        shown(&second),
        [
            "found 192.0.2.1 101",
            "record 192.0.2.1 Seconds(8.0) 2",
            "ban 192.0.2.1 Seconds(4.0) 2 1/1",
            "incr 1 Int(4) Int(8)",
            "increase 2 Int(8) 109",
            "bad 1 Float(2.0) false",
        ]
    );
    assert_eq!(shown(&core.due(101.0)), ["prolong 192.0.2.1 Seconds(8.0)"]);
    assert_eq!(core.next_due(), Some(109.0_f64.next_up()));
    core.unban_all();

    let past = banned_before(2, 101.0);
    let third = core.failure(&failure("192.0.2.1", 110.0), &past, 110.0);
    assert_eq!(
        shown(&third)[..4],
        [
            "found 192.0.2.1 110",
            "bad 2 Float(3.0) true",
            "record 192.0.2.1 Seconds(16.0) 3",
            "ban 192.0.2.1 Seconds(4.0) 3 1/2",
        ]
    );
    // actions hear of it a while before the base time is over, ten seconds later at most
    assert_eq!(core.next_due(), Some(117.0));
}

#[test]
fn a_line_read_again_does_not_weigh() {
    let mut settings = limits(2, 600, 100);
    settings.push(extra("increment", "true"));
    let mut core = core(&settings);
    let past = banned_before(1, 100.0);
    let found = core.failure(&failure("192.0.2.1", 100.0), &past, 101.0);
    assert_eq!(shown(&found), ["found 192.0.2.1 100"]);
}

#[test]
fn without_increment_history_means_nothing() {
    let mut core = core(&limits(2, 600, 100));
    let past = banned_before(3, 10.0);
    core.failure(&failure("192.0.2.1", 100.0), &past, 100.0);
    let second = core.failure(&failure("192.0.2.1", 101.0), &past, 101.0);
    assert_eq!(second.len(), 3);
    assert_eq!(shown(&second)[2], "ban 192.0.2.1 Seconds(100.0) 1 1/1");
}

#[test]
fn attempts_count_their_texts() {
    let mut core = core(&limits(3, 600, 60));
    let id = Address::parse("192.0.2.1");
    let none = core.attempt(&id, &["a".into(), "b".into()], &PriorBans::default(), 10.0);
    assert!(none.is_empty());
    let ban = core.attempt(&id, &[], &PriorBans::default(), 11.0);
    assert_eq!(shown(&ban)[1], "ban 192.0.2.1 Seconds(60.0) 1 1/1");
    let Decision::Ban { ticket, .. } = &ban[1] else {
        panic!()
    };
    assert_eq!((ticket.failures, ticket.matches().len()), (2, 2));
}

#[test]
fn clock_set_back_failures_hours_apart_do_not_add_up() {
    let mut core = core(&limits(3, 600, 60));
    let past = PriorBans::default();
    for time in [10_000.0, 10_001.0] {
        core.failure(&failure("192.0.2.1", time), &past, time);
    }
    // an hour back, and what the step makes the jail do
    core.due(6401.0);
    let id = Address::parse("192.0.2.1");
    assert_eq!(core.standing(&id).0, 2.0);
    // a findtime later they are forgotten, as without the step
    for time in [7100.0, 7800.0, 8500.0] {
        let decisions = core.failure(&failure("192.0.2.1", time), &past, time);
        assert_eq!(shown(&decisions), [format!("found 192.0.2.1 {time}")]);
    }
    // a findtime after the step they add up as ever
    core.failure(&failure("192.0.2.1", 8501.0), &past, 8501.0);
    let third = core.failure(&failure("192.0.2.1", 8502.0), &past, 8502.0);
    assert!(shown(&third).iter().any(|line| line.starts_with("ban")));
}

#[test]
fn clock_set_back_bans_end_at_their_time() {
    let mut core = core(&limits(1, 600, 600));
    let past = PriorBans::default();
    core.failure(&failure("192.0.2.1", 10_000.0), &past, 10_000.0);
    assert_eq!(shown(&core.due(6400.0)), Vec::<String>::new());
    assert!(core.due(10_599.0).is_empty());
    assert_eq!(shown(&core.due(10_600.5)), ["unban 192.0.2.1"]);
}

#[test]
fn clock_set_back_known_offender_recorded_and_banned_for_longer() {
    let mut settings = limits(1, 600, 6000);
    settings.push(extra("increment", "true"));
    let mut core = core(&settings);
    // banned an hour from now, by the clock before
    let past = banned_before(2, 10_000.0);
    let ban = shown(&core.failure(&failure("192.0.2.1", 6400.0), &past, 6400.0));
    assert!(ban.iter().any(|line| line.starts_with("record")), "{ban:?}");
    // a line that is read again says nothing new
    let again = shown(&core.failure(&failure("192.0.2.2", 9000.0), &past, 10_500.0));
    assert!(
        !again.iter().any(|line| line.starts_with("record")),
        "{again:?}"
    );
}

/// Fact B16, sharp edge 46: stored length, jail's bantime, maxtime with increment, what is left.
#[test]
fn restored_bans_are_cut_to_size() {
    use BanTime::{Permanent, Seconds};
    let table: &[(BanTime, i64, Option<&str>, Option<BanTime>)] = &[
        (Seconds(600.0), 600, None, Some(Seconds(600.0))),
        (Seconds(600.0), 300, None, Some(Seconds(300.0))),
        (Seconds(600.0), 100, None, None),
        (Seconds(100.0), 600, None, None),
        (Permanent, 600, None, Some(Seconds(600.0))),
        (Permanent, -1, None, Some(Permanent)),
        (Seconds(600.0), -1, None, Some(Seconds(600.0))),
        (Seconds(9000.0), 600, Some(""), Some(Seconds(9000.0))),
        (Seconds(9000.0), 600, Some("1200"), Some(Seconds(1200.0))),
        (Permanent, 600, Some(""), Some(Permanent)),
    ];
    for (stored, bantime, maxtime, expected) in table {
        let mut settings = limits(3, 600, *bantime);
        settings.push(JailSetting::set("maxmatches", 1.into()));
        if let Some(maxtime) = maxtime {
            settings.push(extra("increment", "true"));
            settings.push(extra("maxtime", maxtime));
        }
        let mut core = core(&settings);
        let mut ticket = Ticket::new(Address::parse("192.0.2.1"), 1000.0);
        ticket.bantime = Some(*stored);
        ticket.bancount = 1;
        ticket.set_matches(&[MatchLine::Text("1".into()), MatchLine::Text("2".into())]);
        let ticket = core.restorable(ticket, 1200.0);
        assert_eq!(
            ticket.as_ref().and_then(|t| t.bantime),
            *expected,
            "{stored:?} {bantime}"
        );
        let Some(ticket) = ticket else { continue };
        assert_eq!(ticket.matches(), [MatchLine::Text("2".into())]);
        let mut decisions = Vec::new();
        core.ban(ticket, &banned_before(1, 1000.0), 1200.0, &mut decisions);
        // not written again, counted once more
        assert_eq!(decisions.len(), 1);
        let Decision::Ban { ticket, .. } = &decisions[0] else {
            panic!()
        };
        assert_eq!((ticket.restored, ticket.bancount), (true, 2));
    }
}

#[test]
fn networks_are_banned_where_asked() {
    let mut settings = limits(3, 600, 600);
    settings.push(JailSetting::set("banprefix6", "64".into()));
    settings.push(JailSetting::set("banprefix4", "24".into()));
    settings.push(JailSetting::AddIgnoreIp(vec![
        "192.0.2.200".into(),
        "10.1.0.0/16".into(),
    ]));
    let mut core = core(&settings);
    let mut banned = |ids: &[&str]| -> Vec<String> {
        ids.iter()
            .flat_map(|id| {
                core.count(
                    &Address::parse(id),
                    1000.0,
                    &Evidence::default(),
                    &PriorBans::default(),
                    1000.0,
                )
            })
            .filter_map(|decision| match decision {
                Decision::Ban { ticket, .. } => Some(ticket.id.to_string()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(
        banned(&["2001:db8::1", "2001:db8::2", "2001:db8::3:1"]),
        ["2001:db8::/64"]
    );
    assert_eq!(
        banned(&["198.51.100.1", "198.51.100.2", "198.51.100.3"]),
        ["198.51.100.0/24"]
    );
    // a network that an ignored address or network lies in is not banned
    assert!(banned(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]).is_empty());
    assert_eq!(banned(&["192.0.2.1", "192.0.2.1"]), ["192.0.2.1"]);
    assert!(banned(&["10.1.5.1", "10.1.5.2", "10.1.5.3"]).is_empty());
}
