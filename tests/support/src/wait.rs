//! Waiting for what another process does. Bounds are generous: a busy machine must not fail a test.

use std::time::{Duration, Instant};

/// How often an outside condition is looked at; also the error of times measured this way.
pub const TICK: Duration = Duration::from_millis(5);

/// Calls `probe` until it gives something; `None` after `timeout`.
pub fn until<T>(timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(TICK);
    }
}

/// Like `until`, for a condition that must come true: panics with `what` when it does not.
#[track_caller]
pub fn must<T>(what: &str, timeout: Duration, probe: impl FnMut() -> Option<T>) -> T {
    until(timeout, probe).unwrap_or_else(|| panic!("waited {timeout:?} in vain: {what}"))
}
