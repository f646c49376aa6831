//! The RTMP sessions against servers and publishers that are not ours: nginx-rtmp and ffmpeg. What arrives is
//! compared unit by unit: bytes, decode time, presentation time, keyframe.
//!
//! Needs nginx with libnginx-mod-rtmp and ffmpeg; `scripts/test.sh` installs them.

#![allow(
    clippy::disallowed_methods,
    reason = "a test's thread may sleep while its fault lasts"
)]

use regia::config::Secret;
use regia::media::{
    AudioConfig, FrameRate, MediaTime, MediaUnit, StreamConfig, Track, VideoConfig,
};
use regia::rtmp::flv::{self, AudioBody, VideoBody};
use regia::rtmp::{
    FlvReader, Publisher, PublisherSettings, Receiver, ReceiverEvent, ReceiverSettings, TagKind,
    flv_file,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Long, because a busy machine is not an error.
const PATIENCE: Duration = Duration::from_secs(60);

struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        let child = command.spawn();
        Process(child.unwrap_or_else(|error| {
            panic!("{command:?}: {error}; scripts/test.sh installs what is missing")
        }))
    }

    fn wait(mut self) {
        let status = self.0.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn connect(port: u16) -> TcpStream {
    let start = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(error) => assert!(start.elapsed() < PATIENCE, "port {port}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Four seconds with B-frames and sound, encoded by ffmpeg.
fn material(dir: &Path) -> (StreamConfig, Vec<MediaUnit>) {
    let file = dir.join("material.flv");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=320x180:rate=30",
        ])
        .args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"])
        .args([
            "-t", "4", "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "60",
        ])
        .args(["-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2"])
        .arg(&file);
    Process::start(&mut ffmpeg).wait();
    let recording = read_flv(&std::fs::read(file).unwrap());
    assert!(recording.units.len() > 250);
    let has_b_frames = recording
        .units
        .iter()
        .any(|unit| unit.track == Track::Video && unit.pts.0 - unit.dts.0 > 40_000);
    assert!(has_b_frames);
    let config = StreamConfig {
        video: VideoConfig {
            avcc: recording.avcc.into(),
            width: 320,
            height: 180,
            fps: FrameRate { num: 30, den: 1 },
            bitrate_kbps: 500,
        },
        audio: AudioConfig {
            asc: recording.asc.into(),
            sample_rate: 48_000,
            channels: 2,
            bitrate_kbps: 128,
        },
    };
    (config, recording.units)
}

#[derive(Default)]
struct Recording {
    avcc: Vec<u8>,
    asc: Vec<u8>,
    units: Vec<MediaUnit>,
}

fn read_flv(bytes: &[u8]) -> Recording {
    let mut recording = Recording::default();
    let mut reader = FlvReader::new();
    reader.push(bytes);
    while let Some(tag) = reader.next_tag().unwrap() {
        let dts_ms = i64::from(tag.timestamp);
        let mut unit = |track, cts_ms: i64, keyframe, data| {
            recording.units.push(MediaUnit {
                track,
                dts: MediaTime::from_millis(dts_ms),
                pts: MediaTime::from_millis(dts_ms + cts_ms),
                keyframe,
                data,
            });
        };
        match tag.kind {
            TagKind::Video => match flv::parse_video(&tag.body).unwrap() {
                VideoBody::SequenceHeader(avcc) => recording.avcc = avcc.to_vec(),
                VideoBody::AccessUnit {
                    keyframe,
                    cts_ms,
                    data,
                } => unit(Track::Video, cts_ms.into(), keyframe, data),
                VideoBody::EndOfSequence | VideoBody::Command => {}
            },
            TagKind::Audio => match flv::parse_audio(&tag.body).unwrap() {
                AudioBody::SequenceHeader(asc) => recording.asc = asc.to_vec(),
                AudioBody::Frame(data) => unit(Track::Audio, 0, false, data),
            },
            TagKind::Script => {}
        }
    }
    recording
}

fn track(units: &[MediaUnit], track: Track) -> Vec<&MediaUnit> {
    units.iter().filter(|unit| unit.track == track).collect()
}

fn assert_same(sent: &[MediaUnit], arrived: &[MediaUnit]) {
    for kind in [Track::Video, Track::Audio] {
        let (sent, arrived) = (track(sent, kind), track(arrived, kind));
        assert_eq!(sent.len(), arrived.len(), "{kind:?}");
        for (n, (sent, arrived)) in sent.iter().zip(&arrived).enumerate() {
            assert_eq!(sent.data, arrived.data, "{kind:?} {n}");
            assert_eq!(
                (sent.dts, sent.pts, sent.keyframe),
                (arrived.dts, arrived.pts, arrived.keyframe),
                "{kind:?} {n}"
            );
        }
    }
}

/// Publishes all of it at once, as fast as the server reads, and says goodbye.
fn publish(port: u16, config: &StreamConfig, units: &[MediaUnit], start_ms: u64) {
    let mut stream = connect(port);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut publisher = Publisher::new(PublisherSettings {
        app: "live".into(),
        tc_url: format!("rtmp://127.0.0.1:{port}/live"),
        key: Secret::new("key"),
        credentials: None,
        chunk_size: 4096,
    });
    publisher.publish();
    let mut buffer = [0; 65_536];
    while !publisher.is_publishing() {
        stream.write_all(&publisher.take_output()).unwrap();
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "the server closed the connection");
        publisher.handle_input(&buffer[..n]).unwrap();
    }
    stream.write_all(&publisher.take_output()).unwrap();
    let mut out = Vec::new();
    let zero = MediaTime::ZERO;
    publisher.start_media_at(config, zero, start_ms, zero, &mut out);
    for unit in units {
        assert!(publisher.write_unit(unit, &mut out));
    }
    stream.write_all(&out).unwrap();
    publisher.finish();
    stream.write_all(&publisher.take_output()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // Until the server has read all and closes; what it still says does not matter.
    while matches!(stream.read(&mut buffer), Ok(n) if n > 0) {}
}

/// One process that records what is published to `live` as `DIR/key.flv`.
fn nginx(dir: &Path, port: u16) -> Process {
    let here = dir.display();
    let config = format!(
        "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
         daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/error.log info;\n\
         events {{ worker_connections 64; }}\n\
         rtmp {{ server {{ listen 127.0.0.1:{port}; chunk_size 4096;\n\
         application live {{ live on; record all; record_path {here}; }} }} }}\n"
    );
    let path = dir.join("nginx.conf");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(dir).arg("-c").arg(path);
    Process::start(command.arg("-e").arg(dir.join("start.log")))
}

fn nginx_records(start_ms: u64) {
    let dir = tempfile::tempdir().unwrap();
    let (config, units) = material(dir.path());
    let port = free_port();
    let _nginx = nginx(dir.path(), port);
    publish(port, &config, &units, start_ms);
    let recording = read_flv(&std::fs::read(dir.path().join("key.flv")).unwrap());
    assert_eq!(recording.avcc, config.video.avcc);
    assert_eq!(recording.asc, config.audio.asc);
    // nginx counts from the start of the recording.
    assert_same(&units, &recording.units);
}

#[test]
fn nginx_records_every_unit_exactly() {
    nginx_records(0);
}

#[test]
fn nginx_records_exactly_across_16_777_215_ms_and_2_to_the_32_ms() {
    nginx_records(0xff_ffff - 2_000);
    nginx_records((1 << 32) - 2_000);
}

#[test]
fn ffmpeg_listening_takes_every_unit() {
    let dir = tempfile::tempdir().unwrap();
    let (config, units) = material(dir.path());
    let port = free_port();
    let file = dir.path().join("arrived.flv");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "fatal", "-listen", "1", "-i"])
        .arg(format!("rtmp://127.0.0.1:{port}/live/key"))
        .args(["-c", "copy"])
        .arg(&file);
    let ffmpeg = Process::start(&mut ffmpeg);
    publish(port, &config, &units, 0);
    ffmpeg.wait();
    assert_same(&units, &read_flv(&std::fs::read(file).unwrap()).units);
}

#[test]
fn ffmpeg_publishes_to_the_receiver() {
    let dir = tempfile::tempdir().unwrap();
    let (_, units) = material(dir.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "fatal", "-i"])
        .arg(dir.path().join("material.flv"))
        .args(["-c", "copy", "-f", "flv"])
        .arg(format!("rtmp://127.0.0.1:{port}/live/event/key"));
    let ffmpeg = Process::start(&mut ffmpeg);
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();

    let mut receiver = Receiver::new(ReceiverSettings::default());
    let mut flv = Vec::new();
    flv_file::write_header(&mut flv);
    let (mut asked, mut metadata, mut ended) = (None, None, false);
    let mut buffer = [0; 65_536];
    loop {
        let n = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        };
        receiver.handle_input(&buffer[..n]).unwrap();
        while let Some(event) = receiver.poll_event() {
            match event {
                ReceiverEvent::PublishRequested { app, key } => {
                    asked = Some((app, key.expose().to_owned()));
                    receiver.accept_publish();
                }
                ReceiverEvent::Metadata(value) => metadata = Some(value),
                ReceiverEvent::Tag {
                    kind,
                    timestamp_ms,
                    body,
                } => flv_file::write_tag(kind.into(), timestamp_ms, &body, &mut flv).unwrap(),
                ReceiverEvent::Unpublished => ended = true,
                ReceiverEvent::Connect { .. }
                | ReceiverEvent::Deleted
                | ReceiverEvent::Acknowledged { .. } => {}
            }
        }
        // ffmpeg hangs up without waiting for the last answers.
        let _ = stream.write_all(&receiver.take_output());
    }
    ffmpeg.wait();
    assert_eq!(asked, Some(("live/event".into(), "key".into())));
    let width = metadata.and_then(|value| value.get("width")?.as_number());
    assert_eq!(width, Some(320.0));
    assert!(ended);
    assert_same(&units, &read_flv(&flv).units);
}
