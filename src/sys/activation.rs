//! Socket activation: sockets that systemd passes as descriptors (sd_listen_fds(3), fact L6).
#![allow(unsafe_code)]

use std::env;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockaddrLike as _, SockaddrStorage, getsockname};
use nix::sys::stat::{SFlag, fstat};

/// The first descriptor that is passed.
const FIRST: RawFd = 3;
/// The name our socket unit gives it.
const NAME: &str = "fail2ban";

/// Whether a socket was passed to this process.
pub fn is_offered() -> bool {
    count() > 0
}

/// Takes the socket named `fail2ban`, or the first one. Must be called before threads are started;
/// children will not see the offer.
pub fn take() -> Option<UnixListener> {
    let offer = Offer::take()?;
    let index = offer.index(NAME).unwrap_or(0);
    match offer.socket(index.min(offer.count - 1))? {
        Passed::Unix(listener) => Some(listener),
        Passed::Tcp(_) => None,
    }
}

/// A socket of whatever kind.
#[derive(Debug)]
pub enum Passed {
    /// TCP.
    Tcp(TcpListener),
    /// Unix.
    Unix(UnixListener),
}

/// Takes the sockets of these names; a single one without a name is the first. As with [`take`].
pub fn take_named<const N: usize>(names: &[&str; N]) -> [Option<Passed>; N] {
    let Some(offer) = Offer::take() else {
        return [const { None }; N];
    };
    std::array::from_fn(|at| {
        let own = offer.index(names[at]);
        let named = names.iter().any(|name| offer.index(name).is_some());
        let index = own.or_else(|| (at == 0 && !named).then_some(0));
        index.and_then(|index| offer.socket(index))
    })
}

/// What is passed to this process. There is but one, so each socket is taken once.
struct Offer {
    count: usize,
    names: Vec<String>,
}

impl Offer {
    fn take() -> Option<Offer> {
        let count = count();
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            // SAFETY: the caller has not started threads, so nobody reads the environment meanwhile.
            unsafe { env::remove_var(variable) };
        }
        let names = names.split(':').map(str::to_owned).collect();
        (count > 0).then_some(Offer { count, names })
    }

    fn index(&self, name: &str) -> Option<usize> {
        let mut names = self.names.iter().take(self.count);
        names.position(|known| known == name)
    }

    fn socket(&self, index: usize) -> Option<Passed> {
        let number = FIRST + RawFd::try_from(index).ok()?;
        // SAFETY: systemd opened it for this process alone, and the variable that offers it is gone, so
        // nobody takes it twice.
        let listener = unsafe { UnixListener::from_raw_fd(number) };
        let is_socket = fstat(&listener)
            .is_ok_and(|about| about.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits());
        if !is_socket {
            // not open at all, or something else: not ours to close
            std::mem::forget(listener);
            return None;
        }
        fcntl(&listener, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
        let is_unix = getsockname::<SockaddrStorage>(number).ok()?.family();
        Some(match is_unix {
            Some(AddressFamily::Unix) => Passed::Unix(listener),
            _ => Passed::Tcp(OwnedFd::from(listener).into()),
        })
    }
}

/// How many descriptors are meant for this process.
fn count() -> usize {
    let number = |name| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u32>().ok())
    };
    match number("LISTEN_PID") {
        Some(pid) if pid == std::process::id() => number("LISTEN_FDS").unwrap_or(0) as usize,
        _ => 0,
    }
}
