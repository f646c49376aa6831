//! The API that panel, CLI and scripts use. In this version it is served on the Unix socket in the state directory.

pub mod api;
pub mod keys;
pub mod log;
mod preflight;
mod reports;
pub mod shows;
