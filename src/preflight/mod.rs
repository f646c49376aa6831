//! Pre-flight: what would go wrong if the broadcast started now? Nothing is published, and every row is there within ten
//! seconds.
//!
//! Pure: `row`, `measured`, `judge`. Shell: `network` goes the ways to the ingests, `machine` looks at the box, `keys` asks the store, `service` joins
//! them with what the session knows and keeps the last measurement for a start that follows.

pub mod judge;
mod keys;
mod machine;
mod measured;
mod network;
pub mod row;
mod service;

pub use row::{Check, Grade, Report, Row};
pub use service::{Ask, Preflight, PreflightError, start};
