//! Files under random treatment against a model of what a reader must see: every whole line
//! once, in order, whatever happens to the file's name.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ferroban::parts::source::{Chunk, LogSubscription, Sources, StartPosition, Watch};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// A log as a daemon and its log rotation treat it.
struct World {
    dir: tempfile::TempDir,
    path: PathBuf,
    /// The path is a link to the log.
    linked: bool,
    /// As the daemon holds it, whatever its name is.
    file: File,
    /// Whole lines a reader must get.
    expected: Vec<String>,
    /// Written of a line that has no end yet.
    partial: String,
    /// Beginnings of lines in files that were rotated away: told at last, when such a file has
    /// been left alone for ten seconds, or never.
    orphans: Vec<String>,
    lines: usize,
    rotations: usize,
    random: fastrand::Rng,
    story: Vec<&'static str>,
}

impl World {
    fn new(seed: u64) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("logs")).expect("a directory");
        let path = dir.path().join("logs/a.log");
        let linked = seed.is_multiple_of(4);
        if linked {
            symlink("real.0", &path).expect("links");
        }
        let file = open(&path);
        World {
            dir,
            path,
            linked,
            file,
            expected: Vec::new(),
            partial: String::new(),
            orphans: Vec::new(),
            lines: 0,
            rotations: 0,
            random: fastrand::Rng::with_seed(seed),
            story: Vec::new(),
        }
    }

    fn new_line(&mut self) -> String {
        self.lines += 1;
        let tail = "x".repeat(self.random.usize(..60));
        format!("line {} {tail}", self.lines)
    }

    fn write_lines(&mut self) {
        let mut text = String::new();
        for _ in 0..1 + self.random.usize(..4) {
            let line = self.new_line();
            text += &line;
            text.push('\n');
            self.expected
                .push(std::mem::take(&mut self.partial) + &line);
        }
        self.file.write_all(text.as_bytes()).expect("writes");
    }

    fn burst(&mut self) {
        for _ in 0..200 {
            self.write_lines();
        }
    }

    fn write_part(&mut self) {
        let part = self.new_line();
        self.file.write_all(part.as_bytes()).expect("writes");
        self.partial += &part;
    }

    fn orphan(&mut self) {
        if !self.partial.is_empty() {
            self.orphans.push(std::mem::take(&mut self.partial));
        }
    }

    fn old_name(&mut self) -> PathBuf {
        self.rotations += 1;
        self.dir
            .path()
            .join(format!("logs/a.log.{}", self.rotations))
    }

    /// The daemon's next line goes to a new file; what it had begun stays without an end.
    fn reopen(&mut self) {
        self.file = open(&self.path);
        self.orphan();
    }

    /// Something happens to the file. All whole lines were read before, so none may be lost.
    async fn rotate(&mut self) {
        let old = self.old_name();
        let kind = match self.linked {
            true => self.random.u8(9..12),
            false => self.random.u8(..12),
        };
        match kind {
            0 => {
                self.story.push("rename, create");
                fs::rename(&self.path, old).expect("renames");
                self.reopen();
            }
            1 => {
                self.story.push("rename, write to the old one, create");
                fs::rename(&self.path, old).expect("renames");
                self.write_lines();
                sleep(Duration::from_millis(self.random.u64(..5))).await;
                self.write_lines();
                self.reopen();
            }
            2 => {
                self.story
                    .push("rename, create empty, write to the old one");
                fs::rename(&self.path, old).expect("renames");
                let new = open(&self.path);
                self.write_lines();
                self.orphan();
                self.file = new;
            }
            3 => {
                self.story.push("copy and truncate");
                fs::copy(&self.path, old).expect("copies");
                self.file.set_len(0).expect("truncates");
                self.orphan();
            }
            4 => {
                self.story.push("unlink, create");
                fs::remove_file(&self.path).expect("unlinks");
                self.reopen();
            }
            5 => {
                self.story.push("unlink, create later");
                fs::remove_file(&self.path).expect("unlinks");
                sleep(Duration::from_millis(self.random.u64(..20))).await;
                self.reopen();
            }
            6 => {
                self.story.push("replace by another");
                self.orphan();
                let new = self.dir.path().join("logs/new");
                self.file = open(&new);
                self.write_lines();
                fs::rename(&new, &self.path).expect("renames");
            }
            7 => {
                self.story.push("truncate and write more at once");
                self.file.set_len(0).expect("truncates");
                self.orphan();
                while self.file.metadata().expect("metadata").len() < 4000 {
                    self.write_lines();
                }
            }
            9 => {
                self.story.push("copy and truncate, to the same size");
                let size = self.file.metadata().expect("metadata").len() as usize;
                fs::copy(&self.path, old).expect("copies");
                self.file.set_len(0).expect("truncates");
                self.orphan();
                let start = self.new_line();
                if size > start.len() {
                    let line = format!("{start}{}", "=".repeat(size - start.len() - 1));
                    writeln!(self.file, "{line}").expect("writes");
                    self.expected.push(line);
                }
            }
            10 if self.linked => {
                self.story.push("switch the link");
                let real = format!("real.{}", self.rotations);
                self.file = open(&self.dir.path().join("logs").join(&real));
                self.orphan();
                let next = self.dir.path().join("logs/next");
                symlink(real, &next).expect("links");
                fs::rename(next, &self.path).expect("renames");
            }
            10 => {
                self.story.push("rename, create unreadable, readable later");
                fs::rename(&self.path, old).expect("renames");
                self.reopen();
                let mode = |mode| fs::set_permissions(&self.path, fs::Permissions::from_mode(mode));
                mode(0o000).expect("changes the mode");
                self.file.write_all(b"hidden\n").expect("writes");
                self.expected.push("hidden".to_owned());
                sleep(Duration::from_millis(self.random.u64(..5))).await;
                mode(0o644).expect("changes the mode");
            }
            11 => {
                self.story.push("unreadable while it is read");
                let mode = |mode| fs::set_permissions(&self.path, fs::Permissions::from_mode(mode));
                mode(0o000).expect("changes the mode");
                sleep(Duration::from_millis(self.random.u64(..3))).await;
                mode(0o644).expect("changes the mode");
            }
            _ => {
                self.story.push("remove the directory, make it again");
                let logs = self.dir.path().join("logs");
                fs::remove_dir_all(&logs).expect("removes");
                sleep(Duration::from_millis(self.random.u64(..5))).await;
                fs::create_dir(&logs).expect("creates");
                self.reopen();
            }
        }
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("opens")
}

/// One who reads, quickly or slowly.
struct Watcher {
    inbox: mpsc::Receiver<Arc<Chunk>>,
    _subscription: LogSubscription,
    got: Vec<String>,
    ended: bool,
    /// Where a reader that is started anew goes on.
    place: StartPosition,
}

impl Watcher {
    async fn new(sources: &Sources, path: &Path, watch: Watch, capacity: usize) -> Watcher {
        let (sender, inbox) = mpsc::channel(capacity);
        let subscription = sources
            .add(path, StartPosition::Head, watch, sender)
            .await
            .expect("the file is there");
        Watcher {
            inbox,
            _subscription: subscription,
            got: Vec::new(),
            ended: false,
            place: StartPosition::Head,
        }
    }

    /// As after a crash: what was on its way is lost, and asked for again.
    async fn restart(&mut self, sources: &Sources, path: &Path, watch: Watch) {
        let (sender, inbox) = mpsc::channel(4);
        let added = sources.add(path, self.place.clone(), watch, sender).await;
        self._subscription = added.expect("the file is there");
        self.inbox = inbox;
    }

    /// Reads until it has this many lines.
    async fn catch_up(&mut self, count: usize) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(60);
        while self.got.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            match timeout(left, self.inbox.recv()).await {
                Ok(Some(chunk)) => {
                    assert!(chunk.data.is_empty() || chunk.data.ends_with(b"\n"));
                    self.ended = chunk.at_end;
                    if !chunk.first_line_hash.is_empty() {
                        self.place = StartPosition::Resume {
                            first_line_hash: chunk.first_line_hash.to_string(),
                            offset: chunk.offset,
                        };
                    }
                    let text = String::from_utf8(chunk.data.clone()).expect("text");
                    self.got.extend(text.lines().map(str::to_owned));
                }
                Ok(None) => return Err("the reader ended".to_owned()),
                Err(_) => return Err(format!("only {} lines", self.got.len())),
            }
        }
        Ok(())
    }
}

async fn sequence(sources: Sources, watch: Watch, seed: u64, steps: usize) {
    let mut world = World::new(seed);
    let mut watchers = vec![
        Watcher::new(&sources, &world.path, watch, 64).await,
        Watcher::new(&sources, &world.path, watch, 1).await,
    ];
    for _ in 0..steps {
        match world.random.u8(..12) {
            0..=4 => {
                world.story.push("lines");
                world.write_lines();
            }
            5 => {
                world.story.push("burst");
                world.burst();
            }
            6 | 7 => {
                world.story.push("part of a line");
                world.write_part();
            }
            8 => {
                settle(&mut watchers, &world, seed).await;
                world.story.push("restart");
                world.write_lines();
                watchers[0].restart(&sources, &world.path, watch).await;
                world.write_lines();
            }
            _ => {
                settle(&mut watchers, &world, seed).await;
                world.rotate().await;
                world.write_lines();
            }
        }
        if world.random.bool() {
            sleep(Duration::from_micros(world.random.u64(..3000))).await;
        }
        if world.random.u8(..4) == 0 {
            settle(&mut watchers, &world, seed).await;
        }
    }
    settle(&mut watchers, &world, seed).await;
    // Nothing comes twice.
    sleep(Duration::from_millis(20)).await;
    for watcher in &mut watchers {
        while let Ok(chunk) = watcher.inbox.try_recv() {
            let text = String::from_utf8_lossy(&chunk.data).into_owned();
            let known = |line: &str| world.orphans.iter().any(|orphan| orphan == line);
            assert!(text.lines().all(known), "seed {seed}: {:?}", world.story);
        }
    }
}

async fn settle(watchers: &mut [Watcher], world: &World, seed: u64) {
    for watcher in watchers {
        let mut result = Ok(());
        while result.is_ok() && watcher.got.len() < world.expected.len() {
            result = watcher.catch_up(world.expected.len()).await;
            watcher.got.retain(|line| !world.orphans.contains(line));
        }
        assert_eq!(result, Ok(()), "seed {seed}: {:?}", world.story);
        let lines = watcher.got.iter().zip(&world.expected);
        let first = lines
            .enumerate()
            .find(|(_, (got, expected))| got != expected);
        assert!(
            first.is_none() && watcher.got.len() == world.expected.len(),
            "seed {seed}: {} lines for {}, first difference {first:?}\n{:?}",
            watcher.got.len(),
            world.expected.len(),
            world.story
        );
    }
}

async fn sequences(watch: Watch, seeds: std::ops::Range<u64>, steps: usize) {
    let sources = Sources::new();
    let tasks: Vec<_> = seeds
        .map(|seed| tokio::spawn(sequence(sources.clone(), watch, seed, steps)))
        .collect();
    for task in tasks {
        task.await.expect("as the model says");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_show_every_line_once() {
    sequences(Watch::Inotify, 0..800, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polling_shows_every_line_once() {
    sequences(Watch::Polling, 1000..1200, 8).await;
}

/// Root may read everything; nobody may not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_read_is_read_later() {
    if !nix::unistd::geteuid().is_root() {
        return sequences(Watch::Inotify, 2000..2100, 20).await;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("model");
    fs::copy(std::env::current_exe().expect("own path"), &program).expect("copies");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    mode(directory.path(), 0o755).expect("changes the mode");
    mode(&program, 0o755).expect("changes the mode");
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["--exact", "what_may_not_be_read_is_read_later"])
        .env("TMPDIR", "/tmp")
        .status()
        .expect("setpriv (util-linux) starts");
    assert!(status.success());
}
