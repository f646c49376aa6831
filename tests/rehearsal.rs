//! The rehearsal ingest with real publishers: ffmpeg and GStreamer from Debian, and Regia's own session.
//! Needs `ffmpeg`, `ffprobe` and `gst-launch-1.0` in the path.

#[path = "rehearsal/support.rs"]
mod support;

use regia::rehearsal::{Misbehaviour, Platform, SecondPublish, Tls};
use regia::rtmp::PublisherError;
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KEY: &str = "wxyz-abcd-efgh-x7Qd";

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_is_judged_and_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings();
    settings.record = Some(dir.path().to_owned());
    let running = Running::start(settings).await;
    let url = format!("{}/{KEY}", running.url);
    let output = ffmpeg(&["-t", "12"], &url, &[]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));

    let report = running.stop().await;
    let stream = &report.streams[0];
    assert_eq!(stream.verdict.findings, [""; 0]);
    assert_eq!(
        (stream.key.as_str(), stream.app.as_str()),
        ("…x7Qd", "live")
    );
    assert_eq!(stream.video.frames, 360);
    let gop = stream.video.gop.unwrap();
    assert_eq!((gop.min_frames, gop.exact), (60, true));
    let codec = stream.video.codec.as_ref().unwrap();
    assert_eq!((codec.profile.as_str(), codec.width), ("High", 640));
    assert_eq!(stream.audio.codec.as_ref().unwrap().sample_rate, 48_000);
    assert_eq!(stream.stamps.unstamped, 360);
    let grid = stream.video.grid.unwrap();
    assert_eq!((grid.judged, grid.bent), (360, 0));
    assert!(stream.video.bitrate.min_10s_kbps.is_some());

    let recording = dir.path().join("x7Qd-001.flv");
    assert_eq!(
        probe(&recording).await,
        [
            ("h264".to_owned(), 360),
            ("aac".to_owned(), stream.audio.frames)
        ]
    );
    // Nothing shows the key: neither the report nor a file's name.
    assert!(!serde_json::to_string(&report).unwrap().contains(KEY));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_over_rtmps_trusts_our_ca_only() {
    let mut settings = settings();
    settings.tls = Tls::SelfMade;
    let running = Running::start(settings).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, running.ca_pem.as_ref().unwrap()).unwrap();
    let ca = ca.to_str().unwrap();
    assert!(running.url.starts_with("rtmps://127.0.0.1:"));

    let url = format!("{}/{KEY}", running.url);
    let trusting = ["-tls_verify", "1", "-ca_file", ca];
    for url in [url.clone(), url.replace("127.0.0.1", "localhost")] {
        let output = ffmpeg(&["-t", "1"], &url, &trusting).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let output = ffmpeg(&["-t", "1"], &url, &["-tls_verify", "1"]).await;
    assert!(!output.status.success());

    let report = running.stop().await;
    assert_eq!(report.streams[0].publishes.len(), 2);
    assert_eq!(report.streams[0].video.frames, 60);
    assert_eq!(report.failure_count, 1, "{:?}", report.failures);
    assert!(
        report.failures[0]
            .ends_with("it closed right after the TLS handshake: does it trust the certificate?"),
        "{:?}",
        report.failures
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_is_judged() {
    let running = Running::start(settings()).await;
    let pipeline = format!(
        "flvmux name=m streamable=true ! rtmp2sink location={}/{KEY} \
         videotestsrc num-buffers=120 ! video/x-raw,format=I420,width=320,height=180,framerate=30/1 \
         ! x264enc tune=zerolatency key-int-max=30 speed-preset=ultrafast ! h264parse ! m. \
         audiotestsrc num-buffers=187 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 \
         ! avenc_aac ! aacparse ! m.",
        running.url
    );
    let output = tokio::process::Command::new("gst-launch-1.0")
        .arg("-q")
        .args(pipeline.split_whitespace())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report = running.stop().await;
    let stream = &report.streams[0];
    assert_eq!(stream.video.frames, 120);
    assert!(stream.audio.frames >= 187);
    assert_eq!(stream.video.gop.unwrap().max_frames, 30);
    assert_eq!(stream.interruptions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn linkedin_lets_nobody_come_back() {
    let mut settings = settings();
    settings.rules.platform = Platform::LinkedIn;
    let running = Running::start(settings).await;
    let mut first = Session::publish(running.address, KEY).await.unwrap();
    first.frames(0..30).await.unwrap();
    first.abort_after_sending().await;
    let url = format!("{}/{KEY}", running.url);
    let output = ffmpeg(&["-t", "1"], &url, &[]).await;
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("This broadcast was interrupted. LinkedIn closes the event"),
        "{}",
        text(&output.stderr)
    );
    let report = running.stop().await;
    assert_eq!(
        report.streams[0].verdict.findings,
        [
            "The connection ended without FCUnpublish or deleteStream 1 time. The platform closes \
             the event with that: the audience is lost.",
            "A publish was refused: This broadcast was interrupted. LinkedIn closes the event with \
             that, and takes no further publish on this key: use the key of a new event.",
        ]
    );
    assert_eq!(report.streams[0].refused_publishes, 1);
    assert_eq!(report.streams[0].stamps.lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_cut_at_the_limit() {
    let mut settings = settings();
    settings.rules.platform = Platform::LinkedIn;
    settings.rules.limit = Some(Duration::from_secs(2));
    let running = Running::start(settings).await;
    let url = format!("{}/{KEY}", running.url);
    let output = ffmpeg(&["-t", "60", "-vf", "realtime"], &url, &[]).await;
    assert!(!output.status.success() || text(&output.stderr).contains("Broken pipe"));
    let refused = Session::publish(running.address, KEY).await.err().unwrap();
    assert!(
        refused
            .to_string()
            .contains("This broadcast reached its longest, 2 s, and was closed."),
        "{refused}"
    );
    let report = running.stop().await;
    let publish = &report.streams[0].publishes[0];
    assert_eq!(
        serde_json::to_value(publish.ended).unwrap(),
        serde_json::json!("limit")
    );
    // It promises two seconds; a busy machine is given more.
    assert!((2.0..10.0).contains(&publish.length_s), "{publish:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn loss_doubling_replay_and_latency_are_counted() {
    let mut running = Running::start(settings()).await;
    let mut first = Session::publish(running.address, KEY).await.unwrap();
    first.frames(0..70).await.unwrap();
    first.frames(69..70).await.unwrap();
    first.frames(75..100).await.unwrap();
    first.abort_after_sending().await;
    running.wait_for_end().await;
    let mut second = Session::publish(running.address, KEY).await.unwrap();
    second.frames(60..130).await.unwrap();
    second.finish().await;
    let report = running.stop().await;
    let stream = &report.streams[0];
    let stamps = &stream.stamps;
    // 70 to 74 arrived with the replay after all.
    assert_eq!((stamps.lost, stamps.doubled), (0, 1));
    assert_eq!((stamps.repeated, stamps.stamped), (35, 166));
    assert_eq!(
        stream.verdict.findings,
        ["1 frame arrived twice within one publish."]
    );
    let latency = stream.latency.as_ref().unwrap();
    assert!(
        latency.min_ms >= 59_000.0 && latency.max_ms < 90_000.0,
        "{latency:?}"
    );
    assert_eq!(stream.video.timestamps.went_back, 0);
    assert!(!report.verdict.lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ghost_answers_bad_name_until_it_is_let_go() {
    let mut settings = settings();
    settings.rules.second_publish = SecondPublish::Refuse {
        ghost: Duration::from_secs(2),
    };
    let mut running = Running::start(settings).await;
    let mut first = Session::publish(running.address, KEY).await.unwrap();
    first.frames(0..3).await.unwrap();
    assert_bad_name(Session::publish(running.address, KEY).await);
    first.abort_after_sending().await;
    running.wait_for_end().await;
    assert_bad_name(Session::publish(running.address, KEY).await);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut second = Session::publish(running.address, KEY).await.unwrap();
    second.frames(3..6).await.unwrap();
    second.finish().await;
    let report = running.stop().await;
    assert_eq!(report.streams[0].refused_publishes, 2);
    assert_eq!(report.streams[0].publishes.len(), 2);
    assert_eq!(report.streams[0].stamps.lost, 0);
    assert!(report.verdict.ok, "{:?}", report.verdict);
}

fn assert_bad_name(result: Result<Session, PublisherError>) {
    match result.err() {
        Some(PublisherError::Rejected { code, .. }) => {
            assert_eq!(code, "NetStream.Publish.BadName");
        }
        other => panic!("{other:?} is no BadName"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newcomer_takes_over() {
    let mut settings = settings();
    settings.rules.second_publish = SecondPublish::TakeOver;
    let running = Running::start(settings).await;
    let mut first = Session::publish(running.address, KEY).await.unwrap();
    first.frames(0..3).await.unwrap();
    let mut second = Session::publish(running.address, KEY).await.unwrap();
    assert!(first.closed_by_peer().await);
    second.frames(3..6).await.unwrap();
    second.finish().await;
    let report = running.stop().await;
    assert_eq!(report.streams[0].publishes.len(), 2);
    assert_eq!(report.streams[0].stamps.lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_keys_have_a_judge_each() {
    let running = Running::start(settings()).await;
    let (mut a, mut b) = (
        Session::publish(running.address, "first-key-of-two")
            .await
            .unwrap(),
        Session::publish(running.address, "other-key-of-two-B")
            .await
            .unwrap(),
    );
    a.frames(0..20).await.unwrap();
    b.frames(0..5).await.unwrap();
    b.frames(7..10).await.unwrap();
    a.finish().await;
    b.finish().await;
    let report = running.stop().await;
    assert_eq!(report.streams.len(), 2);
    assert_eq!(report.streams[0].stamps.lost, 0);
    assert_eq!(report.streams[1].stamps.lost, 2);
    assert_eq!(
        report.verdict.findings,
        ["…wo_B: 2 frames were lost (numbers 5–6)."]
    );
    assert!(report.verdict.lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_and_slow_peers_reach_nobody_else() {
    let mut settings = settings();
    settings.patience.handshake = Duration::from_millis(1_500);
    let running = Running::start(settings).await;
    let mut good = Session::publish(running.address, KEY).await.unwrap();
    good.frames(0..10).await.unwrap();

    let mut noise = Vec::new();
    for n in 0..40u32 {
        let mut peer = TcpStream::connect(running.address).await.unwrap();
        let bytes: Vec<u8> = (0..5_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(n * 7_919) >> 13) as u8)
            .collect();
        // Odd ones begin like a handshake.
        let first = if n % 2 == 1 { 3 } else { n as u8 };
        // It may hang up in the middle of this.
        let _ = peer.write_all(&[first]).await;
        let _ = peer.write_all(&bytes).await;
        noise.push(peer);
    }
    // This one says nothing: it is shown the door.
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut buffer = [0; 16];
    let closed = tokio::time::timeout(Duration::from_secs(20), silent.read(&mut buffer)).await;
    assert_eq!(closed.expect("it was let stay").unwrap_or(0), 0);

    good.frames(10..40).await.unwrap();
    good.finish().await;
    drop(noise);
    let report = running.stop().await;
    assert_eq!(report.streams.len(), 1);
    assert_eq!(report.streams[0].stamps.stamped, 40);
    assert_eq!(report.streams[0].stamps.lost, 0);
    assert!(report.failure_count > 20, "{:?}", report.failures);
    assert!(report.failures.len() <= 20);
    assert!(!report.failures.iter().any(|f| f.contains("panicked")));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_on_purpose() {
    let mut wedged = settings();
    wedged.misbehave = Misbehaviour {
        reads_nothing: true,
        kill_after: None,
    };
    let running = Running::start(wedged).await;
    let mut session = Session::publish(running.address, KEY).await.unwrap();
    // Far more than the sockets' buffers take.
    let sending = session.payload(Duration::from_secs(3), 64 * 1024 * 1024);
    assert!(sending.await.is_none(), "all of it was taken");
    let report = running.stop().await;
    assert_eq!(report.streams[0].video.frames, 0);

    let mut killed = settings();
    killed.misbehave.kill_after = Some(Duration::from_millis(300));
    let running = Running::start(killed).await;
    let mut session = Session::publish(running.address, KEY).await.unwrap();
    session.frames(0..3).await.unwrap();
    assert!(session.closed_by_peer().await);
    let report = running.stop().await;
    assert_eq!(report.streams[0].interruptions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_summary_comes_each_second() {
    let running = Running::start(settings()).await;
    let mut events = running.events();
    let mut session = Session::publish(running.address, KEY).await.unwrap();
    session.frames(0..30).await.unwrap();
    let line = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let regia::rehearsal::Event::Summary(summary) = events.recv().await.unwrap() {
                return summary;
            }
        }
    })
    .await
    .unwrap();
    assert_eq!((line.frames, line.lost), (30, Some(0)));
    assert!(line.latency_ms.is_some());
    session.finish().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_ends_once_and_says_what_was_lost() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    for (lose, code) in [(false, 0), (true, 1)] {
        let mut command = Command::start(&["--once", "--report", report.to_str().unwrap()]).await;
        let mut session = Session::publish(command.address, KEY).await.unwrap();
        session.frames(0..10).await.unwrap();
        let next = if lose { 12 } else { 10 };
        session.frames(next..40).await.unwrap();
        session.finish().await;
        let (status, out) = command.wait().await;
        assert_eq!(status.code(), Some(code), "{out}");
        let expected = if lose {
            "FINDING  2 frames were lost (numbers 10–11)."
        } else {
            "stamps   0 lost, 0 doubled, 0 repeated by replay"
        };
        assert!(out.contains(expected), "{out}");
        assert!(!out.contains(KEY), "{out}");
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        assert_eq!(json["verdict"]["lost"], lose);
        assert_eq!(
            json["streams"][0]["stamps"]["lost"],
            if lose { 2 } else { 0 }
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_writes_its_report_on_ctrl_c() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let mut command = Command::start(&["--report", report.to_str().unwrap()]).await;
    let mut session = Session::publish(command.address, KEY).await.unwrap();
    session.frames(0..10).await.unwrap();
    command.line_with("10 frames, 0 lost").await;
    command.interrupt();
    let (status, out) = command.wait().await;
    assert_eq!(status.code(), Some(0), "{out}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(json["streams"][0]["publishes"][0]["ended"], "shutdown");
    assert_eq!(json["streams"][0]["video"]["frames"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_refuses_what_it_cannot_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let in_use = format!(
        "regia rehearse: {address} can't be listened on: Address already in use (os error 98); \
         another program listens there: choose another port\n"
    );
    for (args, code, message) in [
        (vec!["--listen", &address], 1, in_use.as_str()),
        (
            vec![
                "--listen",
                "127.0.0.1:0",
                "--report",
                "/nowhere/report.json",
            ],
            2,
            "regia rehearse: the report /nowhere/report.json can't be written: No such file or \
             directory (os error 2)\n",
        ),
        (
            vec![
                "--listen",
                "127.0.0.1:0",
                "--tls",
                "--tls-cert",
                "/nowhere/cert.pem",
                "--tls-key",
                "/nowhere/key.pem",
            ],
            2,
            "regia rehearse: the certificate /nowhere/cert.pem can't be read as PEM: I/O error: No \
             such file or directory (os error 2)\n",
        ),
    ] {
        let output = regia(&args).output().await.unwrap();
        assert_eq!(text(&output.stderr), message);
        assert_eq!(output.status.code(), Some(code));
    }
}
