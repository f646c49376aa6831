//! Shows what it is given on a screen of the box.

use super::super::elements::{make, set};
use super::failure;
use crate::config::Screen;
use crate::engine::format::I420Layout;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use std::io::{ErrorKind, Read};

/// Until nothing more is given. The error says what went wrong.
pub fn run(screen: &Screen, size: (u32, u32), frames: &mut impl Read) -> Result<(), String> {
    gst::init().map_err(|e| e.to_string())?;
    let pipeline = gst::Pipeline::new();
    let source = build(&pipeline, screen, size)?;
    let shown = show(&pipeline, &source, size, frames);
    // The screen gets the mode back that it had.
    let _ = pipeline.set_state(gst::State::Null);
    shown
}

fn show(
    pipeline: &gst::Pipeline,
    source: &gst_app::AppSrc,
    size: (u32, u32),
    frames: &mut impl Read,
) -> Result<(), String> {
    let bus = pipeline.bus().ok_or("its pipeline has no bus")?;
    if pipeline.set_state(gst::State::Playing).is_err() {
        return Err(failure(&bus).unwrap_or_else(|| "it does not start".into()));
    }
    let length = I420Layout::new(size.0 as usize, size.1 as usize).size;
    loop {
        let mut frame = vec![0; length];
        match frames.read_exact(&mut frame) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
        let pushed = source.push_buffer(gst::Buffer::from_mut_slice(frame));
        if let Some(text) = failure(&bus) {
            return Err(text);
        }
        pushed.map_err(|error| error.to_string())?;
    }
}

fn build(
    pipeline: &gst::Pipeline,
    screen: &Screen,
    size: (u32, u32),
) -> Result<gst_app::AppSrc, String> {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", number(size.0))
        .field("height", number(size.1))
        .field("framerate", gst::Fraction::new(0, 1))
        .field("colorimetry", "bt709")
        .build();
    let source = gst_app::AppSrc::builder()
        .caps(&caps)
        .format(gst::Format::Time)
        .is_live(true)
        .do_timestamp(true)
        // A screen that is slower shows the newest.
        .max_buffers(1)
        .leaky_type(gst_app::AppLeakyType::Downstream)
        .build();
    let scale = make("videoconvertscale").map_err(|e| e.to_string())?;
    scale.set_property("add-borders", true);
    let sink = match screen {
        Screen::Kms { connector } => {
            let sink = make("kmssink").map_err(|e| e.to_string())?;
            // A screen that nothing is shown on has no mode yet; and one with a console on it has one that does not fit.
            set(&sink, "force-modesetting", "true");
            if let Some(connector) = connector {
                set(&sink, "connector-id", &connector.to_string());
            }
            sink
        }
        Screen::X { display } => {
            let sink = make("ximagesink").map_err(|e| e.to_string())?;
            sink.set_property("display", display);
            sink
        }
    };
    set(&sink, "sync", "false");
    let chain = [source.clone().upcast(), scale, sink];
    pipeline
        .add_many(&chain)
        .and_then(|()| gst::Element::link_many(&chain))
        .map_err(|e| e.to_string())?;
    Ok(source)
}
