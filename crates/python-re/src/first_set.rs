//! FIRST sets: the bytes that a program can go on with at a place, and what two branches have in common.

use super::charset::CharSet;
use super::class::CharClass;

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes([u64; 4]);

impl Bytes {
    pub(crate) const NONE: Bytes = Bytes([0; 4]);
    pub(crate) const ALL: Bytes = Bytes([!0; 4]);

    /// Whether the byte is a member.
    #[inline]
    pub fn has(&self, byte: u8) -> bool {
        (self.0[usize::from(byte >> 6)] >> (byte & 63)) & 1 != 0
    }

    /// The members of both sets together.
    pub(crate) fn or(self, more: Bytes) -> Bytes {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, more.0);
        Bytes([a | e, b | f, c | g, d | h])
    }

    /// Whether some byte is a member of both.
    pub(crate) fn meets(self, other: Bytes) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }

    /// This byte alone.
    pub(crate) fn of_byte(byte: u8) -> Bytes {
        let mut bytes = Bytes::NONE;
        bytes.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        bytes
    }

    /// First bytes of the members of `set`; beyond ASCII, to be quick, of all characters if there
    /// is any.
    pub(crate) fn of_set(set: &CharSet) -> Bytes {
        let [low, high] = set.ascii();
        let beyond = if set.reaches_beyond_ascii() { !0 } else { 0 };
        Bytes([low, high, beyond, beyond])
    }

    /// First bytes of the members of `class`, likewise.
    pub(crate) fn of_class(class: &CharClass) -> Bytes {
        let ascii = class.ascii();
        let beyond = if class.reaches_beyond_ascii() { !0 } else { 0 };
        Bytes([ascii as u64, (ascii >> 64) as u64, beyond, beyond])
    }

    /// The one member, if there is one.
    pub(crate) fn single(&self) -> Option<u8> {
        let mut members = (0..=255u8).filter(|b| self.has(*b));
        match (members.next(), members.next()) {
            (Some(byte), None) => Some(byte),
            _ => None,
        }
    }
}

/// How a text can go on for a way to have a chance: necessary, not sufficient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstSet {
    /// With one of these bytes.
    pub(crate) bytes: Bytes,
    /// By ending.
    pub(crate) end: bool,
}

impl FirstSet {
    pub(crate) const NOTHING: FirstSet = FirstSet {
        bytes: Bytes::NONE,
        end: false,
    };
    pub(crate) const ANYTHING: FirstSet = FirstSet {
        bytes: Bytes::ALL,
        end: true,
    };

    /// What one of the two allows.
    pub(crate) fn or(self, other: FirstSet) -> FirstSet {
        FirstSet {
            bytes: self.bytes.or(other.bytes),
            end: self.end || other.end,
        }
    }

    /// Whether the text may go on with `byte`, or end.
    #[inline]
    pub(crate) fn allows(&self, byte: Option<u8>) -> bool {
        match byte {
            Some(byte) => self.bytes.has(byte),
            None => self.end,
        }
    }
}

/// For two ways: which of them have a chance, two bits for every byte.
#[derive(Debug)]
pub(crate) struct BranchTable {
    bits: [u64; 8],
    end: u8,
}

impl BranchTable {
    /// Bit of the first way.
    pub(crate) const FIRST: u8 = 1;
    /// Bit of the second way.
    pub(crate) const SECOND: u8 = 2;

    /// Of two ways that need these to have a chance.
    pub(crate) fn of(first: &FirstSet, second: &FirstSet) -> BranchTable {
        let chances = |byte: Option<u8>| {
            u8::from(first.allows(byte)) * BranchTable::FIRST
                + u8::from(second.allows(byte)) * BranchTable::SECOND
        };
        let mut bits = [0; 8];
        for byte in 0..=255u8 {
            bits[usize::from(byte >> 5)] |= u64::from(chances(Some(byte))) << ((byte & 31) * 2);
        }
        BranchTable {
            bits,
            end: chances(None),
        }
    }

    /// The ways that have a chance where the text goes on with `byte`, or ends.
    #[inline]
    pub(crate) fn at(&self, byte: Option<&u8>) -> u8 {
        match byte {
            Some(byte) => ((self.bits[usize::from(byte >> 5)] >> ((byte & 31) * 2)) & 3) as u8,
            None => self.end,
        }
    }
}
