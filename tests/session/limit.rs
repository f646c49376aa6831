//! The guard against an ingest that cuts as the platform does: a clean end before it, and a rollover.

use crate::rig::{Box, Ingest, address, assert_every_frame, of_kind, sleep};
use regia_testkit::skip;
use std::time::Duration;

/// LinkedIn's limit, shortened; `margin` leaves time for the closing slate.
fn ends_before(limit: u64, margin: u64, closing: u64, warnings: &[u64]) {
    let addr = address();
    let mut rig = Box::new(&format!(
        "[session]\nclosing_s = {closing}\n[[destination]]\nid = \"show\"\nplatform = \"linkedin\"\nserver = \"rtmp://{addr}/live\"\n\
         key = \"guarded-key-of-one-event\"\nlimit_s = {limit}\nmargin_s = {margin}\n\
         [[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"RECORDINGS\"\n"
    ));
    let args = ["--as", "linkedin", "--limit", &limit.to_string()];
    let mut ingest = Ingest::listen(rig.path(), addr, &args);
    rig.start(&["--live"]);
    let status = rig.wait_state("ON AIR");
    let left = status["destinations"][0]["ends_in_s"].as_f64().unwrap();
    assert!(left > 0.0 && left <= (limit - margin) as f64, "{left}");
    assert_eq!(status["destinations"][0]["reach"]["public"], "unknown");
    sleep(Duration::from_secs_f64((left - 1.0).max(0.0)));
    rig.wait_state("SLATE");
    rig.wait_state("ENDED");
    rig.end();

    let log = rig.log();
    let published = of_kind(&log, "publishing")[0]["elapsed_s"]
        .as_f64()
        .unwrap();
    let since = |entry: &serde_json::Value| entry["elapsed_s"].as_f64().unwrap() - published;
    let close = (limit - margin) as f64;
    let near = |time: f64, wanted: f64| (time - wanted).abs() < 1.5;
    let warned = of_kind(&log, "guard_warning");
    assert_eq!(warned.len(), warnings.len(), "{warned:?}");
    for (entry, before) in warned.iter().zip(warnings) {
        assert!(near(since(entry), close - *before as f64), "{entry}");
    }
    assert!(near(since(of_kind(&log, "closing_scene")[0]), close));
    let reached = since(of_kind(&log, "limit_reached")[0]);
    assert!(near(reached, close + closing as f64), "{reached}");
    let ended = of_kind(&log, "destination_ended")[0];
    assert_eq!(ended["reason"], "limit");

    let report = ingest.report();
    let publishes = report["streams"][0]["publishes"].as_array().unwrap();
    assert_eq!(publishes.len(), 1);
    assert_eq!(publishes[0]["ended"], "deleted", "{publishes:?}");
    let arrived = ingest.arrived();
    let slate = arrived.iter().filter(|frame| frame.is_none()).count() as f64;
    assert!(
        slate > closing as f64 * 30.0 * 0.7,
        "{slate} frames of slate"
    );
    // The recording has the programme behind the slate as well.
    assert_every_frame(&rig.recorded());
}

#[test]
fn linkedin_is_ended_before_it_cuts() {
    ends_before(22, 14, 4, &[8]);
}

#[test]
fn linkedin_is_ended_before_it_cuts_at_240_s() {
    if skip::slow_enabled("linkedin_is_ended_before_it_cuts_at_240_s") {
        ends_before(240, 100, 10, &[140, 60]);
    }
}

/// The luma of each frame of a recording where it is darkest, as a viewer's decoder gives it.
fn luma_of(recording: &std::path::Path) -> Vec<u8> {
    let decoded = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(recording)
        .args(["-vf", "scale=2:2:flags=area", "-fps_mode", "passthrough"])
        .args(["-pix_fmt", "gray", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let quarters = decoded.stdout.as_chunks::<4>().0.iter();
    quarters
        .filter_map(|quarters| quarters.iter().min().copied())
        .collect()
}

/// Where a scene is to close the show, the guard takes it in the place of the slate, and lays nothing over the programme.
#[test]
fn a_closing_scene_is_taken_before_the_end() {
    const CLOSING_S: u64 = 5;
    let addr = address();
    let mut rig = Box::new(&format!(
        "[[source]]\nid = \"bye\"\nkind = \"image\"\npath = \"bye.png\"\n\
         [[scene]]\nid = \"wide\"\nlayers = [{{ source = \"main\" }}]\n\
         [[scene]]\nid = \"goodbye\"\nlayers = [{{ source = \"bye\" }}]\n\
         [session]\nclosing_s = {CLOSING_S}\nclosing_scene = \"goodbye\"\n\
         [[destination]]\nid = \"show\"\nplatform = \"linkedin\"\nserver = \"rtmp://{addr}/live\"\n\
         key = \"guarded-key-of-one-event\"\nlimit_s = 24\nmargin_s = 14\n\
         [[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"RECORDINGS\"\n"
    ));
    // White: nothing of the test picture is as bright all over.
    let white = image::RgbImage::from_pixel(480, 270, image::Rgb([255; 3]));
    white.save(rig.path().join("bye.png")).unwrap();
    let mut ingest = Ingest::listen(rig.path(), addr, &["--as", "linkedin", "--limit", "24"]);
    rig.start(&["--live"]);
    assert_eq!(rig.wait_state("ON AIR")["scene"], "wide");
    let closing = rig.wait("the closing scene", |status| status["scene"] == "goodbye");
    assert_eq!(closing["state"], "ON AIR", "it is no slate");
    rig.wait_state("ENDED");
    rig.end();

    let log = rig.log();
    let closed = of_kind(&log, "closing_scene");
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert_eq!(closed[0]["scene"], "goodbye");
    let taken = of_kind(&log, "scene_taken");
    assert_eq!(taken[0]["scene"], "goodbye", "{taken:?}");
    let at = |entry: &serde_json::Value| entry["elapsed_s"].as_f64().unwrap();
    let reached = of_kind(&log, "limit_reached")[0];
    let shown = at(reached) - at(closed[0]);
    assert!((shown - CLOSING_S as f64).abs() < 1.5, "{shown} s");

    let report = ingest.report();
    let publishes = report["streams"][0]["publishes"].as_array().unwrap();
    assert_eq!(publishes.len(), 1);
    assert_eq!(publishes[0]["ended"], "deleted", "{publishes:?}");
    // What went out is the programme up to its end, and its end is the scene; a slate has no stamps.
    assert!(ingest.arrived().iter().all(Option::is_some), "no slate");
    let files = regia_testkit::flv::files(&rig.path().join("ingest/arrived"));
    assert_eq!(files.len(), 1, "{files:?}");
    let luma = luma_of(&files[0]);
    let bright = luma.iter().rev().take_while(|luma| **luma > 200).count();
    println!("{bright} of {} frames are the closing scene", luma.len());
    assert!(
        (bright as f64 - CLOSING_S as f64 * 30.0).abs() < 45.0,
        "{bright} frames of the closing scene"
    );
    assert!(luma[..luma.len() - bright].iter().all(|luma| *luma <= 200));
    assert_every_frame(&rig.recorded());
}

#[test]
fn a_rollover_loses_nothing() {
    let addr = address();
    let mut rig = Box::new(&format!(
        "[[destination]]\nid = \"show\"\nserver = \"rtmp://{addr}/live\"\nkey = \"the-first-key-aaaa\"\nlimit_s = 20\nmargin_s = 14\n\
         on_limit = \"rollover\"\nrollover_key = \"the-second-key-bbbb\"\n\
         [[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"RECORDINGS\"\n"
    ));
    let mut ingest = Ingest::listen(rig.path(), addr, &["--limit", "20"]);
    rig.start(&["--live"]);
    // For how long both run, a busy machine decides; the log knows that they did.
    rig.wait("the second alone", |status| {
        let all = status["destinations"].as_array();
        all.is_some_and(|all| all.len() == 1 && all[0]["session"] == 2)
    });
    assert_eq!(rig.status().unwrap()["state"], "ON AIR");
    sleep(Duration::from_secs(2));
    let stopped = rig.cli(&["live", "stop"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    rig.wait_state("ENDED");
    rig.end();

    let log = rig.log();
    let at = |kind: &str, which: usize| {
        let found = of_kind(&log, kind);
        let index = log.iter().position(|e| std::ptr::eq(e, found[which]));
        index.unwrap()
    };
    assert!(at("publishing", 1) < at("destination_ended", 0));
    assert_eq!(log[at("destination_ended", 0)]["reason"], "rolled_over");
    assert_eq!(log[at("destination_ended", 1)]["reason"], "asked");
    let report = ingest.report();
    let streams = report["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 2);
    for stream in streams {
        assert_eq!(stream["publishes"][0]["ended"], "deleted");
        assert_eq!(stream["video"]["stamps"]["lost"].as_u64().unwrap_or(0), 0);
    }
    let recorded = rig.recorded();
    assert_every_frame(&recorded);
    // Whatever was recorded reached the audience, in one session or the other.
    let arrived: std::collections::BTreeSet<u64> =
        ingest.arrived().iter().flatten().map(|s| s.frame).collect();
    let missing: Vec<u64> = recorded
        .iter()
        .flatten()
        .map(|stamp| stamp.frame)
        .filter(|frame| !arrived.contains(frame))
        .collect();
    assert_eq!(missing, Vec::<u64>::new());
}
