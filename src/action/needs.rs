//! What options of a jail need of its actions: `banprefix4` and `banprefix6` an action that can ban networks,
//! `unbanwhenquiet` one that can tell whether an address is quiet.
//!
//! In: the commands of an action, as they would be run. Out: why it cannot.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::JailFigures;
use super::preview::ActionPreview;
use super::tags::TagError;
use crate::address::{Address, Family};
use crate::firewall::Change;
use crate::firewall::member::Member;
use crate::firewall::place::Set;
use crate::notice;
use crate::ticket::Ticket;

/// Members of a set of single addresses that a network may become: as many as the set holds.
const MEMBERS_BITS: u8 = 16;

/// An action's commands about a network of this length; `None` when it does not ban for good.
struct Commands {
    network: String,
    start: String,
    member: Option<Member>,
    ban: String,
    unban: String,
}

impl Commands {
    fn of(
        action: &mut ActionPreview,
        family: Family,
        length: u8,
    ) -> Result<Option<Commands>, TagError> {
        let ip = match family {
            Family::Inet4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 0)),
            Family::Inet6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)),
        };
        let Some(network) = Address::network(ip, length) else {
            return Ok(None);
        };
        let figures = JailFigures::default();
        let ticket = Ticket::new(network, 0.0);
        let unban = action.command("actionunban", "j", &ticket, &figures)?;
        if unban.trim().is_empty() || notice::is_notice(&unban) {
            return Ok(None);
        }
        let ban = action.plan("actionban", "j", &ticket, &figures)?;
        Ok(Some(Commands {
            network: ticket.id.to_string(),
            start: action.operation("actionstart", family.as_str(), "j", 0.0, &figures)?,
            ban: ban.script.spelled_out(),
            member: match ban.into_change() {
                Some(Change::Member(member)) => Some(member),
                _ => None,
            },
            unban,
        }))
    }
}

/// Why an action cannot ban networks of this length; `None` when it can as far as is known.
pub fn refuses_networks(action: &mut ActionPreview, family: Family, length: u8) -> Option<String> {
    // what is wrong with its properties is told when it is used
    let commands = Commands::of(action, family, length).ok()??;
    let Commands {
        network,
        start,
        member,
        ban,
        unban,
    } = &commands;
    match member.as_ref().map(|member| &member.set) {
        Some(Set::Nft { name, .. }) if is_without_ranges(start, name) => {
            return Some(format!("its set {name} is made without `flags interval`"));
        }
        Some(Set::Ipset(name)) if start.contains(&format!("{name} hash:ip")) => {
            let fits = family == Family::Inet4 && 32 - length <= MEMBERS_BITS;
            return (!fits)
                .then(|| format!("its set {name} is one of single addresses, and not hash:net"));
        }
        _ => {}
    }
    let (bracketed, in_path) = (format!("[{network}]"), format!("/{network}"));
    let reason = if ban.contains("/proc/net/xt_recent/") {
        "lists of xt_recent hold single addresses"
    } else if ban.contains("nsupdate") {
        "a name of the DNS stands for a single address"
    } else if ban.replace('\\', "").contains(r#""target":"ip"#) && !ban.contains("ip_range") {
        "its target is a single address"
    } else if ban.contains(&bracketed) {
        "it writes the address in brackets"
    } else if ban.contains(&in_path) {
        "it makes a path of the address"
    } else if ban.contains("%s 1;") {
        "a map of nginx compares whole addresses"
    } else if unban.contains("sed -i") && !unban.contains(r"\/") {
        "the slash of a network ends the expression of its sed"
    } else {
        return None;
    };
    Some(reason.to_owned())
}

/// Whether the set is made, and for single addresses.
fn is_without_ranges(start: &str, set: &str) -> bool {
    let made = start
        .lines()
        .flat_map(|line| line.split("add set ").skip(1));
    let mut made = made.filter_map(|made| made.split_once('{'));
    made.any(|(place, rest)| {
        let what = rest.split('}').next().unwrap_or(rest);
        place
            .split_whitespace()
            .any(|word| word.trim_end_matches('\\') == set)
            && what.contains("_addr")
            && !what.contains("interval")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::hosts::HostNames;

    fn why(properties: &[(&str, &str)], family: Family, length: u8) -> Option<String> {
        let mut action = ActionPreview::new("a", HostNames::default());
        action.set("actionunban", &"true".into()).unwrap();
        for (name, value) in properties {
            action.set(name, &(*value).into()).unwrap();
        }
        refuses_networks(&mut action, family, length)
    }

    #[test]
    fn sets_of_nft_need_ranges() {
        let ban = ("actionban", r"nft add element inet t s \{ <ip> \}");
        for (start, refused) in [
            (r"nft add set inet t s \{ type ipv4_addr\; \}", true),
            (
                r"nft add set inet t s \{ type ipv4_addr\; flags interval\; \}",
                false,
            ),
            (r"nft add set inet t other \{ type ipv4_addr\; \}", false),
            ("", false),
        ] {
            let found = why(&[ban, ("actionstart", start)], Family::Inet4, 24);
            assert_eq!(found.is_some(), refused, "{start}");
        }
    }

    #[test]
    fn sets_of_ipset_hold_networks_or_their_addresses() {
        let ban = ("actionban", "ipset -exist add s <ip>");
        let of = |kind: &str, family, length| {
            let start = format!("ipset -exist create s hash:{kind} family inet");
            why(&[ban, ("actionstart", &start)], family, length).is_some()
        };
        assert!(!of("net", Family::Inet6, 64) && !of("net", Family::Inet4, 8));
        assert!(!of("ip", Family::Inet4, 24) && !of("ip", Family::Inet4, 16));
        assert!(of("ip", Family::Inet4, 15) && of("ip", Family::Inet6, 64));
    }

    #[test]
    fn commands_that_a_network_breaks() {
        for (ban, family, refused) in [
            ("iptables -I c 1 -s <ip> -j DROP", Family::Inet4, false),
            ("ip route add unreachable <ip>", Family::Inet6, false),
            ("touch /etc/blacklist.d/<ip>.auto", Family::Inet4, true),
            ("echo +<ip> > /proc/net/xt_recent/j", Family::Inet4, true),
            ("echo 'ALL: [<ip>]' >> /etc/hosts.deny", Family::Inet6, true),
            (
                r#"curl -d "{\"target\":\"ip\",\"value\":\"<ip>\"}""#,
                Family::Inet4,
                true,
            ),
            (
                r#"curl -d '{"target":"ip6","value":"<ip>"}'"#,
                Family::Inet6,
                true,
            ),
        ] {
            assert_eq!(
                why(&[("actionban", ban)], family, 32).is_some(),
                refused,
                "{ban}"
            );
        }
        // mails and reports may say what they like
        let mail = [("actionban", "echo /<ip> | mail x"), ("actionunban", "")];
        assert_eq!(why(&mail, Family::Inet4, 24), None);
    }
}
