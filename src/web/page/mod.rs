//! What people see: HTML that escapes every text by construction, pictures, and the look of it.

pub mod chart;
pub mod past;
pub mod section;
pub mod table;
pub mod text;
pub mod views;

/// How a page looks; also what `ferroban report --html` makes.
pub const LOOK: &str = include_str!("look.css");
