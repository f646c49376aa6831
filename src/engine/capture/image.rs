//! The `image` source: one picture, decoded once and shown for good. Slates are read the same way.

use super::{Capture, End, dimensions, readable};
use crate::engine::elements::make;
use crate::engine::encode::caps_filter;
use crate::engine::error::EngineError;
use crate::engine::format::{Format, Frame};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

const TIME_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(10);
/// As it is decoded, and a small box has few GB for everything.
const BYTES_PER_PIXEL: u64 = 4;
const MOST_BYTES: u64 = 500_000_000;
const AHEAD: Duration = Duration::from_millis(10);

pub fn run(capture: &Capture, path: &Path) -> End {
    let frame = match decode(path, &capture.format) {
        Ok(frame) => Frame::opaque(frame),
        Err(text) => return End::Failed(text),
    };
    capture.report_live();
    let fps = capture.format.fps;
    let mut next = fps.frame_at(capture.clock.now()) + 1;
    loop {
        let now = capture.clock.now();
        if capture.stop.wait((fps.frame_time(next) - AHEAD).since(now)) {
            return End::Stopped;
        }
        if capture.feed.picture
            && capture
                .feed
                .video(fps.frame_time(next), frame.clone())
                .is_err()
        {
            return End::Stopped;
        }
        next = (next + 1).max(fps.frame_at(now));
    }
}

/// The picture as a frame of the programme, its aspect kept.
pub fn decode(path: &Path, format: &Format) -> Result<gst::Buffer, String> {
    readable(path)?;
    let unusable = |text: String| format!("{} can't be shown: {text}", path.display());
    if let Some((width, height)) = size_of(path)
        && u64::from(width) * u64::from(height) * BYTES_PER_PIXEL > MOST_BYTES
    {
        let gb = f64::from(width) * f64::from(height) * BYTES_PER_PIXEL as f64 / 1e9;
        return Err(unusable(format!(
            "its {width}x{height} pixels would take {gb:.1} GB of memory; scale it down: the programme has {}x{}",
            format.width, format.height
        )));
    }
    let absolute = std::path::absolute(path).map_err(|e| unusable(e.to_string()))?;
    let uri = glib::filename_to_uri(&absolute, None).map_err(|e| unusable(e.to_string()))?;
    let pipeline = gst::Pipeline::new();
    let result = first_frame(&pipeline, &uri, format).map_err(unusable);
    // Nothing of it is used any more, whether it stops or not.
    let _ = pipeline.set_state(gst::State::Null);
    result
}

/// What its first bytes say; None: nothing that is known here.
fn size_of(path: &Path) -> Option<(u32, u32)> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(dimensions::HEAD).read_to_end(&mut head).ok()?;
    dimensions::of(&head)
}

fn first_frame(
    pipeline: &gst::Pipeline,
    uri: &str,
    format: &Format,
) -> Result<gst::Buffer, String> {
    let sink = build(pipeline, uri, format).map_err(|e| e.to_string())?;
    let bus = pipeline.bus().ok_or("its pipeline has no bus")?;
    let reason = || match bus.pop_filtered(&[gst::MessageType::Error]) {
        Some(message) => match message.view() {
            gst::MessageView::Error(error) => error.error().to_string(),
            _ => String::new(),
        },
        None => "it has no picture".to_owned(),
    };
    pipeline
        .set_state(gst::State::Paused)
        .map_err(|_| reason())?;
    // An error or a file without a picture ends the wait at once; only a picture fills the sink.
    let outcome = bus.timed_pop_filtered(
        TIME_LIMIT,
        &[
            gst::MessageType::Error,
            gst::MessageType::AsyncDone,
            gst::MessageType::Eos,
        ],
    );
    if let Some(message) = outcome
        && let gst::MessageView::Error(error) = message.view()
    {
        return Err(error.error().to_string());
    }
    sink.try_pull_preroll(gst::ClockTime::ZERO)
        .and_then(|sample| sample.buffer_owned())
        .ok_or_else(reason)
}

fn build(
    pipeline: &gst::Pipeline,
    uri: &str,
    format: &Format,
) -> Result<gst_app::AppSink, EngineError> {
    let decoder = make("uridecodebin")?;
    decoder.set_property("uri", uri);
    let convert = make("videoconvertscale")?;
    convert.set_property("add-borders", true);
    let filter = caps_filter(&format.source_video_caps())?;
    let sink = gst_app::AppSink::builder().sync(false).build();
    let tail = [convert.clone(), filter, sink.clone().upcast()];
    pipeline
        .add(&decoder)
        .and_then(|()| pipeline.add_many(&tail))
        .and_then(|()| gst::Element::link_many(&tail))
        .map_err(|e| EngineError::Encoder(e.to_string()))?;
    decoder.connect_pad_added(move |_, pad| {
        if let Some(sink) = convert.static_pad("sink").filter(|sink| !sink.is_linked()) {
            // A pad that is not a picture is not linked, and the sink stays empty.
            let _ = pad.link(&sink);
        }
    });
    Ok(sink)
}
