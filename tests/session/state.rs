//! State directories that can't be used: each has its text and its exit code.

use crate::REGIA;
use crate::rig::Box;
use regia_testkit::regia::{Outcome, run};
use regia_testkit::skip;
use std::path::{Path, PathBuf};
use std::process::Command;

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
            "the state in {shown} was written by a newer Regia (its version is 99, this one knows 1): install that one again, or give this one another --state"
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
