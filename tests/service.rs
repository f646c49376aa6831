//! Regia as a systemd service: the unit as systemd reads it, and what the daemon tells systemd.

use regia_testkit::regia::Setup;
use regia_testkit::{skip, wait};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const REGIA: &str = env!("CARGO_BIN_EXE_regia");
const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/regia.service");
const PATIENCE: Duration = Duration::from_secs(60);
/// Of systemd's exposure scale of 0 to 100 (10.0 in its own words): the unit is at 19, and a service without any
/// protection at 96.
const EXPOSURE_MOST: &str = "25";
const CONFIG: &str = "[programme]\nwidth = 640\nheight = 360\nfps = 30\n[programme.video]\npreset = \"superfast\"\n\
    [[source]]\nid = \"stage\"\nkind = \"test\"\n";

/// The unit with this program in place of the installed one, whose presence systemd looks for.
fn unit(dir: &Path) -> PathBuf {
    let text = std::fs::read_to_string(UNIT).unwrap();
    assert!(text.contains("ExecStart=/usr/bin/regia run "));
    let path = dir.join("regia.service");
    std::fs::write(&path, text.replace("/usr/bin/regia", REGIA)).unwrap();
    path
}

fn analyze(test: &str, args: &[&str], unit: &Path) -> Option<std::process::Output> {
    match Command::new("systemd-analyze")
        .args(args)
        .arg(unit)
        .output()
    {
        Ok(done) => Some(done),
        Err(error) => {
            skip::unavailable(
                test,
                &format!("systemd-analyze (Debian package systemd): {error}"),
            );
            None
        }
    }
}

#[test]
fn systemd_has_nothing_against_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let unit = unit(dir.path());
    let Some(done) = analyze("the unit's verification", &["verify"], &unit) else {
        return;
    };
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.is_empty(), "{said}");
    // And it can have something: a word that it does not know is told on stderr.
    let text = std::fs::read_to_string(&unit).unwrap();
    std::fs::write(&unit, text.replace("@system-service", "@no-such-thing")).unwrap();
    if let Some(done) = analyze("the unit's verification", &["verify"], &unit) {
        assert!(!done.stderr.is_empty());
    }
}

#[test]
fn the_unit_exposes_little() {
    let dir = tempfile::tempdir().unwrap();
    let unit = unit(dir.path());
    let args = ["security", "--offline=true", "--threshold", EXPOSURE_MOST];
    let Some(done) = analyze("the unit's exposure", &args, &unit) else {
        return;
    };
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}");
}

#[test]
fn systemd_is_told_of_readiness_progress_and_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut regia = Setup::new(REGIA, CONFIG)
        .not_live()
        .env("NOTIFY_SOCKET", &path.display().to_string())
        .env("WATCHDOG_USEC", "2000000")
        .start();
    let mut told = Vec::new();
    let mut hear = |what: &str, times: usize| {
        wait::must(what, PATIENCE, || {
            let mut buffer = [0; 512];
            while let Ok(length) = socket.recv(&mut buffer) {
                told.push(String::from_utf8_lossy(&buffer[..length]).trim().to_owned());
            }
            (told.iter().filter(|line| *line == what).count() >= times).then_some(())
        });
    };
    hear("READY=1", 1);
    hear("STATUS=STANDBY", 1);
    hear("WATCHDOG=1", 3);
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
    hear("STOPPING=1", 1);
    assert!(!told.iter().any(|line| line.is_empty()), "{told:?}");
}
