//! A service that is gone or hangs delays no ban, however many there are: the same bans with such an
//! action beside the firewall's, and without.

use std::time::Duration;

use ferroban::parts::action::ban_times::BanTimeCounts;
use ferroban::parts::action::{Actions, JailFigures, Order};
use ferroban::parts::address::Address;
use ferroban::parts::control::Value;
use ferroban::parts::fields::MatchLine;
use ferroban::parts::ticket::Ticket;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::recorder::{nobody, silent};
use crate::scenario::in_own_network;

const PER_SECOND: u32 = 1000;

/// How many seconds the bans go on; more for figures.
fn seconds() -> u32 {
    let set = std::env::var("FERROBAN_NOTICE_SECONDS").ok();
    set.map_or(1, |set| set.parse().unwrap())
}

async fn add(actions: &Actions, name: &str, properties: &[(&str, &str)]) {
    let (reply, added) = oneshot::channel();
    actions.send(Order::Add {
        name: name.to_owned(),
        python: None,
        reply,
    });
    added.await.unwrap().unwrap();
    let (reply, set) = oneshot::channel();
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), Value::from(*value));
    actions.send(Order::Set {
        name: name.to_owned(),
        properties: properties.iter().map(pair).collect(),
        reply,
    });
    set.await.unwrap().unwrap();
}

/// How long bans take that come at this rate, until the firewall has them; with a service at this port, or none.
async fn bans(port: Option<u16>) -> BanTimeCounts {
    let actions = Actions::spawn("j", None, Default::default());
    let set = "nft add table inet f; nft add set inet f s \\{ type ipv4_addr\\; \\}";
    let firewall = [
        ("actionstart", set),
        ("actionban", "nft add element inet f s \\{ <ip> \\}"),
        ("actionunban", "nft delete element inet f s \\{ <ip> \\}"),
    ];
    add(&actions, "nft", &firewall).await;
    if let Some(port) = port {
        let ban = format!(
            "ferroban notify\nurl http://127.0.0.1:{port}/\nheader Content-Type: application/json\n\
             batch 1000\nbody {{\"text\":\"<message>\"}}\nevent banned <ip>\n<matches>"
        );
        add(&actions, "hook", &[("actionban", &ban), ("timeout", "10")]).await;
    }
    actions.send(Order::Start);
    actions.settled().await;
    let mut pace = interval(Duration::from_secs(1) / PER_SECOND);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let count = PER_SECOND * seconds();
    for n in 0..count {
        pace.tick().await;
        let [_, a, b, c] = n.to_be_bytes();
        let mut ticket = Ticket::new(Address::parse(&format!("10.{a}.{b}.{c}")), 0.0);
        ticket.set_matches(&[MatchLine::Text("a line of a log that led to it".into())]);
        actions.send(Order::Ban {
            ticket,
            figures: JailFigures::default(),
            again: false,
            by_hand: false,
        });
    }
    actions.settled().await;
    let workload = actions.workload();
    let (_, _, counts) = workload
        .into_iter()
        .find(|(name, ..)| name == "nft")
        .unwrap();
    assert_eq!(counts.buckets.iter().sum::<u64>(), u64::from(count));
    let (reply, stopped) = oneshot::channel();
    let begin = Instant::now();
    actions.send(Order::Stop(Vec::new(), reply));
    stopped.await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(30));
    counts
}

#[test]
fn a_thousand_bans_a_second_wait_for_no_service() {
    in_own_network(|| {
        let lo = std::process::Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(lo.unwrap().success());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (_listener, hanging) = silent();
            let ways = [
                ("without", None),
                ("gone", Some(nobody())),
                ("hanging", Some(hanging)),
            ];
            let mut means = [0.0; 3];
            println!("service   mean ms  within 1, 5, 25, 100 ms, …");
            for _ in 0..2 {
                for (n, (name, port)) in ways.iter().enumerate() {
                    let counts = bans(*port).await;
                    let mean = counts.seconds / f64::from(PER_SECOND * seconds());
                    means[n] += mean / 2.0;
                    println!("{name:<9} {:>7.2}  {:?}", mean * 1000.0, counts.buckets);
                }
            }
            // bans would wait for seconds behind a service that does not answer
            assert!(
                means[1] < means[0] + 0.1 && means[2] < means[0] + 0.1,
                "{means:?}"
            );
        });
    });
}
