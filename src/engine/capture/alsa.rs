//! The `alsa` source: sound only; its picture is its slate.

use super::graph::{Captured, Graph, Patience};
use super::{Capture, End};
use crate::engine::elements::make;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Patience = Patience {
    at_start: Duration::from_secs(2),
    later: Duration::from_secs(1),
};
/// The device's periods, in µs: sound arrives this late.
const PERIOD_US: i64 = 10_000;
const BUFFER_US: i64 = 100_000;

pub fn run(capture: &Capture, device: &str) -> End {
    match play(capture, device) {
        Ok(end) | Err(end) => end,
    }
}

fn play(capture: &Capture, device: &str) -> Result<End, End> {
    let base = capture.clock.now();
    let placement = Captured {
        base,
        delay: Duration::ZERO,
    };
    let graph = Graph::new(capture, base, Arc::new(placement));
    let source = make("alsasrc")?;
    source.set_property("device", device);
    source.set_property("latency-time", PERIOD_US);
    source.set_property("buffer-time", BUFFER_US);
    // The engine's clock rules; the card's drift against it is taken up where the timestamps say so.
    source.set_property("provide-clock", false);
    let mut chain = vec![source];
    chain.extend(graph.tails().audio_tail()?);
    graph
        .pipeline
        .add_many(&chain)
        .and_then(|()| gst::Element::link_many(&chain))
        .map_err(|e| End::Failed(e.to_string()))?;
    let place = |end| match end {
        End::Failed(text) => End::Failed(format!(
            "{device}: {text} (`regia doctor` lists the sound cards there are)"
        )),
        end => end,
    };
    graph.play().map_err(place)?;
    Ok(place(graph.watch(capture, PATIENCE, |_| {
        Some(End::Failed("it ended".into()))
    })))
}
