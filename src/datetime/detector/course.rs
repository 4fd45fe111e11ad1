//! The dates of many lines at once, and how detectors in the same state share them.
//!
//! In: lines in order. Out: a [`Course`]: their dates, and what the detector has learnt. Another detector
//! in the same state would find and learn the same, so it follows the course instead of searching. Where
//! each date came from the template of the last one, only that template matters; where others were tried,
//! all of them do, but not their hit counts, unless they changed places.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{DateDetector, DateMemo, DatePlace, DateTemplate, RankedTemplate};
use crate::datetime::{FixedOffset, FoundDate};
use crate::ticket::Timestamp;

/// Present times that are further apart than this many seconds may complete a date differently.
const APART: f64 = 60.0;

/// Where a detector stands: what its next dates depend on.
#[derive(Clone, Debug)]
pub struct Stand {
    patterns: Arc<[String]>,
    zone: Option<FixedOffset>,
    ranks: Vec<Rank>,
    first_unused: usize,
    place: Option<DatePlace>,
    memory: Option<Box<DateMemo>>,
    now: Timestamp,
}

/// What a template has learnt, in its turn.
#[derive(Clone, Debug)]
struct Rank {
    template: Arc<DateTemplate>,
    hits: u64,
    distance: usize,
    matched: bool,
}

/// The dates of many lines.
#[derive(Debug, Default)]
pub struct Course {
    /// One for each line.
    pub dates: Vec<Option<FoundDate>>,
    pub(super) way: Option<CourseStep>,
}

/// From where to where a detector has come.
#[derive(Debug)]
pub(super) struct CourseStep {
    from: Stand,
    to: Stand,
    /// By the last template alone.
    pub(super) straight: bool,
}

impl Rank {
    fn of(entry: &RankedTemplate) -> Rank {
        Rank {
            template: entry.template.clone(),
            hits: entry.hits,
            distance: entry.distance,
            matched: entry.matched,
        }
    }

    fn is_like(&self, other: &Rank) -> bool {
        Arc::ptr_eq(&self.template, &other.template)
            && (self.hits > 0) == (other.hits > 0)
            && (self.distance, self.matched) == (other.distance, other.matched)
    }
}

impl Stand {
    /// Whether both find and learn the same in the same lines, as far as the template of the last
    /// one gives their dates.
    pub fn is_like(&self, other: &Stand) -> bool {
        let live = |stand: &Stand| {
            let memory = stand.memory.as_ref();
            memory.is_none_or(|memory| memory.is_of(stand.now))
        };
        let memories = match (&self.memory, &other.memory) {
            (None, None) => true,
            (Some(one), Some(two)) => live(self) && live(other) && one.is_like(two),
            _ => false,
        };
        let places = match (&self.place, &other.place) {
            (None, None) => true,
            (Some(one), Some(two)) => one.is_like(two),
            _ => false,
        };
        let templates = match (self.last(), other.last()) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(&one.template, &two.template),
            _ => false,
        };
        memories
            && templates
            && places
            && self.zone == other.zone
            && self.ranks.len() == other.ranks.len()
            && self.patterns == other.patterns
            && (self.now - other.now).abs() < APART
    }

    /// Whether they do whatever template gives the dates.
    fn is_wholly_like(&self, other: &Stand) -> bool {
        let mut ranks = self.ranks.iter().zip(&other.ranks);
        self.is_like(other)
            && self.first_unused == other.first_unused
            && ranks.all(|(one, two)| one.is_like(two))
    }

    /// The template of the last date.
    fn last(&self) -> Option<&Rank> {
        self.ranks.get(self.place?.index)
    }
}

impl CourseStep {
    /// Whether a detector with this stand goes the same way.
    fn is_for(&self, stand: &Stand) -> bool {
        match self.straight {
            true => self.from.is_like(stand),
            false => self.from.is_wholly_like(stand),
        }
    }

    /// How often each template has given a date on it.
    fn hits(&self) -> impl Iterator<Item = (&Rank, u64)> {
        let ranks = self.to.ranks.iter().zip(&self.from.ranks);
        ranks.map(|(to, from)| (to, to.hits - from.hits))
    }
}

impl DateDetector {
    /// Where it stands at present; `None` before its first line.
    pub fn stand(&self, now: Timestamp) -> Option<Stand> {
        self.settled.then(|| Stand {
            patterns: self.patterns.clone(),
            zone: self.zone,
            ranks: self.entries.iter().map(Rank::of).collect(),
            first_unused: self.first_unused,
            place: self.last,
            memory: self.memory.clone(),
            now,
        })
    }

    /// Finds the dates of lines, as [`DateDetector::find`] does in each.
    pub fn find_all<'t>(
        &mut self,
        lines: impl ExactSizeIterator<Item = &'t str>,
        now: Timestamp,
    ) -> Course {
        let from = self.stand(now);
        (self.wavered, self.reordered) = (false, false);
        let dates = lines.map(|line| self.find(line, now)).collect();
        let ends = from.zip(self.stand(now)).filter(|_| !self.reordered);
        let way = ends.map(|(from, to)| CourseStep {
            from,
            to,
            straight: !self.wavered,
        });
        Course { dates, way }
    }

    /// Learns from lines what another detector has; false: it stands elsewhere, and has to look for
    /// itself.
    pub fn follow(&mut self, course: &Course, now: Timestamp) -> bool {
        let (Some(way), Some(stand)) = (&course.way, self.stand(now)) else {
            return false;
        };
        if !way.is_for(&stand) {
            return false;
        }
        let mut place = way.to.place;
        if way.straight {
            // the templates may stand in another order here
            if let (Some(place), Some(own)) = (&mut place, &stand.place) {
                place.index = own.index;
            }
        } else {
            self.first_unused = way.to.first_unused;
        }
        for (rank, hits) in way.hits() {
            let entries = self.entries.iter_mut();
            let mut same = entries.filter(|entry| Arc::ptr_eq(&entry.template, &rank.template));
            if let Some(entry) = same.next()
                && (hits > 0 || !way.straight)
            {
                entry.hits += hits;
                entry.distance = rank.distance;
                entry.matched = rank.matched;
                if hits > 0 {
                    entry.last_used = now;
                }
            }
        }
        self.memory.clone_from(&way.to.memory);
        if let (Some(memory), Some(place)) = (&mut self.memory, &place) {
            memory.index = place.index;
        }
        self.last = place;
        true
    }
}
