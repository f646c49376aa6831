//! A network camera that dies on air and comes back: the programme goes on, with the slate meanwhile.

use crate::config::SMALL;
use crate::{PATIENCE, REGIA, alone, keep};
use regia_testkit::media::{self, Recording, Track};
use regia_testkit::process::Launch;
use regia_testkit::regia::Regia;
use regia_testkit::rtsp::Camera;
use regia_testkit::{flv, nginx, regia};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// The picture is looked at so often.
const LOOKS_PER_S: usize = 2;
const AWAY: Duration = Duration::from_secs(6);

/// By how much the picture changes from one look to the next: the mean over its pixels' grey levels, of 255.
fn changes(file: &Path) -> Vec<f64> {
    const PIXELS: usize = 16 * 9;
    let grey = Launch::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-map", "0:v", "-vf"])
        .arg(format!("fps={LOOKS_PER_S},scale=16:9,format=gray"))
        .args(["-f", "rawvideo", "-"])
        .output();
    let looks: Vec<&[u8]> = grey.chunks_exact(PIXELS).collect();
    let change = |pair: &[&[u8]]| {
        let pixels = pair[0].iter().zip(pair[1]);
        let sum: u32 = pixels.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        f64::from(sum) / PIXELS as f64
    };
    looks.windows(2).map(change).collect()
}

/// Where the longest stretch begins in which nothing moves, and where it has ended. (A busy machine lets a picture stand for a moment.)
fn longest_still(changes: &[f64]) -> (usize, usize) {
    let moving: Vec<usize> = (0..changes.len()).filter(|at| changes[*at] > 0.1).collect();
    let stretches = moving.windows(2).map(|pair| (pair[0] + 1, pair[1]));
    stretches
        .max_by_key(|(from, to)| to - from)
        .expect("a film")
}

#[track_caller]
fn wait_source(regia: &mut Regia, state: &str) -> Value {
    regia.wait_status(&format!("the camera {state}"), PATIENCE, |status| {
        status["sources"][0]["state"] == state
    })
}

#[test]
fn a_camera_that_dies_and_comes_back_is_covered_by_the_slate() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut camera = Camera::start(dir.path(), 60);
    let mut nginx = nginx::Setup::new(&dir.path().join("nginx")).start();
    let text = format!(
        "{}[[source]]\nid = \"main\"\nkind = \"rtsp\"\nurl = {:?}\n\n\
         [[destination]]\nid = \"out\"\nserver = {:?}\nkey = \"camera\"\n",
        SMALL.text(),
        camera.url(),
        nginx.rtmp_url()
    );
    let mut regia = regia::Setup::new(REGIA, text).start();
    wait_source(&mut regia, "live");
    regia.wait_status("on air", PATIENCE, |status| status["state"] == "ON AIR");
    std::thread::sleep(AWAY);
    camera.unplug();
    let lost = wait_source(&mut regia, "lost");
    let detail = lost["sources"][0]["detail"].as_str().unwrap_or_default();
    assert!(detail.starts_with(&camera.url()), "{detail}");
    std::thread::sleep(AWAY);
    camera.plug_in();
    wait_source(&mut regia, "live");
    std::thread::sleep(AWAY);
    let status = regia.status().expect("the daemon answers");
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
    nginx.stop();

    let to = &status["destinations"][0];
    assert_eq!(status["engine_runs"], 1, "{status}");
    assert_eq!(to["reconnects"], 0, "{to}");
    assert_eq!(to["shed_s"], 0.0, "{to}");
    let files = flv::files(&nginx.recordings_dir());
    assert_eq!(files.len(), 1, "{files:?}");
    keep(&files[0], "camera.flv");
    let recording = Recording::read(&files[0]);
    assert!(recording.gop_frames().iter().all(|&gop| gop == 60));
    assert!(recording.worst_bend_ms(30.0) <= 1.0);
    assert_eq!(recording.backward_steps(Track::Video), 0);
    assert_eq!(recording.backward_steps(Track::Audio), 0);
    assert_eq!(media::decodes_cleanly(&files[0]), Ok(()));

    // The camera's picture moves, the slate stands still, and either is another picture than the other.
    let changes = changes(&files[0]);
    println!("{changes:.1?}");
    let away = AWAY.as_secs() as usize * LOOKS_PER_S;
    let (first, last) = longest_still(&changes);
    assert!(last - first >= away - 2, "{changes:.1?}");
    let moves = |part: &[f64]| part.iter().filter(|change| **change > 1.0).count();
    assert!(moves(&changes[..first]) > away / 2, "{changes:.1?}");
    assert!(moves(&changes[last..]) > away / 2, "{changes:.1?}");
    assert!(changes[last] > 20.0, "{changes:.1?}");
}
