//! Tests that a machine or a run can't do say so, on the real stderr: the test runner captures `eprintln!` of a test that
//! passes, and a skip that nobody sees is a lie.

use std::io::Write;
use std::time::Duration;

fn say(test: &str, why: &str) {
    // Written past the capture; a closed stderr is no reason to fail.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// True where the run asked for slow tests (`scripts/test.sh --slow`); else says that `test` was skipped.
pub fn slow_enabled(test: &str) -> bool {
    let enabled = is_slow();
    if !enabled {
        say(test, "slow; run scripts/test.sh --slow");
    }
    enabled
}

/// How long a fault lasts: `full` where the run asked for slow tests, else `short`, and then says so.
pub fn length(test: &str, full: Duration, short: Duration) -> Duration {
    if is_slow() {
        return full;
    }
    let why = format!("{short:?} instead of {full:?}; scripts/test.sh --slow runs it whole");
    // As in `say`.
    let _ = writeln!(std::io::stderr(), "SHORTENED {test}: {why}");
    short
}

/// Whether this run asked for slow tests.
pub fn is_slow() -> bool {
    std::env::var_os("REGIA_SLOW").is_some_and(|v| v == "1")
}

/// For what a machine may lack. Says that `test` was skipped and why; in CI (CI=true) it is a failure instead.
pub fn unavailable(test: &str, why: &str) {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{test} can't run, and CI must not skip it: {why}"
    );
    say(test, why);
}

/// For what a machine had no time for, because others were busy on it: says so, in CI too. What is left is judged all the same.
pub fn starved(test: &str, why: &str) {
    say(test, why);
}
