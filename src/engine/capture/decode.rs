//! Whatever GStreamer can open by a URI, decoded.

use super::End;
use super::graph::Graph;
use crate::engine::elements::make;
use gstreamer as gst;
use gstreamer::prelude::*;

/// Adds a decoder of `uri` to the graph; `set_up` gets the element that reads it.
pub fn add(
    graph: &Graph,
    uri: &str,
    set_up: impl Fn(&gst::Element) + Send + Sync + 'static,
) -> Result<(), End> {
    let decoder = make("uridecodebin")?;
    decoder.set_property("uri", uri);
    decoder.connect("source-setup", false, move |values| {
        if let Some(source) = values.get(1).and_then(|v| v.get::<gst::Element>().ok()) {
            set_up(&source);
        }
        None
    });
    let tails = graph.tails().clone();
    decoder.connect_pad_added(move |_, pad| {
        if let Err(error) = tails.join(pad) {
            tails.fail(error.to_string());
        }
    });
    graph
        .pipeline
        .add(&decoder)
        .map_err(|e| End::Failed(e.to_string()))
}
