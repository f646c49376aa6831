//! Strangers while on air: whatever they send is refused with bounded memory, and not a frame is lost.

use crate::client::{Client, read_answer};
use crate::rig::{Ingest, Panel, alone, end, go_live};
use regia_testkit::usage;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const GUESSES: usize = 10_000;
const SLOW: usize = 1_000;
/// What the director may grow by, over all of it, in a debug build.
const GROWTH: u64 = 96 * 1024 * 1024;

/// The director's own memory: its engine is another process.
fn rss(pid: u32) -> u64 {
    usage::of(pid).rss
}

/// Guesses over one connection that is kept, as fast as it goes. How many were tried, and how many were put off.
fn guess(addr: SocketAddr, times: usize) -> (usize, usize) {
    let (mut wrong, mut put_off) = (0, 0);
    let body = r#"{"user":"admin","password":"not this password"}"#;
    let request = format!(
        "POST /api/v1/login HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut buffer = [0; 4_096];
    for _ in 0..times {
        stream.write_all(request.as_bytes()).unwrap();
        let read = stream.read(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..read]);
        match text.split(' ').nth(1) {
            Some("401") => wrong += 1,
            Some("429") => put_off += 1,
            other => panic!("{other:?}: {text}"),
        }
    }
    (wrong, put_off)
}

fn guesses(panel: &Panel) {
    let (began, addr) = (Instant::now(), panel.addr);
    let cpu = usage::of(panel.regia.process.pid()).cpu;
    let threads: Vec<_> = (0..8)
        .map(|_| std::thread::spawn(move || guess(addr, GUESSES / 8)))
        .collect();
    let mut sums = (0, 0);
    for thread in threads {
        let (wrong, put_off) = thread.join().unwrap();
        sums = (sums.0 + wrong, sums.1 + put_off);
    }
    let cpu = usage::of(panel.regia.process.pid()).cpu - cpu;
    eprintln!(
        "{GUESSES} wrong passwords in {:.1} s: {} tried, {} put off, {:.1} s of a core",
        began.elapsed().as_secs_f64(),
        sums.0,
        sums.1,
        cpu.as_secs_f64()
    );
    assert_eq!(sums.0 + sums.1, GUESSES);
    assert!(sums.0 <= 20, "{} were tried", sums.0);
    // Who has a session notices nothing.
    assert_eq!(panel.admin.get("/api/v1/me").status, 200);
}

fn slow_connections(panel: &Panel) {
    let mut slow = Vec::new();
    for n in 0..SLOW {
        let Ok(mut stream) = TcpStream::connect(panel.addr) else {
            continue;
        };
        // Some say nothing, some begin.
        let begin: &[u8] = if n % 2 == 0 {
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
        } else {
            b""
        };
        let _ = stream.write_all(begin);
        slow.push(stream);
    }
    eprintln!("{} slow connections", slow.len());
    assert!(slow.len() > SLOW * 9 / 10);
    for _ in 0..5 {
        // Nobody who asks for something waits for them.
        let began = Instant::now();
        assert_eq!(panel.admin.get("/api/v1/status").status, 200);
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{:?}",
            began.elapsed()
        );
        for stream in &mut slow {
            let _ = stream.write_all(b"x");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    // Those that have a place lose it.
    std::thread::sleep(Duration::from_secs(10));
    let mut open = 0;
    for stream in &mut slow {
        stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let mut answer = [0; 256];
        loop {
            match stream.read(&mut answer) {
                Ok(0) => break,
                // "408", or the like, and then the end.
                Ok(_) => {}
                Err(error) => {
                    open += usize::from(error.kind() == ErrorKind::WouldBlock);
                    break;
                }
            }
        }
    }
    assert_eq!(open, 0, "slow connections are still open");
}

/// A body of which as much is sent as is taken. None: it was cut off.
fn send_body(client: &Client, path: &str, head: &str, length: usize) -> Option<u16> {
    let mut stream = TcpStream::connect(client.addr).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut text = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{head}",
        client.addr
    );
    for (name, value) in &client.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    let _ = stream.write_all(text.as_bytes());
    let chunked = head.contains("chunked");
    let portion = vec![b' '; 64 * 1024];
    let mut sent = 0;
    while sent < length {
        let failed = if chunked {
            let chunk = [
                format!("{:x}\r\n", portion.len()).as_bytes(),
                &portion,
                b"\r\n",
            ]
            .concat();
            stream.write_all(&chunk).is_err()
        } else {
            stream.write_all(&portion).is_err()
        };
        if failed {
            break;
        }
        sent += portion.len();
    }
    read_answer(&mut stream).map(|answer| answer.status)
}

fn large_bodies(panel: &Panel) {
    const LARGE: usize = 100 * 1024 * 1024;
    let length = format!("Content-Length: {LARGE}\r\n");
    for client in [panel.stranger(), panel.admin.clone()] {
        for (path, head) in [
            ("/api/v1/login", length.as_str()),
            ("/api/v1/login", "Transfer-Encoding: chunked\r\n"),
            ("/api/v1/live/mark", length.as_str()),
            ("/api/v1/live/mark", "Transfer-Encoding: chunked\r\n"),
        ] {
            let status = send_body(&client, path, head, LARGE);
            assert!(
                matches!(status, None | Some(401 | 413)),
                "{path} {head}: {status:?}"
            );
        }
    }
    // The limit is told where it can be.
    let told = send_body(
        &panel.admin,
        "/api/v1/live/mark",
        "Content-Length: 2000000\r\n",
        0,
    );
    assert_eq!(told, Some(413));
}

fn header_bombs(panel: &Panel) {
    let many: String = (0..10_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "y".repeat(10_000_000));
    let path = "z".repeat(1_000_000);
    for request in [
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{many}\r\n"),
        format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{long}\r\n"),
        format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n"),
        "GET /healthz HTTP/9.9\r\n\r\n".to_owned(),
        format!(
            "GET /healthz HTTP/1.1\r\nHost: x\r\nCookie: regia={}\r\n\r\n",
            "c".repeat(60_000)
        ),
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n".repeat(1_000),
    ] {
        let answer = panel.stranger().raw(request.as_bytes());
        let status = answer.map(|answer| answer.status);
        assert!(
            matches!(status, None | Some(400 | 414 | 431 | 505)),
            "{status:?}"
        );
    }
}

/// A viewer and a client of events that read nothing.
fn deaf_sockets(panel: &Panel) -> Vec<tungstenite::WebSocket<TcpStream>> {
    let mut deaf = Vec::new();
    for _ in 0..10 {
        deaf.push(panel.admin.socket("/api/v1/preview/programme.flv").unwrap());
        deaf.push(panel.admin.socket("/api/v1/events").unwrap());
    }
    deaf
}

type Attack = fn(&Panel);

#[test]
fn strangers_cost_a_broadcast_nothing() {
    let _alone = alone();
    let mut ingest = Ingest::start();
    let mut panel = Panel::start(&ingest.destination("show"));
    go_live(&mut panel);
    let pid = panel.regia.process.pid();
    std::thread::sleep(Duration::from_secs(2));
    let before = rss(pid);
    let mut most = before;
    let deaf = deaf_sockets(&panel);
    let attacks: [(&str, Attack); 4] = [
        ("wrong passwords", guesses),
        ("slow connections", slow_connections),
        ("large bodies", large_bodies),
        ("header bombs", header_bombs),
    ];
    for (name, attack) in attacks {
        attack(&panel);
        let now = rss(pid);
        most = most.max(now);
        eprintln!("after {name}: {} MiB", now / 1024 / 1024);
    }
    drop(deaf);
    assert!(most < before + GROWTH, "from {before} to {most} bytes");
    let status = panel.regia.status().unwrap();
    assert_eq!(status["state"], "ON AIR", "{status}");
    assert_eq!(status["destinations"][0]["shed_units"], 0, "{status}");
    end(&mut panel);
    // Frames that a busy machine's engine left out were never made; what was made arrived.
    let report = ingest.report();
    eprintln!("the ingest: {}", report["verdict"]);
    let log = panel.admin.get("/api/v1/log").json();
    let entries = log.as_array().unwrap();
    let ended = entries
        .iter()
        .find(|entry| entry["event"] == "destination_ended")
        .unwrap();
    assert_eq!(ended["totals"]["shed_units"], 0, "{ended}");
    assert_eq!(ended["totals"]["reconnects"], 0, "{ended}");
    assert_eq!(ended["totals"]["undelivered_s"], 0.0, "{ended}");
    assert_eq!(
        report["streams"][0]["publishes"].as_array().unwrap().len(),
        1
    );
}
