//! The `v4l2` source: a camera or a capture card of the kernel's.

use super::graph::{Captured, Graph, Patience};
use super::{Capture, End};
use crate::engine::elements::make;
use crate::engine::encode::caps_filter;
use crate::engine::format::Format;
use gstreamer as gst;
use gstreamer::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Cameras take a second or two to begin.
const PATIENCE: Patience = Patience::new(Duration::from_secs(4), Duration::from_millis(1_500));

pub fn run(capture: &Capture, device: &Path) -> End {
    match play(capture, device) {
        Ok(end) | Err(end) => end,
    }
}

fn play(capture: &Capture, device: &Path) -> Result<End, End> {
    if !device.exists() {
        return Err(End::Failed(format!(
            "there is no {}: `regia doctor` lists the cameras there are",
            device.display()
        )));
    }
    let base = capture.clock.now();
    let placement = Captured {
        base,
        delay: Duration::ZERO,
    };
    let graph = Graph::new(capture, base, Arc::new(placement));
    let source = make("v4l2src")?;
    source.set_property("device", device.to_string_lossy().as_ref());
    let filter = caps_filter(&wanted(&capture.format))?;
    let decoder = make("decodebin")?;
    let tails = graph.tails().clone();
    decoder.connect_pad_added(move |_, pad| {
        if let Err(error) = tails.join(pad) {
            tails.fail(error.to_string());
        }
    });
    let chain = [source, filter, decoder];
    graph
        .pipeline
        .add_many(&chain)
        .and_then(|()| gst::Element::link_many(&chain))
        .map_err(|e| End::Failed(e.to_string()))?;
    let place = |end| match end {
        End::Failed(text) => End::Failed(format!("{}: {text}", device.display())),
        end => end,
    };
    graph.play().map_err(place)?;
    Ok(place(graph.watch(capture, PATIENCE, |_| {
        Some(End::Failed("it ended".into()))
    })))
}

/// What to ask the camera for, best first: the programme's own size at half its rate or more, raw, then
/// compressed (USB 2 carries 1080p only so); then anything.
fn wanted(format: &Format) -> gst::Caps {
    let size = |name: &str| {
        let half = gst::Fraction::new(
            i32::try_from(format.fps.num).unwrap_or(i32::MAX),
            i32::try_from(format.fps.den.saturating_mul(2)).unwrap_or(i32::MAX),
        );
        gst::Structure::builder(name)
            .field("width", i32::try_from(format.width).unwrap_or(i32::MAX))
            .field("height", i32::try_from(format.height).unwrap_or(i32::MAX))
            .field(
                "framerate",
                gst::FractionRange::new(half, gst::Fraction::new(120, 1)),
            )
            .build()
    };
    let any = |name: &str| gst::Structure::new_empty(name);
    let kinds = ["video/x-raw", "image/jpeg", "video/x-h264"];
    let mut caps = gst::Caps::new_empty();
    if let Some(caps) = caps.get_mut() {
        kinds.iter().for_each(|k| caps.append_structure(size(k)));
        kinds.iter().for_each(|k| caps.append_structure(any(k)));
    }
    caps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;

    #[test]
    fn the_programmes_own_size_is_asked_for_first() {
        gst::init().unwrap();
        let format = Format {
            width: 1920,
            height: 1080,
            fps: FrameRate { num: 30, den: 1 },
            sample_rate: 48_000,
        };
        assert_eq!(
            wanted(&format).to_string(),
            "video/x-raw, width=(int)1920, height=(int)1080, framerate=(fraction)[ 15/1, 120/1 ]; \
             image/jpeg, width=(int)1920, height=(int)1080, framerate=(fraction)[ 15/1, 120/1 ]; \
             video/x-h264, width=(int)1920, height=(int)1080, framerate=(fraction)[ 15/1, 120/1 ]; \
             video/x-raw; image/jpeg; video/x-h264"
        );
    }
}
