//! What flows: encoded media units on the programme timeline, and the codec configuration that
//! a decoder needs before the first of them. Pure.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A point on a media timeline, in microseconds. Signed, because a decode time may lie before the
/// first presentation time (B-frames) and because differences are points too.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct MediaTime(pub i64);

impl MediaTime {
    pub const ZERO: MediaTime = MediaTime(0);

    pub fn from_millis(ms: i64) -> Self {
        MediaTime(ms * 1_000)
    }

    pub fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Milliseconds, rounded to the nearest: what FLV and RTMP carry.
    pub fn round_millis(self) -> i64 {
        (self.0 + 500).div_euclid(1_000)
    }

    /// How far `self` lies after `earlier`; zero when it does not.
    pub fn since(self, earlier: MediaTime) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for MediaTime {
    type Output = MediaTime;
    fn add(self, by: Duration) -> MediaTime {
        MediaTime(
            self.0
                .saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

impl std::ops::Sub<Duration> for MediaTime {
    type Output = MediaTime;
    fn sub(self, by: Duration) -> MediaTime {
        MediaTime(
            self.0
                .saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    Video,
    Audio,
}

/// One H.264 access unit in avcC form (NAL units behind 4-byte lengths) or one raw AAC frame.
/// Cloning costs a reference count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaUnit {
    pub track: Track,
    /// Decode time; never goes back within a track.
    pub dts: MediaTime,
    /// Presentation time; equals `dts` for audio.
    pub pts: MediaTime,
    /// An IDR access unit, at which a decoder may start. Always false for audio.
    pub keyframe: bool,
    pub data: Bytes,
}

/// Frames per second as a fraction, as GStreamer and H.264 have it (30000/1001).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    pub num: u32,
    pub den: u32,
}

impl FrameRate {
    pub fn as_f64(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }

    /// When frame `n` is shown on a timeline whose frame 0 is at zero, rounded to the microsecond.
    pub fn frame_time(self, n: i64) -> MediaTime {
        let (num, den) = (i128::from(self.num), i128::from(self.den));
        MediaTime(((i128::from(n) * den * 1_000_000 + num / 2).div_euclid(num)) as i64)
    }

    /// The frame whose time is nearest to `at`: the inverse of `frame_time`.
    pub fn frame_at(self, at: MediaTime) -> i64 {
        let (num, den) = (i128::from(self.num), i128::from(self.den));
        ((i128::from(at.0) * num + den * 500_000).div_euclid(den * 1_000_000)) as i64
    }

    /// The first frame that is not before `at`.
    pub fn frame_from(self, at: MediaTime) -> i64 {
        let nearest = self.frame_at(at);
        nearest + i64::from(self.frame_time(nearest) < at)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoConfig {
    /// AVCDecoderConfigurationRecord (ISO/IEC 14496-15), as an FLV sequence header carries it.
    pub avcc: Bytes,
    pub width: u32,
    pub height: u32,
    pub fps: FrameRate,
    /// The target the encoder was started with, for the metadata; it may change in flight.
    pub bitrate_kbps: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioConfig {
    /// AudioSpecificConfig (ISO/IEC 14496-3).
    pub asc: Bytes,
    pub sample_rate: u32,
    pub channels: u8,
    pub bitrate_kbps: u32,
}

/// What must reach a decoder before the units that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    pub video: VideoConfig,
    pub audio: AudioConfig,
}

/// A picture and silence, encoded to be repeated: what goes out in place of the programme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    pub config: StreamConfig,
    /// A GOP without B-frames, the keyframe first.
    pub pictures: Vec<Bytes>,
    /// One frame of silence.
    pub sound: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_times_invert() {
        for fps in [
            FrameRate { num: 30, den: 1 },
            FrameRate {
                num: 30_000,
                den: 1_001,
            },
        ] {
            for n in [0, 1, 2, 59, 1_000_001, 123_456_789] {
                let at = fps.frame_time(n);
                assert_eq!(fps.frame_at(at), n);
                assert_eq!(fps.frame_from(at), n);
                assert_eq!(fps.frame_from(MediaTime(at.0 + 1)), n + 1);
                assert_eq!(fps.frame_from(MediaTime(at.0 - 1)), n);
            }
        }
    }

    #[test]
    fn millis_round_to_nearest() {
        assert_eq!(MediaTime(33_333).round_millis(), 33);
        assert_eq!(MediaTime(66_667).round_millis(), 67);
        assert_eq!(MediaTime(-400).round_millis(), 0);
    }
}
