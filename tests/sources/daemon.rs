//! Sources of a whole `regia run`: what is pushed to the director, and cut networks.

use crate::loss::encoder;
use crate::watch::*;
use regia_testkit::lab::{Lab, Side};
use regia_testkit::process::{Launch, Process};
use regia_testkit::{ports, regia, wait};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const REGIA: &str = env!("CARGO_BIN_EXE_regia");
const PATIENCE: Duration = Duration::from_secs(40);
/// On whose key an encoder pushes.
const KEY: &str = "phone-7f3a9c";

/// A daemon that records its programme; where it sends it to, nobody listens.
pub struct Daemon {
    pub regia: regia::Regia,
    recordings: PathBuf,
    /// Of the slate and the recordings.
    _directory: tempfile::TempDir,
}

impl Daemon {
    /// `source`: the keys of the source "stage" after its id and slate; `more`: other tables.
    pub fn start(source: &str, more: &str, netns: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let recordings = directory.path().join("recordings");
        std::fs::create_dir(&recordings).unwrap();
        let slate = green(directory.path());
        let text = format!(
            "[programme]\nwidth = 320\nheight = 180\nfps = 30\n[programme.video]\nencoder = \"x264\"\n\
             bitrate_kbps = 800\nmin_bitrate_kbps = 400\ntune = \"latency\"\npreset = \"ultrafast\"\n\
             [[source]]\nid = \"stage\"\nslate = {slate:?}\n{source}\n\
             [[destination]]\nid = \"out\"\nplatform = \"custom\"\nserver = \"rtmp://127.0.0.1:9/live\"\nkey = \"none\"\n\
             [[recording]]\nid = \"master\"\nkind = \"copy\"\npath = {recordings:?}\n{more}\n"
        );
        let mut setup = regia::Setup::new(REGIA, text);
        if let Some(netns) = netns {
            setup = setup.netns(netns);
        }
        Daemon {
            regia: setup.start(),
            recordings,
            _directory: directory,
        }
    }

    #[track_caller]
    pub fn wait_source(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let status = self
            .regia
            .wait_status(what, PATIENCE, |status| wanted(&status["sources"][0]));
        status["sources"][0].clone()
    }

    /// Everything up to now. The daemon is gone afterwards.
    pub fn pictures(self) -> Pictures {
        let runs = self
            .regia
            .status()
            .map(|status| status["engine_runs"].clone());
        assert_eq!(runs, Some(1.into()), "the engine stayed up");
        self.regia.process.kill();
        let path = recording(&self.recordings);
        Pictures::read(&path)
    }
}

fn recording(directory: &Path) -> PathBuf {
    let found = wait::until(PATIENCE, || {
        let mut files = std::fs::read_dir(directory).unwrap();
        files.next().map(|file| file.unwrap().path())
    });
    found.expect("a recording")
}

fn is(state: &'static str) -> impl Fn(&Value) -> bool {
    move |source| source["state"] == state
}

fn sleep(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

#[test]
fn an_encoder_that_pushes_to_the_box() {
    let _alone = crate::support::alone_blocking();
    let port = ports::free();
    let rtmp = format!("[rtmp]\nlisten = \"127.0.0.1:{port}\"\n");
    let mut daemon = Daemon::start(&format!("kind = \"rtmp\"\nkey = {KEY:?}"), &rtmp, None);
    let waiting = daemon.wait_source("a source that waits", is("lost"));
    assert_eq!(
        waiting["detail"],
        "no encoder pushes to it yet: give one the address of [rtmp] listen, and this source's key"
    );
    let push = |key: &str| encoder(&["-f", "flv", &format!("rtmp://127.0.0.1:{port}/live/{key}")]);
    let mut wrong = push("not-the-key");
    assert!(
        !wrong.wait_end(PATIENCE).success(),
        "a wrong key is refused"
    );
    assert_eq!(
        daemon.wait_source("a source that still waits", is("lost"))["detail"],
        waiting["detail"]
    );

    let mut losses = Vec::new();
    let mut phone = push(KEY);
    daemon.wait_source("the phone's picture", is("live"));
    sleep(3);
    for _ in 0..2 {
        drop(phone);
        let lost = wall();
        let detail = daemon.wait_source("the phone's loss", is("lost"))["detail"].clone();
        assert_eq!(detail, "the encoder has ended its stream");
        sleep(4);
        phone = push(KEY);
        let back = wall();
        daemon.wait_source("the phone again", is("live"));
        sleep(3);
        losses.push(Loss { lost, back });
    }
    // One that comes while the other is still there takes over: a phone that changed its network is not kept out by itself.
    let taken_over = wall();
    let second = push(KEY);
    let mut first = phone;
    first.wait_end(PATIENCE);
    sleep(3);
    let source = daemon.wait_source("the second phone", is("live"));
    assert_eq!(source["health"]["format"], "480x270 30 fps, 48000 Hz mono");
    assert_eq!(source["health"]["frozen_s"], 0.0);
    let log = daemon.regia.process.text();
    assert!(log.contains("another encoder takes over"), "{log}");
    assert!(!log.contains(KEY), "no key in the log");
    drop(second);
    let pictures = daemon.pictures().before(taken_over);
    assert_survived("an RTMP encoder", &pictures, &losses);
}

#[test]
fn a_codec_that_is_not_taken_is_told_to_both_sides() {
    let _alone = crate::support::alone_blocking();
    let port = ports::free();
    let rtmp = format!("[rtmp]\nlisten = \"127.0.0.1:{port}\"\n");
    let mut daemon = Daemon::start(&format!("kind = \"rtmp\"\nkey = {KEY:?}"), &rtmp, None);
    let mut old = Launch::new("ffmpeg")
        .args([
            "-nostdin",
            "-v",
            "error",
            "-re",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=320x180:r=30",
        ])
        .args([
            "-c:v",
            "flv1",
            "-f",
            "flv",
            &format!("rtmp://127.0.0.1:{port}/live/{KEY}"),
        ])
        .spawn();
    let told = "the encoder is lost: the video codec is number 2, and Regia takes H.264 (7): choose H.264 in the sending encoder";
    daemon.wait_source("the reason", |source| source["detail"] == told);
    old.wait_end(PATIENCE);
}

/// The network between camera and box is cut, and nobody says so: no reset, no end.
fn cut_twice(mut daemon: Daemon, lab: &Lab) -> (Pictures, Vec<Loss>) {
    daemon.wait_source("the camera", is("live"));
    sleep(3);
    let mut losses = Vec::new();
    for away in [3, 9] {
        lab.blackhole(Side::A);
        let lost = wall();
        sleep(away);
        daemon.wait_source("the loss", is("lost"));
        lab.end_blackhole(Side::A);
        let back = wall();
        daemon.wait_source("the return", is("live"));
        sleep(3);
        losses.push(Loss { lost, back });
    }
    println!("{}", daemon.regia.process.text());
    (daemon.pictures(), losses)
}

fn in_the_lab(lab: &Lab, command: Launch) -> Process {
    command.netns(Some(&lab.ingest_ns())).spawn()
}

#[test]
fn an_srt_encoder_behind_a_cut_network() {
    let _alone = crate::support::alone_blocking();
    let Some(lab) = Lab::or_skip("an_srt_encoder_behind_a_cut_network") else {
        return;
    };
    let [ingest, _] = lab.ingests();
    // Bound to the address that is called: from another one answers would not be known.
    let pipeline = format!(
        "videotestsrc is-live=true pattern=ball ! video/x-raw,width=480,height=270,framerate=30/1 ! \
                    x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=800 ! mpegtsmux alignment=7 name=m ! \
                    srtsink uri=srt://{ingest}:9000?mode=listener wait-for-connection=false \
                    audiotestsrc is-live=true ! audio/x-raw,rate=48000 ! avenc_aac ! aacparse ! m."
    );
    let sender = Launch::new("gst-launch-1.0")
        .args(["-q"])
        .args(pipeline.split_whitespace());
    let _sender = in_the_lab(&lab, sender);
    let source = format!("kind = \"srt\"\nurl = \"srt://{ingest}:9000\"");
    let daemon = Daemon::start(&source, "", Some(&lab.box_ns()));
    let (pictures, losses) = cut_twice(daemon, &lab);
    assert_survived("SRT over a cut network", &pictures, &losses);
}

#[test]
fn a_camera_behind_a_cut_network() {
    let _alone = crate::support::alone_blocking();
    let Some(lab) = Lab::or_skip("a_camera_behind_a_cut_network") else {
        return;
    };
    let [ingest, _] = lab.ingests();
    let directory = tempfile::tempdir().unwrap();
    let camera =
        regia_testkit::rtsp::Camera::start_in(&lab.ingest_ns(), ingest, directory.path(), 120);
    let source = format!("kind = \"rtsp\"\nurl = {:?}", camera.url());
    let daemon = Daemon::start(&source, "", Some(&lab.box_ns()));
    let (pictures, losses) = cut_twice(daemon, &lab);
    assert_survived("RTSP over a cut network", &pictures, &losses);
}
