//! The `rtsp` source: a network camera, over TCP.

use super::address::{redact, shown};
use super::graph::{Captured, Graph, Patience};
use super::{Capture, End, decode};
use crate::engine::elements::set;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

/// What the jitter buffer waits for late packets. Over TCP there are none, but some that are held up.
const JITTER_MS: u64 = 100;
/// The jitter buffer, and the way through depacketiser and decoder on a machine under load: pictures and sound
/// are shown so long after the camera took them, and so arrive before they are due.
const DELAY: Duration = Duration::from_millis(JITTER_MS + 100);
/// A camera may take some seconds to its first keyframe.
const PATIENCE: Patience = Patience::new(Duration::from_secs(6), Duration::from_secs(2));
const CONNECT_LIMIT_US: u64 = 5_000_000;
/// A SYN that is lost is sent again after 1, 3 and 7 s: too late for a network that comes back in between.
const DIAL_LIMIT: Duration = Duration::from_millis(800);
const DIAL_AGAIN: Duration = Duration::from_millis(200);
/// So often a camera is looked for before it is left to rtspsrc, which waits longer: it may be far away.
const DIALS: u32 = 10;
const PORT: u16 = 554;
const PORT_TLS: u16 = 322;

pub fn run(capture: &Capture, url: &str) -> End {
    let failed = |text: &str| format!("{}: {}", shown(url), redact(url, text));
    for _ in 0..DIALS {
        match dial(url) {
            Ok(()) => break,
            Err(text) => capture.report_lost(failed(&text)),
        }
        if capture.stop.wait(DIAL_AGAIN) {
            return End::Stopped;
        }
    }
    match play(capture, url) {
        Ok(End::Failed(text)) | Err(End::Failed(text)) => End::Failed(failed(&text)),
        Ok(end) | Err(end) => end,
    }
}

/// Whether there is anything at the camera's address.
fn dial(url: &str) -> Result<(), String> {
    let parsed = url::Url::parse(url).map_err(|e| e.to_string())?;
    let host = parsed
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']']);
    let port = parsed.port().unwrap_or(match parsed.scheme() {
        "rtsps" => PORT_TLS,
        _ => PORT,
    });
    let addresses = (host, port).to_socket_addrs();
    let addresses = addresses.map_err(|error| format!("its name can't be resolved: {error}"))?;
    let mut told = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, DIAL_LIMIT) {
            Ok(_) => return Ok(()),
            Err(error) => told = format!("it can't be reached: {error}"),
        }
    }
    Err(told)
}

fn play(capture: &Capture, url: &str) -> Result<End, End> {
    let base = capture.clock.now();
    let graph = Graph::new(capture, base, Arc::new(Captured { base, delay: DELAY }));
    decode::add(&graph, url, |source| {
        set(source, "protocols", "tcp");
        set(source, "latency", &JITTER_MS.to_string());
        set(source, "tcp-timeout", &CONNECT_LIMIT_US.to_string());
    })?;
    graph.play()?;
    Ok(graph.watch(capture, PATIENCE, |_| {
        Some(End::Failed("the camera ended the stream".into()))
    }))
}
