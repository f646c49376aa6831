//! From what the sources give, whenever they give it, to a programme without a gap: the pure tracks decide
//! (`video`, `audio`), this thread waits and hands over to the encoder.
//!
//! One full-frame source needs no compositor: its frames go to the encoder as they are, uncopied.

pub mod audio;
pub mod scene;
pub mod video;

use super::clock::{Clock, to_clock_time};
use super::encode::EncoderInput;
use super::format::Format;
use crate::media::MediaTime;
use audio::AudioTrack;
use gstreamer as gst;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use video::VideoTrack;

/// What sources deliver: normalised, with the monotonic time at which it is to be shown or heard.
#[derive(Debug)]
pub enum Input {
    Video {
        at: MediaTime,
        frame: gst::Buffer,
    },
    /// Interleaved stereo.
    Audio {
        at: MediaTime,
        samples: Vec<f32>,
    },
}

/// How long the programme waits for its source before it starts with the slate.
const START_PATIENCE: Duration = Duration::from_secs(1);

pub struct Mix {
    pub clock: Clock,
    pub format: Format,
    pub slate: gst::Buffer,
    pub inputs: Receiver<Input>,
    pub encoder: EncoderInput,
}

impl Mix {
    /// Runs until every sender of inputs is gone, or the encoder takes no more.
    pub fn run(mut self) {
        let first_input = self.inputs.recv_timeout(START_PATIENCE);
        let first_slot = self.format.fps.frame_at(self.clock.now()) + 1;
        let origin = self.format.fps.frame_time(first_slot);
        let mut video = VideoTrack::new(self.format.fps, first_slot, self.slate.clone());
        let mut audio = AudioTrack::new(self.format.sample_rate, origin);
        self.encoder.begin_audio(origin);
        let mut input = first_input;
        loop {
            match input {
                Ok(Input::Video { at, frame }) => video.handle_frame(at, frame),
                Ok(Input::Audio { at, samples }) => audio.handle_samples(at, &samples),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.clock.now();
            while let Some(slot) = video.poll(now) {
                if self.encoder.push_video(slot.at, &slot.frame).is_err() {
                    return;
                }
            }
            while let Some(block) = audio.poll(now) {
                if self.encoder.push_audio(block).is_err() {
                    return;
                }
            }
            let wake = video.poll_timeout(now).min(audio.poll_timeout());
            input = self.inputs.recv_timeout(wake.since(self.clock.now()));
        }
    }
}

/// `frame` with other times, sharing its memory. The parent's reference keeps a pooled frame out of its pool
/// until the encoder is done, so that the pool gets it back whole.
pub fn retimed(frame: &gst::Buffer, pts: MediaTime, duration: Duration) -> gst::Buffer {
    let mut copy = frame.copy();
    // A copy that nobody else has seen is writable; were it not, its own times would stay.
    if let Some(buffer) = copy.get_mut() {
        buffer.set_pts(to_clock_time(pts));
        buffer.set_dts(None);
        buffer.set_duration(gst::ClockTime::from_nseconds(
            u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
        ));
        gst::ParentBufferMeta::add(buffer, frame);
    }
    copy
}
