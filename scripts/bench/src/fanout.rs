//! What each further destination costs: one encode to N destinations over RTMPS, beside `ffmpeg -c copy` with N outputs.
//! Of Regia the director's process counts, which carries the destinations; the engine encodes, which ffmpeg doesn't here.

use crate::Bench;
use crate::jobs::{Destination, Programme, complain, ffmpeg};
use crate::report::{cell, median, table};
use regia_testkit::certs::Authority;
use regia_testkit::flv::Kind;
use regia_testkit::process::Process;
use regia_testkit::{media, nginx, ports, usage};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const COUNTS: [usize; 3] = [1, 10, 50];
const VIDEO_KBPS: u32 = 6000;
const PATIENCE: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
struct Sample {
    cores: f64,
    pss_mib: f64,
    /// Carried over loopback in the measurement, all hops.
    loopback_mbps: f64,
}

pub fn run(bench: &Bench) -> String {
    let dir = bench.dir("fanout");
    let source = dir.join("source.flv");
    media::encode_clip(&source, bench.seconds + 60, VIDEO_KBPS);
    let mut rows = Vec::new();
    let peers = ["regia", "ffmpeg"];
    let mut results = peers.map(|_| COUNTS.map(|_| Vec::<Sample>::new()));
    for round in 1..=bench.rounds {
        for (step, count) in COUNTS.into_iter().enumerate() {
            for (peer, results) in peers
                .iter()
                .zip(&mut results)
                .filter(|(p, _)| bench.wants(p))
            {
                let work = dir.join(format!("{peer}-{count}-{round}"));
                if let Some(result) = measure(bench, peer, count, &work, &source) {
                    eprintln!(
                        "{peer} to {count}, round {round}: {:.3} cores, {:.1} MiB, {:.0} Mb/s on loopback",
                        result.cores, result.pss_mib, result.loopback_mbps
                    );
                    results[step].push(result);
                }
            }
        }
    }
    let column = |of: &[Sample], f: fn(&Sample) -> f64| of.iter().map(f).collect::<Vec<_>>();
    for (peer, results) in peers.iter().zip(&results) {
        let one_mib = median(&column(&results[0], |r| r.pss_mib));
        for (count, of) in COUNTS.iter().zip(results).filter(|(_, of)| !of.is_empty()) {
            let cores = column(of, |r| r.cores);
            let each: Vec<f64> = cores.iter().map(|c| c * 1000.0 / *count as f64).collect();
            let more = median(&column(of, |r| r.pss_mib))
                .zip(one_mib)
                .filter(|_| *count > 1)
                .map(|(mib, one)| (mib - one) / (count - 1) as f64);
            rows.push(vec![
                format!("{peer} to {count}"),
                cell(&cores, 3),
                cell(&each, 2),
                cell(&column(of, |r| r.pss_mib), 1),
                more.map_or("–".into(), |mib| format!("{mib:.2}")),
                cell(&column(of, |r| r.loopback_mbps), 0),
                of.len().to_string(),
            ]);
        }
    }
    format!(
        "One programme of {VIDEO_KBPS} kb/s to N destinations over RTMPS, each with a TLS connection of its own to a local \
         nginx. Regia: the\ndirector's process, beside the engine that encodes; ffmpeg: `-c copy` of a file, N outputs. \
         Loopback traffic (TLS, and\nnginx's own second hop in plain) is the proof that all N flow.\n\n{}",
        table(
            &[
                "program",
                "CPU-s per s",
                "ms CPU per s each",
                "MiB (PSS)",
                "MiB each over the first",
                "loopback Mb/s",
                "rounds"
            ],
            &rows
        )
    )
}

fn measure(bench: &Bench, peer: &str, count: usize, work: &Path, source: &Path) -> Option<Sample> {
    std::fs::create_dir_all(work).expect("the temporary directory is writable");
    let authority = Authority::new(work);
    // Only the start of each stream is recorded: 50 recordings would measure the disk.
    let nginx = nginx::Setup::new(&work.join("nginx"))
        .tls(ports::loopback(), &authority.leaf(&["127.0.0.1"]))
        .record_at_most(64 * 1024)
        .start();
    let mut watch = nginx.watch();
    let url = nginx.rtmps_url();
    let keys: Vec<String> = (1..=count).map(|n| format!("key{n}")).collect();
    let job = match peer {
        "regia" => Job::Regia(Box::new(start_regia(bench, &keys, &url, &authority.ca))),
        _ => Job::Ffmpeg(start_ffmpeg(&keys, &url, source)),
    };
    let process = job.process();
    let mut arrived: BTreeSet<PathBuf> = BTreeSet::new();
    let all = regia_testkit::wait::until(PATIENCE, || {
        let keyframe = Kind::Video { keyframe: true };
        arrived.extend(
            watch
                .poll()
                .into_iter()
                .filter(|s| s.tag.kind == keyframe)
                .map(|s| s.path),
        );
        (arrived.len() >= count).then_some(())
    });
    if all.is_none() {
        complain(
            peer,
            &format!("only {} of {count} arrived", arrived.len()),
            process,
        );
        return None;
    }
    std::thread::sleep(SETTLE);
    let start = Instant::now();
    let (cpu, bytes) = (usage::of(process.pid()).cpu, loopback_bytes());
    std::thread::sleep(Duration::from_secs(u64::from(bench.seconds)));
    let after = usage::of(process.pid());
    let elapsed_s = start.elapsed().as_secs_f64();
    if after.pss == 0 {
        complain(peer, "ended early", process);
        return None;
    }
    Some(Sample {
        cores: (after.cpu - cpu).as_secs_f64() / elapsed_s,
        pss_mib: after.pss as f64 / f64::from(1 << 20),
        loopback_mbps: (loopback_bytes() - bytes) as f64 * 8e-6 / elapsed_s,
    })
}

enum Job {
    Regia(Box<regia_testkit::regia::Regia>),
    Ffmpeg(Process),
}

impl Job {
    fn process(&self) -> &Process {
        match self {
            Job::Regia(regia) => &regia.process,
            Job::Ffmpeg(process) => process,
        }
    }
}

fn start_regia(
    bench: &Bench,
    keys: &[String],
    url: &str,
    ca: &Path,
) -> regia_testkit::regia::Regia {
    // As cheap as the bitrate can be made: the encoder must leave the machine's cores to what is measured.
    let programme = Programme {
        width: 1280,
        height: 720,
        video_kbps: VIDEO_KBPS,
        audio_kbps: 128,
        preset: "ultrafast",
        tune: "quality",
        file: Some(regia_testkit::clip()),
    };
    let mut config = programme.config();
    for key in keys {
        config += &Destination {
            id: key.clone(),
            server: url.to_owned(),
            ca: Some(ca),
            more: "",
        }
        .config();
    }
    bench.run_regia(config).start()
}

fn start_ffmpeg(keys: &[String], url: &str, source: &Path) -> Process {
    let mut launch = ffmpeg().args(["-re", "-i"]).arg(source);
    for key in keys {
        launch = launch
            .args([
                "-map",
                "0",
                "-c",
                "copy",
                "-f",
                "flv",
                "-flvflags",
                "no_duration_filesize",
            ])
            .arg(format!("{url}/{key}"));
    }
    launch.spawn()
}

/// What the loopback interface has received: proc_net_dev's first number behind its name.
fn loopback_bytes() -> u64 {
    std::fs::read_to_string("/proc/net/dev")
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            line.trim()
                .strip_prefix("lo:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}
