//! The multiview on a screen of the box.

use crate::kinds::x_server;
use crate::support::*;
use crate::watch::*;
use regia::bridge::protocol::SourceState;
use regia::config::*;
use std::path::Path;
use std::time::Duration;

/// Where the middle of the first source's tile is on a display of 1280×720, and the middle of the programme's.
const SOURCE: (usize, usize) = (160, 400);
const PROGRAMME: (usize, usize) = (960, 150);

/// What an X display shows.
fn grab(display: &str, directory: &Path) -> Vec<u8> {
    let path = directory.join("grabbed.rgb");
    let arguments = [
        "-v",
        "error",
        "-y",
        "-f",
        "x11grab",
        "-draw_mouse",
        "0",
        "-video_size",
        "1280x720",
        "-i",
        display,
        "-frames:v",
        "1",
        "-pix_fmt",
        "rgb24",
        "-f",
        "rawvideo",
        path.to_str().unwrap(),
    ];
    tool("ffmpeg", &arguments);
    std::fs::read(path).unwrap()
}

fn colour(picture: &[u8], (x, y): (usize, usize)) -> [u8; 3] {
    let at = (y * 1_280 + x) * 3;
    [picture[at], picture[at + 1], picture[at + 2]]
}

#[track_caller]
fn assert_green(seen: [u8; 3]) {
    let [r, g, b] = seen;
    assert!(g > 150 && r < 80 && b < 80, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_multiview_is_on_the_boxs_screen_and_comes_back() {
    let display = format!(":{}", 1_100 + std::process::id() % 900);
    let directory = tempfile::tempdir().unwrap();
    let kind = SourceKind::Image {
        path: green(directory.path()),
    };
    let mut spec = watched(kind, directory.path());
    spec.programme.multiview = Some(Screen::X {
        display: display.clone(),
    });
    // Nobody has started X yet: the programme does not care.
    let mut show = OnAir::begin(spec).await;
    show.source_is(SourceState::Live).await;
    seconds(&mut show, 2.0).await;
    for _ in 0..2 {
        let server = x_server(&display, "1280x720x24").expect("Xvfb starts");
        seconds(&mut show, 8.0).await;
        let picture = grab(&display, directory.path());
        assert_green(colour(&picture, SOURCE));
        assert_green(colour(&picture, PROGRAMME));
        drop(server);
        seconds(&mut show, 2.0).await;
    }
    show.finish().await;
    assert!(Pictures::of(&show).largest_gap() <= Duration::from_millis(40));
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
}

/// As on any machine without a graphics card.
#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_is_not_there_costs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = watched(SourceKind::Test, directory.path());
    spec.programme.multiview = Some(Screen::Kms {
        connector: Some(9_999),
    });
    let mut show = OnAir::begin(spec).await;
    show.source_is(SourceState::Live).await;
    seconds(&mut show, 8.0).await;
    show.finish().await;
    assert!(Pictures::of(&show).largest_gap() <= Duration::from_millis(40));
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
}
