//! Raw pictures and sound in, media units out. The encoders run in one pipeline without a clock: frames come in
//! at the programme's pace and leave as soon as they are done.

mod branch;
mod candidates;
pub mod clip;
pub mod trial;

pub use branch::caps_filter;
pub use candidates::{CANDIDATES, Candidate};

use super::clock::{Clock, to_clock_time, to_media_time};
use super::desk::track::{BLOCK, Block};
use super::error::EngineError;
use super::format::Format;
use super::mix::retimed;
use super::out::Out;
use crate::bridge::protocol::EngineEvent;
use crate::config::Programme;
use crate::media::{FrameRate, MediaTime, MediaUnit, Track};
use crate::stamp::{self, Stamp};
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use std::sync::mpsc::{self, SyncSender};
use std::time::{Duration, Instant};

/// Raw frames that may wait for the encoder (a second at 30 fps): more, and it is slower than real time.
const MOST_WAITING: u64 = 30;
const OVERLOAD_REPORTS: Duration = Duration::from_secs(1);

pub struct Encoder {
    pipeline: gst::Pipeline,
    candidate: &'static Candidate,
    video: gst::Element,
    sources: [gst_app::AppSrc; 2],
    ended: mpsc::Receiver<()>,
}

/// Where the mix puts its pictures.
pub struct VideoInput {
    source: gst_app::AppSrc,
    fps: FrameRate,
    /// Running time zero of the pipeline, on the frame grid.
    base: MediaTime,
    out: SyncSender<Out>,
    dropped: u64,
    reported: MediaTime,
}

/// Where the desk puts its sound.
pub struct AudioInput {
    source: gst_app::AppSrc,
    sample_rate: u32,
    base: MediaTime,
    /// When block 0 is heard.
    origin: MediaTime,
}

/// The encoder takes no more: the engine is ending.
#[derive(Debug)]
pub struct Closed;

impl Encoder {
    /// Builds and starts the pipeline. Errors while it runs go to `failed`, in words.
    pub fn start(
        programme: &Programme,
        candidate: &'static Candidate,
        clock: &Clock,
        out: &SyncSender<Out>,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Result<(Encoder, VideoInput, AudioInput), EngineError> {
        let format = Format::of(programme);
        let base = format.fps.frame_time(format.fps.frame_at(clock.now()));
        let pipeline = gst::Pipeline::new();
        let video = branch::video(&pipeline, candidate, programme)?;
        let (audio, priming) = branch::audio(&pipeline, programme)?;
        let (end, ended) = mpsc::channel();
        let outlet = |kind| Outlet {
            kind,
            base,
            caps: None,
            out: out.clone(),
        };
        let video_outlet = outlet(OutletKind::Video {
            fps: format.fps,
            stamps: programme.stamp.then(|| clock.clone()),
        });
        let audio_outlet = outlet(OutletKind::Audio {
            priming: samples_to_time(i64::from(priming), format.sample_rate),
        });
        video
            .sink
            .set_callbacks(video_outlet.callbacks(end.clone()));
        audio.sink.set_callbacks(audio_outlet.callbacks(end));
        let bus = pipeline
            .bus()
            .ok_or_else(|| EngineError::Encoder("its pipeline has no bus".into()))?;
        bus.set_sync_handler(move |_, message| {
            if let gst::MessageView::Error(error) = message.view() {
                failed(error.error().to_string());
            }
            gst::BusSyncReply::Drop
        });
        pipeline
            .set_state(gst::State::Playing)
            .map_err(|_| EngineError::Encoder(format!("{} does not start", candidate.factory)))?;
        let pictures = VideoInput {
            source: video.source,
            fps: format.fps,
            base,
            out: out.clone(),
            dropped: 0,
            reported: base,
        };
        let sound = AudioInput {
            source: audio.source,
            sample_rate: format.sample_rate,
            base,
            origin: base,
        };
        let encoder = Encoder {
            pipeline,
            candidate,
            video: video.encoder,
            sources: [pictures.source.clone(), sound.source.clone()],
            ended,
        };
        Ok((encoder, pictures, sound))
    }

    /// False: this encoder can't change it in flight.
    pub fn set_bitrate(&self, kbps: u32) -> bool {
        self.candidate.set_bitrate(&self.video, kbps)
    }

    /// Lets the encoders give out what they hold, for at most `limit`.
    pub fn drain(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for source in &self.sources {
            // An encoder that has failed has nothing to give.
            let _ = source.end_of_stream();
        }
        for _ in &self.sources {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.ended.recv_timeout(left).is_err() {
                return;
            }
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // The process ends now; an encoder that does not stop ends with it.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl VideoInput {
    /// A frame in the place of one that could not be made in time, which is told as one left out.
    pub fn repeat(&mut self, at: MediaTime, frame: &gst::Buffer) -> Result<(), Closed> {
        self.dropped += 1;
        self.push(at, frame)
    }

    pub fn push(&mut self, at: MediaTime, frame: &gst::Buffer) -> Result<(), Closed> {
        if self.source.current_level_buffers() >= MOST_WAITING {
            self.dropped += 1;
        } else {
            let pts = MediaTime(at.0 - self.base.0);
            let frame = retimed(frame, pts, self.fps.frame_time(1).since(MediaTime::ZERO));
            self.source.push_buffer(frame).map_err(|_| Closed)?;
        }
        if self.dropped > 0 && at.since(self.reported) >= OVERLOAD_REPORTS {
            self.reported = at;
            let dropped = std::mem::take(&mut self.dropped);
            self.out
                .send(Out::Event(EngineEvent::Overload { dropped }))
                .map_err(|_| Closed)?;
        }
        Ok(())
    }
}

impl AudioInput {
    /// Block 0 is heard at `origin`.
    pub fn begin(&mut self, origin: MediaTime) {
        self.origin = origin;
    }

    pub fn push(&mut self, block: Block) -> Result<(), Closed> {
        let at = self.origin + samples_to_time(block.number * BLOCK as i64, self.sample_rate);
        let bytes: Vec<u8> = block.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(to_clock_time(MediaTime(at.0 - self.base.0)));
        }
        self.source
            .push_buffer(buffer)
            .map(|_| ())
            .map_err(|_| Closed)
    }
}

fn samples_to_time(samples: i64, rate: u32) -> Duration {
    let us = i128::from(samples) * 1_000_000 / i128::from(rate);
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}

/// One encoded track on its way out: runs in the encoder's thread.
struct Outlet {
    kind: OutletKind,
    base: MediaTime,
    /// The caps whose codec configuration was passed on.
    caps: Option<gst::Caps>,
    out: SyncSender<Out>,
}

enum OutletKind {
    Video {
        fps: FrameRate,
        /// None: frames are not stamped.
        stamps: Option<Clock>,
    },
    Audio {
        priming: Duration,
    },
}

impl Outlet {
    fn callbacks(mut self, ended: mpsc::Sender<()>) -> gst_app::AppSinkCallbacks {
        gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                for out in self
                    .header_of(&sample)
                    .into_iter()
                    .chain(self.unit_of(&sample))
                {
                    self.out.send(out).map_err(|_| gst::FlowError::Eos)?;
                }
                Ok(gst::FlowSuccess::Ok)
            })
            .eos(move |_| {
                // Nobody may wait for the end.
                let _ = ended.send(());
            })
            .build()
    }

    /// The codec's configuration, if it is new.
    fn header_of(&mut self, sample: &gst::Sample) -> Option<Out> {
        let caps = sample.caps()?;
        if self.caps.as_deref() == Some(caps) {
            return None;
        }
        let data = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
        let bytes = Bytes::copy_from_slice(&data.map_readable().ok()?);
        self.caps = Some(caps.to_owned());
        Some(match self.kind {
            OutletKind::Video { .. } => Out::VideoHeader(bytes),
            OutletKind::Audio { .. } => Out::AudioHeader(bytes),
        })
    }

    /// The running time is counted from the segment's start, and so takes away the 1000 hours by which x264enc
    /// shifts its times to leave room for decode times before the first picture.
    fn unit_of(&self, sample: &gst::Sample) -> Option<Out> {
        let buffer = sample.buffer_owned()?;
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let absolute = |time: gst::ClockTime| {
            let running = match segment.to_running_time_full(time)? {
                gst::Signed::Positive(time) => to_media_time(time).0,
                gst::Signed::Negative(time) => -to_media_time(time).0,
            };
            Some(MediaTime(self.base.0 + running))
        };
        let pts = absolute(buffer.pts()?)?;
        let dts = buffer.dts().and_then(absolute).unwrap_or(pts);
        let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        // Without a copy: the unit holds the encoder's buffer.
        let data = Bytes::from_owner(buffer.into_mapped_buffer_readable().ok()?);
        Some(Out::Unit(match &self.kind {
            OutletKind::Video { fps, stamps } => {
                video_unit(*fps, stamps.as_ref(), pts, dts, keyframe, data)
            }
            OutletKind::Audio { priming } => {
                let pts = pts - *priming;
                MediaUnit {
                    track: Track::Audio,
                    dts: pts,
                    pts,
                    keyframe: false,
                    data,
                }
            }
        }))
    }
}

fn video_unit(
    fps: FrameRate,
    stamps: Option<&Clock>,
    pts: MediaTime,
    dts: MediaTime,
    keyframe: bool,
    data: Bytes,
) -> MediaUnit {
    // Back onto the grid, from which rounding in the encoder may have moved them by a microsecond.
    let frame = fps.frame_at(pts);
    let pts = fps.frame_time(frame);
    let data = match stamps {
        None => data,
        Some(clock) => stamp::insert(
            &data,
            Stamp {
                frame: u64::try_from(frame).unwrap_or(0),
                captured_us: clock.wall_us(pts),
            },
        )
        .into(),
    };
    MediaUnit {
        track: Track::Video,
        dts: fps.frame_time(fps.frame_at(dts)),
        pts,
        keyframe,
        data,
    }
}
