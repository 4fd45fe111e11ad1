//! What an attack from very many addresses costs in memory; alone in its process, so that nothing
//! else is measured.
#![allow(clippy::unwrap_used)]

use ferroban::parts::address::Address;
use ferroban::parts::control::JailSetting;
use ferroban::parts::fields::{FieldValue, Fields, MatchLine};
use ferroban::parts::filter::{Failure, FailureId};
use ferroban::parts::jail::core::{JailCore, PriorBans};

const IDS: u32 = 50_000;

fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0
}

fn failure(n: u32, time: f64) -> Failure {
    let id = Address::Ip(std::net::IpAddr::V4((0x0a00_0000 + n).into()));
    let before = "host sshd[12345]: Failed password for invalid user administrator".to_owned();
    let after = format!(" from {id} port 51234 ssh2");
    Failure {
        id: FailureId::Address(id.clone()),
        time,
        matches: vec![MatchLine::Parts(std::sync::Arc::new([
            String::new(),
            "Nov 21 19:00:01".into(),
            before + &after,
        ]))],
        fields: Fields::from_iter([
            (
                "mlfid".to_owned(),
                FieldValue::Text("host sshd[12345]: ".into()),
            ),
            ("user".to_owned(), FieldValue::Text("administrator".into())),
            ("ip4".to_owned(), FieldValue::Text(id.to_string())),
        ]),
    }
}

#[test]
fn many_addresses_fit() {
    let mut core = JailCore::new("j", true);
    core.apply(&JailSetting::set("ignoreself", false.into()));
    let past = PriorBans::default();
    let before = resident_bytes();
    for n in 0..IDS {
        core.failure(&failure(n, 1000.0), &past, 1000.0);
    }
    let failing = (resident_bytes() - before) / f64::from(IDS);
    assert_eq!(core.counts(1000.0)[0], (i64::from(IDS), i64::from(IDS)));
    for n in 0..IDS {
        for time in [1001.0, 1002.0] {
            core.failure(&failure(n, time), &past, time);
        }
    }
    let banned = (resident_bytes() - before) / f64::from(IDS);
    assert_eq!(core.counts(1002.0)[1].0, i64::from(IDS));
    println!(
        "{failing:.0} bytes a failing address, {banned:.0} bytes a banned one with three lines"
    );
    assert!(failing <= 450.0, "{failing} bytes a failing address");
    assert!(banned <= 1000.0, "{banned} bytes a banned address");
}
