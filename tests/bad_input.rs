//! Bad input to the real program: each with its exact text and its exit code. What can be told before going on air is told by
//! `regia check` and `regia run`; what only the server's end can tell, by the status and the log of a daemon that goes on trying.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

#[path = "e2e/bad_input/configuration.rs"]
mod configuration;
#[path = "e2e/bad_input/destination.rs"]
mod destination;
#[path = "e2e/rejecting.rs"]
mod rejecting;

use std::time::Duration;

const REGIA: &str = env!("CARGO_BIN_EXE_regia");
const PATIENCE: Duration = Duration::from_secs(60);
