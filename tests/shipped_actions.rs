//! The shipped actions beside the original's of the same names: no option is missing. Those that call a
//! firewall lead to the same rules in the kernel, and call the firewalls that no kernel here has alike;
//! the others are in `shipped_notices.rs`.
#![allow(clippy::unwrap_used)]

mod common;
mod scenario;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fancy_regex::Regex;
use scenario::{
    Trace, ban, by_original, by_ours, in_own_network, shipped_actions, stock_actions, ticket,
};
use serde_json::{Value as Json, json};

/// Names of the options of an action, with those of the files that it includes.
fn options(directory: &Path, name: &str) -> BTreeSet<String> {
    let file = directory.join(format!("{name}.conf"));
    let text = fs::read_to_string(&file).unwrap_or_else(|_| panic!("no {}", file.display()));
    let (mut section, mut option) = ("", "");
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut value = line;
        if line.starts_with('[') {
            (section, option) = (line, "");
        } else if let Some((name, behind)) = line.split_once('=')
            && !line.starts_with([' ', '\t'])
        {
            (option, value) = (name.trim(), behind);
            if section != "[INCLUDES]" {
                found.insert(option.to_owned());
            }
        }
        if section == "[INCLUDES]" && option == "before" {
            for included in value.split_whitespace() {
                found.extend(options(directory, included.strip_suffix(".conf").unwrap()));
            }
        }
    }
    found
}

/// Whether they call a firewall or something else: no name and no option of the original's is missing.
#[test]
fn every_action_and_every_option_is_there() {
    let original = common::reference("1.1.1").join("etc/fail2ban/action.d");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("action.d");
    let mut compared = 0;
    for entry in fs::read_dir(&original).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".conf") else {
            // the program does what it does
            assert_eq!(file, "smtp.py");
            continue;
        };
        let (expected, own) = (options(&original, name), options(&ours, name));
        let missing: Vec<&String> = expected.difference(&own).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
        compared += 1;
    }
    assert_eq!(compared, 65);
    // of versions before 1.1, whose files may be included by others
    for name in ["iptables-common", "nftables-common"] {
        assert!(!options(&ours, name).is_empty(), "{name}");
    }
}

/// Steps that set up a jail with these actions, by the original's files and by ours.
fn set_up(actions: &[&str]) -> [Vec<Json>; 2] {
    let jail = format!(
        "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\naction = {}\n",
        actions.join("\n         ")
    );
    [stock_actions(&jail, &[]), shipped_actions(&jail)]
}

/// The steps with text in them replaced.
fn replaced(steps: &[Json], what: &[(&str, &str)]) -> Vec<Json> {
    let mut text = Json::from(steps).to_string();
    for (old, new) in what {
        text = text.replace(old, new);
    }
    serde_json::from_str(&text).unwrap()
}

/// Start, bans, a check, unbans, flush, a ban and stop; after each `observe` is recorded.
fn life(observe: &str) -> Vec<Json> {
    let ids = ["192.0.2.1", "2001:db8::1", "198.51.100.7", "2001:db8:1::7"];
    let observed = |mut step: Json| {
        step["observe"] = format!("{observe}\necho end").into();
        step
    };
    let mut steps = vec![observed(json!({"do": "start"}))];
    steps.extend(ids.map(ban));
    let prolong = json!({"do": "prolong", "id": ids[0], "ticket": ticket(ids[0])});
    steps.extend([observed(prolong), json!({"do": "check"})]);
    let unban = |id| json!({"do": "unban", "id": id, "ticket": ticket(id)});
    steps.extend([unban(ids[0]), observed(unban(ids[1]))]);
    let kept = [ids[2], ids[3]].map(ticket);
    steps.push(observed(json!({"do": "flush", "tickets": kept})));
    steps.push(observed(ban(ids[0])));
    steps.push(observed(json!({"do": "stop", "tickets": [ticket(ids[0])]})));
    steps
}

const ERROR: u8 = 40;

/// Has each carry out its steps in a network of its own; nobody may complain.
fn both(original: &[Json], ours: &[Json]) -> [Vec<Trace>; 2] {
    let traces = std::thread::scope(|scope| {
        let original = scope.spawn(|| by_original(original, ERROR, &["unshare", "-n"]));
        let ours = in_own_network(|| by_ours(ours, ERROR));
        [original.join().unwrap(), ours]
    });
    for traces in &traces {
        let log: Vec<&String> = traces.iter().flat_map(|trace| &trace.log).collect();
        assert!(log.is_empty(), "{log:#?}");
    }
    traces
}

/// What was observed, step by step, made comparable by `tidy`.
fn observed(traces: &[Trace], tidy: impl Fn(&str) -> String) -> Vec<String> {
    let shown = traces.iter().filter(|trace| !trace.observed.is_empty());
    shown.map(|trace| tidy(&trace.observed)).collect()
}

/// Has both live their lives in networks of their own; the kernel must hold the same after each
/// step. `ROOT` in actions and commands is a directory of each side's.
fn the_kernel_holds_the_same(
    actions: &[&str],
    before: &str,
    observe: &str,
    tidy: impl Fn(&str) -> String,
) -> Vec<String> {
    let roots = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let root = |side: usize| roots[side].path().display().to_string();
    let [original, ours] = set_up(actions);
    let steps = |side: usize, set_up: &[Json]| {
        let mut steps = set_up.to_vec();
        steps[0]["before"] = before.into();
        steps.extend(life(observe));
        let blacklist = format!("{}/blacklist", root(side));
        let elsewhere = ("/etc/symbiosis/firewall/blacklist.d", blacklist.as_str());
        replaced(&steps, &[elsewhere, ("ROOT", &root(side))])
    };
    let [original, ours] = both(&steps(0, &original), &steps(1, &ours));
    let tidied =
        |side: usize, traces| observed(traces, |text| tidy(&text.replace(&root(side), "")));
    let (expected, found) = (tidied(0, &original), tidied(1, &ours));
    same(&expected, &found);
    found
}

/// All six observations are the same; only lines that are not are shown.
fn same(expected: &[String], found: &[String]) {
    assert_eq!((expected.len(), found.len()), (6, 6));
    for (step, (expected, found)) in expected.iter().zip(found).enumerate() {
        let only = |these: &str, those: &str| {
            let shown = these.lines().filter(|line| !lines(those).contains(line));
            shown.map(str::to_owned).collect::<Vec<_>>()
        };
        let (missing, surplus) = (only(expected, found), only(found, expected));
        assert!(
            expected == found,
            "observation {step}: missing {missing:#?}, instead {surplus:#?}"
        );
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn iptables_ipset_routes_and_files() {
    let observe = "\
        for program in iptables ip6tables; do $program-save | awk -v program=$program \
        '/^[*]/ { table = $1 } /^[:-]/ { sub(/ \\[.*/, \"\"); print program, table, $0 }'; done
        ipset save | sed -E 's/ initval 0x[0-9a-f]+//; s/^(add.*timeout) [1-9][0-9]*/\\1 N/'
        ip route; ip -6 route
        cd /proc/net/xt_recent && grep -o '^src=[^ ]*' *
        cd ROOT; sed 's/^/hosts.deny: /' hosts.deny; grep . blacklist/*";
    // jails start side by side: who comes first in what they share is chance
    let tidy = |text: &str| {
        let mut lines = lines(text);
        lines.sort_by_key(|line| match line.split_once("-A f2b-") {
            Some((table, rule)) => format!("{table}{}", rule.split(' ').next().unwrap()),
            None => (*line).to_owned(),
        });
        lines.join("\n")
    };
    let held = the_kernel_holds_the_same(
        &[
            "iptables[name=one, port=ssh]",
            "iptables[name=lists, port=53, protocol=\"tcp,udp\", chain=\"INPUT,FORWARD\"]",
            "iptables[name=typed, type=multiport, port=\"80,443\"]",
            "iptables[name=drop, blocktype=DROP, blocktype?family=inet6=DROP, returntype=ACCEPT]",
            "iptables[name=pre, pre-rule=\"-m mark --mark 7<sp>\", lockingopt=\"-w 5\"]",
            "iptables-multiport[name=multi, port=\"53,8000:8080\", protocol=udp]",
            "iptables-multiport[name=other, blocktype=\"REJECT --reject-with icmp-admin-prohibited\", blocktype?family=inet6=\"REJECT --reject-with icmp6-adm-prohibited\"]",
            "iptables-allports[name=all, protocol=all]",
            "iptables-allports[name=some, protocol=\"udp,icmp\", chain=FORWARD]",
            "iptables-new[name=new, port=smtp]",
            "iptables-multiport-log[name=twenty-letters-name1, port=\"ssh,80\"]",
            "iptables-ipset[name=set, port=ssh]",
            "iptables-ipset[name=timed, port=ssh, default-ipsettime=600, ipsettime=\"<timeout-bantime>\", maxelem=1000]",
            "iptables-ipset[name=net, port=ssh, ipsettype=hash:net]",
            "iptables-ipset-proto6[name=six, port=\"ssh,80\"]",
            "iptables-ipset-proto6-allports[name=sixall, chain=FORWARD, blocktype=DROP]",
            "iptables-xt_recent-echo[name=recent]",
            "symbiosis-blacklist-allports[name=black]",
            "route[name=route, blocktype=prohibit]",
            "hostsdeny[name=hosts, file=ROOT/hosts.deny, daemon_list=sshd]",
        ],
        "iptables -N blacklist; ip6tables -N blacklist; ip link set lo up
         mkdir ROOT/blacklist; printf 'ALL: 203.0.113.9\\n\\n' > ROOT/hosts.deny",
        observe,
        tidy,
    );
    for part in [
        "iptables *filter -A f2b-one -s 192.0.2.1/32 -j REJECT",
        "ip6tables *filter -A f2b-all -s 2001:db8::1/128 -j REJECT",
        "add f2b-timed 192.0.2.1 timeout N",
        "f2b-recent6:src=2001:",
        "prohibit 192.0.2.1",
        "hosts.deny: sshd: [2001:db8::1]",
        "blacklist/192.0.2.1.auto:all",
    ] {
        assert!(held[1].contains(part), "{part}: {}", held[1]);
    }
    assert!(!held[5].contains("f2b-one"), "{}", held[5]);
}

#[test]
fn nftables_and_routes() {
    let held = the_kernel_holds_the_same(
        &[
            "nftables[name=default]",
            "nftables[name=one, table=one, port=ssh, protocol=udp, blocktype=drop]",
            "nftables[name=lists, table=lists, port=\"80,8000:8080\", protocol=\"tcp,udp\"]",
            "nftables[name=every, table=every, port=53, protocol=all, chain_hook=forward]",
            "nftables[name=own, table=own, type=custom, rule_match-custom=\"meta mark 7\", addr_options=\"<sp>flags interval\\; auto-merge\\;\"]",
            "nftables[name=three, table=three, type=allports, protocol=all]",
            "nftables-multiport[name=multi, table=multi, port=\"80,443\", chain=other, chain_priority=10]",
            "nftables-allports[name=all, table=allports, protocol=\"tcp, udp\", addr_set=own-set-<name>, addr_set?family=inet6=own-set6-<name>]",
            "route",
        ],
        "ip link set lo up",
        "nft list ruleset; ip route; ip -6 route",
        |text| {
            // ours count, which changes nothing else
            let text = text.replace("counter packets 0 bytes 0 ", "");
            let mut tables: Vec<&str> = text.split_inclusive("\n}\n").collect();
            tables.sort_unstable();
            tables.concat()
        },
    );
    for part in [
        "table inet f2b-table {",
        "set addr-set-default {",
        "meta mark 0x00000007 ip saddr @addr-set-own reject",
        "unreachable 192.0.2.1",
    ] {
        assert!(held[1].contains(part), "{part}: {}", held[1]);
    }
    assert!(!held[5].contains("table"), "{}", held[5]);
}

/// Notes its call, with what it is given to read, and answers as the firewall might.
const STAND_IN: &str = r#"#!/bin/sh
given=$(cat)
call=${0##*/}
for word; do call="$call [$word]"; done
echo "$call${given:+ reads $given}" >> "${0%/*}/calls"
case "${0##*/} $*" in
'ipfw show') printf '%s\n' '00111 0 0 allow ip from any to any' '00112 0 0 allow tcp from any to me' ;;
'ipfw table 2 '*) echo "ipfw: record already exists, record not found"; exit 71 ;;
'ipfw table 3 '*) echo "ipfw: no such table"; exit 71 ;;
'ipfw list' | 'ipfw -S list') printf '%s\n' \
    '00100 unreach port tcp from 192.0.2.11 to 127.0.0.1 22' \
    '00200 unreach port tcp from 192.0.2.1 to 127.0.0.1 22' \
    '00300 unreach port tcp from 2001:db8::1 to me 22' \
    '10001 set 10 unreach port log tcp from 192.0.2.1 to me 22' \
    '10002 set 10 unreach port log tcp from 2001:db8::1 to me 22' ;;
'pfctl -a f2b/j -sr') printf '%s\n' 'pass in' 'block quick from <f2b-j>' 'block quick from <bad-j>' ;;
'firewall-cmd --direct --get-chains'*) echo 'f2b-other f2b-j' ;;
'firewall-cmd --get-ipsets') echo 'f2b-other6 f2b-other' ;;
'firewall-cmd --ipset=f2b-other --get-entries') echo 192.0.2.9 ;;
'ufw app info Known') ;;
'ufw app info'*) exit 1 ;;
'ipset -quiet -name list'*) exit 1 ;;
esac
"#;

/// The steps with a folder of stand-ins for each action in front of its `PATH`.
fn stood_in(steps: &[Json], root: &Path) -> Vec<Json> {
    let script = root.join("stand-in");
    fs::write(&script, STAND_IN).unwrap();
    let mut steps = replaced(steps, &[("ROOT", &root.display().to_string())]);
    for step in &mut steps {
        let words = step["words"].as_array_mut().unwrap();
        let folder = root.join(words[3].as_str().unwrap());
        if words[2] == "addaction" {
            fs::create_dir(&folder).unwrap();
            for program in PROGRAMS {
                fs::copy(&script, folder.join(program)).unwrap();
            }
            let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            for program in PROGRAMS {
                fs::set_permissions(folder.join(program), fs::Permissions::clone(&open)).unwrap();
            }
            continue;
        }
        for pair in words[4].as_array_mut().unwrap() {
            let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str());
            let command = name.starts_with("action") && name != "actionstart_on_demand";
            if let Some(value) = value.filter(|value| command && !value.trim().is_empty()) {
                let mut value = value.to_owned();
                for place in ["/sbin/npfctl", "/sbin/ipf", "/usr/libexec/afctl"] {
                    let (_, program) = place.rsplit_once('/').unwrap();
                    value = value.replace(place, program);
                }
                pair[1] = format!("PATH={}:$PATH\n{value}", folder.display()).into();
            }
        }
    }
    steps
}

const PROGRAMS: [&str; 14] = [
    "afctl",
    "apf",
    "conntrack",
    "csf",
    "firewall-cmd",
    "ipf",
    "ipfw",
    "ipset",
    "npfctl",
    "pfctl",
    "shorewall",
    "shorewall6",
    "ss",
    "ufw",
];

#[test]
fn other_firewalls_are_called_alike() {
    let actions = [
        "apf",
        "csf",
        "bsd-ipfw[startstatefile=ROOT/number]",
        "bsd-ipfw[actname=there, startstatefile=ROOT/number2, table=2, port=22, block=tcp, blocktype=deny, lowest_rule_num=200]",
        "dummy[target=ROOT/dummy, init=begin]",
        "firewallcmd-new[port=\"ssh,80\"]",
        "firewallcmd-multiport[port=\"80,443\", protocol=udp, blocktype=DROP]",
        "firewallcmd-allports[chain=FORWARD_direct, rejecttype=tcp-reset]",
        "firewallcmd-ipset",
        "firewallcmd-ipset[actname=firewalld, ipsetbackend=firewalld, actiontype=<allports>, maxelem=9]",
        "firewallcmd-ipset[actname=timed, ipsettime=\"<timeout-bantime>\", default-ipsettime=60, ipsettype=hash:net, port=\"ssh,80\", blocktype=DROP]",
        "firewallcmd-rich-rules[port=\"ssh, 80\"]",
        "firewallcmd-rich-rules[actname=dmz, port=22, protocol=udp, zone=dmz, rich-blocktype=drop]",
        "firewallcmd-rich-logging[port=22, rate=3, level=notice]",
        "ipfilter",
        "ipfilter[actname=reset, blocktype=return-rst]",
        "ipfw",
        "ipfw[actname=wide, port=, localhost=me, blocktype=deny]",
        "npf",
        "npf[actname=table, tablename=other]",
        "osx-afctl",
        "osx-ipfw[rulenum=10007]",
        "osx-ipfw[actname=dst, rulenum=10007, dst=any, port=, block=ip, setnum=7, blocktype=deny]",
        "pf[port=ssh]",
        "pf[actname=open, port=\"ssh,80\", protocol=udp, block=\"block drop in\", tablename=bad]",
        "pf[actname=list, port=\"{22, 80}\", actiontype=<allports>]",
        "pf[actname=own, port=22, multiport=\"any port <port>\", actionstart_on_demand=true]",
        "shorewall",
        "shorewall[actname=drop, blocktype=drop]",
        "shorewall-ipset-proto6",
        "shorewall-ipset-proto6[actname=walled, ipsettype=hash:net, ipsettime=\"<timeout-bantime>\", default-ipsettime=60, maxelem=9]",
        "ufw",
        "ufw[actname=known, application=Known, destination=192.0.2.200, kill-mode=ss]",
        "ufw[actname=unknown, application=Unknown, add=\"insert 1\", blocktype=deny, comment=\"of <ip>\", kill-mode=conntrack]",
    ];
    let [original, ours] = set_up(&actions);
    let observe = "cd ROOT; grep -s . */calls dummy; rm -f */calls";
    let roots = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let steps = |side: usize, set_up: &[Json]| {
        let root = roots[side].path();
        let mut steps = stood_in(set_up, root);
        let life = life(observe);
        steps.extend(replaced(&life, &[("ROOT", &root.display().to_string())]));
        steps
    };
    let [original, ours] = both(&steps(0, &original), &steps(1, &ours));

    // remarks for people are worded differently; ipf is not told to block a /32 of IPv6
    let remark = Regex::new(r"(?m)((?:apf|csf) \[--deny\] \S+|\[comment\]) \[.*\]$").unwrap();
    let tidy = |text: &str| {
        let text = remark.replace_all(text, "$1").replace("[-f-]", "[-f] [-]");
        let text = text.replace("2001:db8::1/32", "2001:db8::1/128");
        text.replace("2001:db8:1::7/32", "2001:db8:1::7/128")
    };
    let (expected, found) = (observed(&original, tidy), observed(&ours, tidy));
    same(&expected, &found);
    let called: BTreeSet<&str> = found
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| Some(line.split_once("/calls:")?.1.split_once(" [")?.0))
        .collect();
    assert_eq!(called, BTreeSet::from(PROGRAMS));
}

#[test]
fn a_table_that_is_not_there_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let [_, ours] = set_up(&["bsd-ipfw[table=3, startstatefile=ROOT/number]"]);
    let mut steps = stood_in(&ours, root.path());
    steps.push(ban("192.0.2.1"));
    let traces = by_ours(&steps, ERROR);
    let log = &traces.last().unwrap().log;
    for part in [
        "ipfw: no such table",
        "returned 71",
        "Failed to execute ban",
    ] {
        assert!(
            log.iter().any(|line| line.contains(part)),
            "{part}: {log:#?}"
        );
    }
}

#[test]
fn firewalld_is_reloaded_only_to_learn_of_a_new_set() {
    let root = tempfile::tempdir().unwrap();
    let jail = "[j]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = /dev/null\n\
         action = firewalld-ipset[port=\"22,8000:8080\"]\n         firewalld-ipset[actname=known, name=other, port=22]\n";
    let mut steps = stood_in(&shipped_actions(jail), root.path());
    let life = ["192.0.2.1", "2001:db8::1"].map(ban);
    steps.extend(life);
    steps.push(json!({"do": "unban", "id": "192.0.2.1", "ticket": ticket("192.0.2.1")}));
    steps.push(json!({"do": "stop", "tickets": [ticket("2001:db8::1")],
        "observe": format!("cat {0}/firewalld-ipset/calls; echo; cat {0}/known/calls", root.path().display())}));
    let traces = by_ours(&steps, ERROR);
    let log: Vec<&String> = traces.iter().flat_map(|trace| &trace.log).collect();
    assert!(log.is_empty(), "{log:#?}");
    let calls = traces.last().unwrap().observed.clone();
    let (new, known) = calls.split_once("\n\n").unwrap();
    let start: Vec<&str> = new
        .lines()
        .take(8)
        .map(|line| line.split(['=', ']']).next().unwrap())
        .collect();
    assert_eq!(
        start,
        [
            "firewall-cmd [--get-ipsets",
            "firewall-cmd [--get-ipsets",
            "firewall-cmd [--ipset",
            "firewall-cmd [--ipset",
            "firewall-cmd [--permanent",
            "firewall-cmd [--reload",
            "firewall-cmd [--ipset",
            "firewall-cmd [--permanent",
        ]
    );
    let count = |text: &str, part: &str| text.matches(part).count();
    // for each family; what another set holds is kept
    assert_eq!(count(new, "[--reload]"), 2);
    assert_eq!(
        count(new, "[--ipset=f2b-other] [--add-entries-from-file="),
        2
    );
    assert_eq!(count(known, "[--reload]"), 0);
    for (text, set, ports) in [(new, "f2b-j", 2), (known, "f2b-other", 1)] {
        for (family, set, id) in [
            ("ipv4", set.to_owned(), "192.0.2.1"),
            ("ipv6", format!("{set}6"), "2001:db8::1"),
        ] {
            let rule = format!("rich-rule=rule family='{family}' source ipset='{set}' port port=");
            assert_eq!(count(text, &format!("[--add-{rule}")), 2 * ports, "{text}");
            assert_eq!(
                count(text, &format!("[--remove-{rule}")),
                2 * ports,
                "{text}"
            );
            let entry = format!("[--ipset={set}] [--add-entry={id}]");
            assert_eq!(count(text, &entry), 1, "{text}");
        }
    }
    assert_eq!(count(new, "port port='8000-8080' protocol='tcp' reject"), 8);
}

#[test]
fn no_shipped_action_names_a_file_in_tmp() {
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.d")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for line in lines.filter(|line| line.contains("/tmp")) {
            // tmpfile = /var/run/fail2ban/tmp-mail.txt
            let elsewhere = line.replace("/var/run/fail2ban/tmp", "");
            assert!(!elsewhere.contains("/tmp"), "{}: {line}", path.display());
        }
        seen += 1;
    }
    assert!(seen > 60, "{seen}");
}
