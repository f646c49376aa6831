//! How the engine ends, by itself and by force, and how its supervisor keeps one running.

use crate::support::*;
use regia::bridge::codec::{Decoder, Message};
use regia::bridge::protocol::{Down, EngineEvent, Up, VERSION};
use regia::config::*;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

fn signal(name: &str, pid: u32) {
    tool("kill", &[name, &pid.to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_is_followed_by_another() {
    let mut show = OnAir::begin(spec(SourceKind::Test)).await;
    show.handle.set_bitrate(700);
    show.video_units(30).await;
    let before = show.video.last().unwrap().pts;
    signal("-9", show.pids[0]);
    show.until("the second run", |s| s.pids.len() == 2).await;
    assert_eq!(show.ends, ["the engine died (signal: 9 (SIGKILL))"]);
    let from = show.video.len();
    show.video_units(30).await;
    let first = &show.video[from];
    assert!(first.keyframe);
    assert!(first.dts > before, "both runs share one clock");
    let apart = first.pts.since(before);
    assert!(
        apart < Duration::from_secs(10),
        "{apart:?} without a picture"
    );
    let changes = show
        .events
        .iter()
        .filter(|e| **e == EngineEvent::Bitrate { kbps: 700 });
    assert_eq!(changes.count(), 2, "the second run was told the bitrate");
    show.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_hangs_is_replaced() {
    let mut show = OnAir::begin_with(spec(SourceKind::Test), |settings| {
        settings.stall_limit = Duration::from_millis(1_500);
    })
    .await;
    show.video_units(30).await;
    signal("-STOP", show.pids[0]);
    show.until("the second run", |s| s.pids.len() == 2).await;
    assert_eq!(
        show.ends,
        ["the engine gave nothing for 1.5s (signal: 9 (SIGKILL))"]
    );
    show.video_units(10).await;
    show.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_can_not_start_says_why() {
    let mut spec = spec(SourceKind::Test);
    spec.scenes.clear();
    let mut show = OnAir::begin(spec).await;
    show.until("its end", |s| !s.ends.is_empty()).await;
    assert_eq!(
        show.ends[0],
        "the programme has no scene with a source (exit status: 1)"
    );
    show.finish().await;
    drop(show);

    let mut show = OnAir::begin_with(crate::support::spec(SourceKind::Test), |settings| {
        settings.program = "/nowhere/regia".into();
    })
    .await;
    show.until("its end", |s| !s.ends.is_empty()).await;
    assert_eq!(
        show.ends[0],
        "the engine /nowhere/regia can't be started: No such file or directory (os error 2)"
    );
}

/// An engine without a supervisor.
struct Bare {
    child: Child,
    socket: UnixStream,
    decoder: Decoder<Up>,
}

impl Bare {
    fn start() -> Bare {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let child = Command::new(engine_program())
            .arg("engine")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        Bare {
            child,
            socket: ours,
            decoder: Decoder::new(),
        }
    }

    fn say(&mut self, down: &Down) {
        let bytes = down.encode().unwrap().to_vec();
        self.socket.write_all(&bytes).unwrap();
    }

    fn start_show(&mut self) {
        let spec = Box::new(spec(SourceKind::Test));
        self.say(&Down::Start {
            version: VERSION,
            spec,
            mix: None,
        });
    }

    fn hear(&mut self) -> Option<Up> {
        let mut buffer = [0; 65_536];
        loop {
            if let Some(up) = self.decoder.next_message().unwrap() {
                return Some(up);
            }
            match self.socket.read(&mut buffer).unwrap() {
                0 => return None,
                read => self.decoder.push(&buffer[..read]),
            }
        }
    }

    fn hear_units(&mut self, mut count: usize) {
        while count > 0 {
            count -= usize::from(matches!(self.hear(), Some(Up::Unit(_))));
        }
    }

    fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait().unwrap() {
                None if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                status => return status,
            }
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_engine_whose_director_is_gone_ends() {
    let mut engine = Bare::start();
    engine.start_show();
    engine.hear_units(10);
    engine.socket.shutdown(std::net::Shutdown::Both).unwrap();
    // It promises one second; a busy machine is given more.
    assert!(engine.wait(Duration::from_secs(20)).is_some());
}

#[test]
fn a_terminated_engine_hands_over_the_rest_and_ends_well() {
    let mut engine = Bare::start();
    engine.start_show();
    engine.hear_units(30);
    signal("-TERM", engine.child.id());
    while engine.hear().is_some() {}
    assert_eq!(
        engine.wait(Duration::from_secs(10)).unwrap().code(),
        Some(0)
    );
}

#[test]
fn nonsense_ends_the_engine_with_a_text() {
    let mut engine = Bare::start();
    engine
        .socket
        .write_all(&[0, 0, 0, 5, 65, 0, 77, b'{', b'}'])
        .unwrap();
    assert_eq!(
        engine.wait(Duration::from_secs(10)).unwrap().code(),
        Some(1)
    );
    let mut text = String::new();
    engine
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(
        text.contains(&format!(
            "the other end speaks version 77 of the engine protocol and this one version {VERSION}"
        )),
        "{text}"
    );

    let output = Command::new(engine_program())
        .arg("engine")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("`regia engine` is started by `regia run`"),
        "{text}"
    );
}
