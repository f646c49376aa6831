//! Fault 15: a way that comes and goes. A platform sees few publishes, and sound and picture stay together.

use crate::rig::{OnAir, PATIENCE, Plan, beside_others, url};
use regia_testkit::lab::{Lab, Side};
use regia_testkit::media::{Packet, Recording};
use regia_testkit::nginx::Nginx;
use regia_testkit::proxy::Proxy;
use regia_testkit::skip;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often the way goes, and how long it stays away and comes back each time.
#[derive(Clone, Copy)]
struct Flaps {
    count: u32,
    half: Duration,
}

impl Flaps {
    /// 50 of 3 s and 3 s in a slow run.
    fn or_in_a_quick_run(quick: Flaps) -> Flaps {
        if skip::is_slow() {
            Flaps {
                count: 50,
                half: Duration::from_secs(3),
            }
        } else {
            quick
        }
    }
}

/// When Regia's publishes were accepted, by its log.
fn publishes(on_air: &OnAir) -> Vec<Instant> {
    let lines = on_air.regia.process.lines();
    lines
        .iter()
        .filter(|line| line.text.contains(": publishing path="))
        .map(|line| line.at)
        .collect()
}

fn most_within_a_minute(publishes: &[Instant]) -> usize {
    let within = |from: &Instant| {
        let near = |at: &&Instant| **at >= *from && **at <= *from + Duration::from_secs(60);
        publishes.iter().filter(near).count()
    };
    publishes.iter().map(within).max().unwrap_or(0)
}

/// By how many ms the distance between sound and picture in a file differs from the copy's, at worst. Units that are alike
/// (silence) say nothing; a file may have gaps where GOPs were shed.
fn worst_drift_ms(files: &[Recording], copy: &Recording) -> f64 {
    let mut made: HashMap<&str, Option<i64>> = HashMap::new();
    for unit in &copy.packets {
        made.entry(&unit.hash)
            .and_modify(|time| *time = None)
            .or_insert(Some(unit.dts_us));
    }
    let drift = |file: &Recording| {
        let shift = |unit: &Packet| Some(unit.dts_us - (*made.get(unit.hash.as_str())?)?);
        let shifts: Vec<i64> = file.packets.iter().filter_map(shift).collect();
        shifts.iter().max().unwrap_or(&0) - shifts.iter().min().unwrap_or(&0)
    };
    files.iter().map(drift).max().unwrap_or(0) as f64 / 1000.0
}

/// The publishes from the first one that had to wait on: no flap alone keeps a way closed for so long.
fn once_the_budget_is_used(publishes: &[Instant], flaps: Flaps) -> &[Instant] {
    let waited = |pair: &[Instant]| {
        pair[1].duration_since(pair[0]) > flaps.half * 3 + Duration::from_secs(2)
    };
    let first = publishes.windows(2).position(waited);
    first.map_or(&[], |at| &publishes[at + 1..])
}

/// Ends it and gives the publishes that came once the budget was used.
fn judge(name: &str, mut on_air: OnAir, nginx: &mut Nginx, flaps: Flaps) -> usize {
    on_air
        .regia
        .wait_status("on air again", PATIENCE, |status| {
            crate::rig::destination(status, "main").is_some_and(|to| to["state"] == "on_air")
        });
    let status = on_air.status("main");
    let publishes = publishes(&on_air);
    let gaps: Vec<u64> = publishes
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]).as_secs())
        .collect();
    println!("fault 15 ({name}): seconds between publishes {gaps:?}");
    assert_eq!(
        publishes.len() as u64 - 1,
        status["reconnects"].as_u64().unwrap()
    );
    let (truth, copy, files) = on_air.truth(&mut [nginx]);
    let later = once_the_budget_is_used(&publishes, flaps);
    let drift = worst_drift_ms(&files, &copy);
    println!(
        "fault 15 ({name}): {} flaps of {:?}, {} publishes, at most {} in a minute, {} once the budget was used; sound against \
         picture {drift} ms at worst; lost {}, shed {} s",
        flaps.count,
        flaps.half,
        publishes.len(),
        most_within_a_minute(&publishes),
        most_within_a_minute(later),
        truth.lost(),
        status["shed_s"],
    );
    assert!(most_within_a_minute(later) <= 3, "{gaps:?}");
    assert!(drift <= 1.0, "{drift} ms");
    later.len()
}

#[test]
fn fault_15_the_way_goes_dark_and_comes_back() {
    let _turn = beside_others();
    let Some(lab) = Lab::or_skip("fault_15_the_way_goes_dark_and_comes_back") else {
        return;
    };
    let flaps = Flaps::or_in_a_quick_run(Flaps {
        count: 4,
        half: Duration::from_secs(3),
    });
    let plan = Plan::new().in_lab(&lab);
    let mut nginx = plan.lab_nginx(&lab, 0).start();
    let server = url(&lab.ingests()[0]);
    let mut on_air = plan
        .destination("main", &server, "uplinks = [\"fibre\"]")
        .start();
    on_air.settle("main");
    let mut stalls = 0;
    for _ in 0..flaps.count {
        lab.blackhole(Side::A);
        std::thread::sleep(flaps.half);
        stalls += u32::from(on_air.status("main")["state"] != "on_air");
        lab.end_blackhole(Side::A);
        std::thread::sleep(flaps.half);
    }
    assert_eq!(stalls, flaps.count, "the fault did not happen");
    judge("dark", on_air, &mut nginx, flaps);
}

#[test]
fn fault_15_every_connection_is_reset() {
    let _turn = beside_others();
    // Short ones use the budget up in a quick run too.
    let flaps = Flaps::or_in_a_quick_run(Flaps {
        count: 12,
        half: Duration::from_secs(1),
    });
    let plan = Plan::new();
    let mut nginx = plan.nginx("ingest").start();
    let proxy = Proxy::start(nginx.addr());
    let server = format!("rtmp://{}/live", proxy.addr());
    let mut on_air = plan.destination("main", &server, "").start();
    on_air.settle("main");
    for _ in 0..flaps.count {
        proxy.refuse(true);
        proxy.reset_all();
        std::thread::sleep(flaps.half);
        proxy.refuse(false);
        std::thread::sleep(flaps.half);
    }
    assert!(
        proxy.counts().resets >= u64::from(flaps.count),
        "the fault did not happen"
    );
    let later = judge("reset", on_air, &mut nginx, flaps);
    assert!(later > 0, "the budget was never used up");
}
