//! A real file to a third-party server over RTMPS, judged by ffprobe from what that server recorded.

use crate::config::{Programme, Source, config};
use crate::{PATIENCE, REGIA, alone, keep};
use regia_testkit::certs::Authority;
use regia_testkit::media::{self, Recording, Track};
use regia_testkit::{clip, flv, nginx, ports, regia, skip};
use std::time::Duration;

const SET_KBPS: f64 = 6000.0;

/// The default preset for a minute with REGIA_SLOW=1; else 25 s of one that leaves a busy machine room for the others.
#[test]
fn a_looped_file_reaches_nginx_over_rtmps_frame_for_frame() {
    let slow = std::env::var("REGIA_SLOW").is_ok_and(|v| v == "1");
    let (seconds, preset) = if slow {
        (60, "veryfast")
    } else {
        (25, "superfast")
    };
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path());
    let leaf = authority.leaf(&["127.0.0.1"]);
    let mut nginx = nginx::Setup::new(&dir.path().join("nginx"))
        .tls(ports::loopback(), &leaf)
        .start();
    let programme = Programme {
        width: 1920,
        height: 1080,
        kbps: SET_KBPS as u32,
        tune: "quality",
        preset,
    };
    let text = config(
        &programme,
        &Source::File(&clip()),
        &nginx.rtmps_url(),
        "clip",
        Some(&authority.ca),
    );
    let mut watch = nginx.watch();
    let mut regia = regia::Setup::new(REGIA, text).start();
    // A second more than is judged, so that the end cuts nothing off.
    let enough = u32::try_from((seconds + 1) * 1000).unwrap();
    let arrived = watch.wait(PATIENCE + Duration::from_secs(seconds), |tag| {
        matches!(tag.kind, flv::Kind::Video { .. }) && tag.time_ms >= enough
    });
    assert!(arrived.is_some(), "{}", regia.process.text());
    let status = regia.status().expect("the daemon answers");
    let left_out = status["dropped_frames"].as_u64().unwrap();
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
    println!("{}", regia.process.text());
    nginx.stop();

    let files = flv::files(&nginx.recordings_dir());
    assert_eq!(files.len(), 1, "one publish: {files:?}");
    keep(&files[0], "clip.flv");
    let streams = media::streams(&files[0]);
    let of = |kind: &str| streams.iter().find(|s| s["codec_type"] == kind).unwrap();
    let (video, audio) = (of("video"), of("audio"));
    assert_eq!(
        (&video["codec_name"], &video["profile"]),
        (&"h264".into(), &"High".into())
    );
    assert_eq!(
        (video["width"].as_u64(), video["height"].as_u64()),
        (Some(1920), Some(1080))
    );
    assert_eq!(
        (&audio["codec_name"], &audio["profile"]),
        (&"aac".into(), &"LC".into())
    );
    assert_eq!(
        (audio["sample_rate"].as_str(), audio["channels"].as_u64()),
        (Some("48000"), Some(2))
    );

    let recording = Recording::read(&files[0]);
    let frames: Vec<_> = recording.track(Track::Video).collect();
    let first_us = frames[0].dts_us;
    let judged = frames
        .iter()
        .filter(|frame| frame.dts_us - first_us < seconds as i64 * 1_000_000)
        .count();
    let (least, most) = recording.video_kbps(10).unwrap();
    let offset_ms = recording.audio_start_offset_ms().unwrap();
    let bend_ms = recording.worst_bend_ms(30.0);
    let reordered = frames
        .windows(2)
        .filter(|f| f[1].pts_us < f[0].pts_us)
        .count();
    println!(
        "{judged} frames in {seconds} s, GOPs {:?}, audio {offset_ms:+.0} ms from video, {least:.0} to {most:.0} kb/s \
         over any 10 s, worst bend {bend_ms:.2} ms, {reordered} of {} frames shown before the one ahead of them",
        recording.gop_frames(),
        frames.len()
    );
    let due = usize::try_from(seconds * 30).unwrap();
    if left_out == 0 {
        assert!(judged.abs_diff(due) <= 2, "{judged} frames for {due}");
        // A second of buffer is a tenth of ten seconds, and so the bound of every preset. The default keeps to half of it.
        let off = if slow { 0.05 } else { 0.1 };
        assert!(least >= SET_KBPS * (1.0 - off) && most <= SET_KBPS * (1.0 + off));
        assert!(recording.gop_frames().len() >= due / 60 - 1);
    } else {
        // Regia said so itself; what did arrive is judged all the same.
        skip::starved(
            "the number of frames and the bitrate of a_looped_file_reaches_nginx",
            &format!(
                "this machine was too busy to encode 1080p30: {left_out} frames were left out"
            ),
        );
    }
    assert!(recording.gop_frames().iter().all(|&gop| gop == 60));
    assert_eq!(recording.backward_steps(Track::Video), 0);
    assert_eq!(recording.backward_steps(Track::Audio), 0);
    assert!(offset_ms.abs() < 50.0);
    assert!(
        reordered > frames.len() / 4,
        "there are no B-frames to judge"
    );
    assert!(bend_ms <= 1.0);
    assert_eq!(media::decodes_cleanly(&files[0]), Ok(()));
}
