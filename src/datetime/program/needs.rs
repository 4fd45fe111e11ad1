//! Computes what a line must contain for a [`Program`] to match, from its steps.
#![forbid(unsafe_code)]

use super::clues::{ClockNeed, RequiredBytes, mark};
use super::{Program, ProgramStep, Text, UNSET};

impl Program {
    pub(in crate::datetime) fn first_bytes(&self) -> [bool; 256] {
        let mut first = [false; 256];
        let mut pending = vec![0];
        let mut seen = vec![false; self.steps.len()];
        let all = [true; 256];
        while let Some(at) = pending.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            match self.steps[at] {
                ProgramStep::Byte(byte) => first[byte as usize] = true,
                ProgramStep::Letter(byte) => {
                    first[byte as usize] = true;
                    first[byte.to_ascii_uppercase() as usize] = true;
                }
                ProgramStep::One(set) => mark(&mut first, set),
                ProgramStep::Repeat { set, min, .. } => {
                    mark(&mut first, set);
                    if min == 0 {
                        pending.push(at + 1);
                    }
                }
                ProgramStep::Text { text, .. } => {
                    (0..=127u8)
                        .filter(|&byte| text.may_begin(byte))
                        .for_each(|byte| first[byte as usize] = true);
                }
                ProgramStep::Split { first, second, .. } => pending.extend([first, second]),
                ProgramStep::Jump(to) => pending.push(to),
                ProgramStep::Open(_)
                | ProgramStep::Close(_)
                | ProgramStep::WordStart
                | ProgramStep::EpochPlace => {
                    pending.push(at + 1);
                }
                ProgramStep::Same(_)
                | ProgramStep::LineStart
                | ProgramStep::LineEnd
                | ProgramStep::WordEnd
                | ProgramStep::Matched => {
                    return all;
                }
            }
        }
        first
    }

    /// What a line must hold for a match.
    pub(in crate::datetime) fn need(&self) -> RequiredBytes {
        let required = |from: usize, count: usize| {
            !(from..from + count).any(|at| {
                self.steps.iter().enumerate().any(|(pc, step)| match *step {
                    ProgramStep::Split { second, .. } => pc < at && second > at,
                    ProgramStep::Jump(to) => pc < at && to > at,
                    _ => false,
                })
            })
        };
        for (at, five) in self.steps.windows(5).enumerate() {
            if let [
                ProgramStep::Text { text: hour, .. },
                ProgramStep::Byte(b':'),
                ProgramStep::Text {
                    text: Text::Minute | Text::MinuteExact,
                    ..
                },
                ProgramStep::Byte(b':'),
                ProgramStep::Text {
                    text: Text::Second | Text::SecondExact,
                    ..
                },
            ] = five
                && hour.is_hour()
                && required(at, 5)
                && let Some(need) = self.before(at)
            {
                return RequiredBytes::Clock(Box::new(need));
            }
        }
        for (at, three) in self.steps.windows(3).enumerate() {
            if let [
                ProgramStep::Text {
                    text: Text::Year | Text::YearWindow(_),
                    ..
                },
                ProgramStep::Text {
                    text: Text::MonthExact,
                    ..
                },
                ProgramStep::Text {
                    text: Text::DayExact,
                    ..
                },
            ] = three
                && required(at, 3)
            {
                return RequiredBytes::Digits;
            }
        }
        RequiredBytes::Nothing
    }

    /// How far before the hour at step `hour` a match can begin, and with which bytes right
    /// before it. `None` when that has no bound.
    pub(in crate::datetime) fn before(&self, hour: usize) -> Option<ClockNeed> {
        let mut reach: Vec<Option<usize>> = vec![None; self.steps.len() + 1];
        let mut last: Vec<[bool; 256]> = vec![[false; 256]; self.steps.len() + 1];
        reach[0] = Some(0);
        // Where nothing was consumed yet, anything may stand before.
        last[0] = [true; 256];
        for pc in 0..hour {
            let Some(length) = reach[pc] else {
                continue;
            };
            let earlier = last[pc];
            let mut flow = |to: usize, length: usize, bytes: &[bool; 256]| {
                reach[to] = Some(reach[to].map_or(length, |known| known.max(length)));
                for (known, new) in last[to].iter_mut().zip(bytes) {
                    *known |= *new;
                }
            };
            let mut own = [false; 256];
            match self.steps[pc] {
                ProgramStep::Byte(byte) => {
                    own[byte as usize] = true;
                    flow(pc + 1, length + 1, &own);
                }
                ProgramStep::Letter(letter) => {
                    own[letter as usize] = true;
                    own[letter.to_ascii_uppercase() as usize] = true;
                    flow(pc + 1, length + 1, &own);
                }
                ProgramStep::One(set) => {
                    mark(&mut own, set);
                    flow(pc + 1, length + set.width(), &own);
                }
                ProgramStep::Repeat { set, min, max } => {
                    if max == UNSET {
                        return None;
                    }
                    mark(&mut own, set);
                    flow(pc + 1, length + set.width() * max as usize, &own);
                    if min == 0 {
                        flow(pc + 1, length, &earlier);
                    }
                }
                ProgramStep::Text { text, .. } => {
                    own = text.may_end();
                    flow(pc + 1, length + text.longest(), &own);
                }
                ProgramStep::Split { first, second, .. } => {
                    flow(first, length, &earlier);
                    flow(second, length, &earlier);
                }
                ProgramStep::Jump(to) => flow(to, length, &earlier),
                ProgramStep::Same(group) => {
                    let open = self
                        .steps
                        .iter()
                        .position(|s| *s == ProgramStep::Open(group))?;
                    let ProgramStep::One(set) = *self.steps.get(open + 1)? else {
                        return None;
                    };
                    if self.steps.get(open + 2) != Some(&ProgramStep::Close(group)) {
                        return None;
                    }
                    mark(&mut own, set);
                    flow(pc + 1, length + set.width(), &own);
                }
                ProgramStep::Matched => {}
                _ => flow(pc + 1, length, &earlier),
            }
        }
        Some(ClockNeed {
            reach: reach[hour]? + 2,
            before: last[hour],
        })
    }
}
