//! Ids of entries (ULID): time and random bits in 26 letters, each greater than the last of the same origin
//! (<https://github.com/ulid/spec>).
#![forbid(unsafe_code)]

use super::Millis;

/// Letters of an id.
pub const LENGTH: usize = 26;

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Makes ids.
#[derive(Debug, Default)]
pub struct Ulids {
    last: u128,
}

impl Ulids {
    /// The next id at this time.
    pub fn next(&mut self, now: Millis) -> String {
        let time = u128::from(now.0.unsigned_abs()) & ((1 << 48) - 1);
        let chance = u128::from(fastrand::u64(..)) << 16 | u128::from(fastrand::u16(..));
        self.last = (self.last + 1).max(time << 80 | chance);
        let letter = |at: usize| {
            let digit = (self.last >> (5 * (LENGTH - 1 - at))) & 31;
            char::from(LETTERS[digit as usize])
        };
        (0..LENGTH).map(letter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow() {
        let mut ulids = Ulids::default();
        let times = [5, 5, 5, 9, 2, 2_000_000_000_000];
        let ids: Vec<String> = times.iter().map(|time| ulids.next(Millis(*time))).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == LENGTH));
        assert!(ids[5].starts_with("01T"), "{ids:?}");
    }
}
