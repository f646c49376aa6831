//! `mptcp = true`: used where the server has it, and without anybody's help not used where the server or this machine has not.

use crate::rig::{Plan, beside_others, url};
use crate::server::{Listen, Peer, Server, recorded};
use regia_testkit::lab::Lab;
use std::net::SocketAddr;
use std::time::Duration;

const LINES: &str = "mptcp = true\nuplinks = [\"fibre\"]";

fn counter(lab: &Lab, name: &str) -> u64 {
    lab.box_counter(name).unwrap_or(0)
}

#[test]
fn mptcp_falls_back_by_itself() {
    let _turn = beside_others();
    let Some(lab) = Lab::or_skip("mptcp_falls_back_by_itself") else {
        return;
    };
    for kernel_has_it in [true, false] {
        lab.set_in_box("net/mptcp/enabled", if kernel_has_it { "1" } else { "0" });
        let before = counter(&lab, "MPCapableSYNTX");
        let plan = Plan::new().in_lab(&lab);
        let mut nginx = plan.lab_nginx(&lab, 0).start();
        let server = url(&lab.ingests()[0]);
        let mut on_air = plan.destination("main", &server, LINES).start();
        on_air.settle("main");
        let tried = counter(&lab, "MPCapableSYNTX") - before;
        println!(
            "mptcp: on air with a server that has none, this kernel has it: {kernel_has_it}; asked for {tried} times, answered {} \
             times by plain TCP",
            counter(&lab, "MPCapableFallbackSYNACK")
        );
        assert_eq!(tried > 0, kernel_has_it);
        on_air.assert_all_arrived(&mut [&mut nginx]);
    }
}

#[test]
fn mptcp_is_used_where_the_server_has_it() {
    let _turn = beside_others();
    let Some(lab) = Lab::or_skip("mptcp_is_used_where_the_server_has_it") else {
        return;
    };
    let plan = Plan::new().in_lab(&lab);
    let dir = plan.dir.path().join("arrived");
    std::fs::create_dir(&dir).unwrap();
    let arrived = dir.clone();
    let listen = Listen::at(SocketAddr::from((lab.ingests()[0], 1935))).mptcp();
    let _server = lab.at_the_ingests(|| {
        Server::start(&listen, move |peer: &mut Peer| {
            peer.record_to(&arrived.join(format!("{}.flv", peer.number)));
            if peer.accept_publish() {
                peer.take_for(Duration::from_secs(600));
            }
        })
    });
    let server = url(&lab.ingests()[0]);
    let mut on_air = plan.destination("main", &server, LINES).start();
    let status = on_air.settle("main");
    assert!(counter(&lab, "MPCapableSYNACKRX") > 0, "{status}");
    println!(
        "mptcp: on air with a server that has it, {} connections agreed on it; round trip {}",
        counter(&lab, "MPCapableSYNACKRX"),
        status["rtt_ms"]
    );
    on_air.truth_of(|| recorded(&dir)).assert_nothing_lost();
}
