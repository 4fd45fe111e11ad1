//! Looks for lines that make our regexes slow.
//!
//! `cargo run --profile fast --example adversary -- PREFIX` reads a corpus as the `corpus`
//! example does. Into the shortest texts that a regex matches it puts long rows of payloads, at
//! each group and at some other places, and measures. The worst of each regex is tried again at
//! 100,000 characters. Prints the slowest, and the regexes that gave up.

use std::time::Duration;

use anyhow::{Context, Result};
use ferroban::parts::pattern::{Flags, LimitExceeded, Regex};
use serde_json::Value;

const PAYLOADS: &[&str] = &[
    "a", " ", "a ", " from ", "[", "]", "[]", "\"", "\"\"", "(", ")", "<", ">", ":", "1", "1.",
    "1.1.1.1", " port 1", " user", "\\", "\\\"", ",", "=", "'", "a.", "a-", "/", "%", "::", ": ",
    "a@", "\t", "; ", " for ", " on a", "x=", "é", "é ", "é:",
];
/// Sizes of the rows of payloads: to find the worst, and to try it.
const SHORT: usize = 400;
const LONG: [usize; 3] = [2_000, 8_192, 100_000];
/// Searches of which the median counts.
const TIMES: usize = 5;
/// Slowest regexes shown.
const SHOWN: usize = 15;

#[derive(Debug, Clone)]
struct Attack {
    took: Duration,
    before: String,
    payload: &'static str,
    after: String,
}

impl Attack {
    fn text(&self, size: usize) -> String {
        let row = self.payload.repeat(size / self.payload.len() + 1);
        format!("{}{row}{}", self.before, self.after)
    }
}

fn main() -> Result<()> {
    let prefix = std::env::args().nth(1).context("no prefix")?;
    let read = |name: &str| -> Result<Vec<Value>> {
        std::fs::read_to_string(format!("{prefix}-{name}.jsonl"))?
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    };
    let texts = read("texts")?;
    let rules = read("regex")?;
    let mut samples: Vec<Vec<(&str, &Value)>> = vec![Vec::new(); rules.len()];
    for hit in Box::leak(Box::new(read("expect")?)).iter() {
        let number = |i: usize| hit[i].as_u64().unwrap_or_default() as usize;
        let text = texts[number(1)].as_str().context("no text")?;
        if text.is_ascii() {
            samples[number(0)].push((text, &hit[2]));
        }
    }
    let mut worst: Vec<(Duration, String, Attack, usize)> = Vec::new();
    let mut gave_up = 0;
    for (rule, samples) in rules.iter().zip(&mut samples) {
        let source = rule["pattern"].as_str().context("no pattern")?;
        let multiline = rule["multiline"].as_bool().unwrap_or(false);
        let flags = Flags {
            multiline,
            ..Flags::default()
        };
        let regex = Regex::new(source, flags)?;
        samples.sort_by_key(|(text, _)| text.len());
        let mut attacks = Vec::new();
        for (text, spans) in samples.iter().take(2) {
            for (from, to) in places(text, spans) {
                for payload in PAYLOADS {
                    for after in [
                        text[to..].to_owned(),
                        format!("{}\x01!\n", text[to..].trim_end()),
                        "\x01\n".to_owned(),
                    ] {
                        let mut attack = Attack {
                            took: Duration::ZERO,
                            before: text[..from].to_owned(),
                            payload,
                            after,
                        };
                        attack.took = measure(&regex, &attack.text(SHORT), 1).0;
                        attacks.push(attack);
                    }
                }
            }
        }
        attacks.sort_by_key(|attack| std::cmp::Reverse(attack.took));
        for attack in attacks.into_iter().take(4) {
            for size in LONG {
                let (took, answer) = measure(&regex, &attack.text(size), TIMES);
                gave_up += usize::from(answer.is_err());
                if answer.is_err() {
                    println!("gave up after {took:?} at {size}: {attack:?}\n  {source}");
                }
                worst.push((took, source.to_owned(), attack.clone(), size));
            }
        }
    }
    worst.sort_by_key(|(took, ..)| std::cmp::Reverse(*took));
    for size in LONG {
        let slowest = worst.iter().find(|(.., of)| *of == size);
        println!("slowest at {size}: {:?}", slowest.map(|w| w.0));
    }
    for (took, source, attack, size) in worst.iter().take(SHOWN) {
        println!(
            "{took:?} at {size}: {:?} + {:?} + {:?}\n  {source}",
            attack.before, attack.payload, attack.after
        );
    }
    println!(
        "{} searches of the worst kind, {gave_up} gave up, slowest {:?}",
        worst.len(),
        worst.first().map(|w| w.0)
    );
    Ok(())
}

/// The median of so many searches after a first one, in which something may be built; in CPU time,
/// for the machine may have other things to do.
fn measure(regex: &Regex, text: &str, times: usize) -> (Duration, Result<bool, LimitExceeded>) {
    let answer = regex.is_match(text);
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let start = cpu_time();
            let _ = regex.is_match(text);
            cpu_time().saturating_sub(start)
        })
        .collect();
    took.sort_unstable();
    (took[times / 2], answer)
}

/// What this thread has used so far.
fn cpu_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

/// Groups, starts of groups, every third word and the ends.
fn places(text: &str, spans: &Value) -> Vec<(usize, usize)> {
    let mut places = vec![(0, 0), (text.len() - 1, text.len() - 1)];
    for span in spans.as_array().into_iter().flatten().skip(1) {
        if let (Some(from), Some(to)) = (span[0].as_u64(), span[1].as_u64()) {
            places.extend([(from as usize, to as usize), (from as usize, from as usize)]);
        }
    }
    for word in text.split_whitespace().step_by(3) {
        let from = word.as_ptr() as usize - text.as_ptr() as usize;
        places.push((from, from + word.len()));
    }
    places.sort_unstable();
    places.dedup();
    places
}
