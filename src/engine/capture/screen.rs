//! The `screen` source: what an X11 display shows. No sound.

use super::graph::{Captured, Graph, Patience};
use super::{Capture, End};
use crate::engine::elements::{make, set};
use crate::engine::encode::caps_filter;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Patience = Patience::new(Duration::from_secs(4), Duration::from_secs(2));
/// Fetching a large screen takes a while.
const DELAY: Duration = Duration::from_millis(40);

pub fn run(capture: &Capture, display: &str, pointer: bool) -> End {
    match play(capture, display, pointer) {
        Ok(End::Failed(text)) | Err(End::Failed(text)) => End::Failed(format!(
            "display {display}: {text} (does X run there, and may the user that Regia runs as see it? `xhost` says who may)"
        )),
        Ok(end) | Err(end) => end,
    }
}

fn play(capture: &Capture, display: &str, pointer: bool) -> Result<End, End> {
    let base = capture.clock.now();
    let placement = Captured { base, delay: DELAY };
    let graph = Graph::new(capture, base, Arc::new(placement));
    let source = make("ximagesrc")?;
    source.set_property("display-name", display);
    set(
        &source,
        "show-pointer",
        if pointer { "true" } else { "false" },
    );
    // Pieces of the picture are asked for one by one otherwise, which takes longer than the whole.
    set(&source, "use-damage", "false");
    let fps = capture.format.fps;
    let rate = gst::Fraction::new(
        i32::try_from(fps.num).unwrap_or(i32::MAX),
        i32::try_from(fps.den).unwrap_or(i32::MAX),
    );
    let wanted = gst::Caps::builder("video/x-raw")
        .field("framerate", rate)
        .build();
    let mut chain = vec![source, caps_filter(&wanted)?];
    chain.extend(graph.tails().video_tail()?);
    graph
        .pipeline
        .add_many(&chain)
        .and_then(|()| gst::Element::link_many(&chain))
        .map_err(|e| End::Failed(e.to_string()))?;
    graph.play()?;
    Ok(graph.watch(capture, PATIENCE, |_| Some(End::Failed("it ended".into()))))
}
