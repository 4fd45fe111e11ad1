//! The dates of many lines at once, and how detectors that stand alike share them.
//!
//! In: lines, one after the other. Out: a [`Course`]: their dates and what the detector has learnt
//! on the way. Another detector that stood where this one did would have found the same and learnt
//! the same, as long as each date was given by the template that gave the last one: it follows the
//! course instead of looking for itself. Where another template was asked its own past decides.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{DateDetector, Memory, Place, Template};
use crate::datetime::{FixedOffset, FoundDate};
use crate::ticket::Timestamp;

/// Present times that are further apart than this many seconds may complete a date differently.
const APART: f64 = 60.0;

/// Where a detector stands: what its next date depends on as long as the same template gives it.
#[derive(Clone, Debug)]
pub struct Stand {
    patterns: Arc<[String]>,
    zone: Option<FixedOffset>,
    templates: usize,
    template: Arc<Template>,
    place: Place,
    memory: Option<Box<Memory>>,
    now: Timestamp,
}

/// The dates of many lines.
#[derive(Debug, Default)]
pub struct Course {
    /// One for each line.
    pub dates: Vec<Option<FoundDate>>,
    way: Option<Way>,
}

/// From where to where a detector has come, by one template.
#[derive(Debug)]
struct Way {
    from: Stand,
    to: Stand,
    hits: u64,
}

impl Stand {
    /// Whether both find and learn the same in the same lines, by the template of the last one.
    pub fn is_like(&self, other: &Stand) -> bool {
        let live = |stand: &Stand| {
            let memory = stand.memory.as_ref();
            memory.filter(|memory| memory.is_of(stand.now)).is_some()
        };
        let memories = match (&self.memory, &other.memory) {
            (None, None) => true,
            (Some(one), Some(two)) => live(self) && live(other) && one.is_like(two),
            _ => false,
        };
        memories
            && Arc::ptr_eq(&self.template, &other.template)
            && self.place.is_like(&other.place)
            && self.zone == other.zone
            && self.templates == other.templates
            && self.patterns == other.patterns
            && (self.now - other.now).abs() < APART
    }
}

impl DateDetector {
    /// Where it stands at present; `None` before its first date.
    pub fn stand(&self, now: Timestamp) -> Option<Stand> {
        let place = self.last?;
        let entry = self.entries.get(place.index)?;
        self.settled.then(|| Stand {
            patterns: self.patterns.clone(),
            zone: self.zone,
            templates: self.entries.len(),
            template: entry.template.clone(),
            place,
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
        self.wavered = false;
        let mut dates = Vec::with_capacity(lines.len());
        let mut hits = 0;
        for line in lines {
            let date = self.find(line, now);
            hits += u64::from(date.is_some());
            dates.push(date);
        }
        let ends = from.zip(self.stand(now)).filter(|_| !self.wavered);
        let way = ends.map(|(from, to)| Way { from, to, hits });
        Course { dates, way }
    }

    /// Learns from lines what another detector has; false: it stands elsewhere, and has to look for
    /// itself.
    pub fn follow(&mut self, course: &Course, now: Timestamp) -> bool {
        let (Some(way), Some(stand)) = (&course.way, self.stand(now)) else {
            return false;
        };
        let index = stand.place.index;
        let Some(entry) = self
            .entries
            .get_mut(index)
            .filter(|_| way.from.is_like(&stand))
        else {
            return false;
        };
        if way.hits > 0 {
            entry.hits += way.hits;
            entry.last_used = now;
        }
        let mut place = way.to.place;
        place.index = index;
        entry.distance = place.start;
        self.last = Some(place);
        self.memory.clone_from(&way.to.memory);
        if let Some(memory) = &mut self.memory {
            memory.index = index;
        }
        true
    }
}
