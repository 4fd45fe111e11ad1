//! The properties of actions that this program knows (facts A1–A15). An action may have any others, for the
//! tags in its commands.
#![forbid(unsafe_code)]

use super::{OptionRow, ValueKind};

/// Options of `action.d` that are commands or flags, in the order they are read.
pub const DEFINITION: &[OptionRow] = &[
    OptionRow::text("actionstart")
        .set("<CMD>", "set what runs before the first ban")
        .get("what runs before the first ban"),
    OptionRow::flag("actionstart_on_demand"),
    OptionRow::text("actionstop")
        .set("<CMD>", "set what runs when the jail stops")
        .get("what runs when the jail stops"),
    OptionRow::text("actionflush"),
    OptionRow::text("actionreload"),
    OptionRow::text("actioncheck")
        .set("<CMD>", "set what checks that all is in place")
        .get("what checks that all is in place"),
    OptionRow::text("actionrepair"),
    OptionRow::flag("actionrepair_on_unban"),
    OptionRow::text("actionban")
        .set("<CMD>", "set what bans")
        .get("what bans"),
    OptionRow::text("actionprolong"),
    OptionRow::text("actionreban"),
    OptionRow::text("actionunban")
        .set("<CMD>", "set what lifts a ban")
        .get("what lifts a ban"),
    OptionRow::text("actionquiet").beyond(),
    OptionRow::flag("norestored"),
    OptionRow::flag("noremote").beyond(),
];

/// Properties that the server reads by itself, whether a file names them or not.
pub const OF_SERVER: &[OptionRow] = &[
    OptionRow::text("timeout")
        .set("<TIMEOUT>", "set how many seconds a command may take")
        .get("how many seconds a command may take"),
    OptionRow::text("name"),
    OptionRow::text("actname"),
    OptionRow::text("bantime"),
    OptionRow::text("families"),
];

/// Commands that an action has only where it sets them; their tags stay otherwise.
const NOT_EMPTY: [&str; 2] = ["actionprolong", "actionquiet"];

/// The commands every action has, empty unless set.
pub fn commands() -> impl Iterator<Item = &'static str> {
    let commands = DEFINITION.iter().filter(|row| row.kind == ValueKind::Text);
    let names = commands.map(|row| row.name);
    names.filter(|name| !NOT_EMPTY.contains(name))
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static OptionRow> {
    DEFINITION.iter().chain(OF_SERVER)
}
