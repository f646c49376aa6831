//! The `html` and `screen` sources: pictures that a process of its own makes (`engine/apart`), put on the programme's grid here. No
//! sound.

use super::{Capture, End};
use crate::engine::apart::child::Apart;
use crate::engine::apart::wire::{self, Order, What};
use crate::engine::error::EngineError;
use crate::engine::format::{Frame, Pixels};
use gstreamer as gst;
use std::io::Read;
use std::process::ChildStdout;
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::time::Duration;

const AHEAD: Duration = Duration::from_millis(10);
/// A web engine that starts on a busy box, and a page that is far away.
const FIRST_WITHIN: Duration = Duration::from_secs(20);
/// It says many times a second that nothing has changed.
const QUIET: Duration = Duration::from_secs(3);

/// What the process said.
enum Said {
    Same,
    Frame(gst::Buffer),
    Format(String),
    Failed(String),
}

pub fn page(capture: &Capture, url: &str, size: Option<(u32, u32)>) -> End {
    let what = What::Page {
        url: url.to_owned(),
        size: size.unwrap_or((capture.format.width, capture.format.height)),
    };
    run(capture, what, "wpevideosrc", "gstreamer1.0-wpe")
}

pub fn screen(capture: &Capture, display: &str, pointer: bool) -> End {
    let what = What::Screen {
        display: display.to_owned(),
        pointer,
    };
    match run(capture, what, "ximagesrc", "gstreamer1.0-plugins-good") {
        End::Failed(text) => {
            let text = text.trim_end_matches('.');
            End::Failed(format!(
                "display {display}: {text} (does X run there, and may the user that Regia runs as see it? `xhost` says who may)"
            ))
        }
        end => end,
    }
}

fn run(capture: &Capture, what: What, element: &'static str, package: &'static str) -> End {
    if gst::ElementFactory::find(element).is_none() {
        return End::Failed(EngineError::MissingElement { element, package }.to_string());
    }
    let format = &capture.format;
    let order = Order {
        what,
        frame: (format.width, format.height),
        fps: (format.fps.num, format.fps.den),
    };
    match Apart::open(&order) {
        Ok(apart) if order.what.is_transparent() => show(capture, apart, Pixels::A420),
        Ok(apart) => show(capture, apart, Pixels::I420),
        Err(error) => End::Failed(format!("the process for it can't be started: {error}")),
    }
}

fn show(capture: &Capture, mut apart: Apart, pixels: Pixels) -> End {
    let format = &capture.format;
    let (tell, said) = mpsc::sync_channel(2);
    let Some(out) = apart.child.stdout.take() else {
        return End::Failed("its process gives nothing".into());
    };
    let reading = std::thread::Builder::new()
        .name(format!("apart {}", capture.source.id))
        .spawn(move || read(out, &tell));
    if let Err(error) = reading {
        return End::Failed(format!("no thread for it: {error}"));
    }
    let size = format.layout().size_of(pixels);
    let mut shown = None;
    let mut heard = capture.clock.now();
    let mut next = format.fps.frame_at(heard) + 1;
    loop {
        let at = format.fps.frame_time(next);
        let now = capture.clock.now();
        if capture.stop.wait((at - AHEAD).since(now)) {
            return End::Stopped;
        }
        match newest(&said, |caps| capture.feed.gauge.format(caps)) {
            Ok(None | Some(Said::Format(_))) => {}
            Ok(Some(Said::Same)) => heard = capture.clock.now(),
            Ok(Some(Said::Frame(frame))) if frame.size() == size => {
                heard = capture.clock.now();
                if shown.replace(frame).is_none() {
                    capture.report_live();
                }
            }
            Ok(Some(Said::Frame(_))) => {
                return End::Failed("its process gives frames of another size".into());
            }
            Ok(Some(Said::Failed(text))) => return End::Failed(text),
            Err(()) => {
                return End::Failed(format!("its process ended ({})", apart.how_it_ended()));
            }
        }
        let patience = if shown.is_some() { QUIET } else { FIRST_WITHIN };
        if now.since(heard) > patience {
            return End::Failed(format!("it gave nothing for {patience:?}"));
        }
        if let Some(frame) = &shown
            && capture.feed.picture
        {
            let frame = Frame {
                buffer: frame.clone(),
                pixels,
            };
            if capture.feed.video(at, frame).is_err() {
                return End::Stopped;
            }
        }
        next = (next + 1).max(format.fps.frame_at(now));
    }
}

/// The last of what was said; a frame if there was one. Err: nothing more will be.
fn newest(said: &Receiver<Said>, format: impl Fn(&gst::CapsRef)) -> Result<Option<Said>, ()> {
    let mut newest = None;
    loop {
        match said.try_recv() {
            Ok(Said::Same) => {
                newest.get_or_insert(Said::Same);
            }
            Ok(Said::Format(text)) => {
                if let Ok(caps) = gst::Caps::from_str(&text) {
                    format(&caps);
                }
            }
            Ok(other) => newest = Some(other),
            Err(TryRecvError::Disconnected) if newest.is_none() => return Err(()),
            Err(_) => return Ok(newest),
        }
    }
}

/// Until the process ends, or nobody listens.
fn read(mut out: ChildStdout, tell: &SyncSender<Said>) {
    while let Ok(said) = read_one(&mut out) {
        if tell.send(said).is_err() {
            return;
        }
    }
}

fn read_one(out: &mut impl Read) -> std::io::Result<Said> {
    let Some((kind, body)) = wire::read(out)? else {
        return Ok(Said::Failed("its process can't be understood".into()));
    };
    Ok(match kind {
        wire::SAME => Said::Same,
        wire::FRAME => Said::Frame(gst::Buffer::from_slice(body)),
        wire::FORMAT => Said::Format(String::from_utf8_lossy(&body).into_owned()),
        _ => Said::Failed(String::from_utf8_lossy(&body).into_owned()),
    })
}
