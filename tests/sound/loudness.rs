//! Loudness as Regia tells it beside what ffmpeg measures of the same programme.

use crate::measure::*;
use crate::support::*;
use regia::bridge::protocol::{EngineEvent, SourceState};
use regia::config::*;
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn integrated_loudness_is_ffmpegs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("speech.wav");
    // Noise of speech's colour that comes and goes, so that the gate has work to do.
    let noise = "anoisesrc=color=pink:amplitude=0.3:r=48000:d=10:seed=7,volume='if(lt(mod(t,2.5),1.8),0.8,0.01)':eval=frame,aformat=channel_layouts=stereo";
    let arguments = [
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        noise,
        "-c:a",
        "pcm_f32le",
    ];
    tool(
        "ffmpeg",
        &[&arguments[..], &[path.to_str().unwrap()]].concat(),
    );
    let mut show = OnAir::begin(programme(&path, SourceAudio::default())).await;
    show.source_is(SourceState::Live).await;
    show.video_units(22 * 30).await;
    show.finish().await;
    let told = show.events.iter().rev().find_map(|event| match event {
        EngineEvent::Levels(levels) => Some(levels.programme.clone()),
        _ => None,
    });
    let told = told.unwrap();
    let measured = directory.path().join("measured");
    std::fs::create_dir(&measured).unwrap();
    let (_, audio) = show.write(&measured);
    let output = Command::new("ffmpeg")
        .args([
            "-nostats",
            "-i",
            audio.to_str().unwrap(),
            "-filter_complex",
            "ebur128=peak=true",
            "-f",
            "null",
            "-",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let summary = &text[text.rfind("Summary:").unwrap()..];
    let value = |name: &str| -> f64 {
        let rest = &summary[summary.find(name).unwrap() + name.len()..];
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let (integrated, peak) = (value("I:"), value("Peak:"));
    let ours = f64::from(told.integrated_lufs.unwrap());
    let our_peak = f64::from(told.true_peak_db.unwrap());
    println!(
        "integrated: {ours} LUFS, ffmpeg {integrated}; true peak: {our_peak} dBTP, ffmpeg {peak}"
    );
    assert!(
        (ours - integrated).abs() <= 0.2,
        "{ours} beside {integrated}"
    );
    // Of the encoded sound, whose peaks the encoder moves.
    assert!((our_peak - peak).abs() <= 1.0, "{our_peak} beside {peak}");
}
