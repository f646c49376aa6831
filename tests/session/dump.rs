//! The dump: what was delayed never leaves, the audience sees the slate meanwhile, and the recording has it all.

use crate::rig::{Box, Ingest, address, assert_every_frame, of_kind, sleep};
use std::time::Duration;

const DELAY_S: u64 = 4;

#[test]
fn what_is_dumped_never_leaves() {
    let addr = address();
    let mut rig = Box::new(&format!(
        "[window]\ndelay_s = {DELAY_S}\n[[destination]]\nid = \"show\"\nserver = \"rtmp://{addr}/live\"\nkey = \"a-key-that-dumps\"\n\
         [[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"RECORDINGS\"\n"
    ));
    let mut ingest = Ingest::listen(rig.path(), addr, &[]);
    rig.start(&["--live"]);
    rig.wait_state("ON AIR");
    sleep(Duration::from_secs(3));
    let dumped = rig.cli(&["live", "dump", "--json"]);
    assert_eq!(dumped.code, Some(0), "{dumped:?}");
    rig.wait_state("SLATE");
    rig.wait_state("ON AIR");
    sleep(Duration::from_secs(2));
    assert_eq!(rig.cli(&["live", "stop"]).code, Some(0));
    let ending = rig.wait_state("ENDING");
    assert!(ending["ending_s"].as_f64().unwrap() > 1.0, "{ending}");
    rig.wait_state("ENDED");
    rig.end();

    let log = rig.log();
    let dump = of_kind(&log, "dump")[0];
    let at_us = dump["at_ms"].as_u64().unwrap() * 1_000;
    let seconds = dump["seconds"].as_f64().unwrap();
    assert!(
        (seconds - DELAY_S as f64).abs() < 1.5,
        "{seconds} s were thrown away"
    );
    assert_eq!(of_kind(&log, "dump_over").len(), 1);

    ingest.report();
    let (recorded, arrived) = (rig.recorded(), ingest.arrived());
    assert_every_frame(&recorded);
    // What was captured `delay` before had a moment more, on its way through the encoder; the log is written just after.
    let (from, to) = (at_us - DELAY_S * 1_000_000 + 100_000, at_us - 50_000);
    let dumped = |us: u64| (from..to).contains(&us);
    let leaked: Vec<_> = arrived
        .iter()
        .flatten()
        .filter(|stamp| dumped(stamp.captured_us))
        .collect();
    assert_eq!(leaked, Vec::<&regia::stamp::Stamp>::new());
    let kept = recorded
        .iter()
        .flatten()
        .filter(|stamp| dumped(stamp.captured_us))
        .count() as u64;
    // Every frame that was made, by `assert_every_frame`; a busy machine makes fewer.
    assert!(
        kept >= (to - from) * 15 / 1_000_000,
        "{kept} of the dumped frames are recorded"
    );
    let slate = arrived.iter().filter(|frame| frame.is_none()).count() as u64;
    assert!(slate >= DELAY_S * 15, "{slate} frames of slate");
    // Before and after it, everything arrived.
    let numbers: Vec<u64> = arrived.iter().flatten().map(|stamp| stamp.frame).collect();
    let gaps = numbers
        .windows(2)
        .filter(|two| two[1] != two[0] + 1)
        .count();
    assert_eq!(gaps, 1);
}

#[test]
fn without_a_delay_there_is_nothing_to_dump() {
    let mut rig = Box::new("");
    rig.start(&[]);
    rig.wait_state("STANDBY");
    let refused = rig.cli(&["live", "dump"]);
    assert_eq!(refused.code, Some(1));
    assert_eq!(
        refused.stderr,
        "regia: nothing is delayed, so nothing can be dumped: set window.delay_s\n"
    );
}
