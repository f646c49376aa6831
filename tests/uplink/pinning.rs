//! Fault 13: nothing of the programme, and no name, leaves by an uplink that is not its way.

use crate::rig::{Plan, beside_others};
use regia_testkit::lab::{Counters, Lab, Side};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WATCHED: Duration = Duration::from_secs(30);
const NAME: &str = "ingest.test";

/// A name server in the ingests' network: gives every A question the same answer and notes who asked.
fn name_server(lab: &Lab, at: Ipv4Addr, answer: Ipv4Addr) -> Arc<Mutex<Vec<SocketAddr>>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let socket = lab.at_the_ingests(|| UdpSocket::bind((at, 53)).expect("a network of our own"));
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a time above zero");
    let noted = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut question = [0; 512];
        // For as long as the test wants to know who asked.
        while Arc::strong_count(&noted) > 1 {
            let Ok((len, from)) = socket.recv_from(&mut question) else {
                continue;
            };
            noted.lock().unwrap().push(from);
            let _ = socket.send_to(&reply(&question[..len], answer), from);
        }
    });
    asked
}

/// RFC 1035: the question as it came, and one address if it was asked for one (QTYPE 1).
fn reply(question: &[u8], answer: Ipv4Addr) -> Vec<u8> {
    let mut end = 12;
    while question[end] != 0 {
        end += usize::from(question[end]) + 1;
    }
    let wants_address = question[end + 1..end + 3] == [0, 1];
    let mut reply = question[..end + 5].to_vec();
    // An answer, recursion available, no error; one question, one answer or none, nothing else.
    reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(wants_address), 0, 0, 0, 0]);
    if wants_address {
        // The name at offset 12, class IN, for 60 s.
        reply.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend_from_slice(&answer.octets());
    }
    reply
}

fn since(after: Counters, before: Counters) -> Counters {
    Counters {
        sent_packets: after.sent_packets - before.sent_packets,
        sent_bytes: after.sent_bytes - before.sent_bytes,
        received_packets: after.received_packets - before.received_packets,
        received_bytes: after.received_bytes - before.received_bytes,
    }
}

#[test]
fn fault_13_one_uplink_preferred_the_other_only_stands_by() {
    let _turn = beside_others();
    let Some(lab) = Lab::or_skip("fault_13_one_uplink_preferred_the_other_only_stands_by") else {
        return;
    };
    let [primary, backup] = lab.ingests();
    let asked = [
        name_server(&lab, primary, primary),
        name_server(&lab, backup, backup),
    ];
    let plan = Plan::new().in_lab_with(
        &lab,
        [
            format!("dns = [\"{primary}\"]"),
            format!("dns = [\"{backup}\"]\nmetered = true"),
        ],
    );
    let mut ingests = [0, 1].map(|number| plan.lab_nginx(&lab, number).start());
    let server = format!("rtmp://{NAME}:1935/live");
    let lines = "uplinks = [\"fibre\", \"lte\"]";
    let start = lab.counters(Side::B);
    let mut on_air = plan.destination("main", &server, lines).start();
    let status = on_air.settle("main");
    assert_eq!(status["uplink"], "fibre", "{status}");
    assert!(
        status["standby"].is_string(),
        "there is a standby: {status}"
    );
    let settled = [Side::A, Side::B].map(|side| lab.counters(side));
    std::thread::sleep(WATCHED);
    let watched = [Side::A, Side::B].map(|side| lab.counters(side));
    let [fibre, lte] = [0, 1].map(|side| since(watched[side], settled[side]));
    let handshake = since(settled[1], start);
    println!(
        "fault 13: in {WATCHED:?} fibre sent {} bytes in {} packets; the metered standby sent {} bytes in {} packets and \
         received {} in {}: {:.3} kb/s; its handshake took {} bytes sent and {} received, names included",
        fibre.sent_bytes,
        fibre.sent_packets,
        lte.sent_bytes,
        lte.sent_packets,
        lte.received_bytes,
        lte.received_packets,
        (lte.sent_bytes + lte.received_bytes) as f64 * 8.0 / 1000.0 / WATCHED.as_secs_f64(),
        handshake.sent_bytes,
        handshake.received_bytes,
    );
    let status = on_air.status("main");
    assert_eq!(status["uplink"], "fibre", "{status}");
    assert!(status["standby"].is_string(), "{status}");
    assert!(fibre.sent_bytes > 5_000_000, "the programme: {fibre:?}");
    // A keep-alive each 5 s is two packets, and an address is asked for (ARP) now and then: nothing else.
    assert!(lte.sent_packets <= 30 && lte.sent_bytes <= 3_000, "{lte:?}");
    assert!(handshake.sent_bytes <= 12_000, "{handshake:?}");

    let sources = asked.map(|asked| {
        let mut from: Vec<_> = asked.lock().unwrap().iter().map(SocketAddr::ip).collect();
        from.sort();
        from.dedup();
        from.iter().map(ToString::to_string).collect::<Vec<_>>()
    });
    println!(
        "fault 13: fibre's name server was asked from {:?}, lte's from {:?}",
        sources[0], sources[1]
    );
    assert_eq!(sources, [["198.18.1.2"], ["198.18.2.2"]]);
    let [first, second] = &mut ingests;
    let truth = on_air.assert_all_arrived(&mut [first]);
    assert_eq!(truth.video.repeated(), 0);
    assert_eq!(
        second.finish().len(),
        0,
        "nothing was published at the backup"
    );
}
