//! The encoding branches: raw in through an appsrc, encoded out through an appsink.

use super::candidates::Candidate;
use crate::config::Programme;
use crate::engine::elements::{make, set};
use crate::engine::error::EngineError;
use crate::engine::format::Format;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

pub struct Branch {
    pub source: gst_app::AppSrc,
    pub encoder: gst::Element,
    pub sink: gst_app::AppSink,
}

/// AAC encoders, best first, with the samples of silence that each puts before the sound (its priming): a
/// decoder that is not told plays the sound so much late. Measured by encoding a click and decoding it again.
const AAC: &[(&str, u32)] = &[("avenc_aac", 1_024), ("voaacenc", 1_600)];

/// avcC access units of `programme`'s video, made by `candidate`.
pub fn video(
    pipeline: &gst::Pipeline,
    candidate: &Candidate,
    programme: &Programme,
) -> Result<Branch, EngineError> {
    let source = raw_source(&Format::of(programme).programme_video_caps());
    let encoder = make(candidate.factory)?;
    candidate.apply(&encoder, &programme.video, programme.fps);
    let high = gst::Caps::builder("video/x-h264").field("profile", "high");
    let avc = gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au");
    let mut chain = vec![source.clone().upcast::<gst::Element>()];
    if candidate.hardware {
        // Hardware wants NV12 mostly.
        chain.push(make("videoconvertscale")?);
    }
    chain.push(encoder.clone());
    if candidate.needs_parser() {
        chain.push(caps_filter(&high.build())?);
        chain.push(make("h264parse")?);
        chain.push(caps_filter(&avc.build())?);
    } else {
        chain.push(caps_filter(&avc.field("profile", "high").build())?);
    }
    let sink = encoded_sink();
    chain.push(sink.clone().upcast());
    link(pipeline, &chain)?;
    Ok(Branch {
        source,
        encoder,
        sink,
    })
}

/// Raw AAC-LC frames of `programme`'s sound, and the encoder's priming in samples.
pub fn audio(
    pipeline: &gst::Pipeline,
    programme: &Programme,
) -> Result<(Branch, u32), EngineError> {
    let (encoder, priming) = AAC
        .iter()
        .find_map(|(name, priming)| Some((make(name).ok()?, *priming)))
        .map_or_else(|| make(AAC[0].0).map(|e| (e, AAC[0].1)), Ok)?;
    let bits = i64::from(programme.audio.bitrate_kbps) * 1_000;
    set(&encoder, "bitrate", &bits.to_string());
    // GStreamer 1.22 forces avenc_aac to code every band as middle and side, where ffmpeg chooses band by band; and what is
    // forced is decoded to nearly the same sound on both sides (a tone on the left alone came out 6 dB down on both).
    set(&encoder, "aac-ms", "false");
    let source = raw_source(&Format::of(programme).audio_caps());
    let raw_aac = gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .field("stream-format", "raw")
        .build();
    let sink = encoded_sink();
    link(
        pipeline,
        &[
            source.clone().upcast(),
            make("audioconvert")?,
            encoder.clone(),
            caps_filter(&raw_aac)?,
            sink.clone().upcast(),
        ],
    )?;
    let branch = Branch {
        source,
        encoder,
        sink,
    };
    Ok((branch, priming))
}

fn raw_source(caps: &gst::Caps) -> gst_app::AppSrc {
    gst_app::AppSrc::builder()
        .caps(caps)
        .format(gst::Format::Time)
        .max_bytes(0)
        .build()
}

fn encoded_sink() -> gst_app::AppSink {
    gst_app::AppSink::builder().sync(false).build()
}

pub fn caps_filter(caps: &gst::Caps) -> Result<gst::Element, EngineError> {
    let filter = make("capsfilter")?;
    filter.set_property("caps", caps);
    Ok(filter)
}

fn link(pipeline: &gst::Pipeline, chain: &[gst::Element]) -> Result<(), EngineError> {
    pipeline
        .add_many(chain)
        .and_then(|()| gst::Element::link_many(chain))
        .map_err(|e| EngineError::Encoder(format!("its parts can't be joined: {e}")))
}
