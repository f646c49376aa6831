//! What is wrong with the programme, its settings and the box.

use crate::rows::{PROGRAMME, destination, preflight, standby};
use crate::{PATIENCE, alone};
use regia_testkit::process::Launch;
use regia_testkit::{nginx, skip};
use std::path::{Path, PathBuf};

/// A picture that stands still and a sound that is none, for a minute.
fn frozen_and_silent(dir: &Path) -> PathBuf {
    let path = dir.join("frozen.mp4");
    Launch::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=10:duration=1",
        ])
        .args(["-f", "lavfi", "-i", "anullsrc=sample_rate=48000"])
        .args([
            "-vf",
            "select=eq(n\\,0),loop=loop=-1:size=1",
            "-t",
            "60",
            "-r",
            "10",
        ])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "aac",
        ])
        .arg(&path)
        .output();
    path
}

/// A file system of its own that is full; gone on drop.
struct FullDisk(PathBuf);

impl FullDisk {
    fn or_skip(test: &str, dir: &Path) -> Option<FullDisk> {
        let at = dir.join("full");
        std::fs::create_dir(&at).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k", "regia-test"])
            .arg(&at)
            .output();
        match mounted {
            Ok(done) if done.status.success() => {}
            Ok(done) => {
                skip::unavailable(test, &String::from_utf8_lossy(&done.stderr));
                return None;
            }
            Err(error) => {
                skip::unavailable(test, &format!("mount: {error}"));
                return None;
            }
        }
        let disk = FullDisk(at);
        let filled = std::fs::write(disk.0.join("filler"), vec![0; 1 << 20]);
        assert!(filled.is_err(), "a megabyte does not fit");
        Some(disk)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        // What is still busy goes when its last user does.
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

#[test]
fn a_programme_and_a_box_with_every_defect() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let clip = frozen_and_silent(dir.path());
    let nginx = nginx::Setup::new(&dir.path().join("nginx")).start();
    let mut text = PROGRAMME.replace("bitrate_kbps = 3000", "bitrate_kbps = 7000")
        + &format!("[[source]]\nid = \"stage\"\nkind = \"file\"\npath = {clip:?}\nloop = true\n")
        + &destination("out", &nginx.rtmp_url(), "platform = \"linkedin\"");
    let disk = FullDisk::or_skip("pre-flight of a full disk", dir.path());
    if let Some(disk) = &disk {
        text += &format!(
            "[[recording]]\nid = \"master\"\nkind = \"copy\"\npath = {:?}\n",
            disk.0
        );
    }
    let mut regia = standby(&text);
    regia.wait_status(
        "a picture that is known to stand still",
        PATIENCE,
        |status| {
            let health = &status["sources"][0]["health"];
            let for_seconds = |name: &str| health[name].as_f64().unwrap_or(0.0);
            for_seconds("frozen_s") > 4.5 && for_seconds("silent_s") > 4.5
        },
    );
    let rows = preflight(&regia);
    let starts = |row: String, with: &str, ends: &str| {
        assert!(row.starts_with(with) && row.ends_with(ends), "{row}");
    };
    starts(
        rows.row("picture", "stage"),
        "warning: frozen for ",
        " s → see whether the camera or its converter hangs",
    );
    starts(
        rows.row("sound", ""),
        "warning: silent for ",
        " s → look at mutes, faders and the cable from the desk",
    );
    assert_eq!(
        rows.row("settings", "out"),
        "warning: 7000 kb/s is over what LinkedIn takes for this picture, 6000 kb/s (the platform's documentation) → programme.video.bitrate_kbps: at most 6000"
    );
    if let Some(disk) = &disk {
        assert_eq!(
            rows.row("disk", "of recording master"),
            format!(
                "problem: {} can't be written to: No space left on device (os error 28) → make room, or record elsewhere",
                disk.0.display()
            )
        );
        assert!(!rows.is_ok());
    }
    assert!(rows.row("disk", "of the state").starts_with("ok: "));
    // Of the box itself only that it was looked at.
    rows.row("clock", "");
    assert!(rows.row("processors", "").contains("the engine keeps "));
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
}
