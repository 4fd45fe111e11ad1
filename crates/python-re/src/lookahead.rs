//! Computes what can follow at each place of a program: alternatives that cannot match are skipped, and
//! runs of one character stop only where the rest can go on.

use super::ast::Assertion;
use super::first_set::{BranchTable, Bytes, FirstSet};
use super::instructions::{CharRun, Instruction, MatchStart, Pc, StopCondition};

/// Rounds over a program after which the answer is given up; each nesting of loops needs one.
const MAX_ROUNDS: usize = 16;

/// What the text must go on with for the program from each instruction on to have a chance.
fn beginnings(list: &[Instruction]) -> Vec<FirstSet> {
    let mut known = vec![FirstSet::NOTHING; list.len()];
    // Grows from nothing until nothing is added; most ways lead forward, so that most is known
    // after the first round from the end.
    for _ in 0..MAX_ROUNDS {
        let mut changed = false;
        for pc in (0..list.len()).rev() {
            let now = beginning(list, pc, &known);
            changed |= now != known[pc];
            known[pc] = now;
        }
        if !changed {
            return known;
        }
    }
    vec![FirstSet::ANYTHING; list.len()]
}

fn beginning(list: &[Instruction], pc: usize, known: &[FirstSet]) -> FirstSet {
    // A list ends with an `Accept`.
    let at = |pc: usize| known.get(pc).copied().unwrap_or(FirstSet::ANYTHING);
    let to = |pc: Pc| at(pc as usize);
    let byte = |byte: u8| FirstSet {
        bytes: Bytes::of_byte(byte),
        end: false,
    };
    match &list[pc] {
        Instruction::Byte(first) => byte(*first),
        Instruction::Short { bytes, .. } => byte(bytes.to_le_bytes()[0]),
        Instruction::Literal(bytes) => bytes.first().map_or_else(|| at(pc + 1), |b| byte(*b)),
        Instruction::Set(set) => FirstSet {
            bytes: Bytes::of_set(set),
            end: false,
        },
        Instruction::Run(row) | Instruction::LazyRun(row) | Instruction::PossessiveRun(row) => {
            let member = FirstSet {
                bytes: Bytes::of_set(&row.set),
                end: false,
            };
            match row.bounds.min {
                0 => member.or(at(pc + 1)),
                _ => member,
            }
        }
        Instruction::Split { first, second, .. } => to(*first).or(to(*second)),
        Instruction::Jump(next) => to(*next),
        Instruction::LoopNext(next) => at(pc + 1).or(to(next.exit)),
        // at the end of the text, or right before a newline
        Instruction::Assert(Assertion::TextEndOrFinalNewline | Assertion::LineEnd) => FirstSet {
            bytes: Bytes::of_byte(b'\n'),
            end: true,
        },
        Instruction::Assert(Assertion::TextEnd) => FirstSet {
            bytes: Bytes::NONE,
            end: true,
        },
        Instruction::Ahead {
            literal,
            negative: false,
        } => literal.first().map_or_else(|| at(pc + 1), |b| byte(*b)),
        // these take nothing away from what comes after them
        Instruction::Save(_)
        | Instruction::LoopStart { .. }
        | Instruction::LoopMore { .. }
        | Instruction::Assert(_)
        | Instruction::Ahead { .. }
        | Instruction::Needs(_)
        | Instruction::Word { .. } => at(pc + 1),
        Instruction::Look { after, .. } => to(*after),
        Instruction::Atomic { .. } => at(pc + 1),
        Instruction::IfGroup { otherwise, .. } => at(pc + 1).or(to(*otherwise)),
        Instruction::Backref { .. } | Instruction::Accept => FirstSet::ANYTHING,
    }
}

/// Tells rows what must follow them and choices which way has a chance when; gives what the whole
/// program begins with.
pub(crate) fn look_ahead(list: &mut [Instruction]) -> MatchStart {
    let known = beginnings(list);
    let at = |pc: usize| known.get(pc).copied().unwrap_or(FirstSet::ANYTHING);
    for (pc, instruction) in list.iter_mut().enumerate() {
        match instruction {
            Instruction::Run(row) | Instruction::LazyRun(row) => {
                row.next = following(row, at(pc + 1));
            }
            Instruction::Split {
                first,
                second,
                ways,
            } => {
                let (first, second) = (at(*first as usize), at(*second as usize));
                if first != FirstSet::ANYTHING || second != FirstSet::ANYTHING {
                    *ways = Some(Box::new(BranchTable::of(&first, &second)));
                }
            }
            _ => {}
        }
    }
    match at(0) {
        start if start.end => MatchStart::Anywhere,
        start => start
            .bytes
            .single()
            .map_or(MatchStart::Possible(start), MatchStart::Byte),
    }
}

fn following(row: &CharRun, next: FirstSet) -> StopCondition {
    if next == FirstSet::ANYTHING {
        StopCondition::Anything
    } else if !next.bytes.meets(Bytes::of_set(&row.set)) {
        StopCondition::Beyond(next)
    } else {
        match next.bytes.single() {
            Some(byte) if !next.end => StopCondition::Byte(byte),
            _ => StopCondition::Possible(next),
        }
    }
}
#[cfg(test)]
mod tests {
    use super::super::{Flags, Regex};

    /// Places passed over must not change what is found, nor where.
    #[test]
    fn passing_over_changes_nothing() {
        for (pattern, text, group) in [
            (
                r"^(.+?)(?:, user=(\S+))?\s*$",
                "a, b c, user=x \n",
                Some((0, 6)),
            ),
            (
                r"^(.+?)(?:, user=(\S+))?\s*$",
                "a, b c, user=x y\n",
                Some((0, 16)),
            ),
            (r"^(.*)(?:;|$)", "a;b;c\n", Some((0, 5))),
            (r"^(\w*)\b", "word rest", Some((0, 4))),
            (r"(a*)(?=b|\Z)", "aab", Some((0, 2))),
            (r"^([^x]*)(?:y|\Z)", "aé y", Some((0, 5))),
            (r"^(.*?)é", "aüé", Some((0, 3))),
            (r"^(.*)[éü]", "aüé", Some((0, 3))),
            (r"^(.*)(?:é|\Z)", "aüé", Some((0, 5))),
            (r"^(.+)(?:b|)$", "aab", Some((0, 3))),
            (r"^(a+?)(?>b?)c", "aabc", Some((0, 2))),
            (r"^(a+)(\1|$)", "aaaa", Some((0, 4))),
        ] {
            let regex = Regex::new(pattern, Flags::default()).expect(pattern);
            let found = regex.search(text).expect("within limits");
            assert_eq!(
                found.and_then(|found| found.group(1)),
                group,
                "{pattern} on {text:?}"
            );
        }
    }
}
