//! Any names and values as an entry of a stream.

use ferroban::parts::fleet::entry::{FleetEntry, reason};

pub fn run(data: &[u8]) {
    let parts: Vec<&[u8]> = super::parts(data).collect();
    let pairs = parts.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let Ok(entry) = FleetEntry::read(pairs) else {
        return;
    };
    // what is written is read as the same again
    let fields = entry.fields();
    let fields = fields
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    assert_eq!(FleetEntry::read(fields), Ok(entry.clone()));
    assert!(!entry.signed("f", "h").is_empty());
    assert_eq!(reason(&entry.reason), reason(&reason(&entry.reason)));
}
