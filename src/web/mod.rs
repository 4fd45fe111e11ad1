//! `ferroban web`: what the server has to tell, for programs that speak HTTP.
//!
//! It is a process of its own. It asks the server by its control socket, as any client, so nothing that
//! happens here holds up a ban. [`figures`] asks, [`metrics`] makes a page of the answers, [`serve`] is
//! the HTTP server.
#![forbid(unsafe_code)]

pub mod figures;
pub mod metrics;
pub mod page;
pub mod serve;
