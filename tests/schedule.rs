//! Shows that go on air by themselves, as an operator has them: compared with other people's calendars, run against the built-in ingest,
//! killed half-way, and told of by real mail and web servers.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while time passes for the programs it started"
)]

#[path = "schedule/alerts.rs"]
mod alerts;
#[path = "schedule/bad_input.rs"]
mod bad_input;
#[path = "schedule/calendars.rs"]
mod calendars;
#[path = "schedule/clock.rs"]
mod clock;
#[path = "schedule/colours.rs"]
mod colours;
#[path = "schedule/killed.rs"]
mod killed;
#[path = "schedule/live.rs"]
mod live;
#[path = "schedule/python.rs"]
mod python;
#[path = "schedule/recurrence.rs"]
mod recurrence;
#[path = "session/rig.rs"]
#[allow(dead_code, reason = "the session's tests use the rest")]
mod rig;
#[path = "schedule/show.rs"]
mod show;
#[path = "schedule/waits.rs"]
mod waits;

use std::time::Duration;

/// The program under test.
const REGIA: &str = env!("CARGO_BIN_EXE_regia");
/// For what takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
