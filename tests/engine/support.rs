//! One engine under its supervisor, and what it said so far.

use regia::bridge::mix::Thumbnail;
use regia::bridge::protocol::{EngineEvent, SourceState, Up};
use regia::bridge::supervisor::{EngineHandle, EngineOutput, SupervisorSettings, start};
use regia::config::*;
use regia::media::{FrameRate, MediaUnit, StreamConfig, Track};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, mpsc};
use tokio::time::{Instant, timeout_at};

pub const FPS: FrameRate = FrameRate { num: 30, den: 1 };
/// Far beyond what anything here takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// Engines are heavy: one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// For tests without a runtime.
#[allow(dead_code, reason = "not every test program has such")]
pub fn alone_blocking() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.blocking_lock()
}

pub struct OnAir {
    pub handle: EngineHandle,
    outputs: mpsc::Receiver<EngineOutput>,
    pub video: Vec<MediaUnit>,
    pub audio: Vec<MediaUnit>,
    /// Both tracks as they came: dts in ms.
    pub order: Vec<(Track, i64)>,
    pub configs: Vec<StreamConfig>,
    pub events: Vec<EngineEvent>,
    pub thumbnails: Vec<Thumbnail>,
    /// Pids of the runs so far.
    pub pids: Vec<u32>,
    pub ends: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

pub fn spec(kind: SourceKind) -> EngineSpec {
    EngineSpec {
        programme: Programme {
            width: 640,
            height: 360,
            fps: FPS,
            video: Video {
                encoder: EncoderChoice::X264,
                preset: "veryfast".into(),
                tune: Tune::Quality,
                bitrate_kbps: 1_500,
                min_bitrate_kbps: 300,
                keyframe_s: 2.0,
            },
            audio: Audio {
                bitrate_kbps: 128,
                sample_rate: 48_000,
                limiter_db: Some(Audio::LIMITER_DB),
                target_lufs: Audio::TARGET_LUFS,
            },
            stamp: true,
            alarms: Default::default(),
            multiview: None,
        },
        sources: vec![Source {
            id: "stage".into(),
            kind,
            slate: None,
            audio: SourceAudio::default(),
        }],
        scenes: vec![Scene::full("wide", "stage")],
        titles: Vec::new(),
        overlays: Vec::new(),
    }
}

pub fn engine_program() -> PathBuf {
    env!("CARGO_BIN_EXE_regia").into()
}

impl OnAir {
    pub async fn begin(spec: EngineSpec) -> OnAir {
        Self::begin_with(spec, |_| {}).await
    }

    pub async fn begin_with(
        spec: EngineSpec,
        adjust: impl FnOnce(&mut SupervisorSettings),
    ) -> OnAir {
        let alone = ONE_AT_A_TIME.lock().await;
        let (tx, outputs) = mpsc::channel(64);
        let mut settings = SupervisorSettings::new(spec).unwrap();
        settings.program = engine_program();
        adjust(&mut settings);
        OnAir {
            handle: start(settings, tx),
            outputs,
            video: Vec::new(),
            audio: Vec::new(),
            order: Vec::new(),
            configs: Vec::new(),
            events: Vec::new(),
            thumbnails: Vec::new(),
            pids: Vec::new(),
            ends: Vec::new(),
            _alone: alone,
        }
    }

    /// Listens until `enough`.
    pub async fn until(&mut self, what: &str, enough: impl Fn(&OnAir) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !enough(self) {
            match timeout_at(deadline, self.outputs.recv()).await {
                Ok(Some(output)) => self.take(output),
                Ok(None) => panic!("the supervisor ended while waiting for {what}"),
                Err(_) => panic!("waited too long for {what}; events: {:?}", self.events),
            }
        }
    }

    pub async fn video_units(&mut self, more: usize) {
        let goal = self.video.len() + more;
        self.until("video units", |show| show.video.len() >= goal)
            .await;
    }

    pub async fn source_is(&mut self, state: SourceState) -> String {
        let of = |show: &OnAir| match show.events.iter().rev().find_map(source_state) {
            Some((now, detail)) if now == state => Some(detail),
            _ => None,
        };
        self.until("a state of the source", |show| of(show).is_some())
            .await;
        of(self).unwrap()
    }

    /// Stops the engine and listens to its end.
    pub async fn finish(&mut self) {
        self.handle.stop();
        let deadline = Instant::now() + PATIENCE;
        while let Ok(Some(output)) = timeout_at(deadline, self.outputs.recv()).await {
            self.take(output);
        }
    }

    fn take(&mut self, output: EngineOutput) {
        match output {
            EngineOutput::Started { run, pid } => {
                assert_eq!(run as usize, self.pids.len() + 1);
                assert_eq!(self.pids.len(), self.ends.len(), "two engines at once");
                self.pids.push(pid.unwrap());
            }
            EngineOutput::Ended { text, .. } => self.ends.push(text),
            EngineOutput::Message { up, .. } => match up {
                Up::Hello { .. } => {}
                Up::Config(config) => self.configs.push(config),
                Up::Event(event) => self.events.push(event),
                // Only where it was asked for.
                Up::Slate(_) => {}
                Up::Thumbnail(thumbnail) => self.thumbnails.push(thumbnail),
                Up::Unit(unit) => {
                    assert!(!self.configs.is_empty(), "a unit before its configuration");
                    self.order.push((unit.track, unit.dts.as_millis()));
                    match unit.track {
                        Track::Video => self.video.push(unit),
                        Track::Audio => self.audio.push(unit),
                    }
                }
            },
        }
    }

    /// Writes both tracks as files that ffmpeg reads.
    pub fn write(&self, directory: &Path) -> (PathBuf, PathBuf) {
        let mut h264 = Vec::new();
        let avcc = &self.configs[0].video.avcc;
        let mut at = 6;
        for sets in [usize::from(avcc[5] & 0x1f), 1] {
            for _ in 0..sets {
                let length = usize::from(u16::from_be_bytes([avcc[at], avcc[at + 1]]));
                h264.extend_from_slice(&[0, 0, 0, 1]);
                h264.extend_from_slice(&avcc[at + 2..at + 2 + length]);
                at += 2 + length;
            }
            at += 1;
        }
        for unit in &self.video {
            let mut rest = &unit.data[..];
            while let Some((length, body)) = rest.split_first_chunk::<4>() {
                let (nal, tail) = body.split_at(u32::from_be_bytes(*length) as usize);
                h264.extend_from_slice(&[0, 0, 0, 1]);
                h264.extend_from_slice(nal);
                rest = tail;
            }
        }
        let mut aac = Vec::new();
        for unit in &self.audio {
            // An ADTS header: AAC-LC, 48 kHz, two channels.
            let length = unit.data.len() + 7;
            aac.extend_from_slice(&[0xff, 0xf1, 0x4c, 0x80 | (length >> 11) as u8]);
            aac.extend_from_slice(&[(length >> 3) as u8, (length << 5) as u8 | 0x1f, 0xfc]);
            aac.extend_from_slice(&unit.data);
        }
        let paths = (directory.join("v.h264"), directory.join("a.aac"));
        std::fs::write(&paths.0, h264).unwrap();
        std::fs::write(&paths.1, aac).unwrap();
        paths
    }
}

impl OnAir {
    /// When the upper half turns white and when a loud sound begins, in µs, as a viewer's decoder gives them.
    pub fn flashes_and_beeps(&self) -> (Vec<i64>, Vec<i64>) {
        let directory = tempfile::tempdir().unwrap();
        let (video, audio) = self.write(directory.path());
        let luma = tool(
            "ffmpeg",
            &[
                "-v",
                "error",
                "-i",
                video.to_str().unwrap(),
                "-vf",
                "crop=iw:ih/2:0:0,scale=2:2",
                "-pix_fmt",
                "gray",
                "-f",
                "rawvideo",
                "-",
            ],
        );
        let mut pts: Vec<i64> = self.video.iter().map(|u| u.pts.0).collect();
        pts.sort_unstable();
        let white: Vec<bool> = luma.chunks(4).map(|p| p.iter().all(|y| *y > 200)).collect();
        assert_eq!(white.len(), pts.len(), "every frame decodes");
        let flashes = (1..white.len())
            .filter(|n| white[*n] && !white[*n - 1])
            .map(|n| pts[n])
            .collect();

        let pcm = tool(
            "ffmpeg",
            &[
                "-v",
                "error",
                "-i",
                audio.to_str().unwrap(),
                "-ac",
                "1",
                "-f",
                "s16le",
                "-",
            ],
        );
        let samples = pcm
            .as_chunks::<2>()
            .0
            .iter()
            .map(|s| i16::from_le_bytes(*s));
        let loud: Vec<usize> = samples
            .enumerate()
            .filter(|(_, s)| s.unsigned_abs() > 8_000)
            .map(|(n, _)| n)
            .collect();
        let start = self.audio[0].pts.0;
        let beeps = (0..loud.len())
            .filter(|n| *n == 0 || loud[*n] - loud[*n - 1] > 24_000)
            .map(|n| start + loud[n] as i64 * 1_000_000 / 48_000)
            .collect();
        (flashes, beeps)
    }
}

pub fn source_state(event: &EngineEvent) -> Option<(SourceState, String)> {
    match event {
        EngineEvent::Source { state, detail, .. } => Some((*state, detail.clone())),
        _ => None,
    }
}

/// Runs a tool and gives its standard output.
pub fn tool(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A clip of two seconds, 25 fps, with 5.1 sound; noisy enough to fill any bitrate.
pub fn clip(directory: &Path) -> PathBuf {
    let path = directory.join("clip.mp4");
    let arguments = [
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=480x360:r=25:d=2,noise=alls=30:allf=t",
        "-f",
        "lavfi",
        "-i",
        "aevalsrc=0.2*sin(440*2*PI*t)|0.2*sin(550*2*PI*t)|0|0|0|0:c=5.1:s=48000:d=2",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-c:a",
        "aac",
    ];
    tool(
        "ffmpeg",
        &[&arguments[..], &[path.to_str().unwrap()]].concat(),
    );
    path
}
