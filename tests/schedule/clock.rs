//! The wall clock steps while a show is waited for. Only Regia's view of it: libfaketime answers for CLOCK_REALTIME, and the machine's own
//! clock stays alone. The kernel tells of a true step (src/schedule/alarm.rs); of this one nobody does, so each is followed by a question,
//! which is as good a reason to look at the clock.

use crate::PATIENCE;
use crate::rig::{Box, Ingest, address, of_kind};
use crate::show::{add, schedule, wait_over};
use jiff::{Timestamp, ToSpan};
use regia_testkit::{skip, wait};
use std::path::Path;
use std::time::Instant;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

#[test]
fn a_clock_that_steps_moves_what_is_to_come_and_nothing_that_runs() {
    if !Path::new(LIBRARY).exists() {
        let why = format!("no {LIBRARY} (Debian package libfaketime)");
        skip::unavailable("a clock that steps", &why);
        return;
    }
    let addr = address();
    let mut regia = Box::new(&format!(
        "[[destination]]\nid = \"own\"\nplatform = \"rehearsal\"\nserver = \"rtmp://{addr}/live\"\nkey = \"abcdefgh\"\n"
    ));
    let mut ingest = Ingest::listen(regia.path(), addr, &[]);
    let offset = regia.path().join("offset");
    let step = |seconds: &str| std::fs::write(&offset, seconds).unwrap();
    step("+0");
    for (key, value) in [
        ("LD_PRELOAD", LIBRARY),
        ("FAKETIME_TIMESTAMP_FILE", &offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ] {
        regia.env(key, value);
    }
    regia.start(&[]);
    regia.wait_state("STANDBY");
    let begin = Instant::now();
    let start = Timestamp::now() + 90.seconds();
    add(
        &regia,
        &format!(
            "id = \"talk\"\nstart = \"{}\"\nzone = \"UTC\"\nlength_s = 12\noverrun = \"end\"\n\
             [[step]]\nat = \"-00:20\"\ndo = \"mark\"\ntext = \"before\"\n\
             [[step]]\nat = \"00:00\"\ndo = \"live\"\n\
             [[step]]\nat = \"+00:06\"\ndo = \"mark\"\ntext = \"six\"\n",
            start.strftime("%Y-%m-%dT%H:%M:%S")
        ),
    );
    // Nothing runs yet, and the clock was a minute behind: the run begins as soon as that is seen.
    step("+60");
    wait::must("the run", PATIENCE, || {
        schedule(&regia).filter(|schedule| schedule["running"].is_object())
    });
    // It has begun and is not live: the start is later by what the clock goes back.
    step("+50");
    regia.wait_state("REHEARSAL");
    let live = begin.elapsed().as_secs_f64();
    // On air, no step moves anything: not by an hour.
    step("+3650");
    wait_over(&regia, PATIENCE);
    regia.end();
    let log = regia.log();
    let at_s = |kind: &str| {
        let at = of_kind(&log, kind)[0]["at_ms"].as_f64().unwrap() / 1_000.0;
        at - start.as_millisecond() as f64 / 1_000.0
    };
    println!(
        "on air {live:.1} s after the show was saved for 90 s ahead; by the clock that stepped {:.1} s after its start",
        at_s("started")
    );
    assert!((-1.0..10.0).contains(&at_s("started")));
    // 90 s ahead, less the 50 that the clock was put forward in all.
    assert!((39.0..60.0).contains(&live), "{live}");
    let six = of_kind(&log, "marker")[1];
    assert_eq!(six["text"], "six");
    let elapsed = six["elapsed_s"].as_f64().unwrap();
    println!("the step at six seconds was done after {elapsed:.1} s");
    assert!((3.0..15.0).contains(&elapsed), "{elapsed}");
    assert_eq!(of_kind(&log, "show_missed").len(), 0);
    assert_eq!(of_kind(&log, "show_over").len(), 1);
    ingest.report();
}
