//! What somebody sees first: `regia demo`, which goes the whole way on one box, and `regia doctor`, which says what this box has.

use crate::{REGIA, alone};
use regia_testkit::{regia, skip};
use serde_json::Value;

#[test]
fn the_demo_ends_by_itself_and_has_lost_nothing() {
    let _alone = alone();
    let outcome = regia::run(REGIA, &["demo", "--seconds", "6"]);
    let said = outcome.stdout + &outcome.stderr;
    println!("{said}");
    let seconds = said
        .lines()
        .filter(|line| line.contains(" fps  video ") && line.contains("latency "))
        .count();
    assert!(seconds >= 3, "{seconds} lines of what arrives each second");
    let (_, report) = said.split_once(" in 1 publish\n").expect("a report");
    assert!(report.contains("H.264 High") && report.contains("AAC-LC 48000 Hz"));
    if said.contains("frames were left out") {
        skip::starved(
            "the verdict of regia demo",
            "this machine was too busy to encode 720p30",
        );
        return;
    }
    assert!(report.contains(" 0 lost, 0 doubled, 0 repeated"));
    assert!(report.contains("Verdict: ok"));
    assert_eq!(outcome.code, Some(0));
}

#[test]
fn the_doctor_has_tried_every_encoder() {
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().display().to_string();
    let text = regia::run(REGIA, &["doctor", "--state", &dir]);
    assert!(
        text.stdout
            .contains("encoder x264enc       encoded the frames of its trial"),
        "{text:?}"
    );
    let json = regia::run(REGIA, &["doctor", "--json", "--state", &dir]);
    let found: Value = serde_json::from_str(&json.stdout).unwrap();
    let version = found["engine"]["gstreamer"].as_str().unwrap_or_default();
    assert!(version.starts_with("GStreamer 1."), "{found}");
    assert_eq!(found["engine"]["missing"], Value::Array(vec![]), "{found}");
    let tried = found["engine"]["encoders"].as_array().unwrap();
    for element in ["x264enc", "openh264enc"] {
        let one = tried.iter().find(|one| one["element"] == element);
        assert!(one.is_some_and(|one| one["error"].is_null()), "{found}");
    }
    // A hardware encoder that is not there, or does not encode, says why.
    let of_hardware = tried.iter().find(|one| one["element"] == "nvh264enc");
    assert!(of_hardware.is_some(), "{found}");
    let machine = &found["machine"];
    assert!(machine["clock"]["state"].is_string(), "{found}");
    assert!(machine["cpus"].as_u64().is_some_and(|cpus| cpus > 0));
    assert_eq!(machine["disks"][0]["path"], dir.as_str(), "{found}");
    assert!(machine["disks"][0]["free_bytes"].as_u64() > Some(0));
}
