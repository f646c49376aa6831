//! Pre-flight on the real program, with each defect planted: each row turns, all are there within ten seconds, and no ingest
//! sees a publish.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

#[path = "e2e/preflight/box_of_defects.rs"]
mod box_of_defects;
#[path = "e2e/preflight/ingests.rs"]
mod ingests;
#[path = "e2e/preflight/keys.rs"]
mod keys;
#[path = "e2e/spine/rehearse.rs"]
mod rehearse;
#[path = "e2e/preflight/rows.rs"]
mod rows;
#[path = "e2e/preflight/uplinks.rs"]
mod uplinks;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const REGIA: &str = env!("CARGO_BIN_EXE_regia");
const PATIENCE: Duration = Duration::from_secs(60);

/// One encode at a time: two would disturb each other on two cores.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}
