//! Fault 14: two streams to two ingests, identical, and one of their ways dies and returns.

use crate::rig::{PATIENCE, Plan, beside_others, url};
use crate::wire;
use regia_testkit::flv::Kind;
use regia_testkit::lab::{Lab, Side};
use regia_testkit::media::{Packet, Track};
use regia_testkit::nginx::Nginx;
use regia_testkit::proxy::Proxy;
use regia_testkit::truth;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

const OUTAGE: Duration = Duration::from_secs(6);

/// The timestamp that each unit of the copy was sent with, on all connections of one ingest; a unit that was sent twice must have
/// the same each time.
fn timestamps(proxy: &Proxy, made: &[&Packet], track: Track) -> BTreeMap<usize, u32> {
    let mut times = BTreeMap::new();
    for sent in proxy.sent() {
        let said = wire::read(&sent);
        let units = wire::units(&said, track);
        if units.is_empty() {
            continue;
        }
        let hashes: Vec<&str> = units.iter().map(|(hash, _)| *hash).collect();
        for (at, (_, time)) in wire::place(&hashes, made).zip(&units) {
            assert_eq!(
                *times.entry(at).or_insert(*time),
                *time,
                "unit {at} of {track:?}"
            );
        }
    }
    times
}

#[test]
fn fault_14_both_at_once_and_one_way_dies_and_returns() {
    let _turn = beside_others();
    let Some(lab) = Lab::or_skip("fault_14_both_at_once_and_one_way_dies_and_returns") else {
        return;
    };
    let plan = Plan::new().in_lab(&lab);
    let mut ingests = [0, 1].map(|number| {
        let behind = SocketAddr::new(IpAddr::V4(lab.ingests()[number]), 1936);
        plan.lab_nginx(&lab, number)
            .rtmp(behind)
            .drop_idle_publisher(Duration::from_secs(4))
            .start()
    });
    let proxies = [0, 1].map(|number| {
        let behind = ingests[number].addr();
        let before = SocketAddr::new(behind.ip(), 1935);
        lab.at_the_ingests(|| Proxy::start_at(before, behind))
    });
    let [primary, backup] = lab.ingests().map(|ip| url(&ip));
    let lines =
        format!("mode = \"both\"\nbackup_server = {backup:?}\nuplinks = [\"fibre\", \"lte\"]");
    let mut on_air = plan.destination("main", &primary, &lines).start();
    on_air.settle("main");
    for nginx in &ingests {
        let mut watch = nginx.watch();
        watch.wait_keyframe(PATIENCE).expect("both are on air");
    }
    let mut survivor = ingests[1].watch();
    let at = Instant::now();
    lab.blackhole(Side::A);
    // The longest time in which the survivor sees nothing new.
    let mut seen = Instant::now();
    let mut gap = Duration::ZERO;
    let mut back = false;
    while at.elapsed() < OUTAGE * 2 {
        if !back && at.elapsed() >= OUTAGE {
            back = true;
            assert!(lab.has_carrier(Side::A));
            lab.end_blackhole(Side::A);
        }
        let now = Instant::now();
        if survivor
            .poll()
            .iter()
            .any(|seen| matches!(seen.tag.kind, Kind::Video { .. }))
        {
            gap = gap.max(now.duration_since(seen));
            seen = now;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = on_air.status("main");
    let copy = on_air.end();
    let [first, second] = ingests.each_mut().map(Nginx::finish);
    for (name, files) in [("first", &first), ("second", &second)] {
        let truth = truth::compare(&copy, files);
        println!(
            "fault 14: the {name} ingest has {} files: {truth}",
            files.len()
        );
        truth.assert_nothing_lost();
        assert_eq!(
            (truth.video.before(), truth.video.after()),
            (0, 0),
            "{truth}"
        );
        assert_eq!(
            (truth.audio.before(), truth.audio.after()),
            (0, 0),
            "{truth}"
        );
    }
    assert_eq!(second.len(), 1, "the survivor was never interrupted");
    assert!(
        first.len() > 1 || status["reconnects"] != 0,
        "the fault did not happen: {status}"
    );
    println!("fault 14: the survivor's longest wait for a picture was {gap:?}");
    assert!(gap < Duration::from_secs(2), "{gap:?}");
    let mut compared = 0;
    for track in [Track::Video, Track::Audio] {
        let made = wire::list(&copy, track);
        let [one, other] = proxies
            .each_ref()
            .map(|proxy| timestamps(proxy, &made, track));
        for (at, time) in &one {
            if let Some(there) = other.get(at) {
                assert_eq!(time, there, "unit {at} of {track:?}");
                compared += 1;
            }
        }
    }
    println!("fault 14: {compared} units had the same timestamp at both ingests");
    assert!(compared > 500);
}
