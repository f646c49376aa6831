//! From the pictures that the sources give, whenever they give them, to a programme without a gap: the pure track decides
//! (`video`), this thread waits and hands over to the encoder. The sound is mixed beside it, in `desk`.
//!
//! One full-frame source needs no compositor: its frames go to the encoder as they are, uncopied.

pub mod scene;
pub mod video;

use super::clock::{Clock, to_clock_time};
use super::desk::Sound;
use super::encode::VideoInput;
use super::format::Format;
use super::health::ProgrammeGauge;
use super::health::alarms::Expect;
use crate::media::MediaTime;
use gstreamer as gst;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;
use video::{Shows, VideoTrack};

/// A picture that a source delivers: normalised, with the monotonic time at which it is to be shown.
#[derive(Debug)]
pub struct Picture {
    pub at: MediaTime,
    pub frame: gst::Buffer,
    /// The frame has a plane of alpha behind the others (A420, straight): where it is 0 nothing is shown.
    #[allow(
        dead_code,
        reason = "what reads it, the mixing of layers, is another change"
    )]
    pub alpha: bool,
}

/// How long the programme waits for its source before it starts with the slate.
const START_PATIENCE: Duration = Duration::from_secs(1);

pub struct Mix {
    pub clock: Clock,
    pub format: Format,
    pub slate: gst::Buffer,
    pub pictures: Receiver<Picture>,
    pub encoder: VideoInput,
    /// The desk, which begins with the first picture.
    pub sound: SyncSender<Sound>,
    pub gauge: ProgrammeGauge,
}

impl Mix {
    /// Runs until every sender of pictures is gone, or the encoder takes no more.
    pub fn run(mut self) {
        let first_picture = self.pictures.recv_timeout(START_PATIENCE);
        let first_slot = self.format.fps.frame_at(self.clock.now()) + 1;
        let origin = self.format.fps.frame_time(first_slot);
        let mut video = VideoTrack::new(self.format.fps, first_slot, self.slate.clone());
        if self.sound.send(Sound::Begin { origin }).is_err() {
            return;
        }
        let mut input = first_picture;
        loop {
            match input {
                Ok(Picture { at, frame, .. }) => video.handle_frame(at, frame),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = self.clock.now();
            while let Some(slot) = video.poll(now) {
                let slate = slot.shows == Shows::Slate;
                let expect = Expect {
                    still: slate,
                    black: slate,
                };
                self.gauge.picture(slot.at, &slot.frame, expect);
                if self.encoder.push(slot.at, &slot.frame).is_err() {
                    return;
                }
            }
            let wake = video.poll_timeout(now);
            input = self.pictures.recv_timeout(wake.since(self.clock.now()));
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
