//! A show of plain pictures, which tell by their brightness what is on air.

use crate::support::{OnAir, spec, tool};
use regia::bridge::mix::{MixAnswer, MixCommand, MixState};
use regia::bridge::protocol::EngineEvent;
use regia::config::*;
use regia::media::MediaTime;
use std::path::Path;

/// A grey picture as a PNG.
pub fn grey(directory: &Path, name: &str, level: u8) -> SourceKind {
    let path = directory.join(format!("{name}.png"));
    let colour = format!("color=0x{level:02x}{level:02x}{level:02x}:s=640x360");
    let path_text = path.to_str().unwrap().to_owned();
    let arguments = [
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &colour,
        "-frames:v",
        "1",
        &path_text,
    ];
    tool("ffmpeg", &arguments);
    SourceKind::Image { path }
}

pub fn source(id: &str, kind: SourceKind) -> Source {
    Source {
        id: id.into(),
        kind,
        slate: None,
        audio: SourceAudio::default(),
    }
}

/// Scenes "dark" and "light" of a grey picture each, "test" of the test picture, "pip" of both.
pub fn greys(directory: &Path) -> EngineSpec {
    let mut spec = spec(SourceKind::Test);
    spec.programme.video.preset = "ultrafast".into();
    spec.sources
        .push(source("dark", grey(directory, "dark", 40)));
    spec.sources
        .push(source("light", grey(directory, "light", 220)));
    let small = Layer {
        place: Place {
            x: 0.6,
            y: 0.6,
            width: 0.3,
            height: 0.3,
        },
        ..Layer::full("light")
    };
    spec.scenes = vec![
        Scene::full("dark", "dark"),
        Scene::full("light", "light"),
        Scene::full("test", "stage"),
        Scene {
            layers: vec![Layer::full("stage"), small],
            ..Scene::full("pip", "")
        },
    ];
    spec
}

/// CLOCK_MONOTONIC, as the engine stamps its units.
pub fn monotonic() -> MediaTime {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    MediaTime(now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000)
}

pub fn take(scene: &str, transition: Option<Transition>) -> MixCommand {
    MixCommand::Take {
        scene: Some(scene.to_owned()),
        transition,
    }
}

pub fn transition(kind: TransitionKind, ms: u32) -> Transition {
    Transition {
        kind,
        ms,
        from: Side::Left,
    }
}

pub fn state(show: &OnAir) -> Option<&MixState> {
    show.events.iter().rev().find_map(|event| match event {
        EngineEvent::Mix(state) => Some(&**state),
        _ => None,
    })
}

pub fn answer(show: &OnAir, request: u64) -> Option<Result<MixAnswer, String>> {
    show.events.iter().find_map(|event| match event {
        EngineEvent::MixDone {
            request: answered,
            result,
        } if *answered == request => Some(result.clone()),
        _ => None,
    })
}

/// Gives a command and waits for what came of it.
pub async fn tell(show: &mut OnAir, request: u64, command: MixCommand) -> Result<MixAnswer, String> {
    show.handle.mix(request, command);
    show.until("an answer", |show| answer(show, request).is_some())
        .await;
    answer(show, request).unwrap()
}

/// Frames that the engine says it left out, or showed again for want of time.
pub fn left_out(show: &OnAir) -> u64 {
    let counts = show.events.iter().map(|event| match event {
        EngineEvent::Overload { dropped } => *dropped,
        _ => 0,
    });
    counts.sum()
}

/// The presentation times of all frames, in order, µs.
pub fn times(show: &OnAir) -> Vec<i64> {
    let mut times: Vec<i64> = show.video.iter().map(|unit| unit.pts.0).collect();
    times.sort_unstable();
    times
}

/// The mean luma of a part of each frame, as a viewer's decoder gives it; `crop` as ffmpeg's filter has it.
pub fn luma(show: &OnAir, crop: &str) -> Vec<f64> {
    let directory = tempfile::tempdir().unwrap();
    let (video, _) = show.write(directory.path());
    let filter = format!("crop={crop},scale=16:16:flags=area");
    let bytes = tool(
        "ffmpeg",
        &[
            "-v",
            "error",
            "-i",
            video.to_str().unwrap(),
            "-vf",
            &filter,
            "-pix_fmt",
            "yuv420p",
            "-f",
            "rawvideo",
            "-",
        ],
    );
    let frames = bytes.chunks_exact(16 * 16 * 3 / 2);
    let mean = |frame: &[u8]| {
        let sum: u32 = frame[..256].iter().map(|luma| u32::from(*luma)).sum();
        f64::from(sum) / 256.0
    };
    let means: Vec<f64> = frames.map(mean).collect();
    assert_eq!(means.len(), show.video.len(), "every frame decodes");
    means
}
