//! The kernel of a host of a fleet, asked over netlink: a hundred hosts share two cores with whoever watches
//! them, and a program for each look would be most of what is measured.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use ferroban::parts::firewall::netlink::{Body, Channel, Messages};
use ferroban::parts::firewall::place::Set;
use ferroban::parts::firewall::sets;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};

const TABLE: &str = "f2b-table";
const INET: u8 = 1;
/// Numbers of the kernel's `uapi/linux/netfilter/nf_tables.h`.
const NEW_ELEMENT: u16 = 10 << 8 | 12;
const GET_ELEMENT: u16 = 10 << 8 | 13;
const GROUP: u32 = 7;

/// The set of a jail in a network namespace.
pub struct Kernel {
    space: String,
    set: String,
    channel: Channel,
}

/// Does something in a network namespace, in a thread of its own.
fn inside<T: Send>(space: &str, body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let space = File::open(format!("/run/netns/{space}")).unwrap();
            setns(space, CloneFlags::CLONE_NEWNET).unwrap();
            body()
        });
        thread.join().unwrap()
    })
}

impl Kernel {
    pub fn new(space: &str, jail: &str) -> Kernel {
        Kernel {
            space: space.to_owned(),
            set: format!("addr-set-{jail}"),
            channel: inside(space, || Channel::open().unwrap()),
        }
    }

    /// Whom it has banned.
    pub fn held(&self) -> BTreeSet<Ipv4Addr> {
        let set = Set::Nft {
            family: INET,
            table: TABLE.to_owned(),
            name: self.set.clone(),
        };
        let held = inside(&self.space, || sets::held(&set)).unwrap();
        let ips = held.into_iter().map(|net| net.addr());
        ips.filter_map(|ip| match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
        .collect()
    }

    /// Whether it has banned somebody.
    pub fn holds(&self, ip: Ipv4Addr) -> bool {
        let mut messages = Messages::default();
        messages.begin(GET_ELEMENT, 0, INET, 0);
        messages.text(1, TABLE);
        messages.text(2, &self.set);
        messages.nested(3, |list| {
            list.nested(1, |item| {
                item.nested(1, |key| key.attribute(1, &ip.octets()));
            });
        });
        messages.end();
        self.channel.finds(&messages).unwrap()
    }

    /// Waits until it has banned somebody, or has not any more.
    pub fn wait(&self, ip: Ipv4Addr, held: bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.holds(ip) != held {
            assert!(Instant::now() < end, "{}: {ip} {held}", self.space);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Hears what several kernels ban.
pub struct Listeners(Vec<Channel>);

impl Listeners {
    pub fn new<'k>(kernels: impl Iterator<Item = &'k Kernel>) -> Listeners {
        let listen = |kernel: &Kernel| inside(&kernel.space, || Channel::listen(GROUP).unwrap());
        Listeners(kernels.map(listen).collect())
    }

    /// When each of them has banned somebody, after `begin`.
    pub fn hear(&self, ip: Ipv4Addr, begin: Instant) -> Vec<Duration> {
        let mut heard = Vec::new();
        let mut deaf: Vec<&Channel> = self.0.iter().collect();
        while !deaf.is_empty() {
            let mut waits: Vec<PollFd<'_>> = deaf
                .iter()
                .map(|channel| PollFd::new(channel.as_fd(), PollFlags::POLLIN))
                .collect();
            let ready = poll(&mut waits, PollTimeout::from(60_000_u16)).unwrap();
            assert!(ready > 0, "{ip}: {} hosts have not banned it", deaf.len());
            let ready: Vec<bool> = waits.iter().map(|wait| wait.any() == Some(true)).collect();
            let now = begin.elapsed();
            let mut ready = ready.into_iter();
            deaf.retain(|channel| {
                let mut found = false;
                if ready.next() == Some(true) {
                    let each = |answer: ferroban::parts::firewall::netlink::Answer<'_>| {
                        if let Body::Message(NEW_ELEMENT, bytes) = answer.body {
                            found |= bytes.windows(4).any(|four| four == ip.octets());
                        }
                    };
                    channel.receive(each).unwrap();
                }
                if found {
                    heard.push(now);
                }
                !found
            });
        }
        heard
    }
}
