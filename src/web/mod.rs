//! `ferroban web`: what the server has to tell, for browsers and for programs that speak HTTP.
//!
//! It is a process of its own. It asks the server by its control socket, as any client, so nothing that
//! happens here holds up a ban.
//!
//! [`serve`] takes connections, [`router`] finds who answers a request, [`access`] knows who asks, by
//! [`users`] and [`sessions`].
//! [`exporter`] tells Prometheus the [`metrics`], written from [`figures`]; [`api`] answers in JSON, [`page`]
//! in HTML, both from the same values ([`api::shapes`]), which [`ask`] has from the server and [`programs`]
//! from the other programs of this one binary. [`agent`] speaks the language of another interface, which
//! [`callback`] tells of bans. [`events`] hands on what happens, as it happens.
#![forbid(unsafe_code)]

pub mod access;
pub mod agent;
pub mod api;
pub mod ask;
pub mod callback;
pub mod events;
pub mod exporter;
pub mod figures;
pub mod metrics;
pub mod page;
pub mod past;
pub mod programs;
pub mod reply;
pub mod role;
pub mod router;
pub mod serve;
pub mod sessions;
pub mod users;
