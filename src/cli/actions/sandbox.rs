//! The drop-in of systemd for a configuration: a shipped unit with the least that it needs. Every line has
//! a comment that says what for, or that nothing needs what it takes away.
//!
//! Where a command is not known, the lists are those of the shipped unit, and what is known to be needed
//! beyond them is added.

use std::path::Path;

use super::needs::{Needs, directory_of, without_link};
use super::unit::UnitSettings;
use crate::action::rights::Right;

/// Lists that begin anew, in the order of the drop-in.
const LISTS: [&str; 3] = [
    "CapabilityBoundingSet",
    "RestrictAddressFamilies",
    "ReadWritePaths",
];

/// Ports below this one take a capability.
const FIRST_FREE_PORT: u16 = 1024;

/// A value, and what for.
type Grant = (String, String);

/// The drop-in; `directory` is that of the configuration.
pub(super) fn drop_in(unit: &UnitSettings, needs: &Needs, directory: &str) -> String {
    let name = unit.name;
    let mut text = format!(
        "# What {name}.service needs for {directory} as it is now, by `ferroban actions --sandbox`: a file for\n\
         # /etc/systemd/system/{name}.service.d/. It holds after `systemctl daemon-reload` and `systemctl\n\
         # restart {name}`. Jails and actions that come later may need more: make it anew with them.\n"
    );
    let known = is_known(needs);
    for (what, who) in needs.unknown() {
        let what = what.replace('\n', " ");
        text.push_str(&format!(
            "# It is not known what {what} needs: {}\n",
            list(who)
        ));
    }
    if !known {
        text.push_str("# So capabilities, addresses and paths are those of the shipped unit, and what is known.\n");
    }
    text.push_str("[Service]\n");
    for (option, grants) in
        LISTS
            .into_iter()
            .zip([capabilities(needs), families(needs), paths(needs)])
    {
        text.push_str(&format!("# only what follows\n{option}=\n"));
        let shipped: Vec<&str> = unit.words(option).filter(|_| !known).collect();
        if !known {
            let words = shipped.join(" ");
            text.push_str(&format!(
                "# as in the shipped unit, for what is not known\n{option}={words}\n"
            ));
        }
        let is_shipped = |word: &str| shipped.iter().any(|place| covers(place, word));
        for (value, why) in grants {
            if !value.split(' ').all(is_shipped) {
                text.push_str(&format!("# {why}\n{option}={value}\n"));
            }
        }
    }
    let chosen = choices(needs);
    for (option, value, why) in &chosen {
        text.push_str(&format!("# {why}\n{option}={value}\n"));
    }
    text.push_str("# nothing here needs what these take away; as in the shipped unit\n");
    let is_chosen = |option: &str| chosen.iter().any(|(other, ..)| *other == option);
    for (option, value) in unit.restrictions() {
        if !LISTS.contains(&option) && !is_chosen(option) {
            text.push_str(&format!("{option}={value}\n"));
        }
    }
    if is_plain(needs) {
        // takes from what the lines above allow
        text.push_str("# no program here becomes another user\nSystemCallFilter=~@privileged\n");
    }
    text.trim_end().to_owned()
}

/// Whether it is known of every command what it needs.
fn is_known(needs: &Needs) -> bool {
    needs.unknown().next().is_none()
}

/// Whether no program needs rights that the server does not have: neither mail programs nor any that is
/// not known.
fn is_plain(needs: &Needs) -> bool {
    is_known(needs) && needs.mailers().next().is_none()
}

/// Whether a word of a list says as much as another: the same, or a directory above it. A `-` in front of
/// a directory is for one that may not be there.
fn covers(word: &str, other: &str) -> bool {
    Path::new(other.trim_start_matches('-')).starts_with(word)
}

fn capabilities(needs: &Needs) -> Vec<Grant> {
    let mut grants = Vec::new();
    let mut add = |value: &str, what: &str, who: &[String]| {
        if !who.is_empty() {
            grants.push((value.to_owned(), format!("{what}: {}", list(who))));
        }
    };
    add("CAP_NET_ADMIN", "the firewall", needs.who(&Right::Firewall));
    add("CAP_NET_RAW", "iptables", needs.who(&Right::Iptables));
    let readers = once(needs.logs.iter().map(|(jail, _)| jail));
    add(
        "CAP_DAC_READ_SEARCH",
        "logs that only their group may read",
        &readers,
    );
    let mut writers = once(
        needs
            .written()
            .chain(needs.mailers())
            .flat_map(|(_, who)| who),
    );
    if needs.own_of_others() {
        writers.push("the server's own".to_owned());
    }
    add(
        "CAP_DAC_OVERRIDE",
        "files that may belong to others",
        &writers,
    );
    for (program, who) in needs.set_id() {
        let all = "CAP_SETUID CAP_SETGID CAP_CHOWN CAP_FOWNER CAP_AUDIT_WRITE";
        add(all, &format!("{program} becomes another user"), who);
    }
    let low = needs
        .ports
        .iter()
        .filter(|(_, port)| *port < FIRST_FREE_PORT);
    let low = once(low.map(|(jail, _)| jail));
    add(
        "CAP_NET_BIND_SERVICE",
        &format!("a port below {FIRST_FREE_PORT}"),
        &low,
    );
    if needs.gives_up && !is_plain(needs) {
        let who = ["sandbox = auto".to_owned()];
        add("CAP_SYS_ADMIN CAP_SETPCAP", "to give up the rest", &who);
    }
    grants
}

/// Who talks to other hosts, with the reason.
fn talkers(needs: &Needs) -> Vec<String> {
    let listeners = once(needs.ports.iter().map(|(jail, _)| jail));
    let mailers = once(needs.mailers().flat_map(|(_, who)| who));
    let reasons = [
        (
            "names that are looked up (usedns, ignoreself, ignoreip)",
            needs.names.as_slice(),
        ),
        ("other hosts", needs.who(&Right::Network)),
        ("mail", &mailers),
        ("syslog", &listeners),
    ];
    let reasons = reasons.into_iter().filter(|(_, who)| !who.is_empty());
    reasons
        .map(|(what, who)| format!("{what}: {}", list(who)))
        .collect()
}

fn families(needs: &Needs) -> Vec<Grant> {
    let mut grants = vec![
        (
            "AF_UNIX".to_owned(),
            "the control socket, journal and syslog".to_owned(),
        ),
        (
            "AF_NETLINK".to_owned(),
            "the firewall, and the addresses of this machine".to_owned(),
        ),
    ];
    let mut reasons = talkers(needs);
    let iptables = needs.who(&Right::Iptables);
    if !iptables.is_empty() {
        reasons.push(format!(
            "sockets by which iptables asks the kernel: {}",
            list(iptables)
        ));
    }
    if !reasons.is_empty() {
        grants.push(("AF_INET AF_INET6".to_owned(), reasons.join("; ")));
    }
    grants
}

fn paths(needs: &Needs) -> Vec<Grant> {
    let mut places: Vec<Grant> = Vec::new();
    for (what, file) in &needs.own {
        let place = directory_of(file).to_string_lossy().into_owned();
        places.push((place, (*what).to_owned()));
    }
    for (file, who) in needs.written() {
        let file = Path::new(file);
        let place = without_link(file.parent().unwrap_or(file));
        // one that is not there keeps no server from starting
        let mark = if place.is_dir() { "" } else { "-" };
        places.push((format!("{mark}{}", place.display()), list(who)));
    }
    let iptables = needs.who(&Right::Iptables);
    if !iptables.is_empty() {
        places.push((
            "/run".to_owned(),
            format!("the lock file of iptables: {}", list(iptables)),
        ));
    }
    for (program, who) in needs.mailers() {
        let why = format!("the mail that {program} takes: {}", list(who));
        places.extend(["/run", "/var"].map(|place| (place.to_owned(), why.clone())));
    }
    places.sort();
    // what lies in another, which is the one before, is left out
    let mut grants: Vec<Grant> = Vec::new();
    for (place, why) in places {
        match grants.last_mut() {
            Some((last, reasons)) if *last == place => reasons.push_str(&format!("; {why}")),
            Some((last, _)) if covers(last, &place) => {}
            _ => grants.push((place, why)),
        }
    }
    grants
}

/// Options with one value that the configuration decides, where it asks for another than the shipped one.
fn choices(needs: &Needs) -> Vec<(&'static str, &'static str, String)> {
    let mut choices = Vec::new();
    if is_known(needs) {
        let why = "no program here looks for processes of others";
        choices.push(("ProtectProc", "invisible", why.to_owned()));
    }
    if is_plain(needs) {
        let why = "no program here becomes another user";
        choices.push(("NoNewPrivileges", "yes", why.to_owned()));
        if files_in(needs, &["/home", "/root", "/run/user"]).is_empty() {
            let why = "no file of a jail, an action or the server lies in a home";
            choices.push(("ProtectHome", "yes", why.to_owned()));
        }
    }
    let temporary = files_in(needs, &["/tmp", "/var/tmp"]);
    if !temporary.is_empty() {
        let why = format!("files in /tmp or /var/tmp: {}", list(&temporary));
        choices.push(("PrivateTmp", "no", why));
    }
    if is_known(needs) && talkers(needs).is_empty() {
        let why = "nothing here talks to other hosts";
        choices.push(("IPAddressDeny", "any", why.to_owned()));
    }
    choices
}

/// Who has files in these places.
fn files_in(needs: &Needs, places: &[&str]) -> Vec<String> {
    let inside = |path: &Path| places.iter().any(|place| path.starts_with(place));
    let logs = needs.logs.iter().filter(|(_, path)| inside(path));
    let mut who = once(logs.map(|(jail, _)| jail));
    let own = needs.own.iter().filter(|(_, path)| inside(path));
    who.extend(own.map(|(what, _)| (*what).to_owned()));
    let written = needs.written().filter(|(path, _)| inside(Path::new(path)));
    who.extend(written.flat_map(|(_, who)| who.to_owned()));
    who
}

/// Names, the first few of many.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let (shown, others) = names.split_at(names.len().min(SHOWN));
    let shown = shown.join(", ");
    match others.len() {
        0 => shown,
        count => format!("{shown} and {count} more"),
    }
}

/// Each name once, in the order given.
fn once<'n>(names: impl IntoIterator<Item = &'n String>) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for name in names {
        if !known.contains(name) {
            known.push(name.clone());
        }
    }
    known
}
