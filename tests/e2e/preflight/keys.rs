//! A key that is not there, one that is, and one that was used for the event before.

use crate::rehearse::Rehearsal;
use crate::rows::{PROGRAMME, preflight, standby};
use crate::{PATIENCE, REGIA, alone};
use regia_testkit::regia::Regia;
use std::io::Write;
use std::process::{Command, Stdio};

fn save(regia: &Regia, slot: &str, key: &str) {
    let mut child = Command::new(REGIA)
        .args(["key", "set", slot, "--state"])
        .arg(regia.state_dir())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(key.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_key_of_linkedin_is_missing_then_new_then_used() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut rehearsal = Rehearsal::start(dir.path(), true, &["--as", "linkedin"]);
    let text = format!(
        "{PROGRAMME}[[source]]\nid = \"stage\"\nkind = \"test\"\n\
         [[destination]]\nid = \"out\"\nplatform = \"linkedin\"\nserver = {:?}\nkey_secret = \"event\"\ntls_ca_file = {:?}\n",
        rehearsal.url(),
        rehearsal.ca().unwrap()
    );
    let mut regia = standby(&text);
    let rows = preflight(&regia);
    assert_eq!(
        rows.row("key", "out"),
        "problem: there is none in its slot → save one with `regia key set`"
    );
    // The way does not need a key.
    assert!(rows.row("ingest", "out").starts_with("ok: "));
    let refused = regia.cli(&["live", "start"]);
    assert!(
        refused.stderr.contains("pre-flight found") && refused.stderr.contains("key out: "),
        "{}",
        refused.stderr
    );

    save(&regia, "event", "first-event-plantedWx7Qd\n");
    let rows = preflight(&regia);
    assert_eq!(
        rows.row("key", "out"),
        "ok: ends …x7Qd, saved today, not used yet"
    );
    // A busy machine may leave out frames, which is not what is looked at here.
    let started = regia.cli(&["live", "start", "--anyway", "a test of keys"]);
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    let status = regia.wait_status("on air", PATIENCE, |status| {
        status["destinations"][0]["state"] == "on_air"
    });
    let session = status["session"].as_str().unwrap().to_owned();
    let stopped = regia.cli(&["live", "stop", "--confirm", "linkedin"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    regia.wait_status("the end", PATIENCE, |status| status["state"] == "ENDED");

    let rows = preflight(&regia);
    assert_eq!(
        rows.row("key", "out"),
        format!(
            "problem: ends …x7Qd, saved today, used for {session}, and a key of LinkedIn is for one event → save the new event's key: regia key set event"
        )
    );
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
    let report = rehearsal.finish();
    let publishes = report["streams"][0]["publishes"].as_array().map(Vec::len);
    assert_eq!(publishes, Some(1), "pre-flight published: {report}");
}
