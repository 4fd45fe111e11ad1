//! The units that are shipped, as far as they restrict what the server may do.

/// What both units have.
const COMMON: &str = include_str!("../../../packaging/sandbox.conf");

/// What each one has besides, by its name.
const UNITS: [(&str, &str); 2] = [
    (
        "ferroban",
        include_str!("../../../packaging/ferroban/ferroban.service"),
    ),
    (
        "fail2ban",
        include_str!("../../../packaging/ferroban-dropin/dropin.conf"),
    ),
];

/// The names of the units.
pub(super) const NAMES: [&str; 2] = [UNITS[0].0, UNITS[1].0];

/// Of a unit's own lines those that restrict.
const RESTRICTIONS: [&str; 2] = ["CapabilityBoundingSet", "ProtectProc"];

/// A shipped unit.
pub(super) struct UnitSettings {
    /// Its name, without `.service`.
    pub name: &'static str,
    own: &'static str,
}

impl UnitSettings {
    /// The unit of this name, which is one of [`NAMES`].
    pub fn named(name: &str) -> Option<UnitSettings> {
        let found = UNITS.iter().find(|(known, _)| *known == name);
        found.map(|(name, own)| UnitSettings { name, own })
    }

    /// Its restrictions in the order of the files: option and value.
    pub fn restrictions(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own = settings(self.own).filter(|(option, _)| RESTRICTIONS.contains(option));
        own.chain(settings(COMMON))
    }

    /// The words of an option that is a list, such as `CapabilityBoundingSet`.
    pub fn words(&self, option: &str) -> impl Iterator<Item = &'static str> {
        let values = self
            .restrictions()
            .filter(move |(other, _)| *other == option);
        values.flat_map(|(_, value)| value.split_whitespace())
    }
}

/// The settings of a unit file.
fn settings(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']));
    lines.filter_map(|line| line.split_once('='))
}
