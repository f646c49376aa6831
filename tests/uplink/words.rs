//! Fault 12: the operator's stop ends a broadcast in RTMP's words; what a failover leaves behind hears none of them, because some
//! platforms end the event on them.

use crate::rig::{OnAir, PATIENCE, Plan, beside_others, url};
use crate::wire::{self, Said};
use regia_testkit::lab::{Lab, Side};
use regia_testkit::nginx::Nginx;
use regia_testkit::proxy::Proxy;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const GOODBYES: [&str; 3] = ["FCUnpublish", "deleteStream", "closeStream"];

/// Ends in order, and looks at all that was ever sent: `proxies` in the order in which they were published through.
fn assert_only_the_stop_says_goodbye(
    fault: &str,
    mut on_air: OnAir,
    proxies: &[&Proxy],
    ingests: &mut [&mut Nginx],
) {
    let before: Vec<Vec<u8>> = proxies.iter().flat_map(|proxy| proxy.sent()).collect();
    let mut left = 0;
    for sent in &before {
        let said = wire::read(sent);
        let commands = wire::commands(&said);
        assert!(
            !commands.iter().any(|name| GOODBYES.contains(name)),
            "before the stop: {commands:?}"
        );
        left += usize::from(commands.contains(&"publish"));
    }
    assert_eq!(left, 2, "one connection was left and one carries on");
    on_air.assert_all_arrived(ingests);
    let mut ended = 0;
    for sent in proxies.iter().flat_map(|proxy| proxy.sent()) {
        let said = wire::read(&sent);
        let commands = wire::commands(&said);
        let goodbyes: Vec<&str> = commands
            .iter()
            .copied()
            .filter(|name| GOODBYES.contains(name))
            .collect();
        if goodbyes.is_empty() {
            continue;
        }
        ended += 1;
        assert_eq!(goodbyes, ["FCUnpublish", "deleteStream"]);
        let last: Vec<&Said> = said.iter().rev().take(3).collect();
        assert!(
            matches!(
                last[..],
                [Said::Command(_), Said::Command(_), Said::Media { .. }]
            ),
            "the goodbye comes behind the last unit: {last:?}"
        );
    }
    println!(
        "fault 12 ({fault}): of {} connections, {left} published, 1 was left without a word, {ended} ended by FCUnpublish and \
         deleteStream behind the last unit",
        proxies
            .iter()
            .map(|proxy| proxy.sent().len())
            .sum::<usize>()
    );
    assert_eq!(ended, 1, "the stop ended one connection in order");
}

#[test]
fn fault_12_after_a_killed_ingest() {
    let _turn = beside_others();
    let plan = Plan::new();
    let mut nginx = plan.nginx("ingest").start();
    let proxy = Proxy::start(nginx.addr());
    let server = format!("rtmp://{}/live", proxy.addr());
    let mut on_air = plan.destination("main", &server, "").start();
    on_air.settle("main");
    let mut watch = nginx.watch();
    nginx.kill();
    nginx.start();
    watch.wait_keyframe(PATIENCE).expect("publishing again");
    std::thread::sleep(Duration::from_secs(3));
    let status = on_air.status("main");
    assert_eq!(
        status["reconnects"], 1,
        "the fault did not happen: {status}"
    );
    assert_only_the_stop_says_goodbye("ingest killed", on_air, &[&proxy], &mut [&mut nginx]);
}

/// Proxies stand before the ingests, behind both gateways: what they see is what got through.
fn over_a_lost_way(carrier: bool) {
    let _turn = beside_others();
    let Some(lab) = Lab::or_skip("fault_12 over a lost way") else {
        return;
    };
    let plan = Plan::new().in_lab(&lab);
    let mut ingests = [0, 1].map(|number| {
        let behind = SocketAddr::new(IpAddr::V4(lab.ingests()[number]), 1936);
        plan.lab_nginx(&lab, number).rtmp(behind).start()
    });
    let proxies = [0, 1].map(|number| {
        let behind = ingests[number].addr();
        let before = SocketAddr::new(behind.ip(), 1935);
        lab.at_the_ingests(|| Proxy::start_at(before, behind))
    });
    let [primary, backup] = lab.ingests().map(|ip| url(&ip));
    let lines = format!("backup_server = {backup:?}\nuplinks = [\"fibre\", \"lte\"]");
    let mut on_air = plan.destination("main", &primary, &lines).start();
    on_air.settle("main");
    let mut watch = ingests[1].watch();
    if carrier {
        lab.unplug(Side::A);
    } else {
        lab.blackhole(Side::A);
    }
    watch
        .wait_keyframe(PATIENCE)
        .expect("the backup ingest takes over");
    // What the failover might say to the connection it leaves gets through again.
    std::thread::sleep(Duration::from_secs(2));
    if carrier {
        lab.plug_in(Side::A);
    } else {
        lab.end_blackhole(Side::A);
    }
    std::thread::sleep(Duration::from_secs(3));
    let status = on_air.status("main");
    assert_eq!(
        status["reconnects"], 1,
        "the fault did not happen: {status}"
    );
    let [first, second] = &mut ingests;
    assert_only_the_stop_says_goodbye(
        if carrier { "carrier lost" } else { "blackhole" },
        on_air,
        &[&proxies[0], &proxies[1]],
        &mut [first, second],
    );
}

#[test]
fn fault_12_after_a_lost_carrier() {
    over_a_lost_way(true);
}

#[test]
fn fault_12_after_a_blackhole() {
    over_a_lost_way(false);
}
