//! What clients send to have somebody else blamed.

use std::collections::BTreeSet;

use super::shapes::{Kind, Part, Service};

/// One attempt: who sends what in which event.
#[derive(Debug)]
pub struct Attempt {
    pub event: usize,
    pub head: usize,
    pub accused: usize,
    /// A text for each field of the service.
    pub values: Vec<String>,
}

/// All that can be tried on a service.
pub struct Attack<'s> {
    service: &'s Service,
    pieces: Vec<String>,
    /// Events with a field each.
    places: Vec<(usize, usize)>,
}

/// A piece is sent by itself and behind these; at the end stands that which makes it end where the
/// service cuts off.
const BEFORE: [&str; 5] = ["", "x", "x ", "\"", "…"];

impl<'s> Attack<'s> {
    pub fn new(service: &'s Service) -> Attack<'s> {
        let mut places = Vec::new();
        for (index, event) in service.events.iter().enumerate() {
            if event.kind != Kind::Honest {
                let fields = service.open_fields(event);
                places.extend(fields.into_iter().map(|field| (index, field)));
            }
        }
        Attack {
            service,
            pieces: pieces(service),
            places,
        }
    }

    /// How many attempts there are with one text in one field.
    pub fn count(&self) -> usize {
        self.places.len() * self.pieces.len() * BEFORE.len()
    }

    /// Attempt `index` of them; heads and addresses take turns.
    pub fn single(&self, index: usize) -> Attempt {
        let (event, field) = self.places[index % self.places.len()];
        let rest = index / self.places.len();
        let piece = &self.pieces[rest % self.pieces.len()];
        let before = BEFORE[rest / self.pieces.len() % BEFORE.len()];
        let mut attempt = self.attempt(event, rest);
        attempt.values[field] = match before {
            "…" => self.up_to_cut(event, field, piece),
            before => format!("{before}{piece}"),
        };
        attempt
    }

    /// An attempt with several texts in several fields.
    pub fn mixed(&self, random: &mut fastrand::Rng) -> Attempt {
        let (event, _) = self.places[random.usize(..self.places.len())];
        let mut attempt = self.attempt(event, random.usize(..1000));
        for field in self.service.open_fields(&self.service.events[event]) {
            if random.u8(..10) < 3 {
                continue;
            }
            let mut text = String::new();
            for _ in 0..random.usize(1..=3) {
                let joints = [
                    "", " ", "x", "x ", ": ", ", ", "\"", "\", ", "> ", "'", "\\",
                ];
                text.push_str(joints[random.usize(..joints.len())]);
                text.push_str(&self.pieces[random.usize(..self.pieces.len())]);
            }
            attempt.values[field] = match random.u8(..8) {
                0 => self.up_to_cut(event, field, &text),
                _ => text,
            };
        }
        attempt
    }

    /// One in which every client means no harm.
    pub fn attempt(&self, event: usize, turn: usize) -> Attempt {
        Attempt {
            event,
            head: turn % self.service.heads.len(),
            accused: turn / self.service.heads.len() % self.service.accused.len(),
            values: self.service.harmless(),
        }
    }

    /// The text, with as much before it that it is the last thing the service writes there.
    fn up_to_cut(&self, event: usize, field: usize, text: &str) -> String {
        let service = self.service;
        let harmless = service.harmless();
        for (_, line) in &service.events[event].lines {
            let mut open: Vec<(usize, usize)> = Vec::new();
            for (at, part) in line.iter().enumerate() {
                match part {
                    Part::Cut(most) => open.push((at, *most)),
                    Part::End => {
                        open.pop();
                    }
                    Part::Field(index) if *index == field => {
                        let Some((from, most)) = open.last() else {
                            continue;
                        };
                        let before = line[from + 1..at].to_vec();
                        let before = service.written(&before, &harmless, &service.accused[0], 1);
                        let room = most.saturating_sub(before.len() + text.len());
                        return "x".repeat(room) + text;
                    }
                    _ => {}
                }
            }
        }
        let room = service.fields[field].most.saturating_sub(text.len());
        "x".repeat(room.min(400)) + text
    }
}

/// Every piece of every line that holds an address, with the address of somebody else; and some more.
fn pieces(service: &Service) -> Vec<String> {
    let mut all: BTreeSet<String> = service.pieces.iter().cloned().collect();
    let harmless = service.harmless();
    let mut lines = BTreeSet::new();
    for event in &service.events {
        for (turn, (own, line)) in event.lines.iter().enumerate() {
            let other = &service.others[turn % service.others.len()];
            let message = service.written(line, &harmless, other, 7);
            if !own {
                let head = service.written(&service.heads[0].line, &harmless, other, 7);
                lines.insert((other, format!("{head} {message}")));
            }
            lines.insert((other, message));
        }
    }
    for (other, line) in &lines {
        for (at, _) in line.match_indices(other.as_str()) {
            let starts = borders(&line[..at]).map(|start| start.max(at.saturating_sub(200)));
            let starts: BTreeSet<usize> = starts.collect();
            let behind = at + other.len();
            let ends: BTreeSet<usize> = borders(&line[behind..])
                .map(|end| behind + end.min(200).min(line.len() - behind))
                .collect();
            for start in starts.iter().filter(|start| line.is_char_boundary(**start)) {
                // near ends all of them, then the whole
                let ends = ends.iter().take(12).chain(ends.last());
                all.extend(ends.map(|end| line[*start..*end].to_owned()));
            }
        }
    }
    for other in &service.others {
        for form in [
            "{}",
            "[{}]",
            "::ffff:{}",
            "{}.example.net",
            "{}\n",
            "\n{}",
            "é{}",
            "\t{} ",
            "({})",
            "<{}>",
            "{}\\",
            "2026-11-20 10:00:00 {}",
            "Nov 20 10:00:00 {}",
            "2026-11-20T10:00:00Z from {}",
        ] {
            all.insert(form.replace("{}", other));
        }
    }
    all.into_iter().collect()
}

/// Where words and signs of a text begin and end.
fn borders(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    (0..=bytes.len()).filter(|at| {
        let word = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
        *at == 0 || !(word(*at) && word(at - 1))
    })
}
