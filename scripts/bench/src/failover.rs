//! Faults 1 to 4 of the transport's test list, in the network lab: how long until the ingest has a keyframe again, and how many
//! units are missing for good. The same 720p30 programme of 3 Mb/s over RTMP for all.

use crate::Bench;
use crate::jobs::{Destination, Programme, complain, ffmpeg};
use crate::report::{cell, table};
use regia_testkit::flv::{self, Watch};
use regia_testkit::lab::{Lab, Side};
use regia_testkit::media::{self, Recording};
use regia_testkit::nginx::{self, Nginx};
use regia_testkit::process::{Launch, Process};
use regia_testkit::{regia, truth};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PORT: u16 = 1935;
const START: Duration = Duration::from_secs(30);
const GOP: Duration = Duration::from_secs(2);
const BEFORE_FAULT: Duration = Duration::from_secs(8);
/// Whoever is not back by then does not come back by himself.
const PATIENCE: Duration = Duration::from_secs(60);
const AFTER_RETURN: Duration = Duration::from_secs(20);
const OUTAGE: Duration = Duration::from_secs(20);
/// How long an ingest keeps a silent publisher, and his place.
const INGEST_PATIENCE: Duration = Duration::from_secs(8);
const PEERS: [&str; 3] = ["regia", "ffmpeg", "gst-launch"];

const EXPLANATION: &str = "\
In network namespaces, over RTMP to nginx, which drops a publisher after 8 s of silence; 720p30 at 3 Mb/s.

- ffmpeg: `-c copy` through the fifo muxer with recovery from any error, 0.1 s between tries, a queue of 3000 packets, not
  waiting for a keyframe, and a write given up after 2 s (rw_timeout; without it a dead way is never noticed). gst-launch: rtmp2sink, which has no recovery. Their next connection takes the other uplink by the
  routing table once a carrier is lost.
- Regia: its own encoder; with the backup uplink and a backup ingest in 2 and 3, without in 1 and 4.
- Units are frames of picture and of sound. Lost are those that the ingests never had, between the first and the last that
  they had; repeated are those that they had more than once.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    IngestKilled,
    CarrierLost,
    Blackhole,
    Outage,
}

impl Fault {
    const ALL: [Fault; 4] = [
        Fault::IngestKilled,
        Fault::CarrierLost,
        Fault::Blackhole,
        Fault::Outage,
    ];

    fn title(self) -> &'static str {
        match self {
            Fault::IngestKilled => "1 ingest killed, back at once; from its port being open",
            Fault::CarrierLost => {
                "2 carrier of the first uplink lost, another there; from the loss"
            }
            Fault::Blackhole => "3 first uplink blackholed, another there; from its begin",
            Fault::Outage => "4 the only uplink away for 20 s; from its return",
        }
    }

    fn has_backup(self) -> bool {
        matches!(self, Fault::CarrierLost | Fault::Blackhole)
    }
}

struct Sample {
    /// `None`: not within `PATIENCE`, or the program ended.
    keyframe_after: Option<Duration>,
    lost: usize,
    repeated: usize,
}

pub fn run(bench: &Bench) -> String {
    let dir = bench.dir("failover");
    let source = dir.join("source.flv");
    let length = START + BEFORE_FAULT + OUTAGE + PATIENCE + AFTER_RETURN;
    media::encode_clip(&source, length.as_secs() as u32, 3000);
    let mut rows = Vec::new();
    for fault in Fault::ALL {
        let mut results = PEERS.map(|_| Vec::new());
        for round in 1..=bench.rounds {
            for (peer, results) in PEERS
                .iter()
                .zip(&mut results)
                .filter(|(p, _)| bench.wants(p))
            {
                let work = dir.join(format!("{fault:?}-{peer}-{round}"));
                if let Some(result) = measure(bench, peer, fault, round, &work, &source) {
                    eprintln!(
                        "{fault:?} {peer} round {round}: keyframe after {:?}, {} lost, {} repeated",
                        result.keyframe_after, result.lost, result.repeated
                    );
                    results.push(result);
                }
            }
        }
        for (peer, results) in PEERS.iter().zip(&results).filter(|(_, of)| !of.is_empty()) {
            rows.push(row(fault, peer, results));
        }
    }
    format!(
        "{EXPLANATION}\n\n{}",
        table(
            &[
                "fault",
                "program",
                "s to keyframe",
                "units lost",
                "units repeated",
                "came back"
            ],
            &rows
        )
    )
}

fn row(fault: Fault, peer: &str, results: &[Sample]) -> Vec<String> {
    let back: Vec<&Sample> = results
        .iter()
        .filter(|r| r.keyframe_after.is_some())
        .collect();
    let seconds: Vec<f64> = back
        .iter()
        .filter_map(|r| r.keyframe_after)
        .map(|after| after.as_secs_f64())
        .collect();
    let lost: Vec<f64> = back.iter().map(|r| r.lost as f64).collect();
    let repeated: Vec<f64> = back.iter().map(|r| r.repeated as f64).collect();
    vec![
        fault.title().to_owned(),
        peer.to_owned(),
        if back.is_empty() {
            "never".into()
        } else {
            cell(&seconds, 2)
        },
        if back.is_empty() {
            "all the rest".into()
        } else {
            cell(&lost, 0)
        },
        cell(&repeated, 0),
        format!("{} of {}", back.len(), results.len()),
    ]
}

/// The publisher under test.
enum Publisher {
    Regia(Box<regia::Regia>, PathBuf),
    Other(Process),
}

impl Publisher {
    fn process(&mut self) -> &mut Process {
        match self {
            Publisher::Regia(regia, _) => &mut regia.process,
            Publisher::Other(process) => process,
        }
    }

    /// Ends it and gives what it was to send.
    fn finish(self, source: &Path) -> Option<Recording> {
        match self {
            Publisher::Regia(mut regia, copies) => {
                if !regia.process.has_ended() {
                    regia.terminate(PATIENCE);
                }
                let copy = flv::files(&copies).into_iter().next()?;
                flv::trim(&copy).ok()?;
                Some(Recording::read(&copy))
            }
            Publisher::Other(process) => {
                drop(process);
                Some(Recording::read(source))
            }
        }
    }
}

fn measure(
    bench: &Bench,
    peer: &str,
    fault: Fault,
    round: usize,
    work: &Path,
    source: &Path,
) -> Option<Sample> {
    let lab = match Lab::new() {
        Ok(lab) => lab,
        Err(why) => {
            eprintln!("no network lab here (root is needed): {why}");
            return None;
        }
    };
    lab.route_by_carrier();
    let mut ingests: Vec<Nginx> = lab
        .ingests()
        .iter()
        .enumerate()
        .map(|(n, ip)| {
            nginx::Setup::new(&work.join(format!("ingest-{n}")))
                .rtmp(SocketAddr::from((*ip, PORT)))
                .netns(&lab.ingest_ns())
                .drop_idle_publisher(INGEST_PATIENCE)
                .start()
        })
        .collect();
    let mut watch = Watch::new(work);
    let mut publisher = match peer {
        "regia" => start_regia(bench, fault, &lab, &ingests, work),
        "ffmpeg" => Publisher::Other(start_ffmpeg(&lab, &ingests[0], source)),
        _ => Publisher::Other(start_gst(&lab, &ingests[0], source)),
    };
    if watch.wait_keyframe(START).is_none() {
        complain(peer, "nothing arrived", publisher.process());
        return None;
    }
    // Another place in the GOP each round: right before a keyframe is kinder to who waits for one.
    let phase = GOP.mul_f64((round - 1) as f64 * 0.37 % 1.0);
    std::thread::sleep(BEFORE_FAULT + phase);
    // Only a new file counts: whoever comes back comes back in a new publish, as the ingest's patience is shorter than the
    // outage. What still trickles into the old file after the fault had been on its way before.
    let old = flv::files(work);
    let since = happen(fault, &lab, &mut ingests[0]);
    let process = publisher.process();
    let back = regia_testkit::wait::until(PATIENCE, || {
        let keyframe = flv::Kind::Video { keyframe: true };
        let seen = watch
            .poll()
            .into_iter()
            .find(|seen| seen.tag.kind == keyframe && !old.contains(&seen.path));
        match seen {
            Some(seen) => Some(Some(seen.at)),
            None => process.has_ended().then_some(None),
        }
    });
    let keyframe_after = back.flatten().map(|at| at.saturating_duration_since(since));
    if keyframe_after.is_some() {
        std::thread::sleep(AFTER_RETURN);
    } else {
        complain(peer, "did not come back", publisher.process());
    }
    let produced = publisher.finish(source)?;
    let recorded: Vec<Recording> = ingests.iter_mut().flat_map(Nginx::finish).collect();
    let truth = truth::compare(&produced, &recorded);
    eprintln!("    {truth}");
    Some(Sample {
        keyframe_after,
        lost: truth.lost(),
        repeated: truth.video.repeated() + truth.audio.repeated(),
    })
}

/// Does it, and gives the moment from which the time counts: when the change was asked for, which is a few milliseconds before
/// it was made; of the ingest, when its port was open.
fn happen(fault: Fault, lab: &Lab, primary: &mut Nginx) -> Instant {
    match fault {
        Fault::IngestKilled => {
            primary.kill();
            primary.start()
        }
        Fault::CarrierLost => {
            let asked = Instant::now();
            lab.unplug(Side::A);
            asked
        }
        Fault::Blackhole => {
            let asked = Instant::now();
            lab.blackhole(Side::A);
            asked
        }
        Fault::Outage => {
            // Both, so that nobody is helped by the other uplink.
            lab.blackhole(Side::A);
            lab.blackhole(Side::B);
            std::thread::sleep(OUTAGE);
            let asked = Instant::now();
            lab.end_blackhole(Side::A);
            asked
        }
    }
}

fn start_regia(
    bench: &Bench,
    fault: Fault,
    lab: &Lab,
    ingests: &[Nginx],
    work: &Path,
) -> Publisher {
    let copies = work.join("copy");
    std::fs::create_dir_all(&copies).expect("the temporary directory is writable");
    let programme = Programme {
        width: 1280,
        height: 720,
        video_kbps: 3000,
        audio_kbps: 128,
        preset: "veryfast",
        tune: "quality",
        file: Some(regia_testkit::clip()),
    };
    let more = if fault.has_backup() {
        format!(
            "uplinks = [\"a\", \"b\"]\nbackup_server = {:?}",
            ingests[1].rtmp_url()
        )
    } else {
        "uplinks = [\"a\"]".to_owned()
    };
    let destination = Destination {
        id: "main".into(),
        server: ingests[0].rtmp_url(),
        ca: None,
        more: &more,
    };
    let uplinks: String = [("a", Side::A), ("b", Side::B)]
        .map(|(id, side)| {
            format!(
                "[[uplink]]\nid = \"{id}\"\ninterface = {:?}\n",
                lab.interface(side)
            )
        })
        .concat();
    let recording = format!("[[recording]]\nid = \"copy\"\nkind = \"copy\"\npath = {copies:?}\n");
    let config = programme.config() + &uplinks + &destination.config() + &recording;
    let regia = bench.run_regia(config).netns(&lab.box_ns()).start();
    Publisher::Regia(Box::new(regia), copies)
}

fn start_ffmpeg(lab: &Lab, ingest: &Nginx, source: &Path) -> Process {
    ffmpeg()
        .args(["-re", "-i"])
        .arg(source)
        .args([
            "-map",
            "0",
            "-c",
            "copy",
            "-f",
            "fifo",
            "-fifo_format",
            "flv",
        ])
        .args([
            "-attempt_recovery",
            "1",
            "-recover_any_error",
            "1",
            "-recovery_wait_time",
            "0.1",
        ])
        .args([
            "-restart_with_keyframe",
            "0",
            "-queue_size",
            "3000",
            "-drop_pkts_on_overflow",
            "1",
        ])
        .args([
            "-format_opts",
            "flvflags=no_duration_filesize:rw_timeout=2000000",
        ])
        .arg(format!("{}/main", ingest.rtmp_url()))
        .netns(Some(&lab.box_ns()))
        .spawn()
}

fn start_gst(lab: &Lab, ingest: &Nginx, source: &Path) -> Process {
    let pipeline = format!(
        "filesrc location={} ! flvdemux name=d flvmux name=m streamable=true ! clocksync ! rtmp2sink location={}/main \
         d.video ! queue ! h264parse ! m.video d.audio ! queue ! aacparse ! m.audio",
        source.display(),
        ingest.rtmp_url()
    );
    Launch::new("gst-launch-1.0")
        .arg("-q")
        .args(pipeline.split_whitespace())
        .netns(Some(&lab.box_ns()))
        .spawn()
}
