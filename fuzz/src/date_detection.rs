//! Dates in any line, with the default templates or with any `datepattern`.
//!
//! First part of the input: the `datepattern` (empty: the defaults). The others are lines, read one
//! after the other, since the detector learns.

use ferroban::parts::datetime::{DateDetector, DateTime, FixedOffset, Templates};

pub fn run(data: &[u8]) {
    let mut texts = super::texts(data);
    let pattern = texts.next().unwrap_or_default();
    let detector = match &*pattern {
        "" => Some(DateDetector::default()),
        pattern => DateDetector::from_pattern(pattern, &Templates::default()).unwrap_or_default(),
    };
    let Some(mut detector) = detector else {
        return;
    };
    let _ = detector.description();
    let lines: Vec<_> = texts.collect();
    detector.set_default_zone(Some(FixedOffset { seconds: 3600 }));
    for line in &lines {
        let Some(found) = detector.find(line, super::NOW) else {
            continue;
        };
        assert!(line.get(found.start..found.end).is_some(), "{found:?}");
        assert!(found.template < detector.templates().len());
        if let DateTime::At(time) = found.time {
            assert!(time.is_finite(), "{found:?}");
        }
    }
}
