//! The `decklink` source: a capture card of Blackmagic's, picture and sound. Its driver is the maker's, and has to be there.

use super::graph::{Captured, Graph, Patience};
use super::{Capture, End};
use crate::engine::elements::{make, set};
use gstreamer as gst;
use gstreamer::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Patience = Patience::new(Duration::from_secs(4), Duration::from_millis(1_500));
/// Made by the driver.
const DEVICES: &str = "/dev/blackmagic";

pub fn run(capture: &Capture, device: u32, mode: &str) -> End {
    if !Path::new(DEVICES).exists() {
        return End::Failed(format!(
            "DeckLink card {device}: its driver is not installed or finds no card ({DEVICES} is not there): install Desktop \
             Video from blackmagicdesign.com/support, and restart"
        ));
    }
    match play(capture, device, mode) {
        Ok(End::Failed(text)) | Err(End::Failed(text)) => {
            End::Failed(format!("DeckLink card {device}: {text}"))
        }
        Ok(end) | Err(end) => end,
    }
}

fn play(capture: &Capture, device: u32, mode: &str) -> Result<End, End> {
    let base = capture.clock.now();
    let placement = Captured {
        base,
        delay: Duration::ZERO,
    };
    let graph = Graph::new(capture, base, Arc::new(placement));
    let video = make("decklinkvideosrc")?;
    set_number(&video, device)?;
    if !set(&video, "mode", mode) {
        return Err(End::Failed(format!(
            "this version of GStreamer knows no mode {mode:?}; `gst-inspect-1.0 decklinkvideosrc` lists them"
        )));
    }
    // Without a signal the card gives black frames: no picture is what they are.
    set(&video, "drop-no-signal-frames", "true");
    let mut chains = Vec::new();
    // The card gives no sound without its picture.
    if capture.feed.picture {
        let mut chain = vec![video];
        chain.extend(graph.tails().video_tail()?);
        chains.push(chain);
    } else {
        let sink = make("fakesink")?;
        set(&sink, "sync", "false");
        chains.push(vec![video, sink]);
    }
    if capture.feed.sound {
        let audio = make("decklinkaudiosrc")?;
        set_number(&audio, device)?;
        let mut chain = vec![audio];
        chain.extend(graph.tails().audio_tail()?);
        chains.push(chain);
    }
    for chain in &chains {
        graph
            .pipeline
            .add_many(chain)
            .and_then(|()| gst::Element::link_many(chain))
            .map_err(|e| End::Failed(e.to_string()))?;
    }
    graph.play()?;
    let end = graph.watch(capture, PATIENCE, |_| Some(End::Failed("it ended".into())));
    Ok(match end {
        End::Failed(text) if text.starts_with("it gave nothing") => End::Failed(format!(
            "{text}: is there a signal at its input, and is it of the mode {mode:?}?"
        )),
        end => end,
    })
}

fn set_number(element: &gst::Element, device: u32) -> Result<(), End> {
    match set(element, "device-number", &device.to_string()) {
        true => Ok(()),
        false => Err(End::Failed(
            "this version of GStreamer can't choose a card".into(),
        )),
    }
}
