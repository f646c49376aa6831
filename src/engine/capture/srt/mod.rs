//! The `srt` source: an encoder that sends MPEG-TS over SRT, called by us or calling.

mod returned;

use super::address::redact;
use super::graph::{Anchored, Graph, Patience};
use super::{Capture, End, decode};
use crate::config::{SourceKind, SrtMode};
use crate::engine::elements::set;
use crate::engine::stop::Stop;
use gstreamer as gst;
use gstreamer::prelude::*;
use returned::LastPacket;
use std::sync::Arc;
use std::time::Duration;

/// SRT has taken up what the network does; this is for the way through demultiplexer and decoder on a machine under load.
const DELAY: Duration = Duration::from_millis(100);
/// A call lasts up to 3 s (SRTO_CONNTIMEO), and the encoder's next keyframe may be some seconds away.
const CALLER: Patience = Patience {
    at_start: Duration::from_secs(6),
    quiet: QUIET,
    later: LATER,
};
/// Who calls us may take all day. One that was started anew calls anew, and while its dead connection is kept, for 5 s, srtsrc reads
/// no other: it would take the call, and then end it with the dead one. So this is the longest that a cut network may last without
/// a new call.
const LISTENER: Patience = Patience {
    at_start: Duration::from_secs(24 * 3_600),
    quiet: QUIET,
    later: Duration::from_secs(2),
};
const QUIET: Duration = Duration::from_millis(1_200);
/// How soon srtsrc sees that it is to end, in ms.
const POLL_MS: u32 = 100;
/// SRT gives a connection up after 5 s (SRTO_PEERIDLETIMEO); until then the stream goes on as soon as the network does.
const LATER: Duration = Duration::from_secs(8);

pub fn run(capture: &Capture, kind: &SourceKind) -> End {
    let SourceKind::Srt {
        mode,
        host,
        port,
        stream_id,
        latency_ms,
        passphrase_file,
    } = kind
    else {
        return End::Failed("it is not an SRT source".into());
    };
    let passphrase = match passphrase_file
        .as_ref()
        .map(std::fs::read_to_string)
        .transpose()
    {
        Ok(passphrase) => passphrase.map(|text| text.trim().to_owned()),
        Err(error) => return End::Failed(format!("its passphrase can't be read: {error}")),
    };
    let address = format!("srt://{host}:{port}");
    let (mode_word, patience) = match mode {
        SrtMode::Caller => ("caller", CALLER),
        SrtMode::Listener => ("listener", LISTENER),
    };
    let properties = Properties {
        stream_id: stream_id.clone(),
        latency_ms: *latency_ms,
        passphrase,
    };
    if *mode == SrtMode::Listener {
        capture.report_lost(format!("nobody has called yet at UDP port {port}"));
    }
    let uri = format!("{address}?mode={mode_word}");
    let called = match mode {
        SrtMode::Caller => Some((host.as_str(), *port)),
        SrtMode::Listener => None,
    };
    match play(capture, &uri, properties, patience, called) {
        Ok(End::Failed(text)) | Err(End::Failed(text)) => {
            let text = redact(&uri, &text);
            End::Failed(format!("{address}: {text}"))
        }
        Ok(end) | Err(end) => end,
    }
}

struct Properties {
    stream_id: Option<String>,
    latency_ms: u32,
    passphrase: Option<String>,
}

fn play(
    capture: &Capture,
    uri: &str,
    properties: Properties,
    patience: Patience,
    called: Option<(&str, u16)>,
) -> Result<End, End> {
    let latency = Duration::from_millis(properties.latency_ms.into());
    let placement = Anchored::new(&capture.clock, DELAY);
    let graph = Graph::new(capture, capture.clock.now(), Arc::new(placement));
    let last = LastPacket::default();
    let (packets, clock) = (last.clone(), capture.clock.clone());
    decode::add(&graph, uri, move |source| {
        set(source, "latency", &properties.latency_ms.to_string());
        set(source, "poll-timeout", &POLL_MS.to_string());
        // A stream that begins anew in the middle of a pipeline has other times; a new pipeline is ready as soon.
        set(source, "auto-reconnect", "false");
        if let Some(id) = &properties.stream_id {
            set(source, "streamid", id);
        }
        if let Some(passphrase) = &properties.passphrase {
            set(source, "passphrase", passphrase);
        }
        if let Some(pad) = source.static_pad("src") {
            let (packets, clock) = (packets.clone(), clock.clone());
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                packets.seen(clock.now());
                gst::PadProbeReturn::Ok
            });
        }
    })?;
    graph.play()?;
    let over = Stop::default();
    if let Some((host, port)) = called {
        let (over, clock, host) = (over.clone(), capture.clock.clone(), host.to_owned());
        let tails = graph.tails().clone();
        let asking = std::thread::Builder::new()
            .name(format!("asks {}", capture.source.id))
            .spawn(move || {
                if returned::wait((&host, port), &clock, &last, latency, &over) {
                    tails.fail("the encoder was started anew".into());
                }
            });
        if let Err(error) = asking {
            // SRT gives the connection up by itself then.
            tracing::warn!(
                source = capture.source.id,
                "no thread to ask who is there: {error}"
            );
        }
    }
    let end = graph.watch(capture, patience, |_| {
        Some(End::Failed("the other side ended the stream".into()))
    });
    over.set();
    Ok(end)
}
