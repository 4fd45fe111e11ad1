//! The options of the server itself: those of `fail2ban.conf` (facts G1–G12, P25–P30).
#![forbid(unsafe_code)]

use super::{Literal, OptionRow, Sent};

/// What a client needs before it can talk to a server, in the order it is read.
pub const EARLY: &[OptionRow] = &[
    OptionRow::text("socket")
        .default(Literal::Text("/var/run/fail2ban/fail2ban.sock"))
        .sent(Sent::Never),
    OptionRow::text("pidfile")
        .default(Literal::Text("/var/run/fail2ban/fail2ban.pid"))
        .sent(Sent::Never),
    OptionRow::text("loglevel")
        .default(Literal::Text("INFO"))
        .set("<LEVEL>", "set how much is logged: CRITICAL, ERROR, WARNING, NOTICE, INFO, DEBUG, TRACEDEBUG, HEAVYDEBUG or a number from 50 to 5")
        .get("how much is logged"),
    OptionRow::text("logtarget")
        .default(Literal::Text("/var/log/fail2ban.log"))
        .set("<TARGET>", "set where the log goes: STDOUT, STDERR, SYSLOG, SYSTEMD-JOURNAL or a file")
        .get("where the log goes"),
    OptionRow::text("syslogsocket")
        .default(Literal::Text("auto"))
        .set("auto|<SOCKET>", "set the socket for the log target SYSLOG")
        .get("the socket for the log target SYSLOG"),
    LOGFORMAT,
];

/// What a line of the log looks like. The server needs it for its first line.
pub const LOGFORMAT: OptionRow = OptionRow::text("logformat")
    .beyond()
    .set(
        "text|json",
        "set what a line of the log looks like: fail2ban's text, or a JSON object",
    )
    .get("what a line of the log looks like");

/// The file bans are kept in.
pub const DBFILE: OptionRow = OptionRow::text("dbfile")
    .default(Literal::Text("/var/lib/fail2ban/fail2ban.sqlite3"))
    .set(
        "<FILE>",
        "set the file bans are kept in; \"None\" keeps none",
    )
    .get("the file bans are kept in");

/// What the server gives up at its start.
pub const SANDBOX: OptionRow = OptionRow::text("sandbox").beyond().sent(Sent::Never);

/// What the server alone needs, in the order it is read.
pub const LATER: &[OptionRow] = &[
    OptionRow::text("allowipv6").default(Literal::Text("auto")),
    DBFILE,
    OptionRow::integer("dbmaxmatches")
        .set("<INT>", "set how many log lines are kept with a ban")
        .get("how many log lines are kept with a ban"),
    OptionRow::text("dbpurgeage")
        .default(Literal::Text("1d"))
        .set("<SECONDS>", "set for how many <SECONDS> old bans are kept")
        .get("for how many seconds old bans are kept"),
    OptionRow::text("memory")
        .beyond()
        .set(
            "<SIZE>",
            "set how much memory the matched log lines of all jails may take, such as 64m",
        )
        .get("how many bytes of memory the matched log lines may take"),
    SANDBOX,
];

/// Options of `[metrics]`, which `ferroban web` goes by and the server does not.
pub const METRICS: &[OptionRow] = &[
    OptionRow::text("listen").sent(Sent::Never),
    OptionRow::text("textfile").sent(Sent::Never),
    OptionRow::text("names").sent(Sent::Never),
    OptionRow::flag("addresses").sent(Sent::Never),
];

/// Options of `[web]`: the page and the API of `ferroban web`.
pub const WEB: &[OptionRow] = &[
    OptionRow::text("listen").sent(Sent::Never),
    OptionRow::text("base").sent(Sent::Never),
    OptionRow::text("hosts").sent(Sent::Never),
    OptionRow::text("users").sent(Sent::Never),
    OptionRow::text("certfile").sent(Sent::Never),
    OptionRow::text("keyfile").sent(Sent::Never),
    OptionRow::text("cafile").sent(Sent::Never),
    OptionRow::flag("forwarded").sent(Sent::Never),
    OptionRow::text("logfile").sent(Sent::Never),
];

/// Options of `[web]` that the server goes by, too; all together they are its option `web`.
pub const WEB_SOCKET: &[OptionRow] = &[
    OptionRow::text("socket").beyond(),
    OptionRow::text("group").beyond(),
    OptionRow::flag("write").beyond(),
];

/// The command for these.
pub const WEB_COMMAND: &str = "web";

/// Options of `[Thread]`; all together they are the option `thread` of the server.
pub const THREAD: &[OptionRow] = &[OptionRow::integer("stacksize")];

/// The command for the options of `[Thread]`.
pub const THREAD_COMMAND: &str = "thread";

/// Options of `[fleet]`; all together they are the option `fleet` of the server. None has a default here:
/// without the section nothing tells of it.
pub const FLEET: &[OptionRow] = &[
    OptionRow::text("url").beyond(),
    OptionRow::text("name").beyond(),
    OptionRow::text("host").beyond(),
    OptionRow::text("passwordfile").beyond(),
    OptionRow::text("sentinelpasswordfile").beyond(),
    OptionRow::text("cafile").beyond(),
    OptionRow::text("certfile").beyond(),
    OptionRow::text("keyfile").beyond(),
    OptionRow::text("maxtime").beyond(),
    OptionRow::text("minprefix4").beyond(),
    OptionRow::text("minprefix6").beyond(),
    OptionRow::text("maxrate").beyond(),
    OptionRow::text("maxburst").beyond(),
    OptionRow::text("maxbans").beyond(),
    OptionRow::text("signkey").beyond(),
    OptionRow::text("trustedkeys").beyond(),
];

/// The command for the options of `[fleet]`.
pub const FLEET_COMMAND: &str = "fleet";

/// Options of `[crowdsec]`, as those of `[fleet]`.
pub const CROWDSEC: &[OptionRow] = &[
    OptionRow::text("url").beyond(),
    OptionRow::text("machine").beyond(),
    OptionRow::text("password").beyond(),
    OptionRow::text("passwordfile").beyond(),
    OptionRow::text("bouncerkey").beyond(),
    OptionRow::text("bouncerkeyfile").beyond(),
    OptionRow::text("cafile").beyond(),
    OptionRow::text("certfile").beyond(),
    OptionRow::text("keyfile").beyond(),
    OptionRow::text("interval").beyond(),
    OptionRow::text("origins").beyond(),
    OptionRow::text("scenarios").beyond(),
    OptionRow::text("minprefix4").beyond(),
    OptionRow::text("minprefix6").beyond(),
    OptionRow::text("maxbans").beyond(),
];

/// The command for the options of `[crowdsec]`.
pub const CROWDSEC_COMMAND: &str = "crowdsec";

/// The commands for sections that fail2ban does not have.
const SECTION_COMMANDS: [&str; 3] = [FLEET_COMMAND, CROWDSEC_COMMAND, WEB_COMMAND];

/// All options of `[Definition]`, in the order they are read.
pub fn all() -> impl Iterator<Item = &'static OptionRow> {
    EARLY.iter().chain(LATER)
}

/// Those of all sections of `fail2ban.conf`.
pub fn of_all_sections() -> impl Iterator<Item = &'static OptionRow> {
    all()
        .chain(THREAD)
        .chain(METRICS)
        .chain(WEB)
        .chain(WEB_SOCKET)
        .chain(FLEET)
        .chain(CROWDSEC)
}

/// The name of an option that `set NAME VALUE` sets. A jail may be called like one the original does
/// not know: `alone` says that no more words follow.
pub fn settable(name: &str, alone: bool) -> Option<&'static str> {
    let told = |row: &&OptionRow| row.sent != Sent::Never && (alone || !row.beyond);
    let names = all().filter(told).map(|row| row.name);
    let parts = SECTION_COMMANDS.iter().copied();
    let names = names.chain(parts.filter(|_| alone));
    names.chain([THREAD_COMMAND]).find(|known| *known == name)
}

/// As [`settable`], of an option that `get NAME` answers.
pub fn answered(name: &str, alone: bool) -> Option<&'static str> {
    let row = all().find(|row| row.name == name);
    // these may hold a password
    let told = settable(name, alone).filter(|name| !SECTION_COMMANDS.contains(name));
    told.filter(|_| row.is_none_or(|row| row.get.is_some()))
}
