//! Follows one path: its position, and what happens when the log is rotated.
//!
//! A renamed log is read to its end and watched a while longer, since its writer may not have noticed yet;
//! then the new file at the path is read from its first line. A log that shrank, or whose first line has
//! changed, was rewritten in place and is read from its first line again (fact K3).

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::log_file::{FirstLine, OpenLog, identity};
use super::{Chunk, StartPosition};
use crate::warning;

const TARGET: &str = "fail2ban.filter";

/// How long a file that was rotated away may still grow.
const DRAIN: Duration = Duration::from_secs(10);

/// Files kept open that have come and gone while nothing could be read; with hourly rotation more than
/// half a day.
const MOST_UPCOMING: usize = 16;

/// A place in a path's history. Cloned, it is a second reader at the same place.
#[derive(Clone, Debug)]
pub(super) struct LogFollower {
    current: Option<OpenLog>,
    /// Files that have taken its place one after the other while nothing could be read.
    upcoming: VecDeque<OpenLog>,
    /// Rotated away at this time, but perhaps still written to.
    previous: Option<(OpenLog, Instant)>,
    /// The end was told of.
    end_told: bool,
}

impl LogFollower {
    /// Opens a path where reading shall begin.
    pub fn open(path: &Path, start: &StartPosition) -> io::Result<LogFollower> {
        let mut open = OpenLog::new(path)?;
        let size = open.file.metadata()?.len();
        open.position = match start {
            StartPosition::Head => 0,
            StartPosition::Tail => size,
            StartPosition::Resume {
                first_line_hash,
                offset,
            } if *open.head.hash == **first_line_hash && *offset <= size => *offset,
            StartPosition::Resume { .. } => 0,
        };
        Ok(LogFollower {
            current: Some(open),
            upcoming: VecDeque::new(),
            previous: None,
            end_told: false,
        })
    }

    /// Device and inode of the file that is read now.
    pub fn identity(&self) -> Option<(u64, u64)> {
        self.current.as_ref().map(|open| open.identity)
    }

    /// A second reader at this place.
    pub fn place(&self) -> LogFollower {
        self.clone()
    }

    /// Whether a rotated file may still grow.
    pub fn is_draining(&self) -> bool {
        self.previous.is_some()
    }

    /// Whether both will read the same from now on.
    pub fn is_where(&self, other: &LogFollower) -> bool {
        let same = |a: &OpenLog, b: &OpenLog| {
            a.identity == b.identity && a.position == b.position && a.skipping == b.skipping
        };
        let upcoming =
            |place: &LogFollower| place.upcoming.iter().map(|open| open.identity).collect();
        let ours: Vec<_> = upcoming(self);
        self.end_told == other.end_told
            && ours == upcoming(other)
            && self.previous.is_none()
            && other.previous.is_none()
            && match (&self.current, &other.current) {
                (Some(a), Some(b)) => same(a, b),
                _ => false,
            }
    }

    /// Nothing can be read for now: opens what has taken the place of the last file, or it would be
    /// missed when it is rotated away in its turn.
    pub fn keep_up(&mut self, path: &Path) {
        let last = self.upcoming.back().or(self.current.as_ref());
        let known = last.map(|open| open.identity);
        if self.upcoming.len() >= MOST_UPCOMING
            || std::fs::metadata(path).is_ok_and(|found| Some(identity(&found)) == known)
        {
            return;
        }
        // one that cannot be opened may be at the next look
        self.upcoming.extend(OpenLog::new(path).ok());
    }

    /// The next lines, or `None` when there are none for now. They may take the place of what
    /// `spare` holds.
    pub fn read(&mut self, path: &Arc<Path>, mut spare: Vec<u8>) -> Option<Chunk> {
        if let Some(chunk) = self.drain(path, &mut spare) {
            return Some(chunk);
        }
        // Before each piece: right after one was read the file may already be another.
        self.notice_rewriting(path);
        loop {
            let place = self.previous.as_ref().and(self.current.clone());
            if let Some(open) = &mut self.current {
                match open.lines(path, &mut spare) {
                    Ok(Some(data)) => {
                        let at_end = open.is_at_end();
                        let chunk = open.chunk(path, data, at_end);
                        if let Some(place) = place
                            && let Some(late) = self.drain_from(place, path)
                        {
                            return Some(late);
                        }
                        self.end_told |= at_end;
                        return Some(chunk);
                    }
                    Ok(None) => {}
                    Err(error) => warning!(TARGET, "Unable to read {}: {}", path.display(), error),
                }
            }
            if !self.replace(path) {
                break;
            }
        }
        let open = self.current.as_ref()?;
        (!std::mem::replace(&mut self.end_told, true)).then(|| open.chunk(path, Vec::new(), true))
    }

    /// What the file that was rotated away still brings. The place it comes with is that of the
    /// present file: whoever resumes there must not read that one again.
    fn drain(&mut self, path: &Arc<Path>, spare: &mut Vec<u8>) -> Option<Chunk> {
        let (open, since) = self.previous.as_mut()?;
        let data = match open.lines(path, spare) {
            Ok(Some(data)) => Some(data),
            _ if since.elapsed() < DRAIN => return None,
            _ => {
                let rest = open.rest();
                self.previous = None;
                rest
            }
        };
        let present = self.current.as_ref()?;
        data.map(|data| present.chunk(path, data, false))
    }

    /// What the older file got since it was looked at: it was written before the lines of the present
    /// file that were just read, so those are read again after it, from `place` on.
    fn drain_from(&mut self, place: OpenLog, path: &Arc<Path>) -> Option<Chunk> {
        let after = self.current.replace(place);
        let late = self.drain(path, &mut Vec::new());
        if late.is_none() {
            self.current = after;
        }
        late
    }

    /// At the end of the present file: whether another has taken its place, which is open then.
    fn replace(&mut self, path: &Arc<Path>) -> bool {
        let new = match self.upcoming.pop_front() {
            Some(new) => new,
            None => match self.present(path) {
                Some(new) => new,
                None => return false,
            },
        };
        let size = new.file.metadata().map_or(0, |data| data.len());
        if let Some(old) = self.current.replace(new) {
            if let (Some(new), true) = (&self.current, self.end_told) {
                old.tell_rotation(path, new, size);
            }
            // two rotations in short order: the older file has had its time
            self.previous = Some((old, Instant::now()));
        }
        true
    }

    /// The file at the path, when it is another.
    fn present(&self, path: &Path) -> Option<OpenLog> {
        let found = std::fs::metadata(path).ok()?;
        if self.identity() == Some(identity(&found)) {
            return None;
        }
        OpenLog::new(path).ok()
    }

    /// Starts again at the first line when the file was truncated or rewritten.
    fn notice_rewriting(&mut self, path: &Arc<Path>) {
        let Some(open) = &mut self.current else {
            return;
        };
        let Ok(size) = open.file.metadata().map(|data| data.len()) else {
            return;
        };
        if size >= open.position && open.has_same_head() {
            if open.head.hash.is_empty() {
                open.head = Arc::new(FirstLine::of(&open.file).unwrap_or_default());
            }
            return;
        }
        let mut new = open.clone();
        new.position = 0;
        new.skipping = false;
        new.head = Arc::new(FirstLine::of(&open.file).unwrap_or_default());
        open.tell_rotation(path, &new, size);
        *open = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::log_file::{LONGEST_LINE, hex};
    use sha1::{Digest as _, Sha1};
    use std::fs::{self, File};
    use std::io::Write as _;

    struct Log {
        dir: tempfile::TempDir,
        path: Arc<Path>,
    }

    impl Log {
        fn new(text: &str) -> Log {
            let dir = tempfile::tempdir().expect("directory");
            let path: Arc<Path> = dir.path().join("x.log").into();
            fs::write(&path, text).expect("log");
            Log { dir, path }
        }

        fn append(&self, text: &str) {
            let mut file = File::options().append(true).open(&self.path).expect("log");
            file.write_all(text.as_bytes()).expect("written");
        }

        fn follow(&self, start: &StartPosition) -> LogFollower {
            LogFollower::open(&self.path, start).expect("opens")
        }

        fn lines(&self, follower: &mut LogFollower) -> String {
            let mut text = Vec::new();
            while let Some(chunk) = follower.read(&self.path, Vec::new()) {
                text.extend(chunk.data);
            }
            String::from_utf8(text).expect("UTF-8")
        }
    }

    #[test]
    fn whole_lines_once() {
        let log = Log::new("a\nb\npart");
        let mut follower = log.follow(&StartPosition::Head);
        assert_eq!(log.lines(&mut follower), "a\nb\n");
        assert_eq!(log.lines(&mut follower), "");
        log.append("ly\nc\n");
        assert_eq!(log.lines(&mut follower), "partly\nc\n");
    }

    #[test]
    fn wide_lines_are_whole() {
        let log = Log::new("a\0\n\0b\0");
        let mut follower = log.follow(&StartPosition::Head);
        assert_eq!(log.lines(&mut follower), "a\0\n\0");
        log.append("\n\0");
        assert_eq!(log.lines(&mut follower), "b\0\n\0");
    }

    #[test]
    fn the_end_is_told_once() {
        let log = Log::new("");
        let mut follower = log.follow(&StartPosition::Head);
        assert!(
            follower
                .read(&log.path, Vec::new())
                .is_some_and(|chunk| chunk.at_end && chunk.data.is_empty())
        );
        assert!(follower.read(&log.path, Vec::new()).is_none());
    }

    #[test]
    fn starts_where_it_was_told() {
        let log = Log::new("one\ntwo\n");
        let hash = hex(&Sha1::digest(b"one\n"));
        assert_eq!(log.lines(&mut log.follow(&StartPosition::Tail)), "");
        let resume = |hash: &str, offset| StartPosition::Resume {
            first_line_hash: hash.to_owned(),
            offset,
        };
        assert_eq!(log.lines(&mut log.follow(&resume(&hash, 4))), "two\n");
        assert_eq!(
            log.lines(&mut log.follow(&resume("other", 4))),
            "one\ntwo\n"
        );
        assert_eq!(log.lines(&mut log.follow(&resume(&hash, 99))), "one\ntwo\n");
    }

    #[test]
    fn renamed_files_are_read_to_their_end() {
        let log = Log::new("a\n");
        let mut follower = log.follow(&StartPosition::Head);
        assert_eq!(log.lines(&mut follower), "a\n");
        log.append("b\n");
        let old = log.dir.path().join("x.log.1");
        fs::rename(&log.path, &old).expect("renamed");
        fs::write(&log.path, "c\n").expect("new log");
        assert_eq!(log.lines(&mut follower), "b\nc\n");
        // the writer has not noticed yet
        let mut file = File::options().append(true).open(&old).expect("old log");
        file.write_all(b"late\n").expect("written");
        let late = follower.read(&log.path, Vec::new()).expect("a late line");
        assert_eq!(late.data, b"late\n");
        assert!(follower.is_draining());
        // whoever goes on from here reads neither file again
        let resume = StartPosition::Resume {
            first_line_hash: late.first_line_hash.to_string(),
            offset: late.offset,
        };
        assert_eq!(log.lines(&mut log.follow(&resume)), "");
    }

    #[test]
    fn late_lines_of_a_renamed_file_come_before_those_of_the_new_one() {
        let log = Log::new("a\n");
        let mut follower = log.follow(&StartPosition::Head);
        assert_eq!(log.lines(&mut follower), "a\n");
        let old = log.dir.path().join("x.log.1");
        fs::rename(&log.path, &old).expect("renamed");
        fs::write(&log.path, "b\n").expect("new log");
        assert_eq!(log.lines(&mut follower), "b\n");
        // the older file was looked at, and then both grew
        let mut file = File::options().append(true).open(&old).expect("old log");
        file.write_all(b"late\n").expect("written");
        log.append("c\n");
        let place = follower.current.clone().expect("the new log");
        let open = follower.current.as_mut().expect("the new log");
        let read = open.lines(&log.path, &mut Vec::new()).expect("reads");
        assert_eq!(read.as_deref(), Some(&b"c\n"[..]));
        let late = follower.drain_from(place, &log.path);
        assert_eq!(
            late.map(|chunk| chunk.data).as_deref(),
            Some(&b"late\n"[..])
        );
        assert_eq!(log.lines(&mut follower), "c\n");
    }

    #[test]
    fn files_that_come_and_go_while_nothing_is_read_are_read_later() {
        let log = Log::new("a\n");
        let mut follower = log.follow(&StartPosition::Head);
        assert_eq!(log.lines(&mut follower), "a\n");
        for (n, text) in ["b\n", "c\n", "d\n"].into_iter().enumerate() {
            follower.keep_up(&log.path);
            fs::rename(&log.path, log.dir.path().join(format!("x.log.{n}"))).expect("renamed");
            // the writer creates it first and writes then
            fs::write(&log.path, "").expect("new log");
            follower.keep_up(&log.path);
            log.append(text);
            follower.keep_up(&log.path);
        }
        assert_eq!(log.lines(&mut follower), "b\nc\nd\n");
        log.append("e\n");
        assert_eq!(log.lines(&mut follower), "e\n");
    }

    #[test]
    fn truncated_and_rewritten_files_begin_again() {
        let log = Log::new("first line\nsecond\n");
        let mut follower = log.follow(&StartPosition::Head);
        assert_eq!(log.lines(&mut follower), "first line\nsecond\n");
        fs::write(&log.path, "x\n").expect("truncated");
        assert_eq!(log.lines(&mut follower), "x\n");
        fs::write(&log.path, "another first line\nlonger than before\n").expect("rewritten");
        assert_eq!(
            log.lines(&mut follower),
            "another first line\nlonger than before\n"
        );
    }

    #[test]
    fn a_missing_log_is_waited_for() {
        let log = Log::new("a\n");
        let mut follower = log.follow(&StartPosition::Head);
        assert_eq!(log.lines(&mut follower), "a\n");
        fs::remove_file(&log.path).expect("removed");
        assert_eq!(log.lines(&mut follower), "");
        fs::write(&log.path, "b\n").expect("new log");
        assert_eq!(log.lines(&mut follower), "b\n");
    }

    #[test]
    fn endless_lines_are_cut() {
        let log = Log::new("");
        let mut follower = log.follow(&StartPosition::Head);
        log.append(&"x".repeat(3 * LONGEST_LINE));
        log.append("\nnext\n");
        let text = log.lines(&mut follower);
        assert_eq!(text.len(), LONGEST_LINE + 1 + 5);
        assert!(text.ends_with("x\nnext\n"));
    }
}
