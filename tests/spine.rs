//! The spine, end to end: a real configuration, both processes, a real ingest. What arrives is judged by ffprobe and ffmpeg,
//! or by the built-in rehearsal, as it says.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

#[path = "e2e/spine/camera.rs"]
mod camera;
#[path = "e2e/spine/config.rs"]
mod config;
#[path = "e2e/spine/engine_killed.rs"]
mod engine_killed;
#[path = "e2e/spine/lips.rs"]
mod lips;
#[path = "e2e/spine/newcomer.rs"]
mod newcomer;
#[path = "e2e/spine/nginx_ingest.rs"]
mod nginx_ingest;
#[path = "e2e/spine/other_peers.rs"]
mod other_peers;
#[path = "e2e/spine/rehearse.rs"]
mod rehearse;
#[path = "e2e/rejecting.rs"]
mod rejecting;
#[path = "e2e/spine/secrecy.rs"]
mod secrecy;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The program under test.
const REGIA: &str = env!("CARGO_BIN_EXE_regia");
/// For what takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One encode at a time: two would disturb each other on two cores.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies what was recorded into the directory that REGIA_KEEP names, for somebody to look at.
fn keep(recording: &std::path::Path, name: &str) {
    if let Some(dir) = std::env::var_os("REGIA_KEEP") {
        std::fs::copy(recording, std::path::Path::new(&dir).join(name)).unwrap();
    }
}
