//! Faults 5 to 7: the only way is lost for longer than the hold, or it is narrow, or bad. What must be given up is given up
//! whole and counted; what need not be is kept.

use crate::rig::{OnAir, PATIENCE, Plan, beside_others, destination, gap_s, seconds, url};
use regia_testkit::lab::{Lab, Side};
use regia_testkit::media::{self, Recording, Track};
use regia_testkit::proxy::{Proxy, Stalls, Way};
use regia_testkit::skip;
use regia_testkit::truth::TrackTruth;
use regia_testkit::{flv, ports, wait};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Bytes a second of the programme: 3 Mb/s of video and 128 kb/s of audio.
const BYTES_PER_S: u64 = (3000 + 128) * 1000 / 8;
/// A GOP's length in seconds, frames, and units (with 48,000 / 1024 AAC frames a second).
const GOP_S: f64 = 2.0;
const GOP_FRAMES: usize = 60;
const GOP_UNITS: u64 = 60 + 94;

const SECOND: Duration = Duration::from_secs(1);

/// Looks at the status for `length`, and sleeps between: each look costs a process.
fn look_on(
    on_air: &mut OnAir,
    length: Duration,
    every: Duration,
    mut each: impl FnMut(f64, &Value),
) {
    let start = Instant::now();
    while start.elapsed() < length {
        std::thread::sleep(every);
        if let Some(status) = on_air.regia.status() {
            each(start.elapsed().as_secs_f64(), &status);
        }
    }
}

#[test]
fn fault_5_outage_longer_than_the_hold() {
    let test = "fault_5_outage_longer_than_the_hold";
    let _turn = beside_others();
    let Some(lab) = Lab::or_skip(test) else {
        return;
    };
    let outage = skip::length(test, Duration::from_secs(60), Duration::from_secs(22));
    let hold_s = outage.as_secs() / 2;
    let plan = Plan::new()
        .in_lab(&lab)
        .window(&format!("hold_s = {hold_s}"));
    let mut nginx = plan
        .lab_nginx(&lab, 0)
        .drop_idle_publisher(Duration::from_secs(8))
        .start();
    let server = url(&lab.ingests()[0]);
    let mut on_air = plan
        .destination("main", &server, "uplinks = [\"fibre\"]")
        .start();
    let before = seconds(&on_air.settle("main"), "hold_used_s");
    let memory_before = on_air.director_memory().rss;
    lab.blackhole(Side::A);
    look_on(&mut on_air, outage, SECOND, |at, status| {
        if let Some(to) = destination(status, "main") {
            println!(
                "  {at:4.1} s: {} hold_used {:.1} s, shed {:.1} s",
                to["state"],
                seconds(to, "hold_used_s"),
                seconds(to, "shed_s")
            );
        }
    });
    let during = on_air.status("main");
    let mut watch = nginx.watch();
    lab.end_blackhole(Side::A);
    let back = Instant::now();
    let seen = watch
        .wait_keyframe(PATIENCE)
        .expect("publishing again after the outage");
    let took = seen.at.duration_since(back);
    on_air
        .regia
        .wait_status("the latency of before", PATIENCE * 2, |status| {
            destination(status, "main").is_some_and(|to| seconds(to, "hold_used_s") < before + 1.0)
        });
    let caught_up = back.elapsed();
    std::thread::sleep(Duration::from_secs(2));
    let after = on_air.status("main");
    let memory = on_air.director_memory();
    let grown = memory.rss_peak.saturating_sub(memory_before);
    let (truth, copy, _) = on_air.truth(&mut [&mut nginx]);
    let missing_s = gap_s(&copy, Track::Video, &truth.video.lost());
    let reported_s = seconds(&after, "shed_s");
    let reported_units = after["shed_units"].as_u64().unwrap_or_default();
    println!(
        "fault 5: {outage:?} of outage with a hold of {hold_s} s: keyframe {took:?} after the return, latency as before after \
         {caught_up:?}; shed {reported_s:.2} s and {reported_units} units reported, {missing_s:.2} s and {} units missing; the \
         director grew by {:.1} MiB from {:.1} MiB, the hold is {:.1} MiB",
        truth.lost(),
        mib(grown),
        mib(memory_before),
        mib(hold_s * BYTES_PER_S),
    );
    assert!(
        missing_s > outage.as_secs_f64() - hold_s as f64 - 1.0,
        "the fault did not happen: {truth}"
    );
    assert!(
        seconds(&during, "hold_used_s") > hold_s as f64 - GOP_S - 1.0,
        "the hold must be used before anything is shed: {during}"
    );
    assert!(
        seconds(&during, "shed_s") > 0.0,
        "an operator must see the loss while it happens: {during}"
    );
    assert_gap_ends_at_a_keyframe(&copy, &truth.video);
    assert_eq!(truth.video.foreign + truth.audio.foreign, 0, "{truth}");
    assert!(
        (reported_s - missing_s).abs() <= GOP_S,
        "{reported_s} s reported, {missing_s} s missing"
    );
    assert!(
        reported_units.abs_diff(truth.lost() as u64) <= GOP_UNITS,
        "{reported_units} reported: {truth}"
    );
    for path in flv::files(&nginx.recordings_dir()) {
        assert_eq!(media::decodes_cleanly(&path), Ok(()), "{}", path.display());
    }
    assert!(grown < hold_s * BYTES_PER_S + (8 << 20), "{grown} bytes");
    assert!(took < Duration::from_secs(6), "{took:?}");
}

/// What is missing is one run that ends where a GOP begins: the rest of a GOP that the outage broke, and whole ones.
fn assert_gap_ends_at_a_keyframe(copy: &Recording, video: &TrackTruth) {
    let lost = video.lost();
    let (Some(first), Some(last)) = (lost.first(), lost.last()) else {
        return;
    };
    assert_eq!(last - first + 1, lost.len(), "one gap: {video}");
    let frames: Vec<_> = copy.track(Track::Video).collect();
    assert!(
        frames[last + 1].keyframe,
        "what goes on after the gap starts with a keyframe: {video}"
    );
    let broken = frames[*first..=*last]
        .iter()
        .position(|frame| frame.keyframe)
        .unwrap_or(lost.len());
    assert!(broken < GOP_FRAMES, "only one GOP may be broken: {video}");
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[test]
fn fault_6_uplink_narrowed_to_60_percent() {
    let test = "fault_6_uplink_narrowed_to_60_percent";
    let _turn = beside_others();
    let Some(lab) = Lab::or_skip(test) else {
        return;
    };
    let full = Duration::from_secs(60);
    let length = skip::length(test, full, Duration::from_secs(25));
    let plan = Plan::new().in_lab(&lab).window("hold_s = 30");
    let mut nginx = plan.lab_nginx(&lab, 0).start();
    let server = url(&lab.ingests()[0]);
    let mut on_air = plan
        .destination("main", &server, "uplinks = [\"fibre\"]")
        .start();
    let before = seconds(&on_air.settle("main"), "hold_used_s");
    let mut lowest = u64::MAX;
    let mut most_held = 0f64;
    let mut show = |at: f64, status: &Value| {
        let kbps = status["video_kbps"].as_u64().unwrap_or_default();
        let to = destination(status, "main").cloned().unwrap_or_default();
        let held = seconds(&to, "hold_used_s");
        lowest = lowest.min(kbps);
        most_held = most_held.max(held);
        println!(
            "  {at:5.1} s: encoder {kbps} kb/s, sent {} kb/s, {held:.1} s wait, {}",
            to["bitrate_kbps"], to["state"]
        );
        (kbps, held)
    };
    // 60 % of the programme, audio and all; what TCP and IP add is taken from it.
    lab.narrow(Side::A, 3128 * 6 / 10, 300);
    println!("fault 6: narrowed");
    look_on(&mut on_air, length, SECOND, |at, status| {
        show(at, status);
    });
    let drops = lab.narrow_drops(Side::A);
    lab.widen(Side::A);
    println!("fault 6: restored");
    let mut latency_back = None;
    let mut ceiling_back = None;
    let watched = if length == full {
        Duration::from_secs(150)
    } else {
        Duration::from_secs(15)
    };
    look_on(&mut on_air, watched, SECOND, |at, status| {
        if ceiling_back.is_some() {
            return;
        }
        let (kbps, held) = show(at, status);
        if held < before + 1.0 {
            latency_back.get_or_insert(at);
        }
        if kbps == 3000 {
            ceiling_back = Some(at);
        }
    });
    let status = on_air.status("main");
    let left_out = left_out(&mut on_air);
    println!(
        "fault 6: {length:?} at 60 %: the bitrate fell to {lowest} kb/s, at most {most_held:.1} s waited; after the return the latency \
         was back in {latency_back:?} s and the bitrate in {ceiling_back:?} s (watched for {watched:?})"
    );
    let log = on_air.regia.process.text();
    for line in log.lines().filter(|line| line.contains("bitrate advised")) {
        println!("  {line}");
    }
    assert!(drops > 0, "the fault did not happen: nothing was dropped");
    assert_eq!(seconds(&status, "shed_s"), 0.0, "{status}");
    assert_eq!(status["reconnects"], 0, "{status}");
    on_air.assert_all_arrived(&mut [&mut nginx]);
    if left_out > 0 && lowest >= 2400 {
        let why = format!(
            "this machine was too busy to fill even a narrow way: {left_out} frames were left out"
        );
        skip::starved("fault 6: the bitrate falls", &why);
    } else {
        assert!((1000..2400).contains(&lowest), "{lowest} kb/s");
    }
    assert!(
        latency_back.is_some(),
        "the latency of before never returned"
    );
    if length == full {
        assert!(ceiling_back.is_some(), "the bitrate never returned");
    }
}

#[test]
fn fault_7_stalls_and_a_long_round_trip() {
    let test = "fault_7_stalls_and_a_long_round_trip";
    let _turn = beside_others();
    let length = skip::length(test, Duration::from_secs(120), Duration::from_secs(30));
    let plan = Plan::new();
    let primary = ports::loopback();
    let mut nginx = plan.nginx("ingest").rtmp(primary).start();
    let mut backup = plan.nginx("backup").start();
    let proxy = Proxy::start(primary);
    let rtt = Duration::from_millis(300);
    // A packet that is lost at this round trip, and its first retransmission with it.
    let stall = Duration::from_millis(800);
    proxy.set_way(Way {
        rtt,
        rate: None,
        stalls: Some(Stalls {
            share: 0.05,
            length: stall,
        }),
    });
    let measured = round_trip(proxy.addr());
    let server = format!("rtmp://{}/live", proxy.addr());
    let lines = format!("backup_server = {:?}", backup.rtmp_url());
    let mut on_air = plan.destination("main", &server, &lines).start();
    on_air.settle("main");
    let before = proxy.counts();
    let left_out_before = left_out(&mut on_air);
    // Stalls come when they come, so it goes on until there were enough that the sender felt.
    let enough = (length.mul_f64(0.05).as_secs_f64() / stall.as_secs_f64() / 2.0).ceil() as u64;
    let felt = |proxy: &Proxy| proxy.counts().stalls_felt - before.stalls_felt;
    let mut states = Vec::new();
    let mut most_held = 0f64;
    let start = Instant::now();
    while start.elapsed() < length || felt(&proxy) < enough {
        if on_air.status("main")["reconnects"] != 0 {
            break;
        }
        assert!(
            start.elapsed() < length * 4,
            "the fault did not happen: {:?}, of which {before:?} before",
            proxy.counts()
        );
        look_on(&mut on_air, SECOND, SECOND / 4, |_, status| {
            if let Some(to) = destination(status, "main") {
                states.push(to["state"].clone());
                most_held = most_held.max(seconds(to, "hold_used_s"));
            }
        });
    }
    let watched = start.elapsed();
    let status = on_air.status("main");
    let counts = proxy.counts();
    let stalls = counts.stalls - before.stalls;
    let felt = felt(&proxy);
    println!(
        "fault 7: {watched:?} with a round trip of {measured:?} and {stalls} stalls of {stall:?}, of which the sender's TCP felt {felt}, \
         for {:?} each: {} reconnects, at most {most_held:.2} s seen waiting",
        (counts.silence - before.silence) / felt.max(1) as u32,
        status["reconnects"]
    );
    assert!(
        measured >= rtt,
        "the fault did not happen: a round trip of {measured:?}"
    );
    // A machine that lets the proxy stand still, or the encoder, has made another fault than this one: longer silences. What was
    // carried on in that is judged all the same.
    let starved = counts.starved > SECOND / 4 || left_out(&mut on_air) > left_out_before;
    let carried_on = status["reconnects"] == 0 && states.iter().all(|state| state == "on_air");
    if starved && !carried_on {
        let why = format!(
            "this machine was too busy to let bytes pass: {:?} without a turn",
            counts.starved
        );
        skip::starved("fault 7: no failover", &why);
        proxy.set_way(Way::default());
        on_air.assert_all_arrived(&mut [&mut nginx, &mut backup]);
        return;
    }
    assert!(states.iter().all(|state| state == "on_air"), "{states:?}");
    assert_eq!(status["reconnects"], 0, "{status}");
    assert_eq!(
        status["ingest"].as_str(),
        Some(proxy.addr().to_string().as_str()),
        "{status}"
    );
    assert!(
        status["standby"].is_string(),
        "a backup that was not ready would show nothing: {status}"
    );
    assert_eq!(counts.accepted, before.accepted, "no connection after it");
    proxy.set_way(Way::default());
    assert!(backup.finish().is_empty(), "the backup was published to");
    on_air.assert_all_arrived(&mut [&mut nginx]);
}

/// Frames that the machine was too slow to encode.
fn left_out(on_air: &mut OnAir) -> u64 {
    let status = wait::must("a status", PATIENCE, || on_air.regia.status());
    status["dropped_frames"].as_u64().expect("a number")
}

/// Through whatever lies on the way to an RTMP server: from the first two messages of a handshake to its answer.
fn round_trip(server: SocketAddr) -> Duration {
    let mut stream = TcpStream::connect(server).expect("the proxy listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout above zero");
    let mut hello = [0; 1 + 1536];
    hello[0] = 3;
    let start = Instant::now();
    stream.write_all(&hello).expect("the proxy reads");
    stream
        .read_exact(&mut [0; 1])
        .expect("the server answers the handshake");
    start.elapsed()
}
