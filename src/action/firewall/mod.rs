//! Firewall commands known by their shape, carried out without a shell and many at a time.

pub mod iptables;
