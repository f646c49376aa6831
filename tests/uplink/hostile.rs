//! Fault 16: servers that break the rules, each on real sockets, all at once beside a healthy destination: nobody panics, the healthy
//! one loses nothing, memory stays bounded, and what is wrong with each is told in words.

use crate::rig::{PATIENCE, Plan, alone, destination};
use crate::server::{Listen, Peer, Server, chunk, command, header, on_status, status};
use regia::rtmp::{Amf0Value, amf0};
use regia_testkit::certs::Authority;
use regia_testkit::usage;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const SET_CHUNK_SIZE: u8 = 1;
const ACKNOWLEDGEMENT: u8 = 3;
const USER_CONTROL: u8 = 4;
const COMMAND_AMF3: u8 = 17;
/// The receiver's own, which it has announced by then.
const CHUNK_SIZE: u32 = 4096;
const MUTANTS: usize = 10;
/// Memory that all hostile servers together may cost, with their connections, buffers and the window's hold.
const MEMORY: u64 = 100 << 20;
/// Damaged sessions, of all mutants together. (100,000 more are tried without sockets: src/rtmp/tests/mutations.rs.)
const MUTATIONS: usize = 200;
/// From the start: enough for every budget and backoff to be used up.
const SIEGE: Duration = Duration::from_secs(18);

enum Expected {
    /// It is noise: the broadcast goes on.
    OnAir,
    /// `status.error` has this in it at some time.
    Says(&'static str),
}

struct Enemy {
    id: String,
    server: Server,
    lines: String,
    tls: bool,
    expected: Option<Expected>,
}

fn enemy(id: &str, server: Server, expected: Expected) -> Enemy {
    Enemy {
        id: id.to_owned(),
        server,
        lines: String::new(),
        tls: false,
        expected: Some(expected),
    }
}

/// Takes the publish, and a moment later does `deed`; what comes after is read and thrown away.
fn on_air(deed: impl Fn(&mut Peer) + Send + Sync + 'static) -> Server {
    Server::start(&Listen::default(), move |peer| {
        if peer.accept_publish() && peer.take_for(Duration::from_millis(300)) {
            deed(peer);
            peer.take_all();
        }
    })
}

fn user_control(kind: u16, data: &[u8]) -> Vec<u8> {
    let mut payload = kind.to_be_bytes().to_vec();
    payload.extend_from_slice(data);
    chunk(2, USER_CONTROL, &payload)
}

fn ping() -> Vec<u8> {
    user_control(6, &[1, 2, 3, 4])
}

fn set_chunk_size(size: u32) -> Vec<u8> {
    chunk(2, SET_CHUNK_SIZE, &size.to_be_bytes())
}

/// The same message in chunks of one byte.
fn in_single_bytes(whole: &[u8]) -> Vec<u8> {
    let (header, payload) = whole.split_at(12);
    let mut bytes = header.to_vec();
    for (number, byte) in payload.iter().enumerate() {
        if number > 0 {
            bytes.push(0xc0 | header[0]);
        }
        bytes.push(*byte);
    }
    bytes
}

fn remark(text: &str) -> Vec<u8> {
    on_status(status("status", "NetStream.Remark", text))
}

fn reconnect_request(number: usize) -> Vec<u8> {
    // Nobody listens on the discard port.
    let info = Amf0Value::object([
        ("level", Amf0Value::string("status")),
        (
            "code",
            Amf0Value::string("NetConnection.Connect.ReconnectRequest"),
        ),
        ("description", Amf0Value::string("on and on")),
        (
            "tcUrl",
            Amf0Value::String(format!("rtmp://127.0.0.1:9/live{number}")),
        ),
    ]);
    on_status(info)
}

/// Everything that rml_rtmp's own readers fall over, and more that means nothing to a publisher.
fn noise() -> Vec<u8> {
    let interleaved = {
        let long = amf0::encode(&[
            Amf0Value::string("onBWDone"),
            Amf0Value::String("x".repeat(6000)),
        ]);
        let (a, b) = (header(8, 20, long.len()), header(9, 20, long.len()));
        let (start, rest) = long.split_at(CHUNK_SIZE as usize);
        [&a[..], start, &b, start, &[0xc8], rest, &[0xc9], rest].concat()
    };
    let nested = {
        let mut payload = amf0::encode(&[Amf0Value::string("onStatus"), Amf0Value::Number(0.0)]);
        payload.extend([3u8, 0, 1, b'a'].repeat(12_000));
        command(&payload)
    };
    [
        chunk(8, 99, b"what is this"),
        chunk(8, COMMAND_AMF3, b""),
        chunk(8, 20, b"\x02\0\x63cut"),
        chunk(8, 20, b""),
        chunk(2, USER_CONTROL, &[6]),
        user_control(5, &[0; 4]),
        user_control(26, &[0; 4]),
        user_control(33, &[0; 4]),
        command(&amf0::encode(&[Amf0Value::string("onFCPublish")])),
        command(&amf0::encode(&[
            Amf0Value::string("onStatus"),
            Amf0Value::Number(0.0),
        ])),
        command(&amf0::encode(&[
            Amf0Value::string("onBWDone"),
            Amf0Value::Number(0.0),
            Amf0Value::Date {
                unix_ms: 0.0,
                zone_min: 0,
            },
        ])),
        command(&amf0::encode(&[Amf0Value::String("x".repeat(70_000))])),
        // It says that it has read more than was ever sent.
        chunk(2, ACKNOWLEDGEMENT, &u32::MAX.to_be_bytes()),
        on_status(status("error", "NetStream.Record.Failed", "disk full")),
        interleaved,
        nested,
        ping(),
    ]
    .concat()
}

/// SplitMix64: a failing case can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }
}

/// A real session whose bytes are damaged at random, from another place on in each connection.
fn mutant(seed: u64) -> Server {
    Server::start(&Listen::default(), move |peer| {
        let mut random = Random(seed * 1000 + peer.number as u64);
        // The handshake is 3,073 bytes, and what follows up to the publish some 400.
        let mut whole = random.below(3_600);
        let until = Instant::now() + Duration::from_millis(400);
        while Instant::now() < until {
            let mut bytes = peer.receiver.take_output();
            if whole < 3_200 && random.below(4) == 0 {
                bytes.extend(ping());
            }
            let spared = whole.min(bytes.len());
            whole -= spared;
            for byte in &mut bytes[spared..] {
                match random.below(30) {
                    0 => *byte ^= 1 << random.below(8),
                    1 => *byte = random.below(256) as u8,
                    _ => {}
                }
            }
            if bytes.len() > spared && random.below(3) == 0 {
                bytes.truncate(spared + random.below(bytes.len() - spared));
            }
            if !peer.say(&bytes) || !peer.listen() {
                return;
            }
            if peer.wants_to_publish() {
                peer.receiver.accept_publish();
                let more = [noise(), remark("so far so good"), ping().repeat(20)].concat();
                whole += random.below(300);
                let at = random.below(more.len());
                let mut more = more[..at].to_vec();
                for _ in 0..=random.below(6) {
                    let at = random.below(more.len());
                    if let Some(byte) = more.get_mut(at) {
                        *byte = random.below(256) as u8;
                    }
                }
                if !peer.answer() || !peer.say(&more) {
                    return;
                }
            }
        }
    })
}

fn bare(answer: &'static [u8]) -> Server {
    Server::bare(move |_, stream| {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer);
        let _ = stream.write_all(answer);
        std::thread::sleep(Duration::from_millis(500));
    })
}

fn enemies(dir: &Path) -> Vec<Enemy> {
    use Expected::{OnAir, Says};
    let authority = Authority::new(dir);
    let leaf = authority.leaf(&["127.0.0.1"]);
    let trust = format!("tls_ca_file = {:?}", authority.ca);
    let says = |bytes: Vec<u8>| {
        on_air(move |peer| {
            peer.say(&bytes);
        })
    };
    let single_bytes = {
        let mut bytes = set_chunk_size(1);
        for _ in 0..20 {
            bytes.extend(in_single_bytes(&remark("a")));
        }
        bytes.extend(in_single_bytes(&set_chunk_size(CHUNK_SIZE)));
        bytes
    };
    let announced = [header(8, 20, 16_000_000), vec![0; 16_000_000]].concat();
    let mut all = vec![
        enemy("noise", says(noise()), OnAir),
        enemy("single-bytes", says(single_bytes), OnAir),
        enemy(
            "chunks-2-31",
            says(set_chunk_size(1 << 31)),
            Says("the server broke the RTMP protocol: the peer set its chunk size to 2147483648"),
        ),
        enemy(
            "chunks-0",
            says(set_chunk_size(0)),
            Says("the server broke the RTMP protocol: the peer set its chunk size to 0"),
        ),
        enemy(
            "sixteen-megabytes",
            says(announced),
            Says("the peer announced a message of 16000000 bytes"),
        ),
        enemy(
            "pings",
            on_air(|peer| {
                let flood = ping().repeat(2_000);
                while peer.say(&flood) && peer.take_for(Duration::from_millis(1)) {}
            }),
            OnAir,
        ),
        enemy(
            "pings-unread",
            on_air(|peer| {
                let flood = ping().repeat(2_000);
                while peer.say(&flood) {}
            }),
            Says("takes nothing of what is sent"),
        ),
        enemy(
            "remarks",
            on_air(|peer| {
                let flood = remark("listen to me").repeat(200);
                while peer.say(&flood) && peer.take_for(Duration::from_millis(1)) {}
            }),
            OnAir,
        ),
        enemy(
            "on-and-on",
            on_air(|peer| {
                let mut number = 0;
                while peer.say(&reconnect_request(number))
                    && peer.take_for(Duration::from_millis(5))
                {
                    number += 1;
                }
            }),
            OnAir,
        ),
        enemy(
            "web-server",
            bare(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Says("is this an RTMP server?"),
        ),
        enemy(
            "silent",
            Server::bare(|_, _| std::thread::sleep(Duration::from_secs(60))),
            Says("took the connection and says nothing"),
        ),
        enemy(
            "hangs-up",
            Server::bare(|_, _| {}),
            Says("the server closed the connection during the RTMP handshake"),
        ),
        enemy(
            "no-connect",
            Server::start(&Listen::default(), |peer| {
                peer.next();
            }),
            Says("the server closed the connection without answering `connect`"),
        ),
        enemy(
            "no-publish",
            Server::start(&Listen::default(), |peer| {
                peer.until_publish();
            }),
            Says("the server closed the connection without answering `publish`"),
        ),
        enemy(
            "mute",
            Server::start(&Listen::default(), |peer| {
                if peer.until_publish() {
                    peer.take_all();
                }
            }),
            Says("does not answer `publish`"),
        ),
        enemy(
            "taken",
            Server::start(&Listen::default(), |peer| {
                if peer.until_publish() {
                    peer.receiver
                        .reject_publish("NetStream.Publish.BadName", "somebody else is live");
                    peer.take_for(Duration::from_secs(2));
                }
            }),
            Says("somebody else is live (NetStream.Publish.BadName)"),
        ),
        enemy(
            "cut-off",
            on_air(|peer| {
                peer.take_for(Duration::from_secs(1));
                peer.hang_up();
            }),
            Says("the server closed the connection while on air"),
        ),
    ];
    all.push(Enemy {
        lines: trust.clone(),
        tls: true,
        // No close_notify, as many servers end TLS.
        ..enemy(
            "tls-cut-off",
            Server::start(&Listen::tls(&leaf), |peer| {
                if peer.accept_publish() {
                    peer.take_for(Duration::from_secs(1));
                }
            }),
            Says("the server closed the connection while on air"),
        )
    });
    all.push(Enemy {
        lines: trust,
        tls: true,
        ..enemy(
            "no-tls",
            bare(b"220 mail.example ESMTP\r\n"),
            Says("does this port speak RTMPS?"),
        )
    });
    for seed in 0..MUTANTS {
        all.push(Enemy {
            expected: None,
            ..enemy(&format!("mutant-{seed}"), mutant(seed as u64), OnAir)
        });
    }
    all
}

#[test]
fn fault_16_hostile_servers_beside_a_healthy_one() {
    let _alone = alone();
    let plan = Plan::new().window("hold_s = 8");
    let enemies = enemies(plan.dir.path());
    let mut nginx = plan.nginx("healthy").start();
    let healthy = nginx.rtmp_url();
    let mut plan = plan.destination("healthy", &healthy, "");
    for enemy in &enemies {
        let url = if enemy.tls {
            enemy.server.rtmps_url()
        } else {
            enemy.server.url()
        };
        plan = plan.destination(&enemy.id, &url, &enemy.lines);
    }
    let started = Instant::now();
    let mut on_air = plan.start();
    on_air.settle("healthy");
    let memory = usage::of(on_air.regia.process.pid()).rss;
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let mut last = Value::Null;
    while started.elapsed() < PATIENCE * 2 {
        last = on_air.regia.status().unwrap_or_default();
        let all_said = note(&last, &enemies, &mut said);
        if all_said && mutations(&enemies) >= MUTATIONS && started.elapsed() > SIEGE {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    for (id, text) in &said {
        println!("fault 16: {id}: {text}");
    }
    for enemy in &enemies {
        let state = destination(&last, &enemy.id).unwrap_or(&Value::Null);
        match enemy.expected {
            Some(Expected::Says(part)) => assert!(
                said.get(&enemy.id).is_some_and(|text| text.contains(part)),
                "{}: {part:?} was never said; {state}",
                enemy.id
            ),
            Some(Expected::OnAir) => {
                assert_eq!(state["state"], "on_air", "{}: {state}", enemy.id);
                assert_eq!(state["reconnects"], 0, "{}: {state}", enemy.id);
            }
            None => {}
        }
    }
    let mutations = mutations(&enemies);
    let peak = usage::of(on_air.regia.process.pid()).rss_peak;
    let status = on_air.status("healthy");
    let truth = on_air.assert_all_arrived(&mut [&mut nginx]);
    let log = on_air.regia.process.text();
    println!(
        "fault 16: {} hostile servers, {mutations} damaged sessions; the director's memory peaked at {} MB, {} MB above that of a \
         quiet moment; {} lines of log; the healthy destination: {} lost, reconnects {}, shed {} s",
        enemies.len(),
        peak >> 20,
        peak.saturating_sub(memory) >> 20,
        log.lines().count(),
        truth.lost(),
        status["reconnects"],
        status["shed_s"]
    );
    assert!(
        mutations >= MUTATIONS,
        "the fault did not happen: {mutations}"
    );
    assert!(
        !log.contains("panicked") && !log.contains("a fault of ours"),
        "{log}"
    );
    assert!(peak.saturating_sub(memory) < MEMORY, "{peak} bytes");
    assert!(log.lines().count() < 20_000, "a flood reached the log");
    assert_eq!(status["reconnects"], 0, "{status}");
    assert_eq!(status["shed_s"], 0.0, "{status}");
    assert_eq!(truth.video.repeated(), 0, "{truth}");
}

fn mutations(enemies: &[Enemy]) -> usize {
    let mutants = enemies
        .iter()
        .filter(|enemy| enemy.id.starts_with("mutant"));
    mutants.map(|enemy| enemy.server.accepted()).sum()
}

/// Keeps what each enemy is said to do wrong, the expected text rather than any other; true when all has been said.
fn note(status: &Value, enemies: &[Enemy], said: &mut BTreeMap<String, String>) -> bool {
    let mut all = true;
    for enemy in enemies {
        let Some(Expected::Says(part)) = enemy.expected else {
            continue;
        };
        if said.get(&enemy.id).is_some_and(|text| text.contains(part)) {
            continue;
        }
        match destination(status, &enemy.id).and_then(|to| to["error"].as_str()) {
            Some(error) => {
                all &= error.contains(part);
                said.insert(enemy.id.clone(), error.to_owned());
            }
            None => all = false,
        }
    }
    all
}
