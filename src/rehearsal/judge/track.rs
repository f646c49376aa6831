//! One track of a stream: what its units tell one by one. Pure.

use super::codec::{self, AudioCodec, VideoCodec};
use super::rate::Rate;
use super::report::{AudioReport, GopReport, GridReport, TimestampReport, VideoReport};
use super::timing::{Clock, Grid};
use crate::rtmp::FlvError;
use std::time::Instant;

/// Bytes kept of a sequence header; real ones have fewer than a hundred.
const MAX_HEADER: usize = 4_096;

/// One H.264 access unit as an FLV tag carries it.
#[derive(Clone, Copy, Debug)]
pub(super) struct VideoFrame<'a> {
    /// On the publish's timeline.
    pub(super) dts_ms: u64,
    /// Presentation less decode time.
    pub(super) composition_ms: i32,
    pub(super) keyframe: bool,
    /// NAL units behind 4-byte lengths.
    pub(super) data: &'a [u8],
}

#[derive(Debug, Default)]
pub(super) struct Video {
    pub(super) frames: u64,
    keyframes: u64,
    header: Option<Vec<u8>>,
    codec: Option<VideoCodec>,
    codec_changes: u64,
    pub(super) before_header: u64,
    /// Publishes whose first picture was no keyframe.
    pub(super) began_without_keyframe: u64,
    rate: Rate,
    pub(super) clock: Clock,
    pub(super) grid: Grid,
    pub(super) presented_before_decoded: u64,
    gop: Option<Gop>,
    gops: Option<GopReport>,
    last_arrival: Option<Instant>,
    largest_gap_ms: f64,
    pub(super) unreadable: Unreadable,
}

#[derive(Clone, Copy, Debug)]
struct Gop {
    began_ms: u64,
    frames: u64,
}

#[derive(Debug, Default)]
pub(super) struct Audio {
    frames: u64,
    header: Option<Vec<u8>>,
    codec: Option<AudioCodec>,
    codec_changes: u64,
    pub(super) before_header: u64,
    rate: Rate,
    pub(super) clock: Clock,
    last_arrival: Option<Instant>,
    largest_gap_ms: f64,
    pub(super) unreadable: Unreadable,
}

/// Tags that hold something else, or are broken.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    pub(super) count: u64,
    pub(super) first: Option<FlvError>,
}

impl Unreadable {
    pub(super) fn add(&mut self, error: FlvError) {
        self.count += 1;
        self.first.get_or_insert(error);
    }
}

impl Video {
    /// An AVCDecoderConfigurationRecord.
    pub(super) fn set_header(&mut self, record: &[u8]) {
        if remember(&mut self.header, record, &mut self.codec_changes) {
            self.codec = codec::video(record);
        }
    }

    /// A publish begins.
    pub(super) fn restart(&mut self) {
        self.clock.restart();
        self.grid.restart();
        self.rate.restart();
        self.gop = None;
        self.last_arrival = None;
    }

    pub(super) fn see(&mut self, at: Instant, frame: VideoFrame, pts_ms: i64, first: bool) {
        self.frames += 1;
        self.before_header += u64::from(self.header.is_none());
        self.began_without_keyframe += u64::from(first && !frame.keyframe);
        self.presented_before_decoded += u64::from(frame.composition_ms < 0);
        self.rate.add(frame.dts_ms, frame.data.len() as u64);
        let unit_ms = self.grid.fps().map(|fps| 1_000.0 / fps.as_f64());
        self.clock.tick(frame.dts_ms, unit_ms);
        self.grid.check(pts_ms, frame.keyframe);
        note_gap(&mut self.last_arrival, at, &mut self.largest_gap_ms);
        if frame.keyframe {
            self.keyframes += 1;
            let next = Gop {
                began_ms: frame.dts_ms,
                frames: 1,
            };
            if let Some(gop) = self.gop.replace(next) {
                self.close_gop(gop, frame.dts_ms.saturating_sub(gop.began_ms));
            }
        } else if let Some(gop) = &mut self.gop {
            gop.frames += 1;
        }
    }

    fn close_gop(&mut self, gop: Gop, ms: u64) {
        let so_far = self.gops.unwrap_or(GopReport {
            complete: 0,
            min_frames: gop.frames,
            max_frames: gop.frames,
            min_ms: ms,
            max_ms: ms,
            exact: true,
        });
        let (min_frames, max_frames) = (
            so_far.min_frames.min(gop.frames),
            so_far.max_frames.max(gop.frames),
        );
        self.gops = Some(GopReport {
            complete: so_far.complete + 1,
            min_frames,
            max_frames,
            min_ms: so_far.min_ms.min(ms),
            max_ms: so_far.max_ms.max(ms),
            exact: min_frames == max_frames,
        });
    }

    pub(super) fn report(&self) -> VideoReport {
        let fps = self.grid.fps().map(|fps| fps.as_f64());
        VideoReport {
            frames: self.frames,
            keyframes: self.keyframes,
            codec: self.codec.clone(),
            codec_changes: self.codec_changes,
            fps: fps.map(thousandths),
            bitrate: self
                .rate
                .report(fps.map_or(0.0, |fps| 1_000.0 / fps))
                .rounded(),
            gop: self.gops,
            timestamps: timestamps(&self.clock),
            holes: self.clock.holes,
            holes_ms: thousandths(self.clock.hole_ms),
            grid: (self.grid.judged > 0).then(|| GridReport {
                judged: self.grid.judged,
                bent: self.grid.bent,
                worst_ms: self.grid.worst_us as f64 / 1e3,
            }),
            largest_arrival_gap_ms: self.largest_gap_ms,
        }
    }
}

impl Audio {
    /// An AudioSpecificConfig.
    pub(super) fn set_header(&mut self, config: &[u8]) {
        if remember(&mut self.header, config, &mut self.codec_changes) {
            self.codec = codec::audio(config);
        }
    }

    /// A publish begins.
    pub(super) fn restart(&mut self) {
        self.clock.restart();
        self.rate.restart();
        self.last_arrival = None;
    }

    pub(super) fn see(&mut self, at: Instant, at_ms: u64, bytes: u64) {
        self.frames += 1;
        self.before_header += u64::from(self.header.is_none());
        self.rate.add(at_ms, bytes);
        let unit_ms = self.unit_ms();
        self.clock.tick(at_ms, unit_ms);
        note_gap(&mut self.last_arrival, at, &mut self.largest_gap_ms);
    }

    /// How long one frame lasts.
    fn unit_ms(&self) -> Option<f64> {
        self.codec
            .as_ref()
            .filter(|codec| codec.sample_rate > 0)
            .map(|codec| f64::from(codec.frame_samples) * 1_000.0 / f64::from(codec.sample_rate))
    }

    pub(super) fn report(&self) -> AudioReport {
        AudioReport {
            frames: self.frames,
            codec: self.codec.clone(),
            codec_changes: self.codec_changes,
            bitrate: self.rate.report(self.unit_ms().unwrap_or(0.0)).rounded(),
            timestamps: timestamps(&self.clock),
            holes: self.clock.holes,
            holes_ms: thousandths(self.clock.hole_ms),
            largest_arrival_gap_ms: self.largest_gap_ms,
        }
    }
}

fn timestamps(clock: &Clock) -> TimestampReport {
    TimestampReport {
        went_back: clock.went_back,
        most_back_ms: clock.most_back_ms,
        largest_step_ms: clock.largest_step_ms,
    }
}

fn note_gap(last: &mut Option<Instant>, at: Instant, largest_ms: &mut f64) {
    if let Some(before) = last.replace(at) {
        *largest_ms = largest_ms.max(thousandths((at - before).as_secs_f64() * 1e3));
    }
}

/// Keeps a sequence header; true when it is not the one that was there.
fn remember(kept: &mut Option<Vec<u8>>, header: &[u8], changes: &mut u64) -> bool {
    let header = &header[..header.len().min(MAX_HEADER)];
    if kept.as_deref() == Some(header) {
        return false;
    }
    *changes += u64::from(kept.is_some());
    *kept = Some(header.to_vec());
    true
}

/// Three decimals are enough to read.
pub(super) fn thousandths(x: f64) -> f64 {
    (x * 1e3).round() / 1e3
}
