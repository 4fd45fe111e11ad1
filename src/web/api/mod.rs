//! `/api/v1`: what there is to know, as values ([`shapes`]) that the page shows and programs get as JSON.

pub mod gather;
pub mod secrets;
pub mod shapes;
