//! The options of jails and of their filters (facts C28, J1–J25).
#![forbid(unsafe_code)]

use super::{Literal, OptionRow, Sent, ValueKind};

/// What is read of every jail, enabled or not.
pub const FIRST: [OptionRow; 3] = [
    OptionRow::flag("enabled")
        .default(Literal::Flag(false))
        .sent(Sent::Never),
    OptionRow::text("backend")
        .default(Literal::Text("auto"))
        .sent(Sent::Never),
    OptionRow::text("filter")
        .default(Literal::Text(""))
        .sent(Sent::Never),
];

/// A jail that only says what it would do.
pub const SIMULATE: &str = "simulate";

/// Options of a jail alone, in the order they are read and sent.
pub const JAIL: &[OptionRow] = &[
    FIRST[0],
    FIRST[1],
    OptionRow::integer("maxretry")
        .set("<RETRY>", "set how many failures lead to a ban")
        .get("how many failures lead to a ban"),
    OptionRow::integer("maxmatches")
        .set("<INT>", "set how many log lines are remembered of each IP")
        .get("how many log lines are remembered of each IP"),
    OptionRow::flag("unbanwhenquiet").set(
        "true|false",
        "lift bans only when their IPs have stopped trying",
    ),
    OptionRow::flag(SIMULATE),
    OptionRow::text("fleet").beyond().set(
        "<MODE>",
        "send bans to other hosts (send), apply theirs (receive), both, or neither (off)",
    ),
    OptionRow::integer("fleet.minhosts").beyond().set(
        "<INT>",
        "set how many other hosts must ban an IP before this one does",
    ),
    OptionRow::text("crowdsec").beyond().set(
        "<MODE>",
        "send bans to CrowdSec (send), apply its bans (receive), both, or neither (off)",
    ),
    OptionRow::integer("banprefix4").set(
        "<LENGTH>",
        "ban IPv4 networks of this prefix length instead of addresses",
    ),
    OptionRow::integer("banprefix6").set(
        "<LENGTH>",
        "ban IPv6 networks of this prefix length instead of addresses",
    ),
    OptionRow::text("findtime")
        .set("<TIME>", "set the time within which failures add up")
        .get("the time within which failures add up"),
    OptionRow::text("bantime")
        .set("<TIME>", "set how long a ban lasts")
        .get("how long a ban lasts"),
    OptionRow::flag("bantime.increment"),
    OptionRow::text("bantime.factor"),
    OptionRow::text("bantime.formula"),
    OptionRow::text("bantime.multipliers"),
    OptionRow::text("bantime.maxtime"),
    OptionRow::text("bantime.rndtime"),
    OptionRow::flag("bantime.overalljails"),
    OptionRow::text("ignorecommand")
        .set("<VALUE>", "set the command that decides who is ignored")
        .get("the command that decides who is ignored"),
    OptionRow::flag("ignoreself")
        .set("true|false", "ignore this machine's own addresses, or not")
        .get("whether this machine's own addresses are ignored"),
    OptionRow::text("ignoreip")
        .sent(Sent::Words)
        .add("<IP>", "add <IP> to the ignore list")
        .del("<IP>", "remove <IP> from the ignore list")
        .get("the ignore list"),
    OptionRow::text("ignorecache")
        .set("<VALUE>", "set how answers of ignorecommand are remembered"),
    FIRST[2],
    OptionRow::text("logtimezone"),
    OptionRow::text("logencoding")
        .set("<ENCODING>", "set the encoding of the log files")
        .get("the encoding of the log files"),
    OptionRow::text("logpath")
        .sent(Sent::Files)
        .add(
            "<FILE> ['tail']",
            "read <FILE> too, from its 'tail' or its head (default)",
        )
        .del("<FILE>", "stop reading <FILE>")
        .get("the files being read"),
    OptionRow::flag("skip_if_nologs")
        .default(Literal::Flag(false))
        .sent(Sent::Never),
    OptionRow::flag("systemd_if_nologs")
        .default(Literal::Flag(true))
        .sent(Sent::Never),
    OptionRow::text("action")
        .default(Literal::Text(""))
        .sent(Sent::Never),
];

/// Options of a filter, in the order they are read; a jail may set them, too.
pub const FILTER: &[OptionRow] = &[
    OptionRow::text("usedns")
        .sent(Sent::First)
        .set("<VALUE>", "set what happens with host names")
        .get("what happens with host names"),
    OptionRow::text("prefregex").sent(Sent::Early),
    OptionRow::text("ignoreregex")
        .sent(Sent::Lines)
        .add("<REGEX>", "ignore lines that match <REGEX>")
        .del("<INDEX>", "remove an ignoreregex by its number")
        .get("the ignoreregexes, numbered"),
    OptionRow::text("failregex")
        .sent(Sent::Lines)
        .add("<REGEX>", "count lines that match <REGEX> as failures")
        .del("<INDEX>", "remove a failregex by its number")
        .get("the failregexes, numbered"),
    OptionRow::integer("maxlines")
        .sent(Sent::Early)
        .set("<LINES>", "set how many lines a failregex may span")
        .get("how many lines a failregex may span"),
    OptionRow::text("datepattern")
        .set("<PATTERN>", "set the form of dates in the logs")
        .get("the form of dates in the logs"),
    OptionRow::text("journalmatch")
        .sent(Sent::Matches)
        .add("<MATCH>", "read journal entries with <MATCH> too")
        .del("<MATCH>", "stop reading journal entries with <MATCH>")
        .get("which journal entries are read"),
    OptionRow::text("jsonmatch").beyond(),
];

/// All of them, in the order they are read.
pub fn all() -> impl Iterator<Item = &'static OptionRow> {
    JAIL.iter().chain(FILTER)
}

/// Names of all of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|row| row.name)
}

/// The kind of an option that `set JAIL NAME VALUE` sets. Any name that begins with `bantime.` is one
/// (fact P43).
pub fn settable(name: &str) -> Option<ValueKind> {
    match all().find(|row| row.name == name) {
        Some(row) => row.has_value().then_some(row.kind),
        None => name.starts_with("bantime.").then_some(ValueKind::Text),
    }
}

/// Whether `get JAIL NAME` answers an option.
pub fn has_answer(name: &str) -> bool {
    let row = all().find(|row| row.name == name);
    row.map_or(name.starts_with("bantime."), |row| row.sent != Sent::Never)
}
