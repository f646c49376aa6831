//! A mute on air, as a listener hears it: nothing but the tone that goes and comes.

use crate::measure::*;
use crate::support::*;
use regia::bridge::mix::MixCommand;
use regia::bridge::protocol::SourceState;
use regia::config::*;

const HZ: f64 = 997.0;
/// The desk's change, in samples.
const RAMP: usize = RATE / 50;

/// What is left above 6 kHz, where the tone has nothing and a click has most, without the filter's own beginning.
fn above_6_khz(samples: &[f32]) -> Vec<f32> {
    let pole = (-std::f64::consts::TAU * 6_000.0 / RATE as f64).exp();
    let mut left: Vec<f64> = samples.iter().map(|s| f64::from(*s)).collect();
    for _ in 0..6 {
        let (mut x1, mut y1) = (left[0], 0.0);
        for sample in &mut left {
            let y = (1.0 + pole) / 2.0 * (*sample - x1) + pole * y1;
            (x1, y1) = (*sample, y);
            *sample = y;
        }
    }
    left[RATE / 100..].iter().map(|s| *s as f32).collect()
}

/// The peak of each 2 ms.
fn envelope(samples: &[f32]) -> Vec<f32> {
    let pieces = samples.chunks_exact(RATE / 500);
    pieces
        .map(|piece| piece.iter().fold(0.0f32, |peak, s| peak.max(s.abs())))
        .collect()
}

/// Where the tone passes half of its height, as samples: on its way down, and up.
fn edges(samples: &[f32], height: f32) -> (Vec<usize>, Vec<usize>) {
    let loud: Vec<bool> = envelope(samples)
        .iter()
        .map(|peak| *peak > height / 2.0)
        .collect();
    let at = |down: bool| {
        let edges = (1..loud.len()).filter(|n| loud[n - 1] == down && loud[*n] != down);
        edges.map(|n| n * RATE / 500).collect()
    };
    (at(true), at(false))
}

/// The greatest difference in dBFS between what is heard around an edge and the tone of before it (or after it) under the desk's
/// half cosine, wherever that fits best.
fn beside_the_ideal_db(samples: &[f32], edge: usize, down: bool) -> f64 {
    // The tone itself, from a tenth of a second of it.
    let span = RATE / 10;
    let heard = if down {
        edge - RAMP - span
    } else {
        edge + RAMP
    };
    let phase = |n: usize| std::f64::consts::TAU * HZ * n as f64 / RATE as f64;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate().skip(heard).take(span) {
        re += f64::from(*sample) * phase(n).cos() * 2.0 / span as f64;
        im += f64::from(*sample) * phase(n).sin() * 2.0 / span as f64;
    }
    let tone = |n: usize| re * phase(n).cos() + im * phase(n).sin();
    let gain = |n: usize, begin: usize| {
        let way = n.saturating_sub(begin).min(RAMP) as f64 / RAMP as f64;
        let left = 0.5 * (1.0 + (std::f64::consts::PI * way).cos());
        if down { left } else { 1.0 - left }
    };
    let worst = |begin: usize| {
        (edge - 2 * RAMP..edge + 2 * RAMP)
            .map(|n| (f64::from(samples[n]) - tone(n) * gain(n, begin)).abs())
            .fold(0.0, f64::max)
    };
    let least = (edge - RAMP..edge).map(worst).fold(f64::MAX, f64::min);
    20.0 * least.max(1e-9).log10()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_on_air_does_not_click() {
    const LEVEL_DB: f64 = -20.0;
    const MUTES: u64 = 4;
    let directory = tempfile::tempdir().unwrap();
    let path = tone(directory.path(), [HZ, HZ], [LEVEL_DB, LEVEL_DB], 120);
    let mut show = OnAir::begin(programme(&path, SourceAudio::default())).await;
    show.source_is(SourceState::Live).await;
    show.video_units(60).await;
    for n in 0..2 * MUTES {
        let change = AudioChange {
            mute: Some(n % 2 == 0),
            ..AudioChange::default()
        };
        let source = "stage".to_owned();
        show.handle.mix(n + 1, MixCommand::Audio { source, change });
        // Each at another place in the tone and in the coder's frame.
        show.video_units(20 + n as usize).await;
    }
    show.video_units(30).await;
    show.finish().await;
    let [left, right] = decoded(&show);
    let sides = [left, right].map(|side| side[RATE / 2..side.len() - RATE / 5].to_vec());
    for side in &sides {
        let height = 10f32.powf(LEVEL_DB as f32 / 20.0);
        let (down, up) = edges(side, height);
        assert_eq!(
            (down.len(), up.len()),
            (MUTES as usize, MUTES as usize),
            "{down:?} {up:?}"
        );
        let click = peak_db(&above_6_khz(side));
        let downs = down.iter().map(|edge| (*edge, true));
        let all = downs.chain(up.iter().map(|edge| (*edge, false)));
        let ideal: Vec<f64> = all
            .map(|(edge, down)| beside_the_ideal_db(side, edge, down))
            .collect();
        println!(
            "mutes of a tone of {LEVEL_DB} dBFS: {click:.1} dBFS above 6 kHz; beside the ideal {ideal:.1?} dBFS"
        );
        assert!(click < -60.0, "{click} dBFS");
        assert!(ideal.iter().all(|db| *db < -60.0), "{ideal:?}");
        // What would be heard of a mute that is none of ours: this measure sees it.
        let mut cut = side.clone();
        let middle = (up[0] + down[1]) / 2;
        cut[middle..middle + RATE / 20].fill(0.0);
        let seen = peak_db(&above_6_khz(&cut));
        assert!(seen > -50.0, "a hard cut is {seen} dBFS");
    }
}
