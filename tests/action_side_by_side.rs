//! Actions of different jails run side by side, those of one name one after the other: a slow one
//! delays no other jail, and a file that two jails edit by the same action stays whole.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use ferroban::action::{Actions, JailFigures, Order};
use ferroban::address::Address;
use ferroban::control::Value;
use ferroban::ticket::Ticket;

/// The actions of a jail, one of this name with this command.
async fn jail(name: &str, action: &str, ban: &str) -> Actions {
    let actions = Actions::spawn(name, None, Default::default());
    let (reply, added) = tokio::sync::oneshot::channel();
    actions.send(Order::Add {
        name: action.to_owned(),
        python: None,
        reply,
    });
    added.await.unwrap().unwrap();
    let (reply, set) = tokio::sync::oneshot::channel();
    actions.send(Order::Set {
        name: action.to_owned(),
        properties: vec![("actionban".to_owned(), Value::from(ban))],
        reply,
    });
    set.await.unwrap().unwrap();
    actions
}

fn ban(actions: &Actions, id: &str) {
    actions.send(Order::Ban {
        ticket: Ticket::new(Address::parse(id), 0.0),
        figures: JailFigures::default(),
        again: false,
    });
}

async fn lines(path: &Path, count: usize) -> Vec<String> {
    for _ in 0..600 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} never had {count} lines", path.display());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_jail_delays_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bans");
    let shown = path.display();
    // the slow one ends when the quick one is done, so it cannot have been waited for
    let slow = format!("until grep -q quick {shown}; do sleep 0.05; done; echo slow >> {shown}");
    let slow = jail("slow", "a", &slow).await;
    let quick = jail("quick", "b", &format!("echo quick >> {shown}")).await;
    ban(&slow, "192.0.2.1");
    ban(&quick, "192.0.2.2");
    assert_eq!(lines(&path, 2).await, ["quick", "slow"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_of_one_name_wait_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bans");
    let shown = path.display();
    // reads the whole file, thinks, and writes it anew
    let edit = format!(
        "old=$(cat {shown} 2>/dev/null); sleep 0.02; printf '%s\\n' $old <ip> > {shown}.new; mv {shown}.new {shown}"
    );
    let jails = [
        jail("one", "same", &edit).await,
        jail("two", "same", &edit).await,
    ];
    for n in 1..=10 {
        ban(&jails[n % 2], &format!("192.0.2.{n}"));
    }
    let mut seen = lines(&path, 10).await;
    // each jail's own order is kept
    for parity in [0, 1] {
        let own: Vec<u32> = seen
            .iter()
            .map(|line| line.rsplit('.').next().unwrap().parse().unwrap())
            .filter(|n| n % 2 == parity)
            .collect();
        assert!(own.is_sorted(), "{seen:?}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 10);
}
