//! The panel and its API as a browser, a script and an attacker have them: the program, over TCP.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while time passes for the programs it started"
)]

mod access;
mod client;
mod configuration;
mod described;
mod events;
mod files;
mod hostile;
mod obs;
mod preview;
mod rig;
mod roles;
mod secrets;
mod tls;

use std::time::Duration;

/// The program under test.
const REGIA: &str = env!("CARGO_BIN_EXE_regia");
/// For what takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
