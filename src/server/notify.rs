//! Tells systemd how the server is: one datagram each (sd_notify(3)), nothing when not asked for.
#![forbid(unsafe_code)]

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The configuration is applied.
pub(super) fn ready() {
    send(&format!("READY=1\nMAINPID={}\n", std::process::id()));
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
