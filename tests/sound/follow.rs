//! Sound that follows the picture, and that of clips: each source is known by its own tone.

use crate::measure::*;
use crate::support::*;
use regia::bridge::mix::MixCommand;
use regia::bridge::protocol::{EngineEvent, SourceState};
use regia::config::*;
use std::path::{Path, PathBuf};

const FRAME_US: i64 = 33_334;
/// Beside a tone that is heard: none.
const NONE_DB: f64 = -70.0;

/// Grey of this luma, and a tone.
fn film(directory: &Path, name: &str, luma: u8, hz: f64, level_db: f64, seconds: u32) -> PathBuf {
    let path = directory.join(format!("{name}.mkv"));
    let picture = format!(
        "color=black:s=160x90:r=30:d={seconds},geq=lum={luma}:cb=128:cr=128,format=yuv420p"
    );
    let amplitude = 10f64.powf(level_db / 20.0);
    let side = format!("{amplitude}*sin({hz}*2*PI*t)");
    let sound = format!("aevalsrc={side}|{side}:s=48000:d={seconds}:c=stereo");
    let arguments = [
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        &picture,
        "-f",
        "lavfi",
        "-i",
        &sound,
        "-c:v",
        "libx264",
        "-qp",
        "10",
        "-c:a",
        "pcm_s16le",
        path.to_str().unwrap(),
    ];
    tool("ffmpeg", &arguments);
    path
}

fn source(id: &str, path: PathBuf, repeat: bool, mode: AudioMode) -> Source {
    Source {
        id: id.into(),
        kind: SourceKind::File { path, repeat },
        slate: None,
        audio: SourceAudio {
            mode,
            ..SourceAudio::default()
        },
    }
}

/// A programme of these, whose scenes are each one of those that are seen.
fn show_of(sources: Vec<Source>, scenes: Vec<Scene>) -> EngineSpec {
    let mut spec = spec(SourceKind::Test);
    spec.programme.width = 160;
    spec.programme.height = 90;
    spec.programme.video.bitrate_kbps = 600;
    spec.programme.audio.bitrate_kbps = 320;
    spec.sources = sources;
    spec.scenes = scenes;
    spec
}

async fn all_live(show: &mut OnAir, ids: &[&str]) {
    show.until("all sources", |show| {
        ids.iter().all(|wanted| {
            show.events.iter().any(|event| {
                matches!(event, EngineEvent::Source { id, state: SourceState::Live, .. } if id == wanted)
            })
        })
    })
    .await;
}

async fn take(show: &mut OnAir, request: u64, scene: &str, transition: Transition) {
    let command = MixCommand::Take {
        scene: Some(scene.into()),
        transition: Some(transition),
    };
    show.handle.mix(request, command);
    show.until("the take", |show| {
        show.events.iter().any(|event| {
            matches!(event, EngineEvent::MixDone { request: answered, result: Ok(_) } if *answered == request)
        })
    })
    .await;
}

/// The luma of each frame with its time, in µs.
fn luma(show: &OnAir) -> Vec<(i64, u8)> {
    let directory = tempfile::tempdir().unwrap();
    let (video, _) = show.write(directory.path());
    let input = video.to_str().unwrap();
    let arguments = [
        "-v",
        "error",
        "-i",
        input,
        "-vf",
        "scale=2:2:flags=area",
        "-pix_fmt",
        "gray",
        "-f",
        "rawvideo",
        "-",
    ];
    let bytes = tool("ffmpeg", &arguments);
    let mut times: Vec<i64> = show.video.iter().map(|unit| unit.pts.0).collect();
    times.sort_unstable();
    let luma: Vec<u8> = bytes.chunks_exact(4).map(|frame| frame[0]).collect();
    assert_eq!(luma.len(), times.len(), "every frame decodes");
    times.into_iter().zip(luma).collect()
}

/// The first frame at or after `from` whose luma is so; when.
fn first_frame(luma: &[(i64, u8)], from: i64, is: impl Fn(u8) -> bool) -> i64 {
    let found = luma.iter().find(|(at, luma)| *at >= from && is(*luma));
    found.expect("such a frame").0
}

/// One side of the sound, on the clock of the pictures.
struct Heard {
    samples: Vec<f32>,
    begins: i64,
}

impl Heard {
    fn of(show: &OnAir) -> Self {
        let [samples, _] = decoded(show);
        let begins = show.audio[0].pts.0;
        Heard { samples, begins }
    }

    fn index(&self, us: i64) -> usize {
        usize::try_from((us - self.begins) * RATE as i64 / 1_000_000).unwrap()
    }

    /// The level of a tone over a second from `us` on.
    fn db(&self, us: i64, hz: f64) -> f64 {
        let from = self.index(us);
        tone_db(&self.samples[from..from + RATE], hz)
    }

    /// When a tone has first risen to half of `level_db`, at or after `from`: found by its level over each 5 ms.
    fn onset(&self, from: i64, hz: f64, level_db: f64) -> i64 {
        let wanted = 10f64.powf(level_db / 20.0) / 2.0;
        let span = RATE / 200;
        let level = |begin: usize| {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, sample) in self.samples[begin..begin + span].iter().enumerate() {
                let phase = std::f64::consts::TAU * hz * n as f64 / RATE as f64;
                re += f64::from(*sample) * phase.cos();
                im += f64::from(*sample) * phase.sin();
            }
            (re * re + im * im).sqrt() * 2.0 / span as f64
        };
        let mut places = (self.index(from)..self.samples.len() - span).step_by(RATE / 1_000);
        let found = places.find(|place| level(*place) > wanted);
        let middle = found.expect("the tone begins") + span / 2;
        self.begins + middle as i64 * 1_000_000 / RATE as i64
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_follows_the_picture_and_some_of_it_stays() {
    const A: f64 = 440.0;
    const B: f64 = 997.0;
    const DESK: f64 = 2_500.0;
    let directory = tempfile::tempdir().unwrap();
    let film = |name, luma, hz, db| film(directory.path(), name, luma, hz, db, 60);
    let sources = vec![
        source("a", film("a", 60, A, -20.0), true, AudioMode::Follow),
        source("b", film("b", 200, B, -20.0), true, AudioMode::Follow),
        source("desk", film("desk", 16, DESK, -26.0), true, AudioMode::On),
    ];
    let scenes = vec![Scene::full("a", "a"), Scene::full("b", "b")];
    let mut show = OnAir::begin(show_of(sources, scenes)).await;
    all_live(&mut show, &["a", "b", "desk"]).await;
    show.video_units(75).await;
    take(&mut show, 1, "b", Transition::CUT).await;
    show.video_units(75).await;
    let fade = Transition {
        kind: TransitionKind::Fade,
        ms: 1_000,
        from: Side::Left,
    };
    take(&mut show, 2, "a", fade).await;
    show.video_units(110).await;
    show.finish().await;

    let luma = luma(&show);
    let heard = Heard::of(&show);
    let cut = first_frame(&luma, 0, |luma| luma > 150);
    let fading = first_frame(&luma, cut, |luma| luma < 212);
    let faded = first_frame(&luma, fading, |luma| luma < 55);
    let levels = |what: &str, at: i64, wanted: [f64; 3]| {
        let seen = [A, B, DESK].map(|hz| heard.db(at, hz));
        println!("{what}: {seen:.2?} dBFS, wanted {wanted:.2?}");
        for (seen, wanted) in seen.into_iter().zip(wanted) {
            let right = if wanted > NONE_DB {
                (seen - wanted).abs() <= 0.2
            } else {
                seen < NONE_DB
            };
            assert!(right, "{what}: {seen:.2} dBFS, wanted {wanted:.2}");
        }
    };
    let none = -200.0;
    levels("before the cut", cut - 1_050_000, [-20.0, none, -26.0]);
    levels("after the cut", cut + 50_000, [none, -20.0, -26.0]);
    levels("after the fade", faded + 50_000, [-20.0, none, -26.0]);
    // Its sound comes with its first picture: over 20 ms, of which half are gone at half of its height.
    let begins = heard.onset(cut - 500_000, B, -20.0) - cut;
    println!("the sound is at its half {begins} µs after the first picture of a cut");
    assert!(begins.abs() < FRAME_US, "{begins} µs");
    // Halfway through the fade both are at half.
    let half = heard.onset(fading - 200_000, A, -20.0) - fading;
    println!("the sound is at its half {half} µs after the first picture of a fade of 1 s");
    assert!((half - 500_000).abs() < 2 * FRAME_US, "{half} µs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_heard_from_its_first_picture_to_its_last() {
    const DARK: f64 = 440.0;
    const CLIP: f64 = 1_500.0;
    let directory = tempfile::tempdir().unwrap();
    let dark = film(directory.path(), "dark", 20, DARK, -20.0, 60);
    let clip = film(directory.path(), "clip", 200, CLIP, -14.0, 2);
    let sources = vec![
        source("dark", dark, true, AudioMode::Follow),
        source("clip", clip, false, AudioMode::Follow),
    ];
    let opener = Scene {
        then: Some("dark".into()),
        ..Scene::full("opener", "clip")
    };
    let scenes = vec![Scene::full("dark", "dark"), opener];
    let mut show = OnAir::begin(show_of(sources, scenes)).await;
    all_live(&mut show, &["dark", "clip"]).await;
    show.video_units(75).await;
    for request in [1, 2] {
        take(&mut show, request, "opener", Transition::CUT).await;
        show.video_units(135).await;
    }
    show.finish().await;

    let luma = luma(&show);
    let heard = Heard::of(&show);
    let mut from = 0;
    for round in 1..=2 {
        let begins = first_frame(&luma, from, |luma| luma > 150);
        let ends = first_frame(&luma, begins, |luma| luma < 100);
        let frames = (ends - begins + FRAME_US / 2) / FRAME_US;
        let sound = heard.onset(begins - 500_000, CLIP, -14.0) - begins;
        let back = heard.onset(ends - 500_000, DARK, -20.0) - ends;
        println!(
            "round {round}: {frames} frames; its sound is at its half {sound} µs after its first picture, what follows {back} µs after its own"
        );
        assert_eq!(frames, 60, "the clip, whole");
        assert!(sound.abs() < FRAME_US, "{sound} µs");
        assert!(back.abs() < FRAME_US, "{back} µs");
        for (what, at, wanted) in [
            ("before", begins - 1_050_000, [-20.0, -200.0]),
            ("during", begins + 500_000, [-200.0, -14.0]),
            ("after", ends + 50_000, [-20.0, -200.0]),
        ] {
            let seen = [DARK, CLIP].map(|hz| heard.db(at, hz));
            println!("round {round}, {what}: {seen:.2?} dBFS");
            for (seen, wanted) in seen.into_iter().zip(wanted) {
                let right = if wanted > NONE_DB {
                    (seen - wanted).abs() <= 0.2
                } else {
                    seen < NONE_DB
                };
                assert!(right, "{what}: {seen:.2} dBFS, wanted {wanted:.2}");
            }
        }
        from = ends;
    }
}
