//! `resume = "live"`: after an outage the newest keyframe, not what was missed.

use crate::rig::{PATIENCE, Plan, beside_others, gap_s, seconds};
use regia_testkit::media::Track;
use std::time::Duration;

#[test]
fn resume_live_starts_at_the_newest_keyframe_after_an_outage() {
    let _turn = beside_others();
    let plan = Plan::new();
    let mut nginx = plan.nginx("ingest").start();
    let server = nginx.rtmp_url();
    let mut on_air = plan
        .destination("main", &server, "resume = \"live\"")
        .start();
    on_air.settle("main");
    nginx.kill();
    std::thread::sleep(Duration::from_secs(6));
    let mut watch = nginx.watch();
    nginx.start();
    watch.wait_keyframe(PATIENCE).expect("publishing again");
    let status = on_air
        .regia
        .wait_status("live at once", PATIENCE, |status| {
            crate::rig::destination(status, "main")
                .is_some_and(|to| to["state"] == "on_air" && seconds(to, "hold_used_s") < 1.0)
        });
    std::thread::sleep(Duration::from_secs(3));
    let (truth, copy, files) = on_air.truth(&mut [&mut nginx]);
    let lost = truth.video.lost();
    let gap_s = gap_s(&copy, Track::Video, &lost);
    println!(
        "resume live: {} pictures, {gap_s:.2} s of a 6 s outage left out, shed_s {}",
        lost.len(),
        crate::rig::destination(&status, "main").unwrap()["shed_s"]
    );
    assert_eq!(files.len(), 2, "the fault did not happen");
    // The newest keyframe is 2 s old at most, and so much of 6 s is sent; a busy machine loses another in getting there.
    assert!(
        gap_s >= 2.0,
        "not everything since the kill was sent: {truth}"
    );
    let whole = lost.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(whole, "one gap: {truth}");
    let next = copy.track(Track::Video).nth(lost[lost.len() - 1] + 1);
    assert!(next.is_some_and(|unit| unit.keyframe));
}
