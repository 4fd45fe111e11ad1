//! Directories that are the root of programs: a machine of a test's own. What is mounted in them needs
//! a mount namespace.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where programs are looked for after a login as root.
pub const LOGIN: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where cron looks for them.
pub const CRON: &str = "/usr/bin:/bin";

/// A root, with `/proc`.
pub struct Root {
    directory: tempfile::TempDir,
    mounts: Vec<PathBuf>,
}

impl Root {
    /// Empty directories where Linux has some, `/etc/hosts` and `/dev/null`.
    fn empty() -> Root {
        let mut root = Root {
            directory: tempfile::tempdir().unwrap(),
            mounts: Vec::new(),
        };
        for directory in [
            "etc", "var/log", "var/lib", "var/run", "run", "tmp", "dev", "root",
        ] {
            fs::create_dir_all(root.path(directory)).unwrap();
        }
        fs::write(root.path("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        fs::write(root.path("dev/null"), "").unwrap();
        root.bind(Path::new("/dev/null"), "dev/null");
        root.bind(Path::new("/proc"), "proc");
        root
    }

    /// With nothing but this program and a shell, and what they are linked with.
    pub fn bare() -> Root {
        let root = Root::empty();
        for (program, place) in [(FERROBAN, "usr/local/sbin/ferroban"), ("/bin/sh", "bin/sh")] {
            let libraries = Command::new("ldd").arg(program).output().unwrap();
            let libraries = String::from_utf8_lossy(&libraries.stdout).into_owned();
            root.copy(program, place);
            for library in libraries
                .split_whitespace()
                .filter(|word| word.starts_with('/'))
            {
                root.copy(library, library);
            }
        }
        root
    }

    /// With the programs of this machine, and this program installed as README.md says.
    pub fn installed() -> Root {
        let mut root = Root::empty();
        let own = tempfile::tempdir_in(root.path("tmp")).unwrap().keep();
        for directory in ["bin", "sbin"] {
            fs::create_dir(own.join(directory)).unwrap();
        }
        root.bind(Path::new("/usr"), "usr");
        root.bind(&own, "usr/local");
        for name in ["/bin", "/sbin", "/lib", "/lib64"] {
            match fs::read_link(name) {
                Ok(link) => std::os::unix::fs::symlink(link, root.path(name)).unwrap(),
                Err(_) => root.bind(Path::new(name), name),
            }
        }
        root.copy(FERROBAN, "usr/local/sbin/ferroban");
        for file in ["passwd", "group", "services", "nsswitch.conf"] {
            let _ = fs::copy(Path::new("/etc").join(file), root.path("etc").join(file));
        }
        let linked = root.shell("ferroban install-links /usr/local/bin", LOGIN);
        assert!(linked.status.success(), "{linked:?}");
        root
    }

    /// A path below the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name.trim_start_matches('/'))
    }

    /// Writes a file and the directories above it.
    pub fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// Has the shell of the root run a line, with this search path and what else cron sets.
    pub fn shell(&self, line: &str, path: &str) -> Output {
        Command::new("/usr/sbin/chroot")
            .arg(self.path(""))
            .args(["/bin/sh", "-c", line])
            .env_clear()
            .envs([
                ("PATH", path),
                ("HOME", "/root"),
                ("SHELL", "/bin/sh"),
                ("LOGNAME", "root"),
            ])
            .output()
            .unwrap()
    }

    fn copy(&self, from: &str, to: &str) {
        fs::create_dir_all(self.path(to).parent().unwrap()).unwrap();
        fs::copy(from, self.path(to)).unwrap();
    }

    fn bind(&mut self, from: &Path, to: &str) {
        let to = self.path(to);
        if from.is_dir() {
            fs::create_dir_all(&to).unwrap();
        }
        let bound = Command::new("mount")
            .arg("--bind")
            .args([from, to.as_path()])
            .status();
        assert!(bound.unwrap().success(), "cannot bind {}", to.display());
        self.mounts.push(to);
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // nothing of the machine may be in it when it is removed
        for mount in self.mounts.iter().rev() {
            let freed = Command::new("umount").arg("-l").arg(mount).status();
            if !freed.is_ok_and(|status| status.success()) {
                self.directory.disable_cleanup(true);
            }
        }
    }
}

const FERROBAN: &str = env!("CARGO_BIN_EXE_ferroban");
