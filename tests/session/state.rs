//! State directories that can't be used: each has its text and its exit code.

use crate::rig::{Box, Ingest, address, sleep};
use crate::{PATIENCE, REGIA};
use regia_testkit::regia::{Outcome, run};
use regia_testkit::skip;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn run_with(rig: &Box, state: &Path) -> Outcome {
    let config = rig.path().join("regia.toml").display().to_string();
    let state = state.display().to_string();
    run(REGIA, &["run", "--config", &config, "--state", &state])
}

#[track_caller]
fn says(outcome: &Outcome, text: &str) {
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.ends_with(&format!("{text}\n")),
        "{outcome:?}"
    );
}

#[test]
fn from_a_newer_version() {
    let rig = Box::new("");
    let store = rusqlite::Connection::open(rig.state().join("regia.db")).unwrap();
    store.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let shown = rig.state().display();
    says(
        &run_with(&rig, rig.state()),
        &format!(
            "the state in {shown} was written by a newer Regia (its version is 99, this one knows 3): install that one again, or give this one another --state"
        ),
    );
}

/// A file system of its own, gone with its owner.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Mounted(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn read_only() {
    let rig = Box::new("");
    let Some(state) = Mounted::new(rig.path().join("fixed"), "ro,size=1m") else {
        skip::unavailable("read_only", "no file system can be mounted here");
        return;
    };
    let shown = state.0.display();
    says(
        &run_with(&rig, &state.0),
        &format!(
            "the state in {shown} can't be written to: it is read-only, or belongs to another user; make it writable, or give another --state"
        ),
    );
}

#[test]
fn full() {
    let rig = Box::new("");
    let Some(state) = Mounted::new(rig.path().join("full"), "size=64k") else {
        skip::unavailable("full", "no file system can be mounted here");
        return;
    };
    // What is left does not do for a page.
    let _ = std::fs::write(state.0.join("filler"), vec![0; 128 * 1024]);
    let shown = state.0.display();
    says(
        &run_with(&rig, &state.0),
        &format!(
            "the disk of the state directory {shown} is full: make room, or give another --state"
        ),
    );
}

/// The disk fills while on air: the log stops, and nothing else does; not even a crash then ends the broadcast.
#[test]
fn a_disk_that_fills_up_costs_the_broadcast_nothing() {
    let addr = address();
    let mut rig = Box::new(&format!(
        "[[destination]]\nid = \"show\"\nserver = \"rtmp://{addr}/live\"\nkey = \"a-key-on-a-full-disk\"\n"
    ));
    let Some(state) = Mounted::new(rig.path().join("filling"), "size=1m") else {
        skip::unavailable(
            "a_disk_that_fills_up_costs_the_broadcast_nothing",
            "no file system can be mounted here",
        );
        return;
    };
    let ingest = Ingest::listen(rig.path(), addr, &["--take-over"]);
    rig.use_state(state.0.clone());
    rig.start(&["--live"]);
    ingest.publish(1);
    rig.wait_state("ON AIR");
    sleep(Duration::from_secs(2));
    let _ = std::fs::write(state.0.join("filler"), vec![0; 2 * 1024 * 1024]);
    let daemon = rig.daemon.as_mut().unwrap();
    daemon.wait_line("the log can't be written; the broadcast goes on", PATIENCE);
    assert_eq!(rig.status().unwrap()["state"], "ON AIR");
    rig.kill();
    rig.start(&[]);
    ingest.publish(2);
    let status = rig.wait_state("ON AIR");
    let notice = status["notices"][0].as_str().unwrap();
    assert!(
        notice.starts_with("the disk of the state directory is full"),
        "{notice}"
    );
    rig.cut_power();
}
