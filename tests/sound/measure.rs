//! Tones in, numbers out.

use crate::support::*;
use regia::bridge::protocol::SourceState;
use regia::config::*;
use std::path::{Path, PathBuf};

pub const RATE: usize = 48_000;

/// A WAV file of a tone, left and right, at these levels of their peaks in dBFS.
pub fn tone(directory: &Path, hz: [f64; 2], level_db: [f64; 2], seconds: u32) -> PathBuf {
    let path = directory.join("tone.wav");
    let side = |n: usize| format!("{}*sin({}*2*PI*t)", 10f64.powf(level_db[n] / 20.0), hz[n]);
    let sound = format!(
        "aevalsrc={}|{}:s=48000:d={seconds}:c=stereo",
        side(0),
        side(1)
    );
    let arguments = [
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &sound,
        "-c:a",
        "pcm_f32le",
    ];
    tool(
        "ffmpeg",
        &[&arguments[..], &[path.to_str().unwrap()]].concat(),
    );
    path
}

/// A programme of that file, with a sound that is encoded well enough to be measured.
pub fn programme(path: &Path, audio: SourceAudio) -> EngineSpec {
    let mut spec = spec(SourceKind::File {
        path: path.to_owned(),
        repeat: true,
    });
    spec.programme.width = 160;
    spec.programme.height = 90;
    spec.programme.video.bitrate_kbps = 300;
    spec.programme.audio.bitrate_kbps = 320;
    spec.sources[0].audio = audio;
    spec
}

/// What the programme sounded like after `seconds`: left and right. The beginning, where all of it fades in, is left out.
pub async fn listen(spec: EngineSpec, seconds: usize) -> [Vec<f32>; 2] {
    let mut show = OnAir::begin(spec).await;
    show.source_is(SourceState::Live).await;
    show.video_units((seconds + 1) * 30).await;
    show.finish().await;
    let sides = decoded(&show);
    sides.map(|side| side[RATE / 2..side.len() - RATE / 10].to_vec())
}

/// Everything, as ffmpeg decodes it.
pub fn decoded(show: &OnAir) -> [Vec<f32>; 2] {
    let directory = tempfile::tempdir().unwrap();
    let (_, audio) = show.write(directory.path());
    let input = audio.to_str().unwrap();
    let pcm = tool("ffmpeg", &["-v", "error", "-i", input, "-f", "f32le", "-"]);
    let samples: Vec<f32> = pcm
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    let side = |n: usize| samples.iter().skip(n).step_by(2).copied().collect();
    [side(0), side(1)]
}

/// The level of a tone of `hz`, in dBFS of its peak, in the middle second: what else there is does not count.
pub fn tone_db(samples: &[f32], hz: f64) -> f64 {
    let from = (samples.len() - RATE) / 2;
    let (mut re, mut im) = (0.0f64, 0.0f64);
    for (n, sample) in samples[from..from + RATE].iter().enumerate() {
        let phase = std::f64::consts::TAU * hz * n as f64 / RATE as f64;
        re += f64::from(*sample) * phase.cos();
        im += f64::from(*sample) * phase.sin();
    }
    20.0 * ((re * re + im * im).sqrt() * 2.0 / RATE as f64)
        .max(1e-9)
        .log10()
}

pub fn peak_db(samples: &[f32]) -> f64 {
    let peak = samples
        .iter()
        .fold(0.0f32, |peak, sample| peak.max(sample.abs()));
    20.0 * f64::from(peak.max(1e-9)).log10()
}

#[track_caller]
pub fn assert_level(what: &str, samples: &[f32], hz: f64, wanted_db: f64) {
    let seen = tone_db(samples, hz);
    println!("{what}: {seen:.2} dBFS at {hz} Hz, wanted {wanted_db:.2}");
    assert!(
        (seen - wanted_db).abs() <= 0.2,
        "{what}: {seen:.2} dBFS, wanted {wanted_db:.2}"
    );
}
