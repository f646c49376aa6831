//! `regia apart`: pictures made in a process of their own, for what may take its process with it. A web engine is as large as all
//! the rest and starts processes and threads of its own; and the library that speaks with X ends the whole process when its
//! connection breaks. None of that may reach the programme. The multiview on the box's own screen is shown here for the same reason.

pub mod child;
mod shown;
pub mod wire;

use super::elements::make;
use super::encode::caps_filter;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use std::io::{BufRead, Write};
use std::str::FromStr;
use wire::{Order, What};

/// Reads the order from standard input and writes frames to standard output, until either is closed.
pub fn run() -> anyhow::Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let order: Order = serde_json::from_str(&line)?;
    let mut out = std::io::stdout().lock();
    let done = match &order.what {
        What::Show(screen) => shown::run(screen, order.frame, &mut std::io::stdin().lock()),
        What::Page { .. } | What::Screen { .. } => {
            end_with_the_engine()?;
            capture(&order, &mut out)
        }
    };
    if let Err(text) = done {
        out.write_all(&wire::head(wire::FAILED, text.len()))?;
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    child::clear_up();
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the engine has gone, and with it all that this process is for; a web engine need not be asked"
)]
fn end_with_the_engine() -> std::io::Result<()> {
    let wait = || {
        let mut rest = String::new();
        // Nothing more is said; both an end and an error mean that nobody is there.
        let _ = std::io::stdin().lock().read_line(&mut rest);
        child::clear_up();
        std::process::exit(0);
    };
    std::thread::Builder::new()
        .name("engine".into())
        .spawn(wait)
        .map(|_| ())
}

/// The error says what went wrong; Ok: nobody takes what is shown any more.
fn capture(order: &Order, out: &mut impl Write) -> Result<(), String> {
    gst::init().map_err(|e| e.to_string())?;
    let pipeline = gst::Pipeline::new();
    let sink = build(&pipeline, order)?;
    let bus = pipeline.bus().ok_or("its pipeline has no bus")?;
    let reason = || failure(&bus).unwrap_or_else(|| "it ended and gives no reason".into());
    if pipeline.set_state(gst::State::Playing).is_err() {
        return Err(reason());
    }
    let mut painter = None;
    loop {
        let sample = sink.pull_sample().map_err(|_| reason())?;
        let caps = sample.caps().ok_or("a frame without a format")?;
        let painter = match &mut painter {
            Some(painter) => painter,
            None => {
                let text = caps.to_string();
                let told = out
                    .write_all(&wire::head(wire::FORMAT, text.len()))
                    .and_then(|()| out.write_all(text.as_bytes()));
                if told.is_err() {
                    return Ok(());
                }
                painter.insert(Painter::new(order, caps)?)
            }
        };
        let buffer = sample.buffer().ok_or("a frame without a picture")?;
        let pixels = buffer.map_readable().map_err(|e| e.to_string())?;
        let written = match painter.paint(&pixels)? {
            None => out.write_all(&wire::head(wire::SAME, 0)),
            Some(frame) => {
                let frame = frame.map_readable().map_err(|e| e.to_string())?;
                let head = wire::head(wire::FRAME, frame.len());
                out.write_all(&head).and_then(|()| out.write_all(&frame))
            }
        };
        if written.and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
    }
}

/// What went wrong in a pipeline, if something did.
fn failure(bus: &gst::Bus) -> Option<String> {
    let message = bus.pop_filtered(&[gst::MessageType::Error])?;
    match message.view() {
        gst::MessageView::Error(error) => Some(error.error().to_string()),
        _ => None,
    }
}

fn build(pipeline: &gst::Pipeline, order: &Order) -> Result<gst_app::AppSink, String> {
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let rate = gst::Fraction::new(number(order.fps.0), number(order.fps.1));
    let caps = gst::Caps::builder("video/x-raw").field("framerate", rate);
    let (source, caps) = match &order.what {
        What::Page { url, size } => {
            let source = make("wpevideosrc").map_err(|e| e.to_string())?;
            source.set_property("location", url);
            source.set_property("draw-background", false);
            let caps = caps
                .field("format", "BGRA")
                .field("width", number(size.0))
                .field("height", number(size.1));
            (source, caps)
        }
        What::Screen { display, pointer } => {
            let source = make("ximagesrc").map_err(|e| e.to_string())?;
            source.set_property("display-name", display);
            source.set_property("show-pointer", *pointer);
            // Pieces of the picture are asked for one by one otherwise, which takes longer than the whole.
            source.set_property("use-damage", false);
            (source, caps)
        }
        What::Show(_) => return Err("there is nothing to capture".into()),
    };
    let caps = caps.build();
    let filter = caps_filter(&caps).map_err(|e| e.to_string())?;
    // What is not fetched in time is left out: the newest is what counts.
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .max_buffers(1)
        .drop(true)
        .build();
    let chain = [source, filter, sink.clone().upcast()];
    pipeline
        .add_many(&chain)
        .and_then(|()| gst::Element::link_many(&chain))
        .map_err(|e| e.to_string())?;
    Ok(sink)
}

/// Makes frames of the programme's size from what is captured, where that has changed.
struct Painter {
    captured: gst_video::VideoInfo,
    frame: gst_video::VideoInfo,
    converter: gst_video::VideoConverter,
    transparent: bool,
    shown: Vec<u8>,
}

impl Painter {
    fn new(order: &Order, captured: &gst::CapsRef) -> Result<Self, String> {
        let told = |e: gst::glib::BoolError| e.to_string();
        let captured = gst_video::VideoInfo::from_caps(captured).map_err(told)?;
        let transparent = order.what.is_transparent();
        let format = if transparent {
            gst_video::VideoFormat::A420
        } else {
            gst_video::VideoFormat::I420
        };
        let bt709 = gst_video::VideoColorimetry::from_str("bt709").map_err(told)?;
        let frame = gst_video::VideoInfo::builder(format, order.frame.0, order.frame.1)
            .colorimetry(&bt709)
            .fps(captured.fps())
            .build()
            .map_err(told)?;
        let size = (captured.width(), captured.height());
        let (x, y, width, height) = wire::fit(size, order.frame);
        let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let mut config = gst_video::VideoConverterConfig::new();
        config.set_dest_x(number(x));
        config.set_dest_y(number(y));
        config.set_dest_width(Some(number(width)));
        config.set_dest_height(Some(number(height)));
        if transparent {
            config.set_alpha_mode(gst_video::VideoAlphaMode::Copy);
            // Beside the page there is nothing.
            config.set_border_argb(0);
        }
        let converter =
            gst_video::VideoConverter::new(&captured, &frame, Some(config)).map_err(told)?;
        Ok(Painter {
            captured,
            frame,
            converter,
            transparent,
            shown: Vec::new(),
        })
    }

    /// The frame; None: it is as it was.
    fn paint(&mut self, pixels: &[u8]) -> Result<Option<gst::Buffer>, String> {
        if self.shown == pixels {
            return Ok(None);
        }
        self.shown.clear();
        self.shown.extend_from_slice(pixels);
        let mut straight = pixels.to_vec();
        if self.transparent {
            wire::unpremultiply(&mut straight);
        }
        let buffer = gst::Buffer::from_mut_slice(straight);
        let captured = gst_video::VideoFrame::from_buffer_readable(buffer, &self.captured)
            .map_err(|_| "a frame of another size")?;
        let canvas = gst::Buffer::with_size(self.frame.size()).map_err(|e| e.to_string())?;
        let mut canvas = gst_video::VideoFrame::from_buffer_writable(canvas, &self.frame)
            .map_err(|_| "no memory for its frames")?;
        self.converter.frame(&captured, &mut canvas);
        Ok(Some(canvas.into_buffer()))
    }
}
