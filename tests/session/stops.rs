//! A stop that can't happen by accident, and keys that serve once.

use crate::rig::{Box, Ingest, address, sleep};
use std::time::Duration;

/// Pre-flight would say the same sooner, in its own words; here the session itself is asked.
const ANYWAY: [&str; 4] = ["live", "start", "--anyway", "a test of the session"];

#[test]
fn linkedin_asks_back_and_its_key_serves_once() {
    let addr = address();
    let mut rig = Box::new(&format!(
        "[[destination]]\nid = \"show\"\nplatform = \"linkedin\"\nserver = \"rtmp://{addr}/live\"\nkey = \"of-one-event-only\"\n"
    ));
    let mut ingest = Ingest::listen(rig.path(), addr, &["--as", "linkedin"]);
    rig.start(&["--live"]);
    let session = rig.wait_state("ON AIR")["session"].clone();
    let session = session.as_str().unwrap();
    let refused = |args: &[&str]| {
        let outcome = rig.cli(args);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        outcome.stderr
    };
    assert_eq!(
        refused(&["live", "stop"]),
        "regia: LinkedIn can't reopen an event that has ended: to end it for good, repeat its name (confirm: \"linkedin\")\n"
    );
    assert_eq!(
        refused(&[
            "live",
            "stop",
            "--session",
            "20200101-000000",
            "--confirm",
            "linkedin"
        ]),
        format!(
            "regia: the broadcast that runs is {session}, not 20200101-000000: look again before you stop it\n"
        )
    );
    assert_eq!(
        refused(&["live", "extend", "--destination", "show", "--minutes", "60"]),
        "regia: show: 90 s more are possible at most: after 14400 s the platform ends it\n"
    );
    sleep(Duration::from_secs(1));
    assert_eq!(rig.status().unwrap()["state"], "ON AIR");
    let stopped = rig.cli(&["live", "stop", "--confirm", "linkedin"]);
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    rig.wait_state("ENDED");
    let used = format!(
        "regia: show: its key was used for the broadcast {session}, and serves for one only: save the key of the new event\n"
    );
    assert_eq!(rig.cli(&ANYWAY).stderr, used);
    // Nor after a restart; and a daemon that is told to go live does not end for it.
    rig.end();
    rig.start(&["--live"]);
    rig.wait_state("STANDBY");
    assert_eq!(rig.cli(&ANYWAY).stderr, used);
    rig.end();
    let report = ingest.report();
    assert_eq!(
        report["streams"][0]["publishes"].as_array().unwrap().len(),
        1
    );
}
