//! Each source killed and restarted.

use crate::support::*;
use crate::watch::*;
use regia::bridge::protocol::{EngineEvent, SourceState};
use regia::config::*;
use regia_testkit::ports;
use regia_testkit::process::{Launch, Process};
use regia_testkit::rtsp::Camera;
use std::cell::RefCell;

/// What ffmpeg sends: a lively picture and a tone, a keyframe each second.
pub fn encoder(arguments: &[&str]) -> Process {
    Launch::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i"])
        .args([
            "testsrc2=s=480x270:r=30",
            "-f",
            "lavfi",
            "-i",
            "sine=440:r=48000",
        ])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
        ])
        .args([
            "-g", "30", "-b:v", "800k", "-pix_fmt", "yuv420p", "-c:a", "aac",
        ])
        .args(arguments)
        .spawn()
}

/// The newest health of the source.
pub fn health(show: &OnAir) -> Option<regia::bridge::report::SourceHealth> {
    show.events.iter().rev().find_map(|event| match event {
        EngineEvent::Health { sources } => sources.first().cloned(),
        _ => None,
    })
}

pub fn srt(mode: SrtMode, port: u16) -> SourceKind {
    SourceKind::Srt {
        mode,
        host: "127.0.0.1".into(),
        port,
        stream_id: None,
        latency_ms: SrtMode::LATENCY_MS,
        passphrase_file: None,
    }
}

/// Loses the source twice and has it back.
async fn lose_twice(show: &mut OnAir, away: f64, lose: impl Fn(), restore: impl Fn()) -> Vec<Loss> {
    show.source_is(SourceState::Live).await;
    seconds(show, 2.0).await;
    let mut losses = Vec::new();
    for _ in 0..2 {
        lose();
        let lost = now();
        seconds(show, away).await;
        restore();
        let back = now();
        show.source_is(SourceState::Live).await;
        seconds(show, 3.0).await;
        losses.push(Loss { lost, back });
    }
    show.finish().await;
    losses
}

#[tokio::test(flavor = "multi_thread")]
async fn an_srt_encoder_that_we_call() {
    called("an SRT encoder that we call", 4.0).await;
}

/// Before SRT has given the connection up, with which it then gives up what was called meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_srt_encoder_that_we_call_and_that_is_soon_back() {
    called("an SRT encoder that is soon back", 1.5).await;
}

async fn called(name: &str, away: f64) {
    let directory = tempfile::tempdir().unwrap();
    let port = ports::free();
    let url = format!("srt://127.0.0.1:{port}?mode=listener");
    let start = || Some(encoder(&["-f", "mpegts", &url]));
    let sender = RefCell::new(start());
    let mut show = OnAir::begin(watched(srt(SrtMode::Caller, port), directory.path())).await;
    let losses = lose_twice(
        &mut show,
        away,
        || drop(sender.take()),
        || drop(sender.replace(start())),
    )
    .await;
    assert_survived(name, &Pictures::of(&show), &losses);
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
    let health = health(&show).unwrap();
    assert_eq!(health.reconnects, 2, "{health:?}");
    assert_eq!(health.format, "480x270 30 fps, 48000 Hz mono");
}

/// SRT keeps the larger of both sides' latencies: nothing comes for three seconds, and that is no loss.
#[tokio::test(flavor = "multi_thread")]
async fn an_srt_encoder_with_a_long_latency() {
    let directory = tempfile::tempdir().unwrap();
    let port = ports::free();
    // It takes several calls, so that it answers while it is called.
    let pipeline = format!(
        "videotestsrc is-live=true ! video/x-raw,width=480,height=270,framerate=30/1 ! x264enc tune=zerolatency \
         speed-preset=ultrafast key-int-max=15 ! mpegtsmux alignment=7 ! \
         srtsink uri=srt://127.0.0.1:{port}?mode=listener latency=3000 wait-for-connection=false"
    );
    let sender = Launch::new("gst-launch-1.0").args(["-q"]);
    let _sender = sender.args(pipeline.split_whitespace()).spawn();
    let mut show = OnAir::begin(watched(srt(SrtMode::Caller, port), directory.path())).await;
    show.source_is(SourceState::Live).await;
    seconds(&mut show, 6.0).await;
    let health = health(&show).unwrap();
    assert_eq!(health.reconnects, 0, "{health:?}");
    show.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_srt_encoder_that_calls_us() {
    let directory = tempfile::tempdir().unwrap();
    let port = ports::free();
    let url = format!("srt://127.0.0.1:{port}?mode=caller");
    let start = || Some(encoder(&["-f", "mpegts", &url]));
    let sender = RefCell::new(None);
    let mut show = OnAir::begin(watched(srt(SrtMode::Listener, port), directory.path())).await;
    let waiting = show.source_is(SourceState::Lost).await;
    assert_eq!(waiting, format!("nobody has called yet at UDP port {port}"));
    sender.replace(start());
    let losses = lose_twice(
        &mut show,
        4.0,
        || drop(sender.take()),
        || drop(sender.replace(start())),
    )
    .await;
    assert_survived(
        "an SRT encoder that calls us",
        &Pictures::of(&show),
        &losses,
    );
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_whose_server_stops() {
    let directory = tempfile::tempdir().unwrap();
    let camera = RefCell::new(Camera::start(directory.path(), 60));
    let url = camera.borrow().url();
    let mut show = OnAir::begin(watched(SourceKind::Rtsp { url }, directory.path())).await;
    let lose = || camera.borrow_mut().unplug();
    let losses = lose_twice(&mut show, 4.0, lose, || camera.borrow_mut().plug_in()).await;
    assert_survived("an RTSP camera", &Pictures::of(&show), &losses);
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
    let health = health(&show).unwrap();
    assert_eq!(health.format, "1280x720 25 fps, 48000 Hz 5.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let path = clip(directory.path());
    let aside = directory.path().join("aside.mp4");
    let kind = SourceKind::File {
        path: path.clone(),
        repeat: true,
    };
    let mut show = OnAir::begin(watched(kind, directory.path())).await;
    // What is open stays readable; so it is cut short, as when a stick is pulled out.
    let lose = || {
        std::fs::copy(&path, &aside).unwrap();
        std::fs::File::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
    };
    let losses = lose_twice(&mut show, 4.0, lose, || {
        std::fs::rename(&aside, &path).unwrap()
    })
    .await;
    assert_survived("a file", &Pictures::of(&show), &losses);
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
}
