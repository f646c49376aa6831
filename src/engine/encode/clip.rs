//! The slate as a clip: one GOP of it and a frame of silence, by the programme's own encoders, for the director to put out by
//! itself. Made in a thread of its own, once for each run of the engine.

use super::branch::{self, Branch};
use super::candidates::Candidate;
use crate::config::{Programme, Tune};
use crate::engine::clock::to_clock_time;
use crate::engine::desk::track::BLOCK;
use crate::engine::format::{CHANNELS, Format};
use crate::engine::mix::retimed;
use crate::media::{AudioConfig, Clip, MediaTime, StreamConfig, VideoConfig};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;

const TIME_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(20);
/// Behind the encoder's priming, the sound is nothing but silence.
const SOUND_BLOCKS: u64 = 8;
/// It is a still picture: this looks as any other, and costs the programme's encoder least.
const PRESET: &str = "ultrafast";

#[derive(Clone)]
pub struct Slate {
    pub programme: Programme,
    pub candidate: &'static Candidate,
    /// Raw, as the mix shows it.
    pub picture: gst::Buffer,
}

impl Slate {
    pub fn encode(&self) -> Result<Clip, String> {
        let (avcc, pictures) = self.pictures()?;
        let (asc, sound) = self.sound()?;
        let programme = &self.programme;
        Ok(Clip {
            config: StreamConfig {
                video: VideoConfig {
                    avcc,
                    width: programme.width,
                    height: programme.height,
                    fps: programme.fps,
                    bitrate_kbps: programme.video.bitrate_kbps,
                },
                audio: AudioConfig {
                    asc,
                    sample_rate: programme.audio.sample_rate,
                    channels: CHANNELS as u8,
                    bitrate_kbps: programme.audio.bitrate_kbps,
                },
            },
            pictures,
            sound,
        })
    }

    fn pictures(&self) -> Result<(Bytes, Vec<Bytes>), String> {
        let mut programme = self.programme.clone();
        programme.video.tune = Tune::Latency;
        PRESET.clone_into(&mut programme.video.preset);
        let fps = Format::of(&programme).fps;
        let frames = (programme.video.keyframe_s * fps.as_f64()).round().max(1.0) as u64;
        let frame_length = fps.frame_time(1).since(MediaTime::ZERO);
        let pipeline = gst::Pipeline::new();
        let branch =
            branch::video(&pipeline, self.candidate, &programme).map_err(|e| e.to_string())?;
        let encoded = through(&pipeline, &branch, frames, |n| {
            retimed(&self.picture, fps.frame_time(n as i64), frame_length)
        })?;
        let whole = encoded.len() as u64 == frames;
        let keyframes: Vec<bool> = encoded.iter().map(|frame| frame.keyframe).collect();
        let in_order = encoded.windows(2).all(|two| two[0].pts < two[1].pts);
        if !whole || !in_order || keyframes.first() != Some(&true) || keyframes[1..].contains(&true)
        {
            return Err(format!(
                "{} made no plain GOP of it",
                self.candidate.factory
            ));
        }
        let header = encoded.first().and_then(|frame| frame.header.clone());
        let header = header.ok_or("its encoder gave no header")?;
        Ok((header, encoded.into_iter().map(|f| f.data).collect()))
    }

    fn sound(&self) -> Result<(Bytes, Bytes), String> {
        let rate = u64::from(self.programme.audio.sample_rate);
        let pipeline = gst::Pipeline::new();
        let (branch, _) = branch::audio(&pipeline, &self.programme).map_err(|e| e.to_string())?;
        let encoded = through(&pipeline, &branch, SOUND_BLOCKS, |n| {
            let silence = vec![0u8; BLOCK * CHANNELS * size_of::<f32>()];
            let mut block = gst::Buffer::from_mut_slice(silence);
            if let Some(block) = block.get_mut() {
                let at = n * BLOCK as u64 * 1_000_000 / rate.max(1);
                block.set_pts(to_clock_time(MediaTime(at as i64)));
            }
            block
        })?;
        let header = encoded.first().and_then(|frame| frame.header.clone());
        let middle = encoded.into_iter().nth(SOUND_BLOCKS as usize / 2);
        header
            .zip(middle.map(|frame| frame.data))
            .ok_or_else(|| "its sound could not be encoded".to_owned())
    }
}

struct Encoded {
    header: Option<Bytes>,
    pts: Option<gst::ClockTime>,
    keyframe: bool,
    data: Bytes,
}

/// Everything that comes of `count` pieces of raw media.
fn through(
    pipeline: &gst::Pipeline,
    branch: &Branch,
    count: u64,
    piece: impl Fn(u64) -> gst::Buffer,
) -> Result<Vec<Encoded>, String> {
    let result = push_and_pull(pipeline, branch, count, piece);
    // A pipeline that can't even be stopped is left to the process's end.
    let _ = pipeline.set_state(gst::State::Null);
    result
}

fn push_and_pull(
    pipeline: &gst::Pipeline,
    branch: &Branch,
    count: u64,
    piece: impl Fn(u64) -> gst::Buffer,
) -> Result<Vec<Encoded>, String> {
    pipeline
        .set_state(gst::State::Playing)
        .map_err(|_| "its encoder does not start".to_owned())?;
    for n in 0..count {
        branch
            .source
            .push_buffer(piece(n))
            .map_err(|e| e.to_string())?;
    }
    branch.source.end_of_stream().map_err(|e| e.to_string())?;
    let mut encoded = Vec::new();
    while let Some(sample) = branch.sink.try_pull_sample(TIME_LIMIT) {
        let Some(buffer) = sample.buffer() else {
            continue;
        };
        let header = sample.caps().and_then(|caps| {
            let data = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
            Some(Bytes::copy_from_slice(&data.map_readable().ok()?))
        });
        let data = buffer.map_readable().map_err(|e| e.to_string())?;
        encoded.push(Encoded {
            header,
            pts: buffer.pts(),
            keyframe: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
            data: Bytes::copy_from_slice(&data),
        });
    }
    Ok(encoded)
}
