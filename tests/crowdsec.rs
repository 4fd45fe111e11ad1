//! The bridge to CrowdSec: against the LAPI of CrowdSec's own package, and against one that says what a test
//! wants it to say.
#![allow(clippy::unwrap_used)]

#[path = "fleet/authority.rs"]
mod authority;
#[path = "crowdsec/bridge.rs"]
mod bridge;
mod common;
// the fleet's tests look at its process, too
#[allow(dead_code)]
#[path = "fleet/engine.rs"]
mod engine;
#[path = "crowdsec/fake.rs"]
mod fake;
#[path = "crowdsec/hostile.rs"]
mod hostile;
#[path = "crowdsec/lapi.rs"]
mod lapi;
#[path = "crowdsec/options.rs"]
mod options;
#[path = "crowdsec/place.rs"]
mod place;
#[path = "crowdsec/transaction.rs"]
mod transaction;
