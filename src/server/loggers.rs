//! Logger names of the server's own log lines; log parsers know them.

/// The server itself.
pub(super) const LOG: &str = "fail2ban.server";
/// What commands came to.
pub(super) const TRANSMITTER: &str = "fail2ban.transmitter";
/// The control socket.
pub(super) const SOCKET: &str = "fail2ban.asyncserver";
/// The original's helper thread.
pub(super) const OBSERVER: &str = "fail2ban.observer";
