//! Crashes and power cuts: back on air by itself, with the guard's clock unbroken and the store whole.

use crate::rig::{Box, Ingest, address, of_kind, sleep};
use regia_testkit::skip;
use std::time::{Duration, Instant};

const KEY: &str = "resumed-key-Xq7vT2mNzR4w";
/// The guard's count is exact to a millisecond; a status is up to a quarter of a second old, and on a busy machine asking for it
/// takes longer than that.
const ASKING_S: f64 = 2.5;

fn rig() -> (Box, Ingest) {
    let addr = address();
    let rig = Box::new(&format!(
        "[[destination]]\nid = \"show\"\nserver = \"rtmp://{addr}/live\"\nkey_secret = \"main\"\nlimit_s = 3600\nmargin_s = 120\n"
    ));
    std::fs::write(rig.path().join("key"), KEY).unwrap();
    let saved = std::process::Command::new(crate::REGIA)
        .args(["key", "set", "main", "--state"])
        .arg(rig.state())
        .stdin(std::fs::File::open(rig.path().join("key")).unwrap())
        .output()
        .unwrap();
    assert!(saved.status.success(), "{saved:?}");
    assert!(!String::from_utf8_lossy(&saved.stdout).contains(KEY));
    let ingest = Ingest::listen(rig.path(), addr, &["--take-over"]);
    (rig, ingest)
}

/// How long the guard has counted, by the status, and when it was asked.
fn counted(rig: &mut Box) -> (f64, Instant) {
    let status = rig.wait("the guard's count", |status| {
        status["destinations"][0]["ends_in_s"].is_number() && status["state"] == "ON AIR"
    });
    let left = status["destinations"][0]["ends_in_s"].as_f64().unwrap();
    (3_480.0 - left, Instant::now())
}

/// Some fraction of a second that differs from run to run.
fn random() -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    Duration::from_nanos(u64::from(nanos))
}

fn killed(times: usize) {
    let (mut rig, mut ingest) = rig();
    let began = rig.start(&["--live"]);
    let first = ingest.publish(1);
    assert!(first > began);
    let (begin_count, begin_at) = counted(&mut rig);
    let (mut back, mut worst) = (Vec::new(), 0f64);
    for n in 0..times {
        sleep(Duration::from_millis(700) + 2 * random());
        rig.kill();
        // The second start is not told to go live: it knows.
        let started = rig.start(&[]);
        let published = ingest.publish(n + 2);
        back.push(published.duration_since(started));
        let (count, at) = counted(&mut rig);
        let expected = begin_count + at.duration_since(begin_at).as_secs_f64();
        worst = worst.max((count - expected).abs());
        assert!(
            (count - expected).abs() < ASKING_S,
            "after kill {}: the guard counts {count:.2} s, it is {expected:.2} s",
            n + 1
        );
    }
    let longest = back.iter().max().unwrap();
    let mean = back.iter().sum::<Duration>() / times as u32;
    eprintln!(
        "on air again after {mean:?} on the mean of {times}, {longest:?} at the most; the guard was off by {worst:.2} s at the most"
    );
    // On an idle machine two seconds; a busy one gets more.
    assert!(*longest < Duration::from_secs(15), "{back:?}");
    let stopped = rig.cli(&["live", "stop"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    rig.wait_state("ENDED");
    rig.end();
    let log = rig.log();
    assert_eq!(of_kind(&log, "resumed").len(), times);
    let sessions: std::collections::BTreeSet<String> = log
        .iter()
        .map(|entry| entry["session"].to_string())
        .collect();
    assert_eq!(sessions.len(), 1, "one broadcast: {sessions:?}");
    drop(rig.store());
    no_key_in(rig.state());
    ingest.report();
}

fn no_key_in(state: &std::path::Path) {
    for entry in std::fs::read_dir(state).unwrap().flatten() {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let found = bytes.windows(8).any(|w| w == &KEY.as_bytes()[..8]);
        assert!(!found, "the key is in {}", entry.path().display());
    }
}

#[test]
fn kill_9_at_any_moment() {
    killed(3);
}

#[test]
fn kill_9_twenty_times() {
    if skip::slow_enabled("kill_9_twenty_times") {
        killed(20);
    }
}

/// Everything dies at once, and what is on the disk is what a copy caught between two writes.
#[test]
fn a_power_cut() {
    let (mut rig, ingest) = rig();
    rig.start(&["--live"]);
    ingest.publish(1);
    let (begin_count, begin_at) = counted(&mut rig);
    sleep(Duration::from_secs(1) + random());
    let copy = rig.path().join("copied-state");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(rig.state()).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    rig.cut_power();
    rig.use_state(copy);
    rig.start(&[]);
    ingest.publish(2);
    let (count, at) = counted(&mut rig);
    let expected = begin_count + at.duration_since(begin_at).as_secs_f64();
    assert!((count - expected).abs() < ASKING_S, "{count} {expected}");
    rig.cut_power();
    drop(rig.store());
    no_key_in(rig.state());
}

#[test]
fn past_the_grace_it_stays_in_standby_and_says_why() {
    let addr = address();
    let mut rig = Box::new(&format!(
        "[[destination]]\nid = \"show\"\nserver = \"rtmp://{addr}/live\"\nkey = \"{KEY}\"\n[destination.rules]\ngrace_s = 1\n"
    ));
    let ingest = Ingest::listen(rig.path(), addr, &["--take-over"]);
    rig.start(&["--live"]);
    ingest.publish(1);
    rig.wait_state("ON AIR");
    sleep(Duration::from_millis(1_200));
    rig.kill();
    sleep(Duration::from_secs(3));
    rig.start(&[]);
    let status = rig.wait_state("STANDBY");
    let notice = status["notices"][0].as_str().unwrap();
    assert!(
        notice.starts_with("show stays off the air: a custom ingest waits 1.0 s for a stream that broke, and Regia was away for "),
        "{notice}"
    );
    assert!(status["session"].is_null());
    // It was not meant for ever.
    let started = rig.cli(&[
        "live",
        "start",
        "--anyway",
        "a busy machine may leave out frames",
    ]);
    assert_eq!(started.code, Some(0), "{started:?}");
    ingest.publish(2);
    rig.wait_state("ON AIR");
    assert_eq!(
        rig.status().unwrap()["notices"].as_array().unwrap().len(),
        0
    );
    rig.end();
    let log = rig.log();
    assert_eq!(of_kind(&log, "not_resumed").len(), 1);
}
