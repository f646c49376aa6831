//! The session as an operator has it: the program, a state directory, and the built-in ingest. Limits, crashes, dumps, keys, and
//! state directories that can't be used.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while time passes for the programs it started"
)]

#[path = "session/dump.rs"]
mod dump;
#[path = "session/limit.rs"]
mod limit;
#[path = "session/resume.rs"]
mod resume;
#[path = "session/rig.rs"]
mod rig;
#[path = "session/state.rs"]
mod state;
#[path = "session/stops.rs"]
mod stops;

use std::time::Duration;

/// The program under test.
const REGIA: &str = env!("CARGO_BIN_EXE_regia");
/// For what takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
