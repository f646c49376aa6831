//! Peers that aren't ours on either side: ffmpeg publishes to the rehearsal, and listens to us.

use crate::config::{SMALL, Source, config};
use crate::rehearse::Rehearsal;
use crate::{PATIENCE, REGIA, alone};
use regia_testkit::media::{self, Recording, Track};
use regia_testkit::process::Launch;
use regia_testkit::{clip, ports, regia, wait};
use serde_json::Value;
use std::path::Path;

/// ffmpeg's own H.264 and AAC of the clip, in real time.
fn ffmpeg_publishes(url: &str, seconds: u32, gop: u32) {
    Launch::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i"])
        .arg(clip())
        .args(["-t", &seconds.to_string(), "-vf", "fps=30,scale=640:360"])
        .args(["-c:v", "libx264", "-preset", "veryfast", "-b:v", "1500k"])
        .args(["-g", &gop.to_string(), "-sc_threshold", "0"])
        .args(["-c:a", "aac", "-ar", "48000", "-ac", "2", "-f", "flv"])
        .arg(format!("{url}/ffmpegs-key"))
        .output();
}

#[track_caller]
fn report_of(dir: &Path, platform: &str, gop: u32) -> (Value, Vec<std::path::PathBuf>) {
    let mut rehearsal = Rehearsal::start(dir, false, &["--once", "--as", platform]);
    ffmpeg_publishes(&rehearsal.url(), 8, gop);
    let code = rehearsal.process.wait_end(PATIENCE).code();
    println!("{}", rehearsal.process.text());
    assert_eq!(code, Some(0), "nothing was lost");
    (rehearsal.finish(), rehearsal.recordings())
}

#[test]
fn the_rehearsal_takes_and_judges_ffmpeg() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (report, recordings) = report_of(dir.path(), "custom", 60);
    let stream = &report["streams"][0];
    assert_eq!(report["verdict"]["ok"], true, "{report:#}");
    assert_eq!(stream["video"]["frames"], 240);
    assert_eq!(stream["video"]["codec"]["width"], 640);
    assert_eq!(stream["video"]["gop"]["min_frames"], 60);
    assert_eq!(stream["video"]["gop"]["exact"], true);
    assert_eq!(stream["video"]["timestamps"]["went_back"], 0);
    assert_eq!(stream["video"]["grid"]["bent"], 0);
    assert_eq!(stream["audio"]["codec"]["sample_rate"], 48_000);
    assert_eq!(stream["interruptions"], 0);
    assert_eq!(report["failures"], serde_json::json!([]), "{report:#}");
    // Without our stamps nothing can be said of losses, and the report says so rather than nothing.
    assert_eq!(stream["stamps"]["stamped"], 0);
    assert_eq!(recordings.len(), 1);
    let recording = Recording::read(&recordings[0]);
    assert_eq!(recording.track(Track::Video).count(), 240);
    assert_eq!(media::decodes_cleanly(&recordings[0]), Ok(()));
}

/// A judgement that can't be bad is none.
#[test]
fn the_rehearsal_finds_fault_with_gops_that_are_too_long() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (report, _) = report_of(dir.path(), "linkedin", 150);
    assert_eq!(report["verdict"]["ok"], false, "{report:#}");
    let findings = report["verdict"]["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    println!("{}", findings[0]);
}

#[test]
fn ffmpeg_takes_ours() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("arrived.flv");
    let addr = ports::loopback();
    let url = format!("rtmp://{addr}/live");
    let mut ffmpeg = Launch::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "flv", "-listen", "1", "-i"])
        .arg(format!("{url}/ours"))
        .args(["-c", "copy"])
        .arg(&file)
        .spawn();
    wait::must("ffmpeg listens", PATIENCE, || {
        ports::is_listening(ffmpeg.pid(), addr).then_some(())
    });
    let text = config(&SMALL, &Source::File(&clip()), &url, "ours", None);
    let mut regia = regia::Setup::new(REGIA, text).start();
    regia.wait_status("8 s on air", PATIENCE, |status| {
        status["state"] == "ON AIR" && status["elapsed_s"].as_f64().is_some_and(|s| s > 8.0)
    });
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
    assert!(ffmpeg.wait_end(PATIENCE).success(), "{}", ffmpeg.text());
    let recording = Recording::read(&file);
    let frames = recording.track(Track::Video).count();
    println!("{frames} frames, GOPs {:?}", recording.gop_frames());
    assert!(frames >= 220, "{frames}");
    assert!(recording.gop_frames().iter().all(|&gop| gop == 60));
    assert_eq!(recording.backward_steps(Track::Video), 0);
    assert_eq!(recording.backward_steps(Track::Audio), 0);
    assert_eq!(media::decodes_cleanly(&file), Ok(()));
}
