//! Sources that are not there, go away and come back: the programme goes on.

use crate::support::*;
use regia::bridge::protocol::SourceState;
use regia::config::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_told_and_taken_once_it_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("late.mp4");
    let mut show = OnAir::begin(spec(SourceKind::File {
        path: path.clone(),
        repeat: true,
    }))
    .await;
    let detail = show.source_is(SourceState::Lost).await;
    assert_eq!(detail, format!("there is no file {}", path.display()));
    show.video_units(30).await;
    std::fs::rename(clip(directory.path()), &path).unwrap();
    show.source_is(SourceState::Live).await;
    show.video_units(60).await;
    show.finish().await;
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_ends_is_followed_by_its_slate() {
    let directory = tempfile::tempdir().unwrap();
    let slate = directory.path().join("slate.png");
    tool(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=0x20c020:s=64x36",
            "-frames:v",
            "1",
            slate.to_str().unwrap(),
        ],
    );
    let path = clip(directory.path());
    let mut spec = spec(SourceKind::File {
        path: path.clone(),
        repeat: false,
    });
    spec.sources[0].slate = Some(slate);
    let mut show = OnAir::begin(spec).await;
    show.source_is(SourceState::Live).await;
    let detail = show.source_is(SourceState::Lost).await;
    assert_eq!(detail, format!("{} has ended", path.display()));
    // 0.7 s of the frozen picture, what the encoder holds, and then some of the slate.
    show.video_units(75).await;
    show.finish().await;

    let (video, _) = show.write(directory.path());
    let yuv = tool(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-i",
            video.to_str().unwrap(),
            "-vf",
            "scale=2:2",
            "-pix_fmt",
            "yuv444p",
            "-f",
            "rawvideo",
            "-",
        ],
    );
    let last = &yuv[yuv.len() - 12..];
    // The PNG's green in BT.709 at video range.
    for (plane, wanted) in last.chunks(4).zip([140u8, 73, 64]) {
        assert!(
            plane.iter().all(|v| v.abs_diff(wanted) < 6),
            "the slate is {last:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_decoded_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("words.mp4");
    std::fs::write(&path, "no film at all\n".repeat(100)).unwrap();
    let mut show = OnAir::begin(spec(SourceKind::File {
        path: path.clone(),
        repeat: true,
    }))
    .await;
    let detail = show.source_is(SourceState::Lost).await;
    assert_eq!(
        detail,
        format!("{}: This appears to be a text file", path.display())
    );
    show.video_units(10).await;
    show.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_are_not_there_are_told() {
    let mut show = OnAir::begin(spec(SourceKind::V4l2 {
        device: "/dev/video-none".into(),
    }))
    .await;
    let detail = show.source_is(SourceState::Lost).await;
    assert_eq!(
        detail,
        "there is no /dev/video-none: `regia doctor` lists the cameras there are"
    );
    show.video_units(10).await;
    show.finish().await;
    drop(show);

    let mut show = OnAir::begin(spec(SourceKind::Alsa {
        device: "hw:31".into(),
    }))
    .await;
    let detail = show.source_is(SourceState::Lost).await;
    assert_eq!(
        detail,
        "hw:31: Could not open audio device for recording (`regia doctor` lists the sound cards there are)"
    );
    show.finish().await;
    drop(show);

    let mut show = OnAir::begin(spec(SourceKind::Rtsp {
        url: "rtsp://admin:hunter2@127.0.0.1:22009/stage?token=abc".into(),
    }))
    .await;
    let detail = show.source_is(SourceState::Lost).await;
    assert_eq!(
        detail,
        "rtsp://127.0.0.1:22009/stage: it can't be reached: Connection refused (os error 111)"
    );
    show.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_shown_with_its_aspect() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("portrait.png");
    tool(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "color=white:s=180x360",
            "-frames:v",
            "1",
            path.to_str().unwrap(),
        ],
    );
    let mut show = OnAir::begin(spec(SourceKind::Image { path })).await;
    show.source_is(SourceState::Live).await;
    show.video_units(60).await;
    show.finish().await;
    let (video, _) = show.write(directory.path());
    let luma = tool(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-i",
            video.to_str().unwrap(),
            "-vf",
            "scale=64:2:flags=area",
            "-pix_fmt",
            "gray",
            "-f",
            "rawvideo",
            "-",
        ],
    );
    let row = &luma[luma.len() - 64..];
    let bright: Vec<usize> = (0..64).filter(|x| row[*x] > 128).collect();
    // 180 of 640 pixels in the middle: 18 of 64.
    assert!((17..=19).contains(&bright.len()), "{bright:?}");
    assert!(bright[0].abs_diff(23) <= 1, "{bright:?}");
}
