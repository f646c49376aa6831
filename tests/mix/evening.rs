//! An evening as a venue has it: four sources over files and networks, their sound, titles, and an operator who never rests.

use crate::rig::*;
use crate::support::{OnAir, tool};
use regia::bridge::mix::MixCommand;
use regia::bridge::protocol::{EngineEvent, SourceState};
use regia::config::*;
use regia::stamp;
use regia_testkit::process::{Launch, Process};
use regia_testkit::rtsp::Camera;
use regia_testkit::{ports, skip, usage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TEST: &str = "ten_minutes_of_takes_lose_no_frame";
/// The sources, in the configuration's order.
const SOURCES: [&str; 4] = ["opener", "slides", "camera", "remote"];
const SCENES: [&str; 7] = [
    "opener", "slides", "camera", "remote", "beside", "two-up", "quad",
];
/// Of a clip; it is repeated.
const CLIP_S: u32 = 20;

/// A lively clip of 720p30 with a tone.
fn clip(directory: &Path, name: &str, hue: u32, hz: u32) -> PathBuf {
    let path = directory.join(format!("{name}.mp4"));
    let picture = format!("testsrc2=s=1280x720:r=30:d={CLIP_S},hue=h={hue}");
    let sound = format!("sine=f={hz}:r=48000:d={CLIP_S}");
    let inputs = ["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound];
    let codecs = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-g",
        "30",
        "-b:v",
        "2500k",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
        "-ac",
        "2",
        path.to_str().unwrap(),
    ];
    tool(
        "ffmpeg",
        &[&["-v", "error", "-y"], &inputs[..], &codecs[..]].concat(),
    );
    path
}

/// The clip over and over, for a camera that is looked at for long.
fn reel(clip: &Path, seconds: u64) -> PathBuf {
    let path = clip.with_file_name("reel.mp4");
    let arguments = [
        "-v",
        "error",
        "-y",
        "-stream_loop",
        "-1",
        "-i",
        clip.to_str().unwrap(),
        "-t",
        &seconds.to_string(),
        "-c",
        "copy",
        path.to_str().unwrap(),
    ];
    tool("ffmpeg", &arguments);
    path
}

/// An encoder far away, which sends what was encoded before.
fn sender(clip: &Path, port: u16) -> Process {
    Launch::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i"])
        .arg(clip)
        .args(["-c", "copy", "-f", "mpegts"])
        .arg(format!("srt://127.0.0.1:{port}?mode=listener"))
        .spawn()
}

/// As an operator writes it. One input stays, two follow the picture.
fn configuration(opener: &Path, slides: &Path, camera: &str, remote: u16) -> String {
    format!(
        r#"
[programme]
width = 1280
height = 720
fps = 30
[programme.video]
encoder = "x264"
preset = "veryfast"
bitrate_kbps = 3000
min_bitrate_kbps = 1000
[[source]]
id = "opener"
kind = "file"
path = {opener:?}
loop = true
[source.audio]
mode = "on"
gain_db = -12.0
[[source]]
id = "slides"
kind = "file"
path = {slides:?}
loop = true
audio = "off"
[[source]]
id = "camera"
kind = "rtsp"
url = {camera:?}
[[source]]
id = "remote"
kind = "srt"
url = "srt://127.0.0.1:{remote}"
[[scene]]
id = "opener"
layers = [{{ source = "opener" }}]
[[scene]]
id = "slides"
layers = [{{ source = "slides" }}]
[[scene]]
id = "camera"
layers = [{{ source = "camera" }}]
[[scene]]
id = "remote"
layers = [{{ source = "remote" }}]
[[scene]]
id = "beside"
layout = "pip"
sources = ["slides", "camera"]
[[scene]]
id = "two-up"
layout = "two-up"
sources = ["camera", "remote"]
[[scene]]
id = "quad"
layout = "quad"
sources = ["opener", "slides", "camera", "remote"]
[[title]]
id = "speaker"
kind = "lower-third"
lines = ["Anna Rossi", "Mayor of Trento"]
[[title]]
id = "time"
kind = "clock"
lines = ["HH:MM:SS"]
[[overlay]]
id = "name"
title = "speaker"
on = true
[[overlay]]
id = "clock"
title = "time"
on = true
[[destination]]
id = "out"
platform = "custom"
server = "rtmp://127.0.0.1:9/live"
key = "none"
"#
    )
}

fn spec(directory: &Path, text: &str) -> EngineSpec {
    let path = directory.join("regia.toml");
    std::fs::write(&path, text).unwrap();
    let settings = load(&path).unwrap_or_else(|e| panic!("{e}")).settings;
    EngineSpec {
        programme: settings.programme,
        sources: settings.sources,
        scenes: settings.scenes,
        titles: settings.titles,
        overlays: settings.overlays,
    }
}

/// What came out, counted as it came: ten minutes of it are not kept.
#[derive(Default)]
struct Count {
    /// Those up to this one are not counted.
    after: u64,
    frames: Vec<u64>,
    captured_us: Vec<u64>,
    sounds: Vec<i64>,
}

impl Count {
    /// From here on. Units come in the order of decoding: some that are shown before the newest are still to come.
    fn begin(show: &mut OnAir) -> Self {
        let stamps = show.video.drain(..);
        let numbers = stamps.filter_map(|unit| Some(stamp::find(&unit.data)?.frame));
        let after = numbers.max().unwrap_or(0);
        show.audio.clear();
        Count {
            after,
            ..Count::default()
        }
    }

    fn take(&mut self, show: &mut OnAir) {
        for unit in show.video.drain(..) {
            let stamp = stamp::find(&unit.data).expect("a stamp");
            if stamp.frame > self.after {
                self.frames.push(stamp.frame);
                self.captured_us.push(stamp.captured_us);
            }
        }
        self.sounds
            .extend(show.audio.drain(..).map(|unit| unit.pts.0));
        show.order.clear();
        show.events
            .retain(|event| !matches!(event, EngineEvent::Levels(_)));
    }

    fn print(&mut self) -> Counted {
        self.frames.sort_unstable();
        self.captured_us.sort_unstable();
        let pairs = self.frames.windows(2);
        let doubled = pairs.filter(|pair| pair[0] == pair[1]).count() as u64;
        let periods = self.frames[self.frames.len() - 1] - self.frames[0] + 1;
        let lost = periods + doubled - self.frames.len() as u64;
        let gaps = self.captured_us.windows(2).map(|pair| pair[1] - pair[0]);
        let gap = Duration::from_micros(gaps.max().unwrap_or(0));
        // Of 1024 samples each: what is farther from its predecessor has lost some.
        let breaks = self.sounds.windows(2);
        let breaks = breaks.filter(|pair| (pair[1] - pair[0] - 21_333).abs() > 2_000);
        let breaks = breaks.count();
        println!(
            "frames {}, lost {lost}, doubled {doubled}, largest gap between stamps {gap:?}; frames of sound {}, breaks in them {breaks}",
            self.frames.len(),
            self.sounds.len(),
        );
        Counted {
            frames: self.frames.len() as u64,
            lost,
            doubled,
            breaks,
        }
    }
}

struct Counted {
    frames: u64,
    lost: u64,
    doubled: u64,
    breaks: usize,
}

/// What is done next, and a name for it.
fn next_command(next: &mut impl FnMut(u32) -> u32) -> (&'static str, MixCommand) {
    let scene = SCENES[next(SCENES.len() as u32) as usize];
    let (name, kind) = TransitionKind::ALL[next(TransitionKind::ALL.len() as u32) as usize];
    let transition = Transition {
        kind,
        ms: match kind {
            TransitionKind::Cut => 0,
            _ => 200 + next(1_300),
        },
        from: Side::ALL[next(4) as usize].1,
    };
    (name, take(scene, Some(transition)))
}

#[tokio::test]
async fn ten_minutes_of_takes_lose_no_frame() {
    let whole = Duration::from_secs(600);
    let length = skip::length(TEST, whole, Duration::from_secs(30));
    let takes = if length == whole { 200 } else { 10 };
    let directory = tempfile::tempdir().unwrap();
    let opener = clip(directory.path(), "opener", 0, 440);
    let slides = clip(directory.path(), "slides", 90, 660);
    let camera = Camera::of(reel(&opener, length.as_secs() + 120));
    let port = ports::free();
    let _sender = sender(&slides, port);
    let text = configuration(&opener, &slides, &camera.url(), port);
    let mut show = OnAir::begin(spec(directory.path(), &text)).await;
    show.until("all four sources", |show| {
        SOURCES
            .iter()
            .all(|id| last_state(show, id) == Some(SourceState::Live))
    })
    .await;
    // What a start costs is no part of it: encoders fill, decoders settle.
    show.video_units(90).await;
    let mut count = Count::begin(&mut show);
    let before = left_out(&show);
    let late_before = late(&show);
    let meter = usage::Meter::start(show.pids[0]);

    let mut random = 0x1f83_d9ab_u32;
    let mut next = move |upto: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % upto
    };
    let mut done = BTreeMap::<&str, u32>::new();
    let frames_each = length.as_secs() as usize * 30 / takes;
    for n in 0..takes {
        let (name, command) = next_command(&mut next);
        *done.entry(name).or_default() += 1;
        tell(&mut show, n as u64 + 1, command).await.unwrap();
        // Some come while the one before still runs.
        let quick = next(8) == 0;
        show.video_units(if quick { 10 } else { frames_each }).await;
        if n % 7 == 3 {
            let command = MixCommand::Overlay {
                id: "name".into(),
                on: n % 2 == 0,
            };
            tell(&mut show, 10_000 + n as u64, command).await.unwrap();
        }
        count.take(&mut show);
    }
    while count.frames.len() < length.as_secs() as usize * 30 {
        show.video_units(30).await;
        count.take(&mut show);
    }
    let reading = meter.finish();
    // Health is told once a second.
    show.video_units(40).await;
    let told = left_out(&show) - before;
    let late = late(&show);
    for id in SOURCES {
        let state = last_state(&show, id);
        assert_eq!(state, Some(SourceState::Live), "{id} is there to the end");
    }
    show.finish().await;
    count.take(&mut show);

    println!("{takes} takes in {length:?}: {done:?}");
    let counted = count.print();
    println!(
        "left out by the encoder or shown again for want of time {told}; engines started {}; its CPU {:.2} cores",
        show.pids.len(),
        reading.cores,
    );
    for (id, (frames, late, reconnects)) in &late {
        let (frames_before, before, _) = late_before.get(id).copied().unwrap_or_default();
        println!(
            "{id}: {} pictures, {} late, came back {reconnects} times",
            frames - frames_before,
            late - before
        );
    }
    assert_eq!(
        show.pids.len(),
        1,
        "the engine was started again: {:?}",
        show.ends
    );
    assert!(counted.frames + counted.lost >= length.as_secs() * 30);
    assert_eq!(counted.doubled, 0, "frames came twice");
    assert_eq!(counted.breaks, 0, "the sound is unbroken");
    // A machine that is busy with something else leaves frames out, and says so.
    assert!(
        counted.lost <= told,
        "{} frames are lost, {told} were told",
        counted.lost
    );
    if std::env::var_os("REGIA_STRICT").is_some() {
        assert_eq!((counted.lost, told), (0, 0), "on a machine of its own");
        for (id, (_, _, reconnects)) in &late {
            assert_eq!(*reconnects, 0, "{id} was there all the time");
        }
    }
}

fn last_state(show: &OnAir, of: &str) -> Option<SourceState> {
    show.events.iter().rev().find_map(|event| match event {
        EngineEvent::Source { id, state, .. } if id == of => Some(*state),
        _ => None,
    })
}

/// Of each source, as it was told last: its pictures, those of them that were late, and how often it came back.
fn late(show: &OnAir) -> BTreeMap<String, (u64, u64, u32)> {
    let health = show.events.iter().rev().find_map(|event| match event {
        EngineEvent::Health { sources } => Some(sources.clone()),
        _ => None,
    });
    let sources = health.into_iter().flatten();
    sources
        .map(|source| (source.id, (source.frames, source.late, source.reconnects)))
        .collect()
}
