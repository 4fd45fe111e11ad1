//! Reports the state of the server to systemd (sd_notify(3)), if it asks for that.
#![forbid(unsafe_code)]

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The configuration is applied.
pub(super) fn ready() {
    send(&format!("READY=1\nMAINPID={}\n", std::process::id()));
}

/// A reload has begun; its end is told by [`ready`].
pub(super) fn reloading() {
    send("RELOADING=1\n");
}

/// A sign of life, and what `systemctl status` shows.
pub(super) fn alive(jails: usize, bans: i64) {
    send(&format!(
        "WATCHDOG=1\nSTATUS={jails} jail(s), {bans} ban(s)\n"
    ));
}

/// Within which time systemd wants a sign of life; `None` when it does not, or not from this process.
pub(super) fn watchdog_limit() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let limit = number("WATCHDOG_USEC").filter(|limit| *limit > 0)?;
    let own = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    own.then(|| Duration::from_micros(limit))
}

/// The end has begun.
pub(super) fn stopping() {
    send("STOPPING=1\n");
}

fn send(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&name),
    };
    // a supervisor that does not listen is no reason to fail
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(state.as_bytes(), &address);
    }
}
