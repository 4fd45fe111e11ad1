//! What several end-to-end and differential tests share: the reference, temporary directories,
//! the built binary.
#![allow(dead_code)] // each test binary uses its own part

pub mod cases;
pub mod home;
pub mod journal_file;
pub mod post;
pub mod root;
pub mod site;
pub mod stock;
pub mod words;
pub mod written;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Root of the unpacked original of this version (`tests/get-reference` puts it there).
///
/// # Panics
/// When it is not there: a test that needs it must not pass without it.
pub fn reference(version: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let root = target.join("reference").join(version);
    assert!(
        root.join("usr/bin/fail2ban-client").exists(),
        "no reference at {}: run tests/get-reference first",
        root.display()
    );
    root
}

/// Gives a program the zone and the locale that all tests have, whatever the machine's are.
pub fn pinned(mut command: Command) -> Command {
    command
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("LANGUAGE");
    command
}

/// Gives a program the environment that another one would get.
pub fn like<'c>(command: &'c mut Command, other: &Command) -> &'c mut Command {
    for (name, value) in other.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Debian's Python with the modules of this version of the original. It finds none of the optional
/// modules that some machines have and others don't: its backend `auto` is `polling`.
pub fn python(version: &str) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = [
        here.join("tests/drivers/pinned"),
        reference(version).join("usr/lib/python3/dist-packages"),
    ];
    let mut command = pinned(Command::new("/usr/bin/python3"));
    command
        .env("PYTHONPATH", std::env::join_paths(paths).expect("paths"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HIDDEN_MODULES", "pyinotify dns");
    command
}

/// A program of the original (`fail2ban-client`, `-server`, `-regex`), ready for arguments; see
/// [`python`].
pub fn original(version: &str, program: &str) -> Command {
    let mut command = python(version);
    command.arg(reference(version).join("usr/bin").join(program));
    command
}

/// As [`original`], on a machine with `python3-pyinotify`: its backend `auto` is `pyinotify`.
pub fn original_with_inotify(version: &str, program: &str) -> Command {
    let mut command = original(version, program);
    command.env("HIDDEN_MODULES", "dns");
    command
}

/// Our program under one of its names, through `ferroban SUBCOMMAND`.
pub fn ours(program: &str) -> Command {
    let mut command = pinned(Command::new(env!("CARGO_BIN_EXE_ferroban")));
    command.arg(program.strip_prefix("fail2ban-").unwrap_or(program));
    command
}

/// A directory over the shipped configuration, on a machine that is Debian with neither a journal nor
/// nftables.
///
/// # Panics
/// When it cannot be made.
pub fn plain_machine() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let machine = "[INCLUDES]\nbefore = paths-debian.conf\n";
    std::fs::write(directory.path().join("paths-system.conf"), machine).expect("a file");
    directory
}

/// Starts a server in the foreground over a configuration, in place of what a crash has left.
///
/// # Panics
/// When it cannot be started.
pub fn serve(mut program: Command, etc: &Path) -> Child {
    program
        .arg("-c")
        .arg(etc)
        .args(["-xf", "start"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("server starts")
}

/// Runs the body of a test in a network namespace of its own: the test binary starts itself again
/// under `unshare`, so that no rule ever meets the host's.
///
/// # Panics
/// When the namespaced run fails.
pub fn in_network_namespace(test: &str, body: impl FnOnce()) {
    in_namespace("-n", test, || {
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(
            up.is_ok_and(|status| status.success()),
            "cannot bring up lo"
        );
        body();
    });
}

/// As [`in_network_namespace`], where what is mounted stays inside.
///
/// # Panics
/// When the namespaced run fails.
pub fn in_mount_namespace(test: &str, body: impl FnOnce()) {
    in_namespace("-m", test, body);
}

/// As both.
///
/// # Panics
/// When the namespaced run fails.
pub fn in_network_and_mount_namespace(test: &str, body: impl FnOnce()) {
    in_namespace("-nm", test, body);
}

fn in_namespace(kind: &str, test: &str, body: impl FnOnce()) {
    const INSIDE: &str = "FERROBAN_TEST_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let mut command = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        command.arg("-r");
    }
    let status = command
        .arg(kind)
        .arg(std::env::current_exe().expect("own path"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare (util-linux) starts");
    assert!(status.success(), "{test} failed in its namespace");
}

/// What a script of the shell prints.
///
/// # Panics
/// When there is no shell.
pub fn shell(script: &str) -> String {
    let output = Command::new("/bin/sh")
        .args(["-c", script])
        .output()
        .expect("a shell");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The lines that it prints.
///
/// # Panics
/// When there is no shell.
pub fn lines_of(script: &str) -> Vec<String> {
    shell(script).lines().map(str::to_owned).collect()
}

/// Copies a directory with all below it, following no links.
///
/// # Panics
/// On any error.
pub fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .expect("cp starts");
    assert!(
        status.success(),
        "cp -a {} {}",
        from.display(),
        to.display()
    );
}

/// Asks `check` five times a second until it is true or the time is over; says whether it was.
pub fn eventually(seconds: u64, mut check: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    loop {
        if check() {
            return true;
        }
        if std::time::Instant::now() > end {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
