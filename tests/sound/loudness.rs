//! Loudness as Regia tells it beside what ffmpeg measures of the same programme.

use crate::measure::*;
use crate::support::*;
use regia::bridge::protocol::{EngineEvent, SourceState};
use regia::config::*;

#[tokio::test(flavor = "multi_thread")]
async fn integrated_loudness_is_ffmpegs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("speech.wav");
    // A voice's harmonics that come and go, so that the gate has work to do; no noise, of which AAC's encoders leave a tenth of a
    // decibel and more away, and which ffmpeg would not hear. Its period is no multiple of 100 ms: the two meters cut the sound
    // into blocks at other places (an encoder's delay lies between them), and a pause that always fell on the same part of a
    // block would move the gated mean by 0.2 LU with that place alone.
    let voice = "aevalsrc='(0.3*sin(2*PI*180*t)+0.2*sin(2*PI*437*t)+0.15*sin(2*PI*1210*t)+0.1*sin(2*PI*2750*t)+0.05*sin(2*PI*5300*t))*if(lt(mod(t,2.537),1.8),0.8,0.01)':s=48000:d=40,aformat=channel_layouts=stereo";
    let arguments = [
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        voice,
        "-c:a",
        "pcm_f32le",
    ];
    tool(
        "ffmpeg",
        &[&arguments[..], &[path.to_str().unwrap()]].concat(),
    );
    let mut show = OnAir::begin(programme(&path, SourceAudio::default())).await;
    show.source_is(SourceState::Live).await;
    show.video_units(30 * 30).await;
    show.finish().await;
    let told = show.events.iter().rev().find_map(|event| match event {
        EngineEvent::Levels(levels) => Some(levels.programme.clone()),
        _ => None,
    });
    let told = told.unwrap();
    let measured = directory.path().join("measured");
    std::fs::create_dir(&measured).unwrap();
    let (_, audio) = show.write(&measured);
    let input = audio.to_str().unwrap();
    // Its summary has tenths; frame by frame it tells thousandths.
    let filter = "ebur128=metadata=1:peak=true,ametadata=print:file=-";
    let text = tool(
        "ffmpeg",
        &["-v", "error", "-i", input, "-af", filter, "-f", "null", "-"],
    );
    let text = String::from_utf8_lossy(&text).into_owned();
    let last = |name: &str| -> f64 {
        let mut values = text
            .lines()
            .rev()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        values.next().unwrap().parse().unwrap()
    };
    let integrated = last("lavfi.r128.I");
    let peaks = ["lavfi.r128.true_peaks_ch0", "lavfi.r128.true_peaks_ch1"].map(last);
    let peak = 20.0 * peaks[0].max(peaks[1]).log10();
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
