//! Shows that are so many seconds ahead, and what the log says of them.

use crate::PATIENCE;
use crate::rig::{Box, of_kind};
use jiff::{Timestamp, ToSpan};
use regia_testkit::wait;
use serde_json::Value;
use std::time::Duration;

/// The start, by the venue's clock: here UTC.
pub fn in_seconds(s: i64) -> String {
    let at = Timestamp::now() + s.seconds();
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Saves a show from its text.
#[track_caller]
pub fn add(regia: &Box, text: &str) {
    let file = regia.path().join("show.toml");
    std::fs::write(&file, text).unwrap();
    let added = regia.cli(&["show", "add", &file.display().to_string()]);
    assert_eq!(added.code, Some(0), "{}", added.stderr);
}

/// What is planned and running.
pub fn schedule(regia: &Box) -> Option<Value> {
    let said = regia.cli(&["show", "next", "--json"]);
    serde_json::from_str(&said.stdout).ok()
}

/// Waits until no show runs and none is to come.
#[track_caller]
pub fn wait_over(regia: &Box, patience: Duration) {
    let over = wait::until(patience, || {
        let schedule = schedule(regia)?;
        let upcoming = schedule["upcoming"].as_array()?;
        (schedule["running"].is_null() && upcoming.is_empty()).then_some(())
    });
    assert!(over.is_some(), "the run never ended: {:?}", schedule(regia));
}

/// Waits until a step of the run is as wanted: pending, waiting, begun, done, failed or skipped.
#[track_caller]
pub fn wait_step(regia: &Box, number: u64, wanted: &str) {
    let seen = wait::until(PATIENCE, || {
        let schedule = schedule(regia)?;
        let steps = schedule["running"]["steps"].as_array()?;
        let step = steps.iter().find(|step| step["step"] == number)?;
        (step["state"] == wanted).then_some(())
    });
    assert!(
        seen.is_some(),
        "step {number} was never {wanted}: {:?}",
        schedule(regia)
    );
}

/// Every step that was done: its number, what, and how late in ms where it had a time.
pub fn steps(log: &[Value]) -> Vec<(u64, String, Option<f64>)> {
    of_kind(log, "show_step")
        .iter()
        .map(|entry| {
            let what = entry["what"].as_str().unwrap().to_owned();
            (
                entry["step"].as_u64().unwrap(),
                what,
                entry["late_ms"].as_f64(),
            )
        })
        .collect()
}
