//! The judge of one stream: what arrived on one key, over all of its publishes. Pure: the times of arrival come
//! in as arguments. Memory stays bounded however long the stream and whatever it carries.

pub mod codec;
mod findings;
mod histogram;
mod intervals;
pub mod rate;
pub mod report;
mod stamps;
mod timing;
mod track;

use crate::media::Track;
use crate::rehearsal::platform::Platform;
use crate::rehearsal::rules::{BAD_NAME, End, Refusal, StreamKey};
use crate::rtmp::Amf0Value;
use crate::rtmp::flv::{self, AudioBody, VideoBody};
use crate::stamp;
use bytes::Bytes;
use histogram::Histogram;
use rate::Rate;
use report::*;
use stamps::{Sighting, Stamps};
use std::time::Instant;
use track::{Audio, Video, VideoFrame, thousandths};

/// Publishes told one by one in the report.
const MAX_LISTED: usize = 256;
/// Missing ranges told one by one in the report.
const MAX_RANGES: usize = 16;
/// Letters kept of a text that the publisher sent.
const MAX_TEXT: usize = 80;

/// When something arrived, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// For gaps and rates.
    pub at: Instant,
    /// µs since the Unix epoch, for the latency of stamped frames.
    pub wall_us: u64,
}

#[derive(Debug)]
pub struct Judge {
    platform: Platform,
    key: String,
    app: String,
    encoder: Option<String>,
    first_publish: Option<Instant>,
    publishes: Vec<PublishReport>,
    publish: Option<Publish>,
    publish_count: u64,
    last_end: Option<Instant>,
    longest_pause_s: Option<f64>,
    interruptions: u64,
    refused: u64,
    denial: Option<String>,
    video: Video,
    audio: Audio,
    arrival_rate: Rate,
    worst_start_ms: Option<i64>,
    running_ms: Option<(i64, i64)>,
    stamps: Stamps,
    stamped: u64,
    unstamped: u64,
    doubled: u64,
    repeated: u64,
    latency: Histogram,
    second: Second,
}

/// The publish that is on.
#[derive(Debug)]
struct Publish {
    report: PublishReport,
    began: Instant,
    first_video_pts_ms: Option<i64>,
    first_audio_ms: Option<i64>,
}

/// What came since the last summary.
#[derive(Debug, Default)]
struct Second {
    began: Option<Instant>,
    frames: u64,
    video_bytes: u64,
    audio_bytes: u64,
    latencies: u64,
    latency_sum_us: i128,
    latency_max_us: Option<i64>,
}

impl Judge {
    pub fn new(platform: Platform, app: &str, key: &StreamKey) -> Self {
        Judge {
            platform,
            key: key.to_string(),
            app: printable(&key.shown_app(app)),
            encoder: None,
            first_publish: None,
            publishes: Vec::new(),
            publish: None,
            publish_count: 0,
            last_end: None,
            longest_pause_s: None,
            interruptions: 0,
            refused: 0,
            denial: None,
            video: Video::default(),
            audio: Audio::default(),
            arrival_rate: Rate::default(),
            worst_start_ms: None,
            running_ms: None,
            stamps: Stamps::default(),
            stamped: 0,
            unstamped: 0,
            doubled: 0,
            repeated: 0,
            latency: Histogram::default(),
            second: Second::default(),
        }
    }

    /// A publish was accepted: its timeline is its own, the count of frames goes on. Which publish on this key it is,
    /// from 1.
    pub fn begin_publish(&mut self, now: Instant) -> u64 {
        let first = *self.first_publish.get_or_insert(now);
        if let Some(ended) = self.last_end {
            let pause = (now - ended).as_secs_f64();
            self.longest_pause_s = Some(self.longest_pause_s.map_or(pause, |p| p.max(pause)));
        }
        self.publish_count += 1;
        self.publish = Some(Publish {
            report: PublishReport {
                number: self.publish_count,
                began_s: thousandths((now - first).as_secs_f64()),
                length_s: 0.0,
                ended: None,
                video_frames: 0,
                audio_frames: 0,
                audio_minus_video_start_ms: None,
            },
            began: now,
            first_video_pts_ms: None,
            first_audio_ms: None,
        });
        self.stamps.begin_publish();
        self.video.restart();
        self.audio.restart();
        self.second = Second {
            began: Some(now),
            ..Second::default()
        };
        self.publish_count
    }

    pub fn end_publish(&mut self, now: Instant, end: End) {
        let Some(publish) = self.publish.take() else {
            return;
        };
        self.last_end = Some(now);
        if end == End::Lost {
            self.interruptions += 1;
        }
        let mut report = publish.report;
        report.length_s = thousandths((now - publish.began).as_secs_f64());
        report.ended = Some(end);
        if self.publishes.len() < MAX_LISTED {
            self.publishes.push(report);
        }
    }

    /// Publishes on this key were refused because one was on.
    pub fn refused_meanwhile(&mut self, times: u64) {
        self.refused += times;
    }

    /// A publish on this key was refused.
    pub fn refused(&mut self, refusal: &Refusal) {
        self.refused += 1;
        if refusal.code != BAD_NAME {
            self.denial
                .get_or_insert_with(|| refusal.description.clone());
        }
    }

    /// One tag as it came; `at_ms` is its time on the publish's timeline.
    pub fn tag(&mut self, now: Arrival, track: Track, at_ms: u64, body: &Bytes) {
        match track {
            Track::Video => match flv::parse_video(body) {
                Ok(VideoBody::SequenceHeader(record)) => self.video.set_header(&record),
                Ok(VideoBody::AccessUnit {
                    keyframe,
                    cts_ms,
                    data,
                }) => self.video(
                    now,
                    VideoFrame {
                        dts_ms: at_ms,
                        composition_ms: cts_ms,
                        keyframe,
                        data: &data,
                    },
                ),
                Ok(VideoBody::EndOfSequence | VideoBody::Command) => {}
                Err(error) => self.video.unreadable.add(error),
            },
            Track::Audio => match flv::parse_audio(body) {
                Ok(AudioBody::SequenceHeader(config)) => self.audio.set_header(&config),
                Ok(AudioBody::Frame(data)) => self.audio(now, at_ms, &data),
                Err(error) => self.audio.unreadable.add(error),
            },
        }
    }

    /// onMetaData's value.
    pub fn metadata(&mut self, value: &Amf0Value) {
        if let Some(fps) = value.get("framerate").and_then(Amf0Value::as_number) {
            self.video.grid.set_rate(fps);
        }
        if let Some(encoder) = value.get("encoder").and_then(Amf0Value::as_str) {
            self.encoder = Some(printable(encoder));
        }
    }

    fn video(&mut self, now: Arrival, frame: VideoFrame) {
        let Some(publish) = &mut self.publish else {
            return;
        };
        let bytes = frame.data.len() as u64;
        let pts_ms = i64::try_from(frame.dts_ms)
            .unwrap_or(i64::MAX)
            .saturating_add(i64::from(frame.composition_ms));
        publish.report.video_frames += 1;
        let first = publish.first_video_pts_ms.is_none();
        publish.first_video_pts_ms.get_or_insert(pts_ms);
        publish.note_start(&mut self.worst_start_ms);
        self.video.see(now.at, frame, pts_ms, first);
        self.arrived(now.at, bytes);
        self.second.frames += 1;
        self.second.video_bytes += bytes;
        if let (Some(audio), Ok(dts)) = (self.audio.clock.last_ms(), i64::try_from(frame.dts_ms)) {
            let ahead = i64::try_from(audio).unwrap_or(i64::MAX) - dts;
            let (min, max) = self.running_ms.unwrap_or((ahead, ahead));
            self.running_ms = Some((min.min(ahead), max.max(ahead)));
        }
        self.count_stamp(now.wall_us, frame.data);
    }

    fn count_stamp(&mut self, wall_us: u64, access_unit: &[u8]) {
        let Some(stamp) = stamp::find(access_unit) else {
            self.unstamped += 1;
            return;
        };
        self.stamped += 1;
        match self.stamps.see(stamp) {
            Sighting::Doubled => self.doubled += 1,
            Sighting::Repeated => self.repeated += 1,
            Sighting::New => {
                let latency_us = (i128::from(wall_us) - i128::from(stamp.captured_us))
                    .clamp(i64::MIN.into(), i64::MAX.into())
                    as i64;
                self.latency.add(latency_us);
                let second = &mut self.second;
                second.latencies += 1;
                second.latency_sum_us += i128::from(latency_us);
                second.latency_max_us = second.latency_max_us.max(Some(latency_us));
            }
        }
    }

    /// One raw AAC frame.
    fn audio(&mut self, now: Arrival, at_ms: u64, data: &[u8]) {
        let Some(publish) = &mut self.publish else {
            return;
        };
        let bytes = data.len() as u64;
        publish.report.audio_frames += 1;
        publish
            .first_audio_ms
            .get_or_insert(i64::try_from(at_ms).unwrap_or(i64::MAX));
        publish.note_start(&mut self.worst_start_ms);
        self.audio.see(now.at, at_ms, bytes);
        self.arrived(now.at, bytes);
        self.second.audio_bytes += bytes;
    }

    fn arrived(&mut self, at: Instant, bytes: u64) {
        if let Some(first) = self.first_publish {
            let since_ms = (at - first).as_millis();
            self.arrival_rate
                .add(u64::try_from(since_ms).unwrap_or(u64::MAX), bytes);
        }
    }

    /// What came since the last summary; absent while nobody publishes.
    pub fn summary(&mut self, now: Instant) -> Option<Summary> {
        let publish = self.publish.as_ref()?;
        let first = self.first_publish?;
        let second = std::mem::replace(
            &mut self.second,
            Second {
                began: Some(now),
                ..Second::default()
            },
        );
        let length_s = (now - second.began?).as_secs_f64().max(1e-3);
        let stamped = self.stamped > 0;
        Some(Summary {
            key: self.key.clone(),
            publish: publish.report.number,
            elapsed_s: thousandths((now - first).as_secs_f64()),
            frames: self.video.frames,
            fps: thousandths(second.frames as f64 / length_s),
            video_kbps: thousandths(second.video_bytes as f64 / 125.0 / length_s),
            audio_kbps: thousandths(second.audio_bytes as f64 / 125.0 / length_s),
            latency_ms: (second.latencies > 0)
                .then(|| thousandths(second.latency_sum_us as f64 / second.latencies as f64 / 1e3)),
            latency_max_ms: second.latency_max_us.map(|us| thousandths(us as f64 / 1e3)),
            lost: stamped.then(|| self.stamps.lost_so_far()),
            doubled: stamped.then_some(self.doubled),
            repeated: stamped.then_some(self.repeated),
        })
    }

    pub fn report(&self, now: Instant) -> StreamReport {
        let mut publishes = self.publishes.clone();
        if let Some(publish) = &self.publish {
            let mut report = publish.report.clone();
            report.length_s = thousandths((now - publish.began).as_secs_f64());
            publishes.push(report);
        }
        let ms = |us: Option<i64>| thousandths(us.unwrap_or(0) as f64 / 1e3);
        let mut report = StreamReport {
            key: self.key.clone(),
            app: self.app.clone(),
            encoder: self.encoder.clone(),
            publishes_unlisted: self.publish_count - publishes.len() as u64,
            publishes,
            interruptions: self.interruptions,
            longest_pause_s: self.longest_pause_s.map(thousandths),
            refused_publishes: self.refused,
            video: self.video.report(),
            audio: self.audio.report(),
            sync: SyncReport {
                worst_start_ms: self.worst_start_ms,
                running_min_ms: self.running_ms.map(|(min, _)| min),
                running_max_ms: self.running_ms.map(|(_, max)| max),
            },
            stamps: StampReport {
                stamped: self.stamped,
                unstamped: self.unstamped,
                lost: self.stamps.lost(),
                lost_ranges: self.stamps.holes(MAX_RANGES),
                doubled: self.doubled,
                repeated: self.repeated,
                engine_runs: self.stamps.runs(),
            },
            latency: self.latency.min().map(|min| LatencyReport {
                min_ms: ms(Some(min)),
                median_ms: ms(self.latency.quantile(0.5)),
                p95_ms: ms(self.latency.quantile(0.95)),
                max_ms: ms(self.latency.max()),
                clock: CLOCK_NOTE,
            }),
            arrival: self.arrival_rate.report(0.0).rounded(),
            verdict: Verdict::default(),
        };
        report.verdict = self.verdict(&report);
        report
    }
}

impl Publish {
    /// Once both tracks have begun, how far apart.
    fn note_start(&mut self, worst: &mut Option<i64>) {
        let (Some(video), Some(audio), None) = (
            self.first_video_pts_ms,
            self.first_audio_ms,
            self.report.audio_minus_video_start_ms,
        ) else {
            return;
        };
        let offset = audio.saturating_sub(video);
        self.report.audio_minus_video_start_ms = Some(offset);
        if worst.is_none_or(|w| w.abs() < offset.abs()) {
            *worst = Some(offset);
        }
    }
}

/// A publisher's text, short and without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_TEXT)
        .collect()
}

#[cfg(test)]
mod tests;
