//! Fault 15: a way that comes and goes. A platform sees few publishes, and sound and picture stay together.

use crate::rig::{OnAir, PATIENCE, Plan, alone, url};
use regia_testkit::lab::{Lab, Side};
use regia_testkit::media::{Packet, Recording};
use regia_testkit::nginx::Nginx;
use regia_testkit::proxy::Proxy;
use std::collections::HashMap;
use std::time::{Duration, Instant};

const HALF: Duration = Duration::from_secs(3);
/// Publishes that may follow each other freely before the budget counts.
const FREE: usize = 6;

fn flaps() -> u32 {
    let slow = std::env::var("REGIA_SLOW").is_ok_and(|value| value == "1");
    if slow { 50 } else { 6 }
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

fn judge(name: &str, mut on_air: OnAir, nginx: &mut Nginx, expected: usize) {
    on_air
        .regia
        .wait_status("on air again", PATIENCE, |status| {
            crate::rig::destination(status, "main").is_some_and(|to| to["state"] == "on_air")
        });
    let status = on_air.status("main");
    let publishes = publishes(&on_air);
    assert_eq!(
        publishes.len() as u64 - 1,
        status["reconnects"].as_u64().unwrap()
    );
    let (truth, copy, files) = on_air.truth(&mut [nginx]);
    let later = most_within_a_minute(publishes.get(FREE..).unwrap_or_default());
    let drift = worst_drift_ms(&files, &copy);
    println!(
        "fault 15 ({name}): {} flaps, {} publishes, at most {} in a minute, {later} once the budget was used; sound against \
         picture {drift} ms at worst; lost {}, shed {} s, reconnects {}",
        flaps(),
        publishes.len(),
        most_within_a_minute(&publishes),
        truth.lost(),
        status["shed_s"],
        status["reconnects"]
    );
    assert!(publishes.len() >= expected, "the fault did not happen");
    assert!(later <= 3, "{later} publishes in a minute");
    assert!(drift <= 1.0, "{drift} ms");
}

#[test]
fn fault_15_the_way_goes_dark_and_comes_back() {
    let _alone = alone();
    let Some(lab) = Lab::or_skip("fault_15_the_way_goes_dark_and_comes_back") else {
        return;
    };
    let plan = Plan::new().in_lab(&lab);
    let mut nginx = plan.lab_nginx(&lab, 0).start();
    let server = url(&lab.ingests()[0]);
    let mut on_air = plan
        .destination("main", &server, "uplinks = [\"fibre\"]")
        .start();
    on_air.settle("main");
    let mut stalls = 0;
    for _ in 0..flaps() {
        lab.blackhole(Side::A);
        std::thread::sleep(HALF);
        stalls += u32::from(on_air.status("main")["state"] != "on_air");
        lab.end_blackhole(Side::A);
        std::thread::sleep(HALF);
    }
    println!(
        "fault 15 (dark): {stalls} of {} outages were noticed",
        flaps()
    );
    assert_eq!(stalls, flaps(), "the fault did not happen");
    judge("dark", on_air, &mut nginx, 1);
}

#[test]
fn fault_15_every_connection_is_reset() {
    let _alone = alone();
    let plan = Plan::new();
    let mut nginx = plan.nginx("ingest").start();
    let proxy = Proxy::start(nginx.addr());
    let server = format!("rtmp://{}/live", proxy.addr());
    let mut on_air = plan.destination("main", &server, "").start();
    on_air.settle("main");
    for _ in 0..flaps() {
        proxy.refuse(true);
        proxy.reset_all();
        std::thread::sleep(HALF);
        proxy.refuse(false);
        std::thread::sleep(HALF);
    }
    assert!(
        proxy.counts().resets >= u64::from(flaps()),
        "the fault did not happen"
    );
    judge("reset", on_air, &mut nginx, FREE);
}
