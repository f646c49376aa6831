//! Fault 17: the wall clock jumps while on air. Only Regia's view of it: libfaketime answers for CLOCK_REALTIME, and the machine's
//! own clock stays alone.

use crate::rig::{Plan, beside_others};
use regia_testkit::flv::Kind;
use regia_testkit::media::Track;
use regia_testkit::skip;
use std::path::Path;
use std::time::{Duration, Instant};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
const STEPS: [&str; 3] = ["+3600", "-3600", "+0"];
const BETWEEN: Duration = Duration::from_secs(4);

/// Seconds of the day at the beginning of a line of the log.
fn wall_s(line: &str) -> Option<i64> {
    let time = line.split_once('T')?.1.get(..8)?;
    let mut parts = time.split(':').map(|part| part.parse::<i64>().ok());
    Some(parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??)
}

#[test]
fn fault_17_the_wall_clock_steps_by_an_hour_and_back() {
    let _turn = beside_others();
    if !Path::new(LIBRARY).exists() {
        let why = format!("no {LIBRARY} (Debian package libfaketime)");
        skip::unavailable("fault_17", &why);
        return;
    }
    let plan = Plan::new();
    let offset = plan.dir.path().join("offset");
    std::fs::write(&offset, "+0").unwrap();
    let mut nginx = plan.nginx("ingest").start();
    let server = nginx.rtmp_url();
    // A destination that nobody takes: its dials write the wall clock into the log, and their waits must not depend on it.
    let nobody = format!("rtmp://{}/live", regia_testkit::ports::loopback());
    let mut on_air = plan
        .env("LD_PRELOAD", LIBRARY)
        .env("FAKETIME_TIMESTAMP_FILE", &offset.display().to_string())
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .destination("main", &server, "")
        .destination("nobody", &nobody, "")
        .start();
    on_air.settle("main");
    let mut watch = nginx.watch();
    let (mut seen, mut gap) = (Instant::now(), Duration::ZERO);
    let mut stepped = Vec::new();
    for step in STEPS {
        std::fs::write(&offset, step).unwrap();
        stepped.push(Instant::now());
        while stepped.last().is_some_and(|at| at.elapsed() < BETWEEN) {
            let now = Instant::now();
            let video =
                |seen: &regia_testkit::flv::Seen| matches!(seen.tag.kind, Kind::Video { .. });
            if watch.poll().iter().any(video) {
                gap = gap.max(now.duration_since(seen));
                seen = now;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let status = on_air.status("main");
    // The fault happened where Regia's own lines jump by an hour between two that came seconds apart.
    let lines = on_air.regia.process.lines();
    let times: Vec<(Instant, i64)> = lines
        .iter()
        .filter_map(|line| Some((line.at, wall_s(&line.text)?)))
        .collect();
    let jumps: Vec<i64> = times
        .windows(2)
        .map(|pair| (pair[1].1 - pair[0].1 + 43_200).rem_euclid(86_400) - 43_200)
        .filter(|jump| jump.abs() > 1800)
        .collect();
    let dials = lines
        .iter()
        .filter(|line| line.text.contains("dialling") && line.text.contains("nobody"));
    println!(
        "fault 17: the log's clock jumped by {jumps:?} s; {} dials to nobody meanwhile",
        dials.count()
    );
    let (truth, copy, files) = on_air.truth(&mut [&mut nginx]);
    println!(
        "fault 17: reconnects {}, shed {} s, longest wait for a picture {gap:?}, worst bend {} ms, backward steps {}",
        status["reconnects"],
        status["shed_s"],
        files[0].worst_bend_ms(30.0),
        files[0].backward_steps(Track::Video) + files[0].backward_steps(Track::Audio)
    );
    let signs: Vec<i64> = jumps
        .iter()
        .map(|jump| (jump + jump.signum() * 300) / 3600)
        .collect();
    assert_eq!(signs, [1, -2, 1], "the fault did not happen: {jumps:?}");
    truth.assert_nothing_lost();
    assert_eq!(
        (truth.video.after(), truth.audio.after()),
        (0, 0),
        "{truth}"
    );
    assert_eq!(
        truth.video.repeated() + truth.audio.repeated(),
        0,
        "{truth}"
    );
    assert_eq!(status["reconnects"], 0, "{status}");
    assert_eq!(status["shed_s"], 0.0, "{status}");
    assert_eq!(files.len(), 1);
    assert!(copy.worst_bend_ms(30.0) <= 1.0 && files[0].worst_bend_ms(30.0) <= 1.0);
    assert_eq!(
        files[0].backward_steps(Track::Video) + files[0].backward_steps(Track::Audio),
        0
    );
    assert!(gap < Duration::from_secs(2), "{gap:?}");
}
