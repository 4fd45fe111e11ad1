//! Finds where to start in a log that is read for the first time. Lines older than findtime would only be
//! dropped (fact D22), so they are skipped by bisection (fact K6). Lines without a date that the date
//! pattern accepts (`{NONE}`) count as written when the day began.
//!
//! In: a file and the offset where reading would start. Out: the beginning of the first line that may
//! still count. Where dates are missing or out of order it errs towards reading more.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::filter::Filter;
use crate::python::encoding::Encoding;
use crate::ticket::Timestamp;

/// Lines looked at for a date at one place. The original looks at few.
const LINES: usize = 100;

/// Bytes looked at for lines at one place; a longer line has no date.
const REACH: usize = 64 << 10;

/// So much is simply read: looking for dates in it would cost more than it saves. Not where lines
/// may have none: to the original they are as old as the day, if they were there at the start.
const SMALL: u64 = 64 << 10;

/// Dates of lines, and the time before which lines do not count.
pub(super) struct LogSeeker<'a> {
    /// Knows where the date of a line is.
    pub filter: &'a mut Filter,
    /// The present time.
    pub now: Timestamp,
    /// Older lines do not count.
    pub since: Timestamp,
    /// What is looked at is a file that has just appeared: its lines are news, dated or not.
    pub new_file: bool,
}

/// What is found at a place.
struct ProbedLine {
    /// Whether the line is too old.
    old: bool,
    /// Where the next one begins.
    end: u64,
}

impl LogSeeker<'_> {
    /// The beginning of the first line from `from` on that may count, in a file in this encoding.
    pub fn seek(&mut self, file: &File, encoding: &Encoding, from: u64) -> io::Result<u64> {
        let size = file.metadata()?.len();
        if size <= from {
            return Ok(from);
        }
        let undated = self.filter.accepts_undated(self.now);
        if undated && self.new_file || !undated && size.saturating_sub(from) <= SMALL {
            return Ok(from);
        }
        // lines that begin before `low` are too old, those from `high` on are to be read
        let (mut low, mut high) = (from, size);
        let unit = encoding.unit() as u64;
        while low < high {
            let middle = low + (high - low) / 2;
            // where a character begins
            let middle = (middle - middle % unit).max(low);
            match self.probe(file, encoding, middle, middle > low, high)? {
                Some(probe) if probe.old => low = probe.end,
                // not old, or nobody knows
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The first dated line that begins in `at..high`; `inside`: a line may have begun before `at`.
    fn probe(
        &mut self,
        file: &File,
        encoding: &Encoding,
        at: u64,
        inside: bool,
        high: u64,
    ) -> io::Result<Option<ProbedLine>> {
        // a line that begins at `at` has its predecessor's end before it
        let mut start = match inside {
            true => at - encoding.unit() as u64,
            false => at,
        };
        let mut bytes = vec![0; REACH];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], start + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut rest = &bytes[..filled];
        if inside {
            let Some(end) = encoding.line_end(rest) else {
                return Ok(None);
            };
            start += end as u64;
            rest = &rest[end..];
        }
        for _ in 0..LINES {
            let Some(end) = encoding.line_end(rest).filter(|_| start < high) else {
                break;
            };
            let (line, _) = encoding.decode(&rest[..end]);
            let line = line.trim_end_matches(['\r', '\n']);
            let next = start + end as u64;
            if let Some(time) = self.filter.date_of(line, self.now) {
                return Ok(Some(ProbedLine {
                    old: time < self.since,
                    end: next,
                }));
            }
            start = next;
            rest = &rest[end..];
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const NOW: f64 = 1_795_287_600.0;

    /// What is read of a log.
    fn rest_of(log: &str, from: u64) -> String {
        let at = place_in(log.as_bytes(), &Encoding::utf_8(), from);
        log[at..].to_owned()
    }

    /// The beginning of what is read of it.
    fn place_in(log: &[u8], encoding: &Encoding, from: u64) -> usize {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("x.log");
        fs::write(&path, log).expect("log");
        let mut filter = Filter::new("j");
        filter.set_datepattern("{^LN-BEG}EPOCH").expect("pattern");
        let mut seeker = LogSeeker {
            filter: &mut filter,
            now: NOW,
            since: NOW - 600.0,
            new_file: false,
        };
        let file = File::open(&path).expect("log");
        seeker.seek(&file, encoding, from).expect("read") as usize
    }

    fn line(age: f64) -> String {
        format!("{:.0} something of {age} seconds ago\n", NOW - age)
    }

    /// So many lines, a second apart, the last one of now.
    fn log(lines: usize) -> String {
        (0..lines).rev().map(|age| line(age as f64)).collect()
    }

    #[test]
    fn old_lines_are_passed_over_and_no_other() {
        let first = line(600.0);
        assert!(rest_of(&log(20_000), 0).starts_with(&first));
        // from wherever reading would have begun
        let young = log(400);
        assert_eq!(rest_of(&young, 0), young);
        let log = log(20_000);
        assert!(rest_of(&log, 5 * line(9_999.0).len() as u64).starts_with(&first));
        let late = log.rfind(&line(100.0)).expect("line");
        assert_eq!(rest_of(&log, late as u64), log[late..]);
        // all old: the end
        let old: String = log.lines().take(15_000).map(|l| format!("{l}\n")).collect();
        assert_eq!(rest_of(&old, 0), "");
    }

    #[test]
    fn lines_without_dates_do_not_mislead() {
        let first = line(600.0);
        let few = log(5_000).replace('\n', "\nno date\nnone\n");
        let rest = rest_of(&few, 0);
        assert!(
            rest.trim_start_matches("no date\n")
                .trim_start_matches("none\n")
                .starts_with(&first)
        );
        // nothing is known about where it begins to count
        let none = "no date\n".repeat(50_000);
        assert_eq!(rest_of(&none, 0), none);
        // a long stretch in the middle: read from before it
        let mixed = format!("{}{none}{}", line(9_000.0), log(700));
        assert!(rest_of(&mixed, 0).len() >= none.len());
        let long = format!("{}\n{}", "x".repeat(1 << 20), log(2_000));
        assert!(rest_of(&long, 0).contains(&first));
    }

    #[test]
    fn wide_characters_are_sought_like_others() {
        // U+0A0D, U+010A and U+0A00 hold bytes that look like line feeds
        let log = log(5_000).replace("something", "\u{a0d}\u{10a}\u{a00}");
        let expected = &log[log.find(&format!("{:.0} ", NOW - 600.0)).expect("line")..];
        for name in [
            "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32be", "utf-8",
        ] {
            let mut encoding = Encoding::named(name).expect("known");
            let bytes = encoding.encode(&log);
            let mark = encoding.settle(&bytes);
            let at = place_in(&bytes, &encoding, mark as u64);
            assert_eq!(encoding.decode(&bytes[at..]).0, expected, "{name}");
        }
    }

    #[test]
    fn every_line_that_counts_is_read_whatever_the_size() {
        for lines in (2_000..2_400).step_by(7) {
            let log = log(lines);
            let expected = &log[log.find(&line(600.0)).expect("line")..];
            assert_eq!(rest_of(&log, 0), expected, "{lines}");
        }
    }
}
