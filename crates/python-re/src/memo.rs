//! A memo of dead ends: pairs of program place and text position from which a search is known to fail.
//!
//! If the outcome depends on nothing but that pair (no back-references, no counters), what failed once
//! always fails. The memo bounds a search by the length of the program times that of the text.

use super::instructions::{Instruction, Pc};

/// Most places remembered: 16 MiB.
const MAX_PLACES: usize = 128 << 20;

/// One bit per instruction and position.
#[derive(Debug)]
pub(crate) struct Memo {
    bits: Vec<u64>,
    positions: usize,
}

impl Memo {
    /// Nothing tried yet. `None` if the program's history matters, or for too much memory.
    pub(crate) fn new(program: &[Instruction], text: &str) -> Option<Memo> {
        let history = program.iter().any(|instruction| {
            matches!(
                instruction,
                Instruction::Backref { .. }
                    | Instruction::IfGroup { .. }
                    | Instruction::LoopStart { .. }
            )
        });
        let positions = text.len() + 1;
        let places = program.len().checked_mul(positions)?;
        (!history && places <= MAX_PLACES).then(|| Memo {
            bits: vec![0; places.div_ceil(64)],
            positions,
        })
    }

    /// Notes a place; false if it was noted before.
    pub(crate) fn note(&mut self, pc: Pc, at: usize) -> bool {
        let place = pc as usize * self.positions + at;
        let bit = 1 << (place & 63);
        // Every instruction has a bit for every position.
        let Some(word) = self.bits.get_mut(place >> 6) else {
            return true;
        };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}
