//! What is told of a stream: once a second in one line, and at the end as a whole. Pure.

use super::codec::{AudioCodec, VideoCodec};
use super::rate::RateReport;
use crate::rehearsal::platform::Platform;
use crate::rehearsal::rules::End;
use serde::Serialize;
use std::fmt;

/// The last second of one stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The key's last characters.
    pub key: String,
    /// Counts the publishes on this key from 1.
    pub publish: u64,
    /// Since this key's first publish.
    pub elapsed_s: f64,
    /// Video frames in all, doubled and repeated ones too.
    pub frames: u64,
    /// In the last second.
    pub fps: f64,
    pub video_kbps: f64,
    pub audio_kbps: f64,
    /// Mean and most of the last second, of frames that carry a stamp and hadn't arrived before.
    pub latency_ms: Option<f64>,
    pub latency_max_ms: Option<f64>,
    /// By the stamps: absent when the frames carry none.
    pub lost: Option<u64>,
    pub doubled: Option<u64>,
    pub repeated: Option<u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let seconds = self.elapsed_s as u64;
        write!(
            f,
            "{} {:02}:{:02}:{:02}  {:.0} fps  video {:.0} kb/s  audio {:.0} kb/s",
            self.key,
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            self.fps,
            self.video_kbps,
            self.audio_kbps
        )?;
        if let (Some(mean), Some(most)) = (self.latency_ms, self.latency_max_ms) {
            write!(f, "  latency {mean:.0} ms (max {most:.0})")?;
        }
        write!(f, "  {} frames", self.frames)?;
        match (self.lost, self.doubled, self.repeated) {
            (Some(lost), Some(doubled), Some(repeated)) => {
                write!(f, ", {lost} lost")?;
                if doubled > 0 {
                    write!(f, ", {doubled} doubled")?;
                }
                if repeated > 0 {
                    write!(f, ", {repeated} repeated")?;
                }
                Ok(())
            }
            _ => write!(f, ", no stamps"),
        }
    }
}

/// Everything that arrived while the rehearsal ran.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub platform: Platform,
    /// Seconds since the Unix epoch.
    pub started_unix_s: u64,
    pub length_s: f64,
    /// Connections and recordings that failed, and how the first few did.
    pub failure_count: u64,
    pub failures: Vec<String>,
    /// One for each key, in the order of their first publish.
    pub streams: Vec<StreamReport>,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Nothing was found wrong.
    pub ok: bool,
    /// Frames or sound are missing, or nothing arrived at all.
    pub lost: bool,
    /// What is wrong, in sentences.
    pub findings: Vec<String>,
    /// What is worth knowing but not wrong, or couldn't be judged.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamReport {
    pub key: String,
    pub app: String,
    /// What the publisher calls itself in its metadata.
    pub encoder: Option<String>,
    pub publishes: Vec<PublishReport>,
    /// Publishes beyond those listed.
    pub publishes_unlisted: u64,
    /// Publishes that ended without FCUnpublish or deleteStream.
    pub interruptions: u64,
    /// From the end of one publish to the begin of the next: the longest.
    pub longest_pause_s: Option<f64>,
    pub refused_publishes: u64,
    pub video: VideoReport,
    pub audio: AudioReport,
    pub sync: SyncReport,
    pub stamps: StampReport,
    pub latency: Option<LatencyReport>,
    /// Video and audio together, by the time of arrival: what the way had to carry.
    pub arrival: RateReport,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PublishReport {
    /// Counts from 1.
    pub number: u64,
    /// Since this key's first publish.
    pub began_s: f64,
    pub length_s: f64,
    /// Absent while it goes on.
    pub ended: Option<End>,
    pub video_frames: u64,
    pub audio_frames: u64,
    /// First sound's timestamp less the first picture's presentation time.
    pub audio_minus_video_start_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VideoReport {
    pub frames: u64,
    pub keyframes: u64,
    /// Absent when no sequence header could be read.
    pub codec: Option<VideoCodec>,
    /// Sequence headers that differ from the one before.
    pub codec_changes: u64,
    /// As the publisher's metadata tells it.
    pub fps: Option<f64>,
    /// By timestamps: what the encoder made.
    pub bitrate: RateReport,
    pub gop: Option<GopReport>,
    pub timestamps: TimestampReport,
    /// Steps between decode times of more than one and a half frames, within a publish: frames lost or never made.
    pub holes: u64,
    pub holes_ms: f64,
    pub grid: Option<GridReport>,
    pub largest_arrival_gap_ms: f64,
}

/// Groups of pictures between two keyframes of one publish.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GopReport {
    pub complete: u64,
    pub min_frames: u64,
    pub max_frames: u64,
    pub min_ms: u64,
    pub max_ms: u64,
    /// All have the same number of frames.
    pub exact: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AudioReport {
    pub frames: u64,
    pub codec: Option<AudioCodec>,
    pub codec_changes: u64,
    pub bitrate: RateReport,
    pub timestamps: TimestampReport,
    /// Steps between timestamps of more than one and a half frames, within a publish.
    pub holes: u64,
    pub holes_ms: f64,
    pub largest_arrival_gap_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TimestampReport {
    pub went_back: u64,
    pub most_back_ms: u64,
    pub largest_step_ms: u64,
}

/// Presentation times against the frame rate that the metadata tells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GridReport {
    pub judged: u64,
    /// More than 1 ms off.
    pub bent: u64,
    pub worst_ms: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SyncReport {
    /// Of all publishes, the one furthest from zero.
    pub worst_start_ms: Option<i64>,
    /// Newest sound's timestamp less the newest picture's decode time, as each picture arrives.
    pub running_min_ms: Option<i64>,
    pub running_max_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StampReport {
    pub stamped: u64,
    pub unstamped: u64,
    /// Missing between the first and the last frame.
    pub lost: u64,
    /// The first missing numbers, from and to, both missing.
    pub lost_ranges: Vec<(u64, u64)>,
    /// Arrived twice in one publish.
    pub doubled: u64,
    /// Arrived again in a later publish: a replay.
    pub repeated: u64,
    /// How often the sender's engine started to count.
    pub engine_runs: u64,
}

/// From capture to arrival, frames that hadn't arrived before. Quantiles are within 0.8 %.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyReport {
    pub min_ms: f64,
    pub median_ms: f64,
    pub p95_ms: f64,
    pub max_ms: f64,
    pub clock: &'static str,
}

pub const CLOCK_NOTE: &str = "The wall clocks of sender and receiver are compared: on two machines the \
                              latency is off by the difference between their clocks.";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for stream in &self.streams {
            writeln!(f, "{stream}")?;
        }
        if self.failure_count > 0 {
            writeln!(
                f,
                "Failures of connections and recordings: {}",
                self.failure_count
            )?;
            for failure in &self.failures {
                writeln!(f, "  {failure}")?;
            }
        }
        if self.streams.is_empty() {
            return write!(f, "Nothing was published.");
        }
        write!(
            f,
            "Verdict: {}",
            if self.verdict.ok { "ok" } else { "not ok" }
        )
    }
}

impl fmt::Display for StreamReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let publishes = self.publishes.len() as u64 + self.publishes_unlisted;
        let length: f64 = self
            .publishes
            .last()
            .map_or(0.0, |p| p.began_s + p.length_s);
        writeln!(
            f,
            "{}: {length:.1} s in {publishes} publish{}",
            self.key,
            if publishes == 1 { "" } else { "es" }
        )?;
        write!(f, "  video    {} frames", self.video.frames)?;
        if let Some(codec) = &self.video.codec {
            write!(
                f,
                ", H.264 {} {} {}×{}",
                codec.profile, codec.level, codec.width, codec.height
            )?;
        }
        writeln!(f, ", {}", self.video.bitrate)?;
        if let Some(gop) = self.video.gop {
            write!(f, "  GOPs     {} complete, ", gop.complete)?;
            if gop.exact {
                writeln!(f, "all of {} frames", gop.min_frames)?;
            } else {
                writeln!(f, "{} to {} frames", gop.min_frames, gop.max_frames)?;
            }
        }
        write!(f, "  audio    {} frames", self.audio.frames)?;
        if let Some(codec) = &self.audio.codec {
            write!(
                f,
                ", {} {} Hz, {} channels",
                codec.profile, codec.sample_rate, codec.channels
            )?;
        }
        writeln!(f, ", {}", self.audio.bitrate)?;
        if let (Some(start), Some(min), Some(max)) = (
            self.sync.worst_start_ms,
            self.sync.running_min_ms,
            self.sync.running_max_ms,
        ) {
            writeln!(
                f,
                "  sync     audio starts {start:+} ms from video and runs {min:+} to {max:+} ms from it"
            )?;
        }
        if self.stamps.stamped > 0 {
            writeln!(
                f,
                "  stamps   {} lost, {} doubled, {} repeated by replay",
                self.stamps.lost, self.stamps.doubled, self.stamps.repeated
            )?;
        }
        if let Some(latency) = &self.latency {
            writeln!(
                f,
                "  latency  min {:.0}, median {:.0}, p95 {:.0}, max {:.0} ms",
                latency.min_ms, latency.median_ms, latency.p95_ms, latency.max_ms
            )?;
        }
        for finding in &self.verdict.findings {
            writeln!(f, "  FINDING  {finding}")?;
        }
        for note in &self.verdict.notes {
            writeln!(f, "  note     {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RateReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:.0} kb/s", self.mean_kbps)?;
        if let (Some(min), Some(max)) = (self.min_10s_kbps, self.max_10s_kbps) {
            write!(f, " ({min:.0} to {max:.0} in any 10 s)")?;
        }
        Ok(())
    }
}
