//! What a programme costs: the clip repeated, scaled to 1080p30, x264 veryfast at 4.5 Mb/s with GOPs of 2 s, AAC at 160 kb/s,
//! over RTMP to nginx on the same machine.

use crate::Bench;
use crate::jobs::{Destination, Programme, complain, ffmpeg, repeated_clip};
use crate::report::{cell, median, table};
use regia_testkit::flv::{Kind, Watch};
use regia_testkit::process::{Launch, Process};
use regia_testkit::usage::{Meter, Reading};
use regia_testkit::{nginx, regia};
use std::path::Path;
use std::time::{Duration, Instant};

const VIDEO_KBPS: u32 = 4500;
const AUDIO_KBPS: u32 = 160;
const SETTLE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
const PEERS: [&str; 3] = ["regia", "ffmpeg", "gst-launch"];

/// What one measurement gave, with proof that the job was done.
struct Sample {
    reading: Reading,
    frames_per_s: f64,
    video_kbps: f64,
}

pub fn run(bench: &Bench) -> String {
    let dir = bench.dir("cost");
    let long = bench.seconds + 60;
    let clip = repeated_clip(&dir, long);
    let mut results: [Vec<Sample>; 3] = Default::default();
    for round in 1..=bench.rounds {
        for (peer, results) in PEERS
            .iter()
            .zip(&mut results)
            .filter(|(p, _)| bench.wants(p))
        {
            let work = dir.join(format!("{peer}-{round}"));
            let nginx = nginx::Setup::new(&work).start();
            let watch = nginx.watch();
            let url = nginx.rtmp_url();
            let measured = match *peer {
                "regia" => {
                    let regia = start_regia(bench, &url);
                    measure(peer, &regia.process, watch, bench.seconds)
                }
                "ffmpeg" => measure(peer, &start_ffmpeg(&url), watch, bench.seconds),
                _ => measure(peer, &start_gst(&clip, &url), watch, bench.seconds),
            };
            if let Some(result) = measured {
                eprintln!(
                    "{peer} round {round}: {:.3} cores, {:.0} MiB, {:.1} frames/s, {:.0} kb/s",
                    result.reading.cores,
                    mebibytes(&result),
                    result.frames_per_s,
                    result.video_kbps
                );
                results.push(result);
            }
        }
    }
    render(&results)
}

fn render(results: &[Vec<Sample>; 3]) -> String {
    let column = |of: &[Sample], f: fn(&Sample) -> f64| of.iter().map(f).collect::<Vec<_>>();
    let cores = |of: &[Sample]| column(of, |r| r.reading.cores);
    let base = median(&cores(&results[1]));
    let rows: Vec<Vec<String>> = PEERS
        .iter()
        .zip(results)
        .filter(|(_, of)| !of.is_empty())
        .map(|(peer, of)| {
            let ratio = median(&cores(of)).zip(base).map(|(own, base)| own / base);
            vec![
                (*peer).to_owned(),
                cell(&cores(of), 3),
                ratio.map_or("–".into(), |r| format!("{r:.2}")),
                cell(&column(of, mebibytes), 0),
                cell(&column(of, |r| r.frames_per_s), 1),
                cell(&column(of, |r| r.video_kbps), 0),
                of.len().to_string(),
            ]
        })
        .collect();
    format!(
        "The clip repeated, scaled (bilinear) to 1080p30, x264 veryfast {VIDEO_KBPS} kb/s, GOP 2 s, AAC {AUDIO_KBPS} kb/s, \
         RTMP to a\nlocal nginx. CPU and memory (PSS) of the whole process tree; frames and bitrate as nginx recorded \
         them.\n\n{}",
        table(
            &[
                "program",
                "CPU-s per s",
                "× ffmpeg",
                "peak MiB",
                "frames/s",
                "video kb/s",
                "rounds"
            ],
            &rows
        )
    )
}

fn mebibytes(result: &Sample) -> f64 {
    result.reading.peak_pss as f64 / f64::from(1 << 20)
}

/// Waits until media arrives and the start is over, then measures.
fn measure(peer: &str, process: &Process, mut watch: Watch, seconds: u32) -> Option<Sample> {
    if watch.wait_keyframe(PATIENCE).is_none() {
        complain(peer, "nothing arrived", process);
        return None;
    }
    std::thread::sleep(SETTLE);
    watch.poll();
    let meter = Meter::start(process.pid());
    let start = Instant::now();
    std::thread::sleep(Duration::from_secs(u64::from(seconds)));
    let reading = meter.finish();
    let elapsed_s = start.elapsed().as_secs_f64();
    let (mut frames, mut bytes) = (0, 0);
    for seen in watch.poll() {
        if matches!(seen.tag.kind, Kind::Video { .. }) {
            frames += 1;
            bytes += seen.tag.size;
        }
    }
    if frames == 0 {
        complain(peer, "media stopped", process);
        return None;
    }
    Some(Sample {
        reading,
        frames_per_s: f64::from(frames) / elapsed_s,
        video_kbps: bytes as f64 * 8.0 / 1000.0 / elapsed_s,
    })
}

fn start_regia(bench: &Bench, url: &str) -> regia::Regia {
    let programme = Programme {
        width: 1920,
        height: 1080,
        video_kbps: VIDEO_KBPS,
        audio_kbps: AUDIO_KBPS,
        preset: "veryfast",
        tune: "quality",
        file: Some(regia_testkit::clip()),
    };
    let destination = Destination {
        id: "nginx".into(),
        server: url.to_owned(),
        ca: None,
        more: "",
    };
    bench
        .run_regia(programme.config() + &destination.config())
        .start()
}

fn start_ffmpeg(url: &str) -> Process {
    let rate = format!("{VIDEO_KBPS}k");
    ffmpeg()
        .args(["-re", "-stream_loop", "-1", "-i"])
        .arg(regia_testkit::clip())
        .args([
            "-vf",
            "fps=30,scale=1920:1080:flags=bilinear",
            "-pix_fmt",
            "yuv420p",
        ])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-profile:v",
            "high",
        ])
        .args(["-b:v", &rate, "-maxrate", &rate, "-bufsize", &rate])
        .args(["-g", "60", "-keyint_min", "60", "-sc_threshold", "0"])
        .args([
            "-c:a",
            "aac",
            "-b:a",
            &format!("{AUDIO_KBPS}k"),
            "-ar",
            "48000",
            "-ac",
            "2",
        ])
        .args(["-f", "flv", "-flvflags", "no_duration_filesize"])
        .arg(format!("{url}/key"))
        .spawn()
}

fn start_gst(clip: &Path, url: &str) -> Process {
    let video = format!(
        "d. ! queue ! videorate ! videoconvert ! videoscale ! \
         video/x-raw,format=I420,width=1920,height=1080,framerate=30/1,pixel-aspect-ratio=1/1 ! clocksync ! \
         x264enc speed-preset=veryfast bitrate={VIDEO_KBPS} vbv-buf-capacity=1000 key-int-max=60 option-string=scenecut=0 ! \
         video/x-h264,profile=high ! h264parse ! queue ! m."
    );
    let audio = format!(
        "d. ! queue ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=2 ! clocksync ! \
         avenc_aac bitrate={} ! aacparse ! queue ! m.",
        AUDIO_KBPS * 1000
    );
    let whole = format!(
        "filesrc location={} ! decodebin name=d flvmux name=m streamable=true ! rtmp2sink location={url}/key {video} {audio}",
        clip.display()
    );
    Launch::new("gst-launch-1.0")
        .arg("-q")
        .args(whole.split_whitespace())
        .spawn()
}
