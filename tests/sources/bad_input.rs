//! Files as people have them: each is shown as it should be, or it is told plainly what is wrong, and the programme goes on.

use crate::loss::health;
use crate::support::*;
use crate::watch::*;
use regia::bridge::protocol::{EngineEvent, SourceState};
use regia::bridge::report::SourceHealth;
use regia::config::*;
use regia::media::MediaTime;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PICTURE: [&str; 4] = ["-f", "lavfi", "-i", "testsrc2=s=480x270:r=30:d=2"];
const SOUND: [&str; 4] = ["-f", "lavfi", "-i", "sine=440:r=48000:d=2"];
const H264: [&str; 6] = [
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
];

/// Makes a file with ffmpeg.
fn make(directory: &Path, name: &str, arguments: &[&[&str]]) -> PathBuf {
    let path = directory.join(name);
    let mut all = vec!["-v", "error", "-y"];
    arguments
        .iter()
        .for_each(|part| all.extend_from_slice(part));
    all.push(path.to_str().unwrap());
    tool("ffmpeg", &all);
    path
}

/// What became of the file after some seconds of it.
struct Shown {
    pictures: Pictures,
    health: SourceHealth,
    /// Of the sound that was sent, the peak in most of the time, in dBFS: a coder's edges are no matter.
    level_db: f32,
    lost: Vec<String>,
}

async fn show(path: &Path, seconds_of_it: f64) -> Shown {
    let directory = tempfile::tempdir().unwrap();
    let kind = SourceKind::File {
        path: path.to_owned(),
        repeat: true,
    };
    let mut show = OnAir::begin(watched(kind, directory.path())).await;
    show.source_is(SourceState::Live).await;
    seconds(&mut show, seconds_of_it).await;
    show.finish().await;
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
    let pictures = Pictures::of(&show);
    let gap = pictures.largest_gap();
    assert!(gap <= Duration::from_millis(40), "{gap:?}");
    let lost = show.events.iter().filter_map(source_state);
    let lost = lost.filter(|(state, _)| *state == SourceState::Lost);
    let levels = show.events.iter().filter_map(|event| match event {
        EngineEvent::Levels(levels) => levels.programme.peak_db[0],
        _ => None,
    });
    let mut levels: Vec<f32> = levels.collect();
    levels.sort_by(f32::total_cmp);
    Shown {
        pictures,
        health: health(&show).unwrap(),
        level_db: levels.get(levels.len() / 2).copied().unwrap_or(-200.0),
        lost: lost.map(|(_, text)| text).collect(),
    }
}

impl Shown {
    /// Its picture is seen, and its sound heard at −18 dBFS as ffmpeg's sine is made.
    #[track_caller]
    fn assert_whole(&self, format: &str) {
        assert_eq!(self.health.format, format);
        assert_eq!(self.lost, [""; 0]);
        let end = self
            .pictures
            .decode("scale=2:2:flags=area", 2, 2)
            .last()
            .unwrap()
            .0;
        let seen = Seen::of(&self.pictures);
        assert_eq!(seen.slate_after(end), None, "the picture is there");
        if format.contains("Hz") {
            assert!(
                (self.level_db + 18.06).abs() < 1.0,
                "{} dBFS",
                self.level_db
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sounds_of_other_shapes() {
    let directory = tempfile::tempdir().unwrap();
    let mono = make(
        directory.path(),
        "mono.mp4",
        &[
            &PICTURE,
            &SOUND,
            &H264,
            &["-ar", "44100", "-ac", "1", "-c:a", "aac"],
        ],
    );
    show(&mono, 4.0)
        .await
        .assert_whole("480x270 30 fps, 44100 Hz mono");
    let surround = [
        "-f",
        "lavfi",
        "-i",
        "aevalsrc=0.125*sin(440*2*PI*t)|0.125*sin(440*2*PI*t)|0|0|0|0:c=5.1:s=48000:d=2",
    ];
    let surround = make(
        directory.path(),
        "5.1.mp4",
        &[&PICTURE, &surround, &H264, &["-c:a", "aac"]],
    );
    let shown = show(&surround, 4.0).await;
    assert_eq!(shown.health.format, "480x270 30 fps, 48000 Hz 5.1");
    // Mixed down: the fronts are turned down to make room for the rest.
    assert!(
        (-30.0..-17.0).contains(&shown.level_db),
        "{}",
        shown.level_db
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_frame_rates() {
    let directory = tempfile::tempdir().unwrap();
    for (rate, name, format) in [
        ("24000/1001", "film.mp4", "480x270 23.98 fps, 48000 Hz mono"),
        ("60", "sixty.mp4", "480x270 60 fps, 48000 Hz mono"),
    ] {
        let picture = format!("testsrc2=s=480x270:r={rate}:d=2");
        let path = make(
            directory.path(),
            name,
            &[
                &["-f", "lavfi", "-i", &picture],
                &SOUND,
                &H264,
                &["-c:a", "aac"],
            ],
        );
        let shown = show(&path, 4.0).await;
        shown.assert_whole(format);
        assert!(shown.health.frozen_s == Some(0.0), "{:?}", shown.health);
    }
    // Frames that come when they like.
    let vary = ["-vf", "select='gt(random(1)\\,0.4)'", "-fps_mode", "vfr"];
    let path = make(
        directory.path(),
        "vfr.mkv",
        &[&PICTURE, &SOUND, &vary, &H264, &["-c:a", "aac"]],
    );
    let shown = show(&path, 4.0).await;
    assert_eq!(shown.lost, [""; 0]);
    assert!(
        (5.0..30.0).contains(&shown.health.fps),
        "{:?}",
        shown.health
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn interlaced_pictures_are_woven_out() {
    let directory = tempfile::tempdir().unwrap();
    let interlace = [
        "-vf",
        "interlace",
        "-flags",
        "+ilme+ildct",
        "-c:v",
        "mpeg2video",
        "-b:v",
        "4M",
        "-c:a",
        "mp2",
    ];
    let path = make(
        directory.path(),
        "interlaced.ts",
        &[
            &["-f", "lavfi", "-i", "testsrc2=s=480x270:r=50:d=2"],
            &SOUND,
            &interlace,
        ],
    );
    let shown = show(&path, 4.0).await;
    shown.assert_whole("480x270 25 fps interlaced, 48000 Hz mono");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_its_resolution() {
    let directory = tempfile::tempdir().unwrap();
    let part = |name: &str, size: &str| {
        let picture = format!("testsrc2=s={size}:r=30:d=2");
        make(
            directory.path(),
            name,
            &[
                &["-f", "lavfi", "-i", &picture],
                &SOUND,
                &H264,
                &["-g", "30", "-c:a", "aac", "-f", "mpegts"],
            ],
        )
    };
    let whole = directory.path().join("changes.ts");
    let parts = [part("a.ts", "480x270"), part("b.ts", "320x240")];
    let bytes: Vec<u8> = parts
        .iter()
        .flat_map(|part| std::fs::read(part).unwrap())
        .collect();
    std::fs::write(&whole, bytes).unwrap();
    let shown = show(&whole, 8.0).await;
    assert!(
        shown.health.format.starts_with("480x270") || shown.health.format.starts_with("320x240")
    );
    assert_eq!(shown.lost, [""; 0]);
    // 4:3 stands between borders in a programme of 16:9; both were seen.
    let edges = shown
        .pictures
        .decode("crop=8:ih/2:0:ih/4,scale=2:2:flags=area", 2, 2);
    let black = edges
        .iter()
        .filter(|(_, frame)| frame[..4].iter().all(|luma| *luma < 24))
        .count();
    assert!(
        (30..edges.len() - 30).contains(&black),
        "{black} of {}",
        edges.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sound_and_without_picture() {
    let directory = tempfile::tempdir().unwrap();
    let silent = make(directory.path(), "silent.mp4", &[&PICTURE, &H264]);
    let shown = show(&silent, 4.0).await;
    shown.assert_whole("480x270 30 fps");
    assert_eq!(
        shown.health.silent_s, None,
        "it has no sound that could be silent"
    );
    let heard = make(directory.path(), "heard.m4a", &[&SOUND, &["-c:a", "aac"]]);
    let shown = show(&heard, 4.0).await;
    assert_eq!(shown.health.format, "48000 Hz mono");
    assert_eq!((shown.health.frames, shown.health.frozen_s), (0, None));
    assert!(
        (shown.level_db + 18.06).abs() < 1.0,
        "{} dBFS",
        shown.level_db
    );
    let seen = Seen::of(&shown.pictures);
    assert!(
        seen.slate_after(MediaTime::ZERO).is_some(),
        "its picture is the slate"
    );
    assert_eq!(seen.picture_after(MediaTime::ZERO), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_cut_short() {
    let directory = tempfile::tempdir().unwrap();
    let whole = make(
        directory.path(),
        "whole.mp4",
        &[
            &PICTURE,
            &SOUND,
            &H264,
            &["-c:a", "aac", "-movflags", "+faststart"],
        ],
    );
    let bytes = std::fs::read(&whole).unwrap();
    let path = directory.path().join("cut.mp4");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    // What is there is played over and over; nothing stalls.
    let shown = show(&path, 5.0).await;
    assert!(
        Seen::of(&shown.pictures)
            .picture_after(MediaTime::ZERO)
            .is_some()
    );
    drop(shown);
    // Of one whose table of contents is gone nothing can be played.
    let table_last = make(directory.path(), "last.mp4", &[&PICTURE, &H264]);
    let bytes = std::fs::read(&table_last).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let kind = SourceKind::File {
        path: path.clone(),
        repeat: true,
    };
    let mut show = OnAir::begin(watched(kind, directory.path())).await;
    let reason = format!(
        "{}: This file contains no playable streams.",
        path.display()
    );
    // On a busy machine GStreamer 1.22's demuxer once in a hundred times says nothing of it and stands still: the first
    // report is then that of a source that gave nothing, and the next try's is the reason.
    show.until("the reason", |show| {
        let states = show.events.iter().filter_map(source_state);
        states
            .rev()
            .any(|(state, told)| state == SourceState::Lost && told == reason)
    })
    .await;
    show.video_units(30).await;
    show.finish().await;
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_twenty_thousand_pixels() {
    let directory = tempfile::tempdir().unwrap();
    let long = make(
        directory.path(),
        "long.png",
        &[&[
            "-f",
            "lavfi",
            "-i",
            "color=white:s=20000x2000",
            "-frames:v",
            "1",
        ]],
    );
    let mut show = OnAir::begin(watched(SourceKind::Image { path: long }, directory.path())).await;
    show.source_is(SourceState::Live).await;
    seconds(&mut show, 2.0).await;
    show.finish().await;
    let pictures = Pictures::of(&show);
    let frames = pictures.decode("scale=2:45:flags=area", 2, 45);
    let (_, last) = frames.last().unwrap();
    let bright: Vec<usize> = (0..45).filter(|y| last[y * 2] > 128).collect();
    // 32 of 180 rows in the middle: 8 of 45.
    assert!(
        (7..=9).contains(&bright.len()) && bright[0].abs_diff(18) <= 1,
        "{bright:?}"
    );
    drop(show);

    // A header is enough: nothing of what follows is read.
    let large = directory.path().join("large.png");
    let header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x4e\x20\x00\x00\x4e\x20\x08\x02\x00\x00\x00";
    std::fs::write(&large, header).unwrap();
    let mut show = OnAir::begin(watched(
        SourceKind::Image {
            path: large.clone(),
        },
        directory.path(),
    ))
    .await;
    let told = show.source_is(SourceState::Lost).await;
    assert_eq!(
        told,
        format!(
            "{} can't be shown: its 20000x20000 pixels would take 1.6 GB of memory; scale it down: the programme has 320x180",
            large.display()
        )
    );
    show.video_units(10).await;
    show.finish().await;
}
