//! Lip-sync as a viewer has it: when the picture flashes and when the beep begins, in a recording of the `test` source.

use crate::process::Launch;
use std::path::Path;

const SAMPLE_RATE: usize = 48_000;
/// The envelope's step. Finer than what is asked of the lips by far.
const STEP: usize = SAMPLE_RATE / 1000;

/// One flash with the beep nearest to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Presentation time of the first bright frame, in milliseconds on the file's timeline.
    pub flash_ms: f64,
    /// How much later the beep begins; negative when the sound is early.
    pub beep_after_ms: f64,
}

/// All flashes that have a beep within 400 ms, in order. Flash and beep must each stand out clearly from what is
/// between them, and come once a second or more seldom.
#[track_caller]
pub fn measure(path: &Path) -> Vec<Pair> {
    pair(&onsets(&brightness(path)), &onsets(&loudness(path)))
}

fn pair(flashes_ms: &[f64], beeps_ms: &[f64]) -> Vec<Pair> {
    let nearest = |flash: f64| {
        beeps_ms
            .iter()
            .map(|beep| beep - flash)
            .min_by(|a, b| a.abs().total_cmp(&b.abs()))
    };
    flashes_ms
        .iter()
        .filter_map(|&flash_ms| {
            nearest(flash_ms)
                .filter(|after| after.abs() < 400.0)
                .map(|beep_after_ms| Pair {
                    flash_ms,
                    beep_after_ms,
                })
        })
        .collect()
}

/// Times at which a level rises past half way between its usual value and its greatest.
fn onsets(levels: &[(f64, f64)]) -> Vec<f64> {
    let mut sorted: Vec<f64> = levels.iter().map(|&(_, level)| level).collect();
    sorted.sort_by(f64::total_cmp);
    let (Some(&usual), Some(&most)) = (sorted.get(sorted.len() / 2), sorted.last()) else {
        return Vec::new();
    };
    let threshold = usual + (most - usual) / 2.0;
    let mut above = true;
    let mut found = Vec::new();
    for &(at_ms, level) in levels {
        if level > threshold && !above {
            found.push(at_ms);
        }
        above = level > threshold;
    }
    found
}

/// Mean luma of each frame, with its presentation time in milliseconds.
fn brightness(path: &Path) -> Vec<(f64, f64)> {
    let out = Launch::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-copyts", "-i"])
        .arg(path)
        .args(["-map", "0:v:0", "-vf"])
        .arg("scale=64:36:flags=area,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-")
        .args(["-f", "null", "/dev/null"])
        .output();
    let mut levels = Vec::new();
    let mut at_ms = None;
    for line in String::from_utf8_lossy(&out).lines() {
        if let Some((_, time)) = line.split_once("pts_time:") {
            at_ms = time.trim().parse::<f64>().ok().map(|s| s * 1000.0);
        } else if let Some((_, level)) = line.split_once("YAVG=") {
            levels.extend(at_ms.take().zip(level.trim().parse().ok()));
        }
    }
    levels
}

/// The loudest sample of each millisecond, with its time in milliseconds.
fn loudness(path: &Path) -> Vec<(f64, f64)> {
    // `async` and `first_pts` fill gaps with silence, so that a sample's number is its time.
    let out = Launch::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-copyts", "-i"])
        .arg(path)
        .args(["-map", "0:a:0", "-af", "aresample=async=1:first_pts=0"])
        .args(["-ar", "48000", "-ac", "1", "-f", "s16le", "-"])
        .output();
    let (samples, _) = out.as_chunks::<2>();
    samples
        .chunks(STEP)
        .enumerate()
        .map(|(ms, step)| {
            let peak = step
                .iter()
                .map(|s| i16::from_le_bytes(*s).unsigned_abs())
                .max();
            (ms as f64, f64::from(peak.unwrap_or(0)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five seconds at 30 frames a second: white for 100 ms each second, and a beep over a soft tone `late_ms` after it.
    fn flash_and_beep(path: &Path, late_ms: u32) {
        let late = f64::from(late_ms) / 1000.0;
        let sound = format!(
            "aevalsrc='0.05*sin(440*2*PI*t)+0.6*sin(1000*2*PI*t)*lt(mod(t-{late}+1,1),0.1)':s=48000:d=5"
        );
        Launch::new("ffmpeg")
            .args(["-nostdin", "-y", "-v", "error", "-f", "lavfi", "-i"])
            .arg("color=gray:s=320x180:r=30:d=5,drawbox=c=white:t=fill:enable='lt(mod(t,1),0.099)'")
            .args(["-f", "lavfi", "-i", &sound])
            .args(["-c:v", "libx264", "-bf", "2", "-c:a", "aac", "-b:a", "128k"])
            .arg(path)
            .output();
    }

    #[test]
    fn the_offset_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        // MP4 tells the decoder how much of the first AAC frame is not sound; with FLV the beep would come 21 ms late.
        let path = dir.path().join("a.mp4");
        for late_ms in [0, 60] {
            flash_and_beep(&path, late_ms);
            let pairs = measure(&path);
            // The first flash begins with the file, and a level that never was low does not rise.
            assert_eq!(pairs.len(), 4, "{pairs:?}");
            for (second, pair) in pairs.iter().enumerate() {
                assert!(
                    (pair.flash_ms - 1000.0 * (second + 1) as f64).abs() < 1.0,
                    "{pair:?}"
                );
                assert!(
                    (pair.beep_after_ms - f64::from(late_ms)).abs() < 4.0,
                    "{pair:?}"
                );
            }
        }
    }

    #[test]
    fn a_flash_without_a_beep_makes_no_pair() {
        assert_eq!(pair(&[1000.0, 2000.0], &[2010.0]).len(), 1);
    }
}
