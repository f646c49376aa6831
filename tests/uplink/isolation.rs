//! Faults 8 to 10: an ingest that answers wrongly or not at all, and one dead destination among others that live.

use crate::rig::{OnAir, PATIENCE, Plan, alone, beside_others, destination, seconds, url};
use regia_testkit::flv::{self, Kind, Seen, Watch};
use regia_testkit::lab::{Lab, Side};
use regia_testkit::media::Recording;
use regia_testkit::process::{Launch, Process};
use regia_testkit::proxy::Proxy;
use regia_testkit::{ports, skip, truth, wait};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes a second of the programme: 3 Mb/s of video and 128 kb/s of audio.
const BYTES_PER_S: u64 = (3000 + 128) * 1000 / 8;

/// The built-in ingest, which holds on to a publisher that broke off, and records what it gets.
struct Rehearse {
    process: Process,
    dir: PathBuf,
}

impl Rehearse {
    fn start(dir: &Path, listen: SocketAddr, ghost: Duration) -> Self {
        std::fs::create_dir_all(dir).expect("the test's directory is writable");
        let process = Launch::new(env!("CARGO_BIN_EXE_regia"))
            .args(["rehearse", "--listen", &listen.to_string()])
            .args(["--ghost", &ghost.as_secs().to_string(), "--record"])
            .arg(dir)
            .spawn();
        wait::must("the rehearsal listens", PATIENCE, || {
            ports::is_listening(process.pid(), listen).then_some(())
        });
        Rehearse {
            process,
            dir: dir.to_owned(),
        }
    }

    /// When it said so first.
    fn said(&mut self, part: &str, timeout: Duration) -> Instant {
        self.process.wait_line(part, timeout).at
    }

    fn refusals(&self) -> usize {
        self.process.text().matches(" refused: ").count()
    }

    fn finish(&mut self) -> Vec<Recording> {
        assert!(self.process.terminate(PATIENCE).success());
        let files = flv::files(&self.dir);
        files.iter().map(|path| Recording::read(path)).collect()
    }
}

const BROKE_OFF: &str = "ends: the connection ended without";

#[test]
fn fault_8_ghost_on_the_only_ingest() {
    let test = "fault_8_ghost_on_the_only_ingest";
    let _turn = beside_others();
    let ghost = skip::length(test, Duration::from_secs(20), Duration::from_secs(7));
    let plan = Plan::new();
    let listen = ports::loopback();
    let mut ingest = Rehearse::start(&plan.dir.path().join("rehearsal"), listen, ghost);
    let proxy = Proxy::start(listen);
    let server = format!("rtmp://{}/live", proxy.addr());
    let mut on_air = plan.destination("main", &server, "").start();
    on_air.settle("main");
    proxy.reset_all();
    let relents = ingest.said(BROKE_OFF, PATIENCE) + ghost;
    let on_air_at = ingest.said("publish 2 begins", ghost + PATIENCE);
    let took = on_air_at.saturating_duration_since(relents);
    println!(
        "fault 8: publishing {took:?} after the ingest relents, which refused {} times in {ghost:?}",
        ingest.refusals()
    );
    assert!(
        on_air_at >= relents && ingest.refusals() as u64 >= ghost.as_secs() / 2,
        "the fault did not happen: {} refusals",
        ingest.refusals()
    );
    std::thread::sleep(ghost / 2 + Duration::from_secs(3));
    let status = on_air.status("main");
    assert_eq!(status["reconnects"], 1, "{status}");
    assert_eq!(status["shed_s"], 0.0, "{status}");
    let copy = on_air.end();
    let truth = truth::compare(&copy, &ingest.finish());
    println!("{truth}");
    on_air.assert_all(&truth);
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn fault_8_ghost_with_a_backup_ingest() {
    let _turn = beside_others();
    let ghost = Duration::from_secs(20);
    let plan = Plan::new();
    let listen = ports::loopback();
    let mut ingest = Rehearse::start(&plan.dir.path().join("rehearsal"), listen, ghost);
    let mut backup = plan.nginx("backup").start();
    let proxy = Proxy::start(listen);
    let server = format!("rtmp://{}/live", proxy.addr());
    let lines = format!("backup_server = {:?}", backup.rtmp_url());
    let mut on_air = plan.destination("main", &server, &lines).start();
    on_air.settle("main");
    let mut watch = backup.watch();
    let at = Instant::now();
    proxy.reset_all();
    let seen = watch
        .wait_keyframe(PATIENCE)
        .expect("the backup ingest takes over");
    let took = seen.at.duration_since(at);
    println!(
        "fault 8: keyframe at the backup ingest {took:?} after the abort, the ghost stays for {ghost:?}"
    );
    ingest.said(BROKE_OFF, PATIENCE);
    assert!(proxy.counts().resets > 0, "the fault did not happen");
    std::thread::sleep(Duration::from_secs(4));
    let status = on_air.status("main");
    assert_eq!(status["reconnects"], 1, "{status}");
    let copy = on_air.end();
    let mut recorded = ingest.finish();
    assert_eq!(recorded.len(), 1, "one publish at the primary ingest");
    recorded.extend(backup.finish());
    let truth = truth::compare(&copy, &recorded);
    println!("{truth}");
    on_air.assert_all(&truth);
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn fault_9_an_ingest_that_stops_reading() {
    let _turn = beside_others();
    let plan = Plan::new();
    let primary = ports::loopback();
    let mut first = plan.nginx("ingest").rtmp(primary).start();
    let mut second = plan.nginx("backup").start();
    let lines = format!("backup_server = {:?}", second.rtmp_url());
    let mut on_air = plan.destination("main", &first.rtmp_url(), &lines).start();
    on_air.settle("main");
    let pid = first.pid().expect("it runs");
    let mut watch = second.watch();
    let at = Instant::now();
    first.freeze();
    // Once it is recognised, the connection is reset, and what its kernel held is gone.
    let mut unread = 0;
    let stalled = wait::must("the stall recognised", PATIENCE, || {
        unread = unread.max(ports::unread(pid, primary));
        let lines = on_air.regia.process.lines();
        lines
            .iter()
            .find(|line| line.text.contains("stalled: "))
            .map(|line| line.at)
    });
    let seen = watch
        .wait_keyframe(PATIENCE)
        .expect("the backup ingest takes over");
    let (recognised, took) = (stalled.duration_since(at), seen.at.duration_since(at));
    println!(
        "fault 9: recognised {recognised:?} after the ingest froze, with {unread} bytes unread in its kernel; keyframe at the \
         backup ingest after {took:?}"
    );
    assert!(
        unread > BYTES_PER_S / 8,
        "the fault did not happen: {unread} bytes unread"
    );
    std::thread::sleep(Duration::from_secs(4));
    let status = on_air.status("main");
    assert_eq!(status["reconnects"], 1, "{status}");
    // What it had not read dies with it.
    first.kill();
    on_air.assert_all_arrived(&mut [&mut first, &mut second]);
    assert!(recognised < Duration::from_secs(7), "{recognised:?}");
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn fault_9_an_ingest_that_never_reads() {
    let _turn = beside_others();
    let plan = Plan::new();
    let mut backup = plan.nginx("backup").start();
    let proxy = Proxy::start(ports::loopback());
    proxy.read_nothing(true);
    let server = format!("rtmp://{}/live", proxy.addr());
    let lines = format!("backup_server = {:?}", backup.rtmp_url());
    let mut on_air = plan.destination("main", &server, &lines).start();
    let mut watch = backup.watch();
    wait::must("the mute ingest accepts", PATIENCE, || {
        (proxy.counts().accepted > 0).then_some(())
    });
    let at = Instant::now();
    let seen = watch
        .wait_keyframe(PATIENCE)
        .expect("the backup ingest is used");
    let took = seen.at.duration_since(at);
    println!(
        "fault 9: keyframe at the backup ingest {took:?} after the primary accepted and read nothing"
    );
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        proxy.counts().bytes_to_server,
        0,
        "the fault did not happen"
    );
    on_air.assert_all_arrived(&mut [&mut backup]);
    assert!(took < Duration::from_secs(7), "{took:?}");
}

#[test]
fn fault_10_one_of_six_destinations_blackholed() {
    let test = "fault_10_one_of_six_destinations_blackholed";
    let _alone = alone();
    let Some(lab) = Lab::or_skip(test) else {
        return;
    };
    let length = skip::length(test, Duration::from_secs(60), Duration::from_secs(20));
    let hold_s = 30;
    let plan = Plan::new()
        .in_lab(&lab)
        .window(&format!("hold_s = {hold_s}"));
    let mut nginx = plan
        .lab_nginx(&lab, 0)
        .drop_idle_publisher(Duration::from_secs(8))
        .start();
    let server = url(&lab.ingests()[0]);
    let others = ["two", "three", "four", "five", "six"];
    let mut plan = plan.destination("one", &server, "uplinks = [\"fibre\"]");
    for id in others {
        plan = plan.destination(id, &server, "uplinks = [\"lte\"]");
    }
    let mut on_air = plan.start();
    for id in ["one"].iter().chain(&others) {
        on_air.settle(id);
    }
    let mut watch = nginx.watch();
    let before = lateness(&mut watch, Duration::from_secs(10));
    let memory_before = on_air.director_memory().rss;
    let passed_on = lab.passed_on(Side::A);
    lab.blackhole(Side::A);
    let during = lateness(&mut watch, length);
    let status = on_air.status("one");
    let memory = on_air.director_memory();
    assert!(
        seconds(&status, "hold_used_s") > (length.as_secs_f64() - 3.0).min(f64::from(hold_s) - 4.0),
        "the fault did not happen: {status}"
    );
    let leaked = lab.passed_on(Side::A).sent_packets - passed_on.sent_packets;
    assert!(
        leaked < 50,
        "the fault did not happen: {leaked} packets passed"
    );
    lab.end_blackhole(Side::A);
    let grown = memory.rss_peak.saturating_sub(memory_before);
    let hold_bytes = hold_s as u64 * BYTES_PER_S;
    let mut worst = Duration::ZERO;
    for id in others {
        let (calm, dark) = (percentile(&before, id, 99), percentile(&during, id, 99));
        worst = worst.max(dark.saturating_sub(calm));
        println!("fault 10: {id}: p99 arrival jitter {calm:?} before, {dark:?} while one is dark");
    }
    println!(
        "fault 10: one of six dark for {length:?}: p99 arrival jitter of the others at most {worst:?} over before; the director grew \
         by {:.1} MiB from {:.1} MiB, the hold is {:.1} MiB",
        mib(grown),
        mib(memory_before),
        mib(hold_bytes)
    );
    let dark_back =
        on_air
            .regia
            .wait_status("the dark destination on air again", PATIENCE, |status| {
                destination(status, "one").is_some_and(|to| to["state"] == "on_air")
            });
    std::thread::sleep(Duration::from_secs(2));
    for id in others {
        let status = destination(&dark_back, id).expect("it is configured");
        assert_eq!(status["reconnects"], 0, "{status}");
        assert_eq!(status["shed_s"], 0.0, "{status}");
    }
    assert_others_whole(&mut on_air, &nginx.recordings_dir(), &others, || {
        nginx.stop()
    });
    assert!(grown < hold_bytes + (6 << 20), "{grown} bytes");
    // Who waited for the dark one would wait for seconds. What a busy machine adds is no matter of the others.
    assert!(worst < Duration::from_secs(4), "{worst:?}");
}

/// Each destination publishes under its own name, which begins its files' names.
fn assert_others_whole(on_air: &mut OnAir, dir: &Path, ids: &[&str], stop: impl FnOnce()) {
    let copy = on_air.end();
    stop();
    let files = flv::files(dir);
    for id in ids {
        let recorded: Vec<Recording> = files
            .iter()
            .filter(|path| stream_of(path) == *id)
            .map(|path| Recording::read(path))
            .collect();
        assert_eq!(recorded.len(), 1, "one publish of {id}");
        let truth = truth::compare(&copy, &recorded);
        println!("{id}: {truth}");
        on_air.assert_all(&truth);
    }
}

/// nginx names a recording after the stream and the second of its beginning.
fn stream_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.split('-').next().unwrap_or_default().to_owned()
}

/// By stream: how late each video frame arrived, against the earliest of its stream on its own timeline.
fn lateness(watch: &mut Watch, length: Duration) -> BTreeMap<String, Vec<Duration>> {
    let start = Instant::now();
    watch.poll();
    let mut seen: Vec<Seen> = Vec::new();
    while start.elapsed() < length {
        std::thread::sleep(wait::TICK);
        seen.extend(watch.poll());
    }
    let mut offsets: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for Seen { at, path, tag } in seen {
        if matches!(tag.kind, Kind::Video { .. }) {
            let arrived_us = at.duration_since(start).as_micros() as i64;
            let offset = arrived_us - i64::from(tag.time_ms) * 1000;
            offsets.entry(stream_of(&path)).or_default().push(offset);
        }
    }
    let late = |offsets: Vec<i64>| {
        let earliest = offsets.iter().copied().min().unwrap_or_default();
        let late_us = |offset: i64| Duration::from_micros((offset - earliest) as u64);
        offsets.into_iter().map(late_us).collect()
    };
    offsets.into_iter().map(|(id, o)| (id, late(o))).collect()
}

fn percentile(lateness: &BTreeMap<String, Vec<Duration>>, id: &str, percent: usize) -> Duration {
    let mut sorted = lateness.get(id).cloned().unwrap_or_default();
    assert!(sorted.len() > 100, "{id}: {} frames arrived", sorted.len());
    sorted.sort();
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
