//! Publishers and an ingest for tests.

use bytes::Bytes;
use regia::config::Secret;
use regia::media::{AudioConfig, FrameRate, MediaUnit, StreamConfig, Track, VideoConfig};
use regia::rehearsal::{
    Event, Misbehaviour, Patience, Platform, Rehearsal, Report, Rules, SecondPublish, Settings, Tls,
};
use regia::rtmp::{Publisher, PublisherError, PublisherEvent, PublisherSettings};
use regia::stamp::{self, Stamp};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout};
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn settings() -> Settings {
    Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        tls: Tls::Off,
        rules: Rules {
            platform: Platform::Custom,
            limit: None,
            second_publish: SecondPublish::Refuse {
                ghost: Duration::ZERO,
            },
        },
        record: None,
        once: false,
        patience: Patience::default(),
        misbehave: Misbehaviour::default(),
    }
}

/// An ingest that runs until `stop`.
pub struct Running {
    pub url: String,
    pub address: SocketAddr,
    pub ca_pem: Option<String>,
    events: broadcast::Receiver<Event>,
    stop: oneshot::Sender<()>,
    report: JoinHandle<Report>,
}

impl Running {
    pub async fn start(settings: Settings) -> Self {
        let rehearsal = Rehearsal::bind(settings).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        Running {
            url: rehearsal.url(),
            address: rehearsal.address(),
            ca_pem: rehearsal.ca_pem().map(str::to_owned),
            events: rehearsal.events(),
            stop,
            report: tokio::spawn(rehearsal.run(async {
                stopped.await.unwrap();
            })),
        }
    }

    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.resubscribe()
    }

    /// Until the next publish that nobody waited for has ended.
    pub async fn wait_for_end(&mut self) {
        let ended =
            async { while !matches!(self.events.recv().await.unwrap(), Event::Ended { .. }) {} };
        timeout(PATIENCE, ended).await.unwrap();
    }

    pub async fn stop(self) -> Report {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.report).await.unwrap().unwrap()
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A moving picture at 640×360 and 30 fps with a tone, each GOP 60 frames with B-frames.
pub async fn ffmpeg(input: &[&str], url: &str, output: &[&str]) -> Output {
    tokio::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin"])
        .args(["-f", "lavfi", "-i", "testsrc2=s=640x360:r=30"])
        .args(["-f", "lavfi", "-i", "sine=r=48000"])
        .args(input)
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-profile:v",
            "high",
        ])
        .args(["-pix_fmt", "yuv420p", "-b:v", "800k", "-bf", "2"])
        .args(["-g", "60", "-keyint_min", "60", "-sc_threshold", "0"])
        .args(["-c:a", "aac", "-ac", "2", "-b:a", "96k", "-f", "flv"])
        .args(output)
        .arg(url)
        .kill_on_drop(true)
        .output()
        .await
        .expect("ffmpeg is needed for this test")
}

/// Codec and number of packets of each stream, by ffprobe.
pub async fn probe(file: &Path) -> Vec<(String, u64)> {
    let output = tokio::process::Command::new("ffprobe")
        .args(["-v", "error", "-count_packets", "-of", "csv=p=0"])
        .args(["-show_entries", "stream=codec_name,nb_read_packets"])
        .arg(file)
        .output()
        .await
        .expect("ffprobe is needed for this test");
    assert_eq!(text(&output.stderr), "");
    text(&output.stdout)
        .lines()
        .map(|line| {
            let (codec, count) = line.split_once(',').unwrap();
            (codec.to_owned(), count.parse().unwrap())
        })
        .collect()
}

/// Publishes stamped frames of 30 fps with our own session.
pub struct Session {
    stream: TcpStream,
    publisher: Publisher,
    base: Option<u64>,
}

impl Session {
    pub async fn publish(address: SocketAddr, key: &str) -> Result<Self, PublisherError> {
        let mut session = Session {
            stream: TcpStream::connect(address).await.unwrap(),
            publisher: Publisher::new(PublisherSettings {
                app: "live".into(),
                tc_url: format!("rtmp://{address}/live"),
                key: Secret::new(key),
                credentials: None,
                chunk_size: 4096,
            }),
            base: None,
        };
        session.publisher.publish();
        timeout(PATIENCE, session.begin()).await.unwrap()?;
        Ok(session)
    }

    async fn begin(&mut self) -> Result<(), PublisherError> {
        let mut buffer = vec![0; 4096];
        loop {
            let output = self.publisher.take_output();
            self.stream.write_all(&output).await.unwrap();
            let n = self.stream.read(&mut buffer).await.unwrap();
            assert_ne!(n, 0, "the ingest closed before it answered");
            self.publisher.handle_input(&buffer[..n])?;
            while let Some(event) = self.publisher.poll_event() {
                if event == PublisherEvent::Publishing {
                    return Ok(());
                }
            }
        }
    }

    /// Frames with these numbers; the first one ever begins the timeline.
    pub async fn frames(&mut self, numbers: Range<u64>) -> io::Result<()> {
        self.frames_of(numbers, 200).await
    }

    async fn frames_of(&mut self, numbers: Range<u64>, bytes: usize) -> io::Result<()> {
        let fps = FrameRate { num: 30, den: 1 };
        let mut out = Vec::new();
        if self.base.is_none() {
            self.base = Some(numbers.start);
            let at = fps.frame_time(numbers.start as i64);
            self.publisher.start_media(&config(), at, &mut out);
        }
        for n in numbers {
            let at = fps.frame_time(n as i64);
            let slice = [&(bytes as u32).to_be_bytes()[..], &vec![0x65; bytes]].concat();
            let stamp = Stamp {
                frame: n,
                captured_us: epoch_us() + n * 1_000,
            };
            let keyframe = n.is_multiple_of(60) || Some(n) == self.base;
            let unit = MediaUnit {
                track: Track::Video,
                dts: at,
                pts: at,
                keyframe,
                data: stamp::insert(&slice, stamp).into(),
            };
            assert!(self.publisher.write_unit(&unit, &mut out));
        }
        self.stream.write_all(&out).await
    }

    /// Sends this much media; None when it was not taken within `patience`.
    pub async fn payload(&mut self, patience: Duration, bytes: usize) -> Option<()> {
        let sending = async {
            for n in 0..(bytes / 1_000_000) as u64 {
                self.frames_of(n..n + 1, 1_000_000).await.unwrap();
            }
        };
        timeout(patience, sending).await.ok()
    }

    /// Says goodbye and waits until the ingest has taken it.
    pub async fn finish(mut self) {
        self.publisher.finish();
        let output = self.publisher.take_output();
        self.stream.write_all(&output).await.unwrap();
        self.stream.shutdown().await.unwrap();
        self.drain().await;
    }

    /// Closes without goodbye, when all that was sent has been read.
    pub async fn abort_after_sending(mut self) {
        self.stream.shutdown().await.unwrap();
        self.drain().await;
    }

    pub async fn closed_by_peer(&mut self) -> bool {
        timeout(PATIENCE, self.drain()).await.is_ok()
    }

    async fn drain(&mut self) {
        let mut buffer = vec![0; 4096];
        while self.stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
    }
}

/// When frame 0 of every session was captured: a minute ago, so that all the others were captured too, and one for all,
/// so that a replayed number has the time it had before.
fn epoch_us() -> u64 {
    static EPOCH: OnceLock<u64> = OnceLock::new();
    *EPOCH.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now - Duration::from_secs(60)).as_micros() as u64
    })
}

fn config() -> StreamConfig {
    StreamConfig {
        video: VideoConfig {
            // High 4.0, 1920×1080, as x264 writes it.
            avcc: Bytes::from_static(&[
                1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 27, 0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40,
                0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03,
                0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
            ]),
            width: 1920,
            height: 1080,
            fps: FrameRate { num: 30, den: 1 },
            bitrate_kbps: 6_000,
        },
        audio: AudioConfig {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_kbps: 128,
        },
    }
}

/// `regia rehearse` as a process of its own.
pub struct Command {
    pub address: SocketAddr,
    child: Child,
    out: BufReader<ChildStdout>,
}

pub fn regia(args: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_regia"));
    command.arg("rehearse").args(args).kill_on_drop(true);
    command
}

impl Command {
    pub async fn start(args: &[&str]) -> Self {
        let mut child = regia(&["--listen", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        timeout(PATIENCE, out.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        let address = line
            .split("rtmp://")
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_else(|| panic!("no URL in {line:?}"));
        Command {
            address: address.parse().unwrap(),
            child,
            out,
        }
    }

    /// Until it prints a line with `part`.
    pub async fn line_with(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            let n = timeout(PATIENCE, self.out.read_line(&mut line)).await;
            assert_ne!(n.unwrap().unwrap(), 0, "it ended without {part:?}");
        }
    }

    /// As Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status();
        assert!(status.unwrap().success());
    }

    pub async fn wait(&mut self) -> (ExitStatus, String) {
        let mut out = String::new();
        let status = timeout(PATIENCE, async {
            self.out.read_to_string(&mut out).await.unwrap();
            self.child.wait().await.unwrap()
        })
        .await
        .unwrap();
        (status, out)
    }
}
