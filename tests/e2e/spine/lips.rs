//! Lip-sync as a viewer has it: the flash and the beep of the test source, in what nginx recorded.

use crate::config::{SMALL, Source, config};
use crate::{PATIENCE, REGIA, alone, keep};
use regia_testkit::lipsync::{self, Pair};
use regia_testkit::{flv, nginx, regia, skip};
use std::path::Path;
use std::time::Duration;

const MOST_MS: f64 = 20.0;

/// A busy machine leaves out a frame, and when that is the first of a flash, the flash is seen a frame late. That is no matter of
/// the lips, whose error is the same for a second and the next: so one pair in five may be off.
#[track_caller]
pub fn assert_in_sync(what: &str, pairs: &[Pair], at_least: usize) {
    let mut off: Vec<f64> = pairs.iter().map(|pair| pair.beep_after_ms.abs()).collect();
    off.sort_by(f64::total_cmp);
    let good = off.iter().filter(|off| **off < MOST_MS).count();
    println!(
        "{what}: {} flashes, the middle one's beep {:?} ms off, the worst {:?}",
        off.len(),
        off.get(off.len() / 2),
        off.last()
    );
    assert!(off.len() >= at_least, "{what}: {pairs:?}");
    assert!(good * 5 >= off.len() * 4, "{what}: {pairs:?}");
}

/// The test source on air for `seconds`, as nginx recorded it.
fn on_air_for(seconds: u64, dir: &Path) -> Vec<Pair> {
    let mut nginx = nginx::Setup::new(&dir.join("nginx")).start();
    let text = config(&SMALL, &Source::Test, &nginx.rtmp_url(), "lips", None);
    let mut watch = nginx.watch();
    let mut regia = regia::Setup::new(REGIA, text).start();
    let enough = u32::try_from(seconds * 1000).unwrap();
    let arrived = watch.wait(PATIENCE + Duration::from_secs(seconds), |tag| {
        tag.time_ms >= enough
    });
    assert!(arrived.is_some(), "{}", regia.process.text());
    assert_eq!(regia.terminate(PATIENCE).code(), Some(0));
    nginx.stop();
    let files = flv::files(&nginx.recordings_dir());
    assert_eq!(files.len(), 1, "{files:?}");
    keep(&files[0], "lips.flv");
    lipsync::measure(&files[0])
}

#[test]
fn flash_and_beep_are_together_at_the_start() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    assert_in_sync("the first 12 s", &on_air_for(12, dir.path()), 10);
}

#[test]
fn flash_and_beep_are_together_after_ten_minutes() {
    if !skip::slow_enabled("flash_and_beep_are_together_after_ten_minutes") {
        return;
    }
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let pairs = on_air_for(615, dir.path());
    let between = |from_ms: f64, to_ms: f64| -> Vec<Pair> {
        let within = |pair: &&Pair| (from_ms..to_ms).contains(&pair.flash_ms);
        pairs.iter().filter(within).copied().collect()
    };
    assert_in_sync("all the time", &pairs, 500);
    assert_in_sync("at the start", &between(0.0, 15_000.0), 12);
    assert_in_sync("after ten minutes", &between(600_000.0, f64::MAX), 12);
}
