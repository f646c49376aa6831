//! Registered is not usable: an encoder is chosen by encoding some frames with it.

use super::branch;
use super::candidates::{Candidate, in_order};
use crate::bridge::protocol::EncoderTrial;
use crate::config::Programme;
use crate::engine::error::EngineError;
use crate::engine::format::Format;
use gstreamer as gst;
use gstreamer::prelude::*;

const FRAMES: u64 = 10;
const TIME_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(5);
/// Software encoders take any size, so theirs is tried quickly; hardware has limits, so its trial is the real size.
const SOFTWARE_SIZE: (u32, u32) = (320, 180);

/// The first candidate that works, and how each that was tried fared.
pub fn choose(
    programme: &Programme,
) -> Result<(&'static Candidate, Vec<EncoderTrial>), EngineError> {
    let mut tried = Vec::new();
    for candidate in in_order(programme.video.encoder) {
        let result = try_out(candidate, programme);
        tried.push(EncoderTrial {
            element: candidate.factory.into(),
            error: result.as_ref().err().cloned(),
        });
        if result.is_ok() {
            return Ok((candidate, tried));
        }
    }
    let failures: Vec<String> = tried
        .iter()
        .map(|t| format!("{}: {}", t.element, t.error.as_deref().unwrap_or_default()))
        .collect();
    Err(EngineError::NoEncoder(failures.join("; ")))
}

/// Encodes ten frames.
pub fn try_out(candidate: &Candidate, programme: &Programme) -> Result<(), String> {
    if gst::ElementFactory::find(candidate.factory).is_none() {
        return Err("not installed".into());
    }
    let mut programme = programme.clone();
    if !candidate.hardware {
        (programme.width, programme.height) = SOFTWARE_SIZE;
    }
    let pipeline = gst::Pipeline::new();
    let branch = branch::video(&pipeline, candidate, &programme).map_err(|e| e.to_string())?;
    let result = encode_some(&pipeline, &branch, &programme);
    // A pipeline that can't even be stopped is left to the process's end.
    let _ = pipeline.set_state(gst::State::Null);
    result
}

fn encode_some(
    pipeline: &gst::Pipeline,
    branch: &branch::Branch,
    programme: &Programme,
) -> Result<(), String> {
    let failure =
        || error_of(pipeline).unwrap_or_else(|| "it does not start and gives no reason".to_owned());
    pipeline
        .set_state(gst::State::Playing)
        .map_err(|_| failure())?;
    let format = Format::of(programme);
    for n in 0..FRAMES {
        let mut frame = gst::Buffer::from_mut_slice(vec![128u8; format.layout().size]);
        if let Some(buffer) = frame.get_mut() {
            let at = format.fps.frame_time(n as i64);
            buffer.set_pts(crate::engine::clock::to_clock_time(at));
        }
        branch.source.push_buffer(frame).map_err(|_| failure())?;
    }
    branch.source.end_of_stream().map_err(|_| failure())?;
    for n in 0..FRAMES {
        if branch.sink.try_pull_sample(TIME_LIMIT).is_none() {
            return Err(error_of(pipeline)
                .unwrap_or_else(|| format!("gave {n} of {FRAMES} frames within {TIME_LIMIT:.0}")));
        }
    }
    Ok(())
}

/// The pipeline's first error, in words.
fn error_of(pipeline: &gst::Pipeline) -> Option<String> {
    let message = pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
    match message.view() {
        gst::MessageView::Error(error) => Some(error.error().to_string()),
        _ => None,
    }
}
