//! `kill -9` of the engine on air: the connection, and with it the broadcast, outlives it.

use crate::config::{SMALL, Source, config};
use crate::lips::assert_in_sync;
use crate::{PATIENCE, REGIA, alone, keep};
use regia_testkit::flv::{self, Seen};
use regia_testkit::lipsync::{self, Pair};
use regia_testkit::media::{self, Recording, Track};
use regia_testkit::{nginx, ports, regia, wait};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The local ports of this process's established IPv4 connections to `peer`, as the kernel has them (proc_pid_net(5)).
fn local_ports(peer: SocketAddr) -> Vec<u16> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let remote = format!("0100007F:{:04X}", peer.port());
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let established =
                fields.get(2) == Some(&remote.as_str()) && fields.get(3) == Some(&"01");
            let port = fields.get(1)?.split(':').nth(1)?;
            u16::from_str_radix(port, 16).ok().filter(|_| established)
        })
        .collect()
}

#[test]
fn the_broadcast_outlives_its_engine() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let addr = ports::loopback();
    let mut nginx = nginx::Setup::new(&dir.path().join("nginx"))
        .rtmp(addr)
        .start();
    let text = config(&SMALL, &Source::Test, &nginx.rtmp_url(), "outlives", None);
    let mut watch = nginx.watch();
    let mut regia = regia::Setup::new(REGIA, text).start();
    let is_video = |tag: &flv::Tag| matches!(tag.kind, flv::Kind::Video { .. });
    let eighth = watch
        .wait(PATIENCE, |tag| is_video(tag) && tag.time_ms >= 8_000)
        .expect("eight seconds arrive");
    let before = local_ports(addr);
    assert_eq!(before.len(), 1, "one connection: {before:?}");

    let first_engine = regia.kill_engine().expect("an engine is running");
    let killed = Instant::now();
    let mut arrived: Vec<Seen> = vec![eighth];
    wait::must("ten seconds more on the timeline", PATIENCE, || {
        arrived.extend(watch.poll().into_iter().filter(|seen| is_video(&seen.tag)));
        let span = arrived.last()?.tag.time_ms - arrived.first()?.tag.time_ms;
        (span >= 10_000).then_some(())
    });
    // What had left the old engine still arrives; the new one's begins behind the step in the timestamps.
    let (last, again) = arrived
        .iter()
        .zip(&arrived[1..])
        .max_by_key(|(earlier, later)| later.tag.time_ms - earlier.tag.time_ms)
        .expect("ten seconds are many frames");
    let (last_ms, resumed_ms) = (last.tag.time_ms, again.tag.time_ms);
    let pause = again.at - killed;
    println!("media again {} ms after kill -9", pause.as_millis());
    // What is asked for is 2 s, on a machine that does nothing else.
    assert!(pause < Duration::from_secs(6), "{pause:?}");
    assert_eq!(again.tag.kind, flv::Kind::Video { keyframe: true });
    assert_eq!(local_ports(addr), before, "the same connection");
    let status = regia.status().expect("the director answers");
    assert_eq!(status["engine_runs"], 2);
    assert_ne!(status["engine_pid"].as_u64(), Some(u64::from(first_engine)));
    assert_eq!(status["destinations"][0]["reconnects"], 0);
    assert_eq!(status["destinations"][0]["state"], "on_air");
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
    println!("{}", regia.process.text());
    let publishes = nginx.log().matches("publish: name=").count();
    nginx.stop();

    assert_eq!(publishes, 1, "one publish");
    let files = flv::files(&nginx.recordings_dir());
    assert_eq!(files.len(), 1, "{files:?}");
    keep(&files[0], "killed.flv");
    let recording = Recording::read(&files[0]);
    assert_eq!(recording.backward_steps(Track::Video), 0);
    assert_eq!(recording.backward_steps(Track::Audio), 0);
    assert!(
        recording.worst_bend_ms(30.0) <= 1.0,
        "still on the frame grid"
    );
    // The gap on the timeline is as long as it was on the clock, so that the programme does not run late for ever.
    let gap_ms = i64::from(resumed_ms) - i64::from(last_ms);
    let silence = again.at - last.at;
    let off_ms = gap_ms - i64::try_from(silence.as_millis()).unwrap();
    assert!(
        off_ms.abs() < 1_000,
        "{gap_ms} ms on the timeline for {silence:?}"
    );
    assert_eq!(media::decodes_cleanly(&files[0]), Ok(()));
    let (before, after): (Vec<Pair>, Vec<Pair>) = lipsync::measure(&files[0])
        .into_iter()
        .partition(|pair| pair.flash_ms < f64::from(resumed_ms));
    assert_in_sync("before", &before, 6);
    assert_in_sync("after", &after, 6);
}
