//! The words of fail2ban and of this program: options, commands, tags. What the tables of the program
//! hold is read from them.

use std::collections::BTreeSet;

use ferroban::parts::action::info;
use ferroban::parts::cli::usage;
use ferroban::parts::options::{OptionRow, action, jail, server};
use ferroban::parts::pattern::short_tags;

/// Tags that captures of a filter have a meaning by; `NAME` stands for any name.
pub const CAPTURES: [&str; 9] = [
    "F-CONTENT",
    "F-MLFID",
    "F-NOFAIL",
    "F-MLFFORGET",
    "F-MLFGAINED",
    "F-NAME",
    "F-ALT_NAME",
    "F-TUPLE_NAME",
    "SKIPLINES",
];

/// Tags of commands that no ticket is needed for.
pub const WITHOUT_TICKET: [&str; 4] = ["br", "sp", "fq-hostname", "sh-hostname"];

/// What jail.conf(5) of the original calls options and no table holds: names in `[INCLUDES]`, and
/// variables of the shipped `jail.conf`.
const BESIDE_THE_TABLES: [&str; 4] = ["before", "after", "banaction", "banaction_allports"];

/// Tags in commands of actions.
pub fn action_tags() -> impl Iterator<Item = &'static str> {
    let of_tickets = info::TAGS.into_iter().chain(info::BEYOND);
    of_tickets.chain(WITHOUT_TICKET)
}

/// Tags in regexes of filters.
pub fn filter_tags() -> impl Iterator<Item = &'static str> {
    short_tags().chain(CAPTURES)
}

/// Options of jails, filters, `fail2ban.conf` and actions.
pub fn options() -> BTreeSet<&'static str> {
    let of_server = server::of_all_sections();
    let rows = jail::all().chain(of_server).chain(action::all());
    let names = rows.map(|row: &OptionRow| row.name);
    names.chain(BESIDE_THE_TABLES).collect()
}

/// The words that commands of the client are told apart by.
pub fn commands() -> BTreeSet<String> {
    let values = ["set", "get", "on", "off", "true", "false", "auto"];
    let forms = usage::forms();
    let words = forms.iter().flat_map(|form| usage::names(form));
    let words = words.filter(|word| !word.starts_with('-') && !values.contains(word));
    words.map(str::to_owned).collect()
}
