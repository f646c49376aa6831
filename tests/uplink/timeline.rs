//! Fault 11: timestamps past 24 and 32 bits, with a reconnect across each boundary and another beyond it.

use crate::rig::{PATIENCE, Plan, beside_others, seconds};
use crate::wire;
use regia_testkit::flv::Kind;
use regia_testkit::media::Track;
use regia_testkit::proxy::Proxy;
use std::time::Duration;

const LEAD: Duration = Duration::from_secs(5);

/// Two connections are lost: one a little before the boundary, so that the next resumes before it and goes across; one beyond,
/// so that the third starts there with its very first message.
fn fault_11(boundary: Duration) {
    let _turn = beside_others();
    let plan = Plan::new();
    let mut nginx = plan.nginx("ingest").start();
    let proxy = Proxy::start(nginx.addr());
    let start = boundary - LEAD;
    let lines = format!(
        "timeline = \"continue\"\ntimeline_start_s = {}",
        start.as_secs_f64()
    );
    let server = format!("rtmp://{}/live", proxy.addr());
    let mut on_air = plan.destination("main", &server, &lines).start();
    for media_ms in [4_400, 5_300] {
        // Each recording counts from its own first unit.
        let reached = |tag: &regia_testkit::flv::Tag| {
            matches!(tag.kind, Kind::Video { .. }) && tag.time_ms >= media_ms
        };
        let mut watch = nginx.watch();
        watch
            .wait(PATIENCE, reached)
            .expect("the programme arrives");
        nginx.kill();
        nginx.start();
    }
    nginx
        .watch()
        .wait_keyframe(PATIENCE)
        .expect("publishing again");
    std::thread::sleep(Duration::from_secs(4));
    let status = on_air.status("main");
    assert_eq!(
        status["reconnects"], 2,
        "the fault did not happen: {status}"
    );
    assert!(seconds(&status, "hold_used_s") < 10.0, "{status}");
    let (truth, copy, recorded) = on_air.truth(&mut [&mut nginx]);
    truth.assert_nothing_lost();

    // What nginx has: each file's times differ from the copy's by one number, to the millisecond, whatever was crossed.
    for (number, file) in recorded.iter().enumerate() {
        let video = wire::shift_us(file, &copy, Track::Video);
        let audio = wire::shift_us(file, &copy, Track::Audio);
        println!("fault 11: file {number} is shifted by {video:?} µs, its sound by {audio:?} µs");
        assert_eq!(video.0, video.1, "video of file {number}");
        assert_eq!(audio, video, "sound of file {number}");
    }
    // What was sent: the timestamps themselves, which nginx's recordings count from their own start.
    let mut crossed = 0;
    let mut beyond = 0;
    for sent in proxy.sent() {
        let said = wire::read(&sent);
        for track in [Track::Video, Track::Audio] {
            let made = wire::list(&copy, track);
            let units = wire::units(&said, track);
            if units.is_empty() {
                continue;
            }
            let hashes: Vec<&str> = units.iter().map(|(hash, _)| *hash).collect();
            let range = wire::place(&hashes, &made);
            for ((_, timestamp_ms), copy) in units.iter().zip(&made[range]) {
                let exact = start.as_millis() as i64 + copy.dts_us / 1000;
                assert_eq!(*timestamp_ms, exact as u32, "{copy:?}");
            }
            let side = |at: usize| copy_ms(&made, at, &hashes) >= LEAD.as_millis() as i64;
            match (side(0), side(hashes.len() - 1)) {
                (false, true) => crossed += 1,
                (true, true) => beyond += 1,
                _ => {}
            }
        }
    }
    println!(
        "fault 11: {boundary:?}: 0 lost; {} files exact; {crossed} tracks cross the boundary, {beyond} start beyond it",
        recorded.len()
    );
    assert_eq!(crossed, 2, "one connection's two tracks cross");
    assert_eq!(beyond, 2, "one connection starts beyond");
}

fn copy_ms(made: &[&regia_testkit::media::Packet], at: usize, hashes: &[&str]) -> i64 {
    let range = wire::place(hashes, made);
    made[range.start + at].dts_us / 1000
}

#[test]
fn fault_11_across_24_bits() {
    fault_11(Duration::from_millis(0xff_ffff));
}

#[test]
fn fault_11_across_32_bits() {
    fault_11(Duration::from_millis(1 << 32));
}
