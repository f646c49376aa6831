//! What the programme is made of: its grid, its GOPs, its stamps, both tracks beside each other.

use crate::support::*;
use regia::bridge::protocol::EngineEvent;
use regia::config::*;
use regia::media::{FrameRate, MediaTime, Track};
use regia::stamp;

/// What must hold of any programme.
fn assert_sound(show: &OnAir, fps: FrameRate, gop: usize) {
    let config = &show.configs[0];
    assert_eq!(show.configs.len(), 1, "the configuration changed");
    let avcc = &config.video.avcc;
    assert_eq!((avcc[0], avcc[1]), (1, 100), "H.264 High in avcC form");
    assert_eq!(
        config.audio.asc[..2],
        [0x11, 0x90],
        "AAC-LC, 48 kHz, stereo"
    );

    let keyframes: Vec<usize> = (0..show.video.len())
        .filter(|n| show.video[*n].keyframe)
        .collect();
    assert_eq!(keyframes[0], 0, "the first unit is a keyframe");
    assert!(
        keyframes.windows(2).all(|w| w[1] - w[0] == gop),
        "{keyframes:?}"
    );

    assert!(show.video.windows(2).all(|w| w[0].dts < w[1].dts));
    assert!(show.video.iter().all(|u| u.dts <= u.pts));
    let mut shown: Vec<MediaTime> = show.video.iter().map(|u| u.pts).collect();
    shown.sort_unstable();
    let first = fps.frame_at(shown[0]);
    for (n, pts) in shown.iter().enumerate() {
        assert_eq!(
            *pts,
            fps.frame_time(first + n as i64),
            "frame {n} is off the grid"
        );
    }

    for pair in show.audio.windows(2) {
        let step = pair[1].pts.0 - pair[0].pts.0;
        assert!(
            (21_333..=21_334).contains(&step),
            "sound steps by {step} µs"
        );
    }
    let apart = (show.audio[0].pts.0 - shown[0].0).abs();
    assert!(apart < 50_000, "the tracks start {apart} µs apart");
}

fn assert_stamps(show: &OnAir, fps: FrameRate) {
    let mut last = None;
    for unit in &show.video {
        let stamp = stamp::find(&unit.data).expect("a stamp");
        assert_eq!(stamp.frame as i64, fps.frame_at(unit.pts));
        let behind_pts = stamp.captured_us as i64 - unit.pts.0;
        assert_eq!(
            *last.get_or_insert(behind_pts),
            behind_pts,
            "the wall clock moved"
        );
    }
}

/// Sound beside pictures: never more than 200 ms ahead of the video's decode time or behind it.
fn assert_side_by_side(show: &OnAir) {
    let (mut video, mut audio) = (None, None);
    let running = show.order.len() - show.order.len() / 10;
    for (track, ms) in &show.order[..running] {
        match track {
            Track::Video => video = Some(*ms),
            Track::Audio => audio = Some(*ms),
        }
        if let (Some(video), Some(audio)) = (video, audio) {
            assert!(i64::abs(video - audio) <= 200, "{video} beside {audio}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programme_is_whole() {
    let mut show = OnAir::begin(spec(SourceKind::Test)).await;
    show.video_units(190).await;
    show.finish().await;
    assert_sound(&show, FPS, 60);
    assert_stamps(&show, FPS);
    assert_side_by_side(&show);
    assert!(show.video.iter().any(|u| u.dts < u.pts), "B-frames");
    assert_eq!(show.ends, ["the engine was stopped"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_looped_file_is_whole_at_a_fractional_rate() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = spec(SourceKind::File {
        path: clip(directory.path()),
        repeat: true,
    });
    let fps = FrameRate {
        num: 30_000,
        den: 1_001,
    };
    spec.programme.fps = fps;
    spec.programme.video.tune = Tune::Latency;
    let mut show = OnAir::begin(spec).await;
    show.video_units(190).await;
    show.finish().await;
    assert_sound(&show, fps, 60);
    assert_stamps(&show, fps);
    assert_side_by_side(&show);
    assert!(show.video.iter().all(|u| u.dts == u.pts), "no B-frames");
}

#[tokio::test(flavor = "multi_thread")]
async fn openh264_does_it_too_and_stamps_can_be_left_out() {
    let mut spec = spec(SourceKind::Test);
    spec.programme.video.encoder = EncoderChoice::Openh264;
    spec.programme.stamp = false;
    let mut show = OnAir::begin(spec).await;
    show.video_units(130).await;
    show.finish().await;
    assert_sound(&show, FPS, 60);
    assert!(show.video.iter().all(|u| stamp::find(&u.data).is_none()));
    let encoder = show.events.iter().find_map(|e| match e {
        EngineEvent::Encoder { name, .. } => Some(name.clone()),
        _ => None,
    });
    assert_eq!(encoder.as_deref(), Some("openh264enc"));
    let directory = tempfile::tempdir().unwrap();
    let (video, _) = show.write(directory.path());
    tool(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-xerror",
            "-i",
            video.to_str().unwrap(),
            "-f",
            "null",
            "-",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn flash_and_beep_come_together() {
    let mut show = OnAir::begin(spec(SourceKind::Test)).await;
    show.video_units(160).await;
    show.finish().await;
    let (flashes, beeps) = show.flashes_and_beeps();
    assert!(flashes.len() >= 4, "{flashes:?}");
    for flash in flashes {
        let apart = nearest(&beeps, flash) - flash;
        assert!(apart.abs() < 3_000, "beep {apart} µs after the flash");
    }
}

/// A clip of a second, many times: each lap lasts exactly as long as the picture, for the sound too.
#[tokio::test(flavor = "multi_thread")]
async fn laps_of_a_file_join_without_gap_or_drift() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("second.mp4");
    tool(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=black:s=320x180:r=30:d=1,drawbox=c=white:t=fill:enable='between(t,0.49,0.54)'",
            "-f",
            "lavfi",
            "-i",
            "aevalsrc='if(between(t,0.5,0.58),0.8*cos(2*PI*1000*(t-0.5)),0)':s=48000:d=1.03",
            "-c:v",
            "libx264",
            "-c:a",
            "aac",
            path.to_str().unwrap(),
        ],
    );
    let mut show = OnAir::begin(spec(SourceKind::File { path, repeat: true })).await;
    show.video_units(400).await;
    show.finish().await;
    let (flashes, beeps) = show.flashes_and_beeps();
    assert!(flashes.len() >= 12, "{flashes:?}");
    for pair in flashes.windows(2) {
        assert_eq!(
            FPS.frame_at(MediaTime(pair[1] - pair[0])),
            30,
            "{flashes:?}"
        );
    }
    let apart: Vec<i64> = flashes
        .iter()
        .map(|flash| nearest(&beeps, *flash) - flash)
        .collect();
    assert!(apart.iter().all(|a| a.abs() < 3_000), "{apart:?}");
    let spread = apart.iter().max().unwrap() - apart.iter().min().unwrap();
    assert!(spread < 1_000, "{apart:?}");
}

fn nearest(times: &[i64], to: i64) -> i64 {
    *times.iter().min_by_key(|t| i64::abs(**t - to)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bitrate_is_held_and_changes_in_flight() {
    let directory = tempfile::tempdir().unwrap();
    let mut show = OnAir::begin(spec(SourceKind::File {
        path: clip(directory.path()),
        repeat: true,
    }))
    .await;
    let rate = |show: &OnAir, from: usize| {
        let units = &show.video[from..];
        let bits: usize = units.iter().map(|u| u.data.len() * 8).sum();
        bits as f64 / 1_000.0 / (units.len() as f64 / FPS.as_f64())
    };
    show.video_units(60).await;
    show.video_units(120).await;
    let before = rate(&show, 60);
    assert!((1_350.0..1_650.0).contains(&before), "{before} kb/s");
    show.handle.set_bitrate(500);
    show.until("the change", |s| {
        s.events.contains(&EngineEvent::Bitrate { kbps: 500 })
    })
    .await;
    // What the encoder holds, and its buffer of a second, still belong to the old rate.
    show.video_units(60).await;
    let from = show.video.len();
    show.video_units(120).await;
    let after = rate(&show, from);
    assert!((400.0..600.0).contains(&after), "{after} kb/s");
    show.finish().await;
    assert_sound(&show, FPS, 60);
}
